//! How values become columns: integers of 64 bits with a sign, and back.
//!
//! Nothing here can fail on the way in; what comes back wrong is damage, named by its column (a
//! name, or a position where rows are many).

use std::fmt::Display;
use std::time::Duration;

use rusqlite::{Row, RowIndex};

use crate::engine::credential::Fingerprint;
use crate::engine::time::{Span, Timestamp};
use crate::store::error::Fault;

/// Returns a count or an offset as a column; saturates at 2⁶³ − 1.
pub fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a duration as a column in nanoseconds; saturates at 292 years.
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns an instant as a column.
pub fn instant(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_nanos)
}

/// Reads a count or an offset.
pub fn get_count(row: &Row<'_>, column: impl RowIndex + Copy + Display) -> Result<u64, Fault> {
    let number: i64 = row.get(column)?;
    u64::try_from(number)
        .map_err(|_| Fault::nonsense(&format!("column {column}"), "a negative count"))
}

/// Reads a duration.
pub fn get_duration(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
) -> Result<Duration, Fault> {
    get_count(row, column).map(Duration::from_nanos)
}

/// Reads a duration that may be missing.
pub fn get_duration_or_none(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
) -> Result<Option<Duration>, Fault> {
    let nanos: Option<i64> = row.get(column)?;
    nanos.map(|_| get_duration(row, column)).transpose()
}

/// Reads an instant.
pub fn get_instant(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
) -> Result<Timestamp, Fault> {
    Ok(Timestamp::from_nanos(row.get(column)?))
}

/// Reads an instant that may be missing.
pub fn get_instant_or_none(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
) -> Result<Option<Timestamp>, Fault> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_nanos))
}

/// Reads the span in `from_at` and `to_at`.
pub fn get_span(row: &Row<'_>) -> Result<Span, Fault> {
    Ok(Span::between(get_instant(row, "from_at")?, get_instant(row, "to_at")?))
}

/// Reads 16 bytes.
pub fn get_digest(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
) -> Result<[u8; 16], Fault> {
    Ok(row.get(column)?)
}

/// Reads a fingerprint.
pub fn get_fingerprint(
    row: &Row<'_>,
    column: impl RowIndex + Copy + Display,
) -> Result<Fingerprint, Fault> {
    get_digest(row, column).map(Fingerprint::from_bytes)
}

//! Rejected lines that hold a tracked key, and the rejects at the end of a generation.
//!
//! Runs inside the caller's transaction and never ends it.

use rusqlite::{Connection, Row, params};

use crate::engine::credential::{SourceName, StreamName};
use crate::engine::rejects::OpenRejects;
use crate::engine::usage::{GenerationNumber, RejectedKey};
use crate::store::column::{count, get_count, get_instant, get_instant_or_none};
use crate::store::error::Fault;
use crate::store::names::{Directory, Names};

/// Adds rejected lines of a stream: of each key the latest stays.
pub fn add(
    tx: &Connection,
    names: &mut Names,
    stream: i64,
    rejected: &[RejectedKey],
) -> Result<(), Fault> {
    let mut add = tx.prepare_cached(
        "INSERT INTO rejected_key VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
    )?;
    for reject in rejected {
        let key = names.key(tx, &reject.key)?;
        add.execute(params![stream, key, reject.at.as_nanos()])?;
    }
    Ok(())
}

/// Replaces the keys in open rejects of a generation; their number is a column of its row.
pub fn put_open(
    tx: &Connection,
    names: &mut Names,
    stream: i64,
    generation: GenerationNumber,
    open: &OpenRejects,
) -> Result<(), Fault> {
    let number = count(generation.0);
    tx.prepare_cached("DELETE FROM open_reject_key WHERE stream = ?1 AND generation = ?2")?
        .execute([stream, number])?;
    let mut add = tx.prepare_cached("INSERT INTO open_reject_key VALUES (?1, ?2, ?3, ?4)")?;
    for (key, at) in &open.keys {
        add.execute(params![stream, number, names.key(tx, key)?, at.as_nanos()])?;
    }
    Ok(())
}

/// Reads a rejected line that is not open.
pub fn rejected(
    row: &Row<'_>,
    names: &Directory,
) -> Result<(SourceName, StreamName, RejectedKey), Fault> {
    let (source, stream) = names.stream(row.get("stream")?)?;
    Ok((source, stream, found(row, names)?))
}

/// Reads a key that was found in rejected lines.
pub fn found(row: &Row<'_>, names: &Directory) -> Result<RejectedKey, Fault> {
    Ok(RejectedKey { key: names.key(row.get("key")?)?, at: get_instant(row, "at")? })
}

/// Reads the open rejects in the row of a generation.
pub fn open(row: &Row<'_>, found: Vec<RejectedKey>) -> Result<OpenRejects, Fault> {
    Ok(OpenRejects {
        count: get_count(row, "open_rejects")?,
        at: get_instant_or_none(row, "open_rejects_at")?,
        keys: found.into_iter().map(|found| (found.key, found.at)).collect(),
    })
}

//! The history of usage, for reports and checks: by minute, hour and day, wherever it is kept now.
//!
//! Never read to decide anything.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use crate::engine::credential::{Fingerprint, SourceName};
use crate::engine::time::{Minute, Span, Step, Timestamp};
use crate::engine::usage::{Consumer, Seconds, Tally, UsageCell};
use crate::store::column::{get_count, get_instant};
use crate::store::error::Fault;
use crate::store::look::KeptUsage;
use crate::store::names::Directory;
use crate::store::rollup::TABLES;

/// Presentations of one key by one consumer in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageWindow {
    /// First instant of the window.
    pub start: Timestamp,
    /// How wide it is: as asked for, or wider where no more is known.
    pub step: Step,
    /// Who presented the key.
    pub consumer: Consumer,
    /// Number of presentations of no other window, indexed as [`Outcome::ALL`].
    ///
    /// [`Outcome::ALL`]: crate::engine::usage::Outcome::ALL
    pub counts: [u64; 4],
}

/// Reads the windows of `step`, or wider ones, that meet `span`, each whole.
pub fn usage(
    connection: &Connection,
    key: Fingerprint,
    span: Span,
    step: Step,
) -> Result<Vec<UsageWindow>, Fault> {
    let mut windows: BTreeMap<(Minute, Step, Consumer), [u64; 4]> = BTreeMap::new();
    if span.from == span.to {
        return Ok(Vec::new());
    }
    let tx = connection.unchecked_transaction()?;
    let names = Directory::read(&tx)?;
    let last = span.to.minus(std::time::Duration::from_nanos(1)).minute();
    for (kept, table) in TABLES {
        let shown = kept.max(step);
        let end = shown.begin(last).number().saturating_add(shown.minutes());
        let mut statement = tx.prepare_cached(&format!(
            "SELECT minute, consumer, accepted, unauthenticated, forbidden, failed FROM {table}
             WHERE minute >= ?1 AND minute < ?2
                AND key = (SELECT id FROM key WHERE fingerprint = ?3)"
        ))?;
        let begin = shown.begin(span.from.minute()).number();
        let mut rows = statement.query(params![begin, end, key.as_bytes()])?;
        while let Some(row) = rows.next()? {
            let window = shown.begin(Minute::from_number(row.get(0)?));
            let counts = windows.entry((window, shown, names.consumer(row.get(1)?)?)).or_default();
            for (column, count) in counts.iter_mut().enumerate() {
                *count = count.saturating_add(get_count(row, column + 2)?);
            }
        }
    }
    let windows = windows.into_iter().map(|((begin, step, consumer), counts)| UsageWindow {
        start: begin.start(),
        step,
        consumer,
        counts,
    });
    Ok(windows.collect())
}

/// Reads all usage that is kept, however wide its windows, in the caller's transaction.
pub fn kept(tx: &Connection) -> Result<Vec<KeptUsage>, Fault> {
    let names = Directory::read(tx)?;
    let mut all = Vec::new();
    for (step, table) in TABLES {
        let mut statement = tx.prepare_cached(&format!(
            "SELECT source, key, consumer, minute, late, accepted, unauthenticated, forbidden, failed
             FROM {table} ORDER BY minute, source, key, consumer, late"
        ))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            all.push(KeptUsage {
                source: names.source(row.get(0)?)?,
                key: names.key(row.get(1)?)?,
                consumer: names.consumer(row.get(2)?)?,
                step,
                minute: Minute::from_number(row.get(3)?),
                late: row.get(4)?,
                counts: [
                    get_count(row, 5)?,
                    get_count(row, 6)?,
                    get_count(row, 7)?,
                    get_count(row, 8)?,
                ],
            });
        }
    }
    Ok(all)
}

/// Reads all cells that are still kept by minute.
pub fn cells(connection: &Connection) -> Result<Vec<(SourceName, UsageCell)>, Fault> {
    let tx = connection.unchecked_transaction()?;
    let names = Directory::read(&tx)?;
    let mut statement = tx.prepare(CELLS)?;
    let mut rows = statement.query([])?;
    let mut cells = Vec::new();
    while let Some(row) = rows.next()? {
        cells.push(cell(row, &names)?);
    }
    Ok(cells)
}

/// Cells are by far the most rows: their columns are found by position, not by name.
const CELLS: &str = "SELECT source, key, consumer, minute,
    accepted, unauthenticated, forbidden, failed,
    accepted_seconds, unauthenticated_seconds, forbidden_seconds, failed_seconds,
    first_seen, last_seen, counts_until, late
    FROM usage_cell ORDER BY minute, source, key, consumer, late";

fn cell(row: &Row<'_>, names: &Directory) -> Result<(SourceName, UsageCell), Fault> {
    let seconds = |position: usize| -> Result<Seconds, Fault> {
        Ok(Seconds::from_bits(row.get::<_, i64>(position)?.cast_unsigned()))
    };
    let tally = Tally {
        counts: [get_count(row, 4)?, get_count(row, 5)?, get_count(row, 6)?, get_count(row, 7)?],
        seconds: [seconds(8)?, seconds(9)?, seconds(10)?, seconds(11)?],
        first_seen: get_instant(row, 12)?,
        last_seen: get_instant(row, 13)?,
        counts_until: get_instant(row, 14)?,
    };
    let cell = UsageCell {
        key: names.key(row.get(1)?)?,
        consumer: names.consumer(row.get(2)?)?,
        minute: Minute::from_number(row.get(3)?),
        late: row.get(15)?,
        tally,
    };
    Ok((names.source(row.get(0)?)?, cell))
}

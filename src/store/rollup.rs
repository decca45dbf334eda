//! Old usage becomes wider: minutes become hours, hours become days, days are forgotten.
//!
//! ```text
//! usage_cell --7 d--> usage_hour --90 d--> usage_day --730 d--> nothing     (by default)
//! ```
//!
//! Runs inside the caller's transaction, a bounded number of rows at a time: whatever was moved
//! when the process dies was moved whole. Sums, first and last stay what they were. Only history
//! is touched: the engine goes on from other tables, so no answer changes.

use rusqlite::{Connection, Row, params};

use crate::engine::credential::Fingerprint;
use crate::engine::line_counts::edge;
use crate::engine::state::Retention;
use crate::engine::time::{Minute, Step, Timestamp};
use crate::store::error::Fault;
use crate::store::names::Names;

/// Rows that one transaction moves at most: some 20 ms, for which a commit may wait.
pub const SLICE: usize = 1_000;

/// The tables of usage by the width of their windows.
pub const TABLES: [(Step, &str); 3] =
    [(Step::Minute, "usage_cell"), (Step::Hour, "usage_hour"), (Step::Day, "usage_day")];

/// Moves up to [`SLICE`] rows that are due at `now`; returns whether there may be more.
///
/// Days of the keys in `keep` are not forgotten.
pub fn slice(
    tx: &Connection,
    names: &mut Names,
    retention: &Retention,
    keep: &[Fingerprint],
    now: Timestamp,
) -> Result<bool, Fault> {
    let mut room = SLICE;
    let kept = [retention.minutes, retention.hours];
    for (tables, kept) in TABLES.windows(2).zip(kept) {
        let [(_, narrow), (step, wide)] = tables else { continue };
        // Whole windows of the wider table: each is made in one roll-up, apart from late lines.
        let edge = step.begin(now.minus(kept).minute());
        room -= widen_usage(tx, (narrow, wide), *step, edge, room)?;
    }
    for step in Step::ALL {
        if let Some((wider, edge)) = edge(step, now) {
            room -= widen_lines(tx, step, wider, edge, room)?;
        }
    }
    let edge = Step::Day.begin(now.minus(retention.days).minute());
    room -= forget_days(tx, names, edge, keep, room)?;
    Ok(room == 0)
}

/// What a row of usage holds besides source, key, consumer and window.
const COLUMNS: &str =
    "late, accepted, unauthenticated, forbidden, failed, first_seen, last_seen, counts_until";

fn widen_usage(
    tx: &Connection,
    (narrow, wide): (&str, &str),
    step: Step,
    edge: Minute,
    room: usize,
) -> Result<usize, Fault> {
    let rows = numbers::<12>(
        tx,
        &format!(
            "SELECT source, key, consumer, minute, {COLUMNS} FROM {narrow}
             WHERE minute < ?1 ORDER BY minute, source, key, consumer, late LIMIT ?2"
        ),
        edge,
        room,
    )?;
    // The sum of two counts saturates, as it does in `write.rs`.
    let mut add = tx.prepare_cached(&format!(
        "INSERT INTO {wide} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT DO UPDATE SET
            accepted = min(accepted, 9223372036854775807 - excluded.accepted) + excluded.accepted,
            unauthenticated = min(unauthenticated, 9223372036854775807 - excluded.unauthenticated)
                + excluded.unauthenticated,
            forbidden = min(forbidden, 9223372036854775807 - excluded.forbidden) + excluded.forbidden,
            failed = min(failed, 9223372036854775807 - excluded.failed) + excluded.failed,
            first_seen = min(first_seen, excluded.first_seen),
            last_seen = max(last_seen, excluded.last_seen),
            counts_until = max(counts_until, excluded.counts_until)"
    ))?;
    let mut remove = tx.prepare_cached(&format!(
        "DELETE FROM {narrow}
         WHERE minute = ?1 AND source = ?2 AND key = ?3 AND consumer = ?4 AND late = ?5"
    ))?;
    for mut row in rows.iter().copied() {
        let [source, key, consumer, minute, late, ..] = row;
        row[3] = step.begin(Minute::from_number(minute)).number();
        add.execute(row)?;
        remove.execute([minute, source, key, consumer, late])?;
    }
    Ok(rows.len())
}

fn widen_lines(
    tx: &Connection,
    step: Step,
    wider: Step,
    edge: Minute,
    room: usize,
) -> Result<usize, Fault> {
    let step = step as u8;
    let rows = numbers::<4>(
        tx,
        &format!(
            "SELECT stream, minute, lines, rejects FROM line_count
             WHERE step = {step} AND minute < ?1 ORDER BY minute, stream LIMIT ?2"
        ),
        edge,
        room,
    )?;
    let mut add = tx.prepare_cached(
        "INSERT INTO line_count VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
            lines = min(lines, 9223372036854775807 - excluded.lines) + excluded.lines,
            rejects = min(rejects, 9223372036854775807 - excluded.rejects) + excluded.rejects",
    )?;
    let mut remove = tx
        .prepare_cached("DELETE FROM line_count WHERE step = ?1 AND minute = ?2 AND stream = ?3")?;
    for [stream, minute, lines, rejects] in rows.iter().copied() {
        let begin = wider.begin(Minute::from_number(minute)).number();
        add.execute(params![stream, wider as u8, begin, lines, rejects])?;
        remove.execute(params![step, minute, stream])?;
    }
    Ok(rows.len())
}

fn forget_days(
    tx: &Connection,
    names: &mut Names,
    edge: Minute,
    keep: &[Fingerprint],
    room: usize,
) -> Result<usize, Fault> {
    let keep: Vec<i64> = keep.iter().map(|key| names.key(tx, key)).collect::<Result<_, _>>()?;
    let keep: Vec<String> = keep.iter().map(i64::to_string).collect();
    let forget = format!(
        "DELETE FROM usage_day WHERE (minute, source, key, consumer, late) IN (
            SELECT minute, source, key, consumer, late FROM usage_day
            WHERE minute < ?1 AND key NOT IN ({}) LIMIT ?2)",
        keep.join(", ")
    );
    // Not cached: the text changes with each rotation.
    Ok(tx.prepare(&forget)?.execute(params![edge.number(), limit(room)])?)
}

fn limit(room: usize) -> i64 {
    i64::try_from(room).unwrap_or(i64::MAX)
}

/// Reads rows of `N` numbers.
fn numbers<const N: usize>(
    tx: &Connection,
    sql: &str,
    edge: Minute,
    room: usize,
) -> Result<Vec<[i64; N]>, Fault> {
    let mut statement = tx.prepare_cached(sql)?;
    let read = |row: &Row<'_>| {
        let mut numbers = [0; N];
        for (column, number) in numbers.iter_mut().enumerate() {
            *number = row.get(column)?;
        }
        Ok(numbers)
    };
    let rows = statement.query_map([edge.number(), limit(room)], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

//! The last check before counting: each delta begins where its generation is stored up to.
//!
//! The engine drops repeats and records holes; this only refuses what slipped through, because a
//! line that was counted twice could not be taken back.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::engine::coverage::{Gap, GapReason};
use crate::engine::state::{Commit, GenerationRecord};
use crate::engine::usage::UsageDelta;
use crate::store::column::count;
use crate::store::error::{Fault, StoreError};
use crate::store::names::Names;

/// Checks that each delta continues its generation, and brings the offset that says so.
pub fn check(tx: &Connection, names: &mut Names, commit: &Commit) -> Result<(), Fault> {
    let mut find =
        tx.prepare_cached("SELECT offset FROM generation WHERE stream = ?1 AND number = ?2")?;
    let mut ends = HashMap::new();
    for delta in &commit.deltas {
        let stream = names.stream(tx, &delta.source, &delta.stream)?;
        let generation = (stream, delta.generation);
        let stored = match ends.get(&generation) {
            Some(&end) => Some(end),
            None => find
                .query_row(params![stream, count(delta.generation.0)], |row| row.get::<_, i64>(0))
                .optional()?
                .map(i64::cast_unsigned),
        };
        if let Some(stored) = stored
            && stored != delta.range.from
            && !is_explained(delta, stored, &commit.gaps)
        {
            return Err(StoreError::OutOfOrder {
                source_name: delta.source.clone(),
                stream: delta.stream.clone(),
                generation: delta.generation.0,
                stored,
                found: delta.range.from,
            }
            .into());
        }
        ends.insert(generation, delta.range.to);
        if delta.range.from != delta.range.to && !moves_offset(delta, &commit.generations) {
            return Err(StoreError::OffsetMissing {
                source_name: delta.source.clone(),
                stream: delta.stream.clone(),
                generation: delta.generation.0,
            }
            .into());
        }
    }
    Ok(())
}

/// Tells whether a gap of the same commit says why the delta does not begin at the stored offset:
/// bytes were lost before it, or the file began anew.
fn is_explained(delta: &UsageDelta, stored: u64, gaps: &[Gap]) -> bool {
    let reason =
        if delta.range.from > stored { GapReason::SequenceHole } else { GapReason::Truncated };
    gaps.iter()
        .any(|gap| gap.reason == reason && gap.source == delta.source && gap.stream == delta.stream)
}

fn moves_offset(delta: &UsageDelta, records: &[GenerationRecord]) -> bool {
    records.iter().any(|record| {
        record.number == delta.generation
            && record.stream == delta.stream
            && record.source == delta.source
    })
}

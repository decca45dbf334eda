//! Where the bytes of the generations went, beside the offsets that they add up to.

use rusqlite::{Connection, Row, params};

use crate::engine::bytes::ByteLedger;
use crate::engine::state::{BytesRecord, Commit};
use crate::engine::usage::GenerationNumber;
use crate::store::column::{count, get_count, get_instant_or_none, instant};
use crate::store::error::Fault;
use crate::store::names::{Directory, Names};

/// Writes the ledgers of a commit, and takes out the generations that it forgets.
pub fn put(tx: &Connection, names: &mut Names, commit: &Commit) -> Result<(), Fault> {
    let mut replace = tx.prepare_cached(
        "REPLACE INTO generation_bytes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for record in &commit.bytes {
        let stream = names.stream(tx, &record.source, &record.stream)?;
        let bytes = &record.bytes;
        replace.execute(params![
            stream,
            count(record.number.0),
            count(bytes.generations),
            count(bytes.known),
            count(bytes.read),
            count(bytes.overlong),
            count(bytes.nul_run),
            count(bytes.copied),
            count(bytes.hole),
            count(bytes.cut),
            count(bytes.tail),
            instant(bytes.first_event),
        ])?;
    }
    for (source, stream, number) in &commit.forgotten {
        let place = [names.stream(tx, source, stream)?, count(number.0)];
        for table in ["generation", "generation_bytes"] {
            let sql = format!("DELETE FROM {table} WHERE stream = ?1 AND number = ?2");
            tx.prepare_cached(&sql)?.execute(place)?;
        }
        let keys = "DELETE FROM open_reject_key WHERE stream = ?1 AND generation = ?2";
        tx.prepare_cached(keys)?.execute(place)?;
    }
    Ok(())
}

/// Reads the ledger of one generation.
pub fn read(row: &Row<'_>, names: &Directory) -> Result<BytesRecord, Fault> {
    let (source, stream) = names.stream(row.get("stream")?)?;
    let bytes = ByteLedger {
        generations: get_count(row, "generations")?,
        known: get_count(row, "known")?,
        read: get_count(row, "read")?,
        overlong: get_count(row, "overlong")?,
        nul_run: get_count(row, "nul_run")?,
        copied: get_count(row, "copied")?,
        hole: get_count(row, "hole")?,
        cut: get_count(row, "cut")?,
        tail: get_count(row, "tail")?,
        first_event: get_instant_or_none(row, "first_event")?,
    };
    Ok(BytesRecord { source, stream, number: GenerationNumber(get_count(row, "number")?), bytes })
}

//! Who presented which key, as it is after a commit: written whole, read back at the next start.
//!
//! The engine goes on from these rows alone; the cells of `usage_cell` are history.

use rusqlite::{Connection, Row, params};

use crate::engine::ledger::Presentations;
use crate::engine::state::{KeyRecord, UsesRecord};
use crate::engine::usage::PoolAddresses;
use crate::store::blob;
use crate::store::column::{count, get_count, get_instant_or_none, instant};
use crate::store::error::Fault;
use crate::store::names::{Directory, Names};

/// Writes what is known of keys and of who presented them, each in the place of the former row.
pub fn put(
    tx: &Connection,
    names: &mut Names,
    keys: &[KeyRecord],
    uses: &[UsesRecord],
) -> Result<(), Fault> {
    let mut put_key = tx.prepare_cached("REPLACE INTO key_use VALUES (?1, ?2)")?;
    for record in keys {
        put_key.execute(params![names.key(tx, &record.key)?, blob::series(&record.series)])?;
    }
    let mut put_uses = tx.prepare_cached(
        "REPLACE INTO presentations VALUES
            (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?;
    for record in uses {
        let key = names.key(tx, &record.key)?;
        let consumer = names.consumer(tx, &record.consumer)?;
        let it = &record.presentations;
        let [accepted, unauthenticated, forbidden, failed] = it.counts.map(count);
        let last = it.last_second.map(instant);
        put_uses.execute(params![
            key,
            consumer,
            accepted,
            unauthenticated,
            forbidden,
            failed,
            instant(it.first_seen),
            instant(it.last_seen),
            instant(it.counts_until),
            last[0],
            last[1],
            last[2],
            last[3],
            instant(it.last_denied),
            blob::bursts(&it.presented),
            blob::bursts(&it.accepted),
            blob::recent(&it.recent),
            blob::recent(&it.late),
            it.in_time.as_ref().map(blob::bursts),
        ])?;
    }
    Ok(())
}

/// Writes the addresses of changed pools, each in the place of the former row.
pub fn put_pools(tx: &Connection, names: &mut Names, pools: &[PoolAddresses]) -> Result<(), Fault> {
    let mut put = tx.prepare_cached("REPLACE INTO pool_address VALUES (?1, ?2)")?;
    for pool in pools {
        let hashes: Vec<u8> = pool.addresses.hashes().flat_map(u64::to_be_bytes).collect();
        put.execute(params![names.key(tx, &pool.key)?, hashes])?;
    }
    Ok(())
}

/// Reads a row of `pool_address`.
pub fn pool(row: &Row<'_>, names: &Directory) -> Result<PoolAddresses, Fault> {
    let hashes: Vec<u8> = row.get("hashes")?;
    let (hashes, _) = hashes.as_chunks::<8>();
    let addresses = hashes.iter().map(|hash| u64::from_be_bytes(*hash)).collect();
    Ok(PoolAddresses { key: names.key(row.get("key")?)?, addresses })
}

/// Reads a row of `key_use`.
pub fn key(row: &Row<'_>, names: &Directory) -> Result<KeyRecord, Fault> {
    let series: Vec<u8> = row.get("series")?;
    Ok(KeyRecord {
        key: names.key(row.get("key")?)?,
        series: blob::get_series(&series, "key_use.series")?,
    })
}

/// Reads a row of `presentations`.
pub fn uses(row: &Row<'_>, names: &Directory) -> Result<UsesRecord, Fault> {
    let bytes = |column: &str| row.get::<_, Vec<u8>>(column);
    let counted = |column| get_count(row, column);
    let seen = |column| get_instant_or_none(row, column);
    let in_time = row.get::<_, Option<Vec<u8>>>("in_time")?;
    let in_time = in_time.map(|bytes| blob::get_bursts(&bytes, "presentations.in_time"));
    let presentations = Presentations {
        counts: [
            counted("accepted")?,
            counted("unauthenticated")?,
            counted("forbidden")?,
            counted("failed")?,
        ],
        first_seen: seen("first_seen")?,
        last_seen: seen("last_seen")?,
        counts_until: seen("counts_until")?,
        last_second: [
            seen("last_accepted")?,
            seen("last_unauthenticated")?,
            seen("last_forbidden")?,
            seen("last_failed")?,
        ],
        last_denied: seen("last_denied")?,
        presented: blob::get_bursts(&bytes("presented")?, "presentations.presented")?,
        accepted: blob::get_bursts(&bytes("served")?, "presentations.served")?,
        recent: blob::get_recent(&bytes("recent")?, "presentations.recent")?,
        late: blob::get_recent(&bytes("late")?, "presentations.late")?,
        in_time: in_time.transpose()?,
    };
    Ok(UsesRecord {
        key: names.key(row.get("key")?)?,
        consumer: names.consumer(row.get("consumer")?)?,
        presentations,
    })
}

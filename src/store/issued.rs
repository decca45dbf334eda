//! Keys of sessions that were issued to a tracked key, for as long as they may live.
//!
//! What is forgotten follows from what is stored, not from when: the matcher forgets the same.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row, params};

use crate::engine::sessions::SESSION_LIFETIME;
use crate::engine::time::Timestamp;
use crate::engine::usage::Issued;
use crate::store::column::{get_duration, get_fingerprint, get_instant, nanos};
use crate::store::error::Fault;
use crate::store::names::{Directory, Names};

/// Adds issued keys; forgets those that cannot live any more since the newest one was issued. The
/// newest of each lifetime stays, for what the key was once seen to issue.
pub fn add(tx: &Connection, names: &mut Names, issued: &[Issued]) -> Result<(), Fault> {
    let mut add = tx.prepare_cached(
        "INSERT INTO issued_key VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET issued_at = max(issued_at, excluded.issued_at)",
    )?;
    let mut roots = BTreeSet::new();
    for issue in issued {
        let root = names.key(tx, &issue.root)?;
        let child = issue.child.as_ref().map_or(&[][..], |child| child.as_bytes());
        add.execute(params![root, child, issue.at.as_nanos(), nanos(issue.lifetime)])?;
        roots.insert(root);
    }
    roots.into_iter().try_for_each(|root| forget(tx, root))
}

fn forget(tx: &Connection, root: i64) -> Result<(), Fault> {
    let newest: i64 = tx
        .prepare_cached("SELECT max(issued_at) FROM issued_key WHERE root = ?1")?
        .query_row([root], |row| row.get(0))?;
    let begin = Timestamp::from_nanos(newest).minus(SESSION_LIFETIME).as_nanos();
    let mut of_each = tx.prepare_cached(
        "SELECT lifetime, max(issued_at) FROM issued_key WHERE root = ?1 AND length(child) > 0
         GROUP BY lifetime",
    )?;
    let of_each = of_each.query_map([root], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let of_each = of_each.collect::<Result<Vec<(i64, i64)>, _>>()?;
    let mut forget = tx.prepare_cached(
        "DELETE FROM issued_key
         WHERE root = ?1 AND length(child) > 0 AND lifetime = ?2 AND issued_at < ?3",
    )?;
    for (lifetime, newest) in of_each {
        forget.execute([root, lifetime, begin.min(newest)])?;
    }
    Ok(())
}

/// Reads an issued key.
pub fn read(row: &Row<'_>, names: &Directory) -> Result<Issued, Fault> {
    let child: Vec<u8> = row.get("child")?;
    let child = (!child.is_empty()).then(|| get_fingerprint(row, "child")).transpose()?;
    Ok(Issued {
        root: names.key(row.get("root")?)?,
        child,
        at: get_instant(row, "issued_at")?,
        lifetime: get_duration(row, "lifetime")?,
    })
}

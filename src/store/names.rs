//! Numbers of names: each source, stream, key, consumer and rotation is stored once.
//!
//! Writing looks a name up and adds it when it is new; reading gets all of them back at once.
//! The numbers never leave the store.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _};

use crate::engine::credential::{ConsumerName, Fingerprint, SourceName, StreamName};
use crate::engine::rotation::RotationId;
use crate::engine::usage::{Consumer, ConsumerKind};
use crate::store::column::get_fingerprint;
use crate::store::error::{Fault, StoreError};

/// Consumers whose numbers are kept in memory at most; beyond it they are looked up again.
const CONSUMERS_IN_MEMORY: usize = 1 << 17;

/// Numbers of the names that were met while writing.
#[derive(Debug, Default)]
pub struct Names {
    sources: HashMap<SourceName, i64>,
    streams: HashMap<(i64, StreamName), i64>,
    keys: HashMap<Fingerprint, i64>,
    consumers: HashMap<Consumer, i64>,
}

impl Names {
    /// Forgets consumers when there are too many to keep.
    pub fn bound(&mut self) {
        if self.consumers.len() > CONSUMERS_IN_MEMORY {
            self.consumers = HashMap::new();
        }
    }

    /// Returns the number of a source, a new one if need be.
    pub fn source(&mut self, tx: &Connection, name: &SourceName) -> rusqlite::Result<i64> {
        if let Some(&id) = self.sources.get(name) {
            return Ok(id);
        }
        let id = find_or_add(
            tx,
            "SELECT id FROM source WHERE name = ?1",
            "INSERT INTO source (name) VALUES (?1) RETURNING id",
            [name.as_str()],
        )?;
        self.sources.insert(name.clone(), id);
        Ok(id)
    }

    /// Returns the number of a stream, a new one if need be.
    pub fn stream(
        &mut self,
        tx: &Connection,
        source: &SourceName,
        name: &StreamName,
    ) -> rusqlite::Result<i64> {
        let source = self.source(tx, source)?;
        let entry = (source, name.clone());
        if let Some(&id) = self.streams.get(&entry) {
            return Ok(id);
        }
        let id = find_or_add(
            tx,
            "SELECT id FROM stream WHERE source = ?1 AND name = ?2",
            "INSERT INTO stream (source, name) VALUES (?1, ?2) RETURNING id",
            (source, name.as_str()),
        )?;
        self.streams.insert(entry, id);
        Ok(id)
    }

    /// Returns the number of a key, a new one if need be.
    pub fn key(&mut self, tx: &Connection, key: &Fingerprint) -> rusqlite::Result<i64> {
        if let Some(&id) = self.keys.get(key) {
            return Ok(id);
        }
        let id = find_or_add(
            tx,
            "SELECT id FROM key WHERE fingerprint = ?1",
            "INSERT INTO key (fingerprint) VALUES (?1) RETURNING id",
            [key.as_bytes()],
        )?;
        self.keys.insert(*key, id);
        Ok(id)
    }

    /// Returns the number of a consumer, a new one if need be.
    pub fn consumer(&mut self, tx: &Connection, consumer: &Consumer) -> rusqlite::Result<i64> {
        if let Some(&id) = self.consumers.get(consumer) {
            return Ok(id);
        }
        let id = find_or_add(
            tx,
            "SELECT id FROM consumer WHERE kind = ?1 AND name = ?2",
            "INSERT INTO consumer (kind, name) VALUES (?1, ?2) RETURNING id",
            (number_of(consumer.kind()), consumer.as_str()),
        )?;
        self.consumers.insert(consumer.clone(), id);
        Ok(id)
    }
}

fn number_of(kind: ConsumerKind) -> i64 {
    match kind {
        ConsumerKind::Pool => 0,
        ConsumerKind::Named => 1,
        ConsumerKind::Address => 2,
        ConsumerKind::Others => 3,
    }
}

fn find_or_add<P: rusqlite::Params + Clone>(
    tx: &Connection,
    find: &str,
    add: &str,
    params: P,
) -> rusqlite::Result<i64> {
    let found = tx.prepare_cached(find)?.query_row(params.clone(), |row| row.get(0)).optional()?;
    match found {
        Some(id) => Ok(id),
        None => tx.prepare_cached(add)?.query_row(params, |row| row.get(0)),
    }
}

/// Returns the number of a rotation; only its declaration gives it one.
pub fn rotation(tx: &Connection, id: &RotationId) -> Result<i64, Fault> {
    let mut find = tx.prepare_cached("SELECT id FROM rotation WHERE name = ?1")?;
    let found = find.query_row([id.as_str()], |row| row.get(0)).optional()?;
    Ok(found.ok_or_else(|| StoreError::UnknownRotation(id.clone()))?)
}

/// All names by their numbers.
#[derive(Debug)]
pub struct Directory {
    sources: HashMap<i64, SourceName>,
    streams: HashMap<i64, (SourceName, StreamName)>,
    keys: HashMap<i64, Fingerprint>,
    consumers: HashMap<i64, Consumer>,
    rotations: HashMap<i64, RotationId>,
}

impl Directory {
    /// Reads all names.
    pub fn read(connection: &Connection) -> Result<Self, Fault> {
        let sources = entries(connection, "SELECT id, name FROM source", |row| {
            Ok(SourceName::new(row.get::<_, String>("name")?))
        })?;
        let streams = entries(connection, "SELECT id, source, name FROM stream", |row| {
            let source = known(&sources, row.get("source")?, "source")?;
            Ok((source, StreamName::new(row.get::<_, String>("name")?)))
        })?;
        let keys = entries(connection, "SELECT id, fingerprint FROM key", |row| {
            get_fingerprint(row, "fingerprint")
        })?;
        let consumers = entries(connection, "SELECT id, kind, name FROM consumer", |row| {
            let name: String = row.get("name")?;
            let known = ConsumerName::from_bytes(name.as_bytes());
            let consumer = match row.get("kind")? {
                0_i64 => Consumer::Anonymous,
                1 => Consumer::Named(known),
                2 => Consumer::Address(known),
                3 => Consumer::Others,
                _ => return Err(Fault::nonsense("consumer.kind", "no known kind")),
            };
            if consumer.is_pool() && consumer.as_str() != name {
                return Err(Fault::nonsense("consumer", "a pool of no known name"));
            }
            Ok(consumer)
        })?;
        let rotations = entries(connection, "SELECT id, name FROM rotation", |row| {
            Ok(RotationId::new(row.get::<_, String>("name")?))
        })?;
        Ok(Self { sources, streams, keys, consumers, rotations })
    }

    /// Returns the source with this number.
    pub fn source(&self, id: i64) -> Result<SourceName, Fault> {
        known(&self.sources, id, "source")
    }

    /// Returns the stream with this number, and its source.
    pub fn stream(&self, id: i64) -> Result<(SourceName, StreamName), Fault> {
        known(&self.streams, id, "stream")
    }

    /// Returns the key with this number.
    pub fn key(&self, id: i64) -> Result<Fingerprint, Fault> {
        known(&self.keys, id, "key")
    }

    /// Returns the consumer with this number.
    pub fn consumer(&self, id: i64) -> Result<Consumer, Fault> {
        known(&self.consumers, id, "consumer")
    }

    /// Returns the rotation with this number.
    pub fn rotation(&self, id: i64) -> Result<RotationId, Fault> {
        known(&self.rotations, id, "rotation")
    }
}

fn known<T: Clone>(names: &HashMap<i64, T>, id: i64, what: &str) -> Result<T, Fault> {
    names.get(&id).cloned().ok_or_else(|| Fault::nonsense(what, "a number without a name"))
}

fn entries<T>(
    connection: &Connection,
    sql: &str,
    mut value: impl FnMut(&rusqlite::Row<'_>) -> Result<T, Fault>,
) -> Result<HashMap<i64, T>, Fault> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        found.insert(row.get("id")?, value(row)?);
    }
    Ok(found)
}

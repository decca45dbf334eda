//! Who presents keys in the lines of one chunk: names, addresses kept apart, and the pool.
//!
//! Texts are interned, so a line allocates only when it shows somebody new. An address of the pool
//! is forgotten with the chunk: what stays of it is a hash that counts it.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use super::intern::{Interner, Symbol};
use super::known::{KnownKeys, Slot};
use crate::engine::credential::{ConsumerName, Fingerprint};
use crate::engine::distinct::Distinct;
use crate::engine::parse::consumer_map::ConsumerMap;
use crate::engine::usage::{Consumer, PoolAddresses};

/// Who presented a key in a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// One that is named: by the log, or by the map.
    Named(Symbol),
    /// One that is known by an address or user agent.
    Address(Symbol),
    /// One of the pool.
    Pooled,
}

/// Everybody that presented a tracked key in a chunk.
#[derive(Default)]
pub struct Presenters {
    /// Names: mapped ones and, as raw bytes, those of the log; addresses, too.
    texts: Interner,
    /// Raw bytes that were looked up in the map.
    looked_up: Interner,
    /// The name of each of them.
    mapped: Vec<Option<Symbol>>,
    /// Addresses that are in the pool of a key.
    pooled: HashSet<(Slot, Symbol)>,
}

impl Presenters {
    /// Returns who stands in a line, looked up once however often it comes; `named`: whether the
    /// log names somebody, which an address does not.
    pub fn who(&mut self, consumer: Option<(&[u8], bool)>, map: &ConsumerMap) -> Who {
        let Some((raw, named)) = consumer else { return Who::Pooled };
        if !map.is_empty() {
            let symbol = self.looked_up.intern(raw);
            if symbol.index() == self.mapped.len() {
                let name = map.name_of(raw);
                self.mapped.push(name.map(|name| self.texts.intern(name.as_bytes())));
            }
            if let Some(name) = self.mapped[symbol.index()] {
                return Who::Named(name);
            }
        }
        let symbol = self.texts.intern(raw);
        if named { Who::Named(symbol) } else { Who::Address(symbol) }
    }

    /// Returns who counts for one of the keys of the line: an address may be in its pool.
    pub fn for_key(&mut self, who: Who, slot: Slot, known: &KnownKeys) -> Who {
        match who {
            Who::Address(address) if !known.keeps_each(slot) => {
                self.pooled.insert((slot, address));
                Who::Pooled
            }
            who => who,
        }
    }

    /// Returns the consumer, under a name that holds no secret.
    pub fn consumer(&self, who: Who, known: &KnownKeys) -> Consumer {
        let name =
            |symbol| ConsumerName::from_bytes(&known.without_secrets(self.texts.get(symbol)));
        match who {
            Who::Named(symbol) => Consumer::Named(name(symbol)),
            Who::Address(symbol) => Consumer::Address(name(symbol)),
            Who::Pooled => Consumer::Anonymous,
        }
    }

    /// Counts the addresses in the pool of each key; each is hashed once.
    pub fn pools(&self, known: &KnownKeys) -> Vec<PoolAddresses> {
        let mut hashes: HashMap<Symbol, u64> = HashMap::new();
        let mut pools: BTreeMap<Fingerprint, Distinct> = BTreeMap::new();
        for &(slot, address) in &self.pooled {
            let hash = hashes.entry(address);
            let hash = hash.or_insert_with(|| known.address_hash(self.texts.get(address)));
            pools.entry(known.fingerprint(slot)).or_default().insert(*hash);
        }
        pools.into_iter().map(|(key, addresses)| PoolAddresses { key, addresses }).collect()
    }
}

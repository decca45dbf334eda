//! Which tracked key a value of a log is, if any.
//!
//! A value is tracked when it equals a raw key or when its fingerprint is tracked. A value is
//! hashed once, however often it comes: the answer is remembered in a cache of bounded size, so a
//! spray of random keys costs time but no memory. Where every tracked key has a raw form nothing
//! is hashed at all.

use std::sync::Arc;

use hashbrown::HashMap;
use memchr::memmem;

use super::intern::Interner;
use crate::engine::credential::{Fingerprint, FingerprintSecret, RawKey};
use crate::engine::declaration::KeyRef;

/// Values remembered before the cache begins anew.
const CACHED_VALUES: usize = 64 << 10;

/// Bytes remembered before the cache begins anew.
const CACHED_BYTES: usize = 8 << 20;

/// A value longer than this is hashed each time.
const LONGEST_CACHED: usize = 1 << 10;

/// A key to look for.
#[derive(Clone, Debug)]
pub struct TrackedKey {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The key itself where it is known (`secret_file`, `id`): it can then be found in lines that
    /// are not understood, too.
    pub raw: Option<RawKey>,
}

impl TrackedKey {
    /// Makes the key to look for of a key that is known by name.
    pub fn of(key: &KeyRef) -> Self {
        let raw = key.id.as_ref().map(|id| RawKey::new(id.as_bytes().to_vec()));
        Self { fingerprint: key.fingerprint, raw }
    }
}

/// The number of a tracked key, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(usize);

/// The tracked keys of one source.
pub struct KnownKeys {
    keys: Vec<TrackedKey>,
    slots: HashMap<Fingerprint, Slot>,
    secret: Arc<FingerprintSecret>,
    /// Whether a key is known by its fingerprint alone.
    must_hash: bool,
    cache: Interner,
    /// Answer for each cached value.
    answers: Vec<Option<Slot>>,
}

impl KnownKeys {
    /// Makes a set of keys; of two with one fingerprint the raw form is kept.
    pub fn new(keys: Vec<TrackedKey>, secret: Arc<FingerprintSecret>) -> Self {
        let mut known = Self {
            keys: Vec::new(),
            slots: HashMap::new(),
            secret,
            must_hash: false,
            cache: Interner::default(),
            answers: Vec::new(),
        };
        for key in keys {
            known.add(key);
        }
        known
    }

    /// Adds a key.
    pub fn add(&mut self, key: TrackedKey) {
        if let Some(&Slot(slot)) = self.slots.get(&key.fingerprint) {
            let kept = &mut self.keys[slot];
            kept.raw = key.raw.or(kept.raw.take());
        } else {
            self.slots.insert(key.fingerprint, Slot(self.keys.len()));
            self.keys.push(key);
        }
        self.must_hash = self.keys.iter().any(|key| key.raw.is_none());
        self.forget();
    }

    /// Returns the fingerprint of a slot.
    pub fn fingerprint(&self, Slot(slot): Slot) -> Fingerprint {
        self.keys[slot].fingerprint
    }

    /// Returns the length of the longest raw key; 0 when none is known.
    pub fn longest_raw(&self) -> usize {
        self.raws().map(|(raw, _)| raw.len()).max().unwrap_or(0)
    }

    /// Returns the tracked keys whose raw form stands anywhere in `bytes`, sorted.
    pub fn search(&self, bytes: &[u8]) -> Vec<Fingerprint> {
        let mut found: Vec<Fingerprint> = self
            .raws()
            .filter(|(raw, _)| !raw.is_empty() && memmem::find(bytes, raw).is_some())
            .map(|(_, fingerprint)| fingerprint)
            .collect();
        found.sort_unstable();
        found
    }

    /// Returns which tracked key `value` is.
    pub fn slot_of(&mut self, value: &[u8]) -> Option<Slot> {
        if self.keys.is_empty() {
            return None;
        }
        if let Some(symbol) = self.cache.find(value) {
            return self.answers[symbol.index()];
        }
        if !self.must_hash {
            return None;
        }
        let slot = self.slots.get(&self.secret.fingerprint(value)).copied();
        if value.len() <= LONGEST_CACHED {
            if self.cache.len() >= CACHED_VALUES || self.cache.bytes() >= CACHED_BYTES {
                self.forget();
            }
            self.cache.intern(value);
            self.answers.push(slot);
        }
        slot
    }

    fn raws(&self) -> impl Iterator<Item = (&[u8], Fingerprint)> {
        self.keys.iter().filter_map(|key| Some((key.raw.as_ref()?.expose(), key.fingerprint)))
    }

    /// Empties the cache but for the raw keys, which are their own answers.
    fn forget(&mut self) {
        self.cache.clear();
        self.answers.clear();
        for (slot, key) in self.keys.iter().enumerate() {
            if let Some(raw) = &key.raw
                && self.cache.find(raw.expose()).is_none()
            {
                self.cache.intern(raw.expose());
                self.answers.push(Some(Slot(slot)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Arc<FingerprintSecret> {
        Arc::new(FingerprintSecret::new(b"pepper".to_vec()))
    }

    fn by_fingerprint(raw: &[u8]) -> TrackedKey {
        TrackedKey { fingerprint: secret().fingerprint(raw), raw: None }
    }

    fn by_raw(raw: &[u8]) -> TrackedKey {
        TrackedKey { raw: Some(RawKey::new(raw.to_vec())), ..by_fingerprint(raw) }
    }

    #[test]
    fn a_key_with_a_public_id_is_found_in_lines_that_are_not_understood_and_a_secret_is_not() {
        let fingerprint = secret().fingerprint(b"old-key");
        let declared = |id| KeyRef { name: "a".into(), fingerprint, id };
        let search = |key: &KeyRef| {
            KnownKeys::new(vec![TrackedKey::of(key)], secret()).search(b"garbage old-key")
        };
        assert_eq!(search(&declared(Some("old-key".into()))), [fingerprint]);
        assert_eq!(search(&declared(None)), []);
    }

    #[test]
    fn a_key_is_known_by_its_raw_form_or_by_its_fingerprint() {
        let mut known = KnownKeys::new(vec![by_raw(b"old"), by_fingerprint(b"new")], secret());
        for _ in 0..2 {
            assert_eq!(known.slot_of(b"old"), Some(Slot(0)));
            assert_eq!(known.slot_of(b"new"), Some(Slot(1)));
            assert_eq!(known.slot_of(b"other"), None);
        }
        known.add(by_fingerprint(b"other"));
        assert_eq!(known.slot_of(b"other"), Some(Slot(2)), "a cached answer outlives its key set");
    }

    #[test]
    fn a_spray_of_values_is_forgotten_and_tracked_keys_are_not() {
        let mut known = KnownKeys::new(vec![by_raw(b"old"), by_fingerprint(b"new")], secret());
        for number in 0..CACHED_VALUES + 10 {
            assert_eq!(known.slot_of(format!("spray {number}").as_bytes()), None);
        }
        assert!(known.cache.len() <= CACHED_VALUES);
        assert_eq!(known.slot_of(b"old"), Some(Slot(0)));
        assert_eq!(known.slot_of(b"new"), Some(Slot(1)));
    }

    #[test]
    fn only_raw_forms_can_be_searched_for() {
        let known = KnownKeys::new(vec![by_raw(b"old-key"), by_fingerprint(b"new-key")], secret());
        let found = known.search(b"\0garbage old-key new-key");
        assert_eq!(found, [secret().fingerprint(b"old-key")]);
        assert_eq!(known.longest_raw(), 7);
    }
}

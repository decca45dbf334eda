//! Which tracked key a value of a log is, if any.
//!
//! A value is tracked when it equals a raw key, when its fingerprint is tracked, or when it was
//! issued to a tracked key: a session's key is the key it came from. A value is hashed once,
//! however often it comes: its fingerprint is remembered in a cache of bounded size, so a spray of
//! random keys costs time but no memory. Where every tracked key has a raw form, and none has
//! issued another, nothing is hashed at all.

mod names;

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use memchr::memmem;

use super::intern::Interner;
use crate::engine::credential::{Fingerprint, FingerprintSecret, RawKey};
use crate::engine::declaration::KeyRef;
use crate::engine::policy::AnonymousConsumers;
use crate::engine::sessions::{Children, Kept};
use crate::engine::time::Timestamp;
use crate::engine::usage::Issued;

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
    /// How those who present it without a name are kept.
    pub anonymous: AnonymousConsumers,
}

impl TrackedKey {
    /// Makes the key to look for of a key that is known by name.
    pub fn of(key: &KeyRef, anonymous: AnonymousConsumers) -> Self {
        let raw = key.id.as_ref().map(|id| RawKey::public(id.as_bytes().to_vec()));
        Self { fingerprint: key.fingerprint, raw, anonymous }
    }

    /// Adds what else is known of the same key. Where one credential wants its anonymous consumers
    /// one by one they are kept so for all.
    fn unite(&mut self, other: Self) {
        self.raw = other.raw.or(self.raw.take());
        if other.anonymous == AnonymousConsumers::Each {
            self.anonymous = AnonymousConsumers::Each;
        }
    }
}

/// The number of a tracked key, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(usize);

/// The tracked keys of one source.
pub struct KnownKeys {
    keys: Vec<TrackedKey>,
    /// What was issued to each of them.
    children: Vec<Children>,
    /// Fingerprints of keys and of their children.
    slots: HashMap<Fingerprint, Slot>,
    secret: Arc<FingerprintSecret>,
    /// Whether a key is known by its fingerprint alone.
    must_hash: bool,
    cache: Interner,
    /// What each cached value is.
    answers: Vec<Answer>,
}

/// What a cached value is.
#[derive(Clone, Copy)]
enum Answer {
    /// A tracked key.
    Key(Slot),
    /// A value with this fingerprint: it may yet become, or cease to be, the child of a key.
    Other(Fingerprint),
}

impl KnownKeys {
    /// Makes a set of keys; of two with one fingerprint the raw form is kept.
    pub fn new(keys: Vec<TrackedKey>, secret: Arc<FingerprintSecret>) -> Self {
        let mut known = Self {
            keys: Vec::new(),
            children: Vec::new(),
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
        match self.slots.get(&key.fingerprint) {
            Some(&Slot(slot)) if self.keys[slot].fingerprint == key.fingerprint => {
                self.keys[slot].unite(key);
            }
            issued_by => {
                // A child that is declared is a key of its own.
                if let Some(&Slot(slot)) = issued_by {
                    self.children[slot].remove(&key.fingerprint);
                }
                self.slots.insert(key.fingerprint, Slot(self.keys.len()));
                self.keys.push(key);
                self.children.push(Children::default());
            }
        }
        self.must_hash = self.keys.iter().any(|key| key.raw.is_none())
            || self.children.iter().any(|children| !children.is_empty());
        self.forget();
    }

    /// Takes the news that `child` was issued to the key of `slot`; returns what is new of it. A
    /// declared key stays itself, and of two parents the first one counts.
    pub fn issue(
        &mut self,
        slot: Slot,
        child: &[u8],
        at: Timestamp,
        lifetime: Duration,
    ) -> Option<Issued> {
        let child = self.secret.fingerprint(child);
        let root = self.fingerprint(slot);
        match self.link(slot, child, at) {
            // One that has ended still tells what the key issues, in whatever order it is read.
            Kept::New | Kept::Past => Some(Issued { root, child: Some(child), at, lifetime }),
            Kept::Not => Some(Issued { root, child: None, at, lifetime }),
            Kept::Known => None,
        }
    }

    /// Takes back what was issued to a key, or what another source says of it.
    pub fn take_issued(&mut self, issued: &Issued) {
        if let (Some(child), Some(&slot)) = (issued.child, self.slots.get(&issued.root)) {
            self.link(slot, child, issued.at);
        }
    }

    fn link(&mut self, slot: Slot, child: Fingerprint, at: Timestamp) -> Kept {
        let Self { slots, children, keys, must_hash, .. } = self;
        if slots.get(&child).is_some_and(|of| *of != slot || keys[of.0].fingerprint == child) {
            return Kept::Known;
        }
        let kept = children[slot.0].take(child, at, |past| {
            slots.remove(&past);
        });
        if kept == Kept::New {
            slots.insert(child, slot);
            *must_hash = true;
        }
        kept
    }

    /// Tells whether those who present the key without a name are kept one by one.
    pub fn keeps_each(&self, Slot(slot): Slot) -> bool {
        self.keys[slot].anonymous == AnonymousConsumers::Each
    }

    /// Returns a hash of an address.
    pub fn address_hash(&self, address: &[u8]) -> u64 {
        self.secret.address_hash(address)
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

    /// Tells whether a value that was found to be a tracked key is a session's that it issued.
    pub fn is_session(&self, value: &[u8]) -> bool {
        let answer = self.cache.find(value).map(|symbol| self.answers[symbol.index()]);
        let fingerprint = match answer {
            Some(Answer::Key(_)) => return false,
            Some(Answer::Other(fingerprint)) => fingerprint,
            None => self.secret.fingerprint(value),
        };
        let of = self.slots.get(&fingerprint);
        of.is_some_and(|slot| self.keys[slot.0].fingerprint != fingerprint)
    }

    /// Returns which tracked key `value` is.
    pub fn slot_of(&mut self, value: &[u8]) -> Option<Slot> {
        if self.keys.is_empty() {
            return None;
        }
        if let Some(symbol) = self.cache.find(value) {
            return match self.answers[symbol.index()] {
                Answer::Key(slot) => Some(slot),
                Answer::Other(fingerprint) => self.slots.get(&fingerprint).copied(),
            };
        }
        if !self.must_hash {
            return None;
        }
        let fingerprint = self.secret.fingerprint(value);
        if value.len() <= LONGEST_CACHED {
            if self.cache.len() >= CACHED_VALUES || self.cache.bytes() >= CACHED_BYTES {
                self.forget();
            }
            self.cache.intern(value);
            self.answers.push(Answer::Other(fingerprint));
        }
        self.slots.get(&fingerprint).copied()
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
                self.answers.push(Answer::Key(Slot(slot)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn secret() -> Arc<FingerprintSecret> {
        Arc::new(FingerprintSecret::new(b"pepper".to_vec()))
    }

    pub(super) fn by_fingerprint(raw: &[u8]) -> TrackedKey {
        TrackedKey {
            fingerprint: secret().fingerprint(raw),
            raw: None,
            anonymous: AnonymousConsumers::Pooled,
        }
    }

    pub(super) fn by_raw(raw: &[u8]) -> TrackedKey {
        TrackedKey { raw: Some(RawKey::new(raw.to_vec())), ..by_fingerprint(raw) }
    }

    #[test]
    fn a_key_with_a_public_id_is_found_in_lines_that_are_not_understood_and_a_secret_is_not() {
        let fingerprint = secret().fingerprint(b"old-key");
        let declared = |id| KeyRef { name: "a".into(), fingerprint, id };
        let search = |key: &KeyRef| {
            KnownKeys::new(vec![TrackedKey::of(key, AnonymousConsumers::Pooled)], secret())
                .search(b"garbage old-key")
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

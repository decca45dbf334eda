//! The counting of `scan`: every key, by consumer and window.
//!
//! Texts are interned, so a line allocates only when it shows a new key, consumer or window.
//! Tallies of parts of a log merge to the tally of the whole: in any order, but for events with an
//! id of their own, of which the first one merged counts and any other is a duplicate.

use std::time::Duration;

use hashbrown::HashSet;

pub use super::batch::Batch;
use super::batch::Held;
use super::cells::Cells;
pub use super::cells::WindowCells;
use super::event_id::EventId;
pub use super::intern::Symbol;
use super::intern::{Interner, TextHash};
use super::lineage::Lineage;
use super::pairs::Pairs;
use crate::engine::parse::{AccessEvent, RejectReason};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Length of a counting window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowLength {
    /// 60 s.
    #[default]
    Minute,
    /// 60 min.
    Hour,
    /// 24 h of UTC.
    Day,
}

impl WindowLength {
    const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// Returns the length.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.seconds().unsigned_abs())
    }

    /// Returns the start of the window that holds `at`, aligned to UTC.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        let length = self.seconds();
        Timestamp::from_seconds(at.as_seconds().div_euclid(length) * length)
    }
}

/// What is counted and how finely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TallyOptions {
    /// Length of the windows.
    pub window: WindowLength,
    /// Whether cells are kept per consumer or for all together.
    pub pool_consumers: bool,
    /// First event time that counts.
    pub since: Option<Timestamp>,
    /// First event time after those that count.
    pub until: Option<Timestamp>,
}

/// Presentations by outcome, as `scan` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Neither denied nor failed.
    pub accepted: u64,
    /// 401 and 403.
    pub denied: u64,
    /// 5xx.
    pub failed: u64,
}

impl Counts {
    fn one(outcome: Outcome) -> Self {
        let mut counts = Self::default();
        match outcome {
            Outcome::Accepted => counts.accepted = 1,
            Outcome::Unauthenticated | Outcome::Forbidden => counts.denied = 1,
            Outcome::Failed => counts.failed = 1,
        }
        counts
    }

    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.denied += other.denied;
        self.failed += other.failed;
    }

    /// Returns the sum over the outcomes.
    pub fn total(self) -> u64 {
        self.accepted + self.denied + self.failed
    }
}

/// Totals of a scan. Law: lines = events + keyless + duplicates + rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines read; with `since` or `until`, well-formed lines outside are not among them.
    pub lines: u64,
    /// Well-formed lines with a key.
    pub events: u64,
    /// Well-formed lines without one.
    pub keyless: u64,
    /// Well-formed lines whose event id was read before.
    pub duplicates: u64,
    /// Lines not understood, indexed as [`RejectReason::ALL`]. They have no time, so `since` and
    /// `until` leave none out.
    pub rejects: [u64; RejectReason::ALL.len()],
    /// Earliest and latest event time of an event.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTotals {
    /// Earliest event time.
    pub first_seen: Timestamp,
    /// Latest event time.
    pub last_seen: Timestamp,
    /// Presentations by outcome.
    pub counts: Counts,
}

/// One cell of usage. Texts are raw: a key is secret until it is fingerprinted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell<'a> {
    /// Start of the window.
    pub window: Timestamp,
    /// The key.
    pub key: &'a [u8],
    /// Who presented it; `None` when the line does not say, and where consumers are pooled.
    pub consumer: Option<&'a [u8]>,
}

/// The counts of a scan, or of a part of one.
#[derive(Default)]
pub struct ScanTally {
    options: TallyOptions,
    totals: Totals,
    pub(super) keys: Interner,
    /// Totals of each key; `None` while all that is known of it waits.
    key_totals: Vec<Option<KeyTotals>>,
    pub(super) consumers: Interner,
    /// Who presented which key; empty where the cells say it.
    pub(super) pairs: Pairs,
    cells: Cells,
    /// Ids of the events that were counted.
    ids: HashSet<EventId>,
    /// Events with an id, in their order: they count when this tally is merged into another.
    waiting: Vec<(EventId, Sighting)>,
    lineage: Lineage,
    /// Memory of a [`Batch`].
    pub(super) held: Held,
}

/// A well-formed line, its texts interned.
#[derive(Clone, Copy)]
pub(super) struct Sighting {
    pub at: Timestamp,
    pub outcome: Outcome,
    pub key: Option<Symbol>,
    pub consumer: Option<Symbol>,
}

impl ScanTally {
    /// Makes an empty tally.
    pub fn new(options: TallyOptions) -> Self {
        Self { options, cells: Cells::new(options.window), ..Self::default() }
    }

    /// Counts a well-formed line. The first key of its places is the one that counts.
    ///
    /// One with an event id counts when this tally is [merged](Self::merge) into another.
    pub fn event(&mut self, event: &AccessEvent<'_>) {
        if !self.admits(event) {
            return;
        }
        let key = event.keys.first().map(|key| self.intern_key(key));
        let consumer = event.consumer.filter(|_| key.is_some());
        let consumer = consumer.map(|(name, _)| self.consumers.intern(name));
        let sighting = Sighting { at: event.event_at, outcome: event.outcome, key, consumer };
        match event.event_id {
            Some(id) => self.waiting.push((EventId::of(id), sighting)),
            None => self.count(sighting),
        }
    }

    /// Counts many lines at less cost: see [`Batch`].
    pub fn batch(&mut self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Tells whether an event lies in the time that was asked for, and notes which key it issued.
    #[inline]
    pub(super) fn admits(&mut self, event: &AccessEvent<'_>) -> bool {
        if let (Some(parent), Some(child)) = (event.keys.first(), event.issued) {
            // Outside the time asked for, too: a session outlives the request that began it.
            self.lineage.link(child, parent);
        }
        let at = event.event_at;
        let outside = self.options.since.is_some_and(|since| at < since)
            || self.options.until.is_some_and(|until| at >= until);
        !outside
    }

    /// Tells whether cells are kept for all consumers together.
    pub(super) fn pools_consumers(&self) -> bool {
        self.options.pool_consumers
    }

    /// Returns the symbol of a key; a new one has no presentation yet.
    fn intern_key(&mut self, key: &[u8]) -> Symbol {
        let hash = self.keys.hash(key);
        self.intern_key_hashed(hash, key)
    }

    /// Returns the same where the hash is known.
    #[inline]
    pub(super) fn intern_key_hashed(&mut self, hash: TextHash, key: &[u8]) -> Symbol {
        let symbol = self.keys.intern_hashed(hash, key);
        if symbol.index() == self.key_totals.len() {
            self.key_totals.push(None);
        }
        symbol
    }

    fn add_totals(&mut self, key: Symbol, more: KeyTotals) {
        match &mut self.key_totals[key.index()] {
            Some(totals) => totals.add(more),
            unknown => *unknown = Some(more),
        }
    }

    pub(super) fn count(&mut self, Sighting { at, outcome, key, consumer }: Sighting) {
        self.totals.lines += 1;
        let Some(key) = key else {
            self.totals.keyless += 1;
            return;
        };
        self.totals.events += 1;
        self.totals.span = Some(widened(self.totals.span, at, at));
        let counts = Counts::one(outcome);
        self.add_totals(key, KeyTotals { first_seen: at, last_seen: at, counts });
        let consumer = if self.options.pool_consumers {
            if let Some(consumer) = consumer {
                self.pairs.insert(key, consumer);
            }
            None
        } else {
            consumer
        };
        self.cells.add(at, key, consumer, counts);
    }

    /// Counts a line that was not understood.
    pub fn reject(&mut self, reason: RejectReason) {
        self.totals.lines += 1;
        self.totals.rejects[reason as usize] += 1;
    }

    /// Adds the tally of another part, made with the same options.
    pub fn merge(&mut self, other: &Self) {
        self.totals.add(&other.totals);
        let keys: Vec<Symbol> = other.keys.iter().map(|key| self.intern_key(key)).collect();
        let consumers: Vec<Symbol> =
            other.consumers.iter().map(|name| self.consumers.intern(name)).collect();
        for (&key, totals) in keys.iter().zip(&other.key_totals) {
            if let Some(totals) = *totals {
                self.add_totals(key, totals);
            }
        }
        for (key, consumer) in other.pairs.iter() {
            self.pairs.insert(keys[key.index()], consumers[consumer.index()]);
        }
        for ((window, key, consumer), counts) in other.cells.iter() {
            let consumer = consumer.map(|consumer| consumers[consumer.index()]);
            self.cells.add(window, keys[key.index()], consumer, counts);
        }
        self.lineage.merge(&other.lineage);
        self.ids.extend(&other.ids);
        for &(id, sighting) in &other.waiting {
            if self.ids.insert(id) {
                self.count(Sighting {
                    key: sighting.key.map(|key| keys[key.index()]),
                    consumer: sighting.consumer.map(|consumer| consumers[consumer.index()]),
                    ..sighting
                });
            } else {
                self.totals.lines += 1;
                self.totals.duplicates += 1;
            }
        }
    }

    /// Returns the totals.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Iterates over the raw keys with their totals, in order of first sight.
    pub fn keys(&self) -> impl Iterator<Item = (&[u8], KeyTotals)> {
        self.keys.iter().zip(&self.key_totals).filter_map(|(key, totals)| Some((key, (*totals)?)))
    }

    /// Iterates over the raw texts of consumers, in order of first sight.
    pub fn consumers(&self) -> impl Iterator<Item = &[u8]> {
        self.consumers.iter()
    }

    /// Iterates over the raw keys with their symbols, in order of first sight, among them those of
    /// which no event counts.
    pub fn key_symbols(&self) -> impl Iterator<Item = (Symbol, &[u8])> {
        self.keys.symbols().zip(self.keys.iter())
    }

    /// Returns the symbol of a raw key.
    pub fn key_symbol(&self, key: &[u8]) -> Option<Symbol> {
        self.keys.find(key)
    }

    /// Returns the totals of a key; `None` if no event of it counts.
    pub fn key_totals(&self, key: Symbol) -> Option<KeyTotals> {
        self.key_totals[key.index()]
    }

    /// Iterates over the pairs of key and consumer, in no order; a pair may come more than once.
    pub fn pair_symbols(&self) -> impl Iterator<Item = (Symbol, Symbol)> {
        let of_cells =
            self.cells.iter().filter_map(|((_, key, consumer), _)| Some((key, consumer?)));
        self.pairs.iter().chain(of_cells)
    }

    /// Iterates over the windows in which something was counted, the earliest first.
    pub fn windows(&self) -> impl Iterator<Item = WindowCells<'_>> {
        self.cells.windows()
    }

    /// Returns which keys were issued to which.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Iterates over the pairs of raw key and consumer, in no order; a pair may come more than once.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pair_symbols()
            .map(|(key, consumer)| (self.keys.get(key), self.consumers.get(consumer)))
    }

    /// Iterates over the cells that are not empty, in no order.
    pub fn cells(&self) -> impl Iterator<Item = (Cell<'_>, Counts)> {
        self.cells.iter().map(|((window, key, consumer), counts)| {
            let consumer = consumer.map(|consumer| self.consumers.get(consumer));
            (Cell { window, key: self.keys.get(key), consumer }, counts)
        })
    }
}

impl Totals {
    fn add(&mut self, more: &Self) {
        self.lines += more.lines;
        self.events += more.events;
        self.keyless += more.keyless;
        self.duplicates += more.duplicates;
        for (rejects, more) in self.rejects.iter_mut().zip(more.rejects) {
            *rejects += more;
        }
        if let Some((first, last)) = more.span {
            self.span = Some(widened(self.span, first, last));
        }
    }
}

impl KeyTotals {
    /// Adds what is known of the same key elsewhere.
    pub fn add(&mut self, more: Self) {
        self.first_seen = self.first_seen.min(more.first_seen);
        self.last_seen = self.last_seen.max(more.last_seen);
        self.counts.add(more.counts);
    }
}

fn widened(
    span: Option<(Timestamp, Timestamp)>,
    first: Timestamp,
    last: Timestamp,
) -> (Timestamp, Timestamp) {
    span.map_or((first, last), |(from, to)| (from.min(first), to.max(last)))
}

//! Counting many lines at once: what one needs from memory is fetched while others are read.
//!
//! ```text
//! event -> texts and their hashes held -> symbols of all -> counts of all
//!              fetch slots of texts       fetch pairs
//! ```
//!
//! The counts are those of the same events one by one, in their order.

use std::ops::Range;

use zeroize::Zeroizing;

use super::intern::TextHash;
use super::tally::{ScanTally, Sighting};
use crate::engine::parse::{AccessEvent, RejectReason};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Lines that are held at most: what is fetched for them stays in the nearest cache.
const LINES: usize = 32;

/// Bytes of texts that are held at most.
const TEXT_BYTES: usize = 8 << 10;

/// Events on their way into a tally, all of which are in it when this is dropped.
pub struct Batch<'t> {
    tally: &'t mut ScanTally,
}

/// Events that wait, with their texts. It is used again for the next batch.
#[derive(Default)]
pub struct Held {
    lines: Vec<Line>,
    texts: Zeroizing<Vec<u8>>,
    sightings: Vec<Sighting>,
}

/// A well-formed line with a key.
struct Line {
    at: Timestamp,
    outcome: Outcome,
    key: Text,
    consumer: Option<Text>,
}

struct Text {
    hash: TextHash,
    place: Range<usize>,
}

impl<'t> Batch<'t> {
    pub(super) fn new(tally: &'t mut ScanTally) -> Self {
        // What is written into it never moves.
        tally.held.texts.reserve_exact(TEXT_BYTES);
        Self { tally }
    }

    /// Counts a well-formed line, as [`ScanTally::event`] does.
    #[inline]
    pub fn event(&mut self, event: &AccessEvent<'_>) {
        let consumer = event.consumer.map(|(name, _)| name);
        let (Some(key), None) = (event.keys.first(), event.event_id) else {
            return self.event_alone(event);
        };
        let len = key.len() + consumer.map_or(0, <[u8]>::len);
        let Held { lines, texts, .. } = &self.tally.held;
        if lines.len() == LINES || texts.len() + len > TEXT_BYTES {
            self.settle();
            if len > TEXT_BYTES {
                return self.tally.event(event);
            }
        }
        if !self.tally.admits(event) {
            return;
        }
        let ScanTally { keys, consumers, held, .. } = &mut *self.tally;
        let mut hold = |hash: TextHash, text: &[u8]| {
            let from = held.texts.len();
            held.texts.extend_from_slice(text);
            Text { hash, place: from..held.texts.len() }
        };
        let key = hold(keys.hash(key), key);
        let consumer = consumer.map(|name| hold(consumers.hash(name), name));
        held.lines.push(Line { at: event.event_at, outcome: event.outcome, key, consumer });
    }

    /// Counts a line that was not understood.
    #[inline]
    pub fn reject(&mut self, reason: RejectReason) {
        self.tally.reject(reason);
    }

    /// Counts an event that is not held: of those without a key the order does not matter.
    fn event_alone(&mut self, event: &AccessEvent<'_>) {
        if !event.keys.is_empty() {
            self.settle();
        }
        self.tally.event(event);
    }

    /// Counts what is held.
    fn settle(&mut self) {
        let tally = &mut *self.tally;
        let mut held = std::mem::take(&mut tally.held);
        let pooled = tally.pools_consumers();
        for Line { at, outcome, key, consumer } in held.lines.drain(..) {
            let key = tally.intern_key_hashed(key.hash, &held.texts[key.place]);
            let consumer = consumer.map(|consumer| {
                tally.consumers.intern_hashed(consumer.hash, &held.texts[consumer.place])
            });
            if let Some(consumer) = consumer.filter(|_| pooled) {
                tally.pairs.prefetch(key, consumer);
            }
            held.sightings.push(Sighting { at, outcome, key: Some(key), consumer });
        }
        for sighting in held.sightings.drain(..) {
            tally.count(sighting);
        }
        held.texts.clear();
        tally.held = held;
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

//! One stream of a source: a rotation family of files, read as one endless file.
//!
//! Holds what was proved of it so far; a gap or a changed layout makes it begin anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::coverage::StreamStatus;
use crate::engine::credential::{Fingerprint, PlaceName};
use crate::engine::line_counts::LineCounts;
use crate::engine::rejects::OpenRejects;
use crate::engine::state::StreamRecord;
use crate::engine::time::{Step, Timestamp};
use crate::engine::usage::{GenerationNumber, RejectedKey, UsageDelta};

/// Most places that are remembered of a stream over all changes of its configuration; any other
/// counts as one that never showed a key. A configuration lists at most 32.
const MAX_PLACES_REMEMBERED: usize = 128;

/// One stream of a source.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What survives a restart.
    pub record: StreamRecord,
    /// What the reader found at its last look in this run.
    pub status: Option<StreamStatus>,
    /// Lines and rejects by event time, but for the open rejects.
    pub(super) lines: LineCounts,
    /// The latest rejected line with each tracked key, but for the open ones.
    rejected_keys: Vec<RejectedKey>,
    /// Open rejects of the generations that have some; of a finished one they stay open.
    pub(super) open_rejects: BTreeMap<GenerationNumber, OpenRejects>,
    pub(super) changed: bool,
}

impl Stream {
    /// Takes a stored stream back, or makes one nothing was read of yet.
    pub(super) fn new(record: StreamRecord) -> Self {
        Self {
            record,
            status: None,
            lines: LineCounts::default(),
            rejected_keys: Vec::new(),
            open_rejects: BTreeMap::new(),
            changed: false,
        }
    }

    /// Returns lines and rejects of the minutes from `from` on: never fewer rejects than there are,
    /// and never a smaller share of them.
    pub fn lines_since(&self, from: Timestamp) -> (u64, u64) {
        let open = self.open_rejects.values().map(|open| open.since(from));
        open.fold(self.lines.since(from), |(lines, rejects), open| {
            (lines.saturating_add(open), rejects.saturating_add(open))
        })
    }

    /// Returns rejected lines with a tracked key, the latest of each key among them.
    pub fn rejected_keys(&self) -> impl Iterator<Item = RejectedKey> {
        let open = self.open_rejects.values().flat_map(|open| &open.keys);
        let open = open.map(|(key, at)| RejectedKey { key: *key, at: *at });
        self.rejected_keys.iter().copied().chain(open)
    }

    /// Adds a rejected line that is not open, new or stored. Of each key the latest is kept: it alone can block.
    pub(super) fn add_rejected(&mut self, rejected: RejectedKey) {
        match self.rejected_keys.iter_mut().find(|known| known.key == rejected.key) {
            Some(known) => known.at = known.at.max(rejected.at),
            None => self.rejected_keys.push(rejected),
        }
    }

    /// Forgets what was proved: after a gap or a change of layout it must be proved anew.
    pub(super) fn restart(&mut self) {
        self.record.observing_since = None;
        self.record.keys_seen.clear();
        // That a place showed a key is remembered: it must do so again.
        self.record.places_seen.values_mut().for_each(|shown| *shown = false);
        self.changed = true;
    }

    pub(super) fn take(&mut self, delta: &UsageDelta, lateness: Duration, most_lateness: Duration) {
        for count in &delta.lines {
            self.lines.add(Step::Minute, *count);
        }
        self.lines.roll_up(delta.arrival);
        for rejected in &delta.rejected_keys {
            self.add_rejected(*rejected);
        }
        let record = &mut self.record;
        self.changed = true;
        if record.observing_since.is_none() {
            // A first line that is late or from the future shows nothing of the time it is dated to.
            let first = delta.first_event.map(|first| first.min(delta.arrival));
            record.observing_since =
                first.map(|first| record.frontier.map_or(first, |f| f.max(first)));
        }
        if delta.frontier > record.frontier {
            record.frontier = delta.frontier;
            record.frontier_assumed = delta.frontier_assumed;
        }
        record.last_line_at = record.last_line_at.max(delta.newest_line_at);
        if let Some(late_by) = delta.late_by {
            // Bounded, so that one line from a broken clock cannot hold the watermark for ever;
            // the line itself counts from its arrival.
            let observed = lateness.saturating_add(late_by).min(most_lateness);
            record.observed_lateness = record.observed_lateness.max(observed);
        }
        let late = delta.cells.iter().filter(|cell| cell.late).flat_map(|cell| cell.tally.counts);
        record.violations = late.fold(record.violations, u64::saturating_add);
        record.masked_at = record.masked_at.max(delta.masked_at);
        for place in &delta.places {
            remember(&mut record.places_seen, place);
        }
        let seen: BTreeSet<Fingerprint> = delta.cells.iter().map(|cell| cell.key).collect();
        for key in seen {
            if !record.keys_seen.contains(&key) {
                record.keys_seen.push(key);
            }
        }
    }
}

/// Notes a place that shows a key, if there is room for it.
fn remember(places: &mut BTreeMap<PlaceName, bool>, place: &PlaceName) {
    if let Some(shown) = places.get_mut(place) {
        *shown = true;
    } else if places.len() < MAX_PLACES_REMEMBERED {
        places.insert(place.clone(), true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_places_are_remembered_as_may_be_and_those_show_keys_again() {
        let place = |number: usize| PlaceName::new(format!("field:{number}"));
        let mut places = BTreeMap::new();
        for number in 0..=MAX_PLACES_REMEMBERED {
            remember(&mut places, &place(number));
        }
        assert_eq!(places.len(), MAX_PLACES_REMEMBERED);
        for shown in places.values_mut() {
            *shown = false;
        }
        for number in [0, MAX_PLACES_REMEMBERED] {
            remember(&mut places, &place(number));
        }
        let shown: Vec<&PlaceName> =
            places.iter().filter(|(_, shown)| **shown).map(|(place, _)| place).collect();
        assert_eq!(shown, [&place(0)]);
    }
}

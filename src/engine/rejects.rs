//! Rejects at the end of what was read of a file: no line after them was understood yet.
//!
//! When a reject was written is not known, only that it was before it was read, and before the next
//! line of its file was. So it counts from its arrival or, where that is earlier, from the time by
//! which that line was written: its event time and the allowed lateness.
//!
//! ```text
//! 10:00 | reject | reject | 10:02      read next week: both count from 10:02 + lateness
//! 10:00 | 10:02 | reject               open: it counts from its arrival, for the time being
//! ```
//!
//! A line that is late itself says nothing, and neither does a line of another file: two servers'
//! processes may write to an old and a new one at a time.

use std::collections::BTreeMap;

use crate::engine::credential::Fingerprint;
use crate::engine::time::Timestamp;

/// Open rejects of one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenRejects {
    /// How many lines.
    pub count: u64,
    /// Arrival of the latest of them; `None` if there are none.
    pub at: Option<Timestamp>,
    /// Tracked keys found in them and in what was skipped between them, each with the latest arrival.
    pub keys: BTreeMap<Fingerprint, Timestamp>,
}

impl OpenRejects {
    /// Tells whether there is neither a line nor a key.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.keys.is_empty()
    }

    /// Adds a line read at `arrival`.
    pub fn add(&mut self, arrival: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.at = self.at.max(Some(arrival));
    }

    /// Adds a key found in bytes that were read at `arrival`.
    pub fn find(&mut self, key: Fingerprint, arrival: Timestamp) {
        let latest = self.keys.entry(key).or_insert(arrival);
        *latest = arrival.max(*latest);
    }

    /// Takes them all out, now that it is known that they were written by `latest`.
    #[must_use]
    pub fn close(&mut self, latest: Timestamp) -> Self {
        let mut closed = std::mem::take(self);
        closed.at = closed.at.map(|at| at.min(latest));
        closed.keys.values_mut().for_each(|at| *at = latest.min(*at));
        closed
    }

    /// Returns how many lines count in the minutes from `from` on.
    pub fn since(&self, from: Timestamp) -> u64 {
        if self.at.is_some_and(|at| at.minute() >= from.minute()) { self.count } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_rejects_count_in_the_minute_they_came_in_and_in_none_after_it() {
        let at = Timestamp::from_seconds;
        let mut rejects = OpenRejects::default();
        assert_eq!(rejects.since(at(0)), 0);
        rejects.add(at(119));
        rejects.add(at(61));
        let counted = [0, 60, 119, 120].map(|from| rejects.since(at(from)));
        assert_eq!(counted, [2, 2, 2, 0], "the minute counts as a whole");
    }
}

//! How often a consumer presented a key lately: by minute for an hour, by hour for two days, by day
//! for a month.
//!
//! ```text
//! days   |  412 |  388 |  401 |          33 days before the newest, the newest included
//! hours             | 17 | 16 | 15 |     49 hours
//! minutes                   |1|0|2|      61 minutes
//! ```
//!
//! What is older than the newest minute by more than a level's reach is forgotten there. The table
//! depends on the set of presentations alone, not on the order in which they came.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::time::{Minute, Timestamp};

/// Minutes in a window of each level, and the windows that are kept: the newest and those before it.
const LEVELS: [(i64, i64); 3] = [(1, 61), (60, 49), (24 * 60, 33)];

/// Presentations per window and outcome, indexed as [`Outcome::ALL`].
///
/// At most 143 windows of 40 bytes.
///
/// [`Outcome::ALL`]: crate::engine::usage::Outcome::ALL
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent([BTreeMap<i64, [u64; 4]>; 3]);

impl Recent {
    /// Takes stored windows back: level, number and counts of each.
    ///
    /// `None` where a level does not exist, has a window twice, or more than it keeps.
    pub fn restore(windows: impl IntoIterator<Item = (usize, i64, [u64; 4])>) -> Option<Self> {
        let mut recent = Self::default();
        for (level, number, counts) in windows {
            if recent.0.get_mut(level)?.insert(number, counts).is_some() {
                return None;
            }
        }
        let sound = recent.0.iter().zip(LEVELS).all(|(windows, (_, kept))| {
            let ends = windows.keys().next().zip(windows.keys().next_back());
            ends.is_none_or(|(first, last)| last.saturating_sub(*first) < kept)
        });
        sound.then_some(recent)
    }

    /// Adds what a minute saw, wherever it is not too old by now.
    pub fn add(&mut self, minute: Minute, counts: [u64; 4]) {
        for (windows, (width, kept)) in self.0.iter_mut().zip(LEVELS) {
            let number = minute.number().div_euclid(width);
            add(windows.entry(number).or_default(), counts);
            let newest = windows.keys().next_back().copied().unwrap_or(number);
            *windows = windows.split_off(&newest.saturating_sub(kept - 1));
        }
    }

    /// Returns the sums of what was seen at or after `from`: at most a window too much.
    ///
    /// Never too little within the last 32 days before the newest presentation; the finest level
    /// that reaches back to `from` answers.
    pub fn since(&self, from: Timestamp) -> [u64; 4] {
        let mut sums = [0; 4];
        for (start, width, counts) in self.windows(from) {
            if start.plus(width) > from {
                add(&mut sums, counts);
            }
        }
        sums
    }

    /// Tells whether nothing that was seen at or after `from` is forgotten at every level.
    pub fn reaches(&self, from: Timestamp) -> bool {
        (0..LEVELS.len()).any(|level| self.level_reaches(level, from))
    }

    fn level_reaches(&self, level: usize, from: Timestamp) -> bool {
        let (width, kept) = LEVELS[level];
        let newest = self.0[level].keys().next_back().copied().unwrap_or(i64::MAX);
        from.minute().number().div_euclid(width) > newest.saturating_sub(kept)
    }

    /// Iterates over the windows of the finest level that reaches back to `from`, in ascending
    /// order: start, width and counts of each that is not empty.
    pub fn windows(
        &self,
        from: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Duration, [u64; 4])> {
        self.windows_of(self.level(from))
    }

    /// Returns the finest level that reaches back to `from`, else the coarsest.
    pub fn level(&self, from: Timestamp) -> usize {
        let reaches = |level: &usize| self.level_reaches(*level, from);
        (0..LEVELS.len()).find(reaches).unwrap_or(LEVELS.len() - 1)
    }

    /// Iterates over the windows of one level: none, where there is no such level.
    pub fn windows_of(
        &self,
        level: usize,
    ) -> impl Iterator<Item = (Timestamp, Duration, [u64; 4])> {
        let known = self.0.get(level).zip(LEVELS.get(level));
        known.into_iter().flat_map(|(windows, (width, _))| {
            let span = Duration::from_secs(60 * width.unsigned_abs());
            windows.iter().map(move |(number, counts)| {
                (Minute::from_number(number.saturating_mul(*width)).start(), span, *counts)
            })
        })
    }

    /// Iterates over all windows, as [`restore`](Self::restore) takes them.
    pub fn stored(&self) -> impl Iterator<Item = (usize, i64, [u64; 4])> {
        let levels = self.0.iter().enumerate();
        levels.flat_map(|(level, windows)| {
            windows.iter().map(move |(n, counts)| (level, *n, *counts))
        })
    }
}

fn add(sums: &mut [u64; 4], counts: [u64; 4]) {
    for (sum, more) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recent(minutes: &[i64]) -> Recent {
        let mut recent = Recent::default();
        for minute in minutes {
            recent.add(Minute::from_number(*minute), [1, 0, 0, 0]);
        }
        recent
    }

    fn at(minute: i64) -> Timestamp {
        Minute::from_number(minute).start()
    }

    #[test]
    fn the_last_hour_is_known_by_minute_and_what_is_older_by_hour_and_day() {
        let seen = recent(&[0, 1, 61]);
        assert_eq!(seen.since(at(1)), [2, 0, 0, 0]);
        assert_eq!(seen.since(at(2)), [1, 0, 0, 0]);
        // Minute 0 is known by its hour alone.
        assert_eq!(seen.since(at(0)), [3, 0, 0, 0]);
        let month = recent(&[0, 40 * 24 * 60]);
        assert_eq!(month.since(at(0)), [1, 0, 0, 0], "what is older than a month is forgotten");
    }

    #[test]
    fn windows_that_reach_further_than_a_level_keeps_are_refused() {
        let counts = [1, 0, 0, 0];
        for (level, (_, kept)) in LEVELS.into_iter().enumerate() {
            let both = |last| Recent::restore([(level, 0, counts), (level, last, counts)]);
            assert!(both(kept - 1).is_some());
            assert_eq!(both(kept), None);
        }
    }

    proptest! {
        #[test]
        fn the_order_of_presentations_changes_nothing_and_none_is_missed(
            mut minutes in prop::collection::vec(0_i64..40_000, 1..60),
            from in 0_i64..40_000,
        ) {
            let seen = recent(&minutes);
            minutes.sort_unstable();
            prop_assert_eq!(&seen, &recent(&minutes));
            let restored = Recent::restore(seen.stored());
            prop_assert_eq!(Some(&seen), restored.as_ref());
            let newest = *minutes.last().expect("at least one");
            let truly = minutes.iter().filter(|minute| **minute >= from).count() as u64;
            if from > newest - 31 * 24 * 60 {
                prop_assert!(seen.since(at(from))[0] >= truly);
            }
            if from > newest - 60 {
                prop_assert_eq!(seen.since(at(from))[0], truly);
            }
        }
    }
}

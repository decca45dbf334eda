//! When a consumer uses a key: its bursts, the gaps between them, its sessions.
//!
//! Instants are kept to a second. Uses at most one second apart are one burst, so a steady
//! consumer costs one entry and every larger gap is known exactly. The set of bursts depends on
//! the set of instants alone, not on the order in which they came.

use std::time::Duration;

use crate::engine::time::{Minute, Timestamp};
use crate::engine::usage::Seconds;

/// Most bursts that are kept; older ones are forgotten, their largest gap is not.
///
/// 512 bursts are 8 KiB. A consumer that uses the key every minute fills them in 8.5 hours; what
/// is lost then is the exact place of old gaps, never the size of the largest.
pub const MAX_BURSTS: usize = 512;

/// The instants of a consumer's uses as disjoint bursts in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bursts {
    /// First and last second of each burst; neighbours are more than one second apart.
    bursts: Vec<(i64, i64)>,
    /// Largest gap beside a forgotten burst, in seconds.
    forgotten_gap: i64,
}

impl Bursts {
    /// Adds the given seconds of a minute.
    pub fn insert(&mut self, minute: Minute, seconds: Seconds) {
        let start = minute.start().as_seconds();
        for second in seconds.iter() {
            self.insert_second(start.saturating_add(second));
        }
    }

    fn insert_second(&mut self, second: i64) {
        // The first burst that ends at `second - 1` or later can take it; the usual case is the last.
        let at = self.bursts.partition_point(|&(_, last)| last < second.saturating_sub(1));
        match self.bursts.get_mut(at) {
            Some(burst) if burst.0 <= second.saturating_add(1) => {
                burst.0 = burst.0.min(second);
                burst.1 = burst.1.max(second);
                let last = burst.1;
                if let Some(&next) = self.bursts.get(at + 1)
                    && next.0 <= last.saturating_add(1)
                {
                    self.bursts[at].1 = last.max(next.1);
                    self.bursts.remove(at + 1);
                }
            }
            _ => self.bursts.insert(at, (second, second)),
        }
        if self.bursts.len() > MAX_BURSTS {
            let gap = self.bursts[1].0.saturating_sub(self.bursts[0].1);
            self.forgotten_gap = self.forgotten_gap.max(gap);
            self.bursts.remove(0);
        }
    }

    /// Tells whether there was no use.
    pub fn is_empty(&self) -> bool {
        self.bursts.is_empty()
    }

    /// Returns the gaps between neighbouring bursts, each with the second before and after it.
    pub fn gaps(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.bursts
            .windows(2)
            .map(|pair| (Timestamp::from_seconds(pair[0].1), Timestamp::from_seconds(pair[1].0)))
    }

    /// Returns the largest gap between two uses ever seen, to a second; zero for one burst.
    pub fn largest_gap(&self) -> Duration {
        let kept = self.gaps().map(|(before, after)| after.since(before)).max();
        let forgotten = Duration::from_secs(u64::try_from(self.forgotten_gap).unwrap_or(0));
        kept.unwrap_or_default().max(forgotten)
    }

    /// Returns the number of sessions: bursts with at least `session_gap` between them.
    ///
    /// A lower bound once bursts were forgotten.
    pub fn sessions(&self, session_gap: Duration) -> u64 {
        let breaks =
            self.gaps().filter(|(before, after)| after.since(*before) > session_gap).count();
        if self.is_empty() { 0 } else { 1 + breaks as u64 }
    }

    /// Returns the first second with a use that begins after `instant`.
    pub fn first_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let beyond = instant.as_seconds().saturating_add(1);
        let at = self.bursts.partition_point(|&(_, last)| last < beyond);
        self.bursts.get(at).map(|&(first, _)| Timestamp::from_seconds(first.max(beyond)))
    }

    /// Returns the start of the last second with a use.
    pub fn last(&self) -> Option<Timestamp> {
        self.bursts.last().map(|&(_, last)| Timestamp::from_seconds(last))
    }

    /// Returns the start of the first second with a use that is still known.
    pub fn first(&self) -> Option<Timestamp> {
        self.bursts.first().map(|&(first, _)| Timestamp::from_seconds(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bursts(seconds: &[i64]) -> Bursts {
        let mut bursts = Bursts::default();
        for &second in seconds {
            bursts.insert_second(second);
        }
        bursts
    }

    #[test]
    fn neighbouring_seconds_are_one_burst_whatever_their_order() {
        assert_eq!(bursts(&[5, 7, 6]), bursts(&[5, 6, 7]));
        assert_eq!(bursts(&[5, 7, 6]).bursts, [(5, 7)]);
    }

    #[test]
    fn the_largest_gap_survives_forgetting() {
        let mut uses = bursts(&[0, 10_000]);
        for n in 0..2 * i64::try_from(MAX_BURSTS).unwrap() {
            uses.insert_second(10_000 + 60 * n);
        }
        assert_eq!(uses.bursts.len(), MAX_BURSTS);
        assert_eq!(uses.largest_gap(), Duration::from_secs(10_000));
    }

    #[test]
    fn uses_closer_than_the_session_gap_are_one_session() {
        let uses = bursts(&[0, 60, 120, 5_000]);
        assert_eq!(uses.sessions(Duration::from_secs(900)), 2);
        assert_eq!(uses.sessions(Duration::from_secs(30)), 4);
        assert_eq!(Bursts::default().sessions(Duration::ZERO), 0);
    }

    #[test]
    fn first_use_after_an_instant_inside_a_burst_is_its_next_second() {
        let uses = bursts(&[10, 11, 12, 30]);
        assert_eq!(
            uses.first_after(Timestamp::from_seconds(10)),
            Some(Timestamp::from_seconds(11))
        );
        assert_eq!(
            uses.first_after(Timestamp::from_seconds(12)),
            Some(Timestamp::from_seconds(30))
        );
        assert_eq!(uses.first_after(Timestamp::from_seconds(30)), None);
    }

    proptest! {
        #[test]
        fn bursts_do_not_depend_on_the_order_of_uses(mut seconds in prop::collection::vec(0_i64..400, 1..60)) {
            let shuffled = bursts(&seconds);
            seconds.sort_unstable();
            prop_assert_eq!(&shuffled, &bursts(&seconds));
            seconds.dedup();
            let largest = seconds.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 1).max().unwrap_or(0);
            prop_assert_eq!(shuffled.largest_gap().as_secs(), u64::try_from(largest).unwrap());
        }
    }
}

//! A probe: a request sent on purpose with a key of its own, which must show up in the log.
//!
//! ```text
//! seen     |||||||||||      ||||||||||      no two further apart than the bound: one run
//! runs     [---------]      [--------]
//! a run shows at each of its instants that the probe was seen within the bound before it
//! ```
//!
//! Instants are kept to a second, and what a second leaves open errs to the strict side. Which runs
//! there are depends on the set of sightings alone, not on their order, until there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::credential::Fingerprint;
use crate::engine::time::{Minute, Timestamp};
use crate::engine::usage::{Seconds, UsageCell};

/// Most runs that are kept: the oldest go first, as if the probe had not been seen before.
///
/// 128 runs are 2 KiB; each break between two of them is an outage of probe, pipe or parser.
pub const MAX_RUNS: usize = 128;

/// The last instant of a second.
const REST_OF_SECOND: Duration = Duration::from_nanos(999_999_999);

/// A probe as the configuration declares it for a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub name: Arc<str>,
    /// Its key: never one that is rotated.
    pub key: Fingerprint,
    /// How often it is sent.
    pub every: Duration,
    /// How much later than that it may show up.
    pub within: Duration,
}

impl Probe {
    /// Returns the longest time between two sightings that is no miss: `every + within`.
    pub fn bound(&self) -> Duration {
        self.every.saturating_add(self.within)
    }
}

/// When a probe was seen in a source, whichever stream showed it, in runs of which it was never out of sight for longer than
/// its bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sightings {
    bound: Duration,
    /// First and last second of each run, in ascending order.
    runs: Vec<(i64, i64)>,
}

impl Sightings {
    /// Makes the sightings of a probe that was never seen.
    pub fn new(bound: Duration) -> Self {
        Self { bound, runs: Vec::new() }
    }

    /// Takes stored runs back: first and last second of each, in ascending order.
    pub fn restore(bound: Duration, runs: Vec<(i64, i64)>) -> Self {
        Self { bound, runs }
    }

    /// Returns the bound that the runs were made with.
    pub fn bound(&self) -> Duration {
        self.bound
    }

    /// Returns the runs for storage.
    pub fn runs(&self) -> &[(i64, i64)] {
        &self.runs
    }

    /// Adds the given seconds of a minute.
    pub fn insert(&mut self, minute: Minute, seconds: Seconds) {
        let start = minute.start().as_seconds();
        for second in seconds.iter() {
            self.insert_second(start.saturating_add(second));
        }
    }

    fn insert_second(&mut self, second: i64) {
        let at = self.runs.partition_point(|&(first, _)| first <= second);
        self.runs.insert(at, (second, second));
        self.join(at);
        if at > 0 {
            self.join(at - 1);
        }
        if self.runs.len() > MAX_RUNS {
            self.runs.remove(0);
        }
    }

    /// Makes one run of the one at `at` and the next, if the probe was not out of sight between.
    fn join(&mut self, at: usize) {
        let (Some(&this), Some(&next)) = (self.runs.get(at), self.runs.get(at + 1)) else {
            return;
        };
        // Of two sightings in seconds that are n apart, nearly n + 1 seconds may lie between.
        let apart = next.0.saturating_sub(this.1);
        let most = Duration::from_secs(u64::try_from(apart).unwrap_or(0).saturating_add(1));
        if apart <= 0 || most <= self.bound {
            self.runs[at].1 = this.1.max(next.1);
            self.runs.remove(at + 1);
        }
    }

    /// Tells whether the probe was seen at `instant`, or at most its bound before it.
    pub fn seen_before(&self, instant: Timestamp) -> bool {
        let begun = |first: i64| Timestamp::from_seconds(first).plus(REST_OF_SECOND) <= instant;
        let run = self.runs.iter().rev().find(|(first, _)| begun(*first));
        run.is_some_and(|(_, last)| instant <= Timestamp::from_seconds(*last).plus(self.bound))
    }

    /// Returns the earliest instant after `instant` at which [`seen_before`](Self::seen_before)
    /// holds: the next sighting that begins a run.
    pub fn next_seen(&self, instant: Timestamp) -> Option<Timestamp> {
        let begins =
            self.runs.iter().map(|run| Timestamp::from_seconds(run.0).plus(REST_OF_SECOND));
        begins.filter(|begin| *begin > instant).min()
    }

    /// Returns the start of the last second in which the probe was seen.
    pub fn last(&self) -> Option<Timestamp> {
        self.runs.last().map(|run| Timestamp::from_seconds(run.1))
    }
}

/// The probes of one source that were ever seen.
#[derive(Clone, Debug, Default)]
pub struct Sighted {
    seen: BTreeMap<Fingerprint, Sightings>,
    changed: BTreeSet<Fingerprint>,
}

impl Sighted {
    /// Takes stored sightings of the probe with this key back.
    pub fn restore(&mut self, key: Fingerprint, seen: Sightings) {
        self.seen.insert(key, seen);
    }

    /// Notes which of `probes` the cells show. A late line shows that one was sent, and not when.
    pub fn take(&mut self, cells: &[UsageCell], probes: &[Probe]) {
        for cell in cells.iter().filter(|cell| !cell.late) {
            let Some(probe) = probes.iter().find(|probe| probe.key == cell.key) else { continue };
            let fresh = || Sightings::new(probe.bound());
            let seen = self.seen.entry(probe.key).or_insert_with(fresh);
            if seen.bound != probe.bound() {
                *seen = fresh();
            }
            for seconds in cell.tally.seconds {
                seen.insert(cell.minute, seconds);
            }
            self.changed.insert(probe.key);
        }
    }

    /// Returns when a probe was seen. Runs that were made with another bound prove nothing of it.
    pub fn of(&self, probe: &Probe) -> Option<&Sightings> {
        self.seen.get(&probe.key).filter(|seen| seen.bound == probe.bound())
    }

    /// Forgets all sightings: what they proved does not hold any more.
    pub fn forget(&mut self) {
        for (key, seen) in &mut self.seen {
            seen.runs.clear();
            self.changed.insert(*key);
        }
    }

    /// Returns what changed since the last call.
    pub fn drain_changes(&mut self) -> impl Iterator<Item = (Fingerprint, Sightings)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.filter_map(|key| Some((key, self.seen.get(&key)?.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUND: Duration = Duration::from_secs(90);

    fn sightings(seconds: &[i64]) -> Sightings {
        let mut sightings = Sightings::new(BOUND);
        for second in seconds {
            sightings.insert_second(*second);
        }
        sightings
    }

    #[test]
    fn sightings_as_far_apart_as_the_bound_are_one_run_and_further_ones_are_two() {
        assert_eq!(sightings(&[0, 89, 178]).runs, [(0, 178)]);
        assert_eq!(sightings(&[0, 90]).runs, [(0, 0), (90, 90)]);
        assert_eq!(sightings(&[0, 90, 45]).runs, [(0, 90)]);
        assert_eq!(sightings(&[7, 7]).runs, [(7, 7)]);
    }

    #[test]
    fn a_probe_that_is_often_out_of_sight_forgets_its_oldest_sightings() {
        let most = i64::try_from(MAX_RUNS).unwrap();
        let seen = sightings(&(0..=most).map(|n| 1_000 * n).collect::<Vec<_>>());
        assert_eq!(seen.runs.len(), MAX_RUNS);
        assert!(!seen.seen_before(Timestamp::from_seconds(60)));
        assert!(seen.seen_before(Timestamp::from_seconds(1_060)));
    }

    proptest! {
        #[test]
        fn a_sighting_is_told_exactly_but_for_its_second_and_whatever_the_order(
            mut seconds in prop::collection::vec(0_i64..2_000, 0..60),
            instant in 0_i64..2_200,
        ) {
            let seen = sightings(&seconds);
            seconds.sort_unstable();
            prop_assert_eq!(&seen, &sightings(&seconds));
            prop_assert_eq!(&seen, &Sightings::restore(BOUND, seen.runs().to_vec()));
            let before = |from: i64, to: i64| seconds.iter().any(|s| from <= *s && *s <= to);
            let said = seen.seen_before(Timestamp::from_seconds(instant));
            prop_assert!(!said || before(instant - 90, instant - 1), "never said of a miss");
            prop_assert!(said || !before(instant - 89, instant - 1), "never a miss but for a second");
            if let Some(next) = seen.next_seen(Timestamp::from_seconds(instant)) {
                prop_assert!(seen.seen_before(next));
            }
        }
    }
}

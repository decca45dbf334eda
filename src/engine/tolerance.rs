//! How few presentations of the old key are tolerated: the policy's `threshold`.
//!
//! The consumers it is about are tolerated together or not at all. They are if no span as long as
//! the quiet period, within the required window and up to now, holds more of their presentations
//! than the threshold. The window is then at least as long as they ever stayed away, times the
//! cadence factor: a burst that comes back every hour is no trickle in between.
//!
//! ```text
//! threshold 2     |  from . . . . . . . . . . W  now
//! presentations  3|    1   1      1        1 1         never more than 2 within a quiet period
//! ```
//!
//! Counts are kept by minute, hour and day: a span counts each of these windows that it meets as a
//! whole, which is never too few.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::cadence::stretched;
use crate::engine::ledger::Presentations;
use crate::engine::migration::Migrant;
use crate::engine::policy::{Policy, ThresholdOf};
use crate::engine::rotation::Rotation;
use crate::engine::time::{Minute, Timestamp};

/// What is known of the consumers that a threshold is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Since when no span as long as the quiet period held more than the threshold: a whole minute,
    /// or the beginning of time.
    pub under_since: Timestamp,
    /// For how long they must have stayed under it at least: what the longest stay away demands.
    pub cadence: Duration,
}

/// Tells whether the policy's threshold is about `migrant`.
///
/// A health check is none of those that are cut off: the key that it presents is in use.
pub fn is_about(
    migrant: &Migrant<'_>,
    rotation: &Rotation,
    policy: &Policy,
    now: Timestamp,
) -> bool {
    let whose = policy.threshold_of == ThresholdOf::All || !migrant.named;
    let presents = migrant.old.is_some() && !migrant.is_synthetic();
    policy.threshold > 0 && whose && presents && !migrant.is_waived(rotation, now)
}

impl Tolerance {
    /// Returns what is known of `consumers`; `None` if there is none.
    pub fn of(consumers: &[&Presentations], policy: &Policy) -> Option<Self> {
        let newest = consumers.iter().filter_map(|uses| uses.counts_until).max()?;
        let oldest = consumers.iter().filter_map(|uses| uses.presented.first()).min()?;
        let gaps = consumers.iter().map(|uses| uses.presented.largest_gap());
        // Later beginnings hold less: the first good one is found by halving.
        let oldest = oldest.minute().number();
        let (mut bad, mut good) = (oldest - 1, newest.minute().number() + 1);
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            let from = Minute::from_number(middle).start();
            if most_in(policy.quiet_period, consumers, from) <= policy.threshold {
                good = middle;
            } else {
                bad = middle;
            }
        }
        // Before the first there was none.
        let always = good == oldest;
        Some(Self {
            under_since: if always { Timestamp::MIN } else { Minute::from_number(good).start() },
            cadence: stretched(gaps.max().unwrap_or_default(), policy.cadence_factor),
        })
    }
}

/// Returns the most presentations that a span of `length` after `from` can hold: never too few.
fn most_in(length: Duration, consumers: &[&Presentations], from: Timestamp) -> u64 {
    let mut windows: BTreeMap<(Timestamp, Timestamp), u64> = BTreeMap::new();
    for uses in consumers {
        if !uses.recent.reaches(from) {
            // What was forgotten may have been any number.
            return u64::MAX;
        }
        for (start, width, counts) in uses.recent.windows(from) {
            let end = start.plus(width);
            if end > from {
                let sum = windows.entry((start, end)).or_default();
                *sum = counts.iter().fold(*sum, |sum, more| sum.saturating_add(*more));
            }
        }
    }
    // The fullest span is one that has just reached the start of a window.
    let spans = windows.keys().map(|(last, _)| {
        let met = windows.iter().take_while(|((start, _), _)| start <= last);
        let met = met.filter(|((_, end), _)| *end > last.minus(length));
        met.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
    });
    spans.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::Fingerprint;
    use crate::engine::ledger::Ledger;
    use crate::engine::usage::{Consumer, Outcome, Tally, UsageCell};
    use proptest::prelude::*;

    fn ledger(seconds: &[i64]) -> Ledger {
        let mut ledger = Ledger::default();
        for second in seconds {
            let at = Timestamp::from_seconds(*second);
            ledger.add(&UsageCell {
                key: Fingerprint::from_bytes([1; 16]),
                consumer: Consumer::Anonymous,
                minute: at.minute(),
                late: false,
                tally: Tally::one(Outcome::Accepted, at, at),
            });
        }
        ledger
    }

    fn tolerance(seconds: &[i64], threshold: u64) -> Tolerance {
        let ledger = ledger(seconds);
        let uses = ledger.of_key(Fingerprint::from_bytes([1; 16])).expect("it was presented");
        let policy = Policy { threshold, ..Policy::default() };
        Tolerance::of(&uses.values().collect::<Vec<_>>(), &policy).expect("it was presented")
    }

    #[test]
    fn a_burst_is_over_the_threshold_until_the_end_of_its_minute() {
        // Three in minute 1000, then one every 20 minutes.
        let uses = [60_000, 60_001, 60_002, 61_200, 62_400];
        assert_eq!(tolerance(&uses, 2).under_since, Timestamp::from_seconds(60_060));
        assert_eq!(tolerance(&uses, 3).under_since, Timestamp::MIN);
        assert_eq!(tolerance(&uses, 3).cadence, Duration::from_mins(40));
    }

    #[test]
    fn what_was_forgotten_is_over_every_threshold() {
        let day = 86_400;
        let uses = [0, 40 * day];
        assert!(tolerance(&uses, 1_000).under_since > Timestamp::from_seconds(day));
    }

    proptest! {
        #[test]
        fn no_span_within_the_window_ever_holds_more_than_the_threshold(
            mut seconds in prop::collection::vec(0_i64..400_000, 1..80),
            threshold in 1_u64..6,
        ) {
            let said = tolerance(&seconds, threshold).under_since;
            seconds.sort_unstable();
            let seen: Vec<i64> = seconds.iter().copied().filter(|s| *s >= said.as_seconds()).collect();
            let most = seen.iter().map(|first| seen.iter().filter(|s| (*first..first + 900).contains(*s)).count());
            prop_assert!(most.max().unwrap_or(0) as u64 <= threshold);
        }
    }
}

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
//! What was not observed may have held any number: evidence must be whole over that window, too.
//!
//! Counts are kept by minute, hour and day: a span counts each of these windows that it meets as a
//! whole, which is never too few.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::cadence::stretched;
use crate::engine::case::Case;
use crate::engine::ledger::Presentations;
use crate::engine::migration::Migrant;
use crate::engine::policy::{Policy, ThresholdOf};
use crate::engine::time::{Minute, Timestamp};
use crate::engine::usage::ConsumerKind;
use crate::engine::view::ConsumerState;

/// The presentations of those whom a threshold is about.
#[derive(Clone, Debug)]
pub struct Tolerance<'a> {
    consumers: Vec<&'a Presentations>,
    length: Duration,
    threshold: u64,
    /// For how long they must have stayed under it at least: what the longest stay away demands.
    pub cadence: Duration,
}

/// Tells whether the policy's threshold is about `migrant`: one that would be cut off.
///
/// Who has moved or is gone needs no tolerance. A health check is none of those that are cut off:
/// the key that it presents is in use.
fn is_about(migrant: &Migrant<'_>, policy: &Policy) -> bool {
    let whose = policy.threshold_of == ThresholdOf::All || migrant.kind == ConsumerKind::Pool;
    let stays = [ConsumerState::OnOld, ConsumerState::Mixed, ConsumerState::Regressed];
    policy.threshold > 0 && whose && stays.contains(&migrant.state) && !migrant.is_synthetic()
}

impl<'a> Tolerance<'a> {
    /// Takes the presentations of those whom the threshold is about.
    pub fn of(consumers: Vec<&'a Presentations>, policy: &Policy) -> Self {
        let gaps = consumers.iter().map(|uses| uses.largest_gap());
        Self {
            cadence: stretched(gaps.max().unwrap_or_default(), policy.cadence_factor),
            length: policy.quiet_period,
            threshold: policy.threshold,
            consumers,
        }
    }

    /// Tells whether they stayed under the threshold since `from`. What holds since one instant
    /// holds since every later one.
    pub fn holds_since(&self, from: Timestamp) -> bool {
        self.most_since(from) <= self.threshold
    }

    /// Returns the first minute after `from` since which they stayed under the threshold.
    pub fn under_since(&self, from: Timestamp) -> Timestamp {
        let newest = self.consumers.iter().filter_map(|uses| uses.counts_until).max();
        let mut bad = from.minute().number();
        let mut good = newest.unwrap_or(from).max(from).minute().number() + 1;
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            if self.holds_since(Minute::from_number(middle).start()) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        Minute::from_number(good).start()
    }

    /// Returns the most presentations that a span as long as the quiet period can hold after
    /// `from`: never too few.
    fn most_since(&self, from: Timestamp) -> u64 {
        let mut windows: BTreeMap<(Timestamp, Timestamp), u64> = BTreeMap::new();
        let is_over = |until: Timestamp| until.minute() < from.minute();
        for uses in self.consumers.iter().filter(|uses| !uses.counts_until.is_none_or(is_over)) {
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
            let met = met.filter(|((_, end), _)| *end > last.minus(self.length));
            met.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
        });
        spans.max().unwrap_or(0)
    }
}

impl Case<'_> {
    /// Marks whom the threshold is about as tolerated, if they stayed under it.
    pub fn tolerate(&mut self, tolerant: bool) {
        let policy = self.facts.policy;
        let about = self.migrants.iter().filter(|m| is_about(m, policy));
        let about: Vec<_> = about.filter_map(|m| m.old).collect();
        if about.is_empty() {
            return;
        }
        let known = Tolerance::of(about, policy);
        // The cadence of the others is what their window is made of.
        self.migrants.iter_mut().for_each(|m| m.tolerated = is_about(m, policy));
        if tolerant || known.holds_since(self.tested_since(&known)) {
            self.tolerated = Some(known.cadence);
        } else {
            self.migrants.iter_mut().for_each(|m| m.tolerated = false);
            self.over_threshold = Some(known);
        }
    }

    /// Returns since when those whom the threshold is about must have stayed under it, once they
    /// are marked as tolerated.
    fn tested_since(&self, known: &Tolerance<'_>) -> Timestamp {
        let until = self.watermark.map_or(self.now, |watermark| watermark.min(self.now));
        let cadence = self.demanding().map(|(bound, _)| bound).max().unwrap_or_default();
        until.minus(self.required_quiet(cadence.max(known.cadence)).1)
    }

    /// Returns the case as it will be once those whom the threshold is about have stayed under it
    /// for long enough, and when that is if nothing else happens; `None` if they are tolerated now.
    pub fn once_tolerated(&self) -> Option<(Timestamp, Self)> {
        let known = self.over_threshold.as_ref()?;
        let then = Self::build(self.facts, self.now, true);
        let since = known.under_since(then.tested_since(known));
        let under =
            then.soonest(|cadence| since.plus(then.required_quiet(cadence.max(known.cadence)).1));
        Some((self.reached_at(under), then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::Fingerprint;
    use crate::engine::ledger::Ledger;
    use crate::engine::usage::{Consumer, Outcome, Tally, UsageCell};
    use proptest::prelude::*;

    fn ledger(seconds: &[i64]) -> Ledger {
        let mut ledger = Ledger::new(10);
        for second in seconds {
            let at = Timestamp::from_seconds(*second);
            ledger.take(&mut vec![UsageCell {
                key: Fingerprint::from_bytes([1; 16]),
                consumer: Consumer::Anonymous,
                minute: at.minute(),
                late: false,
                tally: Tally::one(Outcome::Accepted, at, at),
            }]);
        }
        ledger
    }

    /// Returns the first minute from that of second 0 on since which `threshold` holds.
    fn under_since(seconds: &[i64], threshold: u64) -> i64 {
        let ledger = ledger(seconds);
        let uses = ledger.of_key(Fingerprint::from_bytes([1; 16])).expect("it was presented");
        let policy = Policy { threshold, ..Policy::default() };
        let tolerance = Tolerance::of(uses.values().collect(), &policy);
        let since = tolerance.under_since(Timestamp::from_seconds(-60));
        assert!(tolerance.holds_since(since));
        since.as_seconds()
    }

    #[test]
    fn a_burst_is_over_the_threshold_until_the_end_of_its_minute() {
        // Three in minute 1000, then one every 20 minutes.
        let uses = [60_000, 60_001, 60_002, 61_200, 62_400];
        assert_eq!(under_since(&uses, 2), 60_060);
        // By the hour alone, which answers for what is older, all of them may be close together.
        assert_eq!((under_since(&uses, 3), under_since(&uses, 5)), (62_400 - 3_600, 0));
    }

    #[test]
    fn minutes_that_a_quiet_period_cannot_both_meet_are_not_added_up() {
        // The first minute ends when the 16th begins; 15 min reach from one into the other.
        assert_eq!((under_since(&[0, 15 * 60], 1), under_since(&[0, 16 * 60], 1)), (60, 0));
    }

    #[test]
    fn what_was_forgotten_is_over_every_threshold() {
        let day = 86_400;
        assert_eq!(under_since(&[day / 2, 40 * day], 1_000), 8 * day);
        assert_eq!(under_since(&[day / 2, 32 * day], 1_000), 0);
    }

    proptest! {
        #[test]
        fn no_span_within_the_window_ever_holds_more_than_the_threshold(
            mut seconds in prop::collection::vec(0_i64..400_000, 1..80),
            threshold in 1_u64..6,
        ) {
            let said = under_since(&seconds, threshold);
            seconds.sort_unstable();
            let seen: Vec<i64> = seconds.iter().copied().filter(|s| *s >= said).collect();
            let most = seen.iter().map(|first| seen.iter().filter(|s| (*first..first + 900).contains(*s)).count());
            prop_assert!(most.max().unwrap_or(0) as u64 <= threshold);
        }
    }
}

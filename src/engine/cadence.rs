//! When a consumer uses a key: its bursts, the gaps between them, its sessions.
//!
//! Instants are kept to a second. Uses at most one second apart are one burst, so a steady
//! consumer costs one entry and every larger gap is known exactly. The set of bursts depends on
//! the set of instants alone, not on the order in which they came, until there are too many: then
//! neighbours further apart become one burst, and what is said of them errs to the strict side.

use std::time::Duration;

use crate::engine::policy::Policy;
use crate::engine::time::{Minute, Span, Timestamp};
use crate::engine::usage::Seconds;

/// Most bursts that are kept; beyond that, bursts further and further apart are joined.
///
/// 512 bursts are 8 KiB. A consumer that uses the key every minute fills them in 8.5 hours and
/// becomes a single burst with a reach of 64 s; its first and last use stay exact.
pub const MAX_BURSTS: usize = 512;

/// What is known of how long a consumer stays away between two sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cadence {
    /// Gaps between sessions that were seen: never too many.
    pub gaps: u64,
    /// The largest of them: never too small.
    pub largest: Duration,
}

impl Cadence {
    /// Returns the silence after which it counts as gone; `None` if too little is known of it.
    ///
    /// With n gaps seen, and any order of them as likely as any other, the chance that the next one is larger than
    /// the largest so far is at most 1/(n+1). The factor allows for what is not so even.
    pub fn bound(self, policy: &Policy) -> Option<Duration> {
        let known = self.gaps > 0 && self.gaps >= policy.cadence_min_samples;
        known.then(|| stretched(self.largest, policy.cadence_factor))
    }
}

/// Multiplies a duration; saturates.
pub fn stretched(gap: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(gap.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// The instants of a consumer's uses as disjoint bursts in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// First and last second of each burst; neighbours are more than `reach` apart.
    runs: Vec<(i64, i64)>,
    /// Uses at most this many seconds apart are one burst: 1 unless there were too many bursts.
    reach: i64,
    /// Largest gap that was hidden inside a burst, in seconds; never more than `reach`.
    hidden_gap: i64,
}

impl Default for Bursts {
    fn default() -> Self {
        Self { runs: Vec::new(), reach: 1, hidden_gap: 0 }
    }
}

impl Bursts {
    /// Takes stored bursts back, from the values of [`reach`](Self::reach),
    /// [`hidden_gap`](Self::hidden_gap) and [`stored`](Self::stored).
    ///
    /// `None` where these are values that no bursts have.
    pub fn restore(reach: i64, hidden_gap: i64, runs: Vec<(i64, i64)>) -> Option<Self> {
        let is_reach = reach > 0 && reach.cast_unsigned().is_power_of_two();
        let is_hidden = hidden_gap == 0 || (1 < hidden_gap && hidden_gap <= reach);
        let apart = |pair: &[(i64, i64)]| pair[1].0.saturating_sub(pair[0].1) > reach;
        let sound = runs.len() <= MAX_BURSTS
            && runs.iter().all(|(first, last)| first <= last)
            && runs.windows(2).all(apart);
        (is_reach && is_hidden && sound).then_some(Self { runs, reach, hidden_gap })
    }

    /// Returns how many seconds apart two uses of one burst may be.
    pub fn reach(&self) -> i64 {
        self.reach
    }

    /// Returns the largest gap that was hidden inside a burst, in seconds; 0 if none was.
    pub fn hidden_gap(&self) -> i64 {
        self.hidden_gap
    }

    /// Iterates over first and last second of each burst, in ascending order.
    pub fn stored(&self) -> impl ExactSizeIterator<Item = (i64, i64)> {
        self.runs.iter().copied()
    }

    /// Adds the given seconds of a minute.
    pub fn insert(&mut self, minute: Minute, seconds: Seconds) {
        let start = minute.start().as_seconds();
        for second in seconds.iter() {
            self.insert_second(start.saturating_add(second));
        }
    }

    fn insert_second(&mut self, second: i64) {
        // The first burst that ends within reach or later can take it; the usual case is the last.
        let earliest = second.saturating_sub(self.reach);
        let at = self.runs.partition_point(|&(_, last)| last < earliest);
        match self.runs.get_mut(at) {
            Some(burst) if burst.0 <= second.saturating_add(self.reach) => {
                let gap = burst.0.saturating_sub(second).max(second.saturating_sub(burst.1));
                burst.0 = burst.0.min(second);
                burst.1 = burst.1.max(second);
                self.hide(gap);
                self.join(at);
            }
            _ => {
                if self.runs.len() == MAX_BURSTS {
                    // By one, not by half: the bound on memory is the bound on bursts.
                    self.runs.reserve_exact(1);
                }
                self.runs.insert(at, (second, second));
            }
        }
        while self.runs.len() > MAX_BURSTS {
            self.reach = self.reach.saturating_mul(2);
            (0..self.runs.len()).rev().for_each(|at| self.join(at));
        }
    }

    /// Makes one burst of the one at `at` and the next, if they are within reach.
    fn join(&mut self, at: usize) {
        let (Some(&this), Some(&next)) = (self.runs.get(at), self.runs.get(at + 1)) else {
            return;
        };
        let gap = next.0.saturating_sub(this.1);
        if gap <= self.reach {
            self.hide(gap);
            self.runs[at].1 = next.1;
            self.runs.remove(at + 1);
        }
    }

    /// Neighbouring seconds have no gap between them.
    fn hide(&mut self, gap: i64) {
        if gap > 1 {
            self.hidden_gap = self.hidden_gap.max(gap);
        }
    }

    /// Tells whether there was no use.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Returns the bursts, each with the start of its first and of its last second.
    pub fn bursts(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let ends = |&(first, last)| (Timestamp::from_seconds(first), Timestamp::from_seconds(last));
        self.runs.iter().map(ends)
    }

    /// Returns the gaps between neighbouring bursts, each with the second before and after it.
    pub fn gaps(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.runs
            .windows(2)
            .map(|pair| (Timestamp::from_seconds(pair[0].1), Timestamp::from_seconds(pair[1].0)))
    }

    /// Returns the largest gap between two uses ever seen, to a second; zero for one burst.
    ///
    /// Never too small; once bursts were joined, too large by what may have come in between later.
    pub fn largest_gap(&self) -> Duration {
        // In whole seconds: a decision asks for it often, and there may be hundreds of bursts.
        let kept = self.runs.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].1)).max();
        let largest = kept.unwrap_or(0).max(self.hidden_gap);
        Duration::from_secs(u64::try_from(largest).unwrap_or(0))
    }

    /// Returns what is known of the gaps between sessions: uses at least `session_gap` apart.
    ///
    /// Instants are known to a second, so a gap that only may be as long is none. A gap in which
    /// evidence was `lost` (spans in ascending order that do not meet) may hold uses that nobody saw:
    /// it is not counted, although it may be the largest. Once bursts were joined over more than
    /// `session_gap`, the gaps inside them are not counted either.
    pub fn cadence(&self, session_gap: Duration, lost: &[Span]) -> Cadence {
        let whole = |before: Timestamp, after: Timestamp| {
            let next = lost.partition_point(|span| span.to < before);
            lost.get(next).is_none_or(|span| !span.meets(Span { from: before, to: after }))
        };
        let gaps = self
            .gaps()
            .filter(|(before, after)| after.since(*before) > session_gap && whole(*before, *after));
        match gaps.count() as u64 {
            0 => Cadence::default(),
            gaps => Cadence { gaps, largest: self.largest_gap() },
        }
    }

    /// Returns the number of sessions: never too many.
    pub fn sessions(&self, session_gap: Duration) -> u64 {
        if self.is_empty() { 0 } else { 1 + self.cadence(session_gap, &[]).gaps }
    }

    /// Returns the first second with a use that begins after `instant`.
    ///
    /// Never too early; once bursts were joined, the latest that it can be.
    pub fn first_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let second = instant.as_seconds();
        let at = self.runs.partition_point(|&(_, last)| last <= second);
        let within_reach = second.saturating_add(self.reach);
        self.runs.get(at).map(|&(first, last)| {
            let next = if first > second { first } else { within_reach.min(last) };
            Timestamp::from_seconds(next)
        })
    }

    /// Returns the start of the last second with a use.
    pub fn last(&self) -> Option<Timestamp> {
        self.runs.last().map(|&(_, last)| Timestamp::from_seconds(last))
    }

    /// Returns the start of the first second with a use.
    pub fn first(&self) -> Option<Timestamp> {
        self.runs.first().map(|&(first, _)| Timestamp::from_seconds(first))
    }
}

#[cfg(test)]
mod tests;

//! When something will be over if nothing else happens: every time that is told and not yet come.
//!
//! The watermark follows the time by the lateness as long as every source is heard. A consumer that
//! has moved by then demands nothing any more, so a required quiet may become shorter on the way.
//! Nothing is decided here: no rule stands or falls with a time that is told.

use std::time::Duration;

use crate::engine::answer::Blocker;
use crate::engine::case::Case;
use crate::engine::migration::Migrant;
use crate::engine::time::Timestamp;

impl Case<'_> {
    /// Returns when it is ready if nothing else happens; `None` if more than time is missing.
    pub fn earliest_ready_at(&self, blockers: &[Blocker]) -> Option<Timestamp> {
        if blockers.is_empty() {
            return Some(self.now);
        }
        // A recent use is listed alone; the quiet that must follow it is longer.
        let quiet = self.watermark.and(self.quiet_from()).map(|from| self.quiet_since(from));
        let clears: Option<Vec<Timestamp>> = blockers.iter().map(|b| b.clears_at).collect();
        Some(clears?.into_iter().chain(quiet).fold(self.now, Timestamp::max))
    }

    /// Returns the processing time at which the watermark can have reached `event_at`.
    pub fn reached_at(&self, event_at: Timestamp) -> Timestamp {
        event_at.plus(self.lateness).max(self.now)
    }

    /// Returns the processing time at which silence alone can have made a consumer moved.
    pub fn moved_after(&self, migrant: &Migrant<'_>) -> Option<Timestamp> {
        let silent_until = migrant.moves_by_silence_after(self.facts.policy)?;
        Some(self.passed_at(silent_until))
    }

    /// Returns the processing time at which silence alone can have made a consumer moved or gone.
    pub fn settled_after(&self, migrant: &Migrant<'_>) -> Option<Timestamp> {
        let gone = migrant.gone_after(self.facts.policy).map(|after| self.passed_at(after));
        self.moved_after(migrant).into_iter().chain(gone).min()
    }

    /// Returns the processing time at which the watermark can have passed `event_at`.
    fn passed_at(&self, event_at: Timestamp) -> Timestamp {
        self.reached_at(event_at.plus(Duration::from_nanos(1)))
    }

    /// Returns the event time at which `demand` is met if nothing else happens.
    ///
    /// `demand` tells it for a cadence that is demanded: a consumer that has moved by then demands
    /// nothing any more.
    pub fn soonest(&self, demand: impl Fn(Duration) -> Timestamp) -> Timestamp {
        let mut bounds: Vec<_> = self.demanding().collect();
        bounds.sort_unstable_by_key(|(bound, _)| std::cmp::Reverse(*bound));
        let longest = |from: usize| bounds.get(from).map_or(Duration::ZERO, |(bound, _)| *bound);
        let mut soonest = demand(longest(0));
        let mut all_moved = Timestamp::MIN;
        for (at, (_, moved)) in bounds.iter().enumerate() {
            let Some(moved) = moved else { break };
            all_moved = all_moved.max(*moved);
            soonest = soonest.min(demand(longest(at + 1)).max(all_moved));
        }
        soonest
    }

    /// Returns the processing time at which the required quiet since `from` can be over.
    pub fn quiet_since(&self, from: Timestamp) -> Timestamp {
        self.reached_at(self.soonest(|cadence| from.plus(self.required_quiet(cadence).1)))
    }

    /// Returns the processing time at which the evidence since `from` can be all that is needed.
    pub fn whole_since(&self, from: Timestamp) -> Timestamp {
        let least = self.tolerated.unwrap_or_default();
        let demand = |cadence| from.plus(self.required_quiet(least.max(cadence)).1);
        self.reached_at(self.soonest(demand))
    }
}

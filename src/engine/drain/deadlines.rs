//! When to decide anew: every moment at which an answer can change although nothing was read.

use std::time::Duration;

use crate::engine::drain::Drain;
use crate::engine::rotation::Phase;
use crate::engine::time::Timestamp;

impl Drain {
    /// Returns the next time after `now` at which an answer can change without any input.
    pub fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let answers = self.rotations.values().filter_map(|watched| watched.answer.as_ref());
        let clears = answers.flat_map(|answer| &answer.blockers).filter_map(|b| b.clears_at);
        let silences = self.sources.values().flat_map(|source| {
            let idle = source.decl.as_ref().map(|decl| decl.policy.idle_after);
            source.streams.values().filter_map(move |s| Some(s.record.last_line_at?.plus(idle?)))
        });
        let evidence = self.rotations.values().filter_map(|watched| {
            let (policy, _) = self.policy_of(&watched.rotation);
            Some(watched.answer.as_ref()?.watermark?.plus(policy.max_evidence_lag))
        });
        let milestones = self.rotations.values().filter_map(|w| w.milestones.look_again_at);
        let waivers = self.rotations.values().flat_map(|w| w.rotation.waived.values().copied());
        let open = self.rotations.values().filter(|w| w.rotation.phase == Phase::Open);
        let schedules = open.flat_map(|w| w.rotation.jobs.iter()).map(|job| &job.schedule);
        // The end of a run is where its blocker clears.
        let runs = schedules.filter_map(|schedule| schedule.as_ref().ok()?.next_after(now));
        // A bound is passed one instant after it is reached.
        let passed = silences.chain(evidence).map(|at| at.plus(Duration::from_nanos(1)));
        let told = waivers.chain(milestones).chain(runs);
        clears.chain(passed).chain(told).filter(|at| *at > now).min()
    }
}

//! Which declared jobs have run on the new key, and which of them a rotation still waits for.
//!
//! A use of the new key is a run of a job if it lies in a scheduled run, give or take the clocks:
//! of two jobs with one name the daily one does not speak for the monthly one, and neither does
//! what else goes on under the name. A run out of turn, by hand say, counts if nothing else does go
//! on: one process holds the key (`single`), or the name was seen with the old key in the runs of
//! its only job and never outside them; else if the journal tells of it.

use std::time::Duration;

use crate::engine::cadence::Bursts;
use crate::engine::job::ScheduledJob;
use crate::engine::migration::Migrant;
use crate::engine::readiness::Facts;
use crate::engine::time::Timestamp;
use crate::engine::usage::ConsumerKind;
use crate::engine::view::ConsumerState;

const INSTANT: Duration = Duration::from_nanos(1);

/// Most pairs of a use and a run that are compared; a job with more counts as not seen.
const MAX_COMPARED: usize = 4_096;

/// A declared job, and where it and its consumer stand.
pub struct JobStanding<'a> {
    pub scheduled: &'a ScheduledJob,
    /// Retired or waived: nothing is expected of it.
    excused: bool,
    /// Its consumer has moved in this rotation.
    moved: bool,
    /// Its consumer, if it was seen on the new key in this rotation: it may move by silence.
    pub came_over: Option<Migrant<'a>>,
    /// It had a run on the new key in this rotation.
    ran: bool,
}

impl JobStanding<'_> {
    /// Tells whether a run of it may use the old key.
    pub fn may_use_old_key(&self) -> bool {
        !self.excused && !self.moved
    }

    /// Tells whether a run on the new key is awaited.
    pub fn is_awaited(&self) -> bool {
        !self.excused && !self.ran
    }
}

/// Returns where each job of the rotation stands.
pub fn standings<'a>(facts: &Facts<'a>, migrants: &[Migrant<'a>]) -> Vec<JobStanding<'a>> {
    let jobs = facts.rotation.jobs.iter();
    let standings = jobs.map(|scheduled| {
        let name = &*scheduled.job.consumer;
        // A client that calls itself `anonymous` is not the pool; an address goes before a name.
        let named_so = migrants.iter().filter(|migrant| migrant.has_job_of(name));
        let consumer = named_so.max_by_key(|migrant| migrant.kind);
        let state = consumer.map_or(ConsumerState::Silent, |consumer| consumer.state);
        let accepted = consumer.and_then(|consumer| Some(&consumer.new?.accepted));
        let used = accepted.and_then(|accepted| Some((accepted, first_use(facts, accepted)?)));
        JobStanding {
            scheduled,
            excused: matches!(state, ConsumerState::Retired | ConsumerState::Waived),
            came_over: consumer.copied().filter(|_| used.is_some()),
            moved: matches!(state, ConsumerState::Moved | ConsumerState::NewOnly) && used.is_some(),
            ran: used.is_some_and(|(accepted, first)| {
                in_turn(facts, scheduled, accepted, first)
                    || consumer.is_some_and(|known| does_nothing_else(facts, scheduled, known))
                    || told_of(facts, scheduled, accepted, first)
            }),
        }
    });
    standings.collect()
}

/// Returns the first use of the new key that is none of an earlier rotation.
fn first_use(facts: &Facts<'_>, accepted: &Bursts) -> Option<Timestamp> {
    facts.keys_free_since.map_or(accepted.first(), |at| accepted.first_after(at))
}

/// Tells whether a use from `first` on lies in a scheduled run.
fn in_turn(
    facts: &Facts<'_>,
    scheduled: &ScheduledJob,
    accepted: &Bursts,
    first: Timestamp,
) -> bool {
    let Ok(schedule) = &scheduled.schedule else { return false };
    let skew = facts.policy.clock_skew;
    // There was a use at some time from the one to the other: in a burst that was joined it is not
    // known when.
    let (mut since, mut used) = (facts.keys_free_since.unwrap_or(first), first);
    for _ in 0..MAX_COMPARED {
        let earliest = used.minus(scheduled.job.max_runtime).minus(skew);
        let Some(run) = schedule.next_after(earliest) else { return false };
        let from = run.minus(skew);
        if from <= since {
            return true;
        }
        let Some(next) = accepted.first_after(from.minus(INSTANT)) else { return false };
        (since, used) = (from, next);
    }
    false
}

/// Tells whether the job is all that the consumer does, so that any use of it speaks for the job.
fn does_nothing_else(facts: &Facts<'_>, scheduled: &ScheduledJob, consumer: &Migrant<'_>) -> bool {
    if consumer.is_single() {
        return true;
    }
    let Ok(schedule) = &scheduled.schedule else { return false };
    let skew = facts.policy.clock_skew;
    let is_in_a_run = |(first, last): (Timestamp, Timestamp)| {
        let earliest = last.minus(scheduled.job.max_runtime).minus(skew);
        schedule.next_after(earliest).is_some_and(|run| run.minus(skew) <= first)
    };
    // Of one that was never seen on the old key nobody knows what else it does, and an address may
    // be that of many.
    let Some(old) = consumer.old.filter(|_| consumer.kind == ConsumerKind::Named) else {
        return false;
    };
    is_only_job(facts, scheduled) && old.presented.bursts().all(is_in_a_run)
}

fn is_only_job(facts: &Facts<'_>, scheduled: &ScheduledJob) -> bool {
    let name = &scheduled.job.consumer;
    facts.rotation.jobs.iter().filter(|other| other.job.consumer == *name).count() == 1
}

/// Tells whether a use from `first` on lies in a run that the journal tells of.
fn told_of(
    facts: &Facts<'_>,
    scheduled: &ScheduledJob,
    accepted: &Bursts,
    first: Timestamp,
) -> bool {
    let rotation = facts.rotation;
    let name = &scheduled.job.consumer;
    if !is_only_job(facts, scheduled) {
        return false;
    }
    let told = rotation.finished_jobs.iter().filter(|(consumer, _)| consumer == name);
    told.map(|(_, span)| span).any(|span| {
        let used = accepted.first_after(span.from.max(first).minus(INSTANT));
        used.is_some_and(|used| used < span.to)
    })
}

//! Rules about scheduled jobs. They compare with now, never with the watermark.

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::job::ScheduledJob;

pub(super) fn job_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for (name, (since, _)) in &case.facts.rotation.running_jobs {
        let message =
            format!("a job of {name} was started and has not finished; record job_finished");
        out.push(Blocker::new(Code::JobRunning, name, message).since(Some(*since)));
    }
    for standing in case.jobs.iter().filter(|standing| standing.may_use_old_key()) {
        let scheduled = standing.scheduled;
        let name = &*scheduled.job.consumer;
        let schedule = match &scheduled.schedule {
            Ok(schedule) => schedule,
            Err(error) => {
                let message = format!(
                    "the schedule of a job of {name} {error}: it counts as running; it clears when {name} \
                     has moved, or retire or waive it"
                );
                out.push(Blocker::new(Code::JobRunning, name, message));
                continue;
            }
        };
        let Some(running) = schedule.running(case.now, scheduled.job.max_runtime) else { continue };
        let ends = running.until.map_or_else(
            || "its runs follow one another without a pause".to_owned(),
            |until| format!("it clears when the run ends, at {until}"),
        );
        let message = format!(
            "{} may be in a run now and {name} has not moved; {ends}, or when {name} has moved",
            said(scheduled)
        );
        let blocker = Blocker::new(Code::JobRunning, name, message).since(Some(running.since));
        let moved_at = standing.came_over.and_then(|consumer| case.moved_after(&consumer));
        let clears_at = running.until.into_iter().chain(moved_at).min();
        out.push(Blocker { clears_at, ..blocker });
    }
}

pub(super) fn job_not_seen(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for standing in case.jobs.iter().filter(|standing| standing.is_awaited()) {
        let scheduled = standing.scheduled;
        let next = match &scheduled.schedule {
            Ok(schedule) => schedule.next_after(case.now).map_or_else(
                || ", none of which is near".to_owned(),
                |at| format!(", the next at {at}"),
            ),
            Err(error) => format!(", but its schedule {error}"),
        };
        let message = format!(
            "{} has had no run on {new}; it clears with a use of {new} in a scheduled run{next}, or retire \
             or waive it",
            said(scheduled),
            new = case.new_name()
        );
        out.push(Blocker::new(Code::JobNotSeen, &scheduled.job.consumer, message));
    }
}

/// Names a job by its schedule and its consumer.
fn said(scheduled: &ScheduledJob) -> String {
    let job = &scheduled.job;
    let zone = job.zone.as_deref().map(|zone| format!(" {zone}")).unwrap_or_default();
    format!("the job \"{}{zone}\" of {}", job.schedule, job.consumer)
}

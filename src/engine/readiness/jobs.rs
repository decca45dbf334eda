//! Rules about scheduled jobs.

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;

pub(super) fn job_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for (name, (since, _)) in &case.facts.rotation.running_jobs {
        let message =
            format!("a job of {name} was started and has not finished; record job_finished");
        out.push(Blocker::new(Code::JobRunning, name, message).since(Some(*since)));
    }
}

pub(super) fn job_not_seen(_case: &Case<'_>, _out: &mut Vec<Blocker>) {}

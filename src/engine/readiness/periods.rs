//! Rules about periods that must be over. They compare with now, never with the watermark.

use std::time::Duration;

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::wording::humane;

pub(super) fn min_overlap(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let policy = case.facts.policy;
    let roster = &case.facts.rotation.declaration.roster;
    let third_party = policy.third_party || roster.iter().any(|entry| entry.third_party);
    let hours = |n: u64| Duration::from_secs(n * 3_600);
    let required = policy.min_overlap.unwrap_or(if third_party { hours(72) } else { hours(1) });
    let Some(begun) = case.overlap_began() else { return };
    let ends = begun.plus(required);
    if case.now < ends {
        let message = format!(
            "both keys must stay valid for {}; {} to go",
            humane(required),
            humane(ends.since(case.now))
        );
        out.push(Blocker::new(Code::MinOverlap, "*", message).since(Some(begun)).clears(ends));
    }
}

pub(super) fn notice_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let period = case.facts.policy.notice_period;
    if period.is_zero() {
        return;
    }
    match case.facts.rotation.notified_at {
        None => {
            let message = format!(
                "consumers must have {} of notice and were not notified; record consumers_notified",
                humane(period)
            );
            out.push(Blocker::new(Code::NoticeRunning, "*", message));
        }
        Some(notified) if case.now < notified.plus(period) => {
            let ends = notified.plus(period);
            let message =
                format!("the notice given to consumers ends in {}", humane(ends.since(case.now)));
            out.push(
                Blocker::new(Code::NoticeRunning, "*", message).since(Some(notified)).clears(ends),
            );
        }
        Some(_) => {}
    }
}

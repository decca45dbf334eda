//! Rules about periods that must be over. They compare with now, never with the watermark.

use std::time::Duration;

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::migration::Migrant;
use crate::engine::view::ConsumerState;
use crate::engine::wording::humane;

pub(super) fn min_overlap(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let policy = case.facts.policy;
    let required = policy.least_overlap(&case.facts.rotation.declaration.roster);
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
    out.extend(notice(case, case.facts.policy.notice_period, "*", "consumers"));
    for migrant in case.migrants.iter().filter(|m| !is_let_off(m)) {
        let own = migrant.roster.and_then(|entry| entry.notice_period);
        out.extend(notice(case, own.unwrap_or_default(), migrant.name, &migrant.shown()));
    }
}

/// Tells whether a consumer is owed no notice: declared not to exist, or excused until a date.
fn is_let_off(migrant: &Migrant<'_>) -> bool {
    matches!(migrant.state, ConsumerState::Waived | ConsumerState::Retired)
}

/// Returns what stands as long as the notice of `period` given to `whom` is not over.
fn notice(case: &Case<'_>, period: Duration, subject: &str, whom: &str) -> Option<Blocker> {
    if period.is_zero() {
        return None;
    }
    let Some(notified) = case.facts.rotation.notified_at else {
        let message = format!(
            "{whom} must have {} of notice and were not notified; record consumers_notified",
            humane(period)
        );
        return Some(Blocker::new(Code::NoticeRunning, subject, message));
    };
    let ends = notified.plus(period);
    let message = format!("the notice given to {whom} ends in {}", humane(ends.since(case.now)));
    let standing = Blocker::new(Code::NoticeRunning, subject, message);
    (case.now < ends).then(|| standing.since(Some(notified)).clears(ends))
}

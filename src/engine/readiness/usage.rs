//! Rules about the keys: who presents the old one, and how long it has been quiet.

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::rotation::Attestation;
use crate::engine::sessions::MAX_CHILDREN;
use crate::engine::usage::Outcome;
use crate::engine::wording::humane;

pub(super) fn old_key_in_use(case: &Case<'_>, out: &mut Vec<Blocker>) {
    case.recent_use(Code::OldKeyInUse, &[Outcome::Accepted, Outcome::Failed], "used", out);
}

pub(super) fn old_key_denied(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let denied = [Outcome::Unauthenticated, Outcome::Forbidden];
    case.recent_use(Code::OldKeyDenied, &denied, "presented and denied", out);
}

pub(super) fn old_key_unseen(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let attested = case.facts.rotation.attested.contains(&Attestation::OldKeyUnused);
    let seen = case.facts.ledger.of_key(case.old_key()).is_some_and(|uses| !uses.is_empty());
    if !seen && !attested {
        let message = format!(
            "no line with {} was ever read: the key may be declared wrong; send one request with it, \
             or attest old_key_unused",
            case.old_name()
        );
        out.push(Blocker::new(Code::OldKeyUnseen, case.old_name(), message));
    }
}

pub(super) fn quiet_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let Some(watermark) = case.watermark else { return };
    let Some(quiet_from) = case.quiet_from() else { return };
    // Within the quiet period the presentation itself is the blocker.
    let in_use = case.last_old.is_some_and(|last| last > case.recent_edge());
    let ends = quiet_from.plus(case.window.required);
    if !in_use && watermark < ends {
        let message = format!(
            "{} quiet for {} of {}",
            case.old_name(),
            humane(watermark.since(quiet_from)),
            humane(case.window.required)
        );
        let clears = case.quiet_since(quiet_from);
        let blocker = Blocker::new(Code::QuietRunning, case.old_name(), message);
        out.push(blocker.since(Some(quiet_from)).clears(clears));
    }
}

/// More sessions than are kept apart: what the others do is not seen to be a use of A.
pub(super) fn session_limit(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let Some(beyond) = case.issues.and_then(|issues| issues.beyond) else { return };
    if beyond > case.evidence_from() {
        let message = format!(
            "more than {MAX_CHILDREN} sessions of {} live at a time, and the use of those beyond is \
             not seen; it clears when they have ended",
            case.old_name()
        );
        let clears = case.whole_since(beyond);
        let blocker = Blocker::new(Code::ConsumerLimit, "*", message);
        out.push(blocker.since(Some(beyond)).clears(clears));
    }
}

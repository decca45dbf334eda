//! Rules about the state of the rotation and of the new key.

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::new_key;
use crate::engine::rotation::Phase;
use crate::engine::time::Timestamp;
use crate::engine::usage::ConsumerKind;
use crate::engine::wording::{humane, percent};

pub(super) fn incident_open(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Some(since) = case.facts.rotation.incident_since {
        let message = "an incident of this rotation is open; record incident_closed".to_owned();
        out.push(Blocker::new(Code::IncidentOpen, "*", message).since(Some(since)));
    }
}

pub(super) fn hold(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Some(since) = case.facts.rotation.hold_since {
        let message = "an operator holds the rotation; record release to lift it".to_owned();
        out.push(Blocker::new(Code::Hold, "*", message).since(Some(since)));
    }
}

pub(super) fn rolled_back(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Phase::RolledBack(at) = case.facts.rotation.phase {
        let message = "the rotation was rolled back; start a new one".to_owned();
        out.push(Blocker::new(Code::RolledBack, "*", message).since(Some(at)));
    }
}

pub(super) fn wrong_phase(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Phase::Revoked(at) = case.facts.rotation.phase {
        let message = format!("{} is recorded as revoked: nothing to decide", case.old_name());
        out.push(Blocker::new(Code::WrongPhase, "*", message).since(Some(at)));
    }
}

pub(super) fn new_key_unused(case: &Case<'_>, out: &mut Vec<Blocker>) {
    // A health check may be among the consumers beyond the bound.
    let others = ConsumerKind::Others;
    let news = case.migrants.iter().filter(|it| !it.is_synthetic() && it.kind != others);
    // One of an earlier rotation of the key does not say where it went in this one.
    let is_of_this = |last: &Timestamp| case.facts.keys_free_since.is_none_or(|ends| *last > ends);
    let last_new = news.filter_map(|migrant| migrant.new?.accepted.last()).filter(is_of_this).max();
    let used = match (last_new, case.last_old) {
        (Some(new), Some(old)) => new > old,
        (new, None) => new.is_some(),
        (None, Some(_)) => false,
    };
    if !used {
        let message = format!(
            "no accepted use of {} after the last use of {}{}: the new key may have gone to the wrong place",
            case.new_name(),
            case.old_name(),
            case.in_this_rotation()
        );
        out.push(Blocker::new(Code::NewKeyUnused, case.new_name(), message).since(last_new));
    }
}

/// Judged over the last hour, or `canary_period` where that is longer, since both keys are valid.
pub(super) fn new_key_failing(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let bound = case.facts.policy.new_key_denied_ratio;
    for failing in new_key::failing(case) {
        let to_whom = failing.consumer.map_or_else(String::new, |name| format!(" of {name}"));
        let message = format!(
            "{} was denied in {} of {} requests{to_whom} in the last {}, more than {}; see what the \
             server refuses, or waive the consumer",
            case.new_name(),
            failing.requests.denied,
            failing.requests.all,
            humane(new_key::span(case)),
            percent(bound),
        );
        let subject = failing.consumer.unwrap_or(case.new_name());
        out.push(Blocker::new(Code::NewKeyFailing, subject, message).clears(failing.clears_at));
    }
}

//! Rules about consumers: who has not moved, and who may still hold the old key.

use std::time::Duration;

use crate::engine::answer::{Blocker, Code};
use crate::engine::case::Case;
use crate::engine::ledger::MAX_NAME_BYTES;
use crate::engine::migration::Migrant;
use crate::engine::policy::Policy;
use crate::engine::time::Timestamp;
use crate::engine::usage::ConsumerKind;
use crate::engine::view::ConsumerState;
use crate::engine::wording::humane;

pub(super) fn consumer_regressed(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for migrant in case.expected_to_move(&[ConsumerState::Regressed]) {
        let message = format!(
            "{} had moved and used {} again; it clears when it has moved anew, or retire or waive it",
            migrant.shown(),
            case.old_name()
        );
        let standing = Blocker::new(Code::ConsumerRegressed, migrant.name, message);
        let clears_at = case.moved_after(migrant);
        out.push(Blocker { clears_at, ..standing.since(migrant.last_old()) });
    }
}

pub(super) fn exposure_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let Some(watermark) = case.watermark else { return };
    let policy = case.facts.policy;
    let mut expose =
        |subject: &str, from: Option<Timestamp>, ttl: Duration, connection: Duration| {
            let exposure = ttl.saturating_add(connection);
            let base = from.max(case.facts.rotation.propagated_at).max(case.observing_since);
            if let Some(base) = base.filter(|_| !exposure.is_zero())
                && watermark < base.plus(exposure)
            {
                let message = format!(
                    "caches and connections may hold {} for {} after the change",
                    case.old_name(),
                    humane(exposure)
                );
                let clears = case.reached_at(base.plus(exposure));
                let blocker = Blocker::new(Code::ExposureRunning, subject, message);
                out.push(blocker.since(Some(base)).clears(clears));
            }
        };
    // Until its first use of the new key a consumer may open connections with the old one.
    let from = case.last_old.max(case.last_move());
    expose("*", from, policy.max_cache_ttl, policy.max_connection_lifetime);
    for migrant in &case.migrants {
        if let Some(entry) = migrant.roster.filter(|_| !migrant.is_out_of_account()) {
            let from = migrant.last_old().max(migrant.moved_at());
            expose(migrant.name, from, entry.max_cache_ttl, entry.max_connection_lifetime);
        }
    }
}

pub(super) fn consumer_not_moved(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for migrant in case.expected_to_move(&[ConsumerState::OnOld, ConsumerState::Mixed]) {
        let known = cadence_in_words(migrant, case.facts.policy);
        let message = match migrant.state {
            ConsumerState::OnOld => format!(
                "{} was only seen on {}{}; it clears with its use of {}, or retire or waive it; {known}",
                migrant.shown(),
                case.old_name(),
                case.in_this_rotation(),
                case.new_name()
            ),
            _ => format!(
                "{} uses both keys; it counts as moved after {} without {} and a use of {} since, or \
                 retire or waive it; {known}",
                migrant.shown(),
                humane(migrant.silence_to_move(case.facts.policy)),
                case.old_name(),
                case.new_name()
            ),
        };
        let standing = Blocker::new(Code::ConsumerNotMoved, migrant.name, message);
        let clears_at = case.settled_after(migrant);
        out.push(Blocker { clears_at, ..standing.since(migrant.last_old()) });
    }
}

/// Says what is known of a consumer's cadence, and whether silence alone can mean that it is gone.
fn cadence_in_words(migrant: &Migrant<'_>, policy: &Policy) -> String {
    let cadence = migrant.cadence;
    let most = match cadence.gaps {
        0 => String::new(),
        _ => format!(", at most {} long", humane(cadence.largest)),
    };
    let gaps = cadence.gaps;
    match cadence.bound(policy) {
        Some(bound) => format!(
            "it counts as gone when silent for more than {} ({gaps} gaps between its sessions \
             known{most})",
            humane(bound)
        ),
        None => format!(
            "silence cannot mean that it is gone ({gaps} of {} gaps between its sessions \
             known{most})",
            policy.cadence_min_samples
        ),
    }
}

pub(super) fn consumer_missing(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for migrant in case.expected_to_move(&[ConsumerState::Silent]) {
        // One that is gone was seen.
        if migrant.roster.is_some() && migrant.old.is_none() {
            let message = format!(
                "{} is on the roster and was never seen with an accepted key{}; it clears with its use of \
                 {}, or retire it",
                migrant.shown(),
                case.in_this_rotation(),
                case.new_name()
            );
            out.push(Blocker::new(Code::ConsumerMissing, migrant.name, message));
        }
    }
}

/// Stands for each key that had more consumers than are kept apart, until the journal retires or
/// waives them as `(others)`.
///
/// Of A: one of the others may be silent since long, and hold A still. Of B: what one of them does
/// with B is not seen, so nobody can say for whom B fails.
pub(super) fn consumer_limit(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let others = case.migrants.iter().find(|migrant| migrant.kind == ConsumerKind::Others);
    let excused = [ConsumerState::Retired, ConsumerState::Waived];
    let Some(others) = others.filter(|others| !excused.contains(&others.state)) else { return };
    for (key, uses) in [(case.old_name(), others.old), (case.new_name(), others.new)] {
        let Some(uses) = uses else { continue };
        let message = format!(
            "more than {} consumers presented {key}, or one with a name of more than {MAX_NAME_BYTES} \
             bytes: the rest is one consumer, {others}; map them to fewer names with [[consumer_map]], \
             then retire or waive {others}",
            case.facts.ledger.limit(),
            others = others.name
        );
        out.push(Blocker::new(Code::ConsumerLimit, key, message).since(uses.first_seen));
    }
}

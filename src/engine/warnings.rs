//! The remarks beside a verdict: they never block.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::answer::{Warning, WarningCode};
use crate::engine::case::Case;
use crate::engine::credential::SourceName;
use crate::engine::distinct::Distinct;
use crate::engine::evidence::Source;
use crate::engine::ledger::KeyUse;
use crate::engine::rotation::Phase;
use crate::engine::standing;
use crate::engine::usage::{Consumer, ConsumerKind, Outcome};
use crate::engine::wording::humane;

/// Returns all warnings of a case, without repeats, in order of code and subject.
pub(super) fn warnings(case: &Case<'_>) -> Vec<Warning> {
    let mut found = Vec::new();
    overlap(case, &mut found);
    inferred(case, &mut found);
    sources(case, &mut found);
    sparse(case, &mut found);
    threshold(case, &mut found);
    unidentified(case, &mut found);
    consumer_limit(case, &mut found);
    found.sort_by(|a, b| (a.code, &a.subject).cmp(&(b.code, &b.subject)));
    found.dedup_by(|a, b| (a.code, &a.subject) == (b.code, &b.subject));
    found
}

fn unidentified(case: &Case<'_>, found: &mut Vec<Warning>) {
    let unknown = || case.migrants.iter().filter(|one| one.roster.is_none());
    if unknown().any(|one| one.kind == ConsumerKind::Pool) {
        let mut addresses = Distinct::default();
        for key in [case.old_key(), case.new_key()] {
            if let Some(used) = case.facts.ledger.key(key) {
                addresses.unite(&used.pool);
            }
        }
        let about = if addresses.is_exact() { "" } else { "about " };
        let who = match addresses.count() {
            0 => "requests that tell nobody are".to_owned(),
            1 => "1 address is".to_owned(),
            many => format!("{about}{many} addresses are"),
        };
        let message = format!(
            "{who} pooled as one consumer; log a client name, or map them, to tell them apart"
        );
        found.push(warning(WarningCode::ConsumersUnidentified, Consumer::POOL, message));
    }
    let apart = unknown().filter(|one| one.kind == ConsumerKind::Address).count();
    if apart > 0 {
        let message = format!(
            "consumers known only by their address or user agent: {apart}; what shares one counts as \
             one, and what changes it as another"
        );
        found.push(warning(WarningCode::ConsumersUnidentified, "*", message));
    }
}

/// Said from four fifths of the bound on.
fn consumer_limit(case: &Case<'_>, found: &mut Vec<Warning>) {
    let limit = case.facts.ledger.limit();
    for (key, name) in [(case.old_key(), case.old_name()), (case.new_key(), case.new_name())] {
        let kept_apart = case.facts.ledger.key(key).map_or(0, KeyUse::kept_apart);
        if kept_apart > 0 && kept_apart.saturating_mul(5) >= limit.saturating_mul(4) {
            let message = format!(
                "{kept_apart} consumers presented {name}, at most {limit} are kept apart; map them to \
                 fewer names with [[consumer_map]]"
            );
            found.push(warning(WarningCode::ConsumerLimitNear, name, message));
        }
    }
}

fn overlap(case: &Case<'_>, found: &mut Vec<Warning>) {
    let rotation = case.facts.rotation;
    let began = case.overlap_began();
    let allocated = rotation.declaration.overlap.unwrap_or(case.facts.policy.max_overlap);
    let due = began.unwrap_or(rotation.started_at).plus(allocated);
    if rotation.phase == Phase::Open && case.now > due {
        let message = format!(
            "the overlap was to last {} and is over since {}",
            humane(allocated),
            humane(case.now.since(due))
        );
        found.push(warning(WarningCode::OverlapOverdue, "*", message));
    }
}

/// Phases that nobody told: taken from the log.
fn inferred(case: &Case<'_>, found: &mut Vec<Warning>) {
    let rotation = case.facts.rotation;
    if rotation.dual_accept_at.is_none() && case.overlap_began().is_some() {
        let message = "dual_accept_enabled was not recorded: taken from the first accepted use of the \
                       new key";
        found.push(warning(WarningCode::InferredFact, "dual_accept_enabled", message.to_owned()));
    }
    let policy = case.facts.policy;
    let holds = |ttl: Duration, connection: Duration| !ttl.is_zero() || !connection.is_zero();
    let exposed = holds(policy.max_cache_ttl, policy.max_connection_lifetime)
        || (rotation.declaration.roster.iter())
            .any(|entry| holds(entry.max_cache_ttl, entry.max_connection_lifetime));
    if let Some(last) = case.last_move().filter(|_| exposed && rotation.propagated_at.is_none()) {
        let message = format!(
            "propagated was not recorded: exposure counts from the last move of a consumer that the log \
             shows, at {last}"
        );
        found.push(warning(WarningCode::InferredFact, "propagated", message));
    }
}

/// The silence says little: uses as rare as before could be absent by chance.
///
/// Before it fell silent the key was presented n times in a time S. At that rate fewer than three
/// presentations would be expected in the required quiet (or in the quiet so far, where that is
/// longer): then silence does not exclude, at 95 %, that nothing has changed (rule of three). Where
/// less was observed than the quiet lasts, S counts as that long: two uses in a minute are no rate.
fn sparse(case: &Case<'_>, found: &mut Vec<Warning>) {
    let (Some(watermark), Some(began)) = (case.watermark, case.observing_since) else { return };
    let (rotation, now) = (case.facts.rotation, case.now);
    let uses = case.migrants.iter().filter(|m| !m.is_excused(rotation, now)).filter_map(|m| m.old);
    let (mut seen, mut first) = (0_u64, began);
    for uses in uses {
        seen = uses.counts.iter().fold(seen, |sum, count| sum.saturating_add(*count));
        first = first.min(uses.first_seen.unwrap_or(first));
    }
    let quiet = case.quiet_from().map_or(Duration::ZERO, |from| watermark.since(from));
    let quiet = quiet.max(case.window.required);
    let before = case.last_old.map_or(Duration::ZERO, |last| last.since(first)).max(quiet);
    if u128::from(seen) * quiet.as_nanos() < 3 * before.as_nanos() {
        let message = format!(
            "{} was presented {seen} times in {} before it fell silent: at that rate fewer than 3 times \
             in {}, so silence alone says little; a longer quiet_period says more",
            case.old_name(),
            humane(before),
            humane(quiet)
        );
        found.push(warning(WarningCode::SparseEvidence, case.old_name(), message));
    }
}

/// Whom the revocation would cut off: who is tolerated.
fn threshold(case: &Case<'_>, found: &mut Vec<Warning>) {
    let policy = case.facts.policy;
    for migrant in case.migrants.iter().filter(|migrant| migrant.tolerated) {
        let Some(old) = migrant.old else { continue };
        let all: u64 = Outcome::ALL.map(|outcome| old.counts[outcome as usize]).iter().sum();
        let last = old.counts_until.map_or(Duration::ZERO, |last| case.now.since(last));
        let message = format!(
            "revoking {} would cut off {}: {all} presentations, the last {} ago; up to {} in {} are \
             tolerated",
            case.old_name(),
            migrant.shown(),
            humane(last),
            policy.threshold,
            humane(policy.quiet_period)
        );
        found.push(warning(WarningCode::ThresholdUsed, migrant.name, message));
    }
}

fn sources(case: &Case<'_>, found: &mut Vec<Warning>) {
    let from = case.evidence_from();
    for (name, source) in case.sources.iter().filter_map(|(name, source)| Some((name, (*source)?)))
    {
        unproved_places(case, name, source, found);
        for gap in source.gaps.iter().filter(|gap| gap.span.to <= from) {
            let message =
                format!("lines before {} are lost ({})", gap.span.to, gap.reason.as_str());
            found.push(warning(WarningCode::HistoryGap, gap.stream.as_str(), message));
        }
        if let Some(decl) = source.decl.as_ref().filter(|decl| decl.policy.lateness_assumed) {
            let message = format!(
                "lines are assumed to be at most {} late, less than the format's own bound",
                humane(decl.policy.allowed_lateness)
            );
            found.push(warning(WarningCode::AssumedLateness, name.as_str(), message));
        }
        for weak in source.status.iter().flat_map(|status| &status.weak) {
            let message = format!("{}: {}", weak.name, weak.weakness.says());
            found.push(warning(WarningCode::WeakFileSystem, &weak.path, message));
        }
        let assumed = source.streams.iter().filter(|(_, stream)| stream.record.frontier_assumed);
        for (stream, _) in assumed {
            let message = "its silence is declared to be idleness".to_owned();
            found.push(warning(WarningCode::AssumedIdle, stream.as_str(), message));
        }
    }
    let known = case.sources.iter().filter_map(|(_, source)| *source);
    for source in known.chain(case.best_effort.iter().map(|(_, source)| *source)) {
        for (path, why) in source.status.iter().flat_map(|status| &status.refused) {
            found.push(warning(WarningCode::RefusedPath, path, format!("not read: {why}")));
        }
    }
}

/// A place that never showed a key may be misspelt, or one that no client uses.
fn unproved_places(case: &Case<'_>, name: &SourceName, source: &Source, found: &mut Vec<Warning>) {
    let counted =
        source.streams.iter().filter(|(stream, _)| case.facts.rotation.counts_stream(name, stream));
    let shown: BTreeSet<_> = counted.flat_map(|(_, of)| of.record.places_seen.keys()).collect();
    for place in standing::listed_places(source).filter(|place| !shown.contains(place)) {
        let message = format!(
            "{place} never showed a key: a key that is presented there may not be seen; send one \
             request with a key there, or take it off the source's credential"
        );
        found.push(warning(WarningCode::PlaceUnproved, &format!("{name}/{place}"), message));
    }
}

fn warning(code: WarningCode, subject: &str, message: String) -> Warning {
    Warning { code, subject: subject.to_owned(), message }
}

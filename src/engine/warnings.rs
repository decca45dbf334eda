//! The remarks beside a verdict: they never block.

use crate::engine::answer::{Warning, WarningCode};
use crate::engine::case::Case;
use crate::engine::distinct::Distinct;
use crate::engine::rotation::Phase;
use crate::engine::usage::{Consumer, ConsumerKind};
use crate::engine::wording::humane;

/// Returns all warnings of a case, without repeats, in order of code and subject.
pub(super) fn warnings(case: &Case<'_>) -> Vec<Warning> {
    let mut found = Vec::new();
    overlap(case, &mut found);
    sources(case, &mut found);
    unidentified(case, &mut found);
    found.sort_by(|a, b| (a.code, &a.subject).cmp(&(b.code, &b.subject)));
    found.dedup_by(|a, b| (a.code, &a.subject) == (b.code, &b.subject));
    found
}

fn unidentified(case: &Case<'_>, found: &mut Vec<Warning>) {
    let unknown = || case.migrants.iter().filter(|one| !one.named && one.roster.is_none());
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
    if rotation.dual_accept_at.is_none() && began.is_some() {
        let message = "dual_accept_enabled was not recorded: taken from the first accepted use of the \
                       new key";
        found.push(warning(WarningCode::InferredFact, "dual_accept_enabled", message.to_owned()));
    }
}

fn sources(case: &Case<'_>, found: &mut Vec<Warning>) {
    let from = case.window.span.map_or(case.now.minus(case.window.required), |span| span.from);
    for (name, source) in case.sources.iter().filter_map(|(name, source)| Some((name, (*source)?)))
    {
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
        let assumed = source.streams.iter().filter(|(_, stream)| stream.record.frontier_assumed);
        for (stream, _) in assumed {
            let message = "its silence is declared to be idleness".to_owned();
            found.push(warning(WarningCode::AssumedIdle, stream.as_str(), message));
        }
        for (path, why) in source.status.iter().flat_map(|status| &status.refused) {
            found.push(warning(WarningCode::RefusedPath, path, format!("not read: {why}")));
        }
    }
}

fn warning(code: WarningCode, subject: &str, message: String) -> Warning {
    Warning { code, subject: subject.to_owned(), message }
}

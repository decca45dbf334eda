//! The decision, alone: facts, policy and `now` in, an [`Answer`] with every reason out.
//!
//! ```text
//! any proof blocker     -> not_ready    something was seen that stands against it
//! any evidence blocker  -> unknown      something was not seen that had to be
//! any absence blocker   -> not_ready    evidence is complete, and the quiet is not
//! none                  -> ready
//! ```
//!
//! Each blocker is one rule below, in the order in which they are listed in the answer. A rule
//! that cannot know counts as standing. Invariant: no rule reads a clock, and nothing that is
//! missing makes a rule pass.

use std::time::Duration;

use crate::engine::answer::{Answer, Blocker, Code, Ground, Verdict};
use crate::engine::case::Case;
use crate::engine::credential::SourceName;
use crate::engine::evidence::Source;
use crate::engine::ledger::Ledger;
use crate::engine::migration::Migrant;
use crate::engine::policy::Policy;
use crate::engine::rotation::{Attestation, Phase, Rotation};
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::Outcome;
use crate::engine::view::ConsumerState;
use crate::engine::wording::humane;
use crate::engine::{migration, source_rules, warnings};

/// Everything the decision rests on, besides `now`.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The rotation as its journal tells it.
    pub rotation: &'a Rotation,
    /// What is demanded.
    pub policy: &'a Policy,
    /// The pinned sources; `None` where nothing was ever known of one.
    pub sources: Vec<(&'a SourceName, Option<&'a Source>)>,
    /// Who presented which key.
    pub ledger: &'a Ledger,
    /// Spans in which the clock is not to be trusted.
    pub clock_suspects: &'a [Span],
    /// When the last earlier rotation that had the new key in it ended, if there was one.
    pub keys_free_since: Option<Timestamp>,
    /// Number of violations recorded for the rotation.
    pub violations: usize,
    /// Sequence of the newest journal entry of the rotation.
    pub journal_sequence: u64,
    /// Digest of the policy.
    pub policy_digest: &'a str,
    /// Since when this policy has held, if another one held before in the same rotation.
    pub policy_since: Option<Timestamp>,
    /// Whether the configuration still names the credential.
    pub configured: bool,
}

/// Decides. Pure: the same facts and the same `now` give the same answer. O(consumers + streams).
pub fn decide(facts: &Facts<'_>, now: Timestamp) -> Answer {
    let case = Case::new(facts, now);
    let mut blockers = Vec::new();
    for rule in RULES {
        rule(&case, &mut blockers);
    }
    let verdict = verdict_of(&blockers);
    let declaration = &facts.rotation.declaration;
    let waiver_ends = case.migrants.iter().filter(|m| m.is_waived(facts.rotation, now));
    let waiver_ends = waiver_ends.filter_map(|m| facts.rotation.waived.get(m.name)).min().copied();
    let lease_end = now.plus(facts.policy.lease);
    Answer {
        rotation: declaration.id.clone(),
        credential: declaration.credential.clone(),
        verdict,
        message: case.message(blockers.first()),
        warnings: warnings::warnings(&case),
        old_key: case.key_counts(&declaration.old_key),
        new_key: case.key_counts(&declaration.new_key),
        watermark: case.watermark,
        observing_since: case.observing_since,
        sources: case.summaries(),
        consumers: migration::count(&case.migrants),
        earliest_ready_at: case.earliest_ready_at(&blockers),
        evaluated_at: now,
        valid_until: waiver_ends.map_or(lease_end, |ends| lease_end.min(ends)),
        epoch: case.epoch(verdict, &blockers),
        window: case.window,
        blockers,
    }
}

/// Returns the verdict that follows from the blockers that stand.
fn verdict_of(blockers: &[Blocker]) -> Verdict {
    match blockers.iter().map(|blocker| blocker.code.ground()).min() {
        Some(Ground::Proof | Ground::Absence) => Verdict::NotReady,
        Some(Ground::Evidence) => Verdict::Unknown,
        None => Verdict::Ready,
    }
}

type Rule = fn(&Case<'_>, &mut Vec<Blocker>);

/// The rules, in the order of precedence and of [`Code::ALL`].
const RULES: [Rule; 23] = [
    old_key_in_use,
    old_key_denied,
    consumer_regressed,
    job_running,
    min_overlap,
    notice_running,
    incident_open,
    hold,
    rolled_back,
    wrong_phase,
    source_rules::source_behind,
    source_rules::source_absent,
    source_rules::source_unreadable,
    source_rules::source_silent,
    source_rules::source_blind,
    old_key_unseen,
    source_rules::coverage_gap,
    observation_too_short,
    source_rules::rejects,
    clock_suspect,
    quiet_running,
    exposure_running,
    consumers_and_new_key,
];

fn old_key_in_use(case: &Case<'_>, out: &mut Vec<Blocker>) {
    case.recent_use(Code::OldKeyInUse, &[Outcome::Accepted, Outcome::Failed], "used", out);
}

fn old_key_denied(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let denied = [Outcome::Unauthenticated, Outcome::Forbidden];
    case.recent_use(Code::OldKeyDenied, &denied, "presented and denied", out);
}

fn consumer_regressed(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for migrant in case.expected_to_move(&[ConsumerState::Regressed]) {
        let message = format!(
            "{} had moved and used {} again; it clears when it has moved anew",
            migrant.name,
            case.old_name()
        );
        let standing = blocker(Code::ConsumerRegressed, migrant.name, message);
        let clears_at = case.moved_after(migrant);
        out.push(Blocker { clears_at, ..standing.since(migrant.last_old()) });
    }
}

fn job_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for (name, (since, _)) in &case.facts.rotation.running_jobs {
        let message =
            format!("a job of {name} was started and has not finished; record job_finished");
        out.push(blocker(Code::JobRunning, name, message).since(Some(*since)));
    }
}

fn min_overlap(case: &Case<'_>, out: &mut Vec<Blocker>) {
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
        out.push(blocker(Code::MinOverlap, "*", message).since(Some(begun)).clears(ends));
    }
}

fn notice_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
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
            out.push(blocker(Code::NoticeRunning, "*", message));
        }
        Some(notified) if case.now < notified.plus(period) => {
            let ends = notified.plus(period);
            let message =
                format!("the notice given to consumers ends in {}", humane(ends.since(case.now)));
            out.push(blocker(Code::NoticeRunning, "*", message).since(Some(notified)).clears(ends));
        }
        Some(_) => {}
    }
}

fn incident_open(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Some(since) = case.facts.rotation.incident_since {
        let message = "an incident of this rotation is open; record incident_closed".to_owned();
        out.push(blocker(Code::IncidentOpen, "*", message).since(Some(since)));
    }
}

fn hold(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Some(since) = case.facts.rotation.hold_since {
        let message = "an operator holds the rotation; record release to lift it".to_owned();
        out.push(blocker(Code::Hold, "*", message).since(Some(since)));
    }
}

fn rolled_back(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Phase::RolledBack(at) = case.facts.rotation.phase {
        let message = "the rotation was rolled back; start a new one".to_owned();
        out.push(blocker(Code::RolledBack, "*", message).since(Some(at)));
    }
}

fn wrong_phase(case: &Case<'_>, out: &mut Vec<Blocker>) {
    if let Phase::Revoked(at) = case.facts.rotation.phase {
        let message = format!("{} is recorded as revoked: nothing to decide", case.old_name());
        out.push(blocker(Code::WrongPhase, "*", message).since(Some(at)));
    }
}

fn old_key_unseen(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let attested = case.facts.rotation.attested.contains(&Attestation::OldKeyUnused);
    let seen = case.facts.ledger.of_key(case.old_key()).is_some_and(|uses| !uses.is_empty());
    if !seen && !attested {
        let message = format!(
            "no line with {} was ever read: the key may be declared wrong; send one request with it, \
             or attest old_key_unused",
            case.old_name()
        );
        out.push(blocker(Code::OldKeyUnseen, case.old_name(), message));
    }
}

fn observation_too_short(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let required = case.facts.policy.min_history;
    let short = |message: String| blocker(Code::ObservationTooShort, "*", message);
    match (case.observing_since, case.watermark) {
        (Some(since), Some(watermark)) if watermark.since(since) < required => {
            let message = format!(
                "{} of log observed without a break, {} required",
                humane(watermark.since(since)),
                humane(required)
            );
            let clears = case.reached_at(since.plus(required));
            out.push(short(message).since(Some(since)).clears(clears));
        }
        (Some(_), Some(_)) => {}
        _ => out.push(short("observation has not begun in every stream".to_owned())),
    }
}

fn clock_suspect(case: &Case<'_>, out: &mut Vec<Blocker>) {
    let from = case.window.span.map_or(case.now.minus(case.window.required), |span| span.from);
    if let Some(span) = case.facts.clock_suspects.iter().rev().find(|span| span.to > from) {
        let message = "the clock stepped, or lines came from the future, within the window; check \
                       time synchronisation of this host and of the log's writer"
            .to_owned();
        let clears = case.reached_at(span.to.plus(case.window.required));
        out.push(blocker(Code::ClockSuspect, "*", message).since(Some(span.from)).clears(clears));
    }
}

fn quiet_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
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
        let clears = case.reached_at(ends);
        let blocker = blocker(Code::QuietRunning, case.old_name(), message);
        out.push(blocker.since(Some(quiet_from)).clears(clears));
    }
}

fn exposure_running(case: &Case<'_>, out: &mut Vec<Blocker>) {
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
                let blocker = blocker(Code::ExposureRunning, subject, message);
                out.push(blocker.since(Some(base)).clears(clears));
            }
        };
    let excused =
        |m: &Migrant<'_>| matches!(m.state, ConsumerState::Waived | ConsumerState::Retired);
    // Until its first use of the new key a consumer may open connections with the old one.
    let moving =
        case.migrants.iter().filter(|m| !excused(m) && (m.old.is_some() || m.roster.is_some()));
    let last_move = moving.filter_map(Migrant::moved_at).max();
    let from = case.last_old.max(last_move);
    expose("*", from, policy.max_cache_ttl, policy.max_connection_lifetime);
    for migrant in &case.migrants {
        if let Some(entry) = migrant.roster.filter(|_| !excused(migrant)) {
            let from = migrant.last_old().max(migrant.moved_at());
            expose(migrant.name, from, entry.max_cache_ttl, entry.max_connection_lifetime);
        }
    }
}

/// `consumer_not_moved`, `consumer_missing` and `new_key_unused`.
fn consumers_and_new_key(case: &Case<'_>, out: &mut Vec<Blocker>) {
    for migrant in case.expected_to_move(&[ConsumerState::OnOld, ConsumerState::Mixed]) {
        let message = match migrant.state {
            ConsumerState::OnOld => format!(
                "{} was only seen on {}; it clears with its use of {}, or retire or waive it",
                migrant.name,
                case.old_name(),
                case.new_name()
            ),
            _ => format!(
                "{} uses both keys; it counts as moved after {} without {}, or retire or waive it",
                migrant.name,
                humane(migrant.silence_to_move(case.facts.policy)),
                case.old_name()
            ),
        };
        let standing = blocker(Code::ConsumerNotMoved, migrant.name, message);
        let clears_at = case.moved_after(migrant);
        out.push(Blocker { clears_at, ..standing.since(migrant.last_old()) });
    }
    for migrant in case.expected_to_move(&[ConsumerState::Silent]) {
        if migrant.roster.is_some() {
            let message = format!(
                "{} is on the roster and was never seen with an accepted key; it clears with its use of \
                 {}, or retire it",
                migrant.name,
                case.new_name()
            );
            out.push(blocker(Code::ConsumerMissing, migrant.name, message));
        }
    }
    let news = case.migrants.iter().filter(|migrant| !migrant.is_synthetic());
    let last_new = news.filter_map(|migrant| migrant.new?.accepted.last()).max();
    let used = match (last_new, case.last_old) {
        (Some(new), Some(old)) => new > old,
        (new, None) => new.is_some(),
        (None, Some(_)) => false,
    };
    if !used {
        let message = format!(
            "no accepted use of {} after the last use of {}: the new key may have gone to the wrong place",
            case.new_name(),
            case.old_name()
        );
        out.push(blocker(Code::NewKeyUnused, case.new_name(), message).since(last_new));
    }
}

pub(super) fn blocker(code: Code, subject: &str, message: String) -> Blocker {
    Blocker { code, subject: subject.to_owned(), message, since: None, clears_at: None }
}

impl Blocker {
    pub(super) fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    pub(super) fn clears(self, at: Timestamp) -> Self {
        Self { clears_at: Some(at), ..self }
    }
}

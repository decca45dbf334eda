//! The decision, alone: facts, policy and `now` in, an [`Answer`] with every reason out.
//!
//! ```text
//! any proof blocker     -> not_ready    something was seen that stands against it
//! any evidence blocker  -> unknown      something was not seen that had to be
//! any absence blocker   -> not_ready    evidence is complete, and the quiet is not
//! none                  -> ready
//! ```
//!
//! `RULES` lists each code with its rule, in the order of the answer; the rules stand in the
//! files of `readiness/`, one for each kind of thing they speak of. A rule that cannot know counts
//! as standing. Invariant: no rule reads a clock, and nothing that is missing makes a rule pass.

mod consumers;
mod controls;
mod health;
mod jobs;
mod periods;
mod sources;
mod usage;

use crate::engine::answer::{Answer, Blocker, Code, Ground, Verdict};
use crate::engine::case::Case;
use crate::engine::credential::SourceName;
use crate::engine::evidence::Source;
use crate::engine::ledger::Ledger;
use crate::engine::policy::Policy;
use crate::engine::reason::Kind;
use crate::engine::rotation::Rotation;
use crate::engine::time::{Span, Timestamp};
use crate::engine::{migration, warnings};

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
    let mut blockers = standing(&case);
    let mut earliest_ready_at = case.earliest_ready_at(&blockers);
    if let Some((at, then)) = case.once_tolerated() {
        let lasting = standing(&then);
        clear_when_tolerated(&mut blockers, at, &lasting);
        let earliest = then.earliest_ready_at(&lasting).map(|earliest| earliest.max(at));
        earliest_ready_at = earliest_ready_at.into_iter().chain(earliest).min();
    }
    let verdict = verdict_of(&blockers);
    let declaration = &facts.rotation.declaration;
    let waiver_ends = case.migrants.iter().filter(|m| m.is_waived(facts.rotation, now));
    let waiver_ends = waiver_ends.filter_map(|m| facts.rotation.waived.get(m.name)).min().copied();
    // Who is waived blocks again after that.
    let earliest_ready_at =
        earliest_ready_at.filter(|earliest| waiver_ends.is_none_or(|ends| *earliest < ends));
    // A run of a job that may use the old key is known to begin.
    let runs = case.jobs.iter().filter(|job| verdict == Verdict::Ready && job.may_use_old_key());
    let begins = runs.filter_map(|job| job.scheduled.schedule.as_ref().ok()?.next_after(now)).min();
    let lease_end = now.plus(facts.policy.lease);
    let lease_end = lease_end.min(begins.unwrap_or(lease_end));
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
        silence: case.silence(),
        earliest_ready_at,
        evaluated_at: now,
        valid_until: waiver_ends.map_or(lease_end, |ends| lease_end.min(ends)),
        epoch: case.epoch(verdict, &blockers),
        window: case.window,
        blockers,
    }
}

/// Returns every blocker that stands.
fn standing(case: &Case<'_>) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    for (_, rule) in RULES {
        rule(case, &mut blockers);
    }
    blockers
}

/// Says when blockers clear that do not stand, or for a shorter time, once the threshold tolerates
/// at `at` what it is about: then those of `lasting` stand.
fn clear_when_tolerated(blockers: &mut [Blocker], at: Timestamp, lasting: &[Blocker]) {
    for blocker in blockers {
        let same = |then: &&Blocker| (then.code, &then.subject) == (blocker.code, &blocker.subject);
        let clears = match lasting.iter().find(same) {
            Some(then) => then.clears_at.map(|clears| clears.max(at)),
            None => Some(at),
        };
        let own = blocker.clears_at;
        blocker.clears_at = own.into_iter().chain(clears).min();
        if blocker.clears_at != own && blocker.code.kind() == Kind::Consumer {
            blocker.message += "; tolerated once it stays under the threshold";
        }
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

/// The rules, in the order of precedence and of [`Code::ALL`]: each says when its code stands.
const RULES: [(Code, Rule); 32] = [
    // Proof: something was seen that stands against it.
    (Code::OldKeyInUse, usage::old_key_in_use),
    (Code::OldKeyDenied, usage::old_key_denied),
    (Code::ConsumerRegressed, consumers::consumer_regressed),
    (Code::JobRunning, jobs::job_running),
    (Code::MinOverlap, periods::min_overlap),
    (Code::NoticeRunning, periods::notice_running),
    (Code::NewKeyFailing, health::new_key_failing),
    (Code::IncidentOpen, health::incident_open),
    (Code::Hold, health::hold),
    (Code::RolledBack, health::rolled_back),
    (Code::WrongPhase, health::wrong_phase),
    // Evidence: something was not seen that had to be.
    (Code::SourceBehind, sources::source_behind),
    (Code::SourceAbsent, sources::source_absent),
    (Code::SourceUnreadable, sources::source_unreadable),
    (Code::SourceMasked, sources::source_masked),
    (Code::SourceSilent, sources::source_silent),
    (Code::SourceBlind, sources::source_blind),
    (Code::OldKeyUnseen, usage::old_key_unseen),
    (Code::CoverageGap, sources::coverage_gap),
    (Code::ObservationTooShort, sources::observation_too_short),
    (Code::ProbeMissing, controls::probe_missing),
    (Code::Rejects, sources::rejects),
    (Code::PositiveOnly, controls::positive_only),
    (Code::ConsumerLimit, consumers::consumer_limit),
    (Code::ConsumerLimit, usage::session_limit),
    (Code::ClockSuspect, sources::clock_suspect),
    // Absence: evidence is complete, and the quiet is not.
    (Code::QuietRunning, usage::quiet_running),
    (Code::ExposureRunning, consumers::exposure_running),
    (Code::ConsumerNotMoved, consumers::consumer_not_moved),
    (Code::ConsumerMissing, consumers::consumer_missing),
    (Code::JobNotSeen, jobs::job_not_seen),
    (Code::NewKeyUnused, health::new_key_unused),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What DESIGN calls proof, evidence and absence.
    const PROOF: [Code; 11] = [
        Code::OldKeyInUse,
        Code::OldKeyDenied,
        Code::ConsumerRegressed,
        Code::JobRunning,
        Code::MinOverlap,
        Code::NoticeRunning,
        Code::NewKeyFailing,
        Code::IncidentOpen,
        Code::Hold,
        Code::RolledBack,
        Code::WrongPhase,
    ];
    const ABSENCE: [Code; 6] = [
        Code::QuietRunning,
        Code::ExposureRunning,
        Code::ConsumerNotMoved,
        Code::ConsumerMissing,
        Code::JobNotSeen,
        Code::NewKeyUnused,
    ];

    #[test]
    fn of_any_two_reasons_proof_beats_evidence_and_evidence_beats_absence() {
        let standing = |codes: [Code; 2]| {
            verdict_of(&codes.map(|code| Blocker::new(code, "*", String::new())))
        };
        for a in Code::ALL {
            for b in Code::ALL {
                let proved = PROOF.contains(&a) || PROOF.contains(&b);
                let evident = ABSENCE.contains(&a) && ABSENCE.contains(&b);
                let expected = if proved || evident { Verdict::NotReady } else { Verdict::Unknown };
                assert_eq!(standing([a, b]), expected, "{} and {}", a.as_str(), b.as_str());
            }
        }
        assert_eq!(verdict_of(&[]), Verdict::Ready);
    }

    #[test]
    fn every_code_of_the_engine_has_a_rule_in_the_order_of_precedence() {
        let mut ruled: Vec<Code> = RULES.iter().map(|(code, _)| *code).collect();
        ruled.dedup();
        // What the shell says of itself when it cannot vouch for an answer.
        let of_the_shell = [Code::StateUnwritable, Code::AnswerExpired];
        let all: Vec<Code> = Code::ALL.into_iter().filter(|c| !of_the_shell.contains(c)).collect();
        assert_eq!(ruled, all);
    }
}

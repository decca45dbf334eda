//! The gates between the phases of a rotation: six checkpoints, each with its status and reasons.
//!
//! ```text
//! post-generate -> post-dual-accept -> canary -> post-propagate -> pre-revoke -> post-revoke
//! ```
//!
//! A checkpoint tells an orchestrator whether to go on; none of them is part of the decision, and
//! none makes it greener. What a person attests passes, except where a later line says otherwise.
//! When the rotation ends, the first five stay as they were; the canary stays as it was when its
//! observation period was over, because later everything is on the new key.

use std::time::Duration;

use crate::engine::answer::{Answer, Blocker, Code, Ground, Verdict};
use crate::engine::case::Case;
use crate::engine::incident::Leak;
use crate::engine::migration::Migrant;
use crate::engine::new_key::{self, Canary, LEAST_REQUESTS, ratio};
use crate::engine::rotation::{Attestation, RotationId};
use crate::engine::time::Timestamp;
use crate::engine::view::ConsumerState;
use crate::engine::wording::percent;

/// A revocation that nothing has proved for so long is `unknown`.
pub const UNVERIFIED_AFTER: Duration = Duration::from_hours(24);

/// Reasons of one kind that a checkpoint lists at most.
const MAX_REASONS: usize = 20;

/// A gate between two phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checkpoint {
    /// The new key was made.
    PostGenerate,
    /// Both keys are accepted.
    PostDualAccept,
    /// A small share of the requests fared well on the new key.
    Canary,
    /// Each consumer moved.
    PostPropagate,
    /// The old key may be revoked.
    PreRevoke,
    /// The old key is refused.
    PostRevoke,
}

impl Checkpoint {
    /// All checkpoints, in the order of the phases.
    pub const ALL: [Self; 6] = [
        Self::PostGenerate,
        Self::PostDualAccept,
        Self::Canary,
        Self::PostPropagate,
        Self::PreRevoke,
        Self::PostRevoke,
    ];

    /// Returns the word used in JSON, metrics and the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PostGenerate => "post-generate",
            Self::PostDualAccept => "post-dual-accept",
            Self::Canary => "canary",
            Self::PostPropagate => "post-propagate",
            Self::PreRevoke => "pre-revoke",
            Self::PostRevoke => "post-revoke",
        }
    }
}

/// Whether a rollout may pass a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointStatus {
    /// It may.
    Pass,
    /// It must halt.
    Fail,
    /// It must wait.
    Pending,
    /// Evidence is missing.
    Unknown,
}

impl CheckpointStatus {
    /// All statuses.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Pending, Self::Unknown];

    /// Returns the word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
        }
    }
}

/// A checkpoint as it stood last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// The rotation.
    pub rotation: RotationId,
    /// Which checkpoint.
    pub checkpoint: Checkpoint,
    /// Its status.
    pub status: CheckpointStatus,
    /// Since when it has had this status.
    pub at: Timestamp,
    /// Why, in short sentences that begin with a word for machines.
    pub reasons: Vec<String>,
    /// Start of the observation period that it was judged by for good; only the canary has one.
    pub judged_from: Option<Timestamp>,
}

/// What a look at a checkpoint finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The status.
    pub status: CheckpointStatus,
    /// Why.
    pub reasons: Vec<String>,
    /// Start of the observation period that it was judged by for good.
    pub judged_from: Option<Timestamp>,
}

impl Finding {
    fn new(status: CheckpointStatus, reasons: Vec<String>) -> Self {
        Self { status, reasons, judged_from: None }
    }

    fn one(status: CheckpointStatus, reason: impl Into<String>) -> Self {
        Self::new(status, vec![reason.into()])
    }

    fn attested() -> Self {
        Self::one(CheckpointStatus::Pass, "attested")
    }
}

/// Looks at every checkpoint of an open rotation, in the order of [`Checkpoint::ALL`].
///
/// `before` is the canary as it stood.
pub(super) fn look(
    case: &Case<'_>,
    answer: &Answer,
    before: Option<&CheckpointRecord>,
) -> [Finding; 6] {
    let waiting = "waiting: the old key is not revoked yet";
    [
        attested_or(case, Attestation::PostGenerate, || {
            let reason = "not_attested: record attested with post-generate when the key is made";
            Finding::one(CheckpointStatus::Pending, reason)
        }),
        attested_or(case, Attestation::PostDualAccept, || dual_accept(case, answer)),
        attested_or(case, Attestation::Canary, || canary(case, answer, before)),
        attested_or(case, Attestation::PostPropagate, || propagate(case, answer)),
        revocable(answer),
        Finding::one(CheckpointStatus::Pending, waiting),
    ]
}

fn attested_or(case: &Case<'_>, what: Attestation, look: impl FnOnce() -> Finding) -> Finding {
    let attested = case.facts.rotation.attested.contains(&what);
    if attested { Finding::attested() } else { look() }
}

/// Both keys were accepted since both are valid. A sighting is proof, whatever is missing.
fn dual_accept(case: &Case<'_>, answer: &Answer) -> Finding {
    let Some(began) = case.overlap_began() else {
        let reason = format!(
            "waiting: dual_accept_enabled was not recorded, and {} was never accepted",
            case.new_name()
        );
        return unless_unseen(answer, Finding::one(CheckpointStatus::Pending, reason));
    };
    let accepted = |keyed: fn(&Migrant<'_>) -> Option<Timestamp>| {
        case.migrants.iter().filter_map(keyed).any(|last| last >= began)
    };
    let seen = [
        (case.old_name(), accepted(|migrant| migrant.old?.accepted.last())),
        (case.new_name(), accepted(|migrant| migrant.new?.accepted.last())),
    ];
    let missing: Vec<String> = seen
        .iter()
        .filter(|(_, seen)| !seen)
        .map(|(name, _)| format!("waiting: {name} was not accepted since {began}"))
        .collect();
    if missing.is_empty() {
        return Finding::one(CheckpointStatus::Pass, "seen: both keys were accepted");
    }
    unless_unseen(answer, Finding::new(CheckpointStatus::Pending, missing))
}

/// Judges the observation period alone, and for good once it is over or has failed.
fn canary(case: &Case<'_>, answer: &Answer, before: Option<&CheckpointRecord>) -> Finding {
    if let Some(before) = before
        && let Some(judged_from) = before.judged_from
        // Both keys made valid anew begin another canary.
        && case.facts.rotation.dual_accept_at.is_none_or(|anew| anew <= judged_from)
    {
        let CheckpointRecord { status, reasons, .. } = before.clone();
        return Finding { status, reasons, judged_from: Some(judged_from) };
    }
    let Some(canary) = new_key::canary(case) else {
        let reason = format!("waiting: {} was not presented yet", case.new_name());
        return unless_unseen(answer, Finding::one(CheckpointStatus::Pending, reason));
    };
    if let Some((status, reason)) = judge(case, &canary) {
        return Finding { judged_from: Some(canary.from), ..Finding::one(status, reason) };
    }
    let reason = format!("observing: the observation period ends at {}", canary.to);
    unless_unseen(answer, Finding::one(CheckpointStatus::Pending, reason))
}

/// Returns what is to be said of the canary for good; `None` while it is observed.
fn judge(case: &Case<'_>, canary: &Canary) -> Option<(CheckpointStatus, String)> {
    let (least, most) = case.facts.policy.canary_share;
    let Canary { old, new, .. } = *canary;
    let all = old.all.saturating_add(new.all);
    let share = ratio(new.all, all).unwrap_or(0.0);
    let worse = new.denied_ratio().unwrap_or(0.0) > old.denied_ratio().unwrap_or(0.0);
    let over = case.watermark.is_some_and(|watermark| watermark >= canary.to);
    let shared = format!("{} of {all} requests carried {}", new.all, case.new_name());
    let denied = format!(
        "{} was denied in {} of {} requests and {} in {} of {}",
        case.new_name(),
        new.denied,
        new.all,
        case.old_name(),
        old.denied,
        old.all
    );
    if canary.blurred {
        let (from, to) = (canary.from, canary.to);
        let reason = format!("unobserved: {from} to {to} was read too late; attest canary");
        return Some((CheckpointStatus::Unknown, reason));
    }
    if worse && new.all >= LEAST_REQUESTS {
        return Some((CheckpointStatus::Fail, format!("denied: {denied}")));
    }
    if share > most && all >= LEAST_REQUESTS {
        let reason = format!("share: {shared}, more than {}", percent(most));
        return Some((CheckpointStatus::Fail, reason));
    }
    if !over {
        return None;
    }
    Some(if all < LEAST_REQUESTS || worse {
        let reason = format!("few: {shared}; {LEAST_REQUESTS} are needed; attest canary");
        (CheckpointStatus::Unknown, reason)
    } else if share < least {
        let reason = format!("share: {shared}, less than {}; attest canary", percent(least));
        (CheckpointStatus::Pending, reason)
    } else {
        (CheckpointStatus::Pass, format!("share: {shared}; {denied}"))
    })
}

/// Each consumer that is known for the old key has moved; as long as nobody may be hidden.
fn propagate(case: &Case<'_>, answer: &Answer) -> Finding {
    use ConsumerState::{Mixed, OnOld, Regressed, Silent};
    let left = case.expected_to_move(&[OnOld, Mixed, Regressed, Silent]);
    // One that was only denied on the new key is no consumer of the old one.
    let left = left.filter(|migrant| migrant.state != Silent || migrant.roster.is_some());
    let reasons: Vec<String> =
        left.map(|migrant| format!("{}: {}", migrant.state.as_str(), migrant.name)).collect();
    if !reasons.is_empty() {
        return Finding::new(CheckpointStatus::Pending, bounded(reasons));
    }
    let missing = standing(answer, |blocker| blocker.code.ground() == Ground::Evidence);
    if !missing.is_empty() {
        return Finding::new(CheckpointStatus::Unknown, missing);
    }
    let moved = case.expected_to_move(&[ConsumerState::Moved, ConsumerState::NewOnly]).count();
    if moved == 0 {
        let reason = format!("waiting: nobody was seen on {}", case.new_name());
        return Finding::one(CheckpointStatus::Pending, reason);
    }
    Finding::one(CheckpointStatus::Pass, "moved: each consumer moved")
}

/// The verdict of the decision. Whatever only has to be waited for is pending.
fn revocable(answer: &Answer) -> Finding {
    let reasons = standing(answer, |_| true);
    match answer.verdict {
        Verdict::Ready => Finding::one(CheckpointStatus::Pass, "ready"),
        Verdict::Unknown => Finding::new(CheckpointStatus::Unknown, reasons),
        Verdict::NotReady => Finding::new(CheckpointStatus::Pending, reasons),
    }
}

/// Looks at the last checkpoint of a rotation whose old key was revoked at `revoked_at`.
///
/// `verified` is when a denied line proved it, `attested` when somebody last vouched for it.
/// Neither outweighs a later accepted use.
pub(super) fn post_revoke(
    revoked_at: Timestamp,
    verified: Option<Timestamp>,
    attested: Option<Timestamp>,
    leaks: &[Leak<'_>],
    now: Timestamp,
) -> Finding {
    let leaked = leaks.iter().map(|leak| leak.last).max();
    if attested.is_some_and(|at| leaked.is_none_or(|last| at > last)) {
        return Finding::attested();
    }
    if leaked.is_some() {
        let named = leaks.iter().map(|leak| format!("revocation_leak: {}", leak.consumer));
        return Finding::new(CheckpointStatus::Fail, bounded(named.collect()));
    }
    if let Some(at) = verified {
        let reason = format!("seen: the old key was denied at {at}");
        return Finding::one(CheckpointStatus::Pass, reason);
    }
    let advice = "send one request with the old key through the front door, or attest post-revoke";
    if now >= revoked_at.plus(UNVERIFIED_AFTER) {
        let reason = format!("unverified: no denied line for 24 h; {advice}");
        return Finding::one(CheckpointStatus::Unknown, reason);
    }
    let reason = format!("waiting: no denied line proves the revocation yet; {advice}");
    Finding::one(CheckpointStatus::Pending, reason)
}

/// Says `unknown` where what is waited for may have happened unseen.
fn unless_unseen(answer: &Answer, finding: Finding) -> Finding {
    let unseen = standing(answer, |blocker| {
        matches!(
            blocker.code,
            Code::SourceBehind | Code::SourceAbsent | Code::SourceUnreadable | Code::SourceMasked
        )
    });
    if unseen.is_empty() {
        return finding;
    }
    let reasons = finding.reasons.into_iter().chain(unseen).collect();
    Finding::new(CheckpointStatus::Unknown, reasons)
}

fn standing(answer: &Answer, which: impl Fn(&Blocker) -> bool) -> Vec<String> {
    let blockers = answer.blockers.iter().filter(|blocker| which(blocker));
    bounded(blockers.map(|b| format!("{}: {}", b.code.as_str(), b.subject)).collect())
}

fn bounded(mut reasons: Vec<String>) -> Vec<String> {
    if let Some(more) = reasons.len().checked_sub(MAX_REASONS).filter(|more| *more > 0) {
        reasons.truncate(MAX_REASONS);
        reasons.push(format!("and {more} more"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_beyond_the_bound_are_counted() {
        let told = |count: usize| bounded((0..count).map(|n| n.to_string()).collect());
        assert_eq!(told(MAX_REASONS).len(), MAX_REASONS);
        assert_eq!(told(MAX_REASONS).last(), Some(&(MAX_REASONS - 1).to_string()));
        assert_eq!(told(MAX_REASONS + 2).len(), MAX_REASONS + 1);
        assert_eq!(told(MAX_REASONS + 2).last().map(String::as_str), Some("and 2 more"));
    }
}

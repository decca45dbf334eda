//! The lease of an answer: after `valid_until` nobody may act on it, whatever it said.
//!
//! A daemon that stopped deciding leaves its last snapshot behind. Every way out of `publish`
//! passes through [`at`], so that an old `ready` is never shown.

use std::borrow::Cow;

use crate::engine::answer::{Answer, Blocker, Code, Epoch, Verdict};
use crate::engine::checkpoints::{Checkpoint, CheckpointRecord, CheckpointStatus};
use crate::engine::rotation::Phase;
use crate::engine::time::Timestamp;
use crate::engine::view::RotationView;

/// Returns `answer` as it may be shown at `now`: itself, or `unknown` once its lease is over.
///
/// The blockers of an expired answer are kept for people: they were facts of then. The epoch
/// of an expired answer differs from the original's, so that no cached copy passes for it.
pub fn at(answer: &Answer, now: Timestamp) -> Cow<'_, Answer> {
    if now < answer.valid_until {
        return Cow::Borrowed(answer);
    }
    let mut expired = answer.clone();
    let message = format!(
        "the answer of {} expired at {}: the daemon stopped deciding; look at its log",
        answer.evaluated_at, answer.valid_until
    );
    expired.blockers.insert(
        0,
        Blocker {
            code: Code::AnswerExpired,
            subject: "*".to_owned(),
            message: message.clone(),
            since: Some(answer.valid_until),
            clears_at: None,
        },
    );
    expired.verdict = Verdict::Unknown;
    expired.message = message;
    expired.earliest_ready_at = None;
    expired.epoch = Epoch::new(format!("{}-expired", answer.epoch));
    Cow::Owned(expired)
}

/// Returns the status of a checkpoint as it may be shown beside `answer`.
///
/// A `pre-revoke` that passed is as good as the answer it rests on, and expires with it.
pub fn checkpoint(
    record: &CheckpointRecord,
    view: &RotationView,
    answer: &Answer,
) -> CheckpointStatus {
    let passed =
        record.checkpoint == Checkpoint::PreRevoke && record.status == CheckpointStatus::Pass;
    let rests_on_it = view.rotation.phase == Phase::Open;
    if passed && rests_on_it && answer.verdict != Verdict::Ready {
        return CheckpointStatus::Unknown;
    }
    record.status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::answer::{ConsumerCounts, KeyCounts, RequiredWindow};
    use crate::engine::credential::CredentialName;
    use crate::engine::rotation::RotationId;
    use std::time::Duration;

    fn ready_until(valid_until: Timestamp) -> Answer {
        let required = Duration::ZERO;
        Answer {
            rotation: RotationId::new("r-1"),
            credential: CredentialName::new("payments-api"),
            verdict: Verdict::Ready,
            message: String::new(),
            blockers: Vec::new(),
            warnings: Vec::new(),
            old_key: KeyCounts::default(),
            new_key: KeyCounts::default(),
            window: RequiredWindow { span: None, terms: Vec::new(), required },
            watermark: None,
            observing_since: None,
            sources: Vec::new(),
            consumers: ConsumerCounts::default(),
            silence: None,
            earliest_ready_at: Some(valid_until),
            evaluated_at: Timestamp::from_seconds(0),
            valid_until,
            epoch: Epoch::new("e"),
        }
    }

    #[test]
    fn an_answer_is_itself_before_the_end_of_its_lease_and_unknown_from_then_on() {
        let answer = ready_until(Timestamp::from_seconds(60));
        let before = Timestamp::from_nanos(60_000_000_000 - 1);
        assert_eq!(*at(&answer, before), answer);
        for now in [answer.valid_until, Timestamp::MAX] {
            let shown = at(&answer, now);
            assert_eq!(shown.verdict, Verdict::Unknown);
            assert_eq!(shown.blockers[0].code, Code::AnswerExpired);
            assert_eq!(shown.earliest_ready_at, None);
            assert_ne!(shown.epoch, answer.epoch);
        }
    }
}

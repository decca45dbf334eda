//! The lease of an answer: after `valid_until` nobody may act on it, whatever it said.
//!
//! A daemon that stopped deciding leaves its last snapshot behind. Every way out of `publish`
//! passes through [`at`], so that an old `ready` is never shown.

use std::borrow::Cow;

use crate::engine::answer::{Answer, Blocker, Code, Epoch, Verdict};
use crate::engine::time::Timestamp;

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

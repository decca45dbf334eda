//! Checkpoints of a rotation.

use serde::Serialize;

use super::{At, text};
use crate::engine::answer::{Answer, Verdict};
use crate::engine::checkpoints::{Checkpoint, CheckpointStatus};
use crate::engine::view::RotationView;

#[derive(Serialize)]
struct CheckpointsView<'a> {
    checkpoints: Vec<CheckpointView<'a>>,
}

#[derive(Serialize)]
struct CheckpointView<'a> {
    name: &'static str,
    status: &'static str,
    at: At,
    reasons: Vec<&'a str>,
}

/// Returns the JSON text of a rotation's checkpoints, with the answer that may be shown now.
///
/// A `pre-revoke` that passed is as good as the answer it rests on: it expires with it.
pub fn checkpoints(view: &RotationView, answer: &Answer) -> String {
    let checkpoints = view.checkpoints.iter().map(|record| {
        let passed = record.checkpoint == Checkpoint::PreRevoke
            && record.status == CheckpointStatus::Pass
            && view.answer.verdict == Verdict::Ready;
        if passed && answer.verdict != Verdict::Ready {
            return CheckpointView {
                name: record.checkpoint.as_str(),
                status: CheckpointStatus::Unknown.as_str(),
                at: At(answer.valid_until),
                reasons: answer.blockers.iter().map(|blocker| blocker.code.as_str()).collect(),
            };
        }
        CheckpointView {
            name: record.checkpoint.as_str(),
            status: record.status.as_str(),
            at: At(record.at),
            reasons: record.reasons.iter().map(String::as_str).collect(),
        }
    });
    text(&CheckpointsView { checkpoints: checkpoints.collect() })
}

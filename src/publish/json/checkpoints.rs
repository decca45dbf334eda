//! Checkpoints of a rotation.

use serde::Serialize;

use super::{At, text};
use crate::engine::answer::Answer;
use crate::engine::view::RotationView;
use crate::publish::lease;

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
pub fn checkpoints(view: &RotationView, answer: &Answer) -> String {
    let checkpoints = view.checkpoints.iter().map(|record| {
        let status = lease::checkpoint(record, view, answer);
        let expired = status != record.status;
        let doubted_since = answer.blockers.first().and_then(|blocker| blocker.since);
        let doubts = answer.blockers.iter().map(|blocker| blocker.code.as_str());
        CheckpointView {
            name: record.checkpoint.as_str(),
            status: status.as_str(),
            at: At(if expired { doubted_since.unwrap_or(answer.valid_until) } else { record.at }),
            reasons: if expired {
                doubts.collect()
            } else {
                record.reasons.iter().map(String::as_str).collect()
            },
        }
    });
    text(&CheckpointsView { checkpoints: checkpoints.collect() })
}

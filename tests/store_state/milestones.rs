//! What a rotation passes on its way, at random.

use keydrain::engine::checkpoints::{Checkpoint, CheckpointRecord, CheckpointStatus};
use keydrain::engine::health::{RotationSummary, Velocity};
use keydrain::engine::incident::{Incident, IncidentKind};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::arbitrary::{a_count, a_duration, a_rotation_id, an_instant};
use crate::model::at;

pub fn a_checkpoint() -> impl Strategy<Value = CheckpointRecord> {
    let words = (select(Checkpoint::ALL.to_vec()), select(CheckpointStatus::ALL.to_vec()));
    let reasons = vec(any::<String>(), 0..3);
    (a_rotation_id(), words, an_instant(), reasons, option::of(an_instant())).prop_map(
        |(rotation, (checkpoint, status), at, reasons, judged_from)| CheckpointRecord {
            rotation,
            checkpoint,
            status,
            at,
            reasons,
            judged_from,
        },
    )
}

pub fn an_incident() -> impl Strategy<Value = Incident> {
    let kind = select(IncidentKind::ALL.to_vec());
    let subject = select(vec!["*", "billing\u{0}", "x' OR 1"]).prop_map(str::to_owned);
    let at = (0..3_i64).prop_map(at);
    (a_rotation_id(), kind, subject, at, option::of(an_instant()), any::<String>()).prop_map(
        |(rotation, kind, subject, at, ended_at, message)| Incident {
            rotation,
            kind,
            subject,
            at,
            ended_at,
            message,
        },
    )
}

pub fn a_summary() -> impl Strategy<Value = RotationSummary> {
    let instants = (option::of(an_instant()), option::of(an_instant()));
    let times = prop::array::uniform3(option::of(a_duration()));
    (a_rotation_id(), instants, a_duration(), (a_count(), a_count()), times).prop_map(
        |(rotation, (dual_accept_at, last_use), allocated, (consumers, moved), times)| {
            let [t50, t90, last] = times;
            let velocity = Velocity { consumers, moved, t50, t90, last };
            RotationSummary { rotation, dual_accept_at, last_use, allocated, velocity }
        },
    )
}

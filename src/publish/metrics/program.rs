//! Figures of the rotation program as gauges, by credential. A figure that is not known has none.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::DescriptorEncoder;

use super::{Labels, gauge};
use crate::engine::health::{CredentialHealth, ProgramHealth};
use crate::engine::view::Snapshot;

pub(super) fn encode(encoder: &mut DescriptorEncoder, snapshot: &Snapshot) -> fmt::Result {
    let all = &snapshot.credential_health;
    let help = "Rotations by how they ended, and those that are open";
    gauge(encoder, "keydrain_program_rotations", help, each(all, "outcome", outcomes))?;
    let help = "Incidents of rotations that ended";
    gauge(encoder, "keydrain_program_incidents", help, each(all, "kind", incidents))?;
    let help = "Share of rotations that finished without rollback or manual intervention";
    let success = some(all, |it| it.health.success_ratio);
    gauge(encoder, "keydrain_program_success_ratio", help, success)?;
    let help = "Time from the start to the revocation";
    gauge(encoder, "keydrain_program_time_to_rotate_seconds", help, times(all))?;
    let help = "Mean share of the overlap in which the old key was still used";
    let used = some(all, |it| it.health.overlap_used);
    gauge(encoder, "keydrain_program_overlap_used_ratio", help, used)?;
    let help = "Overlap that the history of the credential recommends";
    let recommended = some(all, |it| it.recommended_overlap.map(|it| it.as_secs_f64()));
    gauge(encoder, "keydrain_program_recommended_overlap_seconds", help, recommended)
}

fn outcomes(health: &ProgramHealth) -> [(&'static str, u64); 4] {
    [
        ("open", health.open),
        ("finished", health.finished),
        ("rolled_back", health.rolled_back),
        ("overridden", health.overridden),
    ]
}

fn incidents(health: &ProgramHealth) -> [(&'static str, u64); 5] {
    let counts = health.incidents;
    [
        ("posted", counts.posted),
        ("revocation_leak", counts.leaks),
        ("new_key_failing", counts.new_key_failing),
        ("retraction", counts.retractions),
        ("overlap_overdue", counts.overdue),
    ]
}

fn each<'a, const N: usize>(
    all: &'a [CredentialHealth],
    label: &'static str,
    values: fn(&ProgramHealth) -> [(&'static str, u64); N],
) -> impl Iterator<Item = (Labels<'a>, u64)> {
    all.iter().flat_map(move |it| {
        values(&it.health).map(|(word, value)| (labels(it, Some((label, word))), value))
    })
}

fn some(
    all: &[CredentialHealth],
    value: fn(&CredentialHealth) -> Option<f64>,
) -> impl Iterator<Item = (Labels<'_>, f64)> {
    all.iter().filter_map(move |it| Some((labels(it, None), value(it)?)))
}

fn times(all: &[CredentialHealth]) -> impl Iterator<Item = (Labels<'_>, f64)> {
    let known = all.iter().filter_map(|it| Some((it, it.health.time_to_rotate?)));
    known.flat_map(|(it, spread)| {
        let values: [(&str, Duration); 3] =
            [("mean", spread.mean), ("median", spread.median), ("p90", spread.p90)];
        values.map(|(word, value)| (labels(it, Some(("statistic", word))), value.as_secs_f64()))
    })
}

fn labels<'a>(it: &'a CredentialHealth, more: Option<(&'static str, &'static str)>) -> Labels<'a> {
    std::iter::once(("credential", it.credential.as_str())).chain(more).collect()
}

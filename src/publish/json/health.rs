//! Figures of the rotation program, whole and by credential.

use serde::Serialize;

use super::{At, Seconds, text};
use crate::engine::health::{IncidentCounts, ProgramHealth, Spread};
use crate::engine::view::Snapshot;

#[derive(Serialize)]
struct HealthView<'a> {
    schema: &'static str,
    taken_at: At,
    total: FiguresView,
    credentials: Vec<CredentialView<'a>>,
}

#[derive(Serialize)]
struct CredentialView<'a> {
    credential: &'a str,
    recommended_overlap_seconds: Option<Seconds>,
    #[serde(flatten)]
    figures: FiguresView,
}

#[derive(Serialize)]
struct FiguresView {
    rotations: RotationsView,
    success_ratio: Option<f64>,
    time_to_rotate_seconds: Option<SpreadView>,
    overlap_used_ratio: Option<f64>,
    allocation_used_ratio: Option<f64>,
    velocity: VelocityView,
    incidents: IncidentsView,
    incidents_per_rotation: Option<f64>,
}

#[derive(Serialize)]
struct RotationsView {
    open: u64,
    finished: u64,
    rolled_back: u64,
    overridden: u64,
    manual_interventions: u64,
}

#[derive(Serialize)]
struct SpreadView {
    mean: Seconds,
    median: Seconds,
    p90: Seconds,
}

#[derive(Serialize)]
struct VelocityView {
    t50_seconds: Option<Seconds>,
    t90_seconds: Option<Seconds>,
    consumers_per_hour: Option<f64>,
}

#[derive(Serialize)]
struct IncidentsView {
    total: u64,
    posted: u64,
    revocation_leak: u64,
    new_key_failing: u64,
    retraction: u64,
    overlap_overdue: u64,
}

/// Returns the JSON text of the program's figures.
pub fn health(snapshot: &Snapshot) -> String {
    let credentials = snapshot.credential_health.iter().map(|it| CredentialView {
        credential: it.credential.as_str(),
        recommended_overlap_seconds: it.recommended_overlap.map(Seconds),
        figures: figures(&it.health),
    });
    text(&HealthView {
        schema: "keydrain/health/v1",
        taken_at: At(snapshot.taken_at),
        total: figures(&snapshot.health),
        credentials: credentials.collect(),
    })
}

fn figures(health: &ProgramHealth) -> FiguresView {
    FiguresView {
        rotations: RotationsView {
            open: health.open,
            finished: health.finished,
            rolled_back: health.rolled_back,
            overridden: health.overridden,
            manual_interventions: health.manual_interventions,
        },
        success_ratio: health.success_ratio,
        time_to_rotate_seconds: health.time_to_rotate.map(|Spread { mean, median, p90 }| {
            SpreadView { mean: Seconds(mean), median: Seconds(median), p90: Seconds(p90) }
        }),
        overlap_used_ratio: health.overlap_used,
        allocation_used_ratio: health.allocation_used,
        velocity: VelocityView {
            t50_seconds: health.t50.map(Seconds),
            t90_seconds: health.t90.map(Seconds),
            consumers_per_hour: health.consumers_per_hour,
        },
        incidents: incidents(health.incidents),
        incidents_per_rotation: health.incidents_per_rotation,
    }
}

fn incidents(counts: IncidentCounts) -> IncidentsView {
    IncidentsView {
        total: counts.total(),
        posted: counts.posted,
        revocation_leak: counts.leaks,
        new_key_failing: counts.new_key_failing,
        retraction: counts.retractions,
        overlap_overdue: counts.overdue,
    }
}

//! The migration of a rotation as `keydrain/migration/v1`.

use serde::Serialize;

use super::{At, Seconds, at, text};
use crate::engine::curve::{Requests, Step};
use crate::engine::velocity::{Eta, Migration, Straggler};

#[derive(Serialize)]
struct View<'a> {
    schema: &'static str,
    rotation: &'a str,
    credential: &'a str,
    old_key: &'a str,
    new_key: &'a str,
    evaluated_at: At,
    counted_from: OriginView,
    must_move: u64,
    moved: u64,
    share_moved: Option<f64>,
    waived: &'a [String],
    tolerated: &'a [String],
    gone: &'a [String],
    t50_seconds: Option<Seconds>,
    t90_seconds: Option<Seconds>,
    t100_seconds: Option<Seconds>,
    consumers_per_hour: Option<f64>,
    eta: EtaView<'a>,
    stragglers: Vec<StragglerView<'a>>,
    curve: CurveView,
}

#[derive(Serialize)]
struct OriginView {
    event: &'static str,
    at: At,
    inferred: bool,
}

#[derive(Serialize)]
struct EtaView<'a> {
    at: Option<At>,
    earliest: Option<At>,
    latest: Option<At>,
    basis: Option<&'a str>,
    none_because: Option<&'a str>,
}

#[derive(Serialize)]
struct StragglerView<'a> {
    consumer: &'a str,
    owner: Option<&'a str>,
    state: &'static str,
    old_last_seen: Option<At>,
    new_last_seen: Option<At>,
    sessions: u64,
    largest_gap_seconds: Seconds,
    cadence_bound_seconds: Option<Seconds>,
    needs: &'a str,
    clears_at: Option<At>,
}

#[derive(Serialize)]
struct CurveView {
    consumers: Vec<StepView>,
    window_seconds: Seconds,
    requests: Vec<RequestsView>,
}

#[derive(Serialize)]
struct StepView {
    at: At,
    moved: u64,
    share: Option<f64>,
}

#[derive(Serialize)]
struct RequestsView {
    from: At,
    old: u64,
    new: u64,
    share_new: Option<f64>,
    gap: bool,
}

/// Returns the JSON text of a migration report.
pub fn migration(report: &Migration) -> String {
    let (origin, origin_at) = report.origin;
    text(&View {
        schema: "keydrain/migration/v1",
        rotation: &report.rotation,
        credential: &report.credential,
        old_key: &report.keys[0],
        new_key: &report.keys[1],
        evaluated_at: At(report.evaluated_at),
        counted_from: OriginView {
            event: origin.as_str(),
            at: At(origin_at),
            inferred: origin.is_inferred(),
        },
        must_move: report.must_move,
        moved: report.moved,
        share_moved: report.curve.consumers.last().and_then(|step| step.share),
        waived: &report.waived,
        tolerated: &report.tolerated,
        gone: &report.gone,
        t50_seconds: report.t50.map(Seconds),
        t90_seconds: report.t90.map(Seconds),
        t100_seconds: report.t100.map(Seconds),
        consumers_per_hour: report.per_hour,
        eta: eta(&report.eta),
        stragglers: report.stragglers.iter().map(straggler).collect(),
        curve: CurveView {
            consumers: report.curve.consumers.iter().map(step).collect(),
            window_seconds: Seconds(report.curve.width),
            requests: report.curve.requests.iter().map(requests).collect(),
        },
    })
}

fn eta(eta: &Eta) -> EtaView<'_> {
    let none = EtaView { at: None, earliest: None, latest: None, basis: None, none_because: None };
    match eta {
        Eta::Told { at, earliest, latest, basis } => EtaView {
            at: Some(At(*at)),
            earliest: Some(At(*earliest)),
            latest: Some(At(*latest)),
            basis: Some(basis),
            ..none
        },
        Eta::None(why) => EtaView { none_because: Some(why), ..none },
    }
}

fn straggler(straggler: &Straggler) -> StragglerView<'_> {
    StragglerView {
        consumer: &straggler.consumer,
        owner: straggler.owner.as_deref(),
        state: straggler.state.as_str(),
        old_last_seen: at(straggler.old_last_seen),
        new_last_seen: at(straggler.new_last_seen),
        sessions: straggler.sessions,
        largest_gap_seconds: Seconds(straggler.largest_gap),
        cadence_bound_seconds: straggler.cadence_bound.map(Seconds),
        needs: &straggler.needs,
        clears_at: at(straggler.clears_at),
    }
}

fn step(step: &Step) -> StepView {
    StepView { at: At(step.at), moved: step.moved, share: step.share }
}

fn requests(window: &Requests) -> RequestsView {
    RequestsView {
        from: At(window.from),
        old: window.old,
        new: window.new,
        share_new: window.share,
        gap: window.gap,
    }
}

//! The whole answer as `keydrain/readiness/v1`.
//!
//! Never decides: `ready` is the verdict once more, for callers that only read a boolean.

use serde::Serialize;

use super::evidence::{GapView, gaps};
use super::{At, Seconds, at, text};
use crate::engine::answer::{Answer, Blocker, KeyCounts, Silence, SourceSummary, Verdict, Warning};
use crate::engine::time::Timestamp;
use crate::engine::view::Snapshot;

#[derive(Serialize)]
struct View<'a> {
    schema: &'static str,
    rotation: &'a str,
    credential: &'a str,
    ready: bool,
    verdict: &'static str,
    message: &'a str,
    blockers: Vec<BlockerView<'a>>,
    warnings: Vec<WarningView<'a>>,
    old_key: KeyView<'a>,
    new_key: KeyView<'a>,
    window: WindowView,
    evidence: EvidenceView<'a>,
    consumers: ConsumersView,
    silence: Option<SilenceView>,
    earliest_ready_at: Option<At>,
    evaluated_at: At,
    valid_until: At,
    epoch: &'a str,
    instance: &'a str,
    sequence: u64,
}

#[derive(Serialize)]
struct BlockerView<'a> {
    code: &'static str,
    kind: &'static str,
    basis: &'static str,
    subject: &'a str,
    message: &'a str,
    since: Option<At>,
    clears_at: Option<At>,
}

#[derive(Serialize)]
struct WarningView<'a> {
    code: &'static str,
    subject: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct KeyView<'a> {
    name: &'a str,
    first_seen: Option<At>,
    last_seen: Option<At>,
    accepted: u64,
    denied: u64,
    failed: u64,
}

#[derive(Serialize)]
struct WindowView {
    from: Option<At>,
    to: Option<At>,
    terms: Vec<TermView>,
}

#[derive(Serialize)]
struct TermView {
    name: &'static str,
    seconds: Seconds,
}

#[derive(Serialize)]
struct EvidenceView<'a> {
    watermark: Option<At>,
    observing_since: Option<At>,
    sources: Vec<SourceView<'a>>,
}

#[derive(Serialize)]
struct SourceView<'a> {
    name: &'a str,
    state: &'static str,
    watermark: Option<At>,
    basis: &'static str,
    lag_seconds: Option<Seconds>,
    gaps: Vec<GapView<'a>>,
    rejects: u64,
    probe_last_seen: Option<At>,
}

#[derive(Serialize)]
struct ConsumersView {
    total: u64,
    moved: u64,
    on_old: u64,
    mixed: u64,
    regressed: u64,
    silent: u64,
    retired: u64,
    waived: u64,
    new_only: u64,
}

/// What the silence so far would prove alone, at 95 %.
#[derive(Serialize)]
struct SilenceView {
    seconds: Seconds,
    excludes_per_hour: f64,
}

/// Returns the JSON text of `answer`, which `snapshot` holds. The caller has checked the lease.
pub fn readiness(answer: &Answer, snapshot: &Snapshot) -> String {
    let consumers = &answer.consumers;
    text(&View {
        schema: "keydrain/readiness/v1",
        rotation: answer.rotation.as_str(),
        credential: answer.credential.as_str(),
        ready: answer.verdict == Verdict::Ready,
        verdict: answer.verdict.as_str(),
        message: &answer.message,
        blockers: answer.blockers.iter().map(blocker).collect(),
        warnings: answer.warnings.iter().map(warning).collect(),
        old_key: key(&answer.old_key),
        new_key: key(&answer.new_key),
        window: WindowView {
            from: at(answer.window.span.map(|span| span.from)),
            to: at(answer.window.span.map(|span| span.to)),
            terms: answer.window.terms.iter().map(term).collect(),
        },
        evidence: EvidenceView {
            watermark: at(answer.watermark),
            observing_since: at(answer.observing_since),
            sources: answer.sources.iter().map(|each| source(each, answer.evaluated_at)).collect(),
        },
        consumers: ConsumersView {
            total: consumers.total,
            moved: consumers.moved,
            on_old: consumers.on_old,
            mixed: consumers.mixed,
            regressed: consumers.regressed,
            silent: consumers.silent,
            retired: consumers.retired,
            waived: consumers.waived,
            new_only: consumers.new_only,
        },
        silence: answer.silence.map(silence),
        earliest_ready_at: at(answer.earliest_ready_at),
        evaluated_at: At(answer.evaluated_at),
        valid_until: At(answer.valid_until),
        epoch: answer.epoch.as_str(),
        instance: &snapshot.instance,
        sequence: snapshot.sequence,
    })
}

fn blocker(blocker: &Blocker) -> BlockerView<'_> {
    BlockerView {
        code: blocker.code.as_str(),
        kind: blocker.code.kind().as_str(),
        basis: blocker.code.ground().as_str(),
        subject: &blocker.subject,
        message: &blocker.message,
        since: at(blocker.since),
        clears_at: at(blocker.clears_at),
    }
}

fn warning(warning: &Warning) -> WarningView<'_> {
    WarningView {
        code: warning.code.as_str(),
        subject: &warning.subject,
        message: &warning.message,
    }
}

fn key(key: &KeyCounts) -> KeyView<'_> {
    KeyView {
        name: &key.name,
        first_seen: at(key.first_seen),
        last_seen: at(key.last_seen),
        accepted: key.accepted,
        denied: key.denied,
        failed: key.failed,
    }
}

fn silence(silence: Silence) -> SilenceView {
    let excludes_per_hour = silence.excludes_per_hour();
    SilenceView { seconds: Seconds(silence.quiet), excludes_per_hour }
}

fn term(term: &(&'static str, std::time::Duration)) -> TermView {
    TermView { name: term.0, seconds: Seconds(term.1) }
}

fn source(source: &SourceSummary, evaluated_at: Timestamp) -> SourceView<'_> {
    SourceView {
        name: source.name.as_str(),
        state: source.state.as_str(),
        watermark: at(source.watermark),
        basis: source.basis.as_str(),
        lag_seconds: source.watermark.map(|watermark| Seconds(evaluated_at.since(watermark))),
        gaps: gaps(&source.gaps),
        rejects: source.rejects,
        probe_last_seen: at(source.probe_last_seen),
    }
}

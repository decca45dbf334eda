//! Sources and credentials: what is declared, and what was read and lost.
//!
//! A source lists every gap for ever; an answer lists those that meet its window.

use serde::Serialize;

use super::{At, Seconds, at, text};
use crate::engine::answer::StreamSummary;
use crate::engine::bytes::ByteLedger;
use crate::engine::coverage::{Gap, WeakFileSystem};
use crate::engine::credential::CredentialName;
use crate::engine::rotation::Phase;
use crate::engine::seen::total;
use crate::engine::time::Timestamp;
use crate::engine::view::{self, CredentialView, Snapshot, StreamCoverage};

#[derive(Serialize)]
pub(super) struct GapView<'a> {
    from: At,
    to: At,
    reason: &'static str,
    stream: &'a str,
    bytes: Option<u64>,
}

/// Makes the views of `gaps`, in their order.
pub(super) fn gaps(gaps: &[Gap]) -> Vec<GapView<'_>> {
    gaps.iter().map(gap).collect()
}

fn gap(gap: &Gap) -> GapView<'_> {
    let Gap { stream, span, reason, bytes, .. } = gap;
    GapView {
        from: At(span.from),
        to: At(span.to),
        reason: reason.as_str(),
        stream: stream.as_str(),
        bytes: *bytes,
    }
}

#[derive(Serialize)]
struct SourcesView<'a> {
    sources: Vec<SourceView<'a>>,
}

#[derive(Serialize)]
struct SourceView<'a> {
    name: &'a str,
    state: &'static str,
    watermark: Option<At>,
    basis: &'static str,
    lag_seconds: Option<Seconds>,
    bytes_read: u64,
    bytes_skipped: u64,
    bytes_unknown: u64,
    backlog_bytes: u64,
    lines: u64,
    rejects: u64,
    other_keys: u64,
    probe_last_seen: Option<At>,
    probes: Vec<ProbeView<'a>>,
    streams: Vec<StreamView<'a>>,
    gaps: Vec<GapView<'a>>,
    absent: &'a [String],
    unreadable: Vec<PathView<'a>>,
    refused: Vec<PathView<'a>>,
    weak_file_systems: Vec<FileSystemView<'a>>,
}

#[derive(Serialize)]
struct ProbeView<'a> {
    name: &'a str,
    last_seen: Option<At>,
}

#[derive(Serialize)]
struct StreamView<'a> {
    name: &'a str,
    state: &'static str,
    watermark: Option<At>,
    generations: u64,
    observed_lateness_seconds: Option<Seconds>,
    violations: u64,
    coverage: Option<CoverageView<'a>>,
}

/// What was seen of a stream. `known = read + skipped + unknown + waiting`, in each line.
#[derive(Serialize)]
struct CoverageView<'a> {
    first_event: Option<At>,
    covered: Vec<SpanView>,
    total: BytesView,
    generations: Vec<GenerationView<'a>>,
    earlier: EarlierView,
}

#[derive(Serialize)]
struct SpanView {
    from: At,
    to: At,
}

#[derive(Serialize)]
struct GenerationView<'a> {
    number: u64,
    path: &'a str,
    finished: bool,
    first_event: Option<At>,
    last_event: Option<At>,
    #[serde(flatten)]
    bytes: BytesView,
}

#[derive(Serialize)]
struct EarlierView {
    generations: u64,
    #[serde(flatten)]
    bytes: BytesView,
}

#[derive(Serialize)]
struct BytesView {
    known: u64,
    read: u64,
    skipped: SkippedView,
    unknown: u64,
    waiting: u64,
}

#[derive(Serialize)]
struct SkippedView {
    overlong: u64,
    nul_run: u64,
    copy: u64,
}

#[derive(Serialize)]
struct PathView<'a> {
    path: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct FileSystemView<'a> {
    path: &'a str,
    name: &'a str,
    weakness: &'static str,
    reason: &'static str,
}

/// Returns the JSON text of all sources, as seen at `now`: a lag grows while nothing is read.
pub fn sources(snapshot: &Snapshot, now: Timestamp) -> String {
    text(&SourcesView { sources: snapshot.sources.iter().map(|each| source(each, now)).collect() })
}

fn source(source: &view::SourceView, now: Timestamp) -> SourceView<'_> {
    let summary = &source.summary;
    SourceView {
        name: summary.name.as_str(),
        state: summary.state.as_str(),
        watermark: at(summary.watermark),
        basis: summary.basis.as_str(),
        lag_seconds: summary.watermark.map(|watermark| Seconds(now.since(watermark))),
        bytes_read: source.bytes_read,
        bytes_skipped: source.bytes_skipped,
        bytes_unknown: source.bytes_unknown,
        backlog_bytes: source.backlog,
        lines: source.lines,
        rejects: source.rejects,
        other_keys: source.other_keys,
        probe_last_seen: at(summary.probe_last_seen),
        probes: source
            .probes
            .iter()
            .map(|(name, last_seen)| ProbeView { name, last_seen: at(*last_seen) })
            .collect(),
        streams: summary
            .streams
            .iter()
            .map(|each| stream(each, source.coverage.iter().find(|seen| seen.stream == each.name)))
            .collect(),
        gaps: gaps(&summary.gaps),
        absent: &source.absent,
        unreadable: paths(&source.unreadable),
        refused: paths(&source.refused),
        weak_file_systems: source.weak.iter().map(file_system).collect(),
    }
}

fn stream<'a>(stream: &'a StreamSummary, seen: Option<&'a StreamCoverage>) -> StreamView<'a> {
    StreamView {
        name: stream.name.as_str(),
        state: stream.state.as_str(),
        watermark: at(stream.watermark),
        generations: stream.generations,
        observed_lateness_seconds: seen.map(|seen| Seconds(seen.observed_lateness)),
        violations: seen.map_or(0, |seen| seen.violations),
        coverage: seen.map(coverage),
    }
}

fn coverage(seen: &StreamCoverage) -> CoverageView<'_> {
    let total = total(seen);
    CoverageView {
        first_event: at(total.first_event),
        covered: seen
            .covered
            .iter()
            .map(|span| SpanView { from: At(span.from), to: At(span.to) })
            .collect(),
        total: bytes(&total),
        generations: seen
            .generations
            .iter()
            .map(|one| GenerationView {
                number: one.number.0,
                path: &one.path,
                finished: one.finished,
                first_event: at(one.bytes.first_event),
                last_event: at(one.last_event),
                bytes: bytes(&one.bytes),
            })
            .collect(),
        earlier: EarlierView { generations: seen.earlier.generations, bytes: bytes(&seen.earlier) },
    }
}

fn bytes(ledger: &ByteLedger) -> BytesView {
    BytesView {
        known: ledger.known,
        read: ledger.read,
        skipped: SkippedView {
            overlong: ledger.overlong,
            nul_run: ledger.nul_run,
            copy: ledger.copied,
        },
        unknown: ledger.unknown(),
        waiting: ledger.waiting(),
    }
}

fn file_system(weak: &WeakFileSystem) -> FileSystemView<'_> {
    let WeakFileSystem { path, name, weakness } = weak;
    FileSystemView { path, name, weakness: weakness.as_str(), reason: weakness.says() }
}

fn paths(paths: &[(String, String)]) -> Vec<PathView<'_>> {
    paths.iter().map(|(path, reason)| PathView { path, reason }).collect()
}

#[derive(Serialize)]
struct CredentialsView<'a> {
    credentials: Vec<OneCredential<'a>>,
}

#[derive(Serialize)]
struct OneCredential<'a> {
    name: &'a str,
    keys: &'a [String],
    sources: &'a [String],
    open_rotation: Option<&'a str>,
}

/// Returns the JSON text of all configured credentials.
pub fn credentials(snapshot: &Snapshot) -> String {
    let credentials =
        snapshot.credentials.iter().map(|each| one_credential(snapshot, each)).collect();
    text(&CredentialsView { credentials })
}

/// Returns the JSON text of one configured credential.
pub fn credential(snapshot: &Snapshot, name: &CredentialName) -> Option<String> {
    let found = snapshot.credentials.iter().find(|each| each.name == *name)?;
    Some(text(&one_credential(snapshot, found)))
}

fn one_credential<'a>(snapshot: &'a Snapshot, view: &'a CredentialView) -> OneCredential<'a> {
    let open = snapshot.rotations.iter().find(|each| {
        each.rotation.declaration.credential == view.name && each.rotation.phase == Phase::Open
    });
    OneCredential {
        name: view.name.as_str(),
        keys: &view.keys,
        sources: &view.sources,
        open_rotation: open.map(|each| each.rotation.declaration.id.as_str()),
    }
}

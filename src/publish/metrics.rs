//! `/metrics`: the snapshot as `OpenMetrics` text, made anew at each scrape.
//!
//! No stale series: what left the snapshot leaves the metrics. Labels are names from config and
//! closed word lists, never a fingerprint, path or consumer. One rotation per credential is
//! shown: the open one, else the newest.

mod program;

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::http::App;
use super::lease;
use super::read::current_rotation;
use crate::engine::answer::{Answer, Code, KeyCounts, Verdict};
use crate::engine::checkpoints::CheckpointStatus;
use crate::engine::coverage::SourceState;
use crate::engine::time::Timestamp;
use crate::engine::view::{Snapshot, SourceView};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All states of a source, one series each.
const STATES: [SourceState; 7] = [
    SourceState::Live,
    SourceState::Silent,
    SourceState::Behind,
    SourceState::Blind,
    SourceState::Masked,
    SourceState::Unreadable,
    SourceState::Absent,
];

pub(super) async fn metrics(State(app): State<App>) -> Response {
    let snapshot = app.snapshot();
    let now = app.time_of(&snapshot);
    let body = text(snapshot, now);
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], body).into_response()
}

/// Returns the `OpenMetrics` text of `snapshot` as it may be shown at `now`.
fn text(snapshot: Arc<Snapshot>, now: Timestamp) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { snapshot, now }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)
        .expect("writing to a String cannot fail");
    text
}

#[derive(Debug)]
struct Scrape {
    snapshot: Arc<Snapshot>,
    now: Timestamp,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let build = vec![("version", env!("CARGO_PKG_VERSION"))];
        let help = "Version of this keydrain";
        gauge(&mut encoder, "keydrain_build_info", help, [(build, 1)])?;
        let help = "Transactions committed since start";
        let commits =
            encoder.encode_descriptor("keydrain_commits", help, None, MetricType::Counter)?;
        ConstCounter::new(self.snapshot.commits).encode(commits)?;
        let answers: Vec<_> = self.answers();
        rotations(&mut encoder, &answers)?;
        self.checkpoints(&mut encoder, &answers)?;
        program::encode(&mut encoder, &self.snapshot)?;
        sources(&mut encoder, &self.snapshot.sources)
    }
}

impl Scrape {
    /// Returns the answer that may be shown now of each credential's current rotation.
    fn answers(&self) -> Vec<Answer> {
        let current = self.snapshot.rotations.iter().filter(|view| {
            let declaration = &view.rotation.declaration;
            current_rotation(&self.snapshot, &declaration.credential)
                .is_some_and(|current| current.rotation.declaration.id == declaration.id)
        });
        current.map(|view| lease::at(&view.answer, self.now).into_owned()).collect()
    }
}

impl Scrape {
    fn checkpoints(&self, encoder: &mut DescriptorEncoder, answers: &[Answer]) -> fmt::Result {
        let views = answers.iter().filter_map(|answer| {
            let mut all = self.snapshot.rotations.iter();
            all.find(|view| view.rotation.declaration.id == answer.rotation)
                .map(|view| (answer, view))
        });
        let series = views.flat_map(|(answer, view)| {
            view.checkpoints.iter().flat_map(move |record| {
                let shown = lease::checkpoint(record, view, answer);
                CheckpointStatus::ALL.map(|status| {
                    let mut labels = of_rotation(answer);
                    let checkpoint = record.checkpoint.as_str();
                    labels.extend([("checkpoint", checkpoint), ("status", status.as_str())]);
                    (labels, u64::from(shown == status))
                })
            })
        });
        let help = "Whether this is the status of the checkpoint";
        gauge(encoder, "keydrain_rotation_checkpoint", help, series)
    }
}

fn rotations(encoder: &mut DescriptorEncoder, answers: &[Answer]) -> fmt::Result {
    let verdicts = answers.iter().flat_map(|answer| {
        Verdict::ALL.map(|verdict| {
            let mut labels = of_rotation(answer);
            labels.push(("verdict", verdict.as_str()));
            (labels, u64::from(answer.verdict == verdict))
        })
    });
    let help = "Whether this is the verdict of the rotation";
    gauge(encoder, "keydrain_rotation_verdict", help, verdicts)?;
    let blockers = answers.iter().flat_map(|answer| {
        let counts = Code::ALL.map(|code| {
            let standing = answer.blockers.iter().filter(|blocker| blocker.code == code).count();
            (code, standing as u64)
        });
        counts.into_iter().filter(|(_, standing)| *standing > 0).map(|(code, standing)| {
            let mut labels = of_rotation(answer);
            labels.push(("code", code.as_str()));
            (labels, standing)
        })
    });
    let help = "Blockers that stand, by code";
    gauge(encoder, "keydrain_rotation_blockers", help, blockers)?;
    let presentations = answers.iter().flat_map(|answer| {
        let keys = [("old", &answer.old_key), ("new", &answer.new_key)];
        keys.into_iter().flat_map(move |(role, key)| {
            outcomes(key).map(|(outcome, count)| {
                let mut labels = of_rotation(answer);
                labels.extend([("role", role), ("outcome", outcome)]);
                (labels, count)
            })
        })
    });
    let help = "Requests that carried a key of the rotation, since observing began";
    counter(encoder, "keydrain_key_presentations", help, presentations)
}

fn of_rotation(answer: &Answer) -> Labels<'_> {
    vec![("rotation", answer.rotation.as_str()), ("credential", answer.credential.as_str())]
}

fn outcomes(key: &KeyCounts) -> [(&'static str, u64); 3] {
    [("accepted", key.accepted), ("denied", key.denied), ("failed", key.failed)]
}

fn sources(encoder: &mut DescriptorEncoder, sources: &[SourceView]) -> fmt::Result {
    let watermarks = sources.iter().filter_map(|source| {
        source.summary.watermark.map(|watermark| (of_source(source), watermark.as_seconds()))
    });
    let help = "Event time before which no more events are expected";
    gauge(encoder, "keydrain_source_watermark_timestamp_seconds", help, watermarks)?;
    let states = sources.iter().flat_map(|source| {
        STATES.map(|state| {
            let mut labels = of_source(source);
            labels.push(("state", state.as_str()));
            (labels, u64::from(source.summary.state == state))
        })
    });
    gauge(encoder, "keydrain_source_state", "Whether this is the state of the source", states)?;
    let backlog = each(sources, |source| source.backlog);
    let help = "Bytes known to exist and not read yet";
    gauge(encoder, "keydrain_source_backlog_bytes", help, backlog)?;
    let lines = each(sources, |source| source.lines);
    counter(encoder, "keydrain_source_lines", "Lines read, rejects included", lines)?;
    let rejects = each(sources, |source| source.rejects);
    counter(encoder, "keydrain_source_rejects", "Lines that were not understood", rejects)?;
    let bytes = each(sources, |source| source.bytes_read);
    counter(encoder, "keydrain_source_bytes", "Bytes read", bytes)?;
    let gaps = each(sources, |source| source.summary.gaps.len() as u64);
    counter(encoder, "keydrain_source_gaps", "Spans of evidence that were lost", gaps)
}

fn of_source(source: &SourceView) -> Labels<'_> {
    vec![("source", source.summary.name.as_str())]
}

fn each(
    sources: &[SourceView],
    value: fn(&SourceView) -> u64,
) -> impl Iterator<Item = (Labels<'_>, u64)> {
    sources.iter().map(move |source| (of_source(source), value(source)))
}

/// Writes one gauge family. The library adds nothing to its name.
fn gauge<'a, N>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (Labels<'a>, N)>,
) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Writes one counter family. The library adds `_total` to the name of each series.
fn counter<'a>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in series {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

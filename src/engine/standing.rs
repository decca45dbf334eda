//! The state of a source and its streams in one word, for the rules and for every view.

use std::time::Duration;

use crate::engine::answer::{SourceSummary, StreamSummary};
use crate::engine::coverage::{Basis, SourceState};
use crate::engine::credential::{Fingerprint, StreamName};
use crate::engine::evidence::Source;
use crate::engine::policy::SourcePolicy;
use crate::engine::stream::Stream;
use crate::engine::time::{Span, Timestamp};
use crate::engine::watermark;

/// Tells whether the stream shows no line for so long that its silence is no evidence.
pub fn is_silent(stream: &Stream, policy: &SourcePolicy, now: Timestamp) -> bool {
    let idle = policy.silence_is_idle && stream.record.frontier_assumed;
    let last = stream.record.last_line_at;
    !idle && last.is_some_and(|last| now.since(last) > policy.idle_after)
}

/// Tells whether none of `keys` was read from the stream since its observation began.
pub fn is_blind(stream: &Stream, keys: &[Fingerprint]) -> bool {
    !keys.iter().any(|key| stream.record.keys_seen.contains(key))
}

/// Tells whether a watermark is missing or older than `lag` allows.
pub fn is_behind(watermark: Option<Timestamp>, lag: Duration, now: Timestamp) -> bool {
    watermark.is_none_or(|watermark| watermark < now.minus(lag))
}

/// Tells whether the stream's live file is gone. A stream the reader does not know is gone, too.
pub fn is_gone(source: &Source, stream: &Stream) -> bool {
    match &stream.status {
        Some(status) => !status.live && status.unreadable.is_none(),
        None => source.status.is_some(),
    }
}

/// Returns the worst state that holds for the stream.
pub fn stream_state(
    source: &Source,
    stream: &Stream,
    keys: &[Fingerprint],
    lag: Duration,
    now: Timestamp,
) -> SourceState {
    let unreadable = stream.status.as_ref().is_some_and(|status| status.unreadable.is_some());
    let silent = source.decl.as_ref().is_some_and(|decl| is_silent(stream, &decl.policy, now));
    if is_gone(source, stream) {
        SourceState::Absent
    } else if unreadable {
        SourceState::Unreadable
    } else if is_blind(stream, keys) {
        SourceState::Blind
    } else if is_behind(stream.record.watermark, lag, now) && !silent {
        SourceState::Behind
    } else if silent {
        SourceState::Silent
    } else {
        SourceState::Live
    }
}

/// Returns the least watermark of the streams that count; `None` if one has none.
pub fn source_watermark<'a>(
    source: &'a Source,
    counts: impl Fn(&StreamName) -> bool + 'a,
) -> Option<Timestamp> {
    let streams = source.streams.iter().filter(|(name, _)| counts(name));
    watermark::least(streams.map(|(_, stream)| stream.record.watermark))
}

/// Summarises a source as it stands at `now` for `keys`.
///
/// `window` bounds rejects and gaps; without one all gaps are listed and all rejects counted.
pub fn summarise(
    source: &Source,
    counts: &dyn Fn(&StreamName) -> bool,
    keys: &[Fingerprint],
    lag: Duration,
    window: Option<Span>,
    now: Timestamp,
) -> SourceSummary {
    let streams: Vec<StreamSummary> = source
        .streams
        .iter()
        .filter(|(name, _)| counts(name))
        .map(|(name, stream)| StreamSummary {
            name: name.clone(),
            state: stream_state(source, stream, keys, lag, now),
            watermark: stream.record.watermark,
            generations: stream.status.as_ref().map_or(0, |status| status.open_generations),
        })
        .collect();
    let own = match &source.status {
        None => SourceState::Behind,
        Some(_) if source.decl.is_none() => SourceState::Absent,
        Some(status) if !status.absent.is_empty() => SourceState::Absent,
        Some(status) if !status.unreadable.is_empty() => SourceState::Unreadable,
        Some(_) if streams.is_empty() => SourceState::Behind,
        Some(_) => SourceState::Live,
    };
    let watermark = source_watermark(source, counts);
    let in_window = |span: Span| window.is_none_or(|window| span.to > window.from);
    SourceSummary {
        name: source.record.source.clone(),
        state: streams.iter().map(|stream| stream.state).max().unwrap_or(own).max(own),
        watermark,
        basis: if watermark.is_some() { source.basis() } else { Basis::None },
        gaps: source.gaps.iter().filter(|gap| in_window(gap.span)).cloned().collect(),
        rejects: window
            .map_or(source.record.rejects, |window| source.lines_since(window.from, counts).1),
        streams,
    }
}

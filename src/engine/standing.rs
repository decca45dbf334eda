//! The state of a source and its streams in one word, for the rules and for every view.

use std::time::Duration;

use crate::engine::answer::{SourceSummary, StreamSummary};
use crate::engine::coverage::{Basis, SourceState};
use crate::engine::credential::{Fingerprint, PlaceName, StreamName};
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

/// Tells whether none of `keys` and no probe of the source was read from the stream since its
/// observation began.
pub fn is_blind(source: &Source, stream: &Stream, keys: &[Fingerprint]) -> bool {
    let mut keys = keys.iter().copied().chain(source.probes().map(|(probe, _)| probe.key));
    !keys.any(|key| stream.record.keys_seen.contains(&key))
}

/// Returns the places of the key that showed one before a gap or a changed format and not since.
///
/// A place that is the only one is the whole stream's: [`is_blind`] speaks for it.
pub fn blind_places<'s>(
    source: &'s Source,
    stream: &'s Stream,
) -> impl Iterator<Item = &'s PlaceName> {
    let shown_since = |place| stream.record.places_seen.get(place).copied();
    listed_places(source).filter(move |place| shown_since(place) == Some(false))
}

/// Returns the places of the key if there are several.
pub fn listed_places(source: &Source) -> impl Iterator<Item = &PlaceName> {
    let places = source.decl.iter().map(|decl| &decl.places);
    places.filter(|places| places.len() > 1).flatten()
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

/// Returns the worst state that holds for the stream; masks count that came after `masks_from`.
pub fn stream_state(
    source: &Source,
    stream: &Stream,
    keys: &[Fingerprint],
    lag: Duration,
    masks_from: Timestamp,
    now: Timestamp,
) -> SourceState {
    let unreadable = stream.status.as_ref().is_some_and(|status| status.unreadable.is_some());
    let silent = source.decl.as_ref().is_some_and(|decl| is_silent(stream, &decl.policy, now));
    if is_gone(source, stream) {
        SourceState::Absent
    } else if unreadable {
        SourceState::Unreadable
    } else if stream.record.masked_at > Some(masks_from) {
        SourceState::Masked
    } else if is_blind(source, stream, keys) || blind_places(source, stream).next().is_some() {
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

/// Returns when the probe was last seen that was out of sight for the longest time; `None` if one
/// was never seen or none is declared.
fn probe_last_seen(source: &Source) -> Option<Timestamp> {
    watermark::least(source.probes().map(|(_, seen)| seen?.last()))
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
    let masks_from = window.map_or(now.minus(lag), |window| window.from);
    let streams: Vec<StreamSummary> = source
        .streams
        .iter()
        .filter(|(name, _)| counts(name))
        .map(|(name, stream)| StreamSummary {
            name: name.clone(),
            state: stream_state(source, stream, keys, lag, masks_from, now),
            watermark: stream.record.watermark,
            generations: stream.status.as_ref().map_or(0, |status| status.open_generations),
        })
        .collect();
    let own = match &source.status {
        None => SourceState::Behind,
        Some(_) if source.decl.is_none() => SourceState::Absent,
        Some(status) if !status.absent.is_empty() => SourceState::Absent,
        Some(status) if !status.unreadable.is_empty() => SourceState::Unreadable,
        Some(status) if status.masked.is_some() => SourceState::Masked,
        Some(_) if streams.is_empty() => SourceState::Behind,
        Some(_) => SourceState::Live,
    };
    let watermark = source_watermark(source, counts);
    let in_window = |span: Span| window.is_none_or(|window| span.to > window.from);
    SourceSummary {
        name: source.record.source.clone(),
        state: streams.iter().map(|stream| stream.state).max().unwrap_or(own).max(own),
        watermark,
        // A best-effort source proves no absence, however far it was read.
        basis: match watermark {
            Some(_) if source.is_complete() => source.basis(),
            _ => Basis::None,
        },
        probe_last_seen: probe_last_seen(source),
        gaps: source.gaps.iter().filter(|gap| in_window(gap.span)).cloned().collect(),
        rejects: window
            .map_or(source.record.rejects, |window| source.lines_since(window.from, counts).1),
        streams,
    }
}

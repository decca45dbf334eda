//! What was seen of a stream, to be shown: the bytes of its generations and the event time between
//! its gaps. No verdict rests on it.

use crate::engine::bytes::ByteLedger;
use crate::engine::coverage::Gap;
use crate::engine::evidence::Source;
use crate::engine::stream::Stream;
use crate::engine::time::{Span, Timestamp};
use crate::engine::view::{GenerationView, StreamCoverage};

/// Finished generations of a stream that are shown one by one; the older ones as a sum.
pub const SHOWN_GENERATIONS: usize = 32;

/// Returns what was seen of the streams of a source, in the order of their names.
pub fn of_source(source: &Source) -> Vec<StreamCoverage> {
    source.streams.values().map(|stream| of_stream(source, stream)).collect()
}

fn of_stream(source: &Source, stream: &Stream) -> StreamCoverage {
    let name = &stream.record.stream;
    let all = source.generations.of(name);
    let mut earlier = source.generations.forgotten(name).copied().unwrap_or_default();
    let newest = all.len().saturating_sub(SHOWN_GENERATIONS);
    let first_event = all.iter().filter_map(|(_, bytes)| bytes.first_event).min();
    let first_event = earlier.first_event.into_iter().chain(first_event).min();
    let mut generations = Vec::new();
    for (position, (record, bytes)) in all.into_iter().enumerate() {
        if record.finished && position < newest {
            earlier.merge(bytes);
            continue;
        }
        generations.push(GenerationView {
            number: record.number,
            path: record.path.clone(),
            bytes: *bytes,
            last_event: record.last_event,
            finished: record.finished,
        });
    }
    let gaps = source.gaps.iter().filter(|gap| gap.stream == *name);
    StreamCoverage {
        stream: name.clone(),
        generations,
        earlier,
        covered: covered(first_event, stream.record.watermark, gaps),
        observed_lateness: stream.record.observed_lateness,
        violations: stream.record.violations,
    }
}

/// Returns the event time from the first event to the watermark that no gap takes away, in order.
///
/// Spans touch nowhere and none is empty. The time between two lines is seen, however far they lie
/// apart: nothing was written there.
pub fn covered<'g>(
    first_event: Option<Timestamp>,
    watermark: Option<Timestamp>,
    gaps: impl IntoIterator<Item = &'g Gap>,
) -> Vec<Span> {
    let (Some(mut from), Some(to)) = (first_event, watermark) else { return Vec::new() };
    let mut lost: Vec<Span> = gaps.into_iter().map(|gap| gap.span).collect();
    lost.sort_by_key(|span| (span.from, span.to));
    let mut seen = Vec::new();
    for gap in lost.into_iter().filter(|gap| gap.from < gap.to) {
        if from < gap.from.min(to) {
            seen.push(Span { from, to: gap.from.min(to) });
        }
        from = from.max(gap.to);
    }
    if from < to {
        seen.push(Span { from, to });
    }
    seen
}

/// Returns the sum over all generations of a stream.
pub fn total(coverage: &StreamCoverage) -> ByteLedger {
    let mut sum = coverage.earlier;
    coverage.generations.iter().for_each(|one| sum.merge(&one.bytes));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::coverage::{GapReason, SourceStatus, StreamStatus};
    use crate::engine::credential::{SourceName, StreamName};
    use crate::engine::rejects::OpenRejects;
    use crate::engine::state::{BytesRecord, GenerationRecord, StreamRecord};
    use crate::engine::usage::{Anchor, FileId, GenerationNumber};

    fn spans(gaps: &[(i64, i64)], until: i64) -> Vec<(i64, i64)> {
        let at = Timestamp::from_seconds;
        let gaps: Vec<Gap> = gaps
            .iter()
            .map(|(from, to)| Gap {
                source: SourceName::new("edge"),
                stream: StreamName::new("a.log"),
                span: Span { from: at(*from), to: at(*to) },
                reason: GapReason::Truncated,
                bytes: None,
            })
            .collect();
        let seen = covered(Some(at(10)), Some(at(until)), &gaps);
        seen.iter().map(|span| (span.from.as_seconds(), span.to.as_seconds())).collect()
    }

    #[test]
    fn what_lies_between_the_gaps_is_covered() {
        assert_eq!(spans(&[], 90), [(10, 90)]);
        assert_eq!(spans(&[(40, 50), (20, 30)], 90), [(10, 20), (30, 40), (50, 90)]);
    }

    #[test]
    fn gaps_that_meet_or_reach_over_an_end_leave_no_empty_span() {
        assert_eq!(spans(&[(5, 20), (20, 30), (25, 28), (80, 95)], 90), [(30, 80)]);
        assert_eq!(spans(&[(0, 100)], 90), []);
        assert_eq!(spans(&[(95, 99)], 90), [(10, 90)]);
    }

    #[test]
    fn no_span_is_empty_and_an_empty_gap_parts_nothing() {
        assert_eq!(spans(&[(30, 30)], 90), [(10, 90)]);
        assert_eq!(spans(&[(40, 90)], 90), [(10, 40)]);
        assert_eq!(spans(&[(10, 40), (40, 50)], 90), [(50, 90)]);
    }

    fn generation(number: u64, finished: bool) -> GenerationRecord {
        GenerationRecord {
            source: SourceName::new("edge"),
            stream: StreamName::new("a.log"),
            number: GenerationNumber(number),
            file: FileId { device: 1, inode: 2, birth: 3, handle: None },
            path: "a.log".to_owned(),
            offset: 10,
            anchor: Anchor::default(),
            last_event: None,
            inside_overlong: false,
            open_rejects: OpenRejects::default(),
            finished,
        }
    }

    /// A source with a stream of 40 generations, of which only the second and the last are open.
    fn source() -> Source {
        let mut source = Source::new(SourceName::new("edge"));
        let open = |number: u64| number == 2 || number == 40;
        for number in 1..=40 {
            source.restore_generation(generation(number, !open(number)));
        }
        let stream = StreamStatus {
            stream: StreamName::new("a.log"),
            live: true,
            unreadable: None,
            backlog: 0,
            open_generations: 2,
            ends: Vec::new(),
        };
        source.look(SourceStatus {
            source: SourceName::new("edge"),
            looked_at: Timestamp::from_seconds(90),
            absent: Vec::new(),
            unreadable: Vec::new(),
            refused: Vec::new(),
            weak: Vec::new(),
            streams: vec![stream],
            masked: None,
            caught_up: true,
        });
        source
    }

    #[test]
    fn finished_generations_are_shown_up_to_a_bound_and_open_ones_always() {
        let seen = of_source(&source());
        let shown: Vec<u64> = seen[0].generations.iter().map(|one| one.number.0).collect();
        let expected: Vec<u64> = [2].into_iter().chain(9..=40).collect();
        assert_eq!(shown, expected);
        assert_eq!(seen[0].earlier.read, 70, "seven that are shown as a sum");
        assert_eq!(total(&seen[0]).read, 400);
    }

    #[test]
    fn a_gap_takes_away_from_its_own_stream_alone() {
        let at = Timestamp::from_seconds;
        let mut source = source();
        let record = StreamRecord {
            source: SourceName::new("edge"),
            stream: StreamName::new("a.log"),
            observing_since: None,
            frontier: None,
            frontier_assumed: false,
            watermark: Some(at(90)),
            last_line_at: None,
            observed_lateness: std::time::Duration::ZERO,
            violations: 0,
            keys_seen: Vec::new(),
            places_seen: std::collections::BTreeMap::new(),
            masked_at: None,
        };
        source.restore_stream(record);
        for name in ["a.log", "b.log"] {
            source.add_gap(Gap {
                source: SourceName::new("edge"),
                stream: StreamName::new(name),
                span: Span { from: at(if name == "a.log" { 20 } else { 40 }), to: at(50) },
                reason: GapReason::Truncated,
                bytes: None,
            });
        }
        let bytes =
            ByteLedger { first_event: Some(at(10)), read: 10, known: 10, ..ByteLedger::new() };
        let stream = StreamName::new("a.log");
        let number = GenerationNumber(1);
        source.restore_bytes(BytesRecord {
            source: SourceName::new("edge"),
            stream,
            number,
            bytes,
        });
        let covered = &of_source(&source)[0].covered;
        assert_eq!(
            covered[..],
            [Span { from: at(10), to: at(20) }, Span { from: at(50), to: at(90) }]
        );
    }

    #[test]
    fn without_a_line_or_a_watermark_nothing_is_covered() {
        let at = Timestamp::from_seconds;
        assert_eq!(covered(None, Some(at(5)), []), []);
        assert_eq!(covered(Some(at(5)), None, []), []);
    }
}

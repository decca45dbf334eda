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
    use crate::engine::coverage::GapReason;
    use crate::engine::credential::{SourceName, StreamName};

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
    fn without_a_line_or_a_watermark_nothing_is_covered() {
        let at = Timestamp::from_seconds;
        assert_eq!(covered(None, Some(at(5)), []), []);
        assert_eq!(covered(Some(at(5)), None, []), []);
    }
}

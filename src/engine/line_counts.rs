//! Lines and rejects of one stream over time: by minute for a week, by hour for 90 days, by day for
//! ever.
//!
//! ```text
//! days  | 90210, 3 |          hours  | 3600, 0 | 3711, 1 |          minutes  |60|61|58|60|
//! ```
//!
//! Where a question begins inside a wide window, its rejects count whole and its other lines not
//! at all: so a share of rejects is never said too small.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::time::{Minute, Step, Timestamp};
use crate::engine::usage::LineCount;

/// Returns how long after its end a window becomes part of a wider one; `None`: never.
const fn kept(step: Step) -> Option<Duration> {
    match step {
        Step::Minute => Some(Duration::from_hours(7 * 24)),
        Step::Hour => Some(Duration::from_hours(90 * 24)),
        Step::Day => None,
    }
}

/// Returns the wider step of the windows that are too old at `now`, and the first minute that is
/// not; `None` if windows of this step stay.
pub fn edge(step: Step, now: Timestamp) -> Option<(Step, Minute)> {
    let (wider, kept) = (step.wider()?, kept(step)?);
    // A window is whole in a wider one or not at all: the edge is an edge of that one.
    Some((wider, wider.begin(now.minus(kept).minute())))
}

/// Lines and rejects of a stream. At most 10,080 minutes, 2,184 hours and a window more per day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineCounts([BTreeMap<Minute, (u64, u64)>; 3]);

impl LineCounts {
    /// Adds lines of a window, new or stored.
    pub fn add(&mut self, step: Step, count: LineCount) {
        let windows = &mut self.0[step as usize];
        let (lines, rejects) = windows.entry(step.begin(count.minute)).or_default();
        *lines = lines.saturating_add(count.lines);
        *rejects = rejects.saturating_add(count.rejects);
    }

    /// Makes wide windows of those that are too old at `now`. No line is lost.
    pub fn roll_up(&mut self, now: Timestamp) {
        for step in Step::ALL {
            let Some((wider, edge)) = edge(step, now) else { continue };
            let windows = &mut self.0[step as usize];
            if windows.keys().next().is_none_or(|first| *first >= edge) {
                continue;
            }
            let kept = windows.split_off(&edge);
            for (minute, (lines, rejects)) in std::mem::replace(windows, kept) {
                self.add(wider, LineCount { minute, lines, rejects });
            }
        }
    }

    /// Returns lines and rejects from the minute of `from` on; see the module for wide windows.
    pub fn since(&self, from: Timestamp) -> (u64, u64) {
        let from = from.minute();
        let mut sum = (0_u64, 0_u64);
        for (step, windows) in Step::ALL.into_iter().zip(&self.0) {
            for (begin, (lines, rejects)) in windows.range(step.begin(from)..) {
                let lines = if *begin < from { rejects } else { lines };
                sum = (sum.0.saturating_add(*lines), sum.1.saturating_add(*rejects));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(minutes: &[(i64, u64, u64)]) -> LineCounts {
        let mut counts = LineCounts::default();
        for &(minute, lines, rejects) in minutes {
            let minute = Minute::from_number(minute);
            counts.add(Step::Minute, LineCount { minute, lines: lines + rejects, rejects });
        }
        counts
    }

    fn at(minute: i64) -> Timestamp {
        Minute::from_number(minute).start()
    }

    #[test]
    fn an_hour_that_the_question_cuts_counts_with_its_rejects_alone() {
        let mut counts = counted(&[(59, 1, 0), (60, 10, 1), (119, 20, 2), (120, 40, 0)]);
        let week = 7 * 24 * 60;
        counts.roll_up(at(119 + week));
        assert_eq!(counts.since(at(61)), (62, 2), "an instant less than a week is kept by minute");
        counts.roll_up(at(120 + week));
        assert_eq!(counts.since(at(60)), (73, 3));
        assert_eq!(counts.since(at(61)), (43, 3));
        assert_eq!(counts.since(at(120)), (40, 0));
        // The third hour is still known by minute.
        assert_eq!(counts.since(at(121)), (0, 0));
        counts.roll_up(at(179 + week));
        assert_eq!(counts.since(at(121)), (0, 0));
        counts.roll_up(at(180 + week));
        assert_eq!(counts.since(at(121)), (0, 0), "no reject: nothing is made of it");
        assert_eq!(counts.since(at(120)), (40, 0));
        assert_eq!(counts.0[0].len(), 0);
    }

    proptest! {
        #[test]
        fn no_reject_is_missed_no_line_is_invented_and_a_share_is_never_too_small(
            minutes in prop::collection::vec((0_i64..300_000, 0_u64..9, 0_u64..3), 1..80),
            nows in prop::collection::vec(0_i64..450_000, 0..5),
            from in 0_i64..300_000,
        ) {
            let exact = counted(&minutes);
            let mut rolled = exact.clone();
            for now in nows {
                rolled.roll_up(at(now));
                rolled.roll_up(at(now));
            }
            prop_assert_eq!(rolled.since(Timestamp::MIN), exact.since(Timestamp::MIN));
            let (lines, rejects) = exact.since(at(from));
            let (said_lines, said_rejects) = rolled.since(at(from));
            prop_assert!(said_rejects >= rejects);
            prop_assert!(said_lines - said_rejects <= lines - rejects);
        }
    }
}

//! What the logs hold against what the state holds, window by window. Pure.
//!
//! ```text
//! whole window    every file with lines in it was given: logs = state
//! partial window  others may have lines in it, too:      logs <= state
//! ```
//!
//! A line that the daemon read too late counts from its arrival, and the log does not say when that
//! was: such lines may stand in another window of the state, and no more of them than it holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::credential::{Fingerprint, SourceName, StreamName};
use crate::engine::time::{Minute, Span, Step, Timestamp};
use crate::engine::usage::Consumer;
use crate::store::look::KeptUsage;

/// Words of the outcomes, as in `Outcome::ALL`.
pub const OUTCOMES: [&str; 4] = ["accepted", "unauthenticated", "forbidden", "failed"];

/// Presentations of one source in the logs, by key, consumer and minute.
pub type Counts = BTreeMap<(Fingerprint, Consumer, Minute), [u64; 4]>;

/// What was counted of one source, and what it can be compared with.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Presentations in the given files.
    pub cells: Counts,
    /// Event time in which files that were not given may have lines.
    pub elsewhere: Vec<Span>,
    /// Keys to compare, each with the event time from which lines were matched against it.
    pub keys: BTreeMap<Fingerprint, Option<Timestamp>>,
    /// Consumers whose presentations are kept apart, of the keys of which not all are.
    pub apart: BTreeMap<Fingerprint, BTreeSet<Consumer>>,
    /// Event time before which history may be forgotten.
    pub forgotten_before: Option<Timestamp>,
}

/// Lines of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The source.
    pub source: SourceName,
    /// The stream.
    pub stream: StreamName,
    /// Lines and rejects in the given files.
    pub logs: [u64; 2],
    /// Lines and rejects in the state.
    pub state: [u64; 2],
    /// Whether every file of the stream was given.
    pub is_whole: bool,
}

/// Where logs and state differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The source.
    pub source: SourceName,
    /// First instant and width of the window; `None`: a whole stream.
    pub window: Option<(Timestamp, Step)>,
    /// The key; `None`: all lines.
    pub key: Option<Fingerprint>,
    /// Who presented it, or the stream.
    pub who: String,
    /// What is counted.
    pub what: &'static str,
    /// In the logs.
    pub logs: u64,
    /// In the state.
    pub state: u64,
}

/// What a comparison says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The differences, by source, key, consumer, outcome and window.
    pub differences: Vec<Difference>,
    /// Windows that must be equal.
    pub whole: usize,
    /// Windows in which the logs must not exceed the state.
    pub partial: usize,
    /// Windows that were left out: before their key was looked for, or forgotten.
    pub left_out: usize,
}

/// Counts of one window.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    logs: [u64; 4],
    state: [u64; 4],
    late: [u64; 4],
}

type Windows = BTreeMap<(Minute, Step), Cell>;

/// Compares what was counted of one source with what is kept of it.
pub fn source(name: &SourceName, counted: &Counted, kept: &[KeptUsage]) -> Outcome {
    let kept: Vec<&KeptUsage> = kept.iter().filter(|it| it.source == *name).collect();
    let widths = Widths::of(&kept);
    let mut all: BTreeMap<(Fingerprint, Consumer), Windows> = BTreeMap::new();
    for usage in kept.iter().filter(|it| counted.keys.contains_key(&it.key)) {
        let window = widths.window(usage.minute);
        let of = all.entry((usage.key, usage.consumer.clone())).or_default();
        let cell = of.entry(window).or_default();
        add(if usage.late { &mut cell.late } else { &mut cell.state }, usage.counts);
    }
    for ((key, consumer, minute), counts) in &counted.cells {
        if counted.keys.contains_key(key) {
            let who = counted.shown(key, consumer);
            let of = all.entry((*key, who)).or_default();
            add(&mut of.entry(widths.window(*minute)).or_default().logs, *counts);
        }
    }
    let mut outcome = Outcome::default();
    for ((key, consumer), mut windows) in all {
        let before = windows.len();
        windows.retain(|window, _| counted.is_comparable(&key, *window));
        outcome.left_out += before - windows.len();
        for window in windows.keys() {
            let partial = counted.is_partial(*window);
            *(if partial { &mut outcome.partial } else { &mut outcome.whole }) += 1;
        }
        for (which, what) in OUTCOMES.into_iter().enumerate() {
            let rows = differing(&windows, which, |window| counted.is_partial(window));
            outcome.differences.extend(rows.into_iter().map(|(window, logs, state)| Difference {
                source: name.clone(),
                window: Some((window.0.start(), window.1)),
                key: Some(key),
                who: consumer.as_str().to_owned(),
                what,
                logs,
                state,
            }));
        }
    }
    outcome
}

/// Compares the lines of whole streams.
pub fn lines(all: &[Lines]) -> Vec<Difference> {
    let mut rows = Vec::new();
    for it in all {
        for (which, what) in ["lines", "rejects"].into_iter().enumerate() {
            let (logs, state) = (it.logs[which], it.state[which]);
            if logs > state || it.is_whole && logs < state {
                let (source, who) = (it.source.clone(), it.stream.as_str().to_owned());
                let row = Difference { source, window: None, key: None, who, what, logs, state };
                rows.push(row);
            }
        }
    }
    rows
}

type Row = ((Minute, Step), u64, u64);

/// Returns the windows that differ in one outcome, with what logs and state hold.
fn differing(
    windows: &Windows,
    which: usize,
    is_partial: impl Fn((Minute, Step)) -> bool,
) -> Vec<Row> {
    let (mut rows, mut more, mut less) = (Vec::new(), Vec::new(), Vec::new());
    let (mut surplus, mut moved, mut late_elsewhere) = (0_u64, 0_u64, 0_u64);
    for (window, cell) in windows {
        let (logs, late) = (cell.logs[which], cell.late[which]);
        let state = cell.state[which].saturating_add(late);
        let row = (*window, logs, state);
        let partial = is_partial(*window);
        if partial {
            late_elsewhere = late_elsewhere.saturating_add(late);
        }
        if logs > state {
            surplus = surplus.saturating_add(logs - state);
            more.push(row);
        } else if !partial && state - logs > late {
            rows.push(row);
        } else if !partial && state > logs {
            moved = moved.saturating_add(state - logs);
            less.push(row);
        }
    }
    let explained = surplus <= moved.saturating_add(late_elsewhere);
    if !explained {
        rows.append(&mut more);
    }
    // A late line that is in the state and in no log, where all of them were given.
    if moved > surplus && !windows.keys().any(|window| is_partial(*window)) {
        rows.append(&mut less);
    }
    rows.sort_by_key(|row| row.0);
    rows
}

impl Counted {
    /// Returns under which name the presentations of a consumer are kept.
    fn shown(&self, key: &Fingerprint, consumer: &Consumer) -> Consumer {
        match self.apart.get(key) {
            Some(apart) if !apart.contains(consumer) => Consumer::Others,
            _ => consumer.clone(),
        }
    }

    fn is_comparable(&self, key: &Fingerprint, (begin, _): (Minute, Step)) -> bool {
        let since = self.keys.get(key).copied().flatten();
        since.is_none_or(|since| begin.start() >= since)
            && self.forgotten_before.is_none_or(|before| begin.start() >= before)
    }

    fn is_partial(&self, (begin, step): (Minute, Step)) -> bool {
        let end = Minute::from_number(begin.number().saturating_add(step.minutes()));
        self.elsewhere.iter().any(|span| span.from < end.start() && begin.start() <= span.to)
    }
}

/// How wide the windows are in which usage can be compared: as wide as the widest that is kept.
struct Widths {
    hours: BTreeSet<Minute>,
    days: BTreeSet<Minute>,
}

impl Widths {
    fn of(kept: &[&KeptUsage]) -> Self {
        let begins = |step: Step| {
            let of_step = kept.iter().filter(|it| it.step == step);
            of_step.map(|it| step.begin(it.minute)).collect()
        };
        Self { hours: begins(Step::Hour), days: begins(Step::Day) }
    }

    fn window(&self, minute: Minute) -> (Minute, Step) {
        let (hour, day) = (Step::Hour.begin(minute), Step::Day.begin(minute));
        if self.days.contains(&day) {
            (day, Step::Day)
        } else if self.hours.contains(&hour) {
            (hour, Step::Hour)
        } else {
            (Step::Minute.begin(minute), Step::Minute)
        }
    }
}

fn add(sums: &mut [u64; 4], counts: [u64; 4]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::ConsumerName;

    fn edge() -> SourceName {
        SourceName::new("edge")
    }

    fn key() -> Fingerprint {
        Fingerprint::from_bytes([1; 16])
    }

    fn named(name: &str) -> Consumer {
        Consumer::Named(ConsumerName::from_bytes(name.as_bytes()))
    }

    fn kept(minute: i64, step: Step, late: bool, accepted: u64) -> KeptUsage {
        let (source, minute) = (edge(), Minute::from_number(minute));
        let counts = [accepted, 0, 0, 0];
        KeptUsage { source, key: key(), consumer: named("a"), step, minute, late, counts }
    }

    fn counted(logs: &[(i64, u64)]) -> Counted {
        let cell = |(minute, accepted): &(i64, u64)| {
            ((key(), named("a"), Minute::from_number(*minute)), [*accepted, 0, 0, 0])
        };
        let keys = [(key(), None)].into_iter().collect();
        Counted { cells: logs.iter().map(cell).collect(), keys, ..Counted::default() }
    }

    /// The rows of a comparison as (minute, logs, state).
    fn rows(counted: &Counted, state: &[KeptUsage]) -> Vec<(i64, u64, u64)> {
        let outcome = source(&edge(), counted, state);
        let row = |it: &Difference| (it.window.unwrap().0.minute().number(), it.logs, it.state);
        outcome.differences.iter().map(row).collect()
    }

    const MINUTE: Step = Step::Minute;

    #[test]
    fn a_whole_window_must_be_equal() {
        let state = [kept(5, MINUTE, false, 3), kept(6, MINUTE, false, 1)];
        assert_eq!(rows(&counted(&[(5, 3), (6, 1)]), &state), []);
        assert_eq!(rows(&counted(&[(5, 2), (7, 1)]), &state), [(5, 2, 3), (6, 0, 1), (7, 1, 0)]);
    }

    #[test]
    fn in_a_partial_window_the_logs_must_not_exceed_the_state() {
        let state = [kept(5, MINUTE, false, 3), kept(6, MINUTE, false, 1)];
        let minute = |number| Minute::from_number(number).start();
        let elsewhere = vec![Span { from: minute(6), to: minute(9) }];
        let with = |logs: &[_]| Counted { elsewhere: elsewhere.clone(), ..counted(logs) };
        assert_eq!(rows(&with(&[(5, 3)]), &state), []);
        assert_eq!(rows(&with(&[(5, 2)]), &state), [(5, 2, 3)]);
        assert_eq!(rows(&with(&[(5, 3), (6, 2)]), &state), [(6, 2, 1)]);
        let outcome = source(&edge(), &with(&[(5, 3)]), &state);
        assert_eq!((outcome.whole, outcome.partial), (1, 1));
    }

    #[test]
    fn a_late_line_may_stand_in_a_later_window_of_the_state() {
        let state = [kept(5, MINUTE, false, 3), kept(9, MINUTE, true, 2)];
        assert_eq!(rows(&counted(&[(5, 4), (6, 1)]), &state), []);
        // One more than arrived late, and one less.
        assert_eq!(rows(&counted(&[(5, 5), (6, 1)]), &state), [(5, 5, 3), (6, 1, 0)]);
        assert_eq!(rows(&counted(&[(5, 4)]), &state), [(9, 0, 2)]);
        // Late lines hide nothing that is missing among those in time.
        assert_eq!(rows(&counted(&[(5, 2), (6, 3)]), &state), [(5, 2, 3), (6, 3, 0)]);
    }

    #[test]
    fn what_was_rolled_up_is_compared_by_hour_and_day() {
        let state = [kept(60, Step::Hour, false, 5), kept(1440, Step::Day, false, 2)];
        assert_eq!(rows(&counted(&[(61, 2), (119, 3), (1500, 1), (2000, 1)]), &state), []);
        assert_eq!(rows(&counted(&[(61, 2), (1500, 2)]), &state), [(60, 2, 5)]);
        // A roll-up that stopped midway.
        let midway = [kept(60, Step::Hour, false, 2), kept(70, MINUTE, false, 3)];
        assert_eq!(rows(&counted(&[(61, 2), (70, 3)]), &midway), []);
    }

    #[test]
    fn what_was_not_looked_for_or_is_forgotten_is_left_out() {
        let at = |number| Some(Minute::from_number(number).start());
        let logs = counted(&[(5, 1), (9, 2)]);
        let state = [kept(9, MINUTE, false, 2)];
        let since = Counted { keys: [(key(), at(6))].into_iter().collect(), ..logs.clone() };
        assert_eq!(rows(&since, &state), []);
        let forgotten = Counted { forgotten_before: at(6), ..logs.clone() };
        assert_eq!(rows(&forgotten, &state), []);
        assert_eq!(source(&edge(), &forgotten, &state).left_out, 1);
        assert_eq!(rows(&logs, &state), [(5, 1, 0)]);
    }

    #[test]
    fn consumers_beyond_the_bound_are_compared_as_one() {
        let others = KeptUsage { consumer: Consumer::Others, ..kept(5, MINUTE, false, 3) };
        let apart = [(key(), [named("b"), Consumer::Others].into_iter().collect())];
        let logs = Counted { apart: apart.into_iter().collect(), ..counted(&[(5, 3)]) };
        assert_eq!(rows(&logs, &[others]), []);
    }

    #[test]
    fn lines_of_a_stream_are_compared_as_a_sum() {
        let of = |logs, is_whole| Lines {
            source: edge(),
            stream: StreamName::new("a.log"),
            logs,
            state: [10, 2],
            is_whole,
        };
        assert_eq!(lines(&[of([10, 2], true), of([7, 1], false)]), []);
        assert_eq!(lines(&[of([9, 2], true)]).len(), 1);
        assert_eq!(lines(&[of([11, 3], false)]).len(), 2);
    }
}

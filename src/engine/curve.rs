//! Shares over time: of the consumers that have moved, and of the requests that carry the new key.
//!
//! The first is a step at each move. The second is counted in windows: one in which no request was
//! seen has no value, which is something else than zero, and one that meets a gap says so.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::declaration::Declaration;
use crate::engine::ledger::{KeyUse, Ledger};
use crate::engine::time::{Minute, Span, Timestamp};

/// Most points of either curve.
pub const MAX_POINTS: usize = 256;

/// How many consumers had moved from an instant on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The instant.
    pub at: Timestamp,
    /// Consumers that had moved.
    pub moved: u64,
    /// Their share of those that must move; `None` if nobody must.
    pub share: Option<f64>,
}

/// Requests of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requests {
    /// First instant of the window.
    pub from: Timestamp,
    /// Presentations of the old key, whatever their outcome.
    pub old: u64,
    /// Presentations of the new key, whatever their outcome.
    pub new: u64,
    /// Share of the new key; `None` where nothing was seen.
    pub share: Option<f64>,
    /// Whether evidence of the window was lost.
    pub gap: bool,
}

/// Both curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Consumers, in ascending order of time.
    pub consumers: Vec<Step>,
    /// Width of a window of requests.
    pub width: Duration,
    /// Requests, every window from the first to the last; those of synthetic consumers count, too.
    pub requests: Vec<Requests>,
}

/// Draws the curves over `window`. `moves` are ascending; of `total` consumers that must move.
pub(super) fn draw(
    declaration: &Declaration,
    ledger: &Ledger,
    moves: &[Timestamp],
    total: u64,
    gaps: &[Span],
    window: Span,
) -> Curve {
    let old = ledger.key(declaration.old_key.fingerprint);
    let new = ledger.key(declaration.new_key.fingerprint);
    let (width, windows) = counted([old, new], window);
    let width = wide_enough(width, window);
    Curve {
        consumers: steps(moves, total, window.from),
        width: Duration::from_secs(60 * width.unsigned_abs()),
        requests: requests(windows, width, gaps, window),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts fit 52 bits")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn steps(moves: &[Timestamp], total: u64, from: Timestamp) -> Vec<Step> {
    let step = |at: Timestamp, count: usize| {
        let count = count as u64;
        Step { at, moved: count, share: share(count, total) }
    };
    let mut steps = vec![step(from, moves.partition_point(|move_at| *move_at <= from))];
    for (before, at) in moves.iter().enumerate().filter(|(_, at)| **at > from) {
        if steps.last().is_some_and(|last| last.at == *at) {
            steps.pop();
        }
        steps.push(step(*at, before + 1));
    }
    thin_out(steps)
}

/// Keeps the first, the last and as many between them as there may be.
fn thin_out(steps: Vec<Step>) -> Vec<Step> {
    let every = steps.len().saturating_sub(1).div_ceil(MAX_POINTS - 1).max(1);
    let last = steps.len().saturating_sub(1);
    let kept = steps
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at == 0 || (last - at).is_multiple_of(every));
    kept.map(|(_, step)| step).collect()
}

/// Counts of the old and of the new key in the window that begins at an instant.
type Counted = (Timestamp, [u64; 2]);

/// Returns what was counted since the start of `span`, by the finest account that knows all of it,
/// and the width of its windows in minutes.
///
/// The series knows the whole life of a key, in windows that are wide after a long one; what each
/// consumer did lately is known by minute, hour or day.
fn counted(keys: [Option<&KeyUse>; 2], span: Span) -> (i64, Vec<Counted>) {
    let whole: Vec<_> = in_order(keys, |uses| {
        let width = uses.series.width();
        uses.series.iter().map(move |(start, counts)| (start, width, counts)).collect()
    });
    let lately: Vec<_> = in_order(keys, |uses| {
        let each = uses.consumers.values();
        each.flat_map(|presentations| presentations.recent.windows(span.from)).collect()
    });
    let reaches = lately.iter().all(|(start, ..)| start.since(span.from) <= RECENT);
    let finer = reaches && widest(&lately) < widest(&whole);
    let windows = if finer { lately } else { whole };
    let width = widest(&windows);
    (width, windows.into_iter().map(|(start, _, counts)| (start, counts)).collect())
}

/// What is known lately reaches back this far before the newest presentation of a consumer.
const RECENT: Duration = Duration::from_hours(31 * 24);

type Window = (Timestamp, Duration, [u64; 2]);

/// Lists windows of both keys, each with the sum of its outcomes in the place of its key.
fn in_order<'a>(
    keys: [Option<&'a KeyUse>; 2],
    windows: impl Fn(&'a KeyUse) -> Vec<(Timestamp, Duration, [u64; 4])>,
) -> Vec<Window> {
    let mut all = Vec::new();
    for (place, uses) in keys.into_iter().enumerate() {
        for (start, width, outcomes) in uses.map(&windows).into_iter().flatten() {
            let mut counts = [0; 2];
            counts[place] = outcomes.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
            all.push((start, width, counts));
        }
    }
    all
}

fn widest(windows: &[Window]) -> i64 {
    let minutes = windows.iter().map(|(_, width, _)| width.as_secs() / 60).max();
    i64::try_from(minutes.unwrap_or(1)).unwrap_or(i64::MAX).max(1)
}

/// Returns a width that is a multiple of `width` and makes no more than [`MAX_POINTS`] windows.
fn wide_enough(mut width: i64, window: Span) -> i64 {
    let too_many = |width| {
        let numbers = numbers(width, window);
        numbers.end().abs_diff(*numbers.start()) >= MAX_POINTS as u64
    };
    while too_many(width) {
        width = width.saturating_mul(2);
    }
    width
}

/// Numbers the windows of `width` minutes that meet the span, its end included.
fn numbers(width: i64, window: Span) -> std::ops::RangeInclusive<i64> {
    let number = |at: Timestamp| at.minute().number().div_euclid(width);
    number(window.from)..=number(window.to)
}

fn requests(windows: Vec<Counted>, width: i64, gaps: &[Span], window: Span) -> Vec<Requests> {
    let mut counts: BTreeMap<i64, [u64; 2]> = BTreeMap::new();
    for (start, more) in windows {
        let sums = counts.entry(start.minute().number().div_euclid(width)).or_default();
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum = sum.saturating_add(more);
        }
    }
    let start = |number: i64| Minute::from_number(number.saturating_mul(width)).start();
    let point = |number: i64| {
        let [old, new] = counts.get(&number).copied().unwrap_or_default();
        let span = Span { from: start(number), to: start(number.saturating_add(1)) };
        Requests {
            from: span.from,
            old,
            new,
            share: share(new, old.saturating_add(new)),
            gap: gaps.iter().any(|gap| gap.from < span.to && span.from <= gap.to),
        }
    };
    numbers(width, window).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Minute::from_number(minute).start()
    }

    fn moved(steps: &[Step]) -> Vec<(Timestamp, u64)> {
        steps.iter().map(|step| (step.at, step.moved)).collect()
    }

    #[test]
    fn moves_at_or_before_the_beginning_are_its_first_step_and_those_of_one_instant_are_one() {
        let moves = [1, 5, 7, 7, 9].map(at);
        let expected = [(at(5), 2), (at(7), 4), (at(9), 5)];
        assert_eq!(moved(&steps(&moves, 5, at(5))), expected);
        assert_eq!(moved(&steps(&[], 5, at(5))), [(at(5), 0)]);
    }

    #[test]
    fn of_too_many_steps_the_first_and_the_last_are_kept() {
        for count in [2, 255, 256, 257, 510, 511, 5_000] {
            let moves: Vec<Timestamp> = (1..count).map(at).collect();
            let kept = steps(&moves, 1, at(0));
            assert!(kept.len() <= MAX_POINTS, "{count}: {}", kept.len());
            assert!(kept.len() >= usize::try_from(count).unwrap().min(MAX_POINTS / 2), "{count}");
            assert_eq!((kept[0].at, kept[kept.len() - 1].at), (at(0), at(count - 1)), "{count}");
        }
    }

    #[test]
    fn as_many_windows_as_there_may_be_are_drawn() {
        let points = i64::try_from(MAX_POINTS).unwrap();
        let width = |last| wide_enough(1, Span { from: at(0), to: at(last) });
        assert_eq!((width(points - 1), width(points)), (1, 2));
    }

    #[test]
    fn a_gap_shows_in_each_window_that_it_meets_and_in_no_other() {
        let gap = Span { from: at(1), to: at(2) };
        let drawn = requests(Vec::new(), 1, &[gap], Span { from: at(0), to: at(3) });
        assert_eq!(drawn.iter().map(|it| it.gap).collect::<Vec<_>>(), [false, true, true, false]);
        let instant = Span { from: at(1), to: at(1) };
        let drawn = requests(Vec::new(), 1, &[instant], Span { from: at(0), to: at(2) });
        assert_eq!(drawn.iter().map(|it| it.gap).collect::<Vec<_>>(), [false, true, false]);
    }
}

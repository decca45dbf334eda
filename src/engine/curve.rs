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
    let width = width(old, new, window);
    Curve {
        consumers: steps(moves, total, window.from),
        width: Duration::from_secs(60 * width.unsigned_abs()),
        requests: requests(old, new, width, gaps, window),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts fit 52 bits")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn steps(moves: &[Timestamp], total: u64, from: Timestamp) -> Vec<Step> {
    let step = |at: Timestamp, moved: usize| {
        let moved = moved as u64;
        Step { at, moved, share: share(moved, total) }
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

/// Returns the width of the windows in minutes: at least that of either key's series, and so that
/// there are not too many.
fn width(old: Option<&KeyUse>, new: Option<&KeyUse>, window: Span) -> i64 {
    let known = [old, new].into_iter().flatten().map(|uses| uses.series.width().as_secs() / 60);
    let mut width = i64::try_from(known.max().unwrap_or(1)).unwrap_or(i64::MAX).max(1);
    let most = MAX_POINTS as u64;
    let too_many = |width| {
        let numbers = numbers(width, window);
        numbers.end().abs_diff(*numbers.start()) >= most
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

fn requests(
    old: Option<&KeyUse>,
    new: Option<&KeyUse>,
    width: i64,
    gaps: &[Span],
    window: Span,
) -> Vec<Requests> {
    let mut counts: BTreeMap<i64, [u64; 2]> = BTreeMap::new();
    for (key, uses) in [old, new].into_iter().enumerate() {
        for (start, outcomes) in uses.into_iter().flat_map(|uses| uses.series.iter()) {
            let number = start.minute().number().div_euclid(width);
            let sum = &mut counts.entry(number).or_default()[key];
            *sum = outcomes.iter().fold(*sum, |sum, count| sum.saturating_add(*count));
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

//! When the rest will have moved, from the pace of those that have: an estimate with its interval.
//!
//! ```text
//! moves   | x  x   x x |     x   x       x   .   now      the last half and the wait since
//!                      |<-------- T ----------->|         m moves in T, r consumers left
//! ```
//!
//! Assumption: from now on consumers move independently of each other at one steady pace, the one
//! of the last half of the moves (a Poisson process). Then the time until `r` more have moved,
//! relative to the time `T` that `m` moves took, has a beta prime distribution whatever the pace
//! is: `X / (X + T) ~ Beta(r, m)`. This is the prediction of a future waiting time from a past one
//! by the ratio of two gamma variables, an F distribution (Hahn, Meeker, Escobar: Statistical
//! Intervals, 2nd ed., chapter 7; Nelson 1970, "Confidence intervals for the ratio of two Poisson
//! means and Poisson predictor intervals"). Beta with whole parameters is a binomial tail, so no
//! special function is needed. As the past ends now and not at a move, the lower limit takes
//! `m + 1`, which errs to the wide side.
//!
//! A crowd slows down as it gets smaller: if each consumer moves by a chance per hour of its own,
//! the last of twenty is hardly ever there when the steady pace says. So the upper limit is the
//! later of two, and holds for either: there the last of `r` exponential waits, at a rate that the
//! `m` moves in the waits of all so far tell (a gamma variable over their sum).
//!
//! What it is not: a promise. The wait since the last move counts, so a migration that stalls gets
//! later and wider with each look.

use std::time::Duration;

use crate::engine::time::Timestamp;

/// Fewer moves tell no pace.
pub const MIN_MOVES: usize = 3;

/// The interval covers the truth this often, in percent, at a steady pace and if each moves on its own.
pub const CONFIDENCE_PERCENT: u32 = 90;

/// Chance beyond each end of the interval.
const TAIL: f64 = 0.05;

/// More moves than these hardly narrow the interval; the limit bounds the work.
const MAX_MOVES: usize = 256;

/// How long the rest will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// At the pace of the last moves.
    pub expected: Duration,
    /// Lower limit of the interval.
    pub earliest: Duration,
    /// Upper limit of the interval.
    pub latest: Duration,
    /// Moves that the pace is taken from.
    pub moves: u64,
    /// Time that they took, the wait since included.
    pub took: Duration,
}

/// Estimates how long after `now` the last of `left` consumers will have moved.
///
/// `moves` are the times of the moves so far, ascending. `None` with fewer than [`MIN_MOVES`], or
/// when all of them happened this instant. With nobody left the answer is zero. O(`left`).
pub fn forecast(moves: &[Timestamp], left: u64, now: Timestamp) -> Option<Forecast> {
    if moves.len() < MIN_MOVES {
        return None;
    }
    let counted = moves.len().div_ceil(2).min(MAX_MOVES);
    let (before, last) = moves.split_at(moves.len() - counted);
    let from = *before.last()?;
    let took = now.since(from);
    if took.is_zero() {
        return None;
    }
    let waits = last.iter().map(|move_at| move_at.since(from).as_secs_f64());
    let waited = waits.sum::<f64>() + number(left) * took.as_secs_f64();
    let took_seconds = took.as_secs_f64();
    let after = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let moves = counted as u64;
    let steady = took_seconds * waiting_ratio(left, moves, 1.0 - TAIL);
    let each = waited * last_wait_ratio(left, moves, 1.0 - TAIL);
    Some(Forecast {
        expected: after(took_seconds * number(left) / number(moves)),
        earliest: after(took_seconds * waiting_ratio(left, moves + 1, TAIL)),
        latest: after(steady.max(each)),
        moves,
        took,
    })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of consumers fit 52 bits")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Returns the `chance` quantile of `X / T`: the waiting time for `future` events, relative to the
/// time that `past` events took.
fn waiting_ratio(future: u64, past: u64, chance: f64) -> f64 {
    if future == 0 {
        return 0.0;
    }
    let binomial = BinomialTail::new(future, past);
    // Over the odds x = y / (1 - y).
    quantile(chance, number(future) / number(past), |odds| binomial.at(odds))
}

/// Returns the `chance` quantile of the longest of `left` exponential waits, relative to the sum
/// of all waits so far, in which `moves` ended.
fn last_wait_ratio(left: u64, moves: u64, chance: f64) -> f64 {
    const POINTS: u32 = 1024;
    if left == 0 {
        return 0.0;
    }
    // The rate is gamma distributed: its density by the midpoint rule, of which only ratios matter.
    let shape = number(moves);
    let width = (shape + 8.0 * shape.sqrt() + 20.0) / f64::from(POINTS);
    let rates: Vec<(f64, f64)> = (0..POINTS)
        .map(|point| {
            let rate = width * (f64::from(point) + 0.5);
            (rate, ((shape - 1.0) * (rate / shape).ln() + shape - rate).exp())
        })
        .collect();
    let whole: f64 = rates.iter().map(|(_, weight)| weight).sum();
    quantile(chance, 1.0 / shape, |wait| {
        let over = |rate: f64| (1.0 - (-rate * wait).exp()).powf(number(left));
        rates.iter().map(|(rate, weight)| weight * over(*rate)).sum::<f64>() / whole
    })
}

/// Returns where `chance_at`, which grows, reaches `chance`: a bracket first, then 40 halvings.
fn quantile(chance: f64, start: f64, chance_at: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, start);
    while chance_at(high) < chance && high < 1e12 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if chance_at(middle) < chance {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// `P(Beta(future, past) <= y)`, which is `P(Binomial(future + past - 1, y) >= future)`.
struct BinomialTail {
    future: u64,
    past: u64,
    /// Logarithm of `future + past - 1` over `future`.
    ln_choose: f64,
}

impl BinomialTail {
    /// `future` and `past` are at least 1.
    fn new(future: u64, past: u64) -> Self {
        let factors = (1..=future).map(|i| (number(past - 1 + i) / number(i)).ln());
        Self { future, past, ln_choose: factors.sum() }
    }

    /// Returns the chance at the odds `y / (1 - y)`; in logarithms, as single terms underflow.
    fn at(&self, odds: f64) -> f64 {
        let trials = self.future + self.past - 1;
        let ln_odds = odds.ln();
        // y^k (1 - y)^(n - k) = odds^k / (1 + odds)^n
        let mut term =
            self.ln_choose + number(self.future) * ln_odds - number(trials) * odds.ln_1p();
        let mut sum = 0.0;
        for k in self.future..=trials {
            sum += term.exp();
            term += (number(trials - k) / number(k + 1)).ln() + ln_odds;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_seconds(3_600 * hour)
    }

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn one_that_is_left_is_waited_for_as_the_closed_form_says() {
        // Beta(1, m): 1 - (1 - y)^m = p, so x = (1 - p)^(-1/m) - 1.
        near(waiting_ratio(1, 1, 0.95), 19.0);
        near(waiting_ratio(1, 2, 0.95), 0.05_f64.powf(-0.5) - 1.0);
        near(waiting_ratio(1, 3, 0.05), 0.95_f64.powf(-1.0 / 3.0) - 1.0);
        // Beta(r, 1): y^r = p.
        let y = 0.95_f64.powf(1.0 / 4.0);
        near(waiting_ratio(4, 1, 0.95), y / (1.0 - y));
    }

    #[test]
    fn larger_numbers_agree_with_the_published_table_of_f() {
        // 95 % points of F: F(10, 20) = 2.3479, F(20, 10) = 2.7740, F(4, 120) = 2.4472.
        let f = |future: u64, past: u64| {
            waiting_ratio(future, past, 0.95) * number(past) / number(future)
        };
        assert!((f(5, 10) - 2.3479).abs() < 5e-4);
        assert!((f(10, 5) - 2.7740).abs() < 5e-4);
        assert!((f(2, 60) - 2.4472).abs() < 5e-4);
    }

    #[test]
    fn the_last_of_one_is_waited_for_as_the_closed_form_says_however_many_moved() {
        // An exponential wait at a rate that is gamma distributed: (1 - p)^(-1/m) - 1.
        for moves in [2_u64, 30, 10_000] {
            for chance in [0.05, 0.5, 0.95_f64] {
                let expected = (1.0 - chance).powf(-1.0 / number(moves)) - 1.0;
                let found = last_wait_ratio(1, moves, chance);
                assert!((found / expected - 1.0).abs() < 1e-3, "{moves}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn the_pace_is_that_of_the_last_half_and_the_wait_since_counts() {
        // Four moves: the last two of them took from 10:00 to 14:00, two hours each.
        let moves = [at(1), at(10), at(11), at(12)];
        let told = forecast(&moves, 3, at(14)).unwrap();
        assert_eq!((told.moves, told.took), (2, Duration::from_hours(4)));
        assert_eq!(told.expected, Duration::from_hours(6));
        let later = forecast(&moves, 3, at(24)).unwrap();
        assert_eq!(later.expected, Duration::from_hours(21));
    }

    #[test]
    fn two_moves_or_no_time_tell_no_pace_and_nobody_left_takes_no_time() {
        assert_eq!(forecast(&[at(1), at(2)], 1, at(3)), None);
        assert_eq!(forecast(&[at(1); 3], 1, at(1)), None);
        let none_left = forecast(&[at(1), at(2), at(3)], 0, at(3)).unwrap();
        assert_eq!((none_left.earliest, none_left.latest), (Duration::ZERO, Duration::ZERO));
    }

    /// A generator of its own: the same draws on every run.
    fn draws(mut seed: u64) -> impl FnMut() -> f64 {
        move || {
            // splitmix64
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (number((z ^ (z >> 31)) >> 11) + 0.5) / number(1 << 53)
        }
    }

    #[test]
    fn the_last_wait_of_one_has_a_closed_form_and_that_of_many_agrees_with_a_simulation() {
        // One exponential wait over a gamma sum: 1 - (1 + x)^-m.
        for moves in [2, 3, 30, 256] {
            let exact = 0.05_f64.powf(-1.0 / number(moves)) - 1.0;
            assert!((last_wait_ratio(1, moves, 0.95) / exact - 1.0).abs() < 1e-3, "{moves}");
        }
        // By the gamma quantiles of SciPy 1.17.
        for (left, moves, expected) in [(10, 5, 1.719), (200, 30, 0.3125), (2, 3, 2.298)] {
            let found = last_wait_ratio(left, moves, 0.95);
            assert!((found / expected - 1.0).abs() < 5e-3, "{left} {moves}: {found}");
        }
        assert!(last_wait_ratio(0, 3, 0.95) <= 0.0);
    }

    /// How often, in percent, the interval after 10 hours holds the last of 20 moves.
    fn covered(mut moves_of: impl FnMut() -> Vec<f64>) -> u32 {
        let (mut told, mut covered) = (0_u32, 0_u32);
        for _ in 0..300 {
            let mut moves: Vec<Timestamp> = moves_of()
                .into_iter()
                .map(|hour| {
                    Timestamp::from_seconds(0).plus(Duration::from_secs_f64(3_600.0 * hour))
                })
                .collect();
            moves.sort_unstable();
            let now = at(10);
            let so_far = moves.partition_point(|move_at| *move_at <= now);
            let left = (moves.len() - so_far) as u64;
            if let Some(forecast) = forecast(&moves[..so_far], left, now).filter(|_| left > 0) {
                let truly = moves[19].since(now);
                told += 1;
                covered += u32::from(forecast.earliest <= truly && truly <= forecast.latest);
            }
        }
        100 * covered / told
    }

    #[test]
    fn the_interval_covers_what_it_says_at_a_steady_pace_and_when_each_moves_on_its_own() {
        let honest = CONFIDENCE_PERCENT..=99;
        let mut draw = draws(1);
        // One move an hour, whoever is left.
        let steady = covered(|| {
            let mut clock = 0.0;
            let next = std::iter::repeat_with(|| {
                clock -= draw().ln();
                clock
            });
            next.take(20).collect()
        });
        assert!(honest.contains(&steady), "{steady} %");
        // Each within ten hours on average.
        let mut draw = draws(2);
        let each = covered(|| std::iter::repeat_with(|| -10.0 * draw().ln()).take(20).collect());
        assert!(honest.contains(&each), "{each} %");
    }

    proptest! {
        #[test]
        fn the_estimate_lies_in_its_interval_and_more_to_move_is_never_sooner(
            mut moves in prop::collection::vec(0_i64..1_000_000, 3..60),
            left in 1_u64..200,
            wait in 1_i64..100_000,
        ) {
            moves.sort_unstable();
            let now = Timestamp::from_seconds(moves[moves.len() - 1] + wait);
            let moves: Vec<Timestamp> = moves.into_iter().map(Timestamp::from_seconds).collect();
            let told = forecast(&moves, left, now).unwrap();
            prop_assert!(told.earliest <= told.expected && told.expected <= told.latest);
            let more = forecast(&moves, left + 1, now).unwrap();
            prop_assert!(told.earliest <= more.earliest && told.latest <= more.latest);
        }
    }
}

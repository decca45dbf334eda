//! What is taken down of a rotation when it ends, so that its figures never change afterwards: keys
//! are used again, and policies change.
//!
//! Percentiles are nearest-rank: of n sorted values, the one at rank ⌈p × n⌉. Nothing here reads
//! the log or decides anything.

use std::time::Duration;

use crate::engine::new_key::ratio;
use crate::engine::rotation::RotationId;
use crate::engine::time::Timestamp;

/// What the log said of a rotation when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationSummary {
    /// The rotation.
    pub rotation: RotationId,
    /// When both keys became valid: told, else the first accepted use of the new key.
    pub dual_accept_at: Option<Timestamp>,
    /// Last accepted use of the old key, not after the end.
    pub last_use: Option<Timestamp>,
    /// Overlap that was allocated.
    pub allocated: Duration,
    /// How its consumers moved.
    pub velocity: Velocity,
}

/// How fast consumers moved, counted from their notification, else from dual-accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Velocity {
    /// Consumers that had to move.
    pub consumers: u64,
    /// Those that did.
    pub moved: u64,
    /// Until half of them had moved; `None`: that many did not.
    pub t50: Option<Duration>,
    /// Until nine of ten had moved; `None`: that many did not.
    pub t90: Option<Duration>,
    /// Until the last one that moved had; `None`: none did.
    pub last: Option<Duration>,
}

/// Returns the velocity of `consumers` of which some moved, each at the time given.
///
/// One that had moved before `since` took no time.
pub fn velocity(since: Timestamp, consumers: u64, moved_at: &[Timestamp]) -> Velocity {
    let mut took: Vec<Duration> = moved_at.iter().map(|at| at.since(since)).collect();
    took.sort_unstable();
    let within = |percent| took.get(rank(consumers, percent)?).copied();
    Velocity {
        consumers,
        moved: took.len() as u64,
        t50: within(50),
        t90: within(90),
        last: took.last().copied(),
    }
}

/// Returns the place of the nearest-rank percentile among `count` sorted values, from 0.
fn rank(count: u64, percent: u64) -> Option<usize> {
    let rank = u128::from(count).saturating_mul(u128::from(percent)).div_ceil(100);
    usize::try_from(rank).ok()?.checked_sub(1)
}

/// Returns the nearest-rank percentile of `values`.
pub fn percentile(values: &[Duration], percent: u64) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(rank(sorted.len() as u64, percent)?).copied()
}

/// Returns how long the old key went on being used in the overlap; `None` if it is not known when
/// that began. A key that was not used any more took no time.
pub fn drain(summary: &RotationSummary) -> Option<Duration> {
    let began = summary.dual_accept_at?;
    Some(summary.last_use.map_or(Duration::ZERO, |last| last.since(began)))
}

/// Returns the consumers that moved per hour; `None` where none took any time.
pub fn per_hour(moves: impl IntoIterator<Item = Velocity>) -> Option<f64> {
    let mut arrived = 0_u64;
    let mut took = Duration::ZERO;
    for (velocity, last) in moves.into_iter().filter_map(|it| Some((it, it.last?))) {
        arrived = arrived.saturating_add(velocity.moved);
        took = took.saturating_add(last);
    }
    let arrived = ratio(arrived, 1)?;
    (!took.is_zero()).then(|| arrived * 3_600.0 / took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(n: u64) -> Duration {
        Duration::from_hours(n)
    }

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_seconds(0).plus(hours(hour))
    }

    #[test]
    fn a_percentile_is_the_value_at_the_nearest_rank() {
        assert_eq!(percentile(&[hours(3), hours(1), hours(2)], 50), Some(hours(2)));
        let ten: Vec<Duration> = (1..=10).map(hours).collect();
        assert_eq!((percentile(&ten, 50), percentile(&ten, 90)), (Some(hours(5)), Some(hours(9))));
        assert_eq!(percentile(&ten[..1], 90), Some(hours(1)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn velocity_counts_from_the_notification_and_over_all_that_had_to_move() {
        let moved = [at(2), at(1), at(3), at(8)];
        let found = velocity(at(0), 5, &moved);
        assert_eq!((found.t50, found.t90), (Some(hours(3)), None), "the 3rd and the 5th of five");
        assert_eq!((found.moved, found.last), (4, Some(hours(8))));
        assert_eq!(velocity(at(0), 4, &moved).t90, Some(hours(8)));
        assert_eq!(velocity(at(2), 4, &moved).t50, Some(hours(0)), "it had moved before");
        assert_eq!(velocity(at(0), 0, &[]), Velocity::default());
        // 4 in 8 h and 2 in 4 h: 6 in 12 h.
        let other = velocity(at(0), 2, &[at(4), at(4)]);
        assert_eq!(per_hour([found, other]), Some(0.5));
        assert_eq!(per_hour([velocity(at(9), 4, &moved)]), None, "none took any time");
        assert_eq!(per_hour([velocity(at(0), 3, &[])]), None);
    }
}

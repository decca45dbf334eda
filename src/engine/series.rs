//! Presentations of one key over time, in windows that widen as the time grows.
//!
//! ```text
//! 1 min  | 3 | 5 | 0 | 2 |   too many windows:   2 min  | 8 | 2 |
//! ```
//!
//! What is kept depends on the set of presentations alone, not on the order in which they came.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::time::{Minute, Timestamp};

/// Most windows that are kept: beyond that, two become one. At most 40 KiB per key.
///
/// 30 days in windows of 64 min are 675.
pub const MAX_WINDOWS: usize = 1024;

/// Counts per window and outcome, indexed as [`Outcome::ALL`].
///
/// [`Outcome::ALL`]: crate::engine::usage::Outcome::ALL
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Width of a window in minutes: a power of two.
    width: i64,
    /// By number: the window `n` begins at minute `n × width`.
    windows: BTreeMap<i64, [u64; 4]>,
}

impl Default for Series {
    fn default() -> Self {
        Self { width: 1, windows: BTreeMap::new() }
    }
}

impl Series {
    /// Takes a stored series back: its width in minutes and its windows by number.
    ///
    /// `None` where the width is no power of two, or there are more windows than are kept.
    pub fn restore(width: i64, windows: impl IntoIterator<Item = (i64, [u64; 4])>) -> Option<Self> {
        let series = Self { width, windows: windows.into_iter().collect() };
        let is_width = width > 0 && width.cast_unsigned().is_power_of_two();
        (is_width && series.spanned() <= MAX_WINDOWS as u64).then_some(series)
    }

    /// Adds what a minute saw.
    pub fn add(&mut self, minute: Minute, counts: [u64; 4]) {
        add(self.windows.entry(minute.number().div_euclid(self.width)).or_default(), counts);
        while self.spanned() > MAX_WINDOWS as u64 {
            self.width = self.width.saturating_mul(2);
            for (number, counts) in std::mem::take(&mut self.windows) {
                add(self.windows.entry(number.div_euclid(2)).or_default(), counts);
            }
        }
    }

    /// Returns the number of windows from the first to the last, empty ones included.
    fn spanned(&self) -> u64 {
        let ends = self.windows.keys().next().zip(self.windows.keys().next_back());
        ends.map_or(0, |(first, last)| last.abs_diff(*first).saturating_add(1))
    }

    /// Returns the width of a window.
    pub fn width(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.width).unwrap_or(1).saturating_mul(60))
    }

    /// Iterates over the windows that are not empty, each with its number, in ascending order.
    pub fn stored(&self) -> impl Iterator<Item = (i64, [u64; 4])> {
        self.windows.iter().map(|(number, counts)| (*number, *counts))
    }

    /// Iterates over the windows that are not empty, each with its start, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, [u64; 4])> {
        self.windows.iter().map(|(number, counts)| {
            (Minute::from_number(number.saturating_mul(self.width)).start(), *counts)
        })
    }

    /// Returns the sums of the windows that meet `[from, to)`: at their ends by a window too much.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> [u64; 4] {
        let width = self.width();
        let meets = self.iter().filter(|(start, _)| *start < to && from < start.plus(width));
        meets.fold([0; 4], |mut sums, (_, counts)| {
            add(&mut sums, counts);
            sums
        })
    }
}

fn add(sums: &mut [u64; 4], counts: [u64; 4]) {
    for (sum, more) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(minutes: &[i64]) -> Series {
        let mut series = Series::default();
        for minute in minutes {
            series.add(Minute::from_number(*minute), [1, 0, 0, 0]);
        }
        series
    }

    #[test]
    fn windows_widen_when_there_are_too_many_and_no_count_is_lost() {
        let minutes: Vec<i64> = (0..3000).collect();
        let series = series(&minutes);
        assert_eq!(series.width(), Duration::from_mins(4));
        assert_eq!(series.between(Timestamp::MIN, Timestamp::MAX), [3000, 0, 0, 0]);
        let at = |minute| Minute::from_number(minute).start();
        assert_eq!(series.between(at(4), at(8)), [4, 0, 0, 0]);
    }

    #[test]
    fn as_many_windows_as_there_may_be_are_kept_and_taken_back() {
        let last = i64::try_from(MAX_WINDOWS).unwrap() - 1;
        assert_eq!(series(&[0, last]).width(), Duration::from_mins(1));
        assert_eq!(series(&[0, last + 1]).width(), Duration::from_mins(2));
        let restored =
            |width, last| Series::restore(width, [(0, [1; 4]), (last, [1; 4])]).is_some();
        assert!(restored(4, last) && !restored(4, last + 1), "one too many");
        assert!(
            !restored(0, 1) && !restored(-4, 1) && !restored(3, 1),
            "no width that doubling makes"
        );
    }

    proptest! {
        #[test]
        fn the_order_of_minutes_changes_nothing(mut minutes in prop::collection::vec(-9000_i64..9000, 0..60)) {
            let as_it_came = series(&minutes);
            minutes.sort_unstable();
            prop_assert_eq!(as_it_came, series(&minutes));
        }
    }
}

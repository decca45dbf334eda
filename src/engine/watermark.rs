//! The watermark of a stream: event time before which no more events are expected.
//!
//! ```text
//! frontier   latest event time read (or a proved end of file), never later than its arrival
//! watermark  frontier - lateness, never later than now - lateness, never going back
//! ```
//!
//! A source's watermark is the least of its streams', a rotation's the least of its sources'.
//! One stream without a watermark leaves the whole without one.

use std::time::Duration;

use crate::engine::time::Timestamp;

/// Moves a stream's watermark forward; never back.
///
/// `lateness` is the allowed or the observed one, whichever is larger. Returns `None` until a line
/// was read.
pub fn advance(
    watermark: Option<Timestamp>,
    frontier: Option<Timestamp>,
    lateness: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let next = frontier.map(|frontier| frontier.min(now).minus(lateness));
    watermark.max(next)
}

/// Returns the least watermark, `None` if one is missing or there are none. O(n).
pub fn least(watermarks: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    let mut all = watermarks.into_iter();
    let first = all.next()??;
    all.try_fold(first, |least, next| next.map(|next| least.min(next)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn t(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn one_stream_without_a_watermark_leaves_the_source_without_one() {
        assert_eq!(least([Some(t(5)), None, Some(t(3))]), None);
        assert_eq!(least([Some(t(5)), Some(t(3))]), Some(t(3)));
        assert_eq!(least([]), None);
    }

    #[test]
    fn a_watermark_is_never_later_than_now_minus_lateness() {
        let lateness = Duration::from_secs(30);
        assert_eq!(advance(None, Some(t(1_000)), lateness, t(500)), Some(t(470)));
    }

    proptest! {
        #[test]
        fn invariant_3_a_watermark_never_goes_back_and_advancing_twice_is_once(
            steps in prop::collection::vec((0_i64..1_000, 0_u64..100, 0_i64..1_000), 1..20),
        ) {
            let mut watermark = None;
            for (frontier, lateness, now) in steps {
                let lateness = Duration::from_secs(lateness);
                let once = advance(watermark, Some(t(frontier)), lateness, t(now));
                prop_assert!(once >= watermark);
                prop_assert_eq!(advance(once, Some(t(frontier)), lateness, t(now)), once);
                watermark = once;
            }
        }
    }
}

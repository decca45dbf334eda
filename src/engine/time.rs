//! Instants, minutes and spans of UTC time.
//!
//! Nothing here knows what time it is: `now` is always an argument (see `clock.rs`).
//! Arithmetic saturates, so no log line can make it overflow.

use std::fmt;
use std::time::Duration;

/// An instant in UTC with nanosecond resolution, 1677-09-21 to 2262-04-11.
///
/// Event time (the time in a log line) and processing time (`now`) are both of this type;
/// the name of the variable says which: `event_at` or `now`.
///
/// ```
/// use keydrain::engine::time::Timestamp;
/// let at = Timestamp::from_seconds(1_431_857_103);
/// assert_eq!(at.to_string(), "2015-05-17T10:05:03Z");
/// assert_eq!("2015-05-17T10:05:03Z".parse(), Ok(at));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const NANOS: i64 = 1_000_000_000;

impl Timestamp {
    /// The earliest instant that can be told.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes an instant from nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Makes an instant from whole seconds since 1970-01-01T00:00:00Z; saturates.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS))
    }

    /// Returns nanoseconds since 1970-01-01T00:00:00Z.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Returns whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(NANOS)
    }

    /// Returns the instant `by` later; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// Returns the instant `by` earlier; saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }

    /// Returns the time from `earlier` to `self`; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the minute that contains this instant.
    pub const fn minute(self) -> Minute {
        Minute(self.0.div_euclid(60 * NANOS))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with as many fraction digits as needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(at) => fmt::Display::fmt(&at, f),
            Err(_) => f.write_str("out of range"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no RFC 3339 instant, or lies outside 1677 to 2262.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time like 2026-01-31T09:30:00Z")]
pub struct NotATimestamp;

impl std::str::FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let at: jiff::Timestamp = text.parse().map_err(|_| NotATimestamp)?;
        i64::try_from(at.as_nanosecond()).map(Self).map_err(|_| NotATimestamp)
    }
}

/// A counting window of one minute, aligned to UTC: minutes since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    /// Makes the minute with this number, counted from 1970-01-01T00:00Z.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Returns the number of the minute, counted from 1970-01-01T00:00Z.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Returns the first instant of the minute.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(60 * NANOS))
    }
}

/// How wide a counting window is. Windows are aligned to UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One day.
    Day,
}

impl Step {
    /// All steps, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Returns the minutes of a window.
    pub const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 24 * 60,
        }
    }

    /// Returns the next wider step.
    pub const fn wider(self) -> Option<Self> {
        match self {
            Self::Minute => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => None,
        }
    }

    /// Returns the first minute of the window that `minute` lies in.
    pub const fn begin(self, minute: Minute) -> Minute {
        Minute(minute.0.div_euclid(self.minutes()).saturating_mul(self.minutes()))
    }
}

/// A half-open span of time `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant after it; never before `from`.
    pub to: Timestamp,
}

impl Span {
    /// Makes the span between two instants, whichever comes first.
    pub fn between(a: Timestamp, b: Timestamp) -> Self {
        Self { from: a.min(b), to: a.max(b) }
    }

    /// Makes one span of those that meet; returns them in ascending order.
    pub fn joined(mut spans: Vec<Self>) -> Vec<Self> {
        spans.sort_unstable_by_key(|span| (span.from, span.to));
        spans.dedup_by(|later, span| {
            let meets = span.meets(*later);
            if meets {
                span.to = span.to.max(later.to);
            }
            meets
        });
        spans
    }

    /// Tells whether some instant lies in both spans. An empty span counts as its one instant.
    pub fn meets(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_overflowing() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.minus(Duration::from_secs(1)), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn a_minute_before_1970_starts_before_its_instants() {
        let at = Timestamp::from_seconds(-1);
        assert_eq!(at.minute().start(), Timestamp::from_seconds(-60));
    }

    #[test]
    fn spans_that_meet_are_joined_whatever_their_order() {
        let span =
            |from, to| Span::between(Timestamp::from_seconds(from), Timestamp::from_seconds(to));
        let joined =
            Span::joined(vec![span(7, 9), span(1, 5), span(2, 3), span(9, 12), span(4, 6)]);
        assert_eq!(joined, [span(1, 6), span(7, 12)]);
        assert_eq!(Span::joined(Vec::new()), []);
    }

    #[test]
    fn spans_that_only_touch_meet() {
        let t = Timestamp::from_seconds;
        assert!(Span::between(t(1), t(2)).meets(Span::between(t(2), t(3))));
        assert!(!Span::between(t(1), t(2)).meets(Span::between(t(3), t(4))));
    }
}

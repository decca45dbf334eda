//! Durations as people write them: `90s`, `15m`, `36h`, `7d`, `1h 30m`.
//!
//! A day is 24 hours and a week seven days. Months and years have no fixed length and are refused.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Ten years: longer spans are typing errors, and sums of a few of these stay in range.
const MAX: Duration = Duration::from_hours(3650 * 24);

/// What a duration looks like, for messages.
pub const EXPECTED: &str = "a duration like \"90s\", \"15m\", \"36h\" or \"7d\"";

/// Reads a duration; the error says what is wrong with it, as the end of a sentence.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    let span: Span = text.trim().parse().map_err(|_| "is no duration")?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err("has months or years, which have no fixed length");
    }
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "is longer than 3650 days")?;
    let duration = Duration::try_from(signed).map_err(|_| "is negative")?;
    if duration > MAX { Err("is longer than 3650 days") } else { Ok(duration) }
}

/// Writes a duration for a message: `5m 30s`, `30d`.
pub fn show(duration: Duration) -> String {
    const DAY: u64 = 86_400;
    let seconds = duration.as_secs();
    if seconds > 0 && seconds.is_multiple_of(DAY) && duration.subsec_nanos() == 0 {
        return format!("{}d", seconds / DAY);
    }
    SignedDuration::try_from(duration)
        .map_or_else(|_| "ever".into(), |signed| format!("{signed:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_duration_is_ten_years_and_nothing_is_no_day() {
        assert_eq!(parse("3650d"), Ok(MAX));
        assert_eq!(parse("3650d 1ns"), Err("is longer than 3650 days"));
        assert_eq!(show(MAX), "3650d");
        assert_eq!(show(Duration::ZERO), "0s");
    }

    fn seconds(text: &str) -> Result<u64, &'static str> {
        parse(text).map(|duration| duration.as_secs())
    }

    #[test]
    fn the_spellings_of_the_manual_are_read() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("36h"), Ok(36 * 3600));
        assert_eq!(seconds("7d"), Ok(7 * 86_400));
        assert_eq!(seconds("2w"), Ok(14 * 86_400));
        assert_eq!(seconds("1h 30m"), Ok(5400));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("0s"), Ok(0));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_has_no_fixed_length_no_unit_or_no_sense_is_refused() {
        assert_eq!(seconds("1mo"), Err("has months or years, which have no fixed length"));
        assert_eq!(seconds("1y"), Err("has months or years, which have no fixed length"));
        assert_eq!(seconds("-5m"), Err("is negative"));
        assert_eq!(seconds("3651d"), Err("is longer than 3650 days"));
        assert_eq!(seconds("19000y"), Err("has months or years, which have no fixed length"));
        for text in ["", "15", "m", "15 parsecs", "15m and a bit"] {
            assert_eq!(seconds(text), Err("is no duration"), "{text:?}");
        }
    }

    #[test]
    fn a_shown_duration_reads_back() {
        for text in ["5m 30s", "90s", "7d", "36h", "0s"] {
            assert_eq!(parse(&show(parse(text).unwrap())), parse(text));
        }
        assert_eq!(show(Duration::from_hours(720)), "30d");
    }
}

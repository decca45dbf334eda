//! A time whose form is told from its text: for fields that a config names without saying more.
//!
//! Reads RFC 3339 and its relatives, the common log format and epochs. A local time without a zone
//! needs one from the config. Where clocks were set back and a local time came twice, the later one
//! counts: a use of the old key must never look older than it is. A local time that a change of
//! clocks left out is no time.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{fraction, instant, month, number, offset};
use crate::engine::time::Timestamp;

/// Most digits of an epoch that are read; the rest is far below a nanosecond.
const EPOCH_DIGITS: usize = 30;

/// Reads the whole of `text`; `None` when it is no time that can be told, or outside 1677 to 2262.
///
/// An epoch is an integer or a decimal fraction, also with an exponent, and its unit follows from
/// its size: below 10^11 seconds, below 10^14 ms, below 10^17 us, else ns.
pub fn any_form(text: &[u8], zone: Option<&TimeZone>) -> Option<Timestamp> {
    match text {
        [_, _, _, _, b'-', ..] => dashed(text, zone),
        [_, _, b'/', ..] => slashed(text, zone),
        _ => epoch(text),
    }
}

/// Reads `2024-05-01T12:00:00.123+02:00`, with a space for the `T`, a comma for the point.
pub fn dashed(text: &[u8], zone: Option<&TimeZone>) -> Option<Timestamp> {
    let (t, rest) = text.split_first_chunk::<19>()?;
    if !matches!([t[4], t[7], t[10], t[13], t[16]], [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
        return None;
    }
    let date = (number(&t[..4])?, number(&t[5..7])?, number(&t[8..10])?);
    zoned(date, &t[11..19], rest, zone)
}

/// `17/May/2015:10:05:03.123 +0200`, with or without fraction and zone, a space for the first colon.
fn slashed(text: &[u8], zone: Option<&TimeZone>) -> Option<Timestamp> {
    let (t, rest) = text.split_first_chunk::<20>()?;
    if !matches!([t[2], t[6], t[11], t[14], t[17]], [b'/', b'/', b':' | b' ', b':', b':']) {
        return None;
    }
    let date = (number(&t[7..11])?, month(&t[3..6])?, number(&t[..2])?);
    zoned(date, &t[12..20], rest, zone)
}

/// Reads what follows a date: clock, fraction and zone.
fn zoned(
    date: (i64, i64, i64),
    clock: &[u8],
    rest: &[u8],
    zone: Option<&TimeZone>,
) -> Option<Timestamp> {
    let clock = (number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..8])?);
    let (nanos, rest) = match rest {
        [b'.' | b',', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (fraction(&rest[..digits])?, &rest[digits..])
        }
        _ => (0, rest),
    };
    let two = |high: u8, low: u8| number(&[high, low]);
    let east = match rest.strip_prefix(b" ").unwrap_or(rest) {
        [] => return local(date, clock, nanos, zone?),
        [b'Z' | b'z'] => 0,
        [sign, a, b] => offset(*sign, two(*a, *b)?, 0)?,
        [sign, a, b, c, d] | [sign, a, b, b':', c, d] => offset(*sign, two(*a, *b)?, two(*c, *d)?)?,
        _ => return None,
    };
    instant(date, clock, east, nanos)
}

/// Reads a time on the clocks of `zone`.
fn local(
    date: (i64, i64, i64),
    clock: (i64, i64, i64),
    nanos: i64,
    zone: &TimeZone,
) -> Option<Timestamp> {
    let small = |number: i64| i8::try_from(number).ok();
    let second = if clock.2 == 60 { 59 } else { clock.2 };
    let local = DateTime::new(
        i16::try_from(date.0).ok()?,
        small(date.1)?,
        small(date.2)?,
        small(clock.0)?,
        small(clock.1)?,
        small(second)?,
        i32::try_from(nanos).ok()?,
    );
    let at = zone.to_ambiguous_timestamp(local.ok()?);
    if let AmbiguousOffset::Gap { .. } = at.offset() {
        return None;
    }
    let nanos = at.later().ok()?.as_nanosecond();
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// Returns the earlier of the two times at which the clocks of `zone` showed what they show at `at`,
/// if they showed it twice.
pub fn earliest(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let earlier = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).ok().and_then(|it| {
        let shown = zone.to_ambiguous_timestamp(zone.to_datetime(it));
        i64::try_from(shown.earlier().ok()?.as_nanosecond()).ok()
    });
    earlier.map_or(at, Timestamp::from_nanos)
}

/// Reads seconds, milliseconds, microseconds or nanoseconds since 1970, exactly.
fn epoch(text: &[u8]) -> Option<Timestamp> {
    let digits_of = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, rest) = text.split_at(digits_of(text));
    if whole.is_empty() {
        return None;
    }
    let (decimals, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(digits_of(rest)),
        _ => (&b""[..], rest),
    };
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', b'-', digits @ ..] => -small_number(digits)?,
        [b'e' | b'E', b'+', digits @ ..] | [b'e' | b'E', digits @ ..] => small_number(digits)?,
        _ => return None,
    };
    if rest.is_empty() && text.ends_with(b".") {
        return None;
    }
    let mut digits = 0u128;
    let mut count = 0i32;
    let mut scale = exponent;
    let leading = whole.iter().take_while(|&&digit| digit == b'0').count();
    for (index, digit) in whole[leading..].iter().chain(decimals).enumerate() {
        let is_decimal = index >= whole.len() - leading;
        if usize::try_from(count).is_ok_and(|count| count < EPOCH_DIGITS) {
            digits = digits * 10 + u128::from(digit - b'0');
            count += i32::from(digits > 0);
            scale -= i32::from(is_decimal);
        } else {
            scale += i32::from(!is_decimal);
        }
    }
    if digits == 0 {
        return Some(Timestamp::from_nanos(0));
    }
    // Digits before the point say the unit.
    let unit = match count + scale {
        ..=11 => 9,
        12..=14 => 6,
        15..=17 => 3,
        18..=19 => 0,
        _ => return None,
    };
    let shift = scale + unit;
    let power = 10u128.checked_pow(shift.unsigned_abs());
    let nanos = match power {
        Some(power) if shift >= 0 => digits.checked_mul(power)?,
        Some(power) => digits / power,
        None => 0,
    };
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// Reads an exponent of up to three digits.
fn small_number(digits: &[u8]) -> Option<i32> {
    if digits.len() > 3 {
        return None;
    }
    i32::try_from(number(digits)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<&str>) {
        let expected = expected.map(|text| text.parse().expect("a time"));
        assert_eq!(any_form(text.as_bytes(), None), expected, "{text}");
    }

    fn in_berlin(text: &str, expected: Option<&str>) {
        let zone = TimeZone::get("Europe/Berlin").expect("a known zone");
        let expected = expected.map(|text| text.parse().expect("a time"));
        assert_eq!(any_form(text.as_bytes(), Some(&zone)), expected, "{text}");
    }

    #[test]
    fn only_a_time_that_the_clocks_showed_before_has_an_earlier_one() {
        let zone = TimeZone::get("Europe/Berlin").expect("a known zone");
        let check = |at: &str, expected: &str| {
            let time = |text: &str| text.parse().expect("a time");
            assert_eq!(earliest(time(at), &zone), time(expected), "{at}");
        };
        check("2024-10-27T01:00:00Z", "2024-10-27T00:00:00Z");
        check("2024-10-27T01:59:59.5Z", "2024-10-27T00:59:59.5Z");
        for once in ["2024-10-27T00:30:00Z", "2024-10-27T02:00:00Z", "2024-03-31T01:00:00Z"] {
            check(once, once);
        }
        assert_eq!(earliest(Timestamp::MAX, &zone), Timestamp::MAX);
        assert_eq!(earliest(Timestamp::MIN, &zone), Timestamp::MIN);
    }

    #[test]
    fn an_epoch_has_the_unit_that_its_size_says() {
        check("1693840791", Some("2023-09-04T15:19:51Z"));
        check("1693840791.7564995", Some("2023-09-04T15:19:51.7564995Z"));
        check("1693840791756", Some("2023-09-04T15:19:51.756Z"));
        check("1693840791756.25", Some("2023-09-04T15:19:51.75625Z"));
        check("1693840791756499", Some("2023-09-04T15:19:51.756499Z"));
        check("1693840791756499123", Some("2023-09-04T15:19:51.756499123Z"));
        check("1.693840791e9", Some("2023-09-04T15:19:51Z"));
        check("1693840791.00000000000000000000000000000000001", Some("2023-09-04T15:19:51Z"));
        check("0", Some("1970-01-01T00:00:00Z"));
        for same in [
            "169384079100e-2",
            "16938407.91E2",
            "16938407.91e+002",
            "0001693840791.0",
            "0.001693840791e12",
            "0.1693840791e010",
        ] {
            check(same, Some("2023-09-04T15:19:51Z"));
        }
        check("1693840791e0000", None);
        // Of the digits beyond what can matter none is read, and each still counts for the unit.
        check(&format!("1693840791{}e-40", "0".repeat(40)), Some("2023-09-04T15:19:51Z"));
        for bad in ["", "-1", "1.", ".5", "1e", "1x", "99999999999999999999", "1e99", "NaN", "0x10"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn relatives_of_rfc_3339_are_read() {
        for text in [
            "2024-05-01T12:00:00Z",
            "2024-05-01t12:00:00z",
            "2024-05-01 12:00:00Z",
            "2024-05-01T14:00:00+02:00",
            "2024-05-01 14:00:00 +0200",
            "2024-05-01T14:00:00.000000000+02",
            "2024-05-01T12:00:00,000Z",
            "2024-05-01T12:00:00.000000000Z",
            "01/May/2024:14:00:00 +0200",
            "01/May/2024:12:00:00.000 +0000",
            "01/May/2024 12:00:00.000 +0000",
        ] {
            check(text, Some("2024-05-01T12:00:00Z"));
        }
        check("2024-05-01T12:00:00.123456789Z", Some("2024-05-01T12:00:00.123456789Z"));
        check("2024-05-01T12:00:00.1234567890Z", None);
        for bad in
            ["2024-05-01", "2024-05-01T12:00Z", "2024-02-30T12:00:00Z", "2024-05-01T12:00:00.Z"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn a_time_without_a_zone_needs_one() {
        for text in ["2024-05-01T12:00:00", "2024-05-01 12:00:00.000", "01/May/2024:12:00:00.000"] {
            check(text, None);
            in_berlin(text, Some("2024-05-01T10:00:00Z"));
        }
        in_berlin("2024-05-01T12:00:00Z", Some("2024-05-01T12:00:00Z"));
    }

    #[test]
    fn of_an_hour_that_comes_twice_the_later_counts_and_one_left_out_is_none() {
        in_berlin("2024-10-27T02:30:00", Some("2024-10-27T01:30:00Z"));
        in_berlin("2024-03-31T02:30:00", None);
        in_berlin("2024-03-31T03:00:00", Some("2024-03-31T01:00:00Z"));
    }

    proptest! {
        #[test]
        fn epochs_are_exact(nanos in 100_000_000_000_000_000i64..i64::MAX, unit in 0u32..3) {
            let (digits, power) = [(9, 1_000_000_000), (6, 1_000_000), (3, 1000)][unit as usize];
            let text = format!("{}.{:0digits$}", nanos / power, nanos % power);
            prop_assert_eq!(any_form(text.as_bytes(), None), Some(Timestamp::from_nanos(nanos)));
        }

        #[test]
        fn epochs_of_each_unit_agree_with_jiff(seconds in 1_000_000_000i64..9_223_372_036) {
            let expected = jiff::Timestamp::from_second(seconds).expect("in range").as_nanosecond();
            for zeros in ["", "000", "000000", "000000000"] {
                let text = format!("{seconds}{zeros}");
                let read = any_form(text.as_bytes(), None).map(|at| i128::from(at.as_nanos()));
                prop_assert_eq!(read, Some(expected), "{}", text);
            }
        }

        #[test]
        fn log_times_with_a_fraction_agree_with_jiff(
            year in 1600i16..2300, month in 1i8..=12, day in 1i8..=28, second in 0i64..86_400,
            nanos in 0i64..1_000_000_000, digits in 1usize..=9, hours in -25i8..=25,
        ) {
            let midnight = DateTime::new(year, month, day, 0, 0, 0, 0).expect("a date");
            let unit = 10i64.pow(9 - u32::try_from(digits).expect("a digit"));
            let span = jiff::Span::new().seconds(second).nanoseconds(nanos / unit * unit);
            let local = midnight + span;
            let at = jiff::tz::offset(hours).to_timestamp(local).expect("in range");
            let expected = i64::try_from(at.as_nanosecond()).ok().map(Timestamp::from_nanos);
            let fraction = format!("{nanos:09}");
            let (clock, sign) = (local.strftime("%d/%b/%Y:%H:%M:%S"), if hours < 0 { '-' } else { '+' });
            let text = format!("{clock}.{} {sign}{:02}00", &fraction[..digits], hours.abs());
            prop_assert_eq!(any_form(text.as_bytes(), None), expected, "{}", text);
        }

        #[test]
        fn local_times_agree_with_jiff(
            month in 1i8..=12, day in 1i8..=28, hour in 0i8..24, minute in 0i8..60, nanos in 0i32..1_000_000_000,
        ) {
            let zone = TimeZone::get("America/New_York").expect("a known zone");
            let local = DateTime::new(2024, month, day, hour, minute, 7, nanos).expect("a date");
            let at = zone.to_ambiguous_timestamp(local);
            let gap = matches!(at.offset(), AmbiguousOffset::Gap { .. });
            let expected = (!gap).then(|| at.later().expect("in range").as_nanosecond());
            let text = format!("{local:.9}");
            let read = any_form(text.as_bytes(), Some(&zone)).map(|at| i128::from(at.as_nanos()));
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_make_it_fail(text in "[0-9TZ:/.,e+ -]{0,40}") {
            let zone = TimeZone::UTC;
            let _ = any_form(text.as_bytes(), Some(&zone));
        }
    }
}

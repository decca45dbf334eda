//! The ways servers write a time, read from bytes of fixed form.
//!
//! Strict: a day that the month does not have, a missing digit or zone is `None`, never a guess.
//! A leap second `:60` counts as `:59`, as in jiff, which is the oracle of the tests.

mod any_form;

mod clock;

use jiff::tz::TimeZone;

pub use any_form::{any_form, earliest};
pub use clock::Clock;

use crate::engine::time::Timestamp;

/// How a variable writes a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// `$time_local`: `17/May/2015:10:05:03 +0000`.
    Local,
    /// `$time_iso8601`: RFC 3339, `2015-05-17T10:05:03+00:00`.
    Iso8601,
    /// `$msec`: seconds since 1970 with a fraction, `1431857103.123`.
    Seconds,
    /// Any form that can be told from its text; always this many bytes.
    Fixed(u8),
}

/// Length of every `$time_local`.
const LOCAL_LEN: usize = 26;

impl TimeForm {
    /// Returns the length of every such time, where all have the same.
    pub fn len(self) -> Option<usize> {
        match self {
            Self::Local => Some(LOCAL_LEN),
            Self::Fixed(len) => Some(usize::from(len)),
            Self::Iso8601 | Self::Seconds => None,
        }
    }
}

/// Reads the whole of `text`; `None` when it is no such time or lies outside 1677 to 2262.
/// `zone` is that of times that carry none.
pub fn read(form: TimeForm, text: &[u8], zone: Option<&TimeZone>) -> Option<Timestamp> {
    match form {
        TimeForm::Local => local(text),
        // What a proxy or a module writes in its place may be a relative of RFC 3339.
        TimeForm::Iso8601 => iso8601(text).or_else(|| any_form::dashed(text, zone)),
        TimeForm::Seconds => seconds(text),
        TimeForm::Fixed(len) if text.len() == usize::from(len) => any_form(text, zone),
        TimeForm::Fixed(_) => None,
    }
}

fn local(text: &[u8]) -> Option<Timestamp> {
    let t: &[u8; LOCAL_LEN] = text.try_into().ok()?;
    let marks = [t[2], t[6], t[11], t[14], t[17], t[20]];
    if marks != *b"//::: " {
        return None;
    }
    let date = (number(&t[7..11])?, month(&t[3..6])?, number(&t[..2])?);
    let clock = (number(&t[12..14])?, number(&t[15..17])?, number(&t[18..20])?);
    let offset = offset(t[21], number(&t[22..24])?, number(&t[24..26])?)?;
    instant(date, clock, offset, 0)
}

fn iso8601(text: &[u8]) -> Option<Timestamp> {
    let (t, rest) = text.split_first_chunk::<19>()?;
    let marks = [t[4], t[7], t[10], t[13], t[16]];
    if marks != *b"--T::" {
        return None;
    }
    let date = (number(&t[..4])?, number(&t[5..7])?, number(&t[8..10])?);
    let clock = (number(&t[11..13])?, number(&t[14..16])?, number(&t[17..19])?);
    let (nanos, zone) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (fraction(&rest[..digits])?, &rest[digits..])
        }
        None => (0, rest),
    };
    let offset = match zone {
        b"Z" => 0,
        [sign, h1, h2, b':', m1, m2] => offset(*sign, number(&[*h1, *h2])?, number(&[*m1, *m2])?)?,
        _ => return None,
    };
    instant(date, clock, offset, nanos)
}

fn seconds(text: &[u8]) -> Option<Timestamp> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // 2262 has ten digits: more cannot be told.
    if digits > 10 {
        return None;
    }
    let whole = number(&text[..digits])?;
    let nanos = match &text[digits..] {
        [] => 0,
        [b'.', rest @ ..] => fraction(rest)?,
        _ => return None,
    };
    let nanos = whole.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    Some(Timestamp::from_nanos(nanos))
}

/// Reads one or more digits.
fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

/// Reads one to nine digits after the point as nanoseconds.
fn fraction(digits: &[u8]) -> Option<i64> {
    if digits.len() > 9 {
        return None;
    }
    let missing = 9 - u32::try_from(digits.len()).ok()?;
    Some(number(digits)? * 10i64.pow(missing))
}

fn month(name: &[u8]) -> Option<i64> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// Returns the offset in seconds east of UTC; up to 25:59 like jiff.
fn offset(sign: u8, hours: i64, minutes: i64) -> Option<i64> {
    if hours > 25 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn instant(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
    offset: i64,
    nanos: i64,
) -> Option<Timestamp> {
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !valid {
        return None;
    }
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59)
            - offset;
    // Before 1970 the product of the floor may not fit although the sum does.
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days of the Gregorian calendar, years beginning in March so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn oracle(format: &str, text: &str) -> Option<Timestamp> {
        let at = jiff::fmt::strtime::parse(format, text).ok()?.to_timestamp().ok()?;
        i64::try_from(at.as_nanosecond()).ok().map(Timestamp::from_nanos)
    }

    #[test]
    fn a_day_that_the_month_lacks_is_no_time() {
        assert!(read(TimeForm::Local, b"29/Feb/2016:00:00:00 +0000", None).is_some());
        assert!(read(TimeForm::Local, b"29/Feb/2000:00:00:00 +0000", None).is_some());
        for bad in [
            "29/Feb/2015:00:00:00 +0000",
            "29/Feb/2100:00:00:00 +0000",
            "31/Apr/2015:00:00:00 +0000",
        ] {
            assert_eq!(read(TimeForm::Local, bad.as_bytes(), None), None, "{bad}");
        }
    }

    #[test]
    fn a_leap_second_counts_as_the_second_before() {
        let at = read(TimeForm::Iso8601, b"2016-12-31T23:59:60Z", None);
        assert_eq!(at, "2016-12-31T23:59:59Z".parse().ok());
    }

    #[test]
    fn a_zone_moves_the_instant() {
        let at = read(TimeForm::Local, b"25/Oct/2016:14:49:33 +0200", None);
        assert_eq!(at, "2016-10-25T12:49:33Z".parse().ok());
    }

    #[test]
    fn the_first_and_the_last_nanosecond_are_times_and_those_beside_them_are_not() {
        let iso = |text: &str| read(TimeForm::Iso8601, text.as_bytes(), None);
        let (first, last) = (Timestamp::from_nanos(i64::MIN), Timestamp::from_nanos(i64::MAX));
        assert_eq!(iso("1677-09-21T00:12:43.145224192Z"), Some(first));
        assert_eq!(iso("1677-09-21T01:12:43.145224192+01:00"), Some(first));
        assert_eq!(iso("1677-09-21T00:12:43.145224191Z"), None);
        assert_eq!(iso("2262-04-11T23:47:16.854775807Z"), Some(last));
        assert_eq!(iso("2262-04-11T23:47:16.854775808Z"), None);
        let local = |text: &str| read(TimeForm::Local, text.as_bytes(), None);
        assert!(local("21/Sep/1677:00:12:44 +0000").is_some());
        assert_eq!(local("21/Sep/1677:00:12:43 +0000"), None);
        assert!(local("11/Apr/2262:23:47:16 +0000").is_some());
        assert_eq!(local("11/Apr/2262:23:47:17 +0000"), None);
        let seconds = |text: &str| read(TimeForm::Seconds, text.as_bytes(), None);
        assert_eq!(seconds("9223372036.854775807"), Some(last));
        assert_eq!(seconds("9223372036.854775808"), None);
        for text in ["9223372036.854775807", "9223372036854.775807", "9223372036854775807"] {
            assert_eq!(any_form(text.as_bytes(), None), Some(last), "{text}");
        }
        for text in ["9223372036.854775808", "9223372037", "9223372036854775808"] {
            assert_eq!(any_form(text.as_bytes(), None), None, "{text}");
        }
    }

    #[test]
    fn seconds_take_a_fraction_of_up_to_nine_digits() {
        let at = |text: &str| read(TimeForm::Seconds, text.as_bytes(), None);
        assert_eq!(at("1431857103.5"), Some(Timestamp::from_nanos(1_431_857_103_500_000_000)));
        assert_eq!(at("1431857103"), Some(Timestamp::from_seconds(1_431_857_103)));
        for bad in ["", ".5", "1.", "-1", "1e3", "99999999999", "9999999999", "1.1234567890"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn local_times_agree_with_jiff(
            day in 0u32..=32, month in 0usize..12, year in 1600u32..2300,
            hour in 0u32..=24, minute in 0u32..=60, second in 0u32..=61,
            sign in prop::sample::select(vec!['+', '-', ' ']),
            zone_hour in 0u32..=26, zone_minute in 0u32..=60,
        ) {
            let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun",
                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let text = format!(
                "{day:02}/{}/{year:04}:{hour:02}:{minute:02}:{second:02} {sign}{zone_hour:02}{zone_minute:02}",
                names[month],
            );
            let expected = oracle("%d/%b/%Y:%H:%M:%S %z", &text);
            prop_assert_eq!(read(TimeForm::Local, text.as_bytes(), None), expected, "{}", text);
        }

        #[test]
        fn iso_times_agree_with_jiff(
            year in 1600u32..2300, month in 0u32..=13, day in 0u32..=32,
            hour in 0u32..=24, minute in 0u32..=60, second in 0u32..=61,
            fraction in "(\\.[0-9]{1,9})?", zone in "(Z|[+-][0-2][0-9]:[0-6][0-9])",
        ) {
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
            );
            let expected = text.parse().ok();
            prop_assert_eq!(
                read(TimeForm::Iso8601, text.as_bytes(), None), expected, "{}", text
            );
            prop_assert_eq!(any_form(text.as_bytes(), None), expected, "{}", text);
        }

        #[test]
        fn seconds_with_a_fraction_are_exact(nanos in 0i64.., digits in 1usize..=9) {
            let all = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            let text = &all[..all.len() - 9 + digits];
            let unit = 10i64.pow(9 - u32::try_from(digits).expect("a digit"));
            let expected = Some(Timestamp::from_nanos(nanos / unit * unit));
            prop_assert_eq!(read(TimeForm::Seconds, text.as_bytes(), None), expected, "{}", text);
        }

        #[test]
        fn no_bytes_make_it_fail(text in prop::collection::vec(any::<u8>(), 0..40)) {
            for form in [TimeForm::Local, TimeForm::Iso8601, TimeForm::Seconds] {
                let _ = read(form, &text, None);
            }
        }

        #[test]
        fn a_changed_byte_never_reads_as_something_jiff_refuses(
            at in 0usize..26, byte in 0x20u8..0x7f,
        ) {
            let mut text = b"17/May/2015:10:05:03 +0000".to_vec();
            text[at] = byte;
            let shown = String::from_utf8(text.clone()).expect("ASCII");
            if let Some(read) = read(TimeForm::Local, &text, None) {
                prop_assert_eq!(Some(read), oracle("%d/%b/%Y:%H:%M:%S %z", &shown), "{}", shown);
            }
        }
    }
}

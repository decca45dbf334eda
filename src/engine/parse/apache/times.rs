//! What `%{…}t` writes, told from examples: a pattern is understood if what it makes of two
//! moments can be read back.

use jiff::Zoned;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use crate::engine::parse::instant;
use crate::engine::parse::layout::LayoutError;
use crate::engine::time::Timestamp;

/// What one `%{…}t` makes of the two moments, and the literal text after it.
pub type Piece = ([String; 2], String);

/// The moments that examples are made of: one with two digits everywhere, and one with one.
fn examples() -> [Zoned; 2] {
    let at = |date: Date, hour, minute, second, nanos| {
        let at = date.at(hour, minute, second, nanos).to_zoned(TimeZone::UTC);
        at.expect("the moment exists in UTC")
    };
    [at(date(2031, 12, 28), 23, 45, 56, 123_456_000), at(date(2032, 2, 3), 4, 5, 6, 7_008_000)]
}

/// Directives of a time's pattern that C and the crate that makes the examples agree on.
const OF_A_PATTERN: &str = "YCymdeHIklMSpbhBaAjsTRFDzZn";

/// Writes the examples as Apache would by the argument of a `%{…}t`.
pub fn shown(argument: &str) -> Result<[String; 2], LayoutError> {
    let is_known = |part: &str| part.starts_with(|char| OF_A_PATTERN.contains(char));
    let is_pattern = argument.replace("%%", "").split('%').skip(1).all(is_known);
    let mut shown = [String::new(), String::new()];
    for (text, at) in shown.iter_mut().zip(examples()) {
        let micros = at.timestamp().as_microsecond();
        *text = match argument {
            "sec" => (micros / 1_000_000).to_string(),
            "msec" => (micros / 1000).to_string(),
            "usec" => micros.to_string(),
            "msec_frac" => format!("{:03}", micros / 1000 % 1000),
            "usec_frac" => format!("{:06}", micros % 1_000_000),
            pattern => {
                let text = jiff::fmt::strtime::format(pattern, &at).ok();
                let refusal = || LayoutError::TimePattern(pattern.to_owned());
                text.filter(|_| is_pattern).ok_or_else(refusal)?
            }
        };
    }
    Ok(shown)
}

/// Returns the length of a time that both examples can be read back from.
pub fn readable(texts: &[String; 2], zone: Option<&TimeZone>) -> Result<u8, LayoutError> {
    let pattern = || LayoutError::TimePattern(texts[0].clone());
    for (text, at) in texts.iter().zip(examples()) {
        let read = instant::any_form(text.as_bytes(), Some(&TimeZone::UTC));
        if read.map(Timestamp::as_seconds) != Some(at.timestamp().as_second()) {
            return Err(pattern());
        }
        if zone.is_none() && instant::any_form(text.as_bytes(), None).is_none() {
            return Err(LayoutError::NoZone);
        }
    }
    // Both are as long: of what a pattern may write only names differ, and no form has a whole one.
    u8::try_from(texts[0].len()).map_err(|_| pattern())
}

/// Joins pieces of times with the literals between them; returns the literal after them too.
pub fn joined(pieces: &[Piece]) -> ([String; 2], String) {
    let mut all = [String::new(), String::new()];
    let mut after = "";
    for (shown, literal) in pieces {
        for (text, piece) in all.iter_mut().zip(shown) {
            text.extend([after, piece]);
        }
        after = literal;
    }
    (all, after.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_day_has_another_length_at_another_time() {
        let of_a_pattern = OF_A_PATTERN.chars().map(|char| format!("%{char}"));
        let words = ["sec", "msec", "usec", "msec_frac", "usec_frac", "%%"].map(str::to_owned);
        for argument in of_a_pattern.chain(words) {
            let [one, other] = shown(&argument).expect("it is known");
            assert_eq!(one.len() != other.len(), argument == "%A", "{argument}: {one} {other}");
        }
    }

    #[test]
    fn no_time_that_is_read_back_holds_a_whole_name() {
        for name in ["%A", "%B"] {
            for pattern in ["", "/", "%d/", "%d/%b/%Y:%T", "%FT%T", "%F %T ", "%s", "%se", "%s."] {
                for text in [format!("{pattern}{name}"), format!("{name}{pattern}")] {
                    let texts = shown(&text).expect("it is known");
                    assert!(readable(&texts, Some(&TimeZone::UTC)).is_err(), "{text}");
                }
            }
        }
    }
}

//! Words for people: durations and errors as they are said, digests as they are shown.

use std::fmt::Write as _;
use std::time::Duration;

/// Writes bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Says a duration with its one or two largest units: `14 s`, `15 min`, `2 h 5 min`, `3 d`.
///
/// ```
/// use keydrain::engine::wording::humane;
/// use std::time::Duration;
/// assert_eq!(humane(Duration::from_secs(14)), "14 s");
/// assert_eq!(humane(Duration::from_secs(905)), "15 min 5 s");
/// assert_eq!(humane(Duration::from_secs(7 * 86_400)), "7 d");
/// ```
pub fn humane(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = duration.as_secs();
    if seconds == 0 {
        let millis = duration.as_millis();
        return if millis == 0 { "0 s".to_owned() } else { format!("{millis} ms") };
    }
    let mut words = Vec::new();
    let mut rest = seconds;
    for (size, unit) in UNITS {
        if rest >= size && words.len() < 2 {
            words.push(format!("{} {unit}", rest / size));
            rest %= size;
        } else if !words.is_empty() {
            break;
        }
    }
    words.join(" ")
}

/// Says a share as a percentage: `1 %`, `0.25 %`.
///
/// ```
/// use keydrain::engine::wording::percent;
/// assert_eq!(percent(0.01), "1 %");
/// assert_eq!(percent(0.0025), "0.25 %");
/// assert_eq!(percent(1.0 / 3.0), "33.33 %");
/// ```
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Lists the first three of many names, and how many more there are.
///
/// ```
/// use keydrain::engine::wording::several;
/// assert_eq!(several(&["a", "b"]), "a, b");
/// assert_eq!(several(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
/// ```
pub fn several(names: &[&str]) -> String {
    const NAMED: usize = 3;
    let shown = names[..names.len().min(NAMED)].join(", ");
    let more = names.len().saturating_sub(NAMED);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Says an error with everything that caused it, as one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some errors repeat their cause.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_a_second_is_said_in_milliseconds() {
        let said = [0, 999_999, 1_000_000, 999_999_999].map(|n| humane(Duration::from_nanos(n)));
        assert_eq!(said, ["0 s", "0 s", "1 ms", "999 ms"]);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Said {
        text: &'static str,
        source: Option<Box<Said>>,
    }

    #[test]
    fn a_cause_is_said_once() {
        let cause = |text| Some(Box::new(Said { text, source: None }));
        let said = |text, source| chain(&Said { text, source });
        assert_eq!(said("cannot open", cause("no such file")), "cannot open: no such file");
        assert_eq!(
            said("cannot open: no such file", cause("no such file")),
            "cannot open: no such file"
        );
    }
}

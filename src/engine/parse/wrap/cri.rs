//! A line of the Kubernetes container runtime interface: `TIME stdout|stderr F|P[:tags] TEXT`.
//!
//! `F` is a whole line or the last part of one, `P` a part that more is to follow. containerd
//! writes the time with as many digits as it needs, CRI-O with nine and an offset.

use super::{Output, stamp};
use crate::engine::time::Timestamp;

/// A line, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CriLine<'a> {
    /// When the runtime got it.
    pub at: Timestamp,
    /// Where the container wrote it.
    pub output: Output,
    /// Whether more is to follow.
    pub is_part: bool,
    /// What the container wrote.
    pub text: &'a [u8],
    /// Whether the time is in whole seconds with an offset. A server may write such a time too,
    /// a runtime does once in a billion lines.
    pub has_servers_time: bool,
}

/// Reads a line; `None` when it has another form.
pub fn read(line: &[u8]) -> Option<CriLine<'_>> {
    let (at, rest) = stamp(line)?;
    let has_servers_time = line[19] != b'.' && line[19] != b'Z';
    let (output, rest) = rest.split_at_checked(6)?;
    let output = Output::named(output)?;
    let (&kind, rest) = rest.strip_prefix(b" ")?.split_first()?;
    let is_part = match kind {
        b'F' => false,
        b'P' => true,
        _ => return None,
    };
    let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b":_-.=".contains(&byte);
    let end = rest.iter().position(|&byte| !is_tag(byte))?;
    let is_tagged = end == 0 || rest[0] == b':';
    if !is_tagged || rest[end] != b' ' {
        return None;
    }
    Some(CriLine { at, output, is_part, text: &rest[end + 1..], has_servers_time })
}

/// Tells cheaply whether a line may be a part that more is to follow.
pub fn may_be_part(line: &[u8]) -> bool {
    if !matches!(line, [_, _, _, _, b'-', ..]) {
        return false;
    }
    let window = &line[..line.len().min(36)];
    let Some(space) = memchr::memchr(b' ', window) else { return false };
    let rest = &line[space + 1..];
    rest.starts_with(b"stdout P") || rest.starts_with(b"stderr P")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2025-12-31T17:37:40.493035218+01:00";

    fn check(line: &str, expected: Option<(Output, bool, &str)>) {
        let read = read(line.as_bytes());
        let said = read.map(|line| (line.output, line.is_part, String::from_utf8_lossy(line.text)));
        let said = said.as_ref().map(|(output, part, text)| (*output, *part, text.as_ref()));
        assert_eq!(said, expected, "{line}");
        if said.is_some_and(|(_, is_part, _)| is_part) {
            assert!(may_be_part(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_line_is_a_time_an_output_a_kind_and_a_text() {
        check(&format!("{AT} stdout F a b"), Some((Output::Standard, false, "a b")));
        check(&format!("{AT} stderr P  a"), Some((Output::Error, true, " a")));
        check(&format!("{AT} stdout F "), Some((Output::Standard, false, "")));
        check(&format!("{AT} stdout P:x:y=1 a"), Some((Output::Standard, true, "a")));
        let at = read(format!("{AT} stdout F ").as_bytes()).map(|line| line.at);
        assert_eq!(at, "2025-12-31T16:37:40.493035218Z".parse().ok());
    }

    #[test]
    fn what_misses_one_thing_is_no_such_line() {
        for rest in [
            "",
            " ",
            " stdout",
            " stdout F",
            " stdout Fx",
            " stdout F:",
            " stdout  F a",
            " stdout f a",
            " stdout X a",
            " stdin F a",
            " STDOUT F a",
            "  stdout F a",
            " stdout Fa b",
            " stdout F\ta",
            " stdout F:\"x\" a",
            " stdout: F a",
        ] {
            check(&format!("{AT}{rest}"), None);
        }
        for time in ["2025-13-31T17:37:40Z", "2025-12-31 17:37:40Z", "2025-12-31T17:37:40", "-", ""]
        {
            check(&format!("{time} stdout F a"), None);
        }
        check(&format!(" {AT} stdout F a"), None);
        check(&format!("{AT}0000000000000000 stdout F a"), None);
    }

    #[test]
    fn a_time_in_whole_seconds_with_an_offset_may_be_a_servers() {
        for (time, expected) in [
            ("2025-12-31T17:37:40+01:00", true),
            ("2025-12-31T17:37:40Z", false),
            ("2025-12-31T17:37:40.5+01:00", false),
        ] {
            let line = format!("{time} stdout P a");
            assert_eq!(read(line.as_bytes()).map(|line| line.has_servers_time), Some(expected));
        }
    }
}

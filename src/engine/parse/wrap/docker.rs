//! A line of Docker's json-file driver: `{"log":"…\n","stream":"stdout","time":"…"}`.
//!
//! The driver writes these members in this order without white space, and `attrs` before `time`
//! when it is told to. Nothing else is its line. A text that does not end with a line end is a part
//! that more is to follow.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Output;
use crate::engine::parse::instant::{self, TimeForm};
use crate::engine::parse::json::path::Path;
use crate::engine::parse::json::scan::{Found, Kind, Paths, Value};
use crate::engine::parse::template::FieldSpan;
use crate::engine::time::Timestamp;

/// How every line begins.
pub const BEGINNING: &[u8] = br#"{"log":""#;

/// What ends the text: no JSON string holds it.
const BEHIND_TEXT: &[u8] = br#"","stream":""#;

static END_OF_TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(BEHIND_TEXT));

static MEMBERS: LazyLock<Paths> =
    LazyLock::new(|| Paths::compile(&["log", "stream", "attrs", "time"].map(Path::member)));

/// A line, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DockerLine {
    /// When the driver got it.
    pub at: Timestamp,
    /// Where the container wrote it.
    pub output: Output,
    /// Where the text stands, still escaped.
    pub text: FieldSpan,
    /// Whether more is to follow.
    pub is_part: bool,
}

/// Reads a line; `None` when it has another form.
pub fn read(line: &[u8], found: &mut Found) -> Option<DockerLine> {
    if !line.starts_with(BEGINNING) || !line.ends_with(br#""}"#) {
        return None;
    }
    MEMBERS.find(line, found).ok()?;
    let string = |member: usize| match found.get(member)? {
        Value { kind: Kind::String { .. }, span, .. } => Some(span),
        _ => None,
    };
    let (text, stream, time) = (string(0)?, string(1)?, string(3)?);
    let output = Output::named(&line[stream.0..stream.1])?;
    let is_text_first = text.0 == BEGINNING.len() && &line[text.1..stream.0] == BEHIND_TEXT;
    let is_time_last = time.1 + 2 == line.len();
    let between = line.get(stream.1..time.0)?;
    let is_attrs = |attrs: Value| {
        attrs.kind == Kind::Nested
            && line[attrs.span.0] == b'{'
            && &line[stream.1..attrs.span.0] == br#"","attrs":"#
            && &line[attrs.span.1..time.0] == br#","time":""#
    };
    let has_no_more = match found.get(2) {
        None => between == br#"","time":""#,
        Some(attrs) => attrs.span.1 <= time.0 && attrs.span.0 >= stream.1 && is_attrs(attrs),
    };
    if !(is_text_first && is_time_last && has_no_more) {
        return None;
    }
    let at = instant::read(TimeForm::Iso8601, &line[time.0..time.1], None)?;
    Some(DockerLine { at, output, text, is_part: !ends_a_line(&line[text.0..text.1]) })
}

/// Tells cheaply whether a line may be a part that more is to follow.
pub fn may_be_part(line: &[u8]) -> bool {
    let Some(text) = line.strip_prefix(BEGINNING) else { return false };
    END_OF_TEXT.find(text).is_some_and(|end| !ends_a_line(&text[..end]))
}

/// Tells whether an escaped text ends with a line end: an `n` behind a backslash of its own.
fn ends_a_line(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b"n") else { return false };
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = r#"","stream":"stdout","time":"2021-08-24T09:52:13.20764059Z"}"#;

    fn check(line: &str, expected: Option<(&str, bool)>) {
        let read = read(line.as_bytes(), &mut Found::default());
        let said = read.map(|read| (&line[read.text.0..read.text.1], read.is_part));
        assert_eq!(said, expected, "{line}");
        if let Some((_, is_part)) = said {
            assert_eq!(may_be_part(line.as_bytes()), is_part, "{line}");
        }
    }

    #[test]
    fn a_line_is_a_text_an_output_and_a_time() {
        check(&format!(r#"{{"log":"a\"b\n{REST}"#), Some((r#"a\"b\n"#, false)));
        check(&format!(r#"{{"log":"{REST}"#), Some(("", true)));
        let attrs = r#"{"log":"a\n","stream":"stderr","attrs":{"tag":"x\"}","n":"1"},"time":"2021-08-24T09:52:13+02:00"}"#;
        check(attrs, Some((r"a\n", false)));
        let line = read(attrs.as_bytes(), &mut Found::default()).expect("a line");
        assert_eq!(line.output, Output::Error);
        assert_eq!(Some(line.at), "2021-08-24T07:52:13Z".parse().ok());
    }

    #[test]
    fn a_text_that_does_not_end_with_a_line_end_is_a_part() {
        for (text, is_part) in [
            (r"a\n", false),
            ("a", true),
            ("n", true),
            (r"\\n", true),
            (r"\\\n", false),
            (r"\\\\n", true),
            (r"a\r", true),
            (r"a\n ", true),
        ] {
            check(&format!(r#"{{"log":"{text}{REST}"#), Some((text, is_part)));
        }
    }

    #[test]
    fn more_less_or_other_members_are_no_such_line() {
        const TIME: &str = r#""time":"2021-08-24T09:52:13Z""#;
        for line in [
            format!(r#"{{"log":"a\n","stream":"stdout",{TIME},"key":"k"}}"#),
            format!(r#"{{"key":"k","log":"a\n","stream":"stdout",{TIME}}}"#),
            format!(r#"{{"log":"a\n","key":"k","stream":"stdout",{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"stdout","key":"k",{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"stdout","attrs":{{}},"key":{{}},{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"stdout","attrs":{{}},"attrs":{{}},{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"stdout","attrs":[],{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"stdout",{TIME},{TIME}}}"#),
            format!(r#"{{"log":"a\n","log":"b\n","stream":"stdout",{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"other",{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":1,{TIME}}}"#),
            format!(r#"{{"log":1,"stream":"stdout",{TIME}}}"#),
            format!(r#"{{"log": "a\n","stream":"stdout",{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"stdout",{TIME} }}"#),
            format!(r#"{{"log":"a\n","stream":"stdout",{TIME}}} "#),
            format!(r#"{{"log":"a\n",{TIME},"stream":"stdout"}}"#),
            format!(r#"{{"log":"a\x","stream":"stdout",{TIME}}}"#),
            r#"{"log":"a\n","stream":"stdout","time":"24/Aug/2021"}"#.to_owned(),
            r#"{"log":"a\n","stream":"stdout","time":1}"#.to_owned(),
            r#"{"log":"a\n","stream":"stdout"}"#.to_owned(),
            r#"{"log":"a\n"}"#.to_owned(),
        ] {
            check(&line, None);
        }
    }

    #[test]
    fn a_text_that_holds_a_whole_line_is_one_text() {
        let forged = r#"x\n\",\"stream\":\"stdout\",\"time\":\"2021-08-24T09:52:13Z\"}"#;
        check(&format!(r#"{{"log":"{forged}\n{REST}"#), Some((&format!(r"{forged}\n"), false)));
        check(&format!(r#"{{"log":"{forged}{REST}"#), Some((forged, true)));
    }
}

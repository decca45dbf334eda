//! A line of Docker's json-file driver: `{"log":"…\n","stream":"stdout","time":"…"}`.
//!
//! The driver writes these members without white space, and `attrs` before `time` when it is told
//! to. Another program that writes the same object may add white space or change the order behind
//! `log`; a member more, one less or one that comes twice makes it another object. A text that does
//! not end with a line end is a part that more is to follow.

use std::sync::LazyLock;

use memchr::memchr2;

use super::Output;
use crate::engine::parse::instant::{self, TimeForm};
use crate::engine::parse::json::path::Path;
use crate::engine::parse::json::scan::{Found, Kind, Paths, Value};
use crate::engine::parse::template::FieldSpan;
use crate::engine::time::Timestamp;

/// The name of the first member, as it stands in every line.
pub const FIRST_MEMBER: &[u8] = br#""log""#;

const MEMBER_NAMES: [&str; 4] = ["log", "stream", "time", "attrs"];

static MEMBERS: LazyLock<Paths> = LazyLock::new(|| Paths::compile(&MEMBER_NAMES.map(Path::member)));

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

/// Tells whether a line begins as one of Docker's does.
pub fn begins(line: &[u8]) -> bool {
    text_of(line).is_some()
}

/// Reads a line; `None` when it has another form.
pub fn read(line: &[u8], found: &mut Found) -> Option<DockerLine> {
    if !begins(line) {
        return None;
    }
    MEMBERS.find(line, found).ok()?;
    let string = |member: usize| match found.get(member)? {
        Value { kind: Kind::String { .. }, span, .. } => Some(span),
        _ => None,
    };
    let (text, stream, time) = (string(0)?, string(1)?, string(2)?);
    let attrs = found.get(3);
    let is_object = |attrs: Value| attrs.kind == Kind::Nested && line[attrs.span.0] == b'{';
    if found.members() != 3 + usize::from(attrs.is_some()) || !attrs.is_none_or(is_object) {
        return None;
    }
    let output = Output::named(&line[stream.0..stream.1])?;
    let at = instant::read(TimeForm::Iso8601, &line[time.0..time.1], None)?;
    Some(DockerLine { at, output, text, is_part: !ends_a_line(&line[text.0..text.1]) })
}

/// Tells cheaply whether a line may be a part that more is to follow.
pub fn may_be_part(line: &[u8]) -> bool {
    let Some(mut rest) = text_of(line) else { return false };
    let text = rest;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let is_quote = rest[at] == b'"';
        if is_quote {
            return !ends_a_line(&text[..text.len() - rest.len() + at]);
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// Returns what follows `{"log":"`, with white space where JSON allows it.
fn text_of(line: &[u8]) -> Option<&[u8]> {
    let tokens = [FIRST_MEMBER, b":", b"\""];
    tokens.iter().try_fold(line.strip_prefix(b"{")?, |rest, token| {
        rest.trim_ascii_start().strip_prefix(*token)
    })
}

/// Tells whether an escaped text ends with a line end: an `n` behind a backslash of its own.
fn ends_a_line(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b"n") else { return false };
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = r#""time":"2021-08-24T09:52:13Z""#;
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
            format!(r#"{{"stream":"stdout","log":"a\n",{TIME}}}"#),
            format!(r#"{{"log":"a\n","stream":"stdout",{TIME}}}}}"#),
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
    fn the_same_object_may_be_written_in_other_ways() {
        for line in [
            format!(r#"{{"log": "a\n", "stream": "stdout", {TIME}}}"#),
            format!(r#"{{ "log" : "a\n" , "stream":"stdout", {TIME} }} "#),
            format!(r#"{{"log":"a\n",{TIME},"stream":"stdout"}}"#),
            format!(r#"{{"log":"a\n","attrs":{{"x":"y"}},{TIME},"stream":"stdout"}}"#),
        ] {
            check(&line, Some((r"a\n", false)));
        }
        check(&format!(r#"{{"log": "a", "stream": "stdout", {TIME}}}"#), Some(("a", true)));
    }

    #[test]
    fn a_text_that_holds_a_whole_line_is_one_text() {
        let forged = r#"x\n\",\"stream\":\"stdout\",\"time\":\"2021-08-24T09:52:13Z\"}"#;
        check(&format!(r#"{{"log":"{forged}\n{REST}"#), Some((&format!(r"{forged}\n"), false)));
        check(&format!(r#"{{"log":"{forged}{REST}"#), Some((forged, true)));
    }
}

//! An entry as `journalctl -o json` writes it: `{"MESSAGE":"…","__REALTIME_TIMESTAMP":"…", …}`.
//!
//! What an application sends is in `MESSAGE` and in members of its own names; a name that begins
//! with `_` is journald's own. A message that is no UTF-8 is an array of bytes.

use std::sync::LazyLock;

use crate::engine::parse::json::path::Path;
use crate::engine::parse::json::scan::{Found, Kind, Paths, Value};
use crate::engine::parse::json::unescape_lossy;
use crate::engine::time::Timestamp;

static MEMBERS: LazyLock<Paths> =
    LazyLock::new(|| Paths::compile(&["MESSAGE", "__REALTIME_TIMESTAMP"].map(Path::member)));

/// Reads an entry: its time, and its message into the empty `text`. `None` when it has another form.
pub fn read(record: &[u8], found: &mut Found, text: &mut Vec<u8>) -> Option<Timestamp> {
    if record.first() != Some(&b'{') {
        return None;
    }
    MEMBERS.find(record, found).ok()?;
    let (message, time) = (found.get(0)?, found.get(1)?);
    let Value { kind: Kind::String { escaped: false }, span, .. } = time else { return None };
    let at = microseconds(&record[span.0..span.1])?;
    let raw = &record[message.span.0..message.span.1];
    match message.kind {
        Kind::String { .. } => unescape_lossy(raw, text),
        Kind::Nested => bytes(raw, text)?,
        Kind::Number | Kind::Word => return None,
    }
    Some(at)
}

fn microseconds(digits: &[u8]) -> Option<Timestamp> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number: i64 = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    number.checked_mul(1000).map(Timestamp::from_nanos)
}

/// Reads an array of numbers from 0 to 255; the grammar is checked.
fn bytes(array: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let inside = array.strip_prefix(b"[")?.strip_suffix(b"]")?;
    if inside.trim_ascii().is_empty() {
        return Some(());
    }
    for number in inside.split(|&byte| byte == b',') {
        let digits = number.trim_ascii();
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        out.push(std::str::from_utf8(digits).ok()?.parse().ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, expected: Option<&[u8]>) {
        let mut text = Vec::new();
        let at = read(record.as_bytes(), &mut Found::default(), &mut text);
        assert_eq!(at.map(|_| &text[..]), expected, "{record}");
        if let Some(at) = at {
            assert_eq!(Some(at), "2024-05-01T12:00:00.000001Z".parse().ok(), "{record}");
        }
    }

    fn entry(message: &str) -> String {
        format!(
            r#"{{"_PID":"1","MESSAGE":{message},"PRIORITY":"6","__REALTIME_TIMESTAMP":"1714564800000001"}}"#
        )
    }

    #[test]
    fn a_message_is_a_string_or_an_array_of_bytes() {
        check(&entry(r#""a\"\u00e9\n""#), Some("a\"\u{e9}\n".as_bytes()));
        check(&entry(r#""""#), Some(b""));
        check(&entry("[]"), Some(b""));
        check(&entry("[ 0 , 97,255 ]"), Some(b"\0a\xff"));
        check(&entry(r#""\ud800""#), Some(br"\ud800"));
    }

    #[test]
    fn another_message_is_no_entry() {
        for message in [
            "null",
            "1",
            "true",
            "{}",
            "[256]",
            "[-1]",
            "[1.0]",
            "[1e1]",
            "[[1]]",
            "[\"a\"]",
            "[\"a\",\"b\"]",
            "[null]",
            "{\"a\":1}",
        ] {
            check(&entry(message), None);
        }
    }

    #[test]
    fn an_entry_has_a_message_and_a_time() {
        for record in [
            r#"{"MESSAGE":"a"}"#,
            r#"{"__REALTIME_TIMESTAMP":"1714564800000001"}"#,
            r#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":1714564800000001}"#,
            r#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":""}"#,
            r#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":"-1"}"#,
            r#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":"+1"}"#,
            r#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":"9223372036854775"}x"#,
            r#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":"9223372036854776"}"#,
            r#"{"message":"a","__REALTIME_TIMESTAMP":"1"}"#,
            r#"{"a":{"MESSAGE":"a","__REALTIME_TIMESTAMP":"1714564800000001"}}"#,
            r#"[{"MESSAGE":"a","__REALTIME_TIMESTAMP":"1714564800000001"}]"#,
            r#"{"MESSAGE":"a","__REALTIME_TIMESTAMP":"1714564800000001""#,
        ] {
            check(record, None);
        }
    }
}

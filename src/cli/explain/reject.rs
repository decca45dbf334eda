//! Why a record was not understood, as exactly as can be told without showing a secret.

use serde::de::IgnoredAny;

use super::candidate::Candidate;
use super::finding::Refusal;
use super::mask;
use crate::engine::parse::RejectReason;

/// Fields of text formats that hold the event time, best first.
const TIMES: [&str; 3] = ["msec", "time_iso8601", "time_local"];

/// Returns the reason with what is wrong.
pub fn why(candidate: &Candidate, record: &[u8], refusal: Refusal) -> String {
    let reason = match refusal {
        Refusal::Cut => return "the record is broken off: the log ends within it".to_owned(),
        Refusal::Reason(reason) => reason,
    };
    let inner = candidate.parser.unwrapped(record);
    let what = match reason {
        RejectReason::Form => form(candidate, record, &inner),
        RejectReason::Time => time(candidate, record),
        RejectReason::Status => status(candidate, record),
        RejectReason::Json => json(&inner),
        RejectReason::TooLong => "longer than 1 MiB".to_owned(),
        RejectReason::Encoding => {
            "a value has an escape that stands for no character, such as half a surrogate pair"
                .to_owned()
        }
    };
    format!("{}: {what}", reason.as_str())
}

fn form(candidate: &Candidate, record: &[u8], inner: &[u8]) -> String {
    if record.is_empty() {
        return "the line is empty".to_owned();
    }
    if inner.trim_ascii().is_empty() {
        return "nothing but white space".to_owned();
    }
    if candidate.json().is_some() {
        return json(inner);
    }
    if let Some(prefix) = behind_prefix(inner) {
        return prefix;
    }
    match candidate.parser.misfit(record) {
        Some(field) => format!("`{field}`, or what follows it, is missing or misplaced"),
        None => "the fields fit, but the line goes on behind the last one".to_owned(),
    }
}

fn time(candidate: &Candidate, record: &[u8]) -> String {
    let names: Vec<&str> = match candidate.json() {
        Some(spec) => spec.time.iter().map(String::as_str).collect(),
        None => TIMES.to_vec(),
    };
    match value(candidate, record, &names) {
        Some((name, text)) => format!("`{text}` in `{name}` is no time that can be read"),
        None if names.len() == 1 => format!("no value at `{}`", names[0]),
        None => "no time".to_owned(),
    }
}

fn status(candidate: &Candidate, record: &[u8]) -> String {
    let names: Vec<&str> = match candidate.json() {
        Some(spec) => spec.status.iter().map(String::as_str).collect(),
        None => vec!["status"],
    };
    match value(candidate, record, &names) {
        Some((name, text)) => format!("`{text}` in `{name}` is no status"),
        None => "the status is no whole number".to_owned(),
    }
}

/// Returns the first of these fields that the record has, with its text as it may be shown.
fn value(candidate: &Candidate, record: &[u8], names: &[&str]) -> Option<(String, String)> {
    let fields = candidate.parser.fields(record).ok()?;
    let found = names
        .iter()
        .find_map(|&name| fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)));
    found.map(|(name, text)| (name.clone(), mask::clock_or_status(name, text)))
}

/// Says where a text stops being JSON.
fn json(text: &[u8]) -> String {
    let error = match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) if text.trim_ascii_start().starts_with(b"{") => {
            return "JSON, but no record of this format".to_owned();
        }
        Ok(_) => return "JSON, but no object".to_owned(),
        Err(error) => error,
    };
    if let Some(prefix) = behind_prefix(text) {
        return prefix;
    }
    // A record over several lines has its position in the last of them.
    let before: usize = text
        .split_inclusive(|&byte| byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let at = before + error.column().saturating_sub(1);
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or_default();
    format!("no JSON from byte {at} on: {what}")
}

fn behind_prefix(text: &[u8]) -> Option<String> {
    let begin = json_behind(text)?;
    Some(format!(
        "its JSON begins at byte {begin}, behind a prefix: write the log without it, as with \
         `docker compose logs --no-log-prefix`"
    ))
}

/// Returns where the JSON of a line begins that has something in front of it.
pub fn json_behind(text: &[u8]) -> Option<usize> {
    let begin = text.iter().position(|&byte| byte == b'{').filter(|&begin| begin > 0)?;
    serde_json::from_slice::<IgnoredAny>(&text[begin..]).ok()?;
    Some(begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_told_with_the_byte_where_it_breaks() {
        let check = |text: &str, expected: &str| assert_eq!(json(text.as_bytes()), expected);
        check("[1]", "JSON, but no object");
        check("{\"a\":1,}", "no JSON from byte 7 on: key must be a string");
        check("{\"a\":", "no JSON from byte 4 on: EOF while parsing a value");
        check("{\"a\":1}\n}", "no JSON from byte 8 on: trailing characters");
        assert!(json(b"caddy  | {\"a\":1}").contains("begins at byte 9"));
    }
}

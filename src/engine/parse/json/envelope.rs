//! The record that stands as text in the `message` of a CloudWatch log event.
//!
//! Many programs write a client's text to a `message` of their own, and a client may send text that
//! looks like a record. So the object around the text must be what CloudWatch makes and no program
//! logs: members of its vocabulary alone, each once, with a time in whole numbers and a sign that
//! the event was stored. Any other text in a string is read only by a path that goes through it.

use super::path::Path;
use super::scan::{Found, Kind, Malformed, Paths, Value};
use crate::engine::parse::template::FieldSpan;

/// The member that holds the record.
const MESSAGE: usize = 0;

/// When CloudWatch says that the event was: milliseconds, as an integer.
const TIMESTAMP: usize = 1;

/// Members of events as the API, subscriptions and exports give them, [`MESSAGE`] and
/// [`TIMESTAMP`] first.
const MEMBERS: [&str; 12] = [
    "message",
    "timestamp",
    "ingestionTime",
    "id",
    "eventId",
    "logStream",
    "logStreamName",
    "logGroup",
    "logGroupName",
    "owner",
    "messageType",
    "subscriptionFilters",
];

/// Fewest digits of the id that CloudWatch gives an event (it has 56).
const ID_DIGITS: usize = 50;

/// The members that are looked at, compiled.
#[derive(Debug)]
pub struct Envelope {
    paths: Paths,
}

impl Default for Envelope {
    fn default() -> Self {
        Self { paths: Paths::compile(&MEMBERS.map(Path::member)) }
    }
}

impl Envelope {
    /// Returns where in `text` the text of the record within stands, its escapes not undone.
    ///
    /// `found` is a buffer and holds nothing of use afterwards.
    pub fn record(&self, text: &[u8], found: &mut Found) -> Result<Option<FieldSpan>, Malformed> {
        self.paths.find(text, found)?;
        let known = (0..MEMBERS.len()).filter(|&member| found.get(member).is_some()).count();
        if found.members() != known || !(2..MEMBERS.len()).any(|at| is_sign(at, text, found)) {
            return Ok(None);
        }
        let integer = is_integer(TIMESTAMP, text, found);
        Ok(match found.get(MESSAGE) {
            Some(Value { kind: Kind::String { .. }, span, .. }) if integer => {
                let within = text[span.0..span.1].trim_ascii_start();
                within.starts_with(b"{").then_some(span)
            }
            _ => None,
        })
    }
}

/// Tells whether a member says that CloudWatch stored the event.
fn is_sign(member: usize, text: &[u8], found: &Found) -> bool {
    let Some(Value { kind, span: (from, to), .. }) = found.get(member) else { return false };
    let is_text = matches!(kind, Kind::String { .. });
    match MEMBERS[member] {
        "ingestionTime" => is_integer(member, text, found),
        "id" | "eventId" => {
            is_text && to - from >= ID_DIGITS && text[from..to].iter().all(u8::is_ascii_digit)
        }
        "logStream" | "logStreamName" | "logGroup" | "logGroupName" => is_text,
        _ => false,
    }
}

fn is_integer(member: usize, text: &[u8], found: &Found) -> bool {
    found.get(member).is_some_and(|Value { kind, span: (from, to), .. }| {
        kind == Kind::Number && text[from..to].iter().all(u8::is_ascii_digit)
    })
}

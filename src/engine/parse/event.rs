//! What a record of a log says, or why it was not understood.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::layout::MAX_PLACES;
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Why a line was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// A field is missing or misplaced, or the line is empty.
    Form,
    /// No readable time.
    Time,
    /// The status is no number.
    Status,
    /// Not the JSON that was declared.
    Json,
    /// Longer than the longest line allowed.
    TooLong,
    /// Bytes that the format's escaping cannot produce.
    Encoding,
}

impl RejectReason {
    /// All reasons, in the order of every per-reason array.
    pub const ALL: [Self; 6] =
        [Self::Form, Self::Time, Self::Status, Self::Json, Self::TooLong, Self::Encoding];

    /// Returns the word used in JSON, metrics and text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Time => "time",
            Self::Status => "status",
            Self::Json => "json",
            Self::TooLong => "too_long",
            Self::Encoding => "encoding",
        }
    }
}

/// The keys of one line, in the order of the places: a slice that lives on the stack.
///
/// Its debug output tells how many there are, never what they are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Keys<'a> {
    values: [&'a [u8]; MAX_PLACES],
    places: [u8; MAX_PLACES],
    len: usize,
}

impl<'a> Keys<'a> {
    /// Adds a key and the number of its place; one more than there are places is a bug.
    pub(super) fn push(&mut self, key: &'a [u8], place: u8) {
        self.values[self.len] = key;
        self.places[self.len] = place;
        self.len += 1;
    }
}

impl Keys<'_> {
    /// Returns the number of the place of each key, in the list of the parser that read them.
    pub fn places(&self) -> &[u8] {
        &self.places[..self.len]
    }
}

impl<'a> Deref for Keys<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &[&'a [u8]] {
        &self.values[..self.len]
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.len)
    }
}

/// A well-formed record: one line, or one record of CloudTrail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessEvent<'a> {
    /// Event time.
    pub event_at: Timestamp,
    /// What became of the request.
    pub outcome: Outcome,
    /// Who presented the key: raw log bytes, and whether that names somebody (an address does not).
    pub consumer: Option<(&'a [u8], bool)>,
    /// Keys in the order of the places, decoded; empty, absent and redacted ones left out.
    pub keys: Keys<'a>,
    /// Whether a place holds what is written instead of a key, as `***`.
    pub masked: bool,
    /// The service's own id of the event, where it delivers an event more than once.
    pub event_id: Option<&'a [u8]>,
    /// The key that this request was given, derived from the one it presented: a session's.
    pub issued: Option<&'a [u8]>,
    /// How long that key may live; zero where none was issued.
    pub issued_lifetime: Duration,
}

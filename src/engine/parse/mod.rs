//! One line of a log -> [`AccessEvent`] or [`RejectReason`].
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;
use std::time::Duration;

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

/// Format as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatSpec {
    /// The `combined` preset of nginx and Apache.
    Combined,
    /// An nginx `log_format` string.
    Nginx(String),
}

/// Where a line shows the key: `query:NAME` or `field:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A parameter of the request's query.
    Query(String),
    /// A field of the format.
    Field(String),
}

/// What is declared of a line: its format, where the key stands and who presents it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The format.
    pub format: FormatSpec,
    /// Places of the key, first one that is not empty. At least one, at most `MAX_PLACES`.
    pub credential: Vec<Place>,
    /// Fields of the consumer (`field:` already removed), first one that is not empty.
    pub consumer: Vec<String>,
}

/// A well-formed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessEvent<'a> {
    /// Event time.
    pub event_at: Timestamp,
    /// What became of the request.
    pub outcome: Outcome,
    /// Who presented the key: raw log bytes, and whether that names somebody (an address does not).
    pub consumer: Option<(&'a [u8], bool)>,
    /// Keys in the order of the places, decoded; empty ones and `-` left out.
    pub keys: &'a [&'a [u8]],
}

/// Default of `allowed_lateness`.
pub const _LATENESS: Duration = Duration::from_secs(30);

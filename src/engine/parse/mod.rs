//! One line of a log -> [`AccessEvent`] or [`RejectReason`].
//!
//! A [`Layout`] is compiled once into a [`LineParser`]; reading a line then takes no allocation,
//! regular expression or lock. A key is only taken from the place that the layout names, never
//! found by searching the line: a URL, a referrer or a user agent is text an attacker writes.
//!
//! ```text
//! line --template--> field spans --instant, request, escape--> AccessEvent
//! ```

mod escape;
mod instant;
mod layout;
mod place;
mod request;
mod template;
mod variables;

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;
use escape::Escapes;
use instant::TimeForm;
pub use layout::{FormatSpec, Layout, LayoutError, MAX_PLACES, NotAPlace, Place};
pub use place::query_parameters;
use place::{KeyPlace, known_field};
use template::{FieldSpan, Template};
use variables::Shape;

/// The layout that nginx calls `combined` and Apache's `LogFormat` of that name equals.
pub const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" \
     $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// Consumer fields of `combined` when none are declared.
const COMBINED_CONSUMERS: [&str; 2] = ["remote_user", "remote_addr"];

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
    len: usize,
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

/// A well-formed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessEvent<'a> {
    /// Event time.
    pub event_at: Timestamp,
    /// What became of the request.
    pub outcome: Outcome,
    /// Who presented the key: raw log bytes, and whether that names somebody (an address does not).
    pub consumer: Option<(&'a [u8], bool)>,
    /// Keys in the order of the places, decoded; empty ones and `-` left out.
    pub keys: Keys<'a>,
}

/// Buffers that one line after another is read with; wiped when dropped.
#[derive(Default)]
pub struct Scratch {
    spans: Vec<FieldSpan>,
    /// The request of the line at hand, without log escapes.
    unescaped: Zeroizing<Vec<u8>>,
    /// The keys of the line at hand, decoded, one after the other.
    keys: Zeroizing<Vec<u8>>,
}

/// A layout, compiled.
#[derive(Debug)]
pub struct LineParser {
    template: Template,
    time: (usize, TimeForm),
    status: Option<usize>,
    places: Vec<KeyPlace>,
    /// Fields of the consumer, and whether each names somebody.
    consumer: Vec<(usize, bool)>,
    digest: String,
}

impl LineParser {
    /// Compiles a layout.
    pub fn compile(layout: &Layout) -> Result<Self, LayoutError> {
        if layout.credential.is_empty() {
            return Err(LayoutError::NoPlace);
        }
        Self::build(layout)
    }

    /// Compiles a format alone: lines are read for their form, and no key is found.
    pub fn without_key(format: FormatSpec) -> Result<Self, LayoutError> {
        Self::build(&Layout { format, credential: Vec::new(), consumer: Vec::new() })
    }

    fn build(layout: &Layout) -> Result<Self, LayoutError> {
        let template = match &layout.format {
            FormatSpec::Combined => Template::compile(COMBINED, Escapes::NginxOrApache, true)?,
            FormatSpec::Nginx(text) => {
                Template::compile(without_escape(text)?, Escapes::Nginx, false)?
            }
        };
        let time = time_variable(&template).ok_or(LayoutError::NoTime)?;
        if layout.credential.len() > MAX_PLACES {
            return Err(LayoutError::TooManyPlaces(layout.credential.len()));
        }
        let places = layout.credential.iter().map(|place| KeyPlace::resolve(&template, place));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<&str> = match &layout.format {
            FormatSpec::Combined if layout.consumer.is_empty() => COMBINED_CONSUMERS.to_vec(),
            _ => layout.consumer.iter().map(String::as_str).collect(),
        };
        let consumer = fields
            .iter()
            .map(|name| {
                let index = known_field(&template, name)?;
                Ok((index, variables::names_somebody(&template.variables()[index].name)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let digest = digest(layout, &fields);
        let status = template.position("status");
        Ok(Self { template, time, status, places, consumer, digest })
    }

    /// Returns how late a line may be readable after its event time when nothing is declared.
    #[allow(clippy::unused_self)] // other formats will have other defaults
    pub fn default_lateness(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Returns a short text that is equal for equal layouts, whatever the version of the program,
    /// and changes with the format, a place of the key or a field of the consumer.
    pub fn layout_digest(&self) -> String {
        self.digest.clone()
    }

    /// Reads one line, without its line end.
    pub fn parse<'a>(
        &'a self,
        line: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> Result<AccessEvent<'a>, RejectReason> {
        let Scratch { spans, unescaped, keys } = scratch;
        keys.clear();
        self.template.split(line, spans).ok_or(RejectReason::Form)?;
        let field = |index: usize| {
            let (from, to) = spans[index];
            &line[from..to]
        };
        let (variable, form) = self.time;
        let event_at = instant::read(form, field(variable)).ok_or(RejectReason::Time)?;
        let outcome = match self.status {
            Some(index) => outcome(field(index)).ok_or(RejectReason::Status)?,
            None => Outcome::Accepted,
        };
        let consumer = self.consumer.iter().find_map(|&(index, named)| {
            let value = field(index);
            is_given(value).then_some((value, named))
        });
        let escapes = self.template.escapes();
        let mut ends = [0; MAX_PLACES];
        for (end, place) in ends.iter_mut().zip(&self.places) {
            place.read(escapes, field(place.variable()), unescaped, keys);
            *end = keys.len();
        }
        let mut given = Keys::default();
        let mut start = 0;
        for &end in &ends[..self.places.len()] {
            let value = &keys[start..end];
            start = end;
            if is_given(value) {
                given.values[given.len] = value;
                given.len += 1;
            }
        }
        Ok(AccessEvent { event_at, outcome, consumer, keys: given })
    }

    /// Iterates over the names of the format's fields, in its order.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.template.variables().iter().map(|variable| variable.name.as_str())
    }

    /// Names every field of the format with its raw value in `line`, in the format's order.
    pub fn fields<'a>(&'a self, line: &'a [u8]) -> Result<Vec<(&'a str, &'a [u8])>, RejectReason> {
        let mut spans = Vec::new();
        self.template.split(line, &mut spans).ok_or(RejectReason::Form)?;
        Ok(self.field_names().zip(spans.iter().map(|&(from, to)| &line[from..to])).collect())
    }
}

/// Tells whether a value stands for something: the servers write `-` for nothing.
fn is_given(value: &[u8]) -> bool {
    !matches!(value, [] | [b'-'])
}

/// Returns the outcome of a status: three digits, or nothing.
fn outcome(status: &[u8]) -> Option<Outcome> {
    match status {
        [] | [b'-'] => Some(Outcome::Accepted),
        [a, b, c] if status.iter().all(u8::is_ascii_digit) => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Some(Outcome::of_status(digit(a) * 100 + digit(b) * 10 + digit(c)))
        }
        _ => None,
    }
}

/// Returns the variable that the event time is read from: the finest one of those logged.
fn time_variable(template: &Template) -> Option<(usize, TimeForm)> {
    ["msec", "time_iso8601", "time_local"].iter().find_map(|name| {
        let index = template.position(name)?;
        match template.variables()[index].shape {
            Shape::Time(form) => Some((index, form)),
            _ => None,
        }
    })
}

/// Drops the one `escape=` parameter that can be read from the front of a format string.
fn without_escape(text: &str) -> Result<&str, LayoutError> {
    match text.split_once(char::is_whitespace) {
        Some(("escape=default", rest)) => Ok(rest.trim_start()),
        Some((parameter, _)) if parameter.starts_with("escape=") => {
            Err(LayoutError::Escape(parameter.to_owned()))
        }
        _ => Ok(text),
    }
}

/// Hashes what of a layout decides how a line is read; each part is preceded by its length.
fn digest(layout: &Layout, consumer: &[&str]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    match &layout.format {
        FormatSpec::Combined => part("combined"),
        FormatSpec::Nginx(text) => {
            part("nginx");
            part(text);
        }
    }
    for place in &layout.credential {
        part("key");
        part(&place.to_string());
    }
    for field in consumer {
        part("consumer");
        part(field);
    }
    hash.finalize()[..8].iter().fold(String::with_capacity(16), |mut text, byte| {
        use fmt::Write as _;
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

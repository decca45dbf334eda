//! A JSON format: the values at its paths, read as time, status, consumer and key.
//!
//! A number is its lexeme; `null`, `true`, objects and arrays are no value. A record that stands as
//! text in `message`, `MESSAGE` or `log` of an envelope without a time is read in its place.

use jiff::tz::TimeZone;

use super::path::{MAX_PATHS, Path};
use super::scan::{Found, Kind, Paths, Value};
use super::unescape::unescape;
use crate::engine::parse::event::RejectReason;
use crate::engine::parse::instant;
use crate::engine::parse::layout::{FormatSpec, JsonSpec, Layout, LayoutError, Place};
use crate::engine::parse::place::QueryText;
use crate::engine::parse::scratch::{Facts, Text, Work};
use crate::engine::parse::value::{Holding, is_given, reduce_to_key};
use crate::engine::parse::{Field, escape, variables};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Members that hold a record as text.
const ENVELOPES: [&str; 3] = ["message", "MESSAGE", "log"];

/// Members that hold a request or a query, best first, and what of it.
pub const QUERIES: [(&str, QueryText); 11] = [
    ("request_uri", QueryText::Target),
    ("uri", QueryText::Target),
    ("url", QueryText::Target),
    ("requestUrl", QueryText::Target),
    ("RequestPath", QueryText::Target),
    ("path", QueryText::Target),
    ("request", QueryText::Request),
    ("args", QueryText::Query),
    ("query_string", QueryText::Query),
    ("query", QueryText::Query),
    ("request.uri", QueryText::Target),
];

/// A JSON format, compiled.
#[derive(Debug)]
pub struct JsonFormat {
    paths: Paths,
    time: Option<usize>,
    status: Option<usize>,
    places: Vec<JsonPlace>,
    consumer: Vec<JsonConsumer>,
    envelopes: [usize; ENVELOPES.len()],
    zone: Option<TimeZone>,
    /// All paths as they are declared.
    names: Vec<String>,
}

/// Where a record shows a key.
#[derive(Debug)]
enum JsonPlace {
    Field { path: usize, holding: Holding },
    Query { name: Vec<u8>, texts: Vec<(usize, QueryText)>, holding: Holding },
}

/// Who presents the key.
#[derive(Debug)]
struct JsonConsumer {
    name: String,
    path: usize,
    named: bool,
}

/// The record that values stand in.
#[derive(Clone, Copy)]
struct Record<'a> {
    text: &'a [u8],
    /// Whether it is the record that was logged, which outlives the reading.
    is_logged: bool,
}

impl JsonFormat {
    /// Compiles the paths of a format with the places and fields of its layout.
    pub fn compile(
        spec: &JsonSpec,
        format: &FormatSpec,
        layout: &Layout,
    ) -> Result<Self, LayoutError> {
        if spec.time.is_none() && !layout.has_arrival() {
            return Err(LayoutError::NoTimePath);
        }
        let mut paths = Numbered::default();
        let time = spec.time.as_deref().map(|text| paths.parse(text)).transpose()?;
        let status = spec.status.as_deref().map(|text| paths.parse(text)).transpose()?;
        let places = layout.places(format).into_iter().map(|place| paths.place(&place));
        let places = places.collect::<Result<_, _>>()?;
        let fields = if spec.consumer.is_empty() { &layout.consumer } else { &spec.consumer };
        let consumer = fields.iter().map(|text| paths.consumer(text));
        let consumer = consumer.collect::<Result<_, _>>()?;
        let envelopes = ENVELOPES.map(|name| paths.add(Path::member(name)));
        if paths.paths.len() > MAX_PATHS {
            return Err(LayoutError::TooManyPaths(paths.paths.len()));
        }
        let names = paths.paths.iter().map(Path::to_string).collect();
        let paths = Paths::compile(&paths.paths);
        let zone = layout.zone.clone();
        Ok(Self { paths, time, status, places, consumer, envelopes, zone, names })
    }

    /// Reads one record.
    pub fn read(
        &self,
        record: &[u8],
        arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        let record =
            Record { text: without_mark(record), is_logged: record == without_mark(record) };
        self.find(record.text, &mut work.found)?;
        let has_time = self.time.is_none_or(|path| work.found.get(path).is_some());
        if !has_time && let Some(inner) = self.enveloped(record.text, &mut work.found) {
            // The text lies in a buffer that the values are copied out of.
            let mut buffer = std::mem::take(&mut work.unescaped);
            buffer.clear();
            let facts = unescape(&record.text[inner.0..inner.1], &mut buffer)
                .map_err(|_| RejectReason::Encoding)
                .and_then(|()| {
                    self.find(&buffer, &mut work.found)?;
                    let record = Record { text: &buffer, is_logged: false };
                    self.facts(record, arrival, &work.found, &mut work.decoded)
                });
            work.unescaped = buffer;
            return facts;
        }
        self.facts(record, arrival, &work.found, &mut work.decoded)
    }

    fn find(&self, text: &[u8], found: &mut Found) -> Result<(), RejectReason> {
        let first = text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        if first.is_none() {
            return Err(RejectReason::Form);
        }
        self.paths.find(text, found).map_err(|_| RejectReason::Json)?;
        if first == Some(&b'{') { Ok(()) } else { Err(RejectReason::Json) }
    }

    /// Returns where the text of a record within this one stands.
    fn enveloped(&self, text: &[u8], found: &mut Found) -> Option<(usize, usize)> {
        self.envelopes.iter().find_map(|&path| {
            let Value { kind: Kind::String { .. }, span, .. } = found.get(path)? else {
                return None;
            };
            let inner = text[span.0..span.1].trim_ascii_start();
            inner.starts_with(b"{").then_some(span)
        })
    }

    fn facts(
        &self,
        record: Record<'_>,
        arrival: Option<Timestamp>,
        found: &Found,
        decoded: &mut Vec<u8>,
    ) -> Result<Facts, RejectReason> {
        let mut read = Reading { record, found, decoded };
        let event_at = match self.time {
            Some(path) => read.time(path, self.zone.as_ref())?,
            None => arrival,
        };
        let event_at = event_at.ok_or(RejectReason::Time)?;
        let outcome = self.status.map_or(Ok(Outcome::Accepted), |path| read.status(path))?;
        let mut facts = Facts::new(event_at, outcome);
        for consumer in &self.consumer {
            if let Some(name) = read.text(consumer.path)? {
                facts.consumer = Some((name, consumer.named));
                break;
            }
        }
        for (key, place) in facts.keys.iter_mut().zip(&self.places) {
            *key = read.key(place)?;
        }
        Ok(facts)
    }

    /// Iterates over the paths that are looked at.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Names every value of a record by its path, with its text; of objects and arrays only what
    /// is in them.
    pub fn fields(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        self.find(without_mark(record), &mut Found::default())?;
        // The grammar is checked; what is left to fail is a number too large for the tree.
        let value: serde_json::Value =
            serde_json::from_str(&String::from_utf8_lossy(without_mark(record)))
                .map_err(|_| RejectReason::Json)?;
        let mut fields = Vec::new();
        leaves(&value, &mut Vec::new(), &mut fields);
        Ok(fields)
    }

    /// Iterates over the paths of the consumer.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        self.consumer.iter().map(|consumer| consumer.name.as_str())
    }
}

/// Cuts off the byte order mark that some programs begin a file with.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Takes values out of a record.
struct Reading<'a> {
    record: Record<'a>,
    found: &'a Found,
    decoded: &'a mut Vec<u8>,
}

impl Reading<'_> {
    /// Returns a value as it is written, if it is a string or a number.
    fn raw(&self, path: usize) -> Option<(Value, &[u8])> {
        let value = self.found.get(path)?;
        let text = if value.in_string { self.found.inner() } else { self.record.text };
        match value.kind {
            Kind::String { .. } | Kind::Number => Some((value, &text[value.span.0..value.span.1])),
            Kind::Word | Kind::Nested => None,
        }
    }

    /// Appends a value to the decoded ones; returns where it begins.
    fn decode(&mut self, path: usize) -> Result<Option<usize>, RejectReason> {
        let from = self.decoded.len();
        let Some(value) = self.found.get(path) else { return Ok(None) };
        let text = if value.in_string { self.found.inner() } else { self.record.text };
        let raw = &text[value.span.0..value.span.1];
        match value.kind {
            Kind::String { escaped: true } => {
                unescape(raw, self.decoded).map_err(|_| RejectReason::Encoding)?;
            }
            Kind::String { escaped: false } | Kind::Number => self.decoded.extend_from_slice(raw),
            Kind::Word | Kind::Nested => return Ok(None),
        }
        Ok(Some(from))
    }

    /// Returns a value that stands for something.
    fn text(&mut self, path: usize) -> Result<Option<Text>, RejectReason> {
        if let Some((value, raw)) = self.raw(path)
            && self.record.is_logged
            && !value.in_string
            && value.kind != (Kind::String { escaped: true })
        {
            return Ok(is_given(raw).then_some(Text::Record(value.span)));
        }
        let Some(from) = self.decode(path)? else { return Ok(None) };
        let text = Text::Decoded((from, self.decoded.len()));
        Ok(is_given(&self.decoded[from..]).then_some(text))
    }

    fn time(
        &mut self,
        path: usize,
        zone: Option<&TimeZone>,
    ) -> Result<Option<Timestamp>, RejectReason> {
        match self.raw(path) {
            Some((Value { kind: Kind::String { escaped: true }, .. }, _)) => {
                let from = self.decode(path)?;
                Ok(from.and_then(|from| instant::any_form(&self.decoded[from..], zone)))
            }
            Some((_, raw)) => Ok(instant::any_form(raw, zone)),
            None => Ok(None),
        }
    }

    fn status(&mut self, path: usize) -> Result<Outcome, RejectReason> {
        let Some(from) = self.decode(path)? else { return Ok(Outcome::Accepted) };
        outcome(&self.decoded[from..]).ok_or(RejectReason::Status)
    }

    fn key(&mut self, place: &JsonPlace) -> Result<Option<Text>, RejectReason> {
        match place {
            JsonPlace::Field { path, holding } => {
                let Some(from) = self.decode(*path)? else { return Ok(None) };
                Ok(self.reduced(*holding, from))
            }
            JsonPlace::Query { name, texts, holding } => {
                for &(path, kind) in texts {
                    let Some(from) = self.decode(path)? else { continue };
                    // The request is moved away and the parameter put in its place.
                    let to = self.decoded.len();
                    let span = kind.parameter_span(&self.decoded[from..to], name);
                    let Some((start, end)) = span else { return Ok(None) };
                    escape::percent_decode_within(self.decoded, from + start, from + end);
                    return Ok(self.reduced(*holding, to));
                }
                Ok(None)
            }
        }
    }

    fn reduced(&mut self, holding: Holding, from: usize) -> Option<Text> {
        reduce_to_key(holding, self.decoded, from)
            .then_some(Text::Decoded((from, self.decoded.len())))
    }
}

/// Adds every leaf of a value with its path.
fn leaves(value: &serde_json::Value, path: &mut Vec<String>, fields: &mut Vec<Field>) {
    let mut below = |name: String, value| {
        path.push(name);
        leaves(value, path, fields);
        path.pop();
    };
    match value {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(name, value)| below(name.clone(), value));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| below(index.to_string(), value));
        }
        serde_json::Value::String(text) => {
            fields.push((Path::of(path.clone()).to_string(), text.clone().into_bytes()));
        }
        other => fields.push((Path::of(path.clone()).to_string(), other.to_string().into_bytes())),
    }
}

/// Returns the outcome of a status: an integer, or nothing.
fn outcome(status: &[u8]) -> Option<Outcome> {
    let digits = status.strip_prefix(b"-").unwrap_or(status);
    match status {
        [] | [b'-'] => Some(Outcome::Accepted),
        _ if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) => None,
        [_, _, _] if digits.len() == 3 => {
            let number = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
            Some(Outcome::of_status(number))
        }
        _ => Some(Outcome::Accepted),
    }
}

/// Paths that get their numbers in the order they are asked for.
#[derive(Default)]
struct Numbered {
    paths: Vec<Path>,
}

impl Numbered {
    fn add(&mut self, path: Path) -> usize {
        self.paths.push(path);
        self.paths.len() - 1
    }

    fn parse(&mut self, text: &str) -> Result<usize, LayoutError> {
        Ok(self.add(text.parse().map_err(LayoutError::Path)?))
    }

    fn place(&mut self, place: &Place) -> Result<JsonPlace, LayoutError> {
        match place {
            Place::Field(text) => {
                let path: Path = text.parse().map_err(LayoutError::Path)?;
                let holding = Holding::of_field(path.last_name());
                Ok(JsonPlace::Field { path: self.add(path), holding })
            }
            Place::Query(name) if name.bytes().any(|byte| b"&=# \t".contains(&byte)) => {
                Err(LayoutError::QueryName { name: name.clone() })
            }
            Place::Query(name) => {
                let mut texts = Vec::new();
                for (text, kind) in QUERIES {
                    let path = text.parse().map_err(LayoutError::Path)?;
                    texts.push((self.add(path), kind));
                }
                let holding = Holding::of_parameter(name);
                Ok(JsonPlace::Query { name: name.clone().into_bytes(), texts, holding })
            }
        }
    }

    fn consumer(&mut self, text: &str) -> Result<JsonConsumer, LayoutError> {
        let path: Path = text.parse().map_err(LayoutError::Path)?;
        let named = variables::path_names_somebody(path.last_name());
        Ok(JsonConsumer { name: text.to_owned(), path: self.add(path), named })
    }
}

//! A JSON format: the values at its paths, read as time, status, consumer and key.
//!
//! A number is its lexeme; `null`, `true`, objects and arrays are no value. A record without a time
//! that is CloudWatch's envelope is read in place of it, where wrappers are detected.

use jiff::tz::TimeZone;

use super::envelope::Envelope;
use super::path::{MAX_PATHS, Path};
use super::query;
use super::scan::{Found, Kind, Paths};
use super::unescape::{unescape, unescape_lossy};
use crate::engine::parse::event::RejectReason;
use crate::engine::parse::instant;
use crate::engine::parse::layout::{FormatSpec, JsonSpec, Layout, LayoutError, Place};
use crate::engine::parse::place::QueryText;
use crate::engine::parse::scratch::{Facts, Text, Work};
use crate::engine::parse::value::{Holding, is_given, outcome, reduce_to_key};
use crate::engine::parse::wrap::Wrapping;
use crate::engine::parse::{Field, escape, variables};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// A JSON format, compiled.
#[derive(Debug)]
pub struct JsonFormat {
    paths: Paths,
    time: Option<usize>,
    status: Option<usize>,
    places: Vec<JsonPlace>,
    consumer: Vec<JsonConsumer>,
    envelope: Option<Envelope>,
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
        let envelope = (layout.wrapping == Wrapping::Detect).then(Envelope::default);
        if paths.paths.len() > MAX_PATHS {
            return Err(LayoutError::TooManyPaths(paths.paths.len()));
        }
        let names = paths.paths.iter().map(Path::to_string).collect();
        let paths = Paths::compile(&paths.paths);
        let zone = layout.zone.clone();
        Ok(Self { paths, time, status, places, consumer, envelope, zone, names })
    }

    /// Reads one record.
    pub fn read(
        &self,
        record: &[u8],
        arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        let text = without_mark(record);
        self.find(text, &mut work.found)?;
        if self.time.is_none_or(|path| work.found.get(path).is_some()) {
            let record = Record { text, is_logged: text.len() == record.len() };
            return self.facts(record, arrival, &work.found, &mut work.decoded);
        }
        let envelope = self.envelope.as_ref().ok_or(RejectReason::Time)?;
        let within = envelope.record(text, &mut work.found).map_err(|_| RejectReason::Json)?;
        let (from, to) = within.ok_or(RejectReason::Time)?;
        let Work { unescaped, found, decoded, .. } = work;
        unescaped.clear();
        unescape(&text[from..to], unescaped).map_err(|_| RejectReason::Encoding)?;
        self.find(unescaped, found)?;
        let record = Record { text: unescaped, is_logged: false };
        self.facts(record, arrival, found, decoded)
    }

    fn find(&self, text: &[u8], found: &mut Found) -> Result<(), RejectReason> {
        let first = text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        if first.is_none() {
            return Err(RejectReason::Form);
        }
        self.paths.find(text, found).map_err(|_| RejectReason::Json)?;
        if first == Some(&b'{') { Ok(()) } else { Err(RejectReason::Json) }
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
            Some(path) => read.time(path, self.zone.as_ref()),
            None => arrival,
        };
        let event_at = event_at.ok_or(RejectReason::Time)?;
        let outcome = self.status.map_or(Ok(Outcome::Accepted), |path| read.status(path))?;
        let mut facts = Facts::new(event_at, outcome);
        for consumer in &self.consumer {
            if let Some(name) = read.text(consumer.path) {
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
    /// is in them. Of a record that `serde_json` refuses, the values that are looked at.
    pub fn fields(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        let text = without_mark(record);
        let mut found = Found::default();
        self.find(text, &mut found)?;
        let mut fields = Vec::new();
        if let Ok(value) = serde_json::from_str(&String::from_utf8_lossy(text)) {
            leaves(&value, &mut Vec::new(), &mut fields);
            return Ok(fields);
        }
        // The grammar is checked: a number is too large, or half a surrogate pair stands there.
        let record = Record { text, is_logged: false };
        for (path, name) in self.names.iter().enumerate() {
            let mut read = Reading { record, found: &found, decoded: &mut Vec::new() };
            if read.lossy(path).is_some() {
                fields.push((name.clone(), read.decoded.clone()));
            }
        }
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
    /// Appends a value to the decoded ones; returns where it begins.
    fn decode(&mut self, path: usize) -> Result<Option<usize>, RejectReason> {
        let from = self.decoded.len();
        let Some((kind, raw)) = raw(self.record, self.found, path) else { return Ok(None) };
        match kind {
            Kind::String { escaped: true } => {
                unescape(raw, self.decoded).map_err(|_| RejectReason::Encoding)?;
            }
            _ => self.decoded.extend_from_slice(raw),
        }
        Ok(Some(from))
    }

    /// The same, with half a surrogate pair as it is written.
    fn lossy(&mut self, path: usize) -> Option<usize> {
        let from = self.decoded.len();
        match raw(self.record, self.found, path)? {
            (Kind::String { escaped: true }, raw) => unescape_lossy(raw, self.decoded),
            (_, raw) => self.decoded.extend_from_slice(raw),
        }
        Some(from)
    }

    /// Returns a name that is given. Whatever a client can write, it hides no key.
    fn text(&mut self, path: usize) -> Option<Text> {
        let value = self.found.get(path)?;
        if self.record.is_logged
            && !value.in_string
            && let Some((kind, raw)) = raw(self.record, self.found, path)
            && kind != (Kind::String { escaped: true })
        {
            return is_given(raw).then_some(Text::Record(value.span));
        }
        let from = self.lossy(path)?;
        let text = Text::Decoded((from, self.decoded.len()));
        is_given(&self.decoded[from..]).then_some(text)
    }

    fn time(&mut self, path: usize, zone: Option<&TimeZone>) -> Option<Timestamp> {
        match raw(self.record, self.found, path)? {
            (Kind::String { escaped: true }, _) => {
                let from = self.lossy(path)?;
                instant::any_form(&self.decoded[from..], zone)
            }
            (_, raw) => instant::any_form(raw, zone),
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
                    if !query::decides(kind, &self.decoded[from..]) {
                        continue;
                    }
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

/// Returns a value as it is written, if it is a string or a number.
fn raw<'a>(record: Record<'a>, found: &'a Found, path: usize) -> Option<(Kind, &'a [u8])> {
    let value = found.get(path)?;
    let text = if value.in_string { found.inner() } else { record.text };
    match value.kind {
        Kind::String { .. } | Kind::Number => Some((value.kind, &text[value.span.0..value.span.1])),
        Kind::Word | Kind::Nested => None,
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
                for (path, kind) in query::members() {
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

//! Taking values out of a record: text, time, status, consumer, key.
//!
//! A number is its lexeme; `null`, `true`, objects and arrays are no value. Half a surrogate pair
//! makes a key or a status unreadable; anywhere else it is text, so that whatever a client can
//! write hides no key.

use jiff::tz::TimeZone;

use super::path::{MAX_PATHS, Path};
use super::query;
use super::scan::{Found, Kind, Paths, Value};
use super::unescape::{unescape, unescape_lossy};
use crate::engine::parse::event::RejectReason;
use crate::engine::parse::layout::{LayoutError, Place};
use crate::engine::parse::place::QueryText;
use crate::engine::parse::scratch::{InPlace, Text};
use crate::engine::parse::template::FieldSpan;
use crate::engine::parse::value::{Holding, is_given, outcome, reduce_to_key};
use crate::engine::parse::{escape, instant, variables};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Where a record shows a key.
#[derive(Debug)]
pub enum KeyPath {
    /// The value at a path.
    Field {
        /// Number of the path.
        path: usize,
        /// How the value holds the key.
        holding: Holding,
    },
    /// A parameter of the query of the request.
    Query {
        /// Name of the parameter.
        name: Vec<u8>,
        /// Numbers of the paths that may hold the query, best first, and what of it.
        texts: Vec<(usize, QueryText)>,
        /// How the parameter holds the key.
        holding: Holding,
    },
}

/// Where a record shows the consumer.
#[derive(Debug)]
pub struct ConsumerPath {
    /// As it is declared.
    pub name: String,
    path: usize,
    named: bool,
}

/// Paths that get their numbers in the order they are asked for.
#[derive(Default)]
pub struct Numbered {
    paths: Vec<Path>,
}

impl Numbered {
    fn add(&mut self, path: Path) -> usize {
        self.paths.push(path);
        self.paths.len() - 1
    }

    /// Adds a path as it is declared; returns its number.
    pub fn parse(&mut self, text: &str) -> Result<usize, LayoutError> {
        Ok(self.add(text.parse().map_err(LayoutError::Path)?))
    }

    /// Adds the path of a key that is the value there.
    pub fn field(&mut self, text: &str) -> Result<KeyPath, LayoutError> {
        let path = self.parse(text)?;
        Ok(KeyPath::Field { path, holding: Holding::of_field(self.paths[path].last_name()) })
    }

    /// Adds the paths of a place.
    pub fn place(&mut self, place: &Place) -> Result<KeyPath, LayoutError> {
        match place {
            Place::Field(text) => self.field(text),
            Place::Query(name) if name.bytes().any(|byte| b"&=# \t".contains(&byte)) => {
                Err(LayoutError::QueryName { name: name.clone() })
            }
            Place::Query(name) => {
                let texts = query::members().map(|(path, kind)| (self.add(path), kind)).collect();
                let holding = Holding::of_parameter(name);
                Ok(KeyPath::Query { name: name.clone().into_bytes(), texts, holding })
            }
        }
    }

    /// Adds the path of a field of the consumer.
    pub fn consumer(&mut self, text: &str) -> Result<ConsumerPath, LayoutError> {
        let path = self.parse(text)?;
        let named = variables::path_names_somebody(self.paths[path].last_name());
        Ok(ConsumerPath { name: text.to_owned(), path, named })
    }

    /// Compiles the paths; returns them as they are written, too.
    pub fn compile(&self) -> Result<(Paths, Vec<String>), LayoutError> {
        if self.paths.len() > MAX_PATHS {
            return Err(LayoutError::TooManyPaths(self.paths.len()));
        }
        let names = self.paths.iter().map(Path::to_string).collect();
        Ok((Paths::compile(&self.paths), names))
    }
}

/// The record that values stand in.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// All of it.
    pub text: &'a [u8],
    /// Whether it is the record that was logged, which outlives the reading.
    is_logged: bool,
}

impl<'a> Record<'a> {
    /// Makes the record that was logged, without the byte order mark that some programs begin a
    /// file with.
    pub fn logged(record: &'a [u8]) -> Self {
        let text = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
        Self { text, is_logged: text.len() == record.len() }
    }

    /// Returns the record that is an object of this one.
    pub fn in_object(self, (from, to): FieldSpan) -> Self {
        Self { text: &self.text[from..to], is_logged: false }
    }

    /// Returns the record that a string of this one holds; its text goes to `buffer`.
    pub fn in_string(
        self,
        (from, to): FieldSpan,
        buffer: &mut Vec<u8>,
    ) -> Result<Record<'_>, RejectReason> {
        buffer.clear();
        unescape(&self.text[from..to], buffer).map_err(|_| RejectReason::Encoding)?;
        Ok(Record { text: buffer, is_logged: false })
    }

    /// Finds the value at each path. A record is an object.
    pub fn find(self, paths: &Paths, found: &mut Found) -> Result<(), RejectReason> {
        match self.text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            None => Err(RejectReason::Form),
            Some(b'{') => paths.find(self.text, found).map_err(|_| RejectReason::Json),
            Some(_) => Err(RejectReason::Json),
        }
    }
}

/// The values of a record.
pub struct Values<'a> {
    /// Where they stand.
    pub record: Record<'a>,
    /// What was found in it.
    pub found: &'a Found,
    /// Where values go that are not as they were logged.
    pub decoded: &'a mut Vec<u8>,
}

impl Values<'_> {
    /// Returns a string or a number, perhaps empty.
    pub fn text(&mut self, path: usize) -> Option<Text> {
        let (value, raw) = self.raw(path)?;
        let is_escaped = value.kind == (Kind::String { escaped: true });
        if self.record.is_logged && !value.in_string && !is_escaped {
            return Some(Text::Record(value.span));
        }
        let from = self.decoded.len();
        if is_escaped {
            unescape_lossy(raw, self.decoded);
        } else {
            self.decoded.extend_from_slice(raw);
        }
        Some(Text::Decoded((from, self.decoded.len())))
    }

    /// Returns what a text stands for.
    pub fn bytes(&self, text: Text) -> &[u8] {
        match text {
            Text::Record((from, to)) => &self.record.text[from..to],
            Text::Decoded((from, to)) => &self.decoded[from..to],
        }
    }

    /// Returns a time; `zone` is that of times that carry none. `None`: there is no value.
    pub fn time(
        &mut self,
        path: usize,
        zone: Option<&TimeZone>,
    ) -> Option<Result<Timestamp, RejectReason>> {
        let text = self.text(path)?;
        Some(instant::any_form(self.bytes(text), zone).ok_or(RejectReason::Time))
    }

    /// Returns the outcome that a status says.
    pub fn status(&mut self, path: usize) -> Result<Outcome, RejectReason> {
        let Some(from) = self.decode(path)? else { return Ok(Outcome::Accepted) };
        outcome(&self.decoded[from..]).ok_or(RejectReason::Status)
    }

    /// Returns the consumer, and whether that names somebody.
    pub fn consumer(&mut self, consumer: &ConsumerPath) -> Option<(Text, bool)> {
        let text = self.text(consumer.path)?;
        is_given(self.bytes(text)).then_some((text, consumer.named))
    }

    /// Returns the key at a place.
    pub fn key(&mut self, place: &KeyPath) -> Result<InPlace, RejectReason> {
        match place {
            KeyPath::Field { path, holding } => {
                let Some(from) = self.decode(*path)? else { return Ok(InPlace::Nothing) };
                Ok(self.reduced(*holding, from))
            }
            KeyPath::Query { name, texts, holding } => {
                for &(path, kind) in texts {
                    let Some(from) = self.decode(path)? else { continue };
                    if !query::decides(kind, &self.decoded[from..]) {
                        continue;
                    }
                    // The request is moved away and the parameter put in its place.
                    let to = self.decoded.len();
                    let span = kind.parameter_span(&self.decoded[from..to], name);
                    let Some((start, end)) = span else { return Ok(InPlace::Nothing) };
                    escape::percent_decode_within(self.decoded, from + start, from + end);
                    return Ok(self.reduced(*holding, to));
                }
                Ok(InPlace::Nothing)
            }
        }
    }

    fn reduced(&mut self, holding: Holding, from: usize) -> InPlace {
        let held = reduce_to_key(holding, self.decoded, from);
        InPlace::of(held, Text::Decoded((from, self.decoded.len())))
    }

    /// Appends a value to the decoded ones; returns where it begins.
    fn decode(&mut self, path: usize) -> Result<Option<usize>, RejectReason> {
        let from = self.decoded.len();
        let Some((value, raw)) = self.raw(path) else { return Ok(None) };
        if value.kind == (Kind::String { escaped: true }) {
            unescape(raw, self.decoded).map_err(|_| RejectReason::Encoding)?;
        } else {
            self.decoded.extend_from_slice(raw);
        }
        Ok(Some(from))
    }
}

impl<'a> Values<'a> {
    /// Returns a value as it is written, if it is a string or a number.
    fn raw(&self, path: usize) -> Option<(Value, &'a [u8])> {
        let value = self.found.get(path)?;
        let text = if value.in_string { self.found.inner() } else { self.record.text };
        match value.kind {
            Kind::String { .. } | Kind::Number => Some((value, &text[value.span.0..value.span.1])),
            Kind::Word | Kind::Nested => None,
        }
    }
}

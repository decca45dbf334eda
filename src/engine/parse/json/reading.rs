//! Taking values out of a JSON record: text, time, key.
//!
//! A number is its lexeme; `null`, `true`, objects and arrays are no value.

use jiff::tz::TimeZone;

use super::path::{MAX_PATHS, Path};
use super::scan::{Found, Kind, Paths, Value};
use super::unescape::unescape;
use crate::engine::parse::event::RejectReason;
use crate::engine::parse::instant;
use crate::engine::parse::layout::{LayoutError, Place};
use crate::engine::parse::place::QueryText;
use crate::engine::parse::scratch::Text;
use crate::engine::parse::template::FieldSpan;
use crate::engine::parse::value::{Holding, is_given, reduce_to_key};
use crate::engine::parse::{escape, variables};
use crate::engine::time::Timestamp;

/// Members that hold a request or a query, best first, and what of it.
const QUERIES: [(&str, QueryText); 11] = [
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

/// Where a record shows a key.
#[derive(Debug)]
pub enum JsonPlace {
    /// A value.
    Field { path: usize, holding: Holding },
    /// A parameter of the first request or query that is there.
    Query { name: Vec<u8>, texts: Vec<(usize, QueryText)>, holding: Holding },
}

/// Who presents the key.
#[derive(Debug)]
pub struct JsonConsumer {
    /// Its path, as declared.
    pub name: String,
    /// Number of the path.
    pub path: usize,
    /// Whether it names somebody.
    pub named: bool,
}

/// The record that values stand in.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// All of it.
    pub text: &'a [u8],
    /// Whether it is the record that was logged, which outlives the reading.
    pub is_logged: bool,
}

impl<'a> Record<'a> {
    /// Takes a record as it was logged, without the byte order mark that some programs begin a file
    /// with.
    pub fn logged(record: &'a [u8]) -> Self {
        let text = without_mark(record);
        Self { text, is_logged: text.len() == record.len() }
    }

    /// Takes a record that stands within another one.
    pub fn within(text: &'a [u8]) -> Self {
        Self { text, is_logged: false }
    }
}

/// Finds the values of a record, which must be an object.
pub fn find(paths: &Paths, text: &[u8], found: &mut Found) -> Result<(), RejectReason> {
    let first = text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    if first.is_none() {
        return Err(RejectReason::Form);
    }
    paths.find(text, found).map_err(|_| RejectReason::Json)?;
    if first == Some(&b'{') { Ok(()) } else { Err(RejectReason::Json) }
}

/// Returns where the text of a record stands in the string at a path, if one does.
pub fn enveloped(text: &[u8], value: Option<Value>) -> Option<FieldSpan> {
    let Value { kind: Kind::String { .. }, span, .. } = value? else { return None };
    text[span.0..span.1].trim_ascii_start().starts_with(b"{").then_some(span)
}

/// Cuts off a byte order mark.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Takes values out of a record.
pub struct Reading<'a> {
    /// Where they stand.
    pub record: Record<'a>,
    /// What was found in it.
    pub found: &'a Found,
    /// Where values go that are not as they were logged.
    pub decoded: &'a mut Vec<u8>,
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
    pub fn decode(&mut self, path: usize) -> Result<Option<usize>, RejectReason> {
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

    /// Tells whether a value is a string or a number.
    pub fn is_text(&self, path: usize) -> bool {
        self.raw(path).is_some()
    }

    /// Returns what a text stands for.
    pub fn bytes(&self, text: Text) -> &[u8] {
        match text {
            Text::Record((from, to)) => &self.record.text[from..to],
            Text::Decoded((from, to)) => &self.decoded[from..to],
        }
    }

    /// Returns a value that stands for something.
    pub fn text(&mut self, path: usize) -> Result<Option<Text>, RejectReason> {
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

    /// Returns a time; `zone` is that of times that carry none.
    pub fn time(
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

    /// Returns the key at a place.
    pub fn key(&mut self, place: &JsonPlace) -> Result<Option<Text>, RejectReason> {
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

/// Paths that get their numbers in the order they are asked for.
#[derive(Default)]
pub struct Numbered {
    paths: Vec<Path>,
}

impl Numbered {
    /// Adds a path; returns its number.
    pub fn add(&mut self, path: Path) -> usize {
        self.paths.push(path);
        self.paths.len() - 1
    }

    /// Adds the path that `text` says.
    pub fn parse(&mut self, text: &str) -> Result<usize, LayoutError> {
        Ok(self.add(text.parse().map_err(LayoutError::Path)?))
    }

    /// Adds the paths of a place of the key.
    pub fn place(&mut self, place: &Place) -> Result<JsonPlace, LayoutError> {
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

    /// Adds the path of a consumer.
    pub fn consumer(&mut self, text: &str) -> Result<JsonConsumer, LayoutError> {
        let path: Path = text.parse().map_err(LayoutError::Path)?;
        let named = variables::path_names_somebody(path.last_name());
        Ok(JsonConsumer { name: text.to_owned(), path: self.add(path), named })
    }
    /// Compiles the paths; returns them with their names, in the order of their numbers.
    pub fn compile(self) -> Result<(Paths, Vec<String>), LayoutError> {
        if self.paths.len() > MAX_PATHS {
            return Err(LayoutError::TooManyPaths(self.paths.len()));
        }
        let names = self.paths.iter().map(Path::to_string).collect();
        Ok((Paths::compile(&self.paths), names))
    }
}

//! Taking values out of a record: time, text, key.
//!
//! A number is its lexeme; `null`, `true`, objects and arrays are no value. Half a surrogate pair
//! makes a key unreadable; anywhere else it is text.

use jiff::tz::TimeZone;

use crate::engine::parse::event::RejectReason;
use crate::engine::parse::instant;
use crate::engine::parse::json::path::Path;
use crate::engine::parse::json::scan::{Found, Kind, Value};
use crate::engine::parse::json::unescape::{unescape, unescape_lossy};
use crate::engine::parse::layout::{LayoutError, Place};
use crate::engine::parse::scratch::Text;
use crate::engine::parse::value::{Holding, is_given, reduce_to_key};
use crate::engine::parse::variables;
use crate::engine::time::Timestamp;

/// Where a record shows a key.
#[derive(Clone, Copy, Debug)]
pub struct KeyPath {
    path: usize,
    holding: Holding,
}

/// Where a record shows the consumer.
#[derive(Debug)]
pub struct ConsumerPath {
    /// As it is declared.
    pub name: String,
    path: usize,
    naming: Naming,
}

/// Whether a value names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    Always,
    Never,
    /// In `sourceIPAddress` a service shows its name, anybody else an address.
    Service,
}

/// Adds a path; returns its number.
pub fn add(paths: &mut Vec<Path>, text: &str) -> Result<usize, LayoutError> {
    paths.push(text.parse().map_err(LayoutError::Path)?);
    Ok(paths.len() - 1)
}

impl KeyPath {
    /// Adds the path of a place.
    pub fn add(paths: &mut Vec<Path>, place: Place) -> Result<Self, LayoutError> {
        match place {
            Place::Field(text) => {
                let path = add(paths, &text)?;
                Ok(Self { path, holding: Holding::of_field(paths[path].last_name()) })
            }
            Place::Query(name) => Err(LayoutError::NoQuery { name }),
        }
    }
}

impl ConsumerPath {
    /// Adds the path of a field.
    pub fn add(paths: &mut Vec<Path>, name: &str) -> Result<Self, LayoutError> {
        let path = add(paths, name)?;
        let naming = match paths[path].last_name() {
            _ if name == "sourceIPAddress" => Naming::Service,
            last if variables::path_names_somebody(last) => Naming::Always,
            _ => Naming::Never,
        };
        Ok(Self { name: name.to_owned(), path, naming })
    }
}

/// The record that values stand in.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// All of it.
    pub text: &'a [u8],
    /// Whether it is the record that was logged, which outlives the reading.
    pub is_logged: bool,
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
    /// Returns a time; `zone` is that of times that carry none. `None`: there is no value.
    pub fn time(
        &mut self,
        path: usize,
        zone: Option<&TimeZone>,
    ) -> Option<Result<Timestamp, RejectReason>> {
        let text = self.text(path)?;
        Some(instant::any_form(self.bytes(text), zone).ok_or(RejectReason::Time))
    }

    /// Returns a string or a number, perhaps empty.
    pub fn text(&mut self, path: usize) -> Option<Text> {
        let (value, raw) = raw(self.record, self.found, path)?;
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

    /// Returns a text that is not empty.
    pub fn id(&mut self, path: usize) -> Option<Text> {
        self.text(path).filter(|&text| !self.bytes(text).is_empty())
    }

    /// Returns the consumer, and whether that names somebody.
    pub fn consumer(&mut self, consumer: &ConsumerPath) -> Option<(Text, bool)> {
        let text = self.text(consumer.path)?;
        let name = self.bytes(text);
        let named = match consumer.naming {
            Naming::Always => true,
            Naming::Never => false,
            // An address has no letter beyond `f`.
            Naming::Service => {
                name.iter().any(|byte| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit())
            }
        };
        is_given(name).then_some((text, named))
    }

    /// Returns the key at a place.
    pub fn key(&mut self, place: KeyPath) -> Result<Option<Text>, RejectReason> {
        let Some((value, raw)) = raw(self.record, self.found, place.path) else { return Ok(None) };
        let from = self.decoded.len();
        if value.kind == (Kind::String { escaped: true }) {
            unescape(raw, self.decoded).map_err(|_| RejectReason::Encoding)?;
        } else {
            self.decoded.extend_from_slice(raw);
        }
        let is_key = reduce_to_key(place.holding, self.decoded, from);
        Ok(is_key.then_some(Text::Decoded((from, self.decoded.len()))))
    }
}

/// Returns a value as it is written, if it is a string or a number.
fn raw<'a>(record: Record<'a>, found: &'a Found, path: usize) -> Option<(Value, &'a [u8])> {
    let value = found.get(path)?;
    let text = if value.in_string { found.inner() } else { record.text };
    match value.kind {
        Kind::String { .. } | Kind::Number => Some((value, &text[value.span.0..value.span.1])),
        Kind::Word | Kind::Nested => None,
    }
}

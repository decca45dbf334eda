//! A JSON format: the values at its paths, read as time, status, consumer and key.
//!
//! A record that stands as text in `message`, `MESSAGE` or `log` of an envelope without a time is
//! read in its place.

use jiff::tz::TimeZone;

use super::fields::fields;
use super::path::Path;
use super::reading::{self, JsonConsumer, JsonPlace, Numbered, Reading, Record};
use super::scan::{Found, Paths};
use super::unescape::unescape;
use crate::engine::parse::Field;
use crate::engine::parse::event::RejectReason;
use crate::engine::parse::layout::{FormatSpec, JsonSpec, Layout, LayoutError};
use crate::engine::parse::scratch::{Facts, Work};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Members that hold a record as text.
const ENVELOPES: [&str; 3] = ["message", "MESSAGE", "log"];

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
        let fields = if layout.consumer.is_empty() { &spec.consumer } else { &layout.consumer };
        let consumer = fields.iter().map(|text| paths.consumer(text));
        let consumer = consumer.collect::<Result<_, _>>()?;
        let envelopes = ENVELOPES.map(|name| paths.add(Path::member(name)));
        let (paths, names) = paths.compile()?;
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
        let record = Record::logged(record);
        reading::find(&self.paths, record.text, &mut work.found)?;
        let has_time = self.time.is_none_or(|path| work.found.get(path).is_some());
        let inner = |&path: &usize| reading::enveloped(record.text, work.found.get(path));
        if !has_time && let Some(inner) = self.envelopes.iter().find_map(inner) {
            // The text lies in a buffer that the values are copied out of.
            let mut buffer = std::mem::take(&mut work.unescaped);
            buffer.clear();
            let facts = unescape(&record.text[inner.0..inner.1], &mut buffer)
                .map_err(|_| RejectReason::Encoding)
                .and_then(|()| {
                    reading::find(&self.paths, &buffer, &mut work.found)?;
                    self.facts(Record::within(&buffer), arrival, &work.found, &mut work.decoded)
                });
            work.unescaped = buffer;
            return facts;
        }
        self.facts(record, arrival, &work.found, &mut work.decoded)
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
        let outcome = self.status.map_or(Ok(Outcome::Accepted), |path| status(path, &mut read))?;
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
        let record = Record::logged(record).text;
        reading::find(&self.paths, record, &mut Found::default())?;
        fields(record)
    }

    /// Iterates over the paths of the consumer.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        self.consumer.iter().map(|consumer| consumer.name.as_str())
    }
}

/// Reads the status at a path; one that is absent was accepted.
fn status(path: usize, read: &mut Reading<'_>) -> Result<Outcome, RejectReason> {
    let Some(from) = read.decode(path)? else { return Ok(Outcome::Accepted) };
    outcome(&read.decoded[from..]).ok_or(RejectReason::Status)
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

//! A JSON format: which of a record's values are its time, status, consumer and key.
//!
//! A record without a time that is CloudWatch's envelope is read in place of it, where wrappers are
//! detected.

use jiff::tz::TimeZone;

use super::envelope::Envelope;
use super::path::Path;
use super::scan::{Found, Paths};
use super::values::{ConsumerPath, KeyPath, Numbered, Record, Values};
use crate::engine::parse::Field;
use crate::engine::parse::event::RejectReason;
use crate::engine::parse::layout::{FormatSpec, JsonSpec, Layout, LayoutError};
use crate::engine::parse::scratch::{Facts, Work};
use crate::engine::parse::wrap::Wrapping;
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// A JSON format, compiled.
#[derive(Debug)]
pub struct JsonFormat {
    paths: Paths,
    time: Option<usize>,
    status: Option<usize>,
    places: Vec<KeyPath>,
    consumer: Vec<ConsumerPath>,
    envelope: Option<Envelope>,
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
        let fields = if spec.consumer.is_empty() { &layout.consumer } else { &spec.consumer };
        let consumer = fields.iter().map(|text| paths.consumer(text));
        let consumer = consumer.collect::<Result<_, _>>()?;
        let envelope = (layout.wrapping == Wrapping::Detect).then(Envelope::default);
        let (paths, names) = paths.compile()?;
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
        let Work { unescaped, found, decoded, .. } = work;
        let record = Record::logged(record);
        record.find(&self.paths, found)?;
        if self.time.is_none_or(|path| found.get(path).is_some()) {
            return self.facts(Values { record, found, decoded }, arrival);
        }
        let envelope = self.envelope.as_ref().ok_or(RejectReason::Time)?;
        let within = envelope.record(record.text, found).map_err(|_| RejectReason::Json)?;
        let record = record.in_string(within.ok_or(RejectReason::Time)?, unescaped)?;
        record.find(&self.paths, found)?;
        self.facts(Values { record, found, decoded }, arrival)
    }

    fn facts(
        &self,
        mut values: Values<'_>,
        arrival: Option<Timestamp>,
    ) -> Result<Facts, RejectReason> {
        let event_at = match self.time {
            Some(path) => values.time(path, self.zone.as_ref()),
            None => arrival.map(Ok),
        };
        let event_at = event_at.unwrap_or(Err(RejectReason::Time))?;
        let outcome = self.status.map_or(Ok(Outcome::Accepted), |path| values.status(path))?;
        let mut facts = Facts::new(event_at, outcome);
        facts.consumer = self.consumer.iter().find_map(|field| values.consumer(field));
        for (key, place) in facts.keys.iter_mut().zip(&self.places) {
            *key = values.key(place)?;
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
        let record = Record::logged(record);
        let mut found = Found::default();
        record.find(&self.paths, &mut found)?;
        let mut fields = Vec::new();
        if let Ok(value) = serde_json::from_str(&String::from_utf8_lossy(record.text)) {
            leaves(&value, &mut Vec::new(), &mut fields);
            return Ok(fields);
        }
        // The grammar is checked: a number is too large, or half a surrogate pair stands there.
        let mut values = Values { record, found: &found, decoded: &mut Vec::new() };
        for (path, name) in self.names.iter().enumerate() {
            if let Some(text) = values.text(path) {
                fields.push((name.clone(), values.bytes(text).to_vec()));
            }
        }
        Ok(fields)
    }

    /// Iterates over the paths of the consumer.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        self.consumer.iter().map(|consumer| consumer.name.as_str())
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

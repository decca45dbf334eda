//! AWS CloudTrail: one record of it, read as time, outcome, consumer, key, and the key it issued.
//!
//! ```text
//! record --envelope--> record within --values, outcome--> Facts
//! ```

mod envelope;

mod outcome;

mod values;

use jiff::tz::TimeZone;

use super::Field;
use super::event::RejectReason;
use super::json::JsonFormat;
use super::json::path::{MAX_PATHS, Path};
use super::json::scan::{Found, Paths};
use super::json::unescape::unescape;
use super::layout::{FormatSpec, JsonSpec, Layout, LayoutError, Place};
use super::scratch::{Facts, Work};
use super::template::FieldSpan;
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;
use envelope::{EnvelopePaths, Within};
use values::{ConsumerPath, KeyPath, Record, Values};

/// Where a record shows the key, unless declared.
pub const CREDENTIAL: &str = "userIdentity.accessKeyId";

/// Where a record shows the consumer, unless declared.
pub const CONSUMERS: [&str; 3] =
    ["userIdentity.arn", "userIdentity.principalId", "sourceIPAddress"];

/// Where a record shows the key that it issued.
const ISSUED: &str = "responseElements.credentials.accessKeyId";

/// The format, compiled.
#[derive(Debug)]
pub struct CloudTrailFormat {
    paths: Paths,
    /// All paths as they are written.
    names: Vec<String>,
    /// `eventTime`, and the `@timestamp` that some exports have in its place.
    times: [usize; 2],
    zone: Option<TimeZone>,
    error: usize,
    event_id: usize,
    issued: KeyPath,
    places: Vec<KeyPath>,
    consumer: Vec<ConsumerPath>,
    envelope: EnvelopePaths,
    /// Any JSON record, to name its fields with.
    json: JsonFormat,
}

impl CloudTrailFormat {
    /// Compiles the places and fields of a layout.
    pub fn compile(layout: &Layout) -> Result<Self, LayoutError> {
        let mut paths = Vec::new();
        let times = [values::add(&mut paths, "eventTime")?, values::add(&mut paths, "@timestamp")?];
        let error = values::add(&mut paths, "errorCode")?;
        let event_id = values::add(&mut paths, "eventID")?;
        let issued = KeyPath::add(&mut paths, Place::Field(ISSUED.to_owned()))?;
        let mut places = Vec::new();
        for place in layout.places(&FormatSpec::CloudTrail) {
            places.push(KeyPath::add(&mut paths, place)?);
        }
        let declared = layout.consumer.iter().map(String::as_str);
        let fields: Vec<&str> =
            if layout.consumer.is_empty() { CONSUMERS.to_vec() } else { declared.collect() };
        let mut consumer = Vec::new();
        for field in fields {
            consumer.push(ConsumerPath::add(&mut paths, field)?);
        }
        let envelope = EnvelopePaths::add(&mut paths)?;
        if paths.len() > MAX_PATHS {
            return Err(LayoutError::TooManyPaths(paths.len()));
        }
        let names = paths.iter().map(Path::to_string).collect();
        let paths = Paths::compile(&paths);
        let zone = layout.zone.clone();
        let json = any_json(layout)?;
        Ok(Self {
            paths,
            names,
            times,
            zone,
            error,
            event_id,
            issued,
            places,
            consumer,
            envelope,
            json,
        })
    }

    /// Reads one record. When it arrived says nothing about when it happened.
    pub fn read(
        &self,
        record: &[u8],
        _arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        let Work { unescaped, found, decoded, .. } = work;
        let record = self.find(record, found, unescaped)?;
        self.facts(Values { record, found, decoded })
    }

    /// Finds the values of a record or, in an envelope, of the one within, whose text goes to `buffer`.
    fn find<'a>(
        &self,
        record: &'a [u8],
        found: &mut Found,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Record<'a>, RejectReason> {
        let text = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
        self.find_in(text, found)?;
        match self.envelope.within(text, found) {
            None => Ok(Record { text, is_logged: text.len() == record.len() }),
            Some(Within::Object(span)) => self.find_object(text, span, found),
            Some(Within::Text((from, to))) => {
                buffer.clear();
                unescape(&text[from..to], buffer).map_err(|_| RejectReason::Encoding)?;
                self.find_in(buffer, found)?;
                match self.envelope.within(buffer, found) {
                    Some(Within::Object(span)) => self.find_object(buffer, span, found),
                    Some(Within::Text(_)) | None => Ok(Record { text: buffer, is_logged: false }),
                }
            }
        }
    }

    fn find_object<'a>(
        &self,
        text: &'a [u8],
        (from, to): FieldSpan,
        found: &mut Found,
    ) -> Result<Record<'a>, RejectReason> {
        let text = &text[from..to];
        self.find_in(text, found)?;
        Ok(Record { text, is_logged: false })
    }

    fn find_in(&self, text: &[u8], found: &mut Found) -> Result<(), RejectReason> {
        match text.trim_ascii_start().first() {
            None => Err(RejectReason::Form),
            Some(b'{') => self.paths.find(text, found).map_err(|_| RejectReason::Json),
            Some(_) => Err(RejectReason::Json),
        }
    }

    fn facts(&self, mut values: Values<'_>) -> Result<Facts, RejectReason> {
        let zone = self.zone.as_ref();
        let event_at = self.times.iter().find_map(|&path| values.time(path, zone));
        let event_at = event_at.unwrap_or(Err(RejectReason::Time))?;
        let outcome = match values.text(self.error) {
            Some(code) => outcome::outcome(values.bytes(code)),
            None => Outcome::Accepted,
        };
        let mut facts = Facts::new(event_at, outcome);
        facts.consumer = self.consumer.iter().find_map(|field| values.consumer(field));
        for (key, &place) in facts.keys.iter_mut().zip(&self.places) {
            *key = values.key(place)?;
        }
        facts.event_id = values.id(self.event_id);
        if outcome == Outcome::Accepted {
            facts.issued = values.key(self.issued)?;
        }
        Ok(facts)
    }

    /// Iterates over the paths that are looked at.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Names every value of a record, or of the one within it, by its path, with its text.
    pub fn fields(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        let mut buffer = Vec::new();
        let record = self.find(record, &mut Found::default(), &mut buffer)?;
        self.json.fields(record.text)
    }

    /// Iterates over the paths of the consumer.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        self.consumer.iter().map(|consumer| consumer.name.as_str())
    }
}

fn any_json(layout: &Layout) -> Result<JsonFormat, LayoutError> {
    let spec = JsonSpec { time: Some("eventTime".to_owned()), ..JsonSpec::default() };
    let layout = Layout { credential: Vec::new(), consumer: Vec::new(), ..layout.clone() };
    JsonFormat::compile(&spec, &FormatSpec::Json(spec.clone()), &layout)
}

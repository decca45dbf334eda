//! AWS CloudTrail: one record of it, read as time, outcome, consumer, key, and the key it issued.
//!
//! ```text
//! record --envelope--> record within --json/values, outcome--> Facts
//! ```

mod envelope;

mod outcome;

use jiff::tz::TimeZone;

use super::Field;
use super::event::RejectReason;
use super::json::JsonFormat;
use super::json::scan::{Found, Paths};
use super::json::values::{ConsumerPath, KeyPath, Numbered, Record, Values};
use super::layout::{FormatSpec, JsonSpec, Layout, LayoutError, Place};
use super::scratch::{Facts, Text, Work};
use crate::engine::sessions::{ROLE_SESSION_LIFETIME, SESSION_LIFETIME};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;
use envelope::{EnvelopePaths, Within};

/// Where a record shows the key, unless declared.
pub const CREDENTIAL: &str = "userIdentity.accessKeyId";

/// Where a record shows the consumer, unless declared.
pub const CONSUMERS: [&str; 3] =
    ["userIdentity.arn", "userIdentity.principalId", "sourceIPAddress"];

/// Where a record shows the key that it issued.
const ISSUED: &str = "responseElements.credentials.accessKeyId";

/// Requests that begin the session of a role; any other may begin a longer one.
const ROLES: [&[u8]; 3] = [b"AssumeRole", b"AssumeRoleWithSAML", b"AssumeRoleWithWebIdentity"];

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
    event_name: usize,
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
        let mut paths = Numbered::default();
        let times = [paths.parse("eventTime")?, paths.parse("@timestamp")?];
        let error = paths.parse("errorCode")?;
        let event_id = paths.parse("eventID")?;
        let event_name = paths.parse("eventName")?;
        let issued = paths.field(ISSUED)?;
        let places = layout.places(&FormatSpec::CloudTrail).into_iter().map(|place| match place {
            Place::Field(text) => paths.field(&text),
            Place::Query(name) => Err(LayoutError::NoQuery { name }),
        });
        let places = places.collect::<Result<_, _>>()?;
        let declared = layout.consumer.iter().map(String::as_str);
        let fields: Vec<&str> =
            if layout.consumer.is_empty() { CONSUMERS.to_vec() } else { declared.collect() };
        let consumer = fields.into_iter().map(|field| paths.consumer(field));
        let consumer = consumer.collect::<Result<_, _>>()?;
        let envelope = EnvelopePaths::add(&mut paths)?;
        let (paths, names) = paths.compile()?;
        let zone = layout.zone.clone();
        let json = any_json(layout)?;
        Ok(Self {
            paths,
            names,
            times,
            zone,
            error,
            event_id,
            event_name,
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
        let record = Record::logged(record);
        self.find_in(record, found)?;
        match self.envelope.within(record.text, found) {
            None => Ok(record),
            Some(Within::Object(span)) => self.find_in(record.in_object(span), found),
            Some(Within::Text(span)) => {
                let record = self.find_in(record.in_string(span, buffer)?, found)?;
                match self.envelope.within(record.text, found) {
                    Some(Within::Object(span)) => self.find_in(record.in_object(span), found),
                    Some(Within::Text(_)) | None => Ok(record),
                }
            }
        }
    }

    fn find_in<'a>(
        &self,
        record: Record<'a>,
        found: &mut Found,
    ) -> Result<Record<'a>, RejectReason> {
        // A record of form feeds is blank, though no white space of JSON.
        if record.text.trim_ascii_start().is_empty() {
            return Err(RejectReason::Form);
        }
        record.find(&self.paths, found)?;
        Ok(record)
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
        facts.consumer = self.consumer.iter().find_map(|field| consumer(&mut values, field));
        for (key, place) in facts.keys.iter_mut().zip(&self.places) {
            *key = values.key(place)?;
        }
        facts.event_id = values.text(self.event_id).filter(|&id| !values.bytes(id).is_empty());
        if outcome == Outcome::Accepted {
            facts.issued = values.key(&self.issued)?.key();
        }
        if facts.issued.is_some() {
            facts.issued_lifetime = match values.text(self.event_name) {
                Some(name) if ROLES.contains(&values.bytes(name)) => ROLE_SESSION_LIFETIME,
                _ => SESSION_LIFETIME,
            };
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

/// Returns the consumer, and whether that names somebody: in `sourceIPAddress` a service shows its
/// name, anybody else an address, which has no letter beyond `f`.
fn consumer(values: &mut Values<'_>, field: &ConsumerPath) -> Option<(Text, bool)> {
    let (text, named) = values.consumer(field)?;
    let is_of_service = |byte: &u8| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit();
    let named =
        named || (field.name == "sourceIPAddress" && values.bytes(text).iter().any(is_of_service));
    Some((text, named))
}

fn any_json(layout: &Layout) -> Result<JsonFormat, LayoutError> {
    let spec = JsonSpec { time: Some("eventTime".to_owned()), ..JsonSpec::default() };
    let layout = Layout { credential: Vec::new(), consumer: Vec::new(), ..layout.clone() };
    JsonFormat::compile(&spec, &FormatSpec::Json(spec.clone()), &layout)
}

//! AWS CloudTrail: one record of it, read as time, outcome, consumer, key, and the key it issued.
//!
//! A record may stand in an envelope: as the object `detail` of an EventBridge event, as text in the
//! `message` or `Message` of a transport, in `CloudTrailEvent` of `aws cloudtrail lookup-events`, or as
//! such an event in such a text. What has a `userIdentity` or an `eventTime` of its own is a record
//! and no envelope, so nothing that a client can write into a record is ever read as one.

mod outcome;

use jiff::tz::TimeZone;

use super::Field;
use super::event::RejectReason;
use super::json::fields::fields;
use super::json::path::Path;
use super::json::reading::{self, JsonConsumer, JsonPlace, Numbered, Reading, Record};
use super::json::scan::{Found, Kind, Paths};
use super::json::unescape::unescape;
use super::layout::{FormatSpec, Layout, LayoutError, Place};
use super::scratch::{Facts, Work};
use super::template::FieldSpan;
use super::value::Holding;
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Where a record shows the key, unless declared.
pub const CREDENTIAL: &str = "userIdentity.accessKeyId";

/// Where a record shows the consumer, unless declared.
pub const CONSUMERS: [&str; 3] =
    ["userIdentity.arn", "userIdentity.principalId", "sourceIPAddress"];

/// Where a record shows the key that it issued.
const ISSUED: &str = "responseElements.credentials.accessKeyId";

/// Members that hold a record as text.
const TEXTS: [&str; 3] = ["message", "Message", "CloudTrailEvent"];

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
    issued: JsonPlace,
    places: Vec<JsonPlace>,
    consumer: Vec<JsonConsumer>,
    envelope: EnvelopePaths,
}

/// What tells an envelope from a record.
#[derive(Debug)]
struct EnvelopePaths {
    /// `userIdentity`, `eventTime`.
    own: [usize; 2],
    /// `source`, `detail` of EventBridge.
    source: usize,
    detail: usize,
    texts: [usize; TEXTS.len()],
}

/// Where the record within an envelope stands.
#[derive(Clone, Copy)]
enum Envelope {
    Object(FieldSpan),
    Text(FieldSpan),
}

impl CloudTrailFormat {
    /// Compiles the places and fields of a layout.
    pub fn compile(layout: &Layout) -> Result<Self, LayoutError> {
        let mut paths = Numbered::default();
        let times = ["eventTime", "@timestamp"].map(|name| paths.add(Path::member(name)));
        let error = paths.add(Path::member("errorCode"));
        let event_id = paths.add(Path::member("eventID"));
        let issued = JsonPlace::Field { path: paths.parse(ISSUED)?, holding: Holding::Whole };
        let mut places = Vec::new();
        for place in layout.places(&FormatSpec::CloudTrail) {
            if let Place::Query(name) = place {
                return Err(LayoutError::NoQuery { name });
            }
            places.push(paths.place(&place)?);
        }
        let declared = layout.consumer.iter().map(String::as_str);
        let names: Vec<&str> =
            if layout.consumer.is_empty() { CONSUMERS.to_vec() } else { declared.collect() };
        let consumer = names.into_iter().map(|name| paths.consumer(name));
        let consumer = consumer.collect::<Result<_, _>>()?;
        let envelope = EnvelopePaths {
            own: [paths.add(Path::member("userIdentity")), times[0]],
            source: paths.add(Path::member("source")),
            detail: paths.add(Path::member("detail")),
            texts: TEXTS.map(|name| paths.add(Path::member(name))),
        };
        let (paths, names) = paths.compile()?;
        let zone = layout.zone.clone();
        Ok(Self { paths, names, times, zone, error, event_id, issued, places, consumer, envelope })
    }

    /// Reads one record. The time at which it arrived says nothing about when it happened.
    pub fn read(
        &self,
        record: &[u8],
        _arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        // The text of an envelope lies in a buffer that the values are copied out of.
        let mut buffer = std::mem::take(&mut work.unescaped);
        let facts = self
            .find(record, &mut work.found, &mut buffer)
            .and_then(|record| self.facts(record, &work.found, &mut work.decoded));
        work.unescaped = buffer;
        facts
    }

    /// Finds the values of a record, or of the one within it.
    fn find<'a>(
        &self,
        record: &'a [u8],
        found: &mut Found,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Record<'a>, RejectReason> {
        let outer = Record::logged(record);
        reading::find(&self.paths, outer.text, found)?;
        match self.envelope.of(outer.text, found) {
            None => Ok(outer),
            Some(Envelope::Object(span)) => self.find_within(outer.text, span, found),
            Some(Envelope::Text((from, to))) => {
                buffer.clear();
                unescape(&outer.text[from..to], buffer).map_err(|_| RejectReason::Encoding)?;
                let text: &[u8] = buffer;
                let inner = self.find_within(text, (0, text.len()), found)?;
                match self.envelope.of(text, found) {
                    Some(Envelope::Object(span)) => self.find_within(text, span, found),
                    _ => Ok(inner),
                }
            }
        }
    }

    fn find_within<'a>(
        &self,
        text: &'a [u8],
        (from, to): FieldSpan,
        found: &mut Found,
    ) -> Result<Record<'a>, RejectReason> {
        let inner = Record::within(&text[from..to]);
        reading::find(&self.paths, inner.text, found)?;
        Ok(inner)
    }

    fn facts(
        &self,
        record: Record<'_>,
        found: &Found,
        decoded: &mut Vec<u8>,
    ) -> Result<Facts, RejectReason> {
        let mut read = Reading { record, found, decoded };
        let time = self.times.iter().find(|&&path| read.is_text(path));
        let event_at = time.map_or(Ok(None), |&path| read.time(path, self.zone.as_ref()))?;
        let event_at = event_at.ok_or(RejectReason::Time)?;
        let outcome = match read.decode(self.error)? {
            Some(from) => outcome::outcome(&read.decoded[from..]),
            None => Outcome::Accepted,
        };
        let mut facts = Facts::new(event_at, outcome);
        for consumer in &self.consumer {
            if let Some(name) = read.text(consumer.path)? {
                let named = consumer.named
                    || consumer.name == "sourceIPAddress" && is_service(read.bytes(name));
                facts.consumer = Some((name, named));
                break;
            }
        }
        for (key, place) in facts.keys.iter_mut().zip(&self.places) {
            *key = read.key(place)?;
        }
        facts.event_id = read.text(self.event_id)?;
        if outcome == Outcome::Accepted {
            facts.issued = read.key(&self.issued)?;
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
        fields(self.find(record, &mut Found::default(), &mut buffer)?.text)
    }

    /// Iterates over the paths of the consumer.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        self.consumer.iter().map(|consumer| consumer.name.as_str())
    }
}

impl EnvelopePaths {
    /// Returns where the record within an envelope stands; none is in a record.
    fn of(&self, text: &[u8], found: &Found) -> Option<Envelope> {
        if self.own.iter().any(|&path| found.get(path).is_some()) {
            return None;
        }
        if let Some(detail) = found.get(self.detail)
            && detail.kind == Kind::Nested
            && text[detail.span.0] == b'{'
            && self.is_of_aws(text, found)
        {
            return Some(Envelope::Object(detail.span));
        }
        let within = |&path: &usize| reading::enveloped(text, found.get(path));
        self.texts.iter().find_map(within).map(Envelope::Text)
    }

    /// Tells whether an event of EventBridge comes from AWS: anybody can put events of another source
    /// on a bus, with any `detail`. One that names no source was cut to its `detail` by whoever
    /// collects it.
    fn is_of_aws(&self, text: &[u8], found: &Found) -> bool {
        found.get(self.source).is_none_or(|source| {
            let source = &text[source.span.0..source.span.1];
            source.starts_with(b"aws.") && !source.starts_with(b"aws.partner/")
        })
    }
}

/// Tells whether a `sourceIPAddress` is the name of a service: an address has no letter beyond `f`.
fn is_service(source: &[u8]) -> bool {
    source.iter().any(|byte| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit())
}

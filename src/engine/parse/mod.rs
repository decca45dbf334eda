//! One record of a log -> [`AccessEvent`] or [`RejectReason`].
//!
//! A [`Layout`] is compiled once into a [`LineParser`]; reading a record then takes no allocation,
//! regular expression or lock. A key is only taken from the place that the layout names, never
//! found by searching the line: a URL, a referrer or a user agent is text an attacker writes.
//!
//! ```text
//! record --wrap--> record within --text | json | cloudtrail--> Facts --> AccessEvent
//! ```

mod layout;

mod digest;

mod event;

mod scratch;

pub mod wrap;

mod text;

mod nginx;

mod apache;

mod template;

mod quick;

mod usual;

mod group;

mod variables;

mod place;

mod request;

mod escape;

mod json;

mod cloudtrail;

pub mod consumer_map;

mod instant;

mod value;

use std::time::Duration;

use jiff::tz::TimeZone;

use cloudtrail::CloudTrailFormat;
use consumer_map::ConsumerMap;
use digest::digest;
pub use event::{AccessEvent, Keys, RejectReason};
use json::JsonFormat;
pub use layout::{
    FormatSpec, JsonSpec, Layout, LayoutError, MAX_FORMATS, MAX_PLACES, NotAPlace, Place,
};
pub use place::query_parameters;
pub use scratch::Scratch;
use scratch::{Facts, Work};
pub use text::COMBINED;
use text::TextFormat;
use wrap::{Layers, Unwrapping};

use crate::engine::credential::PlaceName;
use crate::engine::scan::records::Framing;
use crate::engine::time::Timestamp;

/// A layout, compiled.
#[derive(Debug)]
pub struct LineParser {
    formats: Vec<Format>,
    wrapping: Unwrapping,
    consumer_map: ConsumerMap,
    /// All places of the key, of whatever format.
    places: Vec<PlaceName>,
    /// The numbers of each format's places in that list.
    numbers: Vec<[u8; MAX_PLACES]>,
    default_lateness: Duration,
    digest: String,
    /// The zone of times that carry none.
    zone: Option<TimeZone>,
}

/// How late a line is readable after its time when it is stamped as it is written: servers flush,
/// and shippers deliver. For Apache's own `combined`, which is stamped at the start of a request,
/// one declares more.
const WRITTEN_LATE: Duration = Duration::from_secs(30);

/// The longest request that is expected: a line stamped at its start is written at its end.
const LONGEST_REQUEST: Duration = Duration::from_mins(5);

/// How late AWS delivers an event of its trail: 10 min are the most that was measured.
const DELIVERED_LATE: Duration = Duration::from_mins(15);

/// The name of a field and its raw value in a record.
pub type Field = (String, Vec<u8>);

/// A format, compiled.
#[derive(Debug)]
enum Format {
    Text(TextFormat),
    Json(Box<JsonFormat>),
    CloudTrail(Box<CloudTrailFormat>),
}

impl LineParser {
    /// Compiles a layout.
    pub fn compile(layout: &Layout) -> Result<Self, LayoutError> {
        if layout.formats.iter().any(|format| layout.places(format).is_empty()) {
            return Err(LayoutError::NoPlace);
        }
        Self::build(layout)
    }

    /// Compiles formats alone: lines are read for their form, and no key is found.
    pub fn without_key(layout: &Layout) -> Result<Self, LayoutError> {
        Self::build(&Layout { credential: Vec::new(), consumer: Vec::new(), ..layout.clone() })
    }

    fn build(layout: &Layout) -> Result<Self, LayoutError> {
        if layout.formats.is_empty() || layout.formats.len() > MAX_FORMATS {
            return Err(LayoutError::Formats(layout.formats.len()));
        }
        for format in &layout.formats {
            let places = layout.places(format).len();
            if places > MAX_PLACES {
                return Err(LayoutError::TooManyPlaces(places));
            }
        }
        let formats = layout.formats.iter().map(|format| Format::compile(format, layout));
        let formats = formats.collect::<Result<Vec<_>, _>>()?;
        let consumers = formats.iter().flat_map(Format::consumer_fields);
        if let Some(field) = consumers.into_iter().find(|field| value::holds_a_secret(field)) {
            return Err(LayoutError::SecretConsumer(field.to_owned()));
        }
        let digest = digest(layout, &formats);
        let wrapping = Unwrapping::of(layout, &formats);
        let default_lateness = layout.formats.iter().map(default_lateness).max();
        let (places, numbers) = number_places(layout);
        Ok(Self {
            formats,
            wrapping,
            consumer_map: layout.consumer_map.clone(),
            places,
            numbers,
            default_lateness: default_lateness.unwrap_or_default(),
            digest,
            zone: layout.zone.clone(),
        })
    }

    /// Returns a field that a layout of this parser takes for the key and for the consumer, too:
    /// the key would be shown as somebody's name.
    pub fn key_as_consumer(&self, layout: &Layout) -> Option<String> {
        layout.formats.iter().zip(&self.formats).find_map(|(spec, format)| {
            let places = layout.places(spec);
            let is_place = |field: &&str| {
                places.iter().any(|place| match place {
                    Place::Field(name) => name.eq_ignore_ascii_case(field),
                    Place::Query(_) => false,
                })
            };
            format.consumer_fields().find(is_place).map(str::to_owned)
        })
    }

    /// Returns how the bytes of a log are cut into the records that [`parse`](Self::parse) reads.
    pub fn framing(&self) -> Framing {
        let is_document = |format: &Format| matches!(format, Format::CloudTrail(_));
        match &self.wrapping {
            Unwrapping::Detected if self.formats.iter().any(is_document) => Framing::Documents,
            wrapping => wrapping.framing(),
        }
    }

    /// Tells whether events carry ids, so that a repeated one is known: the first in the order of
    /// the records is the one that counts.
    pub fn has_event_ids(&self) -> bool {
        self.formats.iter().any(|format| matches!(format, Format::CloudTrail(_)))
    }

    /// Returns the names for consumers.
    pub fn consumer_map(&self) -> &ConsumerMap {
        &self.consumer_map
    }

    /// Returns all places of the key, of whatever format, each once: at most
    /// [`MAX_FORMATS`] × [`MAX_PLACES`].
    pub fn places(&self) -> &[PlaceName] {
        &self.places
    }

    /// Returns how late a line may be readable after its event time when nothing is declared.
    pub fn default_lateness(&self) -> Duration {
        self.default_lateness
    }

    /// Returns the earliest time that a line may mean which was read as `event_at`: where clocks were
    /// set back a local time came twice, and the later one was read. Else `event_at`.
    pub fn earliest(&self, event_at: Timestamp) -> Timestamp {
        self.zone.as_ref().map_or(event_at, |zone| instant::earliest(event_at, zone))
    }

    /// Returns a short text that is equal for equal layouts, whatever the version of the program,
    /// and changes with the format, a place of the key or a field of the consumer.
    pub fn layout_digest(&self) -> String {
        self.digest.clone()
    }

    /// Reads one record, without its line end.
    pub fn parse<'a>(
        &'a self,
        record: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> Result<AccessEvent<'a>, RejectReason> {
        let Scratch { wrapped, work } = scratch;
        let mut layers = Layers::new(record, wrapped);
        let facts = self.read_within(&mut layers, work)?;
        Ok(facts.event(layers.into_record(), &work.decoded))
    }

    /// Returns what the formats read of a record: what is within its wrappers, or itself.
    pub fn unwrapped(&self, record: &[u8]) -> Vec<u8> {
        let mut scratch = Scratch::default();
        let Scratch { wrapped, work } = &mut scratch;
        let mut layers = Layers::new(record, wrapped);
        // A record that no format fits is told as far as it was unwrapped.
        let _ = self.read_within(&mut layers, work);
        layers.into_record().to_vec()
    }

    /// Reads a record without the wrappers that are taken off.
    fn read_within(&self, layers: &mut Layers<'_>, work: &mut Work) -> Result<Facts, RejectReason> {
        let read = |layers: &Layers<'_>| self.read(layers.record(), layers.arrival(), work);
        self.wrapping.read(&self.formats, layers, read)
    }

    /// Reads a record with the first format that fits.
    fn read(
        &self,
        record: &[u8],
        arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        let mut refusal = None;
        for (format, places) in self.formats.iter().zip(&self.numbers) {
            work.decoded.clear();
            match format.read(record, arrival, work) {
                Ok(facts) => return Ok(Facts { places: *places, ..facts }),
                Err(reason) => refusal = Some(telling(refusal, reason)),
            }
        }
        Err(refusal.unwrap_or(RejectReason::Form))
    }

    /// Iterates over the names of the formats' fields, in their order.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.formats.iter().flat_map(Format::field_names)
    }

    /// Names every field of a record with its raw value, in the order of the format that fits.
    /// Wrappers are taken off as [`parse`](Self::parse) does.
    pub fn fields(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        self.fields_within(&self.unwrapped(record))
    }

    /// Returns the field at whose place a record stops having the form of the first text format;
    /// `None` when there is none, or when only what follows the last field is wrong.
    pub fn misfit(&self, record: &[u8]) -> Option<&str> {
        let text = self.formats.iter().find_map(|format| match format {
            Format::Text(text) => Some(text),
            _ => None,
        });
        text?.misfit(&self.unwrapped(record))
    }

    fn fields_within(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        let mut refusal = None;
        for format in &self.formats {
            match format.fields(record) {
                Ok(fields) => return Ok(fields),
                Err(reason) => refusal = Some(telling(refusal, reason)),
            }
        }
        Err(refusal.unwrap_or(RejectReason::Form))
    }
}

impl Format {
    fn compile(format: &FormatSpec, layout: &Layout) -> Result<Self, LayoutError> {
        match format {
            FormatSpec::Json(spec) => {
                JsonFormat::compile(spec, format, layout).map(Box::new).map(Self::Json)
            }
            FormatSpec::CloudTrail => {
                CloudTrailFormat::compile(layout).map(Box::new).map(Self::CloudTrail)
            }
            FormatSpec::Apache(_) | FormatSpec::Common => TextFormat::compile(format, layout)
                .map(Self::Text)
                .map_err(LayoutError::in_words_of_apache),
            FormatSpec::Nginx(_) | FormatSpec::Combined => {
                TextFormat::compile(format, layout).map(Self::Text)
            }
        }
    }

    fn read(
        &self,
        record: &[u8],
        arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        match self {
            Self::Text(format) => format.read(record, arrival, work),
            Self::Json(format) => format.read(record, arrival, work),
            Self::CloudTrail(format) => format.read(record, arrival, work),
        }
    }

    fn field_names(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::Text(format) => Box::new(format.field_names()) as Box<dyn Iterator<Item = &str>>,
            Self::Json(format) => Box::new(format.field_names()),
            Self::CloudTrail(format) => Box::new(format.field_names()),
        }
    }

    fn fields(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        match self {
            Self::Text(format) => format.fields(record),
            Self::Json(format) => format.fields(record),
            Self::CloudTrail(format) => format.fields(record),
        }
    }

    /// Names the fields of the consumer that are looked at, defaults included.
    fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::Text(format) => {
                Box::new(format.consumer_fields()) as Box<dyn Iterator<Item = &str>>
            }
            Self::Json(format) => Box::new(format.consumer_fields()),
            Self::CloudTrail(format) => Box::new(format.consumer_fields()),
        }
    }
}

/// Lists the places of all formats, and which of them are each format's.
fn number_places(layout: &Layout) -> (Vec<PlaceName>, Vec<[u8; MAX_PLACES]>) {
    let mut all: Vec<PlaceName> = Vec::new();
    let numbers = layout.formats.iter().map(|format| {
        let mut numbers = [0; MAX_PLACES];
        for (number, place) in numbers.iter_mut().zip(layout.places(format)) {
            let name = PlaceName::new(place.to_string());
            let known = all.iter().position(|known| *known == name).unwrap_or(all.len());
            if known == all.len() {
                all.push(name);
            }
            *number = u8::try_from(known).expect("at most MAX_FORMATS × MAX_PLACES");
        }
        numbers
    });
    let numbers = numbers.collect();
    (all, numbers)
}

/// Returns how late a line of this format may be readable when nothing is declared.
fn default_lateness(format: &FormatSpec) -> Duration {
    let is_stamped_at_start = match format {
        FormatSpec::Combined | FormatSpec::Nginx(_) => false,
        FormatSpec::Common => true,
        FormatSpec::Apache(text) => !apache::logs_the_end(text),
        // Gateways differ, and a path does not tell. A wrapper stamps what is written.
        FormatSpec::Json(spec) => spec.time.is_some(),
        FormatSpec::CloudTrail => return DELIVERED_LATE,
    };
    if is_stamped_at_start { WRITTEN_LATE + LONGEST_REQUEST } else { WRITTEN_LATE }
}

/// Of the reasons of two formats, returns the one that tells more: a format whose form fits knows
/// better what is wrong.
fn telling(before: Option<RejectReason>, now: RejectReason) -> RejectReason {
    match before {
        None | Some(RejectReason::Form) => now,
        Some(RejectReason::Json) if now != RejectReason::Form => now,
        Some(before) => before,
    }
}

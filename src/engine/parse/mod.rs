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

mod event;

mod scratch;

pub mod wrap;

mod text;

mod nginx;

mod apache;

mod template;

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

use sha2::{Digest, Sha256};

use cloudtrail::CloudTrailFormat;
use consumer_map::ConsumerMap;
pub use event::{AccessEvent, Keys, RejectReason};
use json::JsonFormat;
pub use layout::{FormatSpec, JsonSpec, Layout, LayoutError, MAX_PLACES, NotAPlace, Place};
pub use place::query_parameters;
pub use scratch::Scratch;
use scratch::{Facts, Work};
pub use text::COMBINED;
use text::TextFormat;
use wrap::Wrapping;

use crate::engine::scan::records::Framing;
use crate::engine::time::Timestamp;

/// A layout, compiled.
#[derive(Debug)]
pub struct LineParser {
    formats: Vec<Format>,
    wrapping: Unwrapping,
    consumer_map: ConsumerMap,
    digest: String,
}

/// The name of a field and its raw value in a record.
pub type Field = (String, Vec<u8>);

/// A format, compiled.
#[derive(Debug)]
enum Format {
    Text(TextFormat),
    Json(JsonFormat),
    CloudTrail(CloudTrailFormat),
}

/// Whether a record is looked at with its wrappers or without.
#[derive(Debug)]
enum Unwrapping {
    /// As it stands alone: nothing wraps it, or a client may choose how it begins.
    Never,
    /// Without them alone.
    Always(Wrapping),
    /// Without them where a wrapper is detected, else as it stands.
    First(Wrapping),
    /// As it stands and, where no format fits, without a detected wrapper.
    Last(Wrapping),
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
        if layout.credential.len() > MAX_PLACES {
            return Err(LayoutError::TooManyPlaces(layout.credential.len()));
        }
        let formats = layout.formats.iter().map(|format| Format::compile(format, layout));
        let formats = formats.collect::<Result<Vec<_>, _>>()?;
        let digest = digest(layout, &formats);
        let wrapping = Unwrapping::of(layout, &formats);
        Ok(Self { formats, wrapping, consumer_map: layout.consumer_map.clone(), digest })
    }

    /// Returns how the bytes of a log are cut into the records that [`parse`](Self::parse) reads.
    pub fn framing(&self) -> Framing {
        let is_document = |format: &Format| matches!(format, Format::CloudTrail(_));
        match &self.wrapping {
            Unwrapping::First(_) if self.formats.iter().any(is_document) => Framing::Documents,
            Unwrapping::Never => Framing::Lines,
            Unwrapping::First(wrapping)
            | Unwrapping::Last(wrapping)
            | Unwrapping::Always(wrapping) => wrapping.framing(),
        }
    }

    /// Returns the names for consumers.
    pub fn consumer_map(&self) -> &ConsumerMap {
        &self.consumer_map
    }

    /// Returns how late a line may be readable after its event time when nothing is declared.
    pub fn default_lateness(&self) -> Duration {
        self.formats.iter().map(Format::default_lateness).max().unwrap_or_default()
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
        let as_it_stands = match &self.wrapping {
            Unwrapping::Never | Unwrapping::Last(_) => self.read(record, None, work),
            Unwrapping::Always(_) | Unwrapping::First(_) => Err(RejectReason::Form),
        };
        let refusal = match as_it_stands {
            Ok(facts) => return Ok(facts.event(record, &work.decoded)),
            Err(reason) => reason,
        };
        let unwrapped = match &self.wrapping {
            Unwrapping::Never => None,
            Unwrapping::Always(wrapping)
            | Unwrapping::First(wrapping)
            | Unwrapping::Last(wrapping) => wrap::unwrap(wrapping, record, wrapped),
        };
        let (record, arrival) = match (unwrapped, &self.wrapping) {
            (Some(unwrapped), _) => unwrapped,
            (None, Unwrapping::First(_)) => (record, None),
            (None, _) => return Err(refusal),
        };
        let facts = self.read(record, arrival, work)?;
        Ok(facts.event(record, &work.decoded))
    }

    /// Reads a record with the first format that fits.
    fn read(
        &self,
        record: &[u8],
        arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        let mut refusal = None;
        for format in &self.formats {
            work.decoded.clear();
            match format.read(record, arrival, work) {
                Ok(facts) => return Ok(facts),
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
    pub fn fields(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
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
            FormatSpec::Json(spec) => JsonFormat::compile(spec, format, layout).map(Self::Json),
            FormatSpec::CloudTrail => CloudTrailFormat::compile(layout).map(Self::CloudTrail),
            _ => TextFormat::compile(format, layout).map(Self::Text),
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

    fn default_lateness(&self) -> Duration {
        match self {
            Self::Text(_) | Self::Json(_) => Duration::from_secs(30),
            Self::CloudTrail(_) => Duration::from_mins(15),
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

impl Unwrapping {
    /// Tells how records of a layout are looked at.
    ///
    /// A text format is tried on a record as it stands first: a line that fits is what the server
    /// wrote, whatever it looks like. JSON fits nearly every format, so a wrapper goes first there.
    fn of(layout: &Layout, formats: &[Format]) -> Self {
        let wrapping = layout.wrapping.clone();
        match &wrapping {
            Wrapping::Declared(wrappers) if wrappers.is_empty() => return Self::Never,
            Wrapping::Declared(_) => return Self::Always(wrapping),
            Wrapping::Detect => {}
        }
        let is_text = |format: &Format| matches!(format, Format::Text(_));
        let is_free =
            |format: &Format| matches!(format, Format::Text(text) if text.starts_with_free_text());
        if formats.iter().any(is_free) {
            Self::Never
        } else if formats.iter().all(is_text) {
            Self::Last(wrapping)
        } else {
            Self::First(wrapping)
        }
    }
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

/// Hashes what of a layout decides how a line is read; each part is preceded by its length.
fn digest(layout: &Layout, formats: &[Format]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    for (spec, format) in layout.formats.iter().zip(formats) {
        match spec {
            FormatSpec::Combined => part("combined"),
            FormatSpec::Common => part("common"),
            FormatSpec::Nginx(text) => {
                part("nginx");
                part(text);
            }
            FormatSpec::Apache(text) => {
                part("apache");
                part(text);
            }
            FormatSpec::CloudTrail => part("cloudtrail"),
            FormatSpec::Json(spec) => {
                part("json");
                part(spec.time.as_deref().unwrap_or_default());
                part(spec.status.as_deref().unwrap_or_default());
            }
        }
        for place in layout.places(spec) {
            part("key");
            part(&place.to_string());
        }
        for field in format.consumer_fields() {
            part("consumer");
            part(field);
        }
    }
    if let Wrapping::Declared(wrappers) = &layout.wrapping {
        part(&format!("wrapped {wrappers:?}"));
    }
    if let Some(zone) = &layout.zone {
        part(&format!("zone {zone:?}"));
    }
    crate::engine::wording::hex(&hash.finalize()[..8])
}

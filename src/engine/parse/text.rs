//! A text format: the fields of a template, read as time, status, consumer and key.

use super::escape::Escapes;
use super::event::RejectReason;
use super::instant::TimeForm;
use super::layout::{FormatSpec, Layout, LayoutError};
use super::place::{KeyPlace, known_field};
use super::scratch::{Facts, InPlace, Text, Work};
use super::template::{FieldSpan, Template};
use super::value::{is_given, outcome, reduce_to_key};
use super::variables::{self, Shape};
use super::{Field, apache, nginx, quick};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// The layout that nginx calls `combined` and Apache's `LogFormat` of that name equals.
pub const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" \
     $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// Apache's `LogFormat` of that name.
const COMMON: &str =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";

/// What Apache writes for a user without a name; no server leaves a quote of a client like this.
const NAMELESS: &[u8] = b"\"\"";

/// Consumer fields of a format with the usual names when none are declared.
const DEFAULT_CONSUMERS: [&str; 2] = ["remote_user", "remote_addr"];

/// Variables that hold a time, the finest first.
const TIMES: [&str; 3] = ["msec", "time_iso8601", "time_local"];

/// A text format, compiled.
#[derive(Debug)]
pub struct TextFormat {
    template: Template,
    /// Whether it is that preset, whose usual lines are read in a quicker way.
    is_combined: bool,
    /// The event time; without one the wrapper's time counts.
    time: Option<(usize, TimeForm)>,
    status: Option<usize>,
    /// The user of a preset, whose lines may be those of another format.
    user: Option<usize>,
    places: Vec<KeyPlace>,
    /// Fields of the consumer, and whether each names somebody.
    consumer: Vec<(usize, bool)>,
}

impl TextFormat {
    /// Compiles a format with the places and fields of its layout.
    pub fn compile(format: &FormatSpec, layout: &Layout) -> Result<Self, LayoutError> {
        let zone = layout.zone.clone();
        let mut template = match format {
            FormatSpec::Nginx(text) => {
                let format = nginx::parse(text)?;
                Template::compile(format.pieces, format.escapes, false, zone)?
            }
            FormatSpec::Apache(text) => {
                let pieces = apache::parse(text, zone.as_ref())?;
                Template::compile(pieces, Escapes::NginxOrApache, false, zone)?
            }
            FormatSpec::Common => preset(COMMON)?,
            _ => preset(COMBINED)?,
        };
        template.is_apart("status")?;
        let time = time_variable(&template);
        if time.is_none() {
            TIMES.iter().try_for_each(|name| template.is_apart(name))?;
        }
        if time.is_none() && !layout.has_arrival() {
            return Err(LayoutError::NoTime);
        }
        let places = layout.credential.iter().map(|place| KeyPlace::resolve(&template, place));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        // What the format does not log cannot name anybody: all are one pool then.
        let logged = |name: &&str| template.position(name).is_some();
        let fields: Vec<&str> = if layout.consumer.is_empty() {
            DEFAULT_CONSUMERS.into_iter().filter(logged).collect()
        } else {
            layout.consumer.iter().map(String::as_str).collect()
        };
        let consumer = fields
            .iter()
            .map(|name| {
                let index = known_field(&template, name)?;
                Ok((index, variables::names_somebody(&template.variables()[index].name)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let status = template.position("status");
        let is_preset = matches!(format, FormatSpec::Combined | FormatSpec::Common);
        let user = template.position("remote_user").filter(|_| is_preset);
        let mut looked_at: Vec<usize> = places.iter().map(KeyPlace::variable).collect();
        looked_at.extend(consumer.iter().map(|&(index, _)| index));
        looked_at.extend(time.map(|(index, _)| index).into_iter().chain(status).chain(user));
        template.need(&looked_at);
        let is_combined = matches!(format, FormatSpec::Combined);
        Ok(Self { template, is_combined, time, status, user, places, consumer })
    }

    /// Reads one record.
    pub fn read(
        &self,
        record: &[u8],
        arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        self.split(record, &mut work.spans).ok_or(RejectReason::Form)?;
        self.read_spans(record, arrival, work)?;
        Ok(work.facts)
    }

    /// Reads a record of `combined` of which the first six quotes are known, with no backslash
    /// before the last of them; the facts are in `work` then. `None` for an unusual one, and for one
    /// that is to be rejected.
    #[inline]
    pub fn read_usual(&self, record: &[u8], quotes: [usize; 6], work: &mut Work) -> Option<()> {
        let usual = quick::combined_at(record, quotes).filter(|_| self.is_combined)?;
        work.spans.clear();
        work.spans.extend(usual);
        self.read_spans(record, None, work).ok()
    }

    /// Tells whether this is `combined`.
    pub fn is_combined(&self) -> bool {
        self.is_combined
    }

    /// Reads a record whose variables stand in `work`, where the facts come to stand, too.
    #[inline]
    fn read_spans(
        &self,
        record: &[u8],
        arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<(), RejectReason> {
        let Work { spans, clock, unescaped, decoded, facts, .. } = work;
        let field = |(from, to): FieldSpan| &record[from..to];
        if self.user.is_some_and(|user| is_misplaced(field(spans[user]))) {
            return Err(RejectReason::Form);
        }
        let event_at = match self.time {
            Some((variable, form)) => {
                clock.read(form, field(spans[variable]), self.template.zone())
            }
            None => arrival,
        };
        let event_at = event_at.ok_or(RejectReason::Time)?;
        let outcome = match self.status {
            Some(index) => outcome(field(spans[index])).ok_or(RejectReason::Status)?,
            None => Outcome::Accepted,
        };
        *facts = Facts::new(event_at, outcome);
        facts.consumer = self.consumer.iter().find_map(|&(index, named)| {
            let name = field(spans[index]);
            let is_given = is_given(name) && name != NAMELESS;
            is_given.then_some((Text::Record(spans[index]), named))
        });
        let escapes = self.template.escapes();
        for (key, place) in facts.keys.iter_mut().zip(&self.places) {
            let from = decoded.len();
            if !place.read(escapes, field(spans[place.variable()]), unescaped, decoded) {
                return Err(RejectReason::Form);
            }
            let held = reduce_to_key(place.holding(), decoded, from);
            *key = InPlace::of(held, Text::Decoded((from, decoded.len())));
        }
        Ok(())
    }

    /// Finds every variable in a record.
    fn split(&self, record: &[u8], spans: &mut Vec<FieldSpan>) -> Option<()> {
        if self.is_combined
            && let Some(usual) = quick::combined(record)
        {
            spans.clear();
            spans.extend(usual);
            return Some(());
        }
        self.template.split(record, spans)
    }

    /// Returns the form of a line.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Iterates over the names of the fields, in the format's order.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.template.variables().iter().map(|variable| variable.name.as_str())
    }

    /// Names every field with its raw value in `record`, in the format's order.
    pub fn fields(&self, record: &[u8]) -> Result<Vec<Field>, RejectReason> {
        let mut spans = Vec::new();
        self.template.split(record, &mut spans).ok_or(RejectReason::Form)?;
        let values = spans.iter().map(|&(from, to)| record[from..to].to_vec());
        Ok(self.field_names().map(str::to_owned).zip(values).collect())
    }

    /// Returns the field at whose place a record stops having this form, if that can be told.
    pub fn misfit(&self, record: &[u8]) -> Option<&str> {
        self.template.misfit(record).map(|variable| variable.name.as_str())
    }

    /// Names the fields of the consumer that are looked at.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        self.consumer.iter().map(|&(index, _)| self.template.variables()[index].name.as_str())
    }
}

/// Tells whether what stands in the place of a user is none: a field that the preset does not have
/// comes before it, or it is missing where the servers write `-` for nothing.
fn is_misplaced(user: &[u8]) -> bool {
    user.starts_with(b"- ") || user.is_empty()
}

/// Returns the variable that the event time is read from: the finest one of those logged.
fn time_variable(template: &Template) -> Option<(usize, TimeForm)> {
    TIMES.iter().find_map(|name| {
        let index = template.position(name)?;
        match template.variables()[index].shape {
            Shape::Time(form) => Some((index, form)),
            _ => None,
        }
    })
}

/// Compiles a preset: escaped by nginx or Apache, and more fields may follow.
pub(super) fn preset(format: &str) -> Result<Template, LayoutError> {
    Template::compile(nginx::parse(format)?.pieces, Escapes::NginxOrApache, true, None)
}

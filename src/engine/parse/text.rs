//! A text format: the fields of a template, read as time, status, consumer and key.

use super::escape::Escapes;
use super::event::RejectReason;
use super::instant::{self, TimeForm};
use super::layout::{FormatSpec, Layout, LayoutError};
use super::place::{KeyPlace, known_field};
use super::scratch::{Facts, Text, Work};
use super::template::{FieldSpan, Template};
use super::value::is_given;
use super::variables::{self, Shape};
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// The layout that nginx calls `combined` and Apache's `LogFormat` of that name equals.
pub const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" \
     $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// Consumer fields of a format with the usual names when none are declared.
const DEFAULT_CONSUMERS: [&str; 2] = ["remote_user", "remote_addr"];

/// A text format, compiled.
#[derive(Debug)]
pub struct TextFormat {
    template: Template,
    time: (usize, TimeForm),
    status: Option<usize>,
    places: Vec<KeyPlace>,
    /// Fields of the consumer, and whether each names somebody.
    consumer: Vec<(usize, bool)>,
}

impl TextFormat {
    /// Compiles a format with the places and fields of its layout.
    pub fn compile(format: &FormatSpec, layout: &Layout) -> Result<Self, LayoutError> {
        let template = match format {
            FormatSpec::Nginx(text) => {
                Template::compile(without_escape(text)?, Escapes::Nginx, false)?
            }
            _ => Template::compile(COMBINED, Escapes::NginxOrApache, true)?,
        };
        let time = time_variable(&template).ok_or(LayoutError::NoTime)?;
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
        Ok(Self { template, time, status, places, consumer })
    }

    /// Reads one record.
    pub fn read(
        &self,
        record: &[u8],
        _arrival: Option<Timestamp>,
        work: &mut Work,
    ) -> Result<Facts, RejectReason> {
        let Work { spans, unescaped, decoded, .. } = work;
        self.template.split(record, spans).ok_or(RejectReason::Form)?;
        let field = |(from, to): FieldSpan| &record[from..to];
        let (variable, form) = self.time;
        let event_at = instant::read(form, field(spans[variable])).ok_or(RejectReason::Time)?;
        let outcome = match self.status {
            Some(index) => outcome(field(spans[index])).ok_or(RejectReason::Status)?,
            None => Outcome::Accepted,
        };
        let mut facts = Facts::new(event_at, outcome);
        facts.consumer = self.consumer.iter().find_map(|&(index, named)| {
            is_given(field(spans[index])).then_some((Text::Record(spans[index]), named))
        });
        let escapes = self.template.escapes();
        for (key, place) in facts.keys.iter_mut().zip(&self.places) {
            let from = decoded.len();
            place.read(escapes, field(spans[place.variable()]), unescaped, decoded);
            *key = is_given(&decoded[from..]).then_some(Text::Decoded((from, decoded.len())));
        }
        Ok(facts)
    }

    /// Iterates over the names of the fields, in the format's order.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.template.variables().iter().map(|variable| variable.name.as_str())
    }

    /// Names every field with its raw value in `record`, in the format's order.
    pub fn fields<'a>(
        &'a self,
        record: &'a [u8],
    ) -> Result<Vec<(&'a str, &'a [u8])>, RejectReason> {
        let mut spans = Vec::new();
        self.template.split(record, &mut spans).ok_or(RejectReason::Form)?;
        Ok(self.field_names().zip(spans.iter().map(|&(from, to)| &record[from..to])).collect())
    }

    /// Names the fields of the consumer that are looked at.
    pub fn consumer_fields(&self) -> impl Iterator<Item = &str> {
        self.consumer.iter().map(|&(index, _)| self.template.variables()[index].name.as_str())
    }
}

/// Returns the outcome of a status: three digits, or nothing.
fn outcome(status: &[u8]) -> Option<Outcome> {
    match status {
        [] | [b'-'] => Some(Outcome::Accepted),
        [a, b, c] if status.iter().all(u8::is_ascii_digit) => {
            let digit = |byte: &u8| u16::from(byte - b'0');
            Some(Outcome::of_status(digit(a) * 100 + digit(b) * 10 + digit(c)))
        }
        _ => None,
    }
}

/// Returns the variable that the event time is read from: the finest one of those logged.
fn time_variable(template: &Template) -> Option<(usize, TimeForm)> {
    ["msec", "time_iso8601", "time_local"].iter().find_map(|name| {
        let index = template.position(name)?;
        match template.variables()[index].shape {
            Shape::Time(form) => Some((index, form)),
            _ => None,
        }
    })
}

/// Drops the one `escape=` parameter that can be read from the front of a format string.
fn without_escape(text: &str) -> Result<&str, LayoutError> {
    match text.split_once(char::is_whitespace) {
        Some(("escape=default", rest)) => Ok(rest.trim_start()),
        Some((parameter, _)) if parameter.starts_with("escape=") => {
            Err(LayoutError::Escape(parameter.to_owned()))
        }
        _ => Ok(text),
    }
}

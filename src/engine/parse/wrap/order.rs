//! Whether a record is read as it stands or without the wrapper that it seems to have.
//!
//! A line that its server wrote must never be taken for a wrapped one because of what a client
//! sent, and a wrapped one never for the server's. So nothing is tried out: what the formats write
//! at the beginning of a line decides. An address is no wrapper's beginning, so `{"log":"` before
//! it is Docker's; where a client may choose the beginning, wrappers must be declared.

use super::layers::{Layers, NotTaken, Sign};
use super::{Wrapper, Wrapping};
use crate::engine::parse::event::RejectReason;
use crate::engine::parse::instant::TimeForm;
use crate::engine::parse::template::Template;
use crate::engine::parse::variables::Shape;
use crate::engine::parse::{Format, Layout};
use crate::engine::scan::records::Framing;

/// Whether a record is looked at with its wrappers or without.
#[derive(Debug)]
pub enum Unwrapping {
    /// As it stands alone: a client may choose how it begins.
    Never,
    /// Without these alone, the outermost first, or as it stands where there are none.
    Declared(Vec<Wrapper>),
    /// Without those that only a wrapper can have written.
    Detected,
}

/// What is done with a record that seems to be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A server may have written it: it is read.
    Read,
    /// It is read, and where no format fits, unwrapped.
    ReadFirst,
    /// It is unwrapped, and where that is no wrapper, read.
    UnwrapFirst,
}

impl Unwrapping {
    /// Tells how records of a layout are looked at.
    pub fn of(layout: &Layout, formats: &[Format]) -> Self {
        let may_be_mistaken = |format: &Format| match format {
            Format::Text(text) => begins_like_a_wrapper(text.template()),
            Format::Json(_) | Format::CloudTrail(_) => false,
        };
        match &layout.wrapping {
            Wrapping::Declared(wrappers) => Self::Declared(wrappers.clone()),
            Wrapping::Detect if formats.iter().any(may_be_mistaken) => Self::Never,
            Wrapping::Detect => Self::Detected,
        }
    }

    /// Returns how lines are cut into records: a container runtime splits long ones, and its parts
    /// are put together where it is the outermost wrapper. Where it is not, the first part is a
    /// reject and the rest is read on its own.
    pub fn framing(&self) -> Framing {
        match self {
            Self::Detected => Framing::Parts,
            Self::Declared(wrappers) => match wrappers.first() {
                Some(Wrapper::Docker | Wrapper::Cri) => Framing::Parts,
                _ => Framing::Lines,
            },
            Self::Never => Framing::Lines,
        }
    }

    /// Tells whether a record is surely read as it stands.
    pub fn leaves(&self, record: &[u8]) -> bool {
        match self {
            Self::Never => true,
            Self::Declared(wrappers) => wrappers.is_empty(),
            Self::Detected => Sign::of(record).is_none(),
        }
    }

    /// Reads a record with `read`, which is given what stands within the wrappers that are taken
    /// off. What `read` returned last, and [`RejectReason::Form`] for a part of a record.
    pub fn read<T>(
        &self,
        formats: &[Format],
        layers: &mut Layers<'_>,
        mut read: impl FnMut(&Layers<'_>) -> Result<T, RejectReason>,
    ) -> Result<T, RejectReason> {
        match self {
            Self::Never => read(layers),
            Self::Declared(wrappers) => {
                for &wrapper in wrappers {
                    layers.take_off(wrapper).map_err(|_| RejectReason::Form)?;
                }
                read(layers)
            }
            Self::Detected => loop {
                let Some(sign) = layers.sign() else { return read(layers) };
                let turn = turn(sign, layers.record(), formats);
                if turn == Turn::UnwrapFirst {
                    match layers.take_off_detected(sign) {
                        Ok(()) => continue,
                        Err(NotTaken::Part) => return Err(RejectReason::Form),
                        Err(NotTaken::Absent) => {}
                    }
                }
                let facts = read(layers);
                let is_read = facts.is_ok() || turn == Turn::Read;
                // What begins like Docker's may be another's object.
                let may_be_object = matches!(sign, Sign::Docker | Sign::Object);
                if is_read || !may_be_object || layers.take_off(Wrapper::Journald).is_err() {
                    return facts;
                }
            },
        }
    }
}

fn turn(sign: Sign, record: &[u8], formats: &[Format]) -> Turn {
    let mut turn = Turn::UnwrapFirst;
    for format in formats {
        match format {
            Format::Text(text) if may_begin(text.template(), sign, record) => return Turn::Read,
            // Any object may have members of journald's names: what is declared goes first.
            Format::Json(_) | Format::CloudTrail(_) if sign == Sign::Object => {
                turn = Turn::ReadFirst;
            }
            Format::Text(_) | Format::Json(_) | Format::CloudTrail(_) => {}
        }
    }
    turn
}

/// Tells whether a line may begin like a wrapped one, by a client's choice or a time.
fn begins_like_a_wrapper(template: &Template) -> bool {
    let (lead, first) = template.beginning();
    lead.is_empty()
        && match first.shape {
            Shape::Free => true,
            // Perhaps RFC 3339 as a runtime writes it, and a client's text behind it.
            Shape::Time(TimeForm::Fixed(len)) => len >= 19,
            _ => false,
        }
}

/// Tells whether a server may write a line of this form that has such a beginning.
fn may_begin(template: &Template, sign: Sign, record: &[u8]) -> bool {
    let (lead, first) = template.beginning();
    if !lead.is_empty() {
        return record.starts_with(lead);
    }
    match first.shape {
        // nginx writes whole seconds and an offset, a runtime a fraction or `Z`.
        Shape::Time(TimeForm::Iso8601) => sign == Sign::Seconds,
        // A request's method may be `May`.
        Shape::ClientToken => sign == Sign::Month,
        _ => false,
    }
}

//! Lines that another program wrapped: Docker, Kubernetes CRI, syslog, journald.
//!
//! ```text
//! <13>1 2024-05-01T12:00:00Z web app - - - {"log":"192.0.2.1 - - […\n","stream":"stdout","time":"…"}
//! \__________________ syslog ____________/ \_Docker_/\___ record ___/\__________ Docker ___________/
//! ```
//!
//! A wrapper is told by its exact form alone: a line that only looks like one is no wrapper. What
//! is within is a record as its program wrote it: escapes that a wrapper does not need for its own
//! form stay. rsyslog's `#012` is one of them: undone, it could forge the end of a line.

mod order;

mod layers;

pub mod docker;

pub mod cri;

mod syslog;

mod journald;

pub use super::json::Found;
pub use layers::Buffers;
pub(super) use layers::Layers;
pub(super) use order::Unwrapping;

use super::instant::{self, TimeForm};
use crate::engine::time::Timestamp;

/// Most wrappers around one record that are detected.
pub const MAX_WRAPPERS: usize = 4;

/// A program that wraps lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// Docker's json-file driver.
    Docker,
    /// The Kubernetes container runtime interface.
    Cri,
    /// syslog, RFC 3164 or RFC 5424, and the files that rsyslog writes.
    Syslog,
    /// `journalctl -o json`.
    Journald,
}

/// Which wrappers stand around a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wrapping {
    /// Those that the beginning of a line shows, at most [`MAX_WRAPPERS`].
    #[default]
    Detect,
    /// Exactly these, the outermost first.
    Declared(Vec<Wrapper>),
}

/// Which of its two outputs a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `stdout`.
    Standard,
    /// `stderr`.
    Error,
}

impl Output {
    /// Reads the name of an output.
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Standard),
            b"stderr" => Some(Self::Error),
            _ => None,
        }
    }
}

/// What a wrapper holds: the record within, and the time of the outermost wrapper that has one.
///
/// RFC 3164 writes neither year nor zone: it has no time.
pub type Unwrapped<'a> = (&'a [u8], Option<Timestamp>);

/// Takes the wrappers off a record. `None` when a declared wrapper is not there, or when wrappers
/// are detected and none is.
///
/// Any format may stand within: whether a record may be looked at so is for its format to say.
pub fn unwrap<'a>(
    wrapping: &Wrapping,
    record: &'a [u8],
    buffers: &'a mut Buffers,
) -> Option<Unwrapped<'a>> {
    let mut layers = Layers::new(record, buffers);
    match wrapping {
        Wrapping::Detect => {
            while let Some(sign) = layers.sign() {
                if layers.take_off_detected(sign).is_err() {
                    break;
                }
            }
            if layers.depth() == 0 {
                return None;
            }
        }
        Wrapping::Declared(wrappers) => {
            for &wrapper in wrappers {
                layers.take_off(wrapper).ok()?;
            }
        }
    }
    let arrival = layers.arrival();
    Some((layers.into_record(), arrival))
}

/// Reads an RFC 3339 time at the start of `text` that a space follows; returns what stands behind.
fn stamp(text: &[u8]) -> Option<(Timestamp, &[u8])> {
    /// `2024-05-01T12:00:00.123456789+02:00`
    const LONGEST: usize = 35;
    let has_marks = matches!(text, [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..]);
    let end = text.iter().take(LONGEST + 1).position(|&byte| byte == b' ').filter(|_| has_marks)?;
    let at = instant::read(TimeForm::Iso8601, &text[..end], None)?;
    Some((at, &text[end + 1..]))
}

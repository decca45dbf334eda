//! Lines that another program wrapped: Docker, Kubernetes CRI, syslog, journald.

use zeroize::Zeroizing;

use crate::engine::scan::records::Framing;
use crate::engine::time::Timestamp;

/// A program that wraps lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// Docker's json-file driver.
    Docker,
    /// The Kubernetes container runtime interface.
    Cri,
    /// syslog, RFC 3164 or RFC 5424.
    Syslog,
    /// `journalctl -o json`.
    Journald,
}

/// Which wrappers stand around a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wrapping {
    /// Those that the beginning of a line shows.
    #[default]
    Detect,
    /// Exactly these, the outermost first.
    Declared(Vec<Wrapper>),
}

impl Wrapping {
    /// Returns how wrapped lines are cut into records: a container runtime splits long ones.
    pub fn framing(&self) -> Framing {
        match self {
            Self::Detect => Framing::Parts,
            Self::Declared(wrappers) => match wrappers.first() {
                Some(Wrapper::Docker | Wrapper::Cri) => Framing::Parts,
                _ => Framing::Lines,
            },
        }
    }
}

/// Buffers for unwrapped records; wiped when dropped.
#[derive(Default)]
pub struct Buffers {
    /// The text of a wrapper's JSON string, and the one within it.
    pub texts: [Zeroizing<Vec<u8>>; 2],
}

/// What a wrapper holds: the record within, and the time of the outermost wrapper that has one.
pub type Unwrapped<'a> = (&'a [u8], Option<Timestamp>);

/// Takes the wrappers off a record. `None` when a declared wrapper is not there, or when wrappers
/// are detected and none is.
pub fn unwrap<'a>(
    _wrapping: &Wrapping,
    _record: &'a [u8],
    _buffers: &'a mut Buffers,
) -> Option<Unwrapped<'a>> {
    None
}

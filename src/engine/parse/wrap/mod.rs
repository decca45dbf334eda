//! Lines that another program wrapped: Docker, Kubernetes CRI, syslog, journald.

use zeroize::Zeroizing;

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

/// Buffers for unwrapped records; wiped when dropped.
#[derive(Default)]
pub struct Buffers {
    /// The text of a wrapper's JSON string, and the one within it.
    pub texts: [Zeroizing<Vec<u8>>; 2],
}

/// Takes the wrappers off a record: the record within and the time of the outermost wrapper that
/// has one.
pub fn unwrap<'a>(
    _wrapping: &Wrapping,
    record: &'a [u8],
    _buffers: &'a mut Buffers,
) -> (&'a [u8], Option<Timestamp>) {
    (record, None)
}

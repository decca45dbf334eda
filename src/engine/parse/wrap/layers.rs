//! A record from which one wrapper after the other is taken off.

use zeroize::Zeroizing;

use super::{MAX_WRAPPERS, Wrapper, cri, docker, journald, syslog};
use crate::engine::parse::json::{Found, unescape_lossy};
use crate::engine::parse::template::FieldSpan;
use crate::engine::time::Timestamp;

/// Buffers for unwrapped records; wiped when dropped.
#[derive(Default)]
pub struct Buffers {
    /// The text of a wrapper's JSON string, and the one within it.
    texts: [Zeroizing<Vec<u8>>; 2],
    found: Found,
}

/// What the beginning of a record may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `{"log":"`: Docker.
    Docker,
    /// `{"`: journald, or any JSON.
    Object,
    /// `<`: syslog.
    Priority,
    /// `May `: syslog.
    Month,
    /// `2024-05-01T12:00:00+02:00 `: rsyslog's file, or a server.
    Seconds,
    /// `2024-05-01T12:00:00.123Z stdout `: CRI.
    Container,
    /// Any other time in RFC 3339: rsyslog's file.
    Stamp,
}

/// Why a wrapper cannot be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is not there.
    Absent,
    /// It is, around a part of a record.
    Part,
}

/// A record, and what was taken off.
pub struct Layers<'a> {
    logged: &'a [u8],
    buffers: &'a mut Buffers,
    /// The buffer that the record stands in; `None`: as it was logged.
    buffer: Option<usize>,
    span: FieldSpan,
    arrival: Option<Timestamp>,
    depth: usize,
}

impl Sign {
    /// Looks at how a record begins.
    pub fn of(record: &[u8]) -> Option<Self> {
        match record {
            [b'{', ..] if docker::begins(record) => Some(Self::Docker),
            [b'{', ..] => Some(Self::Object),
            [b'<', b'0'..=b'9', ..] => Some(Self::Priority),
            [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b' ', b' ' | b'0'..=b'3', ..] => {
                Some(Self::Month)
            }
            [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..] => {
                let (_, rest) = super::stamp(record)?;
                let is_output = rest.starts_with(b"stdout ") || rest.starts_with(b"stderr ");
                Some(match record[19] {
                    b'.' | b'Z' if is_output => Self::Container,
                    b'.' | b'Z' => Self::Stamp,
                    _ => Self::Seconds,
                })
            }
            _ => None,
        }
    }
}

impl<'a> Layers<'a> {
    /// Begins with a record as it was logged.
    pub fn new(record: &'a [u8], buffers: &'a mut Buffers) -> Self {
        let span = (0, record.len());
        Self { logged: record, buffers, buffer: None, span, arrival: None, depth: 0 }
    }

    /// Returns what is left.
    pub fn record(&self) -> &[u8] {
        let text = self.buffer.map_or(self.logged, |buffer| &self.buffers.texts[buffer]);
        &text[self.span.0..self.span.1]
    }

    /// Returns what is left.
    pub fn into_record(self) -> &'a [u8] {
        let Self { logged, buffers, buffer, span, .. } = self;
        let text = buffer.map_or(logged, |buffer| &buffers.texts[buffer]);
        &text[span.0..span.1]
    }

    /// Returns the time of the outermost wrapper that has one.
    pub fn arrival(&self) -> Option<Timestamp> {
        self.arrival
    }

    /// Returns how many wrappers were taken off.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Returns what may stand around what is left, unless it is the innermost that is looked at.
    pub fn sign(&self) -> Option<Sign> {
        if self.depth < MAX_WRAPPERS { Sign::of(self.record()) } else { None }
    }

    /// Takes off the wrapper that begins as `sign` says.
    pub fn take_off_detected(&mut self, sign: Sign) -> Result<(), NotTaken> {
        match sign {
            Sign::Docker => self.take_off(Wrapper::Docker),
            Sign::Object => self.take_off(Wrapper::Journald),
            Sign::Container => self.take_off(Wrapper::Cri),
            Sign::Seconds => match self.take_off(Wrapper::Cri) {
                Err(NotTaken::Absent) => self.take_off(Wrapper::Syslog),
                taken => taken,
            },
            Sign::Priority | Sign::Month | Sign::Stamp => self.take_off(Wrapper::Syslog),
        }
    }

    /// Takes off one wrapper.
    pub fn take_off(&mut self, wrapper: Wrapper) -> Result<(), NotTaken> {
        let arrival = match wrapper {
            Wrapper::Docker => Some(self.take_off_docker()?),
            Wrapper::Cri => {
                let line = cri::read(self.record()).ok_or(NotTaken::Absent)?;
                if line.is_part {
                    return Err(NotTaken::Part);
                }
                let (at, len) = (line.at, line.text.len());
                self.span.0 = self.span.1 - len;
                Some(at)
            }
            Wrapper::Syslog => {
                let (at, text) = syslog::read(self.record()).ok_or(NotTaken::Absent)?;
                let len = text.len();
                self.span.0 = self.span.1 - len;
                at
            }
            Wrapper::Journald => Some(self.take_off_journald().ok_or(NotTaken::Absent)?),
        };
        self.arrival = self.arrival.or(arrival);
        self.depth += 1;
        Ok(())
    }

    fn take_off_docker(&mut self) -> Result<Timestamp, NotTaken> {
        let (record, next, text, found) = self.split();
        let line = docker::read(record, found).ok_or(NotTaken::Absent)?;
        if line.is_part {
            return Err(NotTaken::Part);
        }
        text.clear();
        unescape_lossy(&record[line.text.0..line.text.1], text);
        let end = text.strip_suffix(b"\n").unwrap_or(text);
        let len = end.strip_suffix(b"\r").unwrap_or(end).len();
        self.moved(next, len);
        Ok(line.at)
    }

    fn take_off_journald(&mut self) -> Option<Timestamp> {
        let (record, next, text, found) = self.split();
        text.clear();
        let at = journald::read(record, found, text)?;
        let len = text.len();
        self.moved(next, len);
        Some(at)
    }

    /// Returns the record, and the buffer that it does not stand in with its number.
    fn split(&mut self) -> (&[u8], usize, &mut Vec<u8>, &mut Found) {
        let Buffers { texts: [first, second], found } = &mut *self.buffers;
        let (text, next, free): (&[u8], _, _) = match self.buffer {
            None => (self.logged, 0, first),
            Some(0) => (first, 1, second),
            Some(_) => (second, 0, first),
        };
        (&text[self.span.0..self.span.1], next, free, found)
    }

    fn moved(&mut self, buffer: usize, len: usize) {
        self.buffer = Some(buffer);
        self.span = (0, len);
    }
}

//! Where records begin and end: lines, lines in parts, or the objects of JSON documents.
//!
//! A record is what one event is read from. Cutting the bytes into chunks elsewhere changes no
//! record.

use super::documents::DocumentFramer;
use super::lines::{Line, LineAssembler};
use super::marks::Marks;
use super::parts::{self, PartFramer};

/// How the bytes of a log are cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A line is a record.
    Lines,
    /// A line is a record or, where a container runtime has split it, a part of one.
    Parts,
    /// A JSON object is a record, alone or in an array, over as many lines as it takes.
    Documents,
}

/// A record that came out of a [`Framer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A record without its line end.
    Whole(&'a [u8]),
    /// A record longer than [`MAX_LINE_BYTES`](super::lines::MAX_LINE_BYTES): told once, its bytes
    /// are dropped.
    TooLong,
    /// A record that is broken off.
    Cut(&'a [u8]),
}

/// Puts records together from chunks that are cut anywhere; holds a bounded number of records.
#[derive(Debug)]
pub enum Framer {
    /// For [`Framing::Lines`].
    Lines(LineAssembler),
    /// For [`Framing::Parts`].
    Parts(Box<PartFramer>),
    /// For [`Framing::Documents`].
    Documents(Box<DocumentFramer>),
}

impl Framer {
    /// Makes a framer for the start of a log.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Lines => Self::Lines(LineAssembler::default()),
            Framing::Parts => Self::Parts(Box::default()),
            Framing::Documents => Self::Documents(Box::default()),
        }
    }

    /// Gives every record that ends in `chunk` to `take`.
    pub fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(Record<'_>)) {
        match self {
            Self::Lines(lines) => lines.feed(chunk, |line| take(line.into())),
            Self::Parts(parts) => parts.feed(chunk, take),
            Self::Documents(documents) => documents.feed(chunk, take),
        }
    }

    /// Tells whether records are surely missing if the log ends here.
    pub fn is_amid_document(&self) -> bool {
        match self {
            Self::Lines(_) | Self::Parts(_) => false,
            Self::Documents(documents) => documents.is_amid_document(),
        }
    }

    /// Gives what is left at the end of the log to `take`.
    pub fn finish(self, mut take: impl FnMut(Record<'_>)) {
        match self {
            Self::Lines(lines) => lines.finish(|line| take(line.into())),
            Self::Parts(parts) => parts.finish(take),
            Self::Documents(documents) => documents.finish(take),
        }
    }
}

impl<'a> From<Line<'a>> for Record<'a> {
    fn from(line: Line<'a>) -> Self {
        match line {
            Line::Whole(line) => Self::Whole(line),
            Line::TooLong => Self::TooLong,
        }
    }
}

/// Returns the length of the longest start of `block` that ends where a record ends, so that the
/// rest can be framed on its own; 0 if there is no such place. What comes before `block` must end
/// where a record ends. Always 0 for documents: what surrounds a record decides how it is read.
pub fn boundary(framing: Framing, block: &[u8]) -> usize {
    match framing {
        Framing::Lines => memchr::memrchr(b'\n', block).map_or(0, |at| at + 1),
        Framing::Parts => parts::boundary(block),
        Framing::Documents => 0,
    }
}

/// Tells whether each line of `block`, which is marked, surely is a record of its own.
pub fn lines_are_records(framing: Framing, block: &[u8], marks: &Marks) -> bool {
    match framing {
        Framing::Lines => true,
        Framing::Parts => !marks.any_line(block, parts::may_be_part),
        Framing::Documents => false,
    }
}

/// Returns the length of the longest start of `block` after which nothing is open but the record
/// that is open for longest, with other lines behind all of its parts, which stand in the first
/// `old` bytes: where to cut when it is not waited for any longer. 0 if there is no such place.
pub fn boundary_past_open(framing: Framing, block: &[u8], old: usize) -> usize {
    match framing {
        Framing::Parts => parts::boundary_past_open(block, old),
        Framing::Lines | Framing::Documents => 0,
    }
}

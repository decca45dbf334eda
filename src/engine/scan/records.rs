//! Where records begin and end: lines, or the objects of JSON documents.
//!
//! A record is what one event is read from. Cutting the bytes into chunks elsewhere changes no
//! record.

use super::lines::{Line, LineAssembler};

/// How the bytes of a log are cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A line is a record.
    Lines,
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

/// Puts records together from chunks that are cut anywhere; holds at most one record.
#[derive(Debug)]
pub struct Framer {
    lines: LineAssembler,
}

impl Framer {
    /// Makes a framer for the start of a log.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Lines => Self { lines: LineAssembler::default() },
        }
    }

    /// Gives every record that ends in `chunk` to `take`.
    pub fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(Record<'_>)) {
        self.lines.feed(chunk, |line| take(line.into()));
    }

    /// Gives what is left at the end of the log to `take`.
    pub fn finish(self, mut take: impl FnMut(Record<'_>)) {
        self.lines.finish(|line| take(line.into()));
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

/// Returns the length of the longest start of `block` that ends where a record ends; 0 if none
/// ends in it. What comes before `block` must end where a record ends.
pub fn boundary(framing: Framing, block: &[u8]) -> usize {
    match framing {
        Framing::Lines => memchr::memrchr(b'\n', block).map_or(0, |at| at + 1),
    }
}

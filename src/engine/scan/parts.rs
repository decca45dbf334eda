//! Lines that a container runtime has split into parts: put together again.
//!
//! ```text
//! TIME stdout P abc \
//! TIME stderr F x    } -> TIME stderr F x
//! TIME stdout F def /     TIME stdout F abcdef
//! ```
//!
//! What was put together is one line of the same wrapper, that of its last part, and comes where the
//! last part stands. The two outputs of a container are apart from each other. Nothing but parts is
//! held back. A record is broken off when its next part does not come within [`BREAK_OFF_BYTES`],
//! and at the end of the log; it comes where that shows, before the line that shows it. Who follows
//! a log may break it off sooner, see [`boundary_past_open`].
//!
//! A time in whole seconds with an offset is none of a runtime here: a server may begin its lines
//! so, and a client write `stdout P` behind it.

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::Finder;
use zeroize::Zeroizing;

use super::lines::{Line, LineAssembler, MAX_LINE_BYTES, bounded};
use super::records::Record;
use crate::engine::parse::wrap::{Found, Output, cri, docker};

/// Most bytes of other lines between two parts of a record: a part has at most 16 KiB of text, which
/// escaped may be 96 KiB, and the parts of a record follow each other nearly at once.
pub const BREAK_OFF_BYTES: usize = 256 << 10;

/// What a block that holds a part, or may hold one, has in it somewhere.
static SIGNS_OF_PARTS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| {
    [b" stdout P", b" stderr P", docker::FIRST_MEMBER].map(|sign: &[u8]| Finder::new(sign))
});

/// Puts parts together. Holds at most one line, and one record for each output of each runtime.
#[derive(Default)]
pub struct PartFramer {
    lines: LineAssembler,
    joiner: Joiner,
}

impl std::fmt::Debug for PartFramer {
    /// Tells nothing of the text: a key may stand in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartFramer").field("open", &self.joiner.open).finish_non_exhaustive()
    }
}

impl PartFramer {
    /// Gives every record that ends in `chunk` to `take`.
    pub fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(Record<'_>)) {
        let Self { lines, joiner } = self;
        lines.feed(chunk, |line| joiner.line(line, &mut take));
    }

    /// Gives what is left at the end of the log to `take`: records whose parts have not come, in
    /// the order of their first parts, are cut.
    pub fn finish(self, mut take: impl FnMut(Record<'_>)) {
        let Self { lines, mut joiner } = self;
        lines.finish(|line| joiner.line(line, &mut take));
        joiner.break_off(|_| true, &mut take);
    }
}

/// See [`boundary`](super::records::boundary).
pub fn boundary(block: &[u8]) -> usize {
    let end = memchr::memrchr(b'\n', block).map_or(0, |at| at + 1);
    let lines = &block[..end];
    if !SIGNS_OF_PARTS.iter().any(|sign| sign.find(lines).is_some()) {
        return end;
    }
    let mut boundary = 0;
    join_lines(lines, |at, joiner| {
        if joiner.open == 0 {
            boundary = at;
        }
    });
    boundary
}

/// See [`boundary_past_open`](super::records::boundary_past_open).
pub fn boundary_past_open(block: &[u8], old: usize) -> usize {
    let (mut boundary, mut oldest) = (0, 0);
    join_lines(block, |at, joiner| {
        let open = joiner.pending.iter().filter(|pending| pending.is_open);
        let (first, distance) =
            open.map(|open| (open.first, open.distance)).min().unwrap_or_default();
        // It has ended, or goes on behind the lines that were read so far.
        if first != oldest || distance == 0 {
            (boundary, oldest) = (0, first);
        }
        if joiner.open == 1 && distance > 0 && at - distance <= old {
            boundary = at;
        }
    });
    boundary
}

/// Tells cheaply whether a line may be a part that more is to follow.
pub fn may_be_part(line: &[u8]) -> bool {
    cri::may_be_part(line) || docker::may_be_part(line)
}

/// Calls `look` after each line of `block`, with where it ends.
fn join_lines(block: &[u8], mut look: impl FnMut(usize, &Joiner)) {
    let mut joiner = Joiner::default();
    let mut at = 0;
    while let Some(len) = memchr(b'\n', &block[at..]) {
        joiner.line(bounded(&block[at..at + len]), &mut |_| ());
        at += len + 1;
        look(at, &joiner);
    }
}

/// Joins parts of lines.
#[derive(Default)]
struct Joiner {
    /// One for each output of CRI, then of Docker.
    pending: [Pending; 4],
    /// Number of records of which more is to follow.
    open: usize,
    /// Number of parts that were read.
    parts: u64,
    found: Found,
    joined: Zeroizing<Vec<u8>>,
}

/// A record of which more is to follow.
#[derive(Default)]
struct Pending {
    is_open: bool,
    text: Zeroizing<Vec<u8>>,
    /// Whether it was told to be too long, and its text dropped.
    is_too_long: bool,
    /// Number of its first part.
    first: u64,
    /// Bytes of other lines since its last part.
    distance: usize,
}

/// A line of a runtime: which record it goes on with, and where its text stands.
struct Part {
    index: usize,
    from: usize,
    to: usize,
    is_last: bool,
}

impl Joiner {
    fn line(&mut self, line: Line<'_>, take: &mut impl FnMut(Record<'_>)) {
        let Line::Whole(line) = line else {
            self.pass(MAX_LINE_BYTES, None, take);
            return take(Record::TooLong);
        };
        if self.open == 0 && !may_be_part(line) {
            return take(Record::Whole(line));
        }
        let part = self.part(line);
        self.pass(line.len(), part.as_ref().map(|part| part.index), take);
        match part {
            Some(part) if !part.is_last => self.hold(line, &part, take),
            Some(part) if self.pending[part.index].is_open => self.join(line, &part, take),
            _ => take(Record::Whole(line)),
        }
    }

    fn part(&mut self, line: &[u8]) -> Option<Part> {
        let index = |output| usize::from(output == Output::Error);
        if let Some(read) = cri::read(line).filter(|read| !read.has_servers_time) {
            let from = line.len() - read.text.len();
            return Some(Part {
                index: index(read.output),
                from,
                to: line.len(),
                is_last: !read.is_part,
            });
        }
        let read = docker::read(line, &mut self.found)?;
        let (from, to) = read.text;
        Some(Part { index: 2 + index(read.output), from, to, is_last: !read.is_part })
    }

    /// Breaks off what is too far behind, once a line that goes on with `index` was read.
    fn pass(&mut self, len: usize, index: Option<usize>, take: &mut impl FnMut(Record<'_>)) {
        if self.open == 0 {
            return;
        }
        for (number, pending) in self.pending.iter_mut().enumerate() {
            let goes_on = Some(number) == index;
            pending.distance = if goes_on { 0 } else { pending.distance + len + 1 };
        }
        self.break_off(|pending| pending.distance > BREAK_OFF_BYTES, take);
    }

    /// Gives up open records, the one that began first at first.
    fn break_off(&mut self, is_lost: impl Fn(&Pending) -> bool, take: &mut impl FnMut(Record<'_>)) {
        let is_lost = |pending: &&mut Pending| pending.is_open && is_lost(pending);
        while let Some(pending) =
            self.pending.iter_mut().filter(is_lost).min_by_key(|pending| pending.first)
        {
            if !pending.is_too_long {
                take(Record::Cut(&pending.text));
            }
            pending.close();
            self.open -= 1;
        }
    }

    /// Keeps the text of a part that more is to follow.
    fn hold(&mut self, line: &[u8], part: &Part, take: &mut impl FnMut(Record<'_>)) {
        self.parts += 1;
        let pending = &mut self.pending[part.index];
        if !pending.is_open {
            pending.is_open = true;
            pending.first = self.parts;
            pending.distance = 0;
            self.open += 1;
        }
        if pending.is_too_long {
            return;
        }
        pending.text.extend_from_slice(&line[part.from..part.to]);
        if pending.text.len() > MAX_LINE_BYTES {
            pending.text.clear();
            pending.is_too_long = true;
            take(Record::TooLong);
        }
    }

    /// Gives the record that ends with this part.
    fn join(&mut self, line: &[u8], part: &Part, take: &mut impl FnMut(Record<'_>)) {
        let pending = &mut self.pending[part.index];
        if !pending.is_too_long {
            if pending.text.len() + line.len() > MAX_LINE_BYTES {
                take(Record::TooLong);
            } else {
                self.joined.clear();
                self.joined.extend_from_slice(&line[..part.from]);
                self.joined.extend_from_slice(&pending.text);
                self.joined.extend_from_slice(&line[part.from..]);
                take(Record::Whole(&self.joined));
            }
        }
        pending.close();
        self.open -= 1;
    }
}

impl Pending {
    /// Forgets the record; the buffer is kept.
    fn close(&mut self) {
        self.is_open = false;
        self.is_too_long = false;
        self.text.clear();
    }
}

#[cfg(test)]
mod tests;

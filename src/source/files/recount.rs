//! Counting a log once more as the daemon counts it, to compare the two.
//!
//! Reads a whole generation up to an offset, wherever its bytes are now. No line is late here: each
//! counts at its event time.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::time::Duration;

use super::body::READ_BYTES;
use super::cut::{After, Piece, first_piece};
use super::identity::Window;
use crate::engine::credential::Fingerprint;
use crate::engine::rejects::OpenRejects;
use crate::engine::scan::matcher::{ChunkContext, Matcher};
use crate::engine::scan::records;
use crate::engine::time::{Minute, Timestamp};
use crate::engine::usage::{Anchor, Consumer};

/// Later than any line is.
const NEVER_LATE: Duration = Duration::from_secs(i64::MAX as u64 / 1_000_000_000);

/// What the bytes up to an offset hold.
#[derive(Clone, Debug, Default)]
pub struct Recount {
    /// Bytes that were read; fewer than asked for where the content is shorter.
    pub bytes: u64,
    /// What they look like.
    pub anchor: Anchor,
    /// Presentations by key, consumer and minute of event time, indexed as
    /// [`Outcome::ALL`](crate::engine::usage::Outcome::ALL).
    pub cells: BTreeMap<(Fingerprint, Consumer, Minute), [u64; 4]>,
    /// Lines, rejects included.
    pub lines: u64,
    /// Lines that were not understood.
    pub rejects: u64,
}

/// Counts the first `until` bytes of `input` with `matcher`, which must have read nothing that comes
/// after them. Memory does not depend on the length.
pub fn recount(input: &mut impl Read, until: u64, matcher: &mut Matcher) -> io::Result<Recount> {
    let mut counting =
        Counting { matcher, found: Recount::default(), open: OpenRejects::default() };
    let (mut window, mut pending) = (Window::default(), Vec::new());
    let mut inside_overlong = false;
    let mut input = input.take(until);
    loop {
        let start = pending.len();
        let read = (&mut input).take(READ_BYTES as u64).read_to_end(&mut pending)?;
        window.advance(&pending[start..]);
        let after = if read == 0 { After::Nothing } else { After::More };
        let used = counting.consume(&pending, &mut inside_overlong, after);
        pending.drain(..used);
        if read == 0 {
            break;
        }
    }
    let Counting { mut found, open, .. } = counting;
    found.lines = found.lines.saturating_add(open.count);
    found.rejects = found.rejects.saturating_add(open.count);
    (found.bytes, found.anchor) = (window.offset(), window.anchor());
    Ok(found)
}

/// Returns what `input` looks like before each of `offsets`, which ascend; of those that it reaches.
pub fn anchors(input: &mut impl Read, offsets: &[u64]) -> io::Result<Vec<(u64, Anchor)>> {
    let (mut window, mut bytes, mut found) = (Window::default(), Vec::new(), Vec::new());
    for &offset in offsets {
        while window.offset() < offset {
            bytes.clear();
            let wanted = (offset - window.offset()).min(READ_BYTES as u64);
            if input.by_ref().take(wanted).read_to_end(&mut bytes)? == 0 {
                return Ok(found);
            }
            window.advance(&bytes);
        }
        found.push((offset, window.anchor()));
    }
    Ok(found)
}

struct Counting<'m> {
    matcher: &'m mut Matcher,
    found: Recount,
    open: OpenRejects,
}

impl Counting<'_> {
    /// Counts the pieces of `bytes`; returns how many bytes they take.
    fn consume(&mut self, bytes: &[u8], inside_overlong: &mut bool, after: After) -> usize {
        let framing = self.matcher.framing();
        let boundary = |text: &[u8]| records::boundary(framing, text);
        let mut used = 0;
        while let Some(piece) = first_piece(&bytes[used..], *inside_overlong, after, boundary) {
            let rest = &bytes[used..];
            used += match piece {
                Piece::Lines(len) => {
                    self.lines(&rest[..len]);
                    len
                }
                Piece::OverlongHead(len) => {
                    self.lines(&rest[..len]);
                    *inside_overlong = true;
                    len
                }
                Piece::OverlongRest { len, ended } => {
                    *inside_overlong = !ended;
                    len
                }
                Piece::Hole(len) => len,
            };
        }
        used
    }

    fn lines(&mut self, bytes: &[u8]) {
        let context = ChunkContext {
            arrival: Timestamp::MAX,
            frontier: None,
            last_event: None,
            open_rejects: std::mem::take(&mut self.open),
            allowed_lateness: NEVER_LATE,
            future_tolerance: NEVER_LATE,
        };
        let usage = self.matcher.scan(bytes, &context);
        self.open = usage.open_rejects;
        for cell in usage.cells {
            let place = (cell.key, cell.consumer, cell.minute);
            let counts = self.found.cells.entry(place).or_default();
            for (sum, count) in counts.iter_mut().zip(cell.tally.counts) {
                *sum = sum.saturating_add(count);
            }
        }
        for count in usage.lines {
            self.found.lines = self.found.lines.saturating_add(count.lines);
            self.found.rejects = self.found.rejects.saturating_add(count.rejects);
        }
    }
}

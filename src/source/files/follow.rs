//! Bytes of a generation -> deltas, each with the range it accounts for.
//!
//! ```text
//! read -> pieces (whole records | rest of an over-long line | hole) -> one delta per piece
//! ```
//!
//! Ranges of one generation touch: a byte is in exactly one delta. Time is passed in.

use std::time::Duration;

use memchr::memrchr;

use super::body::{Body, READ_BYTES, ReadOutcome};
use super::cut::{After, PENDING_BYTES, Piece, first_piece};
use super::generation::{Generation, longer};
use super::names::Age;
use super::{Limits, Report};
use crate::engine::coverage::{Gap, GapReason};
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::scan::matcher::{ChunkContext, ChunkUsage, Matcher};
use crate::engine::scan::records;
use crate::engine::state::GenerationRecord;
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::{ByteRange, LineCount, UsageDelta};

/// What a stream has come to, over all of its generations.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// The stream.
    pub name: StreamName,
    /// Latest event time read, never later than its arrival, or a confirmed end of file.
    pub frontier: Option<Timestamp>,
    /// Whether the frontier rests on a confirmed end of file.
    pub assumed: bool,
    /// Latest event time read that is no later than the frontier: one in the future says nothing of
    /// when the lines after it were written.
    pub last_event: Option<Timestamp>,
}

impl Cursor {
    /// Notes the latest event time of a generation.
    pub fn note_event(&mut self, latest: Option<Timestamp>) {
        self.last_event = self.last_event.max(latest.min(self.frontier));
    }
}

/// What is the same for every generation of a source during one poll.
pub struct Round<'a> {
    /// The source.
    pub source: &'a SourceName,
    /// How late a line may be.
    pub allowed_lateness: Duration,
    /// How far in the future an event may lie.
    pub future_tolerance: Duration,
    /// Whether a confirmed end of a live file proves that nothing happened.
    pub idle_is_proof: bool,
    /// Reads the lines.
    pub matcher: &'a mut Matcher,
    /// Bounds.
    pub limits: &'a Limits,
    /// Processing time.
    pub now: Timestamp,
    /// Processing time of the newest look at the directories.
    pub looked_at: Timestamp,
    /// Whether this poll looks at the directories.
    pub looking: bool,
    /// Whether it is the first look.
    pub first_look: bool,
    /// Open files of all sources.
    pub open_files: &'a mut usize,
    /// Where reports go.
    pub out: &'a mut Vec<Report>,
}

impl Round<'_> {
    /// Reports a gap of the stream from its latest event up to now.
    pub fn gap(&mut self, cursor: &Cursor, reason: GapReason) {
        self.gap_since(cursor, cursor.last_event.unwrap_or(self.now), reason);
    }

    /// Reports a gap of the stream from `since` up to now, once.
    pub fn gap_since(&mut self, cursor: &Cursor, since: Timestamp, reason: GapReason) {
        let span = Span::between(since, self.now);
        let (source, stream) = (self.source.clone(), cursor.name.clone());
        let gap = Report::Gap(Gap { source, stream, span, reason, bytes: None });
        if !self.out.contains(&gap) {
            self.out.push(gap);
        }
    }

    /// Reports a generation as it stands.
    pub fn record(&mut self, record: &GenerationRecord) {
        self.out.push(Report::Generation(record.clone()));
    }
}

/// What one turn of reading brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// So many bytes were read; there may be more.
    Read(usize),
    /// The bytes before the offset are not the ones that were read.
    Changed,
}

/// Reads one buffer of `generation` and reports what it says.
pub fn follow(
    generation: &mut Generation,
    cursor: &mut Cursor,
    round: &mut Round<'_>,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Turn> {
    let mut wanted = READ_BYTES;
    loop {
        let (more, last) = match generation.read(buffer, wanted)? {
            ReadOutcome::Bytes { more, last } => (more, last),
            ReadOutcome::Skipped(bytes) => return Ok(Turn::Read(bytes)),
            ReadOutcome::Changed => return Ok(Turn::Changed),
        };
        let after = match (more, last) {
            (true, _) => After::More,
            (false, true) => After::Nothing,
            (false, false) => After::End,
        };
        let used = consume(generation, cursor, round, buffer, after);
        generation.hold(&buffer[used..], used, round.now);
        if let Some(Body::Packed(packed)) = &mut generation.body {
            packed.carry.extend_from_slice(&buffer[used..]);
        }
        match longer(wanted) {
            Some(longer) if used == 0 && more => wanted = longer,
            _ => return Ok(Turn::Read(used)),
        }
    }
}

/// Counts an unterminated rest as a record: nothing will ever come after it.
pub fn finish(
    generation: &mut Generation,
    cursor: &mut Cursor,
    round: &mut Round<'_>,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Turn> {
    match generation.read(buffer, PENDING_BYTES)? {
        ReadOutcome::Bytes { more, .. } => {
            // More than a rest: the file grew just now.
            let after = if more { After::More } else { After::Nothing };
            let used = consume(generation, cursor, round, buffer, after);
            generation.hold(&buffer[used..], used, round.now);
            Ok(Turn::Read(used))
        }
        ReadOutcome::Skipped(bytes) => Ok(Turn::Read(bytes)),
        ReadOutcome::Changed => Ok(Turn::Changed),
    }
}

/// Counts whole lines that wait for the end of a record: it is broken off, so that what they prove
/// is not held back.
///
/// In a live file a record without a line behind it may go on, and so may one of which a part has
/// come since. Parts that come later than this are read as a record of their own.
pub fn break_off(
    generation: &mut Generation,
    cursor: &mut Cursor,
    round: &mut Round<'_>,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Turn> {
    match generation.read(buffer, PENDING_BYTES)? {
        ReadOutcome::Bytes { .. } => {
            let mut used = consume(generation, cursor, round, buffer, After::End);
            if used == 0 {
                let old = generation.held_to.saturating_sub(generation.record.offset);
                let old = usize::try_from(old).unwrap_or(usize::MAX);
                used = match generation.age {
                    Some(Age::Live) => {
                        records::boundary_past_open(round.matcher.framing(), buffer, old)
                    }
                    _ => memrchr(b'\n', buffer).map_or(0, |at| at + 1),
                };
                lines(generation, cursor, round, &buffer[..used], false);
            }
            generation.held_since = None;
            generation.hold(&buffer[used..], used, round.now);
            Ok(Turn::Read(used))
        }
        ReadOutcome::Skipped(bytes) => Ok(Turn::Read(bytes)),
        ReadOutcome::Changed => Ok(Turn::Changed),
    }
}

/// Reports what `bytes`, which begin at the offset, say; returns how many were accounted for.
fn consume(
    generation: &mut Generation,
    cursor: &mut Cursor,
    round: &mut Round<'_>,
    bytes: &[u8],
    after: After,
) -> usize {
    if generation.has_lost_rest() {
        round.gap(cursor, GapReason::Truncated);
    }
    let mut used = 0;
    let framing = round.matcher.framing();
    let boundary = |text: &[u8]| records::boundary(framing, text);
    loop {
        let rest = &bytes[used..];
        let inside = generation.record.inside_overlong;
        let Some(piece) = first_piece(rest, inside, after, boundary) else { return used };
        used += match piece {
            Piece::Lines(len) => {
                lines(generation, cursor, round, &rest[..len], false);
                len
            }
            Piece::OverlongHead(len) => {
                lines(generation, cursor, round, &rest[..len], true);
                len
            }
            Piece::OverlongRest { len, ended } => {
                overlong_rest(generation, cursor, round, &rest[..len], ended);
                len
            }
            Piece::Hole(len) => {
                hole(generation, cursor, round, &rest[..len]);
                len
            }
        };
    }
}

fn lines(
    generation: &mut Generation,
    cursor: &mut Cursor,
    round: &mut Round<'_>,
    bytes: &[u8],
    goes_on: bool,
) {
    let mut usage = round.matcher.scan(
        bytes,
        &ChunkContext {
            arrival: round.now,
            frontier: cursor.frontier,
            last_event: generation.record.last_event,
            open_rejects: generation.record.open_rejects.clone(),
            allowed_lateness: round.allowed_lateness,
            future_tolerance: round.future_tolerance,
        },
    );
    // A line that does not move the frontier leaves it resting on what it rested on.
    cursor.assumed &= usage.frontier == cursor.frontier;
    cursor.frontier = usage.frontier;
    cursor.note_event(usage.last_event);
    generation.record.last_event = usage.last_event;
    generation.record.open_rejects = std::mem::take(&mut usage.open_rejects);
    generation.record.inside_overlong = goes_on;
    deliver(generation, cursor, round, bytes, 0, usage);
}

fn overlong_rest(
    generation: &mut Generation,
    cursor: &mut Cursor,
    round: &mut Round<'_>,
    bytes: &[u8],
    ended: bool,
) {
    // A key may lie across the border: look at the bytes around it, too.
    let overlap = round.matcher.longest_raw().saturating_sub(1);
    let before = generation.window.tail();
    let mut border = before[before.len() - overlap.min(before.len())..].to_vec();
    border.extend_from_slice(&bytes[..overlap.min(bytes.len())]);
    for key in [bytes, &border].into_iter().flat_map(|text| round.matcher.find_tracked(text)) {
        generation.record.open_rejects.find(key, round.now);
    }
    generation.record.inside_overlong = !ended;
    deliver(generation, cursor, round, bytes, bytes.len() as u64, ChunkUsage::default());
}

fn hole(generation: &mut Generation, cursor: &mut Cursor, round: &mut Round<'_>, bytes: &[u8]) {
    if generation.hole_end != Some(generation.record.offset) {
        round.gap(cursor, GapReason::NulRun);
    }
    generation.hole_end = Some(generation.record.offset + bytes.len() as u64);
    deliver(generation, cursor, round, bytes, bytes.len() as u64, ChunkUsage::default());
}

/// Moves the offset over `bytes` and reports the delta.
fn deliver(
    generation: &mut Generation,
    cursor: &Cursor,
    round: &mut Round<'_>,
    bytes: &[u8],
    skipped: u64,
    usage: ChunkUsage,
) {
    generation.window.advance(bytes);
    let record = &mut generation.record;
    let range = ByteRange { from: record.offset, to: record.offset + bytes.len() as u64 };
    record.offset = range.to;
    record.anchor = generation.window.anchor();
    let modified_at = generation.facts().map_or(round.now, |facts| facts.modified_at);
    let newest_line_at = (usage.line_count > 0).then_some(modified_at.min(round.now));
    let delta = delta(generation, cursor, round, range, usage);
    round.out.push(Report::Delta(Box::new(UsageDelta { skipped, newest_line_at, ..delta })));
}

fn delta(
    generation: &Generation,
    cursor: &Cursor,
    round: &Round<'_>,
    range: ByteRange,
    usage: ChunkUsage,
) -> UsageDelta {
    let lines: Vec<LineCount> = usage.lines;
    UsageDelta {
        source: round.source.clone(),
        stream: cursor.name.clone(),
        generation: generation.record.number,
        file: generation.record.file,
        range,
        skipped: 0,
        inside_overlong: generation.record.inside_overlong,
        anchor: generation.record.anchor,
        arrival: round.now,
        cells: usage.cells,
        pools: usage.pools,
        issued: usage.issued,
        lines,
        other_keys: usage.other_keys,
        newest_line_at: None,
        first_event: usage.first_event,
        last_event: generation.record.last_event,
        frontier: cursor.frontier,
        frontier_assumed: cursor.assumed,
        rejected_keys: usage.rejected_keys,
        open_rejects: generation.record.open_rejects.clone(),
        places: usage.places,
        masked_at: usage.masked_at,
        late_by: usage.late_by,
        future_event: usage.future_event,
    }
}

/// Reports that nothing happened up to the newest look: the live file was read to its end.
pub fn prove_idle(generation: &Generation, cursor: &mut Cursor, round: &mut Round<'_>) {
    cursor.frontier = cursor.frontier.max(Some(round.looked_at));
    cursor.assumed = true;
    let range = ByteRange { from: generation.record.offset, to: generation.record.offset };
    let delta = delta(generation, cursor, round, range, ChunkUsage::default());
    round.out.push(Report::Delta(Box::new(delta)));
}

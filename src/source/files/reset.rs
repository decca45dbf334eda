//! What becomes of a generation whose bytes are not there any more.
//!
//! Whatever was done to the file, lines may be lost: that is a gap. What is left of it was read and is
//! not read again: a power cut takes the last writes, and an editor changes a line in the middle.

use std::fs::File;
use std::io;

use memchr::memrchr;

use super::body::Body;
use super::follow::Round;
use super::identity::{HEAD_BYTES, TAIL_BYTES, Window, read_at};
use super::names::Age;
use super::stream::{Stream, close};
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;

impl Stream {
    /// Ends a generation whose bytes are not there any more, and begins one with the new bytes. One
    /// that was rotated away just ends: what was put in its place may be a copy.
    pub fn reset(&mut self, index: usize, round: &mut Round<'_>) {
        let one = &self.generations[index];
        let is_rotated = matches!(one.age, Some(Age::Rotated { .. }));
        let left = match &one.body {
            Some(Body::Plain(plain)) if !is_rotated => {
                left_in(&plain.file, &one.record, &one.window)
            }
            _ => Ok(None),
        };
        let left = match left {
            Ok(left) => left.unwrap_or_default(),
            Err(error) => {
                self.fail(index, &error, round);
                close(&mut self.generations[index], round);
                return;
            }
        };
        self.gap_of(index, GapReason::Truncated, round);
        if is_rotated && matches!(self.generations[index].body, Some(Body::Plain(_))) {
            self.end(index, round);
            return;
        }
        let (file, path) = {
            let record = &self.generations[index].record;
            (record.file, record.path.clone())
        };
        let mut record = self.new_record(round, file, path);
        (record.offset, record.anchor) = (left.offset(), left.anchor());
        let old = &mut self.generations[index];
        let mut ended = std::mem::replace(&mut old.record, record);
        ended.finished = true;
        old.hole_end = None;
        old.ends_seen = 0;
        old.held_since = None;
        old.reached_end = false;
        match &mut old.body {
            Some(Body::Plain(plain)) => plain.look_again(left.offset()),
            Some(body @ Body::Packed(_)) => match body.anew(old.named_codec) {
                Ok(anew) => *body = anew,
                Err(error) => old.trouble = Some(super::discover::reason(&error)),
            },
            None => {}
        }
        old.window = left;
        round.record(&ended);
        round.record(&self.generations[index].record);
        self.finished.push(ended);
    }
}

/// Returns the window at the last line end up to which `file` holds what was read of it as `record`;
/// `None` if it holds nothing of that. `window`: the bytes before the offset, where they are known.
///
/// Where its first KiB is what was read, and no byte behind it tells more, all that there is before
/// the offset is taken for read: if it is not, the gap speaks of it.
fn left_in(file: &File, record: &GenerationRecord, window: &Window) -> io::Result<Option<Window>> {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    read_at(file, &mut head, HEAD_BYTES, 0)?;
    let is_known = window.offset() == record.offset;
    let mut begins_as = Window::default();
    begins_as.advance(&head);
    if record.offset == 0 || !begins_as.has_head_of(&record.anchor) {
        let same = if is_known { common(&head, window.head()) } else { 0 };
        return line_end(file, 0, &head[..same]);
    }
    let tail_from = record.offset - window.tail().len() as u64;
    if is_known {
        read_at(file, &mut tail, window.tail().len(), tail_from)?;
        let same = common(&tail, window.tail());
        if let Some(left) = line_end(file, tail_from, &tail[..same])? {
            return Ok(Some(left));
        }
    }
    let end = file.metadata()?.len().min(record.offset);
    let from = end.saturating_sub(TAIL_BYTES as u64);
    let wanted = usize::try_from(end - from).unwrap_or(TAIL_BYTES);
    read_at(file, &mut tail, wanted, from)?;
    line_end(file, from, &tail)
}

/// Returns how many bytes both begin with.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns the window behind the last line end in `bytes`, which stand at `from`.
fn line_end(file: &File, from: u64, bytes: &[u8]) -> io::Result<Option<Window>> {
    match memrchr(b'\n', bytes) {
        Some(at) => Window::of_file(file, from + at as u64 + 1),
        None => Ok(None),
    }
}

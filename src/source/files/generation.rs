//! One concrete file that is being read: its record, its open descriptor, where its end is.
//!
//! Knows nothing of names and families: the name may change while the descriptor stays. It never
//! waits: a descriptor is opened without blocking, and only on a regular file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use memchr::memchr;

use super::ClockStep;
use super::body::{Body, ReadOutcome};
use super::cut::{OVERLONG_BYTES, PENDING_BYTES};
use super::discover::Found;
use super::identity::{FileFacts, HEAD_BYTES, Window};
use super::names::{Age, FamilyName};
use super::open::open_log;
use super::packed::{Codec, PackedEnd};
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;
use crate::engine::usage::GenerationNumber;

/// How long whole lines wait at the end of a file for the end of a record before them: the parts
/// of a record follow each other nearly at once.
const HELD_AT_MOST: Duration = Duration::from_secs(5);

/// A generation of which bytes are still expected.
pub struct Generation {
    /// What is reported and stored of it.
    pub record: GenerationRecord,
    /// Age within its family; `None` while the file has no name in it.
    pub age: Option<Age>,
    /// Path to open.
    pub target: PathBuf,
    /// How the name of its file says that it is packed, if it does.
    pub named_codec: Option<Codec>,
    /// The open file.
    pub body: Option<Body>,
    /// The bytes before the offset, as far as the anchor covers them.
    pub window: Window,
    /// Why it cannot be read, if so.
    pub trouble: Option<String>,
    /// Since when nothing of it has changed.
    pub quiet_since: Timestamp,
    /// Looks at which nothing was left to read, in a row.
    pub ends_seen: u32,
    /// Since when whole lines wait at the offset: behind a record that is not whole, or as its
    /// parts. `None` if none do.
    pub held_since: Option<Timestamp>,
    /// Where the bytes ended that were seen then.
    pub held_to: u64,
    /// Whether everything that existed was read once.
    pub reached_end: bool,
    /// Whether the file existed at the first look.
    pub first_look: bool,
    /// Offset at which the hole ends that was told last: more NUL bytes there are the same one.
    pub hole_end: Option<u64>,
    /// Since when its lines may be missing, from the look on that first did not find its file.
    pub missed_since: Option<Timestamp>,
    /// Whether another file had its name by the time it was to be opened.
    pub name_taken: bool,
}

/// What became of an attempt to open a generation's file.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open, and holds the bytes that were read.
    Same,
    /// It is open, but holds other bytes.
    Changed,
}

/// Why nothing more is expected of a generation.
pub enum Ending {
    /// It was read to its end.
    Whole,
    /// The rest of it cannot be read.
    Damaged,
}

/// What has become of the bytes of an open file.
pub enum Seen {
    /// What was read is still there.
    Same,
    /// It became shorter, but not by anything that was read.
    CutInRest,
    /// What was read is not there any more.
    Replaced,
}

impl Generation {
    /// Makes a generation of `record`, whose file was found as `found`.
    pub fn new(record: GenerationRecord, found: &Found, quiet_since: Timestamp) -> Self {
        Self {
            target: found.target.clone(),
            age: Some(found.age.clone()),
            named_codec: found.named_codec,
            ..Self::lost(record, quiet_since)
        }
    }

    /// Makes a generation of a former run, whose file was not looked for yet.
    pub fn lost(record: GenerationRecord, quiet_since: Timestamp) -> Self {
        Self {
            target: PathBuf::from(&record.path),
            age: None,
            named_codec: codec_of(&record.path),
            body: None,
            window: Window::default(),
            trouble: None,
            quiet_since,
            ends_seen: 0,
            held_since: None,
            held_to: 0,
            reached_end: false,
            first_look: false,
            hole_end: None,
            missed_since: None,
            name_taken: false,
            record,
        }
    }

    /// Opens the file and checks that it still holds the bytes that were read.
    pub fn open(&mut self) -> io::Result<Opened> {
        let (file, facts) = open_log(&self.target, self.record.file)?;
        self.held_since = None;
        let offset = self.record.offset;
        let body = Body::of(file, facts, offset, self.named_codec)?;
        let window = match &body {
            Body::Plain(plain) => Window::of_file(&plain.file, offset)?,
            Body::Packed(_) => {
                self.body = Some(body);
                return Ok(Opened::Same);
            }
        };
        self.body = Some(body);
        match window {
            Some(window) if offset == 0 || window.anchor() == self.record.anchor => {
                self.window = window;
                Ok(Opened::Same)
            }
            _ => Ok(Opened::Changed),
        }
    }

    /// Asks the system what has changed of the open file.
    pub fn observe(&mut self, now: Timestamp) -> io::Result<Seen> {
        let Some(body) = &mut self.body else { return Ok(Seen::Same) };
        let before = body.observe()?;
        let plain = match body {
            Body::Plain(plain) => plain,
            Body::Packed(packed) => {
                let (now, then) = (packed.facts, before);
                if now.written_since(&then) && packed.drained {
                    packed.retry(self.record.offset)?;
                }
                return Ok(Seen::Same);
            }
        };
        let facts = plain.facts;
        if !facts.touched_since(&before) {
            return Ok(Seen::Same);
        }
        if facts.written_since(&before) {
            self.quiet_since = now;
            self.ends_seen = 0;
        }
        let offset = self.record.offset;
        if facts.size < offset || offset > 0 && !self.window.stands_in(&plain.file)? {
            return Ok(Seen::Replaced);
        }
        // An empty file whose time of change moves was cut, and perhaps written to before.
        let touched =
            facts.size == 0 && before.size == 0 && facts.modified_at != before.modified_at;
        let cut_empty = touched && plain.wait_for_write()? == 0;
        if facts.size < before.size || cut_empty {
            plain.look_again(offset);
            self.held_since = None;
            return Ok(Seen::CutInRest);
        }
        Ok(Seen::Same)
    }

    /// Moves what waits for its grace with the wall clock.
    pub fn note_step(&mut self, step: ClockStep) {
        // Not looked for yet.
        if self.quiet_since != Timestamp::MAX {
            self.quiet_since = step.moved(self.quiet_since);
        }
        self.held_since = self.held_since.map(|at| step.moved(at));
    }

    /// Tells whether its bytes were looked for and are in no file that is known.
    pub fn is_lost(&self) -> bool {
        self.age.is_none() && self.body.is_none()
    }

    /// Tells whether the next look is to find its file, which is being renamed just now.
    pub fn is_awaited(&self) -> bool {
        self.body.is_none()
            && (self.name_taken || self.age.is_none() && self.missed_since.is_some())
    }

    /// Forgets what was wrong with an open file that answers again.
    pub fn clear_trouble(&mut self) {
        if self.body.is_some() {
            self.trouble = None;
        }
    }

    /// Tells whether nothing is left to read, as far as is known. False while it is not open.
    pub fn at_end(&self) -> bool {
        self.body.as_ref().is_some_and(Body::at_end)
    }

    /// Tells once whether bytes that were looked at beyond the offset are others now.
    pub fn has_lost_rest(&mut self) -> bool {
        match &mut self.body {
            Some(Body::Plain(plain)) => plain.has_lost_rest(),
            _ => false,
        }
    }

    /// Notes what is left after a turn of reading: `rest`, after `used` bytes were accounted for.
    pub fn hold(&mut self, rest: &[u8], used: usize, now: Timestamp) {
        if let Some(Body::Plain(plain)) = &mut self.body {
            plain.rest.clear();
            plain.rest.extend_from_slice(&rest[..rest.len().min(HEAD_BYTES)]);
        }
        let holds = memchr(b'\n', rest).is_some();
        if !holds || used > 0 || self.held_since.is_none() {
            self.held_since = holds.then_some(now);
            self.held_to = self.record.offset + rest.len() as u64;
        }
    }

    /// Tells whether whole lines have waited for the end of a record so long that no part of it
    /// comes any more after [`held_to`](Self::held_to).
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let waited = |at| now < at || now.since(at) >= HELD_AT_MOST;
        matches!(self.body, Some(Body::Plain(_)))
            && self.at_end()
            && self.held_since.is_some_and(waited)
    }

    /// Returns how many bytes are known to exist and not read yet; packed ones as they are.
    pub fn backlog(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.backlog(self.record.offset))
    }

    /// Returns where the plain content is known to end.
    pub fn known_end(&self) -> Option<(GenerationNumber, u64)> {
        let end = self.body.as_ref()?.known_end(self.record.offset)?;
        Some((self.record.number, end))
    }

    /// Returns the end of the stream of a packed file, once it is reached.
    pub fn packed_end(&self) -> Option<&PackedEnd> {
        match &self.body {
            Some(Body::Packed(packed)) => packed.end(),
            _ => None,
        }
    }

    /// Tells whether, and why, nothing more is expected once it was quiet for `grace`.
    pub fn ending(&self, now: Timestamp, grace: Duration) -> Option<Ending> {
        if !self.at_end() || self.age == Some(Age::Live) {
            return None;
        }
        match (self.packed_end(), self.facts()) {
            (Some(PackedEnd::Whole), _) => Some(Ending::Whole),
            (Some(PackedEnd::Broken(_)), Some(facts)) => {
                // A file from the future is as old as it is known.
                let since = facts.modified_at.min(self.quiet_since);
                (now.since(since) >= grace).then_some(Ending::Damaged)
            }
            _ => (self.ends_seen >= 2 && now.since(self.quiet_since) >= grace)
                .then_some(Ending::Whole),
        }
    }

    /// Returns what `fstat` said last.
    pub fn facts(&self) -> Option<&FileFacts> {
        self.body.as_ref().map(Body::facts)
    }

    /// Reads on from the offset into `buffer`, or skips towards it.
    pub fn read(&mut self, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<ReadOutcome> {
        buffer.clear();
        let place = (self.record.offset, self.record.anchor);
        let body = self.body.as_mut().expect("only an open generation is read");
        if let Body::Plain(plain) = body {
            let outcome = plain.read(&self.window, buffer, wanted)?;
            if self.record.offset > 0 || Codec::of(buffer).is_none() {
                return Ok(outcome);
            }
            if plain.has_lost_rest() {
                return Ok(ReadOutcome::Changed);
            }
            // It was empty when it was opened.
            *body = body.anew(self.named_codec)?;
            buffer.clear();
        }
        match body {
            Body::Plain(_) => Ok(ReadOutcome::Bytes { more: true, last: false }),
            Body::Packed(packed) => {
                let read = packed.read(place, &mut self.window, buffer, wanted);
                if read.is_err() {
                    // What the decoder makes of an error of the file is not known.
                    packed.retry(place.0)?;
                }
                read
            }
        }
    }
}

/// Tells by its name how the file at `path` is packed.
fn codec_of(path: &str) -> Option<Codec> {
    let name = Path::new(path).file_name()?.to_str()?;
    FamilyName::of(name).packing.codec()
}

/// Returns how much to read when `wanted` bytes hold no whole record.
pub fn longer(wanted: usize) -> Option<usize> {
    [OVERLONG_BYTES, PENDING_BYTES].into_iter().find(|longer| wanted < *longer)
}

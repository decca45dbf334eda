//! One concrete file that is being read: its record, its open descriptor, where its end is.
//!
//! Knows nothing of names and families: the name may change while the descriptor stays. It never
//! waits: a descriptor is opened without blocking, and only on a regular file.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use memchr::memchr;

use super::compressed::{GzipEnd, GzipReader};
use super::cut::{OVERLONG_BYTES, PENDING_BYTES};
use super::discover::Found;
use super::identity::{FileFacts, HEAD_BYTES, Window, read_at};
use super::names::Age;
use super::open::open_log;
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;
use crate::engine::usage::GenerationNumber;

/// Bytes read at a time, where no record is longer.
pub const READ_BYTES: usize = 1 << 20;

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
    /// Whether the file at that path is compressed.
    pub gzip: bool,
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
    /// Latest event of the stream at the look that first did not find its file.
    pub missed_since: Option<Timestamp>,
}

/// An open file.
pub enum Body {
    /// A plain one.
    Plain(PlainBody),
    /// A compressed one.
    Gzip(Box<GzipBody>),
}

/// An open plain file.
pub struct PlainBody {
    /// The descriptor.
    pub file: File,
    /// What `fstat` said last.
    pub facts: FileFacts,
    /// End of the bytes that were looked at: beyond the offset if a record is not complete.
    pub seen_to: u64,
    /// The first of the bytes that were looked at beyond the offset, at most [`HEAD_BYTES`].
    pub rest: Vec<u8>,
    /// Whether those bytes are others now, and nobody was told.
    rest_lost: bool,
}

/// An open compressed file.
pub struct GzipBody {
    file: File,
    /// What `fstat` said last.
    pub facts: FileFacts,
    reader: GzipReader,
    /// Window over the bytes that are skipped on the way to the offset, until it is reached.
    skipping: Option<Window>,
    /// Decompressed bytes from the offset on that make no whole record yet.
    pub carry: Vec<u8>,
    /// Whether the bytes up to the end were looked at.
    pub drained: bool,
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

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Bytes from the offset on are in the buffer; whether more exist after them.
    Bytes {
        /// Whether bytes after them exist.
        more: bool,
        /// Whether no bytes can ever come after them.
        last: bool,
    },
    /// So many bytes before the offset were skipped.
    Skipped(usize),
    /// The bytes before the offset are not the ones that were read.
    Changed,
}

impl Generation {
    /// Makes a generation of `record`, whose file was found as `found`.
    pub fn new(record: GenerationRecord, found: &Found, quiet_since: Timestamp) -> Self {
        Self {
            target: found.target.clone(),
            age: Some(found.age.clone()),
            gzip: found.gzip,
            ..Self::lost(record, quiet_since)
        }
    }

    /// Makes a generation of a former run, whose file was not looked for yet.
    pub fn lost(record: GenerationRecord, quiet_since: Timestamp) -> Self {
        Self {
            target: PathBuf::from(&record.path),
            age: None,
            gzip: Path::new(&record.path).extension().is_some_and(|ending| ending == "gz"),
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
            record,
        }
    }

    /// Opens the file and checks that it still holds the bytes that were read.
    pub fn open(&mut self) -> io::Result<Opened> {
        let (file, facts) = open_log(&self.target, self.record.file)?;
        self.held_since = None;
        if self.gzip {
            self.body = Some(Body::Gzip(Box::new(GzipBody {
                reader: GzipReader::new(file.try_clone()?),
                file,
                facts,
                skipping: (self.record.offset > 0).then(Window::default),
                carry: Vec::new(),
                drained: false,
            })));
            return Ok(Opened::Same);
        }
        let window = Window::of_file(&file, self.record.offset)?;
        let seen_to = self.record.offset;
        self.body = Some(Body::Plain(PlainBody {
            file,
            facts,
            seen_to,
            rest: Vec::new(),
            rest_lost: false,
        }));
        match window {
            Some(window) if self.record.offset == 0 || window.anchor() == self.record.anchor => {
                self.window = window;
                Ok(Opened::Same)
            }
            _ => Ok(Opened::Changed),
        }
    }

    /// Tells whether its bytes were looked for and are in no file that is known.
    pub fn is_lost(&self) -> bool {
        self.age.is_none() && self.body.is_none()
    }

    /// Forgets what was wrong with an open file that answers again.
    pub fn clear_trouble(&mut self) {
        if self.body.is_some() {
            self.trouble = None;
        }
    }

    /// Tells whether nothing is left to read, as far as is known. False while it is not open.
    pub fn at_end(&self) -> bool {
        match &self.body {
            Some(Body::Plain(plain)) => plain.facts.size <= plain.seen_to,
            Some(Body::Gzip(gzip)) => gzip.drained,
            None => false,
        }
    }

    /// Tells once whether bytes that were looked at beyond the offset are others now.
    pub fn has_lost_rest(&mut self) -> bool {
        match &mut self.body {
            Some(Body::Plain(plain)) => std::mem::take(&mut plain.rest_lost),
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

    /// Returns how many bytes are known to exist and not read yet; compressed ones as they are.
    pub fn backlog(&self) -> u64 {
        match &self.body {
            Some(Body::Plain(plain)) => plain.facts.size.saturating_sub(self.record.offset),
            Some(Body::Gzip(gzip)) if gzip.drained => gzip.carry.len() as u64,
            Some(Body::Gzip(gzip)) => {
                let read = (&gzip.file).stream_position().unwrap_or(0);
                gzip.facts.size.saturating_sub(read) + gzip.carry.len() as u64
            }
            None => 0,
        }
    }

    /// Returns where the content is known to end, in decompressed bytes.
    pub fn known_end(&self) -> Option<(GenerationNumber, u64)> {
        let end = match self.body.as_ref()? {
            Body::Plain(plain) => plain.facts.size,
            Body::Gzip(gzip) if gzip.skipping.is_some() || !gzip.drained => return None,
            Body::Gzip(gzip) => self.record.offset + gzip.carry.len() as u64,
        };
        Some((self.record.number, end))
    }

    /// Returns the end of the stream of a compressed file, once it is reached.
    pub fn gzip_end(&self) -> Option<&GzipEnd> {
        match &self.body {
            Some(Body::Gzip(gzip)) => gzip.reader.end(),
            _ => None,
        }
    }

    /// Tells whether, and why, nothing more is expected once it was quiet for `grace`.
    pub fn ending(&self, now: Timestamp, grace: Duration) -> Option<Ending> {
        if !self.at_end() || self.age == Some(Age::Live) {
            return None;
        }
        match (self.gzip_end(), self.facts()) {
            (Some(GzipEnd::Whole), _) => Some(Ending::Whole),
            (Some(GzipEnd::Broken(_)), Some(facts)) => {
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
        match &self.body {
            Some(Body::Plain(plain)) => Some(&plain.facts),
            Some(Body::Gzip(gzip)) => Some(&gzip.facts),
            None => None,
        }
    }

    /// Reads on from the offset into `buffer`, or skips towards it.
    pub fn read(&mut self, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<ReadOutcome> {
        let offset = self.record.offset;
        buffer.clear();
        match self.body.as_mut().expect("only an open generation is read") {
            Body::Plain(plain) => {
                let whole = read_at(&plain.file, buffer, wanted, offset)?;
                let seen = offset + buffer.len() as u64;
                // A change between looking and reading: the bytes may be of another content.
                if offset > 0 && !self.window.stands_in(&plain.file)? {
                    return Ok(ReadOutcome::Changed);
                }
                // NUL bytes may turn into text: some network file systems do that.
                let settles = plain.rest.first() == Some(&0);
                plain.rest_lost |= !settles && !buffer.starts_with(&plain.rest);
                plain.seen_to = seen;
                if !whole {
                    // The size may be stale in either direction: what was read is the truth. Bytes
                    // that were there a moment ago were cut off.
                    plain.rest_lost |= seen < plain.facts.size;
                    plain.facts.size = seen;
                }
                Ok(ReadOutcome::Bytes { more: whole, last: false })
            }
            Body::Gzip(gzip) => Ok(gzip.read(&self.record, &mut self.window, buffer, wanted)),
        }
    }
}

impl GzipBody {
    fn read(
        &mut self,
        record: &GenerationRecord,
        window: &mut Window,
        buffer: &mut Vec<u8>,
        wanted: usize,
    ) -> ReadOutcome {
        if let Some(skipped) = &mut self.skipping {
            let before = self.reader.position();
            self.reader.skip(record.offset, READ_BYTES, skipped);
            let read = usize::try_from(self.reader.position() - before).unwrap_or(usize::MAX);
            if self.reader.position() == record.offset {
                let same = skipped.anchor() == record.anchor;
                *window = self.skipping.take().unwrap_or_default();
                return if same { ReadOutcome::Skipped(read) } else { ReadOutcome::Changed };
            }
            match self.reader.end() {
                // Shorter than what was read: other bytes.
                Some(GzipEnd::Whole) => return ReadOutcome::Changed,
                Some(GzipEnd::Broken(_)) => self.drained = true,
                None => {}
            }
            return ReadOutcome::Skipped(read);
        }
        std::mem::swap(buffer, &mut self.carry);
        self.carry.clear();
        let wanted = wanted.saturating_sub(buffer.len());
        self.reader.read(buffer, wanted);
        self.drained = self.reader.end().is_some();
        ReadOutcome::Bytes { more: !self.drained, last: self.reader.end() == Some(&GzipEnd::Whole) }
    }

    /// Starts again at the first byte, to go on at `offset`.
    pub fn retry(&mut self, offset: u64) -> io::Result<()> {
        self.file.rewind()?;
        self.reader = GzipReader::new(self.file.try_clone()?);
        self.skipping = (offset > 0).then(Window::default);
        self.carry.clear();
        self.drained = false;
        Ok(())
    }

    /// Returns how many decompressed bytes came out.
    pub fn decompressed(&self) -> u64 {
        self.reader.position()
    }
}

impl Body {
    /// Asks the system what the file is like now; returns what was said before.
    pub fn observe(&mut self) -> io::Result<FileFacts> {
        let (file, facts) = match self {
            Self::Plain(plain) => (&plain.file, &mut plain.facts),
            Self::Gzip(gzip) => (&gzip.file, &mut gzip.facts),
        };
        let now = facts.again(file)?;
        Ok(std::mem::replace(facts, now))
    }
}

/// Returns how much to read when `wanted` bytes hold no whole record.
pub fn longer(wanted: usize) -> Option<usize> {
    [OVERLONG_BYTES, PENDING_BYTES].into_iter().find(|longer| wanted < *longer)
}

//! One rotation family as one endless source: its generations, read the oldest first.
//!
//! A generation that was rotated away stays open until its end is confirmed and it was quiet for
//! a while, so a writer that keeps its old descriptor loses nothing. No generation is read while
//! whole lines of an older one wait for the end of a record before them. A truncation ends a
//! generation and is told before a byte of the next one. What the directory means for the
//! generations is in `reconcile.rs`.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Limits;
use super::body::Body;
use super::copied::Copies;
use super::follow::{Cursor, Round, Turn, break_off, finish, follow, prove_idle};
use super::generation::{Ending, Generation, Opened, Seen};
use super::identity::FileFacts;
use super::names::Age;
use super::packed::PackedEnd;
use super::sequence::Sequence;
use crate::engine::coverage::{GapReason, StreamStatus, Weakness};
use crate::engine::credential::StreamName;
use crate::engine::rejects::OpenRejects;
use crate::engine::state::{GenerationRecord, StreamRecord};
use crate::engine::time::Timestamp;
use crate::engine::usage::{Anchor, FileId, GenerationNumber};

/// What is said of a compressed or copied file that cannot be read yet.
const HALF_WRITTEN: &str =
    "a rotated copy is still being written, or damaged: complete it or take it away";

/// Least time between two proofs of idleness.
const IDLE_PROOF_EVERY: Duration = Duration::from_secs(1);

/// Counts what is held back of a generation.
type Count = fn(&mut Generation, &mut Cursor, &mut Round<'_>, &mut Vec<u8>) -> io::Result<Turn>;

/// A rotation family that is being followed.
pub struct Stream {
    /// Path of the live file.
    pub live: PathBuf,
    /// What it has come to.
    pub cursor: Cursor,
    /// Generations of which bytes are still expected, in reading order.
    pub generations: Vec<Generation>,
    /// Generations of which nothing more is expected.
    pub finished: Vec<GenerationRecord>,
    /// Finished generations whose file was looked at, with what it was like.
    pub settled: HashMap<GenerationNumber, FileFacts>,
    /// Whether the live file exists.
    pub live_exists: bool,
    /// Why a file of the family may be hidden or cannot be read, if so.
    pub trouble: Option<String>,
    /// Whether a file could not be told from the known ones yet.
    pub unclear: bool,
    /// What is remembered to know a copy of a log that was cut behind it.
    pub copies: Copies,
    /// What is remembered to know that files may have gone unread.
    pub sequence: Sequence,
    idle_at: Option<Timestamp>,
}

impl Stream {
    /// Starts a stream that was never followed.
    pub fn new(live: PathBuf) -> Self {
        let name = StreamName::new(live.to_str().expect("families have UTF-8 names"));
        Self {
            live,
            cursor: Cursor { name, frontier: None, assumed: false, last_event: None },
            generations: Vec::new(),
            finished: Vec::new(),
            settled: HashMap::new(),
            live_exists: false,
            trouble: None,
            unclear: false,
            copies: Copies::default(),
            sequence: Sequence::default(),
            idle_at: None,
        }
    }

    /// Goes on with what a former run has come to.
    pub fn resume(&mut self, record: &StreamRecord) {
        self.cursor.frontier = record.frontier;
        self.cursor.assumed = record.frontier_assumed;
    }

    /// Adds a generation of a former run.
    pub fn remember(&mut self, record: GenerationRecord) {
        self.cursor.note_event(record.last_event);
        if record.finished {
            self.finished.push(record);
        } else {
            self.generations.push(Generation::lost(record, Timestamp::MAX));
        }
    }

    /// Returns the number of the next generation.
    pub fn next_number(&self) -> GenerationNumber {
        let last = self.records().map(|record| record.number.0).max();
        GenerationNumber(last.unwrap_or(0) + 1)
    }

    /// Makes the record of a new generation that begins at the first byte of `file`.
    pub fn new_record(&self, round: &Round<'_>, file: FileId, path: String) -> GenerationRecord {
        GenerationRecord {
            source: round.source.clone(),
            stream: self.cursor.name.clone(),
            number: self.next_number(),
            file,
            path,
            offset: 0,
            anchor: Anchor::default(),
            last_event: None,
            inside_overlong: false,
            open_rejects: OpenRejects::default(),
            finished: false,
        }
    }

    /// Opens what is not open and asks the system what has changed of what is.
    pub fn observe(&mut self, round: &mut Round<'_>) {
        self.each_once(|stream, index| stream.open(index, round));
        self.each_once(|stream, index| stream.ask(index, round));
    }

    /// Calls `act` with each open generation, of which it may end the one at hand.
    fn each_once(&mut self, mut act: impl FnMut(&mut Self, usize)) {
        let mut index = 0;
        while index < self.generations.len() {
            let count = self.generations.len();
            act(self, index);
            index += usize::from(self.generations.len() == count);
        }
    }

    /// Asks the system what has changed of an open generation.
    fn ask(&mut self, index: usize, round: &mut Round<'_>) {
        match self.generations[index].observe(round.now) {
            Ok(Seen::Same) => self.generations[index].clear_trouble(),
            Ok(Seen::CutInRest) => self.gap_of(index, GapReason::Truncated, round),
            Ok(Seen::Replaced) => self.reset(index, round),
            Err(error) => self.fail(index, &error, round),
        }
    }

    /// Opens a generation whose file is known and not open yet.
    pub fn open(&mut self, index: usize, round: &mut Round<'_>) {
        let generation = &mut self.generations[index];
        if generation.body.is_some() || generation.age.is_none() {
            return;
        }
        if *round.open_files >= round.limits.max_open_files {
            generation.trouble = Some("too many open files: raise the limit".to_owned());
            return;
        }
        let opened = generation.open();
        generation.name_taken =
            opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        match opened {
            Ok(opened) => {
                *round.open_files += 1;
                generation.trouble = None;
                if opened == Opened::Changed {
                    self.reset(index, round);
                }
            }
            Err(error) => generation.trouble = Some(super::discover::reason(&error)),
        }
    }

    /// Notes an error of an open file.
    pub fn fail(&mut self, index: usize, error: &io::Error, round: &mut Round<'_>) {
        let generation = &mut self.generations[index];
        generation.trouble = Some(super::discover::reason(error));
        // A stale handle of a network file system stays stale, and so does a file whose program is
        // gone that served it: open the path again.
        let errno = rustix::io::Errno::from_io_error(error);
        if matches!(errno, Some(rustix::io::Errno::STALE | rustix::io::Errno::NOTCONN)) {
            close(generation, round);
        }
    }

    /// Reads one buffer of the oldest generation that has something to read. Returns how much was
    /// read; 0 when there is nothing more for now.
    pub fn read(&mut self, round: &mut Round<'_>, buffer: &mut Vec<u8>) -> usize {
        for index in 0..self.generations.len() {
            let generation = &mut self.generations[index];
            if generation.body.is_some() && !generation.at_end() {
                match follow(generation, &mut self.cursor, round, buffer) {
                    Ok(Turn::Read(bytes)) => {
                        generation.trouble = None;
                        if exceeds_bound(generation, round.limits) {
                            self.give_up(index, GapReason::Damaged, round);
                            return bytes.max(1);
                        }
                        if bytes > 0 || !generation.at_end() {
                            return bytes;
                        }
                    }
                    Ok(Turn::Changed) => {
                        self.reset(index, round);
                        return 1;
                    }
                    Err(error) => {
                        self.fail(index, &error, round);
                        return 0;
                    }
                }
            }
            // Half a line at the end: the next generation may have whole ones. But whole lines that
            // wait here come first, or the frontier would pass them uncounted. So do those of a file
            // that is being renamed, unless another is unclear until all that is open is read.
            if generation.held_since.is_some() || generation.is_awaited() && !self.unclear {
                return 0;
            }
        }
        0
    }

    /// Confirms ends of files, finishes what is over and proves idleness. Comes after each poll's
    /// reading, also when its budget was used up.
    pub fn settle(&mut self, round: &mut Round<'_>, buffer: &mut Vec<u8>) {
        for generation in &mut self.generations {
            if generation.at_end() {
                generation.reached_end = true;
                generation.ends_seen = generation.ends_seen.saturating_add(round.looking.into());
            }
        }
        let mut index = 0;
        while index < self.generations.len() {
            match self.generations[index].ending(round.now, round.limits.rotation_grace) {
                Some(Ending::Whole) if self.count_rest(index, round, buffer, finish) => {
                    self.end(index, round);
                }
                Some(Ending::Damaged) => self.give_up(index, GapReason::Damaged, round),
                _ => index += 1,
            }
        }
        self.each_once(|stream, index| {
            if stream.generations[index].is_overdue(round.now) {
                stream.count_rest(index, round, buffer, break_off);
            }
        });
        if self.is_idle(round) {
            let live = self.generations.last().expect("an idle stream has a live generation");
            self.idle_at = Some(round.now);
            prove_idle(live, &mut self.cursor, round);
        }
    }

    /// Counts with `count` what was held back of a generation; `false` if something still is.
    fn count_rest(
        &mut self,
        index: usize,
        round: &mut Round<'_>,
        buffer: &mut Vec<u8>,
        count: Count,
    ) -> bool {
        let generation = &mut self.generations[index];
        if !matches!(generation.body, Some(Body::Plain(_))) || generation.backlog() == 0 {
            return true;
        }
        match count(generation, &mut self.cursor, round, buffer) {
            // Not so if the file grew just now.
            Ok(Turn::Read(_)) => generation.backlog() == 0,
            Ok(Turn::Changed) => {
                self.reset(index, round);
                false
            }
            Err(error) => {
                self.fail(index, &error, round);
                false
            }
        }
    }

    /// Reports that lines of a generation are lost.
    pub fn gap_of(&self, index: usize, reason: GapReason, round: &mut Round<'_>) {
        let since = self.unread_since(&self.generations[index].record, round.allowed_lateness);
        round.gap_since(&self.cursor, since, reason);
    }

    /// Reports that lines of a generation are lost, and ends it.
    fn give_up(&mut self, index: usize, reason: GapReason, round: &mut Round<'_>) {
        self.gap_of(index, reason, round);
        self.end(index, round);
    }

    /// Moves a generation to the finished ones.
    pub fn end(&mut self, index: usize, round: &mut Round<'_>) {
        let mut generation = self.generations.remove(index);
        if let Some(Body::Packed(packed)) = &generation.body {
            // What has come since was not read.
            self.settled.insert(generation.record.number, packed.facts);
        }
        close(&mut generation, round);
        generation.record.finished = true;
        round.record(&generation.record);
        self.finished.push(generation.record);
    }

    /// Tells whether the end of the live file proves that nothing happened: no whole line is held
    /// back in any generation.
    fn is_idle(&self, round: &Round<'_>) -> bool {
        let Some((live, older)) = self.generations.split_last() else { return false };
        let whole = live.facts().is_some_and(|facts| {
            let stale = facts.weakness.is_some_and(Weakness::may_be_stale);
            facts.size == live.record.offset && !stale
        });
        round.idle_is_proof
            && live.age == Some(Age::Live)
            && live.at_end()
            && whole
            && live.trouble.is_none()
            && older.iter().all(|one| one.at_end() && one.held_since.is_none())
            && self.trouble.is_none()
            && !self.unclear
            && self.cursor.frontier < Some(round.looked_at)
            && self
                .idle_at
                .is_none_or(|at| round.now < at || round.now.since(at) >= IDLE_PROOF_EVERY)
    }

    /// Returns what was found at the last look.
    ///
    /// Bytes that exist and cannot be read yet are a trouble, whatever holds them back.
    pub fn status(&self) -> StreamStatus {
        let troubles = self.generations.iter().filter_map(|generation| generation.trouble.as_ref());
        let broken = |one: &Generation| matches!(one.packed_end(), Some(PackedEnd::Broken(_)));
        let half = self.unclear || self.generations.iter().any(broken);
        let half = half.then(|| HALF_WRITTEN.to_owned());
        StreamStatus {
            stream: self.cursor.name.clone(),
            live: self.live_exists,
            unreadable: self.trouble.iter().chain(troubles).chain(&half).next().cloned(),
            backlog: self.generations.iter().map(Generation::backlog).sum(),
            open_generations: self.generations.len() as u64,
            ends: self.generations.iter().filter_map(Generation::known_end).collect(),
        }
    }
}

/// Lets go of the open file of a generation.
pub fn close(generation: &mut Generation, round: &mut Round<'_>) {
    if generation.body.take().is_some() {
        *round.open_files = round.open_files.saturating_sub(1);
    }
}

/// Tells whether a compressed file has turned out larger than allowed.
fn exceeds_bound(generation: &Generation, limits: &Limits) -> bool {
    matches!(&generation.body, Some(Body::Packed(packed)) if packed.unpacked() > limits.max_unpacked)
}

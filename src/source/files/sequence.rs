//! Whether files of a family may have come and gone while nobody looked.
//!
//! Files are rotated in a sequence: while the youngest file that was known is still there, what came
//! after it is, too, unless a number is missing. Is it gone after a time without a look, then so may
//! others be that nobody saw. A directory that is not there, or an empty one in its place, is no look
//! at it: a file system may have been taken away for a while. The same holds for a file that was seen
//! and could not be read, or not be told from a copy: when it goes, its lines go with it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use super::ClockStep;
use super::discover::{Family, Found};
use super::follow::Round;
use super::identity::same_file;
use super::names::Age;
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;
use crate::engine::usage::{FileId, GenerationNumber};

/// Time without a look, in periods of [`Limits::rescan`](super::Limits::rescan), from which on a
/// file may have come and gone.
const BLIND_AFTER: u32 = 3;

/// What is said of a file that the next look may find: it is being renamed just now.
pub const LOOKED_FOR_AGAIN: &str = "not found; it is looked for once more";

/// What is remembered from look to look.
#[derive(Default)]
pub struct Sequence {
    /// When everything was last seen; `None`: not in this run.
    seen_at: Option<Timestamp>,
    /// The directory that was looked at then.
    directory: Option<FileId>,
    /// When there last was no directory, or an empty one that may be another.
    away_at: Option<Timestamp>,
    /// The generation that had the youngest file when everything was last seen.
    youngest: Option<GenerationNumber>,
    /// The last generation that was known then.
    newest: Option<GenerationNumber>,
    /// Files whose lines wait to be read.
    waiting: Vec<Waiting>,
}

/// A file whose lines wait to be read.
struct Waiting {
    file: FileId,
    /// Since when its lines may be missing.
    since: Timestamp,
    /// Whether the look at hand says that it waits.
    is_noted: bool,
    /// Whether the last look did not show it.
    is_missed: bool,
}

impl Sequence {
    /// Takes note of a step of the wall clock: no time without a look is shorter for it.
    pub fn note_step(&mut self, step: ClockStep) {
        for at in [&mut self.seen_at, &mut self.away_at].into_iter().flatten() {
            *at = step.moved(*at).min(*at);
        }
    }

    /// Notes that the content of a generation is found in the file of another one, too.
    pub fn note_copy(&mut self, of: GenerationNumber, copy: GenerationNumber) {
        if self.youngest == Some(of) {
            self.youngest = Some(copy);
        }
    }

    /// Tells whether `family` lies in another directory than that of the last look or, where it is
    /// empty and a former run knew files, may do so.
    fn is_elsewhere(&self, family: &Family) -> bool {
        match (self.directory, family.directory) {
            (Some(then), Some(now)) => !same_file(then, now),
            (None, _) => self.youngest.is_some() && family.files.is_empty(),
            (Some(_), None) => family.homeless,
        }
    }
}

impl Stream {
    /// Tells whether nothing is known of it: not from a former run, and not from a former look.
    pub fn is_fresh(&self) -> bool {
        self.sequence.seen_at.is_none() && self.records().next().is_none()
    }

    /// Begins the first look of a run: finds the youngest generation that the former one knew.
    pub fn recall_youngest(&mut self) {
        if self.sequence.seen_at.is_none() && self.sequence.youngest.is_none() {
            let newest = self.records().map(|record| record.number).max();
            self.sequence.youngest = self.last_live().or(newest);
            self.sequence.newest = newest;
        }
    }

    /// Notes that the lines of `file` wait, if it has any that nobody read.
    pub fn note_waiting(&mut self, file: &Found, round: &Round<'_>) {
        let id = file.facts.id;
        if let Some(one) = self.sequence.waiting.iter_mut().find(|one| same_file(one.file, id)) {
            one.is_noted = true;
            return;
        }
        let finished = self.finished.iter().filter(|record| same_file(record.file, id));
        let finished = finished.max_by_key(|record| record.number);
        let is_read = finished.is_some_and(|record| match self.settled.get(&record.number) {
            Some(facts) => !file.facts.written_since(facts),
            // What a former run knew of a packed one is not comparable.
            None => file.is_packed() || file.facts.size == record.offset,
        });
        let is_open = self.generations.iter().any(|one| same_file(one.record.file, id));
        if file.facts.size == 0 || is_read || is_open {
            return;
        }
        let since = match (finished, self.cursor.last_event) {
            (Some(record), _) => self.unread_since(record, round.allowed_lateness),
            (None, Some(last_event)) => last_event,
            (None, None) => Timestamp::from_nanos(id.birth).minus(round.allowed_lateness),
        };
        let waiting = Waiting { file: id, since, is_noted: true, is_missed: false };
        self.sequence.waiting.push(waiting);
    }

    /// Ends a look that showed all of `family`: tells what may have gone unread.
    pub fn end_look(&mut self, family: &Family, round: &mut Round<'_>) {
        if !family.awaited {
            self.tell_gone(family, round);
        }
        let is_elsewhere = self.sequence.is_elsewhere(family);
        if family.homeless || is_elsewhere && family.files.is_empty() {
            self.sequence.away_at = Some(round.now);
            return;
        }
        let away_at = self.sequence.away_at.filter(|_| is_elsewhere);
        let silent =
            |at| round.now < at || round.now.since(at) >= BLIND_AFTER * round.limits.rescan;
        let was_blind = self.sequence.seen_at.max(away_at).is_none_or(silent);
        if was_blind && let Some(youngest) = self.sequence.youngest {
            let is_gone = self.is_gone(youngest, family);
            // It may be in what is unclear, unless all of it was read; and of a log that nobody
            // writes any more nothing is missing until somebody does.
            let is_open = self.generations.iter().any(|one| one.record.number == youngest);
            let goes_on = self.has_new_file(family);
            if is_gone && (self.unclear && is_open || !goes_on) {
                return;
            }
            if is_gone || goes_on && self.has_hole_after(youngest, family) {
                round.gap(&self.cursor, GapReason::Vanished);
            }
        }
        let owner = family.files.last().and_then(|file| {
            let of_file = self.records().filter(|record| same_file(record.file, file.facts.id));
            of_file.map(|record| record.number).max()
        });
        let newest = self.records().map(|record| record.number).max();
        let sequence = &mut self.sequence;
        sequence.youngest = owner.or(sequence.youngest);
        sequence.newest = newest;
        sequence.seen_at = Some(round.now);
        sequence.directory = family.directory;
    }

    /// Tells what is lost with files that waited to be read and are gone, at the second look that
    /// misses them.
    fn tell_gone(&mut self, family: &Family, round: &mut Round<'_>) {
        let mut waiting = std::mem::take(&mut self.sequence.waiting);
        let mut lost: Option<Timestamp> = None;
        waiting.retain_mut(|one| {
            let is_noted = std::mem::take(&mut one.is_noted);
            let is_file = |id: FileId| same_file(one.file, id);
            if family.files.iter().any(|file| is_file(file.facts.id)) {
                one.is_missed = false;
                return is_noted || !self.records().any(|record| is_file(record.file));
            }
            if self.generations.iter().any(|open| is_file(open.record.file)) {
                return false;
            }
            if one.is_missed {
                lost = Some(lost.map_or(one.since, |at| at.min(one.since)));
                return false;
            }
            one.is_missed = true;
            true
        });
        if waiting.iter().any(|one| one.is_missed) {
            self.trouble.get_or_insert_with(|| LOOKED_FOR_AGAIN.to_owned());
        }
        self.sequence.waiting = waiting;
        if let Some(since) = lost {
            round.gap_since(&self.cursor, since, GapReason::Vanished);
        }
    }

    /// Tells whether the file of a generation is gone, and nobody else tells so.
    fn is_gone(&self, number: GenerationNumber, family: &Family) -> bool {
        let lost = self.generations.iter().filter(|one| one.is_lost());
        let is_told = lost.map(|one| one.record.number).any(|other| other == number);
        self.file_of(number, family).is_none() && !is_told
    }

    /// Tells whether the youngest file is one that was not known when everything was last seen.
    fn has_new_file(&self, family: &Family) -> bool {
        let Some(youngest) = family.files.last() else { return false };
        let known = self.records().filter(|record| Some(record.number) <= self.sequence.newest);
        !known.map(|record| record.file).any(|file| same_file(file, youngest.facts.id))
    }

    /// Tells whether a file is missing between that of a generation and the live one, where they are
    /// numbered.
    fn has_hole_after(&self, number: GenerationNumber, family: &Family) -> bool {
        let number_of = |file: &Found| match &file.age {
            Age::Rotated { date, number: Reverse(number) } if date.is_empty() => Some(*number),
            _ => None,
        };
        let Some(oldest) = self.file_of(number, family).and_then(number_of) else { return false };
        let files = family.files.iter().chain(&family.unread);
        let there: BTreeSet<u64> = files.filter_map(number_of).collect();
        (1..oldest).any(|number| !there.contains(&number))
    }

    fn file_of<'f>(&self, number: GenerationNumber, family: &'f Family) -> Option<&'f Found> {
        let record = self.records().find(|record| record.number == number)?;
        family.files.iter().find(|file| same_file(file.facts.id, record.file))
    }

    /// Returns since when lines of a generation may be missing that nobody can read any more: its
    /// own latest event or that of those before it, but not later than its birth: it may have been put
    /// there from elsewhere. An event in the future says nothing.
    pub fn unread_since(&self, record: &GenerationRecord, allowed_lateness: Duration) -> Timestamp {
        let latest = |record: &GenerationRecord| {
            record.last_event.filter(|at| Some(*at) <= self.cursor.frontier)
        };
        let older = || self.records().filter(|other| other.number < record.number);
        let birth = Timestamp::from_nanos(record.file.birth).minus(allowed_lateness);
        // Of a file that was cut, and of one that tells no birth, it says nothing.
        let had_others = older().any(|other| same_file(other.file, record.file));
        let before = older().filter_map(latest).max().map(|before| {
            if had_others || record.file.birth == 0 { before } else { before.min(birth) }
        });
        latest(record).or(before).unwrap_or(birth)
    }

    /// Returns the records of all generations, open and finished.
    pub fn records(&self) -> impl Iterator<Item = &GenerationRecord> {
        self.generations.iter().map(|one| &one.record).chain(&self.finished)
    }
}

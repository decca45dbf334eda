//! Whether files of a family may have come and gone while nobody looked.
//!
//! Files are rotated in a sequence: while the youngest file that was known is still there, what came
//! after it is, too. Is it gone after a time without a look, then so may others be that nobody saw.
//! The same holds for a file that was seen and could not be read, or not be told from a copy: when
//! it goes, its lines go with it.

use std::time::Duration;

use super::discover::{Family, Found};
use super::follow::Round;
use super::identity::same_file;
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;
use crate::engine::usage::{FileId, GenerationNumber};

/// Time without a look, in periods of [`Limits::rescan`](super::Limits::rescan), from which on a
/// file may have come and gone.
const BLIND_AFTER: u32 = 3;

/// What is remembered from look to look.
#[derive(Default)]
pub struct Sequence {
    /// When everything was last seen; `None`: not in this run.
    seen_at: Option<Timestamp>,
    /// The generation that had the youngest file then.
    youngest: Option<GenerationNumber>,
    /// Files whose lines wait to be read, each with the latest event at the look that found it.
    waiting: Vec<(FileId, Timestamp)>,
}

impl Stream {
    /// Tells whether nothing is known of it: not from a former run, and not from a former look.
    pub fn is_fresh(&self) -> bool {
        self.sequence.seen_at.is_none() && self.records().next().is_none()
    }

    /// Begins the first look of a run: finds the youngest generation that the former one knew.
    pub fn recall_youngest(&mut self) {
        if self.sequence.seen_at.is_none() {
            let number =
                self.last_live().or_else(|| self.records().map(|record| record.number).max());
            self.sequence.youngest = number;
        }
    }

    /// Notes that the lines of `file` wait, if it has any.
    pub fn note_waiting(&mut self, file: &Found, round: &Round<'_>) {
        let id = file.facts.id;
        let known = self.sequence.waiting.iter().any(|(other, _)| same_file(*other, id));
        if file.facts.size > 0 && !known {
            self.sequence.waiting.push((id, self.cursor.last_event.unwrap_or(round.now)));
        }
    }

    /// Ends a look that showed all of `family`: tells what may have gone unread.
    pub fn end_look(&mut self, family: &Family, round: &mut Round<'_>) {
        self.tell_gone(family, round);
        let silent = |at| round.now.since(at) >= BLIND_AFTER * round.limits.rescan;
        let was_blind = self.sequence.seen_at.is_none_or(silent);
        let youngest = self.sequence.youngest;
        if was_blind && youngest.is_some_and(|number| self.is_gone(number, family)) {
            // It may be in what is unclear; and of a log that nobody writes any more nothing is
            // missing until somebody does.
            if self.unclear || family.files.is_empty() {
                return;
            }
            round.gap(&self.cursor, GapReason::Vanished);
        }
        let owner = family.files.last().and_then(|file| {
            let of_file = self.records().filter(|record| same_file(record.file, file.facts.id));
            of_file.map(|record| record.number).max()
        });
        self.sequence.youngest = owner.or(youngest);
        self.sequence.seen_at = Some(round.now);
    }

    /// Tells what is lost with files that waited to be read and are gone.
    fn tell_gone(&mut self, family: &Family, round: &mut Round<'_>) {
        let mut waiting = std::mem::take(&mut self.sequence.waiting);
        waiting.retain(|(id, _)| !self.records().any(|record| same_file(record.file, *id)));
        let (there, gone): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(id, _)| family.files.iter().any(|file| same_file(file.facts.id, *id)));
        self.sequence.waiting = there;
        if let Some(since) = gone.into_iter().map(|(_, since)| since).min() {
            round.gap_since(&self.cursor, since, GapReason::Vanished);
        }
    }

    /// Tells whether the file of a generation is gone, and nobody else tells so.
    fn is_gone(&self, number: GenerationNumber, family: &Family) -> bool {
        let lost = self.generations.iter().filter(|one| one.is_lost());
        let is_told = lost.map(|one| one.record.number).any(|other| other == number);
        let record = self.records().find(|record| record.number == number);
        let is_there = record.is_some_and(|record| {
            family.files.iter().any(|file| same_file(file.facts.id, record.file))
        });
        !is_there && !is_told
    }

    /// Returns since when lines of a generation may be missing that nobody can read any more: its
    /// own latest event or that of those before it, or its birth if there is none. An event in the
    /// future says nothing.
    pub fn unread_since(&self, record: &GenerationRecord, allowed_lateness: Duration) -> Timestamp {
        let latest = |record: &GenerationRecord| {
            record.last_event.filter(|at| Some(*at) <= self.cursor.frontier)
        };
        let before = self.records().filter(|other| other.number < record.number);
        let before = before.filter_map(latest).max();
        let birth = Timestamp::from_nanos(record.file.birth).minus(allowed_lateness);
        latest(record).or(before).unwrap_or(birth)
    }

    /// Returns the records of all generations, open and finished.
    pub fn records(&self) -> impl Iterator<Item = &GenerationRecord> {
        self.generations.iter().map(|one| &one.record).chain(&self.finished)
    }
}

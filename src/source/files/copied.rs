//! A rotated file that turns up and was never the live one: the log was copied and cut behind the
//! copy (`copytruncate`).
//!
//! A log of which something was read shows by its content that it was cut. One of which nothing was
//! read may have been written to, copied, cut and written to again before anybody looked. Its copy
//! tells: a file that was rotated by renaming was live before, and is younger than the one that was
//! live when it was looked at last. What was written between copy and cut is in no file.

use super::discover::{Family, Found};
use super::follow::Round;
use super::generation::Generation;
use super::identity::{FileFacts, same_file};
use super::names::Age;
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;
use crate::engine::usage::{FileId, GenerationNumber};

/// What is remembered from look to look, to know such a copy.
#[derive(Default)]
pub struct Copies {
    /// The live file at the last two looks, the older one first: a copy that is made while a
    /// directory is listed is found by the next look only.
    sights: [Option<Sight>; 2],
    /// The log of which a new file may be a copy.
    suspected: Option<Suspected>,
    /// Files that could not be placed yet, each with since when lines may be lost if it is a copy.
    waiting: Vec<(FileId, Option<Timestamp>)>,
    /// The same of the look before.
    waited: Vec<(FileId, Option<Timestamp>)>,
    /// Whether a loss was told at this look.
    told: bool,
}

/// A log that may have been copied and cut.
struct Suspected {
    /// How old a copy of it is at least, by its name.
    age: Age,
    /// Since when lines may be lost.
    since: Timestamp,
    /// When it was made, in nanoseconds since 1970; 0 where that is not known.
    birth: i64,
}

/// The live file at one look.
#[derive(Clone, Copy)]
struct Sight {
    number: GenerationNumber,
    /// Whether something of it was read: if it is cut, that is noticed.
    is_read: bool,
    facts: FileFacts,
}

impl Copies {
    /// Tells whether the generation that was live may have been cut unnoticed since then. `now`:
    /// what is live.
    fn may_be_cut(&self, record: &GenerationRecord, now: Option<&FileFacts>) -> bool {
        let Some(then) = self.sights[0].or(self.sights[1]) else { return record.offset == 0 };
        let reads_on = then.is_read && then.number == record.number;
        let is_untouched = now
            .is_some_and(|now| same_file(now.id, then.facts.id) && !now.touched_since(&then.facts));
        !reads_on && !is_untouched
    }

    /// Returns since when lines may be lost, if `file` is new and therefore a copy.
    fn lost_since(&self, file: &Found, round: &Round<'_>) -> Option<Timestamp> {
        let waited = self.waited.iter().find(|(id, _)| same_file(*id, file.facts.id));
        if let Some((_, since)) = waited {
            return *since;
        }
        // What was empty when a former run looked was not written down.
        let may_be_old = round.first_look && file.facts.size == 0;
        let log = self.suspected.as_ref().filter(|_| !may_be_old)?;
        (file.age < log.age).then_some(log.since)
    }
}

impl Stream {
    /// Returns the generation that was live at the last look or, at the first one, when a former run
    /// ended. To be asked before files are claimed.
    pub fn last_live(&self) -> Option<GenerationNumber> {
        let of_former_run = |one: &Generation| {
            one.quiet_since == Timestamp::MAX && self.live.to_str() == Some(&*one.record.path)
        };
        let is_live = |one: &&Generation| match &one.age {
            Some(age) => *age == Age::Live,
            None => of_former_run(one),
        };
        self.generations.iter().find(is_live).map(|one| one.record.number)
    }

    /// Begins a look, of which `last_live` was the live generation at the look before. Nothing is
    /// suspected that `is_told` already.
    pub fn suspect_copies(
        &mut self,
        last_live: Option<GenerationNumber>,
        is_told: bool,
        family: &Family,
        round: &Round<'_>,
    ) {
        let now = live_of(family).map(|live| &live.facts);
        let copies = &mut self.copies;
        copies.told = false;
        copies.waited = std::mem::take(&mut copies.waiting);
        let one = self.generations.iter().find(|one| Some(one.record.number) == last_live);
        let one = one.filter(|one| !is_told && copies.may_be_cut(&one.record, now));
        copies.suspected = one.and_then(|one| {
            // Where nothing was read of the stream, lines may be lost since the file was made.
            let birth = Timestamp::from_nanos(one.record.file.birth).minus(round.allowed_lateness);
            let since = self.cursor.last_event.unwrap_or(birth);
            Some(Suspected { age: one.age.clone()?, since, birth: one.record.file.birth })
        });
    }

    /// Notes that `file` cannot be placed at this look.
    pub fn let_wait(&mut self, file: &Found, round: &mut Round<'_>) {
        let id = file.facts.id;
        self.note_waiting(file, round);
        let mut since = self.copies.lost_since(file, round);
        let waited = self.copies.waited.iter().any(|(other, _)| same_file(*other, id));
        if file.facts.size == 0 && waited && file.unreadable.is_none() {
            // Nobody is about to write it: it is the copy of a log that was empty then.
            self.tell_copy(file, round);
            since = None;
        }
        self.copies.waiting.push((id, since));
    }

    /// Tells what is lost if `file`, whose content is new, is a copy. To be told before it is read.
    pub fn tell_copy(&mut self, file: &Found, round: &mut Round<'_>) {
        if let Some(since) = self.copies.lost_since(file, round)
            && !self.is_older_than_suspected(file)
            && !std::mem::replace(&mut self.copies.told, true)
        {
            round.gap_since(&self.cursor, since, GapReason::Truncated);
        }
    }

    /// Tells whether `file` was made before the suspected log, and is therefore no copy of it but
    /// one that the look before has missed while it was renamed. One that was seen before may be
    /// written over.
    fn is_older_than_suspected(&self, file: &Found) -> bool {
        let made_at = file.facts.id.birth;
        let is_older = self.copies.suspected.as_ref().is_some_and(|log| made_at < log.birth);
        let is_it = |id: FileId| same_file(id, file.facts.id);
        let was_seen = || {
            let waited = self.copies.waited.iter().any(|(id, _)| is_it(*id));
            waited || self.records().any(|record| is_it(record.file))
        };
        made_at != 0 && is_older && !was_seen()
    }

    /// Ends a look: remembers what the live file is like.
    pub fn note_live(&mut self, family: &Family) {
        let live = self.generations.iter().find(|one| one.age == Some(Age::Live));
        let sight = live.zip(live_of(family)).map(|(one, found)| Sight {
            number: one.record.number,
            is_read: one.record.offset > 0,
            facts: found.facts,
        });
        let [_, newer] = self.copies.sights;
        self.copies.sights = [newer, sight];
    }
}

fn live_of(family: &Family) -> Option<&Found> {
    family.files.last().filter(|file| file.age == Age::Live)
}

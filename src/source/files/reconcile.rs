//! What today's directory means for the generations of a stream.
//!
//! A file is first known by its identity, then by its content (`place.rs`). A generation whose bytes
//! are nowhere is a gap.

use super::Report;
use super::discover::{Family, Found, reason};
use super::follow::Round;
use super::generation::Generation;
use super::identity::same_file;
use super::names::Age;
use super::role::{is_file_of, is_open_in, is_young};
use super::sequence::LOOKED_FOR_AGAIN;
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::time::Timestamp;

impl Stream {
    /// Finds the generations in `family`, as the directory shows it now.
    pub fn reconcile(&mut self, family: &Family, round: &mut Round<'_>) {
        self.unclear = false;
        self.trouble.clone_from(&family.hidden);
        if family.homeless {
            self.live_exists = false;
        }
        if family.files.is_empty() && family.hidden.is_some() {
            return;
        }
        let is_fresh = self.is_fresh();
        self.recall_youngest();
        self.live_exists =
            family.live_elsewhere || family.files.last().is_some_and(|file| file.age == Age::Live);
        let (last_live, told) = (self.last_live(), round.out.len());
        let unclaimed = self.claim(family, round);
        self.observe(round);
        let mut unplaced = self.with_ended(family, unclaimed);
        if is_fresh {
            unplaced.extend(family.unread_holes());
            unplaced.sort_by(|a, b| a.cmp_age(b));
        }
        let is_told = round.out[told..].iter().any(|report| matches!(report, Report::Gap(_)));
        self.suspect_copies(last_live, is_told, family, round);
        for file in unplaced {
            if family.may_be_half_of(file) && is_young(&file.facts, round) {
                continue;
            }
            let trouble = match &file.unreadable {
                Some(reason) => {
                    self.place_unreadable(file, round);
                    Some(reason.clone())
                }
                None => self.place(file, family, round).err().map(|error| reason(&error)),
            };
            if let Some(trouble) = trouble {
                self.trouble.get_or_insert(trouble);
                self.unclear = true;
                self.let_wait(file, round);
            }
        }
        self.note_live(family);
        self.observe(round);
        if family.hidden.is_none() {
            self.end_look(family, round);
            if !family.awaited {
                self.give_up_lost(round);
            }
        }
        self.generations.sort_by(|a, b| (&a.age, a.record.number).cmp(&(&b.age, b.record.number)));
    }

    /// Gives each generation the name of its file; returns the files that are nobody's.
    fn claim<'f>(&mut self, family: &'f Family, round: &mut Round<'_>) -> Vec<&'f Found> {
        let mut unclaimed: Vec<&Found> = family.files.iter().collect();
        for generation in &mut self.generations {
            let file = unclaimed
                .iter()
                .position(|file| match &generation.body {
                    Some(body) => is_open_in(file, &generation.record, body),
                    None => is_file_of(file, &generation.record),
                })
                .map(|index| unclaimed.remove(index));
            if file.is_none() && family.hidden.is_some() {
                // It is where it was, as far as anybody can tell.
                continue;
            }
            let was_live = generation.age == Some(Age::Live);
            generation.age = file.map(|file| file.age.clone());
            if let Some(file) = file {
                move_to(generation, file, round);
                if generation.quiet_since == Timestamp::MAX {
                    generation.quiet_since = round.now.min(file.facts.touched_at());
                    generation.first_look = round.first_look;
                }
                if let Some(reason) = &file.unreadable {
                    self.trouble.get_or_insert_with(|| reason.clone());
                }
            }
            if was_live && generation.age != Some(Age::Live) {
                generation.quiet_since = round.now;
                generation.ends_seen = 0;
            }
        }
        unclaimed
    }

    /// Returns `unclaimed`, in the order of `family`, and between them the files whose generation has
    /// just ended because they hold other bytes now.
    fn with_ended<'f>(&self, family: &'f Family, unclaimed: Vec<&'f Found>) -> Vec<&'f Found> {
        let mut unclaimed = unclaimed.into_iter().peekable();
        let is_open = |file: &Found| {
            self.generations.iter().any(|one| same_file(one.record.file, file.facts.id))
        };
        let unplaced = family.files.iter().filter(|&file| {
            unclaimed.next_if(|other| std::ptr::eq(*other, file)).is_some() || !is_open(file)
        });
        unplaced.collect()
    }

    /// Gives up the generations whose bytes are nowhere, at the second look that misses them: a
    /// directory that is listed while its files are renamed may show one under neither name.
    fn give_up_lost(&mut self, round: &mut Round<'_>) {
        let mut index = 0;
        while index < self.generations.len() {
            let since = self.unread_since(&self.generations[index].record, round.allowed_lateness);
            let generation = &mut self.generations[index];
            if !generation.is_lost() {
                generation.missed_since = None;
            } else if generation.missed_since.is_none() {
                generation.missed_since = Some(since);
                generation.trouble = Some(LOOKED_FOR_AGAIN.to_owned());
            } else if let Some(since) = generation.missed_since.filter(|_| !self.unclear) {
                round.gap_since(&self.cursor, since, GapReason::Vanished);
                self.end(index, round);
                continue;
            }
            index += 1;
        }
    }
}

/// Notes where the file of a generation is now.
pub fn move_to(generation: &mut Generation, file: &Found, round: &mut Round<'_>) {
    generation.target.clone_from(&file.target);
    if !same_file(generation.record.file, file.facts.id) {
        generation.record.file = file.facts.id;
        round.record(&generation.record);
    }
    let path = file.path.display().to_string();
    if generation.record.path != path {
        generation.record.path = path;
        round.record(&generation.record);
    }
}

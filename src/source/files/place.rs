//! What becomes of a file that no generation claims, by its content.
//!
//! A generation whose file is gone goes on in the file that holds the same bytes (logrotate
//! compressed or copied it while nobody looked), and a copy of the live file (`copytruncate`) is
//! never read a second time. Only what is neither is new.

use super::discover::{Family, Found};
use super::follow::Round;
use super::generation::Generation;
use super::names::Age;
use super::open::open_log;
use super::packed::Codec;
use super::reconcile::move_to;
use super::role::{Home, Role, content_of};
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;
use crate::engine::usage::Anchor;

impl Stream {
    /// Decides what a file is that no generation claims.
    pub fn place(
        &mut self,
        file: &Found,
        family: &Family,
        round: &mut Round<'_>,
    ) -> std::io::Result<()> {
        if matches!(file.named_codec, Some(Codec::Unread(_))) {
            self.begin(file, round);
            return Ok(());
        }
        let known = (0..self.finished.len())
            .filter(|&index| self.is_known(&self.finished[index], file))
            .max_by_key(|&index| self.finished[index].number);
        if let Some(index) = known
            && (self.take_over(index, file, family, round)?
                || self.review(index, file, family, round)?)
        {
            return Ok(());
        }
        if file.age == Age::Live {
            if let Some(index) = known.filter(|&index| self.finished[index].offset > 0) {
                // It was read to an end, and then cut.
                let since = self.unread_since(&self.finished[index], round.allowed_lateness);
                round.gap_since(&self.cursor, since, GapReason::Truncated);
            }
            return self.place_live(file, family, round);
        }
        // Not even a packer writes nothing: whatever it is, it is not written yet.
        if file.facts.size == 0 {
            self.let_wait(file, round);
            return Ok(());
        }
        match self.role(file, None, family, round)? {
            Role::New if self.place_edited(file, family, round)? => {}
            Role::New => {
                self.tell_copy(file, round);
                self.begin(file, round);
            }
            Role::Copy => self.add_copy(file, round)?,
            Role::Like => {
                self.tell_like(file, round);
                self.add_copy(file, round)?;
            }
            Role::Continues { home: Home::Open(index), .. }
                if !self.may_take_over(index, file, family) =>
            {
                self.unclear = true;
                self.let_wait(file, round);
            }
            Role::Continues { home, more } => self.go_on(home, file, more, round)?,
            Role::Unclear => {
                self.unclear = true;
                self.let_wait(file, round);
            }
        }
        Ok(())
    }

    /// Tells that a file whose beginning was read may hold more than that.
    pub fn tell_like(&self, file: &Found, round: &mut Round<'_>) {
        let damaged = file.is_packed();
        let reason = if damaged { GapReason::Damaged } else { GapReason::Truncated };
        round.gap(&self.cursor, reason);
    }

    /// Begins a generation with a live file that nobody may read, so that it is missed when it goes.
    /// What a rotated one is can be told by its content alone.
    pub fn place_unreadable(&mut self, file: &Found, round: &mut Round<'_>) {
        let is_known = self.finished.iter().any(|record| self.is_known(record, file));
        if file.age == Age::Live && !is_known {
            self.begin(file, round);
        }
    }

    /// Gives a lost generation the copy of it that was passed over while it was open, and is all
    /// that is left. `false` if the file at `index` of the finished ones is no such copy.
    fn take_over(
        &mut self,
        index: usize,
        file: &Found,
        family: &Family,
        round: &mut Round<'_>,
    ) -> std::io::Result<bool> {
        if !self.generations.iter().any(Generation::is_lost) {
            return Ok(false);
        }
        match self.role(file, Some(index), family, round)? {
            Role::Continues { home: Home::Open(lost), more }
                if self.generations[lost].is_lost() =>
            {
                if !self.may_take_over(lost, file, family) {
                    self.unclear = true;
                    return Ok(true);
                }
                let former = self.generations[lost].record.file;
                self.go_on(Home::Open(lost), file, more, round)?;
                // Two records of one file would say that the older content is not there any more:
                // they change files.
                let record = &mut self.finished[index];
                record.file = former;
                round.record(record);
                self.settled.remove(&record.number);
            }
            Role::Unclear => self.unclear = true,
            Role::New | Role::Like | Role::Copy | Role::Continues { .. } => return Ok(false),
        }
        Ok(true)
    }

    /// Tells whether `file` may be all that is left of an open generation. A plain copy may lie
    /// beside a file that one look has missed.
    fn may_take_over(&self, index: usize, file: &Found, family: &Family) -> bool {
        let generation = &self.generations[index];
        let missed = file.is_packed() || generation.missed_since.is_some();
        generation.body.is_some() || missed && family.hidden.is_none()
    }

    /// Begins a generation with a live file, unless it holds the bytes of one that has no name any
    /// more: it may have got another identity, be a copy that took its place, or be put back.
    fn place_live(
        &mut self,
        file: &Found,
        family: &Family,
        round: &mut Round<'_>,
    ) -> std::io::Result<()> {
        let is_former = |record: &GenerationRecord| self.live.to_str() == Some(&*record.path);
        let was_there = self.generations.iter().any(|one| one.age.is_none())
            || self.finished.iter().any(is_former);
        if file.facts.size > 0 && was_there {
            match self.role(file, None, family, round)? {
                Role::Continues { home: home @ Home::Open(_), more } => {
                    return self.go_on(home, file, more, round);
                }
                // It is read on whatever comes.
                Role::Continues { home: home @ Home::Finished(_), .. } => {
                    return self.go_on(home, file, true, round);
                }
                Role::Copy => return self.begin_after_copy(file, round),
                Role::Unclear => {
                    self.unclear = true;
                    self.let_wait(file, round);
                    return Ok(());
                }
                Role::New if self.place_edited(file, family, round)? => return Ok(()),
                Role::Like | Role::New => {}
            }
        }
        self.begin(file, round);
        Ok(())
    }

    /// Begins a generation with a live file all of whose bytes are read in another one.
    fn begin_after_copy(&mut self, file: &Found, round: &mut Round<'_>) -> std::io::Result<()> {
        let (log, _) = open_log(&file.target, file.facts.id)?;
        match content_of(file, &log, round)? {
            Some(content) => self.begin_at((content.offset(), content.anchor()), file, round),
            None => self.unclear = true,
        }
        Ok(())
    }

    /// Begins a generation with `file`, whose bytes up to an offset are read in another one.
    pub fn begin_at(&mut self, place: (u64, Anchor), file: &Found, round: &mut Round<'_>) {
        let mut record = self.new_record(round, file.facts.id, file.path.display().to_string());
        (record.offset, record.anchor) = place;
        round.record(&record);
        self.generations.push(Generation::new(record, file, round.now));
    }

    /// Begins a generation with `file`, of which nothing was read.
    fn begin(&mut self, file: &Found, round: &mut Round<'_>) {
        let record = self.new_record(round, file.facts.id, file.path.display().to_string());
        round.record(&record);
        let quiet_since =
            if round.first_look { round.now.min(file.facts.touched_at()) } else { round.now };
        let mut generation = Generation::new(record, file, quiet_since);
        generation.first_look = round.first_look;
        self.generations.push(generation);
        // A copy of it may be placed next.
        self.open(self.generations.len() - 1, round);
    }

    /// Gives a generation the file that its bytes are in now.
    fn go_on(
        &mut self,
        home: Home,
        file: &Found,
        more: bool,
        round: &mut Round<'_>,
    ) -> std::io::Result<()> {
        match home {
            // What is open is read to its end there: a writer may have gone on after the packing.
            Home::Open(index) if self.generations[index].body.is_some() => {
                let record = &self.generations[index].record;
                let (number, copy) = (record.number, self.next_number());
                if file.is_packed() {
                    self.add_copy(file, round)?;
                } else {
                    // So it is beside a plain copy, in which others may go on.
                    self.begin_at((record.offset, record.anchor), file, round);
                }
                self.sequence.note_copy(number, copy);
            }
            Home::Open(index) => {
                // The same bytes in another plain file are a copy: `copytruncate` made it, and
                // nobody knows what was written between copy and truncation. Under the same name
                // they are that file, where a file may get another identity.
                let renamed =
                    self.generations[index].record.path != file.path.display().to_string();
                if !file.is_packed() && (renamed || file.facts.weakness.is_none()) {
                    round.gap(&self.cursor, GapReason::Truncated);
                }
                let generation = &mut self.generations[index];
                generation.record.file = file.facts.id;
                generation.age = Some(file.age.clone());
                generation.named_codec = file.named_codec;
                generation.first_look = round.first_look;
                if generation.quiet_since == Timestamp::MAX {
                    generation.quiet_since = round.now.min(file.facts.touched_at());
                }
                move_to(generation, file, round);
                round.record(&self.generations[index].record);
            }
            Home::Finished(index) if more => self.revive(index, file, round),
            Home::Finished(index) => {
                let record = &mut self.finished[index];
                record.file = file.facts.id;
                record.path = file.path.display().to_string();
                round.record(record);
                self.settled.insert(record.number, file.facts);
            }
        }
        Ok(())
    }

    /// Remembers a copy of bytes that are read elsewhere, so that it is never read.
    fn add_copy(&mut self, file: &Found, round: &mut Round<'_>) -> std::io::Result<()> {
        let (log, _) = open_log(&file.target, file.facts.id)?;
        let Some(content) = content_of(file, &log, round)? else {
            self.unclear = true;
            return Ok(());
        };
        let mut record = self.new_record(round, file.facts.id, file.path.display().to_string());
        record.finished = true;
        (record.offset, record.anchor) = (content.offset(), content.anchor());
        round.record(&record);
        self.settled.insert(record.number, file.facts);
        self.finished.push(record);
        Ok(())
    }
}

//! What today's directory means for the generations of a stream.
//!
//! A file is first known by its identity, then by its content: a generation whose file is gone
//! goes on in the file that holds the same bytes (logrotate compressed or copied it while nobody
//! looked), and a copy of the live file (`copytruncate`) is never read a second time. Only what is
//! neither is new. A generation whose bytes are nowhere is a gap.

use super::Report;
use super::discover::{Family, Found, reason};
use super::follow::Round;
use super::generation::Generation;
use super::identity::{Window, same_file};
use super::names::Age;
use super::open::open_log;
use super::packed::begins_like;
use super::role::{Home, Role, content_of, is_file_of, is_open_in};
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;

impl Stream {
    /// Finds the generations in `family`, as the directory shows it now.
    pub fn reconcile(&mut self, family: &Family, round: &mut Round<'_>) {
        self.unclear = false;
        self.trouble.clone_from(&family.hidden);
        if family.homeless {
            self.live_exists = false;
        }
        if family.homeless || family.hidden.is_some() && family.files.is_empty() {
            return;
        }
        self.live_exists =
            family.live_elsewhere || family.files.last().is_some_and(|file| file.age == Age::Live);
        let (last_live, told) = (self.last_live(), round.out.len());
        let unclaimed = self.claim(family, round);
        self.observe(round);
        let is_told = round.out[told..].iter().any(|report| matches!(report, Report::Gap(_)));
        self.suspect_copies(last_live, is_told, family, round);
        for file in &unclaimed {
            let trouble = match &file.unreadable {
                Some(reason) => Some(reason.clone()),
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
            self.give_up_lost(round);
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

    /// Decides what a file is that no generation claims.
    fn place(
        &mut self,
        file: &Found,
        family: &Family,
        round: &mut Round<'_>,
    ) -> std::io::Result<()> {
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
            return self.place_live(file, family, round);
        }
        // Not even a packer writes nothing: whatever it is, it is not written yet.
        if file.facts.size == 0 {
            self.let_wait(file, round);
            return Ok(());
        }
        match self.role(file, None, family, round)? {
            Role::New => {
                self.tell_copy(file, round);
                self.begin(file, round);
            }
            Role::Copy => self.add_copy(file, round)?,
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
            Role::New | Role::Copy | Role::Continues { .. } => return Ok(false),
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

    /// Begins a generation with a live file, unless it may have got another identity and holds the
    /// bytes of one whose file is gone.
    fn place_live(
        &mut self,
        file: &Found,
        family: &Family,
        round: &mut Round<'_>,
    ) -> std::io::Result<()> {
        let may_be_known = file.facts.weakness.is_some() && file.facts.size > 0;
        if may_be_known && self.generations.iter().any(Generation::is_lost) {
            match self.role(file, None, family, round)? {
                Role::Continues { home: home @ Home::Open(_), more } => {
                    return self.go_on(home, file, more, round);
                }
                Role::Unclear => {
                    self.unclear = true;
                    return Ok(());
                }
                Role::Continues { .. } | Role::Copy | Role::New => {}
            }
        }
        self.begin(file, round);
        Ok(())
    }

    fn begin(&mut self, file: &Found, round: &mut Round<'_>) {
        let record = self.new_record(round, file.facts.id, file.path.display().to_string());
        round.record(&record);
        let quiet_since =
            if round.first_look { round.now.min(file.facts.touched_at()) } else { round.now };
        let mut generation = Generation::new(record, file, quiet_since);
        generation.first_look = round.first_look;
        self.generations.push(generation);
    }

    /// Looks at a file whose generation is finished; `false` if its content is another one now.
    fn review(
        &mut self,
        index: usize,
        file: &Found,
        family: &Family,
        round: &mut Round<'_>,
    ) -> std::io::Result<bool> {
        let record = &mut self.finished[index];
        let number = record.number;
        let path = file.path.display().to_string();
        if record.path != path {
            record.path = path;
            round.record(record);
        }
        let settled = self.settled.get(&number).copied();
        if settled.is_some_and(|facts| {
            (facts.size, facts.modified_at) == (file.facts.size, file.facts.modified_at)
        }) {
            return Ok(true);
        }
        let (log, _) = open_log(&file.target, file.facts.id)?;
        let record = &self.finished[index];
        let offset = record.offset;
        let same = match file.packed()? {
            Some(codec) => begins_like(codec, &log, &record.anchor)?,
            None => Window::of_file(&log, offset)?.is_some_and(|it| it.anchor() == record.anchor),
        };
        if !same {
            return Ok(!file.is_packed() && offset == 0 && file.facts.size == 0);
        }
        // A packed file of a former run is as long as it was.
        let longer = if file.is_packed() { settled.is_some() } else { file.facts.size > offset };
        if longer {
            // A copy that was not complete, or a writer that came back.
            match self.role(file, Some(index), family, round)? {
                Role::New => self.revive(index, file, round),
                // A copy of what was read here says nothing of what came after it.
                Role::Continues { home, .. } if self.offset_of(home) <= offset => {
                    self.revive(index, file, round);
                }
                Role::Copy | Role::Continues { .. } => {
                    let Some(content) = content_of(file, &log, round)? else {
                        self.unclear = true;
                        return Ok(true);
                    };
                    let record = &mut self.finished[index];
                    (record.offset, record.anchor) = (content.offset(), content.anchor());
                    round.record(record);
                }
                Role::Unclear => {
                    self.unclear = true;
                    return Ok(true);
                }
            }
        }
        self.settled.insert(number, file.facts);
        Ok(true)
    }

    /// Tells whether `file` is that of a finished generation.
    fn is_known(&self, record: &GenerationRecord, file: &Found) -> bool {
        let settled = self.settled.get(&record.number).is_some_and(|facts| {
            (facts.size, facts.modified_at) == (file.facts.size, file.facts.modified_at)
        });
        settled && same_file(file.facts.id, record.file) || is_file_of(file, record)
    }

    fn offset_of(&self, home: Home) -> u64 {
        match home {
            Home::Open(index) => self.generations[index].record.offset,
            Home::Finished(index) => self.finished[index].offset,
        }
    }

    /// Reads on in a finished generation.
    fn revive(&mut self, index: usize, file: &Found, round: &mut Round<'_>) {
        let mut record = self.finished.remove(index);
        self.settled.remove(&record.number);
        record.finished = false;
        record.file = file.facts.id;
        record.path = file.path.display().to_string();
        round.record(&record);
        let mut generation = Generation::new(record, file, round.now);
        generation.first_look = round.first_look;
        self.generations.push(generation);
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
            Home::Open(index) if file.is_packed() && self.generations[index].body.is_some() => {
                self.add_copy(file, round)?;
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
                generation.named = file.named;
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

    /// Gives up the generations whose bytes are nowhere, at the second look that misses them: a
    /// directory that is listed while its files are renamed may show one under neither name.
    fn give_up_lost(&mut self, round: &mut Round<'_>) {
        let mut index = 0;
        while index < self.generations.len() {
            let generation = &mut self.generations[index];
            if !generation.is_lost() {
                generation.missed_since = None;
            } else if generation.missed_since.is_none() {
                generation.missed_since = Some(self.cursor.last_event.unwrap_or(round.now));
                generation.trouble = Some("not found; it is looked for once more".to_owned());
            } else if let Some(since) = generation.missed_since.filter(|_| !self.unclear) {
                round.gap_since(&self.cursor, since, GapReason::Vanished);
                self.end(index, round);
                continue;
            }
            index += 1;
        }
    }
}

fn move_to(generation: &mut Generation, file: &Found, round: &mut Round<'_>) {
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

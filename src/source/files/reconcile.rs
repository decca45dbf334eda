//! What today's directory means for the generations of a stream.
//!
//! A file is first known by its identity, then by its content: a generation whose file is gone
//! goes on in the file that holds the same bytes (logrotate compressed or copied it while nobody
//! looked), and a copy of the live file (`copytruncate`) is never read a second time. Only what is
//! neither is new. A generation whose bytes are nowhere is a gap.

use super::compressed::{GzipReader, begins_like};
use super::discover::{Family, Found, reason};
use super::follow::Round;
use super::generation::{Body, Generation};
use super::identity::{Window, outlives_the_file, same_file};
use super::names::Age;
use super::open::open_log;
use super::role::{Home, Role};
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
        let unclaimed = self.claim(family, round);
        self.observe(round);
        for file in &unclaimed {
            if let Some(reason) = &file.unreadable {
                self.trouble.get_or_insert_with(|| reason.clone());
                self.unclear = true;
            } else if let Err(error) = self.place(file, family, round) {
                self.trouble.get_or_insert_with(|| reason(&error));
                self.unclear = true;
            }
        }
        self.observe(round);
        if !self.unclear && family.hidden.is_none() {
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
                    generation.quiet_since = round.now.min(file.facts.modified_at);
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
        if let Some(index) = known {
            // A copy that was passed over while its original was open may be all that is left of it.
            if self.generations.iter().any(Generation::is_lost)
                && let Role::Continues { home: home @ Home::Open(_), more } =
                    self.role(file, Some(index), family, round)?
            {
                return self.go_on(home, file, more, round);
            }
            if self.review(index, file, family, round)? {
                return Ok(());
            }
        }
        if file.age == Age::Live {
            return self.place_live(file, family, round);
        }
        // Not even `gzip` writes nothing: whatever it is, it is not written yet.
        if file.facts.size == 0 {
            return Ok(());
        }
        match self.role(file, None, family, round)? {
            Role::New => self.begin(file, round),
            Role::Copy => self.add_copy(file, round)?,
            Role::Continues { home, more } => self.go_on(home, file, more, round)?,
            Role::Unclear => self.unclear = true,
        }
        Ok(())
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
            if round.first_look { round.now.min(file.facts.modified_at) } else { round.now };
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
        if file.gzip {
            if !begins_like(log, &record.anchor) {
                return Ok(false);
            }
            if settled.is_some() {
                self.revive(index, file, round);
            }
        } else {
            let window = Window::of_file(&log, record.offset)?;
            if !window.is_some_and(|window| window.anchor() == record.anchor) {
                return Ok(record.offset == 0 && file.facts.size == 0);
            }
            let offset = record.offset;
            if file.facts.size > offset {
                // A copy that was not complete, or a writer that came back.
                match self.role(file, Some(index), family, round)? {
                    Role::New => self.revive(index, file, round),
                    // A copy of what was read here says nothing of what came after it.
                    Role::Continues { home, .. } if self.offset_of(home) <= offset => {
                        self.revive(index, file, round);
                    }
                    Role::Unclear => self.unclear = true,
                    Role::Copy | Role::Continues { .. } => {
                        let window = Window::of_file(&log, file.facts.size)?;
                        let record = &mut self.finished[index];
                        if let Some(window) = window {
                            (record.offset, record.anchor) = (window.offset(), window.anchor());
                            round.record(record);
                        }
                    }
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
            Home::Open(index) if file.gzip && self.generations[index].body.is_some() => {
                self.add_copy(file, round)?;
            }
            Home::Open(index) => {
                // The same bytes in another plain file are a copy: `copytruncate` made it, and
                // nobody knows what was written between copy and truncation. Under the same name
                // they are that file, where a file may get another identity.
                let renamed =
                    self.generations[index].record.path != file.path.display().to_string();
                if !file.gzip && (renamed || file.facts.weakness.is_none()) {
                    round.gap(&self.cursor, GapReason::Truncated);
                }
                let generation = &mut self.generations[index];
                generation.record.file = file.facts.id;
                generation.age = Some(file.age.clone());
                generation.gzip = file.gzip;
                generation.first_look = round.first_look;
                if generation.quiet_since == Timestamp::MAX {
                    generation.quiet_since = round.now.min(file.facts.modified_at);
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
        let mut record = self.new_record(round, file.facts.id, file.path.display().to_string());
        record.finished = true;
        let (log, facts) = open_log(&file.target, file.facts.id)?;
        let content = if file.gzip {
            Some(GzipReader::new(log).whole(round.limits.max_decompressed))
        } else {
            Window::of_file(&log, facts.size)?
        };
        if let Some(content) = content {
            (record.offset, record.anchor) = (content.offset(), content.anchor());
        }
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
            if generation.age.is_some() || generation.body.is_some() {
                generation.missed_since = None;
            } else if let Some(since) = generation.missed_since {
                round.gap_since(&self.cursor, since, GapReason::Vanished);
                self.end(index, round);
                continue;
            } else {
                generation.missed_since = Some(self.cursor.last_event.unwrap_or(round.now));
                generation.trouble = Some("not found; it is looked for once more".to_owned());
            }
            index += 1;
        }
    }
}

/// Tells whether `file` is that of `record`, which is open as `body`. On a weak file system it may
/// have got another identity since, which the open file has, too.
fn is_open_in(file: &Found, record: &GenerationRecord, body: &Body) -> bool {
    if same_file(file.facts.id, record.file) {
        return true;
    }
    match body {
        Body::Plain(plain) if file.facts.weakness.is_some() => {
            let now = plain.facts.again(&plain.file);
            now.is_ok_and(|now| same_file(file.facts.id, now.id))
        }
        Body::Plain(_) | Body::Gzip(_) => false,
    }
}

/// Tells whether `file` is that of `record`, which is not open. Where an inode number alone says so
/// its content must, too; what cannot be read now is told of when it is opened.
fn is_file_of(file: &Found, record: &GenerationRecord) -> bool {
    let holds = || -> std::io::Result<bool> {
        let (log, _) = open_log(&file.target, file.facts.id)?;
        if file.gzip {
            return Ok(begins_like(log, &record.anchor));
        }
        let window = Window::of_file(&log, record.offset)?;
        Ok(window.is_some_and(|window| window.anchor() == record.anchor))
    };
    let sure = outlives_the_file(record.file) || record.offset == 0;
    same_file(file.facts.id, record.file) && (sure || holds().unwrap_or(true))
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

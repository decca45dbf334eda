//! What today's directory means for the generations of a stream.
//!
//! A file is first known by its identity, then by its content: a generation whose file is gone
//! goes on in the file that holds the same bytes (logrotate compressed or copied it while nobody
//! looked), and a copy of the live file (`copytruncate`) is never read a second time. Only what is
//! neither is new. A generation whose bytes are nowhere is a gap.

use std::fs::File;

use super::compressed::{GzipMatch, begins_like, find_prefix};
use super::discover::{Family, Found, reason};
use super::follow::Round;
use super::generation::{Generation, open_log};
use super::identity::{Window, same_file};
use super::names::Age;
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;
use crate::engine::time::Timestamp;
use crate::engine::usage::Anchor;

/// Where a generation is kept whose bytes are no longer in the file it had.
#[derive(Clone, Copy, Debug)]
enum Home {
    /// Among the generations that are read.
    Open(usize),
    /// Among the finished ones.
    Finished(usize),
}

/// The bytes that were read of a generation whose file is gone or has other content.
struct Prefix {
    home: Home,
    offset: u64,
    anchor: Anchor,
    /// Whether the file was truncated: a gap is recorded already.
    truncated: bool,
}

/// What a file is to the stream.
enum Role {
    /// The new file of a generation.
    Continues {
        home: Home,
        /// Whether there are bytes after the ones that were read, or may be.
        more: bool,
    },
    /// A copy of bytes that are, or were, read from the live file.
    Copy,
    /// Not seen before.
    New,
    /// Cannot be told yet.
    Unclear,
}

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
                .position(|file| same_file(file.facts.id, generation.record.file))
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
            .filter(|&index| same_file(self.finished[index].file, file.facts.id))
            .max_by_key(|&index| self.finished[index].number);
        if let Some(index) = known
            && self.review(index, file, family, round)?
        {
            return Ok(());
        }
        if file.age == Age::Live {
            self.begin(file, round);
            return Ok(());
        }
        // Not even `gzip` writes nothing: whatever it is, it is not written yet.
        if file.facts.size == 0 {
            return Ok(());
        }
        match self.role(file, None, family, round)? {
            Role::New => self.begin(file, round),
            Role::Copy => self.add_copy(file, round)?,
            Role::Continues { home, more } => self.go_on(home, file, more, round),
            Role::Unclear => self.unclear = true,
        }
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
            if file.facts.size > record.offset {
                // A copy that was not complete, or a writer that came back.
                match self.role(file, Some(index), family, round)? {
                    Role::New => self.revive(index, file, round),
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
    fn go_on(&mut self, home: Home, file: &Found, more: bool, round: &mut Round<'_>) {
        match home {
            Home::Open(index) => {
                // The same bytes in another plain file are a copy: `copytruncate` made it, and
                // nobody knows what was written between copy and truncation.
                if !file.gzip {
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
    }

    /// Remembers a copy of the live file, so that it is never read.
    fn add_copy(&mut self, file: &Found, round: &mut Round<'_>) -> std::io::Result<()> {
        let mut record = self.new_record(round, file.facts.id, file.path.display().to_string());
        record.finished = true;
        if !file.gzip {
            let (log, facts) = open_log(&file.target, file.facts.id)?;
            if let Some(window) = Window::of_file(&log, facts.size)? {
                (record.offset, record.anchor) = (window.offset(), window.anchor());
            }
        }
        round.record(&record);
        self.settled.insert(record.number, file.facts);
        self.finished.push(record);
        Ok(())
    }

    /// Compares the content of `file` with what was read. `skip`: the finished generation that it
    /// is, if it is one.
    fn role(
        &self,
        file: &Found,
        skip: Option<usize>,
        family: &Family,
        round: &Round<'_>,
    ) -> std::io::Result<Role> {
        // A file that is gone but still open may be the one that was compressed or copied here.
        let undrained = |generation: &Generation| {
            generation.age.is_none() && generation.body.is_some() && !generation.reached_end
        };
        if self.generations.iter().any(undrained) {
            return Ok(Role::Unclear);
        }
        let prefixes = self.prefixes(skip, family);
        let (log, facts) = open_log(&file.target, file.facts.id)?;
        if file.gzip {
            let recent = round.now.minus(round.limits.rotation_grace)..=round.now;
            gzip_role(log, &prefixes, recent.contains(&facts.modified_at))
        } else {
            plain_role(&log, facts.size, &prefixes, family)
        }
    }

    /// Lists the generations whose bytes are no longer in the file they had.
    fn prefixes(&self, skip: Option<usize>, family: &Family) -> Vec<Prefix> {
        let open = self.generations.iter().enumerate().filter(|(_, open)| open.age.is_none());
        let open = open.map(|(index, open)| (Home::Open(index), &open.record, false));
        let finished = self.finished.iter().enumerate().filter(|(index, _)| Some(*index) != skip);
        let finished = finished.filter_map(|(index, record)| {
            let truncated = self.is_superseded(record);
            let exists = family.files.iter().any(|file| same_file(file.facts.id, record.file));
            (truncated || !exists).then_some((Home::Finished(index), record, truncated))
        });
        open.chain(finished)
            .filter(|(_, record, _)| record.offset > 0)
            .map(|(home, record, truncated)| Prefix {
                home,
                offset: record.offset,
                anchor: record.anchor,
                truncated,
            })
            .collect()
    }

    /// Tells whether a later generation has the file of `record`.
    fn is_superseded(&self, record: &GenerationRecord) -> bool {
        let open = self.generations.iter().map(|generation| &generation.record);
        open.chain(&self.finished)
            .any(|other| other.number > record.number && same_file(other.file, record.file))
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

fn move_to(generation: &mut Generation, file: &Found, round: &mut Round<'_>) {
    generation.target.clone_from(&file.target);
    let path = file.path.display().to_string();
    if generation.record.path != path {
        generation.record.path = path;
        round.record(&generation.record);
    }
}

fn plain_role(
    log: &File,
    size: u64,
    prefixes: &[Prefix],
    family: &Family,
) -> std::io::Result<Role> {
    let mut best: Option<&Prefix> = None;
    for prefix in prefixes.iter().filter(|prefix| prefix.offset <= size) {
        let window = Window::of_file(log, prefix.offset)?;
        if window.is_some_and(|window| window.anchor() == prefix.anchor)
            && best.is_none_or(|best| best.offset < prefix.offset)
        {
            best = Some(prefix);
        }
    }
    if let Some(prefix) = best {
        return Ok(Role::Continues { home: prefix.home, more: size > prefix.offset });
    }
    let Some(content) = Window::of_file(log, size)? else { return Ok(Role::Unclear) };
    if let Some(live) = family.files.last().filter(|file| file.age == Age::Live)
        && live.facts.size >= size
        && live.unreadable.is_none()
        && content.stands_in(&open_log(&live.target, live.facts.id)?.0)?
    {
        return Ok(Role::Copy);
    }
    // The live file was truncated since: what was lost with it is a gap, whatever this is.
    let cut = prefixes.iter().any(|prefix| {
        prefix.truncated && prefix.offset > size && content.has_head_of(&prefix.anchor)
    });
    Ok(if cut { Role::Copy } else { Role::New })
}

fn gzip_role(log: File, prefixes: &[Prefix], young: bool) -> std::io::Result<Role> {
    let sought: Vec<_> = prefixes.iter().map(|prefix| (prefix.offset, prefix.anchor)).collect();
    Ok(match find_prefix(log, &sought)? {
        GzipMatch::Prefix { index, more } => Role::Continues { home: prefixes[index].home, more },
        GzipMatch::Shorter(index) if prefixes[index].truncated => Role::Copy,
        GzipMatch::Broken(_) if young => Role::Unclear,
        GzipMatch::Broken(Some(index)) => {
            Role::Continues { home: prefixes[index].home, more: true }
        }
        GzipMatch::Shorter(_) | GzipMatch::Broken(None) | GzipMatch::None => Role::New,
    })
}

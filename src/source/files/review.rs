//! A second look at the file of a finished generation: it may have grown, or hold other bytes.

use super::discover::{Family, Found};
use super::follow::Round;
use super::generation::Generation;
use super::identity::{holds, same_file};
use super::open::open_log;
use super::packed::begins_like;
use super::role::{Home, Role, content_of, is_file_of};
use super::stream::Stream;
use crate::engine::state::GenerationRecord;
use crate::engine::usage::Anchor;

impl Stream {
    /// Looks at a file whose generation is finished; `false` if its content is another one now.
    pub fn review(
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
        if settled.is_some_and(|facts| !file.facts.written_since(&facts)) {
            return Ok(true);
        }
        let (log, _) = open_log(&file.target, file.facts.id)?;
        let record = &self.finished[index];
        let offset = record.offset;
        let same = match file.packed()? {
            Some(codec) => begins_like(codec, &log, &record.anchor)?,
            None => holds(&log, offset, &record.anchor)?,
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
                Role::Continues { home, .. } if self.place_of(home).0 <= offset => {
                    self.revive(index, file, round);
                }
                // Up to there it is a copy; what comes after it was read nowhere.
                Role::Continues { home, more: true } => {
                    let place = self.place_of(home);
                    let record = &mut self.finished[index];
                    (record.offset, record.anchor) = place;
                    round.record(record);
                    self.revive(index, file, round);
                    return Ok(true);
                }
                role @ (Role::Copy | Role::Like | Role::Continues { .. }) => {
                    if matches!(role, Role::Like) {
                        self.tell_like(file, round);
                    }
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
    pub fn is_known(&self, record: &GenerationRecord, file: &Found) -> bool {
        // Asked of every pair of them: the cheap question first.
        let is_unchanged = || {
            let settled = self.settled.get(&record.number);
            settled.is_some_and(|facts| !file.facts.written_since(facts))
        };
        same_file(file.facts.id, record.file) && (is_unchanged() || is_file_of(file, record))
    }

    /// Returns where reading has come to there, and what the bytes before look like.
    fn place_of(&self, home: Home) -> (u64, Anchor) {
        let record = match home {
            Home::Open(index) => &self.generations[index].record,
            Home::Finished(index) => &self.finished[index],
        };
        (record.offset, record.anchor)
    }

    /// Reads on in a finished generation.
    pub fn revive(&mut self, index: usize, file: &Found, round: &mut Round<'_>) {
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
}

//! A second look at the file of a finished generation: it may have grown, or hold other bytes.

use super::discover::{Family, Found};
use super::follow::Round;
use super::generation::Generation;
use super::identity::{Window, same_file};
use super::open::open_log;
use super::packed::begins_like;
use super::role::{Home, Role, content_of, is_file_of};
use super::stream::Stream;
use crate::engine::state::GenerationRecord;

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
                Role::Copy | Role::Like | Role::Continues { .. } => {
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

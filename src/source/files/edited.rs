//! A plain file in the place of a known one, with the same beginning and other bytes behind it:
//! somebody has edited it.
//!
//! Which of its lines were read nobody can tell. All that it holds is taken for read, none is counted
//! a second time, and a gap speaks of those that are new.

use std::fs::File;
use std::io;

use memchr::memrchr;

use super::discover::{Family, Found};
use super::follow::Round;
use super::identity::{HEAD_BYTES, TAIL_BYTES, Window, outlives_the_file, read_at, same_file};
use super::open::open_log;
use super::role::head_of;
use super::stream::Stream;
use crate::engine::coverage::GapReason;
use crate::engine::state::GenerationRecord;

impl Stream {
    /// Begins a generation behind the content of `file`, which is new, if it was made of a known file
    /// by editing; `false` if not.
    pub fn place_edited(
        &mut self,
        file: &Found,
        family: &Family,
        round: &mut Round<'_>,
    ) -> io::Result<bool> {
        if file.packed()?.is_some() {
            return Ok(false);
        }
        let (log, _) = open_log(&file.target, file.facts.id)?;
        let head = head_of(&log, None)?;
        let nameless = self.generations.iter().filter(|one| one.age.is_none());
        let former = nameless.map(|one| &one.record).chain(&self.finished);
        let former = former.filter(|record| {
            usize::from(record.anchor.head_len) == HEAD_BYTES
                && is_in_place_of(file, record, family)
                && head.has_head_of(&record.anchor)
        });
        let Some(former) = former.max_by_key(|record| record.number) else { return Ok(false) };
        let Some(content) = whole_lines_of(&log)? else { return Ok(false) };
        let since = self.unread_since(former, round.allowed_lateness);
        round.gap_since(&self.cursor, since, GapReason::Truncated);
        let (number, edited) = (former.number, self.next_number());
        self.begin_at((content.offset(), content.anchor()), file, round);
        self.sequence.note_copy(number, edited);
        let lost = |index: &usize| {
            let one = &self.generations[*index];
            one.record.number == number && one.is_lost()
        };
        if let Some(index) = (0..self.generations.len()).find(lost) {
            self.end(index, round);
        }
        Ok(true)
    }
}

/// Tells whether `file` is that of `record`, or has its name while that one is gone.
fn is_in_place_of(file: &Found, record: &GenerationRecord, family: &Family) -> bool {
    let is_same = |file: &Found| same_file(file.facts.id, record.file);
    if is_same(file) {
        return outlives_the_file(record.file);
    }
    file.path.to_str() == Some(&*record.path) && !family.files.iter().any(is_same)
}

/// Returns the window at the end of the last whole line of `file`, or at its end if none is near.
fn whole_lines_of(file: &File) -> io::Result<Option<Window>> {
    let size = file.metadata()?.len();
    let from = size.saturating_sub(TAIL_BYTES as u64);
    let mut tail = Vec::new();
    read_at(file, &mut tail, TAIL_BYTES, from)?;
    let end = memrchr(b'\n', &tail).map_or(size, |at| from + at as u64 + 1);
    Window::of_file(file, end)
}

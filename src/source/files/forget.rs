//! The memory of finished generations is bounded: a server that rotates for years fills none.
//!
//! A finished generation is remembered so that its file is not read a second time under another
//! name or as a copy. One whose file is gone can only come back from a backup.

use super::Report;
use super::discover::Family;
use super::follow::Round;
use super::identity::same_file;
use super::stream::Stream;

impl Stream {
    /// Forgets the oldest finished generations beyond the bound whose files are not in `family`.
    /// Those whose files exist, or may, stay, and so do those whose last lines wait to be dated.
    pub fn forget_old(&mut self, family: &Family, round: &mut Round<'_>) {
        let mut surplus = self.finished.len().saturating_sub(round.limits.max_finished);
        let all_seen = !self.unclear && !family.homeless && family.hidden.is_none();
        if surplus == 0 || !all_seen {
            return;
        }
        self.finished.sort_by_key(|record| record.number);
        let settled = &mut self.settled;
        self.finished.retain(|record| {
            let exists = family.files.iter().any(|file| same_file(file.facts.id, record.file));
            if surplus == 0 || exists || !record.open_rejects.is_empty() {
                return true;
            }
            surplus -= 1;
            settled.remove(&record.number);
            let stream = record.stream.clone();
            round.out.push(Report::Forgotten(round.source.clone(), stream, record.number));
            false
        });
    }
}

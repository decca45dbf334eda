//! What the reader tells the machine: chunks, files, losses and looks.

use std::time::Duration;

use crate::engine::coverage::{Gap, GapReason, SourceStatus};
use crate::engine::credential::{Fingerprint, SourceName, StreamName};
use crate::engine::drain::Drain;
use crate::engine::evidence::Taken;
use crate::engine::state::GenerationRecord;
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::{GenerationNumber, UsageDelta};

impl Drain {
    /// Takes what a chunk adds. A repeat is dropped, a hole becomes a gap.
    pub fn take_delta(&mut self, mut delta: UsageDelta) {
        let known_gaps = self.source_mut(&delta.source).gaps.len();
        if self.source_mut(&delta.source).take(&delta) == Taken::Repeat {
            return;
        }
        let holes = self.source_mut(&delta.source).gaps.split_off(known_gaps);
        for gap in holes {
            self.source_mut(&delta.source).gaps.push(gap.clone());
            self.note_gap(gap);
        }
        self.ledger.take(&mut delta.cells);
        delta.issued.iter().for_each(|issued| self.ledger.add_issued(issued));
        self.commit.pools.extend(delta.pools.iter().filter_map(|pool| self.ledger.add_pool(pool)));
        if delta.future_event {
            // Renewed while it lasts, at most twice a minute.
            let until = delta.arrival.plus(Duration::from_secs(30));
            if self.clock_suspects.last().is_none_or(|last| last.to < delta.arrival) {
                self.suspect_clock(Span { from: delta.arrival, to: until });
            }
        }
        self.touch(&delta);
        self.note_late_lines(&delta);
        self.commit.deltas.push(delta);
    }

    /// Takes a generation as it stands now.
    pub fn take_generation(&mut self, record: GenerationRecord) {
        self.source_mut(&record.source.clone()).take_generation(record);
    }

    /// Forgets a finished generation whose file is gone; its bytes stay in the sum of its stream.
    pub fn forget_generation(
        &mut self,
        source: &SourceName,
        stream: &StreamName,
        number: GenerationNumber,
    ) {
        self.source_mut(source).forget_generation(stream, number);
    }

    /// Takes a loss of evidence.
    pub fn take_gap(&mut self, gap: Gap) {
        self.source_mut(&gap.source.clone()).add_gap(gap.clone());
        self.note_gap(gap);
    }

    /// Records that the state was an older copy: what was recorded between its last commit and now
    /// is lost (gaps, violations, journal), so nothing is proved of that time, in any stream.
    pub(super) fn note_restored(&mut self, now: Timestamp) {
        let from = self.last_commit_at.unwrap_or(now).min(now);
        let streams: Vec<_> = self
            .sources
            .iter()
            .flat_map(|(source, known)| known.streams.keys().map(|it| (source.clone(), it.clone())))
            .collect();
        for (source, stream) in streams {
            let span = Span::between(from, now);
            let reason = GapReason::StateRestored;
            self.take_gap(Gap { source, stream, span, reason, bytes: None });
        }
    }

    /// Takes what the reader found of a source at a look.
    pub fn take_status(&mut self, status: SourceStatus) {
        self.source_mut(&status.source.clone()).look(status);
    }

    /// Takes the news that a source is matched against `key` from `since` on.
    pub fn take_tracking(&mut self, source: &SourceName, key: Fingerprint, since: Timestamp) {
        self.source_mut(source).track(key, Some(since));
    }
}

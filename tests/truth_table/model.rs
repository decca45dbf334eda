//! The smallest store that can be: cells merge, records replace, lists grow.

use keydrain::engine::credential::{SourceName, StreamName};
use keydrain::engine::state::{Commit, State};
use keydrain::engine::usage::{LineCount, UsageCell, UsageDelta};

/// What many commits amount to.
#[derive(Clone, Debug, Default)]
pub struct Model(State);

impl Model {
    /// Returns what the next start finds.
    pub fn state(&self) -> State {
        self.0.clone()
    }

    /// Adds a commit.
    pub fn commit(&mut self, commit: Commit) {
        for delta in &commit.deltas {
            self.count(delta);
        }
        let state = &mut self.0;
        for new in commit.sources {
            put(&mut state.sources, new, |a, b| a.source == b.source);
        }
        for new in commit.streams {
            put(&mut state.streams, new, |a, b| (&a.source, &a.stream) == (&b.source, &b.stream));
        }
        for new in commit.generations {
            put(&mut state.generations, new, |a, b| {
                (&a.source, &a.stream, a.number) == (&b.source, &b.stream, b.number)
            });
        }
        for new in commit.tracked {
            put(&mut state.tracked, new, |a, b| (&a.source, a.key) == (&b.source, b.key));
        }
        for new in commit.probes {
            put(&mut state.probes, new, |a, b| (&a.source, a.key) == (&b.source, b.key));
        }
        for new in commit.rotations {
            put(&mut state.rotations, new, |a, b| a.id == b.id);
        }
        for new in commit.checkpoints {
            put(&mut state.checkpoints, new, |a, b| {
                (&a.rotation, a.checkpoint) == (&b.rotation, b.checkpoint)
            });
        }
        for new in commit.incidents {
            put(&mut state.incidents, new, |a, b| {
                (&a.rotation, a.kind, &a.subject, a.at) == (&b.rotation, b.kind, &b.subject, b.at)
            });
        }
        for new in commit.summaries {
            put(&mut state.summaries, new, |a, b| a.rotation == b.rotation);
        }
        for new in commit.verdicts {
            put(&mut state.verdicts, new, |a, b| a.rotation == b.rotation);
        }
        state.gaps.extend(commit.gaps);
        state.journal.extend(commit.journal);
        state.violations.extend(commit.violations);
        state.clock_suspects.extend(commit.clock_suspects);
        state.sequence = state.sequence.max(commit.sequence);
        state.last_commit_at = commit.now.or(state.last_commit_at);
    }

    fn count(&mut self, delta: &UsageDelta) {
        for new in &delta.cells {
            add_cell(&mut self.0.cells, &delta.source, new);
        }
        for new in &delta.lines {
            add_lines(&mut self.0.lines, delta, *new);
        }
        let place = |key: &_| (delta.source.clone(), delta.stream.clone(), *key);
        let rejected = delta.rejected_keys.iter().map(place);
        self.0.rejected_keys.extend(rejected);
    }
}

fn put<T>(records: &mut Vec<T>, record: T, same: impl Fn(&T, &T) -> bool) {
    match records.iter_mut().find(|old| same(old, &record)) {
        Some(old) => *old = record,
        None => records.push(record),
    }
}

fn add_cell(cells: &mut Vec<(SourceName, UsageCell)>, source: &SourceName, new: &UsageCell) {
    let same = |(at, old): &&mut (SourceName, UsageCell)| {
        at == source
            && (old.key, &old.consumer, old.minute, old.late)
                == (new.key, &new.consumer, new.minute, new.late)
    };
    match cells.iter_mut().find(same) {
        Some((_, old)) => old.tally.merge(&new.tally),
        None => cells.push((source.clone(), new.clone())),
    }
}

fn add_lines(
    lines: &mut Vec<(SourceName, StreamName, LineCount)>,
    delta: &UsageDelta,
    new: LineCount,
) {
    let place = (&delta.source, &delta.stream, new.minute);
    let same = |(source, stream, old): &&mut (SourceName, StreamName, LineCount)| {
        (source, stream, old.minute) == place
    };
    match lines.iter_mut().find(same) {
        Some((_, _, old)) => {
            old.lines += new.lines;
            old.rejects += new.rejects;
        }
        None => lines.push((delta.source.clone(), delta.stream.clone(), new)),
    }
}

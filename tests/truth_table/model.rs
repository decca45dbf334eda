//! The smallest store that can be: lines add up, records replace, lists grow; cells are history,
//! which no start needs.

use keydrain::engine::state::{Commit, LineRecord, State};
use keydrain::engine::time::Step;
use keydrain::engine::usage::{LineCount, UsageDelta};

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
        for new in commit.pools {
            put(&mut state.pools, new, |a, b| a.key == b.key);
        }
        for new in commit.uses {
            put(&mut state.uses, new, |a, b| (a.key, &a.consumer) == (b.key, &b.consumer));
        }
        for new in commit.keys {
            put(&mut state.keys, new, |a, b| a.key == b.key);
        }
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
        for new in &delta.lines {
            add_lines(&mut self.0.lines, delta, *new);
        }
        for new in &delta.issued {
            // Nothing is forgotten here: what is past its lifetime the matcher forgets anew.
            match self.0.issued.iter_mut().find(|old| {
                (old.root, old.child, old.lifetime) == (new.root, new.child, new.lifetime)
            }) {
                Some(old) => old.at = old.at.max(new.at),
                None => self.0.issued.push(*new),
            }
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

fn add_lines(lines: &mut Vec<LineRecord>, delta: &UsageDelta, new: LineCount) {
    let same = |old: &&mut LineRecord| {
        (&old.source, &old.stream, old.count.minute) == (&delta.source, &delta.stream, new.minute)
    };
    match lines.iter_mut().find(same) {
        Some(old) => {
            old.count.lines += new.lines;
            old.count.rejects += new.rejects;
        }
        None => lines.push(LineRecord {
            source: delta.source.clone(),
            stream: delta.stream.clone(),
            step: Step::Minute,
            count: new,
        }),
    }
}

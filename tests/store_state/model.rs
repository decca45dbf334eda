//! Commits to try the store with, and the naive oracle of what a sequence of them amounts to.

use std::fmt::Debug;
use std::time::Duration;

use keydrain::engine::bytes::ByteLedger;
use keydrain::engine::credential::{
    ConsumerName, CredentialName, Fingerprint, SourceName, StreamName,
};
use keydrain::engine::ledger::{Ledger, MAX_CONSUMERS};
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::rotation::{
    Declaration, Job, JournalEntry, JournalEvent, KeyRef, RosterEntry, RotationId,
};
use keydrain::engine::sessions::is_past;
use keydrain::engine::state::{
    BytesRecord, Commit, GenerationRecord, LineRecord, ProbeRecord, State,
};
use keydrain::engine::time::{Step, Timestamp};
use keydrain::engine::usage::{
    Anchor, ByteRange, Consumer, FileId, GenerationNumber, Issued, LineCount, Outcome, RejectedKey,
    Tally, UsageCell, UsageDelta,
};
use keydrain::store::Store;

pub fn source(name: &str) -> SourceName {
    SourceName::new(name)
}

pub fn stream(name: &str) -> StreamName {
    StreamName::new(name)
}

pub fn key(number: u8) -> Fingerprint {
    Fingerprint::from_bytes([number; 16])
}

pub fn named(name: &str) -> Consumer {
    Consumer::Named(ConsumerName::from_bytes(name.as_bytes()))
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub fn address(text: &str) -> Consumer {
    Consumer::Address(ConsumerName::from_bytes(text.as_bytes()))
}

pub const FILE: FileId =
    FileId { device: u64::MAX, inode: 1 << 63, birth: -1, handle: Some([7; 16]) };

/// A delta of `edge` / `/var/log/a.log`, generation 1, without any usage.
pub fn delta(from: u64, to: u64) -> UsageDelta {
    UsageDelta {
        source: source("edge"),
        stream: stream("/var/log/a.log"),
        generation: GenerationNumber(1),
        file: FILE,
        range: ByteRange { from, to },
        skipped: 0,
        inside_overlong: false,
        anchor: Anchor::default(),
        arrival: at(0),
        cells: Vec::new(),
        pools: Vec::new(),
        issued: Vec::new(),
        lines: Vec::new(),
        other_keys: 0,
        newest_line_at: None,
        first_event: None,
        last_event: None,
        frontier: None,
        frontier_assumed: false,
        rejected_keys: Vec::new(),
        open_rejects: OpenRejects::default(),
        places: Vec::new(),
        masked_at: None,
        late_by: None,
        future_event: false,
    }
}

pub fn generation_of(delta: &UsageDelta) -> GenerationRecord {
    GenerationRecord {
        source: delta.source.clone(),
        stream: delta.stream.clone(),
        number: delta.generation,
        file: delta.file,
        path: format!("{} é", delta.stream),
        offset: delta.range.to,
        anchor: delta.anchor,
        last_event: delta.last_event,
        inside_overlong: delta.inside_overlong,
        open_rejects: delta.open_rejects.clone(),
        finished: false,
    }
}

/// A ledger in which every number is another one.
pub fn bytes_of(delta: &UsageDelta) -> BytesRecord {
    let bytes = ByteLedger {
        generations: 1,
        known: delta.range.to,
        read: 2,
        overlong: 3,
        nul_run: 4,
        copied: 5,
        hole: 6,
        cut: 7,
        tail: 8,
        first_event: delta.first_event,
    };
    BytesRecord {
        source: delta.source.clone(),
        stream: delta.stream.clone(),
        number: delta.generation,
        bytes,
    }
}

pub fn cell(key_number: u8, consumer: Consumer, second: i64) -> UsageCell {
    let event_at = at(second);
    let tally = Tally::one(Outcome::Accepted, event_at, event_at);
    UsageCell { key: key(key_number), consumer, minute: event_at.minute(), late: false, tally }
}

/// A commit that counts `to - from` lines, one per byte, each with a cell of its own.
pub fn counting(from: u64, to: u64) -> Commit {
    let mut counted = delta(from, to);
    for byte in from..to {
        let second = i64::try_from(byte).unwrap() * 60;
        counted.cells.push(cell(1, named("checkout"), second));
        let minute = at(second).minute();
        counted.lines.push(LineCount { minute, lines: 1, rejects: 0 });
    }
    let generations = vec![generation_of(&counted)];
    Commit { deltas: vec![counted], generations, ..Commit::default() }
}

/// Adds what a ledger that saw nothing before makes of the commit.
pub fn with_uses(mut commit: Commit) -> Commit {
    let mut ledger = Ledger::new(MAX_CONSUMERS);
    for delta in &mut commit.deltas {
        ledger.take(&mut delta.cells);
    }
    ledger.drain_changes(&mut commit);
    commit
}

pub fn declaration(id: &str) -> Declaration {
    let key_ref = |number| KeyRef {
        name: format!("key {number}").into(),
        fingerprint: key(number),
        id: None,
    };
    Declaration {
        id: RotationId::new(id),
        credential: CredentialName::new("payments-api"),
        old_key: key_ref(1),
        new_key: key_ref(2),
        sources: vec![source("edge"), source("inner")],
        roster: vec![RosterEntry {
            name: "anonymous".into(),
            third_party: true,
            single: false,
            synthetic: true,
            max_cache_ttl: Duration::from_nanos(1),
            max_connection_lifetime: Duration::from_hours(30 * 24),
            notice_period: Some(Duration::ZERO),
            owner: Some("team <x@y>".into()),
        }],
        jobs: vec![Job {
            consumer: "anonymous".into(),
            schedule: "0 3 1 * *".into(),
            zone: Some("Europe/Berlin".into()),
            max_runtime: Duration::from_hours(2),
        }],
        overlap: Some(Duration::from_millis(1500)),
    }
}

pub fn entry(sequence: u64, rotation: &str, event: JournalEvent) -> JournalEntry {
    JournalEntry {
        sequence,
        rotation: RotationId::new(rotation),
        event,
        at: Timestamp::MIN,
        recorded_at: Timestamp::MAX,
        by: "ops".to_owned(),
        note: sequence.is_multiple_of(2).then(|| "a\u{0}note".to_owned()),
    }
}

/// What many commits amount to, by the words of `engine::state` alone.
#[derive(Default)]
pub struct Model {
    state: State,
    cells: Vec<(SourceName, UsageCell)>,
}

fn put<T>(records: &mut Vec<T>, record: &T, same: impl Fn(&T) -> bool)
where
    T: Clone,
{
    match records.iter_mut().find(|old| same(old)) {
        Some(old) => old.clone_from(record),
        None => records.push(record.clone()),
    }
}

/// Adds two counts as the store does.
fn sum(a: u64, b: u64) -> u64 {
    a.saturating_add(b).min(i64::MAX.cast_unsigned())
}

impl Model {
    /// Asserts that `store` holds what the commits amount to, its history included.
    pub fn assert_is(&self, store: &Store) {
        assert_same(&store.load().unwrap(), &self.state);
        same(&store.cells().unwrap(), &self.cells, |(source, it)| {
            (source.clone(), it.key, it.consumer.clone(), it.minute, it.late)
        });
    }

    pub fn commit(&mut self, commit: &Commit) {
        for delta in &commit.deltas {
            self.count(delta);
        }
        let state = &mut self.state;
        for new in &commit.pools {
            put(&mut state.pools, new, |old| old.key == new.key);
        }
        for new in &commit.uses {
            put(&mut state.uses, new, |old| (old.key, &old.consumer) == (new.key, &new.consumer));
        }
        for new in &commit.keys {
            put(&mut state.keys, new, |old| old.key == new.key);
        }
        for new in &commit.sources {
            put(&mut state.sources, new, |old| old.source == new.source);
        }
        for new in &commit.streams {
            put(&mut state.streams, new, |old| {
                (&old.source, &old.stream) == (&new.source, &new.stream)
            });
        }
        for new in &commit.generations {
            put(&mut state.generations, new, |old| {
                (&old.source, &old.stream, old.number) == (&new.source, &new.stream, new.number)
            });
        }
        for new in &commit.bytes {
            put(&mut state.bytes, new, |old| {
                (&old.source, &old.stream, old.number) == (&new.source, &new.stream, new.number)
            });
        }
        for new in &commit.tracked {
            put(&mut state.tracked, new, |old| (&old.source, old.key) == (&new.source, new.key));
        }
        for new in &commit.probes {
            let same = |old: &ProbeRecord| (&old.source, old.key) == (&new.source, new.key);
            put(&mut state.probes, new, same);
        }
        // Of a probe without sightings nothing is kept.
        state.probes.retain(|it| !it.seen.runs().is_empty());
        for new in &commit.rotations {
            put(&mut state.rotations, new, |old| old.id == new.id);
        }
        for new in &commit.verdicts {
            put(&mut state.verdicts, new, |old| old.rotation == new.rotation);
        }
        for new in &commit.checkpoints {
            put(&mut state.checkpoints, new, |old| {
                (&old.rotation, old.checkpoint) == (&new.rotation, new.checkpoint)
            });
        }
        for new in &commit.incidents {
            put(&mut state.incidents, new, |old| {
                (&old.rotation, old.kind, &old.subject, old.at)
                    == (&new.rotation, new.kind, &new.subject, new.at)
            });
        }
        for new in &commit.summaries {
            put(&mut state.summaries, new, |old| old.rotation == new.rotation);
        }
        state.gaps.extend(commit.gaps.iter().cloned());
        state.journal.extend(commit.journal.iter().cloned());
        state.violations.extend(commit.violations.iter().cloned());
        state.clock_suspects.extend(commit.clock_suspects.iter().copied());
        state.sequence = state.sequence.max(commit.sequence);
        state.last_commit_at = commit.now.or(state.last_commit_at);
    }

    fn count(&mut self, delta: &UsageDelta) {
        for new in &delta.cells {
            let same = |(source, old): &&mut (SourceName, UsageCell)| {
                *source == delta.source
                    && (old.key, &old.consumer, old.minute, old.late)
                        == (new.key, &new.consumer, new.minute, new.late)
            };
            match self.cells.iter_mut().find(same) {
                Some((_, old)) => old.tally.merge(&new.tally),
                None => self.cells.push((delta.source.clone(), new.clone())),
            }
            for (_, cell) in &mut self.cells {
                cell.tally.counts = cell.tally.counts.map(|count| sum(count, 0));
            }
        }
        let state = &mut self.state;
        for new in &delta.lines {
            let same = |old: &&mut LineRecord| {
                (&old.source, &old.stream, old.count.minute)
                    == (&delta.source, &delta.stream, new.minute)
            };
            match state.lines.iter_mut().find(same) {
                Some(LineRecord { count: old, .. }) => {
                    old.lines = sum(old.lines, new.lines);
                    old.rejects = sum(old.rejects, new.rejects);
                }
                None => state.lines.push(LineRecord {
                    source: delta.source.clone(),
                    stream: delta.stream.clone(),
                    step: Step::Minute,
                    count: *new,
                }),
            }
        }
        add_issued(&mut state.issued, &delta.issued);
        for new in &delta.rejected_keys {
            let same = |(source, stream, old): &&mut (SourceName, StreamName, RejectedKey)| {
                (source, stream, old.key) == (&delta.source, &delta.stream, new.key)
            };
            if let Some((_, _, old)) = state.rejected_keys.iter_mut().find(same) {
                old.at = old.at.max(new.at);
            } else {
                state.rejected_keys.push((delta.source.clone(), delta.stream.clone(), *new));
            }
        }
    }
}

fn add_issued(all: &mut Vec<Issued>, more: &[Issued]) {
    for new in more {
        let same = |old: &&mut Issued| {
            (old.root, old.child, old.lifetime) == (new.root, new.child, new.lifetime)
        };
        match all.iter_mut().find(same) {
            Some(old) => old.at = old.at.max(new.at),
            None => all.push(*new),
        }
    }
    let known = all.clone();
    let newer = |it: &Issued, than: &Issued| it.root == than.root && it.at > than.at;
    all.retain(|it| {
        let touched = more.iter().any(|new| new.root == it.root);
        let past = known.iter().any(|new| newer(new, it) && is_past(it.at, new.at));
        let newest = !known
            .iter()
            .any(|new| newer(new, it) && new.child.is_some() && new.lifetime == it.lifetime);
        !touched || it.child.is_none() || !past || newest
    });
}

fn same<T: Clone + PartialEq + Debug, K: Ord>(found: &[T], expected: &[T], by: impl Fn(&T) -> K) {
    let sorted = |items: &[T]| {
        let mut items = items.to_vec();
        items.sort_by_key(&by);
        items
    };
    assert_eq!(sorted(found), sorted(expected));
}

/// Compares two states; only lists that have an order by nature must have the same one.
pub fn assert_same(found: &State, expected: &State) {
    same(&found.sources, &expected.sources, |it| it.source.clone());
    same(&found.streams, &expected.streams, |it| (it.source.clone(), it.stream.clone()));
    same(&found.generations, &expected.generations, |it| {
        (it.source.clone(), it.stream.clone(), it.number)
    });
    same(&found.bytes, &expected.bytes, |it| (it.source.clone(), it.stream.clone(), it.number));
    same(&found.tracked, &expected.tracked, |it| (it.source.clone(), it.key));
    same(&found.pools, &expected.pools, |it| it.key);
    same(&found.issued, &expected.issued, |it| (it.root, it.child, it.lifetime));
    same(&found.probes, &expected.probes, |it| (it.source.clone(), it.key));
    same(&found.uses, &expected.uses, |it| (it.key, it.consumer.clone()));
    same(&found.keys, &expected.keys, |it| it.key);
    same(&found.lines, &expected.lines, |it| {
        (it.source.clone(), it.stream.clone(), it.step, it.count.minute)
    });
    same(&found.rejected_keys, &expected.rejected_keys, |(source, stream, it)| {
        (source.clone(), stream.clone(), it.key, it.at)
    });
    same(&found.verdicts, &expected.verdicts, |it| it.rotation.clone());
    same(&found.checkpoints, &expected.checkpoints, |it| (it.rotation.clone(), it.checkpoint));
    same(&found.summaries, &expected.summaries, |it| it.rotation.clone());
    assert_eq!(found.incidents, expected.incidents);
    assert_eq!(found.gaps, expected.gaps);
    assert_eq!(found.rotations, expected.rotations);
    assert_eq!(found.journal, expected.journal);
    assert_eq!(found.violations, expected.violations);
    assert_eq!(found.clock_suspects, expected.clock_suspects);
    assert_eq!(found.sequence, expected.sequence);
    assert_eq!(found.last_commit_at, expected.last_commit_at);
}

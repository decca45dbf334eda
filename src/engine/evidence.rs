//! What is known of one source: how far it was read, what was lost, whether it shows keys.
//!
//! Deltas and observations go in, facts for the decision come out. Nothing is judged here: the
//! rules are in `readiness/`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::coverage::{Basis, Gap, GapReason, SourceStatus};
use crate::engine::credential::{Fingerprint, PlaceName, SourceName, StreamName};
use crate::engine::generations::{Generations, Place};
use crate::engine::policy::{Completeness, SourcePolicy};
use crate::engine::probe::{Probe, Sighted, Sightings};
use crate::engine::rejects::OpenRejects;
use crate::engine::state::{
    BytesRecord, Commit, GenerationRecord, ProbeRecord, SourceRecord, StreamRecord, TrackedRecord,
};
use crate::engine::stream::Stream;
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::{GenerationNumber, UsageDelta};
use crate::engine::watermark;

/// Since when a key is looked for that was dropped from the configuration: never.
///
/// It is kept in the state, because lines that are read in the meantime are not matched against
/// the key: when it comes back, its quiet begins anew.
const NOT_LOOKED_FOR: Option<Timestamp> = Some(Timestamp::MAX);

/// A source as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDecl {
    /// Its name.
    pub name: SourceName,
    /// Digest of format and key places.
    pub layout: String,
    /// The places of the key.
    pub places: Vec<PlaceName>,
    /// Lateness, silence, completeness and probes.
    pub policy: SourcePolicy,
    /// Keys its matcher looks for, those of its probes included.
    pub tracked: Vec<Fingerprint>,
}

/// How a delta was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was added.
    Added,
    /// Its bytes were accounted for before: nothing changed.
    Repeat,
}

/// Everything known of one source.
#[derive(Clone, Debug)]
pub struct Source {
    /// What is declared; `None` when the configuration names it no longer.
    pub decl: Option<SourceDecl>,
    /// Totals that survive a restart.
    pub record: SourceRecord,
    /// Its streams.
    pub streams: BTreeMap<StreamName, Stream>,
    /// What the reader found at its last look in this run.
    pub status: Option<SourceStatus>,
    /// All gaps, in order of recording.
    pub gaps: Vec<Gap>,
    /// Keys looked for, with the event time since when; `None`: from the first line on. A key
    /// that was looked for once and is not at present stays, with a time that never comes.
    pub tracked: BTreeMap<Fingerprint, Option<Timestamp>>,
    sighted: Sighted,
    /// The generations of the streams.
    pub generations: Generations,
    watching_since: Option<Timestamp>,
    changed: bool,
}

impl Source {
    /// Makes a source nothing is known of yet.
    pub fn new(name: SourceName) -> Self {
        Self {
            decl: None,
            record: SourceRecord {
                source: name,
                layout: String::new(),
                bytes_read: 0,
                bytes_skipped: 0,
                bytes_unknown: 0,
                lines: 0,
                rejects: 0,
                other_keys: 0,
            },
            streams: BTreeMap::new(),
            status: None,
            gaps: Vec::new(),
            tracked: BTreeMap::new(),
            sighted: Sighted::default(),
            generations: Generations::default(),
            watching_since: None,
            changed: false,
        }
    }

    /// Takes a stored stream back.
    pub fn restore_stream(&mut self, record: StreamRecord) {
        self.streams.insert(record.stream.clone(), Stream::new(record));
    }

    /// Takes a stored generation back.
    pub fn restore_generation(&mut self, record: GenerationRecord) {
        let place = (record.stream.clone(), record.number);
        self.keep_open(&place, &record.open_rejects);
        self.generations.restore(record);
    }

    /// Takes back where the bytes of a stored generation went.
    pub fn restore_bytes(&mut self, record: BytesRecord) {
        self.generations.restore_bytes(record);
    }

    /// Forgets a finished generation; its bytes stay in the sum of its stream.
    pub fn forget_generation(&mut self, stream: &StreamName, number: GenerationNumber) {
        self.generations.forget(stream, number);
    }

    /// Takes stored sightings of a probe back.
    pub fn restore_probe(&mut self, record: ProbeRecord) {
        self.sighted.restore(record.key, record.seen);
    }

    /// Takes a generation as the reader has it now: found, renamed or finished.
    pub fn take_generation(&mut self, record: GenerationRecord) {
        let place = (record.stream.clone(), record.number);
        self.keep_open(&place, &record.open_rejects);
        self.account(&place, |all| all.take(record));
    }

    /// Declares the source. A changed layout or a new key restarts what rests on it.
    pub fn declare(&mut self, decl: SourceDecl) {
        if self.record.layout != decl.layout {
            if !self.record.layout.is_empty() {
                self.streams.values_mut().for_each(Stream::restart);
                // They proved the format that was.
                self.sighted.forget();
            }
            self.record.layout.clone_from(&decl.layout);
            self.changed = true;
        }
        let read_so_far = self.streams.values().filter_map(|s| s.record.frontier).max();
        for (key, since) in &mut self.tracked {
            if !decl.tracked.contains(key) && *since != NOT_LOOKED_FOR {
                *since = NOT_LOOKED_FOR;
                self.changed = true;
            }
        }
        for key in &decl.tracked {
            self.track(*key, read_so_far);
        }
        self.decl = Some(decl);
    }

    /// Notes that lines are matched against `key` from event time `since` on.
    pub fn track(&mut self, key: Fingerprint, since: Option<Timestamp>) {
        if !self.is_matched(&key) {
            self.tracked.insert(key, since);
            self.changed = true;
        }
    }

    /// Returns the probes that are declared, each with when it was seen, if ever.
    pub fn probes(&self) -> impl Iterator<Item = (&Probe, Option<&Sightings>)> {
        let declared = self.decl.iter().flat_map(|decl| &decl.policy.probes);
        declared.map(|probe| (probe, self.sighted.of(probe)))
    }

    /// Tells whether its lines can prove that a key was not used. One that is not configured any
    /// more was declared complete as far as anybody knows.
    pub fn is_complete(&self) -> bool {
        let declared = self.decl.as_ref().map(|decl| &decl.policy.completeness);
        declared.is_none_or(|completeness| *completeness == Completeness::Complete)
    }

    /// Tells whether lines are matched against `key` at present.
    pub fn is_matched(&self, key: &Fingerprint) -> bool {
        self.tracked.get(key).is_some_and(|since| *since != NOT_LOOKED_FOR)
    }

    /// Adds a delta once: a repeat is dropped, a hole before it becomes a gap.
    pub fn take(&mut self, delta: &UsageDelta) -> Taken {
        let place = (delta.stream.clone(), delta.generation);
        let range = delta.range;
        let were_open = self.generations.open_rejects(&place);
        if range.from < range.to {
            let offset = self.generations.offset(&place);
            if range.from < offset {
                return Taken::Repeat;
            }
            if range.from > offset {
                self.add_gap(Gap {
                    source: delta.source.clone(),
                    stream: delta.stream.clone(),
                    span: self.unseen_span(&delta.stream, delta.arrival),
                    reason: GapReason::SequenceHole,
                    bytes: Some(range.from - offset),
                });
            }
            self.keep_open(&place, &delta.open_rejects);
            self.account(&place.clone(), |all| all.take_delta(place, delta));
        }
        self.changed = true;
        if let Some(decl) = &self.decl {
            self.sighted.take(&delta.cells, &decl.policy.probes);
        }
        self.record.other_keys = self.record.other_keys.saturating_add(delta.other_keys);
        // A total counts a line when it is read, also while it is an open reject.
        let newly = |counted: u64| {
            counted.saturating_add(delta.open_rejects.count).saturating_sub(were_open)
        };
        let lines = delta.lines.iter().map(|count| count.lines).fold(0, u64::saturating_add);
        let rejects = delta.lines.iter().map(|count| count.rejects).fold(0, u64::saturating_add);
        self.record.lines = self.record.lines.saturating_add(newly(lines));
        self.record.rejects = self.record.rejects.saturating_add(newly(rejects));
        let policy = self.decl.as_ref().map(|decl| &decl.policy);
        let lateness = policy.map_or(Duration::ZERO, |policy| policy.allowed_lateness);
        let most_lateness = policy.map_or(Duration::ZERO, |policy| lateness.max(policy.idle_after));
        let stream = self.stream_mut(&delta.stream);
        stream.take(delta, lateness, most_lateness);
        Taken::Added
    }

    /// Records a gap: what was proved of the stream before it proves nothing any more.
    pub fn add_gap(&mut self, gap: Gap) {
        self.changed = true;
        self.stream_mut(&gap.stream).restart();
        self.gaps.push(gap);
    }

    /// Takes what the reader found at a look.
    pub fn look(&mut self, status: SourceStatus) {
        // A stream that is not found any more must not keep the good news of an earlier look.
        self.streams.values_mut().for_each(|stream| stream.status = None);
        for found in &status.streams {
            self.stream_mut(&found.stream).status = Some(found.clone());
            for (number, end) in &found.ends {
                let place = (found.stream.clone(), *number);
                self.account(&place, |all| all.see(&place, *end));
            }
        }
        if status.absent.is_empty() && status.unreadable.is_empty() {
            self.watching_since.get_or_insert(status.looked_at);
        } else {
            self.watching_since = None;
        }
        self.status = Some(status);
    }

    /// Moves the watermarks of all streams to `now`.
    pub fn advance(&mut self, now: Timestamp) {
        let Some(decl) = &self.decl else { return };
        for stream in self.streams.values_mut() {
            let record = &mut stream.record;
            let lateness = decl.policy.allowed_lateness.max(record.observed_lateness);
            let next = watermark::advance(record.watermark, record.frontier, lateness, now);
            if next != record.watermark {
                record.watermark = next;
                stream.changed = true;
            }
        }
    }

    /// Returns the longest lateness that holds a watermark back: allowed, or observed in one of the
    /// streams that count.
    pub fn lateness(&self, counts: impl Fn(&StreamName) -> bool) -> Duration {
        let allowed = self.decl.as_ref().map(|decl| decl.policy.allowed_lateness);
        let streams = self.streams.iter().filter(|(name, _)| counts(name));
        let observed = streams.map(|(_, stream)| stream.record.observed_lateness).max();
        allowed.max(observed).unwrap_or_default()
    }

    /// Returns what the source's watermark rests on.
    pub fn basis(&self) -> Basis {
        let weak = self.status.as_ref().is_some_and(|status| !status.weak.is_empty());
        let of = |stream: &Stream| match stream.record.watermark {
            None => Basis::None,
            Some(_) if weak || stream.record.frontier_assumed => Basis::Assumed,
            Some(_) => Basis::Proved,
        };
        self.streams.values().map(of).max().unwrap_or(Basis::None)
    }

    /// Returns lines and rejects of the streams that count, of the minutes from `from` on.
    pub fn lines_since(&self, from: Timestamp, counts: impl Fn(&StreamName) -> bool) -> (u64, u64) {
        let streams = self.streams.iter().filter(|(name, _)| counts(name));
        streams
            .map(|(_, stream)| stream.lines_since(from))
            .fold((0, 0), |sum, of_stream| (sum.0 + of_stream.0, sum.1 + of_stream.1))
    }

    /// Returns the number of bytes known to exist and not read yet.
    pub fn backlog(&self) -> u64 {
        self.status.iter().flat_map(|status| &status.streams).map(|stream| stream.backlog).sum()
    }

    /// Returns the span that is not known of a stream when something is lost at `now`.
    pub fn unseen_span(&self, stream: &StreamName, now: Timestamp) -> Span {
        let seen = self.streams.get(stream).and_then(|stream| stream.record.frontier);
        Span::between(seen.unwrap_or(now).min(now), now)
    }

    /// Moves what changed into `commit`.
    pub fn drain_changes(&mut self, commit: &mut Commit) {
        if std::mem::take(&mut self.changed) {
            commit.sources.push(self.record.clone());
            let source = &self.record.source;
            commit.tracked.extend(self.tracked.iter().map(|(key, since)| TrackedRecord {
                source: source.clone(),
                key: *key,
                since: *since,
            }));
        }
        let source = &self.record.source;
        commit.probes.extend(self.sighted.drain_changes().map(|(key, seen)| ProbeRecord {
            source: source.clone(),
            key,
            seen,
        }));
        for stream in self.streams.values_mut() {
            if std::mem::take(&mut stream.changed) {
                commit.streams.push(stream.record.clone());
            }
        }
        self.generations.drain_changes(&self.record.source, commit);
    }

    /// Lets `act` change the bytes of a generation, and the totals with them.
    fn account(&mut self, place: &Place, act: impl FnOnce(&mut Generations)) {
        let before = self.generations.bytes(place);
        act(&mut self.generations);
        let after = self.generations.bytes(place);
        if before != after {
            self.changed = true;
            let moved =
                |total: u64, from: u64, to: u64| total.saturating_add(to).saturating_sub(from);
            let record = &mut self.record;
            record.bytes_read = moved(record.bytes_read, before.read, after.read);
            record.bytes_skipped = moved(record.bytes_skipped, before.skipped(), after.skipped());
            record.bytes_unknown = moved(record.bytes_unknown, before.unknown(), after.unknown());
        }
    }

    fn keep_open(&mut self, (stream, generation): &Place, open: &OpenRejects) {
        if !open.is_empty() {
            self.stream_mut(stream).open_rejects.insert(*generation, open.clone());
        } else if let Some(stream) = self.streams.get_mut(stream) {
            stream.open_rejects.remove(generation);
        }
    }

    /// Returns a stream, made if it is new.
    pub(super) fn stream_mut(&mut self, name: &StreamName) -> &mut Stream {
        // A file that appears while its directory is watched did not exist before: what lies
        // between the first look and its first line is covered. One that is there at the first
        // look is covered from its first line on.
        let since = self.watching_since;
        self.streams.entry(name.clone()).or_insert_with(|| {
            let mut stream = Stream::new(StreamRecord {
                source: self.record.source.clone(),
                stream: name.clone(),
                observing_since: since,
                frontier: None,
                frontier_assumed: false,
                watermark: None,
                last_line_at: None,
                observed_lateness: Duration::ZERO,
                violations: 0,
                keys_seen: Vec::new(),
                places_seen: BTreeMap::new(),
                masked_at: None,
            });
            stream.changed = true;
            stream
        })
    }
}

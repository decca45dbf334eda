//! The machine that watches key drains: a sans-I/O state machine around the decision.
//!
//! Inputs are deltas, observations of the reader, journal entries and the time; outputs are a
//! [`Commit`] to make durable, [`Event`]s to publish after that, and a [`Snapshot`](crate::engine::view::Snapshot) to show. It
//! never reads, writes, waits or looks at a clock.
//!
//! ```text
//! take_*, start, record --> [ Drain ] --advance(now)--> take_commit, poll_event, snapshot
//! ```

mod deadlines;
mod inputs;
mod milestones;
mod reports;
mod snapshot;
mod terms;
mod verdicts;

pub use terms::{CredentialDecl, Declared, Opening, Refused, Unknown};

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::answer::{Answer, Epoch, Verdict};
use crate::engine::credential::{CredentialName, Fingerprint, SourceName};
use crate::engine::evidence::Source;
use crate::engine::ledger::{Ledger, MAX_CONSUMERS};
use crate::engine::policy::AnonymousConsumers;
use crate::engine::rotation::{
    Declaration, JournalEntry, JournalEvent, KeyRef, Phase, Rotation, RotationId,
};
use crate::engine::state::{Commit, PublishedVerdict, State, Violation};
use crate::engine::time::{Span, Timestamp};
use crate::engine::view::Event;

/// One rotation with what was last published of it.
#[derive(Clone, Debug)]
struct Watched {
    rotation: Rotation,
    journal: Vec<JournalEntry>,
    violations: Vec<Violation>,
    answer: Option<Answer>,
    published: Option<PublishedVerdict>,
    policy_digest: String,
    policy_since: Option<Timestamp>,
    late_recorded_at: Option<Timestamp>,
    milestones: milestones::Milestones,
    /// Whether something happened to it since it was last decided.
    touched: bool,
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Drain {
    declared: Declared,
    sources: BTreeMap<SourceName, Source>,
    ledger: Ledger,
    rotations: BTreeMap<RotationId, Watched>,
    clock_suspects: Vec<Span>,
    /// The wall clock and the steady one when the wall clock stepped last, or was read first.
    clock: Option<(Timestamp, Duration)>,
    /// The steady clock at the last decision.
    steady: Duration,
    last_commit_at: Option<Timestamp>,
    /// Whether the state was an older copy, until that is recorded.
    restored: bool,
    journal_sequence: u64,
    sequence: u64,
    commit: Commit,
    events: VecDeque<Event>,
}

impl Drain {
    /// Builds the machine from the configuration and the stored state.
    pub fn new(declared: Declared, state: State) -> Self {
        Self::with_consumer_limit(MAX_CONSUMERS, declared, state)
    }

    /// As [`new`](Self::new), with another bound on the consumers of a key that are kept apart.
    pub fn with_consumer_limit(limit: usize, declared: Declared, state: State) -> Self {
        let mut drain = Self {
            declared,
            sources: BTreeMap::new(),
            ledger: Ledger::restore(limit, state.keys, state.uses),
            rotations: BTreeMap::new(),
            clock_suspects: state.clock_suspects,
            clock: None,
            steady: Duration::ZERO,
            last_commit_at: state.last_commit_at,
            restored: state.restored,
            journal_sequence: state.journal.iter().map(|entry| entry.sequence).max().unwrap_or(0),
            sequence: state.sequence,
            commit: Commit::default(),
            events: VecDeque::new(),
        };
        for record in state.sources {
            let source = drain.source_mut(&record.source);
            source.record = record;
        }
        for record in state.streams {
            drain.source_mut(&record.source.clone()).restore_stream(record);
        }
        for record in state.generations {
            drain.source_mut(&record.source.clone()).restore_generation(record);
        }
        for record in state.bytes {
            drain.source_mut(&record.source.clone()).restore_bytes(record);
        }
        for record in state.tracked {
            drain.source_mut(&record.source).tracked.insert(record.key, record.since);
        }
        for record in state.probes {
            drain.source_mut(&record.source.clone()).restore_probe(record);
        }
        for record in state.lines {
            let stream = drain.source_mut(&record.source).stream_mut(&record.stream);
            stream.lines.add(record.step, record.count);
        }
        for (source, stream, rejected) in state.rejected_keys {
            drain.source_mut(&source).stream_mut(&stream).add_rejected(rejected);
        }
        for gap in state.gaps {
            drain.source_mut(&gap.source.clone()).gaps.push(gap);
        }
        state.issued.iter().for_each(|issued| drain.ledger.add_issued(issued));
        for pool in &state.pools {
            drain.ledger.add_pool(pool);
        }
        for declaration in state.rotations {
            drain.restore_rotation(declaration, &state.journal);
        }
        for published in state.verdicts {
            if let Some(watched) = drain.rotations.get_mut(&published.rotation) {
                watched.policy_digest.clone_from(&published.policy);
                watched.policy_since = published.policy_since;
                watched.published = Some(published);
            }
        }
        for violation in state.violations {
            if let Some(watched) = drain.rotations.get_mut(&violation.rotation) {
                watched.restore_violation(violation);
            }
        }
        drain.restore_milestones(state.checkpoints, state.incidents, state.summaries);
        for decl in drain.declared.sources.clone() {
            drain.source_mut(&decl.name.clone()).declare(decl);
        }
        drain
    }

    fn restore_rotation(&mut self, declaration: Declaration, journal: &[JournalEntry]) {
        let journal: Vec<JournalEntry> =
            journal.iter().filter(|entry| entry.rotation == declaration.id).cloned().collect();
        let started_at = journal.first().map_or(Timestamp::MAX, |entry| entry.at);
        let mut rotation = Rotation::open(declaration, started_at);
        for entry in &journal {
            rotation.apply(&entry.event, entry.at);
        }
        self.insert_rotation(rotation, journal);
    }

    fn insert_rotation(&mut self, rotation: Rotation, journal: Vec<JournalEntry>) {
        // Keys that are used again change what an earlier rotation of them says.
        self.rotations.values_mut().for_each(|earlier| earlier.touched = true);
        let watched = Watched::new(rotation, journal);
        self.rotations.insert(watched.rotation.declaration.id.clone(), watched);
    }

    fn source_mut(&mut self, name: &SourceName) -> &mut Source {
        self.sources.entry(name.clone()).or_insert_with(|| Source::new(name.clone()))
    }

    // Commands.

    /// Opens a rotation; the caller then has its keys tracked in its sources.
    pub fn start(&mut self, opening: Opening, now: Timestamp) -> Result<RotationId, Refused> {
        let credential = self
            .declared
            .credentials
            .iter()
            .find(|decl| decl.name == opening.credential)
            .ok_or_else(|| Refused::UnknownCredential(opening.credential.clone()))?;
        if let Some(open) = self.open_rotation(&opening.credential) {
            return Err(Refused::RotationInProgress(open.clone()));
        }
        if opening.old_key.fingerprint == opening.new_key.fingerprint {
            return Err(Refused::SameKey);
        }
        let keys = [opening.old_key.fingerprint, opening.new_key.fingerprint];
        if let Some(probe) = self.probe_of(&keys) {
            return Err(Refused::ProbeKey(probe));
        }
        let started_at = opening.started_at.unwrap_or(now);
        if started_at > now.plus(Duration::from_mins(1)) {
            return Err(Refused::StartsInTheFuture);
        }
        let declaration = Declaration {
            id: self.new_id(&opening.credential),
            credential: opening.credential,
            old_key: opening.old_key,
            new_key: opening.new_key,
            sources: credential.sources.clone(),
            roster: credential.roster.clone(),
            jobs: credential.jobs.clone(),
            overlap: opening.overlap,
        };
        let id = declaration.id.clone();
        self.commit.rotations.push(declaration.clone());
        self.insert_rotation(Rotation::open(declaration, started_at), Vec::new());
        self.append(&id, JournalEvent::Started, started_at, opening.by, opening.note, now);
        Ok(id)
    }

    /// Appends an entry to a rotation's journal and returns its sequence.
    pub fn record(
        &mut self,
        rotation: &RotationId,
        event: JournalEvent,
        at: Option<Timestamp>,
        by: String,
        note: Option<String>,
        now: Timestamp,
    ) -> Result<u64, Refused> {
        let watched = self
            .rotations
            .get(rotation)
            .ok_or_else(|| Refused::UnknownRotation(rotation.clone()))?;
        let at = at.unwrap_or(now);
        watched.rotation.check(&event, at, now)?;
        self.close(rotation, &event, at, now);
        Ok(self.append(rotation, event, at, by, note, now))
    }

    /// Records that `by` is about to revoke on the answer of `epoch`, if that answer still holds.
    pub fn revoke_intent(
        &mut self,
        rotation: &RotationId,
        epoch: &Epoch,
        by: String,
        now: Timestamp,
    ) -> Result<(u64, Timestamp), Refused> {
        let watched = self
            .rotations
            .get(rotation)
            .ok_or_else(|| Refused::UnknownRotation(rotation.clone()))?;
        let answer = self.answer(watched, now);
        if answer.verdict != Verdict::Ready {
            return Err(Refused::NotReady(Box::new(answer)));
        }
        if answer.epoch != *epoch {
            return Err(Refused::StaleEpoch(answer.epoch));
        }
        let event = JournalEvent::RevokeIntent(epoch.clone());
        let sequence = self.append(rotation, event, now, by, None, now);
        Ok((sequence, answer.valid_until))
    }

    fn append(
        &mut self,
        rotation: &RotationId,
        event: JournalEvent,
        at: Timestamp,
        by: String,
        note: Option<String>,
        now: Timestamp,
    ) -> u64 {
        self.journal_sequence += 1;
        let entry = JournalEntry {
            sequence: self.journal_sequence,
            rotation: rotation.clone(),
            event,
            at,
            recorded_at: now,
            by,
            note,
        };
        let watched = self.rotations.get_mut(rotation).expect("the caller looked it up");
        watched.rotation.apply(&entry.event, entry.at);
        watched.journal.push(entry.clone());
        watched.touched = true;
        self.commit.journal.push(entry);
        self.journal_sequence
    }

    /// Returns the name of a probe that has one of `keys`.
    fn probe_of(&self, keys: &[Fingerprint]) -> Option<Arc<str>> {
        let mut probes = self.declared.sources.iter().flat_map(|decl| &decl.policy.probes);
        probes.find(|probe| keys.contains(&probe.key)).map(|probe| Arc::clone(&probe.name))
    }

    fn new_id(&self, credential: &CredentialName) -> RotationId {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = credential.as_str().chars().map(plain).collect();
        RotationId::new(format!("{name}-{}", self.rotations.len() + 1))
    }

    /// Returns the open rotation of a credential.
    pub fn open_rotation(&self, credential: &CredentialName) -> Option<&RotationId> {
        self.rotations.iter().find_map(|(id, watched)| {
            let rotation = &watched.rotation;
            let open = rotation.phase == Phase::Open;
            (open && rotation.declaration.credential == *credential).then_some(id)
        })
    }

    /// Returns the configured keys of a credential; `None` for an unknown one.
    pub fn keys_of(&self, credential: &CredentialName) -> Option<Vec<KeyRef>> {
        let decl = self.declared.credentials.iter().find(|decl| decl.name == *credential);
        decl.map(|decl| decl.keys.clone())
    }

    /// Returns how the anonymous consumers of a credential are kept.
    pub fn anonymous_of(&self, credential: &CredentialName) -> AnonymousConsumers {
        let decl = self.declared.credentials.iter().find(|decl| decl.name == *credential);
        decl.map_or(AnonymousConsumers::Pooled, |decl| decl.policy.anonymous)
    }

    /// Returns the keys of a rotation that a source of it is not matched against yet, or for which
    /// it keeps anonymous consumers in another way: another credential may have the same key.
    pub fn untracked(&self, id: &RotationId) -> Vec<(SourceName, Fingerprint)> {
        let Some(watched) = self.rotations.get(id) else { return Vec::new() };
        let declaration = &watched.rotation.declaration;
        let keys = [declaration.old_key.fingerprint, declaration.new_key.fingerprint];
        let pairs = declaration.sources.iter().flat_map(|source| keys.map(|key| (source, key)));
        let missing = pairs.filter(|(source, key)| {
            let each = self.anonymous_of(&declaration.credential) == AnonymousConsumers::Each;
            each || self.sources.get(*source).is_none_or(|known| !known.is_matched(key))
        });
        missing.map(|(source, key)| (source.clone(), key)).collect()
    }

    // Outputs.

    /// Returns what must be made durable before anything is published; empty when nothing changed.
    pub fn take_commit(&mut self, now: Timestamp) -> Commit {
        for source in self.sources.values_mut() {
            source.drain_changes(&mut self.commit);
        }
        self.ledger.drain_changes(&mut self.commit);
        let mut commit = std::mem::take(&mut self.commit);
        if !commit.is_empty() {
            commit.now = Some(now);
        }
        commit
    }

    /// Returns the next event to publish; call it after the commit.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

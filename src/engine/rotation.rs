//! The journal of a rotation and what follows from it: phase, facts, holds, waivers.
//!
//! The journal is append-only. [`Rotation`] is a fold over it: replaying the same entries gives
//! the same rotation, which is how the daemon comes back after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::engine::answer::Epoch;
use crate::engine::credential::{SourceName, StreamName};
pub use crate::engine::declaration::{Declaration, Job, KeyRef, RosterEntry};
use crate::engine::job::ScheduledJob;
use crate::engine::time::{Span, Timestamp};

/// Identifier of a rotation, unique in one state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RotationId(Arc<str>);

impl RotationId {
    /// Wraps an identifier.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Returns the identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RotationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What can be attested by a person or an orchestrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attestation {
    /// The old key was never used: clears `old_key_unseen`.
    OldKeyUnused,
    /// The `post-generate` checkpoint.
    PostGenerate,
    /// The `post-dual-accept` checkpoint.
    PostDualAccept,
    /// The `canary` checkpoint.
    Canary,
    /// The `post-propagate` checkpoint.
    PostPropagate,
    /// The `post-revoke` checkpoint.
    PostRevoke,
}

impl Attestation {
    /// All attestations.
    pub const ALL: [Self; 6] = [
        Self::OldKeyUnused,
        Self::PostGenerate,
        Self::PostDualAccept,
        Self::Canary,
        Self::PostPropagate,
        Self::PostRevoke,
    ];

    /// Returns the word used in the journal and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OldKeyUnused => "old_key_unused",
            Self::PostGenerate => "post-generate",
            Self::PostDualAccept => "post-dual-accept",
            Self::Canary => "canary",
            Self::PostPropagate => "post-propagate",
            Self::PostRevoke => "post-revoke",
        }
    }
}

/// What a journal entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEvent {
    /// The rotation was opened. Always the first entry.
    Started,
    /// Both keys are valid from here on.
    DualAcceptEnabled,
    /// The consumers were told to move; the notice period starts.
    ConsumersNotified,
    /// The new key was given to every consumer.
    Propagated,
    /// A job of this consumer began.
    JobStarted(Arc<str>),
    /// A job of this consumer ended.
    JobFinished(Arc<str>),
    /// Somebody vouches for a fact that logs cannot show.
    Attested(Attestation),
    /// An incident of this rotation began.
    IncidentOpened,
    /// The incident is over.
    IncidentClosed,
    /// A person had to step in.
    ManualIntervention,
    /// An operator's veto.
    Hold,
    /// The veto is lifted.
    Release,
    /// The consumer does not exist any more.
    ConsumerRetired(Arc<str>),
    /// Until this date the consumer's presentations of the old key block nothing.
    ConsumerWaived(Arc<str>, Timestamp),
    /// The source, or one stream of it, does not exist any more.
    SourceRetired(SourceName, Option<StreamName>),
    /// A caller is about to revoke on an answer of this epoch.
    RevokeIntent(Epoch),
    /// The old key was revoked.
    Revoked,
    /// The rotation was called off.
    RolledBack,
    /// The old key was revoked without a `ready`.
    Override,
}

impl JournalEvent {
    /// Returns the word used in the journal and in JSON.
    pub const fn type_str(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::DualAcceptEnabled => "dual_accept_enabled",
            Self::ConsumersNotified => "consumers_notified",
            Self::Propagated => "propagated",
            Self::JobStarted(_) => "job_started",
            Self::JobFinished(_) => "job_finished",
            Self::Attested(_) => "attested",
            Self::IncidentOpened => "incident_opened",
            Self::IncidentClosed => "incident_closed",
            Self::ManualIntervention => "manual_intervention",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::ConsumerRetired(_) => "consumer_retired",
            Self::ConsumerWaived(..) => "consumer_waived",
            Self::SourceRetired(..) => "source_retired",
            Self::RevokeIntent(_) => "revoke_intent",
            Self::Revoked => "revoked",
            Self::RolledBack => "rolled_back",
            Self::Override => "override",
        }
    }
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Position in the journal of all rotations, from 1.
    pub sequence: u64,
    /// The rotation.
    pub rotation: RotationId,
    /// What is said.
    pub event: JournalEvent,
    /// When it happened.
    pub at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who said it.
    pub by: String,
    /// A remark for people.
    pub note: Option<String>,
}

/// Where a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Both keys may be valid; the drain is watched.
    Open,
    /// The old key was revoked at this time.
    Revoked(Timestamp),
    /// The rotation was called off at this time.
    RolledBack(Timestamp),
}

/// A rotation as its journal tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// What it was declared with.
    pub declaration: Declaration,
    /// Its jobs with their schedules, read when it was opened or restored.
    pub jobs: Arc<[ScheduledJob]>,
    /// Where it stands.
    pub phase: Phase,
    /// When it started.
    pub started_at: Timestamp,
    /// When both keys became valid, if told.
    pub dual_accept_at: Option<Timestamp>,
    /// When the consumers were told, if they were.
    pub notified_at: Option<Timestamp>,
    /// When the new key had been given out, if told.
    pub propagated_at: Option<Timestamp>,
    /// Facts that were vouched for.
    pub attested: BTreeSet<Attestation>,
    /// Since when a hold stands.
    pub hold_since: Option<Timestamp>,
    /// Since when an incident is open.
    pub incident_since: Option<Timestamp>,
    /// Incidents that are open.
    pub open_incidents: u64,
    /// Jobs that began and have not ended: the start of the first, and how many.
    pub running_jobs: BTreeMap<Arc<str>, (Timestamp, u64)>,
    /// Jobs that began and ended: whose, and when.
    pub finished_jobs: Vec<(Arc<str>, Span)>,
    /// Consumers that do not exist any more, since when.
    pub retired: BTreeMap<Arc<str>, Timestamp>,
    /// Consumers whose presentations block nothing until the given time.
    pub waived: BTreeMap<Arc<str>, Timestamp>,
    /// Sources that do not exist any more.
    pub retired_sources: BTreeSet<SourceName>,
    /// Streams that do not exist any more.
    pub retired_streams: BTreeSet<(SourceName, StreamName)>,
    /// Whether a person had to step in.
    pub manual_intervention: bool,
    /// Whether the revocation went ahead without a `ready`.
    pub overridden: bool,
}

/// Why an entry cannot be appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalRefusal {
    /// The rotation is over.
    #[error("the rotation is {0}: it takes no more entries of this type; start a new rotation")]
    Closed(&'static str),
    /// `release` without a hold, `incident_closed` without an incident and the like.
    #[error("{0}")]
    NothingToEnd(&'static str),
    /// The source is not one of the rotation's.
    #[error(
        "source `{0}` is not pinned by this rotation; `keydrain rotation show` lists its sources"
    )]
    UnknownSource(SourceName),
    /// A revocation before the rotation began would be proved by any old denial.
    #[error("`at` lies before the rotation began; leave it out to mean now")]
    BeforeTheStart,
    /// An event that says when something happened lies in the future.
    #[error("`at` lies in the future; leave it out to mean now")]
    InTheFuture,
}

impl Rotation {
    /// Opens a rotation.
    pub fn open(declaration: Declaration, started_at: Timestamp) -> Self {
        let jobs = declaration.jobs.iter().map(|job| ScheduledJob::new(job, started_at)).collect();
        Self {
            declaration,
            jobs,
            phase: Phase::Open,
            started_at,
            dual_accept_at: None,
            notified_at: None,
            propagated_at: None,
            attested: BTreeSet::new(),
            hold_since: None,
            incident_since: None,
            open_incidents: 0,
            running_jobs: BTreeMap::new(),
            finished_jobs: Vec::new(),
            retired: BTreeMap::new(),
            waived: BTreeMap::new(),
            retired_sources: BTreeSet::new(),
            retired_streams: BTreeSet::new(),
            manual_intervention: false,
            overridden: false,
        }
    }

    /// Tells whether the stream is part of the evidence: not retired by the journal.
    pub fn counts_stream(&self, source: &SourceName, stream: &StreamName) -> bool {
        !self.retired_sources.contains(source)
            && !self.retired_streams.contains(&(source.clone(), stream.clone()))
    }

    /// Tells why `event` cannot be appended now, if so. [`apply`](Self::apply) trusts this check.
    pub fn check(
        &self,
        event: &JournalEvent,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), JournalRefusal> {
        // A minute of grace: the caller's clock need not be ours.
        if at > now.plus(std::time::Duration::from_mins(1)) {
            return Err(JournalRefusal::InTheFuture);
        }
        let ends = matches!(event, JournalEvent::Revoked | JournalEvent::Override);
        if ends && at < self.started_at {
            return Err(JournalRefusal::BeforeTheStart);
        }
        // What is still of use after the end: the proof of the revocation, and remarks.
        let remark = matches!(
            event,
            JournalEvent::Attested(Attestation::PostRevoke)
                | JournalEvent::IncidentOpened
                | JournalEvent::IncidentClosed
                | JournalEvent::ManualIntervention
        );
        match self.phase {
            Phase::Open => {}
            Phase::Revoked(_) if remark => {}
            Phase::Revoked(_) => return Err(JournalRefusal::Closed("revoked")),
            Phase::RolledBack(_) => return Err(JournalRefusal::Closed("rolled back")),
        }
        match event {
            JournalEvent::Release if self.hold_since.is_none() => {
                Err(JournalRefusal::NothingToEnd("no hold stands: nothing to release"))
            }
            JournalEvent::IncidentClosed if self.incident_since.is_none() => {
                Err(JournalRefusal::NothingToEnd("no incident is open: nothing to close"))
            }
            JournalEvent::JobFinished(name) if !self.running_jobs.contains_key(name) => {
                Err(JournalRefusal::NothingToEnd("no job of this consumer was started"))
            }
            JournalEvent::SourceRetired(source, _)
                if !self.declaration.sources.contains(source) =>
            {
                Err(JournalRefusal::UnknownSource(source.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Adds an entry that [`check`](Self::check) let pass.
    pub fn apply(&mut self, event: &JournalEvent, at: Timestamp) {
        match event {
            JournalEvent::Started | JournalEvent::RevokeIntent(_) => {}
            // The latest word counts: a later start of a period is never greener.
            JournalEvent::DualAcceptEnabled => {
                self.dual_accept_at = self.dual_accept_at.max(Some(at));
            }
            JournalEvent::ConsumersNotified => self.notified_at = self.notified_at.max(Some(at)),
            JournalEvent::Propagated => self.propagated_at = self.propagated_at.max(Some(at)),
            JournalEvent::JobStarted(name) => {
                self.running_jobs.entry(name.clone()).or_insert((at, 0)).1 += 1;
            }
            JournalEvent::JobFinished(name) => {
                // Two runs may overlap: each must end.
                if let Some((began, running)) = self.running_jobs.get_mut(name) {
                    *running -= 1;
                    if *running == 0 {
                        let run = Span { from: *began, to: at.max(*began) };
                        self.finished_jobs.push((name.clone(), run));
                    }
                }
                self.running_jobs.retain(|_, (_, running)| *running > 0);
            }
            JournalEvent::Attested(what) => {
                self.attested.insert(*what);
            }
            JournalEvent::IncidentOpened => {
                self.incident_since.get_or_insert(at);
                self.open_incidents += 1;
            }
            JournalEvent::IncidentClosed => {
                self.open_incidents = self.open_incidents.saturating_sub(1);
                self.incident_since = self.incident_since.filter(|_| self.open_incidents > 0);
            }
            JournalEvent::ManualIntervention => self.manual_intervention = true,
            JournalEvent::Hold => {
                self.hold_since.get_or_insert(at);
            }
            JournalEvent::Release => self.hold_since = None,
            JournalEvent::ConsumerRetired(name) => {
                self.retired.insert(name.clone(), at);
            }
            JournalEvent::ConsumerWaived(name, until) => {
                self.waived.insert(name.clone(), *until);
            }
            JournalEvent::SourceRetired(source, None) => {
                self.retired_sources.insert(source.clone());
            }
            JournalEvent::SourceRetired(source, Some(stream)) => {
                self.retired_streams.insert((source.clone(), stream.clone()));
            }
            JournalEvent::Revoked => self.phase = Phase::Revoked(at),
            JournalEvent::Override => {
                self.overridden = true;
                self.phase = Phase::Revoked(at);
            }
            JournalEvent::RolledBack => self.phase = Phase::RolledBack(at),
        }
    }
}

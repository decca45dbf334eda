//! What the engine shows at one moment: plain data for every adapter.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::answer::{Answer, SourceSummary, Verdict};
use crate::engine::bytes::ByteLedger;
use crate::engine::checkpoints::{CheckpointRecord, CheckpointStatus};
use crate::engine::coverage::{Gap, WeakFileSystem};
use crate::engine::credential::{CredentialName, StreamName};
use crate::engine::health::{CredentialHealth, ProgramHealth};
use crate::engine::incident::Incident;
use crate::engine::rotation::Rotation;
use crate::engine::state::Violation;
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::GenerationNumber;

/// Where a consumer stands in a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerState {
    /// Seen on the old key only.
    OnOld,
    /// Seen on both, not moved.
    Mixed,
    /// Moved to the new key.
    Moved,
    /// Moved, then back on the old key.
    Regressed,
    /// On the roster and never seen, or gone: away for far longer than it ever was.
    Silent,
    /// Seen on the new key only.
    NewOnly,
    /// Declared not to exist any more.
    Retired,
    /// Excused until a date.
    Waived,
}

impl ConsumerState {
    /// Returns the word used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnOld => "on_old",
            Self::Mixed => "mixed",
            Self::Moved => "moved",
            Self::Regressed => "regressed",
            Self::Silent => "silent",
            Self::NewOnly => "new_only",
            Self::Retired => "retired",
            Self::Waived => "waived",
        }
    }
}

/// A consumer's presentations of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ConsumerUse {
    /// Earliest event time.
    pub first_seen: Option<Timestamp>,
    /// Latest event time.
    pub last_seen: Option<Timestamp>,
    /// Accepted presentations.
    pub accepted: u64,
    /// Denied presentations.
    pub denied: u64,
    /// Failed presentations.
    pub failed: u64,
}

/// One consumer of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerView {
    /// Name, or `anonymous` for the pool.
    pub consumer: String,
    /// Whether it is known by more than its address.
    pub named: bool,
    /// Whom to ask about it, if declared.
    pub owner: Option<String>,
    /// Whether it is declared to belong to another organisation.
    pub third_party: bool,
    /// Where it stands.
    pub state: ConsumerState,
    /// Its presentations of the old key.
    pub old: ConsumerUse,
    /// Its presentations of the new key.
    pub new: ConsumerUse,
    /// Event time of the first accepted use of the new key after the last use of the old one.
    pub moved_at: Option<Timestamp>,
    /// Largest gap between its uses of the old key, to a second.
    pub largest_gap: Duration,
    /// Sessions on the old key.
    pub sessions: u64,
    /// How long its silence on the old key must be to mean something; `None`: it proves nothing.
    pub cadence_bound: Option<Duration>,
}

/// One rotation with its current answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RotationView {
    /// The rotation as its journal tells it.
    pub rotation: Rotation,
    /// The current answer.
    pub answer: Answer,
    /// Since when the verdict has stood.
    pub verdict_since: Timestamp,
    /// When a denied line with the old key proved the revocation.
    pub revocation_verified_at: Option<Timestamp>,
    /// Contrary evidence that came after a `ready`.
    pub violations: Vec<Violation>,
    /// Its checkpoints, in the order of the phases.
    pub checkpoints: Vec<CheckpointRecord>,
    /// Its own incidents, oldest first.
    pub incidents: Vec<Incident>,
}

/// One generation as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationView {
    /// Its number in the stream.
    pub number: GenerationNumber,
    /// The file's name when it was last seen.
    pub path: String,
    /// Where its bytes went.
    pub bytes: ByteLedger,
    /// Event time of the latest line.
    pub last_event: Option<Timestamp>,
    /// Whether nothing more is expected from it.
    pub finished: bool,
}

/// What was seen of one stream, in bytes and in event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCoverage {
    /// The stream.
    pub stream: StreamName,
    /// The newest generations and all that are not finished, the oldest first.
    pub generations: Vec<GenerationView>,
    /// The sum of the ones before them, those that were forgotten included.
    pub earlier: ByteLedger,
    /// Event time that was seen, between the gaps; the last span ends at the watermark.
    pub covered: Vec<Span>,
    /// Largest lateness that a line with a tracked key has shown.
    pub observed_lateness: Duration,
    /// Presentations of tracked keys that came behind the watermark.
    pub violations: u64,
}

/// One source with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceView {
    /// State, watermark, basis and streams; its `gaps` are all gaps for ever.
    pub summary: SourceSummary,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes skipped with a reason.
    pub bytes_skipped: u64,
    /// Bytes known to be missing.
    pub bytes_unknown: u64,
    /// Bytes known to exist and not read yet.
    pub backlog: u64,
    /// What was seen of its streams, in the order of their names.
    pub coverage: Vec<StreamCoverage>,
    /// Lines, rejects included.
    pub lines: u64,
    /// Lines that were not understood.
    pub rejects: u64,
    /// Well-formed lines with a key that is not tracked.
    pub other_keys: u64,
    /// Its probes by name, each with the start of the last second in which it was seen, if ever.
    pub probes: Vec<(Arc<str>, Option<Timestamp>)>,
    /// Refused paths with reasons.
    pub refused: Vec<(String, String)>,
    /// File systems with files of it of which less is sure.
    pub weak: Vec<WeakFileSystem>,
    /// Unreadable paths with reasons.
    pub unreadable: Vec<(String, String)>,
    /// Patterns without a match.
    pub absent: Vec<String>,
}

/// One configured credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialView {
    /// Its name.
    pub name: CredentialName,
    /// Names of its configured keys.
    pub keys: Vec<String>,
    /// Names of its sources.
    pub sources: Vec<String>,
}

/// Everything that is published, of one moment and already committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Identifies this run of the daemon.
    pub instance: String,
    /// Grows with every changed answer of a state, over restarts too.
    pub sequence: u64,
    /// Processing time.
    pub taken_at: Timestamp,
    /// The same by a clock that never steps, whose origin means nothing.
    pub steady: Duration,
    /// Whether the files that existed at start have been read once.
    pub caught_up: bool,
    /// All rotations, newest first.
    pub rotations: Vec<RotationView>,
    /// All sources.
    pub sources: Vec<SourceView>,
    /// All credentials.
    pub credentials: Vec<CredentialView>,
    /// Figures of the whole program.
    pub health: ProgramHealth,
    /// Figures of each credential that is configured or was ever rotated, by name.
    pub credential_health: Vec<CredentialHealth>,
    /// Transactions committed by this run.
    pub commits: u64,
}

/// Something that happened, for logs and event channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The verdict of a rotation changed.
    VerdictChanged {
        /// The rotation and credential, for people and machines.
        answer: Box<Answer>,
        /// The verdict before; `None` for the first one.
        from: Option<Verdict>,
    },
    /// A `ready` was taken back because of contrary evidence.
    Retracted(Violation),
    /// Evidence was lost.
    GapRecorded(Gap),
    /// The clock stepped, or events came from the future.
    ClockSuspect(Timestamp),
    /// A denied line with the old key proved the revocation.
    RevocationVerified(Box<Answer>, Timestamp),
    /// A checkpoint has another status.
    CheckpointChanged {
        /// The checkpoint as it stands now.
        record: CheckpointRecord,
        /// The status before; `None` for the first one.
        from: Option<CheckpointStatus>,
    },
    /// An incident began.
    IncidentBegan(Incident),
}

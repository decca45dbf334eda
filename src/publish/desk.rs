//! The desk between the network and the daemon: what may be asked, and how it may be refused.
//!
//! The daemon answers requests one after the other in the loop that owns the engine. It commits
//! first, then publishes the new snapshot, then replies: a caller that was told of a rotation
//! finds it at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::answer::{Answer, Epoch};
use crate::engine::credential::{CredentialName, Fingerprint};
use crate::engine::plan::Plan;
use crate::engine::preflight::Finding;
use crate::engine::rotation::{JournalEntry, JournalEvent, JournalRefusal, RotationId};
use crate::engine::time::Timestamp;
use crate::engine::velocity::Migration;
use crate::engine::view::{ConsumerView, Snapshot};

/// The publishing side's two ends: what to show, and where to ask.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The newest committed snapshot.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Requests to the daemon. Bounded by whoever makes it; when full, callers wait, then get 503.
    pub requests: mpsc::Sender<Request>,
}

/// A request that only the owner of the engine can answer.
#[derive(Debug)]
pub enum Request {
    /// Open a rotation.
    Start(StartRotation, oneshot::Sender<Result<RotationId, Refusal>>),
    /// Append an entry to a rotation's journal.
    Record {
        /// The rotation.
        rotation: RotationId,
        /// What is said: neither `started` nor `revoke_intent`.
        event: JournalEvent,
        /// When it happened; `None`: now.
        at: Option<Timestamp>,
        /// Who says it.
        by: String,
        /// A remark for people.
        note: Option<String>,
        /// Gets the entry's sequence.
        reply: oneshot::Sender<Result<u64, Refusal>>,
    },
    /// Declare that the old key is about to be revoked on an answer of this epoch.
    RevokeIntent {
        /// The rotation.
        rotation: RotationId,
        /// The epoch of the answer the caller acts on.
        epoch: Epoch,
        /// Who says it.
        by: String,
        /// Gets the intent.
        reply: oneshot::Sender<Result<Intent, Refusal>>,
    },
    /// List a rotation's consumers; `None`: no such rotation.
    Consumers {
        /// The rotation.
        rotation: RotationId,
        /// Gets the consumers.
        reply: oneshot::Sender<Result<Option<Vec<ConsumerView>>, Refusal>>,
    },
    /// Report on a rotation's migration; `None`: no such rotation.
    Migration {
        /// The rotation.
        rotation: RotationId,
        /// Gets the report.
        reply: oneshot::Sender<Result<Option<Box<Migration>>, Refusal>>,
    },
    /// Look for what stands in the way of a rotation of a credential.
    Preflight {
        /// The credential.
        credential: CredentialName,
        /// Name of the key to retire; `None`: each that was seen.
        old_key: Option<String>,
        /// Gets the findings.
        reply: oneshot::Sender<Result<Vec<Finding>, Refusal>>,
    },
    /// Recommend periods for the next rotation of a credential.
    Plan {
        /// The credential.
        credential: CredentialName,
        /// Name of the key to retire; `None`: the one used last.
        key: Option<String>,
        /// Gets the plan.
        reply: oneshot::Sender<Result<Box<Plan>, Refusal>>,
    },
    /// List a rotation's journal, oldest first; `None`: no such rotation.
    Journal {
        /// The rotation.
        rotation: RotationId,
        /// Gets the entries.
        reply: oneshot::Sender<Result<Option<Vec<JournalEntry>>, Refusal>>,
    },
}

/// What a rotation is to be opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRotation {
    /// The credential.
    pub credential: CredentialName,
    /// Key A, to be retired.
    pub old_key: KeyChoice,
    /// Key B, its successor.
    pub new_key: KeyChoice,
    /// When it began; `None`: now.
    pub started_at: Option<Timestamp>,
    /// Allocated overlap; `None`: the policy's `max_overlap`.
    pub overlap: Option<Duration>,
    /// Who opens it.
    pub by: String,
    /// A remark for people.
    pub note: Option<String>,
}

/// How a request names a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChoice {
    /// A key of the config, by its name.
    Configured(String),
    /// A key by its fingerprint.
    Fingerprint {
        /// Name to show.
        name: String,
        /// The key.
        fingerprint: Fingerprint,
    },
    /// A key by its public id.
    Id {
        /// Name to show.
        name: String,
        /// The id as the log shows it.
        id: String,
    },
}

/// A recorded intent to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Sequence of the journal entry.
    pub intent: u64,
    /// The revocation must begin before this time.
    pub valid_until: Timestamp,
}

/// Why the daemon does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The config has no such credential.
    #[error("no such credential; `GET /v1/credentials` lists them")]
    UnknownCredential,
    /// The state has no such rotation.
    #[error("no such rotation; `GET /v1/rotations` lists them")]
    UnknownRotation,
    /// No key of this name is configured. The name is kept out of the message: a caller may have
    /// put a raw key there.
    #[error(
        "a key of the request is not configured for this credential; name one of its `keys`, or \
         start the rotation with {{name, fingerprint}} or {{name, id}}"
    )]
    UnknownKey(String),
    /// The credential has an open rotation already.
    #[error("rotation {0} is open; end it with `revoked` or `rolled_back` first")]
    RotationInProgress(RotationId),
    /// Old and new key are one key.
    #[error("old_key and new_key are the same key")]
    SameKey,
    /// The journal does not take the entry.
    #[error(transparent)]
    Journal(#[from] JournalRefusal),
    /// The answer that the caller acts on is not the current one.
    #[error("the answer has changed; read readiness again and decide anew")]
    StaleEpoch {
        /// The current epoch.
        current: Epoch,
    },
    /// The current answer is `not_ready`.
    #[error("not ready: {}", .0.message)]
    NotReady(Box<Answer>),
    /// The current answer is `unknown`.
    #[error("unknown: {}", .0.message)]
    Unknown(Box<Answer>),
    /// What was asked could not be made durable.
    #[error(
        "the state cannot be written ({0}); nothing was recorded, free space or fix permissions"
    )]
    StateUnwritable(String),
    /// A value that only the daemon can judge is out of bounds.
    #[error("{0}")]
    Invalid(String),
}

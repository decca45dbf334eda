//! What the machine is told and how it refuses: declarations, openings, refusals.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::answer::{Answer, Epoch};
use crate::engine::credential::{CredentialName, SourceName};
use crate::engine::evidence::SourceDecl;
use crate::engine::policy::Policy;
use crate::engine::rotation::{Job, JournalRefusal, KeyRef, RosterEntry, RotationId};
use crate::engine::time::Timestamp;

/// A credential as the configuration declares it.
#[derive(Clone, Debug)]
pub struct CredentialDecl {
    /// Its name.
    pub name: CredentialName,
    /// Its keys.
    pub keys: Vec<KeyRef>,
    /// Its sources.
    pub sources: Vec<SourceName>,
    /// Its consumers.
    pub roster: Vec<RosterEntry>,
    /// Its jobs.
    pub jobs: Vec<Job>,
    /// What is demanded.
    pub policy: Policy,
}

/// What the configuration declares, as far as the engine is concerned.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The sources.
    pub sources: Vec<SourceDecl>,
    /// The credentials.
    pub credentials: Vec<CredentialDecl>,
}

/// A request to open a rotation, with its keys resolved.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The credential.
    pub credential: CredentialName,
    /// Key A.
    pub old_key: KeyRef,
    /// Key B.
    pub new_key: KeyRef,
    /// When the rotation started; now if not told.
    pub started_at: Option<Timestamp>,
    /// Allocated overlap.
    pub overlap: Option<Duration>,
    /// Who asks.
    pub by: String,
    /// A remark for people.
    pub note: Option<String>,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No such credential in the configuration.
    #[error("no credential `{0}` is configured")]
    UnknownCredential(CredentialName),
    /// No such rotation.
    #[error("no rotation `{0}`")]
    UnknownRotation(RotationId),
    /// Another rotation of the credential is open.
    #[error("rotation `{0}` of this credential is open; end it with revoked or rolled_back first")]
    RotationInProgress(RotationId),
    /// Old and new key are the same.
    #[error("old and new key are the same key")]
    SameKey,
    /// One of the keys is a probe's.
    #[error("probe `{0}` has one of these keys; give the probe a key of its own")]
    ProbeKey(Arc<str>),
    /// `started_at` lies in the future.
    #[error("`started_at` lies in the future; leave it out to mean now")]
    StartsInTheFuture,
    /// The journal does not take the entry.
    #[error(transparent)]
    Journal(#[from] JournalRefusal),
    /// The epoch presented is not the current one.
    #[error("the answer changed; its epoch is {0} now: look again before you revoke")]
    StaleEpoch(Epoch),
    /// The verdict is not `ready`.
    #[error("not ready: {}", .0.message)]
    NotReady(Box<Answer>),
}

/// What a question named that is not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The credential.
    Credential,
    /// A key of the credential.
    Key,
}

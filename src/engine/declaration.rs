//! What a rotation is declared with: its keys, its sources, the consumers that must move.
//!
//! Pinned when the rotation opens: a config reload changes none of it.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::credential::{CredentialName, Fingerprint, SourceName};
use crate::engine::rotation::RotationId;

/// A key of a rotation: the name to show and the fingerprint to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRef {
    /// Name in the config or in the request that started the rotation.
    pub name: Arc<str>,
    /// The key.
    pub fingerprint: Fingerprint,
    /// Public id as the log shows it, to search rejected lines for; `None` for a secret.
    pub id: Option<Arc<str>>,
}

/// One entry of a roster: a consumer that is expected to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// Name as the log (or the consumer map) shows it.
    pub name: Arc<str>,
    /// Another organisation: the overlap lasts at least 72 h unless set.
    pub third_party: bool,
    /// One process holds the key: its first use of the new key moves it.
    pub single: bool,
    /// A health check with a key: proves visibility, never that anybody moved.
    pub synthetic: bool,
    /// How long it may go on using a key it has in a cache.
    pub max_cache_ttl: Duration,
    /// How long a connection it opened with the old key may last.
    pub max_connection_lifetime: Duration,
    /// Notice that it is given before the old key goes, where it differs from the policy's.
    pub notice_period: Option<Duration>,
    /// Whom to ask about it: shown beside its name.
    pub owner: Option<Arc<str>>,
}

impl RosterEntry {
    /// Makes an entry of which nothing but the name is known.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            third_party: false,
            single: false,
            synthetic: false,
            max_cache_ttl: Duration::ZERO,
            max_connection_lifetime: Duration::ZERO,
            notice_period: None,
            owner: None,
        }
    }
}

/// A scheduled job of a consumer: it must have run on the new key before the old one goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The consumer that it shows as.
    pub consumer: Arc<str>,
    /// Five-field cron expression.
    pub schedule: Arc<str>,
    /// Time zone of the schedule, by its IANA name; UTC if not told.
    pub zone: Option<Arc<str>>,
    /// How long a run may last.
    pub max_runtime: Duration,
}

/// What a rotation was declared with. Pinned: a config reload does not change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Identifier.
    pub id: RotationId,
    /// The credential.
    pub credential: CredentialName,
    /// Key A, being retired.
    pub old_key: KeyRef,
    /// Key B, its successor.
    pub new_key: KeyRef,
    /// The declared sources at the start.
    pub sources: Vec<SourceName>,
    /// The declared consumers at the start.
    pub roster: Vec<RosterEntry>,
    /// The declared jobs at the start.
    pub jobs: Vec<Job>,
    /// Overlap that was allocated; the policy's `max_overlap` otherwise.
    pub overlap: Option<Duration>,
}

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
    /// Overlap that was allocated; the policy's `max_overlap` otherwise.
    pub overlap: Option<Duration>,
}

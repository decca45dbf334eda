//! What went wrong in a rotation by the log's own word: each occurrence once, for ever.
//!
//! Incidents that people post stand in the journal, and a `ready` that was taken back stands among
//! the violations: neither is kept here a second time.

use std::time::Duration;

use crate::engine::ledger::{Ledger, Presentations};
use crate::engine::rotation::{KeyRef, RotationId};
use crate::engine::time::Timestamp;

/// What comes back within this time is the same occurrence.
pub const SAME_OCCURRENCE: Duration = Duration::from_hours(1);

/// What kind of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IncidentKind {
    /// The old key was accepted although it was revoked.
    RevocationLeak,
    /// The new key was denied too often.
    NewKeyFailing,
    /// The overlap lasted longer than allocated.
    OverlapOverdue,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::RevocationLeak, Self::NewKeyFailing, Self::OverlapOverdue];

    /// Returns the word used in JSON, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevocationLeak => "revocation_leak",
            Self::NewKeyFailing => "new_key_failing",
            Self::OverlapOverdue => "overlap_overdue",
        }
    }
}

/// One occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The rotation.
    pub rotation: RotationId,
    /// What kind.
    pub kind: IncidentKind,
    /// Whom or what it is about: a consumer, a key, or `*`.
    pub subject: String,
    /// When it was noticed.
    pub at: Timestamp,
    /// When it was over; `None`: it goes on. A leak is over when it is noticed.
    pub ended_at: Option<Timestamp>,
    /// What happened, for people.
    pub message: String,
}

/// An accepted use of a key that is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak<'a> {
    /// Who used it.
    pub consumer: &'a str,
    /// Start of the second of the first such use.
    pub first: Timestamp,
    /// Start of the second of the last such use.
    pub last: Timestamp,
}

/// Returns who used `key` with success later than `bound` and before `until`, by name.
///
/// A line that was read late shows that the key was used, and not when: it proves no leak.
pub fn leaks<'a>(
    ledger: &'a Ledger,
    key: &KeyRef,
    bound: Timestamp,
    until: Option<Timestamp>,
) -> Vec<Leak<'a>> {
    let consumers = ledger.of_key(key.fingerprint).into_iter().flatten();
    let leak = |uses: &Presentations| {
        let first = uses.accepted.first_after(bound)?;
        let last = uses.accepted.last()?;
        // What came after the key was taken into use again is no leak.
        let last = until.map_or(last, |until| if last < until { last } else { first });
        (until.is_none_or(|until| first < until)).then_some((first, last))
    };
    let found = consumers.filter_map(|(consumer, uses)| {
        let (first, last) = leak(uses)?;
        Some(Leak { consumer: consumer.as_str(), first, last })
    });
    found.collect()
}

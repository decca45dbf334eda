//! What an operator demands before a key may go: durations, bounds and how strict to be.
//!
//! Values are validated where they are read (`config/`); here they are only carried.

use std::time::Duration;

use crate::engine::credential::SourceName;
use crate::engine::declaration::RosterEntry;
use crate::engine::probe::Probe;

/// Which consumers a [`threshold`](Policy::threshold) is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdOf {
    /// The pool of anonymous ones alone.
    Anonymous,
    /// All together.
    All,
}

/// How consumers known only by address or user agent are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnonymousConsumers {
    /// As one pool.
    Pooled,
    /// Each by its address.
    Each,
}

/// Policy of one credential. Every duration is zero or positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Event-time span without a presentation of the old key that is demanded at least.
    pub quiet_period: Duration,
    /// A cycle in which a regular use must show up: enters the required quiet.
    pub monitoring_cycle: Duration,
    /// Presentations of the old key per quiet period that are tolerated.
    pub threshold: u64,
    /// Whose presentations may be tolerated.
    pub threshold_of: ThresholdOf,
    /// How anonymous consumers are kept.
    pub anonymous: AnonymousConsumers,
    /// Observed event time that is demanded before silence means anything.
    pub min_history: Duration,
    /// Both keys stay valid at least this long; `None`: 72 h with a third party, else 1 h.
    pub min_overlap: Option<Duration>,
    /// After this the overlap is overdue.
    pub max_overlap: Duration,
    /// Time that consumers are given after the notification.
    pub notice_period: Duration,
    /// The credential belongs to another organisation.
    pub third_party: bool,
    /// How long a consumer may use a key it holds in a cache.
    pub max_cache_ttl: Duration,
    /// How long a connection opened with the old key may last.
    pub max_connection_lifetime: Duration,
    /// How long a session token bought with the old key lives.
    pub max_session_lifetime: Duration,
    /// Uses closer together than this are one session.
    pub session_gap: Duration,
    /// Factor on the largest gap of a consumer that uses both keys, or that fell silent unmoved.
    pub cadence_factor: f64,
    /// Gaps between sessions that must be known before silence can mean that a consumer is gone.
    pub cadence_min_samples: u64,
    /// The watermark may be this old at most.
    pub max_evidence_lag: Duration,
    /// Share of the lines of the window that may be rejects.
    pub max_reject_ratio: f64,
    /// Allowance for clocks that differ: enters the required quiet.
    pub clock_skew: Duration,
    /// How far in the future an event may lie.
    pub future_tolerance: Duration,
    /// How long an answer may be acted on.
    pub lease: Duration,
    /// How long a revocation may take to reach every server.
    pub propagation_bound: Duration,
    /// Share of the new key's requests that may be denied.
    pub new_key_denied_ratio: f64,
    /// Least and largest share of the requests that a canary has on the new key.
    pub canary_share: (f64, f64),
    /// How long a canary is observed.
    pub canary_period: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            quiet_period: minutes(15),
            monitoring_cycle: minutes(5),
            threshold: 0,
            threshold_of: ThresholdOf::Anonymous,
            anonymous: AnonymousConsumers::Pooled,
            min_history: minutes(7 * 24 * 60),
            min_overlap: None,
            max_overlap: minutes(30 * 24 * 60),
            notice_period: Duration::ZERO,
            third_party: false,
            max_cache_ttl: Duration::ZERO,
            max_connection_lifetime: Duration::ZERO,
            max_session_lifetime: Duration::ZERO,
            session_gap: minutes(15),
            cadence_factor: 2.0,
            cadence_min_samples: 5,
            max_evidence_lag: minutes(10),
            max_reject_ratio: 0.01,
            clock_skew: Duration::from_secs(5),
            future_tolerance: minutes(1),
            lease: minutes(1),
            propagation_bound: minutes(60),
            new_key_denied_ratio: 0.01,
            canary_share: (0.01, 0.25),
            canary_period: minutes(15),
        }
    }
}

impl Policy {
    /// Returns how long both keys stay valid at least: as set, else 72 h with another organisation
    /// on the roster or behind the credential, else 1 h.
    pub fn least_overlap(&self, roster: &[RosterEntry]) -> Duration {
        let third_party = self.third_party || roster.iter().any(|entry| entry.third_party);
        let default = Duration::from_hours(if third_party { 72 } else { 1 });
        self.min_overlap.unwrap_or(default)
    }

    /// Returns a digest that changes with any value, those of `sources` included: 16 hex digits.
    pub fn digest<'s>(
        &self,
        sources: impl IntoIterator<Item = (&'s SourceName, &'s SourcePolicy)>,
    ) -> String {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new_with_prefix(format!("policy 1 {self:?}"));
        for (name, policy) in sources {
            hash.update(format!("\n{name:?} {policy:?}"));
        }
        crate::engine::wording::hex(&hash.finalize()[..8])
    }
}

/// What the lines of a source can prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// That a key was used, and that it was not.
    Complete,
    /// That a key was used, never that it was not: it loses lines by its maker's own words.
    PositiveOnly {
        /// A complete source that sees the same requests.
        covered_by: Option<SourceName>,
    },
}

/// What is declared of one source, as far as the decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePolicy {
    /// How late a line may be readable after its event time.
    pub allowed_lateness: Duration,
    /// Whether the value is lower than the preset's: an assumption, shown as one.
    pub lateness_assumed: bool,
    /// Silence longer than this is no evidence.
    pub idle_after: Duration,
    /// Whether a confirmed end of file proves idleness (`silence = "idle"`): an assumption.
    pub silence_is_idle: bool,
    /// What its lines can prove.
    pub completeness: Completeness,
    /// The probes that must show up in it.
    pub probes: Vec<Probe>,
}

//! The answer of the decision: verdict, reasons and the evidence they rest on.
//!
//! Plain data, made by `readiness.rs` and shown by every adapter. A caller tells answers apart by
//! [`Epoch`]: it changes when the verdict, a reason or a fact about the old key does, not when the
//! watermark moves.

use std::fmt;
use std::time::Duration;

use crate::engine::coverage::{Basis, Gap, SourceState};
use crate::engine::credential::{CredentialName, SourceName, StreamName};
pub use crate::engine::reason::{Blocker, Code, Ground, Kind, Warning, WarningCode};
use crate::engine::rotation::RotationId;
use crate::engine::time::{Span, Timestamp};

/// Whether the old key is safe to revoke: three values, never a bool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proved quiet, from every source, over the whole window.
    Ready,
    /// Something known stands against it.
    NotReady,
    /// Evidence is missing.
    Unknown,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 3] = [Self::Ready, Self::NotReady, Self::Unknown];

    /// Returns the word used in JSON, metrics and text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not_ready",
            Self::Unknown => "unknown",
        }
    }
}

/// Digest of everything an answer rests on except the passage of time: 16 hex digits.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Epoch(String);

impl Epoch {
    /// Wraps a digest, as an answer or a caller gives it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was seen of one key since observing began.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeyCounts {
    /// Name of the key.
    pub name: String,
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

/// The window the answer speaks about, itemised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredWindow {
    /// The required quiet, ending at the watermark; `None` without a watermark.
    pub span: Option<Span>,
    /// What the required quiet is made of, in the order they are added or compared.
    pub terms: Vec<(&'static str, Duration)>,
    /// The required quiet.
    pub required: Duration,
}

/// Evidence of one stream in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream.
    pub name: StreamName,
    /// Its state.
    pub state: SourceState,
    /// Its watermark.
    pub watermark: Option<Timestamp>,
    /// Generations of which bytes are still expected.
    pub generations: u64,
}

/// Evidence of one source in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSummary {
    /// The source.
    pub name: SourceName,
    /// The worst state of its streams.
    pub state: SourceState,
    /// The least watermark of its streams.
    pub watermark: Option<Timestamp>,
    /// What the watermark rests on.
    pub basis: Basis,
    /// When its probe was last seen, in event time: of several, the one longest out of sight.
    pub probe_last_seen: Option<Timestamp>,
    /// Gaps that meet the window.
    pub gaps: Vec<Gap>,
    /// Rejected lines in the window.
    pub rejects: u64,
    /// Its streams.
    pub streams: Vec<StreamSummary>,
}

/// How many consumers are in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ConsumerCounts {
    /// All consumers known for the old key, on the roster or of a job, and those seen on the new key.
    pub total: u64,
    /// Moved to the new key.
    pub moved: u64,
    /// Seen on the old key only.
    pub on_old: u64,
    /// Seen on both, not moved.
    pub mixed: u64,
    /// Moved, then back on the old key.
    pub regressed: u64,
    /// On the roster and never seen, or gone.
    pub silent: u64,
    /// Seen on the new key only.
    pub new_only: u64,
    /// Declared not to exist any more.
    pub retired: u64,
    /// Excused until a date.
    pub waived: u64,
}

/// What silence alone would prove, were uses to come at a steady rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Observed event time without a presentation that counts, up to the watermark; never zero.
    pub quiet: Duration,
}

impl Silence {
    /// Returns the least steady rate, in uses per hour, that it excludes at 95 %.
    ///
    /// Rule of three: no use in time T excludes a rate above 3/T, as e⁻³ is just below 5 %
    /// (Hanley and Lippman-Hand, JAMA 249, 1983).
    pub fn excludes_per_hour(self) -> f64 {
        3.0 * 3_600.0 / self.quiet.as_secs_f64()
    }
}

/// The whole answer for one rotation at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The rotation.
    pub rotation: RotationId,
    /// Its credential.
    pub credential: CredentialName,
    /// The verdict.
    pub verdict: Verdict,
    /// One line with the first reason.
    pub message: String,
    /// All blockers, in order of precedence.
    pub blockers: Vec<Blocker>,
    /// All warnings.
    pub warnings: Vec<Warning>,
    /// The old key.
    pub old_key: KeyCounts,
    /// The new key.
    pub new_key: KeyCounts,
    /// The window.
    pub window: RequiredWindow,
    /// Event time before which no more events are expected from any source.
    pub watermark: Option<Timestamp>,
    /// Since when every source has been observed without a break, in event time.
    pub observing_since: Option<Timestamp>,
    /// Evidence per source.
    pub sources: Vec<SourceSummary>,
    /// Consumers by state.
    pub consumers: ConsumerCounts,
    /// What the silence so far would prove alone; `None` while there is none.
    pub silence: Option<Silence>,
    /// When it would be ready if nothing else happens; `None` if more than time is missing.
    pub earliest_ready_at: Option<Timestamp>,
    /// Processing time of the decision.
    pub evaluated_at: Timestamp,
    /// No caller may act on the answer at or after this time.
    pub valid_until: Timestamp,
    /// Tells answers apart.
    pub epoch: Epoch,
}

impl Answer {
    /// Returns the answer as it may be shown when the daemon itself cannot vouch for it.
    ///
    /// A proof stays a proof; everything else is unknown. The blockers are kept for people. The
    /// epoch differs from the original's, so that no cached copy passes for it.
    #[must_use]
    pub fn doubted(&self, code: Code, message: &str, since: Timestamp) -> Self {
        let proved = self.blockers.iter().any(|blocker| blocker.code.ground() == Ground::Proof);
        let mut doubted = self.clone();
        let doubt = Blocker {
            code,
            subject: "*".to_owned(),
            message: message.to_owned(),
            since: Some(since),
            clears_at: None,
        };
        doubted.blockers.insert(0, doubt);
        doubted.blockers.sort_by_key(|blocker| blocker.code.ground());
        doubted.verdict = if proved { Verdict::NotReady } else { Verdict::Unknown };
        doubted.message = doubted.blockers[0].message.clone();
        doubted.earliest_ready_at = None;
        doubted.epoch = Epoch::new(format!("{}-{}", self.epoch, code.as_str()));
        doubted
    }
}

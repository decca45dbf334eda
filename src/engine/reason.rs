//! The names of reasons: blocker codes with their kind and ground, warnings.
//!
//! The same word stands in JSON, metrics, logs, tests and docs. A code is added here, gets its
//! rule in `readiness.rs`, and its rows in the truth table.

use crate::engine::time::Timestamp;

/// What a blocker is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was not seen.
    Evidence,
    /// The old key's use.
    Usage,
    /// A consumer.
    Consumer,
    /// A scheduled job.
    Job,
    /// A period that is not over.
    Time,
    /// The state of the rotation or of the new key.
    Health,
}

impl Kind {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Usage => "usage",
            Self::Consumer => "consumer",
            Self::Job => "job",
            Self::Time => "time",
            Self::Health => "health",
        }
    }
}

/// How strong a blocker is: the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// Something was seen. One is enough for `not_ready`.
    Proof,
    /// Evidence is missing: `unknown`, unless something was proved.
    Evidence,
    /// Nothing was seen yet, with complete evidence: `not_ready`.
    Absence,
}

impl Ground {
    /// Returns the word used as `basis` of a blocker in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Evidence => "evidence",
            Self::Absence => "absence",
        }
    }
}

/// Name of a blocker. The list is closed here; clients must tolerate new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The old key was presented within the quiet period.
    OldKeyInUse,
    /// The old key was presented and denied within the quiet period.
    OldKeyDenied,
    /// A consumer moved and then used the old key again.
    ConsumerRegressed,
    /// A job began and has not ended.
    JobRunning,
    /// The keys were not both valid for long enough.
    MinOverlap,
    /// The notice given to consumers is not over.
    NoticeRunning,
    /// The new key is denied too often.
    NewKeyFailing,
    /// An incident of this rotation is open.
    IncidentOpen,
    /// An operator's veto.
    Hold,
    /// The rotation was called off.
    RolledBack,
    /// The rotation is not open.
    WrongPhase,
    /// The watermark is too old.
    SourceBehind,
    /// A source does not exist.
    SourceAbsent,
    /// A source cannot be read.
    SourceUnreadable,
    /// A service masks the keys in a source.
    SourceMasked,
    /// A stream has had no line for too long.
    SourceSilent,
    /// A stream never showed a key of this rotation.
    SourceBlind,
    /// No line with the old key was ever read.
    OldKeyUnseen,
    /// Evidence of the window is lost.
    CoverageGap,
    /// Too little event time was observed.
    ObservationTooShort,
    /// A configured probe was not seen.
    ProbeMissing,
    /// Too many lines were not understood, or one of them holds the old key.
    Rejects,
    /// A source loses lines by its maker's own words, and nothing covers it.
    PositiveOnly,
    /// More consumers than are kept apart.
    ConsumerLimit,
    /// The clock stepped, or events come from the future.
    ClockSuspect,
    /// The state cannot be written: what was read cannot be kept.
    StateUnwritable,
    /// The answer is older than its lease: the daemon stopped deciding.
    AnswerExpired,
    /// The required quiet is not over.
    QuietRunning,
    /// Caches and connections may still hold the old key.
    ExposureRunning,
    /// A consumer of the old key has not moved.
    ConsumerNotMoved,
    /// A consumer of the roster was never seen.
    ConsumerMissing,
    /// A declared job has had no run on the new key.
    JobNotSeen,
    /// The new key was not used after the last use of the old one.
    NewKeyUnused,
}

impl Code {
    /// All codes, in order of precedence.
    pub const ALL: [Self; 33] = [
        Self::OldKeyInUse,
        Self::OldKeyDenied,
        Self::ConsumerRegressed,
        Self::JobRunning,
        Self::MinOverlap,
        Self::NoticeRunning,
        Self::NewKeyFailing,
        Self::IncidentOpen,
        Self::Hold,
        Self::RolledBack,
        Self::WrongPhase,
        Self::SourceBehind,
        Self::SourceAbsent,
        Self::SourceUnreadable,
        Self::SourceMasked,
        Self::SourceSilent,
        Self::SourceBlind,
        Self::OldKeyUnseen,
        Self::CoverageGap,
        Self::ObservationTooShort,
        Self::ProbeMissing,
        Self::Rejects,
        Self::PositiveOnly,
        Self::ConsumerLimit,
        Self::ClockSuspect,
        Self::StateUnwritable,
        Self::AnswerExpired,
        Self::QuietRunning,
        Self::ExposureRunning,
        Self::ConsumerNotMoved,
        Self::ConsumerMissing,
        Self::JobNotSeen,
        Self::NewKeyUnused,
    ];

    /// Returns the word used in JSON, metrics, logs and docs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OldKeyInUse => "old_key_in_use",
            Self::OldKeyDenied => "old_key_denied",
            Self::ConsumerRegressed => "consumer_regressed",
            Self::JobRunning => "job_running",
            Self::MinOverlap => "min_overlap",
            Self::NoticeRunning => "notice_running",
            Self::NewKeyFailing => "new_key_failing",
            Self::IncidentOpen => "incident_open",
            Self::Hold => "hold",
            Self::RolledBack => "rolled_back",
            Self::WrongPhase => "wrong_phase",
            Self::SourceBehind => "source_behind",
            Self::SourceAbsent => "source_absent",
            Self::SourceUnreadable => "source_unreadable",
            Self::SourceMasked => "source_masked",
            Self::SourceSilent => "source_silent",
            Self::SourceBlind => "source_blind",
            Self::OldKeyUnseen => "old_key_unseen",
            Self::CoverageGap => "coverage_gap",
            Self::ObservationTooShort => "observation_too_short",
            Self::ProbeMissing => "probe_missing",
            Self::Rejects => "rejects",
            Self::PositiveOnly => "positive_only",
            Self::ConsumerLimit => "consumer_limit",
            Self::ClockSuspect => "clock_suspect",
            Self::StateUnwritable => "state_unwritable",
            Self::AnswerExpired => "answer_expired",
            Self::QuietRunning => "quiet_running",
            Self::ExposureRunning => "exposure_running",
            Self::ConsumerNotMoved => "consumer_not_moved",
            Self::ConsumerMissing => "consumer_missing",
            Self::JobNotSeen => "job_not_seen",
            Self::NewKeyUnused => "new_key_unused",
        }
    }

    /// Returns what a blocker with this code is about.
    pub const fn kind(self) -> Kind {
        match self {
            Self::OldKeyInUse | Self::OldKeyDenied | Self::QuietRunning => Kind::Usage,
            Self::ConsumerRegressed
            | Self::ExposureRunning
            | Self::ConsumerNotMoved
            | Self::ConsumerMissing => Kind::Consumer,
            Self::JobRunning | Self::JobNotSeen => Kind::Job,
            Self::MinOverlap | Self::NoticeRunning => Kind::Time,
            Self::NewKeyFailing
            | Self::IncidentOpen
            | Self::Hold
            | Self::RolledBack
            | Self::WrongPhase
            | Self::NewKeyUnused => Kind::Health,
            Self::SourceBehind
            | Self::SourceAbsent
            | Self::SourceUnreadable
            | Self::SourceMasked
            | Self::SourceSilent
            | Self::SourceBlind
            | Self::OldKeyUnseen
            | Self::CoverageGap
            | Self::ObservationTooShort
            | Self::ProbeMissing
            | Self::Rejects
            | Self::PositiveOnly
            | Self::ConsumerLimit
            | Self::ClockSuspect
            | Self::StateUnwritable
            | Self::AnswerExpired => Kind::Evidence,
        }
    }

    /// Returns how strong a blocker with this code is.
    pub const fn ground(self) -> Ground {
        match self {
            Self::QuietRunning
            | Self::ExposureRunning
            | Self::ConsumerNotMoved
            | Self::ConsumerMissing
            | Self::JobNotSeen
            | Self::NewKeyUnused => Ground::Absence,
            _ => match self.kind() {
                Kind::Evidence => Ground::Evidence,
                _ => Ground::Proof,
            },
        }
    }
}

/// A named reason why the verdict is not `ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Which reason.
    pub code: Code,
    /// Whom or what it is about: a consumer, a stream, a source, a key, or `*`.
    pub subject: String,
    /// One sentence for people: what stands and what clears it.
    pub message: String,
    /// Since when it stands, where that is known.
    pub since: Option<Timestamp>,
    /// Processing time at which it clears if nothing else happens, where that is known.
    pub clears_at: Option<Timestamp>,
}

impl Blocker {
    /// Makes a blocker of which neither the beginning nor the end is known.
    pub fn new(code: Code, subject: &str, message: String) -> Self {
        Self { code, subject: subject.to_owned(), message, since: None, clears_at: None }
    }

    /// Says since when it stands.
    #[must_use]
    pub fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    /// Says when it clears if nothing else happens.
    #[must_use]
    pub fn clears(self, at: Timestamp) -> Self {
        Self { clears_at: Some(at), ..self }
    }
}

/// Name of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WarningCode {
    /// The overlap lasts longer than allocated: an alert.
    OverlapOverdue,
    /// A gap lies before the window.
    HistoryGap,
    /// A declared lateness is below the preset's.
    AssumedLateness,
    /// Silence was declared to be idleness.
    AssumedIdle,
    /// A path was refused.
    RefusedPath,
    /// Some consumers are known only by their address.
    ConsumersUnidentified,
    /// A phase was inferred from the log instead of told.
    InferredFact,
    /// A place where the key was to be never showed one.
    PlaceUnproved,
    /// So little was seen that silence says little.
    SparseEvidence,
    /// Tolerated presentations of the old key: who would be cut off.
    ThresholdUsed,
    /// Nearly as many consumers as are kept apart.
    ConsumerLimitNear,
    /// A file system on which a file is not surely known.
    WeakFileSystem,
}

impl WarningCode {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OverlapOverdue => "overlap_overdue",
            Self::HistoryGap => "history_gap",
            Self::AssumedLateness => "assumed_lateness",
            Self::AssumedIdle => "assumed_idle",
            Self::RefusedPath => "refused_path",
            Self::ConsumersUnidentified => "consumers_unidentified",
            Self::InferredFact => "inferred_fact",
            Self::PlaceUnproved => "place_unproved",
            Self::SparseEvidence => "sparse_evidence",
            Self::ThresholdUsed => "threshold_used",
            Self::ConsumerLimitNear => "consumer_limit_near",
            Self::WeakFileSystem => "weak_file_system",
        }
    }
}

/// A named remark that does not block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which remark.
    pub code: WarningCode,
    /// Whom or what it is about.
    pub subject: String,
    /// One sentence for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_word_and_the_list_is_in_order_of_precedence() {
        let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.is_sorted_by_key(|code| code.ground()));
    }
}

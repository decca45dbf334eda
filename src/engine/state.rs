//! What survives a restart, as plain records, and what one transaction adds to it.
//!
//! The engine makes these records, the store keeps them, and at the next start the engine is
//! built from them again. A record is written whole: the newest one replaces the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::answer::{Epoch, Verdict};
use crate::engine::bytes::ByteLedger;
use crate::engine::checkpoints::CheckpointRecord;
use crate::engine::coverage::Gap;
use crate::engine::credential::{Fingerprint, PlaceName, SourceName, StreamName};
use crate::engine::health::RotationSummary;
use crate::engine::incident::Incident;
use crate::engine::ledger::Presentations;
use crate::engine::probe::Sightings;
use crate::engine::rejects::OpenRejects;
use crate::engine::rotation::{Declaration, JournalEntry, RotationId};
use crate::engine::series::Series;
use crate::engine::time::{Span, Step, Timestamp};
use crate::engine::usage::{
    Anchor, Consumer, FileId, GenerationNumber, Issued, LineCount, PoolAddresses, RejectedKey,
    UsageDelta,
};

/// One declared source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// The source.
    pub source: SourceName,
    /// Digest of format and key places: when it changes, observation begins anew.
    pub layout: String,
    /// Bytes read, of all generations.
    pub bytes_read: u64,
    /// Bytes skipped with a reason.
    pub bytes_skipped: u64,
    /// Bytes known to be missing.
    pub bytes_unknown: u64,
    /// Lines, rejects included.
    pub lines: u64,
    /// Lines that were not understood.
    pub rejects: u64,
    /// Well-formed lines with a key that is not tracked.
    pub other_keys: u64,
}

/// One stream of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// The source.
    pub source: SourceName,
    /// The stream.
    pub stream: StreamName,
    /// Event time of the oldest line read without a break up to now.
    pub observing_since: Option<Timestamp>,
    /// Latest event time read, never later than its arrival.
    pub frontier: Option<Timestamp>,
    /// Whether the frontier rests on a confirmed end of file.
    pub frontier_assumed: bool,
    /// Watermark: never goes back.
    pub watermark: Option<Timestamp>,
    /// When the newest line was written, as far as known.
    pub last_line_at: Option<Timestamp>,
    /// Largest lateness that a line with a tracked key has shown, within its bound; zero if none was late.
    pub observed_lateness: Duration,
    /// Presentations of tracked keys that came behind the watermark, or were dated in the future: they
    /// count from their arrival.
    pub violations: u64,
    /// Tracked keys that were read from the stream since its observation began.
    pub keys_seen: Vec<Fingerprint>,
    /// Places that ever showed a tracked key, each with whether one did since observation began.
    pub places_seen: BTreeMap<PlaceName, bool>,
    /// Effective time of the latest line with a mask in a place of the key.
    pub masked_at: Option<Timestamp>,
}

/// One generation of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRecord {
    /// The source.
    pub source: SourceName,
    /// The stream.
    pub stream: StreamName,
    /// Its number in the stream.
    pub number: GenerationNumber,
    /// Which file it is.
    pub file: FileId,
    /// The file's name when it was last seen.
    pub path: String,
    /// First byte that is not accounted for.
    pub offset: u64,
    /// What the bytes before the offset look like.
    pub anchor: Anchor,
    /// Latest event time read from it.
    pub last_event: Option<Timestamp>,
    /// Whether the offset lies inside an over-long line whose rest is to be skipped.
    pub inside_overlong: bool,
    /// Rejects before the offset that no understood line follows yet.
    pub open_rejects: OpenRejects,
    /// Whether nothing more is expected from it.
    pub finished: bool,
}

/// Where the bytes of one generation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytesRecord {
    /// The source.
    pub source: SourceName,
    /// The stream.
    pub stream: StreamName,
    /// The generation; 0: all that were forgotten of the stream.
    pub number: GenerationNumber,
    /// Its bytes.
    pub bytes: ByteLedger,
}

/// A key that a source's matcher looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedRecord {
    /// The source.
    pub source: SourceName,
    /// The key.
    pub key: Fingerprint,
    /// Event time from which lines were matched against it; `None`: from the first line on;
    /// [`Timestamp::MAX`]: it was looked for once and is not at present.
    pub since: Option<Timestamp>,
}

/// When a probe was seen in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRecord {
    /// The source.
    pub source: SourceName,
    /// The probe's key.
    pub key: Fingerprint,
    /// When it was seen.
    pub seen: Sightings,
}

/// What a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// A `ready` was taken back.
    Retraction,
    /// A line with the old key came later than its source allows.
    LateLine,
}

impl ViolationKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Retraction, Self::LateLine];

    /// Returns the word used in JSON and in the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retraction => "retraction",
            Self::LateLine => "late_line",
        }
    }
}

/// All that is known of one consumer's presentations of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsesRecord {
    /// The key.
    pub key: Fingerprint,
    /// Who presented it.
    pub consumer: Consumer,
    /// The presentations, from the first on.
    pub presentations: Presentations,
}

/// What is known of one key as a whole, besides who presented it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub key: Fingerprint,
    /// Its presentations over time.
    pub series: Series,
}

/// Lines of a stream in one window of event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRecord {
    /// The source.
    pub source: SourceName,
    /// The stream.
    pub stream: StreamName,
    /// How wide the window is.
    pub step: Step,
    /// Its lines; the minute is the first of the window.
    pub count: LineCount,
}

/// How long usage is kept, from the end of its window on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// By minute; then by hour.
    pub minutes: Duration,
    /// By hour; then by day.
    pub hours: Duration,
    /// By day; then it is forgotten, unless its key is in an open rotation.
    pub days: Duration,
}

impl Default for Retention {
    /// A week by minute, 90 days by hour, two years by day.
    fn default() -> Self {
        let days = |n: u64| Duration::from_hours(n * 24);
        Self { minutes: days(7), hours: days(90), days: days(730) }
    }
}

/// Contrary evidence that came after a `ready`, or an old-key line behind the watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rotation.
    pub rotation: RotationId,
    /// Which of the two.
    pub kind: ViolationKind,
    /// Event time of the evidence, where it is one line.
    pub event_at: Option<Timestamp>,
    /// When it was noticed.
    pub recorded_at: Timestamp,
    /// What happened, for people.
    pub message: String,
}

/// The verdict that was last published for a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedVerdict {
    /// The rotation.
    pub rotation: RotationId,
    /// The verdict.
    pub verdict: Verdict,
    /// Its epoch.
    pub epoch: Epoch,
    /// Since when the verdict has stood.
    pub since: Timestamp,
    /// When it became `ready`; kept over later doubts until a use of the old key contradicts it.
    pub ready_since: Option<Timestamp>,
    /// When the revocation was proved by a denied line with the old key.
    pub revocation_verified_at: Option<Timestamp>,
    /// Digest of the policy the verdict rests on.
    pub policy: String,
    /// Since when this policy has held, if another one held before.
    pub policy_since: Option<Timestamp>,
}

/// Everything one transaction adds: offsets, counts, evidence and answers together.
///
/// Cells and line counts of the deltas are added to what is stored, of rejected keys the latest
/// stays; every other record replaces the one with the same key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// New usage: cells, line counts and issued keys are taken from here.
    pub deltas: Vec<UsageDelta>,
    /// Changed pools: all of what is kept of each.
    pub pools: Vec<PoolAddresses>,
    /// Who presented a key that the deltas touch: each as it is after them.
    pub uses: Vec<UsesRecord>,
    /// The keys that the deltas touch.
    pub keys: Vec<KeyRecord>,
    /// Changed sources.
    pub sources: Vec<SourceRecord>,
    /// Changed streams.
    pub streams: Vec<StreamRecord>,
    /// Changed generations.
    pub generations: Vec<GenerationRecord>,
    /// Where the bytes of changed generations went.
    pub bytes: Vec<BytesRecord>,
    /// Finished generations that are taken out: their bytes are in the sum of their stream.
    pub forgotten: Vec<(SourceName, StreamName, GenerationNumber)>,
    /// Tracked keys of changed sources.
    pub tracked: Vec<TrackedRecord>,
    /// Changed sightings of probes.
    pub probes: Vec<ProbeRecord>,
    /// New gaps.
    pub gaps: Vec<Gap>,
    /// New rotations.
    pub rotations: Vec<Declaration>,
    /// New journal entries, with their sequence.
    pub journal: Vec<JournalEntry>,
    /// New violations.
    pub violations: Vec<Violation>,
    /// Spans in which the clock is not to be trusted.
    pub clock_suspects: Vec<Span>,
    /// Changed checkpoints.
    pub checkpoints: Vec<CheckpointRecord>,
    /// New incidents, and those that ended or came back.
    pub incidents: Vec<Incident>,
    /// Summaries of rotations that ended.
    pub summaries: Vec<RotationSummary>,
    /// Changed verdicts.
    pub verdicts: Vec<PublishedVerdict>,
    /// Sequence of the newest answer; 0: unchanged.
    pub sequence: u64,
    /// Wall clock of the commit: the next start compares its own with it. `None`: unchanged.
    pub now: Option<Timestamp>,
}

impl Commit {
    /// Tells whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Everything that was stored, as the engine needs it to go on.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Sources, also those no longer configured.
    pub sources: Vec<SourceRecord>,
    /// Streams.
    pub streams: Vec<StreamRecord>,
    /// Generations, finished ones included, but for those that were forgotten.
    pub generations: Vec<GenerationRecord>,
    /// Where the bytes of the generations went.
    pub bytes: Vec<BytesRecord>,
    /// Tracked keys.
    pub tracked: Vec<TrackedRecord>,
    /// Addresses of the pools.
    pub pools: Vec<PoolAddresses>,
    /// Session keys that were issued and may live.
    pub issued: Vec<Issued>,
    /// Sightings of probes, also of those no longer configured.
    pub probes: Vec<ProbeRecord>,
    /// Who presented which key.
    pub uses: Vec<UsesRecord>,
    /// Keys that were presented.
    pub keys: Vec<KeyRecord>,
    /// Line counts.
    pub lines: Vec<LineRecord>,
    /// The latest rejected line with each tracked key that is not open, by source and stream.
    pub rejected_keys: Vec<(SourceName, StreamName, RejectedKey)>,
    /// Gaps, in order of recording.
    pub gaps: Vec<Gap>,
    /// Rotations.
    pub rotations: Vec<Declaration>,
    /// The journal, in order.
    pub journal: Vec<JournalEntry>,
    /// Violations, in order.
    pub violations: Vec<Violation>,
    /// Spans in which the clock is not to be trusted.
    pub clock_suspects: Vec<Span>,
    /// Checkpoints as they stood last.
    pub checkpoints: Vec<CheckpointRecord>,
    /// Incidents, in the order in which they began.
    pub incidents: Vec<Incident>,
    /// Summaries of rotations that ended.
    pub summaries: Vec<RotationSummary>,
    /// Verdicts last published.
    pub verdicts: Vec<PublishedVerdict>,
    /// Sequence of the newest answer.
    pub sequence: u64,
    /// Wall clock of the newest commit.
    pub last_commit_at: Option<Timestamp>,
    /// Whether it is an older copy that was put back: what was recorded after it is lost.
    pub restored: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_kept_by_minute_ninety_days_by_hour_and_two_years_by_day() {
        let Retention { minutes, hours, days } = Retention::default();
        let in_days = |period: Duration| period.as_secs() / 86_400;
        assert_eq!([minutes, hours, days].map(in_days), [7, 90, 730]);
    }

    #[test]
    fn a_commit_of_anything_is_written() {
        assert!(Commit::default().is_empty());
        assert!(!Commit { sequence: 1, ..Commit::default() }.is_empty());
    }
}

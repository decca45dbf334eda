//! What a scanned chunk adds: [`UsageDelta`], the one seam between reading and deciding.
//!
//! A delta is small and applied once. Everything in it commutes (counts add, bitmaps
//! unite, instants take min or max), so the state after many deltas does not depend on where the
//! chunks were cut or in which order the sources were read.
//!
//! ```text
//! bytes of one generation --scan--> UsageDelta --store--> one transaction
//!                                        \-----engine--> facts --> decision
//! ```

use std::time::Duration;

use crate::engine::credential::{ConsumerName, Fingerprint, PlaceName, SourceName, StreamName};
use crate::engine::distinct::Distinct;
use crate::engine::rejects::OpenRejects;
use crate::engine::time::{Minute, Timestamp};

/// What became of a request, by its status.
///
/// `denied` in words and reports is [`Unauthenticated`](Self::Unauthenticated) or
/// [`Forbidden`](Self::Forbidden): a policy may exempt the first, never the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Served: neither denied nor failed, also when the status is absent.
    Accepted,
    /// 401: the key itself was refused.
    Unauthenticated,
    /// 403 or a format's access-denied code: the key worked, the request was not allowed.
    Forbidden,
    /// 5xx or any other error of the service.
    Failed,
}

impl Outcome {
    /// All outcomes, in the order of every per-outcome array.
    pub const ALL: [Self; 4] =
        [Self::Accepted, Self::Unauthenticated, Self::Forbidden, Self::Failed];

    /// Returns the outcome of an HTTP status.
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            500..=599 => Self::Failed,
            _ => Self::Accepted,
        }
    }
}

/// Who presented a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consumer {
    /// An account, client id, principal or mapped name.
    Named(ConsumerName),
    /// Everybody known only by address or user agent, as one pool.
    Anonymous,
    /// One known only by its address or user agent, and kept apart (`anonymous = "each"`): never
    /// equal to one that is named like it.
    Address(ConsumerName),
    /// Everybody beyond the number of consumers of a key that are kept apart, as one pool.
    Others,
}

/// What is known of a consumer. Two of different kinds may have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConsumerKind {
    /// Nothing, of many: a pool.
    Pool,
    /// A name.
    Named,
    /// An address or user agent.
    Address,
    /// Nothing, of all beyond the number that is kept apart.
    Others,
}

impl Consumer {
    /// Name under which the pool of anonymous consumers is shown.
    pub const POOL: &'static str = "anonymous";
    /// Name under which the consumers beyond the bound are shown. A log may spell it, too: it is
    /// then the name of one [`Named`](Self::Named) consumer.
    pub const OTHERS: &'static str = "(others)";

    /// Tells whether it is one that is known by more than its address.
    pub const fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }

    /// Tells whether it stands for many: an address that is kept apart does not.
    pub const fn is_pool(&self) -> bool {
        matches!(self, Self::Anonymous | Self::Others)
    }

    /// Returns what is known of it.
    pub const fn kind(&self) -> ConsumerKind {
        match self {
            Self::Named(_) => ConsumerKind::Named,
            Self::Anonymous => ConsumerKind::Pool,
            Self::Address(_) => ConsumerKind::Address,
            Self::Others => ConsumerKind::Others,
        }
    }

    /// Returns the name to show.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Named(name) | Self::Address(name) => name.as_str(),
            Self::Anonymous => Self::POOL,
            Self::Others => Self::OTHERS,
        }
    }
}

/// The seconds of one minute in which something happened, one bit each: a set that unites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seconds(u64);

impl Seconds {
    /// Wraps stored bits; bits 60 to 63 are dropped.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << 60) - 1))
    }

    /// Returns the bits for storage.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Adds the second of `at`.
    pub fn insert(&mut self, at: Timestamp) {
        self.0 |= 1 << at.as_seconds().rem_euclid(60);
    }

    /// Returns the union with `other`.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Iterates over the seconds of the minute (0 to 59) in ascending order.
    pub fn iter(self) -> impl Iterator<Item = i64> {
        (0..60).filter(move |second| self.0 >> second & 1 == 1)
    }
}

/// Presentations of one key by one consumer: counts and instants, mergeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Number of presentations, indexed as [`Outcome::ALL`].
    pub counts: [u64; 4],
    /// Seconds of the cell's minute with a presentation, by effective time, indexed as [`Outcome::ALL`].
    pub seconds: [Seconds; 4],
    /// Earliest event time, as the log shows it.
    pub first_seen: Timestamp,
    /// Latest event time, as the log shows it.
    pub last_seen: Timestamp,
    /// Latest effective time: event time, or the arrival of a line that was read late.
    pub counts_until: Timestamp,
}

impl Tally {
    /// Makes the tally of one presentation.
    pub fn one(outcome: Outcome, event_at: Timestamp, effective_at: Timestamp) -> Self {
        let mut counts = [0; 4];
        let mut seconds = [Seconds::default(); 4];
        counts[outcome as usize] = 1;
        seconds[outcome as usize].insert(effective_at);
        Self {
            counts,
            seconds,
            first_seen: event_at,
            last_seen: event_at,
            counts_until: effective_at,
        }
    }

    /// Adds another tally of the same minute, key and consumer.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        for (seconds, more) in self.seconds.iter_mut().zip(other.seconds) {
            *seconds = seconds.union(more);
        }
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.counts_until = self.counts_until.max(other.counts_until);
    }
}

/// One cell of usage: a key, a consumer and a minute of effective time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageCell {
    /// The key.
    pub key: Fingerprint,
    /// Who presented it.
    pub consumer: Consumer,
    /// Minute of effective time.
    pub minute: Minute,
    /// Whether its lines count from their arrival (read late, or dated in the future), or from the
    /// later of two times that they may mean. Such a line shows that a key was presented, and not
    /// when: it proves nothing else. Neither does the denial of a session's key, which is not the key.
    pub late: bool,
    /// The presentations.
    pub tally: Tally,
}

/// Lines of one minute of a source, whatever they carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCount {
    /// Minute of event time; of a reject, the latest at which it can have been written.
    pub minute: Minute,
    /// All lines, rejects included.
    pub lines: u64,
    /// Lines that were not understood.
    pub rejects: u64,
}

/// Identity of a file, whatever its name is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Device number.
    pub device: u64,
    /// Inode number: reused at once by some file systems.
    pub inode: u64,
    /// Birth time in nanoseconds since 1970, 0 where the file system has none.
    pub birth: i64,
    /// Digest of the kernel's handle, which is never given twice; `None` where there is none.
    pub handle: Option<[u8; 16]>,
}

/// Checksums that tell whether the bytes before an offset are still the ones that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Anchor {
    /// Length of the head that `head` covers: at most 1 KiB.
    pub head_len: u16,
    /// Truncated SHA-256 of the first `head_len` bytes.
    pub head: [u8; 16],
    /// Length of the stretch before the offset that `tail` covers: at most 4 KiB.
    pub tail_len: u16,
    /// Truncated SHA-256 of the last `tail_len` bytes before the offset.
    pub tail: [u8; 16],
}

/// Number of a generation within its stream, in order of discovery from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationNumber(pub u64);

/// A half-open range of bytes `[from, to)` of one generation, decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub from: u64,
    /// First byte after it.
    pub to: u64,
}

/// A line that could not be parsed although it holds a tracked key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedKey {
    /// The key found in the raw line.
    pub key: Fingerprint,
    /// The latest time at which it can have been written.
    pub at: Timestamp,
}

/// Addresses of the pool that presented a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolAddresses {
    /// The key.
    pub key: Fingerprint,
    /// How many there are, about.
    pub addresses: Distinct,
}

/// A session's key that was issued to a tracked key, or to a session of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The tracked key at the end of the line of descent.
    pub root: Fingerprint,
    /// The session's key; `None` where more were issued than are kept: its use is not seen.
    pub child: Option<Fingerprint>,
    /// Effective time of the request that it was issued to.
    pub at: Timestamp,
    /// How long it may live.
    pub lifetime: Duration,
}

/// What one scanned chunk of one generation adds to counts, offsets and evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageDelta {
    /// The source.
    pub source: SourceName,
    /// The stream of the source.
    pub stream: StreamName,
    /// The generation of the stream.
    pub generation: GenerationNumber,
    /// Which file the generation is.
    pub file: FileId,
    /// The bytes this delta accounts for. Empty for a proof of idleness.
    pub range: ByteRange,
    /// Bytes of `range` that no line was made of (the rest of an over-long line, a run of NUL).
    pub skipped: u64,
    /// Whether `range` ends inside an over-long line whose rest is to be skipped.
    pub inside_overlong: bool,
    /// What the bytes before `range.to` look like.
    pub anchor: Anchor,
    /// Processing time at which the chunk was read.
    pub arrival: Timestamp,
    /// Usage of tracked keys.
    pub cells: Vec<UsageCell>,
    /// Addresses of the pool, by key.
    pub pools: Vec<PoolAddresses>,
    /// Session keys that were issued, those known already left out.
    pub issued: Vec<Issued>,
    /// Lines per minute: without the open rejects, with those that were open before.
    pub lines: Vec<LineCount>,
    /// Well-formed lines with a key that is not tracked: one counter, so a spray costs no memory.
    pub other_keys: u64,
    /// Latest time the newest line can have been written: the file's change time, at most `arrival`.
    pub newest_line_at: Option<Timestamp>,
    /// Event time of the first well-formed line of the chunk.
    pub first_event: Option<Timestamp>,
    /// Latest event time read in the generation up to `range.to`.
    pub last_event: Option<Timestamp>,
    /// The stream's frontier after the chunk: its latest event time, never later than `arrival`.
    pub frontier: Option<Timestamp>,
    /// Whether the frontier rests on a confirmed end of file instead of a line (`silence = "idle"`).
    pub frontier_assumed: bool,
    /// Rejected lines in which a tracked key stands and that are not open.
    pub rejected_keys: Vec<RejectedKey>,
    /// Rejects of the generation before `range.to` that no understood line follows yet.
    pub open_rejects: OpenRejects,
    /// Places that showed a tracked key.
    pub places: Vec<PlaceName>,
    /// Effective time of the latest line with a mask in a place of the key, as `***`.
    pub masked_at: Option<Timestamp>,
    /// How far behind the frontier the latest-coming line with a tracked key was, if beyond the allowed lateness.
    pub late_by: Option<Duration>,
    /// Whether an event lay further in the future than tolerated.
    pub future_event: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(at: i64) -> Tally {
        let at = Timestamp::from_seconds(at);
        Tally::one(Outcome::Accepted, at, at)
    }

    #[test]
    fn merging_tallies_does_not_depend_on_order() {
        let (a, b) = (tally(61), tally(119));
        let (mut ab, mut ba) = (a, b);
        ab.merge(&b);
        ba.merge(&a);
        assert_eq!(ab, ba);
        assert_eq!(ab.seconds[0].iter().collect::<Vec<_>>(), [1, 59]);
        assert_eq!(ab.counts, [2, 0, 0, 0]);
    }

    #[test]
    fn a_minute_has_sixty_seconds_whatever_was_stored() {
        assert_eq!(
            Seconds::from_bits(u64::MAX).iter().collect::<Vec<_>>(),
            (0..60).collect::<Vec<_>>()
        );
        assert_eq!(Seconds::from_bits(1 << 59).bits(), 1 << 59);
    }

    #[test]
    fn status_401_is_told_from_403() {
        assert_eq!(Outcome::of_status(401), Outcome::Unauthenticated);
        assert_eq!(Outcome::of_status(403), Outcome::Forbidden);
        assert_eq!(Outcome::of_status(599), Outcome::Failed);
        assert_eq!(Outcome::of_status(404), Outcome::Accepted);
    }
}

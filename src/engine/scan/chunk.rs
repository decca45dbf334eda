//! What goes into the reading of one chunk of a generation, and what comes out of it.

use std::time::Duration;

use crate::engine::credential::PlaceName;
use crate::engine::rejects::OpenRejects;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Issued, LineCount, PoolAddresses, RejectedKey, UsageCell};

/// What is known when a chunk of one generation is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkContext {
    /// Processing time at which the chunk was read.
    pub arrival: Timestamp,
    /// The stream's frontier before the chunk.
    pub frontier: Option<Timestamp>,
    /// Latest event time read before the chunk in its generation.
    pub last_event: Option<Timestamp>,
    /// Rejects before the chunk in its generation that no understood line follows yet.
    pub open_rejects: OpenRejects,
    /// How far behind the frontier a line may be without being late.
    pub allowed_lateness: Duration,
    /// How far beyond its arrival an event may lie.
    pub future_tolerance: Duration,
}

/// What the lines of one chunk add. Fields are those of a [`UsageDelta`].
///
/// [`UsageDelta`]: crate::engine::usage::UsageDelta
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkUsage {
    /// Usage of tracked keys, sorted by key, consumer and minute.
    pub cells: Vec<UsageCell>,
    /// Addresses of the pool, sorted by key.
    pub pools: Vec<PoolAddresses>,
    /// Session keys that were issued, those known already left out, in the order of the lines.
    pub issued: Vec<Issued>,
    /// Lines per minute, sorted: without the open rejects, with those that were open before.
    pub lines: Vec<LineCount>,
    /// Well-formed lines that carry keys, none of them tracked.
    pub other_keys: u64,
    /// Event time of the first well-formed line of the chunk.
    pub first_event: Option<Timestamp>,
    /// Latest event time read in the generation, this chunk included.
    pub last_event: Option<Timestamp>,
    /// The stream's frontier after the chunk: its latest event time, never later than the arrival.
    pub frontier: Option<Timestamp>,
    /// Tracked keys found in rejected lines that are not open, one entry per key with the latest
    /// time, sorted by key.
    pub rejected_keys: Vec<RejectedKey>,
    /// Rejects of the generation, up to the end of the chunk, that no understood line follows yet.
    pub open_rejects: OpenRejects,
    /// Places that showed a tracked key, in their order.
    pub places: Vec<PlaceName>,
    /// Effective time of the latest line that holds a mask in a place of the key and was not
    /// refused for want of one.
    pub masked_at: Option<Timestamp>,
    /// How far the latest-coming line with a tracked key was behind what was allowed.
    pub late_by: Option<Duration>,
    /// Whether an event lay further in the future than tolerated.
    pub future_event: bool,
    /// All lines of the chunk, rejects included.
    pub line_count: u64,
    /// Lines of the chunk that were not understood.
    pub reject_count: u64,
}

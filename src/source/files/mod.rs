//! Follows log files: makes one endless stream of deltas out of a family of rotated files.
//!
//! ```text
//! patterns --discover--> files --reconcile--> generations --follow--> deltas, gaps, records
//! ```
//!
//! One pathname looks like one endless source, whatever becomes of the file: rename, truncation,
//! compression, deletion. Each line is told once, over restarts too; what cannot be told is a gap.
//! Nothing here reads a clock, decides anything or writes to a file.

mod body;
mod copied;
mod cut;
mod discover;
mod edited;
mod filesystem;
mod follow;
mod forget;
mod generation;
mod handle;
mod identity;
mod listing;
mod names;
mod open;
mod packed;
mod place;
mod reconcile;
mod recount;
mod reset;
mod review;
mod role;
mod sequence;
mod source;
mod stream;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::coverage::{Gap, SourceStatus, WeakFileSystem};
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::policy::SourcePolicy;
use crate::engine::scan::matcher::{Matcher, TrackedKey};
use crate::engine::state::{GenerationRecord, StreamRecord};
use crate::engine::time::Timestamp;
use crate::engine::usage::{GenerationNumber, UsageDelta};
pub use identity::{FileFacts, same_file};
pub use listing::LINK_LEAVES;
pub use packed::{Codec, unread};
pub use recount::{Recount, anchors, recount};
use source::Follower;

/// A declared source of kind `file`.
pub struct FileSource {
    /// Its name.
    pub name: SourceName,
    /// Paths or glob patterns.
    pub patterns: Vec<String>,
    /// Directories into which a symbolic link may lead, beside those of the patterns.
    pub link_roots: Vec<PathBuf>,
    /// Reads its lines.
    pub matcher: Matcher,
    /// What is declared of it.
    pub policy: SourcePolicy,
    /// How far in the future an event may lie.
    pub future_tolerance: Duration,
}

/// What a look at files finds beside the files, without reading one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Paths that are refused, each with its reason.
    pub refused: Vec<(String, String)>,
    /// File systems of which less is sure.
    pub weak: Vec<WeakFileSystem>,
}

/// Looks once at what `patterns` (absolute) mean, as a [`Tailer`] does.
pub fn survey(patterns: &[String], link_roots: &[PathBuf]) -> Survey {
    let found = discover::discover(patterns, &BTreeSet::new(), link_roots);
    Survey {
        refused: found.refused.into_iter().collect(),
        weak: found.weak.into_values().collect(),
    }
}

/// Something that was read or found. To be applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// What a stretch of a generation adds.
    Delta(Box<UsageDelta>),
    /// A generation was found, renamed, moved to another file, finished or resumed.
    Generation(GenerationRecord),
    /// Evidence was lost.
    Gap(Gap),
    /// A finished generation whose file is gone is forgotten: there are too many.
    Forgotten(SourceName, StreamName, GenerationNumber),
    /// What a look at a source found.
    Status(SourceStatus),
}

impl Report {
    /// Extends a gap to `now`, the end of the poll that found it: what was lost may have been
    /// written while the poll was reading. Leaves other reports as they are.
    pub fn extend(&mut self, now: Timestamp) {
        if let Self::Gap(gap) = self {
            gap.span.to = gap.span.to.max(now);
        }
    }
}

/// Bounds of a [`Tailer`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Least time between two looks at the directories.
    pub rescan: Duration,
    /// How long a rotated file must be quiet before it is finished.
    pub rotation_grace: Duration,
    /// Bytes read in one poll, about.
    pub poll_bytes: usize,
    /// Files open at a time.
    pub max_open_files: usize,
    /// Plain bytes read of one packed file.
    pub max_unpacked: u64,
    /// Finished generations of a stream that are remembered although their files are gone.
    pub max_finished: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rescan: Duration::from_secs(1),
            rotation_grace: Duration::from_mins(1),
            poll_bytes: 8 << 20,
            max_open_files: 1000,
            max_unpacked: 64 << 30,
            max_finished: 1000,
        }
    }
}

/// A wall clock that was set while little time passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// What it would have shown.
    pub from: Timestamp,
    /// What it shows.
    pub to: Timestamp,
}

impl ClockStep {
    /// Returns what the clock would have shown at `at`, had it been right then.
    fn moved(self, at: Timestamp) -> Timestamp {
        at.plus(self.to.since(self.from)).minus(self.from.since(self.to))
    }
}

/// How far a poll has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether a budget was used up: there is more to read at once.
    pub more: bool,
    /// Whether the directories were looked at: others may have to be watched.
    pub looked: bool,
    /// Whether file events can be relied on, as far as the file systems go.
    pub has_events: bool,
}

/// Follows the files of all sources. Owned by one thread; every call may read from disk.
pub struct Tailer {
    sources: Vec<Follower>,
    limits: Limits,
    buffer: Vec<u8>,
    open_files: usize,
    /// Source that is read first at the next poll, so that no backlog starves the others.
    first: usize,
}

impl Tailer {
    /// Makes a tailer that goes on where the records of a former run end.
    ///
    /// Records of sources that are not in `sources` are ignored. Relative patterns are taken from
    /// the current directory.
    pub fn new(
        sources: Vec<FileSource>,
        streams: Vec<StreamRecord>,
        generations: Vec<GenerationRecord>,
        limits: Limits,
    ) -> Self {
        let mut sources: Vec<Follower> = sources.into_iter().map(Follower::new).collect();
        for record in streams {
            if let Some(follower) = sources.iter_mut().find(|one| one.name == record.source) {
                follower.stream(&record.stream).resume(&record);
            }
        }
        for record in generations {
            if let Some(follower) = sources.iter_mut().find(|one| one.name == record.source) {
                follower.stream(&record.stream).remember(record);
            }
        }
        Self { sources, limits, buffer: Vec::new(), open_files: 0, first: 0 }
    }

    /// Looks at what has changed and reads on, up to a budget; appends to `out` what it found.
    ///
    /// A gap ends at `now`. Where time passes meanwhile, [`Report::extend`] it.
    pub fn poll(&mut self, now: Timestamp, out: &mut Vec<Report>) -> Progress {
        let Self { sources, limits, buffer, open_files, first } = self;
        let mut looked = false;
        for follower in sources.iter_mut() {
            looked |= follower.look(now, limits, open_files, out);
        }
        let mut budget = limits.poll_bytes;
        let mut active: Vec<usize> =
            (0..sources.len()).map(|n| (n + *first) % sources.len()).collect();
        while budget > 0 && !active.is_empty() {
            active.retain(|&index| {
                let told = out.len();
                let read = sources[index].read(now, limits, open_files, buffer, out);
                share_issued(sources, &out[told..]);
                budget = budget.saturating_sub(read);
                *first = index + 1;
                read > 0
            });
        }
        let more = !active.is_empty();
        let told = out.len();
        for follower in sources.iter_mut() {
            follower.settle(now, limits, open_files, buffer, out);
        }
        share_issued(sources, &out[told..]);
        let has_events = sources.iter().all(|follower| !follower.is_weak());
        Progress { more, looked, has_events }
    }

    /// Takes note of a step of the wall clock, so that no grace is longer or shorter for it.
    pub fn note_step(&mut self, step: ClockStep) {
        for follower in &mut self.sources {
            follower.note_step(step);
        }
    }

    /// Looks for one more key in what is read of `source` from now on.
    pub fn track(&mut self, source: &SourceName, key: TrackedKey) {
        if let Some(follower) = self.sources.iter_mut().find(|one| one.name == *source) {
            follower.track(key);
        }
    }

    /// Returns the directories in which a change may mean something to read.
    pub fn watch_paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.sources.iter().flat_map(Follower::directories).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

/// Tells every source which session keys were issued: a session may be used anywhere.
fn share_issued(sources: &mut [Follower], reports: &[Report]) {
    let deltas = reports.iter().filter_map(|report| match report {
        Report::Delta(delta) => Some(delta),
        Report::Generation(_) | Report::Gap(_) | Report::Forgotten(..) | Report::Status(_) => None,
    });
    for issued in deltas.flat_map(|delta| &delta.issued) {
        for follower in sources.iter_mut() {
            follower.take_issued(issued);
        }
    }
}

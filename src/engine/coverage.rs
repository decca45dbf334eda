//! What was seen and what was not: states of sources and streams, and gaps.
//!
//! A gap is for ever: it is recorded when bytes that existed were not read, and no later reading
//! removes it. It only stops to matter when every window begins after it.

use crate::engine::credential::{SourceName, StreamName};
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::GenerationNumber;

/// Why a span of evidence is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The file became shorter than what was read of it, or its content was replaced (`copytruncate`).
    Truncated,
    /// A file that was not read to its end is gone.
    Vanished,
    /// A run of NUL bytes: the writer went on at its old position after a truncation.
    NulRun,
    /// A compressed file ends early, is damaged or exceeds its bound.
    Damaged,
    /// The sequence of deltas has a hole.
    SequenceHole,
    /// The state was an older copy: what was recorded after it was made is lost.
    StateRestored,
}

impl GapReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Truncated,
        Self::Vanished,
        Self::NulRun,
        Self::Damaged,
        Self::SequenceHole,
        Self::StateRestored,
    ];

    /// Returns the word used in state, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Vanished => "vanished",
            Self::NulRun => "nul_run",
            Self::Damaged => "damaged",
            Self::SequenceHole => "sequence_hole",
            Self::StateRestored => "state_restored",
        }
    }
}

/// A permanent record of a span that was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The source.
    pub source: SourceName,
    /// The stream of it.
    pub stream: StreamName,
    /// Event time that is not covered: from the last line read before to the time of detection.
    pub span: Span,
    /// Why.
    pub reason: GapReason,
    /// Bytes that are known to be missing; `None` where nobody can know, and where the ledger of the
    /// generation tells it: the tail of a file that is gone.
    pub bytes: Option<u64>,
}

/// What the reader found of one stream at its last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// The stream.
    pub stream: StreamName,
    /// Whether the family's live file exists.
    pub live: bool,
    /// Why a file of the family cannot be read, if so.
    pub unreadable: Option<String>,
    /// Bytes known to exist and not read yet.
    pub backlog: u64,
    /// Generations of which bytes are still expected, the live one included.
    pub open_generations: u64,
    /// Where the content of each of them ends, as far as that is known, in decompressed bytes.
    pub ends: Vec<(GenerationNumber, u64)>,
}

/// Why less is sure of the files of a file system than of those of a local disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weakness {
    /// Another host keeps the files.
    Remote,
    /// A program serves the files.
    Served,
    /// A file moves to another layer when it is first written to.
    Layered,
    /// There is neither a handle of a file nor a time of birth.
    Nameless,
}

impl Weakness {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Served => "served",
            Self::Layered => "layered",
            Self::Nameless => "nameless",
        }
    }

    /// Tells whether what exists may not be shown yet: then the end of a file proves no idleness.
    pub const fn may_be_stale(self) -> bool {
        matches!(self, Self::Remote | Self::Served)
    }

    /// Says what is less sure.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Remote => {
                "another host keeps the files: what was written, cut off or replaced there may be \
                 seen late or not at all"
            }
            Self::Served => {
                "a program serves the files: a file is known by the inode number that the program \
                 gives, and what changes behind it may be seen late"
            }
            Self::Layered => {
                "a file is known by inode number and time of birth, and may get others when it is \
                 first written to"
            }
            Self::Nameless => {
                "a file is known by its inode number alone, which the next file may get again"
            }
        }
    }

    /// Says what the operator can do.
    pub const fn way_out(self) -> &'static str {
        match self {
            Self::Remote => "run keydrain on the host that writes the log, on the disk itself",
            Self::Served => "let keydrain read the directory behind the mount, on the disk itself",
            Self::Layered => {
                "let the server write its log to a volume, not to a container's layers"
            }
            Self::Nameless => "let the server write its log to a disk with ext4, xfs or btrfs",
        }
    }
}

/// A file system with files of a source of which less is sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeakFileSystem {
    /// A directory or file on it.
    pub path: String,
    /// Its name, such as `nfs`.
    pub name: String,
    /// What is less sure.
    pub weakness: Weakness,
}

/// What the reader found of one source at its last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// The source.
    pub source: SourceName,
    /// Processing time of the look.
    pub looked_at: Timestamp,
    /// Patterns that match no file, and directories that do not exist.
    pub absent: Vec<String>,
    /// Paths that cannot be opened or read, each with its reason.
    pub unreadable: Vec<(String, String)>,
    /// Paths that are refused (FIFO, device, symlink out of the allowed roots), each with its reason.
    pub refused: Vec<(String, String)>,
    /// File systems with files of it of which less is sure: one entry for each device.
    pub weak: Vec<WeakFileSystem>,
    /// How it is known that the service masks data, if it does.
    pub masked: Option<String>,
    /// The streams.
    pub streams: Vec<StreamStatus>,
    /// Whether the files that existed at start have been read to their ends once.
    pub caught_up: bool,
}

/// State of a source, or of one stream, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceState {
    /// Read to its end, with lines coming.
    Live,
    /// No line for `idle_after`.
    Silent,
    /// The watermark is older than `max_evidence_lag`, or nothing was read yet.
    Behind,
    /// No line with a key of the rotation or a probe's was read from it, or none any more from a
    /// place that showed one.
    Blind,
    /// Keys are hidden in it.
    Masked,
    /// It cannot be opened or read.
    Unreadable,
    /// It does not exist.
    Absent,
}

impl SourceState {
    /// Returns the word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Silent => "silent",
            Self::Behind => "behind",
            Self::Blind => "blind",
            Self::Masked => "masked",
            Self::Unreadable => "unreadable",
            Self::Absent => "absent",
        }
    }
}

/// What a watermark rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Lines that were read.
    Proved,
    /// A declared fact, that a silent file is an idle one; or what a weak file system says.
    Assumed,
    /// Nothing.
    None,
}

impl Basis {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Assumed => "assumed",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_may_be_stale_only_where_somebody_else_keeps_it() {
        for (weakness, is_stale) in [
            (Weakness::Remote, true),
            (Weakness::Served, true),
            (Weakness::Layered, false),
            (Weakness::Nameless, false),
        ] {
            assert_eq!(weakness.may_be_stale(), is_stale, "{}", weakness.as_str());
        }
    }
}

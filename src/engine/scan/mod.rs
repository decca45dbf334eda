//! Bytes of a log -> counts: of tracked keys for the daemon, of every key for `scan`.
//!
//! Pure: chunks and times come in as arguments, and no input makes it fail. Counting is mergeable,
//! so where a log was cut into chunks changes nothing.
//!
//! ```text
//! chunk --lines--> line --parse--> event --matcher--> ChunkUsage   (daemon: tracked keys)
//!                                        \--tally---> UsageReport  (scan: every key)
//! ```

pub mod lines;

pub mod records;

mod documents;
mod parts;

mod event_id;
pub mod lineage;

mod batch;
mod cells;
mod chunk;
mod intern;
mod known;
pub mod marks;
pub mod matcher;
mod pairs;
mod prefetch;
mod presenters;
pub mod tally;

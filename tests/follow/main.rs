//! Following real files through everything that happens to logs, against the writer's own ledger.
//!
//! Each line that is written carries a consumer of its own, so a line that is lost or counted
//! twice is named. Time is passed in; nothing sleeps. Files lie on disk, not in memory.

#[path = "../support/mounted.rs"]
mod mounted;

mod bytes;
mod compressed;
mod content;
mod copies;
mod directories;
mod edited;
mod idle;
mod links;
mod looks;
mod parts;
mod rejects;
mod restart;

mod rotation;
mod sessions;
mod times;
mod truncation;
mod unseen;
mod weak;
mod world;

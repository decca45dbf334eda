//! The command line: one file per command. stdout is the answer, stderr is for people.

pub mod flags;

pub mod layout_flags;

pub mod input;

pub mod scan;

pub mod explain;

pub mod run;

pub mod demo;

pub mod client;

mod columns;

mod humane;

pub mod ready;

pub mod rotation;

pub mod consumers;

pub mod status;

pub mod state;

pub mod verify;

pub mod check;

pub mod plan;

pub mod fingerprint;

pub mod http;

pub mod probe;

use std::fmt;

/// Exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `ready`: ready.
    Ok = 0,
    /// Not ready; for `verify`: logs and state differ.
    NotReady = 1,
    /// Usage or config error.
    Usage = 2,
    /// Unknown: evidence or input is missing.
    Unknown = 3,
    /// The daemon, or for `probe` the front door, does not answer.
    Unreachable = 4,
    /// `--timeout` is over.
    TimedOut = 124,
}

/// A command that could not do its work: what to tell people, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Lower case, no full stop; says what the operator can do.
    pub message: String,
}

impl Failure {
    /// Makes a usage or config error.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// How the answer is written to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Aligned columns for people.
    #[default]
    Table,
    /// JSON with a stable schema.
    Json,
    /// CSV with a header.
    Csv,
}

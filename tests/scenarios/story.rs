//! The form of a story: what a `*.toml` of this folder may say, and how times are read.
//!
//! `README.md` beside it explains each field to whoever writes a story; an unknown field is an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keydrain::engine::duration;
use keydrain::engine::time::Timestamp;
use serde::Deserialize;

/// A whole rotation story.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// The sentence.
    pub title: String,
    /// What the reader learns from it.
    pub teaches: String,
    #[serde(default = "first_day")]
    day: String,
    begins: String,
    ends: String,
    #[serde(default = "twenty_seconds")]
    look: String,
    #[serde(default = "one_minute")]
    heartbeat: String,
    /// Whether the last answer must be `ready`.
    #[serde(default)]
    pub ends_well: bool,
    /// The real configuration.
    pub config: String,
    /// Rotations in the order of their start; expectations speak of the newest.
    pub rotation: Vec<Start>,
    /// Logs beside the one that each source has.
    #[serde(default)]
    pub stream: Vec<StreamSpec>,
    /// What is written.
    pub log: Vec<Writes>,
    /// What the journal is told.
    #[serde(default)]
    pub event: Vec<Told>,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// When it gets ready for the first time.
    pub ready: ReadyWindow,
    /// What must hold at some times.
    pub expect: Vec<Expect>,
}

fn first_day() -> String {
    "2026-03-02".to_owned()
}

fn twenty_seconds() -> String {
    "20s".to_owned()
}

fn one_minute() -> String {
    "1m".to_owned()
}

/// One or several of a kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// Returns all.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// The start of a rotation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// When.
    pub started: String,
    /// Name of key A in the config.
    #[serde(default = "old_key")]
    pub old_key: String,
    /// Name of key B in the config.
    #[serde(default = "new_key")]
    pub new_key: String,
}

fn old_key() -> String {
    "2025-q4".to_owned()
}

fn new_key() -> String {
    "2026-q1".to_owned()
}

/// Logs of one source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSpec {
    /// The source.
    pub source: String,
    /// Paths of the logs.
    pub names: Vec<String>,
    /// Instead of the story's.
    pub heartbeat: Option<String>,
    /// When they appear, if that is later than the story begins.
    pub from: Option<String>,
}

/// Lines of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writes {
    /// Who; `-` is known only by its address.
    #[serde(default = "nobody")]
    pub consumer: String,
    /// The key's name as the server logs it.
    pub key: String,
    /// At these times.
    pub at: Option<OneOrMany>,
    /// Or every so often…
    pub every: Option<String>,
    /// …from here…
    pub from: Option<String>,
    /// …to here, excluded.
    pub to: Option<String>,
    /// Each time is later by up to this much.
    pub jitter: Option<String>,
    /// Lines at each time.
    #[serde(default = "one")]
    pub burst: u32,
    /// Time between the lines of a burst.
    pub spacing: Option<String>,
    /// Status of the answer.
    #[serde(default = "ok")]
    pub status: u16,
    /// Addresses, used in turn.
    pub address: Option<OneOrMany>,
    /// The source; the first one if not told.
    pub source: Option<String>,
    /// The log; the source's first one if not told, all in turn if `*`.
    pub stream: Option<String>,
    /// How long after the event the line shows in the log.
    pub appears_after: Option<String>,
}

fn nobody() -> String {
    "-".to_owned()
}

fn one() -> u32 {
    1
}

fn ok() -> u16 {
    200
}

/// An entry of the journal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// When it is told.
    pub at: String,
    /// When it happened, if that was earlier.
    pub happened: Option<String>,
    /// Its word in the journal.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whom it is about.
    pub consumer: Option<String>,
    /// What it is about.
    pub source: Option<String>,
    /// A stream of the source.
    pub stream: Option<String>,
    /// End of a waiver.
    pub until: Option<String>,
    /// What is attested.
    pub what: Option<String>,
}

/// What goes wrong. Without a stream it is about all streams of the source, without a source about
/// the first one.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Lines written from here on are gone when the reader comes at `to`.
    LostLines { from: String, to: String, source: Option<String>, stream: Option<String> },
    /// Nothing is written.
    Silent { from: String, to: String, source: Option<String>, stream: Option<String> },
    /// The pattern of the source matches nothing.
    Absent { from: String, to: String, source: Option<String> },
    /// The logs cannot be opened.
    Unreadable { from: String, to: String, source: Option<String> },
    /// The live file of a stream is gone.
    Gone { from: String, to: String, source: Option<String>, stream: String },
    /// The server is told to log in another format.
    FormatChanged { at: String, source: Option<String>, nginx: String },
    /// The daemon is restarted.
    Restart { at: String },
    /// The daemon is down.
    Down { from: String, to: String },
    /// The daemon is restarted with texts of its config replaced.
    Reload { at: String, change: Vec<(String, String)> },
    /// The wall clock is set forward.
    ClockStep { at: String, forward: String },
}

/// When the first `ready` may and must come.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadyWindow {
    /// Never.
    #[serde(default)]
    pub never: bool,
    /// No answer is ready before this.
    pub not_before: Option<String>,
    /// One is ready by then.
    pub by: Option<String>,
}

/// What must hold at some times.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// At these times, at which the daemon is asked.
    pub at: Option<OneOrMany>,
    /// Or at every look from here…
    pub from: Option<String>,
    /// …to here, included.
    pub to: Option<String>,
    /// The verdict.
    pub verdict: Option<String>,
    /// All blockers: `code` or `code subject`.
    pub blockers: Option<Vec<String>>,
    /// Blockers among others.
    #[serde(default)]
    pub has: Vec<String>,
    /// Blockers that do not stand.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// Warnings among others.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// States of consumers.
    #[serde(default)]
    pub states: BTreeMap<String, String>,
    /// A part of the message.
    pub says: Option<String>,
    /// When it would be ready if nothing else happened.
    pub earliest_ready_at: Option<String>,
    /// Violations on record.
    pub violations: Option<usize>,
    /// Whether a denied line proved the revocation.
    pub revocation_verified: Option<bool>,
    /// Statuses of checkpoints.
    #[serde(default)]
    pub checkpoints: BTreeMap<String, String>,
    /// Incidents by the log's own word, all of them: `kind subject`.
    pub incidents: Option<Vec<String>>,
}

/// Returns the folder of the stories.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

impl Story {
    /// Reads the story in `NAME.toml`.
    pub fn load(name: &str) -> Self {
        let path = folder().join(name).with_extension("toml");
        let text = fs::read_to_string(&path).expect("the story is there");
        Self::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Reads the text of a story.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Reads a time: `10:00`, `10:00:20` on the first day, `04-01 10:00`, `2027-01-01 10:00`.
    pub fn at(&self, text: &str) -> Timestamp {
        let (date, time) = text.split_once(' ').unwrap_or((&self.day, text));
        let year = self.day.split('-').next().expect("a day is like 2026-03-02");
        let date = if date.len() == 5 { format!("{year}-{date}") } else { date.to_owned() };
        let seconds = if time.matches(':').count() == 1 { ":00" } else { "" };
        let full = format!("{date}T{time}{seconds}Z");
        full.parse().unwrap_or_else(|_| panic!("`{text}` is no time like 10:00 or 04-01 10:00"))
    }

    /// Reads the first look of the reader.
    pub fn begins(&self) -> Timestamp {
        self.at(&self.begins)
    }

    /// Reads the last look of the reader.
    pub fn ends(&self) -> Timestamp {
        self.at(&self.ends)
    }

    /// Reads the time between two looks.
    pub fn look(&self) -> Duration {
        span(&self.look)
    }

    /// Reads the time between two heartbeats of a stream; `None` if it has none.
    pub fn heartbeat(&self, stream: Option<&StreamSpec>) -> Option<Duration> {
        let own = stream.and_then(|stream| stream.heartbeat.as_ref());
        let text = own.unwrap_or(&self.heartbeat);
        (text != "none").then(|| span(text))
    }
}

/// Reads a duration.
pub fn span(text: &str) -> Duration {
    duration::parse(text).unwrap_or_else(|why| panic!("`{text}` {why}"))
}

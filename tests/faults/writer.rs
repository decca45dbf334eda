//! A server that writes its log line by line, and remembers every one: what must be counted.
//!
//! All lines are equally long, so that an offset tells how many lines lie before it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use keydrain::clock;
use keydrain::engine::time::Timestamp;
use keydrain::store::Store;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, SERVER, Site};
use crate::support::wait::{wait_for, wait_until};

/// The credential whose keys are in the log.
pub const CREDENTIAL: &str = "payments-api";
/// Bytes of a line.
pub const LINE: u64 = 69;

/// The calls that give a file another name. The state makes none; one that came would be met.
pub const RENAME: &str = "rename,renameat,renameat2";

/// Lines by consumer and key.
pub type Counts = BTreeMap<(String, &'static str), u64>;

/// The writer of one log.
pub struct Writer {
    log: PathBuf,
    file: File,
    /// What was written and not lost.
    ledger: Counts,
    /// Lines of the live file since it was empty.
    live: Vec<(String, &'static str)>,
    /// Lines of the content that was truncated last.
    cut: Vec<(String, &'static str)>,
    written: u64,
    lost: u64,
    rotations: u64,
}

/// Returns a config that reads `logs/access.log*`; a use of the old key blocks for `quiet`.
pub fn config(quiet: &str) -> String {
    format!(
        r#"{SERVER}[[source]]
name = "edge"
paths = ["logs/access.log*"]
format = {{ nginx = '$msec $remote_addr "$http_x_client" $key_name "$request" $status' }}
credential = "field:key_name"
consumer = "field:http_x_client"
allowed_lateness = "1s"
idle_after = "5s"
[[credential]]
name = "{CREDENTIAL}"
sources = ["edge"]
keys = [{{ name = "2025-q4", id = "2025-q4" }}, {{ name = "2026-q1", id = "2026-q1" }}]
[credential.policy]
quiet_period = "{quiet}"
monitoring_cycle = "0s"
min_history = "0s"
min_overlap = "0s"
clock_skew = "0s"
max_evidence_lag = "20s"
propagation_bound = "0s"
lease = "5s"
"#
    )
}

/// Declares the rotation, unless that was done before.
pub fn declare(daemon: &Daemon<'_>) {
    let known = daemon.get("/v1/rotations").json();
    if known["rotations"] == json!([]) {
        let body = json!({"credential": CREDENTIAL, "old_key": "2025-q4", "new_key": "2026-q1"});
        let started = daemon.post("/v1/rotations", &body);
        assert_eq!(started.status, 201, "{started:?}");
        let body = json!({"type": "dual_accept_enabled"});
        let path = format!("/v1/credentials/{CREDENTIAL}/events");
        assert_eq!(daemon.post(&path, &body).status, 201);
    }
}

impl Writer {
    /// Begins the log below `site`.
    pub fn new(site: &Site) -> Self {
        fs::create_dir_all(site.path("logs")).unwrap();
        let log = site.path("logs/access.log");
        let file = create(&log);
        Self {
            log,
            file,
            ledger: Counts::new(),
            live: Vec::new(),
            cut: Vec::new(),
            written: 0,
            lost: 0,
            rotations: 0,
        }
    }

    /// Returns the path of the live file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns how many lines must be counted.
    pub fn lines(&self) -> u64 {
        self.written - self.lost
    }

    /// Writes `count` lines of three consumers with both keys.
    pub fn write(&mut self, count: u64) {
        for _ in 0..count {
            let consumer = ["c00", "c01", "c02"][usize::try_from(self.written % 3).unwrap()];
            let key = ["2025-q4", "2026-q1"][usize::try_from(self.written % 2).unwrap()];
            self.line(consumer, key);
        }
    }

    /// Writes a line of each consumer with the new key.
    pub fn move_over(&mut self) {
        for consumer in ["c00", "c01", "c02"] {
            self.line(consumer, "2026-q1");
        }
    }

    /// Writes one line.
    pub fn line(&mut self, consumer: &str, key: &'static str) {
        self.line_of(clock::now(), consumer, key);
    }

    /// Writes one line into a file that was the log once.
    pub fn line_into(&mut self, file: &mut File, consumer: &str, key: &'static str) {
        let line = line(clock::now(), consumer, key, self.written);
        file.write_all(line.as_bytes()).unwrap();
        self.written += 1;
        *self.ledger.entry((consumer.to_owned(), key)).or_default() += 1;
    }

    /// Writes one line of a request that ended at `event_at`.
    pub fn line_of(&mut self, event_at: Timestamp, consumer: &str, key: &'static str) {
        let line = line(event_at, consumer, key, self.written);
        self.file.write_all(line.as_bytes()).unwrap();
        self.written += 1;
        self.live.push((consumer.to_owned(), key));
        *self.ledger.entry((consumer.to_owned(), key)).or_default() += 1;
    }

    /// Renames all files by one number and begins a new one.
    pub fn rotate(&mut self) {
        let numbered = |number| self.log.with_file_name(format!("access.log.{number}"));
        for number in (1..=self.rotations).rev() {
            fs::rename(numbered(number), numbered(number + 1)).unwrap();
        }
        fs::rename(&self.log, numbered(1)).unwrap();
        self.rotations += 1;
        self.file = create(&self.log);
        self.live.clear();
    }

    /// Empties the live file.
    pub fn truncate(&mut self) {
        self.file.set_len(0).unwrap();
        self.cut = std::mem::take(&mut self.live);
    }

    /// Empties the live file and writes more than it held.
    pub fn truncate_and_regrow(&mut self) {
        self.truncate();
        self.write(self.cut.len() as u64 + 7);
    }

    /// Takes the last `count` lines of the truncated content for lost.
    fn lose(&mut self, count: u64) {
        assert!(count <= self.cut.len() as u64, "{count} of {} cut lines lost", self.cut.len());
        for _ in 0..count {
            let line = self.cut.pop().expect("as many were cut");
            *self.ledger.get_mut(&line).expect("it was written") -= 1;
        }
        self.ledger.retain(|_, count| *count > 0);
        self.lost += count;
    }

    /// Asserts that `daemon` comes to count each line once: all, or all but the last ones of a
    /// truncated content where `gaps`, the number of gaps, has grown. Returns the number of gaps.
    #[track_caller]
    pub fn assert_counted(&mut self, daemon: &Daemon<'_>, gaps: usize, what: &str) -> usize {
        // A last line of its own: when it is counted, all before it were read.
        self.line("end", "2026-q1");
        let end = ("end".to_owned(), "2026-q1");
        let counts = wait_for(&format!("{what}: the last line is counted"), || {
            let counts = counted(daemon)?;
            (counts.get(&end) == self.ledger.get(&end)).then_some(counts)
        });
        let source = daemon.source();
        let lines = source["lines"].as_u64().unwrap();
        assert!(lines <= self.lines(), "{what}: lines counted twice: {source}");
        let missing = self.lines() - lines;
        let now = source["gaps"].as_array().unwrap().len();
        assert!(missing == 0 || now > gaps, "{what}: {missing} lines lost without a gap: {source}");
        self.lose(missing);
        assert_eq!(counts, self.ledger, "{what}");
        assert_eq!(source["rejects"], 0, "{what}: {source}");
        assert_eq!(source["bytes_read"], lines * LINE, "{what}: {source}");
        now
    }

    /// Waits until all lines are counted, or the daemon has died.
    pub fn wait_until_read(&self, daemon: &mut Daemon<'_>) -> bool {
        wait_for("all is read, or the daemon is dead", || {
            if let Ok(reply) = daemon.request("GET", "/v1/sources", None, "") {
                let lines = reply.json()["sources"][0]["lines"].as_u64().unwrap();
                assert!(lines <= self.lines(), "{lines} of {} lines", self.lines());
                if lines == self.lines() {
                    return Some(true);
                }
            }
            (!daemon.runs()).then_some(false)
        })
    }

    /// Waits until all lines are counted.
    #[track_caller]
    pub fn wait_until_counted(&self, daemon: &Daemon<'_>) {
        wait_until("all lines are counted", || daemon.source()["lines"] == self.lines());
    }
}

fn line(event_at: Timestamp, consumer: &str, key: &str, number: u64) -> String {
    let millis = event_at.as_nanos().rem_euclid(1_000_000_000) / 1_000_000;
    let seconds = event_at.as_seconds();
    format!(
        "{seconds}.{millis:03} 192.0.2.7 \"{consumer}\" {key} \"GET /{number:09} HTTP/1.1\" 200\n"
    )
}

fn create(path: &Path) -> File {
    OpenOptions::new().create_new(true).append(true).open(path).unwrap()
}

/// Returns what `daemon` counted, if it tells: not while the state cannot be written.
fn counted(daemon: &Daemon<'_>) -> Option<Counts> {
    let reply = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers"));
    if reply.status == 503 {
        return None;
    }
    let answer = reply.json();
    let mut counts = Counts::new();
    for consumer in answer["consumers"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        for (key, uses) in [("2025-q4", &consumer["old"]), ("2026-q1", &consumer["new"])] {
            let name = consumer["consumer"].as_str().unwrap().to_owned();
            let count = uses["accepted"].as_u64().unwrap();
            assert_eq!(counts.insert((name, key), count), None, "{answer}");
        }
    }
    counts.retain(|_, count| *count > 0);
    Some(counts)
}

/// Asserts of the state as it lies there that offsets, lines and counts are of the same commit.
/// Looks at a copy, so that the next start finds what the last one left.
pub fn assert_whole(site: &Site, what: &str) {
    let copy = site.path("copy");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir(&copy).unwrap();
    let Ok(files) = fs::read_dir(site.path("state")) else { return };
    for file in files {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let (store, _) = Store::open(&copy).unwrap_or_else(|error| panic!("{what}: {error}"));
    let state = store.load().unwrap_or_else(|error| panic!("{what}: {error}"));
    let offsets: u64 = state.generations.iter().map(|generation| generation.offset).sum();
    let bytes: u64 = state.sources.iter().map(|source| source.bytes_read).sum();
    let lines: u64 = state.lines.iter().map(|record| record.count.lines).sum();
    let cells = store.cells().unwrap();
    let uses: u64 = cells.iter().map(|(_, cell)| cell.tally.counts.iter().sum::<u64>()).sum();
    let expected = (offsets, offsets / LINE, offsets / LINE);
    assert_eq!((bytes, lines, uses), expected, "{what}: torn: {:?}", state.generations);
}

/// Returns the fingerprint secret, if there is one. Half a secret there is never.
pub fn secret_of(site: &Site, what: &str) -> Option<String> {
    let path = site.path("state/fingerprint.key");
    let text = fs::read_to_string(&path).ok()?;
    let digits = text.strip_suffix('\n').unwrap_or_else(|| panic!("{what}: {text:?}"));
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(digits.len() == 64 && digits.bytes().all(is_hex), "{what}: {text:?}");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{what}");
    Some(text)
}

/// Asserts that an answer, if there is one, is not `ready`.
pub fn assert_not_ready(answer: &Value, what: &str) {
    assert_ne!(answer["ready"], true, "{what}: {answer}");
    assert_ne!(answer["verdict"], "ready", "{what}: {answer}");
}

#[test]
fn all_lines_are_equally_long() {
    for (consumer, key, number) in [("c00", "2025-q4", 0), ("end", "2026-q1", 999_999_999)] {
        assert_eq!(line(clock::now(), consumer, key, number).len() as u64, LINE);
    }
}

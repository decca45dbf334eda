//! `kill -9` at random moments while a log is written and rotated: each line counts once.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use keydrain::clock;
use serde_json::{Value, json};

use crate::rotation::declare;
use crate::shop::{CREDENTIAL, Form, config};
use crate::support::daemon::{Daemon, Site};
use crate::support::wait::{pause, wait_for};

const KILLS: u64 = 50;
/// Longest life of a daemon, in milliseconds.
const LONGEST_LIFE: u64 = 300;
const CONSUMERS: [&str; 5] = ["checkout", "search", "billing", "mobile", "nightly"];

/// Requests by consumer and key name: accepted, denied, failed.
type Ledger = BTreeMap<(String, &'static str), [u64; 3]>;

/// Pseudo-random numbers from a seed that a failure tells (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }
}

/// A server that writes and rotates its log as fast as it is let, and remembers every line.
struct Writer {
    log: PathBuf,
    file: File,
    dice: Dice,
    rotations: u64,
    lines: u64,
    bytes: u64,
    ledger: Ledger,
}

impl Writer {
    fn new(log: PathBuf, seed: u64) -> Self {
        let file = create(&log);
        let dice = Dice(seed);
        Self { log, file, dice, rotations: 0, lines: 0, bytes: 0, ledger: Ledger::new() }
    }

    /// Writes a few lines; now and then one in two pieces, now and then into a new file.
    fn write_some(&mut self) {
        for _ in 0..=self.dice.below(40) {
            let line = self.line();
            let cut = self.dice.index(40);
            // A reader may meet the first piece alone.
            let (first, second) = line.split_at(cut.min(line.len()));
            self.file.write_all(first.as_bytes()).unwrap();
            self.file.write_all(second.as_bytes()).unwrap();
            self.bytes += line.len() as u64;
        }
        if self.dice.below(60) == 0 {
            self.rotate();
        }
    }

    fn line(&mut self) -> String {
        let consumer = CONSUMERS[self.dice.index(CONSUMERS.len())];
        let key = ["2025-q4", "2026-q1", "-"][self.dice.index(3)];
        let (status, outcome) = [(200, 0), (401, 1), (503, 2)][self.dice.index(3)];
        self.lines += 1;
        if key != "-" {
            self.ledger.entry((consumer.to_owned(), key)).or_default()[outcome] += 1;
        }
        let now = clock::now();
        let millis = now.as_nanos().rem_euclid(1_000_000_000) / 1_000_000;
        let seconds = now.as_seconds();
        format!(
            "{seconds}.{millis:03} 192.0.2.7 \"{consumer}\" {key} \"GET /{} HTTP/1.1\" {status}\n",
            self.lines
        )
    }

    /// Shifts all files by one name and begins a new one; keeps them all.
    fn rotate(&mut self) {
        for number in (1..=self.rotations).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1)).unwrap();
        }
        fs::rename(&self.log, self.numbered(1)).unwrap();
        // As a server that was not told yet: the next lines still go to the renamed file.
        for _ in 0..self.dice.below(3) {
            let line = self.line();
            self.file.write_all(line.as_bytes()).unwrap();
            self.bytes += line.len() as u64;
        }
        self.file = create(&self.log);
        self.rotations += 1;
    }

    fn numbered(&self, number: u64) -> PathBuf {
        self.log.with_file_name(format!("access.log.{number}"))
    }
}

fn create(path: &Path) -> File {
    OpenOptions::new().create_new(true).append(true).open(path).unwrap()
}

#[test]
fn row_37_after_fifty_kills_at_random_moments_each_line_is_counted_once() {
    let seed = std::env::var("KEYDRAIN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap());
    println!("KEYDRAIN_TEST_SEED={seed}");
    let site = Site::new(&config(Form::Names));
    fs::create_dir_all(site.path("web/logs")).unwrap();
    let mut writer = Writer::new(site.path("web/logs/access.log"), seed);
    {
        let daemon = site.start();
        declare(&daemon);
        daemon.kill();
    }
    let over = AtomicBool::new(false);
    let (writer, told) = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                writer.write_some();
                pause(Duration::from_millis(2));
            }
            writer
        });
        let told = kill_again_and_again(&site, &mut Dice(!seed));
        over.store(true, Ordering::Relaxed);
        (writing.join().unwrap(), told)
    });
    assert!(writer.lines > 2_000 && writer.rotations > 5, "{} lines", writer.lines);
    assert!(told > 10, "only {told} of {KILLS} lives got so far as to read");

    let daemon = site.start();
    let source = wait_for("the rest is read", || {
        let source = daemon.source();
        let read = source["bytes_read"].as_u64().unwrap();
        assert!(read <= writer.bytes, "{read} of {} bytes read: {source}", writer.bytes);
        (read == writer.bytes).then_some(source)
    });
    assert_eq!(source["lines"], writer.lines, "{source}");
    assert_eq!(source["rejects"], 0, "{source}");
    assert_eq!(source["bytes_unknown"], 0, "{source}");
    assert_eq!(source["gaps"], json!([]), "{source}");
    assert_eq!(counted(&daemon), writer.ledger);
    assert_eq!(daemon.stop(), Some(0));
}

/// Lets daemons live for a moment each; returns how many of them said that they had read.
fn kill_again_and_again(site: &Site, dice: &mut Dice) -> u64 {
    let mut told = 0;
    for _ in 0..KILLS {
        let life = Duration::from_millis(dice.below(LONGEST_LIFE));
        if dice.below(3) == 0 {
            // Anywhere, the start included.
            let mut child = site.launch(site.keydrain(&["run"]));
            pause(life);
            let ended = child.try_wait().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(ended, None, "it ended by itself:\n{}", site.log());
        } else {
            // While it reads, commits and answers.
            let daemon = site.spawn(site.keydrain(&["run"]));
            pause(life);
            let reply = daemon.get("/readyz");
            told += u64::from(reply.status == 200);
            daemon.kill();
        }
    }
    told
}

fn counted(daemon: &Daemon<'_>) -> Ledger {
    let answer = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let mut ledger = Ledger::new();
    for consumer in answer["consumers"].as_array().unwrap() {
        let name = consumer["consumer"].as_str().unwrap();
        for (key, uses) in [("2025-q4", &consumer["old"]), ("2026-q1", &consumer["new"])] {
            let count = |outcome: &str| uses[outcome].as_u64().unwrap();
            let counts = ["accepted", "denied", "failed"].map(count);
            assert_eq!(ledger.insert((name.to_owned(), key), counts), None, "{answer}");
        }
    }
    ledger.retain(|_, counts| *counts != [0; 3]);
    assert_ne!(answer["consumers"], Value::Null);
    ledger
}

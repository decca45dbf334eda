//! A server that writes its log at a steady pace while the real logrotate rotates it, and remembers
//! every line: what must be counted, or must lie in a recorded gap.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use keydrain::clock;
use keydrain::engine::time::Timestamp;

use crate::support::daemon::Site;
use crate::support::logrotate;
use crate::support::wait::{pause, wait_until};

/// Lines in a row of one consumer: which of them are missing is told by the counts this closely.
/// Few, but so that no test has more consumers than are kept apart.
const GROUP: usize = 50;
/// Lines that are written in a row, and the pause after them: 10,000 a second where the machine
/// can.
const BURST: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Lines by consumer and key.
pub type Counts = BTreeMap<(String, &'static str), u64>;

/// A line that was written.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    number: usize,
    /// The time in it.
    pub at: Timestamp,
    bytes: u64,
}

/// When the writer opens its log by name again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopen {
    /// Before logrotate goes on: nothing is written to a file that is being packed.
    AtOnce,
    /// Some time after it was told: until then it writes to the rotated file.
    Later,
    /// Never: the log is copied and truncated.
    Never,
}

/// The writer, on a thread of its own.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
}

/// What the writer and its thread share.
struct Shared {
    log: PathBuf,
    /// The writer opens the log by its name when this file is there, and takes it away then.
    reopen: PathBuf,
    wanted: AtomicUsize,
    over: AtomicBool,
    ledger: Mutex<Vec<Line>>,
}

impl Writer {
    /// Begins `logs/access.log` below `site`.
    pub fn start(site: &Site) -> Self {
        fs::create_dir_all(site.path("logs")).unwrap();
        let shared = Arc::new(Shared {
            log: site.path("logs/access.log"),
            reopen: site.path("reopen"),
            wanted: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            ledger: Mutex::new(Vec::new()),
        });
        let file = open(&shared.log);
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || shared.write_on(file)
        });
        Self { shared, thread: Some(thread), folder: site.path("") }
    }

    /// Asks for `count` more lines and waits for none of them.
    pub fn go_on(&self, count: usize) {
        self.shared.wanted.fetch_add(count, Ordering::Relaxed);
    }

    /// Writes `count` lines.
    pub fn write(&self, count: usize) {
        self.go_on(count);
        self.wait_for_lines(self.shared.wanted.load(Ordering::Relaxed));
    }

    /// Writes a line to the log that has the name now, so that it is not empty.
    pub fn begin_log(&self) {
        wait_until("the writer has opened the log again", || !self.shared.reopen.exists());
        self.write(1);
    }

    /// Waits until `count` lines are written since the start.
    pub fn wait_for_lines(&self, count: usize) {
        wait_until("lines are written", || self.ledger().len() >= count);
    }

    /// Returns how many lines are written.
    pub fn len(&self) -> usize {
        self.ledger().len()
    }

    /// Waits until all lines are written that were asked for, and returns them.
    pub fn written(&self) -> Vec<Line> {
        self.wait_for_lines(self.shared.wanted.load(Ordering::Relaxed));
        self.ledger().clone()
    }

    /// Rotates the log now, as `options` say.
    pub fn rotate(&self, options: &str, reopen: Reopen) {
        logrotate::logrotate(&self.folder, &self.config(options, reopen));
    }

    /// Rotates the log if `options` say that it is due.
    pub fn rotate_if_due(&self, options: &str, reopen: Reopen) {
        logrotate::logrotate_if_due(&self.folder, &self.config(options, reopen));
    }

    /// Returns the names of the rotated files.
    pub fn rotated(&self) -> Vec<String> {
        let files = fs::read_dir(self.shared.log.parent().unwrap()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut rotated: Vec<String> = names.filter(|name| name != "access.log").collect();
        rotated.sort();
        rotated
    }

    /// Returns the lines that are in no file any more.
    pub fn lost(&self) -> Vec<Line> {
        let folder = self.shared.log.parent().expect("it has one");
        let mut found = BTreeSet::new();
        for name in self.rotated().iter().map(String::as_str).chain(["access.log"]) {
            let mut text = String::new();
            let file = File::open(folder.join(name)).unwrap();
            let read = match name.strip_suffix(".gz") {
                Some(_) => MultiGzDecoder::new(file).read_to_string(&mut text),
                None => (&file).read_to_string(&mut text),
            };
            read.unwrap();
            // A copy may end in the middle of a write.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            found.extend(whole.lines().map(number_in));
        }
        let lines = self.ledger().clone();
        lines.into_iter().filter(|line| !found.contains(&line.number)).collect()
    }

    fn config(&self, options: &str, reopen: Reopen) -> String {
        let flag = self.shared.reopen.display();
        let script = match reopen {
            Reopen::AtOnce => format!(": > '{flag}'\nwhile [ -e '{flag}' ]; do sleep 0.01; done"),
            Reopen::Later => format!(": > '{flag}'"),
            Reopen::Never => ":".to_owned(),
        };
        let log = self.shared.log.display();
        format!("\"{log}\" {{\n{options}\npostrotate\n{script}\nendscript\n}}\n")
    }

    fn ledger(&self) -> MutexGuard<'_, Vec<Line>> {
        self.shared.ledger.lock().expect("the writer does not panic")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it panics with is shown; the test fails for lack of lines.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn write_on(&self, mut file: File) {
        while !self.over.load(Ordering::Relaxed) {
            if self.reopen.exists() {
                file = open(&self.log);
                fs::remove_file(&self.reopen).unwrap();
            }
            let wanted = self.wanted.load(Ordering::Relaxed);
            let mut ledger = self.ledger.lock().expect("the test does not panic while it looks");
            for number in (ledger.len()..wanted).take(BURST) {
                let (line, at) = line(number);
                file.write_all(line.as_bytes()).unwrap();
                ledger.push(Line { number, at, bytes: line.len() as u64 });
            }
            drop(ledger);
            pause(PAUSE);
        }
    }
}

impl Line {
    /// Returns who presents which key in it.
    pub fn cell(&self) -> (String, &'static str) {
        (consumer(self.number), key(self.number))
    }
}

/// Returns how many bytes `lines` have.
pub fn bytes_of(lines: &[Line]) -> u64 {
    lines.iter().map(|line| line.bytes).sum()
}

/// Counts `lines` as the program must.
pub fn counts_of(lines: &[Line]) -> Counts {
    let mut counts = Counts::new();
    for line in lines {
        *counts.entry(line.cell()).or_default() += 1;
    }
    counts
}

fn consumer(number: usize) -> String {
    format!("c{:04}", number / GROUP)
}

fn key(number: usize) -> &'static str {
    ["2025-q4", "2026-q1"][number % 2]
}

fn line(number: usize) -> (String, Timestamp) {
    let millis = clock::now().as_nanos().div_euclid(1_000_000);
    let (seconds, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    let (consumer, key) = (consumer(number), key(number));
    let line = format!(
        "{seconds}.{rest:03} 192.0.2.7 \"{consumer}\" {key} \"GET /{number} HTTP/1.1\" 200\n"
    );
    (line, Timestamp::from_nanos(millis * 1_000_000))
}

/// Returns the number of a line, as its request tells it.
fn number_in(line: &str) -> usize {
    let (_, rest) = line.split_once("GET /").expect("a request");
    rest.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

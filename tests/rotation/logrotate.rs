//! The real logrotate in each of its ways, beside a server that writes all the while.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keydrain::clock;
use rustix::process::{Signal, kill_process};

use crate::site::{Counts, assert_each_once, assert_none_twice, declare, site};
use crate::support::daemon::{Daemon, Site};
use crate::support::logrotate::{logrotate, logrotate_when_due};
use crate::support::wait::{pause, wait_until};

/// Rotations of a run.
const ROTATIONS: usize = 6;
/// Lines between two looks of the server at the name of its log.
const BATCH: u64 = 25;
/// Least time from one batch to the next.
const BATCH_EVERY: Duration = Duration::from_micros(2500);
/// Lines of a consumer: a line that is counted twice is found among so many.
const LINES_EACH: u64 = 400;
/// Least number of lines of a run.
const LINES: u64 = 20_000;

/// A server that opens its log anew a moment after it was moved away.
struct Server {
    log: PathBuf,
    file: File,
    written: u64,
    ledger: Counts,
}

impl Server {
    fn new(site: &Site) -> Self {
        let log = site.path("logs/access.log");
        let file = open(&log);
        Self { log, file, written: 0, ledger: Counts::new() }
    }

    /// Writes a few lines, then looks whether its log is still the one of that name.
    fn write(&mut self, lines: u64) {
        for _ in 0..lines {
            let consumer = format!("c{:05}", self.written / LINES_EACH);
            let key = ["2025-q4", "2026-q1"][usize::from(self.written.is_multiple_of(2))];
            let now = clock::now();
            let millis = now.as_nanos().rem_euclid(1_000_000_000) / 1_000_000;
            let line = format!(
                "{}.{millis:03} 192.0.2.7 \"{consumer}\" \"{key}\" \"GET /{} HTTP/1.1\" 200\n",
                now.as_seconds(),
                self.written
            );
            self.file.write_all(line.as_bytes()).unwrap();
            self.written += 1;
            *self.ledger.entry(consumer).or_default() += 1;
        }
        let is_ours = fs::metadata(&self.log)
            .is_ok_and(|meta| meta.ino() == self.file.metadata().unwrap().ino());
        if !is_ours {
            self.file = open(&self.log);
        }
    }

    /// Writes on until `done`, and at least `LINES` lines in all: at most 10,000 lines a second.
    fn write_until(&mut self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) || self.written < LINES {
            self.write(BATCH);
            pause(BATCH_EVERY);
        }
    }
}

fn open(path: &PathBuf) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// Ends the writing, also when what is asserted meanwhile fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns the configuration of logrotate: everything is kept.
fn ways(site: &Site, ways: &str) -> String {
    // Logs of another user than root are refused in a directory that others may write to.
    let log = site.path("logs/access.log");
    format!("{} {{\n    rotate 100\n    missingok\n    {ways}\n}}\n", log.display())
}

fn signal(daemon: &Daemon<'_>, signal: Signal) {
    kill_process(daemon.pid(), signal).unwrap();
}

fn generations(daemon: &Daemon<'_>) -> u64 {
    daemon.source()["streams"][0]["generations"].as_u64().unwrap_or(0)
}

/// Rotates `ROTATIONS` times under a server that writes; each time the program has the new file open
/// before the next one.
fn rotate_under_load(directives: &str, force: bool) {
    let site = site();
    let mut server = Server::new(&site);
    let daemon = site.start();
    declare(&daemon);
    server.write(1);
    wait_until("the first file is open", || generations(&daemon) == 1);
    let config = ways(&site, directives);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| server.write_until(&done));
        let _end = End(&done);
        for _ in 0..ROTATIONS {
            let before = generations(&daemon);
            if force {
                logrotate(&site.path(""), &config);
            } else {
                let rotated = || site.path("logs/access.log.1").metadata().map(|it| it.ino()).ok();
                let last = rotated();
                wait_until("the log is large enough", || {
                    logrotate_when_due(&site.path(""), &config);
                    rotated() != last
                });
            }
            wait_until("the new file is open", || generations(&daemon) > before);
            // A date tells one rotation from the next by the second, of a clock that ticks slowly.
            let next = clock::now().plus(Duration::from_millis(1100));
            let dated = directives.contains("dateext");
            wait_until("another date", || !dated || clock::now() >= next);
        }
    });
    assert_each_once(&daemon, &server.ledger, directives);
    assert_eq!(daemon.stop(), Some(0), "{directives}");
}

#[test]
fn row_01_what_a_server_writes_while_logrotate_renames_and_creates_is_counted_once() {
    rotate_under_load("create", true);
}

#[test]
fn row_12_what_logrotate_compresses_at_once_or_a_rotation_later_is_counted_once() {
    rotate_under_load("create\n    compress", true);
    rotate_under_load("create\n    compress\n    delaycompress", true);
}

#[test]
fn row_12_what_logrotate_gives_a_date_is_counted_once() {
    rotate_under_load("create\n    dateext\n    dateformat -%Y%m%d-%H%M%S", true);
    rotate_under_load("create\n    compress\n    dateext\n    dateformat -%Y%m%d-%H%M%S", true);
}

#[test]
fn row_12_what_logrotate_rotates_by_its_size_is_counted_once() {
    rotate_under_load("create\n    weekly\n    maxsize 20k", false);
}

/// The program is stopped by a signal, or not running at all, while everything is rotated and packed.
#[test]
fn row_12_what_logrotate_compresses_while_nobody_looks_is_counted_once() {
    for down in [false, true] {
        let what = format!("down: {down}");
        let site = site();
        let mut server = Server::new(&site);
        let daemon = site.start();
        declare(&daemon);
        server.write(30);
        assert_each_once(&daemon, &server.ledger, &what);
        let mut running = Some(daemon);
        if down {
            assert_eq!(running.take().unwrap().stop(), Some(0));
        } else {
            signal(running.as_ref().unwrap(), Signal::STOP);
        }
        for _ in 0..3 {
            server.write(30);
            logrotate(&site.path(""), &ways(&site, "create\n    compress"));
            // The server notices, as it does after a signal of `postrotate`.
            server.write(0);
            server.write(30);
        }
        let daemon = running.unwrap_or_else(|| site.start());
        signal(&daemon, Signal::CONT);
        assert_each_once(&daemon, &server.ledger, &what);
    }
}

#[test]
fn row_17_two_rotations_at_once_lose_nothing() {
    let site = site();
    let mut server = Server::new(&site);
    let daemon = site.start();
    declare(&daemon);
    for _ in 0..4 {
        for _ in 0..2 {
            server.write(50);
            logrotate(&site.path(""), &ways(&site, "create"));
            server.write(0);
        }
        server.write(50);
        assert_each_once(&daemon, &server.ledger, "two rotations at once");
    }
}

#[test]
fn row_18_what_logrotate_has_pruned_before_it_was_read_is_a_gap() {
    let site = site();
    let mut server = Server::new(&site);
    let daemon = site.start();
    declare(&daemon);
    server.write(30);
    assert_each_once(&daemon, &server.ledger, "before");
    assert_eq!(daemon.stop(), Some(0));
    let read = server.ledger.clone();
    server.write(30);
    let config = ways(&site, "create").replace("rotate 100", "rotate 1");
    logrotate(&site.path(""), &config);
    server.write(0);
    logrotate(&site.path(""), &config);
    assert!(!site.path("logs/access.log.2").exists());
    let daemon = site.start();
    wait_until("the loss is told", || {
        let gaps = daemon.source()["gaps"].clone();
        gaps.as_array().unwrap().iter().any(|gap| gap["reason"] == "vanished")
    });
    assert_eq!(crate::site::counted(&daemon), read);
}

#[test]
fn row_03_copytruncate_counts_nothing_twice_and_each_cut_is_a_gap() {
    let site = site();
    let mut server = Server::new(&site);
    let daemon = site.start();
    declare(&daemon);
    server.write(1);
    wait_until("the first file is open", || generations(&daemon) == 1);
    let config = ways(&site, "copytruncate");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| server.write_until(&done));
        let _end = End(&done);
        for _ in 0..ROTATIONS {
            let before = daemon.source()["gaps"].as_array().unwrap().len();
            logrotate(&site.path(""), &config);
            wait_until("the cut is told", || {
                daemon.source()["gaps"].as_array().unwrap().len() > before
            });
            // What is cut off before anything of it was read leaves no trace.
            let read = daemon.source()["lines"].clone();
            wait_until("the new content is read", || daemon.source()["lines"] != read);
        }
    });
    server.write(LINES_EACH);
    let lost = assert_none_twice(&daemon, &server.ledger, ROTATIONS, "copytruncate");
    println!("copytruncate: {lost} of {} lines lost", server.written);
    assert_eq!(daemon.readiness(crate::site::CREDENTIAL)["ready"], false);
}

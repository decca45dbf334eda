//! `keydrain verify` over logs that change under it or cannot be read: told, and never called equal.

use std::fs;

use rustix::process::{Signal, kill_process};

use crate::support::daemon::{Ran, Site, without_powers};
use crate::support::strace::Faults;
use crate::support::wait::wait_until;
use crate::writer::{Writer, config, declare};

/// No command opens or reads a log so often: reaching it would mean that a sweep never ends.
const MOST_CALLS: usize = 500;

/// How a log is opened: newer machines have one way less.
const OPEN: &str = if cfg!(target_arch = "x86_64") { "open" } else { "openat" };

/// Logs that a daemon has read, the live one first.
const LOGS: [&str; 2] = ["logs/access.log", "logs/access.log.1"];

/// Lets a daemon read two logs and stop.
fn read() -> Site {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    // More than what an anchor covers.
    writer.write(200);
    writer.rotate();
    writer.write(200);
    let daemon = site.start();
    declare(&daemon);
    writer.wait_until_counted(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    site
}

fn said(ran: &Ran) -> (bool, Vec<String>) {
    let said = ran.json();
    let incomplete = said["incomplete"].as_array().unwrap().iter();
    let incomplete = incomplete.map(|line| line.as_str().unwrap().to_owned()).collect();
    (said["equal"] == true, incomplete)
}

/// Asserts that the only thing that `ran` says is that the live log `why`.
#[track_caller]
fn assert_incomplete(ran: &Ran, why: &str, what: &str) {
    let (equal, incomplete) = said(ran);
    assert_eq!((ran.code, equal), (Some(3), false), "{what}: {ran:?}");
    assert_eq!(incomplete.len(), 1, "{what}: {ran:?}");
    let (name, reason) = incomplete[0].split_once(' ').unwrap();
    assert!(name.ends_with(LOGS[0]) && reason.starts_with(why), "{what}: {ran:?}");
    assert_eq!(ran.json()["differences"], serde_json::json!([]), "{what}: {ran:?}");
}

#[test]
fn row_06_a_log_that_changes_between_two_readings_of_it_is_told() {
    let site = read();
    let log = site.path(LOGS[0]);
    let whole = fs::read_to_string(&log).unwrap();
    // The offset stays, and so do all lines but the last.
    let cut = whole.trim_end().rfind('\n').unwrap() + 1;
    let edited = format!("{}{}", &whole[..cut], whole[cut..].replace("2026-q1", "2025-q4"));
    assert_ne!(whole, edited);
    let mut codes = Vec::new();
    for number in 1..MOST_CALLS {
        let what = format!("changed after opening number {number}");
        fs::write(&log, &whole).unwrap();
        let stop = format!("signal=SIGSTOP:when={number}");
        let faults = Faults::new(site.path("trace"), OPEN, &stop).on(log.clone());
        let command = site.keydrain(&["verify", "--output", "json", LOGS[0], LOGS[1]]);
        let mut running = site.begin(faults.around(&command));
        let stopped = || {
            let trace = faults.trace();
            trace.lines().count() >= number && trace.ends_with('\n')
        };
        wait_until(&what, || stopped() || !running.runs());
        if !stopped() {
            let ran = running.end();
            assert_eq!((ran.code, said(&ran).0), (Some(0), true), "{ran:?}");
            assert!(codes.contains(&Some(3)), "it never changed in between: {codes:?}");
            return;
        }
        fs::write(&log, &edited).unwrap();
        kill_process(running.pid(), Signal::CONT).unwrap();
        let ran = running.end();
        codes.push(ran.code);
        match ran.code {
            Some(3) => assert_incomplete(&ran, "changed while it was read", &what),
            // It was changed before it was read at all, or after that.
            Some(1) => assert!(!said(&ran).0, "{what}: {ran:?}"),
            _ => assert_eq!((ran.code, codes.contains(&Some(3))), (Some(0), true), "{what}"),
        }
    }
    panic!("the openings never end");
}

#[test]
fn row_27_a_log_that_cannot_be_read_further_is_told_wherever_that_is() {
    if !rustix::process::geteuid().is_root() {
        println!("only root's strace can tell the log from other files: nothing was tested");
        return;
    }
    let site = read();
    for number in 1..MOST_CALLS {
        let faults = Faults::new(site.path("trace"), "read", &format!("error=EIO:when={number}"))
            .on(site.path(LOGS[0]));
        let command = site.keydrain(&["verify", "--output", "json", LOGS[0], LOGS[1]]);
        let ran = site.begin(faults.around(&command)).end();
        if !faults.struck() {
            assert_eq!((ran.code, said(&ran).0), (Some(0), true), "{ran:?}");
            assert!(number > 3, "each log is read twice: {number}");
            return;
        }
        assert_incomplete(&ran, "cannot be read: ", &format!("EIO at read number {number}"));
    }
    panic!("the reads never end");
}

#[test]
fn row_26_a_log_that_may_not_be_read_or_is_no_file_is_told_beside_what_was_compared() {
    use std::os::unix::fs::PermissionsExt as _;

    let site = read();
    let verify = |logs: &[&str]| {
        let command = site.keydrain(&[&["verify", "--output", "json"], logs].concat());
        site.begin(without_powers(&command)).end()
    };
    let ran = verify(&LOGS);
    assert_eq!((ran.code, said(&ran).0), (Some(0), true), "{ran:?}");
    fs::set_permissions(site.path(LOGS[0]), fs::Permissions::from_mode(0o000)).unwrap();
    let ran = verify(&LOGS);
    assert_incomplete(&ran, "cannot be read: Permission denied", "mode 000");
    assert_eq!(ran.json()["files"].as_array().unwrap().len(), 1, "the other one was compared");
    let table = site.begin(without_powers(&site.keydrain(&["verify", LOGS[0]]))).end();
    assert_eq!(table.code, Some(3), "{table:?}");
    assert!(table.out.contains("cannot be read: Permission denied"), "{table:?}");
    let csv = site.keydrain(&["verify", "--output", "csv", LOGS[0]]);
    let csv = site.begin(without_powers(&csv)).end();
    assert_eq!((csv.code, csv.out.lines().count()), (Some(3), 1), "{csv:?}");
    assert!(csv.err.contains("cannot be read: Permission denied"), "{csv:?}");

    fs::remove_file(site.path(LOGS[0])).unwrap();
    fs::create_dir(site.path(LOGS[0])).unwrap();
    assert_incomplete(&verify(&LOGS), "cannot be read: is a directory", "a directory");
}

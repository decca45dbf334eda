//! A backup beside the running daemon, and what happens when it is put back.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use keydrain::clock;
use serde_json::Value;

use crate::rotation::declare;
use crate::shop::{CREDENTIAL, Form, config, subjects};
use crate::support::daemon::{Daemon, Site};
use crate::support::wait::{wait_for, wait_until};

/// Appends `count` lines with the old key.
fn write(log: &Path, count: usize) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    for _ in 0..count {
        let second = clock::now().as_seconds();
        let line = format!("{second}.000 192.0.2.7 \"checkout\" 2025-q4 \"GET / HTTP/1.1\" 200\n");
        file.write_all(line.as_bytes()).unwrap();
    }
}

fn accepted(daemon: &Daemon<'_>) -> Option<u64> {
    daemon.readiness(CREDENTIAL)["old_key"]["accepted"].as_u64()
}

fn restored(source: &Value) -> usize {
    let gaps = source["gaps"].as_array().unwrap().iter();
    gaps.filter(|gap| gap["reason"] == "state_restored").count()
}

#[test]
fn row_40_a_backup_of_a_running_daemon_is_put_back_and_the_time_since_is_unknown() {
    let site = Site::new(&config(Form::Names));
    fs::create_dir_all(site.path("web/logs")).unwrap();
    let log = site.path("web/logs/access.log");
    write(&log, 100);
    let daemon = site.start();
    declare(&daemon);
    wait_until("the first lines are counted", || accepted(&daemon) == Some(100));

    let made = site.run(&["state", "backup", "copy.db", "--output", "json"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let said = made.json();
    assert_eq!(said["bytes"], fs::metadata(site.path("copy.db")).unwrap().len());
    let again = site.run(&["state", "backup", "copy.db"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.err.contains("is not overwritten"), "{again:?}");

    write(&log, 50);
    wait_until("the later lines are counted", || accepted(&daemon) == Some(150));
    let sequence = daemon.readiness(CREDENTIAL)["sequence"].as_u64().unwrap();
    assert!(sequence >= said["sequence"].as_u64().unwrap());
    assert_eq!(restored(&daemon.source()), 0);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!site.run(&["check"]).out.contains("older copy"));

    fs::copy(site.path("copy.db"), site.path("state/keydrain.db")).unwrap();
    let found = site.run(&["check"]);
    assert!(found.out.contains("older copy"), "{found:?}");
    let daemon = site.start();
    let answer = wait_for("what the copy lacks is read again", || {
        let answer = daemon.readiness(CREDENTIAL);
        (answer["old_key"]["accepted"] == 150).then_some(answer)
    });
    assert!(answer["sequence"].as_u64().unwrap() > sequence, "{answer}");
    assert_eq!(subjects(&answer, "coverage_gap").len(), 1, "{answer}");
    assert_eq!(restored(&daemon.source()), 1);
    assert!(site.log().contains("an older copy that was put back"), "{}", site.log());
    let status = daemon.cli(&["status"]);
    assert!(status.out.contains("an older state was put back"), "{status:?}");
    let coverage = daemon.cli(&["status", "--coverage"]);
    assert!(coverage.out.contains("state_restored"), "{coverage:?}");
    assert!(coverage.out.contains("access.log  open"), "{coverage:?}");
    let list = daemon.cli(&["status", "--coverage", "--output", "csv"]);
    let bytes = fs::metadata(&log).unwrap().len();
    assert!(list.out.contains(&format!(",false,{bytes},{bytes},0,0,0,0,0,")), "{list:?}");
    assert_eq!(daemon.stop(), Some(0));

    let daemon = site.start();
    assert_eq!((accepted(&daemon), restored(&daemon.source())), (Some(150), 1), "told once");
    assert!(!site.run(&["check"]).out.contains("older copy"));
}

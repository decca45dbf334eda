//! Writes and syncs of the state that fail: nothing counts before it is kept, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Site, TOKEN};
use crate::support::strace::{Faults, end_faults};
use crate::support::wait::{wait_for, wait_until};
use crate::writer::{
    CREDENTIAL, RENAME, Writer, assert_not_ready, assert_whole, config, declare, secret_of,
};

/// Sweeps over the same calls that run side by side, each over a log of its own.
const LANES: usize = 6;
/// No sweep has so many calls: reaching it would mean that it never ends.
const MOST_CALLS: usize = 2000;
/// Calls that a start makes, and more.
const AFTER_START: [(&str, usize); 2] = [("pwrite64", 60), ("fsync", 12)];

fn codes(answer: &Value) -> Vec<&str> {
    let blockers = answer["blockers"].as_array().unwrap().iter();
    blockers.map(|blocker| blocker["code"].as_str().unwrap()).collect()
}

#[test]
fn row_39_while_no_write_succeeds_nothing_counts_and_then_everything_does() {
    std::thread::scope(|scope| {
        for (call, after) in AFTER_START {
            for error in ["EIO", "ENOSPC", "EROFS"] {
                scope.spawn(move || write_none_for_a_while(call, after, error));
            }
        }
    });
}

fn write_none_for_a_while(call: &str, after: usize, error: &str) {
    let what = format!("{error} at {call} from number {after} on");
    let site = Site::new(&config("3s"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    // The first start makes the tables: it is not what is to fail.
    let daemon = site.start();
    declare(&daemon);
    wait_for("ready", || {
        writer.move_over();
        (daemon.readiness(CREDENTIAL)["ready"] == true).then_some(())
    });
    assert_eq!(daemon.stop(), Some(0));
    let faults = Faults::new(site.path("trace"), call, &format!("error={error}:when={after}+"));
    let daemon = site.spawn(faults.around(&site.keydrain(&["run"])));
    let answer = wait_for(&format!("{what}: the daemon tells"), || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        codes(&answer).contains(&"state_unwritable").then_some(answer)
    });
    assert_eq!(answer["verdict"], "unknown", "{what}: {answer}");
    assert!(faults.struck(), "{what}");

    let before = daemon.source();
    let mut looks = 0;
    wait_until("many looks", || {
        writer.move_over();
        assert_not_ready(&daemon.readiness(CREDENTIAL), &what);
        let source = daemon.source();
        assert_eq!(source["bytes_read"], before["bytes_read"], "{what}: offsets moved");
        assert_eq!(source["lines"], before["lines"], "{what}: lines counted");
        looks += 1;
        looks > 100
    });
    let path = format!("/v1/credentials/{CREDENTIAL}/events");
    let refused = daemon.post(&path, &json!({"type": "hold"}));
    assert_eq!(refused.status, 503, "{what}: {refused:?}");
    let log = site.log();
    assert_eq!(log.matches("The state cannot be written: ").count(), 1, "{what}: {log}");

    end_faults(daemon.pid());
    writer.assert_counted(&daemon, 0, &what);
    let answer = daemon.readiness(CREDENTIAL);
    assert!(!codes(&answer).contains(&"state_unwritable"), "{what}: {answer}");
    assert_eq!(daemon.source()["gaps"], json!([]), "{what}");
    assert!(site.log().contains("The state can be written again."), "{what}");
    assert_eq!(daemon.stop(), Some(0), "{what}");
    assert_whole(&site, &what);
}

#[test]
fn row_39_a_single_failed_sync_of_a_life_loses_and_doubles_nothing() {
    for error in ["EIO", "ENOSPC"] {
        sweep("fsync", error, 5);
    }
}

#[test]
fn row_39_a_single_failed_write_of_a_life_loses_and_doubles_nothing() {
    sweep("pwrite64", "EIO", 60);
}

#[test]
fn row_39_a_single_failed_read_of_a_life_loses_and_doubles_nothing() {
    sweep("pread64", "EIO", 5);
}

#[test]
fn row_39_a_single_failed_name_or_size_of_a_life_loses_and_doubles_nothing() {
    sweep("unlink", "EIO", 1);
    sweep("ftruncate", "EIO", 1);
    sweep(RENAME, "EIO", 0);
}

#[test]
fn row_39_a_single_failed_call_of_the_first_start_leaves_no_half_secret_and_no_half_state() {
    // Later writes by this call are lines of the daemon's own log, which nobody waits for.
    let first_only = 1;
    let calls = [
        ("write", first_only, 1),
        ("fsync", MOST_CALLS, 8),
        ("linkat", MOST_CALLS, 1),
        ("unlink", MOST_CALLS, 2),
        ("mkdir", MOST_CALLS, 1),
        (RENAME, MOST_CALLS, 0),
    ];
    std::thread::scope(|scope| {
        for (call, most, least) in calls {
            for error in ["EIO", "ENOSPC"] {
                scope.spawn(move || {
                    let calls = first_starts(call, error, most);
                    println!("{error} at {calls} calls of {call}");
                    assert!(calls >= least, "{error} at {call}: {calls}");
                });
            }
        }
    });
}

/// Fails each of the first `most` calls of a first start; returns how many there were.
fn first_starts(call: &str, error: &str, most: usize) -> usize {
    for number in 1..=most {
        let what = format!("{error} at {call} number {number}");
        let site = Site::new(&config("15m"));
        let mut writer = Writer::new(&site);
        writer.write(20);
        let faults = Faults::new(site.path("trace"), call, &format!("error={error}:when={number}"));
        let mut counted = false;
        match site.try_spawn(faults.around(&site.keydrain(&["run"]))) {
            Ok(daemon) => {
                declare_at_last(&daemon);
                writer.assert_counted(&daemon, 0, &what);
                counted = true;
                let code = daemon.stop();
                assert!(matches!(code, Some(0 | 3)), "{what}: {code:?}: {}", site.log());
            }
            Err(ended) => {
                assert!(matches!(ended.code(), Some(2 | 127)), "{what}: {ended}: {}", site.log());
            }
        }
        let struck = faults.struck();
        assert!(struck || counted, "{what}: {}", site.log());
        assert_whole(&site, &what);
        let secret = secret_of(&site, &what);
        let daemon = site.start();
        assert!(secret.is_none() || secret == secret_of(&site, &what), "{what}: another secret");
        declare(&daemon);
        writer.assert_counted(&daemon, 0, &what);
        assert_eq!(daemon.source()["gaps"], json!([]), "{what}");
        assert_eq!(daemon.stop(), Some(0), "{what}");
        if !struck {
            return number - 1;
        }
    }
    most
}

/// Declares the rotation, once the state can be written.
fn declare_at_last(daemon: &Daemon<'_>) {
    wait_until("the state can be written", || {
        let path = "/v1/rotations";
        let body = json!({"credential": CREDENTIAL, "old_key": "2025-q4", "new_key": "2026-q1"});
        [201, 409].contains(&daemon.post(path, &body).status)
    });
}

#[test]
fn row_41_no_part_of_a_secret_is_taken_for_one() {
    let whole = "0123456789abcdef".repeat(4);
    let site = Site::new(&config("15m"));
    fs::create_dir(site.path("state")).unwrap();
    let path = site.path("state/fingerprint.key");
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let ran = site.run(&["run"]);
        assert_eq!(ran.code, Some(2), "{len} digits: {ran:?}");
        assert!(ran.err.contains("fingerprint.key"), "{len} digits: {ran:?}");
        assert!(len < 8 || !ran.err.contains(&whole[..8]), "{len} digits: {ran:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), whole[..len], "it is left as it is");
        assert!(!site.path("state/keydrain.db").exists(), "{len} digits: no state for it");
    }
    fs::write(&path, format!("{whole}\n")).unwrap();
    assert_eq!(site.start().stop(), Some(0), "the whole of it is one");
}

/// Fails each `call` of a life with `error`, one life after the other over the same log, until one
/// meets no failure; at least `least` calls there must be.
fn sweep(call: &str, error: &str, least: usize) {
    let lanes: Vec<usize> = std::thread::scope(|scope| {
        let lanes = (1..=LANES).map(|first| scope.spawn(move || lives(call, error, first)));
        let lanes: Vec<_> = lanes.collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane has failed, see above")).collect()
    });
    println!("{error} at calls of {call}, by lane: {lanes:?}");
    assert!(lanes.iter().all(|calls| *calls >= least), "too few calls of {call}: {lanes:?}");
}

fn lives(call: &str, error: &str, first: usize) -> usize {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    writer.write(5);
    let daemon = site.start();
    declare(&daemon);
    writer.assert_counted(&daemon, 0, "before the errors");
    assert_eq!(daemon.stop(), Some(0));
    for number in (first..MOST_CALLS).step_by(LANES) {
        let what = format!("{error} at {call} number {number}");
        let faults = Faults::new(site.path("trace"), call, &format!("error={error}:when={number}"));
        match site.try_spawn(faults.around(&site.keydrain(&["run"]))) {
            Ok(daemon) => live(&mut writer, daemon, &what, &site),
            // The start says what is wrong, and somebody starts it again. 127: so does the loader.
            Err(ended) => {
                assert!(matches!(ended.code(), Some(2 | 127)), "{what}: {ended}: {}", site.log());
            }
        }
        assert_whole(&site, &what);
        if !faults.struck() {
            return number - 1;
        }
    }
    panic!("{call} never ends");
}

fn live(writer: &mut Writer, daemon: Daemon<'_>, what: &str, site: &Site) {
    let path = format!("/v1/credentials/{CREDENTIAL}/events");
    for at in 0..6 {
        // Taken, or refused because the state cannot be written just now.
        let kind = ["hold", "release"][at % 2];
        let body = json!({"type": kind}).to_string();
        let reply = daemon.request("POST", &path, Some(TOKEN), &body).unwrap();
        assert!([201, 409, 503].contains(&reply.status), "{what}: {reply:?}");
    }
    writer.write(10);
    writer.rotate();
    writer.assert_counted(&daemon, 0, what);
    assert_eq!(daemon.source()["gaps"], json!([]), "{what}");
    assert_not_ready(&daemon.readiness(CREDENTIAL), what);
    // At the end it may be the last commit that fails: then it says so.
    let code = daemon.stop();
    assert!(matches!(code, Some(0 | 3)), "{what}: {code:?}: {}", site.log());
}

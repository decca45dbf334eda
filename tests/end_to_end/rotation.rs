//! Driving a rotation: declare it, send traffic while looking, and what holds of every look.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::shop::{CREDENTIAL, Key, QUIET, Shop, subjects, time};
use crate::support::daemon::Daemon;
use crate::support::wait::wait_for;

/// Declares the rotation over the command line and returns its id.
pub fn declare(daemon: &Daemon<'_>) -> String {
    let started = daemon.cli(&[
        "rotation", "start", CREDENTIAL, "--old", "2025-q4", "--new", "2026-q1", "--by", "tests",
        "--output", "json",
    ]);
    assert_eq!(started.code, Some(0), "{started:?}");
    record(daemon, "dual_accept_enabled");
    started.json()["id"].as_str().unwrap().to_owned()
}

/// Adds an entry to the journal over the command line.
pub fn record(daemon: &Daemon<'_>, kind: &str) {
    let ran = daemon.cli(&["rotation", "event", CREDENTIAL, kind, "--by", "tests"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Looks at the answer once and asserts what holds of each, above all of a `ready` one.
pub fn look(shop: &Shop, daemon: &Daemon<'_>) -> Value {
    let answer = daemon.readiness(CREDENTIAL);
    let ready = answer["verdict"] == "ready";
    assert_eq!(answer["ready"], ready, "{answer}");
    assert_eq!(answer["blockers"].as_array().unwrap().is_empty(), ready, "{answer}");
    if ready {
        let last_seen = time(&answer["old_key"]["last_seen"]);
        let evaluated = time(&answer["evaluated_at"]);
        assert!(evaluated.since(last_seen) >= QUIET, "{answer}");
        let watermark = time(&answer["evidence"]["watermark"]);
        assert!(watermark.since(last_seen) >= QUIET, "{answer}");
        // What the client knows stands above what the daemon says it saw: up to the watermark
        // nothing may be missing.
        let sent = shop.last_old().expect("the old key was used");
        let quiet = watermark.since(sent) >= QUIET || sent > watermark;
        assert!(quiet, "old key used at {sent}: {answer}");
        assert!(time(&answer["valid_until"]) > evaluated);
    }
    answer
}

/// Sends what `users` send, with a heartbeat, and looks, until `done` likes what it sees.
#[track_caller]
pub fn drive(
    shop: &mut Shop,
    daemon: &Daemon<'_>,
    what: &str,
    users: &[(&str, Key)],
    mut done: impl FnMut(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    let found = std::panic::AssertUnwindSafe(|| {
        wait_for(what, || {
            if !shop.is_due() {
                return None;
            }
            for (consumer, key) in users {
                shop.send(consumer, *key);
            }
            shop.beat();
            last = look(shop, daemon);
            done(&last).then(|| last.clone())
        })
    });
    match std::panic::catch_unwind(found) {
        Ok(answer) => answer,
        Err(panic) => {
            eprintln!("the last answer: {last:#}");
            std::panic::resume_unwind(panic)
        }
    }
}

/// Brings a new rotation to `ready`: `checkout` moves over, then there is quiet.
pub fn drive_to_ready(shop: &mut Shop, daemon: &Daemon<'_>) -> Value {
    drive(shop, daemon, "the old key is seen", &[("checkout", Key::Old)], |answer| {
        subjects(answer, "old_key_in_use") == ["checkout"]
    });
    drive(shop, daemon, "ready", &[("checkout", Key::New)], |answer| answer["ready"] == true)
}

/// Asks the gate as a shell script does, and returns the status.
pub fn gate_by_curl(daemon: &Daemon<'_>) -> u16 {
    let url = format!("http://{}/v1/credentials/{CREDENTIAL}/gate", daemon.address());
    let output = Command::new("curl")
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", &url])
        .stderr(Stdio::null())
        .output()
        .expect("curl is needed: run ./test, or apt-get install curl");
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

//! A use of the old key that turns up when it was `ready` already: counted, and never forgotten.

use std::time::Duration;

use keydrain::clock;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Site};
use crate::support::wait::wait_for;
use crate::writer::{CREDENTIAL, Writer, config, declare};

/// Lets the consumers use the new key until it is `ready`.
fn ready(writer: &mut Writer, daemon: &Daemon<'_>, what: &str) {
    wait_for(what, || {
        writer.move_over();
        (daemon.readiness(CREDENTIAL)["ready"] == true).then_some(())
    });
}

fn violations(daemon: &Daemon<'_>) -> Vec<Value> {
    let rotation = daemon.readiness(CREDENTIAL)["rotation"].as_str().unwrap().to_owned();
    let rotation = daemon.get(&format!("/v1/rotations/{rotation}")).json();
    rotation["violations"].as_array().unwrap_or_else(|| panic!("{rotation}")).clone()
}

#[test]
fn row_36_a_use_of_long_ago_takes_ready_back_and_the_record_of_it_outlives_everything() {
    let site = Site::new(&config("3s"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    ready(&mut writer, &daemon, "ready");
    assert_eq!(violations(&daemon), [] as [Value; 0]);

    // Far outside the window, so that its event time alone would say nothing of it.
    let event_at = clock::now().minus(Duration::from_secs(2 * 3600));
    writer.line_of(event_at, "c01", "2025-q4");
    let answer = wait_for("it is taken back", || {
        let answer = daemon.readiness(CREDENTIAL);
        (answer["ready"] == false).then_some(answer)
    });
    assert_eq!(answer["verdict"], "not_ready", "{answer}");
    let in_use = |blocker: &Value| {
        (&blocker["code"], &blocker["subject"]) == (&json!("old_key_in_use"), &json!("c01"))
    };
    assert!(answer["blockers"].as_array().unwrap().iter().any(in_use), "{answer}");
    let recorded = violations(&daemon);
    let of_kind = |kind: &str| recorded.iter().filter(|one| one["kind"] == kind).count();
    assert_eq!(of_kind("retraction"), 1, "{recorded:?}");
    assert_eq!(of_kind("late_line"), 1, "{recorded:?}");
    writer.assert_counted(&daemon, 0, "after a line of long ago");
    assert_eq!(daemon.source()["streams"][0]["violations"], 1, "the stream is known to be late");

    // Neither a kill nor a stop nor the end of the rotation erases what happened.
    daemon.kill();
    let daemon = site.start();
    assert_eq!(violations(&daemon), recorded);
    assert_ne!(daemon.readiness(CREDENTIAL)["verdict"], "ready");
    let path = format!("/v1/credentials/{CREDENTIAL}/events");
    assert_eq!(daemon.post(&path, &json!({"type": "rolled_back"})).status, 201);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = site.start();
    assert_eq!(violations(&daemon), recorded);
    writer.assert_counted(&daemon, 0, "after two restarts");
    let health = daemon.get("/v1/health").json();
    assert_eq!(health["total"]["incidents"]["retraction"], 1, "{health}");
}

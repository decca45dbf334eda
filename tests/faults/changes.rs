//! A config that changes in the middle of a rotation: nothing gets greener by what is taken out.
//!
//! The daemon reads its config at its start, so a change is a restart.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use keydrain::clock;
use keydrain::engine::time::Timestamp;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Site};
use crate::support::wait::wait_for;
use crate::writer::{CREDENTIAL, Writer, assert_not_ready, config, declare};

/// The quiet period of these tests.
const QUIET: Duration = Duration::from_secs(3);

fn standing(answer: &Value) -> Vec<(&str, &str)> {
    let blockers = answer["blockers"].as_array().unwrap().iter();
    blockers.map(|one| (one["code"].as_str().unwrap(), one["subject"].as_str().unwrap())).collect()
}

/// Writes a use of the old key by `batch`, who never moves, to a log of its own.
fn use_elsewhere(site: &Site, name: &str) {
    let now = clock::now();
    let line = format!(
        "{}.000 192.0.2.7 \"batch\" 2025-q4 \"GET /000000000 HTTP/1.1\" 200\n",
        now.as_seconds()
    );
    let file = OpenOptions::new().append(true).create(true).open(site.path(name));
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

/// Lets the consumers use the new key until only `expected` stands; it must not be `ready` before.
fn wait_for_only(writer: &mut Writer, daemon: &Daemon<'_>, expected: &[(&str, &str)]) {
    wait_for(&format!("only {expected:?} stands"), || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        assert_not_ready(&answer, "a restart with another config");
        (standing(&answer) == expected).then_some(())
    });
}

fn wait_until_ready(writer: &mut Writer, daemon: &Daemon<'_>) -> Value {
    wait_for("ready", || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        (answer["ready"] == true).then_some(answer)
    })
}

fn tell(daemon: &Daemon<'_>, event: &Value) {
    let path = format!("/v1/credentials/{CREDENTIAL}/events");
    let told = daemon.post(&path, event);
    assert_eq!(told.status, 201, "{told:?}");
}

/// Begins a rotation with `config`, in which the log `elsewhere` shows `batch`, who never moves;
/// then stops the daemon.
fn begin(site: &Site) -> Writer {
    let mut writer = Writer::new(site);
    writer.write(6);
    use_elsewhere(site, "logs/elsewhere.log");
    let daemon = site.start();
    declare(&daemon);
    assert_not_ready(&daemon.readiness(CREDENTIAL), "before");
    assert_eq!(daemon.stop(), Some(0));
    writer
}

/// Asserts that nothing gets `ready` while all that is still read is quiet for twice the time that
/// is needed. In the end `code` of `subject` stands.
fn assert_no_greener(writer: &mut Writer, daemon: &Daemon<'_>, code: &str, subject: &str) {
    let changed_at = clock::now();
    wait_for(&format!("{code} of {subject} stands after twice the quiet period"), || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        assert_not_ready(&answer, subject);
        let standing = standing(&answer);
        assert!(standing.contains(&("consumer_not_moved", "batch")), "{answer}");
        let over = clock::now().since(changed_at) > QUIET * 2;
        (over && standing.contains(&(code, subject))).then_some(())
    });
}

/// Only the journal says, with a name and a time, that a log does not matter any more. What was read
/// of it stays true.
fn retire(writer: &mut Writer, daemon: &Daemon<'_>, source_retired: &Value) {
    tell(daemon, source_retired);
    wait_for_only(writer, daemon, &[("consumer_not_moved", "batch")]);
    tell(daemon, &json!({"type": "consumer_retired", "consumer": "batch"}));
    wait_until_ready(writer, daemon);
}

#[test]
fn row_54_a_restart_without_a_source_makes_no_answer_greener() {
    let after = config("3s");
    let own = &after[after.find("format =").unwrap()..after.find("[[credential]]").unwrap()];
    let second = "[[source]]\nname = \"inner\"\npaths = [\"logs/elsewhere.log\"]\n";
    let before = after
        .replace("[[credential]]", &format!("{second}{own}[[credential]]"))
        .replace("sources = [\"edge\"]", "sources = [\"edge\", \"inner\"]");
    let site = Site::new(&before);
    let mut writer = begin(&site);
    site.configure(&after);
    let daemon = site.start();
    assert_no_greener(&mut writer, &daemon, "source_absent", "inner");
    retire(&mut writer, &daemon, &json!({"type": "source_retired", "source": "inner"}));
}

#[test]
fn row_54_a_restart_with_a_narrower_pattern_reads_on_what_it_read_before() {
    let after = config("3s");
    let both = "paths = [\"logs/access.log*\", \"logs/elsewhere.log*\"]";
    let site = Site::new(&after.replace("paths = [\"logs/access.log*\"]", both));
    let mut writer = begin(&site);
    site.configure(&after);
    let daemon = site.start();
    let stream = site.path("logs/elsewhere.log").display().to_string();
    use_elsewhere(&site, "logs/elsewhere.log");
    wait_for("its second use is counted", || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        assert_not_ready(&answer, "a narrower pattern");
        (answer["old_key"]["accepted"] == 5).then_some(())
    });
    assert_no_greener(&mut writer, &daemon, "source_silent", &stream);
    let retired = json!({"type": "source_retired", "source": "edge", "stream": stream});
    retire(&mut writer, &daemon, &retired);
}

#[test]
fn row_54_a_restart_with_another_place_of_the_key_begins_the_evidence_anew() {
    let text = config("3s");
    let site = Site::new(&text);
    let mut writer = Writer::new(&site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    let before = wait_until_ready(&mut writer, &daemon);
    assert_eq!(daemon.stop(), Some(0));

    let places = "credential = [\"field:key_name\", \"query:key\"]";
    site.configure(&text.replace("credential = \"field:key_name\"", places));
    let daemon = site.start();
    let answer = daemon.readiness(CREDENTIAL);
    assert_not_ready(&answer, "right after the change");
    let after = wait_until_ready(&mut writer, &daemon);
    // A revocation that was prepared on what was seen before must look again.
    assert_ne!(after["epoch"], before["epoch"], "the epoch is that of another config");
    // Nothing that was read in the old way lies in the window.
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let (from, read) = (time(&after["window"]["from"]), time(&before["new_key"]["last_seen"]));
    assert!(from >= read, "{after}");
}

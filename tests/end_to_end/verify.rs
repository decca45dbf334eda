//! `keydrain verify`: the logs counted once more against the state of a real daemon.

use std::fs;
use std::path::Path;

use keydrain::clock;
use rusqlite::Connection;
use serde_json::Value;

use crate::rotation::declare;
use crate::shop::{CREDENTIAL, Form, config};
use crate::support::daemon::{Ran, Site};
use crate::support::wait::wait_until;

const LOGS: [&str; 3] =
    ["web/logs/access.log", "web/logs/access.log.1", "web/logs/access.log.2.gz"];

/// A log that was rotated twice and read by a daemon on the way.
struct Read {
    site: Site,
    lines: u64,
}

impl Read {
    fn new() -> Self {
        let site = Site::new(&config(Form::Names));
        fs::create_dir_all(site.path("web/logs")).unwrap();
        let now = clock::now().as_seconds();
        let log = site.path(LOGS[0]);
        let mut lines = write(&log, now - 9_500);
        let daemon = site.start();
        declare(&daemon);
        let wait = |lines: u64| {
            wait_until("all lines are read", || daemon.source()["lines"] == lines);
        };
        wait(lines);
        let oldest = site.path("web/logs/access.log.2");
        for round in 1..3 {
            if round == 2 {
                fs::rename(site.path(LOGS[1]), &oldest).unwrap();
            }
            fs::rename(&log, site.path(LOGS[1])).unwrap();
            // Each file has hours of its own.
            lines += write(&log, now - 9_500 + 4_000 * round);
            wait(lines);
        }
        assert_eq!(daemon.stop(), Some(0));
        let packed = std::process::Command::new("gzip").arg(&oldest).status().unwrap();
        assert!(packed.success());
        Self { site, lines }
    }

    fn verify(&self, logs: &[&str]) -> Ran {
        self.site.run(&[&["verify", "--output", "json"], logs].concat())
    }

    fn sql(&self, statement: &str) -> usize {
        let database = Connection::open(self.site.path("state/keydrain.db")).unwrap();
        database.execute(statement, []).unwrap()
    }

    /// Replaces `from` by `to` in the line that begins with `begin` behind the middle of a log.
    fn edit(&self, log: &str, at: f64, from: &str, to: &str) {
        let text = fs::read_to_string(self.site.path(log)).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        #[expect(clippy::cast_precision_loss, reason = "a place")]
        let start = (text.len() as f64 * at) as usize;
        let place = start + text[start..].find(from).unwrap();
        let edited = format!("{}{to}{}", &text[..place], &text[place + from.len()..]);
        fs::write(self.site.path(log), edited).unwrap();
    }
}

/// Writes some hundred lines of two consumers, keys and outcomes from a second on; returns how many.
fn write(log: &Path, from: i64) -> u64 {
    let mut text = String::new();
    for n in 0..300_i64 {
        let consumer = ["checkout", "billing"][usize::from(n % 3 == 0)];
        let key = ["2025-q4", "2026-q1", "-"][usize::try_from(n % 5 / 2).unwrap()];
        let status = ["200", "403", "503"][usize::try_from(n % 7 / 3).unwrap()];
        let second = from + 3 * n;
        let who = format!("{second}.000 192.0.2.7 \"{consumer}\" {key}");
        text = text + &who + " \"GET / HTTP/1.1\" " + status + "\n";
        if n == 150 {
            text += "no line of a log\n";
        }
    }
    fs::write(log, text).unwrap();
    301
}

fn equal(ran: &Ran) -> Value {
    let said = ran.json();
    assert_eq!((ran.code, &said["equal"]), (Some(0), &Value::Bool(true)), "{ran:?}");
    assert_eq!(said["differences"], serde_json::json!([]));
    said
}

#[test]
fn logs_and_state_are_equal_after_a_run_over_rotated_files() {
    let read = Read::new();
    let said = equal(&read.verify(&LOGS));
    assert_eq!(said["files"].as_array().unwrap().len(), 3, "{said}");
    assert!(said["windows"]["equal"].as_u64().unwrap() > 40, "{said}");
    assert_eq!(said["windows"]["bounded"], 0, "{said}");
    let lines = said["files"].as_array().unwrap().iter().map(|it| it["lines"].as_u64().unwrap());
    assert_eq!(lines.sum::<u64>(), read.lines);
    // Beside the running daemon, which reads on.
    let daemon = read.site.start();
    equal(&read.verify(&LOGS));
    let more = format!(
        "{}.000 192.0.2.7 \"late\" 2025-q4 \"GET / HTTP/1.1\" 200\n",
        clock::now().as_seconds()
    );
    let before = daemon.source()["lines"].as_u64().unwrap();
    let log = fs::OpenOptions::new().append(true).open(read.site.path(LOGS[0]));
    std::io::Write::write_all(&mut log.unwrap(), more.as_bytes()).unwrap();
    wait_until("it is read", || daemon.source()["lines"].as_u64() > Some(before));
    equal(&read.verify(&LOGS));
    let table = read.site.run(&[&["verify"], &LOGS[..]].concat());
    assert!(table.out.ends_with("logs and state are equal\n"), "{table:?}");
    // A packed copy in another place is the generation that it holds.
    fs::copy(read.site.path(LOGS[2]), read.site.path("moved.gz")).unwrap();
    equal(&read.verify(&[LOGS[0], LOGS[1], "moved.gz"]));
}

#[test]
fn a_count_that_was_changed_in_the_state_is_found_and_named() {
    let read = Read::new();
    let changed = read.sql(
        "UPDATE usage_cell SET forbidden = forbidden + 2 WHERE (minute, key, consumer) IN (
            SELECT minute, key, consumer FROM usage_cell
            WHERE forbidden > 0 ORDER BY minute, key, consumer LIMIT 1)",
    );
    assert_eq!(changed, 1);
    let ran = read.verify(&LOGS);
    let said = ran.json();
    assert_eq!((ran.code, &said["equal"]), (Some(1), &Value::Bool(false)), "{ran:?}");
    let rows = said["differences"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{said}");
    let row = &rows[0];
    assert_eq!((&row["source"], &row["outcome"]), (&"edge".into(), &"forbidden".into()), "{row}");
    assert!(row["key"].as_str().unwrap().starts_with("202"), "{row}");
    assert_eq!(row["state"].as_u64().unwrap(), row["logs"].as_u64().unwrap() + 2, "{row}");
    let csv = read.site.run(&[&["verify", "--output", "csv"], &LOGS[..]].concat());
    assert_eq!(csv.out.lines().count(), 2, "{csv:?}");
    assert!(csv.out.starts_with("source,window,by,key,consumer,outcome,logs,state\nedge,"));
    // What one file cannot cover whole is an upper bound for the logs: more in the state is no proof.
    let partial = read.verify(&[LOGS[0]]);
    assert_eq!(partial.code, Some(0), "{partial:?}");
}

#[test]
fn a_line_that_was_lost_from_the_state_is_found_with_one_file_alone() {
    let read = Read::new();
    let gone = read.sql(
        "UPDATE usage_cell SET accepted = accepted - 1 WHERE (minute, key, consumer) IN (
            SELECT minute, key, consumer FROM usage_cell
            WHERE accepted > 0 ORDER BY minute DESC LIMIT 1)",
    );
    assert_eq!(gone, 1);
    let ran = read.verify(&[LOGS[0]]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.json()["differences"].as_array().unwrap().len(), 1, "{ran:?}");
    assert_eq!(read.verify(&[LOGS[2]]).code, Some(0), "another file has nothing to do with it");
}

#[test]
fn an_edited_line_of_a_log_is_found() {
    let read = Read::new();
    // Neither in the head nor in the tail that the anchor covers.
    read.edit(LOGS[1], 0.4, "\"checkout\" 2025-q4", "\"checkout\" 2026-q1");
    let ran = read.verify(&LOGS);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let said = ran.json();
    let rows = said["differences"].as_array().unwrap();
    let keys: Vec<_> = rows.iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 2, "{said}");
    assert!(keys.contains(&"2025-q4") && keys.contains(&"2026-q1"), "{said}");
    assert_eq!(said["notes"], serde_json::json!([]));
    // Near the end, where the anchor tells, too.
    read.edit(LOGS[0], 0.95, "\"checkout\" 2025-q4", "\"checkout\" 2026-q1");
    let said = read.verify(&LOGS).json();
    assert_eq!(said["differences"].as_array().unwrap().len(), 4, "{said}");
    assert!(said["notes"][0].as_str().unwrap().contains("holds other bytes now"), "{said}");
}

#[test]
fn a_lost_line_that_no_one_presented_a_key_in_is_found_in_the_sum() {
    let read = Read::new();
    read.edit(LOGS[1], 0.4, "no line of a log\n", "");
    let ran = read.verify(&LOGS);
    assert_eq!(ran.code, Some(3), "shorter than what was read: {ran:?}");
    let read = Read::new();
    read.edit(LOGS[1], 0.4, "no line of a log\n", "no line\nof a log\n");
    let said = read.verify(&LOGS).json();
    let rows = said["differences"].as_array().unwrap();
    let what: Vec<_> = rows.iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(what, ["lines", "rejects"], "{said}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let read = Read::new();
    fs::write(read.site.path("other.log"), "x\n").unwrap();
    let stranger = read.verify(&["other.log"]);
    assert_eq!(stranger.code, Some(2), "{stranger:?}");
    for word in ["no source reads other.log", "--config", "edge ("] {
        assert!(stranger.err.contains(word), "{stranger:?}");
    }
    fs::write(read.site.path("web/logs/access.log.7"), "not read yet\n").unwrap();
    let unread = read.verify(&[LOGS[0], LOGS[1], LOGS[2], "web/logs/access.log.7"]);
    assert_eq!(unread.code, Some(3), "{unread:?}");
    assert_eq!(unread.json()["incomplete"].as_array().unwrap().len(), 1);
    let missing = read.verify(&["web/logs/no.log"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    let packed = fs::read(read.site.path(LOGS[2])).unwrap();
    fs::write(read.site.path(LOGS[2]), &packed[..packed.len() / 2]).unwrap();
    assert_eq!(read.verify(&[LOGS[2]]).code, Some(3), "half a gzip file");
    let nothing = Site::new(&config(Form::Names));
    let ran = nothing.run(&["verify", "x.log"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("nothing is stored"), "{ran:?}");
}

/// Nobody goes by the name alone: neither the daemon, nor `scan`, nor `verify`.
#[test]
fn row_12_a_packed_file_under_any_name_is_the_same_to_daemon_scan_and_verify() {
    let read = Read::new();
    let logs =
        [LOGS[0], LOGS[1], "web/logs/access.log.2", "web/logs/access.log.1.gz-20261125.backup"];
    // One that was read before it was packed, and one that was never read.
    fs::rename(read.site.path(LOGS[2]), read.site.path(logs[2])).unwrap();
    let fresh = read.site.path("fresh");
    let lines = read.lines + write(&fresh, clock::now().as_seconds() - 30_000);
    assert!(std::process::Command::new("gzip").arg(&fresh).status().unwrap().success());
    fs::rename(read.site.path("fresh.gz"), read.site.path(logs[3])).unwrap();
    let daemon = read.site.start();
    wait_until("all lines are read", || daemon.source()["lines"] == lines);
    let source = daemon.source();
    assert_eq!((&source["rejects"], &source["gaps"]), (&4.into(), &serde_json::json!([])));
    assert_eq!(daemon.stop(), Some(0));
    let said = equal(&read.verify(&logs));
    assert_eq!(said["files"].as_array().unwrap().len(), 4, "{said}");
    let format =
        r#"{ nginx = '$msec $remote_addr "$http_x_client" $key_name "$request" $status' }"#;
    let scan = ["scan", "--output", "json", "--credential", "field:key_name", "--format", format];
    let scanned = read.site.run(&[&scan[..], &logs].concat()).json();
    assert_eq!((&scanned["lines"], &scanned["rejects"]["total"]), (&lines.into(), &4.into()));
}

#[test]
fn usage_that_became_hours_is_compared_by_hour() {
    let read = Read::new();
    read.site.configure(&format!("{}[state.retention]\nminutes = \"1h\"\n", config(Form::Names)));
    let daemon = read.site.start();
    let hours = || {
        let database = Connection::open(read.site.path("state/keydrain.db")).unwrap();
        let sql = "SELECT count(*) FROM usage_hour";
        database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    wait_until("old minutes became hours", || hours() > 0);
    let _ = daemon.readiness(CREDENTIAL);
    assert_eq!(daemon.stop(), Some(0));
    equal(&read.verify(&LOGS));
    read.sql("UPDATE usage_hour SET accepted = accepted + 1 WHERE accepted > 0");
    let ran = read.verify(&LOGS);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.json()["differences"][0]["by"] == "hour", "{ran:?}");
}

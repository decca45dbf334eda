//! The daemon rolls old usage up by itself, and its answers stay what they were.

use std::fs;

use keydrain::clock;
use rusqlite::Connection;

use crate::rotation::declare;
use crate::shop::{CREDENTIAL, Form, config};
use crate::support::daemon::{Daemon, Site};
use crate::support::wait::wait_until;

/// Minutes of usage, all of them hours old.
const MINUTES: i64 = 90;

fn consumers(daemon: &Daemon<'_>) -> serde_json::Value {
    daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json()
}

#[test]
fn old_minutes_become_hours_and_no_answer_changes() {
    let retention = "[state.retention]\nminutes = \"1h\"\n";
    let site = Site::new(&format!("{}{retention}", config(Form::Names)));
    fs::create_dir_all(site.path("web/logs")).unwrap();
    let now = clock::now().as_seconds();
    let line = |second: i64, key: &str| {
        format!("{second}.000 192.0.2.7 \"checkout\" {key} \"GET / HTTP/1.1\" 200\n")
    };
    let keys = ["2025-q4", "2026-q1"].into_iter().cycle();
    let old = (0..MINUTES).zip(keys).map(|(n, key)| line(now - 5 * 3_600 + 60 * n, key));
    let log: String = old.chain([line(now, "-")]).collect();
    fs::write(site.path("web/logs/access.log"), log).unwrap();

    let daemon = site.start();
    declare(&daemon);
    let before = consumers(&daemon);
    assert_eq!(before["consumers"][0]["old"]["accepted"], MINUTES / 2, "{before}");
    assert_eq!(daemon.stop(), Some(0));

    let daemon = site.start();
    let count = |what: &str, table: &str| {
        let connection = Connection::open(site.path("state/keydrain.db")).unwrap();
        let sql = format!("SELECT coalesce({what}, 0) FROM {table}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    wait_until("all old minutes are hours", || count("count(*)", "usage_cell") == 0);
    assert_eq!(count("sum(accepted)", "usage_hour"), MINUTES);
    assert!(count("count(*)", "usage_hour") <= 6, "by hour and key");
    assert_eq!(consumers(&daemon), before);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = site.start();
    assert_eq!(consumers(&daemon), before, "and none is needed at the next start");
}

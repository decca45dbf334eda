//! A log that is there before the daemon, or is written faster than it reads.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use serde_json::Value;

use crate::support::daemon::Site;
use crate::support::strace::{Faults, end_faults};
use crate::support::wait::wait_for;
use crate::writer::{CREDENTIAL, Writer, assert_not_ready, config, declare};

/// Lines of the backlog: more bytes than the daemon reads between two commits.
const BACKLOG: u64 = 300_000;

#[test]
fn row_57_a_backlog_is_told_in_bytes_and_time_and_is_not_ready_until_it_is_read() {
    let site = Site::new(&config("3s"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    wait_for("ready", || {
        writer.move_over();
        (daemon.readiness(CREDENTIAL)["ready"] == true).then_some(())
    });
    assert_eq!(daemon.stop(), Some(0));

    // While it is down: many lines with the new key, and one with the old key at their end.
    for _ in 0..BACKLOG / 3 {
        writer.move_over();
    }
    writer.line("c00", "2025-q4");
    // A reader that is slow: each of its reads takes a fifth of a second.
    let faults = Faults::new(site.path("trace"), "pread64", "delay_enter=200000")
        .on(writer.log().to_owned());
    let daemon = site.spawn(faults.around(&site.keydrain(&["run"])));
    let mut lagged = false;
    let mut last = Value::Null;
    wait_for("a backlog is told", || {
        let read = daemon.get("/readyz").status == 200;
        let source = daemon.source();
        if !read {
            assert_not_ready(&daemon.readiness(CREDENTIAL), "with a backlog");
            let bytes = source["backlog_bytes"].as_u64().unwrap();
            lagged |= bytes > 0 && source["lag_seconds"].as_f64().is_some();
        }
        last = source;
        (lagged || read).then_some(())
    });
    assert!(lagged, "never told: {last}");
    end_faults(daemon.pid());
    writer.assert_counted(&daemon, 0, "after the backlog");
    let source = daemon.source();
    assert_eq!(source["gaps"], serde_json::json!([]), "{source}");
}

#[test]
fn row_57_a_sparse_file_of_fifty_gigabytes_is_a_backlog_until_its_end_is_read() {
    let site = Site::new(&config("3s"));
    let writer = Writer::new(&site);
    // A hole of NUL bytes as large as a large log, and one line behind it.
    let file = OpenOptions::new().write(true).open(writer.log()).unwrap();
    let length: u64 = 50 << 30;
    file.set_len(length).unwrap();
    write_end(&file, length);
    let daemon = site.spawn(site.keydrain(&["run"]));
    declare(&daemon);
    for _ in 0..50 {
        assert_not_ready(&daemon.readiness(CREDENTIAL), "a sparse file");
        assert_eq!(daemon.get("/readyz").status, 503, "{}", daemon.source());
    }
    let source = wait_for("the backlog is told", || {
        assert_not_ready(&daemon.readiness(CREDENTIAL), "a sparse file");
        let source = daemon.source();
        (source["backlog_bytes"].as_u64().unwrap() > length / 2).then_some(source)
    });
    assert_eq!(source["gaps"][0]["reason"], "nul_run", "{source}");
}

fn write_end(file: &File, at: u64) {
    file.write_all_at(b"0.000 192.0.2.7 \"c00\" 2025-q4 \"GET / HTTP/1.1\" 200\n", at).unwrap();
}

//! A wall clock that steps while the daemon runs: told, and no answer is `ready` through it.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::daemon::{Daemon, Site};
use crate::support::wait::{wait_for, wait_until};
use crate::writer::{CREDENTIAL, Writer, assert_not_ready, config, declare};

/// Where distributions keep the library.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Runs `command` with a wall clock that is off by what the file says; steady clocks stay true.
fn with_clock(command: &Command, file: &std::path::Path) -> Command {
    let library = LIBRARIES.into_iter().find(|path| std::path::Path::new(path).is_file());
    let library = library.expect("libfaketime is needed: run ./test, or apt-get install faketime");
    let mut off = Command::new(command.get_program());
    off.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    off.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
    off.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    off.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
    off
}

fn set_clock(file: &std::path::Path, offset: &str) {
    // In one piece: half an offset would be another one.
    let new = file.with_extension("new");
    fs::write(&new, format!("{offset}\n")).unwrap();
    fs::rename(new, file).unwrap();
}

fn has(answer: &Value, code: &str) -> bool {
    answer["blockers"].as_array().unwrap().iter().any(|blocker| blocker["code"] == code)
}

fn ready(writer: &mut Writer, daemon: &Daemon<'_>) -> bool {
    writer.move_over();
    daemon.readiness(CREDENTIAL)["ready"] == true
}

#[test]
fn row_35_a_clock_that_steps_is_suspect_and_nothing_is_ready_through_it() {
    // Over the quiet period, so that a step forward would end it if it were believed.
    for offset in ["+30s", "-30s", "+2h", "-2h"] {
        let site = Site::new(&config("3s"));
        let mut writer = Writer::new(&site);
        let clock = site.path("clock");
        set_clock(&clock, "+0s");
        writer.write(6);
        let daemon = site.spawn(with_clock(&site.keydrain(&["run"]), &clock));
        daemon.wait_until_read();
        declare(&daemon);
        wait_until("ready", || ready(&mut writer, &daemon));

        set_clock(&clock, offset);
        // What was said before the step was true; the first answer after it is another one.
        let answer = wait_for(&format!("{offset}: it is told"), || {
            writer.move_over();
            let answer = daemon.readiness(CREDENTIAL);
            has(&answer, "clock_suspect").then_some(answer)
        });
        assert_not_ready(&answer, offset);
        // After a step back the last uses of the old key lie ahead, and are proof.
        let verdict = if offset.starts_with('+') { "unknown" } else { "not_ready" };
        assert_eq!(answer["verdict"], verdict, "{offset}: {answer}");
        assert!(site.log().contains("The clock stepped"), "{offset}: {}", site.log());
        for _ in 0..50 {
            writer.move_over();
            let answer = daemon.readiness(CREDENTIAL);
            assert_not_ready(&answer, offset);
        }
        // It is still alive by its steady clock, and back in time it begins anew.
        set_clock(&clock, "+0s");
        writer.assert_counted(&daemon, 0, offset);
        assert_eq!(daemon.stop(), Some(0), "{offset}");
        drop(site);
    }
}

#[test]
fn row_35_a_step_does_not_bring_a_quiet_period_to_its_end() {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    let clock = site.path("clock");
    set_clock(&clock, "+0s");
    writer.write(6);
    let daemon = site.spawn(with_clock(&site.keydrain(&["run"]), &clock));
    daemon.wait_until_read();
    declare(&daemon);
    writer.assert_counted(&daemon, 0, "before the step");
    assert_not_ready(&daemon.readiness(CREDENTIAL), "before the step");
    // Sixteen minutes of wall clock, of which not a second has passed.
    set_clock(&clock, "+16m");
    wait_for("the step is told", || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        assert_not_ready(&answer, "at the step");
        has(&answer, "clock_suspect").then_some(())
    });
    let mut looks = 0;
    wait_until("many looks", || {
        writer.move_over();
        assert_not_ready(&daemon.readiness(CREDENTIAL), "after the step");
        looks += 1;
        looks > 100
    });
}

#[test]
fn row_35_a_clock_that_went_back_while_the_daemon_was_down_is_suspect() {
    let site = Site::new(&config("3s"));
    let mut writer = Writer::new(&site);
    let clock = site.path("clock");
    set_clock(&clock, "+0s");
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    wait_until("ready", || ready(&mut writer, &daemon));
    assert_eq!(daemon.stop(), Some(0));
    set_clock(&clock, "-1h");
    let daemon = site.spawn(with_clock(&site.keydrain(&["run"]), &clock));
    wait_until("it is told", || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        assert_not_ready(&answer, "an hour back");
        has(&answer, "clock_suspect")
    });
}

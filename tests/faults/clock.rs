//! A wall clock that is set while the daemon runs: told, no answer is `ready` through it, and no
//! period, lease or grace is shorter or longer for it.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use keydrain::clock::steady;
use keydrain::engine::time::Timestamp;
use serde_json::{Value, json};

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

/// The lease of the config.
const LEASE: Duration = Duration::from_secs(5);

/// Makes a site with a log in which both keys are used; a use of the old one blocks for `quiet`.
fn prepared(quiet: &str) -> (Site, Writer) {
    let site = Site::new(&config(quiet));
    let mut writer = Writer::new(&site);
    writer.write(6);
    (site, writer)
}

/// Starts a daemon whose wall clock can be set, with a rotation; steady clocks stay true.
fn start(site: &Site) -> Daemon<'_> {
    if !site.path("clock").exists() {
        set_clock(site, "+0s");
    }
    let daemon = site.spawn(with_clock(&site.keydrain(&["run"]), &site.path("clock")));
    daemon.wait_until_read();
    declare(&daemon);
    daemon
}

/// Runs `command` with a wall clock that is off by what the file says.
fn with_clock(command: &Command, file: &Path) -> Command {
    let library = LIBRARIES.into_iter().find(|path| Path::new(path).is_file());
    let library = library.expect("libfaketime is needed: run ./test, or apt-get install faketime");
    let mut off = Command::new(command.get_program());
    off.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    off.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
    off.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    off.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
    off
}

fn set_clock(site: &Site, offset: &str) {
    // In one piece: half an offset would be another one.
    fs::write(site.path("clock.new"), format!("{offset}\n")).unwrap();
    fs::rename(site.path("clock.new"), site.path("clock")).unwrap();
}

fn has(answer: &Value, code: &str) -> bool {
    answer["blockers"].as_array().unwrap().iter().any(|blocker| blocker["code"] == code)
}

fn time(answer: &Value, name: &str) -> Timestamp {
    answer[name].as_str().unwrap().parse().unwrap()
}

/// Asks while all use the new key. No answer is good for longer than its lease.
fn ask(writer: &mut Writer, daemon: &Daemon<'_>) -> Value {
    writer.move_over();
    let answer = daemon.readiness(CREDENTIAL);
    let lease = time(&answer, "valid_until").since(time(&answer, "evaluated_at"));
    assert!(lease <= LEASE, "{answer}");
    answer
}

/// The same, where no answer may be ready.
fn ask_in_vain(writer: &mut Writer, daemon: &Daemon<'_>, what: &str) -> Value {
    let answer = ask(writer, daemon);
    assert_not_ready(&answer, what);
    answer
}

fn wait_until_ready(writer: &mut Writer, daemon: &Daemon<'_>) {
    wait_until("ready", || ask(writer, daemon)["ready"] == true);
}

/// Returns the first answer that tells of a step.
fn told(writer: &mut Writer, daemon: &Daemon<'_>, what: &str) -> Value {
    wait_for(&format!("{what}: it is told"), || {
        let answer = ask(writer, daemon);
        has(&answer, "clock_suspect").then_some(answer)
    })
}

#[test]
fn row_35_a_clock_that_steps_is_suspect_and_nothing_is_ready_through_it() {
    // Over the quiet period, so that a step forward would end it if it were believed.
    for offset in ["+30s", "-30s", "+2h", "-2h"] {
        let (site, mut writer) = prepared("3s");
        let daemon = start(&site);
        wait_until_ready(&mut writer, &daemon);

        set_clock(&site, offset);
        // What was said before the step was true; the first answer after it is another one.
        let answer = told(&mut writer, &daemon, offset);
        assert_not_ready(&answer, offset);
        // After a step back the last uses of the old key lie ahead, and are proof.
        let verdict = if offset.starts_with('+') { "unknown" } else { "not_ready" };
        assert_eq!(answer["verdict"], verdict, "{offset}: {answer}");
        assert!(site.log().contains("The clock stepped"), "{offset}: {}", site.log());
        for _ in 0..50 {
            ask_in_vain(&mut writer, &daemon, offset);
        }
        // It is still alive by its steady clock, and back in time it begins anew.
        set_clock(&site, "+0s");
        writer.assert_counted(&daemon, 0, offset);
        assert_eq!(daemon.stop(), Some(0), "{offset}");
    }
}

#[test]
fn row_35_no_steps_to_and_fro_bring_a_quiet_period_to_its_end() {
    let (site, mut writer) = prepared("15m");
    let daemon = start(&site);
    writer.assert_counted(&daemon, 0, "before the steps");
    ask_in_vain(&mut writer, &daemon, "before the steps");
    // Sixteen minutes of wall clock, of which not a second has passed, and more.
    for (offset, seconds) in
        [("+16m", 960), ("-16m", -960), ("+0s", 0), ("+16m", 960), ("+2h", 7200)]
    {
        set_clock(&site, offset);
        wait_until(&format!("{offset}: the daemon goes by it"), || {
            let answer = ask_in_vain(&mut writer, &daemon, offset);
            let off =
                time(&answer, "evaluated_at").as_seconds() - keydrain::clock::now().as_seconds();
            (off - seconds).abs() < 30
        });
        for _ in 0..20 {
            let answer = ask_in_vain(&mut writer, &daemon, offset);
            assert!(has(&answer, "clock_suspect"), "{offset}: {answer}");
        }
    }
}

#[test]
fn row_35_small_steps_of_a_clock_add_up_and_are_told() {
    let (site, mut writer) = prepared("3s");
    let daemon = start(&site);
    wait_until_ready(&mut writer, &daemon);
    // Each alone is as good as none.
    let is_told = (1..5).any(|n| {
        let offset = format!("+{}s", 4 * n);
        set_clock(&site, &offset);
        wait_for(&format!("{offset}: the daemon goes by it"), || {
            let answer = ask(&mut writer, &daemon);
            let off = time(&answer, "evaluated_at").since(keydrain::clock::now());
            (off > Duration::from_secs(4 * n - 2)).then(|| has(&answer, "clock_suspect"))
        })
    });
    assert!(is_told, "the clock went 16 s ahead");
}

#[test]
fn row_35_a_step_ends_no_grace_of_a_file_that_has_no_name_any_more() {
    for offset in ["+2h", "-2h"] {
        let (site, mut writer) = prepared("15m");
        let daemon = start(&site);
        writer.wait_until_counted(&daemon);
        let mut held = OpenOptions::new().append(true).open(writer.log()).unwrap();
        writer.rotate();
        fs::remove_file(site.path("logs/access.log.1")).unwrap();
        let looks = |what: &str, writer: &mut Writer| {
            // The files are looked at each second.
            let begun = steady();
            wait_until(what, || {
                writer.move_over();
                writer.wait_until_counted(&daemon);
                steady().saturating_sub(begun) > Duration::from_secs(4)
            });
        };
        looks("some looks", &mut writer);
        set_clock(&site, offset);
        told(&mut writer, &daemon, offset);
        looks("some looks by another clock", &mut writer);
        writer.line_into(&mut held, "c00", "2025-q4");
        writer.assert_counted(&daemon, 0, offset);
        assert_eq!(daemon.source()["gaps"], json!([]), "{offset}");
    }
}

#[test]
fn row_35_a_clock_that_went_back_while_the_daemon_was_down_is_suspect() {
    let (site, mut writer) = prepared("3s");
    let daemon = site.start();
    declare(&daemon);
    wait_until_ready(&mut writer, &daemon);
    assert_eq!(daemon.stop(), Some(0));
    set_clock(&site, "-1h");
    let daemon = start(&site);
    assert_not_ready(&told(&mut writer, &daemon, "an hour back"), "an hour back");
}

//! Logs that cannot be read, for whatever reason: never taken for their end, never for silence.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::strace::{Faults, end_faults};
use crate::support::wait::{wait_for, wait_until};
use crate::writer::{CREDENTIAL, Writer, assert_not_ready, config, declare};

fn subjects<'a>(answer: &'a Value, code: &str) -> Vec<&'a str> {
    let blockers = answer["blockers"].as_array().unwrap().iter();
    let of_code = blockers.filter(|blocker| blocker["code"] == code);
    of_code.map(|blocker| blocker["subject"].as_str().unwrap()).collect()
}

/// Brings a new site to `ready` and stops the daemon.
fn drive_to_ready(site: &Site) -> Writer {
    let mut writer = Writer::new(site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    wait_for("ready", || {
        writer.move_over();
        (daemon.readiness(CREDENTIAL)["ready"] == true).then_some(())
    });
    assert_eq!(daemon.stop(), Some(0));
    writer
}

/// Which file the daemon cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// One whose first lines it has read.
    Rest,
    /// One that it has never read.
    Whole,
}

#[test]
fn row_27_a_read_error_is_no_end_of_file() {
    if !rustix::process::geteuid().is_root() {
        println!("only root's strace can tell the log from other files: nothing was tested");
        return;
    }
    for (call, error, unread) in [
        ("pread64", "EIO", Unread::Rest),
        ("pread64", "EIO", Unread::Whole),
        ("pread64", "ESTALE", Unread::Rest),
        ("pread64", "ESTALE", Unread::Whole),
        ("fstat,newfstatat,statx", "EIO", Unread::Rest),
        ("fstat,newfstatat,statx", "ESTALE", Unread::Whole),
    ] {
        let what = format!("{error} at every {call} of the log, {unread:?}");
        let site = Site::new(&config("3s"));
        let mut writer = drive_to_ready(&site);
        if unread == Unread::Whole {
            writer.rotate();
        }
        // A use that the daemon cannot see: no answer may pass over it.
        writer.line("c00", "2025-q4");
        let faults = Faults::new(site.path("trace"), call, &format!("error={error}"))
            .on(writer.log().to_owned());
        let daemon = site.spawn(faults.around(&site.keydrain(&["run"])));
        let answer = wait_for(&format!("{what}: it is told"), || {
            writer.move_over();
            let answer = daemon.readiness(CREDENTIAL);
            assert_not_ready(&answer, &what);
            (!subjects(&answer, "source_unreadable").is_empty()).then_some(answer)
        });
        assert_eq!(answer["verdict"], "unknown", "{what}: {answer}");
        assert!(faults.struck(), "{what}");
        let mut looks = 0;
        wait_until("many looks", || {
            writer.move_over();
            let answer = daemon.readiness(CREDENTIAL);
            assert_not_ready(&answer, &what);
            assert_eq!(answer["verdict"], "unknown", "{what}: {answer}");
            looks += 1;
            looks > 100
        });
        end_faults(daemon.pid());
        writer.assert_counted(&daemon, 0, &what);
        assert_eq!(daemon.source()["gaps"], json!([]), "{what}");
        wait_until("all is readable", || daemon.source()["unreadable"] == json!([]));
    }
}

/// Lets each read of `name` fail in turn, one in a run, with 3000 lines in it and a log behind it.
fn fail_each_read(name: &str, call: &str, prepare: fn(&mut Writer)) {
    for error in ["EIO", "ESTALE"] {
        let mut struck = true;
        let mut number = 0;
        while struck {
            number += 1;
            let what = format!("{error} at {call} number {number} of {name}");
            let site = Site::new(&config("15m"));
            let mut writer = Writer::new(&site);
            writer.write(3000);
            prepare(&mut writer);
            let faults = format!("error={error}:when={number}");
            let faults = Faults::new(site.path("trace"), call, &faults);
            let faults = faults.on(writer.log().with_file_name(name));
            let daemon = match site.try_spawn(faults.around(&site.keydrain(&["run"]))) {
                Ok(daemon) => daemon,
                // Without root's powers it may be a read of the program itself.
                Err(ended) => {
                    let early = !rustix::process::geteuid().is_root() && number < 100;
                    assert!(early, "{what}: {ended}: {}", site.log());
                    continue;
                }
            };
            declare(&daemon);
            writer.write(5);
            // What cannot be placed at one look is told, and read after what can.
            wait_until(&format!("{what}: all is read"), || {
                let source = daemon.source();
                let told = source["state"] == "unreadable";
                assert!(told || source["lines"] != 5, "{what}: {source}");
                source["lines"] == writer.lines()
            });
            writer.assert_counted(&daemon, 0, &what);
            assert_eq!(daemon.source()["gaps"], json!([]), "{what}");
            struck = faults.struck();
        }
        assert!(number > 3, "only {number} of {call} on {name}");
    }
}

#[test]
fn row_27_a_single_read_error_loses_and_doubles_nothing() {
    fail_each_read("access.log", "pread64", |_| {});
}

#[test]
fn row_27_a_single_read_error_in_a_packed_file_is_no_damage() {
    fail_each_read("access.log.1.gz", "read", |writer| {
        writer.rotate();
        let packed = writer.log().with_file_name("access.log.1");
        assert!(Command::new("gzip").arg(packed).status().unwrap().success());
    });
}

#[test]
fn row_29_without_descriptors_the_daemon_answers_and_is_not_ready() {
    let site = Site::new(&config("3s"));
    let mut writer = drive_to_ready(&site);
    // More files than there are descriptors, and a use in the last of them.
    for _ in 0..60 {
        writer.move_over();
        writer.rotate();
    }
    writer.line("c00", "2025-q4");
    let daemon = site.spawn(with_descriptors(&site.keydrain(&["run"]), 32));
    let answer = wait_for("it is told", || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        assert_not_ready(&answer, "32 descriptors");
        (!subjects(&answer, "source_unreadable").is_empty()).then_some(answer)
    });
    assert_eq!(answer["verdict"], "unknown", "{answer}");
    let mut looks = 0;
    wait_until("many looks", || {
        writer.move_over();
        assert_not_ready(&daemon.readiness(CREDENTIAL), "32 descriptors");
        looks += 1;
        looks > 50
    });
    // Logs never take the descriptors that the network needs.
    let log = site.log();
    assert!(!log.contains("could not be accepted"), "{log}");
    daemon.kill();
    let daemon = site.start();
    writer.assert_counted(&daemon, 0, "after 32 descriptors");
}

/// Lets `command` have so many open files.
fn with_descriptors(command: &Command, count: u32) -> Command {
    let mut bound = Command::new("prlimit");
    bound.arg(format!("--nofile={count}:{count}")).arg(command.get_program());
    bound.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

#[test]
fn row_29_without_watches_the_files_are_looked_at_all_the_same() {
    no_events("inotify_add_watch", "error=ENOSPC");
}

#[test]
fn row_28_without_file_events_every_line_is_counted() {
    no_events("inotify_init1", "error=ENOSYS");
    no_events("inotify_init1", "error=EMFILE");
    // As if the queue had overflowed for ever: events never come, and nothing says so.
    no_events("inotify_add_watch", "retval=1");
}

#[test]
fn row_28_with_room_for_one_event_every_line_is_counted() {
    let Some(room) = RoomForEvents::one() else {
        println!("only root can make the queue of events short: nothing was tested");
        return;
    };
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    let mut daemon = site.start();
    // The queue of the daemon stays as long as it was when it was made.
    drop(room);
    declare(&daemon);
    for round in 0..8 {
        for _ in 0..50 {
            writer.write(2);
        }
        writer.rotate();
        writer.write(1);
        assert!(writer.wait_until_read(&mut daemon), "round {round}: {}", site.log());
    }
    writer.assert_counted(&daemon, 0, "with room for one event");
    assert_eq!(daemon.source()["gaps"], json!([]));
}

/// A queue of events that holds one, for whoever begins to listen until this is dropped.
struct RoomForEvents(String);

impl RoomForEvents {
    const PATH: &str = "/proc/sys/fs/inotify/max_queued_events";

    /// What the kernel starts with.
    const USUAL: &str = "16384";

    fn one() -> Option<Self> {
        let before = std::fs::read_to_string(Self::PATH).ok()?;
        std::fs::write(Self::PATH, "1").ok()?;
        // Somebody else does the same just now, and may be done before us.
        let is_short = before.trim() == "1";
        Some(Self(if is_short { Self::USUAL.to_owned() } else { before }))
    }
}

impl Drop for RoomForEvents {
    fn drop(&mut self) {
        std::fs::write(Self::PATH, &self.0).expect("it could be written before");
    }
}

fn no_events(call: &str, fault: &str) {
    let what = format!("{call} with {fault}");
    let site = Site::new(&config("3s"));
    let mut writer = drive_to_ready(&site);
    let faults = Faults::new(site.path("trace"), call, fault);
    let mut daemon = site.spawn(faults.around(&site.keydrain(&["run"])));
    for _ in 0..5 {
        writer.move_over();
        assert!(writer.wait_until_read(&mut daemon), "{what}: {}", site.log());
        writer.rotate();
    }
    writer.line("c00", "2025-q4");
    writer.assert_counted(&daemon, 0, &what);
    assert!(faults.struck(), "{what}");
    assert_eq!(daemon.source()["gaps"], json!([]), "{what}");
    // The daemon says that it looks by itself, where it can know that it must.
    let told = !fault.starts_with("error") || site.log().contains("looked at once a second");
    assert!(told, "{what}: {}", site.log());
}

//! What a look finds: absent, unreadable and refused paths, aliases, backlogs, bounds.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use keydrain::source::files::Report;

use crate::world::{TEST_DIR, World, append};

#[test]
fn row_30_a_pattern_without_a_match_is_absent() {
    let mut world = World::new(&["missing/access.log", "acess*.log"]);
    world.drain();
    assert_eq!(world.status().absent.len(), 2);
    assert!(world.status().streams.is_empty());
    std::fs::create_dir(world.path("missing")).unwrap();
    world.write("missing/access.log", 2);
    world.drain();
    assert_eq!(world.status().absent.len(), 1);
    world.assert_ledger();
}

#[test]
fn a_pattern_that_matches_nothing_readable_is_absent_too() {
    let mut world = World::new(&["dangling.log", "pipe", "packed.log*", "out/*.log"]);
    symlink("nowhere", world.path("dangling.log")).unwrap();
    assert!(Command::new("mkfifo").arg(world.path("pipe")).status().unwrap().success());
    append(&world.path("packed.log.1.xz"), b"whatever");
    append(&world.path("secret"), b"not a log\n");
    std::fs::create_dir(world.path("out")).unwrap();
    symlink("../secret", world.path("out/evil.log")).unwrap();
    world.drain();
    assert_eq!(world.status().absent.len(), 4);
    assert_eq!(world.status().refused.len(), 3);
    assert!(world.status().streams.is_empty());
}

#[test]
fn a_directory_that_goes_and_comes_back_is_no_gap() {
    let mut world = World::new(&["logs/access.log"]);
    std::fs::create_dir(world.path("logs")).unwrap();
    world.write("logs/access.log", 2);
    world.drain();
    for restart in [false, true] {
        world.rename("logs", "elsewhere");
        if restart {
            world.stop();
        }
        world.pass(70);
        assert_eq!(world.status().absent.len(), 1);
        assert!(!world.stream_status("logs/access.log").live);
        world.rename("elsewhere", "logs");
        world.write("logs/access.log", 2);
        world.drain();
        assert!(world.stream_status("logs/access.log").live);
    }
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_25_a_link_that_leaves_the_directory_is_refused_and_one_within_is_followed() {
    let mut world = World::new(&["logs/*.log"]);
    std::fs::create_dir(world.path("logs")).unwrap();
    append(&world.path("secret"), b"not a log\n");
    symlink(world.path("secret"), world.path("logs/evil.log")).unwrap();
    symlink("../logs/real-file", world.path("logs/good.log")).unwrap();
    world.write("logs/real-file", 2);
    world.drain();
    assert_eq!((world.lines, world.rejects), (2, 0));
    world.assert_ledger();
    let refused = &world.status().refused;
    assert_eq!(refused.len(), 1);
    assert!(refused[0].0.ends_with("logs/evil.log"));
    assert_eq!(refused[0].1, "symbolic link that leaves the pattern's directory");
    // A link that turns to the outside later is refused then.
    std::fs::remove_file(world.path("logs/good.log")).unwrap();
    symlink(world.path("secret"), world.path("logs/good.log")).unwrap();
    world.drain();
    assert_eq!(world.status().refused.len(), 2);
    assert_eq!(world.lines, 2);
}

#[test]
fn row_24_a_link_that_turns_to_another_file_ends_one_generation_and_begins_the_next() {
    let mut world = World::new(&["current.log"]);
    world.write("day1", 2);
    symlink("day1", world.path("current.log")).unwrap();
    world.drain();
    world.write("day1", 1);
    world.write("day2", 2);
    symlink("day2", world.path("next")).unwrap();
    world.rename("next", "current.log");
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
    assert_eq!(world.open("current.log").len(), 1);
}

#[test]
fn row_25_fifos_sockets_and_directories_are_refused_and_never_block() {
    let mut world = World::new(&["*"]);
    world.write("access.log", 1);
    std::fs::create_dir(world.path("old")).unwrap();
    let fifo = Command::new("mkfifo").arg(world.path("pipe")).status().unwrap();
    assert!(fifo.success());
    let _socket = std::os::unix::net::UnixListener::bind(world.path("sock")).unwrap();
    world.drain();
    world.assert_ledger();
    let refused: Vec<&str> =
        world.status().refused.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(refused, ["a directory", "a FIFO", "a socket"]);
    assert!(world.status().unreadable.is_empty());
}

#[test]
fn row_25_a_fifo_in_place_of_the_log_is_refused() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 1);
    world.drain();
    world.remove("access.log");
    assert!(Command::new("mkfifo").arg(world.path("access.log")).status().unwrap().success());
    world.drain();
    assert!(!world.stream_status("access.log").live);
    assert_eq!(world.status().refused.len(), 1);
    world.assert_ledger();
}

#[test]
fn row_58_one_file_under_two_patterns_and_two_names_is_counted_once() {
    let mut world = World::new(&["access.log", "a*.log", "*.log*"]);
    world.write("access.log", 2);
    std::fs::hard_link(world.path("access.log"), world.path("again.log")).unwrap();
    symlink("access.log", world.path("aaa.log")).unwrap();
    world.drain();
    world.write("access.log", 2);
    world.drain();
    world.stop();
    world.drain();
    world.assert_ledger();
    assert_eq!(world.status().streams.len(), 1);
    assert_eq!(world.generations().len(), 1);
}

#[test]
fn a_backlog_in_one_file_does_not_starve_another() {
    let mut world = World::new(&["*.log"]);
    world.limits.poll_bytes = 2 << 20;
    world.write("big.log", 60_000);
    let big = world.written;
    world.write("small.log", 1);
    assert!(world.poll().more);
    assert_eq!(world.counted.get(&format!("u{big}")), Some(&1));
    assert!(!world.status().caught_up);
    assert!(world.stream_status("big.log").backlog > 0);
    while world.poll().more {}
    assert!(world.status().caught_up);
    assert_eq!(world.stream_status("big.log").backlog, 0);
    world.assert_ledger();
}

#[test]
fn files_beyond_the_bound_are_told_and_read_when_there_is_room() {
    let mut world = World::new(&["*.log"]);
    world.limits.max_open_files = 2;
    for name in ["a.log", "b.log", "c.log"] {
        world.write(name, 1);
    }
    world.drain();
    assert_eq!(world.status().unreadable.len(), 1);
    assert_eq!(world.lines, 2);
    world.remove("a.log");
    world.pass(70);
    assert_eq!(world.status().unreadable.len(), 0);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn directories_of_patterns_and_streams_are_watched() {
    let mut world = World::new(&["*/access.log"]);
    std::fs::create_dir(world.path("a")).unwrap();
    world.write("a/access.log", 1);
    world.drain();
    assert_eq!(world.watch_paths(), [world.path(""), world.path("a")].map(|path| tidy(&path)));
}

/// A write is told where the file is, not where the link is.
#[test]
fn the_directory_that_a_link_leads_to_is_watched_and_one_under_two_names_once() {
    let mut world = World::new(&["logs/access.log", "same/other.log"]);
    for name in ["logs", "data"] {
        std::fs::create_dir(world.path(name)).unwrap();
    }
    symlink("data", world.path("same")).unwrap();
    world.link_roots = vec![world.path("data")];
    world.write("data/access.log", 1);
    world.write("data/other.log", 1);
    world.drain();
    assert_eq!(world.watch_paths(), [world.path("logs"), world.path("same")]);
    symlink("../data/access.log", world.path("logs/access.log")).unwrap();
    world.drain();
    world.assert_ledger();
    let watched = ["data", "logs", "same"].map(|name| world.path(name));
    assert_eq!(world.watch_paths(), watched);
}

fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

#[test]
fn between_two_looks_open_files_are_read_all_the_same() {
    let mut world = World::new(&["access.log"]);
    world.limits.rescan = std::time::Duration::from_secs(3600);
    world.write("access.log", 1);
    world.drain();
    world.write("access.log", 1);
    world.poll();
    world.assert_ledger();
    let looks = world.reports.iter().filter(|report| matches!(report, Report::Status(_)));
    assert_eq!(looks.count(), 1);
}

/// Runs the named test again as a user who is not root, to whom permissions mean nothing. Returns
/// whether this process is that user.
pub fn as_ordinary_user(test: &str) -> bool {
    const NOBODY: u32 = 65534;
    let user = rustix::process::geteuid();
    if !user.is_root() {
        if let Some(open) = std::env::var_os(TEST_DIR) {
            std::fs::write(Path::new(&open).join("ran"), user.as_raw().to_string()).unwrap();
        }
        return true;
    }
    // The build directory may be closed to others.
    let open = tempfile::tempdir().unwrap();
    std::fs::set_permissions(open.path(), Permissions::from_mode(0o777)).unwrap();
    let program = open.path().join("follow");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let status = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .current_dir(open.path())
        .env(TEST_DIR, open.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .unwrap();
    assert!(status.success());
    // A name that fits no test would have been a success, too.
    let ran = std::fs::read_to_string(open.path().join("ran")).unwrap();
    assert_eq!(ran, NOBODY.to_string(), "the test ran as somebody else");
    false
}

#[test]
fn row_26_a_file_that_may_not_be_read_is_told_and_goes_on_when_it_may() {
    if !as_ordinary_user(
        "looks::row_26_a_file_that_may_not_be_read_is_told_and_goes_on_when_it_may",
    ) {
        return;
    }
    let mut world = World::new(&["access.log"]);
    let permit =
        |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    world.write("access.log", 2);
    world.drain();
    let log = world.path("access.log");
    for restart in [false, true] {
        permit(&log, 0o200);
        assert!(std::fs::read(&log).is_err(), "to this user a mode means nothing");
        world.write("access.log", 1);
        if restart {
            world.stop();
        }
        world.drain();
        assert_eq!(
            world.status().unreadable,
            [(log.display().to_string(), "permission denied".to_owned())]
        );
        assert!(world.stream_status("access.log").unreadable.is_some());
        assert!(world.stream_status("access.log").live, "it exists");
        permit(&log, 0o600);
        world.drain();
        assert!(world.status().unreadable.is_empty());
        world.assert_ledger();
    }
    let directory = world.path("");
    for mode in [0o000, 0o400, 0o100] {
        for restart in [false, true] {
            permit(&directory, mode);
            if restart {
                world.stop();
            }
            world.pass(70);
            let told = !world.status().unreadable.is_empty();
            permit(&directory, 0o700);
            assert!(told, "mode {mode:o}");
            world.write("access.log", 1);
            world.drain();
            assert!(world.status().unreadable.is_empty());
            world.assert_ledger();
        }
    }
    world.assert_gaps(&[]);
}

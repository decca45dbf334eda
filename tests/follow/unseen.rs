//! Files that come and go while nobody looks, or while nobody may read them: each line is counted, or
//! lies in a gap.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use keydrain::engine::coverage::GapReason;
use keydrain::engine::time::Timestamp;

use crate::looks::as_ordinary_user;
use crate::world::{World, append};

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

fn permit(world: &World, name: &str, mode: u32) {
    fs::set_permissions(world.path(name), Permissions::from_mode(mode)).unwrap();
}

/// Writes two lines and returns their numbers, with the time they are of.
fn write_two(world: &mut World, name: &str) -> ([u64; 2], Timestamp) {
    let first = world.written;
    world.write(name, 2);
    ([first, first + 1], world.now)
}

#[test]
fn row_17_two_rotations_while_the_daemon_stands_still_leave_a_gap() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 2);
    world.drain();
    world.now = world.now.plus(HALF_AN_HOUR);
    world.rotate("access.log", 1);
    let (lost, at) = write_two(&mut world, "access.log");
    world.now = world.now.plus(HALF_AN_HOUR);
    world.rotate("access.log", 1);
    world.now = world.now.plus(HALF_AN_HOUR);
    world.rotate("access.log", 1);
    world.write("access.log", 2);
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&lost, at);
    world.assert_gaps(&[GapReason::Vanished]);
}

/// Whether the reader notices that the clock was set, or not.
#[test]
fn row_35_a_clock_that_is_set_back_hides_no_time_without_a_look() {
    for is_noticed in [false, true] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 2);
        world.drain();
        world.pass(100);
        let before = world.now;
        world.rotate("access.log", 1);
        let (lost, at) = write_two(&mut world, "access.log");
        world.now = world.now.plus(Duration::from_secs(60));
        for _ in 0..2 {
            world.rotate("access.log", 1);
        }
        if is_noticed {
            world.set_clock(before);
        } else {
            world.now = before.minus(Duration::from_secs(10));
        }
        world.drain();
        world.pass(70);
        // Nobody knows what time it was then, unless the step is noticed.
        if is_noticed {
            world.assert_counted_or_in_a_gap(&lost, at);
        }
        world.assert_gaps(&[GapReason::Vanished]);
    }
}

#[test]
fn row_17_a_daemon_that_stands_still_through_rotations_that_keep_all_leaves_no_gap() {
    let mut world = World::new(&["access.log*"]);
    for _ in 0..3 {
        world.write("access.log", 2);
        world.drain();
        for _ in 0..2 {
            world.now = world.now.plus(HALF_AN_HOUR);
            world.rotate("access.log", 9);
            world.write("access.log", 2);
        }
        world.drain();
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn row_16_a_log_that_is_removed_and_made_anew_under_steady_looks_leaves_no_gap() {
    let mut world = World::new(&["access.log*"]);
    for _ in 0..3 {
        world.write("access.log", 2);
        world.drain();
        world.remove("access.log");
        world.pass(600);
    }
    world.write("access.log", 2);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_26_two_rotations_in_a_directory_that_may_not_be_listed_leave_a_gap() {
    if !as_ordinary_user(
        "unseen::row_26_two_rotations_in_a_directory_that_may_not_be_listed_leave_a_gap",
    ) {
        return;
    }
    let mut world = World::new(&["logs/access.log*"]);
    fs::create_dir(world.path("logs")).unwrap();
    world.write("logs/access.log", 2);
    world.drain();
    permit(&world, "logs", 0o000);
    world.pass(1800);
    assert!(!world.status().unreadable.is_empty());
    permit(&world, "logs", 0o700);
    world.rotate("logs/access.log", 1);
    let (lost, at) = write_two(&mut world, "logs/access.log");
    for _ in 0..2 {
        permit(&world, "logs", 0o000);
        world.pass(1800);
        permit(&world, "logs", 0o700);
        world.rotate("logs/access.log", 1);
    }
    world.write("logs/access.log", 2);
    world.pass(70);
    assert!(world.status().unreadable.is_empty());
    world.assert_counted_or_in_a_gap(&lost, at);
}

#[test]
fn row_18_a_log_that_comes_and_goes_while_the_daemon_is_down_leaves_a_gap() {
    for is_there_at_the_start in [true, false] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 2);
        world.drain();
        world.rename("access.log", "access.log.1");
        world.pass(70);
        assert!(world.open("access.log").is_empty());
        world.stop();
        world.now = world.now.plus(HALF_AN_HOUR);
        let (lost, at) = write_two(&mut world, "access.log");
        world.rotate("access.log", 1);
        world.now = world.now.plus(HALF_AN_HOUR);
        world.rotate("access.log", 1);
        if !is_there_at_the_start {
            world.remove("access.log.1");
            world.remove("access.log");
            world.drain();
            world.pass(600);
        }
        world.write("access.log", 2);
        world.drain();
        world.pass(70);
        world.assert_counted_or_in_a_gap(&lost, at);
        world.assert_gaps(&[GapReason::Vanished]);
    }
}

#[test]
fn row_18_a_stream_that_nobody_writes_any_more_leaves_no_gap_at_a_restart() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 2);
    world.drain();
    world.remove("access.log");
    world.pass(70);
    world.stop();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_18_a_log_that_nobody_may_ever_read_and_that_goes_leaves_a_gap() {
    if !as_ordinary_user(
        "unseen::row_18_a_log_that_nobody_may_ever_read_and_that_goes_leaves_a_gap",
    ) {
        return;
    }
    for restart in [false, true] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 2);
        world.drain();
        world.rename("access.log", "access.log.1");
        File::create(world.path("access.log")).unwrap();
        permit(&world, "access.log", 0o200);
        world.pass(5);
        let (lost, at) = write_two(&mut world, "access.log");
        world.pass(600);
        assert!(!world.status().unreadable.is_empty());
        // The configuration is mended, and the log rotated with `rotate 1`.
        world.rename("access.log", "access.log.1");
        world.write("access.log", 1);
        world.pass(5);
        assert!(!world.status().unreadable.is_empty());
        if restart {
            world.stop();
        }
        world.remove("access.log.1");
        world.pass(70);
        assert!(world.status().unreadable.is_empty());
        world.assert_counted_or_in_a_gap(&lost, at);
    }
}

#[test]
fn row_18_a_rotated_file_that_waits_to_be_read_and_goes_leaves_a_gap() {
    let mut world = World::new(&["access.log*"]);
    world.limits.poll_bytes = 1 << 10;
    let big = world.lines(60_000);
    append(&world.path("access.log"), big.as_bytes());
    world.poll();
    // It begins like a log that has no name any more and of which not all is read.
    let first: String = big.split_inclusive('\n').take(20).collect();
    append(&world.path("access.log.1"), first.as_bytes());
    world.remove("access.log");
    world.now = world.now.plus(Duration::from_secs(100));
    let (lost, at) = write_two(&mut world, "access.log.1");
    world.poll();
    assert!(world.stream_status("access.log").unreadable.is_some());
    world.remove("access.log.1");
    world.limits.poll_bytes = 8 << 20;
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&lost, at);
}

#[test]
fn row_26_the_gap_of_a_lost_file_begins_before_its_lines_whatever_was_read_since() {
    if !as_ordinary_user(
        "unseen::row_26_the_gap_of_a_lost_file_begins_before_its_lines_whatever_was_read_since",
    ) {
        return;
    }
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 2);
    world.drain();
    world.stop();
    permit(&world, "access.log", 0o200);
    world.drain();
    let (lost, at) = write_two(&mut world, "access.log");
    world.rename("access.log", "access.log.1");
    world.now = world.now.plus(Duration::from_secs(3600));
    world.write("access.log", 2);
    world.drain();
    world.pass(5);
    world.remove("access.log.1");
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&lost, at);
}

#[test]
fn row_14_the_gap_of_a_damaged_file_begins_before_its_lines_whatever_was_read_since() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log.3", 2);
    world.now = world.now.plus(Duration::from_secs(3600));
    let (lost, at) = write_two(&mut world, "access.log.2");
    world.gzip("access.log.2");
    let size = fs::metadata(world.path("access.log.2.gz")).unwrap().len();
    world.cut("access.log.2.gz", size / 2);
    world.now = world.now.plus(Duration::from_secs(3600));
    world.write("access.log.1", 2);
    world.write("access.log", 2);
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&lost, at);
}

#[test]
fn row_14_the_gap_of_a_damaged_file_that_is_put_back_begins_before_its_lines() {
    let mut world = World::new(&["access.log*"]);
    let (lost, at) = (world.written, world.now);
    world.write("old", 2);
    world.gzip("old");
    world.now = world.now.plus(HALF_AN_HOUR);
    world.write("access.log", 2);
    world.drain();
    let size = fs::metadata(world.path("old.gz")).unwrap().len();
    world.cut("old.gz", size / 2);
    world.rename("old.gz", "access.log.5.gz");
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
}

#[test]
fn row_14_a_file_in_the_middle_that_is_packed_in_an_unknown_way_leaves_a_gap() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log.3", 2);
    world.now = world.now.plus(Duration::from_secs(3600));
    let (lost, at) = write_two(&mut world, "access.log.2");
    world.rename("access.log.2", "access.log.2.xz");
    world.now = world.now.plus(Duration::from_secs(3600));
    world.write("access.log.1", 2);
    world.write("access.log", 2);
    world.drain();
    world.pass(70);
    assert_eq!(world.status().refused.len(), 1);
    world.assert_counted_or_in_a_gap(&lost, at);
    // What is packed so later was read before.
    for _ in 0..2 {
        world.pass(70);
        world.rename("access.log.1", "access.log.3.xz");
        world.rename("access.log", "access.log.1");
        world.write("access.log", 2);
        world.drain();
        world.stop();
    }
    world.pass(70);
    world.assert_gaps(&[GapReason::Damaged]);
}

#[test]
fn row_14_older_files_that_are_packed_in_an_unknown_way_leave_no_gap() {
    let mut world = World::new(&["access.log*"]);
    fs::write(world.path("access.log.2.xz"), "packed").unwrap();
    world.write("access.log.1", 2);
    world.write("access.log", 2);
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_26_a_log_that_is_hidden_and_cut_meanwhile_leaves_a_gap() {
    if !as_ordinary_user("unseen::row_26_a_log_that_is_hidden_and_cut_meanwhile_leaves_a_gap") {
        return;
    }
    let mut world = World::new(&["logs/access.log*"]);
    fs::create_dir(world.path("logs")).unwrap();
    fs::create_dir(world.path("data")).unwrap();
    world.link_roots = vec![world.path("data").canonicalize().unwrap()];
    world.write("data/access.log", 3);
    symlink(world.path("data/access.log"), world.path("logs/access.log")).unwrap();
    world.write("logs/access.log.1", 1);
    world.drain();
    let mut log = OpenOptions::new().append(true).open(world.path("data/access.log")).unwrap();
    permit(&world, "data", 0o000);
    world.pass(70);
    assert!(!world.status().unreadable.is_empty());
    let (lost, at) = (world.written, world.now);
    log.write_all(world.line().as_bytes()).unwrap();
    log.set_len(0).unwrap();
    log.write_all(world.line().as_bytes()).unwrap();
    permit(&world, "data", 0o700);
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[lost], at);
}

#[test]
fn row_17_a_log_whose_directory_is_renamed_is_read_on() {
    for restart in [false, true] {
        let mut world = World::new(&["*/access.log"]);
        fs::create_dir(world.path("old")).unwrap();
        world.write("old/access.log", 2);
        world.drain();
        if restart {
            world.stop();
        }
        world.rename("old", "new");
        world.write("new/access.log", 2);
        world.drain();
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn row_17_a_daemon_that_stands_still_while_its_log_is_packed_or_replaced_leaves_no_gap() {
    for is_packed in [false, true] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 50);
        world.drain();
        world.now = world.now.plus(HALF_AN_HOUR);
        if is_packed {
            world.rotate("access.log", 9);
            world.gzip("access.log.1");
        } else {
            fs::copy(world.path("access.log"), world.path("away")).unwrap();
            world.rename("away", "access.log");
        }
        world.write("access.log", 2);
        world.drain();
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn row_26_what_comes_to_a_finished_file_that_nobody_may_read_and_that_goes_lies_in_a_gap() {
    if !as_ordinary_user(
        "unseen::row_26_what_comes_to_a_finished_file_that_nobody_may_read_and_that_goes_lies_in_a_gap",
    ) {
        return;
    }
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 3);
    world.drain();
    let mut old = OpenOptions::new().append(true).open(world.path("access.log")).unwrap();
    world.rotate("access.log", 9);
    world.write("access.log", 3);
    world.pass(70);
    assert_eq!(world.open("access.log").len(), 1);
    permit(&world, "access.log.1", 0o000);
    let (lost, at) = (world.written, world.now);
    old.write_all(world.lines(2).as_bytes()).unwrap();
    world.pass(5);
    assert!(!world.status().unreadable.is_empty());
    world.remove("access.log.1");
    world.pass(70);
    assert!(world.status().unreadable.is_empty());
    world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
}

#[test]
fn row_17_a_number_that_is_missing_after_a_time_without_a_look_leaves_a_gap() {
    for restart in [false, true] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 2);
        world.drain();
        if restart {
            world.stop();
        }
        world.now = world.now.plus(HALF_AN_HOUR);
        world.rotate("access.log", 9);
        let (lost, at) = (world.written, world.now);
        world.write("access.log", 2);
        world.rotate("access.log", 9);
        world.write("access.log", 2);
        world.remove("access.log.1");
        world.now = world.now.plus(HALF_AN_HOUR);
        world.drain();
        world.pass(70);
        world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
        world.assert_gaps(&[GapReason::Vanished]);
        // One gap is enough, also where nobody writes any more.
        world.remove("access.log");
        world.pass(70);
        world.stop();
        world.drain();
        world.assert_gaps(&[GapReason::Vanished]);
    }
}

#[test]
fn row_26_the_gap_of_a_file_that_nobody_could_ever_read_begins_before_its_lines() {
    if !as_ordinary_user(
        "unseen::row_26_the_gap_of_a_file_that_nobody_could_ever_read_begins_before_its_lines",
    ) {
        return;
    }
    let mut world = World::new(&["access.log*"]);
    world.write("access.log.2", 2);
    world.now = world.now.plus(HALF_AN_HOUR);
    let (lost, at) = (world.written, world.now);
    world.write("access.log.1", 2);
    permit(&world, "access.log.1", 0o000);
    world.now = world.now.plus(HALF_AN_HOUR);
    world.write("access.log", 2);
    world.now = world.now.plus(HALF_AN_HOUR);
    world.drain();
    world.pass(70);
    world.remove("access.log.1");
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
}

#[test]
fn row_17_a_file_that_waits_and_is_renamed_while_its_directory_is_listed_leaves_no_gap() {
    if !as_ordinary_user(
        "unseen::row_17_a_file_that_waits_and_is_renamed_while_its_directory_is_listed_leaves_no_gap",
    ) {
        return;
    }
    let mut world = World::new(&["access.log*"]);
    world.write("access.log.1", 2);
    permit(&world, "access.log.1", 0o000);
    world.write("access.log", 2);
    world.drain();
    world.rename("access.log.1", "away");
    world.poll();
    world.rename("away", "access.log.2");
    world.poll();
    permit(&world, "access.log.2", 0o600);
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_18_a_gap_is_told_although_another_file_is_unclear_until_the_daemon_stops() {
    if !as_ordinary_user(
        "unseen::row_18_a_gap_is_told_although_another_file_is_unclear_until_the_daemon_stops",
    ) {
        return;
    }
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 2);
    world.drain();
    world.rename("access.log", "access.log.1");
    world.pass(70);
    world.stop();
    let (lost, at) = (world.written, world.now);
    world.write("access.log", 2);
    world.rotate("access.log", 1);
    world.now = world.now.plus(HALF_AN_HOUR);
    world.write("access.log", 2);
    world.rotate("access.log", 1);
    permit(&world, "access.log.1", 0o000);
    world.write("access.log", 2);
    world.drain();
    assert!(!world.status().unreadable.is_empty());
    permit(&world, "access.log.1", 0o600);
    world.stop();
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
}

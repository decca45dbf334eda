//! Rename, create, delete: nothing is lost, nothing is counted twice, no gap is claimed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use std::time::Duration;

use keydrain::engine::coverage::GapReason;

use crate::world::{World, append};

#[test]
fn existing_files_are_read_oldest_first_and_then_new_lines() {
    let mut world = World::new(&["access.log*"]);
    for name in ["access.log.2", "access.log.1", "access.log"] {
        world.write(name, 3);
        world.now = world.now.plus(std::time::Duration::from_secs(60));
    }
    world.poll();
    world.write("access.log", 1);
    world.poll();
    world.assert_ledger();
    world.assert_gaps(&[]);
    let order: Vec<u64> = world.deltas().map(|delta| delta.generation.0).collect();
    assert_eq!(order, [1, 2, 3, 3]);
    assert!(world.deltas().all(|delta| delta.late_by.is_none()));
}

#[test]
fn dated_siblings_are_read_in_the_order_of_their_dates() {
    let mut world = World::new(&["access.log"]);
    for name in ["access.log-20250131", "access.log-20250201", "access.log"] {
        world.write(name, 2);
        world.now = world.now.plus(std::time::Duration::from_secs(60));
    }
    world.drain();
    world.assert_ledger();
    assert!(world.deltas().all(|delta| delta.late_by.is_none()));
    assert_eq!(world.generations().len(), 3);
}

#[test]
fn a_literal_path_finds_its_rotated_siblings() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log.1", 2);
    world.write("access.log", 2);
    world.write("other.log", 0);
    world.drain();
    world.assert_ledger();
    assert_eq!(world.status().streams.len(), 1);
}

#[test]
fn rename_and_create_loses_nothing() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 5);
    world.poll();
    for _ in 0..4 {
        world.write("access.log", 2);
        world.rotate("access.log", 9);
        world.write("access.log", 3);
        world.poll();
    }
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
    assert_eq!(world.open("access.log").len(), 1, "rotated generations are finished");
}

#[test]
fn row_17_two_rotations_between_two_looks_lose_nothing() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 5);
    world.poll();
    for _ in 0..2 {
        world.write("access.log", 2);
        world.rotate("access.log", 9);
    }
    world.write("access.log", 2);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_17_a_file_that_is_renamed_while_its_directory_is_listed_is_read_before_the_next_one() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 2);
    world.poll();
    world.stop();
    world.write("access.log", 2);
    // The listing shows it under neither name.
    world.rename("access.log", "between two names");
    world.write("access.log", 2);
    world.poll();
    let passed = world.deltas().filter(|delta| delta.generation.0 == 2).count();
    assert_eq!(passed, 0, "lines of the next file pass lines that are looked for");
    world.rename("between two names", "access.log.1");
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
    let order: Vec<u64> = world.deltas().map(|delta| delta.generation.0).collect();
    assert_eq!(order, [1, 1, 2]);
}

#[test]
fn row_02_a_writer_that_keeps_its_old_descriptor_is_followed() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 2);
    world.poll();
    let mut old = OpenOptions::new().append(true).open(world.path("access.log")).unwrap();
    world.rotate("access.log", 9);
    for _ in 0..3 {
        world.pass(30);
        old.write_all(world.line().as_bytes()).unwrap();
    }
    world.write("access.log", 1);
    world.pass(30);
    assert_eq!(world.open("access.log").len(), 2, "the old file was written 30 s ago");
    world.pass(60);
    world.assert_ledger();
    assert_eq!(world.open("access.log").len(), 1);
    // Later than the grace, it is read all the same.
    old.write_all(world.line().as_bytes()).unwrap();
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

/// The wall clock is set forward by more than the grace, of which little has passed.
#[test]
fn row_35_a_step_of_the_wall_clock_ends_no_grace() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 2);
    world.poll();
    let mut old = OpenOptions::new().append(true).open(world.path("access.log")).unwrap();
    world.remove("access.log");
    world.write("access.log", 1);
    world.pass(10);
    world.set_clock_forward(Duration::from_secs(7200));
    world.pass(10);
    old.write_all(world.line().as_bytes()).unwrap();
    world.pass(50);
    world.assert_ledger();
    assert_eq!(world.open("access.log").len(), 2);
    // It is not longer, either.
    world.pass(30);
    assert_eq!(world.open("access.log").len(), 1);
    world.assert_gaps(&[]);
}

#[test]
fn row_16_a_file_that_is_deleted_while_open_is_read_to_its_end() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 2);
    world.poll();
    let mut old = OpenOptions::new().append(true).open(world.path("access.log")).unwrap();
    old.write_all(world.lines(2).as_bytes()).unwrap();
    world.remove("access.log");
    world.poll();
    old.write_all(world.line().as_bytes()).unwrap();
    world.poll();
    world.assert_ledger();
    assert!(!world.stream_status("access.log").live);
    world.pass(70);
    world.assert_gaps(&[]);
    assert_eq!(world.open("access.log").len(), 0);
    world.write("access.log", 1);
    world.drain();
    world.assert_ledger();
    assert!(world.stream_status("access.log").live);
}

#[test]
fn row_19_a_half_line_is_counted_once_it_is_whole() {
    let mut world = World::new(&["access.log"]);
    let line = world.line();
    let (head, rest) = line.split_at(20);
    append(&world.path("access.log"), head.as_bytes());
    world.drain();
    assert_eq!(world.lines, 0);
    assert_eq!(world.stream_status("access.log").backlog, 20);
    world.stop();
    world.drain();
    append(&world.path("access.log"), rest.as_bytes());
    world.drain();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects), (1, 0));
}

#[test]
fn row_20_a_half_line_of_a_rotated_file_does_not_hold_up_the_next_file() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 1);
    let line = world.line();
    append(&world.path("access.log"), line.trim_end().as_bytes());
    world.poll();
    world.rotate("access.log", 9);
    world.write("access.log", 1);
    world.poll();
    assert_eq!(world.lines, 2, "the line without its end waits");
    world.pass(70);
    assert_eq!(world.lines, 3, "it is counted once its file is finished");
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_18_a_file_that_vanished_while_nobody_looked_leaves_a_gap() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 2);
    world.drain();
    world.stop();
    world.remove("access.log");
    world.write("access.log", 2);
    // One look may have missed it: a directory can be listed while its files are renamed.
    world.poll();
    world.assert_gaps(&[]);
    assert_eq!(world.status().unreadable.len(), 1, "until the next look nothing is certain");
    world.poll();
    world.assert_gaps(&[GapReason::Vanished]);
    assert!(world.status().unreadable.is_empty());
    world.drain();
    world.assert_ledger();
    let last_read = world.deltas().next().unwrap().last_event.unwrap();
    assert_eq!(world.gaps[0].span.from, last_read);
    assert!(world.gaps[0].span.to > last_read);
}

/// Rotates, packs and begins a log anew; returns whether the new file got the inode of the old one.
fn begin_anew(world: &mut World) -> bool {
    let inode = |world: &World| std::fs::metadata(world.path("access.log")).unwrap().ino();
    let before = inode(world);
    world.gzip("access.log");
    world.rename("access.log.gz", "access.log.1.gz");
    world.write("access.log", 3);
    inode(world) == before
}

#[test]
fn row_08_an_inode_that_is_used_again_is_a_new_file() {
    const TIMES: u32 = 1000;
    let mut reused = 0;
    for _ in 0..TIMES {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 3);
        world.drain();
        // The descriptor is closed: only that frees the inode.
        world.stop();
        reused += u32::from(begin_anew(&mut world));
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
    let certain = on_ext4(&World::new(&[]).path(""));
    println!("inode used again {reused} times of {TIMES}; a file system that does so: {certain}");
    assert!(reused > 0 || !certain, "the test shows nothing");
}

/// Tells whether `path` is on ext4, which gives a free inode away at once.
fn on_ext4(path: &Path) -> bool {
    const EXT4_SUPER_MAGIC: i64 = 0xEF53;
    rustix::fs::statfs(path).unwrap().f_type == EXT4_SUPER_MAGIC
}

#[test]
fn row_09_an_inode_that_is_used_again_while_the_old_file_is_lost_leaves_a_gap() {
    for _ in 0..20 {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 3);
        world.drain();
        world.stop();
        let unread = [world.written, world.written + 1];
        world.write("access.log", 2);
        begin_anew(&mut world);
        world.remove("access.log.1.gz");
        world.drain();
        world.pass(70);
        world.assert_ledger_without(&unread);
        world.assert_gaps(&[GapReason::Vanished]);
    }
}

#[test]
fn row_10_files_with_the_same_head_are_different_files() {
    let mut world = World::new(&["access.log"]);
    let header = format!("# {}\n", "h".repeat(5000));
    for _ in 0..3 {
        append(&world.path("access.log"), header.as_bytes());
        world.write("access.log", 2);
        world.poll();
        world.rotate("access.log", 9);
    }
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
    assert_eq!(world.rejects, 3);
}

#[test]
fn a_file_that_moves_to_another_family_stays_in_its_stream() {
    let mut world = World::new(&["*.log"]);
    world.write("access.log", 2);
    world.poll();
    world.rename("access.log", "old.log");
    world.write("access.log", 2);
    world.write("old.log", 1);
    world.drain();
    world.assert_ledger();
    world.pass(70);
    world.stop();
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_02_what_comes_after_a_copy_that_is_gone_is_counted() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 3);
    world.drain();
    std::fs::copy(world.path("access.log"), world.path("access.log.9")).unwrap();
    world.drain();
    world.remove("access.log.9");
    world.rename("access.log", "access.log.1");
    world.drain();
    world.pass(70);
    world.write("access.log.1", 1);
    world.drain();
    world.pass(70);
    world.assert_ledger();
}

#[test]
fn row_58_a_second_name_that_comes_while_nobody_looks_is_read_by_nobody_again() {
    let mut world = World::new(&["*.log"]);
    world.write("b.log", 3);
    world.drain();
    world.stop();
    std::fs::hard_link(world.path("b.log"), world.path("a.log")).unwrap();
    world.write("b.log", 1);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

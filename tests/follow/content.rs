//! Lines that are too long, holes of NUL bytes, other line ends.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use keydrain::engine::coverage::GapReason;
use keydrain::engine::scan::lines::MAX_LINE_BYTES;

use crate::world::{KEY, World, append};

/// A world with an over-long line between two others, read in steps, with a stop after each.
/// `key_at`: where in the file the key stands.
fn with_overlong_line(key_at: Option<u64>) -> World {
    let mut world = World::new(&["access.log"]);
    world.limits.poll_bytes = 1;
    world.write("access.log", 1);
    append(&world.path("access.log"), &vec![b'x'; 5 * MAX_LINE_BYTES]);
    append(&world.path("access.log"), b"\n");
    world.write("access.log", 1);
    if let Some(at) = key_at {
        let log = OpenOptions::new().write(true).open(world.path("access.log")).unwrap();
        log.write_all_at(KEY.as_bytes(), at).unwrap();
    }
    while world.poll().more {
        world.stop();
    }
    world
}

#[test]
fn an_overlong_line_is_one_reject_and_its_key_is_found_across_borders() {
    let plain = with_overlong_line(None);
    let borders: Vec<u64> =
        plain.deltas().filter(|delta| delta.inside_overlong).map(|delta| delta.range.to).collect();
    assert!(borders.len() > 3, "the line is read in steps");
    assert_eq!(plain.rejected_keys(), 0);
    for border in &borders[..2] {
        for before in [0, 1, KEY.len() / 2, KEY.len() - 1, KEY.len()] {
            let world = with_overlong_line(Some(border - before as u64));
            world.assert_ledger();
            world.assert_gaps(&[]);
            assert_eq!((world.lines, world.rejects), (3, 1));
            assert_eq!(world.rejected_keys(), 1, "{before} bytes of the key before {border}");
            let skipped: u64 = world.deltas().map(|delta| delta.skipped).sum();
            assert!(skipped > 3 * MAX_LINE_BYTES as u64);
        }
    }
}

#[test]
fn row_22_a_hole_left_by_a_writer_without_append_is_skipped_and_leaves_a_gap() {
    for hole in [100, 5000, 6 << 20] {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 1);
        world.drain();
        let writer = OpenOptions::new().write(true).open(world.path("access.log")).unwrap();
        writer.set_len(0).unwrap();
        writer.write_all_at(world.lines(3).as_bytes(), hole).unwrap();
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[GapReason::Truncated, GapReason::NulRun]);
        assert_eq!(world.rejects, 0);
        let skipped: u64 = world.deltas().map(|delta| delta.skipped).sum();
        assert_eq!(skipped, hole);
    }
}

#[test]
fn row_21_carriage_returns_before_the_line_end_do_not_matter() {
    let mut world = World::new(&["access.log"]);
    let text = world.lines(3).replace('\n', "\r\n");
    append(&world.path("access.log"), text.as_bytes());
    world.drain();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects), (3, 0));
}

#[test]
fn row_21_invalid_utf8_and_empty_lines_are_counted_and_lose_no_neighbour() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 1);
    append(&world.path("access.log"), b"\xff\xfe\x00\xc3\n\n");
    world.write("access.log", 1);
    world.drain();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects), (4, 2));
}

#[test]
fn the_time_of_the_newest_line_is_that_of_the_file_at_most_now() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 1);
    world.date("access.log", std::time::Duration::from_secs(30));
    world.poll();
    let before = world.now;
    let newest = world.deltas().next().unwrap().newest_line_at.unwrap();
    assert_eq!(before.since(newest), std::time::Duration::from_secs(31));
}

//! Lines that are too long, holes of NUL bytes, other line ends.

use std::io::{Seek as _, SeekFrom, Write as _};

use keydrain::engine::coverage::GapReason;
use keydrain::engine::scan::lines::MAX_LINE_BYTES;

use crate::world::{KEY, World, append};

#[test]
fn an_overlong_line_is_one_reject_and_its_key_is_found_across_borders() {
    // The key stands at every place around the border between two buffers, once per run.
    for shift in [0, 1, KEY.len() / 2, KEY.len() - 1, KEY.len()] {
        let mut world = World::new(&["access.log"]);
        world.limits.poll_bytes = 1;
        world.write("access.log", 1);
        let mut long = vec![b'x'; 5 * MAX_LINE_BYTES];
        append(&world.path("access.log"), &long[..3 * MAX_LINE_BYTES]);
        world.drain();
        let border = usize::try_from(world.generations()[0].offset).unwrap();
        assert!(world.generations()[0].inside_overlong);
        let at = border - std::fs::metadata(world.path("access.log")).unwrap().len() as usize
            + 3 * MAX_LINE_BYTES;
        // What lies before the border was read already: it can only be written in one go.
        long[at - shift..at - shift + KEY.len()].copy_from_slice(KEY.as_bytes());
        std::fs::remove_file(world.path("access.log")).unwrap();
        let mut world = World::new(&["access.log"]);
        world.limits.poll_bytes = 1;
        world.write("access.log", 1);
        append(&world.path("access.log"), &long);
        append(&world.path("access.log"), b"\n");
        world.write("access.log", 1);
        while world.poll().more {
            // A restart inside the line changes nothing.
            world.stop();
        }
        world.assert_ledger();
        world.assert_gaps(&[]);
        assert_eq!((world.lines, world.rejects), (3, 1));
        let found = world.deltas().flat_map(|delta| &delta.rejected_keys).count();
        assert!(found > 0, "shift {shift}");
        let skipped: u64 = world.deltas().map(|delta| delta.skipped).sum();
        assert!(skipped > 3 * MAX_LINE_BYTES as u64);
    }
}

#[test]
fn a_hole_left_by_a_writer_without_append_is_skipped_and_leaves_a_gap() {
    for hole in [100, 5000, 6 << 20] {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 1);
        world.drain();
        let mut writer =
            std::fs::OpenOptions::new().write(true).open(world.path("access.log")).unwrap();
        writer.set_len(0).unwrap();
        writer.seek(SeekFrom::Start(hole)).unwrap();
        writer.write_all(world.lines(3).as_bytes()).unwrap();
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[GapReason::Truncated, GapReason::NulRun]);
        assert_eq!(world.rejects, 0);
        let skipped: u64 = world.deltas().map(|delta| delta.skipped).sum();
        assert_eq!(skipped, hole);
    }
}

#[test]
fn carriage_returns_before_the_line_end_do_not_matter() {
    let mut world = World::new(&["access.log"]);
    let text = world.lines(3).replace('\n', "\r\n");
    append(&world.path("access.log"), text.as_bytes());
    world.drain();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects), (3, 0));
}

#[test]
fn invalid_utf8_and_empty_lines_are_counted_and_lose_no_neighbour() {
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

//! Truncation and `copytruncate`: always a gap, never a line twice.

use std::fs::OpenOptions;

use keydrain::engine::coverage::GapReason;
use keydrain::source::files::Report;

use crate::world::{World, append};

fn truncate(world: &World, size: u64) {
    let file = OpenOptions::new().write(true).open(world.path("access.log")).unwrap();
    file.set_len(size).unwrap();
}

#[test]
fn row_05_a_truncated_file_is_read_from_its_start_after_a_gap() {
    for restart in [false, true] {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 5);
        world.drain();
        if restart {
            world.stop();
        }
        truncate(&world, 0);
        world.write("access.log", 2);
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[GapReason::Truncated]);
        assert_eq!(world.generations().len(), 2);
    }
}

#[test]
fn row_06_a_file_that_grew_past_the_offset_after_a_truncation_is_noticed() {
    for restart in [false, true] {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 5);
        world.drain();
        if restart {
            world.stop();
        }
        truncate(&world, 0);
        world.write("access.log", 50);
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[GapReason::Truncated]);
    }
}

#[test]
fn a_reset_is_told_before_a_line_of_the_new_content() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 5);
    world.drain();
    world.reports.clear();
    truncate(&world, 0);
    world.write("access.log", 1);
    world.poll();
    let order: Vec<&str> = world
        .reports
        .iter()
        .map(|report| match report {
            Report::Gap(_) => "gap",
            Report::Forgotten(..) => "forgotten",
            Report::Generation(record) if record.finished => "finished",
            Report::Generation(_) => "new",
            Report::Delta(_) => "delta",
            Report::Status(_) => "status",
        })
        .collect();
    assert_eq!(order, ["gap", "finished", "new", "delta", "status"]);
}

#[test]
fn an_unread_rest_that_is_cut_off_leaves_a_gap_and_counts_nothing_twice() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 3);
    let size = std::fs::metadata(world.path("access.log")).unwrap().len();
    append(&world.path("access.log"), b"half a line");
    world.drain();
    truncate(&world, size);
    world.poll();
    world.write("access.log", 1);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[GapReason::Truncated]);
}

#[test]
fn row_04_a_copy_of_the_live_file_is_not_counted_twice() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 5);
    world.drain();
    // logrotate is still copying: the copy grows, the live file too.
    let content = std::fs::read(world.path("access.log")).unwrap();
    append(&world.path("access.log.1"), &content[..content.len() / 2]);
    world.drain();
    world.write("access.log", 2);
    world.drain();
    let content = std::fs::read(world.path("access.log")).unwrap();
    std::fs::write(world.path("access.log.1"), &content).unwrap();
    world.drain();
    truncate(&world, 0);
    world.write("access.log", 3);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[GapReason::Truncated]);
    world.stop();
    world.drain();
    // Another round: the copy moves on and is compressed.
    world.rename("access.log.1", "access.log.2");
    world.gzip("access.log.2");
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    truncate(&world, 0);
    world.write("access.log", 3);
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[GapReason::Truncated, GapReason::Truncated]);
}

#[test]
fn what_only_the_copy_holds_is_read_from_the_copy_and_the_gap_stays() {
    for restart in [false, true] {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 5);
        world.drain();
        if restart {
            world.stop();
        }
        world.write("access.log", 4);
        std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
        truncate(&world, 0);
        world.write("access.log", 3);
        world.drain();
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[GapReason::Truncated]);
    }
}

#[test]
fn a_copy_that_was_made_before_the_first_look_is_not_counted_twice() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 5);
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    world.write("access.log", 5);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn a_truncation_between_two_looks_of_a_copied_file_names_the_lost_line() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 5);
    world.drain();
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    // Written between copy and truncation: it is in no file at all.
    let lost = world.written;
    world.write("access.log", 1);
    truncate(&world, 0);
    world.write("access.log", 1);
    world.drain();
    world.assert_ledger_without(&[lost]);
    world.assert_gaps(&[GapReason::Truncated]);
}

/// Found by the property tests: the truncated file went on under a descriptor alone while its
/// packed form appeared, and was read twice.
#[test]
fn a_truncated_file_that_is_then_rotated_and_compressed_is_read_once() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 5);
    world.drain();
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    truncate(&world, 0);
    world.write("access.log", 2);
    world.rotate("access.log", 9);
    world.gzip("access.log.1");
    world.write("access.log", 1);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[GapReason::Truncated]);
}

/// Found by the property tests: only the copy was left to tell of the truncation.
#[test]
fn a_generation_of_which_only_a_plain_copy_is_left_leaves_a_gap() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 5);
    world.drain();
    world.stop();
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    let lost = world.written;
    world.write("access.log", 1);
    truncate(&world, 0);
    world.write("access.log", 2);
    world.rotate("access.log", 9);
    world.gzip("access.log.1");
    world.drain();
    world.assert_ledger_without(&[lost]);
    world.assert_gaps(&[GapReason::Truncated]);
}

#[test]
fn row_05_an_empty_log_that_is_written_and_emptied_between_two_looks_leaves_a_gap() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 1);
    world.drain();
    truncate(&world, 0);
    world.drain();
    world.assert_gaps(&[GapReason::Truncated]);
    let lost = world.written;
    world.write("access.log", 1);
    truncate(&world, 0);
    world.drain();
    world.assert_ledger_without(&[lost]);
    world.assert_gaps(&[GapReason::Truncated; 2]);
}

#[test]
fn row_06_half_a_line_that_is_replaced_by_more_than_it_was_leaves_a_gap() {
    let mut world = World::new(&["access.log"]);
    let lost = world.written;
    let line = world.line();
    append(&world.path("access.log"), &line.as_bytes()[..40]);
    world.drain();
    truncate(&world, 0);
    world.write("access.log", 2);
    world.drain();
    world.assert_ledger_without(&[lost]);
    world.assert_gaps(&[GapReason::Truncated]);
}

#[test]
fn row_03_a_copy_of_an_empty_log_hides_no_line_that_was_cut_off() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 1);
    world.drain();
    world.rotate("access.log", 9);
    world.drain();
    world.make_room("access.log", 9);
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    let lost = world.written;
    world.write("access.log", 1);
    truncate(&world, 0);
    world.drain();
    world.pass(70);
    world.assert_ledger_without(&[lost]);
    world.assert_gaps(&[GapReason::Truncated]);
}

/// The time of change moves before the size: that is seen by who looks in between.
#[test]
fn row_05_the_first_write_to_an_empty_log_is_no_cut() {
    let mut world = World::new(&["access.log"]);
    world.limits.rotation_grace = std::time::Duration::ZERO;
    let text = world.lines(500);
    world.write("access.log", 1);
    world.drain();
    for line in text.split_inclusive('\n') {
        world.remove("access.log");
        std::fs::File::create(world.path("access.log")).unwrap();
        world.poll();
        let path = world.path("access.log");
        let before = world.lines;
        std::thread::scope(|scope| {
            scope.spawn(|| append(&path, line.as_bytes()));
            while world.lines == before {
                world.poll();
            }
        });
    }
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

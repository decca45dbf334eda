//! Truncation and `copytruncate`: always a gap, never a line twice.

use keydrain::engine::coverage::{Gap, GapReason};
use keydrain::engine::time::Timestamp;
use keydrain::source::files::Report;

use crate::world::{World, append};

#[test]
fn row_05_a_truncated_file_is_read_from_its_start_after_a_gap() {
    for restart in [false, true] {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 5);
        world.drain();
        if restart {
            world.stop();
        }
        world.cut("access.log", 0);
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
        world.cut("access.log", 0);
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
    world.cut("access.log", 0);
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
    world.cut("access.log", size);
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
    world.cut("access.log", 0);
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
    world.cut("access.log", 0);
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
        world.cut("access.log", 0);
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
    world.cut("access.log", 0);
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
    world.cut("access.log", 0);
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
    world.cut("access.log", 0);
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
    world.cut("access.log", 0);
    world.drain();
    world.assert_gaps(&[GapReason::Truncated]);
    let lost = world.written;
    world.write("access.log", 1);
    world.cut("access.log", 0);
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
    world.cut("access.log", 0);
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
    world.cut("access.log", 0);
    world.drain();
    world.pass(70);
    world.assert_ledger_without(&[lost]);
    world.assert_gaps(&[GapReason::Truncated]);
}

/// Does what logrotate does with `copytruncate`; `count` lines come between copy and truncation.
/// Returns the numbers of these.
fn copy_truncate(world: &mut World, count: usize) -> Vec<u64> {
    world.make_room("access.log", 9);
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    let first = world.written;
    world.write("access.log", count);
    world.cut("access.log", 0);
    (first..world.written).collect()
}

/// Checks that the lines are lost and that a gap says so of all of them, to the second.
#[track_caller]
fn assert_lost_in_a_gap(world: &World, lost: &[u64], written_at: Timestamp) {
    world.assert_ledger_without(lost);
    let holds = |gap: &Gap| gap.span.from <= written_at && written_at <= gap.span.to;
    assert!(world.gaps.iter().any(holds), "{:?}, written at {written_at:?}", world.gaps);
}

/// A log of which nothing was read shows nothing of having been cut: the copy does.
#[test]
fn row_03_a_fresh_log_that_is_copied_and_cut_between_two_looks_leaves_a_gap() {
    for (times, restart, packed) in
        [(1, false, false), (2, false, false), (2, true, false), (1, false, true), (2, true, true)]
    {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 3);
        world.drain();
        copy_truncate(&mut world, 0);
        world.drain();
        world.assert_gaps(&[GapReason::Truncated]);
        world.gaps.clear();
        if restart {
            world.stop();
        }
        let written_at = world.now;
        let mut lost = Vec::new();
        for _ in 0..times {
            world.write("access.log", 2);
            lost.extend(copy_truncate(&mut world, 1));
            if packed {
                world.gzip("access.log.1");
            }
        }
        world.write("access.log", 9);
        world.drain();
        world.pass(70);
        assert_lost_in_a_gap(&world, &lost, written_at);
        world.assert_gaps(&[GapReason::Truncated]);
        world.stop();
        world.drain();
        world.assert_gaps(&[GapReason::Truncated]);
    }
}

/// What is left of the first copy was replaced by the second one.
#[test]
fn row_03_a_copy_that_the_next_copy_replaces_leaves_a_gap() {
    for in_place in [false, true] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 3);
        world.drain();
        copy_truncate(&mut world, 0);
        world.pass(70);
        world.gaps.clear();
        let (written_at, first) = (world.now, world.written);
        world.write("access.log", 2);
        for _ in 0..2 {
            if !in_place {
                world.remove("access.log.1");
            }
            std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
            world.cut("access.log", 0);
            world.write("access.log", 4);
        }
        world.drain();
        world.pass(70);
        assert_lost_in_a_gap(&world, &[first, first + 1], written_at);
    }
}

/// Nothing of the stream was read yet, so no line says when the loss began.
#[test]
fn row_03_the_first_log_of_all_that_is_copied_and_cut_leaves_a_gap() {
    let mut world = World::new(&["access.log*"]);
    append(&world.path("access.log"), b"");
    world.drain();
    let written_at = world.now;
    world.write("access.log", 2);
    let lost = copy_truncate(&mut world, 2);
    world.write("access.log", 9);
    world.drain();
    assert_lost_in_a_gap(&world, &lost, written_at);
}

/// File events let the log be read more often than the directory is looked at.
#[test]
fn row_03_a_cut_log_that_is_read_before_its_copy_is_seen_leaves_a_gap() {
    // Between any two looks.
    for (phase, read_before) in (0..5).flat_map(|phase| [(phase, false), (phase, true)]) {
        let mut world = World::new(&["access.log*"]);
        world.limits.rescan = std::time::Duration::from_secs(5);
        world.write("access.log", 1);
        world.drain();
        copy_truncate(&mut world, 0);
        world.pass(20 + phase);
        if read_before {
            world.write("access.log", 1);
            world.poll();
            copy_truncate(&mut world, 0);
            world.poll();
        }
        world.gaps.clear();
        let written_at = world.now;
        world.write("access.log", 2);
        let lost = copy_truncate(&mut world, 1);
        world.write("access.log", 1);
        world.poll();
        world.pass(80);
        assert_lost_in_a_gap(&world, &lost, written_at);
    }
}

/// An empty log leaves an empty copy, and lines that come then are lost all the same.
#[test]
fn row_03_an_empty_copy_of_a_log_that_is_written_to_again_leaves_a_gap() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 1);
    world.drain();
    world.rotate("access.log", 9);
    world.drain();
    let written_at = world.now;
    let lost = copy_truncate(&mut world, 2);
    world.write("access.log", 9);
    world.drain();
    world.pass(70);
    assert_lost_in_a_gap(&world, &lost, written_at);
    world.assert_gaps(&[GapReason::Truncated]);
}

/// Renamed behind its copy before anybody looks, the log is still younger than the copy.
#[test]
fn row_03_a_fresh_log_that_is_copied_cut_and_renamed_between_two_looks_leaves_a_gap() {
    for restart in [false, true] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 1);
        world.drain();
        world.rotate("access.log", 9);
        world.drain();
        if restart {
            world.stop();
        }
        let written_at = world.now;
        world.write("access.log", 2);
        let lost = copy_truncate(&mut world, 1);
        world.write("access.log", 2);
        world.rotate("access.log", 9);
        world.write("access.log", 2);
        world.drain();
        world.pass(70);
        assert_lost_in_a_gap(&world, &lost, written_at);
    }
}

/// A directory that is listed while its files are renamed may show one under neither name.
#[test]
fn row_03_a_file_that_one_look_has_missed_is_no_copy_of_a_younger_log() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 2);
    world.drain();
    world.rotate("access.log", 9);
    world.write("access.log", 2);
    world.rotate("access.log", 9);
    world.rename("access.log.1", "missed");
    world.poll();
    world.rename("missed", "access.log.1");
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

/// Everything that turns up beside a log without its having been cut.
#[test]
fn row_03_what_is_no_copy_of_a_cut_log_leaves_no_gap() {
    type Act = fn(&mut World);
    let acts: [(&str, Act); 9] = [
        ("a copy that is no rotated name", |world| {
            std::fs::copy(world.path("access.log"), world.path("access.log.bak")).unwrap();
            world.remove("access.log.bak");
            std::fs::copy(world.path("access.log"), world.path("copy")).unwrap();
        }),
        ("a copy of a log that goes on", |world| {
            std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
            world.write("access.log", 1);
        }),
        ("a rename", |world| world.rotate("access.log", 9)),
        ("two renames", |world| {
            world.rotate("access.log", 9);
            world.write("access.log", 2);
            world.rotate("access.log", 9);
            world.write("access.log", 2);
        }),
        ("two renames, the first one packed", |world| {
            world.rotate("access.log", 9);
            world.write("access.log", 2);
            world.rotate("access.log", 9);
            world.gzip("access.log.2");
        }),
        ("a name with a date", |world| {
            world.rename("access.log", "access.log-20991231");
            world.write("access.log", 2);
        }),
        ("two names with dates", |world| {
            world.rename("access.log", "access.log-20991231");
            world.write("access.log", 2);
            world.rename("access.log", "access.log-21000101");
            world.write("access.log", 2);
        }),
        ("a hard link", |world| {
            std::fs::hard_link(world.path("access.log"), world.path("access.log.1")).unwrap();
            world.write("access.log", 1);
        }),
        ("a file of which nobody knew an empty twin", |world| {
            world.rename("access.log.5", "access.log.6");
            world.write("access.log.6", 2);
        }),
    ];
    for (what, act) in acts {
        for (first, restart) in [(0, false), (0, true), (2, false), (2, true)] {
            // What was empty when we stopped was not written down: it cannot be told from others.
            if first == 0 && restart && (what.ends_with("packed") || what.ends_with("twin")) {
                continue;
            }
            let mut world = World::new(&["access.log*"]);
            append(&world.path("access.log.5"), b"");
            world.write("access.log.9", 1);
            append(&world.path("access.log"), b"");
            world.write("access.log", first);
            world.drain();
            if restart {
                world.stop();
            }
            println!("{what}, {first} lines, restart {restart}");
            world.write("access.log", 1);
            act(&mut world);
            world.drain();
            world.pass(70);
            world.assert_ledger();
            world.assert_gaps(&[]);
        }
    }
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

/// A power cut takes the last writes, and an editor changes a line.
#[test]
fn row_05_of_a_log_that_is_cut_in_the_middle_what_is_left_is_not_counted_twice() {
    for restart in [false, true] {
        for (left, grows) in [(30, 0), (30, 1), (30, 3), (100, 0), (100, 5)] {
            let mut world = World::new(&["access.log*"]);
            world.write("access.log", left);
            let size = std::fs::metadata(world.path("access.log")).unwrap().len();
            world.write("access.log", if left == 30 { 1 } else { 200 });
            world.drain();
            if restart {
                world.stop();
            }
            world.cut("access.log", size);
            let (new, at) = (world.written, world.now);
            world.write("access.log", grows);
            let new: Vec<u64> = (new..world.written).collect();
            world.drain();
            world.pass(70);
            world.assert_gaps(&[GapReason::Truncated]);
            world.assert_counted_or_in_a_gap(&new, at);
            // And it is read on.
            let (last, at) = (world.written, world.now.plus(std::time::Duration::from_secs(9)));
            world.write("access.log", 1);
            world.drain();
            world.assert_counted_or_in_a_gap(&[last], at);
        }
    }
}

//! Copies of logs, plain and packed: whatever is made of a file, each of its lines counts once.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;

use keydrain::engine::coverage::GapReason;

use crate::world::{Packer, World, append};

/// Names that the pattern does not match.
const AWAY: &str = "away";

fn copy(world: &World, from: &str, to: &str) {
    fs::copy(world.path(from), world.path(to)).unwrap();
}

#[test]
fn row_04_a_packed_copy_that_is_written_anew_in_place_is_not_counted_twice() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        let name = packer.name("access.log.1");
        for _ in 0..3 {
            world.write("access.log", 4);
            world.drain();
            let packed = packer.pack(&fs::read(world.path("access.log")).unwrap());
            fs::write(world.path(&name), packed).unwrap();
            world.drain();
        }
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn row_04_a_packed_copy_that_is_still_written_is_not_counted_twice() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 3000);
        world.drain();
        let packed = packer.pack(&fs::read(world.path("access.log")).unwrap());
        let name = packer.name("access.log.1");
        for end in [packed.len() / 2, packed.len()] {
            fs::write(world.path(&name), &packed[..end]).unwrap();
            world.date(&name, std::time::Duration::from_secs(5));
            world.drain();
            let held_back = world.stream_status("access.log").unreadable.is_some();
            assert_eq!(held_back, end < packed.len(), "{packer:?}: what is unclear is told");
        }
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn row_17_a_copy_is_not_taken_for_a_file_that_one_look_has_missed() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 3);
    world.drain();
    world.stop();
    copy(&world, "access.log", "access.log.2");
    world.write("access.log", 2);
    // The listing shows it under neither name.
    world.rename("access.log", AWAY);
    world.poll();
    world.rename(AWAY, "access.log.1");
    world.write("access.log", 2);
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_26_a_copy_is_not_taken_for_a_file_that_cannot_be_looked_at() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 3);
    world.drain();
    world.stop();
    copy(&world, "access.log", "access.log.2");
    world.write("access.log", 2);
    world.rename("access.log", AWAY);
    // Nobody can tell what this leads to.
    symlink("access.log.5", world.path("access.log.5")).unwrap();
    world.drain();
    assert!(world.stream_status("access.log").unreadable.is_some());
    world.remove("access.log.5");
    world.rename(AWAY, "access.log.1");
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

/// All files begin with a header that is longer than what a head is compared by.
#[test]
fn row_10_a_file_that_begins_like_one_of_which_a_copy_is_left_is_a_new_file() {
    let mut world = World::new(&["access.log*"]);
    let header = format!("# {}\n", "h".repeat(2000));
    append(&world.path("access.log"), header.as_bytes());
    world.write("access.log", 4);
    world.drain();
    copy(&world, "access.log", "access.log.2");
    world.drain();
    world.stop();
    // The copy is all that is left: what was written after it is unknown.
    let lost = world.written;
    world.write("access.log", 1);
    world.remove("access.log");
    world.drain();
    world.assert_gaps(&[GapReason::Truncated]);
    world.pass(70);
    append(&world.path("access.log.1"), header.as_bytes());
    world.write("access.log.1", 1);
    world.drain();
    world.pass(70);
    world.assert_ledger_without(&[lost]);
    world.assert_gaps(&[GapReason::Truncated]);
}

/// While a file that is gone by its name is read, nothing can be told of a copy that has changed.
#[test]
fn what_a_changed_copy_holds_is_asked_again_until_it_is_clear() {
    let mut world = World::new(&["access.log*"]);
    world.limits.poll_bytes = 1 << 10;
    world.write("access.log.1", 3);
    world.drain();
    world.pass(70);
    world.write("access.log", 60_000);
    world.poll();
    world.remove("access.log");
    // A writer comes back to the finished file.
    world.write("access.log.1", 2);
    world.drain();
    world.pass(70);
    world.assert_ledger();
}

#[test]
fn row_10_a_new_file_with_the_head_of_a_longer_one_that_was_cut_is_not_passed_over_in_silence() {
    let mut world = World::new(&["access.log*"]);
    let header = format!("# {}\n", "h".repeat(2000));
    append(&world.path("access.log"), header.as_bytes());
    world.write("access.log", 20);
    world.drain();
    world.cut("access.log", 0);
    append(&world.path("access.log"), header.as_bytes());
    world.write("access.log", 2);
    world.drain();
    world.pass(70);
    world.assert_gaps(&[GapReason::Truncated]);
    // An hour later two rotations come between two looks.
    world.pass(3600);
    world.rotate("access.log", 9);
    append(&world.path("access.log"), header.as_bytes());
    let (lost, at) = (world.written, world.now);
    world.write("access.log", 2);
    world.rotate("access.log", 9);
    append(&world.path("access.log"), header.as_bytes());
    world.write("access.log", 2);
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
}

#[test]
fn row_04_of_two_equal_files_that_are_there_at_the_first_look_one_is_counted() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log.1", 3);
    copy(&world, "access.log.1", "access.log-20261120");
    world.write("access.log", 1);
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

/// Home-made `copytruncate` (`cp a a.1; : > a`), with a tail unread at the first of two.
#[test]
fn row_04_a_copy_that_is_made_anew_over_one_within_the_grace_is_not_counted_twice() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 4);
    world.drain();
    for _ in 0..2 {
        world.write("access.log", 2);
        copy(&world, "access.log", "access.log.1");
        world.cut("access.log", 0);
        world.write("access.log", 3);
        world.drain();
    }
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[], world.now);
}

#[test]
fn row_04_a_copy_over_a_rotated_file_that_is_open_is_not_counted_twice() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log.1", 4);
    world.write("access.log", 4);
    world.poll();
    world.rotate("access.log", 5);
    world.write("access.log", 4);
    world.drain();
    copy(&world, "access.log", "access.log.1");
    world.cut("access.log", 0);
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[], world.now);
}

#[test]
fn row_04_half_a_copy_that_is_completed_and_becomes_the_log_is_read_on() {
    for restart in [false, true] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 10);
        world.drain();
        let bytes = fs::read(world.path("access.log")).unwrap();
        fs::write(world.path("access.log.1"), &bytes[..bytes.len() / 2]).unwrap();
        world.drain();
        if restart {
            world.stop();
        }
        append(&world.path("access.log.1"), &bytes[bytes.len() / 2..]);
        world.rename("access.log.1", "access.log");
        let (lost, at) = (world.written, world.now);
        world.write("access.log", 3);
        world.drain();
        world.pass(70);
        world.assert_counted_or_in_a_gap(&[lost, lost + 1, lost + 2], at);
    }
}

#[test]
fn row_04_a_packed_copy_of_the_live_log_at_the_first_look_is_not_counted_twice() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 3);
        let packed = packer.pack(&fs::read(world.path("access.log")).unwrap());
        append(&world.path(&packer.name("access.log.1")), &packed);
        world.write("access.log", 1);
        world.drain();
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

/// `cp a a.1; rm a`, and the writer keeps its file; then the daemon is started anew.
#[test]
fn row_16_a_copy_that_is_left_of_a_log_that_is_still_written_is_not_counted_twice() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 3);
    world.drain();
    let mut log = OpenOptions::new().append(true).open(world.path("access.log")).unwrap();
    copy(&world, "access.log", "access.log.1");
    world.remove("access.log");
    world.drain();
    log.write_all(world.lines(2).as_bytes()).unwrap();
    world.drain();
    world.stop();
    world.drain();
    world.pass(70);
    world.assert_ledger();
}

/// An editor, `sed -i`, or a move to another machine: the same content in another file.
#[test]
fn row_04_a_live_log_that_is_replaced_by_a_copy_of_it_is_read_on() {
    for restart in [false, true] {
        for written_on in [0, 1] {
            let mut world = World::new(&["access.log*"]);
            world.write("access.log", 30);
            world.drain();
            if restart {
                world.stop();
            }
            copy(&world, "access.log", AWAY);
            world.rename(AWAY, "access.log");
            world.write("access.log", written_on);
            world.drain();
            world.write("access.log", 1);
            world.drain();
            world.pass(70);
            world.assert_ledger();
            let gaps: &[_] = if restart { &[GapReason::Truncated] } else { &[] };
            world.assert_gaps(gaps);
        }
    }
}

/// The new log begins while the old one, which has no name any more, is still written.
#[test]
fn row_02_a_new_log_does_not_wait_for_one_that_has_no_name_and_is_still_written() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 30);
    world.drain();
    let mut old = OpenOptions::new().append(true).open(world.path("access.log")).unwrap();
    world.rename("access.log", AWAY);
    world.write("access.log", 30);
    for _ in 0..20 {
        old.write_all(world.line().as_bytes()).unwrap();
        world.poll();
    }
    world.assert_ledger();
    world.assert_gaps(&[]);
}

/// A backup is restored: the second half is written a look later.
#[test]
fn row_04_a_rotated_file_that_is_gone_and_put_back_is_not_counted_twice() {
    for restart in [false, true] {
        for name in ["access.log.1", "access.log.7"] {
            let mut world = World::new(&["access.log*"]);
            world.write("access.log", 300);
            world.drain();
            world.rotate("access.log", 9);
            world.write("access.log", 2);
            world.pass(70);
            let bytes = fs::read(world.path("access.log.1")).unwrap();
            world.remove("access.log.1");
            world.pass(70);
            if restart {
                world.stop();
            }
            for part in [&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2..]] {
                append(&world.path(name), part);
                world.date(name, std::time::Duration::from_secs(1));
                world.poll();
            }
            world.drain();
            world.pass(70);
            world.assert_ledger();
            world.assert_gaps(&[]);
        }
    }
}

/// The logs are moved to another disk, which takes longer than the grace.
#[test]
fn row_04_a_live_log_that_is_gone_and_put_back_is_read_on() {
    for (restart, written_on) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 300);
        world.drain();
        let bytes = fs::read(world.path("access.log")).unwrap();
        world.remove("access.log");
        world.pass(70);
        if restart {
            world.stop();
        }
        append(&world.path("access.log"), &bytes);
        world.write("access.log", written_on);
        world.drain();
        world.write("access.log", 1);
        world.pass(70);
        world.assert_ledger();
        assert_eq!(world.open("access.log").len(), 1);
    }
}

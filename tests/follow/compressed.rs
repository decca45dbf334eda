//! Compressed siblings: read once, wherever logrotate was when we looked.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use keydrain::engine::coverage::GapReason;

use crate::world::{Packer, World, append};

#[test]
fn row_13_compressed_siblings_are_read_at_the_first_start() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log"]);
        world.write("access.log.3", 4);
        world.pack("access.log.3", packer);
        // Two members or frames, as `cat a.gz b.gz` makes them.
        let members =
            [packer.pack(world.lines(2).as_bytes()), packer.pack(world.lines(2).as_bytes())]
                .concat();
        std::fs::write(world.path(&packer.name("access.log.2")), members).unwrap();
        world.write("access.log.1", 4);
        world.write("access.log", 4);
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[]);
        let order: Vec<u64> = world.deltas().map(|delta| delta.generation.0).collect();
        assert!(order.is_sorted(), "oldest first: {order:?}");
        world.stop();
        world.drain();
        world.assert_ledger();
    }
}

#[test]
fn row_12_a_file_that_was_compressed_while_nobody_looked_goes_on_at_its_offset() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log"]);
        world.write("access.log", 200);
        world.drain();
        world.stop();
        world.write("access.log", 100);
        world.rotate("access.log", 9);
        world.pack("access.log.1", packer);
        world.write("access.log", 5);
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[]);
        assert_eq!(world.generations().len(), 2);
    }
}

#[test]
fn a_file_that_was_compressed_after_it_was_read_is_not_read_again() {
    for packer in Packer::ALL {
        for restart in [false, true] {
            for pause in [0, 70] {
                let mut world = World::new(&["access.log*"]);
                world.write("access.log", 20);
                world.poll();
                world.rotate("access.log", 9);
                world.write("access.log", 5);
                world.pass(pause);
                if restart {
                    world.stop();
                }
                world.pack("access.log.1", packer);
                world.drain();
                world.pass(70);
                world.rotate("access.log", 9);
                world.pass(70);
                world.assert_ledger();
                world.assert_gaps(&[]);
            }
        }
    }
}

#[test]
fn the_packed_twin_of_a_file_that_is_still_there_waits() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log.1", 20);
        let packed = packer.pack(&std::fs::read(world.path("access.log.1")).unwrap());
        world.date("access.log.1", Duration::from_secs(10));
        let twin = &packer.name("access.log.1");
        for part in [&packed[..packed.len() / 2], &packed[packed.len() / 2..]] {
            append(&world.path(twin), part);
            world.date(twin, Duration::from_secs(5));
            world.drain();
            assert_eq!(world.stream_status("access.log").unreadable, None);
        }
        world.remove("access.log.1");
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn row_12_a_packed_file_beside_a_plain_one_that_it_is_not_made_of_is_read() {
    for packer in Packer::ALL {
        // Older than the plain file; as old as it, but for longer than any packer writes.
        for ago in [3700, 3600] {
            let mut world = World::new(&["access.log*"]);
            world.write("access.log.1", 2);
            world.pack("access.log.1", packer);
            world.date(&packer.name("access.log.1"), Duration::from_secs(ago));
            world.write("access.log.1", 2);
            world.date("access.log.1", Duration::from_secs(3600));
            world.write("access.log", 2);
            world.drain();
            world.pass(70);
            world.assert_ledger();
            world.assert_gaps(&[]);
        }
    }
}

#[test]
fn row_16_a_packed_file_that_grows_right_after_it_was_read_is_read_on() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        let name = packer.name("access.log.1");
        for _ in 0..3 {
            let member = packer.pack(world.lines(2).as_bytes());
            append(&world.path(&name), &member);
            world.poll();
        }
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn row_14_a_packed_file_of_which_hardly_anything_comes_out_is_no_copy_of_an_open_log() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        let packed = packer.pack(world.lines(500).as_bytes());
        for content in [&b"not packed\n"[..], &packed[..12], &packed[..packed.len() / 2]] {
            let mut world = World::new(&["access.log*"]);
            let name = packer.name("access.log.1");
            world.write("access.log", 500);
            world.drain();
            append(&world.path(&name), content);
            world.date(&name, Duration::from_secs(3600));
            world.drain();
            world.assert_ledger();
            world.assert_gaps(&[GapReason::Damaged]);
        }
    }
}

#[test]
fn a_packed_copy_that_is_kept_beside_the_plain_file_is_not_counted_twice() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log.1", 20);
        let packed = packer.pack(&std::fs::read(world.path("access.log.1")).unwrap());
        std::fs::write(world.path(&packer.name("access.log.1")), packed).unwrap();
        world.write("access.log", 2);
        for _ in 0..2 {
            world.drain();
            world.pass(70);
            world.assert_ledger();
            world.assert_gaps(&[]);
            world.stop();
        }
    }
}

#[test]
fn a_compressed_file_that_is_still_written_is_read_when_it_is_whole() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        let packed = packer.pack(world.lines(3000).as_bytes());
        let name = &packer.name("access.log.1");
        for end in [packed.len() / 2, packed.len() - 3, packed.len()] {
            std::fs::write(world.path(name), &packed[..end]).unwrap();
            world.date(name, Duration::from_secs(5));
            world.poll();
            world.poll();
            let held_back = world.stream_status("access.log").unreadable.is_some();
            assert_eq!(held_back, end < packed.len(), "at {end}: unread bytes are told");
        }
        world.assert_ledger();
        world.assert_gaps(&[]);
        assert_eq!(world.open("access.log").len(), 0);
    }
}

#[test]
fn row_14_of_a_cut_compressed_file_the_lines_before_the_cut_count_and_a_gap_is_left() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        let packed = packer.pack(world.lines(3000).as_bytes());
        std::fs::write(world.path(&packer.name("access.log.1")), &packed[..packed.len() / 2])
            .unwrap();
        world.drain();
        world.assert_gaps(&[GapReason::Damaged]);
        assert!(world.lines > 0 && world.lines < 3000);
        assert_eq!(world.rejects, 0);
        assert_eq!(world.open("access.log").len(), 0);
        let counted: Vec<u64> = (world.lines..3000).collect();
        world.assert_ledger_without(&counted);
    }
}

#[test]
fn row_15_a_compressed_file_larger_than_allowed_is_given_up() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        world.limits.max_unpacked = 4 << 20;
        let bomb = packer.pack(&vec![b'x'; 64 << 20]);
        std::fs::write(world.path(&packer.name("access.log.1")), bomb).unwrap();
        world.write("access.log", 3);
        world.drain();
        world.assert_gaps(&[GapReason::Damaged]);
        world.assert_ledger();
        let end = world.deltas().map(|delta| delta.range.to).max().unwrap();
        assert!(end < 8 << 20, "{end}");
    }
}

#[test]
fn a_large_compressed_file_is_resumed_in_its_middle() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        world.limits.poll_bytes = 1 << 20;
        let text = world.lines(40_000);
        std::fs::write(world.path(&packer.name("access.log.1")), packer.pack(text.as_bytes()))
            .unwrap();
        for _ in 0..3 {
            assert!(world.poll().more);
            let status = world.stream_status("access.log");
            assert!(status.backlog > 1, "packed bytes are left: {}", status.backlog);
            assert_eq!(status.ends, [], "its end is not known yet");
            world.stop();
        }
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

#[test]
fn other_compressions_are_refused_by_name() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 1);
    append(&world.path("access.log.1.xz"), b"whatever");
    world.drain();
    let path = world.path("access.log.1.xz").display().to_string();
    let reason = "xz compression is not supported by this version".to_owned();
    assert_eq!(world.status().refused, [(path, reason)]);
    world.assert_ledger();
}

#[test]
fn row_12_what_is_written_to_a_file_that_is_packed_already_is_counted_and_the_rest_not_again() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 3);
        world.drain();
        let mut writer = OpenOptions::new().append(true).open(world.path("access.log")).unwrap();
        world.rotate("access.log", 9);
        world.pack("access.log.1", packer);
        let late = world.lines(2);
        writer.write_all(late.as_bytes()).unwrap();
        world.drain();
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
    }
}

/// A name may say nothing, or what is not so.
#[test]
fn row_12_a_packed_file_is_known_by_its_first_bytes_whatever_it_is_called() {
    let names = [
        "access.log.1",
        "access.log-20991125",
        "access.log.2.gz",
        "access.log.1.gz-20991125.backup",
    ];
    for packer in Packer::ALL {
        for name in names {
            let mut world = World::new(&["access.log*"]);
            let packed = packer.pack(world.lines(300).as_bytes());
            std::fs::write(world.path(name), &packed).unwrap();
            world.write("access.log", 4);
            world.drain();
            world.assert_ledger();
            assert_eq!(world.rejects, 0, "{packer:?} as {name}");
            world.stop();
            world.rename(name, "access.log.7");
            world.drain();
            world.pass(70);
            world.assert_ledger();
            world.assert_gaps(&[]);
        }
    }
}

#[test]
fn row_12_a_file_that_was_packed_under_a_plain_name_goes_on_at_its_offset() {
    for packer in Packer::ALL {
        for restart in [false, true] {
            let mut world = World::new(&["access.log*"]);
            world.write("access.log", 200);
            world.drain();
            if restart {
                world.stop();
            }
            world.write("access.log", 100);
            world.rotate("access.log", 9);
            world.pack("access.log.1", packer);
            world.rename(&packer.name("access.log.1"), "access.log.1");
            world.write("access.log", 5);
            world.drain();
            world.pass(70);
            world.assert_ledger();
            world.assert_gaps(&[]);
            assert_eq!(world.rejects, 0);
        }
    }
}

/// What was empty when it was opened may turn out to be packed, and to be plain again.
#[test]
fn row_12_a_log_whose_content_turns_packed_and_plain_again_is_read_as_what_it_is() {
    for packer in Packer::ALL {
        let mut world = World::new(&["access.log*"]);
        append(&world.path("access.log"), b"");
        world.drain();
        let packed = packer.pack(world.lines(300).as_bytes());
        for byte in &packed[..4] {
            append(&world.path("access.log"), &[*byte]);
            world.poll();
        }
        append(&world.path("access.log"), &packed[4..]);
        world.drain();
        world.assert_ledger();
        // A second member, as a server writes that packs its log itself.
        let member = packer.pack(world.lines(2).as_bytes());
        append(&world.path("access.log"), &member);
        world.drain();
        world.assert_ledger();
        world.assert_gaps(&[]);
        world.stop();
        let text = world.lines(500);
        std::fs::write(world.path("access.log"), text).unwrap();
        world.drain();
        world.assert_ledger();
        assert_eq!(world.rejects, 0);
        world.assert_gaps(&[GapReason::Truncated]);
    }
}

/// Neither is text, whatever the name: what they hold is unknown.
#[test]
fn row_14_a_file_that_is_packed_in_an_unknown_way_or_damaged_at_its_beginning_is_a_gap() {
    let xz = b"\xfd7zXZ\0whatever\n".to_vec();
    for (name, content) in [("access.log.1", xz), ("access.log.1.gz", b"no gzip\n".to_vec())] {
        let mut world = World::new(&["access.log*"]);
        world.write("access.log", 3);
        std::fs::write(world.path(name), content).unwrap();
        world.drain();
        world.pass(70);
        world.assert_ledger();
        assert_eq!((world.lines, world.rejects), (3, 0), "{name}");
        world.assert_gaps(&[GapReason::Damaged]);
        assert_eq!(world.stream_status("access.log").unreadable, None);
    }
}

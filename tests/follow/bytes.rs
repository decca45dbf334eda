//! Each byte of a generation is read, skipped for a reason, or unknown. `World` checks the law after
//! every report of every test; here are the numbers.

use keydrain::engine::coverage::GapReason;

use crate::world::{World, append};

fn size(world: &World, name: &str) -> u64 {
    std::fs::metadata(world.path(name)).unwrap().len()
}

#[test]
fn invariant_5_the_bytes_of_each_generation_are_those_that_were_written() {
    let mut world = World::new(&["access.log*"]);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        world.write("access.log", 20);
        world.drain();
        sizes.push(size(&world, "access.log"));
        world.rotate("access.log", 5);
        world.drain();
    }
    world.write("access.log", 1);
    sizes.push(size(&world, "access.log"));
    world.pass(120);
    let found: Vec<_> = world.bytes("access.log").iter().map(|one| (one.known, one.read)).collect();
    assert_eq!(found, sizes.iter().map(|size| (*size, *size)).collect::<Vec<_>>());
}

#[test]
fn half_a_line_waits_and_is_known() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 2);
    let whole = size(&world, "access.log");
    append(&world.path("access.log"), b"half a line");
    world.drain();
    let bytes = world.bytes("access.log")[0];
    assert_eq!((bytes.known, bytes.read, bytes.waiting()), (whole + 11, whole, 11));
}

#[test]
fn the_rest_of_an_overlong_line_is_told_from_a_run_of_nul() {
    let mut world = World::new(&["access.log"]);
    append(&world.path("access.log"), &vec![b'x'; 3 << 20]);
    append(&world.path("access.log"), b"\n");
    world.write("access.log", 1);
    append(&world.path("access.log"), &[0; 5000]);
    world.write("access.log", 1);
    world.drain();
    let bytes = world.bytes("access.log")[0];
    assert_eq!(bytes.nul_run, 5000);
    assert!(bytes.overlong > 1 << 20, "{bytes:?}");
    assert_eq!(bytes.known, size(&world, "access.log"));
    assert_eq!(bytes.read + bytes.overlong + bytes.nul_run, bytes.known);
}

#[test]
fn row_18_the_unread_tail_of_a_file_that_was_pruned_is_unknown() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 3);
    let whole = size(&world, "access.log");
    append(&world.path("access.log"), b"half a line that is seen");
    world.drain();
    world.stop();
    world.remove("access.log");
    world.write("access.log", 1);
    world.drain();
    world.assert_gaps(&[GapReason::Vanished]);
    let bytes = world.bytes("access.log");
    assert_eq!((bytes[0].known, bytes[0].read), (whole + 24, whole));
    assert_eq!((bytes[0].tail, bytes[0].waiting()), (24, 0));
    assert_eq!(world.evidence.record.bytes_unknown, 24);
}

#[test]
fn an_unread_rest_that_is_cut_off_is_unknown() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 3);
    let whole = size(&world, "access.log");
    append(&world.path("access.log"), b"half a line");
    world.drain();
    world.cut("access.log", whole);
    world.drain();
    world.assert_gaps(&[GapReason::Truncated]);
    world.write("access.log", 1);
    world.drain();
    let bytes = world.bytes("access.log")[0];
    let end = size(&world, "access.log");
    assert_eq!((bytes.known, bytes.read, bytes.unknown()), (end + 11, end, 11));
}

#[test]
fn a_copy_of_the_live_file_is_skipped_as_a_copy() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 4);
    world.drain();
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    world.drain();
    let copied: u64 = world.bytes("access.log").iter().map(|one| one.copied).sum();
    assert_eq!(copied, size(&world, "access.log"));
    world.assert_ledger();
}

#[test]
fn finished_generations_whose_files_are_gone_are_forgotten_beyond_a_bound() {
    let mut world = World::new(&["access.log*"]);
    world.limits.max_finished = 3;
    for _ in 0..8 {
        world.write("access.log", 2);
        world.drain();
        world.rotate("access.log", 1);
        world.pass(90);
    }
    world.write("access.log", 1);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
    // Three finished ones, the last of them still there, and the live one.
    assert_eq!(world.generations().len(), 4);
    let name = world.generations()[0].stream.clone();
    let forgotten = *world.evidence.generations.forgotten(&name).unwrap();
    assert_eq!(forgotten.generations, 5);
    assert_eq!(world.evidence.generations.sum().read, world.evidence.record.bytes_read);
    // A start goes on without them.
    world.stop();
    world.write("access.log", 1);
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn a_generation_whose_file_exists_is_never_forgotten() {
    let mut world = World::new(&["access.log*"]);
    world.limits.max_finished = 1;
    for _ in 0..5 {
        world.write("access.log", 2);
        world.drain();
        world.rotate("access.log", 9);
        world.pass(90);
    }
    world.stop();
    world.drain();
    world.assert_ledger();
    assert_eq!(world.generations().len(), 6);
}

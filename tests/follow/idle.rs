//! `silence = "idle"`: a confirmed end of a live file proves that nothing happened.

use keydrain::engine::usage::UsageDelta;

use crate::world::{World, append};

fn proofs(world: &World) -> Vec<&UsageDelta> {
    world.deltas().filter(|delta| delta.range.from == delta.range.to).collect()
}

#[test]
fn a_live_file_read_to_its_end_moves_the_frontier_to_now() {
    let mut world = World::new(&["access.log"]);
    world.idle_is_proof = true;
    world.write("access.log", 1);
    world.pass(3);
    let last = *proofs(&world).last().unwrap();
    assert_eq!((last.frontier, last.frontier_assumed), (Some(world.now), true));
    assert_eq!(proofs(&world).len(), 3);
    // A line rests on itself again.
    world.now = world.now.plus(std::time::Duration::from_secs(2));
    world.write("access.log", 1);
    world.poll();
    let line = world.deltas().filter(|delta| !delta.lines.is_empty()).last().unwrap();
    assert!(!line.frontier_assumed);
}

#[test]
fn without_the_declaration_silence_proves_nothing() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 1);
    world.pass(3);
    assert_eq!(proofs(&world).len(), 0);
}

#[test]
fn a_half_line_proves_nothing() {
    let mut world = World::new(&["access.log"]);
    world.idle_is_proof = true;
    world.write("access.log", 1);
    append(&world.path("access.log"), b"192.0.2.1 - ");
    world.pass(3);
    assert_eq!(proofs(&world).len(), 0);
}

#[test]
fn a_file_that_is_gone_or_renamed_proves_nothing() {
    let mut world = World::new(&["access.log"]);
    world.idle_is_proof = true;
    world.write("access.log", 1);
    world.poll();
    world.rename("access.log", "access.log.1");
    world.reports.clear();
    world.pass(3);
    assert_eq!(proofs(&world).len(), 0);
}

#[test]
fn a_backlog_proves_nothing_until_it_is_read() {
    let mut world = World::new(&["access.log"]);
    world.idle_is_proof = true;
    world.limits.poll_bytes = 1 << 20;
    world.write("access.log", 40_000);
    while world.poll().more {
        assert_eq!(proofs(&world).len(), 0);
    }
    world.poll();
    assert!(!proofs(&world).is_empty());
    world.assert_ledger();
}

#[test]
fn an_older_file_that_is_not_read_yet_proves_nothing() {
    let mut world = World::new(&["access.log"]);
    world.idle_is_proof = true;
    world.limits.max_open_files = 1;
    world.write("access.log", 1);
    world.poll();
    world.reports.clear();
    world.write("access.log.1", 1);
    world.pass(3);
    assert_eq!(proofs(&world).len(), 0);
}

//! Lines that nobody understands: they wait for the next line of their own file, over stops.

use std::time::Duration;

use keydrain::engine::time::Timestamp;

use crate::world::{KEY, World, append};

/// A log of an hour ago: a line, a reject with the key, and after a minute what `after` appends.
/// Each is read with a stop after it. Returns the event time of the last line, too.
fn an_old_log(after: impl Fn(&mut World)) -> (World, Timestamp) {
    let mut world = World::new(&["access.log*"]);
    let read_at = world.now.plus(Duration::from_hours(1));
    world.write("access.log", 1);
    append(&world.path("access.log"), format!("{KEY} is no access log\n").as_bytes());
    let next_at = world.now.plus(Duration::from_mins(1));
    world.now = read_at;
    world.poll();
    world.stop();
    assert_eq!((world.lines, world.rejects, world.rejected_keys()), (2, 1, 1));
    world.now = next_at;
    after(&mut world);
    world.now = read_at;
    world.drain();
    world.stop();
    world.drain();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects, world.rejected_keys()), (3, 1, 1));
    (world, next_at)
}

#[test]
fn a_reject_waits_over_a_stop_for_the_next_line_that_tells_when_it_was_written() {
    let (world, next_at) = an_old_log(|world| world.write("access.log", 1));
    let found: Vec<Timestamp> =
        world.deltas().flat_map(|delta| &delta.rejected_keys).map(|found| found.at).collect();
    let written_by = next_at.plus(Duration::from_secs(30));
    assert_eq!(found, [written_by]);
    let counted = world.deltas().flat_map(|delta| &delta.lines).filter(|count| count.rejects > 0);
    let counted: Vec<_> = counted.map(|count| (count.minute, count.rejects)).collect();
    assert_eq!(counted, [(written_by.minute(), 1)]);
    assert!(world.generations().iter().all(|record| record.open_rejects.is_empty()));
}

#[test]
fn a_line_of_the_next_file_does_not_tell_when_a_reject_of_the_last_one_was_written() {
    let (world, _) = an_old_log(|world| {
        world.rotate("access.log", 9);
        world.write("access.log", 1);
    });
    assert!(world.deltas().all(|delta| delta.rejected_keys.is_empty()));
    let open: Vec<_> = world.generations().iter().map(|record| record.open_rejects.count).collect();
    assert_eq!(open, [1, 0]);
    let read_at = world.deltas().next().expect("a delta").arrival;
    assert_eq!(world.generations()[0].open_rejects.at, Some(read_at));
}

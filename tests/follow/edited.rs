//! Logs that somebody edits, in place or by putting a new file in the place of the old one: what was
//! counted is not counted again, and a gap speaks of the rest.

use std::fs;

use keydrain::engine::coverage::GapReason;
use keydrain::engine::time::Timestamp;

use crate::world::{World, append};

/// How a file is edited.
#[derive(Clone, Copy, Debug)]
enum Edit {
    /// Its last lines are taken away: a power cut does so, too.
    Cut,
    /// A line is taken away in the middle.
    Shorter,
    /// A line in the middle gets longer.
    Longer,
}

impl Edit {
    const ALL: [Self; 3] = [Self::Cut, Self::Shorter, Self::Longer];

    fn of(self, text: &str) -> String {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (before, from) = lines.split_at(lines.len() / 2);
        match self {
            Self::Cut => before.concat(),
            Self::Shorter => [before.concat(), from[1..].concat()].concat(),
            Self::Longer => {
                [before.concat(), from.concat().replacen("\"-\"", "\"edited\"", 1)].concat()
            }
        }
    }
}

/// Edits a file, in place or as `sed -i` does.
fn edit(world: &World, name: &str, edit: Edit, in_place: bool) {
    let text = fs::read_to_string(world.path(name)).unwrap();
    let edited = edit.of(&text);
    assert_ne!(edited, text);
    if in_place {
        fs::write(world.path(name), edited).unwrap();
    } else {
        append(&world.path("away"), edited.as_bytes());
        world.rename("away", name);
    }
}

/// Checks that a line that comes now is read, and that no line was counted twice.
#[track_caller]
fn assert_read_on(world: &mut World) {
    let (last, at): (u64, Timestamp) = (world.written, world.now);
    world.write("access.log", 1);
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[last], at);
    assert!(world.counted.contains_key(&format!("u{last}")));
}

/// Checks that there is one gap; of a copy of what was read there need not be one.
#[track_caller]
fn assert_one_gap(world: &World, how: Edit) {
    if !(world.gaps.is_empty() && matches!(how, Edit::Cut)) {
        world.assert_gaps(&[GapReason::Truncated]);
    }
}

#[test]
fn row_05_of_a_rotated_log_that_is_edited_no_line_counts_twice() {
    // Within the grace, and after it.
    for (wait, restart) in [(2, false), (2, true), (70, false), (70, true)] {
        for (how, in_place) in Edit::ALL.into_iter().flat_map(|how| [(how, false), (how, true)]) {
            let mut world = World::new(&["access.log*"]);
            world.write("access.log", 300);
            world.drain();
            world.rotate("access.log", 9);
            world.write("access.log", 1);
            world.pass(wait);
            if restart {
                world.stop();
            }
            edit(&world, "access.log.1", how, in_place);
            world.drain();
            world.pass(70);
            println!("{how:?} in place: {in_place}, waits {wait}, restart {restart}");
            assert_read_on(&mut world);
            assert_one_gap(&world, how);
        }
    }
}

#[test]
fn row_05_of_a_live_log_that_is_edited_into_a_new_file_no_line_counts_twice() {
    for restart in [false, true] {
        for how in Edit::ALL {
            let mut world = World::new(&["access.log*"]);
            world.write("access.log", 300);
            world.drain();
            if restart {
                world.stop();
            }
            edit(&world, "access.log", how, false);
            world.drain();
            println!("{how:?}, restart {restart}");
            assert_read_on(&mut world);
            assert_one_gap(&world, how);
        }
    }
}

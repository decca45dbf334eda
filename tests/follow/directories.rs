//! Directories that go and come, with the files in them.

use std::fs;

use crate::world::World;

#[test]
fn row_18_a_directory_is_not_seen_while_an_empty_one_is_in_its_place() {
    let mut world = World::new(&["logs/access.log*"]);
    fs::create_dir(world.path("logs")).unwrap();
    world.write("logs/access.log", 2);
    world.drain();
    world.rename("logs", "disk");
    fs::create_dir(world.path("logs")).unwrap();
    world.pass(600);
    world.rotate("disk/access.log", 1);
    let (lost, at) = (world.written, world.now);
    world.write("disk/access.log", 2);
    world.pass(600);
    world.rotate("disk/access.log", 1);
    world.rotate("disk/access.log", 1);
    world.write("disk/access.log", 2);
    world.pass(600);
    fs::remove_dir(world.path("logs")).unwrap();
    world.rename("disk", "logs");
    world.drain();
    world.pass(70);
    world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
}

#[test]
fn row_16_a_directory_that_is_removed_and_made_anew_under_steady_looks_leaves_no_gap() {
    let mut world = World::new(&["logs/access.log*"]);
    fs::create_dir(world.path("logs")).unwrap();
    world.write("logs/access.log", 2);
    world.drain();
    fs::remove_dir_all(world.path("logs")).unwrap();
    world.pass(100);
    fs::create_dir(world.path("logs")).unwrap();
    world.write("logs/access.log", 2);
    world.drain();
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn row_18_a_directory_that_is_removed_while_the_daemon_is_down_leaves_a_gap() {
    let mut world = World::new(&["*/access.log"]);
    for dir in ["pod1", "pod2"] {
        fs::create_dir(world.path(dir)).unwrap();
        world.write(&format!("{dir}/access.log"), 2);
    }
    world.drain();
    world.stop();
    let (lost, at) = (world.written, world.now);
    world.write("pod1/access.log", 2);
    fs::remove_dir_all(world.path("pod1")).unwrap();
    world.drain();
    world.pass(100);
    world.assert_counted_or_in_a_gap(&[lost, lost + 1], at);
}

#[test]
fn row_16_the_files_of_a_directory_that_is_removed_are_read_to_their_end_and_closed() {
    let mut world = World::new(&["*/access.log"]);
    for dir in ["pod1", "pod2"] {
        fs::create_dir(world.path(dir)).unwrap();
        world.write(&format!("{dir}/access.log"), 2);
    }
    world.drain();
    fs::remove_dir_all(world.path("pod1")).unwrap();
    world.drain();
    world.pass(100);
    assert_eq!(world.open("pod1/access.log").len(), 0);
    world.assert_gaps(&[]);
}

//! Real file systems on which a file is not surely known: told, and read all the same.
//!
//! What this machine or user cannot mount is passed over, and said.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use keydrain::engine::coverage::Basis;

use crate::mounted::{LAYERS, mounted};
use crate::world::{World, append};

const MEMORY: &str = "mount -t ramfs ramfs mounted";
/// A program that shows another directory as it is, by FUSE.
const SERVED: &str = "mkdir -p real && bindfs real mounted";
/// The same, by a program whose id is in a file.
const SERVED_BY: &str = "mkdir -p real && { bindfs -f -o attr_timeout=0 real mounted & echo $! > program; } && \
                         while ! grep -q \" $PWD/mounted fuse\" /proc/self/mounts; do \
                         kill -0 $(cat program) || exit 1; sleep 0.01; done";
/// A program that numbers files in the order in which they are looked up.
const NUMBERED: &str = "mkdir -p real && unionfs real=RW mounted";

/// Checks that the file system was told and lowers what the watermark rests on.
fn assert_told(world: &mut World, name: &str, weakness: &str) {
    let weak = &world.status().weak;
    assert_eq!(weak.len(), 1, "{weak:?}");
    assert_eq!((weak[0].name.as_str(), weak[0].weakness.as_str()), (name, weakness));
    assert!(Path::new(&weak[0].path).starts_with(world.path("")), "{weak:?}");
    assert_eq!(world.basis(), Basis::Assumed);
}

/// Writes, rotates and restarts; no line may be lost or counted twice.
fn follow_over_rotations(world: &mut World) {
    world.write("access.log", 3);
    world.drain();
    for restart in [false, true, true] {
        world.write("access.log", 2);
        world.rotate("access.log", 4);
        world.write("access.log", 2);
        if restart {
            world.stop();
        }
        world.drain();
        world.assert_ledger();
    }
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
}

#[test]
fn a_local_disk_is_no_weak_file_system() {
    let mut world = World::new(&["access.log*"]);
    follow_over_rotations(&mut world);
    assert_eq!(world.status().weak, []);
    assert_eq!(world.basis(), Basis::Proved);
}

#[test]
fn a_layered_file_system_is_told_and_read() {
    let test = "weak::a_layered_file_system_is_told_and_read";
    if let Some(place) = mounted(LAYERS, test) {
        let mut world = World::new_in(&place, &["access.log*"]);
        follow_over_rotations(&mut world);
        assert_told(&mut world, "overlay", "layered");
    }
}

#[test]
fn a_file_that_moves_to_the_upper_layer_stays_the_same() {
    let test = "weak::a_file_that_moves_to_the_upper_layer_stays_the_same";
    let Some(mount) = mounted(LAYERS, test) else { return };
    for (directory, restart) in [("a", false), ("b", true)] {
        let pattern = format!("../{directory}/access.log*");
        let mut world = World::new_in(&mount, &[&pattern]);
        std::fs::create_dir(mount.join("../lower").join(directory)).unwrap();
        let log = Path::new(directory).join("access.log");
        beside(&mount, "umount mounted");
        append(&mount.join("../lower").join(&log), world.lines(2).as_bytes());
        let options = "lowerdir=lower,upperdir=upper,workdir=work";
        beside(&mount, &format!("mount -t overlay overlay -o {options} mounted"));
        world.drain();
        world.assert_ledger();
        for _ in 0..3 {
            if restart {
                world.stop();
            }
            append(&mount.join(&log), world.lines(2).as_bytes());
            world.drain();
            world.assert_ledger();
        }
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
        world.stop();
        world.drain();
        world.assert_ledger();
    }
}

#[test]
fn a_file_system_that_knows_inode_numbers_alone_is_told_and_read() {
    let test = "weak::a_file_system_that_knows_inode_numbers_alone_is_told_and_read";
    if let Some(place) = mounted(MEMORY, test) {
        let mut world = World::new_in(&place, &["access.log*"]);
        follow_over_rotations(&mut world);
        assert_told(&mut world, "ramfs", "nameless");
    }
}

/// Runs a shell command beside the mount.
fn beside(mount: &Path, script: &str) {
    let place = mount.parent().unwrap();
    let ran = Command::new("sh").args(["-c", script]).current_dir(place).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn a_served_file_system_is_told_and_read_over_a_mount_that_gives_other_handles() {
    let test = "weak::a_served_file_system_is_told_and_read_over_a_mount_that_gives_other_handles";
    if let Some(mount) = mounted(SERVED, test) {
        let mut world = World::new_in(&mount, &["access.log*"]);
        world.write("access.log.1", 2);
        follow_over_rotations(&mut world);
        world.stop();
        let find = "find mounted -name access.log.2 -ls";
        beside(&mount, &format!("umount mounted && bindfs real mounted && {find}"));
        follow_over_rotations(&mut world);
        assert_told(&mut world, "fuse", "served");
    }
}

#[test]
fn files_that_get_the_inode_numbers_of_one_another_are_known_by_their_content() {
    let test = "weak::files_that_get_the_inode_numbers_of_one_another_are_known_by_their_content";
    if let Some(mount) = mounted(MEMORY, test) {
        let mut world = World::new_in(&mount, &["access.log*"]);
        follow_over_rotations(&mut world);
        for (one, other) in [("", ".1"), (".1", ".2"), ("", ".2")] {
            world.stop();
            let [one, other] = [one, other].map(|end| world.path(&format!("access.log{end}")));
            let [content, other_content] = [&one, &other].map(|path| std::fs::read(path).unwrap());
            let aside = world.path("aside");
            for (from, to) in [(&one, &aside), (&other, &one), (&aside, &other)] {
                std::fs::rename(from, to).unwrap();
            }
            std::fs::write(&one, content).unwrap();
            std::fs::write(&other, other_content).unwrap();
            follow_over_rotations(&mut world);
        }
    }
}

#[test]
fn files_that_a_program_numbers_anew_at_each_mount_are_known_by_their_content() {
    let test = "weak::files_that_a_program_numbers_anew_at_each_mount_are_known_by_their_content";
    if let Some(mount) = mounted(NUMBERED, test) {
        let mut world = World::new_in(&mount, &["access.log*"]);
        follow_over_rotations(&mut world);
        for first in ["access.log.2", "access.log.1", "access.log.3"] {
            world.stop();
            let find = format!("find mounted -name {first} -ls");
            beside(&mount, &format!("umount mounted && unionfs real=RW mounted && {find}"));
            follow_over_rotations(&mut world);
        }
        assert_told(&mut world, "fuse", "served");
    }
}

#[test]
fn the_end_of_a_file_that_is_served_from_elsewhere_proves_no_idleness() {
    let test = "weak::the_end_of_a_file_that_is_served_from_elsewhere_proves_no_idleness";
    if let Some(mount) = mounted(SERVED, test) {
        let mut world = World::new_in(&mount, &["access.log"]);
        world.idle_is_proof = true;
        world.write("access.log", 1);
        world.pass(3);
        world.assert_ledger();
        assert!(world.deltas().all(|delta| !delta.frontier_assumed));
    }
}

#[test]
fn a_program_that_serves_the_log_may_die_and_come_back() {
    let test = "weak::a_program_that_serves_the_log_may_die_and_come_back";
    if let Some(mount) = mounted(SERVED_BY, test) {
        let mut world = World::new_in(&mount, &["access.log*"]);
        follow_over_rotations(&mut world);
        beside(
            &mount,
            "kill -KILL $(cat program); for i in $(seq 500); do ls mounted || exit 0; sleep 0.01; done; exit 1",
        );
        world.pass(3);
        assert!(!world.status().unreadable.is_empty());
        beside(&mount, "umount -l mounted; bindfs real mounted");
        follow_over_rotations(&mut world);
        assert!(world.status().unreadable.is_empty());
    }
}

/// Two mounts of a program that numbers its files in the order in which they are looked up.
#[test]
fn two_mounts_with_the_same_inode_numbers_are_told_apart() {
    let mount = "mkdir -p mounted/a mounted/b real-a real-b && unionfs real-a=RW mounted/a && \
                 unionfs real-b=RW mounted/b";
    let Some(place) = mounted(mount, "weak::two_mounts_with_the_same_inode_numbers_are_told_apart")
    else {
        return;
    };
    let mut world = World::new(&[&format!("{}/*/access.log", place.display())]);
    for _ in 0..2 {
        for name in ["a/access.log", "b/access.log"] {
            append(&place.join(name), world.lines(2).as_bytes());
        }
        world.drain();
        world.pass(5);
    }
    let inode = |name: &str| std::fs::metadata(place.join(name)).unwrap().ino();
    assert_eq!(inode("a/access.log"), inode("b/access.log"), "or this tests nothing");
    world.pass(70);
    world.assert_ledger();
}

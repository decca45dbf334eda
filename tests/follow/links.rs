//! Links that lead out of the pattern's directory, as Kubernetes makes them.
//!
//! ```text
//! containers/web.log -> ../pods/web/0.log -> ../../docker/ID/ID-json.log
//! ```
//!
//! The kubelet renames the target and packs it beside the new one, and links are swapped.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::{World, append, gzip};

/// A world that reads the links in `containers`, which may lead to `pods` and `docker`.
fn cluster() -> World {
    let mut world = World::new(&["containers/*.log"]);
    for directory in ["containers", "pods/web", "docker/1f", "elsewhere"] {
        std::fs::create_dir_all(world.path(directory)).unwrap();
    }
    world.link_roots = vec![world.path("pods"), world.path("docker")];
    symlink("../pods/web/0.log", world.path("containers/web.log")).unwrap();
    world
}

/// Makes the link at `at` lead to `target`, in one step.
fn swap(directory: &Path, at: &str, target: &str) {
    symlink(target, directory.join("next")).unwrap();
    std::fs::rename(directory.join("next"), directory.join(at)).unwrap();
}

/// The name that the kubelet gives the log at its `n`-th rotation.
fn rotated(n: usize) -> String {
    format!("0.log.20251126-{n:06}")
}

/// Does what the kubelet does: renames the log and lets a new one be made.
fn rotate_container_log(pod: &Path, n: usize) {
    std::fs::rename(pod.join("0.log"), pod.join(rotated(n))).unwrap();
    std::fs::File::create(pod.join("0.log")).unwrap();
}

/// Does what the kubelet does with all but the newest rotated log: packs it beside.
fn pack_container_log(pod: &Path, n: usize) {
    let name = |ending: &str| pod.join(rotated(n) + ending);
    std::fs::write(name(".tmp"), gzip(&std::fs::read(name("")).unwrap())).unwrap();
    std::fs::rename(name(".tmp"), name(".gz")).unwrap();
    std::fs::remove_file(name("")).unwrap();
}

#[test]
fn row_24_a_link_into_a_link_root_is_followed_and_any_other_is_refused() {
    let mut world = cluster();
    world.write("docker/1f/1f-json.log", 2);
    symlink("../../docker/1f/1f-json.log", world.path("pods/web/0.log")).unwrap();
    symlink("/etc/shadow", world.path("containers/shadow.log")).unwrap();
    append(&world.path("elsewhere/secret"), b"not a log\n");
    symlink("../../elsewhere/secret", world.path("pods/web/1.log")).unwrap();
    symlink("../pods/web/1.log", world.path("containers/evil.log")).unwrap();
    symlink("../pods/web", world.path("containers/web.d.log")).unwrap();
    world.drain();
    world.assert_ledger();
    assert_eq!((world.lines, world.rejects), (2, 0));
    let refused: Vec<(&str, &str)> = (world.status().refused.iter())
        .map(|(path, why)| (path.rsplit('/').next().unwrap(), why.as_str()))
        .collect();
    let leaves = "symbolic link that leaves the pattern's directory";
    let expected = [("evil.log", leaves), ("shadow.log", leaves), ("web.d.log", "a directory")];
    assert_eq!(refused, expected);
    // A link that turns to the outside later is refused then.
    swap(&world.path("containers"), "web.log", "/etc/shadow");
    world.drain();
    assert_eq!(world.status().refused.len(), 4);
    assert_eq!((world.lines, world.rejects), (2, 0));
}

#[test]
fn row_24_without_link_roots_a_container_log_is_refused() {
    let mut world = cluster();
    world.link_roots = Vec::new();
    world.write("pods/web/0.log", 2);
    world.drain();
    assert_eq!(world.lines, 0);
    assert_eq!(world.status().refused.len(), 1);
    assert_eq!(world.status().absent.len(), 1);
}

#[test]
fn row_24_a_link_root_that_is_a_link_itself_or_the_root_directory() {
    let mut world = cluster();
    world.rename("pods", "data");
    symlink("data", world.path("pods")).unwrap();
    world.write("pods/web/0.log", 2);
    world.drain();
    world.assert_ledger();
    symlink("/", world.path("all")).unwrap();
    symlink("/etc/shadow", world.path("containers/shadow.log")).unwrap();
    world.link_roots.push(world.path("all"));
    world.stop();
    world.drain();
    assert_eq!(world.status().refused.len(), 1);
    world.assert_ledger();
}

#[test]
fn row_24_a_rotated_container_log_is_drained_beside_its_link_over_restarts() {
    for restart in [false, true] {
        let mut world = cluster();
        world.write("pods/web/0.log", 2);
        world.drain();
        for n in 1..=6 {
            // Twice between two looks, with lines in each file.
            for rotation in [2 * n - 1, 2 * n] {
                world.write("pods/web/0.log", 2);
                rotate_container_log(&world.path("pods/web"), rotation);
                if rotation > 2 {
                    pack_container_log(&world.path("pods/web"), rotation - 2);
                }
                world.write("pods/web/0.log", 1);
            }
            swap(&world.path("containers"), "web.log", "../pods/web/0.log");
            if restart {
                world.stop();
            }
            world.drain();
            world.assert_ledger();
        }
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
        assert_eq!(world.status().streams.len(), 1);
        assert_eq!(world.open("containers/web.log").len(), 1);
    }
}

#[test]
fn row_24_a_link_whose_target_was_taken_away_shows_the_rotated_files_all_the_same() {
    for restart in [false, true] {
        let mut world = cluster();
        world.write("pods/web/0.log", 2);
        symlink("../../elsewhere/0.log", world.path("pods/web/other.log")).unwrap();
        append(&world.path("elsewhere/0.log.1"), b"not a log\n");
        symlink("../pods/web/other.log", world.path("containers/other.log")).unwrap();
        world.drain();
        world.write("pods/web/0.log", 2);
        world.rename("pods/web/0.log", &format!("pods/web/{}", rotated(1)));
        if restart {
            world.stop();
        }
        world.pass(70);
        world.assert_ledger();
        world.assert_gaps(&[]);
        assert_eq!(world.rejects, 0);
        assert!(!world.stream_status("containers/web.log").live);
    }
}

#[test]
fn row_24_container_logs_that_rotate_in_a_loop_while_they_are_read_are_counted_once() {
    let mut world = cluster();
    world.write("pods/web/0.log", 1);
    let rounds: Vec<(String, String)> =
        (0..300).map(|_| (world.lines(3), world.lines(2))).collect();
    let (pod, containers) = (world.path("pods/web"), world.path("containers"));
    let writer = std::thread::spawn(move || {
        for (n, (before, after)) in rounds.into_iter().enumerate() {
            append(&pod.join("0.log"), before.as_bytes());
            std::fs::rename(pod.join("0.log"), pod.join(rotated(n + 1))).unwrap();
            // Whole at once: the time of a file moves before its size, so one whose first line is
            // just written can look like one that was cut.
            append(&pod.join("new"), after.as_bytes());
            std::fs::rename(pod.join("new"), pod.join("0.log")).unwrap();
            swap(&containers, "web.log", "../pods/web/0.log");
        }
    });
    while !writer.is_finished() {
        world.poll();
    }
    writer.join().unwrap();
    world.pass(130);
    world.assert_ledger();
    world.assert_gaps(&[]);
    assert_eq!(world.open("containers/web.log").len(), 1);
}

#[test]
fn row_24_a_directory_that_is_swapped_like_a_mounted_volume_begins_a_generation_each_time() {
    let mut world = World::new(&["volume/access.log"]);
    std::fs::create_dir(world.path("volume")).unwrap();
    std::fs::create_dir(world.path("volume/..0")).unwrap();
    symlink("..0", world.path("volume/..data")).unwrap();
    symlink("..data/access.log", world.path("volume/access.log")).unwrap();
    world.write("volume/access.log", 1);
    world.drain();
    for n in 1..20 {
        world.write("volume/access.log", 2);
        std::fs::create_dir(world.path(&format!("volume/..{n}"))).unwrap();
        world.write(&format!("volume/..{n}/access.log"), 1);
        swap(&world.path("volume"), "..data", &format!("..{n}"));
        std::fs::remove_dir_all(world.path(&format!("volume/..{}", n - 1))).unwrap();
        world.drain();
        world.assert_ledger();
    }
    world.pass(70);
    world.assert_ledger();
    world.assert_gaps(&[]);
    assert_eq!(world.generations().len(), 20);
}

#[test]
fn the_rotated_files_beside_a_link_belong_to_their_own_family_where_it_is_read_too() {
    let mut world = World::new(&["pods/*/0.log*", "containers/*.log"]);
    std::fs::create_dir_all(world.path("pods/web")).unwrap();
    std::fs::create_dir(world.path("containers")).unwrap();
    symlink("../pods/web/0.log", world.path("containers/web.log")).unwrap();
    world.link_roots = vec![world.path("pods")];
    world.write("pods/web/0.log", 2);
    for n in 1..5 {
        rotate_container_log(&world.path("pods/web"), n);
        if n > 1 {
            pack_container_log(&world.path("pods/web"), n - 1);
        }
        world.write("pods/web/0.log", 2);
        world.drain();
        world.stop();
    }
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[]);
    let streams = &world.status().streams;
    assert_eq!(streams.len(), 1, "{streams:?}");
    assert!(streams[0].stream.as_str().ends_with("pods/web/0.log"));
}

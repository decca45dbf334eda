//! Whatever happens in whatever order, with stops and crashes between: each line counts once.

use keydrain::engine::coverage::GapReason;
use proptest::prelude::*;

use crate::world::{World, append};

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    /// Half of a line now, the other half with the next write.
    WriteHalf,
    /// Rename and create, as logrotate does. The writer opens the new file at once.
    Rotate,
    /// Compresses what was rotated first.
    Compress(u8),
    Look,
    Pass(u64),
    Stop,
    /// Read, but not committed.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1usize..30).prop_map(Step::Write),
        1 => Just(Step::WriteHalf),
        2 => Just(Step::Rotate),
        2 => (1u8..4).prop_map(Step::Compress),
        4 => Just(Step::Look),
        1 => (1u64..90).prop_map(Step::Pass),
        2 => Just(Step::Stop),
        1 => Just(Step::Crash),
    ]
}

/// Does the steps; files are kept for ever, so nothing may be lost.
fn run(steps: &[Step]) -> World {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 1);
    let mut half = String::new();
    for step in steps {
        match step {
            Step::Write(count) => {
                let text = std::mem::take(&mut half) + &world.lines(*count);
                append(&world.path("access.log"), text.as_bytes());
            }
            Step::WriteHalf if half.is_empty() => {
                let line = world.line();
                let (head, rest) = line.split_at(line.len() / 2);
                append(&world.path("access.log"), head.as_bytes());
                rest.clone_into(&mut half);
            }
            // A writer finishes its line before it opens another file. It writes to the new one
            // at once: a file of which nothing was read cannot be known again by its content.
            Step::Rotate | Step::WriteHalf => {
                append(&world.path("access.log"), std::mem::take(&mut half).as_bytes());
                world.rotate("access.log", 1000);
                world.write("access.log", 1);
            }
            Step::Compress(n) => {
                let name = format!("access.log.{n}");
                if world.path(&name).exists() {
                    world.gzip(&name);
                }
            }
            Step::Look => {
                world.poll();
            }
            Step::Pass(seconds) => world.pass(*seconds),
            Step::Stop => world.stop(),
            Step::Crash => world.crash(),
        }
    }
    append(&world.path("access.log"), half.as_bytes());
    world.drain();
    world.pass(70);
    world.drain();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn each_line_counts_once_whatever_happens(steps in prop::collection::vec(step(), 1..40)) {
        let world = run(&steps);
        world.assert_ledger();
        world.assert_gaps(&[]);
        prop_assert_eq!(world.rejects, 0);
        prop_assert_eq!(world.open("access.log").len(), 1);
        prop_assert!(world.status().caught_up);
    }
}

#[test]
fn a_crash_right_after_a_truncation_was_noticed_forgets_nothing() {
    let mut world = World::new(&["access.log"]);
    world.write("access.log", 5);
    world.drain();
    std::fs::File::create(world.path("access.log")).unwrap();
    world.crash();
    world.drain();
    world.assert_gaps(&[GapReason::Truncated]);
    world.write("access.log", 5);
    world.crash();
    world.drain();
    world.assert_ledger();
    world.assert_gaps(&[GapReason::Truncated]);
}

#[test]
fn a_poll_of_nothing_new_reads_nothing_and_tells_nothing_twice() {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log.1", 3);
    world.write("access.log", 3);
    world.pass(70);
    world.reports.clear();
    world.pass(5);
    let told = world
        .reports
        .iter()
        .filter(|report| !matches!(report, keydrain::source::files::Report::Status(_)));
    assert_eq!(told.count(), 0);
}

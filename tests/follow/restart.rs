//! Whatever happens in whatever order, with stops and crashes between: each line counts once.

use std::fs::OpenOptions;

use keydrain::engine::coverage::GapReason;
use proptest::prelude::*;

use crate::world::{World, append};

/// How logs are rotated.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Rename and create. The writer opens the new file at once.
    Create,
    /// Copy and truncate; so many lines are written in between.
    CopyTruncate(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    /// Half of a line now, the other half with the next write.
    WriteHalf,
    /// What logrotate does, in the style of the run.
    Rotate,
    /// Compresses a rotated file.
    Compress(u8),
    /// Removes a rotated file.
    Remove(u8),
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

fn lossy_step() -> impl Strategy<Value = Step> {
    prop_oneof![9 => step(), 1 => (1u8..4).prop_map(Step::Remove)]
}

fn rotate(world: &mut World, style: Style) {
    match style {
        Style::Create => world.rotate("access.log", 1000),
        Style::CopyTruncate(lost) => {
            world.make_room("access.log", 1000);
            std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
            world.write("access.log", lost);
            let live = OpenOptions::new().write(true).open(world.path("access.log")).unwrap();
            live.set_len(0).unwrap();
        }
    }
}

/// Does the steps, then reads what is left.
fn run(steps: &[Step], style: Style) -> World {
    let mut world = World::new(&["access.log*"]);
    world.write("access.log", 1);
    world.poll();
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
            Step::Rotate | Step::WriteHalf => {
                // A writer finishes its line before it opens another file.
                append(&world.path("access.log"), std::mem::take(&mut half).as_bytes());
                rotate(&mut world, style);
                // It writes to the new one at once: a file of which nothing was read cannot be
                // known again by its content.
                world.write("access.log", 1);
            }
            Step::Compress(n) => {
                let name = format!("access.log.{n}");
                if world.path(&name).exists() {
                    world.gzip(&name);
                }
            }
            // It is looked at before: nobody can miss what nobody saw.
            Step::Remove(n) => {
                world.poll();
                for packed in ["", ".gz"] {
                    let _ = std::fs::remove_file(world.path(&format!("access.log.{n}{packed}")));
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
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn each_line_counts_once_whatever_happens(steps in prop::collection::vec(step(), 1..40)) {
        let world = run(&steps, Style::Create);
        world.assert_ledger();
        world.assert_gaps(&[]);
        prop_assert_eq!(world.rejects, 0);
        prop_assert_eq!(world.open("access.log").len(), 1);
        prop_assert!(world.status().caught_up);
    }

    #[test]
    fn no_line_counts_twice_and_a_lost_one_leaves_a_gap(
        steps in prop::collection::vec(lossy_step(), 1..40),
        style in prop_oneof![
            Just(Style::Create),
            (0usize..3).prop_map(Style::CopyTruncate),
        ],
    ) {
        let world = run(&steps, style);
        let twice: Vec<_> = world.counted.iter().filter(|(_, count)| **count > 1).collect();
        prop_assert!(twice.is_empty(), "{twice:?}");
        let lost = world.written - world.counted.len() as u64;
        prop_assert!(lost == 0 || !world.gaps.is_empty(), "{lost} lines lost without a gap");
    }
}

#[test]
fn row_07_a_crash_right_after_a_truncation_was_noticed_forgets_nothing() {
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

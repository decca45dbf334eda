//! The same history is answered the same, however it is read and wherever the daemon stops.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Debug;

use keydrain::engine::answer::{Answer, Verdict};
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;

use crate::check;
use crate::history::{History, t};
use crate::play::{Habits, Play, essence, looks};
use crate::sketch::{any_sketch, without_late_lines};

#[test]
fn invariant_2_chunks_restarts_lost_commits_and_the_order_of_sources_change_nothing() {
    let ready = Cell::new(0);
    // A line that is later than allowed raises the lateness from then on: how far the watermark came
    // before depends on whether the daemon decided between two lines of one look.
    check(25, (without_late_lines(), Habits::drawn()), |(sketch, habits)| {
        let history = History::of(&sketch);
        let (mut plain, mut other) =
            (Play::new(&history, Habits::steady()), Play::new(&history, habits));
        for now in looks(&history) {
            let (plain, other) = (plain.until(now), other.until(now));
            ready.set(ready.get() + u32::from(plain.verdict == Verdict::Ready));
            prop_assert_eq!(essence(&plain), essence(&other), "at {}", now);
        }
        Ok(())
    });
    assert!(ready.get() > 100, "{} were ready", ready.get());
}

#[test]
fn invariant_3_advancing_twice_is_once_and_no_watermark_goes_back() {
    check(15, (any_sketch(), Habits::drawn()), |(sketch, habits)| {
        let history = History::of(&sketch);
        let mut play = Play::new(&history, habits);
        let mut watermarks: BTreeMap<String, Timestamp> = BTreeMap::new();
        for now in looks(&history) {
            let once = play.until(now);
            let told = play.world.events.len();
            play.world.settle(t(now));
            let snapshot = play.world.drain.snapshot("test", 0, t(now));
            prop_assert_eq!(&snapshot.rotations[0].answer, &once);
            prop_assert_eq!(play.world.events.len(), told);
            prop_assert!(play.world.drain.take_commit(t(now)).is_empty());
            for source in snapshot.sources {
                let streams = source.summary.streams.iter();
                let streams = streams.filter_map(|it| Some((it.name.as_str(), it.watermark?)));
                for (stream, watermark) in streams {
                    let name = format!("{} {stream}", source.summary.name.as_str());
                    let before = watermarks.insert(name, watermark);
                    prop_assert!(before <= Some(watermark), "{before:?}, then {watermark}");
                }
            }
        }
        Ok(())
    });
}

/// Everything that is shown of the rotation.
fn everything(play: &Play<'_>, answer: &Answer, now: i64) -> impl PartialEq + Debug + use<> {
    let drain = &play.world.drain;
    let view = drain.snapshot("test", 0, t(now)).rotations.remove(0);
    (
        (view, drain.journal(&answer.rotation).map(<[_]>::to_vec)),
        drain.consumers(&answer.rotation, t(now)),
        drain.migration(&answer.rotation, t(now)),
        drain.next_deadline(t(now)),
    )
}

#[test]
fn a_restart_at_any_look_changes_nothing_that_is_shown_then_or_later() {
    let restarts = Cell::new(0);
    check(20, (any_sketch(), Habits::drawn()), |(sketch, mut choices)| {
        let history = History::of(&sketch);
        let (mut live, mut restored) =
            (Play::new(&history, Habits::steady()), Play::new(&history, Habits::steady()));
        for now in looks(&history) {
            let (answer, mut after) = (live.until(now), restored.until(now));
            if choices.next() % 8 == 7 {
                restarts.set(restarts.get() + 1);
                restored.world.restart(t(now));
                after = restored.world.answer(t(now));
            }
            let shown = everything(&live, &answer, now);
            prop_assert_eq!(shown, everything(&restored, &after, now), "at {}", now);
        }
        Ok(())
    });
    assert!(restarts.get() > 50, "{} restarts", restarts.get());
}

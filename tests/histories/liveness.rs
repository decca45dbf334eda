//! Liveness: what ends well gets ready within the time that is stated, and a time that is told is
//! kept.

use std::cell::Cell;
use std::time::Duration;

use keydrain::engine::answer::{Answer, Verdict};
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::check;
use crate::history::{BEAT, END, History, PROBE, SOURCES, t};
use crate::play::{Habits, Play, looks};
use crate::sketch::{Sketch, any_sketch, ends_well};
use crate::truth::{Truth, seconds};
use crate::world::{ACCESS_LOG, Line, NO_KEY};

/// The smallest step of time.
const INSTANT: Duration = Duration::from_nanos(1);

#[test]
fn every_history_that_ends_well_is_ready_within_the_stated_time_and_stays_so() {
    let (ended, drawn) = (Cell::new(0), Cell::new(0));
    check(40, (ends_well(), Habits::drawn()), |(sketch, habits)| {
        let history = History::of(&sketch);
        drawn.set(drawn.get() + 1);
        let truth = Truth::at(&history, END);
        let Some(over) = truth.last_obstacle() else { return Ok(()) };
        let mut play = Play::new(&history, habits);
        // The longest quiet that is required of it once nothing is missing but time.
        let mut deadline = None;
        for now in looks(&history) {
            let answer = play.until(now);
            if now < over {
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| {
                let quiet = over + seconds(answer.window.required);
                let last = quiet.max(truth.silent_after(over)).max(over + truth.exposure());
                // A daemon that dies reads again a look later: a late line counts from then, and
                // the gap before it is longer by that, which the factor stretches.
                last + truth.lateness() + BEAT + 5 * history.look
            });
            if now >= deadline {
                let standing = &answer.blockers;
                prop_assert!(
                    answer.verdict == Verdict::Ready,
                    "at {now}, over at {over}: {standing:?}"
                );
                ended.set(ended.get() + 1);
            }
        }
        Ok(())
    });
    assert!(ended.get() > 5 * drawn.get(), "{} looks of {}", ended.get(), drawn.get());
}

/// Lets every log show a line without a key every half minute up to `until`, and nothing else.
fn go_on(play: &mut Play<'_>, from: Timestamp, until: Timestamp) -> Answer {
    let mut next = from;
    loop {
        let now = until.min(next);
        for source in SOURCES.iter().take(play.history.logs.len()) {
            // Dated to the next millisecond, which counts as now: the format has no finer time.
            let event_at = now.plus(Duration::from_nanos(999_999));
            let line = |key: &str| Line {
                event_at,
                key: key.to_owned(),
                consumer: "-".to_owned(),
                status: 200,
                garbled: false,
            };
            play.world.read((source, ACCESS_LOG), &[line(NO_KEY)], now, now);
            if play.history.declared.sources.iter().any(|it| !it.policy.probes.is_empty()) {
                play.world.read((source, ACCESS_LOG), &[line(PROBE)], now, now);
            }
        }
        if now == until {
            return play.world.answer(now);
        }
        next = now.plus(Duration::from_secs(30));
    }
}

#[test]
fn a_time_that_is_told_is_kept_to_the_instant_if_nothing_else_happens() {
    let (kept, drawn) = (Cell::new(0), Cell::new(0));
    // Two things of the past are not looked at when a time is told: that a probe was out of sight
    // where the window will begin, and that whoever is tolerated counts again once moved or gone.
    check(60, (any_sketch(), any::<Index>()), |(sketch, place)| {
        let history = History::of(&Sketch { probe: false, threshold: 0, ..sketch });
        drawn.set(drawn.get() + 1);
        let looks: Vec<i64> = looks(&history).collect();
        let mut play = Play::new(&history, Habits::steady());
        for now in looks[place.index(looks.len())..].iter().copied() {
            let answer = play.until(now);
            let told = answer.earliest_ready_at.filter(|told| *told > t(now));
            let tolerant = history.policy_at(now).threshold > 0;
            let Some(told) = told.filter(|_| play.is_caught_up(now) && !tolerant) else { continue };
            let before = go_on(&mut play, t(now), told.minus(INSTANT));
            prop_assert!(before.verdict != Verdict::Ready, "before {told}, told at {now}");
            let at = go_on(&mut play, told, told);
            let standing = &at.blockers;
            prop_assert!(at.verdict == Verdict::Ready, "at {told}, told at {now}: {standing:?}");
            kept.set(kept.get() + 1);
            break;
        }
        Ok(())
    });
    assert!(10 * kept.get() > drawn.get(), "{} of {} were told", kept.get(), drawn.get());
}

//! Soundness: no history is called ready while what was declared or seen says otherwise.

use std::cell::Cell;

use keydrain::engine::answer::Verdict;
use proptest::prelude::*;

use crate::check;
use crate::history::{History, t};
use crate::play::{Habits, Play, looks};
use crate::sketch::{Sketch, any_sketch, cached, daily, slow_and_lossy};
use crate::truth::Truth;

#[test]
fn no_ready_while_a_use_stands_in_the_window_or_one_is_to_come_that_the_declared_facts_cover() {
    let surprised = no_false_ready(45, any_sketch());
    assert!(surprised > 10, "only {surprised} times a use came that nothing speaks for");
}

#[test]
fn no_ready_while_a_use_is_to_come_that_is_covered_by_one_whose_line_is_lost() {
    no_false_ready(15, slow_and_lossy());
}

#[test]
fn no_ready_while_a_use_is_to_come_by_who_may_hold_the_old_key_in_a_cache_or_a_connection() {
    no_false_ready(8, cached());
}

#[test]
fn no_ready_while_the_run_of_a_declared_job_is_to_come_that_was_not_seen_on_the_new_key() {
    no_false_ready(12, daily());
}

/// Checks it, and returns how often it was ready before a use that nothing spoke for.
fn no_false_ready(cases: u32, sketches: impl Strategy<Value = Sketch>) -> u32 {
    let (asked, ready, held, surprised) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |counter: &Cell<u32>| counter.set(counter.get() + 1);
    check(cases, (sketches, Habits::drawn()), |(sketch, habits)| {
        let history = History::of(&sketch);
        let mut play = Play::new(&history, habits);
        for now in looks(&history) {
            let answer = play.until(now);
            count(&asked);
            if answer.verdict != Verdict::Ready {
                let truth = Truth::at(&history, now);
                if truth.looks_quiet() && truth.covered_later().is_some() {
                    count(&held);
                }
                continue;
            }
            count(&ready);
            let truth = Truth::at(&history, now);
            let window = answer.window.span.expect("ready speaks about a window");
            let second =
                |at: keydrain::engine::time::Timestamp| at.as_seconds() - t(0).as_seconds();
            let (from, to) = (second(window.from), second(window.to));
            let used = truth.used_between(from, to);
            prop_assert!(used.is_none(), "ready at {now} although {used:?}");
            let most = truth.most_tolerated(from, to);
            prop_assert!(most <= truth.policy.threshold, "ready at {now} with {most} tolerated");
            let later = truth.covered_later();
            prop_assert!(later.is_none(), "ready at {now} although {later:?}");
            if truth.is_still_used() {
                count(&surprised);
            }
        }
        Ok(())
    });
    let [asked, ready, held, surprised] = [asked, ready, held, surprised].map(|it| it.get());
    assert!(ready * 10 > asked, "{ready} of {asked} were ready");
    assert!(held > 20, "only {held} times a use was still to come after a quiet period");
    surprised
}

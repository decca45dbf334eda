//! Rows about ordinary first users: they do get ready.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::policy::Policy;

use crate::story::{Story, at, check, minutes, on_roster, standing};
use crate::world::{ACCESS_LOG, NEW, OLD};

/// The policy of a configuration that says nothing, without or with consumers.
fn defaults(consumers: bool) -> Policy {
    let min_history = if consumers { Duration::ZERO } else { Policy::default().min_history };
    // The larger of 10 min and twice idle_after and lateness.
    Policy { min_history, max_evidence_lag: minutes(11), ..Policy::default() }
}

#[test]
fn one_host_with_a_week_of_log_and_no_roster_gets_ready_an_hour_after_the_new_key_came() {
    let story = Story::new()
        .declared(|declared| declared.credentials[0].policy = defaults(false))
        .started("9 09:00:00")
        .heartbeats_every(minutes(4), "2 08:00:00", "9 11:00:00")
        .uses(OLD, "-", ["2 08:01:00", "2 08:03:00", "9 09:00:00", "9 09:00:01"]);
    // The pool's largest gap is a week: that is what it must be silent for.
    let story = story.uses(NEW, "-", ["9 09:05:00"]);
    assert!(standing(&story.busy("9 10:30:00")).contains(&("consumer_not_moved", "anonymous")));
    let steady = |days: std::ops::RangeInclusive<u32>| {
        let mut story = Story::new()
            .declared(|declared| declared.credentials[0].policy = defaults(false))
            .started("9 09:00:00")
            .heartbeats_every(minutes(4), "2 08:00:00", "9 11:00:00");
        for day in days {
            for hour in 0..24 {
                for minute in [0, 20, 40] {
                    let when = format!("{day} {hour:02}:{minute:02}:00");
                    if at(&when) >= at("2 08:00:00") && at(&when) <= at("9 09:00:00") {
                        story = story.uses(OLD, "-", [&*when]);
                    }
                }
            }
        }
        story.uses(NEW, "-", ["9 09:05:00", "9 09:25:00"])
    };
    let story = steady(2..=9);
    check(&story.busy("9 10:04:59"), NotReady, [("min_overlap", "*")]);
    check(&story.busy("9 10:05:00"), Ready, []);
}

#[test]
fn a_quiet_night_with_a_heartbeat_gets_ready() {
    let story = Story::new()
        .declared(|declared| declared.credentials[0].policy = defaults(true))
        .roster([on_roster("checkout")])
        .started("20:00:00")
        .heartbeats("19:00:00", "3 04:00:00")
        .uses(OLD, "checkout", ["20:00:00", "20:10:00"])
        .uses(NEW, "checkout", ["20:11:00"]);
    check(&story.answer("21:11:00"), Ready, []);
    check(&story.answer("3 03:00:30"), Ready, []);
}

#[test]
fn a_quiet_night_without_a_heartbeat_is_unknown_and_the_first_line_of_the_day_makes_it_ready() {
    let story = Story::new()
        .declared(|declared| declared.credentials[0].policy = defaults(true))
        .roster([on_roster("checkout")])
        .started("20:00:00")
        .heartbeats("19:00:00", "21:00:00")
        .uses(OLD, "checkout", ["20:00:00"])
        .uses(NEW, "checkout", ["20:11:00", "3 07:00:00"]);
    let night = story.answer("3 03:00:00");
    assert_eq!(night.verdict, Unknown);
    assert!(standing(&night).contains(&("source_silent", ACCESS_LOG)));
    check(&story.answer("3 07:00:00"), Ready, []);
}

#[test]
fn consumers_that_move_one_after_the_other_are_ready_with_the_last() {
    let mut story = Story::new()
        .declared(|declared| declared.credentials[0].policy = defaults(true))
        .roster(["a", "b", "c"].map(on_roster))
        .started("09:00:00")
        .heartbeats("08:00:00", "13:00:00");
    for (consumer, moves) in [("a", 10), ("b", 20), ("c", 50)] {
        for minute in 0..60 {
            let key = if minute < moves { OLD } else { NEW };
            story = story.uses(key, consumer, [&*format!("09:{minute:02}:00")]);
        }
    }
    // The straggler's last use of the old key was at 09:49:00.
    let answer = story.busy("10:03:00");
    assert!(answer.message.contains("by c;"), "{}", answer.message);
    // The first accepted new key was at 09:10:00: an hour of overlap is over at 10:10:00.
    check(
        &story.busy("10:04:30.000000001"),
        NotReady,
        [("quiet_running", OLD), ("min_overlap", "*")],
    );
    check(&story.busy("10:09:59.999999999"), NotReady, [("min_overlap", "*")]);
    check(&story.busy("10:10:00"), Ready, []);
}

//! Rows about what is lost, too short, not understood, or dated by a clock that is not to be trusted.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::coverage::GapReason;

use crate::story::{Story, at, blocker, check, minutes, moved_over, says, standing, stands_until};
use crate::world::{ACCESS_LOG, EDGE, Line, NEW, NO_KEY, OLD, World};

#[test]
fn a_gap_in_the_window_is_unknown_until_the_window_begins_after_it() {
    let story = moved_over().lost("10:20:30").uses(NEW, "checkout", ["10:20:31"]);
    let answer = story.busy("10:25:00");
    check(&answer, Unknown, [("coverage_gap", ACCESS_LOG), ("quiet_running", OLD)]);
    says(
        &answer,
        "coverage_gap",
        ACCESS_LOG,
        &["are lost (truncated)", "clears when the window begins after"],
    );
    stands_until(&story, "coverage_gap", ACCESS_LOG, "10:36:05");
    let warned = |answer: &keydrain::engine::answer::Answer| {
        answer.warnings.iter().any(|w| w.code.as_str() == "history_gap")
    };
    assert!(!warned(&story.busy("10:36:04.999999999")) && warned(&story.busy("10:36:05")));
    let after = story.busy("10:36:06");
    check(&after, Ready, []);
    assert!(warned(&after));
}

#[test]
fn a_gap_restarts_the_quiet() {
    let story = moved_over().lost("10:20:00").uses(NEW, "checkout", ["10:20:01"]);
    check(&story.busy("10:35:35"), NotReady, [("quiet_running", OLD)]);
    stands_until(&story, "quiet_running", OLD, "10:35:36");
}

#[test]
fn every_loss_restarts_the_quiet_whatever_its_reason() {
    for reason in GapReason::ALL {
        let lose = move |world: &mut World| {
            world.lose_by(reason, (EDGE, ACCESS_LOG), at("10:20:00"));
        };
        let story = moved_over().then("10:20:00", lose).uses(NEW, "checkout", ["10:20:01"]);
        stands_until(&story, "quiet_running", OLD, "10:35:36");
    }
}

#[test]
fn row_40_an_older_state_that_is_put_back_restarts_the_quiet_of_every_stream() {
    let story = moved_over()
        .then("10:20:00", |world| world.restore_older(at("10:20:00")))
        .then("10:25:00", |world| world.settle(at("10:25:00")))
        .uses(NEW, "checkout", ["10:25:01"]);
    let answer = story.busy("10:26:00");
    check(&answer, Unknown, [("coverage_gap", ACCESS_LOG), ("quiet_running", OLD)]);
    says(&answer, "coverage_gap", ACCESS_LOG, &["are lost (state_restored)"]);
    stands_until(&story, "quiet_running", OLD, "10:40:36");
}

#[test]
fn a_violation_is_counted_for_ever_and_raises_the_lateness_of_its_stream() {
    let seen = |story: &Story, now: &str| {
        let snapshot = story.world(at(now)).drain.snapshot("", 0, at(now));
        let stream = snapshot.sources[0].coverage[0].clone();
        (stream.violations, stream.observed_lateness)
    };
    let story = moved_over();
    assert_eq!(seen(&story, "10:29:59"), (0, Duration::ZERO));
    // 60 s behind the line before it: 30 s more than allowed.
    let late = story.line_written("10:29:00", "10:30:00.100", OLD, "checkout");
    assert_eq!(seen(&late, "10:31:00"), (1, Duration::from_secs(60)));
    let restarted = late.restarted("10:32:00").uses(NEW, "checkout", ["10:40:00"]);
    assert_eq!(seen(&restarted, "10:50:00"), (1, Duration::from_secs(60)));
}

#[test]
fn the_quiet_begins_at_the_end_of_a_gap_even_if_the_next_line_is_dated_before_it() {
    let story = moved_over().lost("10:20:00").line_written("10:19:45", "10:20:05", NEW, "checkout");
    stands_until(&story, "quiet_running", OLD, "10:35:35");
}

#[test]
fn observation_as_long_as_the_required_history_is_enough_and_shorter_is_not() {
    let story = moved_over().policy(|policy| policy.min_history = minutes(100));
    stands_until(&story, "observation_too_short", "*", "10:40:30");
    let answer = story.busy("10:40:29.999999999");
    check(&answer, Unknown, [("observation_too_short", "*")]);
    says(
        &answer,
        "observation_too_short",
        "*",
        &["1 h 39 min of log observed", "1 h 40 min required"],
    );
    check(&story.busy("10:40:30"), Ready, []);
}

#[test]
fn history_that_was_read_counts_as_observed() {
    let story = moved_over()
        .policy(|policy| policy.min_history = Duration::from_hours(24 * 7))
        .started("9 09:00:00");
    check(&story.busy("9 09:00:30"), Ready, []);
    let answer = story.busy("9 09:00:29.999999999");
    assert!(standing(&answer).contains(&("observation_too_short", "*")));
}

#[test]
fn observation_begins_anew_after_a_gap() {
    let story = moved_over()
        .policy(|policy| policy.min_history = minutes(60))
        .lost("10:30:00")
        .uses(NEW, "checkout", ["10:30:01"]);
    stands_until(&story, "observation_too_short", "*", "11:30:31");
}

#[test]
fn a_hole_in_the_sequence_of_deltas_is_a_gap() {
    let story = moved_over().then("10:20:00", |world| world.skip_bytes((EDGE, ACCESS_LOG), 10));
    let answer = story.uses(NEW, "checkout", ["10:20:01"]).busy("10:25:00");
    assert_eq!(answer.verdict, Unknown);
    says(&answer, "coverage_gap", ACCESS_LOG, &["sequence_hole"]);
}

#[test]
fn a_delta_that_comes_twice_counts_once_and_is_no_gap() {
    let story = moved_over().then("10:20:00", crate::world::World::repeat);
    let answer = story.busy("10:25:00");
    check(&answer, Ready, []);
    assert_eq!(answer.sources[0].gaps, []);
    let repeated = Story::new()
        .uses(OLD, "checkout", ["10:00:00"])
        .then("10:00:00", crate::world::World::repeat)
        .busy("10:00:01");
    assert_eq!(repeated.old_key.accepted, 1);
}

#[test]
fn a_line_beyond_the_tolerated_future_makes_the_clock_suspect_and_one_within_it_does_not() {
    let tolerated = moved_over().line_read("10:31:00", "10:30:00", NEW, "checkout", 200);
    check(&tolerated.busy("10:30:01"), Ready, []);
    let beyond = moved_over().line_read("10:31:00.001", "10:30:00", NEW, "checkout", 200);
    let answer = beyond.busy("10:30:01");
    check(&answer, Unknown, [("clock_suspect", "*")]);
    says(&answer, "clock_suspect", "*", &["came from the future", "time synchronisation"]);
    // Suspect for 30 s after it, and until the window begins after that.
    stands_until(&beyond, "clock_suspect", "*", "10:46:05");
    check(&beyond.busy("10:46:05"), Ready, []);
}

#[test]
fn a_clock_is_suspect_as_long_as_lines_come_from_the_future() {
    let once = moved_over().line_read("10:31:00.001", "10:30:00", NEW, "checkout", 200);
    let again = once.clone().line_read("10:32:00", "10:30:40", NEW, "checkout", 200);
    check(&once.busy("10:46:05"), Ready, []);
    stands_until(&again, "clock_suspect", "*", "10:46:45");
    // Within its 30 s it is the same doubt, and not a longer one.
    let soon = once.line_read("10:31:20", "10:30:20", NEW, "checkout", 200);
    stands_until(&soon, "clock_suspect", "*", "10:46:05");
}

#[test]
fn a_wall_clock_that_steps_is_suspect_and_one_that_drifts_is_not() {
    let stepped = |by: Duration| {
        moved_over()
            .asked("10:30:00")
            .then("10:30:01", move |world| world.stepped += by)
            .busy("10:30:10")
    };
    check(&stepped(Duration::from_secs(5)), Ready, []);
    let answer = stepped(Duration::from_millis(5_001));
    check(&answer, Unknown, [("clock_suspect", "*")]);
    assert_eq!(blocker(&answer, "clock_suspect", "*").since, Some(at("10:30:04.999")));
}

#[test]
fn a_wall_clock_that_is_earlier_than_the_last_commit_is_suspect() {
    let mut world = moved_over().world(at("10:30:00"));
    world.answer(at("10:30:00"));
    world.reboot();
    let answer = world.answer(at("10:29:55"));
    check(&answer, Ready, []);
    world.reboot();
    let answer = world.answer(at("10:29:49"));
    assert!(standing(&answer).contains(&("clock_suspect", "*")), "{:?}", answer.blockers);
}

#[test]
fn a_wall_clock_that_steps_back_while_the_daemon_runs_is_suspect() {
    let mut world = moved_over().world(at("10:30:00"));
    world.answer(at("10:30:00"));
    world.stepped_back = Duration::from_mins(1);
    let answer = world.answer(at("10:29:10"));
    assert!(standing(&answer).contains(&("clock_suspect", "*")), "{:?}", answer.blockers);
    assert_eq!(answer.verdict, Unknown);
}

/// A later and shorter doubt hid until when an earlier and longer one lasts.
#[test]
fn of_several_doubts_about_the_clock_the_one_that_lasts_longest_is_told() {
    let mut world = moved_over().world(at("10:30:00"));
    world.answer(at("10:30:00"));
    world.stepped_back = Duration::from_mins(10);
    world.answer(at("10:20:05"));
    world.stepped += Duration::from_secs(6);
    let answer = world.answer(at("10:20:20"));
    let standing = blocker(&answer, "clock_suspect", "*");
    assert_eq!(standing.since, Some(at("10:20:05")));
    assert_eq!(standing.clears_at, Some(at("10:45:40")));
}

/// Observation that began with a line from the future had not begun until then: for years.
#[test]
fn observation_begins_no_later_than_its_first_line_is_read() {
    let story = Story::new()
        .policy(|policy| policy.min_history = minutes(30))
        .line_read("2038-01-19T03:14:08Z", "08:59:00", NO_KEY, "-", 200)
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["10:00:00"])
        .uses(NEW, "checkout", ["10:01:00"]);
    let answer = story.busy("10:30:00");
    assert_eq!(answer.observing_since, Some(at("08:59:00")));
    check(&answer, Ready, []);
}

fn a_line(event_at: &str) -> Line {
    Line {
        event_at: at(event_at),
        key: NEW.to_owned(),
        consumer: "checkout".to_owned(),
        status: 200,
        garbled: false,
    }
}

#[test]
fn a_hole_in_the_sequence_tells_how_many_bytes_are_unknown() {
    let mut world = moved_over().uses(NEW, "checkout", ["10:20:00"]).world(at("10:25:00"));
    world.skip_bytes((EDGE, ACCESS_LOG), 4711);
    let line = a_line("10:26:00");
    world.read((EDGE, ACCESS_LOG), &[line], at("10:26:00"), at("10:26:00"));
    let answer = world.answer(at("10:26:01"));
    let gap = &answer.sources[0].gaps[0];
    assert_eq!((gap.reason, gap.bytes), (GapReason::SequenceHole, Some(4711)));
    let snapshot = world.drain.snapshot("test", 0, at("10:26:01"));
    assert_eq!(snapshot.sources[0].bytes_unknown, 4711);
}

#[test]
fn a_gap_is_listed_as_long_as_it_ends_within_the_window() {
    let story = moved_over().lost("10:20:30").uses(NEW, "checkout", ["10:20:31"]);
    // The window of 15 min 5 s ends 30 s ago.
    let listed = |now: &str| story.busy(now).sources[0].gaps.len();
    assert_eq!((listed("10:36:04.999999999"), listed("10:36:05")), (1, 0));
}

#[test]
fn what_was_read_is_what_was_told_less_what_was_skipped() {
    let mut world = moved_over().world(at("10:25:00"));
    let read = |world: &World| {
        let snapshot = world.drain.snapshot("test", 0, at("10:26:00"));
        (snapshot.sources[0].bytes_read, snapshot.sources[0].bytes_skipped)
    };
    let before = read(&world);
    let line = a_line("10:26:00");
    let length = line.text().len() as u64;
    world.read((EDGE, ACCESS_LOG), &[line], at("10:26:00"), at("10:26:00"));
    assert_eq!(read(&world), (before.0 + length, before.1));
}

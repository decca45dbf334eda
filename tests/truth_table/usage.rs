//! Rows about uses of the old key and the quiet after them.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::rotation::{Attestation, JournalEvent};

use crate::story::{
    INSTANT, Story, at, blocker, check, minutes, moved_over, says, standing, stands_until,
};
use crate::world::{ACCESS_LOG, EDGE, NEW, OLD, live};

#[test]
fn quiet_for_the_required_time_is_ready_and_an_instant_less_is_not() {
    // 15 min quiet period, 5 s clock skew, 30 s lateness.
    stands_until(&moved_over(), "quiet_running", OLD, "10:15:35");
    let before = moved_over().busy("10:15:34.999999999");
    check(&before, NotReady, [("quiet_running", OLD)]);
    says(&before, "quiet_running", OLD, &[OLD, "quiet for 15 min 4 s of 15 min 5 s"]);
    let ready = moved_over().busy("10:15:35");
    check(&ready, Ready, []);
    assert_eq!(
        ready.message,
        "2025-q4 quiet for 15 min 5 s, 15 min 5 s required; every source observed"
    );
}

#[test]
fn a_use_within_the_quiet_period_before_the_watermark_is_proof_and_one_at_its_edge_is_not() {
    stands_until(&moved_over(), "old_key_in_use", "checkout", "10:15:30");
    let answer = moved_over().busy("10:05:00");
    check(&answer, NotReady, [("old_key_in_use", "checkout"), ("consumer_not_moved", "checkout")]);
    says(
        &answer,
        "old_key_in_use",
        "checkout",
        &[OLD, "used 5 min ago by checkout", "quiet period 15 min"],
    );
    assert_eq!(blocker(&answer, "old_key_in_use", "checkout").since, Some(at("10:00:00")));
}

#[test]
fn a_use_read_ahead_of_the_watermark_blocks() {
    let story = moved_over().uses(OLD, "checkout", ["10:40:00"]);
    let answer = story.answer("10:40:00");
    assert!(answer.watermark < Some(at("10:40:00")));
    assert_eq!(answer.verdict, NotReady);
    blocker(&answer, "old_key_in_use", "checkout");
}

#[test]
fn a_use_ahead_of_a_watermark_that_another_stream_holds_back_blocks() {
    let story = moved_over()
        .on(EDGE, "/var/log/nginx/other.log")
        .uses(OLD, "checkout", ["09:30:00", "10:00:00"])
        .on(EDGE, ACCESS_LOG)
        .uses(OLD, "checkout", ["10:08:00"]);
    let answer = story.answer("10:08:30");
    assert_eq!(answer.watermark, Some(at("09:59:30")));
    assert_eq!(blocker(&answer, "old_key_in_use", "checkout").since, Some(at("10:08:00")));
}

#[test]
fn without_a_watermark_a_use_is_recent_by_the_time_of_the_decision() {
    let story = moved_over().seen("09:00:00", |sight| {
        sight.streams.insert("empty.log".to_owned(), Some(crate::world::live("empty.log")));
    });
    let recent = story.answer_at(at("10:15:00").minus(INSTANT));
    assert_eq!((recent.watermark, recent.verdict), (None, NotReady));
    assert!(standing(&recent).contains(&("old_key_in_use", "checkout")));
    let past = story.answer("10:15:00");
    assert_eq!((past.watermark, past.verdict), (None, Unknown));
    assert!(!standing(&past).contains(&("old_key_in_use", "checkout")));
    assert!(!standing(&past).contains(&("quiet_running", OLD)), "it needs a watermark");
}

#[test]
fn a_denied_presentation_blocks_under_its_own_code_whether_401_or_403() {
    for status in [401, 403] {
        let story = moved_over().line("10:30:00", OLD, "partner", status).uses(
            NEW,
            "checkout",
            ["10:30:30"],
        );
        let answer = story.busy("10:31:00");
        check(
            &answer,
            NotReady,
            [("old_key_denied", "partner"), ("consumer_not_moved", "partner")],
        );
        says(&answer, "old_key_denied", "partner", &["presented and denied 1 min ago by partner"]);
        stands_until(&story, "old_key_denied", "partner", "10:45:30");
    }
}

#[test]
fn a_failed_or_strange_answer_to_the_old_key_is_a_use() {
    for status in [500, 503, 404, 302] {
        let answer = moved_over().line("10:30:00", OLD, "checkout", status).busy("10:31:00");
        assert!(standing(&answer).contains(&("old_key_in_use", "checkout")), "{status}");
        assert!(!standing(&answer).contains(&("old_key_denied", "checkout")), "{status}");
    }
}

#[test]
fn one_use_and_one_denial_are_two_blockers_and_the_newest_use_comes_first() {
    let story = moved_over()
        .uses(OLD, "batch", ["10:30:00"])
        .uses(OLD, "checkout", ["10:31:00"])
        .line("10:31:30", OLD, "batch", 403);
    let answer = story.busy("10:32:00");
    let codes: Vec<_> = answer.blockers.iter().map(|b| (b.code.as_str(), &*b.subject)).collect();
    assert_eq!(
        codes[..3],
        [("old_key_in_use", "checkout"), ("old_key_in_use", "batch"), ("old_key_denied", "batch")]
    );
}

#[test]
fn a_line_as_late_as_allowed_counts_from_its_event_and_a_later_one_from_its_arrival() {
    // The heartbeat of 10:30:00 was read before: the line is 30 s and then 30.001 s behind it.
    let in_time = moved_over().line_written("10:29:30", "10:30:10", OLD, "batch");
    let answer = in_time.busy("10:31:00");
    assert_eq!(blocker(&answer, "old_key_in_use", "batch").since, Some(at("10:29:30")));
    let late = moved_over().line_written("10:29:29.999", "10:30:10", OLD, "batch");
    let answer = late.busy("10:31:00");
    assert_eq!(blocker(&answer, "old_key_in_use", "batch").since, Some(at("10:30:10")));
}

#[test]
fn a_line_that_is_hours_late_blocks_for_a_whole_quiet_period_after_its_arrival() {
    let story = moved_over().line_written("09:10:00", "10:30:00", OLD, "checkout");
    // What was seen to be late may be so again: the watermark is 5 min behind from now on.
    stands_until(&story, "old_key_in_use", "checkout", "10:50:00");
}

#[test]
fn a_late_line_does_not_move_the_watermark_back() {
    let late = moved_over().line_written("09:10:00", "10:30:00.500", OLD, "checkout");
    assert_eq!(late.answer("10:30:00.500").watermark, Some(at("10:25:00")));
    let asked = late.asked("10:30:00");
    assert_eq!(asked.answer("10:30:00.500").watermark, Some(at("10:29:30")));
}

#[test]
fn history_read_in_order_counts_from_its_events() {
    let mut story = Story::new();
    for (second, key) in [("08:00:00", OLD), ("08:10:00", OLD), ("08:20:00", NEW)] {
        story = story.line_read(second, "09:00:00", key, "checkout", 200);
    }
    check(&story.heartbeats("09:00:00", "09:00:30").busy("09:00:30"), Ready, []);
}

#[test]
fn a_line_from_the_future_counts_from_its_arrival() {
    let story = moved_over().line_read("12:00:00", "10:30:00", OLD, "checkout", 200);
    let answer = story.busy("10:31:00");
    assert_eq!(blocker(&answer, "old_key_in_use", "checkout").since, Some(at("10:30:00")));
    assert!(answer.watermark < Some(at("10:31:00")), "{:?}", answer.watermark);
}

#[test]
fn an_unused_old_key_that_was_attested_must_be_quiet_since_observation_began() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(NEW, "checkout", ["09:00:10"])
        .told("09:01:00", JournalEvent::Attested(Attestation::OldKeyUnused));
    stands_until(&story, "quiet_running", OLD, "09:15:35");
    check(&story.busy("09:15:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("09:15:35"), Ready, []);
}

#[test]
fn the_required_quiet_is_the_larger_of_period_and_cycle_plus_sessions_plus_skew() {
    let story = moved_over().policy(|policy| {
        policy.monitoring_cycle = minutes(20);
        policy.max_session_lifetime = minutes(60);
        policy.clock_skew = Duration::from_secs(7);
    });
    stands_until(&story, "quiet_running", OLD, "11:20:37");
    let answer = story.busy("11:20:37");
    check(&answer, Ready, []);
    assert_eq!(answer.window.required, Duration::from_secs(80 * 60 + 7));
    assert_eq!(
        answer.window.terms,
        [
            ("quiet_period", minutes(15)),
            ("monitoring_cycle", minutes(20)),
            ("cadence", Duration::ZERO),
            ("jobs", Duration::ZERO),
            ("max_session_lifetime", minutes(60)),
            ("clock_skew", Duration::from_secs(7)),
        ]
    );
    let span = answer.window.span.expect("there is a watermark");
    assert_eq!((span.from, span.to), (at("10:00:00"), at("11:20:07")));
}

#[test]
fn caches_and_connections_may_hold_the_old_key_after_its_last_use() {
    let story = moved_over().policy(|policy| {
        policy.max_cache_ttl = minutes(10);
        policy.max_connection_lifetime = minutes(50);
    });
    // They count from the move at 10:01:00: a connection of 10:00:59 may have been opened with A.
    stands_until(&story, "exposure_running", "*", "11:01:30");
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("exposure_running", "*")]);
    says(&answer, "exposure_running", "*", &["caches and connections", OLD, "1 h"]);
    check(&story.busy("11:01:30"), Ready, []);
}

#[test]
fn exposure_counts_from_the_propagation_when_that_is_later() {
    let story = moved_over()
        .policy(|policy| policy.max_cache_ttl = minutes(30))
        .told("10:20:00", JournalEvent::Propagated);
    stands_until(&story, "exposure_running", "*", "10:50:30");
    check(&story.busy("10:50:30"), Ready, []);
}

#[test]
fn exposure_counts_from_the_start_of_observation_when_that_is_later() {
    let story = Story::new()
        .policy(|policy| policy.max_connection_lifetime = minutes(60))
        .heartbeats("09:00:00", "11:00:00")
        .uses(NEW, "checkout", ["09:00:00"])
        .told("09:01:00", JournalEvent::Attested(Attestation::OldKeyUnused));
    stands_until(&story, "exposure_running", "*", "10:00:30");
}

#[test]
fn the_exposure_of_one_consumer_is_its_own() {
    let story = moved_over().roster([keydrain::engine::rotation::RosterEntry {
        max_connection_lifetime: minutes(40),
        ..crate::story::on_roster("checkout")
    }]);
    stands_until(&story, "exposure_running", "checkout", "10:41:30");
    check(&story.busy("10:20:00"), NotReady, [("exposure_running", "checkout")]);
    check(&story.busy("10:41:30"), Ready, []);
}

#[test]
fn a_new_key_used_before_the_last_use_of_the_old_one_proves_nothing() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(NEW, "checkout", ["09:50:00"])
        .uses(OLD, "checkout", ["10:00:00"])
        .told("10:05:00", JournalEvent::ConsumerRetired("checkout".into()));
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("new_key_unused", NEW)]);
    says(&answer, "new_key_unused", NEW, &[NEW, OLD, "wrong place"]);
    check(&story.uses(NEW, "other", ["10:10:00"]).busy("10:30:00"), Ready, []);
}

#[test]
fn a_denied_or_failed_use_of_the_new_key_does_not_prove_that_it_works() {
    for status in [401, 403, 500] {
        let story = Story::new()
            .heartbeats("09:00:00", "11:00:00")
            .uses(OLD, "checkout", ["10:00:00"])
            .line("10:01:00", NEW, "checkout", status);
        check(
            &story.busy("10:30:00"),
            NotReady,
            [("consumer_not_moved", "checkout"), ("new_key_unused", NEW)],
        );
        check(&story.line("10:02:00", NEW, "checkout", 404).busy("10:30:00"), Ready, []);
    }
}

#[test]
fn the_new_key_in_the_very_second_of_the_old_one_is_not_later() {
    let story = |second| {
        Story::new()
            .heartbeats("09:00:00", "11:00:00")
            .uses(OLD, "checkout", ["10:00:00.100"])
            .uses(NEW, "checkout", [second])
            .told("10:05:00", JournalEvent::ConsumerRetired("checkout".into()))
            .busy("10:30:00")
    };
    check(&story("10:00:00.900"), NotReady, [("new_key_unused", NEW)]);
    check(&story("10:00:01"), Ready, []);
}

#[test]
fn at_the_very_edge_of_the_quiet_period_the_quiet_is_running() {
    check(
        &moved_over().busy("10:15:30"),
        NotReady,
        [("quiet_running", OLD), ("consumer_not_moved", "checkout")],
    );
}

#[test]
fn a_line_with_the_new_key_that_comes_late_does_not_follow_the_old_one() {
    // The new key was used at 09:50:00 and failed to come up in the log until 10:05:10.
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["10:00:00"])
        .line_written("09:50:00", "10:05:10", NEW, "checkout");
    let expected = [("consumer_not_moved", "checkout"), ("new_key_unused", NEW)];
    check(&story.busy("10:40:00"), NotReady, expected);
    check(&story.clone().restarted("10:39:00").busy("10:40:00"), NotReady, expected);
    // Another one in the same minute that is not late does.
    let used = story.uses(NEW, "checkout", ["10:05:20"]);
    check(&used.busy("10:40:00"), Ready, []);
    check(&used.restarted("10:39:00").busy("10:40:00"), Ready, []);
}

#[test]
fn a_late_use_of_the_new_key_beside_a_failed_one_in_time_proves_nothing_even_after_a_restart() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["10:05:05"])
        .line_written("09:50:00", "10:05:10", NEW, "checkout")
        .line("10:05:20", NEW, "checkout", 500)
        .restarted("10:39:00");
    let expected = [("consumer_not_moved", "checkout"), ("new_key_unused", NEW)];
    check(&story.busy("10:40:00"), NotReady, expected);
}

#[test]
fn a_use_of_the_new_key_in_time_stays_a_proof_beside_a_late_one_over_a_restart() {
    // Both count in the minute of 10:30: one by its event, one by its arrival.
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["10:00:00"])
        .uses(NEW, "checkout", ["10:30:05"])
        .line_written("09:10:00", "10:30:10", NEW, "checkout");
    let before = story.busy("10:50:00");
    check(&before, Ready, []);
    let after = story.restarted("10:49:00").busy("10:50:00");
    check(&after, Ready, []);
    assert_eq!(after.consumers, before.consumers);
}

#[test]
fn a_use_of_the_new_key_that_is_late_by_seconds_does_not_follow_the_old_one_either() {
    let story = Story::new()
        .declared(|declared| {
            declared.sources[0].policy.allowed_lateness = Duration::from_secs(1);
        })
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["10:05:20"])
        .line_written("10:05:10", "10:05:40", NEW, "checkout");
    let expected = [("consumer_not_moved", "checkout"), ("new_key_unused", NEW)];
    check(&story.busy("10:40:00"), NotReady, expected);
}

#[test]
fn without_a_watermark_no_quiet_is_running() {
    let story = moved_over();
    check(&story.busy("10:15:32"), NotReady, [("quiet_running", OLD)]);
    let other = story.seen("10:10:00", |sight| {
        sight.streams.insert("new.log".to_owned(), Some(live("new.log")));
    });
    let answer = other.answer("10:15:32");
    assert_eq!((answer.verdict, answer.watermark), (Unknown, None));
    assert!(!standing(&answer).contains(&("quiet_running", OLD)), "{:?}", answer.blockers);
}

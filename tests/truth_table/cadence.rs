//! Rows about cadence: when silence means that a consumer which never moved is gone.

use std::time::Duration;

use keydrain::engine::answer::Answer;
use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::rotation::{JournalEvent, RosterEntry};

use crate::story::{
    INSTANT, Story, at, blocker, check, minutes, on_roster, says, standing, stands_until,
};
use crate::world::{ACCESS_LOG, NEW, OLD};

/// Six sessions, five gaps of 20 minutes: gone after 40 minutes, and a quiet of 40 min 5 s to show.
const SESSIONS: [&str; 6] =
    ["07:00:00", "07:20:00", "07:40:00", "08:00:00", "08:20:00", "08:40:00"];
/// The watermark has just passed 09:20:00.
const GONE_AT: &str = "09:20:30.000000001";

/// Somebody else on the new key.
fn quiet_host() -> Story {
    Story::new().started("06:00:00").heartbeats("06:00:00", "10:30:00").uses(
        NEW,
        "other",
        ["08:50:00", "09:05:00"],
    )
}

fn batch(times: &[&'static str]) -> Story {
    quiet_host().uses(OLD, "batch", times.iter().copied())
}

fn cadence_term(answer: &Answer) -> Duration {
    let term = answer.window.terms.iter().find(|(name, _)| *name == "cadence");
    term.expect("every answer tells the term").1
}

#[test]
fn a_consumer_is_gone_when_silent_for_more_than_twice_its_largest_gap_between_sessions() {
    let story = batch(&SESSIONS);
    stands_until(&story, "consumer_not_moved", "batch", GONE_AT);
    let before = story.busy("09:20:30");
    assert_eq!((before.consumers.on_old, before.consumers.silent), (1, 0));
    let gone = story.busy(GONE_AT);
    check(&gone, NotReady, [("quiet_running", OLD)]);
    assert_eq!((gone.consumers.on_old, gone.consumers.silent), (0, 1));
    stands_until(&story, "quiet_running", OLD, "09:20:35");
    check(&story.busy("09:20:35"), Ready, []);
}

#[test]
fn what_is_known_of_the_cadence_is_said_with_what_clears_the_blocker() {
    let said = ["more than 40 min (5 gaps", "at most 20 min", "retire or waive"];
    says(&batch(&SESSIONS).busy("09:00:00"), "consumer_not_moved", "batch", &said);
    let said = ["cannot mean that it is gone", "4 of 5 gaps", "at most 20 min"];
    says(&batch(&SESSIONS[1..]).busy("09:00:00"), "consumer_not_moved", "batch", &said);
    let said = ["cannot mean that it is gone", "0 of 5 gaps between its sessions known)"];
    says(&batch(&SESSIONS[5..]).busy("09:00:00"), "consumer_not_moved", "batch", &said);
}

#[test]
fn the_cadence_of_one_that_has_not_moved_enters_the_required_quiet() {
    for now in ["09:00:00", GONE_AT, "10:00:00"] {
        let answer = batch(&SESSIONS).busy(now);
        assert_eq!(cadence_term(&answer), minutes(40), "at {now}");
        assert_eq!(answer.window.required, Duration::from_secs(40 * 60 + 5));
    }
    assert_eq!(cadence_term(&batch(&SESSIONS[1..]).busy("09:00:00")), Duration::ZERO);
    // The longest of several counts.
    let two = batch(&SESSIONS).uses(
        OLD,
        "slow",
        ["06:00:00", "06:30:00", "07:00:00", "07:30:00", "08:00:00", "08:30:00"],
    );
    assert_eq!(cadence_term(&two.busy("09:00:00")), minutes(60));
}

#[test]
fn one_gap_too_few_and_no_silence_is_long_enough() {
    let story = batch(&SESSIONS[1..]);
    for now in [GONE_AT, "10:30:00"] {
        let answer = story.busy(now);
        check(&answer, NotReady, [("consumer_not_moved", "batch")]);
        assert_eq!(blocker(&answer, "consumer_not_moved", "batch").clears_at, None);
        assert_eq!(answer.earliest_ready_at, None);
    }
    let fewer = story.policy(|policy| policy.cadence_min_samples = 4);
    stands_until(&fewer, "consumer_not_moved", "batch", GONE_AT);
    check(&fewer.busy("09:20:35"), Ready, []);
}

#[test]
fn many_uses_in_one_burst_are_one_session_and_prove_nothing() {
    let mut story = quiet_host();
    for minute in 0..40 {
        story = story.uses(OLD, "batch", [&*format!("08:{minute:02}:00")]);
    }
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", "batch")]);
}

#[test]
fn uses_that_may_be_closer_than_the_session_gap_are_one_session() {
    let five = ["07:00:00", "07:20:00", "07:40:00", "08:00:00", "08:20:00"];
    let last = |when| batch(&five).uses(OLD, "batch", [when]);
    // Up to a second less than 15 minutes, and surely more.
    check(&last("08:35:00").busy("10:30:00"), NotReady, [("consumer_not_moved", "batch")]);
    check(&last("08:35:01").busy("10:30:00"), Ready, []);
    let shorter = |policy: &mut keydrain::engine::policy::Policy| policy.session_gap = minutes(10);
    check(&last("08:35:00").policy(shorter).busy("10:30:00"), Ready, []);
}

#[test]
fn the_largest_gap_counts_wherever_it_stands() {
    let times = ["06:10:00", "06:30:00", "07:20:00", "07:40:00", "08:00:00", "08:20:00"];
    // 50 minutes between the second and the third.
    stands_until(&batch(&times), "consumer_not_moved", "batch", "10:00:30.000000001");
}

#[test]
fn the_factor_of_the_policy_stretches_the_silence_that_is_demanded() {
    let story = batch(&SESSIONS).policy(|policy| policy.cadence_factor = 1.5);
    stands_until(&story, "consumer_not_moved", "batch", "09:10:30.000000001");
    check(&story.busy("09:10:35"), Ready, []);
}

#[test]
fn a_consumer_of_both_keys_that_fell_silent_on_the_old_one_is_gone_too() {
    // The new key of 08:30:00 came before its last use of the old one.
    let story = batch(&SESSIONS).uses(NEW, "batch", ["08:30:00"]);
    assert_eq!(story.busy("09:00:00").consumers.mixed, 1);
    stands_until(&story, "consumer_not_moved", "batch", GONE_AT);
    check(&story.busy("09:20:35"), Ready, []);
}

#[test]
fn a_consumer_that_moves_before_it_would_count_as_gone_need_not_wait_for_that() {
    // On the new key since 08:41:00: moved when silent for longer than 20 min, gone after 40.
    let story = batch(&SESSIONS).uses(NEW, "batch", ["08:41:00"]);
    let moved = "09:00:30.000000001";
    stands_until(&story, "consumer_not_moved", "batch", moved);
    let before = story.busy("09:00:30");
    assert_eq!((cadence_term(&before), before.earliest_ready_at), (minutes(40), Some(at(moved))));
    assert_eq!(blocker(&before, "quiet_running", OLD).clears_at, Some(at(moved)));
    let after = story.busy(moved);
    check(&after, Ready, []);
    assert_eq!(cadence_term(&after), Duration::ZERO);
}

#[test]
fn a_regressed_consumer_is_never_gone_and_clears_as_a_moved_one_does() {
    // Back at 09:20:00 after 40 minutes, in between on the new key.
    let story = batch(&SESSIONS).uses(NEW, "batch", ["08:41:00"]).uses(OLD, "batch", ["09:20:00"]);
    let story = story.uses(NEW, "other", ["09:25:00"]).heartbeats("10:31:00", "12:00:00");
    let answer = story.busy("12:00:00");
    check(&answer, NotReady, [("consumer_regressed", "batch")]);
    assert_eq!(blocker(&answer, "consumer_regressed", "batch").clears_at, None);
    assert_eq!(cadence_term(&answer), minutes(80), "and its cadence counts");
    let back = story.uses(NEW, "batch", ["09:21:00"]);
    stands_until(&back, "consumer_regressed", "batch", "10:40:30.000000001");
    check(&back.busy("10:40:30.000000001"), Ready, []);
}

#[test]
fn a_gap_within_the_quiet_that_a_cadence_demands_is_missing_evidence() {
    let story = batch(&SESSIONS).lost("09:00:30");
    let gone = story.busy(GONE_AT);
    assert_eq!(gone.verdict, Unknown);
    assert!(standing(&gone).contains(&("coverage_gap", ACCESS_LOG)));
    assert!(!standing(&gone).contains(&("consumer_not_moved", "batch")));
    stands_until(&story, "coverage_gap", ACCESS_LOG, "09:41:05");
    // Observation begins anew with the first line after the gap.
    check(&story.busy("09:41:05"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("09:41:35"), Ready, []);
}

#[test]
fn a_gap_between_sessions_in_which_evidence_was_lost_is_none() {
    // The pattern seems to be the same, and one of the five stays away was not observed.
    let story = batch(&SESSIONS).lost("07:50:00").uses(NEW, "other", ["07:50:30"]);
    let answer = story.busy("10:00:00");
    check(&answer, NotReady, [("consumer_not_moved", "batch")]);
    says(&answer, "consumer_not_moved", "batch", &["4 of 5 gaps"]);
    let again = story.uses(OLD, "batch", ["09:00:00"]);
    stands_until(&again, "consumer_not_moved", "batch", "09:40:30.000000001");
    // A stream that was retired is no evidence that could be missing.
    let stream = keydrain::engine::credential::StreamName::new("/old.log");
    let retired = JournalEvent::SourceRetired(
        keydrain::engine::credential::SourceName::new("edge"),
        Some(stream),
    );
    let other = batch(&SESSIONS).on("edge", "/old.log").heartbeats("06:00:00", "07:50:00");
    let other = other.uses(NEW, "other", ["06:10:00"]).lost("07:50:30").told("08:00:00", retired);
    let story = other.on("edge", ACCESS_LOG);
    assert!(!standing(&story.busy("09:20:35")).contains(&("consumer_not_moved", "batch")));
}

#[test]
fn a_watermark_ahead_of_the_clock_proves_no_silence() {
    // The clock was 20 minutes ahead, and is set back.
    let mut world = batch(&SESSIONS).world(at("09:30:00"));
    assert!(!standing(&world.answer(at("09:30:00"))).contains(&("consumer_not_moved", "batch")));
    let answer = world.answer(at("09:10:00"));
    assert_eq!(answer.watermark, Some(at("09:29:30")));
    assert!(standing(&answer).contains(&("consumer_not_moved", "batch")));
    assert_eq!(answer.silence.expect("since 08:40:00").quiet, minutes(30));
}

#[test]
fn no_evidence_is_no_silence() {
    let story = Story::new()
        .started("06:00:00")
        .heartbeats("06:00:00", "09:00:00")
        .uses(NEW, "other", ["08:50:00"])
        .uses(OLD, "batch", SESSIONS);
    check(
        &story.answer("12:00:00"),
        Unknown,
        [
            ("source_behind", "edge"),
            ("source_silent", ACCESS_LOG),
            ("quiet_running", OLD),
            ("consumer_not_moved", "batch"),
        ],
    );
}

#[test]
fn the_anonymous_pool_is_one_consumer_with_a_cadence_of_its_own() {
    let story = quiet_host().uses(OLD, "-", SESSIONS);
    stands_until(&story, "consumer_not_moved", "anonymous", GONE_AT);
    check(&story.busy("09:20:35"), Ready, []);
}

#[test]
fn health_checks_and_those_who_are_retired_or_waived_have_no_cadence_to_wait_for() {
    let synthetic = RosterEntry { synthetic: true, ..on_roster("batch") };
    let retired = JournalEvent::ConsumerRetired("batch".into());
    let waived = |until| JournalEvent::ConsumerWaived("batch".into(), at(until));
    let stories = [
        batch(&SESSIONS).roster([synthetic]),
        batch(&SESSIONS).told("08:55:00", retired.clone()),
        batch(&SESSIONS).told("08:55:00", waived("09:10:00")),
    ];
    for story in &stories {
        let answer = story.busy("09:05:00");
        check(&answer, Ready, []);
        assert_eq!(cadence_term(&answer), Duration::ZERO);
    }
    // When the waiver is over, its cadence counts again and demands a longer quiet.
    let over = stories[2].busy("09:10:00");
    check(&over, NotReady, [("quiet_running", OLD), ("consumer_not_moved", "batch")]);
    assert_eq!(cadence_term(&over), minutes(40));
    // A retired consumer that presents the old key is one that has not moved.
    let back = batch(&SESSIONS[..5]).told("08:30:00", retired).uses(OLD, "batch", ["08:40:00"]);
    assert_eq!(cadence_term(&back.busy("09:05:00")), minutes(40));
    stands_until(&back, "consumer_not_moved", "batch", GONE_AT);
}

#[test]
fn one_that_was_taken_for_gone_and_comes_back_blocks_and_is_waited_for_longer() {
    let story =
        batch(&SESSIONS).heartbeats("10:31:00", "12:30:00").uses(OLD, "batch", ["09:40:00"]);
    let answer = story.busy("09:41:00");
    let expected =
        [("old_key_in_use", "batch"), ("consumer_not_moved", "batch"), ("new_key_unused", NEW)];
    check(&answer, NotReady, expected);
    let story = story.uses(NEW, "other", ["09:45:00"]);
    // Its largest gap is an hour now.
    stands_until(&story, "consumer_not_moved", "batch", "11:40:30.000000001");
}

#[test]
fn a_late_use_ends_the_silence_at_its_arrival() {
    let story = batch(&SESSIONS).line_written("08:45:00", "09:10:00", OLD, "batch");
    assert!(standing(&story.busy("09:30:00")).contains(&("consumer_not_moved", "batch")));
}

#[test]
fn a_consumer_of_the_roster_that_is_gone_is_not_missing_and_one_never_seen_is() {
    let story = batch(&SESSIONS).roster([on_roster("batch"), on_roster("billing")]);
    let answer = story.busy("09:30:00");
    check(&answer, NotReady, [("consumer_missing", "billing")]);
    assert_eq!((answer.consumers.silent, answer.consumers.total), (2, 3));
    // Denied on either key is no proof of life, and on the old one it is a use that must end.
    let denied = |key| story.clone().line("09:00:00", key, "billing", 403).busy("09:30:00");
    check(&denied(NEW), NotReady, [("consumer_missing", "billing")]);
    assert!(standing(&denied(OLD)).contains(&("consumer_not_moved", "billing")));
}

#[test]
fn silence_of_everybody_without_a_use_of_the_new_key_is_not_ready() {
    let story = Story::new()
        .started("06:00:00")
        .heartbeats("06:00:00", "10:30:00")
        .uses(OLD, "batch", SESSIONS);
    check(&story.busy("10:00:00"), NotReady, [("new_key_unused", NEW)]);
}

#[test]
fn a_restart_changes_nothing_about_who_is_gone() {
    let story = batch(&SESSIONS).restarted("08:45:00").restarted("09:19:00");
    stands_until(&story, "consumer_not_moved", "batch", GONE_AT);
    assert_eq!(story.busy_at(at("09:20:35").minus(INSTANT)).verdict, NotReady);
    check(&story.busy("09:20:35"), Ready, []);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn gone_is_who_was_silent_for_longer_than_an_oracle_over_all_uses_allows(
        gaps in proptest::collection::vec(proptest::prop_oneof![1_u64..30, 600..1_200_u64, 900..2_400_u64], 4..14),
        silence in 600_u64..6_000,
    ) {
        let mut times = vec![at("06:00:00")];
        for gap in &gaps {
            times.push(times[times.len() - 1].plus(Duration::from_secs(*gap)));
        }
        let clock = |at: keydrain::engine::time::Timestamp| at.to_string()[11..19].to_owned();
        let mut story = Story::new().started("06:00:00").uses(NEW, "other", ["06:00:00"]);
        for time in &times {
            story = story.uses(OLD, "batch", [&*clock(*time)]);
        }
        // The watermark is 30 s behind.
        let last = times[times.len() - 1];
        let answer = story.busy_at(last.plus(Duration::from_secs(silence + 30)));
        let sessions = gaps.iter().filter(|gap| **gap > 900).count();
        let gone = sessions >= 5 && silence > 2 * gaps.iter().max().expect("there are gaps");
        proptest::prop_assert_eq!(answer.consumers.silent == 1, gone);
        proptest::prop_assert_eq!(
            !gone,
            standing(&answer).contains(&("consumer_not_moved", "batch"))
        );
    }
}

/// A line that came late counted as a use at its arrival, and halved the gap that it fell into: one
/// more use of the old key made its consumer moved sooner.
#[test]
fn a_late_use_makes_no_gap_smaller_and_no_session() {
    let story = |late: bool| {
        let story = Story::new()
            .heartbeats("08:00:00", "14:30:00")
            .uses(OLD, "batch", ["08:01:00", "11:00:00"])
            .uses(NEW, "batch", ["11:01:00"]);
        if late { story.line_read("08:00:30", "09:30:00", OLD, "batch", 200) } else { story }
    };
    // Silent for longer than 2 h 59 min; lines may be five minutes late, as that one showed.
    for (late, ends) in [(false, "13:59:30"), (true, "14:04:00")] {
        check(&story(late).busy(ends), NotReady, [("consumer_not_moved", "batch")]);
    }
    check(&story(false).busy("13:59:30.000000001"), Ready, []);
    check(&story(true).restarted("13:00:00").busy("14:04:00.000000001"), Ready, []);
    // A burst and as many late lines as there must be gaps: still one session.
    let mut burst =
        batch(&["08:00:00", "08:00:10"]).policy(|policy| policy.cadence_min_samples = 2);
    for arrival in ["09:00:00", "10:00:00", "11:00:00"] {
        burst = burst.line_read("08:00:05", arrival, OLD, "batch", 200);
    }
    let answer = burst.busy("20:00:00");
    assert!(standing(&answer).contains(&("consumer_not_moved", "batch")), "{:?}", answer.blockers);
}

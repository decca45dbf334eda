//! Rows about the threshold: whose presentations of the old key are few enough to be tolerated.

use keydrain::engine::answer::Answer;
use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::policy::ThresholdOf;
use keydrain::engine::rotation::{JournalEvent, RosterEntry};
use keydrain::engine::view::Event;

use crate::story::{
    Story, at, blocker, check, minutes, moved_over, on_roster, says, standing, stands_until,
};
use crate::world::{ACCESS_LOG, NEW, OLD};

/// Everybody moved at 10:01:00; two presentations within a quiet period are tolerated.
fn tolerant() -> Story {
    moved_over().policy(|policy| policy.threshold = 2)
}

fn tolerant_of_all() -> Story {
    moved_over().policy(|policy| {
        policy.threshold = 2;
        policy.threshold_of = ThresholdOf::All;
    })
}

fn cut_off(answer: &Answer) -> Vec<&str> {
    let used = answer.warnings.iter().filter(|w| w.code.as_str() == "threshold_used");
    used.map(|w| w.subject.as_str()).collect()
}

#[test]
fn as_many_presentations_as_the_threshold_are_tolerated_and_one_more_is_not() {
    let story = tolerant().uses(OLD, "-", ["10:20:00", "10:25:00"]);
    check(&story.busy("10:30:00"), Ready, []);
    let more = story.uses(OLD, "-", ["10:26:00"]);
    check(
        &more.busy("10:30:00"),
        NotReady,
        [
            ("old_key_in_use", "anonymous"),
            ("consumer_not_moved", "anonymous"),
            ("new_key_unused", NEW),
        ],
    );
}

#[test]
fn without_a_threshold_none_is_tolerated() {
    let story = moved_over().uses(OLD, "-", ["10:20:00"]);
    assert_eq!(story.busy("10:30:00").verdict, NotReady);
    let one = story.policy(|policy| policy.threshold = 1);
    check(&one.busy("10:30:00"), Ready, []);
}

#[test]
fn those_over_the_threshold_are_tolerated_once_they_stayed_under_it_over_the_whole_window() {
    // The minute of 10:20 must leave the window of 15 min 5 s.
    let story = tolerant().uses(OLD, "-", ["10:20:00", "10:25:00", "10:26:00"]);
    for (code, subject) in [("old_key_in_use", "anonymous"), ("consumer_not_moved", "anonymous")] {
        stands_until(&story, code, subject, "10:36:35");
    }
    let answer = story.busy("10:30:00");
    // Silence alone proves nothing of it: what clears it is said.
    says(
        &answer,
        "consumer_not_moved",
        "anonymous",
        &["tolerated once it stays under the threshold"],
    );
    assert!(!blocker(&answer, "old_key_in_use", "anonymous").message.contains("threshold"));
    assert_eq!(answer.earliest_ready_at, Some(at("10:36:35")));
    assert_eq!(blocker(&answer, "new_key_unused", NEW).clears_at, Some(at("10:36:35")));
    check(&story.busy("10:36:35"), Ready, []);
}

#[test]
fn a_steady_trickle_stays_tolerated() {
    let mut story = tolerant();
    for minute in ["05", "15", "25", "35", "45", "55"] {
        story = story.uses(OLD, "-", [&*format!("10:{minute}:00")]);
    }
    for now in ["10:20:35", "10:36:00", "10:44:59", "10:45:00", "11:00:00"] {
        check(&story.busy(now), Ready, []);
    }
    // 15 minutes may hold both ends of two neighbours and the one in between.
    let dense = story.uses(OLD, "-", ["10:50:00"]);
    assert_eq!(dense.busy("11:00:00").verdict, NotReady);
}

#[test]
fn a_burst_that_comes_back_is_no_trickle_in_between() {
    let mut story = Story::new()
        .policy(|policy| policy.threshold = 2)
        .started("07:00:00")
        .heartbeats("07:00:00", "13:00:00")
        .uses(NEW, "other", ["10:30:00"]);
    for hour in 7..=10 {
        for second in ["00", "10", "20"] {
            story = story.uses(OLD, "-", [&*format!("{hour:02}:00:{second}")]);
        }
    }
    // Nothing for 50 minutes, and it was never away for longer than an hour.
    check(&story.busy("10:50:00"), NotReady, [("consumer_not_moved", "anonymous")]);
    // Twice its longest stay away (59 min 40 s) and 5 s after the minute of the last burst.
    stands_until(&story, "consumer_not_moved", "anonymous", "12:00:55");
    check(&story.busy("12:00:55"), Ready, []);
}

#[test]
fn a_burst_before_the_window_does_not_matter_and_one_within_it_does() {
    let mut story = tolerant();
    for second in 10..50 {
        story = story.uses(OLD, "-", [&*format!("10:05:{second}")]);
    }
    stands_until(&story, "consumer_not_moved", "anonymous", "10:21:35");
    let trickle = story.uses(OLD, "-", ["10:12:00"]);
    // Its largest gap is 6 min 11 s: the window stays at 15 min 5 s.
    stands_until(&trickle, "consumer_not_moved", "anonymous", "10:21:35");
    check(&trickle.busy("10:21:35"), Ready, []);
}

#[test]
fn named_consumers_are_tolerated_only_if_the_threshold_is_of_all() {
    let use_of = |story: Story| story.uses(OLD, "batch", ["10:20:00"]).busy("10:30:00");
    let expected =
        [("old_key_in_use", "batch"), ("consumer_not_moved", "batch"), ("new_key_unused", NEW)];
    check(&use_of(tolerant()), NotReady, expected);
    let answer = use_of(tolerant_of_all());
    check(&answer, Ready, []);
    assert_eq!(cut_off(&answer), ["batch"]);
}

#[test]
fn all_that_the_threshold_is_about_must_stay_under_it_together() {
    let two = tolerant_of_all().uses(OLD, "batch", ["10:20:00"]).uses(OLD, "-", ["10:21:00"]);
    check(&two.busy("10:30:00"), Ready, []);
    assert_eq!(cut_off(&two.busy("10:30:00")), ["anonymous", "batch"]);
    let three = two.uses(OLD, "report", ["10:22:00"]).busy("10:30:00");
    for consumer in ["anonymous", "batch", "report"] {
        assert!(standing(&three).contains(&("old_key_in_use", consumer)), "{consumer}");
        assert!(standing(&three).contains(&("consumer_not_moved", consumer)), "{consumer}");
    }
    assert_eq!(cut_off(&three), Vec::<&str>::new());
}

#[test]
fn denied_and_failed_presentations_count_as_any_other() {
    for status in [401, 403, 500] {
        let story = tolerant().uses(OLD, "-", ["10:20:00", "10:25:00"]);
        let story = story.line("10:26:00", OLD, "-", status);
        assert_eq!(story.busy("10:30:00").verdict, NotReady, "{status}");
        let few = tolerant().line("10:20:00", OLD, "-", status).line("10:26:00", OLD, "-", status);
        check(&few.busy("10:30:00"), Ready, []);
    }
}

#[test]
fn a_late_line_counts_from_its_arrival() {
    let story = tolerant().uses(OLD, "-", ["10:20:00", "10:25:00"]);
    let late = story.line_written("09:10:00", "10:26:00", OLD, "-");
    assert!(standing(&late.busy("10:30:00")).contains(&("old_key_in_use", "anonymous")));
}

#[test]
fn a_line_read_ahead_of_the_watermark_counts() {
    let story = tolerant().uses(OLD, "-", ["10:20:00", "10:25:00", "10:29:59"]);
    assert_eq!(story.busy("10:29:59").verdict, NotReady);
}

#[test]
fn health_checks_are_not_tolerated_and_the_waived_are_not_counted() {
    let probe = RosterEntry { synthetic: true, ..on_roster("probe") };
    let checked = tolerant_of_all().roster([probe]).uses(OLD, "probe", ["10:20:00"]);
    assert!(standing(&checked.busy("10:30:00")).contains(&("old_key_in_use", "probe")));
    let story = tolerant_of_all().uses(OLD, "partner", ["10:19:00"]).uses(
        OLD,
        "batch",
        ["10:20:00", "10:21:00"],
    );
    assert_eq!(story.busy("10:30:00").verdict, NotReady);
    let excused = JournalEvent::ConsumerWaived("partner".into(), at("10:35:00"));
    let waived = story.told("10:25:00", excused);
    let answer = waived.busy("10:34:59");
    check(&answer, Ready, []);
    assert_eq!(cut_off(&answer), ["batch"]);
    assert_eq!(waived.busy("10:35:00").verdict, NotReady, "the partner counts again");
}

#[test]
fn a_consumer_that_was_never_seen_is_not_tolerated() {
    let story = tolerant_of_all().roster([on_roster("billing")]).uses(OLD, "-", ["10:20:00"]);
    check(&story.busy("10:30:00"), NotReady, [("consumer_missing", "billing")]);
}

#[test]
fn a_regressed_consumer_may_be_tolerated() {
    // Back after 30 minutes: an hour from the minute in which it was over the threshold.
    let story =
        tolerant_of_all().heartbeats("11:01:00", "12:00:00").uses(OLD, "checkout", ["10:30:00"]);
    stands_until(&story, "consumer_regressed", "checkout", "11:00:35");
    let answer = story.busy("11:00:35");
    check(&answer, Ready, []);
    assert_eq!((cut_off(&answer), answer.consumers.regressed), (vec!["checkout"], 1));
}

#[test]
fn whom_the_revocation_would_cut_off_is_said_and_shown() {
    let story = tolerant().uses(OLD, "-", ["10:20:00", "10:25:00"]);
    let answer = story.busy("10:30:00");
    assert_eq!(cut_off(&answer), ["anonymous"]);
    let used = answer.warnings.iter().find(|w| w.code.as_str() == "threshold_used").expect("told");
    for fragment in ["revoking 2025-q4 would cut off anonymous", "2 presentations", "5 min ago"] {
        assert!(used.message.contains(fragment), "{}", used.message);
    }
    assert!(
        answer.message.contains("quiet but for tolerated uses for 29 min"),
        "{}",
        answer.message
    );
    assert_eq!((answer.consumers.on_old, answer.old_key.accepted), (1, 5));
    assert_eq!(answer.old_key.last_seen, Some(at("10:25:00")));
    // One that has moved is not cut off.
    let moved = tolerant().uses(OLD, "-", ["10:02:00"]).uses(NEW, "-", ["10:03:00"]);
    assert_eq!(cut_off(&moved.busy("10:30:00")), Vec::<&str>::new());
}

#[test]
fn what_is_tolerated_enters_no_exposure_and_no_quiet() {
    let story = tolerant().uses(OLD, "-", ["10:20:00"]);
    let story = story.policy(|policy| policy.max_cache_ttl = minutes(30));
    // As without it: from the move of the other consumer at 10:01:00.
    stands_until(&story, "exposure_running", "*", "10:31:30");
    check(&story.busy("10:31:30"), Ready, []);
    // Over the threshold it does, until they are tolerated.
    let over = tolerant().uses(OLD, "-", ["10:20:00", "10:20:10", "10:20:20"]);
    let over = over.policy(|policy| policy.max_cache_ttl = minutes(20));
    for now in ["10:21:00", "10:30:00"] {
        let clears = blocker(&over.busy(now), "exposure_running", "*").clears_at;
        assert_eq!(clears, Some(at("10:36:35")), "at {now}");
    }
    check(&over.busy("10:36:35"), Ready, []);
}

#[test]
fn one_use_too_many_takes_a_ready_back() {
    let story = tolerant()
        .uses(OLD, "-", ["10:20:00", "10:25:00"])
        .asked("10:25:30")
        .uses(OLD, "-", ["10:26:00"])
        .asked("10:26:01");
    let retractions = |now: &str| {
        let mut world = story.world(at(now));
        world.answer(at(now));
        world.events.iter().filter(|event| matches!(event, Event::Retracted(_))).count()
    };
    assert_eq!((retractions("10:25:59"), retractions("10:26:02")), (0, 1));
    says(&story.busy("10:26:02"), "old_key_in_use", "anonymous", &["used 2 s ago by anonymous"]);
}

#[test]
fn the_window_that_others_demand_is_the_one_in_which_they_must_stay_under_it() {
    // Somebody gone demands 40 min 5 s of quiet; three of the pool are 30 minutes old.
    let story = Story::new()
        .policy(|policy| policy.threshold = 2)
        .started("06:00:00")
        .heartbeats("06:00:00", "10:30:00")
        .uses(NEW, "other", ["09:05:00"])
        .uses(
            OLD,
            "batch",
            ["07:00:00", "07:20:00", "07:40:00", "08:00:00", "08:20:00", "08:40:00"],
        )
        .uses(OLD, "-", ["08:55:00", "08:55:10", "08:55:20"]);
    stands_until(&story, "consumer_not_moved", "anonymous", "09:36:35");
    check(&story.busy("09:36:35"), Ready, []);
}

#[test]
fn lost_evidence_within_the_window_of_the_tolerated_is_missing_and_no_use() {
    // A burst an hour ago may have been lost: it was away for up to 40 min, so 80 min 5 s count.
    // That long ago is counted by the hour.
    let story = tolerant().policy(|policy| policy.threshold = 3);
    let story = story.uses(OLD, "-", ["09:20:00", "10:00:00", "10:35:00"]);
    check(&story.busy("10:50:00"), Ready, []);
    let lost = story.lost("09:45:30").uses(NEW, "checkout", ["09:46:00"]);
    check(
        &lost.busy("10:50:00"),
        Unknown,
        [("coverage_gap", ACCESS_LOG), ("observation_too_short", "*")],
    );
    stands_until(&lost, "coverage_gap", ACCESS_LOG, "11:06:05");
    let longer = lost.heartbeats("11:01:00", "11:30:00");
    stands_until(&longer, "observation_too_short", "*", "11:06:35");
    check(&longer.busy("11:06:35"), Ready, []);
    // Without the pool it would be long over.
    let without = moved_over().lost("09:45:30").uses(NEW, "checkout", ["09:46:00"]);
    check(&without.busy("10:50:00"), Ready, []);
}

#[test]
fn those_who_moved_or_are_gone_are_not_counted_with_those_who_stay() {
    // Three uses by one that moved to the new key with its next use.
    let single = RosterEntry { single: true, ..on_roster("weekly") };
    let story = tolerant_of_all()
        .roster([single])
        .uses(OLD, "weekly", ["10:10:00", "10:10:10", "10:10:20"])
        .uses(NEW, "weekly", ["10:11:00"])
        .uses(OLD, "batch", ["10:12:00"]);
    check(&story.busy("10:25:55"), Ready, []);
    // And theirs is a use of the old key as any other.
    check(&story.busy("10:25:49"), NotReady, [("old_key_in_use", "weekly")]);
}

#[test]
fn a_restart_changes_nothing_about_what_is_tolerated() {
    let story = tolerant().uses(OLD, "-", ["10:20:00", "10:25:00", "10:26:00"]);
    stands_until(&story.restarted("10:30:00"), "old_key_in_use", "anonymous", "10:36:35");
}

/// A mask within the time over which the pool must have been rare may hide one of its uses.
#[test]
fn what_hides_a_use_within_the_window_of_the_tolerated_is_missing_evidence() {
    let story = tolerant().policy(|policy| policy.threshold = 3);
    let pool = story.uses(OLD, "-", ["09:20:00", "10:00:00", "10:35:00"]);
    let masked = pool.line("09:50:00", "***", "checkout", 200);
    check(&masked.busy("10:50:00"), Unknown, [("source_masked", ACCESS_LOG)]);
    stands_until(&masked, "source_masked", ACCESS_LOG, "11:10:35");
    let without = moved_over().line("09:50:00", "***", "checkout", 200);
    check(&without.busy("10:50:00"), Ready, []);
}

#[test]
fn a_hold_does_not_clear_when_the_threshold_tolerates_somebody() {
    let story = tolerant()
        .uses(OLD, "-", ["10:20:00", "10:25:00", "10:26:00"])
        .told("10:20:00", JournalEvent::Hold);
    let answer = story.busy("10:30:00");
    assert_eq!(blocker(&answer, "hold", "*").clears_at, None);
    assert!(blocker(&answer, "consumer_not_moved", "anonymous").clears_at.is_some());
    assert_eq!(answer.earliest_ready_at, None);
}

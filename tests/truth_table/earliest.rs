//! Rows about when it will be ready: at that time it is, and an instant before it is not.

use keydrain::engine::answer::Verdict::Ready;
use keydrain::engine::policy::ThresholdOf;
use keydrain::engine::rotation::{JournalEvent, RosterEntry};

use crate::story::{INSTANT, Story, at, minutes, moved_over, on_roster, standing};
use crate::world::{NEW, OLD};

/// Asserts that `codes` stand at `asked`, and that the time told then is kept to the instant.
#[track_caller]
fn is_kept(story: &Story, asked: &str, codes: &[&str]) {
    let answer = story.busy(asked);
    for code in codes {
        let stands = standing(&answer).iter().any(|(standing, _)| standing == code);
        assert!(stands, "{code} stands at {asked}: {:?}", answer.blockers);
    }
    let told = answer.earliest_ready_at.expect("only time is missing");
    let before = story.busy_at(told.minus(INSTANT));
    assert_ne!(before.verdict, Ready, "an instant before {told}");
    assert_eq!(before.earliest_ready_at, Some(told), "it is told until then");
    let then = story.busy_at(told);
    assert_eq!(then.verdict, Ready, "at {told}: {:?}", then.blockers);
}

/// A consumer with five gaps of 20 minutes that was last on the old key at 08:40:00.
fn sessions() -> Story {
    Story::new()
        .started("06:00:00")
        .heartbeats("06:00:00", "11:30:00")
        .uses(NEW, "other", ["08:40:30", "08:50:00", "09:30:00"])
        .uses(
            OLD,
            "batch",
            ["07:00:00", "07:20:00", "07:40:00", "08:00:00", "08:20:00", "08:40:00"],
        )
}

#[test]
fn with_a_quiet_that_is_running() {
    is_kept(&moved_over(), "10:15:32", &["quiet_running"]);
    is_kept(&moved_over(), "10:02:00", &["old_key_in_use"]);
    is_kept(&moved_over().line("10:00:30", OLD, "checkout", 403), "10:05:00", &["old_key_denied"]);
}

#[test]
fn with_caches_and_connections_that_may_hold_the_old_key() {
    let story = moved_over().policy(|policy| policy.max_connection_lifetime = minutes(40));
    is_kept(&story, "10:20:00", &["exposure_running"]);
    let entry = RosterEntry { max_cache_ttl: minutes(45), ..on_roster("checkout") };
    is_kept(&moved_over().roster([entry]), "10:20:00", &["exposure_running"]);
}

#[test]
fn with_a_consumer_that_moves_by_silence() {
    is_kept(
        &sessions().uses(NEW, "batch", ["08:41:00"]),
        "08:56:00",
        &["consumer_not_moved", "quiet_running"],
    );
    // Both keys since its first use of the new one: twice its largest gap.
    let mixed = sessions().uses(NEW, "batch", ["08:30:00", "08:41:00"]);
    is_kept(&mixed, "08:56:00", &["consumer_not_moved"]);
}

#[test]
fn with_a_job_in_a_run_whose_consumer_moves_before_the_run_ends() {
    let story = Story::new()
        .job("batch", "*/20 * * * *", minutes(10))
        .heartbeats("08:00:00", "11:00:00")
        .uses(OLD, "batch", ["08:00:00", "08:20:00", "08:40:00"])
        .uses(NEW, "batch", ["09:00:10"]);
    is_kept(&story, "09:00:20", &["job_running", "consumer_not_moved"]);
    let told = story.busy("09:00:20").earliest_ready_at;
    assert_eq!(told, Some(at("09:00:30.000000001")), "not the end of the run at 09:10");
}

#[test]
fn with_a_consumer_that_counts_as_gone_by_silence() {
    is_kept(&sessions(), "08:41:00", &["old_key_in_use"]);
    is_kept(&sessions(), "09:00:00", &["consumer_not_moved", "quiet_running"]);
    is_kept(&sessions(), "09:20:31", &["quiet_running"]);
    // Another one that moves first, and whose cadence would demand more until then.
    let slow = ["06:00:00", "06:26:00", "06:52:00", "07:18:00", "07:44:00", "08:10:00"];
    let two = sessions().uses(OLD, "slow", slow).uses(NEW, "slow", ["08:11:00"]);
    is_kept(&two, "08:56:00", &["consumer_not_moved", "quiet_running"]);
}

#[test]
fn with_a_consumer_that_came_back() {
    let story = moved_over().heartbeats("11:01:00", "12:00:00");
    let back = story.uses(OLD, "checkout", ["10:30:00"]).uses(NEW, "checkout", ["10:31:00"]);
    is_kept(&back, "10:50:00", &["consumer_regressed"]);
}

#[test]
fn with_presentations_above_the_threshold() {
    let tolerant = |threshold_of| {
        moved_over().policy(move |policy| {
            policy.threshold = 1;
            policy.threshold_of = threshold_of;
        })
    };
    let pool = tolerant(ThresholdOf::Anonymous).uses(OLD, "-", ["10:20:00", "10:22:00"]);
    is_kept(&pool, "10:25:00", &["old_key_in_use", "consumer_not_moved"]);
    let all = tolerant(ThresholdOf::All).uses(OLD, "batch", ["10:20:00", "10:32:00"]);
    is_kept(&all, "10:33:00", &["old_key_in_use", "consumer_not_moved", "new_key_unused"]);
    // The window of an hour and more is known by the hour first, by the minute later.
    let slow = sessions().uses(OLD, "-", ["08:02:00", "08:03:00", "08:40:00"]);
    let slow = slow.policy(|policy| policy.threshold = 2);
    is_kept(&slow, "08:59:00", &["consumer_not_moved"]);
}

#[test]
fn with_periods_and_lost_evidence() {
    let story = moved_over().policy(|policy| {
        policy.min_overlap = Some(minutes(30));
        policy.notice_period = minutes(50);
    });
    let told = story.told("09:50:00", JournalEvent::ConsumersNotified);
    is_kept(&told, "10:20:00", &["min_overlap", "notice_running"]);
    let lost = sessions().uses(NEW, "batch", ["08:41:00"]).lost("08:42:30");
    is_kept(&lost, "08:57:00", &["coverage_gap"]);
}

#[test]
fn it_is_not_told_beyond_the_end_of_a_waiver_or_while_more_than_time_is_missing() {
    let waived = |until| {
        let waiver = JournalEvent::ConsumerWaived("partner".into(), at(until));
        moved_over().uses(OLD, "partner", ["09:30:00"]).told("09:31:00", waiver)
    };
    is_kept(&waived("10:15:35.000000001"), "10:05:00", &["old_key_in_use"]);
    assert_eq!(waived("10:15:35").busy("10:05:00").earliest_ready_at, None);
    let missing = moved_over().roster([on_roster("billing")]);
    assert_eq!(missing.busy("10:05:00").earliest_ready_at, None);
}

//! Rows about how the new key fares: how often it may be denied, to whom, and for how long.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready};
use keydrain::engine::incident::IncidentKind;
use keydrain::engine::rotation::{JournalEvent, RosterEntry};
use keydrain::engine::view::{Event, RotationView};

use crate::story::{
    INSTANT, Story, at, check, minutes, moved_over, moved_over_by, on_roster, says, standing,
    stands_until,
};
use crate::world::{NEW, OLD, World};

/// So many requests with the new key in the minute that begins at `minute`.
fn requests(story: Story, minute: &str, consumer: &str, count: u32, status: u16) -> Story {
    (0..count).fold(story, |story, n| {
        let when = format!("{minute}:{:02}.{:03}", n % 60, n / 60);
        story.line(&when, NEW, consumer, status)
    })
}

/// [`moved_over`] had two accepted requests of checkout with the new key.
fn with_denied(accepted: u32, denied: u32) -> Story {
    let story = requests(moved_over(), "10:10", "checkout", accepted, 200);
    requests(story, "10:12", "checkout", denied, 403)
}

fn fails(story: &Story, now: &str, subject: &str) -> bool {
    standing(&story.busy(now)).contains(&("new_key_failing", subject))
}

fn view(world: &mut World, now: &str) -> RotationView {
    world.answer(at(now));
    world.drain.snapshot("test", 0, at(now)).rotations.swap_remove(0)
}

#[test]
fn a_denied_new_key_blocks_from_twenty_requests_on() {
    check(&with_denied(16, 1).busy("10:30:00"), Ready, []);
    let answer = with_denied(17, 1).busy("10:30:00");
    check(&answer, NotReady, [("new_key_failing", NEW), ("new_key_failing", "checkout")]);
    says(&answer, "new_key_failing", NEW, &["denied in 1 of 20 requests in the last 1 h", "1 %"]);
    says(&answer, "new_key_failing", "checkout", &["1 of 20 requests of checkout"]);
    assert_eq!(answer.blockers[0].code.ground().as_str(), "proof");
}

#[test]
fn the_new_key_may_be_denied_as_often_as_the_policy_allows_and_not_once_more() {
    let of_twenty = |ratio| with_denied(17, 1).policy(move |p| p.new_key_denied_ratio = ratio);
    check(&of_twenty(0.05).busy("10:30:00"), Ready, []);
    assert!(fails(&of_twenty(0.049), "10:30:00", NEW));
    check(&with_denied(97, 1).busy("10:30:00"), Ready, []);
    assert!(fails(&with_denied(96, 1), "10:30:00", NEW));
    check(&with_denied(196, 2).busy("10:30:00"), Ready, []);
}

#[test]
fn a_401_counts_as_a_403_and_an_error_of_the_service_does_not() {
    let with = |status| requests(with_denied(17, 0), "10:12", "checkout", 1, status);
    assert!(fails(&with(401), "10:30:00", NEW));
    assert!(!fails(&with(500), "10:30:00", NEW));
    let both = requests(with(401), "10:13", "checkout", 1, 403);
    assert!(fails(&both, "10:30:00", NEW));
}

#[test]
fn a_failing_new_key_clears_when_more_requests_are_accepted() {
    let story = with_denied(17, 1);
    assert!(fails(&story, "10:14:59", NEW));
    let story = requests(story, "10:15", "checkout", 80, 200);
    check(&story.busy("10:30:00"), Ready, []);
}

#[test]
fn a_failing_new_key_clears_an_hour_after_the_minute_of_the_denial() {
    let story = requests(moved_over_by("11:20:00"), "10:12", "checkout", 1, 403);
    let story = requests(story, "10:20", "checkout", 20, 200);
    stands_until(&story, "new_key_failing", NEW, "11:13:00");
    stands_until(&story, "new_key_failing", "checkout", "11:13:00");
}

#[test]
fn a_failing_new_key_clears_when_too_few_requests_are_left_to_judge_by() {
    let story = requests(moved_over_by("11:20:00"), "10:12", "checkout", 18, 200);
    let story = requests(story, "10:20", "checkout", 2, 403);
    stands_until(&story, "new_key_failing", NEW, "11:13:00");
}

#[test]
fn a_ratio_that_rises_because_old_successes_pass_away_has_its_deadline() {
    let story = requests(moved_over_by("11:20:00"), "10:05", "checkout", 100, 200);
    let story = requests(story, "10:12", "checkout", 1, 403);
    let story = requests(story, "10:20", "checkout", 20, 200);
    let edge = at("11:06:00");
    let before = edge.minus(INSTANT);
    check(&story.busy_at(before), Ready, []);
    assert!(fails(&story, "11:06:00", NEW));
    let mut world = story.world(before);
    world.answer(before);
    assert_eq!(world.drain.next_deadline(before), Some(edge));
}

#[test]
fn a_longer_canary_period_is_a_longer_look_at_the_new_key() {
    let story = requests(moved_over_by("12:30:00"), "10:12", "checkout", 1, 403);
    let story = requests(story, "10:20", "checkout", 20, 200);
    assert!(!fails(&story, "11:30:00", NEW));
    let longer = story.policy(|policy| policy.canary_period = minutes(120));
    assert!(fails(&longer, "11:30:00", NEW));
}

#[test]
fn one_consumer_that_is_denied_blocks_although_all_together_fare_well() {
    let story = requests(moved_over(), "10:10", "checkout", 198, 200);
    let story = requests(story, "10:11", "billing", 18, 200);
    let story = requests(story, "10:12", "billing", 1, 403);
    check(&story.busy("10:30:00"), Ready, []);
    let story = requests(story, "10:13", "billing", 1, 200);
    check(&story.busy("10:30:00"), NotReady, [("new_key_failing", "billing")]);
}

#[test]
fn consumers_too_small_to_judge_alone_are_judged_together() {
    let story = requests(moved_over(), "10:10", "checkout", 9, 200);
    let story = requests(story, "10:11", "billing", 9, 403);
    check(&story.busy("10:30:00"), NotReady, [("new_key_failing", NEW)]);
}

#[test]
fn the_regular_success_of_a_health_check_hides_no_denial() {
    let synthetic = || RosterEntry { synthetic: true, ..on_roster("probe") };
    let story = requests(with_denied(17, 1), "10:14", "probe", 200, 200);
    assert!(!fails(&story, "10:30:00", NEW));
    assert!(fails(&story.roster([synthetic()]), "10:30:00", NEW));
    // One that is denied speaks for itself.
    let denied = requests(moved_over(), "10:14", "probe", 20, 403).roster([synthetic()]);
    check(&denied.busy("10:30:00"), NotReady, [("new_key_failing", "probe")]);
}

#[test]
fn a_waived_consumer_counts_nowhere_and_a_retired_one_as_any_other() {
    let story = requests(moved_over(), "10:10", "billing", 20, 403);
    check(
        &story.busy("10:30:00"),
        NotReady,
        [("new_key_failing", NEW), ("new_key_failing", "billing")],
    );
    let until = JournalEvent::ConsumerWaived("billing".into(), at("10:40:00"));
    let waived = story.clone().told("10:20:00", until);
    check(&waived.busy("10:39:59.999999999"), Ready, []);
    assert!(fails(&waived, "10:40:00", "billing"));
    let retired = story.told("10:20:00", JournalEvent::ConsumerRetired("billing".into()));
    assert!(fails(&retired, "10:30:00", "billing"));
    // The success of a waived one hides nothing either.
    let until = JournalEvent::ConsumerWaived("billing".into(), at("12:00:00"));
    let hidden = requests(with_denied(17, 1), "10:14", "billing", 200, 200);
    assert!(!fails(&hidden, "10:30:00", NEW));
    assert!(fails(&hidden.told("10:20:00", until), "10:30:00", NEW));
}

#[test]
fn what_was_denied_before_both_keys_were_valid_does_not_count() {
    let story = requests(moved_over(), "10:10", "checkout", 20, 401);
    assert!(fails(&story, "10:30:00", NEW), "nobody says that the key was not valid yet");
    let told =
        |happened| story.clone().told_of("10:20:00", happened, JournalEvent::DualAcceptEnabled);
    assert!(!fails(&told("10:11:00"), "10:30:00", NEW));
    assert!(fails(&told("10:10:59"), "10:30:00", NEW), "a minute that is cut counts whole");
}

#[test]
fn a_new_key_that_was_never_accepted_fails_too() {
    let story = Story::new().heartbeats("09:00:00", "11:00:00").uses(
        OLD,
        "checkout",
        ["09:59:58", "10:00:00"],
    );
    let story = requests(story, "10:10", "checkout", 20, 401);
    assert!(fails(&story, "10:30:00", NEW));
}

#[test]
fn a_success_that_is_read_late_hides_no_denial() {
    let mut story = with_denied(17, 1);
    for n in 0..100 {
        let when = format!("10:05:{:02}.{n:03}", n % 60);
        story = story.line_read(&when, "10:25:00", NEW, "checkout", 200);
    }
    assert!(fails(&story, "10:30:00", NEW));
    assert!(fails(&story.restarted("10:26:00"), "10:30:00", NEW));
}

#[test]
fn each_time_that_the_new_key_fails_is_one_incident() {
    let story = with_denied(17, 1).asked("10:13:00").asked("10:14:00").restarted("10:14:30");
    let mut world = story.world(at("10:15:00"));
    let shown = view(&mut world, "10:15:00");
    let subjects: Vec<_> = shown.incidents.iter().map(|it| it.subject.as_str()).collect();
    assert_eq!(subjects, [NEW, "checkout"]);
    assert!(shown.incidents.iter().all(|it| it.kind == IncidentKind::NewKeyFailing));
    assert_eq!(shown.incidents[0].at, at("10:13:00"));
    assert_eq!(shown.incidents[0].ended_at, None);
    let begun = |event: &&Event| matches!(event, Event::IncidentBegan(_));
    assert_eq!(world.events.iter().filter(begun).count(), 2);
}

#[test]
fn a_failure_that_comes_back_within_an_hour_is_the_same_incident() {
    let over = requests(with_denied(17, 1).asked("10:13:00"), "10:15", "checkout", 80, 200);
    let over = over.asked("10:16:00");
    let shown = |story: &Story, now: &str| view(&mut story.world(at(now)), now).incidents;
    let ended = shown(&over, "10:17:00");
    assert_eq!(ended[0].ended_at, Some(at("10:16:00")));
    let back = |minute: &str| {
        let story = requests(over.clone(), minute, "checkout", 50, 403);
        shown(&story, &format!("{minute}:59.5"))
    };
    let same = back("11:15");
    assert_eq!((same.len(), same[0].ended_at), (2, None));
    assert_eq!(back("11:16").len(), 4);
}

#[test]
fn an_overdue_overlap_is_one_incident_that_ends_with_the_rotation() {
    let story = moved_over()
        .policy(|policy| policy.max_overlap = minutes(20))
        .told("10:00:00", JournalEvent::DualAcceptEnabled);
    let shown = |story: &Story, now| view(&mut story.world(now), "10:50:00").incidents;
    assert_eq!(shown(&story.clone().asked("10:20:00"), at("10:20:00")).len(), 1);
    let story = story.asked("10:25:00").asked("10:30:00");
    let story = story.told("10:40:00", JournalEvent::Revoked).asked("10:40:01");
    let ended = shown(&story, at("10:40:01"));
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].kind, IncidentKind::OverlapOverdue);
    assert_eq!((ended[0].at, ended[0].ended_at), (at("10:25:00"), Some(at("10:40:01"))));
}

#[test]
fn a_ready_that_was_taken_back_is_an_incident_and_a_late_line_is_none() {
    let retractions = |story: Story| {
        let mut world = story.told("10:50:00", JournalEvent::Revoked).world(at("10:51:00"));
        world.answer(at("10:51:00"));
        world.drain.snapshot("test", 0, at("10:51:00")).health.incidents.retractions
    };
    let late = moved_over().line_read("10:02:00", "10:25:00", OLD, "checkout", 200);
    assert_eq!(retractions(late), 0);
    let used = moved_over().asked("10:30:00").line("10:31:00", OLD, "checkout", 200);
    assert_eq!(retractions(used.asked("10:31:01")), 1);
}

#[test]
fn the_figures_of_a_program_are_those_of_the_rotations_that_ended() {
    let story = moved_over()
        .policy(|policy| policy.max_overlap = minutes(60))
        .told_of("10:05:00", "09:55:00", JournalEvent::DualAcceptEnabled)
        .told_of("10:05:30", "09:56:00", JournalEvent::ConsumersNotified)
        .told("10:35:00", JournalEvent::Revoked);
    let health = |story: &Story, now: &str| {
        let mut world = story.world(at(now));
        world.answer(at(now));
        world.drain.snapshot("test", 0, at(now)).health
    };
    let figures = health(&story, "10:36:00");
    assert_eq!((figures.finished, figures.success_ratio), (1, Some(1.0)));
    assert_eq!(figures.time_to_rotate.map(|it| it.mean), Some(minutes(95)));
    // Dual-accept 09:55, last use of the old key 10:00, revoked 10:35, an hour allocated.
    assert_eq!(figures.overlap_used, Some(5.0 / 40.0));
    assert_eq!(figures.allocation_used, Some(5.0 / 60.0));
    assert_eq!((figures.t50, figures.t90), (Some(minutes(5)), Some(minutes(5))));
    assert_eq!(figures.consumers_per_hour, Some(12.0));
    assert_eq!(figures.incidents_per_rotation, Some(0.0));
    // What comes after the end changes nothing of it, nor does a restart.
    let later = story
        .line("10:50:00", OLD, "checkout", 200)
        .line("10:50:00", NEW, "billing", 200)
        .restarted("10:55:00")
        .reconfigured("10:56:00", |declared| {
            declared.credentials[0].policy.max_overlap = Duration::from_hours(9);
        });
    assert_eq!(health(&later, "11:00:00"), figures);
    // But for a leak, which only shows then.
    let leaked = later.line("11:40:00", OLD, "checkout", 200);
    assert_eq!(health(&leaked, "11:41:00").incidents_per_rotation, Some(1.0));
}

#[test]
fn the_velocity_of_a_program_counts_those_whom_the_migration_counts() {
    // A batch that ran every 20 min and is gone since 06:40 has not moved and need not.
    let runs = ["05:00:00", "05:20:00", "05:40:00", "06:00:00", "06:20:00", "06:40:00"];
    let story = moved_over().uses(OLD, "batch", runs).told_of(
        "10:05:00",
        "09:55:00",
        JournalEvent::DualAcceptEnabled,
    );
    let mut world = story.world(at("10:30:00"));
    let rotation = world.answer(at("10:30:00")).rotation;
    let told = world.drain.migration(&rotation, at("10:30:00")).unwrap();
    assert_eq!((told.must_move, told.gone.as_slice()), (1, ["batch".to_owned()].as_slice()));
    assert_eq!(told.t90, Some(minutes(6)));
    let mut world = story.told("10:30:00", JournalEvent::Revoked).world(at("10:30:30"));
    world.answer(at("10:30:30"));
    let figures = world.drain.snapshot("test", 0, at("10:30:30")).health;
    assert_eq!((figures.finished, figures.t90), (1, Some(minutes(6))));
}

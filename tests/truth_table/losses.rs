//! Rows about losses within the silence that lets a consumer count as moved: what was lost may have
//! been another use of the old key.

use keydrain::engine::answer::Verdict::{NotReady, Ready};
use keydrain::engine::credential::SourceName;
use keydrain::engine::policy::Completeness;
use keydrain::engine::rotation::RosterEntry;
use keydrain::engine::view::ConsumerState;

use crate::story::{INSTANT, Story, at, blocker, check, minutes, on_roster, stands_until};
use crate::world::{ACCESS_LOG, EDGE, NEW, OLD, a_source};

/// Two pods with one name: one uses the old key every 40 minutes, the other has moved.
fn two_pods() -> Story {
    Story::new()
        .heartbeats("08:00:00", "11:00:00")
        .uses(OLD, "workers", ["08:00:00", "08:40:00"])
        .uses(NEW, "workers", ["08:50:00", "09:21:30", "09:30:00"])
}

fn state_of(story: &Story, now: &str) -> ConsumerState {
    let mut world = story.world(at(now));
    let answer = world.answer(at(now));
    let all = world.drain.consumers(&answer.rotation, at(now)).expect("the rotation is known");
    all.into_iter().find(|view| view.consumer == "workers").expect("it was seen").state
}

#[test]
fn the_silence_of_a_consumer_begins_anew_where_lines_are_lost() {
    check(&two_pods().busy("09:20:30.000000001"), Ready, []);
    // The slow pod may have used the old key at 09:20, and comes again at 10:00.
    let lost = two_pods().lost("09:20:30");
    check(&lost.busy("09:59:00"), NotReady, [("consumer_not_moved", "workers")]);
    stands_until(&lost, "consumer_not_moved", "workers", "10:01:00.000000001");
    check(&lost.busy("10:01:00.000000001"), Ready, []);
}

#[test]
fn who_was_silent_for_long_enough_before_the_loss_has_moved() {
    // A lost line may be older than the last one read by the lateness: 30 s.
    let last_read = |when: &'static str| two_pods().uses(NEW, "other", [when]).lost("09:20:40");
    assert_eq!(state_of(&last_read("09:20:30"), "09:45:00"), ConsumerState::Mixed);
    assert_eq!(state_of(&last_read("09:20:30.001"), "09:45:00"), ConsumerState::Moved);
    check(&last_read("09:20:30.001").busy("09:45:00"), Ready, []);
}

#[test]
fn each_loss_breaks_the_silence_and_one_before_the_last_use_none() {
    let twice = two_pods().lost("09:20:30").lost("09:50:10");
    let cleared = at("10:30:40.000000001");
    let standing = |now| twice.busy_at(now).blockers.into_iter().any(|b| b.subject == "workers");
    assert!(standing(cleared.minus(INSTANT)) && !standing(cleared));
    let told = twice.busy("10:00:00");
    assert_eq!(blocker(&told, "consumer_not_moved", "workers").clears_at, Some(cleared));
    let before = two_pods().lost("08:39:30").uses(OLD, "workers", ["08:39:50"]);
    assert_eq!(state_of(&before, "09:22:00"), ConsumerState::Moved);
}

#[test]
fn the_only_process_behind_a_name_moves_with_its_new_key_whatever_is_lost() {
    let single = RosterEntry { single: true, ..on_roster("workers") };
    let story = two_pods().roster([single]).lost("09:20:30");
    check(&story.busy("09:45:00"), Ready, []);
}

#[test]
fn what_a_best_effort_source_loses_breaks_no_silence_in_any_view() {
    let lb = |completeness: Completeness| {
        let story = two_pods().declared(move |declared| {
            let mut lb = a_source("lb");
            lb.policy.completeness = completeness.clone();
            declared.sources.push(lb);
            declared.credentials[0].sources.push(SourceName::new("lb"));
        });
        let story = story.on("lb", ACCESS_LOG).heartbeats("08:00:00", "09:19:00");
        story.lost("09:20:30").on(EDGE, ACCESS_LOG)
    };
    let covered = lb(Completeness::PositiveOnly { covered_by: Some(SourceName::new(EDGE)) });
    assert_eq!(state_of(&covered, "09:30:00"), ConsumerState::Moved);
    assert_eq!(covered.answer("09:30:00").consumers.moved, 1);
    assert_eq!(state_of(&lb(Completeness::Complete), "09:30:00"), ConsumerState::Mixed);
}

#[test]
fn a_loss_within_the_silence_makes_the_quiet_no_shorter() {
    let quick = two_pods().policy(|policy| policy.quiet_period = minutes(50)).lost("09:20:30");
    stands_until(&quick, "consumer_not_moved", "workers", "10:11:00.000000001");
}

//! Rows about caches and connections: who may still hold the old key, and since when that counts.

use std::time::Duration;

use keydrain::engine::answer::Verdict::Ready;
use keydrain::engine::rotation::{Attestation, JournalEvent, RosterEntry};

use crate::story::{
    Story, at, blocker, check, minutes, moved_over, on_roster, standing, stands_until,
};
use crate::world::{NEW, OLD};

/// Everybody's connections last 40 minutes.
fn connected() -> Story {
    moved_over().policy(|policy| policy.max_connection_lifetime = minutes(40))
}

/// The connections of one consumer last 40 minutes.
fn holder(name: &str) -> RosterEntry {
    RosterEntry { max_connection_lifetime: minutes(40), ..on_roster(name) }
}

fn waived(name: &str, until: &str) -> JournalEvent {
    JournalEvent::ConsumerWaived(name.into(), at(until))
}

fn retired(name: &str) -> JournalEvent {
    JournalEvent::ConsumerRetired(name.into())
}

#[test]
fn exposure_counts_from_the_last_use_of_the_old_key_when_that_is_later_than_any_move() {
    let story = connected()
        .heartbeats("11:01:00", "12:00:00")
        .uses(OLD, "partner", ["10:20:00"])
        .uses(NEW, "checkout", ["10:21:00"])
        .told("10:22:00", retired("partner"));
    // Checkout's first use of the new key after its own last use of the old one was at 10:01:00.
    stands_until(&story, "exposure_running", "*", "11:00:30");
    check(&story.busy("11:00:30"), Ready, []);
}

#[test]
fn exposure_counts_from_the_move_of_the_last_consumer() {
    let story = connected().uses(OLD, "batch", ["09:40:00"]).uses(NEW, "batch", ["10:20:00"]);
    stands_until(&story, "exposure_running", "*", "11:00:30");
    let since = blocker(&story.busy("10:40:00"), "exposure_running", "*").since;
    assert_eq!(since, Some(at("10:20:00")));
    // One of the roster that never used the old key may hold it all the same.
    let expected = connected().roster([on_roster("batch")]).uses(NEW, "batch", ["10:20:00"]);
    stands_until(&expected, "exposure_running", "*", "11:00:30");
    // A stranger that only ever used the new one does not.
    let stranger = connected().uses(NEW, "newcomer", ["10:20:00"]);
    stands_until(&stranger, "exposure_running", "*", "10:41:30");
}

#[test]
fn a_later_use_of_the_new_key_by_one_that_moved_before_does_not_prolong_the_exposure() {
    stands_until(
        &connected().uses(NEW, "checkout", ["10:30:00"]),
        "exposure_running",
        "*",
        "10:41:30",
    );
}

#[test]
fn the_latest_word_of_the_propagation_counts_and_an_early_one_changes_nothing() {
    let told = |story: Story, when: &str| {
        story.told("10:10:00", JournalEvent::Propagated).told_of(
            "10:15:00",
            when,
            JournalEvent::Propagated,
        )
    };
    stands_until(&told(connected(), "10:12:00"), "exposure_running", "*", "10:52:30");
    stands_until(&told(connected(), "09:00:00"), "exposure_running", "*", "10:50:30");
    let early = connected().told_of("10:15:00", "09:30:00", JournalEvent::Propagated);
    stands_until(&early, "exposure_running", "*", "10:41:30");
}

#[test]
fn the_exposure_of_one_consumer_counts_from_its_own_move_the_propagation_and_observation() {
    let batch = moved_over().roster([holder("batch")]);
    let moved = batch.clone().uses(OLD, "batch", ["09:40:00"]).uses(NEW, "batch", ["10:05:00"]);
    stands_until(&moved, "exposure_running", "batch", "10:45:30");
    let told = moved.told("10:20:00", JournalEvent::Propagated);
    stands_until(&told, "exposure_running", "batch", "11:00:30");
    // What another one does has no part in it.
    let other = batch.uses(NEW, "batch", ["09:10:00"]).uses(OLD, "checkout", ["10:10:00"]);
    stands_until(&other, "exposure_running", "batch", "09:50:30");
    let observed = Story::new()
        .roster([holder("checkout")])
        .heartbeats("09:00:00", "10:30:00")
        .uses(NEW, "checkout", ["09:00:00"])
        .told("09:01:00", JournalEvent::Attested(Attestation::OldKeyUnused));
    stands_until(&observed, "exposure_running", "checkout", "09:40:30");
}

#[test]
fn observation_that_begins_anew_begins_exposure_anew() {
    let story = connected().lost("10:20:30").uses(NEW, "checkout", ["10:21:00"]);
    stands_until(&story, "exposure_running", "*", "11:01:30");
}

#[test]
fn cache_and_connection_add_up_for_the_rotation_and_for_one_consumer() {
    let both = |entry: RosterEntry| RosterEntry { max_cache_ttl: minutes(10), ..entry };
    let story = connected()
        .policy(|policy| policy.max_cache_ttl = minutes(5))
        .roster([both(holder("checkout"))]);
    stands_until(&story, "exposure_running", "*", "10:46:30");
    stands_until(&story, "exposure_running", "checkout", "10:51:30");
    check(&story.busy("10:51:30"), Ready, []);
}

#[test]
fn the_retired_and_the_waived_hold_nothing_until_the_waiver_is_over() {
    let story = moved_over()
        .roster([holder("batch")])
        .policy(|policy| policy.max_cache_ttl = minutes(20))
        .uses(OLD, "batch", ["09:40:00"])
        .uses(NEW, "batch", ["10:15:00"]);
    let exposed = |story: &Story| {
        let answer = story.busy("10:30:00");
        let all = standing(&answer).into_iter().filter(|(code, _)| *code == "exposure_running");
        all.map(|(_, subject)| subject.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(exposed(&story), ["*", "batch"]);
    for event in [retired("batch"), waived("batch", "10:30:01")] {
        assert_eq!(exposed(&story.clone().told("10:20:00", event)), Vec::<String>::new());
    }
    let over = story.told("10:20:00", waived("batch", "10:30:00"));
    assert_eq!(exposed(&over), ["*", "batch"]);
}

#[test]
fn without_a_watermark_exposure_is_not_what_stands() {
    let mut world =
        Story::new().policy(|policy| policy.max_cache_ttl = minutes(20)).world(at("09:00:01"));
    let answer = world.answer(at("09:00:01"));
    assert_eq!(answer.watermark, None);
    assert!(!standing(&answer).contains(&("exposure_running", "*")), "{:?}", answer.blockers);
}

#[test]
fn an_exposure_of_zero_is_none() {
    let story = moved_over().told("10:14:59", JournalEvent::Propagated);
    check(&story.busy_at(at("10:15:35").plus(Duration::ZERO)), Ready, []);
}

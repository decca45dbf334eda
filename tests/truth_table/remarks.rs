//! Rows about what is said beside the verdict: warnings, what silence proves, whom to ask.

use std::time::Duration;

use keydrain::engine::answer::Answer;
use keydrain::engine::answer::Verdict::Ready;
use keydrain::engine::rotation::{Attestation, JournalEvent, RosterEntry};

use crate::story::{Story, at, check, minutes, moved_over, on_roster, says};
use crate::world::{NEW, OLD};

/// Returns the message of a warning, if it is given.
fn warned(answer: &Answer, code: &str, subject: &str) -> Option<String> {
    let found = answer.warnings.iter().find(|w| w.code.as_str() == code && w.subject == subject);
    found.map(|warning| warning.message.clone())
}

/// As many uses of the old key in the hour before it fell silent at 10:00:00.
fn hour_with(uses: usize) -> Story {
    let mut story = Story::new()
        .heartbeats("09:00:00", "13:30:00")
        .uses(OLD, "checkout", ["10:00:00"])
        .uses(NEW, "checkout", ["10:01:00"]);
    for n in 1..uses {
        story = story.uses(OLD, "checkout", [&*format!("09:{:02}:00", 60 - n)]);
    }
    story
}

#[test]
fn a_silence_in_which_fewer_than_three_uses_were_to_come_is_sparse_evidence() {
    // An hour with n uses, a quiet of 20 minutes: a third of them would be expected.
    let quiet = |uses| {
        let story = hour_with(uses).policy(|policy| {
            policy.quiet_period = minutes(20);
            policy.clock_skew = Duration::ZERO;
        });
        warned(&story.busy("10:20:30"), "sparse_evidence", OLD)
    };
    assert_eq!(quiet(9), None);
    let message = quiet(8).expect("two and two thirds would be expected");
    for said in ["presented 8 times in 1 h", "fewer than 3 times in 20 min", "quiet_period"] {
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_longer_silence_than_demanded_ends_the_sparse_evidence() {
    // Three uses in an hour: three would be expected in an hour.
    check(&hour_with(3).busy("11:00:30"), Ready, []);
    let sparse = |now| warned(&hour_with(3).busy_at(now), "sparse_evidence", OLD).is_some();
    assert!(sparse(at("11:00:29.999999999")));
    assert!(!sparse(at("11:00:30")));
}

#[test]
fn two_uses_are_sparse_evidence_however_long_the_silence_lasts() {
    assert!(warned(&hour_with(2).busy("13:30:00"), "sparse_evidence", OLD).is_some());
    let unused = Story::new()
        .heartbeats("09:00:00", "10:30:00")
        .uses(NEW, "checkout", ["09:10:00"])
        .told("09:01:00", JournalEvent::Attested(Attestation::OldKeyUnused));
    let message = warned(&unused.busy("10:30:00"), "sparse_evidence", OLD).expect("none was seen");
    assert!(message.contains("presented 0 times"), "{message}");
}

#[test]
fn uses_of_the_waived_are_no_evidence() {
    let story = hour_with(3)
        .told("10:02:00", JournalEvent::ConsumerWaived("partner".into(), at("13:00:00")));
    assert_eq!(warned(&story.busy("11:30:00"), "sparse_evidence", OLD), None);
    let hidden = hour_with(2)
        .uses(OLD, "partner", ["09:30:00", "09:31:00"])
        .told("10:02:00", JournalEvent::ConsumerWaived("partner".into(), at("13:00:00")));
    assert!(warned(&hidden.busy("11:30:00"), "sparse_evidence", OLD).is_some());
}

#[test]
fn no_use_in_a_time_excludes_a_rate_above_three_in_that_time() {
    // The watermark is 30 s behind.
    let silence = moved_over().busy("10:18:30").silence.expect("it is silent");
    assert_eq!(silence.quiet, minutes(18));
    assert!((silence.excludes_per_hour() - 10.0).abs() < 1e-9, "{}", silence.excludes_per_hour());
    assert_eq!(moved_over().busy("10:00:30").silence, None);
    let least = moved_over().busy("10:00:30.000000001").silence.expect("it has just begun");
    assert_eq!(least.quiet, Duration::from_nanos(1));
    // What was not observed is no silence.
    let lost = moved_over().lost("10:20:30").uses(NEW, "checkout", ["10:21:00"]);
    assert_eq!(lost.busy("10:31:30").silence.expect("since then").quiet, minutes(10));
    let blank = Story::new().world(at("09:00:01")).answer(at("09:00:01"));
    assert_eq!((blank.watermark, blank.silence), (None, None));
}

#[test]
fn a_propagation_that_nobody_recorded_is_taken_from_the_last_move_and_marked() {
    let story = moved_over().policy(|policy| policy.max_cache_ttl = minutes(5));
    let message = warned(&story.busy("10:20:00"), "inferred_fact", "propagated").expect("marked");
    assert!(message.contains("2026-03-02T10:01:00Z"), "{message}");
    let told = story.clone().told("10:05:00", JournalEvent::Propagated);
    assert_eq!(warned(&told.busy("10:20:00"), "inferred_fact", "propagated"), None);
    // Nothing rests on it without an exposure; that of one consumer is one.
    assert_eq!(warned(&moved_over().busy("10:20:00"), "inferred_fact", "propagated"), None);
    let entry = RosterEntry { max_connection_lifetime: minutes(5), ..on_roster("checkout") };
    let own = moved_over().roster([entry]).busy("10:20:00");
    assert!(warned(&own, "inferred_fact", "propagated").is_some());
    let unmoved = Story::new()
        .policy(|policy| policy.max_cache_ttl = minutes(5))
        .heartbeats("09:00:00", "10:30:00")
        .uses(OLD, "checkout", ["10:00:00"]);
    assert_eq!(warned(&unmoved.busy("10:20:00"), "inferred_fact", "propagated"), None);
}

#[test]
fn messages_about_a_consumer_name_whom_to_ask() {
    let owned = |name| RosterEntry { owner: Some("team money".into()), ..on_roster(name) };
    let story = moved_over()
        .roster([owned("billing"), owned("batch"), owned("checkout")])
        .uses(OLD, "batch", ["09:40:00"])
        .uses(OLD, "checkout", ["10:30:00"]);
    let answer = story.busy("10:31:00");
    for (code, consumer) in [
        ("consumer_missing", "billing"),
        ("consumer_not_moved", "batch"),
        ("consumer_regressed", "checkout"),
        ("old_key_in_use", "checkout"),
    ] {
        says(&answer, code, consumer, &[&format!("{consumer} (owner team money)")]);
    }
    let mut world = story.world(at("10:31:00"));
    world.answer(at("10:31:00"));
    let views = world.drain.consumers(&world.rotation(), at("10:31:00")).expect("it is known");
    assert!(views.iter().all(|view| view.owner.as_deref() == Some("team money")), "{views:?}");
    assert!(views.iter().all(|view| !view.third_party));
}

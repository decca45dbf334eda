//! Rows about changes of the configuration: none makes a verdict greener when it takes effect.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::drain::Declared;

use crate::story::{Story, at, check, minutes, moved_over, standing};
use crate::world::{ACCESS_LOG, NEW, OLD, fingerprint};

#[test]
fn a_restart_with_the_same_configuration_changes_nothing() {
    let before = moved_over().busy("10:30:00");
    let after = moved_over().reconfigured("10:29:00", |_| {}).busy("10:30:00");
    check(&after, Ready, []);
    assert_eq!((before.epoch, before.watermark), (after.epoch, after.watermark));
}

#[test]
fn a_changed_policy_restarts_the_quiet() {
    let changes: [fn(&mut Declared); 3] = [
        |declared| declared.credentials[0].policy.quiet_period = minutes(5),
        |declared| declared.credentials[0].policy.max_reject_ratio = 0.5,
        |declared| declared.credentials[0].policy.max_evidence_lag = minutes(20),
    ];
    for change in changes {
        let story = moved_over().asked("10:29:00").reconfigured("10:30:00", change);
        check(&story.busy("10:30:01"), NotReady, [("quiet_running", OLD)]);
    }
    let story = moved_over().asked("10:10:00").reconfigured("10:30:00", changes[1]);
    check(
        &story.clone().restarted("10:31:00").busy("10:31:01"),
        NotReady,
        [("quiet_running", OLD)],
    );
    check(&story.busy("10:45:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:45:35"), Ready, []);
}

#[test]
fn a_policy_that_tolerates_more_or_calls_gone_sooner_is_no_greener_at_once() {
    let pool = moved_over().uses(OLD, "-", ["10:20:00"]).asked("10:29:00");
    let story = pool.reconfigured("10:30:00", |declared: &mut Declared| {
        declared.credentials[0].policy.threshold = 3;
    });
    check(&story.busy("10:30:01"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:45:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:45:35"), Ready, []);

    let times = ["09:00:00", "09:16:00", "09:32:00"];
    let batch = moved_over().uses(OLD, "batch", times).asked("10:29:00");
    let story = batch.reconfigured("10:30:00", |declared: &mut Declared| {
        declared.credentials[0].policy.cadence_min_samples = 2;
    });
    // Gone after 32 min, which enter the quiet that begins anew.
    check(&story.busy("10:30:01"), NotReady, [("quiet_running", OLD)]);
    check(&story.heartbeats("11:01:00", "11:30:00").busy("11:02:35"), Ready, []);
}

#[test]
fn a_policy_that_changes_before_anything_was_decided_restarts_nothing() {
    check(&moved_over().busy("10:15:35"), Ready, []);
}

#[test]
fn a_changed_lateness_or_silence_of_a_source_restarts_the_quiet() {
    let changes: [fn(&mut Declared); 3] = [
        |declared| declared.sources[0].policy.allowed_lateness = Duration::from_secs(1),
        |declared| declared.sources[0].policy.idle_after = minutes(60),
        |declared| declared.sources[0].policy.silence_is_idle = true,
    ];
    for change in changes {
        let story = moved_over().asked("10:29:00").reconfigured("10:30:00", change);
        let answer = story.busy("10:30:01");
        check(&answer, NotReady, [("quiet_running", OLD)]);
        check(&story.busy("10:45:35"), Ready, []);
    }
}

#[test]
fn a_changed_format_restarts_observation_and_must_show_a_key_anew() {
    let story = moved_over()
        .asked("10:29:00")
        .reconfigured("10:30:00", |declared| declared.sources[0].layout = "other".to_owned());
    check(
        &story.answer("10:30:01"),
        Unknown,
        [("source_blind", ACCESS_LOG), ("observation_too_short", "*")],
    );
    let seen = story.uses(NEW, "checkout", ["10:31:00"]);
    check(&seen.busy("10:46:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&seen.busy("10:46:35"), Ready, []);
}

/// The old key was looked for, then not, then again; in between it was used.
fn key_that_was_not_looked_for() -> Story {
    moved_over()
        .started("10:30:00")
        .reconfigured("10:05:00", |declared| {
            declared.sources[0].tracked.retain(|key| *key != fingerprint(OLD));
        })
        .uses(OLD, "checkout", ["10:20:00"])
        .reconfigured("10:25:00", |declared| declared.sources[0].tracked.push(fingerprint(OLD)))
}

#[test]
fn lines_that_were_not_matched_against_the_old_key_prove_no_quiet() {
    let story = key_that_was_not_looked_for();
    check(&story.busy("10:30:01"), NotReady, [("quiet_running", OLD)]);
    // What was read last without it is the heartbeat of 10:25:00.
    assert_eq!(story.busy("10:40:34.999999999").verdict, NotReady);
    check(&story.busy("10:40:35"), Ready, []);
}

#[test]
fn a_key_that_is_no_longer_looked_for_makes_its_source_blind() {
    // A rotation that starts while the key is not looked for.
    let mut world = key_that_was_not_looked_for().started("10:22:00").world(at("10:22:01"));
    let answer = world.answer(at("10:22:01"));
    assert!(standing(&answer).contains(&("source_blind", "edge")), "{:?}", answer.blockers);
    let missing = world.drain.untracked(&answer.rotation);
    assert_eq!(missing.len(), 1, "the reader is told to look for it: {missing:?}");
    world.drain.take_tracking(&missing[0].0, missing[0].1, at("10:22:02"));
    let answer = world.answer(at("10:22:03"));
    assert!(!standing(&answer).contains(&("source_blind", "edge")), "{:?}", answer.blockers);
}

#[test]
fn a_key_added_to_a_source_that_was_read_proves_quiet_from_then_on() {
    let story = moved_over()
        .started("10:30:00")
        .declared(|declared| declared.sources[0].tracked.retain(|key| *key != fingerprint(OLD)))
        .reconfigured("10:20:00", |declared| declared.sources[0].tracked.push(fingerprint(OLD)))
        .told(
            "10:30:00",
            keydrain::engine::rotation::JournalEvent::Attested(
                keydrain::engine::rotation::Attestation::OldKeyUnused,
            ),
        );
    check(&story.busy("10:35:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:35:35"), Ready, []);
}

#[test]
fn a_consumer_taken_off_the_roster_is_still_expected_by_an_open_rotation() {
    let story = moved_over()
        .roster([crate::story::on_roster("billing")])
        .reconfigured("10:20:00", |declared| declared.credentials[0].roster.clear());
    check(&story.busy("10:30:00"), NotReady, [("consumer_missing", "billing")]);
}

/// The first line read in a new format was late: observation began when it was dated, and all that
/// had been seen in the old format counted.
#[test]
fn a_late_line_begins_no_earlier_observation_in_a_changed_format() {
    let story = moved_over()
        .asked("10:29:00")
        .reconfigured("10:30:00", |declared| declared.sources[0].layout = "other".to_owned())
        .line_read("09:05:00", "10:30:30", NEW, "checkout", 200);
    // What was read last in the old format is the heartbeat of 10:30:00.
    assert_eq!(story.busy("10:31:00").observing_since, Some(at("10:30:00")));
    // Lines may be five minutes late, as that one showed.
    check(&story.busy("10:50:04.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:50:05"), Ready, []);
}

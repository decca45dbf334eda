//! Rows about the gates between the phases: when each passes, fails, waits or cannot know.

use keydrain::engine::checkpoints::CheckpointStatus::{Fail, Pass, Pending, Unknown};
use keydrain::engine::checkpoints::{Checkpoint, CheckpointRecord, CheckpointStatus};
use keydrain::engine::rotation::{Attestation, JournalEvent, RosterEntry};
use keydrain::engine::time::Timestamp;
use keydrain::engine::view::Event;

use crate::story::{INSTANT, Story, at, minutes, moved_over, on_roster};
use crate::world::{ACCESS_LOG, EDGE, NEW, NO_KEY, OLD, World};

fn all_of(world: &mut World, now: Timestamp) -> Vec<CheckpointRecord> {
    world.answer(now);
    world.drain.snapshot("test", 0, now).rotations.swap_remove(0).checkpoints
}

/// Asks at `now`, at which the log shows one more line without a key.
fn record_at(story: &Story, which: Checkpoint, now: Timestamp) -> CheckpointRecord {
    let story = story.clone();
    let mut world = story.world(now);
    let line = crate::world::Line {
        event_at: now,
        key: NO_KEY.to_owned(),
        consumer: "-".to_owned(),
        status: 200,
        garbled: false,
    };
    world.read((EDGE, ACCESS_LOG), &[line], now, now);
    let all = all_of(&mut world, now);
    all.into_iter().find(|it| it.checkpoint == which).expect("all are looked at")
}

fn record(story: &Story, which: Checkpoint, now: &str) -> CheckpointRecord {
    record_at(story, which, at(now))
}

fn status(story: &Story, which: Checkpoint, now: &str) -> CheckpointStatus {
    record(story, which, now).status
}

/// So many requests in the minute that begins at `minute`.
fn requests(story: Story, minute: &str, key: &str, count: u32, status: u16) -> Story {
    (0..count).fold(story, |story, n| {
        let when = format!("{minute}:{:02}.{:03}", n % 60, n / 60);
        story.line(&when, key, "checkout", status)
    })
}

/// The new key is first accepted at 10:00:00; the canary is observed up to 10:15:00.
fn canary(new: u32, old: u32) -> Story {
    let story = Story::new().heartbeats("09:00:00", "10:40:00");
    let story = requests(story, "09:59", OLD, 30, 200).line("10:00:00", NEW, "checkout", 200);
    let story = requests(story, "10:05", NEW, new - 1, 200);
    requests(story, "10:06", OLD, old, 200)
}

#[test]
fn every_checkpoint_is_shown_in_the_order_of_the_phases() {
    let now = at("10:30:00");
    let shown: Vec<_> = all_of(&mut moved_over().world(now), now);
    let names: Vec<_> = shown.iter().map(|it| it.checkpoint).collect();
    assert_eq!(names, Checkpoint::ALL);
    assert!(shown.iter().all(|it| !it.reasons.is_empty()));
}

#[test]
fn what_is_attested_passes() {
    let all = [
        (Checkpoint::PostGenerate, Attestation::PostGenerate),
        (Checkpoint::PostDualAccept, Attestation::PostDualAccept),
        (Checkpoint::Canary, Attestation::Canary),
        (Checkpoint::PostPropagate, Attestation::PostPropagate),
    ];
    let story = Story::new().heartbeats("09:00:00", "09:40:00").uses(OLD, "checkout", ["09:10:00"]);
    for (which, what) in all {
        assert_eq!(status(&story, which, "09:30:00"), Pending, "{which:?}");
        let story = story.clone().told("09:20:00", JournalEvent::Attested(what));
        let passed = record(&story, which, "09:30:00");
        assert_eq!((passed.status, passed.reasons), (Pass, vec!["attested".to_owned()]));
    }
}

#[test]
fn dual_accept_passes_when_both_keys_were_accepted_since() {
    let of = |story: &Story| status(story, Checkpoint::PostDualAccept, "10:30:00");
    let story = Story::new().heartbeats("09:00:00", "10:30:00").uses(OLD, "checkout", ["09:30:00"]);
    let reasons = record(&story, Checkpoint::PostDualAccept, "10:30:00").reasons;
    assert!(reasons[0].contains("dual_accept_enabled was not recorded"), "{reasons:?}");
    let told = story.clone().told("10:00:00", JournalEvent::DualAcceptEnabled);
    let waiting = record(&told, Checkpoint::PostDualAccept, "10:30:00");
    assert_eq!(waiting.reasons.len(), 2, "both keys are waited for: {:?}", waiting.reasons);
    let new = told.clone().line("10:05:00", NEW, "checkout", 200);
    assert_eq!(of(&new), Pending, "the old key was accepted only before");
    let old = new.clone().line("09:59:59.999", OLD, "checkout", 200);
    assert_eq!(of(&old), Pending);
    assert_eq!(of(&new.clone().line("10:00:00", OLD, "checkout", 200)), Pass);
    assert_eq!(of(&new.line("10:00:00", OLD, "checkout", 401)), Pending);
    // Without a word of the journal, both keys are valid from the first success on.
    let inferred = story.line("10:05:00", NEW, "checkout", 200);
    assert_eq!(of(&inferred), Pending);
    assert_eq!(of(&inferred.line("10:06:00", OLD, "probe", 200)), Pass);
}

#[test]
fn what_may_have_happened_unseen_is_unknown() {
    let story = Story::new().heartbeats("09:00:00", "10:30:00").uses(OLD, "checkout", ["09:30:00"]);
    let gone = story.seen("10:20:00", |sight| sight.absent.push("*.log".to_owned()));
    for which in [Checkpoint::PostDualAccept, Checkpoint::Canary] {
        let found = record(&gone, which, "10:30:00");
        assert_eq!(found.status, Unknown);
        assert!(found.reasons.contains(&format!("source_absent: {EDGE}")), "{:?}", found.reasons);
    }
    let seen = gone.uses(NEW, "checkout", ["10:01:00"]).uses(OLD, "probe", ["10:02:00"]);
    assert_eq!(status(&seen, Checkpoint::PostDualAccept, "10:30:00"), Pass, "a sighting is proof");
}

#[test]
fn a_canary_passes_when_its_period_is_over_and_every_line_of_it_was_read() {
    let story = canary(10, 90);
    let over = at("10:15:30");
    let before = record_at(&story, Checkpoint::Canary, over.minus(INSTANT));
    assert_eq!(before.status, Pending);
    assert_eq!(before.reasons, ["observing: the observation period ends at 2026-03-02T10:15:00Z"]);
    let passed = record_at(&story, Checkpoint::Canary, over);
    assert_eq!(passed.status, Pass);
    assert_eq!(
        passed.reasons,
        [format!(
            "share: 10 of 100 requests carried {NEW}; {NEW} was denied in 0 of 10 requests and {OLD} \
             in 0 of 90"
        )]
    );
    let now = at("10:10:00");
    let mut world = story.world(now);
    world.answer(now);
    let mut asked = now;
    while let Some(next) = world.drain.next_deadline(asked).filter(|next| *next < over) {
        asked = next;
    }
    assert_eq!(world.drain.next_deadline(asked), Some(over));
}

#[test]
fn the_share_of_a_canary_has_both_its_bounds() {
    let of = |new, old| record(&canary(new, old), Checkpoint::Canary, "10:20:00");
    assert_eq!(of(25, 75).status, Pass);
    let fail = of(26, 74);
    assert_eq!(fail.status, Fail);
    assert_eq!(fail.reasons, [format!("share: 26 of 100 requests carried {NEW}, more than 25 %")]);
    assert_eq!(of(1, 99).status, Pass);
    let thin = of(1, 100);
    assert_eq!(thin.status, Pending);
    assert!(thin.reasons[0].contains("less than 1 %; attest canary"), "{:?}", thin.reasons);
}

#[test]
fn a_share_is_judged_by_twenty_requests_and_not_by_the_first() {
    let story = canary(1, 0);
    assert_eq!(status(&story, Checkpoint::Canary, "10:01:00"), Pending);
    let few = record(&canary(5, 14), Checkpoint::Canary, "10:20:00");
    assert_eq!(few.status, Unknown);
    assert!(few.reasons[0].contains("20 are needed; attest canary"), "{:?}", few.reasons);
    assert_eq!(status(&canary(5, 15), Checkpoint::Canary, "10:20:00"), Pass);
}

#[test]
fn too_large_a_share_fails_from_twenty_requests_on() {
    let of = |old| status(&canary(15, old), Checkpoint::Canary, "10:07:00");
    assert_eq!((of(4), of(5)), (Pending, Fail));
}

#[test]
fn a_canary_that_is_denied_more_often_than_the_old_key_fails_at_once() {
    let with = |accepted, denied| {
        let story = canary(accepted, 200);
        requests(story, "10:07", NEW, denied, 403)
    };
    let at_once = record(&with(19, 1), Checkpoint::Canary, "10:08:00");
    assert_eq!(at_once.status, Fail);
    assert!(at_once.reasons[0].starts_with("denied: "), "{:?}", at_once.reasons);
    assert_eq!(status(&with(18, 1), Checkpoint::Canary, "10:08:00"), Pending, "19 requests");
    assert_eq!(status(&with(18, 1), Checkpoint::Canary, "10:20:00"), Unknown);
    // No worse than the old key, which is denied as often.
    let both = requests(with(19, 1), "10:06", OLD, 11, 403);
    assert_eq!(status(&both, Checkpoint::Canary, "10:08:00"), Pending);
    assert_eq!(status(&both, Checkpoint::Canary, "10:20:00"), Pass);
}

#[test]
fn a_canary_is_judged_by_its_period_alone_and_for_good() {
    let story = canary(10, 90).asked("10:16:00");
    let moved = requests(story.clone(), "10:20", NEW, 300, 200);
    let passed = record(&story, Checkpoint::Canary, "10:16:00");
    assert_eq!(passed.status, Pass);
    assert_eq!(record(&moved, Checkpoint::Canary, "10:30:00"), passed);
    let denied = requests(moved, "10:21", NEW, 60, 403).restarted("10:22:00");
    assert_eq!(record(&denied, Checkpoint::Canary, "9 10:30:00"), passed);
    let failed = canary(26, 74).asked("10:08:00");
    let mended = requests(failed, "10:09", OLD, 300, 200);
    assert_eq!(status(&mended, Checkpoint::Canary, "10:20:00"), Fail, "a rollout halted on it");
    let attested = JournalEvent::Attested(Attestation::Canary);
    assert_eq!(status(&mended.told("10:21:00", attested), Checkpoint::Canary, "10:22:00"), Pass);
}

#[test]
fn what_comes_in_the_minute_in_which_the_period_ends_is_none_of_the_canary() {
    let story = requests(canary(10, 90), "10:15", NEW, 300, 200);
    let passed = record(&story, Checkpoint::Canary, "10:20:00");
    assert_eq!(passed.status, Pass);
    assert!(passed.reasons[0].starts_with("share: 10 of 100 requests"), "{:?}", passed.reasons);
}

#[test]
fn both_keys_made_valid_anew_begin_another_canary() {
    let failed = canary(26, 74).asked("10:08:00");
    let anew = failed.told("10:10:00", JournalEvent::DualAcceptEnabled);
    assert_eq!(status(&anew, Checkpoint::Canary, "10:11:00"), Pending);
    let anew = requests(anew, "10:12", NEW, 5, 200);
    let anew = requests(anew, "10:13", OLD, 95, 200);
    assert_eq!(status(&anew, Checkpoint::Canary, "10:20:00"), Pending);
    assert_eq!(status(&anew, Checkpoint::Canary, "10:28:00"), Pass);
}

#[test]
fn a_period_that_is_read_long_after_it_cannot_be_judged() {
    // The next look comes hours later, when the minutes of the period are hours.
    let story = canary(10, 90);
    let story = requests(requests(story, "13:00", OLD, 5, 200), "13:00", NEW, 5, 200);
    let late = record(&story, Checkpoint::Canary, "13:01:00");
    assert_eq!(late.status, Unknown);
    assert!(late.reasons[0].contains("was read too late; attest canary"), "{:?}", late.reasons);
}

#[test]
fn health_checks_are_no_canary() {
    let probe = RosterEntry { synthetic: true, ..on_roster("probe") };
    let story = canary(10, 90).roster([probe]);
    let mut story = story.line("09:58:00", NEW, "probe", 200);
    for n in 0..60 {
        story = story.line(&format!("10:07:{n:02}"), NEW, "probe", 200);
    }
    let passed = record(&story, Checkpoint::Canary, "10:15:30");
    assert_eq!(passed.status, Pass, "{:?}", passed.reasons);
    assert_eq!(passed.judged_from, Some(at("10:00:00")));
}

#[test]
fn propagation_passes_when_each_consumer_moved() {
    let of = |story: &Story| record(story, Checkpoint::PostPropagate, "10:30:00");
    assert_eq!(of(&moved_over()).status, Pass);
    let left = of(&moved_over().uses(OLD, "billing", ["09:30:00"]));
    assert_eq!((left.status, left.reasons), (Pending, vec!["on_old: billing".to_owned()]));
    let missing = of(&moved_over().roster([on_roster("etl")]));
    assert_eq!((missing.status, missing.reasons), (Pending, vec!["silent: etl".to_owned()]));
    let regressed =
        moved_over().policy(|p| p.quiet_period = minutes(5)).uses(OLD, "checkout", ["10:28:00"]);
    assert_eq!(of(&regressed).reasons, ["regressed: checkout"]);
    let waived = JournalEvent::ConsumerWaived("billing".into(), at("11:00:00"));
    let waived = moved_over().uses(OLD, "billing", ["09:30:00"]).told("10:10:00", waived);
    assert_eq!(of(&waived).status, Pass);
    let lost = of(&moved_over().lost("10:20:00"));
    assert_eq!(lost.status, Unknown, "somebody may be hidden: {:?}", lost.reasons);
    let nobody = Story::new().heartbeats("09:00:00", "10:30:00");
    let nobody = nobody.told("09:00:00", JournalEvent::Attested(Attestation::OldKeyUnused));
    assert_ne!(of(&nobody).status, Pass, "nobody moved");
}

#[test]
fn pre_revoke_is_the_verdict_of_the_decision() {
    let of = |story: &Story, now| record(story, Checkpoint::PreRevoke, now);
    let ready = of(&moved_over(), "10:30:00");
    assert_eq!((ready.status, ready.reasons), (Pass, vec!["ready".to_owned()]));
    let held = of(&moved_over().told("10:20:00", JournalEvent::Hold), "10:30:00");
    assert_eq!((held.status, held.reasons), (Pending, vec!["hold: *".to_owned()]));
    assert_eq!(of(&moved_over().lost("10:20:00"), "10:30:00").status, Unknown);
}

#[test]
fn the_end_of_a_rotation_leaves_its_checkpoints_as_they_stood() {
    let gates = |story: &Story, now: &str| {
        let all = all_of(&mut story.world(at(now)), at(now));
        all.into_iter().map(|it| (it.checkpoint, it.status)).take(5).collect::<Vec<_>>()
    };
    for end in [JournalEvent::Revoked, JournalEvent::RolledBack] {
        let ended = moved_over().told("10:30:00", end);
        let expected = [Pending, Pending, Unknown, Pass, Pass];
        let expected: Vec<_> = Checkpoint::ALL.into_iter().zip(expected).collect();
        assert_eq!(gates(&ended, "10:30:00"), expected);
        let later = ended.line("10:40:00", OLD, "billing", 200).restarted("10:50:00");
        assert_eq!(gates(&later, "11:00:00"), expected);
    }
}

#[test]
fn a_change_of_status_is_one_event_and_keeps_its_time() {
    let story =
        moved_over().asked("10:18:00").asked("10:19:00").told("10:20:00", JournalEvent::Hold);
    let mut world = story.world(at("10:21:00"));
    world.events.clear();
    world.answer(at("10:21:00"));
    world.answer(at("10:22:00"));
    let changed: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::CheckpointChanged { record, from } => {
                Some((record.checkpoint, *from, record.status, record.at))
            }
            _ => None,
        })
        .collect();
    assert_eq!(changed, [(Checkpoint::PreRevoke, Some(Pass), Pending, at("10:21:00"))]);
    world.restart(at("10:23:00"));
    world.look(at("10:24:00"));
    let shown = all_of(&mut world, at("10:24:00"));
    let pre_revoke = shown.iter().find(|it| it.checkpoint == Checkpoint::PreRevoke).unwrap();
    assert_eq!(pre_revoke.at, at("10:21:00"));
}

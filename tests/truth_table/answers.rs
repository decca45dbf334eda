//! Rows about the answer itself: lease, epoch, revoke-intent, retraction and when it will be ready.

use std::time::Duration;

use keydrain::engine::answer::Epoch;
use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::drain::Refused;
use keydrain::engine::reason::Code;
use keydrain::engine::rotation::JournalEvent;
use keydrain::engine::time::Timestamp;
use keydrain::engine::view::Event;

use crate::log::key_ref;
use crate::story::{INSTANT, Story, at, check, minutes, moved_over, moved_over_by};
use crate::world::{ACCESS_LOG, EDGE, Line, NEW, NO_KEY, OLD, World};

fn epoch(story: &Story, now: &str) -> Epoch {
    story.busy(now).epoch
}

fn intent(world: &mut World, epoch: &Epoch, now: Timestamp) -> Result<(u64, Timestamp), Refused> {
    let id = world.rotation();
    world.drain.revoke_intent(&id, epoch, "ci".to_owned(), now)
}

#[test]
fn an_answer_is_a_lease() {
    let answer = moved_over().policy(|policy| policy.lease = minutes(2)).busy("10:30:00");
    assert_eq!((answer.evaluated_at, answer.valid_until), (at("10:30:00"), at("10:32:00")));
}

#[test]
fn while_the_daemon_cannot_vouch_for_an_answer_a_proof_stays_one_and_all_else_is_unknown() {
    let story = moved_over();
    let used = story.clone().uses(OLD, "checkout", ["10:29:00"]);
    for (answer, verdict, doubted) in [
        (story.busy("10:30:00"), Ready, Unknown),
        (story.lost("10:29:00").busy("10:30:00"), Unknown, Unknown),
        (used.busy("10:30:00"), NotReady, NotReady),
    ] {
        assert_eq!(answer.verdict, verdict);
        let shown = answer.doubted(Code::StateUnwritable, "no room", at("10:29:59"));
        assert_eq!(shown.verdict, doubted, "{verdict:?}");
        assert_eq!(shown.blockers.len(), answer.blockers.len() + 1);
        assert_ne!(shown.epoch, answer.epoch);
        assert_eq!(shown.earliest_ready_at, None);
    }
}

#[test]
fn of_many_rotations_that_ended_no_answer_expires_unrenewed() {
    let mut now = at("10:21:00");
    let mut world = moved_over().told("10:20:00", JournalEvent::Revoked).world(now);
    for n in 0..70 {
        world.start(key_ref(NEW), key_ref(&format!("next-{n}")), now);
        world.tell(JournalEvent::Revoked, None, now);
        now = now.plus(INSTANT);
    }
    for _ in 0..30 {
        now = now.plus(Duration::from_secs(5));
        world.look(now);
        world.settle(now);
        let shown = world.drain.snapshot("test", 0, now).rotations;
        assert_eq!(shown.len(), 71);
        assert!(
            shown.iter().all(|it| now < it.answer.valid_until && it.answer.evaluated_at <= now)
        );
    }
    // A clock that was set back has answers of the future: none of them is kept.
    let back = at("10:22:00");
    world.look(back);
    world.settle(back);
    let shown = world.drain.snapshot("test", 0, back).rotations;
    assert!(shown.iter().all(|it| it.answer.evaluated_at <= back));
}

#[test]
fn the_epoch_stays_while_only_time_and_the_new_key_move() {
    let story = moved_over().uses(NEW, "checkout", ["10:35:00"]);
    assert_eq!(epoch(&story, "10:30:00"), epoch(&story, "10:34:00"));
    assert_eq!(epoch(&story, "10:34:00"), epoch(&story, "10:36:00"));
    assert_eq!(epoch(&story, "10:36:00"), epoch(&story.clone().restarted("10:36:30"), "10:37:00"));
}

#[test]
fn the_epoch_changes_with_the_verdict_a_reason_or_a_fact_about_the_old_key() {
    let story = moved_over();
    let before = epoch(&story, "10:30:00");
    let others = [
        ("verdict", epoch(&story, "10:15:34")),
        ("a use", epoch(&story.clone().uses(OLD, "checkout", ["10:29:00"]), "10:30:00")),
        (
            "the journal",
            epoch(&story.clone().told("10:29:00", JournalEvent::Propagated), "10:30:00"),
        ),
        ("a gap", epoch(&story.clone().lost("10:29:00"), "10:30:00")),
        ("a blocker", epoch(&story.clone().told("10:29:00", JournalEvent::Hold), "10:30:00")),
    ];
    for (what, after) in others {
        assert_ne!(before, after, "{what}");
    }
    // A waived use changes neither verdict nor blockers: it is a fact about the old key.
    let waived = |story: Story| {
        story.told("10:01:00", JournalEvent::ConsumerWaived("partner".into(), at("12:00:00")))
    };
    let without = waived(moved_over());
    let with = waived(moved_over().uses(OLD, "partner", ["10:20:00"]));
    assert_eq!((without.busy("10:30:00").verdict, with.busy("10:30:00").verdict), (Ready, Ready));
    assert_ne!(epoch(&without, "10:30:00"), epoch(&with, "10:30:00"));
}

#[test]
fn a_revoke_intent_on_the_current_epoch_of_a_ready_answer_is_recorded() {
    let mut world = moved_over().world(at("10:30:00"));
    let answer = world.answer(at("10:30:00"));
    let (sequence, valid_until) =
        intent(&mut world, &answer.epoch, at("10:30:10")).expect("it is ready and current");
    assert_eq!((sequence, valid_until), (2, at("10:31:10")));
    let journal = world.drain.journal(&answer.rotation).expect("the rotation is known");
    assert_eq!(journal[1].event, JournalEvent::RevokeIntent(answer.epoch));
}

#[test]
fn a_revoke_intent_on_another_epoch_is_refused() {
    let mut world = moved_over().world(at("10:30:00"));
    let answer = world.answer(at("10:30:00"));
    let refused = intent(&mut world, &Epoch::new("0123456789abcdef"), at("10:30:10"));
    assert_eq!(refused, Err(Refused::StaleEpoch(answer.epoch)));
}

#[test]
fn a_revoke_intent_after_a_use_is_refused_although_nothing_was_published_in_between() {
    let story = moved_over();
    let mut world = story.world(at("10:30:00"));
    let answer = world.answer(at("10:30:00"));
    let used = crate::world::Line {
        event_at: at("10:30:05"),
        key: OLD.to_owned(),
        consumer: "checkout".to_owned(),
        status: 200,
        garbled: false,
    };
    let place = (crate::world::EDGE, crate::world::ACCESS_LOG);
    world.read(place, &[used], at("10:30:05"), at("10:30:05"));
    match intent(&mut world, &answer.epoch, at("10:30:06")) {
        Err(Refused::NotReady(answer)) => assert_eq!(answer.verdict, NotReady),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_revoke_intent_long_after_the_last_look_is_refused_as_unknown() {
    let mut world = moved_over().world(at("10:30:00"));
    let answer = world.answer(at("10:30:00"));
    match intent(&mut world, &answer.epoch, at("10:50:00")) {
        Err(Refused::NotReady(answer)) => assert_eq!(answer.verdict, Unknown),
        other => panic!("{other:?}"),
    }
}

/// How often a `ready` was taken back, by events and by durable records.
fn retractions(story: &Story, now: &str) -> (usize, usize) {
    let mut world = story.world(at(now));
    world.answer(at(now));
    let told = world.events.iter().filter(|event| matches!(event, Event::Retracted(_))).count();
    (told, world.model.state().violations.len())
}

#[test]
fn a_use_after_ready_takes_it_back_and_leaves_a_record() {
    let story =
        moved_over().asked("10:30:00").uses(OLD, "checkout", ["10:31:00"]).asked("10:31:01");
    assert_eq!(story.answer("10:31:02").verdict, NotReady);
    assert_eq!(retractions(&story, "10:31:02"), (1, 1));
    let violation = story.world(at("10:31:02")).model.state().violations[0].clone();
    assert_eq!((violation.event_at, violation.recorded_at), (Some(at("10:31:00")), at("10:31:01")));
    assert!(violation.message.contains("ready was taken back: 2025-q4 used"), "{violation:?}");
    // One retraction is one, however often it is looked at.
    assert_eq!(retractions(&story.asked("10:31:30"), "10:32:00"), (1, 1));
}

#[test]
fn a_use_after_ready_takes_it_back_even_if_the_daemon_was_away_in_between() {
    // Two starts: what is published before the first look is unknown, twice.
    let story = moved_over_by("10:30:00")
        .asked("10:30:00")
        .then("10:30:30", |world| world.looking = false)
        .restarted("10:34:00")
        .restarted("10:35:00")
        .then("10:35:01", |world| world.looking = true)
        .line_read("10:31:00", "10:35:01", OLD, "checkout", 200);
    assert_eq!(story.answer("10:35:00").verdict, Unknown);
    assert_eq!(story.answer("10:35:01").verdict, NotReady);
    assert_eq!(retractions(&story, "10:35:01"), (1, 1));
}

#[test]
fn late_lines_are_recorded_once_a_minute_over_a_restart_too() {
    let late = |story: Story, read: &str| story.line_read("10:02:00", read, OLD, "checkout", 200);
    let records = |story: &Story| story.world(at("10:26:00")).model.state().violations.len();
    let story = late(moved_over(), "10:25:00").restarted("10:25:10");
    assert_eq!(records(&late(story.clone(), "10:25:59").asked("10:26:00")), 1);
    assert_eq!(records(&late(story, "10:26:00").asked("10:26:00")), 2);
}

#[test]
fn late_lines_of_another_key_are_no_record_of_the_rotation() {
    let late = |key| moved_over().line_read("10:02:00", "10:25:00", key, "checkout", 200);
    let records =
        |story: Story| story.asked("10:26:00").world(at("10:26:00")).model.state().violations.len();
    assert_eq!((records(late(NEW)), records(late(OLD))), (0, 1));
}

#[test]
fn the_more_late_lines_were_recorded_the_rarer_another_one_is() {
    let mut world = moved_over().world(at("10:25:00"));
    for minute in 0..403 {
        let now = at("10:25:00").plus(minutes(minute));
        let line = |event_at, key: &str| Line {
            event_at,
            key: key.to_owned(),
            consumer: "checkout".to_owned(),
            status: 200,
            garbled: false,
        };
        let lines = [line(now, NO_KEY), line(now.minus(minutes(20)), OLD)];
        world.read((EDGE, ACCESS_LOG), &lines, now, now);
    }
    world.settle(at("18:00:00"));
    // 100 in as many minutes, 100 in twice as many, and one every 4 min.
    assert_eq!(world.model.state().violations.len(), 100 + 100 + 25);
}

#[test]
fn lost_evidence_after_ready_is_unknown_and_no_contrary_evidence() {
    let story = moved_over().asked("10:30:00").lost("10:31:00").asked("10:31:00");
    assert_eq!(story.answer("10:31:01").verdict, Unknown);
    assert_eq!(retractions(&story, "10:31:01"), (0, 0));
}

#[test]
fn a_use_before_the_first_ready_takes_nothing_back() {
    assert_eq!(retractions(&moved_over().asked("10:00:01").asked("10:20:00"), "10:30:00"), (0, 0));
}

#[test]
fn earliest_ready_at_is_when_it_becomes_ready_if_nothing_else_happens() {
    let story = moved_over().policy(|policy| policy.max_session_lifetime = minutes(30));
    for now in ["10:03:00", "10:15:31", "10:30:00"] {
        assert_eq!(story.busy(now).earliest_ready_at, Some(at("10:45:35")), "asked at {now}");
    }
    check(&story.busy("10:45:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:45:35"), Ready, []);
    assert_eq!(story.busy("10:50:00").earliest_ready_at, Some(at("10:50:00")));
}

#[test]
fn lateness_that_was_observed_enters_the_time_when_it_clears() {
    // 60 s behind the heartbeat before it, 30 s more than allowed.
    let story = moved_over().line_written("10:29:00", "10:30:00.100", OLD, "checkout");
    crate::story::stands_until(&story, "old_key_in_use", "checkout", "10:46:00.100");
    // A line that is less late afterwards does not make it smaller again.
    let less = story.line_written("10:29:25", "10:30:01", NEW, "checkout");
    crate::story::stands_until(&less, "old_key_in_use", "checkout", "10:46:00.100");
}

/// The lateness that a line showed put the time of a `ready` that stood into the future.
#[test]
fn what_is_ready_now_is_told_to_be_ready_now() {
    let ready = moved_over().asked("10:16:40");
    let story = ready.line_read("10:01:00", "10:16:50", NEW, "checkout", 200);
    let answer = story.busy("10:17:00");
    assert_eq!((answer.verdict, answer.earliest_ready_at), (Ready, Some(at("10:17:00"))));
}

#[test]
fn counts_of_a_key_are_told_by_outcome() {
    let story = moved_over()
        .line("10:03:00", OLD, "checkout", 403)
        .line("10:04:00", OLD, "checkout", 401)
        .line("10:05:00", OLD, "checkout", 502);
    let old = story.busy("10:30:00").old_key;
    assert_eq!((old.accepted, old.denied, old.failed), (3, 2, 1));
    assert_eq!((old.first_seen, old.last_seen), (Some(at("09:59:58")), Some(at("10:05:00"))));
}

#[test]
fn the_sequence_grows_over_changes_and_restarts() {
    let story = moved_over().asked("10:01:00").asked("10:16:00").restarted("10:17:00");
    let sequence = |now| {
        let mut world = story.world(at(now));
        world.answer(at(now));
        world.drain.snapshot("test", 0, at(now)).sequence
    };
    let all = ["10:01:00", "10:16:00", "10:17:00", "10:18:00"].map(sequence);
    assert!(all.is_sorted() && all[0] > 0 && all[1] > all[0], "{all:?}");
}

#[test]
fn a_verdict_stands_since_it_changed_last() {
    let story = moved_over().asked("10:01:00").asked("10:16:00").asked("10:17:00");
    let since = |now| {
        let mut world = story.world(at(now));
        world.answer(at(now));
        world.drain.snapshot("test", 0, at(now)).rotations[0].verdict_since
    };
    assert_eq!(since("10:02:00"), at("10:01:00"));
    assert_eq!(since("10:20:00"), at("10:16:00"));
}

#[test]
fn the_epoch_changes_with_the_configuration_though_nothing_else_does() {
    let before = epoch(&moved_over(), "10:30:00");
    let lease = moved_over().policy(|policy| policy.lease = minutes(2));
    let source = moved_over().declared(|declared| {
        declared.sources[0].policy.idle_after = minutes(6);
    });
    for story in [lease, source] {
        assert_eq!(story.busy("10:30:00").verdict, Ready);
        assert_ne!(before, epoch(&story, "10:30:00"));
    }
}

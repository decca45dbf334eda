//! Rows about an old key that still works after its revocation.

use std::collections::BTreeSet;
use std::time::Duration;

use keydrain::engine::checkpoints::{Checkpoint, CheckpointRecord, CheckpointStatus};
use keydrain::engine::incident::{Incident, IncidentKind};
use keydrain::engine::rotation::{Attestation, JournalEvent};
use keydrain::engine::view::Event;

use crate::log::key_ref;
use crate::story::{Story, at, moved_over_by};
use crate::world::{ACCESS_LOG, EDGE, Line, NEW, OLD, World};

/// Revoked at 10:20:00; within ten minutes every server must know.
fn revoked() -> Story {
    let story = moved_over_by("11:00:00");
    let story = story.policy(|policy| policy.propagation_bound = Duration::from_mins(10));
    story.told("10:20:00", JournalEvent::Revoked)
}

fn shown(story: &Story, now: &str) -> (Vec<Incident>, CheckpointRecord, World) {
    let mut world = story.world(at(now));
    world.answer(at(now));
    let snapshot = world.drain.snapshot("test", 0, at(now));
    let view = snapshot
        .rotations
        .into_iter()
        .find(|it| it.rotation.declaration.id.as_str() == "payments-api-1");
    let view = view.expect("the first rotation is kept");
    let post_revoke =
        view.checkpoints.into_iter().find(|it| it.checkpoint == Checkpoint::PostRevoke);
    (view.incidents, post_revoke.expect("it is always looked at"), world)
}

fn who(incidents: &[Incident]) -> Vec<&str> {
    let leaks = incidents.iter().filter(|it| it.kind == IncidentKind::RevocationLeak);
    leaks.map(|it| it.subject.as_str()).collect()
}

#[test]
fn an_accepted_use_after_the_bound_is_a_leak_that_names_who() {
    let used = |when: &str| revoked().line(when, OLD, "billing", 200);
    assert!(who(&shown(&used("10:30:00.999"), "10:40:00").0).is_empty(), "the bound's own second");
    let (incidents, checkpoint, world) = shown(&used("10:30:01"), "10:40:00");
    assert_eq!(who(&incidents), ["billing"]);
    let message = &incidents[0].message;
    for part in [OLD, "billing", "2026-03-02T10:30:01Z", "still takes it"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(checkpoint.status, CheckpointStatus::Fail);
    assert_eq!(checkpoint.reasons, ["revocation_leak: billing"]);
    assert!(world.events.contains(&Event::IncidentBegan(incidents[0].clone())));
}

#[test]
fn a_leak_is_told_at_the_next_turn_though_the_answer_still_lasts() {
    let mut world = revoked().world(at("10:40:00"));
    world.answer(at("10:40:00"));
    world.events.clear();
    let leak = Line {
        event_at: at("10:40:00.500"),
        key: OLD.to_owned(),
        consumer: "billing".to_owned(),
        status: 200,
        garbled: false,
    };
    world.read((EDGE, ACCESS_LOG), &[leak], at("10:40:00.500"), at("10:40:00.600"));
    world.settle(at("10:40:00.600"));
    let began =
        |event: &Event| matches!(event, Event::IncidentBegan(it) if it.subject == "billing");
    assert!(world.events.iter().any(began), "{:?}", world.events);
}

#[test]
fn a_denied_or_failed_use_is_no_leak() {
    for status in [401, 403, 503] {
        let story = revoked().line("10:35:00", OLD, "billing", status);
        assert!(who(&shown(&story, "10:40:00").0).is_empty(), "{status}");
    }
}

#[test]
fn each_consumer_that_leaks_is_one_incident_however_often_it_comes() {
    let story = revoked()
        .line("10:35:00", OLD, "billing", 200)
        .asked("10:35:30")
        .line("10:36:00", OLD, "billing", 200)
        .restarted("10:36:30")
        .line("10:37:00", OLD, "checkout", 200)
        .line("10:38:00", OLD, "billing", 200);
    let (incidents, checkpoint, world) = shown(&story, "10:40:00");
    assert_eq!(who(&incidents), ["billing", "checkout"]);
    assert_eq!(incidents[0].at, at("10:35:30"));
    assert_eq!(checkpoint.reasons, ["revocation_leak: billing", "revocation_leak: checkout"]);
    let began = |event: &&Event| matches!(event, Event::IncidentBegan(_));
    assert_eq!(world.events.iter().filter(began).count(), 2);
}

#[test]
fn leaks_beyond_the_bound_are_one_incident_over_a_restart_too() {
    let all = |from: usize, to: usize, when: &'static str| {
        move |world: &mut World| {
            let line = |n| Line {
                event_at: at(when),
                key: OLD.to_owned(),
                consumer: format!("c{n}"),
                status: 200,
                garbled: false,
            };
            let lines: Vec<Line> = (from..to).map(line).collect();
            world.read((EDGE, ACCESS_LOG), &lines, at(when), at(when));
        }
    };
    let story = revoked()
        .then("10:35:00", all(0, 1_001, "10:35:00"))
        .restarted("10:36:00")
        .then("10:37:00", all(1_000, 1_003, "10:37:00"));
    let (incidents, checkpoint, world) = shown(&story, "10:40:00");
    assert_eq!(incidents.len(), 1_001);
    assert_eq!(incidents[1_000].subject, "(others)");
    assert_eq!(world.model.state().incidents, incidents);
    assert_eq!(checkpoint.reasons[20], "and 983 more", "whoever leaks is counted");
}

#[test]
fn an_ended_rotation_is_decided_on_news_and_else_only_before_its_answer_expires() {
    let mut world = revoked().world(at("10:21:00"));
    let answer = |world: &mut World, now| {
        world.look(now);
        world.settle(now);
        world.drain.snapshot("test", 0, now).rotations.swap_remove(0).answer
    };
    let mut decided = BTreeSet::new();
    for second in 0..300 {
        let now = at("10:21:00").plus(Duration::from_secs(second));
        let shown = answer(&mut world, now);
        assert!(now < shown.valid_until, "it expired after {second} s");
        assert_eq!(answer(&mut world, now), shown, "twice is once");
        decided.insert(shown.evaluated_at);
    }
    assert!(decided.len() <= 300 / 15 + 1, "decided {} times", decided.len());
    let now = at("10:26:00.001");
    let line = |key: &str| Line {
        event_at: now,
        key: key.to_owned(),
        consumer: "checkout".to_owned(),
        status: 200,
        garbled: false,
    };
    world.read((EDGE, ACCESS_LOG), &[line(OLD)], now, now);
    let shown = answer(&mut world, now);
    assert_eq!((shown.evaluated_at, shown.old_key.last_seen), (now, Some(now)));
    world.tell(JournalEvent::Attested(Attestation::PostRevoke), None, now);
    assert_ne!(answer(&mut world, now).epoch, shown.epoch, "the journal is news");
}

#[test]
fn neither_waiver_nor_retirement_nor_override_excuses_a_leak() {
    let waived = JournalEvent::ConsumerWaived("billing".into(), at("30 10:00:00"));
    let retired = JournalEvent::ConsumerRetired("billing".into());
    for excuse in [waived, retired] {
        let story = moved_over_by("11:00:00")
            .policy(|policy| policy.propagation_bound = Duration::from_mins(10))
            .told("10:10:00", excuse)
            .told("10:20:00", JournalEvent::Override)
            .line("10:30:01", OLD, "billing", 200);
        assert_eq!(who(&shown(&story, "10:40:00").0), ["billing"]);
    }
}

#[test]
fn a_use_from_before_the_revocation_that_is_read_late_is_no_leak() {
    let story = revoked().line_read("10:10:00", "10:40:00", OLD, "billing", 200);
    assert!(who(&shown(&story, "10:41:00").0).is_empty());
}

#[test]
fn a_rotation_that_was_rolled_back_leaks_nothing() {
    let story = moved_over_by("11:00:00")
        .told("10:20:00", JournalEvent::RolledBack)
        .line("11:30:00", OLD, "billing", 200);
    let mut world = story.world(at("11:31:00"));
    world.answer(at("11:31:00"));
    let snapshot = world.drain.snapshot("test", 0, at("11:31:00"));
    assert!(snapshot.rotations[0].incidents.is_empty());
}

#[test]
fn a_key_that_a_later_rotation_uses_again_leaks_no_more() {
    let again = revoked().then("10:40:00", |world| {
        world.start(key_ref(NEW), key_ref(OLD), at("10:40:00"));
    });
    let after = again.clone().line("10:45:00", OLD, "billing", 200);
    let (incidents, checkpoint, _) = shown(&after, "10:46:00");
    assert!(who(&incidents).is_empty());
    assert_eq!(checkpoint.status, CheckpointStatus::Pending);
    let before = again.clone().line("10:39:00", OLD, "billing", 200);
    assert_eq!(who(&shown(&before, "10:46:00").0), ["billing"]);
    let at_once = again.clone().line("10:40:00", OLD, "billing", 200);
    assert!(who(&shown(&at_once, "10:46:00").0).is_empty(), "in the second of its beginning");
    // Nor does a denial that the later one saw prove the earlier revocation.
    for (when, status) in [
        ("10:39:59", CheckpointStatus::Pass),
        ("10:40:00", CheckpointStatus::Pending),
        ("10:45:00", CheckpointStatus::Pending),
    ] {
        let denied = again.clone().line(when, OLD, "probe", 401);
        assert_eq!(shown(&denied, "10:46:00").1.status, status, "{when}");
    }
}

#[test]
fn a_key_may_be_used_again_from_the_instant_of_its_revocation_on() {
    let again = revoked().then("10:20:00", |world| {
        world.start(key_ref(NEW), key_ref(OLD), at("10:20:00"));
    });
    let used = again.line("10:35:00", OLD, "billing", 200);
    assert!(who(&shown(&used, "10:40:00").0).is_empty());
}

#[test]
fn a_later_rotation_of_other_keys_excuses_no_leak() {
    let other = revoked().then("10:25:00", |world| {
        world.start(key_ref(NEW), key_ref("2026-q3"), at("10:25:00"));
    });
    let used = other.line("10:35:00", OLD, "billing", 200);
    assert_eq!(who(&shown(&used, "10:40:00").0), ["billing"]);
}

#[test]
fn an_attestation_before_the_last_leaked_use_does_not_outweigh_it() {
    let attested = JournalEvent::Attested(Attestation::PostRevoke);
    let story = revoked()
        .line("10:35:00", OLD, "billing", 200)
        .told("10:36:00", attested)
        .line("10:38:00", OLD, "billing", 200)
        .then("10:40:00", |world| {
            world.start(key_ref(NEW), key_ref(OLD), at("10:40:00"));
        });
    assert_eq!(shown(&story, "10:46:00").1.status, CheckpointStatus::Fail);
}

#[test]
fn a_denied_line_after_the_bound_passes_post_revoke() {
    let denied = |when: &str| shown(&revoked().line(when, OLD, "probe", 401), "10:40:00").1;
    assert_eq!(denied("10:30:00").status, CheckpointStatus::Pending);
    let passed = denied("10:30:01");
    assert_eq!(passed.status, CheckpointStatus::Pass);
    assert_eq!(passed.reasons, ["seen: the old key was denied at 2026-03-02T10:30:01Z"]);
}

#[test]
fn that_a_revocation_is_verified_is_told_once() {
    let told = |story: Story| {
        let mut world = story.line("10:31:00", OLD, "probe", 401).world(at("10:50:00"));
        for now in ["10:50:00", "10:52:00", "11:00:00"] {
            world.answer(at(now));
        }
        let verified = world.events.iter().filter_map(|event| match event {
            Event::RevocationVerified(_, at) => Some(*at),
            _ => None,
        });
        verified.collect::<Vec<_>>()
    };
    assert_eq!(told(revoked()), [at("10:31:00")]);
    assert_eq!(told(revoked().asked("10:30:00").restarted("10:30:30")), [at("10:31:00")]);
}

#[test]
fn a_denial_by_one_server_does_not_outweigh_a_use_that_another_accepts() {
    let story = revoked()
        .line("10:31:00", OLD, "probe", 401)
        .asked("10:32:00")
        .line("10:33:00", OLD, "billing", 200)
        .line("10:34:00", OLD, "probe", 401);
    assert_eq!(shown(&story, "10:40:00").1.status, CheckpointStatus::Fail);
}

#[test]
fn what_nothing_proves_for_a_day_is_unknown() {
    let story = revoked();
    let pending = shown(&story, "3 10:19:59.999999999");
    assert_eq!(pending.1.status, CheckpointStatus::Pending);
    assert!(pending.1.reasons[0].contains("send one request with the old key"));
    assert_eq!(pending.2.drain.next_deadline(at("3 10:19:59")), Some(at("3 10:20:00")));
    assert_eq!(shown(&story, "3 10:20:00").1.status, CheckpointStatus::Unknown);
    let late = story.line("3 12:00:00", OLD, "probe", 401);
    assert_eq!(shown(&late, "3 12:01:00").1.status, CheckpointStatus::Pass);
}

#[test]
fn an_attested_revocation_passes_until_the_key_is_accepted_again() {
    let attested = || JournalEvent::Attested(Attestation::PostRevoke);
    let story = revoked().told("10:25:00", attested());
    let passed = shown(&story, "10:40:00").1;
    assert_eq!((passed.status, passed.reasons), (CheckpointStatus::Pass, vec!["attested".into()]));
    let leaked = story.line("10:35:00", OLD, "billing", 200);
    assert_eq!(shown(&leaked, "10:40:00").1.status, CheckpointStatus::Fail);
    let at_once = leaked.clone().told("10:35:00", attested());
    assert_eq!(shown(&at_once, "10:40:00").1.status, CheckpointStatus::Fail);
    let mended = leaked.told("10:35:00.000000001", attested());
    assert_eq!(shown(&mended, "10:40:00").1.status, CheckpointStatus::Pass);
}

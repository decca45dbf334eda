//! Rows about the report of a migration: who moved when, how fast, who is left, and until when.

use std::time::Duration;

use keydrain::engine::rotation::{Job, JournalEvent, RosterEntry};
use keydrain::engine::time::Timestamp;
use keydrain::engine::velocity::{Eta, Migration, Origin};
use keydrain::engine::view::ConsumerState;
use proptest::prelude::*;

use crate::story::{INSTANT, Story, at};
use crate::world::{NEW, OLD};

fn report(story: &Story, now: &str) -> Migration {
    let mut world = story.world(at(now));
    let answer = world.answer(at(now));
    world.drain.migration(&answer.rotation, at(now)).expect("the rotation is known")
}

/// Four consumers that were told at 10:00: three of them moved, the last calls every ten minutes.
fn three_of_four() -> Story {
    let story = Story::new()
        .heartbeats("09:00:00", "16:00:00")
        .told("10:00:00", JournalEvent::ConsumersNotified)
        .uses(NEW, "a", ["10:30:00"])
        .uses(NEW, "b", ["11:00:00"])
        .uses(NEW, "c", ["12:00:00"]);
    let story =
        ["a", "b", "c"].iter().fold(story, |story, name| story.uses(OLD, name, ["09:30:00"]));
    (0..22).fold(story, |story, n| {
        let minute = 30 + 10 * n;
        let when = format!("{:02}:{:02}:00", 9 + minute / 60, minute % 60);
        story.line(&when, OLD, "d", 200)
    })
}

fn why_none(report: &Migration) -> &str {
    match &report.eta {
        Eta::None(why) => why,
        told @ Eta::Told { .. } => panic!("{told:?}"),
    }
}

#[test]
fn the_velocity_counts_from_the_notification_to_each_share_of_those_that_must_move() {
    let moving = report(&three_of_four(), "13:00:00");
    assert_eq!(moving.origin, (Origin::Notified, at("10:00:00")));
    assert_eq!((moving.must_move, moving.moved), (4, 3));
    assert_eq!((moving.t50, moving.t90, moving.t100), (Some(Duration::from_hours(1)), None, None));
    assert_eq!(moving.per_hour, Some(1.0), "three moves in three hours");

    let moved = three_of_four().uses(NEW, "d", ["14:00:00"]);
    let moved = report(&moved, "15:00:00");
    assert_eq!(
        (moved.t90, moved.t100),
        (Some(Duration::from_hours(4)), Some(Duration::from_hours(4)))
    );
    assert_eq!(
        moved.per_hour,
        Some(1.0),
        "four moves in four hours: no time after the last counts"
    );
    assert_eq!(why_none(&moved), "everybody has moved");
    assert!(moved.stragglers.is_empty());
}

#[test]
fn the_estimate_is_the_pace_of_the_last_half_with_an_interval_that_is_wide_enough() {
    let moving = report(&three_of_four(), "13:00:00");
    let Eta::Told { at: expected, earliest, latest, basis } = &moving.eta else {
        panic!("{moving:?}")
    };
    // Two moves since 10:30, which took 2 h 30 min; one is left.
    assert_eq!(*expected, at("14:15:00"));
    let near = |found: Timestamp, hours: f64| {
        let found = found.since(at("13:00:00")).as_secs_f64() / 3_600.0;
        assert!((found / hours - 1.0).abs() < 1e-3, "{found} is not {hours}");
    };
    near(*earliest, 2.5 * (0.95_f64.powf(-1.0 / 3.0) - 1.0));
    // Moving on its own: d waited for 2 h 30 min since 10:30, b 30 min and c 1 h 30 min.
    near(*latest, 4.5 * (0.05_f64.powf(-0.5) - 1.0));
    for part in ["1 left", "last 2 moves", "2 h 30 min", "Poisson", "90 %"] {
        assert!(basis.contains(part), "{basis}");
    }
}

#[test]
fn without_a_notification_it_counts_from_dual_accept_and_else_from_the_start_and_says_so() {
    let started = Story::new().heartbeats("09:00:00", "10:00:00");
    let told = report(&started, "10:00:00");
    assert_eq!(told.origin, (Origin::Started, at("09:00:00")));
    let seen = started.clone().uses(NEW, "a", ["09:20:00", "09:40:00"]);
    assert_eq!(report(&seen, "10:00:00").origin, (Origin::DualAccept, at("09:20:00")));
    let accepted = started.told("09:30:00", JournalEvent::DualAcceptEnabled);
    let told = report(&accepted, "10:00:00");
    assert_eq!(told.origin, (Origin::DualAccept, at("09:30:00")));
    assert!(Origin::DualAccept.is_inferred() && Origin::Started.is_inferred());
    assert!(!Origin::Notified.is_inferred());
    assert_eq!((told.t50, told.per_hour, why_none(&told)), (None, None, "nobody is known yet"));
}

#[test]
fn who_need_not_move_is_not_counted_and_the_waived_are_named_apart() {
    let health = RosterEntry { synthetic: true, ..RosterEntry::new("health") };
    let story = three_of_four()
        .roster([health])
        .uses(OLD, "health", ["09:30:00", "12:50:00"])
        .uses(OLD, "gone", ["09:30:00"])
        .uses(OLD, "partner", ["09:30:00"])
        .uses(NEW, "newcomer", ["09:40:00"])
        .told("10:10:00", JournalEvent::ConsumerRetired("gone".into()))
        .told("10:10:00", JournalEvent::ConsumerWaived("partner".into(), at("15:00:00")));
    let told = report(&story, "13:00:00");
    assert_eq!((told.must_move, told.moved), (4, 3));
    assert_eq!(told.waived, ["partner"]);
    let later = report(&story, "15:00:00");
    assert_eq!((later.must_move, later.waived.len()), (5, 0), "the waiver is over");
}

#[test]
fn who_stays_under_the_threshold_need_not_move_and_is_named_apart() {
    let story = three_of_four().uses(OLD, "-", ["12:50:00"]).uses(NEW, "d", ["14:00:00"]);
    let counted = report(&story, "16:00:00");
    assert_eq!((counted.must_move, counted.moved), (5, 4));
    let told = report(&story.policy(|policy| policy.threshold = 1), "16:00:00");
    assert_eq!((told.must_move, told.moved), (4, 4));
    assert_eq!(told.tolerated, ["anonymous"]);
    assert!(told.t100.is_some() && told.stragglers.is_empty(), "{told:?}");
}

#[test]
fn stragglers_come_with_the_latest_user_first_and_what_each_needs() {
    let story = three_of_four()
        .roster([RosterEntry { owner: Some("pay-team".into()), ..RosterEntry::new("e") }])
        .uses(OLD, "f", ["09:45:00"]);
    let told = report(&story, "13:05:00");
    let names: Vec<&str> = told.stragglers.iter().map(|one| one.consumer.as_str()).collect();
    assert_eq!(names, ["d", "f", "e"]);
    let d = &told.stragglers[0];
    assert_eq!((d.state, d.old_last_seen), (ConsumerState::OnOld, Some(at("13:00:00"))));
    assert_eq!((d.sessions, d.largest_gap), (1, Duration::from_mins(10)));
    assert!(d.needs.contains("clears with its use of 2026-q1"), "{}", d.needs);
    assert_eq!(d.clears_at, None, "silence alone does not move it");
    let e = &told.stragglers[2];
    assert_eq!((e.state, e.owner.as_deref()), (ConsumerState::Silent, Some("pay-team")));
    assert!(e.needs.contains("on the roster"), "{}", e.needs);
    // Each needs its own: no use of one is another's.
    let others = |needs: &str, of: &str| {
        names.iter().any(|name| *name != of && needs.contains(&format!("{name} was only seen")))
    };
    for one in &told.stragglers {
        assert!(!others(&one.needs, &one.consumer), "{}: {}", one.consumer, one.needs);
    }
}

#[test]
fn there_is_no_estimate_while_nothing_tells_that_a_straggler_will_ever_move() {
    // `f` was seen once, three hours ago; `e` never.
    let told = report(&three_of_four().uses(OLD, "f", ["09:45:00"]), "13:00:00");
    assert!(why_none(&told).starts_with("nothing tells when f will use 2026-q1"), "{:?}", told.eta);
    assert!(why_none(&told).ends_with(": ask its owner, or retire it"), "{:?}", told.eta);
    let both = three_of_four().uses(OLD, "f", ["09:45:00"]).roster([RosterEntry::new("e")]);
    let told = report(&both, "13:00:00");
    assert_eq!(
        why_none(&told),
        "nothing tells when f, e will use 2026-q1: ask their owners, or retire them"
    );
    let told = report(&three_of_four().roster([RosterEntry::new("e")]), "13:00:00");
    assert!(why_none(&told).starts_with("nothing tells when e will use 2026-q1"), "{:?}", told.eta);
    // A job moves with its next run, whatever the pace of the others is.
    let job = Job {
        consumer: "d".into(),
        schedule: "not read here".into(),
        zone: None,
        max_runtime: Duration::ZERO,
    };
    let story =
        three_of_four().declared(move |declared| declared.credentials[0].jobs.push(job.clone()));
    let told = report(&story, "13:00:00");
    assert!(matches!(told.eta, Eta::None(_)), "{:?}", told.eta);
}

#[test]
fn a_straggler_that_calls_as_usual_is_estimated_and_one_that_stopped_is_not() {
    // `d` called every ten minutes up to 13:00; the session gap is 15 min, twice its gap is 20 min.
    assert!(matches!(report(&three_of_four(), "13:20:00").eta, Eta::Told { .. }));
    assert!(matches!(report(&three_of_four(), "13:22:00").eta, Eta::None(_)));
}

#[test]
fn who_is_silent_for_longer_than_its_cadence_bound_is_gone_and_holds_nobody_up() {
    // Six runs every 20 min: five gaps, and twice the largest is 40 min after 11:10.
    let times = ["09:30:00", "09:50:00", "10:10:00", "10:30:00", "10:50:00", "11:10:00"];
    let story = three_of_four().uses(OLD, "batch", times);
    let before = report(&story, "11:50:30");
    assert_eq!((before.must_move, before.gone.len()), (5, 0));
    let after = report(&story, "11:51:30");
    assert_eq!((after.must_move, after.gone), (4, vec!["batch".to_owned()]));
    assert_eq!(after.stragglers.len(), 2, "c and d: {:?}", after.stragglers);
}

#[test]
fn two_moves_tell_no_pace() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "a", ["09:10:00"])
        .uses(OLD, "b", ["09:10:00"])
        .uses(NEW, "a", ["09:20:00"])
        .uses(NEW, "b", ["09:30:00"])
        .uses(OLD, "c", ["10:55:00"]);
    let told = report(&story, "11:00:00");
    assert_eq!(
        why_none(&told),
        "moves since the start of the migration: 2, which tell no pace; it takes 3"
    );
}

#[test]
fn who_came_over_is_waited_for_until_its_silence_is_long_enough() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "a", ["09:30:00", "09:50:00", "10:00:00"])
        .uses(NEW, "a", ["10:01:00"]);
    let told = report(&story, "10:05:00");
    assert_eq!(told.moved, 0);
    // Its largest gap is 20 min, the lateness 30 s: the word of the verdict.
    let Eta::Told { at: expected, earliest, latest, .. } = told.eta else { panic!("{told:?}") };
    assert_eq!([expected, earliest, latest], [at("10:20:30").plus(INSTANT); 3]);
}

#[test]
fn a_window_in_which_nothing_was_seen_has_no_value_and_a_gap_is_shown() {
    let story = three_of_four().lost("12:00:30");
    let told = report(&story, "13:00:00");
    let curve = &told.curve;
    assert_eq!(curve.width, Duration::from_mins(1));
    let window = |when: &str| {
        let from = at(when);
        curve.requests.iter().find(|window| window.from == from).expect("every window is there")
    };
    let (both, none) = (window("12:00:00"), window("12:01:00"));
    assert_eq!((both.old, both.new, both.share), (1, 1, Some(0.5)));
    assert_eq!((none.old, none.new, none.share), (0, 0, None));
    assert_eq!(window("12:10:00").share, Some(0.0), "the old key alone");
    assert!(both.gap && !none.gap);
    assert_eq!(curve.requests.len(), 181, "10:00 to 13:00, the minute of now included");
    let steps: Vec<(Timestamp, u64)> = curve.consumers.iter().map(|s| (s.at, s.moved)).collect();
    let expected = [("10:00:00", 0), ("10:30:00", 1), ("11:00:00", 2), ("12:00:00", 3)];
    assert_eq!(steps, expected.map(|(when, moved)| (at(when), moved)));
    assert_eq!(curve.consumers[3].share, Some(0.75));
}

#[test]
fn a_rotation_that_is_over_keeps_its_curve_up_to_its_end_and_has_no_estimate() {
    let story = three_of_four().told("12:30:00", JournalEvent::Revoked);
    let told = report(&story, "13:00:00");
    assert_eq!(why_none(&told), "the rotation is over");
    assert_eq!(told.curve.requests.last().map(|window| window.from), Some(at("12:30:00")));
}

#[test]
fn a_long_migration_is_drawn_in_wider_windows() {
    let story =
        Story::new().uses(OLD, "a", ["09:10:00", "9 09:10:00"]).uses(NEW, "a", ["5 09:10:00"]);
    let told = report(&story, "9 12:00:00");
    assert!(told.curve.requests.len() <= 256, "{}", told.curve.requests.len());
    assert!(told.curve.width >= Duration::from_mins(45));
    let seen: u64 = told.curve.requests.iter().map(|window| window.old + window.new).sum();
    assert_eq!(seen, 3);
}

#[test]
fn a_short_migration_of_a_key_with_a_long_life_is_drawn_in_narrow_windows() {
    // The whole life of the key takes windows of an hour and more.
    let uses = (0..24).map(|n| format!("{} 09:00:00", 3 + n));
    let story = uses
        .fold(Story::new().started("27 09:00:00"), |story, when| story.line(&when, OLD, "a", 200));
    let story = story.uses(OLD, "b", ["27 09:00:30", "27 09:20:00"]).uses(
        NEW,
        "b",
        ["27 10:10:00", "27 10:20:00"],
    );
    let told = report(&story, "27 10:30:00");
    assert_eq!(told.curve.width, Duration::from_hours(1));
    let counts: Vec<_> = told.curve.requests.iter().map(|one| (one.old, one.new)).collect();
    assert_eq!(counts, [(2, 0), (0, 2)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn shares_only_grow_later_shares_take_longer_and_no_estimate_lies_in_the_past(
        uses in prop::collection::vec((0_u32..8, 0_u32..300, any::<bool>()), 1..50),
        now in 240_u32..420,
    ) {
        let time = |minute: u32| format!("{:02}:{:02}:00", 9 + minute / 60, minute % 60);
        let story = Story::new().heartbeats("09:00:00", &time(now));
        let story = uses.iter().fold(story, |story, (consumer, minute, old)| {
            let key = if *old { OLD } else { NEW };
            story.line(&time(*minute), key, &format!("c{consumer}"), 200)
        });
        let told = report(&story, &time(now));
        let steps = &told.curve.consumers;
        prop_assert!(steps.windows(2).all(|two| two[0].at < two[1].at && two[0].moved <= two[1].moved));
        prop_assert_eq!(steps.last().map(|step| step.moved), Some(told.moved));
        prop_assert_eq!(told.must_move - told.moved, told.stragglers.len() as u64);
        let times = [told.t50, told.t90, told.t100];
        for two in times.windows(2) {
            prop_assert!(two[1].is_none() || two[0].is_some_and(|t| Some(t) <= two[1]), "{:?}", times);
        }
        prop_assert_eq!(told.t100.is_some(), told.must_move > 0 && told.moved == told.must_move);
        for window in &told.curve.requests {
            prop_assert_eq!(window.share.is_none(), window.old + window.new == 0);
        }
        let counted: u64 = told.curve.requests.iter().map(|window| window.old + window.new).sum();
        prop_assert_eq!(counted, uses.iter().filter(|(_, minute, _)| *minute <= now).count() as u64);
        if let Eta::Told { at: expected, earliest, latest, .. } = told.eta {
            prop_assert!(at(&time(now)) <= earliest && earliest <= expected && expected <= latest);
        }
    }
}

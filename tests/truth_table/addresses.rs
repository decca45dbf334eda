//! Consumers that nothing but an address is known of: how many they are, and one by one.

use std::collections::BTreeMap;

use keydrain::engine::answer::{Answer, Verdict::NotReady, Verdict::Ready};
use keydrain::engine::credential::{ConsumerName, CredentialName};
use keydrain::engine::ledger::{Ledger, MAX_CONSUMERS};
use keydrain::engine::migration::migrants;
use keydrain::engine::policy::{AnonymousConsumers, Policy, ThresholdOf};
use keydrain::engine::rotation::{Declaration, JournalEvent, Rotation, RotationId};
use keydrain::engine::usage::{Consumer, ConsumerKind, Outcome, Tally, UsageCell};
use keydrain::engine::view::ConsumerState;

use crate::story::{
    Story, at, check, minutes, moved_over, moved_over_by, on_roster, standing, stands_until,
};
use crate::world::{NEW, OLD, fingerprint, key_ref};

fn each() -> Story {
    Story::new().policy(|policy| policy.anonymous = AnonymousConsumers::Each)
}

/// Two addresses use the old key, and the first one has moved.
fn one_of_two_moved(story: Story) -> Story {
    story.uses(OLD, "192.0.2.1", ["10:00:00"]).uses(OLD, "192.0.2.2", ["09:59:00"]).uses(
        NEW,
        "192.0.2.1",
        ["10:01:00"],
    )
}

fn retired(name: &str) -> JournalEvent {
    JournalEvent::ConsumerRetired(name.into())
}

#[track_caller]
fn warns(answer: &Answer, subject: &str, fragment: &str) {
    let found: BTreeMap<_, _> = answer
        .warnings
        .iter()
        .filter(|warning| warning.code.as_str() == "consumers_unidentified")
        .map(|warning| (&*warning.subject, &*warning.message))
        .collect();
    let message = found.get(subject).unwrap_or_else(|| panic!("{subject} is not in {found:?}"));
    assert!(message.contains(fragment), "{fragment:?} is not in {message:?}");
}

#[test]
fn nobody_is_called_unidentified_where_everybody_is_named() {
    let answer = moved_over().busy("10:30:00");
    assert!(answer.warnings.iter().all(|it| it.code.as_str() != "consumers_unidentified"));
}

#[test]
fn the_new_key_of_one_address_speaks_for_the_pool_and_not_for_another_address() {
    check(&one_of_two_moved(Story::new()).busy("10:30:00"), Ready, []);
    let story = one_of_two_moved(each());
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", "192.0.2.2")]);
    let moved = story.uses(NEW, "192.0.2.2", ["10:02:00"]);
    check(&moved.busy("10:30:00"), Ready, []);
}

#[test]
fn an_address_is_retired_and_waived_by_its_text() {
    let story = one_of_two_moved(each());
    let waived = JournalEvent::ConsumerWaived("192.0.2.2".into(), at("11:00:00"));
    for event in [retired("192.0.2.2"), waived] {
        check(&story.clone().told("10:05:00", event).busy("10:30:00"), Ready, []);
    }
    let other = story.told("10:05:00", retired("192.0.2.20"));
    check(&other.busy("10:30:00"), NotReady, [("consumer_not_moved", "192.0.2.2")]);
}

#[test]
fn a_roster_may_name_an_address() {
    let story = one_of_two_moved(each()).roster([on_roster("192.0.2.2")]);
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", "192.0.2.2")]);
    check(&story.uses(NEW, "192.0.2.2", ["10:02:00"]).busy("10:30:00"), Ready, []);
}

#[test]
fn an_address_is_shown_as_it_is_and_as_nobody_s_name() {
    let mut world = one_of_two_moved(each()).world(at("10:05:00"));
    world.answer(at("10:05:00"));
    let shown = world.drain.consumers(&world.rotation(), at("10:05:00")).expect("it is known");
    let shown: Vec<_> = shown.iter().map(|one| (&*one.consumer, one.named)).collect();
    assert_eq!(shown, [("192.0.2.1", false), ("192.0.2.2", false)]);
}

#[test]
fn a_rotation_that_keeps_each_says_so_where_its_keys_are_looked_for_already() {
    // Another credential may have the same key and pool those who present it.
    for (story, orders) in [(Story::new(), 0), (each(), 2)] {
        let world = story.world(at("10:00:00"));
        assert_eq!(world.drain.untracked(&world.rotation()).len(), orders);
    }
}

#[test]
fn keeping_each_from_now_on_does_not_take_the_pool_away() {
    let story = Story::new()
        .uses(OLD, "192.0.2.1", ["10:00:00"])
        .reconfigured("10:05:00", |declared| {
            declared.credentials[0].policy.anonymous = AnonymousConsumers::Each;
        })
        .uses(NEW, "192.0.2.1", ["10:06:00"]);
    // The quiet counts from the change on, and nothing but a retirement clears the pool.
    stands_until(&story, "quiet_running", OLD, "10:20:35");
    check(&story.busy("10:20:35"), NotReady, [("consumer_not_moved", "anonymous")]);
    check(&story.busy("2 23:00:00"), NotReady, [("consumer_not_moved", "anonymous")]);
    check(&story.told("10:07:00", retired("anonymous")).busy("10:20:35"), Ready, []);
}

#[test]
fn pooling_from_now_on_does_not_take_an_address_away() {
    let story = each()
        .uses(OLD, "192.0.2.1", ["10:00:00"])
        .reconfigured("10:05:00", |declared| {
            declared.credentials[0].policy.anonymous = AnonymousConsumers::Pooled;
        })
        .uses(NEW, "192.0.2.1", ["10:06:00"]);
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", "192.0.2.1")]);
}

#[test]
fn who_calls_itself_as_a_pool_is_not_the_pool_by_name_or_by_user_agent() {
    for (pool, kind) in
        [(Consumer::Anonymous, ConsumerKind::Pool), (Consumer::Others, ConsumerKind::Others)]
    {
        let name = pool.as_str().to_owned();
        let alike = ConsumerName::new(&*name);
        let event_at = at("10:00:00");
        let cell = |consumer| UsageCell {
            key: fingerprint(OLD),
            consumer,
            minute: event_at.minute(),
            late: false,
            tally: Tally::one(Outcome::Accepted, event_at, event_at),
        };
        let all = [pool, Consumer::Named(alike.clone()), Consumer::Address(alike)];
        let mut ledger = Ledger::new(MAX_CONSUMERS);
        ledger.take(&mut all.map(cell).to_vec());
        let mut rotation = Rotation::open(
            Declaration {
                id: RotationId::new("r"),
                credential: CredentialName::new("c"),
                old_key: key_ref(OLD),
                new_key: key_ref(NEW),
                sources: Vec::new(),
                roster: Vec::new(),
                jobs: Vec::new(),
                overlap: None,
            },
            at("09:00:00"),
        );
        rotation.declaration.roster = vec![on_roster(&name)];
        rotation.apply(&retired(&name), at("10:10:00"));
        let found =
            migrants(&rotation, &Policy::default(), &ledger, &[], None, None, at("10:20:00"));
        let mut found: Vec<_> = found
            .iter()
            .map(|one| (one.kind, one.state == ConsumerState::Retired, one.roster.is_some()))
            .collect();
        found.sort_unstable();
        let mut expected = [
            (ConsumerKind::Named, false, false),
            (ConsumerKind::Address, false, false),
            (kind, true, true),
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[test]
fn the_pool_says_how_many_addresses_are_in_it_over_both_keys_and_restarts() {
    let story = Story::new()
        .uses(OLD, "192.0.2.1", ["09:50:00", "10:00:00"])
        .uses(OLD, "192.0.2.2", ["10:00:00"])
        .uses(NEW, "192.0.2.1", ["10:01:00"])
        .restarted("10:02:00")
        .uses(NEW, "192.0.2.3", ["10:03:00"])
        .uses(NEW, "checkout", ["10:03:00"]);
    warns(&story.busy("10:30:00"), "anonymous", "3 addresses are pooled");
    let one = Story::new().uses(OLD, "192.0.2.1", ["10:00:00"]);
    warns(&one.busy("10:30:00"), "anonymous", "1 address is pooled");
}

#[test]
fn the_number_of_a_large_pool_is_an_estimate_and_says_so() {
    let mut story = Story::new();
    for n in 0..255 {
        story = story.uses(OLD, &format!("198.51.100.{n}"), ["10:00:00"]);
    }
    warns(&story.busy("10:30:00"), "anonymous", "255 addresses are pooled");
    for n in 0..255 {
        story = story.uses(OLD, &format!("203.0.113.{n}"), ["10:00:00"]);
    }
    warns(&story.busy("10:30:00"), "anonymous", "about ");
    let restarted = story.clone().restarted("10:10:00").busy("10:30:00").warnings;
    assert_eq!(restarted, story.busy("10:30:00").warnings);
}

#[test]
fn addresses_that_are_kept_apart_are_counted_exactly() {
    warns(&one_of_two_moved(each()).busy("10:30:00"), "*", "user agent: 2;");
}

#[test]
fn a_job_may_be_that_of_an_address_that_is_kept_apart() {
    let story = moved_over_by("15:00:00")
        .policy(|policy| policy.anonymous = AnonymousConsumers::Each)
        .job("192.0.2.7", "0 12 * * *", minutes(60));
    let job = ("job_not_seen", "192.0.2.7");
    let not_seen = |story: &Story| standing(&story.busy("14:00:00")).contains(&job);
    assert!(not_seen(&story));
    assert!(!not_seen(&story.clone().uses(NEW, "192.0.2.7", ["12:00:30"])));
    // An address may be that of many: what it does out of turn says nothing of the job.
    let besides = story.clone().heartbeats("1 11:00:00", "2 08:59:00");
    let besides =
        besides.uses(OLD, "192.0.2.7", ["1 12:00:30"]).uses(NEW, "192.0.2.7", ["13:30:00"]);
    assert!(not_seen(&besides));
    // Of an address that is in the pool nothing is seen.
    let pooled = story.policy(|policy| policy.anonymous = AnonymousConsumers::Pooled);
    assert!(not_seen(&pooled.uses(NEW, "192.0.2.7", ["12:00:30"])));
}

#[test]
fn a_threshold_for_the_anonymous_pool_tolerates_no_address_that_is_kept_apart() {
    let story = moved_over_by("15:00:00")
        .uses(OLD, "192.0.2.7", ["10:25:00"])
        .policy(|policy| policy.threshold = 5);
    let in_use = ("old_key_in_use", "192.0.2.7");
    assert!(!standing(&story.busy("10:30:00")).contains(&("old_key_in_use", "anonymous")));
    let each = story.policy(|policy| policy.anonymous = AnonymousConsumers::Each);
    assert!(standing(&each.busy("10:30:00")).contains(&in_use));
    let all = each.policy(|policy| policy.threshold_of = ThresholdOf::All);
    assert!(!standing(&all.busy("10:30:00")).contains(&in_use));
}

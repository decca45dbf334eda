//! Rows about more consumers than are kept apart.

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::answer::{Answer, Warning, WarningCode};
use keydrain::engine::rotation::{JournalEvent, RosterEntry};
use keydrain::engine::view::ConsumerView;
use proptest::prelude::*;

use crate::story::{Story, at, blocker, check, moved_over, on_roster, says, standing};
use crate::world::{NEW, OLD};

const OTHERS: &str = "(others)";

/// A story whose engine keeps `limit` consumers of a key apart.
fn keeping(limit: usize, story: Story) -> Story {
    story.then("1 08:00:00", move |world| {
        world.consumer_limit = limit;
        world.reboot();
        world.look(at("1 08:00:00"));
    })
}

/// Consumers that moved in one minute, one after the other.
fn moved(story: Story, names: &[&str]) -> Story {
    names.iter().enumerate().fold(story, |story, (n, name)| {
        let (old, new) = (format!("10:00:{n:02}"), format!("10:01:{n:02}"));
        story.uses(OLD, name, [&*old]).uses(NEW, name, [&*new])
    })
}

fn crowd(limit: usize, names: &[&str]) -> Story {
    moved(keeping(limit, Story::new()).heartbeats("09:00:00", "11:00:00"), names)
}

fn retired_others() -> JournalEvent {
    JournalEvent::ConsumerRetired(OTHERS.into())
}

fn warned(answer: &Answer) -> Vec<(&str, &str)> {
    let near = answer.warnings.iter().filter(|w| w.code.as_str() == "consumer_limit_near");
    near.map(|warning| (warning.code.as_str(), &*warning.subject)).collect()
}

fn consumers(story: &Story, now: &str) -> Vec<ConsumerView> {
    let mut world = story.world(at(now));
    let answer = world.answer(at(now));
    world.drain.consumers(&answer.rotation, at(now)).expect("the rotation is known")
}

#[test]
fn as_many_consumers_as_are_kept_apart_block_nothing() {
    check(&crowd(3, &["a", "b", "c"]).busy("10:30:00"), Ready, []);
}

#[test]
fn one_consumer_more_makes_the_answer_unknown_for_each_key_it_presented() {
    let story = crowd(2, &["a", "b", "c"]);
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("consumer_limit", OLD), ("consumer_limit", NEW)]);
    says(
        &answer,
        "consumer_limit",
        OLD,
        &["more than 2 consumers", OLD, OTHERS, "[[consumer_map]]", "retire or waive"],
    );
    let stands = blocker(&answer, "consumer_limit", OLD);
    assert_eq!((stands.since, stands.clears_at), (Some(at("10:00:02")), None));
    assert_eq!(answer.earliest_ready_at, None);
    assert_eq!(answer.old_key.accepted, 3, "its presentations are counted");
    let shown = consumers(&story, "10:30:00");
    let names: Vec<_> = shown.iter().map(|it| (&*it.consumer, it.named)).collect();
    assert_eq!(names, [(OTHERS, false), ("a", true), ("b", true)]);
}

#[test]
fn a_consumer_whose_name_is_too_long_is_one_of_the_others() {
    let named = |length: usize| crowd(5, &["a", &"n".repeat(length)]).busy("10:30:00");
    check(&named(1_024), Ready, []);
    let answer = named(1_025);
    check(&answer, Unknown, [("consumer_limit", OLD), ("consumer_limit", NEW)]);
    says(&answer, "consumer_limit", OLD, &["a name of more than 1024 bytes"]);
}

#[test]
fn the_pool_of_anonymous_consumers_takes_no_place_and_never_folds() {
    check(&crowd(2, &["a", "b", "-"]).busy("10:30:00"), Ready, []);
    check(&crowd(1, &["-", "a"]).busy("10:30:00"), Ready, []);
}

#[test]
fn a_consumer_that_is_kept_apart_stays_so_when_others_come() {
    let story = crowd(2, &["a", "b", "c"]).uses(OLD, "a", ["10:20:00"]);
    let limit = [("consumer_limit", OLD), ("consumer_limit", NEW)];
    let in_use = [("old_key_in_use", "a"), ("consumer_regressed", "a")];
    let found = story.busy("10:30:00");
    for code in limit.into_iter().chain(in_use) {
        assert!(standing(&found).contains(&code), "{code:?}");
    }
}

#[test]
fn a_use_of_the_old_key_by_one_of_the_others_is_proof() {
    let story = crowd(2, &["a", "b", "c"]).uses(OLD, "d", ["10:20:00"]);
    let answer = story.busy("10:30:00");
    assert_eq!(answer.verdict, NotReady);
    assert!(standing(&answer).contains(&("old_key_in_use", OTHERS)));
    says(&answer, "old_key_in_use", OTHERS, &[OTHERS]);
}

#[test]
fn others_on_the_old_key_alone_have_not_moved() {
    let story = keeping(1, moved_over()).uses(OLD, "late", ["10:00:30"]);
    check(
        &story.busy("10:30:00"),
        Unknown,
        [("consumer_limit", OLD), ("consumer_not_moved", OTHERS)],
    );
}

#[test]
fn others_that_are_retired_or_waived_block_nothing_until_one_presents_the_old_key() {
    let story = crowd(2, &["a", "b", "c"]);
    let now = "10:30:00";
    check(&story.clone().told("10:20:00", retired_others()).busy(now), Ready, []);
    let waived = |until| JournalEvent::ConsumerWaived(OTHERS.into(), at(until));
    check(&story.clone().told("10:20:00", waived("10:30:01")).busy(now), Ready, []);
    check(
        &story.clone().told("10:20:00", waived(now)).busy(now),
        Unknown,
        [("consumer_limit", OLD), ("consumer_limit", NEW)],
    );
    let back = story.told("10:02:30", retired_others()).uses(OLD, "d", ["10:03:00"]);
    let answer = back.busy(now);
    assert!(standing(&answer).contains(&("consumer_limit", OLD)), "{:?}", standing(&answer));
}

#[test]
fn a_client_that_calls_itself_others_is_one_consumer_and_not_meant_by_the_journal() {
    let story = crowd(2, &["a", OTHERS]);
    check(&story.busy("10:30:00"), Ready, []);
    let story = moved_over().uses(OLD, OTHERS, ["09:30:00"]).told("10:05:00", retired_others());
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", OTHERS)]);
}

#[test]
fn others_on_the_new_key_alone_make_the_answer_unknown_too() {
    // For whom of them the new key fails, nobody can say.
    let story = keeping(1, moved_over()).uses(NEW, "x", ["10:05:00"]);
    check(&story.busy("10:30:00"), Unknown, [("consumer_limit", NEW)]);
    check(&story.told("10:20:00", retired_others()).busy("10:30:00"), Ready, []);
}

#[test]
fn the_new_key_in_the_hands_of_others_proves_nothing_of_it() {
    // The health check may be one of them.
    let probe = RosterEntry { synthetic: true, ..on_roster("probe") };
    let story = keeping(1, Story::new())
        .roster([probe])
        .heartbeats("09:00:00", "11:00:00")
        .uses(NEW, "checkout", ["09:10:00"])
        .uses(OLD, "checkout", ["10:00:00"])
        .uses(NEW, "probe", ["10:05:00"])
        .told("10:20:00", retired_others());
    let answer = story.busy("10:59:00");
    assert!(standing(&answer).contains(&("new_key_unused", NEW)), "{:?}", standing(&answer));
}

#[test]
fn a_consumer_that_moved_to_the_others_of_the_new_key_counts_as_not_moved() {
    let story = keeping(1, moved_over().heartbeats("08:00:00", "08:59:00"))
        .uses(OLD, "billing", ["09:10:00"])
        .uses(NEW, "early", ["08:30:00"]);
    let answer = story.busy("10:30:00");
    assert_eq!(answer.verdict, Unknown);
    assert!(standing(&answer).contains(&("consumer_not_moved", "billing")));
}

#[test]
fn nearly_as_many_consumers_as_are_kept_apart_are_warned_of_from_four_fifths_on() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let with = |n: usize| crowd(5, &names[..n]).busy("10:30:00");
    assert_eq!(warned(&with(3)), []);
    let both = [("consumer_limit_near", OLD), ("consumer_limit_near", NEW)];
    for (n, verdict) in [(4, Ready), (5, Ready), (6, Unknown)] {
        let answer = with(n);
        assert_eq!((answer.verdict, warned(&answer)), (verdict, both.to_vec()), "{n}");
    }
    let near = |w: &Warning| w.code == WarningCode::ConsumerLimitNear && w.subject == OLD;
    let warning = with(4).warnings.into_iter().find(near).expect("it was found");
    assert_eq!(
        warning.message,
        format!(
            "4 consumers presented {OLD}, at most 5 are kept apart; map them to fewer names with \
             [[consumer_map]]"
        )
    );
}

#[test]
fn who_is_one_of_the_others_stays_so_over_a_restart() {
    let story = |restarted: bool| {
        let story = crowd(2, &["a", "b", "c"]);
        let story = if restarted { story.restarted("10:05:00") } else { story };
        story.uses(NEW, "c", ["10:06:00"]).uses(NEW, "b", ["10:07:00"])
    };
    let (once, twice) = (story(false), story(true));
    check(&twice.busy("10:30:00"), Unknown, [("consumer_limit", OLD), ("consumer_limit", NEW)]);
    assert_eq!(consumers(&once, "10:30:00"), consumers(&twice, "10:30:00"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_smaller_bound_is_never_greener_and_never_hides_a_use(
        uses in prop::collection::vec((0..60_u32, 0..4_usize, any::<bool>(), 0..9_u8), 1..14),
        limit in 0..4_usize,
        minute in 0..60_u32,
    ) {
        let names = ["a", "b", "c", "d"];
        let story = |limit| {
            let story = keeping(limit, Story::new()).heartbeats("09:00:00", "11:00:00");
            let story = story.uses(OLD, "a", ["09:00:00"]);
            uses.iter().fold(story, |story, &(minute, who, old, denied)| {
                let when = format!("09:{minute:02}:{:02}", 7 * who);
                let status = if denied == 0 { 401 } else { 200 };
                story.line(&when, if old { OLD } else { NEW }, names[who], status)
            })
        };
        let now = format!("10:{minute:02}:00");
        let (small, large) = (story(limit).busy(&now), story(99).busy(&now));
        prop_assert!(small.verdict != Ready || large.verdict == Ready, "{:?}", large.blockers);
        // Whether the bound was hit does not depend on who came first.
        let most = [true, false].map(|old| {
            let seen = uses.iter().filter(|it| it.2 == old).map(|it| it.1);
            let first = old.then_some(0);
            seen.chain(first).collect::<std::collections::BTreeSet<_>>().len()
        });
        for (key, most) in [(OLD, most[0]), (NEW, most[1])] {
            let stands = standing(&small).contains(&("consumer_limit", key));
            prop_assert_eq!(stands, most > limit, "{} of {}", most, key);
        }
        let used = |answer: &Answer| {
            answer.blockers.iter().any(|b| ["old_key_in_use", "old_key_denied"].contains(&b.code.as_str()))
        };
        prop_assert_eq!(used(&small), used(&large));
        prop_assert_eq!(&small.old_key, &large.old_key);
        prop_assert_eq!(&small.new_key, &large.new_key);
    }
}

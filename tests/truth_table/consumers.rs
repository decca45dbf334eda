//! Rows about who has moved: cadence, rosters, waivers, retirement and the anonymous pool.

use keydrain::engine::answer::Verdict::{NotReady, Ready};
use keydrain::engine::rotation::{JournalEvent, RosterEntry};
use keydrain::engine::view::ConsumerState;

use crate::story::{
    INSTANT, Story, at, blocker, check, minutes, moved_over, on_roster, says, standing,
    stands_until,
};
use crate::world::{NEW, OLD};

fn waived(name: &str, until: &str) -> JournalEvent {
    JournalEvent::ConsumerWaived(name.into(), at(until))
}

fn retired(name: &str) -> JournalEvent {
    JournalEvent::ConsumerRetired(name.into())
}

fn state_of(story: &Story, consumer: &str, now: &str) -> ConsumerState {
    let mut world = story.world(at(now));
    let answer = world.answer(at(now));
    let all = world.drain.consumers(&answer.rotation, at(now)).expect("the rotation is known");
    all.into_iter().find(|view| view.consumer == consumer).expect("it was seen").state
}

#[test]
fn a_consumer_seen_on_the_old_key_alone_blocks_however_long_it_is_silent() {
    let story = moved_over().uses(OLD, "batch", ["09:30:00"]);
    for now in ["10:59:00", "9 10:00:00"] {
        let answer = story.busy(now);
        check(&answer, NotReady, [("consumer_not_moved", "batch")]);
        says(
            &answer,
            "consumer_not_moved",
            "batch",
            &["batch was only seen on", OLD, "retire or waive"],
        );
        assert_eq!(blocker(&answer, "consumer_not_moved", "batch").clears_at, None);
        assert_eq!(answer.earliest_ready_at, None);
    }
    assert_eq!(state_of(&story, "batch", "10:59:00"), ConsumerState::OnOld);
}

#[test]
fn a_consumer_has_moved_when_it_was_silent_longer_than_ever_before() {
    // Its largest gap on the old key is 30 min; it was never seen on the old key after the new.
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["09:20:00", "09:50:00", "10:00:00"])
        .uses(NEW, "checkout", ["10:01:00"]);
    let edge = at("10:30:30");
    let standing_at = |now| {
        let answer = story.busy_at(now);
        (answer.verdict, answer.blockers.iter().any(|b| b.code.as_str() == "consumer_not_moved"))
    };
    assert_eq!(standing_at(edge), (NotReady, true), "as long as its largest gap is not longer");
    assert_eq!(standing_at(edge.plus(INSTANT)), (Ready, false));
    let answer = story.busy("10:20:00");
    check(&answer, NotReady, [("consumer_not_moved", "checkout")]);
    says(
        &answer,
        "consumer_not_moved",
        "checkout",
        &["checkout uses both keys", "after 30 min without"],
    );
    assert_eq!(
        blocker(&answer, "consumer_not_moved", "checkout").clears_at,
        Some(edge.plus(INSTANT))
    );
    assert_eq!(answer.earliest_ready_at, Some(edge.plus(INSTANT)));
}

#[test]
fn a_consumer_that_used_both_keys_must_be_silent_for_twice_its_largest_gap() {
    // Ten pods share a name: the new key of one does not speak for the others.
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["09:20:00", "09:50:00", "10:00:00"])
        .uses(NEW, "checkout", ["09:55:00", "10:01:00"]);
    check(&story.busy("11:00:30"), NotReady, [("consumer_not_moved", "checkout")]);
    check(&story.busy("11:00:30.000000001"), Ready, []);
    assert_eq!(state_of(&story, "checkout", "10:30:00"), ConsumerState::Mixed);
}

#[test]
fn the_cadence_of_consumers_that_use_both_keys_is_stretched_by_the_policy_s_factor() {
    let story = Story::new()
        .policy(|policy| policy.cadence_factor = 3.0)
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["09:30:00", "09:50:00", "10:00:00"])
        .uses(NEW, "checkout", ["09:55:00", "10:01:00"]);
    check(&story.busy("11:00:30"), NotReady, [("consumer_not_moved", "checkout")]);
    check(&story.busy("11:00:30.000000001"), Ready, []);
}

#[test]
fn a_single_consumer_moves_with_its_first_use_of_the_new_key() {
    let story = |entry: RosterEntry| {
        Story::new()
            .roster([entry])
            .heartbeats("09:00:00", "11:00:00")
            .uses(OLD, "weekly", ["09:00:00", "09:40:00", "10:00:00"])
            .uses(NEW, "weekly", ["10:01:00"])
            .busy("10:20:00")
    };
    check(&story(on_roster("weekly")), NotReady, [("consumer_not_moved", "weekly")]);
    check(&story(RosterEntry { single: true, ..on_roster("weekly") }), Ready, []);
}

#[test]
fn a_consumer_of_the_roster_that_was_never_seen_blocks_until_it_uses_the_new_key() {
    let story = moved_over().roster([on_roster("checkout"), on_roster("billing")]);
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("consumer_missing", "billing")]);
    says(
        &answer,
        "consumer_missing",
        "billing",
        &["billing is on the roster", "never seen", NEW, "retire"],
    );
    check(
        &story.clone().line("10:20:00", NEW, "billing", 401).busy("10:30:00"),
        NotReady,
        [("consumer_missing", "billing")],
    );
    let seen = story.uses(NEW, "billing", ["10:20:00"]);
    check(&seen.busy("10:30:00"), Ready, []);
    assert_eq!(state_of(&seen, "billing", "10:30:00"), ConsumerState::NewOnly);
}

#[test]
fn a_stranger_on_the_new_key_alone_blocks_nothing() {
    check(&moved_over().uses(NEW, "newcomer", ["10:15:00"]).busy("10:20:00"), Ready, []);
}

#[test]
fn a_synthetic_consumer_proves_visibility_and_never_that_anybody_moved() {
    let probe = || RosterEntry { synthetic: true, ..on_roster("probe") };
    let story = Story::new()
        .roster([probe()])
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "probe", ["10:00:00"])
        .uses(NEW, "probe", ["10:01:00"]);
    check(&story.busy("10:30:00"), NotReady, [("new_key_unused", NEW)]);
    check(&story.uses(NEW, "checkout", ["10:02:00"]).busy("10:30:00"), Ready, []);
}

#[test]
fn a_synthetic_consumer_that_presents_the_old_key_blocks_as_any_other() {
    let probe = RosterEntry { synthetic: true, ..on_roster("probe") };
    let story = moved_over().roster([probe]).uses(OLD, "probe", ["10:20:00"]);
    check(
        &story.busy("10:30:00"),
        NotReady,
        [("old_key_in_use", "probe"), ("new_key_unused", NEW)],
    );
}

#[test]
fn a_consumer_that_had_moved_and_uses_the_old_key_again_has_regressed() {
    let story = moved_over().uses(OLD, "checkout", ["10:30:00"]);
    let answer = story.busy("10:50:00");
    // Old enough to be no recent use any more: that it came back is a proof of its own.
    assert_eq!(answer.verdict, NotReady);
    says(&answer, "consumer_regressed", "checkout", &["had moved", OLD, "moved anew"]);
    assert_eq!(state_of(&story, "checkout", "10:50:00"), ConsumerState::Regressed);
}

#[test]
fn a_consumer_that_comes_back_before_it_had_moved_is_not_regressed() {
    // Silent for exactly the quiet period, and a second longer.
    let back = |when| moved_over().uses(OLD, "checkout", [when]).busy("10:40:00");
    assert!(!standing(&back("10:15:00")).contains(&("consumer_regressed", "checkout")));
    assert!(standing(&back("10:15:01")).contains(&("consumer_regressed", "checkout")));
}

#[test]
fn a_regressed_consumer_that_is_gone_for_good_is_retired_or_waived() {
    let story = moved_over().uses(OLD, "checkout", ["10:20:00"]).uses(NEW, "billing", ["10:21:00"]);
    let answer = story.busy("10:50:00");
    check(&answer, NotReady, [("consumer_regressed", "checkout")]);
    says(&answer, "consumer_regressed", "checkout", &["retire or waive it"]);
    check(&story.told("10:49:00", retired("checkout")).busy("10:50:00"), Ready, []);
}

#[test]
fn a_regressed_consumer_clears_as_a_moved_one_does() {
    // Back at 10:30 after 30 min of silence, in between on the new key: twice 30 min to go.
    let story = moved_over()
        .heartbeats("11:01:00", "12:00:00")
        .uses(OLD, "checkout", ["10:30:00"])
        .uses(NEW, "checkout", ["10:31:00"]);
    check(&story.busy("11:30:30"), NotReady, [("consumer_regressed", "checkout")]);
    check(&story.busy("11:30:30.000000001"), Ready, []);
    let clears = blocker(&story.busy("11:00:00"), "consumer_regressed", "checkout").clears_at;
    assert_eq!(clears, Some(at("11:30:30.000000001")));
}

#[test]
fn the_new_key_in_the_very_second_of_the_last_old_one_makes_a_consumer_one_of_both() {
    // Its largest gap is 30 min; twice that if it may have used the old key after the new.
    let first_new = |when| {
        let story = Story::new().heartbeats("09:00:00", "11:30:00");
        let story = story.uses(OLD, "checkout", ["09:20:00", "09:50:00", "10:00:00"]);
        story.uses(NEW, "checkout", [when, "10:01:00"])
    };
    stands_until(&first_new("10:00:00"), "consumer_not_moved", "checkout", "11:00:30.000000001");
    stands_until(&first_new("10:00:01"), "consumer_not_moved", "checkout", "10:30:30.000000001");
}

#[test]
fn a_consumer_that_comes_over_in_the_very_second_of_its_next_use_had_not_moved_before() {
    let both_at = |new: &str| {
        let story = moved_over().uses(OLD, "late", ["09:00:01", "09:00:02", "10:20:00"]);
        story.uses(NEW, "late", [new]).busy("10:30:00")
    };
    let regressed = ("consumer_regressed", "late");
    assert!(standing(&both_at("10:19:59")).contains(&regressed));
    assert!(!standing(&both_at("10:20:00")).contains(&regressed));
}

#[test]
fn a_consumer_is_one_of_both_keys_from_the_very_second_of_its_first_new_one() {
    // Away for 30 min: longer than its largest gap of 20 min, and no longer than twice that.
    let back = |first_new: &str| {
        let story = Story::new().heartbeats("09:00:00", "11:00:00");
        let story = story.uses(OLD, "checkout", ["09:20:00", "09:40:00", "10:10:00"]);
        state_of(&story.uses(NEW, "checkout", [first_new, "09:45:00"]), "checkout", "10:30:00")
    };
    assert_eq!(back("09:40:00"), ConsumerState::Mixed);
    assert_eq!(back("09:40:01"), ConsumerState::Regressed);
}

#[test]
fn a_retirement_speaks_for_uses_up_to_its_very_instant() {
    let story = |last: &str| {
        let story = moved_over().uses(OLD, "batch", ["09:30:00", last]);
        state_of(&story.told("10:10:00", retired("batch")), "batch", "10:30:00")
    };
    assert_eq!(story("10:10:00"), ConsumerState::Retired);
    assert_eq!(story("10:10:01"), ConsumerState::OnOld);
}

#[test]
fn one_of_both_keys_has_regressed_only_if_it_was_away_for_longer_than_it_takes_to_move() {
    let back = |when| {
        let story = Story::new().heartbeats("09:00:00", "11:30:00");
        let story = story.uses(OLD, "checkout", ["09:20:00", "09:50:00", "10:00:00", when]);
        story.uses(NEW, "checkout", ["09:55:00", "10:01:00"]).busy("11:20:00")
    };
    // Twice its largest gap of 30 min.
    assert!(standing(&back("11:00:00")).contains(&("consumer_not_moved", "checkout")));
    assert!(standing(&back("11:00:01")).contains(&("consumer_regressed", "checkout")));
}

#[test]
fn a_single_consumer_regresses_at_once_and_clears_with_its_next_use_of_the_new_key() {
    let single = RosterEntry { single: true, ..on_roster("weekly") };
    let story = moved_over().roster([single]).uses(OLD, "weekly", ["09:40:00", "10:05:00"]).uses(
        NEW,
        "weekly",
        ["10:04:00"],
    );
    assert!(standing(&story.busy("10:30:00")).contains(&("consumer_regressed", "weekly")));
    let again = |when| story.clone().uses(NEW, "weekly", [when]).busy("10:30:00");
    assert!(standing(&again("10:05:00.900")).contains(&("consumer_regressed", "weekly")));
    check(&again("10:05:01"), Ready, []);
}

#[test]
fn a_retired_consumer_need_not_move_and_blocks_when_it_presents_the_old_key() {
    let story = moved_over().uses(OLD, "batch", ["09:30:00"]).told("10:05:00", retired("batch"));
    check(&story.busy("10:15:35"), Ready, []);
    let back = story.uses(OLD, "batch", ["10:30:00"]).uses(NEW, "checkout", ["10:31:00"]);
    let not_moved = ("consumer_not_moved", "batch");
    check(&back.busy("10:40:00"), NotReady, [("old_key_in_use", "batch"), not_moved]);
    check(&back.busy("10:45:34.999999999"), NotReady, [("quiet_running", OLD), not_moved]);
    check(&back.busy("10:45:35"), NotReady, [not_moved]);
    check(&back.told("10:46:00", retired("batch")).busy("10:46:00"), Ready, []);
}

#[test]
fn a_waived_consumer_counts_for_no_blocker_until_its_date_and_for_all_after_it() {
    let story = moved_over()
        .heartbeats("11:01:00", "12:00:00")
        .uses(OLD, "partner", ["10:10:00", "11:25:00"])
        .told("10:11:00", waived("partner", "11:30:00"));
    check(&story.busy("10:15:35"), Ready, []);
    check(&story.busy("11:29:59.999999999"), Ready, []);
    check(
        &story.busy("11:30:00"),
        NotReady,
        [("old_key_in_use", "partner"), ("consumer_not_moved", "partner"), ("new_key_unused", NEW)],
    );
    assert_eq!(state_of(&story, "partner", "11:29:00"), ConsumerState::Waived);
}

#[test]
fn no_answer_outlives_a_waiver_it_rests_on() {
    let waived_story = moved_over()
        .uses(OLD, "partner", ["10:10:00"])
        .told("10:11:00", waived("partner", "10:30:30"));
    assert_eq!(waived_story.busy("10:29:00").valid_until, at("10:30:00"), "the lease is 60 s");
    assert_eq!(waived_story.busy("10:30:00").valid_until, at("10:30:30"));
    // A retired consumer's presentations are excused by a waiver, too, and only by that.
    let both = waived_story.told("10:12:00", retired("partner"));
    assert_eq!(both.busy("10:30:00").valid_until, at("10:30:30"));
}

#[test]
fn a_waived_presentation_is_still_shown() {
    let story = moved_over()
        .uses(OLD, "partner", ["10:10:00"])
        .told("10:11:00", waived("partner", "11:30:00"));
    let answer = story.busy("10:30:00");
    assert_eq!((answer.old_key.accepted, answer.old_key.last_seen), (4, Some(at("10:10:00"))));
    assert_eq!(answer.consumers.waived, 1);
}

#[test]
fn anonymous_consumers_are_one_pool_with_one_cadence() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "-", ["09:40:00", "10:00:00"])
        .uses(NEW, "-", ["10:01:00"]);
    check(&story.busy("10:20:30"), NotReady, [("consumer_not_moved", "anonymous")]);
    let answer = story.busy("10:20:30.000000001");
    check(&answer, Ready, []);
    let warnings: Vec<_> = answer.warnings.iter().map(|w| (w.code.as_str(), &*w.subject)).collect();
    assert!(warnings.contains(&("consumers_unidentified", "anonymous")), "{warnings:?}");
}

#[test]
fn a_roster_may_name_the_pool() {
    let story = Story::new()
        .roster([on_roster("anonymous")])
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "-", ["10:00:00"])
        .uses(NEW, "-", ["10:01:00"]);
    check(&story.busy("10:15:35"), Ready, []);
}

#[test]
fn the_new_key_of_a_named_consumer_does_not_speak_for_the_pool() {
    let story = moved_over().uses(OLD, "-", ["09:30:00"]);
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", "anonymous")]);
    check(&story.told("10:20:00", retired("anonymous")).busy("10:30:00"), Ready, []);
}

#[test]
fn a_client_that_calls_itself_anonymous_is_neither_retired_nor_waived_with_the_pool() {
    let story = moved_over()
        .uses(OLD, "anonymous", ["09:30:00"])
        .told("10:05:00", retired("anonymous"))
        .told("10:05:00", waived("anonymous", "11:30:00"));
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", "anonymous")]);
}

#[test]
fn a_late_use_counts_into_the_cadence_from_its_arrival() {
    let story = moved_over()
        .heartbeats("11:01:00", "12:00:00")
        .line_written("09:10:00", "10:30:00", OLD, "checkout")
        .uses(NEW, "checkout", ["10:31:00"]);
    stands_until(&story, "old_key_in_use", "checkout", "10:50:00");
    // Its largest gap is 30 min now, and it uses both keys; the watermark is 5 min behind.
    assert_eq!(story.busy("11:35:00").verdict, NotReady);
    assert_eq!(story.busy("11:35:00.000000001").verdict, Ready);
}

#[test]
fn a_busy_consumer_of_the_new_key_does_not_delay_anything() {
    // More than 512 bursts on each key: what is forgotten of them must not move the first one.
    let mut story = Story::new().policy(|policy| policy.min_overlap = Some(minutes(60))).uses(
        OLD,
        "checkout",
        ["08:59:00"],
    );
    for n in 0..600_u64 {
        let when = at("09:00:00").plus(std::time::Duration::from_secs(6 * n));
        let text = when.to_string();
        let time = text.trim_end_matches('Z').split_once('T').expect("RFC 3339").1.to_owned();
        story = story.uses(NEW, "checkout", [&*time]);
    }
    check(&story.busy("09:59:59.999999999"), NotReady, [("min_overlap", "*")]);
    check(&story.busy("10:00:00"), Ready, []);
}

/// Ten strangers are not one process, whatever the roster says of the name they share.
#[test]
fn a_pool_is_neither_one_process_nor_a_health_check() {
    let single = RosterEntry { single: true, ..on_roster("anonymous") };
    let story = Story::new()
        .roster([single])
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "-", ["09:00:00", "09:40:00", "10:00:00"])
        .uses(NEW, "-", ["10:01:00"]);
    check(&story.busy("10:20:00"), NotReady, [("consumer_not_moved", "anonymous")]);
    let synthetic = RosterEntry { synthetic: true, ..on_roster("anonymous") };
    let story = moved_over().roster([synthetic]).uses(OLD, "-", ["09:30:00"]);
    check(&story.busy("10:30:00"), NotReady, [("consumer_not_moved", "anonymous")]);
}

/// Ready 15 minutes after a loss of 40: the silence that moves a consumer lay in what was lost.
#[test]
fn silence_in_which_evidence_was_lost_moves_nobody() {
    let batch = || {
        Story::new().uses(OLD, "batch", ["09:00:00", "10:00:00"]).uses(NEW, "batch", ["10:01:00"])
    };
    let story = batch()
        .heartbeats("09:00:00", "10:05:00")
        .lost("10:45:00")
        .uses(NEW, "batch", ["10:46:00"])
        .heartbeats("10:47:00", "12:00:00");
    check(&story.busy("11:02:00"), NotReady, [("consumer_not_moved", "batch")]);
    let ends = at("11:45:30").plus(INSTANT);
    let answer = story.busy_at(ends.minus(INSTANT));
    check(&answer, NotReady, [("consumer_not_moved", "batch")]);
    assert_eq!(blocker(&answer, "consumer_not_moved", "batch").clears_at, Some(ends));
    check(&story.busy_at(ends), Ready, []);
    // Who had moved before has moved.
    let story = batch()
        .heartbeats("09:00:00", "11:05:00")
        .lost("11:10:00")
        .uses(NEW, "batch", ["11:10:30"])
        .heartbeats("11:11:00", "12:00:00");
    check(&story.busy("11:26:05"), Ready, []);
}

#[test]
fn a_use_of_the_new_key_in_the_second_of_the_last_use_of_the_old_one_is_no_later_use() {
    let single = |name: &str| RosterEntry { single: true, ..on_roster(name) };
    let story = |last_new: &str| {
        Story::new()
            .roster([single("checkout")])
            .heartbeats("09:00:00", "11:00:00")
            .uses(OLD, "checkout", ["10:00:00"])
            .uses(NEW, "checkout", [last_new])
            .told("10:05:00", retired("checkout"))
            .busy("10:30:00")
    };
    // Uses are kept to the second.
    check(&story("10:00:00.500"), NotReady, [("new_key_unused", NEW)]);
    check(&story("10:00:01"), Ready, []);
}

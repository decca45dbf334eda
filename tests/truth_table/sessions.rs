//! Keys of sessions that the old key buys: while they live it looks quiet.
//!
//! The source is a log of `CloudTrail` records. A session lives 36 h at most and that of a role 12 h,
//! so once the old key was seen issuing one the required quiet is so much and 15 min 5 s.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::credential::SourceName;
use keydrain::engine::rotation::JournalEvent;
use keydrain::engine::sessions::{MAX_CHILDREN, SESSION_LIFETIME};

use crate::story::{INSTANT, Story, at, blocker, check, minutes, says, standing, stands_until};
use crate::world::{ACCESS_LOG, EDGE, Line, NEW, OLD, TRAIL, a_source};

/// `batch` buys a session with the old key at 09:50:00 and is on the new key from 10:01:00 on.
fn a_session_was_bought() -> Story {
    trail().issues("09:50:00", OLD, "batch", "session-1").uses(NEW, "batch", ["10:01:00"])
}

fn trail() -> Story {
    Story::new().declared(|declared| TRAIL.clone_into(&mut declared.sources[0].layout))
}

fn session_term(story: &Story, now: &str) -> Duration {
    let terms = story.busy(now).window.terms;
    terms.iter().find(|(name, _)| *name == "max_session_lifetime").expect("it is itemised").1
}

#[test]
fn what_a_session_does_is_the_use_of_the_key_that_bought_it() {
    let story = a_session_was_bought().uses("session-1", "batch", ["10:20:00"]);
    check(
        &story.busy("10:30:00"),
        NotReady,
        [("old_key_in_use", "batch"), ("consumer_regressed", "batch"), ("new_key_unused", NEW)],
    );
    stands_until(&story, "old_key_in_use", "batch", "10:35:30");
    let answer = story.busy("10:30:00");
    assert_eq!(answer.old_key.last_seen, Some(at("10:20:00")));
}

#[test]
fn a_session_that_nobody_bought_with_the_old_key_is_no_use_of_it() {
    let story = a_session_was_bought().uses("session-2", "batch", ["10:20:00"]);
    assert_eq!(story.busy("10:30:00").old_key.last_seen, Some(at("09:50:00")));
}

#[test]
fn a_session_may_be_used_by_somebody_else_who_is_named() {
    let story = a_session_was_bought().uses("session-1", "role/deploy", ["10:20:00"]);
    says(&story.busy("10:30:00"), "old_key_in_use", "role/deploy", &[OLD, "role/deploy"]);
}

#[test]
fn a_session_of_a_session_is_the_use_of_the_first_key() {
    let story = a_session_was_bought()
        .issues("09:55:00", "session-1", "batch", "session-2")
        .issues("10:00:00", "session-2", "batch", "session-3")
        .uses("session-3", "batch", ["10:20:00"]);
    assert_eq!(story.busy("10:30:00").old_key.last_seen, Some(at("10:20:00")));
}

#[test]
fn a_session_is_still_known_after_a_restart() {
    let story = a_session_was_bought()
        .restarted("10:05:00")
        .uses("session-1", "batch", ["10:20:00"])
        .restarted("10:25:00");
    says(&story.busy("10:30:00"), "old_key_in_use", "batch", &["10 min"]);
    assert_eq!(session_term(&story, "10:30:00"), SESSION_LIFETIME);
}

#[test]
fn a_session_that_one_source_shows_is_known_in_all() {
    let story = a_session_was_bought()
        .declared(|declared| {
            let mut inner = a_source("inner");
            TRAIL.clone_into(&mut inner.layout);
            declared.sources.push(inner);
            declared.credentials[0].sources.push(SourceName::new("inner"));
        })
        .on("inner", "/var/log/inner.log")
        .uses(NEW, "batch", ["10:02:00"])
        .uses("session-1", "batch", ["10:20:00"]);
    says(&story.busy("10:30:00"), "old_key_in_use", "batch", &["10 min"]);
}

#[test]
fn a_key_that_buys_sessions_must_be_quiet_for_as_long_as_they_live() {
    let story = a_session_was_bought();
    assert_eq!(session_term(&story, "10:30:00"), SESSION_LIFETIME);
    check(&story.busy("10:30:00"), NotReady, [("quiet_running", OLD)]);
    stands_until(&story, "quiet_running", OLD, "3 22:05:35");
    check(&story.busy("3 22:05:35"), Ready, []);
}

#[test]
fn a_key_that_buys_sessions_of_roles_alone_must_be_quiet_for_12_h() {
    let story = trail()
        .issues("09:50:00", OLD, "batch", "role-1")
        .uses("role-1", "batch", ["10:00:00"])
        .uses(NEW, "batch", ["10:01:00"]);
    assert_eq!(session_term(&story, "10:30:00"), Duration::from_hours(12));
    stands_until(&story, "quiet_running", OLD, "22:15:35");
    check(&story.busy("22:15:35"), Ready, []);
}

#[test]
fn the_longest_session_ever_bought_is_remembered_over_restarts() {
    let story = trail()
        .issues("09:50:00", OLD, "batch", "session-1")
        .issues("09:55:00", OLD, "batch", "role-1")
        .restarted("10:05:00")
        .issues("5 09:00:00", OLD, "batch", "role-2")
        .uses(NEW, "batch", ["5 09:01:00"]);
    assert_eq!(session_term(&story, "10:30:00"), SESSION_LIFETIME);
    assert_eq!(session_term(&story, "5 10:00:00"), SESSION_LIFETIME);
    let restarted = story.restarted("5 10:00:00");
    assert_eq!(session_term(&restarted, "5 10:30:00"), SESSION_LIFETIME);
    stands_until(&restarted, "quiet_running", OLD, "6 21:15:35");
}

#[test]
fn a_use_of_a_session_begins_the_wait_anew() {
    let story = a_session_was_bought().uses("session-1", "batch", ["10:00:00.5"]).uses(
        NEW,
        "batch",
        ["10:02:00"],
    );
    stands_until(&story, "quiet_running", OLD, "3 22:15:35.5");
    check(&story.busy("3 22:15:35.5"), Ready, []);
}

#[test]
fn the_wait_is_known_before_and_after_a_restart_and_is_the_same() {
    let story = a_session_was_bought().restarted("10:05:00").restarted("3 09:00:00");
    stands_until(&story, "quiet_running", OLD, "3 22:05:35");
}

#[test]
fn a_key_that_buys_no_session_need_not_wait() {
    let story = trail().uses(OLD, "batch", ["09:50:00"]).uses(NEW, "batch", ["10:01:00"]);
    assert_eq!(session_term(&story, "10:15:35"), Duration::ZERO);
    check(&story.busy("10:15:35"), Ready, []);
}

#[test]
fn a_session_that_was_refused_was_not_bought() {
    let story = trail()
        .line("09:50:00", &format!("{OLD}>session-1"), "batch", 403)
        .uses(NEW, "batch", ["10:01:00"])
        .uses("session-1", "batch", ["10:02:00"]);
    assert_eq!(session_term(&story, "10:15:35"), Duration::ZERO);
    check(&story.busy("10:15:35"), Ready, []);
}

#[test]
fn sessions_of_the_new_key_are_no_reason_to_wait() {
    let story = trail()
        .uses(OLD, "batch", ["09:50:00"])
        .issues("10:01:00", NEW, "batch", "session-1")
        .uses("session-1", "batch", ["10:02:00"]);
    let answer = story.busy("10:15:35");
    check(&answer, Ready, []);
    assert_eq!(answer.new_key.accepted, 2, "what a session of it does is its use");
}

#[test]
fn a_longer_declared_life_of_sessions_holds_and_a_shorter_one_does_not() {
    for (declared, holds) in [(minutes(60), SESSION_LIFETIME), (minutes(2880), minutes(2880))] {
        let story = a_session_was_bought().policy(move |it| it.max_session_lifetime = declared);
        assert_eq!(session_term(&story, "10:30:00"), holds);
    }
    assert_eq!(session_term(&a_session_was_bought(), "10:30:00"), SESSION_LIFETIME);
    let declared = trail().policy(|it| it.max_session_lifetime = minutes(60));
    assert_eq!(session_term(&declared, "10:30:00"), minutes(60), "it holds without a sight of one");
}

#[test]
fn a_denied_session_does_not_verify_the_revocation_of_the_key_that_bought_it() {
    let verified = |key: &str| {
        let mut world = a_session_was_bought()
            .policy(|policy| policy.propagation_bound = minutes(10))
            .told("10:20:00", JournalEvent::Revoked)
            .line("10:31:00", key, "batch", 403)
            .world(at("10:32:00"));
        world.answer(at("10:32:00"));
        world.drain.snapshot("test", 0, at("10:32:00")).rotations[0].revocation_verified_at
    };
    assert_eq!(verified("session-1"), None);
    assert_eq!(verified(OLD), Some(at("10:31:00")));
}

#[test]
fn a_denied_session_is_a_denied_old_key() {
    let story = a_session_was_bought().line("10:20:00", "session-1", "batch", 403);
    says(&story.busy("10:30:00"), "old_key_denied", "batch", &["10 min"]);
}

#[test]
fn who_has_a_session_of_the_new_key_has_moved() {
    let story = trail()
        .issues("09:50:00", OLD, "batch", "role-1")
        .issues("09:50:00", NEW, "batch", "role-2")
        .uses("role-1", "role/deploy", ["10:00:00"])
        .uses("role-2", "role/deploy", ["10:01:00"])
        .uses(NEW, "batch", ["10:01:00"]);
    check(&story.busy("22:15:35"), Ready, []);
}

#[test]
fn a_session_used_before_the_line_that_tells_of_it_is_covered_by_the_wait_alone() {
    // The trail delivers out of order: the use at 10:00:00 is read before the purchase at 09:50:00.
    let story = trail()
        .declared(|declared| declared.sources[0].policy.allowed_lateness = minutes(15))
        .heartbeats("09:00:00", "09:00:00")
        .uses("session-1", "batch", ["10:00:00"])
        .line_read("09:50:00", "10:03:00", &format!("{OLD}>session-1"), "batch", 200)
        .uses(NEW, "batch", ["10:05:00"]);
    let answer = story.busy("10:30:00");
    assert_eq!(answer.old_key.last_seen, Some(at("09:50:00")));
    stands_until(&story, "quiet_running", OLD, "3 22:20:05");
}

/// More sessions at 09:50:00 than are kept apart.
fn too_many_sessions() -> Story {
    trail()
        .then("09:50:00", |world| {
            let line = |n| Line {
                event_at: at("09:50:00"),
                key: format!("{OLD}>session-{n}"),
                consumer: "batch".to_owned(),
                status: 200,
                garbled: false,
            };
            let lines: Vec<Line> = (0..=MAX_CHILDREN).map(line).collect();
            world.read((EDGE, ACCESS_LOG), &lines, at("09:50:00"), at("09:50:00"));
        })
        .uses(NEW, "batch", ["10:01:00"])
}

#[test]
fn sessions_beyond_the_bound_make_it_unknown_until_they_have_ended() {
    let beyond = format!("session-{MAX_CHILDREN}");
    let story = too_many_sessions().uses(&beyond, "batch", ["10:20:00"]).restarted("10:25:00");
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("consumer_limit", "*"), ("quiet_running", OLD)]);
    assert_eq!(answer.old_key.last_seen, Some(at("09:50:00")), "its use is not seen");
    assert_eq!(blocker(&answer, "consumer_limit", "*").since, Some(at("09:50:00")));
    let ends = at("3 22:05:35");
    assert!(standing(&story.busy_at(ends.minus(INSTANT))).contains(&("consumer_limit", "*")));
    check(&story.busy_at(ends), Ready, []);
}

#[test]
fn sessions_within_the_bound_are_all_known() {
    let last = format!("session-{}", MAX_CHILDREN - 1);
    let story = too_many_sessions().uses(&last, "batch", ["10:20:00"]);
    assert_eq!(story.busy("10:30:00").old_key.last_seen, Some(at("10:20:00")));
}

#[test]
fn the_lifetime_of_sessions_is_added_to_the_longest_of_the_other_periods() {
    let story = a_session_was_bought().job("batch", "0 12 * * *", minutes(10));
    let window = story.busy("11:00:00").window;
    let names: Vec<_> = window.terms.iter().map(|(name, _)| *name).collect();
    let expected = [
        "quiet_period",
        "monitoring_cycle",
        "cadence",
        "jobs",
        "max_session_lifetime",
        "clock_skew",
    ];
    assert_eq!(names, expected);
    // A day and 10 min for the job, 36 h for the session, 5 s of clock skew.
    let required = minutes(24 * 60 + 10) + minutes(36 * 60) + Duration::from_secs(5);
    assert_eq!(window.required, required);
}

/// Such a session may have been used by those who are tolerated for being rare.
#[test]
fn sessions_beyond_the_bound_are_missing_for_as_long_as_somebody_is_tolerated() {
    // The pool was away for a day: it must have been rare for more than two.
    let tolerant = too_many_sessions().policy(|policy| policy.threshold = 3);
    let story = tolerant.uses(OLD, "-", ["1 09:00:00", "2 10:05:00"]);
    let answer = story.busy("3 22:06:00");
    assert!(answer.warnings.iter().any(|warning| warning.code.as_str() == "threshold_used"));
    assert!(standing(&answer).contains(&("consumer_limit", "*")), "{:?}", answer.blockers);
}

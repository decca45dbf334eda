//! Rows about the preflight: what stands in the way of a rotation before it is opened.

use std::time::Duration;

use keydrain::engine::credential::{CredentialName, SourceName};
use keydrain::engine::drain::Unknown;
use keydrain::engine::policy::Completeness;
use keydrain::engine::preflight::{Finding, Severity};
use keydrain::engine::rotation::RosterEntry;

use crate::story::{Story, at, minutes, on_roster};
use crate::world::{CREDENTIAL, EDGE, NEW, OLD, a_source};

/// A credential whose rotation is opened much later.
fn before() -> Story {
    Story::new().started("9 00:00:00").heartbeats("09:00:00", "10:00:00")
}

fn used() -> Story {
    before().uses(OLD, "checkout", ["09:50:00", "09:52:00", "09:55:00"])
}

fn look(story: &Story, old_key: Option<&str>, now: &str) -> Result<Vec<Finding>, Unknown> {
    let now = at(now);
    let mut world = story.world(now);
    world.look(now);
    world.settle(now);
    let found = world.drain.preflight(&CredentialName::new(CREDENTIAL), old_key, now);
    for finding in found.iter().flatten() {
        assert_eq!(finding.fix.is_empty(), finding.severity == Severity::Ok, "{finding:?}");
        assert!(!finding.message.is_empty() && !finding.subject.is_empty(), "{finding:?}");
    }
    found
}

/// Asserts what is found besides the good, as `severity subject: message`.
#[track_caller]
fn finds(story: &Story, now: &str, expected: &[&str]) {
    let found = look(story, None, now).unwrap();
    let bad = found.iter().filter(|finding| finding.severity != Severity::Ok);
    let lines: Vec<String> =
        bad.map(|f| format!("{} {}: {}", f.severity.as_str(), f.subject, f.message)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_live_log_with_the_old_key_in_it_is_all_good_and_each_good_thing_is_said() {
    let found = look(&used(), None, "10:00:10").unwrap();
    let lines: Vec<String> = found
        .iter()
        .map(|f| format!("{} {}: {}", f.severity.as_str(), f.subject, f.message))
        .collect();
    assert_eq!(
        lines,
        [
            "ok credential payments-api: no rotation is open for it",
            "ok source edge: it is live and shows keys of this credential",
            "ok key 2025-q4: seen, last 5 min 10 s ago, by 1 consumer",
            "ok policy, key 2025-q4: quiet_period 15 min is longer than any ordinary gap",
            "ok policy: 1 h were observed without a break",
        ]
    );
}

#[test]
fn an_open_rotation_is_an_error() {
    let story = used().started("09:30:00");
    finds(
        &story,
        "10:00:10",
        &["error credential payments-api: rotation payments-api-1 is open for it"],
    );
}

#[test]
fn as_long_as_files_of_the_start_are_read_the_preflight_and_every_view_say_so() {
    let with_two = |reading: bool| {
        let story = used().declared(|declared| {
            declared.sources.push(a_source("inner"));
        });
        story.seen("10:00:00", move |sight| sight.reading = reading)
    };
    let warning = "warning credential: the files that existed at the start are still \
                   being read";
    finds(&with_two(true), "10:00:10", &[warning]);
    finds(&with_two(false), "10:00:10", &[]);
    for reading in [true, false] {
        let now = at("10:00:10");
        let mut world = with_two(reading).world(now);
        world.look(now);
        assert_eq!(world.drain.snapshot("k", 0, now).caught_up, !reading);
    }
}

#[test]
fn a_source_without_lines_is_silent_after_its_time_and_not_before() {
    finds(&used(), "10:05:00", &[]);
    let silent = "error source edge: no line came for 5 min (/var/log/nginx/access.log): silence is \
                  not idleness";
    finds(&used(), "10:05:01", &[silent]);
}

#[test]
fn a_log_that_shows_no_key_is_blind_and_none_of_the_keys_was_seen() {
    finds(
        &before(),
        "10:00:10",
        &[
            "error source edge: no line with a key of this credential was ever read \
             (/var/log/nginx/access.log)",
            "error credential payments-api: none of its keys was ever read from any source",
        ],
    );
}

#[test]
fn a_source_that_is_gone_or_cannot_be_read_is_an_error() {
    let absent = used().seen("10:00:00", |sight| sight.absent = vec!["/var/log/x*".to_owned()]);
    finds(&absent, "10:00:10", &["error source edge: it does not exist"]);
    let refused = vec![("/var/log/x".to_owned(), "permission denied".to_owned())];
    let unreadable = used().seen("10:00:00", move |sight| sight.unreadable.clone_from(&refused));
    finds(&unreadable, "10:00:10", &["error source edge: it cannot be opened or read"]);
}

#[test]
fn of_a_best_effort_log_nothing_is_demanded_but_that_a_complete_one_covers_it() {
    let with_lb = |covered_by: Option<&'static str>| {
        used().declared(move |declared| {
            let mut lb = a_source("lb");
            let covered_by = covered_by.map(SourceName::new);
            lb.policy.completeness = Completeness::PositiveOnly { covered_by };
            declared.sources.push(lb);
            declared.credentials[0].sources.push(SourceName::new("lb"));
        })
    };
    // It never showed a line.
    finds(&with_lb(Some(EDGE)), "10:00:10", &[]);
    let error = "error source lb: it may lose lines and no complete source of this credential covers \
                 it: nothing can be ready";
    finds(&with_lb(None), "10:00:10", &[error]);
    finds(&with_lb(Some("elsewhere")), "10:00:10", &[error]);
    finds(&with_lb(Some("lb")), "10:00:10", &[error]);
}

#[test]
fn the_named_old_key_must_have_been_seen() {
    assert!(
        look(&used(), Some(OLD), "10:00:10").unwrap().iter().all(|f| f.severity == Severity::Ok)
    );
    let found = look(&used(), Some(NEW), "10:00:10").unwrap();
    let errors: Vec<_> = found.iter().filter(|f| f.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].subject, "key 2026-q1");
    assert!(errors[0].fix.contains("old_key_unused"), "{errors:?}");
    assert_eq!(look(&used(), Some("typo"), "10:00:10"), Err(Unknown::Key));
    let mut world = used().world(at("10:00:10"));
    world.look(at("10:00:10"));
    let none = world.drain.preflight(&CredentialName::new("nope"), None, at("10:00:10"));
    assert_eq!(none, Err(Unknown::Credential));
}

#[test]
fn a_quiet_period_no_longer_than_an_ordinary_gap_is_warned_of() {
    let with_gap = |last: &str| before().uses(OLD, "batch", ["09:30:00", last]);
    finds(&with_gap("09:44:59"), "10:00:10", &[]);
    let warning = "warning policy, key 2025-q4: quiet_period 15 min is no longer than ordinary gaps \
                   of batch, up to 15 min between two uses: the quiet comes and goes while the key is in use";
    finds(&with_gap("09:45:00"), "10:00:10", &[warning]);
}

#[test]
fn a_quiet_period_that_the_plan_recommends_is_not_warned_of() {
    // Four gaps of an hour are no cadence yet, and a job is waited for by its schedule.
    let hours = ["05:00:00", "06:00:00", "07:00:00", "08:00:00", "09:00:00"];
    finds(&before().uses(OLD, "batch", hours), "10:00:10", &[]);
    let known = || before().uses(OLD, "batch", hours).uses(OLD, "batch", ["10:00:00"]);
    let warning = "warning policy, key 2025-q4: quiet_period 15 min is no longer than ordinary gaps \
                   of batch, up to 1 h between two uses: the quiet comes and goes while the key is \
                   in use";
    finds(&known(), "10:00:10", &[warning]);
    finds(&known().policy(|policy| policy.quiet_period = minutes(61)), "10:00:10", &[]);
    finds(&known().job("batch", "0 * * * *", minutes(5)), "10:00:10", &[]);
}

#[test]
fn a_policy_that_waits_for_more_history_than_there_is_says_until_when() {
    let story = |minutes: u64| used().policy(move |p| p.min_history = Duration::from_mins(minutes));
    finds(&story(60), "10:00:00", &[]);
    let warning = "warning policy: min_history 1 h 1 min is longer than what was observed, 1 h: \
                   nothing can be ready before 2026-03-02T10:01:00Z";
    finds(&story(61), "10:00:00", &[warning]);
}

#[test]
fn what_of_the_policy_is_lax_or_contradicts_itself_is_warned_of() {
    let story = used().policy(|policy| {
        policy.threshold = 3;
        policy.notice_period = minutes(50);
        policy.max_overlap = minutes(60);
    });
    finds(
        &story,
        "10:00:10",
        &[
            "warning policy: threshold = 3 tolerates uses of the old key: whoever makes them is \
             cut off",
            "warning policy: notice, overlap, quiet and exposure take 1 h 5 min, longer than \
             max_overlap 1 h: every rotation would be overdue",
        ],
    );
    let long_enough = used().policy(|policy| {
        policy.notice_period = minutes(50);
        policy.max_overlap = minutes(65);
    });
    finds(&long_enough, "10:00:10", &[]);
    let assumed = used().declared(|declared| {
        declared.sources[0].policy.lateness_assumed = true;
        declared.sources[0].policy.silence_is_idle = true;
    });
    finds(
        &assumed,
        "10:00:10",
        &[
            "warning source edge: allowed_lateness 30 s is assumed",
            "warning source edge: `silence = \"idle\"` is assumed: its silence would count as quiet",
        ],
    );
}

#[test]
fn lines_that_nobody_understands_are_an_error_beyond_the_ratio() {
    let story = used().garbled("09:56:00", OLD);
    let error = "error source edge: 1 of the last 20 lines were not understood";
    finds(&story, "10:00:10", &[error]);
    finds(&story.policy(|policy| policy.max_reject_ratio = 0.05), "10:00:10", &[]);
}

#[test]
fn consumers_that_nobody_can_tell_or_that_nobody_saw_are_warned_of() {
    let story = used().uses(OLD, "-", ["09:50:00", "09:51:00"]).roster([on_roster("chekout")]);
    finds(
        &story,
        "10:00:10",
        &[
            "warning key 2025-q4: 2 of its presentations are by consumers known only by an \
             address: nobody knows whom to tell",
            "warning consumers: no key was ever presented by chekout, yet it is waited for",
        ],
    );
    let synthetic = RosterEntry { synthetic: true, ..on_roster("health-check") };
    let misspelt = used().roster([synthetic]).job("bathc", "0 3 1 * *", minutes(5));
    let warning = "warning consumers: no key was ever presented by bathc, yet it is waited for";
    finds(&misspelt, "10:00:10", &[warning]);
}

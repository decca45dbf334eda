//! Rows about the plan: which periods the history of a key recommends, and why.

use std::time::Duration;

use keydrain::engine::credential::CredentialName;
use keydrain::engine::drain::{CredentialDecl, Unknown};
use keydrain::engine::plan::Plan;
use keydrain::engine::rotation::{Job, JournalEvent, RosterEntry};

use crate::story::{Story, at, minutes};
use crate::world::{CREDENTIAL, NEW, OLD, TRAIL};

fn before() -> Story {
    Story::new().started("20 00:00:00")
}

/// A batch that runs every hour from 09:00 on, so often.
fn hourly(story: Story, runs: u32) -> Story {
    (0..runs).fold(story, |story, n| story.line(&format!("{:02}:00:00", 9 + n), OLD, "batch", 200))
}

fn plan_of(story: &Story, key: Option<&str>, now: &str) -> Result<Plan, Unknown> {
    let now = at(now);
    let mut world = story.world(now);
    world.look(now);
    world.settle(now);
    world.drain.plan(&CredentialName::new(CREDENTIAL), key, now)
}

fn plan(story: &Story) -> Plan {
    plan_of(story, None, "18:00:00").unwrap()
}

fn value_of(plan: &Plan, name: &str) -> Option<Duration> {
    let all = plan.required_quiet.iter().chain(&plan.overlap_terms);
    let found: Vec<_> = all.filter(|term| term.name == name).collect();
    assert!(found.iter().all(|term| !term.reason.is_empty()), "{found:?}");
    found[0].value
}

#[test]
fn without_history_the_values_of_the_policy_stand_and_the_plan_says_so() {
    let plan = plan(&before());
    assert_eq!((plan.key.as_deref(), plan.history), (None, None));
    assert_eq!(plan.quiet_period.value, minutes(15));
    assert!(plan.quiet_period.reason.contains("no history"), "{:?}", plan.quiet_period);
    // 15 min quiet and 5 s of clock skew; the rows' policy has no other period.
    assert_eq!(plan.required, Duration::from_secs(905));
    assert_eq!(plan.overlap.value, Duration::from_secs(905));
    assert_eq!(value_of(&plan, "moving"), None);
    let notes = plan.notes.join("\n");
    assert!(notes.contains("no key of this credential was ever seen"), "{notes}");
    assert!(
        notes.contains("the time that consumers take to move is not in the overlap"),
        "{notes}"
    );
}

#[test]
fn the_longest_ordinary_gap_makes_the_quiet_period_once_it_was_seen_often_enough() {
    // Five gaps are asked for; the factor is 2.
    let enough = plan(&hourly(before(), 6));
    assert_eq!(enough.key.as_deref(), Some(OLD));
    assert_eq!(enough.history, Some(Duration::from_hours(5)));
    assert_eq!(enough.quiet_period.value, Duration::from_hours(2));
    assert_eq!(enough.quiet_period.configured, minutes(15));
    assert_eq!(enough.quiet_period.dominated_by, "batch");
    assert!(enough.quiet_period.reason.contains("without batch, 15 min would do"));
    assert_eq!(enough.consumers[0].cadence_bound, Some(Duration::from_hours(2)));
    assert_eq!(value_of(&enough, "cadence"), Some(Duration::from_hours(2)));
    assert_eq!(enough.required, Duration::from_secs(7205));

    let too_few = plan(&hourly(before(), 5));
    assert_eq!(too_few.quiet_period.value, minutes(15));
    assert_eq!(too_few.consumers[0].cadence_bound, None);
    let reason = &too_few.consumers[0].reason;
    assert!(reason.starts_with("4 of 5 gaps") && reason.contains("sighting on the new key"));
    assert!(
        too_few.notes.iter().any(|note| note.contains("no length of silence speaks for batch"))
    );
}

#[test]
fn a_gap_inside_a_session_is_ordinary_however_few_sessions_there_are() {
    let story = before().uses(OLD, "web", ["09:00:00", "09:10:00"]);
    let plan = plan(&story);
    assert_eq!(plan.quiet_period.value, minutes(20));
    assert!(plan.consumers[0].reason.contains("one session, which proves nothing"));
}

#[test]
fn who_needs_a_persons_eye_comes_first() {
    let story = hourly(before(), 6).uses(OLD, "once", ["09:30:00"]);
    let names: Vec<_> = plan(&story).consumers.into_iter().map(|c| c.consumer).collect();
    assert_eq!(names, ["once", "batch"]);
}

#[test]
fn health_checks_and_jobs_do_not_make_the_quiet_period() {
    let job = Job {
        consumer: "batch".into(),
        schedule: "0 * * * *".into(),
        zone: None,
        max_runtime: minutes(10),
    };
    let story = hourly(before(), 6)
        .declared(move |declared| declared.credentials[0].jobs = vec![job.clone()]);
    let with_job = plan(&story);
    assert_eq!(with_job.quiet_period.value, minutes(15));
    assert_eq!(
        value_of(&with_job, "jobs"),
        Some(minutes(70)),
        "an hour, and how long a run may last"
    );

    let synthetic = RosterEntry { synthetic: true, ..RosterEntry::new("batch") };
    let synthetic = plan(&hourly(before(), 6).roster([synthetic]));
    assert_eq!(synthetic.quiet_period.value, minutes(15));
    assert!(synthetic.consumers.is_empty());
    // One of the roster that is none of them is planned for, beside one that is.
    let probe = RosterEntry { synthetic: true, ..RosterEntry::new("probe") };
    let both = plan(&hourly(before(), 6).roster([probe, RosterEntry::new("batch")]));
    assert_eq!(both.consumers[0].consumer, "batch");
}

#[test]
fn a_cycle_of_monitoring_that_is_longer_than_the_quiet_makes_the_quiet_period() {
    let story = before().policy(|policy| policy.monitoring_cycle = minutes(30));
    let quiet = plan(&story).quiet_period;
    assert_eq!((quiet.value, &*quiet.dominated_by), (minutes(30), "monitoring_cycle"));
    let story = before().policy(|policy| policy.monitoring_cycle = minutes(15));
    let quiet = plan(&story).quiet_period;
    assert_eq!((quiet.value, &*quiet.dominated_by), (minutes(15), "quiet_period"));
}

#[test]
fn the_overlap_is_the_sum_of_notice_moving_quiet_and_exposure() {
    let partner = RosterEntry {
        notice_period: Some(Duration::from_hours(3)),
        max_cache_ttl: minutes(30),
        max_connection_lifetime: minutes(30),
        ..RosterEntry::new("partner")
    };
    let plan =
        plan(&before().roster([partner]).policy(|policy| policy.notice_period = minutes(60)));
    assert_eq!(value_of(&plan, "notice"), Some(Duration::from_hours(3)));
    assert_eq!(value_of(&plan, "exposure"), Some(Duration::from_hours(1)));
    assert_eq!(plan.overlap.value, Duration::from_secs(4 * 3_600 + 905));
    assert_eq!(plan.overlap.dominated_by, "notice");
}

#[test]
fn who_asks_for_less_than_the_policy_shortens_no_term_of_the_overlap() {
    let partner = RosterEntry {
        notice_period: Some(minutes(10)),
        max_cache_ttl: minutes(1),
        ..RosterEntry::new("partner")
    };
    let plan = plan(&before().roster([partner]).policy(|policy| {
        policy.notice_period = minutes(60);
        policy.max_cache_ttl = minutes(5);
    }));
    assert_eq!(value_of(&plan, "notice"), Some(minutes(60)));
    assert_eq!(value_of(&plan, "exposure"), Some(minutes(5)));
}

#[test]
fn another_organisation_takes_72_hours_unless_set() {
    let partner = RosterEntry { third_party: true, ..RosterEntry::new("partner") };
    let story = before().roster([partner]);
    let unset = story.clone().policy(|policy| policy.min_overlap = None);
    let unset = plan(&unset);
    assert_eq!(unset.overlap.value, Duration::from_hours(72));
    assert_eq!(unset.overlap.dominated_by, "min_overlap");
    assert!(unset.overlap.reason.starts_with("partner is another organisation"), "{unset:?}");
    let set = plan(&story.policy(|policy| policy.min_overlap = Some(Duration::from_hours(2))));
    assert_eq!(set.overlap.value, Duration::from_hours(2));
    assert!(set.notes.iter().all(|note| !note.contains("max_overlap")));
}

#[test]
fn an_overlap_beyond_the_largest_allowed_is_noted() {
    let story = before().policy(|policy| policy.notice_period = Duration::from_hours(31 * 24));
    assert!(plan(&story).notes.iter().any(|note| note.contains("longer than max_overlap 30 d")));
    let overlap = plan(&story).overlap.value;
    let as_long = story.policy(move |policy| policy.max_overlap = overlap);
    assert!(plan(&as_long).notes.iter().all(|note| !note.contains("longer than max_overlap")));
}

#[test]
fn a_credential_of_another_organisation_takes_72_hours_too() {
    let own = |third_party| {
        let story = before().policy(move |policy| {
            (policy.third_party, policy.min_overlap) = (third_party, None);
        });
        plan(&story).overlap_terms.into_iter().find(|term| term.name == "min_overlap").unwrap()
    };
    assert!(own(true).reason.contains("another organisation's"), "{:?}", own(true));
    assert_eq!((own(false).value, &*own(false).reason), (Some(minutes(60)), "1 h unless set"));
}

#[test]
fn earlier_rotations_tell_how_long_moving_takes() {
    // Notified at 09:00, the last of two moved at 10:30; rolled back at 12:00.
    let story = Story::new()
        .heartbeats("09:00:00", "12:00:00")
        .told("09:00:00", JournalEvent::ConsumersNotified)
        .uses(OLD, "a", ["09:10:00"])
        .uses(OLD, "b", ["09:10:00"])
        .uses(NEW, "a", ["10:00:00"])
        .uses(NEW, "b", ["10:30:00"])
        .told("12:00:00", JournalEvent::RolledBack);
    let open = plan_of(&story, None, "11:59:59").unwrap();
    assert_eq!(value_of(&open, "moving"), None, "the open rotation is no history");
    let done = plan_of(&story, None, "12:00:10").unwrap();
    assert_eq!(done.key.as_deref(), Some(NEW), "the key that was used last");
    assert_eq!(value_of(&done, "moving"), Some(minutes(90)));
    let moving = done.overlap_terms.iter().find(|term| term.name == "moving").unwrap();
    assert!(moving.reason.ends_with("in the slowest of 1 rotation"), "{moving:?}");
    assert_eq!(done.overlap.value, minutes(90) + done.required);
    assert_eq!(plan_of(&story, Some(OLD), "12:00:10").unwrap().key.as_deref(), Some(OLD));
    // Nor does a rotation of another credential.
    let beside = story.clone().declared(|declared| {
        let other = CredentialName::new("search-api");
        declared
            .credentials
            .push(CredentialDecl { name: other, ..declared.credentials[0].clone() });
    });
    let world = beside.world(at("12:00:10"));
    let other = world.drain.plan(&CredentialName::new("search-api"), None, at("12:00:10")).unwrap();
    assert_eq!(value_of(&other, "moving"), None);
    assert_eq!(plan_of(&story, Some("typo"), "12:00:10"), Err(Unknown::Key));
}

#[test]
fn sessions_that_the_key_was_seen_to_buy_lengthen_the_recommended_quiet() {
    let trail = |declared| {
        before()
            .declared(|declared| TRAIL.clone_into(&mut declared.sources[0].layout))
            .policy(move |it| it.max_session_lifetime = declared)
            .uses(OLD, "batch", ["10:00:00"])
    };
    let sessions = |story: &Story| value_of(&plan(story), "max_session_lifetime");
    for (declared, bought) in [(minutes(30), 36 * 60), (minutes(40 * 60), 40 * 60)] {
        assert_eq!(sessions(&trail(declared)), Some(declared));
        let story = trail(declared).issues("09:50:00", OLD, "batch", "session-1");
        assert_eq!(sessions(&story), Some(minutes(bought)));
        let plan = plan(&story);
        let added = minutes(bought) + Duration::from_secs(5);
        assert_eq!(plan.required, plan.quiet_period.value + added);
    }
}

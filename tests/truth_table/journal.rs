//! Rows about what the journal says: periods, holds, jobs, incidents and the end of a rotation.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready};
use keydrain::engine::credential::{CredentialName, SourceName};
use keydrain::engine::drain::{CredentialDecl, Opening, Refused};
use keydrain::engine::rotation::{Attestation, JournalEvent, RosterEntry};

use crate::log::key_ref;
use crate::story::{
    INSTANT, Story, at, check, minutes, moved_over, on_roster, says, standing, stands_until,
};
use crate::world::{EDGE, NEW, OLD, World, an_opening};

#[test]
fn both_keys_stay_valid_for_the_minimum_overlap_after_dual_accept() {
    let story = moved_over().policy(|policy| policy.min_overlap = Some(minutes(60))).told_of(
        "10:10:00",
        "09:58:00",
        JournalEvent::DualAcceptEnabled,
    );
    stands_until(&story, "min_overlap", "*", "10:58:00");
    let answer = story.busy("10:57:59.999999999");
    check(&answer, NotReady, [("min_overlap", "*")]);
    says(&answer, "min_overlap", "*", &["both keys must stay valid for 1 h", "to go"]);
    check(&story.busy("10:58:00"), Ready, []);
}

#[test]
fn dual_accept_that_nobody_recorded_is_taken_from_the_first_accepted_new_key() {
    let story = moved_over()
        .line("09:40:00", NEW, "checkout", 401)
        .policy(|policy| policy.min_overlap = Some(minutes(50)));
    stands_until(&story, "min_overlap", "*", "10:51:00");
    let answer = story.busy("10:51:00");
    check(&answer, Ready, []);
    let inferred = |w: &&keydrain::engine::answer::Warning| w.code.as_str() == "inferred_fact";
    let warning = answer.warnings.iter().find(inferred).expect("it is marked");
    assert_eq!(warning.subject, "dual_accept_enabled");
    let told = moved_over().told("09:30:00", JournalEvent::DualAcceptEnabled).busy("10:51:00");
    let is_it = |w: &keydrain::engine::answer::Warning| w.subject == "dual_accept_enabled";
    assert!(!told.warnings.iter().any(is_it), "it is known");
}

#[test]
fn the_overlap_defaults_to_an_hour_and_to_three_days_with_a_third_party() {
    let told = |story: Story| {
        story.told("10:00:00", JournalEvent::DualAcceptEnabled).policy(|p| p.min_overlap = None)
    };
    stands_until(&told(moved_over()), "min_overlap", "*", "11:00:00");
    let foreign = told(moved_over()).policy(|policy| policy.third_party = true);
    stands_until(&foreign, "min_overlap", "*", "5 10:00:00");
    let entry = RosterEntry { third_party: true, ..on_roster("checkout") };
    stands_until(&told(moved_over()).roster([entry.clone()]), "min_overlap", "*", "5 10:00:00");
    let set = told(moved_over()).roster([entry]).policy(|p| p.min_overlap = Some(minutes(30)));
    stands_until(&set, "min_overlap", "*", "10:30:00");
}

#[test]
fn consumers_that_are_owed_a_notice_must_get_it_in_full() {
    let story = moved_over().policy(|policy| policy.notice_period = minutes(60));
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("notice_running", "*")]);
    says(&answer, "notice_running", "*", &["1 h of notice", "record consumers_notified"]);
    assert_eq!(answer.earliest_ready_at, None);
    let notified = story.told("09:50:00", JournalEvent::ConsumersNotified);
    stands_until(&notified, "notice_running", "*", "10:50:00");
    says(&notified.busy("10:49:00"), "notice_running", "*", &["ends in 1 min"]);
    check(&notified.busy("10:50:00"), Ready, []);
}

#[test]
fn a_consumer_with_a_notice_of_its_own_must_get_it_beside_that_of_all() {
    let notice = |name: &str, n| RosterEntry { notice_period: Some(minutes(n)), ..on_roster(name) };
    let entries = [notice("checkout", 80), notice("probe", 0)];
    let story = moved_over()
        .policy(|policy| policy.notice_period = minutes(50))
        .uses(NEW, "probe", ["10:02:00"])
        .roster(entries);
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("notice_running", "*"), ("notice_running", "checkout")]);
    says(&answer, "notice_running", "checkout", &["checkout must have 1 h 20 min of notice"]);
    let notified = story.told("09:30:00", JournalEvent::ConsumersNotified);
    stands_until(&notified, "notice_running", "*", "10:20:00");
    stands_until(&notified, "notice_running", "checkout", "10:50:00");
    says(&notified.busy("10:49:00"), "notice_running", "checkout", &["checkout ends in 1 min"]);
    check(&notified.busy("10:50:00"), Ready, []);
}

#[test]
fn the_retired_and_the_waived_are_owed_no_notice_of_their_own() {
    let entry = RosterEntry { notice_period: Some(minutes(80)), ..on_roster("partner") };
    let story = moved_over().roster([entry]).uses(NEW, "partner", ["09:30:00"]);
    check(&story.busy("10:30:00"), NotReady, [("notice_running", "partner")]);
    let retired = story.clone().told("10:20:00", JournalEvent::ConsumerRetired("partner".into()));
    check(&retired.busy("10:30:00"), Ready, []);
    let waived = JournalEvent::ConsumerWaived("partner".into(), at("10:40:00"));
    let waived = story.told("10:20:00", waived);
    check(&waived.busy("10:39:59.999999999"), Ready, []);
    check(&waived.busy("10:40:00"), NotReady, [("notice_running", "partner")]);
}

#[test]
fn a_minimum_overlap_of_zero_that_is_written_wins_over_a_third_party() {
    let entry = RosterEntry { third_party: true, ..on_roster("checkout") };
    let story = moved_over().roster([entry]).policy(|policy| policy.third_party = true);
    check(&story.clone().busy("10:15:35"), Ready, []);
    let default = story.policy(|policy| policy.min_overlap = None);
    stands_until(&default, "min_overlap", "*", "5 10:01:00");
}

#[test]
fn a_hold_stands_until_its_release_and_no_policy_overrides_it() {
    let story = moved_over().told("10:20:00", JournalEvent::Hold);
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("hold", "*")]);
    says(&answer, "hold", "*", &["record release"]);
    check(&story.busy("9 10:30:00"), NotReady, [("hold", "*")]);
    check(&story.told("10:31:00", JournalEvent::Release).busy("10:31:00"), Ready, []);
}

#[test]
fn an_open_incident_blocks_until_it_is_closed() {
    let story = moved_over().told("10:20:00", JournalEvent::IncidentOpened);
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("incident_open", "*")]);
    says(&answer, "incident_open", "*", &["record incident_closed"]);
    check(&story.told("10:31:00", JournalEvent::IncidentClosed).busy("10:31:00"), Ready, []);
}

#[test]
fn a_job_that_started_and_has_not_finished_blocks() {
    let story = moved_over().told("10:20:00", JournalEvent::JobStarted("billing".into()));
    let answer = story.busy("10:30:00");
    check(&answer, NotReady, [("job_running", "billing")]);
    says(&answer, "job_running", "billing", &["a job of billing", "record job_finished"]);
    let other = story.told("10:30:30", JournalEvent::JobStarted("report".into()));
    let one = other.told("10:31:00", JournalEvent::JobFinished("billing".into()));
    check(&one.busy("10:31:00"), NotReady, [("job_running", "report")]);
    let both = one.told("10:32:00", JournalEvent::JobFinished("report".into()));
    check(&both.busy("10:32:00"), Ready, []);
}

#[test]
fn of_two_runs_of_a_job_and_of_two_incidents_each_must_end() {
    let started = || JournalEvent::JobStarted("billing".into());
    let finished = || JournalEvent::JobFinished("billing".into());
    let jobs = moved_over().told("10:20:00", started()).told("10:21:00", started());
    let one = jobs.told("10:25:00", finished());
    check(&one.busy("10:30:00"), NotReady, [("job_running", "billing")]);
    check(&one.told("10:31:00", finished()).busy("10:31:00"), Ready, []);

    let opened = || JournalEvent::IncidentOpened;
    let incidents = moved_over().told("10:20:00", opened()).told("10:21:00", opened());
    let one = incidents.told("10:25:00", JournalEvent::IncidentClosed);
    check(&one.busy("10:30:00"), NotReady, [("incident_open", "*")]);
    check(&one.told("10:31:00", JournalEvent::IncidentClosed).busy("10:31:00"), Ready, []);
}

#[test]
fn an_overlap_is_not_inferred_from_an_earlier_rotation_of_the_same_keys() {
    let story = moved_over()
        .policy(|policy| policy.min_overlap = Some(minutes(20)))
        .told("10:20:00", JournalEvent::RolledBack)
        .then("10:25:00", |world| {
            world.start(key_ref(OLD), key_ref(NEW), at("10:25:00"));
        })
        .uses(NEW, "checkout", ["10:30:00"]);
    check(&story.busy("10:49:59.999999999"), NotReady, [("min_overlap", "*")]);
    check(&story.busy("10:50:00"), Ready, []);
}

#[test]
fn a_revocation_before_the_rotation_began_is_refused() {
    let mut world = moved_over().world(at("10:30:00"));
    let id = world.rotation();
    for event in [JournalEvent::Revoked, JournalEvent::Override] {
        let before = Some(at("01:00:00"));
        let told = world.drain.record(&id, event, before, "ops".into(), None, at("10:30:00"));
        assert!(told.unwrap_err().to_string().contains("before the rotation began"));
    }
}

#[test]
fn a_rotation_that_was_rolled_back_is_never_ready() {
    let answer = moved_over().told("10:20:00", JournalEvent::RolledBack).busy("10:30:00");
    check(&answer, NotReady, [("rolled_back", "*")]);
    says(&answer, "rolled_back", "*", &["start a new one"]);
}

#[test]
fn a_rotation_that_is_over_is_in_the_wrong_phase() {
    for end in [JournalEvent::Revoked, JournalEvent::Override] {
        let answer = moved_over().told("10:20:00", end).busy("10:30:00");
        check(&answer, NotReady, [("wrong_phase", "*")]);
        says(&answer, "wrong_phase", "*", &[OLD, "recorded as revoked"]);
    }
}

#[test]
fn an_overlap_that_lasts_longer_than_allocated_warns_and_does_not_block() {
    let story = moved_over()
        .policy(|policy| policy.max_overlap = minutes(45))
        .told("09:50:00", JournalEvent::DualAcceptEnabled);
    let overdue = |now| {
        let answer = story.busy_at(now);
        assert_eq!(answer.verdict, Ready);
        let found = answer.warnings.into_iter().find(|w| w.code.as_str() == "overlap_overdue");
        found.map(|warning| warning.message)
    };
    assert_eq!(overdue(at("10:35:00")), None);
    let message = overdue(at("10:35:00").plus(INSTANT)).expect("it is overdue");
    assert!(message.contains("to last 45 min"), "{message}");
}

#[test]
fn the_later_of_two_words_about_the_same_period_counts() {
    let story = moved_over()
        .policy(|policy| policy.min_overlap = Some(minutes(60)))
        .told("09:50:00", JournalEvent::DualAcceptEnabled)
        .told("10:05:00", JournalEvent::DualAcceptEnabled)
        .told_of("10:06:00", "09:00:00", JournalEvent::DualAcceptEnabled);
    stands_until(&story, "min_overlap", "*", "11:05:00");
}

#[test]
fn a_denied_old_key_after_the_propagation_of_the_revocation_verifies_it() {
    let story = |denied: &str, status: u16| {
        let mut world = moved_over()
            .policy(|policy| policy.propagation_bound = Duration::from_mins(10))
            .told("10:20:00", JournalEvent::Revoked)
            .line(denied, OLD, "probe", status)
            .world(at("10:40:00"));
        world.answer(at("10:40:00"));
        let snapshot = world.drain.snapshot("test", 0, at("10:40:00"));
        snapshot.rotations[0].revocation_verified_at
    };
    assert_eq!(story("10:30:00", 401), None);
    assert_eq!(story("10:30:01", 401), Some(at("10:30:01")));
    assert_eq!(story("10:30:01", 200), None, "an accepted use is a leak");
}

#[test]
fn a_denial_from_before_the_revocation_that_comes_late_verifies_nothing() {
    let mut world = moved_over()
        .policy(|policy| policy.propagation_bound = Duration::from_mins(10))
        .told("10:20:00", JournalEvent::Revoked)
        .then("10:40:00", |world| {
            let denied = crate::world::Line {
                event_at: at("10:10:00"),
                key: OLD.to_owned(),
                consumer: "probe".to_owned(),
                status: 401,
                garbled: false,
            };
            let place = (crate::world::EDGE, crate::world::ACCESS_LOG);
            world.read(place, &[denied], at("10:40:00"), at("10:40:00"));
        })
        .world(at("10:40:00"));
    world.answer(at("10:40:00"));
    let snapshot = world.drain.snapshot("test", 0, at("10:40:00"));
    assert_eq!(snapshot.rotations[0].revocation_verified_at, None);
}

/// Everybody moved in a first try that was rolled back; the second one began at 10:25:00.
fn begun_anew() -> Story {
    moved_over().told("10:20:00", JournalEvent::RolledBack).then("10:25:00", |world| {
        world.start(key_ref(OLD), key_ref(NEW), at("10:25:00"));
    })
}

/// A try that was rolled back left its moves to the next one: ready at once, while everybody may
/// have been given the old key back.
#[test]
fn a_move_of_an_earlier_rotation_that_was_rolled_back_is_none_of_the_next_one() {
    let story = begun_anew();
    check(
        &story.busy("10:30:00"),
        NotReady,
        [("consumer_not_moved", "checkout"), ("new_key_unused", NEW)],
    );
    let ended = ["since an earlier rotation of", "ended at 2026-03-02T10:20:00Z"];
    says(&story.busy("10:30:00"), "consumer_not_moved", "checkout", &ended);
    check(&story.uses(NEW, "checkout", ["10:31:00"]).busy("10:31:00"), Ready, []);
}

/// A start that was dated before the end of the first try took its moves over all the same.
#[test]
fn a_rotation_that_is_dated_back_begins_after_the_one_before_it_all_the_same() {
    let story = moved_over().told("10:20:00", JournalEvent::RolledBack).then("10:25:00", |world| {
        let opening = an_opening(key_ref(OLD), key_ref(NEW));
        let opening = Opening { started_at: Some(at("09:30:00")), ..opening };
        world.drain.start(opening, at("10:25:00")).expect("no other rotation is open");
    });
    assert!(standing(&story.busy("10:30:00")).contains(&("consumer_not_moved", "checkout")));
    check(&story.uses(NEW, "checkout", ["10:31:00"]).busy("10:31:00"), Ready, []);
}

#[test]
fn the_new_key_of_an_earlier_rotation_shows_nobody_of_the_roster_in_the_next_one() {
    let story = begun_anew().roster([on_roster("batch")]).uses(NEW, "batch", ["10:05:00"]);
    let story = story.uses(NEW, "checkout", ["10:31:00"]);
    check(&story.busy("10:31:00"), NotReady, [("consumer_missing", "batch")]);
    check(&story.uses(NEW, "batch", ["10:32:00"]).busy("10:32:00"), Ready, []);
}

/// Without an old key to be later than, a use in an earlier rotation was enough.
#[test]
fn the_new_key_of_an_earlier_rotation_does_not_show_where_it_went_in_the_next_one() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(NEW, "checkout", ["09:10:00"])
        .told("10:20:00", JournalEvent::RolledBack)
        .then("10:25:00", |world| {
            world.start(key_ref(OLD), key_ref(NEW), at("10:25:00"));
        })
        .told("10:26:00", JournalEvent::Attested(Attestation::OldKeyUnused));
    check(&story.busy("10:30:00"), NotReady, [("new_key_unused", NEW)]);
    check(&story.clone().uses(NEW, "checkout", ["10:31:00"]).busy("10:31:00"), Ready, []);
    // In the very second of its end nobody can tell which of both it was for.
    let at_its_end = story.clone().uses(NEW, "checkout", ["10:20:00"]);
    check(&at_its_end.busy("10:30:00"), NotReady, [("new_key_unused", NEW)]);
    check(&story.uses(NEW, "checkout", ["10:20:01"]).busy("10:30:00"), Ready, []);
}

#[test]
fn who_went_back_with_a_rotation_that_was_rolled_back_has_not_regressed_in_the_next_one() {
    let story = begun_anew().uses(OLD, "checkout", ["10:40:00"]);
    assert!(!standing(&story.busy("10:41:00")).contains(&("consumer_regressed", "checkout")));
    let first = moved_over().uses(OLD, "checkout", ["10:40:00"]);
    assert!(standing(&first.busy("10:41:00")).contains(&("consumer_regressed", "checkout")));
}

/// Records an event, by default now; returns why it is refused, if it is.
fn refusal(world: &mut World, event: JournalEvent, told_at: Option<&str>) -> Option<String> {
    let (id, now) = (world.rotation(), at("10:30:00"));
    let told = world.drain.record(&id, event, told_at.map(at), "ops".into(), None, now);
    told.err().map(|refused| refused.to_string())
}

#[test]
fn what_ends_nothing_is_refused_and_what_was_begun_can_be_ended_once() {
    let job = || "checkout".into();
    let pairs = [
        (JournalEvent::Hold, JournalEvent::Release, "no hold stands"),
        (JournalEvent::IncidentOpened, JournalEvent::IncidentClosed, "no incident is open"),
        (JournalEvent::JobStarted(job()), JournalEvent::JobFinished(job()), "no job"),
    ];
    let mut world = moved_over().world(at("10:30:00"));
    for (begin, end, why) in pairs {
        let refused = refusal(&mut world, end.clone(), None).expect("nothing was begun");
        assert!(refused.contains(why), "{refused}");
        assert_eq!(refusal(&mut world, begin, None), None);
        assert_eq!(refusal(&mut world, end.clone(), None), None);
        assert!(refusal(&mut world, end, None).is_some(), "it was ended already");
    }
}

#[test]
fn only_a_source_of_the_rotation_can_be_retired_from_it() {
    let mut world = moved_over().world(at("10:30:00"));
    let retire = |name: &str| JournalEvent::SourceRetired(SourceName::new(name), None);
    let refused = refusal(&mut world, retire("elsewhere"), None).expect("it is none of them");
    assert!(refused.contains("elsewhere"), "{refused}");
    assert_eq!(refusal(&mut world, retire(EDGE), None), None);
}

#[test]
fn an_event_may_lie_a_minute_ahead_of_our_clock_and_no_more() {
    let mut world = moved_over().world(at("10:30:00"));
    assert_eq!(refusal(&mut world, JournalEvent::Hold, Some("10:31:00")), None);
    let refused = refusal(&mut world, JournalEvent::Release, Some("10:31:00.000000001"));
    assert!(refused.expect("it is in the future").contains("future"));
}

#[test]
fn what_is_published_lists_each_configured_credential_and_what_became_of_its_rotations() {
    let revoked = || {
        moved_over()
            .policy(|policy| policy.cadence_min_samples = 1)
            .told_of("10:05:00", "09:55:00", JournalEvent::DualAcceptEnabled)
            .told_of("10:05:30", "09:56:00", JournalEvent::ConsumersNotified)
            .told("10:35:00", JournalEvent::Revoked)
    };
    let snapshot = |story: Story| {
        let mut world = story.world(at("10:36:00"));
        world.answer(at("10:36:00"));
        world.drain.snapshot("test", 0, at("10:36:00"))
    };
    let beside = || {
        revoked().declared(|declared| {
            let name = CredentialName::new("search-api");
            let mut other = CredentialDecl { name, ..declared.credentials[0].clone() };
            other.policy.min_overlap = Some(Duration::from_hours(100));
            declared.credentials.push(other);
        })
    };
    let shown = snapshot(beside());
    let names = ["payments-api", "search-api"].map(CredentialName::new);
    assert!(shown.caught_up);
    assert_eq!(shown.credentials.iter().map(|it| it.name.clone()).collect::<Vec<_>>(), names);
    assert_eq!(shown.credentials[0].keys, [OLD, NEW]);
    let health = shown.credential_health;
    assert!(health[0].recommended_overlap.is_some());
    assert_eq!(health[..1], snapshot(revoked()).credential_health, "the other one changes nothing");
    let finished = health.iter().map(|it| (it.credential.clone(), it.health.finished));
    assert_eq!(
        finished.collect::<Vec<_>>(),
        names.clone().into_iter().zip([1, 0]).collect::<Vec<_>>()
    );
    let drain = beside().world(at("10:30:00")).drain;
    let keys = |name| drain.keys_of(name).map(|keys| keys.len());
    assert_eq!(names.each_ref().map(keys), [Some(2); 2]);
    assert_eq!(keys(&CredentialName::new("other")), None);
}

#[test]
fn history_is_kept_of_the_keys_of_open_rotations_alone() {
    let keys = |story: &Story| {
        let mut keys = story.world(at("10:30:00")).drain.keys_in_rotation();
        keys.sort_unstable();
        keys
    };
    let sorted = |names: [&str; 2]| {
        let mut keys = names.map(|name| key_ref(name).fingerprint);
        keys.sort_unstable();
        keys.to_vec()
    };
    assert_eq!(keys(&moved_over()), sorted([OLD, NEW]));
    let revoked = moved_over().told("10:20:00", JournalEvent::Revoked);
    assert_eq!(keys(&revoked), []);
    let next = revoked.then("10:25:00", |world| {
        world.start(key_ref(NEW), key_ref("2026-q3"), at("10:25:00"));
    });
    assert_eq!(keys(&next), sorted([NEW, "2026-q3"]));
}

#[test]
fn a_rotation_may_begin_a_minute_ahead_of_our_clock_and_no_more() {
    let begin = |when: &str| {
        let mut world = moved_over().told("10:20:00", JournalEvent::Revoked).world(at("10:30:00"));
        let (old_key, new_key) = (key_ref(NEW), key_ref("2026-q3"));
        let opening = Opening { started_at: Some(at(when)), ..an_opening(old_key, new_key) };
        world.drain.start(opening, at("10:30:00")).map(drop)
    };
    assert_eq!(begin("10:31:00"), Ok(()));
    assert_eq!(begin("10:31:00.000000001"), Err(Refused::StartsInTheFuture));
    assert_eq!(begin("10:40:00"), Err(Refused::StartsInTheFuture));
}

#[test]
fn a_revocation_at_the_very_start_of_the_rotation_is_recorded() {
    let mut world = moved_over().world(at("10:30:00"));
    let refused = refusal(&mut world, JournalEvent::Revoked, Some("08:59:59.999999999"));
    assert!(refused.is_some_and(|why| why.contains("before the rotation began")));
    assert_eq!(refusal(&mut world, JournalEvent::Revoked, Some("09:00:00")), None);
}

#[test]
fn after_a_revocation_its_proof_and_remarks_are_recorded_and_nothing_else() {
    let mut world = moved_over().told("10:20:00", JournalEvent::Revoked).world(at("10:30:00"));
    for event in [
        JournalEvent::Attested(Attestation::PostRevoke),
        JournalEvent::IncidentOpened,
        JournalEvent::IncidentClosed,
        JournalEvent::ManualIntervention,
    ] {
        assert_eq!(refusal(&mut world, event.clone(), None), None, "{event:?}");
    }
    for event in [JournalEvent::Hold, JournalEvent::Propagated, JournalEvent::Revoked] {
        let refused = refusal(&mut world, event.clone(), None);
        assert!(refused.is_some_and(|why| why.contains("revoked")), "{event:?}");
    }
}

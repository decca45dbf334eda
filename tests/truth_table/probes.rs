//! Rows about probes: requests sent on purpose that must show up in the log.
//!
//! The probe is sent every minute and may be 30 s late: it must be seen every 90 s.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::credential::SourceName;
use keydrain::engine::drain::{Declared, Refused};
use keydrain::engine::probe::Probe;
use keydrain::engine::rotation::JournalEvent;
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;

use crate::story::{
    INSTANT, Story, at, blocker, check, minutes, moved_over, moved_over_by, says, standing,
    stands_until,
};
use crate::world::{ACCESS_LOG, EDGE, NEW, OLD, an_opening, fingerprint, key_ref};

const PROBE: &str = "front-door-key";
const SUBJECT: &str = "front-door@edge";

fn declare(declared: &mut Declared) {
    let source = &mut declared.sources[0];
    source.tracked.push(fingerprint(PROBE));
    source.policy.probes.push(Probe {
        name: "front-door".into(),
        key: fingerprint(PROBE),
        every: minutes(1),
        within: Duration::from_secs(30),
    });
}

fn declared(story: Story) -> Story {
    story.declared(declare)
}

/// Lets the story's stream show the probe every minute, from `from` to `to`, both included.
fn probed(mut story: Story, from: &str, to: &str) -> Story {
    let (mut next, to) = (at(from), at(to));
    while next <= to {
        let when = next.to_string();
        story = story.line(&when[9..when.len() - 1].replace('T', " "), PROBE, "prober", 200);
        next = next.plus(minutes(1));
    }
    story
}

fn busy_after(story: &Story, when: &str, what: Duration) -> keydrain::engine::answer::Answer {
    story.busy_at(at(when).plus(what))
}

#[test]
fn a_probe_that_was_never_seen_is_missing_and_one_that_is_seen_all_along_is_not() {
    let story = declared(moved_over());
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("probe_missing", SUBJECT)]);
    says(
        &answer,
        "probe_missing",
        SUBJECT,
        &["probe front-door was never seen in source edge", "every 1 min 30 s"],
    );
    assert_eq!(answer.sources[0].probe_last_seen, None);
    let seen = probed(story, "09:30:00", "11:00:00");
    let answer = seen.busy("10:30:00");
    check(&answer, Ready, []);
    assert_eq!(answer.sources[0].probe_last_seen, Some(at("10:30:00")));
}

#[test]
fn a_probe_as_old_as_its_bound_at_the_end_of_the_window_is_seen_and_an_older_one_is_not() {
    let story = probed(declared(moved_over()), "09:30:00", "10:29:00");
    // The window ends 30 s ago.
    check(&story.busy("10:31:00"), Ready, []);
    let answer = busy_after(&story, "10:31:00", INSTANT);
    check(&answer, Unknown, [("probe_missing", SUBJECT)]);
    says(&answer, "probe_missing", SUBJECT, &["was not seen after 2026-03-02T10:29:00Z"]);
    let standing = blocker(&answer, "probe_missing", SUBJECT);
    assert_eq!((standing.since, standing.clears_at), (Some(at("10:29:00")), None));
    let again = story.line("10:33:00", PROBE, "prober", 200);
    check(&again.busy("10:33:00"), Ready, []);
}

#[test]
fn a_window_that_begins_before_the_first_probe_is_not_covered_by_it() {
    // The line of 10:20:00 was written within that second: the window must begin after it.
    let story = probed(declared(moved_over()), "10:20:00", "11:00:00");
    check(&story.busy("10:30:00"), Unknown, [("probe_missing", SUBJECT)]);
    says(&story.busy("10:30:00"), "probe_missing", SUBJECT, &["not seen within that time before"]);
    stands_until(&story, "probe_missing", SUBJECT, "10:35:35.999999999");
    check(&story.busy("10:35:35.999999999"), Ready, []);
}

#[test]
fn a_probe_as_old_as_its_bound_when_the_window_begins_is_seen_and_an_older_one_is_not() {
    let story = probed(declared(moved_over()), "09:30:00", "10:05:00");
    let story = probed(story, "10:10:00", "11:00:00");
    // The window begins 15 min 35 s ago.
    check(&story.busy("10:22:05"), Ready, []);
    check(&busy_after(&story, "10:22:05", INSTANT), Unknown, [("probe_missing", SUBJECT)]);
    stands_until(&story, "probe_missing", SUBJECT, "10:25:35.999999999");
    check(&story.busy("10:25:35.999999999"), Ready, []);
}

#[test]
fn a_probe_that_was_away_in_the_middle_of_the_window_is_seen_at_both_ends() {
    let story = probed(declared(moved_over()), "09:30:00", "10:20:00");
    let story = probed(story, "10:25:00", "11:00:00");
    check(&story.busy("10:23:00"), Unknown, [("probe_missing", SUBJECT)]);
    check(&story.busy("10:28:00"), Ready, []);
    check(&story.busy("10:38:00"), Unknown, [("probe_missing", SUBJECT)]);
}

#[test]
fn without_a_watermark_a_probe_is_missing() {
    let answer = declared(Story::new()).answer("10:00:00");
    assert_eq!((answer.verdict, answer.watermark), (Unknown, None));
    assert!(standing(&answer).contains(&("probe_missing", SUBJECT)));
    // A second stream that was not read yet leaves the rotation without one.
    let story = probed(declared(moved_over()), "09:30:00", "11:00:00");
    let unread = story.seen("09:00:00", |sight| {
        let other = "/var/log/nginx/other.log";
        sight.streams.insert(other.to_owned(), Some(crate::world::live(other)));
    });
    let answer = unread.busy("10:30:00");
    assert_eq!((answer.verdict, answer.watermark), (Unknown, None));
    says(&answer, "probe_missing", SUBJECT, &["cannot be judged without a watermark"]);
}

#[test]
fn a_probe_that_is_denied_is_seen_and_one_that_comes_late_is_not() {
    let probe = |status| {
        probed(declared(moved_over()), "09:30:00", "10:28:00")
            .line("10:29:30", PROBE, "prober", status)
            .busy("10:31:00")
    };
    for status in [200, 401, 403, 503] {
        check(&probe(status), Ready, []);
    }
    let story = probed(declared(moved_over()), "09:30:00", "10:28:00");
    let late = story.line_read("10:29:30", "10:31:00", PROBE, "prober", 200);
    check(&late.busy("10:31:01"), Unknown, [("probe_missing", SUBJECT)]);
}

#[test]
fn a_probe_shows_that_a_stream_logs_keys() {
    let other = "/var/log/nginx/standby.log";
    let story = probed(declared(moved_over()), "09:30:00", "11:00:00")
        .on(EDGE, other)
        .heartbeats("09:00:00", "11:00:00");
    check(&story.busy("10:30:00"), Unknown, [("source_blind", other)]);
    let shown = story.line("10:29:00", PROBE, "prober", 200);
    check(&shown.busy("10:30:00"), Ready, []);
    // What is no probe any more shows nothing.
    let dropped = shown.asked("10:29:30").reconfigured("10:30:00", |declared| {
        declared.sources[0].policy.probes.clear();
    });
    let answer = dropped.busy("10:46:00");
    check(&answer, Unknown, [("source_blind", other)]);
}

#[test]
fn a_probe_is_no_consumer_and_no_use_of_either_key() {
    let unmoved = Story::new().heartbeats("09:00:00", "11:00:00").uses(
        OLD,
        "checkout",
        ["09:59:59", "10:00:00"],
    );
    let answer = probed(declared(unmoved), "09:30:00", "11:00:00").busy("10:30:00");
    check(&answer, NotReady, [("consumer_not_moved", "checkout"), ("new_key_unused", NEW)]);
    assert_eq!(answer.consumers.total, 1);
    assert_eq!((answer.old_key.accepted, answer.new_key.accepted), (2, 0));
}

#[test]
fn a_line_with_a_probes_key_and_the_old_one_is_a_use_of_the_old_one() {
    let story = probed(declared(moved_over()), "09:30:00", "11:00:00");
    let both = format!("{PROBE}?{OLD}");
    let answer = story.line("10:25:00", &both, "prober", 200).busy("10:30:00");
    assert_eq!(answer.verdict, NotReady);
    assert!(standing(&answer).contains(&("old_key_in_use", "prober")), "{:?}", answer.blockers);
}

#[test]
fn a_rotation_with_a_probes_key_is_refused() {
    let mut world = declared(moved_over()).world(at("08:59:59"));
    for (old, new) in [(PROBE, NEW), (OLD, PROBE)] {
        let opening = an_opening(key_ref(old), key_ref(new));
        let refused = world.drain.start(opening, at("09:00:00")).unwrap_err();
        assert_eq!(refused, Refused::ProbeKey("front-door".into()));
        assert!(refused.to_string().contains("a key of its own"), "{refused}");
    }
}

#[test]
fn sightings_survive_a_restart_exactly() {
    let story = probed(declared(moved_over()), "09:30:00", "10:05:00");
    let story = probed(story, "10:10:00", "10:28:00");
    let restarted = story.clone().restarted("10:08:00").restarted("10:22:00");
    let moments: [Timestamp; 5] =
        ["10:22:05", "10:22:06", "10:25:35", "10:25:36", "10:31:00"].map(at);
    for now in moments {
        let (before, after) = (story.busy_at(now), restarted.busy_at(now));
        assert_eq!((before.verdict, before.blockers), (after.verdict, after.blockers), "{now}");
        assert_eq!(before.sources[0].probe_last_seen, after.sources[0].probe_last_seen);
    }
}

#[test]
fn a_probe_that_is_added_dropped_or_changed_restarts_the_quiet() {
    let changes: [fn(&mut Declared); 3] = [
        |declared| declared.sources[0].policy.probes.clear(),
        |declared| declared.sources[0].policy.probes[0].within = minutes(1),
        |declared| {
            let mut other = declared.sources[0].policy.probes[0].clone();
            other.name = "other".into();
            declared.sources[0].policy.probes.push(other);
        },
    ];
    for change in changes {
        let story = probed(declared(moved_over()), "09:30:00", "11:00:00");
        let story = story.asked("10:29:00").reconfigured("10:30:30", change);
        let answer = story.busy("10:30:31");
        assert_ne!(answer.verdict, Ready);
        assert!(standing(&answer).contains(&("quiet_running", OLD)), "{:?}", answer.blockers);
        assert_ne!(story.busy("10:46:04.999999999").verdict, Ready);
        // Of a changed bound the next probe, of 10:31:00, is the first that is known.
        check(&story.busy("10:46:35.999999999"), Ready, []);
    }
}

#[test]
fn a_probe_that_was_seen_in_another_format_proves_nothing_of_the_new_one() {
    let story = probed(declared(moved_over()), "09:30:00", "10:29:30")
        .reconfigured("10:29:45", |declared| declared.sources[0].layout = "other".to_owned())
        .uses(NEW, "checkout", ["10:29:50"]);
    let answer = story.busy("10:30:30");
    assert!(standing(&answer).contains(&("probe_missing", SUBJECT)), "{:?}", answer.blockers);
    says(&answer, "probe_missing", SUBJECT, &["never seen"]);
    let again = story.clone().restarted("10:30:00").busy("10:30:30");
    assert!(standing(&again).contains(&("probe_missing", SUBJECT)), "{:?}", again.blockers);
}

#[test]
fn the_probe_of_a_retired_source_is_not_missed() {
    let story = declared(moved_over()).declared(|declared| {
        declared.sources.push(crate::world::a_source("inner"));
        declared.credentials[0].sources.push(SourceName::new("inner"));
        let probes = std::mem::take(&mut declared.sources[0].policy.probes);
        declared.sources[1].policy.probes = probes;
    });
    let answer = story.busy("10:30:00");
    assert!(standing(&answer).contains(&("probe_missing", "front-door@inner")));
    let retire = JournalEvent::SourceRetired(SourceName::new("inner"), None);
    check(&story.told("10:29:00", retire).busy("10:30:00"), Ready, []);
}

#[test]
fn of_several_probes_the_one_longest_out_of_sight_is_told() {
    let story = declared(moved_over()).declared(|declared| {
        declared.sources[0].tracked.push(fingerprint("second"));
        let mut second = declared.sources[0].policy.probes[0].clone();
        (second.name, second.key) = ("second".into(), fingerprint("second"));
        declared.sources[0].policy.probes.push(second);
    });
    let story = probed(story, "09:30:00", "10:30:00").uses("second", "prober", ["10:10:00"]);
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("probe_missing", "second@edge")]);
    assert_eq!(answer.sources[0].probe_last_seen, Some(at("10:10:00")));
    assert_eq!(answer.sources[0].streams[0].name.as_str(), ACCESS_LOG);
}

/// A story with the probe at these seconds after 10:00:00.
fn probed_at(seconds: &[u64]) -> Story {
    seconds.iter().fold(declared(moved_over_by("10:40:00")), |story, second| {
        let when = format!("10:{:02}:{:02}", second / 60, second % 60);
        story.line(&when, PROBE, "prober", 200)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_ready_answer_rests_on_a_sighting_at_either_end_and_one_less_is_never_greener(
        mut seconds in prop::collection::vec(0_u64..2_400, 0..40),
        now in 960_u64..2_400,
        left_out in any::<prop::sample::Index>(),
    ) {
        seconds.sort_unstable();
        let now = at("10:00:00").plus(Duration::from_secs(now));
        let answer = probed_at(&seconds).busy_at(now);
        let window = answer.window.span.expect("the log was read");
        let bound = Duration::from_secs(90);
        let seen = |from: Timestamp, to: Timestamp| {
            let times = seconds.iter().map(|s| at("10:00:00").plus(Duration::from_secs(*s)));
            times.into_iter().any(|time| from <= time && time <= to)
        };
        let is_seen = seen(window.from.minus(bound), window.from) && seen(window.to.minus(bound), now);
        let stands = standing(&answer).contains(&("probe_missing", SUBJECT));
        prop_assert!(stands || is_seen, "said to be seen: {:?}", answer.blockers);
        if answer.verdict != Ready && !seconds.is_empty() {
            seconds.remove(left_out.index(seconds.len()));
            prop_assert_ne!(probed_at(&seconds).busy_at(now).verdict, Ready);
        }
    }
}

/// A source that nobody proved to be read may have shown more of those who are tolerated.
#[test]
fn a_probe_must_be_seen_for_as_long_as_somebody_is_tolerated() {
    let story = probed(declared(moved_over()), "09:50:00", "11:00:00");
    check(&story.busy("10:50:00"), Ready, []);
    // The pool was away for 40 min: the window of the tolerated begins at 09:29:25.
    let story = story.policy(|policy| policy.threshold = 3);
    let story = story.uses(OLD, "-", ["09:20:00", "10:00:00", "10:35:00"]);
    check(&story.busy("10:50:00"), Unknown, [("probe_missing", SUBJECT)]);
}

//! Rows about best-effort sources: they prove use, never absence, and another must cover them.

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::coverage::{Basis, SourceState};
use keydrain::engine::credential::SourceName;
use keydrain::engine::drain::Declared;
use keydrain::engine::policy::Completeness;
use keydrain::engine::rotation::JournalEvent;

use crate::story::{INSTANT, Story, at, check, moved_over, says, standing, stands_until};
use crate::world::{ACCESS_LOG, EDGE, NEW, NO_KEY, OLD, a_source};

const LB: &str = "lb";
const LB_LOG: &str = "/var/log/lb.log";

fn positive_only(covered_by: Option<&str>) -> Completeness {
    Completeness::PositiveOnly { covered_by: covered_by.map(SourceName::new) }
}

/// Adds a load balancer's log to the configuration.
fn with_lb(declared: &mut Declared, completeness: Completeness) {
    let mut lb = a_source(LB);
    lb.policy.completeness = completeness;
    declared.sources.push(lb);
    declared.credentials[0].sources.push(SourceName::new(LB));
}

/// A host, and the load balancer before it whose log loses lines.
fn behind_lb(covered_by: Option<&str>) -> Story {
    moved_over().declared(|declared| with_lb(declared, positive_only(covered_by)))
}

#[test]
fn a_best_effort_source_that_nothing_covers_is_never_ready() {
    let story = behind_lb(None);
    for now in ["10:30:00", "9 11:00:00"] {
        let answer = story.busy(now);
        check(&answer, Unknown, [("positive_only", LB)]);
        says(&answer, "positive_only", LB, &["proves use, never absence", "covered_by"]);
    }
    let retired = story.told("10:29:00", JournalEvent::SourceRetired(SourceName::new(LB), None));
    check(&retired.busy("10:30:00"), Ready, []);
}

#[test]
fn a_best_effort_source_has_no_basis_however_far_it_was_read() {
    let story = behind_lb(Some(EDGE)).on(LB, ACCESS_LOG).heartbeats("10:00:00", "10:30:00");
    let answer = story.busy("10:30:00");
    let basis = |name: &str| {
        let source = answer.sources.iter().find(|source| source.name.as_str() == name);
        let source = source.expect("it is shown");
        assert!(source.watermark.is_some(), "{name} was read");
        source.basis
    };
    assert_eq!((basis(EDGE), basis(LB)), (Basis::Proved, Basis::None));
}

#[test]
fn of_a_covered_source_nothing_is_demanded_be_it_unread_absent_or_unreadable() {
    check(&behind_lb(Some(EDGE)).busy("10:30:00"), Ready, []);
    let broken = behind_lb(Some(EDGE)).then("10:00:00", |world| {
        let sight = world.sights.get_mut(LB).expect("it is declared");
        sight.streams.clear();
        sight.absent.push("/var/log/lb*".to_owned());
        sight.unreadable.push((LB_LOG.to_owned(), "permission denied".to_owned()));
    });
    let answer = broken.busy("10:30:00");
    check(&answer, Ready, []);
    let lb = answer.sources.iter().find(|source| source.name.as_str() == LB).expect("it is shown");
    assert_eq!((lb.state, lb.basis), (SourceState::Absent, Basis::None));
}

#[test]
fn silence_gaps_and_rejects_of_a_covered_source_mean_nothing() {
    let story = behind_lb(Some(EDGE))
        .on(LB, LB_LOG)
        .uses(OLD, "checkout", ["09:59:59"])
        .heartbeats("10:00:00", "10:05:00")
        .garbled("10:05:01", NO_KEY)
        .lost("10:20:00");
    let answer = story.answer("10:30:00");
    check(&answer, Ready, []);
    // Its watermark is none of the rotation's, and proves nothing.
    let lb = answer.sources.iter().find(|source| source.name.as_str() == LB).expect("it is shown");
    assert_eq!((lb.state, lb.basis), (SourceState::Blind, Basis::None));
    let read = lb.streams.iter().find(|stream| stream.name.as_str() == LB_LOG);
    assert_eq!(read.and_then(|stream| stream.watermark), Some(at("10:04:30")));
    assert_eq!(answer.watermark, Some(at("10:29:30")));
}

#[test]
fn a_use_that_only_a_covered_source_shows_is_a_use() {
    let story = behind_lb(Some(EDGE)).on(LB, LB_LOG).uses(OLD, "partner", ["10:20:00"]);
    let answer = story.answer("10:30:00");
    check(
        &answer,
        NotReady,
        [("old_key_in_use", "partner"), ("consumer_not_moved", "partner"), ("new_key_unused", NEW)],
    );
    let moved = story.uses(NEW, "partner", ["10:21:00"]);
    stands_until(&moved, "old_key_in_use", "partner", "10:35:30");
    check(&moved.busy("10:35:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&moved.busy("10:35:35"), Ready, []);
}

#[test]
fn a_rejected_line_with_the_old_key_may_be_a_use_wherever_it_stands() {
    let story = behind_lb(Some(EDGE)).on(LB, LB_LOG).garbled("10:20:00", OLD);
    check(&story.busy("10:30:00"), Unknown, [("rejects", OLD)]);
    // It counts from its arrival: no readable line came before it.
    stands_until(&story, "rejects", OLD, "10:35:35");
    check(&story.busy("10:35:35"), Ready, []);
}

#[test]
fn the_old_key_is_seen_whichever_source_shows_it() {
    let story = Story::new()
        .declared(|declared| with_lb(declared, positive_only(Some(EDGE))))
        .heartbeats("09:00:00", "11:00:00")
        .uses(NEW, "checkout", ["10:01:00"])
        .on(LB, LB_LOG);
    check(&story.busy("10:30:00"), Unknown, [("old_key_unseen", OLD)]);
    let seen = story.uses(OLD, "checkout", ["10:00:00"]);
    check(&seen.busy("10:30:00"), Ready, []);
}

#[test]
fn what_covers_must_itself_be_proved() {
    // The last line of the host is the heartbeat of 11:00:00.
    let story = behind_lb(Some(EDGE)).on(LB, LB_LOG).heartbeats("09:00:00", "11:30:00");
    check(&story.answer("11:05:00"), Ready, []);
    let answer = story.answer_at(at("11:05:00").plus(INSTANT));
    assert_eq!(answer.verdict, Unknown);
    assert!(standing(&answer).iter().any(|(code, _)| *code == "source_silent"));
}

#[test]
fn a_source_that_is_retired_unknown_or_best_effort_itself_covers_nothing() {
    let retire = JournalEvent::SourceRetired(SourceName::new(EDGE), None);
    let answer = behind_lb(Some(EDGE)).told("10:20:00", retire).busy("10:30:00");
    assert!(standing(&answer).contains(&("positive_only", LB)), "{:?}", answer.blockers);
    says(&answer, "positive_only", LB, &[EDGE, "no complete source of this rotation"]);
    let unknown = behind_lb(Some("inner")).busy("10:30:00");
    check(&unknown, Unknown, [("positive_only", LB)]);
    let both = behind_lb(Some(EDGE)).declared(|declared| {
        declared.sources[0].policy.completeness = positive_only(Some(LB));
    });
    let answer = both.busy("10:30:00");
    assert_eq!(answer.verdict, Unknown);
    for source in [EDGE, LB] {
        assert!(standing(&answer).contains(&("positive_only", source)), "{:?}", answer.blockers);
    }
}

#[test]
fn a_source_that_the_rotation_does_not_pin_covers_nothing() {
    let story = behind_lb(Some("inner")).declared(|declared| {
        declared.sources.push(a_source("inner"));
    });
    check(&story.busy("10:30:00"), Unknown, [("positive_only", LB)]);
}

#[test]
fn what_covers_is_missed_when_the_configuration_drops_it() {
    let story = behind_lb(Some(EDGE)).reconfigured("10:20:00", |declared| {
        declared.sources.retain(|source| source.name.as_str() != EDGE);
    });
    let answer = story.answer("10:30:00");
    assert_eq!(answer.verdict, Unknown);
    for expected in [("positive_only", LB), ("source_absent", EDGE)] {
        assert!(standing(&answer).contains(&expected), "{:?}", answer.blockers);
    }
}

#[test]
fn a_best_effort_source_is_dropped_by_the_journal_alone() {
    let story = behind_lb(None).reconfigured("10:20:00", |declared| {
        declared.sources.retain(|source| source.name.as_str() != LB);
    });
    let answer = story.busy("10:40:00");
    assert_eq!(answer.verdict, Unknown);
    assert!(standing(&answer).contains(&("source_absent", LB)), "{:?}", answer.blockers);
}

#[test]
fn a_source_that_is_declared_best_effort_later_restarts_the_quiet() {
    let story = moved_over()
        .declared(|declared| with_lb(declared, Completeness::Complete))
        .asked("10:29:00")
        .reconfigured("10:30:00", |declared| {
            declared.sources[1].policy.completeness = positive_only(Some(EDGE));
        });
    check(&story.busy("10:30:01"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:45:34.999999999"), NotReady, [("quiet_running", OLD)]);
    check(&story.busy("10:45:35"), Ready, []);
}

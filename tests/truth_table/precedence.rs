//! Rows about what beats what: proof beats missing evidence, which beats mere absence.

use keydrain::engine::answer::Verdict::{NotReady, Unknown};
use keydrain::engine::answer::{Code, Ground};
use keydrain::engine::rotation::JournalEvent;

use crate::story::{INSTANT, Story, at, check, moved_over, standing};
use crate::world::{ACCESS_LOG, EDGE, NEW, OLD};

type Fault = fn(Story) -> Story;

/// The ways in which evidence goes missing at 10:40:00, by the code that names them.
fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("source_absent", |story| {
            story.seen("10:40:00", |sight| sight.absent.push("*.log".to_owned()))
        }),
        ("source_unreadable", |story| {
            story.seen("10:40:00", |sight| {
                sight.unreadable.push((EDGE.to_owned(), "input/output error".to_owned()));
            })
        }),
        ("coverage_gap", |story| story.lost("10:40:00")),
        ("source_blind", |story| story.lost("10:40:00")),
        ("observation_too_short", |story| story.lost("10:40:00")),
        ("rejects", |story| story.garbled("10:40:00", OLD)),
        ("clock_suspect", |story| story.line_read("15:00:00", "10:40:00", NEW, "checkout", 200)),
        ("source_behind", |story| {
            story.then("10:40:00", |world| world.looking = false).restarted("10:40:00")
        }),
    ]
}

#[test]
fn an_unknown_never_hides_a_proof_of_use() {
    for (code, fault) in faults() {
        let story = fault(moved_over().uses(OLD, "checkout", ["10:39:00"]));
        let answer = story.answer("10:40:01");
        assert!(answer.blockers.iter().any(|b| b.code.as_str() == code), "{code} stands");
        assert_eq!(answer.verdict, NotReady, "{code} hides the use: {:?}", answer.blockers);
        assert_eq!(answer.blockers[0].code, Code::OldKeyInUse);
        assert_eq!(answer.message, answer.blockers[0].message);
    }
}

#[test]
fn an_unknown_never_hides_a_hold() {
    for (code, fault) in faults() {
        let answer = fault(moved_over().told("10:30:00", JournalEvent::Hold)).answer("10:40:01");
        assert!(answer.blockers.iter().any(|b| b.code.as_str() == code), "{code} stands");
        assert_eq!(answer.verdict, NotReady, "{code} hides the hold");
    }
}

#[test]
fn every_fault_of_the_evidence_alone_turns_ready_into_unknown() {
    for (code, fault) in faults() {
        let answer = fault(moved_over()).answer("10:40:01");
        assert!(answer.blockers.iter().any(|b| b.code.as_str() == code), "{code} stands");
        assert_eq!(answer.verdict, Unknown, "{code}: {:?}", answer.blockers);
    }
}

#[test]
fn missing_evidence_beats_consumer_not_moved() {
    for (code, fault) in faults() {
        let answer = fault(moved_over().uses(OLD, "batch", ["09:30:00"])).answer("10:40:01");
        assert!(standing(&answer).contains(&("consumer_not_moved", "batch")), "{code}");
        assert_eq!(answer.verdict, Unknown, "{code}: {:?}", answer.blockers);
        assert_ne!(answer.blockers[0].code, Code::ConsumerNotMoved);
    }
}

#[test]
fn a_dead_source_beats_consumer_not_moved() {
    let story = moved_over().uses(OLD, "batch", ["09:30:00"]);
    check(&story.answer("11:05:00"), NotReady, [("consumer_not_moved", "batch")]);
    check(
        &story.answer_at(at("11:05:00").plus(INSTANT)),
        Unknown,
        [("source_silent", ACCESS_LOG), ("consumer_not_moved", "batch")],
    );
}

#[test]
fn a_dead_source_beats_new_key_unused() {
    let story = Story::new()
        .heartbeats("09:00:00", "11:00:00")
        .uses(OLD, "checkout", ["10:00:00"])
        .told("10:05:00", JournalEvent::ConsumerRetired("checkout".into()));
    check(&story.answer("11:05:00"), NotReady, [("new_key_unused", NEW)]);
    check(
        &story.answer("11:05:01"),
        Unknown,
        [("source_silent", ACCESS_LOG), ("new_key_unused", NEW)],
    );
}

#[test]
fn all_blockers_are_listed_in_order_of_precedence() {
    let story = moved_over()
        .policy(|policy| policy.min_overlap = None)
        .uses(OLD, "batch", ["09:30:00"])
        .told("10:20:00", JournalEvent::Hold)
        .seen("10:20:00", |sight| sight.absent.push("*.log".to_owned()));
    let answer = story.busy("10:30:00");
    check(
        &answer,
        NotReady,
        [
            ("min_overlap", "*"),
            ("hold", "*"),
            ("source_absent", EDGE),
            ("consumer_not_moved", "batch"),
        ],
    );
    assert!(answer.blockers.is_sorted_by_key(|blocker| blocker.code.ground()));
    let grounds: Vec<Ground> = answer.blockers.iter().map(|b| b.code.ground()).collect();
    assert_eq!(grounds, [Ground::Proof, Ground::Proof, Ground::Evidence, Ground::Absence]);
}

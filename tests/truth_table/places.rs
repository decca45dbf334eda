//! Rows about the places of the key: never proved, blind again, or masked.

use keydrain::engine::answer::Answer;
use keydrain::engine::answer::Verdict::{Ready, Unknown};
use keydrain::engine::coverage::SourceState;
use keydrain::engine::credential::{PlaceName, SourceName, StreamName};
use keydrain::engine::rotation::JournalEvent;

use crate::story::{Story, check, moved_over, says, standing, stands_until};
use crate::world::{ACCESS_LOG, EDGE, NEW};

const IN_QUERY: &str = "/var/log/nginx/access.log (query:api_key)";
const OTHER_LOG: &str = "/var/log/nginx/other.log";

/// Clients send the key in a header, whose name is logged, or in the query.
fn two_places(story: Story) -> Story {
    story.declared(|declared| {
        declared.sources[0].places =
            vec![PlaceName::new("field:key_name"), PlaceName::new("query:api_key")];
    })
}

/// The new key as a client sends it in the query.
fn in_query() -> String {
    format!("-?{NEW}")
}

fn unproved(answer: &Answer) -> Vec<&str> {
    let warnings = answer.warnings.iter().filter(|w| w.code.as_str() == "place_unproved");
    warnings.map(|warning| warning.subject.as_str()).collect()
}

#[test]
fn a_listed_place_that_never_showed_a_key_warns_until_it_shows_one() {
    let story = two_places(moved_over());
    let answer = story.busy("10:30:00");
    check(&answer, Ready, []);
    assert_eq!(unproved(&answer), ["edge/query:api_key"]);
    let warning = answer.warnings.iter().find(|w| w.code.as_str() == "place_unproved");
    assert!(warning.is_some_and(|w| w.message.contains("query:api_key never showed a key")));
    let shown = story.line("10:29:00", &in_query(), "checkout", 200);
    let answer = shown.busy("10:30:00");
    check(&answer, Ready, []);
    assert_eq!(unproved(&answer), [""; 0]);
    assert_eq!(unproved(&shown.restarted("10:29:30").busy("10:30:00")), [""; 0]);
}

#[test]
fn a_place_in_any_stream_of_the_source_proves_it_unless_the_stream_is_retired() {
    let story = two_places(moved_over())
        .on(EDGE, OTHER_LOG)
        .line("09:30:00", &in_query(), "checkout", 200)
        .heartbeats("09:31:00", "11:00:00");
    assert_eq!(unproved(&story.busy("10:30:00")), [""; 0]);
    let retire =
        JournalEvent::SourceRetired(SourceName::new(EDGE), Some(StreamName::new(OTHER_LOG)));
    let answer = story.told("10:29:00", retire).busy("10:30:00");
    check(&answer, Ready, []);
    assert_eq!(unproved(&answer), ["edge/query:api_key"]);
}

#[test]
fn a_key_that_nobody_looks_for_proves_no_place() {
    let answer =
        two_places(moved_over()).line("10:29:00", "-?unknown", "checkout", 200).busy("10:30:00");
    assert_eq!(unproved(&answer), ["edge/query:api_key"]);
}

#[test]
fn the_only_place_is_the_streams_own_and_is_not_told_apart() {
    let answer = moved_over().busy("10:30:00");
    assert_eq!(unproved(&answer), [""; 0]);
    let unused = Story::new().heartbeats("09:00:00", "11:00:00").busy("10:30:00");
    assert_eq!(unproved(&unused), [""; 0], "also where it never showed a key");
    let answer = moved_over().lost("10:05:00").heartbeats("10:05:01", "10:05:01").busy("10:30:00");
    check(&answer, Unknown, [("source_blind", ACCESS_LOG)]);
}

/// The query showed a key before `lost`, and only the header does after it.
fn query_used_before_a_gap() -> Story {
    two_places(moved_over()).line("10:02:30", &in_query(), "checkout", 200).lost("10:05:00").uses(
        NEW,
        "checkout",
        ["10:05:01"],
    )
}

#[test]
fn a_place_that_showed_a_key_is_blind_after_a_gap_until_it_shows_one_again() {
    let story = query_used_before_a_gap();
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("source_blind", IN_QUERY)]);
    says(
        &answer,
        "source_blind",
        IN_QUERY,
        &["showed a key in query:api_key before", "none since", "take query:api_key off"],
    );
    assert_eq!(answer.sources[0].state, SourceState::Blind);
    assert_eq!(unproved(&answer), [""; 0]);
    let restarted = story.clone().restarted("10:20:00").restarted("10:21:00");
    check(&restarted.busy("10:30:00"), Unknown, [("source_blind", IN_QUERY)]);
    let shown = story.line("10:29:00", &in_query(), "checkout", 200);
    check(&shown.busy("10:30:00"), Ready, []);
}

#[test]
fn a_stream_that_is_blind_as_a_whole_is_told_once() {
    let story = two_places(moved_over())
        .line("10:02:30", &in_query(), "checkout", 200)
        .lost("10:05:00")
        .heartbeats("10:05:01", "10:05:01");
    check(&story.busy("10:30:00"), Unknown, [("source_blind", ACCESS_LOG)]);
}

#[test]
fn a_place_that_never_showed_a_key_is_not_blind_after_a_gap() {
    let story = two_places(moved_over()).lost("10:05:00").uses(NEW, "checkout", ["10:05:01"]);
    let answer = story.busy("10:30:00");
    check(&answer, Ready, []);
    assert_eq!(unproved(&answer), ["edge/query:api_key"]);
}

#[test]
fn a_place_is_blind_after_a_change_of_format_and_known_by_its_text() {
    let changed = |places: [&'static str; 2]| {
        two_places(moved_over())
            .line("10:02:30", &in_query(), "checkout", 200)
            .reconfigured("10:05:00", move |declared| {
                declared.sources[0].layout = "other".to_owned();
                declared.sources[0].places = places.map(PlaceName::new).to_vec();
            })
            .uses(NEW, "checkout", ["10:05:01"])
            .busy("10:30:00")
    };
    // The order of the list changed.
    let answer = changed(["query:api_key", "field:key_name"]);
    check(&answer, Unknown, [("source_blind", IN_QUERY)]);
    // Another place stands in the list where the query was.
    let answer = changed(["field:key_name", "query:key"]);
    check(&answer, Ready, []);
    assert_eq!(unproved(&answer), ["edge/query:key"]);
}

#[test]
fn a_mask_in_the_place_of_a_key_hides_whose_it_was_until_the_window_begins_after_it() {
    let story = moved_over().line("10:20:00", "***", "checkout", 200);
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("source_masked", ACCESS_LOG)]);
    says(&answer, "source_masked", ACCESS_LOG, &["shows a mask", "log the key or its name"]);
    assert_eq!(answer.sources[0].state, SourceState::Masked);
    stands_until(&story, "source_masked", ACCESS_LOG, "10:35:35");
    let clear = story.busy("10:35:35");
    check(&clear, Ready, []);
    assert_eq!(clear.sources[0].state, SourceState::Live);
    check(&story.restarted("10:25:00").busy("10:30:00"), Unknown, [("source_masked", ACCESS_LOG)]);
}

#[test]
fn a_mask_that_a_client_sent_as_its_key_hides_none() {
    // 401: no key was accepted. 403: one was, and it may be the old one.
    check(&moved_over().line("10:20:00", "***", "-", 401).busy("10:30:00"), Ready, []);
    for status in [403, 404, 503] {
        let answer = moved_over().line("10:20:00", "[REDACTED]", "-", status).busy("10:30:00");
        check(&answer, Unknown, [("source_masked", ACCESS_LOG)]);
    }
}

#[test]
fn a_mask_that_comes_late_counts_from_its_arrival() {
    let story = moved_over().line_read("10:00:00", "10:20:00", "***", "checkout", 200);
    check(&story.busy("10:30:00"), Unknown, [("source_masked", ACCESS_LOG)]);
    stands_until(&story, "source_masked", ACCESS_LOG, "10:35:35");
    check(&moved_over().line("10:00:01", "***", "checkout", 200).busy("10:30:00"), Ready, []);
}

#[test]
fn a_service_that_masks_data_is_masked_until_it_does_not() {
    let story = moved_over().seen("10:20:00", |sight| {
        sight.masked = Some("a data protection policy is active".to_owned());
    });
    let answer = story.busy("10:30:00");
    check(&answer, Unknown, [("source_masked", EDGE)]);
    says(&answer, "source_masked", EDGE, &["data protection policy", "source_retired"]);
    assert_eq!(answer.sources[0].state, SourceState::Masked);
    check(&story.seen("10:31:00", |sight| sight.masked = None).busy("10:32:00"), Ready, []);
}

#[test]
fn a_mask_in_a_retired_stream_hides_nothing() {
    let story = moved_over()
        .on(EDGE, OTHER_LOG)
        .uses(NEW, "checkout", ["09:30:00"])
        .line("10:20:00", "***", "checkout", 200)
        .heartbeats("10:20:01", "10:29:00");
    let answer = story.busy("10:30:00");
    assert!(standing(&answer).contains(&("source_masked", OTHER_LOG)), "{:?}", answer.blockers);
    let retire =
        JournalEvent::SourceRetired(SourceName::new(EDGE), Some(StreamName::new(OTHER_LOG)));
    check(&story.told("10:29:00", retire).busy("10:30:00"), Ready, []);
}

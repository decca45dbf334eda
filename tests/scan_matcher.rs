//! What a chunk says about tracked keys: late lines, future events, rejects, and the law that
//! where chunks are cut changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use keydrain::engine::credential::{Fingerprint, FingerprintSecret, PlaceName, RawKey};
use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser, Place};
use keydrain::engine::scan::lines::MAX_LINE_BYTES;
use keydrain::engine::scan::matcher::{ChunkContext, ChunkUsage, Matcher, TrackedKey};
use keydrain::engine::time::{Minute, Timestamp};
use keydrain::engine::usage::{Consumer, LineCount, Tally};
use proptest::prelude::*;

const ARRIVAL: i64 = 10_000;

fn secret() -> Arc<FingerprintSecret> {
    Arc::new(FingerprintSecret::new(b"pepper".to_vec()))
}

fn key(raw: &str) -> Fingerprint {
    secret().fingerprint(raw.as_bytes())
}

/// Tracks OLD by its raw form and NEW by its fingerprint; lines are `TIME KEY USER STATUS KEY2`.
fn matcher() -> Matcher {
    let parser = LineParser::compile(&Layout::new(
        FormatSpec::Nginx("$msec \"$http_k\" \"$remote_user\" $status \"$http_k2\"".into()),
        vec![Place::Field("http_k".into()), Place::Field("http_k2".into())],
        vec!["remote_user".into()],
    ));
    let old = TrackedKey { fingerprint: key("OLD"), raw: Some(RawKey::new(b"OLD".to_vec())) };
    let new = TrackedKey { fingerprint: key("NEW"), raw: None };
    Matcher::new(parser.expect("valid"), vec![old, new], secret())
}

fn line(at: i64, key: &str, user: &str, status: u16) -> String {
    format!("{at}.000 \"{key}\" \"{user}\" {status} \"-\"\n")
}

fn context() -> ChunkContext {
    ChunkContext {
        arrival: Timestamp::from_seconds(ARRIVAL),
        frontier: None,
        last_event: None,
        allowed_lateness: Duration::from_secs(30),
        future_tolerance: Duration::from_mins(1),
    }
}

fn scan(text: &str) -> ChunkUsage {
    matcher().scan(text.as_bytes(), &context())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[test]
fn a_place_is_named_that_shows_a_tracked_key() {
    let places = |lines: &[&str]| {
        let places = scan(&lines.concat()).places;
        places.iter().map(|place| place.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(places(&["60.000 \"OLD\" \"bob\" 200 \"-\"\n"]), ["field:http_k"]);
    assert_eq!(places(&["60.000 \"-\" \"bob\" 401 \"NEW\"\n"]), ["field:http_k2"]);
    assert_eq!(
        places(&["60.000 \"x\" \"bob\" 200 \"OLD\"\n", "61.000 \"NEW\" \"bob\" 200 \"NEW\"\n"]),
        ["field:http_k", "field:http_k2"]
    );
    assert_eq!(places(&["60.000 \"x\" \"bob\" 200 \"***\"\n", "OLD garbage\n"]), [""; 0]);
}

#[test]
fn a_place_of_one_of_several_formats_is_known_by_its_text() {
    let json = |place: &str| {
        FormatSpec::Json(JsonSpec {
            time: Some("t".into()),
            credential: vec![place.parse().expect("a place")],
            ..JsonSpec::default()
        })
    };
    let mut layout = Layout::new(
        FormatSpec::Nginx("$msec $http_k $http_k2".into()),
        vec![Place::Field("http_k".into()), Place::Field("http_k2".into())],
        Vec::new(),
    );
    layout.formats.extend([json("field:a"), json("field:http_k2")]);
    let parser = LineParser::compile(&layout).expect("valid");
    let places: Vec<&str> = parser.places().iter().map(PlaceName::as_str).collect();
    assert_eq!(places, ["field:http_k", "field:http_k2", "field:a"]);
    let old = TrackedKey { fingerprint: key("OLD"), raw: None };
    let mut matcher = Matcher::new(parser, vec![old], secret());
    let mut shown = |line: &str| matcher.scan(line.as_bytes(), &context()).places;
    assert_eq!(shown("60.000 - OLD\n"), [PlaceName::new("field:http_k2")]);
    assert_eq!(shown("{\"t\":60,\"a\":\"OLD\"}\n"), [PlaceName::new("field:a")]);
}

#[test]
fn a_mask_is_noted_unless_the_request_was_refused_for_want_of_a_key() {
    assert_eq!(scan(&line(60, "***", "bob", 200)).masked_at, Some(at(60)));
    assert_eq!(scan("60.000 \"OLD\" \"bob\" 403 \"[REDACTED]\"\n").masked_at, Some(at(60)));
    assert_eq!(scan(&line(60, "***", "bob", 401)).masked_at, None);
    assert_eq!(scan(&line(60, "-", "bob", 200)).masked_at, None);
    // As every line that comes late or from the future, it counts from its arrival.
    let late = [line(100, "-", "bob", 200), line(69, "***", "bob", 200)].concat();
    assert_eq!(scan(&late).masked_at, Some(at(ARRIVAL)));
    let in_time = [line(100, "-", "bob", 200), line(70, "***", "bob", 200)].concat();
    assert_eq!(scan(&in_time).masked_at, Some(at(70)));
    assert_eq!(scan(&line(ARRIVAL + 61, "***", "bob", 200)).masked_at, Some(at(ARRIVAL)));
}

#[test]
fn tracked_keys_get_cells_and_others_one_counter() {
    let usage = scan(
        &[
            line(60, "OLD", "bob", 200),
            line(61, "OLD", "bob", 403),
            line(62, "NEW", "-", 200),
            line(63, "spray", "bob", 200),
            line(64, "-", "bob", 200),
        ]
        .concat(),
    );
    assert_eq!(usage.cells.len(), 2);
    let old = usage.cells.iter().find(|cell| cell.key == key("OLD")).expect("a cell");
    assert_eq!(old.consumer.as_str(), "bob");
    assert_eq!(old.minute, Minute::from_number(1));
    assert_eq!(old.tally.counts, [1, 0, 1, 0]);
    assert_eq!(old.tally.seconds[2].iter().collect::<Vec<_>>(), [1]);
    let new = usage.cells.iter().find(|cell| cell.key == key("NEW")).expect("a cell");
    assert_eq!(new.consumer, Consumer::Anonymous);
    assert_eq!((usage.other_keys, usage.line_count, usage.reject_count), (1, 5, 0));
    assert_eq!((usage.first_event, usage.last_event), (Some(at(60)), Some(at(64))));
    assert_eq!(usage.frontier, Some(at(64)));
}

#[test]
fn a_line_with_both_keys_counts_for_both_and_with_one_twice_once() {
    let both = scan("60.000 \"OLD\" \"bob\" 200 \"NEW\"\n");
    assert_eq!(both.cells.len(), 2);
    let twice = scan("60.000 \"OLD\" \"bob\" 200 \"OLD\"\n");
    assert_eq!(twice.cells[0].tally.counts, [1, 0, 0, 0]);
    let second = scan("60.000 \"other\" \"bob\" 200 \"OLD\"\n");
    assert_eq!((second.cells.len(), second.other_keys), (1, 0));
}

#[test]
fn a_late_line_counts_from_its_arrival_and_shows_its_event_time() {
    // One second more than allowed behind the frontier, and exactly as much as allowed.
    for (behind, late_by) in [(31, Some(Duration::from_secs(1))), (30, None)] {
        let usage =
            scan(&[line(500, "-", "-", 200), line(500 - behind, "OLD", "bob", 200)].concat());
        assert_eq!(usage.late_by, late_by, "{behind}");
        let effective = if late_by.is_some() { at(ARRIVAL) } else { at(500 - behind) };
        let expected =
            Tally::one(keydrain::engine::usage::Outcome::Accepted, at(500 - behind), effective);
        assert_eq!(usage.cells[0].tally, expected, "{behind}");
        assert_eq!(usage.cells[0].minute, effective.minute());
        assert_eq!(usage.frontier, Some(at(500)), "a frontier never goes back");
    }
}

#[test]
fn the_first_line_of_a_stream_is_never_late() {
    assert_eq!(scan(&line(1, "OLD", "bob", 200)).late_by, None);
    let behind = ChunkContext { frontier: Some(at(500)), ..context() };
    let usage = matcher().scan(line(1, "OLD", "bob", 200).as_bytes(), &behind);
    assert_eq!(usage.late_by, Some(Duration::from_secs(469)));
}

#[test]
fn an_event_from_the_future_is_told_and_counts_from_its_arrival() {
    for (ahead, future) in [(61, true), (60, false)] {
        let usage = scan(&line(ARRIVAL + ahead, "OLD", "bob", 200));
        assert_eq!(usage.future_event, future, "{ahead}");
        let effective = if future { at(ARRIVAL) } else { at(ARRIVAL + ahead) };
        assert_eq!(usage.cells[0].tally.counts_until, effective);
        assert_eq!(usage.cells[0].tally.last_seen, at(ARRIVAL + ahead));
        assert_eq!(usage.frontier, Some(at(ARRIVAL)), "the frontier waits for the clock");
        assert_eq!(usage.lines[0].minute, at(ARRIVAL).minute());
    }
}

#[test]
fn a_reject_counts_from_its_arrival_whatever_was_read_before_it() {
    let usage =
        scan(&["OLD garbage\n", &line(120, "-", "-", 200), "NEW and OLD garbage\n"].concat());
    let minute = |minute, lines, rejects| LineCount { minute, lines, rejects };
    let expected = [minute(Minute::from_number(2), 1, 0), minute(at(ARRIVAL).minute(), 2, 2)];
    assert_eq!(usage.lines, expected);
    assert_eq!(usage.rejected_keys.len(), 1, "NEW has no raw form to search for");
    assert_eq!((usage.rejected_keys[0].key, usage.rejected_keys[0].at), (key("OLD"), at(ARRIVAL)));
    assert_eq!((usage.line_count, usage.reject_count), (3, 2));
    let later = ChunkContext { last_event: Some(at(60)), ..context() };
    let usage = matcher().scan(b"OLD garbage", &later);
    assert_eq!(usage.rejected_keys[0].at, at(ARRIVAL));
}

#[test]
fn an_over_long_line_is_a_reject_and_is_searched_for_keys() {
    let mut long = line(60, "OLD", "bob", 200).into_bytes();
    long.pop();
    long.resize(MAX_LINE_BYTES + 1, b' ');
    let usage = matcher().scan(&long, &context());
    assert_eq!((usage.reject_count, usage.rejected_keys.len(), usage.cells.len()), (1, 1, 0));
}

/// A line of Kubernetes' runtime.
fn cri(tag: &str, text: &str) -> String {
    format!("1970-01-01T00:01:00.5Z stdout {tag} {text}\n")
}

#[test]
fn a_record_in_parts_is_one_line() {
    let whole = line(60, "OLD", "bob", 200);
    for at in 0..whole.len() {
        let text = cri("P", &whole[..at]) + &cri("F", whole[at..].trim_end());
        let usage = scan(&text);
        assert_eq!((usage.line_count, usage.reject_count, usage.cells.len()), (1, 0, 1), "{text}");
    }
    let usage = scan(&(cri("P", "60.000 \"OL") + &cri("P", "D\" \"bob\"")));
    assert_eq!((usage.line_count, usage.reject_count, usage.cells.len()), (1, 1, 0));
    assert_eq!(usage.rejected_keys.len(), 1, "what was put together is searched");
}

#[test]
fn what_is_dropped_of_a_record_that_is_too_long_is_searched_part_by_part() {
    let filler = cri("P", &"x".repeat(MAX_LINE_BYTES / 2));
    let event = cri("F", line(60, "NEW", "bob", 200).trim_end());
    for at in 0..4 {
        let mut parts = vec![filler.clone(); 4];
        parts[at] = cri("P", "xOLDx");
        let usage = scan(&(event.clone() + &parts.concat() + &cri("F", "x") + &event));
        assert_eq!((usage.line_count, usage.reject_count), (3, 1), "{at}");
        assert_eq!(usage.rejected_keys.len(), 1, "{at}");
        assert_eq!(usage.cells.len(), 1);
    }
    let usage = scan(&(filler.repeat(3) + &cri("F", "OLD") + &event));
    assert_eq!(usage.rejected_keys.len(), 1, "in its last part");
    let usage = scan(&(filler.repeat(3) + &cri("F", "x") + &line(60, "OLD", "bob", 200)));
    assert_eq!(usage.rejected_keys, [], "the line behind it is none of its parts");
}

#[test]
fn a_key_tracked_later_is_found_from_then_on() {
    let mut matcher = matcher();
    let text = line(60, "THIRD", "bob", 200);
    assert_eq!(matcher.scan(text.as_bytes(), &context()).other_keys, 1);
    matcher.track(TrackedKey { fingerprint: key("THIRD"), raw: None });
    assert_eq!(matcher.scan(text.as_bytes(), &context()).cells.len(), 1);
    assert_eq!(matcher.longest_raw(), 3);
    assert_eq!(matcher.find_tracked(b"..OLD.."), [key("OLD")]);
}

/// Everything of a usage that must not depend on where chunks are cut.
#[derive(Debug, Default, PartialEq)]
struct Merged {
    cells: BTreeMap<(Fingerprint, Consumer, Minute, bool), Tally>,
    lines: BTreeMap<Minute, (u64, u64)>,
    rejected: BTreeMap<Fingerprint, Timestamp>,
    numbers: (u64, u64, u64),
    events: (Option<Timestamp>, Option<Timestamp>, Option<Timestamp>),
    places: BTreeSet<PlaceName>,
    masked_at: Option<Timestamp>,
    late_by: Option<Duration>,
    future_event: bool,
}

fn scan_cut(chunks: &[&str]) -> Merged {
    let mut matcher = matcher();
    let mut context = context();
    let mut merged = Merged::default();
    for chunk in chunks {
        let usage = matcher.scan(chunk.as_bytes(), &context);
        (context.frontier, context.last_event) = (usage.frontier, usage.last_event);
        for cell in usage.cells {
            merged
                .cells
                .entry((cell.key, cell.consumer, cell.minute, cell.late))
                .and_modify(|tally| tally.merge(&cell.tally))
                .or_insert(cell.tally);
        }
        for count in usage.lines {
            let sum = merged.lines.entry(count.minute).or_default();
            *sum = (sum.0 + count.lines, sum.1 + count.rejects);
        }
        for found in usage.rejected_keys {
            let latest = merged.rejected.entry(found.key).or_insert(found.at);
            *latest = found.at.max(*latest);
        }
        let (lines, rejects, others) = merged.numbers;
        merged.numbers =
            (lines + usage.line_count, rejects + usage.reject_count, others + usage.other_keys);
        let first = merged.events.0.or(usage.first_event);
        merged.events = (first, usage.last_event, usage.frontier);
        merged.places.extend(usage.places);
        merged.masked_at = merged.masked_at.max(usage.masked_at);
        merged.late_by = merged.late_by.max(usage.late_by);
        merged.future_event |= usage.future_event;
    }
    merged
}

fn any_line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["OLD", "NEW", "x1", "x2", "***", "-", ""]);
    let user = prop::sample::select(vec!["-", "ann", "bob"]);
    let status = prop::sample::select(vec![200, 401, 403, 500]);
    let time = prop_oneof![0i64..300, Just(ARRIVAL + 30), Just(ARRIVAL + 90)];
    prop_oneof![
        6 => (time, key, user, status).prop_map(|(at, key, user, status)| line(at, key, user, status)),
        1 => prop::sample::select(vec!["\n", "OLD garbage\n", "1.000 \"NEW\" \"a\" 2000 \"-\"\n"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn where_chunks_are_cut_changes_nothing(
        lines in prop::collection::vec((any_line(), any::<bool>()), 0..40),
    ) {
        let whole: String = lines.iter().map(|(line, _)| line.as_str()).collect();
        let mut chunks = vec![String::new()];
        for (line, cut) in &lines {
            chunks.last_mut().expect("one at least").push_str(line);
            if *cut {
                chunks.push(String::new());
            }
        }
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        let (cut, whole) = (scan_cut(&chunks), scan_cut(&[&whole]));
        prop_assert_eq!(cut, whole);
    }
}

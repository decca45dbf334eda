//! What a chunk says about tracked keys: late lines, future events, rejects, and the law that
//! where chunks are cut changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use keydrain::engine::credential::{
    ConsumerName, Fingerprint, FingerprintSecret, PlaceName, RawKey,
};
use keydrain::engine::distinct::Distinct;
use keydrain::engine::parse::wrap::Wrapping;
use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser, Place};
use keydrain::engine::policy::AnonymousConsumers;
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::scan::lines::MAX_LINE_BYTES;
use keydrain::engine::scan::matcher::{ChunkContext, ChunkUsage, Matcher, TrackedKey};
use keydrain::engine::scan::records::Framing;
use keydrain::engine::sessions::SESSION_LIFETIME;
use keydrain::engine::time::{Minute, Timestamp};
use keydrain::engine::usage::{Consumer, Issued, LineCount, RejectedKey, Tally};
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
    matcher_of(&layout())
}

fn layout() -> Layout {
    Layout::new(
        FormatSpec::Nginx("$msec \"$http_k\" \"$remote_user\" $status \"$http_k2\"".into()),
        vec![Place::Field("http_k".into()), Place::Field("http_k2".into())],
        vec!["remote_user".into()],
    )
}

fn matcher_of(layout: &Layout) -> Matcher {
    let parser = LineParser::compile(layout);
    let old = TrackedKey {
        fingerprint: key("OLD"),
        raw: Some(RawKey::new(b"OLD".to_vec())),
        anonymous: AnonymousConsumers::Pooled,
    };
    let new =
        TrackedKey { fingerprint: key("NEW"), raw: None, anonymous: AnonymousConsumers::Pooled };
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
        open_rejects: OpenRejects::default(),
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
    let old =
        TrackedKey { fingerprint: key("OLD"), raw: None, anonymous: AnonymousConsumers::Pooled };
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

/// Open rejects that arrived at `arrival`, `count` of them, with these keys.
fn open(count: u64, arrival: i64, keys: &[&str]) -> OpenRejects {
    let keys = keys.iter().map(|raw| (key(raw), at(arrival))).collect();
    OpenRejects { count, at: (count > 0).then_some(at(arrival)), keys }
}

#[test]
fn a_reject_counts_from_when_the_next_line_was_written_at_the_latest() {
    let usage =
        scan(&["OLD garbage\n", &line(120, "-", "-", 200), "NEW and OLD garbage\n"].concat());
    let minute = |minute, lines, rejects| LineCount { minute, lines, rejects };
    // 120 s and the allowed lateness.
    assert_eq!(usage.lines, [minute(at(120).minute(), 2, 1)]);
    assert_eq!(usage.rejected_keys, [RejectedKey { key: key("OLD"), at: at(150) }]);
    assert_eq!(usage.open_rejects, open(1, ARRIVAL, &["OLD"]), "NEW has no raw form to search for");
    assert_eq!((usage.line_count, usage.reject_count), (3, 2));
    // What was read before it says nothing of it.
    let later = ChunkContext { last_event: Some(at(60)), frontier: Some(at(60)), ..context() };
    let usage = matcher().scan(b"OLD garbage", &later);
    assert_eq!((usage.lines, usage.rejected_keys), (Vec::new(), Vec::new()));
    assert_eq!(usage.open_rejects, open(1, ARRIVAL, &["OLD"]));
}

#[test]
fn a_reject_never_counts_from_later_than_its_arrival() {
    let before = |event_at| {
        let open_rejects = open(2, 5000, &["OLD"]);
        let context = ChunkContext { open_rejects, frontier: Some(at(4900)), ..context() };
        let usage = matcher().scan(line(event_at, "-", "-", 200).as_bytes(), &context);
        assert!(usage.open_rejects.is_empty());
        let rejects = usage.lines.iter().find(|count| count.rejects == 2).expect("they count");
        (rejects.minute, usage.rejected_keys[0].at)
    };
    assert_eq!(before(4969), (at(4999).minute(), at(4999)));
    assert_eq!(before(4970), (at(5000).minute(), at(5000)));
    assert_eq!(before(4971), (at(5000).minute(), at(5000)));
    assert_eq!(before(ARRIVAL + 500), (at(5000).minute(), at(5000)));
}

#[test]
fn a_line_that_comes_too_late_does_not_tell_when_a_reject_before_it_was_written() {
    let after = |event_at| {
        let context = ChunkContext { frontier: Some(at(500)), ..context() };
        let text = "OLD garbage\n".to_owned() + &line(event_at, "-", "-", 200);
        matcher().scan(text.as_bytes(), &context)
    };
    let late = after(469);
    assert_eq!(late.open_rejects, open(1, ARRIVAL, &["OLD"]));
    assert_eq!((late.lines.len(), late.lines[0].rejects, late.rejected_keys.len()), (1, 0, 0));
    let in_time = after(470);
    assert_eq!(in_time.rejected_keys, [RejectedKey { key: key("OLD"), at: at(500) }]);
    assert!(in_time.open_rejects.is_empty());
}

#[test]
fn an_over_long_line_is_a_reject_and_is_searched_for_keys() {
    let mut long = line(60, "OLD", "bob", 200).into_bytes();
    long.pop();
    long.resize(MAX_LINE_BYTES + 1, b' ');
    let usage = matcher().scan(&long, &context());
    assert_eq!((usage.reject_count, usage.cells.len()), (1, 0));
    assert_eq!(usage.open_rejects, open(1, ARRIVAL, &["OLD"]));
}

#[test]
fn a_line_of_the_greatest_length_is_read() {
    let lines = Layout { wrapping: Wrapping::Declared(Vec::new()), ..layout() };
    for (layout, framing) in [(layout(), Framing::Parts), (lines, Framing::Lines)] {
        let mut matcher = matcher_of(&layout);
        assert_eq!(matcher.framing(), framing);
        let rest = line(60, "OLD", "", 200).len() - 1;
        let longest = line(60, "OLD", &"u".repeat(MAX_LINE_BYTES - rest), 200);
        let usage = matcher.scan(longest.as_bytes(), &context());
        assert_eq!((usage.reject_count, usage.cells.len()), (0, 1), "{framing:?}");
    }
}

/// A line of Kubernetes' runtime.
fn cri(tag: &str, text: &str) -> String {
    format!("1970-01-01T00:01:00.5Z stdout {tag} {text}\n")
}

/// The longest one that is read.
fn longest_cri(tag: &str) -> String {
    cri(tag, &"x".repeat(MAX_LINE_BYTES + 1 - cri(tag, "").len()))
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
    assert_eq!(usage.open_rejects.keys.len(), 1, "what was put together is searched");
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
    let usage = scan(&(cri("P", "xOLDx") + &longest_cri("F") + &event));
    assert_eq!(usage.rejected_keys.len(), 1, "where the last part alone is no longer than a line");
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
    matcher.track(TrackedKey {
        fingerprint: key("THIRD"),
        raw: None,
        anonymous: AnonymousConsumers::Pooled,
    });
    assert_eq!(matcher.scan(text.as_bytes(), &context()).cells.len(), 1);
    assert_eq!(matcher.longest_raw(), 3);
    assert_eq!(matcher.find_tracked(b"..OLD.."), [key("OLD")]);
}

/// Lines are `TIME KEY ADDRESS USER KEY2`. OLD keeps its anonymous consumers in one pool, NEW each.
fn pool_and_each() -> Matcher {
    let parser = LineParser::compile(&Layout::new(
        FormatSpec::Nginx(
            "$msec \"$http_k\" \"$http_user_agent\" \"$remote_user\" \"$http_k2\"".into(),
        ),
        vec![Place::Field("http_k".into()), Place::Field("http_k2".into())],
        vec!["remote_user".into(), "http_user_agent".into()],
    ));
    let key = |name, anonymous| TrackedKey { fingerprint: key(name), raw: None, anonymous };
    let keys = vec![key("OLD", AnonymousConsumers::Pooled), key("NEW", AnonymousConsumers::Each)];
    Matcher::new(parser.expect("valid"), keys, secret())
}

fn consumers(usage: &ChunkUsage, name: &str) -> Vec<Consumer> {
    let of_key = usage.cells.iter().filter(|cell| cell.key == key(name));
    of_key.map(|cell| cell.consumer.clone()).collect()
}

fn address(text: &str) -> Consumer {
    Consumer::Address(ConsumerName::new(text))
}

#[test]
fn one_line_may_be_in_the_pool_of_one_key_and_an_address_of_another() {
    let text = b"60.000 \"OLD\" \"curl\" \"-\" \"NEW\"\n61.000 \"NEW\" \"wget\" \"-\" \"-\"\n";
    let usage = pool_and_each().scan(text, &context());
    assert_eq!(consumers(&usage, "OLD"), [Consumer::Anonymous]);
    assert_eq!(consumers(&usage, "NEW"), [address("curl"), address("wget")]);
    let pools: Vec<_> = usage.pools.iter().map(|one| (one.key, one.addresses.count())).collect();
    assert_eq!(pools, [(key("OLD"), 1)]);
}

#[test]
fn an_address_is_never_taken_for_the_name_or_the_pool_that_it_looks_like() {
    let text =
        b"60.000 \"NEW\" \"anonymous\" \"-\" \"-\"\n60.000 \"NEW\" \"x\" \"anonymous\" \"-\"\n";
    let usage = pool_and_each().scan(text, &context());
    let named = Consumer::Named(ConsumerName::new("anonymous"));
    assert_eq!(consumers(&usage, "NEW"), [named.clone(), address("anonymous")]);
    for (one, is_named) in [(named, true), (address("anonymous"), false)] {
        assert_eq!((one.as_str(), one.is_named()), ("anonymous", is_named));
    }
}

#[test]
fn a_key_of_two_credentials_keeps_each_if_one_of_them_does() {
    for first in [AnonymousConsumers::Pooled, AnonymousConsumers::Each] {
        let second = match first {
            AnonymousConsumers::Pooled => AnonymousConsumers::Each,
            AnonymousConsumers::Each => AnonymousConsumers::Pooled,
        };
        let mut matcher = pool_and_each();
        for anonymous in [first, second] {
            matcher.track(TrackedKey { fingerprint: key("THIRD"), raw: None, anonymous });
        }
        let usage = matcher.scan(b"60.000 \"THIRD\" \"curl\" \"-\" \"-\"\n", &context());
        assert_eq!(consumers(&usage, "THIRD"), [address("curl")]);
    }
}

/// Tracks OLD and NEW in records of CloudTrail.
fn trail() -> Matcher {
    let layout = Layout::new(FormatSpec::CloudTrail, Vec::new(), Vec::new());
    let key = |name: &str| TrackedKey {
        fingerprint: key(name),
        raw: Some(RawKey::new(name.as_bytes().to_vec())),
        anonymous: AnonymousConsumers::Pooled,
    };
    let parser = LineParser::compile(&layout).expect("valid");
    Matcher::new(parser, vec![key("OLD"), key("NEW")], secret())
}

/// A record of CloudTrail in which `key` may have been given the key `child`.
fn record(second: i64, key: &str, child: &str) -> String {
    let issued = if child.is_empty() {
        String::new()
    } else {
        format!(r#","responseElements":{{"credentials":{{"accessKeyId":"{child}"}}}}"#)
    };
    let time = Timestamp::from_seconds(second);
    format!(
        "{{\"eventTime\":\"{time}\",\"userIdentity\":{{\"accessKeyId\":\"{key}\",\"arn\":\"bob\"}}{issued}}}\n"
    )
}

fn issued(root: &str, child: &str, at_second: i64) -> Issued {
    Issued {
        root: key(root),
        child: Some(key(child)),
        at: at(at_second),
        lifetime: SESSION_LIFETIME,
    }
}

#[test]
fn a_session_is_its_key_from_the_line_on_that_issued_it() {
    let mut matcher = trail();
    let text = [
        record(1, "s1", ""),
        record(2, "OLD", "s1"),
        record(3, "s1", "s2"),
        record(4, "s2", ""),
        record(5, "OLD", "s1"),
    ];
    let usage = matcher.scan(text.concat().as_bytes(), &context());
    assert_eq!((usage.other_keys, usage.cells.len()), (1, 1));
    assert_eq!(usage.cells[0].tally.counts, [4, 0, 0, 0]);
    let expected = [issued("OLD", "s1", 2), issued("OLD", "s2", 3), issued("OLD", "s1", 5)];
    assert_eq!(usage.issued, expected, "a repeat is told as far as it is younger");
    let again = matcher.scan(record(4, "OLD", "s1").as_bytes(), &context());
    assert_eq!(again.issued, []);
    assert_eq!(matcher.scan(record(6, "s2", "").as_bytes(), &context()).cells.len(), 1);
}

#[test]
fn what_another_source_or_a_former_run_saw_issued_is_known() {
    let mut matcher = trail();
    // Read before, and remembered as nobody's.
    assert_eq!(matcher.scan(record(1, "s1", "").as_bytes(), &context()).other_keys, 1);
    matcher.take_issued(&issued("OLD", "s1", 2));
    matcher.take_issued(&issued("stranger", "s2", 2));
    let usage = matcher.scan((record(3, "s1", "") + &record(3, "s2", "")).as_bytes(), &context());
    assert_eq!((usage.cells.len(), usage.other_keys), (1, 1));
    assert_eq!(usage.cells[0].key, key("OLD"));
}

#[test]
fn a_session_past_its_lifetime_is_nobody_s_again() {
    let mut matcher = trail();
    let day = 24 * 3600;
    let later = ChunkContext { arrival: at(10 * day), ..context() };
    matcher.scan(record(0, "OLD", "s1").as_bytes(), &later);
    let life = 36 * 3600;
    matcher.scan(record(life, "OLD", "s2").as_bytes(), &later);
    assert_eq!(matcher.scan(record(life, "s1", "").as_bytes(), &later).cells.len(), 1);
    matcher.scan(record(life + 1, "OLD", "s3").as_bytes(), &later);
    assert_eq!(matcher.scan(record(life + 1, "s1", "").as_bytes(), &later).other_keys, 1);
}

#[test]
fn a_declared_key_is_nobody_s_session() {
    let mut matcher = trail();
    let usage = matcher.scan(record(1, "OLD", "NEW").as_bytes(), &context());
    assert_eq!(usage.issued, []);
    let usage = matcher.scan(record(2, "NEW", "").as_bytes(), &context());
    assert_eq!(usage.cells[0].key, key("NEW"));
    // Nor is one that is declared after it was issued, and the first parent counts.
    let text = [record(3, "OLD", "s1"), record(4, "NEW", "s1"), record(5, "s1", "")].concat();
    let usage = matcher.scan(text.as_bytes(), &context());
    assert_eq!(usage.issued, [issued("OLD", "s1", 3)]);
    let anonymous = AnonymousConsumers::Pooled;
    matcher.track(TrackedKey { fingerprint: key("s1"), raw: None, anonymous });
    let usage = matcher.scan(record(6, "s1", "").as_bytes(), &context());
    assert_eq!(usage.cells[0].key, key("s1"));
}

#[test]
fn a_line_of_a_document_is_a_reject_that_is_searched_for_keys() {
    let document = format!("{{\"Records\":[{}]}}\n", record(1, "OLD", "").trim());
    let usage = trail().scan((record(1, "NEW", "") + &document).as_bytes(), &context());
    assert_eq!((usage.line_count, usage.reject_count, usage.cells.len()), (2, 1, 1));
    assert_eq!(usage.open_rejects, open(1, ARRIVAL, &["OLD"]));
    assert_eq!(trail().framing(), Framing::Parts);
}

/// Everything of a usage that must not depend on where chunks are cut.
#[derive(Debug, Default, PartialEq)]
struct Merged {
    cells: BTreeMap<(Fingerprint, Consumer, Minute, bool), Tally>,
    pools: BTreeMap<Fingerprint, Distinct>,
    issued: BTreeMap<(Fingerprint, Option<Fingerprint>), Timestamp>,
    lines: BTreeMap<Minute, (u64, u64)>,
    rejected: BTreeMap<Fingerprint, Timestamp>,
    open: OpenRejects,
    numbers: (u64, u64, u64),
    events: (Option<Timestamp>, Option<Timestamp>, Option<Timestamp>),
    places: BTreeSet<PlaceName>,
    masked_at: Option<Timestamp>,
    late_by: Option<Duration>,
    future_event: bool,
}

fn scan_cut(mut matcher: Matcher, arrival: i64, chunks: &[&str]) -> Merged {
    let mut context = ChunkContext { arrival: at(arrival), ..context() };
    let mut merged = Merged::default();
    for chunk in chunks {
        let usage = matcher.scan(chunk.as_bytes(), &context);
        (context.frontier, context.last_event) = (usage.frontier, usage.last_event);
        context.open_rejects = usage.open_rejects;
        for cell in usage.cells {
            merged
                .cells
                .entry((cell.key, cell.consumer, cell.minute, cell.late))
                .and_modify(|tally| tally.merge(&cell.tally))
                .or_insert(cell.tally);
        }
        for pool in usage.pools {
            merged.pools.entry(pool.key).or_default().unite(&pool.addresses);
        }
        for issued in usage.issued {
            let newest = merged.issued.entry((issued.root, issued.child)).or_insert(issued.at);
            *newest = issued.at.max(*newest);
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
    merged.open = context.open_rejects;
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
        let (cut, whole) = (scan_cut(matcher(), ARRIVAL, &chunks), scan_cut(matcher(), ARRIVAL, &[&whole]));
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn where_chunks_are_cut_changes_no_pool_no_address_and_no_session(
        addresses in prop::collection::vec(
            (prop::sample::select(vec!["OLD", "NEW"]), 0_u32..20, any::<bool>()), 0..40),
        records in prop::collection::vec(
            (prop::sample::select(vec!["OLD", "NEW", "s1", "s2", "s3"]),
             prop::sample::select(vec!["", "", "s1", "s2", "s3"]), 0_i64..9, any::<bool>()), 0..40),
    ) {
        let lines = addresses.iter().map(|(key, agent, cut)| {
            (format!("60.000 \"{key}\" \"agent {agent}\" \"-\" \"-\"\n"), *cut)
        });
        // 9 h each: some sessions end on the way.
        let records = records.iter().map(|(key, child, time, cut)| {
            (record(time * 9 * 3600, key, child), *cut)
        });
        let makers: [fn() -> Matcher; 2] = [pool_and_each, trail];
        for (make, lines) in makers.into_iter().zip([lines.collect::<Vec<_>>(), records.collect()]) {
            let whole: String = lines.iter().map(|(line, _)| line.as_str()).collect();
            let mut chunks = vec![String::new()];
            for (line, cut) in &lines {
                chunks.last_mut().expect("one at least").push_str(line);
                if *cut {
                    chunks.push(String::new());
                }
            }
            let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
            let arrival = 100 * 3600;
            let cut = scan_cut(make(), arrival, &chunks);
            prop_assert_eq!(cut, scan_cut(make(), arrival, &[&whole]));
        }
    }
}

//! A line that shows nothing new is read and counted without an allocation, in every format.

use std::alloc::{GlobalAlloc, Layout as Block, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use keydrain::engine::credential::FingerprintSecret;
use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser, Scratch};
use keydrain::engine::policy::AnonymousConsumers;
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::scan::matcher::{ChunkContext, ChunkUsage, Matcher, TrackedKey};
use keydrain::engine::scan::tally::{ScanTally, TallyOptions};

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on as it came; the counter neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, block: Block) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, block) }
    }

    unsafe fn realloc(&self, memory: *mut u8, block: Block, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.realloc(memory, block, size) }
    }
}

/// Reads and counts the lines; returns how many allocations that took.
fn allocations(
    parser: &LineParser,
    lines: &[&str],
    scratch: &mut Scratch,
    tally: &mut ScanTally,
) -> u64 {
    let before = ALLOCATIONS.get();
    let mut batch = tally.batch();
    for line in lines {
        match parser.parse(line.as_bytes(), scratch) {
            Ok(event) => batch.event(&event),
            Err(reason) => batch.reject(reason),
        }
    }
    drop(batch);
    ALLOCATIONS.get() - before
}

/// Reads `lines`, of which `events` have a key, again and again.
fn check(format: FormatSpec, places: &[&str], consumer: &[&str], lines: &[&str], events: u64) {
    let places = places.iter().map(|place| place.parse().expect("a place")).collect();
    let consumer = consumer.iter().map(|&field| field.to_owned()).collect();
    let layout = Layout::new(format, places, consumer);
    let parser = LineParser::compile(&layout).expect("a good layout");
    let mut scratch = Scratch::default();
    let mut tally = ScanTally::new(TallyOptions::default());
    assert_ne!(
        allocations(&parser, lines, &mut scratch, &mut tally),
        0,
        "the first time takes some"
    );
    assert_eq!(tally.totals().events, events);
    // A table that is full grows when it is asked for the next entry, even an old one.
    allocations(&parser, lines, &mut scratch, &mut tally);
    assert_eq!(allocations(&parser, lines, &mut scratch, &mut tally), 0);
    assert_eq!(tally.totals().events, 3 * events);
}

#[test]
fn combined_lines_take_none() {
    let lines = [
        r#"192.0.2.1 - bob [17/May/2015:10:05:03 +0000] "GET /?k=a%2Bb\x41 HTTP/1.1" 200 5 "-" "-""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "GET /?k=K1 HTTP/1.1" 401 5 "\"" "\x22""#,
        r#"192.0.2.1 - - [17/May/2015:10:05:04 +0000] "\x16\x03" 400 5 "-" "-""#,
        "garbage",
    ];
    check(FormatSpec::Combined, &["query:k"], &[], &lines, 2);
    let common = lines.map(|line| line.split(" \"-\" \"-\"").next().expect("a part"));
    check(FormatSpec::Common, &["query:k"], &[], &[common[0], common[2], ""], 1);
}

#[test]
fn nginx_lines_take_none() {
    let format = r#"$msec $status $upstream_addr "$http_authorization" "$request" $http_x_user"#;
    let lines = [
        // An `Authorization` header of each scheme
        r#"1431857103.250 200 10.0.0.1:80, 10.0.0.2:80 "Basic c2tfbGl2ZTpwYXNz" "-" bob"#,
        r#"1431857103.250 200 - "Basic _-8_Og==" "-" bob"#,
        r#"1431857103.250 200 - "Basic ???" "-" bob"#,
        r#"1431857103.250 200 - "Bearer tok\x22" "GET /?X-Amz-Credential=AKIA%2Fx HTTP/1.1" a b"#,
        r#"1431857103.250 200 - "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/2024/s3, x" "-" bob"#,
        "1431857103.250 2000 - \"-\" \"-\" bob",
    ];
    let places = ["field:http_authorization", "query:X-Amz-Credential"];
    check(FormatSpec::Nginx(format.into()), &places, &["http_x_user"], &lines, 4);
    let format = r#"escape=json {"t":"$time_iso8601","k":"$http_x_api_key"}"#;
    let lines = [r#"{"t":"2015-05-17T10:05:03+00:00","k":"a\"\u0041"}"#, "{}"];
    check(FormatSpec::Nginx(format.into()), &["field:http_x_api_key"], &[], &lines, 1);
}

#[test]
fn apache_lines_take_none() {
    let format = r#"%h %u %{%Y-%m-%dT%H:%M:%S%z}t "%r" %>s "%{X-Api-Key}i""#;
    let lines = [
        r#"192.0.2.1 - 2015-05-17T10:05:03+0000 "GET / HTTP/1.1" 200 "a\"b""#,
        r#"192.0.2.1 - 2015-05-17T10:05:03+0000 "GET / HTTP/1.1" 200 "-""#,
        r#"192.0.2.1 - 2015-05-17T10:05:99+0000 "GET / HTTP/1.1" 200 "K""#,
    ];
    check(FormatSpec::Apache(format.into()), &["field:http_x_api_key"], &[], &lines, 1);
}

#[test]
fn json_lines_take_none() {
    let spec = JsonSpec {
        time: Some("ts".into()),
        status: Some("status".into()),
        consumer: vec!["user.name".into(), "message.user".into(), "ip".into()],
        ..JsonSpec::default()
    };
    let lines = [
        r#"{"ts":1714557600.5,"status":200,"headers":{"Authorization":["Basic c2s6cA=="]},"ip":"192.0.2.1"}"#,
        r#"{"ts":"2024-05-01T10:00:00\u005a","status":"401","uri":"/?k=%41\u0042","user":{"name":"a\tb"}}"#,
        r#"{"ts":1714557600,"h\u0065aders":{"Authorization":["Bearer a\"b"]},"message":"{\"user\":\"u\\u0041\"}"}"#,
        r#"{"timestamp":1,"ingestionTime":2,"message":"{\"ts\":1714557600,\"uri\":\"/?k=1\"}"}"#,
        r#"{"message":"{\"ts\":1714557600,\"uri\":\"/?k=1\"}"}"#,
        r#"{"ts":1714557600,"uri":"/"}"#,
        r#"{"ts":"never"}"#,
        r#"{"ts":1714557600,"status":"x"}"#,
        r#"{"ts":1"#,
    ];
    let places = ["field:headers.Authorization.0", "query:k"];
    check(FormatSpec::Json(spec), &places, &[], &lines, 4);
}

#[test]
fn lines_of_several_formats_take_none() {
    let formats = ["$msec $http_x_api_key", "$time_iso8601 $status $http_x_api_key"];
    let formats = formats.map(|format| FormatSpec::Nginx(format.into())).to_vec();
    let place = vec!["field:http_x_api_key".parse().expect("a place")];
    let layout = Layout { formats, ..Layout::new(FormatSpec::Combined, place, Vec::new()) };
    let parser = LineParser::compile(&layout).expect("a good layout");
    let lines = ["1431857103.250 a", "2015-05-17T10:05:03+00:00 401 b", "neither"];
    let mut scratch = Scratch::default();
    let mut tally = ScanTally::new(TallyOptions::default());
    allocations(&parser, &lines, &mut scratch, &mut tally);
    assert_eq!(allocations(&parser, &lines, &mut scratch, &mut tally), 0);
    assert_eq!(tally.totals().events, 4);
}

#[test]
fn cloudtrail_records_take_none() {
    let lines = [
        r#"{"eventTime":"2024-05-01T10:00:00Z","userIdentity":{"accessKeyId":"AKIAEXAMPLE","arn":"a\u0041"}}"#,
        r#"{"eventTime":"2024-05-01T10:00:00Z","errorCode":"AccessDenied","userIdentity":{"accessKeyId":"ASIAEXAMPLE"},"sourceIPAddress":"192.0.2.1"}"#,
        r#"{"detail":{"eventTime":"2024-05-01T10:00:00Z","userIdentity":{"accessKeyId":"AKIAEXAMPLE"}}}"#,
        r#"{"message":"{\"eventTime\":\"2024-05-01T10:00:00Z\",\"userIdentity\":{\"accessKeyId\":\"AKIAEXAMPLE\"}}"}"#,
        r#"{"eventTime":"2024-05-01T10:00:00Z","userIdentity":{"accessKeyId":null}}"#,
        r#"{"eventTime":"never"}"#,
        "[1]",
    ];
    check(FormatSpec::CloudTrail, &[], &[], &lines, 4);
}

/// Counts for the daemon; returns how many allocations that took.
fn matching(matcher: &mut Matcher, text: &str) -> (ChunkUsage, u64) {
    let context = ChunkContext {
        arrival: "2026-03-02T10:00:00Z".parse().expect("a time"),
        frontier: None,
        last_event: None,
        open_rejects: OpenRejects::default(),
        allowed_lateness: Duration::from_secs(30),
        future_tolerance: Duration::from_mins(1),
    };
    let before = ALLOCATIONS.get();
    let usage = matcher.scan(text.as_bytes(), &context);
    (usage, ALLOCATIONS.get() - before)
}

/// Checks that a chunk takes as many allocations for its lines a hundred times as for them twice.
fn check_chunk(matcher: &mut Matcher, lines: &str, presentations: u64) {
    matching(matcher, lines);
    let (twice, few) = matching(matcher, &lines.repeat(2));
    let (often, many) = matching(matcher, &lines.repeat(100));
    for (usage, times) in [(twice, 2), (often, 100)] {
        let counts = usage.cells.iter().flat_map(|cell| cell.tally.counts);
        assert_eq!(counts.sum::<u64>(), times * presentations);
    }
    assert_eq!(many, few);
}

fn tracked(secret: &FingerprintSecret, key: &str, anonymous: AnonymousConsumers) -> TrackedKey {
    TrackedKey { fingerprint: secret.fingerprint(key.as_bytes()), raw: None, anonymous }
}

#[test]
fn lines_of_a_chunk_take_none_whoever_presents_a_key() {
    let secret = Arc::new(FingerprintSecret::new(b"pepper".to_vec()));
    let layout = Layout::new(
        FormatSpec::Nginx("$msec $http_x_api_key $remote_user $remote_addr".into()),
        vec!["field:http_x_api_key".parse().expect("a place")],
        vec!["remote_user".into(), "remote_addr".into()],
    );
    let keys = vec![
        tracked(&secret, "a", AnonymousConsumers::Pooled),
        tracked(&secret, "b", AnonymousConsumers::Each),
    ];
    let parser = LineParser::compile(&layout).expect("a good layout");
    let mut matcher = Matcher::new(parser, keys, secret);
    let lines = "1431857103.250 a bob 192.0.2.1\n1431857103.250 a - 192.0.2.1\n\
                 1431857103.250 b - 192.0.2.1\n1431857103.250 b - 192.0.2.2\n\
                 1431857103.250 other - 192.0.2.3\n";
    check_chunk(&mut matcher, lines, 4);
}

#[test]
fn records_of_a_chunk_take_none_whoever_has_a_session() {
    let secret = Arc::new(FingerprintSecret::new(b"pepper".to_vec()));
    let keys = vec![tracked(&secret, "AKIAOLD", AnonymousConsumers::Pooled)];
    let layout = Layout::new(FormatSpec::CloudTrail, Vec::new(), Vec::new());
    let parser = LineParser::compile(&layout).expect("a good layout");
    let mut matcher = Matcher::new(parser, keys, secret);
    let records = concat!(
        r#"{"eventTime":"2026-03-02T09:00:00Z","userIdentity":{"accessKeyId":"AKIAOLD"},"sourceIPAddress":"192.0.2.1","responseElements":{"credentials":{"accessKeyId":"ASIA1"}}}"#,
        "\n",
        r#"{"eventTime":"2026-03-02T09:00:00Z","userIdentity":{"accessKeyId":"ASIA1","arn":"bob"}}"#,
        "\n"
    );
    check_chunk(&mut matcher, records, 2);
}

#[test]
fn wrapped_lines_take_none() {
    let line =
        r#"192.0.2.1 - bob [17/May/2015:10:05:03 +0000] "GET /?k=K1 HTTP/1.1" 200 5 "-" "-""#;
    let escaped = line.replace('"', "\\\"");
    let lines = [
        format!("2015-05-17T10:05:03.5Z stdout F {line}"),
        format!(r#"{{"log":"{escaped}\n","stream":"stdout","time":"2015-05-17T10:05:03.5Z"}}"#),
        format!("<134>1 2015-05-17T10:05:03Z web nginx - - [a b=\"c\"] {line}"),
        format!("May 17 10:05:03 web nginx: {line}"),
        format!(r#"{{"MESSAGE":"{escaped}","__REALTIME_TIMESTAMP":"1431857103000000"}}"#),
        format!(
            "2015-05-17T10:05:03.5Z stdout F <134>1 2015-05-17T10:05:03Z web nginx - - - {line}"
        ),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    check(FormatSpec::Combined, &["query:k"], &[], &lines, 6);
}

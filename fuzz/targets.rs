//! What every fuzz target does with its bytes. The tests replay the same functions.
//!
//! Nothing here may panic but an assertion, and an assertion that fails is a bug in the program.

#[path = "targets/decompress.rs"]
pub mod decompress;
#[path = "targets/json_paths.rs"]
pub mod json_paths;
#[path = "targets/layout.rs"]
pub mod layout;
#[path = "targets/schedule.rs"]
pub mod schedule;
#[path = "targets/times.rs"]
pub mod times;

use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser, RejectReason, Scratch};
use keydrain::engine::scan::lines::MAX_LINE_BYTES;
use keydrain::engine::scan::records::{Framer, Record, boundary};

/// Formats of text logs, the first byte chooses one.
const TEXT: [&str; 6] = [
    "$remote_addr - $remote_user [$time_local] \"$request\" $status \"$http_x_api_key\"",
    "$msec $status $remote_addr $http_x_api_key",
    "escape=json {\"t\":\"$time_iso8601\",\"key\":\"$http_x_api_key\",\"s\":$status,\"u\":\"$remote_user\"}",
    "escape=none $msec \"$request\" $status \"$http_x_api_key\"",
    "$http_x_api_key $upstream_response_time $time_iso8601 $remote_user $status",
    "[$time_local] $remote_user $http_x_api_key \"$request\"",
];

/// The same for Apache.
const APACHE: [&str; 3] = [
    r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %{X-Api-Key}i"#,
    r#"%v:%p %h %{X-Api-Key}i %{%Y-%m-%dT%H:%M:%S%z}t "%m %U%q %H" %>s"#,
    r#"%{msec}t %a "%{X-Api-Key}i" %s"#,
];

/// Reads a log of nginx, of Apache or in `combined`.
pub fn text(data: &[u8]) {
    let Some((&choice, log)) = data.split_first() else { return };
    let choice = usize::from(choice) % (TEXT.len() + APACHE.len() + 2);
    let (format, place) = match choice {
        0 => (FormatSpec::Combined, "query:api_key"),
        1 => (FormatSpec::Common, "query:api_key"),
        n if n < TEXT.len() + 2 => (FormatSpec::Nginx(TEXT[n - 2].into()), "field:http_x_api_key"),
        n => (FormatSpec::Apache(APACHE[n - TEXT.len() - 2].into()), "field:http_x_api_key"),
    };
    check(&with_places(format, &[place]), log);
}

/// Reads JSON lines, and compares what is JSON with `serde_json`.
pub fn json(data: &[u8]) {
    let layout = with_places(json_format(), &["field:request.headers.X-Api-Key.0", "field:key"]);
    check(&layout, data);
    let parser = LineParser::compile(&layout).expect("a good layout");
    let mut scratch = Scratch::default();
    for line in data.split(|&byte| byte == b'\n') {
        let Ok(text) = std::str::from_utf8(line) else { continue };
        // These are where the program reads more than serde_json does.
        if text.contains("\\u") || text.contains('\u{feff}') {
            continue;
        }
        let is_object =
            serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object());
        let malformed = parser.parse(line, &mut scratch) == Err(RejectReason::Json);
        // A wrapper may stand around something else, and a number may be too large for serde_json.
        if is_object && !text.contains("log") && !text.contains("essage") {
            assert!(!malformed, "{text}");
        }
    }
}

/// Reads CloudTrail documents.
pub fn cloudtrail(data: &[u8]) {
    check(&with_places(FormatSpec::CloudTrail, &[]), data);
}

/// Reads wrapped lines of a text and of a JSON format.
pub fn wrapped(data: &[u8]) {
    check(&with_places(FormatSpec::Combined, &["query:api_key"]), data);
    check(&with_places(json_format(), &["field:key"]), data);
}

fn json_format() -> FormatSpec {
    FormatSpec::Json(JsonSpec {
        time: Some("ts".into()),
        status: Some("status".into()),
        credential: Vec::new(),
        consumer: vec!["user.name".into()],
    })
}

fn with_places(format: FormatSpec, places: &[&str]) -> Layout {
    let places = places.iter().map(|place| place.parse().expect("a place")).collect();
    Layout::new(format, places, Vec::new())
}

/// Reads `log` whole and in pieces: the records must be the same, and each is read or rejected.
fn check(layout: &Layout, log: &[u8]) {
    let parser = LineParser::compile(layout).expect("a good layout");
    let whole = records(&parser, &[log]);
    let step = 1 + log.first().map_or(0, |&byte| usize::from(byte) % 61);
    let pieces: Vec<&[u8]> = log.chunks(step).collect();
    assert_eq!(records(&parser, &pieces), whole, "pieces of {step}");
    let cut = boundary(parser.framing(), log);
    let mut halves = records(&parser, &[&log[..cut]]);
    halves.extend(records(&parser, &[&log[cut..]]));
    assert_eq!(halves, whole, "cut at {cut}");
    let mut scratch = Scratch::default();
    for record in whole.iter().flatten() {
        assert!(record.len() <= MAX_LINE_BYTES);
        if let Ok(event) = parser.parse(record, &mut scratch) {
            assert!(event.keys.iter().all(|key| !key.is_empty()));
            let _ = event.consumer.map(|(name, _)| assert!(!name.is_empty()));
        }
        let _ = parser.fields(record);
    }
}

/// Returns the records of a log; `None` for one that is too long or broken off.
fn records(parser: &LineParser, pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut records = Vec::new();
    let mut take = |record: Record<'_>| {
        records.push(match record {
            Record::Whole(record) => Some(record.to_vec()),
            Record::TooLong | Record::Cut(_) => None,
        });
    };
    let mut framer = Framer::new(parser.framing());
    for piece in pieces {
        framer.feed(piece, &mut take);
    }
    framer.finish(&mut take);
    records
}

//! JSON lines: what counts, with `serde_json` as the oracle.

#[path = "support/json_oracle.rs"]
mod json_oracle;

use std::sync::LazyLock;

use keydrain::engine::parse::wrap::Wrapping;
use keydrain::engine::parse::{
    FormatSpec, JsonSpec, Layout, LineParser, Place, RejectReason, Scratch,
};
use keydrain::engine::usage::Outcome;
use proptest::prelude::*;
use serde_json::Value;

fn parser(key: &str, consumer: &[&str]) -> LineParser {
    let spec = JsonSpec {
        time: Some("ts".into()),
        status: Some("status".into()),
        credential: vec![key.parse::<Place>().expect("a place")],
        consumer: consumer.iter().map(|&path| path.to_owned()).collect(),
    };
    let layout = Layout::new(FormatSpec::Json(spec), Vec::new(), Vec::new());
    LineParser::compile(&layout).expect("a good layout")
}

/// What a line says: key, consumer with whether it is named, outcome.
type Said = Result<(Option<String>, Option<(String, bool)>, Outcome), RejectReason>;

fn read(parser: &LineParser, line: &[u8]) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut scratch = Scratch::default();
    parser.parse(line, &mut scratch).map(|event| {
        let consumer = event.consumer.map(|(name, named)| (text(name), named));
        (event.keys.first().map(|key| text(key)), consumer, event.outcome)
    })
}

fn check_key(line: &str, expected: Result<Option<&str>, RejectReason>) {
    let parser = parser("field:key", &[]);
    let said = read(&parser, line.as_bytes()).map(|(key, ..)| key);
    assert_eq!(said.as_ref().map(Option::as_deref).map_err(|reason| *reason), expected, "{line}");
}

#[test]
fn fields_stand_in_any_order_and_depth() {
    check_key(r#"{"ts":1714521600,"key":"k"}"#, Ok(Some("k")));
    check_key(
        " { \"x\" : [ {\"key\":\"no\"} ] , \"key\" : \"k\" ,\t\"ts\" : \"1714521600\" } ",
        Ok(Some("k")),
    );
    check_key(r#"{"user":{"key":"no","ts":"x"},"ts":1714521600}"#, Ok(None));
}

#[test]
fn names_and_values_may_be_written_with_escapes() {
    check_key(r#"{"\u0074s":1714521600,"k\u0065y":"a\"\u0062\/c"}"#, Ok(Some("a\"b/c")));
    check_key(r#"{"ts":"2024-05-01T00\u003a00:00Z","key":"\ud83d\ude00"}"#, Ok(Some("\u{1F600}")));
    check_key(r#"{"ts":1,"key":"\ud83d"}"#, Err(RejectReason::Encoding));
    check_key(r#"{"ts":1,"other":"\ud83d","key":"k"}"#, Ok(Some("k")));
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_counts_at_every_level() {
    check_key(r#"{"ts":1,"key":"a","key":"b"}"#, Ok(Some("b")));
    check_key(r#"{"ts":1,"key":"a","key":null}"#, Ok(None));
    let parser = parser("field:a.key", &[]);
    let key = |line: &str| read(&parser, line.as_bytes()).expect("an event").0;
    assert_eq!(key(r#"{"ts":1,"a":{"key":"x"},"a":{"other":1}}"#), None);
    assert_eq!(key(r#"{"ts":1,"a":{"key":"x"},"a":7}"#), None);
    assert_eq!(key(r#"{"ts":1,"a":7,"a":{"key":"x"}}"#).as_deref(), Some("x"));
}

#[test]
fn a_number_is_its_lexeme_and_words_and_nests_are_no_key() {
    check_key(r#"{"ts":1,"key":1.50e3}"#, Ok(Some("1.50e3")));
    for none in ["null", "true", "{}", "[]", "[\"k\"]", "\"\"", "\"-\"", "\"REDACTED\"", "\"***\""]
    {
        check_key(&format!(r#"{{"ts":1,"key":{none}}}"#), Ok(None));
    }
}

#[test]
fn a_line_that_is_no_object_or_no_json_is_a_reject() {
    for line in [
        "[]",
        "1",
        "\"x\"",
        "{",
        "{}{}",
        "{\"ts\":1,}",
        "{\"ts\":01}",
        "{\"ts\":1} x",
        "{'ts':1}",
        "{\"ts\":1,\"a\":\"\t\"}",
        "{\"ts\":1,\"a\":\"\\x\"}",
        "{\"ts\":NaN}",
        "{\"ts\":1 \"a\":2}",
    ] {
        check_key(line, Err(RejectReason::Json));
    }
    check_key("", Err(RejectReason::Form));
    check_key("{}", Err(RejectReason::Time));
    check_key(r#"{"ts":"yesterday","key":"k"}"#, Err(RejectReason::Time));
    let deep = format!("{{\"ts\":1,\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    check_key(&deep, Err(RejectReason::Json));
}

#[test]
fn bytes_that_are_no_utf_8_hide_no_key() {
    let parser = parser("field:key", &["agent"]);
    let said = read(&parser, b"\xef\xbb\xbf{\"ts\":1,\"agent\":\"a\xff\",\"key\":\"k\"}");
    let (key, consumer, _) = said.expect("an event");
    assert_eq!(key.as_deref(), Some("k"));
    assert_eq!(consumer.map(|(name, _)| name).as_deref(), Some("a\u{fffd}"), "behind the mark");
}

#[test]
fn the_status_is_an_integer_or_a_reject() {
    let parser = parser("field:key", &[]);
    for (status, expected) in [
        ("200", Ok(Outcome::Accepted)),
        ("\"401\"", Ok(Outcome::Unauthenticated)),
        ("403", Ok(Outcome::Forbidden)),
        ("\"503\"", Ok(Outcome::Failed)),
        ("0", Ok(Outcome::Accepted)),
        ("1000", Ok(Outcome::Accepted)),
        ("null", Ok(Outcome::Accepted)),
        ("\"-\"", Ok(Outcome::Accepted)),
        ("\"\"", Ok(Outcome::Accepted)),
        ("true", Ok(Outcome::Accepted)),
        ("\"0401\"", Ok(Outcome::Unauthenticated)),
        ("-401", Ok(Outcome::Accepted)),
        ("99999999999999999999", Ok(Outcome::Accepted)),
        (r#""\u0034\u0030\u0033""#, Ok(Outcome::Forbidden)),
        ("4.01e2", Err(RejectReason::Status)),
        ("\" 401\"", Err(RejectReason::Status)),
        ("\"+401\"", Err(RejectReason::Status)),
        ("200.0", Err(RejectReason::Status)),
        ("\"OK\"", Err(RejectReason::Status)),
    ] {
        let line = format!(r#"{{"ts":1,"status":{status}}}"#);
        let said = read(&parser, line.as_bytes()).map(|(.., outcome)| outcome);
        assert_eq!(said, expected, "{line}");
    }
}

#[test]
fn the_consumer_is_the_first_that_is_given_and_an_address_names_nobody() {
    let parser =
        parser("field:key", &["user.name", "client.remote_ip", "request.headers.User-Agent.0"]);
    let consumer = |line: &str| read(&parser, line.as_bytes()).expect("an event").1;
    let named = |name: &str, named| Some((name.to_owned(), named));
    assert_eq!(consumer(r#"{"ts":1,"user":{"name":"a\tb"}}"#), named("a\tb", true));
    assert_eq!(
        consumer(r#"{"ts":1,"user":{"name":"-"},"client":{"remote_ip":"192.0.2.1"}}"#),
        named("192.0.2.1", false)
    );
    assert_eq!(
        consumer(r#"{"ts":1,"request":{"headers":{"User-Agent":["curl"]}}}"#),
        named("curl", false)
    );
    assert_eq!(consumer(r#"{"ts":1}"#), None);
}

#[test]
fn a_key_is_taken_from_its_place_alone() {
    for line in [
        r#"{"ts":1,"agent":"\",\"key\":\"forged"}"#,
        r#"{"ts":1,"agent":"{\"key\":\"forged\"}"}"#,
        r#"{"ts":1,"path":"/?key=forged","a":[{"key":"forged"}],"Key":"forged"}"#,
        "{\"ts\":1,\"agent\":\"\\\\\",\"b\":\"\\\\\\\",\\\"key\\\":\\\"forged\"}",
    ] {
        check_key(line, Ok(None));
    }
}

#[test]
fn the_shapes_of_gateways_and_servers_are_read() {
    let read_with = |time: &str, status: Option<&str>, key: &str, line: &str| {
        let spec = JsonSpec {
            time: Some(time.into()),
            status: status.map(str::to_owned),
            credential: vec![Place::Field(key.into())],
            consumer: Vec::new(),
        };
        let layout = Layout::new(FormatSpec::Json(spec), Vec::new(), Vec::new());
        let parser = LineParser::compile(&layout).expect("a good layout");
        let mut scratch = Scratch::default();
        let event = parser.parse(line.as_bytes(), &mut scratch).expect("an event");
        let key = event.keys.first().map(|key| String::from_utf8_lossy(key).into_owned());
        (key, event.event_at.to_string())
    };
    let key = |text: &str| Some(text.to_owned());
    // Caddy
    let caddy = r#"{"ts":1693840791.5,"request":{"headers":{"X-Api-Key":["k1"],"Authorization":["REDACTED"]}},"status":0}"#;
    let place = "request.headers.X-Api-Key.0";
    assert_eq!(
        read_with("ts", Some("status"), place, caddy),
        (key("k1"), "2023-09-04T15:19:51.5Z".into())
    );
    let place = "request.headers.Authorization.0";
    assert_eq!(read_with("ts", Some("status"), place, caddy).0, None);
    let empty = r#"{"ts":1693840791.5,"request":{"headers":{"Authorization":[]}}}"#;
    assert_eq!(read_with("ts", None, place, empty).0, None);
    let bearer = r#"{"ts":1,"request":{"headers":{"Authorization":["Bearer t0k"]}}}"#;
    assert_eq!(read_with("ts", None, place, bearer).0, key("t0k"));
    // API Gateway
    let gateway = r#"{"apiKeyId":"qq33","requestTimeEpoch":"1663965474565","status":"200"}"#;
    let said = read_with("requestTimeEpoch", Some("status"), "apiKeyId", gateway);
    assert_eq!(said, (key("qq33"), "2022-09-23T20:37:54.565Z".into()));
    // Kubernetes audit
    let audit = r#"{"user":{"extra":{"authentication.kubernetes.io/credential-id":["JTI=1"]}},"requestReceivedTimestamp":"2024-05-01T00:00:00.123456Z","responseStatus":{"code":200}}"#;
    let place = "user.extra.\"authentication.kubernetes.io/credential-id\".0";
    let said = read_with("requestReceivedTimestamp", Some("responseStatus.code"), place, audit);
    assert_eq!(said, (key("JTI=1"), "2024-05-01T00:00:00.123456Z".into()));
    // A path that goes through a text
    let said = read_with(
        "timestamp",
        None,
        "message.key",
        r#"{"timestamp":1693840791,"message":"{\"key\":\"k\"}"}"#,
    );
    assert_eq!(said.0, key("k"));
}

/// A record as text, written as a client may send it.
const INNER: &str = r#"{\"ts\":1693840791,\"key\":\"k\\u0041\"}"#;

#[test]
fn a_record_in_the_envelope_of_cloudwatch_is_read() {
    let id = "36".repeat(28);
    for members in [
        format!(r#""id":"{id}","timestamp":1693840791000"#),
        r#""timestamp":1693840791000,"ingestionTime":1693840792000"#.to_owned(),
        r#""logStreamName":"s","timestamp":1,"ingestionTime":2,"eventId":"3""#.to_owned(),
        r#""owner":"1","logGroup":"g","logStream":"s","timestamp":1,"subscriptionFilters":[]"#
            .to_owned(),
    ] {
        check_key(&format!(r#"{{{members},"message":"{INNER}"}}"#), Ok(Some("kA")));
        check_key(&format!(r#" {{"message":" {INNER} ",{members}}}"#), Ok(Some("kA")));
        let broken = format!(r#"{{{members},"message":"{{\"ts\":1"}}"#);
        check_key(&broken, Err(RejectReason::Json));
        let plain = format!(r#"{{{members},"message":"hello"}}"#);
        check_key(&plain, Err(RejectReason::Time));
    }
}

#[test]
fn a_record_that_a_client_wrote_into_a_message_is_text() {
    let id = "36".repeat(28);
    for members in [
        // Loggers of programs: a level, a name, a time as text, or nothing else.
        r#""x":1"#.to_owned(),
        r#""level":"info""#.to_owned(),
        r#""timestamp":"2024-05-01T00:00:00Z""#.to_owned(),
        r#""timestamp":1693840791000"#.to_owned(),
        r#""timestamp":1693840791.5,"ingestionTime":1"#.to_owned(),
        // A chat has ids, too.
        r#""id":"17","timestamp":1693840791000"#.to_owned(),
        format!(r#""id":"{id}","timestamp":1693840791000,"level":"info""#),
        format!(r#""id":"{id}","timestamp":1,"timestamp":1693840791000"#),
        r#""logStream":"s""#.to_owned(),
        r#""logStream":["s"],"timestamp":1"#.to_owned(),
    ] {
        check_key(&format!(r#"{{{members},"message":"{INNER}"}}"#), Err(RejectReason::Time));
    }
    for line in [
        format!(r#"{{"message":"{INNER}"}}"#),
        format!(r#"{{"timestamp":1,"ingestionTime":2,"message":"x","message":"{INNER}"}}"#),
        format!(r#"{{"log":"{INNER}","stream":"stdout","more":1}}"#),
        format!(r#"{{"MESSAGE":"{INNER}"}}"#),
    ] {
        check_key(&line, Err(RejectReason::Time));
    }
    // Where the outer record has a time, it is the record.
    let line = format!(r#"{{"ts":1,"timestamp":1,"ingestionTime":2,"message":"{INNER}"}}"#);
    check_key(&line, Ok(None));
}

#[test]
fn one_sign_that_cloudwatch_stored_an_event_is_enough_and_must_be_as_it_writes_it() {
    let digits = "7".repeat(50);
    let text = |text: &str| format!("\"{text}\"");
    let is_number = [("2", true), ("\"2\"", false), ("2.5", false), ("null", false)];
    let is_id = [
        (text(&digits), true),
        (text(&digits[1..]), false),
        (text(&format!("{}x", &digits[1..])), false),
        (digits, false),
    ];
    let is_text = [("\"g\"", true), ("\"\"", true), ("1", false), ("{}", false)];
    let is_none = [("\"g\"", false), ("1", false), ("[]", false)];
    let owned = |values: &[(&str, bool)]| {
        values.iter().map(|(value, is_sign)| (value.to_string(), *is_sign)).collect::<Vec<_>>()
    };
    for (names, values) in [
        (&["ingestionTime"][..], owned(&is_number)),
        (&["id", "eventId"], is_id.to_vec()),
        (&["logStream", "logStreamName", "logGroup", "logGroupName"], owned(&is_text)),
        (&["owner", "messageType", "subscriptionFilters"], owned(&is_none)),
    ] {
        for name in names {
            for (value, is_sign) in &values {
                let line = format!(r#"{{"timestamp":1,"{name}":{value},"message":"{INNER}"}}"#);
                let read = if *is_sign { Ok(Some("kA")) } else { Err(RejectReason::Time) };
                check_key(&line, read);
            }
        }
    }
}

#[test]
fn where_wrappers_are_declared_an_envelope_is_none_of_them() {
    let spec = JsonSpec { time: Some("ts".into()), ..JsonSpec::default() };
    let place = vec![Place::Field("key".into())];
    let layout = Layout {
        wrapping: Wrapping::Declared(Vec::new()),
        ..Layout::new(FormatSpec::Json(spec), place, Vec::new())
    };
    let parser = LineParser::compile(&layout).expect("a good layout");
    let line = format!(r#"{{"timestamp":1,"ingestionTime":2,"message":"{INNER}"}}"#);
    assert_eq!(read(&parser, line.as_bytes()), Err(RejectReason::Time));
}

#[test]
fn a_text_is_gone_into_only_where_logs_hold_records_as_text() {
    let line = |name: &str| format!(r#"{{"ts":1,"{name}":"{{\"key\":\"k\"}}"}}"#);
    for (name, expected) in [
        ("message", Some("k")),
        ("@message", Some("k")),
        ("MESSAGE", Some("k")),
        ("log", Some("k")),
        // A client that writes all of it must not choose what is in it.
        ("request", None),
        ("user", None),
    ] {
        let parser = parser(&format!("field:{name}.key"), &[]);
        let said = read(&parser, line(name).as_bytes()).expect("an event");
        assert_eq!(said.0.as_deref(), expected, "{name}");
    }
}

#[test]
fn a_query_is_found_in_the_field_of_the_request() {
    let parser = parser("query:api_key", &[]);
    for line in [
        r#"{"ts":1,"request_uri":"/a?x=1&api_key=a%2Bb&api_key=2#f"}"#,
        r#"{"ts":1,"request":"GET /a?api_key=a%2Bb HTTP/1.1"}"#,
        r#"{"ts":1,"args":"api_key=a%2Bb"}"#,
        r#"{"ts":1,"request":{"uri":"/?api_key=a%2Bb"}}"#,
    ] {
        assert_eq!(
            read(&parser, line.as_bytes()).expect("an event").0.as_deref(),
            Some("a+b"),
            "{line}"
        );
    }
}

#[test]
fn of_several_fields_of_the_request_the_rawest_counts() {
    let parser = parser("query:k", &[]);
    for (line, expected) in [
        (r#"{"ts":1,"path":"/a","query":"k=1"}"#, Some("1")),
        (r#"{"ts":1,"uri":"/a","args":"k=1"}"#, Some("1")),
        (r#"{"ts":1,"request":"b7f3","url":"/a?k=1"}"#, Some("1")),
        (r#"{"ts":1,"path":"/a?k=1","request_uri":"/a?x&k=2"}"#, Some("2")),
        // A path that was decoded: the client asked for `/a%3Fk=forged`.
        (r#"{"ts":1,"path":"/a?k=forged","query":""}"#, None),
        (r#"{"ts":1,"uri":"/a?k=forged","args":""}"#, None),
        (r#"{"ts":1,"uri":"/a?k=forged","request":"GET /a%3Fk=forged HTTP/1.1"}"#, None),
        (r#"{"ts":1,"uri":"/a?k=forged","request_uri":"/a%3Fk=forged"}"#, None),
        (r#"{"ts":1,"request":"/?k=forged"}"#, None),
    ] {
        let said = read(&parser, line.as_bytes()).expect("an event");
        assert_eq!(said.0.as_deref(), expected, "{line}");
    }
}

#[test]
fn a_consumer_that_is_no_character_hides_no_key() {
    let parser = parser("field:key", &["user"]);
    let said = read(&parser, br#"{"ts":1,"user":"a\ud83d","key":"k"}"#).expect("an event");
    assert_eq!(said.0.as_deref(), Some("k"));
    assert_eq!(said.1, Some((r"a\ud83d".to_owned(), true)));
}

#[test]
fn strange_lines_are_read_or_rejected_as_they_must() {
    let deep = |open: &str, close: &str, depth| {
        format!("{{\"ts\":1,\"a\":{}{}}}", open.repeat(depth), close.repeat(depth))
    };
    check_key(&deep("[", "]", 126), Ok(None));
    check_key(&deep("[", "]", 127), Err(RejectReason::Json));
    check_key(&deep("[", "", 200_000), Err(RejectReason::Json));
    check_key(&deep("{\"a\":", "", 100_000), Err(RejectReason::Json));
    let long = "n".repeat(1 << 20);
    check_key(&format!(r#"{{"{long}":1,"ts":1,"key":"k"}}"#), Ok(Some("k")));
    let escaped = "\\u006e".repeat(1 << 17);
    check_key(&format!(r#"{{"{escaped}":1,"ts":1,"key":"k"}}"#), Ok(Some("k")));
    check_key(
        &format!(r#"{{"ts":1,"key":"k"{}}}"#, r#","key":"k""#.repeat(1 << 16)),
        Ok(Some("k")),
    );
    check_key(r#"{"ts":1,"key":"a\u0000b"}"#, Ok(Some("a\0b")));
    check_key("{\"ts\":1,\"key\":\"a\0b\"}", Err(RejectReason::Json));
    check_key(r#"{"ts":1,"key":"k"}{"ts":1,"key":"forged"}"#, Err(RejectReason::Json));
    check_key(r#"{"ts":1,"key":"k"},"#, Err(RejectReason::Json));
    check_key("\u{feff}\u{feff}{\"ts\":1}", Err(RejectReason::Json));
    check_key(r#"{"ts":1,"key":-0}"#, Ok(Some("-0")));
    check_key(r#"{"ts":1,"key":1e999}"#, Ok(Some("1e999")));
    for bad in ["01", "+1", ".5", "1.", "1e", "-", "0x1", "Infinity", "\u{660}"] {
        check_key(&format!(r#"{{"ts":1,"key":{bad}}}"#), Err(RejectReason::Json));
    }
    check_key(r#"{"ts":true,"key":"k"}"#, Err(RejectReason::Time));
    check_key(r#"{"ts":{"ts":1},"key":"k"}"#, Err(RejectReason::Time));
    let parser = parser("field:key", &["\u{e9}"]);
    let said = read(&parser, b"{\"ts\":1,\"\xff\":1,\"\xc3\xa9\":\"u\",\"key\":\"a\xff\"}");
    let (key, consumer, _) = said.expect("an event");
    assert_eq!(key.as_deref(), Some("a\u{fffd}"));
    assert_eq!(consumer, Some(("u".to_owned(), true)));
}

#[test]
fn an_index_is_written_as_a_number_is() {
    let line = r#"{"ts":1,"a":["x"],"b":{"00":"y"}}"#;
    for (path, expected) in
        [("a.0", Some("x")), ("a.00", None), ("a.+0", None), ("a.1", None), ("b.00", Some("y"))]
    {
        let said = read(&parser(&format!("field:{path}"), &[]), line.as_bytes());
        assert_eq!(said.expect("an event").0.as_deref(), expected, "{path}");
    }
}

#[test]
fn the_fields_of_a_line_that_serde_json_refuses_are_those_looked_at() {
    let parser = parser("field:a.key", &["user"]);
    let line = br#"{"ts":1e999,"user":"\ud83d","a":{"key":"k"},"b":2}"#;
    let fields = parser.fields(line).expect("a record");
    let said: Vec<(&str, &[u8])> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    assert_eq!(said, [("ts", &b"1e999"[..]), ("a.key", b"k"), ("user", br"\ud83d")]);
}

/// Paths that the documents below may have something at.
const PATHS: [&str; 14] = [
    "key",
    "a",
    "b",
    "0",
    "a.key",
    "a.0",
    "a.b",
    "a.b.key",
    "b.0.a",
    "b.1.key",
    "message.key",
    "a.message.0",
    "message.b.a",
    "log.a.1",
];

static PARSERS: LazyLock<[LineParser; PATHS.len()]> = LazyLock::new(|| PATHS.map(parser_of));

/// A JSON value in some spelling: white space, escapes and names that come twice.
fn spelled() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "key",
        "a",
        "b",
        "a",
        "b",
        "0",
        "1",
        "k\\u0065y",
        "message",
        "log",
        "me\\u0073sage",
        "",
        "ts",
    ]);
    let text = prop_oneof![
        4 => "[a-z0-9 /.:-]{0,12}",
        1 => Just("\\\"\\u0041\\n\\\\\\/\\b\\f\\r\\t\\uD83D\\uDE00".to_owned()),
        2 => prop::sample::select(vec![
            "{\\\"key\\\":1}", " {\\\"b\\\":{\\\"a\\\":\\\"x\\\"}} ", "[1,\\\"\\\\u0041\\\"]", "{\\\"a\\\":[0,\\\"y\\\"]}",
            "{\\\"key\\\":\\\"k\\\",\\\"key\\\":[]}", "{\\\"key\\\":1} x",
        ]).prop_map(str::to_owned),
        1 => "[\u{e9}\u{4e2d}\u{7f}]{0,5}",
    ];
    let space = prop::sample::select(vec!["", "", " ", "\t", " \r "]);
    let number = "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,4})?([eE][+-]?[0-9])?";
    let leaf = prop_oneof![
        3 => text.prop_map(|text| format!("\"{text}\"")),
        1 => number.prop_map(|number| number),
        1 => prop::sample::select(vec!["true", "false", "null", "{}", "[]", "\"-\""])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        let member = (name.clone(), space.clone(), inner.clone())
            .prop_map(|(name, space, value)| format!("{space}\"{name}\"{space}:{space}{value}"));
        prop_oneof![
            3 => prop::collection::vec(member, 0..6)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
        ]
    })
}

/// What is done to a line.
#[derive(Clone, Debug)]
enum Damage {
    None,
    Replaced(char),
    Inserted(char),
    Removed,
    Cut,
    Repeated,
}

fn damage() -> impl Strategy<Value = Damage> {
    let char =
        || prop::sample::select("{}[]\",:\\ 0-1.eEu\t\0xtn\u{e9}".chars().collect::<Vec<_>>());
    prop_oneof![
        4 => Just(Damage::None),
        2 => char().prop_map(Damage::Replaced),
        2 => char().prop_map(Damage::Inserted),
        1 => Just(Damage::Removed),
        1 => Just(Damage::Cut),
        1 => Just(Damage::Repeated),
    ]
}

fn damaged(line: &str, damage: &Damage, at: prop::sample::Index) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    let at = at.index(chars.len());
    match damage {
        Damage::None => {}
        Damage::Replaced(char) => chars[at] = *char,
        Damage::Inserted(char) => chars.insert(at, *char),
        Damage::Removed => drop(chars.remove(at)),
        Damage::Cut => chars.truncate(at),
        Damage::Repeated => chars.extend_from_within(at..),
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_value_agrees_with_serde_json(
        members in prop::collection::vec((prop::sample::select(vec!["a", "b", "key", "message", "log", "0"]), spelled()), 0..6),
        damage in damage(),
        at in any::<prop::sample::Index>(),
    ) {
        let members = members.iter().map(|(name, value)| format!(",\"{name}\":{value}"));
        let line = format!("{{\"ts\":1{}}}", members.collect::<String>());
        let line = damaged(&line, &damage, at);
        let tree = serde_json::from_str::<Value>(&line);
        let mut scratch = Scratch::default();
        for (path, parser) in PATHS.iter().zip(PARSERS.iter()) {
            let said = parser.parse(line.as_bytes(), &mut scratch);
            let is_json = match &tree {
                Ok(tree) => tree.is_object(),
                // The program takes these two for what they are worth.
                Err(error) if ["out of range", "surrogate", "hex escape"]
                    .iter().any(|part| error.to_string().contains(part)) => continue,
                Err(_) => false,
            };
            if !is_json {
                let empty = line.trim_matches([' ', '\t', '\r', '\n']).is_empty();
                let reason = if empty { RejectReason::Form } else { RejectReason::Json };
                prop_assert_eq!(said, Err(reason), "{}", line);
                continue;
            }
            let tree = tree.as_ref().expect("JSON");
            if tree.get("ts") != Some(&Value::from(1)) {
                prop_assert_ne!(said, Err(RejectReason::Json), "{}", line);
                continue;
            }
            let consumer = said.expect("an event").consumer.map(|(name, _)| name);
            let steps: Vec<&str> = path.split('.').collect();
            let expected = json_oracle::value_at(tree, &steps);
            prop_assert!(json_oracle::agrees(expected.as_ref(), consumer), "{} of {}", path, line);
        }
    }
}

/// A parser whose consumer is the value at a path, for it is shown as it is.
fn parser_of(path: &str) -> LineParser {
    let spec = JsonSpec { time: Some("ts".into()), ..JsonSpec::default() };
    let place = vec![Place::Field("no".into())];
    let layout = Layout::new(FormatSpec::Json(spec), place, vec![path.to_owned()]);
    LineParser::compile(&layout).expect("a good layout")
}

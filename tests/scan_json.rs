//! JSON lines: what counts, with `serde_json` as the oracle.

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
    assert_eq!(said.expect("an event").0.as_deref(), Some("k"));
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
    // A record as text within another
    let inside = r#"{"timestamp":5,"message":"{\"ts\":1693840791,\"key\":\"k\\u0041\"}"}"#;
    assert_eq!(read_with("ts", None, "key", inside), (key("kA"), "2023-09-04T15:19:51Z".into()));
    let said = read_with(
        "timestamp",
        None,
        "message.key",
        r#"{"timestamp":1693840791,"message":"{\"key\":\"k\"}"}"#,
    );
    assert_eq!(said.0, key("k"));
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

/// A JSON value in some spelling: white space, escapes and names that come twice.
fn spelled() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["ts", "key", "a", "b", "0", "k\\u0065y", "status"]);
    let text = prop_oneof![
        "[a-z0-9 /.:-]{0,12}",
        Just("\\\"\\u0041\\n\\\\".to_owned()),
        Just("{\\\"key\\\":1}".to_owned()),
        "[\u{e9}\u{4e2d}]{0,5}",
    ];
    let space = prop::sample::select(vec!["", " ", "\t", " \r "]);
    let leaf = prop_oneof![
        text.prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec![
            "1",
            "-0.5e3",
            "1714521600",
            "true",
            "false",
            "null",
            "{}",
            "[]"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let member = (name.clone(), space.clone(), inner.clone())
            .prop_map(|(name, space, value)| format!("{space}\"{name}\"{space}:{space}{value}"));
        prop_oneof![
            3 => prop::collection::vec(member, 0..5)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
        ]
    })
}

/// What the field at `path` says to `serde_json`.
fn oracle(value: &Value, path: &[&str]) -> Option<String> {
    let value = path.iter().try_fold(value, |value, step| match value {
        Value::Object(members) => members.get(*step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty() && text != "-")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn values_agree_with_serde_json(text in spelled(), cut in 0usize..400, byte in any::<u8>(), mutate in any::<bool>()) {
        let parser = parser("field:a.key", &["key", "a.0", "b"]);
        let mut line = text.into_bytes();
        if mutate && cut < line.len() {
            line[cut] = byte;
        }
        let Ok(line) = String::from_utf8(line) else { return Ok(()) };
        let wrapped = ["message", "MESSAGE", "log"].iter().any(|name| line.contains(name));
        let value = serde_json::from_str::<Value>(&line);
        let said = read(&parser, line.as_bytes());
        let is_object = value.as_ref().is_ok_and(Value::is_object);
        if line.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
            prop_assert_eq!(said, Err(RejectReason::Form));
        } else if !is_object {
            prop_assert_eq!(said, Err(RejectReason::Json), "{}", line);
        } else {
            prop_assert_ne!(said.clone().err(), Some(RejectReason::Json), "{}", line);
            let value = value.expect("an object");
            if let (Ok((key, consumer, _)), false) = (said, wrapped) {
                // Numbers are lexemes here and numbers there.
                let number = |text: &Option<String>| text.as_deref().is_some_and(|text| text.parse::<f64>().is_ok());
                let expected = oracle(&value, &["a", "key"]);
                if !number(&expected) {
                    prop_assert_eq!(key, expected, "{}", line);
                }
                let expected = oracle(&value, &["key"])
                    .or_else(|| oracle(&value, &["a", "0"]))
                    .or_else(|| oracle(&value, &["b"]));
                if !number(&expected) {
                    prop_assert_eq!(consumer.map(|(name, _)| name), expected, "{}", line);
                }
            }
        }
    }
}

//! How one line is read: named lines, honest and hostile, for `combined` and nginx formats.

use keydrain::engine::parse::{
    FormatSpec, Layout, LayoutError, LineParser, Place, RejectReason, Scratch,
};
use keydrain::engine::usage::Outcome;

const CUSTOM: &str = "$remote_addr $key_name [$time_local] \"$request\" $status";

/// What a line says: keys, consumer (named or not), outcome.
#[derive(Debug, PartialEq)]
struct Said {
    at: String,
    keys: Vec<String>,
    consumer: Option<(String, bool)>,
    outcome: Outcome,
}

fn parser(format: &str, credential: &[&str], consumer: &[&str]) -> Result<LineParser, LayoutError> {
    LineParser::compile(&Layout::new(
        match format {
            "combined" => FormatSpec::Combined,
            template => FormatSpec::Nginx(template.to_owned()),
        },
        credential.iter().map(|place| place.parse().expect("a place")).collect(),
        consumer.iter().map(|&field| field.to_owned()).collect(),
    ))
}

fn read(parser: &LineParser, line: impl AsRef<[u8]>) -> Result<Said, RejectReason> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut scratch = Scratch::default();
    let event = parser.parse(line.as_ref(), &mut scratch)?;
    Ok(Said {
        at: event.event_at.to_string(),
        keys: event.keys.iter().map(|key| text(key)).collect(),
        consumer: event.consumer.map(|(name, named)| (text(name), named)),
        outcome: event.outcome,
    })
}

/// Reads a `combined` line whose key is `query:k`.
fn combined(line: impl AsRef<[u8]>) -> Result<Said, RejectReason> {
    read(&parser("combined", &["query:k"], &[]).expect("valid"), line)
}

/// A `combined` line with this user and the text from the request on.
fn line(user: &str, rest: &str) -> String {
    format!("192.0.2.7 - {user} [17/May/2015:10:05:03 +0000] {rest}")
}

const REST: &str = "\"GET /?k=K1 HTTP/1.1\" 200 5 \"-\" \"curl\"";

#[test]
fn a_plain_line_gives_time_key_consumer_and_outcome() {
    let said = combined(line("bob", REST)).expect("well-formed");
    assert_eq!(said.at, "2015-05-17T10:05:03Z");
    assert_eq!(said.keys, ["K1"]);
    assert_eq!(said.consumer, Some(("bob".to_owned(), true)));
    assert_eq!(said.outcome, Outcome::Accepted);
}

#[test]
fn the_address_is_the_consumer_where_nobody_is_named_and_names_nobody() {
    let said = combined(line("-", REST)).expect("well-formed");
    assert_eq!(said.consumer, Some(("192.0.2.7".to_owned(), false)));
}

#[test]
fn a_forged_key_outside_the_place_of_the_key_is_text() {
    for (what, user, rest) in [
        ("referrer", "-", r#""GET / HTTP/1.1" 200 5 "http://h/?k=K2" "curl""#),
        ("user agent", "-", r#""GET / HTTP/1.1" 200 5 "-" "GET /?k=K2 HTTP/1.1""#),
        ("path", "-", r#""GET /k=K2/&k=K2 HTTP/1.1" 200 5 "-" "curl""#),
        ("other parameter's value", "-", r#""GET /?a=k=K2&b=?k=K2 HTTP/1.1" 200 5 "-" "curl""#),
        ("fragment", "-", r#""GET /#?k=K2 HTTP/1.1" 200 5 "-" "curl""#),
        ("method", "-", r#""/?k=K2 / HTTP/1.1" 200 5 "-" "curl""#),
        ("user name", "GET /?k=K2 HTTP/1.1", r#""GET / HTTP/1.1" 200 5 "-" "curl""#),
        ("trailing field", "-", r#""GET / HTTP/1.1" 200 5 "-" "curl" "GET /?k=K2 HTTP/1.1""#),
    ] {
        assert_eq!(combined(line(user, rest)).expect(what).keys, [""; 0], "{what}");
    }
}

#[test]
fn a_second_parameter_cannot_replace_the_first() {
    let said = combined(line("-", r#""GET /?k=K1&k=K2 HTTP/1.1" 200 5 "-" "curl""#));
    assert_eq!(said.expect("well-formed").keys, ["K1"]);
}

#[test]
fn a_user_name_cannot_forge_the_time_or_the_request() {
    for user in [
        "x [01/Jan/2020:00:00:00 +0000]",
        "x [01/Jan/2020:00:00:00 +0000] ",
        "[01/Jan/2020:00:00:00 +0000",
        r"x [01/Jan/2020:00:00:00 +0000] \x22GET /?k=K2 HTTP/1.1\x22 200 5 \x22-\x22 \x22-\x22",
        "a b - c",
    ] {
        let said = combined(line(user, REST)).expect(user);
        assert_eq!(said.at, "2015-05-17T10:05:03Z", "{user}");
        assert_eq!(said.consumer, Some((user.to_owned(), true)));
        assert_eq!(said.keys, ["K1"], "{user}");
    }
}

#[test]
fn an_escaped_quote_does_not_end_a_value() {
    let nginx = line("-", r#""GET /?k=a\x22b HTTP/1.1" 200 5 "\x22 500 \x22" "curl""#);
    let said = combined(nginx).expect("nginx");
    assert_eq!((said.keys, said.outcome), (vec!["a\"b".to_owned()], Outcome::Accepted));
    let apache = line("-", r#""GET /?k=a\"b\\ HTTP/1.1" 200 5 "\" 500 \"" "curl\\""#);
    let said = combined(apache).expect("Apache");
    assert_eq!((said.keys, said.outcome), (vec!["a\"b\\".to_owned()], Outcome::Accepted));
}

#[test]
fn a_value_is_unescaped_first_and_then_percent_decoded_once() {
    for (written, key) in [
        ("a%2Bb+c", "a+b+c"),
        (r"\x2541", "A"),
        ("%5Cx41", r"\x41"),
        ("%2541", "%41"),
        (r"\xC3\xA9", "é"),
    ] {
        let said =
            combined(line("-", &format!("\"GET /?k={written} HTTP/1.1\" 200 5 \"-\" \"-\"")));
        assert_eq!(said.expect(written).keys, [key]);
    }
}

#[test]
fn an_escaped_ampersand_separates_parameters_and_an_encoded_one_does_not() {
    let said = combined(line("-", r#""GET /?a=1\x26k=K2%26k HTTP/1.1" 200 5 "-" "-""#));
    assert_eq!(said.expect("well-formed").keys, ["K2&k"]);
}

#[test]
fn empty_and_dash_are_no_keys() {
    for query in ["?k=", "?k", "?k=-", "?k=%2D", "?k=&k=K2", "?kk=1", "?K=1", ""] {
        let said = combined(line("-", &format!("\"GET /{query} HTTP/1.1\" 200 5 \"-\" \"-\"")));
        assert_eq!(said.expect(query).keys, [""; 0], "{query}");
    }
}

#[test]
fn request_text_that_is_no_request_is_keyless_and_no_reject() {
    for request in ["", "-", r"\x16\x03\x01\x02?k=K2", "GET", "?k=K2", "GET /?k=K2 HTTP/x", "k=K2 "]
    {
        let said = combined(line("-", &format!("\"{request}\" 400 0 \"-\" \"-\"")));
        assert_eq!(said.expect(request).keys, [""; 0], "{request}");
    }
}

#[test]
fn a_request_of_http_0_9_shows_its_key() {
    let said = combined(line("-", r#""GET /?k=K1" 200 5 "-" "-""#));
    assert_eq!(said.expect("well-formed").keys, ["K1"]);
}

#[test]
fn extra_fields_may_follow_after_a_space_only() {
    assert!(combined(line("-", &format!("{REST} 12 \"x\" -"))).is_ok());
    assert!(combined(line("-", &format!("{REST} "))).is_ok());
    assert_eq!(combined(line("-", &format!("{REST}x"))), Err(RejectReason::Form));
    assert_eq!(combined(line("-", &format!("{REST}\""))), Err(RejectReason::Form));
}

#[test]
fn a_missing_or_misplaced_field_is_rejected() {
    let time = "[17/May/2015:10:05:03 +0000]";
    for (what, line) in [
        ("empty line", String::new()),
        ("garbage", "\0\u{1}garbage".to_owned()),
        ("no user", format!("192.0.2.7 - {time} {REST}")),
        ("no address", format!("- - {time} {REST}")),
        ("blank before the address", format!(" 192.0.2.7 - - {time} {REST}")),
        ("virtual host before the address", format!("www.example.com 192.0.2.7 - - {time} {REST}")),
        ("no time", format!("192.0.2.7 - - {REST}")),
        ("no request", format!("192.0.2.7 - - {time} 200 5 \"-\" \"curl\"")),
        ("no status", line("-", r#""GET /?k=K1 HTTP/1.1" 5 "-" "curl""#)),
        ("two sizes", line("-", r#""GET /?k=K1 HTTP/1.1" 200 5 5 "-" "curl""#)),
        ("size is no number", line("-", r#""GET /?k=K1 HTTP/1.1" 200 x "-" "curl""#)),
        ("no size", line("-", r#""GET /?k=K1 HTTP/1.1" 200 "-" "curl""#)),
        ("no user agent", line("-", r#""GET /?k=K1 HTTP/1.1" 200 5 "-""#)),
        ("cut in the user agent", line("-", r#""GET /?k=K1 HTTP/1.1" 200 5 "-" "cu"#)),
        ("a field after the time", line("-", &format!("x {REST}"))),
    ] {
        assert_eq!(combined(&line), Err(RejectReason::Form), "{what}: {line}");
    }
}

#[test]
fn an_unreadable_time_is_rejected_as_such() {
    for time in ["17/Mai/2015:10:05:03 +0000", "31/Apr/2015:10:05:03 +0000", "-", "17/May/2015"] {
        let line = format!("192.0.2.7 - - [{time}] {REST}");
        assert_eq!(combined(&line), Err(RejectReason::Time), "{time}");
    }
}

#[test]
fn what_stands_in_the_place_of_a_user_is_none_when_fields_are_misplaced() {
    for (user, expected) in [
        ("bob smith", Some(("bob smith", true))),
        ("-", Some(("192.0.2.7", false))),
        ("--", Some(("--", true))),
        ("- -", None),
        ("- bob", None),
        ("", None),
    ] {
        let said = combined(line(user, REST)).map(|said| said.consumer);
        let expected = expected.map(|(name, named)| Some((name.to_owned(), named)));
        assert_eq!(said.ok(), expected, "`{user}`");
    }
}

#[test]
fn a_status_is_an_integer_or_absent() {
    let outcome = |status: &str| {
        let rest = format!("\"GET /?k=K1 HTTP/1.1\" {status} 5 \"-\" \"-\"");
        combined(line("-", &rest)).map(|said| said.outcome)
    };
    assert_eq!(outcome("401"), Ok(Outcome::Unauthenticated));
    assert_eq!(outcome("403"), Ok(Outcome::Forbidden));
    assert_eq!(outcome("503"), Ok(Outcome::Failed));
    assert_eq!(outcome("404"), Ok(Outcome::Accepted));
    assert_eq!(outcome("-"), Ok(Outcome::Accepted));
    assert_eq!(outcome("0"), Ok(Outcome::Accepted));
    assert_eq!(outcome("000"), Ok(Outcome::Accepted));
    assert_eq!(outcome(""), Ok(Outcome::Accepted));
    for odd in ["20", "2000", "-1", "99999999999999999999"] {
        assert_eq!(outcome(odd), Ok(Outcome::Accepted), "{odd}");
    }
    for bad in ["2x0", "+20", "OK", "200.0", "--1"] {
        assert_eq!(outcome(bad), Err(RejectReason::Status), "{bad}");
    }
}

#[test]
fn bytes_that_are_no_utf8_stay_raw_in_a_consumer() {
    let parser = parser("combined", &["query:k"], &["remote_user"]).expect("valid");
    let line =
        [b"192.0.2.7 - caf\xe9\\xE9 [17/May/2015:10:05:03 +0000] ", REST.as_bytes()].concat();
    let mut scratch = Scratch::default();
    let event = parser.parse(&line, &mut scratch).expect("well-formed");
    assert_eq!(event.consumer, Some((&b"caf\xe9\\xE9"[..], true)));
}

#[test]
fn a_custom_format_must_match_the_whole_line() {
    let parser = parser(CUSTOM, &["field:key_name"], &[]).expect("valid");
    let line = "192.0.2.7 2025-q4 [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200";
    assert_eq!(read(&parser, line).expect("well-formed").keys, ["2025-q4"]);
    assert_eq!(
        read(&parser, line).expect("well-formed").consumer,
        Some(("192.0.2.7".to_owned(), false))
    );
    assert_eq!(read(&parser, format!("{line} 5")), Err(RejectReason::Form));
    assert_eq!(read(&parser, format!(" {line}")), Err(RejectReason::Form));
    assert_eq!(read(&parser, &line[..line.len() - 4]), Err(RejectReason::Form));
    let keyless = line.replace("2025-q4", "-");
    assert_eq!(read(&parser, keyless).expect("well-formed").keys, [""; 0]);
}

#[test]
fn a_quote_that_is_not_the_formats_own_leaves_a_line_without_a_reading() {
    for (format, line) in [
        ("\"$msec\" $http_user_agent", "\"1.0\" a\"b"),
        ("\"$msec\" \"$http_a\"", "\"1.0\" \"a\"b\""),
        ("\"$http_a\" $msec \"$http_b\"", "\"a\" b\" 1.0 \"c\""),
        // The quote behind the time stands where the time would begin.
        ("\"$http_a\" $msec \"$http_b\"", "\"a\" \"c\""),
    ] {
        for escape in ["", "escape=none "] {
            let parser =
                parser(&format!("{escape}k={format}"), &["field:msec"], &[]).expect(format);
            let line = format!("k={line}");
            assert_eq!(read(&parser, &line), Err(RejectReason::Form), "{escape}{format}: {line}");
        }
    }
}

#[test]
fn a_misfit_in_a_group_is_told_from_the_end_that_it_is_read_from() {
    for (format, line, expected) in [
        ("$http_a $status $body_bytes_sent", "agent 200 5", None),
        ("$http_a $status $body_bytes_sent", "agent 5", Some("status")),
        ("$http_a $status $body_bytes_sent", "5", Some("body_bytes_sent")),
        ("$status $http_a $body_bytes_sent", "200 5", Some("body_bytes_sent")),
        ("$status $body_bytes_sent $http_a", "200 5", Some("body_bytes_sent")),
    ] {
        let layout = Layout::new(FormatSpec::Nginx(format!("\"$msec\" {format}")), vec![], vec![]);
        let parser = LineParser::without_key(&layout).expect(format);
        assert_eq!(parser.misfit(format!("\"1.0\" {line}").as_bytes()), expected, "{line}");
    }
}

#[test]
fn variables_in_braces_and_any_case_are_the_same_variables() {
    let parser = parser("${MSEC}s k=${http_x_key};", &["field:HTTP_X_KEY"], &[]).expect("valid");
    let said = read(&parser, "1431857103.250s k=a;b;").expect("well-formed");
    assert_eq!((said.at.as_str(), said.keys), ("2015-05-17T10:05:03.25Z", vec!["a;b".to_owned()]));
}

#[test]
fn the_finest_time_of_several_counts() {
    let template = "$time_local|$time_iso8601|$msec $http_k";
    let parser = parser(template, &["field:http_k"], &[]).expect("valid");
    let line = "17/May/2015:10:05:03 +0000|2015-05-17T10:05:04+00:00|1431857105.000 k";
    assert_eq!(read(&parser, line).expect("well-formed").at, "2015-05-17T10:05:05Z");
}

#[test]
fn a_list_of_upstreams_does_not_shift_the_key_behind_it() {
    let template = "$msec $status $upstream_response_time $upstream_addr $key_name";
    let parser = parser(template, &["field:key_name"], &[]).expect("valid");
    let line = "1431857103.250 200 0.001, 0.002 : 0.003 10.0.0.1:80, unix:/tmp/a old";
    assert_eq!(read(&parser, line).expect("well-formed").keys, ["old"]);
    // A key may begin with a colon, too: nothing but quotes tells it from one more upstream.
    let line = "1431857103.250 200 0.001 : 0.002 10.0.0.1:80 : 10.0.0.2:80 old";
    assert_eq!(read(&parser, line), Err(RejectReason::Form));
    assert_eq!(read(&parser, "1431857103.250 200 - - old").expect("well-formed").keys, ["old"]);
}

#[test]
fn known_values_behind_free_text_are_told_apart_from_either_side() {
    // A number cannot hold the slash, what is behind it can.
    let both = parser("$msec $http_k $body_bytes_sent/$request_id", &["field:http_k"], &[]);
    let both = both.expect("it can be told apart");
    assert_eq!(read(&both, "1.000 a b/c 512/x/y").expect("well-formed").keys, ["a b/c"]);
    assert_eq!(read(&both, "1.000 a 5x/y"), Err(RejectReason::Form));
    // A port is a number or nothing.
    let port = parser("$msec $http_k $server_port", &["field:http_k"], &[]).expect("so can it");
    for (value, is_port) in [("443", true), ("-", true), ("44x", false), ("--", false)] {
        assert_eq!(read(&port, format!("1.000 k {value}")).is_ok(), is_port, "{value}");
    }
}

#[test]
fn a_list_of_upstreams_ends_where_no_value_of_it_follows() {
    let list = parser("$msec $upstream_response_time $http_k", &["field:http_k"], &[]);
    let list = list.expect("it can be told apart");
    for times in ["0.1", "-", "0.1, 0.2", "0.1,0.2", "0.3,0.4, 0.5"] {
        let said = read(&list, format!("1.000 {times} key one")).expect(times);
        assert_eq!(said.keys, ["key one"], "{times}");
    }
}

#[test]
fn free_text_before_a_time_ends_where_a_time_can_be_read() {
    let template = "$http_x_user [$time_local] $http_x_key";
    let parser = parser(template, &["field:http_x_key"], &["http_x_user"]).expect("valid");
    let said = read(&parser, "a [b] [c [17/May/2015:10:05:03 +0000] K").expect("well-formed");
    assert_eq!(said.consumer, Some(("a [b] [c".to_owned(), true)));
    assert_eq!(said.keys, ["K"]);
    assert_eq!(read(&parser, "a [b] K"), Err(RejectReason::Form));
}

#[test]
fn where_free_values_can_be_told_apart_in_two_ways_the_line_is_rejected() {
    let time = "[17/May/2015:10:05:03 +0000]";
    let old = "[01/Jan/2020:00:00:00 +0000]";
    for (format, one, other) in [
        ("$msec $http_x_client $http_k $status", "1.000 checkout K1 200", "1.000 a K2 K1 200"),
        ("$msec $http_x_client - $http_k", "1.000 a b - K1", "1.000 a - - K1"),
        ("$msec $remote_addr:$http_k", "1.000 192.0.2.7:K1", "1.000 2001:db8::1:K1"),
        ("$http_a $time_iso8601 $http_k", "x y 2015-05-17T10:05:03+00:00 K1", "x y z K1"),
        ("$msec|$request_method|$http_k", "1.000|GET|K1", "1.000|GET|POST|K1"),
        ("$msec $upstream_addr $http_k", "1.000 u:80, v:80 K1", "1.000 u:80 : x K1"),
        ("$msec $http_k $upstream_addr", "1.000 K1 u:80", "1.000 K1 K2, u:80"),
    ] {
        let parser = parser(format, &["field:http_k"], &[]).expect("valid");
        assert_eq!(read(&parser, one).expect(format).keys, ["K1"], "{format}");
        assert_eq!(read(&parser, other), Err(RejectReason::Form), "{format}");
    }
    let parser = parser("$http_a [$time_local] $http_k", &["field:http_k"], &[]).expect("valid");
    let forged = format!("x {old} K2 {time} K1");
    assert_eq!(read(&parser, forged), Err(RejectReason::Form), "a time in a header");
}

#[test]
fn apaches_user_without_a_name_is_nobody_and_no_quote_of_the_format() {
    for (user, consumer) in [
        (r#""""#, ("192.0.2.7", false)),
        (r#"\"\""#, (r#"\"\""#, true)),
        (r"\\", (r"\\", true)),
        (r#"\""#, (r#"\""#, true)),
    ] {
        let said = combined(line(user, REST)).expect(user);
        let expected = Some((consumer.0.to_owned(), consumer.1));
        assert_eq!((said.consumer, said.keys), (expected, vec!["K1".to_owned()]), "{user}");
    }
    for broken in [r#"\"""#, r#"""#, r#"""""#, r#"x"""#, r#"""x"#] {
        assert!(combined(line(broken, REST)).is_err(), "{broken}");
    }
    assert_eq!(combined(r#"\"""#), Err(RejectReason::Form));
}

#[test]
fn a_decoded_path_of_apache_cannot_move_the_query() {
    let apache = FormatSpec::Apache("%t \"%m %U%q %H\" %>s".to_owned());
    let place = vec!["query:k".parse().expect("a place")];
    let parser = LineParser::compile(&Layout::new(apache, place, Vec::new())).expect("valid");
    for (target, keys) in [
        ("/a?k=K1&b=2", Ok("K1")),
        ("/a b#?k=K1", Ok("K1")),
        ("/a?x=/b?y&k=K1", Ok("K1")),
        ("/a?k=K2?k=K1", Err(RejectReason::Form)),
        ("/a?x?k=K1", Err(RejectReason::Form)),
    ] {
        let line = format!("[17/May/2015:10:05:03 +0000] \"GET {target} HTTP/1.1\" 200");
        let read = read(&parser, line).map(|said| said.keys.concat());
        assert_eq!(read, keys.map(str::to_owned), "{target}");
    }
}

#[test]
fn a_client_cannot_make_a_line_look_like_one_that_was_wrapped() {
    for (format, line) in [
        ("$time_iso8601 $http_a $http_k", "2015-05-17T10:05:03+00:00 stdout F 1.0 x K2"),
        ("escape=none {\"t\":$msec,\"k\":\"$http_k\"}", r#"{"t":1.0,"k":"x","log":"1.0 K2\n"}"#),
    ] {
        let parser = parser(format, &["field:http_k"], &[]).expect("valid");
        assert_eq!(read(&parser, line), Err(RejectReason::Form), "{format}");
    }
}

#[test]
fn several_spaces_and_longer_versions_are_requests_as_nginx_serves_them() {
    for request in ["GET  /?k=K1 HTTP/1.1", "GET /?k=K1  HTTP/1.1 ", "GET /?k=K1 HTTP/1.10"] {
        let said = combined(line("-", &format!("\"{request}\" 200 5 \"-\" \"-\"")));
        assert_eq!(said.expect(request).keys, ["K1"], "{request}");
    }
}

#[test]
fn an_address_with_colons_is_told_from_the_port_behind_it() {
    let format = "$remote_addr:$remote_port $msec $http_k";
    let parser = parser(format, &["field:http_k"], &["remote_addr"]).expect("valid");
    for address in ["192.0.2.7", "2001:db8::1", "::1"] {
        let said = read(&parser, format!("{address}:4711 1.000 K 1")).expect(address);
        assert_eq!(said.consumer, Some((address.to_owned(), false)));
        assert_eq!(said.keys, ["K 1"]);
    }
}

#[test]
fn the_key_in_a_query_is_found_in_request_uri_and_args_too() {
    let uri = parser("$msec \"$request_uri\"", &["query:k"], &[]).expect("valid");
    assert_eq!(read(&uri, "1.000 \"/a?k=K1#x\"").expect("well-formed").keys, ["K1"]);
    let args = parser("$msec $args", &["query:k"], &[]).expect("valid");
    assert_eq!(read(&args, "1.000 a=1&k=K%31").expect("well-formed").keys, ["K1"]);
    let raw = parser("$msec $arg_k", &["field:arg_k"], &[]).expect("valid");
    assert_eq!(read(&raw, "1.000 K%31").expect("well-formed").keys, ["K%31"]);
}

#[test]
fn every_place_with_a_value_gives_a_key_in_order() {
    let template = "$msec \"$request\" \"$http_x_key\"";
    let places = ["field:http_x_key", "query:a", "query:b"];
    let parser = parser(template, &places, &[]).expect("valid");
    let said = read(&parser, r#"1.000 "GET /?b=B&a=\x41 HTTP/1.1" "-""#).expect("well-formed");
    assert_eq!(said.keys, ["A", "B"]);
    let said = read(&parser, r#"1.000 "GET / HTTP/1.1" "\x22H""#).expect("well-formed");
    assert_eq!(said.keys, ["\"H"]);
}

#[test]
fn a_layout_that_cannot_work_says_what_to_change() {
    for (format, places, consumer, part) in [
        ("combined", &[][..], &[][..], "add `query:NAME`"),
        ("combined", &["query:a"; 5], &[], "at most 4"),
        ("combined", &["field:http_x_key"], &[], "does not log `http_x_key`: add `$http_x_key`"),
        ("combined", &["query:k"], &["user"], "does not log `user`"),
        ("combined", &["query:a&b"], &[], "can never match"),
        ("no variables", &["query:k"], &[], "no variable"),
        ("$msec $", &["query:k"], &[], "at byte 6"),
        ("$msec ${request", &["query:k"], &[], "at byte 6"),
        ("$msec $remote_addr$request", &["query:k"], &[], "between `$remote_addr` and `$request`"),
        ("$msec \"$request", &["query:k"], &[], "never closes"),
        ("$status \"$request\"", &["query:k"], &[], "logs no time"),
        ("$msec $status", &["query:k"], &[], "`query:k` can never show"),
        ("escape=html $msec", &["query:k"], &[], "nginx has no `escape=html`"),
        ("escape=json {\"t\":\"$msec\"}", &["query:k"], &[], "`query:k` can never show"),
        ("escape=json $msec \\$http_k", &["field:http_k"], &[], "right before `$http_k`"),
        ("escape=none $msec $remote_user", &["field:remote_user"], &[], "`$remote_user` lets"),
    ] {
        let error = parser(format, places, consumer).expect_err(format).to_string();
        assert!(error.contains(part), "{format}: {error}");
    }
}

#[test]
fn a_place_is_query_or_field() {
    assert_eq!("query:api_key".parse(), Ok(Place::Query("api_key".to_owned())));
    assert_eq!("field:a:b".parse(), Ok(Place::Field("a:b".to_owned())));
    for wrong in ["", "query:", "field:", "header:x", "query"] {
        assert!(wrong.parse::<Place>().is_err(), "{wrong}");
    }
}

#[test]
fn a_digest_changes_with_every_part_of_a_layout_and_with_nothing_else() {
    let digest = |format: &str, places: &[&str], consumer: &[&str]| {
        parser(format, places, consumer).expect("valid").layout_digest()
    };
    let base = digest(CUSTOM, &["field:key_name"], &[]);
    assert_eq!(base, digest(CUSTOM, &["field:key_name"], &[]));
    assert_ne!(base, digest(&CUSTOM.replace(' ', "  "), &["field:key_name"], &[]));
    assert_ne!(base, digest(CUSTOM, &["field:status"], &[]));
    assert_ne!(base, digest(CUSTOM, &["field:key_name"], &["key_name"]));
    // What stands for nothing declared is the same as declared.
    assert_eq!(base, digest(CUSTOM, &["field:key_name"], &["remote_addr"]));
    // Written to the state: it must not change between versions.
    assert_eq!(digest("combined", &["query:k"], &[]), COMBINED_DIGEST);
    assert_eq!(digest("combined", &["query:k"], &["remote_user", "remote_addr"]), COMBINED_DIGEST);
}

const COMBINED_DIGEST: &str = "2208d1cb96bafaba";

/// Templates with free text, lists, times and quotes in every order.
const TEMPLATES: [&str; 6] = [
    "combined",
    CUSTOM,
    "$http_a [$time_local] $http_b [$time_iso8601] $http_c",
    "$http_a $msec, $upstream_addr, $upstream_status $http_b",
    "\"$http_a\" $status $http_b $time_iso8601 \"$request\"",
    "$msec",
];

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_parser_fail(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "\"", "\\", " [", "] \"", " - ", ", ", " : ", " ", "a", "-", "200", "\u{e9}", "?k=",
            "17/May/2015:10:05:03 +0000", "2015-05-17T10:05:03Z", "1.5", "GET /?k=%4", " HTTP/1.1",
        ]), 0..30),
    ) {
        let line = pieces.concat();
        for template in TEMPLATES {
            let place = match template {
                "combined" | CUSTOM => "query:k",
                "$msec" => "field:msec",
                _ => "field:http_a",
            };
            let parser = parser(template, &[place], &[]).expect("valid");
            // A well-formed line splits into fields that stand in it, in order.
            if read(&parser, &line).is_ok() {
                let fields = parser.fields(line.as_bytes()).expect("well-formed");
                let length: usize = fields.iter().map(|(_, value)| value.len()).sum();
                proptest::prop_assert!(length <= line.len(), "{} {}", template, line);
            }
        }
    }
}

#[test]
fn a_hostile_megabyte_is_read_in_linear_time() {
    let template = "$http_a [$time_local] $http_b [$time_iso8601] $http_c";
    let parser = parser(template, &["field:http_c"], &[]).expect("valid");
    for piece in [" [", " [17/May/2015:10:05:03 +0000", "[", "\\", ", "] {
        // A quadratic search would take minutes here: the test's time is its bound.
        let line = piece.repeat((1 << 20) / piece.len());
        assert!(read(&parser, &line).is_err());
        assert!(combined(&line).is_err());
    }
}

#[test]
fn what_is_told_apart_in_two_ways_rejects_a_line_only_if_it_is_used() {
    let upstreams = "[$time_local] \"$request\" $status \"$http_user_agent\" $request_time \
                     [$proxy_upstream_name] $upstream_addr $upstream_status $req_id";
    let line = "[17/May/2015:10:05:03 +0000] \"GET /?k=K1 HTTP/1.1\" 502 \"curl\" 0.1 [a-80] \
                10.0.0.1:80, 10.0.0.2:80 502, 200 04f1";
    let keys = |format: &str, place: &str| {
        let parser = parser(format, &[place], &[]).expect("valid");
        read(&parser, line).map(|said| said.keys)
    };
    assert_eq!(keys(upstreams, "query:k"), Ok(vec!["K1".to_owned()]));
    assert_eq!(keys(upstreams, "field:req_id"), Err(RejectReason::Form));
    let redirected = "$msec $upstream_response_time key=$http_k";
    let parser = parser(redirected, &["field:http_k"], &[]).expect("valid");
    assert_eq!(read(&parser, "1.000 0.1 : 0.2 key=K1").expect("read").keys, ["K1"]);
}

#[test]
fn variables_that_touch_are_one_value_that_nobody_can_use() {
    let format = "$msec \"$scheme://$host$request_uri\" $http_k$http_l";
    let said = parser(format, &["field:scheme"], &[]).expect("valid");
    let line = "1.000 \"https://a.example/?k=1\" xy";
    assert_eq!(read(&said, line).expect("read").keys, ["https"]);
    for place in ["field:http_l", "query:k", "field:host"] {
        let error = parser(format, &[place], &[]).expect_err("refused").to_string();
        assert!(error.contains("put a space or quotes between them"), "{place}: {error}");
    }
    let error = parser("$host$status $msec", &["field:host"], &[]).expect_err("refused");
    assert!(error.to_string().contains("`$host` and `$status`"), "{error}");
}

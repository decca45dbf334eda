//! Wrapped lines: what counts through Docker, CRI, syslog and journald, and what is never unwrapped.

use std::path::Path;

use keydrain::engine::parse::wrap::{Buffers, MAX_WRAPPERS, Wrapper, Wrapping, unwrap};
use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser, Scratch};
use keydrain::engine::scan::records::{Framer, Framing, Record};
use proptest::prelude::*;

fn combined() -> Layout {
    let place = "query:api_key".parse().expect("a place");
    Layout::new(FormatSpec::Combined, vec![place], Vec::new())
}

fn json(time: Option<&str>, place: &str) -> Layout {
    let spec = JsonSpec {
        time: time.map(str::to_owned),
        status: Some("status".into()),
        credential: vec![place.parse().expect("a place")],
        consumer: vec!["user.name".into()],
    };
    Layout::new(FormatSpec::Json(spec), Vec::new(), Vec::new())
}

fn nginx(format: &str) -> Layout {
    let place = "field:key_name".parse().expect("a place");
    Layout::new(FormatSpec::Nginx(format.to_owned()), vec![place], Vec::new())
}

fn declared(layout: Layout, wrappers: &[Wrapper]) -> LineParser {
    compile(&Layout { wrapping: Wrapping::Declared(wrappers.to_vec()), ..layout })
}

fn compile(layout: &Layout) -> LineParser {
    LineParser::compile(layout).expect("a good layout")
}

/// Reads a log: time, key, consumer and outcome of each record, or why it is none.
fn read(parser: &LineParser, log: &[u8]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut scratch = Scratch::default();
    let mut said = Vec::new();
    let mut framer = Framer::new(parser.framing());
    let mut take = |record: Record<'_>| {
        said.push(match record {
            Record::Whole(record) => match parser.parse(record, &mut scratch) {
                Ok(event) => {
                    let key = event.keys.first().map_or("-".to_owned(), |key| text(key));
                    let consumer = event.consumer.map_or("-".to_owned(), |(name, _)| text(name));
                    format!("{} {key} {consumer} {:?}", event.event_at, event.outcome)
                }
                Err(reason) => format!("{reason:?}"),
            },
            Record::TooLong => "TooLong".to_owned(),
            Record::Cut(_) => "Cut".to_owned(),
        });
    };
    framer.feed(log, &mut take);
    framer.finish(&mut take);
    said
}

fn golden(parser: &LineParser, fixture: &str, expected: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scan/wrapped");
    let log = std::fs::read(folder.join(fixture)).expect("a readable fixture");
    let expected: Vec<String> = expected
        .iter()
        .map(|row| match row.split_once(' ') {
            Some((second, rest)) => format!("2024-05-01T12:00:{second}Z {rest}"),
            None => (*row).to_owned(),
        })
        .collect();
    assert_eq!(read(parser, &log), expected, "{fixture}");
}

fn check(parser: &LineParser, line: &str, expected: &str) {
    assert_eq!(read(parser, line.as_bytes()), [expected], "{line}");
}

const DOCKER: &[&str] = &[
    "01 K1 alice Accepted",
    "02 K1 alice Forbidden",
    "03 K2 192.0.2.7 Failed",
    "Form",
    "05 K1 bob Accepted",
    "06 K1 bob Accepted",
    "07 K-part-one carol Accepted",
    "Form",
    "Form",
];

#[test]
fn a_combined_log_in_docker_is_read_with_its_parts_joined() {
    golden(&compile(&combined()), "docker_combined.log", DOCKER);
    golden(&declared(combined(), &[Wrapper::Docker]), "docker_combined.log", DOCKER);
}

#[test]
fn a_json_log_in_docker_is_read() {
    let expected = [
        "01 K1 alice Accepted",
        "02 K \"quoted\" é alice Unauthenticated",
        "03 K2 bob Accepted",
        "Json",
    ];
    golden(&compile(&json(Some("ts"), "field:key")), "docker_json.log", &expected);
}

#[test]
fn a_combined_log_in_cri_is_read_with_its_parts_joined() {
    let expected = [
        "01 K1 alice Accepted",
        "02 K2 bob Failed",
        "Form",
        "Form",
        "04 2025-q4-AAAA carol Accepted",
        "05 K1 erin Accepted",
        "06 K1 alice Accepted",
        "Cut",
    ];
    golden(&compile(&combined()), "cri_combined.log", &expected);
    golden(&declared(combined(), &[Wrapper::Cri]), "cri_combined.log", &expected);
}

#[test]
fn a_json_log_in_cri_is_read_with_its_parts_joined() {
    let expected = [
        "01 K1 alice Accepted",
        "03 K2 bob Accepted",
        "05 K-split-in-two dave Accepted",
        "04 K1 carol Accepted",
        "Json",
    ];
    golden(&compile(&json(Some("ts"), "field:key")), "cri_json.log", &expected);
}

#[test]
fn a_combined_log_in_syslog_is_read() {
    let expected = [
        "01 K1 alice Accepted",
        "02 K2 bob Unauthenticated",
        "03 K1 carol Accepted",
        "04 K1 dave Accepted",
        "05 K2 dave Accepted",
        "06 K1 erin Accepted",
        "07 K2 erin Accepted",
        "Form",
        "Form",
        "Form",
        "Form",
    ];
    golden(&compile(&combined()), "syslog.log", &expected);
    golden(&declared(combined(), &[Wrapper::Syslog]), "syslog.log", &expected);
}

#[test]
fn logs_in_journald_are_read_also_where_a_message_is_no_utf_8() {
    let expected = ["01 K1 alice Accepted", "02 K1 alice Accepted", "Form", "Form", "Form", "Form"];
    golden(&compile(&combined()), "journald.log", &expected);
    let expected = ["01 K1 alice Accepted", "02 K2 bob Accepted", "03 K1 carol Accepted"];
    golden(&compile(&json(Some("ts"), "field:key")), "journald_json.log", &expected);
}

#[test]
fn wrappers_are_stacked_up_to_four_deep() {
    let expected = [
        "01 K1 alice Accepted",
        "02 K2 bob Forbidden",
        "03 K1 carol Accepted",
        "04 K2 dave Accepted",
        "Json",
        "Form",
        "Form",
    ];
    assert_eq!(MAX_WRAPPERS, 4);
    golden(&compile(&json(Some("ts"), "field:key")), "stacked.log", &expected);
}

const INNER: &str = r#"{"key":"k","user":{"name":"u"}}"#;

#[test]
fn a_record_without_a_time_has_that_of_the_outermost_wrapper_with_a_full_one() {
    use Wrapper::{Cri, Docker, Journald, Syslog};
    let docker = format!(
        r#"{{"log":"{}\n","stream":"stdout","time":"2024-05-01T12:00:02Z"}}"#,
        INNER.replace('"', "\\\"")
    );
    let journald = format!(r#"{{"MESSAGE":{INNER:?},"__REALTIME_TIMESTAMP":"1714564803000000"}}"#);
    let cri = "2024-05-01T14:00:04.5+02:00 stdout F ";
    let (full, nil) = ("<13>1 2024-05-01T12:00:05Z h a 1 - - ", "<13>1 - h a 1 - - ");
    let (month, file) = ("<13>May  1 09:09:09 h a: ", "2024-05-01T12:00:06.5Z h a: ");
    for (line, wrappers, second) in [
        (docker.clone(), &[Docker][..], "02"),
        (journald.clone(), &[Journald], "03"),
        (format!("{cri}{INNER}"), &[Cri], "04.5"),
        (format!("{full}{INNER}"), &[Syslog], "05"),
        (format!("{file}{INNER}"), &[Syslog], "06.5"),
        (format!("{full}{docker}"), &[Syslog, Docker], "05"),
        (format!("{nil}{docker}"), &[Syslog, Docker], "02"),
        (format!("{month}{journald}"), &[Syslog, Journald], "03"),
    ] {
        let parser = declared(json(None, "field:key"), wrappers);
        check(&parser, &line, &format!("2024-05-01T12:00:{second}Z k u Accepted"));
    }
    // Year and zone are not made up, not even over New Year.
    for line in [format!("{month}{INNER}"), format!("Dec 31 23:59:59 h a: {INNER}")] {
        check(&declared(json(None, "field:key"), &[Syslog]), &line, "Time");
    }
}

#[test]
fn exactly_the_declared_wrappers_must_be_there() {
    let parser = declared(json(Some("ts"), "field:key"), &[Wrapper::Syslog, Wrapper::Cri]);
    let record = r#"{"ts":1714564801,"key":"k"}"#;
    let (syslog, cri) = ("<13>May  1 09:09:09 h a: ", "2024-05-01T14:00:04.5+02:00 stdout F ");
    check(&parser, &format!("{syslog}{cri}{record}"), "2024-05-01T12:00:01Z k - Accepted");
    for line in [
        record.to_owned(),
        format!("{syslog}{record}"),
        format!("{cri}{record}"),
        format!("{cri}{syslog}{record}"),
    ] {
        check(&parser, &line, "Form");
    }
    check(&parser, &format!("{syslog}{cri}{cri}{record}"), "Json");
    let none = declared(json(Some("ts"), "field:key"), &[]);
    check(&none, &format!("{cri}{record}"), "Json");
    assert_eq!(none.framing(), Framing::Lines);
}

#[test]
fn a_line_whose_values_hold_whole_wrapped_lines_is_text() {
    let forged = r#"192.0.2.9 - mallory [01/May/2024:12:00:09 +0000] "GET /?api_key=FORGED HTTP/1.1" 200 1 "-" "-""#;
    let wrapped = [
        format!("2024-05-01T12:00:00.5Z stdout F {forged}"),
        format!("2024-05-01T12:00:00.5Z stdout P {forged}"),
        format!(
            r#"{{"log":{:?},"stream":"stdout","time":"2024-05-01T12:00:00Z"}}"#,
            format!("{forged}\n")
        ),
        format!(r#"{{"log":{forged:?},"stream":"stdout","time":"2024-05-01T12:00:00Z"}}"#),
        format!(r#"{{"MESSAGE":{forged:?},"__REALTIME_TIMESTAMP":"1714564809000001"}}"#),
        format!("<13>1 2024-05-01T12:00:00Z h a 1 - - {forged}"),
        format!("May  1 12:00:00 h a: {forged}"),
        format!("2024-05-01T12:00:00.5Z h a: {forged}"),
    ];
    for text in wrapped {
        // nginx escapes quotes and backslashes, Apache with a backslash.
        let by_nginx = text.replace('\\', "\\x5C").replace('"', "\\x22");
        let by_apache = text.replace('\\', "\\\\").replace('"', "\\\"");
        let in_json = format!("{text:?}");
        let expected = "2024-05-01T12:00:01Z K1 alice Accepted";
        for escaped in [by_nginx, by_apache] {
            let line = |request: &str, referrer: &str, agent: &str| {
                format!(
                    "192.0.2.1 - alice [01/May/2024:12:00:01 +0000] \"{request}\" 200 5 \"{referrer}\" \"{agent}\""
                )
            };
            let request = "GET /?api_key=K1 HTTP/1.1";
            check(&compile(&combined()), &line(request, "-", &escaped), expected);
            check(&compile(&combined()), &line(request, &escaped, "-"), expected);
            let long = format!("GET /?api_key=K1&a={} HTTP/1.1", escaped.replace(' ', "+"));
            check(&compile(&combined()), &line(&long, "-", "-"), expected);
            let garbage = line(&escaped, "-", "-");
            check(&compile(&combined()), &garbage, "2024-05-01T12:00:01Z - alice Accepted");
        }
        for member in ["log", "message", "MESSAGE", "time", "stream", "__REALTIME_TIMESTAMP"] {
            let line = format!(
                r#"{{"{member}":{in_json},"ts":1714564801,"key":"K1","user":{{"name":"alice"}}}}"#
            );
            check(&compile(&json(Some("ts"), "field:key")), &line, expected);
        }
    }
}

/// An application may choose the names of another program's members; what is declared goes first.
#[test]
fn an_object_that_is_no_entry_of_a_wrapper_is_read_as_it_stands() {
    let forged = r#"{\"ts\":1714564809,\"key\":\"FORGED\"}"#;
    let expected = "2024-05-01T12:00:01Z K1 - Accepted";
    let parser = compile(&json(Some("ts"), "field:key"));
    for line in [
        format!(
            r#"{{"log":"{forged}\n","stream":"stdout","time":"2024-05-01T12:00:09Z","ts":1714564801,"key":"K1"}}"#
        ),
        format!(
            r#"{{"log":"{forged}\n","stream":"stdout","ts":1714564801,"key":"K1","time":"2024-05-01T12:00:09Z"}}"#
        ),
        format!(
            r#"{{"log":"{forged}","stream":"stdout","attrs":{{}},"ts":1714564801,"key":"K1","a":{{}},"time":"2024-05-01T12:00:09Z"}}"#
        ),
        format!(
            r#"{{"MESSAGE":"{forged}","__REALTIME_TIMESTAMP":"1","ts":1714564801,"key":"K1"}}"#
        ),
    ] {
        check(&parser, &line, expected);
    }
    let own = compile(&json(Some("__REALTIME_TIMESTAMP"), "field:MESSAGE.key"));
    let line = r#"{"MESSAGE":"{\"key\":\"K1\"}","__REALTIME_TIMESTAMP":"1714564801000000"}"#;
    check(&own, line, expected);
}

/// Docker's member `time` is also where many applications write theirs.
#[test]
fn a_part_without_its_rest_is_never_read_as_the_object_that_it_stands_in() {
    let parser = compile(&json(Some("time"), "field:log"));
    let line = r#"{"log":"KEY","stream":"stdout","time":"2024-05-01T12:00:01Z"}"#;
    check(&parser, line, "Cut");
    let mut scratch = Scratch::default();
    assert!(parser.parse(line.as_bytes(), &mut scratch).is_err());
    let line = r#"{"log":"{\"time\":\"2024-05-01T12:00:02Z\",\"log\":\"K\"}\n","stream":"stdout","time":"2024-05-01T12:00:01Z"}"#;
    check(&parser, line, "2024-05-01T12:00:02Z K - Accepted");
}

#[test]
fn a_wrapper_is_never_read_as_the_first_field_of_a_format() {
    let wrapped = |record: &str| {
        [
            format!("2024-05-01T12:00:00.5+02:00 stdout F {record}"),
            format!(
                r#"{{"log":{:?},"stream":"stdout","time":"2024-05-01T12:00:00Z"}}"#,
                format!("{record}\n")
            ),
            format!(r#"{{"MESSAGE":{record:?},"__REALTIME_TIMESTAMP":"1714564809000001"}}"#),
            format!("<13>1 2024-05-01T12:00:00Z h a 1 - - {record}"),
            format!("<13>May  1 12:00:00 h a: {record}"),
            format!("2024-05-01T12:00:00.5Z h a: {record}"),
        ]
    };
    let bare = "May  1 12:00:00 h a: ";
    for (format, record, is_bare_read) in [
        ("$remote_addr $key_name $status $msec", "192.0.2.1 K1 200 1714564801.000", true),
        ("$remote_addr $msec $status $key_name", "192.0.2.1 1714564801.000 200 K1", true),
        ("$msec $status $key_name", "1714564801.000 200 K1", true),
        ("$status $key_name $msec", "200 K1 1714564801.000", true),
        ("$server_name $key_name $status $msec", "a.example K1 200 1714564801.000", true),
        ("$time_iso8601 $key_name $status", "2024-05-01T12:00:01+00:00 K1 200", true),
        ("[$time_local] $key_name $status", "[01/May/2024:12:00:01 +0000] K1 200", true),
    ] {
        let parser = compile(&nginx(format));
        let expected = "2024-05-01T12:00:01Z K1 - Accepted";
        let said = |line: &str| {
            let rows = read(&parser, line.as_bytes());
            rows.join("\n").replace(" 192.0.2.1 A", " - A")
        };
        assert_eq!(said(record), expected, "{format}");
        for line in wrapped(record) {
            assert_eq!(said(&line), expected, "{format}: {line}");
        }
        if is_bare_read {
            assert_eq!(said(&format!("{bare}{record}")), expected, "{format}");
        }
    }
}

#[test]
fn where_a_client_chooses_the_beginning_wrappers_must_be_declared() {
    for format in ["$http_user_agent $key_name $msec", "$host $key_name $msec"] {
        for wrapper in [
            "2024-05-01T12:00:00.5Z stdout F forged K2 1714564809.000",
            "2024-05-01T12:00:00.5Z stdout P forged",
            "<13>1 - h a 1 - - forged K2 1714564809.000",
            "May  1 12:00:00 h a: forged K2 1714564809.000",
        ] {
            let parser = compile(&nginx(format));
            assert_eq!(parser.framing(), Framing::Lines);
            let line = format!("{wrapper} K1 1714564801.000");
            // Two values without quotes can be told apart in several ways: nothing is read.
            assert_eq!(read(&parser, line.as_bytes()), ["Form"], "{line}");
        }
        let parser = declared(nginx(format), &[Wrapper::Cri]);
        let line = "2024-05-01T12:00:00.5Z stdout F agent K1 1714564801.000";
        check(&parser, line, "2024-05-01T12:00:01Z K1 - Accepted");
    }
}

#[test]
fn a_clients_text_behind_a_servers_time_is_no_wrapper() {
    let parser = compile(&nginx("$time_iso8601 $http_user_agent \"$key_name\" $status"));
    for agent in [
        "stdout F 2024-05-01T12:00:09+00:00 forged",
        "stdout P x",
        "stderr P:t x",
        "web nginx: 2024-05-01T12:00:09+00:00 forged",
        "web nginx[1]: 2024-05-01T12:00:09.5Z stdout F 2024-05-01T12:00:09+00:00 forged",
    ] {
        let line = format!("2024-05-01T12:00:01+00:00 {agent} \"K1\" 200");
        check(&parser, &line, "2024-05-01T12:00:01Z K1 - Accepted");
        // Also within a wrapper.
        let line = format!("2024-05-01T12:00:01.5Z stdout F {line}");
        check(&parser, &line, "2024-05-01T12:00:01Z K1 - Accepted");
    }
    // Without escapes a client can make a line that fits no format: it is none then.
    let open = compile(&nginx("escape=none $time_iso8601 $http_user_agent \"$key_name\" $status"));
    let line =
        "2024-05-01T12:00:01+00:00 stdout F 2024-05-01T12:00:09+00:00 forged \"K2\" 200 \"K1\" 200";
    check(&open, line, "Form");
    let apache = Layout::new(
        FormatSpec::Apache("%{%Y-%m-%dT%H:%M:%SZ}t %{User-Agent}i \"%{X-Api-Key}i\" %>s".into()),
        vec!["field:http_x_api_key".parse().expect("a place")],
        Vec::new(),
    );
    let line = "2024-05-01T12:00:01Z stdout P x \"K1\" 200";
    check(&compile(&apache), line, "2024-05-01T12:00:01Z K1 - Accepted");
}

fn apache(format: &str) -> Layout {
    Layout {
        zone: Some(jiff::tz::TimeZone::UTC),
        ..Layout::new(
            FormatSpec::Apache(format.to_owned()),
            vec!["field:http_key".parse().expect("a place")],
            Vec::new(),
        )
    }
}

#[test]
fn a_time_that_a_runtime_may_write_is_no_wrappers_where_a_format_begins_with_it() {
    // Of 19 bytes, with the zone as text behind it: the shortest that looks so.
    let parser = compile(&apache("%{%FT%T}tZ %{User-Agent}i \"%{Key}i\" %>s"));
    let line = "2024-05-01T12:00:01Z stdout F 2024-05-01T12:00:09Z forged \"K1\" 200";
    check(&parser, line, "2024-05-01T12:00:01Z K1 - Accepted");
    // A number of milliseconds is no such time, so wrappers are detected.
    let parser = compile(&apache("%{msec}t %{User-Agent}i \"%{Key}i\" %>s"));
    let line = "2024-05-01T12:00:09.5Z stdout F 1714564801000 agent \"K1\" 200";
    check(&parser, line, "2024-05-01T12:00:01Z K1 - Accepted");
}

#[test]
fn what_a_format_begins_with_tells_its_lines_from_wrapped_ones() {
    let parser = compile(&nginx("agent=$http_user_agent \"$key_name\" $msec"));
    let line = "agent=x \"K1\" 1714564801.000";
    for line in [line, &format!("2024-05-01T12:00:09.5Z stdout F {line}")] {
        check(&parser, line, "2024-05-01T12:00:01Z K1 - Accepted");
    }
    let parser = compile(&nginx("<13>1 - web nginx - - - \"$key_name\" $msec"));
    let line = "<13>1 - web nginx - - - \"K1\" 1714564801.000";
    check(&parser, line, "2024-05-01T12:00:01Z K1 - Accepted");
}

#[test]
fn a_method_may_be_the_name_of_a_month_and_no_other_beginning_of_a_wrapper() {
    let format = "$request_method $http_user_agent \"$key_name\" $msec";
    let layout = Layout { consumer: vec!["http_user_agent".into()], ..nginx(format) };
    let parser = compile(&layout);
    let line = "GET x \"K1\" 1714564801.000";
    let (as_it_stands, within) = (" 1 12:00:00 h a: GET x", "x");
    for (line, agent) in [
        (line.to_owned(), within),
        (format!("May  1 12:00:00 h a: {line}"), as_it_stands),
        (format!("2024-05-01T12:00:09.5Z stdout F {line}"), within),
        (format!("<13>May  1 12:00:00 h a: {line}"), within),
    ] {
        check(&parser, &line, &format!("2024-05-01T12:00:01Z K1 {agent} Accepted"));
    }
}

/// A client that makes a line long chooses where it is split: what is behind is no line of its own.
#[test]
fn the_rest_of_a_split_line_is_never_a_record() {
    let forged = "192.0.2.9 FORGED 200 1714564809.000";
    let parser = compile(&nginx("$remote_addr $key_name $status $msec"));
    let log = format!(
        "2024-05-01T12:00:00.5Z stdout P 192.0.2.1 K1\n2024-05-01T12:00:00.6Z stdout F {forged}\n"
    );
    check(&parser, &log, "2024-05-01T12:00:09Z K1192.0.2.9 FORGED 192.0.2.1 Accepted");
}

#[test]
fn detected_wrappers_are_taken_off_for_any_format() {
    let mut buffers = Buffers::default();
    let line = "<13>1 - h a 1 - - 2024-05-01T12:00:00Z stdout F {\"log\":\"{\\\"MESSAGE\\\":\\\"a\\\",\\\"__REALTIME_TIMESTAMP\\\":\\\"1\\\"}\\r\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-01T12:00:01Z\"}";
    let at = "2024-05-01T12:00:00Z".parse().ok();
    let read = unwrap(&Wrapping::Detect, line.as_bytes(), &mut buffers);
    assert_eq!(read, Some((&b"a"[..], at)));
    for plain in ["", "a", "{", "{}", "<", "2024-05-01T12:00:00Z", "May  1 12:00:00"] {
        assert_eq!(unwrap(&Wrapping::Detect, plain.as_bytes(), &mut buffers), None, "{plain}");
    }
}

/// Formats whose lines begin with what a server writes, with a line of each: `{}` is a client's.
const SERVERS: [(&str, &str); 5] = [
    (
        "$remote_addr - $remote_user [$time_local] \"$request\" $status \"$http_user_agent\" $key_name",
        "192.0.2.1 - {} [01/May/2024:12:00:01 +0000] \"{}\" 200 \"{}\" K1",
    ),
    (
        "$remote_addr $key_name \"$http_user_agent\" \"$http_referer\" $msec",
        "2001:db8::1 K1 \"{}\" \"{}\" 1714564801.000",
    ),
    (
        "$time_iso8601 $http_user_agent \"$request\" $status \"$key_name\"",
        "2024-05-01T12:00:01+00:00 {} \"{}\" 200 \"K1\"",
    ),
    ("$msec $http_user_agent \"$key_name\"", "1714564801.000 {} \"K1\""),
    ("[$time_local] \"$http_user_agent\" $key_name", "[01/May/2024:12:00:01 +0000] \"{}\" K1"),
];

/// Text of a client that is made of what wrappers write.
fn clients_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "2024-05-01T12:00:09.5Z",
        "2024-05-01T12:00:09+00:00",
        "stdout",
        "stderr",
        "F",
        "P",
        "P:t",
        " ",
        " ",
        " ",
        "{\"log\":\"",
        "{\"MESSAGE\":\"",
        "\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-01T12:00:09Z\"}",
        "\",\"__REALTIME_TIMESTAMP\":\"1714564809000001\"}",
        "<13>1 - h a 1 - - ",
        "<13>May  1 12:00:09 h a: ",
        "May  1 12:00:09 h a: ",
        "h a[1]: ",
        "192.0.2.9 - m [01/May/2024:12:00:09 +0000] \"GET / HTTP/1.1\" 200 \"-\" FORGED",
        "1714564809.000 x \"FORGED\"",
        "\n",
        "\\",
    ]);
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

/// A line that a server writes, and its layout.
fn servers_line() -> impl Strategy<Value = (Layout, String)> {
    let texts = prop::collection::vec(clients_text(), 3);
    (0..=SERVERS.len(), texts).prop_map(|(choice, texts)| {
        let Some((format, line)) = SERVERS.get(choice) else {
            let mut object = serde_json::Map::new();
            for (name, text) in ["log", "MESSAGE", "message"].into_iter().zip(texts) {
                object.insert(name.to_owned(), text.into());
            }
            object.insert("ts".to_owned(), 1_714_564_801.into());
            object.insert("key".to_owned(), "K1".into());
            return (json(Some("ts"), "field:key"), serde_json::Value::from(object).to_string());
        };
        let line = texts.iter().fold((*line).to_owned(), |line, text| {
            let escaped = text.replace('\\', "\\x5C").replace('"', "\\x22").replace('\n', "\\x0A");
            line.replacen("{}", &escaped, 1)
        });
        (nginx(format), line)
    })
}

fn without_wrappers(layout: &Layout, line: &str) -> Vec<String> {
    read(&declared(layout.clone(), &[]), line.as_bytes())
}

/// Puts a wrapper around a line.
fn wrapped(wrapper: usize, line: &str) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match wrapper {
        0 => format!("2024-05-01T12:00:00.5+02:00 stdout F {line}"),
        1 => format!(
            "{{\"log\":{},\"stream\":\"stderr\",\"time\":\"2024-05-01T12:00:00Z\"}}",
            text(&format!("{line}\n"))
        ),
        2 => format!("{{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":{}}}", text(line)),
        3 => format!("<13>1 2024-05-01T12:00:00Z h a 1 - [x@1 y=\"\\\"] z\"] {line}"),
        4 => format!("<13>May  1 12:00:00 h a: {line}"),
        5 => format!("May  1 12:00:00 h a[1]: {line}"),
        _ => format!("2024-05-01T12:00:00.123456Z h a: {line}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_of_a_client_makes_a_line_a_wrapped_one((layout, line) in servers_line()) {
        let expected = without_wrappers(&layout, &line);
        prop_assert_eq!(expected.len(), 1);
        prop_assert!(expected[0].starts_with("2024-05-01T12:00:01Z K1 "), "{}: {}", line, expected[0]);
        prop_assert_eq!(read(&compile(&layout), line.as_bytes()), expected, "{}", line);
    }

    #[test]
    fn a_wrapped_line_is_read_as_the_line_within(
        (layout, line) in servers_line(), wrappers in prop::collection::vec(0usize..7, 1..4),
    ) {
        let expected = without_wrappers(&layout, &line);
        let line = wrappers.iter().fold(line, |line, &wrapper| wrapped(wrapper, &line));
        prop_assert_eq!(read(&compile(&layout), line.as_bytes()), expected, "{}", line);
    }
}

//! Golden answers of text logs, line by line. Each log in `fixtures/scan/` holds what real logs are
//! known to hold and what a client may make of them; addresses and keys are invented.

use std::fs;
use std::path::Path;

use keydrain::engine::parse::{COMBINED, FormatSpec, Layout, LineParser, Scratch};

const QUERY: &[&str] = &["query:api_key"];

/// Reads each line of a log: time, outcome, consumer (`?` if it names nobody), keys; or the reason
/// of a reject.
fn answers(
    name: &str,
    formats: Vec<FormatSpec>,
    places: &[&str],
    consumer: &[&str],
) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scan").join(name);
    let log = fs::read(path).expect("the fixture is there");
    let places = places.iter().map(|place| place.parse().expect("a place")).collect();
    let consumer = consumer.iter().map(|&field| field.to_owned()).collect();
    let first = formats.first().expect("a format").clone();
    let layout = Layout { formats, ..Layout::new(first, places, consumer) };
    let parser = LineParser::compile(&layout).expect("a valid layout");
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let answer = |line: &[u8]| match parser.parse(line, &mut Scratch::default()) {
        Err(reason) => format!("reject {}", reason.as_str()),
        Ok(event) => {
            let (who, named) = event.consumer.unwrap_or((b"nobody", true));
            let keys: Vec<String> = event.keys.iter().map(|key| text(key)).collect();
            let mark = if named { "" } else { "?" };
            let outcome = format!("{:?}", event.outcome).to_lowercase();
            format!("{} {outcome} {mark}{} {keys:?}", event.event_at, text(who))
        }
    };
    log.split_inclusive(|&byte| byte == b'\n')
        .map(|line| answer(line.strip_suffix(b"\n").unwrap_or(line)))
        .collect()
}

fn check(answers: &[String], expected: &[&str]) {
    for (number, (answer, expected)) in answers.iter().zip(expected).enumerate() {
        assert_eq!(answer, expected, "line {}", number + 1);
    }
    assert_eq!(answers.len(), expected.len());
}

fn apache(text: &str) -> FormatSpec {
    FormatSpec::Apache(text.to_owned())
}

fn nginx(text: &str) -> FormatSpec {
    FormatSpec::Nginx(text.to_owned())
}

#[test]
fn each_line_of_several_shapes_is_read_with_the_first_format_that_fits() {
    let three_dashes = COMBINED.replacen("$remote_user", "- -", 1);
    let vhost = "%v:%p %h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"";
    let formats =
        vec![nginx(&three_dashes), FormatSpec::Combined, FormatSpec::Common, apache(vhost)];
    check(
        &answers("shapes.log", formats, QUERY, &["remote_addr"]),
        &[
            r#"2015-05-17T10:05:03Z accepted ?192.0.2.1 ["old"]"#,
            r#"2015-05-17T10:05:04Z unauthenticated ?192.0.2.1 ["old"]"#,
            r#"2015-05-17T10:05:05Z accepted ?192.0.2.2 ["new"]"#,
            r#"2015-05-17T10:05:06Z accepted ?192.0.2.3 ["old"]"#,
            r#"2015-05-17T10:05:07Z failed ?2001:db8::7 ["old"]"#,
            "reject form", // a blank before the address
            r#"2015-05-17T10:05:09Z accepted ?192.0.2.1 ["old"]"#,
            "2015-05-17T10:05:10Z accepted ?192.0.2.9 []", // TLS bytes
            "2015-05-17T10:05:11Z accepted ?192.0.2.9 []",
            r#"2015-05-17T10:05:03Z accepted ?192.0.2.1 ["old"]"#, // once more
            r#"2015-05-17T10:05:12Z accepted ?192.0.2.2 ["new"]"#, // a time in the user's name
        ],
    );
}

#[test]
fn one_format_alone_rejects_the_lines_of_the_others() {
    let combined = answers("shapes.log", vec![FormatSpec::Combined], QUERY, &[]);
    let rejects: Vec<usize> = (1..)
        .zip(&combined)
        .filter(|(_, said)| said.starts_with("reject"))
        .map(|(n, _)| n)
        .collect();
    assert_eq!(rejects, [2, 3, 4, 6, 9, 11], "{combined:#?}");
}

#[test]
fn what_traefik_adds_behind_the_combined_format_is_text() {
    check(
        &answers("traefik_clf.log", vec![FormatSpec::Combined], QUERY, &[]),
        &[
            r#"2021-12-08T09:16:05Z accepted ?172.17.0.1 ["old"]"#,
            r#"2021-12-08T08:16:06Z forbidden bob ["old"]"#,
            r#"2021-12-08T09:16:07Z accepted ?172.17.0.1 ["new"]"#, // status 0: given up
            "2021-12-08T09:16:08Z accepted ?172.17.0.1 []",
            "reject form", // it does not escape quotes
        ],
    );
}

#[test]
fn values_of_nginx_json_escapes_are_told_apart_whatever_they_hold() {
    let format = "log_format x escape=json '{\"t\":\"$msec\",\"client\":\"$http_x_client\",'\n\
        '\"k\":\"$http_k\",\"status\":$status,\"r\":\"$request\"}';";
    check(
        &answers("nginx_json.log", vec![nginx(format)], &["field:http_k"], &["http_x_client"]),
        &[
            r#"2015-05-17T10:05:03.25Z accepted checkout ["sk_old"]"#,
            r#"2015-05-17T10:05:04Z forbidden nobody ["sk_new"]"#,
            r#"2015-05-17T10:05:05Z accepted a\\\",\\\"k\\\":\\\"sk_new []"#,
            r#"2015-05-17T10:05:06Z failed x ["a\\\\\\\"b\\x01\\t"]"#,
            r"2015-05-17T10:05:07Z accepted caf\xc3\xa9\xff []",
            r#"2015-05-17T10:05:08Z accepted x ["sk_old"]"#, // status 000: given up
            "reject form",                                   // cut
        ],
    );
}

#[test]
fn the_last_value_of_a_line_may_hold_anything() {
    let format = "$msec $status $remote_addr $http_x_api_key";
    let places = ["field:http_x_api_key"];
    check(
        &answers("nginx_bare.log", vec![nginx(format)], &places, &["remote_addr"]),
        &[
            r#"2015-05-17T10:05:03.25Z accepted ?192.0.2.1 ["sk_old"]"#,
            r#"2015-05-17T10:05:04Z unauthenticated ?2001:db8::1 ["sk old with spaces"]"#,
            "2015-05-17T10:05:05Z accepted ?192.0.2.1 []",
            "2015-05-17T10:05:06Z accepted ?192.0.2.1 []",
            r#"2015-05-17T10:05:07Z accepted ?192.0.2.1 ["\\\"sk\\\"\\t\\xff"]"#,
            "reject form",
            r#"2015-05-17T10:05:09Z accepted ?192.0.2.1 ["sk_old"]"#,
            "reject time",
            "reject time",
        ],
    );
}

#[test]
fn a_custom_format_of_apache_is_read_with_its_escapes_and_pieces_of_a_time() {
    let format = "LogFormat \"%{%Y-%m-%dT%H:%M:%S}t.%{usec_frac}t%{%z}t %v:%p %h %u %>s \
        \\\"%400,200{X-Api-Key}i\\\" \\\"%r\\\"\" keys";
    let places = ["field:http_x_api_key"];
    check(
        &answers(
            "apache_custom.log",
            vec![apache(format)],
            &places,
            &["remote_user", "remote_addr"],
        ),
        &[
            // Apache writes two quotes for a user without a name.
            r#"2015-05-17T08:05:03.25Z accepted ?2001:db8::1 ["sk_old"]"#,
            r#"2015-05-17T08:05:04.000001Z unauthenticated a b ["sk\\\"old\\\\"]"#,
            r"2015-05-17T08:05:05.999999Z failed x\\ty []",
            r#"2015-05-17T08:05:59Z accepted ?192.0.2.1 ["sk_new"]"#,
            "reject time",
            "reject form",
            "reject form",
        ],
    );
}

#[test]
fn a_key_beside_other_free_text_is_read_where_no_space_hides_it() {
    let format = "$msec $http_x_client $http_k $status";
    check(
        &answers(
            "key_between_free.log",
            vec![nginx(format)],
            &["field:http_k"],
            &["http_x_client"],
        ),
        &[
            r#"2015-05-17T10:05:03.25Z accepted checkout ["sk_old"]"#,
            "reject form",
            r#"2015-05-17T10:05:05Z forbidden nobody ["sk_new"]"#,
            "reject form",
            r#"2015-05-17T10:05:07Z accepted nobody ["sk_old"]"#,
        ],
    );
}

//! Declared layouts: flags say the same as a config, every part changes the digest, and a consumer
//! map names who presents a key.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keydrain::cli::layout_flags::LayoutFlags;
use keydrain::config::Config;
use keydrain::engine::credential::{FingerprintSecret, RawKey};
use keydrain::engine::parse::consumer_map::{ConsumerMap, Pattern, PatternKind, Rule};
use keydrain::engine::parse::wrap::{Wrapper, Wrapping};
use keydrain::engine::parse::{
    FormatSpec, JsonSpec, Layout, LayoutError, LineParser, MAX_FORMATS, MAX_PLACES, Place,
    RejectReason, Scratch,
};
use keydrain::engine::policy::AnonymousConsumers;
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::scan::matcher::{ChunkContext, ChunkUsage, Matcher, TrackedKey};
use keydrain::engine::time::Timestamp;

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Reads the layout of a source with these lines.
fn from_config(lines: &str) -> Layout {
    let text = format!("[[source]]\nname = \"e\"\npaths = [\"/x\"]\n{lines}\n");
    let config = Config::parse(&text, Path::new("/k.toml"), &|_| None);
    config.unwrap_or_else(|error| panic!("{error}")).sources.remove(0).layout
}

#[test]
fn the_same_text_means_the_same_as_a_flag_and_in_a_config() {
    for format in [
        "\"combined\"",
        "\"common\"",
        "\"nginx:$msec \\\"$request\\\" $http_k\"",
        "\"apache:%t \\\"%r\\\" %{K}i\"",
        "{ nginx = '$msec \"$request\" $http_k' }",
        "{ apache = 'LogFormat \"%t \\\"%r\\\" %{K}i\" x' }",
        "{ json = { time = \"ts\", status = \"s\", credential = [\"a.0\", \"query:k\"], consumer = \"field:c\" } }",
        "[\"combined\", { nginx = '$msec \"$request\"' }, { json = { time = \"ts\" } }]",
    ] {
        let config = from_config(&format!(
            "format = {format}\ncredential = [\"query:k\"]\nzone = \"Europe/Berlin\"\n\
             wrapped = [\"syslog\", \"docker\"]"
        ));
        let flags = LayoutFlags {
            format: owned(&[format]),
            credential: owned(&["query:k"]),
            wrapped: owned(&["syslog", "docker"]),
            zone: Some("Europe/Berlin".to_owned()),
            ..LayoutFlags::default()
        };
        assert_eq!(flags.layout().expect(format), config, "{format}");
    }
    let plain = LayoutFlags {
        format: owned(&["nginx:$msec \"$request\" $http_k", "apache:%t \"%r\" '%{K}i' \\"]),
        credential: owned(&["field:http_k", "query:k"]),
        consumer: owned(&["field:request"]),
        wrapped: owned(&["none"]),
        ..LayoutFlags::default()
    };
    let config = from_config(
        "format = [{ nginx = '$msec \"$request\" $http_k' }, { apache = \"%t \\\"%r\\\" '%{K}i' \\\\\" }]\n\
         credential = [\"field:http_k\", \"query:k\"]\nconsumer = \"field:request\"\nwrapped = []",
    );
    assert_eq!(plain.layout().expect("valid"), config);
}

#[test]
fn the_parts_of_a_declared_layout_are_what_they_say() {
    let layout = from_config(
        "format = { json = { time = \"ts\", status = \"s\", credential = [\"a.0\", \"query:k\", \
         \"field:b\"], consumer = [\"c\", \"field:d\"] } }\nwrapped = [\"cri\", \"journald\"]\n\
         zone = \"Europe/Berlin\"",
    );
    let spec = JsonSpec {
        time: Some("ts".into()),
        status: Some("s".into()),
        credential: vec![
            Place::Field("a.0".into()),
            Place::Query("k".into()),
            Place::Field("b".into()),
        ],
        consumer: owned(&["c", "d"]),
    };
    assert_eq!(layout.formats, [FormatSpec::Json(spec)]);
    assert_eq!(layout.wrapping, Wrapping::Declared(vec![Wrapper::Cri, Wrapper::Journald]));
    assert_eq!(
        layout.zone.and_then(|zone| zone.iana_name().map(str::to_owned)),
        Some("Europe/Berlin".into())
    );
    assert_eq!(from_config("credential = \"query:k\"").wrapping, Wrapping::Detect);
}

/// What Apache's manual says of each directive, in the words that nginx has for it.
#[test]
fn every_directive_of_apache_has_a_name_that_a_place_can_be_declared_by() {
    let format = "%t %h %a %{c}a %A %l %u %m %U %q %H %s %<s %>s %b %B %O %I %S %D %T %{ms}T %f %k %L %p \
                  %{remote}p %{local}p %P %R %v %V %X %{Sid}C %{User}e %{X-Key}i %{Note}n %{Etag}o \
                  %{Via}^ti %{Sum}^to %^FB %{SSL_PROTOCOL}x %{cipher}c";
    let names = "time_local remote_addr remote_addr realip_remote_addr server_addr remote_logname \
                 remote_user request_method uri query server_protocol status original_status status \
                 body_bytes_sent body_bytes_sent bytes_sent bytes_received bytes_both request_time_us \
                 request_time request_time request_filename connection_requests log_id server_port \
                 remote_port server_port pid handler server_name host connection_status cookie_sid \
                 env_user http_x_key note_note sent_http_etag trailer_via sent_trailer_sum \
                 first_byte_time ssl_protocol ssl_cipher";
    let layout = Layout::new(FormatSpec::Apache(format.into()), Vec::new(), Vec::new());
    let parser = LineParser::without_key(&layout).expect("all of them are known");
    assert_eq!(parser.field_names().collect::<Vec<_>>(), names.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_backslash_at_the_end_of_a_format_of_apache_does_not_escape_its_quote() {
    let format = r#"LogFormat "%t %>s %h \\" mine"#;
    let layout = Layout::new(FormatSpec::Apache(format.into()), Vec::new(), Vec::new());
    let parser = LineParser::without_key(&layout).expect("it ends before its name");
    assert_eq!(parser.field_names().collect::<Vec<_>>(), ["time_local", "status", "remote_addr"]);
}

#[test]
fn as_many_formats_and_places_as_may_be_are_taken_and_one_more_is_refused() {
    let layout = |formats: usize, places: usize| {
        let places = (0..places).map(|n| Place::Query(format!("k{n}"))).collect();
        let layout = Layout::new(FormatSpec::Combined, places, Vec::new());
        LineParser::compile(&Layout { formats: vec![FormatSpec::Combined; formats], ..layout })
    };
    assert!(layout(MAX_FORMATS, MAX_PLACES).is_ok());
    assert_eq!(layout(MAX_FORMATS + 1, 1).err(), Some(LayoutError::Formats(MAX_FORMATS + 1)));
    assert_eq!(layout(0, 1).err(), Some(LayoutError::Formats(0)));
    assert_eq!(layout(1, MAX_PLACES + 1).err(), Some(LayoutError::TooManyPlaces(MAX_PLACES + 1)));
}

#[test]
fn as_many_paths_as_may_be_are_read_and_one_more_is_refused() {
    let compile = |consumers: usize| {
        let spec = JsonSpec { time: Some("ts".into()), ..JsonSpec::default() };
        let consumers = (0..consumers).map(|number| format!("c{number}")).collect();
        LineParser::compile(&Layout::new(
            FormatSpec::Json(spec),
            vec![Place::Field("key".into())],
            consumers,
        ))
    };
    let parser = compile(62).expect("64 paths");
    let mut scratch = Scratch::default();
    let event = parser.parse(br#"{"ts":1,"key":"k","c61":"last"}"#, &mut scratch);
    let event = event.expect("an event");
    assert_eq!(
        (event.keys.first().copied(), event.consumer),
        (Some(&b"k"[..]), Some((&b"last"[..], true)))
    );
    assert_eq!(compile(63).err(), Some(LayoutError::TooManyPaths(65)));
}

#[test]
fn a_parameter_is_refused_whose_name_no_query_can_hold() {
    let json = || JsonSpec { time: Some("ts".into()), ..JsonSpec::default() };
    for name in ["a&b", "a=", "#", "a b", "\t"] {
        for format in [FormatSpec::Json(json()), FormatSpec::Combined] {
            let places = vec![Place::Query(name.into())];
            let refused = LineParser::compile(&Layout::new(format, places, Vec::new())).err();
            assert_eq!(refused, Some(LayoutError::QueryName { name: name.into() }));
        }
    }
}

#[test]
fn a_json_format_keeps_its_own_places_beside_other_formats() {
    let layout = from_config(
        "format = [{ json = { time = \"ts\", credential = \"key\" } }, { nginx = '$msec $http_k' }]\n\
         credential = \"field:http_k\"",
    );
    let parser = LineParser::compile(&layout).expect("valid");
    let mut scratch = Scratch::default();
    let mut key = |line: &str| {
        let event = parser.parse(line.as_bytes(), &mut scratch).expect("an event");
        event.keys.first().map(|key| String::from_utf8_lossy(key).into_owned())
    };
    assert_eq!(key(r#"{"ts":1.5,"key":"J","http_k":"other"}"#).as_deref(), Some("J"));
    assert_eq!(key("1.500 N").as_deref(), Some("N"));
}

#[test]
fn of_two_formats_the_one_that_fits_further_says_what_is_wrong() {
    let spec = JsonSpec { time: Some("ts".into()), ..JsonSpec::default() };
    let (json, text) = (FormatSpec::Json(spec), FormatSpec::Nginx("$msec $http_k".into()));
    for formats in [[json.clone(), text.clone()], [text, json]] {
        let layout = Layout::new(FormatSpec::Combined, Vec::new(), Vec::new());
        let parser = LineParser::without_key(&Layout { formats: formats.to_vec(), ..layout });
        let parser = parser.expect("valid");
        for (line, reason) in [
            ("", RejectReason::Form),
            ("x", RejectReason::Json),
            ("{\"ts\":1", RejectReason::Json),
            ("x k", RejectReason::Time),
            ("{\"ts\":\"x\"}", RejectReason::Time),
        ] {
            let refused = parser.parse(line.as_bytes(), &mut Scratch::default()).err();
            assert_eq!(refused, Some(reason), "{line}");
            assert_eq!(parser.fields(line.as_bytes()).is_err(), reason != RejectReason::Time);
        }
    }
}

#[test]
fn row_32_the_default_lateness_knows_which_servers_stamp_the_start_of_a_request() {
    let lateness = |format: &str| {
        let layout = from_config(&format!("format = {format}\ncredential = \"query:k\""));
        LineParser::compile(&layout).expect("valid").default_lateness()
    };
    let (end, start) = (Duration::from_secs(30), Duration::from_secs(330));
    assert_eq!(lateness("\"combined\""), end);
    assert_eq!(lateness("{ nginx = '$msec \"$request\"' }"), end);
    assert_eq!(lateness("\"common\""), start);
    assert_eq!(lateness("{ apache = '%t \"%r\"' }"), start);
    assert_eq!(lateness("{ apache = '%{begin:sec}t \"%r\"' }"), start);
    assert_eq!(lateness("{ apache = '%{end:sec}t \"%r\"' }"), end);
    assert_eq!(lateness("{ apache = '%t %{end:sec}t \"%r\"' }"), start);
    assert_eq!(lateness("{ json = { time = \"ts\" } }"), start);
    assert_eq!(lateness("{ json = {} }\nwrapped = \"docker\""), end);
    assert_eq!(lateness("[\"combined\", { json = { time = \"ts\" } }]"), start);
}

fn digest(lines: &str) -> String {
    let map = format!("format = {{ json = {{ time = \"ts\", credential = \"a\" }} }}\n{lines}");
    LineParser::compile(&from_config(&map)).expect("valid").layout_digest()
}

#[test]
fn a_digest_changes_with_zone_wrappers_formats_and_every_part_of_a_consumer_map() {
    let rule =
        |name: &str, pattern: &str| format!("[[consumer_map]]\nname = {name:?}\n{pattern}\n");
    let json = |fields: &str| {
        let lines = format!("format = {{ json = {{ {fields} }} }}");
        LineParser::compile(&from_config(&lines)).expect("valid").layout_digest()
    };
    let two = [rule("a", "cidr = \"10.0.0.0/8\""), rule("b", "prefix = \"x\"")];
    let digests = [
        digest(""),
        digest("zone = \"Europe/Berlin\""),
        digest("zone = \"UTC\""),
        digest("wrapped = []"),
        digest("wrapped = \"docker\""),
        digest("wrapped = [\"docker\", \"syslog\"]"),
        digest("wrapped = [\"syslog\", \"docker\"]"),
        digest(&rule("a", "cidr = \"10.0.0.0/8\"")),
        digest(&rule("b", "cidr = \"10.0.0.0/8\"")),
        digest(&rule("a", "cidr = \"10.0.0.0/9\"")),
        digest(&rule("a", "cidr = [\"10.0.0.0/8\", \"192.168.0.0/16\"]")),
        digest(&rule("a", "prefix = \"x\"")),
        digest(&rule("a", "glob = \"x\"")),
        digest(&rule("a", "regex = \"x\"")),
        digest(&two.concat()),
        digest(&format!("{}{}", two[1], two[0])),
        json("time = \"ts\", credential = \"b\""),
        json("time = \"t\", credential = \"a\""),
        json("time = \"ts\", status = \"s\", credential = \"a\""),
        json("time = \"ts\", credential = \"a\", consumer = \"c\""),
        json("time = \"ts\", credential = [\"a\", \"query:k\"]"),
    ];
    for (index, digest) in digests.iter().enumerate() {
        assert_eq!(digests.iter().position(|other| other == digest), Some(index));
    }
    // What is no part of how this source is read changes nothing.
    let other = rule("a", "cidr = \"10.0.0.0/8\"\nsources = [\"f\"]");
    let second = "[[source]]\nname = \"f\"\npaths = [\"/y\"]\ncredential = \"query:k\"\n";
    assert_eq!(digest(&format!("{second}{other}")), digests[0]);
    // Written to the state: it must not change between versions.
    assert_eq!(digest(&rule("a", "cidr = \"10.0.0.0/8\"")), "13862b18e59878f5");
}

const ARRIVAL: i64 = 10_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Counts the key OLD in lines of `TIME KEY USER ADDRESS` with this map.
fn scan(rules: &[(&str, PatternKind, &str)], text: &str) -> ChunkUsage {
    let rules = rules.iter().map(|(name, kind, pattern)| Rule {
        name: (*name).to_owned(),
        patterns: vec![Pattern::new(*kind, pattern).expect("a pattern")],
    });
    let mut layout = Layout::new(
        FormatSpec::Nginx("$msec $http_k \"$remote_user\" $remote_addr".into()),
        vec![Place::Field("http_k".into())],
        owned(&["remote_user", "remote_addr"]),
    );
    layout.consumer_map = ConsumerMap::new(rules.collect());
    let secret = Arc::new(FingerprintSecret::new(b"pepper".to_vec()));
    let raw = Some(RawKey::new(b"OLD".to_vec()));
    let old = TrackedKey {
        fingerprint: secret.fingerprint(b"OLD"),
        raw,
        anonymous: AnonymousConsumers::Pooled,
    };
    let parser = LineParser::compile(&layout).expect("valid");
    let context = ChunkContext {
        arrival: at(ARRIVAL),
        frontier: None,
        last_event: None,
        open_rejects: OpenRejects::default(),
        allowed_lateness: Duration::from_secs(30),
        future_tolerance: Duration::from_mins(1),
    };
    Matcher::new(parser, vec![old], secret).scan(text.as_bytes(), &context)
}

/// Returns each consumer with whether it is named and its number of lines.
fn consumers(usage: &ChunkUsage) -> Vec<(&str, bool, u64)> {
    let count = |cell: &keydrain::engine::usage::UsageCell| cell.tally.counts.iter().sum();
    let cells = usage.cells.iter();
    cells.map(|cell| (cell.consumer.as_str(), cell.consumer.is_named(), count(cell))).collect()
}

const LINES: &str = "60.000 OLD \"-\" 10.0.1.7\n60.000 OLD \"-\" 10.0.1.8\n\
                     60.000 OLD \"-\" 192.0.2.1\n60.000 OLD \"-\" 192.0.2.2\n\
                     60.000 OLD \"ann\" 10.0.1.7\n60.000 OLD \"pay-1\" 192.0.2.1\n\
                     60.000 OLD \"pay-2\" 192.0.2.1\n60.000 OLD \"-\" 10.0.1.7\n\
                     60.000 other \"-\" 10.0.1.9\n";

#[test]
fn an_address_in_the_map_is_named_and_one_outside_stays_anonymous() {
    use PatternKind::{Cidr, Prefix};
    let without = scan(&[], LINES);
    let raw = [("ann", true, 1), ("pay-1", true, 1), ("pay-2", true, 1), ("anonymous", false, 5)];
    assert_eq!(consumers(&without), raw);
    let with = scan(&[("checkout", Cidr, "10.0.1.0/24"), ("payments", Prefix, "pay-")], LINES);
    let mapped =
        [("ann", true, 1), ("checkout", true, 3), ("payments", true, 2), ("anonymous", false, 2)];
    assert_eq!(consumers(&with), mapped);
    assert_eq!(with.other_keys, 1);
}

#[test]
fn of_two_rules_that_fit_the_first_names_the_consumer() {
    use PatternKind::{Cidr, Glob};
    let named = |rules: &[(&str, PatternKind, &str)]| {
        let usage = scan(rules, "60.000 OLD \"-\" 10.0.1.7\n");
        usage.cells[0].consumer.as_str().to_owned()
    };
    let (host, all) = (("host", Cidr, "10.0.1.7"), ("all", Glob, "*"));
    assert_eq!(named(&[host, all]), "host");
    assert_eq!(named(&[all, host]), "all");
}

#[test]
fn a_mapped_name_and_the_same_name_in_the_log_are_one_consumer() {
    let usage = scan(
        &[("ann", PatternKind::Cidr, "10.0.1.7")],
        "60.000 OLD \"-\" 10.0.1.7\n60.000 OLD \"ann\" 192.0.2.1\n",
    );
    assert_eq!(consumers(&usage), [("ann", true, 2)]);
}

//! The fuzz targets, replayed: the seeds and findings in `fuzz/seeds/`, and random bytes.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no seed", folder.display());
    for file in files {
        run(&std::fs::read(&file).expect("a readable seed"));
    }
}

#[test]
fn seeds_of_text_logs_are_read() {
    replay("text", targets::text);
}

#[test]
fn seeds_of_json_logs_are_read() {
    replay("json", targets::json);
}

#[test]
fn seeds_of_cloudtrail_are_read() {
    replay("cloudtrail", targets::cloudtrail);
}

#[test]
fn seeds_of_wrapped_logs_are_read() {
    replay("wrapped", targets::wrapped);
}

#[test]
fn seeds_of_packed_files_are_read() {
    replay("decompress", targets::decompress::run);
}

#[test]
fn seeds_of_format_strings_are_compiled() {
    replay("layout", targets::layout::run);
}

#[test]
fn seeds_of_times_are_read() {
    replay("times", targets::times::run);
}

#[test]
fn seeds_of_schedules_are_walked() {
    replay("schedule", targets::schedule::run);
}

#[test]
fn seeds_of_json_paths_are_found() {
    replay("json_paths", targets::json_paths::run);
}

/// Pieces of logs that come near a format, and bytes that come near nothing.
fn near_a_log() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 28] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b",",
        b":",
        b"\n",
        b"\r\n",
        b" ",
        b"-",
        b"null",
        b"{\"Records\":[",
        b"\"eventTime\":\"2024-05-01T00:00:00Z\"",
        b"\"eventID\":\"e\"",
        b"\"userIdentity\":{\"accessKeyId\":\"AKIAEXAMPLE\"}",
        b"\"ts\":1714521600",
        b"\"key\":\"k\"",
        b"{\"log\":\"",
        b"\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-01T00:00:00Z\"}",
        b"2024-05-01T00:00:00Z stdout P ",
        b"2024-05-01T00:00:00Z stderr F ",
        b"<13>1 ",
        b"192.0.2.1 - - [01/May/2024:00:00:00 +0000] ",
        b"\"GET /?api_key=k HTTP/1.1\" 200 5 ",
        b"\"-\" \"-\"",
        b"1714521600.000 200 192.0.2.1 k",
    ];
    let piece = prop_oneof![
        6 => prop::sample::select(PIECES.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    (any::<u8>(), prop::collection::vec(piece, 0..40))
        .prop_map(|(choice, pieces)| [&[choice][..], &pieces.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_text_log_breaks_the_reader(log in near_a_log()) {
        targets::text(&log);
    }

    #[test]
    fn no_json_log_breaks_the_reader(log in near_a_log()) {
        targets::json(&log[1..]);
    }

    #[test]
    fn no_cloudtrail_document_breaks_the_reader(log in near_a_log()) {
        targets::cloudtrail(&log[1..]);
    }

    #[test]
    fn no_wrapped_log_breaks_the_reader(log in near_a_log()) {
        targets::wrapped(&log[1..]);
    }

    #[test]
    fn no_packed_file_breaks_the_reader(
        text in prop::collection::vec(any::<u8>(), 0..300),
        gzip in any::<bool>(),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = if gzip { packed(&text) } else { text };
        if let Some((at, byte)) = damage && !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        targets::decompress::run(&bytes);
    }

    #[test]
    fn no_format_string_breaks_the_compiler(
        choice in any::<u8>(),
        pieces in prop::collection::vec(near_a_format(), 0..12),
        log in near_a_log(),
    ) {
        targets::layout::run(&[&[choice][..], pieces.concat().as_bytes(), b"\n", &log].concat());
        targets::layout::run(&[&[choice | 2][..], &log].concat());
    }

    #[test]
    fn no_time_is_read_otherwise_than_jiff_reads_it(text in prop_oneof![
        "[0-9]{1,20}",
        "20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{1,11})?(Z|[+-][0-9]{2}:?[0-9]{2})?",
        "[0-9]{2}/(Jan|Feb|Dec|Foo)/20[0-9]{2}:[0-9]{2}:[0-9]{2}:[0-9]{2} ?[+-][0-9]{4}",
        "[0-9TZ:/.,eE+| -]{0,30}",
    ]) {
        targets::times::run(text.as_bytes());
    }

    #[test]
    fn no_schedule_ends_the_walk(
        zone in prop::sample::select(vec!["", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "x"]),
        text in "\\PC{0,30}|[0-9*/,@#LWH -]{0,30}|([0-9*/,-]{1,6} ){4}[0-9a-z*/,-]{1,6}",
        at in any::<i64>(),
    ) {
        targets::schedule::run(&[&at.to_be_bytes()[..], format!("{zone}\n{text}").as_bytes()].concat());
    }

    #[test]
    fn no_path_finds_anything_else_than_serde_json_does(
        path in prop::collection::vec(prop::sample::select(vec![
            "a", "key", "message", "log", "0", "1", "00", "\"a.b\"", "[0]", "[\"a\"]", "", "\"",
        ]), 1..4),
        text in near_json(),
    ) {
        targets::json_paths::run(format!("{}\n{text}", path.join(".")).as_bytes());
    }
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

/// Pieces of format strings.
fn near_a_format() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "$remote_addr",
        "$time_local",
        "$msec",
        "${request}",
        "$http_x_api_key",
        "$upstream_addr",
        "$status",
        "$",
        "${",
        "}",
        "%h",
        "%t",
        "%{X-Api-Key}i",
        "%{%s}t",
        "%{msec}t",
        "%r",
        "%>s",
        "%!200,304{Referer}i",
        "%%",
        "%",
        "\"",
        "\\\"",
        "\\",
        " ",
        "[",
        "]",
        " - ",
        "'",
        ";",
        "\t",
        "escape=json ",
        "escape=none ",
        "log_format x ",
        "LogFormat \"",
        "# ",
        "\u{e9}",
    ])
}

/// JSON texts and what is nearly one.
fn near_json() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-0",
        "01",
        "1e5",
        "1.50",
        "true",
        "null",
        "\"x\"",
        "\"\"",
        "\"-\"",
        "\"\\u0041\\n\"",
        "\"{\\\"a\\\":1}\"",
        "\"[1,{\\\"key\\\":\\\"k\\\"}]\"",
        "\"{\\\"a\\\":1\"",
        "[]",
        "{}",
        "x",
        "[1,]",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 20, 4, |inner| {
        let name = prop::sample::select(vec!["a", "key", "message", "log", "0", "\\u0061"]);
        let member = (name, inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            3 => prop::collection::vec(member, 0..5).prop_map(|all| format!("{{{}}}", all.join(","))),
            1 => prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(","))),
        ]
    })
}

//! The fuzz targets, replayed: the seeds and findings in `fuzz/seeds/`, and random bytes.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

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
}

//! What `scan` answers: golden answers of small hostile logs, inputs that fail, and the laws.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Parser;
use keydrain::cli::{Exit, Failure, scan};
use keydrain::engine::credential::FingerprintSecret;
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: scan::Args,
}

/// Runs `scan` with the flags in `flags`; returns exit code, stdout and stderr.
fn run(files: &[&Path], flags: &[&str]) -> Result<(Exit, String, String), Failure> {
    let files = files.iter().map(|file| file.to_str().expect("UTF-8"));
    let arguments = ["scan"].into_iter().chain(files).chain(flags.iter().copied());
    let cli = Cli::try_parse_from(arguments).expect("valid flags");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = scan::run(&cli.args, None, false, &mut out, &mut err)?;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ok((exit, text(out), text(err)))
}

fn scan_json(files: &[&Path], flags: &[&str]) -> (Exit, Value) {
    let flags = [flags, &["--output", "json"]].concat();
    let (exit, out, _) = run(files, &flags).expect("an answer");
    (exit, serde_json::from_str(&out).expect("JSON"))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scan").join(name)
}

const COMBINED: [&str; 3] = ["--credential", "query:api_key", "--public"];

const KEY_NAME: [&str; 5] = [
    "--format",
    "{ nginx = '$msec $remote_addr \"$key_name\" \"$http_x_client\" $status' }",
    "--credential",
    "field:key_name",
    "--public",
];

fn usage_row(window: &str, key: &str, consumer: Option<&str>, counts: [u64; 3]) -> Value {
    let [accepted, denied, failed] = counts;
    json!({"window": window, "key": key, "consumer": consumer,
        "accepted": accepted, "denied": denied, "failed": failed})
}

#[test]
fn a_hostile_combined_log_has_the_golden_answer() {
    let path = fixture("combined.log");
    let (exit, answer) = scan_json(&[&path], &COMBINED);
    let key = |key: &str, first: &str, last: &str, counts: [u64; 3], consumers: u64| {
        let [accepted, denied, failed] = counts;
        json!({"key": key, "hint": null, "first_seen": first, "last_seen": last,
            "accepted": accepted, "denied": denied, "failed": failed, "consumers": consumers})
    };
    let (old, new) = ("sk_live_0000000000000OLD1", "sk_live_0000000000000NEW1");
    let expected = json!({
        "schema": "keydrain/scan/v1",
        "bytes": std::fs::metadata(&path).expect("exists").len(),
        "lines": 14, "events": 6, "keyless": 3, "duplicates": 0,
        "rejects": {"total": 5, "by_reason": {"form": 3, "time": 1, "status": 1}},
        "incomplete": [],
        "first_event": "2015-05-17T10:05:03Z", "last_event": "2015-05-17T11:00:08Z",
        "keys": [
            key("short+k", "2015-05-17T10:06:00Z", "2015-05-17T11:00:08Z", [1, 1, 1], 3),
            key(new, "2015-05-17T10:05:59Z", "2015-05-17T10:05:59Z", [1, 0, 0], 1),
            key(old, "2015-05-17T10:05:03Z", "2015-05-17T10:05:09Z", [1, 1, 0], 1),
        ],
        "usage": [
            usage_row("2015-05-17T10:05:00Z", new, Some("192.0.2.2"), [1, 0, 0]),
            usage_row("2015-05-17T10:05:00Z", old, Some("checkout"), [1, 1, 0]),
            usage_row("2015-05-17T10:06:00Z", "short+k", Some("192.0.2.2"), [0, 0, 1]),
            usage_row("2015-05-17T11:00:00Z", "short+k", Some("a [01/Jan/2000:00:00:00 +0000] b"), [0, 1, 0]),
            usage_row("2015-05-17T11:00:00Z", "short+k", Some("caf\\xE9"), [1, 0, 0]),
        ],
    });
    assert_eq!(answer, expected);
    assert_eq!(exit, Exit::Ok);
}

#[test]
fn a_log_of_key_names_has_the_golden_answer() {
    let flags = [&KEY_NAME[..], &["--consumer", "field:http_x_client", "--by", "day"]].concat();
    let (_, answer) = scan_json(&[&fixture("key_name.log")], &flags);
    assert_eq!(answer["first_event"], "2015-05-17T10:05:03.25Z");
    assert_eq!(answer["rejects"]["by_reason"], json!({"form": 1}));
    assert_eq!((&answer["events"], &answer["keyless"]), (&json!(4), &json!(1)));
    let day = "2015-05-17T00:00:00Z";
    let expected = json!([
        usage_row(day, "2025-q4", None, [0, 1, 0]),
        usage_row(day, "2025-q4", Some("checkout"), [1, 0, 0]),
        usage_row(day, "2026-q1", Some(r"check\x22 \x22out"), [0, 0, 1]),
        usage_row(day, "2026-q1", Some("checkout"), [1, 0, 0]),
    ]);
    assert_eq!(answer["usage"], expected);
    assert_eq!(answer["keys"][0]["consumers"], 1, "an absent consumer is none");
}

#[test]
fn pooled_consumers_are_still_counted_per_key() {
    let flags = [&COMBINED[..], &["--group", "key", "--by", "hour"]].concat();
    let (_, answer) = scan_json(&[&fixture("combined.log")], &flags);
    let last = usage_row("2015-05-17T11:00:00Z", "short+k", None, [1, 1, 0]);
    assert_eq!(answer["usage"].as_array().and_then(|rows| rows.last()), Some(&last));
    assert_eq!(answer["keys"][0]["consumers"], 3);
}

#[test]
fn since_is_inside_and_until_is_outside() {
    let flags =
        [&COMBINED[..], &["--since", "2015-05-17T10:05:09Z", "--until", "2015-05-17T10:06:00Z"]];
    let (_, answer) = scan_json(&[&fixture("combined.log")], &flags.concat());
    assert_eq!((&answer["events"], &answer["lines"]), (&json!(2), &json!(7)));
    assert_eq!(answer["first_event"], "2015-05-17T10:05:09Z");
    assert_eq!(answer["last_event"], "2015-05-17T10:05:59Z");
}

#[test]
fn a_secret_shows_as_its_fingerprint_and_nowhere_else() {
    let state = tempfile::tempdir().expect("temp dir");
    let dir = state.path().join("new").to_str().expect("UTF-8").to_owned();
    for output in ["json", "csv", "table"] {
        let flags =
            ["--credential", "query:api_key", "--state", &dir, "--output", output, "--top", "2"];
        let (_, out, err) = run(&[&fixture("combined.log")], &flags).expect("an answer");
        let secret = std::fs::read(Path::new(&dir).join("fingerprint.key")).expect("made");
        let secret = FingerprintSecret::new(secret.trim_ascii().to_vec());
        let old = secret.fingerprint(b"sk_live_0000000000000OLD1").to_string();
        assert!(out.contains(&old), "{output}: {out}");
        assert!(!out.contains("0000000000000") && !err.contains("0000000000000"), "{output}");
        assert!(!out.contains("short+k"), "{output}");
        if output == "json" {
            assert!(out.contains(r#""hint":"sk_live_…OLD1""#) && out.contains(r#""hint":null"#));
        }
    }
}

#[test]
fn the_fingerprint_secret_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let state = tempfile::tempdir().expect("temp dir");
    let dir = state.path().to_str().expect("UTF-8");
    run(&[&fixture("combined.log")], &["--credential", "query:api_key", "--state", dir])
        .expect("an answer");
    let metadata = std::fs::metadata(state.path().join("fingerprint.key")).expect("made");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_table_and_the_csv_say_the_same_in_their_way() {
    let (_, csv, _) =
        run(&[&fixture("combined.log")], &[&COMBINED[..], &["--output", "csv"]].concat())
            .expect("an answer");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("window,key,consumer,accepted,denied,failed"));
    assert_eq!(
        lines.next(),
        Some("2015-05-17T10:05:00Z,sk_live_0000000000000NEW1,192.0.2.2,1,0,0")
    );
    assert_eq!(lines.count(), 4);
    let (_, table, remarks) =
        run(&[&fixture("combined.log")], &[&COMBINED[..], &["--top", "1"]].concat())
            .expect("an answer");
    assert!(table.starts_with("14 lines: 6 with a key, 3 without, 5 rejected\n"), "{table}");
    assert!(table.contains("… and 2 more keys") && table.contains("… and 4 more rows"), "{table}");
    assert!(remarks.contains("(form 3, time 1, status 1)"), "{remarks}");
}

/// A line of an access log: user `user` presents `key`.
fn line(user: &str, key: &str) -> String {
    format!(
        "192.0.2.1 - {user} [17/May/2015:10:05:03 +0000] \"GET /?api_key={key} HTTP/1.1\" 200 5 \
         \"-\" \"-\"\n"
    )
}

fn scan_text(text: impl AsRef<[u8]>, flags: &[&str]) -> String {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("a.log");
    std::fs::write(&path, text).expect("written");
    run(&[&path], &[&COMBINED[..], flags].concat()).expect("an answer").1
}

/// The table once took a walk over all keys for each key: a spray of guesses never ended.
#[test]
fn a_spray_of_keys_is_a_table() {
    let guesses = (0..100_000).map(|number| line("mallory", &format!("guess{number}")));
    let text: String = guesses.chain((0..3).map(|_| line("ann", "real"))).collect();
    let table = scan_text(text, &["--top", "2"]);
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("100003 lines: 100003 with a key, 0 without, 0 rejected"));
    let real = lines.find(|line| line.starts_with("real ")).expect("the most used first");
    let columns: Vec<&str> = real.split_whitespace().collect();
    assert_eq!(columns[4..], ["3", "0", "0", "1"]);
    assert!(table.contains("\n… and 99999 more keys: --top, --output json\n"), "{table}");
    assert!(table.contains("\n… and 99999 more rows: --top, --output json\n"), "{table}");
}

#[test]
fn one_more_key_is_no_more_keys() {
    let table = scan_text(line("ann", "A") + &line("ann", "B"), &["--top", "1"]);
    assert!(table.contains("… and 1 more key:") && table.contains("… and 1 more row:"), "{table}");
    let table = scan_text(line("ann", "A"), &["--top", "1"]);
    assert!(!table.contains('…'), "{table}");
}

#[test]
fn a_consumer_that_hides_or_turns_text_is_escaped_in_the_table_alone() {
    let name = "check\u{202e}tuo\u{200b}";
    let table = scan_text(line(name, "A"), &[]);
    assert!(table.contains("  check\\u{202e}tuo\\u{200b}  "), "{table}");
    assert!(!table.contains(['\u{202e}', '\u{200b}']), "{table}");
    assert!(scan_text(line(name, "A"), &["--output", "csv"]).contains(name));
}

#[test]
fn two_spellings_that_show_as_one_consumer_are_one() {
    let written = line("caf\\xE9", "A").into_bytes();
    // An X is nowhere else in the line.
    let raw: Vec<u8> =
        line("cafX", "A").bytes().map(|byte| if byte == b'X' { 0xe9 } else { byte }).collect();
    let answer: Value =
        serde_json::from_str(&scan_text([written, raw].concat(), &["--output", "json"]))
            .expect("JSON");
    assert_eq!(answer["keys"][0]["consumers"], 1);
    let row = usage_row("2015-05-17T10:05:00Z", "A", Some("caf\\xE9"), [2, 0, 0]);
    assert_eq!(answer["usage"], json!([row]));
}

#[test]
fn combined_without_a_place_of_the_key_is_a_usage_error_that_says_what_to_add() {
    let failure = run(&[&fixture("combined.log")], &["--public"]).expect_err("no place");
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.contains("--credential query:api_key"), "{failure}");
}

#[test]
fn a_file_named_twice_is_read_once() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (path, link) = (dir.path().join("a.log"), dir.path().join("b.log"));
    std::fs::copy(fixture("combined.log"), &path).expect("copied");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let (_, once) = scan_json(&[&path], &COMBINED);
    let (exit, twice) = scan_json(&[&path, &link, &path], &COMBINED);
    assert_eq!((exit, twice), (Exit::Ok, once));
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn gzip_gives_the_answer_of_the_file_whatever_its_name_and_members() {
    let dir = tempfile::tempdir().expect("temp dir");
    let text = std::fs::read(fixture("combined.log")).expect("a fixture");
    let path = dir.path().join("access.log.2");
    let (head, tail) = text.split_at(500);
    std::fs::write(&path, [gzip(head), gzip(tail)].concat()).expect("written");
    assert_eq!(scan_json(&[&path], &COMBINED), scan_json(&[&fixture("combined.log")], &COMBINED));
}

#[test]
fn input_that_cannot_be_read_to_its_end_is_named_and_the_rest_is_counted() {
    let dir = tempfile::tempdir().expect("temp dir");
    let text = std::fs::read(fixture("combined.log")).expect("a fixture");
    let cut = dir.path().join("cut.gz");
    let packed = gzip(&text);
    std::fs::write(&cut, &packed[..packed.len() - 9]).expect("written");
    let (whole, missing) = (fixture("key_name.log"), dir.path().join("missing.log"));
    let flags = KEY_NAME;
    let (exit, answer) = scan_json(&[&missing, &cut, &whole], &flags);
    assert_eq!(exit, Exit::Unknown);
    let names = [&cut, &missing].map(|path| path.to_str().expect("UTF-8"));
    assert_eq!(answer["incomplete"], json!(names));
    assert_eq!(answer["events"], 4);
}

#[test]
fn half_a_line_at_a_cut_is_not_counted() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("cut.gz");
    // Stored, so that the cut falls where it is wanted: into the last key's name.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(b"1.000 first\n2.000 second-key").expect("in memory");
    let packed = encoder.finish().expect("in memory");
    std::fs::write(&path, &packed[..packed.len() - 8 - 4]).expect("written");
    let flags = ["--format", "nginx:$msec $key_name", "--credential", "field:key_name", "--public"];
    let (exit, answer) = scan_json(&[&path], &flags);
    assert_eq!(exit, Exit::Unknown);
    assert_eq!(answer["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["keys"][0]["key"], "first");
}

#[test]
fn an_over_long_line_is_one_reject() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("long.log");
    let text = std::fs::read(fixture("combined.log")).expect("a fixture");
    let long = vec![b'a'; 3 << 20];
    std::fs::write(&path, [&long[..], b"\n", &text].concat()).expect("written");
    let (_, answer) = scan_json(&[&path], &COMBINED);
    assert_eq!(answer["rejects"]["by_reason"]["too_long"], 1);
    assert_eq!((&answer["lines"], &answer["events"]), (&json!(15), &json!(6)));
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec!["A", "B", "-", "", "%41", "a b"]);
    let user = prop::sample::select(vec!["-", "ann", "x [y", "a - b"]);
    let status = prop::sample::select(vec!["200", "401", "500", "-", "bad"]);
    let event = (key, user, status, 0..3u8).prop_map(|(key, user, status, minute)| {
        format!(
            "192.0.2.1 - {user} [17/May/2015:10:0{minute}:00 +0000] \
             \"GET /?api_key={key} HTTP/1.1\" {status} 5 \"-\" \"-\""
        )
        .into_bytes()
    });
    prop_oneof![4 => event, 1 => prop::collection::vec(any::<u8>(), 0..30)]
}

/// A log, and the number of its lines.
fn any_log() -> impl Strategy<Value = (Vec<u8>, u64)> {
    (prop::collection::vec(any_line(), 0..30), any::<bool>()).prop_map(|(lines, ended)| {
        let mut text = lines.join(&b'\n');
        if ended && !text.is_empty() {
            text.push(b'\n');
        }
        // The oracle: one line per LF, and one more for what follows the last.
        let ends = memchr::memchr_iter(b'\n', &text).count() as u64;
        let open = u64::from(text.last().is_some_and(|&byte| byte != b'\n'));
        (text, ends + open)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_line_is_an_event_keyless_or_a_reject((text, lines) in any_log()) {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("log");
        std::fs::write(&path, &text).expect("written");
        let (_, answer) = scan_json(&[&path], &COMBINED);
        let number = |value: &Value| value.as_u64().expect("a count");
        prop_assert_eq!(number(&answer["lines"]), lines);
        prop_assert_eq!(number(&answer["bytes"]), text.len() as u64);
        let rejects = number(&answer["rejects"]["total"]);
        let sum = number(&answer["events"]) + number(&answer["keyless"])
            + number(&answer["duplicates"]) + rejects;
        prop_assert_eq!(sum, lines);
        let total = |rows: &Value| -> u64 {
            let rows = rows.as_array().expect("rows");
            rows.iter().flat_map(|row| ["accepted", "denied", "failed"].map(|name| number(&row[name]))).sum()
        };
        prop_assert_eq!(total(&answer["usage"]), number(&answer["events"]));
        prop_assert_eq!(total(&answer["keys"]), number(&answer["events"]));
    }

    #[test]
    fn cutting_a_log_into_files_or_packing_it_changes_no_count(
        (text, _) in any_log(), cut in 0usize..30,
    ) {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = |name: &str| dir.path().join(name);
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        let (head, tail) = lines.split_at(cut.min(lines.len()));
        std::fs::write(path("whole"), &text).expect("written");
        std::fs::write(path("packed"), gzip(&text)).expect("written");
        std::fs::write(path("head"), head.concat()).expect("written");
        std::fs::write(path("tail"), tail.concat()).expect("written");
        let whole = scan_json(&[&path("whole")], &COMBINED);
        prop_assert_eq!(&scan_json(&[&path("packed")], &COMBINED), &whole);
        prop_assert_eq!(&scan_json(&[&path("tail"), &path("head")], &COMBINED), &whole);
    }
}

#[test]
fn a_time_of_the_flags_may_be_a_day_or_how_long_ago() {
    let path = fixture("combined.log");
    let events = |flags: &[&str]| {
        let (_, answer) = scan_json(&[&path], &[&COMBINED, flags].concat());
        answer["events"].as_u64().expect("a number")
    };
    let all = events(&[]);
    assert_eq!(events(&["--since", "2015-05-17", "--until", "2015-05-18"]), all);
    assert_eq!(events(&["--since", "2015-05-18"]), 0);
    assert_eq!(events(&["--since", "7d"]), 0, "the log is older");
    assert_eq!(events(&["--until", "7d"]), all);
    let wrong = Cli::try_parse_from(["scan", "x", "--since", "soon"]).expect_err("no time");
    assert!(wrong.to_string().contains("a duration like 7d"), "{wrong}");
}

#[test]
fn a_secret_that_is_taken_for_the_consumer_too_is_not_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("access.log");
    let line = "192.0.2.1 - RAWMARKER-0123456789 [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    std::fs::write(&log, line).expect("written");
    let state = dir.path().join("state");
    let state = state.to_str().expect("UTF-8");
    for output in ["json", "csv", "table"] {
        let flags = ["--credential", "field:remote_user", "--state", state, "--output", output];
        let (_, out, err) = run(&[&log], &flags).expect("an answer");
        assert!(out.contains("kd1:") && !out.contains("RAWMARKER"), "{out}");
        assert!(!err.contains("RAWMARKER"), "{err}");
    }
    let public = ["--credential", "field:remote_user", "--public"];
    let (_, answer) = scan_json(&[&log], &public);
    assert_eq!(answer["usage"][0]["consumer"], "RAWMARKER-0123456789");
}

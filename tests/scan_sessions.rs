//! `scan` of CloudTrail: a repeated event counts once, and a session's key knows its parent.

use std::fs;
use std::path::Path;

use clap::Parser;
use keydrain::cli::{Exit, scan};
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: scan::Args,
}

fn scan(folder: &Path, flags: &[&str]) -> String {
    let folder = folder.to_str().expect("UTF-8");
    let arguments = [&["scan", folder, "--format", "cloudtrail"], flags].concat();
    let cli = Cli::try_parse_from(arguments).expect("valid flags");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = scan::run(&cli.args, None, false, &mut out, &mut err).expect("an answer");
    assert_eq!(exit, Exit::Ok, "{}", String::from_utf8_lossy(&err));
    String::from_utf8(out).expect("UTF-8")
}

fn scan_json(folder: &Path, flags: &[&str]) -> Value {
    let flags = [flags, &["--output", "json"]].concat();
    serde_json::from_str(&scan(folder, &flags)).expect("JSON")
}

/// An event of `key` in minute `minute`.
fn event(id: &str, key: &str, minute: u32) -> Value {
    json!({"eventID": id, "eventTime": format!("2024-05-01T10:{minute:02}:00Z"),
        "userIdentity": {"accessKeyId": key, "arn": format!("arn:{key}")}})
}

/// An event in which `parent` asks for `child`.
fn issue(id: &str, parent: &str, child: &str, minute: u32) -> Value {
    let mut event = event(id, parent, minute);
    event["responseElements"] = json!({"credentials": {"accessKeyId": child}});
    event
}

fn folder(files: &[(&str, Value)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, records) in files {
        let text = json!({"Records": records}).to_string();
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

#[test]
fn of_a_repeated_event_the_first_of_all_files_counts_whatever_the_number_of_threads() {
    let many: Vec<Value> = (0..3000)
        .map(|n| event(&format!("id-{}", n % 1000), &format!("AKIA{}", n % 7), 0))
        .collect();
    let folder = folder(&[
        ("a.json", json!([event("x", "AKIAFIRST", 1), event("y", "AKIAY", 1)])),
        ("b.json", json!(many)),
        ("c.json", json!([event("x", "AKIALATER", 2), event("y", "AKIAY", 1)])),
    ]);
    let answer = scan(folder.path(), &["--threads", "1", "--output", "json"]);
    for threads in ["2", "5"] {
        assert_eq!(scan(folder.path(), &["--threads", threads, "--output", "json"]), answer);
    }
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(
        [&answer["lines"], &answer["events"], &answer["duplicates"]],
        [&json!(3004), &json!(1002), &json!(2002)]
    );
    let keys: Vec<&str> = answer["keys"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["key"].as_str())
        .collect();
    assert!(keys.contains(&"AKIAFIRST") && !keys.contains(&"AKIALATER"), "{keys:?}");
}

#[test]
fn an_event_without_an_id_is_never_a_repetition() {
    let mut bare = event("x", "AKIA1", 1);
    bare.as_object_mut().expect("an object").remove("eventID");
    let folder = folder(&[("a.json", json!([bare, bare]))]);
    let answer = scan_json(folder.path(), &[]);
    assert_eq!((&answer["events"], &answer["duplicates"]), (&json!(2), &json!(0)));
}

#[test]
fn a_session_key_names_its_parent_whose_row_sums_its_sessions_up() {
    let folder = folder(&[
        // The session is used before the line that tells where it comes from is read.
        ("a.json", json!([event("1", "ASIA2", 5), event("2", "ASIA1", 4)])),
        ("b.json", json!([issue("3", "AKIA", "ASIA1", 1), issue("4", "ASIA1", "ASIA2", 2)])),
    ]);
    let answer = scan_json(folder.path(), &[]);
    let row = |key: &str| {
        let rows = answer["keys"].as_array().expect("rows");
        rows.iter().find(|row| row["key"] == key).expect("a row").clone()
    };
    assert_eq!(row("AKIA").get("parent"), None);
    assert_eq!(row("ASIA1")["parent"], "AKIA");
    assert_eq!(row("ASIA2")["parent"], "ASIA1");
    let derived = json!({"keys": 2, "first_seen": "2024-05-01T10:02:00Z",
        "last_seen": "2024-05-01T10:05:00Z", "accepted": 3, "denied": 0, "failed": 0});
    assert_eq!(row("AKIA")["derived"], derived);
    assert_eq!(row("AKIA")["accepted"], 1, "what it did itself");
    assert_eq!(row("ASIA1").get("derived"), None, "the sum stands at the first key");

    let table = scan(folder.path(), &[]);
    let line = table.lines().find(|line| line.starts_with("AKIA ")).expect("a line");
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        columns[2..],
        ["2024-05-01T10:01:00Z", "2024-05-01T10:05:00Z", "4", "0", "0", "3", "2"]
    );
    assert!(!table.lines().any(|line| line.starts_with("ASIA")), "{table}");
}

#[test]
fn a_session_that_began_before_the_time_asked_for_still_has_its_parent() {
    let folder = folder(&[(
        "a.json",
        json!([issue("1", "AKIA", "ASIA", 1), event("2", "ASIA", 9), event("2", "ASIA", 9)]),
    )]);
    let answer = scan_json(folder.path(), &["--since", "2024-05-01T10:05:00Z"]);
    assert_eq!(answer["keys"][0]["key"], "ASIA");
    assert_eq!(answer["keys"][0]["parent"], "AKIA");
    assert_eq!([&answer["lines"], &answer["duplicates"]], [&json!(2), &json!(1)]);
    let table = scan(folder.path(), &["--since", "2024-05-01T10:05:00Z"]);
    assert!(table.lines().any(|line| line.starts_with("AKIA ")), "the parent's use: {table}");
}

#[test]
fn a_document_that_is_cut_is_incomplete_and_its_whole_records_count() {
    let whole = json!({"Records": [event("1", "AKIA1", 1), event("2", "AKIA2", 2)]}).to_string();
    let first = whole.find("},{").expect("two records") + 1;
    for (cut, rejects) in [(first, 0), (first + 1, 0), (first + 9, 1), (whole.len() - 1, 0)] {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("a.json"), &whole[..cut]).expect("written");
        let folder = folder.path().to_str().expect("UTF-8");
        let flags = ["scan", folder, "--format", "cloudtrail", "--output", "json"];
        let cli = Cli::try_parse_from(flags).expect("valid flags");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = scan::run(&cli.args, None, false, &mut out, &mut err).expect("an answer");
        let answer: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(exit, Exit::Unknown, "cut at {cut}");
        assert_eq!(answer["incomplete"].as_array().map(Vec::len), Some(1), "cut at {cut}");
        assert_eq!(answer["rejects"]["total"], json!(rejects), "cut at {cut}");
        let events = if cut == whole.len() - 1 { 2 } else { 1 };
        assert_eq!(answer["events"], json!(events), "cut at {cut}");
        assert!(String::from_utf8_lossy(&err).contains("within a JSON document"), "cut at {cut}");
    }
}

//! What the daemon says that it counted, against the ledger of what was written.

use std::collections::BTreeMap;

use keydrain::engine::time::Timestamp;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, SERVER};
use crate::support::wait::wait_for;
use crate::writer::{Counts, Line, bytes_of, counts_of};

/// The credential whose keys are in the log.
pub const CREDENTIAL: &str = "payments-api";

/// A span of evidence that was lost.
pub type Gap = (Timestamp, Timestamp);

/// The format of the logs of the writer, and of nginx.
pub const FORMAT: &str = r#"format = { nginx = '$msec $remote_addr "$http_x_client" $key_name "$request" $status' }
credential = "field:key_name"
"#;

/// Returns a config that reads `logs/access.log*`; a use of the old key blocks for three seconds.
pub fn config() -> String {
    config_of(FORMAT, "1s", "5s")
}

/// Returns the config for logs of `format`, in which a line may be late by `lateness`, and whose
/// source is silent after `idle_after`.
pub fn config_of(format: &str, lateness: &str, idle_after: &str) -> String {
    format!(
        r#"{SERVER}[[source]]
name = "edge"
paths = ["logs/access.log*"]
consumer = "field:http_x_client"
allowed_lateness = "{lateness}"
idle_after = "{idle_after}"
{format}[[credential]]
name = "{CREDENTIAL}"
sources = ["edge"]
keys = [{{ name = "2025-q4", id = "2025-q4" }}, {{ name = "2026-q1", id = "2026-q1" }}]
[credential.policy]
quiet_period = "3s"
monitoring_cycle = "0s"
min_history = "0s"
min_overlap = "0s"
clock_skew = "0s"
max_evidence_lag = "20s"
propagation_bound = "0s"
lease = "5s"
"#
    )
}

/// Declares the rotation of the credential.
pub fn declare(daemon: &Daemon<'_>) {
    let body = json!({"credential": CREDENTIAL, "old_key": "2025-q4", "new_key": "2026-q1"});
    assert_eq!(daemon.post("/v1/rotations", &body).status, 201);
    let path = format!("/v1/credentials/{CREDENTIAL}/events");
    assert_eq!(daemon.post(&path, &json!({"type": "dual_accept_enabled"})).status, 201);
}

/// Returns what `daemon` counted.
pub fn counted(daemon: &Daemon<'_>) -> Counts {
    let answer = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let mut counts = Counts::new();
    for consumer in answer["consumers"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        for (key, uses) in [("2025-q4", &consumer["old"]), ("2026-q1", &consumer["new"])] {
            let name = consumer["consumer"].as_str().unwrap().to_owned();
            let count = uses["accepted"].as_u64().unwrap();
            assert_eq!(counts.insert((name, key), count), None, "{answer}");
        }
    }
    counts.retain(|_, count| *count > 0);
    counts
}

/// Returns the gaps of the one source.
pub fn gaps(daemon: &Daemon<'_>) -> Vec<Gap> {
    gaps_of(&daemon.source())
}

fn gaps_of(source: &Value) -> Vec<Gap> {
    let gaps = source["gaps"].as_array().unwrap().iter();
    gaps.map(|gap| (time(&gap["from"]), time(&gap["to"]))).collect()
}

/// Reads a time of an answer.
pub fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("{value} is no time")).parse().unwrap()
}

/// Waits until so many lines are counted, and no more, without a gap; returns the source.
#[track_caller]
pub fn wait_until_read(daemon: &Daemon<'_>, lines: usize, what: &str) -> Value {
    let source = wait_for(&format!("{what}: all lines are counted"), || {
        let source = daemon.source();
        let read = source["lines"].as_u64().unwrap();
        assert!(read <= lines as u64, "{what}: {read} of {lines} lines: {source}");
        (read == lines as u64).then_some(source)
    });
    assert_eq!(source["gaps"], json!([]), "{what}: {source}");
    assert_eq!(source["rejects"], 0, "{what}: {source}");
    assert_eq!(source["bytes_unknown"], 0, "{what}: {source}");
    source
}

/// Asserts that the daemon comes to count each of `written` once, without a gap.
#[track_caller]
pub fn assert_all_counted(daemon: &Daemon<'_>, written: &[Line], what: &str) {
    let source = wait_until_read(daemon, written.len(), what);
    assert_eq!(source["bytes_read"], bytes_of(written), "{what}: {source}");
    assert_same(&counted(daemon), &counts_of(written), what);
}

/// Asserts that the daemon comes to count each request of `sent` once, without a gap.
#[track_caller]
pub fn assert_requests_counted(daemon: &Daemon<'_>, sent: &Counts, what: &str) {
    let lines = sent.values().sum::<u64>();
    wait_until_read(daemon, usize::try_from(lines).expect("a few"), what);
    assert_same(&counted(daemon), sent, what);
}

/// Asserts that the daemon counted none of `written` twice, and that each that it did not count
/// lies in a recorded gap. Returns how many those are.
#[track_caller]
pub fn assert_missing_lie_in_gaps(daemon: &Daemon<'_>, written: &[Line], what: &str) -> u64 {
    let source = daemon.source();
    let (counted, gaps) = (counted(daemon), gaps_of(&source));
    let written_counts = counts_of(written);
    let in_a_gap = |line: &&Line| gaps.iter().any(|(from, to)| (*from..*to).contains(&line.at));
    let excused = counts_of(&written.iter().filter(in_a_gap).copied().collect::<Vec<_>>());
    let mut missing = 0;
    for (cell, &all) in &written_counts {
        let count = counted.get(cell).copied().unwrap_or(0);
        assert!(count <= all, "{what}: {cell:?} has {all} lines, counted {count}: {source}");
        let may_miss = excused.get(cell).copied().unwrap_or(0);
        assert!(
            all - count <= may_miss,
            "{what}: of {cell:?} {} lines are missing and {may_miss} lie in a gap: {source}",
            all - count
        );
        missing += all - count;
    }
    let strange: Vec<_> =
        counted.keys().filter(|cell| !written_counts.contains_key(*cell)).collect();
    assert!(strange.is_empty(), "{what}: {strange:?} were never written");
    // A copy may end in the middle of a write.
    let rejects = source["rejects"].as_u64().unwrap();
    assert!(rejects <= gaps.len() as u64, "{what}: {source}");
    missing
}

/// Asserts that both are equal, and shows only what differs: there may be a thousand of them.
#[track_caller]
fn assert_same(counted: &Counts, written: &Counts, what: &str) {
    let cells = counted.keys().chain(written.keys());
    let differing: BTreeMap<_, _> = cells
        .filter(|cell| counted.get(*cell) != written.get(*cell))
        .map(|cell| (cell, (counted.get(cell), written.get(cell))))
        .collect();
    assert!(differing.is_empty(), "{what}: counted and written: {differing:?}");
}

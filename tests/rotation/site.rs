//! The site, and what must be true of its counts in the end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, SERVER, Site};
use crate::support::wait::{wait_for, wait_until};

/// The credential whose keys are in the log.
pub const CREDENTIAL: &str = "payments-api";

/// The format in the words of nginx; the header `x-key` has the name of the key.
pub const LOG_FORMAT: &str =
    r#"$msec $remote_addr "$http_x_client" "$http_x_key" "$request" $status"#;

/// Presentations by consumer.
pub type Counts = BTreeMap<String, u64>;

/// Makes a site that reads `logs/access.log*`.
pub fn site() -> Site {
    let site = Site::new(&format!(
        r#"{SERVER}[[source]]
name = "edge"
paths = ["logs/access.log*"]
format = {{ nginx = '{LOG_FORMAT}' }}
credential = "field:http_x_key"
consumer = "field:http_x_client"
allowed_lateness = "1s"
idle_after = "5s"
[[credential]]
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
    ));
    std::fs::create_dir_all(site.path("logs")).unwrap();
    site
}

/// Declares the rotation.
pub fn declare(daemon: &Daemon<'_>) {
    let body = json!({"credential": CREDENTIAL, "old_key": "2025-q4", "new_key": "2026-q1"});
    let started = daemon.post("/v1/rotations", &body);
    assert_eq!(started.status, 201, "{started:?}");
    let path = format!("/v1/credentials/{CREDENTIAL}/events");
    assert_eq!(daemon.post(&path, &json!({"type": "dual_accept_enabled"})).status, 201);
}

/// Returns how often each consumer was counted with either key.
pub fn counted(daemon: &Daemon<'_>) -> Counts {
    let answer = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let consumers = answer["consumers"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let count = |consumer: &Value| {
        let uses = |key: &str| consumer[key]["accepted"].as_u64().unwrap();
        (consumer["consumer"].as_str().unwrap().to_owned(), uses("old") + uses("new"))
    };
    consumers.iter().map(count).collect()
}

/// Waits until all of `ledger` is counted, and asserts that nothing more is and no gap was needed.
#[track_caller]
pub fn assert_each_once(daemon: &Daemon<'_>, ledger: &Counts, what: &str) {
    let lines: u64 = ledger.values().sum();
    wait_until(&format!("{what}: {lines} lines are counted"), || {
        let counted = daemon.source()["lines"].as_u64().unwrap();
        assert!(counted <= lines, "{what}: {counted} of {lines} lines");
        counted == lines
    });
    wait_until(&format!("{what}: the counts are published"), || counted(daemon) == *ledger);
    let source = daemon.source();
    assert_eq!(source["gaps"], json!([]), "{what}");
    assert_eq!(source["rejects"], 0, "{what}");
}

/// Waits until the last consumer of `ledger` is counted; asserts that nobody is counted too often and
/// that each line that is missing was lost at one of at least `gaps` gaps. Returns their number.
#[track_caller]
pub fn assert_none_twice(daemon: &Daemon<'_>, ledger: &Counts, gaps: usize, what: &str) -> u64 {
    let (last, times) = ledger.last_key_value().unwrap();
    let counts = wait_for(&format!("{what}: the last line is counted"), || {
        let counts = counted(daemon);
        (counts.get(last) == Some(times)).then_some(counts)
    });
    let twice: Vec<_> = counts.iter().filter(|(name, n)| ledger.get(*name) < Some(*n)).collect();
    assert!(twice.is_empty(), "{what}: counted more often than written: {twice:?}");
    let source = daemon.source();
    let told = source["gaps"].as_array().unwrap();
    let cuts = told.iter().filter(|gap| gap["reason"] == "truncated").count();
    assert!(cuts >= gaps, "{what}: {cuts} gaps for {gaps} truncations: {told:?}");
    ledger.values().sum::<u64>() - counts.values().sum::<u64>()
}

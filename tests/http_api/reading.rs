//! What GET shows: shapes field by field, and no answer past its lease.

use std::time::Duration;

use keydrain::engine::answer::Verdict;
use keydrain::engine::rotation::Phase;
use keydrain::engine::time::Timestamp;
use keydrain::publish::HttpOptions;
use serde_json::{Value, json};

use crate::fake_daemon::{Daemon, answer, client, noon, open, rotation, snapshot};

async fn json_of(daemon: &Daemon, path: &str) -> Value {
    let response = daemon.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}

#[tokio::test]
async fn readiness_has_every_field_of_the_contract() {
    let daemon = Daemon::start(open(answer(Verdict::NotReady, "0123456789abcdef"))).await;
    let expected = json!({
        "schema": "keydrain/readiness/v1",
        "rotation": "r-1",
        "credential": "payments-api",
        "ready": false,
        "verdict": "not_ready",
        "message": "2025-q4 used 14 s ago by billing-batch",
        "blockers": [{
            "code": "old_key_in_use", "kind": "usage", "basis": "proof",
            "subject": "billing-batch",
            "message": "used 14 s ago; clears after the quiet period",
            "since": "2026-11-23T11:59:46Z", "clears_at": "2026-11-23T12:00:07Z",
        }],
        "warnings": [{
            "code": "history_gap", "subject": "edge", "message": "a gap lies before the window",
        }],
        "old_key": {
            "name": "2025-q4", "first_seen": "2026-11-23T11:45:00Z",
            "last_seen": "2026-11-23T11:59:46Z", "accepted": 812, "denied": 2, "failed": 3,
        },
        "new_key": {
            "name": "2026-q1", "first_seen": "2026-11-23T11:45:00Z",
            "last_seen": "2026-11-23T11:59:46Z", "accepted": 44, "denied": 2, "failed": 3,
        },
        "window": {
            "from": "2026-11-23T11:44:59Z", "to": "2026-11-23T11:59:59Z",
            "terms": [{"name": "quiet_period", "seconds": 900}],
        },
        "evidence": {
            "watermark": "2026-11-23T11:59:59Z",
            "observing_since": "2026-11-23T11:00:00Z",
            "sources": [{
                "name": "edge", "state": "live", "watermark": "2026-11-23T11:59:58.8Z",
                "basis": "proved", "lag_seconds": 1.2,
                "gaps": [{
                    "from": "2026-11-23T11:58:30Z", "to": "2026-11-23T11:58:40Z",
                    "reason": "truncated", "stream": "/var/log/nginx/access.log", "bytes": null,
                }],
                "rejects": 5, "probe_last_seen": "2026-11-23T11:59:58Z",
            }],
        },
        "consumers": {
            "total": 4, "moved": 3, "on_old": 1, "mixed": 0, "regressed": 0, "silent": 0,
            "retired": 0, "waived": 0, "new_only": 0,
        },
        "silence": {"seconds": 900, "excludes_per_hour": 12.0},
        "earliest_ready_at": null,
        "evaluated_at": "2026-11-23T12:00:00Z",
        "valid_until": "2026-11-23T12:01:00Z",
        "epoch": "0123456789abcdef",
        "instance": "i-1",
        "sequence": 8812,
    });
    let response = daemon.get("/v1/rotations/r-1/readiness").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["etag"], "\"0123456789abcdef\"");
    let shown = response.text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), expected);
    assert_eq!(shown, expected.to_string(), "the order of the fields is the contract's too");
    assert_eq!(json_of(&daemon, "/v1/credentials/payments-api/readiness").await, expected);
}

#[tokio::test]
async fn what_is_not_known_is_null_and_a_ready_answer_says_so_twice() {
    let mut unsure = answer(Verdict::Ready, "e");
    unsure.watermark = None;
    unsure.silence = None;
    unsure.window.span = None;
    unsure.sources[0].watermark = None;
    let daemon = Daemon::start(open(unsure)).await;
    let shown = json_of(&daemon, "/v1/rotations/r-1/readiness").await;
    assert_eq!(shown["window"]["from"], Value::Null);
    assert_eq!(shown.get("silence"), Some(&Value::Null));
    assert_eq!(shown["evidence"]["watermark"], Value::Null);
    assert_eq!(shown["evidence"]["sources"][0]["lag_seconds"], Value::Null);
    assert_eq!((&shown["ready"], &shown["verdict"]), (&json!(true), &json!("ready")));
}

#[tokio::test]
async fn a_ready_past_its_lease_is_shown_as_unknown_everywhere() {
    let mut old = answer(Verdict::Ready, "e");
    old.valid_until = noon(1);
    let daemon = Daemon::start(open(old)).await;
    let shown = json_of(&daemon, "/v1/rotations/r-1/readiness").await;
    assert_eq!((&shown["ready"], &shown["verdict"]), (&json!(false), &json!("unknown")));
    assert_eq!(shown["blockers"][0]["code"], "answer_expired");
    assert_eq!(shown["blockers"][0]["basis"], "evidence");
    assert_ne!(shown["epoch"], "e", "a cached answer must not pass for this one");
    assert_eq!(daemon.get("/v1/rotations/r-1/gate").await.status(), 503);
    assert_eq!(json_of(&daemon, "/v1/rotations/r-1").await["verdict"], "unknown");
    let listed = json_of(&daemon, "/v1/rotations").await;
    assert_eq!(listed["rotations"][0]["verdict"], "unknown");
    let metrics = daemon.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("verdict=\"unknown\"} 1\n"), "{metrics}");
    assert!(metrics.contains("verdict=\"ready\"} 0\n"), "{metrics}");
}

/// An answer is no younger because the wall clock was set back: the decider may have stopped since.
#[tokio::test]
async fn row_35_a_wall_clock_that_steps_back_lengthens_no_lease() {
    let clocks: [fn() -> Timestamp; 3] = [|| noon(-7200), || noon(0), || noon(59)];
    let passed: [(fn() -> Duration, u16); 2] =
        [(|| Duration::from_secs(59), 200), (|| Duration::from_mins(1), 503)];
    for clock in clocks {
        for (steady, status) in passed {
            let options = HttpOptions { token: None, loopback: true, clock, steady };
            let daemon = Daemon::with(open(answer(Verdict::Ready, "e")), options).await;
            let what = format!("{:?} after {:?}", clock(), steady());
            assert_eq!(daemon.get("/v1/rotations/r-1/gate").await.status(), status, "{what}");
            let shown = json_of(&daemon, "/v1/rotations/r-1/readiness").await;
            assert_eq!(shown["ready"], status == 200, "{what}: {shown}");
            let metrics = daemon.get("/metrics").await.text().await.unwrap();
            let ready = format!("verdict=\"ready\"}} {}\n", u8::from(status == 200));
            assert!(metrics.contains(&ready), "{what}: {metrics}");
        }
    }
}

#[tokio::test]
async fn an_expired_answer_is_not_a_304_for_who_knows_the_one_before() {
    let mut old = answer(Verdict::Ready, "e");
    old.valid_until = noon(1);
    let daemon = Daemon::start(open(old)).await;
    let request = client().get(daemon.url("/v1/rotations/r-1/readiness"));
    let response = request.header("if-none-match", "\"e\"").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_credential_speaks_of_its_open_rotation_else_of_its_newest() {
    let ended = |id| rotation(id, Phase::RolledBack(noon(-9)), answer(Verdict::NotReady, "e"));
    let opened = rotation("r-2", Phase::Open, answer(Verdict::NotReady, "e"));
    let daemon = Daemon::start(snapshot(vec![ended("r-3"), opened, ended("r-1")])).await;
    let shown = json_of(&daemon, "/v1/credentials/payments-api/readiness").await;
    assert_eq!(shown["rotation"], "r-2");
    daemon.show(snapshot(vec![ended("r-3"), ended("r-1")]));
    let shown = json_of(&daemon, "/v1/credentials/payments-api/readiness").await;
    assert_eq!(shown["rotation"], "r-3");
}

#[tokio::test]
async fn sources_show_what_was_read_lost_and_refused() {
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    let shown = json_of(&daemon, "/v1/sources").await;
    let coverage = json!({
        "first_event": "2026-11-23T11:59:00Z",
        "covered": [{"from": "2026-11-23T11:59:00Z", "to": "2026-11-23T11:59:30Z"}],
        "total": {
            "known": 140, "read": 110,
            "skipped": {"overlong": 0, "nul_run": 5, "copy": 0},
            "unknown": 7, "waiting": 18,
        },
        "generations": [{
            "number": 2, "path": "/var/log/nginx/access.log", "finished": false,
            "first_event": "2026-11-23T11:59:00Z", "last_event": "2026-11-23T11:59:59Z",
            "known": 130, "read": 100,
            "skipped": {"overlong": 0, "nul_run": 5, "copy": 0},
            "unknown": 7, "waiting": 18,
        }],
        "earlier": {
            "generations": 1, "known": 10, "read": 10,
            "skipped": {"overlong": 0, "nul_run": 0, "copy": 0},
            "unknown": 0, "waiting": 0,
        },
    });
    let expected = json!({"sources": [{
        "name": "edge", "state": "live", "watermark": "2026-11-23T11:59:58.8Z",
        "basis": "proved", "lag_seconds": 2.2, "bytes_read": 1000, "bytes_skipped": 1,
        "bytes_unknown": 2, "backlog_bytes": 3, "lines": 100, "rejects": 5, "other_keys": 6,
        "probe_last_seen": "2026-11-23T11:59:58Z",
        "probes": [
            {"name": "front-door", "last_seen": "2026-11-23T11:59:58Z"},
            {"name": "side-door", "last_seen": null},
        ],
        "streams": [{
            "name": "/var/log/nginx/access.log", "state": "live", "watermark": null,
            "generations": 2, "observed_lateness_seconds": 1.5, "violations": 1,
            "coverage": coverage,
        }],
        "gaps": [{
            "from": "2026-11-23T11:58:30Z", "to": "2026-11-23T11:58:40Z", "reason": "truncated",
            "stream": "/var/log/nginx/access.log", "bytes": null,
        }],
        "absent": [], "unreadable": [],
        "refused": [{"path": "/var/log/fifo", "reason": "a FIFO"}],
        "weak_file_systems": [{
            "path": "/var/log/nginx", "name": "nfs", "weakness": "remote",
            "reason": "another host keeps the files: what was written, cut off or replaced there \
                       may be seen late or not at all",
        }],
    }]});
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn consumers_and_journal_come_from_the_daemon() {
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    let shown = json_of(&daemon, "/v1/credentials/payments-api/consumers").await;
    let unseen =
        json!({"first_seen": null, "last_seen": null, "accepted": 0, "denied": 0, "failed": 0});
    let expected = json!({
        "consumer": "checkout", "state": "moved", "named": true, "owner": "team shop",
        "third_party": false,
        "old": {
            "first_seen": null, "last_seen": "2026-11-23T11:59:46Z", "accepted": 3, "denied": 0,
            "failed": 0,
        },
        "new": unseen, "moved_at": "2026-11-23T11:58:20Z", "largest_gap_seconds": 40,
        "sessions": 2, "cadence_bound_seconds": null,
    });
    assert_eq!(shown["consumers"][0], expected);
    let shown = json_of(&daemon, "/v1/rotations/r-1/journal").await;
    let expected = json!({"events": [
        {
            "sequence": 1, "type": "started", "at": "2026-11-23T11:50:00Z",
            "recorded_at": "2026-11-23T11:50:01Z", "by": "ops", "inferred": false,
        },
        {
            "sequence": 4, "type": "consumer_waived", "at": "2026-11-23T11:50:00Z",
            "recorded_at": "2026-11-23T11:50:01Z", "by": "ops", "inferred": false,
            "consumer": "partner-x", "until": "2026-11-23T13:00:00Z",
        },
    ]});
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_migration_has_every_field_and_no_value_where_nothing_was_seen() {
    let daemon = Daemon::start(open(answer(Verdict::NotReady, "e"))).await;
    let shown = json_of(&daemon, "/v1/credentials/payments-api/migration").await;
    let expected = json!({
        "schema": "keydrain/migration/v1", "rotation": "r-1", "credential": "payments-api",
        "old_key": "2025-q4", "new_key": "2026-q1", "evaluated_at": "2026-11-23T12:00:00Z",
        "counted_from": {
            "event": "dual_accept_enabled", "at": "2026-11-23T11:55:00Z", "inferred": true,
        },
        "must_move": 2, "moved": 1, "share_moved": 0.5, "waived": ["partner-x"],
        "tolerated": [], "gone": ["old-batch"],
        "t50_seconds": 200, "t90_seconds": null, "t100_seconds": null,
        "consumers_per_hour": 12.0,
        "eta": {
            "at": "2026-11-23T12:01:40Z", "earliest": "2026-11-23T12:01:00Z",
            "latest": "2026-11-23T14:00:00Z",
            "basis": "1 left at the pace of the last 2 moves", "none_because": null,
        },
        "stragglers": [{
            "consumer": "evil\u{1b}[2J", "owner": "pay-team", "state": "on_old",
            "old_last_seen": "2026-11-23T11:59:46Z", "new_last_seen": null, "sessions": 7,
            "largest_gap_seconds": 40, "cadence_bound_seconds": 80,
            "needs": "evil\u{1b}[2J (owner pay-team) was only seen on 2025-q4",
            "clears_at": "2026-11-23T12:01:06Z",
        }],
        "curve": {
            "consumers": [
                {"at": "2026-11-23T11:55:00Z", "moved": 0, "share": 0.0},
                {"at": "2026-11-23T11:58:20Z", "moved": 1, "share": 0.5},
            ],
            "window_seconds": 60,
            "requests": [
                {
                    "from": "2026-11-23T11:58:00Z", "old": 3, "new": 1, "share_new": 0.25,
                    "gap": false,
                },
                {
                    "from": "2026-11-23T11:59:00Z", "old": 0, "new": 0, "share_new": null,
                    "gap": false,
                },
            ],
        },
    });
    assert_eq!(shown, expected);
    assert_eq!(json_of(&daemon, "/v1/rotations/r-1/migration").await, shown);
    assert_eq!(daemon.get("/v1/rotations/r-9/migration").await.status(), 404);
}

#[tokio::test]
async fn credentials_and_rotations_are_listed() {
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    let shown = json_of(&daemon, "/v1/credentials").await;
    let expected = json!({
        "name": "payments-api", "keys": ["2025-q4", "2026-q1"], "sources": ["edge"],
        "open_rotation": "r-1",
    });
    assert_eq!(shown["credentials"][0], expected);
    assert_eq!(json_of(&daemon, "/v1/credentials/payments-api").await, expected);
    let unrotated = json_of(&daemon, "/v1/credentials/never-rotated").await;
    assert_eq!(unrotated["open_rotation"], Value::Null);
    let shown = json_of(&daemon, "/v1/rotations/r-1").await;
    assert_eq!(shown["phase"], "open");
    assert_eq!(shown["verdict"], "ready");
    assert_eq!(shown["started_at"], "2026-11-23T11:50:00Z");
    assert_eq!(json_of(&daemon, "/v1/rotations").await["rotations"][0], shown);
}

#[tokio::test]
async fn readyz_waits_for_the_existing_files_and_healthz_does_not() {
    let mut reading = open(answer(Verdict::Ready, "e"));
    reading.caught_up = false;
    let daemon = Daemon::start(reading).await;
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    let response = daemon.get("/readyz").await;
    assert_eq!(response.status(), 503);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "urn:keydrain:problem:catching_up");
    daemon.show(open(answer(Verdict::Ready, "e")));
    assert_eq!(daemon.get("/readyz").await.status(), 200);
}

#[tokio::test]
async fn metrics_are_open_metrics_with_an_end_and_without_fingerprints() {
    let daemon = Daemon::start(open(answer(Verdict::NotReady, "e"))).await;
    let response = daemon.get("/metrics").await;
    assert_eq!(
        response.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(!text.contains("kd1:") && !text.contains("abab"), "{text}");
    let rotation = "rotation=\"r-1\",credential=\"payments-api\"";
    let series = [
        format!("keydrain_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        "keydrain_commits_total 17".to_owned(),
        format!("keydrain_rotation_verdict{{{rotation},verdict=\"not_ready\"}} 1"),
        format!("keydrain_rotation_verdict{{{rotation},verdict=\"ready\"}} 0"),
        format!("keydrain_rotation_blockers{{{rotation},code=\"old_key_in_use\"}} 1"),
        format!(
            "keydrain_key_presentations_total{{{rotation},role=\"old\",outcome=\"accepted\"}} 812"
        ),
        "keydrain_source_state{source=\"edge\",state=\"live\"} 1".to_owned(),
        "keydrain_source_state{source=\"edge\",state=\"absent\"} 0".to_owned(),
        "keydrain_source_watermark_timestamp_seconds{source=\"edge\"} 1795435198".to_owned(),
        "keydrain_source_backlog_bytes{source=\"edge\"} 3".to_owned(),
        "keydrain_source_lines_total{source=\"edge\"} 100".to_owned(),
        "keydrain_source_rejects_total{source=\"edge\"} 5".to_owned(),
        "keydrain_source_bytes_total{source=\"edge\"} 1000".to_owned(),
        "keydrain_source_gaps_total{source=\"edge\"} 1".to_owned(),
    ];
    for one in series {
        assert!(text.lines().any(|line| line == one), "{one} is missing in\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

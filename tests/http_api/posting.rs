//! What POST takes and refuses. No problem repeats a value of the request.

use keydrain::engine::answer::Verdict;
use keydrain::publish::KeyChoice;
use serde_json::{Value, json};

use crate::fake_daemon::{Daemon, answer, fingerprint, noon, open};

async fn daemon() -> Daemon {
    Daemon::start(open(answer(Verdict::Ready, "current"))).await
}

/// Posts `body` and returns the status and the last part of the problem's type, or `""`.
async fn refusal(daemon: &Daemon, path: &str, body: &str) -> (u16, String) {
    let response = daemon.post(path, body).await;
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    let kind = problem["type"].as_str().unwrap_or_default();
    (status, kind.trim_start_matches("urn:keydrain:problem:").to_owned())
}

#[tokio::test]
async fn a_rotation_starts_with_names_fingerprints_or_public_ids() {
    let daemon = daemon().await;
    let body = json!({
        "credential": "payments-api",
        "old_key": {"name": "2025-q4", "fingerprint": fingerprint().to_string()},
        "new_key": {"name": "2026-q1", "id": "AKIAEXAMPLE"},
        "started_at": "2026-11-23T11:00:00Z", "overlap": "30d", "by": "ops", "note": "TICKET-1",
    });
    let response = daemon.post("/v1/rotations", &body.to_string()).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], "/v1/rotations/r-2");
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"id": "r-2"}));
    let body = json!({
        "credential": "payments-api", "old_key": "2025-q4", "new_key": "2026-q1", "overlap": 3600,
    });
    assert_eq!(daemon.post("/v1/rotations", &body.to_string()).await.status(), 201);
    let started = daemon.started.lock().unwrap().clone();
    let (name, id) = ("2025-q4".to_owned(), "AKIAEXAMPLE".to_owned());
    let old_key = KeyChoice::Fingerprint { name, fingerprint: fingerprint() };
    assert_eq!(started[0].old_key, old_key);
    assert_eq!(started[0].new_key, KeyChoice::Id { name: "2026-q1".to_owned(), id });
    assert_eq!(started[0].started_at, Some(noon(-3600)));
    assert_eq!(started[0].overlap.unwrap().as_secs(), 30 * 86400);
    assert_eq!((started[0].by.as_str(), started[0].note.as_deref()), ("ops", Some("TICKET-1")));
    assert_eq!(started[1].old_key, KeyChoice::Configured("2025-q4".to_owned()));
    assert_eq!(started[1].overlap.unwrap().as_secs(), 3600);
    assert_eq!(started[1].by, "http");
}

#[tokio::test]
async fn a_second_open_rotation_is_a_conflict_that_names_the_first() {
    let daemon = daemon().await;
    let body = r#"{"credential":"payments-api","old_key":"a","new_key":"b","note":"second"}"#;
    let response = daemon.post("/v1/rotations", body).await;
    assert_eq!(response.status(), 409);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "urn:keydrain:problem:rotation_in_progress");
    assert_eq!(problem["rotation"], "r-1");
}

#[tokio::test]
async fn a_start_that_makes_no_sense_is_refused() {
    let daemon = daemon().await;
    let start = |more: &str| format!("{{\"credential\":\"payments-api\",{more}}}");
    let keys = "\"old_key\":\"a\",\"new_key\":\"b\"";
    for (body, status, kind) in [
        ("{".to_owned(), 400, "bad_json"),
        (String::new(), 400, "bad_json"),
        ("[1]".to_owned(), 422, "invalid_request"),
        (start("\"old_key\":\"a\""), 422, "invalid_request"),
        (start(&format!("{keys},\"colour\":1")), 422, "invalid_request"),
        (start(&format!("{keys},\"overlap\":\"1mo\"")), 422, "invalid_request"),
        (start(&format!("{keys},\"overlap\":-5")), 422, "invalid_request"),
        (start(&format!("{keys},\"started_at\":\"today\"")), 422, "invalid_request"),
        (start(&format!("{keys},\"by\":\"\"")), 422, "invalid_request"),
        (start("\"old_key\":7,\"new_key\":\"b\""), 422, "invalid_request"),
        (start("\"old_key\":{\"name\":\"a\"},\"new_key\":\"b\""), 422, "invalid_request"),
        (
            start("\"old_key\":{\"name\":\"a\",\"fingerprint\":\"kd1:x\"},\"new_key\":\"b\""),
            422,
            "invalid_request",
        ),
        (start("\"old_key\":\"a\",\"new_key\":\"a\""), 422, "same_key"),
        (start(&format!("{keys},\"note\":\"typo\"")), 422, "unknown_key"),
        (format!("{{\"credential\":\"nope\",{keys}}}"), 404, "unknown_credential"),
    ] {
        let found = refusal(&daemon, "/v1/rotations", &body).await;
        assert_eq!(found, (status, kind.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_raw_key_pasted_into_a_request_does_not_come_back() {
    let daemon = daemon().await;
    let secret = "sk_live_pasted";
    for body in [
        json!({"credential": "payments-api", "old_key": secret, "new_key": "b", "note": "typo"}),
        json!({"credential": "payments-api", "old_key": {"name": "a", "key": secret}, "new_key": "b"}),
        json!({"credential": "payments-api", "old_key": {"name": "a", "fingerprint": secret},
               "new_key": "b"}),
        json!({"credential": "payments-api", "old_key": [secret], "new_key": "b"}),
    ] {
        let response = daemon.post("/v1/rotations", &body.to_string()).await;
        assert_eq!(response.status(), 422);
        let text = response.text().await.unwrap();
        assert!(!text.contains("sk_live"), "{text}");
    }
}

#[tokio::test]
async fn every_type_of_entry_is_recorded() {
    let daemon = daemon().await;
    let bodies = [
        json!({"type": "dual_accept_enabled", "at": "2026-11-23T11:00:00Z", "by": "ops"}),
        json!({"type": "consumers_notified"}),
        json!({"type": "propagated"}),
        json!({"type": "job_started", "consumer": "c"}),
        json!({"type": "job_finished", "consumer": "c"}),
        json!({"type": "attested", "what": "old_key_unused"}),
        json!({"type": "attested", "checkpoint": "post-generate"}),
        json!({"type": "incident_opened"}),
        json!({"type": "incident_closed"}),
        json!({"type": "manual_intervention"}),
        json!({"type": "hold"}),
        json!({"type": "consumer_retired", "consumer": "c"}),
        json!({"type": "consumer_waived", "consumer": "c", "until": "2026-11-24T00:00:00Z"}),
        json!({"type": "source_retired", "source": "edge"}),
        json!({"type": "source_retired", "source": "edge", "stream": "a.log"}),
        json!({"type": "revoked"}),
        json!({"type": "rolled_back"}),
        json!({"type": "override"}),
    ];
    for body in &bodies {
        let path = "/v1/credentials/payments-api/events";
        let response = daemon.post(path, &body.to_string()).await;
        assert_eq!(response.status(), 201, "{body}");
        assert_eq!(response.json::<Value>().await.unwrap(), json!({"sequence": 7}));
    }
    let recorded = daemon.recorded.lock().unwrap().clone();
    assert_eq!(recorded[0], "r-1 DualAcceptEnabled at Some(2026-11-23T11:00:00Z) by ops");
    assert_eq!(recorded[5], "r-1 Attested(OldKeyUnused) at None by http");
    assert_eq!(recorded[12], "r-1 ConsumerWaived(\"c\", 2026-11-24T00:00:00Z) at None by http");
    assert_eq!(recorded[14], "r-1 SourceRetired(\"edge\", Some(\"a.log\")) at None by http");
    assert_eq!(recorded.len(), bodies.len());
}

#[tokio::test]
async fn an_entry_that_makes_no_sense_is_refused_and_not_recorded() {
    let daemon = daemon().await;
    for (body, status, kind) in [
        (json!({"type": "started"}), 422, "invalid_request"),
        (json!({"type": "revoke_intent"}), 422, "invalid_request"),
        (json!({"type": "party"}), 422, "invalid_request"),
        (json!({"type": "hold", "consumer": "c"}), 422, "invalid_request"),
        (json!({"type": "hold", "colour": "red"}), 422, "invalid_request"),
        (json!({"type": "job_started"}), 422, "invalid_request"),
        (json!({"type": "consumer_retired", "consumer": ""}), 422, "invalid_request"),
        (json!({"type": "consumer_waived", "consumer": "c"}), 422, "invalid_request"),
        (json!({"type": "source_retired", "stream": "a"}), 422, "invalid_request"),
        (json!({"type": "attested", "what": "luck"}), 422, "invalid_request"),
        (json!({"type": "hold", "at": "now"}), 422, "invalid_request"),
        (json!({"type": "hold", "note": "n".repeat(5000)}), 422, "invalid_request"),
    ] {
        let found = refusal(&daemon, "/v1/rotations/r-1/events", &body.to_string()).await;
        assert_eq!(found, (status, kind.to_owned()), "{body}");
    }
    assert!(daemon.recorded.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_daemon_refuses_has_its_own_status() {
    let daemon = daemon().await;
    for (path, body, status, kind) in [
        ("/v1/rotations/r-1/events", json!({"type": "release"}), 409, "journal_conflict"),
        (
            "/v1/rotations/r-1/events",
            json!({"type": "hold", "note": "disk full"}),
            503,
            "state_unwritable",
        ),
        ("/v1/rotations/r-9/events", json!({"type": "hold"}), 404, "unknown_rotation"),
        ("/v1/rotations/r-1/revoke-intent", json!({"epoch": "old"}), 409, "stale_epoch"),
        ("/v1/rotations/r-1/revoke-intent", json!({"epoch": "not_ready"}), 409, "not_ready"),
        ("/v1/rotations/r-1/revoke-intent", json!({"epoch": "unknown"}), 503, "unknown"),
        ("/v1/rotations/r-1/revoke-intent", json!({}), 422, "invalid_request"),
    ] {
        let found = refusal(&daemon, path, &body.to_string()).await;
        assert_eq!(found, (status, kind.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn an_intent_to_revoke_on_the_current_epoch_is_recorded_with_its_end() {
    let daemon = daemon().await;
    let path = "/v1/credentials/payments-api/revoke-intent";
    let response = daemon.post(path, r#"{"epoch":"current"}"#).await;
    assert_eq!(response.status(), 200);
    let intent: Value = response.json().await.unwrap();
    assert_eq!(intent, json!({"intent": 9, "valid_until": "2026-11-23T12:01:01Z"}));
}

#[tokio::test]
async fn a_body_beyond_64_kib_is_too_large() {
    let daemon = daemon().await;
    let body = " ".repeat(64 * 1024 + 1);
    let found = refusal(&daemon, "/v1/rotations", &body).await;
    assert_eq!(found, (413, "body_too_large".to_owned()));
    let found = refusal(&daemon, "/v1/rotations", &body[1..]).await;
    assert_eq!(found.0, 400, "exactly 64 KiB are read");
}

//! What is said before a rotation: preflight and plan, over HTTP and on the command line.

use keydrain::cli::{Exit, Output};
use keydrain::engine::answer::Verdict;
use serde_json::{Value, json};

use crate::client::run;
use crate::fake_daemon::{Daemon, answer, fresh, open};

async fn daemon() -> Daemon {
    Daemon::live(open(fresh(answer(Verdict::NotReady, "e")))).await
}

async fn get(daemon: &Daemon, path: &str) -> (u16, Value) {
    let response = daemon.get(path).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_preflight_lists_findings_with_their_severity_and_fix() {
    let daemon = daemon().await;
    let (status, shown) = get(&daemon, "/v1/credentials/payments-api/preflight").await;
    assert_eq!((status, &shown["schema"]), (200, &json!("keydrain/preflight/v1")));
    assert_eq!((&shown["credential"], &shown["errors"]), (&json!("payments-api"), &json!(1)));
    let expected = json!([
        {
            "severity": "error", "subject": "source edge", "message": "it does not exist",
            "fix": "correct `paths`",
        },
        {
            "severity": "warning", "subject": "key evil\u{1b}[2J", "message": "threshold = 3",
            "fix": "set it to 0",
        },
        {
            "severity": "ok", "subject": "policy",
            "message": "7 d were observed without a break", "fix": null,
        },
    ]);
    assert_eq!(shown["findings"], expected);
}

#[tokio::test]
async fn the_key_of_a_question_is_passed_on_and_never_repeated() {
    let daemon = daemon().await;
    let path = "/v1/credentials/payments-api/preflight";
    let (status, shown) = get(&daemon, &format!("{path}?old_key=2025-q4")).await;
    assert_eq!((status, &shown["findings"]), (200, &json!([])));
    for path in [
        "/v1/credentials/payments-api/preflight?old_key=sk_live_pasted",
        "/v1/credentials/payments-api/plan?key=sk_live_pasted",
        "/v1/credentials/payments-api/preflight?kye=sk_live_pasted",
        "/v1/credentials/payments-api/plan?key=sk_live_pasted&key=sk_live_pasted",
    ] {
        let (status, problem) = get(&daemon, path).await;
        assert_eq!(status, 422, "{problem}");
        assert!(!problem.to_string().contains("sk_live_pasted"), "{problem}");
    }
    for path in ["/v1/credentials/nope/preflight", "/v1/credentials/nope/plan"] {
        let (status, problem) = get(&daemon, path).await;
        assert_eq!(status, 404);
        assert_eq!(problem["type"], "urn:keydrain:problem:unknown_credential");
    }
    for path in ["/v1/rotations/r-1/preflight", "/v1/rotations/r-1/plan"] {
        assert_eq!(get(&daemon, path).await.0, 404, "a rotation is past its preflight");
    }
}

#[tokio::test]
async fn a_plan_has_every_field_and_what_is_not_known_is_null() {
    let daemon = daemon().await;
    let (status, mut shown) = get(&daemon, "/v1/credentials/payments-api/plan").await;
    assert_eq!(status, 200);
    assert!(shown.as_object_mut().unwrap().remove("evaluated_at").is_some());
    let expected = json!({
        "schema": "keydrain/plan/v1", "credential": "payments-api", "key": "2025-q4",
        "history_seconds": 36000,
        "quiet_period": {
            "seconds": 7200, "configured_seconds": 900, "dominated_by": "evil\u{1b}[2J",
            "reason": "an ordinary gap",
        },
        "overlap": {
            "seconds": 10800, "configured_seconds": 2_592_000, "dominated_by": "required_quiet",
            "reason": "they add up",
        },
        "required_quiet_seconds": 7200,
        "required_quiet": [{"name": "quiet_period", "seconds": 7200, "reason": "as recommended"}],
        "overlap_terms": [{"name": "moving", "seconds": null, "reason": "no earlier rotation"}],
        "consumers": [{
            "consumer": "evil\u{1b}[2J", "sessions": 6, "largest_gap_seconds": 3600,
            "cadence_bound_seconds": 7200, "last_seen": "2026-11-23T11:59:46Z",
            "reason": "5 gaps are known",
        }],
        "notes": ["add what you expect"],
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn the_plan_is_told_in_words_and_cannot_drive_the_terminal() {
    let daemon = daemon().await;
    let ran = run(&daemon.base, "plan payments-api", Output::Table).await;
    assert_eq!(ran.exit(), Exit::Ok);
    for line in [
        "payments-api: key 2025-q4, 10 h of history",
        "quiet period  2 h (quiet_period is 15 min): an ordinary gap",
        "overlap       3 h (max_overlap is 30 d): they add up",
        "moving       -       no earlier rotation",
        "note: add what you expect",
    ] {
        assert!(ran.out.lines().any(|found| found == line), "{line}\n{}", ran.out);
    }
    assert!(ran.out.contains("evil\\u{1b}[2J  6         1 h          2 h"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'));
    let ran = run(&daemon.base, "plan payments-api --key typo", Output::Json).await;
    assert_eq!(ran.exit(), Exit::Usage);
    assert_eq!(run(&daemon.base, "plan nope", Output::Json).await.exit(), Exit::Usage);
    assert_eq!(run(&daemon.base, "plan payments-api", Output::Csv).await.exit(), Exit::Usage);
}

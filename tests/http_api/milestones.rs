//! What is shown of checkpoints, incidents and the health of the program.

use std::time::Duration;

use keydrain::engine::answer::Verdict;
use keydrain::engine::checkpoints::{Checkpoint, CheckpointRecord, CheckpointStatus};
use keydrain::engine::credential::CredentialName;
use keydrain::engine::health::{CredentialHealth, IncidentCounts, ProgramHealth, Spread};
use keydrain::engine::incident::{Incident, IncidentKind};
use keydrain::engine::rotation::{Phase, RotationId};
use keydrain::engine::view::Snapshot;
use serde_json::{Value, json};

use crate::client::shown_by;
use crate::fake_daemon::{Daemon, answer, noon, rotation, snapshot};

fn checkpoint(checkpoint: Checkpoint, status: CheckpointStatus, reason: &str) -> CheckpointRecord {
    CheckpointRecord {
        rotation: RotationId::new("r-1"),
        checkpoint,
        status,
        at: noon(-60),
        reasons: vec![reason.to_owned()],
        judged_from: None,
    }
}

fn passed(phase: Phase, valid_until: i64) -> Snapshot {
    let mut ready = answer(Verdict::Ready, "e");
    ready.valid_until = noon(valid_until);
    let mut view = rotation("r-1", phase, ready);
    view.checkpoints = vec![
        checkpoint(Checkpoint::Canary, CheckpointStatus::Fail, "share: 3 of 4"),
        checkpoint(Checkpoint::PreRevoke, CheckpointStatus::Pass, "ready"),
    ];
    view.incidents = vec![Incident {
        rotation: RotationId::new("r-1"),
        kind: IncidentKind::RevocationLeak,
        subject: "billing".to_owned(),
        at: noon(-50),
        ended_at: None,
        message: "accepted from billing".to_owned(),
    }];
    snapshot(vec![view])
}

async fn json_of(daemon: &Daemon, path: &str) -> Value {
    let response = daemon.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn checkpoints_have_the_form_of_the_contract() {
    let daemon = Daemon::start(passed(Phase::Open, 60)).await;
    let shown = json_of(&daemon, "/v1/rotations/r-1/checkpoints").await;
    let expected = json!({"checkpoints": [
        {"name": "canary", "status": "fail", "at": "2026-11-23T11:59:00Z",
         "reasons": ["share: 3 of 4"]},
        {"name": "pre-revoke", "status": "pass", "at": "2026-11-23T11:59:00Z",
         "reasons": ["ready"]},
    ]});
    assert_eq!(shown, expected);
    assert_eq!(json_of(&daemon, "/v1/credentials/payments-api/checkpoints").await, expected);
    assert_eq!(daemon.get("/v1/rotations/r-9/checkpoints").await.status(), 404);
    assert_eq!(daemon.post("/v1/rotations/r-1/checkpoints", "{}").await.status(), 405);
}

#[tokio::test]
async fn a_passed_pre_revoke_expires_with_its_answer_and_nothing_else_does() {
    let daemon = Daemon::start(passed(Phase::Open, 1)).await;
    let shown = json_of(&daemon, "/v1/rotations/r-1/checkpoints").await;
    let expected = json!({"name": "pre-revoke", "status": "unknown",
        "at": "2026-11-23T12:00:01Z", "reasons": ["answer_expired"]});
    assert_eq!(shown["checkpoints"][1], expected);
    assert_eq!(shown["checkpoints"][0]["status"], "fail");
    let metrics = daemon.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("checkpoint=\"pre-revoke\",status=\"pass\"} 0\n"), "{metrics}");
    // Once revoked it says how it stood then.
    daemon.show(passed(Phase::Revoked(noon(-1)), 1));
    let shown = json_of(&daemon, "/v1/rotations/r-1/checkpoints").await;
    assert_eq!(shown["checkpoints"][1]["status"], "pass");
}

#[tokio::test]
async fn a_rotation_shows_its_incidents() {
    let daemon = Daemon::start(passed(Phase::Open, 60)).await;
    let expected = json!([{"kind": "revocation_leak", "subject": "billing",
        "at": "2026-11-23T11:59:10Z", "ended_at": null, "message": "accepted from billing"}]);
    assert_eq!(json_of(&daemon, "/v1/rotations/r-1").await["incidents"], expected);
}

#[tokio::test]
async fn rotation_show_lists_checkpoints_and_incidents() {
    let daemon = Daemon::start(passed(Phase::Open, 60)).await;
    let table = shown_by(&daemon, "rotation show payments-api").await;
    for row in ["CHECKPOINT", "canary", "share: 3 of 4", "INCIDENT AT", "revocation_leak"] {
        assert!(table.contains(row), "{row} is missing in\n{table}");
    }
}

fn healthy() -> Snapshot {
    let spread = Spread {
        mean: Duration::from_secs(7_200),
        median: Duration::from_secs(3_600),
        p90: Duration::from_millis(10_800_500),
    };
    let health = ProgramHealth {
        open: 1,
        finished: 3,
        rolled_back: 1,
        overridden: 2,
        manual_interventions: 1,
        success_ratio: Some(0.5),
        time_to_rotate: Some(spread),
        overlap_used: Some(0.25),
        allocation_used: None,
        t50: Some(Duration::from_mins(5)),
        t90: None,
        consumers_per_hour: Some(12.0),
        incidents: IncidentCounts {
            posted: 1,
            leaks: 2,
            new_key_failing: 3,
            retractions: 4,
            overdue: 5,
        },
        incidents_per_rotation: Some(2.5),
    };
    Snapshot {
        health,
        credential_health: vec![CredentialHealth {
            credential: CredentialName::new("payments-api"),
            health,
            recommended_overlap: Some(Duration::from_hours(30)),
        }],
        ..passed(Phase::Open, 60)
    }
}

#[tokio::test]
async fn health_has_the_figures_of_the_program_and_of_each_credential() {
    let daemon = Daemon::start(healthy()).await;
    let shown = json_of(&daemon, "/v1/health").await;
    let figures = json!({
        "rotations": {
            "open": 1, "finished": 3, "rolled_back": 1, "overridden": 2, "manual_interventions": 1,
        },
        "success_ratio": 0.5,
        "time_to_rotate_seconds": {"mean": 7200, "median": 3600, "p90": 10800.5},
        "overlap_used_ratio": 0.25,
        "allocation_used_ratio": null,
        "velocity": {"t50_seconds": 300, "t90_seconds": null, "consumers_per_hour": 12.0},
        "incidents": {
            "total": 15, "posted": 1, "revocation_leak": 2, "new_key_failing": 3, "retraction": 4,
            "overlap_overdue": 5,
        },
        "incidents_per_rotation": 2.5,
    });
    let mut credential = figures.clone();
    credential["credential"] = "payments-api".into();
    credential["recommended_overlap_seconds"] = 108_000.into();
    let expected = json!({
        "schema": "keydrain/health/v1",
        "taken_at": "2026-11-23T12:00:00Z",
        "total": figures,
        "credentials": [credential],
    });
    assert_eq!(shown, expected);
    assert_eq!(daemon.post("/v1/health", "{}").await.status(), 405);
}

#[tokio::test]
async fn figures_are_gauges_and_what_is_not_known_has_none() {
    let daemon = Daemon::start(healthy()).await;
    let text = daemon.get("/metrics").await.text().await.unwrap();
    let credential = "credential=\"payments-api\"";
    let series = [
        format!("keydrain_program_rotations{{{credential},outcome=\"finished\"}} 3"),
        format!("keydrain_program_rotations{{{credential},outcome=\"overridden\"}} 2"),
        format!("keydrain_program_incidents{{{credential},kind=\"revocation_leak\"}} 2"),
        format!("keydrain_program_success_ratio{{{credential}}} 0.5"),
        format!(
            "keydrain_program_time_to_rotate_seconds{{{credential},statistic=\"p90\"}} 10800.5"
        ),
        format!("keydrain_program_overlap_used_ratio{{{credential}}} 0.25"),
        format!("keydrain_program_recommended_overlap_seconds{{{credential}}} 108000.0"),
        "keydrain_rotation_checkpoint{rotation=\"r-1\",credential=\"payments-api\",\
         checkpoint=\"canary\",status=\"fail\"} 1"
            .to_owned(),
    ];
    for one in series {
        assert!(text.lines().any(|line| line == one), "{one} is missing in\n{text}");
    }
    let mut unknown = healthy();
    unknown.credential_health[0].health = ProgramHealth::default();
    unknown.credential_health[0].recommended_overlap = None;
    daemon.show(unknown);
    let text = daemon.get("/metrics").await.text().await.unwrap();
    let values = text.lines().filter(|line| !line.starts_with('#'));
    for line in values.filter(|line| line.starts_with("keydrain_program_")) {
        assert!(line.contains("_rotations{") || line.contains("_incidents{"), "{line}");
    }
}

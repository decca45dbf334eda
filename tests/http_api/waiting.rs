//! Long polls: what wakes them, and what ends them. Each has a deadline of its own.

use std::future::Future;
use std::time::Duration;

use keydrain::engine::answer::Verdict;
use reqwest::Response;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::fake_daemon::{Daemon, answer, client, fresh, open};

/// Far below the wait that the requests ask for.
const SOON: Duration = Duration::from_secs(10);

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("it ends before its wait is over")
}

/// Sends a long poll; returns once the server holds it.
async fn poll(daemon: &Daemon, path: &str, epoch: Option<&str>) -> JoinHandle<Response> {
    let mut request = client().get(daemon.url(path));
    if let Some(epoch) = epoch {
        request = request.header("if-none-match", format!("\"{epoch}\""));
    }
    let polling = tokio::spawn(async move { request.send().await.unwrap() });
    soon(async {
        while !daemon.holds_a_request() && !polling.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    polling
}

#[tokio::test]
async fn readiness_wakes_when_the_epoch_changes_and_not_before() {
    let daemon = Daemon::start(open(answer(Verdict::NotReady, "one"))).await;
    for epoch in [None, Some("one")] {
        daemon.show(open(answer(Verdict::NotReady, "one")));
        let polling = poll(&daemon, "/v1/rotations/r-1/readiness?wait=50s", epoch).await;
        let mut same = open(answer(Verdict::NotReady, "one"));
        same.sequence += 1;
        daemon.show(same);
        // Round trips on the one thread: whoever wakes has its turn.
        for _ in 0..5 {
            assert_eq!(daemon.get("/healthz").await.status(), 200);
        }
        assert!(!polling.is_finished(), "a new sequence of the same epoch is no change");
        daemon.show(open(answer(Verdict::Ready, "two")));
        let response = soon(polling).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<Value>().await.unwrap()["epoch"], "two");
    }
}

#[tokio::test]
async fn readiness_answers_at_once_who_knows_another_epoch() {
    let daemon = Daemon::start(open(answer(Verdict::NotReady, "two"))).await;
    let polling = poll(&daemon, "/v1/rotations/r-1/readiness?wait=50s", Some("one")).await;
    assert_eq!(soon(polling).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_unchanged_answer_is_304_when_the_wait_is_over() {
    let daemon = Daemon::start(open(answer(Verdict::NotReady, "one"))).await;
    for path in ["/v1/rotations/r-1/readiness?wait=1", "/v1/rotations/r-1/readiness"] {
        let polling = poll(&daemon, path, Some("one")).await;
        let response = soon(polling).await.unwrap();
        assert_eq!(response.status(), 304);
        assert_eq!(response.headers()["etag"], "\"one\"");
        assert_eq!(response.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn the_gate_waits_until_ready() {
    let daemon = Daemon::start(open(answer(Verdict::Unknown, "one"))).await;
    let polling = poll(&daemon, "/v1/credentials/payments-api/gate?wait=50s", None).await;
    daemon.show(open(answer(Verdict::NotReady, "two")));
    daemon.show(open(answer(Verdict::Ready, "three")));
    assert_eq!(soon(polling).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_poll_wakes_when_the_lease_of_a_silent_daemon_ends() {
    let mut short = fresh(answer(Verdict::NotReady, "one"));
    short.valid_until = short.evaluated_at.plus(Duration::from_millis(300));
    let daemon = Daemon::live(open(short)).await;
    let polling = poll(&daemon, "/v1/rotations/r-1/readiness?wait=50s", Some("one")).await;
    let shown: Value = soon(polling).await.unwrap().json().await.unwrap();
    assert_eq!(shown["blockers"][0]["code"], "answer_expired");
}

#[tokio::test]
async fn shutdown_ends_long_polls_with_the_answer_of_the_moment() {
    let mut daemon = Daemon::start(open(answer(Verdict::NotReady, "one"))).await;
    let polling = poll(&daemon, "/v1/rotations/r-1/gate?wait=50s", None).await;
    daemon.shutdown.cancel();
    assert_eq!(soon(polling).await.unwrap().status(), 409);
    soon(&mut daemon.served).await.unwrap().unwrap();
    assert!(client().get(daemon.url("/healthz")).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_wait_that_is_no_duration_is_a_bad_query() {
    let daemon = Daemon::start(open(answer(Verdict::NotReady, "one"))).await;
    for wait in ["soon", "-1s", "1mo", ""] {
        let response = daemon.get(&format!("/v1/rotations/r-1/gate?wait={wait}")).await;
        assert_eq!(response.status(), 400, "{wait}");
    }
}

//! Statuses of the gate, tokens, and problems of requests that cannot be answered.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use keydrain::engine::answer::Verdict;
use keydrain::publish::{HttpOptions, Token};
use reqwest::{Method, Response};
use serde_json::Value;

use crate::fake_daemon::{Daemon, TOKEN, answer, client, clock, open, steady};

async fn problem(response: Response, status: u16, kind: &str) -> Value {
    assert_eq!(response.status(), status, "{kind}");
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{kind}");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], format!("urn:keydrain:problem:{kind}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    problem
}

#[tokio::test]
async fn the_gate_puts_the_verdict_into_the_status_for_get_head_and_post() {
    for (verdict, status) in
        [(Verdict::Ready, 200), (Verdict::NotReady, 409), (Verdict::Unknown, 503)]
    {
        let daemon = Daemon::start(open(answer(verdict, "e"))).await;
        let readiness = daemon.get("/v1/rotations/r-1/readiness").await.text().await.unwrap();
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let url = daemon.url("/v1/rotations/r-1/gate");
            let body = "{\"name\":\"flagger\"}";
            let request = client().request(method.clone(), url).bearer_auth(TOKEN).body(body);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status, "{method}");
            assert_eq!(response.headers()["etag"], "\"e\"");
            // The blocker clears in six seconds and a bit.
            let retry_after = response.headers().get("retry-after").map(|v| v.to_str().unwrap());
            assert_eq!(retry_after, (status == 503).then_some("7"));
            let expected = if method == Method::HEAD { "" } else { &readiness };
            assert_eq!(response.text().await.unwrap(), expected, "{method}");
        }
    }
}

#[tokio::test]
async fn every_post_needs_the_token_and_get_on_loopback_does_not() {
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    for path in [
        "/v1/rotations",
        "/v1/rotations/r-1/events",
        "/v1/rotations/r-1/gate",
        "/v1/rotations/r-1/revoke-intent",
        "/v1/credentials/payments-api/events",
        "/nowhere",
    ] {
        let response = client().post(daemon.url(path)).send().await.unwrap();
        assert!(response.headers().contains_key("www-authenticate"), "{path}");
        problem(response, 401, "unauthorized").await;
    }
    let wrong = client().post(daemon.url("/v1/rotations")).bearer_auth("wrong");
    problem(wrong.send().await.unwrap(), 401, "unauthorized").await;
    assert_eq!(daemon.get("/v1/rotations").await.status(), 200);
}

#[tokio::test]
async fn without_a_token_file_a_post_is_told_how_to_get_one() {
    let options = HttpOptions { token: None, loopback: true, clock, steady };
    let daemon = Daemon::with(open(answer(Verdict::Ready, "e")), options).await;
    let problem =
        problem(daemon.post("/v1/rotations", "{}").await, 403, "no_token_configured").await;
    assert!(problem["detail"].as_str().unwrap().contains("token_file"));
}

#[tokio::test]
async fn beyond_loopback_only_the_health_checks_are_open() {
    let options = HttpOptions { token: Token::new(TOKEN), loopback: false, clock, steady };
    let daemon = Daemon::with(open(answer(Verdict::Ready, "e")), options).await;
    for path in ["/v1/rotations", "/v1/rotations/r-1/gate", "/metrics", "/", "/healthz/x"] {
        assert_eq!(daemon.get(path).await.status(), 401, "{path}");
        let request = client().get(daemon.url(path)).bearer_auth(TOKEN);
        assert_ne!(request.send().await.unwrap().status(), 401, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(daemon.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_with_its_own_type() {
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    for (path, kind) in [
        ("/v1/rotations/r-9", "unknown_rotation"),
        ("/v1/rotations/r-9/readiness", "unknown_rotation"),
        ("/v1/rotations/r-9/gate", "unknown_rotation"),
        ("/v1/rotations/%ff/gate", "unknown_rotation"),
        ("/v1/credentials/nope", "unknown_credential"),
        ("/v1/credentials/nope/gate", "unknown_credential"),
        ("/v1/credentials/never-rotated/gate", "no_rotation"),
        ("/v1/credentials/never-rotated/journal", "no_rotation"),
        ("/v2", "unknown_path"),
        ("/", "unknown_path"),
    ] {
        problem(daemon.get(path).await, 404, kind).await;
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_which_ones_there_are() {
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    let response = client().delete(daemon.url("/v1/rotations/r-1/gate")).send().await;
    let response = response.unwrap();
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    problem(response, 405, "wrong_method").await;
    let response = daemon.post("/v1/sources", "{}").await;
    problem(response, 405, "wrong_method").await;
}

/// Where a subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn request_logs_name_the_route_and_never_the_path_query_or_token() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("keydrain=trace")
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process: a subscriber of one thread may miss call sites that another thread
    // reached first. The logs of the tests beside this one must hold no key either.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    daemon.get("/v1/rotations/sk_live_1/readiness?wait=0&key=sk_live_2").await;
    daemon.get("/sk_live_3").await;
    daemon.post("/v1/rotations", "{\"credential\":\"sk_live_4\"}").await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("/v1/rotations/{id}/readiness"), "{text}");
    assert!(text.contains("unmatched"), "{text}");
    assert!(!text.contains("sk_live") && !text.contains(TOKEN), "{text}");
}

#[tokio::test]
async fn an_endless_head_does_not_get_through() {
    let daemon = Daemon::start(open(answer(Verdict::Ready, "e"))).await;
    let address = daemon.base.strip_prefix("http://").unwrap().to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}", "a".repeat(64 * 1024));
        // The server may hang up while we write.
        let _ = stream.write_all(head.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    });
    let answer = answer.await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

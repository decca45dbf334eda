//! POST routes: each reads a body, asks the daemon and tells what was recorded.
//!
//! Nothing is answered with success before the daemon has committed it.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request as HttpRequest, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::desk::Request;
use super::http::App;
use super::posted::{self, PostedEvent};
use super::problem::Problem;
use super::read::{Subject, json_response};

/// Most bytes of a body.
const MAX_BODY: usize = 64 * 1024;
/// A client must send the body within this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The whole body of a request.
pub(super) struct Posted(Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, _: &S) -> Result<Self, Problem> {
        read(request.into_body()).await.map(Self)
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let slow = |_| {
        let detail = "the body did not arrive within 10 s; send it again";
        Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", detail)
    };
    // The only other failure is a client that hung up, and it reads no answer.
    let too_large = |_| {
        let detail = "a body may have 64 KiB at most";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    let bytes = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await;
    Ok(bytes.map_err(slow)?.map_err(too_large)?.into())
}

pub(super) async fn start(
    State(app): State<App>,
    Posted(body): Posted,
) -> Result<Response, Problem> {
    let start = posted::start(&body)?;
    let id = app.ask(|reply| Request::Start(start, reply)).await??;
    let mut response = created(json!({"id": id.as_str()}));
    // An id is made by keydrain; one that fits no header only loses the convenience.
    if let Ok(location) = HeaderValue::try_from(format!("/v1/rotations/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn record(
    State(app): State<App>,
    subject: Subject,
    Posted(body): Posted,
) -> Result<Response, Problem> {
    let rotation = subject.id(&app.snapshot())?;
    let PostedEvent { event, at, by, note } = posted::event(&body)?;
    let record = |reply| Request::Record { rotation, event, at, by, note, reply };
    let sequence = app.ask(record).await??;
    Ok(created(json!({"sequence": sequence})))
}

pub(super) async fn revoke_intent(
    State(app): State<App>,
    subject: Subject,
    Posted(body): Posted,
) -> Result<Response, Problem> {
    let rotation = subject.id(&app.snapshot())?;
    let (epoch, by) = posted::intent(&body)?;
    let intent = app.ask(|reply| Request::RevokeIntent { rotation, epoch, by, reply }).await??;
    let body = json!({"intent": intent.intent, "valid_until": intent.valid_until.to_string()});
    Ok(json_response(StatusCode::OK, body.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "the caller makes the value for this")]
fn created(body: serde_json::Value) -> Response {
    json_response(StatusCode::CREATED, body.to_string())
}

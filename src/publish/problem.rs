//! Errors as RFC 9457 problem details: a stable `type`, and a `detail` that says what to do.
//!
//! Never repeats a value of the request: somebody may have pasted a raw key.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::desk::Refusal;
use crate::engine::rotation::JournalRefusal;

/// An error as the caller gets it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// Last part of `type`, stable.
    kind: &'static str,
    detail: String,
    more: Map<String, Value>,
}

/// Seconds after which a caller of a busy or stopping daemon is told to come back.
const RETRY_AFTER: u32 = 5;

impl Problem {
    /// Makes a problem; `kind` is the last part of its `type`.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), more: Map::new() }
    }

    /// Adds an extension member.
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// The credential is neither configured nor rotated.
    pub fn unknown_credential() -> Self {
        Self::from(Refusal::UnknownCredential)
    }

    /// The rotation does not exist.
    pub fn unknown_rotation() -> Self {
        Self::from(Refusal::UnknownRotation)
    }

    /// The credential has no rotation.
    pub fn no_rotation() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no_rotation",
            "this credential has no rotation; start one with `keydrain rotation start` or \
             `POST /v1/rotations`",
        )
    }

    /// The daemon does not take requests.
    pub fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "keydrain is stopping; ask again once it runs",
        )
    }

    /// The daemon takes too long.
    pub fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "keydrain did not get to this request in time; it may still be carried out, so read \
             the journal before you repeat it",
        )
    }

    /// A field of the body is missing, superfluous or senseless.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let (status, kind) = match &refusal {
            Refusal::UnknownCredential => (StatusCode::NOT_FOUND, "unknown_credential"),
            Refusal::UnknownRotation => (StatusCode::NOT_FOUND, "unknown_rotation"),
            Refusal::UnknownKey(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_key"),
            Refusal::SameKey => (StatusCode::UNPROCESSABLE_ENTITY, "same_key"),
            Refusal::Invalid(_)
            | Refusal::Journal(
                JournalRefusal::UnknownSource(_)
                | JournalRefusal::InTheFuture
                | JournalRefusal::BeforeTheStart,
            ) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request"),
            Refusal::RotationInProgress(_) => (StatusCode::CONFLICT, "rotation_in_progress"),
            Refusal::Journal(_) => (StatusCode::CONFLICT, "journal_conflict"),
            Refusal::StaleEpoch { .. } => (StatusCode::CONFLICT, "stale_epoch"),
            Refusal::NotReady(_) => (StatusCode::CONFLICT, "not_ready"),
            Refusal::Unknown(_) => (StatusCode::SERVICE_UNAVAILABLE, "unknown"),
            Refusal::StateUnwritable(_) => (StatusCode::SERVICE_UNAVAILABLE, "state_unwritable"),
        };
        let problem = Self::new(status, kind, detail);
        match refusal {
            Refusal::RotationInProgress(id) => problem.with("rotation", id.as_str()),
            Refusal::StaleEpoch { current } => problem.with("epoch", current.as_str()),
            Refusal::NotReady(answer) | Refusal::Unknown(answer) => {
                let codes: Vec<_> =
                    answer.blockers.iter().map(|blocker| blocker.code.as_str()).collect();
                problem.with("verdict", answer.verdict.as_str()).with("blockers", codes)
            }
            _ => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("type".to_owned(), format!("urn:keydrain:problem:{}", self.kind).into());
        body.insert("title".to_owned(), self.kind.replace('_', " ").into());
        body.insert("status".to_owned(), self.status.as_u16().into());
        body.insert("detail".to_owned(), self.detail.into());
        body.extend(self.more);
        let text = Value::Object(body).to_string();
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
            }
            StatusCode::UNAUTHORIZED => {
                let bearer = HeaderValue::from_static("Bearer realm=\"keydrain\"");
                headers.insert(header::WWW_AUTHENTICATE, bearer);
            }
            _ => {}
        }
        response
    }
}

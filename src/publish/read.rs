//! GET routes that show the snapshot or pass a question to the daemon.
//!
//! Never waits for more than the desk's timeout and never changes anything.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::desk::Request;
use super::http::App;
use super::problem::Problem;
use super::{json, lease};
use crate::engine::credential::CredentialName;
use crate::engine::rotation::{Phase, RotationId};
use crate::engine::view::{RotationView, Snapshot};

/// Which rotation a path is about.
pub(super) enum Subject {
    /// The rotation with this id.
    Rotation(RotationId),
    /// The open rotation of this credential, else its newest.
    Credential(CredentialName),
}

impl Subject {
    /// Finds the rotation in `snapshot`.
    pub(super) fn find<'a>(&self, snapshot: &'a Snapshot) -> Result<&'a RotationView, Problem> {
        match self {
            Self::Rotation(id) => {
                let of_id = |view: &&RotationView| view.rotation.declaration.id == *id;
                snapshot.rotations.iter().find(of_id).ok_or_else(Problem::unknown_rotation)
            }
            Self::Credential(name) => current_rotation(snapshot, name).ok_or_else(|| {
                if snapshot.credentials.iter().any(|each| each.name == *name) {
                    Problem::no_rotation()
                } else {
                    Problem::unknown_credential()
                }
            }),
        }
    }

    /// Finds the rotation's id in `snapshot`.
    pub(super) fn id(&self, snapshot: &Snapshot) -> Result<RotationId, Problem> {
        self.find(snapshot).map(|view| view.rotation.declaration.id.clone())
    }
}

/// Returns the open rotation of a credential, else its newest.
pub(super) fn current_rotation<'a>(
    snapshot: &'a Snapshot,
    credential: &CredentialName,
) -> Option<&'a RotationView> {
    let own = || {
        let of_credential =
            |view: &&RotationView| view.rotation.declaration.credential == *credential;
        snapshot.rotations.iter().filter(of_credential)
    };
    own().find(|view| view.rotation.phase == Phase::Open).or_else(|| own().next())
}

impl<S: Send + Sync> FromRequestParts<S> for Subject {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // A path that is no UTF-8 names nothing that exists.
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Problem::unknown_rotation())?;
        let found = params.iter().find_map(|(param, value)| match param {
            "id" => Some(Self::Rotation(RotationId::new(value))),
            "name" => Some(Self::Credential(CredentialName::new(value))),
            _ => None,
        });
        Ok(found.expect("every route with a subject has {id} or {name} in its path"))
    }
}

/// Wraps JSON text. It must be asked for again each time: an answer has a lease.
pub(super) fn json_response(status: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (status, headers, text).into_response()
}

pub(super) fn ok(text: String) -> Response {
    json_response(StatusCode::OK, text)
}

pub(super) async fn credentials(State(app): State<App>) -> Response {
    ok(json::credentials(&app.snapshot()))
}

pub(super) async fn credential(
    State(app): State<App>,
    subject: Subject,
) -> Result<Response, Problem> {
    let Subject::Credential(name) = subject else { return Err(Problem::unknown_credential()) };
    json::credential(&app.snapshot(), &name).map(ok).ok_or_else(Problem::unknown_credential)
}

pub(super) async fn rotations(State(app): State<App>) -> Response {
    let snapshot = app.snapshot();
    let now = app.time_of(&snapshot);
    let answers: Vec<_> =
        snapshot.rotations.iter().map(|view| lease::at(&view.answer, now)).collect();
    ok(json::rotations(snapshot.rotations.iter().zip(answers.iter().map(AsRef::as_ref))))
}

pub(super) async fn rotation(
    State(app): State<App>,
    subject: Subject,
) -> Result<Response, Problem> {
    let snapshot = app.snapshot();
    let now = app.time_of(&snapshot);
    let view = subject.find(&snapshot)?;
    Ok(ok(json::rotation(view, &lease::at(&view.answer, now))))
}

pub(super) async fn checkpoints(
    State(app): State<App>,
    subject: Subject,
) -> Result<Response, Problem> {
    let snapshot = app.snapshot();
    let now = app.time_of(&snapshot);
    let view = subject.find(&snapshot)?;
    Ok(ok(json::checkpoints(view, &lease::at(&view.answer, now))))
}

pub(super) async fn health(State(app): State<App>) -> Response {
    ok(json::health(&app.snapshot()))
}

pub(super) async fn sources(State(app): State<App>) -> Response {
    let snapshot = app.snapshot();
    ok(json::sources(&snapshot, app.time_of(&snapshot)))
}

pub(super) async fn consumers(
    State(app): State<App>,
    subject: Subject,
) -> Result<Response, Problem> {
    let rotation = subject.id(&app.snapshot())?;
    let consumers = app.ask(|reply| Request::Consumers { rotation, reply }).await??;
    Ok(ok(json::consumers(&consumers.ok_or_else(Problem::unknown_rotation)?)))
}

pub(super) async fn migration(
    State(app): State<App>,
    subject: Subject,
) -> Result<Response, Problem> {
    let rotation = subject.id(&app.snapshot())?;
    let report = app.ask(|reply| Request::Migration { rotation, reply }).await??;
    Ok(ok(json::migration(&*report.ok_or_else(Problem::unknown_rotation)?)))
}

pub(super) async fn journal(State(app): State<App>, subject: Subject) -> Result<Response, Problem> {
    let rotation = subject.id(&app.snapshot())?;
    let entries = app.ask(|reply| Request::Journal { rotation, reply }).await??;
    Ok(ok(json::journal(&entries.ok_or_else(Problem::unknown_rotation)?)))
}

pub(super) async fn healthz() -> Result<Response, Infallible> {
    Ok(ok("{\"status\":\"ok\"}".to_owned()))
}

pub(super) async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    if app.snapshot().caught_up {
        return Ok(ok("{\"status\":\"ok\"}".to_owned()));
    }
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "catching_up",
        "the files that existed at the start have not been read once yet; `keydrain status` shows \
         what is left",
    ))
}

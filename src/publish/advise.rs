//! GET routes about a credential whose rotation is still to come: preflight and plan.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::desk::Request;
use super::http::App;
use super::json;
use super::problem::Problem;
use super::read::{Subject, ok};
use crate::engine::credential::CredentialName;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OldKeyQuery {
    old_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyQuery {
    key: Option<String>,
}

pub(super) async fn preflight(
    State(app): State<App>,
    subject: Subject,
    query: Result<Query<OldKeyQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let name = credential(subject)?;
    let Query(OldKeyQuery { old_key }) = query.map_err(|_| senseless("old_key"))?;
    let credential = name.clone();
    let findings = app.ask(|reply| Request::Preflight { credential, old_key, reply }).await??;
    Ok(ok(json::preflight(&name, &findings, (app.clock)())))
}

pub(super) async fn plan(
    State(app): State<App>,
    subject: Subject,
    query: Result<Query<KeyQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let name = credential(subject)?;
    let Query(KeyQuery { key }) = query.map_err(|_| senseless("key"))?;
    let credential = name.clone();
    let plan = app.ask(|reply| Request::Plan { credential, key, reply }).await??;
    Ok(ok(json::plan(&name, &plan, (app.clock)())))
}

fn credential(subject: Subject) -> Result<CredentialName, Problem> {
    match subject {
        Subject::Credential(name) => Ok(name),
        Subject::Rotation(_) => Err(Problem::unknown_credential()),
    }
}

fn senseless(parameter: &str) -> Problem {
    Problem::invalid(format!("the query may hold `{parameter}=NAME` once, the name of a key"))
}

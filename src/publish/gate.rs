//! Readiness and gate: two views of one answer, both able to wait.
//!
//! Readiness tells everything with 200; the gate puts the verdict into the status for callers
//! that read nothing else. Neither ever shows an answer past its lease.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::http::App;
use super::posted;
use super::problem::Problem;
use super::read::{Subject, json_response};
use super::{json, lease};
use crate::engine::answer::{Answer, Epoch, Verdict};
use crate::engine::time::Timestamp;
use crate::engine::view::Snapshot;

/// Longest wait of one request: below the 60 s after which common proxies give up.
const MAX_WAIT: Duration = Duration::from_secs(55);
/// Bounds of `Retry-After`, in seconds.
const RETRY_AFTER: std::ops::RangeInclusive<u64> = 1..=30;

#[derive(Deserialize)]
pub(super) struct WaitQuery {
    wait: Option<String>,
}

type Wait = Result<Query<WaitQuery>, QueryRejection>;

/// An answer that may be shown, and the snapshot it is from.
struct Shown {
    snapshot: Arc<Snapshot>,
    answer: Answer,
    now: Timestamp,
}

pub(super) async fn readiness(
    State(app): State<App>,
    subject: Subject,
    query: Wait,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = known_epochs(&headers);
    let mut first: Option<Epoch> = None;
    let changed = |answer: &Answer| {
        if known.is_empty() {
            first.get_or_insert_with(|| answer.epoch.clone()) != &answer.epoch
        } else {
            !is_known(&known, &answer.epoch)
        }
    };
    let shown = wait_until(&app, &subject, wait(query)?, changed).await?;
    if is_known(&known, &shown.answer.epoch) {
        let etag = [(header::ETAG, etag(&shown.answer.epoch))];
        return Ok((StatusCode::NOT_MODIFIED, etag).into_response());
    }
    Ok(respond(StatusCode::OK, &shown))
}

pub(super) async fn gate(
    State(app): State<App>,
    subject: Subject,
    query: Wait,
) -> Result<Response, Problem> {
    let ready = |answer: &Answer| answer.verdict == Verdict::Ready;
    let shown = wait_until(&app, &subject, wait(query)?, ready).await?;
    let status = match shown.answer.verdict {
        Verdict::Ready => StatusCode::OK,
        Verdict::NotReady => StatusCode::CONFLICT,
        Verdict::Unknown => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = respond(status, &shown);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from(retry_after(&shown.answer, shown.now));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    Ok(response)
}

/// Waits until `done` holds of the subject's answer, at most for `wait` and not past shutdown.
///
/// Wakes on every snapshot and when the lease of the answer at hand ends.
async fn wait_until(
    app: &App,
    subject: &Subject,
    wait: Duration,
    mut done: impl FnMut(&Answer) -> bool,
) -> Result<Shown, Problem> {
    let mut snapshots = app.desk.snapshot.clone();
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let now = app.time_of(&snapshot);
        let view = subject.find(&snapshot)?;
        let answer = lease::at(&view.answer, now).into_owned();
        let lease = view.answer.valid_until.since(now);
        let shown = Shown { snapshot, answer, now };
        if done(&shown.answer) || wait.is_zero() {
            return Ok(shown);
        }
        let lease_ends = async {
            if lease.is_zero() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(lease).await;
        };
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return Ok(shown) },
            () = lease_ends => {}
            () = deadline.as_mut() => return Ok(shown),
            () = app.shutdown.cancelled() => return Ok(shown),
        }
    }
}

fn respond(status: StatusCode, shown: &Shown) -> Response {
    let mut response = json_response(status, json::readiness(&shown.answer, &shown.snapshot));
    response.headers_mut().insert(header::ETAG, etag(&shown.answer.epoch));
    response
}

fn etag(epoch: &Epoch) -> HeaderValue {
    HeaderValue::try_from(format!("\"{epoch}\"")).expect("an epoch is hex digits")
}

/// Returns the epochs of `If-None-Match`. A weak tag compares as a strong one (RFC 9110, 13.1.2).
fn known_epochs(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let tags = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    tags.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .filter(|tag| !tag.is_empty())
        .collect()
}

fn is_known(known: &[&str], epoch: &Epoch) -> bool {
    known.iter().any(|tag| *tag == "*" || *tag == epoch.as_str())
}

fn wait(query: Wait) -> Result<Duration, Problem> {
    let bad = || {
        let detail = "`wait` must be a duration of at most 55 s, such as 30s or 30";
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail)
    };
    let Query(query) = query.map_err(|_| bad())?;
    let wait = match query.wait {
        Some(text) => posted::duration(&text).ok_or_else(bad)?,
        None => Duration::ZERO,
    };
    Ok(wait.min(MAX_WAIT))
}

/// Returns the seconds until the answer may have changed, within bounds.
fn retry_after(answer: &Answer, now: Timestamp) -> u64 {
    let soonest = answer.blockers.iter().filter_map(|blocker| blocker.clears_at).min();
    let seconds = soonest.map_or(*RETRY_AFTER.end(), |at| at.since(now).as_secs() + 1);
    seconds.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end())
}

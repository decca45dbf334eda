//! Bodies of POST requests: JSON text to typed requests, or a problem that says what is wrong.
//!
//! Unknown fields are refused, and so are fields that mean nothing for the entry's type: a `hold`
//! with a `consumer` would be taken for a narrower veto than it is.

use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::desk::{KeyChoice, StartRotation};
use super::problem::Problem;
use crate::engine::answer::Epoch;
use crate::engine::credential::{CredentialName, SourceName, StreamName};
use crate::engine::rotation::{Attestation, JournalEvent};
use crate::engine::time::Timestamp;

/// Most bytes of a name in a request.
const MAX_NAME: usize = 512;
/// Most bytes of a note.
const MAX_NOTE: usize = 4096;
/// Who is recorded when a request does not say.
const ANONYMOUS_CALLER: &str = "http";

/// A journal entry as posted.
#[derive(Debug, PartialEq, Eq)]
pub struct PostedEvent {
    /// What is said.
    pub event: JournalEvent,
    /// When it happened; `None`: now.
    pub at: Option<Timestamp>,
    /// Who says it.
    pub by: String,
    /// A remark for people.
    pub note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct StartBody {
    credential: String,
    old_key: Value,
    new_key: Value,
    started_at: Option<String>,
    overlap: Option<Value>,
    by: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct EventBody {
    r#type: String,
    at: Option<String>,
    consumer: Option<String>,
    until: Option<String>,
    source: Option<String>,
    stream: Option<String>,
    #[serde(alias = "checkpoint")]
    what: Option<String>,
    by: Option<String>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct IntentBody {
    epoch: String,
    by: Option<String>,
}

/// Reads the body of `POST /v1/rotations`.
pub fn start(body: &[u8]) -> Result<StartRotation, Problem> {
    let body: StartBody = parse(body)?;
    Ok(StartRotation {
        credential: CredentialName::new(name("credential", body.credential)?),
        old_key: key("old_key", body.old_key)?,
        new_key: key("new_key", body.new_key)?,
        started_at: body.started_at.map(|text| time("started_at", &text)).transpose()?,
        overlap: body.overlap.as_ref().map(overlap).transpose()?,
        by: caller(body.by)?,
        note: note(body.note)?,
    })
}

/// Reads the body of `POST …/events`.
pub fn event(body: &[u8]) -> Result<PostedEvent, Problem> {
    let mut body: EventBody = parse(body)?;
    let at = body.at.take().map(|text| time("at", &text)).transpose()?;
    let (by, note) = (caller(body.by.take())?, note(body.note.take())?);
    let event = journal_event(&mut body)?;
    let left = [
        ("consumer", &body.consumer),
        ("until", &body.until),
        ("source", &body.source),
        ("stream", &body.stream),
        ("what", &body.what),
    ];
    if let Some((field, _)) = left.into_iter().find(|(_, value)| value.is_some()) {
        let kind = event.type_str();
        return Err(Problem::invalid(format!("`{kind}` takes no `{field}`; leave it out")));
    }
    Ok(PostedEvent { event, at, by, note })
}

/// Reads the body of `POST …/revoke-intent`: the epoch, and who asks.
pub fn intent(body: &[u8]) -> Result<(Epoch, String), Problem> {
    let body: IntentBody = parse(body)?;
    Ok((Epoch::new(name("epoch", body.epoch)?), caller(body.by)?))
}

/// Takes the fields that the entry's type uses out of `body`.
fn journal_event(body: &mut EventBody) -> Result<JournalEvent, Problem> {
    let consumer = |body: &mut EventBody| required("consumer", body.consumer.take());
    Ok(match body.r#type.as_str() {
        "dual_accept_enabled" => JournalEvent::DualAcceptEnabled,
        "consumers_notified" => JournalEvent::ConsumersNotified,
        "propagated" => JournalEvent::Propagated,
        "job_started" => JournalEvent::JobStarted(consumer(body)?.into()),
        "job_finished" => JournalEvent::JobFinished(consumer(body)?.into()),
        "attested" => JournalEvent::Attested(attestation(body.what.take().as_deref())?),
        "incident_opened" => JournalEvent::IncidentOpened,
        "incident_closed" => JournalEvent::IncidentClosed,
        "manual_intervention" => JournalEvent::ManualIntervention,
        "hold" => JournalEvent::Hold,
        "release" => JournalEvent::Release,
        "consumer_retired" => JournalEvent::ConsumerRetired(consumer(body)?.into()),
        "consumer_waived" => JournalEvent::ConsumerWaived(
            consumer(body)?.into(),
            time("until", &required("until", body.until.take())?)?,
        ),
        "source_retired" => JournalEvent::SourceRetired(
            SourceName::new(required("source", body.source.take())?),
            body.stream.take().map(|text| name("stream", text)).transpose()?.map(StreamName::new),
        ),
        "revoked" => JournalEvent::Revoked,
        "rolled_back" => JournalEvent::RolledBack,
        "override" => JournalEvent::Override,
        "started" => {
            return Err(Problem::invalid(
                "`started` is the first entry of a new rotation: use `POST /v1/rotations`",
            ));
        }
        "revoke_intent" => {
            return Err(Problem::invalid(
                "`revoke_intent` has its own route: use `POST /v1/rotations/{id}/revoke-intent`",
            ));
        }
        _ => {
            return Err(Problem::invalid(
                "`type` must be one of dual_accept_enabled, consumers_notified, propagated, \
                 job_started, job_finished, attested, incident_opened, incident_closed, \
                 manual_intervention, hold, release, consumer_retired, consumer_waived, \
                 source_retired, revoked, rolled_back, override",
            ));
        }
    })
}

fn attestation(text: Option<&str>) -> Result<Attestation, Problem> {
    let named = |what: &Attestation| Some(what.as_str()) == text;
    Attestation::ALL.into_iter().find(named).ok_or_else(|| {
        let words: Vec<_> = Attestation::ALL.iter().map(|what| what.as_str()).collect();
        Problem::invalid(format!("`what` must be one of {}", words.join(", ")))
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            Problem::invalid(format!("the body does not fit: {}", what_was_expected(&error)))
        } else {
            let detail = format!("the body is no JSON: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "bad_json", detail)
        }
    })
}

/// Returns what is wrong with a body, without a word of it: somebody may have pasted a raw key.
fn what_was_expected(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // What is expected stands last; before it, serde repeats what it found.
    match text.rsplit_once("expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if text.starts_with("missing field") || text.starts_with("duplicate field") => text,
        None => format!("see line {} column {}", error.line(), error.column()),
    }
}

fn key(field: &str, value: Value) -> Result<KeyChoice, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct KeyBody {
        name: String,
        fingerprint: Option<String>,
        id: Option<String>,
    }
    let bad = || {
        Problem::invalid(format!(
            "`{field}` must be the name of a configured key, or {{\"name\", \"fingerprint\"}}, or \
             {{\"name\", \"id\"}}; never a raw secret"
        ))
    };
    match value {
        Value::String(text) => Ok(KeyChoice::Configured(name(field, text)?)),
        Value::Object(_) => {
            let body: KeyBody = serde_json::from_value(value).map_err(|_| bad())?;
            let shown = name(field, body.name)?;
            match (body.fingerprint, body.id) {
                (Some(text), None) => match text.parse() {
                    Ok(fingerprint) => Ok(KeyChoice::Fingerprint { name: shown, fingerprint }),
                    Err(error) => Err(Problem::invalid(format!("`{field}`: {error}"))),
                },
                (None, Some(id)) => Ok(KeyChoice::Id { name: shown, id: name(field, id)? }),
                _ => Err(bad()),
            }
        }
        _ => Err(bad()),
    }
}

fn overlap(value: &Value) -> Result<Duration, Problem> {
    let parsed = match value {
        Value::Number(number) => number.as_u64().map(Duration::from_secs),
        Value::String(text) => duration(text),
        _ => None,
    };
    parsed.ok_or_else(|| {
        Problem::invalid("`overlap` must be whole seconds, or text like \"36h\" or \"30d\"")
    })
}

/// Returns the duration that `text` tells: `90`, `30s`, `1h 30m`, `7d`, `1w`; a bare number is
/// seconds, a day is 24 hours. `None` for anything else, months and negative values included.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    crate::engine::duration::parse(text).ok()
}

fn time(field: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("`{field}`: {error}")))
}

fn required(field: &str, value: Option<String>) -> Result<String, Problem> {
    name(
        field,
        value.ok_or_else(|| Problem::invalid(format!("`{field}` is missing: {}", hint(field))))?,
    )
}

/// Says what a field is that an entry of the journal needs.
fn hint(field: &str) -> &'static str {
    match field {
        "consumer" => "name the consumer that is meant",
        "until" => "say when the waiver ends, as 2026-11-23T12:00:00Z",
        "source" => "name the source that is meant",
        _ => "say what is meant",
    }
}

fn name(field: &str, text: String) -> Result<String, Problem> {
    match text.len() {
        0 => Err(Problem::invalid(format!("`{field}` is empty"))),
        1..=MAX_NAME => Ok(text),
        _ => Err(Problem::invalid(format!("`{field}` is longer than {MAX_NAME} bytes"))),
    }
}

fn caller(by: Option<String>) -> Result<String, Problem> {
    name("by", by.unwrap_or_else(|| ANONYMOUS_CALLER.to_owned()))
}

fn note(note: Option<String>) -> Result<Option<String>, Problem> {
    if note.as_ref().is_some_and(|text| text.len() > MAX_NOTE) {
        return Err(Problem::invalid(format!("`note` is longer than {MAX_NOTE} bytes")));
    }
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_does_not_fit_is_never_repeated() {
        let check = |body: &str, expected: &str| {
            let problem = format!("{:?}", start(body.as_bytes()).unwrap_err());
            assert!(problem.contains(expected) && !problem.contains("sk_live"), "{problem}");
        };
        check(r#"{"sk_live_x": 1}"#, "expected one of `credential`");
        check(r#"{"credential": "c", "old_key": "a"}"#, "missing field `new_key`");
        check(r#"{"by": "a", "by": "b"}"#, "duplicate field `by`");
        check(r#""sk_live_x""#, "expected an object");
        check(r#"["sk_live_x expected y"]"#, "expected an object");
        check(r#"{"credential": {"sk_live_x": 1}}"#, "expected a string");
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_write() {
        let check = |body: &str, expected: &str| {
            let problem = format!("{:?}", event(body.as_bytes()).unwrap_err());
            assert!(problem.contains(expected), "{problem}");
        };
        check(r#"{"type": "hold", "consumer": "c"}"#, "`hold` takes no `consumer`");
        check(r#"{"type": "consumer_retired"}"#, "`consumer` is missing: name the consumer");
        let waived = r#"{"type": "consumer_waived", "consumer": "c"}"#;
        check(waived, "`until` is missing: say when the waiver ends, as 2026-");
        check(r#"{"type": "attested"}"#, "`what` must be one of old_key_unused, post-generate");
    }

    #[test]
    fn durations_are_seconds_or_units_and_never_negative_or_months() {
        let check = |text, seconds: Option<u64>| {
            assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text:?}");
        };
        check("0", Some(0));
        check("30", Some(30));
        check(" 30s ", Some(30));
        check("1h 30m", Some(5400));
        check("7d", Some(7 * 86400));
        check("1w", Some(7 * 86400));
        for bad in ["", "-1", "-30s", "30s ago", "1mo", "1y", "soon", "99999999999999999999"] {
            check(bad, None);
        }
    }
}

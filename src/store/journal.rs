//! Journal events as columns: the word of the type, and JSON with what the type needs besides.
//!
//! The words are those of the API, so a person reads the table without this program. A body that
//! does not fit its type is damage, never a guess.

use serde_json::{Value, json};

use crate::engine::answer::Epoch;
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::rotation::{Attestation, JournalEvent};
use crate::store::error::Fault;

/// Returns the body of an event; `None` where the type says all.
pub fn body(event: &JournalEvent) -> Option<String> {
    let body = match event {
        JournalEvent::Started
        | JournalEvent::DualAcceptEnabled
        | JournalEvent::ConsumersNotified
        | JournalEvent::Propagated
        | JournalEvent::IncidentOpened
        | JournalEvent::IncidentClosed
        | JournalEvent::ManualIntervention
        | JournalEvent::Hold
        | JournalEvent::Release
        | JournalEvent::Revoked
        | JournalEvent::RolledBack
        | JournalEvent::Override => return None,
        JournalEvent::JobStarted(consumer)
        | JournalEvent::JobFinished(consumer)
        | JournalEvent::ConsumerRetired(consumer) => json!({ "consumer": **consumer }),
        JournalEvent::ConsumerWaived(consumer, until) => {
            json!({ "consumer": **consumer, "until": until.to_string() })
        }
        JournalEvent::Attested(attestation) => json!({ "checkpoint": attestation.as_str() }),
        JournalEvent::SourceRetired(source, stream) => {
            json!({ "source": source.as_str(), "stream": stream.as_ref().map(StreamName::as_str) })
        }
        JournalEvent::RevokeIntent(epoch) => json!({ "epoch": epoch.as_str() }),
    };
    Some(body.to_string())
}

/// Returns the event of a type and its body.
pub fn event(kind: &str, body: Option<&str>) -> Result<JournalEvent, Fault> {
    let body: Value = match body {
        Some(text) => serde_json::from_str(text)
            .map_err(|_| Fault::nonsense("journal.body", "something else than JSON"))?,
        None => Value::Null,
    };
    parse(kind, &body).ok_or_else(|| Fault::nonsense("journal", "an event of no known form"))
}

fn parse(kind: &str, body: &Value) -> Option<JournalEvent> {
    let text = |field: &str| body.get(field)?.as_str();
    Some(match kind {
        "started" => JournalEvent::Started,
        "dual_accept_enabled" => JournalEvent::DualAcceptEnabled,
        "consumers_notified" => JournalEvent::ConsumersNotified,
        "propagated" => JournalEvent::Propagated,
        "job_started" => JournalEvent::JobStarted(text("consumer")?.into()),
        "job_finished" => JournalEvent::JobFinished(text("consumer")?.into()),
        "attested" => {
            let word = text("checkpoint")?;
            let known = Attestation::ALL.into_iter().find(|known| known.as_str() == word);
            JournalEvent::Attested(known?)
        }
        "incident_opened" => JournalEvent::IncidentOpened,
        "incident_closed" => JournalEvent::IncidentClosed,
        "manual_intervention" => JournalEvent::ManualIntervention,
        "hold" => JournalEvent::Hold,
        "release" => JournalEvent::Release,
        "consumer_retired" => JournalEvent::ConsumerRetired(text("consumer")?.into()),
        "consumer_waived" => {
            JournalEvent::ConsumerWaived(text("consumer")?.into(), text("until")?.parse().ok()?)
        }
        "source_retired" => {
            let stream = match body.get("stream")? {
                Value::Null => None,
                Value::String(stream) => Some(StreamName::new(stream.as_str())),
                _ => return None,
            };
            JournalEvent::SourceRetired(SourceName::new(text("source")?), stream)
        }
        "revoke_intent" => JournalEvent::RevokeIntent(Epoch::new(text("epoch")?)),
        "revoked" => JournalEvent::Revoked,
        "rolled_back" => JournalEvent::RolledBack,
        "override" => JournalEvent::Override,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::time::Timestamp;

    /// Returns one event after another; a variant that is added does not compile without its place.
    fn after(event: &JournalEvent) -> Option<JournalEvent> {
        Some(match event {
            JournalEvent::Started => JournalEvent::DualAcceptEnabled,
            JournalEvent::DualAcceptEnabled => JournalEvent::ConsumersNotified,
            JournalEvent::ConsumersNotified => JournalEvent::Propagated,
            JournalEvent::Propagated => JournalEvent::JobStarted("nightly \"x\"\u{0}é".into()),
            JournalEvent::JobStarted(_) => JournalEvent::JobFinished("".into()),
            JournalEvent::JobFinished(_) => JournalEvent::Attested(Attestation::OldKeyUnused),
            JournalEvent::Attested(it) => {
                let place = Attestation::ALL.iter().position(|known| known == it).unwrap();
                match Attestation::ALL.get(place + 1) {
                    Some(&next) => JournalEvent::Attested(next),
                    None => JournalEvent::IncidentOpened,
                }
            }
            JournalEvent::IncidentOpened => JournalEvent::IncidentClosed,
            JournalEvent::IncidentClosed => JournalEvent::ManualIntervention,
            JournalEvent::ManualIntervention => JournalEvent::Hold,
            JournalEvent::Hold => JournalEvent::Release,
            JournalEvent::Release => JournalEvent::ConsumerRetired("billing".into()),
            JournalEvent::ConsumerRetired(_) => {
                JournalEvent::ConsumerWaived("etl".into(), Timestamp::MIN)
            }
            JournalEvent::ConsumerWaived(_, Timestamp::MIN) => {
                JournalEvent::ConsumerWaived("etl".into(), Timestamp::MAX)
            }
            JournalEvent::ConsumerWaived(..) => {
                JournalEvent::SourceRetired(SourceName::new("edge"), None)
            }
            JournalEvent::SourceRetired(_, None) => JournalEvent::SourceRetired(
                SourceName::new("edge"),
                Some(StreamName::new("/var/log/a.log")),
            ),
            JournalEvent::SourceRetired(_, Some(_)) => {
                JournalEvent::RevokeIntent(Epoch::new("0123456789abcdef"))
            }
            JournalEvent::RevokeIntent(_) => JournalEvent::Revoked,
            JournalEvent::Revoked => JournalEvent::RolledBack,
            JournalEvent::RolledBack => JournalEvent::Override,
            JournalEvent::Override => return None,
        })
    }

    #[test]
    fn every_event_comes_back_as_it_was() {
        let all: Vec<_> = std::iter::successors(Some(JournalEvent::Started), after).collect();
        let words: BTreeSet<_> = all.iter().map(JournalEvent::type_str).collect();
        assert_eq!((all.len(), words.len()), (26, 19));
        for stored in all {
            let text = body(&stored);
            let back = event(stored.type_str(), text.as_deref()).ok();
            assert_eq!(back.as_ref(), Some(&stored), "{text:?}");
        }
    }

    #[test]
    fn a_body_that_does_not_fit_is_damage() {
        let cases = [
            ("attested", Some(r#"{"checkpoint":"lunch"}"#)),
            ("attested", None),
            ("job_started", Some("{}")),
            ("consumer_waived", Some(r#"{"consumer":"a","until":"soon"}"#)),
            ("source_retired", Some(r#"{"source":"a","stream":7}"#)),
            ("source_retired", Some(r#"{"source":"a"}"#)),
            ("revoke_intent", Some("not json")),
            ("celebrated", None),
        ];
        for (kind, body) in cases {
            assert!(event(kind, body).is_err(), "{kind} {body:?}");
        }
    }
}

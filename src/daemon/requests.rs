//! Requests from the network: a command is applied at once and replied to after its commit.
//!
//! While the state cannot be written, all are refused before anything is applied or shown.

use super::core::Core;
use crate::clock;
use crate::engine::answer::Verdict;
use crate::engine::drain::{Opening, Refused, Unknown};
use crate::engine::rotation::{KeyRef, RotationId};
use crate::engine::scan::matcher::TrackedKey;
use crate::engine::time::Timestamp;
use crate::publish::{Intent, KeyChoice, Refusal, Request, StartRotation};

impl Core {
    pub(super) fn answer(&mut self, request: Request) {
        let now = clock::now();
        if self.unwritten.is_some() {
            // What the engine knows beyond the last commit is not shown, either.
            return refuse(request, "disk full, read-only or failing");
        }
        match request {
            Request::Start(start, reply) => {
                let started = self.start(start, now);
                self.replies.push(Box::new(move |_| {
                    let _ = reply.send(started);
                }));
            }
            Request::Record { rotation, event, at, by, note, reply } => {
                let recorded = self.drain.record(&rotation, event, at, by, note, now);
                self.replies.push(Box::new(move |_| {
                    let _ = reply.send(recorded.map_err(refusal));
                }));
            }
            Request::RevokeIntent { rotation, epoch, by, reply } => {
                let intent = self.drain.revoke_intent(&rotation, &epoch, by, now);
                let intent = intent.map(|(intent, valid_until)| Intent { intent, valid_until });
                self.replies.push(Box::new(move |_| {
                    let _ = reply.send(intent.map_err(refusal));
                }));
            }
            Request::Consumers { rotation, reply } => self.replies.push(Box::new(move |drain| {
                let _ = reply.send(Ok(drain.consumers(&rotation, now)));
            })),
            Request::Migration { rotation, reply } => self.replies.push(Box::new(move |drain| {
                let _ = reply.send(Ok(drain.migration(&rotation, now).map(Box::new)));
            })),
            Request::Preflight { credential, old_key, reply } => {
                self.replies.push(Box::new(move |drain| {
                    let found = drain.preflight(&credential, old_key.as_deref(), now);
                    let _ = reply.send(found.map_err(|what| unknown(what, old_key)));
                }));
            }
            Request::Plan { credential, key, reply } => self.replies.push(Box::new(move |drain| {
                let plan = drain.plan(&credential, key.as_deref(), now);
                let _ = reply.send(plan.map(Box::new).map_err(|what| unknown(what, key)));
            })),
            Request::Journal { rotation, reply } => self.replies.push(Box::new(move |drain| {
                let _ = reply.send(Ok(drain.journal(&rotation).map(<[_]>::to_vec)));
            })),
        }
    }

    fn start(&mut self, start: StartRotation, now: Timestamp) -> Result<RotationId, Refusal> {
        let configured = self.drain.keys_of(&start.credential).ok_or(Refusal::UnknownCredential)?;
        let resolve = |choice: KeyChoice| -> Result<KeyRef, Refusal> {
            match choice {
                KeyChoice::Configured(name) => configured
                    .iter()
                    .find(|key| *key.name == *name)
                    .cloned()
                    .ok_or(Refusal::UnknownKey(name)),
                KeyChoice::Fingerprint { name, fingerprint } => {
                    Ok(KeyRef { name: name.into(), fingerprint, id: None })
                }
                KeyChoice::Id { name, id } => {
                    let fingerprint = self.secret.fingerprint(id.as_bytes());
                    Ok(KeyRef { name: name.into(), fingerprint, id: Some(id.into()) })
                }
            }
        };
        let (old_key, new_key) = (resolve(start.old_key)?, resolve(start.new_key)?);
        let anonymous = self.drain.anonymous_of(&start.credential);
        let keys = [TrackedKey::of(&old_key, anonymous), TrackedKey::of(&new_key, anonymous)];
        let opening = Opening {
            credential: start.credential,
            old_key,
            new_key,
            started_at: start.started_at,
            overlap: start.overlap,
            by: start.by,
            note: start.note,
        };
        let id = self.drain.start(opening, now).map_err(refusal)?;
        for (source, fingerprint) in self.drain.untracked(&id) {
            for key in keys.iter().filter(|key| key.fingerprint == fingerprint) {
                // A reader that is gone is about to end the daemon.
                let _ = self.orders.send((source.clone(), key.clone()));
            }
        }
        Ok(id)
    }
}

fn refuse(request: Request, why: &str) {
    let refusal = Refusal::StateUnwritable(why.to_owned());
    // A caller that hung up needs no reply.
    match request {
        Request::Start(_, reply) => drop(reply.send(Err(refusal))),
        Request::Record { reply, .. } => drop(reply.send(Err(refusal))),
        Request::RevokeIntent { reply, .. } => drop(reply.send(Err(refusal))),
        Request::Consumers { reply, .. } => drop(reply.send(Err(refusal))),
        Request::Migration { reply, .. } => drop(reply.send(Err(refusal))),
        Request::Preflight { reply, .. } => drop(reply.send(Err(refusal))),
        Request::Plan { reply, .. } => drop(reply.send(Err(refusal))),
        Request::Journal { reply, .. } => drop(reply.send(Err(refusal))),
    }
}

fn unknown(what: Unknown, key: Option<String>) -> Refusal {
    match what {
        Unknown::Credential => Refusal::UnknownCredential,
        Unknown::Key => Refusal::UnknownKey(key.unwrap_or_default()),
    }
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::UnknownCredential(_) => Refusal::UnknownCredential,
        Refused::UnknownRotation(_) => Refusal::UnknownRotation,
        Refused::RotationInProgress(id) => Refusal::RotationInProgress(id),
        Refused::SameKey => Refusal::SameKey,
        Refused::Journal(why) => Refusal::Journal(why),
        Refused::StaleEpoch(current) => Refusal::StaleEpoch { current },
        Refused::NotReady(answer) if answer.verdict == Verdict::Unknown => Refusal::Unknown(answer),
        Refused::NotReady(answer) => Refusal::NotReady(answer),
        other => Refusal::Invalid(other.to_string()),
    }
}

//! What went wrong in a rotation by the log's own word: each occurrence once, for ever.
//!
//! Incidents that people post stand in the journal, and a `ready` that was taken back stands among
//! the violations: neither is kept here a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::ledger::{Ledger, Presentations};
use crate::engine::rotation::{KeyRef, RotationId};
use crate::engine::time::Timestamp;
use crate::engine::usage::Consumer;

/// What comes back within this time is the same occurrence.
pub const SAME_OCCURRENCE: Duration = Duration::from_hours(1);

/// Incidents of a rotation that are kept one by one; of each kind, all others are one more with the
/// subject [`Consumer::OTHERS`].
///
/// Whoever may present the new key can be denied under 2048 names, anew every hour.
pub const MAX_INCIDENTS: usize = 1_000;

/// What kind of incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IncidentKind {
    /// The old key was accepted although it was revoked.
    RevocationLeak,
    /// The new key was denied too often.
    NewKeyFailing,
    /// The overlap lasted longer than allocated.
    OverlapOverdue,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::RevocationLeak, Self::NewKeyFailing, Self::OverlapOverdue];

    /// Returns the word used in JSON, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevocationLeak => "revocation_leak",
            Self::NewKeyFailing => "new_key_failing",
            Self::OverlapOverdue => "overlap_overdue",
        }
    }
}

/// One occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The rotation.
    pub rotation: RotationId,
    /// What kind.
    pub kind: IncidentKind,
    /// Whom or what it is about: a consumer, a key, or `*`.
    pub subject: String,
    /// When it was noticed.
    pub at: Timestamp,
    /// When it was over; `None`: it goes on. A leak is over when it is noticed.
    pub ended_at: Option<Timestamp>,
    /// What happened, for people.
    pub message: String,
}

/// What a look at a rotation shows of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// What kind.
    pub kind: IncidentKind,
    /// Whom or what it is about.
    pub subject: String,
    /// What happened, for people.
    pub message: String,
}

/// An incident that is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Began(Incident),
    /// It goes on again, or it is over.
    Moved(Incident),
}

/// The incidents of one rotation: at most [`MAX_INCIDENTS`], and one more of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    all: Vec<Incident>,
    /// The place of the latest one of each kind and subject.
    latest: BTreeMap<IncidentKind, BTreeMap<String, usize>>,
}

impl Incidents {
    /// Adds an incident, new or stored.
    pub fn add(&mut self, incident: Incident) {
        let of_kind = self.latest.entry(incident.kind).or_default();
        of_kind.insert(incident.subject.clone(), self.all.len());
        self.all.push(incident);
    }

    /// Returns all of them, in order of recording.
    pub fn all(&self) -> &[Incident] {
        &self.all
    }

    fn latest(&self, kind: IncidentKind, subject: &str) -> Option<usize> {
        self.latest.get(&kind)?.get(subject).copied()
    }

    /// Tells whether an incident of a moment is kept: by itself, or as one of the others.
    pub fn is_noted(&self, kind: IncidentKind, subject: &str) -> bool {
        let is_full = self.all.len() >= MAX_INCIDENTS;
        self.latest(kind, subject).is_some()
            || is_full && self.latest(kind, Consumer::OTHERS).is_some()
    }

    /// Notes an incident of a moment, once for its subject.
    pub fn note_moment(&mut self, id: &RotationId, sign: Sign, now: Timestamp) -> Option<Change> {
        if self.is_noted(sign.kind, &sign.subject) {
            return None;
        }
        let sign = self.bounded(sign);
        Some(self.begin(id, sign, now, Some(now)))
    }

    /// Notes the incidents that go on at `now`, and ends those that do not.
    pub fn note_standing(
        &mut self,
        id: &RotationId,
        signs: Vec<Sign>,
        now: Timestamp,
    ) -> Vec<Change> {
        let mut standing = BTreeSet::new();
        let mut changes = Vec::new();
        for sign in signs {
            let last = self.latest(sign.kind, &sign.subject);
            let same = last.filter(|&last| is_same(&self.all[last], now));
            let place = same.or_else(|| {
                // Of those beyond the bound all occurrences are the same.
                let is_full = self.all.len() >= MAX_INCIDENTS;
                is_full.then(|| self.latest(sign.kind, Consumer::OTHERS)).flatten()
            });
            if let Some(place) = place {
                let known = &mut self.all[place];
                if known.ended_at.take().is_some() {
                    changes.push(Change::Moved(known.clone()));
                }
                standing.insert(place);
            } else {
                standing.insert(self.all.len());
                let sign = self.bounded(sign);
                changes.push(self.begin(id, sign, now, None));
            }
        }
        for (place, incident) in self.all.iter_mut().enumerate() {
            if incident.ended_at.is_none() && !standing.contains(&place) {
                incident.ended_at = Some(now);
                changes.push(Change::Moved(incident.clone()));
            }
        }
        changes
    }

    fn bounded(&self, sign: Sign) -> Sign {
        if self.all.len() < MAX_INCIDENTS {
            return sign;
        }
        let message = format!(
            "more than {MAX_INCIDENTS} incidents: this one and any further one of its kind are not \
             kept apart; the first of them: {}",
            sign.message
        );
        Sign { subject: Consumer::OTHERS.to_owned(), message, ..sign }
    }

    fn begin(
        &mut self,
        id: &RotationId,
        Sign { kind, subject, message }: Sign,
        now: Timestamp,
        ended_at: Option<Timestamp>,
    ) -> Change {
        let rotation = id.clone();
        let incident = Incident { rotation, kind, subject, at: now, ended_at, message };
        self.add(incident.clone());
        Change::Began(incident)
    }
}

/// Tells whether what is seen at `now` is still, or once more, this occurrence.
fn is_same(incident: &Incident, now: Timestamp) -> bool {
    incident.ended_at.is_none_or(|at| now.since(at) <= SAME_OCCURRENCE)
}

/// An accepted use of a key that is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak<'a> {
    /// Who used it.
    pub consumer: &'a str,
    /// Start of the second of the first such use.
    pub first: Timestamp,
    /// Start of the second of the last such use.
    pub last: Timestamp,
}

/// Returns who used `key` with success later than `bound` and before `until`, by name.
///
/// A line that was read late shows that the key was used, and not when: it proves no leak.
pub fn leaks<'a>(
    ledger: &'a Ledger,
    key: &KeyRef,
    bound: Timestamp,
    until: Option<Timestamp>,
) -> Vec<Leak<'a>> {
    let consumers = ledger.of_key(key.fingerprint).into_iter().flatten();
    let leak = |uses: &Presentations| {
        let first = uses.accepted.first_after(bound)?;
        let last = uses.accepted.last()?;
        // What came after the key was taken into use again is no leak.
        let last = until.map_or(last, |until| if last < until { last } else { first });
        (until.is_none_or(|until| first < until)).then_some((first, last))
    };
    let found = consumers.filter_map(|(consumer, uses)| {
        let (first, last) = leak(uses)?;
        Some(Leak { consumer: consumer.as_str(), first, last })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const INSTANT: Duration = Duration::from_nanos(1);

    fn failing(number: usize) -> Sign {
        Sign {
            kind: IncidentKind::NewKeyFailing,
            subject: format!("c{number}"),
            message: format!("c{number} is denied"),
        }
    }

    fn note(incidents: &mut Incidents, numbers: std::ops::Range<usize>, now: Timestamp) -> usize {
        let changes =
            incidents.note_standing(&RotationId::new("r"), numbers.map(failing).collect(), now);
        // What is stored is what is known.
        let mut stored: BTreeMap<(String, Timestamp), Incident> = BTreeMap::new();
        for change in changes {
            let (Change::Began(it) | Change::Moved(it)) = change;
            stored.insert((it.subject.clone(), it.at), it);
        }
        assert!(stored.values().all(|it| incidents.all().contains(it)));
        stored.len()
    }

    fn open(incidents: &Incidents) -> usize {
        incidents.all().iter().filter(|it| it.ended_at.is_none()).count()
    }

    #[test]
    fn what_comes_back_within_an_hour_is_the_same_and_an_instant_later_another() {
        let mut incidents = Incidents::default();
        let began = Timestamp::from_seconds(1_000_000);
        assert_eq!(note(&mut incidents, 0..1, began), 1);
        assert_eq!(note(&mut incidents, 0..1, began.plus(HOUR)), 0, "it goes on");
        let ended = began.plus(HOUR);
        assert_eq!(note(&mut incidents, 0..0, ended), 1);
        assert_eq!(note(&mut incidents, 0..1, ended.plus(HOUR)), 1);
        assert_eq!((incidents.all().len(), open(&incidents)), (1, 1));
        let ended = ended.plus(HOUR);
        note(&mut incidents, 0..0, ended);
        note(&mut incidents, 0..1, ended.plus(HOUR).plus(INSTANT));
        assert_eq!((incidents.all().len(), open(&incidents)), (2, 1));
    }

    #[test]
    fn incidents_beyond_the_bound_are_one_however_often_they_come() {
        let mut incidents = Incidents::default();
        let mut now = Timestamp::from_seconds(1_000_000);
        note(&mut incidents, 0..MAX_INCIDENTS, now);
        assert_eq!(incidents.all().len(), MAX_INCIDENTS, "as many as are kept apart");
        for _ in 0..3 {
            note(&mut incidents, 0..MAX_INCIDENTS + 2, now);
            assert_eq!(incidents.all().len(), MAX_INCIDENTS + 1);
            let others = incidents.all().last().unwrap();
            assert_eq!((&*others.subject, others.ended_at), (Consumer::OTHERS, None));
            assert!(others.message.contains("not kept apart"), "{others:?}");
            note(&mut incidents, 0..0, now);
            assert_eq!(open(&incidents), 0);
            now = now.plus(HOUR).plus(HOUR);
        }
        // A moment of another kind is told, and told once.
        let leak = |n| Sign { kind: IncidentKind::RevocationLeak, ..failing(n) };
        let id = RotationId::new("r");
        assert!(incidents.note_moment(&id, leak(1), now).is_some());
        assert!(incidents.note_moment(&id, leak(2), now).is_none());
        assert!(incidents.is_noted(IncidentKind::RevocationLeak, "c3"));
    }
}

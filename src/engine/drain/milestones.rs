//! What a rotation passes on its way: checkpoints, incidents, and the summary of its end.
//!
//! A part of [`Drain`]. Everything here is recorded when it changes and never decides anything.

use crate::engine::answer::{Answer, Code, WarningCode};
use crate::engine::cadence::Bursts;
use crate::engine::case::Case;
use crate::engine::checkpoints::{self, Checkpoint, CheckpointRecord, CheckpointStatus, Finding};
use crate::engine::drain::{Drain, Watched};
use crate::engine::health::{self, IncidentCounts, RotationSummary};
use crate::engine::incident::{self, Change, Incident, IncidentKind, Incidents, Leak, Sign};
use crate::engine::new_key;
use crate::engine::rotation::{Attestation, JournalEvent, Phase, Rotation, RotationId};
use crate::engine::state::ViolationKind;
use crate::engine::time::Timestamp;
use crate::engine::velocity;
use crate::engine::view::Event;

/// What was passed on the way so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Milestones {
    pub(super) checkpoints: Vec<CheckpointRecord>,
    pub(super) incidents: Incidents,
    pub(super) summary: Option<RotationSummary>,
    /// When the next look can find something else without any input.
    pub(super) look_again_at: Option<Timestamp>,
}

impl Milestones {
    /// Returns the checkpoints in the order of the phases.
    pub(super) fn in_order(&self) -> Vec<CheckpointRecord> {
        let mut all = self.checkpoints.clone();
        all.sort_by_key(|record| record.checkpoint);
        all
    }
}

impl Watched {
    /// Returns how many incidents of each kind there were.
    pub(super) fn incident_counts(&self) -> IncidentCounts {
        let incidents = self.milestones.incidents.all();
        let own = |kind| incidents.iter().filter(|it| it.kind == kind).count() as u64;
        let posted = self.journal.iter().filter(|it| it.event == JournalEvent::IncidentOpened);
        let retracted = self.violations.iter().filter(|it| it.kind == ViolationKind::Retraction);
        IncidentCounts {
            posted: posted.count() as u64,
            leaks: own(IncidentKind::RevocationLeak),
            new_key_failing: own(IncidentKind::NewKeyFailing),
            retractions: retracted.count() as u64,
            overdue: own(IncidentKind::OverlapOverdue),
        }
    }
}

/// What a look at a rotation found.
#[derive(Default)]
struct Look {
    checkpoints: Vec<(Checkpoint, Finding)>,
    /// Incidents that go on.
    standing: Vec<Sign>,
    /// Incidents of a moment that were not noted yet.
    moments: Vec<Sign>,
    /// When the next look can find something else without any input.
    again_at: Option<Timestamp>,
}

impl Drain {
    /// Takes back what was recorded.
    pub(super) fn restore_milestones(
        &mut self,
        checkpoints: Vec<CheckpointRecord>,
        incidents: Vec<Incident>,
        summaries: Vec<RotationSummary>,
    ) {
        for record in checkpoints {
            if let Some(watched) = self.rotations.get_mut(&record.rotation) {
                watched.milestones.checkpoints.push(record);
            }
        }
        for incident in incidents {
            if let Some(watched) = self.rotations.get_mut(&incident.rotation) {
                watched.milestones.incidents.add(incident);
            }
        }
        for summary in summaries {
            if let Some(watched) = self.rotations.get_mut(&summary.rotation) {
                watched.milestones.summary = Some(summary);
            }
        }
    }

    /// Looks at a rotation's checkpoints and incidents, and records what changed.
    pub(super) fn note_milestones(&mut self, id: &RotationId, now: Timestamp) {
        let watched = &self.rotations[id];
        let look = match (watched.rotation.phase, &watched.answer) {
            (Phase::Open, Some(answer)) => self.look_at_open(watched, answer, now),
            (Phase::Revoked(at), _) => self.look_at_revoked(watched, at, now),
            _ => Look::default(),
        };
        for (checkpoint, finding) in look.checkpoints {
            self.note_checkpoint(id, checkpoint, finding, now);
        }
        let watched = self.rotations.get_mut(id).expect("looked at by its own id");
        let incidents = &mut watched.milestones.incidents;
        let moments = look.moments.into_iter();
        let mut changes: Vec<Change> =
            moments.filter_map(|sign| incidents.note_moment(id, sign, now)).collect();
        changes.extend(incidents.note_standing(id, look.standing, now));
        watched.milestones.look_again_at = look.again_at;
        for change in changes {
            match change {
                Change::Began(incident) => {
                    self.commit.incidents.push(incident.clone());
                    self.events.push_back(Event::IncidentBegan(incident));
                }
                Change::Moved(incident) => self.commit.incidents.push(incident),
            }
        }
    }

    /// Takes down how a rotation stands before the journal ends it.
    pub(super) fn close(
        &mut self,
        id: &RotationId,
        event: &JournalEvent,
        at: Timestamp,
        now: Timestamp,
    ) {
        let ends = matches!(
            event,
            JournalEvent::Revoked | JournalEvent::Override | JournalEvent::RolledBack
        );
        if !ends {
            return;
        }
        for source in self.sources.values_mut() {
            source.advance(now);
        }
        let answer = self.answer(&self.rotations[id], now);
        let summary = self.summarise(&self.rotations[id], at, now);
        let watched = self.rotations.get_mut(id).expect("the caller looked it up");
        watched.answer = Some(answer);
        watched.milestones.summary = Some(summary.clone());
        self.commit.summaries.push(summary);
        self.note_milestones(id, now);
    }

    fn look_at_open(&self, watched: &Watched, answer: &Answer, now: Timestamp) -> Look {
        let canary =
            watched.milestones.checkpoints.iter().find(|it| it.checkpoint == Checkpoint::Canary);
        let (findings, again_at) = self.with_facts(watched, |facts| {
            let case = Case::new(facts, now);
            let observed = new_key::canary_period(&case).map(|(_, end)| case.reached_at(end));
            let changes = new_key::changes_at(&case);
            let again_at = observed.into_iter().chain(changes).filter(|at| *at > now).min();
            (checkpoints::look(&case, answer, canary), again_at)
        });
        let failing = answer.blockers.iter().filter(|it| it.code == Code::NewKeyFailing);
        let failing = failing
            .map(|it| sign(IncidentKind::NewKeyFailing, it.subject.clone(), it.message.clone()));
        let overdue = answer.warnings.iter().filter(|it| it.code == WarningCode::OverlapOverdue);
        let overdue = overdue
            .map(|it| sign(IncidentKind::OverlapOverdue, it.subject.clone(), it.message.clone()));
        Look {
            checkpoints: Checkpoint::ALL.into_iter().zip(findings).collect(),
            standing: failing.chain(overdue).collect(),
            moments: Vec::new(),
            again_at,
        }
    }

    fn look_at_revoked(&self, watched: &Watched, revoked_at: Timestamp, now: Timestamp) -> Look {
        let leaks = self.leaks(watched, revoked_at);
        let verified = watched.published.as_ref().and_then(|it| it.revocation_verified_at);
        let what = JournalEvent::Attested(Attestation::PostRevoke);
        let attested = watched.journal.iter().filter(|entry| entry.event == what);
        let attested = attested.map(|entry| entry.recorded_at).max();
        let finding = checkpoints::post_revoke(revoked_at, verified, attested, &leaks, now);
        let name = &watched.rotation.declaration.old_key.name;
        let known = &watched.milestones.incidents;
        let kind = IncidentKind::RevocationLeak;
        let moments = leaks.iter().filter(|leak| !known.is_noted(kind, leak.consumer)).map(|leak| {
            let message = format!(
                "{name} was revoked at {revoked_at} and accepted from {} at {}; find the server that \
                 still takes it",
                leak.consumer, leak.first
            );
            sign(kind, leak.consumer.to_owned(), message)
        });
        let unverified = revoked_at.plus(checkpoints::UNVERIFIED_AFTER);
        Look {
            moments: moments.collect(),
            checkpoints: vec![(Checkpoint::PostRevoke, finding)],
            standing: Vec::new(),
            again_at: Some(unverified).filter(|at| *at > now),
        }
    }

    fn leaks(&self, watched: &Watched, revoked_at: Timestamp) -> Vec<Leak<'_>> {
        let (policy, _) = self.policy_of(&watched.rotation);
        let bound = revoked_at.plus(policy.propagation_bound);
        let until = self.used_again_at(&watched.rotation);
        incident::leaks(&self.ledger, &watched.rotation.declaration.old_key, bound, until)
    }

    /// Returns when a later rotation took the old key into use again.
    pub(super) fn used_again_at(&self, rotation: &Rotation) -> Option<Timestamp> {
        let key = rotation.declaration.old_key.fingerprint;
        let Phase::Revoked(revoked_at) = rotation.phase else { return None };
        let others = self.rotations.values().map(|watched| &watched.rotation);
        let again = others.filter(|other| {
            let told = &other.declaration;
            let keys = [told.old_key.fingerprint, told.new_key.fingerprint];
            told.id != rotation.declaration.id && keys.contains(&key)
        });
        again.map(|other| other.started_at).filter(|at| *at >= revoked_at).min()
    }

    fn note_checkpoint(
        &mut self,
        id: &RotationId,
        checkpoint: Checkpoint,
        finding: Finding,
        now: Timestamp,
    ) {
        let watched = self.rotations.get_mut(id).expect("looked at by its own id");
        let place =
            watched.milestones.checkpoints.iter().position(|it| it.checkpoint == checkpoint);
        let before = place.map(|place| &watched.milestones.checkpoints[place]);
        let same = before.filter(|before| before.status == finding.status);
        let record = CheckpointRecord {
            rotation: id.clone(),
            checkpoint,
            status: finding.status,
            at: same.map_or(now, |before| before.at),
            reasons: finding.reasons,
            judged_from: finding.judged_from,
        };
        if before == Some(&record) {
            return;
        }
        let from = before.map(|before| before.status);
        // That a new rotation waits is no news.
        let changed = from.unwrap_or(CheckpointStatus::Pending) != record.status;
        match place {
            Some(place) => watched.milestones.checkpoints[place] = record.clone(),
            None => watched.milestones.checkpoints.push(record.clone()),
        }
        self.commit.checkpoints.push(record.clone());
        if changed {
            self.events.push_back(Event::CheckpointChanged { record, from });
        }
    }

    fn summarise(&self, watched: &Watched, ended_at: Timestamp, now: Timestamp) -> RotationSummary {
        self.with_facts(watched, |facts| {
            let case = Case::new(facts, now);
            let rotation = facts.rotation;
            let began = case.overlap_began();
            let uses =
                case.migrants.iter().filter_map(|it| last_until(&it.old?.accepted, ended_at));
            let moving = velocity::moving(&case.migrants);
            let (_, since) = velocity::origin(rotation, began);
            RotationSummary {
                rotation: rotation.declaration.id.clone(),
                dual_accept_at: began,
                last_use: uses.max(),
                allocated: rotation.declaration.overlap.unwrap_or(facts.policy.max_overlap),
                velocity: health::velocity(since, moving.must.len() as u64, &moving.moves),
            }
        })
    }
}

fn sign(kind: IncidentKind, subject: String, message: String) -> Sign {
    Sign { kind, subject, message }
}

/// Returns the last second with a use at or before `instant`; where bursts were joined, at most
/// their reach too late.
fn last_until(uses: &Bursts, instant: Timestamp) -> Option<Timestamp> {
    let last = uses.last()?;
    if last <= instant {
        return Some(last);
    }
    let break_after = uses.gaps().find(|(_, after)| *after > instant);
    let inside = uses.first().filter(|first| *first <= instant).map(|_| instant);
    break_after.map_or(inside, |(before, _)| inside.map(|instant| before.min(instant)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::Minute;
    use crate::engine::usage::Seconds;

    #[test]
    fn the_last_use_until_an_instant_is_that_before_it() {
        let mut uses = Bursts::default();
        assert_eq!(last_until(&uses, Timestamp::MAX), None);
        for minute in [1, 2, 5] {
            uses.insert(Minute::from_number(minute), Seconds::from_bits(0b111));
        }
        let last =
            |second| last_until(&uses, Timestamp::from_seconds(second)).map(Timestamp::as_seconds);
        // In the third second of each minute, of the last one and beyond.
        assert_eq!([302, 303, 9_999].map(last), [Some(302); 3]);
        // Between two bursts, and where the next one begins.
        assert_eq!([123, 299].map(last), [Some(122); 2]);
        // Inside a burst, and in its first second.
        assert_eq!([301, 300, 60].map(last), [Some(301), Some(300), Some(60)]);
        assert_eq!([59, 0].map(last), [None; 2]);
    }
}

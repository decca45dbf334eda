//! What the machine shows: views for every adapter, made from its state at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::credential::{CredentialName, Fingerprint};
use crate::engine::drain::Drain;
use crate::engine::health::{self, CredentialHealth, Told};
use crate::engine::ledger::Ledger;
use crate::engine::migration;
use crate::engine::probe::Sightings;
use crate::engine::rotation::{JournalEntry, Phase, RotationId};
use crate::engine::time::Timestamp;
use crate::engine::view::{ConsumerView, CredentialView, RotationView, Snapshot, SourceView};
use crate::engine::{seen, standing};

impl Drain {
    /// Returns everything that is published, as of the last [`advance`](Drain::advance).
    ///
    /// `commits` counts the transactions of this run.
    pub fn snapshot(&self, instance: &str, commits: u64, now: Timestamp) -> Snapshot {
        let mut rotations: Vec<RotationView> = self
            .rotations
            .values()
            .filter_map(|watched| {
                let published = watched.published.as_ref()?;
                Some(RotationView {
                    rotation: watched.rotation.clone(),
                    answer: watched.answer.clone()?,
                    verdict_since: published.since,
                    revocation_verified_at: published.revocation_verified_at,
                    violations: watched.violations.clone(),
                    checkpoints: watched.milestones.in_order(),
                    incidents: watched.milestones.incidents.all().to_vec(),
                })
            })
            .collect();
        rotations.sort_by_key(|view| std::cmp::Reverse(view.rotation.started_at));
        let told: Vec<Told<'_>> = self.told().collect();
        Snapshot {
            instance: instance.to_owned(),
            sequence: self.sequence,
            taken_at: now,
            steady: self.steady,
            caught_up: self.caught_up(),
            rotations,
            sources: self.source_views(now),
            credentials: self.credential_views(),
            health: health::health(told.iter().copied()),
            credential_health: self.credential_health(&told),
            commits,
        }
    }

    /// Returns every rotation with what counts for the figures.
    pub(super) fn told(&self) -> impl Iterator<Item = Told<'_>> {
        self.rotations.values().map(|watched| Told {
            rotation: &watched.rotation,
            summary: watched.milestones.summary.as_ref(),
            incidents: watched.incident_counts(),
        })
    }

    /// Each rotation is told once, however many credentials there are.
    fn credential_health(&self, told: &[Told<'_>]) -> Vec<CredentialHealth> {
        let configured = self.declared.credentials.iter().map(|decl| &decl.name);
        let mut of_each: BTreeMap<&CredentialName, Vec<Told<'_>>> =
            configured.map(|name| (name, Vec::new())).collect();
        for it in told {
            of_each.entry(&it.rotation.declaration.credential).or_default().push(*it);
        }
        let each = of_each.into_iter().map(|(name, own)| {
            let decl = self.declared.credentials.iter().find(|decl| decl.name == *name);
            CredentialHealth {
                credential: name.clone(),
                health: health::health(own.iter().copied()),
                recommended_overlap: decl
                    .and_then(|decl| health::recommended_overlap(own, &decl.policy, &decl.roster)),
            }
        });
        each.collect()
    }

    /// Returns the consumers of a rotation; `None` for an unknown one.
    pub fn consumers(&self, id: &RotationId, now: Timestamp) -> Option<Vec<ConsumerView>> {
        let watched = self.rotations.get(id)?;
        let (policy, _) = self.policy_of(&watched.rotation);
        let watermark = watched.answer.as_ref().and_then(|answer| answer.watermark);
        let pinned = watched.rotation.declaration.sources.iter();
        let pinned = pinned.filter_map(|name| Some((name, self.sources.get(name)?)));
        let lost = migration::lost_spans(&watched.rotation, pinned);
        let rotation = &watched.rotation;
        let free = self.keys_free_since(rotation);
        let all = migration::migrants(rotation, &policy, &self.ledger, &lost, free, watermark, now);
        Some(all.iter().map(|migrant| migrant.view(&policy)).collect())
    }

    /// Returns the journal of a rotation; `None` for an unknown one.
    pub fn journal(&self, id: &RotationId) -> Option<&[JournalEntry]> {
        self.rotations.get(id).map(|watched| watched.journal.as_slice())
    }

    /// Returns the keys of open rotations: their history is kept while they are open.
    pub fn keys_in_rotation(&self) -> Vec<Fingerprint> {
        let open = self.rotations.values().map(|watched| &watched.rotation);
        let open = open.filter(|rotation| rotation.phase == Phase::Open);
        open.flat_map(|rotation| {
            let declaration = &rotation.declaration;
            [declaration.old_key.fingerprint, declaration.new_key.fingerprint]
        })
        .collect()
    }

    /// Returns who presented which key.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Tells whether every declared source was read to its end once since the start.
    pub(super) fn caught_up(&self) -> bool {
        self.declared.sources.iter().all(|decl| {
            let status = self.sources.get(&decl.name).and_then(|source| source.status.as_ref());
            status.is_some_and(|status| status.caught_up)
        })
    }

    fn source_views(&self, now: Timestamp) -> Vec<SourceView> {
        let lag = |name| {
            let credentials = self.declared.credentials.iter();
            let lags = credentials.filter(|decl| decl.sources.contains(name));
            lags.map(|decl| decl.policy.max_evidence_lag).max()
        };
        let views = self.sources.values().map(|source| {
            let keys: Vec<Fingerprint> = source.tracked.keys().copied().collect();
            let lag = lag(&source.record.source)
                .unwrap_or_else(|| crate::engine::policy::Policy::default().max_evidence_lag);
            let status = source.status.as_ref();
            SourceView {
                summary: standing::summarise(source, &|_| true, &keys, lag, None, now),
                bytes_read: source.record.bytes_read,
                bytes_skipped: source.record.bytes_skipped,
                bytes_unknown: source.record.bytes_unknown,
                backlog: source.backlog(),
                coverage: seen::of_source(source),
                lines: source.record.lines,
                rejects: source.record.rejects,
                other_keys: source.record.other_keys,
                probes: source
                    .probes()
                    .map(|(probe, seen)| (Arc::clone(&probe.name), seen.and_then(Sightings::last)))
                    .collect(),
                refused: status.map(|status| status.refused.clone()).unwrap_or_default(),
                weak: status.map(|status| status.weak.clone()).unwrap_or_default(),
                unreadable: status.map(|status| status.unreadable.clone()).unwrap_or_default(),
                absent: status.map(|status| status.absent.clone()).unwrap_or_default(),
            }
        });
        views.collect()
    }

    fn credential_views(&self) -> Vec<CredentialView> {
        let views = self.declared.credentials.iter().map(|decl| CredentialView {
            name: decl.name.clone(),
            keys: decl.keys.iter().map(|key| key.name.to_string()).collect(),
            sources: decl.sources.iter().map(|name| name.as_str().to_owned()).collect(),
        });
        views.collect()
    }
}

//! What the machine reports when it is asked: how a rotation migrates, and what to expect of the
//! next one. Made on demand, never part of an answer.

use crate::engine::case::Case;
use crate::engine::credential::CredentialName;
use crate::engine::drain::{CredentialDecl, Drain, Unknown, Watched};
use crate::engine::health;
use crate::engine::job::ScheduledJob;
use crate::engine::migration;
use crate::engine::plan::{self, Plan};
use crate::engine::preflight::{self, Finding};
use crate::engine::rotation::{KeyRef, Phase, RotationId};
use crate::engine::time::Timestamp;
use crate::engine::velocity::{self, Migration};

impl Drain {
    /// Reports on the migration of a rotation; `None` for an unknown one.
    pub fn migration(&self, id: &RotationId, now: Timestamp) -> Option<Migration> {
        self.rotations.get(id).map(|watched| self.migration_of(watched, now))
    }

    fn migration_of(&self, watched: &Watched, now: Timestamp) -> Migration {
        let rotation = &watched.rotation;
        let (policy, _) = self.policy_of(rotation);
        let pinned = rotation.declaration.sources.iter();
        let known = pinned.filter_map(|name| Some((name, self.sources.get(name)?)));
        let answer = self.answer(watched, now);
        let jobs = rotation.jobs.iter().map(|scheduled| {
            let next = scheduled.schedule.as_ref().ok().and_then(|known| known.next_after(now));
            (scheduled.job.consumer.clone(), next)
        });
        self.with_facts(watched, |decided| {
            let case = Case::new(decided, now);
            let facts = velocity::Facts {
                rotation,
                policy: &policy,
                ledger: &self.ledger,
                migrants: &case.migrants,
                overlap_began: case.overlap_began(),
                watermark: answer.watermark,
                blockers: &answer.blockers,
                gaps: migration::lost_spans(rotation, known),
                next_runs: jobs.collect(),
            };
            velocity::report(&facts, now)
        })
    }

    /// Looks for what would stand in the way of a rotation of `credential` that is opened now.
    ///
    /// `old_key` is the name of the key to retire; `None` judges every configured key that was
    /// seen. `Err` names what is unknown.
    pub fn preflight(
        &self,
        credential: &CredentialName,
        old_key: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Finding>, Unknown> {
        let decl = self.declaration_of(credential)?;
        let facts = preflight::Facts {
            credential: decl,
            sources: decl.sources.iter().map(|name| (name, self.sources.get(name))).collect(),
            ledger: &self.ledger,
            open: self.open_rotation(credential),
            old_key: old_key.map(|name| key_named(decl, name)).transpose()?,
            caught_up: self.caught_up(),
        };
        Ok(preflight::findings(&facts, now))
    }

    /// Recommends quiet and overlap periods for the next rotation of `credential`.
    ///
    /// `key` is the name of the key to retire; `None` takes the one that was used last.
    pub fn plan(
        &self,
        credential: &CredentialName,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Plan, Unknown> {
        let decl = self.declaration_of(credential)?;
        let last_seen = |key: &&KeyRef| {
            let uses = self.ledger.of_key(key.fingerprint).into_iter().flat_map(|all| all.values());
            uses.filter_map(|uses| uses.last_seen).max()
        };
        let key = match key {
            Some(name) => Some(key_named(decl, name)?),
            None => decl.keys.iter().max_by_key(last_seen),
        };
        let used = key.and_then(|key| Some((&*key.name, self.ledger.key(key.fingerprint)?)));
        let own = || {
            self.told().filter(|told| {
                let rotation = told.rotation;
                rotation.declaration.credential == *credential && rotation.phase != Phase::Open
            })
        };
        let jobs: Vec<ScheduledJob> =
            decl.jobs.iter().map(|job| ScheduledJob::new(job, now)).collect();
        let facts = plan::Facts {
            policy: &decl.policy,
            roster: &decl.roster,
            jobs: jobs.iter().map(|job| (&job.job, job.longest_interval)).collect(),
            key: used,
            earlier_t90: own().filter_map(|told| told.summary?.velocity.t90).collect(),
            earlier_overlap: health::recommended_overlap(own(), &decl.policy, &decl.roster),
        };
        Ok(plan::plan(&facts))
    }

    fn declaration_of(&self, credential: &CredentialName) -> Result<&CredentialDecl, Unknown> {
        let mut declared = self.declared.credentials.iter();
        declared.find(|decl| decl.name == *credential).ok_or(Unknown::Credential)
    }
}

fn key_named<'d>(decl: &'d CredentialDecl, name: &str) -> Result<&'d KeyRef, Unknown> {
    decl.keys.iter().find(|key| *key.name == *name).ok_or(Unknown::Key)
}

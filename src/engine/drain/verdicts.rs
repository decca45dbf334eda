//! How verdicts change over time: decide anew, notice what changed, keep what contradicts.
//!
//! A part of [`Drain`]. It alone compares an answer with the one before.

use std::time::Duration;

use crate::engine::answer::{Answer, Epoch, Ground, Kind, Verdict};
use crate::engine::coverage::Gap;
use crate::engine::credential::Fingerprint;
use crate::engine::drain::milestones::Milestones;
use crate::engine::drain::{Drain, Watched};
use crate::engine::policy::Policy;
use crate::engine::readiness::{Facts, decide};
use crate::engine::rotation::{JournalEntry, JournalEvent, Phase, Rotation, RotationId};
use crate::engine::state::{PublishedVerdict, Violation, ViolationKind};
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::UsageDelta;
use crate::engine::view::Event;

/// A wall clock that has moved by this much more or less than the steady clock has stepped, once
/// or in small steps. Both are slewed alike, so that nothing but steps adds up.
pub const CLOCK_STEP: Duration = Duration::from_secs(5);

/// At most one violation by late lines is recorded per rotation in this time; the time doubles with
/// each hundred of violations, so that a year of late lines is some 2,000 records.
const LATE_LINES_EVERY: Duration = Duration::from_secs(60);

impl Watched {
    /// Makes a rotation of which nothing was decided yet.
    pub(super) fn new(rotation: Rotation, journal: Vec<JournalEntry>) -> Self {
        Self {
            rotation,
            journal,
            violations: Vec::new(),
            answer: None,
            published: None,
            policy_digest: String::new(),
            policy_since: None,
            late_recorded_at: None,
            milestones: Milestones::default(),
            touched: true,
        }
    }

    /// Takes a stored violation back: what was recorded a moment ago is not recorded again.
    pub(super) fn restore_violation(&mut self, violation: Violation) {
        if violation.kind == ViolationKind::LateLine {
            self.late_recorded_at = self.late_recorded_at.max(Some(violation.recorded_at));
        }
        self.violations.push(violation);
    }

    /// Tells whether to decide anew; `place` is its place among all rotations.
    ///
    /// A rotation that ended can never be `ready`, and there are more of them every year: while
    /// nothing happens to it, its answer is made anew only in time before it expires, some at one
    /// turn and some at another.
    fn is_due(&self, place: usize, now: Timestamp) -> bool {
        let Some(answer) = self.answer.as_ref().filter(|_| !self.touched) else { return true };
        if self.rotation.phase == Phase::Open || now < answer.evaluated_at {
            return true;
        }
        let lease = answer.valid_until.since(answer.evaluated_at);
        let share = u32::try_from(16 + place % 32).unwrap_or(16);
        let expires =
            now.since(answer.evaluated_at).saturating_mul(64) >= lease.saturating_mul(share);
        expires || self.milestones.look_again_at.is_some_and(|at| at <= now)
    }
}

impl Drain {
    /// Moves to `now` and decides anew. Calling it twice with the same time is calling it once.
    ///
    /// `steady` is a clock that never steps; its origin does not matter.
    pub fn advance(&mut self, now: Timestamp, steady: Duration) {
        if std::mem::take(&mut self.restored) {
            self.note_restored(now);
        }
        self.compare_clocks(now, steady);
        self.steady = steady;
        for source in self.sources.values_mut() {
            source.advance(now);
        }
        let all = self.rotations.iter().enumerate();
        let due = all.filter(|(place, (_, watched))| watched.is_due(*place, now));
        let due: Vec<RotationId> = due.map(|(_, (id, _))| id.clone()).collect();
        for id in due {
            self.evaluate(&id, now);
            self.note_milestones(&id, now);
        }
    }

    fn compare_clocks(&mut self, now: Timestamp, steady: Duration) {
        let expected = match self.clock {
            Some((wall, before)) => Some(wall.plus(steady.saturating_sub(before))),
            // Over a restart only a step back shows.
            None => self.last_commit_at.filter(|last| *last > now),
        };
        let step = expected.map(|expected| Span::between(expected, now));
        let step = step.filter(|step| step.to.since(step.from) > CLOCK_STEP);
        if step.is_some() || self.clock.is_none() {
            self.clock = Some((now, steady));
        }
        if let Some(step) = step {
            self.suspect_clock(step);
        }
    }

    pub(super) fn suspect_clock(&mut self, span: Span) {
        self.clock_suspects.push(span);
        self.commit.clock_suspects.push(span);
        self.events.push_back(Event::ClockSuspect(span.from));
    }

    fn evaluate(&mut self, id: &RotationId, now: Timestamp) {
        self.adopt_policy(id, now);
        let watched = &self.rotations[id];
        let mut answer = self.answer(watched, now);
        let before = watched.published.clone();
        let was = before.as_ref().map(|published| published.verdict);
        // Once revoked, the old key's denied lines are what everybody waits for.
        let open = watched.rotation.phase == Phase::Open;
        let was_ready = open && before.as_ref().is_some_and(|before| before.ready_since.is_some());
        let violation = was_ready.then(|| contrary(&answer, now)).flatten();
        if let Some(violation) = &violation {
            let watched = self.rotations.get_mut(id).expect("evaluated by its own id");
            watched.violations.push(violation.clone());
            self.commit.violations.push(violation.clone());
            // The violation is one of the facts the answer rests on.
            answer = self.answer(&self.rotations[id], now);
        }
        let verified = self.revocation_verified_at(&self.rotations[id]);
        let mut published = before.clone().unwrap_or(PublishedVerdict {
            rotation: id.clone(),
            verdict: answer.verdict,
            epoch: Epoch::new(""),
            since: now,
            ready_since: None,
            revocation_verified_at: None,
            policy: String::new(),
            policy_since: None,
        });
        if was.is_some_and(|was| was != answer.verdict) {
            published.since = now;
        }
        if answer.verdict == Verdict::Ready {
            published.ready_since.get_or_insert(now);
        } else if violation.is_some() {
            published.ready_since = None;
        }
        let newly_verified = published.revocation_verified_at.is_none() && verified.is_some();
        published.revocation_verified_at = published.revocation_verified_at.or(verified);
        published.verdict = answer.verdict;
        published.epoch = answer.epoch.clone();
        let watched = self.rotations.get_mut(id).expect("evaluated by its own id");
        published.policy.clone_from(&watched.policy_digest);
        published.policy_since = watched.policy_since;
        if before.as_ref() != Some(&published) {
            self.sequence += 1;
            self.commit.sequence = self.sequence;
            self.commit.verdicts.push(published.clone());
        }
        watched.published = Some(published);
        watched.answer = Some(answer.clone());
        watched.touched = false;
        if was != Some(answer.verdict) {
            let answer = Box::new(answer.clone());
            self.events.push_back(Event::VerdictChanged { answer, from: was });
        }
        self.events.extend(violation.map(Event::Retracted));
        if let Some(at) = verified.filter(|_| newly_verified) {
            self.events.push_back(Event::RevocationVerified(Box::new(answer), at));
        }
    }

    /// Digests what is demanded of a rotation: its policy, and lateness and silence of its sources.
    fn demands_of(&self, rotation: &Rotation) -> String {
        let (policy, _) = self.policy_of(rotation);
        let pinned = rotation.declaration.sources.iter();
        let declared = pinned.filter_map(|name| {
            let decl = self.sources.get(name)?.decl.as_ref()?;
            Some((name, &decl.policy))
        });
        policy.digest(declared)
    }

    /// Notes a changed policy: what was quiet under the old one proves nothing under the new.
    fn adopt_policy(&mut self, id: &RotationId, now: Timestamp) {
        let digest = self.demands_of(&self.rotations[id].rotation);
        let watched = self.rotations.get_mut(id).expect("evaluated by its own id");
        if watched.policy_digest != digest {
            if !watched.policy_digest.is_empty() {
                watched.policy_since = Some(now);
            }
            watched.policy_digest = digest;
        }
    }

    /// Returns the policy of a rotation's credential, and whether it is configured.
    pub(super) fn policy_of(&self, rotation: &Rotation) -> (Policy, bool) {
        let credential = &rotation.declaration.credential;
        let decl = self.declared.credentials.iter().find(|decl| decl.name == *credential);
        (decl.map_or_else(Policy::default, |decl| decl.policy.clone()), decl.is_some())
    }

    pub(super) fn answer(&self, watched: &Watched, now: Timestamp) -> Answer {
        self.with_facts(watched, |facts| decide(facts, now))
    }

    /// Gathers what the decision on a rotation rests on, for `look` to look at.
    pub(super) fn with_facts<T>(&self, watched: &Watched, look: impl FnOnce(&Facts<'_>) -> T) -> T {
        let (policy, configured) = self.policy_of(&watched.rotation);
        let pinned = watched.rotation.declaration.sources.iter();
        let facts = Facts {
            rotation: &watched.rotation,
            policy: &policy,
            sources: pinned.map(|name| (name, self.sources.get(name))).collect(),
            ledger: &self.ledger,
            clock_suspects: &self.clock_suspects,
            keys_free_since: self.keys_free_since(&watched.rotation),
            violations: watched.violations.len(),
            journal_sequence: watched.journal.last().map_or(0, |entry| entry.sequence),
            policy_digest: &watched.policy_digest,
            policy_since: watched.policy_since,
            configured,
        };
        look(&facts)
    }

    /// Returns when the last earlier rotation that had the new key in it ended.
    pub(super) fn keys_free_since(&self, rotation: &Rotation) -> Option<Timestamp> {
        let new_key = rotation.declaration.new_key.fingerprint;
        let opened = self.rotations.get(&rotation.declaration.id)?.journal.first()?.sequence;
        let shared = self.rotations.values().filter(|other| {
            let told = &other.rotation.declaration;
            let keys = [told.old_key.fingerprint, told.new_key.fingerprint];
            told.id != rotation.declaration.id && keys.contains(&new_key)
        });
        let ends = shared.flat_map(|other| &other.journal).filter(|entry| {
            matches!(
                entry.event,
                JournalEvent::Revoked | JournalEvent::Override | JournalEvent::RolledBack
            )
        });
        // An end that was recorded after this one was opened is none of its past, whatever their dates.
        ends.filter(|end| end.sequence < opened).map(|end| end.at).max()
    }

    /// Returns when a denied line with A proved the revocation: later than it may take to spread.
    fn revocation_verified_at(&self, watched: &Watched) -> Option<Timestamp> {
        let Phase::Revoked(at) = watched.rotation.phase else { return None };
        let (policy, _) = self.policy_of(&watched.rotation);
        let key = watched.rotation.declaration.old_key.fingerprint;
        let uses = self.ledger.of_key(key)?.values();
        let denied =
            uses.filter_map(crate::engine::ledger::Presentations::last_denied_second).max();
        let denied = denied.filter(|denied| *denied > at.plus(policy.propagation_bound));
        // What a later rotation of the same key saw proves nothing of this one.
        let until = self.used_again_at(&watched.rotation);
        denied.filter(|denied| until.is_none_or(|until| *denied < until))
    }

    /// Notes which rotations have news of their old key.
    pub(super) fn touch(&mut self, delta: &UsageDelta) {
        let mut keys: Vec<Fingerprint> = delta.cells.iter().map(|cell| cell.key).collect();
        // Cells come by key: a few are left.
        keys.dedup();
        if keys.is_empty() {
            return;
        }
        for watched in self.rotations.values_mut().filter(|it| !it.touched) {
            watched.touched = keys.contains(&watched.rotation.declaration.old_key.fingerprint);
        }
    }

    pub(super) fn note_gap(&mut self, gap: Gap) {
        self.commit.gaps.push(gap.clone());
        self.events.push_back(Event::GapRecorded(gap));
    }

    pub(super) fn note_late_lines(&mut self, delta: &UsageDelta) {
        let Some(late_by) = delta.late_by else { return };
        for (id, watched) in &mut self.rotations {
            let old_key = watched.rotation.declaration.old_key.fingerprint;
            let concerned = watched.rotation.phase == Phase::Open
                && delta.cells.iter().any(|cell| cell.key == old_key);
            let doubled = u32::try_from(watched.violations.len() / 100).unwrap_or(u32::MAX).min(30);
            let every = LATE_LINES_EVERY.saturating_mul(1 << doubled);
            let recently =
                watched.late_recorded_at.is_some_and(|last| delta.arrival.since(last) < every);
            if concerned && !recently {
                watched.late_recorded_at = Some(delta.arrival);
                let violation = Violation {
                    rotation: id.clone(),
                    kind: ViolationKind::LateLine,
                    event_at: None,
                    recorded_at: delta.arrival,
                    message: format!(
                        "a line of {} came {} later than allowed; it counts from its arrival",
                        delta.stream,
                        crate::engine::wording::humane(late_by)
                    ),
                };
                watched.violations.push(violation.clone());
                self.commit.violations.push(violation);
            }
        }
    }
}

/// Returns the violation that takes a `ready` back, if the old key is proved to be used.
fn contrary(answer: &Answer, now: Timestamp) -> Option<Violation> {
    let proof = answer.blockers.iter().find(|blocker| {
        let kind = blocker.code.kind();
        blocker.code.ground() == Ground::Proof && matches!(kind, Kind::Usage | Kind::Consumer)
    })?;
    Some(Violation {
        rotation: answer.rotation.clone(),
        kind: ViolationKind::Retraction,
        event_at: proof.since,
        recorded_at: now,
        message: format!("ready was taken back: {}", proof.message),
    })
}

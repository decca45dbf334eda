//! Where each consumer stands between the old key and the new one.
//!
//! A consumer has *moved* when it was seen on the new key (accepted) after its last use of the
//! old one, and has been silent on the old one for longer than it ever was before. Ten pods that
//! share a name share its cadence: one pod's new key does not speak for the others.
//!
//! One that has not moved and stays away for far longer than it ever did between two sessions is
//! taken for *gone* ([`Cadence::bound`]): it is shown as silent, as one that was never seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::answer::ConsumerCounts;
use crate::engine::cadence::{Bursts, Cadence, stretched};
use crate::engine::credential::{ConsumerName, SourceName, StreamName};
use crate::engine::evidence::Source;
use crate::engine::ledger::{Ledger, Presentations};
use crate::engine::policy::Policy;
use crate::engine::rotation::{RosterEntry, Rotation};
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::{Consumer, ConsumerKind, Outcome};
use crate::engine::view::{ConsumerState, ConsumerUse, ConsumerView};

/// One consumer of a rotation, with what the log shows of it.
#[derive(Clone, Copy, Debug)]
pub struct Migrant<'a> {
    /// Its name, or that of the pool.
    pub name: &'a str,
    /// What is known of it.
    pub kind: ConsumerKind,
    /// Its entry in the roster.
    pub roster: Option<&'a RosterEntry>,
    /// Its presentations of the old key.
    pub old: Option<&'a Presentations>,
    /// Its presentations of the new key.
    pub new: Option<&'a Presentations>,
    /// When the last earlier rotation of the new key ended: a use before that moves nobody.
    pub free_since: Option<Timestamp>,
    /// Since when its silence on the old key was seen: that in which evidence was lost is none.
    pub silent_from: Option<Timestamp>,
    /// What is known of the gaps between its sessions on the old key.
    pub cadence: Cadence,
    /// Where it stands.
    pub state: ConsumerState,
    /// Whether its presentations of the old key are so few that they are tolerated: see `tolerance.rs`.
    pub tolerated: bool,
}

/// Returns every consumer of the roster or of a job and every one that presented either key, by
/// name.
///
/// `lost` are the spans in which evidence of the rotation is missing, as [`lost_spans`] tells them;
/// `free_since` is when the last earlier rotation that had the new key in it ended.
pub fn migrants<'a>(
    rotation: &'a Rotation,
    policy: &Policy,
    ledger: &'a Ledger,
    lost: &[Span],
    free_since: Option<Timestamp>,
    watermark: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Migrant<'a>> {
    let declaration = &rotation.declaration;
    let old = ledger.of_key(declaration.old_key.fingerprint);
    let new = ledger.of_key(declaration.new_key.fingerprint);
    // A pool is one consumer, and a roster or a job may name it; so is an address kept apart.
    let kind_of = |name: &Arc<str>| {
        let address = Consumer::Address(ConsumerName::new(Arc::clone(name)));
        let is_address = [old, new].into_iter().flatten().any(|all| all.contains_key(&address));
        match &**name {
            Consumer::POOL => ConsumerKind::Pool,
            Consumer::OTHERS => ConsumerKind::Others,
            _ if is_address => ConsumerKind::Address,
            _ => ConsumerKind::Named,
        }
    };
    let mut all: BTreeMap<(&str, ConsumerKind), Migrant<'a>> = BTreeMap::new();
    let mut meet = |name: &'a str, kind: ConsumerKind, note: &dyn Fn(&mut Migrant<'a>)| {
        note(all.entry((name, kind)).or_insert(Migrant::unseen(name, kind)));
    };
    for entry in &declaration.roster {
        meet(&entry.name, kind_of(&entry.name), &|migrant| migrant.roster = Some(entry));
    }
    for (consumer, uses) in old.into_iter().flatten() {
        meet(consumer.as_str(), consumer.kind(), &|migrant| migrant.old = Some(uses));
    }
    for (consumer, uses) in new.into_iter().flatten() {
        meet(consumer.as_str(), consumer.kind(), &|migrant| migrant.new = Some(uses));
    }
    for job in &declaration.jobs {
        meet(&job.consumer, kind_of(&job.consumer), &|_| {});
    }
    let mut all: Vec<Migrant<'a>> = all.into_values().collect();
    // A watermark from a clock that was ahead proves no silence.
    let watermark = watermark.map(|watermark| watermark.min(now));
    for migrant in &mut all {
        let presented = migrant.old.map(|old| old.cadence(policy.session_gap, lost));
        migrant.cadence = presented.unwrap_or_default();
        migrant.free_since = free_since;
        migrant.silent_from = migrant.seen_silent_from(policy, lost);
        migrant.state = migrant.stand(rotation, policy, watermark, now);
    }
    all
}

/// Returns the spans in which evidence of a rotation is missing, in ascending order and joined.
///
/// A lost line may be older than the last one read before it by the lateness. What a best-effort
/// source lost, the source that covers it has.
pub fn lost_spans<'s>(
    rotation: &Rotation,
    sources: impl IntoIterator<Item = (&'s SourceName, &'s Source)>,
) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (name, source) in sources.into_iter().filter(|(_, source)| source.is_complete()) {
        let counts = |stream: &StreamName| rotation.counts_stream(name, stream);
        let lateness = source.lateness(counts);
        let gaps = source.gaps.iter().filter(|gap| counts(&gap.stream));
        spans.extend(gaps.map(|gap| Span { from: gap.span.from.minus(lateness), ..gap.span }));
    }
    Span::joined(spans)
}

impl<'a> Migrant<'a> {
    /// Makes a consumer of which nothing was seen.
    fn unseen(name: &'a str, kind: ConsumerKind) -> Self {
        Self {
            name,
            kind,
            roster: None,
            old: None,
            new: None,
            free_since: None,
            silent_from: None,
            cadence: Cadence::default(),
            state: ConsumerState::Silent,
            tolerated: false,
        }
    }
    /// Tells whether its presentations of the old key are excused at `now`.
    pub fn is_waived(&self, rotation: &Rotation, now: Timestamp) -> bool {
        self.may_be_named() && rotation.waived.get(self.name).is_some_and(|until| now < *until)
    }

    /// Tells whether its presentations of the old key count for nothing at `now`: waived or tolerated.
    pub fn is_excused(&self, rotation: &Rotation, now: Timestamp) -> bool {
        self.tolerated || self.is_waived(rotation, now)
    }

    /// Tells whether it is out of account with everything that it may hold.
    pub fn is_out_of_account(&self) -> bool {
        self.tolerated || matches!(self.state, ConsumerState::Waived | ConsumerState::Retired)
    }

    /// Tells whether it was not seen to move, whether or not it is waited for.
    pub fn is_unmoved(&self) -> bool {
        match self.state {
            ConsumerState::OnOld | ConsumerState::Mixed | ConsumerState::Regressed => true,
            ConsumerState::Silent => self.old.is_some(),
            _ => false,
        }
    }

    /// Returns its name as messages say it: with whom to ask about it, where that is declared.
    pub fn shown(&self) -> String {
        match self.roster.and_then(|entry| entry.owner.as_deref()) {
            Some(owner) => format!("{} (owner {owner})", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Tells whether it is declared not to exist any more, and has not shown the contrary since.
    fn is_retired(&self, rotation: &Rotation) -> bool {
        let retired = rotation.retired.get(self.name).filter(|_| self.may_be_named());
        retired.is_some_and(|at| self.last_old().is_none_or(|last| last <= *at))
    }

    /// Tells whether a job of the consumer `name` is its.
    pub(super) fn has_job_of(&self, name: &str) -> bool {
        self.name == name && self.may_be_named()
    }

    /// Tells whether the journal can mean it: a client that calls itself as a pool is not the pool.
    fn may_be_named(&self) -> bool {
        match self.name {
            Consumer::POOL => self.kind == ConsumerKind::Pool,
            Consumer::OTHERS => self.kind == ConsumerKind::Others,
            _ => true,
        }
    }

    /// Tells whether it is a health check: it proves visibility, never that anybody moved.
    pub fn is_synthetic(&self) -> bool {
        self.roster.is_some_and(|entry| entry.synthetic) && !self.is_pool()
    }

    /// Tells whether one process holds its key: the new key in its hands is the old one put away.
    pub fn is_single(&self) -> bool {
        self.roster.is_some_and(|entry| entry.single) && !self.is_pool()
    }

    /// Tells whether it stands for many, whatever is declared of it.
    fn is_pool(&self) -> bool {
        matches!(self.kind, ConsumerKind::Pool | ConsumerKind::Others)
    }

    /// Returns the latest effective time of its presentations of the old key.
    pub fn last_old(&self) -> Option<Timestamp> {
        self.old.and_then(|old| old.counts_until)
    }

    /// Returns the first accepted use of the new key after the last use of the old one, in this
    /// rotation.
    pub fn moved_at(&self) -> Option<Timestamp> {
        self.first_new_after(self.last_old())
    }

    /// Returns the first accepted use of the new key after `instant`, if there is one, and after the
    /// last earlier rotation of the key: who moved in one that was rolled back may have gone back.
    pub fn first_new_after(&self, instant: Option<Timestamp>) -> Option<Timestamp> {
        let accepted = &self.new?.accepted;
        let after = instant.max(self.free_since);
        after.map_or(accepted.first(), |after| accepted.first_after(after))
    }

    fn stand(
        &self,
        rotation: &Rotation,
        policy: &Policy,
        watermark: Option<Timestamp>,
        now: Timestamp,
    ) -> ConsumerState {
        if self.is_retired(rotation) {
            return ConsumerState::Retired;
        }
        if self.is_waived(rotation, now) {
            return ConsumerState::Waived;
        }
        let Some(old) = self.old else {
            let used = self.moved_at().is_some();
            return if used { ConsumerState::NewOnly } else { ConsumerState::Silent };
        };
        let accepted = self.first_new_after(None).is_some();
        if self.has_moved(policy, watermark) {
            ConsumerState::Moved
        } else if accepted && self.has_regressed(old, policy) {
            ConsumerState::Regressed
        } else if self.gone_after(policy).is_some_and(|after| watermark > Some(after)) {
            ConsumerState::Silent
        } else if accepted {
            ConsumerState::Mixed
        } else {
            ConsumerState::OnOld
        }
    }

    fn has_moved(&self, policy: &Policy, watermark: Option<Timestamp>) -> bool {
        let Some(silent_from) = self.silent_from else { return false };
        if self.moved_at().is_none() {
            return false;
        }
        if self.is_single() {
            return true;
        }
        let Some(watermark) = watermark else { return false };
        watermark.since(silent_from) > self.silence_to_move(policy)
    }

    /// Returns the begin of the first silence after its last use of the old key that is long enough
    /// to move it and in which nothing was lost; of the last one, if none is yet.
    fn seen_silent_from(&self, policy: &Policy, lost: &[Span]) -> Option<Timestamp> {
        let enough = self.silence_to_move(policy);
        let mut from = self.last_old()?;
        for span in lost.iter().filter(|span| Some(span.to) > self.last_old()) {
            if span.from.since(from) > enough {
                break;
            }
            from = from.max(span.to);
        }
        Some(from)
    }

    /// Returns the event time after which silence alone makes it moved; `None` if it also needs a
    /// use of the new key.
    pub fn moves_by_silence_after(&self, policy: &Policy) -> Option<Timestamp> {
        self.moved_at()?;
        Some(self.silent_from?.plus(self.silence_to_move(policy)))
    }

    /// Returns the event time after which silence alone makes it gone; `None` if it never does.
    pub fn gone_after(&self, policy: &Policy) -> Option<Timestamp> {
        Some(self.last_old()?.plus(self.cadence.bound(policy)?))
    }

    /// Returns how long it must be silent on the old key before it counts as moved.
    pub fn silence_to_move(&self, policy: &Policy) -> Duration {
        let presented = self.old.map(|old| &old.presented);
        let gap = self.old.map_or(Duration::ZERO, Presentations::largest_gap);
        let last_old = presented.and_then(Bursts::last);
        let first_new = self.new.and_then(|new| new.accepted.first());
        let both =
            first_new.is_some_and(|first_new| last_old.is_some_and(|last| last >= first_new));
        let bound = if both { stretched(gap, policy.cadence_factor) } else { gap };
        policy.quiet_period.max(bound)
    }

    /// Tells whether it had moved at some time and presented the old key after that.
    fn has_regressed(&self, old: &Presentations, policy: &Policy) -> bool {
        let single = self.is_single();
        let first_new = self.first_new_after(None);
        let mut largest = Duration::ZERO;
        for (before, after) in old.presented.gaps() {
            let gap = after.since(before);
            let is_longer = || {
                let both = first_new.is_some_and(|first_new| before >= first_new);
                gap > if both { stretched(largest, policy.cadence_factor) } else { largest }
            };
            let came_over = || self.first_new_after(Some(before)).is_some_and(|at| at < after);
            // The cheap question first: of hundreds of gaps few are that long.
            if (single || gap > policy.quiet_period && is_longer()) && came_over() {
                return true;
            }
            largest = largest.max(gap);
        }
        false
    }

    /// Returns the form that is shown.
    pub fn view(&self, policy: &Policy) -> ConsumerView {
        let used = |uses: Option<&Presentations>| {
            uses.map_or_else(ConsumerUse::default, |uses| ConsumerUse {
                first_seen: uses.first_seen,
                last_seen: uses.last_seen,
                accepted: uses.counts[Outcome::Accepted as usize],
                denied: uses.denied(),
                failed: uses.counts[Outcome::Failed as usize],
            })
        };
        ConsumerView {
            consumer: self.name.to_owned(),
            named: self.kind == ConsumerKind::Named,
            owner: self.roster.and_then(|entry| entry.owner.as_deref()).map(str::to_owned),
            third_party: self.roster.is_some_and(|entry| entry.third_party),
            state: self.state,
            old: used(self.old),
            new: used(self.new),
            moved_at: self.moved_at(),
            largest_gap: self.old.map_or(Duration::ZERO, Presentations::largest_gap),
            sessions: self.old.map_or(0, |old| old.presented.sessions(policy.session_gap)),
            cadence_bound: self.cadence.bound(policy),
        }
    }
}

/// Counts consumers by state.
pub fn count(migrants: &[Migrant<'_>]) -> ConsumerCounts {
    let mut counts = ConsumerCounts { total: migrants.len() as u64, ..ConsumerCounts::default() };
    for migrant in migrants {
        *match migrant.state {
            ConsumerState::OnOld => &mut counts.on_old,
            ConsumerState::Mixed => &mut counts.mixed,
            ConsumerState::Moved => &mut counts.moved,
            ConsumerState::Regressed => &mut counts.regressed,
            ConsumerState::Silent => &mut counts.silent,
            ConsumerState::NewOnly => &mut counts.new_only,
            ConsumerState::Retired => &mut counts.retired,
            ConsumerState::Waived => &mut counts.waived,
        } += 1;
    }
    counts
}

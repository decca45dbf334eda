//! How far a rotation's consumers have moved, how fast, who is left, and when the rest will be.
//!
//! ```text
//! share moved  |            ____---     a step at each moved_at
//!              |   ____----            t50 t90 t100 count from the notification
//! share on B   | x x   x x x x         a window in which nothing was seen has no value
//! ```
//!
//! It describes and never decides: nothing here enters a verdict.

mod eta;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::answer::{Blocker, Code};
use crate::engine::curve::{self, Curve};
use crate::engine::ledger::{Ledger, Presentations};
use crate::engine::migration::Migrant;
use crate::engine::policy::Policy;
use crate::engine::rotation::{Phase, Rotation};
use crate::engine::summary;
use crate::engine::time::{Span, Timestamp};
use crate::engine::view::ConsumerState;

/// What a report rests on, besides `now`.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The rotation as its journal tells it.
    pub rotation: &'a Rotation,
    /// What is demanded.
    pub policy: &'a Policy,
    /// Who presented which key.
    pub ledger: &'a Ledger,
    /// Where each consumer stands, and who is tolerated.
    pub migrants: &'a [Migrant<'a>],
    /// When both keys became valid: told, else the first accepted use of the new key.
    pub overlap_began: Option<Timestamp>,
    /// Watermark of the rotation's answer at `now`.
    pub watermark: Option<Timestamp>,
    /// Blockers of that answer.
    pub blockers: &'a [Blocker],
    /// Spans of which evidence was lost, in any source of the rotation.
    pub gaps: Vec<Span>,
    /// Consumers with scheduled jobs: when the next run begins, where that is known.
    pub next_runs: BTreeMap<Arc<str>, Option<Timestamp>>,
}

/// Which event the velocity counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The consumers were notified.
    Notified,
    /// Nobody recorded a notification: both keys became valid, as told or seen.
    DualAccept,
    /// The new key was never accepted either: the rotation was started.
    Started,
}

impl Origin {
    /// Returns the word used in JSON: the type of the journal's entry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notified => "consumers_notified",
            Self::DualAccept => "dual_accept_enabled",
            Self::Started => "started",
        }
    }

    /// Tells whether it stands in for a notification that nobody recorded.
    pub const fn is_inferred(self) -> bool {
        !matches!(self, Self::Notified)
    }
}

/// A consumer that must move and has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Straggler {
    /// Its name, or that of the pool.
    pub consumer: String,
    /// Whom to ask about it.
    pub owner: Option<Arc<str>>,
    /// Where it stands.
    pub state: ConsumerState,
    /// Its last use of the old key.
    pub old_last_seen: Option<Timestamp>,
    /// Its last use of the new key.
    pub new_last_seen: Option<Timestamp>,
    /// Its sessions on the old key.
    pub sessions: u64,
    /// The largest gap between two of its uses of the old key.
    pub largest_gap: Duration,
    /// How long its silence must be to mean something; `None`: its silence proves nothing.
    pub cadence_bound: Option<Duration>,
    /// What has to happen.
    pub needs: String,
    /// When that is over if it does nothing else; `None` if more than time is missing.
    pub clears_at: Option<Timestamp>,
}

/// When everybody will have moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eta {
    /// An estimate with its interval.
    Told {
        /// At the pace of the last moves.
        at: Timestamp,
        /// Lower limit; never before `now`.
        earliest: Timestamp,
        /// Upper limit.
        latest: Timestamp,
        /// What it rests on.
        basis: String,
    },
    /// None, and why.
    None(String),
}

/// The migration of one rotation at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// Identifier of the rotation.
    pub rotation: String,
    /// Its credential.
    pub credential: String,
    /// Name of the old and of the new key.
    pub keys: [String; 2],
    /// When this was found.
    pub evaluated_at: Timestamp,
    /// What the velocity counts from, and when that was.
    pub origin: (Origin, Timestamp),
    /// Consumers that must move: seen on the old key or on the roster, and neither synthetic,
    /// retired, waived, tolerated nor gone.
    pub must_move: u64,
    /// Those of them that have moved.
    pub moved: u64,
    /// Waived consumers, which need not move until a date.
    pub waived: Vec<String>,
    /// Consumers that need not move: together they stay under the threshold.
    pub tolerated: Vec<String>,
    /// Unmoved consumers that count as gone: silent for longer than their cadence bound.
    pub gone: Vec<String>,
    /// Time from the origin until 50, 90 and 100 % had moved; `None` until then.
    pub t50: Option<Duration>,
    /// See [`t50`](Self::t50).
    pub t90: Option<Duration>,
    /// See [`t50`](Self::t50).
    pub t100: Option<Duration>,
    /// Moves per hour from the origin to the last of all moves, or to now; `None` before the first.
    pub per_hour: Option<f64>,
    /// Shares over time.
    pub curve: Curve,
    /// Who has not moved, the latest user of the old key first.
    pub stragglers: Vec<Straggler>,
    /// When everybody will have moved.
    pub eta: Eta,
}

/// Reports on a migration. Pure: the same facts and the same `now` give the same report.
pub fn report(facts: &Facts<'_>, now: Timestamp) -> Migration {
    let rotation = facts.rotation;
    let all = facts.migrants;
    let tolerated = all.iter().filter(|migrant| migrant.tolerated);
    let tolerated = tolerated.map(|migrant| migrant.name.to_owned()).collect();
    let waived = all.iter().filter(|m| m.state == ConsumerState::Waived && !m.is_synthetic());
    let waived = waived.map(|migrant| migrant.name.to_owned()).collect();
    let Moving { must, moves, gone } = moving(all);
    let until = match rotation.phase {
        Phase::Open => now,
        Phase::Revoked(at) | Phase::RolledBack(at) => at.min(now),
    };
    let origin = origin(rotation, facts.overlap_began);
    let total = must.len() as u64;
    let velocity = summary::velocity(origin.1, total, &moves);
    let mut left: Vec<&Migrant<'_>> = must.iter().filter(|m| !has_moved(m)).copied().collect();
    left.sort_by(|a, b| b.last_old().cmp(&a.last_old()).then(a.name.cmp(b.name)));
    let window = Span::between(drawn_from(rotation, origin).min(until), until);
    let declaration = &rotation.declaration;
    Migration {
        rotation: declaration.id.as_str().to_owned(),
        credential: declaration.credential.as_str().to_owned(),
        keys: [declaration.old_key.name.to_string(), declaration.new_key.name.to_string()],
        evaluated_at: now,
        origin,
        must_move: total,
        moved: moves.len() as u64,
        waived,
        tolerated,
        gone: gone.into_iter().map(|migrant| migrant.name.to_owned()).collect(),
        t50: velocity.t50,
        t90: velocity.t90,
        t100: velocity.last.filter(|_| velocity.moved == total),
        per_hour: per_hour(&moves, total, origin.1, until),
        curve: curve::draw(declaration, facts.ledger, &moves, total, &facts.gaps, window),
        stragglers: left.iter().map(|migrant| straggler(facts, migrant)).collect(),
        eta: eta::eta(facts, &moves, &left, origin.1, now),
    }
}

/// Returns the event that comes nearest to the notification.
pub(super) fn origin(rotation: &Rotation, overlap_began: Option<Timestamp>) -> (Origin, Timestamp) {
    match (rotation.notified_at, overlap_began) {
        (Some(at), _) => (Origin::Notified, at),
        (None, Some(at)) => (Origin::DualAccept, at),
        (None, None) => (Origin::Started, rotation.started_at),
    }
}

/// Returns where the curves begin: what went before the first use of the new key belongs to them.
fn drawn_from(rotation: &Rotation, (origin, at): (Origin, Timestamp)) -> Timestamp {
    match origin {
        Origin::DualAccept => at.min(rotation.dual_accept_at.unwrap_or(rotation.started_at)),
        Origin::Notified | Origin::Started => at,
    }
}

/// Who has to come over, and who did.
pub(super) struct Moving<'m, 'a> {
    /// Who must move, or has.
    pub(super) must: Vec<&'m Migrant<'a>>,
    /// When those of them moved that did, in ascending order.
    pub(super) moves: Vec<Timestamp>,
    /// Unmoved consumers that count as gone.
    pub(super) gone: Vec<&'m Migrant<'a>>,
}

/// Sorts out who has to come over from the old key.
pub(super) fn moving<'m, 'a>(all: &'m [Migrant<'a>]) -> Moving<'m, 'a> {
    let (gone, must): (Vec<&Migrant<'_>>, Vec<_>) =
        all.iter().filter(|m| must_move(m)).partition(|m| is_gone(m));
    let arrived = must.iter().filter(|m| has_moved(m));
    let mut moves: Vec<Timestamp> = arrived.filter_map(|m| m.moved_at()).collect();
    moves.sort_unstable();
    Moving { must, moves, gone }
}

/// Tells whether the consumer is expected to come over from the old key.
fn must_move(migrant: &Migrant<'_>) -> bool {
    let excused = matches!(migrant.state, ConsumerState::Retired | ConsumerState::Waived);
    let excused = excused || migrant.tolerated || migrant.is_synthetic();
    !excused && (migrant.old.is_some() || migrant.roster.is_some())
}

/// Tells whether an unmoved consumer stays away for far longer than it ever did.
fn is_gone(migrant: &Migrant<'_>) -> bool {
    migrant.state == ConsumerState::Silent && migrant.old.is_some()
}

fn has_moved(migrant: &Migrant<'_>) -> bool {
    matches!(migrant.state, ConsumerState::Moved | ConsumerState::NewOnly)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of consumers fit 52 bits")]
fn per_hour(moves: &[Timestamp], total: u64, from: Timestamp, until: Timestamp) -> Option<f64> {
    let since = moves.partition_point(|move_at| *move_at < from);
    let last = moves[since..].last()?;
    let end = if moves.len() as u64 == total { *last } else { until };
    let hours = end.since(from).as_secs_f64() / 3_600.0;
    (hours > 0.0).then(|| (moves.len() - since) as f64 / hours)
}

/// Returns the blockers that say what a consumer needs; that it uses the old key is no need.
fn needs_of<'a>(facts: &Facts<'a>, migrant: &Migrant<'_>) -> Vec<&'a Blocker> {
    let codes = [
        Code::ConsumerRegressed,
        Code::ConsumerNotMoved,
        Code::ConsumerMissing,
        Code::JobNotSeen,
        Code::JobRunning,
    ];
    let blockers = facts.blockers.iter();
    blockers.filter(|one| codes.contains(&one.code) && one.subject == migrant.name).collect()
}

/// Returns when the last of them clears if nothing else happens.
fn clears_at(blockers: &[&Blocker]) -> Option<Timestamp> {
    let clears: Option<Vec<Timestamp>> = blockers.iter().map(|blocker| blocker.clears_at).collect();
    clears?.into_iter().max()
}

fn straggler(facts: &Facts<'_>, migrant: &Migrant<'_>) -> Straggler {
    // The words of the verdict, so that both say the same.
    let blockers = needs_of(facts, migrant);
    let needs: Vec<&str> = blockers.iter().map(|blocker| blocker.message.as_str()).collect();
    let needs = if needs.is_empty() {
        format!(
            "{} does not stand in the way; a use of {} moves it, or retire it",
            migrant.shown(),
            facts.rotation.declaration.new_key.name
        )
    } else {
        needs.join("; ")
    };
    let old = migrant.old;
    Straggler {
        consumer: migrant.name.to_owned(),
        owner: migrant.roster.and_then(|entry| entry.owner.clone()),
        state: migrant.state,
        old_last_seen: old.and_then(|uses| uses.last_seen),
        new_last_seen: migrant.new.and_then(|uses| uses.last_seen),
        sessions: old.map_or(0, |uses| uses.presented.sessions(facts.policy.session_gap)),
        largest_gap: old.map_or(Duration::ZERO, Presentations::largest_gap),
        cadence_bound: migrant.cadence.bound(facts.policy),
        needs,
        clears_at: clears_at(&blockers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_counts_the_moves_since_the_origin_over_the_time_that_they_took() {
        let hour = |hour: i64| Timestamp::from_seconds(3_600 * hour);
        let moves = [1, 2, 3, 4].map(hour);
        let pace = |total, from| per_hour(&moves, total, hour(from), hour(6));
        assert_eq!(pace(9, 0), Some(4.0 / 6.0));
        assert_eq!(pace(9, 2), Some(3.0 / 4.0), "one at the origin counts, one before does not");
        assert_eq!(pace(4, 2), Some(3.0 / 2.0), "and once all have moved, no time after the last");
        assert_eq!(pace(4, 4), None, "in no time");
        assert_eq!(pace(9, 5), None, "nobody moved since");
    }
}

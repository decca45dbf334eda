//! How well a rotation program runs: figures over the rotations that ended.
//!
//! What the log says of a rotation is taken down as a [`RotationSummary`] when it ends, so that its
//! figures never change afterwards: keys are used again, and policies change. Incidents may still
//! come: a leak only shows after the end. Percentiles are nearest-rank: of n sorted values, the one
//! at rank ⌈p × n⌉. A figure that would need a division by zero is `None`.

use std::time::Duration;

use crate::engine::credential::CredentialName;
use crate::engine::new_key::ratio;
use crate::engine::policy::Policy;
use crate::engine::rotation::{Phase, Rotation, RotationId};
use crate::engine::time::Timestamp;

/// What the log said of a rotation when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationSummary {
    /// The rotation.
    pub rotation: RotationId,
    /// When both keys became valid: told, else the first accepted use of the new key.
    pub dual_accept_at: Option<Timestamp>,
    /// Last accepted use of the old key, not after the end.
    pub last_use: Option<Timestamp>,
    /// Overlap that was allocated.
    pub allocated: Duration,
    /// How its consumers moved.
    pub velocity: Velocity,
}

/// How fast consumers moved, counted from their notification, else from dual-accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Velocity {
    /// Consumers that had to move.
    pub consumers: u64,
    /// Those that did.
    pub moved: u64,
    /// Until half of them had moved; `None`: that many did not.
    pub t50: Option<Duration>,
    /// Until nine of ten had moved; `None`: that many did not.
    pub t90: Option<Duration>,
    /// Until the last one that moved had; `None`: none did.
    pub last: Option<Duration>,
}

/// Returns the velocity of `consumers` of which some moved, each at the time given.
///
/// One that had moved before `since` took no time.
pub fn velocity(since: Timestamp, consumers: u64, moved_at: &[Timestamp]) -> Velocity {
    let mut took: Vec<Duration> = moved_at.iter().map(|at| at.since(since)).collect();
    took.sort_unstable();
    let within = |percent| took.get(rank(consumers, percent)?).copied();
    Velocity {
        consumers,
        moved: took.len() as u64,
        t50: within(50),
        t90: within(90),
        last: took.last().copied(),
    }
}

/// Returns the place of the nearest-rank percentile among `count` sorted values, from 0.
fn rank(count: u64, percent: u64) -> Option<usize> {
    let rank = u128::from(count).saturating_mul(u128::from(percent)).div_ceil(100);
    usize::try_from(rank).ok()?.checked_sub(1)
}

/// Returns the nearest-rank percentile of `values`.
fn percentile(values: &[Duration], percent: u64) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(rank(sorted.len() as u64, percent)?).copied()
}

/// A rotation with what counts for the figures.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The rotation as its journal tells it.
    pub rotation: &'a Rotation,
    /// What was taken down at its end; `None` while it is open.
    pub summary: Option<&'a RotationSummary>,
    /// Its incidents.
    pub incidents: IncidentCounts,
}

/// Incidents by where they came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncidentCounts {
    /// Posted to the journal.
    pub posted: u64,
    /// `revocation_leak`: consumers that used a revoked key with success.
    pub leaks: u64,
    /// Occurrences of `new_key_failing`.
    pub new_key_failing: u64,
    /// Times that a `ready` was taken back.
    pub retractions: u64,
    /// Overlaps that were overdue.
    pub overdue: u64,
}

impl IncidentCounts {
    /// Returns the number of all.
    pub fn total(self) -> u64 {
        let parts = [self.posted, self.leaks, self.new_key_failing, self.retractions, self.overdue];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    fn add(&mut self, more: Self) {
        self.posted = self.posted.saturating_add(more.posted);
        self.leaks = self.leaks.saturating_add(more.leaks);
        self.new_key_failing = self.new_key_failing.saturating_add(more.new_key_failing);
        self.retractions = self.retractions.saturating_add(more.retractions);
        self.overdue = self.overdue.saturating_add(more.overdue);
    }
}

/// Mean, median and 90th percentile of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: Duration,
    /// Nearest-rank median.
    pub median: Duration,
    /// Nearest-rank 90th percentile.
    pub p90: Duration,
}

fn spread(values: &[Duration]) -> Option<Spread> {
    let count = u32::try_from(values.len()).ok()?;
    let sum = values.iter().fold(Duration::ZERO, |sum, value| sum.saturating_add(*value));
    Some(Spread {
        mean: sum.checked_div(count)?,
        median: percentile(values, 50)?,
        p90: percentile(values, 90)?,
    })
}

/// The figures of a program, or of one credential.
///
/// An override is no finished rotation: it is counted apart, and enters no other figure than the
/// incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProgramHealth {
    /// Rotations that are open.
    pub open: u64,
    /// Rotations that ended with the revocation of the old key.
    pub finished: u64,
    /// Rotations that were called off.
    pub rolled_back: u64,
    /// Revocations without a `ready`.
    pub overridden: u64,
    /// Finished rotations in which a person had to step in.
    pub manual_interventions: u64,
    /// Finished without manual intervention ÷ finished or rolled back.
    pub success_ratio: Option<f64>,
    /// From the start to the revocation, over finished rotations.
    pub time_to_rotate: Option<Spread>,
    /// Mean of (last use of A − dual-accept) ÷ (revoked − dual-accept).
    pub overlap_used: Option<f64>,
    /// Mean of (last use of A − dual-accept) ÷ allocated.
    pub allocation_used: Option<f64>,
    /// Median over finished rotations of the time until half of the consumers had moved.
    pub t50: Option<Duration>,
    /// Median over finished rotations of the time until nine of ten consumers had moved.
    pub t90: Option<Duration>,
    /// Consumers that moved ÷ hours until the last one of each rotation had.
    pub consumers_per_hour: Option<f64>,
    /// Incidents of rotations that ended.
    pub incidents: IncidentCounts,
    /// Incidents ÷ rotations that ended, overrides included.
    pub incidents_per_rotation: Option<f64>,
}

/// Returns the figures over `rotations`.
pub fn health<'a>(rotations: impl IntoIterator<Item = Told<'a>>) -> ProgramHealth {
    let mut health = ProgramHealth::default();
    let mut finished = Vec::new();
    for told in rotations {
        match told.rotation.phase {
            Phase::Open => health.open += 1,
            Phase::RolledBack(_) => health.rolled_back += 1,
            Phase::Revoked(_) if told.rotation.overridden => health.overridden += 1,
            Phase::Revoked(at) => finished.push((told, at)),
        }
        if told.rotation.phase != Phase::Open {
            health.incidents.add(told.incidents);
        }
    }
    health.finished = finished.len() as u64;
    let by_hand = finished.iter().filter(|(told, _)| told.rotation.manual_intervention).count();
    health.manual_interventions = by_hand as u64;
    let judged = health.finished + health.rolled_back;
    health.success_ratio = ratio(health.finished - health.manual_interventions, judged);
    let ended = judged + health.overridden;
    health.incidents_per_rotation = ratio(health.incidents.total(), ended);
    let took: Vec<Duration> =
        finished.iter().map(|(told, at)| at.since(told.rotation.started_at)).collect();
    health.time_to_rotate = spread(&took);
    let drained = || finished.iter().filter_map(|(told, at)| Some((told.summary?, *at)));
    health.overlap_used = mean(drained().filter_map(|(it, at)| {
        let drain = drain(it)?;
        share(drain, at.since(it.dual_accept_at?))
    }));
    health.allocation_used = mean(drained().filter_map(|(it, _)| share(drain(it)?, it.allocated)));
    let moves = || drained().map(|(it, _)| it.velocity);
    health.t50 = percentile(&moves().filter_map(|it| it.t50).collect::<Vec<_>>(), 50);
    health.t90 = percentile(&moves().filter_map(|it| it.t90).collect::<Vec<_>>(), 50);
    health.consumers_per_hour = per_hour(moves());
    health
}

/// Returns how long the old key went on being used in the overlap; `None` if it is not known when
/// that began. A key that was not used any more took no time.
pub fn drain(summary: &RotationSummary) -> Option<Duration> {
    let began = summary.dual_accept_at?;
    Some(summary.last_use.map_or(Duration::ZERO, |last| last.since(began)))
}

/// Returns the consumers that moved per hour; `None` where none took any time.
pub fn per_hour(moves: impl IntoIterator<Item = Velocity>) -> Option<f64> {
    let mut moved = 0_u64;
    let mut took = Duration::ZERO;
    for (velocity, last) in moves.into_iter().filter_map(|it| Some((it, it.last?))) {
        moved = moved.saturating_add(velocity.moved);
        took = took.saturating_add(last);
    }
    let seconds = ratio(moved, 1)?;
    (!took.is_zero()).then(|| seconds * 3_600.0 / took.as_secs_f64())
}

fn share(part: Duration, whole: Duration) -> Option<f64> {
    (!whole.is_zero()).then(|| part.as_secs_f64() / whole.as_secs_f64())
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Returns the overlap that a credential's own finished rotations recommend.
///
/// The longest drain of the old key so far × `cadence_factor`, and the quiet that must follow it;
/// at least `min_overlap`. With n drains the next one is longer than all of them with a chance of
/// at most 1 ÷ (n + 1). `None` with fewer than `cadence_min_samples` of them: too few to say.
pub fn recommended_overlap<'a>(
    rotations: impl IntoIterator<Item = Told<'a>>,
    policy: &Policy,
) -> Option<Duration> {
    let regular = |told: &Told<'_>| {
        matches!(told.rotation.phase, Phase::Revoked(_)) && !told.rotation.overridden
    };
    let drains: Vec<Duration> =
        rotations.into_iter().filter(regular).filter_map(|told| drain(told.summary?)).collect();
    let longest = *drains.iter().max()?;
    if (drains.len() as u64) < policy.cadence_min_samples {
        return None;
    }
    let stretched = Duration::try_from_secs_f64(longest.as_secs_f64() * policy.cadence_factor);
    let quiet = policy.quiet_period.max(policy.monitoring_cycle);
    let needed = stretched
        .unwrap_or(Duration::MAX)
        .saturating_add(quiet)
        .saturating_add(policy.max_session_lifetime)
        .saturating_add(policy.clock_skew);
    Some(needed.max(policy.min_overlap.unwrap_or_default()))
}

/// The figures of one credential.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialHealth {
    /// The credential.
    pub credential: CredentialName,
    /// Its figures.
    pub health: ProgramHealth,
    /// The overlap that its own history recommends.
    pub recommended_overlap: Option<Duration>,
}

//! How well a rotation program runs: figures over the rotations that ended.
//!
//! They rest on the journal, on what was taken down of each rotation at its end (`summary.rs`) and
//! on its incidents, which may still come: a leak only shows after the end. Percentiles are
//! nearest-rank. A figure that would need a division by zero is `None`.

use std::time::Duration;

use crate::engine::cadence::stretched;
use crate::engine::credential::CredentialName;
use crate::engine::declaration::RosterEntry;
use crate::engine::new_key::ratio;
use crate::engine::policy::Policy;
use crate::engine::rotation::{Phase, Rotation};
pub use crate::engine::summary::{RotationSummary, Velocity, velocity};
use crate::engine::summary::{drain, per_hour, percentile};

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
    roster: &[RosterEntry],
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
    let quiet = policy.quiet_period.max(policy.monitoring_cycle);
    let needed = stretched(longest, policy.cadence_factor)
        .saturating_add(quiet)
        .saturating_add(policy.max_session_lifetime)
        .saturating_add(policy.clock_skew);
    Some(needed.max(policy.least_overlap(roster)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::Fingerprint;
    use crate::engine::declaration::{Declaration, KeyRef};
    use crate::engine::rotation::RotationId;
    use crate::engine::time::Timestamp;

    fn hours(n: u64) -> Duration {
        Duration::from_hours(n)
    }

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_seconds(0).plus(hours(hour))
    }

    /// A rotation that started at hour 0 and ended as `phase` says.
    fn rotation(phase: Phase) -> Rotation {
        let key = |name: &str, byte| KeyRef {
            name: name.into(),
            fingerprint: Fingerprint::from_bytes([byte; 16]),
            id: None,
        };
        let declaration = Declaration {
            id: RotationId::new("r"),
            credential: CredentialName::new("c"),
            old_key: key("a", 1),
            new_key: key("b", 2),
            sources: Vec::new(),
            roster: Vec::new(),
            jobs: Vec::new(),
            overlap: None,
        };
        Rotation { phase, ..Rotation::open(declaration, at(0)) }
    }

    /// Dual-accept at hour 2, last use of the old key at `last`, ten hours allocated.
    fn summary(last: Option<u64>, velocity: Velocity) -> RotationSummary {
        RotationSummary {
            rotation: RotationId::new("r"),
            dual_accept_at: Some(at(2)),
            last_use: last.map(at),
            allocated: hours(10),
            velocity,
        }
    }

    fn told<'a>(rotation: &'a Rotation, summary: Option<&'a RotationSummary>) -> Told<'a> {
        Told { rotation, summary, incidents: IncidentCounts::default() }
    }

    #[test]
    fn the_times_of_a_program_are_mean_and_nearest_rank() {
        // 4, 6, 10, 20 h: mean 10, median the 2nd of 4, 90th percentile the 4th.
        let ends = [10, 4, 20, 6].map(|hour| rotation(Phase::Revoked(at(hour))));
        let found = health(ends.iter().map(|it| told(it, None)));
        let expected = Spread { mean: hours(10), median: hours(6), p90: hours(20) };
        assert_eq!(found.time_to_rotate, Some(expected));
        assert_eq!((found.finished, found.success_ratio), (4, Some(1.0)));
    }

    #[test]
    fn success_is_what_finished_without_rollback_or_a_hand_and_an_override_counts_apart() {
        let finished = rotation(Phase::Revoked(at(5)));
        let by_hand = Rotation { manual_intervention: true, ..finished.clone() };
        let leaked =
            Rotation { overridden: true, phase: Phase::Revoked(at(99)), ..finished.clone() };
        let (back, open) = (rotation(Phase::RolledBack(at(9))), rotation(Phase::Open));
        let all = [&finished, &finished, &by_hand, &back, &leaked, &open];
        let found = health(all.into_iter().map(|it| told(it, None)));
        assert_eq!(found.success_ratio, Some(2.0 / 4.0));
        let counts = (found.finished, found.rolled_back, found.overridden, found.open);
        assert_eq!((counts, found.manual_interventions), ((3, 1, 1, 1), 1));
        assert_eq!(found.time_to_rotate.map(|it| it.p90), Some(hours(5)), "no override in it");
    }

    #[test]
    fn the_overlap_is_used_up_to_the_last_use_of_the_old_key() {
        // Overlaps of 8 h and 4 h (hour 2 to 10 and to 6), used for 6 h and not at all.
        let (long, short) = (rotation(Phase::Revoked(at(10))), rotation(Phase::Revoked(at(6))));
        let used = summary(Some(8), Velocity::default());
        let unused = summary(Some(1), Velocity::default());
        let found = health([told(&long, Some(&used)), told(&short, Some(&unused))]);
        assert_eq!(found.overlap_used, Some(3.0 / 8.0));
        assert_eq!(found.allocation_used, Some(3.0 / 10.0));
        let never = RotationSummary { dual_accept_at: None, ..used };
        let found = health([told(&long, Some(&never)), told(&short, None)]);
        assert_eq!((found.overlap_used, found.allocation_used), (None, None));
    }

    #[test]
    fn incidents_are_those_of_rotations_that_ended() {
        let (ended, open) = (rotation(Phase::RolledBack(at(5))), rotation(Phase::Open));
        let incidents =
            IncidentCounts { posted: 1, leaks: 2, new_key_failing: 3, retractions: 4, overdue: 5 };
        let bad = Told { incidents, ..told(&ended, None) };
        let found = health([bad, told(&ended, None), Told { incidents, ..told(&open, None) }]);
        assert_eq!(found.incidents, incidents);
        assert_eq!(found.incidents_per_rotation, Some(7.5));
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!(health([]), ProgramHealth::default());
        let at_once = rotation(Phase::Revoked(at(2)));
        let nothing =
            RotationSummary { allocated: Duration::ZERO, ..summary(Some(2), Velocity::default()) };
        let found = health([told(&at_once, Some(&nothing))]);
        assert_eq!((found.overlap_used, found.allocation_used), (None, None));
        assert_eq!(found.incidents_per_rotation, Some(0.0));
    }

    #[test]
    fn the_recommended_overlap_comes_from_own_history_alone() {
        let policy = Policy {
            cadence_factor: 2.0,
            cadence_min_samples: 3,
            quiet_period: hours(1),
            clock_skew: Duration::ZERO,
            ..Policy::default()
        };
        let ended = rotation(Phase::Revoked(at(40)));
        let drains = [5, 9, 4].map(|last| summary(Some(last), Velocity::default()));
        let history = |count: usize| drains[..count].iter().map(|it| told(&ended, Some(it)));
        assert_eq!(recommended_overlap(history(2), &policy, &[]), None, "too few to say");
        // Drains of 3, 7 and 2 h: twice the longest, and an hour of quiet.
        assert_eq!(recommended_overlap(history(3), &policy, &[]), Some(hours(15)));
        let longer = Policy { min_overlap: Some(hours(72)), ..policy.clone() };
        assert_eq!(recommended_overlap(history(3), &longer, &[]), Some(hours(72)));
        let partner = [RosterEntry { third_party: true, ..RosterEntry::new("partner") }];
        assert_eq!(recommended_overlap(history(3), &policy, &partner), Some(hours(72)));
        let quick =
            Policy { cadence_min_samples: 1, quiet_period: Duration::ZERO, ..policy.clone() };
        let drained = summary(Some(2), Velocity::default());
        let least = recommended_overlap([told(&ended, Some(&drained))], &quick, &[]);
        assert_eq!(least, Some(hours(1)), "unless set");
        let leaked = Rotation { overridden: true, ..ended.clone() };
        let forced = drains.iter().map(|it| told(&leaked, Some(it)));
        assert_eq!(recommended_overlap(forced, &policy, &[]), None);
        let none = Policy { cadence_min_samples: 0, ..policy };
        assert_eq!(recommended_overlap([], &none, &[]), None);
    }
}

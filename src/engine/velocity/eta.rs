//! When all consumers will have moved, or why nobody can tell.
//!
//! Whoever calls as usual moves at the pace of the others; who came over, or runs on a schedule, is
//! waited for until a known time; of anybody else nothing tells that it will ever move.

use std::time::Duration;

use crate::engine::cadence::stretched;
use crate::engine::migration::Migrant;
use crate::engine::pace::{self, Forecast};
use crate::engine::rotation::Phase;
use crate::engine::time::Timestamp;
use crate::engine::usage::ConsumerKind;
use crate::engine::velocity::{Eta, Facts, clears_at, needs_of};
use crate::engine::wording::several;

/// What is known of the end of a straggler.
enum End {
    /// It is over at this time if nothing else happens.
    Known(Timestamp),
    /// It calls, and may move at any time.
    Open,
    /// Nothing tells whether it will ever move.
    None,
}

fn end_of(facts: &Facts<'_>, migrant: &Migrant<'_>, watermark: Timestamp) -> End {
    if let Some(next_run) =
        facts.next_runs.get(migrant.name).filter(|_| migrant.kind != ConsumerKind::Pool)
    {
        return next_run.map_or(End::None, End::Known);
    }
    let first_new = migrant.new.and_then(|uses| uses.accepted.first());
    let came_over = first_new > migrant.last_old();
    if let Some(silent_until) = migrant.moves_by_silence_after(facts.policy).filter(|_| came_over) {
        return End::Known(clears_at(&needs_of(facts, migrant)).unwrap_or(silent_until));
    }
    let last_seen = migrant.last_old().max(migrant.new.and_then(|uses| uses.counts_until));
    let gap = migrant.old.map_or(Duration::ZERO, crate::engine::ledger::Presentations::largest_gap);
    let usual = facts.policy.session_gap.max(stretched(gap, facts.policy.cadence_factor));
    match last_seen {
        Some(last) if watermark.since(last) <= usual => End::Open,
        _ => End::None,
    }
}

pub(super) fn eta(
    facts: &Facts<'_>,
    moves: &[Timestamp],
    left: &[&Migrant<'_>],
    from: Timestamp,
    now: Timestamp,
) -> Eta {
    let none = |why: &str| Eta::None(why.to_owned());
    if facts.rotation.phase != Phase::Open {
        return none("the rotation is over");
    }
    if left.is_empty() {
        return none(if moves.is_empty() { "nobody is known yet" } else { "everybody has moved" });
    }
    let Some(watermark) = facts.watermark else {
        return none("there is no watermark, so nobody knows who still calls");
    };
    let ends: Vec<(&str, End)> =
        left.iter().map(|migrant| (migrant.name, end_of(facts, migrant, watermark))).collect();
    let endless: Vec<&str> =
        ends.iter().filter(|(_, end)| matches!(end, End::None)).map(|(name, _)| *name).collect();
    if !endless.is_empty() {
        return Eta::None(format!(
            "nothing tells when {} will use {}: {}",
            several(&endless),
            facts.rotation.declaration.new_key.name,
            match endless.len() {
                1 => "ask its owner, or retire it",
                _ => "ask their owners, or retire them",
            }
        ));
    }
    let known = ends.iter().filter_map(|(_, end)| match end {
        End::Known(at) => Some(*at),
        _ => None,
    });
    let floor = known.max().unwrap_or(now).max(now);
    let open = ends.iter().filter(|(_, end)| matches!(end, End::Open)).count() as u64;
    if open == 0 {
        let basis = "those that are left are waited for until a known time".to_owned();
        return Eta::Told { at: floor, earliest: floor, latest: floor, basis };
    }
    // A consumer that came over sets the pace, even before its silence was long enough.
    let came = left.iter().filter(|m| matches!(end_of(facts, m, watermark), End::Known(_)));
    let mut paced: Vec<Timestamp> =
        moves.iter().copied().chain(came.filter_map(|m| m.moved_at())).collect();
    paced.retain(|move_at| *move_at >= from && *move_at <= now);
    paced.sort_unstable();
    match pace::forecast(&paced, open, now) {
        Some(forecast) => told(&forecast, open, floor, now),
        None if paced.len() < pace::MIN_MOVES => Eta::None(format!(
            "moves since the start of the migration: {}, which tell no pace; it takes {}",
            paced.len(),
            pace::MIN_MOVES
        )),
        None => none("all moves so far happened this instant: they tell no pace"),
    }
}

fn told(forecast: &Forecast, open: u64, floor: Timestamp, now: Timestamp) -> Eta {
    let after = |wait: Duration| now.plus(wait).max(floor);
    Eta::Told {
        at: after(forecast.expected),
        earliest: after(forecast.earliest),
        latest: after(forecast.latest),
        basis: format!(
            "{open} left at the pace of the last {} moves, which took {}; the {} % interval allows \
             for a steady pace (Poisson) and for each consumer moving on its own (exponential)",
            forecast.moves,
            crate::engine::wording::humane(forecast.took),
            pace::CONFIDENCE_PERCENT,
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::credential::{ConsumerName, CredentialName, Fingerprint};
    use crate::engine::ledger::Ledger;
    use crate::engine::migration::migrants;
    use crate::engine::policy::Policy;
    use crate::engine::rotation::{Declaration, KeyRef, RosterEntry, Rotation, RotationId};
    use crate::engine::usage::{Consumer, Outcome, Tally, UsageCell};
    use crate::engine::velocity::report;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(60 * minute)
    }

    fn key(name: &str, byte: u8) -> KeyRef {
        KeyRef { name: name.into(), fingerprint: Fingerprint::from_bytes([byte; 16]), id: None }
    }

    fn used(ledger: &mut Ledger, byte: u8, name: &str, minute: i64) {
        ledger.take(&mut vec![UsageCell {
            key: Fingerprint::from_bytes([byte; 16]),
            consumer: Consumer::Named(ConsumerName::new(name)),
            minute: at(minute).minute(),
            late: false,
            tally: Tally::one(Outcome::Accepted, at(minute), at(minute)),
        }]);
    }

    /// Three consumers that moved at 20, 30 and 40 min, `late` that calls, and a monthly job.
    fn eta_at_100(next_run: Option<Timestamp>) -> Eta {
        let mut ledger = Ledger::new(10);
        for (name, minute) in [("a", 20), ("b", 30), ("c", 40)] {
            used(&mut ledger, 1, name, 0);
            used(&mut ledger, 2, name, minute);
        }
        used(&mut ledger, 1, "late", 95);
        let rotation = Rotation::open(
            Declaration {
                id: RotationId::new("r-1"),
                credential: CredentialName::new("c"),
                old_key: key("a", 1),
                new_key: key("b", 2),
                sources: Vec::new(),
                roster: vec![RosterEntry::new("monthly")],
                jobs: Vec::new(),
                overlap: None,
            },
            at(10),
        );
        let policy = Policy::default();
        let watermark = Some(at(100));
        let migrants = migrants(&rotation, &policy, &ledger, &[], None, watermark, at(100));
        let facts = Facts {
            rotation: &rotation,
            policy: &policy,
            ledger: &ledger,
            migrants: &migrants,
            overlap_began: None,
            watermark,
            blockers: &[],
            gaps: Vec::new(),
            next_runs: BTreeMap::from([("monthly".into(), next_run)]),
        };
        report(&facts, at(100)).eta
    }

    #[test]
    fn a_job_is_waited_for_until_its_next_run_whatever_the_pace_is() {
        // One is left at the pace of two moves in 80 min: at 140 min.
        let told = |next_run| match eta_at_100(Some(next_run)) {
            Eta::Told { at, earliest, .. } => (at, earliest),
            Eta::None(why) => panic!("{why}"),
        };
        let (expected, earliest) = told(at(139));
        assert_eq!((expected, earliest), (at(140), at(139)));
        assert_eq!(told(at(50_000)), (at(50_000), at(50_000)));
        let Eta::None(why) = eta_at_100(None) else { panic!("its next run is not known") };
        assert!(why.starts_with("nothing tells when monthly will use b"), "{why}");
    }
}

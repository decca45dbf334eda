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
use crate::engine::usage::Consumer;
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
    // A job of a pool moves one of many, and a client that calls itself so is not the pool.
    let is_pools_name = matches!(migrant.name, Consumer::POOL | Consumer::OTHERS);
    if let Some(next_run) = facts.next_runs.get(migrant.name).filter(|_| !is_pools_name) {
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
    use std::sync::Arc;

    use super::*;
    use crate::engine::credential::{ConsumerName, CredentialName, Fingerprint};
    use crate::engine::ledger::Ledger;
    use crate::engine::migration::migrants;
    use crate::engine::policy::Policy;
    use crate::engine::rotation::{Declaration, KeyRef, RosterEntry, Rotation, RotationId};
    use crate::engine::usage::{Outcome, Tally, UsageCell};
    use crate::engine::velocity::report;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(60 * minute)
    }

    fn key(name: &str, byte: u8) -> KeyRef {
        KeyRef { name: name.into(), fingerprint: Fingerprint::from_bytes([byte; 16]), id: None }
    }

    fn used(ledger: &mut Ledger, byte: u8, name: &str, minute: i64) {
        used_by(ledger, byte, Consumer::Named(ConsumerName::new(name)), minute);
    }

    fn used_by(ledger: &mut Ledger, byte: u8, consumer: Consumer, minute: i64) {
        ledger.take(&mut vec![UsageCell {
            key: Fingerprint::from_bytes([byte; 16]),
            consumer,
            minute: at(minute).minute(),
            late: false,
            tally: Tally::one(Outcome::Accepted, at(minute), at(minute)),
        }]);
    }

    /// Three consumers that moved at 20, 30 and 40 min, `late` that calls, and a monthly job.
    fn eta_at_100(next_run: Option<Timestamp>) -> Eta {
        let ledger = moved_at([20, 30, 40]);
        eta_of(&ledger, vec![RosterEntry::new("monthly")], [("monthly".into(), next_run)], at(100))
    }

    /// `a`, `b` and `c` that came over at these minutes, and `late` that called at 95 min.
    fn moved_at(minutes: [i64; 3]) -> Ledger {
        let mut ledger = Ledger::new(10);
        for (name, minute) in ["a", "b", "c"].into_iter().zip(minutes) {
            used(&mut ledger, 1, name, 0);
            used(&mut ledger, 2, name, minute);
        }
        used(&mut ledger, 1, "late", 95);
        ledger
    }

    /// The estimate of a rotation that began at 10 min.
    fn eta_of(
        ledger: &Ledger,
        roster: Vec<RosterEntry>,
        next_runs: impl Into<BTreeMap<Arc<str>, Option<Timestamp>>>,
        now: Timestamp,
    ) -> Eta {
        let rotation = Rotation::open(
            Declaration {
                id: RotationId::new("r-1"),
                credential: CredentialName::new("c"),
                old_key: key("a", 1),
                new_key: key("b", 2),
                sources: Vec::new(),
                roster,
                jobs: Vec::new(),
                overlap: None,
            },
            at(10),
        );
        let policy = Policy::default();
        let watermark = Some(now);
        let migrants = migrants(&rotation, &policy, ledger, &[], None, watermark, now);
        let facts = Facts {
            rotation: &rotation,
            policy: &policy,
            ledger,
            migrants: &migrants,
            overlap_began: None,
            watermark,
            blockers: &[],
            gaps: Vec::new(),
            next_runs: next_runs.into(),
        };
        report(&facts, now).eta
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

    /// A client that called itself as the pool was waited for until the pool's job ran.
    #[test]
    fn a_job_of_a_pool_tells_nothing_of_the_others_in_it_nor_of_a_client_of_its_name() {
        for (name, pool) in
            [(Consumer::POOL, Consumer::Anonymous), (Consumer::OTHERS, Consumer::Others)]
        {
            for consumer in [pool, Consumer::Named(ConsumerName::new(name))] {
                let mut ledger = moved_at([20, 30, 40]);
                used_by(&mut ledger, 1, consumer, 95);
                let eta = eta_of(&ledger, vec![], [(name.into(), Some(at(50_000)))], at(100));
                let Eta::Told { basis, .. } = eta else { panic!("{eta:?}") };
                assert!(basis.starts_with("2 left at the pace"), "{name}: {basis}");
            }
        }
    }

    /// What an estimate rests on, or why there is none.
    fn words(ledger: &Ledger, now: Timestamp) -> String {
        match eta_of(ledger, Vec::new(), [], now) {
            Eta::Told { basis, .. } => basis,
            Eta::None(why) => why,
        }
    }

    #[track_caller]
    fn says(ledger: &Ledger, now: Timestamp, expected: &str) {
        let words = words(ledger, now);
        assert!(words.starts_with(expected), "{words}");
    }

    #[test]
    fn who_was_silent_for_as_long_as_a_session_may_pause_still_calls_and_after_that_it_does_not() {
        let edge = at(95).plus(Policy::default().session_gap);
        says(&moved_at([20, 30, 40]), edge, "1 left at the pace of the last 2 moves");
        let later = edge.plus(Duration::from_nanos(1));
        says(&moved_at([20, 30, 40]), later, "nothing tells when late will use b");
    }

    #[test]
    fn who_used_both_keys_in_one_instant_has_not_come_over() {
        for (minute, expected) in
            [(95, "1 left at the pace"), (96, "those that are left are waited for")]
        {
            let mut ledger = moved_at([20, 30, 40]);
            used(&mut ledger, 2, "late", minute);
            used(&mut ledger, 2, "late", 97);
            says(&ledger, at(100), expected);
        }
    }

    #[test]
    fn moves_from_the_start_up_to_now_set_the_pace() {
        let too_few = "moves since the start of the migration: 2";
        for (minutes, expected) in [
            ([10, 30, 40], "1 left at the pace"),
            ([9, 30, 40], too_few),
            ([20, 30, 100], "1 left at the pace"),
            ([20, 30, 101], too_few),
        ] {
            says(&moved_at(minutes), at(100), expected);
        }
    }

    #[test]
    fn as_many_moves_as_tell_a_pace_tell_none_if_all_are_of_this_instant() {
        says(&moved_at([100; 3]), at(100), "all moves so far happened this instant");
    }
}

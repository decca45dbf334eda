//! Cadences: what bursts keep, what joining them costs, and which gaps count.

use super::*;
use proptest::prelude::*;

fn bursts(seconds: &[i64]) -> Bursts {
    let mut bursts = Bursts::default();
    for &second in seconds {
        bursts.insert_second(second);
    }
    bursts
}

#[test]
fn neighbouring_seconds_are_one_burst_whatever_their_order() {
    assert_eq!(bursts(&[5, 7, 6]), bursts(&[5, 6, 7]));
    assert_eq!(bursts(&[5, 7, 6]).runs, [(5, 7)]);
}

#[test]
fn the_largest_gap_and_both_ends_survive_the_joining_of_bursts() {
    let mut uses = bursts(&[0, 10_000]);
    for n in 0..1_024 {
        uses.insert_second(10_000 + 60 * n);
    }
    assert_eq!(uses.runs, [(0, 0), (10_000, 10_000 + 60 * 1_023)]);
    assert_eq!(uses.largest_gap(), Duration::from_secs(10_000));
    assert_eq!(uses.first(), Some(Timestamp::from_seconds(0)));
}

#[test]
fn the_largest_gap_survives_where_every_gap_was_hidden_in_a_burst() {
    // Joined into one at a reach of 64 s, and one more that is taken into it.
    let mut uses = bursts(&(0..600).map(|n| 60 * n).collect::<Vec<_>>());
    assert_eq!((uses.runs.len(), uses.largest_gap()), (1, Duration::from_mins(1)));
    uses.insert_second(60 * 599 + 63);
    assert_eq!((uses.runs.len(), uses.largest_gap()), (1, Duration::from_secs(63)));
}

#[test]
fn bursts_take_no_room_beyond_their_limit() {
    let uses = bursts(&(0..3_000).map(|n| n * n).collect::<Vec<_>>());
    assert!(uses.runs.capacity() <= MAX_BURSTS + 1);
}

#[test]
fn stored_values_that_no_bursts_have_are_refused() {
    let many = |count: i64| (0..count).map(|n| (10 * n, 10 * n)).collect::<Vec<_>>();
    let limit = i64::try_from(MAX_BURSTS).unwrap();
    let rows = [
        ("no use at all", 1, 0, vec![], true),
        ("bursts further apart than the reach", 2, 0, vec![(0, 1), (4, 5)], true),
        ("bursts within the reach", 2, 0, vec![(0, 1), (3, 5)], false),
        ("a burst of one second", 1, 0, vec![(5, 5)], true),
        ("a burst that ends before it begins", 1, 0, vec![(5, 4)], false),
        ("a reach of nothing", 0, 0, vec![], false),
        ("a reach below nothing", -2, 0, vec![], false),
        ("a reach that no doubling makes", 3, 0, vec![], false),
        ("neighbours as a hidden gap", 2, 1, vec![], false),
        ("a hidden gap below nothing", 2, -1, vec![], false),
        ("a hidden gap as long as the reach", 2, 2, vec![], true),
        ("a hidden gap that is longer", 2, 3, vec![], false),
        ("as many as there may be", 1, 0, many(limit), true),
        ("one more", 1, 0, many(limit + 1), false),
    ];
    for (what, reach, hidden_gap, runs, sound) in rows {
        assert_eq!(Bursts::restore(reach, hidden_gap, runs).is_some(), sound, "{what}");
    }
}

#[test]
fn inside_a_joined_burst_the_next_use_is_never_said_too_early() {
    let uses = bursts(&(0..600).map(|n| 60 * n).collect::<Vec<_>>());
    let after = |second| uses.first_after(Timestamp::from_seconds(second));
    // The next use of all is at 120; the reach is 64 s.
    assert_eq!(after(60), Some(Timestamp::from_seconds(124)));
    assert_eq!(after(60 * 599 - 1), Some(Timestamp::from_seconds(60 * 599)));
    assert_eq!(after(60 * 599), None);
}

#[test]
fn uses_closer_than_the_session_gap_are_one_session() {
    let uses = bursts(&[0, 60, 120, 5_000]);
    assert_eq!(uses.sessions(Duration::from_mins(15)), 2);
    assert_eq!(uses.sessions(Duration::from_secs(30)), 4);
    assert_eq!(Bursts::default().sessions(Duration::ZERO), 0);
}

#[test]
fn first_use_after_an_instant_inside_a_burst_is_its_next_second() {
    let uses = bursts(&[10, 11, 12, 30]);
    assert_eq!(uses.first_after(Timestamp::from_seconds(10)), Some(Timestamp::from_seconds(11)));
    assert_eq!(uses.first_after(Timestamp::from_seconds(12)), Some(Timestamp::from_seconds(30)));
    assert_eq!(uses.first_after(Timestamp::from_seconds(30)), None);
}

#[test]
fn too_few_gaps_give_no_bound() {
    let policy = Policy { cadence_min_samples: 2, cadence_factor: 1.5, ..Policy::default() };
    let bound = |gaps| Cadence { gaps, largest: Duration::from_secs(40) }.bound(&policy);
    assert_eq!((bound(1), bound(2)), (None, Some(Duration::from_secs(60))));
    // A policy that never passed the configuration.
    let careless = Policy { cadence_min_samples: 0, ..policy };
    assert_eq!(Cadence::default().bound(&careless), None);
}

#[test]
fn a_gap_in_which_evidence_was_lost_is_not_counted() {
    let t = Timestamp::from_seconds;
    let uses = bursts(&[0, 2_000, 4_000, 9_000]);
    let gaps = |lost: &[(i64, i64)]| {
        let lost: Vec<Span> =
            lost.iter().map(|(from, to)| Span { from: t(*from), to: t(*to) }).collect();
        uses.cadence(Duration::from_mins(15), &lost)
    };
    let said = |gaps| Cadence { gaps, largest: Duration::from_secs(5_000) };
    assert_eq!(gaps(&[]), said(3));
    assert_eq!(gaps(&[(-900, -1), (9_001, 10_000)]), said(3));
    assert_eq!(gaps(&[(5_000, 5_000)]), said(2), "and its length counts all the same");
    assert_eq!(gaps(&[(100, 200), (2_500, 2_600)]), said(1));
    assert_eq!(gaps(&[(1_000, 5_000)]), Cadence::default());
    assert_eq!(gaps(&[(2_000, 2_000)]), said(1), "lost at a use: before and after it");
}

#[test]
fn sessions_closer_than_the_reach_of_joined_bursts_are_not_counted() {
    // Every 20 min: joined at a reach of 2048 s.
    let uses = bursts(&(0..600).map(|n| 1_200 * n).collect::<Vec<_>>());
    assert_eq!(uses.cadence(Duration::from_mins(15), &[]), Cadence::default());
    // Every 20 min as long as there is room.
    let uses = bursts(&(0..512).map(|n| 1_200 * n).collect::<Vec<_>>());
    let said = Cadence { gaps: 511, largest: Duration::from_mins(20) };
    assert_eq!(uses.cadence(Duration::from_mins(15), &[]), said);
}

proptest! {
    #[test]
    fn a_cadence_errs_to_the_strict_side_whatever_was_joined(
        gaps in prop::collection::vec(prop_oneof![1_i64..4, 1_i64..2_000, 800_i64..90_000], 1..3 * MAX_BURSTS),
        session_gap in 1_u64..3_000,
        turn in any::<prop::sample::Index>(),
    ) {
        let mut seconds: Vec<i64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let first = turn.index(seconds.len());
        seconds.rotate_left(first);
        let said = bursts(&seconds).cadence(Duration::from_secs(session_gap), &[]);
        seconds.sort_unstable();
        let between = seconds.windows(2).map(|w| u64::try_from(w[1] - w[0]).unwrap());
        let sessions = between.clone().filter(|gap| *gap > session_gap).count() as u64;
        prop_assert!(said.gaps <= sessions);
        if said.gaps > 0 {
            prop_assert!(said.largest.as_secs() >= between.max().unwrap());
        }
        if seconds.len() <= MAX_BURSTS {
            prop_assert_eq!(said.gaps, sessions);
        }
    }

    #[test]
    fn bursts_do_not_depend_on_the_order_of_uses(mut seconds in prop::collection::vec(0_i64..400, 1..60)) {
        let shuffled = bursts(&seconds);
        seconds.sort_unstable();
        prop_assert_eq!(&shuffled, &bursts(&seconds));
        seconds.dedup();
        let largest = seconds.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 1).max().unwrap_or(0);
        prop_assert_eq!(shuffled.largest_gap().as_secs(), u64::try_from(largest).unwrap());
    }

    #[test]
    fn joined_bursts_err_to_the_strict_side_by_less_than_their_reach(
        mut seconds in prop::collection::vec(0_i64..100_000, MAX_BURSTS..3 * MAX_BURSTS),
        instant in 0_i64..100_000,
    ) {
        let uses = bursts(&seconds);
        seconds.sort_unstable();
        seconds.dedup();
        prop_assert!(uses.runs.len() <= MAX_BURSTS);
        let largest = seconds.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 1).max().unwrap_or(0);
        let said = i64::try_from(uses.largest_gap().as_secs()).unwrap();
        prop_assert!(said == largest || (largest < said && said <= uses.reach));
        prop_assert_eq!(uses.first(), seconds.first().map(|s| Timestamp::from_seconds(*s)));
        prop_assert_eq!(uses.last(), seconds.last().map(|s| Timestamp::from_seconds(*s)));
        let next = seconds.iter().copied().find(|second| *second > instant);
        let said = uses.first_after(Timestamp::from_seconds(instant)).map(Timestamp::as_seconds);
        prop_assert_eq!(said.is_some(), next.is_some());
        if let (Some(said), Some(next)) = (said, next) {
            prop_assert!(next <= said && said < next.saturating_add(uses.reach));
        }
    }
}

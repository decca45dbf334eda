//! Minutes become hours, hours become days, days are forgotten; nothing else ever changes.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use keydrain::engine::line_counts::LineCounts;
use keydrain::engine::state::{Commit, Retention};
use keydrain::engine::time::{Minute, Span, Step, Timestamp};
use keydrain::engine::usage::{Consumer, LineCount, UsageCell};
use keydrain::store::{Store, UsageWindow};
use proptest::prelude::*;
use rusqlite::Connection;

use crate::crash::{child, child_dir};
use crate::model::{at, cell, delta, generation_of, key, named};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

fn days(n: u64) -> Duration {
    Duration::from_hours(24 * n)
}

/// Two days by minute, ten by hour, thirty by day.
fn retention() -> Retention {
    Retention { minutes: days(2), hours: days(10), days: days(30) }
}

fn roll_up_whole(store: &mut Store, now: Timestamp) {
    for _ in 0..10_000 {
        if !store.roll_up(&retention(), &[], now).unwrap() {
            return;
        }
    }
    panic!("the roll-up never ends");
}

/// A commit of cells and a line each, at bytes of its own.
fn commit(from: u64, cells: Vec<UsageCell>) -> Commit {
    let mut counted = delta(from, from + 1);
    counted.lines =
        cells.iter().map(|cell| LineCount { minute: cell.minute, lines: 2, rejects: 1 }).collect();
    counted.cells = cells;
    Commit {
        generations: vec![generation_of(&counted)],
        deltas: vec![counted],
        ..Commit::default()
    }
}

/// Sums, first and last by source, key, consumer and lateness: what no roll-up may change.
type Totals = BTreeMap<[i64; 4], [i64; 7]>;

/// Reads the totals over the given tables.
fn totals(dir: &Path, tables: &[&str]) -> Totals {
    let connection = Connection::open(dir.join("keydrain.db")).unwrap();
    let mut totals = Totals::new();
    for table in tables {
        let sql = format!(
            "SELECT source, key, consumer, late, accepted, unauthenticated, forbidden, failed,
                first_seen, last_seen, counts_until FROM {table}"
        );
        let mut statement = connection.prepare(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let number = |at: usize| row.get::<_, i64>(at).unwrap();
            let new: [i64; 7] = std::array::from_fn(|n| number(n + 4));
            let sums = totals
                .entry(std::array::from_fn(number))
                .or_insert([0, 0, 0, 0, new[4], new[5], new[6]]);
            for n in 0..4 {
                sums[n] = sums[n].saturating_add(new[n]);
            }
            sums[4] = sums[4].min(new[4]);
            sums[5] = sums[5].max(new[5]);
            sums[6] = sums[6].max(new[6]);
        }
    }
    totals
}

const ALL: [&str; 3] = ["usage_cell", "usage_hour", "usage_day"];

fn rows(dir: &Path, table: &str) -> i64 {
    let connection = Connection::open(dir.join("keydrain.db")).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn a_cell() -> impl Strategy<Value = UsageCell> {
    let consumer = prop_oneof![
        Just(Consumer::Anonymous),
        Just(Consumer::Others),
        (0..3_u8).prop_map(|n| named(&format!("consumer {n}"))),
    ];
    let count = prop_oneof![9 => 0..5_u64, 1 => Just(i64::MAX.cast_unsigned() - 1)];
    // Some share their minute.
    let second = prop_oneof![0..20 * DAY, -DAY..0, 0..10_i64];
    (1..3_u8, consumer, second, any::<bool>(), count).prop_map(|(key, who, second, late, count)| {
        let mut cell = UsageCell { late, ..cell(key, who, second) };
        cell.tally.counts[3] = count;
        cell
    })
}

fn a_history() -> impl Strategy<Value = Vec<Vec<UsageCell>>> {
    prop::collection::vec(prop::collection::vec(a_cell(), 0..20), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_sum_and_no_first_or_last_changes_until_days_expire(
        history in a_history(),
        nows in prop::collection::vec(0..29 * DAY, 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path()).unwrap();
        let (plain_dir, mut lines) = (tempfile::tempdir().unwrap(), LineCounts::default());
        let (mut plain, _) = Store::open(plain_dir.path()).unwrap();
        for (n, cells) in history.iter().enumerate() {
            let commit = commit(n as u64, cells.clone());
            store.commit(&commit).unwrap();
            plain.commit(&commit).unwrap();
            commit.deltas[0].lines.iter().for_each(|count| lines.add(Step::Minute, *count));
            let now = at(nows[n % nows.len()]);
            roll_up_whole(&mut store, now);
            lines.roll_up(now);
            prop_assert_eq!(totals(dir.path(), &ALL), totals(plain_dir.path(), &["usage_cell"]));
            let edge = now.minus(days(2));
            let old = store.cells().unwrap().iter().filter(|(_, it)| {
                it.minute < Step::Hour.begin(edge.minute())
            }).count();
            prop_assert_eq!(old, 0);
            // What the engine would make of its own lines is what it gets back.
            let mut restored = LineCounts::default();
            store.load().unwrap().lines.iter().for_each(|it| restored.add(it.step, it.count));
            prop_assert_eq!(&restored, &lines);
            prop_assert!(!store.roll_up(&retention(), &[], now).unwrap(), "what is done is done");
        }
    }

    #[test]
    fn usage_is_read_from_wherever_it_is_kept_and_counted_once(
        history in a_history(),
        now in 0..29 * DAY,
        from in -2 * DAY..21 * DAY,
        len in 0..9 * DAY,
        step in prop::sample::select(Step::ALL.to_vec()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path()).unwrap();
        for (n, cells) in history.iter().enumerate() {
            store.commit(&commit(n as u64, cells.clone())).unwrap();
        }
        let now = at(now);
        roll_up_whole(&mut store, now);
        let span = Span { from: at(from), to: at(from + len) };
        let mut expected: BTreeMap<(Minute, Step, Consumer), [u64; 4]> = BTreeMap::new();
        for cell in history.iter().flatten().filter(|cell| cell.key == key(1)) {
            let old = |step: Step, kept| cell.minute < step.begin(now.minus(kept).minute());
            let hours = Step::Hour.begin(cell.minute);
            let kept = if !old(Step::Hour, days(2)) {
                Step::Minute
            } else if hours >= Step::Day.begin(now.minus(days(10)).minute()) {
                Step::Hour
            } else {
                Step::Day
            };
            let shown = kept.max(step);
            let begin = shown.begin(cell.minute);
            let end = Minute::from_number(begin.number() + shown.minutes());
            if begin.start() < span.to && span.from < end.start() && len > 0 {
                let sums = expected.entry((begin, shown, cell.consumer.clone())).or_default();
                for (sum, count) in sums.iter_mut().zip(cell.tally.counts) {
                    *sum = sum.saturating_add(count).min(i64::MAX.cast_unsigned());
                }
            }
        }
        let found = store.usage(key(1), span, step).unwrap();
        let found: BTreeMap<_, _> = found.into_iter().map(|it: UsageWindow| {
            let counts = it.counts.map(|count| count.min(i64::MAX.cast_unsigned()));
            ((it.start.minute(), it.step, it.consumer), counts)
        }).collect();
        prop_assert_eq!(found, expected);
    }
}

/// Cells of `n` minutes in a row, of one consumer.
fn minutes(from: i64, n: i64) -> Vec<UsageCell> {
    (from..from + n).map(|minute| cell(1, named("checkout"), minute * MINUTE)).collect()
}

#[test]
fn a_roll_up_comes_in_slices_and_each_is_whole_when_the_process_ends_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&commit(0, minutes(0, 2_500))).unwrap();
    let before = totals(dir.path(), &ALL);
    let now = at(11 * DAY);
    let mut slices = 0;
    loop {
        let more = store.roll_up(&retention(), &[], now).unwrap();
        drop(store);
        assert_eq!(totals(dir.path(), &ALL), before, "after slice {slices}");
        store = Store::open(dir.path()).unwrap().0;
        if !more {
            break;
        }
        slices += 1;
        let left = 2_500 - 1_000 * i64::try_from(slices.min(2)).unwrap();
        assert!(rows(dir.path(), "usage_cell") <= left.max(0), "slice {slices}");
        // A commit between two slices.
        store.commit(&commit(slices, Vec::new())).unwrap();
    }
    assert!(slices >= 3, "{slices}");
    assert_eq!((rows(dir.path(), "usage_cell"), rows(dir.path(), "usage_hour")), (0, 18));
    assert_eq!(rows(dir.path(), "usage_day"), 1);
}

#[test]
fn a_process_killed_between_slices_loses_no_count_and_counts_none_twice() {
    const STEP: i64 = 700;
    if let Some(dir) = child_dir() {
        let (mut store, _) = Store::open(&dir).unwrap();
        let mut offset = store.load().unwrap().generations.first().map_or(0, |it| it.offset);
        loop {
            let from = i64::try_from(offset).unwrap() * STEP;
            store.commit(&commit(offset, minutes(from, STEP))).unwrap();
            offset += 1;
            let now = at((from + STEP) * MINUTE);
            store.roll_up(&Retention { minutes: days(1), ..retention() }, &[], now).unwrap();
            println!("\ncommitted {offset}");
            std::io::stdout().flush().unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "history::a_process_killed_between_slices_loses_no_count_and_counts_none_twice";
    for commits in [4, 7, 11] {
        let mut process = child(name, dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let reported =
            output.lines().filter(|line| line.as_ref().unwrap().starts_with("committed"));
        assert_eq!(reported.take(commits).count(), commits);
        process.kill().unwrap();
        process.wait().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let offset = i64::try_from(store.load().unwrap().generations[0].offset).unwrap();
        let totals = totals(dir.path(), &ALL);
        let (first, last) = (0, at((offset * STEP - 1) * MINUTE).as_nanos());
        let expected = [offset * STEP, 0, 0, 0, first, last, last];
        assert_eq!(totals.into_values().collect::<Vec<_>>(), [expected]);
        assert!(
            rows(dir.path(), "usage_hour") > 0,
            "nothing was rolled up: the test means nothing"
        );
    }
}

#[test]
fn days_are_forgotten_after_their_time_but_not_those_of_a_key_in_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let both = [cell(1, named("checkout"), 0), cell(2, named("checkout"), 0)];
    store.commit(&commit(0, both.to_vec())).unwrap();
    let used = |store: &Store, number| {
        let all = Span { from: Timestamp::MIN, to: Timestamp::MAX };
        store.usage(key(number), all, Step::Day).unwrap().len()
    };
    // The day is over one day after its first instant.
    let expires = 31 * DAY;
    store.roll_up(&retention(), &[], at(expires).minus(Duration::from_nanos(1))).unwrap();
    assert_eq!((used(&store, 1), used(&store, 2)), (1, 1));
    store.roll_up(&retention(), &[key(1)], at(expires)).unwrap();
    assert_eq!((used(&store, 1), used(&store, 2)), (1, 0));
    store.roll_up(&retention(), &[], at(expires)).unwrap();
    assert_eq!(used(&store, 1), 0);
}

#[test]
fn an_hour_is_made_when_all_of_it_is_old_and_a_day_too() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&commit(0, minutes(0, 24 * 60))).unwrap();
    let mut kept_at = |now: Timestamp| {
        roll_up_whole(&mut store, now);
        ALL.map(|table| rows(dir.path(), table))
    };
    let instant = Duration::from_nanos(1);
    let hour = at(2 * DAY + 60 * MINUTE);
    assert_eq!(kept_at(hour.minus(instant)), [24 * 60, 0, 0]);
    assert_eq!(kept_at(hour), [23 * 60, 1, 0]);
    let day = at(11 * DAY);
    assert_eq!(kept_at(day.minus(instant)), [0, 24, 0]);
    assert_eq!(kept_at(day), [0, 0, 1]);
}

#[test]
fn a_late_cell_of_an_hour_that_was_rolled_up_is_added_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    for n in 0..3 {
        store.commit(&commit(n, minutes(0, 60))).unwrap();
        roll_up_whole(&mut store, at(3 * DAY));
        assert_eq!((rows(dir.path(), "usage_cell"), rows(dir.path(), "usage_hour")), (0, 1));
    }
    let all = Span { from: at(0), to: at(DAY) };
    let found = store.usage(key(1), all, Step::Minute).unwrap();
    assert_eq!((found.len(), found[0].step, found[0].counts), (1, Step::Hour, [180, 0, 0, 0]));
}

#[test]
fn the_database_stops_growing_when_old_usage_is_rolled_up() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let pages = || {
        let connection = Connection::open(dir.path().join("keydrain.db")).unwrap();
        connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let mut sizes = Vec::new();
    for day in 0..60_u64 {
        let from = i64::try_from(day).unwrap() * 24 * 60;
        store.commit(&commit(day, minutes(from, 24 * 60))).unwrap();
        roll_up_whole(&mut store, at((from + 24 * 60) * MINUTE));
        sizes.push(pages());
        assert!(rows(dir.path(), "usage_cell") <= 2 * 24 * 60 + 60);
        assert!(rows(dir.path(), "usage_hour") <= 8 * 24 + 24);
        assert!(rows(dir.path(), "usage_day") <= 32);
        let lines = rows(dir.path(), "line_count");
        assert!(lines <= 7 * 24 * 60 + 60 + 24 * i64::try_from(day).unwrap(), "{lines}");
    }
    // From the eleventh day on, only an hour of line counts is added for each hour.
    assert!(sizes[59] <= sizes[11] + 20, "{sizes:?}");
}

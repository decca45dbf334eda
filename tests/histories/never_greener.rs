//! What makes things worse, or changes the rules, never makes an answer greener.

use std::cell::Cell;
use std::time::Duration;

use keydrain::engine::answer::{Code, Verdict};
use keydrain::engine::drain::Declared;
use keydrain::engine::policy::{AnonymousConsumers, Completeness, ThresholdOf};
use keydrain::engine::rotation::RosterEntry;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use crate::check;
use crate::history::{Entry, History, t};
use crate::play::{Habits, Play, looks};
use crate::sketch::{Sketch, any_sketch, without_late_lines, without_losses};
use crate::world::{NEW, NO_KEY, OLD, fingerprint};

type Change = fn(&mut Declared);

/// Changes of which an operator may hope that they make it ready.
const CHANGES: [Change; 22] = [
    |declared| declared.credentials[0].policy.quiet_period = Duration::from_secs(1),
    |declared| declared.credentials[0].policy.monitoring_cycle = Duration::ZERO,
    |declared| declared.credentials[0].policy.clock_skew = Duration::ZERO,
    |declared| declared.credentials[0].policy.max_evidence_lag = Duration::from_hours(10),
    |declared| declared.credentials[0].policy.cadence_factor = 0.5,
    |declared| declared.credentials[0].policy.cadence_min_samples = 1,
    |declared| declared.credentials[0].policy.session_gap = Duration::from_secs(1),
    |declared| declared.credentials[0].policy.max_cache_ttl = Duration::ZERO,
    |declared| {
        declared.credentials[0].policy.threshold = 1_000;
        declared.credentials[0].policy.threshold_of = ThresholdOf::All;
    },
    |declared| declared.credentials[0].policy.anonymous = AnonymousConsumers::Each,
    |declared| declared.credentials[0].jobs.clear(),
    |declared| declared.credentials[0].roster.clear(),
    |declared| {
        let names = ["billing", "checkout", "partner", "reports", "search"];
        let single = |name| RosterEntry { single: true, ..RosterEntry::new(name) };
        declared.credentials[0].roster = names.map(single).to_vec();
    },
    |declared| declared.sources.iter_mut().for_each(|source| source.policy.probes.clear()),
    |declared| declared.sources[0].policy.allowed_lateness = Duration::ZERO,
    |declared| declared.sources[0].policy.idle_after = Duration::from_hours(10),
    |declared| declared.sources[0].policy.silence_is_idle = true,
    |declared| declared.sources[0].layout = String::from("other"),
    |declared| declared.sources[0].tracked.push(fingerprint("another")),
    |declared| declared.credentials[0].sources.truncate(1),
    |declared| declared.sources.truncate(1),
    |declared| {
        let first = declared.sources[0].name.clone();
        for source in declared.sources.iter_mut().skip(1) {
            source.policy.completeness =
                Completeness::PositiveOnly { covered_by: Some(first.clone()) };
        }
    },
];

#[test]
fn invariant_8_no_change_of_the_configuration_makes_a_verdict_greener_when_it_takes_effect() {
    let (blocked, asked) = (Cell::new(0), Cell::new(0));
    check(40, (any_sketch(), 0..CHANGES.len(), any::<Index>()), |(sketch, change, place)| {
        let history = History::of(&sketch);
        let looks: Vec<i64> = looks(&history).collect();
        let mut play = Play::new(&history, Habits::steady());
        let now = *place.get(&looks);
        let before = play.until(now);
        // Also all the others, one after the other: each is compared with what was said at first.
        for change in (change..CHANGES.len()).chain(0..change) {
            play.world.reconfigure(CHANGES[change]);
            play.world.restart(t(now));
            let after = play.world.answer(t(now));
            asked.set(asked.get() + 1);
            blocked.set(blocked.get() + u32::from(before.verdict != Verdict::Ready));
            prop_assert!(
                after.verdict != Verdict::Ready || before.verdict == Verdict::Ready,
                "change {change} at {now}: {:?}",
                before.blockers
            );
        }
        Ok(())
    });
    assert!(blocked.get() * 5 > asked.get(), "{} of {} not ready", blocked.get(), asked.get());
}

/// Plays a history and a darker one, and compares what is ready at every look, but for what stood
/// by nothing else than `excepted`. Returns how often the first was ready and the darker one not.
fn never_greener(
    excepted: &[Code],
    history: &History,
    darker: &History,
) -> Result<u32, TestCaseError> {
    let mut plays = (Play::new(history, Habits::steady()), Play::new(darker, Habits::steady()));
    let mut darkened = 0;
    for now in looks(history) {
        let (before, after) = (plays.0.until(now), plays.1.until(now));
        prop_assert!(
            after.verdict != Verdict::Ready
                || before.blockers.iter().all(|blocker| excepted.contains(&blocker.code)),
            "ready at {now}, and without the change {:?}",
            before.blockers
        );
        let is_darker = before.verdict == Verdict::Ready && after.verdict != Verdict::Ready;
        darkened += u32::from(is_darker);
    }
    Ok(darkened)
}

/// Changes the line at `place` of the first log.
fn with(history: &History, place: usize, change: impl Fn(&mut Entry)) -> History {
    let mut darker = history.clone();
    change(&mut darker.logs[0][place]);
    darker
}

/// Returns a place of a line of the first log that `fits`.
fn a_place(history: &History, index: Index, fits: impl Fn(&Entry) -> bool) -> Option<usize> {
    let log = history.logs[0].iter().enumerate();
    let fitting: Vec<usize> = log.filter(|(_, e)| fits(e)).map(|(n, _)| n).collect();
    (!fitting.is_empty()).then(|| *index.get(&fitting))
}

/// Excludes what is no darkening: a threshold lets somebody off whom one more use makes a consumer
/// that is on the old key, and whoever is let off is not waited for in any other way.
fn without_threshold(sketch: Sketch) -> Sketch {
    Sketch { threshold: 0, ..sketch }
}

#[test]
fn invariant_10_one_more_use_of_the_old_key_is_never_greener() {
    let darkened = Cell::new(0);
    check(25, (without_losses(), any::<Index>(), any::<Index>()), |(sketch, index, who)| {
        let history = History::of(&without_threshold(sketch));
        let chosen = who.get(&history.people).clone();
        let old = history.entries().filter(|e| e.key == OLD && e.consumer == chosen.name);
        let last = old.map(|e| e.event).max().unwrap_or(0);
        // One more use within a gap makes the gap smaller: it comes after the last one. One more gap
        // may be the last that is missing to know a cadence: by then it is known, or never.
        let known = |history: &History| {
            let old = history.entries().filter(|e| e.key == OLD && e.consumer == chosen.name);
            let mut seconds: Vec<i64> = old.map(|e| e.event).collect();
            seconds.sort_unstable();
            let policy = &history.declared.credentials[0].policy;
            let gaps = seconds.windows(2).filter(|w| w[1] - w[0] > crate::history::SESSION_GAP);
            gaps.count() as u64 >= policy.cadence_min_samples
        };
        let later = |e: &Entry| e.key == NO_KEY && e.event > last;
        let Some(place) = a_place(&history, index, later) else { return Ok(()) };
        let darker = with(&history, place, |e| (e.key, e.consumer) = (OLD, chosen.name));
        if known(&history) == known(&darker) {
            darkened.set(darkened.get() + never_greener(&[], &history, &darker)?);
        }
        Ok(())
    });
    assert!(darkened.get() > 10, "{} answers were made darker", darkened.get());
}

#[test]
fn invariant_10_one_more_gap_is_never_greener() {
    let darkened = Cell::new(0);
    // Whether a line is later than allowed is told by the lines before it: with one less, a late
    // one may count from its event.
    check(25, (without_late_lines(), any::<Index>()), |(sketch, index)| {
        let history = History::of(&sketch);
        let Some(place) = a_place(&history, index, |e| e.key == NO_KEY) else { return Ok(()) };
        let darker = with(&history, place, |e| e.lost = true);
        darkened.set(darkened.get() + never_greener(&[], &history, &darker)?);
        Ok(())
    });
    assert!(darkened.get() > 10, "{} answers were made darker", darkened.get());
}

#[test]
fn invariant_10_one_use_less_of_the_new_key_is_never_greener() {
    let darkened = Cell::new(0);
    check(25, (any_sketch(), any::<Index>(), any::<Index>()), |(sketch, who, count)| {
        // A use between two of the old key makes a consumer mixed, which is stricter by the factor. Its
        // last sign of life is the new key's, and until then it may open a connection with the old one:
        // without that sign it may be gone, and its connections closed, since longer.
        let sketch = without_threshold(sketch);
        let history = History::of(&Sketch { cadence_factor: 10, exposure: 0, ..sketch });
        let chosen = who.get(&history.people).name;
        let is_new = |e: &Entry| e.key == NEW && e.consumer == chosen;
        let mut seconds: Vec<i64> =
            history.entries().filter(|e| is_new(e)).map(|e| e.event).collect();
        seconds.sort_unstable();
        seconds.dedup();
        if seconds.is_empty() {
            return Ok(());
        }
        // One less, and another, up to all of them: what holds for each holds for many.
        let until = seconds[count.index(seconds.len())];
        let mut darker = history.clone();
        let lines = darker.logs.iter_mut().flatten();
        lines.filter(|e| is_new(e) && e.event <= until).for_each(|e| e.key = NO_KEY);
        // Without it a consumer may never have come over, and then it did not come back; and a new
        // key that is denied is judged by 20 requests.
        let excepted = [Code::ConsumerRegressed, Code::NewKeyFailing];
        darkened.set(darkened.get() + never_greener(&excepted, &history, &darker)?);
        Ok(())
    });
    assert!(darkened.get() > 10, "{} answers were made darker", darkened.get());
}

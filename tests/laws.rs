//! Laws of the engine over histories that nobody thought of.
//!
//! A history is what two hosts wrote to their logs; a reader looks every 20 s. Oracles are the
//! history itself, which knows what no reader has seen yet, and the same history played otherwise.

#[path = "truth_table/log.rs"]
mod log;
#[allow(dead_code, reason = "the truth table uses the rest")]
#[path = "truth_table/model.rs"]
mod model;
#[allow(dead_code, reason = "the truth table uses the rest")]
#[path = "truth_table/world.rs"]
mod world;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use keydrain::engine::answer::{Answer, Code, Verdict};
use keydrain::engine::credential::SourceName;
use keydrain::engine::drain::Declared;
use keydrain::engine::policy::Policy;
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use world::{ACCESS_LOG, Line, NEW, NO_KEY, OLD, World, a_source, fingerprint, key_ref, one_host};

/// Seconds between two looks of the reader.
const LOOK: i64 = 20;
const SOURCES: [&str; 2] = ["edge", "inner"];
const CONSUMERS: [&str; 3] = ["checkout", "billing", "-"];

/// Returns the time `seconds` after the history began.
fn t(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_772_442_000 + seconds)
}

/// What is written to a log, and when.
#[derive(Clone, Debug)]
struct Entry {
    /// Second at which it is written.
    written: i64,
    /// Milliseconds by which its event was earlier: less than the allowed lateness.
    late_ms: u64,
    source: usize,
    key: &'static str,
    consumer: &'static str,
    status: u16,
    /// Nobody can understand it.
    garbled: bool,
    /// Nobody will ever read it: the file was truncated before, and the reader notices.
    lost: bool,
}

impl Entry {
    fn event_at(&self) -> Timestamp {
        t(self.written).minus(Duration::from_millis(self.late_ms))
    }

    fn line(&self) -> Line {
        Line {
            event_at: self.event_at(),
            key: self.key.to_owned(),
            consumer: self.consumer.to_owned(),
            status: self.status,
            garbled: self.garbled,
        }
    }
}

/// Two logs, each of which begins with both keys; most uses of the old key come early.
fn a_history(minutes: i64, lossy: bool) -> impl Strategy<Value = Vec<Entry>> {
    let end = minutes * 60;
    let early = end / 3;
    let place = (0..2_usize, 0..30_000_u64, prop::sample::select(CONSUMERS.to_vec()));
    let entry = move |seconds, key: &'static str, losses: f64| {
        (
            seconds,
            place.clone(),
            prop::sample::select(vec![200, 200, 200, 403, 500]),
            prop::bool::weighted(losses),
        )
            .prop_map(move |(written, (source, late_ms, consumer), status, lost)| Entry {
                written,
                late_ms,
                source,
                key,
                consumer,
                status,
                garbled: false,
                lost,
            })
    };
    let losses = if lossy { 0.02 } else { 0.0 };
    let old = prop::collection::vec(entry(10..early, OLD, losses), 0..6);
    let stray = prop::collection::vec(entry(early..end, OLD, 3.0 * losses), 0..2);
    let new = prop::collection::vec(entry(10..end, NEW, losses), 4..24);
    // Heartbeats of both hosts, with a pause now and then.
    let beats = prop::collection::vec(
        (0..30_000_u64, prop::bool::weighted(0.97)),
        2 * usize::try_from(minutes).expect("few"),
    );
    (old, stray, new, beats).prop_map(move |(old, stray, new, beats)| {
        let plain = |written, source, key, consumer| Entry {
            written,
            late_ms: 0,
            source,
            key,
            consumer,
            status: 200,
            garbled: false,
            lost: false,
        };
        let mut all: Vec<Entry> = (0..2)
            .flat_map(|source| {
                [plain(0, source, OLD, "checkout"), plain(1, source, NEW, "checkout")]
            })
            .collect();
        for (n, (late_ms, beats)) in beats.into_iter().enumerate() {
            if beats {
                let written = 60 * i64::try_from(n / 2).expect("few") + 7;
                all.push(Entry { late_ms, ..plain(written, n % 2, NO_KEY, "-") });
            }
        }
        all.extend(old.into_iter().chain(stray).chain(new));
        // Everybody ends on the new key, so that a verdict of ready is no rare thing.
        for consumer in CONSUMERS {
            all.push(plain(early + 61, 0, NEW, consumer));
            all.push(plain(end - 119, 1, NEW, consumer));
        }
        all.sort_by_key(|entry| entry.written);
        all
    })
}

/// A history with lines in it that nobody understands, some of which show the old key, and at times
/// a stretch of which not one line is understood.
fn with_rejects(
    minutes: i64,
    histories: impl Strategy<Value = Vec<Entry>>,
) -> impl Strategy<Value = Vec<Entry>> {
    let key = prop::sample::select(vec![NO_KEY, NO_KEY, OLD]);
    let reject = (2..minutes * 60, 0..30_000_u64, 0..2_usize, key).prop_map(
        |(written, late_ms, source, key)| Entry {
            written,
            late_ms,
            source,
            key,
            consumer: "-",
            status: 200,
            garbled: true,
            lost: false,
        },
    );
    let rejects = prop::collection::vec(reject, 0..6);
    let stretch = prop_oneof![
        2 => Just((0, 0, 0)),
        1 => (0..2_usize, minutes * 20..minutes * 40, 60..420_i64),
    ];
    (histories, rejects, stretch).prop_map(|(mut history, rejects, (source, from, length))| {
        history.extend(rejects);
        for entry in history.iter_mut().filter(|entry| entry.source == source) {
            entry.garbled |= (from..from + length).contains(&entry.written);
        }
        history.sort_by_key(|entry| entry.written);
        history
    })
}

/// Seconds between which nothing is read: all of it is a backlog afterwards.
fn a_pause(minutes: i64) -> impl Strategy<Value = (i64, i64)> {
    prop_oneof![
        Just((0, 0)),
        (0..minutes * 60, 30..600_i64).prop_map(|(from, length)| (from, from + length)),
    ]
}

fn quick_policy() -> Policy {
    Policy {
        quiet_period: Duration::from_mins(3),
        monitoring_cycle: Duration::from_mins(1),
        min_history: Duration::ZERO,
        min_overlap: Some(Duration::ZERO),
        // A use of the new key between two of the old makes a consumer stricter than its absence
        // by this factor: the laws about one line less compare at 1.
        cadence_factor: 1.0,
        max_reject_ratio: 0.2,
        ..Policy::default()
    }
}

fn two_hosts() -> Declared {
    let mut declared = one_host(quick_policy());
    declared.sources.push(a_source("inner"));
    declared.credentials[0].sources.push(SourceName::new("inner"));
    declared
}

/// How the reader goes about the same history.
#[derive(Clone, Debug)]
struct Habits {
    /// Decides in turn where chunks are cut, what is read first and where the daemon restarts.
    choices: Vec<u8>,
    at: usize,
}

impl Habits {
    fn steady() -> Self {
        Self { choices: vec![0], at: 0 }
    }

    fn next(&mut self) -> u8 {
        self.at += 1;
        self.choices[self.at % self.choices.len()]
    }
}

fn a_habit() -> impl Strategy<Value = Habits> {
    prop::collection::vec(any::<u8>(), 7..40).prop_map(|choices| Habits { choices, at: 0 })
}

/// A history being read.
struct Play<'h> {
    world: World,
    history: &'h [Entry],
    read: usize,
    looked: i64,
    habits: Habits,
    pause: (i64, i64),
}

impl<'h> Play<'h> {
    fn new(history: &'h [Entry], habits: Habits) -> Self {
        let mut world = World::new(two_hosts());
        world.start(key_ref(OLD), key_ref(NEW), t(-1));
        world.look(t(-1));
        Self { world, history, read: 0, looked: 0, habits, pause: (0, 0) }
    }

    /// Reads everything that was written by second `now`.
    fn look(&mut self, now: i64) {
        let from = self.read;
        self.read += self.history[from..].iter().take_while(|e| e.written <= now).count();
        let new = &self.history[from..self.read];
        let first = usize::from(self.habits.next() % 2);
        for source in [first, 1 - first] {
            let mut chunk: Vec<&Entry> = Vec::new();
            for entry in new.iter().filter(|entry| entry.source == source) {
                if entry.lost {
                    self.take(source, &mut chunk, now);
                    self.world.lose((SOURCES[source], ACCESS_LOG), t(now));
                    continue;
                }
                chunk.push(entry);
                let choice = self.habits.next();
                if choice % 3 == 2 {
                    self.take(source, &mut chunk, now);
                }
                if choice % 11 == 10 {
                    self.world.restart(t(now));
                    self.world.look(t(now));
                }
            }
            self.take(source, &mut chunk, now);
        }
    }

    fn take(&mut self, source: usize, chunk: &mut Vec<&Entry>, now: i64) {
        if let Some(last) = chunk.last() {
            let lines: Vec<Line> = chunk.iter().map(|entry| entry.line()).collect();
            let written_at = t(last.written);
            self.world.read((SOURCES[source], ACCESS_LOG), &lines, written_at, t(now));
            chunk.clear();
        }
    }

    /// Reads on to second `now` and answers.
    fn until(&mut self, now: i64) -> Answer {
        while self.looked + LOOK <= now {
            self.looked += LOOK;
            if !(self.pause.0..self.pause.1).contains(&self.looked) {
                self.look(self.looked);
            }
        }
        self.world.answer(t(now))
    }
}

/// What must not depend on the reader's habits; violations may, and the epoch with them.
fn essence(answer: &Answer) -> impl PartialEq + std::fmt::Debug + use<> {
    let Answer { verdict, blockers, old_key, new_key, .. } = answer.clone();
    let Answer { consumers, watermark, observing_since, earliest_ready_at, .. } = answer.clone();
    (
        verdict,
        blockers,
        old_key,
        new_key,
        (consumers, watermark, observing_since, earliest_ready_at),
    )
}

fn run<S: Strategy>(cases: u32, strategy: S, law: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&strategy, law) {
        panic!("{failure}");
    }
}

#[test]
fn invariant_1_no_ready_while_a_use_of_the_window_stands_in_a_log_read_or_not() {
    let (asked, ready) = (Cell::new(0), Cell::new(0));
    let histories = with_rejects(24, a_history(24, true));
    run(80, (histories, a_habit(), a_pause(24)), |(history, habits, pause)| {
        let mut play = Play { pause, ..Play::new(&history, habits) };
        for look in 1..24 * 60 / LOOK {
            let answer = play.until(look * LOOK);
            asked.set(asked.get() + 1);
            if answer.verdict != Verdict::Ready {
                continue;
            }
            ready.set(ready.get() + 1);
            let window = answer.window.span.expect("ready speaks about a window");
            let used = history.iter().find(|entry| {
                let event_at = entry.event_at();
                entry.key == OLD && window.from < event_at && event_at < window.to
            });
            prop_assert!(used.is_none(), "ready at {} although {used:?}", answer.evaluated_at);
        }
        Ok(())
    });
    // A law about ready proves nothing where nothing gets ready.
    assert!(ready.get() * 10 > asked.get(), "{} of {} were ready", ready.get(), asked.get());
}

#[test]
fn invariant_2_chunks_restarts_and_the_order_of_sources_change_nothing() {
    let histories = with_rejects(16, a_history(16, true));
    run(70, (histories, a_habit(), a_pause(16)), |(history, habits, pause)| {
        let mut plain = Play { pause, ..Play::new(&history, Habits::steady()) };
        let mut other = Play { pause, ..Play::new(&history, habits) };
        for look in 1..16 * 60 / LOOK {
            let (plain, other) = (plain.until(look * LOOK), other.until(look * LOOK));
            prop_assert_eq!(essence(&plain), essence(&other));
        }
        Ok(())
    });
}

#[test]
fn invariant_3_advancing_twice_is_once_and_watermarks_never_go_back() {
    run(40, (a_history(16, true), a_habit()), |(history, habits)| {
        let mut play = Play::new(&history, habits);
        let mut watermarks: BTreeMap<String, Timestamp> = BTreeMap::new();
        for look in 1..16 * 60 / LOOK {
            let now = t(look * LOOK);
            let once = play.until(look * LOOK);
            let told = play.world.events.len();
            play.world.settle(now);
            prop_assert_eq!(&play.world.drain.snapshot("test", 0, now).rotations[0].answer, &once);
            prop_assert_eq!(play.world.events.len(), told);
            prop_assert!(play.world.drain.take_commit(now).is_empty());
            for source in play.world.drain.snapshot("test", 0, now).sources {
                let name = source.summary.name.as_str().to_owned();
                if let Some(watermark) = source.summary.watermark {
                    let before = watermarks.insert(name, watermark);
                    prop_assert!(before <= Some(watermark));
                }
            }
        }
        Ok(())
    });
}

type Change = fn(&mut Declared);

/// Changes of which an operator may hope that they make it ready.
const CHANGES: [Change; 11] = [
    |declared| declared.credentials[0].policy.quiet_period = Duration::from_secs(1),
    |declared| declared.credentials[0].policy.clock_skew = Duration::ZERO,
    |declared| declared.credentials[0].policy.max_evidence_lag = Duration::from_hours(10),
    |declared| declared.credentials[0].policy.cadence_factor = 0.5,
    |declared| declared.sources[0].policy.allowed_lateness = Duration::ZERO,
    |declared| declared.sources[1].policy.idle_after = Duration::from_hours(10),
    |declared| declared.sources[0].policy.silence_is_idle = true,
    |declared| declared.sources[0].layout = String::from("other"),
    |declared| declared.sources[1].tracked.push(fingerprint("another")),
    |declared| declared.credentials[0].sources.truncate(1),
    |declared| declared.sources.truncate(1),
];

#[test]
fn invariant_8_no_change_of_the_configuration_makes_a_verdict_greener_when_it_takes_effect() {
    let changed = Cell::new(0);
    run(150, (a_history(16, true), 0..CHANGES.len(), 12..48_i64), |(history, change, look)| {
        let now = look * LOOK;
        let mut play = Play::new(&history, Habits::steady());
        let before = play.until(now);
        play.world.reconfigure(CHANGES[change]);
        play.world.restart(t(now));
        let after = play.world.answer(t(now));
        let was_ready = before.verdict == Verdict::Ready;
        changed.set(changed.get() + i32::from(!was_ready));
        prop_assert!(after.verdict != Verdict::Ready || was_ready, "{:?}", before.blockers);
        Ok(())
    });
    assert!(changed.get() > 50, "{} verdicts were not ready before", changed.get());
}

#[test]
fn invariant_9_the_sequence_never_falls_and_grows_with_every_change_of_epoch() {
    run(40, (a_history(16, true), a_habit()), |(history, habits)| {
        let mut play = Play::new(&history, habits);
        let mut last = None;
        for look in 1..16 * 60 / LOOK {
            let answer = play.until(look * LOOK);
            let sequence = play.world.drain.snapshot("test", 0, t(look * LOOK)).sequence;
            if let Some((before, epoch)) = last {
                prop_assert!(sequence >= before);
                prop_assert!(sequence > before || answer.epoch == epoch);
            }
            last = Some((sequence, answer.epoch));
        }
        Ok(())
    });
}

/// Plays a history and a darker one and compares what is ready at every look.
fn never_greener(history: &[Entry], darker: &[Entry]) -> Result<(), TestCaseError> {
    never_greener_but_for(&[], history, darker)
}

/// As [`never_greener`], but for what stood by nothing else than `excepted`.
fn never_greener_but_for(
    excepted: &[Code],
    history: &[Entry],
    darker: &[Entry],
) -> Result<(), TestCaseError> {
    let mut plays = (Play::new(history, Habits::steady()), Play::new(darker, Habits::steady()));
    for look in 1..16 * 60 / LOOK {
        let (before, after) = (plays.0.until(look * LOOK), plays.1.until(look * LOOK));
        prop_assert!(
            after.verdict != Verdict::Ready
                || before.blockers.iter().all(|blocker| excepted.contains(&blocker.code)),
            "ready at {}, and without the change {:?}",
            after.evaluated_at,
            before.blockers
        );
    }
    Ok(())
}

#[test]
fn invariant_10_one_more_use_of_the_old_key_is_never_greener() {
    // Both logs begin with the old key. One more use within a gap would make the gap smaller and
    // the consumer's cadence with it: it comes after the consumer's last one.
    run(50, (a_history(16, false), any::<prop::sample::Index>()), |(history, index)| {
        let last = |consumer| {
            history.iter().rposition(|e| e.key == OLD && e.consumer == consumer).unwrap_or(0)
        };
        let beats: Vec<usize> = (0..history.len()).filter(|n| history[*n].key == NO_KEY).collect();
        let chosen = *index.get(&beats);
        for consumer in CONSUMERS.into_iter().filter(|consumer| last(*consumer) < chosen) {
            let mut darker = history.clone();
            darker[chosen] = Entry { key: OLD, consumer, ..darker[chosen].clone() };
            let later = |e: &Entry| e.key == OLD && e.consumer == consumer;
            let newest = history.iter().filter(|e| later(e)).map(Entry::event_at).max();
            if newest < Some(darker[chosen].event_at()) {
                never_greener(&history, &darker)?;
            }
        }
        Ok(())
    });
}

#[test]
fn invariant_10_one_use_less_of_the_new_key_is_never_greener() {
    run(60, (a_history(16, true), any::<prop::sample::Index>()), |(history, index)| {
        let uses: Vec<usize> = (4..history.len()).filter(|n| history[*n].key == NEW).collect();
        let mut darker = history.clone();
        darker[*index.get(&uses)].key = NO_KEY;
        // A denied new key is judged by 20 requests: with one less there may be too few.
        never_greener_but_for(&[Code::NewKeyFailing], &history, &darker)
    });
}

#[test]
fn invariant_10_one_more_gap_is_never_greener() {
    run(60, (a_history(16, true), any::<prop::sample::Index>()), |(history, index)| {
        let mut darker = history.clone();
        let beats: Vec<usize> = (0..history.len()).filter(|n| history[*n].key == NO_KEY).collect();
        darker[*index.get(&beats)].lost = true;
        never_greener(&history, &darker)
    });
}

#[test]
fn the_epoch_moves_with_facts_about_the_old_key_and_not_with_time_or_the_new_one() {
    let (same, moved) = (Cell::new(0), Cell::new(0));
    run(60, a_history(16, false), |history| {
        let mut play = Play::new(&history, Habits::steady());
        let facts = |play: &Play<'_>, answer: &Answer| {
            let standing: Vec<_> =
                answer.blockers.iter().map(|b| (b.code, b.subject.clone())).collect();
            (answer.verdict, standing, play.world.model.state().violations.len())
        };
        let mut last = None;
        for look in 1..16 * 60 / LOOK {
            let from = play.read;
            let answer = play.until(look * LOOK);
            let used = history[from..play.read].iter().any(|entry| entry.key == OLD);
            let facts = facts(&play, &answer);
            if let Some((before, epoch)) = last {
                let expected = !used && before == facts;
                prop_assert_eq!(expected, epoch == answer.epoch, "at {}", answer.evaluated_at);
                let counter = if expected { &same } else { &moved };
                counter.set(counter.get() + 1);
            }
            last = Some((facts, answer.epoch));
        }
        Ok(())
    });
    assert!(same.get() > 100 && moved.get() > 100, "{} {}", same.get(), moved.get());
}

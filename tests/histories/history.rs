//! A history: what was written to the logs and when, what befell them, what was told and declared.
//!
//! Events have whole seconds, to which the engine knows gaps: what it says of them is exact.

use std::time::Duration;

use keydrain::engine::credential::SourceName;
use keydrain::engine::drain::Declared;
use keydrain::engine::policy::{Completeness, Policy, ThresholdOf};
use keydrain::engine::probe::Probe;
use keydrain::engine::rotation::JournalEvent;
use keydrain::engine::time::Timestamp;

use crate::people::{Person, people};
use crate::sketch::{Hosts, Kind, Noise, Sketch, What};
use crate::world::{Line, NEW, NO_KEY, OLD, a_source, fingerprint, one_host};

/// Seconds that a history lasts.
pub const END: i64 = 6_000;
/// Seconds that a line may be late.
pub const LATENESS: i64 = 30;
/// Most seconds between two lines of a log, but for a loss.
pub const BEAT: i64 = 60;
/// Longest time between two uses of a session.
pub const SESSION_GAP: i64 = 120;
/// Name of the probe's key.
pub const PROBE: &str = "probe-1";

pub const SOURCES: [&str; 2] = ["edge", "inner"];

/// Returns the time `seconds` after the history began: 09:00:00 on a day in March.
pub fn t(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_772_442_000 + seconds)
}

/// A line of a log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Second of its event.
    pub event: i64,
    /// Second at which it is written.
    pub written: i64,
    pub source: usize,
    pub key: &'static str,
    pub consumer: &'static str,
    pub status: u16,
    /// Nobody can understand it.
    pub garbled: bool,
    /// Nobody will ever read it: the file was truncated before, and the reader notices.
    pub lost: bool,
    /// It comes later than the lateness allows.
    pub too_late: bool,
}

impl Entry {
    pub fn line(&self) -> Line {
        Line {
            event_at: t(self.event),
            key: self.key.to_owned(),
            consumer: self.consumer.to_owned(),
            status: self.status,
            garbled: self.garbled,
        }
    }
}

/// What the daemon is told, or what happens to it, at a look.
#[derive(Clone, Debug)]
pub enum Step {
    Tell(JournalEvent),
    Reload(u8),
    SetClock,
}

/// What happens in a rotation.
#[derive(Clone, Debug)]
pub struct History {
    pub declared: Declared,
    /// By source, in the order in which they are written.
    pub logs: Vec<Vec<Entry>>,
    pub steps: Vec<(i64, Step)>,
    /// Source, and the seconds from and to which it cannot be read.
    pub outages: Vec<(usize, i64, i64)>,
    pub people: Vec<Person>,
    pub look: i64,
    /// The first source covers the other one.
    covered: bool,
}

/// Changes what is declared as the configuration that is loaded does.
pub fn reload(which: u8, declared: &mut Declared) {
    let policy = &mut declared.credentials[0].policy;
    match which % 7 {
        0 => policy.quiet_period = Duration::from_secs(60),
        1 => policy.quiet_period = Duration::from_secs(300),
        2 => policy.cadence_factor = 1.0,
        3 => policy.cadence_min_samples = 2,
        4 => "other".clone_into(&mut declared.sources[0].layout),
        5 => policy.max_cache_ttl = Duration::ZERO,
        _ => policy.threshold = 3,
    }
}

impl History {
    /// Makes the history of a sketch.
    pub fn of(sketch: &Sketch) -> Self {
        let people = people(sketch);
        let sources = if sketch.hosts == Hosts::One { 1 } else { 2 };
        let mut history = Self {
            declared: declared(sketch, &people, sources),
            logs: vec![Vec::new(); sources],
            steps: Vec::new(),
            outages: Vec::new(),
            people,
            look: sketch.look,
            covered: sketch.hosts == Hosts::Covered,
        };
        let mut noise = Noise(u64::from(sketch.seed) << 8 | 255);
        for source in 0..sources {
            history.write_beats(source, sketch, &mut noise);
        }
        for person in history.people.clone() {
            history.write_uses(&person, sketch, &mut noise);
            let told = person.told.into_iter().map(|(at, event)| (at, Step::Tell(event)));
            history.steps.extend(told);
        }
        for mishap in &sketch.mishaps {
            let latest = if sketch.ends_well { END / 2 } else { END } - 400;
            let at = 300 + i64::from(mishap.place) * (latest - 300) / 255;
            let source = usize::from(mishap.source) % sources;
            history.befall(mishap.what, (at, latest), source, &mut noise);
        }
        history.logs.iter_mut().for_each(|log| log.sort_by_key(|entry| entry.written));
        history.steps.sort_by_key(|(at, _)| *at);
        history
    }

    /// Returns all lines.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.logs.iter().flatten()
    }

    /// Tells whether the source can be read at `now`.
    pub fn is_readable(&self, source: usize, now: i64) -> bool {
        !self.outages.iter().any(|(of, from, to)| *of == source && (*from..*to).contains(&now))
    }

    /// Returns the policy that holds at `now`.
    pub fn policy_at(&self, now: i64) -> Policy {
        let mut declared = self.declared.clone();
        for (_, step) in self.steps.iter().filter(|(at, _)| *at <= now) {
            if let Step::Reload(which) = step {
                reload(*which, &mut declared);
            }
        }
        declared.credentials.remove(0).policy
    }

    /// Requests without a key, a probe if there is one, and a consumer that moves at once.
    fn write_beats(&mut self, source: usize, sketch: &Sketch, noise: &mut Noise) {
        let shift = i64::try_from(source).expect("few");
        let log = &mut self.logs[source];
        log.push(entry(shift, 0, source, OLD, "beacon"));
        for n in 0..END / 240 {
            log.push(entry(20 + shift + 240 * n, 0, source, NEW, "beacon"));
        }
        for n in 0..=END / BEAT {
            if sketch.ends_well || noise.chance(97) {
                log.push(entry(BEAT * n + 7, 0, source, NO_KEY, "-"));
            }
            if sketch.probe {
                log.push(entry(BEAT * n + 11, 0, source, PROBE, "prober"));
            }
        }
    }

    fn write_uses(&mut self, person: &Person, sketch: &Sketch, noise: &mut Noise) {
        for used in &person.uses {
            let late = if noise.chance(20) { noise.within(0, LATENESS) } else { 0 };
            let key = if used.old { OLD } else { NEW };
            let mut shown = |source: usize| {
                let written = entry(used.at, late, source, key, person.name);
                self.logs[source].push(Entry { status: used.status, ..written });
            };
            match sketch.hosts {
                Hosts::One => shown(0),
                Hosts::Two => shown(usize::from(noise.chance(50))),
                Hosts::Covered => {
                    shown(0);
                    if noise.chance(70) {
                        shown(1);
                    }
                }
            }
        }
    }

    fn lose(&mut self, source: usize, from: i64, length: i64) {
        let lost = self.logs[source].iter_mut();
        lost.filter(|e| (from..from + length).contains(&e.written)).for_each(|e| e.lost = true);
    }

    fn befall(&mut self, what: What, (at, latest): (i64, i64), source: usize, noise: &mut Noise) {
        // Of a consumer that is never away for longer than the quiet period: what nobody can date
        // says nothing of its cadence.
        let busy = [Kind::Steady, Kind::Shared, Kind::Pool];
        let busy = self.people.iter().find(|person| busy.contains(&person.kind));
        let busy = busy.map(|person| person.name);
        match (what, busy) {
            (What::Gap(seconds), _) => self.lose(source, at, i64::from(seconds)),
            (What::GapAtUse(seconds), _) => {
                let somebody = &self.people[noise.index(self.people.len())];
                let old = somebody.uses.iter().rev().filter(|used| used.old && used.at < latest);
                if let Some(used) = old.take(3).nth(noise.index(3)) {
                    let (from, length) = (used.at - 10, i64::from(seconds));
                    (0..self.logs.len()).for_each(|source| self.lose(source, from, length));
                }
            }
            (What::Garbled, Some(name)) => {
                // What a source shows that another one covers, that one shows, too.
                let covering = self.covered.then_some(0).filter(|covering| *covering != source);
                for source in covering.into_iter().chain([source]) {
                    let garbled = entry(at, 0, source, OLD, name);
                    self.logs[source].push(Entry { garbled: true, ..garbled });
                }
            }
            (What::Late(by), Some(name)) => {
                let late = entry(at, LATENESS + BEAT + i64::from(by), source, OLD, name);
                self.logs[source].push(Entry { too_late: true, ..late });
            }
            (What::Garbled | What::Late(_), None) => {}
            (What::Outage(minutes), _) => {
                self.outages.push((source, at, at + 60 * i64::from(minutes)));
            }
            (What::Reload(which), _) => self.steps.push((at, Step::Reload(which))),
            (What::ClockStep, _) => self.steps.push((at, Step::SetClock)),
        }
    }
}

fn entry(event: i64, late: i64, source: usize, key: &'static str, consumer: &'static str) -> Entry {
    Entry {
        event,
        written: event + late,
        source,
        key,
        consumer,
        status: 200,
        garbled: false,
        lost: false,
        too_late: false,
    }
}

fn declared(sketch: &Sketch, people: &[Person], sources: usize) -> Declared {
    let seconds = Duration::from_secs;
    let mut declared = one_host(Policy {
        quiet_period: seconds(sketch.quiet),
        monitoring_cycle: seconds(60),
        min_history: Duration::ZERO,
        min_overlap: Some(Duration::ZERO),
        session_gap: seconds(SESSION_GAP.unsigned_abs()),
        cadence_factor: f64::from(sketch.cadence_factor) / 10.0,
        cadence_min_samples: sketch.min_samples,
        max_cache_ttl: seconds(sketch.exposure),
        max_connection_lifetime: seconds(sketch.exposure / 2),
        threshold: sketch.threshold,
        threshold_of: if sketch.threshold_of_all {
            ThresholdOf::All
        } else {
            ThresholdOf::Anonymous
        },
        max_reject_ratio: 1.0,
        ..Policy::default()
    });
    let credential = &mut declared.credentials[0];
    credential.roster = people.iter().filter_map(|person| person.roster.clone()).collect();
    credential.jobs = people.iter().filter_map(|person| person.job.clone()).collect();
    if sources == 2 {
        credential.sources.push(SourceName::new(SOURCES[1]));
        declared.sources.push(a_source(SOURCES[1]));
    }
    if sketch.hosts == Hosts::Covered {
        declared.sources[1].policy.completeness =
            Completeness::PositiveOnly { covered_by: Some(SourceName::new(SOURCES[0])) };
    }
    for source in &mut declared.sources {
        if sketch.probe {
            source.tracked.push(fingerprint(PROBE));
            source.policy.probes.push(Probe {
                name: PROBE.into(),
                key: fingerprint(PROBE),
                every: seconds(60),
                within: seconds(30),
            });
        }
    }
    declared
}

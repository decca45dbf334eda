//! Who takes part: when each consumer uses which key, and what is declared and told of it.
//!
//! Times are seconds since the history began.

use std::time::Duration;

use keydrain::engine::rotation::{Job, JournalEvent, RosterEntry};

use crate::history::{END, t};
use crate::sketch::{Kind, Noise, Sketch};

/// One use of a key.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub at: i64,
    pub old: bool,
    pub status: u16,
}

/// A consumer.
#[derive(Clone, Debug)]
pub struct Person {
    pub name: &'static str,
    pub kind: Kind,
    pub roster: Option<RosterEntry>,
    pub job: Option<Job>,
    pub uses: Vec<Use>,
    /// What the journal hears of it.
    pub told: Vec<(i64, JournalEvent)>,
}

const NAMES: [&str; 5] = ["billing", "checkout", "partner", "reports", "search"];
const MINUTE: i64 = 60;

/// When a process uses the key.
#[derive(Clone, Copy)]
enum Rhythm {
    /// So many seconds apart, give or take so many per cent.
    Every(i64, i64),
    /// So many uses 10 s apart, and so many seconds from one first use to the next.
    Sessions(i64, i64),
    /// A run at each multiple of so many seconds.
    Runs(i64),
}

impl Rhythm {
    /// Returns the uses from `from` to `to`.
    fn uses(self, from: i64, to: i64, noise: &mut Noise) -> Vec<i64> {
        let mut times = Vec::new();
        let mut next = from;
        while next < to {
            match self {
                Self::Every(period, percent) => {
                    times.push(next);
                    let most = period * percent / 100;
                    next += (period + noise.within(-most, most + 1)).max(1);
                }
                Self::Sessions(count, period) => {
                    times.extend((0..count).map(|n| next + 10 * n));
                    next += period + noise.within(-period / 10, period / 10 + 1);
                }
                Self::Runs(period) => {
                    let run = next.div_euclid(period) * period;
                    times.extend((0..4).map(|n| run + 5 + 10 * n));
                    next = run + period;
                }
            }
        }
        times.retain(|at| (0..to).contains(at));
        times
    }

    /// Returns the same rhythm, but not faster than is needed to be seen.
    fn at_leisure(self) -> Self {
        match self {
            Self::Every(period, percent) => Self::Every(period.max(2 * MINUTE), percent),
            slow => slow,
        }
    }
}

/// Makes the consumers of a sketch.
pub fn people(sketch: &Sketch) -> Vec<Person> {
    let drawn = sketch.kinds.iter().zip(NAMES).zip(1_u64..);
    drawn
        .map(|((kind, name), n)| {
            // Each has a noise of its own: to leave one out changes nothing of the others.
            person(*kind, name, Noise(u64::from(sketch.seed) << 8 | n), sketch)
        })
        .collect()
}

fn person(kind: Kind, name: &'static str, mut noise: Noise, sketch: &Sketch) -> Person {
    let noise = &mut noise;
    let name = if kind == Kind::Pool { "-" } else { name };
    let mut person =
        Person { name, kind, roster: None, job: None, uses: Vec::new(), told: Vec::new() };
    let moves = noise.within(END * 15 / 100, END * 45 / 100);
    let rhythm = match kind {
        Kind::Steady | Kind::HealthCheck | Kind::Cached => Rhythm::Every(noise.within(20, 50), 30),
        Kind::Shared | Kind::Pool => Rhythm::Every(noise.within(30, 90), 30),
        Kind::Periodic | Kind::Waived | Kind::Retired | Kind::Returns | Kind::DiesEarly => {
            Rhythm::Every(noise.within(4 * MINUTE, 10 * MINUTE), 15)
        }
        Kind::Dies => Rhythm::Every(noise.within(4 * MINUTE, 6 * MINUTE), 15),
        Kind::SlowShared => Rhythm::Every(noise.within(5 * MINUTE, 9 * MINUTE), 10),
        Kind::Bursty | Kind::Single => {
            Rhythm::Sessions(noise.within(2, 6), noise.within(5 * MINUTE, 11 * MINUTE))
        }
        Kind::Job => Rhythm::Runs(if noise.chance(50) { 15 * MINUTE } else { 20 * MINUTE }),
        Kind::DailyJob | Kind::Stranger => Rhythm::Every(30, 10),
    };
    let begins = noise.within(0, MINUTE);
    match kind {
        Kind::Shared | Kind::SlowShared | Kind::Pool => pods(&mut person, rhythm, noise),
        Kind::Dies => {
            // Enough of them to know six gaps, of which one may be lost.
            let ends = begins + 5 * MINUTE * noise.within(8, 10);
            add(&mut person, true, rhythm.uses(begins, ends, noise), noise);
        }
        Kind::DiesEarly | Kind::Retired => {
            add(&mut person, true, rhythm.uses(begins, moves.min(20 * MINUTE), noise), noise);
        }
        Kind::Waived => add(&mut person, true, rhythm.uses(begins, END, noise), noise),
        Kind::Stranger => {
            let comes = noise.within(END / 2, END);
            add(&mut person, true, rhythm.uses(comes, comes + 2 * MINUTE, noise), noise);
        }
        Kind::DailyJob => daily(&mut person, noise, sketch),
        Kind::HealthCheck => {
            add(&mut person, true, rhythm.uses(begins, moves, noise), noise);
            add(&mut person, false, rhythm.uses(begins + 5, END, noise), noise);
        }
        _ => {
            process(&mut person, rhythm, begins, moves, noise);
            if kind == Kind::Cached && sketch.exposure > 0 {
                let came_over = person.uses.iter().find(|used| !used.old && used.status == 200);
                let exposure = i64::try_from(sketch.exposure * 3 / 2).expect("minutes");
                let held = came_over.map(|used| used.at + exposure - noise.within(1, 20));
                add(&mut person, true, held.into_iter().collect(), noise);
            }
            if kind == Kind::Returns {
                let back = noise.within(moves + 5 * MINUTE, END);
                add(&mut person, true, rhythm.uses(back, back + 2 * MINUTE, noise), noise);
            }
        }
    }
    declare(&mut person, rhythm, moves, noise, sketch);
    person.uses.sort_by_key(|used| used.at);
    person
}

/// On the old key until it moves, then on the new one.
fn process(person: &mut Person, rhythm: Rhythm, begins: i64, moves: i64, noise: &mut Noise) {
    let old = rhythm.uses(begins, moves, noise);
    // It goes on as it was: its first use of the new key comes in its turn.
    let turn = match (rhythm, old.last()) {
        (Rhythm::Runs(_), _) | (_, None) => moves,
        (Rhythm::Every(period, _), Some(last)) => last + period,
        (Rhythm::Sessions(_, period), Some(last)) => last + period * 9 / 10,
    };
    add(person, true, old, noise);
    // A run that began with the old key ends with it.
    let turn = match rhythm {
        Rhythm::Runs(period) => (turn.div_euclid(period) + 1) * period,
        _ => turn.max(moves),
    };
    add(person, false, rhythm.at_leisure().uses(turn, END, noise), noise);
}

/// Some processes behind one name; a third of them go back once for a while.
fn pods(person: &mut Person, rhythm: Rhythm, noise: &mut Noise) {
    let pods = if person.kind == Kind::SlowShared { 2 } else { noise.within(2, 7) };
    for _ in 0..pods {
        let moves = noise.within(END * 15 / 100, END * 35 / 100);
        process(person, rhythm, noise.within(0, 2 * MINUTE), moves, noise);
        if noise.chance(35) {
            let back = moves + noise.within(20, 5 * MINUTE);
            let again = back + noise.within(20, 3 * MINUTE);
            add(person, true, rhythm.uses(back, again, noise), noise);
        }
    }
}

/// One run at its minute of the day, with the new key unless the history need not end well.
fn daily(person: &mut Person, noise: &mut Noise, sketch: &Sketch) {
    let minute = noise.within(5, END / 2 / MINUTE - 5);
    let old = !sketch.ends_well && noise.chance(30);
    let run = minute * MINUTE;
    add(person, old, (0..4).map(|n| run + 5 + 10 * n).collect(), noise);
    person.job = Some(Job {
        consumer: person.name.into(),
        schedule: format!("{} {} * * *", minute % 60, 9 + minute / 60).into(),
        zone: None,
        max_runtime: Duration::from_mins(3),
    });
}

fn add(person: &mut Person, old: bool, times: Vec<i64>, noise: &mut Noise) {
    person.uses.extend(times.into_iter().map(|at| {
        let status = match noise.within(0, 40) {
            0 if old => 403,
            1 => 500,
            _ => 200,
        };
        Use { at, old, status }
    }));
}

fn declare(person: &mut Person, rhythm: Rhythm, moves: i64, noise: &mut Noise, sketch: &Sketch) {
    let name = person.name;
    let listed = match person.kind {
        Kind::Single | Kind::HealthCheck => true,
        Kind::Stranger | Kind::Pool | Kind::DailyJob => false,
        _ => noise.chance(50),
    };
    if listed {
        person.roster = Some(RosterEntry {
            single: person.kind == Kind::Single,
            synthetic: person.kind == Kind::HealthCheck,
            max_cache_ttl: Duration::from_secs(if noise.chance(30) {
                2 * sketch.exposure
            } else {
                0
            }),
            ..RosterEntry::new(name)
        });
    }
    match (person.kind, rhythm) {
        (Kind::Job, Rhythm::Runs(period)) => {
            person.job = Some(Job {
                consumer: name.into(),
                schedule: format!("*/{} * * * *", period / MINUTE).into(),
                zone: None,
                max_runtime: Duration::from_mins(2),
            });
        }
        (Kind::Waived, _) => {
            let until = if sketch.ends_well { 2 * END } else { noise.within(moves, 2 * END) };
            person.told.push((moves, JournalEvent::ConsumerWaived(name.into(), t(until))));
        }
        (Kind::Retired, _) => {
            let told = moves.max(20 * MINUTE) + noise.within(0, 5 * MINUTE);
            person.told.push((told, JournalEvent::ConsumerRetired(name.into())));
        }
        _ => {}
    }
}

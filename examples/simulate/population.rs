//! Who takes part in a rotation: consumers, the processes behind each name, and when they use what.
//!
//! Everything is drawn from a seed. Times are seconds since the history began.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Seconds of history before the rotation starts.
pub const HISTORY: i64 = 36 * HOUR;
/// Seconds from the start of the history to the end of a run.
pub const HORIZON: i64 = HISTORY + 10 * 24 * HOUR;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// What the consumers of a population are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As declared: steady, periodic and bursty ones, pods that share a name, declared daily jobs,
    /// some that end without moving. A gap is never twice as long as one seen before.
    Declared,
    /// Gaps between uses are exponential: no gap seen bounds the next one.
    Memoryless,
    /// As declared, and then what nobody declared: a process that goes back to the old key long
    /// after, a rare user that was never seen, a slow process behind a busy name.
    Surprising,
}

/// One use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// When.
    pub at: i64,
    /// Number of the consumer.
    pub consumer: usize,
    /// Whether it is the old key.
    pub old: bool,
}

/// One consumer of a rotation.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// Its name in the log; `-`: known by its address alone.
    pub name: String,
    /// Whether it is on the roster.
    pub on_roster: bool,
    /// Whether one process is behind the name.
    pub single: bool,
    /// Minute of the day of its declared daily job.
    pub job: Option<i64>,
}

/// Everything that happens in one rotation.
#[derive(Clone, Debug)]
pub struct Run {
    /// Who takes part.
    pub consumers: Vec<Consumer>,
    /// Every use, in order.
    pub uses: Vec<Use>,
    /// Spans of which the log lost every line.
    pub outages: Vec<(i64, i64)>,
}

/// When a process uses the key.
#[derive(Clone, Copy, Debug)]
enum Rhythm {
    /// At this interval, with this jitter as a share of it.
    Every(i64, f64),
    /// So many uses 10 s apart, at this interval.
    Burst(i64, i64),
    /// Exponential gaps with this mean.
    Memoryless(f64),
    /// Once a day at this minute, for some minutes.
    Daily(i64),
}

impl Run {
    /// Draws a run.
    pub fn draw(kind: Kind, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut run = Self { consumers: Vec::new(), uses: Vec::new(), outages: Vec::new() };
        for number in 0..random.random_range(2..8_usize) {
            run.add_consumer(kind, number, &mut random);
        }
        if kind == Kind::Surprising {
            run.add_surprise(&mut random);
        }
        if random.random_bool(0.3) {
            let from = HISTORY + random.random_range(0..30 * HOUR);
            run.outages.push((from, from + random.random_range(5 * MINUTE..3 * HOUR)));
        }
        run.uses.sort_unstable();
        run
    }

    /// Returns when the old key was used for the last time.
    pub fn last_old(&self) -> i64 {
        self.uses.iter().rev().find(|used| used.old).map_or(0, |used| used.at)
    }

    /// Tells whether the log shows what happened at `at`.
    pub fn is_logged(&self, at: i64) -> bool {
        !self.outages.iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    fn add_consumer(&mut self, kind: Kind, number: usize, random: &mut SmallRng) {
        let steady = Rhythm::Every(random.random_range(30..120), 0.3);
        let periodic = Rhythm::Every(random.random_range(15 * MINUTE..2 * HOUR), 0.1);
        let burst = Rhythm::Burst(random.random_range(1..7), random.random_range(HOUR..4 * HOUR));
        let (rhythm, members, dies) = match kind {
            Kind::Memoryless => {
                let mean = random.random_range(5.0 * 60.0..4.0 * 3_600.0);
                (Rhythm::Memoryless(mean), 1, random.random_bool(0.15))
            }
            _ => match random.random_range(0..10) {
                0..3 => (steady, 1, false),
                3..5 => (periodic, 1, false),
                5 => (burst, 1, false),
                6..8 => (steady, random.random_range(2..11), false),
                8 => (Rhythm::Daily(random.random_range(0..24 * 60)), 1, false),
                _ => (periodic, 1, true),
            },
        };
        let job = if let Rhythm::Daily(minute) = rhythm { Some(minute) } else { None };
        // The pool has as many processes as a shared name has.
        let pooled = members > 1 && random.random_bool(0.2);
        self.consumers.push(Consumer {
            name: if pooled { "-".to_owned() } else { format!("consumer-{number}") },
            on_roster: !pooled,
            single: members == 1 && !dies,
            job,
        });
        for _ in 0..members {
            self.add_process(self.consumers.len() - 1, rhythm, dies, random);
        }
    }

    /// One process: on the old key until it moves or ends; a third of those that share a name go back
    /// to it once, a few minutes after they moved, for less than an hour.
    fn add_process(&mut self, consumer: usize, rhythm: Rhythm, dies: bool, random: &mut SmallRng) {
        let moves = HISTORY + random.random_range(10 * MINUTE..24 * HOUR);
        let returns = !self.consumers[consumer].single && random.random_bool(0.3);
        let back = moves + random.random_range(MINUTE..10 * MINUTE);
        let again = back + random.random_range(5 * MINUTE..HOUR);
        let mut at = random.random_range(0..HOUR);
        while at < HORIZON {
            let old = at < moves || (returns && (back..again).contains(&at));
            if !old && dies {
                break;
            }
            for used in rhythm.uses(at) {
                self.uses.push(Use { at: used, consumer, old });
            }
            let next = rhythm.next(at, random);
            // On the new key one use in ten minutes tells as much as twenty.
            at = if old { next } else { next.max(at + 10 * MINUTE) };
        }
    }

    /// Something that nobody declared.
    fn add_surprise(&mut self, random: &mut SmallRng) {
        let late = HISTORY + random.random_range(25 * HOUR..9 * 24 * HOUR);
        let busy = self.consumers.len() - 1;
        match random.random_range(0..3) {
            // A process is started again with last month's configuration.
            0 => self.uses.push(Use { at: late, consumer: busy, old: true }),
            // Somebody who never showed before.
            1 => {
                self.consumers.push(Consumer {
                    name: "stranger".to_owned(),
                    on_roster: false,
                    single: false,
                    job: None,
                });
                self.uses.push(Use { at: late, consumer: busy + 1, old: true });
            }
            // A slow process behind a busy name, which moves last.
            _ => {
                let every = random.random_range(HOUR..12 * HOUR);
                let mut at = random.random_range(0..every);
                while at < late {
                    self.uses.push(Use { at, consumer: busy, old: true });
                    at += every;
                }
            }
        }
    }
}

impl Rhythm {
    /// Returns the uses that begin at `at`.
    fn uses(self, at: i64) -> impl Iterator<Item = i64> {
        let count = match self {
            Self::Every(..) | Self::Memoryless(_) => 1,
            Self::Burst(count, _) => count,
            Self::Daily(_) => 12,
        };
        (0..count).map(move |n| at + 10 * n)
    }

    /// Returns when the next uses begin after those at `at`.
    fn next(self, at: i64, random: &mut SmallRng) -> i64 {
        const DAY: i64 = 24 * HOUR;
        let jittered = |interval: i64, jitter: f64, random: &mut SmallRng| {
            let share = 1.0 + random.random_range(-jitter..jitter);
            let interval = f64::from(i32::try_from(interval).unwrap_or(i32::MAX));
            at + seconds(interval * share).max(1)
        };
        match self {
            Self::Every(interval, jitter) => jittered(interval, jitter, random),
            Self::Burst(count, interval) => jittered(interval, 0.2, random) + 10 * count,
            Self::Memoryless(mean) => {
                let uniform: f64 = random.random_range(f64::EPSILON..1.0);
                at + seconds(-uniform.ln() * mean).max(1)
            }
            Self::Daily(minute) => {
                let today = at.div_euclid(DAY) * DAY + minute * MINUTE;
                if today > at { today } else { today + DAY }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "some days at most")]
fn seconds(value: f64) -> i64 {
    value as i64
}

//! What is drawn: few and small values, of which the whole history is made.

use proptest::collection::vec;
use proptest::prelude::*;

/// How a consumer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A use every half minute or so.
    Steady,
    /// A use every few minutes, give or take.
    Periodic,
    /// Sessions of some uses.
    Bursty,
    /// Pods with one name that move one by one; some go back once, as in a rolling restart.
    Shared,
    /// Two of them, with minutes between their uses.
    SlowShared,
    /// As `Shared`, known by their address alone.
    Pool,
    /// Ends without ever moving; its sessions are enough to know its cadence.
    Dies,
    /// Ends without ever moving, after one or two sessions.
    DiesEarly,
    /// A declared job; it moves with one of its runs.
    Job,
    /// A declared daily job of which the history sees one run.
    DailyJob,
    /// Moves, and uses the old key once more as late as a cache or a connection can hold it.
    Cached,
    /// One process, declared as such.
    Single,
    /// A health check with both keys, and with the new one alone in the end.
    HealthCheck,
    /// Excused until a date, and on the old key all the time.
    Waived,
    /// Ends without ever moving, and is declared to.
    Retired,
    /// Nobody declared or saw it before it comes with the old key, late.
    Stranger,
    /// Moves, and goes back to the old key long after.
    Returns,
}

/// Kinds of which the declared facts tell everything.
const DECLARED: [Kind; 15] = [
    Kind::Steady,
    Kind::Periodic,
    Kind::Periodic,
    Kind::Bursty,
    Kind::Bursty,
    Kind::Shared,
    Kind::SlowShared,
    Kind::SlowShared,
    Kind::Pool,
    Kind::Cached,
    Kind::Dies,
    Kind::Job,
    Kind::Single,
    Kind::Waived,
    Kind::Retired,
];
/// Kinds that end well seldom or never.
const OTHERS: [Kind; 5] =
    [Kind::DiesEarly, Kind::DailyJob, Kind::HealthCheck, Kind::Stranger, Kind::Returns];

/// What befalls the logs, the daemon or its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All that was written to a log within so many seconds is lost.
    Gap(u8),
    /// As `Gap`, around one of the last uses of the old key by somebody.
    GapAtUse(u8),
    /// A line with the old key that nobody understands.
    Garbled,
    /// A line with the old key, so many seconds later than the lateness allows.
    Late(u8),
    /// One source cannot be read for so many minutes; what it holds comes after that.
    Outage(u8),
    /// The daemon starts again with another configuration: see `history.rs`.
    Reload(u8),
    /// The wall clock steps.
    ClockStep,
}

/// One of them, with its place in the history.
#[derive(Clone, Copy, Debug)]
pub struct Mishap {
    pub what: What,
    /// Where in its part of the history: 0 is the beginning, 255 the end.
    pub place: u8,
    pub source: u8,
}

/// The logs of the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    One,
    Two,
    /// A host, and a load balancer before it that loses lines and is covered by the host.
    Covered,
}

/// Everything that is drawn of a history.
#[derive(Clone, Debug)]
pub struct Sketch {
    pub seed: u32,
    pub kinds: Vec<Kind>,
    pub hosts: Hosts,
    pub mishaps: Vec<Mishap>,
    pub probe: bool,
    /// Seconds between two looks.
    pub look: i64,
    pub quiet: u64,
    /// In tenths.
    pub cadence_factor: u8,
    pub min_samples: u64,
    /// Seconds of cache and connection, each.
    pub exposure: u64,
    /// 0: nothing is tolerated.
    pub threshold: u64,
    pub threshold_of_all: bool,
    /// Whether nothing happens any more in the second half, and everybody has moved by then.
    pub ends_well: bool,
}

fn a_mishap(kinds: Vec<What>) -> impl Strategy<Value = Mishap> {
    (prop::sample::select(kinds), any::<u8>(), any::<u8>(), 0..2_u8).prop_map(
        |(what, amount, place, source)| {
            let what = match what {
                What::Gap(_) => What::Gap(20 + amount / 4),
                What::GapAtUse(_) => What::GapAtUse(20 + amount / 4),
                What::Late(_) => What::Late(5 + amount / 4),
                What::Outage(_) => What::Outage(2 + amount / 16),
                What::Reload(_) => What::Reload(amount),
                other => other,
            };
            Mishap { what, place, source }
        },
    )
}

fn of(kinds: Vec<Kind>, mishaps: Vec<What>, ends_well: bool) -> impl Strategy<Value = Sketch> {
    let who = (any::<u32>(), vec(prop::sample::select(kinds), 1..5));
    let hosts = prop_oneof![Just(Hosts::One), Just(Hosts::Two), Just(Hosts::Covered)];
    let mishaps = if mishaps.is_empty() {
        Just(Vec::new()).boxed()
    } else {
        vec(a_mishap(mishaps), 0..4).boxed()
    };
    let where_and_when =
        (hosts, mishaps, any::<bool>(), prop::sample::select(vec![20_i64, 40, 60]));
    let exposure = prop_oneof![Just(0_u64), 30..400_u64];
    let threshold = prop_oneof![3 => Just(0_u64), 1 => 1..4_u64];
    let demanded = (120..240_u64, 10..21_u8, 2..6_u64, exposure, (threshold, any::<bool>()));
    (who, where_and_when, demanded).prop_map(move |(who, places, demanded)| {
        let (seed, kinds) = who;
        let (hosts, mishaps, probe, look) = places;
        let (quiet, cadence_factor, min_samples, exposure, (threshold, all)) = demanded;
        Sketch {
            seed,
            kinds,
            hosts,
            mishaps,
            probe,
            look,
            quiet,
            cadence_factor,
            min_samples,
            exposure,
            threshold,
            threshold_of_all: all,
            ends_well,
        }
    })
}

const MISHAPS: [What; 7] = [
    What::Gap(0),
    What::GapAtUse(0),
    What::Garbled,
    What::Late(0),
    What::Outage(0),
    What::Reload(0),
    What::ClockStep,
];

/// Draws any history.
pub fn any_sketch() -> impl Strategy<Value = Sketch> {
    let surprises = [Kind::Stranger, Kind::Returns];
    of([DECLARED.as_slice(), &OTHERS, &surprises].concat(), MISHAPS.to_vec(), false)
}

/// Draws a history of slow pods, some of whose last uses of the old key are lost.
pub fn slow_and_lossy() -> impl Strategy<Value = Sketch> {
    of(vec![Kind::SlowShared], vec![What::GapAtUse(0)], false)
}

/// Draws a history of consumers that hold the old key in caches and connections.
pub fn cached() -> impl Strategy<Value = Sketch> {
    let drawn = of(vec![Kind::Cached, Kind::Cached, Kind::Single], Vec::new(), false);
    (drawn, 200..400_u64).prop_map(|(sketch, exposure)| Sketch { exposure, ..sketch })
}

/// Draws a history of daily jobs, which show once or not at all.
pub fn daily() -> impl Strategy<Value = Sketch> {
    let drawn = of(vec![Kind::DailyJob, Kind::Single], Vec::new(), false);
    drawn.prop_map(|sketch| Sketch { threshold: 0, ..sketch })
}

/// Draws a history in which no line is later than the lateness allows.
pub fn without_late_lines() -> impl Strategy<Value = Sketch> {
    let mishaps = MISHAPS.into_iter().filter(|what| *what != What::Late(0)).collect();
    of([DECLARED.as_slice(), &OTHERS].concat(), mishaps, false)
}

/// Draws a history in which every line is read in time, and only consumers of which everything is
/// declared take part.
pub fn without_losses() -> impl Strategy<Value = Sketch> {
    of(DECLARED.to_vec(), vec![What::Outage(0), What::ClockStep], false)
}

/// Draws a history that ends well: see [`Sketch::ends_well`].
pub fn ends_well() -> impl Strategy<Value = Sketch> {
    of([DECLARED.as_slice(), &[Kind::DailyJob, Kind::HealthCheck]].concat(), MISHAPS.to_vec(), true)
}

/// Numbers that follow from a seed (`SplitMix64`, Steele et al. 2014).
#[derive(Clone, Debug)]
pub struct Noise(pub u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number of `[from, to)`.
    pub fn within(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.next() % to.abs_diff(from).max(1)).expect("a small number")
    }

    /// Returns a number below `count`.
    pub fn index(&mut self, count: usize) -> usize {
        let drawn = self.within(0, i64::try_from(count).expect("few"));
        usize::try_from(drawn).expect("not negative")
    }

    /// Tells yes so many times of a hundred.
    pub fn chance(&mut self, percent: i64) -> bool {
        self.within(0, 100) < percent
    }
}

//! Rows about a wall clock that steps: durations are those of the clock that never does.

use std::time::Duration;

use keydrain::engine::answer::{Answer, Code, Verdict};
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use crate::story::{at, moved_over_by};
use crate::world::{ACCESS_LOG, EDGE, Line, NEW, World};

/// Time that passes between two looks.
const LOOK: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_mins(15);
const LEASE: Duration = Duration::from_secs(60);

/// A host whose wall clock is set now and then.
struct Host {
    world: World,
    wall: Timestamp,
    /// Time that passed since the old key was used last.
    quiet: Duration,
}

impl Host {
    /// Two minutes and a half after the last use of the old key.
    fn new() -> Self {
        let wall = at("10:02:30");
        let quiet = wall.since(at("10:00:00"));
        let mut host = Self { world: moved_over_by("10:02:00").world(wall), wall, quiet };
        // A step is one between two looks.
        host.look(0);
        host
    }

    /// Lets time pass in which the wall clock steps by `seconds`; then a line is read.
    fn look(&mut self, seconds: i64) -> Answer {
        let step = Duration::from_secs(seconds.unsigned_abs());
        self.wall = self.wall.plus(LOOK);
        self.quiet += LOOK;
        if seconds < 0 {
            self.world.stepped_back += step;
            self.wall = self.wall.minus(step);
        } else {
            self.world.stepped += step;
            self.wall = self.wall.plus(step);
        }
        let (key, consumer) = (NEW.to_owned(), "checkout".to_owned());
        let line = Line { event_at: self.wall, key, consumer, status: 200, garbled: false };
        self.world.read((EDGE, ACCESS_LOG), &[line], self.wall, self.wall);
        let answer = self.world.answer(self.wall);
        let quiet = self.quiet;
        assert!(answer.verdict != Verdict::Ready || quiet >= QUIET, "ready after {quiet:?}");
        // The lease is counted from the answer, by the clock that it was given by.
        assert_eq!(answer.evaluated_at, self.wall);
        assert!(answer.valid_until <= answer.evaluated_at.plus(LEASE), "{answer:?}");
        answer
    }
}

fn is_suspect(answer: &Answer) -> bool {
    answer.blockers.iter().any(|blocker| blocker.code == Code::ClockSuspect)
}

/// Each of them is too small to be told from a clock that is read late.
#[test]
fn row_35_small_steps_of_the_wall_clock_add_up() {
    for seconds in [1, 4, -1, -4] {
        let mut host = Host::new();
        assert!(!is_suspect(&host.look(seconds)), "{seconds}");
        let suspect = (0..6).map(|_| is_suspect(&host.look(seconds))).collect::<Vec<_>>();
        assert!(suspect[5], "{seconds}: {suspect:?}");
        for _ in 0..120 {
            host.look(seconds);
        }
    }
}

#[test]
fn row_35_a_wall_clock_that_goes_to_and_fro_a_little_is_not_suspect() {
    let mut host = Host::new();
    let ready = (0..100).any(|n| {
        let answer = host.look([4, -4][n % 2]);
        assert!(!is_suspect(&answer), "{answer:?}");
        answer.verdict == Verdict::Ready
    });
    assert!(ready, "in the end");
}

fn any_step() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => Just(0),
        3 => -5..6_i64,
        2 => -90..91_i64,
        1 => prop_oneof![Just(900), Just(-900), Just(1800), Just(-1800)],
    ]
}

proptest! {
    #![proptest_config(Config {
        cases: 40,
        rng_seed: RngSeed::Fixed(35),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn row_35_no_steps_of_the_wall_clock_shorten_a_quiet_period_and_it_ends_without_them(
        steps in proptest::collection::vec(any_step(), 1..120),
    ) {
        let mut host = Host::new();
        for seconds in steps {
            host.look(seconds);
        }
        // A clock that was set back is behind its former self for as long as it was set back.
        prop_assert!((0..2000).any(|_| host.look(0).verdict == Verdict::Ready), "never ready");
    }
}

//! Laws over whole rotations that nobody thought of, with every rule of the decision.
//!
//! ```text
//! sketch (drawn, small) --> history: who uses which key when, what befalls the logs, what is told
//!                             |                         |
//!                          play: a reader and the engine   truth: the history itself, read or not
//!                             '--------- law -------------'
//! ```
//!
//! A history lasts less than two hours, with a quiet period of a few minutes. What is printed when a
//! law fails is the sketch: it makes the same history again. Consumers are drawn in `people.rs`.

#[path = "../truth_table/log.rs"]
mod log;
#[allow(dead_code, reason = "the truth table uses the rest")]
#[path = "../truth_table/model.rs"]
mod model;
#[allow(dead_code, reason = "the truth table uses the rest")]
#[path = "../truth_table/world.rs"]
mod world;

mod sketch;

mod people;

mod history;

mod play;

mod truth;

mod false_ready;
mod liveness;
mod never_greener;
mod same_answer;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Checks a law over so many drawn values, or `PROPTEST_CASES`; the failing value is printed in its
/// smallest form.
#[track_caller]
fn check<S: Strategy>(cases: u32, drawn: S, law: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| config.cases);
    let config = Config { cases: asked.unwrap_or(cases), ..config };
    if let Err(failure) = TestRunner::new(config).run(&drawn, law) {
        panic!("{failure}");
    }
}

//! The one place where tests wait for another process: a condition with a deadline.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine. Reaching it is a failure, never a pass.
pub const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Returns the first value that `probe` yields.
///
/// # Panics
/// After [`DEADLINE`], with `what` was awaited.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "another process cannot be handed a clock")]
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        sleep(POLL);
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Lets `time` pass: for a fault that must come at a random moment, never for an outcome.
#[allow(clippy::disallowed_methods, reason = "another process cannot be handed a clock")]
pub fn pause(time: Duration) {
    sleep(time);
}

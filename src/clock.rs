//! The only file that reads a clock: everything else takes `now` as an argument.

use std::time::Duration;

use crate::engine::time::Timestamp;

/// Returns the wall clock's time. It may step back: whoever compares two readings must allow that.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    let nanos = jiff::Timestamp::now().as_nanosecond();
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// Returns a clock that never steps and goes on while the host sleeps; its origin means nothing.
pub fn steady() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

//! The only file that reads a clock: everything else takes `now` as an argument.

use crate::engine::time::Timestamp;

/// Returns the wall clock's time. It may step back: whoever compares two readings must allow that.
pub fn now() -> Timestamp {
    let nanos = jiff::Timestamp::now().as_nanosecond();
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

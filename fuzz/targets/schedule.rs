//! Cron expressions of any text in any zone: whatever is read can be walked, and onwards alone.

use std::time::Duration;

use keydrain::engine::job::Schedule;
use keydrain::engine::time::Timestamp;

/// Eight bytes are a time, the rest of the line is a zone, the rest an expression.
pub fn run(data: &[u8]) {
    let Some((nanos, rest)) = data.split_first_chunk::<8>() else { return };
    let Some((zone, expression)) =
        std::str::from_utf8(rest).ok().and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    let zone = Some(zone).filter(|zone| !zone.is_empty());
    let Ok(schedule) = Schedule::parse(expression, zone) else { return };
    let now = Timestamp::from_nanos(i64::from_be_bytes(*nanos));
    let mut last = now;
    for _ in 0..10 {
        let Some(next) = schedule.next_after(last) else { break };
        assert!(next > last, "{expression}: {next} after {last}");
        last = next;
    }
    if let Some(row) = schedule.running(now, Duration::from_secs(7_200)) {
        assert!(
            row.since <= now && row.until.is_none_or(|until| now < until),
            "{expression}: {row:?}"
        );
    }
    assert!(schedule.longest_interval(now) > Duration::ZERO, "{expression}");
}

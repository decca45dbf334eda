//! Values of an answer in words: when, how long, how long ago, what share.

use std::time::Duration;

use serde_json::Value;

use super::columns::cell;
use crate::engine::time::Timestamp;
use crate::engine::wording::humane;

/// Returns seconds as a duration: `2 h 5 min`; `-` for anything else.
pub fn duration(seconds: &Value) -> String {
    let duration = seconds.as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok());
    duration.map_or_else(|| "-".to_owned(), humane)
}

/// Returns a time to the second, as it began; anything else as it is.
pub fn second(time: &Value) -> String {
    read(time).map_or_else(|| cell(time), |at| Timestamp::from_seconds(at.as_seconds()).to_string())
}

/// Returns a time to the second, never too early; anything else as it is.
pub fn next_second(time: &Value) -> String {
    let up = |at: Timestamp| at.plus(Duration::from_nanos(999_999_999));
    read(time).map_or_else(|| cell(time), |at| second(&up(at).to_string().into()))
}

fn read(time: &Value) -> Option<Timestamp> {
    time.as_str()?.parse().ok()
}

/// Returns a time as the distance to `now`: `14 s ago`, `in 2 h`; as it is, if it is none.
pub fn ago(time: &Value, now: &Value) -> String {
    match (read(time), read(now)) {
        (Some(at), Some(now)) if at > now => format!("in {}", humane(whole(at.since(now)))),
        (Some(at), Some(now)) => format!("{} ago", humane(whole(now.since(at)))),
        _ => cell(time),
    }
}

fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

/// Returns a share as whole percents, never 100 % for less than all; `-` for anything else.
pub fn percent(share: &Value) -> String {
    share.as_f64().map_or_else(|| "-".to_owned(), |share| format!("{} %", (share * 100.0).floor()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_said_as_the_distance_to_now() {
        let now = json!("2026-03-02T10:00:00.5Z");
        assert_eq!(ago(&json!("2026-03-02T09:59:46Z"), &now), "14 s ago");
        assert_eq!(ago(&json!("2026-03-02T12:05:00.6Z"), &now), "in 2 h 5 min");
        assert_eq!(ago(&Value::Null, &now), "-");
        assert_eq!(ago(&json!("soon"), &now), "soon");
    }

    #[test]
    fn a_time_in_a_table_has_no_fraction_and_nothing_clears_too_early() {
        let check = |time: Value, began: &str, over: &str| {
            assert_eq!((second(&time), next_second(&time)), (began.to_owned(), over.to_owned()));
        };
        let (whole, next) = ("2026-03-02T10:00:00Z", "2026-03-02T10:00:01Z");
        check(json!(whole), whole, whole);
        check(json!("2026-03-02T10:00:00.000000001Z"), whole, next);
        check(json!("2026-03-02T10:00:00.999999999Z"), whole, next);
        check(Value::Null, "-", "-");
        check(json!("soon"), "soon", "soon");
    }

    #[test]
    fn a_share_is_never_rounded_up_and_no_value_is_no_zero() {
        assert_eq!(percent(&json!(0.999)), "99 %");
        assert_eq!(percent(&json!(1.0)), "100 %");
        assert_eq!(percent(&Value::Null), "-");
        assert_eq!(duration(&Value::Null), "-");
        assert_eq!(duration(&json!(905)), "15 min 5 s");
    }
}

//! Rows about servers that write a line when a request ends and stamp it with when it began.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready};
use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place};

use crate::story::{INSTANT, Story, at, blocker, check, moved_over_by, standing, stands_until};
use crate::world::OLD;

/// What a source of Apache's `common` gets where no lateness is declared.
fn default_lateness() -> Duration {
    let key = vec![Place::Query("api_key".to_owned())];
    let layout = Layout::new(FormatSpec::Common, key, Vec::new());
    LineParser::compile(&layout).unwrap().default_lateness()
}

/// One consumer that moved over at 10:01:00, in a log that is stamped with the starts of requests.
fn moved_over() -> Story {
    let lateness = default_lateness();
    moved_over_by("11:00:00").declared(|all| all.sources[0].policy.allowed_lateness = lateness)
}

#[test]
fn row_32_a_log_that_is_stamped_at_the_start_holds_its_watermark_back_by_the_longest_request() {
    assert_eq!(default_lateness(), Duration::from_secs(30 + 300), "delivery and the request");
    let answer = moved_over().answer("10:30:00");
    assert_eq!(answer.watermark, Some(at("10:24:30")));
    // 15 min quiet period, 5 s clock skew, and the longest request that may still be running.
    stands_until(&moved_over(), "quiet_running", OLD, "10:20:35");
    check(&moved_over().busy("10:20:35"), Ready, []);
}

#[test]
fn row_32_a_line_that_began_before_the_newest_and_within_the_longest_request_is_in_time() {
    // It began at 10:00:30 and is written when it ends, 330 s later: the longest that is waited for.
    let long = moved_over().line_written("10:00:30", "10:06:00", OLD, "checkout");
    let before = long.busy_at(at("10:06:00").minus(INSTANT));
    assert!(before.watermark < Some(at("10:00:30")), "nothing was said of that time before");
    let answer = long.busy("10:06:00");
    assert_eq!(blocker(&answer, "old_key_in_use", "checkout").since, Some(at("10:00:30")));
    assert_eq!(long.world(at("10:06:01")).model.state().violations.len(), 0);
    stands_until(&long, "quiet_running", OLD, "10:21:05");
    // Were it a log that is stamped at the end, the same line would be five minutes late.
    let stamped_at_end =
        moved_over_by("11:00:00").line_written("10:00:30", "10:06:00", OLD, "checkout");
    let answer = stamped_at_end.busy("10:06:01");
    assert_eq!(blocker(&answer, "old_key_in_use", "checkout").since, Some(at("10:06:00")));
}

#[test]
fn row_32_a_request_that_runs_longer_than_that_counts_from_when_it_is_read_and_takes_ready_back() {
    let long = moved_over().asked("10:25:00").line_written("10:00:30", "10:26:00", OLD, "checkout");
    check(&long.busy("10:25:00"), Ready, []);
    let answer = long.busy("10:26:01");
    assert_eq!(answer.verdict, NotReady);
    assert_eq!(blocker(&answer, "old_key_in_use", "checkout").since, Some(at("10:26:00")));
    let world = long.asked("10:26:01").world(at("10:26:02"));
    assert_ne!(world.model.state().violations.len(), 0, "the false ready stays on record");
    assert!(standing(&answer).contains(&("consumer_regressed", "checkout")));
}

//! Whole rotation stories, told as data and played through the engine of the daemon.
//!
//! Every `*.toml` of this folder is a test of its own, whose name is the story's sentence; `README.md`
//! says how to write one. Real lines pass the real parser and matcher, the config is the real one, the
//! store is in memory, and time is virtual. Each story is played twice, the second time with restarts.

#[allow(dead_code, reason = "the truth table uses the rest")]
#[path = "../truth_table/log.rs"]
mod log;
#[allow(dead_code, reason = "the truth table uses the rest")]
#[path = "../truth_table/model.rs"]
mod model;
#[allow(dead_code, reason = "the truth table uses the rest")]
#[path = "../truth_table/world.rs"]
mod world;

mod story;

mod declare;

mod servers;

mod play;

mod check;

mod runner;

use story::Story;

/// Plays the story in `NAME.toml`.
fn tell(name: &str) {
    let story = Story::load(name);
    let failures = check::failures(&story);
    assert!(failures.is_empty(), "{name}: {}\n\n{}\n", story.title, failures.join("\n\n"));
}

#[test]
fn a_best_effort_log_proves_use_and_never_absence() {
    tell("a_best_effort_log_proves_use_and_never_absence");
}

#[test]
fn a_cached_credential_comes_back_within_its_time_to_live() {
    tell("a_cached_credential_comes_back_within_its_time_to_live");
}

#[test]
fn a_canary_fails_before_the_rest_moves() {
    tell("a_canary_fails_before_the_rest_moves");
}

#[test]
fn a_clock_that_steps_is_not_trusted_for_one_window() {
    tell("a_clock_that_steps_is_not_trusted_for_one_window");
}

#[test]
fn a_connection_pool_is_given_its_lifetime_after_the_rollout() {
    tell("a_connection_pool_is_given_its_lifetime_after_the_rollout");
}

#[test]
fn a_consumer_seen_a_single_time_is_never_gone_by_silence() {
    tell("a_consumer_seen_a_single_time_is_never_gone_by_silence");
}

#[test]
fn a_consumer_that_is_gone_is_known_by_its_cadence() {
    tell("a_consumer_that_is_gone_is_known_by_its_cadence");
}

#[test]
fn a_daemon_that_was_down_reads_on_where_it_stopped() {
    tell("a_daemon_that_was_down_reads_on_where_it_stopped");
}

#[test]
fn a_first_user_without_a_roster_is_ready_after_a_week() {
    tell("a_first_user_without_a_roster_is_ready_after_a_week");
}

#[test]
fn a_health_check_with_both_keys_moves_nobody() {
    tell("a_health_check_with_both_keys_moves_nobody");
}

#[test]
fn a_hold_is_the_last_word_until_it_is_released() {
    tell("a_hold_is_the_last_word_until_it_is_released");
}

#[test]
fn a_host_joins_and_another_leaves() {
    tell("a_host_joins_and_another_leaves");
}

#[test]
fn a_late_line_takes_a_ready_back() {
    tell("a_late_line_takes_a_ready_back");
}

#[test]
fn a_leaked_key_is_revoked_by_override() {
    tell("a_leaked_key_is_revoked_by_override");
}

#[test]
fn a_log_format_that_comes_back_hides_no_use() {
    tell("a_log_format_that_comes_back_hides_no_use");
}

#[test]
fn a_log_that_cannot_be_read_is_unknown_and_nothing_is_lost() {
    tell("a_log_that_cannot_be_read_is_unknown_and_nothing_is_lost");
}

#[test]
fn a_long_websocket_is_logged_when_it_ends() {
    tell("a_long_websocket_is_logged_when_it_ends");
}

#[test]
fn a_monthly_job_holds_the_old_key_until_it_ran_on_the_new_one() {
    tell("a_monthly_job_holds_the_old_key_until_it_ran_on_the_new_one");
}

#[test]
fn a_new_key_that_only_fails_moves_nobody() {
    tell("a_new_key_that_only_fails_moves_nobody");
}

#[test]
fn a_nightly_job_runs_in_the_night_that_lacks_its_hour() {
    tell("a_nightly_job_runs_in_the_night_that_lacks_its_hour");
}

#[test]
fn a_quiet_night_with_a_heartbeat_is_ready_on_time() {
    tell("a_quiet_night_with_a_heartbeat_is_ready_on_time");
}

#[test]
fn a_quiet_night_without_a_heartbeat_is_unknown_until_morning() {
    tell("a_quiet_night_without_a_heartbeat_is_unknown_until_morning");
}

#[test]
fn a_reload_cannot_remove_a_pinned_source() {
    tell("a_reload_cannot_remove_a_pinned_source");
}

#[test]
fn a_retired_consumer_that_comes_back_blocks_like_any_other() {
    tell("a_retired_consumer_that_comes_back_blocks_like_any_other");
}

#[test]
fn a_revoked_key_still_opens_a_door() {
    tell("a_revoked_key_still_opens_a_door");
}

#[test]
fn a_rolling_update_regresses_twice() {
    tell("a_rolling_update_regresses_twice");
}

#[test]
fn a_rotation_is_rolled_back_and_begun_anew() {
    tell("a_rotation_is_rolled_back_and_begun_anew");
}

#[test]
fn a_shorter_quiet_period_is_waited_for_anew() {
    tell("a_shorter_quiet_period_is_waited_for_anew");
}

#[test]
fn a_slow_disk_is_behind_and_catches_up() {
    tell("a_slow_disk_is_behind_and_catches_up");
}

#[test]
fn a_standby_host_proves_itself_by_a_probe() {
    tell("a_standby_host_proves_itself_by_a_probe");
}

#[test]
fn a_steady_api_is_ready_an_hour_after_its_first_use_of_the_new_key() {
    tell("a_steady_api_is_ready_an_hour_after_its_first_use_of_the_new_key");
}

#[test]
fn a_third_party_has_three_days() {
    tell("a_third_party_has_three_days");
}

#[test]
fn a_threshold_tolerates_a_trickle_of_the_anonymous_pool() {
    tell("a_threshold_tolerates_a_trickle_of_the_anonymous_pool");
}

#[test]
fn a_waiver_expires_and_its_consumer_blocks_again() {
    tell("a_waiver_expires_and_its_consumer_blocks_again");
}

#[test]
fn a_weekly_job_of_one_process_moves_with_its_first_run() {
    tell("a_weekly_job_of_one_process_moves_with_its_first_run");
}

#[test]
fn addresses_kept_apart_move_one_by_one() {
    tell("addresses_kept_apart_move_one_by_one");
}

#[test]
fn addresses_with_names_move_one_by_one() {
    tell("addresses_with_names_move_one_by_one");
}

#[test]
fn an_hourly_batch_must_run_once_on_the_new_key() {
    tell("an_hourly_batch_must_run_once_on_the_new_key");
}

#[test]
fn an_old_key_that_is_denied_is_still_presented() {
    tell("an_old_key_that_is_denied_is_still_presented");
}

#[test]
fn an_old_key_that_nobody_used_is_attested() {
    tell("an_old_key_that_nobody_used_is_attested");
}

#[test]
fn an_open_incident_blocks_until_it_is_closed() {
    tell("an_open_incident_blocks_until_it_is_closed");
}

#[test]
fn blue_green_is_switched_back_and_moves_again() {
    tell("blue_green_is_switched_back_and_moves_again");
}

#[test]
fn clients_behind_a_nat_move_as_one_pool() {
    tell("clients_behind_a_nat_move_as_one_pool");
}

#[test]
fn consumers_are_given_their_notice() {
    tell("consumers_are_given_their_notice");
}

#[test]
fn lost_lines_cost_one_whole_window() {
    tell("lost_lines_cost_one_whole_window");
}

#[test]
fn one_of_ten_pods_is_left_behind_under_the_shared_name() {
    tell("one_of_ten_pods_is_left_behind_under_the_shared_name");
}

#[test]
fn one_of_twenty_hosts_goes_silent() {
    tell("one_of_twenty_hosts_goes_silent");
}

#[test]
fn session_tokens_bought_with_the_old_key_live_on() {
    tell("session_tokens_bought_with_the_old_key_live_on");
}

#[test]
fn silence_declared_to_be_idle_is_an_assumption() {
    tell("silence_declared_to_be_idle_is_an_assumption");
}

#[test]
fn the_log_format_changes_in_the_middle() {
    tell("the_log_format_changes_in_the_middle");
}

#[test]
fn the_new_key_went_to_the_wrong_environment() {
    tell("the_new_key_went_to_the_wrong_environment");
}

#[test]
fn the_old_key_is_declared_wrong_and_corrected() {
    tell("the_old_key_is_declared_wrong_and_corrected");
}

#[test]
fn what_happened_while_the_daemon_was_down_is_found() {
    tell("what_happened_while_the_daemon_was_down_is_found");
}

//! Rows about scheduled jobs: when one may be running, and what counts as its run on the new key.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{NotReady, Ready, Unknown};
use keydrain::engine::policy::ThresholdOf;
use keydrain::engine::rotation::{JournalEvent, RosterEntry};

use crate::log::key_ref;
use crate::story::{
    INSTANT, Story, at, blocker, check, minutes, moved_over_by, on_roster, says, standing,
    stands_until,
};
use crate::world::{ACCESS_LOG, NEW, OLD};

const RUNNING: (&str, &str) = ("job_running", "batch");
const NOT_SEEN: (&str, &str) = ("job_not_seen", "batch");

fn hours(n: u64) -> Duration {
    Duration::from_hours(n)
}

/// Everybody else moved in the morning; `batch` runs from noon to 14:00 at most.
fn at_noon() -> Story {
    moved_over_by("15:00:00").job("batch", "0 12 * * *", hours(2))
}

/// As [`at_noon`]; something else goes on under the name, too: the old key was used in the evening.
fn beside_noon() -> Story {
    at_noon().heartbeats("1 20:00:00", "2 08:59:00").uses(OLD, "batch", ["1 20:00:00"])
}

fn started() -> JournalEvent {
    JournalEvent::JobStarted("batch".into())
}

fn finished() -> JournalEvent {
    JournalEvent::JobFinished("batch".into())
}

fn waived_until(until: &str) -> JournalEvent {
    JournalEvent::ConsumerWaived("batch".into(), at(until))
}

fn stands(story: &Story, reason: (&str, &str), now: &str) -> bool {
    standing(&story.busy(now)).contains(&reason)
}

// A run in progress.

#[test]
fn a_job_may_be_running_from_its_start_to_its_longest_end() {
    let story = at_noon();
    assert!(!stands(&story, RUNNING, "11:59:59.999999999"));
    assert!(stands(&story, RUNNING, "12:00:00"));
    stands_until(&story, "job_running", "batch", "14:00:00");
    let answer = story.busy("12:30:00");
    assert_eq!(blocker(&answer, "job_running", "batch").since, Some(at("12:00:00")));
    says(
        &answer,
        "job_running",
        "batch",
        &[
            "\"0 12 * * *\" of batch",
            "when the run ends, at 2026-03-02T14:00:00Z",
            "batch has moved",
        ],
    );
}

#[test]
fn a_run_is_compared_with_now_and_not_with_the_watermark() {
    // The last line is of 11:56: the watermark cannot say that noon has come.
    let story = moved_over_by("11:56:00").job("batch", "0 12 * * *", hours(2));
    assert!(standing(&story.answer("12:00:00")).contains(&RUNNING));
}

#[test]
fn a_possible_run_beats_missing_evidence_and_a_run_that_was_not_seen_does_not() {
    // The log falls silent at 11:00.
    let dead = moved_over_by("11:00:00").job("batch", "0 12 * * *", hours(2));
    let answer = dead.answer("11:30:00");
    check(
        &answer,
        Unknown,
        [
            ("source_silent", ACCESS_LOG),
            ("source_behind", "edge"),
            ("quiet_running", OLD),
            NOT_SEEN,
        ],
    );
    assert_eq!(dead.answer("12:30:00").verdict, NotReady);
    assert_eq!(dead.answer("14:00:00").verdict, Unknown);
}

#[test]
fn a_job_whose_consumer_has_moved_is_not_waited_for_while_it_runs() {
    let single = RosterEntry { single: true, ..on_roster("batch") };
    let story = at_noon().roster([single]).uses(OLD, "batch", ["09:30:00"]);
    assert!(stands(&story, RUNNING, "12:00:29"));
    check(&story.uses(NEW, "batch", ["12:00:30"]).busy("12:01:00"), Ready, []);
}

#[test]
fn a_job_of_a_consumer_that_uses_both_keys_may_be_running() {
    let story = at_noon().uses(OLD, "batch", ["12:00:10"]).uses(NEW, "batch", ["12:00:30"]);
    check(
        &story.busy("12:10:00"),
        NotReady,
        [("old_key_in_use", "batch"), ("consumer_not_moved", "batch"), RUNNING],
    );
}

#[test]
fn runs_that_follow_one_another_without_a_pause_have_no_end() {
    let story = moved_over_by("11:00:00").job("batch", "*/5 * * * *", minutes(6));
    let answer = story.busy("10:30:00");
    assert_eq!(blocker(&answer, "job_running", "batch").clears_at, None);
    says(&answer, "job_running", "batch", &["without a pause"]);
    // The same with a minute in between.
    let story = moved_over_by("11:00:00").job("batch", "*/5 * * * *", minutes(4));
    stands_until(&story, "job_running", "batch", "10:34:00");
    assert!(stands(&story, RUNNING, "10:35:00"));
}

#[test]
fn in_the_hour_that_comes_twice_a_run_may_be_at_both() {
    // 02:30 in Berlin was at 00:30Z and at 01:30Z.
    let story = Story::new().job("batch", "30 2 * * * in Europe/Berlin", minutes(10));
    let running = |now: &str| stands(&story, RUNNING, &format!("2026-10-25T{now}Z"));
    for (from, to) in [("00:30:00", "00:40:00"), ("01:30:00", "01:40:00")] {
        let before = at(&format!("2026-10-25T{from}Z")).minus(INSTANT);
        assert!(!standing(&story.busy_at(before)).contains(&RUNNING), "{from}");
        assert!(running(from) && !running(to), "{from}");
    }
}

#[test]
fn in_the_hour_that_is_skipped_a_run_may_be_at_the_change_or_where_it_would_have_been() {
    let story = Story::new().job("batch", "30 2 * * * in Europe/Berlin", minutes(10));
    for (from, to) in [("29 01:00:00", "29 01:10:00"), ("29 01:30:00", "29 01:40:00")] {
        assert!(!standing(&story.busy_at(at(from).minus(INSTANT))).contains(&RUNNING), "{from}");
        assert!(stands(&story, RUNNING, from) && !stands(&story, RUNNING, to), "{from}");
    }
    // The next night it is at its usual time, an hour earlier in UTC.
    assert!(stands(&story, RUNNING, "30 00:30:00"));
    assert!(!stands(&story, RUNNING, "30 01:30:00"));
}

#[test]
fn the_daemon_decides_anew_when_a_run_begins_and_when_it_ends() {
    for (now, then) in [("11:59:30", "12:00:00"), ("13:59:30", "14:00:00")] {
        let mut world = at_noon().world(at(now));
        world.answer(at(now));
        assert_eq!(world.drain.next_deadline(at(now)), Some(at(then)));
    }
}

// A run on the new key.

#[test]
fn a_job_that_had_no_run_on_the_new_key_blocks() {
    let answer = at_noon().busy("10:30:00");
    check(&answer, NotReady, [("quiet_running", OLD), NOT_SEEN]);
    says(
        &answer,
        "job_not_seen",
        "batch",
        &[
            "\"0 12 * * *\" of batch has had no run on 2026-q1",
            "the next at 2026-03-02T12:00:00Z",
            "waive",
        ],
    );
    assert_eq!(blocker(&answer, "job_not_seen", "batch").clears_at, None);
    assert_eq!(answer.earliest_ready_at, None);
    // However quiet it is.
    check(&at_noon().busy("9 15:00:00"), NotReady, [NOT_SEEN]);
}

#[test]
fn a_use_of_the_new_key_in_a_scheduled_run_is_a_run_of_the_job() {
    // Clocks may differ by 5 s; uses are kept to the second.
    for (used, counts) in [
        ("11:59:54", false),
        ("11:59:55", true),
        ("12:00:00", true),
        ("14:00:04", true),
        ("14:00:05", false),
    ] {
        let story = beside_noon().uses(NEW, "batch", [used]);
        assert_eq!(stands(&story, NOT_SEEN, "14:30:00"), !counts, "{used}");
    }
}

#[test]
fn what_a_consumer_does_besides_its_job_is_no_run_of_it() {
    let story = beside_noon().uses(NEW, "batch", ["10:10:00", "11:30:00"]);
    check(&story.busy("11:50:00"), NotReady, [("quiet_running", OLD), NOT_SEEN]);
    // It has moved, so the run at noon is waited for and not feared.
    check(&story.busy("12:10:00"), NotReady, [("quiet_running", OLD), NOT_SEEN]);
    check(&story.uses(NEW, "batch", ["12:05:00"]).busy("12:10:00"), Ready, []);
}

#[test]
fn a_run_by_hand_counts_for_a_name_that_does_nothing_but_its_job() {
    // Of one that was never seen on the old key nobody knows what else it does.
    assert!(stands(&at_noon().uses(NEW, "batch", ["10:10:00"]), NOT_SEEN, "10:30:00"));
    let yesterday = |used: &str| {
        let story = at_noon().heartbeats("1 11:00:00", "2 08:59:00").uses(OLD, "batch", [used]);
        story.uses(NEW, "batch", ["10:10:00"])
    };
    // All that the log shows of it on the old key must lie in its runs, give or take the clocks.
    for (used, nothing_else) in
        [("1 11:59:54", false), ("1 11:59:55", true), ("1 14:00:04", true), ("1 14:00:05", false)]
    {
        assert_eq!(stands(&yesterday(used), NOT_SEEN, "10:30:00"), !nothing_else, "{used}");
    }
    // Of two jobs it does not say which.
    let two = yesterday("1 12:00:00").job("batch", "0 3 1 * *", hours(2));
    assert!(stands(&two, NOT_SEEN, "10:30:00"));
}

#[test]
fn any_use_counts_for_all_jobs_of_the_only_process_behind_a_name() {
    let single = RosterEntry { single: true, ..on_roster("batch") };
    let story = beside_noon().job("batch", "0 3 1 * *", hours(2)).roster([single]);
    check(&story.uses(NEW, "batch", ["10:10:00"]).busy("10:30:00"), Ready, []);
}

#[test]
fn a_run_that_was_denied_failed_or_read_late_proves_nothing() {
    for status in [401, 403, 500] {
        let answer = at_noon().line("12:05:00", NEW, "batch", status).busy("14:30:00");
        assert!(standing(&answer).contains(&NOT_SEEN), "{status}");
    }
    let late = at_noon().line_written("12:05:00", "14:10:00", NEW, "batch");
    assert!(stands(&late, NOT_SEEN, "14:30:00"));
}

#[test]
fn a_run_of_another_consumer_is_not_a_run_of_the_job() {
    assert!(stands(&at_noon().uses(NEW, "checkout", ["12:05:00"]), NOT_SEEN, "14:30:00"));
}

#[test]
fn of_two_jobs_of_a_consumer_each_must_run() {
    let story = at_noon().job("batch", "0 3 1 * *", hours(2)).uses(NEW, "batch", ["12:05:00"]);
    let answer = story.busy("14:30:00");
    check(&answer, NotReady, [("quiet_running", OLD), NOT_SEEN]);
    says(&answer, "job_not_seen", "batch", &["\"0 3 1 * *\"", "2026-04-01T03:00:00Z"]);
    let both = moved_over_by("15:00:00")
        .job("batch", "0 12 * * *", minutes(30))
        .job("batch", "0 13 2 * *", minutes(30))
        .uses(NEW, "batch", ["12:05:00", "13:05:00"]);
    assert!(stands(&both, NOT_SEEN, "13:04:59"));
    check(&both.busy("13:06:00"), Ready, []);
}

#[test]
fn a_job_that_ran_on_the_new_key_and_then_on_the_old_is_left_to_other_rules() {
    let story = at_noon().uses(NEW, "batch", ["12:05:00"]).uses(OLD, "batch", ["12:30:00"]);
    let answer = story.busy("14:30:00");
    assert!(!standing(&answer).contains(&NOT_SEEN));
    assert!(standing(&answer).contains(&("consumer_not_moved", "batch")), "{:?}", answer.blockers);
}

#[test]
fn a_run_of_an_earlier_rotation_of_the_same_keys_does_not_count() {
    let story = at_noon()
        .uses(NEW, "batch", ["12:05:00"])
        .told("12:30:00", JournalEvent::RolledBack)
        .then("12:40:00", |world| {
            world.start(key_ref(OLD), key_ref(NEW), at("12:40:00"));
        });
    let answer = story.busy("12:50:00");
    assert!(standing(&answer).is_superset(&[RUNNING, NOT_SEEN].into()), "{:?}", answer.blockers);
    let story = story.uses(NEW, "checkout", ["12:41:00"]).uses(NEW, "batch", ["12:45:00"]);
    check(&story.busy("12:50:00"), Ready, []);
}

// What the journal tells.

#[test]
fn a_run_out_of_turn_counts_if_the_journal_tells_of_it() {
    let told = |used: &str| {
        beside_noon()
            .told("10:20:00", started())
            .uses(NEW, "batch", [used])
            .told("10:22:00", finished())
    };
    for (used, counts) in
        [("10:19:59", false), ("10:20:00", true), ("10:21:59", true), ("10:22:00", false)]
    {
        assert_eq!(stands(&told(used), NOT_SEEN, "10:30:00"), !counts, "{used}");
    }
    // Of two jobs it does not say which.
    let two = told("10:21:00").job("batch", "0 3 1 * *", hours(2));
    assert!(stands(&two, NOT_SEEN, "10:30:00"));
}

#[test]
fn of_two_runs_that_the_journal_tells_of_both_must_finish() {
    let story = at_noon()
        .told("10:20:00", started())
        .told("10:21:00", started())
        .uses(NEW, "batch", ["10:22:00"])
        .told("10:23:00", finished());
    check(&story.busy("10:30:00"), NotReady, [("quiet_running", OLD), RUNNING, NOT_SEEN]);
    check(&story.told("10:31:00", finished()).busy("10:31:00"), Ready, []);
}

// The required quiet.

#[test]
fn the_required_quiet_is_the_longest_month_and_a_run_while_a_monthly_job_was_not_seen() {
    let story = moved_over_by("11:00:00").job("batch", "0 3 1 * *", hours(2));
    let answer = story.busy("10:30:00");
    let month = hours(31 * 24 + 2);
    assert_eq!(answer.window.required, month + Duration::from_secs(5));
    assert!(answer.window.terms.contains(&("jobs", month)), "{:?}", answer.window.terms);
    stands_until(&story, "quiet_running", OLD, "2026-04-02T12:00:35Z");
    // Its run makes the term go.
    let ran = story.uses(NEW, "batch", ["2026-04-01T03:10:00Z"]);
    let answer = ran.busy("2026-04-01T05:00:00Z");
    check(&answer, Ready, []);
    assert!(answer.window.terms.contains(&("jobs", Duration::ZERO)));
}

#[test]
fn of_several_jobs_the_longest_counts_and_only_beyond_the_quiet_period() {
    let story = moved_over_by("11:00:00").job("batch", "*/5 * * * *", minutes(1));
    let answer = story.busy("10:30:00");
    assert!(answer.window.terms.contains(&("jobs", minutes(6))));
    assert_eq!(answer.window.required, Duration::from_secs(15 * 60 + 5));
    let other = story.job("report", "0 * * * *", minutes(10)).busy("10:30:00");
    assert_eq!(other.window.required, Duration::from_secs(70 * 60 + 5));
}

// Waivers, retirement, changes.

#[test]
fn a_waived_job_counts_for_nothing_until_its_date_and_for_all_after_it() {
    let story = at_noon().told("10:05:00", waived_until("12:30:00"));
    check(&story.busy("10:30:00"), Ready, []);
    let last = story.busy("12:29:59.999999999");
    check(&last, Ready, []);
    assert_eq!(last.valid_until, at("12:30:00"), "no answer outlives a waiver it rests on");
    assert!(last.window.terms.contains(&("jobs", Duration::ZERO)));
    let ended = story.busy("12:30:00");
    check(&ended, NotReady, [("quiet_running", OLD), RUNNING, NOT_SEEN]);
    assert!(ended.window.terms.contains(&("jobs", hours(26))));
}

#[test]
fn the_job_of_a_retired_consumer_is_not_waited_for_until_it_shows_itself() {
    let story = at_noon().told("10:05:00", JournalEvent::ConsumerRetired("batch".into()));
    check(&story.busy("12:30:00"), Ready, []);
    let back = story.uses(OLD, "batch", ["12:20:00"]).busy("12:30:00");
    assert!(standing(&back).contains(&RUNNING) && standing(&back).contains(&NOT_SEEN));
}

#[test]
fn an_open_rotation_keeps_its_jobs_whatever_the_configuration_says_later() {
    let dropped = at_noon()
        .reconfigured("10:20:00", |declared| declared.credentials[0].jobs.clear())
        .restarted("10:25:00");
    check(&dropped.busy("10:30:00"), NotReady, [("quiet_running", OLD), NOT_SEEN]);
    assert!(stands(&dropped, RUNNING, "12:00:00"));
    let eased = at_noon().reconfigured("10:20:00", |declared| {
        declared.credentials[0].jobs[0].max_runtime = minutes(1);
    });
    assert!(stands(&eased, RUNNING, "13:59:00"));
}

#[test]
fn a_restart_forgets_no_run() {
    let story = at_noon()
        .told("10:20:00", started())
        .uses(NEW, "batch", ["10:21:00"])
        .told("10:22:00", finished());
    check(&story.clone().restarted("10:25:00").busy("10:30:00"), Ready, []);
    let seen = at_noon().uses(NEW, "batch", ["12:05:00"]).restarted("12:06:00");
    check(&seen.busy("12:10:00"), Ready, []);
    let not_seen = at_noon().restarted("10:25:00");
    assert_eq!(not_seen.busy("10:30:00").epoch, at_noon().busy("10:30:00").epoch);
}

#[test]
fn a_schedule_that_can_no_longer_be_read_blocks_and_says_so() {
    for (schedule, says_so) in [
        ("every full moon", "has 3 fields where cron has five"),
        ("0 3 * * * in Atlantis/Poseidonis", "unknown time zone `Atlantis/Poseidonis`"),
    ] {
        let story = moved_over_by("15:00:00").job("batch", schedule, hours(2));
        let answer = story.busy("10:30:00");
        check(&answer, NotReady, [("quiet_running", OLD), RUNNING, NOT_SEEN]);
        says(&answer, "job_running", "batch", &[says_so, "retire or waive"]);
        says(&answer, "job_not_seen", "batch", &[says_so, "retire or waive"]);
        // Seen on the new key alone, it is not feared any more.
        let moved = story.clone().uses(NEW, "batch", ["10:20:00"]);
        check(&moved.busy("10:30:00"), NotReady, [("quiet_running", OLD), NOT_SEEN]);
        let retired = story.told("10:31:00", JournalEvent::ConsumerRetired("batch".into()));
        check(&retired.busy("10:31:00"), Ready, []);
    }
}

#[test]
fn a_client_that_calls_itself_anonymous_is_not_the_pool_whose_job_it_is() {
    let story = moved_over_by("15:00:00").job("anonymous", "0 12 * * *", hours(2));
    let named = story.clone().uses(NEW, "anonymous", ["12:05:00"]);
    assert!(stands(&named, ("job_not_seen", "anonymous"), "12:10:00"));
    assert!(!stands(
        &story.uses(NEW, "-", ["12:05:00"]),
        ("job_not_seen", "anonymous"),
        "12:10:00"
    ));
}

/// Where uses of one burst are known only to be close to one another, one of them was taken for a
/// run that was near.
#[test]
fn a_use_that_is_not_known_to_lie_in_a_run_is_none_however_many_there_are() {
    let mut story = Story::new().job("batch", "0 * * * *", minutes(10));
    // Something else goes on under the name, at half past every hour.
    story = story.uses(OLD, "batch", ["2 09:15:00"]);
    for hour in 10..(24 * 25) {
        let when = format!("{} {:02}:30:00", 2 + hour / 24, hour % 24);
        story = story.uses(NEW, "batch", [&*when]);
    }
    assert!(stands(&story, NOT_SEEN, "28 12:30:00"));
    assert!(!stands(&story.uses(NEW, "batch", ["28 12:05:00"]), NOT_SEEN, "28 12:30:00"));
}

/// A lease reached into a run that was known to begin.
#[test]
fn no_answer_outlives_the_beginning_of_a_run_that_may_use_the_old_key() {
    let story = at_noon()
        .policy(|policy| {
            policy.threshold = 1;
            policy.threshold_of = ThresholdOf::All;
        })
        .uses(NEW, "batch", ["12:05:00"])
        .uses(OLD, "batch", ["12:30:00"])
        .heartbeats("15:01:00", "3 12:10:00");
    let answer = story.busy("3 11:59:30");
    check(&answer, Ready, []);
    assert_eq!(answer.valid_until, at("3 12:00:00"));
    assert_eq!(story.busy("3 11:58:30").valid_until, at("3 11:59:30"));
    check(&story.busy("3 12:00:00"), NotReady, [RUNNING]);
}

#[test]
fn the_run_of_a_job_that_has_moved_ends_no_lease() {
    let story = at_noon().uses(NEW, "batch", ["12:05:00"]).heartbeats("15:01:00", "3 12:10:00");
    let answer = story.busy("3 11:59:30");
    check(&answer, Ready, []);
    assert_eq!(answer.valid_until, at("3 12:00:30"));
}

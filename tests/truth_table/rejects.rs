//! Rows about lines that nobody understood: how many there are, what stands in them, and when they
//! were written.

use std::time::Duration;

use keydrain::engine::answer::Verdict::{Ready, Unknown};
use keydrain::engine::answer::{Answer, Code};

use crate::story::{Story, at, check, moved_over, moved_over_by, says, standing, stands_until};
use crate::world::{ACCESS_LOG, EDGE, NEW, OLD, World};

#[test]
fn more_rejects_than_the_policy_allows_are_unknown_and_as_many_are_fine() {
    // 5 of 500 lines of the window are one in a hundred; 6 are more.
    let story = |rejects: usize| {
        let mut story = Story::new()
            .heartbeats_every(Duration::from_secs(1), "08:59:00", "09:19:59")
            .uses(OLD, "checkout", ["08:59:00"])
            .uses(NEW, "checkout", ["08:59:01"]);
        for _ in 0..rejects {
            story = story.garbled("09:19:00", "-");
        }
        story
    };
    // The window begins with the minute of 09:04:24: 16 minutes, less what was not read yet.
    let lines = 16 * 60;
    let allowed = lines / 100;
    check(&story(allowed).answer("09:19:59"), Ready, []);
    let answer = story(allowed + 1).answer("09:19:59");
    check(&answer, Unknown, [("rejects", EDGE)]);
    says(
        &answer,
        "rejects",
        EDGE,
        &["10 of 970 lines of source edge", "not understood", "keydrain explain"],
    );
}

#[test]
fn a_rejected_line_with_the_old_key_is_unknown_until_the_window_begins_after_it() {
    let story =
        moved_over().policy(|policy| policy.max_reject_ratio = 0.5).garbled("10:30:00.500", OLD);
    let answer = story.busy("10:31:00");
    check(&answer, Unknown, [("rejects", OLD)]);
    says(&answer, "rejects", OLD, &["a line of source edge holds", OLD, "keydrain explain"]);
    // It counts from its arrival.
    stands_until(&story, "rejects", OLD, "10:45:35.5");
    check(&story.busy("10:45:35.5"), Ready, []);
    check(
        &moved_over()
            .policy(|policy| policy.max_reject_ratio = 0.5)
            .garbled("10:30:00.500", NEW)
            .busy("10:31:00"),
        Ready,
        [],
    );
}

#[test]
fn a_rejected_line_with_another_key_hides_none_with_the_old_one() {
    for (first, second) in [(OLD, NEW), (NEW, OLD)] {
        let answer = moved_over()
            .policy(|policy| policy.max_reject_ratio = 0.5)
            .garbled("10:29:00.500", first)
            .garbled("10:30:00.500", second)
            .busy("10:31:00");
        check(&answer, Unknown, [("rejects", OLD)]);
    }
}

#[test]
fn rejects_after_the_last_line_that_was_understood_stand_although_that_was_long_ago() {
    // What happened at 10:25 is not known to be older than what was understood at 10:00.
    let story = |key| {
        Story::new()
            .heartbeats("09:00:00", "10:00:00")
            .uses(OLD, "checkout", ["09:29:00"])
            .uses(NEW, "checkout", ["09:30:00"])
            .garbled("10:25:00", key)
            .heartbeats("10:26:00", "10:50:00")
    };
    check(&story("-").busy("10:27:00"), Unknown, [("rejects", EDGE)]);
    check(&story(OLD).busy("10:27:00"), Unknown, [("rejects", EDGE), ("rejects", OLD)]);
    check(&story(OLD).busy("10:45:00"), Ready, []);
}

/// A backlog that is read at 10:30: a reject, and the next line that is understood is of 10:15.
fn read_late(key: &str) -> Story {
    moved_over_by("10:07:00")
        .garbled_read("10:07:30", "10:30:00", key)
        .heartbeats_read(["10:15:00", "10:20:00", "10:25:00", "10:29:00"], "10:30:00")
        .heartbeats("10:31:00", "11:00:00")
}

#[test]
fn a_rejected_line_of_history_counts_from_the_line_after_it_and_the_lateness() {
    let story = read_late(OLD).policy(|policy| policy.max_reject_ratio = 0.9);
    stands_until(&story, "rejects", OLD, "10:31:05");
    check(&story.busy("10:31:05"), Ready, []);
    // The minute of 10:15:30 counts as a whole.
    check(&read_late("-").busy("10:31:34.999999999"), Unknown, [("rejects", EDGE)]);
    check(&read_late("-").busy("10:31:35"), Ready, []);
}

#[test]
fn rejects_of_history_older_than_the_window_do_not_block() {
    let story = moved_over_by("10:02:00")
        .garbled_read("10:02:30", "10:30:00", OLD)
        .heartbeats_read(["10:03:00", "10:14:00", "10:25:00", "10:29:59"], "10:30:00");
    check(&story.busy("10:30:00"), Ready, []);
}

#[test]
fn a_reject_that_no_line_follows_counts_from_its_arrival() {
    let story = moved_over_by("10:02:00")
        .heartbeats_read(["10:03:00", "10:14:00", "10:25:00"], "10:30:00")
        .garbled_read("10:25:30", "10:30:00", OLD);
    let answer = story.answer("10:30:00");
    assert!(standing(&answer).is_superset(&[("rejects", EDGE), ("rejects", OLD)].into()));
    // A line that comes after it was read tells no more of it than that.
    let later = story.heartbeats("10:31:00", "11:00:00");
    let with_ratio = later.policy(|policy| policy.max_reject_ratio = 0.9);
    stands_until(&with_ratio, "rejects", OLD, "10:45:35");
}

#[test]
fn a_restart_before_the_line_after_a_reject_changes_nothing() {
    for key in ["-", OLD] {
        let begun = moved_over_by("10:07:00").garbled_read("10:07:30", "10:30:00", key);
        let go_on = |story: Story| {
            story
                .heartbeats_read(["10:15:00", "10:29:00"], "10:30:01")
                .heartbeats("10:31:00", "11:00:00")
        };
        let stopped = begun.clone().restarted("10:30:00.5");
        let blocked = standing_rejects(&stopped.answer("10:30:00.5"));
        assert_eq!(blocked, standing_rejects(&begun.answer("10:30:00.5")));
        assert_eq!(blocked.len(), if key == OLD { 2 } else { 1 });
        let (whole, stopped) = (go_on(begun), go_on(stopped));
        let lost = stopped.clone().restarted("10:30:02");
        for now in
            ["10:30:01", "10:30:03", "10:31:04.999999999", "10:31:05", "10:31:35", "10:50:00"]
        {
            let expected = whole.busy(now).blockers;
            assert_eq!(stopped.busy(now).blockers, expected, "{now}");
            assert_eq!(lost.busy(now).blockers, expected, "{now}");
        }
        check(&lost.busy("10:31:35"), Ready, []);
    }
}

fn standing_rejects(answer: &Answer) -> Vec<String> {
    let rejects = answer.blockers.iter().filter(|blocker| blocker.code == Code::Rejects);
    rejects.map(|blocker| blocker.subject.clone()).collect()
}

#[test]
fn a_line_that_comes_too_late_tells_nothing_of_a_reject_before_it() {
    let story = |after: &str| {
        moved_over_by("10:10:00")
            .policy(|policy| policy.max_reject_ratio = 0.9)
            .garbled_read("10:29:00", "10:30:00", OLD)
            .heartbeats_read([after], "10:30:00")
    };
    let blocked = |after| standing(&story(after).busy("10:30:01")).contains(&("rejects", OLD));
    // 10:10:00 was read before: a line of 10:09:30 is as late as allowed, and counts for 10:10:00.
    assert!(!blocked("10:09:30"));
    assert!(blocked("10:09:29.999"));
}

#[test]
fn a_reject_that_no_line_ever_follows_does_not_block_for_ever_where_silence_is_idle() {
    let story = moved_over_by("10:30:00")
        .declared(|declared| declared.sources[0].policy.silence_is_idle = true)
        .policy(|policy| policy.max_reject_ratio = 0.9)
        .garbled("10:30:30", OLD);
    let idle = |now: &str| {
        let when = at(now);
        let to_end = move |world: &mut World| world.read_to_end((EDGE, ACCESS_LOG), when);
        story.clone().then(now, to_end).answer(now)
    };
    check(&idle("10:46:04.999999999"), Unknown, [("rejects", OLD)]);
    check(&idle("10:46:05"), Ready, []);
}

#[test]
fn a_reject_is_in_the_totals_once_from_its_reading_on() {
    let story = moved_over_by("10:07:00")
        .garbled_read("10:07:30", "10:30:00", OLD)
        .heartbeats_read(["10:15:00"], "10:30:01")
        .garbled("10:30:02", "-");
    let totals = |story: &Story, now: &str| {
        let world = story.world(at(now));
        let source = world.drain.snapshot("test", 0, at(now)).sources.remove(0);
        (source.lines, source.rejects)
    };
    let (before, _) = totals(&story, "10:29:59");
    for story in [story.clone(), story.restarted("10:30:00.5")] {
        assert_eq!(totals(&story, "10:30:00"), (before + 1, 1));
        assert_eq!(totals(&story, "10:30:01"), (before + 2, 1));
        assert_eq!(totals(&story, "10:30:02"), (before + 3, 2));
    }
}

//! The real logrotate with `copytruncate`, which loses lines: each that is missing lies in a gap,
//! and no copy is counted.

use keydrain::clock;
use keydrain::engine::time::Timestamp;

use crate::absence::Daemons;
use crate::counted::{assert_missing_lie_in_gaps, config, counted, declare, gaps, wait_until_read};
use crate::support::daemon::{Daemon, Site};
use crate::support::strace::Faults;
use crate::support::wait::wait_until;
use crate::writer::{Reopen, Writer, counts_of};

/// Keeps every file.
const COPY: &str = "copytruncate\nrotate 100";

/// Copies and truncates the log; returns the time before it and after.
fn rotate(writer: &Writer, options: &str) -> (Timestamp, Timestamp) {
    let before = clock::now();
    writer.rotate(options, Reopen::Never);
    (before, clock::now())
}

/// Waits until a gap tells of what happened between these times.
#[track_caller]
fn wait_for_gap(daemon: &Daemon<'_>, (before, after): (Timestamp, Timestamp)) {
    wait_until("the truncation is a gap", || {
        gaps(daemon).iter().any(|(from, to)| *from <= after && before <= *to)
    });
}

/// Writes a few lines more and waits until they are counted, after all others.
#[track_caller]
fn wait_for_the_end(writer: &Writer, daemon: &Daemon<'_>) {
    let before = writer.written().len();
    writer.write(200);
    let end = counts_of(&writer.written()[before + 100..]);
    wait_until("the last lines are counted", || {
        let counted = counted(daemon);
        end.iter().all(|(cell, count)| counted.get(cell) >= Some(count))
    });
}

/// Asserts that no line is counted twice and each missing one lies in a gap, until only those are
/// missing that are in no file: the others come from the copies.
#[track_caller]
fn wait_until_filled(writer: &Writer, daemon: &Daemon<'_>, what: &str) {
    let (written, lost) = (writer.written(), writer.lost().len() as u64);
    wait_until(&format!("{what}: what the copies hold is counted"), || {
        assert_missing_lie_in_gaps(daemon, &written, what) <= lost
    });
}

#[test]
fn row_03_each_copytruncate_leaves_a_gap_and_every_missing_line_lies_in_one() {
    let site = Site::new(&config());
    let writer = Writer::start(&site);
    writer.write(100);
    let daemon = site.start();
    declare(&daemon);
    wait_until_read(&daemon, 100, "before");
    writer.go_on(50_000);
    for rotation in 1..=6 {
        writer.wait_for_lines(rotation * 7_000);
        let times = rotate(&writer, COPY);
        wait_for_gap(&daemon, times);
        assert!(gaps(&daemon).len() >= rotation, "each has one of its own");
    }
    wait_for_the_end(&writer, &daemon);
    wait_until_filled(&writer, &daemon, "copytruncate");
}

#[test]
fn row_03_a_copytruncate_that_nobody_saw_leaves_a_gap_however_much_is_written_after_it() {
    for daemons in [Daemons::StandStill, Daemons::AreDown] {
        let site = Site::new(&config());
        let writer = Writer::start(&site);
        writer.write(100);
        let mut daemon = site.start();
        declare(&daemon);
        wait_until_read(&daemon, 100, "before");
        for after in [50, 3_000] {
            let mut times = None;
            daemon = daemons.during(&site, daemon, || {
                writer.go_on(1_000 + after);
                writer.wait_for_lines(writer.len() + 1_000);
                times = Some(rotate(&writer, COPY));
                writer.written();
            });
            wait_for_gap(&daemon, times.expect("it was rotated"));
            wait_for_the_end(&writer, &daemon);
            wait_until_filled(&writer, &daemon, &format!("{daemons:?}"));
        }
    }
}

#[test]
fn row_04_no_copy_of_logrotate_is_counted_packed_or_not_also_after_a_restart() {
    for packing in ["nocompress", "compress\ndelaycompress", "compress"] {
        let site = Site::new(&config());
        let writer = Writer::start(&site);
        writer.write(100);
        let mut daemon = site.start();
        declare(&daemon);
        wait_until_read(&daemon, 100, "before");
        for _ in 0..3 {
            writer.go_on(4_000);
            writer.wait_for_lines(writer.len() + 2_000);
            let times = rotate(&writer, &format!("{COPY}\n{packing}"));
            wait_for_gap(&daemon, times);
            wait_for_the_end(&writer, &daemon);
            assert_missing_lie_in_gaps(&daemon, &writer.written(), packing);
            assert_eq!(daemon.stop(), Some(0));
            // A start looks at every file anew.
            daemon = site.start();
            wait_until_filled(&writer, &daemon, packing);
        }
        assert_eq!(writer.rotated().len(), 3);
    }
}

/// What broke: a gap ended when the look began that found it, so what was written during that look,
/// and cut off, lay in no gap.
#[test]
fn row_03_a_line_that_is_lost_while_the_daemon_reads_lies_in_the_gap() {
    let site = Site::new(&config());
    let writer = Writer::start(&site);
    writer.write(100);
    // Slow reads, so that the truncation comes between two of the same look.
    let slow = Faults::new(site.path("trace"), "pread64", "delay_enter=200000")
        .on(site.path("logs/access.log"));
    let daemon = site.spawn(slow.around(&site.keydrain(&["run"])));
    declare(&daemon);
    wait_until_read(&daemon, 100, "before");
    let mut rounds = 0;
    wait_until("truncations that come between lines and their reading", || {
        let reads = slow.trace().lines().count();
        writer.write(100);
        wait_until("the daemon looks", || slow.trace().lines().count() > reads);
        writer.write(100);
        let times = rotate(&writer, "copytruncate\nrotate 0");
        wait_for_gap(&daemon, times);
        wait_for_the_end(&writer, &daemon);
        rounds += 1;
        let lost = assert_missing_lie_in_gaps(&daemon, &writer.written(), "lost while it reads");
        rounds >= 3 && lost > 0
    });
}

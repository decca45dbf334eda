//! The real logrotate with `create`: names move on, nothing that was in a file is lost.

use crate::absence::Daemons;
use crate::counted::{
    assert_all_counted, assert_missing_lie_in_gaps, config, declare, gaps, wait_until_read,
};
use crate::support::daemon::Site;
use crate::support::wait::wait_until;
use crate::writer::{Reopen, Writer};

/// Keeps every file.
const CREATE: &str = "create\nrotate 100";

#[test]
fn row_01_of_ten_thousand_lines_a_second_under_logrotate_create_none_is_lost() {
    let site = Site::new(&config());
    let writer = Writer::start(&site);
    let daemon = site.start();
    declare(&daemon);
    writer.go_on(60_000);
    for rotation in 1..=6 {
        writer.wait_for_lines(rotation * 9_000);
        writer.rotate(CREATE, Reopen::Later);
    }
    assert_all_counted(&daemon, &writer.written(), "create");
    assert_eq!(writer.rotated().len(), 6);
}

#[test]
fn row_17_two_rotations_by_logrotate_in_quick_succession_lose_nothing() {
    let site = Site::new(&config());
    let writer = Writer::start(&site);
    writer.write(100);
    let mut daemon = site.start();
    declare(&daemon);
    // As the daemon happens to look, and so that it can see neither of them.
    for round in 0..6 {
        let daemons = [Daemons::Look, Daemons::StandStill][round % 2];
        daemon = daemons.during(&site, daemon, || {
            for _ in 0..2 {
                writer.write(70);
                writer.rotate(CREATE, Reopen::AtOnce);
            }
        });
    }
    writer.write(70);
    assert_all_counted(&daemon, &writer.written(), "two rotations");
    assert_eq!(writer.rotated().len(), 12);
}

#[test]
fn row_18_a_file_that_logrotate_pruned_while_the_daemon_was_down_leaves_a_gap() {
    let prune = "create\nrotate 1";
    let site = Site::new(&config());
    let writer = Writer::start(&site);
    writer.write(100);
    let daemon = site.start();
    declare(&daemon);
    wait_until_read(&daemon, 100, "before");
    // While it looks it has the pruned file open: nothing is lost.
    for _ in 0..2 {
        writer.rotate(prune, Reopen::AtOnce);
        writer.write(50);
    }
    assert_all_counted(&daemon, &writer.written(), "pruned while it looks");

    assert_eq!(daemon.stop(), Some(0));
    writer.write(300);
    writer.rotate(prune, Reopen::AtOnce);
    writer.write(100);
    writer.rotate(prune, Reopen::AtOnce);
    writer.write(50);
    assert_eq!(writer.rotated(), ["access.log.1"]);
    let daemon = site.start();
    wait_until("the pruned file is a gap", || !gaps(&daemon).is_empty());
    let left = writer.written().len() as u64 - 300;
    wait_until("what is left is counted", || daemon.source()["lines"] == left);
    let missing = assert_missing_lie_in_gaps(&daemon, &writer.written(), "pruned while down");
    assert_eq!(missing, 300);
}

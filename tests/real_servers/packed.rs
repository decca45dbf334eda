//! The real logrotate with `compress` and its relatives: what was packed before it was read, or
//! while it was read, is counted once, and no gap is claimed.

use std::time::Duration;

use keydrain::clock;

use crate::absence::Daemons;
use crate::counted::{assert_all_counted, config, declare, wait_until_read};
use crate::support::daemon::Site;
use crate::support::wait::wait_until;
use crate::writer::{Reopen, Writer};

/// Between two rotations: two files of one second would have the same name. A bit longer, as
/// logrotate reads a clock that lags.
const SECOND: Duration = Duration::from_millis(1050);

const EACH: [Daemons; 3] = [Daemons::Look, Daemons::StandStill, Daemons::AreDown];

/// Rotates by `options` twice in each state of the daemon; all is counted.
///
/// `late`: whether the writer writes on to a file that was rotated, as a server does that is told
/// to open its log anew and takes its time. Only where that file is not packed at once can a daemon
/// that is down find what came late.
fn check(options: &str, late: bool) {
    let options = &format!("create\nrotate 100\n{options}");
    let site = Site::new(&config());
    let writer = Writer::start(&site);
    writer.write(100);
    let mut daemon = site.start();
    declare(&daemon);
    wait_until_read(&daemon, 100, options);
    let mut rotations = 0;
    let mut next = clock::now();
    for daemons in EACH {
        // A log of which nothing was read leaves a gap where it is packed while nobody is there.
        writer.begin_log();
        assert_all_counted(&daemon, &writer.written(), options);
        daemon = daemons.during(&site, daemon, || {
            for _ in 0..2 {
                writer.go_on(2_000);
                writer.wait_for_lines(writer.len() + 1_000);
                wait_until("the next second", || clock::now() > next);
                writer.rotate(options, if late { Reopen::Later } else { Reopen::AtOnce });
                next = clock::now().plus(SECOND);
                rotations += 1;
                writer.written();
            }
        });
        assert_all_counted(&daemon, &writer.written(), &format!("{options}, {daemons:?}"));
    }
    let packed = writer.rotated().iter().filter_map(|name| name.strip_suffix(".gz")).count();
    let delayed = usize::from(options.contains("delaycompress"));
    assert_eq!((writer.rotated().len(), packed), (rotations, rotations - delayed));
}

#[test]
fn row_12_what_logrotate_packs_at_once_is_counted_once() {
    check("compress", false);
}

#[test]
fn row_12_what_logrotate_packs_a_rotation_later_is_counted_once() {
    check("compress\ndelaycompress", true);
}

#[test]
fn row_12_what_logrotate_names_by_date_and_packs_is_counted_once() {
    check("compress\ndateext\ndateformat -%Y%m%d-%s", false);
}

#[test]
fn row_12_what_logrotate_packs_by_size_is_counted_once() {
    // Without `--force`: only what has grown too large is due.
    for limit in ["size 100k", "daily\nmaxsize 100k"] {
        let options = format!("{limit}\ncreate\nrotate 100\ncompress");
        let site = Site::new(&config());
        let writer = Writer::start(&site);
        writer.write(100);
        let daemon = site.start();
        declare(&daemon);
        for _ in 0..8 {
            writer.write(600);
            writer.rotate_if_due(&options, Reopen::AtOnce);
        }
        assert_all_counted(&daemon, &writer.written(), limit);
        // Three times 600 lines are more than that, twice are not.
        assert_eq!(writer.rotated(), ["access.log.1.gz", "access.log.2.gz"], "{limit}");
    }
}

//! Evidence that stops coming: whatever is taken away, `ready` becomes `unknown`, never stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::rotation::{declare, drive, drive_to_ready, gate_by_curl};
use crate::shop::{CREDENTIAL, Form, Key, Shop, assert_all_counted, config, subjects};
use crate::support::daemon::{Daemon, Site, without_powers};
use crate::support::wait::wait_for;

const NEW: [(&str, Key); 1] = [("checkout", Key::New)];

/// Asserts that the answer is `unknown` for `code` on `subject`, by every way to ask.
fn assert_unknown(daemon: &Daemon<'_>, answer: &Value, code: &str, subject: &str) {
    assert_eq!(answer["verdict"], "unknown", "{answer}");
    let named = subjects(answer, code);
    assert!(named.iter().any(|name| name.ends_with(subject)), "{code} {subject}: {answer}");
    let ran = daemon.cli(&["ready", CREDENTIAL]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains(code) && ran.out.contains(subject), "{}", ran.out);
    assert_eq!(gate_by_curl(daemon), 503);
}

/// Waits until the answer is not `ready` any more, while the server has requests.
fn drive_to_unready(shop: &mut Shop, daemon: &Daemon<'_>) -> Value {
    drive(shop, daemon, "no longer ready", &NEW, |answer| answer["ready"] == false)
}

fn drive_to_ready_again(shop: &mut Shop, daemon: &Daemon<'_>) {
    drive(shop, daemon, "ready again", &NEW, |answer| answer["ready"] == true);
    assert_eq!(daemon.cli(&["ready", CREDENTIAL]).code, Some(0));
    assert_all_counted(shop, daemon);
}

#[test]
fn a_log_that_is_gone_makes_the_answer_unknown_until_it_is_back() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.start();
    declare(&daemon);
    drive_to_ready(&mut shop, &daemon);

    fs::rename(shop.log(), site.path("elsewhere.log")).unwrap();
    let answer = drive_to_unready(&mut shop, &daemon);
    assert_unknown(&daemon, &answer, "source_absent", "access.log");

    fs::rename(site.path("elsewhere.log"), shop.log()).unwrap();
    drive_to_ready_again(&mut shop, &daemon);
}

#[test]
fn a_log_directory_that_cannot_be_read_makes_the_answer_unknown_until_it_can() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.spawn(without_powers(&site.keydrain(&["run"])));
    daemon.wait_until_read();
    declare(&daemon);
    drive_to_ready(&mut shop, &daemon);

    let logs = site.path("web/logs");
    fs::set_permissions(&logs, Permissions::from_mode(0o000)).unwrap();
    let answer = drive_to_unready(&mut shop, &daemon);
    fs::set_permissions(&logs, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(answer["verdict"], "unknown", "{answer}");
    let named = subjects(&answer, "source_unreadable");
    assert!(named.iter().any(|name| name.contains("web/logs")), "{answer}");
    drive_to_ready_again(&mut shop, &daemon);

    // The same from the start on: nothing was ever read.
    assert_eq!(daemon.stop(), Some(0));
    fs::set_permissions(&logs, Permissions::from_mode(0o000)).unwrap();
    let daemon = site.spawn(without_powers(&site.keydrain(&["run"])));
    let answer = wait_for("the directory is named", || {
        let answer = daemon.readiness(CREDENTIAL);
        assert_eq!(answer["verdict"], "unknown", "{answer}");
        (!subjects(&answer, "source_unreadable").is_empty()).then_some(answer)
    });
    assert_unknown(&daemon, &answer, "source_unreadable", "web/logs");
    fs::set_permissions(&logs, Permissions::from_mode(0o755)).unwrap();
    drive_to_ready_again(&mut shop, &daemon);
}

#[test]
fn a_server_that_says_nothing_makes_the_answer_unknown_until_a_heartbeat() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.start();
    declare(&daemon);
    drive_to_ready(&mut shop, &daemon);

    let answer = wait_for("its silence is noticed", || {
        let answer = daemon.readiness(CREDENTIAL);
        (answer["ready"] == false).then_some(answer)
    });
    assert_unknown(&daemon, &answer, "source_silent", "access.log");
    shop.beat();
    drive_to_ready_again(&mut shop, &daemon);
}

//! No room for the state: nothing new counts, nothing is lost, and it says so.
//!
//! The disk is full for the daemon alone: a limit on the size of its files, set while it runs,
//! refuses every byte that would make one longer.

use std::process::Command;

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::json;

use crate::rotation::{declare, drive, drive_to_ready, gate_by_curl};
use crate::shop::{CREDENTIAL, Form, Key, Shop, assert_all_counted, config, subjects};
use crate::support::daemon::{Daemon, Site};

const NEW: [(&str, Key); 1] = [("checkout", Key::New)];

/// Starts the daemon with the signal of the limit ignored, as on a disk that is full.
fn start(site: &Site) -> Daemon<'_> {
    let plain = site.keydrain(&["run"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(site.path(""));
    let daemon = site.spawn(command);
    daemon.wait_until_read();
    daemon
}

fn limit_files(daemon: &Daemon<'_>, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(daemon.pid()), Resource::Fsize, limit).unwrap();
}

/// Leaves no room but for the log on stderr: the write-ahead log outgrows that in a few commits,
/// wherever in its file it is.
fn fill_the_disk(site: &Site, daemon: &Daemon<'_>) {
    limit_files(daemon, Some(site.log().len() as u64 + 20_000));
}

#[test]
fn row_39_a_full_disk_makes_the_answer_unknown_and_moves_no_offset_until_there_is_room() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = start(&site);
    let id = declare(&daemon);
    drive_to_ready(&mut shop, &daemon);
    assert_all_counted(&shop, &daemon);

    fill_the_disk(&site, &daemon);
    let answer = drive(&mut shop, &daemon, "unknown", &NEW, |answer| answer["ready"] == false);
    assert_eq!(answer["verdict"], "unknown", "{answer}");
    assert_eq!(subjects(&answer, "state_unwritable").len(), 1, "{answer}");
    assert_eq!(daemon.cli(&["ready", CREDENTIAL]).code, Some(3));
    assert_eq!(gate_by_curl(&daemon), 503);
    let bytes = daemon.source()["bytes_read"].clone();
    let refused = daemon.post(&format!("/v1/rotations/{id}/events"), &json!({"type": "hold"}));
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["type"], "urn:keydrain:problem:state_unwritable");
    let consumers = daemon.get(&format!("/v1/rotations/{id}/consumers"));
    assert_eq!(consumers.json()["type"], "urn:keydrain:problem:state_unwritable");

    // A use of the old key meanwhile is not lost, only not yet told.
    shop.send("nightly", Key::Old);
    let mut looks = 0;
    drive(&mut shop, &daemon, "many looks", &NEW, |answer| {
        looks += 1;
        assert_eq!(answer["verdict"], "unknown", "{answer}");
        looks > 40
    });
    assert_eq!(daemon.source()["bytes_read"], bytes, "offsets moved without a commit");
    assert_eq!(site.log().matches("ERROR").count(), 1, "{}", site.log());
    assert!(site.log().contains("keydrain.db"), "{}", site.log());

    limit_files(&daemon, None);
    drive(&mut shop, &daemon, "the use is told", &NEW, |answer| {
        assert_ne!(answer["verdict"], "ready", "{answer}");
        subjects(answer, "old_key_in_use") == ["nightly"]
    });
    assert!(site.log().contains("The state can be written again."), "{}", site.log());
    assert_all_counted(&shop, &daemon);
}

#[test]
fn row_39_a_kill_on_a_full_disk_loses_nothing() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = start(&site);
    declare(&daemon);
    drive(&mut shop, &daemon, "some traffic", &[("checkout", Key::Old)], |answer| {
        answer["old_key"]["accepted"].as_u64() > Some(20)
    });
    assert_all_counted(&shop, &daemon);
    fill_the_disk(&site, &daemon);
    drive(&mut shop, &daemon, "not written", &NEW, |answer| {
        !subjects(answer, "state_unwritable").is_empty()
    });
    shop.rotate();
    shop.send("nightly", Key::Old);
    daemon.kill();
    shop.send("checkout", Key::New);

    let daemon = site.start();
    assert_all_counted(&shop, &daemon);
}

#[test]
fn row_39_a_stop_on_a_full_disk_is_told_and_loses_nothing() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = start(&site);
    declare(&daemon);
    drive(&mut shop, &daemon, "some traffic", &[("checkout", Key::Old)], |answer| {
        answer["old_key"]["accepted"].as_u64() > Some(20)
    });
    assert_all_counted(&shop, &daemon);
    fill_the_disk(&site, &daemon);
    drive(&mut shop, &daemon, "not written", &NEW, |answer| {
        !subjects(answer, "state_unwritable").is_empty()
    });
    assert_eq!(daemon.stop(), Some(3), "{}", site.log());
    assert!(site.log().contains("read again at the next start"), "{}", site.log());

    let daemon = site.start();
    assert_all_counted(&shop, &daemon);
}

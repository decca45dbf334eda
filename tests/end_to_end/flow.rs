//! A rotation from its declaration to the proved revocation, and `ready` that is taken back.

use keydrain::store::Store;
use serde_json::json;

use crate::rotation::{declare, drive, drive_to_ready, gate_by_curl, record};
use crate::shop::{
    CREDENTIAL, Form, Key, QUIET, Shop, assert_all_counted, config, counted, subjects, time,
};
use crate::support::daemon::{Daemon, Site};
use crate::support::wait::{wait_for, wait_until};

#[test]
fn ready_comes_at_the_right_moment_and_not_before() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.start();
    let id = declare(&daemon);
    nothing_is_known_before_the_first_line(&daemon);
    every_user_of_the_old_key_is_named(&mut shop, &daemon);
    the_straggler_alone_is_named_across_a_rotation_of_the_log(&mut shop, &daemon);

    let mut waiting = daemon.begin_cli(&["ready", CREDENTIAL, "--wait", "--timeout", "5m"]);
    let straggling = [("checkout", Key::New), ("search", Key::New), ("billing", Key::Old)];
    drive(&mut shop, &daemon, "a little more of the same", &straggling, |answer| {
        assert_eq!(answer["verdict"], "not_ready", "{answer}");
        shop_is_quiet_for(answer, "search")
    });
    assert!(waiting.runs(), "{:?}", waiting.end());

    let moved = [("checkout", Key::New), ("search", Key::New), ("billing", Key::New)];
    let ready = drive(&mut shop, &daemon, "ready", &moved, |answer| answer["ready"] == true);
    let quiet = time(&ready["evaluated_at"]).since(shop.last_old().unwrap());
    assert!((QUIET..QUIET * 5).contains(&quiet), "{quiet:?}: {ready}");
    assert_eq!(
        (&ready["consumers"]["total"], &ready["consumers"]["moved"]),
        (&json!(3), &json!(3))
    );
    let waited = waiting.end();
    assert_eq!(waited.code, Some(0), "{waited:?}");
    assert!(waited.err.contains("billing"), "why it waited: {}", waited.err);
    assert_eq!(daemon.cli(&["ready", CREDENTIAL]).code, Some(0));
    assert_eq!(gate_by_curl(&daemon), 200);
    assert_all_counted(&shop, &daemon);

    the_intent_must_name_the_answer(&daemon, &id);
    the_revocation_is_proved_by_a_denied_request(&mut shop, &daemon);
    assert_all_counted(&shop, &daemon);
    drop(daemon);
    assert_eq!(site.run(&["ready", CREDENTIAL, "--url", "http://127.0.0.1:1"]).code, Some(4));
}

fn nothing_is_known_before_the_first_line(daemon: &Daemon<'_>) {
    let ran = daemon.cli(&["ready", CREDENTIAL, "--output", "json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.json()["verdict"], "unknown");
    assert_eq!(subjects(&ran.json(), "old_key_unseen"), ["2025-q4"]);
    assert_eq!(gate_by_curl(daemon), 503);
}

fn every_user_of_the_old_key_is_named(shop: &mut Shop, daemon: &Daemon<'_>) {
    let old = [("checkout", Key::Old), ("search", Key::Old), ("billing", Key::Old)];
    drive(shop, daemon, "all are seen", &old, |answer| {
        subjects(answer, "old_key_in_use").len() == 3
    });
    let ran = daemon.cli(&["ready", CREDENTIAL]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for name in ["checkout", "search", "billing"] {
        assert!(ran.out.contains(name), "{}", ran.out);
    }
    assert_eq!(gate_by_curl(daemon), 409);
}

fn the_straggler_alone_is_named_across_a_rotation_of_the_log(shop: &mut Shop, daemon: &Daemon<'_>) {
    let straggling = [("checkout", Key::New), ("search", Key::New), ("billing", Key::Old)];
    let mut looks = 0;
    let answer = drive(shop, daemon, "the straggler alone is named", &straggling, |answer| {
        assert_eq!(answer["verdict"], "not_ready", "{answer}");
        looks += 1;
        looks > 10 && subjects(answer, "old_key_in_use") == ["billing"]
    });
    assert!(answer["message"].as_str().unwrap().contains("billing"), "{answer}");
    let ran = daemon.cli(&["ready", CREDENTIAL, "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(subjects(&ran.json(), "old_key_in_use"), ["billing"]);
    assert_eq!(gate_by_curl(daemon), 409);

    for _ in 0..3 {
        shop.rotate();
        let mut looks = 0;
        drive(shop, daemon, "life after the rotation", &straggling, |answer| {
            assert_eq!(answer["verdict"], "not_ready", "{answer}");
            looks += 1;
            looks > 5
        });
    }
    assert_all_counted(shop, daemon);
}

/// Tells whether `consumer` counts as moved, in an answer that still names another one.
fn shop_is_quiet_for(answer: &serde_json::Value, consumer: &str) -> bool {
    !subjects(answer, "consumer_not_moved").contains(&consumer)
}

fn the_intent_must_name_the_answer(daemon: &Daemon<'_>, id: &str) {
    let path = format!("/v1/rotations/{id}/revoke-intent");
    let stale = daemon.post(&path, &json!({"epoch": "0123456789abcdef", "by": "tests"}));
    assert_eq!(stale.status, 409, "{stale:?}");
    assert_eq!(stale.json()["type"], "urn:keydrain:problem:stale_epoch");

    // The intent is a fact of the journal, and facts make another epoch.
    let current = daemon.readiness(CREDENTIAL)["epoch"].clone();
    let intent = daemon.post(&path, &json!({"epoch": current, "by": "tests"}));
    assert_eq!(intent.status, 200, "{intent:?}");
    assert!(time(&intent.json()["valid_until"]) > keydrain::clock::now());
    let journal = daemon.get(&format!("/v1/rotations/{id}/journal")).json();
    let last = journal["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["type"], &last["epoch"]), (&json!("revoke_intent"), &current));
}

fn the_revocation_is_proved_by_a_denied_request(shop: &mut Shop, daemon: &Daemon<'_>) {
    record(daemon, "revoked");
    shop.revoke_old();
    let mut denied = 0;
    wait_until("a denied request proves the revocation", || {
        if shop.is_due() {
            shop.send("billing", Key::Old);
            denied += 1;
        }
        let rotation = daemon.get("/v1/rotations").json()["rotations"][0].clone();
        assert_eq!(rotation["phase"], "revoked");
        assert_eq!(rotation["violations"], json!([]));
        rotation["revocation_verified_at"].is_string()
    });
    wait_until("each is counted as denied", || {
        counted(daemon)[&("billing".to_owned(), Key::Old)].1 == denied
    });
}

#[test]
fn a_use_of_the_old_key_after_ready_takes_it_back() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.start();
    let id = declare(&daemon);
    let ready = drive_to_ready(&mut shop, &daemon);

    shop.send("nightly", Key::Old);
    let answer = drive(&mut shop, &daemon, "taken back", &[("checkout", Key::New)], |answer| {
        answer["ready"] == false
    });
    assert_eq!(answer["verdict"], "not_ready", "{answer}");
    assert_eq!(subjects(&answer, "old_key_in_use"), ["nightly"], "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("nightly"), "{answer}");
    assert_eq!(daemon.cli(&["ready", CREDENTIAL]).code, Some(1));
    assert_eq!(gate_by_curl(&daemon), 409);
    let path = format!("/v1/rotations/{id}/revoke-intent");
    for epoch in [&ready["epoch"], &answer["epoch"]] {
        let refused = daemon.post(&path, &json!({"epoch": epoch}));
        assert_eq!(refused.status, 409, "{refused:?}");
    }

    let violations = || daemon.get(&format!("/v1/rotations/{id}")).json()["violations"].clone();
    let first = violations();
    assert_eq!(first.as_array().unwrap().len(), 1, "{first}");
    assert!(first[0]["message"].as_str().unwrap().contains("nightly"), "{first}");
    assert!(site.log().contains("Ready was retracted."), "{}", site.log());
    let shown = daemon.cli(&["rotation", "show", CREDENTIAL]);
    assert!(shown.out.contains("CONTRARY EVIDENCE"), "{}", shown.out);

    // The record is durable, and the answer stays what it was.
    assert_eq!(daemon.stop(), Some(0));
    let daemon = site.start();
    let kept = daemon.get(&format!("/v1/rotations/{id}")).json();
    assert_eq!(kept["violations"], first);
    assert_eq!(kept["verdict"], "not_ready");
    assert_all_counted(&shop, &daemon);
}

#[test]
fn a_stop_and_a_start_change_no_count_and_no_line_is_read_twice() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    // What is there before the first start is read too.
    for _ in 0..20 {
        shop.send("early", Key::Old);
    }
    shop.rotate();
    let daemon = site.start();
    declare(&daemon);
    drive(&mut shop, &daemon, "some traffic", &[("checkout", Key::New)], |answer| {
        answer["new_key"]["accepted"].as_u64() > Some(20)
    });
    let source = daemon.source();
    assert_eq!(daemon.stop(), Some(0));
    assert!(site.log().contains("Stopped; everything read is committed."), "{}", site.log());
    let (store, _) = Store::open(&site.path("state")).unwrap();
    let state = store.load().unwrap();
    assert!(state.sources[0].lines >= source["lines"].as_u64().unwrap(), "{state:?}");
    let offsets: u64 = state.generations.iter().map(|generation| generation.offset).sum();
    assert_eq!(offsets, state.sources[0].bytes_read, "{state:?}");
    drop(store);

    let daemon = site.start();
    assert_all_counted(&shop, &daemon);
    assert_eq!(daemon.stop(), Some(0));

    // Lines that come while it is down, and a rotation of the log, are read when it is back.
    shop.send("late", Key::Old);
    shop.rotate();
    shop.send("later", Key::Old);
    let daemon = site.start();
    assert_all_counted(&shop, &daemon);
    let answer = wait_for("both are named", || {
        let answer = daemon.readiness(CREDENTIAL);
        (subjects(&answer, "old_key_in_use").len() >= 2).then_some(answer)
    });
    assert_eq!(answer["verdict"], "not_ready");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn ready_survives_a_restart_of_the_daemon() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.start();
    declare(&daemon);
    drive_to_ready(&mut shop, &daemon);
    assert_eq!(daemon.stop(), Some(0));
    let url = ["ready", CREDENTIAL, "--url", "http://127.0.0.1:1"];
    assert_eq!(site.run(&url).code, Some(4));
    let daemon = site.start();
    let before = shop.last_old();
    drive(&mut shop, &daemon, "ready again", &[("checkout", Key::New)], |answer| {
        answer["ready"] == true
    });
    assert_eq!(shop.last_old(), before, "nobody used the old key to get there");
}

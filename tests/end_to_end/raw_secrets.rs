//! A server that logs the raw secret: counted the same, and the secret is in no artefact of ours.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::rotation::{declare, drive, drive_to_ready, record};
use crate::shop::{CREDENTIAL, Form, Key, Keys, Shop, assert_all_counted, config, subjects};
use crate::support::daemon::{Daemon, Site, files_below};

/// In every raw key of these tests, and in nothing else.
const MARKER: &[u8] = b"kdmark";

fn site_with_secrets() -> (Site, Shop) {
    let site = Site::new(&config(Form::Secrets));
    let shop = Shop::open(&site, Form::Secrets);
    fs::create_dir(site.path("secrets")).unwrap();
    // One trailing newline is usual, and so is none.
    fs::write(site.path("secrets/old"), format!("{}\n", shop.keys().old)).unwrap();
    fs::write(site.path("secrets/new"), &shop.keys().new).unwrap();
    (site, shop)
}

#[test]
fn a_raw_secret_is_counted_and_is_in_nothing_that_keydrain_leaves_behind() {
    let (site, mut shop) = site_with_secrets();
    let daemon = site.spawn(site.keydrain(&["-vv", "run"]));
    daemon.wait_until_read();
    declare(&daemon);
    shop.send_stray("checkout", &Keys::new().old);
    drive_to_ready(&mut shop, &daemon);
    shop.rotate();
    shop.send("nightly", Key::Old);
    let answer = drive(&mut shop, &daemon, "taken back", &[("checkout", Key::New)], |answer| {
        answer["ready"] == false
    });
    assert_eq!(subjects(&answer, "old_key_in_use"), ["nightly"], "{answer}");
    assert_all_counted(&shop, &daemon);
    assert_eq!(daemon.source()["other_keys"], 1, "the stray key");

    ask_everything(&site, &daemon, shop.keys());
    assert_nothing_leaked(&site, "while it runs");
    record(&daemon, "revoked");
    shop.revoke_old();
    shop.send("nightly", Key::Old);
    assert_all_counted(&shop, &daemon);
    daemon.kill();
    assert_nothing_leaked(&site, "after a kill");
    let daemon = site.start();
    assert_all_counted(&shop, &daemon);
    assert_eq!(daemon.stop(), Some(0));
    assert_nothing_leaked(&site, "after a stop");
}

/// Asks by every route and command, also with the raw key where a tired person may put it.
fn ask_everything(site: &Site, daemon: &Daemon<'_>, keys: &Keys) {
    let old = &keys.old;
    for path in [
        "/metrics",
        "/healthz",
        "/readyz",
        "/v1/credentials",
        "/v1/credentials/payments-api",
        "/v1/credentials/payments-api/gate",
        "/v1/credentials/payments-api/journal",
        "/v1/credentials/payments-api/consumers",
        "/v1/credentials/payments-api/migration",
        "/v1/credentials/payments-api/preflight",
        "/v1/credentials/payments-api/plan",
        "/v1/rotations",
        "/v1/sources",
    ] {
        assert!(daemon.get(path).body.len() > 10, "{path}");
    }
    for path in [
        format!("/v1/credentials/{old}/readiness"),
        format!("/v1/rotations/{old}"),
        format!("/{old}"),
        format!("/v1/sources?api_key={old}"),
        format!("/v1/credentials/{CREDENTIAL}/preflight?old_key={old}"),
        format!("/v1/credentials/{CREDENTIAL}/plan?key={old}"),
        format!("/v1/credentials/{CREDENTIAL}/plan?{old}=1"),
        format!("/v1/credentials/{CREDENTIAL}/readiness?wait={old}"),
    ] {
        daemon.get(&path);
    }
    let start = json!({"credential": CREDENTIAL, "old_key": old, "new_key": "2026-q1"});
    let by_name = json!({"credential": old, "old_key": "a", "new_key": "b"});
    let by_print = json!({"credential": CREDENTIAL, "old_key": {"name": "x", "fingerprint": old},
        "new_key": "2026-q1"});
    let unknown = json!({"credential": CREDENTIAL, old.as_str(): 1});
    for body in [start, by_name, by_print, unknown, json!(old), json!([old])] {
        let reply = daemon.post("/v1/rotations", &body);
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
    let events = format!("/v1/credentials/{CREDENTIAL}/events");
    assert_eq!(daemon.post(&events, &json!({"type": old})).status, 422);
    for args in [
        &["status"][..],
        &["status", "--output", "json"],
        &["consumers", CREDENTIAL],
        &["consumers", CREDENTIAL, "--output", "csv"],
        &["plan", CREDENTIAL],
        &["plan", CREDENTIAL, "--key", old],
        &["check", CREDENTIAL],
        &["check", CREDENTIAL, "--old-key", old],
        &["rotation", "list"],
        &["rotation", "show", CREDENTIAL],
        &["ready", CREDENTIAL],
        &["ready", old],
        &["rotation", "start", CREDENTIAL, "--old", old, "--new", "2026-q1"],
    ] {
        daemon.cli(args);
    }
    let log = site.path("web/logs/access.log.1");
    let log = log.to_str().unwrap();
    let scanned = site.run(&["scan", log, "--format", "combined", "--credential", "query:api_key"]);
    assert_eq!(scanned.code, Some(0), "{scanned:?}");
    let explained = site.run(&["explain", log, "--credential", "query:api_key"]);
    assert_eq!(explained.code, Some(0), "{explained:?}");
    assert_eq!(site.run(&["check"]).code, Some(0));
}

fn assert_nothing_leaked(site: &Site, when: &str) {
    let mut searched = Vec::new();
    for file in files_below(&site.path("")) {
        let name = file.strip_prefix(site.path("")).unwrap().to_owned();
        // The server's own log is where the secret comes from, its config where it is checked.
        if name.starts_with("web") || name.starts_with("secrets") {
            assert!(has_marker(&file) || !name.ends_with("old"), "the search finds nothing");
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let line = text.lines().find(|line| line.contains("kdmark"));
        assert_eq!(line, None, "{when}: a raw secret is in {}", name.display());
        searched.push(name);
    }
    for expected in ["state/keydrain.db", "said/daemon.log", "said/http", "said/0.out"] {
        assert!(searched.iter().any(|name| name == Path::new(expected)), "{expected} not searched");
    }
    if when == "while it runs" {
        assert!(searched.iter().any(|name| name.ends_with("keydrain.db-wal")), "{searched:?}");
    }
}

fn has_marker(file: &Path) -> bool {
    fs::read(file).unwrap().windows(MARKER.len()).any(|window| window == MARKER)
}

#[test]
fn a_secret_file_with_another_secret_never_gets_ready() {
    let (site, mut shop) = site_with_secrets();
    fs::write(site.path("secrets/old"), "kdmark-a-secret-of-another-service\n").unwrap();
    let daemon = site.start();
    declare(&daemon);
    let mut looks = 0;
    drive(&mut shop, &daemon, "many looks", &[("checkout", Key::New)], |answer| {
        looks += 1;
        assert_ne!(answer["verdict"], "ready", "{answer}");
        let quiet = answer["window"]["to"].is_string();
        looks > 150 && quiet && subjects(answer, "old_key_unseen") == ["2025-q4"]
    });
}

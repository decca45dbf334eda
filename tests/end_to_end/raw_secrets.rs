//! A server that logs the raw secret: counted the same, and the secret is in no artefact of ours.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use crate::rotation::{declare, drive, drive_to_ready, record};
use crate::shop::{CREDENTIAL, Form, Key, Keys, Shop, assert_all_counted, config, subjects};
use crate::support::daemon::{Daemon, Site, files_below};
use crate::support::wait::wait_until;

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
fn row_53_a_raw_secret_is_counted_and_is_in_nothing_that_keydrain_leaves_behind() {
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

/// Returns every path that can be asked with GET, as the routes in the source text name them.
fn every_path(daemon: &Daemon<'_>) -> Vec<String> {
    let routes = include_str!("../../src/publish/http.rs");
    let id = daemon.readiness(CREDENTIAL)["rotation"].as_str().unwrap().to_owned();
    let subjects = [format!("/v1/credentials/{CREDENTIAL}"), format!("/v1/rotations/{id}")];
    let mut paths = Vec::new();
    for route in routes.split(".route(").skip(1).filter(|route| route.contains("get(")) {
        let path = route.split('"').nth(1).unwrap();
        if route.starts_with("&path(") {
            paths.extend(subjects.iter().map(|subject| format!("{subject}/{path}")));
        } else {
            paths.push(path.replace("{name}", CREDENTIAL).replace("{id}", &id));
        }
    }
    assert!(paths.len() >= 23, "{paths:?}");
    paths
}

/// Asks by every route and command, also with the raw key where a tired person may put it.
fn ask_everything(site: &Site, daemon: &Daemon<'_>, keys: &Keys) {
    let old = &keys.old;
    for path in every_path(daemon) {
        let reply = daemon.get(&path);
        assert!(matches!(reply.status, 200 | 409 | 503) && reply.body.len() > 10, "{reply:?}");
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
    // The copy is searched as all else below the folder is.
    let copy = site.run(&["state", "backup", "copy.db"]);
    assert_eq!(copy.code, Some(0), "{copy:?}");
    let equal = site.run(&["verify", log]);
    assert_eq!(equal.code, Some(0), "{equal:?}");
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
        let bytes = fs::read(&file).unwrap();
        let at = forms().iter().find_map(|form| find(&bytes, form));
        let around =
            at.map(|at| bytes[at.saturating_sub(80)..(at + 40).min(bytes.len())].escape_ascii());
        let around = around.map(|bytes| bytes.to_string());
        assert_eq!(around, None, "{when}: a raw secret is in {}", name.display());
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
    find(&fs::read(file).unwrap(), MARKER).is_some()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, part)
}

/// The marker as it is, and as the usual ways to write bytes show it: hex digits in either case,
/// Base64 wherever it begins, numbers of a list.
fn forms() -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let digits: Vec<String> = MARKER.iter().map(|byte| format!("{byte:02x}")).collect();
    let lower = digits.concat();
    let numbers: Vec<String> = MARKER.iter().map(u8::to_string).collect();
    let mut forms = vec![lower.to_uppercase(), lower, numbers.join(", "), numbers.join(",")];
    // Every key begins with the marker twice: of each phase these are whole groups of three bytes.
    for groups in [&b"kdmarkkdmark"[..], b"dmarkkdma", b"markkdmar"] {
        forms.push(base64::engine::general_purpose::STANDARD.encode(groups));
    }
    forms.into_iter().map(String::into_bytes).chain([MARKER.to_vec()]).collect()
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

/// Some clients send their key as the user of `Basic`, too, and the server logs that as the user.
#[test]
fn row_53_a_client_that_names_itself_by_a_key_is_counted_under_its_fingerprint() {
    let (site, mut shop) = site_with_secrets();
    let daemon = site.start();
    declare(&daemon);
    let Keys { old, new } = shop.keys().clone();
    shop.send("checkout", Key::Old);
    shop.send(&old, Key::Old);
    shop.send(&new, Key::Old);
    shop.send(&new, Key::New);
    shop.rotate();
    let read = |shop: &Shop| {
        wait_until("all lines are read", || daemon.source()["lines"] == shop.lines());
    };
    read(&shop);
    ask_everything(&site, &daemon, shop.keys());
    // `scan` knows no key before it has read one: it hides a name that is a key, not one that holds
    // a key.
    shop.send(&format!("x-{old}-y"), Key::Old);
    read(&shop);
    let answer = daemon.readiness(CREDENTIAL);
    let consumers = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let consumers = consumers["consumers"].as_array().unwrap().iter();
    let mut names: Vec<&str> = consumers.map(|one| one["consumer"].as_str().unwrap()).collect();
    names.sort_unstable();
    let rotation = daemon.get(&format!("/v1/rotations/{}", answer["rotation"].as_str().unwrap()));
    let print = |key: &str| rotation.json()[key]["fingerprint"].as_str().unwrap().to_owned();
    let (old, new) = (print("old_key"), print("new_key"));
    let mut expected = ["checkout".to_owned(), format!("x-{old}-y"), old, new];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_nothing_leaked(&site, "while it runs");
    assert_eq!(daemon.stop(), Some(0));
    assert_nothing_leaked(&site, "after a stop");
}

#[test]
fn row_53_what_nobody_understands_is_told_without_what_stands_in_it() {
    let (site, mut shop) = site_with_secrets();
    let daemon = site.spawn(site.keydrain(&["-vvv", "run"]));
    daemon.wait_until_read();
    declare(&daemon);
    shop.send("checkout", Key::Old);
    shop.send("checkout", Key::New);
    let old = shop.keys().old.clone();
    let mut log = fs::OpenOptions::new().append(true).open(shop.log()).unwrap();
    let hostile: [Vec<u8>; 7] = [
        format!("{old}\n").into(),
        format!("192.0.2.1 - checkout [{old}] \"GET /?api_key={old} HTTP/1.1\" 200 5\n").into(),
        format!("{{\"api_key\":\"{old}\"\n").into(),
        [b"\xff\xfe\x00".to_vec(), old.clone().into(), b"\xc3\n".to_vec()].concat(),
        [vec![0; 5000], format!("{old} api_key={old}\n").into()].concat(),
        [old.clone().into(), vec![b'x'; 2 << 20], old.clone().into(), b"\n".to_vec()].concat(),
        format!("panicked at {old}\x1b[31m\r\n").into(),
    ];
    for line in &hostile {
        log.write_all(line).unwrap();
    }
    wait_until("all lines are read", || {
        daemon.source()["lines"] == shop.lines() + hostile.len() as u64
    });
    assert_eq!(daemon.source()["rejects"], hostile.len() as u64);
    wait_until("the key in them is told by its name", || {
        subjects(&daemon.readiness(CREDENTIAL), "rejects") == ["edge", "2025-q4"]
    });
    shop.rotate();
    wait_until("the rotation is seen", || daemon.source()["streams"][0]["generations"] == 2);
    for args in [&["explain"][..], &["scan", "--format", "combined"], &["verify"]] {
        let log = site.path("web/logs/access.log.1");
        let place = ["--credential", "query:api_key"];
        let place = if args[0] == "verify" { &[][..] } else { &place };
        site.run(&[args, &[log.to_str().unwrap()], place].concat());
    }
    for args in [&["status"][..], &["ready", CREDENTIAL], &["check", CREDENTIAL]] {
        daemon.cli(args);
    }
    assert_nothing_leaked(&site, "while it runs");
    assert_eq!(daemon.stop(), Some(0));
    assert_nothing_leaked(&site, "after a stop");
}

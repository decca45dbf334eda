//! What is said before a rotation and while it migrates, by the real binary over a real log.

use serde_json::{Value, json};

use crate::rotation::{declare, drive};
use crate::shop::{CREDENTIAL, Form, Key, Shop, config};
use crate::support::daemon::{Daemon, Ran, Site};
use crate::support::wait::{wait_for, wait_until};

#[test]
fn a_rotation_is_checked_planned_and_followed_to_its_straggler() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let ran = site.run(&["check", CREDENTIAL, "--url", "http://127.0.0.1:1"]);
    assert_eq!(ran.code, Some(2), "nobody looked: {ran:?}");
    says(&ran, &["error    daemon: no keydrain at http://127.0.0.1:1/"]);

    let daemon = site.start();
    let ran = daemon.cli(&["check", CREDENTIAL]);
    assert_eq!(ran.code, Some(2), "no key was seen yet: {ran:?}");
    says(&ran, &["error    credential payments-api: none of its keys was ever read"]);

    the_log_shows_the_old_key(&mut shop, &daemon);
    the_credential_is_good_to_rotate(&mut shop, &daemon);
    the_plan_says_why(&site, &daemon);

    declare(&daemon);
    let ran = daemon.cli(&["check", CREDENTIAL]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    says(&ran, &["error    credential payments-api: rotation payments-api-1 is open for it"]);

    let users = [("checkout", Key::New), ("billing", Key::Old)];
    drive(&mut shop, &daemon, "checkout has moved", &users, |answer| {
        answer["consumers"]["moved"] == 1
    });
    let before = the_straggler_is_named(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = site.start();
    let after = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/migration")).json();
    for field in ["counted_from", "t50_seconds", "moved", "must_move"] {
        assert_eq!(after[field], before[field], "a restart changes nothing: {after}");
    }
    assert_eq!(after["curve"]["consumers"], before["curve"]["consumers"]);
}

fn says(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
}

fn the_log_shows_the_old_key(shop: &mut Shop, daemon: &Daemon<'_>) {
    wait_until("both consumers are read", || {
        if shop.is_due() {
            shop.send("checkout", Key::Old);
            shop.send("billing", Key::Old);
            shop.beat();
        }
        let plan = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/plan")).json();
        plan["consumers"].as_array().is_some_and(|consumers| consumers.len() == 2)
    });
}

fn the_credential_is_good_to_rotate(shop: &mut Shop, daemon: &Daemon<'_>) {
    // On a slow machine the log may be silent for too long between two lines.
    let ran = wait_for("nothing stands in the way", || {
        shop.beat();
        let ran = daemon.cli(&["check", CREDENTIAL]);
        (ran.code == Some(0)).then_some(ran)
    });
    says(
        &ran,
        &[
            "ok       credential payments-api: no rotation is open for it\n",
            "ok       source edge: it is live and shows keys of this credential\n",
            "ok       key 2025-q4: seen, last ",
            " 0 errors, ",
        ],
    );
    let ran = daemon.cli(&["check", CREDENTIAL, "--old-key", "2026-q1", "--output", "json"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let findings = ran.json()["findings"].clone();
    let mut errors =
        findings.as_array().unwrap().iter().filter(|finding| finding["level"] == "error");
    assert!(errors.any(|error| error["subject"] == "key 2026-q1"), "{findings}");
    assert_eq!(daemon.cli(&["check", CREDENTIAL, "--old-key", "typo"]).code, Some(2));
}

fn the_plan_says_why(site: &Site, daemon: &Daemon<'_>) {
    let ran = daemon.cli(&["plan", CREDENTIAL]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    says(
        &ran,
        &[
            "payments-api: key 2025-q4, ",
            "\nquiet period  ",
            "\nbilling   1  ",
            "its uses are one session, which proves nothing",
            "\nnote: the time that consumers take to move is not in the overlap",
        ],
    );
    let plan = daemon.cli(&["plan", CREDENTIAL, "--key", "2025-q4", "--output", "json"]).json();
    assert_eq!((&plan["schema"], &plan["key"]), (&json!("keydrain/plan/v1"), &json!("2025-q4")));
    assert!(plan["quiet_period"]["seconds"].as_f64().unwrap() >= 3.0, "{plan}");
    assert_eq!(daemon.cli(&["plan", "nobody"]).code, Some(2));
    assert_eq!(daemon.cli(&["plan", CREDENTIAL, "--key", "typo"]).code, Some(2));
    assert_eq!(site.run(&["plan", CREDENTIAL, "--url", "http://127.0.0.1:1"]).code, Some(4));
}

fn the_straggler_is_named(daemon: &Daemon<'_>) -> Value {
    let ran = daemon.cli(&["consumers", CREDENTIAL]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[1].starts_with("billing ") && lines[1].contains(" ago "), "{}", ran.out);
    assert!(lines[2].starts_with("checkout  moved "), "{}", ran.out);
    says(
        &ran,
        &[
            "billing was only seen on 2025-q4; it clears with its use of 2026-q1",
            "moved: 1 of 2 (50 %); t50 ",
            "t90 -, t100 - since dual_accept_enabled, ",
            // A move in the second of dual-accept may lie before it: uses are kept to the second.
            "expected end: none; moves since the start of the migration: ",
            ", which tell no pace",
        ],
    );
    let migration = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/migration")).json();
    assert_eq!(migration["schema"], "keydrain/migration/v1");
    assert_eq!(migration["stragglers"][0]["consumer"], "billing");
    let requests = migration["curve"]["requests"].as_array().unwrap();
    let (old, new) = requests.iter().fold((0, 0), |(old, new), window| {
        (old + window["old"].as_u64().unwrap(), new + window["new"].as_u64().unwrap())
    });
    assert!(old > 0 && new > 0, "{migration}");
    migration
}

//! A revocation that one server never heard of, and the checkpoints on the way there.

use serde_json::Value;

use crate::rotation::{declare, drive_to_ready, record};
use crate::shop::{CREDENTIAL, Form, Key, Shop, config};
use crate::support::daemon::{Daemon, Site};
use crate::support::wait::wait_for;

fn checkpoint(daemon: &Daemon<'_>, id: &str, name: &str) -> Value {
    let answer = daemon.get(&format!("/v1/rotations/{id}/checkpoints"));
    assert_eq!(answer.status, 200);
    let all = answer.json()["checkpoints"].clone();
    let found = all.as_array().unwrap().iter().find(|it| it["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{name} is not in {all}"))
}

#[test]
fn an_old_key_that_is_accepted_after_its_revocation_is_a_leak_that_names_who() {
    let site = Site::new(&config(Form::Names));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.start();
    let id = declare(&daemon);
    drive_to_ready(&mut shop, &daemon);
    assert_eq!(checkpoint(&daemon, &id, "pre-revoke")["status"], "pass");
    record(&daemon, "revoked");
    assert_eq!(checkpoint(&daemon, &id, "post-revoke")["status"], "pending");
    let leak = wait_for("the leak is noticed", || {
        if shop.is_due() {
            shop.send("billing", Key::Old);
            shop.beat();
        }
        let found = checkpoint(&daemon, &id, "post-revoke");
        (found["status"] == "fail").then_some(found)
    });
    assert_eq!(leak["reasons"], serde_json::json!(["revocation_leak: billing"]));
    let shown = daemon.cli(&["rotation", "show", CREDENTIAL]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.out.contains("revocation_leak"), "{}", shown.out);
    let health = daemon.get("/v1/health").json();
    assert_eq!(health["total"]["incidents"]["revocation_leak"], 1, "{health}");
    drop(daemon);
    let log = site.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "once, however often it comes: {log}");
    assert!(errors[0].contains("billing") && errors[0].contains("revocation_leak"), "{log}");
}

//! A log of CloudTrail records, one a line: sessions that the old key bought, and addresses.

use std::fs;

use keydrain::clock;
use serde_json::{Value, json};

use crate::rotation::declare;
use crate::shop::{CREDENTIAL, POLICY, subjects};
use crate::support::daemon::{Daemon, SERVER, Site};
use crate::support::wait::wait_for;

const OLD: &str = "AKIAIOSFODNN7EXAMPLE";

fn config() -> String {
    format!(
        "{SERVER}[[source]]\nname = \"trail\"\npaths = [\"trail.log*\"]\nformat = \"cloudtrail\"\n\
         allowed_lateness = \"1s\"\nidle_after = \"5s\"\n\
         [[credential]]\nname = \"{CREDENTIAL}\"\nsources = [\"trail\"]\n\
         keys = [{{ name = \"2025-q4\", id = \"{OLD}\" }}, {{ name = \"2026-q1\", id = \"AKIANEW\" }}]\n\
         {POLICY}anonymous = \"each\"\n"
    )
}

/// Appends a record of `key`, used by `arn` or by an address alone, that was given the key `child`.
fn log(site: &Site, key: &str, arn: Option<&str>, child: Option<&str>) {
    let mut record = json!({
        "eventTime": clock::now().to_string(),
        "sourceIPAddress": "192.0.2.7",
        "userIdentity": {"accessKeyId": key},
    });
    if let Some(arn) = arn {
        record["userIdentity"]["arn"] = arn.into();
    }
    if let Some(child) = child {
        record["responseElements"] = json!({"credentials": {"accessKeyId": child}});
    }
    append(site, &record);
}

fn append(site: &Site, line: &Value) {
    use std::io::Write as _;
    let file = fs::OpenOptions::new().append(true).create(true).open(site.path("trail.log"));
    writeln!(file.unwrap(), "{line}").unwrap();
}

/// Waits until `consumer` is named as a user of the old key.
#[track_caller]
fn wait_for_use(daemon: &Daemon<'_>, consumer: &str) -> Value {
    wait_for(consumer, || {
        let answer = daemon.readiness(CREDENTIAL);
        subjects(&answer, "old_key_in_use").contains(&consumer).then_some(answer)
    })
}

#[test]
fn sessions_of_the_old_key_are_its_use_over_a_restart_and_addresses_are_kept_apart() {
    let site = Site::new(&config());
    log(&site, OLD, Some("arn:buyer"), Some("ASIAONE"));
    let daemon = site.start();
    declare(&daemon);
    let answer = daemon.readiness(CREDENTIAL);
    assert_eq!(answer["old_key"]["accepted"], 1, "{answer}");
    let terms = answer["window"]["terms"].as_array().unwrap();
    let lifetime = terms.iter().find(|term| term["name"] == "max_session_lifetime").unwrap();
    assert_eq!(lifetime["seconds"], 36 * 3600);

    log(&site, "ASIAONE", Some("arn:user"), Some("ASIATWO"));
    wait_for_use(&daemon, "arn:user");
    assert_eq!(daemon.stop(), Some(0));

    let daemon = site.start();
    log(&site, "ASIATWO", None, None);
    log(&site, "ASIASTRANGER", Some("arn:stranger"), None);
    wait_for_use(&daemon, "192.0.2.7");
    wait_for("the stranger was read", || (daemon.source()["lines"] == 4).then_some(()));
    let answer = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let consumers = answer["consumers"].as_array().unwrap().iter();
    let consumers: Vec<_> =
        consumers.map(|one| (one["consumer"].as_str().unwrap(), one["named"] == true)).collect();
    assert_eq!(consumers, [("192.0.2.7", false), ("arn:buyer", true), ("arn:user", true)]);
}

#[test]
fn a_document_is_never_taken_for_records_and_makes_it_unknown() {
    let site = Site::new(&config());
    log(&site, OLD, Some("arn:buyer"), None);
    let daemon = site.start();
    declare(&daemon);
    append(&site, &json!({"Records": [{"userIdentity": {"accessKeyId": OLD}}]}));
    let answer = wait_for("the document is a reject", || {
        let answer = daemon.readiness(CREDENTIAL);
        subjects(&answer, "rejects").contains(&"2025-q4").then_some(answer)
    });
    assert_eq!(answer["old_key"]["accepted"], 1, "{answer}");
}

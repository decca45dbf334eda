//! A probe in the log and a load balancer's log beside it: what the program makes of both.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use keydrain::clock;
use serde_json::{Value, json};

use crate::rotation::{declare, drive};
use crate::shop::{Form, Key, Shop, config};
use crate::support::daemon::Site;

/// Writes the line of a probe as the server does.
fn probe(log: &Path) {
    let at = clock::now().as_nanos() / 1_000_000;
    let (seconds, millis) = (at / 1_000, at % 1_000);
    let line = format!("{seconds}.{millis:03} 192.0.2.9 \"-\" door \"GET / HTTP/1.1\" 200\n");
    let mut file = OpenOptions::new().append(true).open(log).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// Returns what stands, each code once.
fn codes(answer: &Value) -> Vec<&str> {
    let blockers = answer["blockers"].as_array().unwrap();
    blockers.iter().map(|blocker| blocker["code"].as_str().unwrap()).collect()
}

#[test]
fn a_probe_must_show_up_and_a_best_effort_log_need_not() {
    let declared =
        config(Form::Names).replace("sources = [\"edge\"]", "sources = [\"edge\", \"lb\"]");
    let site = Site::new(&format!(
        "{declared}\n[[source]]\nname = \"lb\"\npaths = [\"web/logs/lb.log*\"]\n\
         credential = \"query:key\"\nevidence = \"positive-only\"\ncovered_by = \"edge\"\n\
         [[probe]]\nname = \"front-door\"\nid = \"door\"\nsources = [\"edge\"]\n\
         every = \"1s\"\nwithin = \"4s\"\n"
    ));
    let mut shop = Shop::open(&site, Form::Names);
    let daemon = site.start();
    declare(&daemon);
    let log = shop.log();
    drive(&mut shop, &daemon, "the old key is seen", &[("checkout", Key::Old)], |answer| {
        codes(answer).contains(&"old_key_in_use")
    });
    let moved = [("checkout", Key::New)];
    let answer = drive(&mut shop, &daemon, "the probe alone is missing", &moved, |answer| {
        codes(answer) == ["probe_missing"]
    });
    assert_eq!(answer["verdict"], "unknown", "{answer}");
    assert_eq!(answer["blockers"][0]["subject"], "front-door@edge", "{answer}");
    assert_eq!(answer["evidence"]["sources"][0]["probe_last_seen"], Value::Null, "{answer}");

    let ready = drive(&mut shop, &daemon, "ready", &moved, |answer| {
        probe(&log);
        answer["ready"] == true
    });
    let [edge, lb] = &ready["evidence"]["sources"].as_array().unwrap()[..] else {
        panic!("{ready}")
    };
    assert!(edge["probe_last_seen"].is_string(), "{ready}");
    assert_eq!((&lb["state"], &lb["basis"]), (&json!("absent"), &json!("none")), "{ready}");
    assert_eq!(ready["consumers"]["total"], 1, "a probe is no consumer: {ready}");
    let sources = daemon.get("/v1/sources").json();
    assert!(sources["sources"][0]["probe_last_seen"].is_string(), "{sources}");
    drive(&mut shop, &daemon, "the probe is missed again", &moved, |answer| {
        codes(answer) == ["probe_missing"]
    });
}

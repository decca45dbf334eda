//! `keydrain probe` through a real nginx: what it sends, what it waits for, what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::daemon::{SERVER, Site};
use crate::support::nginx::Nginx;
use crate::support::wait::wait_until;

const PROBE_KEY: &str = "probe_0f3c9b7e5d2a4c61";
const OLD_KEY: &str = "sk_live_8d1f6a2b4c3e5079";

const DOORS: &str = "
    access_log logs/edge.log combined;
    access_log logs/mirror.log combined;
    server {
        listen LISTEN;
        location = /edge-only { access_log logs/edge.log combined; return 204; }
        location = /refused { return 401; }
        location / { return 200 ok; }
    }
";

fn config(probes: &str) -> String {
    let source = |name: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\npaths = [\"web/logs/{name}.log*\"]\n\
             format = \"combined\"\ncredential = \"query:api_key\"\n"
        )
    };
    format!(
        "{SERVER}{}{}[[credential]]\nname = \"payments-api\"\nsources = [\"edge\", \"mirror\"]\n\
         keys = [{{ name = \"2025-q4\", secret_file = \"old\" }}, \
         {{ name = \"2026-q1\", id = \"2026-q1\" }}]\n{probes}",
        source("edge"),
        source("mirror")
    )
}

const FRONT_DOOR: &str =
    "[[probe]]\nname = \"front-door\"\nsecret_file = \"probe\"\nsources = [\"edge\", \"mirror\"]\n";

fn site(probes: &str) -> Site {
    let site = Site::new(&config(probes));
    fs::create_dir_all(site.path("web/logs")).unwrap();
    fs::write(site.path("probe"), format!("{PROBE_KEY}\n")).unwrap();
    fs::write(site.path("old"), format!("{OLD_KEY}\n")).unwrap();
    site
}

fn logged(log: &Path) -> usize {
    fs::read_to_string(log).unwrap_or_default().matches(PROBE_KEY).count()
}

#[test]
fn a_probe_is_seen_in_each_source_and_the_one_that_does_not_show_it_is_named() {
    let site = site(FRONT_DOOR);
    let nginx = Nginx::start(&site.path("web"), DOORS);
    let daemon = site.start();
    let sources = daemon.get("/v1/sources").json();
    assert_eq!(sources["sources"][1]["probes"][0]["last_seen"], Value::Null, "{sources}");

    let probe = |path: &str, more: &[&str]| {
        let url = format!("http://127.0.0.1:{}/{path}", nginx.port());
        let daemon = format!("http://{}", daemon.address());
        let args = ["probe", "--url", &url, "--query", "api_key", "--daemon", &daemon];
        site.run(&[&args[..], more].concat())
    };
    let seen = probe("refused", &["--wait", "60s", "--output", "json"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let answer = seen.json();
    assert_eq!(answer["probe"], "front-door");
    // A refusal is in the log like anything else.
    assert_eq!(answer["status"], 401);
    assert_eq!(answer["missing"].as_array().map(Vec::len), Some(0), "{answer}");
    let sources = daemon.get("/v1/sources").json();
    for source in sources["sources"].as_array().unwrap() {
        assert_eq!(source["probes"][0]["name"], "front-door", "{source}");
        assert!(source["probes"][0]["last_seen"].is_string(), "{source}");
    }

    // The sighting before is none of this probe, though it is as young as that.
    let late = probe("edge-only", &["--wait", "2s"]);
    assert_eq!(late.code, Some(124), "{late:?}");
    assert!(late.out.contains("front-door: status 204 after "), "{late:?}");
    assert!(late.out.ends_with("; not seen in mirror\n"), "{late:?}");
    assert_eq!(logged(&site.path("web/logs/edge.log")), 2);
    assert_eq!(logged(&site.path("web/logs/mirror.log")), 1);
}

#[test]
fn a_probe_is_sent_over_and_over_also_while_the_front_door_is_shut() {
    let site = site(FRONT_DOOR);
    let nginx = Nginx::start(&site.path("web"), DOORS);
    let url = format!("http://127.0.0.1:{}/", nginx.port());
    let sending =
        site.begin(site.keydrain(&["probe", "--url", &url, "--query", "api_key", "--every", "1s"]));
    let log = site.path("web/logs/edge.log");
    wait_until("two probes are in the log", || logged(&log) >= 2);
    drop(nginx);
    wait_until("a shut door is told", || sending.err().contains("does not answer"));
    let stopped = sending.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(stopped.out.lines().count() >= 2, "{stopped:?}");
    assert!(stopped.out.lines().all(|line| line.contains("front-door: status 200")), "{stopped:?}");
    assert!(!stopped.err.contains(PROBE_KEY), "{stopped:?}");
}

/// Makes a certificate for this host that no system trusts.
fn certificate(folder: &Path) -> PathBuf {
    let ca = folder.join("ca.pem");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=front-door"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(&ca)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{made:?}");
    ca
}

#[test]
fn a_front_door_with_tls_is_trusted_by_its_certificate_alone() {
    let site = site(FRONT_DOOR);
    let web: TempDir = tempfile::tempdir().unwrap();
    let ca = certificate(web.path());
    fs::create_dir_all(web.path().join("logs")).unwrap();
    let nginx = Nginx::start(
        web.path(),
        "access_log logs/edge.log combined;
         log_format header '$http_authorization';
         server {
             listen LISTEN ssl;
             ssl_certificate ca.pem;
             ssl_certificate_key key.pem;
             access_log logs/header.log header;
             location / { return 200 ok; }
         }",
    );
    let url = format!("https://127.0.0.1:{}/health?x=1", nginx.port());
    let args = ["probe", "--url", &url, "--header", "Authorization: Bearer {key}"];
    let refused = site.run(&args);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.err.contains("certificate"), "{refused:?}");
    assert_eq!(refused.out, "");
    let trusted = site.run(&[&args[..], &["--ca-file", ca.to_str().unwrap()]].concat());
    assert_eq!(trusted.code, Some(0), "{trusted:?}");
    let header = web.path().join("logs/header.log");
    assert_eq!(fs::read_to_string(header).unwrap(), format!("Bearer {PROBE_KEY}\n"));
    for ran in [&refused, &trusted] {
        assert!(!format!("{ran:?}").contains(PROBE_KEY), "{ran:?}");
    }
}

#[track_caller]
fn refused(site: &Site, args: &[&str], message: &str) {
    let ran = site.run(&[&["probe"], args].concat());
    assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{ran:?}");
    assert!(ran.err.contains(message), "{message}\n{ran:?}");
    assert!(!ran.err.contains(PROBE_KEY) && !ran.err.contains(OLD_KEY), "{ran:?}");
}

#[test]
fn a_key_that_is_rotated_is_never_sent_and_each_refusal_says_what_to_do() {
    let door = ["--url", "http://127.0.0.1:1/", "--query", "api_key"];
    let with = |more: &[&'static str]| [&door[..], more].concat();
    let one = site(FRONT_DOOR);
    refused(&one, &with(&["--key-file", "old"]), "give the probe a key of its own");
    fs::write(one.path("public"), "2026-q1").unwrap();
    refused(&one, &with(&["--key-file", "public"]), "has the key `2026-q1` of credential");
    refused(&one, &with(&["side-door"]), "no probe `side-door`: there is front-door");
    refused(&one, &with(&["--ca-file", "probe"]), "--ca-file probe: ");
    refused(&one, &["--url", "api.example.com", "--query", "k"], "must be the whole address");
    refused(&one, &["--url", "http://127.0.0.1:1/"], "--header <HEADER>");
    refused(&one, &["--url", "http://127.0.0.1:1/", "--header", "X: key"], "where the key goes");
    refused(&one, &with(&["--every", "0s"]), "not a time like 60s");

    refused(&site(""), &door, "declare one");
    let named = "[[probe]]\nname = \"named\"\nid = \"door\"\nsources = [\"edge\"]\n";
    refused(&site(named), &door, "add --key-file FILE");
    let two = format!("{FRONT_DOOR}{named}");
    refused(&site(&two), &door, "name one of front-door, named");

    // Nobody listens there. The address is told without the key in it.
    let shut = one.run(&[&["probe"], &door[..]].concat());
    assert_eq!(shut.code, Some(4), "{shut:?}");
    assert!(shut.err.contains("the front door http://127.0.0.1:1/ does not answer"), "{shut:?}");
    assert!(!shut.err.contains(PROBE_KEY) && !shut.err.contains("api_key"), "{shut:?}");
}

#[test]
fn a_key_that_is_known_by_its_fingerprint_alone_is_never_sent() {
    let door = ["--url", "http://127.0.0.1:1/", "--query", "api_key", "--key-file", "third"];
    let site = site(FRONT_DOOR);
    fs::write(site.path("third"), "sk_live_77aa10c2b94e4d15").unwrap();
    let daemon = site.start();
    let mut print = site.keydrain(&["fingerprint"]);
    let printed = print.stdin(fs::File::open(site.path("third")).unwrap()).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let fingerprint = printed.trim();
    assert!(fingerprint.starts_with("kd1:"), "{printed:?}");
    let by_hand = json!({"name": "2026-q2", "fingerprint": fingerprint});
    let body = json!({"credential": "payments-api", "old_key": "2025-q4", "new_key": by_hand});
    let started = daemon.post("/v1/rotations", &body);
    assert_eq!(started.status, 201, "{started:?}");
    refused(&site, &door, "has the key `2026-q2` of credential `payments-api`");
    assert_eq!(daemon.stop(), Some(0));
    refused(&site, &door, "has the key `2026-q2` of credential `payments-api`");

    let config = fs::read_to_string(site.path("keydrain.toml")).unwrap();
    let declared = format!("{{ name = \"2026-q1\", fingerprint = \"{fingerprint}\" }}");
    let config = config.replace("{ name = \"2026-q1\", id = \"2026-q1\" }", &declared);
    fs::write(site.path("keydrain.toml"), config).unwrap();
    refused(&site, &door, "has the key `2026-q1` of credential `payments-api`");
}

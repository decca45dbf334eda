//! Bad input to the real program: the exit code, what is named, and the way out that is told.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::rotation::{declare, gate_by_curl};
use crate::shop::{CREDENTIAL, Form, config, subjects};
use crate::support::daemon::{Daemon, Ran, SERVER, Site, without_powers};
use crate::support::wait::wait_for;

/// A config without problems, on a folder without logs.
fn good() -> String {
    config(Form::Names)
}

/// Returns `good` with `from` replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    let text = good();
    assert_eq!(text.matches(from).count(), 1, "{from} is not in the config once");
    text.replace(from, to)
}

/// Asserts that `run` refuses to start with code 2, and that its one message says all of `parts`.
#[track_caller]
fn assert_refused(site: &Site, parts: &[&str]) {
    let ran = site.run(&["run"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_says(&ran, parts);
}

#[track_caller]
fn assert_says(ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.out, "", "stdout is for answers");
    assert!(ran.err.lines().any(|line| line.starts_with("keydrain: ")), "{}", ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "`{part}` is not in: {}", ran.err);
    }
    for noise in ["panicked", "RUST_BACKTRACE", "Os {", "kdmark"] {
        assert!(!ran.err.contains(noise), "{}", ran.err);
    }
}

#[test]
fn a_bad_config_is_refused_with_line_cause_and_way_out() {
    // (what, config, what the message says)
    let cases: [(&str, String, &[&str]); 8] = [
        (
            "unknown key",
            changed("idle_after", "idle_affter"),
            &["keydrain.toml:13:1", "unknown key `idle_affter`", "did you mean `idle_after`?"],
        ),
        (
            "wrong type",
            changed("lease = \"10s\"", "lease = 10"),
            &["keydrain.toml:", "`lease` is an integer", "write a duration"],
        ),
        (
            "contradiction",
            changed("max_evidence_lag = \"20s\"", "max_evidence_lag = \"5s\""),
            &[
                "keydrain.toml:",
                "`max_evidence_lag` (5s) is less than",
                "source `edge`",
                "raise it to at least \"6s\"",
            ],
        ),
        ("no TOML", changed("[state]", "[state"), &["keydrain.toml:4"]),
        (
            "unknown source",
            changed("sources = [\"edge\"]", "sources = [\"egde\"]"),
            &["keydrain.toml:", "egde", "edge"],
        ),
        (
            "reachable without a token",
            good().replace("127.0.0.1:0", "0.0.0.0:0").replace("token_file = \"token\"\n", ""),
            &["keydrain.toml:2", "reachable from other hosts", "set `token_file`"],
        ),
        (
            "a raw secret in place of a file",
            changed("id = \"2025-q4\"", "secret = \"kdmark-a-raw-secret\""),
            &["keydrain.toml:", "secret_file"],
        ),
        (
            "a part of a later version",
            changed("paths =", "kind = \"cloudwatch\"\npaths ="),
            &["keydrain.toml:", "cloudwatch", "not supported by this version"],
        ),
    ];
    for (what, config, parts) in cases {
        println!("{what}");
        assert_refused(&Site::new(&config), parts);
    }
}

#[test]
fn all_problems_of_a_config_are_told_at_once() {
    let config = changed("lease = \"10s\"", "lease = 10").replace("idle_after", "idle_affter");
    assert_refused(&Site::new(&config), &["idle_affter", "`lease` is an integer"]);
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let site = Site::new("");
    fs::remove_file(site.path("keydrain.toml")).unwrap();
    let path = site.path("keydrain.toml").display().to_string();
    assert_refused(&site, &[&path, "--config"]);
    let asked = site.run(&["ready", CREDENTIAL]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert_says(&asked, &[&path]);
}

#[test]
fn a_secret_file_that_cannot_be_used_is_named_and_never_quoted() {
    let with_file = changed("id = \"2025-q4\"", "secret_file = \"secret\"");
    let site = Site::new(&with_file);
    let path = site.path("secret").display().to_string();
    assert_refused(&site, &[&path, "2025-q4"]);
    for text in ["kdmark with spaces", " kdmark", "kdmark\r\n", "kdmark\n\n", "", "\n"] {
        fs::write(site.path("secret"), text).unwrap();
        println!("{text:?}");
        assert_refused(&site, &[&path]);
    }
    fs::write(site.path("secret"), "kdmark-old").unwrap();
    fs::set_permissions(site.path("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let refused = site.begin(without_powers(&site.keydrain(&["run"]))).end();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_says(&refused, &[&path]);
}

#[test]
fn a_token_file_that_cannot_be_used_is_named() {
    let site = Site::new(&good());
    let path = site.path("token").display().to_string();
    fs::write(site.path("token"), "kdmark two words").unwrap();
    assert_refused(&site, &["token file", &path, "one word", "openssl rand -hex 32"]);
    fs::remove_file(site.path("token")).unwrap();
    assert_refused(&site, &["token file", &path, "check that it exists"]);
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::new(&good().replace("127.0.0.1:0", &address));
    assert_refused(&site, &[&address, "change server.listen"]);
}

#[test]
fn a_second_daemon_on_a_state_is_refused_and_the_first_goes_on() {
    let site = Site::new(&good());
    let daemon = site.spawn(site.keydrain(&["run"]));
    let lock = site.path("state/lock").display().to_string();
    assert_refused(&site, &["another keydrain", &lock, "stop it"]);
    assert_eq!(daemon.get("/healthz").status, 200);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(site.spawn(site.keydrain(&["run"])).stop(), Some(0));
}

/// Returns a site whose state has a history, and no daemon.
fn with_history() -> Site {
    let site = Site::new(&good());
    fs::create_dir_all(site.path("web/logs")).unwrap();
    let line = r#"1700000000.000 192.0.2.1 "checkout" 2025-q4 "GET / HTTP/1.1" 200"#;
    fs::write(site.path("web/logs/access.log"), format!("{line}\n")).unwrap();
    let daemon = site.start();
    declare(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!site.path("state/keydrain.db-wal").exists(), "a clean stop leaves one file");
    site
}

#[test]
fn a_state_that_is_damaged_is_refused_and_left_as_it_is() {
    let site = with_history();
    let database = site.path("state/keydrain.db");
    let whole = fs::read(&database).unwrap();
    let shown = database.display().to_string();
    let half = whole.len() / 2 / 4096 * 4096;
    let mut overwritten = whole.clone();
    for byte in &mut overwritten[4096..half] {
        *byte ^= 0x5a;
    }
    let mut no_header = whole.clone();
    no_header[..16].fill(b'x');
    for (what, bytes) in [
        ("pages are overwritten", overwritten),
        ("the header is gone", no_header),
        ("the second half is gone", whole[..half].to_vec()),
        ("only some bytes are left", whole[..100].to_vec()),
    ] {
        println!("{what}");
        fs::write(&database, &bytes).unwrap();
        assert_refused(&site, &[&shown, "restore a backup"]);
        assert_eq!(fs::read(&database).unwrap(), bytes, "{what}: evidence of the damage is kept");
    }
    fs::write(&database, whole).unwrap();
    assert_eq!(site.start().stop(), Some(0));
}

#[test]
fn a_state_of_a_newer_version_is_refused() {
    let site = with_history();
    let database = site.path("state/keydrain.db");
    set_schema(&database, 99);
    let shown = database.display().to_string();
    assert_refused(&site, &[&shown, "schema 99", "start the newer keydrain"]);
    set_schema(&database, 1);
    assert_eq!(site.start().stop(), Some(0));
}

fn set_schema(database: &Path, version: i64) {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}

#[test]
fn a_lost_or_changed_fingerprint_secret_is_refused_and_no_new_one_is_made() {
    let site = with_history();
    let secret = site.path("state/fingerprint.key");
    let shown = secret.display().to_string();
    let kept = fs::read_to_string(&secret).unwrap();
    fs::remove_file(&secret).unwrap();
    assert_refused(&site, &[&shown, "is missing", "restore it from a backup"]);
    assert!(!secret.exists());

    let write = |text: &str, mode| {
        fs::write(&secret, text).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    };
    write(&"0123456789abcdef".repeat(4), 0o600);
    assert_refused(&site, &[&shown, "is not the one that", "keydrain.db"]);
    write(&kept, 0o644);
    assert_refused(&site, &[&shown, "chmod 600"]);
    write(&kept, 0o600);
    assert_eq!(site.start().stop(), Some(0));
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named() {
    let site = Site::new(&good());
    fs::write(site.path("state"), "a file").unwrap();
    assert_refused(&site, &[&site.path("state").display().to_string()]);
    fs::remove_file(site.path("state")).unwrap();
    fs::create_dir(site.path("state")).unwrap();
    fs::set_permissions(site.path("state"), fs::Permissions::from_mode(0o500)).unwrap();
    let refused = site.begin(without_powers(&site.keydrain(&["run"]))).end();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_says(&refused, &[&site.path("state").display().to_string(), "check owner and mode"]);
}

/// Waits until the answer has a blocker of `code`; it must be `unknown` all the time.
fn unknown_for(daemon: &Daemon<'_>, code: &str) -> Value {
    wait_for(code, || {
        let answer = daemon.readiness(CREDENTIAL);
        assert_eq!(answer["verdict"], "unknown", "{answer}");
        (!subjects(&answer, code).is_empty()).then_some(answer)
    })
}

#[test]
fn a_log_that_is_not_there_is_named_and_the_daemon_runs() {
    let site = Site::new(&good());
    let daemon = site.start();
    declare(&daemon);
    let answer = unknown_for(&daemon, "source_absent");
    assert_eq!(subjects(&answer, "source_absent"), ["edge"]);
    let ran = daemon.cli(&["ready", CREDENTIAL]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains("web/logs/access.log*"), "{}", ran.out);
    assert_eq!(gate_by_curl(&daemon), 503);
    let absent = daemon.source()["absent"].to_string();
    assert!(absent.contains("web/logs/access.log*"), "{absent}");
}

#[test]
fn a_log_directory_that_cannot_be_read_is_named_and_the_daemon_runs() {
    let site = Site::new(&good());
    let logs = site.path("web/logs");
    fs::create_dir_all(&logs).unwrap();
    fs::write(logs.join("access.log"), "").unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o000)).unwrap();
    let daemon = site.spawn(without_powers(&site.keydrain(&["run"])));
    declare(&daemon);
    let answer = unknown_for(&daemon, "source_unreadable");
    let named = logs.display().to_string();
    assert!(subjects(&answer, "source_unreadable").contains(&named.as_str()), "{answer}");
    let ran = daemon.cli(&["ready", CREDENTIAL]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains("let the daemon's user read it"), "{}", ran.out);
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_wrong_token_changes_nothing_and_the_message_says_where_the_right_one_is() {
    let site = Site::new(&good());
    let daemon = site.spawn(site.keydrain(&["run"]));
    let body = json!({"credential": CREDENTIAL, "old_key": "2025-q4", "new_key": "2026-q1"});
    for token in [Some("kdmark-wrong"), None] {
        let reply = daemon.request("POST", "/v1/rotations", token, &body.to_string()).unwrap();
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(reply.head.contains("www-authenticate: Bearer"), "{}", reply.head);
        assert_eq!(reply.json()["type"], "urn:keydrain:problem:unauthorized");
        assert!(reply.body.contains("token_file") && !reply.body.contains("kdmark"), "{reply:?}");
    }
    fs::write(site.path("wrong"), "kdmark-wrong\n").unwrap();
    let wrong = ["--token-file", "wrong"];
    let start = ["rotation", "start", CREDENTIAL, "--old", "2025-q4", "--new", "2026-q1"];
    let ran = daemon.cli(&[&start[..], &wrong].concat());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_says(&ran, &["token_file"]);
    assert_eq!(daemon.get("/v1/rotations").json(), json!({"rotations": []}));
    // Reading on this host needs none.
    assert_eq!(daemon.cli(&["status"]).code, Some(0));
}

#[test]
fn without_a_token_file_every_post_is_refused_and_the_message_says_how_to_get_one() {
    let site = Site::new(&good().replace("token_file = \"token\"\n", ""));
    let daemon = site.spawn(site.keydrain(&["run"]));
    let body = json!({"credential": CREDENTIAL, "old_key": "2025-q4", "new_key": "2026-q1"});
    let reply = daemon.post("/v1/rotations", &body);
    assert_eq!(reply.status, 403, "{reply:?}");
    assert_eq!(reply.json()["type"], "urn:keydrain:problem:no_token_configured");
    let start = ["rotation", "start", CREDENTIAL, "--old", "2025-q4", "--new", "2026-q1"];
    let ran = daemon.cli(&start);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_says(&ran, &["`token_file` under [server]", "restart keydrain"]);
}

#[test]
fn what_does_not_exist_is_a_usage_error_that_says_where_to_look() {
    let site = Site::new(&good());
    let daemon = site.spawn(site.keydrain(&["run"]));
    // (arguments, part of the message)
    let cases: [(&[&str], &str); 8] = [
        (&["ready", "nobody"], "/v1/credentials"),
        (&["ready", CREDENTIAL], "start one"),
        (&["consumers", "nobody"], "/v1/credentials"),
        (&["rotation", "show", "nobody"], "keydrain rotation list"),
        (&["rotation", "event", "nobody", "hold"], "keydrain rotation list"),
        (&["rotation", "event", CREDENTIAL, "hold"], "start one"),
        (&["rotation", "start", "nobody", "--old", "a", "--new", "b"], "/v1/credentials"),
        (&["rotation", "start", CREDENTIAL, "--old", "typo", "--new", "2026-q1"], "`keys`"),
    ];
    for (args, part) in cases {
        println!("{args:?}");
        let ran = daemon.cli(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert_says(&ran, &[part]);
    }
    for path in ["/v1/rotations/none", "/v1/rotations/none/readiness", "/v1/credentials/none"] {
        let reply = daemon.get(path);
        assert_eq!(reply.status, 404, "{reply:?}");
        assert!(reply.head.contains("application/problem+json"), "{}", reply.head);
        assert!(reply.json()["detail"].as_str().unwrap().contains("lists them"), "{reply:?}");
    }
}

#[test]
fn a_second_open_rotation_is_refused_and_the_first_one_named() {
    let site = Site::new(&good());
    let daemon = site.spawn(site.keydrain(&["run"]));
    let id = declare(&daemon);
    let body = json!({"credential": CREDENTIAL, "old_key": "2026-q1", "new_key": "2025-q4"});
    let reply = daemon.post("/v1/rotations", &body);
    assert_eq!(reply.status, 409, "{reply:?}");
    assert_eq!(reply.json()["type"], "urn:keydrain:problem:rotation_in_progress");
    assert_eq!(reply.json()["rotation"], id);
    let start = ["rotation", "start", CREDENTIAL, "--old", "2026-q1", "--new", "2025-q4"];
    let ran = daemon.cli(&start);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_says(&ran, &[&id, "`revoked` or `rolled_back`"]);
    assert_eq!(daemon.cli(&["rotation", "event", CREDENTIAL, "rolled_back"]).code, Some(0));
    assert_eq!(daemon.cli(&start).code, Some(0));
}

#[test]
fn a_url_where_nobody_or_somebody_else_answers_is_unreachable() {
    let site = Site::new(SERVER);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = site.run(&["ready", CREDENTIAL, "--url", &format!("http://{closed}")]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_says(&ran, &[&closed.to_string(), "is `keydrain run` running?"]);
    let ran = site.run(&["ready", CREDENTIAL, "--url", "ftp://somewhere"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_says(&ran, &["http://host:7677"]);
}

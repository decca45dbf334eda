//! A real nginx and a real Apache that go on writing to a log that was moved away.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use keydrain::clock;

use crate::site::{CREDENTIAL, Counts, LOG_FORMAT, assert_each_once, counted, declare, site};
use crate::support::apache::Apache;
use crate::support::daemon::Site;
use crate::support::nginx::Nginx;
use crate::support::wait::wait_until;

/// Requests between two steps of a rotation: fewer than a buffer holds.
const REQUESTS: usize = 40;

/// Returns what nginx is to do, with `options` of `access_log`.
fn nginx(site: &Site, options: &str) -> String {
    let log = site.path("logs/access.log");
    format!(
        "log_format keys '{LOG_FORMAT}';\naccess_log {} keys {options};\n\
         server {{ listen LISTEN; location / {{ return 204; }} }}",
        log.display()
    )
}

fn web(site: &Site) -> std::path::PathBuf {
    let web = site.path("web");
    fs::create_dir_all(&web).unwrap();
    web
}

#[test]
fn row_02_nginx_with_a_buffer_fills_the_file_that_was_moved_away_until_it_is_told() {
    let site = site();
    let server = Nginx::start(&web(&site), &nginx(&site, "buffer=64k flush=1s"));
    let daemon = site.start();
    declare(&daemon);
    let mut ledger = Counts::new();
    let mut ask = |consumer: &str, key: &str| {
        for _ in 0..REQUESTS {
            assert_eq!(server.get("/", &[("x-client", consumer), ("x-key", key)]), 204);
            *ledger.entry(consumer.to_owned()).or_default() += 1;
        }
        ledger.clone()
    };
    let before = ask("before", "2025-q4");
    assert_each_once(&daemon, &before, "before the rotation");
    let log = site.path("logs/access.log");
    fs::rename(&log, log.with_extension("log.1")).unwrap();
    // They are in its buffer, and then in the file of which it does not know the new name.
    let between = ask("between", "2025-q4");
    assert_each_once(&daemon, &between, "before nginx is told");
    assert!(!log.exists());
    let again = ask("between again", "2026-q1");
    server.reopen();
    wait_until("nginx makes a new log", || log.exists());
    assert_each_once(&daemon, &again, "what the buffer held when nginx was told");
    let after = ask("after", "2026-q1");
    assert_each_once(&daemon, &after, "after the rotation");
}

#[test]
fn row_31_a_use_in_the_buffer_of_a_silent_server_is_waited_for() {
    let site = site();
    let first = format!(
        "{}.000 192.0.2.7 \"first\" \"2026-q1\" \"GET / HTTP/1.1\" 204\n",
        clock::now().as_seconds()
    );
    fs::write(site.path("logs/access.log"), first).unwrap();
    let server = Nginx::start(&web(&site), &nginx(&site, "buffer=64k"));
    let daemon = site.start();
    declare(&daemon);
    let mut ledger = Counts::from([("first".to_owned(), 1)]);
    assert_eq!(server.get("/", &[("x-client", "late"), ("x-key", "2025-q4")]), 204);
    wait_until("the source is silent", || {
        let answer = daemon.readiness(CREDENTIAL);
        assert_ne!(answer["ready"], true, "{answer}");
        daemon.source()["state"] == "silent"
    });
    let answer = daemon.readiness(CREDENTIAL);
    assert_eq!(answer["verdict"], "unknown", "{answer}");
    assert_eq!(counted(&daemon), ledger, "it is not written yet");
    // It writes what it holds when it ends.
    drop(server);
    ledger.insert("late".to_owned(), 1);
    assert_each_once(&daemon, &ledger, "the buffer is written");
    assert_ne!(daemon.readiness(CREDENTIAL)["ready"], true);
}

#[test]
fn row_02_a_child_of_apache_writes_to_the_old_log_after_a_graceful_restart() {
    let site = site();
    let log = site.path("logs/access.log");
    let format = LOG_FORMAT
        .replace("$msec", "%{sec}t.%{msec_frac}t")
        .replace("$remote_addr", "%h")
        .replace("$http_x_client", "%{x-client}i")
        .replace("$http_x_key", "%{x-key}i")
        .replace("$request", "%r")
        .replace("$status", "%>s")
        .replace('"', "\\\"");
    let config = format!("LogFormat \"{format}\" keys\nCustomLog \"{}\" keys\n", log.display());
    let server = Apache::start_with_children(&web(&site), &["log_config"], &config);
    let daemon = site.start();
    declare(&daemon);
    let mut ledger = Counts::new();
    let mut counts_with = |consumer: &str| {
        *ledger.entry(consumer.to_owned()).or_default() += 1;
        ledger.clone()
    };
    let port = server.port();
    Slow::begin(port, "before").end();
    assert_each_once(&daemon, &counts_with("before"), "before the restart");
    let slow = Slow::begin(port, "slow");
    fs::rename(&log, log.with_extension("log.1")).unwrap();
    server.restart_gracefully();
    wait_until("Apache makes a new log", || log.exists());
    Slow::begin(port, "after").end();
    assert_each_once(&daemon, &counts_with("after"), "the new children");
    slow.end();
    assert_each_once(&daemon, &counts_with("slow"), "the old child");
    assert!(fs::read_to_string(log.with_extension("log.1")).unwrap().contains("slow"));
}

/// A request that takes its time.
struct Slow(TcpStream);

impl Slow {
    /// Sends all but the end of a request.
    fn begin(port: u16, consumer: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nx-key: 2026-q1\r\n\
             x-client: {consumer}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Self(stream)
    }

    /// Sends the end and reads the answer.
    fn end(mut self) {
        self.0.write_all(b"\r\n").unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
}

//! Real servers that hold lines back: in a buffer, or in a child that outlives the rotation.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use keydrain::clock;
use keydrain::engine::time::Timestamp;
use serde_json::Value;

use crate::counted::{CREDENTIAL, FORMAT, assert_requests_counted, config_of, declare, time};
use crate::support::apache::Apache;
use crate::support::daemon::{Daemon, Site};
use crate::support::nginx::{Nginx, get};
use crate::support::wait::{DEADLINE, wait_for, wait_until};
use crate::writer::Counts;

/// The quiet that the policy of [`config_of`] requires.
const QUIET: Duration = Duration::from_secs(3);

/// A client that remembers what it sent.
#[derive(Default)]
struct Client {
    sent: Counts,
}

impl Client {
    /// Sends one request with the key that is named so.
    fn send(&mut self, port: u16, key: &'static str) {
        assert_eq!(get(port, "/", &[("X-Key-Name", key), ("X-Client", "checkout")]), 200);
        self.note(key);
    }

    /// Sends so many requests with the new key.
    fn send_new(&mut self, port: u16, count: usize) {
        for _ in 0..count {
            self.send(port, "2026-q1");
        }
    }

    fn note(&mut self, key: &'static str) {
        *self.sent.entry(("checkout".to_owned(), key)).or_default() += 1;
    }
}

/// Returns nginx's configuration with a log that has `options`.
fn http(site: &Site, options: &str) -> String {
    let log = site.path("logs/access.log").display().to_string();
    format!(
        r#"
    log_format keys '$msec $remote_addr "$http_x_client" $http_x_key_name "$request" $status';
    access_log {log} keys {options};
    server {{ listen LISTEN; location / {{ return 200 "ok"; }} }}
"#
    )
}

fn nginx(site: &Site, options: &str) -> Nginx {
    for folder in ["logs", "web"] {
        fs::create_dir(site.path(folder)).unwrap();
    }
    Nginx::start(&site.path("web"), &http(site, options))
}

fn size(site: &Site, name: &str) -> u64 {
    fs::metadata(site.path(name)).map_or(0, |file| file.len())
}

#[test]
fn row_02_lines_that_nginx_buffers_past_a_rename_are_counted() {
    let site = Site::new(&config_of(FORMAT, "10s", "5s"));
    let nginx = nginx(&site, "buffer=64k flush=5s");
    let mut client = Client::default();
    let daemon = site.start();
    declare(&daemon);
    client.send_new(nginx.port(), 20);
    fs::rename(site.path("logs/access.log"), site.path("logs/access.log.1")).unwrap();
    let before = size(&site, "logs/access.log.1");
    client.send(nginx.port(), "2025-q4");
    wait_until("nginx goes on in the old file", || size(&site, "logs/access.log.1") > before);
    assert_requests_counted(&daemon, &client.sent, "before the signal");

    // Held back once more, until the signal that comes too late.
    client.send_new(nginx.port(), 20);
    assert!(!site.path("logs/access.log").exists());
    nginx.reopen();
    wait_until("nginx goes on in the new file", || {
        client.send(nginx.port(), "2026-q1");
        size(&site, "logs/access.log") > 0
    });
    drop(nginx);
    assert_requests_counted(&daemon, &client.sent, "after the signal");
}

/// A download that a child of Apache is busy with.
struct Download(TcpStream);

impl Download {
    /// Begins to read the large file with the old key; the child has its hands full with the rest.
    fn begin(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = "GET /large HTTP/1.0\r\nX-Key-Name: 2025-q4\r\nX-Client: checkout\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
        Self(stream)
    }

    /// Reads the rest.
    fn end(mut self) {
        std::io::copy(&mut self.0, &mut std::io::sink()).unwrap();
    }
}

#[test]
fn row_02_a_child_of_apache_that_outlives_a_graceful_restart_is_counted() {
    let format = r#"format = { apache = '%t %h "%{X-Client}i" %{X-Key-Name}i "%r" %>s' }
credential = "field:http_x_key_name"
"#;
    let site = Site::new(&config_of(format, "1s", "5s"));
    for folder in ["logs", "web", "web/files"] {
        fs::create_dir(site.path(folder)).unwrap();
    }
    fs::write(site.path("web/files/index.html"), "ok").unwrap();
    // More than lies between a child and a client that does not read.
    fs::File::create(site.path("web/files/large")).unwrap().set_len(64 << 20).unwrap();
    let (log, rotated) = (site.path("logs/access.log"), site.path("logs/access.log.1"));
    let config = format!(
        "Timeout 300\nDocumentRoot \"files\"\nDirectoryIndex index.html\nCustomLog \"{}\" \
         \"%t %h \\\"%{{X-Client}}i\\\" %{{X-Key-Name}}i \\\"%r\\\" %>s\"\n",
        log.display()
    );
    let apache = Apache::start_with_children(&site.path("web"), &["dir"], &config);
    let mut client = Client::default();
    let daemon = site.start();
    declare(&daemon);
    client.send_new(apache.port(), 20);
    let download = Download::begin(apache.port());
    fs::rename(&log, &rotated).unwrap();
    client.send_new(apache.port(), 20);
    apache.restart_gracefully();
    wait_until("Apache goes on in the new file", || {
        client.send(apache.port(), "2026-q1");
        size(&site, "logs/access.log") > 0
    });
    assert_requests_counted(&daemon, &client.sent, "while a child is busy");

    let before = size(&site, "logs/access.log.1");
    download.end();
    client.note("2025-q4");
    assert_requests_counted(&daemon, &client.sent, "after the child has ended");
    assert!(size(&site, "logs/access.log.1") > before, "it wrote to the old file");
    assert_eq!(daemon.readiness(CREDENTIAL)["ready"], false);
}

fn uses_of_old(answer: &Value) -> u64 {
    answer["old_key"]["accepted"].as_u64().unwrap()
}

/// Sends with the new key until the answer is ready, and returns it.
#[track_caller]
fn drive_to_ready(client: &mut Client, nginx: &Nginx, daemon: &Daemon<'_>) -> Value {
    wait_for("ready", || {
        client.send(nginx.port(), "2026-q1");
        let answer = daemon.readiness(CREDENTIAL);
        (answer["ready"] == true).then_some(answer)
    })
}

/// Looks until it would long have been quiet after `used`, the time of a use that nobody can read:
/// no answer that speaks of that time is ready, and none at all once the source is silent.
fn watch_until_long_quiet(daemon: &Daemon<'_>, used: Timestamp) {
    let mut was_silent = false;
    wait_until("the source is silent for long", || {
        let answer = daemon.readiness(CREDENTIAL);
        assert_eq!(uses_of_old(&answer), 1, "the other is in the buffer: {answer}");
        let watermark = time(&answer["evidence"]["watermark"]);
        assert!(watermark < used, "{answer}");
        let blockers = answer["blockers"].as_array().unwrap();
        was_silent |= blockers.iter().any(|blocker| blocker["code"] == "source_silent");
        assert!(!was_silent || answer["verdict"] == "unknown", "{answer}");
        was_silent && clock::now() > used.plus(3 * QUIET)
    });
    assert_eq!(daemon.source()["state"], "silent");
}

#[test]
fn row_31_while_nginx_holds_a_use_of_the_old_key_back_the_source_is_silent_and_nothing_is_ready() {
    let site = Site::new(&config_of(FORMAT, "1s", "2s"));
    let nginx = nginx(&site, "");
    let mut client = Client::default();
    let daemon = site.start();
    declare(&daemon);
    client.send(nginx.port(), "2025-q4");
    drive_to_ready(&mut client, &nginx, &daemon);

    assert_requests_counted(&daemon, &client.sent, "before the buffer");
    nginx.reload(&http(&site, "buffer=64k"));
    let (written, used) = (size(&site, "logs/access.log"), clock::now());
    client.send(nginx.port(), "2025-q4");
    watch_until_long_quiet(&daemon, used);
    assert_eq!(size(&site, "logs/access.log"), written, "it is still in the buffer");

    // A worker that leaves writes what it holds.
    nginx.reload(&http(&site, ""));
    assert_requests_counted(&daemon, &client.sent, "when it comes out");
    let answer = daemon.readiness(CREDENTIAL);
    assert_eq!((uses_of_old(&answer), &answer["ready"]), (2, &Value::Bool(false)), "{answer}");
    let last_seen = time(&answer["old_key"]["last_seen"]);
    assert!(last_seen.plus(Duration::from_millis(1)) > used, "{answer}");
    let ready = drive_to_ready(&mut client, &nginx, &daemon);
    assert_eq!(time(&ready["old_key"]["last_seen"]), last_seen, "{ready}");
}

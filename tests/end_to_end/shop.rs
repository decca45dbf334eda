//! A shop behind a real nginx: its consumers, what they sent, and the daemon's answer about it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keydrain::clock;
use keydrain::engine::time::Timestamp;
use serde_json::Value;

use crate::support::daemon::{Daemon, SERVER, Site};
use crate::support::logrotate::logrotate;
use crate::support::nginx::Nginx;
use crate::support::wait::wait_for;

/// The credential of the shop.
pub const CREDENTIAL: &str = "payments-api";
/// The quiet that the policy of [`POLICY`] requires.
pub const QUIET: Duration = Duration::from_secs(3);

/// A policy for a test: a few seconds of quiet and nothing that only time gives.
pub const POLICY: &str = r#"
[credential.policy]
quiet_period = "3s"
monitoring_cycle = "0s"
min_history = "0s"
min_overlap = "0s"
clock_skew = "0s"
max_evidence_lag = "20s"
propagation_bound = "0s"
lease = "10s"
"#;

/// Nobody sends faster than this.
const PACE: Duration = Duration::from_millis(30);

/// How the server shows who presents which key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The key's name, by a map; the raw key is not logged.
    Names,
    /// The raw key, in the query of a `combined` line; the consumer is the user.
    Secrets,
}

/// The two keys of a test, as clients send them.
#[derive(Clone)]
pub struct Keys {
    /// The old key.
    pub old: String,
    /// The new key.
    pub new: String,
}

/// Which key a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The one that is retired.
    Old,
    /// Its successor.
    New,
}

/// The running server with what was sent to it.
pub struct Shop {
    nginx: Nginx,
    folder: PathBuf,
    form: Form,
    keys: Keys,
    lets_old_in: bool,
    /// Requests by consumer and key: accepted and denied.
    sent: BTreeMap<(String, Key), (u64, u64)>,
    lines: u64,
    last_old: Option<Timestamp>,
    last_request: Option<Timestamp>,
}

impl Keys {
    /// Makes two keys that nobody else has.
    pub fn new() -> Self {
        let key = |name| format!("kdmarkkdmark{:016x}{name}", getrandom::u64().unwrap());
        Self { old: key("old"), new: key("new") }
    }
}

impl Shop {
    /// Starts the server below `site`; its log is `web/logs/access.log`.
    pub fn open(site: &Site, form: Form) -> Self {
        let folder = site.path("web");
        fs::create_dir_all(folder.join("logs")).unwrap();
        let keys = Keys::new();
        let nginx = Nginx::start(&folder, &http(form, &keys, true));
        Self {
            nginx,
            folder,
            form,
            keys,
            lets_old_in: true,
            sent: BTreeMap::new(),
            lines: 0,
            last_old: None,
            last_request: None,
        }
    }

    /// Returns the keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns where the live log is.
    pub fn log(&self) -> PathBuf {
        self.folder.join("logs/access.log")
    }

    /// Sends a request of `consumer` with `key`.
    pub fn send(&mut self, consumer: &str, key: Key) {
        let raw = if key == Key::Old { self.keys.old.clone() } else { self.keys.new.clone() };
        // The time before: the server's own, which is in the log, is not earlier.
        let at = clock::now();
        let status = self.request(consumer, &raw);
        let accepted = key == Key::New || self.lets_old_in;
        assert_eq!(status, if accepted { 200 } else { 401 }, "{consumer} {key:?}");
        let sent = self.sent.entry((consumer.to_owned(), key)).or_default();
        *if accepted { &mut sent.0 } else { &mut sent.1 } += 1;
        if key == Key::Old {
            self.last_old = Some(at);
        }
    }

    /// Sends a request without a key.
    pub fn beat(&mut self) {
        assert_eq!(self.nginx.get("/healthz", &[]), 200);
        self.lines += 1;
    }

    /// Sends a request of `consumer` with a key that nobody declared.
    pub fn send_stray(&mut self, consumer: &str, raw: &str) {
        self.request(consumer, raw);
    }

    fn request(&mut self, consumer: &str, raw: &str) -> u16 {
        self.lines += 1;
        match self.form {
            Form::Names => self.nginx.get("/orders", &[("X-Api-Key", raw), ("X-Client", consumer)]),
            Form::Secrets => {
                let user = format!("Basic {}", base64(format!("{consumer}:-").as_bytes()));
                let path = format!("/orders?page=1&api_key={raw}");
                self.nginx.get(&path, &[("Authorization", &user)])
            }
        }
    }

    /// Tells whether it is time for the next requests, so that no test floods the machine.
    pub fn is_due(&mut self) -> bool {
        let now = clock::now();
        let due = self.last_request.is_none_or(|last| now.since(last) >= PACE || now < last);
        if due {
            self.last_request = Some(now);
        }
        due
    }

    /// Shuts the old key out, as a revocation does.
    pub fn revoke_old(&mut self) {
        self.lets_old_in = false;
        self.nginx.reload(&http(self.form, &self.keys, false));
    }

    /// Rotates the log as the distribution does it: `create`, then the signal to the server.
    pub fn rotate(&self) {
        let (log, pid) = (self.log(), self.nginx.pid_file());
        logrotate(
            &self.folder,
            &format!(
                "\"{}\" {{\n rotate 100\n create\n postrotate\n kill -USR1 $(cat '{}')\n endscript\n}}\n",
                log.display(),
                pid.display()
            ),
        );
    }

    /// Returns when the last request with the old key was sent.
    pub fn last_old(&self) -> Option<Timestamp> {
        self.last_old
    }

    /// Returns how many lines the server wrote.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns what was sent, in the form of [`counted`].
    pub fn sent(&self) -> BTreeMap<(String, Key), (u64, u64)> {
        self.sent.clone()
    }
}

fn http(form: Form, keys: &Keys, lets_old_in: bool) -> String {
    let Keys { old, new } = keys;
    let refuse = if lets_old_in { "-" } else { old };
    let (log, key) = match form {
        Form::Names => ("access_log logs/access.log keys;", "$http_x_api_key"),
        Form::Secrets => ("access_log logs/access.log combined;", "$arg_api_key"),
    };
    format!(
        r#"
    map_hash_bucket_size 128;
    map $http_x_api_key $key_name {{ "{old}" "2025-q4"; "{new}" "2026-q1"; default "-"; }}
    map {key} $refused {{ "{refuse}" 1; default 0; }}
    log_format keys '$msec $remote_addr "$http_x_client" $key_name "$request" $status';
    {log}
    server {{
        listen LISTEN;
        location = /healthz {{ return 200 "ok"; }}
        location / {{
            if ($refused) {{ return 401; }}
            return 200 "ok";
        }}
    }}
"#
    )
}

/// Returns the config that reads the server's log.
pub fn config(form: Form) -> String {
    let source = match form {
        Form::Names => {
            r#"format = { nginx = '$msec $remote_addr "$http_x_client" $key_name "$request" $status' }
credential = "field:key_name"
consumer = ["field:http_x_client", "field:remote_addr"]
"#
        }
        Form::Secrets => {
            "format = \"combined\"\ncredential = \"query:api_key\"\nconsumer = \"field:remote_user\"\n"
        }
    };
    let keys = match form {
        Form::Names => {
            r#"[{ name = "2025-q4", id = "2025-q4" }, { name = "2026-q1", id = "2026-q1" }]"#
        }
        Form::Secrets => {
            r#"[{ name = "2025-q4", secret_file = "secrets/old" }, { name = "2026-q1", secret_file = "secrets/new" }]"#
        }
    };
    format!(
        "{SERVER}[[source]]\nname = \"edge\"\npaths = [\"web/logs/access.log*\"]\n{source}\
         allowed_lateness = \"1s\"\nidle_after = \"5s\"\n\
         [[credential]]\nname = \"{CREDENTIAL}\"\nsources = [\"edge\"]\nkeys = {keys}\n{POLICY}"
    )
}

/// Returns what the daemon counted for the credential's rotation, by consumer and key.
pub fn counted(daemon: &Daemon<'_>) -> BTreeMap<(String, Key), (u64, u64)> {
    let answer = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let mut counted = BTreeMap::new();
    for consumer in answer["consumers"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        for (key, uses) in [(Key::Old, &consumer["old"]), (Key::New, &consumer["new"])] {
            let count = |name: &str| uses[name].as_u64().unwrap();
            let counts = (count("accepted"), count("denied"));
            assert_eq!(count("failed"), 0, "{consumer}");
            if counts != (0, 0) {
                let name = consumer["consumer"].as_str().unwrap().to_owned();
                assert_eq!(counted.insert((name, key), counts), None, "{answer}");
            }
        }
    }
    counted
}

/// Waits until the daemon counted all lines that the server wrote, then compares each count.
#[track_caller]
pub fn assert_all_counted(shop: &Shop, daemon: &Daemon<'_>) {
    let mut last = Value::Null;
    wait_for("all lines are read", || {
        last = daemon.source();
        assert!(last["lines"].as_u64().unwrap() <= shop.lines(), "{last}");
        (last["lines"] == shop.lines()).then_some(())
    });
    assert_eq!(counted(daemon), shop.sent());
    assert_eq!((last["rejects"].as_u64(), last["bytes_unknown"].as_u64()), (Some(0), Some(0)));
    assert_eq!(last["gaps"].as_array().unwrap().len(), 0, "{last}");
    assert_eq!(last["bytes_read"], bytes_in(shop.log().parent().unwrap()));
}

fn bytes_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Returns the subjects of the blockers with `code`.
pub fn subjects<'a>(answer: &'a Value, code: &str) -> Vec<&'a str> {
    let blockers = answer["blockers"].as_array().unwrap().iter();
    let of_code = blockers.filter(|blocker| blocker["code"] == code);
    of_code.map(|blocker| blocker["subject"].as_str().unwrap()).collect()
}

/// Reads a time of an answer.
pub fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("{value} is no time")).parse().unwrap()
}

/// Encodes as RFC 4648 says.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*three.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * at) & 63]);
            text.push(if at <= three.len() { digit } else { '=' });
        }
    }
    text
}

#[test]
fn a_user_name_is_encoded_as_the_header_wants_it() {
    let check = |text: &str, encoded| assert_eq!(base64(text.as_bytes()), encoded);
    check("f", "Zg==");
    check("fo", "Zm8=");
    check("foobar", "Zm9vYmFy");
}

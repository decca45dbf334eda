//! Lines of an nginx that logs the name of the key, as it writes them.

use std::sync::Arc;

use keydrain::engine::credential::{Fingerprint, FingerprintSecret};
use keydrain::engine::parse::{FormatSpec, Layout, Place};
use keydrain::engine::rotation::KeyRef;
use keydrain::engine::time::Timestamp;

/// Name of the key that is being retired: what the log shows of it.
pub const OLD: &str = "2025-q4";
/// Name of its successor.
pub const NEW: &str = "2026-q1";
/// A line without a key.
pub const NO_KEY: &str = "-";

/// The source of a story that names none.
pub const EDGE: &str = "edge";
/// The stream of a story that names none.
pub const ACCESS_LOG: &str = "/var/log/nginx/access.log";
/// The credential of every story.
pub const CREDENTIAL: &str = "payments-api";

/// A log line: what stands in it, when it was written and when it was read.
#[derive(Clone, Debug)]
pub struct Line {
    /// Event time; the format shows milliseconds.
    pub event_at: Timestamp,
    /// Name of the key, or `-`; after a `?` the key that stands in the query.
    pub key: String,
    /// The consumer; `-` for one known only by its address.
    pub consumer: String,
    /// Status of the answer.
    pub status: u16,
    /// Whether the line is cut short, so that nobody can understand it.
    pub garbled: bool,
}

impl Line {
    /// Writes the line as nginx does.
    pub fn text(&self) -> String {
        let nanos = self.event_at.as_nanos();
        let (seconds, millis) =
            (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000) / 1_000_000);
        let Self { key, consumer, status, .. } = self;
        let (key, query) = key.split_once('?').unwrap_or((key, ""));
        let target = if query.is_empty() {
            "/v1/pay".to_owned()
        } else {
            format!("/v1/pay?api_key={query}")
        };
        let end = if self.garbled { "" } else { " HTTP/1.1\"" };
        let request = format!("\"GET {target}{end}");
        let tail = if self.garbled { String::new() } else { format!(" {status}") };
        format!("192.0.2.7 {consumer} {key} {seconds}.{millis:03} {request}{tail}\n")
    }
}

/// Returns the fingerprint of a key's name.
pub fn fingerprint(key: &str) -> Fingerprint {
    secret().fingerprint(key.as_bytes())
}

/// Returns the key as a rotation names it.
pub fn key_ref(name: &str) -> KeyRef {
    KeyRef { name: name.into(), fingerprint: fingerprint(name), id: None }
}

/// Returns the secret that fingerprints are keyed with.
pub fn secret() -> Arc<FingerprintSecret> {
    Arc::new(FingerprintSecret::new(b"pepper".to_vec()))
}

/// Returns the format of the lines. A source that declares the first place alone never sees the
/// second used.
pub fn layout() -> Layout {
    Layout::new(
        FormatSpec::Nginx(
            "$remote_addr $remote_user $key_name $msec \"$request\" $status".to_owned(),
        ),
        vec![Place::Field("key_name".to_owned()), Place::Query("api_key".to_owned())],
        vec!["remote_user".to_owned(), "remote_addr".to_owned()],
    )
}

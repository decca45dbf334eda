//! Lines of an nginx that logs the name of the key, as it writes them.

use std::net::IpAddr;
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
    /// Name of the key, or `-`; after a `?` the key that stands in the query. `KEY>CHILD`: the
    /// request was given the key of a session, which `CloudTrail` shows; of a role's session where
    /// that begins with `role`.
    pub key: String,
    /// The consumer; `-` for one known only by its address, or the address.
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
        let Self { key, status, .. } = self;
        let (address, consumer) = self.address_and_name();
        let (key, query) = key.split_once('?').unwrap_or((key, ""));
        let target = if query.is_empty() {
            "/v1/pay".to_owned()
        } else {
            format!("/v1/pay?api_key={query}")
        };
        let end = if self.garbled { "" } else { " HTTP/1.1\"" };
        let request = format!("\"GET {target}{end}");
        let tail = if self.garbled { String::new() } else { format!(" {status}") };
        format!("{address} {consumer} {key} {seconds}.{millis:03} {request}{tail}\n")
    }
}

impl Line {
    /// Returns where the request came from, and the name of who sent it.
    fn address_and_name(&self) -> (&str, &str) {
        match self.consumer.parse::<IpAddr>() {
            Ok(_) => (&self.consumer, "-"),
            Err(_) => ("192.0.2.7", &self.consumer),
        }
    }

    /// Writes the line as a record of CloudTrail.
    pub fn record(&self) -> String {
        let Self { event_at, key, status, .. } = self;
        let (key, child) = key.split_once('>').map_or((&**key, None), |(k, c)| (k, Some(c)));
        let (address, name) = self.address_and_name();
        let key = if key == NO_KEY { String::new() } else { format!(r#""accessKeyId":"{key}","#) };
        let arn = if name == "-" { String::new() } else { format!(r#""arn":"{name}","#) };
        let error = if *status == 200 { "" } else { r#""errorCode":"AccessDenied","# };
        let issued = child.map_or_else(String::new, |child| {
            let event = if child.starts_with("role") { "AssumeRole" } else { "GetSessionToken" };
            format!(
                r#","eventName":"{event}","responseElements":{{"credentials":{{"accessKeyId":"{child}"}}}}"#
            )
        });
        let record = format!(
            r#"{{"eventTime":"{event_at}",{error}"userIdentity":{{{key}{arn}"type":"IAMUser"}},"sourceIPAddress":"{address}"{issued}}}"#
        );
        let end = if self.garbled { record.len() / 2 } else { record.len() };
        format!("{}\n", &record[..end])
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

/// What a source is declared to be read as that has records of CloudTrail, one a line.
pub const TRAIL: &str = "cloudtrail";

/// Returns the format of records of CloudTrail.
pub fn trail_layout() -> Layout {
    Layout::new(FormatSpec::CloudTrail, Vec::new(), Vec::new())
}

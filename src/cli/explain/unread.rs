//! Logs that are known by sight but not read: what they are, and whether they can show a key.

use super::sample::Sample;
use crate::engine::scan::records::{Framing, Record};

/// Lines that are looked at.
const LOOKED_AT: u64 = 20;

/// Their query strings are all that can show a key.
const QUERY_ONLY: &str = "it logs no header, so only a query parameter could show a key";

/// A log that is known by sight.
pub struct Unread {
    /// What it is.
    pub name: &'static str,
    /// Whether it can show a key.
    pub what: &'static str,
}

/// Returns what the first lines look like, if that is known.
pub fn recognise(sample: &Sample) -> Option<Unread> {
    let mut found = None;
    sample.records(Framing::Lines, |number, record| {
        if let (Record::Whole(line), true, None) = (record, number <= LOOKED_AT, &found) {
            found = of_line(&String::from_utf8_lossy(line));
        }
    });
    found
}

fn of_line(line: &str) -> Option<Unread> {
    let unread = |name, what| Some(Unread { name, what });
    let first = line.split(' ').next().unwrap_or_default();
    if let Some(fields) = line.strip_prefix("#Fields:") {
        return if fields.contains("x-edge-location") {
            unread("CloudFront's standard log", QUERY_ONLY)
        } else {
            unread("a W3C extended log, as IIS writes it", QUERY_ONLY)
        };
    }
    let balancers = ["http", "https", "h2", "grpcs", "ws", "wss"];
    if balancers.contains(&first) && line.contains(" app/") {
        return unread("a log of an AWS application load balancer", QUERY_ONLY);
    }
    if line.starts_with("tls 2.0 ") {
        return unread("a log of an AWS network load balancer", "it names no key at all");
    }
    if line.contains(" REST.") || line.contains(" WEBSITE.") {
        return unread(
            "an S3 server access log",
            "it names a key only in presigned URLs, as X-Amz-Credential; CloudTrail's data events \
             name it always",
        );
    }
    if line.contains(" heroku router ") {
        return unread("Heroku's router log", QUERY_ONLY);
    }
    if is_haproxy(line) {
        return unread(
            "HAProxy's httplog",
            "`capture request header X-Api-Key len 64` in its frontend makes it show the key",
        );
    }
    if line.starts_with("[20") && line.contains("Z] \"") {
        return unread(
            "Envoy's text log",
            "its quotes are not escaped; use json_format, with `x_api_key: \"%REQ(X-API-KEY)%\"`",
        );
    }
    let postgres = [" LOG:  ", " FATAL:  ", " STATEMENT:  ", " ERROR:  "];
    if postgres.iter().any(|mark| line.contains(mark)) {
        return unread(
            "PostgreSQL's log",
            "it names the role, so only a rotation between two roles could be seen in it",
        );
    }
    None
}

/// `… [14/Jan/2015:12:48:57.127] frontend backend/server 170/0/0/3/173 …`
fn is_haproxy(line: &str) -> bool {
    let Some((_, rest)) = line.split_once(" [") else { return false };
    let Some((time, rest)) = rest.split_once("] ") else { return false };
    let slashes = |word: &str| word.matches('/').count();
    time.len() == 24
        && time.as_bytes()[20] == b'.'
        && rest.split(' ').nth(1).is_some_and(|server| slashes(server) == 1)
        && rest.split(' ').nth(2).is_some_and(|timers| slashes(timers) == 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_not_read_is_known_by_sight() {
        let check = |line: &str, word: &str| {
            let unread = of_line(line).expect("known");
            assert!(unread.name.contains(word), "{}: {line}", unread.name);
        };
        check(
            "192.0.2.1:14853 [14/Jan/2015:12:48:57.127] in~ be/s1 170/0/0/3/173 200 739 - - --NN \
             0/0/0/0/0 0/0 \"GET / HTTP/1.1\"",
            "HAProxy",
        );
        check("#Fields: date time x-edge-location cs-method", "CloudFront");
        check("#Fields: date time s-ip cs-method cs-uri-stem", "W3C");
        check("https 2024-05-01T12:00:00.000000Z app/lb/1 192.0.2.1:1 - 0 0 0 200", "balancer");
        check("[2024-05-01T12:00:00.000Z] \"GET / HTTP/1.1\" 200 - 0", "Envoy");
        check("2024-05-01 12:00:00.000 UTC [1] LOG:  ready", "PostgreSQL");
        assert!(of_line("192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\"").is_none());
    }
}

//! Which members the JSON records of a sample have, and what their names make of them.
//!
//! A name only proposes: that a time can be read or that a place shows a key is tried on the sample.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::known::{KNOWN, Known};
use super::sample::Sample;
use crate::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser};
use crate::engine::scan::records::Record;

/// Records whose members are looked at.
const LOOKED_AT: u64 = 1000;

/// Paths that are kept; any further one is left out.
const MAX_PATHS: usize = 1000;

/// Members that hold a record as text.
const ENVELOPES: [&str; 3] = ["message", "MESSAGE", "log"];

/// Names of the event time, letters alone, best first.
const TIMES: [&str; 22] = [
    "ts",
    "time",
    "timestamp",
    "timelocal",
    "timeiso",
    "timeiso8601",
    "msec",
    "datetime",
    "eventtime",
    "eventtimestamp",
    "requesttimeepoch",
    "requesttimestamp",
    "requestreceivedat",
    "starttime",
    "startedat",
    "createdat",
    "date",
    "at",
    "t",
    "published",
    "receivedat",
    "epoch",
];

/// Names of the status, letters alone, best first.
const STATUSES: [&str; 8] = [
    "status",
    "statuscode",
    "responsestatus",
    "responsestatuscode",
    "responsecode",
    "httpstatus",
    "httpstatuscode",
    "code",
];

/// Names of a consumer who is somebody, letters alone, best first.
const SOMEBODIES: [&str; 18] = [
    "consumer",
    "consumername",
    "client",
    "clientid",
    "clientname",
    "account",
    "accountid",
    "tenant",
    "principal",
    "principalid",
    "user",
    "username",
    "userid",
    "remoteuser",
    "sub",
    "subject",
    "service",
    "actor",
];

/// Names of an address, letters alone, best first.
const ADDRESSES: [&str; 10] = [
    "remoteaddr",
    "remoteip",
    "remoteaddress",
    "clientip",
    "clientaddr",
    "clientaddress",
    "sourceip",
    "ipaddress",
    "ip",
    "xforwardedfor",
];

/// Names of a key, letters alone, best first: what stands for a secret before the secret.
const KEYS: [&str; 16] = [
    "keyname",
    "keyid",
    "apikeyid",
    "credentialid",
    "accesskeyid",
    "tokenid",
    "xapikey",
    "apikey",
    "hashedtoken",
    "accesskey",
    "accesstoken",
    "apitoken",
    "token",
    "key",
    "credential",
    "authorization",
];

/// Words that make a name one of a key.
const KEY_WORDS: [&str; 10] = [
    "key",
    "apikey",
    "token",
    "credential",
    "authorization",
    "auth",
    "secret",
    "signature",
    "password",
    "accesskey",
];

/// Words that make a name no place of a key although it speaks of one.
const NO_KEYS: [&str; 22] = [
    "page",
    "next",
    "cursor",
    "continuation",
    "idempotency",
    "partition",
    "routing",
    "cache",
    "sort",
    "websocket",
    "csrf",
    "xsrf",
    "public",
    "object",
    "primary",
    "type",
    "scope",
    "scopes",
    "latency",
    "authority",
    "status",
    "error",
];

/// The members of a sample's JSON records.
pub struct Members {
    /// JSON records that were looked at.
    pub records: u64,
    /// Each path that some record has, with the number of records in which it holds something.
    paths: BTreeMap<String, u64>,
    /// Each path with the number of records in which it holds an HTTP status.
    statuses: BTreeMap<String, u64>,
    /// The number of records that each known log would have written.
    known: [u64; KNOWN.len()],
}

impl Members {
    /// Looks at the JSON records of a sample.
    pub fn of(sample: &Sample) -> Self {
        let mut members = Self {
            records: 0,
            paths: BTreeMap::new(),
            statuses: BTreeMap::new(),
            known: [0; KNOWN.len()],
        };
        let spec = JsonSpec { time: Some("time".to_owned()), ..JsonSpec::default() };
        let layout = Layout::new(FormatSpec::Json(spec), Vec::new(), Vec::new());
        let parser = LineParser::without_key(&layout).expect("a path of one name compiles");
        sample.records(parser.framing(), |number, record| {
            if let (Record::Whole(text), true) = (record, number <= LOOKED_AT) {
                members.look(&parser, text);
            }
        });
        members
    }

    fn look(&mut self, parser: &LineParser, record: &[u8]) {
        let Ok(mut fields) = parser.fields(record) else { return };
        let envelope = fields.iter().find(|(path, text)| {
            ENVELOPES.contains(&path.as_str()) && text.trim_ascii_start().starts_with(b"{")
        });
        if let Some(inner) = envelope.and_then(|(_, text)| parser.fields(text).ok()) {
            fields = inner;
        }
        self.records += 1;
        let mut held = BTreeSet::new();
        for (path, value) in &fields {
            held.insert(path.as_str());
            let is_empty = matches!(value.as_slice(), b"" | b"-" | b"null" | b"true" | b"false");
            if self.paths.len() < MAX_PATHS || self.paths.contains_key(path) {
                *self.paths.entry(path.clone()).or_default() += u64::from(!is_empty);
                let is_status = value.len() == 3 && value.iter().all(u8::is_ascii_digit);
                *self.statuses.entry(path.clone()).or_default() +=
                    u64::from(is_status && (b'1'..=b'5').contains(&value[0]));
            }
        }
        for (known, count) in KNOWN.iter().zip(&mut self.known) {
            let has = |path: &&str| {
                let below = format!("{path}.");
                let next = held.range(below.as_str()..).next();
                held.contains(path) || next.is_some_and(|next| next.starts_with(&below))
            };
            *count += u64::from(known.marks.iter().all(|paths| paths.iter().any(has)));
        }
    }

    /// Returns the known logs that some of the records are of, those of most records first.
    pub fn known(&self) -> Vec<&'static Known> {
        let mut found: Vec<(&Known, u64)> =
            KNOWN.iter().zip(self.known).filter(|(_, count)| *count > 0).collect();
        found.sort_by_key(|&(_, count)| Reverse(count));
        found.into_iter().map(|(known, _)| known).collect()
    }

    /// Iterates over the paths that hold something.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let held = self.paths.iter().filter(|(_, count)| **count > 0);
        held.map(|(path, _)| path.as_str())
    }

    /// Returns the first of these paths that holds something, else the first that is there.
    pub fn first(&self, paths: &[&'static str]) -> Option<String> {
        let holds = |path: &&&str| self.paths.get(**path).is_some_and(|&count| count > 0);
        let is_there = |path: &&&str| self.paths.contains_key(**path);
        let found = paths.iter().find(holds).or_else(|| paths.iter().find(is_there));
        found.map(|&path| path.to_owned())
    }

    /// Returns the paths that may be the event time, best first.
    pub fn times(&self) -> Vec<String> {
        // Of the elements of an array only one would be read.
        let is_index = |segment: &str| segment.bytes().all(|byte| byte.is_ascii_digit());
        self.named(&TIMES, |path| !path.split('.').any(is_index))
    }

    /// Returns the path that most likely is the status.
    pub fn status(&self) -> Option<String> {
        let holds = |path: &str| self.statuses.get(path).is_some_and(|&count| count > 0);
        self.named(&STATUSES, holds).into_iter().next()
    }

    /// Returns the paths that most likely are the consumer: somebody's name, then an address.
    pub fn consumers(&self) -> Vec<String> {
        let first = |names| self.named(names, |_| true).into_iter().next();
        first(&SOMEBODIES).into_iter().chain(first(&ADDRESSES)).collect()
    }

    /// Returns the paths that may show a key, best first.
    pub fn keys(&self) -> Vec<String> {
        let held = self.paths.iter().filter(|(path, count)| **count > 0 && !is_answer(path));
        let mut found: Vec<(usize, Reverse<u64>, &str)> = held
            .filter_map(|(path, count)| {
                Some((key_rank(last_name(path))?, Reverse(*count), path.as_str()))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, path)| path.to_owned()).collect()
    }

    /// Returns the paths with one of these names, in the names' order, the shallowest first.
    fn named(&self, names: &[&str], holds: impl Fn(&str) -> bool) -> Vec<String> {
        let mut found: Vec<(usize, usize, &str)> = self
            .names()
            .filter(|path| !(is_answer(path) && letters(path).contains("header")) && holds(path))
            .filter_map(|path| {
                let name = letters(last_name(path));
                // The name alone, or with its object's: `response.status`, `user.name`.
                let whole = letters(path);
                let rank = names.iter().position(|&known| known == name || known == whole)?;
                Some((rank, path.matches('.').count(), path))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, path)| path.to_owned()).collect()
    }
}

/// Returns how well a name says that it holds a key, 0 best; `None` when it does not say so.
pub fn key_rank(name: &str) -> Option<usize> {
    let words = words(name);
    if words.iter().any(|word| NO_KEYS.contains(&word.as_str())) {
        return None;
    }
    let whole = letters(name);
    let plain = ["http", "request", "arg", "env", "note", "x"]
        .iter()
        .fold(whole.as_str(), |name, prefix| name.strip_prefix(prefix).unwrap_or(name));
    let exact = KEYS.iter().position(|&known| known == whole || known == plain);
    let speaks = |word: &String| KEY_WORDS.contains(&word.as_str());
    exact.or_else(|| words.iter().any(speaks).then_some(KEYS.len()))
}

/// Returns the last segment of a path that is a name and no index.
pub fn last_name(path: &str) -> &str {
    let unquoted = |segment: &'_ str| -> bool { segment.bytes().all(|byte| byte.is_ascii_digit()) };
    let mut rest = path;
    loop {
        let (before, segment) = match rest.strip_suffix('"') {
            Some(open) => open.rsplit_once('"').unwrap_or(("", open)),
            None => rest.rsplit_once('.').unwrap_or(("", rest)),
        };
        if !unquoted(segment) || before.is_empty() {
            return segment;
        }
        rest = before.strip_suffix('.').unwrap_or(before);
    }
}

/// Tells whether a path lies in what the server answered.
fn is_answer(path: &str) -> bool {
    let first = letters(path.split('.').next().unwrap_or_default());
    first.starts_with("resp") || first.starts_with("origin") || first.starts_with("upstream")
}

/// Returns the letters and digits of a name, in lower case.
pub fn letters(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|char| char.to_ascii_lowercase()).collect()
}

/// Returns the words of a name such as `X-Api-Key`, `api_key` or `apiKeyId`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for char in name.chars() {
        let begins = char.is_ascii_uppercase() && before.is_ascii_lowercase();
        if begins || !char.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if char.is_ascii_alphanumeric() {
            let last = words.last_mut().expect("there is a first word");
            last.push(char.to_ascii_lowercase());
        }
        before = char;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whether_it_holds_a_key() {
        for name in ["X-Api-Key", "api_key", "apiKeyId", "key", "Authorization", "http_x_api_key"] {
            assert!(key_rank(name).is_some(), "{name}");
        }
        for name in [
            "Sec-Websocket-Key",
            "Idempotency-Key",
            ":authority",
            "monkey",
            "keyboard",
            "token_type",
        ] {
            assert_eq!(key_rank(name), None, "{name}");
        }
        assert!(key_rank("key_name") < key_rank("X-Api-Key"));
        assert!(key_rank("X-Api-Key") < key_rank("X-Partner-Key"));
    }

    #[test]
    fn the_last_name_of_a_path_is_no_index() {
        assert_eq!(last_name("request.headers.X-Api-Key.0"), "X-Api-Key");
        assert_eq!(last_name("a.\"b.c/d\".0"), "b.c/d");
        assert_eq!(last_name("ts"), "ts");
    }
}

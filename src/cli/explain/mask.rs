//! Showing log text without showing a secret that may stand in it.
//!
//! Errs on the side of hiding: a long value in a path may be a webhook's token.

use super::members::{last_name, letters};

/// A run of letters and digits from this length on may be a secret.
const LONG_RUN: usize = 20;

/// The same in a line that no format explains.
const LONG_RUN_UNKNOWN: usize = 12;

/// The same in the name of a field: `serviceAccountKeyName` is none.
const LONGEST_NAME: usize = 32;

/// Longest text shown, in characters.
const LONGEST_SHOWN: usize = 160;

/// Parts of a JSON member's name, letters alone, that make its value one that may be a secret.
const SECRETS: [&str; 13] = [
    "key",
    "token",
    "secret",
    "auth",
    "cookie",
    "password",
    "passwd",
    "credential",
    "signature",
    "session",
    "jwt",
    "bearer",
    "license",
];

/// Names of JSON members, letters alone, whose values are no secret but for long runs and queries.
const PLAIN: [&str; 56] = [
    "accept",
    "acceptencoding",
    "acceptlanguage",
    "action",
    "actor",
    "arn",
    "bodybytessent",
    "clientaddr",
    "clienthost",
    "clientip",
    "clientusername",
    "connection",
    "consumer",
    "contenttype",
    "eventname",
    "eventsource",
    "eventtype",
    "host",
    "hostname",
    "httpmethod",
    "httphost",
    "httpreferer",
    "httpuseragent",
    "ip",
    "kind",
    "level",
    "logger",
    "method",
    "path",
    "principalemail",
    "proto",
    "protocol",
    "referer",
    "referrer",
    "remoteaddr",
    "remoteip",
    "remoteuser",
    "request",
    "requesthost",
    "requestmethod",
    "requestpath",
    "requesturi",
    "responseflags",
    "scheme",
    "server",
    "sourceip",
    "sourceipaddress",
    "stage",
    "stream",
    "uri",
    "url",
    "useragent",
    "user",
    "userid",
    "username",
    "xforwardedproto",
];

/// Returns the value of a field as it may be shown.
pub fn field(name: &str, value: &[u8]) -> String {
    let mut out = String::new();
    match name {
        "args" | "query_string" => {
            let len = query(value, &mut out);
            text(&value[len..], LONG_RUN, &mut out);
        }
        "http_user_agent"
        | "http_referer"
        | "http_host"
        | "http_x_forwarded_for"
        | "http_x_real_ip" => text(value, LONG_RUN, &mut out),
        _ if from_client(name) && !matches!(value, [] | [b'-']) => {
            return hidden(value);
        }
        _ => text(value, LONG_RUN, &mut out),
    }
    shortened(out)
}

/// Returns the value at a path of a JSON record as it may be shown.
///
/// A name that speaks of a secret hides the value; a value is shown as it is only under a name that
/// is known to hold none.
pub fn json_field(path: &str, value: &[u8]) -> String {
    let name = letters(last_name(path));
    let hidden = || hidden(value);
    if matches!(value, b"" | b"-" | b"null" | b"true" | b"false") {
        return shortened(String::from_utf8_lossy(value).into_owned());
    }
    if name == "keyname" {
        return field(&name, value);
    }
    if SECRETS.iter().any(|word| name.contains(word)) && name != "authority" {
        return hidden();
    }
    if ["args", "querystring", "query", "requestquery"].contains(&name.as_str()) {
        return field("args", value);
    }
    if PLAIN.contains(&name.as_str()) {
        return field("", value);
    }
    let shown = unknown_line(value);
    if shown.bytes().any(|byte| byte.is_ascii_alphanumeric()) { shown } else { hidden() }
}

/// Returns what is shown in the place of a value that may be a secret.
pub fn hidden(value: &[u8]) -> String {
    format!("… ({})", bytes(value.len()))
}

/// Returns a length in words.
pub fn bytes(len: usize) -> String {
    if len == 1 { "1 byte".to_owned() } else { format!("{len} bytes") }
}

/// Returns the name of a field or a path as it may be shown.
pub fn name(name: &str) -> String {
    let mut out = String::new();
    text(name.as_bytes(), LONGEST_NAME, &mut out);
    shortened(out)
}

/// Returns a text that is no time or no status as it may be shown.
pub fn clock_or_status(path: &str, value: &[u8]) -> String {
    let name = letters(last_name(path));
    let tells = ["time", "date", "status", "code", "msec"].iter().any(|word| name.contains(word));
    if (tells || name == "ts") && !SECRETS.iter().any(|word| name.contains(word)) {
        return field("", value);
    }
    json_field(path, value)
}

/// Returns a line that was not understood as it may be shown: numbers, times, addresses, methods,
/// paths and names before a `=` or `:`; any other word may be a secret.
pub fn unknown_line(line: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(&byte) = rest.first() {
        if is_separator(byte) {
            push(&mut out, byte);
            rest = &rest[1..];
            continue;
        }
        let len = rest.iter().take_while(|&&byte| !is_separator(byte)).count();
        let is_member = rest[len..].starts_with(b"\":");
        token(&rest[..len], is_member, &mut out);
        rest = &rest[len..];
        if out.len() > 4 * LONGEST_SHOWN {
            break;
        }
    }
    shortened(out)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'[' | b']' | b'{' | b'}' | b'&' | b'|')
}

/// Adds a word of a line that no format explains.
fn token(token: &[u8], is_member: bool, out: &mut String) {
    let is_name = |text: &[u8]| {
        text.len() < 40
            && text.iter().all(|byte| byte.is_ascii_alphabetic() || b"_-.@:".contains(byte))
    };
    if let Some(at) = token.iter().position(|&byte| byte == b'=').filter(|_| token[0] != b'/') {
        // What ends in `=` may be Base64.
        let has_value = token[at..].iter().any(|&byte| byte != b'=');
        let is_name = has_value && is_name(&token[..at]);
        out.push_str(if is_name { ascii(&token[..at]) } else { "…" });
        out.push_str(if has_value { "=…" } else { "" });
    } else if is_member {
        text(token, LONG_RUN_UNKNOWN, out);
    } else if token.ends_with(b":") {
        out.push_str(if is_name(token) { ascii(token) } else { "…" });
    } else if is_location(token) {
        text(token, LONG_RUN_UNKNOWN, out);
    } else if is_plain(token) {
        for &byte in token {
            push(out, byte);
        }
    } else {
        out.push('…');
    }
}

/// Tells whether a word is a number, a time, an address or a method.
fn is_plain(token: &[u8]) -> bool {
    const WORDS: [&str; 14] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "UTC",
        "GMT", "HTTP/1.0", "HTTP/1.1", "HTTP/2.0",
    ];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Ok(word) = std::str::from_utf8(token) else { return false };
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let of_letters: String = word.chars().filter(|char| char.is_alphabetic()).collect();
    let is_address = word.matches(':').count() > 1
        && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    of_letters.is_empty()
        || (has_digit && word.parse::<f64>().is_ok())
        || (has_digit && matches!(of_letters.as_str(), "T" | "TZ" | "Z"))
        || MONTHS.contains(&of_letters.as_str())
        || is_address
        || WORDS.contains(&word)
}

/// Tells whether a word is a path or a URL.
fn is_location(token: &[u8]) -> bool {
    [&b"/"[..], b"http://", b"https://"].iter().any(|start| token.starts_with(start))
}

/// Tells whether a client chooses the whole value, so that all of it may be a key.
fn from_client(name: &str) -> bool {
    ["http_", "arg_", "cookie_", "sent_http_", "upstream_http_", "upstream_cookie_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Adds text without the values of queries, user names in URLs and long runs of letters and digits.
fn text(raw: &[u8], long_run: usize, out: &mut String) {
    let mut rest = raw;
    while let Some((&byte, behind)) = rest.split_first() {
        let len = if let Some(len) = user_info(rest) {
            out.push_str("://…@");
            len
        } else if is_run(byte) {
            let len = rest.iter().take_while(|byte| is_run(**byte)).count();
            let run = &rest[..len];
            out.push_str(if looks_secret(run, long_run) { "…" } else { ascii(run) });
            len
        } else if byte == b'?' {
            out.push('?');
            1 + query(behind, out)
        } else {
            push(out, byte);
            1
        };
        rest = &rest[len..];
    }
}

/// Adds the names of a query's parameters and hides all else; returns the query's length.
fn query(raw: &[u8], out: &mut String) -> usize {
    let len = raw.iter().take_while(|byte| !matches!(byte, b'#' | b' ' | b'"')).count();
    for (index, part) in raw[..len].split(|&byte| byte == b'&').enumerate() {
        out.push_str(if index == 0 { "" } else { "&" });
        match part.iter().position(|&byte| byte == b'=') {
            Some(end) => {
                let mut name = String::new();
                // A name holds no query: `?` in it begins none.
                part[..end].iter().for_each(|&byte| push(&mut name, byte));
                let long = looks_secret(&part[..end], LONG_RUN);
                out.push_str(if long { "…" } else { &name });
                out.push_str(if end + 1 == part.len() { "=" } else { "=…" });
            }
            None if part.is_empty() => {}
            None => out.push('…'),
        }
    }
    len
}

fn shortened(mut text: String) -> String {
    while text.contains("… …") {
        text = text.replace("… …", "…");
    }
    if text.chars().count() <= LONGEST_SHOWN {
        return text;
    }
    text.chars().take(LONGEST_SHOWN).chain(['…']).collect()
}

fn is_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn looks_secret(run: &[u8], long_run: usize) -> bool {
    run.len() >= long_run
        && run.iter().any(u8::is_ascii_digit)
        && run.iter().any(u8::is_ascii_alphabetic)
}

/// Returns the length of `://user:password@` at the start of `text`.
fn user_info(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"://")?;
    let len = rest.iter().take_while(|byte| !b"/?# \"@".contains(byte)).count();
    (rest.get(len) == Some(&b'@')).then_some(3 + len + 1)
}

fn ascii(run: &[u8]) -> &str {
    std::str::from_utf8(run).expect("a run is ASCII")
}

/// Adds a byte that is safe on a terminal; any other as `\xHH`.
fn push(out: &mut String, byte: u8) {
    if byte.is_ascii_graphic() || byte == b' ' {
        out.push(char::from(byte));
    } else {
        use std::fmt::Write as _;
        write!(out, "\\x{byte:02X}").expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_query_parameters_are_hidden_wherever_they_stand() {
        assert_eq!(
            field("request", b"GET /a=b?key=hunter2&page=&x=1 HTTP/1.1"),
            "GET /a=b?key=…&page=&x=… HTTP/1.1"
        );
        assert_eq!(field("http_referer", b"https://u:p@host/?t=s#x"), "https://…@host/?t=…#x");
        assert_eq!(field("args", b"key=hunter2&hunter3#x"), "key=…&…#x");
        assert_eq!(field("request", b"GET /?hunter2 HTTP/1.1"), "GET /?… HTTP/1.1");
    }

    #[test]
    fn headers_that_may_be_keys_are_hidden_whole() {
        assert_eq!(field("http_x_api_key", b"hunter2"), "… (7 bytes)");
        assert_eq!(field("arg_key", b"hunter2"), "… (7 bytes)");
        assert_eq!(field("http_authorization", b"-"), "-");
        assert_eq!(field("key_name", b"2025-q4"), "2025-q4");
    }

    #[test]
    fn long_runs_are_hidden_in_paths_and_in_unknown_lines() {
        assert_eq!(field("request_uri", b"/hook/T0123456789abcdefghij/x"), "/hook/…/x");
    }

    #[test]
    fn of_an_unknown_line_only_what_cannot_be_a_secret_is_shown() {
        let check = |line: &str, expected: &str| {
            assert_eq!(unknown_line(line.as_bytes()), expected, "{line}");
        };
        check("key: abc123 token=\x1b[2J x", "key: … token=…[…");
        check(
            "192.0.2.1 - alice [17/May/2015:10:05:03 +0000] \"GET /a?k=hunter2 HTTP/1.1\" 200 \"hunter2\"",
            "192.0.2.1 - … [17/May/2015:10:05:03 +0000] \"GET /a?k=… HTTP/1.1\" 200 \"…\"",
        );
        check("{\"api_key\":\"hunter2\",\"n\":7", "{\"api_key\":\"…\",\"n\":7");
        check("2024-05-01T12:00:00Z 2001:db8::1 hunter2:x", "2024-05-01T12:00:00Z 2001:db8::1 …");
    }

    #[test]
    fn a_json_value_is_hidden_unless_its_name_holds_no_secret() {
        let check = |path: &str, value: &str, expected: &str| {
            assert_eq!(json_field(path, value.as_bytes()), expected, "{path}");
        };
        check("request.headers.X-Api-Key.0", "hunter2", "… (7 bytes)");
        check("request.headers.Authorization.0", "Bearer hunter2", "… (14 bytes)");
        check("request.headers.X-Partner.0", "hunter2", "… (7 bytes)");
        check("request.uri", "/a?api_key=hunter2", "/a?api_key=…");
        check("args", "api_key=hunter2", "api_key=…");
        check("message", "{\"api_key\":\"hunter2\"}", "{\"api_key\":\"…\"}");
        check("user_id", "alice", "alice");
        check("ts", "1693840791.7", "1693840791.7");
        check("key_name", "2025-q4", "2025-q4");
        check("request.method", "GET", "GET");
    }
}

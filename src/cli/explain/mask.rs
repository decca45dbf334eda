//! Showing log text without showing a secret that may stand in it.
//!
//! Errs on the side of hiding: a long value in a path may be a webhook's token.

/// A run of letters and digits from this length on may be a secret.
const LONG_RUN: usize = 20;

/// The same in a line that no format explains.
const LONG_RUN_UNKNOWN: usize = 12;

/// Longest text shown, in characters.
const LONGEST_SHOWN: usize = 160;

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
            return format!("… ({} bytes)", value.len());
        }
        _ => text(value, LONG_RUN, &mut out),
    }
    shortened(out)
}

/// Returns a line that was not understood as it may be shown: what stands behind a `=` is hidden.
pub fn unknown_line(line: &[u8]) -> String {
    let mut out = String::new();
    for (index, part) in line.split(|&byte| byte == b'=').enumerate() {
        let hidden = if index == 0 { 0 } else { value_len(part) };
        out.push_str(if index == 0 { "" } else { "=" });
        out.push_str(if hidden == 0 { "" } else { "…" });
        text(&part[hidden..], LONG_RUN_UNKNOWN, &mut out);
    }
    shortened(out)
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

fn shortened(text: String) -> String {
    if text.chars().count() <= LONGEST_SHOWN {
        return text;
    }
    text.chars().take(LONGEST_SHOWN).chain(['…']).collect()
}

fn value_len(text: &[u8]) -> usize {
    text.iter().take_while(|byte| !matches!(byte, b'&' | b';' | b'#' | b' ' | b'"')).count()
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
        assert_eq!(unknown_line(b"key: abc123def456 token=\x1b[2J x"), "key: … token=… x");
    }
}

//! What a server says that it saw: one log per variable, one value per line, which nothing can
//! shift. Written to be plain, apart from the code under test.

use std::collections::HashMap;

use base64::Engine as _;

/// How a log is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    Default,
    Json,
    None,
    Apache,
}

/// The values of one request, escapes undone; `None` where the server had none.
#[derive(Clone, Debug, Default)]
pub struct Truth(pub HashMap<&'static str, Option<Vec<u8>>>);

impl Truth {
    /// Returns the value of a variable; `None` when it is absent or empty.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let value = self.0.get(name).unwrap_or_else(|| panic!("no truth of {name}"));
        value.as_deref()
    }

    /// Returns a value, or the empty one.
    pub fn text(&self, name: &str) -> &[u8] {
        self.value(name).unwrap_or_default()
    }

    /// Returns the key that a place shows.
    pub fn key(&self, place: &str) -> Option<Vec<u8>> {
        let key = match place.split_once(':').expect("a place") {
            ("query", name) => parameter(self.text("args"), name.as_bytes()),
            (_, "http_authorization") => authorization(self.text("http_authorization")),
            (_, name) => self.value(name).map(<[u8]>::to_vec),
        };
        key.filter(|key| is_key(key))
    }
}

/// Tells whether a value is a key, and not nothing or what stands for a hidden one.
fn is_key(value: &[u8]) -> bool {
    let stars = value.len() >= 3 && value.iter().all(|&byte| byte == b'*');
    !matches!(value, b"" | b"-" | b"\"\"" | b"[]" | b"REDACTED") && !stars
}

/// Returns the first parameter with exactly this name, decoded.
fn parameter(query: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut parts = query.split(|&byte| byte == b'&');
    let found = parts.find_map(|part| {
        let mut pair = part.splitn(2, |&byte| byte == b'=');
        (pair.next() == Some(name)).then(|| pair.next().unwrap_or_default())
    });
    found.map(percent_decoded)
}

/// Undoes `%HH`.
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| text[at] == b'%').and_then(hex);
        out.push(digits.unwrap_or(text[at]));
        at += if digits.is_some() { 3 } else { 1 };
    }
    out
}

fn hex(digits: &[u8]) -> Option<u8> {
    let plain = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(text, 16).ok().filter(|_| plain)
}

/// Returns the key in an `Authorization` header.
fn authorization(header: &[u8]) -> Option<Vec<u8>> {
    let at = header.iter().position(|&byte| byte == b' ').unwrap_or(header.len());
    let (scheme, rest) = header.split_at(at);
    let rest = &rest[rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len())..];
    match scheme.to_ascii_lowercase().as_slice() {
        b"bearer" => Some(rest.to_vec()),
        b"basic" => {
            let pair = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
            let colon = pair.iter().position(|&byte| byte == b':')?;
            Some(pair[..colon].to_vec())
        }
        b"aws4-hmac-sha256" => {
            let text = String::from_utf8_lossy(rest).into_owned();
            let (_, scope) = text.split_once("Credential=")?;
            Some(scope.split('/').next()?.as_bytes().to_vec())
        }
        _ => Some(header.to_vec()),
    }
}

/// Undoes what a server did to a value.
pub fn unescaped(escape: Escape, text: &[u8]) -> Vec<u8> {
    if escape == Escape::None {
        return text.to_vec();
    }
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let short = |escaped: u8| match escaped {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'v' => 11,
            b'f' => 12,
            other => other,
        };
        let (byte, len) = match (text[at], text.get(at + 1)) {
            (b'\\', Some(b'x')) => (hex(&text[at + 2..at + 4]).expect("two digits"), 4),
            (b'\\', Some(b'u')) => (hex(&text[at + 4..at + 6]).expect("a control character"), 6),
            (b'\\', Some(&escaped)) => (short(escaped), 2),
            (byte, _) => (byte, 1),
        };
        out.push(byte);
        at += len;
    }
    out
}

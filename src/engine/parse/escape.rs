//! Undoing what a server or a client did to text: log escapes and percent-encoding.
//!
//! Decoders append to a buffer of the caller and never fail: what is no escape stays as it is.

use memchr::memchr;

use super::json;

/// Which escapes a format's server writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// nginx `escape=default`: `\xHH` only, so a quote or a backslash never shows itself.
    Nginx,
    /// The same or Apache's: also `\"`, `\\`, `\n`, `\t`, `\r`, `\b`, `\v`.
    NginxOrApache,
    /// nginx `escape=json`: as in a JSON string.
    Json,
    /// nginx `escape=none`: nothing is escaped.
    None,
}

/// Appends `text` with its log escapes undone to `out`.
pub fn unescape(escapes: Escapes, text: &[u8], out: &mut Vec<u8>) {
    match escapes {
        Escapes::Json => return json::unescape_lossy(text, out),
        Escapes::None => return out.extend_from_slice(text),
        Escapes::Nginx | Escapes::NginxOrApache => {}
    }
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, len) = escaped(escapes, &rest[at..]);
        out.push(byte);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
}

/// Returns the byte that the escape at the start of `text` stands for, and the escape's length.
fn escaped(escapes: Escapes, text: &[u8]) -> (u8, usize) {
    match (text.get(1), escapes) {
        (Some(b'x'), _) => match text.get(2..4).and_then(hex_byte) {
            Some(byte) => (byte, 4),
            None => (b'\\', 1),
        },
        (Some(&byte @ (b'"' | b'\\')), Escapes::NginxOrApache) => (byte, 2),
        (Some(b'n'), Escapes::NginxOrApache) => (b'\n', 2),
        (Some(b't'), Escapes::NginxOrApache) => (b'\t', 2),
        (Some(b'r'), Escapes::NginxOrApache) => (b'\r', 2),
        (Some(b'b'), Escapes::NginxOrApache) => (8, 2),
        (Some(b'v'), Escapes::NginxOrApache) => (11, 2),
        _ => (b'\\', 1),
    }
}

/// Appends `text` with `%HH` decoded to `out`; `+` and broken sequences stay.
pub fn percent_decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, len) = match rest.get(at + 1..at + 3).and_then(hex_byte) {
            Some(byte) => (byte, 3),
            None => (b'%', 1),
        };
        out.push(byte);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
}

/// Appends `bytes[from..to]` with `%HH` decoded to `bytes` itself; `+` and broken sequences stay.
pub fn percent_decode_within(bytes: &mut Vec<u8>, from: usize, to: usize) {
    let mut at = from;
    while at < to {
        let digits = (at + 3 <= to).then(|| [bytes[at + 1], bytes[at + 2]]);
        let decoded = digits.filter(|_| bytes[at] == b'%').and_then(|digits| hex_byte(&digits));
        bytes.push(decoded.unwrap_or(bytes[at]));
        at += if decoded.is_some() { 3 } else { 1 };
    }
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let high = char::from(digits[0]).to_digit(16)?;
    let low = char::from(digits[1]).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(escapes: Escapes, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        unescape(escapes, text.as_bytes(), &mut out);
        out
    }

    #[test]
    fn nginx_writes_hex_only_so_other_backslashes_are_text() {
        assert_eq!(unescaped(Escapes::Nginx, r"a\x22b\x5C\xe9"), b"a\"b\\\xe9");
        assert_eq!(unescaped(Escapes::Nginx, r#"\n\"\xZZ\x2"#), br#"\n\"\xZZ\x2"#);
    }

    #[test]
    fn apache_short_escapes_are_undone_once() {
        assert_eq!(unescaped(Escapes::NginxOrApache, r#"\"\\x41\n\t\x41\"#), b"\"\\x41\n\tA\\");
        assert_eq!(unescaped(Escapes::NginxOrApache, r"\r\b\v"), b"\r\x08\x0b");
    }

    #[test]
    fn percent_decoding_keeps_plus_and_broken_sequences() {
        let mut out = Vec::new();
        percent_decode(b"a%2Bb+c%zz%4%%41", &mut out);
        assert_eq!(out, b"a+b+c%zz%4%A");
        let mut within = b"k=a%2Bb+c%zz%4%%41&l=%4".to_vec();
        percent_decode_within(&mut within, 2, 18);
        assert_eq!(within[23..], out);
    }
}

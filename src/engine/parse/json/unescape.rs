//! What the bytes between the quotes of a JSON string stand for (RFC 8259, section 7).

use memchr::memchr;

/// Half a surrogate pair: no character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoneSurrogate;

/// Appends what a string's bytes stand for to `out`; on an error `out` holds a part of it.
///
/// The escapes must be well formed, as the scanner has checked.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), LoneSurrogate> {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = &rest[at + 1..];
        let (byte, len) = match escape.first() {
            Some(b'b') => (8, 2),
            Some(b'f') => (12, 2),
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(b'u') => {
                let (char, len) = character(escape)?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[at + 1 + len..];
                continue;
            }
            Some(&byte) => (byte, 2),
            None => (b'\\', 1),
        };
        out.push(byte);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Appends what a string's bytes stand for; what is no escape stays as it is.
pub fn unescape_lossy(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let len = match rest.get(at + 1) {
            Some(b'u') => character(&rest[at + 1..]).map_or(1, |(_, len)| 1 + len),
            Some(_) => 2,
            None => 1,
        };
        let escape = &rest[at..at + len];
        if len == 1 || unescape(escape, out).is_err() {
            out.push(b'\\');
        }
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
}

/// Returns the character of `uXXXX` or `uXXXX\uXXXX` at the start of `text`, and its length there.
fn character(text: &[u8]) -> Result<(char, usize), LoneSurrogate> {
    let first = unit(text).ok_or(LoneSurrogate)?;
    if let Some(char) = char::from_u32(first) {
        return Ok((char, 5));
    }
    let second = text.get(5..).and_then(|rest| rest.strip_prefix(b"\\")).and_then(unit);
    let second = second.filter(|second| (0xDC00..0xE000).contains(second));
    match second {
        Some(second) if first < 0xDC00 => {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            char::from_u32(code).map(|char| (char, 11)).ok_or(LoneSurrogate)
        }
        _ => Err(LoneSurrogate),
    }
}

fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |sum, &digit| Some(sum << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let mut out = Vec::new();
        let result = unescape(text.as_bytes(), &mut out).ok();
        assert_eq!(
            result.map(|()| String::from_utf8_lossy(&out).into_owned()).as_deref(),
            expected
        );
    }

    #[test]
    fn escapes_stand_for_characters() {
        check(r#"a\"\\\/\b\f\n\r\tz"#, Some("a\"\\/\u{8}\u{c}\n\r\tz"));
        check(r"\u0041\u00e9\uD83D\uDE00!", Some("A\u{e9}\u{1F600}!"));
    }

    #[test]
    fn half_a_surrogate_pair_is_no_character() {
        for text in [r"\uD83D", r"\uD83Dx", r"\uDE00", r"\uD83D\u0041", r"\uDE00\uD83D"] {
            check(text, None);
        }
    }
}

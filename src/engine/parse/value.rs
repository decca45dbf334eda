//! What a decoded value means: a key, somebody's name, or nothing.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr;
use zeroize::Zeroize as _;

use crate::engine::usage::Outcome;

/// Longest `user:password` of a `Basic` header, encoded. A longer one is no key.
const LONGEST_BASIC: usize = 4096;

/// Tells whether a value stands for something: the servers write `-` for nothing.
pub fn is_given(value: &[u8]) -> bool {
    !matches!(value, [] | [b'-'])
}

/// Returns the outcome of a status: an integer, or nothing where the server has none. `None` for
/// any other text.
pub fn outcome(status: &[u8]) -> Option<Outcome> {
    if !is_given(status) {
        return Some(Outcome::Accepted);
    }
    let (negative, digits) = match status.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, status),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits
        .iter()
        .fold(0u16, |sum, digit| sum.saturating_mul(10).saturating_add(u16::from(digit - b'0')));
    Some(if negative { Outcome::Accepted } else { Outcome::of_status(number) })
}

/// What a place of a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing, or an empty value.
    Nothing,
    /// What a server, a gateway or a service writes instead of a secret.
    Masked,
    /// A key.
    Key,
}

/// Returns what a value is: a key, or what stands in the place of one.
fn held(value: &[u8]) -> Held {
    let inner = match value {
        [b'[', inner @ .., b']']
        | [b'<', inner @ .., b'>']
        | [b'(', inner @ .., b')']
        | [b'"', inner @ .., b'"'] => inner,
        _ => value,
    };
    let is_mask = inner.eq_ignore_ascii_case(b"redacted")
        || inner == b"HIDDEN_DUE_TO_SECURITY_REASONS"
        || (inner.len() >= 3 && inner.iter().all(|&byte| byte == b'*'));
    match is_mask {
        true => Held::Masked,
        false if inner.is_empty() || !is_given(value) => Held::Nothing,
        false => Held::Key,
    }
}

/// How the value at a place holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The value is the key.
    Whole,
    /// An `Authorization` header: the key behind its scheme.
    Authorization,
    /// `X-Amz-Credential` of a presigned URL: the key before the first `/`.
    PresignedScope,
}

impl Holding {
    /// Returns how a header or a field with this name holds a key: `Authorization`,
    /// `http_proxy_authorization`, Traefik's `request_Authorization` and the like are taken apart.
    pub fn of_field(name: &str) -> Self {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let header = ["http_", "request_"].iter().find_map(|prefix| name.strip_prefix(prefix));
        let name = header.unwrap_or(&name);
        match name {
            "authorization" | "proxy_authorization" => Self::Authorization,
            _ => Self::Whole,
        }
    }

    /// Returns how the query parameter with this name holds a key.
    pub fn of_parameter(name: &str) -> Self {
        if name == "X-Amz-Credential" { Self::PresignedScope } else { Self::Whole }
    }
}

/// Tells whether a field with this name or path holds a secret that no consumer may be named after:
/// a header that authenticates, or cookies.
pub fn holds_a_secret(field: &str) -> bool {
    let names = field.rsplit(['.', '[', ']', '"']);
    let mut names = names.filter(|name| !name.is_empty() && name.parse::<usize>().is_err());
    let name = names.next().unwrap_or_default();
    let is_cookie = ["cookie", "http_cookie", "request_cookie", "set-cookie"];
    Holding::of_field(name) == Holding::Authorization
        || is_cookie.contains(&name.to_ascii_lowercase().as_str())
}

/// Reduces `value[from..]`, a decoded value, to the key in it; returns whether there is one.
pub fn reduce_to_key(holding: Holding, value: &mut Vec<u8>, from: usize) -> Held {
    let whole = held(&value[from..]);
    if whole != Held::Key {
        return whole;
    }
    match holding {
        Holding::Whole => return Held::Key,
        Holding::PresignedScope => cut_scope(value, from),
        Holding::Authorization => cut_scheme(value, from),
    }
    held(&value[from..])
}

/// Leaves what stands before the first `/`.
fn cut_scope(value: &mut Vec<u8>, from: usize) {
    if let Some(len) = memchr(b'/', &value[from..]) {
        value.truncate(from + len);
    }
}

/// Leaves the key of `Bearer KEY`, the user of `Basic base64(user:password)`, the key id of AWS's
/// signatures. Of another scheme the whole header is the key.
fn cut_scheme(value: &mut Vec<u8>, from: usize) {
    let header = &value[from..];
    let end = memchr(b' ', header).unwrap_or(header.len());
    let scheme = &header[..end];
    let start = end + header[end..].iter().take_while(|&&byte| byte == b' ').count();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        value.drain(from..from + start);
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        leave_basic_user(value, from, start);
    } else if scheme.starts_with(b"AWS4-") {
        const CREDENTIAL: &[u8] = b"Credential=";
        match memchr::memmem::find(&header[start..], CREDENTIAL) {
            Some(at) => {
                value.drain(from..from + start + at + CREDENTIAL.len());
                cut_scope(value, from);
            }
            None => value.truncate(from),
        }
    } else if scheme == b"AWS" && start < header.len() {
        value.drain(from..from + start);
        if let Some(len) = memchr(b':', &value[from..]) {
            value.truncate(from + len);
        }
    }
}

/// Leaves the user of `base64(user:password)` (RFC 7617), which begins at `from + start`; nothing
/// where there is none.
fn leave_basic_user(value: &mut Vec<u8>, from: usize, start: usize) {
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
    let end = value.len();
    if end - from - start > LONGEST_BASIC {
        value.truncate(from);
        return;
    }
    // The pair is decoded behind the header, and its password wiped.
    value.resize(end + base64::decoded_len_estimate(end - from - start), 0);
    let (header, pair) = value.split_at_mut(end);
    let encoded = &header[from + start..];
    let decoded =
        STANDARD.decode_slice(encoded, pair).or_else(|_| URL_SAFE.decode_slice(encoded, pair));
    let user = decoded.ok().and_then(|len| memchr(b':', &pair[..len])).unwrap_or(0);
    value.copy_within(end..end + user, from);
    value[from + user..].zeroize();
    value.truncate(from + user);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(holding: Holding, value: &str, expected: Option<&str>) {
        let mut buffer = [b"before", value.as_bytes()].concat();
        let is_key = reduce_to_key(holding, &mut buffer, 6) == Held::Key;
        let key = is_key.then(|| String::from_utf8_lossy(&buffer[6..]).into_owned());
        assert_eq!(key.as_deref(), expected, "{value}");
        assert_eq!(&buffer[..6], b"before");
    }

    #[test]
    fn the_longest_basic_header_is_read_and_a_longer_one_is_no_key() {
        let header = |pair: usize| {
            use base64::prelude::{BASE64_STANDARD, Engine as _};
            format!("Basic {}", BASE64_STANDARD.encode(format!("u:{}", "p".repeat(pair - 2))))
        };
        let longest = LONGEST_BASIC / 4 * 3;
        check(Holding::Authorization, &header(longest), Some("u"));
        check(Holding::Authorization, &header(longest + 1), None);
    }

    #[test]
    fn the_key_of_a_signature_stands_where_its_name_does_and_a_scheme_alone_is_a_key() {
        let signed =
            "AWS4-HMAC-SHA256 SignedHeaders=host, Credential=AKIA1/20240501/x, Signature=0";
        check(Holding::Authorization, signed, Some("AKIA1"));
        check(Holding::Authorization, "AWS", Some("AWS"));
        check(Holding::Authorization, "AWS AKIA2:0", Some("AKIA2"));
    }

    #[test]
    fn a_redacted_value_is_no_key() {
        for value in [
            "",
            "-",
            "REDACTED",
            "redacted",
            "[REDACTED]",
            "<redacted>",
            "***",
            "********",
            "[]",
            "\"\"",
            "HIDDEN_DUE_TO_SECURITY_REASONS",
        ] {
            check(Holding::Whole, value, None);
            check(Holding::Authorization, &format!("Bearer {value}"), None);
        }
        for value in ["**", "null", "REDACTED2", "a***"] {
            check(Holding::Whole, value, Some(value));
        }
    }

    #[test]
    fn what_stands_instead_of_a_key_is_told_from_nothing() {
        let held = |value: &str| {
            [Holding::Whole, Holding::Authorization]
                .map(|holding| reduce_to_key(holding, &mut value.as_bytes().to_vec(), 0))
        };
        for nothing in ["", "-", "[]", "\"\"", "()"] {
            assert_eq!(held(nothing), [Held::Nothing; 2], "{nothing}");
        }
        for mask in ["***", "[REDACTED]", "redacted", "HIDDEN_DUE_TO_SECURITY_REASONS"] {
            assert_eq!(held(mask), [Held::Masked; 2], "{mask}");
            assert_eq!(held(&format!("Bearer {mask}"))[1], Held::Masked, "{mask}");
        }
        assert_eq!(held("Bearer "), [Held::Key, Held::Nothing]);
    }

    #[test]
    fn an_authorization_header_holds_its_key_behind_the_scheme() {
        let check = |value, expected| check(Holding::Authorization, value, expected);
        check("Bearer tok-1", Some("tok-1"));
        check("bearer   tok 1", Some("tok 1"));
        check("Basic c2tfbGl2ZTpwYXNz", Some("sk_live"));
        check("basic dXNlcjo", Some("user"));
        check("Basic dXNlcg==", None); // no colon
        check("Basic ???", None);
        check("Basic OnBhc3M=", None); // no user
        check(
            "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20240501/eu-west-1/s3/aws4_request, SignedHeaders=host",
            Some("AKIAEXAMPLE"),
        );
        check("AWS4-HMAC-SHA256 SignedHeaders=host", None);
        check("AWS AKIAEXAMPLE:signature", Some("AKIAEXAMPLE"));
        check("Token abc", Some("Token abc"));
        check("raw-key", Some("raw-key"));
        for scheme in ["Bearer", "Bearer ", "basic", "AWS4-HMAC-SHA256"] {
            check(scheme, None);
        }
    }

    #[test]
    fn headers_that_authenticate_name_nobody() {
        for field in ["http_authorization", "request.headers.Authorization.0", "http_cookie"] {
            assert!(holds_a_secret(field), "{field}");
        }
        for field in ["remote_user", "request.headers.User-Agent.0", "http_x_authorization_id"] {
            assert!(!holds_a_secret(field), "{field}");
        }
    }

    #[test]
    fn a_presigned_scope_holds_its_key_before_the_first_slash() {
        let scope = "AKIAEXAMPLE/20240501/eu-west-1/s3/aws4_request";
        check(Holding::PresignedScope, scope, Some("AKIAEXAMPLE"));
        check(Holding::PresignedScope, "AKIAEXAMPLE", Some("AKIAEXAMPLE"));
        check(Holding::PresignedScope, "/x", None);
    }

    #[test]
    fn the_name_of_a_place_tells_how_it_holds_the_key() {
        for name in
            ["Authorization", "http_authorization", "Proxy-Authorization", "request_Authorization"]
        {
            assert_eq!(Holding::of_field(name), Holding::Authorization, "{name}");
        }
        assert_eq!(Holding::of_field("http_x_authorization"), Holding::Whole);
        assert_eq!(Holding::of_parameter("X-Amz-Credential"), Holding::PresignedScope);
        assert_eq!(Holding::of_parameter("x-amz-credential"), Holding::Whole);
    }
}

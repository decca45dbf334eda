//! The request line and the query in it, both already free of log escapes.
//!
//! Garbage is not an error here: a client may send TLS bytes to a plain port, and that line
//! carries no key.

use memchr::{memchr, memmem};

/// Returns the target of `METHOD SP target SP HTTP/d.d`, or of HTTP/0.9's `GET target`.
///
/// nginx takes several spaces for one, some after the version, and serves HTTP/1.10. Envoy and others
/// write `HTTP/2`. A target may
/// hold spaces: it ends at the last ` HTTP/`. `None` for anything else.
pub fn target(request: &[u8]) -> Option<&[u8]> {
    let method_end = memchr(b' ', request)?;
    let (method, rest) = (&request[..method_end], without_spaces(&request[method_end..]));
    if method.is_empty() || rest.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return None;
    }
    if let Some(end) = last_version(rest) {
        let version = &rest[end + b" HTTP/".len()..];
        return is_version(version).then(|| without_spaces(&rest[..end]));
    }
    let old = method == b"GET" && memchr(b' ', rest).is_none() && !rest.starts_with(b"HTTP/");
    old.then_some(rest)
}

/// Returns where the last ` HTTP/` begins: nearly always nine bytes before the end.
fn last_version(text: &[u8]) -> Option<usize> {
    const MARK: &[u8; 6] = b" HTTP/";
    let usual = text.len().checked_sub(MARK.len() + 3);
    usual.filter(|&at| text[at..].first_chunk() == Some(MARK)).or_else(|| memmem::rfind(text, MARK))
}

/// Tells whether `text` is a number, or two with a point between.
fn is_version(text: &[u8]) -> bool {
    let is_number =
        |part: &[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    text.splitn(2, |&byte| byte == b'.').all(is_number)
}

/// Cuts the spaces around `text` off.
fn without_spaces(text: &[u8]) -> &[u8] {
    let is_text = |&byte: &u8| byte != b' ';
    let from = text.iter().position(is_text).unwrap_or(text.len());
    let to = text.iter().rposition(is_text).map_or(from, |last| last + 1);
    &text[from..to]
}

/// Characters of a method (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9')
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Returns the query of a target: after the first `?`, without a fragment.
pub fn query(target: &[u8]) -> Option<&[u8]> {
    let target = without_fragment(target);
    memchr(b'?', target).map(|at| &target[at + 1..])
}

/// Cuts `text` at the first `#`.
pub fn without_fragment(text: &[u8]) -> &[u8] {
    &text[..memchr(b'#', text).unwrap_or(text.len())]
}

/// Returns the value of the first parameter with exactly this name, still percent-encoded.
///
/// A parameter without `=` has the empty value.
pub fn parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = query;
    loop {
        let end = memchr(b'&', rest);
        let value = value_of(&rest[..end.unwrap_or(rest.len())], name);
        if value.is_some() {
            return value;
        }
        rest = &rest[end? + 1..];
    }
}

/// Returns the value of a part of a query, between two `&`, if it is the parameter `name`.
fn value_of<'a>(part: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = part.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b'=', value @ ..] => Some(value),
        _ => None,
    }
}

/// Tells whether the parameter `name` has `value` wherever the query begins, in a target whose path
/// is decoded: a second `?` may be the one that begins it.
pub fn is_only_parameter(target: &[u8], name: &[u8], value: Option<&[u8]>) -> bool {
    let Some(at) = memchr(b'?', target) else { return true };
    let query = &target[at + 1..];
    memchr(b'?', query).is_none()
        || query
            .split(|&byte| byte == b'&')
            .flat_map(|part| {
                let inner = memchr::memchr_iter(b'?', part).map(|at| &part[at + 1..]);
                std::iter::once(part).chain(inner)
            })
            .filter_map(|part| value_of(part, name))
            .all(|other| value == Some(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &str, expected: Option<&str>) {
        let value = target(request.as_bytes())
            .and_then(query)
            .and_then(|query| parameter(query, b"k"))
            .map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(value.as_deref(), expected, "{request}");
    }

    #[test]
    fn the_first_parameter_with_the_name_counts() {
        check("GET /?k=1&k=2 HTTP/1.1", Some("1"));
        check("GET /?kk=0&K=0&k=1=2 HTTP/1.1", Some("1=2"));
        check("GET /?k&k=2 HTTP/1.1", Some(""));
        check("GET /?a=k=1 HTTP/1.1", None);
    }

    #[test]
    fn a_query_begins_at_the_first_question_mark_and_ends_at_the_fragment() {
        check("GET /a?b?k=0&k=1#&k=2 HTTP/1.1", Some("1"));
        check("GET /k=1/?x HTTP/1.1", None);
        check("GET /#?k=1 HTTP/1.1", None);
    }

    #[test]
    fn a_target_with_spaces_ends_at_the_last_version() {
        check("GET /?a=x HTTP/1.1&k=1 HTTP/1.0", Some("1"));
        check("GET /?k=a b HTTP/1.1", Some("a b"));
    }

    #[test]
    fn where_a_path_is_decoded_another_question_mark_must_not_matter() {
        for (target, one) in [
            ("/?k=1&k=2", true),
            ("/a?x?y=1&k=1", true),
            ("/?k=1&u=/?k=1", true),
            ("/?u=/?y=1", true),
            ("/a?k=1?k=2", false),
            ("/a?x?k=2", false),
            ("/?k=1&u=/?k=2", false),
            ("/?k=1&u=/?y&k=2", false),
        ] {
            let value = query(target.as_bytes()).and_then(|query| parameter(query, b"k"));
            assert_eq!(is_only_parameter(target.as_bytes(), b"k", value), one, "{target}");
        }
    }

    #[test]
    fn a_version_may_be_one_number() {
        for version in ["HTTP/1.0", "HTTP/2", "HTTP/2.0", "HTTP/3"] {
            check(&format!("GET /?k=1 {version}"), Some("1"));
        }
    }

    #[test]
    fn a_request_of_http_0_9_has_a_target() {
        check("GET /?k=1", Some("1"));
        check("POST /?k=1", None);
        check("GET /?k=1 x", None);
    }

    #[test]
    fn what_nginx_serves_is_a_request() {
        check("GET /?k=1 HTTP/1.10", Some("1"));
        check("GET  /?k=1  HTTP/1.1 ", Some("1"));
        check("GET   /?k=1", Some("1"));
        check("GET  HTTP/1.1", None);
        check("GET  HTTP/?k=1", None);
    }

    #[test]
    fn garbage_has_no_target() {
        for garbage in [
            "G(T /?k=1 HTTP/1.1",
            "GET\u{7f} /?k=1 HTTP/1.1",
            "",
            "-",
            "\u{16}\u{3}?k=1 HTTP/1.1",
            "GET",
            "GET ",
            " /?k=1 HTTP/1.1",
        ] {
            check(garbage, None);
        }
        for version in ["HTTP/1.1.1", "HTTP/x.y", "HTTP/1.", "HTTP/"] {
            check(&format!("GET /?k=1 {version}"), None);
        }
    }
}

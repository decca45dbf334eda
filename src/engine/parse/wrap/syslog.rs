//! A syslog message: RFC 5424, RFC 3164, and the two files that rsyslog writes.
//!
//! ```text
//! <13>1 2024-05-01T12:00:00.1Z host app pid id [sd p="v"] text      RFC 5424
//! <13>May  1 12:00:00 host app[pid]: text                           RFC 3164, perhaps without host
//! May  1 12:00:00 host app[pid]: text                               rsyslog's traditional file
//! 2024-05-01T12:00:00.123456+02:00 host app[pid]: text              rsyslog's file
//! <13>2024-05-01T12:00:00.123456+02:00 host app[pid]: text          what rsyslog forwards
//! ```
//!
//! `Mmm dd hh:mm:ss` has neither year nor zone. To guess them would put a use of a key into another
//! year, so such a message has no time; the record within must bring its own.

use super::stamp;
use crate::engine::time::Timestamp;

/// Largest priority: facility 23, severity 7.
const MAX_PRIORITY: u8 = 191;

/// A message, read: its time if it has a full one, and its text.
pub type Message<'a> = (Option<Timestamp>, &'a [u8]);

/// Reads a message; `None` when it has another form.
pub fn read(line: &[u8]) -> Option<Message<'_>> {
    let Some(rest) = behind_priority(line) else { return unversioned(line, true) };
    match rest.strip_prefix(b"1 ") {
        Some(rest) => rfc5424(rest),
        _ => unversioned(rest, false),
    }
}

/// Reads a time, a host, a tag and a text. On the wire a sender may leave out its own name, or the
/// space before the text; in a file rsyslog has put them in.
fn unversioned(text: &[u8], is_in_file: bool) -> Option<Message<'_>> {
    let (at, rest) = match behind_month_and_clock(text) {
        Some(rest) => (None, rest),
        None => stamp(text).map(|(at, rest)| (Some(at), rest))?,
    };
    let text = match behind_host(rest) {
        Some(rest) => tagged(rest, is_in_file)?,
        None if is_in_file => return None,
        None => tagged(rest, true)?,
    };
    Some((at, text))
}

/// Reads `<PRI>`: 0 to 191 without leading zeros.
fn behind_priority(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|&byte| byte == b'>')?;
    let digits = &rest[..end];
    let has_form = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
    let priority: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (has_form && priority <= MAX_PRIORITY).then_some(&rest[end + 1..])
}

/// Reads `Mmm dd hh:mm:ss `, the day padded with a space or a zero.
fn behind_month_and_clock(text: &[u8]) -> Option<&[u8]> {
    let (t, rest) = text.split_first_chunk::<16>()?;
    let days = match &t[..3] {
        b"Jan" | b"Mar" | b"May" | b"Jul" | b"Aug" | b"Oct" | b"Dec" => 31,
        b"Apr" | b"Jun" | b"Sep" | b"Nov" => 30,
        b"Feb" => 29,
        _ => return None,
    };
    let two = |high: u8, low: u8| {
        let is_number = high.is_ascii_digit() && low.is_ascii_digit();
        is_number.then(|| (high - b'0') * 10 + (low - b'0'))
    };
    let day = two(if t[4] == b' ' { b'0' } else { t[4] }, t[5])?;
    let (hour, minute, second) = (two(t[7], t[8])?, two(t[10], t[11])?, two(t[13], t[14])?);
    let has_marks = [t[3], t[6], t[9], t[12], t[15]] == *b"  :: ";
    let is_time = (1..=days).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    (has_marks && is_time).then_some(rest)
}

/// Reads a host: a name, or an address. `app:text` is none, so text does not shift the fields.
fn behind_host(text: &[u8]) -> Option<&[u8]> {
    let (host, rest) = word(text)?;
    // What a container wrote is not from a host of that name.
    let is_output = matches!(host, b"stdout" | b"stderr");
    let is_name = host.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let colons = memchr::memchr_iter(b':', host).count();
    let is_address =
        colons >= 2 && host.iter().all(|&byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
    ((is_name && !is_output) || is_address).then_some(rest)
}

/// Reads `app[pid]: text` or `app: text`; `with_space`: a space must stand before the text.
fn tagged(text: &[u8], with_space: bool) -> Option<&[u8]> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./@+%()*".contains(&byte);
    let name = text.iter().position(|&byte| !is_name(byte)).filter(|&len| len > 0)?;
    let mut rest = &text[name..];
    if let Some(pid) = rest.strip_prefix(b"[") {
        let len = pid.iter().position(|&byte| !(byte.is_ascii_alphanumeric() || byte == b'-'))?;
        rest = pid[len..].strip_prefix(b"]")?;
    }
    let rest = rest.strip_prefix(b":")?;
    match rest.strip_prefix(b" ") {
        Some(text) => Some(text),
        None => (rest.is_empty() || !with_space).then_some(rest),
    }
}

/// Reads what follows `<PRI>1 `.
fn rfc5424(text: &[u8]) -> Option<Message<'_>> {
    let (at, mut rest) = match text.strip_prefix(b"- ") {
        Some(rest) => (None, rest),
        None => stamp(text).map(|(at, rest)| (Some(at), rest))?,
    };
    for _host_app_process_message in 0..4 {
        rest = word(rest)?.1;
    }
    let rest = match rest.strip_prefix(b"-") {
        Some(rest) => rest,
        None => behind_elements(rest)?,
    };
    if rest.is_empty() {
        return Some((at, rest));
    }
    let text = rest.strip_prefix(b" ")?;
    Some((at, text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)))
}

/// Reads one or more `[name param="value" …]`. In a value `\"`, `\\` and `\]` are escapes, and a
/// bare `]` is no end: a value ends at its quote.
fn behind_elements(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"[")?;
    loop {
        rest = behind_name(rest)?;
        while let Some(param) = rest.strip_prefix(b" ") {
            rest = behind_value(behind_name(param)?.strip_prefix(b"=\"")?)?;
        }
        rest = rest.strip_prefix(b"]")?;
        match rest.strip_prefix(b"[") {
            Some(next) => rest = next,
            None => return Some(rest),
        }
    }
}

fn behind_name(text: &[u8]) -> Option<&[u8]> {
    let is_end = |byte: u8| !byte.is_ascii_graphic() || b"=]\"".contains(&byte);
    let len = text.iter().position(|&byte| is_end(byte))?;
    (len > 0).then(|| &text[len..])
}

fn behind_value(text: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(&text[at + 1..]);
        }
        at += 2;
    }
}

/// Reads a word of visible ASCII and the space behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().position(|byte| !byte.is_ascii_graphic()).filter(|&len| len > 0)?;
    (text[len] == b' ').then(|| (&text[..len], &text[len + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(Option<&str>, &str)>) {
        let expected = expected.map(|(at, text)| (at.map(|at| at.parse().expect("a time")), text));
        let read = read(line.as_bytes());
        let said = read.map(|(at, text)| (at, String::from_utf8_lossy(text)));
        assert_eq!(said.as_ref().map(|(at, text)| (*at, text.as_ref())), expected, "{line}");
    }

    const AT: Option<&str> = Some("2024-05-01T12:00:00.5Z");

    #[test]
    fn the_last_day_of_each_month_is_one_and_the_day_behind_it_is_none() {
        let months = "Jan31 Feb29 Mar31 Apr30 May31 Jun30 Jul31 Aug31 Sep30 Oct31 Nov30 Dec31";
        for last in months.split(' ') {
            let (month, day) = last.split_at(3);
            let day: u8 = day.parse().expect("a number");
            let is_time = |day: u8| {
                behind_month_and_clock(format!("{month} {day:02} 12:00:00 h").as_bytes()).is_some()
            };
            assert!(is_time(1) && is_time(day) && !is_time(day + 1) && !is_time(0), "{last}");
        }
    }

    #[test]
    fn rfc_5424_has_a_time_and_structured_data() {
        for (rest, text) in [
            ("host app 1 id - a [b]", "a [b]"),
            ("- - - - - ", ""),
            ("- - - - -", ""),
            ("- - - - - \u{feff}a", "a"),
            ("h a 1 - [id] a", "a"),
            ("h a 1 - [id p=\"v\" q=\"\"][other@1 p=\"v\"] a", "a"),
            (r#"h a 1 - [id p="\"] - \\" q="\]"] a"#, "a"),
            (r#"h a 1 - [id p="] x"] a"#, "a"),
            ("h a 1 - [id p=\"v\"]", ""),
        ] {
            check(&format!("<13>1 2024-05-01T14:00:00.5+02:00 {rest}"), Some((AT, text)));
        }
        check("<13>1 - host app 1 id - a", Some((None, "a")));
    }

    #[test]
    fn what_misses_one_thing_is_not_rfc_5424() {
        for rest in [
            "",
            "host",
            "h a 1 id",
            "h a 1 id a",
            "h a 1 id  - a",
            "h a 1 id -a",
            "h  a 1 id - a",
            "h  1 id - a",
            "h a 1 id [] a",
            "h a 1 id [id a",
            "h a 1 id [id]a",
            "h a 1 id [id p] a",
            "h a 1 id [id p=v] a",
            "h a 1 id [id p=\"v] a",
            "h a 1 id [id p=\"v\\\"] a",
            "h a 1 id [id  p=\"v\"] a",
            "h a 1 id [id p=\"v\"] [id] a\u{7f}",
        ] {
            let line = format!("<13>1 2024-05-01T12:00:00.5Z {rest}");
            // Structured data that a text follows looks like a text.
            if rest.contains("] [") {
                check(&line, Some((AT, "[id] a\u{7f}")));
            } else {
                check(&line, None);
            }
        }
        check("<13>2 2024-05-01T12:00:00Z h a 1 id - a", None);
        check("<13>1 2024-05-32T12:00:00Z h a 1 id - a", None);
        check("<13> 1 2024-05-01T12:00:00Z h a 1 id - a", None);
    }

    #[test]
    fn a_priority_goes_from_0_to_191() {
        for (priority, is_good) in [
            ("0", true),
            ("7", true),
            ("13", true),
            ("191", true),
            ("192", false),
            ("256", false),
            ("999", false),
            ("1000", false),
            ("00", false),
            ("013", false),
            ("", false),
            ("-1", false),
            ("+1", false),
            ("1 ", false),
            ("a", false),
        ] {
            let text = is_good.then_some((None, "a"));
            check(&format!("<{priority}>1 - h a 1 id - a"), text);
            check(&format!("<{priority}>May  1 12:00:00 h a: a"), text);
        }
    }

    #[test]
    fn rfc_3164_has_no_time() {
        for (rest, text) in [
            ("host app[12]: a: b", "a: b"),
            ("host app: ", ""),
            ("host app:", ""),
            ("fe80::1 postfix/smtpd[1]:  a", " a"),
        ] {
            check(&format!("Dec 31 23:59:60 {rest}"), Some((None, text)));
            check(&format!("<13>Jan  1 00:00:00 {rest}"), Some((None, text)));
        }
        check("<190>May 01 12:00:00 nginx: a", Some((None, "a")));
        check("<190>May  1 12:00:00 host nginx:{}", Some((None, "{}")));
        for line in [
            "May  1 12:00:00 nginx: a",
            // What a client wrote must not become the tag.
            "<190>May  1 12:00:00 nginx:192.0.2.1 x: forged",
            "<190>May  1 12:00:00 nginx:{\"a\":\"b x: forged",
            "May  1 12:00:00 nginx:192.0.2.1 x: forged",
        ] {
            check(line, None);
        }
        check("<190>May  1 12:00:00 nginx: 192.0.2.1 x: a", Some((None, "192.0.2.1 x: a")));
        check("May  1 12:00:00 host nginx:{}", None);
    }

    #[test]
    fn what_misses_one_thing_is_not_rfc_3164() {
        for time in [
            "may  1 12:00:00",
            "Mai  1 12:00:00",
            "May 0 12:00:00",
            "May  0 12:00:00",
            "May 32 12:00:00",
            "Feb 30 12:00:00",
            "May  1 24:00:00",
            "May  1 12:60:00",
            "May  1 12:00:61",
            "May  1 12:00",
            "May 1 12:00:00",
            "May  1 12-00-00",
            "May  1  12:00:00",
            " May  1 12:00:00",
            "May  x 12:00:00",
        ] {
            check(&format!("{time} host app: a"), None);
            check(&format!("<13>{time} host app: a"), None);
        }
        for rest in [
            "",
            "host",
            "host ",
            "host app",
            "host app a: b",
            " app: a",
            "host app[1] a",
            "host app[1: a",
            "host app[a b]: c",
            "host : a",
            "host [1]: a",
            "host \"app\": a",
            "host  app: a",
        ] {
            check(&format!("May  1 12:00:00 {rest}"), None);
        }
    }

    #[test]
    fn a_file_of_rsyslog_has_the_time_of_arrival() {
        check("2024-05-01T14:00:00.500000+02:00 host app[1]: a", Some((AT, "a")));
        check("2024-05-01T12:00:00.5Z host app: a#012b", Some((AT, "a#012b")));
        check("<13>2024-05-01T12:00:00.5Z host app: a", Some((AT, "a")));
        for line in [
            "2024-05-01T12:00:00.5Z stdout app: a",
            "2024-05-01T12:00:00.5Z stdout F app: a",
            "2024-05-01T12:00:00.5Z app: a",
            "2024-05-01T12:00:00.5Z host app a",
            "2024-05-01T12:00:00 host app: a",
            "2024-05-01 12:00:00Z host app: a",
        ] {
            check(line, None);
        }
    }
}

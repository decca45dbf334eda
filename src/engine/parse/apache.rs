//! Apache's `LogFormat`: the bare string, or the directive as it stands in the config.
//!
//! Fields get the names that nginx has for the same thing, so that places of keys and consumers
//! are written in one way. Source: the manual page of Apache's mod_log_config.

use jiff::civil::date;
use jiff::tz::TimeZone;

use super::instant::{self, TimeForm};
use super::layout::LayoutError;
use super::template::{Pieces, Variable};
use super::variables::{self, Shape};
use crate::engine::time::Timestamp;

/// Takes a pasted format apart. `zone` is that of times that carry none.
pub fn parse(text: &str, zone: Option<&TimeZone>) -> Result<Pieces, LayoutError> {
    let string = unquoted(text)?;
    let mut pieces = Joined::default();
    let mut rest = string.as_str();
    while let Some(at) = rest.find('%') {
        pieces.literal(&rest[..at]);
        let (directive, behind) = directive(&rest[at..])?;
        rest = behind;
        match directive.letter {
            "%" => pieces.literal("%"),
            "t" => pieces.time(directive.argument, zone)?,
            _ => pieces.field(&directive, zone)?,
        }
    }
    pieces.literal(rest);
    pieces.finish(zone)
}

/// Tells whether every time of a pasted format is that of the end of a request.
pub fn logs_the_end(text: &str) -> bool {
    let Ok(string) = unquoted(text) else { return false };
    let mut rest = string.as_str();
    let mut has_time = false;
    while let Some(at) = rest.find('%') {
        let Ok((directive, behind)) = directive(&rest[at..]) else { return false };
        rest = behind;
        if directive.letter == "t" {
            has_time = true;
            if !directive.argument.is_some_and(|argument| argument.starts_with("end:")) {
                return false;
            }
        }
    }
    has_time
}

/// Returns the format string of `LogFormat "…" nickname`, or the text itself, config escapes undone.
fn unquoted(text: &str) -> Result<String, LayoutError> {
    let trimmed = text.trim();
    let Some(rest) = trimmed.strip_prefix("LogFormat").map(str::trim_start) else {
        return Ok(without_backslashes(trimmed));
    };
    let Some(quote @ ('"' | '\'')) = rest.chars().next() else {
        let word = rest.split_whitespace().next().ok_or(LayoutError::Directive)?;
        return Ok(without_backslashes(word));
    };
    let mut end = None;
    let mut escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        if char == quote && !escaped {
            end = Some(at);
            break;
        }
        escaped = char == '\\' && !escaped;
    }
    let end = end.ok_or(LayoutError::Directive)?;
    Ok(without_backslashes(&rest[1..end]))
}

/// Undoes `\"`, `\\`, `\t` and `\n`; another backslash stays.
fn without_backslashes(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some(escaped @ ('"' | '\'' | '\\')) => out.push(escaped),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// `%…{argument}x`
struct Directive<'a> {
    letter: &'a str,
    argument: Option<&'a str>,
    /// Whether it speaks of the request before an internal redirect.
    is_original: bool,
}

fn directive(text: &str) -> Result<(Directive<'_>, &str), LayoutError> {
    let broken = || LayoutError::Apache(text.chars().take(12).collect());
    let mut rest = &text[1..];
    let is_modifier = |char: char| char.is_ascii_digit() || "!,<>".contains(char);
    let modifiers = rest.find(|char| !is_modifier(char)).ok_or_else(broken)?;
    let is_original = rest[..modifiers].contains('<');
    rest = &rest[modifiers..];
    let mut argument = None;
    if let Some(braced) = rest.strip_prefix('{') {
        let (inside, behind) = braced.split_once('}').ok_or_else(broken)?;
        argument = Some(inside);
        rest = behind;
        // A modifier may also stand behind the argument.
        rest = rest.trim_start_matches(is_modifier);
    }
    let len =
        if rest.starts_with("^t") { 3 } else { rest.chars().next().map_or(1, char::len_utf8) };
    let (letter, behind) = rest.split_at_checked(len).ok_or_else(broken)?;
    Ok((Directive { letter, argument, is_original }, behind))
}

/// Pieces that are being joined; neighbouring pieces of a time become one.
#[derive(Default)]
struct Joined {
    pieces: Pieces,
    /// An example of the time that is being joined, and the literal text after it.
    time: Option<(String, String)>,
}

/// The moment that examples are made of: every part of it differs.
fn example() -> jiff::Zoned {
    let at = date(2031, 12, 28).at(23, 45, 56, 123_456_000).to_zoned(TimeZone::UTC);
    at.expect("the moment exists in UTC")
}

impl Joined {
    fn literal(&mut self, text: &str) {
        if let Some((_, after)) = &mut self.time {
            after.push_str(text);
            return;
        }
        let end = match self.pieces.after.last_mut() {
            Some((_, literal)) => literal,
            None => &mut self.pieces.lead,
        };
        end.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self, argument: Option<&str>, zone: Option<&TimeZone>) -> Result<(), LayoutError> {
        let argument = argument.unwrap_or_default();
        let argument = argument.strip_prefix("begin:").unwrap_or(argument);
        let argument = argument.strip_prefix("end:").unwrap_or(argument);
        let shown = match argument {
            "" => {
                self.end_of_time(zone)?;
                self.literal("[");
                let shape = Shape::Time(TimeForm::Local);
                self.push(Variable { name: "time_local".to_owned(), shape });
                self.literal("]");
                return Ok(());
            }
            "sec" => example().timestamp().as_second().to_string(),
            "msec" => example().timestamp().as_millisecond().to_string(),
            "usec" => example().timestamp().as_microsecond().to_string(),
            "msec_frac" => "123".to_owned(),
            "usec_frac" => "123456".to_owned(),
            pattern => jiff::fmt::strtime::format(pattern, &example())
                .map_err(|_| LayoutError::TimePattern(pattern.to_owned()))?,
        };
        let (mut text, after) = self.time.take().unwrap_or_default();
        text.push_str(&after);
        text.push_str(&shown);
        self.time = Some((text, String::new()));
        Ok(())
    }

    /// Adds the time that was joined, if there is one. What is read from it is tried on an example.
    fn end_of_time(&mut self, zone: Option<&TimeZone>) -> Result<(), LayoutError> {
        let Some((text, after)) = self.time.take() else { return Ok(()) };
        // `%{[%d/%b/%Y:…]}t` writes its brackets itself.
        let (text, after) = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            Some(inner) => {
                self.literal("[");
                (inner.to_owned(), format!("]{after}"))
            }
            None => (text, after),
        };
        let read = instant::any_form(text.as_bytes(), Some(&TimeZone::UTC));
        if read.map(Timestamp::as_seconds) != Some(example().timestamp().as_second()) {
            return Err(LayoutError::TimePattern(text));
        }
        if zone.is_none() && instant::any_form(text.as_bytes(), None).is_none() {
            return Err(LayoutError::NoZone);
        }
        let len = u8::try_from(text.len()).map_err(|_| LayoutError::TimePattern(text.clone()))?;
        self.push(Variable {
            name: "time_local".to_owned(),
            shape: Shape::Time(TimeForm::Fixed(len)),
        });
        self.literal(&after);
        Ok(())
    }

    /// Adds a field; `%U%q` is one: the target.
    fn field(
        &mut self,
        directive: &Directive<'_>,
        zone: Option<&TimeZone>,
    ) -> Result<(), LayoutError> {
        self.end_of_time(zone)?;
        let name = name(directive).ok_or_else(|| directive.unknown())?;
        if let Some((last, literal)) = self.pieces.after.last_mut()
            && literal.is_empty()
            && last.name == "uri"
            && name == "query"
        {
            "request_uri".clone_into(&mut last.name);
            return Ok(());
        }
        let shape = variables::shape(&name);
        self.push(Variable { name, shape });
        Ok(())
    }

    fn push(&mut self, variable: Variable) {
        self.pieces.after.push((variable, Vec::new()));
    }

    fn finish(mut self, zone: Option<&TimeZone>) -> Result<Pieces, LayoutError> {
        self.end_of_time(zone)?;
        Ok(self.pieces)
    }
}

impl Directive<'_> {
    fn unknown(&self) -> LayoutError {
        let argument = self.argument.map(|argument| format!("{{{argument}}}"));
        LayoutError::Apache(format!("%{}{}", argument.unwrap_or_default(), self.letter))
    }
}

/// Returns the name of a directive's value: that of nginx's variable where there is one.
fn name(directive: &Directive<'_>) -> Option<String> {
    let header = |prefix: &str| {
        let name = directive.argument?.to_ascii_lowercase().replace('-', "_");
        Some(format!("{prefix}{name}"))
    };
    let plain = match directive.letter {
        "a" if directive.argument == Some("c") => "realip_remote_addr",
        "a" | "h" => "remote_addr",
        "A" => "server_addr",
        "b" | "B" => "body_bytes_sent",
        "O" => "bytes_sent",
        "I" => "bytes_received",
        "S" => "bytes_both",
        "C" => return header("cookie_"),
        "D" => "request_time_us",
        "T" => "request_time",
        "e" => return header("env_"),
        "f" => "request_filename",
        "H" => "server_protocol",
        "i" => return header("http_"),
        "k" => "connection_requests",
        "l" => "remote_logname",
        "L" => "log_id",
        "m" => "request_method",
        "n" => return header("note_"),
        "o" => return header("sent_http_"),
        "^ti" => return header("trailer_"),
        "^to" => return header("sent_trailer_"),
        "p" => "server_port",
        "P" => "pid",
        "q" => "query",
        "r" => "request",
        "R" => "handler",
        "s" if directive.is_original => "original_status",
        "s" => "status",
        "u" => "remote_user",
        "U" => "uri",
        "v" => "server_name",
        "V" => "host",
        "X" => "connection_status",
        "x" => return header("ssl_"),
        "c" => return header("ssl_"),
        _ => return None,
    };
    Some(plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let pieces = parse(text, None);
        match (pieces, expected) {
            (Ok(pieces), Ok(expected)) => {
                let names: Vec<&str> =
                    pieces.after.iter().map(|(field, _)| field.name.as_str()).collect();
                assert_eq!(names, expected, "{text}");
            }
            (Err(error), Err(word)) => {
                assert!(error.to_string().contains(word), "{text}: {error}");
            }
            (pieces, _) => panic!("{text}: {pieces:?}"),
        }
    }

    #[test]
    fn directives_get_the_names_that_nginx_has() {
        check(
            r#"LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" %{X-Api-Key}i" combined"#,
            Ok(&[
                "remote_addr",
                "remote_logname",
                "remote_user",
                "time_local",
                "request",
                "status",
                "body_bytes_sent",
                "http_referer",
                "http_x_api_key",
            ]),
        );
        check(
            "%v:%p %{c}a %t %m %U%q %H %<s",
            Ok(&[
                "server_name",
                "server_port",
                "realip_remote_addr",
                "time_local",
                "request_method",
                "request_uri",
                "server_protocol",
                "original_status",
            ]),
        );
        check("%400,501{X-Key}i %!200u 100%% %t", Ok(&["http_x_key", "remote_user", "time_local"]));
    }

    #[test]
    fn a_time_may_be_made_of_pieces() {
        for text in [
            "%{%Y-%m-%dT%H:%M:%S}t.%{usec_frac}t%{%z}t %h",
            "[%{%d/%b/%Y:%H:%M:%S}t.%{msec_frac}t %{%z}t] %h",
            "%{[%d/%b/%Y:%H:%M:%S %z]}t %h",
            "%{msec}t %h",
            "%{end:usec}t %h",
            "%{begin:%F %T %z}t %h",
            "%{%s}t %h",
        ] {
            check(text, Ok(&["time_local", "remote_addr"]));
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_to_change() {
        check("%{%Y-%m-%d %H:%M:%S}t %h", Err("zone"));
        check("%{%H:%M}t %h", Err("23:45"));
        check("%h %~", Err("%~"));
        check("LogFormat \"%h", Err("LogFormat"));
        let zone = TimeZone::UTC;
        assert!(parse("%{%Y-%m-%d %H:%M:%S}t %h", Some(&zone)).is_ok());
    }
}

//! Apache's `LogFormat`: the bare string, or the directive as it stands in the config.
//!
//! Fields get the names that nginx has for the same thing, so that places of keys and consumers
//! are written in one way. Source: the manual page of Apache's `mod_log_config`.

mod times;

use jiff::tz::TimeZone;

use super::instant::TimeForm;
use super::layout::LayoutError;
use super::template::{Pieces, Variable};
use super::variables::{self, Shape};
use times::{Piece, joined, readable, shown};

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
    let len = if rest.starts_with('^') { 3 } else { rest.chars().next().map_or(1, char::len_utf8) };
    let (letter, behind) = rest.split_at_checked(len).ok_or_else(broken)?;
    Ok((Directive { letter, argument, is_original }, behind))
}

/// Pieces that are being joined; neighbouring pieces of a time become one.
#[derive(Default)]
struct Joined {
    pieces: Pieces,
    /// The pieces of a time: each with the literal text after it.
    times: Vec<Piece>,
    /// Why a piece is no time.
    refusal: Option<LayoutError>,
}

impl Joined {
    fn literal(&mut self, text: &str) {
        let end = match (self.times.last_mut(), self.pieces.after.last_mut()) {
            (Some((_, literal)), _) => return literal.push_str(text),
            (None, Some((_, literal))) => literal,
            (None, None) => &mut self.pieces.lead,
        };
        end.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self, argument: Option<&str>, zone: Option<&TimeZone>) -> Result<(), LayoutError> {
        let argument = argument.unwrap_or_default();
        let argument = argument.strip_prefix("begin:").unwrap_or(argument);
        let argument = argument.strip_prefix("end:").unwrap_or(argument);
        if argument.is_empty() {
            self.end_of_times(zone);
            self.literal("[");
            self.push("time_local", Shape::Time(TimeForm::Local));
            self.literal("]");
        } else {
            self.times.push((shown(argument)?, String::new()));
        }
        Ok(())
    }

    /// Adds the times whose pieces were joined: as many pieces as can be read make one.
    fn end_of_times(&mut self, zone: Option<&TimeZone>) {
        let mut rest = std::mem::take(&mut self.times);
        while !rest.is_empty() {
            let whole = (1..=rest.len()).rev().find_map(|count| {
                let (texts, after) = joined(&rest[..count]);
                // `%{[%d/%b/%Y:…]}t` writes its brackets itself.
                let inner =
                    |text: &String| Some(text.strip_prefix('[')?.strip_suffix(']')?.to_owned());
                if let (Some(first), Some(second)) = (inner(&texts[0]), inner(&texts[1])) {
                    let len = readable(&[first, second], zone).ok()?;
                    return Some((count, "[", len, format!("]{after}")));
                }
                Some((count, "", readable(&texts, zone).ok()?, after))
            });
            let count = if let Some((count, before, len, after)) = whole {
                self.literal(before);
                self.push("time_local", Shape::Time(TimeForm::Fixed(len)));
                self.literal(&after);
                count
            } else {
                let (texts, after) = joined(&rest[..1]);
                let all = joined(&rest).0;
                self.refusal = self.refusal.take().or(readable(&all, zone).err());
                let is_word = !texts[0].contains(' ');
                self.push("time_part", if is_word { Shape::Token } else { Shape::Free });
                self.literal(&after);
                1
            };
            rest.drain(..count);
        }
    }

    /// Adds a field; `%U%q` is one: the target.
    fn field(
        &mut self,
        directive: &Directive<'_>,
        zone: Option<&TimeZone>,
    ) -> Result<(), LayoutError> {
        self.end_of_times(zone);
        let name = name(directive).ok_or_else(|| directive.unknown())?;
        if let Some((last, literal)) = self.pieces.after.last_mut()
            && literal.is_empty()
            && last.name == "uri"
            && name == "query"
        {
            "request_uri".clone_into(&mut last.name);
            return Ok(());
        }
        self.push(&name, variables::shape(&name));
        Ok(())
    }

    fn push(&mut self, name: &str, shape: Shape) {
        self.pieces.after.push((Variable { name: name.to_owned(), shape }, Vec::new()));
    }

    fn finish(mut self, zone: Option<&TimeZone>) -> Result<Pieces, LayoutError> {
        self.end_of_times(zone);
        let mut names: Vec<&mut String> =
            self.pieces.after.iter_mut().map(|(variable, _)| &mut variable.name).collect();
        if let Some(refusal) = self.refusal
            && !names.iter().any(|name| *name == "time_local")
        {
            return Err(refusal);
        }
        // Where the final status is not logged, that of the first request is all there is.
        if !names.iter().any(|name| *name == "status")
            && let Some(name) = names.iter_mut().find(|name| **name == "original_status")
        {
            "status".clone_into(name);
        }
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
        "^FB" | "^FU" => "first_byte_time",
        "p" if directive.argument == Some("remote") => "remote_port",
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
        "x" | "c" => {
            let name = header("")?;
            return Some(format!("ssl_{}", name.strip_prefix("ssl_").unwrap_or(&name)));
        }
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
                "status",
            ]),
        );
        check(
            "%t %<s %>s %^FB",
            Ok(&["time_local", "original_status", "status", "first_byte_time"]),
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
            "[%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t] %h",
        ] {
            check(text, Ok(&["time_local", "remote_addr"]));
        }
    }

    #[test]
    fn times_side_by_side_are_times_of_their_own() {
        check("%{usec}t %{end:usec}t %h", Ok(&["time_local", "time_local", "remote_addr"]));
        check("\"%{sec}t\" \"%{%FT%T%z}t\"", Ok(&["time_local", "time_local"]));
        check("%t %{usec_frac}t %h", Ok(&["time_local", "time_part", "remote_addr"]));
        check("%{%H:%M}t %h [%{%F %T %z}t]", Ok(&["time_part", "remote_addr", "time_local"]));
    }

    #[test]
    fn a_part_of_a_time_is_a_word_if_it_holds_no_space() {
        for (text, expected) in [("%{%H:%M}t %t", Shape::Token), ("%{%d %b}t %t", Shape::Free)] {
            let pieces = parse(text, None).expect(text);
            let (Variable { name, shape }, _) = &pieces.after[0];
            assert_eq!((name.as_str(), *shape), ("time_part", expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_to_change() {
        check("%{%Y-%m-%d %H:%M:%S}t %h", Err("zone"));
        check("%{%H:%M}t %h", Err("23:45"));
        // It pads with a blank, and this one is not C's.
        check("%{%Y-%m-%eT%H:%M:%S%z}t %h", Err("read back"));
        check("%{%Y-%m-%dT%H:%M:%S%:z}t %h", Err("read back"));
        check("%h %~", Err("%~"));
        check("LogFormat \"%h", Err("LogFormat"));
        let zone = TimeZone::UTC;
        assert!(parse("%{%Y-%m-%d %H:%M:%S}t %h", Some(&zone)).is_ok());
    }
}

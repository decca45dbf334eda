//! nginx's `log_format`: the bare string, or the directive as it stands in `nginx.conf`.
//!
//! ```text
//! log_format name escape=json '$remote_addr …'
//!                             '… $status';
//! ```

use super::escape::Escapes;
use super::layout::LayoutError;
use super::template::{Pieces, Variable};
use super::variables;

/// A `log_format`, taken apart.
#[derive(Debug)]
pub struct LogFormat {
    /// Its literals and variables.
    pub pieces: Pieces,
    /// How values are escaped.
    pub escapes: Escapes,
}

/// Variables whose values nginx has decoded, or takes as they come: they may hold a line end.
const MAY_HOLD_LINE_ENDS: [&str; 8] = [
    "uri",
    "document_uri",
    "request_filename",
    "fastcgi_script_name",
    "fastcgi_path_info",
    "remote_user",
    "request_body",
    "ssl_server_name",
];

/// Takes a pasted format apart.
pub fn parse(text: &str) -> Result<LogFormat, LayoutError> {
    let (escape, string) = if let Some(words) = words_of_directive(text)? {
        let mut words = words.into_iter().peekable();
        let escape = words.next_if(|word| word.starts_with("escape="));
        (escape, words.collect::<String>())
    } else {
        bare(text.trim_start())
    };
    let escapes = match escape.as_deref() {
        None | Some("escape=default") => Escapes::Nginx,
        Some("escape=json") => Escapes::Json,
        Some("escape=none") => Escapes::None,
        Some(other) => return Err(LayoutError::Escape(other.to_owned())),
    };
    let pieces = pieces(&string)?;
    if escapes == Escapes::None {
        // A number is what a location's pattern caught of a decoded path.
        let open = pieces.after.iter().find(|(variable, _)| {
            let name = variable.name.as_str();
            MAY_HOLD_LINE_ENDS.contains(&name) || name.bytes().all(|byte| byte.is_ascii_digit())
        });
        if let Some((variable, _)) = open {
            return Err(LayoutError::Unescaped(variable.name.clone()));
        }
    }
    Ok(LogFormat { pieces, escapes })
}

/// Splits `escape=…` off a format that is no directive, and takes the quotes off the rest.
fn bare(text: &str) -> (Option<String>, String) {
    match text.split_once(char::is_whitespace) {
        Some((escape, rest)) if escape.starts_with("escape=") => {
            let rest = rest.trim_start();
            let words = words_of_directive(&format!("log_format x {rest};"));
            let string = match words {
                Ok(Some(words)) if rest.starts_with(['\'', '"']) => words.concat(),
                _ => rest.to_owned(),
            };
            (Some(escape.to_owned()), string)
        }
        _ => (None, text.to_owned()),
    }
}

/// Returns what follows the name in `log_format name …;`, quotes undone; `None` if the text is no
/// such directive.
fn words_of_directive(text: &str) -> Result<Option<Vec<String>>, LayoutError> {
    let Some(rest) = text.trim_start().strip_prefix("log_format") else { return Ok(None) };
    if !rest.starts_with(char::is_whitespace) {
        return Ok(None);
    }
    let mut words = Vec::new();
    let mut rest = rest.trim_start();
    while let Some(first) = rest.chars().next() {
        match first {
            ';' => break,
            '#' => rest = rest.split_once('\n').map_or("", |(_, rest)| rest),
            '\'' | '"' => {
                let (word, behind) = quoted(&rest[1..], first).ok_or(LayoutError::Directive)?;
                words.push(word);
                rest = behind;
            }
            _ => {
                let end = rest.find(|char: char| char.is_whitespace() || char == ';');
                let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
                words.push(word.to_owned());
                rest = behind;
            }
        }
        rest = rest.trim_start();
    }
    if words.len() < 2 {
        return Err(LayoutError::Directive);
    }
    words.remove(0);
    Ok(Some(words))
}

/// Reads up to the closing quote. Inside, nginx undoes `\"`, `\'`, `\\`, `\t`, `\r` and `\n`.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if char == quote {
            return Some((word, &text[at + 1..]));
        }
        if char != '\\' {
            word.push(char);
            continue;
        }
        match chars.next()?.1 {
            escaped @ ('"' | '\'' | '\\') => word.push(escaped),
            't' => word.push('\t'),
            'r' => word.push('\r'),
            'n' => word.push('\n'),
            other => word.extend(['\\', other]),
        }
    }
    None
}

fn pieces(text: &str) -> Result<Pieces, LayoutError> {
    let mut parts = text.split('$');
    let lead = parts.next().unwrap_or_default();
    let mut at = lead.len();
    let mut after = Vec::new();
    for part in parts {
        let (name, literal) = variable(part).ok_or(LayoutError::Variable { at })?;
        let name = name.to_ascii_lowercase();
        let shape = variables::shape(&name);
        after.push((Variable { name, shape }, literal.as_bytes().to_vec()));
        at += 1 + part.len();
    }
    Ok(Pieces { lead: lead.as_bytes().to_vec(), after })
}

/// Splits `name…` or `{name}…`, as it stands after a `$`, into the name and the text behind.
fn variable(part: &str) -> Option<(&str, &str)> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let (name, rest) = match part.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => part.split_at(part.find(|char| !is_name(char)).unwrap_or(part.len())),
    };
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, escapes: Escapes, expected: &[&str]) {
        let format = parse(text).expect("a format");
        let names: Vec<&str> =
            format.pieces.after.iter().map(|(variable, _)| variable.name.as_str()).collect();
        assert_eq!((names.as_slice(), format.escapes), (expected, escapes), "{text}");
    }

    #[test]
    fn a_pasted_directive_is_its_pieces_joined() {
        let directive = "log_format main '$remote_addr [$time_local] '  # who and when\n\
             \t\"\\\"$request\\\" \"\n '$status';\n";
        check(directive, Escapes::Nginx, &["remote_addr", "time_local", "request", "status"]);
        let format = parse(directive).expect("a format");
        let literals: Vec<&[u8]> =
            format.pieces.after.iter().map(|(_, literal)| literal.as_slice()).collect();
        assert_eq!(literals, [&b" ["[..], b"] \"", b"\" ", b""]);
    }

    #[test]
    fn the_escape_stands_in_front_of_the_string_or_in_the_directive() {
        check("escape=json {\"a\":\"$msec\"}", Escapes::Json, &["msec"]);
        check("escape=none '$msec '\n'$status'", Escapes::None, &["msec", "status"]);
        check("log_format x escape=json '{\"a\":\"$msec\"}';", Escapes::Json, &["msec"]);
        check("escape=default $msec", Escapes::Nginx, &["msec"]);
    }

    #[test]
    fn a_text_without_quotes_is_taken_as_it_stands_and_one_with_quotes_is_not() {
        let written = |text: &str| {
            let Pieces { lead, after } = parse(text).expect(text).pieces;
            let after = after.into_iter().map(|(variable, literal)| {
                format!("${}{}", variable.name, String::from_utf8_lossy(&literal))
            });
            String::from_utf8_lossy(&lead).into_owned() + &after.collect::<String>()
        };
        for (text, expected) in [
            ("log_format main '$msec $status';", "$msec $status"),
            ("log_format main $msec; log_format other $status;", "$msec"),
            ("log_format main escape=none '$msec ' $status", "$msec $status"),
            ("log_formats $msec $status", "log_formats $msec $status"),
            ("escape=none '$msec $status'", "$msec $status"),
            ("escape=none \"$msec \"\n'$status';", "$msec $status"),
            ("escape=json {\"a\": \"$msec\", \"b\": 1}", "{\"a\": \"$msec\", \"b\": 1}"),
            ("escape=none $msec  '$status' #;", "$msec  '$status' #;"),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_format_says_what_to_change() {
        for (text, word) in [
            ("log_format main;", "log_format"),
            ("log_format main 'open", "log_format"),
            ("escape=html $msec", "escape=html"),
            ("escape=none $msec $uri", "$uri"),
            ("escape=none $msec $remote_user", "$remote_user"),
            ("escape=none $msec $1", "$1"),
            ("$ $msec", "`$`"),
        ] {
            let error = parse(text).expect_err("no format").to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

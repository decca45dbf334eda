//! Text that is no TOML at all: the parser's message, at its place, with a hint.
//!
//! Without a parsed tree nobody knows what a line holds, so only lines of tables that never hold
//! a key are quoted.

use std::path::Path;

use crate::config::error::ConfigError;
use crate::config::report::{Report, Span};

/// Tables whose lines hold no key, not even by mistake.
const QUOTABLE: [&str; 4] = ["[server]", "[state]", "[[source]]", "[credential.policy]"];

/// Adds the problem that a text is no TOML.
pub(super) fn explain(error: &toml::de::Error, text: &str, report: &mut Report) {
    let span = error.span().unwrap_or(0..0);
    let message = format!("no valid TOML: {}", error.message().replace('\n', ", "));
    let fix = match error.message() {
        "duplicate key" => "remove one of the two",
        _ => "strings stand in quotes, lists in [ ], tables begin with [name] or [[name]]",
    };
    if is_quotable(text, &span) {
        report.problem(&span, message, fix);
    } else {
        report.private_problem(&span, message, fix);
    }
}

/// Returns the error of a config whose text ends, as far as it can be read, with `valid`.
pub(super) fn not_utf8(valid: &str, path: &Path) -> ConfigError {
    let mut report = Report::new(path, valid);
    let end = valid.len()..valid.len();
    report.private_problem(&end, "a byte that is no UTF-8", "save the config as UTF-8");
    ConfigError::Invalid { problems: report.into_problems() }
}

fn is_quotable(text: &str, span: &Span) -> bool {
    let start = text.floor_char_boundary(span.start);
    let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    let mut lines = text[..line_end].lines().rev().map(str::trim);
    let line = lines.clone().next().unwrap_or_default();
    let header = lines.find(|line| line.starts_with('['));
    let in_quotable = header.is_some_and(|header| {
        QUOTABLE.iter().any(|quotable| header.starts_with(quotable.trim_end_matches(']')))
    });
    in_quotable && !["key", "secret", "fingerprint", "token"].iter().any(|word| line.contains(word))
}

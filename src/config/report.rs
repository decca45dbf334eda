//! Collects the problems of one text: turns byte spans into line and column, draws excerpts.
//!
//! Reading goes on after a problem, so that one run shows them all. It never quotes a line that
//! is marked as private.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::config::error::{Position, Problem};

/// Longest line that is shown in an excerpt, in characters.
const MAX_EXCERPT: usize = 160;
/// A text full of mistakes is no config: no more problems than these are kept.
const MAX_PROBLEMS: usize = 100;

/// Byte range of a value or a key in the text.
pub(super) type Span = Range<usize>;

/// How much of its line a problem may show.
#[derive(Clone, Copy)]
enum Quote {
    Line,
    UpToSpan,
    Nothing,
}

/// The problems found so far in one text.
pub(super) struct Report<'t> {
    path: PathBuf,
    text: &'t str,
    /// Problem and the byte it points at; `None` for the environment.
    found: Vec<(Option<usize>, Problem)>,
}

impl<'t> Report<'t> {
    pub(super) fn new(path: &Path, text: &'t str) -> Self {
        Self { path: path.to_path_buf(), text, found: Vec::new() }
    }

    /// Adds a problem and shows its line.
    pub(super) fn problem(
        &mut self,
        span: &Span,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(span, Quote::Line, message.into(), fix.into());
    }

    /// Adds a problem of a key that nobody knows: its value may be anything, and is not shown.
    pub(super) fn key_problem(
        &mut self,
        span: &Span,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(span, Quote::UpToSpan, message.into(), fix.into());
    }

    /// Adds a problem whose line may hold a raw key, and does not show it.
    pub(super) fn private_problem(
        &mut self,
        span: &Span,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(span, Quote::Nothing, message.into(), fix.into());
    }

    /// Adds a problem of a variable of the environment.
    pub(super) fn environment_problem(
        &mut self,
        name: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let position = Position::Environment(name);
        let problem = Problem { position, message: message.into(), fix: fix.into(), excerpt: None };
        self.found.push((None, problem));
    }

    /// Returns the number of problems so far.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns the problems in the order of the text, those of the environment first.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(at, _)| *at);
        self.found.into_iter().map(|(_, problem)| problem).collect()
    }

    fn add(&mut self, span: &Span, quote: Quote, message: String, fix: String) {
        if self.found.len() >= MAX_PROBLEMS {
            return;
        }
        let at = self.text.floor_char_boundary(span.start);
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = self.text[line_start..at].chars().count() + 1;
        let excerpt = match quote {
            Quote::Line => self.excerpt(line, line_start, column, span, false),
            Quote::UpToSpan => self.excerpt(line, line_start, column, span, true),
            Quote::Nothing => None,
        };
        let position = Position::Text { path: self.path.clone(), line, column };
        self.found.push((Some(at), Problem { position, message, fix, excerpt }));
    }

    /// Draws the line with carets below the part of the span that lies in it.
    fn excerpt(
        &self,
        number: usize,
        line_start: usize,
        column: usize,
        span: &Span,
        cut: bool,
    ) -> Option<String> {
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        if line.chars().count() > MAX_EXCERPT || line.chars().any(|c| c.is_control() && c != '\t') {
            return None;
        }
        let end =
            self.text.floor_char_boundary(span.end).clamp(line_start, line_start + line.len());
        let marked = self.text[line_start..end].chars().count().saturating_sub(column - 1).max(1);
        let gutter = number.to_string();
        let blank = " ".repeat(gutter.len());
        // Tabs stay tabs, so that the mark stands below its place whatever a tab is worth.
        let indent: String =
            line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let line =
            if cut { format!("{} …", &self.text[line_start..end]) } else { line.to_owned() };
        Some(format!("  {gutter} | {line}\n  {blank} | {indent}{}", "^".repeat(marked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str, span: Span) -> Problem {
        let mut report = Report::new(Path::new("k.toml"), text);
        report.problem(&span, "odd", "mend it");
        report.into_problems().remove(0)
    }

    #[test]
    fn a_problem_is_marked_below_its_place_in_characters() {
        let text = "a = 1\n\tnäme = \"é\" # x\n";
        let start = text.find("\"é\"").unwrap();
        assert_eq!(
            only(text, start..start + 4).to_string(),
            "k.toml:2:9: odd; mend it\n  2 | \tnäme = \"é\" # x\n    | \t       ^^^"
        );
    }

    #[test]
    fn a_place_at_the_end_of_the_text_or_inside_a_character_is_marked_too() {
        assert_eq!(only("ab", 2..2).excerpt.as_deref(), Some("  1 | ab\n    |   ^"));
        assert_eq!(only("é", 1..9).excerpt.as_deref(), Some("  1 | é\n    | ^"));
        assert!(matches!(only("", 7..9).position, Position::Text { line: 1, column: 1, .. }));
    }

    #[test]
    fn a_span_over_several_lines_is_marked_in_its_first() {
        assert_eq!(only("x = [\n1]\n", 4..8).excerpt.as_deref(), Some("  1 | x = [\n    |     ^"));
    }

    #[test]
    fn problems_come_in_the_order_of_the_text() {
        let mut report = Report::new(Path::new("k"), "a\nb\n");
        report.problem(&(2..3), "second", "f");
        report.problem(&(0..1), "first", "f");
        report.environment_problem("X", "variable", "f");
        let messages: Vec<_> = report.into_problems().into_iter().map(|p| p.message).collect();
        assert_eq!(messages, ["variable", "first", "second"]);
    }
}

//! Reads `evidence` and `covered_by` of a `[[source]]`: what its lines can prove.
//!
//! What a best-effort source is covered by is checked once all sources are known.

use toml::Spanned;

use crate::config::Source;
use crate::config::report::{Report, Span};
use crate::config::table::{Table, closest};
use crate::engine::credential::SourceName;
use crate::engine::policy::Completeness;

/// What is declared, and where `covered_by` stands if it must be checked.
pub(super) fn read(table: &mut Table<'_>, report: &mut Report) -> (Completeness, Option<Span>) {
    let is_declared = table.is_given("evidence");
    let evidence = table.choice("evidence", &["complete", "positive-only"], &[], report);
    let cover = table.string("covered_by", report);
    if evidence == Some("positive-only") {
        let span = cover.as_ref().map(Spanned::span);
        let covered_by = cover.map(|name| SourceName::new(name.into_inner()));
        return (Completeness::PositiveOnly { covered_by }, span);
    }
    // A misspelt `evidence` is a problem already.
    if let Some(cover) = cover.filter(|_| evidence.is_some() || !is_declared) {
        let message = "`covered_by` covers a source that may lose lines, and this one is complete";
        let fix = "add `evidence = \"positive-only\"`, or remove it";
        report.problem(&cover.span(), message, fix);
    }
    (Completeness::Complete, None)
}

/// Refuses what cannot cover: no source at all, itself, one that may lose lines as well.
pub(super) fn check(covers: &[(SourceName, Span)], sources: &[Source], report: &mut Report) {
    let complete = sources.iter().filter(|it| it.policy.completeness == Completeness::Complete);
    let complete: Vec<&str> = complete.map(|source| source.name.as_str()).collect();
    for (name, span) in covers {
        let source = sources.iter().find(|source| source.name == *name);
        let Some(cover) = source.and_then(covered_by) else { continue };
        let text = cover.as_str();
        if complete.contains(&text) {
            continue;
        }
        let message = if cover == name {
            format!("source `{name}` covers itself")
        } else if sources.iter().any(|source| source.name == *cover) {
            format!("source `{cover}` may lose lines itself, so it covers nothing")
        } else {
            format!("unknown source `{cover}`")
        };
        let fix = match closest(text, &complete) {
            Some(near) => format!("did you mean `{near}`?"),
            None if complete.is_empty() => {
                "add a complete [[source]] that sees the same requests".to_owned()
            }
            None => format!(
                "name a complete source that sees the same requests: one of {}",
                complete.join(", ")
            ),
        };
        report.problem(span, message, fix);
    }
}

/// Returns the source that is named to cover a best-effort one.
pub(super) fn covered_by(source: &Source) -> Option<&SourceName> {
    match &source.policy.completeness {
        Completeness::PositiveOnly { covered_by } => covered_by.as_ref(),
        Completeness::Complete => None,
    }
}

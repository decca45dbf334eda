//! Reads `[[source]]`: which files, what a line looks like, how late and how silent it may be.
//!
//! A source with problems comes back with defaults in their place: it never leaves `parse`.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::config::report::{Report, Span};
use crate::config::table::Table;
use crate::config::{Source, check_name, completeness, layout};
use crate::engine::credential::SourceName;
use crate::engine::parse::{FormatSpec, Layout, LineParser};
use crate::engine::policy::{Completeness, SourcePolicy};

const IDLE_AFTER: Duration = Duration::from_mins(5);

/// Reads one source; patterns that are not absolute start at `base`.
///
/// Returns the place of its `covered_by`, too, if that must be checked.
pub(super) fn read(
    mut table: Table<'_>,
    base: &Path,
    report: &mut Report,
) -> Option<(Source, Option<Span>)> {
    let name = table.string("name", report);
    if name.is_none() && !table.is_given("name") {
        table.missing("name", "add `name = \"edge\"`", report);
    }
    table.choice("kind", &["file"], &["cloudwatch"], report);
    let (paths, documents) = read_paths(&mut table, base, report);
    let link_roots = read_link_roots(&mut table, report);
    let (layout, parser) = read_layout(&mut table, report);
    if let Some(span) = documents.filter(|_| layout.formats.contains(&FormatSpec::CloudTrail)) {
        refuse_documents(&span, report);
    }
    let mut policy = read_policy(&mut table, parser.as_ref(), report);
    policy.silence_is_idle =
        table.choice("silence", &["unknown", "idle"], &[], report) == Some("idle");
    let (completeness, cover) = completeness::read(&mut table, report);
    policy.completeness = completeness;
    table.choice("streams", &["each"], &["pooled"], report);
    let public = table.flag("public", report);
    table.finish(report);
    let name = name?;
    check_name("source", &name, report);
    let name = SourceName::new(name.into_inner());
    Some((Source { name, paths, link_roots, layout, public, policy }, cover))
}

/// Reads the patterns, and where one of them looks like the documents that CloudTrail delivers.
fn read_paths(
    table: &mut Table<'_>,
    base: &Path,
    report: &mut Report,
) -> (Vec<String>, Option<Span>) {
    let fix =
        "name the live log and its rotated siblings: `paths = [\"/var/log/nginx/access.log*\"]`";
    let Some(paths) = table.strings("paths", false, report) else {
        if !table.is_given("paths") {
            table.missing("paths", fix, report);
        }
        return (Vec::new(), None);
    };
    if paths.get_ref().is_empty() {
        report.problem(&paths.span(), "`paths` is empty", fix);
    }
    let documents = paths.get_ref().iter().find(|path| path.get_ref().contains(".json.gz"));
    let absolute = paths.get_ref().iter().filter_map(|path| pattern(path, base, report));
    (absolute.collect(), documents.map(Spanned::span))
}

/// Reads the directories that links may lead into, beside those of the patterns.
fn read_link_roots(table: &mut Table<'_>, report: &mut Report) -> Vec<PathBuf> {
    let Some(roots) = table.strings("link_roots", false, report) else { return Vec::new() };
    roots.get_ref().iter().filter_map(|root| link_root(root, report)).collect()
}

fn link_root(root: &Spanned<String>, report: &mut Report) -> Option<PathBuf> {
    let text = root.get_ref();
    let path = Path::new(text);
    let whole = "write the whole path of the directory, from `/` on";
    let (wrong, fix) = if text.is_empty() {
        ("a link root is empty".to_owned(), whole)
    } else if path.is_relative() {
        (format!("the link root `{text}` is a relative path"), whole)
    } else if path.components().any(|part| part == Component::ParentDir) {
        (format!("the link root `{text}` goes up with `..`"), whole)
    } else if text.contains(['*', '?', '[']) {
        let fix = "write the directory above the first wildcard: all that is below it is allowed";
        (format!("the link root `{text}` is a pattern"), fix)
    } else if path.parent().is_none() {
        let fix = "name the directories that the links lead into, as \"/var/log/pods\"";
        (format!("the link root `{text}` lets a link lead to any file of this host"), fix)
    } else {
        return Some(path.components().collect());
    };
    report.problem(&root.span(), wrong, fix);
    None
}

/// Refuses the files that CloudTrail itself delivers: each is one document that never grows, so
/// nothing in it says whether another one is missing.
fn refuse_documents(span: &Span, report: &mut Report) {
    report.problem(
        span,
        "files of CloudTrail's own bucket are documents, which cannot be followed",
        "let a shipper append the records to a log, one a line, and name that; `keydrain scan` reads \
         documents",
    );
}

/// Checks one pattern and makes it start at `base`, whose own characters stand for themselves.
fn pattern(path: &Spanned<String>, base: &Path, report: &mut Report) -> Option<String> {
    let text = path.get_ref();
    if text.is_empty() {
        report.problem(&path.span(), "a path is empty", "name a file, or remove the entry");
        return None;
    }
    if let Err(error) = glob::Pattern::new(text) {
        let message = format!("the pattern cannot be read: {} at byte {}", error.msg, error.pos);
        report.problem(&path.span(), message, "write `*` and `?`, and `[*]` for a real asterisk");
        return None;
    }
    if text.starts_with('/') {
        return Some(text.clone());
    }
    let Some(base) = base.to_str() else {
        report.problem(
            &path.span(),
            "a relative path, and the directory of the config is no UTF-8",
            "write the whole path, from `/` on",
        );
        return None;
    };
    let joined = Path::new(&glob::Pattern::escape(base)).join(text);
    Some(joined.components().collect::<std::path::PathBuf>().to_string_lossy().into_owned())
}

/// Reads and compiles what the lines look like.
fn read_layout(table: &mut Table<'_>, report: &mut Report) -> (Layout, Option<LineParser>) {
    let problems_before = report.len();
    let declared = layout::read(table, report);
    let parser = if report.len() > problems_before {
        None
    } else {
        layout::compile(&declared, table, report)
    };
    if let Some(parser) = &parser {
        layout::check_consumer(&declared, parser, table, report);
    }
    (declared.layout, parser)
}

fn read_policy(
    table: &mut Table<'_>,
    parser: Option<&LineParser>,
    report: &mut Report,
) -> SourcePolicy {
    let preset = parser.map_or(Duration::ZERO, LineParser::default_lateness);
    let mut allowed_lateness = preset;
    table.duration("allowed_lateness", &mut allowed_lateness, report);
    let mut idle_after = IDLE_AFTER;
    let span = table.duration("idle_after", &mut idle_after, report);
    if let Some(span) = span.filter(|_| idle_after.is_zero()) {
        let message = "`idle_after` of zero makes every source silent at once";
        report.problem(&span, message, "write the longest pause between two lines, as \"5m\"");
    }
    SourcePolicy {
        allowed_lateness,
        lateness_assumed: allowed_lateness < preset,
        idle_after,
        silence_is_idle: false,
        completeness: Completeness::Complete,
        probes: Vec::new(),
    }
}

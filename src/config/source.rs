//! Reads `[[source]]`: which files, what a line looks like, how late and how silent it may be.
//!
//! The layout is compiled here once, so that a format that cannot show the key is an error of the
//! config. A source with problems comes back with defaults in their place: it never leaves `parse`.

use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use crate::config::report::{Report, Span};
use crate::config::table::{Table, Value, unsupported};
use crate::config::{Source, check_name};
use crate::engine::credential::SourceName;
use crate::engine::parse::{FormatSpec, Layout, LayoutError, LineParser, Place};
use crate::engine::policy::SourcePolicy;

const IDLE_AFTER: Duration = Duration::from_mins(5);

/// Reads one source; patterns that are not absolute start at `base`.
pub(super) fn read(mut table: Table<'_>, base: &Path, report: &mut Report) -> Option<Source> {
    let name = table.string("name", report);
    if name.is_none() && !table.is_given("name") {
        table.missing("name", "add `name = \"edge\"`", report);
    }
    table.choice("kind", &["file"], &["cloudwatch"], report);
    let paths = read_paths(&mut table, base, report);
    let (layout, parser) = read_layout(&mut table, report);
    let mut policy = read_policy(&mut table, parser.as_ref(), report);
    policy.silence_is_idle =
        table.choice("silence", &["unknown", "idle"], &[], report) == Some("idle");
    table.choice("evidence", &["complete"], &["positive-only"], report);
    table.refuse_unless("covered_by", "\"\"", report);
    table.choice("streams", &["each"], &["pooled"], report);
    table.finish(report);
    let name = name?;
    check_name("source", &name, report);
    Some(Source { name: SourceName::new(name.into_inner()), paths, layout, policy })
}

fn read_paths(table: &mut Table<'_>, base: &Path, report: &mut Report) -> Vec<String> {
    let fix =
        "name the live log and its rotated siblings: `paths = [\"/var/log/nginx/access.log*\"]`";
    let Some(paths) = table.strings("paths", false, report) else {
        if !table.is_given("paths") {
            table.missing("paths", fix, report);
        }
        return Vec::new();
    };
    if paths.get_ref().is_empty() {
        report.problem(&paths.span(), "`paths` is empty", fix);
    }
    let absolute = paths.get_ref().iter().filter_map(|path| pattern(path, base, report));
    absolute.collect()
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

/// Reads format, places of the key and consumer fields, and compiles them.
fn read_layout(table: &mut Table<'_>, report: &mut Report) -> (Layout, Option<LineParser>) {
    let problems_before = report.len();
    let format = table.value("format");
    let format_span = format.map_or_else(|| table.span().clone(), Spanned::span);
    let format = format.and_then(|value| read_format(value, report));
    let places = table.strings("credential", true, report);
    let consumers = table.strings("consumer", true, report);
    let span_of = |list: &Option<Spanned<Vec<Spanned<String>>>>| list.as_ref().map(Spanned::span);
    let (places_span, consumers_span) = (span_of(&places), span_of(&consumers));

    let places = places.into_iter().flat_map(Spanned::into_inner);
    let credential = places.filter_map(|text| match text.get_ref().parse::<Place>() {
        Ok(place) => Some(place),
        Err(error) => problem_of(&error.to_string(), &text.span(), report),
    });
    let credential: Vec<Place> = credential.collect();
    let consumers = consumers.into_iter().flat_map(Spanned::into_inner);
    let consumer = consumers.filter_map(|text| match text.get_ref().strip_prefix("field:") {
        Some(field) if !field.is_empty() => Some(field.to_owned()),
        _ => {
            let message = format!("`{}` is no field of the format", text.get_ref());
            report.problem(&text.span(), message, "write `field:NAME`, as in `field:remote_user`");
            None
        }
    });
    let consumer: Vec<String> = consumer.collect();

    let layout = Layout::new(format.unwrap_or(FormatSpec::Combined), credential, consumer);
    if report.len() > problems_before {
        return (layout, None);
    }
    match LineParser::compile(&layout) {
        Ok(parser) => (layout, Some(parser)),
        Err(error) => {
            let span = match culprit(&error, &layout) {
                Culprit::Format => format_span,
                Culprit::Credential => places_span.unwrap_or_else(|| table.span().clone()),
                Culprit::Consumer => consumers_span.unwrap_or(format_span),
            };
            problem_of::<()>(&error.to_string(), &span, report);
            (layout, None)
        }
    }
}

fn read_format(value: &Value<'_>, report: &mut Report) -> Option<FormatSpec> {
    const EXPECTED: &str =
        "write \"combined\" or the server's own directive: { nginx = '$remote_addr …' }";
    let span = value.span();
    if let Some(preset) = value.get_ref().as_str() {
        match preset {
            "combined" => return Some(FormatSpec::Combined),
            "json" | "apache" | "cloudtrail" => {
                unsupported(&format!("format = \"{preset}\""), &span, report);
            }
            _ => report.problem(&span, format!("unknown format \"{preset}\""), EXPECTED),
        }
        return None;
    }
    let Some(entries) = value.get_ref().as_table() else {
        report.problem(&span, "`format` is neither a preset nor a table", EXPECTED);
        return None;
    };
    read_directive(entries, span, report)
}

fn read_directive(entries: &DeTable<'_>, span: Span, report: &mut Report) -> Option<FormatSpec> {
    let mut table = Table::new(entries, span.clone(), "format");
    let found = table.string("nginx", report);
    let mut refused = false;
    for key in ["apache", "json"] {
        if let Some(value) = table.value(key) {
            unsupported(&format!("format = {{ {key} = … }}"), &value.span(), report);
            refused = true;
        }
    }
    if found.is_none() && !refused && !table.is_given("nginx") {
        table.missing("nginx", "paste the string of the server's `log_format`", report);
    }
    table.finish(report);
    found.map(|text| FormatSpec::Nginx(text.into_inner()))
}

/// The key of `[[source]]` that an error of the layout is about.
enum Culprit {
    Format,
    Credential,
    Consumer,
}

fn culprit(error: &LayoutError, layout: &Layout) -> Culprit {
    match error {
        LayoutError::UnknownField { field, .. } => {
            if layout.credential.contains(&Place::Field(field.clone())) {
                Culprit::Credential
            } else {
                Culprit::Consumer
            }
        }
        LayoutError::NoPlace
        | LayoutError::TooManyPlaces(_)
        | LayoutError::NoQuery { .. }
        | LayoutError::QueryName { .. } => Culprit::Credential,
        _ => Culprit::Format,
    }
}

/// Adds a problem from an engine's message, which reads `what is wrong: how to mend it`.
fn problem_of<T>(message: &str, span: &Span, report: &mut Report) -> Option<T> {
    let (what, fix) = message.split_once(": ").unwrap_or((message, "correct it"));
    report.problem(span, what, fix);
    None
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
    }
}

//! Reads what is declared of lines: their format, what wraps them, where the key stands.
//!
//! A `[[source]]` and the flags of a command say it with the same strings and tables, and are read
//! by the same code. The layout is compiled here once, so that one that cannot show the key is a
//! problem at its place.

mod format;

use std::path::Path;

use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeTable;

use crate::config::error::Problem;
use crate::config::report::{Report, Span};
use crate::config::table::{Table, closest};
use crate::engine::parse::wrap::{Wrapper, Wrapping};
use crate::engine::parse::{FormatSpec, Layout, LayoutError, LineParser, Place};

/// The words for wrappers.
const WRAPPERS: [(&str, Wrapper); 4] = [
    ("syslog", Wrapper::Syslog),
    ("docker", Wrapper::Docker),
    ("cri", Wrapper::Cri),
    ("journald", Wrapper::Journald),
];

/// A layout as declared, with the places to point at. With problems in the report, the values in
/// their place are defaults.
pub(super) struct Declared {
    /// The layout.
    pub(super) layout: Layout,
    /// Place of each format.
    pub(super) formats: Vec<Span>,
    format: Option<Span>,
    credential: Option<Span>,
    consumer: Option<Span>,
}

/// Reads the layout that `text`, lines of a `[[source]]`, declares; a key need not be shown.
///
/// # Errors
/// All problems, in the order of the text.
pub fn read_layout(text: &str) -> Result<Layout, Vec<Problem>> {
    let mut report = Report::new(Path::new(""), text);
    let mut layout = None;
    match DeTable::parse(text) {
        Ok(document) => {
            let mut table = Table::new(document.get_ref(), document.span(), "the layout");
            layout = Some(read(&mut table, &mut report).layout);
            table.finish(&mut report);
        }
        Err(error) => report.problem(&error.span().unwrap_or(0..0), error.message(), "correct it"),
    }
    let problems = report.into_problems();
    layout.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Reads the keys of a layout.
pub(super) fn read(table: &mut Table<'_>, report: &mut Report) -> Declared {
    let format = table.value("format");
    let formats = format.map(|value| format::read(value, report)).unwrap_or_default();
    let (formats, format_spans) = match format {
        Some(_) => formats.into_iter().unzip(),
        None => (vec![FormatSpec::Combined], vec![table.span().clone()]),
    };
    let credential = table.strings("credential", true, report);
    let consumer = table.strings("consumer", true, report);
    let span_of = |list: &Option<Spanned<Vec<Spanned<String>>>>| list.as_ref().map(Spanned::span);
    let (credential_span, consumer_span) = (span_of(&credential), span_of(&consumer));
    let credential = credential.into_iter().flat_map(Spanned::into_inner);
    let credential = credential.filter_map(|text| match text.get_ref().parse::<Place>() {
        Ok(place) => Some(place),
        Err(error) => problem_of(&error.to_string(), &text.span(), report),
    });
    let credential = credential.collect();
    let consumer = consumer.into_iter().flat_map(Spanned::into_inner);
    let consumer = consumer.filter_map(|text| match text.get_ref().strip_prefix("field:") {
        Some(field) if !field.is_empty() => Some(field.to_owned()),
        _ => {
            let message = format!("`{}` is no field of the format", text.get_ref());
            report.problem(&text.span(), message, "write `field:NAME`, as in `field:remote_user`");
            None
        }
    });
    let consumer = consumer.collect();
    let wrapping = read_wrapping(table, report);
    let zone = read_zone(table, report);
    let layout = Layout {
        formats,
        wrapping,
        zone,
        credential,
        consumer,
        ..Layout::new(FormatSpec::Combined, Vec::new(), Vec::new())
    };
    Declared {
        layout,
        formats: format_spans,
        format: format.map(Spanned::span),
        credential: credential_span,
        consumer: consumer_span,
    }
}

fn read_wrapping(table: &mut Table<'_>, report: &mut Report) -> Wrapping {
    let Some(words) = table.strings("wrapped", true, report) else { return Wrapping::Detect };
    if let [only] = &words.get_ref()[..]
        && only.get_ref() == "none"
    {
        return Wrapping::Declared(Vec::new());
    }
    let mut wrappers = Vec::new();
    for word in words.get_ref() {
        let text = word.get_ref().as_str();
        let Some((_, wrapper)) = WRAPPERS.iter().find(|(name, _)| *name == text) else {
            let names = WRAPPERS.map(|(name, _)| name);
            let fix = match closest(text, &names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("use {}, the outermost first, or \"none\" alone", names.join(", ")),
            };
            report.problem(&word.span(), format!("unknown wrapper \"{text}\""), fix);
            continue;
        };
        if wrappers.contains(wrapper) {
            report.problem(&word.span(), format!("\"{text}\" is named twice"), "remove one");
        }
        wrappers.push(*wrapper);
    }
    Wrapping::Declared(wrappers)
}

fn read_zone(table: &mut Table<'_>, report: &mut Report) -> Option<TimeZone> {
    let name = table.string("zone", report)?;
    let zone = TimeZone::get(name.get_ref());
    if zone.is_err() {
        report.problem(
            &name.span(),
            format!("unknown time zone \"{}\"", name.get_ref()),
            "write a name of the IANA database, as \"Europe/Berlin\" or \"UTC\"",
        );
    }
    zone.ok()
}

/// Compiles a layout that was read from `table`.
pub(super) fn compile(
    declared: &Declared,
    table: &Table<'_>,
    report: &mut Report,
) -> Option<LineParser> {
    let layout = &declared.layout;
    // Each format alone first: an error does not say which of several it is about.
    for (format, span) in layout.formats.iter().zip(&declared.formats) {
        let alone = Layout { formats: vec![format.clone()], ..layout.clone() };
        if let Err(error) = LineParser::compile(&alone) {
            refuse(&error, declared, (format, span), table, report);
            return None;
        }
    }
    match LineParser::compile(layout) {
        Ok(parser) => Some(parser),
        Err(error) => {
            let span = declared.format.clone().unwrap_or_else(|| table.span().clone());
            problem_of(&error.to_string(), &span, report)
        }
    }
}

/// Refuses a layout that would show the key as the consumer's name.
pub(super) fn check_consumer(
    declared: &Declared,
    parser: &LineParser,
    table: &Table<'_>,
    report: &mut Report,
) {
    let Some(field) = parser.key_as_consumer(&declared.layout) else { return };
    let span = declared.consumer.as_ref().or(declared.credential.as_ref());
    report.problem(
        span.unwrap_or(table.span()),
        format!("`{field}` is the place of the key, and the consumer would be named after it"),
        "name another field, as in `consumer = \"field:remote_addr\"`",
    );
}

/// Adds the problem of a format at the key of the config that it is about.
fn refuse(
    error: &LayoutError,
    declared: &Declared,
    (format, span): (&FormatSpec, &Span),
    table: &Table<'_>,
    report: &mut Report,
) {
    let or_table = |span: &Option<Span>| span.clone().unwrap_or_else(|| table.span().clone());
    if *error == LayoutError::NoPlace {
        let (place, why) = likely_place(format);
        let fix = format!("add `credential = \"{place}\"`: {why}");
        return report.problem(
            &or_table(&declared.credential),
            "no place of the key is named",
            fix,
        );
    }
    let span = match culprit(error, format, &declared.layout) {
        Culprit::Format => span.clone(),
        Culprit::Credential => or_table(&declared.credential),
        Culprit::Consumer => or_table(&declared.consumer),
    };
    problem_of::<()>(&error.to_string(), &span, report);
}

/// The key of `[[source]]` that an error of the layout is about.
enum Culprit {
    Format,
    Credential,
    Consumer,
}

fn culprit(error: &LayoutError, format: &FormatSpec, layout: &Layout) -> Culprit {
    let (has_places, has_fields) = match format {
        FormatSpec::Json(spec) => (!spec.credential.is_empty(), !spec.consumer.is_empty()),
        _ => (false, false),
    };
    let of_field = |field: &str| {
        if !has_places && layout.credential.contains(&Place::Field(field.to_owned())) {
            Culprit::Credential
        } else if !has_fields && layout.consumer.iter().any(|name| name == field) {
            Culprit::Consumer
        } else {
            Culprit::Format
        }
    };
    match error {
        LayoutError::UnknownField { field, .. } | LayoutError::ApacheUnknownField { field, .. } => {
            of_field(field)
        }
        LayoutError::Path(path) => of_field(path.as_str()),
        LayoutError::SecretConsumer(_) if !has_fields => Culprit::Consumer,
        LayoutError::NoPlace
        | LayoutError::TooManyPlaces(_)
        | LayoutError::NoQuery { .. }
        | LayoutError::ApacheNoQuery { .. }
        | LayoutError::QueryName { .. }
            if !has_places =>
        {
            Culprit::Credential
        }
        _ => Culprit::Format,
    }
}

/// Returns the place of the key to propose for lines of a format, and a word on it.
pub fn likely_place(format: &FormatSpec) -> (&'static str, &'static str) {
    match format {
        FormatSpec::Combined | FormatSpec::Common => {
            ("query:NAME", "this format logs no header, only a query parameter can show the key")
        }
        FormatSpec::Nginx(_) => {
            ("field:NAME", "a variable of the format without its `$`, or `query:NAME`")
        }
        FormatSpec::Apache(_) => {
            ("field:NAME", "`%{X-Api-Key}i` is `field:http_x_api_key`; or `query:NAME`")
        }
        FormatSpec::Json(_) | FormatSpec::CloudTrail => {
            ("field:PATH", "a path such as `field:request.headers.X-Api-Key.0`, or `query:NAME`")
        }
    }
}

/// Adds a problem from an engine's message, which reads `what is wrong: how to mend it`.
pub(super) fn problem_of<T>(message: &str, span: &Span, report: &mut Report) -> Option<T> {
    // A text of the operator's may stand in the first part, never in the second.
    let (what, fix) = message.rsplit_once(": ").unwrap_or((message, "correct it"));
    report.problem(span, what, fix);
    None
}

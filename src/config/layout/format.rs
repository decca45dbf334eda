//! Reads `format`: a preset, a server's own directive, the paths of JSON lines, or a list of these.

use toml::Spanned;
use toml::de::DeTable;

use crate::config::report::{Report, Span};
use crate::config::table::{Table, Value};
use crate::engine::parse::{FormatSpec, JsonSpec, Place};

const EXPECTED: &str = "write \"combined\", \"common\", \"cloudtrail\", the server's own directive \
     as { nginx = '…' } or { apache = '…' }, or { json = { time = \"…\", … } }";
const NGINX: &str = "write { nginx = '…' } with the string of the server's `log_format`";
const APACHE: &str = "write { apache = '…' } with the string of the server's `LogFormat`";
const JSON: &str = "write { json = { time = \"ts\", status = \"status\", credential = \"…\" } } with \
     the paths of these fields";

/// Reads one format or a list of them, each with its place.
pub(super) fn read(value: &Value<'_>, report: &mut Report) -> Vec<(FormatSpec, Span)> {
    let values = match value.get_ref().as_array() {
        Some(values) if values.is_empty() => {
            report.problem(&value.span(), "`format` is empty", EXPECTED);
            return Vec::new();
        }
        Some(values) => &values[..],
        None => std::slice::from_ref(value),
    };
    let formats = values.iter().map(|value| Some((one(value, report)?, value.span())));
    formats.flatten().collect()
}

fn one(value: &Value<'_>, report: &mut Report) -> Option<FormatSpec> {
    let span = value.span();
    if let Some(text) = value.get_ref().as_str() {
        return of_text(text, &span, report);
    }
    let Some(entries) = value.get_ref().as_table() else {
        report.problem(&span, "a format is neither a string nor a table", EXPECTED);
        return None;
    };
    of_table(entries, span, report)
}

fn of_text(text: &str, span: &Span, report: &mut Report) -> Option<FormatSpec> {
    if let Some(format) = text.strip_prefix("nginx:") {
        return Some(FormatSpec::Nginx(format.to_owned()));
    }
    if let Some(format) = text.strip_prefix("apache:") {
        return Some(FormatSpec::Apache(format.to_owned()));
    }
    let missing = match text {
        "combined" => return Some(FormatSpec::Combined),
        "common" => return Some(FormatSpec::Common),
        "cloudtrail" => return Some(FormatSpec::CloudTrail),
        "nginx" => NGINX,
        "apache" => APACHE,
        "json" => JSON,
        _ => {
            report.problem(span, format!("unknown format \"{text}\""), EXPECTED);
            return None;
        }
    };
    report.problem(span, format!("\"{text}\" alone does not say what a line looks like"), missing);
    None
}

fn of_table(entries: &DeTable<'_>, span: Span, report: &mut Report) -> Option<FormatSpec> {
    let mut table = Table::new(entries, span.clone(), "a format");
    let nginx = table.string("nginx", report).map(Spanned::into_inner).map(FormatSpec::Nginx);
    let apache = table.string("apache", report).map(Spanned::into_inner).map(FormatSpec::Apache);
    let json = table.table("json", "a JSON format", report);
    let json = json.map(|table| FormatSpec::Json(json_spec(table, report)));
    let given = ["nginx", "apache", "json"].into_iter().filter(|kind| table.is_given(kind)).count();
    match given {
        0 => report.problem(&span, "the table names no format", EXPECTED),
        1 => {}
        _ => report.problem(&span, "the table names several formats", "write a list of tables"),
    }
    table.finish(report);
    nginx.or(apache).or(json)
}

fn json_spec(mut table: Table<'_>, report: &mut Report) -> JsonSpec {
    let time = table.string("time", report).map(Spanned::into_inner);
    let status = table.string("status", report).map(Spanned::into_inner);
    let credential = table.strings("credential", true, report);
    let credential = credential.into_iter().flat_map(Spanned::into_inner);
    let credential = credential.map(Spanned::into_inner).map(place).collect();
    let consumer = table.strings("consumer", true, report);
    let consumer = consumer.into_iter().flat_map(Spanned::into_inner).map(Spanned::into_inner);
    let bare = |text: String| text.strip_prefix("field:").map_or(text.clone(), str::to_owned);
    let consumer = consumer.map(bare).collect();
    table.finish(report);
    JsonSpec { time, status, credential, consumer }
}

/// Returns the place that a text names: `query:NAME`, `field:PATH` or a path alone.
fn place(text: String) -> Place {
    text.parse().unwrap_or(Place::Field(text))
}

//! Reads `[[consumer_map]]`: names for addresses, prefixes and patterns, in all sources or in some.

use toml::Spanned;

use crate::config::layout::problem_of;
use crate::config::report::Report;
use crate::config::table::{Table, closest};
use crate::config::{Source, check_name};
use crate::engine::parse::consumer_map::{ConsumerMap, MAX_PATTERNS, Pattern, PatternKind, Rule};
use crate::engine::usage::Consumer;

const PATTERNS: &str =
    "add `cidr = \"10.0.1.0/24\"`, `prefix = \"…\"`, `glob = \"…\"` or `regex = \"…\"`";

/// A rule, and the sources that it is for.
struct Entry {
    rule: Rule,
    /// `None`: all.
    sources: Option<Vec<String>>,
}

/// Reads all rules and gives each source those that are for it, in their order.
pub(super) fn read(tables: Vec<Table<'_>>, sources: &mut [Source], report: &mut Report) {
    let names: Vec<String> = sources.iter().map(|source| source.name.to_string()).collect();
    let mut entries = Vec::new();
    let mut patterns = 0;
    for table in tables {
        let span = table.span().clone();
        let Some(entry) = read_entry(table, &names, report) else { continue };
        patterns += entry.rule.patterns.len();
        if patterns > MAX_PATTERNS {
            let message = format!("more than {MAX_PATTERNS} patterns in all");
            return report.problem(&span, message, "join ranges, or use prefixes");
        }
        entries.push(entry);
    }
    for source in sources {
        let is_for_it = |entry: &&Entry| {
            let is_it = |name: &String| name == source.name.as_str();
            entry.sources.as_ref().is_none_or(|sources| sources.iter().any(is_it))
        };
        let rules = entries.iter().filter(is_for_it).map(|entry| entry.rule.clone());
        source.layout.consumer_map = ConsumerMap::new(rules.collect());
    }
}

fn read_entry(mut table: Table<'_>, known: &[String], report: &mut Report) -> Option<Entry> {
    let name = table.string("name", report);
    if !table.is_given("name") {
        table.missing("name", "add `name = \"checkout\"`", report);
    }
    let problems_before = report.len();
    let mut patterns = Vec::new();
    for kind in PatternKind::ALL {
        let texts = table.strings(kind.as_str(), true, report);
        for text in texts.into_iter().flat_map(Spanned::into_inner) {
            match Pattern::new(kind, text.get_ref()) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let message = format!("`{}`: {error}", kind.as_str());
                    problem_of::<()>(&message, &text.span(), report);
                }
            }
        }
    }
    if patterns.is_empty() && report.len() == problems_before {
        report.problem(table.span(), "[[consumer_map]] has no pattern", PATTERNS);
    }
    let sources = read_sources(&mut table, known, report);
    table.finish(report);
    let name = name?;
    check_name("consumer", &name, report);
    if name.get_ref() == Consumer::POOL {
        let message = format!("`{}` is the name of all who have none", Consumer::POOL);
        report.problem(&name.span(), message, "choose another name");
    }
    if name.get_ref() == Consumer::OTHERS {
        let message = format!("`{}` is the name of all that are too many", Consumer::OTHERS);
        report.problem(&name.span(), message, "choose another name");
    }
    Some(Entry { rule: Rule { name: name.into_inner(), patterns }, sources })
}

fn read_sources(
    table: &mut Table<'_>,
    known: &[String],
    report: &mut Report,
) -> Option<Vec<String>> {
    let sources = table.strings("sources", true, report)?;
    if sources.get_ref().is_empty() {
        report.problem(&sources.span(), "`sources` is empty", "remove it to mean all sources");
    }
    for source in sources.get_ref() {
        let name = source.get_ref();
        if known.contains(name) {
            continue;
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let fix = match closest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add a [[source]] of that name, or remove it to mean all sources".to_owned(),
        };
        report.problem(&source.span(), format!("unknown source `{name}`"), fix);
    }
    Some(sources.into_inner().into_iter().map(Spanned::into_inner).collect())
}

//! Reads one TOML table key by key: the type of each value, and the keys nobody asked for.
//!
//! Whatever is odd becomes a problem at its place and reading goes on with the default. The one
//! place that refuses what this version cannot honour is here too: it is never silently ignored.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::report::{Report, Span};
use crate::engine::duration;

/// A value of the text, with its place.
pub(super) type Value<'d> = Spanned<DeValue<'d>>;

/// A table of the text, and the keys that were asked for so far.
pub(super) struct Table<'d> {
    entries: &'d DeTable<'d>,
    span: Span,
    name: &'static str,
    /// Its lines may hold a raw key by mistake: they are not quoted, nor are its unknown keys.
    private: bool,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    /// Reads `entries`, which messages call `name`.
    pub(super) fn new(entries: &'d DeTable<'d>, span: Span, name: &'static str) -> Self {
        Self { entries, span, name, private: false, known: Vec::new() }
    }

    /// Reads a value that must be a table whose lines are never quoted.
    pub(super) fn private(
        value: &'d Value<'d>,
        name: &'static str,
        report: &mut Report,
    ) -> Option<Self> {
        if let Some(entries) = value.get_ref().as_table() {
            return Some(Self { private: true, ..Self::new(entries, value.span(), name) });
        }
        let message = format!("{name} is {}", kind(value.get_ref()));
        report.private_problem(
            &value.span(),
            message,
            "write a table like { name = \"2025-q4\", secret_file = \"/run/secrets/old\" }",
        );
        None
    }

    /// Returns the table as one whose lines are never quoted.
    pub(super) fn hidden(self) -> Self {
        Self { private: true, ..self }
    }

    /// Returns where the table begins.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Returns the value of `key` as it is.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'d Value<'d>> {
        self.known.push(key);
        self.entries.get(key)
    }

    /// Tells whether `key` is there, of whatever type.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns the text of `key`.
    pub(super) fn string(
        &mut self,
        key: &'static str,
        report: &mut Report,
    ) -> Option<Spanned<String>> {
        let value = self.value(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Spanned::new(value.span(), text.to_owned())),
            None => self.mistyped(key, value, "a string in quotes", report),
        }
    }

    /// Returns the truth value of `key`, `false` when it is not there.
    pub(super) fn flag(&mut self, key: &'static str, report: &mut Report) -> bool {
        let Some(value) = self.value(key) else { return false };
        let found = value.get_ref().as_bool();
        found.or_else(|| self.mistyped(key, value, "true or false", report)).unwrap_or(false)
    }

    /// Sets `target` to the duration of `key` and returns its place, if it is there.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        target: &mut Duration,
        report: &mut Report,
    ) -> Option<Span> {
        let value = self.value(key)?;
        let Some(text) = value.get_ref().as_str() else {
            return self.mistyped(key, value, duration::EXPECTED, report);
        };
        match duration::parse(text) {
            Ok(duration) => *target = duration,
            Err(what) => {
                let message = format!("`{key}` = \"{text}\" {what}");
                self.problem(
                    &value.span(),
                    message,
                    format!("write {}", duration::EXPECTED),
                    report,
                );
                return None;
            }
        }
        Some(value.span())
    }

    /// Sets `target` to the finite number of `key` and returns its place, if it is there.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        target: &mut f64,
        report: &mut Report,
    ) -> Option<Span> {
        let value = self.value(key)?;
        match number(value.get_ref()) {
            Some(found) if found.is_finite() => *target = found,
            _ => return self.mistyped(key, value, "a number like 0.01", report),
        }
        Some(value.span())
    }

    /// Sets `target` to the whole number of `key` and returns its place, if it is there.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        target: &mut u64,
        report: &mut Report,
    ) -> Option<Span> {
        let value = self.value(key)?;
        let whole = value.get_ref().as_integer();
        match whole.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok()) {
            Some(found) => *target = found,
            None => return self.mistyped(key, value, "a whole number from 0 on, like 5", report),
        }
        Some(value.span())
    }

    /// Sets `target` to the two finite numbers of `key` and returns its place, if it is there.
    pub(super) fn pair(
        &mut self,
        key: &'static str,
        target: &mut (f64, f64),
        report: &mut Report,
    ) -> Option<Span> {
        let value = self.value(key)?;
        let numbers = value.get_ref().as_array().map(|values| {
            let finite = values.iter().filter_map(|value| number(value.get_ref()));
            (values.len(), finite.filter(|found| found.is_finite()).collect::<Vec<f64>>())
        });
        match numbers {
            Some((2, numbers)) if numbers.len() == 2 => *target = (numbers[0], numbers[1]),
            _ => return self.mistyped(key, value, "two numbers like [0.01, 0.25]", report),
        }
        Some(value.span())
    }

    /// Returns the elements of the array `key`.
    pub(super) fn array(
        &mut self,
        key: &'static str,
        expected: &str,
        report: &mut Report,
    ) -> Option<Spanned<&'d [Value<'d>]>> {
        let value = self.value(key)?;
        match value.get_ref().as_array() {
            Some(array) => Some(Spanned::new(value.span(), array)),
            None => self.mistyped(key, value, expected, report),
        }
    }

    /// Returns the elements of the array `key`, whose lines may hold a raw key by mistake.
    pub(super) fn private_array(
        &mut self,
        key: &'static str,
        expected: &str,
        report: &mut Report,
    ) -> Option<&'d [Value<'d>]> {
        let value = self.value(key)?;
        let found = value.get_ref().as_array();
        if found.is_none() {
            let message = format!("`{key}` is {}", kind(value.get_ref()));
            report.private_problem(&value.span(), message, format!("write {expected}"));
        }
        found.map(|array| &**array)
    }

    /// Returns the texts of the list `key`; a single text is a list of one where `or_one`.
    pub(super) fn strings(
        &mut self,
        key: &'static str,
        or_one: bool,
        report: &mut Report,
    ) -> Option<Spanned<Vec<Spanned<String>>>> {
        let expected = if or_one { "a string or a list of strings" } else { "a list of strings" };
        let value = self.value(key)?;
        if or_one && let Some(text) = value.get_ref().as_str() {
            let one = Spanned::new(value.span(), text.to_owned());
            return Some(Spanned::new(value.span(), vec![one]));
        }
        let Some(array) = value.get_ref().as_array() else {
            return self.mistyped(key, value, expected, report);
        };
        let texts = array.iter().filter_map(|element| match element.get_ref().as_str() {
            Some(text) => Some(Spanned::new(element.span(), text.to_owned())),
            None => self.mistyped(key, element, expected, report),
        });
        Some(Spanned::new(value.span(), texts.collect()))
    }

    /// Returns the table `key`, which messages call `name`.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        name: &'static str,
        report: &mut Report,
    ) -> Option<Table<'d>> {
        let value = self.value(key)?;
        match value.get_ref().as_table() {
            Some(entries) => Some(Table::new(entries, value.span(), name)),
            None => self.mistyped(key, value, &format!("a table: {name}"), report),
        }
    }

    /// Returns the tables of the array `key`, each of which messages call `name`.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        name: &'static str,
        report: &mut Report,
    ) -> Vec<Table<'d>> {
        let expected = format!("a list of tables: write {name}");
        let Some(array) = self.array(key, &expected, report) else { return Vec::new() };
        let tables =
            array.into_inner().iter().filter_map(|value| match value.get_ref().as_table() {
                Some(entries) => Some(Table::new(entries, value.span(), name)),
                None => self.mistyped(key, value, &expected, report),
            });
        tables.collect()
    }

    /// Returns which of the `supported` words `key` says; `None` when it is not there or odd.
    /// The words of `later` are those that other versions understand.
    pub(super) fn choice(
        &mut self,
        key: &'static str,
        supported: &[&'static str],
        later: &[&str],
        report: &mut Report,
    ) -> Option<&'static str> {
        let text = self.string(key, report)?;
        let word = text.get_ref().as_str();
        if let Some(found) = supported.iter().find(|&&candidate| candidate == word) {
            return Some(found);
        }
        if later.contains(&word) {
            unsupported(&format!("{key} = \"{word}\""), &text.span(), report);
        } else {
            let words: Vec<_> = supported.iter().map(|word| format!("\"{word}\"")).collect();
            let message = format!("unknown `{key}` \"{word}\"");
            self.problem(&text.span(), message, format!("write {}", words.join(" or ")), report);
        }
        None
    }

    /// Adds the problem that `key` is missing.
    pub(super) fn missing(&self, key: &str, fix: &str, report: &mut Report) {
        let message = format!("{} has no `{key}`", self.name);
        self.problem(&self.span, message, fix, report);
    }

    /// Adds a problem, quoted or not as the table demands.
    pub(super) fn problem(
        &self,
        span: &Span,
        message: impl Into<String>,
        fix: impl Into<String>,
        report: &mut Report,
    ) {
        if self.private {
            report.private_problem(span, message, fix);
        } else {
            report.problem(span, message, fix);
        }
    }

    /// Adds a problem for each key that nobody asked for. Called last.
    pub(super) fn finish(self, report: &mut Report) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let fix = match closest(name, &self.known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("remove it, or use one of {}", self.known.join(", ")),
            };
            if self.private {
                report.private_problem(&key.span(), format!("unknown key in {}", self.name), fix);
            } else {
                let message = format!("unknown key `{name}` in {}", self.name);
                report.key_problem(&key.span(), message, fix);
            }
        }
    }

    /// Adds the problem that a value has another type than `expected`; always `None`.
    fn mistyped<T>(
        &self,
        key: &str,
        value: &Value<'_>,
        expected: &str,
        report: &mut Report,
    ) -> Option<T> {
        let message = format!("`{key}` is {}", kind(value.get_ref()));
        self.problem(&value.span(), message, format!("write {expected}"), report);
        None
    }
}

/// Refuses something that other versions of keydrain understand.
fn unsupported(what: &str, span: &Span, report: &mut Report) {
    let message = format!("`{what}` is not supported by this version of keydrain");
    report.problem(span, message, "remove it");
}

/// Returns the type of a value with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(integer) => {
            i32::from_str_radix(integer.as_str(), integer.radix()).ok().map(f64::from)
        }
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    }
}

/// Returns the known word that `word` is most likely a misspelling of.
pub(super) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(word, candidate);
    let near = known.iter().min_by_key(distance)?;
    (distance(&near) <= near.chars().count().max(3) / 3).then_some(near)
}

//! The answer of `scan`: sorted rows, written as a table, JSON (`keydrain/scan/v1`) or CSV.
//!
//! Raw keys come in and only fingerprints go out, unless the keys were declared public.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

use serde::Serialize;

use super::{Inputs, Showing};
use crate::engine::credential::ConsumerName;
use crate::engine::parse::RejectReason;
use crate::engine::scan::tally::{Cell, Counts, KeyTotals, ScanTally};
use crate::engine::time::Timestamp;

/// The whole answer. The serialised form is a contract.
#[derive(Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    bytes: u64,
    lines: u64,
    events: u64,
    keyless: u64,
    duplicates: u64,
    rejects: Rejects,
    incomplete: Vec<String>,
    first_event: Option<String>,
    last_event: Option<String>,
    keys: Vec<KeyRow>,
    usage: Vec<UsageRow>,
}

#[derive(Debug, Serialize)]
struct Rejects {
    total: u64,
    by_reason: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct KeyRow {
    key: String,
    hint: Option<String>,
    first_seen: String,
    last_seen: String,
    #[serde(flatten)]
    counts: CountColumns,
    consumers: u64,
}

#[derive(Debug, Serialize)]
struct UsageRow {
    window: String,
    key: String,
    consumer: Option<String>,
    #[serde(flatten)]
    counts: CountColumns,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CountColumns {
    accepted: u64,
    denied: u64,
    failed: u64,
}

impl From<Counts> for CountColumns {
    fn from(counts: Counts) -> Self {
        let Counts { accepted, denied, failed } = counts;
        Self { accepted, denied, failed }
    }
}

impl CountColumns {
    fn texts(self) -> [String; 3] {
        [self.accepted, self.denied, self.failed].map(|count| count.to_string())
    }
}

impl Report {
    /// Makes the answer of a finished tally.
    pub fn new(tally: &ScanTally, inputs: &Inputs, showing: &Showing) -> Self {
        let totals = tally.totals();
        let by_reason = RejectReason::ALL
            .iter()
            .zip(totals.rejects)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.as_str(), count))
            .collect();
        let labels: HashMap<&[u8], String> =
            tally.keys().map(|(raw, _)| (raw, showing.label(raw))).collect();
        Self {
            schema: "keydrain/scan/v1",
            bytes: inputs.bytes,
            lines: totals.lines,
            events: totals.events,
            keyless: totals.keyless,
            duplicates: 0,
            rejects: Rejects { total: totals.rejects.iter().sum(), by_reason },
            incomplete: inputs.incomplete.clone(),
            first_event: totals.span.map(|(first, _)| first.to_string()),
            last_event: totals.span.map(|(_, last)| last.to_string()),
            keys: key_rows(tally, showing, &labels),
            usage: usage_rows(tally, &labels),
        }
    }

    /// Writes one JSON object and a newline.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    /// Writes the usage with a header (RFC 4180, lines end with LF).
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"window,key,consumer,accepted,denied,failed\n")?;
        for row in &self.usage {
            let consumer = quoted(row.consumer.as_deref().unwrap_or_default());
            let counts = row.counts.texts().join(",");
            writeln!(out, "{},{},{consumer},{counts}", row.window, quoted(&row.key))?;
        }
        Ok(())
    }

    /// Writes the totals, the keys and who uses them, `top` rows of each, most used first.
    pub fn write_table(&self, out: &mut impl Write, top: usize, windows: bool) -> io::Result<()> {
        let Self { lines, events, keyless, .. } = self;
        let rejects = self.rejects.total;
        writeln!(out, "{lines} lines: {events} with a key, {keyless} without, {rejects} rejected")?;
        if let (Some(first), Some(last)) = (&self.first_event, &self.last_event) {
            writeln!(out, "keys seen from {first} to {last}")?;
        }
        for name in &self.incomplete {
            writeln!(out, "incomplete: {}", printable(name))?;
        }
        self.write_keys(out, top)?;
        self.write_usage(out, top, windows)
    }

    fn write_keys(&self, out: &mut impl Write, top: usize) -> io::Result<()> {
        let header =
            ["KEY", "HINT", "FIRST SEEN", "LAST SEEN", "ACCEPTED", "DENIED", "FAILED", "CONSUMERS"];
        let mut keys: Vec<&KeyRow> = self.keys.iter().collect();
        keys.sort_by_key(|row| std::cmp::Reverse(total(row.counts)));
        let rows = keys.iter().take(top).map(|row| {
            let [accepted, denied, failed] = row.counts.texts();
            [
                printable(&row.key),
                printable(row.hint.as_deref().unwrap_or("-")),
                row.first_seen.clone(),
                row.last_seen.clone(),
                accepted,
                denied,
                failed,
                row.consumers.to_string(),
            ]
        });
        write_columns(out, header, rows.collect(), 4)?;
        write_rest(out, keys.len(), top, "keys")
    }

    fn write_usage(&self, out: &mut impl Write, top: usize, windows: bool) -> io::Result<()> {
        let mut sums: BTreeMap<(&str, &str, Option<&str>), CountColumns> = BTreeMap::new();
        for row in &self.usage {
            let window = if windows { row.window.as_str() } else { "all" };
            let sum = sums
                .entry((window, &row.key, row.consumer.as_deref()))
                .or_insert(Counts::default().into());
            sum.accepted += row.counts.accepted;
            sum.denied += row.counts.denied;
            sum.failed += row.counts.failed;
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|&((window, ..), counts)| {
            (window.to_owned(), std::cmp::Reverse(total(counts)))
        });
        let header = ["WINDOW", "KEY", "CONSUMER", "ACCEPTED", "DENIED", "FAILED"];
        let rows = sums.iter().take(top).map(|&((window, key, consumer), counts)| {
            let [accepted, denied, failed] = counts.texts();
            let consumer = printable(consumer.unwrap_or("-"));
            [window.to_owned(), printable(key), consumer, accepted, denied, failed]
        });
        write_columns(out, header, rows.collect(), 3)?;
        write_rest(out, sums.len(), top, "rows")
    }
}

impl Showing {
    /// Returns how a key is shown.
    fn label(&self, raw: &[u8]) -> String {
        match self {
            Self::Public => text(raw),
            Self::Secret(secret) => secret.fingerprint(raw).to_string(),
        }
    }

    fn hint(&self, raw: &[u8]) -> Option<String> {
        match self {
            Self::Public => None,
            Self::Secret(_) => hint(raw),
        }
    }
}

fn key_rows(tally: &ScanTally, showing: &Showing, labels: &HashMap<&[u8], String>) -> Vec<KeyRow> {
    // Two spellings of raw bytes may show as one text: they are one row then.
    let mut consumers: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for (key, consumer) in tally.pairs() {
        consumers.entry(&labels[key]).or_default().insert(text(consumer));
    }
    let mut sums: BTreeMap<&str, (KeyTotals, Option<String>)> = BTreeMap::new();
    for (raw, totals) in tally.keys() {
        sums.entry(&labels[raw])
            .and_modify(|(sum, _)| {
                sum.first_seen = sum.first_seen.min(totals.first_seen);
                sum.last_seen = sum.last_seen.max(totals.last_seen);
                sum.counts.add(totals.counts);
            })
            .or_insert_with(|| (*totals, showing.hint(raw)));
    }
    sums.into_iter()
        .map(|(key, (totals, hint))| KeyRow {
            key: key.to_owned(),
            hint,
            first_seen: totals.first_seen.to_string(),
            last_seen: totals.last_seen.to_string(),
            counts: totals.counts.into(),
            consumers: consumers.get(key).map_or(0, |names| names.len() as u64),
        })
        .collect()
}

fn usage_rows(tally: &ScanTally, labels: &HashMap<&[u8], String>) -> Vec<UsageRow> {
    let mut sums: BTreeMap<(Timestamp, &str, Option<String>), Counts> = BTreeMap::new();
    for (Cell { window, key, consumer }, counts) in tally.cells() {
        sums.entry((window, &labels[key], consumer.map(text))).or_default().add(counts);
    }
    sums.into_iter()
        .map(|((window, key, consumer), counts)| UsageRow {
            window: window.to_string(),
            key: key.to_owned(),
            consumer,
            counts: counts.into(),
        })
        .collect()
}

/// Returns raw log bytes as text: what is no UTF-8 as `\xHH`.
fn text(raw: &[u8]) -> String {
    ConsumerName::from_bytes(raw).as_str().to_owned()
}

/// Prefixes that vendors put before a secret: they tell the kind of key and nothing of it.
const KNOWN_PREFIXES: [&str; 22] = [
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "pk_live_",
    "pk_test_",
    "whsec_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "pypi-",
    "sk-",
];

/// A secret shorter than this has no hint: too much of it would show.
const SHORTEST_HINTED: usize = 20;

/// Returns what tells a person which key it is: the known prefix and the last four characters.
fn hint(raw: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(raw).ok()?;
    if key.chars().count() < SHORTEST_HINTED {
        return None;
    }
    let last =
        key.get(key.len() - 4..).filter(|last| last.bytes().all(|b| b.is_ascii_graphic()))?;
    let prefix = KNOWN_PREFIXES.iter().find(|prefix| key.starts_with(**prefix)).unwrap_or(&"");
    Some(format!("{prefix}…{last}"))
}

fn total(counts: CountColumns) -> u64 {
    counts.accepted + counts.denied + counts.failed
}

/// Quotes a CSV field where it must be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

/// Longest text in a column of the table, in characters.
const WIDEST: usize = 60;

/// Returns a text that is safe on a terminal: no control characters, of bounded width.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == WIDEST {
            out.push('…');
            break;
        }
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

/// Writes an empty line, a header and aligned rows; columns from `numbers` on are right-aligned.
fn write_columns<const N: usize>(
    out: &mut impl Write,
    header: [&str; N],
    rows: Vec<[String; N]>,
    numbers: usize,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let table: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| {
        table.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    writeln!(out)?;
    for row in &table {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let gap = if column == 0 { "" } else { "  " };
            let (before, after) = if column < numbers { ("", &*pad) } else { (&*pad, "") };
            line.extend([gap, before, cell, after]);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_rest(out: &mut impl Write, count: usize, top: usize, what: &str) -> io::Result<()> {
    if count > top {
        writeln!(out, "… and {} more {what}: --top, --output json", count - top)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_shows_the_known_prefix_and_four_characters_of_a_long_secret_only() {
        assert_eq!(hint(b"sk_live_0123456789abx7Qa").as_deref(), Some("sk_live_…x7Qa"));
        assert_eq!(hint(b"0123456789012345678z").as_deref(), Some("…678z"));
        assert_eq!(hint(b"sk_live_0123456789z"), None, "19 characters");
        assert_eq!(hint(b"01234567890123456789\xff"), None);
        assert_eq!(hint(b"01234567890123456789\x1b[2J"), None);
    }

    #[test]
    fn control_characters_of_a_log_do_not_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable(&"x".repeat(70)).chars().count(), WIDEST + 1);
    }

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(quoted("plain"), "plain");
    }
}

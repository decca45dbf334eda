//! The answer of `scan` for people: totals, keys and who uses them, most used first.
//!
//! What a session's key did is shown as the use of the key that it was issued to.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Report, Row};
use crate::engine::scan::tally::{Counts, KeyTotals};
use crate::engine::time::Timestamp;

/// Longest text in a column of the table, in characters.
const WIDEST: usize = 60;

/// A key with the keys that were issued to it.
struct Family<'a> {
    label: &'a str,
    hint: Option<&'a str>,
    totals: KeyTotals,
    consumers: u64,
    /// Number of issued keys among them.
    issued: u64,
}

impl Report<'_> {
    /// Writes the totals, the keys and who uses them, `top` rows of each, most used first.
    pub fn write_table(&self, out: &mut impl Write, top: usize, windows: bool) -> io::Result<()> {
        let Self { lines, events, keyless, duplicates, .. } = self;
        let rejects = self.rejects.total;
        write!(out, "{lines} lines: {events} with a key, {keyless} without, ")?;
        if *duplicates > 0 {
            write!(out, "{duplicates} repeated, ")?;
        }
        writeln!(out, "{rejects} rejected")?;
        if let (Some(first), Some(last)) = (self.first_event, self.last_event) {
            writeln!(out, "keys seen from {first} to {last}")?;
        }
        for name in &self.incomplete {
            writeln!(out, "incomplete: {}", printable(name))?;
        }
        self.write_keys(out, top)?;
        self.write_usage(out, top, windows)
    }

    fn write_keys(&self, out: &mut impl Write, top: usize) -> io::Result<()> {
        let mut families = self.families();
        families.sort_by_key(|family| (Reverse(family.totals.counts.total()), family.label));
        let rows = families.iter().take(top).map(|family| {
            let Counts { accepted, denied, failed } = family.totals.counts;
            let mut row = vec![
                printable(family.label),
                printable(family.hint.unwrap_or("-")),
                family.totals.first_seen.to_string(),
                family.totals.last_seen.to_string(),
                accepted.to_string(),
                denied.to_string(),
                failed.to_string(),
                family.consumers.to_string(),
            ];
            if self.has_issued() {
                row.push(family.issued.to_string());
            }
            row
        });
        let mut header = vec![
            "KEY",
            "HINT",
            "FIRST SEEN",
            "LAST SEEN",
            "ACCEPTED",
            "DENIED",
            "FAILED",
            "CONSUMERS",
        ];
        if self.has_issued() {
            header.push("SESSION KEYS");
        }
        write_columns(out, &header, rows.collect(), 4)?;
        write_rest(out, families.len(), top, "keys")
    }

    fn has_issued(&self) -> bool {
        self.keys.iter().any(|row| row.root.is_some())
    }

    /// Joins each key with those that were issued to it.
    fn families(&self) -> Vec<Family<'_>> {
        let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
        for row in &self.keys {
            let label = row.root.as_deref().unwrap_or(row.key);
            let family = families.entry(label).or_insert_with(|| Family {
                label,
                hint: None,
                totals: KeyTotals { counts: Counts::default(), ..row.totals },
                consumers: self.consumers_of_family(label),
                issued: 0,
            });
            family.totals.add(row.totals);
            if row.root.is_some() {
                family.issued += 1;
            } else {
                family.hint = row.hint.as_deref();
            }
        }
        families.into_values().collect()
    }

    fn consumers_of_family(&self, label: &str) -> u64 {
        let members =
            self.keys.iter().filter(|row| row.root.as_deref().unwrap_or(row.key) == label);
        let mut names: Vec<&str> =
            members.flat_map(|row| row.consumer_names.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        names.len() as u64
    }

    fn write_usage(&self, out: &mut impl Write, top: usize, windows: bool) -> io::Result<()> {
        let roots: BTreeMap<&str, &str> =
            self.keys.iter().filter_map(|row| Some((row.key, row.root.as_deref()?))).collect();
        let mut sums: BTreeMap<(Option<Timestamp>, &str, Option<&str>), Counts> = BTreeMap::new();
        for &Row { window, key, consumer, counts } in &self.usage {
            let key = roots.get(key).copied().unwrap_or(key);
            sums.entry((windows.then_some(window), key, consumer)).or_default().add(counts);
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|&((window, ..), counts)| (window, Reverse(counts.total())));
        let header = ["WINDOW", "KEY", "CONSUMER", "ACCEPTED", "DENIED", "FAILED"];
        let rows = sums.iter().take(top).map(|&((window, key, consumer), counts)| {
            vec![
                window.map_or_else(|| "all".to_owned(), |window| window.to_string()),
                printable(key),
                printable(consumer.unwrap_or("-")),
                counts.accepted.to_string(),
                counts.denied.to_string(),
                counts.failed.to_string(),
            ]
        });
        write_columns(out, &header, rows.collect(), 3)?;
        write_rest(out, sums.len(), top, "rows")
    }
}

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
fn write_columns(
    out: &mut impl Write,
    header: &[&str],
    rows: Vec<Vec<String>>,
    numbers: usize,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let header = header.iter().map(|&title| title.to_owned()).collect();
    let table: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        table.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
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
    fn control_characters_of_a_log_do_not_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable(&"x".repeat(70)).chars().count(), WIDEST + 1);
    }
}

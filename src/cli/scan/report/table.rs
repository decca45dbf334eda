//! The answer of `scan` for people: totals, keys and who uses them, most used first.
//!
//! What a session's key did is shown as the use of the key that it was issued to.

use std::cmp::Reverse;
use std::io::{self, Write};

use hashbrown::HashMap;

use super::Report;
use super::usage::Row;
use crate::cli::columns::{printable_beginning, table_of_numbers};
use crate::cli::scan::naming::Rank;
use crate::engine::scan::tally::{Counts, KeyTotals};
use crate::engine::time::Timestamp;

/// Longest text in a column of the table, in characters.
const WIDEST: usize = 60;

/// A key with the keys that were issued to it.
struct Family<'a> {
    key: Rank,
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
            writeln!(out, "incomplete: {}", printable_beginning(name, WIDEST))?;
        }
        self.write_keys(out, top)?;
        self.write_usage(out, top, windows)
    }

    fn write_keys(&self, out: &mut impl Write, top: usize) -> io::Result<()> {
        let mut families = self.families();
        families.sort_by_key(|family| (Reverse(family.totals.counts.total()), family.key));
        let rows = families.iter().take(top).map(|family| {
            let Counts { accepted, denied, failed } = family.totals.counts;
            let mut row = vec![
                self.usage.shown.keys.text(family.key).to_owned(),
                family.hint.unwrap_or("-").to_owned(),
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
        write_rows(out, &header, &rows.collect::<Vec<_>>(), 4)?;
        write_rest(out, families.len(), top, ["key", "keys"])
    }

    fn has_issued(&self) -> bool {
        self.keys.iter().any(|row| row.root.is_some())
    }

    /// Joins each key with those that were issued to it. O(keys + consumers of each).
    fn families(&self) -> Vec<Family<'_>> {
        let mut families: HashMap<Rank, Family<'_>> = HashMap::new();
        for row in &self.keys {
            let key = row.root.unwrap_or(row.rank);
            let family = families.entry(key).or_insert_with(|| Family {
                key,
                hint: None,
                totals: KeyTotals { counts: Counts::default(), ..row.totals },
                consumers: 0,
                issued: 0,
            });
            family.totals.add(row.totals);
            // A consumer of two keys counts twice here: mended below, where keys were issued.
            family.consumers += row.consumers;
            if row.root.is_some() {
                family.issued += 1;
            } else {
                family.hint = row.hint;
            }
        }
        if self.has_issued() {
            let roots = self.roots();
            let of_family = |&(key, name)| (roots.get(&key).copied().unwrap_or(key), name);
            let mut pairs: Vec<(Rank, Rank)> = self.pairs.iter().map(of_family).collect();
            pairs.sort_unstable();
            pairs.dedup();
            for pairs in pairs.chunk_by(|(one, _), (other, _)| one == other) {
                if let Some(family) = families.get_mut(&pairs[0].0) {
                    family.consumers = pairs.len() as u64;
                }
            }
        }
        families.into_values().collect()
    }

    /// Returns for each key that was issued the key at the beginning.
    fn roots(&self) -> HashMap<Rank, Rank> {
        self.keys.iter().filter_map(|row| Some((row.rank, row.root?))).collect()
    }

    fn write_usage(&self, out: &mut impl Write, top: usize, windows: bool) -> io::Result<()> {
        let roots = self.roots();
        let mut sums: HashMap<(Option<Timestamp>, Rank, Option<Rank>), Counts> = HashMap::new();
        self.usage.try_for_each(|Row { window, key, consumer, counts }| {
            let key = roots.get(&key).copied().unwrap_or(key);
            sums.entry((windows.then_some(window), key, consumer)).or_default().add(counts);
            Ok(())
        })?;
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_unstable_by_key(|&((window, key, consumer), counts)| {
            (window, Reverse(counts.total()), key, consumer)
        });
        let shown = self.usage.shown;
        let header = ["WINDOW", "KEY", "CONSUMER", "ACCEPTED", "DENIED", "FAILED"];
        let rows = sums.iter().take(top).map(|&((window, key, consumer), counts)| {
            vec![
                window.map_or_else(|| "all".to_owned(), |window| window.to_string()),
                shown.keys.text(key).to_owned(),
                consumer.map_or("-", |consumer| shown.consumers.text(consumer)).to_owned(),
                counts.accepted.to_string(),
                counts.denied.to_string(),
                counts.failed.to_string(),
            ]
        });
        write_rows(out, &header, &rows.collect::<Vec<_>>(), 3)?;
        write_rest(out, sums.len(), top, ["row", "rows"])
    }
}

/// Writes an empty line, a header and rows; nothing if there is no row.
fn write_rows(
    out: &mut impl Write,
    header: &[&str],
    rows: &[Vec<String>],
    numbers: usize,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    write!(out, "\n{}", table_of_numbers(header, rows, numbers, WIDEST))
}

fn write_rest(
    out: &mut impl Write,
    count: usize,
    top: usize,
    [one, many]: [&str; 2],
) -> io::Result<()> {
    match count.saturating_sub(top) {
        0 => Ok(()),
        1 => writeln!(out, "… and 1 more {one}: --top, --output json"),
        more => writeln!(out, "… and {more} more {many}: --top, --output json"),
    }
}

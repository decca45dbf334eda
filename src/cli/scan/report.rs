//! The answer of `scan`: sorted rows, written as a table, JSON (`keydrain/scan/v1`) or CSV.
//!
//! Raw keys come in and only what [`Naming`] shows goes out.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use hashbrown::HashMap;
use serde::{Serialize, Serializer};

use super::Inputs;
use super::naming::{Naming, Shown};
use crate::engine::parse::RejectReason;
use crate::engine::scan::tally::{Counts, KeyTotals, ScanTally};
use crate::engine::time::Timestamp;

/// The whole answer. The serialised form is a contract.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    schema: &'static str,
    bytes: u64,
    lines: u64,
    events: u64,
    keyless: u64,
    duplicates: u64,
    rejects: Rejects,
    incomplete: Vec<String>,
    #[serde(serialize_with = "time_or_null")]
    first_event: Option<Timestamp>,
    #[serde(serialize_with = "time_or_null")]
    last_event: Option<Timestamp>,
    keys: Vec<KeyRow<'a>>,
    usage: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Rejects {
    total: u64,
    by_reason: BTreeMap<&'static str, u64>,
}

/// One key. Keys that were issued to it have rows of their own and are summed up in `derived`.
#[derive(Debug, Serialize)]
struct KeyRow<'a> {
    key: &'a str,
    hint: Option<String>,
    #[serde(flatten, serialize_with = "key_totals")]
    totals: KeyTotals,
    consumers: u64,
    /// The key that it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived: Option<Derived>,
    #[serde(skip)]
    consumer_names: BTreeSet<&'a str>,
    /// The key at the beginning of the line of parents.
    #[serde(skip)]
    root: Option<String>,
}

/// What the keys did that were issued to one key, and those issued to them.
#[derive(Debug, Serialize)]
struct Derived {
    keys: u64,
    #[serde(flatten, serialize_with = "key_totals")]
    totals: KeyTotals,
}

/// One cell of usage.
#[derive(Clone, Copy, Debug, Serialize)]
struct Row<'a> {
    #[serde(serialize_with = "time")]
    window: Timestamp,
    key: &'a str,
    consumer: Option<&'a str>,
    #[serde(flatten, serialize_with = "counts")]
    counts: Counts,
}

impl<'a> Report<'a> {
    /// Makes the answer of a finished tally.
    pub fn new(
        tally: &'a ScanTally,
        inputs: &Inputs,
        shown: &'a Shown<'a>,
        naming: &Naming,
    ) -> Self {
        let totals = tally.totals();
        let by_reason = RejectReason::ALL
            .iter()
            .zip(totals.rejects)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.as_str(), count))
            .collect();
        Self {
            schema: "keydrain/scan/v1",
            bytes: inputs.bytes,
            lines: totals.lines,
            events: totals.events,
            keyless: totals.keyless,
            duplicates: totals.duplicates,
            rejects: Rejects { total: totals.rejects.iter().sum(), by_reason },
            incomplete: inputs.incomplete.clone(),
            first_event: totals.span.map(|(first, _)| first),
            last_event: totals.span.map(|(_, last)| last),
            keys: key_rows(tally, shown, naming),
            usage: usage_rows(tally, shown),
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
            let (key, consumer) = (quoted(row.key), quoted(row.consumer.unwrap_or_default()));
            let Counts { accepted, denied, failed } = row.counts;
            writeln!(out, "{},{key},{consumer},{accepted},{denied},{failed}", row.window)?;
        }
        Ok(())
    }
}

fn key_rows<'a>(tally: &'a ScanTally, shown: &'a Shown<'a>, naming: &Naming) -> Vec<KeyRow<'a>> {
    // Two spellings of raw bytes may show as one text: they are one row then.
    let mut rows: BTreeMap<&str, KeyRow<'a>> = BTreeMap::new();
    let mut derived: HashMap<String, Derived> = HashMap::new();
    for (raw, totals) in tally.keys() {
        let (key, hint) = &shown.keys[raw];
        let label = |raw: &[u8]| match shown.keys.get(raw) {
            Some((label, _)) => label.clone(),
            None => naming.show(raw).0,
        };
        let parent = tally.lineage().parent(raw).map(label);
        let root = parent.as_ref().map(|_| label(tally.lineage().root(raw)));
        if let Some(root) = &root {
            let sum = derived.entry(root.clone()).or_insert_with(|| Derived {
                keys: 0,
                totals: KeyTotals { counts: Counts::default(), ..totals },
            });
            sum.keys += 1;
            sum.totals.add(totals);
        }
        rows.entry(key).and_modify(|row| row.totals.add(totals)).or_insert_with(|| KeyRow {
            key,
            hint: hint.clone(),
            totals,
            consumers: 0,
            parent,
            derived: None,
            consumer_names: BTreeSet::new(),
            root,
        });
    }
    for (key, consumer) in tally.pairs() {
        if let Some(row) = rows.get_mut(shown.keys[key].0.as_str()) {
            row.consumer_names.insert(&shown.consumers[consumer]);
        }
    }
    for row in rows.values_mut() {
        row.consumers = row.consumer_names.len() as u64;
        row.derived = derived.remove(row.key);
    }
    rows.into_values().collect()
}

fn usage_rows<'a>(tally: &'a ScanTally, shown: &'a Shown<'a>) -> Vec<Row<'a>> {
    let cells = tally.cells().map(|(cell, counts)| Row {
        window: cell.window,
        key: &shown.keys[cell.key].0,
        consumer: cell.consumer.map(|consumer| shown.consumers[consumer].as_str()),
        counts,
    });
    let mut rows: Vec<Row<'a>> = cells.collect();
    let cell = |row: &Row<'a>| (row.window, row.key, row.consumer);
    rows.sort_unstable_by(|a, b| cell(a).cmp(&cell(b)));
    rows.dedup_by(|more, kept| {
        let same = cell(more) == cell(kept);
        if same {
            kept.counts.add(more.counts);
        }
        same
    });
    rows
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn time_or_null<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

fn counts<S: Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Columns {
        accepted: u64,
        denied: u64,
        failed: u64,
    }
    let Counts { accepted, denied, failed } = *counts;
    Columns { accepted, denied, failed }.serialize(serializer)
}

fn key_totals<S: Serializer>(totals: &KeyTotals, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Columns {
        #[serde(serialize_with = "time")]
        first_seen: Timestamp,
        #[serde(serialize_with = "time")]
        last_seen: Timestamp,
        #[serde(flatten, serialize_with = "counts")]
        counts: Counts,
    }
    let KeyTotals { first_seen, last_seen, counts } = *totals;
    Columns { first_seen, last_seen, counts }.serialize(serializer)
}

/// Quotes a CSV field where it must be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(quoted("plain"), "plain");
    }
}

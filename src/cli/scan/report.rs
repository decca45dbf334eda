//! The answer of `scan`: sorted rows, written as a table, JSON (`keydrain/scan/v1`) or CSV.
//!
//! Raw keys come in and only what [`Shown`] holds goes out. Texts are told apart by their ranks.

mod table;

mod usage;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use hashbrown::HashMap;
use serde::{Serialize, Serializer};

use super::Inputs;
use super::naming::{Issued, Rank, Shown};
use crate::engine::parse::RejectReason;
use crate::engine::scan::tally::{Counts, KeyTotals, ScanTally, Symbol};
use crate::engine::time::Timestamp;
use usage::Usage;

/// Bytes of the answer that are written together.
const OUT_BYTES: usize = 64 << 10;

/// The whole answer. The serialised form is a contract.
#[derive(Serialize)]
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
    /// Written behind all else.
    #[serde(skip)]
    usage: Usage<'a>,
    /// The distinct consumers of each key, sorted.
    #[serde(skip)]
    pairs: Vec<(Rank, Rank)>,
}

#[derive(Serialize)]
struct Rejects {
    total: u64,
    by_reason: BTreeMap<&'static str, u64>,
}

/// One key. Keys that were issued to it have rows of their own and are summed up in `derived`.
#[derive(Serialize)]
struct KeyRow<'a> {
    key: &'a str,
    hint: Option<&'a str>,
    #[serde(flatten, serialize_with = "key_totals")]
    totals: KeyTotals,
    consumers: u64,
    /// The key that it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived: Option<Box<Derived>>,
    #[serde(skip)]
    rank: Rank,
    /// The key at the beginning of the line of parents.
    #[serde(skip)]
    root: Option<Rank>,
}

/// What the keys did that were issued to one key, and those issued to them.
#[derive(Serialize)]
struct Derived {
    keys: u64,
    #[serde(flatten, serialize_with = "key_totals")]
    totals: KeyTotals,
}

impl<'a> Report<'a> {
    /// Makes the answer of a finished tally.
    pub fn new(tally: &'a ScanTally, inputs: &Inputs, shown: &'a Shown<'a>) -> Self {
        let pairs = pairs(tally, shown);
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
            keys: key_rows(tally, shown, &pairs),
            usage: Usage::new(tally, shown),
            pairs,
        }
    }

    /// Writes one JSON object and a newline.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(OUT_BYTES, out);
        let mut head = AllButLast { out: &mut out, last: None };
        serde_json::to_writer(&mut head, self)?;
        out.write_all(b",\"usage\":")?;
        self.usage.write_json(&mut out)?;
        out.write_all(b"}\n")?;
        out.flush()
    }

    /// Writes the usage as CSV.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(OUT_BYTES, out);
        self.usage.write_csv(&mut out)?;
        out.flush()
    }
}

/// Writes everything but the last byte: the end of an object that goes on.
struct AllButLast<W> {
    out: W,
    last: Option<u8>,
}

impl<W: Write> Write for AllButLast<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((&last, rest)) = bytes.split_last() {
            if let Some(before) = self.last.replace(last) {
                self.out.write_all(&[before])?;
            }
            self.out.write_all(rest)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the distinct pairs of key and consumer as they are shown, sorted.
fn pairs(tally: &ScanTally, shown: &Shown<'_>) -> Vec<(Rank, Rank)> {
    let pair = |(key, consumer)| (shown.keys.rank(key), shown.consumers.rank(consumer));
    let mut pairs: Vec<_> = tally.pair_symbols().map(pair).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn key_rows<'a>(
    tally: &ScanTally,
    shown: &'a Shown<'a>,
    pairs: &[(Rank, Rank)],
) -> Vec<KeyRow<'a>> {
    // Of the spellings of one text the first one seen gives the hint and the parent.
    let mut order: Vec<(Rank, Symbol, KeyTotals)> = tally
        .key_symbols()
        .filter_map(|(key, _)| Some((shown.keys.rank(key), key, tally.key_totals(key)?)))
        .collect();
    order.sort_unstable_by_key(|&(rank, key, _)| (rank, key));
    let mut rows: Vec<KeyRow<'a>> = Vec::with_capacity(order.len());
    let mut derived: HashMap<Rank, Derived> = HashMap::new();
    for (rank, key, totals) in order {
        let issued = shown.issued(key);
        if let Some(Issued { root, .. }) = issued {
            let sum = derived.entry(root).or_insert_with(|| Derived {
                keys: 0,
                totals: KeyTotals { counts: Counts::default(), ..totals },
            });
            sum.keys += 1;
            sum.totals.add(totals);
        }
        match rows.last_mut() {
            Some(row) if row.rank == rank => row.totals.add(totals),
            _ => rows.push(KeyRow {
                key: shown.keys.text(rank),
                hint: shown.hint(key),
                totals,
                consumers: 0,
                parent: issued.map(|Issued { parent, .. }| shown.keys.text(parent)),
                derived: None,
                rank,
                root: issued.map(|Issued { root, .. }| root),
            }),
        }
    }
    let mut pairs = pairs.chunk_by(|(one, _), (other, _)| one == other).peekable();
    for row in &mut rows {
        let of_row = pairs.next_if(|pairs| pairs[0].0 == row.rank);
        row.consumers = of_row.map_or(0, |pairs| pairs.len() as u64);
        row.derived = derived.remove(&row.rank).map(Box::new);
    }
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

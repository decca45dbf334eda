//! The cells of an answer, in the order of windows, keys and consumers.
//!
//! One window is put in order at a time, and rows are written as they come: the answer takes no
//! memory for the cells beside that of the tally.

use std::io::{self, Write};

use crate::cli::columns::csv_cell;
use crate::cli::scan::naming::{Rank, Shown};
use crate::engine::scan::tally::{Counts, ScanTally};
use crate::engine::time::Timestamp;

/// Bytes of rows that are written together.
const OUT_BYTES: usize = 64 << 10;

/// The usage of a finished tally.
#[derive(Clone, Copy)]
pub struct Usage<'a> {
    tally: &'a ScanTally,
    /// Its texts.
    pub shown: &'a Shown<'a>,
}

/// One cell: of all spellings that show as one text.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Start of the window.
    pub window: Timestamp,
    /// The key.
    pub key: Rank,
    /// Who presented it; `None` when no line says, and where consumers are pooled.
    pub consumer: Option<Rank>,
    /// Presentations.
    pub counts: Counts,
}

impl<'a> Usage<'a> {
    /// Takes the usage of a finished tally, to be shown so.
    pub fn new(tally: &'a ScanTally, shown: &'a Shown<'a>) -> Self {
        Self { tally, shown }
    }

    /// Gives the rows to `take` until it fails.
    pub fn try_for_each(&self, mut take: impl FnMut(Row) -> io::Result<()>) -> io::Result<()> {
        let Shown { keys, consumers, .. } = self.shown;
        let mut rows: Vec<(Rank, Option<Rank>, Counts)> = Vec::new();
        for window in self.tally.windows() {
            rows.extend(window.cells().map(|(key, consumer, counts)| {
                (keys.rank(key), consumer.map(|consumer| consumers.rank(consumer)), counts)
            }));
            rows.sort_unstable_by_key(|&(key, consumer, _)| (key, consumer));
            for same in rows.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
                let (key, consumer, mut counts) = same[0];
                same[1..].iter().for_each(|more| counts.add(more.2));
                take(Row { window: window.start(), key, consumer, counts })?;
            }
            rows.clear();
        }
        Ok(())
    }

    /// Writes the rows with a header (RFC 4180, lines end with LF).
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"window,key,consumer,accepted,denied,failed\n")?;
        self.try_for_each(|Row { window, key, consumer, counts }| {
            let consumer = consumer.map_or("", |consumer| self.shown.consumers.text(consumer));
            let (key, consumer) = (csv_cell(self.shown.keys.text(key)), csv_cell(consumer));
            let Counts { accepted, denied, failed } = counts;
            writeln!(out, "{window},{key},{consumer},{accepted},{denied},{failed}")
        })
    }

    /// Writes the rows as a JSON array.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let mut text = Vec::with_capacity(OUT_BYTES + 4096);
        text.push(b'[');
        let (mut begin, mut of_window) = (Vec::new(), None);
        let mut is_first = true;
        self.try_for_each(|Row { window, key, consumer, counts }| {
            if of_window.replace(window) != Some(window) {
                begin.clear();
                write!(begin, "{{\"window\":\"{window}\",\"key\":")?;
            }
            if !std::mem::take(&mut is_first) {
                text.push(b',');
            }
            text.extend_from_slice(&begin);
            json_text(&mut text, self.shown.keys.text(key))?;
            text.extend_from_slice(b",\"consumer\":");
            match consumer {
                Some(consumer) => json_text(&mut text, self.shown.consumers.text(consumer))?,
                None => text.extend_from_slice(b"null"),
            }
            let Counts { accepted, denied, failed } = counts;
            let names = [&b",\"accepted\":"[..], b",\"denied\":", b",\"failed\":"];
            for (name, count) in names.into_iter().zip([accepted, denied, failed]) {
                text.extend_from_slice(name);
                text.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
            }
            text.push(b'}');
            if text.len() >= OUT_BYTES {
                out.write_all(&text)?;
                text.clear();
            }
            Ok(())
        })?;
        text.push(b']');
        out.write_all(&text)
    }
}

/// Appends a JSON string. Most texts stand in it as they are.
fn json_text(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    if !text.as_bytes().iter().all(is_plain) {
        return Ok(serde_json::to_writer(out, text)?);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_serde_writes_it() {
        for text in
            ["", "192.0.2.1", "a\"b", "a\\b", "\n\u{0}\u{1f}", "caf\u{e9}", "\u{7f}\u{2028}"]
        {
            let mut out = Vec::new();
            json_text(&mut out, text).expect("memory");
            assert_eq!(
                String::from_utf8(out).expect("UTF-8"),
                serde_json::to_string(text).unwrap()
            );
        }
    }
}

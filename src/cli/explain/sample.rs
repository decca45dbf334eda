//! The beginning of a log, held in memory: each candidate cuts its own records out of it.

use std::io;
use std::path::Path;

use crate::cli::input::LogInput;
use crate::engine::scan::records::{Framer, Framing, Record};

/// Records of each file that are looked at.
const SAMPLE_RECORDS: u64 = 10_000;

/// Bytes of each file that are looked at, unpacked.
const SAMPLE_BYTES: usize = 16 << 20;

/// Bytes that are cut into records at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The beginning of a log.
pub struct Sample {
    bytes: Vec<u8>,
    /// Whether the log goes on behind it: its last record may be cut.
    is_cut: bool,
    /// Why it could not be read to its end.
    pub problem: Option<io::Error>,
}

impl Sample {
    /// Reads the beginning of a file or of standard input.
    pub fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = LogInput::open(path).and_then(|input| {
            input.read_chunks(|chunk| {
                let room = SAMPLE_BYTES - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                bytes.len() < SAMPLE_BYTES
            })
        });
        let is_cut = read.is_err() || bytes.len() == SAMPLE_BYTES;
        Self { bytes, is_cut, problem: read.err() }
    }

    /// Gives each record to `take`, with its number from 1 on.
    pub fn records(&self, framing: Framing, mut take: impl FnMut(u64, Record<'_>)) {
        let mut framer = Framer::new(framing);
        let mut number = 0;
        let mut count = |record: Record<'_>| {
            number += 1;
            if number <= SAMPLE_RECORDS {
                take(number, record);
            }
            number
        };
        for chunk in self.bytes.chunks(CHUNK_BYTES) {
            let mut last = 0;
            framer.feed(chunk, |record| last = count(record));
            if last >= SAMPLE_RECORDS {
                return;
            }
        }
        if !self.is_cut {
            framer.finish(|record| {
                count(record);
            });
        }
    }

    /// Tells whether `text` stands anywhere in it.
    pub fn contains(&self, text: &str) -> bool {
        memchr::memmem::find(&self.bytes, text.as_bytes()).is_some()
    }
}

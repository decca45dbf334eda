//! The objects of JSON documents, alone or in arrays, cut into records.

use super::lines::LineAssembler;
use super::records::Record;

/// Cuts documents into records.
#[derive(Debug, Default)]
pub struct DocumentFramer {
    lines: LineAssembler,
}

impl DocumentFramer {
    /// Gives every record that ends in `chunk` to `take`.
    pub fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(Record<'_>)) {
        self.lines.feed(chunk, |line| take(line.into()));
    }

    /// Gives what is left at the end of the log to `take`.
    pub fn finish(self, mut take: impl FnMut(Record<'_>)) {
        self.lines.finish(|line| take(line.into()));
    }
}

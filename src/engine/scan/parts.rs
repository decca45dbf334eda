//! Lines that a container runtime has split into parts: put together again.

use super::lines::LineAssembler;
use super::records::Record;

/// Puts parts together.
#[derive(Debug, Default)]
pub struct PartFramer {
    lines: LineAssembler,
}

impl PartFramer {
    /// Gives every record that ends in `chunk` to `take`.
    pub fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(Record<'_>)) {
        self.lines.feed(chunk, |line| take(line.into()));
    }

    /// Gives what is left at the end of the log to `take`.
    pub fn finish(self, mut take: impl FnMut(Record<'_>)) {
        self.lines.finish(|line| take(line.into()));
    }
}

/// See [`boundary`](super::records::boundary).
pub fn boundary(block: &[u8]) -> usize {
    memchr::memrchr(b'\n', block).map_or(0, |at| at + 1)
}

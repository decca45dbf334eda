//! What earlier chunks hold of a record; never more than a record may have.

use memchr::memchr;

use crate::engine::scan::lines::MAX_LINE_BYTES;
use crate::engine::scan::records::Record;

/// The start of a record.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Vec<u8>,
    /// Whether it was more than is kept.
    is_too_long: bool,
}

/// How a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its last byte.
    Whole,
    /// Somewhere before it.
    Cut,
}

impl Held {
    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        if self.is_too_long || self.bytes.len() + piece.len() > MAX_LINE_BYTES {
            self.bytes.clear();
            self.is_too_long = true;
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.is_too_long = false;
    }

    /// Gives the record that ends with `piece` to `take`, without white space behind it.
    pub fn tell<T: FnMut(Record<'_>)>(&mut self, piece: &[u8], ending: Ending, take: &mut T) {
        if self.is_too_long || self.bytes.len() + piece.len() > MAX_LINE_BYTES {
            take(Record::TooLong);
        } else {
            let record = if self.bytes.is_empty() {
                piece
            } else {
                self.bytes.extend_from_slice(piece);
                &self.bytes
            };
            let record = record.trim_ascii_end();
            take(match ending {
                Ending::Whole => Record::Whole(record),
                Ending::Cut => Record::Cut(record),
            });
        }
        self.clear();
    }

    /// Takes the lines of a broken record out, if those behind its first one may be records of their
    /// own: each begins with `{`.
    pub fn take_records(&mut self) -> Option<Vec<u8>> {
        let first = memchr(b'\n', &self.bytes)?;
        let may_be_record =
            |line: &[u8]| line.starts_with(b"{") || line.trim_ascii_start().is_empty();
        let all = self.bytes[first + 1..].split(|&byte| byte == b'\n').all(may_be_record);
        all.then(|| std::mem::take(&mut self.bytes))
    }
}

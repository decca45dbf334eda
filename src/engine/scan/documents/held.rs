//! What earlier chunks hold of a record; never more than a record may have.

use memchr::{memchr, memmem};

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

    /// Takes a broken record out if it may have swallowed others: a further line begins with `{`.
    ///
    /// Not where the lines of a record on several lines are not indented: that brace may be its own.
    pub fn take_swallowed(&mut self) -> Option<Vec<u8>> {
        let first = memchr(b'\n', &self.bytes)?;
        let is_alone = self.bytes[..first].trim_ascii() == b"{";
        let is_indented = matches!(self.bytes.get(first + 1), Some(b' ' | b'\t'));
        let may_swallow = !is_alone || is_indented;
        (may_swallow && next_record(&self.bytes).is_some()).then(|| std::mem::take(&mut self.bytes))
    }
}

/// Returns where the first further line begins that begins with `{`.
pub fn next_record(lines: &[u8]) -> Option<usize> {
    memmem::find(lines, b"\n{").map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_held_as_a_record_may_have_and_of_more_nothing() {
        let half = "x".repeat(MAX_LINE_BYTES / 2);
        for (pieces, is_whole) in [
            ([&half[..], &half], true),
            ([&half, &half[1..]], true),
            ([&(half.clone() + "y"), &half], false),
            ([&(half.repeat(2) + "y"), ""], false),
        ] {
            let mut held = Held::default();
            pieces.iter().for_each(|piece| held.add(piece.as_bytes()));
            assert_eq!(held.bytes.is_empty(), !is_whole);
            held.tell(b"", Ending::Whole, &mut |record| match record {
                Record::Whole(text) => assert!(is_whole && text == pieces.concat().as_bytes()),
                record => assert!(!is_whole && record == Record::TooLong),
            });
        }
    }
}

//! Where lines begin and end.
//!
//! A line ends at LF; one CR before it is dropped. A last line without LF is a line too. A line
//! longer than [`MAX_LINE_BYTES`] is told, never held in memory.

use memchr::memchr;

/// Longest line that is read, in bytes without its end. A longer one is a reject (`too_long`).
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// Iterates over the lines of `chunk`; the last one may lack its LF.
///
/// ```
/// use keydrain::engine::scan::lines::lines;
/// let all: Vec<&[u8]> = lines(b"a\r\n\nb").collect();
/// assert_eq!(all, [&b"a"[..], b"", b"b"]);
/// ```
pub fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = chunk;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, next) = match memchr(b'\n', rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = next;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// A line that came out of a [`LineAssembler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end.
    Whole(&'a [u8]),
    /// A line longer than [`MAX_LINE_BYTES`]: told once, its bytes are dropped.
    TooLong,
}

/// Puts lines together from chunks that are cut anywhere; holds at most one line.
#[derive(Debug, Default)]
pub struct LineAssembler {
    carry: Vec<u8>,
    skipping: bool,
}

impl LineAssembler {
    /// Gives every line that ends in `chunk` to `take`.
    pub fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(Line<'_>)) {
        let mut rest = chunk;
        while let Some(end) = memchr(b'\n', rest) {
            let (head, tail) = (&rest[..end], &rest[end + 1..]);
            rest = tail;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.carry.is_empty() {
                take(bounded(head));
            } else {
                self.carry.extend_from_slice(head);
                take(bounded(&self.carry));
                self.carry.clear();
            }
        }
        if self.skipping {
            return;
        }
        self.carry.extend_from_slice(rest);
        // One byte more: the CR of a line end does not count.
        if self.carry.len() > MAX_LINE_BYTES + 1 {
            self.carry.clear();
            self.skipping = true;
            take(Line::TooLong);
        }
    }

    /// Gives the last line to `take` if it lacks its LF.
    pub fn finish(self, mut take: impl FnMut(Line<'_>)) {
        if !self.carry.is_empty() {
            take(bounded(&self.carry));
        }
    }
}

/// Drops the CR of a line end, and the line if it is too long.
pub(super) fn bounded(line: &[u8]) -> Line<'_> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_LINE_BYTES { Line::TooLong } else { Line::Whole(line) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assembled(chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut assembler = LineAssembler::default();
        let mut out = Vec::new();
        let mut take = |line: Line<'_>| {
            out.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        };
        for chunk in chunks {
            assembler.feed(chunk, &mut take);
        }
        assembler.finish(&mut take);
        out
    }

    #[test]
    fn the_longest_line_is_read_and_one_byte_more_is_told_once() {
        let longest = vec![b'a'; MAX_LINE_BYTES];
        let text = [&longest[..], b"\r\n", &longest, b"b\r\n", &longest, b"bcd", &longest, b"\nx"]
            .concat();
        let expected = [Some(longest), None, None, Some(b"x".to_vec())];
        assert_eq!(assembled(&[&text]), expected);
        let pieces: Vec<&[u8]> = text.chunks(4093).collect();
        assert_eq!(assembled(&pieces), expected);
        // Cut where only the end of the line tells whether it is too long.
        let whole = [Some(vec![b'a'; MAX_LINE_BYTES])];
        for end in 0..3 {
            let text = [&vec![b'a'; MAX_LINE_BYTES][..], b"\r\n"].concat();
            let (first, second) = text.split_at(MAX_LINE_BYTES + end);
            assert_eq!(assembled(&[first, second]), whole, "{end}");
        }
        let longer = vec![b'a'; MAX_LINE_BYTES + 1];
        assert_eq!(assembled(&[&longer, b"\r\n"]), [None]);
        assert_eq!(assembled(&[&longer, b"a", b"\nx"]), [None, Some(b"x".to_vec())]);
    }

    proptest! {
        #[test]
        fn where_chunks_are_cut_changes_no_line(
            text in prop::collection::vec(prop::sample::select(b"ab\r\n".to_vec()), 0..60),
            cuts in prop::collection::vec(0usize..60, 0..5),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
            let whole: Vec<_> = lines(&text).map(|line| Some(line.to_vec())).collect();
            prop_assert_eq!(assembled(&chunks), whole);
        }
    }
}

//! Where a buffer of log bytes is cut: whole records, the rest of an over-long line, NUL bytes.
//!
//! Pure. Where the buffer ends changes nothing but the size of the pieces: every record comes out
//! once, whole, and a piece is only cut off when no later byte can change what it is. A record is a
//! line or, where a container runtime has split it, several.
//!
//! NUL bytes at the start of a line are what a truncation leaves behind when the writer goes on at
//! its old position: they are a [`Piece::Hole`], and the line after them counts.

use memchr::{memchr, memrchr};

use crate::engine::scan::lines::MAX_LINE_BYTES;

/// NUL bytes in a row that end a line in whose middle they stand.
const HOLE_BYTES: usize = 4096;

/// Bytes without a line end from which on a line is over-long whatever follows. Two bytes more than
/// the longest line: CR and LF do not count.
pub const OVERLONG_BYTES: usize = MAX_LINE_BYTES + 2 + HOLE_BYTES;

/// Bytes in which a record of several lines ends, or is broken off: longer than any that a server
/// writes. What follows such a record in its parts would be read as one of its own.
pub const PENDING_BYTES: usize = 16 << 20;

/// What comes after the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// More bytes that exist already.
    More,
    /// The end of the file, which may grow.
    End,
    /// Nothing, for ever.
    Nothing,
}

/// A piece at the start of the bytes at hand, by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Lines that make whole records. The last line lacks its LF, and the last record may lack its
    /// end, if a hole or nothing at all comes after it.
    Lines(usize),
    /// The start of a line that is too long: one line, whose rest is to be skipped.
    OverlongHead(usize),
    /// The rest, or a part of the rest, of a line that is too long.
    OverlongRest {
        /// Length.
        len: usize,
        /// Whether the line ends here.
        ended: bool,
    },
    /// NUL bytes before a line.
    Hole(usize),
}

/// Returns the first piece of `bytes`; `None` if what it is depends on bytes to come.
///
/// `inside_overlong`: the bytes begin inside a line that is too long. `boundary`: the length of the
/// longest start of a text that ends where a line and a record end, 0 if there is none.
pub fn first_piece(
    bytes: &[u8],
    inside_overlong: bool,
    after: After,
    boundary: impl Fn(&[u8]) -> usize,
) -> Option<Piece> {
    if bytes.is_empty() {
        return None;
    }
    if inside_overlong {
        let end = memchr(b'\n', bytes);
        let len = end.map_or(bytes.len(), |end| end + 1);
        return Some(Piece::OverlongRest { len, ended: end.is_some() });
    }
    let hole = nul_run(bytes);
    if hole > 0 {
        // NUL bytes at the end of a file may turn into text: some network file systems do that.
        let settled = hole < bytes.len() || after != After::End;
        return settled.then_some(Piece::Hole(hole));
    }
    let hole = find_hole(bytes);
    let text = &bytes[..hole.unwrap_or(bytes.len())];
    let whole = boundary(text);
    if whole > 0 {
        return Some(Piece::Lines(whole));
    }
    let lines = memrchr(b'\n', text).map_or(0, |end| end + 1);
    if lines == 0 && text.len() >= OVERLONG_BYTES {
        return Some(Piece::OverlongHead(text.len()));
    }
    if hole.is_some() || after == After::Nothing {
        return Some(Piece::Lines(text.len()));
    }
    // A record that does not end is broken off, so that reading goes on.
    (text.len() >= PENDING_BYTES).then_some(Piece::Lines(lines))
}

/// Finds NUL bytes that end the text before them: at the start of a line, or a long run.
fn find_hole(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr(0, &bytes[from..]) {
        let at = from + at;
        let run = nul_run(&bytes[at..]);
        if run >= HOLE_BYTES || at == 0 || bytes[at - 1] == b'\n' {
            return Some(at);
        }
        from = at + run;
    }
    None
}

/// Counts the NUL bytes at the start of `bytes`.
fn nul_run(bytes: &[u8]) -> usize {
    const STEP: usize = 256;
    let steps = bytes.chunks_exact(STEP).take_while(|step| **step == [0; STEP]).count() * STEP;
    steps + bytes[steps..].iter().take_while(|byte| **byte == 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A line is a record.
    fn last_line_end(text: &[u8]) -> usize {
        memrchr(b'\n', text).map_or(0, |end| end + 1)
    }

    /// A line that begins with `P` goes on in the next line.
    fn last_record_end(text: &[u8]) -> usize {
        let (mut at, mut whole) = (0, 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            if line.ends_with(b"\n") && !line.starts_with(b"P") {
                whole = at;
            }
        }
        whole
    }

    /// Puts the lines of `piece` together that make a record; one without its end is told.
    fn joined(piece: &[u8]) -> Vec<Option<Vec<u8>>> {
        let (mut records, mut record) = (Vec::new(), Vec::new());
        let mut lines = crate::engine::scan::lines::lines(piece).peekable();
        while let Some(line) = lines.next() {
            record.extend_from_slice(line);
            let goes_on = line.starts_with(b"P");
            if goes_on && lines.peek().is_none() {
                record.extend_from_slice(b" (broken off)");
            }
            if !goes_on || lines.peek().is_none() {
                records.push(Some(std::mem::take(&mut record)));
            }
        }
        records
    }

    fn lines_of(bytes: &[u8], step: usize, after: After) -> Vec<Option<Vec<u8>>> {
        records_of(bytes, step, after, last_line_end, |piece| {
            let lines = crate::engine::scan::lines::lines(piece);
            lines.map(|line| (line.len() <= MAX_LINE_BYTES).then(|| line.to_vec())).collect()
        })
    }

    /// Cuts `bytes` as a reader does that sees them in steps of `step` bytes and, from time to
    /// time, an end of file; returns the records, with `None` for an over-long one.
    fn records_of(
        bytes: &[u8],
        step: usize,
        after: After,
        boundary: fn(&[u8]) -> usize,
        frame: impl Fn(&[u8]) -> Vec<Option<Vec<u8>>>,
    ) -> Vec<Option<Vec<u8>>> {
        let (mut start, mut end, mut inside, mut out) = (0, 0, false, Vec::new());
        loop {
            let after = if end == bytes.len() { After::Nothing } else { after };
            match first_piece(&bytes[start..end], inside, after, boundary) {
                Some(Piece::Lines(len)) => {
                    out.extend(frame(&bytes[start..start + len]));
                    start += len;
                }
                Some(Piece::OverlongHead(len)) => {
                    out.push(None);
                    (start, inside) = (start + len, true);
                }
                Some(Piece::OverlongRest { len, ended }) => (start, inside) = (start + len, !ended),
                Some(Piece::Hole(len)) => start += len,
                None if end == bytes.len() => break,
                None => end = bytes.len().min(end + step),
            }
        }
        assert_eq!(start, bytes.len(), "every byte is in a piece");
        out
    }

    #[test]
    fn a_line_after_a_hole_counts_and_so_does_the_text_before_it() {
        let hole = vec![0; 5000];
        let text = [b"a\nhalf", &hole[..], b"b\n", &hole[..10], b"c\0\0d\n"].concat();
        let expected = [&b"a"[..], b"half", b"b", b"c\0\0d"].map(|line| Some(line.to_vec()));
        for step in [1, 7, 4096, 20_000] {
            assert_eq!(lines_of(&text, step, After::More), expected, "step {step}");
            assert_eq!(lines_of(&text, step, After::End), expected, "step {step}");
        }
    }

    #[test]
    fn nul_bytes_at_the_end_of_a_growing_file_wait() {
        let piece = |bytes: &[u8], after| first_piece(bytes, false, after, last_line_end);
        assert_eq!(piece(&[0; 9000], After::End), None);
        assert_eq!(piece(&[0; 9000], After::Nothing), Some(Piece::Hole(9000)));
        assert_eq!(piece(b"half a line", After::End), None);
        assert_eq!(piece(b"half a line", After::Nothing), Some(Piece::Lines(11)));
    }

    #[test]
    fn a_record_in_parts_waits_for_its_end_as_half_a_line_does() {
        let piece = |bytes: &[u8], after| first_piece(bytes, false, after, last_record_end);
        for after in [After::More, After::End] {
            assert_eq!(piece(b"Pa\nPb\n", after), None);
            assert_eq!(piece(b"Pa\nPb\nc", after), None);
            assert_eq!(piece(b"Pa\nb\nPc\n", after), Some(Piece::Lines(5)));
        }
        assert_eq!(piece(b"Pa\nPb\n", After::Nothing), Some(Piece::Lines(6)));
        assert_eq!(piece(b"Pa\nb", After::Nothing), Some(Piece::Lines(4)));
        let hole = [b"Pa\nb".as_slice(), &[0; HOLE_BYTES], b"c\n"].concat();
        assert_eq!(piece(&hole, After::End), Some(Piece::Lines(4)));
    }

    #[test]
    fn a_record_whose_parts_never_end_is_broken_off() {
        let piece = |bytes: &[u8]| first_piece(bytes, false, After::More, last_record_end);
        let endless = [b"Pa\n".as_slice(), &vec![b'x'; PENDING_BYTES]].concat();
        assert_eq!(piece(&endless[..PENDING_BYTES - 1]), None);
        assert_eq!(piece(&endless), Some(Piece::Lines(3)));
        let mut part = vec![b'P'; MAX_LINE_BYTES];
        part.push(b'\n');
        assert_eq!(piece(&part.repeat(15)), None);
        let parts = part.repeat(16);
        assert_eq!(piece(&parts), Some(Piece::Lines(parts.len())));
    }

    #[test]
    fn an_overlong_line_is_one_line_however_it_is_cut() {
        let long = vec![b'x'; 3 * MAX_LINE_BYTES];
        let text = [b"a\n", &long[..], b"\nb\n", &long[..MAX_LINE_BYTES], b"\r\nc"].concat();
        let longest = Some(long[..MAX_LINE_BYTES].to_vec());
        let expected =
            [Some(b"a".to_vec()), None, Some(b"b".to_vec()), longest, Some(b"c".to_vec())];
        for step in [100_000, MAX_LINE_BYTES, text.len()] {
            assert_eq!(lines_of(&text, step, After::More), expected, "step {step}");
        }
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_changes_no_line(
            text in prop::collection::vec(prop::sample::select(b"ab\n\n\0".to_vec()), 0..80),
            step in 1usize..30,
        ) {
            let whole = lines_of(&text, text.len().max(1), After::More);
            prop_assert_eq!(lines_of(&text, step, After::More), whole.clone());
            prop_assert_eq!(lines_of(&text, step, After::End), whole);
        }

        #[test]
        fn where_the_bytes_are_cut_changes_no_record_in_parts(
            text in prop::collection::vec(prop::sample::select(b"aPP\n\n\n\0".to_vec()), 0..80),
            step in 1usize..30,
        ) {
            let records = |step, after| records_of(&text, step, after, last_record_end, joined);
            let whole = records(text.len().max(1), After::More);
            prop_assert_eq!(records(step, After::More), whole.clone());
            prop_assert_eq!(records(step, After::End), whole);
        }
    }
}

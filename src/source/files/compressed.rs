//! A gzip file as one stream of decompressed bytes that can be resumed at an offset.
//!
//! There is no seeking in a gzip file: after a restart it is decompressed again and the bytes up to
//! the offset are skipped, in steps, and checked against the anchor on the way. All members are
//! read. Memory does not depend on the size of the file.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use flate2::read::MultiGzDecoder;

use super::identity::{HEAD_BYTES, Window};
use crate::engine::usage::Anchor;

/// Bytes decompressed at a time while skipping.
const STEP_BYTES: usize = 64 << 10;

/// A gzip file that is being read.
pub struct GzipReader {
    decoder: MultiGzDecoder<BufReader<File>>,
    /// Decompressed bytes that were taken out so far.
    position: u64,
    /// Why no more bytes come, if so.
    end: Option<GzipEnd>,
}

/// Why no more bytes come out of a gzip file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GzipEnd {
    /// Its last member is complete.
    Whole,
    /// It ends early, is damaged, or cannot be read: what is wrong.
    Broken(String),
}

impl GzipReader {
    /// Starts at the first byte.
    pub fn new(file: File) -> Self {
        Self { decoder: MultiGzDecoder::new(BufReader::new(file)), position: 0, end: None }
    }

    /// Starts at the first byte of `file`, wherever it was read to.
    pub fn rewound(mut file: &File) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self::new(file.try_clone()?))
    }

    /// Returns how many decompressed bytes were taken out.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns why no more bytes come, once that is so.
    pub fn end(&self) -> Option<&GzipEnd> {
        self.end.as_ref()
    }

    /// Appends up to `limit` bytes to `bytes`; fewer only at the end.
    pub fn read(&mut self, bytes: &mut Vec<u8>, limit: usize) {
        let start = bytes.len();
        bytes.resize(start + limit, 0);
        let mut filled = start;
        while filled < bytes.len() && self.end.is_none() {
            match self.decoder.read(&mut bytes[filled..]) {
                Ok(0) => self.end = Some(GzipEnd::Whole),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.end = Some(GzipEnd::Broken(super::discover::reason(&error))),
            }
        }
        bytes.truncate(filled);
        self.position += (filled - start) as u64;
    }

    /// Takes out everything that is left, at most about `bound` bytes; returns where it ends.
    pub fn whole(&mut self, bound: u64) -> Window {
        let mut window = Window::default();
        self.skip(bound, usize::MAX, &mut window);
        window
    }

    /// Takes out about `budget` bytes on the way to `offset`, passing them to `window`.
    pub fn skip(&mut self, offset: u64, budget: usize, window: &mut Window) {
        let mut bytes = Vec::new();
        let mut skipped = 0;
        while skipped < budget && self.position < offset && self.end.is_none() {
            let wanted = usize::try_from(offset - self.position).unwrap_or(STEP_BYTES);
            bytes.clear();
            self.read(&mut bytes, wanted.min(STEP_BYTES));
            window.advance(&bytes);
            skipped += bytes.len();
        }
    }
}

/// What the content of a gzip file says about prefixes that were read before.
#[derive(Debug, PartialEq, Eq)]
pub enum GzipMatch {
    /// It begins with the prefix of this index.
    Prefix {
        /// Which prefix.
        index: usize,
        /// Whether there are bytes after it, or may be.
        more: bool,
    },
    /// It is shorter than the prefix of this index, and begins like it.
    Shorter(usize),
    /// It begins with none of them.
    None,
    /// It breaks off before that can be told; the prefix of this index begins like it.
    Broken(Option<usize>),
}

/// Tells which of `prefixes` (offset above zero, and anchor there) the content of `file` begins
/// with; of several the longest. Decompresses no further than needed.
pub fn find_prefix(mut file: File, prefixes: &[(u64, Anchor)]) -> io::Result<GzipMatch> {
    let mut reader = GzipReader::new(file.try_clone()?);
    let mut window = Window::default();
    reader.skip(HEAD_BYTES as u64, HEAD_BYTES, &mut window);
    if matches!(reader.end(), Some(GzipEnd::Broken(_))) {
        return Ok(GzipMatch::Broken(None));
    }
    let mut alike: Vec<usize> =
        (0..prefixes.len()).filter(|&index| window.has_head_of(&prefixes[index].1)).collect();
    alike.sort_by_key(|&index| prefixes[index].0);
    // The head was read ahead: start anew, so that the window passes each offset exactly.
    file.rewind()?;
    let mut reader = GzipReader::new(file);
    let mut window = Window::default();
    let mut best = None;
    for index in alike {
        let (offset, anchor) = prefixes[index];
        reader.skip(offset, usize::MAX, &mut window);
        if reader.position() < offset {
            return Ok(match (best, reader.end()) {
                (Some(index), _) => GzipMatch::Prefix { index, more: true },
                (None, Some(GzipEnd::Whole)) => GzipMatch::Shorter(index),
                (None, _) => GzipMatch::Broken(Some(index)),
            });
        }
        if window.anchor() == anchor {
            best = Some(index);
        }
    }
    let Some(index) = best else { return Ok(GzipMatch::None) };
    reader.skip(reader.position() + 1, 1, &mut window);
    let more = reader.position() > prefixes[index].0 || reader.end() != Some(&GzipEnd::Whole);
    Ok(GzipMatch::Prefix { index, more })
}

/// Tells whether the content of `file` begins with the head that `anchor` covers.
pub fn begins_like(file: File, anchor: &Anchor) -> bool {
    let mut window = Window::default();
    GzipReader::new(file).skip(HEAD_BYTES as u64, HEAD_BYTES, &mut window);
    window.has_head_of(anchor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    fn packed(members: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for member in members {
            let mut encoder = GzEncoder::new(&mut out, Compression::fast());
            encoder.write_all(member).unwrap();
            encoder.finish().unwrap();
        }
        out
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn all_members_are_read() {
        let mut reader = GzipReader::new(file(&packed(&[b"one\n", b"two\n"])));
        let mut bytes = Vec::new();
        reader.read(&mut bytes, 100);
        assert_eq!((&bytes[..], reader.end()), (&b"one\ntwo\n"[..], Some(&GzipEnd::Whole)));
    }

    #[test]
    fn a_cut_file_gives_a_prefix_and_says_that_it_is_cut() {
        let text: Vec<u8> = (0..2000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let whole = packed(&[&text]);
        for cut in 0..whole.len() {
            let mut reader = GzipReader::new(file(&whole[..cut]));
            let mut bytes = Vec::new();
            reader.read(&mut bytes, text.len() + 1);
            assert!(text.starts_with(&bytes), "cut at {cut}");
            let whole = matches!(reader.end(), Some(GzipEnd::Whole));
            // An empty file is an empty stream: `gzip` has not begun to write.
            assert!(!whole || cut == 0, "cut at {cut}");
        }
    }

    #[test]
    fn the_longest_prefix_that_was_read_before_is_found() {
        let text: Vec<u8> = (0..5000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let prefix = |len: usize| {
            let mut window = Window::default();
            window.advance(&text[..len]);
            (len as u64, window.anchor())
        };
        let other = (9000, Window::default().anchor());
        let gz = packed(&[&text]);
        let find = |bytes: &[u8], prefixes: &[_]| find_prefix(file(bytes), prefixes).unwrap();
        let found = |index, more| GzipMatch::Prefix { index, more };
        assert_eq!(find(&gz, &[prefix(9000), other]), found(0, true));
        assert_eq!(find(&gz, &[prefix(100), prefix(20_000)]), found(1, true));
        assert_eq!(find(&gz, &[prefix(text.len())]), found(0, false));
        assert_eq!(find(&gz, &[other]), GzipMatch::None);
        assert_eq!(find(&packed(&[&text[..8000]]), &[prefix(9000)]), GzipMatch::Shorter(0));
        assert_eq!(find(&gz[..gz.len() / 2], &[prefix(text.len())]), GzipMatch::Broken(Some(0)));
        assert_eq!(find(&gz[..5], &[prefix(9000)]), GzipMatch::Broken(None));
    }
}

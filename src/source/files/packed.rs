//! A packed file as one stream of plain bytes that can be resumed at an offset.
//!
//! There is no seeking in a gzip or zstd file: after a restart it is unpacked again and the bytes up
//! to the offset are skipped, in steps, and checked against the anchor on the way. All members of a
//! gzip file are read, and all frames of a zstd file. Memory does not depend on the size of the file.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use flate2::read::MultiGzDecoder;

use super::identity::{HEAD_BYTES, Window, read_at};
use crate::engine::usage::Anchor;

/// Bytes unpacked at a time while skipping.
const STEP_BYTES: usize = 64 << 10;

/// Largest window of a zstd frame, as a power of two: 128 MiB, where the `zstd` tool stops too
/// unless it is told.
const MAX_WINDOW_LOG: u32 = 27;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Some other way, which is not read: the tool that unpacks it.
    Unread(&'static str),
}

impl Codec {
    /// As many of the first bytes of a file as [`of`](Self::of) may need.
    pub const HEAD_BYTES: usize = 10;

    /// Tells by the first bytes of a file, fewer if it is cut, how it is packed; `None`: not at all.
    ///
    /// ```
    /// use keydrain::source::files::Codec;
    ///
    /// assert_eq!(Codec::of(b"\x1f\x8b\x08\x00"), Some(Codec::Gzip));
    /// assert_eq!(Codec::of(b"192.0.2.1 - - ["), None);
    /// ```
    pub fn of(head: &[u8]) -> Option<Self> {
        Some(match head {
            // RFC 1952, 2.3.1. The first byte stands in no text.
            [0x1f, 0x8b, ..] | [0x1f] => Self::Gzip,
            // RFC 8878, 3.1.1 and 3.1.2: a frame, or one to skip.
            [0x28, 0xb5, 0x2f, 0xfd, ..]
            | [0x28, 0xb5]
            | [0x28, 0xb5, 0x2f]
            | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Unread("xzcat"),
            // With the first block's number: the beginning alone may be text.
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => {
                Self::Unread("bzcat")
            }
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Unread("lz4cat"),
            [b'P', b'K', 3, 4, ..] => Self::Unread("unzip -p"),
            _ => return None,
        })
    }

    /// Tells how `file` is packed: by its content, else by its name. What is damaged at its
    /// beginning, or was only begun to be written, is no text for that.
    pub fn of_file(file: &File, named_codec: Option<Self>) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        read_at(file, &mut head, Self::HEAD_BYTES, 0)?;
        Ok(Self::of(&head).or(named_codec))
    }
}

/// A packed file that is being read.
pub struct PackedReader {
    decoder: Decoder,
    /// Plain bytes that were taken out so far.
    position: u64,
    /// Why no more bytes come, if so.
    end: Option<PackedEnd>,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Zstd(zstd::Decoder<'static, BufReader<File>>),
    Unread(&'static str),
}

/// Why no more bytes come out of a packed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackedEnd {
    /// Its last member or frame is complete.
    Whole,
    /// It ends early, is damaged, or cannot be read: what is wrong.
    Broken(String),
}

impl Decoder {
    fn new(codec: Codec, file: File) -> io::Result<Self> {
        let file = BufReader::new(file);
        Ok(match codec {
            Codec::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(file))),
            Codec::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(file)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Self::Zstd(decoder)
            }
            Codec::Unread(tool) => Self::Unread(tool),
        })
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(into),
            Self::Zstd(decoder) => decoder.read(into),
            Self::Unread(tool) => Err(io::Error::other(unread(tool))),
        }
    }
}

/// Says what to do with a file that is packed in a way that is not read.
pub fn unread(tool: &str) -> String {
    format!("is packed in a way that is not read: `{tool} FILE | keydrain scan -` reads it")
}

impl PackedReader {
    /// Starts at the first byte of `file`, wherever it was read to. The position is shared with it.
    pub fn rewound(codec: Codec, mut file: &File) -> io::Result<Self> {
        file.rewind()?;
        let decoder = Decoder::new(codec, file.try_clone()?)?;
        Ok(Self { decoder, position: 0, end: None })
    }

    /// Returns how many plain bytes were taken out.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns why no more bytes come, once that is so.
    pub fn end(&self) -> Option<&PackedEnd> {
        self.end.as_ref()
    }

    /// Appends up to `limit` bytes to `bytes`; fewer only at the end.
    ///
    /// Errors: of reading the file, after which to begin anew. One of its content is its end.
    pub fn read(&mut self, bytes: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        let start = bytes.len();
        bytes.resize(start + limit, 0);
        let mut filled = start;
        while filled < bytes.len() && self.end.is_none() {
            match self.decoder.read(&mut bytes[filled..]) {
                Ok(0) => self.end = Some(PackedEnd::Whole),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error().is_some() => return Err(error),
                Err(error) => self.end = Some(PackedEnd::Broken(super::discover::reason(&error))),
            }
        }
        bytes.truncate(filled);
        self.position += (filled - start) as u64;
        Ok(())
    }

    /// Takes out everything that is left, at most about `bound` bytes; returns where it ends.
    pub fn whole(&mut self, bound: u64) -> io::Result<Window> {
        let mut window = Window::default();
        self.skip(bound, usize::MAX, &mut window)?;
        Ok(window)
    }

    /// Takes out about `budget` bytes on the way to `offset`, passing them to `window`.
    pub fn skip(&mut self, offset: u64, budget: usize, window: &mut Window) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut skipped = 0;
        while skipped < budget && self.position < offset && self.end.is_none() {
            let wanted = usize::try_from(offset - self.position).unwrap_or(STEP_BYTES);
            bytes.clear();
            self.read(&mut bytes, wanted.min(STEP_BYTES))?;
            window.advance(&bytes);
            skipped += bytes.len();
        }
        Ok(())
    }
}

/// What the content of a packed file says about prefixes that were read before.
#[derive(Debug, PartialEq, Eq)]
pub enum PrefixMatch {
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
/// with; of several the longest. Unpacks no further than needed.
pub fn find_prefix(
    codec: Codec,
    file: &File,
    prefixes: &[(u64, Anchor)],
) -> io::Result<PrefixMatch> {
    let mut reader = PackedReader::rewound(codec, file)?;
    let mut window = Window::default();
    reader.skip(HEAD_BYTES as u64, HEAD_BYTES, &mut window)?;
    if matches!(reader.end(), Some(PackedEnd::Broken(_))) {
        return Ok(PrefixMatch::Broken(None));
    }
    let mut alike: Vec<usize> =
        (0..prefixes.len()).filter(|&index| window.has_head_of(&prefixes[index].1)).collect();
    alike.sort_by_key(|&index| prefixes[index].0);
    // The head was read ahead: start anew, so that the window passes each offset exactly.
    let mut reader = PackedReader::rewound(codec, file)?;
    let mut window = Window::default();
    let mut best = None;
    for index in alike {
        let (offset, anchor) = prefixes[index];
        reader.skip(offset, usize::MAX, &mut window)?;
        if reader.position() < offset {
            return Ok(match (best, reader.end()) {
                (Some(index), _) => PrefixMatch::Prefix { index, more: true },
                (None, Some(PackedEnd::Whole)) => PrefixMatch::Shorter(index),
                (None, _) => PrefixMatch::Broken(Some(index)),
            });
        }
        if window.anchor() == anchor {
            best = Some(index);
        }
    }
    let Some(index) = best else { return Ok(PrefixMatch::None) };
    reader.skip(reader.position() + 1, 1, &mut window)?;
    let more = reader.position() > prefixes[index].0 || reader.end() != Some(&PackedEnd::Whole);
    Ok(PrefixMatch::Prefix { index, more })
}

/// Tells whether the content of `file` begins with the head that `anchor` covers.
pub fn begins_like(codec: Codec, file: &File, anchor: &Anchor) -> io::Result<bool> {
    let mut window = Window::default();
    PackedReader::rewound(codec, file)?.skip(HEAD_BYTES as u64, HEAD_BYTES, &mut window)?;
    Ok(window.has_head_of(anchor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    fn packed(codec: Codec, members: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for mut member in members.iter().copied() {
            match codec {
                Codec::Gzip => {
                    let mut encoder = GzEncoder::new(&mut out, Compression::fast());
                    encoder.write_all(member).unwrap();
                    encoder.finish().unwrap();
                }
                Codec::Zstd => zstd::stream::copy_encode(&mut member, &mut out, 1).unwrap(),
                Codec::Unread(_) => unreachable!("nothing packs it"),
            }
        }
        out
    }

    fn reader(codec: Codec, bytes: &[u8]) -> PackedReader {
        PackedReader::rewound(codec, &file(bytes)).unwrap()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn all_members_and_frames_are_read() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let mut reader = reader(codec, &packed(codec, &[b"one\n", b"two\n"]));
            let mut bytes = Vec::new();
            reader.read(&mut bytes, 100).unwrap();
            assert_eq!((&bytes[..], reader.end()), (&b"one\ntwo\n"[..], Some(&PackedEnd::Whole)));
        }
    }

    #[test]
    fn a_cut_file_gives_a_prefix_and_says_that_it_is_cut() {
        let text: Vec<u8> = (0..2000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        for codec in [Codec::Gzip, Codec::Zstd] {
            let whole = packed(codec, &[&text]);
            for cut in 0..whole.len() {
                let mut reader = reader(codec, &whole[..cut]);
                let mut bytes = Vec::new();
                reader.read(&mut bytes, text.len() + 1).unwrap();
                assert!(text.starts_with(&bytes), "{codec:?} cut at {cut}");
                let whole = matches!(reader.end(), Some(PackedEnd::Whole));
                // An empty file is an empty stream: the tool has not begun to write.
                assert!(!whole || cut == 0, "{codec:?} cut at {cut}");
            }
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
        let found = |index, more| PrefixMatch::Prefix { index, more };
        for codec in [Codec::Gzip, Codec::Zstd] {
            let log = packed(codec, &[&text]);
            let find =
                |bytes: &[u8], prefixes: &[_]| find_prefix(codec, &file(bytes), prefixes).unwrap();
            assert_eq!(find(&log, &[prefix(9000), other]), found(0, true));
            assert_eq!(find(&log, &[prefix(100), prefix(20_000)]), found(1, true));
            assert_eq!(find(&log, &[prefix(text.len())]), found(0, false));
            assert_eq!(find(&log, &[other]), PrefixMatch::None);
            let shorter = packed(codec, &[&text[..8000]]);
            assert_eq!(find(&shorter, &[prefix(9000)]), PrefixMatch::Shorter(0));
            // Broken in its second member or frame: the first may be all that a codec gives out.
            let two = packed(codec, &[&text[..2000], &text[2000..]]);
            let cut = &two[..two.len() - 10];
            assert_eq!(find(cut, &[prefix(text.len())]), PrefixMatch::Broken(Some(0)));
            assert_eq!(find(&log[..5], &[prefix(9000)]), PrefixMatch::Broken(None));
        }
    }
}

//! The open file of a generation: what was looked at in it, and how it is read.
//!
//! Bytes come by their offset in the plain content. A packed file cannot be read at an offset: what
//! lies before is skipped once, and checked on the way.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Seek as _};

use rustix::fs::SeekFrom;

use super::identity::{FileFacts, HEAD_BYTES, Window, read_at};
use super::packed::{Codec, PackedEnd, PackedReader};
use crate::engine::usage::Anchor;

/// Bytes read at a time, where no record is longer.
pub const READ_BYTES: usize = 1 << 20;

/// An open file.
pub enum Body {
    /// A plain one.
    Plain(PlainBody),
    /// A packed one.
    Packed(Box<PackedBody>),
}

/// An open plain file.
pub struct PlainBody {
    /// The descriptor.
    pub file: File,
    /// What `fstat` said last.
    pub facts: FileFacts,
    /// End of the bytes that were looked at: beyond the offset if a record is not complete.
    pub seen_to: u64,
    /// The first of the bytes that were looked at beyond the offset, at most
    /// [`HEAD_BYTES`](super::identity::HEAD_BYTES).
    pub rest: Vec<u8>,
    /// Whether those bytes are others now, and nobody was told.
    rest_lost: bool,
    /// The first bytes, once they were looked at to compare them with others.
    head: OnceCell<Vec<u8>>,
}

/// An open packed file.
pub struct PackedBody {
    codec: Codec,
    file: File,
    /// What `fstat` said last.
    pub facts: FileFacts,
    reader: PackedReader,
    /// Window over the bytes that are skipped on the way to the offset, until it is reached.
    skipping: Option<Window>,
    /// Plain bytes from the offset on that make no whole record yet.
    pub carry: Vec<u8>,
    /// Whether the bytes up to the end were looked at.
    pub drained: bool,
}

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Bytes from the offset on are in the buffer; whether more exist after them.
    Bytes {
        /// Whether bytes after them exist.
        more: bool,
        /// Whether no bytes can ever come after them.
        last: bool,
    },
    /// So many bytes before the offset were skipped.
    Skipped(usize),
    /// The bytes before the offset are not the ones that were read.
    Changed,
}

impl Body {
    /// Takes a file that was read up to `offset`; how it is packed, if not by its content, by its
    /// name.
    pub fn of(
        file: File,
        facts: FileFacts,
        offset: u64,
        named_codec: Option<Codec>,
    ) -> io::Result<Self> {
        Ok(match Codec::of_file(&file, named_codec)? {
            Some(codec) => Self::Packed(Box::new(PackedBody::new(codec, file, facts, offset)?)),
            None => Self::Plain(PlainBody::new(file, facts, offset)),
        })
    }

    /// Returns the same file, of which nothing was read: its content may be of another kind now.
    pub fn anew(&self, named_codec: Option<Codec>) -> io::Result<Self> {
        let (file, facts) = match self {
            Self::Plain(plain) => (&plain.file, plain.facts),
            Self::Packed(packed) => (&packed.file, packed.facts),
        };
        Self::of(file.try_clone()?, facts, 0, named_codec)
    }
}

impl PlainBody {
    /// Takes a file that was read up to `offset`.
    pub fn new(file: File, facts: FileFacts, offset: u64) -> Self {
        let (rest, head) = (Vec::new(), OnceCell::new());
        Self { file, facts, seen_to: offset, rest, rest_lost: false, head }
    }

    /// Forgets what was looked at beyond `offset`.
    pub fn look_again(&mut self, offset: u64) {
        self.seen_to = offset;
        self.rest.clear();
        self.head.take();
    }

    /// Tells without reading twice whether the file may begin like `content`: it is compared with
    /// many.
    pub fn may_begin_like(&self, content: &Window) -> io::Result<bool> {
        let head = if let Some(head) = self.head.get() {
            head
        } else {
            let mut head = Vec::new();
            read_at(&self.file, &mut head, HEAD_BYTES, 0)?;
            self.head.get_or_init(|| head)
        };
        // What it did not have then it may have now.
        let both = head.len().min(content.head().len());
        Ok(head[..both] == content.head()[..both])
    }

    /// Waits for a write that is under way, as local file systems do when they are asked where data
    /// is, and asks how long the file is then: the time of change moves before the size does.
    pub fn wait_for_write(&mut self) -> io::Result<u64> {
        // Where there is no data is an error, too.
        let _ = rustix::fs::seek(&self.file, SeekFrom::Data(0));
        self.facts = self.facts.again(&self.file)?;
        Ok(self.facts.size)
    }

    /// Tells once whether bytes that were looked at beyond the offset are others now.
    pub fn has_lost_rest(&mut self) -> bool {
        std::mem::take(&mut self.rest_lost)
    }

    /// Reads up to `wanted` bytes after `window` into `buffer`.
    pub fn read(
        &mut self,
        window: &Window,
        buffer: &mut Vec<u8>,
        wanted: usize,
    ) -> io::Result<ReadOutcome> {
        let offset = window.offset();
        let whole = read_at(&self.file, buffer, wanted, offset)?;
        let seen = offset + buffer.len() as u64;
        // A change between looking and reading: the bytes may be of another content.
        if offset > 0 && !window.stands_in(&self.file)? {
            return Ok(ReadOutcome::Changed);
        }
        // NUL bytes may turn into text: some network file systems do that.
        let settles = self.rest.first() == Some(&0);
        self.rest_lost |= !settles && !buffer.starts_with(&self.rest);
        self.seen_to = seen;
        if !whole {
            // The size may be stale in either direction: what was read is the truth. Bytes that
            // were there a moment ago were cut off.
            self.rest_lost |= seen < self.facts.size;
            self.facts.size = seen;
        }
        Ok(ReadOutcome::Bytes { more: whole, last: false })
    }
}

impl PackedBody {
    /// Takes a file whose plain content was read up to `offset`.
    pub fn new(codec: Codec, file: File, facts: FileFacts, offset: u64) -> io::Result<Self> {
        let reader = PackedReader::rewound(codec, &file)?;
        let skipping = (offset > 0).then(Window::default);
        Ok(Self { codec, file, facts, reader, skipping, carry: Vec::new(), drained: false })
    }

    /// Starts again at the first byte, to go on at `offset`.
    pub fn retry(&mut self, offset: u64) -> io::Result<()> {
        self.reader = PackedReader::rewound(self.codec, &self.file)?;
        self.skipping = (offset > 0).then(Window::default);
        self.carry.clear();
        self.drained = false;
        Ok(())
    }

    /// Returns why no more bytes come, once that is so.
    pub fn end(&self) -> Option<&PackedEnd> {
        self.reader.end()
    }

    /// Returns how many plain bytes came out.
    pub fn unpacked(&self) -> u64 {
        self.reader.position()
    }

    /// Reads up to `wanted` bytes from `offset` on into `buffer`, or skips towards it: the bytes
    /// before must be those of `anchor`, and are then in `window`.
    pub fn read(
        &mut self,
        (offset, anchor): (u64, Anchor),
        window: &mut Window,
        buffer: &mut Vec<u8>,
        wanted: usize,
    ) -> io::Result<ReadOutcome> {
        if let Some(skipped) = &mut self.skipping {
            let before = self.reader.position();
            self.reader.skip(offset, READ_BYTES, skipped)?;
            let read = usize::try_from(self.reader.position() - before).unwrap_or(usize::MAX);
            if self.reader.position() == offset {
                let same = skipped.anchor() == anchor;
                *window = self.skipping.take().unwrap_or_default();
                return Ok(if same { ReadOutcome::Skipped(read) } else { ReadOutcome::Changed });
            }
            match self.reader.end() {
                // Shorter than what was read: other bytes.
                Some(PackedEnd::Whole) => return Ok(ReadOutcome::Changed),
                Some(PackedEnd::Broken(_)) => self.drained = true,
                None => {}
            }
            return Ok(ReadOutcome::Skipped(read));
        }
        std::mem::swap(buffer, &mut self.carry);
        self.carry.clear();
        let wanted = wanted.saturating_sub(buffer.len());
        self.reader.read(buffer, wanted)?;
        self.drained = self.reader.end().is_some();
        let last = self.reader.end() == Some(&PackedEnd::Whole);
        Ok(ReadOutcome::Bytes { more: !self.drained, last })
    }

    /// Returns where the plain content ends that was read up to `offset`, once that is known.
    fn known_end(&self, offset: u64) -> Option<u64> {
        let known = self.skipping.is_none() && self.drained;
        known.then_some(offset + self.carry.len() as u64)
    }

    /// Returns how many bytes wait: packed as they are, and those that make no whole record.
    fn backlog(&self) -> u64 {
        let carried = self.carry.len() as u64;
        if self.drained {
            return carried;
        }
        let read = (&self.file).stream_position().unwrap_or(0);
        self.facts.size.saturating_sub(read) + carried
    }
}

impl Body {
    /// Returns what `fstat` said last.
    pub fn facts(&self) -> &FileFacts {
        match self {
            Self::Plain(plain) => &plain.facts,
            Self::Packed(packed) => &packed.facts,
        }
    }

    /// Asks the system what the file is like now; returns what was said before.
    pub fn observe(&mut self) -> io::Result<FileFacts> {
        let (file, facts) = match self {
            Self::Plain(plain) => (&plain.file, &mut plain.facts),
            Self::Packed(packed) => (&packed.file, &mut packed.facts),
        };
        let now = facts.again(file)?;
        Ok(std::mem::replace(facts, now))
    }

    /// Tells whether nothing is left to read, as far as is known.
    pub fn at_end(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.facts.size <= plain.seen_to,
            Self::Packed(packed) => packed.drained,
        }
    }

    /// Returns how many bytes are known to exist and not read yet after `offset`; packed ones as
    /// they are.
    pub fn backlog(&self, offset: u64) -> u64 {
        match self {
            Self::Plain(plain) => plain.facts.size.saturating_sub(offset),
            Self::Packed(packed) => packed.backlog(),
        }
    }

    /// Returns where the plain content that was read up to `offset` is known to end.
    pub fn known_end(&self, offset: u64) -> Option<u64> {
        match self {
            Self::Plain(plain) => Some(plain.facts.size),
            Self::Packed(packed) => packed.known_end(offset),
        }
    }
}

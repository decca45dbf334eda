//! Whether a file is still the one that was read: who it is, and what its bytes looked like.
//!
//! Inode numbers are reused at once by some file systems: where the kernel has a handle of the file,
//! the handle says who it is. And a file can be truncated and refilled beyond the old offset. So a
//! [`FileId`] alone proves nothing: the head of the file and the bytes before the offset must still
//! be the ones that were read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::filesystem::FileSystem;
use super::handle::handle_of;
use crate::engine::coverage::Weakness;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Anchor, FileId};

/// Bytes at the start of a file that an anchor covers at most.
pub const HEAD_BYTES: usize = 1 << 10;

/// Bytes before the offset that an anchor covers at most.
pub const TAIL_BYTES: usize = 4 << 10;

/// What `fstat` says of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Which file it is.
    pub id: FileId,
    /// Its length in bytes.
    pub size: u64,
    /// When its content last changed.
    pub modified_at: Timestamp,
    /// When anything of it last changed: cannot be set by hand.
    pub changed_at: Timestamp,
    /// What it lies on.
    pub file_system: FileSystem,
    /// What is less sure of it there than on a local disk, if anything.
    pub weakness: Option<Weakness>,
}

impl FileFacts {
    /// Asks the system about `file`, which may be open for its path alone.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::of_meta(file, &file.metadata()?))
    }

    /// Asks for what `meta`, which the system has said of `file` just now, does not tell.
    pub fn of_meta(file: &File, meta: &Metadata) -> Self {
        let file_system = FileSystem::of(file);
        let handle = if file_system.keeps_handles() { handle_of(file) } else { None };
        Self::known_as(meta, handle, file_system)
    }

    /// Asks the system about the file at `path`, which is not opened for reading: nobody waits.
    pub fn at(path: &Path) -> io::Result<Self> {
        let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Self::of(&file.into())
    }

    /// Asks again about a file that was asked about before: its handle is still the same.
    pub fn again(&self, file: &File) -> io::Result<Self> {
        Ok(Self::known_as(&file.metadata()?, self.id.handle, self.file_system))
    }

    fn known_as(meta: &Metadata, handle: Option<[u8; 16]>, file_system: FileSystem) -> Self {
        let birth = meta.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let birth = birth.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        let at = |seconds: i64, nanos: i64| {
            Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
        };
        Self {
            id: FileId { device: meta.dev(), inode: meta.ino(), birth, handle },
            size: meta.len(),
            modified_at: at(meta.mtime(), meta.mtime_nsec()),
            changed_at: at(meta.ctime(), meta.ctime_nsec()),
            file_system,
            weakness: file_system.weakness(handle.is_some(), birth != 0),
        }
    }

    /// Returns when it was last written to, renamed or linked, as far as is known.
    pub fn touched_at(&self) -> Timestamp {
        self.modified_at.max(self.changed_at)
    }

    /// Tells whether it was written to since `before`, as far as its writers let that be seen.
    pub fn written_since(&self, before: &Self) -> bool {
        (self.size, self.modified_at) != (before.size, before.modified_at)
    }

    /// Tells whether the content may differ from that at the time of `before`.
    pub fn touched_since(&self, before: &Self) -> bool {
        (self.size, self.modified_at, self.changed_at)
            != (before.size, before.modified_at, before.changed_at)
    }
}

/// Tells whether both are the same file, as far as can be told without reading it.
///
/// A handle alone says it, where both have one: a birth time may come or change with a kernel, a
/// mount or a layer. The device number is left out, because it may change when the machine starts
/// again: which of two files of one number is meant is settled where files are shared out.
pub fn same_file(a: FileId, b: FileId) -> bool {
    match a.handle.zip(b.handle) {
        Some((a, b)) => a == b,
        None => (a.inode, a.birth) == (b.inode, b.birth),
    }
}

/// Tells whether `id` says which file it is after the file was closed: an inode number alone does
/// not.
pub fn outlives_the_file(id: FileId) -> bool {
    id.handle.is_some() || id.birth != 0
}

/// The bytes that the anchor at an offset covers: at most 5 KiB, whatever the offset.
#[derive(Clone, Debug, Default)]
pub struct Window {
    head: Vec<u8>,
    tail: Vec<u8>,
    offset: u64,
}

impl Window {
    /// Reads the window of `file` at `offset`; `None` if the file is shorter.
    pub fn of_file(file: &File, offset: u64) -> io::Result<Option<Self>> {
        let mut window = Self { offset, ..Self::default() };
        let head = usize::try_from(offset).map_or(HEAD_BYTES, |offset| offset.min(HEAD_BYTES));
        let tail = usize::try_from(offset).map_or(TAIL_BYTES, |offset| offset.min(TAIL_BYTES));
        window.head.resize(head, 0);
        window.tail.resize(tail, 0);
        let whole = read_exactly(file, &mut window.head, 0)?
            && read_exactly(file, &mut window.tail, offset - tail as u64)?;
        Ok(whole.then_some(window))
    }

    /// Returns the offset that the window lies before.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the first bytes, at most [`HEAD_BYTES`].
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the last bytes before the offset, at most [`TAIL_BYTES`].
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Moves the offset over `bytes`.
    pub fn advance(&mut self, bytes: &[u8]) {
        let wanted = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..wanted.min(bytes.len())]);
        if bytes.len() >= TAIL_BYTES {
            self.tail.clear();
        } else {
            let surplus = (self.tail.len() + bytes.len()).saturating_sub(TAIL_BYTES);
            self.tail.drain(..surplus);
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        self.offset += bytes.len() as u64;
    }

    /// Returns the checksums over the window.
    pub fn anchor(&self) -> Anchor {
        let len = |bytes: &[u8]| u16::try_from(bytes.len()).expect("a window is at most 4 KiB");
        Anchor {
            head_len: len(&self.head),
            head: digest(&self.head),
            tail_len: len(&self.tail),
            tail: digest(&self.tail),
        }
    }

    /// Tells whether `file` still holds these bytes.
    pub fn stands_in(&self, file: &File) -> io::Result<bool> {
        match Self::of_file(file, self.offset)? {
            Some(found) => Ok(found.head == self.head && found.tail == self.tail),
            None => Ok(false),
        }
    }

    /// Tells whether the head of one begins like that of the other, as far as both go.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let both = self.head.len().min(other.head.len());
        self.head[..both] == other.head[..both]
    }

    /// Tells whether the window begins with the head that `anchor` covers.
    pub fn has_head_of(&self, anchor: &Anchor) -> bool {
        let head_len = usize::from(anchor.head_len);
        self.head.len() >= head_len && digest(&self.head[..head_len]) == anchor.head
    }
}

/// Tells whether the bytes of `file` before `offset` are those that `anchor` covers there.
pub fn holds(file: &File, offset: u64, anchor: &Anchor) -> io::Result<bool> {
    let window = Window::of_file(file, offset)?;
    Ok(window.is_some_and(|window| window.anchor() == *anchor))
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    let full = Sha256::digest(bytes);
    let mut short = [0; 16];
    short.copy_from_slice(&full[..16]);
    short
}

/// Fills `bytes` from `at`; `false` if the file ends before.
fn read_exactly(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads up to `wanted` bytes; `false` if the file ends before.
pub fn read_at(file: &File, buffer: &mut Vec<u8>, wanted: usize, offset: u64) -> io::Result<bool> {
    buffer.resize(wanted, 0);
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(filled == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn two_handles_alone_say_which_file_it_is_and_else_inode_and_birth_do() {
        let id = |handle, inode, birth| FileId { device: 1, inode, birth, handle };
        let (one, other) = (Some([1; 16]), Some([2; 16]));
        assert!(same_file(id(one, 5, 7), id(one, 5, 0)));
        assert!(same_file(id(one, 5, 7), id(one, 6, 7)));
        assert!(!same_file(id(one, 5, 7), id(other, 5, 7)));
        for handle in [None, other] {
            assert!(same_file(id(None, 5, 7), id(handle, 5, 7)));
            assert!(!same_file(id(None, 5, 7), id(handle, 5, 8)));
            assert!(!same_file(id(None, 5, 7), id(handle, 6, 7)));
        }
    }

    #[test]
    fn a_window_does_not_depend_on_how_the_bytes_came() {
        let bytes: Vec<u8> =
            (0u32..30_000).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        for step in [1, 700, 4096, 5000, 30_000] {
            let mut window = Window::default();
            for chunk in bytes.chunks(step) {
                window.advance(chunk);
                let read = Window::of_file(&file, window.offset()).unwrap().unwrap();
                assert_eq!(window.anchor(), read.anchor(), "step {step}");
            }
            assert!(window.stands_in(&file).unwrap());
        }
    }

    #[test]
    fn content_that_was_replaced_beyond_the_offset_is_noticed() {
        let mut window = Window::default();
        window.advance(&[b'a'; 6000]);
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[b'a'; 9000], 0).unwrap();
        assert!(window.stands_in(&file).unwrap());
        file.write_all_at(b"b", 5999).unwrap();
        assert!(!window.stands_in(&file).unwrap());
        file.set_len(5999).unwrap();
        assert!(!window.stands_in(&file).unwrap());
    }
}

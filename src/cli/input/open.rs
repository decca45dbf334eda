//! Opening what may be no log: a FIFO, a device, a file that was renamed meanwhile.
//!
//! Only regular files and standard input are read. Opening never blocks and never makes a terminal
//! the controlling one.

use std::fs::{File, Metadata};
use std::io::{self, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{Advice, Mode, OFlags};

/// What tells two names of one file apart from two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// What a look at a regular file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which file it is.
    pub identity: Identity,
    /// Its size.
    pub bytes: u64,
    /// Last change of its content: seconds and nanoseconds.
    changed: (i64, i64),
}

impl Look {
    /// Looks at an inode; it is an error when it can hold no log.
    pub fn of(metadata: &Metadata) -> io::Result<Self> {
        let kind = metadata.file_type();
        let is = if kind.is_file() {
            return Ok(Self {
                identity: Identity::of(metadata),
                bytes: metadata.len(),
                changed: (metadata.mtime(), metadata.mtime_nsec()),
            });
        } else if kind.is_dir() {
            "is a directory; name the files in it"
        } else if kind.is_fifo() {
            "is a FIFO, which may never end: read it as standard input, with `-`"
        } else if kind.is_socket() {
            "is a socket: name a regular file"
        } else {
            "is a device: name a regular file, or read it as standard input, with `-`"
        };
        Err(io::Error::other(is))
    }

    /// Tells whether another file stands in the place of this one. Some network file systems
    /// number a file anew at each look, so size and time of change have their say.
    pub fn is_replaced_by(&self, now: &Self) -> bool {
        self.identity != now.identity && (self.bytes, self.changed) != (now.bytes, now.changed)
    }
}

impl Identity {
    /// Returns the identity of an inode.
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A file that is open for reading from its current position.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    look: Option<Look>,
}

impl OpenFile {
    /// Opens a regular file.
    pub fn at(path: &Path) -> io::Result<Self> {
        // A device may act on being opened, so it is looked at first; what was opened is looked at
        // again.
        Look::of(&std::fs::metadata(path)?)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let look = Look::of(&file.metadata()?)?;
        // Without it reading is slower, no more.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
        Ok(Self { file, look: Some(look) })
    }

    /// Takes standard input, of whatever kind it is.
    pub fn stdin() -> io::Result<Self> {
        let mut file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let look = Look::of(&file.metadata()?).ok();
        // What an earlier reader has taken from it is only found under the file's name.
        let look = look.filter(|_| file.stream_position().is_ok_and(|at| at == 0));
        Ok(Self { file, look })
    }

    /// Returns the look at the open file; `None` for a stream, or a file that is open midway.
    pub fn look(&self) -> Option<&Look> {
        self.look.as_ref()
    }

    pub(super) fn into_inner(self) -> File {
        self.file
    }
}

//! The logs that a command line names: which files are meant, and their bytes, unpacked.
//!
//! Never waits for a writer of a FIFO, never reads one file twice, and holds a bounded number of
//! bytes of a log at a time.
//!
//! ```text
//! names --names--> files in order --open--> regular file, stdin --unpack--> bytes of a log
//! ```

pub mod names;

pub mod open;

mod unpack;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use open::OpenFile;
use unpack::Unpacked;

/// Bytes read at once.
pub const CHUNK_BYTES: usize = 256 << 10;

/// A log that is open for reading, unpacked.
pub struct LogInput {
    unpacked: Unpacked,
}

impl LogInput {
    /// Opens a path; `-` is standard input.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = if is_stdin(path) { OpenFile::stdin() } else { OpenFile::at(path) };
        Ok(Self::of(file?, ProgressBar::hidden()))
    }

    /// Reads an open file; every byte taken from it, packed or not, is told to `progress`.
    /// Nothing is read yet, so what is wrong with it comes with the first read.
    pub fn of(file: OpenFile, progress: ProgressBar) -> Self {
        Self { unpacked: Unpacked::new(file.into_inner(), progress) }
    }

    /// Gives every chunk to `take` until it returns `false` or the input ends.
    pub fn read_chunks(mut self, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(()),
                len => {
                    if !take(&buffer[..len]) {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Read for LogInput {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.unpacked.read(into)
    }
}

/// Tells whether a path given on the command line means standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Returns the paths without repetitions of the same spelling, in order.
pub fn distinct(paths: &[PathBuf]) -> Vec<&Path> {
    let mut seen: Vec<&Path> = Vec::new();
    for path in paths {
        if !seen.contains(&path.as_path()) {
            seen.push(path);
        }
    }
    seen
}

//! Log files given on the command line: plain, gzip (known by its first bytes) or standard input.
//!
//! Reads in chunks of bounded size. A file named twice is told by its device and inode.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// First bytes of a gzip member (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A log that is open for reading, decompressed.
pub struct LogInput {
    reader: Box<dyn Read>,
    /// What tells two names of one file apart from two files; `None` for standard input.
    pub identity: Option<(u64, u64)>,
}

impl LogInput {
    /// Opens a path; `-` is standard input.
    pub fn open(path: &Path) -> io::Result<Self> {
        if is_stdin(path) {
            return Ok(Self { reader: decompressed(io::stdin().lock())?, identity: None });
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::other("is a directory; name the files in it"));
        }
        let identity = Some((metadata.dev(), metadata.ino()));
        Ok(Self { reader: decompressed(file)?, identity })
    }

    /// Gives every chunk to `take` until it returns `false` or the input ends.
    pub fn read_chunks(mut self, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match self.reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => {
                    if !take(&buffer[..len]) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
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

fn decompressed(mut raw: impl Read + 'static) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::with_capacity(GZIP_MAGIC.len());
    raw.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
    let gzip = head == GZIP_MAGIC;
    let whole = io::Cursor::new(head).chain(raw);
    if gzip {
        let buffered = BufReader::with_capacity(CHUNK_BYTES, whole);
        return Ok(Box::new(MultiGzDecoder::new(buffered)));
    }
    Ok(Box::new(whole))
}

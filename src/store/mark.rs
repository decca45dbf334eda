//! How far the database has come, in a small file beside it: an older copy that is put back is told
//! from the newest one.
//!
//! Written in place after each commit and never flushed: after a power cut it may be behind the
//! database, never ahead of it. So only a mark that is ahead says something; one that is missing or
//! torn says nothing, and is made anew.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::store::error::StoreError;

/// Name of the file in the state directory.
pub const FILE_NAME: &str = "epoch";

/// First word of the file: its form.
const FORM: &str = "keydrain-epoch-1";

/// Longest content that is read.
const MOST_BYTES: usize = 512;

/// How far a database has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which state: drawn when the database was made.
    pub state: u64,
    /// Number of its newest commit.
    pub commits: u64,
    /// Sequence of its newest answer.
    pub sequence: u64,
}

impl Mark {
    /// Tells whether `database` is an older copy of what this mark speaks of, or another state.
    pub fn is_ahead_of(&self, database: &Self) -> bool {
        self.state != database.state || self.commits > database.commits
    }

    fn text(&self) -> String {
        // Always of one length, so that a new one covers the old one whole.
        let said = format!("{FORM} {:016x} {:020} {:020}", self.state, self.commits, self.sequence);
        let check = checksum(&said);
        format!("{said} {check}\n")
    }

    fn of_text(text: &str) -> Option<Self> {
        let (said, check) = text.strip_suffix('\n')?.rsplit_once(' ')?;
        if check != checksum(said) {
            return None;
        }
        let mut words = said.split(' ');
        let form = words.next()?;
        let state = u64::from_str_radix(words.next()?, 16).ok()?;
        let (commits, sequence) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (form == FORM && words.next().is_none()).then_some(Self { state, commits, sequence })
    }
}

/// Eight bytes of SHA-256 as hex: tells a torn write, not a forger.
fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let bytes = digest[..8].try_into().expect("it has 32 bytes");
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// Reads the mark in a state directory; `None` if there is none, or none that is whole.
pub fn read(dir: &Path) -> Result<Option<Mark>, StoreError> {
    let path = dir.join(FILE_NAME);
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::io("open", &path, source)),
    };
    let mut bytes = [0; MOST_BYTES];
    let len =
        file.read_at(&mut bytes, 0).map_err(|source| StoreError::io("read", &path, source))?;
    Ok(std::str::from_utf8(&bytes[..len]).ok().and_then(Mark::of_text))
}

/// The open file of the mark.
#[derive(Debug)]
pub struct MarkFile(File);

impl MarkFile {
    /// Opens the file, or makes it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(&path).map_err(|source| StoreError::io("open", &path, source))?;
        Ok(Self(file))
    }

    /// Replaces the mark. A disk that takes no more leaves the one before, which is behind.
    pub fn put(&self, mark: &Mark) {
        let _ = self.0.write_all_at(mark.text().as_bytes(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { state: 7, commits: 41, sequence: u64::MAX };

    #[test]
    fn a_mark_comes_back_and_a_shorter_number_leaves_nothing_of_a_longer_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        let file = MarkFile::open(dir.path()).unwrap();
        file.put(&MARK);
        assert_eq!(read(dir.path()).unwrap(), Some(MARK));
        let next = Mark { state: u64::MAX, commits: 0, sequence: 3 };
        file.put(&next);
        assert_eq!(read(dir.path()).unwrap(), Some(next));
    }

    #[test]
    fn a_mark_that_is_torn_at_any_byte_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (MARK.text(), Mark { commits: 42, sequence: 9, ..MARK }.text());
        for cut in 1..new.len() {
            let torn = [&new.as_bytes()[..cut], &old.as_bytes()[cut..]].concat();
            for text in [&torn[..], &new.as_bytes()[..cut]] {
                std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
                let found = read(dir.path()).unwrap();
                let is_whole = text == new.as_bytes() || text == old.as_bytes();
                assert_eq!(found.is_some(), is_whole, "{:?}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn only_a_mark_that_is_ahead_accuses() {
        let ahead = |commits, state| MARK.is_ahead_of(&Mark { state, commits, sequence: 0 });
        assert!(ahead(40, 7));
        assert!(!ahead(41, 7));
        assert!(!ahead(42, 7));
        assert!(ahead(42, 8), "another state");
    }
}

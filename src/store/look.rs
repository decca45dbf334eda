//! Looking at a state without touching it, also while a daemon writes to it: to compare it with the
//! logs, and to copy it.
//!
//! Takes no lock of the state directory. In WAL mode a reader sees one commit as of one moment and
//! makes no writer wait.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::engine::credential::{Fingerprint, FingerprintSecret, SourceName};
use crate::engine::rotation::Declaration;
use crate::engine::state::State;
use crate::engine::time::{Minute, Step, Timestamp};
use crate::engine::usage::Consumer;
use crate::store::error::StoreError;
use crate::store::{history, mark, open, read, secret};

/// Presentations of one key by one consumer in one source, in the window in which they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptUsage {
    /// The source.
    pub source: SourceName,
    /// The key.
    pub key: Fingerprint,
    /// Who presented it.
    pub consumer: Consumer,
    /// How wide the window is.
    pub step: Step,
    /// First minute of the window.
    pub minute: Minute,
    /// Whether they count from their arrival.
    pub late: bool,
    /// Their number, indexed as [`Outcome::ALL`](crate::engine::usage::Outcome::ALL).
    pub counts: [u64; 4],
}

/// What a copy of the state holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Size of the copy in bytes.
    pub bytes: u64,
    /// Sequence of its newest answer.
    pub sequence: u64,
    /// When its newest commit was made; `None` if there is none.
    pub last_commit_at: Option<Timestamp>,
}

/// A state that is only looked at.
#[derive(Debug)]
pub struct Look {
    dir: PathBuf,
    path: PathBuf,
    connection: Connection,
}

impl Look {
    /// Opens the state in `dir` for looking, with its fingerprint secret.
    ///
    /// Refuses what [`Store::open`](crate::store::Store::open) refuses, but for a running instance,
    /// and a directory in which nothing was stored yet. Does not read the whole database.
    pub fn open(dir: &Path) -> Result<(Self, FingerprintSecret), StoreError> {
        let path = dir.join(open::DATABASE_NAME);
        if !open::has_content(&path)? {
            return Err(StoreError::NothingStored { path });
        }
        let secret = secret::load_existing(dir)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .map_err(|source| StoreError::from_sqlite(&path, source))?;
        let fit = open::prepare_look(&path, &connection, secret.check_value());
        fit.map_err(|fault| fault.at(&path))?;
        Ok((Self { dir: dir.to_path_buf(), path, connection }, secret))
    }

    /// Returns everything that was committed and all kept usage, as of one moment.
    pub fn read(&self) -> Result<(State, Vec<KeptUsage>), StoreError> {
        let all = || {
            let tx = self.connection.unchecked_transaction()?;
            Ok((read::state_in(&tx)?, history::kept(&tx)?))
        };
        all().map_err(|fault: crate::store::error::Fault| fault.at(&self.path))
    }

    /// Returns the rotations, those that ended included.
    pub fn rotations(&self) -> Result<Vec<Declaration>, StoreError> {
        read::rotations_in(&self.connection).map_err(|fault| fault.at(&self.path))
    }

    /// Tells whether the database is older than what was recorded before: a copy that was put back.
    pub fn is_restored(&self) -> Result<bool, StoreError> {
        // The mark first: a commit in between is newer than it.
        let mark = mark::read(&self.dir)?;
        let found = open::progress(&self.connection).map_err(|fault| fault.at(&self.path))?;
        Ok(found.is_restored(mark.as_ref()))
    }

    /// Copies the state to `target`, whole and as of one moment, and marks the copy as one.
    ///
    /// The copy is written under another name beside it, flushed and then named: a file of that
    /// name is whole. Nothing is overwritten. Mode 0600.
    pub fn copy_to(&self, target: &Path) -> Result<Copied, StoreError> {
        let taken = || StoreError::CopyExists { path: target.to_path_buf() };
        if target.symlink_metadata().is_ok() {
            return Err(taken());
        }
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let suffix = getrandom::u64().map_err(StoreError::Random)?;
        let temporary = target.with_file_name(format!("{name}.{suffix:016x}.part"));
        let copied = self.write_copy(&temporary).and_then(|copied| {
            // A link refuses an existing name, where a rename would replace it.
            fs::hard_link(&temporary, target).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => taken(),
                _ => StoreError::io("create", target, source),
            })?;
            Ok(copied)
        });
        let removed = fs::remove_file(&temporary);
        let copied = copied?;
        removed.map_err(|source| StoreError::io("remove", &temporary, source))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        secret::sync_dir(parent.unwrap_or(Path::new(".")))?;
        Ok(copied)
    }

    fn write_copy(&self, path: &Path) -> Result<Copied, StoreError> {
        let mut options = OpenOptions::new();
        let made = options.read(true).write(true).create_new(true).mode(0o600).open(path);
        let file = made.map_err(|source| StoreError::io("create", path, source))?;
        // SQLite takes an empty file for a new database, and keeps its mode.
        let name = path.to_str().ok_or_else(|| {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the name is no UTF-8");
            StoreError::io("create", path, source)
        })?;
        self.connection
            .execute("VACUUM INTO ?1", [name])
            .map_err(|source| StoreError::from_sqlite(path, source))?;
        let copied = open::mark_copy(path).map_err(|fault| fault.at(path))?;
        let flushed = file.sync_all().and_then(|()| file.metadata());
        let bytes = flushed.map_err(|source| StoreError::io("flush", path, source))?.len();
        Ok(Copied { bytes, ..copied })
    }
}

//! What can go wrong with the state, and what the operator can do about it.
//!
//! Every message names the file and the way out. No message holds a byte of a secret or of a
//! statement's values.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::credential::{SourceName, StreamName};
use crate::engine::rotation::RotationId;

/// Why the state cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory of the state cannot be used.
    #[error(
        "cannot {action} {} (check owner and mode of the state directory, and that its disk is writable)", path.display()
    )]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a new fingerprint secret")]
    Random(#[source] getrandom::Error),
    /// The fingerprint secret is gone.
    #[error(
        "the fingerprint secret {} is missing: without it no key can be matched with what was counted; restore it from a backup, or start with an empty state directory, which loses all history", path.display()
    )]
    SecretMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The fingerprint secret is no secret.
    #[error(
        "the fingerprint secret {} {problem}; it must be one line of 64 lower-case hex digits: restore it from a backup, or, if nothing was counted yet, remove it and a new one is made", path.display()
    )]
    SecretMalformed {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Others can read the fingerprint secret.
    #[error(
        "the fingerprint secret {} has mode {mode:04o}: others can read it; run `chmod 600 {}`", path.display(), path.display()
    )]
    SecretExposed {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The fingerprint secret is not the one that the state was counted with.
    #[error(
        "the fingerprint secret {} is not the one that {} was written with; restore the right one from a backup, or start with an empty state directory, which loses all history", path.display(), database.display()
    )]
    SecretChanged {
        /// Where the secret is.
        path: PathBuf,
        /// Where the database is.
        database: PathBuf,
    },
    /// Another instance has the state open.
    #[error(
        "another keydrain runs on this state: it holds the lock {}; stop it, or give this one a state directory of its own", path.display()
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// There is no state to look at.
    #[error(
        "nothing is stored in {} yet; start `keydrain run` first, or name the config of the daemon with --config", path.display()
    )]
    NothingStored {
        /// Where the database should be.
        path: PathBuf,
    },
    /// A copy would overwrite something.
    #[error("{} exists and is not overwritten; choose another name for the copy", path.display())]
    CopyExists {
        /// The name.
        path: PathBuf,
    },
    /// The state directory lies where locks and `fsync` cannot be trusted.
    #[error(
        "the state directory {} lies on {kind}, where locks and fsync do not hold what SQLite needs; put it on a local disk", path.display()
    )]
    NetworkFileSystem {
        /// The directory.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The database was made by another program.
    #[error(
        "{} is a database of another program; move it away or choose another state directory", path.display()
    )]
    ForeignDatabase {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a newer keydrain.
    #[error(
        "{} has schema {found}, this keydrain knows up to {known}: start the newer keydrain again, or restore a backup from before the upgrade", path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The database is damaged.
    #[error(
        "the state {} is damaged ({detail}); stop keydrain and restore a backup of it, or move it away with its -wal and -shm files: then all history is unknown", path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A delta does not begin where the stored offset of its generation ends.
    #[error(
        "generation {generation} of stream {stream} in source {source_name} is stored up to byte {stored}, the delta begins at byte {found}: nothing was written; this is a bug, please report it"
    )]
    OutOfOrder {
        /// The source.
        source_name: SourceName,
        /// The stream.
        stream: StreamName,
        /// Number of the generation.
        generation: u64,
        /// First byte that is not accounted for.
        stored: u64,
        /// First byte of the delta.
        found: u64,
    },
    /// A delta came without the record that moves the offset of its generation.
    #[error(
        "generation {generation} of stream {stream} in source {source_name} got counts without its new offset: nothing was written; this is a bug, please report it"
    )]
    OffsetMissing {
        /// The source.
        source_name: SourceName,
        /// The stream.
        stream: StreamName,
        /// Number of the generation.
        generation: u64,
    },
    /// A journal entry does not come after the ones that are stored.
    #[error(
        "the journal is stored up to entry {stored}, entry {found} cannot follow: nothing was written; this is a bug, please report it"
    )]
    JournalOutOfOrder {
        /// Sequence of the newest stored entry.
        stored: u64,
        /// Sequence of the refused entry.
        found: u64,
    },
    /// A record speaks of a rotation that was never declared.
    #[error(
        "rotation {0} was never declared: nothing was written; this is a bug, please report it"
    )]
    UnknownRotation(RotationId),
    /// The disk is full.
    #[error(
        "no room for {}: free space on its disk; reading of logs waits, nothing is lost", path.display()
    )]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the schema of {} up to date", path.display())]
    Migration {
        /// The database.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite_migration::Error,
    },
    /// The database refused for another reason.
    #[error("the state {} cannot be used", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Tells whether the same call may succeed later without a change to the state.
    ///
    /// True of a full disk, a busy database and an I/O error; false of damage, of a schema and of
    /// a commit that can never fit.
    pub fn is_retryable(&self) -> bool {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed,
            OperationInterrupted, OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
        };
        match self {
            Self::Io { .. } | Self::Full { .. } | Self::InUse { .. } => true,
            Self::Database { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    CannotOpen
                        | DatabaseBusy
                        | DatabaseLocked
                        | FileLockingProtocolFailed
                        | OperationInterrupted
                        | OutOfMemory
                        | PermissionDenied
                        | ReadOnly
                        | SystemIoFailure
                )
            ),
            _ => false,
        }
    }

    /// Sorts an error of `SQLite` on the database at `path` by what the operator can do.
    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        let path = path.to_path_buf();
        if let FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | Utf8Error(..) = source
        {
            return Self::Corrupt { path, detail: source.to_string() };
        }
        match source.sqlite_error_code() {
            Some(DiskFull) => Self::Full { path },
            Some(DatabaseCorrupt | NotADatabase) => {
                Self::Corrupt { path, detail: source.to_string() }
            }
            _ => Self::Database { path, source },
        }
    }

    /// Wraps an error of the system on `path`.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }
}

/// What stops a reading or a writing, before the database's path is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// `SQLite`'s own word.
    Sqlite(rusqlite::Error),
    /// A rule of the store.
    Refused(StoreError),
    /// A value that no version of this program writes.
    Nonsense(String),
}

impl Fault {
    /// Says that `place` holds `what`.
    pub(super) fn nonsense(place: &str, what: &str) -> Self {
        Self::Nonsense(format!("{place} holds {what}"))
    }

    /// Makes the error of the database at `path`.
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Sqlite(source) => StoreError::from_sqlite(path, source),
            Self::Refused(error) => error,
            Self::Nonsense(detail) => StoreError::Corrupt { path: path.to_path_buf(), detail },
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_stays() {
        // (code of SQLite, may be tried again)
        let cases = [
            (ffi::SQLITE_FULL, true),
            (ffi::SQLITE_BUSY, true),
            (ffi::SQLITE_IOERR, true),
            (ffi::SQLITE_IOERR_FSYNC, true),
            (ffi::SQLITE_READONLY, true),
            (ffi::SQLITE_CANTOPEN, true),
            (ffi::SQLITE_CORRUPT, false),
            (ffi::SQLITE_NOTADB, false),
            (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, false),
            (ffi::SQLITE_SCHEMA, false),
        ];
        for (code, retryable) in cases {
            let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let error = StoreError::from_sqlite(Path::new("keydrain.db"), source);
            assert_eq!(error.is_retryable(), retryable, "{error:?}");
        }
    }
}

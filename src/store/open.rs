//! What must hold before the state is touched: a local disk, one instance, a sound database of
//! ours with a schema we know, and the secret it was counted with.
//!
//! Nothing is repaired and nothing is replaced here: whatever is odd is refused, with the way out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use crate::engine::credential::Fingerprint;
use crate::engine::time::Timestamp;
use crate::store::column::{get_count, get_fingerprint};
use crate::store::error::{Fault, StoreError};
use crate::store::look::Copied;
use crate::store::mark::Mark;
use crate::store::secret;

/// Name of the database in the state directory.
pub const DATABASE_NAME: &str = "keydrain.db";

const LOCK_NAME: &str = "lock";
/// "kdrn": tells our database from any other (`file` shows it too).
const APPLICATION_ID: i32 = 0x6b64_726e;
/// Number of migrations, which is the newest schema.
const SCHEMA: i64 = 1;
/// Smallest page of any `SQLite` database, in bytes.
const LEAST_PAGE: u64 = 512;
/// A person's `sqlite3` may hold a lock this long before a commit is given up and tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than the different statements of one commit and one load.
const CACHED_STATEMENTS: usize = 64;

/// The lock of a state directory, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    /// Gives the lock up by name: closing the file would not, while a child process that was just
    /// forked still has it open.
    fn drop(&mut self) {
        // If it fails, the lock goes with the last copy of the file.
        let _ = self.0.unlock();
    }
}

/// Takes the lock of the state directory.
pub fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join(LOCK_NAME);
    let opened =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(|source| StoreError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &path, source)),
    }
}

/// Refuses a directory on a file system of the network.
pub fn refuse_network_file_system(dir: &Path) -> Result<(), StoreError> {
    #[cfg(target_os = "linux")]
    {
        let stat = rustix::fs::statfs(dir)
            .map_err(|error| StoreError::io("inspect", dir, error.into()))?;
        // All magic numbers have 32 bits; on some targets the field is a signed number of 32.
        #[allow(
            clippy::useless_conversion,
            reason = "f_type is an i64 on most targets, not on all"
        )]
        let magic = u32::try_from(i64::from(stat.f_type) & 0xffff_ffff).unwrap_or_default();
        if let Some(kind) = network_file_system(magic) {
            return Err(StoreError::NetworkFileSystem { path: dir.to_path_buf(), kind });
        }
    }
    Ok(())
}

/// Names the file systems whose locks or `fsync` depend on another machine or process.
///
/// Magic numbers from Linux's `statfs(2)` and `include/uapi/linux/magic.h`.
#[cfg(target_os = "linux")]
fn network_file_system(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "a network file system (NFS)",
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => "a network file system (SMB/CIFS)",
        0x6573_5546 => "a file system in user space (FUSE)",
        0x00C3_6400 => "a network file system (Ceph)",
        0x0BD0_0BD0 => "a network file system (Lustre)",
        0x5346_414F | 0x6B41_4653 => "a network file system (AFS)",
        _ => return None,
    })
}

/// Tells whether something was ever stored at `path`; refuses what is too short for a database.
///
/// `SQLite` would take such a file for an empty database and begin anew without a word.
pub fn has_content(path: &Path) -> Result<bool, StoreError> {
    match std::fs::metadata(path) {
        Ok(metadata) if (1..LEAST_PAGE).contains(&metadata.len()) => Err(StoreError::Corrupt {
            path: path.to_path_buf(),
            detail: format!("only {} bytes are left of it", metadata.len()),
        }),
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("inspect", path, error)),
    }
}

/// Opens the database, checks it whole and brings its schema up to date.
pub fn database(dir: &Path, check: Fingerprint) -> Result<(PathBuf, Connection), StoreError> {
    let path = dir.join(DATABASE_NAME);
    create_file(dir, &path)?;
    // No CREATE flag: a file that vanished meanwhile is an error, not a new state.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags)
        .map_err(|source| StoreError::from_sqlite(&path, source))?;
    let prepared = prepare(&path, &connection, check);
    prepared.map_err(|fault| fault.at(&path))?;
    migrate(&path, &mut connection, check)?;
    Ok((path, connection))
}

/// Makes an empty file of mode 0600; `SQLite` gives its -wal and -shm files the same mode.
fn create_file(dir: &Path, path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => secret::sync_dir(dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::io("create", path, error)),
    }
}

fn prepare(path: &Path, connection: &Connection, check: Fingerprint) -> Result<(), Fault> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // No function or virtual table of a tampered schema runs with our rights.
    connection.pragma_update(None, "trusted_schema", false)?;
    // Damage inside a page is noticed when the page is read, not when it has done harm.
    connection.pragma_update(None, "cell_size_check", true)?;

    let schema = known_schema(path, connection)?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(Fault::Nonsense(sound));
    }
    if schema > 0 {
        refuse_other_secret(path, connection, check)?;
    }

    // Readers never block the writer, and one commit costs one fsync.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let kind = "a file system without shared memory for SQLite";
        return Err(StoreError::NetworkFileSystem { path: path.to_path_buf(), kind }.into());
    }
    // A published verdict must survive a power cut: fsync the log at every commit (a few a second).
    connection.pragma_update(None, "synchronous", "full")?;
    // A number without a name would be a count that nobody can read.
    connection.pragma_update(None, "foreign_keys", true)?;
    // auto_vacuum stays off, which is what a new database has: history is of a steady size, so the
    // pages that a roll-up frees are filled by the next minutes. To move pages in order to shrink
    // the file for a while would make commits wait and write each page twice.
    // After a burst or a long reader the log shrinks again.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// Returns the schema of the database, 0 if it is empty; refuses one that is not ours to write.
fn known_schema(path: &Path, connection: &Connection) -> Result<i64, Fault> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let found = number("user_version")?;
    let application = number("application_id")?;
    if (tables > 0 || found > 0) && application != i64::from(APPLICATION_ID) {
        return Err(StoreError::ForeignDatabase { path: path.to_path_buf() }.into());
    }
    if found > SCHEMA {
        let path = path.to_path_buf();
        return Err(StoreError::NewerSchema { path, found, known: SCHEMA }.into());
    }
    Ok(found)
}

fn refuse_other_secret(
    path: &Path,
    connection: &Connection,
    check: Fingerprint,
) -> Result<(), Fault> {
    if secret_check(connection)? == check {
        return Ok(());
    }
    let secret = path.with_file_name(secret::FILE_NAME);
    Err(StoreError::SecretChanged { path: secret, database: path.to_path_buf() }.into())
}

fn secret_check(connection: &Connection) -> Result<Fingerprint, Fault> {
    let mut statement = connection.prepare("SELECT secret_check FROM meta")?;
    let mut rows = statement.query([])?;
    let row = rows.next()?.ok_or_else(|| Fault::nonsense("meta", "no row"))?;
    get_fingerprint(row, "secret_check")
}

/// Prepares a connection that only looks; refuses a database that is not ours or of another schema.
pub fn prepare_look(path: &Path, connection: &Connection, check: Fingerprint) -> Result<(), Fault> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    if known_schema(path, connection)? == 0 {
        return Err(StoreError::NothingStored { path: path.to_path_buf() }.into());
    }
    refuse_other_secret(path, connection, check)
}

/// How far a database has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What its mark should say.
    pub mark: Mark,
    /// Whether it is a backup of which nothing was started yet.
    is_copy: bool,
}

impl Progress {
    /// Tells whether it is an older copy that was put back, by the mark beside it.
    pub fn is_restored(&self, mark: Option<&Mark>) -> bool {
        // A database without a commit has nothing that could be older.
        self.is_copy || self.mark.commits > 0 && mark.is_some_and(|it| it.is_ahead_of(&self.mark))
    }
}

/// Reads how far the database has come.
pub fn progress(connection: &Connection) -> Result<Progress, Fault> {
    let sql = "SELECT state_number, commits, answer_sequence, is_copy FROM meta";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let row = rows.next()?.ok_or_else(|| Fault::nonsense("meta", "no row"))?;
    let mark = Mark {
        state: row.get::<_, i64>("state_number")?.cast_unsigned(),
        commits: get_count(row, "commits")?,
        sequence: get_count(row, "answer_sequence")?,
    };
    Ok(Progress { mark, is_copy: row.get("is_copy")? })
}

/// Marks a new copy as one and says what it holds; its size is not told here.
pub fn mark_copy(path: &Path) -> Result<Copied, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, flags)?;
    // No other process knows the file yet, and a journal beside it would be one more name.
    copy.pragma_update(None, "journal_mode", "memory")?;
    copy.execute("UPDATE meta SET is_copy = 1", [])?;
    let sql = "SELECT last_commit_at FROM meta";
    let last_commit_at = copy.query_row(sql, [], |row| row.get::<_, Option<i64>>(0))?;
    let sequence = progress(&copy)?.mark.sequence;
    copy.close().map_err(|(_, error)| error)?;
    let last_commit_at = last_commit_at.map(Timestamp::from_nanos);
    Ok(Copied { bytes: 0, sequence, last_commit_at })
}

/// Applies the missing migrations, each in one transaction together with its number.
fn migrate(path: &Path, connection: &mut Connection, check: Fingerprint) -> Result<(), StoreError> {
    let number = getrandom::u64().map_err(StoreError::Random)?.cast_signed();
    // The check value comes with the tables: no state is ever without it.
    let first = M::up_with_hook(
        include_str!("migrations/0001_state.sql"),
        move |tx: &rusqlite::Transaction<'_>| {
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            let insert = "INSERT INTO meta (id, secret_check, state_number) VALUES (1, ?1, ?2)";
            tx.execute(insert, rusqlite::params![check.as_bytes(), number])?;
            Ok(())
        },
    );
    let migrations = Migrations::new(vec![first]);
    migrations.to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => StoreError::from_sqlite(path, err),
        source => StoreError::Migration { path: path.to_path_buf(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_network_file_system_is_told_from_a_local_one() {
        for magic in [0x6969, 0xFE53_4D42, 0xFF53_4D42, 0x6573_5546] {
            assert!(network_file_system(magic).is_some(), "{magic:x}");
        }
        // ext4, xfs, btrfs, tmpfs, overlayfs
        for magic in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(network_file_system(magic), None, "{magic:x}");
        }
    }

    #[test]
    fn a_lock_is_free_at_once_although_a_forked_child_still_has_its_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let in_child = first.0.try_clone().unwrap();
        assert!(matches!(lock(dir.path()), Err(StoreError::InUse { .. })));
        drop(first);
        lock(dir.path()).unwrap();
        drop(in_child);
    }
}

//! The state on disk: one `SQLite` file, one lock, one secret, in one directory of mode 0700.
//!
//! ```text
//! engine --Commit--> Store::commit, ONE transaction --> keydrain.db <--> roll_up, in slices
//! engine <--State--- Store::load, at the next start <-----'   '--> usage, for reports
//! ```
//!
//! Offsets, counts, evidence and answers of one commit are stored together or not at all. The
//! store never decides anything, never reads a clock and never holds a raw key; whoever owns the
//! [`Store`] is its only writer.

pub mod error;
pub mod secret;

mod blob;
mod bytes;
mod column;
mod history;
mod issued;
mod journal;
pub mod look;
mod mark;
mod milestones;
mod names;
mod open;
mod ranges;
mod read;
mod rejects;
mod rollup;
mod uses;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

pub use error::StoreError;
pub use history::UsageWindow;
pub use look::Look;

use crate::engine::credential::{Fingerprint, FingerprintSecret, SourceName};
use crate::engine::state::{Commit, Retention, State};
use crate::engine::time::{Span, Step, Timestamp};
use crate::engine::usage::UsageCell;
use crate::store::mark::{Mark, MarkFile};
use crate::store::names::Names;

/// The open state: the only connection that writes to it, and the lock that makes it so.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    /// Numbers of names that are known to be committed.
    names: Names,
    /// What the mark said at the start, if it is ahead of the database.
    passed: Option<Mark>,
    /// Whether the database is an older copy that was put back.
    restored: bool,
    mark_file: MarkFile,
    /// Declared last, so dropped last: the lock goes after the database was closed.
    _lock: open::Lock,
}

impl Store {
    /// Opens the state in `dir`, or makes a new one, and returns it with its fingerprint secret.
    ///
    /// Refuses, each with its own error: a network file system, a second instance, a lost or
    /// changed secret, a damaged or foreign database, a newer schema. Reads the whole database
    /// once to check it. A database without history is made where none is: then all history is
    /// unknown, also with the secret of an older one.
    pub fn open(dir: &Path) -> Result<(Self, FingerprintSecret), StoreError> {
        secret::create_dir(dir)?;
        open::refuse_network_file_system(dir)?;
        let lock = open::lock(dir)?;
        let secret = if open::has_content(&dir.join(open::DATABASE_NAME))? {
            secret::load_existing(dir)?
        } else {
            secret::load_or_create(dir)?
        };
        let (path, connection) = open::database(dir, secret.check_value())?;
        let found = open::progress(&connection).map_err(|fault| fault.at(&path))?;
        let mark = mark::read(dir)?;
        let store = Self {
            path,
            connection,
            names: Names::default(),
            restored: found.is_restored(mark.as_ref()),
            passed: mark.filter(|mark| mark.is_ahead_of(&found.mark)),
            mark_file: MarkFile::open(dir)?,
            _lock: lock,
        };
        Ok((store, secret))
    }

    /// Returns everything that was committed. A database that is older than the mark beside it, or a
    /// backup, is told to be restored until the next commit.
    pub fn load(&self) -> Result<State, StoreError> {
        let state = read::state(&self.connection).map_err(|fault| fault.at(&self.path))?;
        // No answer is ever numbered as one that was given before.
        let passed = self.passed.map_or(0, |mark| mark.sequence);
        Ok(State { restored: self.restored, sequence: state.sequence.max(passed), ..state })
    }

    /// Stores `commit` whole, or nothing of it.
    ///
    /// Cells and line counts are added (counts saturate at 2⁶³ − 1, spans of time at 292 years),
    /// of rejected keys the latest stays, gaps, journal, violations and clock suspects are appended, every
    /// other record replaces the one with its key. When it returns, the commit survives a power
    /// cut. After an error that [is retryable](StoreError::is_retryable) the same commit can be
    /// given again.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let passed = self.passed;
        let mark = self.write(|tx, names| write::commit(tx, names, commit, passed.as_ref()))?;
        (self.passed, self.restored) = (None, false);
        self.mark_file.put(&mark);
        Ok(())
    }

    /// Makes hours of old minutes and days of old hours, and forgets old days, of all keys but
    /// those in `keep`; returns whether there may be more to do.
    ///
    /// One transaction of at most 1,000 rows, so that a commit never waits long: call it again
    /// while there is more. Sums, first and last stay what they were; what is done is not done
    /// again. After an error nothing of this call was done, and it can be made again.
    pub fn roll_up(
        &mut self,
        retention: &Retention,
        keep: &[Fingerprint],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tx, names| rollup::slice(tx, names, retention, keep, now))
    }

    /// Returns who presented `key` in the windows of `step` that meet `span`, in order of time.
    ///
    /// Each window is whole, at the ends of the span too. Where usage is only kept by wider
    /// windows, these are given. No presentation is counted in two windows.
    pub fn usage(
        &self,
        key: Fingerprint,
        span: Span,
        step: Step,
    ) -> Result<Vec<UsageWindow>, StoreError> {
        let found = history::usage(&self.connection, key, span, step);
        found.map_err(|fault| fault.at(&self.path))
    }

    /// Returns all cells that are still kept by minute, with their sources.
    pub fn cells(&self) -> Result<Vec<(SourceName, UsageCell)>, StoreError> {
        history::cells(&self.connection).map_err(|fault| fault.at(&self.path))
    }

    /// Writes in one transaction, whole or not at all.
    fn write<T>(
        &mut self,
        write: impl FnOnce(&Connection, &mut Names) -> Result<T, error::Fault>,
    ) -> Result<T, StoreError> {
        let done = write_all(&mut self.connection, &mut self.names, write);
        done.map_err(|fault| {
            // Numbers that were given in the lost transaction mean nothing any more.
            self.names = Names::default();
            fault.at(&self.path)
        })
    }
}

fn write_all<T>(
    connection: &mut Connection,
    names: &mut Names,
    write: impl FnOnce(&Connection, &mut Names) -> Result<T, error::Fault>,
) -> Result<T, error::Fault> {
    if !connection.is_autocommit() {
        // The rollback of the last commit failed too, with the disk.
        connection.execute_batch("ROLLBACK")?;
    }
    names.bound();
    // Immediate: waits for a lock at the start, never in the middle.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let written = write(&transaction, names)?;
    transaction.commit()?;
    Ok(written)
}

#[cfg(test)]
mod tests;

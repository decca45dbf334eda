//! Wakes the reading thread when a watched directory changes.
//!
//! A hint and nothing more: events get lost (queue overflow, network file systems, bind mounts),
//! so the reader looks by itself from time to time. Failing to watch means looking only.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

/// Waits for a change in a directory, a call of a [`Waker`], or a timeout.
pub struct Wake {
    receiver: Receiver<()>,
    sender: SyncSender<()>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Directories that could not be watched: told once.
    unwatched: BTreeSet<PathBuf>,
}

/// Wakes the thread that waits, from any other.
#[derive(Clone, Debug)]
pub struct Waker(SyncSender<()>);

impl Waker {
    /// Ends the wait at hand, or the next one.
    pub fn wake(&self) {
        // A full channel means that a wake-up is pending already: one is enough.
        let _ = self.0.try_send(());
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}

impl Wake {
    /// Makes a wake-up that watches nothing yet.
    pub fn new() -> Self {
        let (sender, receiver) = sync_channel(1);
        let waker = Waker(sender.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error may stand for lost events, as an overflow does: look.
            if event.as_ref().map_or(true, |event| means_change(event.kind)) {
                waker.wake();
            }
        });
        let watcher = watcher
            .map_err(|error| tracing::warn!(%error, "No file events: files are looked at once a second."))
            .ok();
        Self { receiver, sender, watcher, watched: BTreeSet::new(), unwatched: BTreeSet::new() }
    }

    /// Returns a handle that wakes the waiting thread.
    pub fn waker(&self) -> Waker {
        Waker(self.sender.clone())
    }

    /// Watches these directories and no others. Cheap when they are the same as before.
    pub fn watch(&mut self, directories: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<PathBuf> = directories.iter().cloned().collect();
        for gone in self.watched.difference(&wanted) {
            // It may not exist any more, which has ended the watch already.
            let _ = watcher.unwatch(gone);
        }
        self.watched.retain(|directory| wanted.contains(directory));
        self.unwatched.retain(|directory| wanted.contains(directory));
        // A directory that was replaced keeps its name and loses its watch.
        self.watched.retain(|directory| directory.is_dir());
        for directory in &wanted {
            if self.watched.contains(directory) {
                continue;
            }
            match watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(directory.clone());
                    self.unwatched.remove(directory);
                }
                Err(error) => {
                    if self.unwatched.insert(directory.clone()) {
                        let directory = directory.display();
                        tracing::warn!(%directory, %error, "Directory not watched: it is looked at once a second.");
                    }
                }
            }
        }
    }

    /// Tells whether all directories are watched that are to be.
    pub fn watches_all(&self) -> bool {
        self.watcher.is_some() && self.unwatched.is_empty()
    }

    /// Waits for a change or a [`Waker`], at most `timeout`; tells whether there was one.
    pub fn wait(&self, timeout: Duration) -> bool {
        match self.receiver.recv_timeout(timeout) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}

/// Tells whether an event may mean that there is something to read. Our own reading is none.
fn means_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn a_line_in_a_watched_directory_ends_the_wait() {
        let directory = tempfile::tempdir().unwrap();
        let mut wake = Wake::new();
        wake.watch(&[directory.path().to_owned()]);
        std::fs::write(directory.path().join("access.log"), "line\n").unwrap();
        assert!(wake.wait(DEADLINE));
    }

    #[test]
    fn a_waker_ends_the_wait_once_however_often_it_is_called() {
        let wake = Wake::new();
        let waker = wake.waker();
        for _ in 0..3 {
            waker.wake();
        }
        assert!(wake.wait(DEADLINE));
        assert!(!wake.wait(Duration::ZERO));
    }

    #[test]
    fn reading_a_watched_file_wakes_nobody() {
        assert!(!means_change(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(!means_change(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(means_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(means_change(EventKind::Any));
    }

    #[test]
    fn a_directory_that_does_not_exist_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let mut wake = Wake::new();
        wake.watch(&[directory.path().join("missing")]);
        assert!(!wake.wait(Duration::ZERO));
    }
}

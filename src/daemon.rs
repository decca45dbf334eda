//! The daemon: wires reader, state, engine and network together, and owns the one loop.
//!
//! ```text
//! reader thread --Reports--> [ core: Drain + Store ] --watch--> HTTP tasks
//!       ^------- credits ------'        ^------- requests -------'
//! ```
//!
//! The core commits first, then publishes, then replies. When the state cannot be written it
//! gives no credits, so the reader stops and offsets do not move; answers become `unknown`, and
//! it tries again. Shutdown: stop input, drain, commit, exit.

mod core;
pub(crate) mod process;
mod reader;
mod requests;
pub mod wiring;

pub use wiring::{Parts, parts};

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{Config, ConfigError};
use crate::publish::{Desk, HttpOptions, PublishError, Token};
use crate::store::{Store, StoreError};

/// Why the daemon cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The configuration cannot be honoured.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state could not be written at shutdown: what is not committed is read again.
    #[error(
        "the state could not be written at shutdown; what is missing is read again at the next start"
    )]
    NotFlushed(#[source] StoreError),
    /// The listening address cannot be had.
    #[error("cannot listen on {address}; is another program using the port? change server.listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The network side failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A thread or the runtime could not be started.
    #[error("cannot start the daemon's threads; check the limits of its user")]
    Threads(#[source] std::io::Error),
    /// A format cannot be read although the configuration was accepted.
    #[error("source `{source_name}`: {message}")]
    Format {
        /// The source.
        source_name: String,
        /// Why.
        message: String,
    },
    /// A part of the daemon ended by a bug; the state is as of the last commit.
    #[error("{0} ended unexpectedly; this is a bug, please report it with the log")]
    Bug(&'static str),
}

/// A daemon that holds its state and its port, and does not read yet.
pub struct Daemon {
    listener: TcpListener,
    token: Option<Token>,
    core: core::Core,
    reader: reader::Reader,
    requests: tokio::sync::mpsc::Sender<crate::publish::Request>,
    request_queue: tokio::sync::mpsc::Receiver<crate::publish::Request>,
    inputs: mpsc::SyncSender<core::Input>,
}

impl Daemon {
    /// Opens the state, resolves the keys and takes the port.
    pub fn open(config: &Config) -> Result<Self, DaemonError> {
        process::forbid_dumps();
        process::raise_open_files();
        let token = config.server.token_file.as_deref().map(Token::read).transpose()?;
        let (store, secret) = Store::open(&config.state_dir)?;
        let state = store.load()?;
        if state.restored {
            tracing::error!(
                last_commit_at = state.last_commit_at.map(tracing::field::display),
                "The state is an older copy that was put back: what was recorded since is lost, and \
                 that time is unknown. Post again what was said of rotations since."
            );
        }
        let wired = wiring::wire(config, &Arc::new(secret), state)?;
        let address = config.server.listen;
        let listener = TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| DaemonError::Listen { address, source })?;
        // 256 requests wait at most; then the network side waits, and answers 503 in the end.
        let (requests, request_queue) = tokio::sync::mpsc::channel(256);
        // Batches are bounded by the credits of the reader; requests by the queue above.
        let (inputs, core_inputs) = mpsc::sync_channel(16);
        let (credits, reader_credits) = mpsc::sync_channel(reader::CREDITS);
        let (orders, reader_orders) = mpsc::channel();
        Ok(Self {
            listener,
            token,
            core: core::Core::new(
                core::Kept { store, retention: config.retention },
                wired.drain,
                wired.keys,
                core_inputs,
                credits,
                orders,
            )?,
            reader: reader::Reader::new(
                wired.tailer,
                inputs.clone(),
                reader_credits,
                reader_orders,
            ),
            requests,
            request_queue,
            inputs,
        })
    }

    /// Returns the address it listens on, with the real port when the configured one was 0.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Runs until `shutdown` is cancelled or something fatal happens. Blocks.
    pub fn run(self, shutdown: &CancellationToken) -> Result<(), DaemonError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(DaemonError::Threads)?;
        let loopback = self.address().is_some_and(|address| address.ip().is_loopback());
        let desk = Desk { snapshot: self.core.snapshots(), requests: self.requests };
        let (token, steady) = (self.token, clock::steady);
        let options = HttpOptions { token, loopback, clock: clock::now, steady };
        let (core, reader, inputs, mut queue) =
            (self.core, self.reader, self.inputs, self.request_queue);
        let spawn = |name: &str| std::thread::Builder::new().name(name.to_owned());

        let stop = shutdown.clone();
        let reading = spawn("reader")
            .spawn(move || {
                // A reader that is gone leaves evidence that only grows older.
                let _guard = stop.clone().drop_guard();
                reader.run(&stop);
            })
            .map_err(DaemonError::Threads)?;
        let forwarding = spawn("requests")
            .spawn(move || {
                while let Some(request) = queue.blocking_recv() {
                    if inputs.send(core::Input::Request(request)).is_err() {
                        break;
                    }
                }
            })
            .map_err(DaemonError::Threads)?;
        let stop = shutdown.clone();
        let deciding = spawn("core")
            .spawn(move || {
                // Whatever ends the core ends the daemon: nobody may read a stale answer for long.
                let _guard = stop.clone().drop_guard();
                core.run(&stop)
            })
            .map_err(DaemonError::Threads)?;

        let listener = self.listener;
        let stop = shutdown.clone();
        let served = runtime.block_on(async move {
            let listener =
                tokio::net::TcpListener::from_std(listener).map_err(PublishError::Listener)?;
            crate::publish::serve(listener, desk, options, stop).await
        });
        shutdown.cancel();
        let read = reading.join().map_err(|_| DaemonError::Bug("the reader"));
        let forwarded = forwarding.join().map_err(|_| DaemonError::Bug("the request queue"));
        let decided = deciding.join().map_err(|_| DaemonError::Bug("the core"));
        decided??;
        read?;
        forwarded?;
        Ok(served?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::{CredentialName, FingerprintSecret, SourceName};
    use crate::engine::rotation::{Declaration, JournalEntry, JournalEvent, KeyRef, RotationId};
    use crate::engine::state::Commit;
    use crate::engine::time::Timestamp;

    const CONFIG: &str = "[server]\nlisten = \"127.0.0.1:0\"\n[state]\ndir = \"state\"\n\
        [[source]]\nname = \"edge\"\npaths = [\"/l/a.log\"]\ncredential = \"query:k\"\n\
        [[credential]]\nname = \"payments\"\nsources = [\"edge\"]\n";

    #[test]
    fn invariant_9_what_is_shown_before_the_first_line_is_read_was_committed() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::parse(CONFIG, &dir.path().join("k.toml"), &|_| None).unwrap();
        let id = RotationId::new("payments-1");
        let key = |name: &str| KeyRef {
            name: name.into(),
            fingerprint: FingerprintSecret::new(b"pepper".to_vec()).fingerprint(name.as_bytes()),
            id: None,
        };
        let declaration = Declaration {
            id: id.clone(),
            credential: CredentialName::new("payments"),
            old_key: key("old"),
            new_key: key("new"),
            sources: vec![SourceName::new("edge")],
            roster: Vec::new(),
            jobs: Vec::new(),
            overlap: None,
        };
        let at = Timestamp::from_seconds(1_772_442_000);
        let started = JournalEntry {
            sequence: 1,
            rotation: id,
            event: JournalEvent::Started,
            at,
            recorded_at: at,
            by: "ops".to_owned(),
            note: None,
        };
        let (mut store, _) = Store::open(&config.state_dir).unwrap();
        let (rotations, journal) = (vec![declaration], vec![started]);
        store.commit(&Commit { rotations, journal, now: Some(at), ..Commit::default() }).unwrap();
        drop(store);

        let daemon = Daemon::open(&config).unwrap();
        let shown = daemon.core.snapshots().borrow().clone();
        // It dies.
        drop(daemon);
        let (store, _) = Store::open(&config.state_dir).unwrap();
        let state = store.load().unwrap();
        assert_eq!(shown.rotations.len(), 1);
        assert_eq!(state.sequence, shown.sequence);
        assert_eq!(state.verdicts[0].epoch, shown.rotations[0].answer.epoch);
        for checkpoint in &shown.rotations[0].checkpoints {
            assert!(state.checkpoints.contains(checkpoint), "{checkpoint:?}");
        }
    }
}

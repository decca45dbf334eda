//! `keydrain run`: the daemon in the foreground, until SIGTERM or SIGINT.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::{Exit, Failure};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::engine::wording::chain;

/// Options of `keydrain run`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the daemon. Exit 0 after a signal, 2 if it cannot start, 3 if it cannot go on.
pub fn run(_args: &Args, config: &Path) -> Result<Exit, Failure> {
    let config = Config::load(config).map_err(Failure::usage)?;
    let daemon = Daemon::open(&config).map_err(|error| Failure::usage(chain(&error)))?;
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    if let Some(address) = daemon.address() {
        tracing::info!(
            %address,
            state = %config.state_dir.display(),
            sources = config.sources.len(),
            credentials = config.credentials.len(),
            "Running."
        );
    }
    daemon
        .run(&shutdown)
        .map_err(|error| Failure { exit: Exit::Unknown, message: chain(&error) })?;
    tracing::info!("Stopped; everything read is committed.");
    Ok(Exit::Ok)
}

/// Cancels `shutdown` on SIGTERM or SIGINT.
pub(super) fn cancel_on_signal(shutdown: CancellationToken) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let no_signals = |error: std::io::Error| Failure::usage(format!("no signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(no_signals)?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        (terminate, signal(SignalKind::interrupt()).map_err(no_signals)?)
    };
    let waiting = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = shutdown.cancelled() => return,
            }
            tracing::info!("Stopping: reading ends, what was read is committed.");
            shutdown.cancel();
        });
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(waiting).map(drop).map_err(no_signals)
}

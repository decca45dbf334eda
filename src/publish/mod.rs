//! Answers the network: HTTP routes and metrics over snapshots that were already committed.
//!
//! Nothing here decides, stores or reads a log. What is shown comes from the newest [`Snapshot`](crate::engine::view::Snapshot);
//! what is asked goes through the [`Desk`] to the one loop that owns the engine.
//!
//! ```text
//! daemon --watch--> Snapshot --> json, metrics --> GET
//! daemon <--mpsc--- Request  <-- posted             <-- POST      (reply: oneshot)
//! ```

mod advise;
mod auth;
mod desk;
mod gate;
mod http;
mod json;
mod lease;
mod metrics;
mod posted;
mod problem;
mod read;
mod write;

use std::path::PathBuf;

pub use auth::Token;
pub use desk::{Desk, Intent, KeyChoice, Refusal, Request, StartRotation};
pub use http::{HttpOptions, serve};
pub use json::{consumers, journal, readiness, rotation, sources};
pub use lease::at as answer_at;
pub use posted::duration;

/// Why the publishing side cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The token file cannot be read.
    #[error("token file {path} cannot be read; check that it exists and who may read it")]
    TokenUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The token file holds nothing, or something that fits no header.
    #[error(
        "token file {path} must hold one word of visible ASCII characters; \
         `openssl rand -hex 32` makes one"
    )]
    TokenUnfit {
        /// The file.
        path: PathBuf,
    },
    /// The listening socket is broken.
    #[error("the listening socket takes no more connections; restart keydrain")]
    Listener(#[source] std::io::Error),
}

//! Where evidence comes from: adapters that turn inputs into deltas, gaps and statuses.
//!
//! A source reads and reports; it decides nothing and stores nothing. What it reports is applied
//! and committed by the daemon, which hands the committed records back at the next start.

pub mod files;
pub mod wake;

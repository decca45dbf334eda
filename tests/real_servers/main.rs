//! What the program reads in the log of a real nginx and a real Apache, on the requests of a hostile
//! client, against what these servers say that they saw; and what the daemon counts while the real
//! logrotate rotates, against what was written or sent.
//!
//! ```text
//! requests -> server -> a log per format    -> LineParser -\
//!                    -> a log per variable  -> truth ------ equal, or a reject that the format
//!                                                           makes unavoidable
//! writer, nginx, Apache -> log, logrotate   -> daemon ----\
//!                       -> ledger           -> counts ----- equal, or what is missing lies in a gap
//! ```

#[path = "../support/mod.rs"]
mod support;

mod absence;
mod apache;
mod check;
mod copied;
mod counted;
mod held;
mod nginx;
mod packed;
mod renamed;
mod requests;
mod truth;
mod writer;

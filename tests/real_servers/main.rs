//! What the program reads in the log of a real nginx and a real Apache, on the requests of a hostile
//! client, against what these servers say that they saw.
//!
//! ```text
//! requests -> server -> a log per format    -> LineParser -\
//!                    -> a log per variable  -> truth ------ equal, or a reject that the format
//!                                                           makes unavoidable
//! ```

#[path = "../support/mod.rs"]
mod support;

mod absence;
mod apache;
mod check;
mod copied;
mod counted;
mod nginx;
mod packed;
mod renamed;
mod requests;
mod truth;
mod writer;

//! The real program when the system fails it: kills and errors at chosen system calls, descriptors
//! and events that run out, a clock that steps, a state that cannot be written.
//!
//! `KEYDRAIN_BIN=target/release/keydrain cargo test --test faults` runs them on another binary.

#[path = "../support/mod.rs"]
mod support;

mod backlog;
mod changes;
mod clock;
mod forged;
mod kills;
mod late;
mod log_errors;
mod process;
mod sizes;
mod spray;
mod state_errors;
mod verify;
mod writer;

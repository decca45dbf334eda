//! keydrain: says when the old key of a dual-secret rotation is safe to revoke.
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod publish;
pub mod store;

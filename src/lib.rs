//! keydrain: says when the old key of a dual-secret rotation is safe to revoke.
pub mod cli;
pub mod engine;
pub mod source;

//! keydrain: says when the old key of a dual-secret rotation is safe to revoke.

pub mod engine;

pub mod config;

pub mod source;

pub mod store;

pub mod publish;

pub mod daemon;

pub mod clock;

pub mod cli;

//! Real programs around the tests: keydrain, nginx, Apache, logrotate, strace, and waiting for what
//! they do.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod apache;
pub mod daemon;
pub mod logrotate;
pub mod nginx;
pub mod raw;
pub mod strace;
pub mod wait;

//! Real programs around the tests: keydrain, nginx, logrotate, and waiting for what they do.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod daemon;
pub mod logrotate;
pub mod nginx;
pub mod wait;

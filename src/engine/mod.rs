//! The pure heart: bytes in, verdicts out.
pub mod answer;
pub mod coverage;
pub mod credential;
pub mod parse;
pub mod policy;
pub mod rotation;
pub mod scan;
pub mod state;
pub mod time;
pub mod usage;
pub mod view;

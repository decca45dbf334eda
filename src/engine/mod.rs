//! The pure heart: bytes in, verdicts out.
//!
//! No I/O, no clock, no async, no logging, and input cannot make it fail: a bad line is a counted
//! reject, a missing file an observation, `now` an argument. Weeks run in a millisecond.
//!
//! ```text
//! bytes --scan, parse--> UsageDelta --Drain--> evidence, ledger, journal --readiness--> Answer
//! ```

pub mod time;

pub mod duration;

pub mod credential;

pub mod parse;

pub mod scan;

pub mod distinct;

pub mod sessions;

pub mod usage;

pub mod coverage;

pub mod bytes;

pub mod watermark;

pub mod line_counts;

pub mod rejects;

pub mod stream;

pub mod generations;

pub mod evidence;

pub mod cadence;

pub mod recent;

pub mod series;

pub mod ledger;

pub mod probe;

pub mod policy;

pub mod wording;

pub mod declaration;

pub mod job;

pub mod rotation;

pub mod migration;

pub mod pace;

pub mod curve;

pub mod velocity;

pub mod preflight;

pub mod plan;

pub mod standing;

pub mod seen;

pub mod readiness;

mod runs;

mod case;

mod new_key;

pub mod incident;

pub mod checkpoints;

pub mod summary;

mod forecast;
pub mod health;

mod tolerance;

mod warnings;

pub mod reason;

pub mod answer;

pub mod state;

pub mod view;

pub mod drain;

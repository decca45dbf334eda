//! The decision as a table of sentences: what happened, what the verdict is and what stands.
//!
//! Every row is a test of its own and its name is the sentence. Rows use only the engine's public
//! interface; both sides of each boundary are asked, down to a nanosecond where the rule flips.
//! Unless a row says otherwise: quiet period 15 min, clock skew 5 s, lateness 30 s, idle after
//! 5 min, evidence at most 10 min old.

mod log;
mod model;
mod world;

mod checks;
mod story;

mod usage;

mod long_requests;

mod consumers;

mod addresses;

mod sessions;

mod places;

mod cadence;
mod probes;

mod threshold;

mod earliest;

mod exposure;

mod remarks;

mod sources;

mod controls;

mod clocks;
mod coverage;
mod losses;

mod rejects;

mod journal;

mod jobs;

mod precedence;

mod answers;

mod assumptions;

mod changes;

mod first_users;

mod health;

mod checkpoints;

mod leak;

mod velocity;

mod preflight;

mod plan;

mod limit;

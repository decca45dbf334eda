//! The state on disk: what is committed comes back, whole or not at all; what is odd is refused.

mod arbitrary;
mod bytes;
mod copies;
mod crash;
mod history;
mod ledger;
mod milestones;
mod model;
mod refusals;
mod roundtrip;

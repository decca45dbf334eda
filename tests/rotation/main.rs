//! Logs that the real logrotate, a real nginx and a real Apache rotate while the real program follows
//! them. The oracle is the writer's own ledger: who was served how often.

#[path = "../support/mod.rs"]
mod support;

mod logrotate;
mod servers;
mod site;

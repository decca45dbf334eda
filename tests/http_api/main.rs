//! The HTTP API and its command-line client, over real sockets, with a daemon made by hand.

mod fake_daemon;

mod advice;
mod asking;
mod client;
mod milestones;
mod posting;
mod reading;
mod waiting;

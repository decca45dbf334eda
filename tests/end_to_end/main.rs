//! The real program on the logs of a real nginx: what a user sees, and what a fault does to it.

#[path = "../support/mounted.rs"]
mod mounted;
#[path = "../support/mod.rs"]
mod support;

mod advice;
mod bad_input;
mod controls;
mod copies;
mod crash;
mod demo;
mod flow;
mod front_door;
mod full_disk;
mod leak;
mod old_usage;
mod outages;
mod places;
mod raw_secrets;
mod rotation;
mod shop;
mod trail;
mod verify;

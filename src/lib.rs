//! keydrain watches a key drain: it says when the old key of a dual-secret rotation is safe to
//! revoke, and says so only on positive proof from the access logs.
//!
//! ```text
//!      files                journal (HTTP, CLI)
//!        |                        |
//!     source/   generations, offsets, gaps
//!        | chunks of whole lines  |
//!     engine/scan, parse  bytes -> UsageDelta        pure
//!        |                        |
//!     store/    one transaction: offsets + counts + evidence + journal + verdicts
//!        |                        |
//!     engine/   evidence, ledger, rotation -> decide(facts, now) -> Answer    pure
//!        |
//!     publish/  HTTP, metrics
//! ```
//!
//! Invariants, each with a test that names it:
//!
//! 1. No fault, crash, missing or hostile input turns into `ready`.
//! 2. Verdicts do not depend on chunk boundaries, restart points or the interleaving of sources.
//! 3. Watermarks never go back; advancing twice is advancing once.
//! 4. Offsets and counts are committed together: each line is counted exactly once.
//! 5. Bytes read, skipped and unknown add up to the bytes known to exist.
//! 6. A raw secret is never in the state, a log, an error, a metric, a message or a core dump.
//! 7. A bound that is hit is reported and never makes a verdict greener.
//! 8. A change of config or matcher never makes a verdict greener: the evidence clock restarts.
//! 9. What is published was committed, and an older answer is never taken for a newer one.
//! 10. One more line with the old key, one more gap, one line less of the new key: never greener.

pub mod engine;

pub mod config;

pub mod source;

pub mod store;

pub mod publish;

pub mod daemon;

pub mod clock;

pub mod cli;

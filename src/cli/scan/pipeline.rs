//! Reading and counting with several threads.
//!
//! ```text
//!          take              next piece        give back        count            merge
//! plan ----------> open log ------------> + ------------> plan
//!                                         \--------------------> tally ----------> total
//! ```
//!
//! Each thread takes an open log, reads its next piece, gives the log back and counts the piece:
//! so there is no thread that only reads, a log is read by one thread at a time, and its pieces are
//! counted by many. A thread that finds no log to take opens the next one. A thread holds one
//! piece; nothing else is queued.
//!
//! The answer is the same for any number of threads. Tallies merge in any order, unless events
//! have ids: then each piece has a tally of its own, and they merge in the order of the records.

mod in_order;

mod plan;

use std::num::NonZeroUsize;
use std::thread;

use indicatif::ProgressBar;

use super::Inputs;
use super::pieces::Piece;
use crate::cli::input::names::Named;
use crate::engine::parse::{LineParser, Scratch};
use crate::engine::scan::tally::{ScanTally, TallyOptions};
use plan::Plan;

/// What is counted, and how.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// How records are read.
    pub parser: &'a LineParser,
    /// How they are counted.
    pub options: TallyOptions,
    /// Threads that work.
    pub threads: NonZeroUsize,
}

impl Job<'_> {
    /// Tells whether tallies must merge in the order of the records.
    fn is_in_order(self) -> bool {
        self.parser.has_event_ids()
    }
}

/// Reads and counts the inputs.
pub fn run(inputs: Vec<Named>, job: Job<'_>, progress: &ProgressBar) -> (ScanTally, Inputs) {
    let plan = Plan::new(inputs, job, progress.clone());
    let mut total = thread::scope(|scope| {
        let work = || work(&plan, job);
        // Where the system gives fewer threads, fewer work.
        let others: Vec<_> = (1..job.threads.get())
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut total = work();
        for other in others {
            match other.join() {
                Ok(tally) => total.merge(&tally),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        total
    });
    let (in_order, inputs) = plan.finish();
    if let Some(in_order) = in_order {
        total = in_order;
    }
    (total, inputs)
}

/// Reads and counts pieces until there is none; returns what was not handed on in order.
fn work(plan: &Plan, job: Job<'_>) -> ScanTally {
    let _stop = StopOnPanic(plan);
    let framing = job.parser.framing();
    let mut piece = Piece::default();
    let mut scratch = Scratch::default();
    let mut tally = ScanTally::new(job.options);
    while let Some(mut log) = plan.take() {
        let place = log.read(&mut piece);
        plan.give_back(log, piece.is_last);
        piece.count(framing, job.parser, &mut scratch, &mut tally);
        if job.is_in_order() {
            let of_piece = std::mem::replace(&mut tally, ScanTally::new(job.options));
            plan.merge(place, of_piece, piece.is_last);
        }
    }
    tally
}

/// Lets the other threads end when one panics: they may wait for what it holds.
struct StopOnPanic<'a>(&'a Plan);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

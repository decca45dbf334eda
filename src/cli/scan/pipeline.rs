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
    /// Whether events have ids, so that tallies must merge in the order of the records.
    pub in_order: bool,
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
        if job.in_order {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::names;
    use crate::engine::parse::{FormatSpec, Layout, Place};

    fn event(key: usize, padding: usize) -> String {
        format!(
            "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET /?key=k{key} HTTP/1.1\" 200 5 \
             \"-\" \"{}\"\n",
            "x".repeat(padding)
        )
    }

    fn parser() -> LineParser {
        let place = Place::Query("key".to_owned());
        let layout = Layout::new(FormatSpec::Combined, vec![place], Vec::new());
        LineParser::compile(&layout).expect("a layout")
    }

    fn job(parser: &LineParser, threads: usize) -> Job<'_> {
        let threads = NonZeroUsize::new(threads).expect("some");
        Job { parser, options: TallyOptions::default(), threads, in_order: true }
    }

    #[test]
    fn a_panic_of_one_thread_lets_the_others_end() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::write(dir.path().join("a.log"), event(0, 0)).expect("written");
        let named = names::resolve(&[dir.path().to_owned()]);
        let parser = parser();
        let plan = Plan::new(named, job(&parser, 2), ProgressBar::hidden());
        let held = plan.take();
        assert!(held.is_some());
        thread::scope(|scope| {
            let other = scope.spawn(|| plan.take().is_none());
            let panic = scope.spawn(|| {
                let _stop = StopOnPanic(&plan);
                panic!("on purpose");
            });
            assert!(panic.join().is_err());
            assert!(other.join().expect("no panic of its own"), "nothing is left to wait for");
        });
    }

    #[test]
    fn a_file_that_is_rotated_before_it_is_opened_is_named_and_nothing_is_counted_twice() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (live, old, older) =
            (dir.path().join("a.log"), dir.path().join("a.log.1"), dir.path().join("a.log.2"));
        std::fs::write(&live, event(1, 0)).expect("written");
        std::fs::write(&old, event(2, 50)).expect("written");
        let named = names::resolve(&[live.clone(), old.clone()]);
        std::fs::rename(&old, &older).expect("renamed");
        std::fs::rename(&live, &old).expect("renamed");
        std::fs::write(&live, event(3, 70)).expect("written");
        let parser = parser();
        let (tally, inputs) = run(named, job(&parser, 1), &ProgressBar::hidden());
        assert_eq!(tally.totals().events, 2, "what stands there now");
        let name = |path: &std::path::Path| path.display().to_string();
        assert_eq!(inputs.incomplete, [name(&live), name(&old)]);
        assert!(inputs.problems[0].contains("run it again"), "{:?}", inputs.problems);
    }

    #[test]
    fn a_file_that_only_grows_before_it_is_opened_is_read_whole() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("a.log");
        std::fs::write(&path, event(1, 0)).expect("written");
        let named = names::resolve(std::slice::from_ref(&path));
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("there");
        std::io::Write::write_all(&mut file, event(2, 0).as_bytes()).expect("written");
        let parser = parser();
        let (tally, inputs) = run(named, job(&parser, 1), &ProgressBar::hidden());
        assert_eq!((tally.totals().events, inputs.problems), (2, Vec::new()));
    }

    /// Which of the events with one id counts depends on it.
    #[test]
    fn where_order_matters_tallies_merge_in_the_order_of_the_records() {
        let dir = tempfile::tempdir().expect("temp dir");
        let events: Vec<String> = (0..600).map(|key| event(key, key * 7919 % 30_000)).collect();
        let write = |name: String, events: &[String]| {
            std::fs::write(dir.path().join(name), events.concat()).expect("written");
        };
        // One log of many pieces between many of one.
        write("1".to_owned(), &events[20..580]);
        for at in (0..20).chain(580..600) {
            write(format!("{}.{at:03}", at / 300 * 2), &events[at..=at]);
        }
        let parser = parser();
        let expected: Vec<String> = (0..600).map(|key| format!("k{key}")).collect();
        for threads in [1, 2, 5] {
            let named = names::resolve(&[dir.path().to_owned()]);
            let (tally, inputs) = run(named, job(&parser, threads), &ProgressBar::hidden());
            let keys = tally.keys().map(|(key, _)| String::from_utf8_lossy(key).into_owned());
            assert!(keys.eq(expected.iter().cloned()), "{threads} threads");
            assert_eq!(inputs.problems, Vec::<String>::new());
        }
    }
}

//! Which log a thread reads next: shared by all threads, behind one lock that is held shortly.
//!
//! Logs are opened in their order, and of those that nobody reads the first goes on first. The next
//! one is opened only when all that are open are being read, so there are never more than threads.

use std::collections::HashSet;
use std::iter::{Enumerate, Peekable};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::vec;

use indicatif::ProgressBar;

use super::Job;
use super::in_order::{InOrder, Place};
use crate::cli::input::names::Named;
use crate::cli::input::open::{Identity, OpenFile};
use crate::cli::input::{LogInput, is_stdin};
use crate::cli::scan::Inputs;
use crate::cli::scan::pieces::{Piece, Pieces};
use crate::engine::scan::records::Framing;
use crate::engine::scan::tally::ScanTally;

/// Pieces that each thread may be ahead where tallies merge in order.
const PIECES_AHEAD: usize = 4;

/// What is said of a file that was renamed while the scan ran: what it held is then in no file
/// that is read, or in another one.
const REPLACED: &str = "another file came in its place while the scan ran: run it again";

/// The work that is left.
pub struct Plan {
    state: Mutex<State>,
    /// A log was given back, a piece was merged, or a thread has panicked.
    changed: Condvar,
    threads: usize,
    framing: Framing,
    progress: ProgressBar,
}

struct State {
    unopened: Peekable<Enumerate<vec::IntoIter<Named>>>,
    /// Open logs that nobody reads.
    idle: Vec<OpenLog>,
    /// Number of those that somebody reads.
    busy: usize,
    opened: HashSet<Identity>,
    in_order: Option<InOrder>,
    ended: Vec<Ended>,
    is_stopped: bool,
}

/// A log that is being read. One that cannot be has a single, empty piece.
pub struct OpenLog {
    path: PathBuf,
    next: Place,
    pieces: Pieces,
    /// Why not all of it is read, though what is read has no failure.
    remark: Option<&'static str>,
}

/// What became of a log.
struct Ended {
    log: usize,
    bytes: u64,
    /// If it was not read to its end: its name, and why.
    problem: Option<(String, String)>,
}

impl OpenLog {
    /// Reads the next piece; returns where it stands.
    pub fn read(&mut self, piece: &mut Piece) -> Place {
        let place = self.next;
        self.next.piece += 1;
        self.pieces.next(piece);
        place
    }

    fn end(self) -> Ended {
        let problem = match self.pieces.failure {
            Some(error) => Some(error.to_string()),
            None => self.remark.map(str::to_owned),
        };
        let problem = problem.map(|why| (self.path.display().to_string(), why));
        Ended { log: self.next.log, bytes: self.pieces.bytes, problem }
    }
}

impl Plan {
    /// Makes the plan to read `inputs` in their order.
    pub fn new(inputs: Vec<Named>, job: Job<'_>, progress: ProgressBar) -> Self {
        let threads = job.threads.get();
        let limit = threads.saturating_mul(PIECES_AHEAD);
        let state = State {
            unopened: inputs.into_iter().enumerate().peekable(),
            idle: Vec::new(),
            busy: 0,
            opened: HashSet::new(),
            in_order: job.in_order.then(|| InOrder::new(job.options, limit)),
            ended: Vec::new(),
            is_stopped: false,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { state, changed, threads, framing: job.parser.framing(), progress }
    }

    /// Takes the log to read from next; waits while others have all. `None`: all are read.
    pub fn take(&self) -> Option<OpenLog> {
        let mut state = self.lock();
        loop {
            if state.is_stopped || state.is_done() {
                return None;
            }
            if let Some(log) = self.next_log(&mut state) {
                state.busy += 1;
                if let Some(in_order) = &mut state.in_order {
                    in_order.begin();
                }
                return Some(log);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives a log back after a piece was read.
    pub fn give_back(&self, log: OpenLog, is_ended: bool) {
        let mut state = self.lock();
        state.busy -= 1;
        if is_ended {
            state.ended.push(log.end());
        } else {
            state.idle.push(log);
        }
        self.changed.notify_all();
    }

    /// Merges the tally of a piece when its turn comes; the thread that merges does so for others.
    pub fn merge(&self, place: Place, tally: ScanTally, is_last: bool) {
        let mut state = self.lock();
        let Some(in_order) = &mut state.in_order else { return };
        let Some(mut total) = in_order.hand_in(place, tally, is_last) else { return };
        while let Some(next) = state.in_order.as_mut().and_then(InOrder::next) {
            drop(state);
            self.changed.notify_all();
            total.merge(&next);
            state = self.lock();
        }
        if let Some(in_order) = &mut state.in_order {
            in_order.put_back(total);
        }
    }

    /// Makes every thread end after its piece.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Returns the tally that was merged in order, if that is asked for, and what was read.
    pub fn finish(self) -> (Option<ScanTally>, Inputs) {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.ended.sort_by_key(|ended| ended.log);
        let mut inputs = Inputs::default();
        for ended in state.ended {
            inputs.bytes += ended.bytes;
            if let Some((name, why)) = ended.problem {
                inputs.incomplete.push(name);
                inputs.problems.push(why);
            }
        }
        (state.in_order.and_then(InOrder::into_total), inputs)
    }

    fn next_log(&self, state: &mut State) -> Option<OpenLog> {
        let first = (0..state.idle.len()).min_by_key(|&at| state.idle[at].next);
        if let Some(at) = first {
            let is_admitted = state.admits(state.idle[at].next);
            return is_admitted.then(|| state.idle.swap_remove(at));
        }
        if state.busy >= self.threads {
            return None;
        }
        let &(log, _) = state.unopened.peek()?;
        let next = Place { log, piece: 0 };
        if !state.admits(next) {
            return None;
        }
        let (_, named) = state.unopened.next()?;
        Some(self.open(named, next, &mut state.opened))
    }

    /// Opens a log, behind the lock: of two names of one file the first in order is read.
    fn open(&self, named: Named, next: Place, opened: &mut HashSet<Identity>) -> OpenLog {
        let path = named.path;
        let unread = |failure| Pieces::none(failure);
        let file = named.look.and_then(|planned| {
            let file = if is_stdin(&path) { OpenFile::stdin() } else { OpenFile::at(&path) };
            Ok((planned, file?))
        });
        let (planned, file) = match file {
            Ok(opened) => opened,
            Err(error) => return OpenLog { path, next, pieces: unread(Some(error)), remark: None },
        };
        let now = file.look().copied();
        let is_replaced =
            planned.zip(now).is_some_and(|(planned, now)| planned.is_replaced_by(&now));
        let is_new = now.is_none_or(|now| opened.insert(now.identity));
        let pieces = if is_new {
            Pieces::new(LogInput::of(file, self.progress.clone()), self.framing)
        } else {
            unread(None)
        };
        OpenLog { path, next, pieces, remark: is_replaced.then_some(REPLACED) }
    }

    /// No panic can leave the state half changed, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_done(&mut self) -> bool {
        self.busy == 0 && self.idle.is_empty() && self.unopened.peek().is_none()
    }

    fn admits(&self, place: Place) -> bool {
        self.in_order.as_ref().is_none_or(|in_order| in_order.admits(place))
    }
}

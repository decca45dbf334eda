//! The core thread: the one loop that owns the engine and the state.
//!
//! Each turn takes what has come in, moves the engine to now, commits, and only then publishes
//! and replies. Invariant: nothing is published or replied to that was not committed.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::DaemonError;
use super::reader::Order;
use crate::clock;
use crate::engine::answer::Code;
use crate::engine::checkpoints::CheckpointStatus;
use crate::engine::credential::{Fingerprint, FingerprintSecret, SourceName};
use crate::engine::drain::Drain;
use crate::engine::state::{Commit, Retention};
use crate::engine::time::Timestamp;
use crate::engine::view::{Event, Snapshot};
use crate::publish::Request;
use crate::source::files::Report;
use crate::store::Store;

/// The engine moves at least this often, so that no answer is older.
const TURN: Duration = Duration::from_millis(500);
/// Old usage is looked for this often.
const ROLL_UP_EVERY: Duration = Duration::from_hours(1);
/// Inputs that one commit takes at most: bounds the time until the next answer.
const INPUTS_PER_TURN: usize = 64;

/// What comes into the core.
pub enum Input {
    /// A batch of the reader; costs it a credit.
    Reports(Vec<Report>),
    /// The reader looks for `key` in `source` from `since` on.
    Tracking {
        /// The source.
        source: SourceName,
        /// The key.
        key: Fingerprint,
        /// Processing time of the first read that is matched.
        since: Timestamp,
    },
    /// A request from the network.
    Request(Request),
}

type Reply = Box<dyn FnOnce(&Drain) + Send>;

/// The state, and how long its history is kept.
pub struct Kept {
    /// The state.
    pub store: Store,
    /// How long usage is kept.
    pub retention: Retention,
}

/// Engine, state and the core's ends of the channels.
pub struct Core {
    store: Store,
    retention: Retention,
    /// When old usage is looked for next, by the steady clock.
    next_roll_up: Duration,
    pub(super) drain: Drain,
    pub(super) secret: Arc<FingerprintSecret>,
    inputs: mpsc::Receiver<Input>,
    credits: mpsc::SyncSender<()>,
    pub(super) orders: mpsc::Sender<Order>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    instance: String,
    commits: u64,
    /// A commit that could not be written, and since when.
    pub(super) unwritten: Option<(Commit, Timestamp)>,
    /// Inputs that wait until the state can be written again.
    held: VecDeque<Input>,
    /// Batches of which the credit is to be given back after the commit.
    spent: usize,
    /// Replies that wait for the commit.
    pub(super) replies: Vec<Reply>,
}

impl Core {
    /// Makes the core with its first snapshot, which is committed as any other.
    pub fn new(
        Kept { store, retention }: Kept,
        mut drain: Drain,
        secret: Arc<FingerprintSecret>,
        inputs: mpsc::Receiver<Input>,
        credits: mpsc::SyncSender<()>,
        orders: mpsc::Sender<Order>,
    ) -> Result<Self, DaemonError> {
        let instance =
            format!("{:016x}", getrandom::u64().unwrap_or(u64::from(std::process::id())));
        let now = clock::now();
        drain.advance(now, clock::steady());
        let first = drain.snapshot(&instance, 0, now);
        let (snapshots, _) = watch::channel(Arc::new(first));
        for _ in 0..super::reader::CREDITS {
            credits.try_send(()).expect("the channel holds all credits");
        }
        let mut core = Self {
            store,
            retention,
            next_roll_up: Duration::ZERO,
            drain,
            secret,
            inputs,
            credits,
            orders,
            snapshots,
            instance,
            commits: 0,
            unwritten: None,
            held: VecDeque::new(),
            spent: 0,
            replies: Vec::new(),
        };
        core.turn()?;
        Ok(core)
    }

    /// Returns a receiver of the snapshots it publishes.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// Runs until every input is closed, or the state is broken.
    pub fn run(mut self, shutdown: &CancellationToken) -> Result<(), DaemonError> {
        loop {
            let open = self.take_inputs();
            self.turn()?;
            if let (Some((_, since)), true) = (&self.unwritten, shutdown.is_cancelled()) {
                tracing::error!(%since, "The state could not be written until shutdown.");
                return self.last_try();
            }
            if !open {
                return Ok(());
            }
        }
    }

    /// Waits for input until the next deadline; returns whether more can come.
    fn take_inputs(&mut self) -> bool {
        let now = clock::now();
        let deadline = self.drain.next_deadline(now).map_or(TURN, |at| at.since(now));
        let wait = deadline.clamp(Duration::from_millis(1), TURN);
        let mut next = self.inputs.recv_timeout(wait);
        for _ in 0..INPUTS_PER_TURN {
            match next {
                Ok(input) => self.take(input),
                Err(mpsc::RecvTimeoutError::Timeout) => return true,
                Err(mpsc::RecvTimeoutError::Disconnected) => return false,
            }
            next = self.inputs.try_recv().map_err(|error| match error {
                mpsc::TryRecvError::Empty => mpsc::RecvTimeoutError::Timeout,
                mpsc::TryRecvError::Disconnected => mpsc::RecvTimeoutError::Disconnected,
            });
        }
        // What was received beyond the bound must not be lost.
        if let Ok(input) = next {
            self.take(input);
        }
        true
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Request(request) => self.answer(request),
            input if self.unwritten.is_some() => self.held.push_back(input),
            input => self.ingest(input),
        }
    }

    fn ingest(&mut self, input: Input) {
        match input {
            Input::Reports(reports) => {
                self.spent += 1;
                for report in reports {
                    match report {
                        Report::Delta(delta) => self.drain.take_delta(*delta),
                        Report::Generation(record) => self.drain.take_generation(record),
                        Report::Gap(gap) => self.drain.take_gap(gap),
                        Report::Forgotten(source, stream, number) => {
                            self.drain.forget_generation(&source, &stream, number);
                        }
                        Report::Status(status) => self.drain.take_status(status),
                    }
                }
            }
            Input::Tracking { source, key, since } => self.drain.take_tracking(&source, key, since),
            Input::Request(request) => self.answer(request),
        }
    }

    /// Decides, commits, publishes, replies.
    fn turn(&mut self) -> Result<(), DaemonError> {
        let now = clock::now();
        if let Some((commit, since)) = self.unwritten.take() {
            self.write(commit, since, now)?;
            if self.unwritten.is_none() {
                tracing::info!("The state can be written again.");
                for input in std::mem::take(&mut self.held) {
                    self.ingest(input);
                }
                return self.turn();
            }
        } else {
            self.drain.advance(now, clock::steady());
            let commit = self.drain.take_commit(now);
            if commit.is_empty() {
                // A look that found nothing new costs a credit, too.
                self.give_credits();
            } else {
                self.write(commit, now, now)?;
            }
        }
        self.publish(now);
        self.roll_up(now)
    }

    /// Moves a slice of old usage, after the answer: one per turn until none is left, then hourly.
    fn roll_up(&mut self, now: Timestamp) -> Result<(), DaemonError> {
        let steady = clock::steady();
        if self.unwritten.is_some() || steady < self.next_roll_up {
            return Ok(());
        }
        match self.store.roll_up(&self.retention, &self.drain.keys_in_rotation(), now) {
            Ok(true) => {}
            Ok(false) => self.next_roll_up = steady.saturating_add(ROLL_UP_EVERY),
            Err(error) if error.is_retryable() => {
                let error = crate::engine::wording::chain(&error);
                tracing::warn!(
                    error,
                    "Old usage stays as it is for an hour: free space on the disk."
                );
                self.next_roll_up = steady.saturating_add(ROLL_UP_EVERY);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Commits; what cannot be written now is kept for the next turn.
    fn write(
        &mut self,
        commit: Commit,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), DaemonError> {
        match self.store.commit(&commit) {
            Ok(()) => {
                self.commits += 1;
                self.give_credits();
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                // Said once, not at each try.
                if now == since {
                    let error = crate::engine::wording::chain(&error);
                    tracing::error!(
                        error,
                        "The state cannot be written: reading stops and answers are unknown until \
                         it can; free space, or mend the disk."
                    );
                }
                self.unwritten = Some((commit, since));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn give_credits(&mut self) {
        for _ in 0..std::mem::take(&mut self.spent) {
            // Never more credits than there were; a reader that is gone needs none.
            let _ = self.credits.try_send(());
        }
    }

    fn last_try(mut self) -> Result<(), DaemonError> {
        match self.unwritten.take().map(|(commit, _)| self.store.commit(&commit)) {
            Some(Err(error)) => Err(DaemonError::NotFlushed(error)),
            _ => Ok(()),
        }
    }

    fn publish(&mut self, now: Timestamp) {
        if let Some((_, since)) = &self.unwritten {
            // What is known beyond the last commit is not shown; what was shown is doubted.
            let mut last = Snapshot::clone(&self.snapshots.borrow());
            let since = *since;
            for view in &mut last.rotations {
                let doubted = view.answer.blockers.iter().any(|b| b.code == Code::StateUnwritable);
                if !doubted {
                    view.answer = view.answer.doubted(
                        Code::StateUnwritable,
                        "the state cannot be written, so nothing new counts; see the daemon's log \
                         for the path and the reason",
                        since,
                    );
                }
            }
            (last.taken_at, last.steady) = (now, clock::steady());
            self.snapshots.send_replace(Arc::new(last));
            return;
        }
        let snapshot = self.drain.snapshot(&self.instance, self.commits, now);
        self.snapshots.send_replace(Arc::new(snapshot));
        while let Some(event) = self.drain.poll_event() {
            log(&event);
        }
        for reply in std::mem::take(&mut self.replies) {
            reply(&self.drain);
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::VerdictChanged { answer, from } => tracing::info!(
            rotation = %answer.rotation,
            from = from.map_or("none", crate::engine::answer::Verdict::as_str),
            to = answer.verdict.as_str(),
            reason = %answer.message,
            "Verdict changed."
        ),
        Event::Retracted(violation) => tracing::error!(
            rotation = %violation.rotation, reason = %violation.message, "Ready was retracted."
        ),
        Event::GapRecorded(gap) => tracing::error!(
            source = %gap.source,
            stream = %gap.stream,
            from = %gap.span.from,
            to = %gap.span.to,
            reason = gap.reason.as_str(),
            "Evidence was lost."
        ),
        Event::ClockSuspect(at) => tracing::warn!(
            %at, "The clock stepped, or lines came from the future; check time synchronisation."
        ),
        Event::RevocationVerified(answer, at) => tracing::info!(
            rotation = %answer.rotation, %at, "A denied line with the old key proves the revocation."
        ),
        Event::CheckpointChanged { record, from } => tracing::info!(
            rotation = %record.rotation,
            checkpoint = record.checkpoint.as_str(),
            from = from.map_or("none", CheckpointStatus::as_str),
            to = record.status.as_str(),
            reason = record.reasons.first().map_or("", String::as_str),
            "Checkpoint changed."
        ),
        Event::IncidentBegan(incident) => tracing::error!(
            rotation = %incident.rotation,
            kind = incident.kind.as_str(),
            subject = %incident.subject,
            reason = %incident.message,
            "Incident began."
        ),
    }
}

//! The reader thread: polls the files, hands what it found to the core, and waits to be woken.
//!
//! It sends a batch only when it has a credit. The core gives a credit back when a batch was
//! committed: a slow or failing disk stops the reading, and nothing is dropped.

use std::sync::mpsc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::core::Input;
use crate::clock;
use crate::engine::credential::SourceName;
use crate::engine::scan::matcher::TrackedKey;
use crate::engine::time::Timestamp;
use crate::source::files::{ClockStep, Tailer};
use crate::source::wake::Wake;

/// Batches that may wait for their commit.
pub const CREDITS: usize = 4;

/// Open files are asked this often where no event may tell that they have changed; directories less
/// often ([`Limits::rescan`](crate::source::files::Limits::rescan)).
const POLL_EVERY: Duration = Duration::from_millis(250);

/// The same where events tell, all the same: events get lost.
const POLL_AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// Least time between two polls while lines keep coming: they are read and committed together.
const PAUSE: Duration = Duration::from_millis(10);

/// A wall clock that has moved by so much more or less than the steady clock was set.
const CLOCK_STEP: Duration = Duration::from_millis(100);

/// An order of the core: look for this key in this source, too.
pub type Order = (SourceName, TrackedKey);

/// The reader's ends of the channels.
pub struct Reader {
    tailer: Tailer,
    inputs: mpsc::SyncSender<Input>,
    credits: mpsc::Receiver<()>,
    orders: mpsc::Receiver<Order>,
}

impl Reader {
    /// Makes the reader; it does not read yet.
    pub fn new(
        tailer: Tailer,
        inputs: mpsc::SyncSender<Input>,
        credits: mpsc::Receiver<()>,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self { tailer, inputs, credits, orders }
    }

    /// Reads until `shutdown` is cancelled or the core is gone.
    pub fn run(mut self, shutdown: &CancellationToken) {
        let mut wake = Wake::new();
        let mut reports = Vec::new();
        let mut clocks = (clock::now(), clock::steady());
        while !shutdown.is_cancelled() {
            let now = clock::now();
            self.compare_clocks(&mut clocks, now);
            for (source, key) in self.orders.try_iter() {
                let fingerprint = key.fingerprint;
                self.tailer.track(&source, key);
                let news = Input::Tracking { source, key: fingerprint, since: now };
                if self.inputs.send(news).is_err() {
                    return;
                }
            }
            let progress = self.tailer.poll(now, &mut reports);
            if !reports.is_empty() {
                let mut batch = std::mem::take(&mut reports);
                let read_at = clock::now();
                for report in &mut batch {
                    report.extend(read_at);
                }
                if self.credits.recv().is_err() || self.inputs.send(Input::Reports(batch)).is_err()
                {
                    return;
                }
            }
            if !progress.more {
                if progress.looked {
                    wake.watch(&self.tailer.watch_paths());
                }
                let has_events = progress.has_events && wake.watches_all();
                if wake.wait(if has_events { POLL_AT_LEAST_EVERY } else { POLL_EVERY }) {
                    std::thread::park_timeout(PAUSE);
                }
            }
        }
    }

    /// Tells the tailer if the wall clock was set since both clocks were as `clocks` says.
    fn compare_clocks(&mut self, clocks: &mut (Timestamp, Duration), now: Timestamp) {
        let steady = clock::steady();
        let from = clocks.0.plus(steady.saturating_sub(clocks.1));
        if from.since(now).max(now.since(from)) >= CLOCK_STEP {
            self.tailer.note_step(ClockStep { from, to: now });
            *clocks = (now, steady);
        }
    }
}

//! A history being read, look by look.

use keydrain::engine::answer::Answer;
use proptest::prelude::*;

use crate::history::{END, Entry, History, SOURCES, Step, reload, t};
use crate::world::{ACCESS_LOG, Line, NEW, OLD, World, key_ref};

/// How the reader goes about the same history.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Decide in turn where chunks are cut, what is read first and where the daemon restarts.
    choices: Vec<u8>,
    at: usize,
}

impl Habits {
    /// Reads all there is of one source, then of the other; never restarts.
    pub fn steady() -> Self {
        Self { choices: vec![0], at: 0 }
    }

    pub fn drawn() -> impl Strategy<Value = Self> {
        prop::collection::vec(any::<u8>(), 7..40).prop_map(|choices| Self { choices, at: 0 })
    }

    pub fn next(&mut self) -> u8 {
        self.at += 1;
        self.choices[self.at % self.choices.len()]
    }
}

/// A history being read.
pub struct Play<'h> {
    pub world: World,
    pub history: &'h History,
    habits: Habits,
    /// Lines read of each source, and those of which the reading was committed.
    read: Vec<usize>,
    committed: Vec<usize>,
    steps: usize,
    looked: i64,
}

impl<'h> Play<'h> {
    /// Starts the daemon and the rotation, before the first line.
    pub fn new(history: &'h History, habits: Habits) -> Self {
        let mut world = World::new(history.declared.clone());
        world.start(key_ref(OLD), key_ref(NEW), t(-1));
        world.look(t(-1));
        world.settle(t(-1));
        let none = vec![0; history.logs.len()];
        let (read, committed) = (none.clone(), none);
        Self { world, history, habits, read, committed, steps: 0, looked: 0 }
    }

    /// Reads, look by look, on to second `now`, and answers.
    pub fn until(&mut self, now: i64) -> Answer {
        while self.looked + self.history.look <= now {
            self.looked += self.history.look;
            self.look(self.looked);
        }
        self.committed.clone_from(&self.read);
        self.world.answer(t(now))
    }

    /// Tells whether everything was read that is written by second `now`.
    pub fn is_caught_up(&self, now: i64) -> bool {
        let logs = self.history.logs.iter().zip(&self.read);
        logs.into_iter().all(|(log, read)| log.get(*read).is_none_or(|next| next.written > now))
    }

    /// Reads what was written by second `now`, after what else happens.
    fn look(&mut self, now: i64) {
        while let Some((_, step)) = self.history.steps.get(self.steps).filter(|(at, _)| *at <= now)
        {
            self.steps += 1;
            self.happen(step, now);
            self.committed.clone_from(&self.read);
        }
        // A daemon that dies before its commit reads the same again, once.
        let dies = self.habits.next() % 23 == 22;
        self.read_all(now, dies);
        if dies {
            self.world.reboot();
            self.read.clone_from(&self.committed);
            self.world.look(t(now));
            self.read_all(now, false);
        }
    }

    fn happen(&mut self, step: &Step, now: i64) {
        match step {
            Step::Tell(event) => self.world.tell(event.clone(), None, t(now)),
            Step::Reload(which) => {
                self.world.reconfigure(|declared| reload(*which, declared));
                self.world.restart(t(now));
                self.world.look(t(now));
            }
            Step::SetClock => {
                self.world.settle(t(now));
                self.world.stepped_back += std::time::Duration::from_secs(30);
            }
        }
        // Each of them is durable before anything else happens.
        self.world.settle(t(now));
    }

    /// Reads what can be read. With `dies` nothing of it is committed.
    fn read_all(&mut self, now: i64, dies: bool) {
        let first = usize::from(self.habits.next()) % self.read.len();
        for n in 0..self.read.len() {
            let source = (first + n) % self.read.len();
            if self.history.is_readable(source, now) {
                self.read_source(source, now, dies);
            }
        }
    }

    fn read_source(&mut self, source: usize, now: i64, dies: bool) {
        let log = &self.history.logs[source];
        let mut chunk: Vec<&Entry> = Vec::new();
        while let Some(entry) = log.get(self.read[source]).filter(|entry| entry.written <= now) {
            self.read[source] += 1;
            if entry.lost {
                self.take(&mut chunk, now);
                self.world.lose((SOURCES[source], ACCESS_LOG), t(now));
                continue;
            }
            chunk.push(entry);
            let choice = self.habits.next();
            if choice % 3 == 2 {
                self.take(&mut chunk, now);
            }
            if choice % 29 == 28 && !dies {
                self.take(&mut chunk, now);
                self.world.restart(t(now));
                self.world.look(t(now));
                self.committed.clone_from(&self.read);
            }
        }
        self.take(&mut chunk, now);
    }

    fn take(&mut self, chunk: &mut Vec<&Entry>, now: i64) {
        if let Some(last) = chunk.last() {
            let lines: Vec<Line> = chunk.iter().map(|entry| entry.line()).collect();
            let place = (SOURCES[last.source], ACCESS_LOG);
            self.world.read(place, &lines, t(last.written), t(now));
            chunk.clear();
        }
    }
}

/// Returns the seconds at which the reader of a history looks.
pub fn looks(history: &History) -> impl Iterator<Item = i64> + use<> {
    let look = history.look;
    (1..END / look).map(move |n| n * look)
}

/// What must not depend on the reader's habits; violations may, and the epoch with them.
pub fn essence(answer: &Answer) -> impl PartialEq + std::fmt::Debug + use<> {
    let Answer { verdict, blockers, old_key, new_key, consumers, window, .. } = answer.clone();
    let Answer { watermark, observing_since, earliest_ready_at, sources, .. } = answer.clone();
    (
        (verdict, blockers, old_key, new_key, consumers),
        (window, watermark, observing_since, earliest_ready_at, sources),
    )
}

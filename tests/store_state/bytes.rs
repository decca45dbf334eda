//! Where the bytes went is stored with the offset: the sum holds after every commit and restart.

use std::collections::BTreeMap;

use keydrain::engine::bytes::ByteLedger;
use keydrain::engine::coverage::{Gap, GapReason, SourceStatus, StreamStatus};
use keydrain::engine::drain::{Declared, Drain};
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::state::{GenerationRecord, State};
use keydrain::engine::time::{Span, Timestamp};
use keydrain::engine::usage::{Anchor, ByteRange, GenerationNumber, UsageDelta};
use keydrain::store::Store;
use proptest::prelude::*;

use crate::model::{FILE, at, delta, source, stream};

const STREAM: &str = "/var/log/a.log";
const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// What happens next, to one of three generations.
#[derive(Clone, Debug)]
enum Step {
    /// A chunk is read, after a hole perhaps.
    Read {
        of: u64,
        len: u64,
        skipped: u64,
        hole: u64,
    },
    /// The last chunk comes once more.
    Repeat,
    /// The reader says where the file ends, that much after the offset.
    Look {
        of: u64,
        beyond: u64,
    },
    /// Evidence is lost.
    Lose,
    /// Nothing more is expected of a generation.
    Finish {
        of: u64,
    },
    /// A finished generation is forgotten.
    Forget {
        of: u64,
    },
    Commit,
    /// The process dies, starts again, and reads what was not committed once more.
    Die,
}

fn a_step() -> impl Strategy<Value = Step> {
    let of = 1..4_u64;
    let hole = prop_oneof![4 => Just(0), 1 => 1..40_u64];
    prop_oneof![
        5 => (of.clone(), 1..90_u64, 0..90_u64, hole).prop_map(|(of, len, skipped, hole)| {
            Step::Read { of, len, skipped: skipped.min(len), hole }
        }),
        1 => Just(Step::Repeat),
        2 => (of.clone(), 0..120_u64).prop_map(|(of, beyond)| Step::Look { of, beyond }),
        1 => Just(Step::Lose),
        1 => of.clone().prop_map(|of| Step::Finish { of }),
        1 => of.prop_map(|of| Step::Forget { of }),
        3 => Just(Step::Commit),
        1 => Just(Step::Die),
    ]
}

/// A daemon that may die, beside the numbers that a person would keep.
struct Life {
    dir: tempfile::TempDir,
    store: Option<Store>,
    drain: Drain,
    /// What was told since the last commit.
    told: Vec<Told>,
    last: Option<UsageDelta>,
    /// Offset of each generation, and whether it is finished.
    offsets: BTreeMap<u64, (u64, bool)>,
    forgotten: Vec<u64>,
    committed: (BTreeMap<u64, (u64, bool)>, Vec<u64>),
}

#[derive(Clone, Debug)]
enum Told {
    Delta(Box<UsageDelta>),
    Status(SourceStatus),
    Gap(Gap),
    Record(GenerationRecord),
    Forgotten(u64),
}

impl Life {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(Store::open(dir.path()).unwrap().0);
        let drain = Drain::new(Declared::default(), State::default());
        Self {
            dir,
            store,
            drain,
            told: Vec::new(),
            last: None,
            offsets: BTreeMap::new(),
            forgotten: Vec::new(),
            committed: Default::default(),
        }
    }

    fn tell(&mut self, told: Told) {
        self.told.push(told.clone());
        match told {
            Told::Delta(delta) => self.drain.take_delta(*delta),
            Told::Status(status) => self.drain.take_status(status),
            Told::Gap(gap) => self.drain.take_gap(gap),
            Told::Record(record) => self.drain.take_generation(record),
            Told::Forgotten(of) => {
                let number = GenerationNumber(of);
                self.drain.forget_generation(&source("edge"), &stream(STREAM), number);
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Read { of, len, skipped, hole } => {
                if self.forgotten.contains(&of) {
                    return;
                }
                let (offset, finished) = self.offsets.get(&of).copied().unwrap_or((0, false));
                if finished {
                    self.tell(Told::Record(record(of, offset, false)));
                }
                let range = ByteRange { from: offset + hole, to: offset + hole + len };
                let generation = GenerationNumber(of);
                let read = UsageDelta { generation, range, skipped, ..delta(0, 0) };
                self.offsets.insert(of, (range.to, false));
                self.last = Some(read.clone());
                self.tell(Told::Delta(Box::new(read)));
            }
            Step::Repeat => {
                let last = self.last.clone();
                let last = last.filter(|last| !self.forgotten.contains(&last.generation.0));
                if let Some(last) = last {
                    self.tell(Told::Delta(Box::new(last)));
                }
            }
            Step::Look { of, beyond } => {
                if let Some((offset, false)) = self.offsets.get(&of).copied() {
                    self.tell(Told::Status(status(of, offset + beyond)));
                }
            }
            Step::Lose => self.tell(Told::Gap(gap())),
            Step::Finish { of } => {
                if let Some((offset, false)) = self.offsets.get(&of).copied() {
                    self.offsets.insert(of, (offset, true));
                    self.tell(Told::Record(record(of, offset, true)));
                }
            }
            Step::Forget { of } => {
                if let Some((_, true)) = self.offsets.get(&of).copied() {
                    self.offsets.remove(&of);
                    self.forgotten.push(of);
                    self.tell(Told::Forgotten(of));
                }
            }
            Step::Commit => self.commit(),
            Step::Die => self.die(),
        }
    }

    fn commit(&mut self) {
        self.drain.advance(NOW, std::time::Duration::from_secs(1));
        self.store.as_mut().unwrap().commit(&self.drain.take_commit(NOW)).unwrap();
        self.told.clear();
        self.committed = (self.offsets.clone(), self.forgotten.clone());
        self.assert_law();
    }

    fn die(&mut self) {
        self.store = None;
        let (store, _) = Store::open(self.dir.path()).unwrap();
        self.drain = Drain::new(Declared::default(), store.load().unwrap());
        self.store = Some(store);
        for told in std::mem::take(&mut self.told) {
            self.tell(told);
        }
    }

    /// What is stored adds up, to the offsets beside it and to the totals of the source.
    fn assert_law(&self) {
        let state = self.store.as_ref().unwrap().load().unwrap();
        let mut sum = ByteLedger::default();
        for record in &state.bytes {
            let bytes = &record.bytes;
            let all = bytes.read + bytes.skipped() + bytes.unknown() + bytes.waiting();
            assert_eq!(all, bytes.known, "{record:?}");
            sum.merge(bytes);
        }
        let offsets: BTreeMap<u64, (u64, bool)> =
            state.generations.iter().map(|it| (it.number.0, (it.offset, it.finished))).collect();
        assert_eq!(offsets, self.committed.0);
        for generation in &state.generations {
            let bytes = state.bytes.iter().find(|it| it.number == generation.number).unwrap();
            assert_eq!(bytes.bytes.accounted(), generation.offset, "{bytes:?}");
            assert!(!generation.finished || bytes.bytes.waiting() == 0, "{bytes:?}");
        }
        let known = self.committed.0.len() + self.committed.1.len();
        assert_eq!(sum.generations, known as u64);
        if let Some(total) = state.sources.first() {
            assert_eq!(
                (total.bytes_read, total.bytes_skipped, total.bytes_unknown),
                (sum.read, sum.skipped(), sum.unknown())
            );
        }
        let restored = Drain::new(Declared::default(), state);
        let shown = restored.snapshot("", 0, NOW).sources;
        let shown = shown.iter().flat_map(|source| &source.coverage);
        let shown: u64 = shown.map(|seen| keydrain::engine::seen::total(seen).known).sum();
        assert_eq!(shown, sum.known);
    }
}

fn record(of: u64, offset: u64, finished: bool) -> GenerationRecord {
    GenerationRecord {
        source: source("edge"),
        stream: stream(STREAM),
        number: GenerationNumber(of),
        file: FILE,
        path: STREAM.to_owned(),
        offset,
        anchor: Anchor::default(),
        last_event: None,
        inside_overlong: false,
        open_rejects: OpenRejects::default(),
        finished,
    }
}

fn gap() -> Gap {
    let span = Span::between(at(1), at(2));
    let (source, stream) = (source("edge"), stream(STREAM));
    Gap { source, stream, span, reason: GapReason::Vanished, bytes: None }
}

fn status(of: u64, end: u64) -> SourceStatus {
    SourceStatus {
        source: source("edge"),
        looked_at: at(0),
        absent: Vec::new(),
        unreadable: Vec::new(),
        refused: Vec::new(),
        weak: Vec::new(),
        masked: None,
        streams: vec![StreamStatus {
            stream: stream(STREAM),
            live: true,
            unreadable: None,
            backlog: 0,
            open_generations: 1,
            ends: vec![(GenerationNumber(of), end)],
        }],
        caught_up: true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn invariant_5_the_stored_bytes_add_up_after_every_commit(
        steps in prop::collection::vec(a_step(), 1..60)
    ) {
        let mut life = Life::new();
        for step in steps {
            life.step(&step);
        }
        life.commit();
        life.die();
        life.commit();
    }
}

#[test]
fn a_tail_that_was_seen_before_a_restart_is_unknown_when_its_file_is_gone_after_it() {
    let mut life = Life::new();
    life.step(&Step::Read { of: 1, len: 70, skipped: 0, hole: 0 });
    life.step(&Step::Look { of: 1, beyond: 30 });
    life.step(&Step::Commit);
    life.step(&Step::Die);
    life.step(&Step::Finish { of: 1 });
    life.step(&Step::Commit);
    let state = life.store.as_ref().unwrap().load().unwrap();
    let bytes = state.bytes[0].bytes;
    assert_eq!((bytes.known, bytes.read, bytes.unknown()), (100, 70, 30));
    assert_eq!(state.sources[0].bytes_unknown, 30);
}

//! The ledger after a restart is the ledger before it, whatever was read, committed and lost.

use std::collections::BTreeMap;
use std::time::Duration;

use keydrain::engine::credential::Fingerprint;
use keydrain::engine::drain::{Declared, Drain};
use keydrain::engine::ledger::Ledger;
use keydrain::engine::state::State;
use keydrain::engine::time::{Minute, Timestamp};
use keydrain::engine::usage::{
    Consumer, Issued, Outcome, PoolAddresses, Tally, UsageCell, UsageDelta,
};
use keydrain::store::Store;
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::{address, at, delta, key, named};

/// Consumers that the ledger keeps apart; the histories have more.
const LIMIT: usize = 3;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A chunk is read: a consumer uses a key so often, at such intervals, from then on.
    Read(Use),
    /// The last chunk comes once more.
    Repeat,
    /// What was read is committed.
    Commit,
    /// The process dies, starts again and reads what was not committed once more.
    Die,
}

#[derive(Clone, Debug)]
struct Use {
    key: u8,
    consumer: usize,
    from: i64,
    every: i64,
    times: i64,
    outcome: Outcome,
    late: bool,
    /// Addresses of the pool, by their number.
    addresses: u64,
    /// A session key that was issued, and for how many hours; of 0 there were too many.
    issued: Option<(u8, u64)>,
}

fn a_use() -> impl Strategy<Value = Use> {
    // Now and then more bursts than are kept, and minutes of years ago.
    let times = prop_oneof![8 => 0..9_i64, 2 => 500..700_i64];
    let from = prop_oneof![4 => 0..90_000_i64, 1 => -40_000_000..0_i64];
    let every = select(vec![1, 2, 59, 61, 900, 4_000]);
    let outcome = select(Outcome::ALL.to_vec());
    let besides = (any::<bool>(), 0..400_u64, prop::option::of((0..4_u8, 1..37_u64)));
    (1..3_u8, 0..6_usize, from, every, times, outcome, besides).prop_map(
        |(key, consumer, from, every, times, outcome, (late, addresses, issued))| Use {
            key,
            consumer,
            from,
            every,
            times,
            outcome,
            late,
            addresses,
            issued,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => a_use().prop_map(Step::Read),
        1 => Just(Step::Repeat),
        2 => Just(Step::Commit),
        1 => Just(Step::Die),
    ];
    prop::collection::vec(step, 1..30)
}

fn cell(it: &Use, second: i64) -> UsageCell {
    let consumer = match it.consumer {
        0 => Consumer::Anonymous,
        1 => named(Consumer::OTHERS),
        2 => address("consumer 3"),
        n => named(&format!("consumer {n}")),
    };
    // A late line shows an event time before its minute.
    let event_at = at(second - if it.late { 7_000 } else { 0 });
    let effective = at(second).plus(Duration::from_nanos(7));
    UsageCell {
        key: key(it.key),
        consumer,
        minute: Minute::from_number(second.div_euclid(60)),
        late: it.late,
        tally: Tally::one(it.outcome, event_at, effective),
    }
}

/// The chunk that shows a use; each chunk takes ten bytes.
fn chunk(number: u64, it: &Use) -> UsageDelta {
    let cells = (0..it.times).map(|n| cell(it, it.from + n * it.every)).collect();
    let addresses = (0..it.addresses).map(|n| n.wrapping_mul(number | 1) << 20).collect();
    let pools = vec![PoolAddresses { key: key(it.key), addresses }];
    let issued = it.issued.map(|(child, hours)| Issued {
        root: key(it.key),
        child: (child > 0).then(|| key(100 + child)),
        at: at(it.from),
        lifetime: Duration::from_hours(hours),
    });
    let issued = Vec::from_iter(issued);
    UsageDelta { cells, pools, issued, ..delta(10 * number, 10 * number + 10) }
}

fn engine(state: State) -> Drain {
    Drain::with_consumer_limit(LIMIT, Declared::default(), state)
}

/// Presentations by key and consumer.
type Sums = BTreeMap<(Fingerprint, Consumer), [u64; 4]>;

fn history(store: &Store) -> Sums {
    let mut sums = Sums::new();
    for (_, cell) in store.cells().unwrap() {
        let counts = sums.entry((cell.key, cell.consumer)).or_default();
        for (sum, count) in counts.iter_mut().zip(cell.tally.counts) {
            *sum += count;
        }
    }
    sums
}

fn sums(ledger: &Ledger) -> Sums {
    let keys = [key(1), key(2)].into_iter();
    keys.flat_map(|key| {
        let uses = ledger.of_key(key).into_iter().flatten();
        uses.map(move |(consumer, it)| ((key, consumer.clone()), it.counts))
    })
    .collect()
}

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

/// A daemon that may die, with its state on disk.
struct Life {
    dir: tempfile::TempDir,
    store: Option<Store>,
    drain: Drain,
    read: Vec<UsageDelta>,
    committed: usize,
}

impl Life {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(Store::open(dir.path()).unwrap().0);
        Self { dir, store, drain: engine(State::default()), read: Vec::new(), committed: 0 }
    }

    fn commit(&mut self) {
        let commit = self.drain.take_commit(NOW);
        let store = self.store.as_mut().unwrap();
        store.commit(&commit).unwrap();
        self.committed = self.read.len();
        let restored = engine(store.load().unwrap());
        assert_eq!(restored.ledger(), self.drain.ledger());
        assert_eq!(history(store), sums(self.drain.ledger()));
    }

    fn die(&mut self) {
        self.store = None;
        let (store, _) = Store::open(self.dir.path()).unwrap();
        self.drain = engine(store.load().unwrap());
        self.store = Some(store);
        for delta in &self.read[self.committed..] {
            self.drain.take_delta(delta.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_goes_on_with_the_ledger_of_the_last_commit(steps in steps()) {
        let mut life = Life::new();
        let mut undying = engine(State::default());
        for step in steps {
            match step {
                Step::Read(it) => {
                    let delta = chunk(life.read.len() as u64, &it);
                    life.read.push(delta.clone());
                    life.drain.take_delta(delta.clone());
                    undying.take_delta(delta);
                }
                Step::Repeat => {
                    if let Some(last) = life.read.last() {
                        life.drain.take_delta(last.clone());
                    }
                }
                Step::Commit => life.commit(),
                Step::Die => life.die(),
            }
        }
        life.commit();
        life.die();
        undying.take_commit(NOW);
        prop_assert_eq!(life.drain.ledger(), undying.ledger());
        let read = life.read.iter().flat_map(|delta| &delta.cells).filter(|it| it.key == key(1));
        let read: u64 = read.map(|it| it.tally.counts.iter().sum::<u64>()).sum();
        let uses = life.drain.ledger().of_key(key(1)).into_iter().flatten();
        let kept: u64 = uses.map(|(_, it)| it.counts.iter().sum::<u64>()).sum();
        prop_assert_eq!(kept, read);
    }
}

#[test]
fn a_thousand_busy_consumers_are_kept_with_each_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut drain = Drain::new(Declared::default(), State::default());
    for number in 0..20_u64 {
        let second = i64::try_from(number).unwrap() * 61;
        let busy = |consumer| Use {
            key: 1,
            consumer,
            from: second,
            every: 1,
            times: 1,
            outcome: Outcome::Accepted,
            late: false,
            addresses: 0,
            issued: None,
        };
        let cells = (2..1_002).map(|consumer| cell(&busy(consumer), second)).collect();
        drain.take_delta(UsageDelta { cells, ..delta(10 * number, 10 * number + 10) });
        store.commit(&drain.take_commit(NOW)).unwrap();
    }
    let state = store.load().unwrap();
    assert_eq!(state.uses.len(), 1_000);
    assert!(state.uses.iter().all(|it| it.presentations.counts == [20, 0, 0, 0]));
}

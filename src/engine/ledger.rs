//! Who presented which key, over all sources: the sum of all usage cells.
//!
//! ```text
//! cells of a delta --fold--> cells of at most so many consumers --add--> Presentations
//!                                                     commit <--records--'  '--> decision
//! ```
//!
//! What a commit touched is written whole with it, and the next start takes it back as it was:
//! cells are history only and may be rolled up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hashbrown::HashMap;

use crate::engine::cadence::{Bursts, Cadence};
use crate::engine::credential::Fingerprint;
use crate::engine::distinct::Distinct;
use crate::engine::recent::Recent;
use crate::engine::series::Series;
use crate::engine::state::{Commit, KeyRecord, UsesRecord};
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::{Consumer, Issued, Outcome, PoolAddresses, Seconds, UsageCell};

/// Most consumers of one key that are kept apart; all others are the one [`Consumer::Others`].
///
/// One consumer of one key takes at most 2 × 512 bursts of 16 B (16.4 KB) and 143 windows of 40 B
/// in trees that are at least half full (11.4 KB): 29 KB with the longest name. 2048 consumers that
/// present both keys of a rotation at the worst of intervals take 2 × 2048 × 29 KB = 119 MB; a
/// steady consumer, which is one burst, takes a third of that. One of which a line was read late keeps
/// its bursts once more.
pub const MAX_CONSUMERS: usize = 2048;

/// Longest name, in bytes, of a consumer that is kept apart: a line may be far longer.
///
/// The longest role name of AWS in an ARN is below 700.
pub const MAX_NAME_BYTES: usize = 1024;

/// One consumer's presentations of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presentations {
    /// Number of presentations, indexed as [`Outcome::ALL`].
    pub counts: [u64; 4],
    /// Earliest event time.
    pub first_seen: Option<Timestamp>,
    /// Latest event time.
    pub last_seen: Option<Timestamp>,
    /// Latest effective time: event time, or the arrival of a line that was read late.
    pub counts_until: Option<Timestamp>,
    /// Start of the last second with each outcome, indexed as [`Outcome::ALL`].
    pub last_second: [Option<Timestamp>; 4],
    /// Start of the last second of which a denial is sure.
    pub last_denied: Option<Timestamp>,
    /// Seconds with a presentation of any outcome, by effective time.
    pub presented: Bursts,
    /// Those of `presented` that were read in time; `None` while all were.
    pub in_time: Option<Bursts>,
    /// Seconds with an accepted presentation, by event time.
    pub accepted: Bursts,
    /// Presentations of the last month by effective time.
    pub recent: Recent,
    /// Those of `recent` that were read late: they prove neither that a key works nor when.
    pub late: Recent,
}

impl Presentations {
    fn add(&mut self, cell: &UsageCell) {
        let tally = &cell.tally;
        let mut any = Seconds::default();
        for outcome in Outcome::ALL {
            let index = outcome as usize;
            self.counts[index] = self.counts[index].saturating_add(tally.counts[index]);
            any = any.union(tally.seconds[index]);
            if let Some(second) = tally.seconds[index].iter().last() {
                let start = cell.minute.start().as_seconds().saturating_add(second);
                self.last_second[index] =
                    self.last_second[index].max(Some(Timestamp::from_seconds(start)));
            }
        }
        self.first_seen =
            Some(self.first_seen.map_or(tally.first_seen, |t| t.min(tally.first_seen)));
        self.last_seen = self.last_seen.max(Some(tally.last_seen));
        self.counts_until = self.counts_until.max(Some(tally.counts_until));
        if cell.late && self.in_time.is_none() {
            self.in_time = Some(self.presented.clone());
        }
        if let Some(in_time) = self.in_time.as_mut().filter(|_| !cell.late) {
            in_time.insert(cell.minute, any);
        }
        self.presented.insert(cell.minute, any);
        self.recent.add(cell.minute, tally.counts);
        if cell.late {
            self.late.add(cell.minute, tally.counts);
        }
        self.add_proofs(cell);
    }

    /// Adds what proves that a key works, or that it does not any more.
    ///
    /// A late line counts from its arrival, which is strict for a key that must be quiet and would
    /// be lax here: it proves neither.
    fn add_proofs(&mut self, cell: &UsageCell) {
        if cell.late {
            return;
        }
        let seconds = &cell.tally.seconds;
        self.accepted.insert(cell.minute, seconds[Outcome::Accepted as usize]);
        let denied = seconds[Outcome::Unauthenticated as usize]
            .union(seconds[Outcome::Forbidden as usize])
            .iter()
            .last()
            .map(|second| cell.minute.start().as_seconds().saturating_add(second));
        self.last_denied = self.last_denied.max(denied.map(Timestamp::from_seconds));
    }

    /// Returns the largest gap between two presentations ever seen.
    ///
    /// One that was read late does not show when it was: it makes no gap smaller.
    pub fn largest_gap(&self) -> Duration {
        let in_time = self.in_time.as_ref().map(Bursts::largest_gap).unwrap_or_default();
        self.presented.largest_gap().max(in_time)
    }

    /// Returns what is known of the gaps between sessions, see [`Bursts::cadence`]; what was read
    /// late makes no session.
    pub fn cadence(&self, session_gap: Duration, lost: &[Span]) -> Cadence {
        let known = self.in_time.as_ref().unwrap_or(&self.presented).cadence(session_gap, lost);
        match known.gaps {
            0 => known,
            gaps => Cadence { gaps, largest: self.largest_gap() },
        }
    }

    /// Returns the number of presentations that were denied.
    pub fn denied(&self) -> u64 {
        self.counts[Outcome::Unauthenticated as usize]
            .saturating_add(self.counts[Outcome::Forbidden as usize])
    }

    /// Returns the latest instant at which one of `outcomes` can have happened: never too early.
    pub fn latest(&self, outcomes: &[Outcome]) -> Option<Timestamp> {
        let second =
            outcomes.iter().filter_map(|outcome| self.last_second[*outcome as usize]).max()?;
        let end = second.plus(std::time::Duration::from_nanos(999_999_999));
        Some(self.counts_until.map_or(end, |until| until.min(end)))
    }

    /// Returns the start of the second of the last denied presentation: never too late.
    pub fn last_denied_second(&self) -> Option<Timestamp> {
        self.last_denied
    }
}

/// Everything seen of one key.
///
/// What is kept of the key as a whole travels in its [`KeyRecord`]; of a consumer, in its
/// [`UsesRecord`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Who presented it.
    pub consumers: BTreeMap<Consumer, Presentations>,
    /// Presentations over time, by effective time.
    pub series: Series,
    /// Addresses of the pool that presented it.
    pub pool: Distinct,
    /// What it issued; `None` if it was never seen to issue a session's key.
    pub issues: Option<Issues>,
}

/// That a key was seen to issue keys of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issues {
    /// How long the one may live that lives longest.
    pub lifetime: Duration,
    /// Effective time of the newest one whose use is not seen, because too many were issued.
    pub beyond: Option<Timestamp>,
}

impl KeyUse {
    /// Returns the number of consumers that are kept apart: all but the two pools.
    pub fn kept_apart(&self) -> usize {
        let pools = [Consumer::Anonymous, Consumer::Others];
        let pools = pools.iter().filter(|pool| self.consumers.contains_key(*pool));
        self.consumers.len() - pools.count()
    }

    /// Makes `consumer` one of [`Consumer::Others`], if it is new and there are `limit` already, or
    /// if its name is too long.
    fn fold(&self, consumer: &Consumer, limit: usize) -> Option<Consumer> {
        let too_many = || !self.consumers.contains_key(consumer) && self.kept_apart() >= limit;
        let folds = consumer.as_str().len() > MAX_NAME_BYTES || !consumer.is_pool() && too_many();
        folds.then_some(Consumer::Others)
    }
}

/// All presentations of all tracked keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    keys: HashMap<Fingerprint, KeyUse>,
    /// Most consumers of one key that are kept apart.
    limit: usize,
    /// What changed since the last commit.
    touched: BTreeSet<(Fingerprint, Consumer)>,
}

impl Ledger {
    /// Makes a ledger without a presentation, which keeps `limit` consumers of a key apart.
    pub fn new(limit: usize) -> Self {
        Self { keys: HashMap::new(), limit, touched: BTreeSet::new() }
    }

    /// Takes stored records back: the ledger is as it was when the last of them was committed.
    ///
    /// A consumer that was kept apart stays so, also when `limit` is lower than it was.
    pub fn restore(limit: usize, keys: Vec<KeyRecord>, uses: Vec<UsesRecord>) -> Self {
        let mut ledger = Self::new(limit);
        for record in keys {
            ledger.keys.entry(record.key).or_default().series = record.series;
        }
        for record in uses {
            let key = ledger.keys.entry(record.key).or_default();
            key.consumers.insert(record.consumer, record.presentations);
        }
        ledger
    }

    /// Takes the cells of a delta, and makes those of consumers beyond the bound cells of
    /// [`Consumer::Others`].
    ///
    /// Which consumers are kept apart depends on who came first; whether there are others does
    /// not. Once kept apart, always: so a restart folds as the run before it would have done.
    pub fn take(&mut self, cells: &mut Vec<UsageCell>) {
        let mut others: BTreeMap<_, UsageCell> = BTreeMap::new();
        cells.retain_mut(|cell| {
            let key = self.keys.entry(cell.key).or_default();
            if let Some(pool) = key.fold(&cell.consumer, self.limit) {
                cell.consumer = pool;
            }
            self.add(cell);
            if cell.consumer != Consumer::Others {
                return true;
            }
            // A thousand names of one minute are one cell, so a spray costs no disk.
            let pooled = others.entry((cell.key, cell.minute, cell.late));
            pooled.and_modify(|all| all.tally.merge(&cell.tally)).or_insert_with(|| cell.clone());
            false
        });
        cells.extend(others.into_values());
    }

    fn add(&mut self, cell: &UsageCell) {
        let key = self.keys.entry(cell.key).or_default();
        key.series.add(cell.minute, cell.tally.counts);
        key.consumers.entry(cell.consumer.clone()).or_default().add(cell);
        self.touched.insert((cell.key, cell.consumer.clone()));
    }

    /// Moves what changed since the last call into `commit`, each record whole.
    pub fn drain_changes(&mut self, commit: &mut Commit) {
        let touched = std::mem::take(&mut self.touched);
        let keys: BTreeSet<Fingerprint> = touched.iter().map(|(key, _)| *key).collect();
        commit.keys.extend(keys.into_iter().filter_map(|key| {
            let series = self.keys.get(&key)?.series.clone();
            Some(KeyRecord { key, series })
        }));
        commit.uses.extend(touched.into_iter().filter_map(|(key, consumer)| {
            let presentations = self.keys.get(&key)?.consumers.get(&consumer)?.clone();
            Some(UsesRecord { key, consumer, presentations })
        }));
    }

    /// Returns the most consumers of one key that are kept apart.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Adds what was issued to a key, new or stored.
    pub fn add_issued(&mut self, issued: &Issued) {
        let key = self.keys.entry(issued.root).or_default();
        let lifetime = issued.lifetime;
        let known = key.issues.get_or_insert(Issues { lifetime, beyond: None });
        known.lifetime = known.lifetime.max(lifetime);
        if issued.child.is_none() {
            known.beyond = known.beyond.max(Some(issued.at));
        }
    }

    /// Adds addresses of the pool, new or stored; returns all of the key if one was new.
    pub fn add_pool(&mut self, pool: &PoolAddresses) -> Option<PoolAddresses> {
        let known = &mut self.keys.entry(pool.key).or_default().pool;
        known
            .unite(&pool.addresses)
            .then(|| PoolAddresses { key: pool.key, addresses: known.clone() })
    }

    /// Returns the consumers that presented `key`, with their presentations.
    pub fn of_key(&self, key: Fingerprint) -> Option<&BTreeMap<Consumer, Presentations>> {
        self.keys.get(&key).map(|used| &used.consumers)
    }

    /// Returns everything seen of `key`; `None` if it was never presented.
    pub fn key(&self, key: Fingerprint) -> Option<&KeyUse> {
        self.keys.get(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::ConsumerName;
    use crate::engine::usage::Tally;

    #[test]
    fn the_latest_denied_instant_is_never_after_the_latest_of_all() {
        let at = Timestamp::from_nanos(61_300_000_000);
        let cell = UsageCell {
            key: Fingerprint::from_bytes([1; 16]),
            consumer: Consumer::Anonymous,
            minute: at.minute(),
            late: false,
            tally: Tally::one(Outcome::Forbidden, at, at),
        };
        let mut ledger = Ledger::new(MAX_CONSUMERS);
        ledger.take(&mut vec![cell.clone()]);
        let uses = &ledger.of_key(cell.key).unwrap()[&Consumer::Anonymous];
        assert_eq!(uses.latest(&[Outcome::Forbidden]), Some(at));
        assert_eq!(uses.latest(&[Outcome::Accepted]), None);
        assert_eq!(uses.last_denied_second(), Some(Timestamp::from_seconds(61)));
        assert_eq!(uses.denied(), 1);
    }

    #[test]
    fn consumers_beyond_the_limit_are_kept_as_one_cell_and_all_others_as_they_are() {
        let at = Timestamp::from_seconds(61);
        let cell = |name: &str| UsageCell {
            key: Fingerprint::from_bytes([1; 16]),
            consumer: Consumer::Named(ConsumerName::new(name)),
            minute: at.minute(),
            late: false,
            tally: Tally::one(Outcome::Accepted, at, at),
        };
        let mut cells: Vec<_> = ["a", "b", "c", "d"].map(cell).into();
        Ledger::new(2).take(&mut cells);
        let kept: Vec<_> = cells
            .iter()
            .map(|cell| (cell.consumer.as_str(), cell.tally.counts.iter().sum::<u64>()))
            .collect();
        assert_eq!(kept, [("a", 1), ("b", 1), (Consumer::Others.as_str(), 2)]);
    }
}

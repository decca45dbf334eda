//! Who presented which key, over all sources: the sum of all usage cells.
//!
//! Built from cells alone, whether they come from a delta or from the state, so that a restart
//! changes nothing.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::engine::cadence::Bursts;
use crate::engine::credential::Fingerprint;
use crate::engine::recent::Recent;
use crate::engine::series::Series;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Consumer, Outcome, Seconds, UsageCell};

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
    last_second: [Option<Timestamp>; 4],
    /// Start of the last second of which a denial is sure.
    last_denied: Option<Timestamp>,
    /// Seconds with a presentation of any outcome, by effective time.
    pub presented: Bursts,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Who presented it.
    pub consumers: BTreeMap<Consumer, Presentations>,
    /// Presentations over time, by effective time.
    pub series: Series,
}

/// All presentations of all tracked keys.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    keys: HashMap<Fingerprint, KeyUse>,
}

impl Ledger {
    /// Adds a cell.
    pub fn add(&mut self, cell: &UsageCell) {
        let key = self.keys.entry(cell.key).or_default();
        key.series.add(cell.minute, cell.tally.counts);
        key.consumers.entry(cell.consumer.clone()).or_default().add(cell);
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
        let mut ledger = Ledger::default();
        ledger.add(&cell);
        let uses = &ledger.of_key(cell.key).unwrap()[&Consumer::Anonymous];
        assert_eq!(uses.latest(&[Outcome::Forbidden]), Some(at));
        assert_eq!(uses.latest(&[Outcome::Accepted]), None);
        assert_eq!(uses.last_denied_second(), Some(Timestamp::from_seconds(61)));
        assert_eq!(uses.denied(), 1);
    }
}

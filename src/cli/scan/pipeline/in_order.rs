//! Tallies of pieces that come in any order -> one tally, merged in the order of the pieces.
//!
//! Pure bookkeeping. Pieces that were begun and not merged have a bound, so one slow piece does
//! not let the others pile up.

use std::collections::BTreeMap;

use crate::engine::scan::tally::{ScanTally, TallyOptions};

/// Where a piece stands among all pieces of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the log.
    pub log: usize,
    /// Number of the piece in it.
    pub piece: u64,
}

/// The pieces that are not merged yet.
pub struct InOrder {
    /// Pieces that may be begun and not merged.
    limit: usize,
    begun: usize,
    /// The piece that is merged next.
    next: Place,
    /// Tallies that came early, and whether the log ends with the piece.
    early: BTreeMap<Place, (ScanTally, bool)>,
    /// `None` while somebody merges into it.
    total: Option<ScanTally>,
}

impl InOrder {
    /// Starts with no piece.
    pub fn new(options: TallyOptions, limit: usize) -> Self {
        let total = Some(ScanTally::new(options));
        Self { limit, begun: 0, next: Place::default(), early: BTreeMap::new(), total }
    }

    /// Tells whether a piece may be begun. The one that all others wait for always may.
    pub fn admits(&self, place: Place) -> bool {
        self.begun < self.limit || place == self.next
    }

    /// Notes that a piece was begun.
    pub fn begin(&mut self) {
        self.begun += 1;
    }

    /// Takes the tally of a piece. When nobody merges, the caller gets the total and does.
    pub fn hand_in(&mut self, place: Place, tally: ScanTally, is_last: bool) -> Option<ScanTally> {
        self.early.insert(place, (tally, is_last));
        self.total.take()
    }

    /// Returns the tally that is merged next, if it is here.
    pub fn next(&mut self) -> Option<ScanTally> {
        let (tally, is_last) = self.early.remove(&self.next)?;
        self.begun -= 1;
        self.next = if is_last {
            Place { log: self.next.log + 1, piece: 0 }
        } else {
            Place { piece: self.next.piece + 1, ..self.next }
        };
        Some(tally)
    }

    /// Gives the total back.
    pub fn put_back(&mut self, total: ScanTally) {
        self.total = Some(total);
    }

    /// Returns the total of all pieces.
    pub fn into_total(self) -> Option<ScanTally> {
        debug_assert!(self.early.is_empty(), "every piece is merged at the end");
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse::RejectReason;

    fn lines(count: usize) -> ScanTally {
        let mut tally = ScanTally::new(TallyOptions::default());
        (0..count).for_each(|_| tally.reject(RejectReason::Form));
        tally
    }

    fn place(log: usize, piece: u64) -> Place {
        Place { log, piece }
    }

    #[test]
    fn tallies_come_out_in_the_order_of_the_records() {
        let mut order = InOrder::new(TallyOptions::default(), 9);
        let handed_in = [
            (1, 0, true, 30),
            (0, 1, false, 10),
            (0, 2, true, 20),
            (0, 0, false, 5),
            (2, 0, true, 40),
        ];
        let mut out = Vec::new();
        for (log, piece, is_last, count) in handed_in {
            order.begin();
            let total = order.hand_in(place(log, piece), lines(count), is_last);
            out.extend(std::iter::from_fn(|| order.next()).map(|tally| tally.totals().lines));
            order.put_back(total.expect("nobody else merges"));
        }
        assert_eq!(out, [5, 10, 20, 30, 40]);
    }

    #[test]
    fn while_one_merges_the_others_hand_in_and_go_on() {
        let mut order = InOrder::new(TallyOptions::default(), 9);
        (0..2).for_each(|_| order.begin());
        let total = order.hand_in(place(0, 1), lines(1), true).expect("nobody merges");
        assert!(order.next().is_none(), "the first piece is not here");
        assert!(order.hand_in(place(0, 0), lines(2), false).is_none());
        let merged: Vec<u64> =
            std::iter::from_fn(|| order.next()).map(|tally| tally.totals().lines).collect();
        assert_eq!(merged, [2, 1]);
        order.put_back(total);
        assert!(order.into_total().is_some());
    }

    #[test]
    fn at_the_limit_only_the_piece_that_all_wait_for_is_begun() {
        let mut order = InOrder::new(TallyOptions::default(), 1);
        order.begin();
        assert!(!order.admits(place(0, 1)) && !order.admits(place(1, 0)));
        assert!(order.admits(place(0, 0)));
    }
}

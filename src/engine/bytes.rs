//! Where the bytes of a generation went: read, skipped for a reason, lost, or still to be read.
//!
//! ```text
//! 0            offset                    end
//! |  accounted   |  waiting or tail        |      and beside it: cut, what was written over
//!  read, skipped,   bytes that were seen
//!  or a hole        and not read
//! ```
//!
//! Law, after every step: `known = read + skipped + unknown + waiting`; of a finished generation
//! nothing waits. Counts saturate.

use crate::engine::time::Timestamp;
use crate::engine::usage::ByteRange;

/// The bytes of one generation, or of several that were forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteLedger {
    /// Generations that it speaks of.
    pub generations: u64,
    /// Bytes known to exist, or to have existed.
    pub known: u64,
    /// Bytes that lines were made of.
    pub read: u64,
    /// Bytes skipped as the rest of an over-long line.
    pub overlong: u64,
    /// Bytes skipped as a run of NUL.
    pub nul_run: u64,
    /// Bytes skipped because they are a copy of bytes that belong to another generation.
    pub copied: u64,
    /// Bytes before the offset that no delta accounts for.
    pub hole: u64,
    /// Bytes after the offset that were seen and then cut off, while the generation went on.
    pub cut: u64,
    /// Bytes after the offset that were seen when the generation was given up.
    pub tail: u64,
    /// Event time of the first well-formed line.
    pub first_event: Option<Timestamp>,
}

impl ByteLedger {
    /// Makes the ledger of a generation of which nothing is known yet.
    pub fn new() -> Self {
        Self { generations: 1, ..Self::default() }
    }

    /// Returns how many bytes were skipped, for whatever reason.
    pub fn skipped(&self) -> u64 {
        self.overlong.saturating_add(self.nul_run).saturating_add(self.copied)
    }

    /// Returns how many bytes existed and were never read.
    pub fn unknown(&self) -> u64 {
        self.hole.saturating_add(self.cut).saturating_add(self.tail)
    }

    /// Returns how many bytes before the offset are accounted for: of one generation its offset.
    pub fn accounted(&self) -> u64 {
        self.read.saturating_add(self.skipped()).saturating_add(self.hole)
    }

    /// Returns how many bytes are known to exist and are still expected to be read.
    pub fn waiting(&self) -> u64 {
        self.known.saturating_sub(self.accounted()).saturating_sub(self.cut + self.tail)
    }

    /// Adds `range`, of which `skipped` bytes made no line: they are the rest of an over-long line
    /// if the range began inside one, else NUL. Bytes between the offset and the range are a hole.
    pub fn take(&mut self, range: ByteRange, skipped: u64, in_overlong: bool) {
        self.reopen();
        self.hole = self.hole.saturating_add(range.from.saturating_sub(self.accounted()));
        let skipped = skipped.min(range.to.saturating_sub(range.from));
        let reason = if in_overlong { &mut self.overlong } else { &mut self.nul_run };
        *reason = reason.saturating_add(skipped);
        self.read = self.read.saturating_add(range.to - range.from - skipped);
        self.include();
    }

    /// Adds the bytes up to `offset`, which are a copy of bytes that belong to another generation.
    pub fn skip_copy(&mut self, offset: u64) {
        self.reopen();
        self.copied = self.copied.saturating_add(offset.saturating_sub(self.accounted()));
        self.include();
    }

    /// Takes the news that the content ends at `size` now. What was seen beyond it is cut off.
    pub fn see(&mut self, size: u64) {
        self.reopen();
        let end = self.accounted().saturating_add(self.waiting());
        let size = size.max(self.accounted());
        self.cut = self.cut.saturating_add(end.saturating_sub(size));
        self.known = self.known.saturating_add(size.saturating_sub(end));
    }

    /// Gives up what waits: nothing more is expected.
    pub fn finish(&mut self) {
        self.tail = self.tail.saturating_add(self.waiting());
    }

    /// Expects again what was given up: the content was found once more.
    pub fn reopen(&mut self) {
        self.tail = 0;
    }

    /// Adds the bytes of another generation.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.generations, other.generations),
            (&mut self.known, other.known),
            (&mut self.read, other.read),
            (&mut self.overlong, other.overlong),
            (&mut self.nul_run, other.nul_run),
            (&mut self.copied, other.copied),
            (&mut self.hole, other.hole),
            (&mut self.cut, other.cut),
            (&mut self.tail, other.tail),
        ] {
            *sum = sum.saturating_add(more);
        }
        let first = self.first_event.into_iter().chain(other.first_event);
        self.first_event = first.min();
    }

    /// What is accounted for exists, also where its file was never seen at that size.
    fn include(&mut self) {
        let least = self.accounted().saturating_add(self.cut).saturating_add(self.tail);
        self.known = self.known.max(least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What may happen to a generation.
    #[derive(Clone, Debug)]
    enum Step {
        Read { len: u64, skipped: u64, in_overlong: bool, hole: u64 },
        Copy(u64),
        Grow(u64),
        Shrink(u64),
        Finish,
        Reopen,
    }

    fn a_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..90_u64, 0..90_u64, any::<bool>(), prop_oneof![3 => Just(0), 1 => 1..50_u64])
                .prop_map(|(len, skipped, in_overlong, hole)| Step::Read {
                    len,
                    skipped: skipped.min(len),
                    in_overlong,
                    hole
                }),
            (0..60_u64).prop_map(Step::Copy),
            (0..200_u64).prop_map(Step::Grow),
            (0..200_u64).prop_map(Step::Shrink),
            Just(Step::Finish),
            Just(Step::Reopen),
        ]
    }

    proptest! {
        #[test]
        fn invariant_5_each_known_byte_is_read_skipped_unknown_or_waits(
            steps in prop::collection::vec(a_step(), 0..60)
        ) {
            let mut ledger = ByteLedger::new();
            // Kept apart from the ledger: where the offset is and where the file ends.
            let (mut offset, mut end) = (0_u64, 0_u64);
            let mut finished;
            for step in steps {
                let known = ledger.known;
                match step {
                    Step::Read { len, skipped, in_overlong, hole } => {
                        let range = ByteRange { from: offset + hole, to: offset + hole + len };
                        ledger.take(range, skipped, in_overlong);
                        (offset, finished) = (range.to, false);
                        end = end.max(offset);
                    }
                    Step::Copy(more) => {
                        offset += more;
                        ledger.skip_copy(offset);
                        (end, finished) = (end.max(offset), false);
                    }
                    Step::Grow(more) => {
                        end += more;
                        ledger.see(end);
                        finished = false;
                    }
                    Step::Shrink(less) => {
                        end = offset.max(end.saturating_sub(less));
                        ledger.see(end);
                        finished = false;
                    }
                    Step::Finish => {
                        ledger.finish();
                        finished = true;
                    }
                    Step::Reopen => {
                        ledger.reopen();
                        finished = false;
                    }
                }
                let sum = ledger.read + ledger.skipped() + ledger.unknown() + ledger.waiting();
                prop_assert_eq!(sum, ledger.known);
                prop_assert_eq!(ledger.accounted(), offset);
                prop_assert_eq!(ledger.waiting() + ledger.tail, end - offset);
                prop_assert!(!finished || ledger.waiting() == 0);
                prop_assert!(ledger.known >= known, "what existed once has existed");
            }
        }
    }

    #[test]
    fn the_tail_of_a_file_that_is_given_up_is_unknown_until_it_is_found_again() {
        let mut ledger = ByteLedger::new();
        ledger.take(ByteRange { from: 0, to: 70 }, 0, false);
        ledger.see(100);
        assert_eq!((ledger.known, ledger.waiting(), ledger.unknown()), (100, 30, 0));
        ledger.finish();
        assert_eq!((ledger.known, ledger.waiting(), ledger.unknown()), (100, 0, 30));
        ledger.take(ByteRange { from: 70, to: 100 }, 0, false);
        assert_eq!((ledger.known, ledger.read, ledger.unknown()), (100, 100, 0));
    }

    #[test]
    fn bytes_that_were_cut_off_unread_and_written_anew_existed_twice() {
        let mut ledger = ByteLedger::new();
        ledger.see(50);
        ledger.see(20);
        ledger.take(ByteRange { from: 0, to: 60 }, 0, false);
        assert_eq!((ledger.known, ledger.read, ledger.unknown()), (90, 60, 30));
    }
}

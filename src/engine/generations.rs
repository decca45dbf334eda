//! The generations of a source: how far each was read, and where its bytes went.
//!
//! A generation that the reader has forgotten is kept as a part of the sum of its stream alone.

use std::collections::{BTreeMap, HashSet};

use crate::engine::bytes::ByteLedger;
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::rejects::OpenRejects;
use crate::engine::state::{BytesRecord, Commit, GenerationRecord};
use crate::engine::usage::{ByteRange, GenerationNumber, UsageDelta};

/// A generation by its stream and number.
pub type Place = (StreamName, GenerationNumber);

/// Number under which the sum of the forgotten generations of a stream is stored.
pub const FORGOTTEN: GenerationNumber = GenerationNumber(0);

/// One generation.
#[derive(Clone, Debug)]
struct Known {
    record: GenerationRecord,
    bytes: ByteLedger,
    changed: bool,
}

/// The generations of all streams of a source.
#[derive(Clone, Debug, Default)]
pub struct Generations {
    known: BTreeMap<Place, Known>,
    forgotten: BTreeMap<StreamName, ByteLedger>,
    /// Those that were forgotten since the last commit.
    leaving: Vec<GenerationRecord>,
}

impl Generations {
    /// Takes a stored generation back. Until its ledger comes, all before its offset was read.
    pub fn restore(&mut self, record: GenerationRecord) {
        let mut bytes = ByteLedger::new();
        bytes.take(ByteRange { from: 0, to: record.offset }, 0, false);
        let place = (record.stream.clone(), record.number);
        self.known.insert(place, Known { record, bytes, changed: false });
    }

    /// Takes a stored ledger back; the generation comes first.
    pub fn restore_bytes(&mut self, record: BytesRecord) {
        let place = (record.stream, record.number);
        if record.number == FORGOTTEN {
            self.forgotten.insert(place.0, record.bytes);
        } else if let Some(known) = self.known.get_mut(&place) {
            known.bytes = record.bytes;
        }
    }

    /// Returns the first byte of a generation that is not accounted for; 0 of an unknown one.
    pub fn offset(&self, place: &Place) -> u64 {
        self.known.get(place).map_or(0, |known| known.record.offset)
    }

    /// Returns how many rejects of a generation are open.
    pub fn open_rejects(&self, place: &Place) -> u64 {
        self.known.get(place).map_or(0, |known| known.record.open_rejects.count)
    }

    /// Takes a generation as the reader has it now: found, renamed or finished.
    ///
    /// An offset that moves without a delta passes over a copy; one never goes back, because its
    /// lines would be counted twice.
    pub fn take(&mut self, mut record: GenerationRecord) {
        let place = (record.stream.clone(), record.number);
        let before = self.known.get(&place);
        let mut bytes = before.map_or_else(ByteLedger::new, |known| known.bytes);
        if let Some(known) = before.filter(|known| known.record.offset > record.offset) {
            record.offset = known.record.offset;
            record.anchor = known.record.anchor;
        }
        if record.offset > bytes.accounted() {
            bytes.skip_copy(record.offset);
        }
        if record.finished {
            bytes.finish();
        } else {
            bytes.reopen();
        }
        self.known.insert(place, Known { record, bytes, changed: true });
    }

    /// Adds the range of a delta that begins at the offset or behind it.
    pub fn take_delta(&mut self, place: Place, delta: &UsageDelta) {
        let known = self.known.entry(place).or_insert_with(|| Known {
            record: GenerationRecord {
                source: delta.source.clone(),
                stream: delta.stream.clone(),
                number: delta.generation,
                file: delta.file,
                path: delta.stream.as_str().to_owned(),
                offset: 0,
                anchor: delta.anchor,
                last_event: None,
                inside_overlong: false,
                open_rejects: OpenRejects::default(),
                finished: false,
            },
            bytes: ByteLedger::new(),
            changed: true,
        });
        known.changed = true;
        let record = &mut known.record;
        known.bytes.take(delta.range, delta.skipped, record.inside_overlong);
        known.bytes.first_event = known.bytes.first_event.or(delta.first_event);
        record.offset = delta.range.to;
        record.anchor = delta.anchor;
        record.last_event = record.last_event.max(delta.last_event);
        record.inside_overlong = delta.inside_overlong;
        record.open_rejects.clone_from(&delta.open_rejects);
    }

    /// Takes the news that the content of an open generation ends at `size` now.
    pub fn see(&mut self, place: &Place, size: u64) {
        let Some(known) = self.known.get_mut(place) else { return };
        let before = known.bytes;
        if !known.record.finished {
            known.bytes.see(size);
        }
        known.changed |= known.bytes != before;
    }

    /// Forgets a finished generation: its bytes go into the sum of its stream. One with rejects that
    /// are open stays, because they must not be forgotten.
    pub fn forget(&mut self, stream: &StreamName, number: GenerationNumber) {
        let place = (stream.clone(), number);
        let may_go = |known: &Known| known.record.finished && known.record.open_rejects.is_empty();
        if !self.known.get(&place).is_some_and(may_go) {
            return;
        }
        if let Some(known) = self.known.remove(&place) {
            self.forgotten.entry(place.0.clone()).or_default().merge(&known.bytes);
            self.leaving.push(known.record);
        }
    }

    /// Returns the bytes of all generations of a source, the forgotten ones included.
    pub fn sum(&self) -> ByteLedger {
        let mut sum = ByteLedger::default();
        let known = self.known.values().map(|known| &known.bytes);
        known.chain(self.forgotten.values()).for_each(|bytes| sum.merge(bytes));
        sum
    }

    /// Returns where the bytes of a generation went; nothing of an unknown one.
    pub fn bytes(&self, place: &Place) -> ByteLedger {
        self.known.get(place).map(|known| known.bytes).unwrap_or_default()
    }

    /// Returns the generations of a stream, the oldest first.
    pub fn of(&self, stream: &StreamName) -> Vec<(&GenerationRecord, &ByteLedger)> {
        let place = |number| (stream.clone(), GenerationNumber(number));
        let of_stream = self.known.range(place(0)..=place(u64::MAX));
        of_stream.map(|(_, known)| (&known.record, &known.bytes)).collect()
    }

    /// Returns the sum of the generations of a stream that were forgotten, if any were.
    pub fn forgotten(&self, stream: &StreamName) -> Option<&ByteLedger> {
        self.forgotten.get(stream)
    }

    /// Moves what changed into `commit`.
    pub fn drain_changes(&mut self, source: &SourceName, commit: &mut Commit) {
        let bytes_record = |stream: &StreamName, number, bytes: &ByteLedger| BytesRecord {
            source: source.clone(),
            stream: stream.clone(),
            number,
            bytes: *bytes,
        };
        for known in self.known.values_mut().filter(|known| known.changed) {
            known.changed = false;
            let record = &known.record;
            commit.bytes.push(bytes_record(&record.stream, record.number, &known.bytes));
            commit.generations.push(record.clone());
        }
        let leaving = std::mem::take(&mut self.leaving);
        let streams: HashSet<&StreamName> = leaving.iter().map(|record| &record.stream).collect();
        for stream in streams {
            if let Some(sum) = self.forgotten.get(stream) {
                commit.bytes.push(bytes_record(stream, FORGOTTEN, sum));
            }
        }
        for record in leaving {
            let place = (source.clone(), record.stream.clone(), record.number);
            commit.forgotten.push(place);
            // Bytes that were read since the last commit move its offset before it goes.
            commit.generations.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::Fingerprint;
    use crate::engine::time::Timestamp;
    use crate::engine::usage::{Anchor, FileId};

    fn record(number: u64, offset: u64, finished: bool) -> GenerationRecord {
        GenerationRecord {
            source: SourceName::new("edge"),
            stream: StreamName::new("a.log"),
            number: GenerationNumber(number),
            file: FileId { device: 1, inode: 2, birth: 3, handle: None },
            path: "a.log".to_owned(),
            offset,
            anchor: Anchor::default(),
            last_event: None,
            inside_overlong: false,
            open_rejects: OpenRejects::default(),
            finished,
        }
    }

    #[test]
    fn an_offset_never_goes_back() {
        let mut all = Generations::default();
        let place = (StreamName::new("a.log"), GenerationNumber(1));
        all.restore(record(1, 100, false));
        let tail = Anchor { tail_len: 7, ..Anchor::default() };
        all.take(GenerationRecord { anchor: tail, ..record(1, 40, false) });
        assert_eq!(all.offset(&place), 100);
        all.take(GenerationRecord { anchor: tail, ..record(1, 140, true) });
        assert_eq!(all.offset(&place), 140, "a copy was passed over");
    }

    #[test]
    fn only_a_finished_generation_without_open_rejects_is_forgotten() {
        let mut rejected = record(2, 10, true);
        rejected.open_rejects.count = 1;
        let key = Fingerprint::from_bytes([1; 16]);
        rejected.open_rejects.find(key, Timestamp::from_seconds(1));
        let mut all = Generations::default();
        for one in [record(1, 10, false), rejected, record(3, 10, true)] {
            all.restore(one);
        }
        let stream = StreamName::new("a.log");
        for number in 1..=3 {
            all.forget(&stream, GenerationNumber(number));
        }
        let left: Vec<u64> = all.of(&stream).iter().map(|(record, _)| record.number.0).collect();
        assert_eq!(left, [1, 2]);
        assert_eq!(all.forgotten(&stream).unwrap().read, 10);
    }
}

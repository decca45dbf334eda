//! The daemon's counting: what the lines of one chunk say about the tracked keys of a source.
//!
//! Only tracked keys get cells; any other key is one counter. What a session does is the use of the
//! tracked key that its key was issued to, from the line on that says so. A line that comes too late
//! to change what was already decided counts from its arrival, so that it can never be overlooked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use memchr::memchr;

pub use super::chunk::{ChunkContext, ChunkUsage};
pub use super::known::TrackedKey;
use super::known::{KnownKeys, Slot};
use super::lines::{MAX_LINE_BYTES, lines};
use super::presenters::{Presenters, Who};
use super::records::{Framer, Framing, Record};
use crate::engine::credential::{Fingerprint, FingerprintSecret, PlaceName};
use crate::engine::parse::consumer_map::ConsumerMap;
use crate::engine::parse::{AccessEvent, LineParser, Scratch};
use crate::engine::time::{Minute, Timestamp};
use crate::engine::usage::{Consumer, Issued, LineCount, Outcome, RejectedKey, Tally, UsageCell};

/// Reads the lines of one source: its parser and its tracked keys.
pub struct Matcher {
    parser: LineParser,
    known: KnownKeys,
    scratch: Scratch,
}

impl Matcher {
    /// Makes the matcher of a source. `secret` is the one that the fingerprints are keyed with.
    pub fn new(
        parser: LineParser,
        tracked: Vec<TrackedKey>,
        secret: Arc<FingerprintSecret>,
    ) -> Self {
        Self { parser, known: KnownKeys::new(tracked, secret), scratch: Scratch::default() }
    }

    /// Tracks one more key from the next chunk on.
    pub fn track(&mut self, key: TrackedKey) {
        self.known.add(key);
    }

    /// Takes back what was issued to a tracked key before, or what another source says of it.
    pub fn take_issued(&mut self, issued: &Issued) {
        self.known.take_issued(issued);
    }

    /// Returns the digest of the layout that lines are read with.
    pub fn layout_digest(&self) -> String {
        self.parser.layout_digest()
    }

    /// Returns the tracked keys with a raw form that stand anywhere in `bytes`, sorted: for
    /// stretches of which no line is made. Neighbouring stretches must overlap by
    /// [`longest_raw`](Self::longest_raw) − 1 bytes.
    pub fn find_tracked(&self, bytes: &[u8]) -> Vec<Fingerprint> {
        self.known.search(bytes)
    }

    /// Returns the length of the longest raw key, in bytes; 0 when none is known.
    pub fn longest_raw(&self) -> usize {
        self.known.longest_raw()
    }

    /// Returns how a log is cut into the records of which [`scan`](Self::scan) takes whole ones.
    ///
    /// Never [`Framing::Documents`]: what surrounds a record in a document would decide how it is
    /// read, and no place in it is safe to go on from. A line of a document is a reject.
    pub fn framing(&self) -> Framing {
        match self.parser.framing() {
            Framing::Documents => Framing::Parts,
            framing => framing,
        }
    }

    /// Counts the lines of `chunk`: whole records, of which the last may lack its LF. A record that
    /// lacks its end is a reject.
    ///
    /// A line longer than [`MAX_LINE_BYTES`] is a reject, so the head of an over-long line can be
    /// passed as a last line of `MAX_LINE_BYTES + 2` bytes or more and its rest be skipped.
    pub fn scan(&mut self, chunk: &[u8], context: &ChunkContext) -> ChunkUsage {
        let framing = self.framing();
        let Self { parser, known, scratch } = self;
        let mut reading = Reading { parser, known, scratch, count: Count::new(context) };
        match framing {
            Framing::Parts => reading.parts(chunk),
            Framing::Lines | Framing::Documents => lines(chunk).for_each(|line| reading.line(line)),
        }
        let Reading { count, known, .. } = reading;
        count.finish(known, parser.places())
    }
}

/// Reads the records of one chunk.
struct Reading<'a> {
    parser: &'a LineParser,
    known: &'a mut KnownKeys,
    scratch: &'a mut Scratch,
    count: Count,
}

impl Reading<'_> {
    fn line(&mut self, line: &[u8]) {
        if line.len() > MAX_LINE_BYTES {
            return self.count.reject(line, self.known);
        }
        match self.parser.parse(line, self.scratch) {
            Ok(event) => self.count.event(event, self.parser, self.known),
            Err(_) => self.count.reject(line, self.known),
        }
    }

    /// Reads lines of which some are parts of a record.
    ///
    /// What is dropped of a record that is too long is searched for keys part by part.
    fn parts(&mut self, chunk: &[u8]) {
        let mut framer = Framer::new(Framing::Parts);
        // Lines that are no record yet, until one is given up as too long.
        let mut pending: Option<Vec<&[u8]>> = Some(Vec::new());
        let mut rest = chunk;
        let mut line = rest;
        while !rest.is_empty() {
            (line, rest) = first_line(rest);
            let mut found = Found::Nothing;
            framer.feed(line, |record| self.record(record, &mut found));
            match (found, &mut pending) {
                (Found::Whole, _) => {}
                (Found::TooLong, _) => self.too_long(line, &mut pending),
                (Found::Nothing, Some(pending)) => pending.push(line),
                (Found::Nothing, None) => self.count.search(line, self.known),
            }
        }
        let mut found = Found::Nothing;
        framer.finish(|record| self.record(record, &mut found));
        if found == Found::TooLong {
            self.too_long(line, &mut pending);
        }
    }

    fn record(&mut self, record: Record<'_>, found: &mut Found) {
        match record {
            Record::Whole(text) => {
                self.line(text);
                *found = Found::Whole.max(*found);
            }
            Record::Cut(text) => self.count.reject(text, self.known),
            Record::TooLong => *found = Found::TooLong,
        }
    }

    /// Rejects the record that turned out too long with `line`: by this line alone, or with the
    /// parts before it, which were dropped as well.
    fn too_long(&mut self, line: &[u8], pending: &mut Option<Vec<&[u8]>>) {
        self.count.reject(line, self.known);
        if lines(line).all(|line| line.len() <= MAX_LINE_BYTES) {
            for part in pending.take().unwrap_or_default() {
                self.count.search(part, self.known);
            }
        }
    }
}

/// What is wrong with the time of a line.
#[derive(Clone, Copy)]
struct Doubt {
    /// It lies in the future.
    future: bool,
    /// It came twice.
    in_doubt: bool,
}

/// What a line brought, what matters more comes later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// No record that it ends: it is a part of one.
    Nothing,
    /// A whole record.
    Whole,
    /// A record that is too long.
    TooLong,
}

/// Splits off the first line with its end.
fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr(b'\n', text).map_or(text.len(), |end| end + 1))
}

/// The counts of one chunk while it is read.
struct Count {
    context: ChunkContext,
    usage: ChunkUsage,
    presenters: Presenters,
    cells: HashMap<(Slot, Who, Minute, bool), Tally>,
    minutes: BTreeMap<Minute, LineCount>,
    rejected: BTreeMap<Fingerprint, Timestamp>,
    /// Numbers of the places that showed a tracked key, one bit each.
    places: u32,
}

impl Count {
    fn new(context: &ChunkContext) -> Self {
        let context = context.clone();
        let usage = ChunkUsage {
            last_event: context.last_event,
            frontier: context.frontier,
            open_rejects: context.open_rejects.clone(),
            ..ChunkUsage::default()
        };
        Self {
            context,
            usage,
            presenters: Presenters::default(),
            cells: HashMap::new(),
            minutes: BTreeMap::new(),
            rejected: BTreeMap::new(),
            places: 0,
        }
    }

    fn event(&mut self, mut event: AccessEvent<'_>, parser: &LineParser, known: &mut KnownKeys) {
        let arrival = self.context.arrival;
        let earliest = parser.earliest(event.event_at);
        let in_doubt = earliest < event.event_at;
        if in_doubt {
            // Uses count by the later time that the line may mean, but it was read by now.
            event.event_at = event.event_at.min(arrival.max(earliest));
        }
        let event_at = event.event_at;
        let future = earliest > arrival.plus(self.context.future_tolerance);
        self.usage.future_event |= future;
        self.close_rejects(event_at);
        let doubt = Doubt { future, in_doubt };
        let tracked = self.presentations(&event, doubt, parser.consumer_map(), known);
        self.mask(&event, future);
        if !tracked && !event.keys.is_empty() {
            self.usage.other_keys += 1;
        }
        let usage = &mut self.usage;
        usage.first_event.get_or_insert(event_at);
        // Progress is what is sure: the earlier time.
        usage.last_event = usage.last_event.max(Some(earliest));
        usage.frontier = usage.frontier.max(Some(earliest.min(arrival)));
        usage.line_count += 1;
        self.minute(event_at.min(arrival)).lines += 1;
    }

    /// Counts each distinct tracked key of the line and notes its places; tells whether there is one.
    fn presentations(
        &mut self,
        event: &AccessEvent<'_>,
        Doubt { future, in_doubt }: Doubt,
        map: &ConsumerMap,
        known: &mut KnownKeys,
    ) -> bool {
        let mut counted: [Option<Slot>; crate::engine::parse::MAX_PLACES] = Default::default();
        for (index, (key, place)) in event.keys.iter().zip(event.keys.places()).enumerate() {
            let slot = known.slot_of(key);
            if slot.is_some() {
                self.places |= 1 << place;
            }
            if slot.is_none() || counted.contains(&slot) {
                continue;
            }
            counted[index] = slot;
        }
        if counted.iter().all(Option::is_none) {
            return false;
        }
        let late_by = self.usage.frontier.map_or(Duration::ZERO, |frontier| {
            frontier.since(event.event_at.plus(self.context.allowed_lateness))
        });
        let late = !late_by.is_zero();
        if late {
            self.usage.late_by = self.usage.late_by.max(Some(late_by));
        }
        let effective_at = if late || future { self.context.arrival } else { event.event_at };
        let who = self.presenters.who(event.consumer, map);
        let one = Tally::one(event.outcome, event.event_at, effective_at);
        let denied = matches!(event.outcome, Outcome::Unauthenticated | Outcome::Forbidden);
        for (slot, key) in counted.iter().zip(event.keys.iter()) {
            let Some(slot) = *slot else { continue };
            let who = self.presenters.for_key(who, slot, known);
            // A session outlives the key that bought it: that it is denied says nothing of the key.
            let proves_nothing = late || future || in_doubt || denied && known.is_session(key);
            self.cells
                .entry((slot, who, effective_at.minute(), proves_nothing))
                .and_modify(|tally| tally.merge(&one))
                .or_insert(one);
        }
        if let (Some(child), Some(&parent)) = (event.issued, counted.iter().flatten().next()) {
            self.usage.issued.extend(known.issue(
                parent,
                child,
                effective_at,
                event.issued_lifetime,
            ));
        }
        true
    }

    /// Notes a mask in a place of the key. Of a request that was refused for want of a key (401)
    /// the client itself wrote it: no key that works is hidden there.
    fn mask(&mut self, event: &AccessEvent<'_>, future: bool) {
        if event.masked && event.outcome != Outcome::Unauthenticated {
            let context = &self.context;
            let frontier = self.usage.frontier;
            let late = frontier > Some(event.event_at.plus(context.allowed_lateness));
            let at = if late || future { context.arrival } else { event.event_at };
            self.usage.masked_at = self.usage.masked_at.max(Some(at));
        }
    }

    /// Counts a line that nobody understood; `rejects.rs` says from when on it counts.
    fn reject(&mut self, line: &[u8], known: &KnownKeys) {
        self.usage.line_count += 1;
        self.usage.reject_count += 1;
        self.usage.open_rejects.add(self.context.arrival);
        self.search(line, known);
    }

    /// Counts the rejects before an understood line of `event_at`: they were written before it was.
    /// If it comes later than allowed, nobody knows when it was.
    fn close_rejects(&mut self, event_at: Timestamp) {
        let written_by = event_at.plus(self.context.allowed_lateness);
        if self.usage.open_rejects.is_empty() || self.usage.frontier > Some(written_by) {
            return;
        }
        let closed = self.usage.open_rejects.close(written_by);
        if let Some(at) = closed.at {
            let count = self.minute(at);
            count.lines = count.lines.saturating_add(closed.count);
            count.rejects = count.rejects.saturating_add(closed.count);
        }
        for (key, at) in closed.keys {
            let latest = self.rejected.entry(key).or_insert(at);
            *latest = at.max(*latest);
        }
    }

    /// Looks for tracked keys in bytes of which no event is made.
    fn search(&mut self, bytes: &[u8], known: &KnownKeys) {
        for key in known.search(bytes) {
            self.usage.open_rejects.find(key, self.context.arrival);
        }
    }

    fn minute(&mut self, at: Timestamp) -> &mut LineCount {
        let minute = at.minute();
        self.minutes.entry(minute).or_insert(LineCount { minute, lines: 0, rejects: 0 })
    }

    fn finish(self, known: &KnownKeys, places: &[PlaceName]) -> ChunkUsage {
        let mut usage = self.usage;
        let shown = places.iter().enumerate().filter(|(n, _)| self.places >> n & 1 == 1);
        usage.places = shown.map(|(_, place)| place.clone()).collect();
        // Two spellings of bytes may give one name: merge them.
        let mut cells: BTreeMap<(Fingerprint, Consumer, Minute, bool), Tally> = BTreeMap::new();
        for ((slot, who, minute, late), tally) in self.cells {
            cells
                .entry((
                    known.fingerprint(slot),
                    self.presenters.consumer(who, known),
                    minute,
                    late,
                ))
                .and_modify(|sum| sum.merge(&tally))
                .or_insert(tally);
        }
        usage.cells = cells
            .into_iter()
            .map(|((key, consumer, minute, late), tally)| UsageCell {
                key,
                consumer,
                minute,
                late,
                tally,
            })
            .collect();
        usage.pools = self.presenters.pools(known);
        usage.lines = self.minutes.into_values().collect();
        usage.rejected_keys =
            self.rejected.into_iter().map(|(key, at)| RejectedKey { key, at }).collect();
        usage
    }
}

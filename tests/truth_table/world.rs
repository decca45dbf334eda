//! An engine with a reader and a store around it, all of them in memory.
//!
//! Lines are real lines of an nginx that logs the key's name; they pass the real parser and the
//! real matcher. Time is passed in; a restart rebuilds everything from what was committed.

use std::collections::BTreeMap;
use std::time::Duration;

use keydrain::engine::answer::Answer;
use keydrain::engine::coverage::{Gap, GapReason, SourceStatus, StreamStatus, WeakFileSystem};
use keydrain::engine::credential::{CredentialName, PlaceName, RawKey, SourceName, StreamName};
use keydrain::engine::drain::{CredentialDecl, Declared, Drain, Opening};
use keydrain::engine::evidence::SourceDecl;
use keydrain::engine::ledger::MAX_CONSUMERS;
use keydrain::engine::parse::{Layout, LineParser};
use keydrain::engine::policy::{AnonymousConsumers, Completeness, Policy, SourcePolicy};
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::rotation::{JournalEvent, KeyRef, RotationId};
use keydrain::engine::scan::matcher::{ChunkContext, Matcher, TrackedKey};
use keydrain::engine::time::{Span, Timestamp};
use keydrain::engine::usage::{Anchor, ByteRange, FileId, GenerationNumber, UsageDelta};
use keydrain::engine::view::Event;

use crate::model::Model;

pub use crate::log::{
    ACCESS_LOG, CREDENTIAL, EDGE, Line, NEW, NO_KEY, OLD, TRAIL, fingerprint, key_ref,
};
use crate::log::{layout, secret, trail_layout};

/// Returns a source of key-name lines with the defaults of the configuration.
pub fn a_source(name: &str) -> SourceDecl {
    SourceDecl {
        name: SourceName::new(name),
        layout: "key names".to_owned(),
        places: vec![PlaceName::new("field:key_name")],
        policy: SourcePolicy {
            allowed_lateness: Duration::from_secs(30),
            lateness_assumed: false,
            idle_after: Duration::from_mins(5),
            silence_is_idle: false,
            completeness: Completeness::Complete,
            probes: Vec::new(),
        },
        tracked: vec![fingerprint(OLD), fingerprint(NEW)],
    }
}

/// Returns a configuration of one source and one credential.
pub fn one_host(policy: Policy) -> Declared {
    Declared {
        sources: vec![a_source(EDGE)],
        credentials: vec![CredentialDecl {
            name: CredentialName::new(CREDENTIAL),
            keys: vec![key_ref(OLD), key_ref(NEW)],
            sources: vec![SourceName::new(EDGE)],
            roster: Vec::new(),
            jobs: Vec::new(),
            policy,
        }],
    }
}

/// What the reader sees of one source.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// Patterns without a match.
    pub absent: Vec<String>,
    /// Paths that cannot be read.
    pub unreadable: Vec<(String, String)>,
    /// Paths that are refused.
    pub refused: Vec<(String, String)>,
    /// File systems of which less is sure.
    pub weak: Vec<WeakFileSystem>,
    /// How it is known that keys are masked.
    pub masked: Option<String>,
    /// Whether files that existed at the start are still being read.
    pub reading: bool,
    /// Streams by name; `None`: the reader does not find the family any more.
    pub streams: BTreeMap<String, Option<StreamStatus>>,
}

/// Returns the status of a stream that is read to its end.
pub fn live(stream: &str) -> StreamStatus {
    StreamStatus {
        stream: StreamName::new(stream),
        live: true,
        unreadable: None,
        backlog: 0,
        ends: Vec::new(),
        open_generations: 1,
    }
}

/// How far a stream was read.
#[derive(Clone, Debug, Default)]
struct Cursor {
    offset: u64,
    frontier: Option<Timestamp>,
    last_event: Option<Timestamp>,
    open_rejects: OpenRejects,
}

/// The engine and its surroundings.
pub struct World {
    /// The engine.
    pub drain: Drain,
    /// What was committed.
    pub model: Model,
    /// What the reader sees.
    pub sights: BTreeMap<String, Sight>,
    /// Whether the reader looks at all.
    pub looking: bool,
    /// Everything the engine told.
    pub events: Vec<Event>,
    /// What the lines of a source look like where they are not those of `log.rs`; a change takes
    /// effect at the next restart.
    pub layouts: BTreeMap<String, Layout>,
    declared: Declared,
    matchers: BTreeMap<String, Matcher>,
    cursors: BTreeMap<(String, String), Cursor>,
    last: Option<UsageDelta>,
    /// Most consumers of a key that the engine keeps apart, from the next boot on.
    pub consumer_limit: usize,
    /// By how much the wall clock has stepped forward so far.
    pub stepped: Duration,
    /// By how much the wall clock has stepped back so far.
    pub stepped_back: Duration,
}

impl World {
    /// Starts the daemon for the first time.
    pub fn new(declared: Declared) -> Self {
        let mut sights = BTreeMap::new();
        for source in &declared.sources {
            let streams = BTreeMap::from([(ACCESS_LOG.to_owned(), Some(live(ACCESS_LOG)))]);
            sights.insert(source.name.as_str().to_owned(), Sight { streams, ..Sight::default() });
        }
        let mut world = Self {
            drain: Drain::new(Declared::default(), Model::default().state()),
            model: Model::default(),
            sights,
            looking: true,
            events: Vec::new(),
            layouts: BTreeMap::new(),
            declared,
            matchers: BTreeMap::new(),
            cursors: BTreeMap::new(),
            last: None,
            consumer_limit: MAX_CONSUMERS,
            stepped: Duration::ZERO,
            stepped_back: Duration::ZERO,
        };
        world.boot();
        world
    }

    fn boot(&mut self) {
        let state = self.model.state();
        self.matchers.clear();
        for source in &mut self.declared.sources {
            let pinned = state.rotations.iter().filter(|told| told.sources.contains(&source.name));
            for key in pinned.flat_map(|told| [&told.old_key, &told.new_key]) {
                if !source.tracked.contains(&key.fingerprint) {
                    source.tracked.push(key.fingerprint);
                }
            }
            let anonymous = self.declared.credentials.first().map(|c| c.policy.anonymous);
            let tracked = source.tracked.iter().map(|key| TrackedKey {
                anonymous: anonymous.unwrap_or(AnonymousConsumers::Pooled),
                fingerprint: *key,
                raw: [OLD, NEW]
                    .into_iter()
                    .find(|name| fingerprint(name) == *key)
                    .map(|name| RawKey::new(name.as_bytes().to_vec())),
            });
            let layout = match self.layouts.get(source.name.as_str()) {
                Some(layout) => layout.clone(),
                None if source.layout == TRAIL => trail_layout(),
                None => layout(),
            };
            let parser = LineParser::compile(&layout).expect("the layout is a good one");
            let mut matcher = Matcher::new(parser, tracked.collect(), secret());
            state.issued.iter().for_each(|issued| matcher.take_issued(issued));
            self.matchers.insert(source.name.as_str().to_owned(), matcher);
        }
        self.cursors.clear();
        for stream in &state.streams {
            let place = (stream.source.as_str().to_owned(), stream.stream.as_str().to_owned());
            let cursor = self.cursors.entry(place).or_default();
            cursor.frontier = stream.frontier;
        }
        for found in &state.generations {
            let place = (found.source.as_str().to_owned(), found.stream.as_str().to_owned());
            let cursor = self.cursors.entry(place).or_default();
            cursor.offset = found.offset;
            cursor.last_event = found.last_event;
            cursor.open_rejects = found.open_rejects.clone();
        }
        self.drain = Drain::with_consumer_limit(self.consumer_limit, self.declared.clone(), state);
    }

    /// Changes the configuration; it takes effect at the next restart.
    pub fn reconfigure(&mut self, change: impl Fn(&mut Declared)) {
        change(&mut self.declared);
    }

    /// Stops after a commit at `now` and starts again from what was committed.
    pub fn restart(&mut self, now: Timestamp) {
        self.settle(now);
        self.boot();
    }

    /// Starts again from what was committed, whatever was not.
    pub fn reboot(&mut self) {
        self.boot();
    }

    /// Starts again from what was committed up to `now`, told to be an older copy that was put back.
    pub fn restore_older(&mut self, now: Timestamp) {
        self.settle(now);
        let mut state = self.model.state();
        state.restored = true;
        self.drain = Drain::with_consumer_limit(self.consumer_limit, self.declared.clone(), state);
    }

    /// Passes over bytes of a stream as if a delta had been dropped on its way.
    pub fn skip_bytes(&mut self, (source, stream): (&str, &str), bytes: u64) {
        let cursor = self.cursors.entry((source.to_owned(), stream.to_owned())).or_default();
        cursor.offset += bytes;
    }

    /// Opens the rotation of the story.
    pub fn start(&mut self, old_key: KeyRef, new_key: KeyRef, now: Timestamp) -> RotationId {
        self.drain.start(an_opening(old_key, new_key), now).expect("no other rotation is open")
    }

    /// Tells the rotation's journal something.
    pub fn tell(&mut self, event: JournalEvent, at: Option<Timestamp>, now: Timestamp) {
        let id = self.rotation();
        self.drain
            .record(&id, event, at, "ops".to_owned(), None, now)
            .expect("the journal takes it");
    }

    /// Returns the rotation of the story.
    pub fn rotation(&self) -> RotationId {
        let open = self.drain.open_rotation(&CredentialName::new(CREDENTIAL)).cloned();
        open.unwrap_or_else(|| RotationId::new(format!("{CREDENTIAL}-1")))
    }

    /// Reads lines of a stream as one chunk at `now`; the newest was written at `written_at`.
    pub fn read(
        &mut self,
        place: (&str, &str),
        lines: &[Line],
        written_at: Timestamp,
        now: Timestamp,
    ) {
        let is_trail = |decl: &SourceDecl| decl.name.as_str() == place.0 && decl.layout == TRAIL;
        let form =
            if self.declared.sources.iter().any(is_trail) { Line::record } else { Line::text };
        let text: String = lines.iter().map(form).collect();
        self.read_text(place, &text, written_at, now);
    }

    /// Reads the text of whole lines of a stream, as [`read`](Self::read) does.
    pub fn read_text(
        &mut self,
        (source, stream): (&str, &str),
        text: &str,
        written_at: Timestamp,
        now: Timestamp,
    ) {
        self.look(now);
        let decl = self.declared.sources.iter().find(|decl| decl.name.as_str() == source);
        let Some(decl) = decl else { return };
        let tolerance = self.declared.credentials.first().map(|c| c.policy.future_tolerance);
        let cursor = self.cursors.entry((source.to_owned(), stream.to_owned())).or_default();
        let context = ChunkContext {
            arrival: now,
            frontier: cursor.frontier,
            last_event: cursor.last_event,
            open_rejects: cursor.open_rejects.clone(),
            allowed_lateness: decl.policy.allowed_lateness,
            future_tolerance: tolerance.unwrap_or(Duration::from_mins(1)),
        };
        let usage =
            self.matchers.get_mut(source).expect("it is declared").scan(text.as_bytes(), &context);
        for issued in &usage.issued {
            // The reader tells all of its sources.
            self.matchers.values_mut().for_each(|matcher| matcher.take_issued(issued));
        }
        let from = cursor.offset;
        cursor.offset += text.len() as u64;
        cursor.frontier = cursor.frontier.max(usage.frontier);
        cursor.last_event = cursor.last_event.max(usage.last_event);
        cursor.open_rejects = usage.open_rejects.clone();
        let to = cursor.offset;
        let delta = a_delta(source, stream, ByteRange { from, to }, now);
        let delta = UsageDelta {
            cells: usage.cells,
            pools: usage.pools,
            issued: usage.issued,
            lines: usage.lines,
            other_keys: usage.other_keys,
            newest_line_at: Some(written_at.min(now)),
            first_event: usage.first_event,
            last_event: usage.last_event,
            frontier: usage.frontier,
            rejected_keys: usage.rejected_keys,
            open_rejects: usage.open_rejects,
            places: usage.places,
            masked_at: usage.masked_at,
            late_by: usage.late_by,
            future_event: usage.future_event,
            ..delta
        };
        self.drain.take_delta(delta.clone());
        self.last = Some(delta);
    }

    /// Hands the last delta in once more, as a sender does that heard no reply.
    pub fn repeat(&mut self) {
        self.drain.take_delta(self.last.clone().expect("a line was read"));
    }

    /// Proves the end of a stream's file at `now`, as `silence = "idle"` asks for.
    pub fn read_to_end(&mut self, (source, stream): (&str, &str), now: Timestamp) {
        self.look(now);
        let cursor = self.cursors.entry((source.to_owned(), stream.to_owned())).or_default();
        cursor.frontier = cursor.frontier.max(Some(now));
        let range = ByteRange { from: cursor.offset, to: cursor.offset };
        let delta = a_delta(source, stream, range, now);
        self.drain.take_delta(UsageDelta {
            last_event: cursor.last_event,
            open_rejects: cursor.open_rejects.clone(),
            frontier: cursor.frontier,
            frontier_assumed: true,
            ..delta
        });
    }

    /// Loses what was written to a stream since its last line.
    pub fn lose(&mut self, place: (&str, &str), now: Timestamp) {
        self.lose_by(GapReason::Truncated, place, now);
    }

    /// The same, for a reason.
    pub fn lose_by(&mut self, reason: GapReason, (source, stream): (&str, &str), now: Timestamp) {
        let cursor = self.cursors.entry((source.to_owned(), stream.to_owned())).or_default();
        let from = cursor.frontier.unwrap_or(now).min(now);
        self.drain.take_gap(Gap {
            source: SourceName::new(source),
            stream: StreamName::new(stream),
            span: Span { from, to: now },
            reason,
            bytes: None,
        });
    }

    /// Reports what the reader sees of every source.
    pub fn look(&mut self, now: Timestamp) {
        if !self.looking {
            return;
        }
        for (source, sight) in &self.sights {
            self.drain.take_status(SourceStatus {
                source: SourceName::new(source.as_str()),
                looked_at: now,
                absent: sight.absent.clone(),
                unreadable: sight.unreadable.clone(),
                refused: sight.refused.clone(),
                weak: sight.weak.clone(),
                masked: sight.masked.clone(),
                streams: sight.streams.values().flatten().cloned().collect(),
                caught_up: !sight.reading,
            });
        }
    }

    /// Decides, commits and notes what happened.
    pub fn settle(&mut self, now: Timestamp) {
        let origin = Timestamp::from_seconds(1_700_000_000);
        let origin = origin.plus(self.stepped).minus(self.stepped_back);
        self.drain.advance(now, now.since(origin));
        self.model.commit(self.drain.take_commit(now));
        while let Some(event) = self.drain.poll_event() {
            self.events.push(event);
        }
    }

    /// Looks, decides and answers.
    pub fn answer(&mut self, now: Timestamp) -> Answer {
        self.look(now);
        self.settle(now);
        let id = self.rotation();
        let snapshot = self.drain.snapshot("test", 0, now);
        let view = snapshot.rotations.into_iter().find(|view| view.answer.rotation == id);
        view.expect("the rotation was started").answer
    }
}

fn a_delta(source: &str, stream: &str, range: ByteRange, now: Timestamp) -> UsageDelta {
    UsageDelta {
        source: SourceName::new(source),
        stream: StreamName::new(stream),
        generation: GenerationNumber(1),
        file: FileId { device: 1, inode: 2, birth: 3, handle: None },
        range,
        skipped: 0,
        inside_overlong: false,
        anchor: Anchor::default(),
        arrival: now,
        cells: Vec::new(),
        pools: Vec::new(),
        issued: Vec::new(),
        lines: Vec::new(),
        other_keys: 0,
        newest_line_at: None,
        first_event: None,
        last_event: None,
        frontier: None,
        frontier_assumed: false,
        rejected_keys: Vec::new(),
        open_rejects: OpenRejects::default(),
        places: Vec::new(),
        masked_at: None,
        late_by: None,
        future_event: false,
    }
}

/// Opens a rotation of the credential, now.
pub fn an_opening(old_key: KeyRef, new_key: KeyRef) -> Opening {
    Opening {
        credential: CredentialName::new(CREDENTIAL),
        old_key,
        new_key,
        started_at: None,
        overlap: None,
        by: "ops".to_owned(),
        note: None,
    }
}

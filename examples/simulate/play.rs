//! Plays a run through the engine as the daemon does, and beside it the naive rules.
//!
//! Every look the new lines are parsed, matched and handed to the engine, which then decides. What
//! falls into an outage is never read; when it ends the reader notices the gap.

use std::sync::Arc;
use std::time::Duration;

use keydrain::engine::answer::Verdict;
use keydrain::engine::coverage::{Gap, GapReason, SourceStatus, StreamStatus};
use keydrain::engine::credential::{CredentialName, FingerprintSecret, SourceName, StreamName};
use keydrain::engine::drain::{CredentialDecl, Declared, Drain, Opening};
use keydrain::engine::evidence::SourceDecl;
use keydrain::engine::parse::LineParser;
use keydrain::engine::policy::{AnonymousConsumers, Completeness, Policy, SourcePolicy};
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::rotation::{Job, KeyRef, RosterEntry, RotationId};
use keydrain::engine::scan::matcher::{ChunkContext, Matcher, TrackedKey};
use keydrain::engine::state::State;
use keydrain::engine::time::{Span, Timestamp};

use crate::log;
use crate::population::{HISTORY, HORIZON, Run};

/// Seconds between two looks.
const LOOK: i64 = 300;
const SOURCE: &str = "edge";
const STREAM: &str = "/var/log/nginx/access.log";

/// When a rule said ready for the first time, in seconds since the history began.
pub type FirstReady = Option<i64>;

/// Midnight of a day in UTC: the history begins here.
fn t(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_772_409_600 + seconds)
}

/// Returns when "nothing seen of the old key for `silence`" first holds, and the new key was seen.
pub fn naive(run: &Run, silence: i64) -> FirstReady {
    let mut seen = run.uses.iter().filter(|used| run.is_logged(used.at)).peekable();
    let (mut last_old, mut new_seen) = (0, false);
    (HISTORY..HORIZON).step_by(usize::try_from(LOOK).unwrap_or(1)).find(|now| {
        while let Some(used) = seen.next_if(|used| used.at <= *now) {
            if used.old {
                last_old = used.at;
            } else {
                new_seen = true;
            }
        }
        new_seen && now - last_old >= silence
    })
}

/// Returns when keydrain first says ready.
pub fn keydrain(run: &Run) -> FirstReady {
    let mut player = Player::new(run);
    let mut now = 0;
    while now < HORIZON {
        now += LOOK;
        player.look(now);
        if now > HISTORY && player.verdict(now) == Verdict::Ready {
            return Some(now);
        }
    }
    None
}

struct Player<'r> {
    run: &'r Run,
    drain: Drain,
    matcher: Matcher,
    rotation: RotationId,
    next_use: usize,
    offset: u64,
    frontier: Option<Timestamp>,
    last_event: Option<Timestamp>,
    missed: bool,
}

impl<'r> Player<'r> {
    fn new(run: &'r Run) -> Self {
        let secret = Arc::new(FingerprintSecret::new(b"simulation".to_vec()));
        let keys = [log::OLD, log::NEW].map(|name| KeyRef {
            name: name.into(),
            fingerprint: secret.fingerprint(name.as_bytes()),
            id: Some(name.into()),
        });
        let parser = LineParser::compile(&log::layout()).expect("the layout is a good one");
        let tracked =
            keys.iter().map(|key| TrackedKey::of(key, AnonymousConsumers::Pooled)).collect();
        let mut drain = Drain::new(declared(run, &keys), State::default());
        let [old_key, new_key] = keys;
        let opening = Opening {
            credential: CredentialName::new("payments-api"),
            old_key,
            new_key,
            started_at: Some(t(HISTORY)),
            overlap: None,
            by: "simulation".to_owned(),
            note: None,
        };
        // The rotation is opened now; what is read of the time before is its history.
        let rotation = drain.start(opening, t(HISTORY)).expect("no other rotation is open");
        Self {
            run,
            drain,
            matcher: Matcher::new(parser, tracked, secret),
            rotation,
            next_use: 0,
            offset: 0,
            frontier: None,
            last_event: None,
            missed: false,
        }
    }

    /// Reads what was written since the last look.
    fn look(&mut self, now: i64) {
        self.drain.take_status(SourceStatus {
            source: SourceName::new(SOURCE),
            looked_at: t(now),
            streams: vec![StreamStatus {
                stream: StreamName::new(STREAM),
                live: true,
                unreadable: None,
                backlog: 0,
                open_generations: 1,
                ends: Vec::new(),
            }],
            absent: Vec::new(),
            unreadable: Vec::new(),
            refused: Vec::new(),
            weak: Vec::new(),
            masked: None,
            caught_up: true,
        });
        let mut text = String::new();
        while let Some(used) = self.run.uses.get(self.next_use).filter(|used| used.at <= now) {
            self.next_use += 1;
            if self.run.is_logged(used.at) {
                let key = if used.old { log::OLD } else { log::NEW };
                log::write(&mut text, used.at, &self.run.consumers[used.consumer].name, key, t);
            }
        }
        if !self.run.is_logged(now) {
            self.missed = true;
            return self.read(&text, now);
        }
        if std::mem::take(&mut self.missed) {
            self.drain.take_gap(Gap {
                source: SourceName::new(SOURCE),
                stream: StreamName::new(STREAM),
                span: Span { from: self.frontier.unwrap_or(t(0)), to: t(now) },
                reason: GapReason::Truncated,
                bytes: None,
            });
        }
        // The host is busy with other things, too.
        log::write(&mut text, now, "-", "-", t);
        self.read(&text, now);
    }

    fn read(&mut self, text: &str, now: i64) {
        if text.is_empty() {
            return;
        }
        let context = ChunkContext {
            arrival: t(now),
            frontier: self.frontier,
            last_event: self.last_event,
            // Every line is understood.
            open_rejects: OpenRejects::default(),
            allowed_lateness: Duration::from_secs(30),
            future_tolerance: Duration::from_mins(1),
        };
        let usage = self.matcher.scan(text.as_bytes(), &context);
        self.frontier = self.frontier.max(usage.frontier);
        self.last_event = self.last_event.max(usage.last_event);
        let from = self.offset;
        self.offset += text.len() as u64;
        self.drain.take_delta(log::delta(usage, (SOURCE, STREAM), from..self.offset, t(now)));
    }

    fn verdict(&mut self, now: i64) -> Verdict {
        self.drain.advance(t(now), Duration::from_secs(now.unsigned_abs()));
        // What the daemon would make durable and publish.
        drop(self.drain.take_commit(t(now)));
        while self.drain.poll_event().is_some() {}
        let views = self.drain.snapshot("simulation", 0, t(now)).rotations;
        let view = views.into_iter().find(|view| view.answer.rotation == self.rotation);
        view.map_or(Verdict::Unknown, |view| view.answer.verdict)
    }
}

/// What the operator wrote into the configuration: defaults, the roster and the jobs.
fn declared(run: &Run, keys: &[KeyRef; 2]) -> Declared {
    let roster = run.consumers.iter().filter(|consumer| consumer.on_roster);
    let roster = roster.map(|consumer| RosterEntry {
        single: consumer.single,
        ..RosterEntry::new(consumer.name.as_str())
    });
    let jobs = run.consumers.iter().filter_map(|consumer| {
        let minute = consumer.job?;
        Some(Job {
            consumer: consumer.name.as_str().into(),
            schedule: format!("{} {} * * *", minute % 60, minute / 60).into(),
            zone: None,
            max_runtime: Duration::from_mins(10),
        })
    });
    Declared {
        sources: vec![SourceDecl {
            name: SourceName::new(SOURCE),
            layout: "key names".to_owned(),
            places: Vec::new(),
            policy: SourcePolicy {
                allowed_lateness: Duration::from_secs(30),
                lateness_assumed: false,
                idle_after: Duration::from_mins(15),
                silence_is_idle: false,
                completeness: Completeness::Complete,
                probes: Vec::new(),
            },
            tracked: keys.iter().map(|key| key.fingerprint).collect(),
        }],
        credentials: vec![CredentialDecl {
            name: CredentialName::new("payments-api"),
            keys: keys.to_vec(),
            sources: vec![SourceName::new(SOURCE)],
            roster: roster.collect(),
            jobs: jobs.collect(),
            policy: Policy {
                min_history: Duration::ZERO,
                max_evidence_lag: Duration::from_mins(31),
                ..Policy::default()
            },
        }],
    }
}

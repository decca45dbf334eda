//! Plays a story look by look: the reader, the daemon's faults and the journal around an engine.
//!
//! Between two looks nothing is read unless a fault or a restart comes: then the reader has read up to
//! that time. Invariant: a look never reads a line that is not in the log yet.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use keydrain::engine::answer::Answer;
use keydrain::engine::credential::SourceName;
use keydrain::engine::rotation::{Attestation, JournalEvent, KeyRef, RotationId};
use keydrain::engine::time::Timestamp;
use keydrain::engine::view::{ConsumerView, RotationView};

use crate::declare::{Wiring, wire};
use crate::servers::{Place, Servers, Written};
use crate::story::{Fault, Start, Story, Told, span};
use crate::world::{Sight, World, live};

/// What the daemon shows at one look.
pub struct Look {
    /// When.
    pub now: Timestamp,
    /// Its answer.
    pub answer: Answer,
    /// The consumers.
    pub consumers: Vec<ConsumerView>,
    /// The rotation.
    pub view: RotationView,
}

#[derive(Clone, Copy)]
enum Step<'s> {
    Start(&'s Start),
    Tell(&'s Told),
    Lose(&'s Fault),
    Restart,
    Reboot,
    Reload(&'s [(String, String)]),
    SetClock(Duration),
}

/// A story being played.
pub struct Play<'s> {
    /// The story.
    pub story: &'s Story,
    /// Its servers.
    pub servers: Servers<'s>,
    /// The configuration in effect.
    pub wiring: Wiring,
    /// Every line there will ever be.
    pub lines: Vec<Written>,
    config: String,
    world: World,
    unread: BTreeMap<Place, VecDeque<Written>>,
    steps: VecDeque<(Timestamp, Step<'s>)>,
    rotation: Option<RotationId>,
}

impl<'s> Play<'s> {
    /// Begins a story, with a restart of the daemon at each of `restarts` besides its own.
    pub fn new(story: &'s Story, restarts: &[Timestamp]) -> Self {
        let wiring = wire(&story.config);
        let servers = Servers::new(story, &wiring);
        let mut world = World::new(wiring.declared.clone());
        world.layouts.clone_from(&wiring.layouts);
        world.reboot();
        let lines = servers.lines();
        let mut unread: BTreeMap<Place, VecDeque<Written>> = BTreeMap::new();
        for line in lines.iter().filter(|line| !is_lost(&servers, line)) {
            unread.entry(line.place.clone()).or_default().push_back(line.clone());
        }
        let mut steps: Vec<(Timestamp, Step<'s>)> = Vec::new();
        steps.extend(story.rotation.iter().map(|s| (story.at(&s.started), Step::Start(s))));
        steps.extend(story.event.iter().map(|told| (story.at(&told.at), Step::Tell(told))));
        let awake = restarts.iter().filter(|at| !is_down(story, **at));
        steps.extend(awake.map(|at| (*at, Step::Restart)));
        for fault in &story.fault {
            steps.push(match fault {
                Fault::LostLines { to, .. } => (story.at(to), Step::Lose(fault)),
                Fault::Restart { at } => (story.at(at), Step::Restart),
                Fault::Down { to, .. } => (story.at(to), Step::Reboot),
                Fault::Reload { at, change } => (story.at(at), Step::Reload(change)),
                // The first time that there is after the step.
                Fault::ClockStep { at, forward } => {
                    let forward = span(forward);
                    (story.at(at).plus(forward), Step::SetClock(forward))
                }
                _ => continue,
            });
        }
        steps.sort_by_key(|(at, _)| *at);
        let (config, steps) = (story.config.clone(), steps.into());
        let rotation = None;
        Self { story, servers, wiring, lines, config, world, unread, steps, rotation }
    }

    /// Looks at `now`; `None` while the daemon is down or no rotation was started.
    pub fn look(&mut self, now: Timestamp) -> Option<Look> {
        while let Some((at, step)) = self.steps.front().copied().filter(|(at, _)| *at <= now) {
            self.steps.pop_front();
            // What is not committed is lost with the process: it reads nothing before it starts.
            if !matches!(step, Step::Reboot) {
                self.read(at);
            }
            self.take(step, at);
        }
        if is_down(self.story, now) {
            return None;
        }
        self.read(now);
        self.world.look(now);
        self.world.settle(now);
        let id = self.rotation.as_ref()?;
        let snapshot = self.world.drain.snapshot("test", 0, now);
        let view = snapshot.rotations.into_iter().find(|view| view.rotation.declaration.id == *id);
        let view = view.expect("the rotation was started");
        let consumers = self.world.drain.consumers(id, now).expect("the rotation is known");
        Some(Look { now, answer: view.answer.clone(), consumers, view })
    }

    /// Reads what shows in the logs by `now`.
    fn read(&mut self, now: Timestamp) {
        if is_down(self.story, now) {
            return;
        }
        self.world.sights = self.sights(now);
        let mut unread = std::mem::take(&mut self.unread);
        for (place, waiting) in &mut unread {
            if self.is_closed(place, now) {
                continue;
            }
            let shown = waiting.iter().take_while(|line| line.at <= now).count();
            let Some(last) = shown.checked_sub(1).map(|last| waiting[last].at) else { continue };
            let text: String =
                waiting.drain(..shown).map(|line| self.servers.text(&line)).collect();
            self.world.read_text((&place.0, &place.1), &text, last, now);
        }
        for source in &self.wiring.config.sources {
            let name = source.name.as_str().to_owned();
            for stream in
                self.servers.streams[&name].iter().filter(|_| source.policy.silence_is_idle)
            {
                let place = (name.clone(), stream.clone());
                let at_end =
                    unread.get(&place).is_none_or(|w| w.front().is_none_or(|l| l.at > now));
                if at_end && !self.is_closed(&place, now) {
                    self.world.read_to_end((&name, stream), now);
                }
            }
        }
        self.unread = unread;
    }

    fn take(&mut self, step: Step<'s>, at: Timestamp) {
        match step {
            Step::Start(start) => {
                let (old, new) = (self.key(&start.old_key), self.key(&start.new_key));
                self.rotation = Some(self.world.start(old, new, at));
            }
            Step::Tell(told) => {
                let happened = told.happened.as_ref().map(|happened| self.story.at(happened));
                let id = self.rotation.clone().expect("a journal needs a rotation");
                let event = event_of(self.story, told);
                let by = "ops".to_owned();
                let taken = self.world.drain.record(&id, event, happened, by, None, at);
                taken.unwrap_or_else(|refused| panic!("{told:?}: {refused}"));
            }
            Step::Lose(fault) => {
                let Fault::LostLines { source, stream, .. } = fault else { return };
                for place in self.unread.keys().cloned().collect::<Vec<Place>>() {
                    if self.servers.concerns((source.as_ref(), stream.as_ref()), &place) {
                        self.world.lose((&place.0, &place.1), at);
                    }
                }
            }
            Step::Restart => self.world.restart(at),
            Step::Reboot => self.world.reboot(),
            Step::Reload(change) => self.reload(change, at),
            Step::SetClock(forward) => self.world.stepped += forward,
        }
    }

    fn reload(&mut self, change: &[(String, String)], at: Timestamp) {
        for (old, new) in change {
            assert_eq!(self.config.matches(old).count(), 1, "`{old}` stands once in the config");
            self.config = self.config.replace(old, new);
        }
        self.wiring = wire(&self.config);
        self.world.layouts.clone_from(&self.wiring.layouts);
        let declared = self.wiring.declared.clone();
        self.world.reconfigure(|old| old.clone_from(&declared));
        self.world.restart(at);
    }

    /// Returns what the reader sees of every source at `now`.
    fn sights(&self, now: Timestamp) -> BTreeMap<String, Sight> {
        let mut sights = BTreeMap::new();
        for source in &self.wiring.config.sources {
            let name = source.name.as_str().to_owned();
            let mut sight = Sight::default();
            let there = |stream: &&String| self.servers.appears(stream) <= now;
            for stream in self.servers.streams[&name].iter().filter(there) {
                sight.streams.insert(stream.clone(), Some(live(stream)));
            }
            for fault in &self.story.fault {
                match fault {
                    Fault::Absent { from, to, source: told }
                        if self.servers.source(told.as_ref()) == name
                            && self.within(from, to, now) =>
                    {
                        sight.absent.clone_from(&source.paths);
                        sight.streams.clear();
                    }
                    Fault::Unreadable { from, to, source: told }
                        if self.servers.source(told.as_ref()) == name
                            && self.within(from, to, now) =>
                    {
                        let denied = "permission denied".to_owned();
                        sight.unreadable.push((source.paths[0].clone(), denied));
                    }
                    Fault::Gone { from, to, source: told, stream }
                        if self.servers.source(told.as_ref()) == name
                            && self.within(from, to, now) =>
                    {
                        sight.streams.insert(stream.clone(), None);
                    }
                    _ => {}
                }
            }
            sights.insert(name, sight);
        }
        sights
    }

    /// Tells whether the reader cannot read the log at `now`.
    fn is_closed(&self, place: &Place, now: Timestamp) -> bool {
        let declared = self.wiring.config.source(&SourceName::new(place.0.as_str()));
        let faults = self.story.fault.iter();
        declared.is_none()
            || faults.filter(|fault| self.is_on(fault, now)).any(|fault| match fault {
                Fault::Absent { source, .. } | Fault::Unreadable { source, .. } => {
                    self.servers.concerns((source.as_ref(), None), place)
                }
                Fault::Gone { source, stream, .. } => {
                    self.servers.concerns((source.as_ref(), Some(stream)), place)
                }
                _ => false,
            })
    }

    fn is_on(&self, fault: &Fault, now: Timestamp) -> bool {
        match fault {
            Fault::Absent { from, to, .. }
            | Fault::Unreadable { from, to, .. }
            | Fault::Gone { from, to, .. } => self.within(from, to, now),
            _ => false,
        }
    }

    fn within(&self, from: &str, to: &str, now: Timestamp) -> bool {
        self.story.at(from) <= now && now < self.story.at(to)
    }

    /// Returns the key of this name in the config.
    fn key(&self, name: &str) -> KeyRef {
        let mut keys = self.wiring.declared.credentials.iter().flat_map(|c| &c.keys);
        let found = keys.find(|key| *key.name == *name);
        found.unwrap_or_else(|| panic!("no key `{name}` in the config")).clone()
    }
}

/// Tells whether there is no daemon at `now`, or no such time.
fn is_down(story: &Story, now: Timestamp) -> bool {
    story.fault.iter().any(|fault| match fault {
        Fault::Down { from, to } => story.at(from) <= now && now < story.at(to),
        Fault::ClockStep { at, forward } => {
            let at = story.at(at);
            at < now && now < at.plus(span(forward))
        }
        _ => false,
    })
}

fn is_lost(servers: &Servers<'_>, line: &Written) -> bool {
    let story = servers.story;
    story.fault.iter().any(|fault| {
        let Fault::LostLines { from, to, source, stream } = fault else { return false };
        servers.concerns((source.as_ref(), stream.as_ref()), &line.place)
            && story.at(from) <= line.at
            && line.at < story.at(to)
    })
}

fn event_of(story: &Story, told: &Told) -> JournalEvent {
    let consumer = || told.consumer.as_deref().expect("an event about a consumer").into();
    match told.kind.as_str() {
        "dual_accept_enabled" => JournalEvent::DualAcceptEnabled,
        "consumers_notified" => JournalEvent::ConsumersNotified,
        "propagated" => JournalEvent::Propagated,
        "job_started" => JournalEvent::JobStarted(consumer()),
        "job_finished" => JournalEvent::JobFinished(consumer()),
        "attested" => {
            let what = told.what.as_deref().expect("what is attested");
            let known = Attestation::ALL.into_iter().find(|known| known.as_str() == what);
            JournalEvent::Attested(known.expect("something that can be attested"))
        }
        "incident_opened" => JournalEvent::IncidentOpened,
        "incident_closed" => JournalEvent::IncidentClosed,
        "manual_intervention" => JournalEvent::ManualIntervention,
        "hold" => JournalEvent::Hold,
        "release" => JournalEvent::Release,
        "consumer_retired" => JournalEvent::ConsumerRetired(consumer()),
        "consumer_waived" => {
            let until = told.until.as_deref().expect("a waiver has an end");
            JournalEvent::ConsumerWaived(consumer(), story.at(until))
        }
        "source_retired" => {
            let source = told.source.as_deref().expect("a source is retired");
            let stream = told.stream.as_deref();
            JournalEvent::SourceRetired(
                SourceName::new(source),
                stream.map(keydrain::engine::credential::StreamName::new),
            )
        }
        "revoked" => JournalEvent::Revoked,
        "rolled_back" => JournalEvent::RolledBack,
        "override" => JournalEvent::Override,
        other => panic!("`{other}` is no event that a story tells"),
    }
}

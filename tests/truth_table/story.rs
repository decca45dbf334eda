//! Stories: what happened and when, told once and asked at any moment.
//!
//! Steps are told in any order and happen in order of their time, so one story can be asked on
//! both sides of a boundary. Times are of March 2026: `"10:00:00"` is on the 2nd, `"5 10:00:00"`
//! on the 5th; fractions of a second go down to a nanosecond.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use keydrain::engine::answer::Answer;
use keydrain::engine::drain::Declared;
use keydrain::engine::policy::Policy;
use keydrain::engine::rotation::{Job, JournalEvent, KeyRef, RosterEntry};
use keydrain::engine::time::Timestamp;

pub use crate::checks::{blocker, check, says, standing, stands_until};
use crate::world::{
    ACCESS_LOG, EDGE, Line, NEW, NO_KEY, OLD, Sight, World, key_ref, live, one_host,
};

/// Reads a time of March 2026, or a whole RFC 3339 one.
pub fn at(text: &str) -> Timestamp {
    if let Ok(whole) = text.parse() {
        return whole;
    }
    let (day, time) = text.split_once(' ').unwrap_or(("2", text));
    format!("2026-03-{day:0>2}T{time}Z").parse().expect("a time like 10:00:00 or 5 10:00:00")
}

/// The smallest step of time.
pub const INSTANT: Duration = Duration::from_nanos(1);

/// Makes a duration of minutes.
pub fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

/// Makes an entry of a roster.
pub fn on_roster(name: &str) -> RosterEntry {
    RosterEntry::new(name)
}

/// Returns the policy of most rows: quiet for 15 min and 5 s, and no other period to wait for.
pub fn plain_policy() -> Policy {
    Policy {
        quiet_period: minutes(15),
        monitoring_cycle: minutes(5),
        min_history: Duration::ZERO,
        min_overlap: Some(Duration::ZERO),
        ..Policy::default()
    }
}

type Change = Rc<dyn Fn(&mut World)>;

#[derive(Clone)]
struct Step {
    at: Timestamp,
    what: What,
}

#[derive(Clone)]
enum What {
    Start(KeyRef, KeyRef),
    Line { place: (String, String), line: Line, written_at: Timestamp },
    Tell(JournalEvent, Option<Timestamp>),
    Change(Change),
}

/// What happened, and when.
#[derive(Clone)]
pub struct Story {
    declared: Declared,
    steps: Vec<Step>,
    keys: (KeyRef, KeyRef),
    started_at: Timestamp,
    place: (String, String),
    heard_on: BTreeSet<(String, String)>,
}

impl Default for Story {
    fn default() -> Self {
        Self::new()
    }
}

impl Story {
    /// Begins a story: one host, [`plain_policy`], no roster, a rotation started at 09:00:00.
    pub fn new() -> Self {
        Self {
            declared: one_host(plain_policy()),
            steps: Vec::new(),
            keys: (key_ref(OLD), key_ref(NEW)),
            started_at: at("09:00:00"),
            place: (EDGE.to_owned(), ACCESS_LOG.to_owned()),
            heard_on: BTreeSet::from([(EDGE.to_owned(), ACCESS_LOG.to_owned())]),
        }
    }

    // What is declared.

    /// Changes the configuration.
    pub fn declared(mut self, change: impl Fn(&mut Declared)) -> Self {
        change(&mut self.declared);
        self
    }

    /// Changes the policy.
    pub fn policy(self, change: impl Fn(&mut Policy)) -> Self {
        self.declared(|declared| change(&mut declared.credentials[0].policy))
    }

    /// Declares consumers.
    pub fn roster(self, entries: impl IntoIterator<Item = RosterEntry>) -> Self {
        let entries: Vec<RosterEntry> = entries.into_iter().collect();
        self.declared(|declared| declared.credentials[0].roster.extend(entries.iter().cloned()))
    }

    /// Declares a job: its consumer, its schedule and how long a run lasts at most.
    pub fn job(self, consumer: &str, schedule: &str, max_runtime: Duration) -> Self {
        let (schedule, zone) = match schedule.split_once(" in ") {
            Some((schedule, zone)) => (schedule, Some(zone.into())),
            None => (schedule, None),
        };
        let job = Job { consumer: consumer.into(), schedule: schedule.into(), zone, max_runtime };
        self.declared(|declared| declared.credentials[0].jobs.push(job.clone()))
    }

    /// Starts the rotation at another time.
    pub fn started(mut self, when: &str) -> Self {
        self.started_at = at(when);
        self
    }

    /// Declares another old key than the log shows.
    pub fn old_key(mut self, name: &str) -> Self {
        self.keys.0 = key_ref(name);
        self
    }

    /// Declares another new key than the log shows.
    pub fn new_key(mut self, name: &str) -> Self {
        self.keys.1 = key_ref(name);
        self
    }

    // What happens.

    /// Lets `change` happen to the world at `when`.
    pub fn then(mut self, when: &str, change: impl Fn(&mut World) + 'static) -> Self {
        self.steps.push(Step { at: at(when), what: What::Change(Rc::new(change)) });
        self
    }

    /// Tells the following lines of another stream.
    pub fn on(mut self, source: &str, stream: &str) -> Self {
        self.place = (source.to_owned(), stream.to_owned());
        self.heard_on.insert(self.place.clone());
        let (source, stream) = (source.to_owned(), stream.to_owned());
        let from = self.started_at.min(at("1 00:00:00"));
        let appears = move |world: &mut World| {
            let sight = world.sights.entry(source.clone()).or_default();
            sight.streams.entry(stream.clone()).or_insert_with(|| Some(live(&stream)));
        };
        self.steps.push(Step { at: from, what: What::Change(Rc::new(appears)) });
        self
    }

    /// A request with `key` by `consumer`, answered with `status`, logged and read at once.
    pub fn line(self, when: &str, key: &str, consumer: &str, status: u16) -> Self {
        self.line_read(when, when, key, consumer, status)
    }

    /// A request that was logged at `when` and only read at `read`.
    pub fn line_read(
        mut self,
        when: &str,
        read: &str,
        key: &str,
        consumer: &str,
        status: u16,
    ) -> Self {
        let (event_at, read) = (at(when), at(read));
        self.push_line(a_line(event_at, key, consumer, status), event_at.min(read), read);
        self
    }

    /// A request that began to show in the log only at `written`.
    pub fn line_written(mut self, when: &str, written: &str, key: &str, consumer: &str) -> Self {
        let (event_at, written) = (at(when), at(written));
        self.push_line(a_line(event_at, key, consumer, 200), written, written);
        self
    }

    /// An accepted request with `key` by `consumer` that was given the key `child` of a session.
    pub fn issues(mut self, when: &str, key: &str, consumer: &str, child: &str) -> Self {
        let line = a_line(at(when), &format!("{key}>{child}"), consumer, 200);
        self.push_line(line, at(when), at(when));
        self
    }

    /// A line that nobody can understand, written and read at `when`.
    pub fn garbled(self, when: &str, key: &str) -> Self {
        self.garbled_read(when, when, key)
    }

    /// A line that nobody can understand, written at `when` and only read at `read`.
    pub fn garbled_read(mut self, when: &str, read: &str, key: &str) -> Self {
        let line = Line { garbled: true, ..a_line(at(when), key, "checkout", 200) };
        self.push_line(line, at(when), at(read));
        self
    }

    /// A request without a key at each of `times`, all of them only read at `read`.
    pub fn heartbeats_read<'t>(
        mut self,
        times: impl IntoIterator<Item = &'t str>,
        read: &str,
    ) -> Self {
        for when in times {
            self = self.line_read(when, read, NO_KEY, "-", 200);
        }
        self
    }

    /// An accepted request with `key` by `consumer` at each of `times`.
    pub fn uses<'t>(
        mut self,
        key: &str,
        consumer: &str,
        times: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        for when in times {
            self = self.line(when, key, consumer, 200);
        }
        self
    }

    /// A request without a key every minute, from `from` to `to`, both included.
    pub fn heartbeats(self, from: &str, to: &str) -> Self {
        self.heartbeats_every(Duration::from_mins(1), from, to)
    }

    /// A request without a key every so often, from `from` to `to`, both included.
    pub fn heartbeats_every(mut self, every: Duration, from: &str, to: &str) -> Self {
        let (mut next, to) = (at(from), at(to));
        while next <= to {
            self.push_line(a_line(next, NO_KEY, "-", 200), next, next);
            next = next.plus(every);
        }
        self
    }

    /// The journal hears of `event` at `when`.
    pub fn told(mut self, when: &str, event: JournalEvent) -> Self {
        self.steps.push(Step { at: at(when), what: What::Tell(event, None) });
        self
    }

    /// The journal hears at `when` that `event` happened at `happened`.
    pub fn told_of(mut self, when: &str, happened: &str, event: JournalEvent) -> Self {
        self.steps.push(Step { at: at(when), what: What::Tell(event, Some(at(happened))) });
        self
    }

    /// The daemon decides at `when`, commits and publishes.
    pub fn asked(self, when: &str) -> Self {
        let now = at(when);
        self.then(when, move |world| {
            world.answer(now);
        })
    }

    /// The daemon is stopped and started at `when`.
    pub fn restarted(self, when: &str) -> Self {
        self.reconfigured(when, |_| {})
    }

    /// The daemon is stopped and started with another configuration at `when`.
    pub fn reconfigured(self, when: &str, change: impl Fn(&mut Declared) + 'static) -> Self {
        let now = at(when);
        self.then(when, move |world| {
            world.reconfigure(&change);
            world.restart(now);
            world.look(now);
            world.settle(now);
        })
    }

    /// The reader sees the source of the story otherwise from `when` on.
    pub fn seen(self, when: &str, change: impl Fn(&mut Sight) + 'static) -> Self {
        let source = self.place.0.clone();
        self.then(when, move |world| change(world.sights.entry(source.clone()).or_default()))
    }

    /// Lines that were written since the last one are lost at `when`.
    pub fn lost(self, when: &str) -> Self {
        let (place, now) = (self.place.clone(), at(when));
        self.then(when, move |world| world.lose((&place.0, &place.1), now))
    }

    fn push_line(&mut self, line: Line, written_at: Timestamp, read: Timestamp) {
        let place = self.place.clone();
        self.steps.push(Step { at: read, what: What::Line { place, line, written_at } });
    }

    // What is asked.

    /// Runs the story up to `now`, which is included.
    pub fn world(&self, now: Timestamp) -> World {
        let mut steps = self.steps.clone();
        let (old, new) = self.keys.clone();
        // The start comes first of what happens at its time.
        steps.insert(0, Step { at: self.started_at, what: What::Start(old, new) });
        steps.sort_by_key(|step| step.at);
        let mut world = World::new(self.declared.clone());
        let mut looked = false;
        for step in steps.into_iter().filter(|step| step.at <= now) {
            if !std::mem::replace(&mut looked, true) {
                world.look(step.at);
            }
            match step.what {
                What::Start(old, new) => {
                    world.start(old, new, step.at);
                }
                What::Line { place, line, written_at } => {
                    world.read((&place.0, &place.1), &[line], written_at, step.at);
                }
                What::Tell(event, happened) => world.tell(event, happened, step.at),
                What::Change(change) => change(&mut world),
            }
        }
        world
    }

    /// Asks at `now`.
    pub fn answer_at(&self, now: Timestamp) -> Answer {
        self.world(now).answer(now)
    }

    /// Asks at a time, with nothing read since the last step.
    pub fn answer(&self, now: &str) -> Answer {
        self.answer_at(at(now))
    }

    /// Asks at `now`, at which every stream shows one more line without a key.
    pub fn busy_at(&self, now: Timestamp) -> Answer {
        let mut world = self.world(now);
        for (source, stream) in &self.heard_on {
            // Dated to the next millisecond, which counts as now: the format has no finer time.
            let line = a_line(now.plus(Duration::from_nanos(999_999)), NO_KEY, "-", 200);
            world.read((source, stream), &[line], now, now);
        }
        world.answer(now)
    }

    /// Asks at a time at which every stream shows one more line without a key.
    pub fn busy(&self, now: &str) -> Answer {
        self.busy_at(at(now))
    }
}

fn a_line(event_at: Timestamp, key: &str, consumer: &str, status: u16) -> Line {
    Line { event_at, key: key.to_owned(), consumer: consumer.to_owned(), status, garbled: false }
}

/// One consumer, last on the old key at 10:00:00 and on the new one from 10:01:00 on.
pub fn moved_over() -> Story {
    moved_over_by("11:00:00")
}

/// As [`moved_over`], with heartbeats up to `end`.
pub fn moved_over_by(end: &str) -> Story {
    Story::new()
        .heartbeats("09:00:00", end)
        .uses(OLD, "checkout", ["09:59:58", "09:59:59", "10:00:00"])
        .uses(NEW, "checkout", ["10:01:00", "10:02:00"])
}

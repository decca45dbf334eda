//! What is true at a moment of a history, whether or not anybody has read it, and what of it was
//! declared or shown to the reader by then.
//!
//! Written from the promise, not from the engine: plain lists of seconds.

use std::collections::{BTreeMap, BTreeSet};

use keydrain::engine::policy::{Policy, ThresholdOf};
use keydrain::engine::rotation::JournalEvent;

use crate::history::{Entry, History, LATENESS, Step, t};
use crate::people::Person;
use crate::sketch::Kind;
use crate::world::{NEW, OLD};

/// A history at a moment.
pub struct Truth<'h> {
    history: &'h History,
    now: i64,
    pub policy: Policy,
    consumers: BTreeMap<&'static str, Consumer>,
}

/// One consumer at that moment: seconds, in ascending order.
#[derive(Default)]
struct Consumer {
    /// Uses of the old key that were written.
    old: BTreeSet<i64>,
    /// Those of them that were read; one that came too late also at its arrival.
    old_read: BTreeSet<i64>,
    /// Those that were read, by when they count: one that came too late from its arrival.
    old_counted: BTreeSet<i64>,
    /// Those that were read in time.
    old_in_time: BTreeSet<i64>,
    /// Accepted uses of the new key that were read.
    new_read: BTreeSet<i64>,
    /// First use of the old key that is not written yet, of those that come in time.
    next_old: Option<i64>,
}

impl Consumer {
    fn largest_gap(&self) -> i64 {
        largest_gap(&self.old_read)
    }

    fn samples(&self, session_gap: i64) -> u64 {
        samples(&self.old_read, session_gap)
    }
}

/// A use that contradicts a `ready`.
#[derive(Debug)]
#[expect(dead_code, reason = "shown where a law fails")]
pub struct Contradiction {
    consumer: &'static str,
    at: i64,
    why: &'static str,
}

impl<'h> Truth<'h> {
    /// Looks at a history at second `now`, after everything that could be read was.
    pub fn at(history: &'h History, now: i64) -> Self {
        let mut consumers: BTreeMap<&'static str, Consumer> = BTreeMap::new();
        for person in &history.people {
            consumers.entry(person.name).or_default();
        }
        for entry in history.entries() {
            if entry.key == OLD || entry.key == NEW {
                note(consumers.entry(entry.consumer).or_default(), entry, history, now);
            }
        }
        Self { history, now, policy: history.policy_at(now), consumers }
    }

    /// Returns a use of the old key in `(from, to)` that is written by now, whether it was read or
    /// not: by anybody who is not excused.
    pub fn used_between(&self, from: i64, to: i64) -> Option<Contradiction> {
        let mut uses = self.history.entries().filter(|e| {
            let within = from < e.event && e.event < to && e.written <= self.now;
            e.key == OLD && within && !e.too_late && !self.may_be_tolerated(e.consumer)
        });
        let found = uses.find(|e| !self.is_waived(e.consumer))?;
        Some(Contradiction { consumer: found.consumer, at: found.event, why: "within the window" })
    }

    /// Returns the most uses of the old key, by those whom the threshold may be about, that a span
    /// as long as the quiet period holds within `(from, to)`.
    pub fn most_tolerated(&self, from: i64, to: i64) -> u64 {
        let quiet = seconds(self.policy.quiet_period);
        let uses = self.history.entries().filter(|e| {
            let within = from < e.event && e.event < to && e.written <= self.now;
            e.key == OLD && within && !e.too_late && self.may_be_tolerated(e.consumer)
        });
        let uses: Vec<i64> =
            uses.filter(|e| !self.is_waived(e.consumer)).map(|e| e.event).collect();
        let held = |from: i64| uses.iter().filter(|at| (from..from + quiet).contains(*at)).count();
        uses.iter().map(|from| held(*from)).max().unwrap_or(0) as u64
    }

    /// Returns a use of the old key that is still to come and that was to be expected.
    pub fn covered_later(&self) -> Option<Contradiction> {
        self.consumers.iter().find_map(|(name, consumer)| {
            let at = consumer.next_old?;
            let why = self.why_expected(name, consumer, at)?;
            Some(Contradiction { consumer: name, at, why })
        })
    }

    /// Tells whether nothing was read of the old key for as long as the quiet period, and
    /// somebody uses the new one: where many would revoke.
    pub fn looks_quiet(&self) -> bool {
        let last = self.consumers.values().filter_map(|it| it.old_read.last()).max();
        let quiet = seconds(self.policy.quiet_period);
        last.is_some_and(|last| self.now - last > quiet)
    }

    /// Tells whether somebody uses the old key later who is not excused.
    pub fn is_still_used(&self) -> bool {
        let later = self.consumers.iter().filter(|(_, consumer)| consumer.next_old.is_some());
        let mut names = later.map(|(name, _)| name);
        names.any(|name| !self.is_waived(name) && !self.may_be_tolerated(name))
    }

    /// Says why a use at second `at` was to be expected of a consumer; `None` if nothing that was
    /// declared or seen speaks for it.
    fn why_expected(&self, name: &str, consumer: &Consumer, at: i64) -> Option<&'static str> {
        let person = self.person(name);
        let is_single = person.is_some_and(|it| it.kind == Kind::Single);
        let is_listed = person.is_some_and(|it| it.roster.is_some());
        let has_job = person.is_some_and(|it| it.job.is_some());
        let is_known = is_listed || has_job || !consumer.old_read.is_empty();
        let is_synthetic = person.is_some_and(|it| it.kind == Kind::HealthCheck);
        let excused = self.is_waived(name) || self.is_retired(name, consumer);
        if !is_known || is_synthetic || excused || self.may_be_tolerated(name) {
            return None;
        }
        let gap = consumer.largest_gap();
        let stretched =
            f64::from(i32::try_from(gap).expect("some hours")) * self.policy.cadence_factor;
        #[expect(clippy::cast_possible_truncation, reason = "some hours at most")]
        let stretched = stretched as i64;
        let Some(first_new) = consumer.new_read.first() else {
            if has_job {
                return Some("its job has not run on the new key");
            }
            let known = consumer.samples(seconds(self.policy.session_gap));
            if known < self.policy.cadence_min_samples.max(1) {
                return Some("it has not moved, and its cadence is not known");
            }
            let last = consumer.old.last()?;
            return (at - last <= stretched).then_some("it has not moved, and is not gone");
        };
        let last = consumer.old.last()?;
        let mixed = consumer.old_read.last().is_some_and(|last| last >= first_new);
        let bound = match (is_single, mixed) {
            (true, _) => 0,
            (false, true) => stretched,
            (false, false) => gap,
        };
        let bound = bound.max(seconds(self.policy.quiet_period));
        if Self::went_back_unseen(consumer, bound) {
            return None;
        }
        if at - last <= bound {
            return Some("it was never silent for longer before");
        }
        let moved = consumer.new_read.range(consumer.old_read.last()?..).next();
        let Some(moved) = moved else {
            // Back on the old key: it has not moved.
            let known = consumer.samples(seconds(self.policy.session_gap));
            let unknown = known < self.policy.cadence_min_samples.max(1);
            return unknown.then_some("it went back, and its cadence is not known");
        };
        let own = person.and_then(|it| it.roster.as_ref());
        let own = own.map_or(0, |it| seconds(it.max_cache_ttl + it.max_connection_lifetime));
        let exposure = self.policy.max_cache_ttl + self.policy.max_connection_lifetime;
        let exposed = moved + own.max(seconds(exposure));
        (at <= exposed).then_some("its caches and connections may hold the key")
    }

    /// Tells whether it had moved, silent for longer than ever, and then used the old key in a line
    /// that is lost: nobody could foresee that use, and nobody saw it.
    fn went_back_unseen(consumer: &Consumer, bound: i64) -> bool {
        let Some(read) = consumer.old_read.last() else { return false };
        let unseen = consumer.old.range(read + 1..).next();
        unseen.is_some_and(|unseen| {
            unseen - read > bound && consumer.new_read.range(read..unseen).next().is_some()
        })
    }

    /// Multiplies by the cadence factor.
    fn stretched(&self, gap: i64) -> i64 {
        let gap = f64::from(i32::try_from(gap).expect("some hours"));
        #[expect(clippy::cast_possible_truncation, reason = "some hours at most")]
        let stretched = (gap * self.policy.cadence_factor) as i64;
        stretched
    }

    /// Returns the second after which nothing is missing any more but time: everybody uses the new
    /// key, and every log shows keys. `None` if that never comes.
    pub fn last_obstacle(&self) -> Option<i64> {
        let history = self.history;
        let arrival = |e: &&Entry| read_at(e, history).unwrap_or(e.written + history.look);
        let old = history.entries().filter(|e| e.key == OLD || e.lost);
        let lost = history.entries().filter(|e| e.lost).map(|e| e.written + history.look);
        let outages = history.outages.iter().map(|(_, _, to)| *to + history.look);
        let steps = history.steps.iter().map(|(at, _)| *at + history.look);
        let broken = lost.chain(outages).chain(steps).chain([0]).max()?;
        let last_old = old.map(|e| arrival(&e)).max()?;
        let mut over = broken.max(last_old);
        for source in 0..history.logs.len() {
            let shows = |e: &&Entry| (e.key == OLD || e.key == NEW) && !e.lost && !e.garbled;
            let since = history.logs[source].iter().filter(|e| e.written >= broken);
            over = over.max(since.filter(shows).map(|e| arrival(&e)).min()?);
        }
        // The new key after the last use of the old one: by anybody, and by each that moves.
        let last_use = self.consumers.values().filter_map(|it| it.old_counted.last()).max()?;
        let after =
            |name: &str, at: i64| self.consumers[name].new_read.range(at + 1..).next().copied();
        over = over.max(after("beacon", *last_use)?);
        for (name, consumer) in &self.consumers {
            let own_last = consumer.old_counted.last().copied().unwrap_or(0);
            match self.person(name).map(|person| person.kind) {
                Some(Kind::Waived | Kind::HealthCheck) => {}
                // One that was read after it was retired is not.
                Some(Kind::Retired) => self.is_retired(name, consumer).then_some(())?,
                Some(Kind::Dies) => self.is_known_to_be_gone(consumer).then_some(())?,
                _ => over = over.max(after(name, own_last)?),
            }
        }
        Some(over)
    }

    /// Tells whether its cadence is known whatever loss meets its gaps.
    fn is_known_to_be_gone(&self, consumer: &Consumer) -> bool {
        let lost = self.history.entries().filter(|e| e.lost).map(|e| e.written / 60);
        let lost: BTreeSet<i64> = lost.collect();
        // What came too late makes no session.
        let known = samples(&consumer.old_in_time, seconds(self.policy.session_gap));
        known >= self.policy.cadence_min_samples + 2 * lost.len() as u64
    }

    /// Returns the second after which everybody has been silent for as long as it takes, if nothing
    /// is lost after `over`.
    pub fn silent_after(&self, over: i64) -> i64 {
        let lost = self.history.entries().any(|e| e.lost);
        let quiet = seconds(self.policy.quiet_period);
        let each = self.consumers.values().filter_map(|consumer| {
            let from = if lost { over } else { *consumer.old_counted.last()? };
            let gap = largest_gap(&consumer.old_counted).max(consumer.largest_gap());
            let gap = gap.max(largest_gap(&consumer.old_in_time));
            Some(from + self.stretched(gap).max(quiet))
        });
        each.max().unwrap_or(over)
    }

    /// Returns the longest time that caches and connections are given.
    pub fn exposure(&self) -> i64 {
        let people = self.history.people.iter().filter_map(|person| person.roster.as_ref());
        let own = people.map(|it| it.max_cache_ttl + it.max_connection_lifetime).max();
        let all = self.policy.max_cache_ttl + self.policy.max_connection_lifetime;
        seconds(own.unwrap_or_default().max(all))
    }

    /// Returns by how much a line was late at most.
    pub fn lateness(&self) -> i64 {
        let late = self.history.entries().map(|e| e.written - e.event);
        late.chain([LATENESS]).max().unwrap_or(LATENESS)
    }

    fn person(&self, name: &str) -> Option<&Person> {
        self.history.people.iter().find(|person| person.name == name)
    }

    fn told(&self) -> impl Iterator<Item = &JournalEvent> {
        let told = self.history.steps.iter().filter(|(at, _)| *at <= self.now);
        told.filter_map(|(_, step)| match step {
            Step::Tell(event) => Some(event),
            _ => None,
        })
    }

    fn is_waived(&self, name: &str) -> bool {
        self.told().any(|event| {
            matches!(event, JournalEvent::ConsumerWaived(who, until)
                if **who == *name && t(self.now) < *until)
        })
    }

    fn is_retired(&self, name: &str, consumer: &Consumer) -> bool {
        self.history.steps.iter().filter(|(at, _)| *at <= self.now).any(|(at, step)| {
            matches!(step, Step::Tell(JournalEvent::ConsumerRetired(who))
                if **who == *name && consumer.old_read.range(at..).next().is_none())
        })
    }

    /// Tells whether the threshold may be about a consumer.
    fn may_be_tolerated(&self, name: &str) -> bool {
        let all = self.policy.threshold_of == ThresholdOf::All;
        let is_synthetic = self.person(name).is_some_and(|it| it.kind == Kind::HealthCheck);
        self.policy.threshold > 0 && (all || name == "-") && !is_synthetic
    }
}

fn note(consumer: &mut Consumer, entry: &Entry, history: &History, now: i64) {
    let is_old = entry.key == OLD;
    if entry.written > now {
        if is_old && !entry.too_late {
            consumer.next_old = consumer.next_old.into_iter().chain([entry.event]).min();
        }
        return;
    }
    let read = read_at(entry, history);
    let was_read = read.is_some_and(|at| at <= now);
    if is_old {
        consumer.old.insert(entry.event);
        consumer.old_read.extend(was_read.then_some(entry.event));
        consumer.old_read.extend(read.filter(|at| *at <= now && entry.too_late));
        consumer.old_in_time.extend((was_read && !entry.too_late).then_some(entry.event));
        let counted = if entry.too_late { read } else { Some(entry.event) };
        consumer.old_counted.extend(counted.filter(|_| was_read));
    } else if was_read && entry.status == 200 {
        consumer.new_read.insert(entry.event);
    }
}

/// Returns the look at which a line is read; `None`: never.
fn read_at(entry: &Entry, history: &History) -> Option<i64> {
    if entry.lost || entry.garbled {
        return None;
    }
    let mut look = (entry.written + history.look - 1).div_euclid(history.look) * history.look;
    while !history.is_readable(entry.source, look) {
        look += history.look;
    }
    Some(look)
}

fn samples(seconds: &BTreeSet<i64>, session_gap: i64) -> u64 {
    let later = seconds.iter().skip(1);
    seconds.iter().zip(later).filter(|(before, after)| *after - *before > session_gap).count()
        as u64
}

fn largest_gap(seconds: &BTreeSet<i64>) -> i64 {
    let later = seconds.iter().skip(1);
    seconds.iter().zip(later).map(|(before, after)| after - before).max().unwrap_or(0)
}

pub fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).expect("some hours")
}

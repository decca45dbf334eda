//! How the new key fares: how often it is denied lately, and what share it has as a canary.
//!
//! Requests are counted by effective time in windows of a minute (an hour, a day where the span
//! reaches further back than the finest windows do). A window that a span cuts counts whole. A
//! line that was read late is counted only where it was denied: it does not prove that a key works.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::case::Case;
use crate::engine::ledger::Presentations;
use crate::engine::migration::Migrant;
use crate::engine::time::Timestamp;
use crate::engine::usage::Outcome;

/// Fewer requests say nothing of a ratio or a share.
pub const LEAST_REQUESTS: u64 = 20;

/// The new key is judged by at least this long before now.
const LEAST_SPAN: Duration = Duration::from_hours(1);

/// Requests that carried a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// All of them.
    pub all: u64,
    /// Those that were denied.
    pub denied: u64,
}

impl Requests {
    /// Takes the counts of a window without what was late and not denied.
    fn new(counts: [u64; 4], late: [u64; 4]) -> Self {
        let denied = [Outcome::Unauthenticated, Outcome::Forbidden].map(|o| counts[o as usize]);
        let denied = denied[0].saturating_add(denied[1]);
        let proved = [Outcome::Accepted, Outcome::Failed]
            .map(|outcome| counts[outcome as usize].saturating_sub(late[outcome as usize]));
        Self { all: denied.saturating_add(proved[0]).saturating_add(proved[1]), denied }
    }

    fn add(&mut self, more: Self) {
        self.all = self.all.saturating_add(more.all);
        self.denied = self.denied.saturating_add(more.denied);
    }

    fn take(&mut self, less: Self) {
        self.all = self.all.saturating_sub(less.all);
        self.denied = self.denied.saturating_sub(less.denied);
    }

    /// Returns the share of the denied ones; `None` without a request.
    pub fn denied_ratio(self) -> Option<f64> {
        ratio(self.denied, self.all)
    }
}

/// Returns `part ÷ whole`; `None` where that is nothing.
#[expect(clippy::cast_precision_loss, reason = "a ratio of counts beyond 2^53 needs no last digit")]
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// One window: start, end and requests.
type Counted = (Timestamp, Timestamp, Requests);

fn counted(uses: &Presentations, from: Timestamp) -> impl Iterator<Item = Counted> {
    let level = uses.recent.level(from);
    let late: BTreeMap<Timestamp, [u64; 4]> =
        uses.late.windows_of(level).map(|(start, _, counts)| (start, counts)).collect();
    uses.recent.windows_of(level).map(move |(start, width, counts)| {
        let late = late.get(&start).copied().unwrap_or_default();
        (start, start.plus(width), Requests::new(counts, late))
    })
}

/// The new key is denied too often: to one consumer, or to all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing<'a> {
    /// The consumer; `None`: all together.
    pub consumer: Option<&'a str>,
    /// Its requests in the span.
    pub requests: Requests,
    /// When so many of them have left the span that it does not stand any more.
    pub clears_at: Timestamp,
}

/// Returns how far back the new key is judged.
pub fn span(case: &Case<'_>) -> Duration {
    case.facts.policy.canary_period.max(LEAST_SPAN)
}

/// Returns since when the new key is judged: never before both keys were valid.
///
/// An overlap that is only inferred begins with the first success: what was denied before counts.
fn judged_from(case: &Case<'_>) -> Timestamp {
    let rotation = case.facts.rotation;
    let began = rotation.dual_accept_at.unwrap_or(rotation.started_at);
    began.max(case.now.minus(span(case)))
}

/// Returns to whom the new key is denied more often than the policy allows.
///
/// A synthetic consumer speaks for itself alone: its regular success would hide that others are
/// denied. A waived one counts nowhere, a retired one as any other.
pub fn failing<'a>(case: &Case<'a>) -> Vec<Failing<'a>> {
    let from = judged_from(case);
    let mut found = Vec::new();
    if !is_denied(case, from) {
        return found;
    }
    let mut together = Lately::default();
    for (migrant, uses) in judged(case) {
        let mut own = Lately::default();
        own.add(uses, from);
        found.extend(own.failing(case, Some(migrant.name)));
        if !migrant.is_synthetic() {
            together.merge(&own);
        }
    }
    found.extend(together.failing(case, None));
    // All together first.
    found.sort_by_key(|failing| failing.consumer);
    found
}

/// Returns when the next window leaves the span: the ratios may change without a line.
pub fn changes_at(case: &Case<'_>) -> Option<Timestamp> {
    let from = judged_from(case);
    if !is_denied(case, from) {
        return None;
    }
    let ends = judged(case).flat_map(|(_, uses)| counted(uses, from).map(|(_, end, _)| end));
    ends.filter(|end| *end > from).min().map(|end| end.plus(span(case)))
}

/// Tells whether anything was denied: mostly nothing was, and then there is nothing to add up.
fn is_denied(case: &Case<'_>, from: Timestamp) -> bool {
    let denied = [Outcome::Unauthenticated, Outcome::Forbidden];
    judged(case).filter(|(_, uses)| uses.denied() > 0).any(|(_, uses)| {
        let counts = uses.recent.since(from);
        denied.iter().any(|outcome| counts[*outcome as usize] > 0)
    })
}

fn judged<'c, 'a>(
    case: &'c Case<'a>,
) -> impl Iterator<Item = (&'c Migrant<'a>, &'a Presentations)> + use<'c, 'a> {
    let rotation = case.facts.rotation;
    let judged = case.migrants.iter().filter(|migrant| !migrant.is_waived(rotation, case.now));
    judged.filter_map(|migrant| Some((migrant, migrant.new?)))
}

/// Requests of the span, by the end of their window.
#[derive(Default)]
struct Lately(BTreeMap<Timestamp, Requests>);

impl Lately {
    fn add(&mut self, uses: &Presentations, from: Timestamp) {
        for (_, end, requests) in counted(uses, from).filter(|(_, end, _)| *end > from) {
            self.0.entry(end).or_default().add(requests);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (end, requests) in &other.0 {
            self.0.entry(*end).or_default().add(*requests);
        }
    }

    fn failing<'a>(&self, case: &Case<'_>, consumer: Option<&'a str>) -> Option<Failing<'a>> {
        let bound = case.facts.policy.new_key_denied_ratio;
        let too_many = |requests: Requests| {
            requests.all >= LEAST_REQUESTS && requests.denied_ratio().is_some_and(|r| r > bound)
        };
        let mut requests = Requests::default();
        self.0.values().for_each(|window| requests.add(*window));
        let mut left = requests;
        if !too_many(left) {
            return None;
        }
        let clears = self.0.iter().find_map(|(end, window)| {
            left.take(*window);
            (!too_many(left)).then(|| end.plus(span(case)))
        });
        // With the last window everything has left the span.
        clears.map(|clears_at| Failing { consumer, requests, clears_at })
    }
}

/// The new key as a canary: its first use in the overlap and the period that followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The first accepted use of the new key in the overlap.
    pub from: Timestamp,
    /// The end of the observation period.
    pub to: Timestamp,
    /// Requests with the old key in the period.
    pub old: Requests,
    /// Requests with the new key in the period.
    pub new: Requests,
    /// Whether the period is known only by windows that are longer than itself.
    pub blurred: bool,
}

/// Returns the observation period of the canary, which begins with the first presentation of the
/// new key, denied or not; `None` before that.
pub fn canary_period(case: &Case<'_>) -> Option<(Timestamp, Timestamp)> {
    let after = case.facts.rotation.dual_accept_at.max(case.facts.keys_free_since);
    let first = |migrant: &Migrant<'_>| {
        let presented = &migrant.new?.presented;
        after.map_or(presented.first(), |after| presented.first_after(after))
    };
    let from = real(case).filter_map(first).min()?;
    Some((from, from.plus(case.facts.policy.canary_period)))
}

/// Synthetic consumers are no traffic: their regular requests would pass for a share.
fn real<'c, 'a>(case: &'c Case<'a>) -> impl Iterator<Item = &'c Migrant<'a>> {
    case.migrants.iter().filter(|migrant| !migrant.is_synthetic())
}

/// Returns the canary of a case; `None` before the first presentation of the new key.
pub fn canary(case: &Case<'_>) -> Option<Canary> {
    let policy = case.facts.policy;
    let (from, to) = canary_period(case)?;
    let mut canary =
        Canary { from, to, old: Requests::default(), new: Requests::default(), blurred: false };
    let widest = policy.canary_period.max(Duration::from_mins(1));
    let sum = |uses: &Presentations, sums: &mut Requests, blurred: &mut bool| {
        for (start, end, requests) in counted(uses, from) {
            if start < to && end > from {
                sums.add(requests);
                *blurred |= end.since(start) > widest;
            }
        }
    };
    for migrant in real(case) {
        let Canary { old, new, blurred, .. } = &mut canary;
        migrant.old.into_iter().for_each(|uses| sum(uses, old, blurred));
        migrant.new.into_iter().for_each(|uses| sum(uses, new, blurred));
    }
    Some(canary)
}

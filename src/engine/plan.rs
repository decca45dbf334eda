//! Recommended quiet and overlap periods of a credential, from how its key is used.
//!
//! ```text
//! quiet period   the longest ordinary gap of any consumer, so that the quiet does not flap
//! overlap        notice + time to move + required quiet + exposure, at least the minimum
//! ```
//!
//! Every figure has its reason, and what is not known is said instead of guessed: without history
//! the policy's own values stand. A recommendation; it changes nothing.

use std::time::Duration;

use crate::engine::cadence::stretched;
use crate::engine::declaration::{Job, RosterEntry};
use crate::engine::ledger::{KeyUse, Presentations};
use crate::engine::policy::Policy;
use crate::engine::time::Timestamp;
use crate::engine::usage::Consumer;
use crate::engine::wording::{humane, several};

/// What a plan rests on, besides `now`.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What is demanded.
    pub policy: &'a Policy,
    /// Declared consumers.
    pub roster: &'a [RosterEntry],
    /// Declared jobs, each with the longest time between two of its runs.
    pub jobs: Vec<(&'a Job, Duration)>,
    /// The key that would be retired, and everything seen of it.
    pub key: Option<(&'a str, &'a KeyUse)>,
    /// Time until 90 % of the consumers had moved, of each earlier rotation that came so far.
    pub earlier_t90: Vec<Duration>,
    /// Overlap that the credential's own finished rotations would have needed, if they tell one.
    pub earlier_overlap: Option<Duration>,
}

/// One consumer of the key, and what its silence can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerPlan {
    /// Its name, or that of the pool.
    pub consumer: String,
    /// Its sessions.
    pub sessions: u64,
    /// The largest gap between two uses.
    pub largest_gap: Duration,
    /// How long its silence must be to mean something; `None`: not enough is known.
    pub cadence_bound: Option<Duration>,
    /// Its last use.
    pub last_seen: Option<Timestamp>,
    /// What follows.
    pub reason: String,
}

/// One figure that enters a sum or a maximum, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Name as in an answer's window, or of the period.
    pub name: &'static str,
    /// The figure; `None` if it is not known.
    pub value: Option<Duration>,
    /// Where it comes from.
    pub reason: String,
}

/// A recommended period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// The period.
    pub value: Duration,
    /// What the configuration says today: `quiet_period`, or `max_overlap`.
    pub configured: Duration,
    /// Why.
    pub reason: String,
    /// Name of the term or consumer that it hangs on.
    pub dominated_by: String,
}

/// A plan for the next rotation of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The key that would be retired.
    pub key: Option<String>,
    /// From the first to the last use of it.
    pub history: Option<Duration>,
    /// Its consumers, the longest cadence bound first, those without one before them.
    pub consumers: Vec<ConsumerPlan>,
    /// Recommended `quiet_period`.
    pub quiet_period: Recommendation,
    /// What the required quiet would be made of, with the recommended quiet period.
    pub required_quiet: Vec<Term>,
    /// The required quiet: the largest of the compared terms and the sum of the added ones.
    pub required: Duration,
    /// What the overlap is made of.
    pub overlap_terms: Vec<Term>,
    /// Recommended overlap.
    pub overlap: Recommendation,
    /// What the figures leave open.
    pub notes: Vec<String>,
}

/// Makes the plan. Pure.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let used = facts.key.map(|(_, used)| used);
    let all = || used.into_iter().flat_map(|used| &used.consumers);
    let synthetic = |name: &str| facts.roster.iter().any(|e| *e.name == *name && e.synthetic);
    let mut consumers: Vec<(ConsumerPlan, Duration)> = all()
        .filter(|(consumer, _)| **consumer == Consumer::Anonymous || !synthetic(consumer.as_str()))
        .map(|(consumer, uses)| of_consumer(consumer.as_str(), uses, facts.policy))
        .collect();
    // Those of whom nothing is known come first: they need a person's eye.
    consumers.sort_by(|(a, _), (b, _)| {
        let known = a.cadence_bound.is_some().cmp(&b.cadence_bound.is_some());
        let longest = b.cadence_bound.cmp(&a.cadence_bound).then(b.largest_gap.cmp(&a.largest_gap));
        known.then(longest).then(a.consumer.cmp(&b.consumer))
    });
    let first = all().filter_map(|(_, uses)| uses.first_seen).min();
    let last = all().filter_map(|(_, uses)| uses.last_seen).max();
    let quiet_period = quiet_period(facts, &consumers);
    let consumers: Vec<ConsumerPlan> = consumers.into_iter().map(|(plan, _)| plan).collect();
    let required_quiet = required_quiet(facts, quiet_period.value, &consumers);
    let required = required(&required_quiet);
    let overlap_terms = overlap_terms(facts, required);
    let overlap = overlap(facts, &overlap_terms);
    Plan {
        key: facts.key.map(|(name, _)| name.to_owned()),
        history: first.zip(last).map(|(first, last)| last.since(first)),
        notes: notes(facts, &consumers, overlap.value),
        overlap,
        quiet_period,
        required_quiet,
        required,
        overlap_terms,
        consumers,
    }
}

/// Returns the longest gap between two uses that is ordinary for a consumer.
///
/// A gap inside a session is ordinary whatever is known; one between sessions is once there were
/// `cadence_min_samples` of them.
pub(super) fn ordinary_gap(uses: &Presentations, policy: &Policy) -> Duration {
    let cadence = uses.cadence(policy.session_gap, &[]);
    let gaps = uses.presented.gaps().map(|(before, after)| after.since(before));
    let inside = gaps.filter(|gap| *gap <= policy.session_gap).max().unwrap_or_default();
    if cadence.bound(policy).is_some() { cadence.largest.max(inside) } else { inside }
}

/// Returns what is known of a consumer, and the quiet that is ordinary for it.
fn of_consumer(name: &str, uses: &Presentations, policy: &Policy) -> (ConsumerPlan, Duration) {
    let sessions = uses.presented.sessions(policy.session_gap);
    let largest_gap = uses.largest_gap();
    let bound = uses.cadence(policy.session_gap, &[]).bound(policy);
    let ordinary = stretched(ordinary_gap(uses, policy), policy.cadence_factor);
    let gaps = sessions.saturating_sub(1);
    let wanted = policy.cadence_min_samples;
    let reason = match bound {
        Some(bound) => format!(
            "{gaps} gaps between sessions are known, the largest {}; times {} it is silent for {}",
            humane(largest_gap),
            policy.cadence_factor,
            humane(bound)
        ),
        None if gaps == 0 => "its uses are one session, which proves nothing: it needs a sighting on the new key, or \
                              to be retired or waived"
            .to_owned(),
        None => format!(
            "{gaps} of {wanted} gaps between sessions are known: it needs a sighting on the new \
             key, or to be retired or waived"
        ),
    };
    let plan = ConsumerPlan {
        consumer: name.to_owned(),
        sessions,
        largest_gap,
        cadence_bound: bound,
        last_seen: uses.last_seen,
        reason,
    };
    (plan, ordinary)
}

fn quiet_period(facts: &Facts<'_>, consumers: &[(ConsumerPlan, Duration)]) -> Recommendation {
    let policy = facts.policy;
    let configured = policy.quiet_period;
    let floor = policy.quiet_period.max(policy.monitoring_cycle);
    // A job is waited for by its schedule.
    let is_job = |name: &str| facts.jobs.iter().any(|(job, _)| *job.consumer == *name);
    let mut longest: Vec<&(ConsumerPlan, Duration)> =
        consumers.iter().filter(|(plan, _)| !is_job(&plan.consumer)).collect();
    longest.sort_by_key(|(_, ordinary)| std::cmp::Reverse(*ordinary));
    if let Some((plan, ordinary)) = longest.first().filter(|(_, ordinary)| *ordinary > floor) {
        let next = longest.get(1).map_or(floor, |(_, next)| floor.max(*next));
        let name = &plan.consumer;
        let reason = format!(
            "an ordinary gap of {name} would end a shorter one and begin it anew; without {name}, \
             {} would do: declare a job if it runs on a schedule",
            humane(next)
        );
        return Recommendation { value: *ordinary, configured, reason, dominated_by: name.clone() };
    }
    let (name, why) = if policy.monitoring_cycle > policy.quiet_period {
        ("monitoring_cycle", "a cycle of monitoring must fit in")
    } else if consumers.is_empty() {
        ("quiet_period", "there is no history: the policy's own value stands")
    } else {
        ("quiet_period", "no ordinary gap of a consumer is longer")
    };
    let (reason, dominated_by) = (why.to_owned(), name.to_owned());
    Recommendation { value: floor, configured, reason, dominated_by }
}

fn term(name: &'static str, value: Duration, reason: impl Into<String>) -> Term {
    Term { name, value: Some(value), reason: reason.into() }
}

fn required_quiet(facts: &Facts<'_>, quiet: Duration, consumers: &[ConsumerPlan]) -> Vec<Term> {
    let policy = facts.policy;
    let longest = consumers.iter().max_by_key(|plan| plan.cadence_bound);
    let cadence = match longest.and_then(|plan| Some((plan, plan.cadence_bound?))) {
        Some((plan, bound)) => term("cadence", bound, format!("the cadence of {}", plan.consumer)),
        None => term("cadence", Duration::ZERO, "no consumer has enough sessions to have one"),
    };
    let mut terms = vec![
        term("quiet_period", quiet, "as recommended above"),
        term("monitoring_cycle", policy.monitoring_cycle, "policy"),
        cadence,
    ];
    for (job, period) in &facts.jobs {
        let reason = format!("`{}` of {}, with its longest run", job.schedule, job.consumer);
        terms.push(term("jobs", period.saturating_add(job.max_runtime), reason));
    }
    let issued = facts.key.and_then(|(_, used)| used.issues).map(|issues| issues.lifetime);
    let (sessions, why) = match issued.filter(|issued| *issued > policy.max_session_lifetime) {
        Some(issued) => (issued, "of the sessions that were bought with the key, added"),
        None => (policy.max_session_lifetime, "policy, added"),
    };
    terms.push(term("max_session_lifetime", sessions, why));
    terms.push(term("clock_skew", policy.clock_skew, "policy, added"));
    terms
}

/// Returns the largest of the compared terms and the sum of the added ones.
fn required(terms: &[Term]) -> Duration {
    let added = |term: &&Term| matches!(term.name, "max_session_lifetime" | "clock_skew");
    let known = |term: &Term| term.value.unwrap_or_default();
    let compared = terms.iter().filter(|term| !added(term)).map(known).max().unwrap_or_default();
    terms.iter().filter(added).map(known).fold(compared, Duration::saturating_add)
}

fn overlap_terms(facts: &Facts<'_>, required: Duration) -> Vec<Term> {
    let policy = facts.policy;
    let roster = facts.roster;
    let noticed = roster.iter().max_by_key(|entry| entry.notice_period);
    let notice = match noticed.and_then(|entry| Some((entry, entry.notice_period?))) {
        Some((entry, notice)) if notice > policy.notice_period => {
            term("notice", notice, format!("the notice of {}", entry.name))
        }
        _ => term("notice", policy.notice_period, "policy"),
    };
    let moving = match facts.earlier_t90.iter().max() {
        Some(slowest) => term(
            "moving",
            *slowest,
            format!(
                "90 % had moved by then in the slowest of {}",
                rotations(facts.earlier_t90.len())
            ),
        ),
        None => Term {
            name: "moving",
            value: None,
            reason: "no earlier rotation of this credential tells how long moving takes".to_owned(),
        },
    };
    let of_policy = policy.max_cache_ttl.saturating_add(policy.max_connection_lifetime);
    let own =
        |entry: &&RosterEntry| entry.max_cache_ttl.saturating_add(entry.max_connection_lifetime);
    let exposure = match roster.iter().max_by_key(own) {
        Some(entry) if own(&entry) > of_policy => {
            term("exposure", own(&entry), format!("caches and connections of {}", entry.name))
        }
        _ => term("exposure", of_policy, "caches and connections, by the policy"),
    };
    let mut terms = vec![
        notice,
        moving,
        term("required_quiet", required, "as itemised above"),
        exposure,
        min_overlap(policy, roster),
    ];
    if let Some(overlap) = facts.earlier_overlap {
        terms.push(term("history", overlap, "what its own finished rotations recommend"));
    }
    terms
}

fn rotations(number: usize) -> String {
    if number == 1 { "1 rotation".to_owned() } else { format!("{number} rotations") }
}

fn min_overlap(policy: &Policy, roster: &[RosterEntry]) -> Term {
    let third = roster.iter().find(|entry| entry.third_party);
    let reason = match (policy.min_overlap, third) {
        (Some(_), _) => "policy".to_owned(),
        (None, Some(entry)) => format!("{} is another organisation: 72 h unless set", entry.name),
        (None, None) if policy.third_party => {
            "the credential is another organisation's: 72 h unless set".to_owned()
        }
        (None, None) => "1 h unless set".to_owned(),
    };
    term("min_overlap", policy.least_overlap(roster), reason)
}

fn overlap(facts: &Facts<'_>, terms: &[Term]) -> Recommendation {
    let summed = |term: &&Term| !matches!(term.name, "min_overlap" | "history");
    let known = |term: &Term| term.value.unwrap_or_default();
    let sum = terms.iter().filter(summed).map(known).fold(Duration::ZERO, Duration::saturating_add);
    let least = terms.iter().filter(|term| !summed(term)).max_by_key(|term| known(term));
    let configured = facts.policy.max_overlap;
    if let Some(term) = least.filter(|term| known(term) > sum) {
        return Recommendation {
            value: known(term),
            configured,
            reason: format!("{}, which is more than the sum of {}", term.reason, humane(sum)),
            dominated_by: term.name.to_owned(),
        };
    }
    let largest = terms.iter().filter(summed).max_by_key(|term| known(term));
    Recommendation {
        value: sum,
        configured,
        reason: "notice, moving, required quiet and exposure follow each other".to_owned(),
        dominated_by: largest.map_or_else(String::new, |term| term.name.to_owned()),
    }
}

fn notes(facts: &Facts<'_>, consumers: &[ConsumerPlan], overlap: Duration) -> Vec<String> {
    let mut notes = Vec::new();
    if facts.key.is_none() {
        notes.push(
            "no key of this credential was ever seen: these are the policy's own values, not a \
             recommendation from history"
                .to_owned(),
        );
    }
    let unknown = consumers.iter().filter(|plan| plan.cadence_bound.is_none());
    let unknown: Vec<&str> = unknown.map(|plan| plan.consumer.as_str()).collect();
    if !unknown.is_empty() {
        notes.push(format!(
            "no length of silence speaks for {}: each must be seen on the new key, or be retired \
             or waived",
            several(&unknown)
        ));
    }
    if facts.earlier_t90.is_empty() {
        notes.push(
            "the time that consumers take to move is not in the overlap: add what you expect"
                .to_owned(),
        );
    }
    if overlap > facts.policy.max_overlap {
        let max = humane(facts.policy.max_overlap);
        notes.push(format!("the overlap is longer than max_overlap {max}: raise that first"));
    }
    notes
}

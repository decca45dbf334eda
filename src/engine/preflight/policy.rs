//! Does the policy contradict itself, or ask for more history than there is.

use std::time::Duration;

use crate::engine::preflight::{Facts, Findings};
use crate::engine::time::Timestamp;
use crate::engine::wording::humane;

pub(super) fn check(facts: &Facts<'_>, now: Timestamp, out: &mut Findings) {
    policy_is_sane(facts, out);
    history_is_long_enough(facts, now, out);
}

fn policy_is_sane(facts: &Facts<'_>, out: &mut Findings) {
    let policy = &facts.credential.policy;
    if policy.threshold > 0 {
        out.warning(
            "policy",
            format!(
                "threshold = {} tolerates uses of the old key: whoever makes them is cut off",
                policy.threshold
            ),
            "set threshold = 0, or make sure that nobody who matters stays below it",
        );
    }
    let needed = policy
        .notice_period
        .max(policy.least_overlap(&facts.credential.roster))
        .saturating_add(policy.quiet_period.max(policy.monitoring_cycle))
        .saturating_add(policy.max_cache_ttl)
        .saturating_add(policy.max_connection_lifetime);
    if needed > policy.max_overlap {
        out.warning(
            "policy",
            format!(
                "notice, overlap, quiet and exposure take {}, longer than max_overlap {}: every \
                 rotation would be overdue",
                humane(needed),
                humane(policy.max_overlap)
            ),
            "raise max_overlap, or shorten what adds up to it",
        );
    }
}

fn history_is_long_enough(facts: &Facts<'_>, now: Timestamp, out: &mut Findings) {
    let required = facts.credential.policy.min_history;
    let streams = facts.sources.iter().filter_map(|(_, source)| *source);
    let since = streams
        .flat_map(|source| source.streams.values())
        .filter_map(|stream| stream.record.observing_since)
        .max();
    // A source of which nothing is known has its own finding.
    let Some(since) = since else { return };
    let observed = now.since(since);
    if observed < required {
        out.warning(
            "policy",
            format!(
                "min_history {} is longer than what was observed, {}: nothing can be ready before \
                 {}",
                humane(required),
                humane(observed),
                whole_seconds(since.plus(required))
            ),
            "let `paths` match the rotated logs too, wait, or declare `consumers`, whose default \
             is 0s",
        );
    } else {
        out.ok("policy", format!("{} were observed without a break", humane(observed)));
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.plus(Duration::from_nanos(999_999_999)).as_seconds())
}

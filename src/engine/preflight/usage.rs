//! Was the old key seen, by whom, and does the quiet period fit how it is used.

use crate::engine::ledger::KeyUse;
use crate::engine::preflight::{Facts, Findings};
use crate::engine::rotation::KeyRef;
use crate::engine::time::Timestamp;
use crate::engine::usage::Consumer;
use crate::engine::wording::{humane, several};

pub(super) fn check(facts: &Facts<'_>, now: Timestamp, out: &mut Findings) {
    keys_seen(facts, now, out);
    for (key, used) in candidates(facts) {
        quiet_period_fits(facts, key, used, out);
        consumers_are_known(key, used, out);
    }
    roster_was_seen(facts, out);
}

/// Returns the keys that may be the old one, with what was seen of each.
fn candidates<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (&'a KeyRef, &'a KeyUse)> {
    let (only, ledger) = (facts.old_key, facts.ledger);
    let keys = facts.credential.keys.iter().filter(move |_| only.is_none()).chain(only);
    keys.filter_map(move |key| Some((key, ledger.key(key.fingerprint)?)))
}

fn keys_seen(facts: &Facts<'_>, now: Timestamp, out: &mut Findings) {
    if let Some(key) = facts.old_key.filter(|key| facts.ledger.key(key.fingerprint).is_none()) {
        out.error(
            format!("key {}", key.name),
            "no line with it was ever read from any source, so its silence proves nothing",
            "compare it with what the log shows (`keydrain fingerprint`, `keydrain explain`); if \
             it was truly never used, attest old_key_unused in the rotation",
        );
        return;
    }
    let mut seen = false;
    for (key, used) in candidates(facts) {
        seen = true;
        let last = used.consumers.values().filter_map(|uses| uses.last_seen).max();
        let ago =
            last.map_or_else(|| "once".to_owned(), |at| format!("{} ago", humane(now.since(at))));
        let consumers = used.consumers.len();
        let noun = if consumers == 1 { "consumer" } else { "consumers" };
        let message = format!("seen, last {ago}, by {consumers} {noun}");
        out.ok(format!("key {}", key.name), message);
    }
    if !seen {
        out.error(
            format!("credential {}", facts.credential.name),
            "none of its keys was ever read from any source",
            "compare `keys` with what the log shows: `keydrain explain FILE`, `keydrain scan FILE`",
        );
    }
}

/// A quiet period that is shorter than an ordinary gap passes while the key is in use.
fn quiet_period_fits(facts: &Facts<'_>, key: &KeyRef, used: &KeyUse, out: &mut Findings) {
    let policy = &facts.credential.policy;
    let quiet = policy.quiet_period;
    let gap = |consumer: &Consumer| used.consumers[consumer].largest_gap();
    let mut longer: Vec<&Consumer> =
        used.consumers.keys().filter(|consumer| gap(consumer) >= quiet).collect();
    longer.sort_by_key(|consumer| std::cmp::Reverse(gap(consumer)));
    let subject = format!("policy, key {}", key.name);
    let Some(longest) = longer.first() else {
        return out.ok(
            subject,
            format!("quiet_period {} is longer than any gap between two uses", humane(quiet)),
        );
    };
    let names: Vec<&str> = longer.iter().map(|consumer| consumer.as_str()).collect();
    out.warning(
        subject,
        format!(
            "quiet_period {} is no longer than gaps of {}, up to {} between two uses: the quiet \
             comes and goes while the key is in use",
            humane(quiet),
            several(&names),
            humane(gap(longest))
        ),
        format!(
            "take the value of `keydrain plan {}`, or declare a job for what runs on a schedule",
            facts.credential.name
        ),
    );
}

fn consumers_are_known(key: &KeyRef, used: &KeyUse, out: &mut Findings) {
    let Some(pool) = used.consumers.get(&Consumer::Anonymous) else { return };
    let presentations: u64 = pool.counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
    out.warning(
        format!("key {}", key.name),
        format!(
            "{presentations} of its presentations are by consumers known only by an address: \
             nobody knows whom to tell"
        ),
        "name them with a [[consumer_map]], or with a better `consumer` of the source",
    );
}

/// A name on the roster that no key was ever presented by may be misspelt.
fn roster_was_seen(facts: &Facts<'_>, out: &mut Findings) {
    let seen = |name: &str| {
        let keys = facts.credential.keys.iter().chain(facts.old_key);
        let mut used = keys.filter_map(|key| facts.ledger.key(key.fingerprint));
        used.any(|used| used.consumers.keys().any(|consumer| consumer.as_str() == name))
    };
    let roster = facts.credential.roster.iter().map(|entry| &*entry.name);
    let unseen: Vec<&str> = roster.filter(|name| !seen(name)).collect();
    if !unseen.is_empty() {
        out.warning(
            "consumers",
            format!(
                "{} on the roster never presented a key: it would be waited for",
                several(&unseen)
            ),
            "correct the spelling to that of the log, or remove it from `consumers`",
        );
    }
}

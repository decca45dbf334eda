//! Is each source alive, does it show keys of the credential, and what of it is merely assumed.

use crate::engine::coverage::SourceState;
use crate::engine::credential::{Fingerprint, SourceName};
use crate::engine::evidence::Source;
use crate::engine::policy::{Completeness, Policy};
use crate::engine::preflight::{Facts, Findings};
use crate::engine::standing;
use crate::engine::time::Timestamp;
use crate::engine::wording::{humane, several};

pub(super) fn check(
    facts: &Facts<'_>,
    name: &SourceName,
    source: Option<&Source>,
    now: Timestamp,
    out: &mut Findings,
) {
    let subject = format!("source {name}");
    let known = source.filter(|source| source.status.is_some());
    let Some(source) = known else {
        let fix = "wait a moment and check again; if it stays, look at the daemon's log";
        return out.error(subject, "it was not looked at yet", fix);
    };
    if let Some(decl) = &source.decl
        && let Completeness::PositiveOnly { covered_by } = &decl.policy.completeness
    {
        return best_effort(facts, &subject, covered_by.as_ref(), out);
    }
    let keys: Vec<Fingerprint> = facts.credential.keys.iter().map(|key| key.fingerprint).collect();
    let policy = &facts.credential.policy;
    let lag = policy.max_evidence_lag;
    let summary = standing::summarise(source, &|_| true, &keys, lag, None, now);
    let streams = summary.streams.iter().filter(|stream| stream.state == summary.state);
    let streams: Vec<&str> = streams.map(|stream| stream.name.as_str()).collect();
    let place =
        if streams.is_empty() { String::new() } else { format!(" ({})", several(&streams)) };
    let idle = source.decl.as_ref().map(|decl| humane(decl.policy.idle_after)).unwrap_or_default();
    let (message, fix) = match summary.state {
        SourceState::Live => {
            out.ok(&*subject, "it is live and shows keys of this credential");
            return assumptions(source, &subject, policy, now, out);
        }
        SourceState::Silent => (
            format!("no line came for {idle}{place}: silence is not idleness"),
            "send a request without a key now and then, as from cron: `curl -s \
             http://HOST/healthz` each minute",
        ),
        SourceState::Behind => (
            format!("what was read is older than {}{place}", humane(lag)),
            "wait until the backlog in `keydrain status` is read, or raise max_evidence_lag",
        ),
        SourceState::Blind => (
            format!("no line with a key of this credential was ever read{place}"),
            "let the server log the key's name and name its place as `credential`; `keydrain \
             explain FILE` shows what the lines hold",
        ),
        SourceState::Masked => (
            format!("the service masks its data{place}"),
            "let keydrain read it unmasked, or take another source",
        ),
        SourceState::Unreadable => (
            format!("it cannot be opened or read{place}"),
            "let the user that runs keydrain read it, often through the group `adm`",
        ),
        SourceState::Absent => (
            format!("it does not exist{place}"),
            "bring the file back, or correct `paths`; a stream that is gone for good can be retired \
             once the rotation is open (`source_retired`)",
        ),
    };
    out.error(&*subject, message, fix);
    assumptions(source, &subject, policy, now, out);
}

/// A source that may lose lines: of it nothing is demanded but that another one covers it.
fn best_effort(
    facts: &Facts<'_>,
    subject: &str,
    covered_by: Option<&SourceName>,
    out: &mut Findings,
) {
    let complete = |cover: &&SourceName| {
        facts.sources.iter().any(|(name, source)| {
            let decl = source.and_then(|source| source.decl.as_ref());
            name == cover
                && decl.is_some_and(|decl| decl.policy.completeness == Completeness::Complete)
        })
    };
    match covered_by.filter(complete) {
        Some(cover) => out.ok(subject, format!("it proves use alone, and {cover} covers it")),
        None => out.error(
            subject,
            "it may lose lines and no complete source of this credential covers it: nothing can be \
             ready",
            "name a complete source that sees the same requests as its `covered_by`",
        ),
    }
}

/// What of a source is declared and not proved, and how much of it is not understood.
fn assumptions(
    source: &Source,
    subject: &str,
    policy: &Policy,
    now: Timestamp,
    out: &mut Findings,
) {
    if let Some(decl) = &source.decl {
        if decl.policy.lateness_assumed {
            out.warning(
                subject,
                format!("allowed_lateness {} is assumed", humane(decl.policy.allowed_lateness)),
                "remove it, unless the server is known to write that fast",
            );
        }
        if decl.policy.silence_is_idle {
            out.warning(
                subject,
                "`silence = \"idle\"` is assumed: its silence would count as quiet",
                "send a heartbeat instead, which proves it",
            );
        }
    }
    for weak in source.status.iter().flat_map(|status| &status.weak) {
        out.warning(
            subject,
            format!("{} is on {}: {}", weak.path, weak.name, weak.weakness.says()),
            weak.weakness.way_out(),
        );
    }
    let quiet = policy.quiet_period.max(policy.monitoring_cycle);
    let (lines, rejects) = source.lines_since(now.minus(quiet), |_| true);
    #[expect(clippy::cast_precision_loss, reason = "counts of lines fit 52 bits")]
    let too_many = rejects as f64 > policy.max_reject_ratio * lines as f64;
    if rejects > 0 && too_many {
        out.error(
            subject,
            format!("{rejects} of the last {lines} lines were not understood"),
            "run `keydrain explain FILE`, which shows why, and correct `format`",
        );
    }
}

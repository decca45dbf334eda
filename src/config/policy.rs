//! Reads `[credential.policy]` and refuses values that contradict each other.
//!
//! Defaults are the engine's, apart from two that depend on the rest of the config:
//! `min_history` (zero with a roster) and `max_evidence_lag` (from the sources).

use std::time::Duration;

use crate::config::Source;
use crate::config::report::{Report, Span};
use crate::config::table::Table;
use crate::engine::duration::show;
use crate::engine::policy::{AnonymousConsumers, Policy, ThresholdOf};

/// What the rest of a credential says that its policy depends on.
pub(super) struct Context<'c> {
    /// Its sources.
    pub(super) sources: Vec<&'c Source>,
    /// Whether it names its consumers.
    pub(super) has_roster: bool,
    /// Whether one of them is of another organisation.
    pub(super) third_party: bool,
}

/// Reads the policy of one credential; without a table, its defaults.
pub(super) fn read(table: Option<Table<'_>>, context: &Context<'_>, report: &mut Report) -> Policy {
    let mut policy =
        Policy { max_evidence_lag: default_evidence_lag(context), ..Policy::default() };
    if context.has_roster {
        policy.min_history = Duration::ZERO;
    }
    let Some(mut table) = table else { return policy };
    read_demands(&mut table, &mut policy, context, report);
    read_bounds(&mut table, &mut policy, context, report);
    read_consumers(&mut table, &mut policy, report);
    read_health(&mut table, &mut policy, report);
    table.finish(report);
    policy
}

/// Reads when a consumer counts as gone, and whose presentations are tolerated.
fn read_consumers(table: &mut Table<'_>, policy: &mut Policy, report: &mut Report) {
    let factor = table.number("cadence_factor", &mut policy.cadence_factor, report);
    if let Some(span) = factor.filter(|_| policy.cadence_factor < 1.0) {
        let message = "`cadence_factor` below 1 calls a consumer gone before its usual gap is over";
        report.problem(&span, message, "write 1 or more");
    }
    let gap = table.duration("session_gap", &mut policy.session_gap, report);
    if let Some(span) = gap.filter(|_| policy.session_gap.is_zero()) {
        let message =
            "`session_gap` of zero takes each request of a burst for a session of its own";
        report.problem(&span, message, "write the longest pause inside one session, as \"15m\"");
    }
    let samples = table.count("cadence_min_samples", &mut policy.cadence_min_samples, report);
    if let Some(span) = samples.filter(|_| policy.cadence_min_samples == 0) {
        let message = "`cadence_min_samples` of zero calls a consumer gone that was seen once";
        report.problem(&span, message, "write 1 or more; 5 is the default");
    }
    if table.choice("anonymous", &["pooled", "each"], &[], report) == Some("each") {
        policy.anonymous = AnonymousConsumers::Each;
    }
    table.count("threshold", &mut policy.threshold, report);
    if table.choice("threshold_of", &["anonymous", "all"], &[], report) == Some("all") {
        policy.threshold_of = ThresholdOf::All;
    }
}

/// Reads what the new key and its canary must be like.
fn read_health(table: &mut Table<'_>, policy: &mut Policy, report: &mut Report) {
    let ratio = table.number("new_key_denied_ratio", &mut policy.new_key_denied_ratio, report);
    if let Some(span) = ratio.filter(|_| !(0.0..=1.0).contains(&policy.new_key_denied_ratio)) {
        let message = "`new_key_denied_ratio` is a share of the requests";
        report.problem(&span, message, "write a number from 0 to 1, as 0.01 for 1 %");
    }
    let share = table.pair("canary_share", &mut policy.canary_share, report);
    let (least, most) = policy.canary_share;
    if let Some(span) = share.filter(|_| !(0.0 <= least && least <= most && most <= 1.0)) {
        let message = "`canary_share` is the least and the largest share of the requests";
        report.problem(&span, message, "write two numbers from 0 to 1 in order, as [0.01, 0.25]");
    }
    let period = table.duration("canary_period", &mut policy.canary_period, report);
    refuse_zero("canary_period", policy.canary_period, period, report);
}

/// Reads how long what must hold before a key may go.
fn read_demands(
    table: &mut Table<'_>,
    policy: &mut Policy,
    context: &Context<'_>,
    report: &mut Report,
) {
    let quiet = table.duration("quiet_period", &mut policy.quiet_period, report);
    refuse_zero("quiet_period", policy.quiet_period, quiet, report);
    table.duration("monitoring_cycle", &mut policy.monitoring_cycle, report);
    table.duration("min_history", &mut policy.min_history, report);
    table.duration("notice_period", &mut policy.notice_period, report);
    table.duration("max_cache_ttl", &mut policy.max_cache_ttl, report);
    table.duration("max_connection_lifetime", &mut policy.max_connection_lifetime, report);
    table.duration("max_session_lifetime", &mut policy.max_session_lifetime, report);
    table.duration("propagation_bound", &mut policy.propagation_bound, report);
    policy.third_party = table.flag("third_party", report);
    let third_party = policy.third_party || context.third_party;
    read_overlap(table, policy, third_party, report);
}

fn read_overlap(
    table: &mut Table<'_>,
    policy: &mut Policy,
    third_party: bool,
    report: &mut Report,
) {
    let mut min_overlap = Duration::ZERO;
    let min = table.duration("min_overlap", &mut min_overlap, report);
    let max = table.duration("max_overlap", &mut policy.max_overlap, report);
    if min.is_some() {
        policy.min_overlap = Some(min_overlap);
        if min_overlap > policy.max_overlap {
            let max = show(policy.max_overlap);
            let message = format!("`min_overlap` is longer than `max_overlap` ({max})");
            let fix = "lower `min_overlap` or raise `max_overlap`";
            report.problem(min.as_ref().unwrap_or(table.span()), message, fix);
        }
        return;
    }
    let default = Duration::from_hours(if third_party { 72 } else { 1 });
    if let Some(span) = max.filter(|_| policy.max_overlap < default) {
        let default = show(default);
        let message =
            format!("`max_overlap` is shorter than the default `min_overlap` ({default})");
        report.problem(&span, message, "raise `max_overlap`, or write a lower `min_overlap`");
    }
}

/// Reads what the evidence must be like, and how long an answer holds.
fn read_bounds(
    table: &mut Table<'_>,
    policy: &mut Policy,
    context: &Context<'_>,
    report: &mut Report,
) {
    let lag = table.duration("max_evidence_lag", &mut policy.max_evidence_lag, report);
    if let Some(span) = lag {
        check_evidence_lag(policy.max_evidence_lag, &span, context, report);
    }
    let ratio = table.number("max_reject_ratio", &mut policy.max_reject_ratio, report);
    if let Some(span) = ratio.filter(|_| !(0.0..=1.0).contains(&policy.max_reject_ratio)) {
        let message = "`max_reject_ratio` is a share of the lines";
        report.problem(&span, message, "write a number from 0 to 1, as 0.01 for 1 %");
    }
    table.duration("clock_skew", &mut policy.clock_skew, report);
    table.duration("future_tolerance", &mut policy.future_tolerance, report);
    let lease = table.duration("lease", &mut policy.lease, report);
    refuse_zero("lease", policy.lease, lease, report);
}

fn refuse_zero(key: &str, value: Duration, span: Option<Span>, report: &mut Report) {
    if let Some(span) = span.filter(|_| value.is_zero()) {
        let message = format!("`{key}` of zero would make no answer safe to act on");
        report.problem(&span, message, "write a longer one, or remove it for the default");
    }
}

fn patience(source: &Source) -> Duration {
    source.policy.idle_after.saturating_add(source.policy.allowed_lateness)
}

/// The larger of ten minutes and twice the patience with the slowest source.
fn default_evidence_lag(context: &Context<'_>) -> Duration {
    let slowest = context.sources.iter().map(|source| patience(source)).max().unwrap_or_default();
    Policy::default().max_evidence_lag.max(slowest.saturating_mul(2))
}

/// Evidence of a source that is merely quiet is older than this: it would never be fresh.
fn check_evidence_lag(lag: Duration, span: &Span, context: &Context<'_>, report: &mut Report) {
    let slowest = context.sources.iter().max_by_key(|source| patience(source));
    let Some(source) = slowest.filter(|source| lag < patience(source)) else { return };
    let message = format!(
        "`max_evidence_lag` ({}) is less than `idle_after` + `allowed_lateness` of source `{}` ({} + {})",
        show(lag),
        source.name,
        show(source.policy.idle_after),
        show(source.policy.allowed_lateness),
    );
    let fix = format!("raise it to at least \"{}\", or lower those", show(patience(source)));
    report.problem(span, message, fix);
}

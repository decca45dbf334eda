//! What is said before a rotation: `keydrain/preflight/v1` and `keydrain/plan/v1`.

use serde::Serialize;

use super::{At, Seconds, at, text};
use crate::engine::credential::CredentialName;
use crate::engine::plan::{ConsumerPlan, Plan, Recommendation, Term};
use crate::engine::preflight::{Finding, Severity};
use crate::engine::time::Timestamp;

#[derive(Serialize)]
struct PreflightView<'a> {
    schema: &'static str,
    credential: &'a str,
    evaluated_at: At,
    errors: usize,
    findings: Vec<FindingView<'a>>,
}

#[derive(Serialize)]
struct FindingView<'a> {
    severity: &'static str,
    subject: &'a str,
    message: &'a str,
    fix: Option<&'a str>,
}

/// Returns the JSON text of what was found at `now`.
pub fn preflight(credential: &CredentialName, findings: &[Finding], now: Timestamp) -> String {
    let error = |finding: &&Finding| finding.severity == Severity::Error;
    text(&PreflightView {
        schema: "keydrain/preflight/v1",
        credential: credential.as_str(),
        evaluated_at: At(now),
        errors: findings.iter().filter(error).count(),
        findings: findings.iter().map(finding).collect(),
    })
}

fn finding(finding: &Finding) -> FindingView<'_> {
    FindingView {
        severity: finding.severity.as_str(),
        subject: &finding.subject,
        message: &finding.message,
        fix: Some(finding.fix.as_str()).filter(|fix| !fix.is_empty()),
    }
}

#[derive(Serialize)]
struct PlanView<'a> {
    schema: &'static str,
    credential: &'a str,
    evaluated_at: At,
    key: Option<&'a str>,
    history_seconds: Option<Seconds>,
    quiet_period: RecommendationView<'a>,
    overlap: RecommendationView<'a>,
    required_quiet_seconds: Seconds,
    required_quiet: Vec<TermView<'a>>,
    overlap_terms: Vec<TermView<'a>>,
    consumers: Vec<ConsumerView<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct RecommendationView<'a> {
    seconds: Seconds,
    configured_seconds: Seconds,
    dominated_by: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct TermView<'a> {
    name: &'static str,
    seconds: Option<Seconds>,
    reason: &'a str,
}

#[derive(Serialize)]
struct ConsumerView<'a> {
    consumer: &'a str,
    sessions: u64,
    largest_gap_seconds: Seconds,
    cadence_bound_seconds: Option<Seconds>,
    last_seen: Option<At>,
    reason: &'a str,
}

/// Returns the JSON text of a plan made at `now`.
pub fn plan(credential: &CredentialName, plan: &Plan, now: Timestamp) -> String {
    text(&PlanView {
        schema: "keydrain/plan/v1",
        credential: credential.as_str(),
        evaluated_at: At(now),
        key: plan.key.as_deref(),
        history_seconds: plan.history.map(Seconds),
        quiet_period: recommendation(&plan.quiet_period),
        overlap: recommendation(&plan.overlap),
        required_quiet_seconds: Seconds(plan.required),
        required_quiet: plan.required_quiet.iter().map(term).collect(),
        overlap_terms: plan.overlap_terms.iter().map(term).collect(),
        consumers: plan.consumers.iter().map(consumer).collect(),
        notes: &plan.notes,
    })
}

fn recommendation(recommendation: &Recommendation) -> RecommendationView<'_> {
    RecommendationView {
        seconds: Seconds(recommendation.value),
        configured_seconds: Seconds(recommendation.configured),
        dominated_by: &recommendation.dominated_by,
        reason: &recommendation.reason,
    }
}

fn term(term: &Term) -> TermView<'_> {
    TermView { name: term.name, seconds: term.value.map(Seconds), reason: &term.reason }
}

fn consumer(consumer: &ConsumerPlan) -> ConsumerView<'_> {
    ConsumerView {
        consumer: &consumer.consumer,
        sessions: consumer.sessions,
        largest_gap_seconds: Seconds(consumer.largest_gap),
        cadence_bound_seconds: consumer.cadence_bound.map(Seconds),
        last_seen: at(consumer.last_seen),
        reason: &consumer.reason,
    }
}

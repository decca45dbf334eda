//! Rotations, their consumers and their journal.
//!
//! A key is shown by its name and fingerprint, never otherwise.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{At, Seconds, at, text};
use crate::engine::answer::Answer;
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::incident::Incident;
use crate::engine::rotation::{Job, JournalEntry, JournalEvent, KeyRef, Phase, RosterEntry};
use crate::engine::state::Violation;
use crate::engine::view::{self, RotationView};

#[derive(Serialize)]
struct RotationsView<'a> {
    rotations: Vec<View<'a>>,
}

#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    credential: &'a str,
    phase: &'static str,
    old_key: KeyView<'a>,
    new_key: KeyView<'a>,
    started_at: At,
    dual_accept_at: Option<At>,
    notified_at: Option<At>,
    propagated_at: Option<At>,
    revoked_at: Option<At>,
    rolled_back_at: Option<At>,
    revocation_verified_at: Option<At>,
    overlap_seconds: Option<Seconds>,
    verdict: &'static str,
    verdict_since: At,
    message: &'a str,
    sources: Vec<&'a str>,
    roster: Vec<RosterView<'a>>,
    jobs: Vec<JobView<'a>>,
    attested: Vec<&'static str>,
    hold_since: Option<At>,
    incident_since: Option<At>,
    running_jobs: BTreeMap<&'a str, At>,
    retired: Vec<&'a str>,
    waived: BTreeMap<&'a str, At>,
    retired_sources: Vec<&'a str>,
    retired_streams: Vec<StreamView<'a>>,
    manual_intervention: bool,
    overridden: bool,
    violations: Vec<ViolationView<'a>>,
    incidents: Vec<IncidentView<'a>>,
}

#[derive(Serialize)]
struct KeyView<'a> {
    name: &'a str,
    fingerprint: String,
}

#[derive(Serialize)]
struct RosterView<'a> {
    name: &'a str,
    third_party: bool,
    single: bool,
    synthetic: bool,
    max_cache_ttl_seconds: Seconds,
    max_connection_lifetime_seconds: Seconds,
    notice_period_seconds: Option<Seconds>,
    owner: Option<&'a str>,
}

#[derive(Serialize)]
struct JobView<'a> {
    consumer: &'a str,
    schedule: &'a str,
    tz: &'a str,
    max_runtime_seconds: Seconds,
}

#[derive(Serialize)]
struct StreamView<'a> {
    source: &'a str,
    stream: &'a str,
}

#[derive(Serialize)]
struct ViolationView<'a> {
    kind: &'static str,
    event_at: Option<At>,
    recorded_at: At,
    message: &'a str,
}

#[derive(Serialize)]
struct IncidentView<'a> {
    kind: &'static str,
    subject: &'a str,
    at: At,
    ended_at: Option<At>,
    message: &'a str,
}

/// Returns the JSON text of rotations, each with the answer that may be shown now.
pub fn rotations<'a>(rotations: impl Iterator<Item = (&'a RotationView, &'a Answer)>) -> String {
    text(&RotationsView { rotations: rotations.map(|(view, answer)| one(view, answer)).collect() })
}

/// Returns the JSON text of one rotation with the answer that may be shown now.
pub fn rotation(view: &RotationView, answer: &Answer) -> String {
    text(&one(view, answer))
}

fn one<'a>(view: &'a RotationView, answer: &'a Answer) -> View<'a> {
    let rotation = &view.rotation;
    let declaration = &rotation.declaration;
    let (phase, revoked_at, rolled_back_at) = match rotation.phase {
        Phase::Open => ("open", None, None),
        Phase::Revoked(at) => ("revoked", Some(At(at)), None),
        Phase::RolledBack(at) => ("rolled_back", None, Some(At(at))),
    };
    // An expired answer is not the one whose verdict has stood.
    let expired = answer.verdict != view.answer.verdict;
    View {
        id: declaration.id.as_str(),
        credential: declaration.credential.as_str(),
        phase,
        old_key: key(&declaration.old_key),
        new_key: key(&declaration.new_key),
        started_at: At(rotation.started_at),
        dual_accept_at: at(rotation.dual_accept_at),
        notified_at: at(rotation.notified_at),
        propagated_at: at(rotation.propagated_at),
        revoked_at,
        rolled_back_at,
        revocation_verified_at: at(view.revocation_verified_at),
        overlap_seconds: declaration.overlap.map(Seconds),
        verdict: answer.verdict.as_str(),
        verdict_since: At(if expired { answer.valid_until } else { view.verdict_since }),
        message: &answer.message,
        sources: declaration.sources.iter().map(SourceName::as_str).collect(),
        roster: declaration.roster.iter().map(roster_entry).collect(),
        jobs: declaration.jobs.iter().map(job).collect(),
        attested: rotation.attested.iter().map(|what| what.as_str()).collect(),
        hold_since: at(rotation.hold_since),
        incident_since: at(rotation.incident_since),
        running_jobs: rotation
            .running_jobs
            .iter()
            .map(|(name, (at, _))| (&**name, At(*at)))
            .collect(),
        retired: rotation.retired.keys().map(|name| &**name).collect(),
        waived: rotation.waived.iter().map(|(name, until)| (&**name, At(*until))).collect(),
        retired_sources: rotation.retired_sources.iter().map(SourceName::as_str).collect(),
        retired_streams: rotation
            .retired_streams
            .iter()
            .map(|(source, stream)| StreamView { source: source.as_str(), stream: stream.as_str() })
            .collect(),
        manual_intervention: rotation.manual_intervention,
        overridden: rotation.overridden,
        violations: view.violations.iter().map(violation).collect(),
        incidents: view.incidents.iter().map(incident).collect(),
    }
}

fn key(key: &KeyRef) -> KeyView<'_> {
    KeyView { name: &key.name, fingerprint: key.fingerprint.to_string() }
}

fn roster_entry(entry: &RosterEntry) -> RosterView<'_> {
    RosterView {
        name: &entry.name,
        third_party: entry.third_party,
        single: entry.single,
        synthetic: entry.synthetic,
        max_cache_ttl_seconds: Seconds(entry.max_cache_ttl),
        max_connection_lifetime_seconds: Seconds(entry.max_connection_lifetime),
        notice_period_seconds: entry.notice_period.map(Seconds),
        owner: entry.owner.as_deref(),
    }
}

fn job(job: &Job) -> JobView<'_> {
    JobView {
        consumer: &job.consumer,
        schedule: &job.schedule,
        tz: job.zone.as_deref().unwrap_or("UTC"),
        max_runtime_seconds: Seconds(job.max_runtime),
    }
}

fn violation(violation: &Violation) -> ViolationView<'_> {
    ViolationView {
        kind: violation.kind.as_str(),
        event_at: at(violation.event_at),
        recorded_at: At(violation.recorded_at),
        message: &violation.message,
    }
}

fn incident(incident: &Incident) -> IncidentView<'_> {
    IncidentView {
        kind: incident.kind.as_str(),
        subject: &incident.subject,
        at: At(incident.at),
        ended_at: at(incident.ended_at),
        message: &incident.message,
    }
}

#[derive(Serialize)]
struct ConsumersView<'a> {
    consumers: Vec<ConsumerView<'a>>,
}

#[derive(Serialize)]
struct ConsumerView<'a> {
    consumer: &'a str,
    state: &'static str,
    named: bool,
    owner: Option<&'a str>,
    third_party: bool,
    old: UseView,
    new: UseView,
    moved_at: Option<At>,
    largest_gap_seconds: Seconds,
    sessions: u64,
    cadence_bound_seconds: Option<Seconds>,
}

#[derive(Serialize)]
struct UseView {
    first_seen: Option<At>,
    last_seen: Option<At>,
    accepted: u64,
    denied: u64,
    failed: u64,
}

/// Returns the JSON text of a rotation's consumers.
pub fn consumers(consumers: &[view::ConsumerView]) -> String {
    text(&ConsumersView { consumers: consumers.iter().map(consumer).collect() })
}

fn consumer(view: &view::ConsumerView) -> ConsumerView<'_> {
    ConsumerView {
        consumer: &view.consumer,
        state: view.state.as_str(),
        named: view.named,
        owner: view.owner.as_deref(),
        third_party: view.third_party,
        old: uses(&view.old),
        new: uses(&view.new),
        moved_at: at(view.moved_at),
        largest_gap_seconds: Seconds(view.largest_gap),
        sessions: view.sessions,
        cadence_bound_seconds: view.cadence_bound.map(Seconds),
    }
}

fn uses(uses: &view::ConsumerUse) -> UseView {
    UseView {
        first_seen: at(uses.first_seen),
        last_seen: at(uses.last_seen),
        accepted: uses.accepted,
        denied: uses.denied,
        failed: uses.failed,
    }
}

#[derive(Serialize)]
struct JournalView<'a> {
    events: Vec<EntryView<'a>>,
}

#[derive(Serialize, Default)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<&'a str>,
}

#[derive(Serialize)]
struct EntryView<'a> {
    sequence: u64,
    r#type: &'static str,
    at: At,
    recorded_at: At,
    by: &'a str,
    inferred: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(flatten)]
    details: Details<'a>,
}

/// Returns the JSON text of a rotation's journal, in its order.
pub fn journal(entries: &[JournalEntry]) -> String {
    text(&JournalView { events: entries.iter().map(entry).collect() })
}

fn entry(entry: &JournalEntry) -> EntryView<'_> {
    EntryView {
        sequence: entry.sequence,
        r#type: entry.event.type_str(),
        at: At(entry.at),
        recorded_at: At(entry.recorded_at),
        by: &entry.by,
        // Facts that are inferred from the log are warnings of the answer, not entries.
        inferred: false,
        note: entry.note.as_deref(),
        details: details(&entry.event),
    }
}

fn details(event: &JournalEvent) -> Details<'_> {
    let mut details = Details::default();
    match event {
        JournalEvent::JobStarted(name)
        | JournalEvent::JobFinished(name)
        | JournalEvent::ConsumerRetired(name) => details.consumer = Some(name),
        JournalEvent::ConsumerWaived(name, until) => {
            details.consumer = Some(name);
            details.until = Some(At(*until));
        }
        JournalEvent::Attested(what) => details.what = Some(what.as_str()),
        JournalEvent::SourceRetired(source, stream) => {
            details.source = Some(source.as_str());
            details.stream = stream.as_ref().map(StreamName::as_str);
        }
        JournalEvent::RevokeIntent(epoch) => details.epoch = Some(epoch.as_str()),
        _ => {}
    }
    details
}

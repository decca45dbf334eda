//! Sequences of legal commits over few names, so that records meet.

use std::collections::BTreeMap;
use std::time::Duration;

use keydrain::engine::answer::{Epoch, Verdict};
use keydrain::engine::coverage::{Gap, GapReason};
use keydrain::engine::credential::{
    CredentialName, Fingerprint, PlaceName, SourceName, StreamName,
};
use keydrain::engine::ledger::Ledger;
use keydrain::engine::probe::Sightings;
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::rotation::{
    Attestation, Declaration, Job, JournalEntry, JournalEvent, KeyRef, RosterEntry, RotationId,
};
use keydrain::engine::state::{
    Commit, ProbeRecord, PublishedVerdict, SourceRecord, StreamRecord, TrackedRecord, Violation,
    ViolationKind,
};
use keydrain::engine::time::{Minute, Span, Timestamp};
use keydrain::engine::usage::{
    Anchor, ByteRange, Consumer, FileId, GenerationNumber, Issued, LineCount, PoolAddresses,
    RejectedKey, Seconds, Tally, UsageCell, UsageDelta,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::milestones::{a_checkpoint, a_summary, an_incident};
use crate::model::{address, at, bytes_of, delta, generation_of, key, named};

fn a_source() -> impl Strategy<Value = SourceName> {
    select(vec!["edge", "inner", ""]).prop_map(SourceName::new)
}

fn a_stream() -> impl Strategy<Value = StreamName> {
    select(vec!["/var/log/a.log", "/var/log/ü", "nul\u{0}"]).prop_map(StreamName::new)
}

fn a_key() -> impl Strategy<Value = Fingerprint> {
    select(vec![0, 1, 255]).prop_map(key)
}

fn a_consumer() -> impl Strategy<Value = Consumer> {
    prop_oneof![
        Just(Consumer::Anonymous),
        Just(Consumer::Others),
        select(vec![Consumer::POOL, Consumer::OTHERS, "", "billing", "billing\u{0}", "x' OR 1"])
            .prop_map(named),
        select(vec![Consumer::POOL, Consumer::OTHERS, "", "billing", "192.0.2.7"])
            .prop_map(address),
    ]
}

pub fn an_instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i64>().prop_map(Timestamp::from_nanos), (0..200_i64).prop_map(at)]
}

pub fn a_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![0..=i64::MAX.cast_unsigned(), 0..5_u64].prop_map(Duration::from_nanos)
}

pub fn a_count() -> impl Strategy<Value = u64> {
    let limit = i64::MAX.cast_unsigned();
    prop_oneof![0..10_u64, limit - 3..=limit]
}

fn a_span() -> impl Strategy<Value = Span> {
    (an_instant(), an_instant()).prop_map(|(a, b)| Span::between(a, b))
}

fn a_cell() -> impl Strategy<Value = UsageCell> {
    let counts = prop::array::uniform4(prop_oneof![a_count(), Just(u64::MAX)]);
    let seconds = prop::array::uniform4(any::<u64>().prop_map(Seconds::from_bits));
    let tally = (counts, seconds, an_instant(), an_instant(), an_instant()).prop_map(
        |(counts, seconds, first_seen, last_seen, counts_until)| Tally {
            counts,
            seconds,
            first_seen,
            last_seen,
            counts_until,
        },
    );
    (a_key(), a_consumer(), (-1..2_i64, any::<bool>()), tally).prop_map(
        |(key, consumer, (minute, late), tally)| UsageCell {
            key,
            consumer,
            minute: Minute::from_number(minute),
            late,
            tally,
        },
    )
}

fn an_anchor() -> impl Strategy<Value = Anchor> {
    any::<(u16, [u8; 16], u16, [u8; 16])>().prop_map(|(head_len, head, tail_len, tail)| Anchor {
        head_len,
        head,
        tail_len,
        tail,
    })
}

/// The range is made legal later: only its length counts here.
fn a_delta() -> impl Strategy<Value = UsageDelta> {
    let line = (-1..2_i64, a_count(), a_count()).prop_map(|(minute, lines, rejects)| LineCount {
        minute: Minute::from_number(minute),
        lines,
        rejects,
    });
    let reject = (a_key(), an_instant()).prop_map(|(key, at)| RejectedKey { key, at });
    let open = (a_count(), option::of(an_instant()), btree_map(a_key(), an_instant(), 0..3));
    let child = prop_oneof![4 => (0..9_u8).prop_map(|n| Some(key(n))), 1 => Just(None)];
    let lifetime = select(vec![Duration::from_hours(12), Duration::from_hours(36)]);
    let issued = (a_key(), child, an_instant(), lifetime)
        .prop_map(|(root, child, at, lifetime)| Issued { root, child, at, lifetime });
    (
        (a_source(), a_stream(), 1..3_u64, 0..9_u64),
        (
            any::<(u64, u64, i64, Option<[u8; 16]>)>(),
            an_anchor(),
            any::<bool>(),
            option::of(an_instant()),
        ),
        (vec(a_cell(), 0..6), vec(line, 0..4), vec(reject, 0..3), vec(issued, 0..4)),
        open,
    )
        .prop_map(|(place, file, (cells, lines, rejected_keys, issued), (count, at, keys))| {
            let (source, stream, generation, len) = place;
            let ((device, inode, birth, handle), anchor, inside_overlong, last_event) = file;
            UsageDelta {
                source,
                stream,
                generation: GenerationNumber(generation),
                file: FileId { device, inode, birth, handle },
                anchor,
                inside_overlong,
                last_event,
                cells,
                issued,
                lines,
                rejected_keys,
                open_rejects: OpenRejects { count, at, keys },
                ..delta(0, len)
            }
        })
}

fn a_source_record() -> impl Strategy<Value = SourceRecord> {
    (a_source(), any::<String>(), prop::array::uniform6(a_count())).prop_map(
        |(source, layout, counts)| SourceRecord {
            source,
            layout,
            bytes_read: counts[0],
            bytes_skipped: counts[1],
            bytes_unknown: counts[2],
            lines: counts[3],
            rejects: counts[4],
            other_keys: counts[5],
        },
    )
}

fn a_stream_record() -> impl Strategy<Value = StreamRecord> {
    let instants = prop::array::uniform5(option::of(an_instant()));
    let place = select(vec!["query:k", "field:ü", "nul\u{0}"]).prop_map(PlaceName::new);
    let seen = (vec(a_key(), 0..4), btree_map(place, any::<bool>(), 0..3));
    (a_source(), a_stream(), instants, any::<bool>(), a_duration(), seen).prop_map(
        |(source, stream, instants, frontier_assumed, observed_lateness, seen)| StreamRecord {
            source,
            stream,
            observing_since: instants[0],
            frontier: instants[1],
            frontier_assumed,
            watermark: instants[2],
            last_line_at: instants[3],
            observed_lateness,
            violations: u64::from(frontier_assumed),
            keys_seen: seen.0,
            places_seen: seen.1,
            masked_at: instants[4],
        },
    )
}

fn a_probe_record() -> impl Strategy<Value = ProbeRecord> {
    let runs = btree_map(-9..9_i64, 0..9_i64, 0..4);
    (a_source(), a_key(), a_duration(), runs).prop_map(|(source, key, bound, runs)| {
        let runs = runs.into_iter().map(|(first, length)| (first, first + length)).collect();
        ProbeRecord { source, key, seen: Sightings::restore(bound, runs) }
    })
}

fn a_gap() -> impl Strategy<Value = Gap> {
    let reason = select(GapReason::ALL.to_vec());
    (a_source(), a_stream(), a_span(), reason, option::of(a_count())).prop_map(
        |(source, stream, span, reason, bytes)| Gap { source, stream, span, reason, bytes },
    )
}

pub fn a_rotation_id() -> impl Strategy<Value = RotationId> {
    select(vec!["r1", "r2"]).prop_map(RotationId::new)
}

fn a_declaration() -> impl Strategy<Value = Declaration> {
    let key_ref = || {
        (any::<String>(), a_key(), option::of(any::<String>())).prop_map(
            |(name, fingerprint, id)| KeyRef {
                name: name.into(),
                fingerprint,
                id: id.map(Into::into),
            },
        )
    };
    let roster_entry = (
        any::<(String, bool, bool, bool, Option<String>)>(),
        (a_duration(), a_duration(), option::of(a_duration())),
    )
        .prop_map(|(it, (max_cache_ttl, max_connection_lifetime, notice_period))| RosterEntry {
            name: it.0.into(),
            third_party: it.1,
            single: it.2,
            synthetic: it.3,
            max_cache_ttl,
            max_connection_lifetime,
            notice_period,
            owner: it.4.map(Into::into),
        });
    let job = (any::<(String, String, Option<String>)>(), a_duration()).prop_map(
        |((consumer, schedule, zone), max_runtime)| Job {
            consumer: consumer.into(),
            schedule: schedule.into(),
            zone: zone.map(Into::into),
            max_runtime,
        },
    );
    (
        (a_rotation_id(), any::<String>(), key_ref(), key_ref()),
        (vec(a_source(), 0..4), vec(roster_entry, 0..3), vec(job, 0..3), option::of(a_duration())),
    )
        .prop_map(|((id, credential, old_key, new_key), (sources, roster, jobs, overlap))| {
            let credential = CredentialName::new(credential);
            Declaration { id, credential, old_key, new_key, sources, roster, jobs, overlap }
        })
}

fn an_event() -> impl Strategy<Value = JournalEvent> {
    let name = || any::<String>().prop_map(std::sync::Arc::<str>::from);
    prop_oneof![
        Just(JournalEvent::Started),
        Just(JournalEvent::Override),
        select(Attestation::ALL.to_vec()).prop_map(JournalEvent::Attested),
        name().prop_map(JournalEvent::JobStarted),
        (name(), an_instant()).prop_map(|(who, until)| JournalEvent::ConsumerWaived(who, until)),
        (a_source(), option::of(a_stream()))
            .prop_map(|(source, stream)| JournalEvent::SourceRetired(source, stream)),
        any::<String>().prop_map(|text| JournalEvent::RevokeIntent(Epoch::new(text))),
    ]
}

fn an_entry() -> impl Strategy<Value = JournalEntry> {
    let by = any::<(String, Option<String>)>();
    (a_rotation_id(), an_event(), an_instant(), an_instant(), by).prop_map(
        |(rotation, event, at, recorded_at, (by, note))| JournalEntry {
            sequence: 0,
            rotation,
            event,
            at,
            recorded_at,
            by,
            note,
        },
    )
}

fn a_verdict() -> impl Strategy<Value = PublishedVerdict> {
    let verdict = select(Verdict::ALL.to_vec());
    let later = prop::array::uniform3(option::of(an_instant()));
    let words = (any::<String>(), any::<String>());
    (a_rotation_id(), verdict, words, an_instant(), later).prop_map(
        |(rotation, verdict, (epoch, policy), since, later)| PublishedVerdict {
            rotation,
            verdict,
            epoch: Epoch::new(epoch),
            since,
            ready_since: later[0],
            revocation_verified_at: later[1],
            policy,
            policy_since: later[2],
        },
    )
}

fn a_violation() -> impl Strategy<Value = Violation> {
    let kind = select(ViolationKind::ALL.to_vec());
    (a_rotation_id(), kind, option::of(an_instant()), an_instant(), any::<String>()).prop_map(
        |(rotation, kind, event_at, recorded_at, message)| Violation {
            rotation,
            kind,
            event_at,
            recorded_at,
            message,
        },
    )
}

fn a_pool() -> impl Strategy<Value = PoolAddresses> {
    (a_key(), vec(any::<u64>(), 0..300))
        .prop_map(|(key, hashes)| PoolAddresses { key, addresses: hashes.into_iter().collect() })
}

fn a_commit() -> impl Strategy<Value = Commit> {
    let tracked = (a_source(), a_key(), option::of(an_instant()))
        .prop_map(|(source, key, since)| TrackedRecord { source, key, since });
    (
        (vec(a_delta(), 0..4), vec(a_source_record(), 0..3), vec(a_stream_record(), 0..3)),
        (
            (vec(tracked, 0..3), vec(a_probe_record(), 0..3)),
            vec(a_gap(), 0..2),
            vec(a_declaration(), 0..2),
            vec(a_pool(), 0..3),
        ),
        (vec(an_entry(), 0..3), vec(a_violation(), 0..2), vec(a_span(), 0..2)),
        (vec(a_verdict(), 0..2), 0..9_u64, option::of(an_instant())),
        (vec(a_checkpoint(), 0..3), vec(an_incident(), 0..3), vec(a_summary(), 0..2)),
    )
        .prop_map(|(evidence, found, told, (verdicts, sequence, now), passed)| Commit {
            deltas: evidence.0,
            uses: Vec::new(),
            keys: Vec::new(),
            sources: evidence.1,
            streams: evidence.2,
            generations: Vec::new(),
            bytes: Vec::new(),
            forgotten: Vec::new(),
            tracked: found.0.0,
            probes: found.0.1,
            gaps: found.1,
            rotations: found.2,
            pools: found.3,
            journal: told.0,
            violations: told.1,
            clock_suspects: told.2,
            checkpoints: passed.0,
            incidents: passed.1,
            summaries: passed.2,
            verdicts,
            sequence,
            now,
        })
}

/// Makes each commit one that the engine could give after the ones before it.
fn legalise(commits: &mut [Commit]) {
    let mut offsets = BTreeMap::new();
    let mut declared = Vec::new();
    let mut sequence = 0;
    let mut ledger = Ledger::new(2);
    for commit in commits {
        for delta in &mut commit.deltas {
            let place = (delta.source.clone(), delta.stream.clone(), delta.generation);
            let offset = offsets.entry(place).or_insert(0);
            delta.range = ByteRange { from: *offset, to: *offset + delta.range.to };
            *offset = delta.range.to;
            commit.generations.push(generation_of(delta));
            commit.bytes.push(bytes_of(delta));
            ledger.take(&mut delta.cells);
        }
        ledger.drain_changes(commit);
        for record in &mut commit.uses {
            let counts = &mut record.presentations.counts;
            *counts = counts.map(|count| count.min(i64::MAX.cast_unsigned()));
        }
        declared.extend(commit.rotations.iter().map(|it| it.id.clone()));
        commit.journal.retain(|it| declared.contains(&it.rotation));
        commit.violations.retain(|it| declared.contains(&it.rotation));
        commit.checkpoints.retain(|it| declared.contains(&it.rotation));
        commit.incidents.retain(|it| declared.contains(&it.rotation));
        commit.summaries.retain(|it| declared.contains(&it.rotation));
        commit.verdicts.retain(|it| declared.contains(&it.rotation));
        for entry in &mut commit.journal {
            sequence += 1;
            entry.sequence = sequence;
        }
    }
}

/// Up to five commits, each legal after the ones before.
pub fn commits() -> impl Strategy<Value = Vec<Commit>> {
    vec(a_commit(), 1..6).prop_map(|mut commits| {
        legalise(&mut commits);
        commits
    })
}

//! One commit becomes rows: what adds up is added, what is for ever is appended, the rest is
//! replaced by its key.
//!
//! Runs inside the caller's transaction and never ends it. What may be written is decided before:
//! by the engine, and by `ranges.rs`.

use rusqlite::{Connection, params};

use crate::engine::coverage::Gap;
use crate::engine::rotation::{Declaration, JournalEntry};
use crate::engine::state::{
    Commit, GenerationRecord, ProbeRecord, PublishedVerdict, SourceRecord, StreamRecord,
    TrackedRecord, Violation,
};
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::{LineCount, UsageCell};
use crate::store::column::{count, instant, nanos};
use crate::store::error::{Fault, StoreError};
use crate::store::mark::Mark;
use crate::store::names::{Names, rotation};
use crate::store::{bytes, issued, journal, milestones, open, ranges, rejects, uses};

/// Writes all of `commit`; the names come first, the records that refer to them after.
///
/// Returns how far the database has come with it: beyond `mark`, if there is one.
pub fn commit(
    tx: &Connection,
    names: &mut Names,
    commit: &Commit,
    mark: Option<&Mark>,
) -> Result<Mark, Fault> {
    ranges::check(tx, names, commit)?;
    for delta in &commit.deltas {
        let source = names.source(tx, &delta.source)?;
        add_cells(tx, names, source, &delta.cells)?;
        issued::add(tx, names, &delta.issued)?;
        let stream = names.stream(tx, &delta.source, &delta.stream)?;
        add_lines(tx, stream, &delta.lines)?;
        rejects::add(tx, names, stream, &delta.rejected_keys)?;
    }
    uses::put(tx, names, &commit.keys, &commit.uses)?;
    uses::put_pools(tx, names, &commit.pools)?;
    for record in &commit.sources {
        put_source(tx, names, record)?;
    }
    for record in &commit.streams {
        put_stream(tx, names, record)?;
    }
    for record in &commit.generations {
        put_generation(tx, names, record)?;
    }
    bytes::put(tx, names, commit)?;
    for record in &commit.tracked {
        put_tracked(tx, names, record)?;
    }
    for record in &commit.probes {
        put_probe(tx, names, record)?;
    }
    for gap in &commit.gaps {
        append_gap(tx, names, gap)?;
    }
    for span in &commit.clock_suspects {
        append_clock_suspect(tx, *span)?;
    }
    for declaration in &commit.rotations {
        put_rotation(tx, names, declaration)?;
    }
    append_journal(tx, &commit.journal)?;
    for violation in &commit.violations {
        append_violation(tx, violation)?;
    }
    milestones::write(tx, commit)?;
    for verdict in &commit.verdicts {
        put_verdict(tx, verdict)?;
    }
    put_meta(tx, commit.sequence, commit.now, mark)
}

fn add_cells(
    tx: &Connection,
    names: &mut Names,
    source: i64,
    cells: &[UsageCell],
) -> Result<(), Fault> {
    // `min(a, max - b) + b`: the sum of two counts saturates, where `a + b` would become a float.
    let mut add = tx.prepare_cached(
        "INSERT INTO usage_cell VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT DO UPDATE SET
            accepted = min(accepted, 9223372036854775807 - excluded.accepted) + excluded.accepted,
            unauthenticated = min(unauthenticated, 9223372036854775807 - excluded.unauthenticated)
                + excluded.unauthenticated,
            forbidden = min(forbidden, 9223372036854775807 - excluded.forbidden) + excluded.forbidden,
            failed = min(failed, 9223372036854775807 - excluded.failed) + excluded.failed,
            accepted_seconds = accepted_seconds | excluded.accepted_seconds,
            unauthenticated_seconds = unauthenticated_seconds | excluded.unauthenticated_seconds,
            forbidden_seconds = forbidden_seconds | excluded.forbidden_seconds,
            failed_seconds = failed_seconds | excluded.failed_seconds,
            first_seen = min(first_seen, excluded.first_seen),
            last_seen = max(last_seen, excluded.last_seen),
            counts_until = max(counts_until, excluded.counts_until)",
    )?;
    for cell in cells {
        let key = names.key(tx, &cell.key)?;
        let consumer = names.consumer(tx, &cell.consumer)?;
        let tally = &cell.tally;
        let [accepted, unauthenticated, forbidden, failed] = tally.counts.map(count);
        let seconds = tally.seconds.map(|seconds| seconds.bits().cast_signed());
        add.execute(params![
            source,
            key,
            consumer,
            cell.minute.number(),
            cell.late,
            accepted,
            unauthenticated,
            forbidden,
            failed,
            seconds[0],
            seconds[1],
            seconds[2],
            seconds[3],
            tally.first_seen.as_nanos(),
            tally.last_seen.as_nanos(),
            tally.counts_until.as_nanos(),
        ])?;
    }
    Ok(())
}

fn add_lines(tx: &Connection, stream: i64, lines: &[LineCount]) -> Result<(), Fault> {
    let mut add = tx.prepare_cached(
        "INSERT INTO line_count VALUES (?1, 0, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
            lines = min(lines, 9223372036854775807 - excluded.lines) + excluded.lines,
            rejects = min(rejects, 9223372036854775807 - excluded.rejects) + excluded.rejects",
    )?;
    for line in lines {
        add.execute(params![stream, line.minute.number(), count(line.lines), count(line.rejects)])?;
    }
    Ok(())
}

fn put_source(tx: &Connection, names: &mut Names, record: &SourceRecord) -> Result<(), Fault> {
    let source = names.source(tx, &record.source)?;
    tx.prepare_cached("REPLACE INTO source_state VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            source,
            record.layout,
            count(record.bytes_read),
            count(record.bytes_skipped),
            count(record.bytes_unknown),
            count(record.lines),
            count(record.rejects),
            count(record.other_keys),
        ])?;
    Ok(())
}

fn put_stream(tx: &Connection, names: &mut Names, record: &StreamRecord) -> Result<(), Fault> {
    let stream = names.stream(tx, &record.source, &record.stream)?;
    tx.prepare_cached("REPLACE INTO stream_state VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
        .execute(params![
            stream,
            instant(record.observing_since),
            instant(record.frontier),
            record.frontier_assumed,
            instant(record.watermark),
            instant(record.last_line_at),
            nanos(record.observed_lateness),
            count(record.violations),
            instant(record.masked_at),
        ])?;
    tx.prepare_cached("DELETE FROM stream_key WHERE stream = ?1")?.execute([stream])?;
    let mut add = tx.prepare_cached("INSERT INTO stream_key VALUES (?1, ?2, ?3)")?;
    for (position, key) in record.keys_seen.iter().enumerate() {
        add.execute(params![stream, place(position), names.key(tx, key)?])?;
    }
    tx.prepare_cached("DELETE FROM stream_place WHERE stream = ?1")?.execute([stream])?;
    let mut put = tx.prepare_cached("INSERT INTO stream_place VALUES (?1, ?2, ?3)")?;
    for (place, shown) in &record.places_seen {
        put.execute(params![stream, place.as_str(), shown])?;
    }
    Ok(())
}

fn put_generation(
    tx: &Connection,
    names: &mut Names,
    record: &GenerationRecord,
) -> Result<(), Fault> {
    let stream = names.stream(tx, &record.source, &record.stream)?;
    tx.prepare_cached(
        "REPLACE INTO generation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        stream,
        count(record.number.0),
        record.file.device.cast_signed(),
        record.file.inode.cast_signed(),
        record.file.birth,
        record.file.handle,
        record.path,
        count(record.offset),
        record.anchor.head_len,
        record.anchor.head,
        record.anchor.tail_len,
        record.anchor.tail,
        instant(record.last_event),
        record.inside_overlong,
        record.finished,
        count(record.open_rejects.count),
        instant(record.open_rejects.at),
    ])?;
    rejects::put_open(tx, names, stream, record.number, &record.open_rejects)
}

fn put_tracked(tx: &Connection, names: &mut Names, record: &TrackedRecord) -> Result<(), Fault> {
    let source = names.source(tx, &record.source)?;
    let key = names.key(tx, &record.key)?;
    tx.prepare_cached("REPLACE INTO tracked VALUES (?1, ?2, ?3)")?.execute(params![
        source,
        key,
        instant(record.since)
    ])?;
    Ok(())
}

fn put_probe(tx: &Connection, names: &mut Names, record: &ProbeRecord) -> Result<(), Fault> {
    let source = names.source(tx, &record.source)?;
    let key = names.key(tx, &record.key)?;
    tx.prepare_cached("DELETE FROM probe_sighting WHERE source = ?1 AND key = ?2")?
        .execute([source, key])?;
    let mut add = tx.prepare_cached("INSERT INTO probe_sighting VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let bound = nanos(record.seen.bound());
    for (first, last) in record.seen.runs() {
        add.execute(params![source, key, first, last, bound])?;
    }
    Ok(())
}

fn append_gap(tx: &Connection, names: &mut Names, gap: &Gap) -> Result<(), Fault> {
    let stream = names.stream(tx, &gap.source, &gap.stream)?;
    let (from, to) = (gap.span.from.as_nanos(), gap.span.to.as_nanos());
    tx.prepare_cached("INSERT INTO gap VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?.execute(params![
        stream,
        from,
        to,
        gap.reason.as_str(),
        gap.bytes.map(count),
    ])?;
    Ok(())
}

fn append_clock_suspect(tx: &Connection, span: Span) -> Result<(), Fault> {
    tx.prepare_cached("INSERT INTO clock_suspect VALUES (NULL, ?1, ?2)")?
        .execute([span.from.as_nanos(), span.to.as_nanos()])?;
    Ok(())
}

fn put_rotation(tx: &Connection, names: &mut Names, it: &Declaration) -> Result<(), Fault> {
    let old_key = names.key(tx, &it.old_key.fingerprint)?;
    let new_key = names.key(tx, &it.new_key.fingerprint)?;
    // The number must stay: the journal refers to it.
    let id: i64 = tx
        .prepare_cached(
            "INSERT INTO rotation VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (name) DO UPDATE SET credential = excluded.credential,
                old_key_name = excluded.old_key_name, old_key = excluded.old_key,
                old_key_id = excluded.old_key_id, new_key_id = excluded.new_key_id,
                new_key_name = excluded.new_key_name, new_key = excluded.new_key,
                overlap = excluded.overlap
             RETURNING id",
        )?
        .query_row(
            params![
                it.id.as_str(),
                it.credential.as_str(),
                it.old_key.name,
                old_key,
                it.old_key.id,
                it.new_key.name,
                new_key,
                it.new_key.id,
                it.overlap.map(nanos),
            ],
            |row| row.get(0),
        )?;
    tx.prepare_cached("DELETE FROM rotation_source WHERE rotation = ?1")?.execute([id])?;
    tx.prepare_cached("DELETE FROM rotation_roster WHERE rotation = ?1")?.execute([id])?;
    let mut pin = tx.prepare_cached("INSERT INTO rotation_source VALUES (?1, ?2, ?3)")?;
    for (position, source) in it.sources.iter().enumerate() {
        pin.execute(params![id, place(position), names.source(tx, source)?])?;
    }
    let mut enrol = tx.prepare_cached(
        "INSERT INTO rotation_roster VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for (position, entry) in it.roster.iter().enumerate() {
        enrol.execute(params![
            id,
            place(position),
            entry.name,
            entry.third_party,
            entry.single,
            entry.synthetic,
            nanos(entry.max_cache_ttl),
            nanos(entry.max_connection_lifetime),
            entry.notice_period.map(nanos),
            entry.owner,
        ])?;
    }
    tx.prepare_cached("DELETE FROM rotation_job WHERE rotation = ?1")?.execute([id])?;
    let mut schedule =
        tx.prepare_cached("INSERT INTO rotation_job VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (position, job) in it.jobs.iter().enumerate() {
        let position = place(position);
        let runtime = nanos(job.max_runtime);
        schedule.execute(params![id, position, job.consumer, job.schedule, job.zone, runtime])?;
    }
    Ok(())
}

fn append_journal(tx: &Connection, entries: &[JournalEntry]) -> Result<(), Fault> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut newest: i64 = tx
        .prepare_cached("SELECT coalesce(max(sequence), 0) FROM journal")?
        .query_row([], |row| row.get(0))?;
    let mut append =
        tx.prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for entry in entries {
        let sequence = count(entry.sequence);
        if sequence <= newest {
            let stored = newest.cast_unsigned();
            return Err(StoreError::JournalOutOfOrder { stored, found: entry.sequence }.into());
        }
        newest = sequence;
        append.execute(params![
            sequence,
            rotation(tx, &entry.rotation)?,
            entry.event.type_str(),
            journal::body(&entry.event),
            entry.at.as_nanos(),
            entry.recorded_at.as_nanos(),
            entry.by,
            entry.note,
        ])?;
    }
    Ok(())
}

fn append_violation(tx: &Connection, violation: &Violation) -> Result<(), Fault> {
    let rotation = rotation(tx, &violation.rotation)?;
    tx.prepare_cached("INSERT INTO violation VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?.execute(
        params![
            rotation,
            violation.kind.as_str(),
            instant(violation.event_at),
            violation.recorded_at.as_nanos(),
            violation.message,
        ],
    )?;
    Ok(())
}

fn put_verdict(tx: &Connection, it: &PublishedVerdict) -> Result<(), Fault> {
    let rotation = rotation(tx, &it.rotation)?;
    tx.prepare_cached("REPLACE INTO published_verdict VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            rotation,
            it.verdict.as_str(),
            it.epoch.as_str(),
            it.since.as_nanos(),
            instant(it.ready_since),
            instant(it.revocation_verified_at),
            it.policy,
            instant(it.policy_since),
        ])?;
    Ok(())
}

/// An answer's sequence never goes back: an older answer must not be taken for a newer one.
fn put_meta(
    tx: &Connection,
    sequence: u64,
    now: Option<Timestamp>,
    mark: Option<&Mark>,
) -> Result<Mark, Fault> {
    let passed = mark.map_or(0, |mark| mark.commits);
    tx.prepare_cached(
        "UPDATE meta SET answer_sequence = max(answer_sequence, ?1),
            last_commit_at = coalesce(?2, last_commit_at),
            commits = max(commits, ?3) + 1, is_copy = 0",
    )?
    .execute(params![count(sequence), instant(now), count(passed)])?;
    Ok(open::progress(tx)?.mark)
}

fn place(position: usize) -> i64 {
    i64::try_from(position).expect("no list in memory has 2⁶³ items")
}

//! Everything that was stored, as the records that the engine goes on from.
//!
//! Lists come back in the order in which they were recorded; the history of usage does not come
//! back here (`history.rs`). A value that this program never writes is damage and stops the reading: a guess could
//! make a verdict greener.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use crate::engine::answer::{Epoch, Verdict};
use crate::engine::coverage::{Gap, GapReason};
use crate::engine::credential::{CredentialName, Fingerprint, PlaceName};
use crate::engine::probe::Sightings;
use crate::engine::rotation::{Declaration, Job, JournalEntry, KeyRef, RosterEntry};
use crate::engine::state::{
    GenerationRecord, LineRecord, ProbeRecord, PublishedVerdict, SourceRecord, State, StreamRecord,
    TrackedRecord, Violation,
};
use crate::engine::time::{Minute, Step};
use crate::engine::usage::{Anchor, FileId, GenerationNumber, LineCount, RejectedKey};
use crate::store::column::{
    get_count, get_digest, get_duration, get_instant, get_instant_or_none, get_span,
};
use crate::store::error::Fault;
use crate::store::names::Directory;
use crate::store::{bytes, issued, journal, milestones, rejects, uses};

/// Reads the whole state, as of one moment.
pub fn state(connection: &Connection) -> Result<State, Fault> {
    // One read transaction, given up when it goes out of scope: nothing was written.
    let tx = connection.unchecked_transaction()?;
    state_in(&tx)
}

/// Returns the rotations, those that ended included.
pub fn rotations_in(tx: &Connection) -> Result<Vec<Declaration>, Fault> {
    let names = Directory::read(tx)?;
    Reader { connection: tx, names: &names }.rotations()
}

/// Reads the whole state in the caller's transaction.
pub fn state_in(tx: &Connection) -> Result<State, Fault> {
    let names = Directory::read(tx)?;
    let all = Reader { connection: tx, names: &names };
    let (sequence, last_commit_at) = tx
        .prepare("SELECT answer_sequence, last_commit_at FROM meta")?
        .query_row([], |row| Ok((get_count(row, "answer_sequence"), moment(row))))?;
    Ok(State {
        sources: all.rows("SELECT * FROM source_state ORDER BY source", source)?,
        streams: all.streams()?,
        generations: all.generations()?,
        bytes: all.rows("SELECT * FROM generation_bytes ORDER BY stream, number", bytes::read)?,
        tracked: all.rows("SELECT * FROM tracked ORDER BY source, key", tracked)?,
        probes: all.probes()?,
        uses: all.rows("SELECT * FROM presentations ORDER BY key, consumer", uses::uses)?,
        keys: all.rows("SELECT * FROM key_use ORDER BY key", uses::key)?,
        pools: all.rows("SELECT * FROM pool_address ORDER BY key", uses::pool)?,
        issued: all
            .rows("SELECT * FROM issued_key ORDER BY root, issued_at, child", issued::read)?,
        lines: all.rows("SELECT * FROM line_count ORDER BY step, minute, stream", line)?,
        rejected_keys: all
            .rows("SELECT * FROM rejected_key ORDER BY stream, key", rejects::rejected)?,
        gaps: all.rows("SELECT * FROM gap ORDER BY id", gap)?,
        rotations: all.rotations()?,
        journal: all.rows("SELECT * FROM journal ORDER BY sequence", entry)?,
        violations: all.rows("SELECT * FROM violation ORDER BY id", violation)?,
        clock_suspects: all
            .rows("SELECT * FROM clock_suspect ORDER BY id", |row, _| get_span(row))?,
        checkpoints: all
            .rows("SELECT * FROM checkpoint ORDER BY rotation, name", milestones::checkpoint)?,
        incidents: all.rows("SELECT * FROM incident ORDER BY id", milestones::incident)?,
        summaries: all
            .rows("SELECT * FROM rotation_summary ORDER BY rotation", milestones::summary)?,
        verdicts: all.rows("SELECT * FROM published_verdict ORDER BY rotation", verdict)?,
        sequence: sequence?,
        last_commit_at: last_commit_at?,
        restored: false,
    })
}

fn moment(row: &Row<'_>) -> Result<Option<crate::engine::time::Timestamp>, Fault> {
    get_instant_or_none(row, "last_commit_at")
}

struct Reader<'a> {
    connection: &'a Connection,
    names: &'a Directory,
}

impl Reader<'_> {
    fn rows<T>(
        &self,
        sql: &str,
        record: impl Fn(&Row<'_>, &Directory) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.rows_of(sql, [], record)
    }

    fn rows_of<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        record: impl Fn(&Row<'_>, &Directory) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(record(row, self.names)?);
        }
        Ok(records)
    }

    fn streams(&self) -> Result<Vec<StreamRecord>, Fault> {
        let keys = "SELECT key FROM stream_key WHERE stream = ?1 ORDER BY position";
        let places = "SELECT place, shown FROM stream_place WHERE stream = ?1";
        self.rows("SELECT * FROM stream_state ORDER BY stream", |row, names| {
            let id: i64 = row.get("stream")?;
            let keys = self.rows_of(keys, [id], |row, names| names.key(row.get("key")?))?;
            let places = self.rows_of(places, [id], |row, _| {
                Ok((PlaceName::new(row.get::<_, String>("place")?), row.get("shown")?))
            })?;
            stream(row, names, keys, places.into_iter().collect())
        })
    }

    fn generations(&self) -> Result<Vec<GenerationRecord>, Fault> {
        let keys = "SELECT key, at FROM open_reject_key
            WHERE stream = ?1 AND generation = ?2 ORDER BY key";
        self.rows("SELECT * FROM generation ORDER BY stream, number", |row, names| {
            let place: [i64; 2] = [row.get("stream")?, row.get("number")?];
            generation(row, names, self.rows_of(keys, place, rejects::found)?)
        })
    }

    fn probes(&self) -> Result<Vec<ProbeRecord>, Fault> {
        let runs = "SELECT first, last FROM probe_sighting
            WHERE source = ?1 AND key = ?2 ORDER BY first";
        let probes = "SELECT DISTINCT source, key, bound FROM probe_sighting ORDER BY source, key";
        self.rows(probes, |row, names| {
            let (source, key): (i64, i64) = (row.get("source")?, row.get("key")?);
            let runs = self
                .rows_of(runs, [source, key], |row, _| Ok((row.get("first")?, row.get("last")?)))?;
            Ok(ProbeRecord {
                source: names.source(source)?,
                key: names.key(key)?,
                seen: Sightings::restore(get_duration(row, "bound")?, runs),
            })
        })
    }

    fn rotations(&self) -> Result<Vec<Declaration>, Fault> {
        let sources = "SELECT source FROM rotation_source WHERE rotation = ?1 ORDER BY position";
        let roster = "SELECT * FROM rotation_roster WHERE rotation = ?1 ORDER BY position";
        let jobs = "SELECT * FROM rotation_job WHERE rotation = ?1 ORDER BY position";
        self.rows("SELECT * FROM rotation ORDER BY id", |row, names| {
            let id: i64 = row.get("id")?;
            let overlap: Option<i64> = row.get("overlap")?;
            Ok(Declaration {
                id: names.rotation(id)?,
                credential: CredentialName::new(row.get::<_, String>("credential")?),
                old_key: key_ref(row, names, "old_key")?,
                new_key: key_ref(row, names, "new_key")?,
                sources: self
                    .rows_of(sources, [id], |row, names| names.source(row.get("source")?))?,
                roster: self.rows_of(roster, [id], roster_entry)?,
                jobs: self.rows_of(jobs, [id], job)?,
                overlap: overlap.map(|_| get_duration(row, "overlap")).transpose()?,
            })
        })
    }
}

fn key_ref(row: &Row<'_>, names: &Directory, key: &str) -> Result<KeyRef, Fault> {
    Ok(KeyRef {
        name: row.get(format!("{key}_name").as_str())?,
        fingerprint: names.key(row.get(key)?)?,
        id: row.get(format!("{key}_id").as_str())?,
    })
}

fn roster_entry(row: &Row<'_>, _: &Directory) -> Result<RosterEntry, Fault> {
    Ok(RosterEntry {
        name: row.get("name")?,
        third_party: row.get("third_party")?,
        single: row.get("single")?,
        synthetic: row.get("synthetic")?,
        max_cache_ttl: get_duration(row, "max_cache_ttl")?,
        max_connection_lifetime: get_duration(row, "max_connection_lifetime")?,
        notice_period: row
            .get::<_, Option<i64>>("notice_period")?
            .map(|_| get_duration(row, "notice_period"))
            .transpose()?,
        owner: row.get("owner")?,
    })
}

fn job(row: &Row<'_>, _: &Directory) -> Result<Job, Fault> {
    Ok(Job {
        consumer: row.get("consumer")?,
        schedule: row.get("schedule")?,
        zone: row.get("zone")?,
        max_runtime: get_duration(row, "max_runtime")?,
    })
}

fn source(row: &Row<'_>, names: &Directory) -> Result<SourceRecord, Fault> {
    Ok(SourceRecord {
        source: names.source(row.get("source")?)?,
        layout: row.get("layout")?,
        bytes_read: get_count(row, "bytes_read")?,
        bytes_skipped: get_count(row, "bytes_skipped")?,
        bytes_unknown: get_count(row, "bytes_unknown")?,
        lines: get_count(row, "lines")?,
        rejects: get_count(row, "rejects")?,
        other_keys: get_count(row, "other_keys")?,
    })
}

fn stream(
    row: &Row<'_>,
    names: &Directory,
    keys_seen: Vec<Fingerprint>,
    places_seen: BTreeMap<PlaceName, bool>,
) -> Result<StreamRecord, Fault> {
    let (source, stream) = names.stream(row.get("stream")?)?;
    Ok(StreamRecord {
        source,
        stream,
        observing_since: get_instant_or_none(row, "observing_since")?,
        frontier: get_instant_or_none(row, "frontier")?,
        frontier_assumed: row.get("frontier_assumed")?,
        watermark: get_instant_or_none(row, "watermark")?,
        last_line_at: get_instant_or_none(row, "last_line_at")?,
        observed_lateness: get_duration(row, "observed_lateness")?,
        violations: get_count(row, "violations")?,
        keys_seen,
        places_seen,
        masked_at: get_instant_or_none(row, "masked_at")?,
    })
}

fn generation(
    row: &Row<'_>,
    names: &Directory,
    open_keys: Vec<RejectedKey>,
) -> Result<GenerationRecord, Fault> {
    let (source, stream) = names.stream(row.get("stream")?)?;
    Ok(GenerationRecord {
        source,
        stream,
        number: GenerationNumber(get_count(row, "number")?),
        file: FileId {
            device: row.get::<_, i64>("device")?.cast_unsigned(),
            inode: row.get::<_, i64>("inode")?.cast_unsigned(),
            birth: row.get("birth")?,
            handle: row.get("handle")?,
        },
        path: row.get("path")?,
        offset: get_count(row, "offset")?,
        anchor: Anchor {
            head_len: row.get("head_len")?,
            head: get_digest(row, "head")?,
            tail_len: row.get("tail_len")?,
            tail: get_digest(row, "tail")?,
        },
        last_event: get_instant_or_none(row, "last_event")?,
        inside_overlong: row.get("inside_overlong")?,
        open_rejects: rejects::open(row, open_keys)?,
        finished: row.get("finished")?,
    })
}

fn tracked(row: &Row<'_>, names: &Directory) -> Result<TrackedRecord, Fault> {
    Ok(TrackedRecord {
        source: names.source(row.get("source")?)?,
        key: names.key(row.get("key")?)?,
        since: get_instant_or_none(row, "since")?,
    })
}

fn line(row: &Row<'_>, names: &Directory) -> Result<LineRecord, Fault> {
    let count = LineCount {
        minute: Minute::from_number(row.get("minute")?),
        lines: get_count(row, "lines")?,
        rejects: get_count(row, "rejects")?,
    };
    let step = Step::ALL.get(usize::from(row.get::<_, u8>("step")?)).copied();
    let step = step.ok_or_else(|| Fault::nonsense("line_count.step", "no known step"))?;
    let (source, stream) = names.stream(row.get("stream")?)?;
    Ok(LineRecord { source, stream, step, count })
}

fn gap(row: &Row<'_>, names: &Directory) -> Result<Gap, Fault> {
    let (source, stream) = names.stream(row.get("stream")?)?;
    let word: String = row.get("reason")?;
    let reason = GapReason::ALL.into_iter().find(|reason| reason.as_str() == word);
    let bytes: Option<i64> = row.get("bytes")?;
    Ok(Gap {
        source,
        stream,
        span: get_span(row)?,
        reason: reason.ok_or_else(|| Fault::nonsense("gap.reason", "no known reason"))?,
        bytes: bytes.map(|_| get_count(row, "bytes")).transpose()?,
    })
}

fn entry(row: &Row<'_>, names: &Directory) -> Result<JournalEntry, Fault> {
    let kind: String = row.get("type")?;
    let body: Option<String> = row.get("body")?;
    Ok(JournalEntry {
        sequence: get_count(row, "sequence")?,
        rotation: names.rotation(row.get("rotation")?)?,
        event: journal::event(&kind, body.as_deref())?,
        at: get_instant(row, "at")?,
        recorded_at: get_instant(row, "recorded_at")?,
        by: row.get("by")?,
        note: row.get("note")?,
    })
}

fn violation(row: &Row<'_>, names: &Directory) -> Result<Violation, Fault> {
    Ok(Violation {
        rotation: names.rotation(row.get("rotation")?)?,
        kind: milestones::violation_kind(row)?,
        event_at: get_instant_or_none(row, "event_at")?,
        recorded_at: get_instant(row, "recorded_at")?,
        message: row.get("message")?,
    })
}

fn verdict(row: &Row<'_>, names: &Directory) -> Result<PublishedVerdict, Fault> {
    let word: String = row.get("verdict")?;
    let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word);
    Ok(PublishedVerdict {
        rotation: names.rotation(row.get("rotation")?)?,
        verdict: verdict
            .ok_or_else(|| Fault::nonsense("published_verdict.verdict", "no known verdict"))?,
        epoch: Epoch::new(row.get::<_, String>("epoch")?),
        since: get_instant(row, "since")?,
        ready_since: get_instant_or_none(row, "ready_since")?,
        revocation_verified_at: get_instant_or_none(row, "revocation_verified_at")?,
        policy: row.get("policy")?,
        policy_since: get_instant_or_none(row, "policy_since")?,
    })
}

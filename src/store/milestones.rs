//! Checkpoints, incidents and summaries of rotations as rows, and back.
//!
//! A checkpoint is replaced, an incident is for ever and only its end moves. A word that this
//! program never writes is damage, never a guess.

use rusqlite::{Connection, Row, params};

use crate::engine::checkpoints::{Checkpoint, CheckpointRecord, CheckpointStatus};
use crate::engine::health::{RotationSummary, Velocity};
use crate::engine::incident::{Incident, IncidentKind};
use crate::engine::state::{Commit, ViolationKind};
use crate::store::column::{
    count, get_count, get_duration, get_duration_or_none, get_instant, get_instant_or_none,
    instant, nanos,
};
use crate::store::error::Fault;
use crate::store::names::{Directory, rotation};

/// Writes what `commit` has of them.
pub fn write(tx: &Connection, commit: &Commit) -> Result<(), Fault> {
    for record in &commit.checkpoints {
        put_checkpoint(tx, record)?;
    }
    for incident in &commit.incidents {
        put_incident(tx, incident)?;
    }
    for summary in &commit.summaries {
        put_summary(tx, summary)?;
    }
    Ok(())
}

fn put_checkpoint(tx: &Connection, it: &CheckpointRecord) -> Result<(), Fault> {
    let rotation = rotation(tx, &it.rotation)?;
    tx.prepare_cached("REPLACE INTO checkpoint VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
        params![
            rotation,
            it.checkpoint.as_str(),
            it.status.as_str(),
            it.at.as_nanos(),
            serde_json::Value::from(it.reasons.clone()).to_string(),
            instant(it.judged_from),
        ],
    )?;
    Ok(())
}

fn put_incident(tx: &Connection, it: &Incident) -> Result<(), Fault> {
    let rotation = rotation(tx, &it.rotation)?;
    tx.prepare_cached(
        "INSERT INTO incident VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (rotation, kind, subject, at) DO UPDATE SET
            ended_at = excluded.ended_at, message = excluded.message",
    )?
    .execute(params![
        rotation,
        it.kind.as_str(),
        it.subject,
        it.at.as_nanos(),
        instant(it.ended_at),
        it.message,
    ])?;
    Ok(())
}

fn put_summary(tx: &Connection, it: &RotationSummary) -> Result<(), Fault> {
    let rotation = rotation(tx, &it.rotation)?;
    let Velocity { consumers, moved, t50, t90, last } = it.velocity;
    tx.prepare_cached("REPLACE INTO rotation_summary VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
        .execute(params![
            rotation,
            instant(it.dual_accept_at),
            instant(it.last_use),
            nanos(it.allocated),
            count(consumers),
            count(moved),
            t50.map(nanos),
            t90.map(nanos),
            last.map(nanos),
        ])?;
    Ok(())
}

/// Reads a checkpoint.
pub fn checkpoint(row: &Row<'_>, names: &Directory) -> Result<CheckpointRecord, Fault> {
    let (name, status): (String, String) = (row.get("name")?, row.get("status")?);
    let checkpoint = Checkpoint::ALL.into_iter().find(|it| it.as_str() == name);
    let status = CheckpointStatus::ALL.into_iter().find(|it| it.as_str() == status);
    let reasons: String = row.get("reasons")?;
    Ok(CheckpointRecord {
        rotation: names.rotation(row.get("rotation")?)?,
        checkpoint: checkpoint
            .ok_or_else(|| Fault::nonsense("checkpoint.name", "no known checkpoint"))?,
        status: status.ok_or_else(|| Fault::nonsense("checkpoint.status", "no known status"))?,
        at: get_instant(row, "at")?,
        reasons: serde_json::from_str(&reasons)
            .map_err(|_| Fault::nonsense("checkpoint.reasons", "no list of texts"))?,
        judged_from: get_instant_or_none(row, "judged_from")?,
    })
}

/// Reads an incident.
pub fn incident(row: &Row<'_>, names: &Directory) -> Result<Incident, Fault> {
    let word: String = row.get("kind")?;
    let kind = IncidentKind::ALL.into_iter().find(|it| it.as_str() == word);
    Ok(Incident {
        rotation: names.rotation(row.get("rotation")?)?,
        kind: kind.ok_or_else(|| Fault::nonsense("incident.kind", "no known kind"))?,
        subject: row.get("subject")?,
        at: get_instant(row, "at")?,
        ended_at: get_instant_or_none(row, "ended_at")?,
        message: row.get("message")?,
    })
}

/// Reads the summary of a rotation.
pub fn summary(row: &Row<'_>, names: &Directory) -> Result<RotationSummary, Fault> {
    Ok(RotationSummary {
        rotation: names.rotation(row.get("rotation")?)?,
        dual_accept_at: get_instant_or_none(row, "dual_accept_at")?,
        last_use: get_instant_or_none(row, "last_use")?,
        allocated: get_duration(row, "allocated")?,
        velocity: Velocity {
            consumers: get_count(row, "consumers")?,
            moved: get_count(row, "moved")?,
            t50: get_duration_or_none(row, "t50")?,
            t90: get_duration_or_none(row, "t90")?,
            last: get_duration_or_none(row, "last")?,
        },
    })
}

/// Reads what a violation is.
pub fn violation_kind(row: &Row<'_>) -> Result<ViolationKind, Fault> {
    let word: String = row.get("kind")?;
    let kind = ViolationKind::ALL.into_iter().find(|it| it.as_str() == word);
    kind.ok_or_else(|| Fault::nonsense("violation.kind", "no known kind"))
}

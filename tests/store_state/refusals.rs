//! What is refused, and that the message says what to do.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use keydrain::engine::checkpoints::{Checkpoint, CheckpointRecord, CheckpointStatus};
use keydrain::engine::coverage::{Gap, GapReason};
use keydrain::engine::health::{RotationSummary, Velocity};
use keydrain::engine::incident::{Incident, IncidentKind};
use keydrain::engine::rotation::JournalEvent;
use keydrain::engine::state::{Commit, PublishedVerdict, Violation, ViolationKind};
use keydrain::engine::time::Span;
use keydrain::store::{Store, StoreError};
use rusqlite::Connection;

use crate::model::{
    FILE, assert_same, at, counting, declaration, delta, entry, generation_of, source, stream,
    with_uses,
};

fn state_with_history() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&counting(0, 2000)).unwrap();
    dir
}

fn sql(dir: &Path, statement: &str) -> rusqlite::Result<()> {
    Connection::open(dir.join("keydrain.db")).unwrap().execute_batch(statement)
}

/// Opens the state, which must fail with a message that holds all of `words` and is for a person.
fn refused(dir: &Path, words: &[&str]) -> StoreError {
    let error = Store::open(dir).map(drop).expect_err("the state must be refused");
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!error.is_retryable() || matches!(error, StoreError::InUse { .. }), "{message}");
    error
}

#[test]
fn row_40_a_second_instance_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let error = refused(dir.path(), &["another keydrain runs", "/lock"]);
    assert!(matches!(error, StoreError::InUse { .. }));
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn row_40_a_damaged_page_is_refused_wherever_it_is() {
    let dir = state_with_history();
    let path = dir.path().join("keydrain.db");
    let sound = fs::read(&path).unwrap();
    let pages = sound.len() / 4096;
    assert!(pages > 30, "{pages} pages are too few to mean anything");
    for page in 0..pages {
        fs::write(&path, &sound).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0x5a; 4096], page as u64 * 4096).unwrap();
        let error = refused(dir.path(), &["keydrain.db", "restore a backup", "move it away"]);
        assert!(matches!(error, StoreError::Corrupt { .. }), "page {page}: {error:?}");
    }
    fs::write(&path, &sound).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().0.cells().unwrap().len(), 2000);
}

#[test]
fn row_40_a_database_that_is_cut_short_is_refused() {
    let dir = state_with_history();
    let path = dir.path().join("keydrain.db");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    for cut in [len - 4096, len / 2, 5000, 700, 1] {
        file.set_len(cut).unwrap();
        let error = refused(dir.path(), &["restore a backup"]);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{cut}: {error:?}");
    }
}

#[test]
fn a_value_that_no_version_writes_is_damage_too() {
    let dir = state_with_history();
    {
        let (mut store, _) = Store::open(dir.path()).unwrap();
        let gap = Gap {
            source: source("edge"),
            stream: stream("s"),
            span: Span::between(at(1), at(2)),
            reason: GapReason::Vanished,
            bytes: None,
        };
        store.commit(&Commit { gaps: vec![gap], ..Commit::default() }).unwrap();
    }
    sql(dir.path(), "DROP TRIGGER gap_update; UPDATE gap SET reason = 'lunch'").unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let error = store.load().unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_table_of_a_consumer_that_no_version_writes_is_damage_too() {
    for damage in [
        // A number that never ends, a reach of 3 s, bursts that touch, and more than was promised.
        "UPDATE presentations SET presented = x'ffffffffffffffffffffff'",
        "UPDATE presentations SET served = x'030000'",
        "UPDATE presentations SET presented = x'01000202000100'",
        "UPDATE presentations SET recent = x'00000000'",
        "UPDATE key_use SET series = x'0300'",
        "UPDATE consumer SET kind = 0",
        "UPDATE consumer SET kind = 3",
    ] {
        let dir = tempfile::tempdir().unwrap();
        Store::open(dir.path()).unwrap().0.commit(&with_uses(counting(0, 3))).unwrap();
        Store::open(dir.path()).unwrap().0.load().unwrap();
        sql(dir.path(), damage).unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{damage}: {error:?}");
    }
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = state_with_history();
    sql(dir.path(), "PRAGMA user_version = 2").unwrap();
    refused(dir.path(), &["schema 2", "up to 1", "start the newer keydrain again"]);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    sql(dir.path(), "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    fs::write(dir.path().join("fingerprint.key"), "0".repeat(64)).unwrap();
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(dir.path().join("fingerprint.key"), mode).unwrap();
    let before = fs::read(dir.path().join("keydrain.db")).unwrap();
    refused(dir.path(), &["another program"]);
    assert_eq!(fs::read(dir.path().join("keydrain.db")).unwrap(), before);
}

#[test]
fn row_41_a_lost_secret_refuses_to_start() {
    let dir = state_with_history();
    let path = dir.path().join("fingerprint.key");
    fs::remove_file(&path).unwrap();
    let error = refused(dir.path(), &["fingerprint.key", "restore it", "loses all history"]);
    assert!(matches!(error, StoreError::SecretMissing { .. }));
    assert!(!path.exists(), "no new secret takes the place of the lost one");
}

#[test]
fn row_41_a_changed_secret_refuses_to_start() {
    let dir = state_with_history();
    let path = dir.path().join("fingerprint.key");
    let right = fs::read_to_string(&path).unwrap();
    fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    let error = refused(dir.path(), &["is not the one", "keydrain.db", "restore the right one"]);
    assert!(matches!(error, StoreError::SecretChanged { .. }));
    // White space around it is not a change.
    fs::write(&path, right.trim()).unwrap();
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_secret_that_others_can_read_refuses_to_start() {
    let dir = state_with_history();
    let path = dir.path().join("fingerprint.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    refused(dir.path(), &["mode 0644", "chmod 600"]);
}

#[test]
fn journal_and_gaps_refuse_every_change() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let gap = Gap {
        source: source("edge"),
        stream: stream("s"),
        span: Span::between(at(1), at(2)),
        reason: GapReason::Truncated,
        bytes: Some(7),
    };
    let commit = Commit {
        rotations: vec![declaration("r1")],
        journal: vec![entry(5, "r1", JournalEvent::Started)],
        gaps: vec![gap],
        ..Commit::default()
    };
    store.commit(&commit).unwrap();
    let before = store.load().unwrap();
    for statement in [
        "UPDATE journal SET by = 'somebody else'",
        "DELETE FROM journal",
        "INSERT OR REPLACE INTO journal SELECT 5, rotation, 'hold', NULL, 0, 0, '', NULL FROM journal",
        "INSERT INTO journal SELECT 4, rotation, 'hold', NULL, 0, 0, '', NULL FROM journal",
    ] {
        let error = sql(dir.path(), statement).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
    for statement in [
        "UPDATE gap SET to_at = from_at",
        "DELETE FROM gap",
        "INSERT OR REPLACE INTO gap SELECT id, stream, 0, 0, reason, bytes FROM gap",
    ] {
        let error = sql(dir.path(), statement).unwrap_err();
        assert!(error.to_string().contains("for ever"), "{statement}: {error}");
    }
    assert_same(&store.load().unwrap(), &before);
}

/// Commits, which must fail for good and leave the state as it was.
fn rejected(store: &mut Store, commit: &Commit) -> StoreError {
    let before = store.load().unwrap();
    let error = store.commit(commit).expect_err("the commit must be refused");
    assert!(!error.is_retryable(), "{error}");
    assert_same(&store.load().unwrap(), &before);
    error
}

#[test]
fn a_delta_that_does_not_continue_its_generation_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&counting(0, 10)).unwrap();
    for (from, to) in [(0, 10), (9, 12), (11, 12), (0, 0)] {
        let error = rejected(&mut store, &counting(from, to));
        let expected = (10, from);
        assert!(
            matches!(error, StoreError::OutOfOrder { stored, found, .. } if (stored, found) == expected),
            "{error}"
        );
    }
    // Two chunks of one commit must fit each other too.
    let mut twice = counting(10, 12);
    twice.deltas.push(delta(10, 12));
    assert!(matches!(rejected(&mut store, &twice), StoreError::OutOfOrder { stored: 12, .. }));
    twice.deltas[1] = delta(12, 13);
    twice.generations = vec![generation_of(&twice.deltas[1])];
    store.commit(&twice).unwrap();
    assert_eq!(store.load().unwrap().generations[0].offset, 13);
}

#[test]
fn a_jump_of_the_offset_needs_the_gap_that_explains_it() {
    let gap = |reason, stream_name| Gap {
        source: source("edge"),
        stream: stream(stream_name),
        span: Span::between(at(1), at(2)),
        reason,
        bytes: None,
    };
    // (where the delta begins, the gap's reason, its stream, whether it fits)
    let cases = [
        (15, GapReason::SequenceHole, "/var/log/a.log", true),
        (0, GapReason::Truncated, "/var/log/a.log", true),
        (0, GapReason::SequenceHole, "/var/log/a.log", false),
        (15, GapReason::Truncated, "/var/log/a.log", false),
        (15, GapReason::SequenceHole, "/var/log/other.log", false),
    ];
    for (from, reason, name, fits) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path()).unwrap();
        store.commit(&counting(0, 10)).unwrap();
        let mut commit = counting(from, from + 2);
        commit.gaps.push(gap(reason, name));
        assert_eq!(store.commit(&commit).is_ok(), fits, "{from} {reason:?} {name}");
    }
}

#[test]
fn counts_without_their_new_offset_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut commit = counting(0, 10);
    let generation = commit.generations.pop();
    assert!(matches!(rejected(&mut store, &commit), StoreError::OffsetMissing { .. }));
    // A proof of idleness moves nothing and needs none.
    store.commit(&Commit { deltas: vec![delta(0, 0)], ..Commit::default() }).unwrap();
    commit.generations.extend(generation);
    store.commit(&commit).unwrap();
    assert_eq!(store.load().unwrap().generations[0].file, FILE);
}

#[test]
fn a_journal_entry_out_of_order_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let journal = |sequence| Commit {
        rotations: vec![declaration("r1")],
        journal: vec![entry(sequence, "r1", JournalEvent::Hold)],
        ..counting(sequence, sequence + 1)
    };
    store.commit(&journal(3)).unwrap();
    let mut again = journal(4);
    again.journal[0].sequence = 3;
    let error = rejected(&mut store, &again);
    assert!(matches!(error, StoreError::JournalOutOfOrder { stored: 3, found: 3 }), "{error}");
    store.commit(&journal(4)).unwrap();
}

#[test]
fn records_of_a_rotation_that_was_never_declared_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let rotation = keydrain::engine::rotation::RotationId::new("r9");
    let verdict = PublishedVerdict {
        rotation: rotation.clone(),
        verdict: keydrain::engine::answer::Verdict::Ready,
        epoch: keydrain::engine::answer::Epoch::new("e"),
        since: at(0),
        ready_since: None,
        revocation_verified_at: None,
        policy: String::new(),
        policy_since: None,
    };
    let violation = Violation {
        rotation: rotation.clone(),
        kind: ViolationKind::LateLine,
        event_at: None,
        recorded_at: at(0),
        message: String::new(),
    };
    let checkpoint = CheckpointRecord {
        rotation: rotation.clone(),
        checkpoint: Checkpoint::Canary,
        status: CheckpointStatus::Pass,
        at: at(0),
        reasons: Vec::new(),
        judged_from: None,
    };
    let incident = Incident {
        rotation: rotation.clone(),
        kind: IncidentKind::RevocationLeak,
        subject: "etl".to_owned(),
        at: at(0),
        ended_at: None,
        message: String::new(),
    };
    let summary = RotationSummary {
        rotation,
        dual_accept_at: None,
        last_use: None,
        allocated: Duration::ZERO,
        velocity: Velocity::default(),
    };
    let commits = [
        Commit { checkpoints: vec![checkpoint], ..Commit::default() },
        Commit { incidents: vec![incident], ..Commit::default() },
        Commit { summaries: vec![summary], ..Commit::default() },
        Commit { journal: vec![entry(1, "r9", JournalEvent::Started)], ..Commit::default() },
        Commit { verdicts: vec![verdict], ..Commit::default() },
        Commit { violations: vec![violation], ..Commit::default() },
    ];
    for commit in commits {
        let error = rejected(&mut store, &commit);
        assert!(matches!(error, StoreError::UnknownRotation(_)), "{error}");
    }
}

#[test]
fn a_state_that_cannot_be_made_says_where() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("file"), "").unwrap();
    let error = Store::open(&scratch.path().join("file/state")).err().unwrap();
    assert!(error.to_string().contains("file/state"), "{error}");
    assert!(matches!(error, StoreError::Io { .. }));
}

#[test]
fn a_word_of_a_milestone_that_nobody_writes_is_damage() {
    let damages = [
        "INSERT INTO checkpoint VALUES (1, 'canary', 'maybe', 0, '[]', NULL)",
        "INSERT INTO checkpoint VALUES (1, 'lunch', 'pass', 0, '[]', NULL)",
        "INSERT INTO checkpoint VALUES (1, 'canary', 'pass', 0, '[7]', NULL)",
        "INSERT INTO incident VALUES (1, 1, 'party', '*', 0, NULL, '')",
        "INSERT INTO violation VALUES (1, 1, 'crime', NULL, 0, '')",
    ];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path()).unwrap();
        let rotations = vec![declaration("r1")];
        store.commit(&Commit { rotations, ..Commit::default() }).unwrap();
        drop(store);
        sql(dir.path(), damage).unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        assert!(store.load().is_err(), "{damage}");
    }
}

//! What only the store itself can see: a full disk and an unfinished transaction.

use std::fs;
use std::path::Path;

use super::*;
use crate::engine::credential::{ConsumerName, Fingerprint, SourceName, StreamName};
use crate::engine::rejects::OpenRejects;
use crate::engine::rotation::RotationId;
use crate::engine::state::{GenerationRecord, Violation, ViolationKind};
use crate::engine::time::Timestamp;
use crate::engine::usage::{
    Anchor, ByteRange, Consumer, FileId, GenerationNumber, Outcome, Tally, UsageCell, UsageDelta,
};

/// A commit that counts one line of each of `cells` consumers between two offsets.
fn commit(from: u64, to: u64, cells: i64) -> Commit {
    let (source, stream) = (SourceName::new("edge"), StreamName::new("/var/log/a.log"));
    let file = FileId { device: 1, inode: 2, birth: 3, handle: None };
    let event_at = Timestamp::from_seconds(60);
    let cell = |number| UsageCell {
        key: Fingerprint::from_bytes([7; 16]),
        consumer: Consumer::Named(ConsumerName::from_bytes(format!("c{number}").as_bytes())),
        minute: event_at.minute(),
        late: false,
        tally: Tally::one(Outcome::Forbidden, event_at, event_at),
    };
    let delta = UsageDelta {
        source: source.clone(),
        stream: stream.clone(),
        generation: GenerationNumber(1),
        file,
        range: ByteRange { from, to },
        skipped: 0,
        inside_overlong: false,
        anchor: Anchor::default(),
        arrival: event_at,
        cells: (0..cells).map(cell).collect(),
        pools: Vec::new(),
        issued: Vec::new(),
        lines: Vec::new(),
        other_keys: 0,
        newest_line_at: None,
        first_event: None,
        last_event: None,
        frontier: None,
        frontier_assumed: false,
        rejected_keys: Vec::new(),
        open_rejects: OpenRejects::default(),
        places: Vec::new(),
        masked_at: None,
        late_by: None,
        future_event: false,
    };
    let generation = GenerationRecord {
        source,
        stream,
        number: GenerationNumber(1),
        file,
        path: String::new(),
        offset: to,
        anchor: Anchor::default(),
        last_event: None,
        inside_overlong: false,
        open_rejects: OpenRejects::default(),
        finished: false,
    };
    Commit { deltas: vec![delta], generations: vec![generation], ..Commit::default() }
}

fn offset_and_uses(store: &Store) -> (u64, u64) {
    let state = store.load().unwrap();
    let uses = store.cells().unwrap().iter().map(|(_, cell)| cell.tally.counts[2]).sum();
    (state.generations.first().map_or(0, |it| it.offset), uses)
}

#[test]
fn a_full_disk_is_retryable_and_the_retry_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&commit(0, 10, 10)).unwrap();
    let pages: i64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit = |store: &Store, pages: i64| {
        let set = format!("PRAGMA max_page_count = {pages}");
        store.connection.query_row(&set, [], |row| row.get::<_, i64>(0)).unwrap();
    };
    limit(&store, pages + 2);
    let large = commit(10, 20, 5000);
    for _ in 0..2 {
        let error = store.commit(&large).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert!(error.is_retryable());
        assert_eq!(offset_and_uses(&store), (10, 10));
    }
    // Small commits still fit, also with names that the lost commit gave numbers to.
    store.commit(&commit(10, 11, 12)).unwrap();
    assert_eq!(offset_and_uses(&store), (11, 22));
    limit(&store, 1 << 20);
    store.commit(&commit(11, 20, 5000)).unwrap();
    assert_eq!(offset_and_uses(&store), (20, 5022));
}

/// Copies what a power cut would leave of the state in `from`.
fn snapshot(from: &Path, to: &Path) {
    for name in ["fingerprint.key", "keydrain.db", "keydrain.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_power_cut_in_the_middle_of_a_commit_leaves_the_former_state() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&commit(0, 10, 10)).unwrap();
    let before = fs::metadata(dir.path().join("keydrain.db-wal")).unwrap().len();
    // A small cache, so that pages of the unfinished transaction reach the disk.
    store.connection.pragma_update(None, "cache_size", 10).unwrap();
    let tx = store.connection.transaction().unwrap();
    write::commit(&tx, &mut store.names, &commit(10, 20, 5000), None).unwrap();
    snapshot(dir.path(), copy.path());
    let after = fs::metadata(copy.path().join("keydrain.db-wal")).unwrap().len();
    assert!(after > before, "nothing of the transaction reached the disk: the test means nothing");
    let (cut, _) = Store::open(copy.path()).unwrap();
    assert_eq!(offset_and_uses(&cut), (10, 10));
    drop(tx);
    assert_eq!(offset_and_uses(&store), (10, 10));
}

#[test]
fn a_commit_is_in_the_log_before_it_returns() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&commit(0, 10, 10)).unwrap();
    snapshot(dir.path(), copy.path());
    let (cut, _) = Store::open(copy.path()).unwrap();
    assert_eq!(offset_and_uses(&cut), (10, 10));
}

#[test]
fn a_commit_that_fails_late_takes_everything_before_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut bad = commit(0, 10, 10);
    bad.violations.push(Violation {
        rotation: RotationId::new("never declared"),
        kind: ViolationKind::LateLine,
        event_at: None,
        recorded_at: Timestamp::MIN,
        message: String::new(),
    });
    store.commit(&bad).unwrap_err();
    assert_eq!(offset_and_uses(&store), (0, 0));
    bad.violations.clear();
    store.commit(&bad).unwrap();
    assert_eq!(offset_and_uses(&store), (10, 10));
}

#[test]
fn the_connection_writes_as_durably_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let number = |pragma: &str| {
        store.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(number("synchronous"), 2, "full");
    assert_eq!(number("foreign_keys"), 1);
    assert_eq!(number("trusted_schema"), 0);
    assert_eq!(number("busy_timeout"), 5000);
    assert_eq!(number("application_id"), i64::from(i32::from_be_bytes(*b"kdrn")));
    let mode: String =
        store.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

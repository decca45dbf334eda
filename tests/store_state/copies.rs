//! Copies of the state: made beside a writer, and told from the newest state when put back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use keydrain::engine::coverage::GapReason;
use keydrain::engine::drain::{Declared, Drain};
use keydrain::engine::state::{Commit, StreamRecord};
use keydrain::store::{Look, Store, StoreError};

use crate::model::{at, counting, source, stream};

const DATABASE: &str = "keydrain.db";

/// A commit that counts bytes and gives an answer its sequence.
fn counted(from: u64, to: u64, sequence: u64) -> Commit {
    let now = Some(at(i64::try_from(sequence).unwrap() * 100));
    Commit { sequence, now, streams: vec![a_stream()], ..counting(from, to) }
}

fn a_stream() -> StreamRecord {
    StreamRecord {
        source: source("edge"),
        stream: stream("/var/log/a.log"),
        observing_since: Some(at(0)),
        frontier: Some(at(50)),
        frontier_assumed: false,
        watermark: Some(at(20)),
        last_line_at: None,
        observed_lateness: std::time::Duration::ZERO,
        violations: 0,
        keys_seen: Vec::new(),
        places_seen: BTreeMap::new(),
        masked_at: None,
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir).unwrap().0
}

/// A state with an older copy of itself beside it, `old.db`.
fn state_with_older_copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(&counted(0, 5, 3)).unwrap();
    drop(store);
    fs::copy(dir.path().join(DATABASE), dir.path().join("old.db")).unwrap();
    let mut store = open(dir.path());
    store.commit(&counted(5, 9, 8)).unwrap();
    dir
}

fn put_back(dir: &Path) {
    fs::copy(dir.join("old.db"), dir.join(DATABASE)).unwrap();
}

#[test]
fn row_40_an_older_copy_that_is_put_back_is_told_until_that_is_recorded() {
    let dir = state_with_older_copy();
    assert!(!open(dir.path()).load().unwrap().restored, "the newest state is no copy");
    put_back(dir.path());
    assert!(Look::open(dir.path()).unwrap().0.is_restored().unwrap());
    // It dies before it can record anything.
    assert!(open(dir.path()).load().unwrap().restored);

    let mut store = open(dir.path());
    let state = store.load().unwrap();
    assert!(state.restored);
    assert_eq!(state.generations[0].offset, 5, "offsets and counts are those of the copy");
    assert_eq!(state.sequence, 8, "no answer is numbered as an earlier one");
    let mut drain = Drain::new(Declared::default(), state);
    drain.advance(at(1_000), std::time::Duration::from_secs(1));
    let commit = drain.take_commit(at(1_000));
    let gap = &commit.gaps[0];
    assert_eq!((commit.gaps.len(), gap.reason), (1, GapReason::StateRestored));
    assert_eq!((gap.span.from, gap.span.to), (at(300), at(1_000)));
    assert_eq!(commit.streams[0].observing_since, None, "what was proved proves nothing any more");
    store.commit(&commit).unwrap();
    assert!(!store.load().unwrap().restored);
    drop(store);
    let state = open(dir.path()).load().unwrap();
    assert!(!state.restored, "told once");
    assert_eq!(state.gaps.len(), 1);
    // The same old copy once more.
    put_back(dir.path());
    assert!(open(dir.path()).load().unwrap().restored);
}

#[test]
fn a_mark_that_is_missing_torn_or_behind_accuses_nobody_and_is_made_anew() {
    let dir = state_with_older_copy();
    let mark = dir.path().join("epoch");
    let whole = fs::read(&mark).unwrap();
    assert_eq!(fs::metadata(&mark).unwrap().permissions().mode() & 0o777, 0o600);
    let behind = {
        put_back(dir.path());
        fs::remove_file(&mark).unwrap();
        assert!(!open(dir.path()).load().unwrap().restored);
        open(dir.path()).commit(&counted(5, 6, 4)).unwrap();
        fs::read(&mark).unwrap()
    };
    open(dir.path()).commit(&counted(6, 7, 5)).unwrap();
    for content in [&whole[..whole.len() / 2], b"", &[0; 100], &behind] {
        fs::write(&mark, content).unwrap();
        assert!(!open(dir.path()).load().unwrap().restored, "{content:?}");
    }
    open(dir.path()).commit(&counted(7, 8, 6)).unwrap();
    put_back(dir.path());
    assert!(open(dir.path()).load().unwrap().restored);
}

#[test]
fn row_40_a_deleted_database_is_a_new_state_without_history_and_its_answers_go_on() {
    let dir = state_with_older_copy();
    fs::remove_file(dir.path().join(DATABASE)).unwrap();
    let mut store = open(dir.path());
    let state = store.load().unwrap();
    assert!(!state.restored && state.streams.is_empty() && state.generations.is_empty());
    assert_eq!(state.sequence, 8, "no answer is numbered as an earlier one");
    store.commit(&counted(0, 1, 9)).unwrap();
    drop(store);
    assert!(!open(dir.path()).load().unwrap().restored);
    // The state that was deleted is another one now, however many commits it has.
    put_back(dir.path());
    assert!(open(dir.path()).load().unwrap().restored);
}

#[test]
fn a_copy_is_made_beside_a_writer_and_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(&counted(0, 1, 1)).unwrap();
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut number = 1;
            while !done.load(Ordering::Relaxed) {
                store.commit(&counted(number, number + 1, number + 1)).unwrap();
                number += 1;
            }
            number
        });
        for number in 0..8 {
            let to = tempfile::tempdir().unwrap();
            let target = to.path().join(DATABASE);
            let (look, _) = Look::open(dir.path()).unwrap();
            let copied = look.copy_to(&target).unwrap();
            let found = fs::metadata(&target).unwrap();
            assert_eq!(found.len(), copied.bytes);
            assert_eq!(found.permissions().mode() & 0o7777, 0o600);
            assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "no other file stays");
            fs::copy(dir.path().join("fingerprint.key"), to.path().join("fingerprint.key"))
                .unwrap();
            let state = open(to.path()).load().unwrap();
            assert!(state.restored, "a backup is told wherever it is started");
            assert_eq!(state.sequence, copied.sequence);
            assert_eq!(state.last_commit_at, copied.last_commit_at);
            // One line a byte: offsets and counts are of one moment.
            let lines: u64 = state.lines.iter().map(|it| it.count.lines).sum();
            assert_eq!(lines, state.generations[0].offset, "copy {number}");
            assert_eq!(state.sequence, lines);
        }
        done.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    assert_eq!(store.load().unwrap().generations[0].offset, written);
    drop(store);
    assert!(!open(dir.path()).load().unwrap().restored, "the original is no copy");
}

#[test]
fn a_copy_overwrites_nothing() {
    let dir = state_with_older_copy();
    let (look, _) = Look::open(dir.path()).unwrap();
    let target = dir.path().join("copy.db");
    fs::write(&target, "precious").unwrap();
    let error = look.copy_to(&target).unwrap_err();
    assert!(matches!(error, StoreError::CopyExists { .. }));
    assert!(error.to_string().contains("choose another name"), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    let nowhere = dir.path().join("no/such/copy.db");
    assert!(look.copy_to(&nowhere).unwrap_err().to_string().contains("cannot create"));
}

#[test]
fn looking_changes_nothing_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let message = Look::open(dir.path()).unwrap_err().to_string();
    assert!(message.contains("nothing is stored in") && message.contains("keydrain run"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let dir = state_with_older_copy();
    let before = fs::read(dir.path().join(DATABASE)).unwrap();
    let (state, usage) = Look::open(dir.path()).unwrap().0.read().unwrap();
    assert_eq!((state.generations[0].offset, usage.len()), (9, 9));
    assert_eq!(fs::read(dir.path().join(DATABASE)).unwrap(), before);
    fs::remove_file(dir.path().join("fingerprint.key")).unwrap();
    assert!(matches!(Look::open(dir.path()), Err(StoreError::SecretMissing { .. })));
}

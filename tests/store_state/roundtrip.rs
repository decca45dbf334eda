//! What is committed comes back, also after a restart, and adds up.

use std::os::unix::fs::PermissionsExt as _;

use keydrain::engine::rotation::JournalEvent;
use keydrain::engine::state::{Commit, State};
use keydrain::engine::usage::{Consumer, Outcome};
use keydrain::store::Store;
use proptest::prelude::*;

use crate::arbitrary;
use crate::model::{Model, address, assert_same, cell, counting, declaration, entry, named};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_state_is_what_the_commits_amount_to(commits in arbitrary::commits()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path()).unwrap();
        let mut model = Model::default();
        for commit in &commits {
            store.commit(commit).unwrap();
            model.commit(commit);
        }
        model.assert_is(&store);
        drop(store);
        let (store, _) = Store::open(dir.path()).unwrap();
        model.assert_is(&store);
    }
}

#[test]
fn a_fresh_directory_gives_an_empty_state_that_only_its_owner_reads() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("state");
    let (mut store, _) = Store::open(&dir).unwrap();
    assert_same(&store.load().unwrap(), &State::default());
    store.commit(&counting(0, 3)).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(dir.clone()), 0o700);
    let mut names = Vec::new();
    for file in std::fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        assert_eq!(mode(file.path()), 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    let expected =
        ["epoch", "fingerprint.key", "keydrain.db", "keydrain.db-shm", "keydrain.db-wal", "lock"];
    assert_eq!(names, expected);
}

#[test]
fn a_restart_keeps_the_secret_and_goes_on_adding() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, secret) = Store::open(dir.path()).unwrap();
    store.commit(&counting(0, 5)).unwrap();
    let before = secret.check_value();
    drop((store, secret));

    let (mut store, secret) = Store::open(dir.path()).unwrap();
    assert_eq!(secret.check_value(), before);
    store.commit(&counting(5, 9)).unwrap();
    let state = store.load().unwrap();
    assert_eq!(state.generations[0].offset, 9);
    assert_eq!(state.lines.iter().map(|it| it.count.lines).sum::<u64>(), 9);
    let cells = store.cells().unwrap();
    assert_eq!(cells.iter().map(|(_, cell)| cell.tally.counts[0]).sum::<u64>(), 9);
}

#[test]
fn a_consumer_named_anonymous_is_not_the_pool_and_neither_is_a_user_agent() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut commit = counting(0, 1);
    commit.deltas[0].cells = vec![
        cell(1, Consumer::Anonymous, 0),
        cell(1, named(Consumer::POOL), 0),
        cell(1, Consumer::Anonymous, 1),
        cell(1, address(Consumer::POOL), 0),
        cell(1, address(Consumer::POOL), 1),
        cell(1, address(Consumer::POOL), 2),
    ];
    store.commit(&commit).unwrap();
    let mut cells = store.cells().unwrap();
    cells.sort_by_key(|(_, cell)| cell.tally.counts[Outcome::Accepted as usize]);
    let found: Vec<_> =
        cells.into_iter().map(|(_, it)| (it.consumer, it.tally.counts[0])).collect();
    let pool = Consumer::POOL;
    assert_eq!(found, [(named(pool), 1), (Consumer::Anonymous, 2), (address(pool), 3)]);
}

#[test]
fn a_deleted_database_is_a_state_without_history_and_keeps_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, secret) = Store::open(dir.path()).unwrap();
    store.commit(&counting(0, 5)).unwrap();
    drop(store);
    for name in ["keydrain.db", "keydrain.db-wal", "keydrain.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    let (store, again) = Store::open(dir.path()).unwrap();
    assert_same(&store.load().unwrap(), &State::default());
    assert_eq!(secret.check_value(), again.check_value());
}

#[test]
fn a_declaration_that_is_given_again_replaces_the_first_and_keeps_its_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut commit = Commit {
        rotations: vec![declaration("r1")],
        journal: vec![entry(1, "r1", JournalEvent::Started), entry(2, "r1", JournalEvent::Hold)],
        ..Commit::default()
    };
    store.commit(&commit).unwrap();
    let journal = std::mem::take(&mut commit.journal);
    commit.rotations[0].roster.clear();
    commit.rotations[0].sources.truncate(1);
    store.commit(&commit).unwrap();
    let state = store.load().unwrap();
    assert_eq!(state.rotations, commit.rotations);
    assert_eq!(state.journal, journal);
}

#[test]
fn ten_thousand_cells_are_one_fast_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    let mut commit = counting(0, 1);
    commit.deltas[0].cells = (0..10_000)
        .map(|number| cell(1, named(&format!("consumer {}", number % 100)), number / 100 * 60))
        .collect();
    store.commit(&commit).unwrap();
    let cells = store.cells().unwrap();
    assert_eq!(cells.len(), 10_000);
    assert!(cells.iter().all(|(_, cell)| cell.tally.counts == [1, 0, 0, 0]));
}

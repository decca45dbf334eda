//! A process that dies, and a disk that fails, leave the state as some commit left it.
//!
//! The dying process is this test binary again: it runs one test with `STORE_CHILD` set.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keydrain::store::Store;

use crate::model::{Model, counting};

const CHILD: &str = "STORE_CHILD";
/// Lines per commit of the child.
const STEP: u64 = 40;

/// Returns this test binary, to run one test over the state in `dir`.
pub fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(CHILD, dir);
    command
}

/// Returns the state that this process is to die over, if it is a child.
pub fn child_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD).map(Into::into)
}

/// Asserts that offset and counts are of the same commit, and returns the offset.
fn whole(store: &Store) -> u64 {
    let state = store.load().unwrap();
    let offset = state.generations.first().map_or(0, |it| it.offset);
    assert_eq!(state.lines.iter().map(|it| it.count.lines).sum::<u64>(), offset);
    assert_eq!(
        store.cells().unwrap().iter().map(|(_, it)| it.tally.counts[0]).sum::<u64>(),
        offset
    );
    assert_eq!(offset % STEP, 0);
    offset
}

#[test]
fn row_37_a_killed_process_leaves_whole_commits_and_none_that_it_reported_is_lost() {
    if let Some(dir) = child_dir() {
        let (mut store, _) = Store::open(&dir).unwrap();
        let mut offset = whole(&store);
        loop {
            store.commit(&counting(offset, offset + STEP)).unwrap();
            offset += STEP;
            println!("\ncommitted {offset}");
            std::io::stdout().flush().unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let name =
        "crash::row_37_a_killed_process_leaves_whole_commits_and_none_that_it_reported_is_lost";
    for commits in [1, 2, 3, 5, 8, 13] {
        let mut process = child(name, dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut reported = output
            .lines()
            .filter_map(|line| line.unwrap().strip_prefix("committed ")?.parse::<u64>().ok());
        let last = reported.nth(commits - 1).expect("the child commits until it is killed");
        process.kill().unwrap();
        assert_eq!(process.wait().unwrap().signal(), Some(9));
        // What it still said between the last line read and its death counts too.
        let last = reported.last().unwrap_or(last);
        let (store, _) = Store::open(dir.path()).unwrap();
        let offset = whole(&store);
        assert!(offset == last || offset == last + STEP, "{offset} after {last} was reported");
    }
}

#[test]
fn row_39_a_commit_that_the_disk_refuses_changes_nothing_and_can_be_given_again() {
    if let Some(dir) = child_dir() {
        return fill_the_disk(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let name =
        "crash::row_39_a_commit_that_the_disk_refuses_changes_nothing_and_can_be_given_again";
    // A limit on the size of files is a disk that fails; its signal must be ignored from the start.
    let inner = child(name, dir.path());
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env(CHILD, dir.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    whole(&Store::open(dir.path()).unwrap().0);
}

fn fill_the_disk(dir: &Path) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let former = getrlimit(Resource::Fsize);
    let (mut store, _) = Store::open(dir).unwrap();
    let mut model = Model::default();
    let small = Rlimit { current: Some(200_000), maximum: former.maximum };
    setrlimit(Resource::Fsize, small).unwrap();
    let mut offset = 0;
    let (refused, error) = loop {
        let commit = counting(offset, offset + STEP);
        match store.commit(&commit) {
            Ok(()) => model.commit(&commit),
            Err(error) => break (commit, error),
        }
        offset += STEP;
        assert!(offset < 1_000_000, "the limit was never met");
    };
    assert!(error.is_retryable(), "{error:?}");
    assert!(store.commit(&refused).unwrap_err().is_retryable());
    model.assert_is(&store);

    setrlimit(Resource::Fsize, former).unwrap();
    store.commit(&refused).unwrap();
    model.commit(&refused);
    model.assert_is(&store);
}

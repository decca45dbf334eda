//! The server, its log rotation and the ledger of what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::{Compression, write::GzEncoder};
use keydrain::engine::answer::{Answer, Verdict};
use keydrain::engine::coverage::Gap;
use keydrain::engine::time::Timestamp;
use tempfile::TempDir;

use crate::reader::Cells;

/// Later than any file is written, so that ages do not depend on the machine's clock.
const START: i64 = 4_102_444_800; // 2100-01-01
/// How late a line may be, as the config declares it.
pub const LATENESS: Duration = Duration::from_secs(5);

/// How long a rotated file must be quiet before it is given up.
const GRACE: Duration = Duration::from_secs(60);

/// The key of a line, and who presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The old key, presented by this consumer.
    Old(u8),
    /// The new key, presented by this consumer.
    New(u8),
    /// None.
    None,
}

/// One line of the ledger. No two lines have the same second.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    at: Timestamp,
    /// When it was whole; `None` while it is not.
    written_at: Option<Timestamp>,
    /// It went where nobody could see it: it may be lost.
    unheard: bool,
}

/// The server.
pub struct Writer {
    folder: TempDir,
    /// The time of the machine.
    pub now: Timestamp,
    file: File,
    ledger: Vec<Entry>,
    /// What is missing of the last line.
    rest: Option<String>,
    targets: u32,
    /// The file was seen under the log's own name, so it is held open.
    seen: bool,
    /// The file has no name, and nobody holds it open: it was empty whenever it was seen.
    unheard: bool,
}

impl Writer {
    /// Makes an empty log below the build directory: a real disk.
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(folder.path().join("log")).unwrap();
        let file = open(&folder.path().join("log/access.log"));
        let now = Timestamp::from_seconds(START);
        Self {
            folder,
            now,
            file,
            ledger: Vec::new(),
            rest: None,
            targets: 0,
            seen: false,
            unheard: false,
        }
    }

    /// Returns the folder in which the log directory is.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn log(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("log/access.log{ending}"))
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Makes the next line, a second later than the one before.
    fn line(&mut self, key: Key) -> String {
        self.wait(Duration::from_secs(1));
        let (at, unheard) = (self.now, self.unheard);
        self.ledger.push(Entry { key, at, written_at: None, unheard });
        let (consumer, name) = match key {
            Key::Old(consumer) => (format!("c{consumer}"), "a"),
            Key::New(consumer) => (format!("c{consumer}"), "b"),
            Key::None => ("-".to_owned(), "-"),
        };
        format!(
            "{}.000 192.0.2.1 \"{consumer}\" {name} \"GET / HTTP/1.1\" 200\n",
            self.now.as_seconds()
        )
    }

    fn put(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
        self.date();
    }

    /// Dates the file as the time of this machine has it.
    fn date(&self) {
        self.dated(&self.file);
    }

    fn dated(&self, file: &File) {
        let since = self.now.since(Timestamp::from_seconds(0));
        file.set_modified(UNIX_EPOCH + since).unwrap();
    }

    fn empty(&self) {
        self.file.set_len(0).unwrap();
        self.date();
    }

    fn whole(&mut self) {
        self.ledger.last_mut().expect("a line was begun").written_at = Some(self.now);
    }

    /// Writes a line.
    pub fn write(&mut self, key: Key) {
        let line = self.line(key);
        self.put(&line);
        self.whole();
    }

    /// Writes half a line.
    pub fn begin(&mut self, key: Key) {
        let line = self.line(key);
        let (half, rest) = line.split_at(line.len() / 2);
        self.put(half);
        self.rest = Some(rest.to_owned());
    }

    /// Writes the other half, a second later.
    pub fn complete(&mut self) {
        self.wait(Duration::from_secs(1));
        let rest = self.rest.take().expect("half a line was written");
        self.put(&rest);
        self.whole();
    }

    /// Opens the log by its name.
    pub fn reopen(&mut self) {
        self.file = open(&self.log(""));
        self.seen = false;
        self.unheard = false;
    }

    /// Tells whether the log holds nothing.
    pub fn is_empty(&self) -> bool {
        self.file.metadata().unwrap().len() == 0
    }

    /// Takes note that somebody looks at the names.
    pub fn note_look(&mut self) {
        self.seen |= self.is_called("");
    }

    /// Takes note that the file may have lost its name.
    fn note_loss(&mut self) {
        let mut endings = (1..=self.numbers()).map(|number| format!(".{number}"));
        let nameless = !self.is_called("") && !endings.any(|ending| self.is_called(&ending));
        self.unheard |= nameless && !self.seen && self.is_empty();
    }

    /// Tells whether the name of the log with this ending leads to the file that is written to.
    fn is_called(&self, ending: &str) -> bool {
        let found = fs::metadata(self.log(ending)).map(|meta| meta.ino());
        found.is_ok_and(|inode| inode == self.file.metadata().unwrap().ino())
    }

    /// Moves all names on by one.
    fn move_on(&self) {
        for number in (1..self.numbers()).rev() {
            for packed in ["", ".gz"] {
                let from = self.log(&format!(".{number}{packed}"));
                if from.exists() {
                    fs::rename(from, self.log(&format!(".{}{packed}", number + 1))).unwrap();
                }
            }
        }
    }

    /// Returns a number that no rotated file has yet.
    fn numbers(&self) -> u32 {
        let taken = |number: u32| {
            self.log(&format!(".{number}")).exists() || self.log(&format!(".{number}.gz")).exists()
        };
        (1..1000).find(|number| !taken(*number)).expect("there are few")
    }

    /// Rotates as logrotate does with `create`.
    pub fn rotate(&mut self, reopens: bool) {
        self.move_on();
        fs::rename(self.log(""), self.log(".1")).unwrap();
        // The time of change cannot be set by hand: the time of the content stands in for it.
        self.date();
        self.dated(&open(&self.log("")));
        if reopens {
            self.reopen();
        }
    }

    /// Packs the newest rotated file that is not.
    pub fn pack(&mut self) {
        let plain = (1..self.numbers()).find(|number| self.log(&format!(".{number}")).exists());
        let Some(number) = plain else { return };
        let (from, to) = (self.log(&format!(".{number}")), self.log(&format!(".{number}.gz")));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&fs::read(&from).unwrap()).unwrap();
        fs::write(to, encoder.finish().unwrap()).unwrap();
        fs::remove_file(from).unwrap();
        self.note_loss();
    }

    /// Rotates as logrotate does with `copytruncate`; `lines` get lost in between.
    pub fn copy_truncate(&mut self, lines: u64) {
        self.move_on();
        fs::copy(self.log(""), self.log(".1")).unwrap();
        (0..lines).for_each(|_| self.write(Key::Old(0)));
        self.empty();
    }

    /// Empties the log and writes on.
    pub fn truncate(&mut self, lines: u64) {
        self.empty();
        (0..lines).for_each(|_| self.write(Key::New(0)));
    }

    /// Empties the log and fills it beyond its former size.
    pub fn regrow(&mut self) {
        let size = self.file.metadata().unwrap().len();
        self.empty();
        while self.file.metadata().unwrap().len() <= size {
            self.write(Key::New(1));
        }
    }

    /// Removes the log and begins a new one.
    pub fn remove(&mut self) {
        fs::remove_file(self.log("")).unwrap();
        self.reopen();
        self.date();
    }

    /// Removes the oldest rotated file.
    pub fn prune(&mut self) {
        let number = self.numbers() - 1;
        for packed in ["", ".gz"] {
            let _ = fs::remove_file(self.log(&format!(".{number}{packed}")));
        }
        self.note_loss();
    }

    /// Turns the log's name into a symbolic link to a new file, at one stroke.
    pub fn swap(&mut self) {
        let target = format!("target-{}", self.targets);
        self.targets += 1;
        let folder = self.folder.path().join("log");
        self.dated(&open(&folder.join(&target)));
        symlink(&target, folder.join("next")).unwrap();
        fs::rename(folder.join("next"), self.log("")).unwrap();
        self.reopen();
    }

    /// Checks that no use of the old key lies in the window of an answer that says *ready*.
    pub fn check(&self, answer: &Answer, looked_at: Timestamp) {
        if answer.verdict != Verdict::Ready {
            return;
        }
        let window = answer.window.span.expect("nothing is ready without a window");
        let used = self.ledger.iter().filter(|entry| matches!(entry.key, Key::Old(_)));
        let hidden: Vec<&Entry> = used
            .filter(|entry| entry.at > window.from && !entry.unheard)
            // What was not written, or was written later than declared, nobody could see.
            .filter(|entry| entry.written_at.is_some_and(|at| at <= looked_at))
            .filter(|entry| entry.written_at.is_some_and(|at| at.since(entry.at) <= LATENESS))
            .collect();
        assert!(hidden.is_empty(), "ready for {window:?} at {looked_at}, but {hidden:?}");
    }

    /// Checks that each line was counted once, or lies in a gap.
    pub fn check_counts(&self, cells: &Cells, gaps: &[Gap]) {
        let mut expected: BTreeMap<Key, BTreeSet<i64>> = BTreeMap::new();
        let (slow, prompt): (Vec<&Entry>, Vec<&Entry>) =
            self.ledger.iter().filter(|entry| entry.key != Key::None).partition(|entry| {
                // Half a line of a rotated file is given up after the grace.
                entry.unheard || entry.written_at.is_none_or(|at| at.since(entry.at) >= GRACE)
            });
        let slow: BTreeSet<i64> = slow.iter().map(|entry| entry.at.as_seconds()).collect();
        for entry in prompt {
            expected.entry(entry.key).or_default().insert(entry.at.as_seconds());
        }
        for (key, counted) in &cells.by_key {
            let written = expected.remove(key).unwrap_or_default();
            let unknown = counted.seconds.difference(&written);
            let invented: Vec<_> = unknown.filter(|second| !slow.contains(second)).collect();
            assert!(invented.is_empty(), "{key:?} was not written at {invented:?}");
            let on_time = counted.seconds.len() as u64;
            assert_eq!(counted.on_time, on_time, "{key:?} is counted more than once");
            let lost = |second: &&i64| !is_lost(**second, gaps);
            let missing: Vec<_> = written.difference(&counted.seconds).collect();
            let sure = missing.iter().filter(|second| lost(second)).count() as u64;
            assert!(
                (sure..=missing.len() as u64).contains(&counted.late),
                "{key:?}: {} counted late, missing {missing:?}, gaps {gaps:?}",
                counted.late
            );
        }
        for (key, written) in expected {
            let missing: Vec<_> =
                written.iter().filter(|second| !is_lost(**second, gaps)).collect();
            assert!(missing.is_empty(), "{key:?} is missing at {missing:?}, gaps {gaps:?}");
        }
    }
}

fn is_lost(second: i64, gaps: &[Gap]) -> bool {
    let at = Timestamp::from_seconds(second);
    gaps.iter().any(|gap| gap.span.from <= at && at <= gap.span.to)
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

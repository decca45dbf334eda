//! A directory, a writer with a ledger, and the tailer with what a store would have kept of it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use flate2::{Compression, write::GzEncoder};
use keydrain::engine::bytes::ByteLedger;
use keydrain::engine::coverage::{Basis, Gap, GapReason, SourceStatus, StreamStatus};
use keydrain::engine::credential::{FingerprintSecret, RawKey, SourceName, StreamName};
use keydrain::engine::evidence::{Source, SourceDecl, Taken};
use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place};
use keydrain::engine::policy::{AnonymousConsumers, Completeness, SourcePolicy};
use keydrain::engine::scan::matcher::{Matcher, TrackedKey};
use keydrain::engine::state::{GenerationRecord, StreamRecord};
use keydrain::engine::time::Timestamp;
use keydrain::engine::usage::{GenerationNumber, UsageDelta};
use keydrain::source::files::{ClockStep, FileSource, Limits, Progress, Report, Tailer};

/// The key that every line carries.
pub const KEY: &str = "sk_live_0123456789abcdef";

/// Names the directory to work in, where the usual one cannot be written to.
pub const TEST_DIR: &str = "KEYDRAIN_TEST_DIR";

/// Later than any file is written, so that ages do not depend on the machine's clock.
const START: i64 = 4_102_444_800; // 2100-01-01

pub struct World {
    pub dir: tempfile::TempDir,
    pub now: Timestamp,
    pub limits: Limits,
    pub between_polls: Duration,
    pub idle_is_proof: bool,
    /// How a line is read.
    pub layout: Layout,
    pub allowed_lateness: Duration,
    patterns: Vec<String>,
    /// Directories that links may lead into; a change takes effect at the next start.
    pub link_roots: Vec<PathBuf>,
    tailer: Option<Tailer>,
    streams: BTreeMap<StreamName, StreamRecord>,
    generations: BTreeMap<(StreamName, GenerationNumber), GenerationRecord>,
    /// Everything that was committed, in order.
    pub reports: Vec<Report>,
    /// How often each consumer was counted.
    pub counted: BTreeMap<String, u64>,
    pub lines: u64,
    pub rejects: u64,
    pub gaps: Vec<Gap>,
    pub status: Option<SourceStatus>,
    /// What the engine makes of the reports.
    pub evidence: Source,
    /// Number of lines that were written.
    pub written: u64,
}

impl World {
    /// An empty directory whose files are matched by `patterns`, relative to it.
    pub fn new(patterns: &[&str]) -> Self {
        let parent = std::env::var_os(TEST_DIR).unwrap_or(env!("CARGO_TARGET_TMPDIR").into());
        Self::new_in(Path::new(&parent), patterns)
    }

    /// The same, below `parent`.
    pub fn new_in(parent: &Path, patterns: &[&str]) -> Self {
        let dir = tempfile::tempdir_in(parent).unwrap();
        let patterns = patterns
            .iter()
            .map(|pattern| dir.path().join(pattern).to_str().unwrap().to_owned())
            .collect();
        Self {
            dir,
            now: Timestamp::from_seconds(START),
            limits: Limits::default(),
            between_polls: Duration::from_secs(1),
            idle_is_proof: false,
            layout: Layout::new(
                FormatSpec::Combined,
                vec![Place::Query("api_key".to_owned())],
                vec!["remote_user".to_owned()],
            ),
            allowed_lateness: Duration::from_secs(30),
            patterns,
            link_roots: Vec::new(),
            tailer: None,
            streams: BTreeMap::new(),
            generations: BTreeMap::new(),
            reports: Vec::new(),
            counted: BTreeMap::new(),
            lines: 0,
            rejects: 0,
            gaps: Vec::new(),
            status: None,
            evidence: Source::new(SourceName::new("edge")),
            written: 0,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new line of the ledger, with its LF.
    pub fn line(&mut self) -> String {
        let n = self.written;
        self.written += 1;
        let time = jiff::Timestamp::from_second(self.now.as_seconds()).unwrap();
        let time = time.strftime("%d/%b/%Y:%H:%M:%S +0000");
        format!("192.0.2.1 - u{n} [{time}] \"GET /?api_key={KEY} HTTP/1.1\" 200 5 \"-\" \"-\"\n")
    }

    pub fn lines(&mut self, count: usize) -> String {
        (0..count).map(|_| self.line()).collect()
    }

    /// Appends `count` new lines to a file, which is created if need be.
    pub fn write(&mut self, name: &str, count: usize) {
        let text = self.lines(count);
        append(&self.path(name), text.as_bytes());
    }

    pub fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// Does what `gzip` does: writes the packed twin, then removes the file.
    pub fn gzip(&self, name: &str) {
        self.pack(name, Packer::Gzip);
    }

    /// Does what `gzip` and `zstd --rm` do: writes the packed twin, then removes the file.
    pub fn pack(&self, name: &str, packer: Packer) {
        let bytes = packer.pack(&std::fs::read(self.path(name)).unwrap());
        std::fs::write(self.path(&packer.name(name)), bytes).unwrap();
        self.remove(name);
    }

    /// Does what logrotate does with `create`: `.1` becomes `.2`, the live file `.1`.
    pub fn rotate(&self, live: &str, keep: usize) {
        self.make_room(live, keep);
        self.rename(live, &format!("{live}.1"));
        File::create(self.path(live)).unwrap();
    }

    /// Renames `.1` to `.2` and so on; the last one is removed.
    pub fn make_room(&self, live: &str, keep: usize) {
        for packed in ["", ".gz", ".zst"] {
            let _ = std::fs::remove_file(self.path(&format!("{live}.{keep}{packed}")));
        }
        for n in (1..keep).rev() {
            for packed in ["", ".gz", ".zst"] {
                let from = self.path(&format!("{live}.{n}{packed}"));
                if from.exists() {
                    std::fs::rename(from, self.path(&format!("{live}.{}{packed}", n + 1))).unwrap();
                }
            }
        }
    }

    /// Cuts a file to `size` bytes.
    pub fn cut(&self, name: &str, size: u64) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(size).unwrap();
    }

    /// Says when a file was last written, `ago` before now.
    pub fn date(&self, name: &str, ago: Duration) {
        let since = self.now.minus(ago).since(Timestamp::from_seconds(0));
        let file = OpenOptions::new().write(true).open(self.path(name)).unwrap();
        file.set_modified(UNIX_EPOCH + since).unwrap();
    }

    fn source(&self) -> FileSource {
        let secret = Arc::new(FingerprintSecret::new(b"pepper".to_vec()));
        let raw = RawKey::new(KEY.as_bytes().to_vec());
        let fingerprint = secret.fingerprint(raw.expose());
        let tracked =
            vec![TrackedKey { fingerprint, raw: Some(raw), anonymous: AnonymousConsumers::Pooled }];
        FileSource {
            name: SourceName::new("edge"),
            patterns: self.patterns.clone(),
            link_roots: self.link_roots.clone(),
            matcher: Matcher::new(LineParser::compile(&self.layout).unwrap(), tracked, secret),
            policy: SourcePolicy {
                completeness: Completeness::Complete,
                probes: Vec::new(),
                allowed_lateness: self.allowed_lateness,
                lateness_assumed: false,
                idle_after: Duration::from_secs(300),
                silence_is_idle: self.idle_is_proof,
            },
            future_tolerance: Duration::from_secs(60),
        }
    }

    /// Looks once, a while later, and commits what was found.
    pub fn poll(&mut self) -> Progress {
        self.now = self.now.plus(self.between_polls);
        let (progress, reports) = self.poll_uncommitted();
        for report in reports {
            self.commit(report);
        }
        progress
    }

    fn poll_uncommitted(&mut self) -> (Progress, Vec<Report>) {
        let mut reports = Vec::new();
        if self.tailer.is_none() {
            self.tailer = Some(Tailer::new(
                vec![self.source()],
                self.streams.values().cloned().collect(),
                self.generations.values().cloned().collect(),
                self.limits.clone(),
            ));
        }
        let tailer = self.tailer.as_mut().unwrap();
        let progress = tailer.poll(self.now, &mut reports);
        (progress, reports)
    }

    /// Polls until everything is read and every open question is answered.
    pub fn drain(&mut self) {
        for _ in 0..3 {
            while self.poll().more {}
        }
    }

    /// Lets time pass, with a look in each second.
    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.poll();
        }
    }

    /// Sets the wall clock forward, as the reader notices it.
    pub fn set_clock_forward(&mut self, by: Duration) {
        self.set_clock(self.now.plus(by));
    }

    /// Sets the wall clock, as the reader notices it.
    pub fn set_clock(&mut self, to: Timestamp) {
        let from = std::mem::replace(&mut self.now, to);
        self.tailer.as_mut().unwrap().note_step(ClockStep { from, to });
    }

    /// Stops; the next poll goes on with what was committed.
    pub fn stop(&mut self) {
        self.tailer = None;
    }

    /// Is killed between reading and committing.
    pub fn crash(&mut self) {
        self.now = self.now.plus(Duration::from_secs(1));
        self.poll_uncommitted();
        self.stop();
    }

    pub fn watch_paths(&self) -> Vec<PathBuf> {
        self.tailer.as_ref().unwrap().watch_paths()
    }

    fn commit(&mut self, report: Report) {
        match &report {
            Report::Delta(delta) => {
                self.commit_delta(delta);
                assert_eq!(self.evidence.take(delta), Taken::Added);
            }
            Report::Generation(record) => {
                let key = (record.stream.clone(), record.number);
                if let Some(before) = self.generations.get(&key) {
                    let is_copy = before.finished && record.finished;
                    assert!(is_copy || before.offset == record.offset, "only deltas move offsets");
                } else {
                    let last =
                        self.generations.range((record.stream.clone(), GenerationNumber(0))..);
                    let mut of_stream = last.filter(|(key, _)| key.0 == record.stream);
                    let last = of_stream.next_back().map_or(0, |(key, _)| key.1.0);
                    assert_eq!(record.number.0, last + 1, "numbers have no holes");
                }
                self.generations.insert(key, record.clone());
                self.evidence.take_generation(record.clone());
            }
            Report::Gap(gap) => {
                self.gaps.push(gap.clone());
                self.evidence.add_gap(gap.clone());
            }
            Report::Forgotten(_, stream, number) => {
                let gone = self.generations.remove(&(stream.clone(), *number));
                assert!(gone.is_some_and(|record| record.finished));
                self.evidence.forget_generation(stream, *number);
            }
            Report::Status(status) => {
                self.status = Some(status.clone());
                self.evidence.look(status.clone());
            }
        }
        self.reports.push(report);
        self.assert_every_byte_is_accounted_for();
    }

    /// Checks the law of the bytes, for every generation and for the source.
    #[track_caller]
    fn assert_every_byte_is_accounted_for(&self) {
        for record in self.generations.values() {
            let bytes = self.evidence.generations.bytes(&(record.stream.clone(), record.number));
            let sum = bytes.read + bytes.skipped() + bytes.unknown() + bytes.waiting();
            assert_eq!(sum, bytes.known, "{record:?} {bytes:?}");
            assert_eq!(bytes.accounted(), record.offset, "{record:?} {bytes:?}");
            assert!(!record.finished || bytes.waiting() == 0, "{record:?} {bytes:?}");
        }
        let (sum, total) = (self.evidence.generations.sum(), &self.evidence.record);
        assert_eq!(
            (total.bytes_read, total.bytes_skipped, total.bytes_unknown),
            (sum.read, sum.skipped(), sum.unknown())
        );
    }

    /// The bytes of the generations of a stream, the oldest first.
    pub fn bytes(&self, live: &str) -> Vec<ByteLedger> {
        let name = StreamName::new(self.path(live).to_str().unwrap());
        self.evidence.generations.of(&name).into_iter().map(|(_, bytes)| *bytes).collect()
    }

    fn commit_delta(&mut self, delta: &UsageDelta) {
        let key = (delta.stream.clone(), delta.generation);
        let record = self.generations.get_mut(&key).expect("a generation is told before its bytes");
        assert!(!record.finished, "a finished generation is told to go on before its bytes");
        assert_eq!(record.offset, delta.range.from, "ranges touch");
        assert!(delta.skipped <= delta.range.to - delta.range.from);
        assert_eq!(record.file, delta.file);
        record.offset = delta.range.to;
        record.anchor = delta.anchor;
        record.last_event = delta.last_event;
        record.inside_overlong = delta.inside_overlong;
        let were_open = std::mem::replace(&mut record.open_rejects, delta.open_rejects.clone());
        let stream = self.streams.entry(delta.stream.clone()).or_insert_with(|| StreamRecord {
            source: delta.source.clone(),
            stream: delta.stream.clone(),
            observing_since: None,
            frontier: None,
            frontier_assumed: false,
            watermark: None,
            last_line_at: None,
            observed_lateness: Duration::ZERO,
            violations: 0,
            keys_seen: Vec::new(),
            places_seen: BTreeMap::new(),
            masked_at: None,
        });
        assert!(stream.frontier <= delta.frontier, "a frontier never goes back");
        assert!(delta.frontier <= Some(self.now), "a frontier is never in the future");
        stream.frontier = delta.frontier;
        stream.frontier_assumed = delta.frontier_assumed;
        for cell in &delta.cells {
            *self.counted.entry(cell.consumer.as_str().to_owned()).or_default() +=
                cell.tally.counts.iter().sum::<u64>();
        }
        // A line that is read is counted or left open; one that was open may be counted now.
        let open = delta.open_rejects.count;
        let lines = delta.lines.iter().map(|count| count.lines).sum::<u64>();
        self.lines += lines + open - were_open.count;
        let rejects = delta.lines.iter().map(|count| count.rejects).sum::<u64>();
        self.rejects += rejects + open - were_open.count;
    }

    /// Checks that each of `lines`, which were written at `at`, was counted once or lies in a gap,
    /// and that none was counted twice.
    #[track_caller]
    pub fn assert_counted_or_in_a_gap(&self, lines: &[u64], at: Timestamp) {
        let twice: Vec<_> = self.counted.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "counted twice: {twice:?}");
        let in_a_gap = self.gaps.iter().any(|gap| gap.span.from <= at && at <= gap.span.to);
        for line in lines {
            let is_counted = self.counted.contains_key(&format!("u{line}"));
            assert!(is_counted || in_a_gap, "line {line} of {at}: {:?}", self.gaps);
        }
    }

    /// Checks that every line of the ledger was counted once, and nothing else.
    #[track_caller]
    pub fn assert_ledger(&self) {
        self.assert_ledger_without(&[]);
    }

    /// Checks the same, with lines that were lost and are not to be counted.
    #[track_caller]
    pub fn assert_ledger_without(&self, lost: &[u64]) {
        let expected: BTreeMap<String, u64> =
            (0..self.written).filter(|n| !lost.contains(n)).map(|n| (format!("u{n}"), 1)).collect();
        let wrong: Vec<_> = self
            .counted
            .iter()
            .filter(|(name, count)| expected.get(*name) != Some(count))
            .collect();
        let missing: Vec<_> =
            expected.keys().filter(|name| !self.counted.contains_key(*name)).collect();
        let some = |list: &[_]| format!("{} ({:?})", list.len(), &list[..list.len().min(9)]);
        let missing: Vec<_> = missing.into_iter().map(|name| (name, &0)).collect();
        let message = format!("wrong: {}, missing: {}", some(&wrong), some(&missing));
        assert!(wrong.is_empty() && missing.is_empty(), "{message}");
    }

    #[track_caller]
    pub fn assert_gaps(&self, reasons: &[GapReason]) {
        let found: Vec<GapReason> = self.gaps.iter().map(|gap| gap.reason).collect();
        assert_eq!(found, reasons);
    }

    pub fn status(&self) -> &SourceStatus {
        self.status.as_ref().unwrap()
    }

    /// What the source's watermark rests on, as the engine sees it.
    pub fn basis(&mut self) -> Basis {
        self.evidence.declare(SourceDecl {
            name: SourceName::new("edge"),
            layout: "combined".to_owned(),
            places: Vec::new(),
            policy: self.source().policy,
            tracked: Vec::new(),
        });
        self.evidence.advance(self.now);
        self.evidence.basis()
    }

    pub fn stream_status(&self, live: &str) -> &StreamStatus {
        let name = self.path(live).to_str().unwrap().to_owned();
        self.status().streams.iter().find(|status| status.stream.as_str() == name).unwrap()
    }

    /// Generations of a stream that are not finished.
    pub fn open(&self, live: &str) -> Vec<&GenerationRecord> {
        let name = self.path(live).to_str().unwrap().to_owned();
        let all = self.generations.values().filter(|one| one.stream.as_str() == name);
        all.filter(|one| !one.finished).collect()
    }

    pub fn generations(&self) -> Vec<&GenerationRecord> {
        self.generations.values().collect()
    }

    /// How many rejected lines with a key were told, the open ones included.
    pub fn rejected_keys(&self) -> usize {
        let told: usize = self.deltas().map(|delta| delta.rejected_keys.len()).sum();
        let open = self.generations.values().map(|record| record.open_rejects.keys.len());
        told + open.sum::<usize>()
    }

    pub fn deltas(&self) -> impl Iterator<Item = &UsageDelta> {
        self.reports.iter().filter_map(|report| match report {
            Report::Delta(delta) => Some(&**delta),
            _ => None,
        })
    }
}

pub fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// What packs a rotated file.
#[derive(Clone, Copy, Debug)]
pub enum Packer {
    Gzip,
    Zstd,
}

impl Packer {
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// Returns the name of the packed twin of `name`.
    pub fn name(self, name: &str) -> String {
        let ending = match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        };
        format!("{name}.{ending}")
    }

    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => gzip(bytes),
            Self::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

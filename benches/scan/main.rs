//! Throughput of reading a log of each family, and of the daemon's matcher.
//!
//! A log is generated with a fixed seed and its true counts are known: each run is checked against
//! them, so a fast wrong answer fails. `cargo bench --bench scan -- --test` runs each once.

mod corpus;

mod servers;

mod records;

mod cloudtrail;

mod wrapped;

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::Compression;
use flate2::write::GzEncoder;
use keydrain::cli::input::LogInput;
use keydrain::engine::credential::{FingerprintSecret, RawKey};
use keydrain::engine::parse::{Layout, LineParser, RejectReason, Scratch};
use keydrain::engine::policy::AnonymousConsumers;
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::scan::matcher::{ChunkContext, Matcher, TrackedKey};
use keydrain::engine::scan::records::{Framer, Record};
use keydrain::engine::scan::tally::{ScanTally, TallyOptions};
use keydrain::engine::time::Timestamp;

use corpus::{Log, key_id, key_text};

const CHUNK_LINES: usize = 1024;

/// Bytes that a scan reads at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What makes a log and the layout that reads it.
type Family = (&'static str, fn() -> (Log, Layout));

const FAMILIES: [Family; 6] = [
    ("combined", servers::combined),
    ("nginx", servers::nginx),
    ("apache", servers::apache),
    ("cri", wrapped::cri),
    ("json", records::json),
    ("cloudtrail", cloudtrail::cloudtrail),
];

/// A scan that is under way.
struct Scan<'a> {
    parser: &'a LineParser,
    framer: Framer,
    scratch: Scratch,
    tally: ScanTally,
}

impl<'a> Scan<'a> {
    fn new(parser: &'a LineParser) -> Self {
        Self {
            parser,
            framer: Framer::new(parser.framing()),
            scratch: Scratch::default(),
            tally: ScanTally::new(TallyOptions::default()),
        }
    }

    fn feed(&mut self, chunk: &[u8]) {
        let Self { parser, framer, scratch, tally } = self;
        framer.feed(chunk, |record| count(parser, record, scratch, tally));
    }

    /// Compares the counts with the truth.
    fn finish(self, log: &Log) {
        let Self { parser, framer, mut scratch, mut tally } = self;
        framer.finish(|record| count(parser, record, &mut scratch, &mut tally));
        // Events with ids count when they are merged.
        let part = std::mem::replace(&mut tally, ScanTally::new(TallyOptions::default()));
        tally.merge(&part);
        let totals = tally.totals();
        assert_eq!((totals.lines, totals.events), (log.lines, log.events));
        assert_eq!(totals.rejects.iter().sum::<u64>(), 0);
        let firsts = [key_text(0), key_id(0)];
        let is_first = |key: &[u8]| firsts.iter().any(|first| first.as_bytes() == key);
        let (_, first) = tally.keys().find(|(key, _)| is_first(key)).expect("used");
        assert_eq!(first.counts.total(), log.first_key);
        black_box(tally);
    }
}

fn count(parser: &LineParser, record: Record<'_>, scratch: &mut Scratch, tally: &mut ScanTally) {
    let Record::Whole(record) = record else { return tally.reject(RejectReason::TooLong) };
    match parser.parse(record, scratch) {
        Ok(event) => tally.event(&event),
        Err(reason) => tally.reject(reason),
    }
}

fn scan_every_key(log: &Log, parser: &LineParser) {
    let mut scan = Scan::new(parser);
    for chunk in log.text.chunks(CHUNK_BYTES) {
        scan.feed(chunk);
    }
    scan.finish(log);
}

fn scan_gzip(log: &Log, parser: &LineParser, file: &std::path::Path) {
    let mut scan = Scan::new(parser);
    let input = LogInput::open(file).expect("the file that was written");
    let take = |chunk: &[u8]| {
        scan.feed(chunk);
        true
    };
    input.read_chunks(take).expect("a whole file");
    scan.finish(log);
}

fn match_two_keys(log: &Log, layout: &Layout, raw: bool) {
    let secret = Arc::new(FingerprintSecret::new(b"bench".to_vec()));
    let tracked = [0, 1].map(|number| {
        let text = key_text(number).into_bytes();
        TrackedKey {
            fingerprint: secret.fingerprint(&text),
            raw: raw.then(|| RawKey::new(text)),
            anonymous: AnonymousConsumers::Pooled,
        }
    });
    let first = tracked[0].fingerprint;
    let parser = LineParser::compile(layout).expect("a valid layout");
    let mut matcher = Matcher::new(parser, tracked.to_vec(), secret);
    let mut context = ChunkContext {
        arrival: "2015-05-18T00:00:00Z".parse::<Timestamp>().expect("a time"),
        frontier: None,
        last_event: None,
        open_rejects: OpenRejects::default(),
        allowed_lateness: Duration::from_secs(30),
        future_tolerance: Duration::from_mins(1),
    };
    let (mut read, mut seen, mut rest) = (0, 0, &log.text[..]);
    while !rest.is_empty() {
        let end = memchr::memchr_iter(b'\n', rest).nth(CHUNK_LINES - 1);
        let (chunk, behind) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        rest = behind;
        let usage = matcher.scan(chunk, &context);
        (context.frontier, context.last_event) = (usage.frontier, usage.last_event);
        read += usage.line_count;
        let cells = usage.cells.iter().filter(|cell| cell.key == first);
        seen += cells.map(|cell| cell.tally.counts.iter().sum::<u64>()).sum::<u64>();
    }
    assert_eq!((read, seen), (log.lines, log.first_key));
}

fn families(criterion: &mut Criterion) {
    for (name, make) in FAMILIES {
        let (log, layout) = make();
        let parser = LineParser::compile(&layout).expect("a valid layout");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(log.text.len() as u64));
        group.sample_size(10);
        group.bench_function("scan_every_key", |bench| {
            bench.iter(|| scan_every_key(&log, &parser));
        });
        group.finish();
    }
}

fn gzip(criterion: &mut Criterion) {
    let (log, layout) = servers::combined();
    let parser = LineParser::compile(&layout).expect("a valid layout");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&log.text).expect("memory");
    let packed = encoder.finish().expect("memory");
    let mut file = tempfile::NamedTempFile::new().expect("a writable folder");
    file.write_all(&packed).expect("room for the file");
    let mut group = criterion.benchmark_group("gzip");
    // Of what comes out, as everywhere here.
    group.throughput(Throughput::Bytes(log.text.len() as u64));
    group.sample_size(10);
    group.bench_function("scan_every_key", |bench| {
        bench.iter(|| scan_gzip(&log, &parser, file.path()));
    });
    group.finish();
}

fn matcher(criterion: &mut Criterion) {
    let (log, layout) = servers::combined();
    let mut group = criterion.benchmark_group("matcher");
    group.throughput(Throughput::Bytes(log.text.len() as u64));
    group.sample_size(10);
    group.bench_function("by_raw_key", |bench| {
        bench.iter(|| match_two_keys(&log, &layout, true));
    });
    group.bench_function("by_fingerprint", |bench| {
        bench.iter(|| match_two_keys(&log, &layout, false));
    });
    group.finish();
}

criterion_group!(scan, families, gzip, matcher);
criterion_main!(scan);

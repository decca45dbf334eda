//! Throughput of reading a `combined` log: the counting of `scan` and the daemon's matcher.
//!
//! The log is generated with a fixed seed and its true counts are known: each run is checked
//! against them, so a fast wrong answer fails. `cargo bench --bench scan -- --test` runs it once.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keydrain::engine::credential::{FingerprintSecret, RawKey};
use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place, Scratch};
use keydrain::engine::scan::lines::lines;
use keydrain::engine::scan::matcher::{ChunkContext, Matcher, TrackedKey};
use keydrain::engine::scan::tally::{ScanTally, TallyOptions};
use keydrain::engine::time::Timestamp;

const LOG_BYTES: usize = 8 << 20;
const CHUNK_LINES: usize = 1024;
const KEYS: u64 = 2000;

/// A generated log and what is true of it.
struct Log {
    text: Vec<u8>,
    lines: u64,
    events: u64,
    first_key: u64,
}

/// A fixed sequence of numbers (xorshift64*).
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn generate() -> Log {
    let mut next = Sequence(0x6b65_7964_7261_696e);
    let mut log = Log { text: Vec::new(), lines: 0, events: 0, first_key: 0 };
    while log.text.len() < LOG_BYTES {
        let second = log.lines / 40;
        let (minute, hour) = (second / 60 % 60, second / 3600 % 24);
        // The smaller of two draws: some keys are used far more than others.
        let key = next.below(KEYS).min(next.below(KEYS));
        let query = if next.below(100) < 65 {
            log.events += 1;
            log.first_key += u64::from(key == 0);
            format!("page={}&api_key={}", next.below(100), key_text(key))
        } else {
            format!("page={}", next.below(100))
        };
        let status = [200, 200, 200, 200, 304, 401, 403, 404, 500]
            [usize::try_from(next.below(9)).expect("small")];
        let line = format!(
            "10.{}.{}.{} - - [17/May/2015:{hour:02}:{minute:02}:{:02} +0000] \
             \"GET /v1/items/{}?{query} HTTP/1.1\" {status} {} \"https://www.example.com/items\" \
             \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\"\n",
            next.below(4),
            next.below(200),
            next.below(60),
            second % 60,
            next.below(100_000),
            next.below(50_000),
        );
        log.text.extend_from_slice(line.as_bytes());
        log.lines += 1;
    }
    log
}

fn key_text(number: u64) -> String {
    format!("sk_live_{:024x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn parser() -> LineParser {
    LineParser::compile(&Layout::new(
        FormatSpec::Combined,
        vec![Place::Query("api_key".into())],
        Vec::new(),
    ))
    .expect("a valid layout")
}

fn count_every_key(log: &Log) {
    let parser = parser();
    let mut scratch = Scratch::default();
    let mut tally = ScanTally::new(TallyOptions::default());
    for line in lines(&log.text) {
        match parser.parse(line, &mut scratch) {
            Ok(event) => tally.event(&event),
            Err(reason) => tally.reject(reason),
        }
    }
    let totals = tally.totals();
    assert_eq!((totals.lines, totals.events), (log.lines, log.events));
    assert_eq!(totals.rejects.iter().sum::<u64>(), 0);
    let first = key_text(0);
    let (_, first) = tally.keys().find(|(key, _)| *key == first.as_bytes()).expect("used");
    assert_eq!(first.counts.total(), log.first_key);
    black_box(tally);
}

fn match_two_keys(log: &Log, raw: bool) {
    let secret = Arc::new(FingerprintSecret::new(b"bench".to_vec()));
    let tracked = [0, 1].map(|number| {
        let text = key_text(number).into_bytes();
        TrackedKey { fingerprint: secret.fingerprint(&text), raw: raw.then(|| RawKey::new(text)) }
    });
    let first = tracked[0].fingerprint;
    let mut matcher = Matcher::new(parser(), tracked.to_vec(), secret);
    let mut context = ChunkContext {
        arrival: "2015-05-18T00:00:00Z".parse::<Timestamp>().expect("a time"),
        frontier: None,
        last_event: None,
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

fn benches(criterion: &mut Criterion) {
    let log = generate();
    let mut group = criterion.benchmark_group("combined");
    group.throughput(Throughput::Bytes(log.text.len() as u64));
    group.sample_size(10);
    group.bench_function("scan_every_key", |bench| bench.iter(|| count_every_key(&log)));
    group.bench_function("match_by_raw_key", |bench| bench.iter(|| match_two_keys(&log, true)));
    group.bench_function("match_by_fingerprint", |bench| {
        bench.iter(|| match_two_keys(&log, false));
    });
    group.finish();
}

criterion_group!(scan, benches);
criterion_main!(scan);

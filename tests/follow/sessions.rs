//! Keys of sessions: one source shows who bought it, another one who uses it.

use std::sync::Arc;
use std::time::Duration;

use keydrain::engine::credential::{FingerprintSecret, RawKey, SourceName};
use keydrain::engine::parse::{FormatSpec, Layout, LineParser};
use keydrain::engine::policy::{AnonymousConsumers, Completeness, SourcePolicy};
use keydrain::engine::scan::matcher::{Matcher, TrackedKey};
use keydrain::engine::time::Timestamp;
use keydrain::engine::usage::{Issued, UsageDelta};
use keydrain::source::files::{FileSource, Limits, Report, Tailer};

use crate::world::append;

const OLD: &str = "AKIAOLD";
const NOW: Timestamp = Timestamp::from_seconds(4_102_444_800); // 2100-01-01

/// A reader of `a.log` and `b.log`, a source each, that knows what a former run saw issued.
fn tailer(dir: &std::path::Path, known: &[Issued]) -> Tailer {
    let secret = Arc::new(FingerprintSecret::new(b"pepper".to_vec()));
    let source = |name: &str| {
        let raw = RawKey::new(OLD.into());
        let tracked = TrackedKey {
            fingerprint: secret.fingerprint(raw.expose()),
            raw: Some(raw),
            anonymous: AnonymousConsumers::Pooled,
        };
        let layout = Layout::new(FormatSpec::CloudTrail, Vec::new(), Vec::new());
        let parser = LineParser::compile(&layout).unwrap();
        let mut matcher = Matcher::new(parser, vec![tracked], secret.clone());
        for issued in known {
            matcher.take_issued(issued);
        }
        FileSource {
            name: SourceName::new(name),
            patterns: vec![dir.join(name).to_str().unwrap().to_owned()],
            link_roots: Vec::new(),
            matcher,
            policy: SourcePolicy {
                completeness: Completeness::Complete,
                probes: Vec::new(),
                allowed_lateness: Duration::from_mins(15),
                lateness_assumed: false,
                idle_after: Duration::from_mins(5),
                silence_is_idle: false,
            },
            future_tolerance: Duration::from_mins(1),
        }
    };
    let sources = Vec::from(["a.log", "b.log"].map(source));
    Tailer::new(sources, Vec::new(), Vec::new(), Limits::default())
}

fn record(key: &str, child: &str) -> String {
    format!(
        "{{\"eventTime\":\"2099-12-31T23:00:00Z\",\"userIdentity\":{{\"accessKeyId\":\"{key}\"}},\
         \"responseElements\":{{\"credentials\":{{\"accessKeyId\":\"{child}\"}}}}}}\n"
    )
}

fn deltas(tailer: &mut Tailer, after: u64) -> Vec<UsageDelta> {
    let mut reports = Vec::new();
    while tailer.poll(NOW.plus(Duration::from_secs(after)), &mut reports).more {}
    let deltas = reports.into_iter().filter_map(|report| match report {
        Report::Delta(delta) => Some(*delta),
        _ => None,
    });
    deltas.collect()
}

fn presentations(deltas: &[UsageDelta], source: &str) -> u64 {
    let of_source = deltas.iter().filter(|delta| delta.source.as_str() == source);
    of_source.flat_map(|delta| &delta.cells).map(|cell| cell.tally.counts[0]).sum()
}

#[test]
fn what_one_source_shows_to_be_issued_is_known_in_the_other_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (a, b) = (dir.path().join("a.log"), dir.path().join("b.log"));
    append(&a, record(OLD, "ASIA1").as_bytes());
    append(&b, record("ASIA1", "ASIA2").as_bytes());
    let mut first = tailer(dir.path(), &[]);
    let read = deltas(&mut first, 0);
    assert_eq!((presentations(&read, "a.log"), presentations(&read, "b.log")), (1, 1));
    append(&a, record("ASIA2", "").as_bytes());
    let read_on = deltas(&mut first, 2);
    assert_eq!(presentations(&read_on, "a.log"), 1, "a session of a session");

    let known: Vec<Issued> = read.iter().flat_map(|delta| delta.issued.clone()).collect();
    assert_eq!(known.len(), 2);
    std::fs::write(&a, record("ASIA2", "")).unwrap();
    let mut second = tailer(dir.path(), &known);
    assert_eq!(presentations(&deltas(&mut second, 0), "a.log"), 1);
    let mut forgetful = tailer(dir.path(), &[]);
    assert_eq!(presentations(&deltas(&mut forgetful, 0), "a.log"), 0);
}

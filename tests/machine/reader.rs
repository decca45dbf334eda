//! Our side: the reader, the engine and the state, as the daemon wires them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keydrain::config::Config;
use keydrain::daemon::wiring::{Wired, wire};
use keydrain::engine::answer::{Answer, Verdict};
use keydrain::engine::coverage::Gap;
use keydrain::engine::credential::CredentialName;
use keydrain::engine::drain::Opening;
use keydrain::engine::time::Timestamp;
use keydrain::engine::usage::Consumer;
use keydrain::source::files::Report;
use keydrain::store::Store;

use crate::writer::Key;

const CREDENTIAL: &str = "payments";

const CONFIG: &str = r#"
[state]
dir = "state"
[[source]]
name = "edge"
paths = ["log/access.log*"]
format = { nginx = '$msec $remote_addr "$http_x_client" $key_name "$request" $status' }
credential = "field:key_name"
consumer = "field:http_x_client"
allowed_lateness = "5s"
idle_after = "60s"
[[credential]]
name = "payments"
sources = ["edge"]
keys = [{ name = "a", id = "a" }, { name = "b", id = "b" }]
[credential.policy]
quiet_period = "60s"
monitoring_cycle = "0s"
min_history = "0s"
min_overlap = "0s"
clock_skew = "0s"
max_evidence_lag = "130s"
"#;

/// What was counted of one key of one consumer.
#[derive(Debug, Default)]
pub struct Counted {
    /// Lines read in time.
    pub on_time: u64,
    /// Their seconds.
    pub seconds: BTreeSet<i64>,
    /// Lines read late: they count from their arrival.
    pub late: u64,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Cells {
    /// By key and consumer.
    pub by_key: BTreeMap<Key, Counted>,
}

/// A daemon without threads: it looks when it is told to.
pub struct Reader {
    config: Config,
    start: Timestamp,
    running: Option<Running>,
    /// The answer of the last look.
    pub answer: Answer,
    /// When it looked last.
    pub looked_at: Timestamp,
}

struct Running {
    store: Store,
    wired: Wired,
}

impl Running {
    fn start(config: &Config) -> Self {
        let (store, secret) = Store::open(&config.state_dir).unwrap();
        let state = store.load().unwrap();
        let wired = wire(config, &Arc::new(secret), state).unwrap();
        Self { store, wired }
    }

    /// Reads what there is; returns what it says.
    fn read(&mut self, now: Timestamp) -> Vec<Report> {
        let mut reports = Vec::new();
        while self.wired.tailer.poll(now, &mut reports).more {}
        reports
    }

    /// Takes the reports, decides and commits.
    fn take(&mut self, reports: Vec<Report>, now: Timestamp, steady: Duration) {
        let drain = &mut self.wired.drain;
        for report in reports {
            match report {
                Report::Delta(delta) => drain.take_delta(*delta),
                Report::Generation(record) => drain.take_generation(record),
                Report::Gap(gap) => drain.take_gap(gap),
                Report::Forgotten(source, stream, number) => {
                    drain.forget_generation(&source, &stream, number);
                }
                Report::Status(status) => drain.take_status(status),
            }
        }
        drain.advance(now, steady);
        self.store.commit(&drain.take_commit(now)).unwrap();
    }

    fn answer(&self, now: Timestamp) -> Option<Answer> {
        let snapshot = self.wired.drain.snapshot("test", 0, now);
        snapshot.rotations.into_iter().next().map(|view| view.answer)
    }
}

impl Reader {
    /// Starts on an empty state.
    pub fn new(folder: &Path, now: Timestamp) -> Self {
        let config = Config::parse(CONFIG, &folder.join("keydrain.toml"), &|_| None).unwrap();
        let mut config = config;
        for source in &mut config.sources {
            source.paths = vec![folder.join("log/access.log*").to_str().unwrap().to_owned()];
        }
        fs::create_dir_all(&config.state_dir).unwrap();
        let mut running = Running::start(&config);
        // There is no answer before a rotation: this one is replaced by the first look after it.
        let answer = {
            let reports = running.read(now);
            running.take(reports, now, Duration::ZERO);
            open(&mut running, now);
            running.wired.drain.advance(now, Duration::ZERO);
            running.store.commit(&running.wired.drain.take_commit(now)).unwrap();
            running.answer(now).expect("a rotation is open")
        };
        Self { config, start: now, running: Some(running), answer, looked_at: now }
    }
}

impl Reader {
    fn steady(&self, now: Timestamp) -> Duration {
        now.since(self.start)
    }

    /// Looks, reads, decides and commits.
    pub fn look(&mut self, now: Timestamp) {
        let steady = self.steady(now);
        let running = self.running.as_mut().expect("it runs");
        let reports = running.read(now);
        running.take(reports, now, steady);
        self.answer = running.answer(now).expect("a rotation is open");
        self.looked_at = now;
    }

    /// Reads and is killed before the commit; starts again.
    pub fn crash(&mut self, now: Timestamp) {
        let steady = self.steady(now);
        let running = self.running.as_mut().expect("it runs");
        let reports = running.read(now);
        for report in reports {
            if let Report::Delta(delta) = report {
                running.wired.drain.take_delta(*delta);
            }
        }
        running.wired.drain.advance(now, steady);
        self.restart(now);
    }

    /// Stops; what was committed is left.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts anew with what was committed, and looks.
    pub fn restart(&mut self, now: Timestamp) {
        self.running = None;
        self.running = Some(Running::start(&self.config));
        self.look(now);
    }

    /// Tells whether the last answer was *ready*.
    pub fn is_ready(&self) -> bool {
        self.answer.verdict == Verdict::Ready
    }

    /// Returns what is in the state.
    pub fn cells(&self) -> Cells {
        let running = self.running.as_ref().expect("it runs");
        let secret = &running.wired.keys;
        let mut cells = Cells::default();
        for (_, cell) in running.store.cells().unwrap() {
            let Consumer::Named(name) = &cell.consumer else { panic!("{cell:?}") };
            let consumer = name.as_str().strip_prefix('c').and_then(|n| n.parse().ok()).unwrap();
            let key = match cell.key {
                key if key == secret.fingerprint(b"a") => Key::Old(consumer),
                key if key == secret.fingerprint(b"b") => Key::New(consumer),
                _ => panic!("{cell:?}"),
            };
            let counted = cells.by_key.entry(key).or_default();
            let lines: u64 = cell.tally.counts.iter().sum();
            if cell.late {
                counted.late += lines;
                continue;
            }
            counted.on_time += lines;
            let minute = cell.minute.start().as_seconds();
            let seconds = cell.tally.seconds.iter().flat_map(|seconds| seconds.iter());
            counted.seconds.extend(seconds.map(|second| minute + second));
        }
        cells
    }

    /// Returns all gaps in the state.
    pub fn gaps(&self) -> Vec<Gap> {
        let running = self.running.as_ref().expect("it runs");
        running.store.load().unwrap().gaps
    }
}

/// Opens the rotation.
fn open(running: &mut Running, now: Timestamp) {
    let credential = CredentialName::new(CREDENTIAL);
    let keys = running.wired.drain.keys_of(&credential).expect("it is declared");
    let [old_key, new_key] = <[_; 2]>::try_from(keys).expect("two keys are declared");
    let opening = Opening {
        credential,
        old_key,
        new_key,
        started_at: None,
        overlap: None,
        by: "test".to_owned(),
        note: None,
    };
    running.wired.drain.start(opening, now).unwrap();
}

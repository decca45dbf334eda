//! A daemon that decides nothing: snapshots are made by hand, requests get scripted replies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keydrain::engine::answer::{
    Answer, Blocker, Code, ConsumerCounts, Epoch, KeyCounts, RequiredWindow, Silence,
    SourceSummary, StreamSummary, Verdict, Warning, WarningCode,
};
use keydrain::engine::bytes::ByteLedger;
use keydrain::engine::coverage::{Basis, Gap, GapReason, SourceState, WeakFileSystem, Weakness};
use keydrain::engine::credential::{CredentialName, Fingerprint, SourceName, StreamName};
use keydrain::engine::curve::{Curve, Requests, Step};
use keydrain::engine::health::ProgramHealth;
use keydrain::engine::plan::{ConsumerPlan, Plan, Recommendation, Term};
use keydrain::engine::preflight::{Finding, Severity};
use keydrain::engine::rotation::{
    Declaration, Job, JournalEntry, JournalEvent, JournalRefusal, KeyRef, Phase, Rotation,
    RotationId,
};
use keydrain::engine::time::{Span, Timestamp};
use keydrain::engine::usage::GenerationNumber;
use keydrain::engine::velocity::{Eta, Migration, Origin, Straggler};
use keydrain::engine::view::{
    ConsumerState, ConsumerUse, ConsumerView, CredentialView, GenerationView, RotationView,
    Snapshot, SourceView, StreamCoverage,
};
use keydrain::publish::{self, Desk, HttpOptions, Intent, Refusal, Request, StartRotation, Token};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The token that the fake daemon wants.
pub const TOKEN: &str = "correct-horse-battery";

/// 2026-11-23T12:00:00Z and `seconds` more.
pub fn noon(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_435_200 + seconds)
}

/// The time at which the fake daemon answers: 12:00:01.
pub fn clock() -> Timestamp {
    noon(1)
}

/// No time passes.
pub fn steady() -> Duration {
    Duration::ZERO
}

pub fn fingerprint() -> Fingerprint {
    Fingerprint::from_bytes([0xab; 16])
}

/// An answer of 12:00:00 with a lease of a minute.
pub fn answer(verdict: Verdict, epoch: &str) -> Answer {
    let code = match verdict {
        Verdict::Ready => None,
        Verdict::NotReady => Some(Code::OldKeyInUse),
        Verdict::Unknown => Some(Code::SourceSilent),
    };
    let blockers = code.map(|code| Blocker {
        code,
        subject: "billing-batch".to_owned(),
        message: "used 14 s ago; clears after the quiet period".to_owned(),
        since: Some(noon(-14)),
        clears_at: Some(noon(7)),
    });
    let key = |name: &str, accepted| KeyCounts {
        name: name.to_owned(),
        first_seen: Some(noon(-900)),
        last_seen: Some(noon(-14)),
        accepted,
        denied: 2,
        failed: 3,
    };
    Answer {
        rotation: RotationId::new("r-1"),
        credential: CredentialName::new("payments-api"),
        verdict,
        message: "2025-q4 used 14 s ago by billing-batch".to_owned(),
        blockers: blockers.into_iter().collect(),
        warnings: vec![Warning {
            code: WarningCode::HistoryGap,
            subject: "edge".to_owned(),
            message: "a gap lies before the window".to_owned(),
        }],
        old_key: key("2025-q4", 812),
        new_key: key("2026-q1", 44),
        window: RequiredWindow {
            span: Some(Span::between(noon(-901), noon(-1))),
            terms: vec![("quiet_period", Duration::from_mins(15))],
            required: Duration::from_mins(15),
        },
        watermark: Some(noon(-1)),
        observing_since: Some(noon(-3600)),
        sources: vec![source_summary()],
        consumers: ConsumerCounts { total: 4, moved: 3, on_old: 1, ..ConsumerCounts::default() },
        silence: Some(Silence { quiet: Duration::from_mins(15) }),
        earliest_ready_at: None,
        evaluated_at: noon(0),
        valid_until: noon(60),
        epoch: Epoch::new(epoch),
    }
}

/// The same answer with a lease that lasts by this host's clock.
pub fn fresh(mut answer: Answer) -> Answer {
    answer.evaluated_at = keydrain::clock::now();
    answer.valid_until = answer.evaluated_at.plus(Duration::from_mins(1));
    answer
}

fn source_summary() -> SourceSummary {
    SourceSummary {
        probe_last_seen: Some(noon(-2)),
        name: SourceName::new("edge"),
        state: SourceState::Live,
        watermark: Some(noon(-1).minus(Duration::from_millis(200))),
        basis: Basis::Proved,
        gaps: vec![Gap {
            source: SourceName::new("edge"),
            stream: StreamName::new("/var/log/nginx/access.log"),
            span: Span::between(noon(-90), noon(-80)),
            reason: GapReason::Truncated,
            bytes: None,
        }],
        rejects: 5,
        streams: vec![StreamSummary {
            name: StreamName::new("/var/log/nginx/access.log"),
            state: SourceState::Live,
            watermark: None,
            generations: 2,
        }],
    }
}

/// A rotation of `payments-api` that shows `answer`.
pub fn rotation(id: &str, phase: Phase, mut answer: Answer) -> RotationView {
    answer.rotation = RotationId::new(id);
    let key = |name: &str| KeyRef { name: name.into(), fingerprint: fingerprint(), id: None };
    let declaration = Declaration {
        id: RotationId::new(id),
        credential: CredentialName::new("payments-api"),
        old_key: key("2025-q4"),
        new_key: key("2026-q1"),
        sources: vec![SourceName::new("edge")],
        roster: Vec::new(),
        jobs: vec![Job {
            consumer: "billing-batch".into(),
            schedule: "0 3 1 * *".into(),
            zone: None,
            max_runtime: Duration::from_hours(2),
        }],
        overlap: None,
    };
    let mut rotation = Rotation::open(declaration, noon(-600));
    rotation.phase = phase;
    RotationView {
        rotation,
        answer,
        verdict_since: noon(-30),
        revocation_verified_at: None,
        violations: Vec::new(),
        checkpoints: Vec::new(),
        incidents: Vec::new(),
    }
}

pub fn snapshot(rotations: Vec<RotationView>) -> Snapshot {
    let credential = |name: &str| CredentialView {
        name: CredentialName::new(name),
        keys: vec!["2025-q4".to_owned(), "2026-q1".to_owned()],
        sources: vec!["edge".to_owned()],
    };
    Snapshot {
        instance: "i-1".to_owned(),
        sequence: 8812,
        taken_at: rotations.first().map_or(noon(0), |view| view.answer.evaluated_at),
        steady: steady(),
        caught_up: true,
        rotations,
        sources: vec![SourceView {
            summary: source_summary(),
            bytes_read: 1000,
            bytes_skipped: 1,
            bytes_unknown: 2,
            backlog: 3,
            coverage: vec![StreamCoverage {
                stream: StreamName::new("/var/log/nginx/access.log"),
                generations: vec![GenerationView {
                    number: GenerationNumber(2),
                    path: "/var/log/nginx/access.log".to_owned(),
                    bytes: ByteLedger {
                        generations: 1,
                        known: 130,
                        read: 100,
                        nul_run: 5,
                        hole: 7,
                        first_event: Some(noon(-60)),
                        ..ByteLedger::default()
                    },
                    last_event: Some(noon(-1)),
                    finished: false,
                }],
                earlier: ByteLedger {
                    generations: 1,
                    known: 10,
                    read: 10,
                    ..ByteLedger::default()
                },
                covered: vec![Span { from: noon(-60), to: noon(-30) }],
                observed_lateness: Duration::from_millis(1500),
                violations: 1,
            }],
            lines: 100,
            rejects: 5,
            other_keys: 6,
            probes: vec![("front-door".into(), Some(noon(-2))), ("side-door".into(), None)],
            refused: vec![("/var/log/fifo".to_owned(), "a FIFO".to_owned())],
            weak: vec![WeakFileSystem {
                path: "/var/log/nginx".to_owned(),
                name: "nfs".to_owned(),
                weakness: Weakness::Remote,
            }],
            unreadable: Vec::new(),
            absent: Vec::new(),
        }],
        credentials: vec![credential("payments-api"), credential("never-rotated")],
        health: ProgramHealth::default(),
        credential_health: Vec::new(),
        commits: 17,
    }
}

/// A snapshot with one open rotation.
pub fn open(answer: Answer) -> Snapshot {
    snapshot(vec![rotation("r-1", Phase::Open, answer)])
}

/// Makes a client as the command line does.
pub fn client() -> reqwest::Client {
    keydrain::cli::http::plain().build().unwrap()
}

/// A running server.
pub struct Daemon {
    pub base: String,
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    /// What was recorded, as `{event:?} at {at:?} by {by}`.
    pub recorded: Arc<Mutex<Vec<String>>>,
    /// What was started.
    pub started: Arc<Mutex<Vec<StartRotation>>>,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<Result<(), publish::PublishError>>,
    /// Receivers of snapshots while nobody asks.
    idle: usize,
}

impl Daemon {
    /// Starts a server on loopback whose clock stands at 12:00:01.
    pub async fn start(snapshot: Snapshot) -> Self {
        let token = Token::new(TOKEN);
        Self::with(snapshot, HttpOptions { token, loopback: true, clock, steady }).await
    }

    /// Starts a server with this host's clock.
    pub async fn live(snapshot: Snapshot) -> Self {
        let (token, clock) = (Token::new(TOKEN), keydrain::clock::now);
        Self::with(snapshot, HttpOptions { token, loopback: true, clock, steady }).await
    }

    pub async fn with(snapshot: Snapshot, options: HttpOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, snapshot, options).await
    }

    pub async fn on(listener: TcpListener, snapshot: Snapshot, options: HttpOptions) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (snapshots, shown) = watch::channel(Arc::new(snapshot));
        let (requests, mut asked) = mpsc::channel(4);
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let started = Arc::new(Mutex::new(Vec::new()));
        let (log, starts) = (Arc::clone(&recorded), Arc::clone(&started));
        tokio::spawn(async move {
            while let Some(request) = asked.recv().await {
                reply(request, &log, &starts);
            }
        });
        let shutdown = CancellationToken::new();
        let desk = Desk { snapshot: shown, requests };
        let served = tokio::spawn(publish::serve(listener, desk, options, shutdown.clone()));
        let mut daemon = Self { base, snapshots, recorded, started, shutdown, served, idle: 0 };
        assert_eq!(daemon.get("/healthz").await.status(), 200);
        daemon.idle = daemon.snapshots.receiver_count();
        daemon
    }

    /// Tells whether a request is being answered. Each holds a receiver of its own, and on the
    /// tests' one thread a request that can be seen is one that waits.
    pub fn holds_a_request(&self) -> bool {
        self.snapshots.receiver_count() > self.idle
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn show(&self, snapshot: Snapshot) {
        self.snapshots.send_replace(Arc::new(snapshot));
    }

    /// Posts with the right token.
    pub async fn post(&self, path: &str, body: &str) -> reqwest::Response {
        let request = client().post(self.url(path)).bearer_auth(TOKEN);
        request.body(body.to_owned()).send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        client().get(self.url(path)).send().await.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn reply(request: Request, log: &Mutex<Vec<String>>, starts: &Mutex<Vec<StartRotation>>) {
    match request {
        Request::Start(start, reply) => {
            starts.lock().unwrap().push(start.clone());
            let _ = reply.send(started(&start));
        }
        Request::Record { rotation, event, at, by, note, reply } => {
            let result = match (&event, note.as_deref()) {
                (JournalEvent::Release, _) => {
                    Err(JournalRefusal::NothingToEnd("no hold stands").into())
                }
                (_, Some("disk full")) => Err(Refusal::StateUnwritable("disk full".to_owned())),
                _ => Ok(7),
            };
            log.lock().unwrap().push(format!("{rotation} {event:?} at {at:?} by {by}"));
            let _ = reply.send(result);
        }
        Request::RevokeIntent { epoch, reply, .. } => {
            let _ = reply.send(match epoch.as_str() {
                "current" => Ok(Intent { intent: 9, valid_until: noon(61) }),
                "not_ready" => Err(Refusal::NotReady(Box::new(answer(Verdict::NotReady, "e")))),
                "unknown" => Err(Refusal::Unknown(Box::new(answer(Verdict::Unknown, "e")))),
                _ => Err(Refusal::StaleEpoch { current: Epoch::new("current") }),
            });
        }
        Request::Consumers { reply, .. } => {
            let _ = reply.send(Ok(Some(consumers())));
        }
        Request::Migration { rotation, reply } => {
            let _ = reply.send(Ok(Some(Box::new(migration(&rotation)))));
        }
        Request::Preflight { credential, old_key, reply } => {
            let _ = reply.send(match (credential.as_str(), old_key) {
                ("payments-api", None) => Ok(findings()),
                ("payments-api", Some(key)) if key == "2025-q4" => Ok(Vec::new()),
                ("payments-api", Some(key)) => Err(Refusal::UnknownKey(key)),
                _ => Err(Refusal::UnknownCredential),
            });
        }
        Request::Plan { credential, key, reply } => {
            let _ = reply.send(match (credential.as_str(), key) {
                ("payments-api", None) => Ok(Box::new(plan())),
                ("payments-api", Some(key)) => Err(Refusal::UnknownKey(key)),
                _ => Err(Refusal::UnknownCredential),
            });
        }
        Request::Journal { rotation, reply } => {
            let _ = reply.send(Ok(Some(journal(&rotation))));
        }
    }
}

fn started(start: &StartRotation) -> Result<RotationId, Refusal> {
    match (start.credential.as_str(), start.note.as_deref()) {
        (name, _) if name != "payments-api" => Err(Refusal::UnknownCredential),
        (_, Some("second")) => Err(Refusal::RotationInProgress(RotationId::new("r-1"))),
        (_, Some("typo")) => Err(Refusal::UnknownKey("sk_live_pasted".to_owned())),
        _ if start.old_key == start.new_key => Err(Refusal::SameKey),
        _ => Ok(RotationId::new("r-2")),
    }
}

fn consumers() -> Vec<ConsumerView> {
    let consumer = |name: &str, state, moved_at: Option<Timestamp>| ConsumerView {
        consumer: name.to_owned(),
        named: true,
        owner: moved_at.map(|_| "team shop".to_owned()),
        third_party: false,
        state,
        old: ConsumerUse { last_seen: Some(noon(-14)), accepted: 3, ..ConsumerUse::default() },
        new: ConsumerUse::default(),
        moved_at,
        largest_gap: Duration::from_secs(40),
        sessions: 2,
        cadence_bound: None,
    };
    vec![
        consumer("checkout", ConsumerState::Moved, Some(noon(-100))),
        consumer("evil\u{1b}[2J", ConsumerState::OnOld, None),
    ]
}

/// One of two consumers has moved; the other one is thought to follow.
fn migration(rotation: &RotationId) -> Migration {
    let step = |at, moved, share| Step { at, moved, share: Some(share) };
    let window = |from, old, new, share| Requests { from, old, new, share, gap: false };
    Migration {
        rotation: rotation.as_str().to_owned(),
        credential: "payments-api".to_owned(),
        keys: ["2025-q4".to_owned(), "2026-q1".to_owned()],
        evaluated_at: noon(0),
        origin: (Origin::DualAccept, noon(-300)),
        must_move: 2,
        moved: 1,
        waived: vec!["partner-x".to_owned()],
        tolerated: Vec::new(),
        gone: vec!["old-batch".to_owned()],
        t50: Some(Duration::from_secs(200)),
        t90: None,
        t100: None,
        per_hour: Some(12.0),
        curve: Curve {
            consumers: vec![step(noon(-300), 0, 0.0), step(noon(-100), 1, 0.5)],
            width: Duration::from_mins(1),
            requests: vec![window(noon(-120), 3, 1, Some(0.25)), window(noon(-60), 0, 0, None)],
        },
        stragglers: vec![Straggler {
            consumer: "evil\u{1b}[2J".to_owned(),
            owner: Some("pay-team".into()),
            state: ConsumerState::OnOld,
            old_last_seen: Some(noon(-14)),
            new_last_seen: None,
            sessions: 7,
            largest_gap: Duration::from_secs(40),
            cadence_bound: Some(Duration::from_secs(80)),
            needs: "evil\u{1b}[2J (owner pay-team) was only seen on 2025-q4".to_owned(),
            clears_at: Some(noon(66)),
        }],
        eta: Eta::Told {
            at: noon(100),
            earliest: noon(60),
            latest: noon(7200),
            basis: "1 left at the pace of the last 2 moves".to_owned(),
        },
    }
}

fn findings() -> Vec<Finding> {
    let finding = |severity, subject: &str, message: &str, fix: &str| Finding {
        severity,
        subject: subject.to_owned(),
        message: message.to_owned(),
        fix: fix.to_owned(),
    };
    vec![
        finding(Severity::Error, "source edge", "it does not exist", "correct `paths`"),
        finding(Severity::Warning, "key evil\u{1b}[2J", "threshold = 3", "set it to 0"),
        finding(Severity::Ok, "policy", "7 d were observed without a break", ""),
    ]
}

fn plan() -> Plan {
    let minutes = Duration::from_mins;
    let term = |name, value, reason: &str| Term { name, value, reason: reason.to_owned() };
    let recommendation = |value, configured, why: &str, by: &str| Recommendation {
        value,
        configured,
        reason: why.to_owned(),
        dominated_by: by.to_owned(),
    };
    Plan {
        key: Some("2025-q4".to_owned()),
        history: Some(minutes(600)),
        consumers: vec![ConsumerPlan {
            consumer: "evil\u{1b}[2J".to_owned(),
            sessions: 6,
            largest_gap: minutes(60),
            cadence_bound: Some(minutes(120)),
            last_seen: Some(noon(-14)),
            reason: "5 gaps are known".to_owned(),
        }],
        quiet_period: recommendation(minutes(120), minutes(15), "an ordinary gap", "evil\u{1b}[2J"),
        required_quiet: vec![term("quiet_period", Some(minutes(120)), "as recommended")],
        required: minutes(120),
        overlap_terms: vec![term("moving", None, "no earlier rotation")],
        overlap: recommendation(minutes(180), minutes(43_200), "they add up", "required_quiet"),
        notes: vec!["add what you expect".to_owned()],
    }
}

fn journal(rotation: &RotationId) -> Vec<JournalEntry> {
    let entry = |sequence, event| JournalEntry {
        sequence,
        rotation: rotation.clone(),
        event,
        at: noon(-600),
        recorded_at: noon(-599),
        by: "ops".to_owned(),
        note: None,
    };
    vec![
        entry(1, JournalEvent::Started),
        entry(4, JournalEvent::ConsumerWaived("partner-x".into(), noon(3600))),
    ]
}

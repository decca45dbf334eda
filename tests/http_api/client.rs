//! The client commands against a real server: exit codes, text, and a daemon that goes away.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use keydrain::cli::client::Endpoint;
use keydrain::cli::{Exit, Failure, Output, consumers, plan, ready, rotation, status};
use keydrain::engine::answer::Verdict;
use keydrain::engine::time::Timestamp;
use keydrain::publish::{HttpOptions, Token};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::fake_daemon::{Daemon, TOKEN, answer, fresh, open, snapshot, steady};

#[derive(clap::Parser)]
enum Cli {
    Ready(ready::Args),
    Rotation(rotation::Args),
    Consumers(consumers::Args),
    Plan(plan::Args),
    Status(status::Args),
}

/// What a command did.
pub struct Ran {
    result: Result<Exit, Failure>,
    pub out: String,
    err: String,
}

impl Ran {
    pub fn exit(&self) -> Exit {
        self.result.as_ref().map_or_else(|failure| failure.exit, |exit| *exit)
    }

    fn message(&self) -> &str {
        &self.result.as_ref().unwrap_err().message
    }
}

/// Runs a command line against `base`, on a thread of its own as the binary does.
pub async fn run(base: &str, line: &str, output: Output) -> Ran {
    let endpoint = Endpoint { base: base.to_owned(), token: Some(TOKEN.to_owned()) };
    let cli = Cli::parse_from(std::iter::once("keydrain").chain(line.split_whitespace()));
    let running = tokio::task::spawn_blocking(move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let result = match &cli {
            Cli::Ready(args) => ready::run(args, &endpoint, output, &mut out, &mut err),
            Cli::Rotation(args) => rotation::run(args, &endpoint, output, &mut out, &mut err),
            Cli::Plan(args) => plan::run(args, &endpoint, output, &mut out, &mut err),
            Cli::Consumers(args) => consumers::run(args, &endpoint, output, &mut out, &mut err),
            Cli::Status(args) => status::run(args, &endpoint, output, &mut out, &mut err),
        };
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { result, out: text(out), err: text(err) }
    });
    let deadline = Duration::from_secs(30);
    tokio::time::timeout(deadline, running).await.expect("the command ends").unwrap()
}

/// Returns the table that a command prints.
pub async fn shown_by(daemon: &Daemon, line: &str) -> String {
    let ran = run(&daemon.base, line, Output::Table).await;
    assert_eq!(ran.exit(), Exit::Ok, "{line}");
    ran.out
}

async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn ready_exits_by_the_verdict() {
    for (verdict, exit, word) in [
        (Verdict::Ready, Exit::Ok, "ready"),
        (Verdict::NotReady, Exit::NotReady, "not_ready"),
        (Verdict::Unknown, Exit::Unknown, "unknown"),
    ] {
        let daemon = Daemon::live(open(fresh(answer(verdict, "e")))).await;
        let ran = run(&daemon.base, "ready payments-api", Output::Table).await;
        assert_eq!(ran.exit(), exit);
        assert!(ran.out.starts_with(&format!("payments-api: {word} (rotation r-1)\n")));
        let ran = run(&daemon.base, "ready payments-api", Output::Json).await;
        assert_eq!(ran.exit(), exit);
        let shown: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(shown["verdict"], word);
    }
}

#[tokio::test]
async fn the_table_names_each_blocker_with_what_clears_it() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::NotReady, "e")))).await;
    let ran = run(&daemon.base, "ready payments-api", Output::Table).await;
    let line = ran.out.lines().find(|line| line.starts_with("old_key_in_use")).unwrap();
    for part in ["billing-batch", "2026-11-23T12:00:07Z", "clears after the quiet period"] {
        assert!(line.contains(part), "{line}");
    }
}

#[tokio::test]
async fn ready_past_its_lease_is_never_exit_0() {
    let mut old = answer(Verdict::Ready, "e");
    old.valid_until = Timestamp::from_seconds(60);
    // A daemon whose clock stands still believes in its answer for ever.
    let clock = || Timestamp::from_seconds(0);
    let options = HttpOptions { token: None, loopback: true, clock, steady };
    let mut snapshot = open(old);
    snapshot.taken_at = clock();
    let daemon = Daemon::with(snapshot, options).await;
    assert_eq!(daemon.get("/v1/rotations/r-1/gate").await.status(), 200);
    let ran = run(&daemon.base, "ready payments-api", Output::Json).await;
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.exit(), Exit::Unknown);
    assert_eq!(shown["ready"], false);
    assert_eq!(shown["blockers"][0]["code"], "answer_expired");
}

#[tokio::test]
async fn a_closed_port_is_exit_4_and_an_unknown_credential_exit_2() {
    let closed = format!("http://{}", closed_port().await);
    for line in [
        "ready payments-api",
        "consumers payments-api",
        "plan payments-api",
        "status",
        "rotation list",
    ] {
        let ran = run(&closed, line, Output::Table).await;
        assert_eq!(ran.exit(), Exit::Unreachable, "{line}");
        assert!(ran.message().contains("keydrain run"), "{}", ran.message());
        assert_eq!(ran.out, "");
    }
    let daemon = Daemon::live(open(fresh(answer(Verdict::Ready, "e")))).await;
    for line in ["ready nope", "ready nope --wait", "consumers nope", "rotation show nope"] {
        let ran = run(&daemon.base, line, Output::Table).await;
        assert_eq!(ran.exit(), Exit::Usage, "{line}");
    }
}

#[tokio::test]
async fn somebody_else_on_the_port_is_exit_4() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::Ready, "e")))).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
    });
    assert_eq!(run(&base, "ready payments-api", Output::Table).await.exit(), Exit::Unreachable);
    let https = daemon.base.replace("http:", "https:");
    assert_eq!(run(&https, "ready payments-api", Output::Table).await.exit(), Exit::Usage);
}

#[tokio::test]
async fn wait_tells_each_change_of_reason_and_ends_with_ready() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::Unknown, "one")))).await;
    let waiting = run(&daemon.base, "ready payments-api --wait --timeout 25s", Output::Table);
    let changes = async {
        for (verdict, epoch) in [(Verdict::NotReady, "two"), (Verdict::Ready, "three")] {
            poll_is(&daemon, true).await;
            daemon.show(open(fresh(answer(verdict, epoch))));
            poll_is(&daemon, false).await;
        }
    };
    let (ran, ()) = tokio::join!(waiting, changes);
    assert_eq!(ran.exit(), Exit::Ok);
    let told: Vec<_> = ran.err.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(told, ["unknown:", "not_ready:", "ready:"], "{}", ran.err);
    assert!(ran.out.starts_with("payments-api: ready"), "{}", ran.out);
}

/// Returns once the server holds a long poll, or holds none.
async fn poll_is(daemon: &Daemon, held: bool) {
    let changing = async {
        while daemon.holds_a_request() != held {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changing).await.expect("polls come and go");
}

#[tokio::test]
async fn wait_that_is_over_is_124_and_4_without_a_daemon() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::NotReady, "one")))).await;
    let line = "ready payments-api --wait --timeout 1s";
    let ran = run(&daemon.base, line, Output::Table).await;
    assert_eq!(ran.exit(), Exit::TimedOut);
    assert!(ran.out.starts_with("payments-api: not_ready"), "{}", ran.out);
    let closed = format!("http://{}", closed_port().await);
    assert_eq!(run(&closed, line, Output::Table).await.exit(), Exit::Unreachable);
}

#[tokio::test]
async fn wait_survives_a_restart_of_the_daemon() {
    let mut first = Daemon::live(open(fresh(answer(Verdict::NotReady, "one")))).await;
    let address = first.base.strip_prefix("http://").unwrap().to_owned();
    let base = first.base.clone();
    let waiting = run(&base, "ready payments-api --wait --timeout 25s", Output::Table);
    let restart = async {
        poll_is(&first, true).await;
        first.shutdown.cancel();
        (&mut first.served).await.unwrap().unwrap();
        let listener = TcpListener::bind(&address).await.unwrap();
        let clock = keydrain::clock::now;
        let options = HttpOptions { token: Token::new(TOKEN), loopback: true, clock, steady };
        Daemon::on(listener, open(fresh(answer(Verdict::Ready, "two"))), options).await
    };
    let (ran, _second) = tokio::join!(waiting, restart);
    assert_eq!(ran.exit(), Exit::Ok, "{}", ran.err);
}

#[tokio::test]
async fn ready_says_what_the_silence_alone_would_prove() {
    let mut shown = fresh(answer(Verdict::Ready, "e"));
    let daemon = Daemon::live(open(shown.clone())).await;
    let ran = run(&daemon.base, "ready payments-api", Output::Table).await;
    let line = "\nno use for 15 min excludes a steady rate above 12.0 an hour, at 95 %\n";
    assert!(ran.out.contains(line), "{}", ran.out);
    shown.silence = None;
    daemon.show(open(shown));
    let ran = run(&daemon.base, "ready payments-api", Output::Table).await;
    assert!(!ran.out.contains("steady rate"), "{}", ran.out);
}

#[tokio::test]
async fn consumers_on_the_old_key_come_first_and_cannot_drive_the_terminal() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::NotReady, "e")))).await;
    let ran = run(&daemon.base, "consumers payments-api", Output::Table).await;
    assert_eq!(ran.exit(), Exit::Ok);
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[1].starts_with("evil\\u{1b}[2J"), "{}", ran.out);
    assert!(lines[2].starts_with("checkout"), "{}", ran.out);
    let footer = "\n\nevil\\u{1b}[2J (owner pay-team) was only seen on 2025-q4 (in 1 min 6 s \
                  unless it calls)\nmoved: 1 of 2 (50 %), 1 waived, 1 gone; t50 3 min 20 s, t90 -, t100 - since \
                  dual_accept_enabled, 5 min ago\nexpected end: in 1 min 40 s (from in 1 min to in 2 \
                  h); 1 left at the pace of the last 2 moves\n";
    assert!(ran.out.ends_with(footer), "{}", ran.out);
    let ran = run(&daemon.base, "consumers payments-api", Output::Csv).await;
    assert!(ran.out.starts_with("consumer,state,named,old_first_seen,"), "{}", ran.out);
    assert!(ran.out.contains("\ncheckout,moved,true,,2026-11-23T11:59:46Z,3,0,0,,,0,0,0,"));
}

#[tokio::test]
async fn a_list_without_rotations_says_how_to_start_one() {
    let daemon = Daemon::live(snapshot(Vec::new())).await;
    let ran = run(&daemon.base, "rotation list", Output::Table).await;
    assert!(ran.out.contains("keydrain rotation start"), "{}", ran.out);
}

#[tokio::test]
async fn rotations_are_started_recorded_listed_and_shown() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::NotReady, "e")))).await;
    let start = "rotation start payments-api --old 2025-q4 --new 2026-q1=id:AKIA1 --overlap 7d";
    let ran = run(&daemon.base, start, Output::Table).await;
    assert_eq!((ran.exit(), ran.out.as_str()), (Exit::Ok, "rotation r-2 started\n"));
    let ran = run(&daemon.base, &format!("{start} --note second"), Output::Table).await;
    assert_eq!(ran.exit(), Exit::Usage);
    assert!(ran.message().contains("rotation r-1 is open"), "{}", ran.message());
    let hold = "rotation event payments-api hold --by me";
    let ran = run(&daemon.base, hold, Output::Table).await;
    assert_eq!((ran.exit(), ran.out.as_str()), (Exit::Ok, "hold recorded as entry 7\n"));
    let by_id = "rotation event r-1 consumer-retired --consumer c --by me";
    assert_eq!(run(&daemon.base, by_id, Output::Json).await.exit(), Exit::Ok);
    assert_eq!(
        *daemon.recorded.lock().unwrap(),
        ["r-1 Hold at None by me", "r-1 ConsumerRetired(\"c\") at None by me"]
    );
    let ran = run(&daemon.base, "rotation event nope hold", Output::Table).await;
    assert_eq!(ran.exit(), Exit::Usage);
    assert!(ran.message().contains("no credential and no rotation"), "{}", ran.message());
    let ran = run(&daemon.base, "rotation list", Output::Csv).await;
    assert!(ran.out.contains("\nr-1,payments-api,2025-q4,2026-q1,open,not_ready,"), "{}", ran.out);
    for target in ["r-1", "payments-api"] {
        let ran = run(&daemon.base, &format!("rotation show {target}"), Output::Table).await;
        assert!(ran.out.starts_with("ROTATION"), "{}", ran.out);
        assert!(ran.out.contains("consumer_waived"), "{}", ran.out);
        let job = "\njob         billing-batch `0 3 1 * *` UTC, at most 2 h\n";
        assert!(ran.out.contains(job), "{}", ran.out);
        assert!(ran.out.contains("\nstarted at  2026-11-23T11:50:00Z\n"), "{}", ran.out);
    }
}

#[tokio::test]
async fn a_wrong_token_is_a_usage_error_that_does_not_show_it() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::NotReady, "e")))).await;
    let endpoint = Endpoint { base: daemon.base.clone(), token: Some("wrong-token".to_owned()) };
    let line = ["keydrain", "rotation", "event", "payments-api", "hold"];
    let Cli::Rotation(args) = Cli::parse_from(line) else { unreachable!() };
    let ran = tokio::task::spawn_blocking(move || {
        rotation::run(&args, &endpoint, Output::Table, &mut Vec::new(), &mut Vec::new())
    });
    let failure = ran.await.unwrap().unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.message.contains("token_file"), "{failure}");
    assert!(!failure.message.contains("wrong-token"));
}

#[tokio::test]
async fn status_is_one_screen_of_rotations_and_sources() {
    let daemon = Daemon::live(open(fresh(answer(Verdict::NotReady, "e")))).await;
    let ran = run(&daemon.base, "status", Output::Table).await;
    assert_eq!(ran.exit(), Exit::Ok);
    assert!(ran.out.contains("\npayments-api  r-1       not_ready"), "{}", ran.out);
    let source = ran.out.lines().find(|line| line.starts_with("edge")).unwrap();
    assert!(source.contains("live") && source.contains("/var/log/fifo: a FIFO"), "{source}");
}

#[test]
fn a_daemon_that_listens_everywhere_is_asked_on_loopback() {
    for (listen, base) in [
        ("127.0.0.1:7677", "http://127.0.0.1:7677"),
        ("0.0.0.0:1", "http://127.0.0.1:1"),
        ("[::]:1", "http://[::1]:1"),
        ("[fe80::1]:1", "http://[fe80::1]:1"),
    ] {
        assert_eq!(Endpoint::listening(listen.parse().unwrap(), None).base, base);
    }
}

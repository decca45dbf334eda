//! `SIGKILL` at every call that changes the state, in a start and in a life: each line counts once.

use std::os::unix::process::ExitStatusExt as _;

use serde_json::json;

use crate::support::daemon::{Daemon, Site, TOKEN};
use crate::support::strace::Faults;
use crate::support::wait::wait_until;
use crate::writer::{
    CREDENTIAL, RENAME, Writer, assert_not_ready, assert_whole, config, declare, secret_of,
};

/// Most entries of the journal before anything else happens in a life: they bring the thread that
/// writes the state beyond the calls of the start, which another thread made.
const PRELUDE: usize = 100;
/// Sweeps over the same calls that run side by side, each over a log of its own: most of their time
/// is waiting for the daemon's next look.
const LANES: usize = 6;
/// No sweep has so many calls: reaching it would mean that it never ends.
const MOST_CALLS: usize = 2000;

/// What a life is to be like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    /// The log is written and rotated.
    Rotated,
    /// It is also truncated, and grows past its old size.
    Truncated,
}

/// Returns where `call` strikes for the `number`-th time, for messages.
fn place(call: &str, number: usize) -> String {
    format!("SIGKILL at {call} number {number}")
}

#[test]
fn row_37_a_kill_at_any_write_of_the_first_start_loses_and_doubles_nothing() {
    sweep_first_start("pwrite64", 60);
}

#[test]
fn row_37_a_kill_at_any_sync_or_name_of_the_first_start_loses_and_doubles_nothing() {
    sweep_first_start("fsync", 8);
    // The secret is the only file that is written by this call, and it is the first.
    sweep_first_start("write", 1);
    sweep_first_start("linkat", 1);
    sweep_first_start(RENAME, 0);
    sweep_first_start("unlink", 2);
    sweep_first_start("ftruncate", 1);
    sweep_first_start("mkdir", 1);
}

/// Runs `sweep` in all lanes; each gets its first number and returns how many calls there were.
/// At least `least` there must be.
fn in_lanes(call: &str, least: usize, sweep: impl Fn(usize) -> usize + Sync) {
    let lanes: Vec<usize> = std::thread::scope(|scope| {
        let sweep = &sweep;
        let lanes = (1..=LANES).map(|first| scope.spawn(move || sweep(first)));
        let lanes: Vec<_> = lanes.collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane has failed, see above")).collect()
    });
    println!("killed at calls of {call}, by lane: {lanes:?}");
    assert!(lanes.iter().all(|calls| *calls >= least), "too few calls of {call}: {lanes:?}");
}

/// Kills a first start at each `call`, until there is none left.
fn sweep_first_start(call: &str, least: usize) {
    in_lanes(call, least, |first| first_starts(call, first));
}

fn first_starts(call: &str, first: usize) -> usize {
    for number in (first..MOST_CALLS).step_by(LANES) {
        let what = place(call, number);
        let site = Site::new(&config("15m"));
        let mut writer = Writer::new(&site);
        writer.write(20);
        writer.rotate();
        writer.write(10);
        let faults = faults(&site, call, number);
        let started = site.try_spawn(faults.around(&site.keydrain(&["run"])));
        let survived = started.is_ok();
        drop(started);
        assert_whole(&site, &what);
        let secret = secret_of(&site, &what);
        let daemon = site.start();
        assert!(secret.is_none() || secret == secret_of(&site, &what), "{what}: another secret");
        declare(&daemon);
        writer.assert_counted(&daemon, 0, &what);
        assert_eq!(daemon.source()["gaps"], json!([]), "{what}");
        assert_not_ready(&daemon.readiness(CREDENTIAL), &what);
        daemon.kill();
        if survived && !faults.struck() {
            return number - 1;
        }
    }
    panic!("{call} never ends");
}

#[test]
fn row_37_a_kill_at_any_write_of_a_life_loses_and_doubles_nothing() {
    sweep_life("pwrite64", Log::Rotated, 60);
}

#[test]
fn row_37_a_kill_at_any_write_around_a_truncation_loses_nothing_without_a_gap() {
    sweep_life("pwrite64", Log::Truncated, 60);
}

#[test]
fn row_37_a_kill_at_any_sync_or_name_of_a_life_loses_and_doubles_nothing() {
    sweep_life("fsync", Log::Rotated, 5);
    sweep_life("unlink", Log::Rotated, 1);
    sweep_life("ftruncate", Log::Rotated, 1);
    sweep_life(RENAME, Log::Rotated, 0);
}

#[test]
fn row_37_a_kill_at_any_sync_around_a_truncation_loses_nothing_without_a_gap() {
    sweep_life("fsync", Log::Truncated, 5);
}

/// Kills a life of the daemon at each `call`, one life after the other over the same log, until
/// one comes to its end.
fn sweep_life(call: &str, log: Log, least: usize) {
    in_lanes(call, least, |first| lives(call, log, first));
}

fn lives(call: &str, log: Log, first: usize) -> usize {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    writer.write(5);
    let daemon = site.start();
    declare(&daemon);
    let mut gaps = writer.assert_counted(&daemon, 0, "before the kills");
    daemon.kill();
    // Lives differ by a few calls: one that comes to its end may have been a short one.
    let mut short = false;
    for number in (first..MOST_CALLS).step_by(LANES) {
        let what = place(call, number);
        let faults = faults(&site, call, number);
        let mut acknowledged = 0;
        let life = site.try_spawn(faults.around(&site.keydrain(&["run"])));
        let ended = match life {
            Ok(mut daemon) => {
                acknowledged = live(&mut writer, &mut daemon, log, &faults, &what);
                daemon.end()
            }
            Err(ended) => {
                write_all(&mut writer, None, log);
                ended
            }
        };
        let survived = ended.code() == Some(0) && !faults.struck();
        assert!(survived || ended.signal() == Some(9), "{what}: {ended}: {}", site.log());
        assert_whole(&site, &what);

        let daemon = site.start();
        assert_not_ready(&daemon.readiness(CREDENTIAL), &what);
        let now = writer.assert_counted(&daemon, gaps, &what);
        assert_eq!(now > gaps, log == Log::Truncated, "{what}: {now} gaps after {gaps}");
        gaps = now;
        let path = format!("/v1/credentials/{CREDENTIAL}/journal");
        let journal = daemon.get(&path).json()["events"].as_array().unwrap().len();
        assert!(journal >= acknowledged, "{what}: {journal} of {acknowledged} entries are kept");
        assert_not_ready(&daemon.readiness(CREDENTIAL), &what);
        daemon.kill();
        if survived && short {
            return number - 1;
        }
        short = survived;
    }
    panic!("{call} never ends");
}

fn faults(site: &Site, call: &str, number: usize) -> Faults {
    Faults::new(site.path("trace"), call, &format!("signal=SIGKILL:when={number}"))
}

/// Lets the daemon read, commit and answer until it dies, or all is done. Returns how many entries
/// of the journal it has acknowledged, those of earlier lives included.
fn live(
    writer: &mut Writer,
    daemon: &mut Daemon<'_>,
    log: Log,
    faults: &Faults,
    what: &str,
) -> usize {
    let path = format!("/v1/credentials/{CREDENTIAL}/journal");
    let before = daemon.request("GET", &path, None, "").ok();
    let before = before.and_then(|reply| reply.json()["events"].as_array().map(Vec::len));
    let mut acknowledged = before.unwrap_or(0);
    let path = format!("/v1/credentials/{CREDENTIAL}/events");
    for at in 0..PRELUDE {
        let body = format!("{{\"type\":\"{}\"}}", ["hold", "release"][at % 2]);
        let Ok(reply) = daemon.request("POST", &path, Some(TOKEN), &body) else { break };
        acknowledged += usize::from(reply.status == 201);
        let (start, core) = faults.calls_of(daemon.pid());
        // A call that no commit makes is one of the start alone.
        if core >= start || (core == 0 && at == 10) {
            break;
        }
        assert!(at + 1 < PRELUDE, "{what}: calls {core} to {start} are never met");
    }
    write_all(writer, Some(daemon), log);
    if let Ok(reply) =
        daemon.request("GET", &format!("/v1/credentials/{CREDENTIAL}/readiness"), None, "")
    {
        assert_not_ready(&reply.json(), what);
    }
    acknowledged
}

/// Writes what a life writes; between the steps the daemon may read, if it lives.
fn write_all(writer: &mut Writer, mut daemon: Option<&mut Daemon<'_>>, log: Log) {
    let mut read = |writer: &Writer| {
        if daemon.as_mut().is_some_and(|daemon| !writer.wait_until_read(daemon)) {
            daemon = None;
        }
    };
    writer.write(20);
    read(writer);
    if log == Log::Truncated {
        writer.truncate_and_regrow();
        read(writer);
    }
    writer.write(10);
    writer.rotate();
    writer.write(10);
    read(writer);
}

#[test]
fn row_07_a_kill_right_after_a_reset_was_recorded_forgets_neither_gap_nor_line() {
    for round in 0..10 {
        let what = format!("round {round}");
        let site = Site::new(&config("15m"));
        let mut writer = Writer::new(&site);
        writer.write(30);
        let daemon = site.start();
        declare(&daemon);
        writer.wait_until_counted(&daemon);
        writer.truncate();
        wait_until("the gap is recorded", || daemon.source()["gaps"] != json!([]));
        daemon.kill();
        assert_whole(&site, &what);
        // Past the old offset, so that its size tells nothing.
        writer.write(50);
        let daemon = site.start();
        assert_eq!(writer.assert_counted(&daemon, 1, &what), 1, "{what}: the same gap, once");
        let gap = &daemon.source()["gaps"][0];
        assert_eq!(gap["reason"], "truncated", "{what}");
    }
}

//! `keydrain demo`: the very same daemon on a log recorded from a real nginx, re-timed to now.
//!
//! Nothing is simulated but the clock of the lines: they are written to a file at the pace at
//! which nginx wrote them, and this command asks the daemon over HTTP as any orchestrator does.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{Client, Endpoint, Trouble, block_on};
use super::run::cancel_on_signal;
use super::{Exit, Failure};
use crate::clock;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::engine::time::Timestamp;
use crate::engine::wording::chain;

/// Up to the end of the quiet; then what nginx logged after the old key was revoked in it.
const BEFORE: &str = include_str!("../../fixtures/demo/before-revoke.log");
const AFTER: &str = include_str!("../../fixtures/demo/after-revoke.log");

/// The demo ends by then, or has failed.
const LONGEST: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_secs(1);
const CREDENTIAL: &str = "payments-api";

/// Options of `keydrain demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep the folder with config, log and state
    #[arg(long)]
    keep: bool,
}

/// Plays the rotation and prints each change of the verdict. Exit 0 once the revocation is proved.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let folder = Folder::create(args.keep)?;
    let config = write_config(&folder.0)?;
    let log = File::create(folder.0.join("access.log")).map_err(no_folder)?;
    let daemon = Daemon::open(&config).map_err(|error| Failure::usage(chain(&error)))?;
    let address = daemon.address().ok_or_else(|| Failure::usage("no address to listen on"))?;
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    let stop = shutdown.clone();
    let running = std::thread::spawn(move || daemon.run(&stop));
    let (revoked, told_revoked) = mpsc::channel();
    let stop = shutdown.clone();
    let playing = std::thread::spawn(move || play(log, &told_revoked, &stop));
    let token = fs::read_to_string(folder.0.join("token")).map_err(no_folder)?;
    let endpoint = Endpoint::listening(address, Some(token));
    say(
        out,
        &format!(
            "A rotation recorded from a real nginx, played again: consumers move from key 2025-q4 to \
         2026-q1.\nAsk it yourself:  curl -s http://{address}/v1/credentials/{CREDENTIAL}/readiness\n\
         or:               keydrain status --url http://{address}\n\n"
        ),
    )?;
    let watched = block_on(watch(&endpoint, out, &revoked, &shutdown))?;
    shutdown.cancel();
    drop(revoked);
    let daemon = running.join().map_err(|_| Failure::usage("the daemon ended by a bug"))?;
    let player = playing.join().map_err(|_| Failure::usage("the player ended by a bug"))?;
    daemon.map_err(|error| Failure { exit: Exit::Unknown, message: chain(&error) })?;
    player
        .map_err(|error| Failure { exit: Exit::Unknown, message: format!("the log: {error}") })?;
    watched
}

/// Writes the recorded lines at their recorded pace with the present time.
fn play(
    mut log: File,
    revoked: &mpsc::Receiver<()>,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    play_part(&mut log, BEFORE, stop)?;
    // The second part begins when the old key was revoked, as it did in the recording.
    while !stop.is_cancelled() {
        match revoked.recv_timeout(Duration::from_millis(100)) {
            Ok(()) => return play_part(&mut log, AFTER, stop),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    Ok(())
}

fn play_part(log: &mut File, part: &str, stop: &CancellationToken) -> std::io::Result<()> {
    let begun = clock::now();
    let mut first = None;
    for line in part.lines() {
        let Some((at, rest)) = line.split_once(' ').and_then(|(at, rest)| Some((msec(at)?, rest)))
        else {
            continue;
        };
        let due = begun.plus(at.since(*first.get_or_insert(at)));
        while !stop.is_cancelled() && clock::now() < due {
            std::thread::park_timeout(due.since(clock::now()).min(Duration::from_millis(100)));
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        let now = clock::now();
        let millis = now.as_nanos().rem_euclid(1_000_000_000) / 1_000_000;
        log.write_all(format!("{}.{millis:03} {rest}\n", now.as_seconds()).as_bytes())?;
    }
    Ok(())
}

/// Reads nginx's `$msec`.
fn msec(text: &str) -> Option<Timestamp> {
    let (seconds, millis) = text.split_once('.')?;
    let seconds = Timestamp::from_seconds(seconds.parse().ok()?);
    Some(seconds.plus(Duration::from_millis(millis.parse().ok()?)))
}

async fn watch(
    endpoint: &Endpoint,
    out: &mut dyn Write,
    revoked: &mpsc::Sender<()>,
    shutdown: &CancellationToken,
) -> Result<Exit, Failure> {
    let client = Client::new(endpoint)?;
    let begun = clock::now();
    let id = start(&client, begun).await?;
    let readiness = ["v1", "rotations", id.as_str(), "readiness"];
    let (mut shown, mut epoch) = (String::new(), String::new());
    loop {
        if shutdown.is_cancelled() {
            return Err(Failure { exit: Exit::Unknown, message: "interrupted".to_owned() });
        }
        if clock::now().since(begun) > LONGEST {
            let message = "the recorded rotation did not come to its end in time".to_owned();
            return Err(Failure { exit: Exit::TimedOut, message });
        }
        let Some(answer) = client.poll(&readiness, &epoch, POLL).await? else { continue };
        answer["epoch"].as_str().unwrap_or_default().clone_into(&mut epoch);
        let headline = headline(&answer);
        if headline.reason != shown {
            say(out, &format!("{}  {}\n", stamp(begun), headline.text))?;
            shown = headline.reason;
        }
        if answer["ready"] == true {
            match revoke(&client, &id, &epoch).await {
                Ok(()) => break,
                // Something changed since the answer: look again, as every caller must.
                Err(Trouble::Refused { status: 409, .. }) => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }
    say(
        out,
        &format!("{}  revoked     with an intent that named the answer's epoch\n", stamp(begun)),
    )?;
    revoked.send(()).map_err(|_| Failure::usage("the player ended early"))?;
    verify(&client, &id, begun, out).await
}

/// Opens the rotation; the daemon may still be on its way up.
async fn start(client: &Client, begun: Timestamp) -> Result<String, Failure> {
    let opening = json!({
        "credential": CREDENTIAL, "old_key": "2025-q4", "new_key": "2026-q1", "by": "demo",
    });
    let opened = loop {
        match client.post(&["v1", "rotations"], &opening).await {
            Err(trouble) if trouble.may_pass() && clock::now().since(begun) < POLL * 10 => {}
            other => break other?,
        }
    };
    let id = opened["id"].as_str().unwrap_or_default().to_owned();
    let enabled = json!({"type": "dual_accept_enabled", "by": "demo"});
    client.post(&["v1", "rotations", &id, "events"], &enabled).await?;
    Ok(id)
}

/// Revokes as an orchestrator does: intent with the epoch, then the deed, then the record.
async fn revoke(client: &Client, id: &str, epoch: &str) -> Result<(), Trouble> {
    let intent = json!({"epoch": epoch, "by": "demo"});
    client.post(&["v1", "rotations", id, "revoke-intent"], &intent).await?;
    let revoked = json!({"type": "revoked", "by": "demo"});
    client.post(&["v1", "rotations", id, "events"], &revoked).await?;
    Ok(())
}

/// Waits for the denied line with the old key that proves the revocation.
async fn verify(
    client: &Client,
    id: &str,
    begun: Timestamp,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut epoch = String::new();
    while clock::now().since(begun) <= LONGEST {
        let rotation = client.get(&["v1", "rotations", id]).await?;
        if let Some(at) = rotation["revocation_verified_at"].as_str() {
            say(
                out,
                &format!(
                    "{}  verified    a request with 2025-q4 was denied at {at}: the revocation works\n",
                    stamp(begun)
                ),
            )?;
            return Ok(Exit::Ok);
        }
        let readiness = ["v1", "rotations", id, "readiness"];
        if let Some(answer) = client.poll(&readiness, &epoch, POLL).await? {
            answer["epoch"].as_str().unwrap_or_default().clone_into(&mut epoch);
        }
    }
    let message = "the revocation was not proved in time".to_owned();
    Err(Failure { exit: Exit::TimedOut, message })
}

/// What is printed of an answer, and what must change for the next line.
struct Headline {
    reason: String,
    text: String,
}

/// Says the verdict and its first reason; a key in use with everybody who uses it.
fn headline(answer: &Value) -> Headline {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let verdict = text(&answer["verdict"]);
    let blockers = answer["blockers"].as_array().map_or(&[][..], Vec::as_slice);
    let first = blockers.first().map(|blocker| text(&blocker["code"])).unwrap_or_default();
    let same = blockers.iter().filter(|blocker| blocker["code"] == *first);
    let mut subjects: Vec<String> = same.map(|blocker| text(&blocker["subject"])).collect();
    subjects.sort_unstable();
    let said = match first.as_str() {
        "" => text(&answer["message"]),
        "old_key_in_use" => {
            format!("old_key_in_use: 2025-q4 is used by {}", subjects.join(", "))
        }
        _ => format!("{first}: {}", text(&answer["message"])),
    };
    let reason = format!("{verdict} {first} {}", subjects.join(" "));
    Headline { reason, text: format!("{verdict:<11} {said}") }
}

fn stamp(begun: Timestamp) -> String {
    format!("{:>4.1} s", clock::now().since(begun).as_secs_f64())
}

fn say(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    super::columns::put(out, text)?;
    out.flush().map_err(|error| Failure::usage(format!("stdout: {error}")))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn no_folder(error: std::io::Error) -> Failure {
    Failure::usage(format!("the demo needs a folder for temporary files: {error}; set TMPDIR"))
}

/// The demo's own folder; removed at the end unless it is to be kept.
struct Folder(PathBuf, bool);

impl Folder {
    fn create(keep: bool) -> Result<Self, Failure> {
        let random =
            getrandom::u64().map_err(|error| Failure::usage(format!("no randomness: {error}")))?;
        let folder = std::env::temp_dir().join(format!("keydrain-demo-{random:016x}"));
        fs::create_dir(&folder).map_err(no_folder)?;
        Ok(Self(folder, keep))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.1 {
            eprintln!("kept: {}", self.0.display());
        } else {
            // A folder that cannot be removed harms nobody.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Writes a config with periods that fit a rotation of a minute.
fn write_config(folder: &Path) -> Result<Config, Failure> {
    let mut token = [0; 16];
    getrandom::fill(&mut token)
        .map_err(|error| Failure::usage(format!("no randomness: {error}")))?;
    fs::write(folder.join("token"), crate::engine::wording::hex(&token)).map_err(no_folder)?;
    let path = folder.join("keydrain.toml");
    fs::write(&path, CONFIG).map_err(no_folder)?;
    Config::load(&path).map_err(Failure::usage)
}

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
token_file = "token"

[state]
dir = "state"

[[source]]
name = "edge"
paths = ["access.log*"]
format = { nginx = '$msec $remote_addr "$http_x_client" $key_name "$request" $status' }
credential = "field:key_name"
consumer = ["field:http_x_client", "field:remote_addr"]
allowed_lateness = "1s"
idle_after = "5s"

[[credential]]
name = "payments-api"
sources = ["edge"]
keys = [{ name = "2025-q4", id = "2025-q4" }, { name = "2026-q1", id = "2026-q1" }]
consumers = ["checkout", "mobile-bff", "search", "partner-x", { name = "billing-batch", single = true }]

[credential.policy]
quiet_period = "10s"
monitoring_cycle = "0s"
clock_skew = "1s"
min_overlap = "5s"
max_overlap = "2m"
max_evidence_lag = "12s"
propagation_bound = "1s"
lease = "10s"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_config_is_accepted() {
        let config = Config::parse(CONFIG, Path::new("/demo/keydrain.toml"), &|_| None).unwrap();
        assert_eq!(config.credentials[0].name.as_str(), CREDENTIAL);
    }

    #[test]
    fn the_recording_is_in_order_and_ends_with_a_denied_old_key() {
        for part in [BEFORE, AFTER] {
            let times: Vec<_> =
                part.lines().map(|line| msec(line.split(' ').next().unwrap())).collect();
            assert!(times.iter().all(Option::is_some) && times.is_sorted());
        }
        assert!(AFTER.lines().any(|line| line.contains(" 2025-q4 ") && line.ends_with(" 401")));
    }
}

//! `keydrain ready`: asks for a verdict, once or until it is `ready`, and exits by it.
//!
//! Exit 0 only on a whole, consistent answer whose lease lasts by this host's clock. While it
//! waits it survives restarts of the daemon.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Endpoint, Trouble, block_on, pretty};
use super::columns::{printable, put, table, text};
use super::humane::{next_second, second};
use super::{Exit, Failure, Output};
use crate::clock;
use crate::engine::time::Timestamp;
use crate::engine::wording::humane;

/// Wait that is asked of the daemon in one request.
const POLL: Duration = Duration::from_secs(30);
/// Pause between two answers, so that no daemon is asked in a tight loop.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause while the daemon does not answer.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(1);

/// Options of `keydrain ready`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Credential whose old key is to be revoked
    pub credential: String,
    /// Wait until the verdict is ready
    #[arg(long)]
    pub wait: bool,
    /// Stop waiting after this time: exit 124, or 4 if the daemon does not answer then
    #[arg(long, requires = "wait", default_value = "2h", value_parser = timeout)]
    pub timeout: Duration,
}

fn timeout(text: &str) -> Result<Duration, String> {
    crate::publish::duration(text).ok_or_else(|| "not a duration like 90s, 30m or 2h".to_owned())
}

/// Asks, prints the answer and returns the exit code of its verdict.
pub fn run(
    args: &Args,
    endpoint: &Endpoint,
    output: Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    if output == Output::Csv {
        return Err(Failure::usage("an answer is no list: use --output table or json"));
    }
    let client = Client::new(endpoint)?;
    let (answer, exit) = if args.wait {
        block_on(wait(&client, args, err))??
    } else {
        let asked = block_on(ask(&client, &args.credential, None))??;
        asked.expect("only a poll can end without an answer")
    };
    let text = match output {
        Output::Json => pretty(&answer),
        _ => describe(&answer),
    };
    put(out, &text)?;
    Ok(exit)
}

/// Asks for the answer and judges it; with an epoch, waits until it is another one.
async fn ask(
    client: &Client,
    credential: &str,
    epoch: Option<&str>,
) -> Result<Option<(Value, Exit)>, Trouble> {
    let path = ["v1", "credentials", credential, "readiness"];
    let answer = match epoch {
        Some(epoch) => client.poll(&path, epoch, POLL).await?,
        None => Some(client.get(&path).await?),
    };
    let Some(mut answer) = answer else { return Ok(None) };
    let known = answer["schema"] == "keydrain/readiness/v1" && answer["credential"] == credential;
    if !known {
        return Err(client.stranger("another schema or credential"));
    }
    let exit = judge(&mut answer, clock::now());
    Ok(Some((answer, exit)))
}

/// Returns the exit code of an answer at `now`, and turns it into `unknown` if its lease is over.
fn judge(answer: &mut Value, now: Timestamp) -> Exit {
    let valid_until = answer["valid_until"].as_str().and_then(|text| text.parse().ok());
    if valid_until.is_none_or(|until: Timestamp| until <= now) {
        expire(answer, now);
    }
    let clear = answer["blockers"].as_array().is_some_and(Vec::is_empty);
    match answer["verdict"].as_str() {
        Some("ready") if answer["ready"] == true && clear => Exit::Ok,
        Some("not_ready") if answer["ready"] == false => Exit::NotReady,
        _ => Exit::Unknown,
    }
}

fn expire(answer: &mut Value, now: Timestamp) {
    let message = format!(
        "the answer expired at {} and it is {now}: keydrain stopped deciding, or the clocks of the \
         two hosts differ",
        answer["valid_until"].as_str().unwrap_or("a time nobody told"),
    );
    let blocker = json!({
        "code": "answer_expired", "kind": "evidence", "basis": "evidence", "subject": "*",
        "message": message, "since": answer["valid_until"], "clears_at": null,
    });
    match answer["blockers"].as_array_mut() {
        Some(blockers) => blockers.insert(0, blocker),
        None => answer["blockers"] = json!([blocker]),
    }
    answer["ready"] = false.into();
    answer["verdict"] = "unknown".into();
    answer["message"] = message.into();
}

/// What waiting has come to so far.
#[derive(Default)]
struct Seen {
    answer: Option<(Value, Exit)>,
    /// Why the last attempt gave no answer, if so.
    trouble: Option<Trouble>,
}

/// Waits until the verdict is `ready` or the time is over.
async fn wait(client: &Client, args: &Args, err: &mut dyn Write) -> Result<(Value, Exit), Failure> {
    let mut seen = Seen::default();
    let waiting = until_ready(client, &args.credential, err, &mut seen);
    let in_time = tokio::time::timeout(args.timeout, waiting).await;
    match (in_time, seen) {
        (Ok(Err(trouble)), _) => Err(trouble.into()),
        (Ok(Ok(())), Seen { answer: Some(ready), .. }) => Ok(ready),
        (_, Seen { answer: Some((answer, _)), trouble: None }) => Ok((answer, Exit::TimedOut)),
        (_, Seen { trouble, .. }) => Err(trouble.map_or_else(
            || Failure {
                exit: Exit::Unreachable,
                message: "no answer within --timeout; give it more time".to_owned(),
            },
            |trouble| Failure { exit: Exit::Unreachable, ..Failure::from(trouble) },
        )),
    }
}

/// Asks again and again; leaves the newest answer in `seen`. Writes each change of reason.
async fn until_ready(
    client: &Client,
    credential: &str,
    err: &mut dyn Write,
    seen: &mut Seen,
) -> Result<(), Trouble> {
    let mut told = Vec::new();
    let mut epoch: Option<String> = None;
    loop {
        match ask(client, credential, epoch.as_deref()).await {
            Ok(asked) => {
                seen.trouble = None;
                if let Some((answer, exit)) = asked {
                    let reasons = reasons(&answer);
                    if reasons != told {
                        tell(err, &answer["verdict"], &answer["message"]);
                        told = reasons;
                    }
                    // An answer that is over for us may be alive for the daemon: ask afresh.
                    let alive = is_alive(&answer);
                    epoch = answer["epoch"].as_str().filter(|_| alive).map(str::to_owned);
                    seen.answer = Some((answer, exit));
                    if exit == Exit::Ok {
                        return Ok(());
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(trouble) if trouble.may_pass() => {
                if seen.trouble.is_none() {
                    let message = "keydrain does not answer; asking again until it does";
                    tell(err, &"unreachable".into(), &message.into());
                    told.clear();
                }
                epoch = None;
                seen.trouble = Some(trouble);
                tokio::time::sleep(UNREACHABLE_PAUSE).await;
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

/// Returns verdict, codes and subjects: what makes one reason differ from another.
fn reasons(answer: &Value) -> Vec<String> {
    let blockers = answer["blockers"].as_array().into_iter().flatten();
    let mut reasons: Vec<_> =
        blockers.map(|blocker| format!("{} {}", blocker["code"], blocker["subject"])).collect();
    reasons.push(answer["verdict"].to_string());
    reasons
}

fn is_alive(answer: &Value) -> bool {
    let mut blockers = answer["blockers"].as_array().into_iter().flatten();
    !blockers.any(|blocker| blocker["code"] == "answer_expired")
}

/// Writes one line for people; nobody need read them.
fn tell(err: &mut dyn Write, verdict: &Value, message: &Value) {
    let at = Timestamp::from_seconds(clock::now().as_seconds());
    let (verdict, message) = (text(verdict), text(message));
    let _ = writeln!(err, "{at} {}: {}", printable(verdict), printable(message));
}

/// Returns the answer as text: verdict, message, each blocker with what clears it, warnings.
fn describe(answer: &Value) -> String {
    let mut page = format!(
        "{}: {} (rotation {})\n{}\n",
        printable(text(&answer["credential"])),
        printable(text(&answer["verdict"])),
        printable(text(&answer["rotation"])),
        printable(text(&answer["message"])),
    );
    let list = |name: &str| answer[name].as_array().map_or(&[][..], Vec::as_slice);
    let cells = |entry: &Value, fields: &[&str]| -> Vec<String> {
        fields.iter().map(|field| text(&entry[field]).to_owned()).collect()
    };
    let blockers = list("blockers");
    if !blockers.is_empty() {
        let row = |blocker: &Value| {
            let mut row = cells(blocker, &["code", "subject", "message"]);
            row.insert(2, next_second(&blocker["clears_at"]));
            row
        };
        let rows: Vec<_> = blockers.iter().map(row).collect();
        page.push('\n');
        page += &table(&["BLOCKER", "SUBJECT", "CLEARS AT", "WHY, AND WHAT CLEARS IT"], &rows);
    }
    let warnings = list("warnings");
    if !warnings.is_empty() {
        let fields = ["code", "subject", "message"];
        let rows: Vec<_> = warnings.iter().map(|entry| cells(entry, &fields)).collect();
        page.push('\n');
        page += &table(&["WARNING", "SUBJECT", "REMARK"], &rows);
    }
    page.push('\n');
    if let (Some(seconds), Some(rate)) =
        (answer["silence"]["seconds"].as_f64(), answer["silence"]["excludes_per_hour"].as_f64())
    {
        let quiet = humane(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let line =
            format!("no use for {quiet} excludes a steady rate above {rate:.1} an hour, at 95 %");
        writeln!(page, "{line}").expect("writing to a String cannot fail");
    }
    let waiting = answer["ready"] == false;
    let earliest = &answer["earliest_ready_at"];
    if waiting && earliest.is_string() {
        let at = next_second(earliest);
        writeln!(page, "earliest ready at {} if nothing else happens", printable(&at))
            .expect("writing to a String cannot fail");
    }
    let (evaluated, valid) = (second(&answer["evaluated_at"]), second(&answer["valid_until"]));
    let epoch = text(&answer["epoch"]);
    page + &format!(
        "decided at {}, valid until {}, epoch {}\n",
        printable(&evaluated),
        printable(&valid),
        printable(epoch)
    )
}

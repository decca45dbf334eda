//! `keydrain rotation`: opens a rotation, adds to its journal, lists and shows.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::client::{Client, Endpoint, Trouble, block_on, pretty};
use super::columns::{cell, csv, printable, put, table, text};
use super::humane::{duration, second};
use super::{Exit, Failure, Output};

/// Options of `keydrain rotation`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with rotations.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Open a rotation
    Start(Start),
    /// Add an entry to the journal of a rotation
    Event(Event),
    /// List all rotations, newest first
    List,
    /// Show one rotation and its journal
    Show(Show),
}

/// Options of `keydrain rotation start`.
#[derive(Debug, clap::Args)]
pub struct Start {
    /// Credential to rotate
    pub credential: String,
    /// Key to retire: its configured name, or NAME=kd1:… or NAME=id:…
    #[arg(long, value_name = "NAME")]
    pub old: String,
    /// Key to take its place: its configured name, or NAME=kd1:… or NAME=id:…
    #[arg(long, value_name = "NAME")]
    pub new: String,
    /// When it began, such as 2026-01-31T09:30:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub started_at: Option<String>,
    /// Allocated overlap, such as 30d [default: the policy's `max_overlap`]
    #[arg(long, value_name = "DURATION")]
    pub overlap: Option<String>,
    /// Who starts it
    #[arg(long, env = "USER", hide_env = true)]
    pub by: Option<String>,
    /// Remark for people
    #[arg(long)]
    pub note: Option<String>,
}

/// Options of `keydrain rotation event`.
#[derive(Debug, clap::Args)]
pub struct Event {
    /// Credential (its open rotation is meant), or id of a rotation
    pub target: String,
    /// Type of the entry: hold, release, propagated, `consumer_retired`, revoked, …
    #[arg(value_name = "TYPE")]
    pub kind: String,
    /// When it happened [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Consumer that is meant
    #[arg(long)]
    pub consumer: Option<String>,
    /// End of a waiver
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Remark for people
    #[arg(long)]
    pub note: Option<String>,
    /// Source that is meant
    #[arg(long)]
    pub source: Option<String>,
    /// Stream of the source that is meant
    #[arg(long, requires = "source")]
    pub stream: Option<String>,
    /// What is attested: `old_key_unused`, or a checkpoint such as post-generate
    #[arg(long)]
    pub what: Option<String>,
    /// Who says it
    #[arg(long, env = "USER", hide_env = true)]
    pub by: Option<String>,
}

/// Options of `keydrain rotation show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Credential (its open, else newest rotation is meant), or id of a rotation
    pub target: String,
}

/// Runs the subcommand against the daemon.
pub fn run(
    args: &Args,
    endpoint: &Endpoint,
    output: Output,
    out: &mut dyn Write,
    _err: &mut dyn Write,
) -> Result<Exit, Failure> {
    if output == Output::Csv && !matches!(args.command, Command::List) {
        return Err(Failure::usage("only `rotation list` has csv: use --output table or json"));
    }
    let client = Client::new(endpoint)?;
    let text = match &args.command {
        Command::Start(start) => block_on(open(&client, start, output))??,
        Command::Event(event) => block_on(record(&client, event, output))??,
        Command::List => list(&block_on(client.get(&["v1", "rotations"]))??, output),
        Command::Show(show) => block_on(shown(&client, &show.target, output))??,
    };
    put(out, &text)?;
    Ok(Exit::Ok)
}

async fn open(client: &Client, start: &Start, output: Output) -> Result<String, Trouble> {
    let mut body = Map::new();
    body.insert("credential".to_owned(), start.credential.clone().into());
    body.insert("old_key".to_owned(), key(&start.old));
    body.insert("new_key".to_owned(), key(&start.new));
    set(&mut body, "started_at", start.started_at.as_ref());
    set(&mut body, "overlap", start.overlap.as_ref());
    set(&mut body, "by", start.by.as_ref());
    set(&mut body, "note", start.note.as_ref());
    let answer = client.post(&["v1", "rotations"], &Value::Object(body)).await?;
    Ok(match output {
        Output::Json => pretty(&answer),
        _ => format!("rotation {} started\n", printable(text(&answer["id"]))),
    })
}

/// Makes the JSON form of a key given as `NAME`, `NAME=kd1:…` or `NAME=id:…`.
fn key(text: &str) -> Value {
    if let Some((name, fingerprint)) = text.split_once("=kd1:") {
        return json!({"name": name, "fingerprint": format!("kd1:{fingerprint}")});
    }
    match text.split_once("=id:") {
        Some((name, id)) => json!({"name": name, "id": id}),
        None => text.into(),
    }
}

async fn record(client: &Client, event: &Event, output: Output) -> Result<String, Trouble> {
    let kind = event.kind.replace('-', "_");
    let mut body = Map::new();
    body.insert("type".to_owned(), kind.clone().into());
    set(&mut body, "at", event.at.as_ref());
    set(&mut body, "consumer", event.consumer.as_ref());
    set(&mut body, "until", event.until.as_ref());
    set(&mut body, "source", event.source.as_ref());
    set(&mut body, "stream", event.stream.as_ref());
    set(&mut body, "what", event.what.as_ref());
    set(&mut body, "by", event.by.as_ref());
    set(&mut body, "note", event.note.as_ref());
    let (body, target) = (Value::Object(body), event.target.as_str());
    let posted = client.post(&["v1", "credentials", target, "events"], &body).await;
    let answer = match posted {
        // No credential of this name: it may be the id of a rotation.
        Err(Trouble::Refused { kind, .. }) if kind == "unknown_credential" => {
            client.post(&["v1", "rotations", target, "events"], &body).await.map_err(neither)?
        }
        posted => posted?,
    };
    Ok(match output {
        Output::Json => pretty(&answer),
        _ => format!("{} recorded as entry {}\n", printable(&kind), answer["sequence"]),
    })
}

/// Says that a name fits neither a credential nor a rotation.
fn neither(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused { status, kind, .. } if kind == "unknown_rotation" => Trouble::Refused {
            status,
            kind,
            detail: "no credential and no rotation of this name; see `keydrain rotation list`"
                .to_owned(),
        },
        other => other,
    }
}

fn set(body: &mut Map<String, Value>, field: &str, value: Option<&String>) {
    if let Some(value) = value {
        body.insert(field.to_owned(), value.clone().into());
    }
}

fn list(answer: &Value, output: Output) -> String {
    let fields = ["id", "credential", "phase", "verdict", "started_at", "message"];
    let rotations = answer["rotations"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |rotation: &Value| -> Vec<String> {
        let mut row: Vec<_> =
            fields.iter().map(|field| text(&rotation[field]).to_owned()).collect();
        row.insert(2, text(&rotation["old_key"]["name"]).to_owned());
        row.insert(3, text(&rotation["new_key"]["name"]).to_owned());
        row
    };
    let rows: Vec<_> = rotations.iter().map(row).collect();
    match output {
        Output::Json => pretty(answer),
        Output::Csv => {
            let header =
                ["id", "credential", "old", "new", "phase", "verdict", "started_at", "message"];
            csv(&header, &rows)
        }
        Output::Table if rows.is_empty() => {
            "no rotation was started yet: `keydrain rotation start --help`\n".to_owned()
        }
        Output::Table => {
            let header = ["ID", "CREDENTIAL", "OLD", "NEW", "PHASE", "VERDICT", "STARTED", "WHY"];
            let rows: Vec<_> = rows.into_iter().map(started_to_the_second).collect();
            table(&header, &rows)
        }
    }
}

fn started_to_the_second(mut row: Vec<String>) -> Vec<String> {
    row[6] = second(&Value::from(row[6].as_str()));
    row
}

/// Finds a rotation by its credential, else by its id.
fn find<'a>(rotations: &'a [Value], target: &str) -> Option<&'a Value> {
    let own = || rotations.iter().filter(|rotation| rotation["credential"] == target);
    own()
        .find(|rotation| rotation["phase"] == "open")
        .or_else(|| own().next())
        .or_else(|| rotations.iter().find(|rotation| rotation["id"] == target))
}

async fn shown(client: &Client, target: &str, output: Output) -> Result<String, Trouble> {
    let rotations = client.get(&["v1", "rotations"]).await?;
    let rotations = rotations["rotations"].as_array().map_or(&[][..], Vec::as_slice);
    let rotation = find(rotations, target).ok_or_else(|| {
        neither(Trouble::Refused {
            status: 404,
            kind: "unknown_rotation".to_owned(),
            detail: String::new(),
        })
    })?;
    let id = text(&rotation["id"]);
    let journal = client.get(&["v1", "rotations", id, "journal"]).await?;
    let checkpoints = client.get(&["v1", "rotations", id, "checkpoints"]).await?;
    let mut whole = rotation.clone();
    whole["checkpoints"] = checkpoints["checkpoints"].clone();
    whole["events"] = journal["events"].clone();
    Ok(match output {
        Output::Json => pretty(&whole),
        _ => describe(&whole),
    })
}

fn describe(rotation: &Value) -> String {
    let mut facts = vec![
        vec!["credential".to_owned(), cell(&rotation["credential"])],
        vec!["old key".to_owned(), cell(&rotation["old_key"]["name"])],
        vec!["new key".to_owned(), cell(&rotation["new_key"]["name"])],
    ];
    let fields = [
        "phase",
        "verdict",
        "message",
        "started_at",
        "dual_accept_at",
        "notified_at",
        "propagated_at",
        "revoked_at",
        "rolled_back_at",
        "revocation_verified_at",
        "hold_since",
        "incident_since",
        "sources",
        "attested",
        "manual_intervention",
        "overridden",
        "running_jobs",
        "retired",
        "waived",
    ];
    for field in fields {
        let value = &rotation[field];
        let empty = *value == Value::Bool(false)
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        if !value.is_null() && !empty {
            let is_time = field.ends_with("_at") || field.ends_with("_since");
            let shown = if is_time { second(value) } else { cell(value) };
            facts.push(vec![field.replace('_', " "), shown]);
        }
    }
    let lines = |name: &str, row: fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        rotation[name].as_array().into_iter().flatten().map(row).collect()
    };
    facts.extend(lines("jobs", |job| {
        let [consumer, schedule, tz] =
            ["consumer", "schedule", "tz"].map(|field| cell(&job[field]));
        let runtime = duration(&job["max_runtime_seconds"]);
        vec!["job".to_owned(), format!("{consumer} `{schedule}` {tz}, at most {runtime}")]
    }));
    let mut page = table(&["ROTATION", text(&rotation["id"])], &facts);
    let checkpoints = lines("checkpoints", |checkpoint| {
        let reasons = checkpoint["reasons"].as_array().into_iter().flatten().map(cell);
        let reasons: Vec<_> = reasons.collect();
        let [name, status] = ["name", "status"].map(|field| cell(&checkpoint[field]));
        vec![name, status, second(&checkpoint["at"]), reasons.join("; ")]
    });
    page.push('\n');
    page += &table(&["CHECKPOINT", "STATUS", "SINCE", "WHY"], &checkpoints);
    let incidents = lines("incidents", |incident| {
        let [kind, message] = ["kind", "message"].map(|field| cell(&incident[field]));
        vec![second(&incident["at"]), kind, message, second(&incident["ended_at"])]
    });
    if !incidents.is_empty() {
        page.push('\n');
        page += &table(&["INCIDENT AT", "KIND", "WHAT", "ENDED"], &incidents);
    }
    let violations = lines("violations", |violation| {
        vec![second(&violation["recorded_at"]), cell(&violation["message"])]
    });
    if !violations.is_empty() {
        page.push('\n');
        page += &table(&["CONTRARY EVIDENCE AT", "WHAT"], &violations);
    }
    let events = lines("events", |event| {
        let about = ["consumer", "until", "what", "source", "stream", "epoch", "note"];
        let about: Vec<_> = about.iter().filter_map(|field| event[field].as_str()).collect();
        let [sequence, kind, by] = ["sequence", "type", "by"].map(|field| cell(&event[field]));
        vec![sequence, kind, second(&event["at"]), by, about.join(" ")]
    });
    page + &format!("\n{}", table(&["ENTRY", "TYPE", "AT", "BY", "ABOUT"], &events))
}

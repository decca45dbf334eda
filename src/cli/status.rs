//! `keydrain status`: rotations, sources and their lag on one screen.

mod coverage;

use std::io::Write;

use serde_json::{Value, json};

use super::client::{Client, Endpoint, Trouble, block_on, pretty};
use super::columns::{cell, put, table};
use super::humane::{duration, second};
use super::{Exit, Failure, Output};

/// Options of `keydrain status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what was seen of each file: event time, and bytes read, skipped, lost and waiting
    #[arg(long)]
    coverage: bool,
}

/// Shows what the daemon knows. Exit 0 says that it answers, nothing about a rotation.
pub fn run(
    args: &Args,
    endpoint: &Endpoint,
    output: Output,
    out: &mut dyn Write,
    _err: &mut dyn Write,
) -> Result<Exit, Failure> {
    if output == Output::Csv && !args.coverage {
        return Err(Failure::usage(
            "a screen is no list: use --output table or json, or --coverage",
        ));
    }
    let client = Client::new(endpoint)?;
    let status = block_on(ask(&client))??;
    let text = match output {
        Output::Json if args.coverage => pretty(&coverage::select(&status)),
        Output::Csv => coverage::list_csv(&coverage::select(&status)),
        Output::Table if args.coverage => coverage::page(&coverage::select(&status)),
        Output::Json => pretty(&status),
        Output::Table => describe(&status),
    };
    put(out, &text)?;
    Ok(Exit::Ok)
}

async fn ask(client: &Client) -> Result<Value, Trouble> {
    let caught_up = match client.get(&["readyz"]).await {
        Ok(_) => true,
        Err(Trouble::Refused { kind, .. }) if kind == "catching_up" => false,
        Err(trouble) => return Err(trouble),
    };
    let rotations = client.get(&["v1", "rotations"]).await?;
    let sources = client.get(&["v1", "sources"]).await?;
    Ok(json!({
        "schema": "keydrain/status/v1",
        "caught_up": caught_up,
        "rotations": rotations["rotations"],
        "sources": sources["sources"],
    }))
}

fn describe(status: &Value) -> String {
    let list = |name: &str| status[name].as_array().map_or(&[][..], Vec::as_slice);
    let open = |rotation: &&Value| rotation["phase"] == "open";
    let rotations: Vec<_> = list("rotations").iter().filter(open).map(rotation).collect();
    let sources: Vec<_> = list("sources").iter().map(source).collect();
    let mut page = String::new();
    if status["caught_up"] == false {
        page += "still reading the files that existed at the start\n\n";
    }
    page += &restored(list("sources"));
    if rotations.is_empty() {
        page += "no rotation is open\n";
    } else {
        page += &table(&["CREDENTIAL", "ROTATION", "VERDICT", "SINCE", "WHY"], &rotations);
    }
    page.push('\n');
    let header =
        ["SOURCE", "STATE", "BASIS", "LAG", "LINES", "REJECTS", "GAPS", "BACKLOG", "TROUBLE"];
    page + &table(&header, &sources)
}

/// Says that an older state was put back, if it was: of several times the last one.
fn restored(sources: &[Value]) -> String {
    let gaps = sources.iter().flat_map(|source| source["gaps"].as_array().into_iter().flatten());
    let restored = gaps.filter(|gap| gap["reason"] == "state_restored");
    let last = restored.max_by_key(|gap| second(&gap["to"]));
    last.map_or_else(String::new, |gap| {
        let (from, to) = (second(&gap["from"]), second(&gap["to"]));
        format!("an older state was put back: nothing is proved from {from} to {to}\n\n")
    })
}

fn rotation(rotation: &Value) -> Vec<String> {
    let [credential, id, verdict, message] =
        ["credential", "id", "verdict", "message"].map(|field| cell(&rotation[field]));
    vec![credential, id, verdict, second(&rotation["verdict_since"]), message]
}

fn source(source: &Value) -> Vec<String> {
    let lag = source["lag_seconds"].as_f64().map(f64::round);
    let gaps = source["gaps"].as_array().map_or(0, Vec::len);
    let absent = source["absent"].as_array().into_iter().flatten();
    let absent = absent.map(|pattern| format!("{}: no such file", cell(pattern)));
    let failing = ["unreadable", "refused"].into_iter().flat_map(|name| {
        let entries = source[name].as_array().into_iter().flatten();
        entries.map(|entry| format!("{}: {}", cell(&entry["path"]), cell(&entry["reason"])))
    });
    let weak = source["weak_file_systems"].as_array().into_iter().flatten();
    let weak = weak.map(|entry| {
        let [path, name, reason] = ["path", "name", "reason"].map(|field| cell(&entry[field]));
        format!("{path}: on {name}: {reason}")
    });
    let trouble: Vec<_> = absent.chain(failing).chain(weak).collect();
    vec![
        cell(&source["name"]),
        cell(&source["state"]),
        cell(&source["basis"]),
        lag.map_or_else(|| "-".to_owned(), |seconds| duration(&seconds.into())),
        cell(&source["lines"]),
        cell(&source["rejects"]),
        gaps.to_string(),
        format!("{} B", cell(&source["backlog_bytes"])),
        trouble.join("; "),
    ]
}

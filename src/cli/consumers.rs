//! `keydrain consumers`: who is still on the old key, those first.

use std::io::Write;

use serde_json::Value;

use super::client::{Client, Endpoint, block_on, pretty};
use super::columns::{cell, csv, put, table};
use super::{Exit, Failure, Output};

/// States in the order of the list: who must act comes first.
const ORDER: [&str; 8] =
    ["regressed", "on_old", "mixed", "silent", "waived", "moved", "new_only", "retired"];

/// Options of `keydrain consumers`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Credential whose consumers to list
    pub credential: String,
}

/// Lists the consumers of the credential's rotation.
pub fn run(
    args: &Args,
    endpoint: &Endpoint,
    output: Output,
    out: &mut dyn Write,
    _err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let client = Client::new(endpoint)?;
    let path = ["v1", "credentials", &args.credential, "consumers"];
    let answer = block_on(client.get(&path))??;
    let Some(consumers) = answer["consumers"].as_array() else {
        return Err(client.stranger("no list of consumers").into());
    };
    let text = match output {
        Output::Json => pretty(&answer),
        Output::Table => as_table(consumers),
        Output::Csv => as_csv(consumers),
    };
    put(out, &text)?;
    Ok(Exit::Ok)
}

fn as_table(consumers: &[Value]) -> String {
    let mut sorted: Vec<_> = consumers.iter().collect();
    sorted.sort_by_key(|consumer| {
        let state = consumer["state"].as_str().unwrap_or_default();
        ORDER.iter().position(|known| *known == state).unwrap_or(0)
    });
    let counts = |uses: &Value| {
        format!("{}/{}/{}", cell(&uses["accepted"]), cell(&uses["denied"]), cell(&uses["failed"]))
    };
    let row = |consumer: &&Value| {
        let (old, new) = (&consumer["old"], &consumer["new"]);
        vec![
            cell(&consumer["consumer"]),
            cell(&consumer["state"]),
            cell(&old["last_seen"]),
            counts(old),
            cell(&new["last_seen"]),
            counts(new),
            cell(&consumer["moved_at"]),
        ]
    };
    let rows: Vec<_> = sorted.iter().map(row).collect();
    let header = [
        "CONSUMER",
        "STATE",
        "OLD KEY LAST SEEN",
        "OK/DENIED/FAILED",
        "NEW KEY LAST SEEN",
        "OK/DENIED/FAILED",
        "MOVED AT",
    ];
    table(&header, &rows)
}

fn as_csv(consumers: &[Value]) -> String {
    let header = [
        "consumer",
        "state",
        "named",
        "old_first_seen",
        "old_last_seen",
        "old_accepted",
        "old_denied",
        "old_failed",
        "new_first_seen",
        "new_last_seen",
        "new_accepted",
        "new_denied",
        "new_failed",
        "moved_at",
        "largest_gap_seconds",
        "sessions",
        "owner",
        "third_party",
    ];
    let field = |consumer: &Value, name: &str| match name.split_once('_') {
        Some((key @ ("old" | "new"), rest)) => csv_cell(&consumer[key][rest]),
        _ => csv_cell(&consumer[name]),
    };
    let rows: Vec<Vec<String>> = consumers
        .iter()
        .map(|consumer| header.iter().map(|name| field(consumer, name)).collect())
        .collect();
    csv(&header, &rows)
}

fn csv_cell(value: &Value) -> String {
    if value.is_null() { String::new() } else { cell(value) }
}

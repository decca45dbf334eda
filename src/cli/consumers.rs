//! `keydrain consumers`: who is still on the old key, those first.

use std::io::Write;

use serde_json::Value;

use super::client::{Client, Endpoint, block_on, pretty};
use super::columns::{cell, csv, printable, put, table, text as text_of};
use super::humane::{ago, duration, percent};
use super::{Exit, Failure, Output};
use crate::engine::time::Timestamp;

/// States in the order of the list: who must act comes first.
const ORDER: [&str; 8] =
    ["regressed", "on_old", "mixed", "silent", "waived", "moved", "new_only", "retired"];

/// Most stragglers of which the table says what they need.
const MAX_NEEDS: usize = 10;

/// Options of `keydrain consumers`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Credential whose consumers to list
    pub credential: String,
}

/// Lists the consumers of the credential's rotation; as a table, also how its migration goes.
pub fn run(
    args: &Args,
    endpoint: &Endpoint,
    output: Output,
    out: &mut dyn Write,
    _err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let client = Client::new(endpoint)?;
    let path = |question| ["v1", "credentials", &args.credential, question];
    let answer = block_on(client.get(&path("consumers")))??;
    let Some(consumers) = answer["consumers"].as_array() else {
        return Err(client.stranger("no list of consumers").into());
    };
    let text = match output {
        Output::Json => pretty(&answer),
        Output::Table => {
            let migration = block_on(client.get(&path("migration")))??;
            as_table(consumers, &migration["evaluated_at"]) + &footer(&migration)
        }
        Output::Csv => as_csv(consumers),
    };
    put(out, &text)?;
    Ok(Exit::Ok)
}

fn as_table(consumers: &[Value], now: &Value) -> String {
    let mut sorted: Vec<_> = consumers.iter().collect();
    sorted.sort_by_key(|consumer| {
        let state = consumer["state"].as_str().unwrap_or_default();
        let place = ORDER.iter().position(|known| *known == state).unwrap_or(0);
        let last_use = consumer["old"]["last_seen"].as_str();
        (place, std::cmp::Reverse(last_use.and_then(|at| at.parse::<Timestamp>().ok())))
    });
    let counts = |uses: &Value| {
        format!("{}/{}/{}", cell(&uses["accepted"]), cell(&uses["denied"]), cell(&uses["failed"]))
    };
    let row = |consumer: &&Value| {
        let (old, new) = (&consumer["old"], &consumer["new"]);
        vec![
            cell(&consumer["consumer"]),
            cell(&consumer["state"]),
            ago(&old["last_seen"], now),
            counts(old),
            ago(&new["last_seen"], now),
            counts(new),
            ago(&consumer["moved_at"], now),
        ]
    };
    let rows: Vec<_> = sorted.iter().map(row).collect();
    let header = [
        "CONSUMER",
        "STATE",
        "OLD KEY SEEN",
        "OK/DENIED/FAILED",
        "NEW KEY SEEN",
        "OK/DENIED/FAILED",
        "MOVED",
    ];
    table(&header, &rows)
}

/// Says who is left and what each needs, how many have moved, how fast, and until when.
fn footer(migration: &Value) -> String {
    let now = &migration["evaluated_at"];
    let stragglers = migration["stragglers"].as_array().map_or(&[][..], Vec::as_slice);
    let need = |straggler: &Value| {
        let clears = match &straggler["clears_at"] {
            Value::Null => String::new(),
            at => format!(" ({} unless it calls)", ago(at, now)),
        };
        format!("{}\n", printable(&format!("{}{clears}", cell(&straggler["needs"]))))
    };
    let mut lines: Vec<String> = stragglers.iter().take(MAX_NEEDS).map(need).collect();
    if stragglers.len() > MAX_NEEDS {
        lines.push(format!("… and {} more: --output json\n", stragglers.len() - MAX_NEEDS));
    }
    let from = &migration["counted_from"];
    let besides = |name: &str| match migration[name].as_array().map_or(0, Vec::len) {
        0 => String::new(),
        number => format!(", {number} {name}"),
    };
    lines.push(format!(
        "moved: {} of {} ({}){}{}{}; t50 {}, t90 {}, t100 {} since {}, {}\n",
        cell(&migration["moved"]),
        cell(&migration["must_move"]),
        percent(&migration["share_moved"]),
        besides("waived"),
        besides("tolerated"),
        besides("gone"),
        duration(&migration["t50_seconds"]),
        duration(&migration["t90_seconds"]),
        duration(&migration["t100_seconds"]),
        cell(&from["event"]),
        ago(&from["at"], now),
    ));
    let eta = &migration["eta"];
    lines.push(match eta["none_because"].as_str() {
        Some(why) => format!("expected end: none; {}\n", printable(why)),
        None => format!(
            "expected end: {} (from {} to {}); {}\n",
            ago(&eta["at"], now),
            ago(&eta["earliest"], now),
            ago(&eta["latest"], now),
            printable(text_of(&eta["basis"])),
        ),
    });
    format!("\n{}", lines.concat())
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
        "cadence_bound_seconds",
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

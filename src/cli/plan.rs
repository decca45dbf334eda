//! `keydrain plan`: recommended quiet and overlap periods, each with its reasons.

use std::io::Write;

use serde_json::Value;

use super::client::{Client, Endpoint, block_on, pretty};
use super::columns::{cell, printable, put, table, text};
use super::humane::{ago, duration};
use super::{Exit, Failure, Output};

/// Options of `keydrain plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Credential whose next rotation to plan
    pub credential: String,
    /// Key to retire, by its name in the config; by default the one that was used last
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
}

/// Shows what the daemon recommends.
pub fn run(
    args: &Args,
    endpoint: &Endpoint,
    output: Output,
    out: &mut dyn Write,
    _err: &mut dyn Write,
) -> Result<Exit, Failure> {
    if output == Output::Csv {
        return Err(Failure::usage("a plan is no list: use --output table or json"));
    }
    let client = Client::new(endpoint)?;
    let path = ["v1", "credentials", &args.credential, "plan"];
    let key = args.key.as_deref().map(|key| ("key", key));
    let plan = block_on(client.get_with(&path, key))??;
    let text = match output {
        Output::Json => pretty(&plan),
        _ => describe(&plan),
    };
    put(out, &text)?;
    Ok(Exit::Ok)
}

fn describe(plan: &Value) -> String {
    let list = |name: &str| plan[name].as_array().map_or(&[][..], Vec::as_slice);
    let key = match plan["key"].as_str() {
        Some(key) => format!("key {key}, {} of history", duration(&plan["history_seconds"])),
        None => "no key seen yet".to_owned(),
    };
    let mut parts =
        vec![format!("{}: {}\n", printable(text(&plan["credential"])), printable(&key))];
    for (name, label, setting) in
        [("quiet_period", "quiet period", "quiet_period"), ("overlap", "overlap", "max_overlap")]
    {
        let one = &plan[name];
        parts.push(format!(
            "{label:<13} {} ({setting} is {}): {}\n",
            duration(&one["seconds"]),
            duration(&one["configured_seconds"]),
            printable(text(&one["reason"])),
        ));
    }
    for (label, total, terms) in [
        ("REQUIRED QUIET", &plan["required_quiet_seconds"], "required_quiet"),
        ("OVERLAP", &plan["overlap"]["seconds"], "overlap_terms"),
    ] {
        let rows: Vec<_> = list(terms).iter().map(term).collect();
        let title = format!("{label} {}", duration(total));
        parts.push(format!("\n{}", table(&[&title, "PERIOD", "WHY"], &rows)));
    }
    let now = &plan["evaluated_at"];
    let rows: Vec<_> = list("consumers").iter().map(|one| consumer(one, now)).collect();
    if !rows.is_empty() {
        let header = ["CONSUMER", "SESSIONS", "LARGEST GAP", "SILENT FOR", "LAST SEEN", "WHY"];
        parts.push(format!("\n{}", table(&header, &rows)));
    }
    let notes = list("notes").iter().map(|note| format!("note: {}\n", printable(text(note))));
    let notes: String = notes.collect();
    if !notes.is_empty() {
        parts.push(format!("\n{notes}"));
    }
    parts.concat()
}

fn term(term: &Value) -> Vec<String> {
    vec![cell(&term["name"]), duration(&term["seconds"]), cell(&term["reason"])]
}

fn consumer(consumer: &Value, now: &Value) -> Vec<String> {
    vec![
        cell(&consumer["consumer"]),
        cell(&consumer["sessions"]),
        duration(&consumer["largest_gap_seconds"]),
        duration(&consumer["cadence_bound_seconds"]),
        ago(&consumer["last_seen"], now),
        cell(&consumer["reason"]),
    ]
}

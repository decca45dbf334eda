//! `scan --config`: keys are shown by their names, and a source says how its lines are read.

use std::fs;
use std::path::Path;

use clap::Parser;
use keydrain::cli::{Exit, scan};
use serde_json::Value;
use tempfile::TempDir;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: scan::Args,
}

const OLD: &str = "sk_live_0123456789abcdefOLD1";
const NEW: &str = "sk_live_0123456789abcdefNEW1";

const CONFIG: &str = r#"
state.dir = "state"
[[source]]
name = "edge"
paths = ["access.log*"]
format = { nginx = '$msec $remote_user $http_x_api_key $status' }
credential = "field:http_x_api_key"
consumer = "field:remote_user"
[[credential]]
name = "payments-api"
sources = ["edge"]
keys = [ { name = "2025-q4", secret_file = "old" }, { name = "2026-q1", id = "public-id" } ]
"#;

/// A folder with a config, its secret file and two logs, one of them rotated.
fn folder(config: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("keydrain.toml", config);
    write("old", &format!("{OLD}\n"));
    write("access.log.1", &format!("1714521600.000 ann {OLD} 200\n"));
    write(
        "access.log",
        &format!("1714521601.000 bob {NEW} 200\n1714521602.000 bob public-id 403\n"),
    );
    folder
}

fn scan(folder: &Path, flags: &[&str]) -> Result<Value, String> {
    let arguments = ["scan", "--output", "json"].iter().chain(flags);
    let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let config = folder.join("keydrain.toml");
    let exit = scan::run(&cli.args, Some(&config), false, &mut out, &mut err);
    let exit = exit.map_err(|failure| failure.message)?;
    assert_eq!(exit, Exit::Ok, "{}", String::from_utf8_lossy(&err));
    assert!(!out.windows(8).any(|part| part == b"abcdefOL"), "a raw key is in the answer");
    Ok(serde_json::from_slice(&out).expect("JSON"))
}

fn keys(answer: &Value) -> Vec<&str> {
    let rows = answer["keys"].as_array().expect("an array");
    rows.iter().map(|row| row["key"].as_str().expect("a text")).collect()
}

#[test]
fn keys_of_the_config_have_its_names_and_others_their_fingerprints() {
    let folder = folder(CONFIG);
    let answer = scan(folder.path(), &["--source", "edge"]).expect("an answer");
    let keys = keys(&answer);
    assert_eq!(&keys[..2], ["2025-q4", "2026-q1"]);
    assert!(keys[2].starts_with("kd1:"), "{keys:?}");
    assert_eq!(answer["keys"][0]["hint"], "sk_live_…OLD1");
    assert_eq!(answer["keys"][1]["hint"], Value::Null, "a public id is no secret");
    assert_eq!(answer["lines"], 3, "the files of the source were read");
    assert_eq!(answer["usage"][0]["consumer"], "ann");
}

#[test]
fn the_only_source_says_how_named_files_are_read() {
    let folder = folder(CONFIG);
    let log = folder.path().join("access.log.1");
    let answer = scan(folder.path(), &[log.to_str().expect("UTF-8")]).expect("an answer");
    assert_eq!(keys(&answer), ["2025-q4"]);
    assert_eq!(answer["lines"], 1);
}

#[test]
fn a_name_that_two_credentials_have_is_shown_with_its_credential() {
    let second = "[[credential]]\nname = \"other\"\nsources = [\"edge\"]\nkeys = [ { name = \
                  \"2025-q4\", id = \"another\" } ]\n";
    let folder = folder(&format!("{CONFIG}{second}"));
    let answer = scan(folder.path(), &["--source", "edge"]).expect("an answer");
    let keys = keys(&answer);
    assert_eq!(keys[0], "2026-q1", "{keys:?}");
    assert!(keys.contains(&"payments-api/2025-q4"), "{keys:?}");
}

#[test]
fn keys_of_a_source_that_are_public_are_shown_as_they_are() {
    let public = CONFIG.replace("name = \"edge\"", "name = \"edge\"\npublic = true");
    let folder = folder(&public);
    let answer = scan(folder.path(), &["--source", "edge"]).expect("an answer");
    assert_eq!(keys(&answer), ["2025-q4", "2026-q1", NEW]);
}

#[test]
fn a_source_that_cannot_be_used_says_what_to_do() {
    let folder = folder(CONFIG);
    let check = |flags: &[&str], part: &str| {
        let message = scan(folder.path(), flags).expect_err("no answer");
        assert!(message.contains(part), "{flags:?}: {message}");
    };
    check(&["--source", "front"], "no source `front`: it has edge");
    check(&["--source", "edge", "--format", "combined"], "leave `--format`");
    check(&[], "FILE");
}

#[test]
fn a_config_with_several_sources_asks_for_one() {
    let second = "[[source]]\nname = \"back\"\npaths = [\"back.log\"]\ncredential = \"query:k\"\n";
    let folder = folder(&format!("{CONFIG}{second}"));
    let log = folder.path().join("access.log");
    let log = log.to_str().expect("UTF-8");
    let message = scan(folder.path(), &[log]).expect_err("no answer");
    assert!(message.contains("--source NAME` (edge, back)"), "{message}");
}

//! What `explain` says: which format fits, what to declare, and never a secret.

use std::path::Path;

use clap::Parser;
use keydrain::cli::{Exit, explain};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: explain::Args,
}

fn explained(log: &str, flags: &[&str]) -> (Exit, String) {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("edge.log");
    std::fs::write(&path, log).expect("written");
    explained_file(&path, flags)
}

fn explained_file(path: &Path, flags: &[&str]) -> (Exit, String) {
    let path = path.to_str().expect("UTF-8");
    let arguments = ["explain", path].into_iter().chain(flags.iter().copied());
    let cli = Cli::try_parse_from(arguments).expect("valid flags");
    let mut out = Vec::new();
    let exit = explain::run(&cli.args, &mut out).expect("an explanation");
    (exit, String::from_utf8(out).expect("UTF-8"))
}

fn combined(request: &str) -> String {
    format!("192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"{request}\" 200 5 \"-\" \"curl\"\n")
}

/// The `[[source]]` block of an explanation, as TOML.
fn source(text: &str) -> toml::Table {
    let block = &text[text.find("[[source]]").expect("a block")..];
    let table: toml::Table = block.parse().expect("TOML");
    table["source"][0].as_table().expect("a table").clone()
}

#[test]
fn a_combined_log_with_a_key_gets_a_source_block_to_paste() {
    let log = combined("GET /?page=2&api_key=hunter2 HTTP/1.1").repeat(3) + "garbage\n";
    let (exit, text) = explained(&log, &[]);
    assert!(text.contains("combined fits 3 of 4 lines (75.00 %)"), "{text}");
    assert!(text.contains("line 4 is rejected: form"), "{text}");
    assert!(text.contains("api_key (3), page (3)"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let source = source(&text);
    assert_eq!(source["format"].as_str(), Some("combined"));
    assert_eq!(source["credential"].as_str(), Some("query:api_key"));
    assert_eq!(source["name"].as_str(), Some("edge"));
    assert!(source["paths"][0].as_str().is_some_and(|path| path.ends_with("/edge.log*")));
    assert_eq!(exit, Exit::Ok);
}

#[test]
fn a_log_that_shows_no_key_gets_the_change_of_the_server_that_makes_it() {
    let (_, text) = explained(&combined("GET /?page=2 HTTP/1.1"), &[]);
    assert!(text.contains("these lines show no key"), "{text}");
    assert!(text.contains("map $http_x_api_key $key_name"), "{text}");
    let source = source(&text);
    assert_eq!(source["credential"].as_str(), Some("field:key_name"));
    let template = source["format"]["nginx"].as_str().expect("a template");
    assert!(template.starts_with("$remote_addr") && template.ends_with("\"$key_name\""));
    assert!(text.contains(&format!("log_format keydrain '{template}'")), "{text}");
}

#[test]
fn a_given_log_format_is_tried_beside_the_preset() {
    let log = "1431857103.250 \"hunter2\" 200\n";
    let flags = ["--format", "nginx:$msec \"$http_x_api_key\" $status"];
    let (exit, text) = explained(log, &flags);
    assert!(text.contains("the given log_format fits 1 of 1 lines (100.00 %)"), "{text}");
    assert!(text.contains("combined fits 0 of 1 lines (0.00 %)"), "{text}");
    assert!(text.contains("… (7 bytes)") && !text.contains("hunter2"), "{text}");
    assert_eq!(source(&text)["credential"].as_str(), Some("field:http_x_api_key"));
    assert_eq!(exit, Exit::Ok);
}

#[test]
fn a_log_of_no_known_format_asks_for_the_log_format_and_shows_no_secret() {
    let (exit, text) = explained("{\"key\":\"abcdef0123456789\",\"t=hunter2\"}\n", &[]);
    assert!(text.contains("paste the string of the server's log_format"), "{text}");
    assert!(!text.contains("abcdef0123456789") && !text.contains("hunter2"), "{text}");
    assert_eq!(exit, Exit::Unknown);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (exit, text) = explained_file(Path::new("/nonexistent/access.log"), &[]);
    assert!(text.contains("/nonexistent/access.log: cannot be read"), "{text}");
    assert_eq!(exit, Exit::Unknown);
}

//! What `scan` counts, counted again by a script that shares nothing with the program.
//!
//! `tests/oracle/generate.py` writes hostile logs, `tests/oracle/recount.py` counts them from the
//! text of the contract: slow, strict, Python alone. Every total, key and usage row must be equal.
//! `KEYDRAIN_ORACLE_TIMES=10` makes logs ten times as long, `KEYDRAIN_ORACLE_SEED=2` other ones.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// Lines of a generated log: where a format is told apart in full, and where one of its files does.
const LINES: usize = 20_000;
const FEW_LINES: usize = 4_000;
/// Rows of a difference that are worth reading.
const SHOWN_ROWS: usize = 12;

const JSON: &str =
    r#"{ json = { time = "ts", status = "status", credential = "key", consumer = "user.name" } }"#;
const NGINX_KEYS: &str =
    r#"nginx:$remote_addr - $remote_user [$time_local] "$request" $status "$key_name""#;
const NGINX_MSEC: &str = r#"nginx:$msec|$status|$http_x_api_key|"$http_user_agent"|$request_uri"#;
const NGINX_ISO: &str = r#"nginx:$time_iso8601 $status $remote_addr "$request" "$http_x_client""#;
const APACHE_KEYS: &str =
    r#"apache:%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{X-Api-Key}i""#;

fn setting(name: &str) -> usize {
    std::env::var(name).map_or(1, |text| text.parse().expect("a number"))
}

fn finished(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!(
            "{} does not start ({error}): the recount needs Python 3.9 or later",
            command.get_program().display()
        )
    })
}

fn python(script: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(script);
    let mut command = Command::new("python3");
    command.arg("-B").arg(path); // no compiled copies among the sources
    command
}

/// Writes one hostile log below `folder` and returns its path.
fn generated(folder: &Path, corpus: &str, lines: usize, name: &str) -> PathBuf {
    let path = folder.join(name);
    let output = finished(
        python("generate.py")
            .arg(corpus)
            .args(["--lines", &(lines * setting("KEYDRAIN_ORACLE_TIMES")).to_string()])
            .args(["--seed", &setting("KEYDRAIN_ORACLE_SEED").to_string()])
            .arg("--out")
            .arg(&path),
    );
    assert!(output.status.success(), "generate.py: {}", String::from_utf8_lossy(&output.stderr));
    path
}

fn answer(command: &mut Command) -> Value {
    let output = finished(command);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{command:?} answered no JSON ({error}): {told}"))
}

/// The members of `row` that the contract names. A program may say more.
fn only(row: &Value, names: &[&str]) -> Value {
    names.iter().map(|&name| (name.to_owned(), row[name].clone())).collect()
}

/// Everything that an answer counts, one text per fact, in its own order.
fn facts(answer: &Value) -> Vec<String> {
    const TOTALS: [&str; 9] = [
        "schema",
        "bytes",
        "lines",
        "events",
        "keyless",
        "duplicates",
        "incomplete",
        "first_event",
        "last_event",
    ];
    const KEY: [&str; 7] =
        ["key", "first_seen", "last_seen", "accepted", "denied", "failed", "consumers"];
    const USAGE: [&str; 6] = ["window", "key", "consumer", "accepted", "denied", "failed"];
    let rows = |list: &str| answer[list].as_array().expect("a list of rows").clone();
    let mut facts: Vec<String> =
        TOTALS.iter().map(|&name| format!("{name} {}", answer[name])).collect();
    facts.push(format!("rejects {}", answer["rejects"]["total"]));
    let reasons = answer["rejects"]["by_reason"].as_object().expect("an object of reasons");
    let mut reasons: Vec<String> = reasons
        .iter()
        .filter(|(_, count)| **count != json!(0))
        .map(|(reason, count)| format!("rejects by {reason} {count}"))
        .collect();
    reasons.sort();
    facts.extend(reasons);
    facts.extend(rows("keys").iter().map(|row| format!("key {}", only(row, &KEY))));
    facts.extend(rows("usage").iter().map(|row| format!("usage {}", only(row, &USAGE))));
    facts
}

/// Says where two lists of facts part; `None` if they do not.
fn difference(program: &[String], recount: &[String]) -> Option<String> {
    if program == recount {
        return None;
    }
    let missing = |these: &[String], those: &[String]| -> String {
        let known: HashSet<&String> = those.iter().collect();
        let lost: Vec<&String> = these.iter().filter(|fact| !known.contains(fact)).collect();
        let first: Vec<String> =
            lost.iter().take(SHOWN_ROWS).map(|fact| format!("\n  {fact}")).collect();
        let first = first.concat();
        format!("{} facts{first}", lost.len())
    };
    let at = program.iter().zip(recount).position(|(one, other)| one != other);
    Some(format!(
        "they part at fact {at:?}\nonly the program says {}\nonly the recount says {}",
        missing(program, recount),
        missing(recount, program)
    ))
}

/// Counts `files` with the program and with the script; every number must be equal.
fn agree(files: &[PathBuf], flags: &[&str]) -> Value {
    let counted = answer(
        Command::new(env!("CARGO_BIN_EXE_keydrain"))
            .arg("scan")
            .args(files)
            .args(flags)
            .args(["--output", "json", "--public"])
            .env_remove("KEYDRAIN_CONFIG"),
    );
    let recounted = answer(python("recount.py").args(files).args(flags));
    if let Some(difference) = difference(&facts(&counted), &facts(&recounted)) {
        panic!("scan {files:?} {flags:?}\n{difference}");
    }
    assert_ne!(counted["lines"], json!(0), "nothing was counted");
    counted
}

/// A generated log agrees; some of its lines carry a key, some do not, some are rejected.
fn agree_on(corpus: &str, flags: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let counted = agree(&[generated(folder.path(), corpus, LINES, "a.log")], flags);
    for total in [&counted["events"], &counted["keyless"], &counted["rejects"]["total"]] {
        assert_ne!(*total, json!(0), "a log that shows nothing: {corpus}");
    }
}

#[test]
fn a_hostile_combined_log_counts_as_the_contract_says() {
    agree_on(
        "combined",
        &["--format", "combined", "--credential", "query:api_key", "--by", "minute"],
    );
}

#[test]
fn a_hostile_common_log_counts_as_the_contract_says() {
    agree_on("common", &["--format", "common", "--credential", "query:api_key", "--by", "hour"]);
}

#[test]
fn nginx_lines_with_the_name_of_a_key_count_as_the_contract_says() {
    let consumer = ["--consumer", "field:remote_user", "--by", "minute"];
    let layout = ["--format", NGINX_KEYS, "--credential", "field:key_name"];
    agree_on("nginx_keys", &[&layout[..], &consumer].concat());
}

#[test]
fn a_part_of_the_time_counts_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = [generated(folder.path(), "nginx_keys", FEW_LINES, "a.log")];
    let layout = ["--format", NGINX_KEYS, "--credential", "field:key_name"];
    let bounds = ["--since", "2025-11-15T01:00:00Z", "--until", "2025-11-15T02:30:00.5Z"];
    agree(&log, &[&layout[..], &bounds, &["--by", "minute"]].concat());
    agree(&log, &[&layout[..], &bounds[..2], &["--by", "hour", "--group", "key"]].concat());
    agree(&log, &[&layout[..], &bounds[2..], &["--by", "day"]].concat());
}

#[test]
fn the_first_place_that_shows_a_key_counts() {
    let folder = tempfile::tempdir().unwrap();
    let log = [generated(folder.path(), "nginx_keys", FEW_LINES, "a.log")];
    let places = ["--credential", "field:key_name", "--credential", "query:api_key"];
    let consumers = ["--consumer", "field:remote_user", "--consumer", "field:remote_addr"];
    agree(&log, &[&["--format", NGINX_KEYS, "--by", "hour"], &places[..], &consumers].concat());
    let turned = [&places[2..], &places[..2]].concat();
    agree(&log, &[&["--format", NGINX_KEYS, "--by", "day"], &turned[..]].concat());
}

#[test]
fn nginx_lines_by_milliseconds_count_as_the_contract_says() {
    let consumer = ["--consumer", "field:http_user_agent", "--by", "minute"];
    let layout = ["--format", NGINX_MSEC, "--credential", "field:http_x_api_key"];
    agree_on("nginx_msec", &[&layout[..], &consumer].concat());
}

#[test]
fn nginx_lines_by_iso_time_count_as_the_contract_says() {
    let consumer = ["--consumer", "field:http_x_client", "--by", "hour"];
    let layout = ["--format", NGINX_ISO, "--credential", "query:api_key"];
    agree_on("nginx_iso", &[&layout[..], &consumer].concat());
}

#[test]
fn apache_lines_count_as_the_contract_says() {
    let consumer = ["--consumer", "field:remote_user", "--by", "hour"];
    let layout = ["--format", APACHE_KEYS, "--credential", "field:http_x_api_key"];
    agree_on("apache_keys", &[&layout[..], &consumer].concat());
}

#[test]
fn a_file_of_two_layouts_is_read_by_the_first_that_fits() {
    let other = NGINX_MSEC.replace("$http_x_api_key", "$key_name");
    let formats = ["--format", NGINX_KEYS, "--format", &other];
    agree_on(
        "mixed",
        &[&formats[..], &["--credential", "field:key_name", "--by", "hour"]].concat(),
    );
}

#[test]
fn json_lines_count_as_the_contract_says() {
    agree_on("json", &["--format", JSON, "--by", "minute"]);
}

#[test]
fn a_file_named_twice_and_its_packed_half_count_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let plain = generated(folder.path(), "json", FEW_LINES, "a.log");
    let packed = generated(folder.path(), "combined", FEW_LINES, "b.log.gz");
    let flags = ["--format", JSON, "--by", "day"];
    agree(&[plain.clone(), packed.clone(), plain], &flags);
    agree(&[packed], &["--format", "combined", "--credential", "query:api_key", "--by", "hour"]);
}

#[test]
fn cloudtrail_counts_alike_in_every_shape() {
    let folder = tempfile::tempdir().unwrap();
    for shape in ["records", "pretty", "array", "lines", "message", "detail", "batches"] {
        let corpus = format!("trail_{shape}");
        let log = generated(folder.path(), &corpus, FEW_LINES, &format!("{shape}.json"));
        agree(&[log], &["--format", "cloudtrail", "--by", "hour"]);
    }
}

#[test]
fn an_event_delivered_twice_is_one_event_over_all_files() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["records", "lines", "batches"].map(|shape| {
        let corpus = format!("trail_{shape}");
        generated(folder.path(), &corpus, FEW_LINES, &format!("{shape}.json.gz"))
    });
    let counted = agree(&files, &["--format", "cloudtrail", "--by", "day"]);
    assert_ne!(counted["duplicates"], json!(0));
}

#[test]
fn lines_wrapped_by_docker_count_as_the_lines_inside() {
    let layout = ["--format", "combined", "--credential", "query:api_key", "--by", "hour"];
    agree_on("docker", &[&layout[..], &["--wrapped", "docker"]].concat());
}

#[test]
fn lines_wrapped_by_kubernetes_count_as_the_lines_inside() {
    let layout = ["--format", "combined", "--credential", "query:api_key", "--by", "hour"];
    agree_on("cri", &[&layout[..], &["--wrapped", "cri"]].concat());
}

/// A real trace beside the project. `None`, said aloud, where the project stands alone.
fn trace(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/traces").join(name);
    if !path.exists() {
        println!("not compared: {name} does not lie beside this checkout");
        return None;
    }
    Some(path)
}

#[test]
fn a_real_apache_log_counts_as_the_contract_says() {
    let Some(log) = trace("elastic-apache-combined.log.gz") else { return };
    for place in ["query:flav", "field:http_user_agent", "query:page", "field:http_referer"] {
        for by in ["minute", "day"] {
            let layout = ["--format", "combined", "--credential", place, "--by", by];
            agree(std::slice::from_ref(&log), &layout);
        }
    }
}

#[test]
fn real_cloudtrail_files_count_as_the_contract_says() {
    let Some(archive) = trace("invictus-cloudtrail-delivered-files.tar.gz") else { return };
    let folder = tempfile::tempdir().unwrap();
    let unpack = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
    let output = finished(
        Command::new("python3")
            .args(["-W", "ignore", "-c", unpack])
            .arg(archive)
            .arg(folder.path()),
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.path().join("CloudTrail"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for by in ["minute", "hour", "day"] {
        agree(&files, &["--format", "cloudtrail", "--by", by]);
    }
    let account =
        ["--credential", "field:userIdentity.accountId", "--consumer", "field:sourceIPAddress"];
    agree(&files, &[&["--format", "cloudtrail", "--by", "hour"], &account[..]].concat());
}

#[test]
fn real_cloudtrail_lines_with_another_time_count_as_the_contract_says() {
    let Some(log) = trace("otrf-ec2-proxy-s3-cloudtrail.ndjson.gz") else { return };
    let log = [log];
    agree(&log, &["--format", "cloudtrail", "--by", "minute"]);
    let paths = r#"{ json = { time = "@timestamp", credential = "userIdentity.accessKeyId", consumer = "userIdentity.arn" } }"#;
    agree(&log, &["--format", paths, "--by", "hour"]);
}

#[test]
fn a_count_that_is_off_by_one_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let log = generated(folder.path(), "nginx_keys", FEW_LINES, "a.log");
    let flags = ["--format", NGINX_KEYS, "--credential", "field:key_name", "--by", "hour"];
    let recounted = answer(python("recount.py").arg(log).args(flags));
    let mut wrong = recounted.clone();
    let row = &mut wrong["usage"][3]["denied"];
    *row = json!(row.as_u64().unwrap() + 1);
    let found = difference(&facts(&wrong), &facts(&recounted)).expect("a difference");
    assert!(found.contains("only the program says 1 facts\n  usage"), "{found}");
    assert_eq!(difference(&facts(&recounted), &facts(&recounted)), None);
}

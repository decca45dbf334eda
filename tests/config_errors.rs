//! Bad configs: each row shows what the operator sees, with line and column.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keydrain::config::{Config, ConfigError, Environment, KeyIdentity};
use keydrain::engine::parse::{FormatSpec, Place};
use keydrain::engine::policy::Policy;
use keydrain::engine::state::Retention;

const NO_ENVIRONMENT: Environment<'static> = &|_| None;

/// Line 1 to 4: a source without problems.
const EDGE: &str =
    "[[source]]\nname = \"edge\"\npaths = [\"/l/a.log*\"]\ncredential = \"query:k\"\n";
/// Line 5 to 7, after [`EDGE`]: a credential without problems.
const PAYMENTS: &str = "[[credential]]\nname = \"payments\"\nsources = [\"edge\"]\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/keydrain/k.toml"), NO_ENVIRONMENT)
}

/// Returns all problems as one text, without their excerpts.
fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid { problems }) => {
            let line = |problem: &keydrain::config::Problem| {
                let position = problem.position.to_string().replace("/etc/keydrain/k.toml:", "");
                format!("{position}: {}; {}", problem.message, problem.fix)
            };
            problems.iter().map(line).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected, "{text}");
}

fn source(lines: &str) -> String {
    format!("{EDGE}{lines}")
}

fn credential(lines: &str) -> String {
    format!("{EDGE}{PAYMENTS}{lines}")
}

/// A policy that begins in line 9.
fn policy(lines: &str) -> String {
    credential(&format!("[credential.policy]\n{lines}"))
}

#[test]
fn the_config_of_the_manual_is_read() {
    let text = r#"
[server]
listen = "127.0.0.1:7677"
token_file = "token"
[state]
dir = "/var/lib/keydrain"
[state.retention]
minutes = "7d"
hours = "90d"
days = "730d"
[[source]]
name = "edge"
kind = "file"
paths = ["/var/log/nginx/access.log*", "./more/*.log"]
link_roots = ["/var/log/pods", "/var/lib/docker/containers/"]
format = "combined"
credential = ["query:api_key", "field:http_user_agent"]
consumer = ["field:remote_user", "field:remote_addr"]
evidence = "complete"
allowed_lateness = "30s"
idle_after = "5m"
silence = "unknown"
streams = "each"
[[source]]
name = "names"
paths = ["/var/log/nginx/names.log*"]
format = { nginx = '$remote_addr $key_name [$time_local] "$request" $status' }
credential = "field:key_name"
allowed_lateness = "10s"
silence = "idle"
[[credential]]
name = "payments-api"
sources = ["edge"]
keys = [ { name = "2025-q4", secret_file = "/run/secrets/old" }, { name = "2026-q1", fingerprint = "kd1:00112233445566778899aabbccddeeff" }, { name = "x", id = "AKIA1" } ]
consumers = [ "checkout", { name = "partner-x", third_party = true, max_cache_ttl = "1h" }, { name = "billing-batch", single = true } ]
jobs = [ { consumer = "billing-batch", schedule = "0 3 1 * *", max_runtime = "2h" } ]
[credential.policy]
quiet_period = "15m"
monitoring_cycle = "5m"
threshold = 0
min_history = "7d"
min_overlap = "1h"
max_overlap = "30d"
notice_period = "0s"
third_party = false
max_cache_ttl = "0s"
max_connection_lifetime = "0s"
max_session_lifetime = "0s"
session_gap = "15m"
cadence_factor = 2.0
cadence_min_samples = 5
anonymous = "pooled"
threshold_of = "anonymous"
max_evidence_lag = "10m"
max_reject_ratio = 0.01
clock_skew = "5s"
future_tolerance = "60s"
lease = "60s"
propagation_bound = "1h"
new_key_denied_ratio = 0.01
canary_share = [0.01, 0.25]
canary_period = "15m"
"#;
    let config = parse(text).unwrap();
    assert_eq!(config.server.token_file, Some(PathBuf::from("/etc/keydrain/token")));
    assert_eq!(config.retention, Retention::default());
    let [edge, names] = &config.sources[..] else { panic!("two sources") };
    assert_eq!(edge.paths, ["/var/log/nginx/access.log*", "/etc/keydrain/more/*.log"]);
    assert_eq!(edge.link_roots, ["/var/log/pods", "/var/lib/docker/containers"].map(PathBuf::from));
    let places = [Place::Query("api_key".into()), Place::Field("http_user_agent".into())];
    assert_eq!(edge.layout.credential, places);
    assert_eq!(edge.layout.consumer, ["remote_user", "remote_addr"]);
    assert!(!edge.policy.lateness_assumed);
    assert!(
        matches!(&names.layout.formats[0], FormatSpec::Nginx(text) if text.contains("$key_name"))
    );
    assert!(names.policy.lateness_assumed, "10 s is less than the preset's 30 s");
    assert!(names.policy.silence_is_idle);
    let payments = config.credential("payments-api").unwrap();
    assert_eq!(payments.keys[0].identity, KeyIdentity::SecretFile("/run/secrets/old".into()));
    assert_eq!(payments.keys[2].identity, KeyIdentity::Id("AKIA1".into()));
    assert!(payments.roster[1].third_party && payments.roster[2].single);
    assert_eq!(payments.roster[1].max_cache_ttl, Duration::from_hours(1));
    // All values are the defaults, apart from what is written although a roster is there.
    let expected = Policy { min_overlap: Some(Duration::from_hours(1)), ..Policy::default() };
    assert_eq!(payments.policy, expected);
}

#[test]
fn an_empty_config_has_the_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7677");
    assert_eq!(config.server.token_file, None);
    assert_eq!(config.state_dir, PathBuf::from("/var/lib/keydrain"));
    assert!(config.sources.is_empty() && config.credentials.is_empty());
}

#[test]
fn a_source_and_a_credential_have_the_defaults_of_the_manual() {
    let config = parse(&credential("")).unwrap();
    let source = &config.sources[0];
    assert_eq!(source.layout.formats, [FormatSpec::Combined]);
    assert_eq!(source.policy.allowed_lateness, Duration::from_secs(30));
    assert!(!source.policy.lateness_assumed);
    assert_eq!(source.policy.idle_after, Duration::from_mins(5));
    assert!(!source.policy.silence_is_idle);
    let credential = &config.credentials[0];
    // Twice 5 m 30 s is more than ten minutes.
    let expected = Policy { max_evidence_lag: Duration::from_mins(11), ..Policy::default() };
    assert_eq!(credential.policy, expected);
    assert_eq!(credential.policy.min_history, Duration::from_hours(7 * 24));
    assert!(credential.keys.is_empty() && credential.roster.is_empty());
}

#[test]
fn the_evidence_lag_follows_the_slowest_source_and_is_ten_minutes_at_least() {
    let lag = |lines: &str| {
        let config = parse(&format!("{}{PAYMENTS}", source(lines))).unwrap();
        config.credentials[0].policy.max_evidence_lag
    };
    assert_eq!(lag("idle_after = \"1m\"\n"), Duration::from_mins(10));
    assert_eq!(lag("idle_after = \"20m\"\n"), Duration::from_mins(41));
}

#[test]
fn a_roster_makes_history_unnecessary_unless_it_is_demanded() {
    let history =
        |lines: &str| parse(&credential(lines)).unwrap().credentials[0].policy.min_history;
    assert_eq!(history("consumers = [\"a\"]\n"), Duration::ZERO);
    assert_eq!(history("consumers = []\n"), Duration::from_hours(7 * 24));
    let explicit =
        "consumers = [\"a\", \"anonymous\"]\n[credential.policy]\nmin_history = \"2d\"\n";
    assert_eq!(history(explicit), Duration::from_hours(48));
}

#[test]
fn the_environment_goes_before_the_file() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\ntoken_file = \"a\"\n[state]\ndir = \"s\"\n";
    let environment: Environment<'_> = &|name| match name {
        "KEYDRAIN_SERVER__LISTEN" => Some("0.0.0.0:2".into()),
        "KEYDRAIN_SERVER__TOKEN_FILE" => Some("/b".into()),
        "KEYDRAIN_STATE__DIR" => Some("/c".into()),
        _ => None,
    };
    let config = Config::parse(text, Path::new("/etc/k.toml"), environment).unwrap();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:2");
    assert_eq!(config.server.token_file, Some("/b".into()));
    assert_eq!(config.state_dir, PathBuf::from("/c"));
    let empty = Config::parse(text, Path::new("/etc/k.toml"), &|_| Some(String::new())).unwrap();
    assert_eq!(empty.state_dir, PathBuf::from("/etc/s"), "an empty variable is not set");
}

#[test]
fn a_bad_variable_is_named() {
    let bad = |value: &'static str| {
        let environment: Environment<'_> =
            &|name| (name == "KEYDRAIN_SERVER__LISTEN").then(|| value.into());
        Config::parse("", Path::new("k.toml"), environment).unwrap_err().to_string()
    };
    assert_eq!(
        bad("localhost"),
        "KEYDRAIN_SERVER__LISTEN: `listen` = \"localhost\" is no address and port; \
         write address and port, as \"127.0.0.1:7677\""
    );
    assert!(bad("0.0.0.0:1").starts_with("KEYDRAIN_SERVER__LISTEN: `listen` = 0.0.0.0:1 is reach"));
}

#[test]
fn a_problem_shows_its_line_with_a_mark() {
    let error = parse(&policy("quite_period = \"15m\"\n")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/keydrain/k.toml:9:1: unknown key `quite_period` in [credential.policy]; \
         did you mean `quiet_period`?\n  9 | quite_period …\n    | ^^^^^^^^^^^^"
    );
}

#[test]
fn all_problems_are_shown_in_the_order_of_the_text() {
    let text = "[server]\nlisten = 80\n[[source]]\nname = \"e\"\npaths = []\ncredential = \"query:k\"\n\
                [[credential]]\nname = \"p\"\nsources = [\"f\"]\n[credential.policy]\nlease = \"0s\"\n";
    let places: Vec<String> =
        problems(text).iter().map(|p| p.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(places, ["2:10", "5:9", "9:12", "11:9"]);
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    let server = "remove it, or use one of listen, token_file";
    check("[server]\nport = 1\n", &[&format!("2:1: unknown key `port` in [server]; {server}")]);
    check("[sever]\n", &["1:2: unknown key `sever` in the config; did you mean `server`?"]);
    check(
        &source("path = [\"/x\"]\n"),
        &["5:1: unknown key `path` in [[source]]; did you mean `paths`?"],
    );
    check(
        &credential("consumers = [{ name = \"a\", singel = true }]\n"),
        &["8:28: unknown key `singel` in a consumer; did you mean `single`?"],
    );
    check(
        &credential("keys = [{ name = \"a\", id = \"x\", files = 1 }]\n"),
        &[
            "8:33: unknown key in a key; remove it, or use one of name, secret_file, fingerprint, id",
        ],
    );
}

#[test]
fn wrong_types_say_what_to_write() {
    check("[server]\nlisten = 80\n", &["2:10: `listen` is an integer; write a string in quotes"]);
    check("server = 1\n", &["1:10: `server` is an integer; write a table: [server]"]);
    check("[source]\n", &["1:1: `source` is a table; write a list of tables: write [[source]]"]);
    check(
        &source("consumer = [\"field:remote_user\", 1]\n"),
        &["5:34: `consumer` is an integer; write a string or a list of strings"],
    );
    check(
        &policy("quiet_period = 900\n"),
        &[
            "9:16: `quiet_period` is an integer; write a duration like \"90s\", \"15m\", \"36h\" or \"7d\"",
        ],
    );
    check(
        &policy("third_party = \"yes\"\nmax_reject_ratio = \"1%\"\n"),
        &[
            "9:15: `third_party` is a string; write true or false",
            "10:20: `max_reject_ratio` is a string; write a number like 0.01",
        ],
    );
    check(
        &credential("consumers = [1]\n"),
        &["8:14: a consumer has the wrong type; write a string or a table like \
           { name = \"partner-x\", third_party = true }"],
    );
}

#[test]
fn what_is_required_is_asked_for() {
    check(
        "[[source]]\n",
        &[
            "1:1: [[source]] has no `name`; add `name = \"edge\"`",
            "1:1: [[source]] has no `paths`; name the live log and its rotated siblings: \
             `paths = [\"/var/log/nginx/access.log*\"]`",
            "1:1: no place of the key is named; add `credential = \"query:NAME\"`: this format logs \
             no header, only a query parameter can show the key",
        ],
    );
    check(
        &format!("{EDGE}[[credential]]\n"),
        &[
            "5:1: [[credential]] has no `name`; add `name = \"payments-api\"`",
            "5:1: [[credential]] has no `sources`; name each source whose log shows the key: \
             `sources = [\"edge\"]`",
        ],
    );
    check(
        &credential("sources_ = []\nkeys = [{ id = \"x\" }]\nconsumers = [{}]\n"),
        &[
            "8:1: unknown key `sources_` in [[credential]]; did you mean `sources`?",
            "9:9: a key has no `name`; add `name = \"2025-q4\"`",
            "10:14: a consumer has no `name`; add `name = \"partner-x\"`",
        ],
    );
}

#[test]
fn names_are_unique_and_sources_are_known() {
    check(&format!("{EDGE}{EDGE}"), &["5:1: two sources are named `edge`; rename one of them"]);
    check(
        &format!("{EDGE}{PAYMENTS}{PAYMENTS}"),
        &["8:1: two credentials are named `payments`; rename one of them"],
    );
    check(
        &format!(
            "{EDGE}[[credential]]\nname = \"p\"\nsources = [\"edgy\", \"cdn\", \"edge\", \"edge\"]\n"
        ),
        &[
            "7:12: unknown source `edgy`; did you mean `edge`?",
            "7:20: unknown source `cdn`; add a [[source]] of that name, or use one of edge",
            "7:35: source `edge` is named twice; remove one",
        ],
    );
    check(
        &credential("consumers = [\"a\", { name = \"a\" }]\n"),
        &["8:19: consumer `a` is named twice; remove one"],
    );
    check(
        "[[source]]\nname = \" \"\npaths = [\"/x\"]\ncredential = \"query:k\"\n",
        &["2:8: the name of a source is empty or has white space around it; \
           use letters, digits, `-`, `_` and `.`"],
    );
}

#[test]
fn keys_are_told_apart_in_exactly_one_way() {
    let ways =
        "one of `secret_file = \"/run/secrets/old\"`, `fingerprint = \"kd1:…\"` or `id = \"…\"`";
    check(
        &credential(
            "keys = [{ name = \"a\" }, { name = \"b\", id = \"x\", secret_file = \"/x\" }]\n",
        ),
        &[
            &format!("8:9: a key says nothing to tell it by; add {ways}"),
            &format!("8:25: a key is given in more than one way; keep {ways}"),
        ],
    );
    check(
        &credential(
            "keys = [\n{ name = \"a\", id = \"x\" },\n{ name = \"a\", id = \"y\" },\n\
             { name = \"b\", id = \"x\" },\n{ name = \"c\", id = \"\" },\n]\n",
        ),
        &[
            "10:1: two keys are named `a`; rename one of them",
            "11:1: keys `a` and `b` are the same key; correct one of them",
            &format!("12:20: a key is told by an empty text; write {ways}"),
        ],
    );
    check(
        &credential("keys = [{ name = \"a\", fingerprint = \"kd1:12\" }]\n"),
        &["8:37: `fingerprint` is not `kd1:` and 32 hex digits; \
           write what `keydrain fingerprint` prints for the key"],
    );
}

#[test]
fn a_raw_key_written_by_mistake_is_never_shown() {
    for line in [
        "keys = [{ name = \"a\", secret = \"sk_live_1\" }]",
        "keys = [{ name = \"a\", fingerprint = \"sk_live_1\" }]",
        "keys = [{ name = \"a\", id = [\"sk_live_1\"] }]",
        "keys = [{ name = \"a\", sk_live_1 = true }]",
        "keys = [\"sk_live_1\"]",
        "keys = \"sk_live_1\"",
        "keys = [{ name = \"a\", secret = sk_live_1 }]",
        "keys = [\n\"sk_live_1]\n",
        "[[credential.keys]]\nname = \"a\"\nsecret = \"sk_live_1\"",
        "[[credential.keys]]\nname = \"a\"\nsecret = sk_live_1",
        "key = \"sk_live_1\"",
        "secret = \"sk_live_1\"",
    ] {
        let error = parse(&credential(&format!("{line}\n"))).unwrap_err();
        assert!(!error.to_string().contains("sk_live"), "{error}");
        assert!(!format!("{error:?}").contains("sk_live"), "{error:?}");
    }
    for text in ["[server]\ntoken = \"t0ken\"\n", "[server]\ntoken = t0ken\n"] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(":2:") && !error.contains("t0ken"), "{error}");
    }
}

#[test]
fn paths_are_patterns_and_never_empty() {
    let paths = |text: &str| {
        format!("[[source]]\nname = \"e\"\ncredential = \"query:k\"\npaths = {text}\n")
    };
    let fix =
        "name the live log and its rotated siblings: `paths = [\"/var/log/nginx/access.log*\"]`";
    check(&paths("[]"), &[&format!("4:9: `paths` is empty; {fix}")]);
    check(&paths("[\"\"]"), &["4:10: a path is empty; name a file, or remove the entry"]);
    let [problem] = &problems(&paths("[\"/x\", \"/y/[a\"]"))[..] else { panic!("one problem") };
    assert!(problem.starts_with("4:16: the pattern cannot be read: "), "{problem}");
}

#[test]
fn link_roots_are_absolute_directories_and_never_the_root() {
    let roots = |value: &str, expected: &str| {
        check(&source(&format!("link_roots = {value}\n")), &[expected]);
    };
    roots("1", "5:14: `link_roots` is an integer; write a list of strings");
    roots("\"/var/log/pods\"", "5:14: `link_roots` is a string; write a list of strings");
    roots("[\"/a\", 7]", "5:21: `link_roots` is an integer; write a list of strings");
    let whole = "write the whole path of the directory, from `/` on";
    roots("[\"\"]", &format!("5:15: a link root is empty; {whole}"));
    roots("[\"pods\"]", &format!("5:15: the link root `pods` is a relative path; {whole}"));
    roots(
        "[\"/var/log/../pods\"]",
        &format!("5:15: the link root `/var/log/../pods` goes up with `..`; {whole}"),
    );
    roots(
        "[\"/var/log/pods/*\"]",
        "5:15: the link root `/var/log/pods/*` is a pattern; \
         write the directory above the first wildcard: all that is below it is allowed",
    );
    for root in ["/", "//", "/./"] {
        roots(
            &format!("[\"{root}\"]"),
            &format!(
                "5:15: the link root `{root}` lets a link lead to any file of this host; \
                 name the directories that the links lead into, as \"/var/log/pods\""
            ),
        );
    }
    assert_eq!(
        parse(&source("link_roots = []\n")).unwrap().sources[0].link_roots,
        [""; 0].map(PathBuf::from)
    );
}

#[test]
fn a_directory_with_special_characters_stands_for_itself() {
    let text = "[[source]]\nname = \"e\"\npaths = [\"a.log*\"]\ncredential = \"query:k\"\n";
    let config = Config::parse(text, Path::new("/srv/[x]/k.toml"), NO_ENVIRONMENT).unwrap();
    let pattern = glob::Pattern::new(&config.sources[0].paths[0]).unwrap();
    assert!(pattern.matches("/srv/[x]/a.log.1"), "{pattern}");
    assert!(!pattern.matches("/srv/x/a.log.1"), "{pattern}");
}

#[test]
fn a_layout_that_cannot_show_the_key_is_refused_at_its_line() {
    let layout = |lines: &str| format!("[[source]]\nname = \"e\"\npaths = [\"/x\"]\n{lines}");
    let [problem] = &problems(&layout("credential = \"api_key\"\n"))[..] else { panic!("one") };
    assert_eq!(problem, "4:14: `api_key` is no place of a key; write `query:NAME` or `field:NAME`");
    let [problem] = &problems(&layout("credential = \"field:key_name\"\n"))[..] else {
        panic!("one")
    };
    assert!(
        problem.starts_with("4:14: the format does not log `key_name`; add `$key_name`"),
        "{problem}"
    );
    let blind =
        "format = { nginx = '$remote_addr [$time_local] $status' }\ncredential = \"query:k\"\n";
    let [problem] = &problems(&layout(blind))[..] else { panic!("one") };
    assert!(problem.starts_with("5:14: the format does not log the request"), "{problem}");
    let no_time = "format = { nginx = '\"$request\" $status' }\ncredential = \"query:k\"\n";
    let [problem] = &problems(&layout(no_time))[..] else { panic!("one") };
    assert!(problem.starts_with("4:10: the format logs no time; add `$msec`"), "{problem}");
    check(
        &layout("credential = \"query:k\"\nconsumer = \"remote_user\"\n"),
        &[
            "5:12: `remote_user` is no field of the format; write `field:NAME`, as in `field:remote_user`",
        ],
    );
}

#[test]
fn a_key_that_would_be_shown_as_the_consumers_name_is_refused() {
    let start = "[[source]]\nname = \"e\"\npaths = [\"/x\"]\n";
    let fix = "name another field, as in `consumer = \"field:remote_addr\"`";
    for line in [
        "credential = \"field:remote_user\"",
        "consumer = [\"field:Remote_User\"]\ncredential = \"field:remote_user\"",
    ] {
        let at = if line.starts_with("consumer") { "4:12" } else { "4:14" };
        let what =
            "`remote_user` is the place of the key, and the consumer would be named after it";
        check(&format!("{start}{line}\n"), &[&format!("{at}: {what}; {fix}")]);
    }
    let secret = "`http_authorization` holds a secret and would be shown as the consumer's name; \
                  name a user, an account or an address";
    let lines = "format = { nginx = '$msec \"$http_authorization\" \"$http_k\"' }\n\
                 credential = \"field:http_k\"\nconsumer = \"field:http_authorization\"\n";
    check(&format!("{start}{lines}"), &[&format!("6:12: {secret}")]);
}

#[test]
fn a_format_that_is_none_says_what_to_write() {
    let formats = "write \"combined\", \"common\", \"cloudtrail\", the server's own directive as \
                   { nginx = '…' } or { apache = '…' }, or { json = { time = \"…\", … } }";
    for (line, at, what) in [
        ("format = \"combine\"", "5:10", "unknown format \"combine\""),
        ("format = [\"combined\", \"x\"]", "5:23", "unknown format \"x\""),
        ("format = {}", "5:10", "the table names no format"),
        ("format = []", "5:10", "`format` is empty"),
        ("format = 1", "5:10", "a format is neither a string nor a table"),
    ] {
        check(&source(&format!("{line}\n")), &[&format!("{at}: {what}; {formats}")]);
    }
    let several = "{ nginx = '$msec', apache = '%t' }";
    check(
        &source(&format!("format = {several}\n")),
        &["5:10: the table names several formats; write a list of tables"],
    );
    let alone = "alone does not say what a line looks like";
    for (name, fix) in [
        ("nginx", "write { nginx = '…' } with the string of the server's `log_format`"),
        ("apache", "write { apache = '…' } with the string of the server's `LogFormat`"),
        (
            "json",
            "write { json = { time = \"ts\", status = \"status\", credential = \"…\" } } with the \
             paths of these fields",
        ),
    ] {
        let expected = format!("5:10: \"{name}\" {alone}; {fix}");
        check(&source(&format!("format = \"{name}\"\n")), &[&expected]);
    }
    check(
        &source("format = { json = { time = \"ts\", stauts = \"s\" } }\n"),
        &["5:34: unknown key `stauts` in a JSON format; did you mean `status`?"],
    );
    check(
        &source("format = { json = { time = 1 } }\n"),
        &["5:28: `time` is an integer; write a string in quotes"],
    );
}

#[test]
fn a_format_without_a_place_of_the_key_says_what_its_lines_could_show() {
    let base = "[[source]]\nname = \"e\"\npaths = [\"/x\"]\n";
    for (format, fix) in [
        (
            "\"common\"",
            "\"query:NAME\"`: this format logs no header, only a query parameter can show the key",
        ),
        (
            "{ nginx = '$msec $http_a' }",
            "\"field:NAME\"`: a variable of the format without its `$`, or `query:NAME`",
        ),
        (
            "{ apache = '%t %{A}i' }",
            "\"field:NAME\"`: `%{X-Api-Key}i` is `field:http_x_api_key`; or `query:NAME`",
        ),
        (
            "{ json = { time = \"ts\" } }",
            "\"field:PATH\"`: a path such as `field:request.headers.X-Api-Key.0`, or `query:NAME`",
        ),
    ] {
        let at_table = format!("1:1: no place of the key is named; add `credential = {fix}");
        check(&format!("{base}format = {format}\n"), &[&at_table]);
        let at_list = format!("5:14: no place of the key is named; add `credential = {fix}");
        check(&format!("{base}format = {format}\ncredential = []\n"), &[&at_list]);
    }
    check(&format!("{base}format = {{ json = {{ time = \"ts\", credential = \"key\" }} }}\n"), &[]);
}

#[test]
fn an_apache_format_is_spoken_of_in_the_words_of_apache() {
    let layout = |format: &str, lines: &str| {
        format!("[[source]]\nname = \"e\"\npaths = [\"/x\"]\nformat = {format}\n{lines}\n")
    };
    check(
        &layout("{ apache = '%h \"%r\"' }", "credential = \"query:k\""),
        &["4:10: the format logs no time; add `%t` to the server's LogFormat"],
    );
    check(
        &layout("{ apache = '%h %t' }", "credential = \"query:k\""),
        &["5:14: the format does not log the request, so `query:k` can never show; \
           add `\"%r\"` to the server's LogFormat, or name a `field:`"],
    );
    check(
        &layout("{ apache = '%h %t' }", "credential = \"field:http_x_key\""),
        &[
            "5:14: the format does not log `http_x_key`; add its directive to the server's LogFormat \
           (`%{X-Api-Key}i` is logged as `http_x_api_key`), or use one of remote_addr, time_local",
        ],
    );
    check(
        &layout(
            "{ apache = '%h %t \"%r\"' }",
            "credential = \"query:k\"\nconsumer = \"field:http_x\"",
        ),
        &["6:12: the format does not log `http_x`; add its directive to the server's LogFormat \
           (`%{X-Api-Key}i` is logged as `http_x_api_key`), or use one of remote_addr, \
           time_local, request"],
    );
    check(
        &layout("{ apache = '%t %h%r' }", "credential = \"query:k\""),
        &[
            "4:10: nothing stands between the fields `remote_addr` and `request`, so no one can tell \
           where one ends; put a space or quotes between them in the server's LogFormat",
        ],
    );
    let local = layout("{ apache = '%{%F %T}t \"%r\"' }", "credential = \"query:k\"");
    check(
        &local,
        &[
            "4:10: the format logs a time without a zone; name the `zone`, as \"Europe/Berlin\", or \
           add `%z` to the server's LogFormat",
        ],
    );
    check(&format!("{local}zone = \"Europe/Berlin\"\n"), &[]);
}

#[test]
fn of_several_formats_the_wrong_one_is_marked() {
    let formats =
        |list: &str| format!("[[source]]\nname = \"e\"\npaths = [\"/x\"]\nformat = {list}\n");
    let no_time = formats("[\"combined\", { json = { status = \"s\" } }]");
    check(
        &format!("{no_time}credential = \"query:k\"\n"),
        &[
            "4:23: the format names no time; add `time = \"…\"`, the path of the field that holds it",
        ],
    );
    check(&format!("{no_time}credential = \"query:k\"\nwrapped = \"docker\"\n"), &[]);
    let path =
        "`a..b` is no path; write `name.name.0`, and a name that holds a dot in double quotes";
    check(
        &formats("{ json = { time = \"ts\", credential = \"a..b\" } }"),
        &[&format!("4:10: {path}")],
    );
    let json = formats("{ json = { time = \"ts\" } }");
    check(&format!("{json}credential = \"field:a..b\"\n"), &[&format!("5:14: {path}")]);
    check(
        &format!("{json}credential = \"field:a\"\nconsumer = \"field:a..b\"\n"),
        &[&format!("6:12: {path}")],
    );
    let many = "{ json = { time = \"ts\", credential = [\"a\", \"b\", \"c\", \"d\", \"e\"] } }";
    check(
        &formats(many),
        &[
            "4:10: 5 places of the key are named, at most 4 can be; list only those that clients use",
        ],
    );
    let nine = format!("[{}]", ["\"combined\""; 9].join(", "));
    check(
        &format!("{}credential = \"query:k\"\n", formats(&nine)),
        &["4:10: 9 formats are named; name at least 1 and at most 8"],
    );
}

#[test]
fn wrappers_and_zones_are_known_words() {
    let words = "use syslog, docker, cri, journald, the outermost first, or \"none\" alone";
    check(
        &source("wrapped = [\"systemd\", \"dokcer\", \"cri\", \"cri\"]\n"),
        &[
            &format!("5:12: unknown wrapper \"systemd\"; {words}"),
            "5:23: unknown wrapper \"dokcer\"; did you mean \"docker\"?",
            "5:40: \"cri\" is named twice; remove one",
        ],
    );
    check(
        &source("wrapped = [\"none\", \"cri\"]\n"),
        &[&format!("5:12: unknown wrapper \"none\"; {words}")],
    );
    check(
        &source("zone = \"Berlin\"\n"),
        &["5:8: unknown time zone \"Berlin\"; write a name of the IANA database, as \
           \"Europe/Berlin\" or \"UTC\""],
    );
    for line in ["wrapped = []", "wrapped = \"none\"", "wrapped = \"docker\"", "zone = \"UTC\""] {
        check(&source(&format!("{line}\n")), &[]);
    }
}

#[test]
fn a_consumer_map_has_names_patterns_and_known_sources() {
    let map = |lines: &str| format!("{EDGE}[[consumer_map]]\n{lines}");
    let add = "add `cidr = \"10.0.1.0/24\"`, `prefix = \"…\"`, `glob = \"…\"` or `regex = \"…\"`";
    check(
        &map(""),
        &[
            "5:1: [[consumer_map]] has no `name`; add `name = \"checkout\"`",
            &format!("5:1: [[consumer_map]] has no pattern; {add}"),
        ],
    );
    check(
        &map("name = \"a\"\ncidr = []\n"),
        &[&format!("5:1: [[consumer_map]] has no pattern; {add}")],
    );
    check(
        &map(
            "name = \"a\"\ncidr = [\"10.0.0.0/8\", \"10.0.1.5/24\", \"host: x\"]\nregex = \"a(\"\n\
              prefix = \"\"\n",
        ),
        &[
            "7:23: `cidr`: `10.0.1.5/24` may mean a range or one address; write `10.0.1.0/24` for \
             the range or `10.0.1.5` for the address",
            "7:38: `cidr`: `host: x` is no range of addresses; write `10.0.1.0/24`, \
             `2001:db8::/32` or one address",
            "8:9: `regex`: the regular expression cannot be read (unclosed group); correct it, or \
             write a `prefix` or a `glob`",
            "9:10: `prefix`: an empty pattern; write what it stands for, or remove it",
        ],
    );
    check(
        &map("name = \"a\"\ncdir = \"10.0.0.0/8\"\nglob = \"*\"\n"),
        &["7:1: unknown key `cdir` in [[consumer_map]]; did you mean `cidr`?"],
    );
    check(
        &map("name = \"a\"\nglob = \"*\"\nsources = [\"edgy\", \"cdn\"]\n"),
        &[
            "8:12: unknown source `edgy`; did you mean `edge`?",
            "8:20: unknown source `cdn`; add a [[source]] of that name, or remove it to mean all \
             sources",
        ],
    );
    check(
        &map("name = \"a\"\nglob = \"*\"\nsources = []\n"),
        &["8:11: `sources` is empty; remove it to mean all sources"],
    );
    check(
        &map("name = \"(others)\"\nglob = \"*\"\n"),
        &["6:8: `(others)` is the name of all that are too many; choose another name"],
    );
    check(
        &map("name = \"anonymous\"\nglob = \"*\"\n"),
        &["6:8: `anonymous` is the name of all who have none; choose another name"],
    );
    let many = format!("[{}]", vec!["\"10.0.0.1\""; 4097].join(", "));
    check(
        &map(&format!("name = \"a\"\ncidr = {many}\n")),
        &["5:1: more than 4096 patterns in all; join ranges, or use prefixes"],
    );
    check(
        "consumer_map = 1\n",
        &["1:16: `consumer_map` is an integer; write a list of tables: write [[consumer_map]]"],
    );
}

#[test]
fn a_consumer_map_is_for_all_sources_or_for_those_it_names() {
    let text = format!(
        "{EDGE}[[source]]\nname = \"cdn\"\npaths = [\"/y\"]\ncredential = \"query:k\"\n\
         [[consumer_map]]\nname = \"one\"\ncidr = \"10.0.1.7\"\nsources = \"edge\"\n\
         [[consumer_map]]\nname = \"all\"\ncidr = [\"10.0.1.0/24\"]\nprefix = \"pay-\"\n"
    );
    let config = parse(&text).unwrap();
    let name = |source: usize, raw: &str| {
        config.sources[source].layout.consumer_map.name_of(raw.as_bytes()).map(str::to_owned)
    };
    assert_eq!(name(0, "10.0.1.7").as_deref(), Some("one"));
    assert_eq!(name(1, "10.0.1.7").as_deref(), Some("all"));
    assert_eq!(name(1, "pay-1").as_deref(), Some("all"));
    assert_eq!(name(1, "10.0.2.7"), None);
}

#[test]
fn durations_have_a_unit_of_fixed_length() {
    let fix = "write a duration like \"90s\", \"15m\", \"36h\" or \"7d\"";
    for (text, what) in [
        ("15", "is no duration"),
        ("soon", "is no duration"),
        ("1mo", "has months or years, which have no fixed length"),
        ("2y", "has months or years, which have no fixed length"),
        ("-1h", "is negative"),
        ("4000d", "is longer than 3650 days"),
    ] {
        let expected = format!("9:16: `quiet_period` = \"{text}\" {what}; {fix}");
        check(&policy(&format!("quiet_period = \"{text}\"\n")), &[&expected]);
    }
}

#[test]
fn contradictions_are_refused_with_the_way_out() {
    check(
        &policy("max_evidence_lag = \"5m29s\"\n"),
        &["9:20: `max_evidence_lag` (5m 29s) is less than `idle_after` + `allowed_lateness` of \
           source `edge` (5m + 30s); raise it to at least \"5m 30s\", or lower those"],
    );
    check(&policy("max_evidence_lag = \"5m30s\"\n"), &[]);
    check(
        &policy("min_overlap = \"2h\"\nmax_overlap = \"1h\"\n"),
        &["9:15: `min_overlap` is longer than `max_overlap` (1h); \
           lower `min_overlap` or raise `max_overlap`"],
    );
    check(&policy("min_overlap = \"1h\"\nmax_overlap = \"1h\"\n"), &[]);
    check(
        &policy("third_party = true\nmax_overlap = \"71h\"\n"),
        &["10:15: `max_overlap` is shorter than the default `min_overlap` (3d); \
           raise `max_overlap`, or write a lower `min_overlap`"],
    );
    let partner = "consumers = [{ name = \"partner-x\", third_party = true }]\n";
    check(
        &credential(&format!("{partner}[credential.policy]\nmax_overlap = \"71h\"\n")),
        &["10:15: `max_overlap` is shorter than the default `min_overlap` (3d); \
           raise `max_overlap`, or write a lower `min_overlap`"],
    );
    let told = "[credential.policy]\nmin_overlap = \"0s\"\nmax_overlap = \"71h\"\n";
    check(&credential(&format!("{partner}{told}")), &[]);
    let zero = "of zero would make no answer safe to act on; write a longer one, or remove it for the default";
    check(&policy("quiet_period = \"0s\"\n"), &[&format!("9:16: `quiet_period` {zero}")]);
    check(&policy("lease = \"0s\"\n"), &[&format!("9:9: `lease` {zero}")]);
    check(
        &source("idle_after = \"0s\"\n"),
        &["5:14: `idle_after` of zero makes every source silent at once; \
           write the longest pause between two lines, as \"5m\""],
    );
    let share =
        "`max_reject_ratio` is a share of the lines; write a number from 0 to 1, as 0.01 for 1 %";
    check(&policy("max_reject_ratio = 1.01\n"), &[&format!("9:20: {share}")]);
    check(&policy("max_reject_ratio = -0.01\n"), &[&format!("9:20: {share}")]);
    check(&policy("max_reject_ratio = 1\n"), &[]);
    check(
        &policy("max_reject_ratio = nan\n"),
        &["9:20: `max_reject_ratio` is a float; write a number like 0.01"],
    );
    check(
        &policy("cadence_factor = 0.9\n"),
        &["9:18: `cadence_factor` below 1 calls a consumer gone before its usual gap is over; \
           write 1 or more"],
    );
    check(
        &policy("session_gap = \"0s\"\n"),
        &["9:15: `session_gap` of zero takes each request of a burst for a session of its own; \
           write the longest pause inside one session, as \"15m\""],
    );
    check(&policy("session_gap = \"1s\"\n"), &[]);
}

#[test]
fn beyond_loopback_a_token_is_demanded() {
    let reachable = "2:10: `listen` = 0.0.0.0:7677 is reachable from other hosts; \
                     set `token_file` in [server], or listen on 127.0.0.1";
    check("[server]\nlisten = \"0.0.0.0:7677\"\n", &[reachable]);
    check("[server]\nlisten = \"0.0.0.0:7677\"\ntoken_file = \"/t\"\n", &[]);
    check("[server]\nlisten = \"[::1]:7677\"\n", &[]);
    check(
        "[server]\nlisten = \"localhost:7677\"\n",
        &["2:10: `listen` = \"localhost:7677\" is no address and port; \
           write address and port, as \"127.0.0.1:7677\""],
    );
}

#[test]
fn what_this_version_cannot_honour_is_refused_and_its_neutral_value_is_not() {
    let message = |at: &str, what: &str| {
        format!("{at}: `{what}` is not supported by this version of keydrain; remove it")
    };
    for (line, what) in [
        ("kind = \"cloudwatch\"", "kind = \"cloudwatch\""),
        ("streams = \"pooled\"", "streams = \"pooled\""),
    ] {
        let at = format!("5:{}", line.find('=').unwrap() + 3);
        check(&source(&format!("{line}\n")), &[&message(&at, what)]);
    }
    check(&source("streams = \"eahc\"\n"), &["5:11: unknown `streams` \"eahc\"; write \"each\""]);
}

#[test]
fn cloudtrail_is_followed_as_lines_and_its_documents_are_refused() {
    let source = |path: &str, format: &str| {
        format!("[[source]]\nname = \"e\"\npaths = [\"/x\", \"{path}\"]\nformat = {format}\n")
    };
    let refused = "3:16: files of CloudTrail's own bucket are documents, which cannot be followed; \
                   let a shipper append the records to a log, one a line, and name that; `keydrain \
                   scan` reads documents";
    check(&source("/var/log/trail.log*", "\"cloudtrail\""), &[]);
    check(&source("/trail/*.json.gz", "\"cloudtrail\""), &[refused]);
    let names = "{ json = { time = \"t\" } }\ncredential = \"field:k\"";
    check(&source("/trail/*.json.gz", names), &[]);
}

#[test]
fn jobs_are_read_with_their_schedule_zone_and_bound() {
    let text = credential(
        "jobs = [ { consumer = \"billing\", schedule = \"0 3 1 * *\", max_runtime = \"2h\", tz = \"Europe/Berlin\" },\n\
         { consumer = \"report\", schedule = \"*/5 9-17 * * mon-fri\" } ]\n",
    );
    let jobs = parse(&text).unwrap().credentials.remove(0).jobs;
    let [billing, report] = &jobs[..] else { panic!("two jobs") };
    assert_eq!((&*billing.consumer, &*billing.schedule), ("billing", "0 3 1 * *"));
    assert_eq!(billing.zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(billing.max_runtime, Duration::from_hours(2));
    assert_eq!((report.zone.as_deref(), report.max_runtime), (None, Duration::from_hours(1)));
}

#[test]
fn a_pool_is_refused_as_one_process_or_a_health_check() {
    for (name, said) in [("anonymous", "single"), ("(others)", "synthetic")] {
        let problem = format!(
            "8:24: `{name}` is the name of many: no one process, and no health check; remove \
             `single` and `synthetic`, or give the client a name with [[consumer_map]]"
        );
        let entry = format!("consumers = [ {{ name = \"{name}\", {said} = true }} ]\n");
        check(&credential(&entry), &[&problem]);
    }
}

#[test]
fn what_is_wrong_with_a_job_is_pointed_at() {
    let example =
        "{ consumer = \"billing-batch\", schedule = \"0 3 1 * *\", max_runtime = \"2h\" }";
    let job = |rest: &str| credential(&format!("jobs = [ {{ {rest} }} ]\n"));
    let whole = "write minute, hour, day of month, month and day of week, as \"0 3 1 * *\"; a zone goes \
                 into `tz`";
    for (rest, problem) in [
        (
            "schedule = \"0 3 1 * *\"",
            "8:10: a job has no `consumer`; add `consumer = \"billing-batch\"`, as the log shows it",
        ),
        ("consumer = \"b\"", "8:10: a job has no `schedule`; add `schedule = \"0 3 1 * *\"`"),
        (
            "consumer = \"b\", schedule = \"0 24 1 * *\"",
            "8:42: `schedule` = \"0 24 1 * *\" has `24` for the hour; write hours from 0 to 23, as \"3\", \
             \"*/6\" or \"8-17\"",
        ),
        (
            "consumer = \"b\", schedule = \"0 0 3 1 * *\"",
            &format!(
                "8:39: `schedule` = \"0 0 3 1 * *\" has 6 fields where cron has five; {whole}"
            ),
        ),
        (
            "consumer = \"b\", schedule = \"@reboot\"",
            "8:39: `schedule` = \"@reboot\" is a shorthand; write when it runs, in five fields, as \
             \"0 3 * * *\"",
        ),
        (
            "consumer = \"b\", schedule = \"@Daily\"",
            "8:39: `schedule` = \"@Daily\" is a shorthand; write \"0 0 * * *\"",
        ),
        (
            "consumer = \"b\", schedule = \"0 3 30 2 *\"",
            "8:39: `schedule` = \"0 3 30 2 *\" names days that never come; correct the day of month or the \
             month",
        ),
        (
            "consumer = \"b\", schedule = \"0 3 1 * *\", tz = \"Europe/Berln\"",
            "8:57: unknown time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?",
        ),
        (
            "consumer = \"b\", schedule = \"0 3 1 * *\", tz = \"the usual one\"",
            "8:57: unknown time zone \"the usual one\"; write a name of the IANA database, as \
             \"Europe/Berlin\", or leave it out for UTC",
        ),
        (
            "consumer = \"b\", schedule = \"0 3 1 * *\", max_runtime = \"0s\"",
            "8:66: `max_runtime` of zero says that the job never runs; write how long a run lasts at most, as \
             \"2h\"",
        ),
        (
            "consumer = \"b\", schedule = \"0 3 1 * *\", max_runtime = \"-1h\"",
            "8:66: `max_runtime` = \"-1h\" is negative; write a duration like \"90s\", \"15m\", \"36h\" or \
             \"7d\"",
        ),
        (
            "consumer = \"anonymous\", schedule = \"0 3 1 * *\"",
            "8:23: `anonymous` is the name of all who have none: its runs cannot be told; log a name for the \
             job, or map one to its address",
        ),
        (
            "consumer = \"b\", schedule = \"0 3 1 * *\", zone = \"UTC\"",
            "8:52: unknown key `zone` in a job; remove it, or use one of consumer, schedule, tz, max_runtime",
        ),
        (
            "consumer = \"b\", schedule = \"0 3 1 * *\" }, { consumer = \"b\", schedule = \"0  3 1 * *\"",
            "8:54: this job of `b` is given twice; remove one",
        ),
    ] {
        check(&job(rest), &[problem]);
    }
    let synthetic = "consumers = [ { name = \"b\", synthetic = true } ]\n";
    check(
        &format!("{}{synthetic}", job("consumer = \"b\", schedule = \"0 3 1 * *\"")),
        &[
            "8:23: `b` is synthetic: what it does proves no run of a job; remove the job, or `synthetic` \
           from the consumer",
        ],
    );
    check(
        &credential("jobs = \"0 3 1 * *\"\n"),
        &[&format!("8:8: `jobs` is a string; write a list of tables like {example}")],
    );
    check(
        &credential("jobs = [\"0 3 1 * *\"]\n"),
        &[&format!("8:9: a job is no table; write {example}")],
    );
    let many = vec!["{ consumer = \"b\", schedule = \"0 3 1 * *\" }"; 257].join(", ");
    check(
        &credential(&format!("jobs = [{many}]\n")),
        &[
            "8:8: `jobs` has more than 256 entries; leave out those that others of its consumer cover",
        ],
    );
}

#[test]
fn shares_counts_and_choices_of_a_policy_are_bounded() {
    check(
        &policy(
            "canary_period = \"900s\"\ncanary_share = [1e-2, 1]\nthreshold = 0\nanonymous = \"each\"\n\
             threshold_of = \"all\"\ncadence_min_samples = 1\nnew_key_denied_ratio = 1\n",
        ),
        &[],
    );
    let shares = "`canary_share` is the least and the largest share of the requests; write two numbers \
                  from 0 to 1 in order, as [0.01, 0.25]";
    let pair = "write two numbers like [0.01, 0.25]";
    let whole = "write a whole number from 0 on, like 5";
    for (line, at, problem) in [
        ("canary_share = [0.3, 0.2]", 16, shares.to_owned()),
        ("canary_share = [0.1, 1.5]", 16, shares.to_owned()),
        ("canary_share = [0.1]", 16, format!("`canary_share` is a list; {pair}")),
        ("canary_share = [0.1, nan]", 16, format!("`canary_share` is a list; {pair}")),
        ("threshold = 0.5", 13, format!("`threshold` is a float; {whole}")),
        ("threshold = -1", 13, format!("`threshold` is an integer; {whole}")),
        (
            "cadence_min_samples = 0",
            23,
            "`cadence_min_samples` of zero calls a consumer gone that was seen once; write 1 or more; 5 is \
             the default"
                .to_owned(),
        ),
        (
            "new_key_denied_ratio = 1.1",
            24,
            "`new_key_denied_ratio` is a share of the requests; write a number from 0 to 1, as 0.01 for 1 %"
                .to_owned(),
        ),
        (
            "canary_period = \"0s\"",
            17,
            "`canary_period` of zero would make no answer safe to act on; write a longer one, or remove it \
             for the default"
                .to_owned(),
        ),
    ] {
        check(&policy(&format!("{line}\n")), &[&format!("9:{at}: {problem}")]);
    }
}

#[test]
fn text_that_is_no_toml_is_marked() {
    let error = parse("[server]\nlisten = 127.0.0.1\n").unwrap_err().to_string();
    assert!(error.starts_with("/etc/keydrain/k.toml:2:15: no valid TOML: "), "{error}");
    assert!(error.contains("\n  2 | listen = 127.0.0.1\n"), "{error}");
    check(
        "[server]\nlisten = \"a\"\nlisten = \"b\"\n",
        &["3:1: no valid TOML: duplicate key; remove one of the two"],
    );
}

#[test]
fn a_config_that_is_missing_or_no_config_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k.toml");
    let message = || Config::load(&path).unwrap_err().to_string();
    let missing = message();
    assert_eq!(
        missing,
        format!(
            "no config at {}: write one there, or name another with --config or KEYDRAIN_CONFIG",
            path.display()
        )
    );
    std::fs::write(&path, "[server]\n# caf\u{e9}\nx = \"".as_bytes()).unwrap();
    assert!(message().contains("k.toml:3:"), "{}", message());
    std::fs::write(&path, b"[server]\n# caf\xe9\n").unwrap();
    assert!(message().ends_with("k.toml:2:6: a byte that is no UTF-8; save the config as UTF-8"));
    std::fs::write(&path, vec![b'\n'; 2 * 1024 * 1024]).unwrap();
    assert!(message().contains("is longer than 1048576 bytes"), "{}", message());
    let directory = Config::load(dir.path()).unwrap_err();
    assert!(matches!(directory, ConfigError::Unreadable { .. }), "{directory}");
}

#[test]
fn history_is_kept_the_longer_the_wider_its_windows() {
    let retention = |lines: &str| format!("[state.retention]\n{lines}{EDGE}");
    let kept = parse(&retention("minutes = \"1h\"\nhours = \"1d\"\ndays = \"1d\"\n")).unwrap();
    let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
    assert_eq!(kept.retention, Retention { minutes: hour, hours: day, days: day });
    assert_eq!(parse(EDGE).unwrap().retention, Retention::default());
    for (lines, expected) in [
        ("minutes = \"59m59s\"\n", "2:11: `minutes` are kept for less than 1h; write 1h or more"),
        ("hours = \"23h\"\n", "2:9: `hours` are kept for less than 1d; write 1d or more"),
        ("days = \"0s\"\n", "2:8: `days` are kept for less than 1d; write 1d or more"),
        (
            "minutes = \"91d\"\n",
            "2:11: `minutes` are kept longer than `hours` (90d); lower `minutes` or raise `hours`",
        ),
        (
            "hours = \"6d\"\n",
            "2:9: `minutes` are kept longer than `hours` (6d); lower `minutes` or raise `hours`",
        ),
        (
            "hours = \"731d\"\n",
            "2:9: `hours` are kept longer than `days` (730d); lower `hours` or raise `days`",
        ),
        (
            "weeks = \"9d\"\n",
            "2:1: unknown key `weeks` in [state.retention]; remove it, or use one of minutes, \
             hours, days",
        ),
    ] {
        check(&retention(lines), &[expected]);
    }
    check(
        "[state]\nretention = \"7d\"\n",
        &["2:13: `retention` is a string; write a table: [state.retention]"],
    );
}

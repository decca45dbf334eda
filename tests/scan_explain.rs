//! What `explain` says: which format fits, what to declare, and never a secret.

use std::path::{Path, PathBuf};

use clap::Parser;
use keydrain::cli::{Exit, explain};
use keydrain::config::{Config, Environment};
use keydrain::engine::parse::{LineParser, Scratch};
use keydrain::engine::scan::lines::lines;

const NO_ENVIRONMENT: Environment<'static> = &|_| None;

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

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/explain").join(name)
}

fn combined(request: &str) -> String {
    format!("192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"{request}\" 200 5 \"-\" \"curl\"\n")
}

fn block(text: &str) -> &str {
    &text[text.find("[[source]]").expect("a block")..]
}

/// The `[[source]]` block of an explanation, as TOML; the config must accept it as it stands.
#[track_caller]
fn source(text: &str) -> toml::Table {
    let block = block(text);
    let config = Config::parse(block, Path::new("/etc/keydrain/k.toml"), NO_ENVIRONMENT);
    assert!(config.is_ok(), "{:?}: {block}", config.err());
    let table: toml::Table = block.parse().expect("TOML");
    table["source"][0].as_table().expect("a table").clone()
}

/// Asserts what is said of a fixture, all of whose keys have `mk-` in them.
#[track_caller]
fn check(name: &str, format: &str, credential: &str, consumer: &[&str]) {
    let path = fixture(name);
    let (exit, text) = explained_file(&path, &[]);
    assert!(text.contains(&format!("  format      {format}: ")), "{name}: {text}");
    assert!(!text.contains("mk-"), "{name} shows a key: {text}");
    let source = source(&text);
    assert_eq!(source["credential"].as_str(), Some(credential), "{name}: {text}");
    let consumers: Vec<&str> = match &source["consumer"] {
        toml::Value::Array(values) => values.iter().filter_map(toml::Value::as_str).collect(),
        value => value.as_str().into_iter().collect(),
    };
    assert_eq!(consumers, consumer, "{name}: {text}");
    assert_eq!(exit, Exit::Ok, "{name}");
    let shown = keys_read_with(block(&text), &std::fs::read(&path).expect("a fixture"));
    assert!(shown.iter().any(|key| key.contains("mk-")), "{name}: {shown:?}");
}

/// The keys in a log, read as a block declares.
fn keys_read_with(block: &str, log: &[u8]) -> Vec<String> {
    let config = Config::parse(block, Path::new("/k.toml"), NO_ENVIRONMENT).expect("a config");
    let parser = LineParser::compile(&config.sources[0].layout).expect("a layout");
    let mut scratch = Scratch::default();
    let mut keys = Vec::new();
    for line in lines(log) {
        if let Ok(event) = parser.parse(line, &mut scratch) {
            keys.extend(event.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()));
        }
    }
    keys
}

#[test]
fn known_json_logs_are_named_and_their_blocks_read_their_keys() {
    check(
        "caddy.json",
        "caddy json",
        "field:request.headers.X-Api-Key.0",
        &["field:user_id", "field:request.remote_ip"],
    );
    check(
        "traefik.json",
        "traefik json",
        "field:request_X-Api-Key",
        &["field:ClientUsername", "field:ClientHost"],
    );
    check("envoy.json", "envoy json", "field:x-api-key", &["field:x-forwarded-for"]);
    check(
        "kong.json",
        "kong json",
        "field:authenticated_entity.id",
        &["field:consumer.username", "field:client_ip"],
    );
    check(
        "kubernetes.json",
        "kubernetes audit",
        "field:user.extra.\"authentication.kubernetes.io/credential-id\".0",
        &["field:user.username", "field:sourceIPs.0"],
    );
    check(
        "api_gateway.json",
        "api gateway access log",
        "field:apiKeyId",
        &["field:userArn", "field:ip"],
    );
    check(
        "nginx.json",
        "nginx json",
        "field:http_x_api_key",
        &["field:remote_user", "field:remote_addr"],
    );
    check("tyk.json", "tyk analytics", "field:api_key", &["field:alias", "field:ip_address"]);
}

#[test]
fn known_audit_logs_are_named_and_their_blocks_read_their_keys() {
    check(
        "gcp.json",
        "gcp audit",
        "field:protoPayload.authenticationInfo.serviceAccountKeyName",
        &[
            "field:protoPayload.authenticationInfo.principalEmail",
            "field:protoPayload.requestMetadata.callerIp",
        ],
    );
    check(
        "github.json",
        "github audit log",
        "field:hashed_token",
        &["field:actor", "field:actor_ip"],
    );
    check(
        "entra.json",
        "entra sign-in",
        "field:properties.servicePrincipalCredentialKeyId",
        &[
            "field:properties.servicePrincipalName",
            "field:properties.appId",
            "field:properties.ipAddress",
        ],
    );
    check(
        "vault.json",
        "vault audit",
        "field:auth.accessor",
        &["field:auth.display_name", "field:request.remote_address"],
    );
    check(
        "okta.json",
        "okta system log",
        "field:transaction.detail.requestApiTokenId",
        &["field:actor.alternateId", "field:client.ipAddress"],
    );
}

#[test]
fn text_logs_are_named_and_their_blocks_read_their_keys() {
    let consumer = ["field:remote_user", "field:remote_addr"];
    check("apache_vhost.log", "apache vhost_combined", "query:api_key", &consumer);
    check("apache_vhost_plain.log", "apache combined behind %v", "query:api_key", &consumer);
    check("common.log", "common", "query:token", &consumer);
}

#[test]
fn json_lines_that_nothing_is_known_of_are_read_by_the_names_of_their_members() {
    check("app.json", "json lines", "field:auth.api_key", &["field:user.name", "field:source.ip"]);
    let (_, text) = explained_file(&fixture("app.json"), &[]);
    let json = &source(&text)["format"]["json"];
    assert_eq!(json["time"].as_str(), Some("@timestamp"));
    assert_eq!(json["status"].as_str(), Some("http.response.status_code"));
}

#[test]
fn a_record_within_a_message_is_what_the_paths_speak_of() {
    check(
        "nginx_message.json",
        "nginx json",
        "field:http_x_api_key",
        &["field:remote_user", "field:remote_addr"],
    );
}

#[test]
fn times_without_a_zone_ask_for_one() {
    check("app_without_zone.json", "json lines", "field:token", &["field:client_ip"]);
    let (_, text) = explained_file(&fixture("app_without_zone.json"), &[]);
    assert_eq!(source(&text)["zone"].as_str(), Some("UTC"));
    assert!(text.contains("put the server's here"), "{text}");
    let flags = ["--zone", "Europe/Berlin"];
    let (_, text) = explained_file(&fixture("app_without_zone.json"), &flags);
    assert_eq!(source(&text)["zone"].as_str(), Some("Europe/Berlin"));
    assert!(!text.contains("put the server's here"), "{text}");
}

#[test]
fn each_shape_of_cloudtrail_gets_the_command_that_counts_it() {
    for name in ["cloudtrail.json", "cloudtrail_lines.json"] {
        let (exit, text) = explained_file(&fixture(name), &[]);
        assert!(text.contains("  format      cloudtrail: 2 of 2"), "{name}: {text}");
        assert!(text.contains("2 of 2 (100.00 %) show one at field:userIdentity.accessKeyId"));
        assert!(text.contains("\nkeydrain scan --format cloudtrail /"), "{name}: {text}");
        assert!(!text.contains("[[source]]"), "{name}: {text}");
        assert_eq!(exit, Exit::Ok);
    }
}

#[test]
fn lines_that_docker_wrapped_are_read_within_it() {
    let line = combined("GET /?api_key=hunter2 HTTP/1.1");
    let wrapped = serde_json::json!(
        {"log": line, "stream": "stdout", "time": "2015-05-17T10:05:03.5Z"}
    );
    let (_, text) = explained(&format!("{wrapped}\n").repeat(2), &[]);
    assert!(text.contains("  format      combined: 2 of 2"), "{text}");
    assert!(text.contains("  wrapped in  docker\n"), "{text}");
    assert_eq!(source(&text)["credential"].as_str(), Some("query:api_key"));
    assert!(!text.contains("hunter2"), "{text}");
    let line = line.trim_end();
    let stacked = format!(
        "2015-05-17T10:05:04.5Z stdout F <134>1 2015-05-17T10:05:04Z web nginx - - - {line}\n"
    );
    let (_, text) = explained(&stacked.repeat(2), &[]);
    assert!(text.contains("  wrapped in  cri, then syslog\n"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_whole_explanation_of_a_caddy_log() {
    let (_, text) = explained_file(&fixture("caddy.json"), &[]);
    let text = text.replace(env!("CARGO_MANIFEST_DIR"), "ROOT");
    let path = fixture("caddy.expected");
    let expected = std::fs::read_to_string(&path).expect("the expected text");
    assert_eq!(text, expected);
}

#[test]
fn a_combined_log_with_a_key_gets_a_source_block_to_paste() {
    let log = combined("GET /?page=2&api_key=hunter2 HTTP/1.1").repeat(3) + "garbage\n";
    let (exit, text) = explained(&log, &[]);
    assert!(text.contains("combined: 3 of 4 lines (75.00 %), doubtful"), "{text}");
    assert!(text.contains("record 4 is rejected: form"), "{text}");
    assert!(text.contains("api_key (3), page (3)"), "{text}");
    assert!(text.contains("if access_log has `buffer=`"), "{text}");
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
    assert!(text.contains("SetEnvIf X-Api-Key \"^OLD KEY$\" KEY_NAME=old"), "{text}");
    let source = source(&text);
    assert_eq!(source["credential"].as_str(), Some("field:key_name"));
    let template = source["format"]["nginx"].as_str().expect("a template");
    assert!(template.starts_with("$remote_addr") && template.ends_with("\"$key_name\""));
    assert!(text.contains(&format!("log_format keydrain '{template}'")), "{text}");
}

#[test]
fn each_server_gets_its_own_change_when_its_log_shows_no_key() {
    let check = |log: &str, change: &str, credential: &str| {
        let (_, text) = explained(log, &[]);
        assert!(text.contains("these lines show no key"), "{text}");
        assert!(text.contains(change), "{text}");
        assert_eq!(source(&text)["credential"].as_str(), Some(credential), "{text}");
    };
    let of = |name: &str| std::fs::read_to_string(fixture(name)).expect("a fixture");
    let without = |name: &str, key: &str, other: &str| of(name).replace(key, other);
    check(&of("caddy_without_key.json"), "log_append key_name {key_name}", "field:key_name");
    check(
        &of("traefik_clf.log"),
        "--accesslog.format=json --accesslog.fields.headers.names.X-Api-Key=keep",
        "field:request_X-Api-Key",
    );
    check(
        &without("traefik.json", "request_X-Api-Key", "request_Accept"),
        "--accesslog.fields.headers.names.X-Api-Key=keep",
        "field:request_X-Api-Key",
    );
    check(
        &without("envoy.json", "x-api-key", "x-other"),
        "x_api_key: \"%REQ(X-API-KEY)%\"",
        "field:x_api_key",
    );
    check(
        &without("api_gateway.json", "\"apiKeyId\":\"mk-apigw-old\"", "\"apiKeyId\":\"-\""),
        "\"apiKeyId\":\"$context.identity.apiKeyId\"",
        "field:apiKeyId",
    );
    check(
        &without("nginx.json", "http_x_api_key", "http_x_other"),
        "\"key_name\":\"$key_name\"",
        "field:key_name",
    );
    check(&without("app.json", "api_key", "kind"), "\"key_name\": \"old\"", "field:key_name");
    let apache =
        "shop:80 192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    check(apache, "\\\"%{KEY_NAME}e\\\"\" keydrain", "field:env_key_name");
}

#[test]
fn a_rejected_line_is_explained_by_what_is_wrong_in_it() {
    let check = |log: &str, why: &str| {
        let (_, text) = explained(&(combined("GET / HTTP/1.1") + log + "\n"), &[]);
        assert!(text.contains(&format!("record 2 is rejected: {why}")), "{text}");
    };
    let time = "[17/May/2015:10:05:03 +0000]";
    check("", "form: the line is empty");
    check(
        &format!("192.0.2.1 - - {time} \"GET /\" 200 \"-\" \"-\""),
        "form: `status`, or what follows it, is missing",
    );
    check(
        "192.0.2.1 - - [37/May/2015:10:05:03 +0000] \"GET /\" 200 5 \"-\" \"-\"",
        "time: `37/May/2015:10:05:03 +0000` in `time_local` is no time",
    );
    check(
        &format!("192.0.2.1 - - {time} \"GET /\" 2x0 5 \"-\" \"-\""),
        "status: `2x0` in `status` is no status",
    );
    check(
        &format!("192.0.2.1 - - {time} \"GET /\" 200 5 \"-\" \"cut"),
        "form: `http_user_agent`, or what follows it, is missing",
    );
    check("web  | {\"ts\":1}", "form: its JSON begins at byte 7, behind a prefix");
}

#[test]
fn a_rejected_json_record_is_explained_by_the_byte_or_the_member() {
    let (_, text) = explained_file(&fixture("nginx.json"), &[]);
    assert!(text.contains("record 3 is rejected: status: `OK` in `status`"), "{text}");
    assert!(text.contains("record 4 is rejected: time: `yesterday` in `time_iso8601`"), "{text}");
    let (_, text) = explained_file(&fixture("caddy.json"), &[]);
    assert!(text.contains("record 5 is rejected: json: no JSON from byte "), "{text}");
}

#[test]
fn a_given_log_format_is_tried_beside_the_preset() {
    let log = "1431857103.250 \"hunter2\" 200\n";
    let flags = ["--format", "nginx:$msec \"$http_x_api_key\" $status"];
    let (exit, text) = explained(log, &flags);
    assert!(text.contains("the given format: 1 of 1 lines (100.00 %)"), "{text}");
    assert!(text.contains("… (7 bytes)") && !text.contains("hunter2"), "{text}");
    assert_eq!(source(&text)["credential"].as_str(), Some("field:http_x_api_key"));
    assert_eq!(exit, Exit::Ok);
}

#[test]
fn a_given_format_that_fits_less_is_still_told() {
    let flags = ["--format", "nginx:$msec \"$http_x_api_key\" $status"];
    let (_, text) = explained(&combined("GET / HTTP/1.1"), &flags);
    assert!(text.contains("  format      combined: 1 of 1"), "{text}");
    assert!(text.contains("the given format: 0 of 1 lines (0.00 %)"), "{text}");
}

#[test]
fn a_given_place_of_the_key_is_hidden_whatever_its_name() {
    let log = "{\"ts\":1431857103.25,\"method\":\"hunter2\",\"status\":200}\n";
    let (_, text) = explained(log, &["--credential", "field:method"]);
    assert!(text.contains("one of 7 bytes at field:method"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(source(&text)["credential"].as_str(), Some("field:method"));
}

#[test]
fn a_log_of_no_known_format_asks_for_the_log_format_and_shows_no_secret() {
    let (exit, text) = explained("{\"key\":\"abcdef0123456789\",\"t=hunter2\"}\n", &[]);
    assert!(text.contains("paste the string of the server's log_format"), "{text}");
    assert!(!text.contains("abcdef0123456789") && !text.contains("hunter2"), "{text}");
    assert_eq!(exit, Exit::Unknown);
}

#[test]
fn a_name_from_a_log_drives_neither_the_terminal_nor_the_config() {
    let log = "{\"ts\":1431857103,\"a\\u001b[2J\\\"\\n.key\":\"hunter2\"}\n";
    let (_, text) = explained(log, &[]);
    assert!(text.contains("json lines: 1 of 1"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("hunter2"), "{text}");
    let log = "{\"ts\":1431857103,\"\\u001bkey\\n\":\"hunter2\"}\n";
    let (_, text) = explained(log, &[]);
    assert!(!text.contains('\u{1b}') && !text.contains("hunter2"), "{text}");
    assert_eq!(source(&text)["credential"].as_str(), Some("field:\u{1b}key\n"));
}

#[test]
fn json_lines_behind_a_prefix_are_told_where_they_begin() {
    let (exit, text) =
        explained(&"web  | {\"ts\":1431857103,\"key\":\"hunter2\"}\n".repeat(2), &[]);
    assert!(text.contains("record 1 is rejected: form: its JSON begins at byte 7"), "{text}");
    assert!(text.contains("these are JSON lines behind a prefix"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(exit, Exit::Unknown);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let path = fixture("common.log");
    let cli = Cli::try_parse_from(["explain", path.to_str().expect("UTF-8")]).expect("flags");
    assert_eq!(explain::run(&cli.args, &mut Closed).expect("no failure"), Exit::Ok);
}

#[test]
fn json_lines_without_a_readable_time_say_which_members_there_are() {
    let (exit, text) = explained("{\"when\":\"noon\",\"token\":\"hunter2\"}\n", &[]);
    assert!(text.contains("  members     token, when"), "{text}");
    assert!(text.contains("name its path with"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(exit, Exit::Unknown);
}

#[test]
fn a_log_that_is_known_by_sight_alone_says_what_it_can_show() {
    let (exit, text) = explained_file(&fixture("haproxy.log"), &[]);
    assert!(text.contains("looks like  HAProxy's httplog, which is not read"), "{text}");
    assert!(text.contains("capture request header X-Api-Key len 64"), "{text}");
    assert_eq!(exit, Exit::Unknown);
}

#[test]
fn refusals_that_are_no_http_status_are_said_to_count_as_accepted() {
    for name in ["gcp.json", "entra.json", "vault.json", "okta.json"] {
        let (_, text) = explained_file(&fixture(name), &[]);
        assert!(text.contains("its refusals are no HTTP statuses"), "{name}: {text}");
        assert!(!block(&text).contains("status ="), "{name}: {text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (exit, text) = explained_file(Path::new("/nonexistent/access.log"), &[]);
    assert!(text.contains("/nonexistent/access.log\n  cannot be read"), "{text}");
    assert_eq!(exit, Exit::Unknown);
}

#[test]
fn a_log_that_is_stamped_at_the_start_of_requests_gets_their_lateness() {
    let line = |rest: &str| {
        format!(
            "172.17.0.1 - - [08/Dec/2021:09:16:05 +0000] \"GET /?api_key=mk-late HTTP/1.1\" 200 4 \
             \"-\" \"curl\"{rest}\n"
        )
    };
    let traefik: String =
        (1..30).map(|n| line(&format!(" {n} \"a@docker\" \"http://b\" 3ms"))).collect();
    let (_, text) = explained(&traefik, &["--credential", "query:api_key"]);
    assert_eq!(source(&text)["allowed_lateness"].as_str(), Some("330s"), "{text}");
    let (_, text) = explained(&line("").repeat(30), &["--credential", "query:api_key"]);
    assert!(source(&text).get("allowed_lateness").is_none(), "{text}");
    assert!(text.contains("if Apache wrote this log"), "{text}");
}

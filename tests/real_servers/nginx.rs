//! nginx, its escapes and its variables.

use std::path::Path;

use keydrain::engine::parse::{COMBINED, FormatSpec, JsonSpec};

use crate::check::{Format, check_all, holds, lines, never};
use crate::requests::{Request, requests};
use crate::support::nginx::Nginx;
use crate::support::raw::send;
use crate::truth::{Escape, Truth, unescaped};

/// Variables that have a log of their own.
const VARIABLES: [&str; 14] = [
    "http_x_api_key",
    "http_x_client",
    "http_authorization",
    "http_referer",
    "http_user_agent",
    "arg_api_key",
    "remote_user",
    "remote_addr",
    "request",
    "request_uri",
    "request_method",
    "args",
    "status",
    "msec",
];

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;
const HEADER: &[&str] = &["field:http_x_api_key"];

/// Formats with their text as nginx is told: how they are escaped stands in front.
fn formats() -> Vec<(Format, String)> {
    let row = |name, escape, text: &str, places, consumers, time, is_ambiguous| {
        let prefix = match escape {
            Escape::Json => "escape=json ",
            Escape::None => "escape=none ",
            _ => "",
        };
        let spec = FormatSpec::Nginx(format!("{prefix}{text}"));
        let format = Format {
            name,
            spec,
            escape,
            places,
            consumers,
            time,
            decodes_path: false,
            is_ambiguous,
        };
        (format, format!("{prefix}'{text}'"))
    };
    let (default, json, none) = (Escape::Default, Escape::Json, Escape::None);
    let seconds = ("msec", SECOND);
    let millis = ("msec", MILLISECOND);
    let shaped = r#"{"t":"$time_iso8601","s":$status,"client":"$http_x_client","k":"$http_x_api_key","auth":"$http_authorization","r":"$request","ua":"$http_user_agent"}"#;
    let all: &[&str] = &["query:api_key", "field:http_x_api_key", "field:http_authorization"];
    let mut rows = vec![
        row(
            "directive",
            default,
            COMBINED,
            &["query:api_key"],
            &["remote_user", "remote_addr"],
            seconds,
            never,
        ),
        row(
            "bare_key",
            default,
            "$msec $status $remote_addr $http_x_api_key",
            HEADER,
            &["remote_addr"],
            millis,
            never,
        ),
        row(
            "quoted",
            default,
            "$time_iso8601 \"$request\" $status \"$http_x_client\" \"$http_x_api_key\" \"$http_authorization\" \"$http_referer\"",
            all,
            &["http_x_client", "http_referer"],
            seconds,
            never,
        ),
        row("json", json, shaped, all, &["http_x_client"], seconds, never),
        row(
            "json_plain",
            json,
            "$remote_addr - $remote_user [$time_local] \"$request\" $status \"$http_x_api_key\" $http_x_client",
            HEADER,
            &["http_x_client", "remote_user"],
            seconds,
            never,
        ),
        row(
            "none",
            none,
            "$msec \"$http_x_client\" \"$http_x_api_key\" $status \"$request_uri\"",
            &["query:api_key", "field:http_x_api_key"],
            &["http_x_client"],
            millis,
            |truth| {
                ["http_x_client", "http_x_api_key", "request_uri"]
                    .iter()
                    .any(|name| holds(truth, name, b'"'))
            },
        ),
        row("none_bare", none, "$msec $status $http_x_api_key", HEADER, &[], millis, |truth| {
            holds(truth, "http_x_api_key", b'"')
        }),
        row(
            "two_free",
            default,
            "$msec $http_x_client $http_x_api_key $status",
            HEADER,
            &["http_x_client"],
            millis,
            |truth| holds(truth, "http_x_client", b' ') || holds(truth, "http_x_api_key", b' '),
        ),
        row(
            "around_a_time",
            default,
            "$http_x_client [$time_local] $http_x_api_key $status",
            HEADER,
            &["http_x_client"],
            seconds,
            |truth| holds(truth, "http_x_client", b'[') || holds(truth, "http_x_api_key", b'['),
        ),
        row(
            "argument",
            default,
            "$msec $arg_api_key $status",
            &["field:arg_api_key"],
            &[],
            millis,
            never,
        ),
        row(
            "upstreams",
            default,
            "$msec $status $upstream_addr $http_x_api_key",
            HEADER,
            &[],
            millis,
            |truth| truth.text("http_x_api_key").starts_with(b":"),
        ),
        row(
            "pipes",
            default,
            "$time_local|$remote_addr|$request_method|$status|$http_x_api_key",
            HEADER,
            &["remote_addr"],
            seconds,
            |truth| holds(truth, "http_x_api_key", b'|') || holds(truth, "request_method", b'|'),
        ),
        row(
            "target",
            default,
            "$msec $status $request_method \"$request_uri\" \"$args\"",
            &["query:api_key"],
            &[],
            millis,
            never,
        ),
    ];
    let unnamed = |name, spec| {
        let (format, _) = row(
            name,
            default,
            COMBINED,
            &["query:api_key"],
            &["remote_user", "remote_addr"],
            seconds,
            never,
        );
        Format { spec, ..format }
    };
    rows.push((unnamed("preset", FormatSpec::Combined), "combined".to_owned()));
    rows
}

/// The log of `json`, read as JSON.
fn as_json() -> Format {
    let spec = JsonSpec {
        time: Some("t".to_owned()),
        status: Some("s".to_owned()),
        ..JsonSpec::default()
    };
    let mut rows = formats();
    let at = rows.iter().position(|(format, _)| format.name == "json").expect("it is there");
    let (json, _) = rows.swap_remove(at);
    // Names in JSON are read with their escapes undone.
    let (escape, places, consumers): (_, &[&str], &[&str]) =
        (Escape::None, &["field:k"], &["client"]);
    Format { spec: FormatSpec::Json(spec), escape, places, consumers, ..json }
}

fn config() -> String {
    let mut text = "client_header_timeout 20s;\nlarge_client_header_buffers 4 32k;\n".to_owned();
    let mut logs = String::new();
    for name in VARIABLES {
        text.push_str(&format!("log_format truth_{name} '${name}';\n"));
        logs.push_str(&format!("access_log truth_{name}.log truth_{name};\n"));
    }
    for (format, directive) in formats() {
        let name = format.name;
        if directive == "combined" {
            logs.push_str(&format!("access_log {name}.log;\n"));
        } else {
            text.push_str(&format!("log_format {name} {directive};\n"));
            logs.push_str(&format!("access_log {name}.log {name};\n"));
        }
    }
    text + &logs
        + "server { listen LISTEN;\n location /denied { return 401; }\n\
           location /forbidden { return 403; }\n location /broken { return 503; }\n\
           location / { return 200 ok; } }\n"
}

fn truths(folder: &Path, requests: usize) -> Vec<Truth> {
    let mut truths = vec![Truth::default(); requests];
    for name in VARIABLES {
        for (truth, line) in
            truths.iter_mut().zip(lines(folder, &format!("truth_{name}"), requests))
        {
            let value = (line != b"-").then(|| unescaped(Escape::Default, &line));
            truth.0.insert(name, value.filter(|value| !value.is_empty()));
        }
    }
    for truth in &mut truths {
        let alias = [("k", "http_x_api_key"), ("client", "http_x_client")];
        for (path, name) in alias {
            let value = truth.0[name].clone();
            truth.0.insert(path, value);
        }
    }
    truths
}

/// Sends the requests and returns what nginx saw of them.
fn sent(folder: &Path, requests: &[Request]) -> Vec<Truth> {
    let nginx = Nginx::start(folder, &config());
    for request in requests {
        send(nginx.port(), &request.bytes);
    }
    drop(nginx);
    truths(folder, requests.len())
}

#[test]
fn what_is_read_of_a_real_nginx_is_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let requests = requests(300);
    let truths = sent(folder.path(), &requests);
    let names: Vec<String> = requests.into_iter().map(|request| request.name).collect();
    let formats: Vec<Format> = formats().into_iter().map(|(format, _)| format).collect();
    check_all(folder.path(), &formats, &truths, &names);
    check_all(folder.path(), &[as_json()], &truths, &names);
    // The truth is of these requests, not of empty ones.
    let shown = truths.iter().filter(|truth| truth.value("http_x_api_key") == Some(b"K1")).count();
    assert!(shown > 50, "{shown}");
}

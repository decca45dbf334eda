//! nginx, its escapes and its variables.

use std::fmt::Write as _;
use std::path::Path;

use keydrain::engine::parse::{COMBINED, FormatSpec, JsonSpec};

use crate::check::{Format, check_all, has_dashed_user, holds, lines, never};
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

/// A format as it stands in nginx's configuration.
struct Row {
    name: &'static str,
    escape: Escape,
    text: &'static str,
    places: &'static [&'static str],
    consumers: &'static [&'static str],
    /// Unit of its time.
    unit: i64,
    is_ambiguous: fn(&Truth) -> bool,
}

/// What most formats have in common.
const PLAIN: Row = Row {
    name: "",
    escape: Escape::Default,
    text: "",
    places: &["field:http_x_api_key"],
    consumers: &[],
    unit: MILLISECOND,
    is_ambiguous: never,
};

const ALL_PLACES: &[&str] = &["query:api_key", "field:http_x_api_key", "field:http_authorization"];

const ROWS: [Row; 13] = [
    Row {
        name: "directive",
        text: COMBINED,
        places: &["query:api_key"],
        consumers: &["remote_user", "remote_addr"],
        unit: SECOND,
        ..PLAIN
    },
    Row {
        name: "bare_key",
        text: "$msec $status $remote_addr $http_x_api_key",
        consumers: &["remote_addr"],
        ..PLAIN
    },
    Row {
        name: "quoted",
        text: "$time_iso8601 \"$request\" $status \"$http_x_client\" \"$http_x_api_key\" \
            \"$http_authorization\" \"$http_referer\"",
        places: ALL_PLACES,
        consumers: &["http_x_client", "http_referer"],
        unit: SECOND,
        ..PLAIN
    },
    Row {
        name: "json",
        escape: Escape::Json,
        text: "{\"t\":\"$time_iso8601\",\"s\":$status,\"client\":\"$http_x_client\",\
            \"k\":\"$http_x_api_key\",\"auth\":\"$http_authorization\",\"r\":\"$request\"}",
        places: ALL_PLACES,
        consumers: &["http_x_client"],
        unit: SECOND,
        ..PLAIN
    },
    Row {
        name: "json_plain",
        escape: Escape::Json,
        text: "$remote_addr - $remote_user [$time_local] \"$request\" $status \
            \"$http_x_api_key\" $http_x_client",
        consumers: &["http_x_client", "remote_user"],
        unit: SECOND,
        ..PLAIN
    },
    Row {
        name: "none",
        escape: Escape::None,
        text: "$msec \"$http_x_client\" \"$http_x_api_key\" $status \"$request_uri\"",
        places: &["query:api_key", "field:http_x_api_key"],
        consumers: &["http_x_client"],
        is_ambiguous: |truth| {
            let free = ["http_x_client", "http_x_api_key", "request_uri"];
            free.iter().any(|name| holds(truth, name, b'"'))
        },
        ..PLAIN
    },
    Row {
        name: "none_bare",
        escape: Escape::None,
        text: "$msec $status $http_x_api_key",
        is_ambiguous: |truth| holds(truth, "http_x_api_key", b'"'),
        ..PLAIN
    },
    Row {
        name: "two_free",
        text: "$msec $http_x_client $http_x_api_key $status",
        consumers: &["http_x_client"],
        is_ambiguous: |truth| {
            holds(truth, "http_x_client", b' ') || holds(truth, "http_x_api_key", b' ')
        },
        ..PLAIN
    },
    Row {
        name: "around_a_time",
        text: "$http_x_client [$time_local] $http_x_api_key $status",
        consumers: &["http_x_client"],
        unit: SECOND,
        is_ambiguous: |truth| {
            holds(truth, "http_x_client", b'[') || holds(truth, "http_x_api_key", b'[')
        },
        ..PLAIN
    },
    Row {
        name: "argument",
        text: "$msec $arg_api_key $status",
        places: &["field:arg_api_key"],
        ..PLAIN
    },
    Row {
        name: "upstreams",
        text: "$msec $status $upstream_addr $http_x_api_key",
        is_ambiguous: |truth| truth.text("http_x_api_key").starts_with(b":"),
        ..PLAIN
    },
    Row {
        name: "pipes",
        text: "$time_local|$remote_addr|$request_method|$status|$http_x_api_key",
        consumers: &["remote_addr"],
        unit: SECOND,
        is_ambiguous: |truth| holds(truth, "http_x_api_key", b'|'),
        ..PLAIN
    },
    Row {
        name: "target",
        text: "$msec $status $request_method \"$request_uri\" \"$args\"",
        places: &["query:api_key"],
        ..PLAIN
    },
];

impl Row {
    /// Returns what stands before the text in a `log_format`.
    fn prefix(&self) -> &'static str {
        match self.escape {
            Escape::Json => "escape=json ",
            Escape::None => "escape=none ",
            _ => "",
        }
    }

    fn format(&self) -> Format {
        Format {
            name: self.name,
            spec: FormatSpec::Nginx(format!("{}{}", self.prefix(), self.text)),
            escape: self.escape,
            places: self.places,
            consumers: self.consumers,
            time: ("msec", self.unit),
            decodes_path: false,
            is_ambiguous: self.is_ambiguous,
        }
    }
}

/// Returns all formats: those of the rows, the preset, and a log of JSON read as JSON.
fn formats() -> Vec<Format> {
    let mut formats: Vec<Format> = ROWS.iter().map(Row::format).collect();
    let named = |name| ROWS.iter().find(|row| row.name == name).expect("it is there").format();
    formats.push(Format {
        spec: FormatSpec::Combined,
        is_ambiguous: has_dashed_user,
        ..named("directive")
    });
    let path = |name: &str| Some(name.to_owned());
    let spec = JsonSpec { time: path("t"), status: path("s"), ..JsonSpec::default() };
    formats.push(Format {
        spec: FormatSpec::Json(spec),
        // Names in JSON are read with their escapes undone.
        escape: Escape::None,
        places: &["field:k"],
        consumers: &["client"],
        ..named("json")
    });
    formats
}

fn config() -> String {
    let mut formats = "client_header_timeout 20s;\nlarge_client_header_buffers 4 32k;\n".to_owned();
    let mut logs = String::new();
    let mut log = |name: &str, prefix: &str, text: &str| {
        writeln!(formats, "log_format {name} {prefix}'{text}';").expect("a string takes all");
        writeln!(logs, "access_log {name}.log {name};").expect("a string takes all");
    };
    for name in VARIABLES {
        log(&format!("truth_{name}"), "", &format!("${name}"));
    }
    for row in &ROWS {
        log(row.name, row.prefix(), row.text);
    }
    formats
        + &logs
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
    check_all(folder.path(), &formats(), &truths, &names);
    // The truth is of these requests, not of empty ones.
    let shown = truths.iter().filter(|truth| truth.value("http_x_api_key") == Some(b"K1")).count();
    assert!(shown > 50, "{shown}");
}

//! Apache, its escapes and its directives.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use keydrain::engine::parse::FormatSpec;

use crate::check::{Format, check_all, has_dashed_user, holds, lines, never};
use crate::requests::{Request, requests};
use crate::support::apache::Apache;
use crate::support::raw::send;
use crate::support::wait::wait_until;
use crate::truth::{Escape, Truth, unescaped};

/// Directives that have a log of their own, and the name of what they write.
const DIRECTIVES: [(&str, &str); 14] = [
    ("http_x_api_key", "%{X-Api-Key}i"),
    ("http_x_client", "%{X-Client}i"),
    ("http_authorization", "%{Authorization}i"),
    ("key_of_some", "%400,401{X-Api-Key}i"),
    ("user_of_most", "%!200u"),
    ("remote_user", "%u"),
    ("remote_addr", "%h"),
    ("request", "%r"),
    ("uri", "%U"),
    ("args", "%q"),
    ("status", "%>s"),
    ("begin", "%{usec}t"),
    ("end", "%{end:usec}t"),
    ("connection", "%X"),
];

const SECOND: i64 = 1_000_000_000;
const MICROSECOND: i64 = 1000;
const HEADER: &[&str] = &["field:http_x_api_key"];
const QUERY: &[&str] = &["query:api_key"];

/// Formats with their text as Apache is told.
fn formats() -> Vec<(Format, &'static str)> {
    let escape = Escape::Apache;
    let row = |name, text: &'static str, places, consumers, time, is_ambiguous| {
        let spec = FormatSpec::Apache(text.to_owned());
        (
            Format {
                name,
                spec,
                escape,
                places,
                consumers,
                time,
                decodes_path: false,
                is_ambiguous,
            },
            text,
        )
    };
    let decoded = |(format, text)| (Format { decodes_path: true, ..format }, text);
    let preset =
        |spec, (format, text)| (Format { spec, is_ambiguous: has_dashed_user, ..format }, text);
    let user: &[&str] = &["remote_user", "remote_addr"];
    let (seconds, micros) = (("begin", SECOND), ("begin", MICROSECOND));
    let common = "%h %l %u %t \"%r\" %>s %b";
    let combined = "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"";
    vec![
        row("common", common, QUERY, user, seconds, never),
        row("combined", combined, QUERY, user, seconds, never),
        preset(FormatSpec::Common, row("common_preset", common, QUERY, user, seconds, never)),
        preset(FormatSpec::Combined, row("combined_preset", combined, QUERY, user, seconds, never)),
        row("vhost", "%v:%p %h %l %u %t \"%r\" %>s %b", QUERY, user, seconds, never),
        row(
            "quoted",
            "%{usec}t %>s \"%{X-Client}i\" \"%{X-Api-Key}i\" \"%{Authorization}i\" \"%r\" \"%u\"",
            &["field:http_x_api_key", "field:http_authorization", "query:api_key"],
            &["http_x_client"],
            micros,
            |truth| truth.value("nameless").is_some(),
        ),
        row(
            "pieces",
            "%{%Y-%m-%dT%H:%M:%S}t.%{usec_frac}t%{%z}t %h:%{remote}p %>s %{X-Api-Key}i",
            HEADER,
            &["remote_addr"],
            micros,
            never,
        ),
        row(
            "manual",
            "[%{%d/%b/%Y %T}t.%{usec_frac}t %{%z}t] %>s %{X-Api-Key}i",
            HEADER,
            &[],
            micros,
            never,
        ),
        row(
            "end",
            "%{end:%Y-%m-%dT%H:%M:%S}t.%{end:usec_frac}t%{end:%z}t \"%{X-Api-Key}i\" %s",
            HEADER,
            &[],
            ("end", MICROSECOND),
            never,
        ),
        decoded(row(
            "target",
            "%t %h %D \"%m %U%q %H\" %>s",
            QUERY,
            &["remote_addr"],
            seconds,
            |truth| {
                // What begins the query cannot be told.
                holds(truth, "uri", b'?') || holds(truth, "args", b'?')
            },
        )),
        row(
            "some",
            "%t %>s \"%400,401{X-Api-Key}i\" %!200u",
            &["field:http_x_api_key"],
            &["remote_user"],
            seconds,
            never,
        ),
        row(
            "two_free",
            "%{msec}t %>s %{X-Client}i %{X-Api-Key}i %<s",
            HEADER,
            &["http_x_client"],
            ("begin", 1000 * MICROSECOND),
            |truth| holds(truth, "http_x_client", b' ') || holds(truth, "http_x_api_key", b' '),
        ),
    ]
}

fn config() -> String {
    let mut text = "DocumentRoot \"files\"\n\
        RedirectMatch 401 ^/denied\nRedirectMatch 403 ^/forbidden\nRedirectMatch 503 ^/broken\n\
        <Location /users>\nAuthType Basic\nAuthName x\nAuthUserFile users\nRequire valid-user\n\
        </Location>\n"
        .to_owned();
    let mut log = |name: &str, format: &str| {
        let format = format.replace('"', "\\\"");
        writeln!(text, "CustomLog {name}.log \"{format}\"").expect("a string takes all");
    };
    for (name, directive) in DIRECTIVES {
        log(&format!("truth_{name}"), directive);
    }
    for (format, directive) in formats() {
        log(format.name, directive);
    }
    // The last log of each request.
    log("done", "x");
    text
}

fn truths(folder: &Path, requests: usize) -> Vec<Truth> {
    let mut truths = vec![Truth::default(); requests];
    for (truth, line) in truths.iter_mut().zip(lines(folder, "truth_remote_user", requests)) {
        let nameless = (line == b"\"\"").then_some(line);
        truth.0.insert("nameless", nameless);
    }
    for (name, _) in DIRECTIVES {
        for (truth, line) in
            truths.iter_mut().zip(lines(folder, &format!("truth_{name}"), requests))
        {
            let is_given = line != b"-" && line != b"\"\"";
            let value = is_given.then(|| unescaped(Escape::Apache, &line));
            truth.0.insert(name, value.filter(|value| !value.is_empty()));
        }
    }
    for truth in &mut truths {
        if let Some(Some(args)) = truth.0.get_mut("args") {
            assert_eq!(args.remove(0), b'?');
        }
    }
    truths
}

/// Sends the requests and returns what Apache saw of them.
fn sent(folder: &Path, requests: &[Request]) -> Vec<Truth> {
    fs::create_dir(folder.join("files")).unwrap();
    fs::write(folder.join("files/index.html"), "ok").unwrap();
    fs::write(folder.join("users"), "").unwrap();
    let modules = ["alias", "dir", "authn_core", "authn_file", "auth_basic", "authz_user"];
    let apache = Apache::start(folder, &modules, &config());
    let done = folder.join("done.log");
    let logged = || fs::metadata(&done).map_or(0, |file| file.len() / 2);
    let before = usize::try_from(logged()).expect("a few");
    assert_eq!(before, 0, "nothing was sent yet");
    for (count, request) in (1u64..).zip(requests) {
        send(apache.port(), &request.bytes);
        wait_until(&request.name, || logged() >= count);
        assert_eq!(logged(), count, "{} has one line", request.name);
    }
    drop(apache);
    truths(folder, requests.len())
}

#[test]
fn what_is_read_of_a_real_apache_is_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let requests = requests(300);
    let truths = sent(folder.path(), &requests);
    let names: Vec<String> = requests.into_iter().map(|request| request.name).collect();
    let all = formats().into_iter().map(|(format, _)| format);
    let (some, formats): (Vec<_>, Vec<_>) = all.partition(|format| format.name == "some");
    check_all(folder.path(), &formats, &truths, &names);
    let mut truths_of_some = truths.clone();
    for truth in &mut truths_of_some {
        for (logged, name) in [("key_of_some", "http_x_api_key"), ("user_of_most", "remote_user")] {
            let value = truth.0[logged].clone();
            truth.0.insert(name, value);
        }
    }
    check_all(folder.path(), &some, &truths_of_some, &names);
    // The truth is of these requests, not of empty ones.
    let shown = truths.iter().filter(|truth| truth.value("http_x_api_key") == Some(b"K1")).count();
    assert!(shown > 50, "{shown}");
}

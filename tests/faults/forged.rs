//! Clients that put a key of somebody else where they can: each format counts the configured place
//! and nothing else.
//!
//! The lines stand as the servers write them: nginx and Apache escape quotes and line ends of what a
//! client sent. Text that breaks out of its field all the same is a reject, and is searched for keys.

use std::fs;

use keydrain::clock;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, SERVER, Site};
use crate::support::wait::wait_for;
use crate::writer::{CREDENTIAL, assert_not_ready, declare};

/// What a line must count for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    /// A use of the old key by `honest`.
    Use,
    /// A well-formed line without a key.
    Keyless,
    /// A well-formed line with a key that nobody watches.
    OtherKey,
    /// Not understood.
    Reject,
}
use Is::{Keyless, OtherKey, Reject, Use};

/// A format with the lines of its log. `OLD` is the old key, `AT` the time in the server's own form.
struct Format {
    name: &'static str,
    source: &'static str,
    lines: &'static [(Is, &'static str)],
}

const FORMATS: [Format; 5] = [COMBINED, NGINX, APACHE, JSON, CLOUDTRAIL];

const COMBINED: Format = Format {
    name: "combined",
    source: "format = \"combined\"\ncredential = \"query:api_key\"\nconsumer = \"field:remote_user\"",
    lines: &[
        (Use, r#"192.0.2.1 - honest [AT] "GET /?api_key=OLD HTTP/1.1" 200 5 "-" "-""#),
        // Referrer, user agent, path, fragment, other parameters, values of parameters.
        (Keyless, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "http://h/?api_key=OLD" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "-" "?api_key=OLD""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /api_key=OLD HTTP/1.1" 200 5 "-" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /a%3Fapi_key=OLD HTTP/1.1" 200 5 "-" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /?a=1#&api_key=OLD HTTP/1.1" 200 5 "-" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /?xapi_key=OLD&api_keyx=OLD HTTP/1.1" 200 5 "-" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /?API_KEY=OLD HTTP/1.1" 200 5 "-" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /?a=?api_key=OLD HTTP/1.1" 200 5 "-" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /?a=%26api_key=OLD HTTP/1.1" 200 5 "-" "-""#),
        (OtherKey, r#"192.0.2.1 - x [AT] "GET /?api_key=k&api_key=OLD HTTP/1.1" 200 5 "-" "-""#),
        (OtherKey, r#"192.0.2.1 - x [AT] "GET /?api_key=OLD%00 HTTP/1.1" 200 5 "-" "-""#),
        (OtherKey, r#"192.0.2.1 - x [AT] "GET /?api_key=OLD%0AOLD HTTP/1.1" 200 5 "-" "-""#),
        // Quotes and line ends, as they are escaped.
        (Keyless, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "-" "\x22 \x22GET /?api_key=OLD""#),
        (
            Keyless,
            r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "\x0A" "192.0.2.1 - x [AT] \x22GET /?api_key=OLD HTTP/1.1\x22 200""#,
        ),
        (
            Keyless,
            r#"192.0.2.1 - ] \x22GET /?api_key=OLD HTTP/1.1\x22 200 5 [AT] "GET / HTTP/1.1" 200 5 "-" "-""#,
        ),
        (Keyless, r#"192.0.2.1 - x [AT] "\x16\x03\x01?api_key=OLD" 400 5 "-" "-""#),
        // A line end that came through cuts the line in two that nobody understands.
        (Reject, r#"192.0.2.1 - x [AT] "GET /?a="#),
        (Reject, r#"?api_key=OLD HTTP/1.1" 200 5 "-" "-""#),
    ],
};

const NGINX: Format = Format {
    name: "nginx",
    source: "format = { nginx = '$msec $remote_addr \"$http_x_client\" $key_name \"$request\" $status \"$http_user_agent\"' }\n\
             credential = \"field:key_name\"\nconsumer = \"field:http_x_client\"",
    lines: &[
        (Use, r#"AT 192.0.2.1 "honest" OLD "GET / HTTP/1.1" 200 "-""#),
        (Keyless, r#"AT 192.0.2.1 "x" - "GET /OLD?key_name=OLD HTTP/1.1" 200 "-""#),
        (Keyless, r#"AT 192.0.2.1 "x" - "GET / HTTP/1.1" 200 "OLD""#),
        (Keyless, r#"AT 192.0.2.1 "OLD" - "GET / HTTP/1.1" 200 "-""#),
        (
            Keyless,
            r#"AT 192.0.2.1 "honest\x22 OLD \x22GET / HTTP/1.1\x22 200" - "GET / HTTP/1.1" 200 "-""#,
        ),
        (
            Keyless,
            r#"AT 192.0.2.1 "x" - "GET / HTTP/1.1" 200 "\x22\x0AAT 192.0.2.1 \x22honest\x22 OLD""#,
        ),
        (OtherKey, r#"AT 192.0.2.1 "x" OLD2 "GET / HTTP/1.1" 200 "-""#),
        (OtherKey, r#"AT 192.0.2.1 "x" \x22OLD\x22 "GET / HTTP/1.1" 200 "-""#),
        (Reject, r#"AT 192.0.2.1 "x" - "GET / HTTP/1.1" 200"#),
        (Reject, r#""honest" OLD "GET / HTTP/1.1" 200 "-""#),
        (Reject, r#"192.0.2.1 "honest" OLD "GET / HTTP/1.1" 200 AT"#),
    ],
};

const APACHE: Format = Format {
    name: "apache",
    source: "format = { apache = '%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" \"%{X-Key-Name}i\"' }\n\
             credential = \"field:http_x_key_name\"\nconsumer = \"field:remote_user\"",
    lines: &[
        (Use, r#"192.0.2.1 - honest [AT] "GET / HTTP/1.1" 200 5 "-" "-" "OLD""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET /OLD HTTP/1.1" 200 5 "-" "-" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "OLD" "OLD" "-""#),
        (Keyless, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "-" "\" \"OLD\"" "-""#),
        (
            Keyless,
            r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "-" "-\n192.0.2.1 - honest [AT] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\" \"OLD\"" "-""#,
        ),
        (Keyless, r#"192.0.2.1 - OLD [AT] "GET / HTTP/1.1" 200 5 "-" "-" "-""#),
        (OtherKey, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "-" "-" "x\" \"OLD""#),
        (OtherKey, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "-" "-" "OLD\n""#),
        (Reject, r#"192.0.2.1 - x [AT] "GET / HTTP/1.1" 200 5 "-" "-"#),
        (Reject, r#""OLD""#),
    ],
};

const JSON: Format = Format {
    name: "json",
    source: "format = { json = { time = \"ts\", status = \"status\" } }\n\
             credential = \"field:req.key\"\nconsumer = \"field:req.client\"",
    lines: &[
        (Use, r#"{"ts":"AT","status":200,"req":{"key":"OLD","client":"honest"}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"key":"OLD","req":{"client":"x"}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"req.key":"OLD","req":{"client":"x"}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"req":{"client":"x","ua":"\",\"key\":\"OLD\""}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"req":{"client":"OLD","headers":{"key":"OLD"}}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"req":{"client":"x","url":"/?req.key=OLD"}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"message":"{\"req\":{\"key\":\"OLD\"}}","req":{}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"req":{"key":["OLD"],"client":"x"}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"req":{"key":null,"client":"OLD"}}"#),
        (Keyless, r#"{"ts":"AT","status":200,"req":{"Key":"OLD","client":"x"}}"#),
        (OtherKey, r#"{"ts":"AT","status":200,"req":{"key":"OLD","key":"k","client":"x"}}"#),
        (OtherKey, r#"{"ts":"AT","status":200,"req":{"key":"OLD\n","client":"x"}}"#),
        (OtherKey, r#"{"ts":"AT","status":200,"req":{"key":"k\",\"key\":\"OLD","client":"x"}}"#),
        (Reject, r#"{"ts":"AT","status":200,"req":{"ua":""#),
        (Reject, r#"","key":"OLD","client":"honest"}}"#),
    ],
};

const CLOUDTRAIL: Format = Format {
    name: "cloudtrail",
    source: "format = \"cloudtrail\"",
    lines: &[
        (
            Use,
            r#"{"eventTime":"AT","eventID":"1","userIdentity":{"accessKeyId":"OLD","arn":"honest"}}"#,
        ),
        (
            Keyless,
            r#"{"eventTime":"AT","eventID":"2","userAgent":"OLD","userIdentity":{"arn":"x"}}"#,
        ),
        (
            Keyless,
            r#"{"eventTime":"AT","eventID":"3","userIdentity":{"arn":"x"},"requestParameters":{"userIdentity":{"accessKeyId":"OLD"},"accessKeyId":"OLD"}}"#,
        ),
        (
            Keyless,
            r#"{"eventTime":"AT","eventID":"4","userIdentity":{"arn":"OLD"},"errorMessage":"\"accessKeyId\":\"OLD\""}"#,
        ),
        (
            Keyless,
            r#"{"eventTime":"AT","eventID":"5","accessKeyId":"OLD","userIdentity":{"arn":"x","sessionContext":{"accessKeyId":"OLD"}}}"#,
        ),
        (
            OtherKey,
            r#"{"eventTime":"AT","eventID":"6","userIdentity":{"accessKeyId":"AKIA1","arn":"x"},"userAgent":"\n{\"eventTime\":\"AT\",\"userIdentity\":{\"accessKeyId\":\"OLD\"}}"}"#,
        ),
        (Reject, r#"{"eventTime":"AT","eventID":"7","userAgent":""#),
        (Reject, r#"","userIdentity":{"accessKeyId":"OLD","arn":"honest"}}"#),
    ],
};

fn config() -> String {
    let of_one = |format: &Format| {
        let Format { name, source, .. } = format;
        format!("[[source]]\nname = \"{name}\"\npaths = [\"logs/{name}.log\"]\n{source}\n")
    };
    let sources: String = FORMATS.iter().map(of_one).collect();
    let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
    format!(
        "{SERVER}{sources}[[credential]]\nname = \"{CREDENTIAL}\"\nsources = {names:?}\n\
         keys = [{{ name = \"2025-q4\", id = \"2025-q4\" }}, {{ name = \"2026-q1\", id = \"2026-q1\" }}]\n"
    )
}

/// Writes the log of a format.
fn write(site: &Site, format: &Format) {
    let now = jiff::Timestamp::from_second(clock::now().as_seconds()).unwrap();
    let at = match format.name {
        "combined" | "apache" => now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        "nginx" => format!("{}.000", now.as_second()),
        _ => now.to_string(),
    };
    let lines =
        format.lines.iter().map(|(_, line)| line.replace("AT", &at).replace("OLD", "2025-q4"));
    let text: String = lines.map(|line| line + "\n").collect();
    fs::write(site.path(&format!("logs/{}.log", format.name)), text).unwrap();
}

/// Returns lines, rejects and other keys of a source, as counted.
fn counts(daemon: &Daemon<'_>, name: &str) -> Option<[u64; 3]> {
    let sources = daemon.get("/v1/sources").json();
    let source = sources["sources"].as_array().unwrap().iter().find(|one| one["name"] == name)?;
    Some(["lines", "rejects", "other_keys"].map(|field| source[field].as_u64().unwrap()))
}

#[test]
fn row_51_a_forged_key_counts_in_no_place_but_the_configured_one_in_any_format() {
    let site = Site::new(&config());
    fs::create_dir(site.path("logs")).unwrap();
    for format in &FORMATS {
        write(&site, format);
    }
    let daemon = site.start();
    declare(&daemon);
    for format in &FORMATS {
        let of = |kind: Is| format.lines.iter().filter(|(is, _)| *is == kind).count() as u64;
        let expected = [format.lines.len() as u64, of(Reject), of(OtherKey)];
        assert_eq!(of(Use), 1, "{}", format.name);
        let found = counts(&daemon, format.name);
        assert_eq!(found, Some(expected), "{}: lines, rejects, other keys", format.name);
    }
    // One use of each format is all that counts, and nobody else is known to present a key.
    let consumers = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let consumers: Vec<(&Value, &Value)> = consumers["consumers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["consumer"], &one["old"]["accepted"]))
        .collect();
    assert_eq!(consumers, [(&json!("honest"), &json!(FORMATS.len()))]);
    let answer = wait_for("what was not understood is told", || {
        let answer = daemon.readiness(CREDENTIAL);
        assert_not_ready(&answer, "hostile lines");
        let blockers = answer["blockers"].as_array().unwrap();
        blockers.iter().any(|one| one["code"] == "rejects").then_some(answer)
    });
    let subjects: Vec<&str> = answer["blockers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["code"] == "rejects")
        .map(|one| one["subject"].as_str().unwrap())
        .collect();
    let keys = subjects.iter().filter(|subject| **subject == "2025-q4").count();
    assert_eq!(keys, FORMATS.len(), "the key was found in what nobody understood: {subjects:?}");
    for format in &FORMATS {
        assert!(subjects.contains(&format.name), "{subjects:?}");
    }
}

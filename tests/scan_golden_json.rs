//! Whole JSON logs, honest and hostile lines together: exactly what counts in each.
//!
//! The fixtures are invented. Whatever says `forged` is text that a client chose, and no key.

use keydrain::engine::parse::{
    FormatSpec, JsonSpec, Layout, LineParser, Place, RejectReason, Scratch,
};
use keydrain::engine::scan::records::{Framer, Record};
use keydrain::engine::scan::tally::{ScanTally, TallyOptions};

/// The paths of a JSON format, and the place of the key.
fn json(time: &str, status: &str, key: &str, consumer: &[&str]) -> Layout {
    let spec = JsonSpec {
        time: Some(time.into()),
        status: Some(status.into()),
        credential: vec![Place::Field(key.into())],
        consumer: consumer.iter().map(|&path| path.to_owned()).collect(),
    };
    Layout::new(FormatSpec::Json(spec), Vec::new(), Vec::new())
}

/// Counts a fixture and compares what is said: the totals, and each cell as
/// `window key consumer accepted/denied/failed`.
fn check(layout: &Layout, fixture: &str, expected: &str) {
    let path = format!("{}/fixtures/scan/json/{fixture}", env!("CARGO_MANIFEST_DIR"));
    let log = std::fs::read(path).expect("a fixture");
    let parser = LineParser::compile(layout).expect("a good layout");
    let mut scratch = Scratch::default();
    let mut tally = ScanTally::new(TallyOptions::default());
    let mut take = |record: Record<'_>| match record {
        Record::Whole(record) => match parser.parse(record, &mut scratch) {
            Ok(event) => tally.event(&event),
            Err(reason) => tally.reject(reason),
        },
        Record::TooLong | Record::Cut(_) => tally.reject(RejectReason::TooLong),
    };
    let mut framer = Framer::new(parser.framing());
    framer.feed(&log, &mut take);
    framer.finish(&mut take);
    let said = said(&tally);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(said, expected, "{fixture}\n{}", said.join("\n"));
    assert!(!said.concat().contains("forged"));
}

fn said(tally: &ScanTally) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let totals = tally.totals();
    let rejects = RejectReason::ALL.iter().zip(totals.rejects).filter(|(_, count)| *count > 0);
    let rejects = rejects.map(|(reason, count)| format!(", {count} {}", reason.as_str()));
    let span = totals.span.map_or(String::new(), |(from, to)| format!("; {from} to {to}"));
    let first = format!(
        "{} lines: {} events, {} keyless{}{span}",
        totals.lines,
        totals.events,
        totals.keyless,
        rejects.collect::<String>()
    );
    let mut cells: Vec<_> = tally.cells().collect();
    cells.sort_by_key(|(cell, _)| *cell);
    let cells = cells.into_iter().map(|(cell, counts)| {
        let consumer = cell.consumer.map_or("null".into(), text);
        let window = cell.window.to_string();
        let counts = format!("{}/{}/{}", counts.accepted, counts.denied, counts.failed);
        format!("{} {} {consumer} {counts}", &window[11..16], text(cell.key))
    });
    std::iter::once(first).chain(cells).collect()
}

#[test]
fn caddy() {
    let place = "request.headers.X-Api-Key.0";
    check(
        &json("ts", "status", place, &["user_id", "request.remote_ip"]),
        "caddy.log",
        "12 lines: 5 events, 5 keyless, 1 time, 1 json; \
           2024-05-01T10:00:00.7564995Z to 2024-05-01T10:01:00.000001Z
         10:00 cad-new 192.0.2.2 1/0/1
         10:00 cad-old 192.0.2.1 1/0/0
         10:00 cad-old alice 0/1/0
         10:01 cad-new 192.0.2.4 1/0/0",
    );
}

#[test]
fn caddy_hides_an_authorization_header_and_then_there_is_no_key() {
    let place = "request.headers.Authorization.0";
    check(
        &json("ts", "status", place, &[]),
        "caddy.log",
        "12 lines: 0 events, 10 keyless, 1 time, 1 json",
    );
}

#[test]
fn traefik() {
    check(
        &json(
            "StartUTC",
            "DownstreamStatus",
            "request_X-Api-Key",
            &["ClientUsername", "ClientHost"],
        ),
        "traefik.log",
        "8 lines: 4 events, 2 keyless, 1 time, 1 status; \
           2024-05-01T10:00:00.123456789Z to 2024-05-01T10:01:00Z
         10:00 tra-new 192.0.2.1 1/0/0
         10:00 tra-old 192.0.2.1 1/0/0
         10:00 tra-old bob 0/1/0
         10:01 tra-new 192.0.2.2 0/0/1",
    );
}

#[test]
fn envoy() {
    check(
        &json("start_time", "response_code", "x-api-key", &["peer"]),
        "envoy.log",
        "9 lines: 4 events, 1 keyless, 1 time, 1 status, 2 json; \
           2024-05-01T10:00:00.479Z to 2024-05-01T10:00:07Z
         10:00 env-new null 1/0/1
         10:00 env-old CN=billing 0/1/0
         10:00 env-old CN=checkout 1/0/0",
    );
}

#[test]
fn kong() {
    check(
        &json(
            "started_at",
            "response.status",
            "authenticated_entity.id",
            &["consumer.username", "client_ip"],
        ),
        "kong.log",
        "7 lines: 3 events, 3 keyless, 1 json; \
           2024-05-01T10:00:00.342Z to 2024-05-01T10:00:03.342Z
         10:00 c62c1455-0000-4000-8000-000000000001 checkout 1/0/0
         10:00 c62c1455-0000-4000-8000-000000000002 192.0.2.2 1/0/0
         10:00 c62c1455-0000-4000-8000-000000000002 billing 0/0/1",
    );
}

#[test]
fn kubernetes_audit() {
    check(
        &json(
            "requestReceivedTimestamp",
            "responseStatus.code",
            "user.extra.\"authentication.kubernetes.io/credential-id\".0",
            &["user.username", "sourceIPs.0"],
        ),
        "kubernetes_audit.log",
        // Each stage of a request is a line of its own.
        "7 lines: 4 events, 3 keyless; 2024-05-01T10:00:00.123456Z to 2024-05-01T10:01:00Z
         10:00 JTI=581d10f3 system:serviceaccount:shop:checkout 2/0/0
         10:00 X509SHA256=ab01 admin 0/1/0
         10:01 X509SHA256=ab01 admin 0/0/1",
    );
}

#[test]
fn api_gateway() {
    check(
        &json("requestTimeEpoch", "status", "apiKeyId", &["ip"]),
        "api_gateway.log",
        "9 lines: 5 events, 2 keyless, 1 time, 1 json; \
           2024-05-01T10:00:00.565Z to 2024-05-01T10:00:06.565Z
         10:00 gwnew00001 null 1/0/0
         10:00 gwnew00001 192.0.2.2 1/0/0
         10:00 gwold00001 192.0.2.1 1/0/0
         10:00 gwold00001 192.0.2.2 0/1/1",
    );
}

#[test]
fn api_gateway_with_lines_of_two_shapes() {
    let mut layout = json("requestTimeEpoch", "status", "apiKeyId", &["ip"]);
    layout.formats.extend(json("requestTime", "status", "apiKeyId", &["ip"]).formats);
    check(
        &layout,
        "api_gateway.log",
        "9 lines: 6 events, 2 keyless, 1 json; \
           2024-05-01T10:00:00.565Z to 2024-05-01T10:00:06.565Z
         10:00 gwnew00001 null 1/0/0
         10:00 gwnew00001 192.0.2.2 1/0/0
         10:00 gwold00001 192.0.2.1 1/0/0
         10:00 gwold00001 192.0.2.2 1/1/1",
    );
}

#[test]
fn nginx_with_json_escapes() {
    let format = r#"log_format api escape=json '{"t":"$msec","status":"$status",'
        '"key":"$http_x_api_key","user":"$remote_user","addr":"$remote_addr",'
        '"request":"$request","agent":"$http_user_agent"}';"#;
    let layout = Layout::new(
        FormatSpec::Nginx(format.into()),
        vec![Place::Field("http_x_api_key".into())],
        vec!["remote_user".into(), "remote_addr".into()],
    );
    let expected = "9 lines: 4 events, 2 keyless, 2 form, 1 time; \
           2024-05-01T10:00:00.25Z to 2024-05-01T10:01:00Z
         10:00 ngx\"new\\ 192.0.2.2 0/0/1
         10:00 ngx-old 192.0.2.1 1/0/0
         10:00 ngx-old bob 0/1/0
         10:01 ngx-old 192.0.2.3 1/0/0";
    check(&layout, "nginx_json.log", expected);
}

#[test]
fn nginx_with_json_escapes_read_as_json() {
    // Another shape of line is JSON, too; two objects on one line are not.
    let expected = "9 lines: 5 events, 2 keyless, 1 time, 1 json; \
           2024-05-01T10:00:00.25Z to 2024-05-01T10:01:00Z
         10:00 ngx\"new\\ 192.0.2.2 0/0/1
         10:00 ngx-old 192.0.2.1 1/0/0
         10:00 ngx-old 192.0.2.2 1/0/0
         10:00 ngx-old bob 0/1/0
         10:01 ngx-old 192.0.2.3 1/0/0";
    check(&json("t", "status", "key", &["user", "addr"]), "nginx_json.log", expected);
}

#[test]
fn google_cloud_audit() {
    let info = "protoPayload.authenticationInfo";
    let layout = json(
        "timestamp",
        "protoPayload.status.code",
        &format!("{info}.serviceAccountKeyName"),
        &[&format!("{info}.principalEmail"), "protoPayload.requestMetadata.callerIp"],
    );
    let account = "checkout@shop.iam.gserviceaccount.com";
    let key = format!("//iam.googleapis.com/projects/shop/serviceAccounts/{account}/keys/0a1");
    check(
        &layout,
        "gcp_audit.log",
        // Codes of gRPC are no HTTP status: 7 counts as any other integer.
        &format!(
            "7 lines: 3 events, 3 keyless, 1 time; \
               2024-05-01T10:00:00.123456789Z to 2024-05-01T10:00:06Z
             10:00 //iam.googleapis.com/projects/shop/keys/0b2 192.0.2.9 1/0/0
             10:00 {key} {account} 2/0/0"
        ),
    );
}

#[test]
fn cloudwatch_around_api_gateway() {
    check(
        &json("requestTimeEpoch", "status", "apiKeyId", &["ip"]),
        "cloudwatch.log",
        "8 lines: 3 events, 1 keyless, 4 time; \
           2024-05-01T10:00:00.565Z to 2024-05-01T10:00:07.565Z
         10:00 gwnew00001 192.0.2.1 0/1/0
         10:00 gwold00001 192.0.2.1 1/0/0
         10:00 gwold00001 192.0.2.2 1/0/0",
    );
}

#[test]
fn times_in_every_form() {
    check(
        &json("at", "code", "key", &[]),
        "clocks.log",
        "13 lines: 9 events, 0 keyless, 1 form, 3 time; \
           2024-05-01T10:00:00Z to 2024-05-01T10:00:00.999Z
         10:00 1 null 1/0/0
         10:00 k1 null 8/0/0",
    );
}

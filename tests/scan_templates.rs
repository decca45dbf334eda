//! A law of text formats: whatever format is logged and whatever a client sends, a line says what
//! the server wrote into each of its fields, or it is a reject.

use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place, Scratch};
use proptest::prelude::*;
use proptest::sample::select;

/// How a server escapes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    Nginx,
    NginxJson,
    NginxNone,
    Apache,
}

const SERVERS: [Server; 4] = [Server::Nginx, Server::NginxJson, Server::NginxNone, Server::Apache];

/// Variables with what Apache calls them, and what a server writes for them. None: a client says.
const VARIABLES: [(&str, &str, &[&str]); 11] = [
    ("$http_a", "%{A}i", &[]),
    ("$http_b", "%{B}i", &[]),
    ("$http_c", "%{C}i", &[]),
    ("$remote_addr", "%h", &["192.0.2.7", "2001:db8::1", "::1"]),
    ("$status", "%>s", &["200", "-"]),
    ("$remote_port", "%{remote}p", &["4711"]),
    ("$body_bytes_sent", "%B", &["0", "17"]),
    ("$request_method", "%m", &["GET", "A|B"]),
    ("$time_local", "%{%d/%b/%Y:%T %z}t", &["17/May/2015:10:05:03 +0000"]),
    ("$time_iso8601", "%{%FT%T%z}t", &["2015-05-17T10:05:03+00:00"]),
    ("$upstream_addr", "%D", &["-", "u:80", "u:80, v:80", "u:80 : v:80", "u:80, v:80 : w:80"]),
];

/// Literals between variables. Quotes come in pairs or the format is refused.
const LITERALS: [&str; 14] =
    [" ", " ", " ", " - ", " [", "] ", "] [", ":", "|", ", ", " \"", "\" ", "\" \"", "\",\"k\":\""];

/// Pieces of what a client sends.
const PIECES: [&str; 22] = [
    " ",
    " - ",
    " [",
    "] ",
    ":",
    " : ",
    "|",
    ", ",
    ",",
    "-",
    "a",
    "K",
    "\"",
    "\\",
    "\\\"",
    "\t",
    "\u{e9}",
    "200",
    "192.0.2.7",
    "u:80",
    "17/May/2015:10:05:03 +0000",
    "2015-05-17T10:05:03+00:00",
];

fn escaped(server: Server, text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if server == Server::NginxNone {
        return text.into();
    }
    for byte in text.bytes() {
        match (server, byte) {
            (Server::Apache | Server::NginxJson, b'"' | b'\\') => out.extend([b'\\', byte]),
            (Server::Apache | Server::NginxJson, b'\t') => out.extend(b"\\t"),
            (Server::Nginx, b'"' | b'\\' | ..0x20 | 0x7f..) => {
                out.extend(format!("\\x{byte:02X}").bytes());
            }
            (Server::Apache, 0x7f..) => out.extend(format!("\\x{byte:02x}").bytes()),
            _ => out.push(byte),
        }
    }
    out
}

/// A field: its variable, the literal after it, and what the server is to write.
fn field() -> impl Strategy<Value = (usize, &'static str, String)> {
    let sent = prop::collection::vec(select(&PIECES[..]), 0..5).prop_map(|pieces| pieces.concat());
    (0..VARIABLES.len(), select(&LITERALS[..]), sent, 0usize..5).prop_map(
        |(variable, literal, sent, choice)| {
            let written = VARIABLES[variable].2;
            let value =
                if written.is_empty() { sent } else { written[choice % written.len()].to_owned() };
            (variable, literal, value)
        },
    )
}

/// Puts the format and one line of it together; returns the values as they stand in the line, too.
fn logged(
    server: Server,
    fields: &[(usize, &'static str, String)],
) -> (FormatSpec, Vec<u8>, Vec<Vec<u8>>) {
    let (mut format, mut line, mut values) = (String::new(), Vec::new(), Vec::new());
    // Every format has a time, and begins with what no client says.
    let (nginx, apache, at) = ("$msec ", "%{sec}t ", "1431857103 ");
    format.push_str(if server == Server::Apache { apache } else { nginx });
    line.extend(at.bytes());
    values.push(b"1431857103".to_vec());
    for (index, (variable, literal, value)) in fields.iter().enumerate() {
        let (nginx, apache, written) = VARIABLES[*variable];
        let is_apache = server == Server::Apache;
        format.push_str(if is_apache { apache } else { nginx });
        let mut value = match value.as_str() {
            // What Apache has no list for, it has a number for.
            _ if is_apache && nginx == "$upstream_addr" => b"17".to_vec(),
            text if is_apache && nginx == "$time_iso8601" => text.replace("+00:00", "+0000").into(),
            text if written.is_empty() => escaped(server, text),
            text => text.into(),
        };
        if value.is_empty() && matches!(server, Server::Nginx) {
            value = b"-".to_vec();
        }
        line.extend_from_slice(&value);
        values.push(value);
        if index + 1 < fields.len() {
            format.push_str(literal);
            line.extend(literal.bytes());
        }
    }
    // A quote that is open is closed.
    if format.matches('"').count() % 2 == 1 {
        format.push('"');
        line.push(b'"');
    }
    let prefix = match server {
        Server::NginxJson => "escape=json ",
        Server::NginxNone => "escape=none ",
        _ => "",
    };
    let spec = match server {
        Server::Apache => FormatSpec::Apache(format),
        _ => FormatSpec::Nginx(format!("{prefix}{format}")),
    };
    (spec, line, values)
}

/// A parser to which every variable matters: what is not used may be told apart in any way.
fn using_all_fields(spec: FormatSpec) -> LineParser {
    let bare = LineParser::without_key(&Layout::new(spec.clone(), Vec::new(), Vec::new()));
    let bare = bare.unwrap_or_else(|error| panic!("{spec:?}: {error}"));
    let names: Vec<String> = bare.field_names().map(str::to_owned).collect();
    let place = Place::Field(names[0].clone());
    LineParser::compile(&Layout::new(spec, vec![place], names)).expect("fields that it has")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_line_says_what_was_written_or_is_a_reject(
        server in select(&SERVERS[..]), fields in prop::collection::vec(field(), 1..7),
    ) {
        let (spec, line, values) = logged(server, &fields);
        let parser = using_all_fields(spec.clone());
        if parser.parse(&line, &mut Scratch::default()).is_ok() {
            let read = parser.fields(&line).expect("it was read");
            let mut used = std::collections::HashSet::new();
            for ((name, value), written) in read.into_iter().zip(values) {
                // Of variables with one name the first is the one that is used.
                if used.insert(name) {
                    prop_assert_eq!(value, written, "{:?}: {}", &spec, line.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn no_line_makes_a_format_fail(
        server in select(&SERVERS[..]), fields in prop::collection::vec(field(), 1..7),
        pieces in prop::collection::vec(select(&PIECES[..]), 0..3), cuts in any::<[prop::sample::Index; 2]>(),
    ) {
        let (spec, line, _) = logged(server, &fields);
        let parser = LineParser::without_key(&Layout::new(spec, Vec::new(), Vec::new())).expect("valid");
        let [from, to] = cuts.map(|cut| cut.index(line.len() + 1));
        let mangled = [&line[..from], pieces.concat().as_bytes(), &line[to..]].concat();
        let _ = parser.parse(&mangled, &mut Scratch::default());
    }

    /// Strictness that understands no line is a defect, too.
    #[test]
    fn one_free_value_between_known_ones_may_hold_anything(
        server in select(&[Server::Nginx, Server::NginxJson, Server::Apache][..]),
        before in prop::collection::vec(3usize..8, 0..3), after in prop::collection::vec(3usize..8, 0..3),
        sent in prop::collection::vec(select(&PIECES[..]), 0..8), quoted in any::<bool>(),
    ) {
        let known = |index: &usize| (*index, " ", VARIABLES[*index].2[0].to_owned());
        let mut fields: Vec<_> = before.iter().map(known).collect();
        if quoted && let Some(last) = fields.last_mut() {
            last.1 = " \"";
        }
        let is_open = quoted && !fields.is_empty();
        fields.push((0, if is_open { "\" " } else { " " }, sent.concat()));
        fields.extend(after.iter().map(known));
        let (spec, line, values) = logged(server, &fields);
        let parser = LineParser::without_key(&Layout::new(spec.clone(), Vec::new(), Vec::new()));
        let read = parser.expect("valid").fields(&line);
        let read = read.map(|fields| fields.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
        prop_assert_eq!(read, Ok(values), "{:?}: {}", spec, line.escape_ascii());
    }
}

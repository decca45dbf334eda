//! Format strings of any text, and lines written by the format that reads them.

use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place};

/// Variables of nginx with what they may write.
const NGINX: [(&str, &str); 12] = [
    ("$remote_addr", "192.0.2.1"),
    ("$remote_user", "bob"),
    ("$time_local", "17/May/2015:10:05:03 +0000"),
    ("$time_iso8601", "2015-05-17T10:05:03+00:00"),
    ("$msec", "1431857103.250"),
    ("$request", "GET /a?k=K1 HTTP/1.1"),
    ("$status", "200"),
    ("$body_bytes_sent", "-"),
    ("$http_x_api_key", "K1"),
    ("$http_user_agent", ""),
    ("${upstream_response_time}", "0.001, 0.002 : 0.003"),
    ("$upstream_addr", "10.0.0.1:80"),
];

/// The same of Apache.
const APACHE: [(&str, &str); 10] = [
    ("%h", "192.0.2.1"),
    ("%u", "bob"),
    ("%t", "[17/May/2015:10:05:03 +0000]"),
    ("%{%Y-%m-%dT%H:%M:%S%z}t", "2015-05-17T10:05:03+0000"),
    ("%{msec}t", "1431857103250"),
    ("%r", "GET /a?k=K1 HTTP/1.1"),
    ("%>s", "200"),
    ("%b", "-"),
    ("%{X-Api-Key}i", "K1"),
    ("%D", "17"),
];

/// Literals between them. None stands in a value that has no shape of its own.
const LITERALS: [&str; 10] = ["\" \"", "|", " \"", "\" ", "\t", " | ", "] [", ";", " k=", "\""];

/// The first byte chooses: a format of any text with a log, or a format and a line made of pieces.
pub fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        0 => any_text(FormatSpec::Nginx, rest),
        1 => any_text(FormatSpec::Apache, rest),
        2 => made_of_pieces(FormatSpec::Nginx, &NGINX, rest),
        _ => made_of_pieces(FormatSpec::Apache, &APACHE, rest),
    }
}

/// The first line is the format, the rest a log.
fn any_text(format: fn(String) -> FormatSpec, data: &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let (text, log) = data.split_at(end);
    let format = format(String::from_utf8_lossy(text).into_owned());
    let layout = Layout::new(format, Vec::new(), Vec::new());
    let Ok(parser) = LineParser::without_key(&layout) else { return };
    // Whatever the format logs can be the place of the key.
    let places = parser.field_names().take(2).map(|name| Place::Field(name.to_owned())).collect();
    let layout = Layout { credential: places, ..layout };
    LineParser::compile(&layout).expect("fields of the format");
    super::check(&layout, log);
}

/// Each byte chooses a variable and the literal behind it.
fn made_of_pieces(format: fn(String) -> FormatSpec, variables: &[(&str, &str)], choices: &[u8]) {
    let (mut text, mut line, mut values) = (String::new(), String::new(), Vec::new());
    for &choice in choices.iter().take(12) {
        let (variable, value) = variables[usize::from(choice) % variables.len()];
        let literal = LITERALS[usize::from(choice) / variables.len() % LITERALS.len()];
        text.extend([variable, literal]);
        line.extend([value, literal]);
        values.push(value.trim_matches(['[', ']']));
    }
    // White space around a pasted format is not the format's.
    text.push('.');
    line.push('.');
    let layout = Layout::new(format(text.clone()), Vec::new(), Vec::new());
    let Ok(parser) = LineParser::without_key(&layout) else { return };
    let fields = parser.fields(line.as_bytes()).unwrap_or_else(|_| panic!("{text}: {line}"));
    let read: Vec<&[u8]> = fields.iter().map(|(_, value)| value.as_slice()).collect();
    let written: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    assert_eq!(read, written, "{text}: {line}");
}

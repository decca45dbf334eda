//! One line of a format against the truth.

use std::fs;
use std::path::Path;

use keydrain::engine::parse::{FormatSpec, Layout, LineParser, RejectReason, Scratch};
use keydrain::engine::time::Timestamp;
use keydrain::engine::usage::Outcome;

use crate::truth::{Escape, Truth, percent_decoded, unescaped};

/// A format under test. Its log is `NAME.log`.
pub struct Format {
    /// Also the name of its log.
    pub name: &'static str,
    /// As the program is told.
    pub spec: FormatSpec,
    /// How the server escapes it.
    pub escape: Escape,
    /// Places of the key.
    pub places: &'static [&'static str],
    /// Fields of the consumer.
    pub consumers: &'static [&'static str],
    /// The variable that its time is read from, and the unit it is logged in, in nanoseconds.
    pub time: (&'static str, i64),
    /// Whether it logs the target with a decoded path: a client that writes a key there reads as
    /// one that presents it, where it presents none.
    pub decodes_path: bool,
    /// Tells whether nothing in a line shows where these values end: then it must be a reject.
    pub is_ambiguous: fn(&Truth) -> bool,
}

/// Tells that every line must be understood.
pub fn never(_: &Truth) -> bool {
    false
}

/// Tells whether the user looks like a dash and one more field: the presets take a line with more
/// fields before the time for another format's.
pub fn has_dashed_user(truth: &Truth) -> bool {
    truth.text("remote_user").starts_with(b"- ")
}

/// Tells whether a value holds `byte`.
pub fn holds(truth: &Truth, name: &str, byte: u8) -> bool {
    truth.text(name).contains(&byte)
}

/// Returns the lines of a log, and sees to it that there is one for each of `requests`.
pub fn lines(folder: &Path, name: &str, requests: usize) -> Vec<Vec<u8>> {
    let bytes = fs::read(folder.join(format!("{name}.log"))).unwrap();
    let mut lines: Vec<Vec<u8>> = bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    assert_eq!(lines.pop().as_deref(), Some(&b""[..]), "{name} ends in the middle of a line");
    assert_eq!(lines.len(), requests, "{name} has not one line per request");
    lines
}

impl Format {
    /// Compiles the format as the program does.
    pub fn parser(&self) -> LineParser {
        let places = self.places.iter().map(|place| place.parse().expect("a place")).collect();
        let consumers = self.consumers.iter().map(|&name| name.to_owned()).collect();
        LineParser::compile(&Layout::new(self.spec.clone(), places, consumers))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Says what is wrong with how a line is read; `None` if all is well.
    pub fn wrong(&self, parser: &LineParser, line: &[u8], truth: &Truth) -> Option<String> {
        let mut scratch = Scratch::default();
        let event = match parser.parse(line, &mut scratch) {
            Ok(event) => event,
            Err(RejectReason::Form | RejectReason::Encoding) if (self.is_ambiguous)(truth) => {
                return None;
            }
            Err(reason) => return Some(format!("rejected: {reason:?}")),
        };
        let at = self.time(truth);
        if event.event_at != at {
            return Some(format!("at {}, not {at}", event.event_at));
        }
        let status = std::str::from_utf8(truth.text("status")).expect("digits");
        let outcome = status.parse().map_or(Outcome::Accepted, Outcome::of_status);
        if event.outcome != outcome {
            return Some(format!("{:?}, not {outcome:?}", event.outcome));
        }
        let given = |name: &&&str| !matches!(truth.text(name), b"" | b"-");
        let consumer = self.consumers.iter().find(given).map(|name| truth.text(name).to_vec());
        let read = event.consumer.map(|(raw, _)| unescaped(self.escape, raw));
        if read != consumer {
            return Some(format!(
                "consumer {}, not {}",
                shown(read.as_ref()),
                shown(consumer.as_ref())
            ));
        }
        let keys: Vec<_> = event.keys.iter().map(|key| key.to_vec()).collect();
        let expected: Vec<_> = self.places.iter().filter_map(|place| truth.key(place)).collect();
        // What no server took apart, and a path that was decoded, may show what was asked for.
        let is_refused = status == "400" || (status != "200" && truth.value("args").is_none());
        let is_lenient = is_refused || (self.decodes_path && expected.is_empty());
        if keys == expected || (is_lenient && is_in_request(&keys, &expected, truth)) {
            return None;
        }
        let list = |keys: &[Vec<u8>]| keys.iter().map(|key| text(key)).collect::<Vec<_>>();
        Some(format!("keys {:?}, not {:?}", list(&keys), list(&expected)))
    }

    fn time(&self, truth: &Truth) -> Timestamp {
        let (name, unit) = self.time;
        let text = std::str::from_utf8(truth.text(name)).expect("digits");
        let digits: i64 = text.replace('.', "").parse().expect("digits");
        let nanos = if name == "msec" { digits * 1_000_000 } else { digits * 1000 };
        Timestamp::from_nanos(nanos / unit * unit)
    }
}

/// Tells whether the keys that the server did not see, one at most, are in the request all the same.
fn is_in_request(keys: &[Vec<u8>], expected: &[Vec<u8>], truth: &Truth) -> bool {
    let more: Vec<_> = keys.iter().filter(|key| !expected.contains(key)).collect();
    let request = truth.text("request");
    let name = b"api_key=";
    let asked = |key: &[u8]| {
        (0..request.len()).any(|at| {
            let rest = request[at..].strip_prefix(name);
            rest.is_some_and(|rest| {
                let end = rest.iter().position(|byte| b"&#".contains(byte));
                percent_decoded(&rest[..end.unwrap_or(rest.len())]).starts_with(key)
            })
        })
    };
    more.len() <= 1 && more.iter().all(|key| asked(key))
}

/// Sees to it that the lines of each format say what the truth is.
pub fn check_all(folder: &Path, formats: &[Format], truths: &[Truth], names: &[String]) {
    let mut wrong = Vec::new();
    for format in formats {
        let parser = format.parser();
        let lines = lines(folder, format.name, truths.len());
        let mut understood = 0;
        for ((line, truth), name) in lines.iter().zip(truths).zip(names) {
            understood += usize::from(parser.parse(line, &mut Scratch::default()).is_ok());
            if let Some(fault) = format.wrong(&parser, line, truth) {
                wrong.push(format!("{}: {name}: {fault}\n    {}", format.name, text(line)));
            }
        }
        assert!(understood * 4 > lines.len(), "{} understands {understood} lines", format.name);
    }
    let count = wrong.len();
    wrong.truncate(30);
    assert!(count == 0, "{count} lines are read wrongly:\n{}", wrong.join("\n"));
}

fn text(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(600)].escape_ascii().to_string()
}

fn shown(value: Option<&Vec<u8>>) -> String {
    value.map_or("nobody".to_owned(), |value| text(value))
}

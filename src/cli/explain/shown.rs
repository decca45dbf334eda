//! One record of a log, field by field, and what was read from it.

use std::io::{self, Write};

use super::candidate::Candidate;
use super::finding::Numbered;
use super::mask;
use crate::cli::columns::printable;
use crate::engine::parse::wrap::{self, Wrapper, Wrapping};
use crate::engine::parse::{Place, Scratch};
use crate::engine::usage::Outcome;

/// The wrappers, with the names that a config has for them.
pub const WRAPPERS: [(&str, Wrapper); 4] = [
    ("docker", Wrapper::Docker),
    ("cri", Wrapper::Cri),
    ("syslog", Wrapper::Syslog),
    ("journald", Wrapper::Journald),
];

/// Widest name of a field that values are aligned behind.
const WIDEST: usize = 56;

/// Returns the names of the wrappers that are taken off a record, the outermost first.
pub fn wrappers(candidate: &Candidate, record: &[u8]) -> Vec<&'static str> {
    let inner = candidate.parser.unwrapped(record);
    let within = |wrappers: &[Wrapper]| {
        let declared = Wrapping::Declared(wrappers.to_vec());
        let mut buffers = wrap::Buffers::default();
        wrap::unwrap(&declared, record, &mut buffers).map(|(within, _)| within.to_vec())
    };
    let (mut names, mut taken) = (Vec::new(), Vec::new());
    while taken.len() < wrap::MAX_WRAPPERS && within(&taken).is_some_and(|within| within != inner) {
        let next = WRAPPERS
            .into_iter()
            .find(|&(_, wrapper)| within(&[taken.as_slice(), &[wrapper]].concat()).is_some());
        let Some((name, wrapper)) = next else { break };
        names.push(name);
        taken.push(wrapper);
    }
    names
}

/// Writes every field of an understood record, then what it says.
pub fn write(out: &mut impl Write, candidate: &Candidate, sample: &Numbered) -> io::Result<()> {
    let (number, record) = sample;
    let mut scratch = Scratch::default();
    let Ok(fields) = candidate.parser.fields(record) else { return Ok(()) };
    let Ok(event) = candidate.parser.parse(record, &mut scratch) else { return Ok(()) };
    let places = candidate.places();
    let declared = |name: &str| {
        places.iter().any(|place| matches!(place, Place::Field(field) if field == name))
    };
    let is_text = candidate.json().is_none() && !fields.iter().any(|(name, _)| name.contains('.'));
    let shown = fields.iter().map(|(name, value)| {
        let is_given = !matches!(value.as_slice(), b"" | b"-" | b"null");
        let text = if declared(name) && !is_name_of_key(name) && is_given {
            mask::hidden(value)
        } else if is_text {
            mask::field(name, value)
        } else {
            mask::json_field(name, value)
        };
        (mask::name(name), text)
    });
    let mut rows: Vec<(String, String)> = shown.collect();
    rows.push(("= time".to_owned(), event.event_at.to_string()));
    rows.push(("= outcome".to_owned(), outcome(event.outcome).to_owned()));
    rows.push(("= consumer".to_owned(), consumer(&event.keys, event.consumer)));
    for place in &places {
        rows.push(("= key".to_owned(), key(candidate, place, record)));
    }
    writeln!(out, "\nrecord {number}")?;
    let widths = rows.iter().map(|(name, _)| name.chars().count());
    let wide = widths.filter(|&width| width <= WIDEST).max().unwrap_or_default();
    for (name, text) in rows {
        let line = format!("  {name:wide$}  {text}");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Tells whether a field holds the name of a key: it is shown wherever it is a place of the key.
fn is_name_of_key(field: &str) -> bool {
    let name = super::members::letters(super::members::last_name(field));
    name.ends_with("keyname")
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Unauthenticated | Outcome::Forbidden => "denied",
        Outcome::Failed => "failed",
    }
}

fn consumer(keys: &[&[u8]], consumer: Option<(&[u8], bool)>) -> String {
    match consumer {
        None => "none: counted as anonymous".to_owned(),
        Some((name, _)) if keys.contains(&name) => "the key itself".to_owned(),
        Some((name, true)) => format!("{} (named)", mask::field("", name)),
        Some((name, false)) => {
            format!("{} (an address: counted as anonymous)", mask::field("", name))
        }
    }
}

/// Says what one place of the key shows in a record.
fn key(candidate: &Candidate, place: &Place, record: &[u8]) -> String {
    let mut scratch = Scratch::default();
    let single = candidate.with_place(place.clone());
    let place = place.to_string();
    let place = printable(&place);
    let event = single.as_ref().and_then(|single| single.parser.parse(record, &mut scratch).ok());
    match event.and_then(|event| event.keys.first().map(|key| key.len())) {
        Some(len) => format!("one of {} at {place}", mask::bytes(len)),
        None => format!("none at {place}"),
    }
}

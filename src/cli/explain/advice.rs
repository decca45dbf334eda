//! What to declare for a log that was explained: the `[[source]]` block, or the change of the
//! server's config that makes its log show a key.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::path::Path;

use super::block::Block;
use super::candidate::Candidate;
use super::finding::Finding;
use super::mask;
use super::members::key_rank;
use super::sample::Sample;
use super::servers::{Change, Server, apache_lines};
use crate::cli::columns::printable;
use crate::cli::input::is_stdin;
use crate::engine::parse::{FormatSpec, Place};

/// Places that are tried on the sample.
const MAX_TRIED: usize = 6;

/// Query parameters that are listed.
const MAX_LISTED: usize = 10;

/// Returns the candidate with the key at the first likely place where the sample shows one; at
/// the first likely place of the format if none does; `None` when nothing looks like a place.
pub fn with_likely_place(
    candidate: &Candidate,
    finding: &Finding,
    sample: &Sample,
) -> Option<(Candidate, Finding)> {
    let mut fields: Vec<(usize, &str)> = Vec::new();
    if candidate.json().is_none() {
        let logged = candidate.parser.field_names().filter(|name| !name.starts_with("sent_"));
        fields.extend(logged.filter_map(|name| Some((key_rank(name)?, name))));
        fields.sort_unstable();
    }
    let proposed = candidate.proposals.iter().map(String::as_str);
    let proposed = proposed.chain(fields.iter().map(|&(_, name)| name));
    let proposed = proposed.map(|field| Place::Field(field.to_owned())).take(MAX_TRIED);
    let parameters = parameters(finding).into_iter();
    let mut parameters: Vec<(usize, &str)> = parameters
        .filter_map(|(name, _)| std::str::from_utf8(name).ok())
        .filter_map(|name| Some((parameter_rank(name)?, name)))
        .collect();
    parameters.sort_by_key(|&(rank, _)| rank);
    let parameters = parameters.iter().map(|&(_, name)| Place::Query(name.to_owned()));
    let mut first = None;
    for place in proposed.chain(parameters.take(MAX_TRIED)) {
        let Some(candidate) = candidate.with_place(place) else { continue };
        let finding = Finding::of(&candidate, sample);
        if finding.with_key > 0 {
            return Some((candidate, finding));
        }
        first = first.or(Some((candidate, finding)));
    }
    // A text format names what it logs, whether the sample holds one or not.
    first.filter(|_| !fields.is_empty())
}

/// Returns how well the name of a query parameter says that it holds a key, 0 best.
fn parameter_rank(name: &str) -> Option<usize> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    name.bytes().all(is_plain).then(|| key_rank(name)).flatten()
}

/// Lists the query parameters, those of most records first.
fn parameters(finding: &Finding) -> Vec<(&[u8], u64)> {
    let counts = finding.parameters.iter();
    let mut parameters: Vec<(&[u8], u64)> =
        counts.map(|(name, count)| (name.as_slice(), *count)).collect();
    parameters.sort_by_key(|&(_, count)| Reverse(count));
    parameters
}

/// Returns the query parameters in words, if there are any.
pub fn listed_parameters(finding: &Finding) -> Option<String> {
    let parameters = parameters(finding);
    let shown: Vec<String> = parameters
        .iter()
        .take(MAX_LISTED)
        .map(|(name, count)| format!("{} ({count})", mask::field("", name)))
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// Writes the advice for the candidate that fits best. `is_declared`: its places were given.
pub fn write(
    out: &mut impl Write,
    path: &Path,
    candidate: &Candidate,
    finding: &Finding,
    is_declared: bool,
) -> io::Result<()> {
    for remark in candidate.remarks.iter().copied().chain(candidate.server.remark()) {
        writeln!(out, "note: {remark}")?;
    }
    if candidate.server == Server::Nginx && candidate.layout.formats == [FormatSpec::Combined] {
        writeln!(
            out,
            "note: if Apache wrote this log, its times are those of a request's start: declare \
             `allowed_lateness = \"330s\"`, or its LogFormat"
        )?;
    }
    if candidate.server == Server::Unknown
        && candidate.json().is_some_and(|spec| spec.status.is_none())
    {
        writeln!(out, "note: no member looks like a status: each request counts as accepted")?;
    }
    let places = candidate.places();
    let shown: Vec<String> = places.iter().map(Place::to_string).collect();
    let shown = shown.join(", ");
    let shown = printable(&shown);
    if candidate.server == Server::CloudTrail {
        return cloudtrail(out, path, finding);
    }
    if finding.with_key == 0 && (places.is_empty() || candidate.json().is_some() || is_declared) {
        return server_change(out, path, candidate, &shown);
    }
    if finding.with_key == 0 {
        writeln!(out, "no record of the sample shows a key at {shown}, though the format logs it")?;
    } else if !is_declared && !candidate.is_known_place() {
        writeln!(out, "`{shown}` looks like the place of the key; check that it is")?;
    }
    Block::of(candidate, places).write(out, path)
}

/// The daemon does not follow the files of `CloudTrail`'s bucket: they are new ones every few minutes.
fn cloudtrail(out: &mut impl Write, path: &Path, finding: &Finding) -> io::Result<()> {
    if finding.with_key == 0 {
        writeln!(out, "these records name no access key: the calls were made without one")?;
    }
    let file =
        if is_stdin(path) { "FILE…".to_owned() } else { quoted(&path.display().to_string()) };
    writeln!(
        out,
        "the daemon follows a log with one record a line (`format = \"cloudtrail\"`), not the files of \
         CloudTrail's bucket; count those with"
    )?;
    writeln!(out, "\nkeydrain scan --format cloudtrail {file}")
}

/// Quotes a word of a shell command where it needs it.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-+,:@%".contains(char);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Says that the log cannot show a key, and which change of the server makes it show one.
fn server_change(
    out: &mut impl Write,
    path: &Path,
    candidate: &Candidate,
    looked_at: &str,
) -> io::Result<()> {
    let change = Change::of(candidate);
    let at = if looked_at.is_empty() { String::new() } else { format!(" at {looked_at}") };
    writeln!(out, "these lines show no key{at}, so nothing can be proved from them: no line with")?;
    writeln!(out, "the old key would mean nothing")?;
    writeln!(out, "{}{}", change.why, if change.lines.is_empty() { "" } else { ":" })?;
    if !change.lines.is_empty() {
        writeln!(out)?;
    }
    for line in &change.lines {
        writeln!(out, "{line}")?;
    }
    let is_shared = matches!(candidate.layout.formats.as_slice(), [FormatSpec::Combined]);
    if is_shared && candidate.server == Server::Nginx {
        let format = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;
        writeln!(
            out,
            "\nor, if it is Apache, with `format = {{ apache = … }}` and `field:env_key_name`:\n"
        )?;
        for line in apache_lines(format) {
            writeln!(out, "{line}")?;
        }
    }
    let Some(place) = change.place else { return Ok(()) };
    let mut block = Block::of(candidate, vec![place]);
    if let Some(format) = change.format {
        block.formats = vec![format];
    }
    if let Some(consumers) = change.consumer {
        block.consumers = consumers;
    }
    block.write(out, path)
}

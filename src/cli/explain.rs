//! `keydrain explain`: names a log's format, shows how its lines are read, and what to declare.
//!
//! Reads a sample of each file. Values that may be secrets never reach the output: `mask.rs`.

mod advice;
mod mask;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::input::{LogInput, distinct};
use crate::cli::layout_flags::LayoutFlags;
use crate::cli::{Exit, Failure};
use crate::engine::parse::{
    FormatSpec, Layout, LineParser, Place, RejectReason, Scratch, query_parameters,
};
use crate::engine::scan::lines::{Line, LineAssembler, MAX_LINE_BYTES};
use crate::engine::usage::Outcome;

/// Lines of each file that are looked at.
const SAMPLE_LINES: u64 = 10_000;

/// Lines that are shown field by field, and rejected lines that are shown.
const SHOWN_LINES: usize = 2;

/// Names of query parameters that are counted; any further one is left out.
const MAX_PARAMETERS: usize = 200;

/// Flags of `explain`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Log files, plain or gzip; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The layout of the lines, if it is known.
    #[command(flatten)]
    pub layout: LayoutFlags,
}

/// Runs the command: exit 0 when the lines of every file can be read, else 3.
pub fn run(args: &Args, out: &mut impl Write) -> Result<Exit, Failure> {
    let declared = args.layout.declared()?;
    let layout = |format| Layout { formats: vec![format], ..declared.clone() };
    let mut candidates = Vec::new();
    if !args.layout.format.is_empty() {
        candidates.push(Candidate::new(declared.clone())?);
    }
    if candidates.iter().all(|candidate| candidate.layout.formats != [FormatSpec::Combined]) {
        // A place that only the given format has says nothing about the preset.
        let combined = layout(FormatSpec::Combined);
        let bare = Layout { credential: Vec::new(), consumer: Vec::new(), ..combined.clone() };
        candidates.push(Candidate::new(if candidates.is_empty() { combined } else { bare })?);
    }
    let mut exit = Exit::Ok;
    for path in distinct(&args.files) {
        let understood = explain_file(path, &candidates, out).map_err(|error| Failure {
            exit: Exit::Unknown,
            message: format!("the answer cannot be written to stdout: {error}"),
        })?;
        if !understood {
            exit = Exit::Unknown;
        }
    }
    Ok(exit)
}

/// A format that the lines may have.
struct Candidate {
    layout: Layout,
    parser: LineParser,
}

impl Candidate {
    fn new(layout: Layout) -> Result<Self, Failure> {
        let parser = if layout.credential.is_empty() {
            LineParser::without_key(&layout)
        } else {
            LineParser::compile(&layout)
        };
        Ok(Self { layout, parser: parser.map_err(Failure::usage)? })
    }

    fn name(&self) -> &'static str {
        match self.layout.formats[0] {
            FormatSpec::Combined => "combined",
            _ => "the given log_format",
        }
    }
}

/// What a sample says about one candidate.
#[derive(Default)]
struct Finding {
    lines: u64,
    understood: u64,
    with_key: u64,
    /// Understood lines to show, with their numbers.
    samples: Vec<(u64, Vec<u8>)>,
    /// Rejected lines to show.
    rejected: Vec<(u64, RejectReason, Vec<u8>)>,
    /// Number of lines with each query parameter.
    parameters: BTreeMap<Vec<u8>, u64>,
}

fn explain_file(path: &Path, candidates: &[Candidate], out: &mut impl Write) -> io::Result<bool> {
    let name = path.display();
    let (findings, problem) = sample(path, candidates);
    if let Some(error) = problem {
        writeln!(out, "{name}: cannot be read to its end: {error}")?;
    }
    // Of two that fit equally the first: the given one.
    let best = candidates.iter().zip(&findings).rev().max_by_key(|(_, finding)| finding.understood);
    let Some((candidate, finding)) = best else { return Ok(false) };
    if finding.lines == 0 {
        writeln!(out, "{name}: no line to look at")?;
        return Ok(false);
    }
    for (candidate, finding) in candidates.iter().zip(&findings) {
        let share = share(finding.understood, finding.lines);
        let (fit, lines) = (finding.understood, finding.lines);
        writeln!(out, "{name}: {} fits {fit} of {lines} lines ({share})", candidate.name())?;
    }
    for (number, line) in &finding.samples {
        write_fields(out, candidate, *number, line)?;
    }
    for (number, reason, line) in &finding.rejected {
        writeln!(out, "\nline {number} is rejected: {}", why(*reason))?;
        writeln!(out, "  {}", mask::unknown_line(line))?;
    }
    writeln!(out)?;
    if finding.understood == 0 {
        writeln!(
            out,
            "no known format fits: paste the string of the server's log_format as --format 'nginx:…'"
        )?;
        return Ok(false);
    }
    advice::write(out, path, candidate, finding)?;
    Ok(true)
}

/// Reads the first lines of a file with every candidate.
fn sample(path: &Path, candidates: &[Candidate]) -> (Vec<Finding>, Option<io::Error>) {
    let mut findings: Vec<Finding> = candidates.iter().map(|_| Finding::default()).collect();
    let mut scratch = Scratch::default();
    let mut number = 0;
    let mut look = |line: Line<'_>| {
        number += 1;
        if number > SAMPLE_LINES {
            return;
        }
        for (candidate, finding) in candidates.iter().zip(&mut findings) {
            finding.look(candidate, number, line, &mut scratch);
        }
    };
    let mut assembler = LineAssembler::default();
    let mut bytes = 0;
    let read = LogInput::open(path).and_then(|input| {
        input.read_chunks(|chunk| {
            bytes += chunk.len();
            assembler.feed(chunk, &mut look);
            bytes < 4 * MAX_LINE_BYTES
        })
    });
    // A line cut by the end of the sample is none.
    if read.is_ok() && bytes < 4 * MAX_LINE_BYTES {
        assembler.finish(look);
    }
    (findings, read.err())
}

impl Finding {
    fn look(&mut self, candidate: &Candidate, number: u64, line: Line<'_>, scratch: &mut Scratch) {
        self.lines += 1;
        let (text, parsed) = match line {
            Line::TooLong => (&b""[..], Err(RejectReason::TooLong)),
            Line::Whole(line) => (line, candidate.parser.parse(line, scratch)),
        };
        match parsed {
            Ok(event) => {
                self.understood += 1;
                self.with_key += u64::from(!event.keys.is_empty());
                if self.samples.len() < SHOWN_LINES {
                    self.samples.push((number, text.to_vec()));
                }
                self.count_parameters(candidate, text);
            }
            Err(reason) if self.rejected.len() < SHOWN_LINES => {
                self.rejected.push((number, reason, text.to_vec()));
            }
            Err(_) => {}
        }
    }

    fn count_parameters(&mut self, candidate: &Candidate, line: &[u8]) {
        for (field, value) in candidate.parser.fields(line).unwrap_or_default() {
            for name in query_parameters(&field, &value) {
                if let Some(count) = self.parameters.get_mut(name) {
                    *count += 1;
                } else if self.parameters.len() < MAX_PARAMETERS {
                    self.parameters.insert(name.to_vec(), 1);
                }
            }
        }
    }
}

fn write_fields(
    out: &mut impl Write,
    candidate: &Candidate,
    number: u64,
    line: &[u8],
) -> io::Result<()> {
    let mut scratch = Scratch::default();
    let Ok(fields) = candidate.parser.fields(line) else { return Ok(()) };
    let Ok(event) = candidate.parser.parse(line, &mut scratch) else { return Ok(()) };
    let wide = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    writeln!(out, "\nline {number}")?;
    for (name, value) in fields {
        writeln!(out, "  {name:wide$}  {}", mask::field(&name, &value))?;
    }
    let outcome = match event.outcome {
        Outcome::Accepted => "accepted",
        Outcome::Unauthenticated | Outcome::Forbidden => "denied",
        Outcome::Failed => "failed",
    };
    writeln!(out, "  {:wide$}  {outcome} at {}", "=", event.event_at)?;
    if !candidate.layout.credential.is_empty() {
        let places: Vec<String> =
            candidate.layout.credential.iter().map(Place::to_string).collect();
        let shown = match event.keys.first() {
            Some(key) => format!("a key of {} bytes", key.len()),
            None => "no key".to_owned(),
        };
        writeln!(out, "  {:wide$}  {shown} at {}", "=", places.join(", "))?;
    }
    Ok(())
}

/// Returns a share in percent that says 100 only when nothing is missing.
fn share(part: u64, whole: u64) -> String {
    let hundredths = part * 10_000 / whole.max(1);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

fn why(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Form => "form: a field is missing or misplaced, or a quote is",
        RejectReason::Time => "time: the time cannot be read",
        RejectReason::Status => "status: the status is no number of three digits",
        RejectReason::Json => "json: not the JSON that was declared",
        RejectReason::TooLong => "too_long: longer than 1 MiB",
        RejectReason::Encoding => "encoding: bytes that the server's escaping cannot produce",
    }
}

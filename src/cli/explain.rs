//! `keydrain explain`: names a log's format, shows how its lines are read, and what to declare.
//!
//! Reads a sample of each file. Values that may be secrets never reach the output: `mask.rs`.

mod sample;

mod known;

mod members;

mod candidate;

mod finding;

mod shown;

mod reject;

mod mask;

mod unread;

mod servers;

mod block;

mod advice;

use std::cmp::Ordering;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use candidate::{Candidate, Declared};
use finding::Finding;
use members::Members;
use sample::Sample;

use crate::cli::columns::printable;
use crate::cli::input::distinct;
use crate::cli::layout_flags::LayoutFlags;
use crate::cli::{Exit, Failure};
use crate::engine::parse::Place;

/// Names of members that are listed of JSON that has no readable time.
const MAX_MEMBERS: usize = 20;

const EXAMPLES: &str = "\
Examples:
  keydrain explain /var/log/nginx/access.log
      which format fits, how two lines are read, and the [[source]] block to paste
  keydrain explain --credential query:api_key access.log.2.gz
      whether the key is where you think it is
  keydrain explain --format 'nginx:$msec \"$http_x_api_key\" $status' access.log
      how a log_format of your own reads the lines, and why it does not read some
  kubectl logs deploy/api | keydrain explain -
      the same for standard input

What it says of a log:
  format   caddy json: 41 of 43 lines (95.34 %), likely
  key      40 of 43 (93.02 %) show one at field:request.headers.X-Api-Key.0

Values that may be secrets are shown by their length alone.";

/// Flags of `explain`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Log files, plain, gzip or zstd; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The layout of the lines, if it is known.
    #[command(flatten)]
    pub layout: LayoutFlags,
}

/// Runs the command: exit 0 when the lines of every file can be read, else 3.
pub fn run(args: &Args, out: &mut impl Write) -> Result<Exit, Failure> {
    let declared = Declared::of(&args.layout)?;
    let mut exit = Exit::Ok;
    for (index, path) in distinct(&args.files).into_iter().enumerate() {
        let sample = Sample::read(path);
        let members = Members::of(&sample);
        let candidates = candidate::candidates(&declared, &sample, &members)?;
        let file = File { path, sample: &sample, members: &members };
        let separator = if index == 0 { "" } else { "\n\n" };
        let written = write!(out, "{separator}").and_then(|()| file.explain(&candidates, out));
        let understood = match written {
            Ok(understood) => understood,
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(exit),
            Err(error) => {
                let message = format!("the answer cannot be written to stdout: {error}");
                return Err(Failure { exit: Exit::Unknown, message });
            }
        };
        if !understood {
            exit = Exit::Unknown;
        }
    }
    Ok(exit)
}

/// A log that is explained.
struct File<'a> {
    path: &'a Path,
    sample: &'a Sample,
    members: &'a Members,
}

impl File<'_> {
    /// Writes the explanation; returns whether the log can be read.
    fn explain(&self, candidates: &[Candidate], out: &mut impl Write) -> io::Result<bool> {
        writeln!(out, "{}", printable(&self.path.display().to_string()))?;
        if let Some(error) = &self.sample.problem {
            writeln!(out, "  cannot be read to its end: {error}")?;
        }
        let mut found: Vec<(&Candidate, Finding)> = candidates
            .iter()
            .map(|candidate| (candidate, Finding::of(candidate, self.sample)))
            .collect();
        // Of two that fit equally the one that says more, then the first.
        found.sort_by(|a, b| by_fit(b, a));
        let Some((best, finding)) = found.first() else { return Ok(false) };
        if finding.records == 0 {
            writeln!(out, "  no line to look at")?;
            return Ok(false);
        }
        if finding.understood == 0 {
            self.write_unknown(&found, out)?;
            return Ok(false);
        }
        let is_declared = !best.layout.credential.is_empty();
        let placed = if best.places().is_empty() {
            advice::with_likely_place(best, finding, self.sample)
        } else {
            None
        };
        let (best, finding) =
            placed.as_ref().map_or((*best, finding), |(candidate, finding)| (candidate, finding));
        write_overview(best, finding, &found, out)?;
        for sample in finding.samples() {
            shown::write(out, best, sample)?;
        }
        write_rejected(best, finding, out)?;
        let mut advice = Vec::new();
        advice::write(&mut advice, self.path, best, finding, is_declared)?;
        writeln!(out)?;
        out.write_all(advice.trim_ascii_start())?;
        Ok(self.sample.problem.is_none())
    }

    /// Says what can be said of a log that no format fits.
    fn write_unknown(
        &self,
        found: &[(&Candidate, Finding)],
        out: &mut impl Write,
    ) -> io::Result<()> {
        writeln!(out, "  format      no known one fits")?;
        for (candidate, finding) in found.iter().filter(|(candidate, _)| candidate.is_given()) {
            writeln!(out, "              {}", fit(&candidate.name, finding))?;
        }
        let unread = unread::recognise(self.sample);
        if let Some(unread) = &unread {
            writeln!(out, "  looks like  {}, which is not read: {}", unread.name, unread.what)?;
        }
        if self.members.records > 0 {
            let names = self.members.names().take(MAX_MEMBERS);
            let names: Vec<String> = names.map(mask::name).collect();
            writeln!(out, "  members     {}", names.join(", "))?;
        }
        if unread.is_some() {
            return Ok(());
        }
        let mut has_prefix = false;
        if let Some((candidate, finding)) = found.first() {
            write_rejected(candidate, finding, out)?;
            let mut records = finding.rejected.iter().map(|((_, record), _)| record);
            has_prefix = records.any(|record| reject::json_behind(record).is_some());
        }
        writeln!(out)?;
        if has_prefix {
            writeln!(out, "these are JSON lines behind a prefix: without it they can be read")?;
        } else if self.members.records > 0 {
            writeln!(
                out,
                "these are JSON lines without a time that can be read: name its path with"
            )?;
            writeln!(out, "--format '{{ json = {{ time = \"…\", status = \"…\" }} }}'")?;
        } else {
            writeln!(
                out,
                "paste the string of the server's log_format as --format 'nginx:…', or Apache's \
                 LogFormat as --format 'apache:…'"
            )?;
        }
        Ok(())
    }
}

/// Writes which format fits, what wraps the records and how many show a key.
fn write_overview(
    best: &Candidate,
    finding: &Finding,
    found: &[(&Candidate, Finding)],
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "  format      {}, {}", fit(&best.name, finding), confidence(finding))?;
    let whole = finding;
    for (other, finding) in &found[1..] {
        // One that fits as well but says less is no news.
        let fits_less = finding.understood * whole.records != whole.understood * finding.records;
        if (fits_less && finding.understood > 0) || other.is_given() {
            writeln!(out, "              {}", fit(&other.name, finding))?;
        }
    }
    let first = finding.samples().first().map(|(_, record)| record.clone());
    let wrappers = first.map(|record| shown::wrappers(best, &record)).unwrap_or_default();
    if !wrappers.is_empty() {
        writeln!(out, "  wrapped in  {}", wrappers.join(", then "))?;
    }
    let places: Vec<String> = best.places().iter().map(Place::to_string).collect();
    if !places.is_empty() {
        let (part, whole) = (finding.with_key, finding.records);
        let share = share(part, whole);
        writeln!(
            out,
            "  key         {part} of {whole} ({share}) show one at {}",
            printable(&places.join(", "))
        )?;
    }
    if let Some(parameters) = advice::listed_parameters(finding) {
        writeln!(out, "  parameters  {parameters}")?;
    }
    Ok(())
}

fn write_rejected(
    candidate: &Candidate,
    finding: &Finding,
    out: &mut impl Write,
) -> io::Result<()> {
    for ((number, record), refusal) in &finding.rejected {
        let why = reject::why(candidate, record, *refusal);
        writeln!(out, "\nrecord {number} is rejected: {why}")?;
        if !record.is_empty() {
            writeln!(out, "  {}", mask::unknown_line(record))?;
        }
    }
    Ok(())
}

/// Orders by the share that was understood, then by how much the format's name says.
fn by_fit(a: &(&Candidate, Finding), b: &(&Candidate, Finding)) -> Ordering {
    let (left, right) = (a.1.understood * b.1.records, b.1.understood * a.1.records);
    left.cmp(&right).then(a.0.rank.cmp(&b.0.rank))
}

fn fit(name: &str, finding: &Finding) -> String {
    let (part, whole) = (finding.understood, finding.records);
    format!("{name}: {part} of {whole} lines ({})", share(part, whole))
}

/// Says in words how sure the format is.
fn confidence(finding: &Finding) -> &'static str {
    let few = finding.records < 10;
    match finding.understood * 100 / finding.records.max(1) {
        100 if few => "likely: few lines to tell from",
        99..=100 => "certain",
        90..=98 => "likely",
        50..=89 => "doubtful: some lines are of another form",
        _ => "doubtful: most lines are of another form",
    }
}

/// Returns a share in percent that says 100 only when nothing is missing.
fn share(part: u64, whole: u64) -> String {
    let hundredths = part * 10_000 / whole.max(1);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

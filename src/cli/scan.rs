//! `keydrain scan`: who uses which key, counted once over whole files.
//!
//! What counts is defined in `engine/scan/tally.rs`; here are flags, files and the exit code. An
//! input that cannot be read to its end is named in the answer and makes the exit code 3.

mod naming;
mod report;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::naming::{Naming, Shown};
use crate::cli::layout_flags::LayoutFlags;
use crate::cli::log_input::{LogInput, distinct};
use crate::cli::{Exit, Failure, Output};
use crate::config::{Config, Source};
use crate::engine::credential::FingerprintSecret;
use crate::engine::parse::{Layout, LineParser, RejectReason, Scratch};
use crate::engine::scan::lines::{Line, LineAssembler};
use crate::engine::scan::tally::{ScanTally, TallyOptions, WindowLength};
use crate::engine::time::Timestamp;

/// Flags of `scan`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Log files, plain or gzip; `-` is standard input.
    #[arg(required_unless_present = "source", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read the lines as this source of the config file (`--config`) declares, and its files if
    /// none is named.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// The layout of the lines.
    #[command(flatten)]
    pub layout: LayoutFlags,
    /// How to write the answer.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
    /// Length of the counting windows: minute if not given. The table shows windows only if it is.
    #[arg(long, value_enum)]
    pub by: Option<By>,
    /// What to count apart.
    #[arg(long, value_enum, default_value_t)]
    pub group: Group,
    /// First event time that counts, such as 2026-01-31T09:30:00Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    /// First event time that no longer counts.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// Rows of the table.
    #[arg(long, default_value_t = 20, value_name = "ROWS")]
    pub top: usize,
    /// The keys are public ids or names: show them as they are.
    #[arg(long)]
    pub public: bool,
    /// Directory of the fingerprint secret [default: keydrain in the user's state directory].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Length of a counting window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// 60 s.
    Minute,
    /// 60 min.
    Hour,
    /// A day of UTC.
    Day,
}

/// What is counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// Each key and consumer.
    #[default]
    #[value(name = "key,consumer")]
    KeyConsumer,
    /// Each key, all consumers together.
    #[value(name = "key")]
    Key,
}

/// What was read of the inputs beside the lines.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// Decompressed bytes.
    pub bytes: u64,
    /// Names of the inputs that were not read to their end.
    pub incomplete: Vec<String>,
}

/// What is scanned, how it is read and how it is shown.
struct Task {
    files: Vec<PathBuf>,
    layout: Layout,
    naming: Naming,
}

/// Runs the command: the answer goes to `out`, remarks for people go to `err`. `config` is the
/// config file if one was named: its keys are shown by their names.
pub fn run(
    args: &Args,
    config: Option<&Path>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Exit, Failure> {
    let Task { files, layout, naming } = Task::of(args, config)?;
    let parser = LineParser::compile(&layout).map_err(Failure::usage)?;
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since >= until
    {
        return Err(Failure::usage("`--since` must lie before `--until`: no time is between them"));
    }
    let mut tally = ScanTally::new(TallyOptions {
        window: match args.by {
            None | Some(By::Minute) => WindowLength::Minute,
            Some(By::Hour) => WindowLength::Hour,
            Some(By::Day) => WindowLength::Day,
        },
        pool_consumers: args.group == Group::Key,
        since: args.since,
        until: args.until,
    });
    let inputs = read_inputs(&files, &parser, &mut tally, err);
    let shown = Shown::new(&tally, &naming, parser.consumer_map());
    let report = report::Report::new(&tally, &inputs, &shown, &naming);
    let written = match args.output {
        Output::Json => report.write_json(out),
        Output::Csv => report.write_csv(out),
        Output::Table => report.write_table(out, args.top, args.by.is_some()),
    };
    written.and_then(|()| out.flush()).map_err(|error| Failure {
        exit: Exit::Unknown,
        message: format!("the answer cannot be written to stdout: {error}"),
    })?;
    remark(&tally, err);
    Ok(if inputs.incomplete.is_empty() { Exit::Ok } else { Exit::Unknown })
}

fn read_inputs(
    files: &[PathBuf],
    parser: &LineParser,
    tally: &mut ScanTally,
    err: &mut impl Write,
) -> Inputs {
    let mut inputs = Inputs::default();
    let mut seen = HashSet::new();
    for path in distinct(files) {
        let read = LogInput::open(path).and_then(|input| {
            if input.identity.is_some_and(|identity| !seen.insert(identity)) {
                return Ok(());
            }
            read_lines(input, parser, tally, &mut inputs.bytes)
        });
        if let Err(error) = read {
            inputs.incomplete.push(path.display().to_string());
            tell(err, format_args!("{}: not read to its end: {error}", path.display()));
        }
    }
    inputs
}

/// Counts the lines of one input. A line that the input's failure cuts is not counted: half of
/// it may read as another key.
fn read_lines(
    input: LogInput,
    parser: &LineParser,
    tally: &mut ScanTally,
    bytes: &mut u64,
) -> io::Result<()> {
    let mut assembler = LineAssembler::default();
    let mut scratch = Scratch::default();
    let mut count = |line: Line<'_>| match line {
        Line::TooLong => tally.reject(RejectReason::TooLong),
        Line::Whole(line) => match parser.parse(line, &mut scratch) {
            Ok(event) => tally.event(&event),
            Err(reason) => tally.reject(reason),
        },
    };
    input.read_chunks(|chunk| {
        *bytes += chunk.len() as u64;
        assembler.feed(chunk, &mut count);
        true
    })?;
    assembler.finish(count);
    Ok(())
}

/// Says what a person should look at; the numbers themselves are in the answer.
fn remark(tally: &ScanTally, err: &mut impl Write) {
    let totals = tally.totals();
    let rejects: u64 = totals.rejects.iter().sum();
    if rejects > 0 {
        let reasons: Vec<String> = RejectReason::ALL
            .iter()
            .zip(totals.rejects)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{} {count}", reason.as_str()))
            .collect();
        let reasons = reasons.join(", ");
        tell(
            err,
            format_args!(
                "lines not understood: {rejects} ({reasons}); `keydrain explain FILE` shows why"
            ),
        );
    }
    if totals.events == 0 && totals.keyless > 0 {
        tell(
            err,
            format_args!(
                "no line shows a key at the named place: `keydrain explain FILE` shows what the lines hold"
            ),
        );
    }
}

/// Writes one remark. A closed stderr is no reason to stop: the answer is on stdout.
fn tell(err: &mut impl Write, remark: std::fmt::Arguments<'_>) {
    let _ = writeln!(err, "keydrain: {remark}");
}

impl Task {
    fn of(args: &Args, config: Option<&Path>) -> Result<Self, Failure> {
        let config = config.map(Config::load).transpose().map_err(Failure::usage)?;
        let source = config.as_ref().map(|config| source(args, config)).transpose()?.flatten();
        if let (None, Some(name)) = (source, &args.source) {
            return Err(Failure::usage(format!(
                "`--source {name}` is a source of a config file: name the file with `--config FILE`"
            )));
        }
        let layout = match source {
            Some(source) => source.layout.clone(),
            None => args.layout.layout()?,
        };
        let files = match source {
            Some(source) if args.files.is_empty() => {
                source.paths.iter().map(PathBuf::from).collect()
            }
            _ => args.files.clone(),
        };
        let public = args.public || layout.has_public_keys();
        let naming = naming(args.state.as_deref(), config.as_ref(), public)?;
        Ok(Self { files, layout, naming })
    }
}

/// Returns the source of the config that says how the lines are read: the one that was named, or
/// the only one where the flags say nothing.
fn source<'a>(args: &Args, config: &'a Config) -> Result<Option<&'a Source>, Failure> {
    let names = || {
        let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
        names.join(", ")
    };
    match (&args.source, config.sources.as_slice()) {
        (Some(_), _) if args.layout.is_given() => Err(Failure::usage(
            "`--source` says how the lines are read: leave `--format`, `--credential` and the like out",
        )),
        (Some(name), sources) => {
            let found = sources.iter().find(|source| source.name.as_str() == name);
            let unknown =
                || Failure::usage(format!("the config has no source `{name}`: it has {}", names()));
            found.ok_or_else(unknown).map(Some)
        }
        (None, _) if args.layout.is_given() => Ok(None),
        (None, [only]) => Ok(Some(only)),
        (None, _) => Err(Failure::usage(format!(
            "which source do these lines belong to? add `--source NAME` ({})",
            names()
        ))),
    }
}

fn naming(state: Option<&Path>, config: Option<&Config>, public: bool) -> Result<Naming, Failure> {
    let Some(config) = config else {
        return match (public, state) {
            (true, _) => Ok(Naming::public()),
            (false, state) => Ok(Naming::keyed(fingerprint_secret(state)?, false)),
        };
    };
    let dir = state.unwrap_or(&config.state_dir);
    let mut naming = Naming::keyed(fingerprint_secret(Some(dir))?, public);
    naming.name_keys(config).map_err(Failure::usage)?;
    Ok(naming)
}

/// Loads the user's fingerprint secret, or makes it.
fn fingerprint_secret(dir: Option<&Path>) -> Result<FingerprintSecret, Failure> {
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => default_state_dir().ok_or_else(|| {
            Failure::usage("neither XDG_STATE_HOME nor HOME is set: name a directory for the fingerprint secret with `--state DIR`")
        })?,
    };
    crate::store::secret::load_or_create(&dir).map_err(|error| {
        let why = crate::engine::wording::chain(&error);
        Failure::usage(format!("{why}; or name another directory with `--state DIR`"))
    })
}

fn default_state_dir() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    Some(state.or_else(|| Some(absolute("HOME")?.join(".local/state")))?.join("keydrain"))
}

//! `keydrain scan`: who uses which key, counted once over whole files.
//!
//! What counts is defined in `engine/scan/tally.rs`; here are flags, files and the exit code. An
//! input that cannot be read to its end is named in the answer and makes the exit code 3.

mod naming;

mod pieces;

mod pipeline;

mod progress;

mod report;

mod task;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use self::naming::Shown;
use self::pipeline::Job;
use self::task::Task;
use crate::cli::input::names;
use crate::cli::layout_flags::LayoutFlags;
use crate::cli::{Exit, Failure, Output};
use crate::clock;
use crate::engine::duration;
use crate::engine::parse::{LineParser, RejectReason};
use crate::engine::scan::tally::{ScanTally, TallyOptions, WindowLength};
use crate::engine::time::Timestamp;

/// Flags of `scan`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Log files, directories or patterns; plain, gzip or zstd; `-` is standard input.
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
    /// First event time that counts: 2026-01-31T09:30:00Z, a day of UTC such as 2026-01-31, or
    /// how long ago, such as 7d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// First event time that no longer counts, in the same forms.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
    /// Rows of the table.
    #[arg(long, default_value_t = 20, value_name = "ROWS")]
    pub top: usize,
    /// Threads that work [default: one for each processor].
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
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
    /// For each of them, what is wrong with it.
    pub problems: Vec<String>,
}

/// Runs the command: the answer goes to `out`, remarks for people go to `err`.
///
/// `config` is the config file if one was named: its keys are shown by their names. `is_watched`
/// tells whether stderr is a terminal that a person looks at: then a bar shows the progress.
pub fn run(
    args: &Args,
    config: Option<&Path>,
    is_watched: bool,
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
    let options = TallyOptions {
        window: match args.by {
            None | Some(By::Minute) => WindowLength::Minute,
            Some(By::Hour) => WindowLength::Hour,
            Some(By::Day) => WindowLength::Day,
        },
        pool_consumers: args.group == Group::Key,
        since: args.since,
        until: args.until,
    };
    let job = Job {
        parser: &parser,
        options,
        threads: threads(args.threads),
        in_order: parser.has_event_ids(),
    };
    let named = names::resolve(&files);
    let progress = progress::bar(&named, is_watched);
    let (tally, inputs) = pipeline::run(named, job, &progress);
    progress.finish_and_clear();
    for (name, why) in inputs.incomplete.iter().zip(&inputs.problems) {
        tell(err, format_args!("{name}: not read to its end: {why}"));
    }
    let shown = Shown::new(&tally, &naming, parser.consumer_map());
    let report = report::Report::new(&tally, &inputs, &shown);
    let written = match args.output {
        Output::Json => report.write_json(out),
        Output::Csv => report.write_csv(out),
        Output::Table => report.write_table(out, args.top, args.by.is_some()),
    };
    match written.and_then(|()| out.flush()) {
        // Who closes a pipe early has read enough, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Failure {
                exit: Exit::Unknown,
                message: format!("the answer cannot be written to stdout: {error}"),
            });
        }
        _ => {}
    }
    remark(&tally, err);
    Ok(if inputs.incomplete.is_empty() { Exit::Ok } else { Exit::Unknown })
}

/// Reads a time, a day or how long ago.
fn moment(text: &str) -> Result<Timestamp, String> {
    let at = text.parse().or_else(|_| format!("{text}T00:00:00Z").parse());
    at.or_else(|_| duration::parse(text).map(|ago| clock::now().minus(ago))).map_err(|_| {
        "write a time like 2026-01-31T09:30:00Z, a day like 2026-01-31, or a duration like 7d"
            .to_owned()
    })
}

/// Returns the number of threads that work.
fn threads(asked: Option<u16>) -> NonZeroUsize {
    let asked = asked.and_then(|threads| NonZeroUsize::new(threads.into()));
    asked.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
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

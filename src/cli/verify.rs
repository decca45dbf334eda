//! `keydrain verify FILE…`: counts logs once more and compares them with the state.
//!
//! The state is only looked at, as of one moment, so a daemon may run beside it. Each file is read up
//! to the offset that the state has of it, by the matcher that the daemon has.
//!
//! ```text
//! files --given--> generations --recount--> counts --compare--> differences --report--> exit code
//! ```

mod compare;
mod given;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::columns::put;
use super::input::distinct;
use super::{Exit, Failure, Output};
use crate::config::Config;
use crate::daemon::{Parts, parts};
use crate::engine::credential::{Fingerprint, SourceName};
use crate::engine::generations::FORGOTTEN;
use crate::engine::scan::matcher::Matcher;
use crate::engine::state::State;
use crate::engine::time::{Span, Timestamp};
use crate::engine::usage::Consumer;
use crate::engine::wording::chain;
use crate::source::files::recount;
use crate::store::Look;
use compare::{Counted, Lines};
use given::{Catalogue, Found, Given, Place, place};
use report::{Checked, Report};

/// Options of `keydrain verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Logs that the daemon has read: live, rotated, .gz or .zst
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Compares. Exit 0 equal, 1 they differ, 2 usage or config error, 3 a file could not be compared.
pub fn run(
    args: &Args,
    config: &Path,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let config = Config::load(config).map_err(Failure::usage)?;
    let looked =
        Look::open(&config.state_dir).and_then(|(look, secret)| Ok((look.read()?, secret)));
    let ((state, kept), secret) = looked.map_err(|error| Failure::usage(chain(&error)))?;
    let parts = parts(&config, &Arc::new(secret), &state);
    let parts = parts.map_err(|error| Failure::usage(chain(&error)))?;
    let names = key_names(&parts, &state);
    let mut gathered = Gathered::new(&state, &config, parts);
    let catalogue = Catalogue::of(&state, &config);
    let given = gathered.find(&catalogue, &args.files)?;
    for one in given.values() {
        gathered.count(one);
    }
    let report = gathered.compare(&catalogue, &kept);
    let text = match args.output {
        Output::Table => report.table(&names),
        Output::Json => report.json(&names),
        Output::Csv => report.csv(&names),
    };
    put(out, &text)?;
    if args.output == Output::Csv {
        // The rows alone are the answer; nobody listening there changes nothing.
        let _ = err.write_all(report.remarks().as_bytes());
    }
    Ok(report.exit())
}

/// Names of the keys that are configured or in a rotation.
fn key_names(parts: &Parts, state: &State) -> BTreeMap<Fingerprint, String> {
    let rotated = state.rotations.iter().flat_map(|it| [&it.old_key, &it.new_key]);
    let configured = parts.credentials.iter().flat_map(|decl| &decl.keys);
    rotated.chain(configured).map(|key| (key.fingerprint, key.name.to_string())).collect()
}

/// What was read of the files so far.
struct Gathered<'a> {
    state: &'a State,
    config: &'a Config,
    parts: Parts,
    counted: BTreeMap<SourceName, Counted>,
    lines: BTreeMap<Place, [u64; 2]>,
    report: Report,
}

impl<'a> Gathered<'a> {
    fn new(state: &'a State, config: &'a Config, parts: Parts) -> Self {
        let (counted, lines) = (BTreeMap::new(), BTreeMap::new());
        Self { state, config, parts, counted, lines, report: Report::default() }
    }

    /// Finds the generation of each file. A file of no source is a usage error.
    fn find(
        &mut self,
        catalogue: &Catalogue<'_>,
        files: &[PathBuf],
    ) -> Result<BTreeMap<Place, Given>, Failure> {
        let mut all: BTreeMap<Place, Given> = BTreeMap::new();
        for path in distinct(files) {
            let name = path.display();
            match catalogue.find(path, self.config) {
                Err(error) => self.report.missing(format!("{name} cannot be read: {error}")),
                Ok(Found::Copy) => self
                    .report
                    .note(format!("{name} is a copy of what was read elsewhere: it never counts")),
                Ok(Found::Empty) => self.report.note(format!("{name} is empty")),
                Ok(Found::NotRead) => self.report.missing(format!(
                    "{name} is nothing that the state knows: the daemon has read nothing of it yet, \
                     or it has other content now"
                )),
                Ok(Found::Stranger) => return Err(self.stranger(path)),
                Ok(Found::Known(given)) => {
                    for one in given {
                        let place = place(&one.record);
                        match all.get(&place) {
                            Some(first) if first.is_same || !one.is_same => {
                                let first = first.path.display();
                                self.report.note(format!("{name} holds what {first} holds"));
                            }
                            _ => drop(all.insert(place, one)),
                        }
                    }
                }
            }
        }
        Ok(all)
    }

    fn stranger(&self, path: &Path) -> Failure {
        let sources = self.config.sources.iter();
        let sources: Vec<_> =
            sources.map(|it| format!("{} ({})", it.name, it.paths.join(", "))).collect();
        Failure::usage(format!(
            "no source reads {}: name a log that a [[source]] reads, or use the config of the \
             daemon with --config; sources are {}",
            path.display(),
            sources.join("; ")
        ))
    }

    /// Reads one file up to the offset of its generation.
    fn count(&mut self, given: &Given) {
        let (name, record) = (given.path.display().to_string(), &given.record);
        let Some(matcher) = self.matcher(&record.source) else { return };
        let counted =
            given::open(&given.path).and_then(|mut log| recount(&mut log, record.offset, matcher));
        let found = match counted {
            Ok(found) => found,
            Err(error) => return self.report.missing(format!("{name} cannot be read: {error}")),
        };
        if found.bytes < record.offset {
            let (has, wanted) = (found.bytes, record.offset);
            return self.report.missing(format!("{name} holds {has} of the {wanted} bytes read"));
        }
        if given.is_same && found.anchor != record.anchor {
            return self.report.missing(format!("{name} changed while it was read"));
        }
        if !given.is_same {
            self.report.note(format!(
                "{name} holds other bytes now than were read under its name, near its beginning or \
                 near the offset"
            ));
        }
        self.report.checked.push(Checked {
            path: given.path.clone(),
            source: record.source.clone(),
            number: record.number,
            bytes: found.bytes,
            lines: found.lines,
            rejects: found.rejects,
        });
        self.lines.insert(place(record), [found.lines, found.rejects]);
        let sums = &mut self.counted.entry(record.source.clone()).or_default().cells;
        for (cell, counts) in found.cells {
            let sum = sums.entry(cell).or_default();
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count);
            }
        }
    }

    /// Returns the matcher of a source, unless its layout is another one than lines were read with.
    fn matcher(&mut self, source: &SourceName) -> Option<&mut Matcher> {
        let read_with = self.state.sources.iter().find(|it| it.source == *source);
        let file = self.parts.files.iter_mut().find(|file| file.name == *source)?;
        if read_with.is_some_and(|it| it.layout != file.matcher.layout_digest()) {
            self.report.missing(format!(
                "source {source} has another format or place of the key than its lines were read \
                 with: start the daemon with this config first"
            ));
            return None;
        }
        Some(&mut file.matcher)
    }

    fn compare(
        mut self,
        catalogue: &Catalogue<'_>,
        kept: &[crate::store::look::KeptUsage],
    ) -> Report {
        for (source, mut counted) in std::mem::take(&mut self.counted) {
            counted.elsewhere = self.elsewhere(&source, catalogue);
            counted.keys = self.keys(&source);
            counted.apart = self.apart();
            counted.forgotten_before =
                self.state.last_commit_at.map(|at| at.minus(self.config.retention.days));
            let outcome = compare::source(&source, &counted, kept);
            self.report.add(outcome);
        }
        let lines = compare::lines(&self.streams(catalogue));
        self.report.differences.extend(lines);
        self.report
    }

    /// Returns the event time in which generations that were not counted may have lines.
    fn elsewhere(&self, source: &SourceName, catalogue: &Catalogue<'_>) -> Vec<Span> {
        let declared = self.config.source(source).map(|it| it.policy.allowed_lateness);
        let seen = self.state.streams.iter().filter(|it| it.source == *source);
        let lateness =
            seen.map(|it| it.observed_lateness).chain(declared).max().unwrap_or_default();
        let of_source = catalogue.all().filter(|(record, _)| record.source == *source);
        let of_source: Vec<_> = of_source.collect();
        let others =
            of_source.iter().filter(|(record, _)| !self.lines.contains_key(&place(record)));
        let spans = others.filter_map(|(record, bytes)| {
            let from = bytes.first_event.or(record.last_event)?.minus(lateness);
            Some(Span::between(from, record.last_event?))
        });
        let forgotten = self.state.bytes.iter().filter(|it| it.number == FORGOTTEN);
        let forgotten = forgotten.filter(|it| it.source == *source).filter_map(|it| {
            let of_stream = of_source.iter().filter(|(record, _)| record.stream == it.stream);
            let oldest = of_stream.filter_map(|(_, bytes)| bytes.first_event).min();
            let to = oldest.map_or(Timestamp::MAX, |oldest| oldest.plus(lateness));
            Some(Span::between(it.bytes.first_event?.minus(lateness), to))
        });
        spans.chain(forgotten).collect()
    }

    /// Returns the keys that lines of the source were matched against, each since when.
    fn keys(&self, source: &SourceName) -> BTreeMap<Fingerprint, Option<Timestamp>> {
        let decl = self.parts.sources.iter().find(|decl| decl.name == *source);
        let wanted: BTreeSet<_> = decl.iter().flat_map(|decl| &decl.tracked).collect();
        let tracked = self.state.tracked.iter().filter(|it| it.source == *source);
        tracked.filter(|it| wanted.contains(&it.key)).map(|it| (it.key, it.since)).collect()
    }

    /// Returns who is kept apart, of the keys with more consumers than are.
    fn apart(&self) -> BTreeMap<Fingerprint, BTreeSet<Consumer>> {
        let mut apart: BTreeMap<Fingerprint, BTreeSet<Consumer>> = BTreeMap::new();
        for record in &self.state.uses {
            apart.entry(record.key).or_default().insert(record.consumer.clone());
        }
        apart.retain(|_, consumers| consumers.contains(&Consumer::Others));
        apart
    }

    /// Returns the lines of each stream of which a file was counted.
    fn streams(&self, catalogue: &Catalogue<'_>) -> Vec<Lines> {
        let streams: BTreeSet<_> =
            self.lines.keys().map(|it| (it.0.clone(), it.1.clone())).collect();
        let each = streams.into_iter().map(|(source, stream)| {
            let is_of = |a: &SourceName, b: &_| *a == source && *b == stream;
            let mut state = [0_u64; 2];
            let mut add = |lines: u64, rejects: u64| {
                state = [state[0].saturating_add(lines), state[1].saturating_add(rejects)];
            };
            let kept = self.state.lines.iter().filter(|it| is_of(&it.source, &it.stream));
            kept.for_each(|it| add(it.count.lines, it.count.rejects));
            let known = self.state.generations.iter().filter(|it| is_of(&it.source, &it.stream));
            known.for_each(|it| add(it.open_rejects.count, it.open_rejects.count));
            let mut logs = [0_u64; 2];
            for (_, [lines, rejects]) in self.lines.iter().filter(|(it, _)| is_of(&it.0, &it.1)) {
                logs = [logs[0].saturating_add(*lines), logs[1].saturating_add(*rejects)];
            }
            let mut all = catalogue.all().filter(|(it, _)| is_of(&it.source, &it.stream));
            let forgotten = self
                .state
                .bytes
                .iter()
                .any(|it| it.number == FORGOTTEN && is_of(&it.source, &it.stream));
            let is_whole = !forgotten && all.all(|(it, _)| self.lines.contains_key(&place(it)));
            Lines { source, stream, logs, state, is_whole }
        });
        each.collect()
    }
}

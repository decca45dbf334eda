//! Which generation of which stream a given file is, and what it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use crate::cli::input::LogInput;
use crate::cli::input::open::OpenFile;
use crate::config::Config;
use crate::engine::bytes::ByteLedger;
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::state::{GenerationRecord, State};
use crate::engine::usage::{Anchor, GenerationNumber};
use crate::source::files::{FileFacts, anchors, same_file};

/// A generation by source, stream and number.
pub type Place = (SourceName, StreamName, GenerationNumber);

/// A file that is a generation of the state.
#[derive(Clone, Debug)]
pub struct Given {
    /// The file.
    pub path: PathBuf,
    /// The generation, as it is stored.
    pub record: GenerationRecord,
    /// Whether the file holds the bytes that were read, as far as the anchor covers them.
    pub is_same: bool,
}

/// What a file turned out to be.
#[derive(Debug)]
pub enum Found {
    /// Generations of the state: one, or one for each source that reads it.
    Known(Vec<Given>),
    /// A copy of bytes that belong to another file: never counted.
    Copy,
    /// A file that a source reads and in which there is nothing.
    Empty,
    /// A file that a source reads and of which the state holds nothing.
    NotRead,
    /// No source reads it.
    Stranger,
}

/// The generations of the state of which bytes were read.
pub struct Catalogue<'s> {
    records: Vec<(&'s GenerationRecord, ByteLedger)>,
    copies: Vec<&'s GenerationRecord>,
    offsets: Vec<u64>,
}

impl<'s> Catalogue<'s> {
    /// Makes the catalogue of the sources that are configured.
    pub fn of(state: &'s State, config: &Config) -> Self {
        let ledgers: BTreeMap<Place, ByteLedger> = state
            .bytes
            .iter()
            .map(|it| ((it.source.clone(), it.stream.clone(), it.number), it.bytes))
            .collect();
        let configured = state.generations.iter().filter(|it| config.source(&it.source).is_some());
        let known = configured.filter_map(|record| Some((record, *ledgers.get(&place(record))?)));
        let (records, rest): (Vec<_>, Vec<_>) = known.partition(|(_, bytes)| bytes.read > 0);
        let copies = rest.into_iter().filter(|(_, bytes)| bytes.copied > 0);
        let copies = copies.map(|(record, _)| record).collect();
        let offsets: BTreeSet<u64> = records.iter().map(|(record, _)| record.offset).collect();
        Self { records, copies, offsets: offsets.into_iter().collect() }
    }

    /// Returns the generations with what is known of their bytes.
    pub fn all(&self) -> impl Iterator<Item = (&'s GenerationRecord, &ByteLedger)> {
        self.records.iter().map(|(record, bytes)| (*record, bytes))
    }

    /// Finds what `path` is: by its content, else as the file that it is, else by its name.
    pub fn find(&self, path: &Path, config: &Config) -> std::io::Result<Found> {
        let path = std::path::absolute(path)?;
        let facts = FileFacts::of(&std::fs::metadata(&path)?);
        let looks = anchors(&mut open(&path)?, &self.offsets)?;
        let is_same = |record: &GenerationRecord| {
            looks.iter().any(|(at, anchor): &(u64, Anchor)| {
                *at == record.offset && *anchor == record.anchor
            })
        };
        let mut best: BTreeMap<&SourceName, (u8, u64, &GenerationRecord)> = BTreeMap::new();
        for (record, _) in &self.records {
            let is_file = same_file(record.file, facts.id);
            let rank = match (is_same(record), is_file, Path::new(&record.path) == path) {
                (true, true, _) => 4,
                (true, false, _) => 3,
                (false, true, _) => 2,
                (false, false, true) => 1,
                (false, false, false) => continue,
            };
            let found = (rank, record.number.0, *record);
            let is_better = |old: &(u8, u64, &GenerationRecord)| (old.0, old.1) < (rank, found.1);
            match best.get_mut(&record.source) {
                None => drop(best.insert(&record.source, found)),
                Some(old) if is_better(old) => *old = found,
                Some(_) => {}
            }
        }
        if best.is_empty() {
            let is_read = config.sources.iter().any(|it| reads(&it.paths, &path));
            let is_copy = self.copies.iter().any(|it| same_file(it.file, facts.id));
            return Ok(match (is_copy, is_read, facts.size) {
                (true, ..) => Found::Copy,
                (_, true, 0) => Found::Empty,
                (_, true, _) => Found::NotRead,
                (_, false, _) => Found::Stranger,
            });
        }
        let given = best.into_values().map(|(rank, _, record)| Given {
            path: path.clone(),
            record: record.clone(),
            is_same: rank > 2,
        });
        Ok(Found::Known(given.collect()))
    }
}

/// Returns the place of a generation.
pub fn place(record: &GenerationRecord) -> Place {
    (record.source.clone(), record.stream.clone(), record.number)
}

/// Opens a log, packed or not.
pub fn open(path: &Path) -> std::io::Result<LogInput> {
    Ok(LogInput::of(OpenFile::at(path)?, ProgressBar::hidden()))
}

/// Tells whether a pattern of a source means `path`, or the live file that it was rotated from.
fn reads(patterns: &[String], path: &Path) -> bool {
    let name = path.to_str().unwrap_or_default();
    patterns.iter().any(|pattern| {
        let sibling =
            |live: &str| name.strip_prefix(live).is_some_and(|rest| rest.starts_with(['.', '-']));
        let options =
            glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        sibling(pattern)
            || glob::Pattern::new(pattern).is_ok_and(|it| it.matches_with(name, options))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rotated_sibling_belongs_to_the_pattern_of_its_live_file() {
        let reads = |pattern: &str, path: &str| super::reads(&[pattern.to_owned()], path.as_ref());
        assert!(reads("/l/a.log", "/l/a.log"));
        assert!(reads("/l/a.log", "/l/a.log.1.gz"));
        assert!(reads("/l/a.log", "/l/a.log-20260302"));
        assert!(reads("/l/*.log*", "/l/b.log.2"));
        assert!(!reads("/l/a.log", "/l/a.logs"));
        assert!(!reads("/l/*.log", "/l/deep/b.log"));
    }
}

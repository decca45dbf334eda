//! One declared source: its looks at the directories, its streams, its status.
//!
//! Streams take turns, one buffer each, so a backlog in one starves no other. A file belongs to
//! one stream of the source, however many names and patterns lead to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::discover::{Family, Findings, Found, directories, discover};
use super::follow::Round;
use super::identity::{outlives_the_file, same_file};
use super::names::Age;
use super::stream::Stream;
use super::{ClockStep, FileSource, Limits, Report};
use crate::engine::coverage::SourceStatus;
use crate::engine::credential::{SourceName, StreamName};
use crate::engine::policy::SourcePolicy;
use crate::engine::scan::matcher::{Matcher, TrackedKey};
use crate::engine::time::Timestamp;
use crate::engine::usage::{FileId, Issued};

/// A source that is being followed.
pub struct Follower {
    /// Its name.
    pub name: SourceName,
    patterns: Vec<String>,
    link_roots: Vec<PathBuf>,
    matcher: Matcher,
    policy: SourcePolicy,
    future_tolerance: Duration,
    streams: BTreeMap<PathBuf, Stream>,
    /// Number of the stream that reads first at the next turn.
    turn: usize,
    looked_at: Option<Timestamp>,
    look: Look,
    /// Whether the newest look was not told yet with everything read.
    untold: bool,
    caught_up: bool,
    findings: Findings,
}

/// Whether the poll at hand looks at the directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Not,
    First,
    Again,
}

impl Follower {
    /// Starts to follow `source`.
    pub fn new(source: FileSource) -> Self {
        let absolute = |pattern: &String| match std::path::absolute(pattern) {
            Ok(path) => path.to_str().map_or_else(|| pattern.clone(), str::to_owned),
            Err(_) => pattern.clone(),
        };
        Self {
            name: source.name,
            patterns: source.patterns.iter().map(absolute).collect(),
            link_roots: source.link_roots,
            matcher: source.matcher,
            policy: source.policy,
            future_tolerance: source.future_tolerance,
            streams: BTreeMap::new(),
            turn: 0,
            looked_at: None,
            look: Look::Not,
            untold: false,
            caught_up: false,
            findings: Findings::default(),
        }
    }

    /// Returns the stream of this name; starts one if there is none.
    pub fn stream(&mut self, name: &StreamName) -> &mut Stream {
        let live = PathBuf::from(name.as_str());
        self.streams.entry(live.clone()).or_insert_with(|| Stream::new(live))
    }

    /// Looks for one more key from now on.
    pub fn track(&mut self, key: TrackedKey) {
        self.matcher.track(key);
    }

    /// Takes note of a step of the wall clock.
    pub fn note_step(&mut self, step: ClockStep) {
        for stream in self.streams.values_mut() {
            stream.sequence.note_step(step);
            for generation in &mut stream.generations {
                generation.note_step(step);
            }
        }
    }

    /// Takes the news that a session's key was issued.
    pub fn take_issued(&mut self, issued: &Issued) {
        self.matcher.take_issued(issued);
    }

    /// Returns the directories in which a change may mean something to read.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let mut all = directories(&self.patterns, &self.streams.keys().cloned().collect());
        let open = self.streams.values().flat_map(|stream| &stream.generations);
        let places = open
            .filter_map(|one| Some((Path::new(&one.record.path).parent()?, one.target.parent()?)));
        // A file that a link leads to changes in its own directory. One whose directory is a link
        // lies in the same under another name.
        let elsewhere: BTreeSet<_> = places.filter(|(named, real)| named != real).collect();
        for (named, real) in elsewhere {
            if named.canonicalize().is_ok_and(|named| named != real) {
                all.insert(real.to_owned());
            }
        }
        all
    }

    /// Tells whether a file lies on a weak file system, which may keep its changes to itself.
    pub fn is_weak(&self) -> bool {
        !self.findings.weak.is_empty()
    }

    /// Looks at the directories if it is time to, and at the open files in any case. Returns whether
    /// it was time to.
    pub fn look(
        &mut self,
        now: Timestamp,
        limits: &Limits,
        open_files: &mut usize,
        out: &mut Vec<Report>,
    ) -> bool {
        self.look = match self.looked_at {
            None => Look::First,
            Some(at) if now < at || now.since(at) >= limits.rescan => Look::Again,
            Some(_) => Look::Not,
        };
        if self.look == Look::Not {
            self.each(now, limits, open_files, out, |stream, round| {
                stream.observe(round);
                0
            });
            return false;
        }
        self.looked_at = Some(now);
        self.untold = true;
        let known = self.streams.keys().cloned().collect();
        let mut findings = discover(&self.patterns, &known, &self.link_roots);
        self.share_out(&mut findings.families);
        for live in findings.families.keys() {
            self.streams.entry(live.clone()).or_insert_with(|| Stream::new(live.clone()));
        }
        let families = std::mem::take(&mut findings.families);
        self.findings = findings;
        let none = Family::default();
        self.each(now, limits, open_files, out, |stream, round| {
            let family = families.get(&stream.live);
            let family = family.unwrap_or(&none);
            stream.reconcile(family, round);
            stream.forget_old(family, round);
            0
        });
        true
    }

    /// Lets one stream read one buffer; returns how much was read, 0 when nothing is left.
    pub fn read(
        &mut self,
        now: Timestamp,
        limits: &Limits,
        open_files: &mut usize,
        buffer: &mut Vec<u8>,
        out: &mut Vec<Report>,
    ) -> usize {
        self.each(now, limits, open_files, out, |stream, round| stream.read(round, buffer))
    }

    /// Finishes what is over and tells the status, once a look.
    pub fn settle(
        &mut self,
        now: Timestamp,
        limits: &Limits,
        open_files: &mut usize,
        buffer: &mut Vec<u8>,
        out: &mut Vec<Report>,
    ) {
        self.each(now, limits, open_files, out, |stream, round| {
            stream.settle(round, buffer);
            0
        });
        let reading = |stream: &Stream| {
            stream.generations.iter().any(|one| one.body.is_some() && !one.at_end())
        };
        let behind = self.streams.values().any(reading);
        // Once for the look, and once more if the reading ended only in a later poll.
        if self.look != Look::Not || self.untold && !behind {
            self.untold = behind;
            out.push(Report::Status(self.status()));
        }
    }

    /// Calls `act` on the streams in turn until one of them has read something.
    fn each(
        &mut self,
        now: Timestamp,
        limits: &Limits,
        open_files: &mut usize,
        out: &mut Vec<Report>,
        mut act: impl FnMut(&mut Stream, &mut Round<'_>) -> usize,
    ) -> usize {
        let mut round = Round {
            source: &self.name,
            allowed_lateness: self.policy.allowed_lateness,
            future_tolerance: self.future_tolerance,
            idle_is_proof: self.policy.silence_is_idle,
            matcher: &mut self.matcher,
            limits,
            now,
            looked_at: self.looked_at.unwrap_or(now),
            looking: self.look != Look::Not,
            first_look: self.look == Look::First,
            open_files,
            out,
        };
        let mut streams: Vec<&mut Stream> = self.streams.values_mut().collect();
        let count = streams.len();
        streams.rotate_left(self.turn.checked_rem(count).unwrap_or(0));
        for (step, stream) in streams.into_iter().enumerate() {
            let read = act(stream, &mut round);
            if read > 0 {
                self.turn = (self.turn + step + 1) % count;
                return read;
            }
        }
        0
    }

    /// Gives each file to one stream: to the one that reads it already, else to the first.
    fn share_out(&self, families: &mut BTreeMap<PathBuf, Family>) {
        let mut owners: HashMap<u64, Vec<(FileId, &Path)>> = HashMap::new();
        let open = self.streams.iter().flat_map(|(live, stream)| {
            let open = stream
                .generations
                .iter()
                .filter(|one| one.body.is_some() || outlives_the_file(one.record.file));
            open.map(move |one| (one.record.file, &**live))
        });
        let finished = self.streams.iter().flat_map(|(live, stream)| {
            stream.finished.iter().map(move |record| (record.file, &**live))
        });
        // Who reads a file comes before who has read it.
        for owned in open.chain(finished.filter(|(id, _)| outlives_the_file(*id))) {
            owners.entry(owned.0.inode).or_default().push(owned);
        }
        // Where its device is still there, it says which of two files of that number it is.
        let files = families.values().flat_map(|family| &family.files);
        let devices: BTreeSet<u64> = files.map(|file| file.facts.id.device).collect();
        let is_same = |owned: FileId, id: FileId| {
            let may_be = owned.device == id.device || !devices.contains(&owned.device);
            may_be && same_file(owned, id)
        };
        let mut moved: Vec<(PathBuf, Found)> = Vec::new();
        let mut seen: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
        // A symbolic link is a second name, whichever comes first.
        for links in [false, true] {
            for (live, family) in families.iter_mut() {
                let files = std::mem::take(&mut family.files);
                for mut file in files {
                    let id = file.facts.id;
                    let owner = owners
                        .get(&id.inode)
                        .and_then(|owners| owners.iter().find(|(owned, _)| is_same(*owned, id)))
                        .map(|(_, owner)| *owner);
                    if file.linked != links {
                        family.files.push(file);
                    } else if let Some(owner) = owner.filter(|owner| *owner != live) {
                        family.live_elsewhere |= file.age == Age::Live;
                        file.age =
                            Age::Rotated { date: String::new(), number: std::cmp::Reverse(0) };
                        moved.push((owner.to_owned(), file));
                    } else if *seen.entry((id.device, id.inode)).or_insert_with(|| live.clone())
                        == *live
                    {
                        family.files.push(file);
                    } else {
                        family.live_elsewhere |= file.age == Age::Live;
                    }
                }
                family.files.sort_by(Found::cmp_age);
            }
        }
        for (owner, file) in moved {
            if let Some(family) = families.get_mut(&owner)
                && !family.files.iter().any(|other| other.facts.id == file.facts.id)
            {
                family.files.insert(0, file);
            }
        }
        families.retain(|live, family| {
            !family.files.is_empty() || family.hidden.is_some() || self.streams.contains_key(live)
        });
    }

    fn status(&mut self) -> SourceStatus {
        let waiting = |stream: &Stream| {
            let early = |one: &&super::generation::Generation| one.first_look && !one.reached_end;
            stream.generations.iter().filter(early).any(|one| one.trouble.is_none())
        };
        self.caught_up |= !self.streams.values().any(waiting);
        let mut unreadable = self.findings.unreadable.clone();
        for generation in self.streams.values().flat_map(|stream| &stream.generations) {
            if let Some(trouble) = &generation.trouble {
                unreadable.entry(generation.record.path.clone()).or_insert_with(|| trouble.clone());
            }
        }
        SourceStatus {
            source: self.name.clone(),
            looked_at: self.looked_at.unwrap_or(Timestamp::MIN),
            absent: self.findings.absent.iter().cloned().collect(),
            unreadable: unreadable.into_iter().collect(),
            refused: self.findings.refused.clone().into_iter().collect(),
            weak: self.findings.weak.values().cloned().collect(),
            streams: self.streams.values().map(Stream::status).collect(),
            // A file shows a mask in its lines, if it has one.
            masked: None,
            caught_up: self.caught_up,
        }
    }
}

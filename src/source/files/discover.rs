//! Which files a source's patterns mean today, sorted into families.
//!
//! One look at the directories, without memory and without opening a log: only regular files are
//! found, everything else is refused with a reason. What cannot be looked at is said, never
//! taken for absent.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::identity::FileFacts;
use super::listing::{Roots, list_families};
use super::names::{Age, FamilyName, Packing};
use super::open::open_log;
use super::packed::Codec;
use crate::engine::coverage::WeakFileSystem;
use crate::engine::usage::FileId;

/// One file of a family.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name.
    pub path: PathBuf,
    /// The file itself: its path without symbolic links.
    pub target: PathBuf,
    /// Whether its name is a symbolic link.
    pub linked: bool,
    /// Age within the family.
    pub age: Age,
    /// How its name says that it is packed, if it does.
    pub named_codec: Option<Codec>,
    /// How its content says that it is packed, once that was looked at.
    pub content: OnceCell<Option<Codec>>,
    /// What `stat` says of it.
    pub facts: FileFacts,
    /// Why it cannot be read, if so.
    pub unreadable: Option<String>,
}

impl Found {
    /// Makes what was found at `path`, whose name says `name`.
    pub fn of(
        path: PathBuf,
        target: PathBuf,
        linked: bool,
        name: &FamilyName<'_>,
        facts: FileFacts,
    ) -> Self {
        let (age, named_codec) = (name.age.clone(), name.packing.codec());
        let (content, unreadable) = (OnceCell::new(), None);
        Self { path, target, linked, age, named_codec, content, facts, unreadable }
    }

    /// Returns how it is packed, if it is. Reads its first bytes at the first call.
    pub fn packed(&self) -> io::Result<Option<Codec>> {
        if let Some(codec) = self.content.get() {
            return Ok(*codec);
        }
        let (log, _) = open_log(&self.target, self.facts.id)?;
        let codec = Codec::of_file(&log, self.named_codec)?;
        Ok(*self.content.get_or_init(|| codec))
    }

    /// Compares by age, the oldest first: of one age what was written first and, where a packer has
    /// kept the time, the plain file before what was made of it.
    pub fn cmp_age(&self, other: &Self) -> Ordering {
        let key = |file: &Self| (file.facts.modified_at, file.named_codec.is_some());
        let names = || self.path.cmp(&other.path);
        self.age.cmp(&other.age).then_with(|| key(self).cmp(&key(other))).then_with(names)
    }

    /// Tells whether it is packed, as far as is known without looking into it.
    pub fn is_packed(&self) -> bool {
        self.content.get().copied().unwrap_or(self.named_codec).is_some()
    }
}

/// The files of one family, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// The files. Two names of one file are one.
    pub files: Vec<Found>,
    /// Files that are refused because of how their names say they are packed.
    pub unread: Vec<Found>,
    /// Why the directory, or a file in it, cannot be looked at, if so: a file may be missing here.
    pub hidden: Option<String>,
    /// Which directory it is, where that can be told.
    pub directory: Option<FileId>,
    /// Whether the directory does not exist.
    pub homeless: bool,
    /// Whether the directory is told to be absent, and may come back as it was.
    pub awaited: bool,
    /// Whether the live file is read as one of another family.
    pub live_elsewhere: bool,
}

impl Family {
    /// Returns the refused files that others of the family are older than: where nothing was known
    /// of it, the lines of these do not go on in younger ones.
    pub fn unread_holes(&self) -> impl Iterator<Item = &Found> {
        let oldest = self.files.first();
        self.unread.iter().filter(move |file| oldest.is_some_and(|oldest| oldest.age < file.age))
    }

    /// Tells whether a packer may be writing `file` from the plain one of the same name, which is
    /// still there. One that was written before the plain one is not made of it.
    pub fn may_be_half_of(&self, file: &Found) -> bool {
        let plain = file.path.with_extension("");
        file.named_codec.is_some()
            && self.files.iter().any(|other| {
                other.path == plain && other.facts.modified_at <= file.facts.modified_at
            })
    }
}

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Families by the path of their live file.
    pub families: BTreeMap<PathBuf, Family>,
    /// Patterns that match nothing.
    pub absent: BTreeSet<String>,
    /// Paths that cannot be looked at or read, with reasons.
    pub unreadable: BTreeMap<String, String>,
    /// Paths that are refused, with reasons.
    pub refused: BTreeMap<String, String>,
    /// File systems of which less is sure, by device.
    pub weak: BTreeMap<u64, WeakFileSystem>,
}

impl Findings {
    /// Notes what the file or directory at `path` lies on.
    pub(super) fn note_file_system(&mut self, path: &Path, facts: &FileFacts) {
        if let Some(weakness) = facts.weakness {
            self.weak.entry(facts.id.device).or_insert_with(|| WeakFileSystem {
                path: path.display().to_string(),
                name: facts.file_system.name(),
                weakness,
            });
        }
    }
}

/// Looks at the files of `patterns` (absolute) and of the families that are `known` by the path of
/// their live file. Links may lead below the directory of a family's pattern and `link_roots`.
pub fn discover(
    patterns: &[String],
    known: &BTreeSet<PathBuf>,
    link_roots: &[PathBuf],
) -> Findings {
    let mut findings = Findings::default();
    // Families to list, each with the directory that its files must not leave: the widest one.
    let mut roots: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut matches: Vec<(&String, Vec<PathBuf>)> = Vec::new();
    for pattern in patterns {
        let base = base_of(pattern);
        let paths = expand(pattern, &mut findings.unreadable);
        let families: Vec<PathBuf> =
            paths.iter().filter_map(|path| family_of(path, &mut findings)).collect();
        for live in &families {
            let root = roots.entry(live.clone()).or_insert_with(|| base.clone());
            if root.starts_with(&base) {
                root.clone_from(&base);
            }
        }
        matches.push((pattern, families));
    }
    for live in known {
        let parent = live.parent().unwrap_or(Path::new("/"));
        roots.entry(live.clone()).or_insert_with(|| parent.to_owned());
    }
    list_families(&roots, &Roots::of(link_roots), &mut findings);
    for (pattern, families) in matches {
        let shows = |live: &PathBuf| {
            let family = findings.families.get(live);
            family.is_some_and(|family| !family.files.is_empty() || family.hidden.is_some())
        };
        let nothing = !families.iter().any(shows);
        if nothing && !explain_nothing(pattern, &mut findings.unreadable) {
            findings.absent.insert(pattern.clone());
        }
    }
    if !findings.absent.is_empty() {
        findings.families.values_mut().for_each(|family| family.awaited = family.homeless);
    }
    findings
}

/// Returns the directories whose changes may change what [`discover`] finds.
pub fn directories(patterns: &[String], known: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let parents = known.iter().filter_map(|live| live.parent()).map(Path::to_owned);
    patterns.iter().map(|pattern| base_of(pattern)).chain(parents).collect()
}

/// Returns the directory of `pattern`: everything before its first component with a wildcard.
fn base_of(pattern: &str) -> PathBuf {
    let path = Path::new(pattern);
    let plain = |part: &std::path::Component<'_>| {
        !part.as_os_str().to_string_lossy().contains(['*', '?', '['])
    };
    let base: PathBuf = path.components().take_while(plain).collect();
    if base == path { base.parent().unwrap_or(Path::new("/")).to_owned() } else { base }
}

/// Returns the paths that `pattern` matches.
fn expand(pattern: &str, unreadable: &mut BTreeMap<String, String>) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        // `glob` takes a path that it may not look at for one that does not exist.
        return match std::fs::symlink_metadata(pattern) {
            Ok(_) => vec![PathBuf::from(pattern)],
            Err(_) => Vec::new(),
        };
    }
    let Ok(paths) = glob::glob(pattern) else {
        unreadable.insert(pattern.to_owned(), "not a valid pattern".to_owned());
        return Vec::new();
    };
    let mut matched = Vec::new();
    for path in paths {
        match path {
            Ok(path) => matched.push(path),
            Err(error) => {
                let path = error.path().display().to_string();
                unreadable.insert(path, reason(error.error()));
            }
        }
    }
    matched
}

/// Tells whether `pattern` matches nothing because something may not be looked at.
fn explain_nothing(pattern: &str, unreadable: &mut BTreeMap<String, String>) -> bool {
    let literal = !pattern.contains(['*', '?', '[']);
    let base = base_of(pattern);
    let error = if literal {
        std::fs::symlink_metadata(pattern).err()
    } else {
        std::fs::read_dir(&base).err()
    };
    match error {
        Some(error) if !is_absence(&error) => {
            let path = if literal { pattern.to_owned() } else { base.display().to_string() };
            unreadable.insert(path, reason(&error));
            true
        }
        _ => false,
    }
}

/// Returns the path of the live file of the family that `path` belongs to, unless it is refused.
fn family_of(path: &Path, findings: &mut Findings) -> Option<PathBuf> {
    let shown = path.display().to_string();
    let Some(name) =
        path.file_name().and_then(|name| name.to_str()).filter(|_| path.to_str().is_some())
    else {
        // A log that is silently left out could hide a use: this is no mere refusal.
        findings.unreadable.insert(shown, "its name is not valid UTF-8".to_owned());
        return None;
    };
    let name = FamilyName::of(name);
    if let Packing::Unread { ending, .. } = name.packing {
        findings.refused.insert(shown, unread(ending));
        return None;
    }
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            findings.refused.insert(shown, kind_of(&meta).to_owned());
            None
        }
        _ => Some(path.with_file_name(name.live)),
    }
}

/// Says what is no regular file.
pub(super) fn kind_of(meta: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = meta.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Says why a packed file is not read.
pub(super) fn unread(ending: &str) -> String {
    format!("{ending} compression is not supported by this version")
}

/// Tells whether an error says that nothing is there.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Says in a few words what the operating system said.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string().to_lowercase();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

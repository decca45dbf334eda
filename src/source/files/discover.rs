//! Which files a source's patterns mean today, sorted into families.
//!
//! One look at the directories, without memory and without opening a log: only regular files are
//! found, everything else is refused with a reason. What cannot be looked at is said, never
//! taken for absent.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags};

use super::identity::FileFacts;
use super::names::{Age, FamilyName, Packing};
use super::open::open_as_it_is;
use crate::engine::coverage::WeakFileSystem;

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
    /// Whether it is compressed.
    pub gzip: bool,
    /// What `stat` says of it.
    pub facts: FileFacts,
    /// Why it cannot be read, if so.
    pub unreadable: Option<String>,
}

/// The files of one family, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// The files. Two names of one file are one.
    pub files: Vec<Found>,
    /// Why the directory, or a file in it, cannot be looked at, if so: a file may be missing here.
    pub hidden: Option<String>,
    /// Whether the directory does not exist.
    pub homeless: bool,
    /// Whether the live file is read as one of another family.
    pub live_elsewhere: bool,
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
    fn note_file_system(&mut self, path: &Path, facts: &FileFacts) {
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
/// their live file.
pub fn discover(patterns: &[String], known: &BTreeSet<PathBuf>) -> Findings {
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
    list_families(&roots, &mut findings);
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
    if let Packing::Unread(ending) = name.packing {
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

fn list_families(roots: &BTreeMap<PathBuf, PathBuf>, findings: &mut Findings) {
    let mut directories: BTreeMap<&Path, BTreeMap<&str, PathBuf>> = BTreeMap::new();
    let mut canonical: BTreeMap<&Path, PathBuf> = BTreeMap::new();
    for (live, root) in roots {
        let root = canonical
            .entry(root)
            .or_insert_with(|| root.canonicalize().unwrap_or_else(|_| root.clone()))
            .clone();
        findings.families.insert(live.clone(), Family::default());
        if let (Some(parent), Some(name)) = (live.parent(), live.file_name()) {
            let name = name.to_str().expect("families have UTF-8 names");
            directories.entry(parent).or_default().insert(name, root);
        }
    }
    for (directory, families) in directories {
        list_directory(directory, &families, findings);
    }
    for family in findings.families.values_mut() {
        sort_family(family);
    }
}

fn list_directory(directory: &Path, families: &BTreeMap<&str, PathBuf>, findings: &mut Findings) {
    let (entries, canonical) = match entries_of(directory) {
        Ok(listing) => listing,
        Err(error) if is_absence(&error) => {
            for name in families.keys() {
                findings.families.entry(directory.join(name)).or_default().homeless = true;
            }
            return;
        }
        Err(error) => {
            findings.unreadable.insert(directory.display().to_string(), reason(&error));
            for name in families.keys() {
                let family = findings.families.entry(directory.join(name)).or_default();
                family.hidden = Some(reason(&error));
            }
            return;
        }
    };
    // Told also while the directory holds no file: what was read of it rests on it all the same.
    if let Ok(facts) = FileFacts::at(&canonical) {
        findings.note_file_system(directory, &facts);
    }
    for entry in entries {
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().map(FamilyName::of) else { continue };
        let Some(root) = families.get(name.live) else { continue };
        let path = directory.join(&file_name);
        let shown = path.display().to_string();
        if let Packing::Unread(ending) = name.packing {
            findings.refused.insert(shown, unread(ending));
            continue;
        }
        match examine(&path, &canonical, root) {
            Ok(Examined::File { target, linked, facts }) => {
                findings.note_file_system(&path, &facts);
                let unreadable = access(&target).err().map(|error| reason(&error));
                if let Some(reason) = &unreadable {
                    findings.unreadable.insert(shown, reason.clone());
                }
                let gzip = name.packing == Packing::Gzip;
                let age = name.age;
                let family = findings.families.entry(directory.join(name.live)).or_default();
                family.files.push(Found { path, target, linked, age, gzip, facts, unreadable });
            }
            Ok(Examined::Refused(reason)) => {
                findings.refused.insert(shown, reason);
            }
            Err(error) if is_absence(&error) => {}
            Err(error) => {
                let family = findings.families.entry(directory.join(name.live)).or_default();
                family.hidden = Some(reason(&error));
                findings.unreadable.insert(shown, reason(&error));
            }
        }
    }
}

/// Lists a directory; also returns its path without symbolic links.
fn entries_of(directory: &Path) -> io::Result<(Vec<std::fs::DirEntry>, PathBuf)> {
    let entries: io::Result<Vec<_>> = std::fs::read_dir(directory)?.collect();
    Ok((entries?, directory.canonicalize()?))
}

enum Examined {
    File { target: PathBuf, linked: bool, facts: FileFacts },
    Refused(String),
}

/// Looks at one path without reading it. `parent` is its directory without symbolic links, as `root` is.
fn examine(path: &Path, parent: &Path, root: &Path) -> io::Result<Examined> {
    let leaves =
        || Examined::Refused("symbolic link that leaves the pattern's directory".to_owned());
    let name = path.file_name().unwrap_or_default();
    let mut target = parent.join(name);
    if !parent.starts_with(root) {
        // What is not there is absent, wherever that would have been.
        std::fs::symlink_metadata(path)?;
        return Ok(leaves());
    }
    // What is opened for its path alone blocks nobody, and is what the facts are about.
    let mut file = open_as_it_is(&target, OFlags::PATH)?;
    let linked = file.metadata()?.is_symlink();
    if linked {
        target = path.canonicalize()?;
        if !target.starts_with(root) {
            return Ok(leaves());
        }
        file = open_as_it_is(&target, OFlags::PATH)?;
    }
    let meta = file.metadata()?;
    if meta.is_symlink() {
        // It was turned into one just now.
        return Err(io::ErrorKind::NotFound.into());
    }
    if meta.is_file() {
        Ok(Examined::File { target, linked, facts: FileFacts::of(&file)? })
    } else {
        Ok(Examined::Refused(kind_of(&meta).to_owned()))
    }
}

/// Asks whether this process may read `path`: an open descriptor outlives the permission.
fn access(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS)?)
}

/// Sorts the oldest first, drops second names of a file and the packed twins of plain files.
fn sort_family(family: &mut Family) {
    let files = &mut family.files;
    // Of two names the younger one stays: a live file is live whatever else it is called.
    files.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.path.cmp(&b.path)));
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.facts.id));
    files.reverse();
    // `gzip` writes the packed twin while the plain file is still there: it is not looked at
    // before the plain one is gone.
    let plain: BTreeSet<PathBuf> =
        files.iter().filter(|file| !file.gzip).map(|file| file.path.clone()).collect();
    files.retain(|file| !file.gzip || !plain.contains(&file.path.with_extension("")));
}

fn kind_of(meta: &std::fs::Metadata) -> &'static str {
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

fn unread(ending: &str) -> String {
    format!("{ending} compression is not supported by this version")
}

fn is_absence(error: &io::Error) -> bool {
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

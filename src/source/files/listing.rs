//! The files of families: what their directories hold, looked at without opening a log.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags};

use super::discover::{Family, Findings, Found, is_absence, kind_of, reason, unread};
use super::identity::FileFacts;
use super::names::{Age, FamilyName, Packing};
use super::open::open_as_it_is;

/// Says that a link leads to where nothing is read.
pub const LINK_LEAVES: &str = "symbolic link that leaves the pattern's directory";

/// Links that are followed one after another, as many as the kernel follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Directories without symbolic links below which the files of a family may lie.
#[derive(Clone, Debug)]
pub struct Roots(Vec<PathBuf>);

impl Roots {
    /// Finds `link_roots`. Nothing lies below one that is not there, and one that turns out to be
    /// the root of all would let a link lead to any file.
    pub fn of(link_roots: &[PathBuf]) -> Self {
        let found = link_roots.iter().filter_map(|root| root.canonicalize().ok());
        Self(found.filter(|root| root.parent().is_some()).collect())
    }

    /// Returns the same and `root`.
    fn and(&self, root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Self(self.0.iter().cloned().chain([root]).collect())
    }

    /// Tells whether `path`, which has no symbolic link, lies below one of them.
    fn hold(&self, path: &Path) -> bool {
        self.0.iter().any(|root| path.starts_with(root))
    }
}

/// Lists the directories of families, each with the directory that its files must not leave but
/// for `link_roots`.
pub fn list_families(
    roots: &BTreeMap<PathBuf, PathBuf>,
    link_roots: &Roots,
    findings: &mut Findings,
) {
    let mut directories: BTreeMap<&Path, BTreeMap<&str, &Path>> = BTreeMap::new();
    let mut allowed: BTreeMap<&Path, Roots> = BTreeMap::new();
    for (live, root) in roots {
        allowed.entry(root).or_insert_with(|| link_roots.and(root));
        findings.families.insert(live.clone(), Family::default());
        if let (Some(parent), Some(name)) = (live.parent(), live.file_name()) {
            let name = name.to_str().expect("families have UTF-8 names");
            directories.entry(parent).or_default().insert(name, root);
        }
    }
    for (directory, families) in directories {
        let families = families.into_iter().map(|(name, root)| (name, &allowed[root])).collect();
        list_directory(directory, &families, findings);
    }
    for family in findings.families.values_mut() {
        sort_family(family);
    }
}

fn list_directory(directory: &Path, families: &BTreeMap<&str, &Roots>, findings: &mut Findings) {
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
        for name in families.keys() {
            let family = findings.families.entry(directory.join(name)).or_default();
            family.directory = Some(facts.id);
        }
    }
    for entry in entries {
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().map(FamilyName::of) else { continue };
        let Some(roots) = families.get(name.live) else { continue };
        let live = directory.join(name.live);
        let path = directory.join(&file_name);
        add(path.clone(), &name, &canonical, &live, roots, findings);
        if name.age == Age::Live
            && entry.file_type().is_ok_and(|kind| kind.is_symlink())
            && let Some(target) = target_of(&path)
            && target.parent() != Some(&canonical)
        {
            list_beside(&target, &live, roots, findings);
        }
    }
}

/// Returns where the link at `path` leads in the end, in a directory without symbolic links, be the
/// file there or not: who rotates it may have taken the old one away just now.
fn target_of(path: &Path) -> Option<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&target) {
            Ok(next) => target = target.parent()?.join(next),
            Err(_) => return Some(target.parent()?.canonicalize().ok()?.join(target.file_name()?)),
        }
    }
    None
}

/// Adds the rotated files of the log at `target`, to which the link at `live` leads: who rotates
/// it does so there.
fn list_beside(target: &Path, live: &Path, roots: &Roots, findings: &mut Findings) {
    let (Some(directory), Some(log)) = (target.parent(), target.file_name()) else { return };
    if !roots.hold(directory) {
        return;
    }
    let entries = match entries_of(directory) {
        Ok((entries, _)) => entries,
        Err(error) if is_absence(&error) => return,
        Err(error) => {
            findings.unreadable.insert(directory.display().to_string(), reason(&error));
            findings.families.entry(live.to_owned()).or_default().hidden = Some(reason(&error));
            return;
        }
    };
    for entry in entries {
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().map(FamilyName::of) else { continue };
        if log == name.live && name.age != Age::Live {
            add(directory.join(&file_name), &name, directory, live, roots, findings);
        }
    }
}

/// Adds the file at `path`, which lies in `parent` if no link is followed, to the family of `live`.
fn add(
    path: PathBuf,
    name: &FamilyName<'_>,
    parent: &Path,
    live: &Path,
    roots: &Roots,
    findings: &mut Findings,
) {
    let shown = path.display().to_string();
    let examined = examine(&path, parent, roots);
    if let Packing::Unread { ending, .. } = name.packing {
        findings.refused.insert(shown, unread(ending));
        if let Ok(Examined::File { target, linked, facts }) = examined {
            let found = Found::of(path, target, linked, name, facts);
            findings.families.entry(live.to_owned()).or_default().unread.push(found);
        }
        return;
    }
    match examined {
        Ok(Examined::File { target, linked, facts }) => {
            findings.note_file_system(&path, &facts);
            let unreadable = access(&target).err().map(|error| reason(&error));
            if let Some(reason) = &unreadable {
                findings.unreadable.insert(shown, reason.clone());
            }
            // What is found through a link may have a family of its own, which comes first.
            let linked = linked || path.parent() != live.parent();
            let found = Found { unreadable, ..Found::of(path, target, linked, name, facts) };
            findings.families.entry(live.to_owned()).or_default().files.push(found);
        }
        Ok(Examined::Refused(reason)) => {
            findings.refused.insert(shown, reason);
        }
        Err(error) if is_absence(&error) => {}
        Err(error) => {
            let family = findings.families.entry(live.to_owned()).or_default();
            family.hidden = Some(reason(&error));
            findings.unreadable.insert(shown, reason(&error));
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

/// Looks at one path without reading it. `parent` is its directory without symbolic links.
fn examine(path: &Path, parent: &Path, roots: &Roots) -> io::Result<Examined> {
    let leaves = || Examined::Refused(LINK_LEAVES.to_owned());
    let name = path.file_name().unwrap_or_default();
    let mut target = parent.join(name);
    if !roots.hold(parent) {
        // What is not there is absent, wherever that would have been.
        std::fs::symlink_metadata(path)?;
        return Ok(leaves());
    }
    // What is opened for its path alone blocks nobody, and is what the facts are about.
    let mut file = open_as_it_is(&target, OFlags::PATH)?;
    let mut meta = file.metadata()?;
    let linked = meta.is_symlink();
    if linked {
        target = path.canonicalize()?;
        if !roots.hold(&target) {
            return Ok(leaves());
        }
        file = open_as_it_is(&target, OFlags::PATH)?;
        meta = file.metadata()?;
    }
    if meta.is_symlink() {
        // It was turned into one just now.
        return Err(io::ErrorKind::NotFound.into());
    }
    if meta.is_file() {
        Ok(Examined::File { target, linked, facts: FileFacts::of_meta(&file, &meta) })
    } else {
        Ok(Examined::Refused(kind_of(&meta).to_owned()))
    }
}

/// Asks whether this process may read `path`: an open descriptor outlives the permission.
fn access(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS)?)
}

/// Sorts the oldest first and drops second names of a file.
fn sort_family(family: &mut Family) {
    let files = &mut family.files;
    // Of two names the younger one stays: a live file is live whatever else it is called.
    files.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.path.cmp(&b.path)));
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.facts.id));
    files.sort_by(Found::cmp_age);
}

//! The files of families: what their directories hold, looked at without opening a log.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, OFlags};

use super::discover::{Family, Findings, Found, is_absence, kind_of, reason, unread};
use super::identity::FileFacts;
use super::names::{FamilyName, Packing};
use super::open::open_as_it_is;

/// Lists the directories of families, each with the directory that its files must not leave.
pub fn list_families(roots: &BTreeMap<PathBuf, PathBuf>, findings: &mut Findings) {
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

//! Names on a command line -> the files that are meant, each once, in the order of reading.
//!
//! A name is a file, a directory (all files below it), a pattern that the shell did not expand, or
//! `-`. Files are sorted by path, so the order of the names changes nothing. What is named and
//! cannot be read stays in the list with the reason: nothing is left out in silence but names that
//! begin with a dot, which a shell's pattern leaves out too.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::is_stdin;
use super::open::{Identity, Look, OpenFile};

/// Directories below a named one that are entered, counted downwards.
const MAX_DEPTH: usize = 32;

/// A shell's rules: `*` matches neither a `/` nor a dot that begins a name.
const LIKE_A_SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// An input that was named.
#[derive(Debug)]
pub struct Named {
    /// Its path, as it is shown to people; `-` is standard input.
    pub path: PathBuf,
    /// What it was when the name was looked up; `None`: a stream. Or why it cannot be read.
    pub look: io::Result<Option<Look>>,
}

impl Named {
    fn refused(path: &Path, why: impl Into<io::Error>) -> Self {
        Self { path: path.to_owned(), look: Err(why.into()) }
    }
}

/// Finds the files that `names` mean. A file with several names has the first of them.
pub fn resolve(names: &[PathBuf]) -> Vec<Named> {
    let mut names: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
    names.sort_unstable();
    let mut search = Search::default();
    for name in names {
        search.name(name);
    }
    let mut found = search.found;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    let mut seen = HashSet::new();
    found.retain(|named| match &named.look {
        Ok(Some(look)) => seen.insert(look.identity),
        Ok(None) | Err(_) => true,
    });
    found
}

#[derive(Default)]
struct Search {
    found: Vec<Named>,
    /// Directories that were entered: a link back to one of them ends there.
    entered: HashSet<Identity>,
}

impl Search {
    fn name(&mut self, name: &Path) {
        if is_stdin(name) {
            let look = OpenFile::stdin().map(|file| file.look().copied());
            return self.found.push(Named { path: name.to_owned(), look });
        }
        match pattern_of(name) {
            Some(pattern) => self.pattern(name, pattern),
            None => self.path(name, 0),
        }
    }

    fn pattern(&mut self, name: &Path, pattern: &str) {
        let paths = match glob::glob_with(pattern, LIKE_A_SHELL) {
            Ok(paths) => paths,
            Err(error) => {
                let why = format!("there is no such file, and it is no pattern: {error}");
                return self.found.push(Named::refused(name, io::Error::other(why)));
            }
        };
        let mut matched = false;
        for path in paths {
            matched = true;
            match path {
                Ok(path) => self.path(&path, 0),
                Err(error) => {
                    let path = error.path().to_owned();
                    self.found.push(Named::refused(&path, error));
                }
            }
        }
        if !matched {
            self.found.push(Named::refused(name, io::Error::other("no file has such a name")));
        }
    }

    /// Adds a file, or all files below a directory.
    fn path(&mut self, path: &Path, depth: usize) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                if self.entered.insert(Identity::of(&metadata)) {
                    self.directory(path, depth);
                }
            }
            Ok(metadata) => {
                let look = Look::of(&metadata).map(Some);
                self.found.push(Named { path: path.to_owned(), look });
            }
            Err(error) => self.found.push(Named::refused(path, error)),
        }
    }

    fn directory(&mut self, path: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            let why = format!("lies more than {MAX_DEPTH} directories deep: name it by itself");
            return self.found.push(Named::refused(path, io::Error::other(why)));
        }
        let mut within = Vec::new();
        match fs::read_dir(path) {
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => within.push(entry.path()),
                        Err(error) => self.found.push(Named::refused(path, error)),
                    }
                }
            }
            Err(error) => return self.found.push(Named::refused(path, error)),
        }
        within.retain(|path| !is_hidden(path));
        within.sort_unstable();
        let before = self.found.len();
        for entry in &within {
            self.path(entry, depth + 1);
        }
        if depth == 0 && self.found.len() == before {
            self.found.push(Named::refused(path, io::Error::other("no file is below it")));
        }
    }
}

/// Returns the name as a pattern if it is one and no file has it as its name.
fn pattern_of(name: &Path) -> Option<&str> {
    let is_literal = || fs::symlink_metadata(name).is_ok();
    name.to_str().filter(|text| text.contains(['*', '?', '[']) && !is_literal())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."))
}

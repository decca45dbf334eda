//! Opens what was found and nothing else: no symbolic link is followed, nobody is waited for.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::identity::{FileFacts, same_file};
use crate::engine::usage::FileId;

/// Opens the log file at `path`, free of symbolic links, that was found as `id`; never blocks.
pub fn open_log(path: &Path, id: FileId) -> io::Result<(File, FileFacts)> {
    let file = open_as_it_is(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let meta = file.metadata()?;
    let facts = FileFacts::of_meta(&file, &meta);
    if meta.is_file() && same_file(facts.id, id) {
        Ok((file, facts))
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "replaced while it was opened"))
    }
}

/// Opens `path`, which holds no symbolic link: one that was put into it since leads nowhere.
///
/// A kernel or sandbox without `openat2` guards the last part of the path alone.
pub fn open_as_it_is(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(CWD, path, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM) => openat(CWD, path, flags, Mode::empty()),
        opened => opened,
    };
    match opened {
        Ok(file) => Ok(file.into()),
        Err(Errno::LOOP) => Err(io::ErrorKind::NotFound.into()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_put_into_a_path_after_the_look_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/access.log"), "line\n").unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        assert!(open_as_it_is(&root.join("real/access.log"), OFlags::RDONLY).is_ok());
        let error = open_as_it_is(&root.join("link/access.log"), OFlags::RDONLY).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}

//! On which file systems less is sure of a file than on a local disk.
//!
//! A file is known by the kernel's handle of it, else by inode number and time of birth. Where a
//! file system is served by another host or by a program, either may change or come again; where
//! it has neither, an inode number that is used again looks like the same file. That is never
//! taken for sure: it is told. Here is only what `fstatfs` says; nothing here looks at a name.

use std::os::fd::AsFd;

use crate::engine::coverage::Weakness;

/// `FUSE_SUPER_MAGIC`, which `virtiofs` has, too.
const FUSE: u32 = 0x6573_5546;

/// `OVERLAYFS_SUPER_MAGIC`.
const OVERLAY: u32 = 0x794c_7630;

/// File systems that another host keeps, by the magic numbers of `linux/magic.h` and, where these
/// are not there, of the file system's own source.
const REMOTE: [(u32, &str); 11] = [
    (0x0000_6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb3"),
    (0x0000_517b, "smb"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x0bd0_0bd0, "lustre"),
    (0x786f_4256, "vboxsf"),
];

/// What is known of the file system that a file lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its magic number; 0 where the system does not tell.
    magic: u32,
}

impl FileSystem {
    /// Asks the system on what `file` lies, which may be open for its path alone.
    pub fn of(file: impl AsFd) -> Self {
        let magic = rustix::fs::fstatfs(file).map_or(0, |stat| {
            // A word of the kernel: on some machines the number is extended by its sign.
            u32::try_from(i128::from(stat.f_type) & i128::from(u32::MAX)).unwrap_or(0)
        });
        Self { magic }
    }

    /// Tells whether a handle is that of the same file for ever.
    ///
    /// A FUSE handle counts the names that were looked up since the mount: another one comes with
    /// the next mount, or when the kernel needs memory.
    pub fn keeps_handles(self) -> bool {
        self.magic != FUSE
    }

    /// Returns what is less sure here than on a local disk, of a file with a handle or not, and
    /// with a time of birth or not. `None`: nothing.
    pub fn weakness(self, handle: bool, birth: bool) -> Option<Weakness> {
        match self.magic {
            FUSE => Some(Weakness::Served),
            magic if REMOTE.iter().any(|(remote, _)| *remote == magic) => Some(Weakness::Remote),
            OVERLAY if !handle => Some(Weakness::Layered),
            _ if !handle && !birth => Some(Weakness::Nameless),
            _ => None,
        }
    }

    /// Returns its name, or its number where it has none here.
    pub fn name(self) -> String {
        let remote = REMOTE.iter().find(|(remote, _)| *remote == self.magic);
        match (self.magic, remote) {
            (_, Some((_, name))) => (*name).to_owned(),
            (FUSE, _) => "fuse".to_owned(),
            (OVERLAY, _) => "overlay".to_owned(),
            (0x8584_58f6, _) => "ramfs".to_owned(),
            (0x0000_4d44, _) => "vfat".to_owned(),
            (0, _) => "a file system that does not tell its name".to_owned(),
            (magic, _) => format!("file system {magic:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXT4: u32 = 0xef53;
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;

    fn weakness(magic: u32, handle: bool, birth: bool) -> Option<&'static str> {
        FileSystem { magic }.weakness(handle, birth).map(Weakness::as_str)
    }

    #[test]
    fn what_another_host_or_a_program_serves_is_weak_whatever_it_says_of_a_file() {
        for (handle, birth) in [(true, true), (true, false), (false, true), (false, false)] {
            for (magic, _) in REMOTE {
                assert_eq!(weakness(magic, handle, birth), Some("remote"), "{magic:#x}");
            }
            assert_eq!(weakness(FUSE, handle, birth), Some("served"));
        }
    }

    #[test]
    fn a_local_file_system_is_weak_without_handle_and_time_of_birth_alone() {
        for magic in [EXT4, TMPFS, RAMFS, 0x5846_5342, 0x9123_683e, 0] {
            for (handle, birth) in [(true, true), (true, false), (false, true)] {
                assert_eq!(weakness(magic, handle, birth), None, "{magic:#x}");
            }
            assert_eq!(weakness(magic, false, false), Some("nameless"));
        }
    }

    #[test]
    fn layers_are_weak_unless_they_have_handles() {
        assert_eq!(weakness(OVERLAY, true, true), None);
        assert_eq!(weakness(OVERLAY, false, true), Some("layered"));
        assert_eq!(weakness(OVERLAY, false, false), Some("layered"));
    }

    #[test]
    fn a_weak_file_system_is_called_by_its_name() {
        let name = |magic| FileSystem { magic }.name();
        assert_eq!([0x6969, FUSE, OVERLAY, RAMFS].map(name), ["nfs", "fuse", "overlay", "ramfs"]);
        assert_eq!(name(0x1234_5678), "file system 0x12345678");
        assert_ne!(name(0), "");
    }

    #[test]
    fn only_handles_of_fuse_are_not_kept() {
        assert!(!FileSystem { magic: FUSE }.keeps_handles());
        assert!(
            [EXT4, TMPFS, OVERLAY, 0x6969].map(|magic| FileSystem { magic }.keeps_handles())
                == [true; 4]
        );
    }
}

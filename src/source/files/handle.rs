//! The kernel's own handle of a file: never given twice, unlike an inode number.
//!
//! `name_to_handle_at` needs no privilege; the handle is only compared, never opened. A file system
//! that has none (overlays, some FUSE) or a sandbox that forbids the call means no handle, and the
//! file is known by what else there is.

use std::os::fd::{AsFd, AsRawFd as _};

use sha2::{Digest as _, Sha256};

/// Longest handle of any kernel so far, in bytes (`MAX_HANDLE_SZ` of `linux/exportfs.h`).
const MAX_BYTES: usize = 128;

/// A `struct file_handle` with room for the longest handle.
#[repr(C)]
struct Raw {
    head: libc::file_handle,
    bytes: [u8; MAX_BYTES],
}

/// Returns a digest of the handle of the file behind `file`; `None` if it has none.
#[expect(unsafe_code, reason = "no crate that we use makes this system call")]
pub fn handle_of(file: impl AsFd) -> Option<[u8; 16]> {
    let mut raw = Raw {
        head: libc::file_handle {
            handle_bytes: u32::try_from(MAX_BYTES).expect("128 fits"),
            handle_type: 0,
            f_handle: [],
        },
        bytes: [0; MAX_BYTES],
    };
    let mut mount = 0;
    let head = (&raw mut raw).cast::<libc::file_handle>();
    // SAFETY: the descriptor is open for the call, the path is an empty C string, `head` points to
    // `raw`, behind whose `head` the `handle_bytes` bytes follow that the kernel may write, and
    // `mount` is a valid place for an int. Nothing is kept after the call.
    let done = unsafe {
        libc::name_to_handle_at(
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            head,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    let length = usize::try_from(raw.head.handle_bytes).ok()?;
    let bytes = raw.bytes.get(..length).filter(|_| done == 0)?;
    let mut digest = Sha256::new();
    digest.update(raw.head.handle_type.to_ne_bytes());
    digest.update(bytes);
    let mut short = [0; 16];
    short.copy_from_slice(&digest.finalize()[..16]);
    Some(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_keeps_its_handle_under_any_name_and_no_other_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let first = File::create(path("a")).unwrap();
        let other = File::create(path("b")).unwrap();
        let handle = handle_of(&first);
        assert_eq!(handle_of(&first), handle);
        assert!(handle.is_none() || handle_of(&other) != handle);
        std::fs::rename(path("a"), path("c")).unwrap();
        std::fs::hard_link(path("c"), path("d")).unwrap();
        assert_eq!(handle_of(File::open(path("d")).unwrap()), handle);
    }

    #[test]
    fn what_is_no_file_of_a_file_system_has_no_handle() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(handle_of(&reader), None);
    }
}

//! The fingerprint secret: one line of hex digits in `fingerprint.key`, readable by its owner only.
//!
//! The HMAC key is the text itself, trimmed, so that `openssl` can check a fingerprint. The file
//! is never overwritten, and its content never gets into an error.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::engine::credential::FingerprintSecret;
use crate::store::error::StoreError;

/// Name of the file in the state directory.
pub const FILE_NAME: &str = "fingerprint.key";

const SECRET_BYTES: usize = 32;
const HEX_DIGITS: usize = 2 * SECRET_BYTES;
/// Room for the digits and some white space; a longer file is no secret of ours.
const MAX_FILE_LEN: usize = HEX_DIGITS + 16;

/// Returns the fingerprint secret in `dir`; makes directory (0700) and secret (0600) if missing.
///
/// A new secret is on disk before it is returned. Of two processes that make one at the same time
/// both get the same.
pub fn load_or_create(dir: &Path) -> Result<FingerprintSecret, StoreError> {
    match load_existing(dir) {
        Err(StoreError::SecretMissing { .. }) => {}
        other => return other,
    }
    create_dir(dir)?;
    create(dir)?;
    load_existing(dir)
}

/// Makes the state directory if it is missing: nobody but its owner looks inside.
pub(super) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| StoreError::io("create", dir, source))
}

/// Returns the fingerprint secret in `dir`, or says that it is missing.
pub fn load_existing(dir: &Path) -> Result<FingerprintSecret, StoreError> {
    let path = dir.join(FILE_NAME);
    let opened = OpenOptions::new()
        .read(true)
        // A FIFO under this name must not make the daemon wait.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(&path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoreError::SecretMissing { path });
        }
        Err(error) => return Err(StoreError::io("open", &path, error)),
    };
    let metadata = file.metadata().map_err(|source| StoreError::io("inspect", &path, source))?;
    if !metadata.is_file() {
        return Err(StoreError::SecretMalformed { path, problem: "is not a file" });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::SecretExposed { path, mode });
    }
    // The whole buffer is reserved at once: growing it would leave copies in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_LEN + 1));
    file.take(MAX_FILE_LEN as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|source| StoreError::io("read", &path, source))?;
    parse(&text).map_err(|problem| StoreError::SecretMalformed { path, problem })
}

fn parse(text: &[u8]) -> Result<FingerprintSecret, &'static str> {
    let digits = text.trim_ascii();
    if digits.is_empty() {
        return Err("is empty");
    }
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() > MAX_FILE_LEN || digits.len() != HEX_DIGITS || !digits.iter().all(is_digit) {
        return Err("holds something else than 64 hex digits");
    }
    Ok(FingerprintSecret::new(digits.to_vec()))
}

/// Makes a secret under a name of its own, then links it into place: a reader sees all of it or
/// nothing, and a secret that is there already is never replaced.
fn create(dir: &Path) -> Result<(), StoreError> {
    let mut random = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(&mut *random).map_err(StoreError::Random)?;
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(StoreError::Random)?;
    let temporary = dir.join(format!("{FILE_NAME}.{:016x}", u64::from_ne_bytes(suffix)));
    let path = dir.join(FILE_NAME);
    let written = write_secret(&temporary, &random).and_then(|()| {
        match fs::hard_link(&temporary, &path) {
            // Another process was faster: its secret counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(|source| StoreError::io("create", &path, source)),
        }
    });
    let removed = fs::remove_file(&temporary);
    written?;
    removed.map_err(|source| StoreError::io("remove", &temporary, source))?;
    sync_dir(dir)
}

fn write_secret(path: &PathBuf, random: &[u8; SECRET_BYTES]) -> Result<(), StoreError> {
    let mut text = Zeroizing::new(Vec::with_capacity(HEX_DIGITS + 1));
    for byte in random {
        write!(text, "{byte:02x}").expect("writing to a Vec cannot fail");
    }
    text.push(b'\n');
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| StoreError::io("create", path, source))?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(|source| StoreError::io("write", path, source))
}

/// Makes a new name in `dir` survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|opened| opened.sync_all())
        .map_err(|source| StoreError::io("flush", dir, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, text: &str, mode: u32) {
        let path = dir.join(FILE_NAME);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn digits() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn a_new_secret_is_hex_text_that_only_its_owner_reads() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("a/state");
        let first = load_or_create(&dir).unwrap();
        let path = dir.join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 65);
        assert!(text.ends_with('\n'));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no temporary file stays");
        // The key is the trimmed text, as for `openssl -hmac "$(cat fingerprint.key)"`.
        let again = FingerprintSecret::new(text.trim().as_bytes().to_vec());
        assert_eq!(first.fingerprint(b"k"), again.fingerprint(b"k"));
        assert_eq!(first.check_value(), load_or_create(&dir).unwrap().check_value());
    }

    #[test]
    fn two_installs_have_different_secrets() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let check = |dir: &Path| load_or_create(dir).unwrap().check_value();
        assert_ne!(check(a.path()), check(b.path()));
    }

    #[test]
    fn a_secret_that_came_in_between_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &digits(), 0o600);
        create(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE_NAME)).unwrap(), digits());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_secret_is_told_from_a_bad_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = load_existing(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::SecretMissing { .. }));
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
    }

    #[test]
    fn a_bad_secret_is_refused_and_never_quoted() {
        let upper = digits().to_uppercase();
        let long = format!("{}{}", digits(), " ".repeat(100));
        let cases = [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("hunter2", "something else"),
            (upper.as_str(), "something else"),
            (&digits()[1..], "something else"),
            (long.as_str(), "something else"),
        ];
        for (text, expected) in cases {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), text, 0o600);
            let error = load_or_create(dir.path()).unwrap_err();
            assert!(matches!(error, StoreError::SecretMalformed { .. }), "{text:?}: {error}");
            let message = error.to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
            assert!(text.trim().is_empty() || !message.contains(text.trim()), "{message}");
            assert_eq!(fs::read_to_string(dir.path().join(FILE_NAME)).unwrap(), text);
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_fix() {
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), &digits(), mode);
            let error = load_or_create(dir.path()).unwrap_err();
            assert!(matches!(error, StoreError::SecretExposed { .. }), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_directory_in_place_of_the_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FILE_NAME)).unwrap();
        let error = load_or_create(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::SecretMalformed { .. }), "{error}");
    }
}

//! A key of a credential: how it is declared, and how its fingerprint is had from that.
//!
//! Only a secret file is read here; its content leaves as [`RawKey`] or not at all.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::error::ConfigError;
use crate::engine::credential::{Fingerprint, FingerprintSecret, RawKey};

/// Longest key in bytes: an HTTP header that holds more is refused by every common server.
pub const MAX_KEY_LEN: usize = 16 * 1024;

/// How a key is told apart from others in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyIdentity {
    /// A file that holds the raw key.
    SecretFile(PathBuf),
    /// The fingerprint of the raw key.
    Fingerprint(Fingerprint),
    /// A public id, which the log shows as it is.
    Id(String),
}

/// A declared key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Name, unique in its credential.
    pub name: Arc<str>,
    /// How the key is told apart.
    pub identity: KeyIdentity,
}

/// A declared key with its fingerprint.
#[derive(Clone, Debug)]
pub struct ResolvedKey {
    /// Name, unique in its credential.
    pub name: Arc<str>,
    /// Fingerprint of the key as it appears in a log.
    pub fingerprint: Fingerprint,
    /// The key's bytes (or public id), to search rejected lines for; `None` if only the
    /// fingerprint is declared.
    pub raw: Option<RawKey>,
}

impl Key {
    /// Returns the key with its fingerprint under `secret`; reads the secret file if it has one.
    ///
    /// # Errors
    /// [`ConfigError::SecretUnreadable`], [`ConfigError::SecretMalformed`]: both name the file.
    pub fn resolve(&self, secret: &FingerprintSecret) -> Result<ResolvedKey, ConfigError> {
        let raw = match &self.identity {
            KeyIdentity::SecretFile(path) => Some(read_secret_file(&self.name, path)?),
            KeyIdentity::Id(id) => Some(RawKey::public(id.as_bytes().to_vec())),
            KeyIdentity::Fingerprint(_) => None,
        };
        let fingerprint = match (&self.identity, &raw) {
            (KeyIdentity::Fingerprint(fingerprint), _) => *fingerprint,
            (_, raw) => secret.fingerprint(raw.as_ref().map_or(&[], RawKey::expose)),
        };
        Ok(ResolvedKey { name: Arc::clone(&self.name), fingerprint, raw })
    }
}

/// Reads the key named `key` from its secret file at `path`.
///
/// # Errors
/// [`ConfigError::SecretUnreadable`], [`ConfigError::SecretMalformed`]: both name the file.
pub fn read_secret_file(key: &str, path: &Path) -> Result<RawKey, ConfigError> {
    let unreadable = |source| ConfigError::SecretUnreadable {
        key: key.to_owned(),
        path: path.to_path_buf(),
        source,
    };
    let malformed = |problem| ConfigError::SecretMalformed {
        key: key.to_owned(),
        path: path.to_path_buf(),
        problem,
    };
    // A FIFO under this name must not make the daemon wait.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(malformed(NotAKey::NotAFile));
    }
    read_key(&file).map_err(unreadable)?.map_err(malformed)
}

/// Reads one key to the end of `input`: one trailing newline is dropped, other white space and
/// nothing at all are no key.
pub fn read_key(input: impl io::Read) -> io::Result<Result<RawKey, NotAKey>> {
    // The whole buffer is reserved at once: growing it would leave copies in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_KEY_LEN + 2));
    input.take(MAX_KEY_LEN as u64 + 2).read_to_end(&mut text)?;
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    Ok(if text.is_empty() {
        Err(NotAKey::Empty)
    } else if text.len() > MAX_KEY_LEN {
        Err(NotAKey::TooLong)
    } else if text.iter().any(is_space) {
        Err(NotAKey::WhiteSpace)
    } else {
        Ok(RawKey::new(text.to_vec()))
    })
}

/// Why a text is no key; tells nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// Nothing, or a newline alone.
    #[error("is empty")]
    Empty,
    /// White space besides one newline at the end.
    #[error("holds white space besides one newline at its end")]
    WhiteSpace,
    /// Longer than [`MAX_KEY_LEN`].
    #[error("is longer than {MAX_KEY_LEN} bytes")]
    TooLong,
    /// A directory, device or FIFO.
    #[error("is not a regular file")]
    NotAFile,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<u8>, NotAKey> {
        read_key(text).unwrap().map(|raw| raw.expose().to_vec())
    }

    fn key_of(path: &Path) -> Key {
        Key { name: "old".into(), identity: KeyIdentity::SecretFile(path.to_path_buf()) }
    }

    #[test]
    fn one_trailing_newline_is_dropped_and_no_more() {
        assert_eq!(read(b"sk_live_1"), Ok(b"sk_live_1".to_vec()));
        assert_eq!(read(b"sk_live_1\n"), Ok(b"sk_live_1".to_vec()));
        for text in ["sk\n\n", "sk\r\n", " sk", "sk ", "s k", "s\tk", "\n\n"] {
            assert_eq!(read(text.as_bytes()), Err(NotAKey::WhiteSpace), "{text:?}");
        }
    }

    #[test]
    fn nothing_and_too_much_are_no_key() {
        assert_eq!(read(b""), Err(NotAKey::Empty));
        assert_eq!(read(b"\n"), Err(NotAKey::Empty));
        let longest = vec![b'x'; MAX_KEY_LEN];
        assert_eq!(read(&[&longest[..], b"\n"].concat()), Ok(longest.clone()));
        assert_eq!(read(&[&longest[..], b"x"].concat()), Err(NotAKey::TooLong));
        assert_eq!(read(&vec![b'x'; 10 * MAX_KEY_LEN]), Err(NotAKey::TooLong));
    }

    #[test]
    fn file_id_and_fingerprint_of_one_key_resolve_to_the_same_fingerprint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old");
        std::fs::write(&path, "AKIA1\n").unwrap();
        let secret = FingerprintSecret::new(b"pepper".to_vec());
        let expected = secret.fingerprint(b"AKIA1");
        for identity in [
            KeyIdentity::SecretFile(path),
            KeyIdentity::Id("AKIA1".into()),
            KeyIdentity::Fingerprint(expected),
        ] {
            let bare = matches!(identity, KeyIdentity::Fingerprint(_));
            let resolved = Key { name: "old".into(), identity }.resolve(&secret).unwrap();
            assert_eq!(resolved.fingerprint, expected);
            assert_eq!(resolved.raw.is_none(), bare);
        }
    }

    #[test]
    fn a_secret_file_that_cannot_be_used_is_named_and_its_content_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let secret = FingerprintSecret::new(b"pepper".to_vec());
        let path = dir.path().join("old");
        let missing = key_of(&path).resolve(&secret).unwrap_err();
        assert!(matches!(&missing, ConfigError::SecretUnreadable { path: at, .. } if *at == path));
        std::fs::write(&path, "hunter2 hunter2").unwrap();
        let malformed = key_of(&path).resolve(&secret).unwrap_err();
        assert_eq!(
            malformed.to_string(),
            format!(
                "secret file {} of key `old` holds white space besides one newline at its end: \
                 it must hold the key alone, on one line",
                path.display()
            )
        );
        assert!(!format!("{malformed:?}").contains("hunter2"));
        let directory = key_of(dir.path()).resolve(&secret).unwrap_err();
        assert!(directory.to_string().contains("is not a regular file"), "{directory}");
    }
}

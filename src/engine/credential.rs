//! Names of credentials, keys and sources, and the fingerprint of a key.
//!
//! A raw key exists only in [`RawKey`] and [`FingerprintSecret`]: neither can be printed,
//! serialised or compared in variable time, and both are wiped when dropped.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Keyed hash of a key: HMAC-SHA-256 with the per-install secret, first 128 bits.
///
/// Written `kd1:` and 32 lower-case hex digits. Two installs never share fingerprints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Wraps stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes for storage.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kd1:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `kd1:` and 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a fingerprint: expected `kd1:` and 32 hex digits, as `keydrain fingerprint` prints it"
)]
pub struct NotAFingerprint;

impl std::str::FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let hex = text.strip_prefix("kd1:").filter(|hex| hex.len() == 32).ok_or(NotAFingerprint)?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
            *byte = match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(NotAFingerprint),
            };
        }
        Ok(Self(bytes))
    }
}

/// The per-install secret that fingerprints are keyed with.
///
/// Its bytes are the trimmed text of `fingerprint.key`, so that
/// `printf %s "$KEY" | openssl dgst -sha256 -hmac "$(cat fingerprint.key)"` gives the same digits.
pub struct FingerprintSecret(Zeroizing<Vec<u8>>);

impl FingerprintSecret {
    /// Takes the secret's bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the fingerprint of `raw`.
    pub fn fingerprint(&self, raw: &[u8]) -> Fingerprint {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(raw);
        let full = mac.finalize().into_bytes();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&full[..16]);
        Fingerprint(bytes)
    }

    /// Returns a hash of the address or user agent of a consumer: to count them, not to know them.
    pub fn address_hash(&self, raw: &[u8]) -> u64 {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        // No key begins like this: an address never looks like one that is tracked.
        mac.update(b"keydrain address\0");
        mac.update(raw);
        let full = mac.finalize().into_bytes();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&full[..8]);
        u64::from_be_bytes(bytes)
    }

    /// Returns a value that changes when the secret does and tells nothing else of it.
    ///
    /// The state keeps it, so that a changed secret is noticed before any key is matched.
    pub fn check_value(&self) -> Fingerprint {
        self.fingerprint(b"keydrain fingerprint secret check")
    }
}

impl fmt::Debug for FingerprintSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintSecret(…)")
    }
}

/// A key as it appears in a log, for as long as it must be in memory.
#[derive(Clone)]
pub struct RawKey {
    bytes: Zeroizing<Vec<u8>>,
    public: bool,
}

impl RawKey {
    /// Takes the bytes of a secret.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Zeroizing::new(bytes), public: false }
    }

    /// Takes the bytes of an id that may be shown as it is.
    pub fn public(bytes: Vec<u8>) -> Self {
        Self { bytes: Zeroizing::new(bytes), public: true }
    }

    /// Tells whether it may be shown as it is.
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// Lends the bytes; the caller must not store or print them.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawKey(…)")
    }
}

/// Name of a credential: the logical secret being rotated.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialName(Arc<str>);

/// Name of a source: a declared input.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

/// Name of a stream of a source: the path of the family's live file, or a log stream's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// Name of a consumer as the log shows it; bytes that are no UTF-8 are written `\xHH`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerName(Arc<str>);

/// A place where lines show a key, as it is declared: `query:NAME` or `field:NAME`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceName(Arc<str>);

impl CredentialName {
    /// Wraps a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SourceName {
    /// Wraps a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StreamName {
    /// Wraps a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PlaceName {
    /// Wraps a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ConsumerName {
    /// Wraps a name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Makes the name from raw log bytes: valid UTF-8 stays, any other byte becomes `\xHH`.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                use fmt::Write as _;
                write!(text, "\\x{byte:02X}").expect("writing to a String cannot fail");
            }
        }
        Self(text.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Debug for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Debug for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Debug for ConsumerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_equals_openssl_hmac_of_the_same_text() {
        // printf %s sk_live_abc | openssl dgst -sha256 -hmac pepper
        let secret = FingerprintSecret::new(b"pepper".to_vec());
        let text = secret.fingerprint(b"sk_live_abc").to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(text.parse(), Ok(secret.fingerprint(b"sk_live_abc")));
        assert_eq!(text, "kd1:e05252e2d4bf1b9a37906e7bd32eccb1");
    }

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        assert_eq!(format!("{:?}", RawKey::new(b"hunter2".to_vec())), "RawKey(…)");
        let secret = FingerprintSecret::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "FingerprintSecret(…)");
    }

    #[test]
    fn invalid_utf8_in_a_consumer_is_written_as_hex() {
        assert_eq!(ConsumerName::from_bytes(b"caf\xe9").as_str(), "caf\\xE9");
        assert_eq!(ConsumerName::from_bytes("café".as_bytes()).as_str(), "café");
    }
}

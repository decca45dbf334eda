//! The id that a service gave an event, kept in 16 bytes: `CloudTrail` delivers at least once.

use sha2::{Digest, Sha256};

/// An event's id.
///
/// A UUID in its canonical form is kept as it is. Any other text is hashed with SHA-256; that one
/// of them equals another id is as unlikely as a collision of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(u128);

impl EventId {
    /// Makes the id of a text.
    pub fn of(text: &[u8]) -> Self {
        Self(uuid(text).unwrap_or_else(|| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&Sha256::digest(text)[..16]);
            u128::from_be_bytes(bytes)
        }))
    }
}

/// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in lower case: one text for each number.
fn uuid(text: &[u8]) -> Option<u128> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut value = 0;
    for (at, byte) in text.iter().enumerate() {
        let digit = match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_its_number_and_only_in_one_spelling() {
        let id = b"0f0e0d0c-0b0a-0908-0706-050403020100";
        assert_eq!(EventId::of(id), EventId(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100));
        assert_ne!(EventId::of(&id.to_ascii_uppercase()), EventId::of(id));
        for other in [&b"0f0e0d0c-0b0a-0908-0706-05040302010"[..], b"", b"-", &id[1..]] {
            assert_ne!(EventId::of(other), EventId::of(id));
            assert_eq!(EventId::of(other), EventId::of(other));
        }
        for other in [&[b'0'; 36][..], b"0f0e0d0c-0b0a-0908-0706a050403020100", &[b'-'; 36]] {
            assert_eq!(uuid(other), None, "a digit in the place of a hyphen, or the other way");
        }
    }
}

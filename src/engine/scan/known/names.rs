//! Names of consumers, in which no tracked secret is shown.

use std::borrow::Cow;

use memchr::memmem;

use super::{KnownKeys, Slot};
use crate::engine::credential::Fingerprint;

/// A shorter secret is hidden where it is the whole of a name: inside one it may be part of a word.
const SHORTEST_HIDDEN: usize = 8;

impl KnownKeys {
    /// Returns the name of a consumer without the secrets in it: where one stands in it, its
    /// fingerprint is shown. A client may give its key as its name, too, or that of somebody else.
    ///
    /// A key that is known by its fingerprint alone is found where it is the whole of the name.
    pub fn without_secrets<'a>(&self, name: &'a [u8]) -> Cow<'a, [u8]> {
        let mut shown = Cow::Borrowed(name);
        for key in &self.keys {
            let Some(raw) = key.raw.as_ref().filter(|raw| !raw.is_public()) else { continue };
            let raw = raw.expose();
            if raw == name || raw.len() >= SHORTEST_HIDDEN && memmem::find(&shown, raw).is_some() {
                shown = Cow::Owned(replaced(&shown, raw, &key.fingerprint));
            }
        }
        if matches!(shown, Cow::Borrowed(_)) && self.must_hash {
            let print = self.secret.fingerprint(name);
            let is_key = |&Slot(slot): &Slot| {
                let key = &self.keys[slot];
                key.fingerprint == print && key.raw.as_ref().is_none_or(|raw| !raw.is_public())
            };
            if self.slots.get(&print).is_some_and(is_key) {
                shown = Cow::Owned(print.to_string().into_bytes());
            }
        }
        shown
    }
}

/// Returns `text` with `print` wherever `raw` stood.
fn replaced(text: &[u8], raw: &[u8], print: &Fingerprint) -> Vec<u8> {
    let print = print.to_string();
    let (mut shown, mut from) = (Vec::new(), 0);
    for at in memmem::find_iter(text, raw) {
        shown.extend_from_slice(&text[from..at]);
        shown.extend_from_slice(print.as_bytes());
        from = at + raw.len();
    }
    shown.extend_from_slice(&text[from..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::super::TrackedKey;
    use super::super::tests::{by_fingerprint, by_raw, secret};
    use super::*;
    use crate::engine::credential::RawKey;

    #[test]
    fn a_name_shows_the_fingerprint_of_a_secret_and_a_public_id_as_it_is() {
        let id = TrackedKey {
            raw: Some(RawKey::public(b"AKIA0123456789".to_vec())),
            ..by_fingerprint(b"AKIA0123456789")
        };
        let keys = vec![
            by_raw(b"old-secret"),
            by_fingerprint(b"new-secret"),
            by_raw(b"short"),
            by_raw(b"kd1:"),
            id,
        ];
        let known = KnownKeys::new(keys, secret());
        let check = |name: &str, expected: &str| {
            let shown = known.without_secrets(name.as_bytes());
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{name}");
        };
        let [old, new, short] =
            ["old-secret", "new-secret", "short"].map(|raw| secret().fingerprint(raw.as_bytes()));
        check("old-secret", &old.to_string());
        check("x-old-secret/old-secret", &format!("x-{old}/{old}"));
        check("new-secret", &new.to_string());
        check("short", &short.to_string());
        check("kd1:", &secret().fingerprint(b"kd1:").to_string());
        for plain in ["", "checkout", "shortly", "x-new-secret", "AKIA0123456789", "old-secre"] {
            check(plain, plain);
        }
    }
}

//! Names of consumers, in which no tracked secret is shown.

use std::borrow::Cow;
use std::cmp::Reverse;

use memchr::memmem;

use super::KnownKeys;
use crate::engine::credential::Fingerprint;

/// A shorter secret is hidden where it is the whole of a name: inside one it may be part of a word.
const SHORTEST_HIDDEN: usize = 8;

impl KnownKeys {
    /// Returns the name of a consumer without the secrets in it: where one stands in it, its
    /// fingerprint is shown. A client may give its key as its name, too, or that of somebody else.
    ///
    /// A key that is known by its fingerprint alone is found where it is the whole of the name.
    pub fn without_secrets<'a>(&self, name: &'a [u8]) -> Cow<'a, [u8]> {
        // First, because a part of it may be a secret, too.
        if let Some(print) = self.secret_that_is(name) {
            return Cow::Owned(print.to_string().into_bytes());
        }
        let is_inside =
            |raw: &[u8]| raw.len() >= SHORTEST_HIDDEN && memmem::find(name, raw).is_some();
        let mut inside: Vec<_> = self.secrets().filter(|(raw, _)| is_inside(raw)).collect();
        // A secret may be a part of another one, of which the rest must not be left.
        inside.sort_by_key(|(raw, _)| Reverse(raw.len()));
        inside.into_iter().fold(Cow::Borrowed(name), |shown, (raw, print)| {
            Cow::Owned(replaced(&shown, raw, &print))
        })
    }

    /// Returns the fingerprint of the key that `name` is, if its id is not public.
    fn secret_that_is(&self, name: &[u8]) -> Option<Fingerprint> {
        if let Some((_, print)) = self.secrets().find(|(raw, _)| *raw == name) {
            return Some(print);
        }
        let mut hashed = self.keys.iter().filter(|key| key.raw.is_none()).peekable();
        hashed.peek()?;
        let print = self.secret.fingerprint(name);
        hashed.any(|key| key.fingerprint == print).then_some(print)
    }

    fn secrets(&self) -> impl Iterator<Item = (&[u8], Fingerprint)> {
        let raws = self.keys.iter().filter_map(|key| Some((key.raw.as_ref()?, key.fingerprint)));
        raws.filter(|(raw, _)| !raw.is_public()).map(|(raw, print)| (raw.expose(), print))
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
    use super::*;
    use crate::engine::credential::RawKey;
    use crate::engine::scan::known::TrackedKey;
    use crate::engine::scan::known::tests::{by_fingerprint, by_raw, secret};

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

    #[test]
    fn a_secret_of_the_shortest_length_is_hidden_inside_a_name_and_a_shorter_one_is_not() {
        let known = KnownKeys::new(vec![by_raw(b"8-bytes."), by_raw(b"7-bytes")], secret());
        let shown = known.without_secrets(b"x-8-bytes.-7-bytes");
        let print = secret().fingerprint(b"8-bytes.");
        assert_eq!(String::from_utf8_lossy(&shown), format!("x-{print}-7-bytes"));
    }

    /// The shorter one was hidden first, and the rest of the longer one shown.
    #[test]
    fn of_a_secret_that_holds_another_one_nothing_is_shown() {
        let (short, long, whole) = (b"old-secret", b"old-secret-of-2024", b"old-secret-unknown");
        let keys = vec![by_raw(short), by_raw(long), by_fingerprint(whole)];
        let known = KnownKeys::new(keys, secret());
        let [short, long, whole] = [&short[..], long, whole].map(|raw| secret().fingerprint(raw));
        for (name, expected) in [
            ("old-secret-of-2024", long.to_string()),
            ("x-old-secret-of-2024/old-secret", format!("x-{long}/{short}")),
            ("old-secret-unknown", whole.to_string()),
        ] {
            let shown = known.without_secrets(name.as_bytes());
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{name}");
        }
    }
}

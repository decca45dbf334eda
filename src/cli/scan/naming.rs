//! How keys and consumers are shown: by the name of the config, as a public id, or fingerprinted.

use hashbrown::HashMap;

use crate::config::{Config, KeyIdentity};
use crate::engine::credential::{ConsumerName, Fingerprint, FingerprintSecret};
use crate::engine::parse::consumer_map::ConsumerMap;
use crate::engine::scan::tally::ScanTally;

/// How a key is shown.
pub struct Naming {
    /// Whether keys without a name are public ids.
    public: bool,
    /// `None` if every key is public and none has a name.
    secret: Option<FingerprintSecret>,
    /// Keys of the config: their names, and whether the key itself is a public id.
    names: HashMap<Fingerprint, (String, bool)>,
}

impl Naming {
    /// Shows public ids as they are.
    pub fn public() -> Self {
        Self { public: true, secret: None, names: HashMap::new() }
    }

    /// Shows fingerprints, or public ids as they are.
    pub fn keyed(secret: FingerprintSecret, public: bool) -> Self {
        Self { public, secret: Some(secret), names: HashMap::new() }
    }

    /// Names the keys of `config`; one whose name stands in two credentials as `credential/name`.
    pub fn name_keys(&mut self, config: &Config) -> Result<(), crate::config::ConfigError> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for key in config.credentials.iter().flat_map(|credential| &credential.keys) {
            *uses.entry(&key.name).or_default() += 1;
        }
        for credential in &config.credentials {
            for (resolved, key) in credential.resolve(secret)?.into_iter().zip(&credential.keys) {
                let is_public = matches!(key.identity, KeyIdentity::Id(_));
                let name = if uses[&*key.name] > 1 {
                    format!("{}/{}", credential.name, key.name)
                } else {
                    key.name.to_string()
                };
                self.names.insert(resolved.fingerprint, (name, is_public));
            }
        }
        Ok(())
    }

    /// Returns how a key is shown: its name, its public id or its fingerprint; and a hint that
    /// tells a person which secret it is.
    pub fn show(&self, raw: &[u8]) -> (String, Option<String>) {
        let fingerprint = self.secret.as_ref().map(|secret| secret.fingerprint(raw));
        let named = fingerprint.and_then(|fingerprint| self.names.get(&fingerprint));
        match (named, fingerprint) {
            (Some((name, true)), _) => (name.clone(), None),
            (Some((name, false)), _) => (name.clone(), hint(raw)),
            (None, Some(fingerprint)) if !self.public => (fingerprint.to_string(), hint(raw)),
            (None, _) => (text(raw), None),
        }
    }
}

/// The texts of a finished tally as they are shown, each made once.
pub struct Shown<'a> {
    /// Keys, with the hint of a secret.
    pub keys: HashMap<&'a [u8], (String, Option<String>)>,
    /// Consumers.
    pub consumers: HashMap<&'a [u8], String>,
}

impl<'a> Shown<'a> {
    /// Makes the texts of a tally.
    pub fn new(tally: &'a ScanTally, naming: &Naming, map: &ConsumerMap) -> Self {
        let consumer = |raw: &[u8]| map.name_of(raw).map_or_else(|| text(raw), str::to_owned);
        Self {
            keys: tally.keys().map(|(raw, _)| (raw, naming.show(raw))).collect(),
            consumers: tally.consumers().map(|raw| (raw, consumer(raw))).collect(),
        }
    }
}

/// Returns raw log bytes as text: what is no UTF-8 as `\xHH`.
fn text(raw: &[u8]) -> String {
    ConsumerName::from_bytes(raw).as_str().to_owned()
}

/// Prefixes that vendors put before a secret: they tell the kind of key and nothing of it.
const KNOWN_PREFIXES: [&str; 22] = [
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "pk_live_",
    "pk_test_",
    "whsec_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "pypi-",
    "sk-",
];

/// A secret shorter than this has no hint: too much of it would show.
const SHORTEST_HINTED: usize = 20;

/// Returns what tells a person which key it is: the known prefix and the last four characters.
fn hint(raw: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(raw).ok()?;
    if key.chars().count() < SHORTEST_HINTED {
        return None;
    }
    let last =
        key.get(key.len() - 4..).filter(|last| last.bytes().all(|b| b.is_ascii_graphic()))?;
    let prefix = KNOWN_PREFIXES.iter().find(|prefix| key.starts_with(**prefix)).unwrap_or(&"");
    Some(format!("{prefix}…{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_shows_the_known_prefix_and_four_characters_of_a_long_secret_only() {
        assert_eq!(hint(b"sk_live_0123456789abx7Qa").as_deref(), Some("sk_live_…x7Qa"));
        assert_eq!(hint(b"0123456789012345678z").as_deref(), Some("…678z"));
        assert_eq!(hint(b"sk_live_0123456789z"), None, "19 characters");
        assert_eq!(hint(b"01234567890123456789\xff"), None);
        assert_eq!(hint(b"01234567890123456789\x1b[2J"), None);
    }
}

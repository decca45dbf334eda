//! How keys and consumers are shown: by the name of the config, as a public id, or fingerprinted.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::config::{Config, KeyIdentity};
use crate::engine::credential::{ConsumerName, Fingerprint, FingerprintSecret};
use crate::engine::parse::consumer_map::ConsumerMap;
use crate::engine::scan::tally::{ScanTally, Symbol};

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
    fn show<'a>(&'a self, raw: &'a [u8]) -> (Cow<'a, str>, Option<String>) {
        let fingerprint = self.secret.as_ref().map(|secret| secret.fingerprint(raw));
        let named = fingerprint.and_then(|fingerprint| self.names.get(&fingerprint));
        match (named, fingerprint) {
            (Some((name, true)), _) => (name.into(), None),
            (Some((name, false)), _) => (name.into(), hint(raw)),
            (None, Some(fingerprint)) if !self.public => {
                (fingerprint.to_string().into(), hint(raw))
            }
            (None, _) => (text(raw), None),
        }
    }
}

/// The texts of a finished tally as they are shown, each made once.
pub struct Shown<'a> {
    /// Keys by their symbols; behind them those keys of the lineage that the tally does not hold.
    pub keys: Texts<'a>,
    /// Hints of secrets, by the symbols of their keys.
    hints: Vec<Option<String>>,
    /// Keys that were issued to another.
    issued: HashMap<Symbol, Issued>,
    /// Consumers by their symbols.
    pub consumers: Texts<'a>,
}

/// Where an issued key comes from.
#[derive(Clone, Copy, Debug)]
pub struct Issued {
    /// The key that it was issued to.
    pub parent: Rank,
    /// The key at the beginning of the line of parents.
    pub root: Rank,
}

impl<'a> Shown<'a> {
    /// Makes the texts of a tally.
    pub fn new(tally: &'a ScanTally, naming: &'a Naming, map: &'a ConsumerMap) -> Self {
        let consumer = |raw: &'a [u8]| match map.name_of(raw) {
            Some(name) => Cow::Borrowed(name),
            // A secret stays one where the same field is taken for the consumer.
            None if tally.key_symbol(raw).is_some() => naming.show(raw).0,
            None => text(raw),
        };
        let (mut labels, hints): (Vec<_>, Vec<_>) =
            tally.key_symbols().map(|(_, raw)| naming.show(raw)).unzip();
        let lineage = tally.lineage();
        let mut others: HashMap<&[u8], usize> = HashMap::new();
        let mut index_of = |raw: &'a [u8]| match tally.key_symbol(raw) {
            Some(symbol) => symbol.index(),
            None => *others.entry(raw).or_insert_with(|| {
                labels.push(naming.show(raw).0);
                labels.len() - 1
            }),
        };
        let issued: Vec<(Symbol, usize, usize)> = tally
            .key_symbols()
            .filter_map(|(symbol, raw)| {
                let parent = lineage.parent(raw)?;
                Some((symbol, index_of(parent), index_of(lineage.root(raw))))
            })
            .collect();
        let keys = Texts::new(labels);
        let issued = issued.into_iter().map(|(symbol, parent, root)| {
            (symbol, Issued { parent: keys.ranks[parent], root: keys.ranks[root] })
        });
        Self {
            issued: issued.collect(),
            keys,
            hints,
            consumers: Texts::new(tally.consumers().map(consumer).collect()),
        }
    }

    /// Returns the hint of a secret.
    pub fn hint(&self, key: Symbol) -> Option<&str> {
        self.hints[key.index()].as_deref()
    }

    /// Returns where a key comes from that was issued to another.
    pub fn issued(&self, key: Symbol) -> Option<Issued> {
        self.issued.get(&key).copied()
    }
}

/// Texts in their order, each once: two spellings of raw bytes may show as one text.
pub struct Texts<'a> {
    sorted: Vec<Cow<'a, str>>,
    /// For each symbol its text.
    ranks: Vec<Rank>,
}

/// The place of a text among all, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(u32);

impl<'a> Texts<'a> {
    /// Takes the texts of the symbols from 0 on.
    fn new(texts: Vec<Cow<'a, str>>) -> Self {
        let mut ranks = vec![Rank(0); texts.len()];
        let mut order: Vec<(Cow<'a, str>, usize)> = texts.into_iter().zip(0..).collect();
        order.sort_unstable();
        let mut sorted: Vec<Cow<'a, str>> = Vec::with_capacity(order.len());
        for (text, symbol) in order {
            if sorted.last() != Some(&text) {
                sorted.push(text);
            }
            let rank = u32::try_from(sorted.len() - 1).expect("memory ends before 2^32 texts do");
            ranks[symbol] = Rank(rank);
        }
        Self { sorted, ranks }
    }

    /// Returns the rank of a symbol's text.
    pub fn rank(&self, symbol: Symbol) -> Rank {
        self.ranks[symbol.index()]
    }

    /// Returns a text.
    pub fn text(&self, rank: Rank) -> &str {
        &self.sorted[rank.0 as usize]
    }
}

/// Returns raw log bytes as text: what is no UTF-8 as `\xHH`.
fn text(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(text) => text.into(),
        Err(_) => ConsumerName::from_bytes(raw).as_str().to_owned().into(),
    }
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
    fn spellings_that_show_as_one_text_have_one_rank_in_the_order_of_texts() {
        let texts = Texts::new(["b", "a\\xFF", "b", "a"].map(Cow::from).into());
        assert_eq!(texts.ranks, [2, 1, 2, 0].map(Rank));
        assert_eq!(["a", "a\\xFF", "b"], [0, 1, 2].map(|rank| texts.text(Rank(rank))));
    }

    #[test]
    fn a_hint_shows_the_known_prefix_and_four_characters_of_a_long_secret_only() {
        assert_eq!(hint(b"sk_live_0123456789abx7Qa").as_deref(), Some("sk_live_…x7Qa"));
        assert_eq!(hint(b"0123456789012345678z").as_deref(), Some("…678z"));
        assert_eq!(hint(b"sk_live_0123456789z"), None, "19 characters");
        assert_eq!(hint(b"01234567890123456789\xff"), None);
        assert_eq!(hint(b"01234567890123456789\x1b[2J"), None);
    }
}

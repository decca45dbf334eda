//! Names for consumers: what an address, a prefix or a pattern stands for.
//!
//! ```text
//! raw text of a consumer --first rule with a pattern that fits--> name
//! ```
//!
//! The raw text is what a client wrote, so every pattern is matched in time linear in its length.

use core::net::{IpAddr, SocketAddr};
use std::fmt;

use ipnet::{IpNet, Ipv4Net};
use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
pub const MAX_PATTERN_LEN: usize = 4096;

/// Most patterns of all rules together.
pub const MAX_PATTERNS: usize = 4096;

/// Most memory of one compiled expression, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// Rules, the first that fits counts. Two are equal if their rules are declared alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerMap {
    rules: Vec<Rule>,
}

/// A name and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The consumer's name.
    pub name: String,
    /// Texts that mean this consumer: one that fits is enough.
    pub patterns: Vec<Pattern>,
}

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternKind {
    /// A range of addresses, or one address. Fits an address, with or without a port; an IPv4
    /// address written as IPv6 is the IPv4 address.
    Cidr,
    /// The beginning of a text.
    Prefix,
    /// A whole text: `*` is any bytes, `?` is one byte.
    Glob,
    /// A regular expression, which may fit anywhere in a text unless it has `^` and `$`.
    Regex,
}

impl PatternKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Cidr, Self::Prefix, Self::Glob, Self::Regex];

    /// Returns the word for it in a config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cidr => "cidr",
            Self::Prefix => "prefix",
            Self::Glob => "glob",
            Self::Regex => "regex",
        }
    }
}

/// A pattern, compiled.
#[derive(Clone)]
pub struct Pattern {
    kind: PatternKind,
    text: String,
    compiled: Compiled,
}

#[derive(Clone)]
enum Compiled {
    Network(IpNet),
    Prefix,
    Expression(Regex),
}

/// A text that is no pattern of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing at all, which would fit everything or nothing.
    #[error("an empty pattern: write what it stands for, or remove it")]
    Empty,
    /// Longer than [`MAX_PATTERN_LEN`].
    #[error("a pattern of {0} bytes, at most {MAX_PATTERN_LEN} can be: split it into several")]
    TooLong(usize),
    /// No range of addresses.
    #[error("`{0}` is no range of addresses: write `10.0.1.0/24`, `2001:db8::/32` or one address")]
    Cidr(String),
    /// A range that does not begin where its length says.
    #[error(
        "`{text}` may mean a range or one address: write `{network}` for the range or `{address}` for the address"
    )]
    HostBits {
        /// The text.
        text: String,
        /// The range.
        network: IpNet,
        /// The address.
        address: IpAddr,
    },
    /// No regular expression.
    #[error(
        "the regular expression cannot be read ({0}): correct it, or write a `prefix` or a `glob`"
    )]
    Regex(String),
    /// An expression that takes too much memory.
    #[error("the regular expression needs too much memory: repeat less, or split it into several")]
    RegexTooLarge,
}

impl Pattern {
    /// Compiles a pattern.
    pub fn new(kind: PatternKind, text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_PATTERN_LEN {
            return Err(PatternError::TooLong(text.len()));
        }
        let compiled = match kind {
            PatternKind::Cidr => Compiled::Network(network(text)?),
            PatternKind::Prefix => Compiled::Prefix,
            PatternKind::Glob => Compiled::Expression(expression(&of_glob(text))?),
            PatternKind::Regex => Compiled::Expression(expression(text)?),
        };
        Ok(Self { kind, text: text.to_owned(), compiled })
    }

    /// Returns how it is written.
    pub fn kind(&self) -> PatternKind {
        self.kind
    }

    /// Returns its text as declared.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether it fits `raw`, which is `address` where it is one.
    fn fits(&self, raw: &[u8], address: Option<IpAddr>) -> bool {
        match &self.compiled {
            Compiled::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Compiled::Prefix => raw.starts_with(self.text.as_bytes()),
            Compiled::Expression(expression) => expression.is_match(raw),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.text) == (other.kind, &other.text)
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.kind.as_str(), self.text)
    }
}

impl ConsumerMap {
    /// Makes the map of these rules.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// Returns the rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Tells whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the name of the first rule that fits the raw text of a consumer.
    ///
    /// O(patterns × length). Worth remembering for a text that comes again.
    pub fn name_of(&self, raw: &[u8]) -> Option<&str> {
        let address = address(raw);
        let fits = |rule: &&Rule| rule.patterns.iter().any(|pattern| pattern.fits(raw, address));
        self.rules.iter().find(fits).map(|rule| rule.name.as_str())
    }
}

/// Returns the address that a text is: `IP`, `IP:port`, `[IPv6]` or `[IPv6]:port`.
fn address(raw: &[u8]) -> Option<IpAddr> {
    // `[…]:65535` around the longest IPv6 address, which ends in an IPv4 one.
    const LONGEST: usize = 45 + 8;
    if raw.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(raw).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

/// Reads a range of addresses; one of IPv4 addresses written as IPv6 is that of the IPv4 ones.
fn network(text: &str) -> Result<IpNet, PatternError> {
    const MAPPED: u8 = 96;
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| PatternError::Cidr(text.to_owned()))?,
    };
    if network.addr() != network.network() {
        return Err(PatternError::HostBits {
            text: text.to_owned(),
            network: network.trunc(),
            address: network.addr(),
        });
    }
    let mapped = match network.addr().to_canonical() {
        IpAddr::V4(address) if network.prefix_len() >= MAPPED => {
            Ipv4Net::new(address, network.prefix_len() - MAPPED).ok().map(IpNet::V4)
        }
        _ => None,
    };
    Ok(mapped.unwrap_or(network))
}

fn expression(text: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(text).size_limit(MAX_COMPILED).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::RegexTooLarge,
        // The last line says what is wrong; those before draw where.
        error => {
            let text = error.to_string();
            let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            PatternError::Regex(what.to_owned())
        }
    })
}

/// Writes a glob as an expression over bytes.
fn of_glob(glob: &str) -> String {
    let mut out = "(?s-u)^".to_owned();
    let mut literal = String::new();
    for char in glob.chars() {
        let special = match char {
            '*' => ".*",
            '?' => ".",
            _ => {
                literal.push(char);
                continue;
            }
        };
        out.push_str(&regex::escape(&literal));
        literal.clear();
        out.push_str(special);
    }
    out.push_str(&regex::escape(&literal));
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::PatternKind::{Cidr, Glob, Prefix, Regex};
    use super::*;

    fn fits(kind: PatternKind, pattern: &str, raw: &[u8]) -> bool {
        let patterns = vec![Pattern::new(kind, pattern).expect(pattern)];
        let map = ConsumerMap::new(vec![Rule { name: "it".to_owned(), patterns }]);
        map.name_of(raw) == Some("it")
    }

    fn check(kind: PatternKind, pattern: &str, fitting: &[&str], other: &[&str]) {
        for raw in fitting {
            assert!(fits(kind, pattern, raw.as_bytes()), "{pattern} {raw}");
        }
        for raw in other {
            assert!(!fits(kind, pattern, raw.as_bytes()), "{pattern} {raw}");
        }
    }

    #[test]
    fn a_range_fits_addresses_however_a_server_writes_them() {
        let inside = ["10.0.1.7", "10.0.1.7:443", "::ffff:10.0.1.7", "[::ffff:10.0.1.7]:443"];
        let outside =
            ["10.0.2.7", "10.0.1.7x", "x10.0.1.7", "10.0.1", "", "-", "10.0.1.7, 10.0.1.8"];
        check(Cidr, "10.0.1.0/24", &inside, &outside);
        check(Cidr, "::ffff:10.0.1.0/120", &inside, &outside);
        check(Cidr, "10.0.1.7", &inside, &["10.0.1.8"]);
        let inside = ["2001:db8::1", "[2001:db8::1]", "[2001:DB8:0::1]:8080"];
        check(Cidr, "2001:db8::/32", &inside, &["2001:db9::1", "10.0.0.1", "[10.0.0.1]"]);
        let longest = "[0000:0000:0000:0000:0000:ffff:192.168.100.228]:65535";
        check(Cidr, "192.168.100.228", &[longest], &[]);
        check(Cidr, "0.0.0.0/0", &["1.2.3.4", "::ffff:1.2.3.4"], &["::1"]);
        check(Cidr, "::ffff:0.0.0.0/96", &["1.2.3.4", "::ffff:1.2.3.4"], &["::1"]);
        check(Cidr, "::/0", &["::1"], &["1.2.3.4"]);
    }

    #[test]
    fn a_prefix_a_glob_and_an_expression_fit_bytes() {
        check(
            Prefix,
            "arn:aws:iam::1:role/",
            &["arn:aws:iam::1:role/pay"],
            &["xarn:aws:iam::1:role/"],
        );
        check(
            Glob,
            "pay-*-?",
            &["pay-eu-1", "pay--x", "pay-\n-\n"],
            &["pay-eu-", "xpay-eu-1", "pay-1"],
        );
        check(Glob, "*", &["", "-", "anything"], &[]);
        check(Glob, "a.b[c]", &["a.b[c]"], &["axb[c]", "a.bc"]);
        assert!(fits(Glob, "caf?*", b"caf\xe9 au lait"));
        check(Regex, "check(out)?", &["check", "precheckout"], &["chek"]);
        check(Regex, "^check$", &["check"], &["checkout", "check\n"]);
        check(Regex, "(?i)^PAY", &["payments"], &["repay"]);
        assert!(fits(Regex, "(?-u)^caf.$", b"caf\xe9"));
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rule = |name: &str, patterns: &[(PatternKind, &str)]| Rule {
            name: name.to_owned(),
            patterns: patterns
                .iter()
                .map(|(kind, text)| Pattern::new(*kind, text).unwrap())
                .collect(),
        };
        let map = ConsumerMap::new(vec![
            rule("one-host", &[(Cidr, "10.0.1.7")]),
            rule("checkout", &[(Cidr, "10.0.1.0/24"), (Prefix, "checkout-")]),
            rule("rest", &[(Glob, "*")]),
        ]);
        assert_eq!(map.name_of(b"10.0.1.7"), Some("one-host"));
        assert_eq!(map.name_of(b"10.0.1.8"), Some("checkout"));
        assert_eq!(map.name_of(b"checkout-4"), Some("checkout"));
        assert_eq!(map.name_of(b"\xff"), Some("rest"));
        assert_eq!(ConsumerMap::default().name_of(b"10.0.1.7"), None);
    }

    #[test]
    fn what_is_no_pattern_says_what_to_write() {
        for (kind, text, part) in [
            (Cidr, "10.0.1.0/33", "write `10.0.1.0/24`"),
            (Cidr, "checkout", "write `10.0.1.0/24`"),
            (Cidr, "10.0.1.5/24", "write `10.0.1.0/24` for the range or `10.0.1.5`"),
            (Regex, "a(b", "(unclosed group): correct it"),
            (Regex, "\\w{400}", "repeat less"),
            (Prefix, "", "an empty pattern"),
            (Glob, &"*".repeat(MAX_PATTERN_LEN + 1), "at most 4096"),
        ] {
            let error = Pattern::new(kind, text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_pattern_of_the_greatest_length_is_one() {
        let longest = "a".repeat(MAX_PATTERN_LEN);
        check(Prefix, &longest, &[&longest], &[&longest[1..]]);
    }

    #[test]
    fn maps_are_equal_if_they_are_declared_alike() {
        let map = |kind, text| {
            let patterns = vec![Pattern::new(kind, text).unwrap()];
            ConsumerMap::new(vec![Rule { name: "a".to_owned(), patterns }])
        };
        assert_eq!(map(Glob, "a*"), map(Glob, "a*"));
        assert_ne!(map(Glob, "a*"), map(Glob, "b*"));
        assert_ne!(map(Glob, "a"), map(Prefix, "a"));
    }

    #[test]
    fn a_hostile_megabyte_is_matched_in_linear_time() {
        let raw = b"a".repeat(1 << 20);
        // A search that goes back would take years here: the test's time is its bound.
        assert!(!fits(Glob, "*a*a*a*a*a*a*a*a*a*a*b", &raw));
        assert!(!fits(Regex, "^(a*)*(a*)*(a|a?)+b$", &raw));
        assert!(!fits(Cidr, "10.0.0.0/8", &raw));
    }
}

//! What a file's name says: its family, its age within it and how it is packed.
//!
//! ```text
//! access.log            live
//! access.log.1          rotated once          access.log.2.gz   rotated twice, gzip
//! access.log-20250101   rotated on a date     access.log.3.zst  rotated thrice, zstd
//!                                             access.log.4.xz   packed in a way that is not read
//! ```
//!
//! A name is read for its form alone: nothing here looks at a file, whose first bytes may say
//! something else of how it is packed (`packed.rs`).

use std::cmp::Reverse;

use super::packed::Codec;

/// Endings of packed files that are known and not read, each with the tool that unpacks it.
const UNREAD_PACKINGS: [(&str, &str); 7] = [
    ("bz2", "bzcat"),
    ("xz", "xzcat"),
    ("lz4", "lz4cat"),
    ("lzma", "xzcat"),
    ("br", "brotli -dc"),
    ("Z", "zcat"),
    ("zip", "unzip -p"),
];

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// With this codec: `.gz` or `.zst`.
    Packed(Codec),
    /// Some other way.
    Unread {
        /// Its ending.
        ending: &'static str,
        /// The tool that unpacks it.
        tool: &'static str,
    },
}

impl Packing {
    /// Returns the codec, if it is packed.
    pub fn codec(self) -> Option<Codec> {
        match self {
            Self::Packed(codec) => Some(codec),
            Self::Unread { tool, .. } => Some(Codec::Unread(tool)),
            Self::Plain => None,
        }
    }
}

/// Age of a file within its family. Orders the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// Rotated away: by date, and within a date by number, the highest first.
    Rotated {
        /// Digits of the date; empty for a name with a number only.
        date: String,
        /// The number; 0 for a name with a date only.
        number: Reverse<u64>,
    },
    /// The family's own name.
    Live,
}

/// A file name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyName<'a> {
    /// Name of the family's live file.
    pub live: &'a str,
    /// Age within the family.
    pub age: Age,
    /// How the file is packed.
    pub packing: Packing,
}

impl<'a> FamilyName<'a> {
    /// Takes `name` (without directory) apart. A name without a known ending is a live one.
    pub fn of(name: &'a str) -> Self {
        let (rest, packing) = unpacked(name);
        let (rest, number) = match numbered(rest) {
            Some((rest, number)) => (rest, Some(number)),
            None => (rest, None),
        };
        let (live, date) = match dated(rest) {
            Some((rest, date)) => (rest, Some(date)),
            None => (rest, None),
        };
        let age = if number.is_none() && date.is_none() && packing == Packing::Plain {
            Age::Live
        } else {
            Age::Rotated { date: date.unwrap_or_default(), number: Reverse(number.unwrap_or(0)) }
        };
        Self { live, age, packing }
    }
}

fn unpacked(name: &str) -> (&str, Packing) {
    let Some((rest, ending)) = name.rsplit_once('.').filter(|(rest, _)| !rest.is_empty()) else {
        return (name, Packing::Plain);
    };
    let unread = UNREAD_PACKINGS.iter().find(|unread| unread.0 == ending);
    match (ending, unread) {
        ("gz", _) => (rest, Packing::Packed(Codec::Gzip)),
        ("zst", _) => (rest, Packing::Packed(Codec::Zstd)),
        (_, Some(&(ending, tool))) => (rest, Packing::Unread { ending, tool }),
        (_, None) => (name, Packing::Plain),
    }
}

/// Splits `NAME.N`. More than five digits are a date, not a number.
fn numbered(name: &str) -> Option<(&str, u64)> {
    let (rest, digits) = name.rsplit_once('.')?;
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (plain && !rest.is_empty()).then(|| digits.parse().ok().map(|number| (rest, number)))?
}

/// Splits `NAME-DATE` and `NAME.DATE`, where the date is digits and dashes.
///
/// The first group must be a year, a compact date or an epoch: `ip-10-0-0-1` is a name.
fn dated(name: &str) -> Option<(&str, String)> {
    let start = name
        .rfind(|c: char| !c.is_ascii_digit() && c != '-')
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    let run = &name[start..];
    let (rest, run) = match run.strip_prefix('-') {
        Some(run) => (&name[..start], run),
        None => (name[..start].strip_suffix('.')?, run),
    };
    let first = run.split('-').next().unwrap_or(run);
    let year = first.starts_with("19") || first.starts_with("20");
    let plausible = match first.len() {
        4 => year && run.len() > 4,
        6 | 10 => true,
        8 | 12 | 14 => year,
        _ => false,
    };
    (plausible && !rest.is_empty() && !run.ends_with('-'))
        .then(|| (rest, run.chars().filter(char::is_ascii_digit).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, live: &str, date: &str, number: u64, packing: Packing) {
        let age = Age::Rotated { date: date.to_owned(), number: Reverse(number) };
        assert_eq!(FamilyName::of(name), FamilyName { live, age, packing }, "{name}");
    }

    #[test]
    fn rotated_names_belong_to_the_family_of_the_live_name() {
        check("access.log.1", "access.log", "", 1, Packing::Plain);
        check("access.log.12.gz", "access.log", "", 12, Packing::Packed(Codec::Gzip));
        check("access.log-20250131", "access.log", "20250131", 0, Packing::Plain);
        check(
            "access.log-2025-01-31.gz",
            "access.log",
            "20250131",
            0,
            Packing::Packed(Codec::Gzip),
        );
        check("access.log.2025-01-31-13", "access.log", "2025013113", 0, Packing::Plain);
        check("access.log-1735689600", "access.log", "1735689600", 0, Packing::Plain);
        check(
            "access.log-20250131.2.gz",
            "access.log",
            "20250131",
            2,
            Packing::Packed(Codec::Gzip),
        );
        check("access.log.3.zst", "access.log", "", 3, Packing::Packed(Codec::Zstd));
        check(
            "access.log.3.xz",
            "access.log",
            "",
            3,
            Packing::Unread { ending: "xz", tool: "xzcat" },
        );
        check("access.gz", "access", "", 0, Packing::Packed(Codec::Gzip));
    }

    #[test]
    fn a_name_that_merely_ends_in_digits_is_live() {
        for name in ["access.log", "ip-10-20-30-40", "worker-1", "app2025", "1", "-20250101", ".gz"]
        {
            let expected = FamilyName { live: name, age: Age::Live, packing: Packing::Plain };
            assert_eq!(FamilyName::of(name), expected, "{name}");
        }
    }

    #[test]
    fn the_oldest_comes_first_and_the_live_file_last() {
        let oldest_first =
            ["a.log.10.gz", "a.log.2", "a.log.1", "a.log-20250101", "a.log-20250102", "a.log"];
        let mut sorted = oldest_first;
        sorted.reverse();
        sorted.sort_by_key(|name| FamilyName::of(name).age);
        assert_eq!(sorted, oldest_first);
    }
}

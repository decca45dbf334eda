//! What is wrong with a config: each problem with its place, what it is and how to mend it.
//!
//! A problem shows the line it points at, except where an operator may have put a raw key by
//! mistake (the `keys` of a credential): such a line is named, never quoted.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::config::key::NotAKey;

/// A config, or a file that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no config.
    #[error("no config at {}: write one there, or name another with --config or KEYDRAIN_CONFIG", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The config cannot be read.
    #[error("config {} cannot be read: let the user that runs keydrain read it", path.display())]
    Unreadable {
        /// The config.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The config is longer than any config is.
    #[error("config {} is longer than {limit} bytes: name the config, not a log, with --config", path.display())]
    TooLong {
        /// The config.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// The config has problems: all that were found.
    #[error("{}", Listed(problems))]
    Invalid {
        /// In the order of the text; never empty.
        problems: Vec<Problem>,
    },
    /// A secret file cannot be read.
    #[error("secret file {} of key `{key}` cannot be read: create it, or correct `secret_file`", path.display())]
    SecretUnreadable {
        /// Name of the key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A secret file does not hold one key.
    #[error("secret file {} of key `{key}` {problem}: it must hold the key alone, on one line", path.display())]
    SecretMalformed {
        /// Name of the key.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong; tells nothing of the content.
        problem: NotAKey,
    },
    /// Two keys of a credential have the same value.
    #[error(
        "keys `{first}` and `{second}` of credential `{credential}` are the same key: correct one of them"
    )]
    SameKey {
        /// The credential.
        credential: String,
        /// The key that was declared first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A probe has a key that is rotated, or another probe's.
    #[error("probe `{probe}` has the key of {other}: give the probe a key of its own")]
    ProbeKey {
        /// The probe.
        probe: String,
        /// Whose key it has, too.
        other: String,
    },
}

/// Where a problem stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// A place in the config's text.
    Text {
        /// The config.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// A variable of the environment, by name.
    Environment(&'static str),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub position: Position,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What the operator can do: lower case, no full stop.
    pub fix: String,
    /// The line with a mark below the place, unless it may hold a raw key.
    pub excerpt: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.position, self.message, self.fix)?;
        match &self.excerpt {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
    }
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

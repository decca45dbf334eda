//! The config: TOML text -> types of the engine, or every problem with its line and its remedy.
//!
//! Order of precedence: flag, then `KEYDRAIN_*` environment, then the file, then defaults. Nothing
//! is guessed and nothing is ignored: an unknown key and a key that this version cannot honour are
//! problems. Reading the config opens no other file; secrets are read by [`Credential::resolve`].
//!
//! ```text
//! text --toml--> table (spans) --source, consumer map, credential, policy, probe--> Config
//!                      \--------------- report --------------> ConfigError::Invalid
//! ```

mod completeness;
mod consumer_map;
mod credential;
mod error;
mod job;
mod key;
mod layout;
mod policy;
mod probe;
mod report;
mod server;
mod source;
mod state;
mod syntax;
mod table;

use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

pub use error::{ConfigError, Position, Problem};
pub use key::{Key, KeyIdentity, MAX_KEY_LEN, NotAKey, ResolvedKey, read_key, read_secret_file};
pub use layout::{likely_place, read_layout};
pub use probe::Probe;

use crate::engine::credential::{CredentialName, SourceName};
use crate::engine::parse::Layout;
use crate::engine::policy::{Policy, SourcePolicy};
use crate::engine::rotation::{Job, RosterEntry};
use crate::engine::state::Retention;
use report::Report;
use table::Table;

/// Where the config is when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/keydrain/keydrain.toml";
/// Longest config in bytes.
pub const MAX_CONFIG_LEN: u64 = 1024 * 1024;

/// Longest name of a source, credential or consumer, in bytes.
const MAX_NAME_LEN: usize = 256;

/// Looks up a variable of the environment.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A config without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from; absolute if it was loaded.
    pub path: PathBuf,
    /// `[server]`.
    pub server: Server,
    /// `[state] dir`: database, lock and fingerprint secret.
    pub state_dir: PathBuf,
    /// `[state.retention]`: how long the history of usage is kept.
    pub retention: Retention,
    /// `[[source]]`, in the order of the file; names are unique.
    pub sources: Vec<Source>,
    /// `[[credential]]`, in the order of the file; names are unique.
    pub credentials: Vec<Credential>,
    /// `[[probe]]`, in the order of the file; names and keys are unique.
    pub probes: Vec<Probe>,
}

/// Where the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port; beyond loopback only with a token file.
    pub listen: SocketAddr,
    /// File with the token that every POST needs.
    pub token_file: Option<PathBuf>,
}

/// A declared input.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Name.
    pub name: SourceName,
    /// Glob patterns, absolute (relative to the config's directory in the text); at least one.
    pub paths: Vec<String>,
    /// Directories into which a symbolic link may lead, beside those of `paths`; absolute.
    pub link_roots: Vec<PathBuf>,
    /// What a line looks like, with the names for its consumers; compiles.
    pub layout: Layout,
    /// Whether its keys are public ids or names, which a scan shows as they are.
    pub public: bool,
    /// Lateness, silence and completeness; its probes are added when keys are resolved.
    pub policy: SourcePolicy,
}

/// A declared credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// Name.
    pub name: CredentialName,
    /// Sources whose logs show its keys; each is declared; at least one.
    pub sources: Vec<SourceName>,
    /// Its keys; names and identities are unique. May be empty: a rotation can bring its own.
    pub keys: Vec<Key>,
    /// Consumers that are expected to move; names are unique.
    pub roster: Vec<RosterEntry>,
    /// Their scheduled jobs.
    pub jobs: Vec<Job>,
    /// What is demanded before a key may go.
    pub policy: Policy,
}

impl Config {
    /// Reads the config at `path`, with the environment of this process.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all problems; others when the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_path_buf(), source };
        // Stream names are paths: they must not depend on the directory of the next start.
        let path = &std::path::absolute(path).map_err(unreadable)?;
        let text = read_text(path)?;
        Self::parse(&text, path, &|name| std::env::var(name).ok())
    }

    /// Reads the config's text; `path` names it in problems and is where relative paths start.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all problems.
    pub fn parse(
        text: &str,
        path: &Path,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let mut report = Report::new(path, text);
        let config = match DeTable::parse(text) {
            Ok(document) => Some(read(&document, path, environment, &mut report)),
            Err(error) => {
                syntax::explain(&error, text, &mut report);
                None
            }
        };
        let problems = report.into_problems();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigError::Invalid { problems }),
        }
    }

    /// Returns the source of this name.
    pub fn source(&self, name: &SourceName) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == *name)
    }

    /// Returns the credential of this name.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.name.as_str() == name)
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_CONFIG_LEN + 1).read_to_end(&mut bytes));
    let path = path.to_path_buf();
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ConfigError::Missing { path }),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
        Ok(length) if length as u64 > MAX_CONFIG_LEN => {
            Err(ConfigError::TooLong { path, limit: MAX_CONFIG_LEN })
        }
        Ok(_) => String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            syntax::not_utf8(&String::from_utf8_lossy(valid), &path)
        }),
    }
}

/// Reads the whole document. With problems in the report, the values in their place are defaults.
fn read(
    document: &Spanned<DeTable<'_>>,
    path: &Path,
    environment: Environment<'_>,
    report: &mut Report,
) -> Config {
    let base = path.parent().unwrap_or(Path::new(""));
    let mut root = Table::new(document.get_ref(), document.span(), "the config");
    let server = root.table("server", "[server]", report);
    let server = server::read(server, base, environment, report);
    let state = root.table("state", "[state]", report);
    let (state_dir, retention) = state::read(state, base, environment, report);

    let mut sources: Vec<Source> = Vec::new();
    let mut covers = Vec::new();
    for table in root.tables("source", "[[source]]", report) {
        let span = table.span().clone();
        let Some((source, cover)) = source::read(table, base, report) else { continue };
        covers.extend(cover.map(|span| (source.name.clone(), span)));
        if sources.iter().any(|other| other.name == source.name) {
            let message = format!("two sources are named `{}`", source.name);
            report.problem(&span, message, "rename one of them");
        }
        sources.push(source);
    }
    completeness::check(&covers, &sources, report);
    let tables = root.tables("consumer_map", "[[consumer_map]]", report);
    consumer_map::read(tables, &mut sources, report);
    let mut credentials: Vec<Credential> = Vec::new();
    for table in root.tables("credential", "[[credential]]", report) {
        let span = table.span().clone();
        let Some(credential) = credential::read(table, base, &sources, report) else { continue };
        if credentials.iter().any(|other| other.name == credential.name) {
            let message = format!("two credentials are named `{}`", credential.name);
            report.problem(&span, message, "rename one of them");
        }
        credentials.push(credential);
    }
    let tables = root.tables("probe", "[[probe]]", report);
    let probes = probe::read(tables, base, &sources, &credentials, report);
    root.finish(report);
    Config { path: path.to_path_buf(), server, state_dir, retention, sources, credentials, probes }
}

/// Refuses names that no message, metric label or URL can show.
fn check_name(what: &str, name: &Spanned<String>, report: &mut Report) {
    let text = name.get_ref();
    let fix = "use letters, digits, `-`, `_` and `.`";
    if text.is_empty() || text.trim() != text {
        let message = format!("the name of a {what} is empty or has white space around it");
        report.problem(&name.span(), message, fix);
    } else if text.len() > MAX_NAME_LEN || text.chars().any(char::is_control) {
        let message = format!(
            "the name of a {what} is longer than {MAX_NAME_LEN} bytes or has control characters"
        );
        report.problem(&name.span(), message, fix);
    }
}

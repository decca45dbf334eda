//! What is scanned, how it is read and how it is shown: from flags and, if one is named, a config.

use std::path::{Path, PathBuf};

use super::Args;
use super::naming::Naming;
use crate::cli::Failure;
use crate::config::{Config, Source};
use crate::engine::credential::FingerprintSecret;
use crate::engine::parse::Layout;

/// What a scan has to do.
pub struct Task {
    /// Names of the inputs, as they were given.
    pub files: Vec<PathBuf>,
    /// How lines are read.
    pub layout: Layout,
    /// How keys are shown.
    pub naming: Naming,
}

impl Task {
    /// Reads the flags and the config file, if one was named.
    pub fn of(args: &Args, config: Option<&Path>) -> Result<Self, Failure> {
        let config = config.map(Config::load).transpose().map_err(Failure::usage)?;
        let source = config.as_ref().map(|config| source(args, config)).transpose()?.flatten();
        if let (None, Some(name)) = (source, &args.source) {
            return Err(Failure::usage(format!(
                "`--source {name}` is a source of a config file: name the file with `--config FILE`"
            )));
        }
        let layout = match source {
            Some(source) => source.layout.clone(),
            None => args.layout.layout()?,
        };
        let files = match source {
            Some(source) if args.files.is_empty() => {
                source.paths.iter().map(PathBuf::from).collect()
            }
            _ => args.files.clone(),
        };
        let public =
            args.public || layout.has_public_keys() || source.is_some_and(|source| source.public);
        let naming = naming(args.state.as_deref(), config.as_ref(), public)?;
        Ok(Self { files, layout, naming })
    }
}

/// Returns the source of the config that says how the lines are read: the one that was named, or
/// the only one where the flags say nothing.
fn source<'a>(args: &Args, config: &'a Config) -> Result<Option<&'a Source>, Failure> {
    let names = || {
        let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
        names.join(", ")
    };
    match (&args.source, config.sources.as_slice()) {
        (Some(_), _) if args.layout.is_given() => Err(Failure::usage(
            "`--source` says how the lines are read: leave `--format`, `--credential` and the like out",
        )),
        (Some(name), sources) => {
            let found = sources.iter().find(|source| source.name.as_str() == name);
            let unknown =
                || Failure::usage(format!("the config has no source `{name}`: it has {}", names()));
            found.ok_or_else(unknown).map(Some)
        }
        (None, _) if args.layout.is_given() => Ok(None),
        (None, [only]) => Ok(Some(only)),
        (None, _) => Err(Failure::usage(format!(
            "which source do these lines belong to? add `--source NAME` ({})",
            names()
        ))),
    }
}

fn naming(state: Option<&Path>, config: Option<&Config>, public: bool) -> Result<Naming, Failure> {
    let Some(config) = config else {
        return match (public, state) {
            (true, _) => Ok(Naming::public()),
            (false, state) => Ok(Naming::keyed(fingerprint_secret(state)?, false)),
        };
    };
    let dir = state.unwrap_or(&config.state_dir);
    let mut naming = Naming::keyed(fingerprint_secret(Some(dir))?, public);
    naming.name_keys(config).map_err(Failure::usage)?;
    Ok(naming)
}

/// Loads the user's fingerprint secret, or makes it.
fn fingerprint_secret(dir: Option<&Path>) -> Result<FingerprintSecret, Failure> {
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => default_state_dir().ok_or_else(|| {
            Failure::usage("neither XDG_STATE_HOME nor HOME is set: name a directory for the fingerprint secret with `--state DIR`")
        })?,
    };
    crate::store::secret::load_or_create(&dir).map_err(|error| {
        let why = crate::engine::wording::chain(&error);
        Failure::usage(format!("{why}; or name another directory with `--state DIR`"))
    })
}

fn default_state_dir() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    Some(state.or_else(|| Some(absolute("HOME")?.join(".local/state")))?.join("keydrain"))
}

//! Reads `[[probe]]`: a request with a key of its own, and the sources that must show it.
//!
//! As with the keys of a credential, nothing that stands in it is ever quoted.

use std::path::Path;
use std::time::Duration;

use crate::config::error::ConfigError;
use crate::config::key::{Key, ResolvedKey};
use crate::config::report::Report;
use crate::config::table::Table;
use crate::config::{Config, Credential, Source, credential};
use crate::engine::credential::{Fingerprint, FingerprintSecret, SourceName};
use crate::engine::policy::Completeness;

const EVERY: Duration = Duration::from_mins(1);
const WITHIN: Duration = Duration::from_secs(30);

/// A declared probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its name and its key, which no credential has.
    pub key: Key,
    /// Sources that must show it; each is declared and complete; at least one.
    pub sources: Vec<SourceName>,
    /// How often it is sent; not zero.
    pub every: Duration,
    /// How much later than that it may show up; not zero.
    pub within: Duration,
}

impl Config {
    /// Returns the probes with their fingerprints under `secret`; reads secret files.
    ///
    /// `keys` are those that are rotated, each with its name.
    ///
    /// # Errors
    /// Those of [`Key::resolve`], and [`ConfigError::ProbeKey`] when a probe has not a key of its own.
    pub fn resolve_probes(
        &self,
        secret: &FingerprintSecret,
        keys: &[(String, Fingerprint)],
    ) -> Result<Vec<(&Probe, ResolvedKey)>, ConfigError> {
        let mut taken = keys.to_vec();
        let mut resolved = Vec::new();
        for probe in &self.probes {
            let key = probe.key.resolve(secret)?;
            if let Some((other, _)) = taken.iter().find(|(_, taken)| *taken == key.fingerprint) {
                let probe = key.name.to_string();
                return Err(ConfigError::ProbeKey { probe, other: other.clone() });
            }
            taken.push((format!("probe `{}`", key.name), key.fingerprint));
            resolved.push((probe, key));
        }
        Ok(resolved)
    }
}

/// Reads all probes; secret files that are not absolute start at `base`.
pub(super) fn read(
    tables: Vec<Table<'_>>,
    base: &Path,
    sources: &[Source],
    credentials: &[Credential],
    report: &mut Report,
) -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for table in tables {
        let span = table.span().clone();
        let Some(probe) = read_one(table.hidden(), base, sources, report) else { continue };
        let rotated = credentials.iter().find_map(|credential| {
            let key = credential.keys.iter().find(|key| key.identity == probe.key.identity)?;
            Some(format!("key `{}` of credential `{}`", key.name, credential.name))
        });
        let twin = probes.iter().find(|other| other.key.identity == probe.key.identity);
        let other = rotated.or(twin.map(|twin| format!("probe `{}`", twin.key.name)));
        if let Some(other) = other {
            let message = format!("probe `{}` has the key of {other}", probe.key.name);
            report.private_problem(&span, message, "give the probe a key of its own");
        }
        if probes.iter().any(|other| other.key.name == probe.key.name) {
            let message = format!("two probes are named `{}`", probe.key.name);
            report.private_problem(&span, message, "rename one of them");
        }
        probes.push(probe);
    }
    probes
}

fn read_one(
    mut table: Table<'_>,
    base: &Path,
    declared: &[Source],
    report: &mut Report,
) -> Option<Probe> {
    let key = credential::read_named_key(&mut table, "front-door", base, report);
    let sources = credential::read_sources(&mut table, declared, report);
    let lossy = declared.iter().find(|source| {
        sources.contains(&source.name) && source.policy.completeness != Completeness::Complete
    });
    if let Some(source) = lossy {
        let message = format!("source `{}` may lose lines, a probe's among them", source.name);
        let fix = "take it off the probe's `sources`";
        table.problem(table.span(), message, fix, report);
    }
    let (mut every, mut within) = (EVERY, WITHIN);
    for (key, value) in [("every", &mut every), ("within", &mut within)] {
        let span = table.duration(key, value, report);
        if let Some(span) = span.filter(|_| value.is_zero()) {
            let message = format!("`{key}` of zero is no time in which a probe can show up");
            let fix = "write a longer one, or remove it for the default";
            table.problem(&span, message, fix, report);
        }
    }
    table.finish(report);
    Some(Probe { key: key?, sources, every, within })
}

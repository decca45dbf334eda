//! From the configuration and the stored state to an engine and a reader that fit together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::DaemonError;
use crate::config::{Config, KeyIdentity};
use crate::engine::credential::{FingerprintSecret, SourceName};
use crate::engine::drain::{CredentialDecl, Declared, Drain};
use crate::engine::evidence::SourceDecl;
use crate::engine::parse::LineParser;
use crate::engine::rotation::KeyRef;
use crate::engine::scan::matcher::{Matcher, TrackedKey};
use crate::engine::state::State;
use crate::source::files::{FileSource, Limits, Tailer};

/// Engine and reader, ready to run.
pub struct Wired {
    /// The engine.
    pub drain: Drain,
    /// The reader.
    pub tailer: Tailer,
    /// What is needed to resolve keys of requests.
    pub keys: Arc<FingerprintSecret>,
}

/// Resolves keys, compiles formats and brings engine and reader to where the state left off.
pub fn wire(
    config: &Config,
    secret: &Arc<FingerprintSecret>,
    state: State,
) -> Result<Wired, DaemonError> {
    let mut tracked: BTreeMap<SourceName, Vec<TrackedKey>> = BTreeMap::new();
    let mut credentials = Vec::new();
    for credential in &config.credentials {
        let mut keys = Vec::new();
        for (resolved, key) in credential.resolve(secret)?.into_iter().zip(&credential.keys) {
            let fingerprint = resolved.fingerprint;
            let id = match &key.identity {
                KeyIdentity::Id(id) => Some(id.as_str().into()),
                KeyIdentity::SecretFile(_) | KeyIdentity::Fingerprint(_) => None,
            };
            keys.push(KeyRef { name: resolved.name, fingerprint, id });
            for source in &credential.sources {
                tracked.entry(source.clone()).or_default().push(TrackedKey {
                    fingerprint: resolved.fingerprint,
                    raw: resolved.raw.clone(),
                });
            }
        }
        credentials.push(CredentialDecl {
            name: credential.name.clone(),
            keys,
            sources: credential.sources.clone(),
            roster: credential.roster.clone(),
            jobs: credential.jobs.clone(),
            policy: credential.policy.clone(),
        });
    }
    // Keys that a rotation brought along are looked for as long as the rotation is known.
    for declaration in &state.rotations {
        for source in &declaration.sources {
            let keys = tracked.entry(source.clone()).or_default();
            for key in [&declaration.old_key, &declaration.new_key] {
                if keys.iter().all(|known| known.fingerprint != key.fingerprint) {
                    keys.push(TrackedKey::of(key));
                }
            }
        }
    }
    let mut sources = Vec::new();
    let mut files = Vec::new();
    for source in &config.sources {
        let parser = LineParser::compile(&source.layout).map_err(|error| DaemonError::Format {
            source_name: source.name.as_str().to_owned(),
            message: error.to_string(),
        })?;
        let keys = tracked.remove(&source.name).unwrap_or_default();
        sources.push(SourceDecl {
            name: source.name.clone(),
            layout: parser.layout_digest(),
            places: parser.places().to_vec(),
            policy: source.policy.clone(),
            tracked: keys.iter().map(|key| key.fingerprint).collect(),
        });
        let tolerances = config
            .credentials
            .iter()
            .filter(|credential| credential.sources.contains(&source.name))
            .map(|credential| credential.policy.future_tolerance);
        files.push(FileSource {
            name: source.name.clone(),
            patterns: source.paths.clone(),
            matcher: Matcher::new(parser, keys, secret.clone()),
            policy: source.policy.clone(),
            future_tolerance: tolerances
                .min()
                .unwrap_or_else(|| crate::engine::policy::Policy::default().future_tolerance),
        });
    }
    let tailer =
        Tailer::new(files, state.streams.clone(), state.generations.clone(), Limits::default());
    let drain = Drain::new(Declared { sources, credentials }, state);
    Ok(Wired { drain, tailer, keys: secret.clone() })
}

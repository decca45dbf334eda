//! From the configuration and the stored state to an engine and a reader that fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{DaemonError, process};
use crate::config::{Config, KeyIdentity};
use crate::engine::credential::{Fingerprint, FingerprintSecret, SourceName};
use crate::engine::drain::{CredentialDecl, Declared, Drain};
use crate::engine::evidence::SourceDecl;
use crate::engine::parse::LineParser;
use crate::engine::policy::{AnonymousConsumers, Policy, SourcePolicy};
use crate::engine::probe::Probe;
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
    let Parts { sources, files, credentials } = parts(config, secret, &state)?;
    let limits = Limits::default();
    let limits = Limits { max_open_files: process::open_logs(limits.max_open_files), ..limits };
    let tailer = Tailer::new(files, state.streams.clone(), state.generations.clone(), limits);
    let drain = Drain::new(Declared { sources, credentials }, state);
    Ok(Wired { drain, tailer, keys: secret.clone() })
}

/// What the configuration means with the keys of the stored rotations.
pub struct Parts {
    /// The sources, for the engine.
    pub sources: Vec<SourceDecl>,
    /// The sources, for the reader: each with a matcher that has read nothing yet.
    pub files: Vec<FileSource>,
    /// The credentials.
    pub credentials: Vec<CredentialDecl>,
}

/// Resolves keys and compiles formats.
pub fn parts(
    config: &Config,
    secret: &Arc<FingerprintSecret>,
    state: &State,
) -> Result<Parts, DaemonError> {
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
                    anonymous: credential.policy.anonymous,
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
    let mut probes = probes_of(config, secret, &credentials, state)?;
    for (source, (_, keys)) in &mut probes {
        tracked.entry(source.clone()).or_default().append(keys);
    }
    // Keys that a rotation brought along are looked for as long as the rotation is known.
    for declaration in &state.rotations {
        let credential = credentials.iter().find(|decl| decl.name == declaration.credential);
        let anonymous = credential.map_or_else(Policy::default, |decl| decl.policy.clone());
        for source in &declaration.sources {
            // A key that is configured, too, is one key: the matcher unites what is known of it.
            let keys = tracked.entry(source.clone()).or_default();
            for key in [&declaration.old_key, &declaration.new_key] {
                keys.push(TrackedKey::of(key, anonymous.anonymous));
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
        let fingerprints: BTreeSet<Fingerprint> = keys.iter().map(|key| key.fingerprint).collect();
        let (probes, _) = probes.remove(&source.name).unwrap_or_default();
        let policy = SourcePolicy { probes, ..source.policy.clone() };
        sources.push(SourceDecl {
            name: source.name.clone(),
            layout: parser.layout_digest(),
            places: parser.places().to_vec(),
            policy: policy.clone(),
            tracked: fingerprints.into_iter().collect(),
        });
        let mut matcher = Matcher::new(parser, keys, secret.clone());
        state.issued.iter().for_each(|issued| matcher.take_issued(issued));
        let tolerances = config
            .credentials
            .iter()
            .filter(|credential| credential.sources.contains(&source.name))
            .map(|credential| credential.policy.future_tolerance);
        files.push(FileSource {
            name: source.name.clone(),
            patterns: source.paths.clone(),
            link_roots: source.link_roots.clone(),
            matcher,
            policy,
            future_tolerance: tolerances
                .min()
                .unwrap_or_else(|| Policy::default().future_tolerance),
        });
    }
    Ok(Parts { sources, files, credentials })
}

/// The probes of each source, with their keys to look for.
type Probes = BTreeMap<SourceName, (Vec<Probe>, Vec<TrackedKey>)>;

/// Resolves the probes: none may have a key that a credential has or that was ever rotated.
fn probes_of(
    config: &Config,
    secret: &FingerprintSecret,
    credentials: &[CredentialDecl],
    state: &State,
) -> Result<Probes, DaemonError> {
    let configured = credentials.iter().flat_map(|decl| {
        let of = move |key: &KeyRef| format!("key `{}` of credential `{}`", key.name, decl.name);
        decl.keys.iter().map(move |key| (of(key), key.fingerprint))
    });
    let rotated = state.rotations.iter().flat_map(|it| {
        let of = |key: &KeyRef| format!("key `{}` of rotation `{}`", key.name, it.id);
        [&it.old_key, &it.new_key].map(|key| (of(key), key.fingerprint))
    });
    let keys: Vec<_> = configured.chain(rotated).collect();
    let mut probes = Probes::new();
    for (probe, key) in config.resolve_probes(secret, &keys)? {
        for source in &probe.sources {
            let (declared, tracked) = probes.entry(source.clone()).or_default();
            declared.push(Probe {
                name: key.name.clone(),
                key: key.fingerprint,
                every: probe.every,
                within: probe.within,
            });
            tracked.push(TrackedKey {
                fingerprint: key.fingerprint,
                raw: key.raw.clone(),
                anonymous: AnonymousConsumers::Pooled,
            });
        }
    }
    Ok(probes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::CredentialName;
    use crate::engine::drain::{Opening, Refused};
    use crate::engine::rotation::{Declaration, RotationId};
    use crate::engine::time::Timestamp;

    const CONFIG: &str = "[[source]]\nname = \"edge\"\npaths = [\"/l/a.log\"]\ncredential = \"query:k\"\n\
        [[credential]]\nname = \"payments\"\nsources = [\"edge\"]\n\
        [[probe]]\nname = \"door\"\nid = \"p1\"\nsources = [\"edge\"]\n";

    fn wired(state: State) -> Result<Wired, DaemonError> {
        let config = Config::parse(CONFIG, "k.toml".as_ref(), &|_| None).unwrap();
        wire(&config, &Arc::new(FingerprintSecret::new(b"pepper".to_vec())), state)
    }

    fn key(id: &str) -> KeyRef {
        let fingerprint = FingerprintSecret::new(b"pepper".to_vec()).fingerprint(id.as_bytes());
        KeyRef { name: id.into(), fingerprint, id: None }
    }

    #[test]
    fn a_probe_is_looked_for_and_its_key_is_never_rotated() {
        let mut drain = wired(State::default()).unwrap().drain;
        let mut opening = Opening {
            credential: CredentialName::new("payments"),
            old_key: key("p1"),
            new_key: key("k2"),
            started_at: None,
            overlap: None,
            by: "ops".to_owned(),
            note: None,
        };
        let now = Timestamp::from_seconds(0);
        assert_eq!(drain.start(opening.clone(), now), Err(Refused::ProbeKey("door".into())));
        opening.old_key = key("k1");
        let id = drain.start(opening, now).unwrap();
        let missing = drain.untracked(&id);
        assert!(missing.iter().all(|(_, missing)| *missing != key("p1").fingerprint));
    }

    #[test]
    fn a_probe_with_a_key_that_a_rotation_brought_along_stops_the_start() {
        let declaration = |old_key, new_key| Declaration {
            id: RotationId::new("payments-1"),
            credential: CredentialName::new("payments"),
            old_key,
            new_key,
            sources: vec![SourceName::new("edge")],
            roster: Vec::new(),
            jobs: Vec::new(),
            overlap: None,
        };
        let with = |old, new| State {
            rotations: vec![declaration(key(old), key(new))],
            ..State::default()
        };
        assert!(wired(with("k1", "k2")).is_ok());
        for (old, new) in [("p1", "k2"), ("k1", "p1")] {
            let Err(error) = wired(with(old, new)) else { panic!("{old} {new} is taken") };
            let text = crate::engine::wording::chain(&error);
            assert!(text.contains("key `p1` of rotation `payments-1`"), "{text}");
        }
    }
}

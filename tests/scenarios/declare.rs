//! The real configuration of a story, as the daemon wires it to an engine.

use std::collections::BTreeMap;
use std::path::Path;

use keydrain::config::{Config, KeyIdentity};
use keydrain::engine::credential::SourceName;
use keydrain::engine::drain::{CredentialDecl, Declared};
use keydrain::engine::evidence::SourceDecl;
use keydrain::engine::parse::{FormatSpec, Layout, LineParser};
use keydrain::engine::policy::SourcePolicy;
use keydrain::engine::probe::Probe;
use keydrain::engine::rotation::KeyRef;

use crate::log::fingerprint;

/// What an engine is built with, and what the story's servers and reader know of it.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// For the engine.
    pub declared: Declared,
    /// For the matchers.
    pub layouts: BTreeMap<String, Layout>,
    /// The config.
    pub config: Config,
}

/// Reads a config and declares what is in it, as the daemon does.
pub fn wire(text: &str) -> Wiring {
    let read = Config::parse(text, Path::new("/etc/keydrain/keydrain.toml"), &|_| None);
    let config = read.unwrap_or_else(|error| panic!("the config of the story: {error}"));
    let mut declared = Declared::default();
    let mut layouts = BTreeMap::new();
    for source in &config.sources {
        let parser = LineParser::compile(&source.layout).expect("the config was read");
        let shown_in = config.credentials.iter().filter(|c| c.sources.contains(&source.name));
        let keys = shown_in.flat_map(|credential| &credential.keys);
        let probes: Vec<Probe> = probes_of(&config, &source.name).collect();
        let tracked = keys.map(|key| fingerprint(id_of(&key.identity)));
        declared.sources.push(SourceDecl {
            name: source.name.clone(),
            layout: parser.layout_digest(),
            places: parser.places().to_vec(),
            tracked: tracked.chain(probes.iter().map(|probe| probe.key)).collect(),
            policy: SourcePolicy { probes, ..source.policy.clone() },
        });
        layouts.insert(source.name.as_str().to_owned(), source.layout.clone());
    }
    for credential in &config.credentials {
        let keys = credential.keys.iter().map(|key| {
            let id = id_of(&key.identity);
            KeyRef { name: key.name.clone(), fingerprint: fingerprint(id), id: Some(id.into()) }
        });
        declared.credentials.push(CredentialDecl {
            name: credential.name.clone(),
            keys: keys.collect(),
            sources: credential.sources.clone(),
            roster: credential.roster.clone(),
            jobs: credential.jobs.clone(),
            policy: credential.policy.clone(),
        });
    }
    Wiring { declared, layouts, config }
}

/// Returns the probes that must show up in a source.
fn probes_of(config: &Config, source: &SourceName) -> impl Iterator<Item = Probe> {
    let own = config.probes.iter().filter(|probe| probe.sources.contains(source));
    own.map(|probe| Probe {
        name: probe.key.name.clone(),
        key: fingerprint(id_of(&probe.key.identity)),
        every: probe.every,
        within: probe.within,
    })
}

/// Returns the directive that the servers of a source log with, as its config has it.
pub fn directive(layout: &Layout) -> &str {
    match layout.formats.as_slice() {
        [FormatSpec::Nginx(directive)] => directive,
        _ => panic!("the servers of a story are nginx: format = {{ nginx = '…' }}"),
    }
}

fn id_of(identity: &KeyIdentity) -> &str {
    match identity {
        KeyIdentity::Id(id) => id,
        _ => panic!("the servers of a story log the key's name: id = \"…\""),
    }
}

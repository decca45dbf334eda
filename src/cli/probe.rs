//! `keydrain probe`: sends the probe through the real front door, once or over and over.
//!
//! The key travels as that of any client, so its line proves server, pipe and format at once. The
//! daemon expects it (`probe_missing`); `--wait` waits until each source has shown it.

mod front;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{Client, Endpoint, block_on};
use super::columns::put;
use super::run::cancel_on_signal;
use super::{Exit, Failure, Output};
use crate::clock;
use crate::config::{Config, Key, KeyIdentity, Probe, read_secret_file};
use crate::engine::credential::RawKey;
use crate::engine::rotation::Declaration;
use crate::engine::time::Timestamp;
use crate::engine::wording::humane;
use crate::store::{Look, StoreError, secret};
use front::{Answered, Front, Place};

/// Pause between two looks of `--wait`.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How far behind ours the clock of a server may be.
const SKEW: Duration = Duration::from_secs(5);

/// Options of `keydrain probe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the probe in the config; not needed where it has one
    #[arg(value_name = "PROBE")]
    pub probe: Option<String>,
    /// Address of the front door: a GET request goes there
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// Header that carries the key: a name, or `Authorization: Bearer {key}`
    #[arg(
        long,
        value_name = "HEADER",
        conflicts_with = "query",
        required_unless_present = "query"
    )]
    pub header: Option<String>,
    /// Query parameter that carries the key
    #[arg(long, value_name = "NAME")]
    pub query: Option<String>,
    /// File with the probe's key; by default its `secret_file`
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// PEM file with an authority to trust besides those of the system
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Send it over and over, this often, until a signal
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub every: Option<Duration>,
    /// Wait until the daemon has seen it in each of its sources, this long at most: exit 124 then
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub wait: Option<Duration>,
    /// The daemon's address, for --wait; by default the one of the config file
    #[arg(long, env = "KEYDRAIN_URL", value_name = "URL")]
    pub daemon: Option<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = crate::publish::duration(text).filter(|time| !time.is_zero());
    time.ok_or_else(|| "not a time like 60s or 2m".to_owned())
}

/// One probe of the config, and everything it takes to send it.
struct Sender<'a> {
    probe: &'a Probe,
    front: Front,
    /// The daemon, and how long to wait for it to see a probe.
    watch: Option<(Client, Duration)>,
    output: Output,
}

/// Sends the probe and prints a line for each time. With `every` a front door that does not answer
/// is told on `err`, and the probe is sent on.
pub fn run(
    args: &Args,
    config: &Path,
    endpoint: impl FnOnce() -> Result<Endpoint, Failure>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    if args.output == Output::Csv {
        return Err(Failure::usage("one line a probe is no list: use --output table or json"));
    }
    // It may run for weeks with a raw key in its memory.
    crate::daemon::process::forbid_dumps();
    let config = Config::load(config).map_err(Failure::usage)?;
    let probe = chosen(&config, args.probe.as_deref())?;
    let key = own_key(&config, probe, args.key_file.as_deref())?;
    let place = match (&args.header, &args.query) {
        (Some(header), _) => Place::Header(header),
        (None, query) => Place::Query(query.as_deref().unwrap_or_default()),
    };
    let front = Front::new(&args.url, &place, &key, args.ca_file.as_deref())?;
    if front.is_open() {
        tracing::warn!("The key travels in clear text: use https, or a probe on the same host.");
    }
    let bound = probe.every + probe.within;
    if let Some(every) = args.every.filter(|every| *every > bound) {
        let (every, bound) = (humane(every), humane(bound));
        tracing::warn!("Sent every {every}, but expected every {bound}: see `every` of [[probe]].");
    }
    let watch = match args.wait {
        Some(wait) => Some((Client::new(&endpoint()?)?, wait)),
        None => None,
    };
    let sender = Sender { probe, front, watch, output: args.output };
    let Some(every) = args.every else { return block_on(sender.send(out))? };
    let shutdown = CancellationToken::new();
    cancel_on_signal(shutdown.clone())?;
    block_on(sender.send_on(every, &shutdown, out, err))?
}

/// Returns the probe that is meant.
fn chosen<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c Probe, Failure> {
    let names: Vec<&str> = config.probes.iter().map(|probe| &*probe.key.name).collect();
    let listed = names.join(", ");
    match (name, &config.probes[..]) {
        (_, []) => Err(Failure::usage(
            "the config has no [[probe]]: declare one, so that the daemon expects its line",
        )),
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::usage(format!("several probes: name one of {listed}"))),
        (Some(name), probes) => probes
            .iter()
            .find(|probe| &*probe.key.name == name)
            .ok_or_else(|| Failure::usage(format!("no probe `{name}`: there is {listed}"))),
    }
}

/// Reads the key of `probe`, and makes sure that no rotation is about it: to send a key that is
/// rotated would be a use of it.
fn own_key(config: &Config, probe: &Probe, file: Option<&Path>) -> Result<RawKey, Failure> {
    let file = match (file, &probe.key.identity) {
        (Some(file), _) => file,
        (None, KeyIdentity::SecretFile(file)) => file,
        (None, _) => {
            return Err(Failure::usage(
                "the config does not say where the probe's key is: add --key-file FILE",
            ));
        }
    };
    let read = |key: &str, file: &Path| read_secret_file(key, file);
    let key = read(&probe.key.name, file).map_err(Failure::usage)?;
    let print = secret::load_existing(&config.state_dir).ok();
    let print = print.map(|secret| secret.fingerprint(key.expose()));
    let same = |other: &Key| match &other.identity {
        KeyIdentity::SecretFile(other_file) => {
            // Who sends probes need not be allowed to read the keys that are rotated.
            read(&other.name, other_file).is_ok_and(|other| other.expose() == key.expose())
        }
        KeyIdentity::Id(id) => id.as_bytes() == key.expose(),
        KeyIdentity::Fingerprint(other) => Some(*other) == print,
    };
    for credential in &config.credentials {
        if let Some(other) = credential.keys.iter().find(|other| same(other)) {
            return Err(taken(&other.name, credential.name.as_str()));
        }
    }
    // A rotation that was declared by hand may name keys that the config does not.
    for rotation in declared(&config.state_dir) {
        let keys = [&rotation.old_key, &rotation.new_key];
        if let Some(other) = keys.into_iter().find(|other| Some(other.fingerprint) == print) {
            return Err(taken(&other.name, rotation.credential.as_str()));
        }
    }
    Ok(key)
}

fn taken(key: &str, credential: &str) -> Failure {
    Failure::usage(format!(
        "the probe has the key `{key}` of credential `{credential}`: to send it would be a use of \
         it; give the probe a key of its own"
    ))
}

/// Returns the rotations of the state in `dir`, as far as it may be looked at.
fn declared(dir: &Path) -> Vec<Declaration> {
    match Look::open(dir).and_then(|(look, _)| look.rotations()) {
        Ok(rotations) => rotations,
        Err(StoreError::NothingStored { .. }) => Vec::new(),
        Err(error) => {
            tracing::warn!(
                "Whether a rotation that was declared by hand is about the probe's key is not \
                 known: {error}"
            );
            Vec::new()
        }
    }
}

impl Sender<'_> {
    /// Sends the probe once, and waits for it if that is asked for.
    async fn send(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let before = match &self.watch {
            Some((daemon, _)) => self.sightings(daemon).await?,
            None => BTreeMap::new(),
        };
        // A sighting is told to the second: one of this probe must be a later one.
        let next = before.values().flatten().max().map(|seen| seen.plus(Duration::from_secs(1)));
        if let Some(ahead) = next.map(|next| next.since(clock::now())) {
            tokio::time::sleep(ahead.min(SKEW)).await;
        }
        let sent_at = clock::now();
        let answered = self.front.send().await?;
        let missing = match &self.watch {
            Some((daemon, wait)) => {
                self.unseen(daemon, *wait, |source, seen| {
                    let known = before.get(source).copied().flatten();
                    seen > known && seen >= Some(sent_at.minus(SKEW))
                })
                .await?
            }
            None => Vec::new(),
        };
        put(out, &self.line(sent_at, &answered, &missing))?;
        Ok(if missing.is_empty() { Exit::Ok } else { Exit::TimedOut })
    }

    /// Sends the probe until `shutdown`; what goes wrong is told and tried again the next time.
    async fn send_on(
        &self,
        every: Duration,
        shutdown: &CancellationToken,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Exit, Failure> {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return Ok(Exit::Ok),
            }
            let sent = tokio::select! {
                sent = self.send(out) => sent,
                () = shutdown.cancelled() => return Ok(Exit::Ok),
            };
            match sent {
                Err(failure) if failure.exit == Exit::Unreachable => {
                    // A console that is gone must not end the probes.
                    let _ = writeln!(err, "keydrain: {}: {failure}", clock::now());
                }
                sent => drop(sent?),
            }
        }
    }

    /// Returns when the daemon saw this probe last, by source; only the probe's own sources.
    async fn sightings(
        &self,
        daemon: &Client,
    ) -> Result<BTreeMap<String, Option<Timestamp>>, Failure> {
        let answer = daemon.get(&["v1", "sources"]).await.map_err(Failure::from)?;
        let sources = answer["sources"].as_array().map_or(&[][..], Vec::as_slice);
        let seen = |source: &str| -> Option<Timestamp> {
            let source = sources.iter().find(|one| one["name"] == source)?;
            let name = &*self.probe.key.name;
            let probe = source["probes"].as_array()?.iter().find(|one| one["name"] == name)?;
            probe["last_seen"].as_str()?.parse().ok()
        };
        let sources = self.probe.sources.iter().map(|source| source.as_str().to_owned());
        Ok(sources.map(|source| (source.clone(), seen(&source))).collect())
    }

    /// Waits until `is_seen` of each source, at most `wait`; returns the sources that are left.
    async fn unseen(
        &self,
        daemon: &Client,
        wait: Duration,
        is_seen: impl Fn(&str, Option<Timestamp>) -> bool,
    ) -> Result<Vec<String>, Failure> {
        let began = clock::steady();
        loop {
            let mut seen = self.sightings(daemon).await?;
            seen.retain(|source, seen| !is_seen(source, *seen));
            if seen.is_empty() || clock::steady().saturating_sub(began) >= wait {
                return Ok(seen.into_keys().collect());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn line(&self, sent_at: Timestamp, answered: &Answered, missing: &[String]) -> String {
        let name = &*self.probe.key.name;
        let waited = self.watch.is_some();
        if self.output == Output::Json {
            let mut line = json!({
                "schema": "keydrain/probe/v1",
                "probe": name,
                "sent_at": sent_at.to_string(),
                "status": answered.status,
                "seconds": answered.took.as_secs_f64(),
            });
            if waited {
                line["missing"] = missing.iter().map(|source| Value::from(&**source)).collect();
            }
            return format!("{line}\n");
        }
        let status = answered.status;
        let took = answered.took.as_millis();
        let seen = match (waited, missing) {
            (false, _) => String::new(),
            (true, []) => "; seen in every source".to_owned(),
            (true, missing) => format!("; not seen in {}", missing.join(", ")),
        };
        format!("{sent_at}  {name}: status {status} after {took} ms{seen}\n")
    }
}

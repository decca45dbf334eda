//! Reads `[[credential]]`: its sources, its keys, the consumers that must move, its jobs, its policy.
//!
//! Nothing that stands in `keys` is ever quoted: a raw key may stand there by mistake.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use crate::config::error::ConfigError;
use crate::config::key::{Key, KeyIdentity, ResolvedKey};
use crate::config::report::Report;
use crate::config::table::{Table, Value, closest};
use crate::config::{Credential, Source, check_name, completeness, job, policy};
use crate::engine::credential::{CredentialName, Fingerprint, FingerprintSecret, SourceName};
use crate::engine::policy::Completeness;
use crate::engine::rotation::RosterEntry;
use crate::engine::usage::Consumer;

const CONSUMER: &str = "a string or a table like { name = \"partner-x\", third_party = true }";
const IDENTITIES: &str =
    "one of `secret_file = \"/run/secrets/old\"`, `fingerprint = \"kd1:…\"` or `id = \"…\"`";

impl Credential {
    /// Returns the keys with their fingerprints under `secret`; reads their secret files.
    ///
    /// # Errors
    /// Those of [`Key::resolve`], and [`ConfigError::SameKey`] when two have one value.
    pub fn resolve(&self, secret: &FingerprintSecret) -> Result<Vec<ResolvedKey>, ConfigError> {
        let mut resolved: Vec<ResolvedKey> = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let key = key.resolve(secret)?;
            if let Some(first) = resolved.iter().find(|k| k.fingerprint == key.fingerprint) {
                return Err(ConfigError::SameKey {
                    credential: self.name.to_string(),
                    first: first.name.to_string(),
                    second: key.name.to_string(),
                });
            }
            resolved.push(key);
        }
        Ok(resolved)
    }
}

/// Reads one credential; secret files that are not absolute start at `base`.
pub(super) fn read(
    mut table: Table<'_>,
    base: &Path,
    declared: &[Source],
    report: &mut Report,
) -> Option<Credential> {
    let name = table.string("name", report);
    if !table.is_given("name") {
        table.missing("name", "add `name = \"payments-api\"`", report);
    }
    let sources = read_sources(&mut table, declared, report);
    let keys = read_keys(&mut table, base, report);
    let roster = read_roster(&mut table, report);
    let jobs = job::read(&mut table, &roster, report);
    let policy = table.table("policy", "[credential.policy]", report);
    let context = policy::Context {
        sources: declared
            .iter()
            .filter(|source| sources.contains(&source.name))
            .filter(|source| source.policy.completeness == Completeness::Complete)
            .collect(),
        has_roster: !roster.is_empty(),
        third_party: roster.iter().any(|entry| entry.third_party),
    };
    let policy = policy::read(policy, &context, report);
    table.finish(report);
    let name = name?;
    check_name("credential", &name, report);
    let name = CredentialName::new(name.into_inner());
    Some(Credential { name, sources, keys, roster, jobs, policy })
}

/// Reads the list `sources` of a credential or a probe.
pub(super) fn read_sources(
    table: &mut Table<'_>,
    declared: &[Source],
    report: &mut Report,
) -> Vec<SourceName> {
    let fix = "name each source whose log shows the key: `sources = [\"edge\"]`";
    let Some(names) = table.strings("sources", false, report) else {
        if !table.is_given("sources") {
            table.missing("sources", fix, report);
        }
        return Vec::new();
    };
    if names.get_ref().is_empty() {
        report.problem(&names.span(), "`sources` is empty", fix);
    }
    let list = names.span();
    let known: Vec<&str> = declared.iter().map(|source| source.name.as_str()).collect();
    let mut found: Vec<SourceName> = Vec::new();
    for name in names.into_inner() {
        let text = name.get_ref().as_str();
        if !known.contains(&text) {
            let fix = match closest(text, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "add a [[source]] of that name".to_owned(),
                None => {
                    format!("add a [[source]] of that name, or use one of {}", known.join(", "))
                }
            };
            report.problem(&name.span(), format!("unknown source `{text}`"), fix);
        } else if found.iter().any(|source| source.as_str() == text) {
            let message = format!("source `{text}` is named twice");
            report.problem(&name.span(), message, "remove one");
        } else {
            found.push(SourceName::new(text));
        }
    }
    let listed = declared.iter().filter(|source| found.contains(&source.name));
    for (source, cover) in listed.filter_map(|it| Some((&it.name, completeness::covered_by(it)?))) {
        if known.contains(&cover.as_str()) && !found.contains(cover) {
            let message =
                format!("source `{source}` is covered by `{cover}`, which is not among them");
            let fix = format!("add `{cover}` to `sources`, or remove `{source}`");
            report.problem(&list, message, fix);
        }
    }
    found
}

fn read_keys(table: &mut Table<'_>, base: &Path, report: &mut Report) -> Vec<Key> {
    let expected =
        "a list of tables like { name = \"2025-q4\", secret_file = \"/run/secrets/old\" }";
    let Some(values) = table.private_array("keys", expected, report) else { return Vec::new() };
    let mut keys: Vec<Key> = Vec::new();
    for value in values {
        let Some(key) = read_key(value, base, report) else { continue };
        let twin = keys.iter().find(|other| other.name == key.name);
        let double = keys.iter().find(|other| other.identity == key.identity);
        if twin.is_some() {
            let message = format!("two keys are named `{}`", key.name);
            report.private_problem(&value.span(), message, "rename one of them");
        } else if let Some(other) = double {
            let message = format!("keys `{}` and `{}` are the same key", other.name, key.name);
            report.private_problem(&value.span(), message, "correct one of them");
        }
        keys.push(key);
    }
    keys
}

fn read_key(value: &Value<'_>, base: &Path, report: &mut Report) -> Option<Key> {
    let mut table = Table::private(value, "a key", report)?;
    let key = read_named_key(&mut table, "2025-q4", base, report);
    table.finish(report);
    key
}

/// Reads name and identity of a key from a table whose lines are never quoted.
pub(super) fn read_named_key(
    table: &mut Table<'_>,
    example: &str,
    base: &Path,
    report: &mut Report,
) -> Option<Key> {
    let span = table.span().clone();
    let name = table.string("name", report);
    if !table.is_given("name") {
        table.missing("name", &format!("add `name = \"{example}\"`"), report);
    }
    let secret_file = table.string("secret_file", report);
    let fingerprint = table.string("fingerprint", report);
    let id = table.string("id", report);
    let given = ["secret_file", "fingerprint", "id"].into_iter().filter(|key| table.is_given(key));
    match given.count() {
        0 => table.problem(
            &span,
            "a key says nothing to tell it by",
            format!("add {IDENTITIES}"),
            report,
        ),
        1 => {}
        _ => table.problem(
            &span,
            "a key is given in more than one way",
            format!("keep {IDENTITIES}"),
            report,
        ),
    }
    let empty = |text: &Spanned<String>| text.get_ref().is_empty();
    if let Some(text) = secret_file.as_ref().or(id.as_ref()).filter(|text| empty(text)) {
        table.problem(
            &text.span(),
            "a key is told by an empty text",
            format!("write {IDENTITIES}"),
            report,
        );
    }
    let identity = if let Some(path) = secret_file {
        Some(KeyIdentity::SecretFile(base.join(path.into_inner())))
    } else if let Some(text) = fingerprint {
        read_fingerprint(&text, report).map(KeyIdentity::Fingerprint)
    } else {
        id.map(|id| KeyIdentity::Id(id.into_inner()))
    };
    let name = name?;
    if name.get_ref().trim().is_empty() {
        report.private_problem(
            &name.span(),
            "the name of a key is empty",
            format!("name it, as \"{example}\""),
        );
    }
    Some(Key { name: name.into_inner().into(), identity: identity? })
}

fn read_fingerprint(text: &Spanned<String>, report: &mut Report) -> Option<Fingerprint> {
    let found = text.get_ref().parse();
    if found.is_err() {
        let message = "`fingerprint` is not `kd1:` and 32 hex digits";
        let fix = "write what `keydrain fingerprint` prints for the key";
        report.private_problem(&text.span(), message, fix);
    }
    found.ok()
}

fn read_roster(table: &mut Table<'_>, report: &mut Report) -> Vec<RosterEntry> {
    let Some(values) = table.array("consumers", "a list of names", report) else {
        return Vec::new();
    };
    let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut roster = Vec::new();
    for value in values.into_inner() {
        let Some(entry) = read_roster_entry(value, report) else { continue };
        if !names.insert(Arc::clone(&entry.name)) {
            let message = format!("consumer `{}` is named twice", entry.name);
            report.problem(&value.span(), message, "remove one");
        }
        roster.push(entry);
    }
    roster
}

fn read_roster_entry(value: &Value<'_>, report: &mut Report) -> Option<RosterEntry> {
    let mut entry = RosterEntry::new("");
    let name = if let Some(text) = value.get_ref().as_str() {
        Spanned::new(value.span(), text.to_owned())
    } else {
        let Some(entries) = value.get_ref().as_table() else {
            report.problem(
                &value.span(),
                "a consumer has the wrong type",
                format!("write {CONSUMER}"),
            );
            return None;
        };
        let mut table = Table::new(entries, value.span(), "a consumer");
        let name = table.string("name", report);
        if !table.is_given("name") {
            table.missing("name", "add `name = \"partner-x\"`", report);
        }
        entry.third_party = table.flag("third_party", report);
        entry.single = table.flag("single", report);
        entry.synthetic = table.flag("synthetic", report);
        table.duration("max_cache_ttl", &mut entry.max_cache_ttl, report);
        let lifetime = &mut entry.max_connection_lifetime;
        table.duration("max_connection_lifetime", lifetime, report);
        let mut notice = Duration::ZERO;
        entry.notice_period = table.duration("notice_period", &mut notice, report).map(|_| notice);
        entry.owner = table.string("owner", report).map(|owner| owner.into_inner().into());
        table.finish(report);
        name?
    };
    check_name("consumer", &name, report);
    let (text, span) = (name.get_ref().as_str(), name.span());
    if (entry.single || entry.synthetic) && [Consumer::POOL, Consumer::OTHERS].contains(&text) {
        let message = format!("`{text}` is the name of many: no one process, and no health check");
        let fix =
            "remove `single` and `synthetic`, or give the client a name with [[consumer_map]]";
        report.problem(&span, message, fix);
    }
    entry.name = name.into_inner().into();
    Some(entry)
}

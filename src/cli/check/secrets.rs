//! Checks the files that hold secrets: keys of the credentials and the token of the server.
//!
//! They are read to see whether they could be used; nothing of their content is shown.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::Finding;
use crate::config::{Config, Credential, KeyIdentity};
use crate::engine::credential::FingerprintSecret;
use crate::store::StoreError;
use crate::store::secret;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.credentials.is_empty() {
        findings.push(Finding::warning(
            "config",
            "no credential is declared, so no rotation can be opened",
            "add a [[credential]] with its `sources` and `keys`",
        ));
    }
    let secret = fingerprint_secret(config, &mut findings);
    for credential in &config.credentials {
        check_keys(credential, &secret, &mut findings);
    }
    check_probes(config, &secret, &mut findings);
    check_token(config.server.token_file.as_deref(), &mut findings);
    findings
}

/// Returns the fingerprint secret; before the first start, one that lasts as long as this check.
fn fingerprint_secret(config: &Config, findings: &mut Vec<Finding>) -> FingerprintSecret {
    match secret::load_existing(&config.state_dir) {
        Ok(secret) => return secret,
        Err(StoreError::SecretMissing { .. }) => {}
        Err(error) => {
            let text = error.to_string();
            let otherwise = (&*text, "run check as the user that runs keydrain");
            let (message, fix) = text.split_once("; ").unwrap_or(otherwise);
            let subject = format!("state {}", config.state_dir.display());
            findings.push(Finding::error(subject, message, fix));
        }
    }
    FingerprintSecret::new(b"for this check alone".to_vec())
}

fn check_keys(credential: &Credential, secret: &FingerprintSecret, findings: &mut Vec<Finding>) {
    let mut all_readable = true;
    for key in &credential.keys {
        let subject = format!("key {}/{}", credential.name, key.name);
        if let Err(error) = key.resolve(secret) {
            all_readable = false;
            findings.push(Finding::of_message(subject, &error.to_string()));
        } else if let KeyIdentity::SecretFile(path) = &key.identity {
            check_mode(&subject, path, findings);
        }
    }
    if all_readable && let Err(error) = credential.resolve(secret) {
        let subject = format!("credential {}", credential.name);
        findings.push(Finding::of_message(subject, &error.to_string()));
    }
}

fn check_probes(config: &Config, secret: &FingerprintSecret, findings: &mut Vec<Finding>) {
    for probe in &config.probes {
        if let KeyIdentity::SecretFile(path) = &probe.key.identity {
            check_mode(&format!("probe {}", probe.key.name), path, findings);
        }
    }
    let keys = config.credentials.iter().flat_map(|credential| {
        // Keys that cannot be resolved are findings already.
        let resolved = credential.resolve(secret).unwrap_or_default().into_iter();
        resolved.map(|key| {
            (format!("key `{}` of credential `{}`", key.name, credential.name), key.fingerprint)
        })
    });
    if let Err(error) = config.resolve_probes(secret, &keys.collect::<Vec<_>>()) {
        findings.push(Finding::of_message("probes", &error.to_string()));
    }
}

fn check_token(path: Option<&Path>, findings: &mut Vec<Finding>) {
    let Some(path) = path else {
        findings.push(Finding::warning(
            "server",
            "there is no `token_file`, so every POST is refused: no rotation can be opened",
            "put a random token into a file of mode 0600 and name it as `token_file` in [server]",
        ));
        return;
    };
    let subject = format!("token file {}", path.display());
    match fs::read(path).map(Zeroizing::new) {
        Ok(token) if token.trim_ascii().is_empty() => findings.push(Finding::error(
            subject,
            "it is empty",
            "write a random token into it, for example with `openssl rand -hex 32`",
        )),
        Ok(_) => check_mode(&subject, path, findings),
        Err(error) if error.kind() == io::ErrorKind::NotFound => findings.push(Finding::error(
            subject,
            "it does not exist",
            "create it with a random token and mode 0600, or correct `token_file`",
        )),
        Err(error) => findings.push(Finding::error(
            subject,
            format!("it cannot be read: {error}"),
            "let the user that runs keydrain read it",
        )),
    }
}

/// Warns of a secret that everybody on this host can read or replace.
fn check_mode(subject: &str, path: &Path, findings: &mut Vec<Finding>) {
    // It was read a moment ago; if it is gone now there is nothing to warn of.
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        findings.push(Finding::warning(
            subject,
            format!("{} has mode {mode:04o}: everybody on this host can use it", path.display()),
            format!("run `chmod o= {}`", path.display()),
        ));
    }
}

//! Checks where the daemon keeps its state and where it listens.
//!
//! A running daemon holds the lock of the state directory: then its port is its own.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::Access;

use super::Finding;
use crate::config::Config;
use crate::store::Look;

/// The file in the state directory that a running daemon has locked.
const LOCK_NAME: &str = "lock";

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let dir = &config.state_dir;
    let mut findings = check_directory(dir);
    findings.extend(check_age(dir));
    if !is_locked(dir) {
        findings.extend(check_port(config));
    }
    findings
}

fn check_directory(dir: &Path) -> Vec<Finding> {
    let subject = format!("state {}", dir.display());
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return check_absent(dir, subject);
        }
        Err(error) => {
            let fix = "let the user that runs keydrain enter the directories above it";
            return vec![Finding::error(subject, format!("it cannot be inspected: {error}"), fix)];
        }
    };
    if !metadata.is_dir() {
        let fix = "name a directory as `dir` in [state]";
        return vec![Finding::error(subject, "it is no directory", fix)];
    }
    let mut findings = Vec::new();
    if !may_write(dir) {
        findings.push(Finding::error(
            &*subject,
            "this user may not write to it, or its disk is read-only",
            format!("run check as the user that runs keydrain, or `chown` {} to it", dir.display()),
        ));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        findings.push(Finding::warning(
            &*subject,
            format!("it has mode {mode:04o}: others can look inside"),
            format!("run `chmod 700 {}`", dir.display()),
        ));
    }
    if rustix::process::geteuid().is_root() && metadata.uid() != 0 {
        findings.push(Finding::warning(
            subject,
            "it belongs to another user than root, who ran this check and may read everything",
            "run check as the user that runs keydrain, with `sudo -u`",
        ));
    }
    findings
}

/// A state that cannot be looked at is told by the daemon; only one that can says how old it is.
fn check_age(dir: &Path) -> Option<Finding> {
    let (look, _) = Look::open(dir).ok()?;
    look.is_restored().ok()?.then(|| {
        Finding::warning(
            format!("state {}", dir.display()),
            "it is an older copy than the newest one: what was recorded since is lost, and the \
             next start makes that time unknown",
            "post again what was said of a rotation since (holds, waivers, events), or put the \
             newest copy back",
        )
    })
}

/// The daemon makes the directory, if it may.
fn check_absent(dir: &Path, subject: String) -> Vec<Finding> {
    let nearest = dir.ancestors().skip(1).find(|above| above.exists());
    if nearest.is_some_and(may_write) {
        return Vec::new();
    }
    let message = "it does not exist, and this user may not make it";
    let fix =
        format!("run `install -d -m 700 -o USER {}`, USER being who runs keydrain", dir.display());
    vec![Finding::error(subject, message, fix)]
}

fn may_write(dir: &Path) -> bool {
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Tells whether a daemon runs on this state. The lock is had for a moment only, and shared.
fn is_locked(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join(LOCK_NAME)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn check_port(config: &Config) -> Option<Finding> {
    let listen = config.server.listen;
    let error = TcpListener::bind(listen).err()?;
    let (message, fix) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "another program listens there".to_owned(),
            "stop it, or choose another port as `listen` in [server]",
        ),
        io::ErrorKind::AddrNotAvailable => (
            "this host has no such address".to_owned(),
            "write an address of this host as `listen` in [server]",
        ),
        io::ErrorKind::PermissionDenied => (
            "this user may not listen there".to_owned(),
            "choose a port above 1023 as `listen` in [server]",
        ),
        _ => (error.to_string(), "choose another `listen` in [server]"),
    };
    Some(Finding::error(format!("server {listen}"), message, fix))
}

//! What would stand in the way of a rotation that is opened now: each finding with its fix.
//!
//! It looks at a credential before its rotation is declared: is the log alive, does it show the
//! keys, was the old key ever seen, and does the policy fit how it is used. It opens nothing and
//! decides nothing; what it calls `ok` proves no more than its own sentence.

mod policy;
mod sources;
mod usage;

use crate::engine::credential::SourceName;
use crate::engine::drain::CredentialDecl;
use crate::engine::evidence::Source;
use crate::engine::ledger::Ledger;
use crate::engine::rotation::{KeyRef, RotationId};
use crate::engine::time::Timestamp;

/// What a preflight rests on, besides `now`.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The credential.
    pub credential: &'a CredentialDecl,
    /// Its sources; `None` where nothing was ever known of one.
    pub sources: Vec<(&'a SourceName, Option<&'a Source>)>,
    /// Who presented which key.
    pub ledger: &'a Ledger,
    /// The rotation that is open for it.
    pub open: Option<&'a RotationId>,
    /// The key that is to be retired; without it every key that was seen may be.
    pub old_key: Option<&'a KeyRef>,
    /// Whether the files that existed at the start have been read once.
    pub caught_up: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A rotation cannot be opened, or would never become ready.
    Error,
    /// It would wait longer, or rest on less, than it could.
    Warning,
    /// Looked at, and good.
    Ok,
}

impl Severity {
    /// Returns the word used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Ok => "ok",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `credential NAME`, `source NAME`, `key NAME`, `policy` …
    pub subject: String,
    /// What was found.
    pub message: String,
    /// What the operator can do; empty if it is good.
    pub fix: String,
}

/// Looks at everything. Pure. The findings come in the order in which they should be mended.
pub fn findings(facts: &Facts<'_>, now: Timestamp) -> Vec<Finding> {
    let mut out = Findings(Vec::new());
    if !facts.caught_up {
        out.warning(
            "credential",
            "the files that existed at the start are still being read",
            "check again when `keydrain status` shows no backlog",
        );
    }
    no_rotation_open(facts, &mut out);
    for (name, source) in &facts.sources {
        sources::check(facts, name, *source, now, &mut out);
    }
    usage::check(facts, now, &mut out);
    policy::check(facts, now, &mut out);
    out.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn push(
        &mut self,
        severity: Severity,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (subject, message, fix) = (subject.into(), message.into(), fix.into());
        self.0.push(Finding { severity, subject, message, fix });
    }

    fn error(
        &mut self,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(Severity::Error, subject, message, fix);
    }

    fn warning(
        &mut self,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(Severity::Warning, subject, message, fix);
    }

    fn ok(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Ok, subject, message, "");
    }
}

fn no_rotation_open(facts: &Facts<'_>, out: &mut Findings) {
    let name = &facts.credential.name;
    let subject = format!("credential {name}");
    match facts.open {
        Some(id) => out.error(
            subject,
            format!("rotation {id} is open for it"),
            format!("end it with `keydrain rotation event {name} revoked`, or `rolled_back`"),
        ),
        None => out.ok(subject, "no rotation is open for it"),
    }
}

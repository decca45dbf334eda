//! `keydrain check`: what stands in the way of a good start, each finding with its remedy.
//!
//! It looks as the user that runs it and changes nothing: it opens files, tries the port for a
//! moment and never makes the state directory or its secret.

mod inputs;
mod links;
mod preflight;
mod secrets;
mod state;

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::client::Endpoint;
use super::columns::{printable, put};
use super::{Exit, Failure, Output};
use crate::config::{Config, ConfigError};

/// Options of `keydrain check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Credential to look at before its rotation is opened: asks the running daemon, too
    pub credential: Option<String>,
    /// Key that is to be retired, by its name in the config; by default each that was seen
    #[arg(long, value_name = "NAME", requires = "credential")]
    pub old_key: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// keydrain cannot do its work.
    Error,
    /// It can, but not as well or as safely as it could.
    Warning,
    /// Nothing stands in the way: said of what the daemon looked at.
    Ok,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Ok => "ok",
        }
    }
}

/// Something that stands in the way.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    /// What it is about: a place in the config, or `source NAME`, `key CREDENTIAL/NAME` …
    subject: String,
    /// What is wrong.
    message: String,
    /// What the operator can do.
    fix: String,
}

impl Finding {
    fn error(
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let level = Level::Error;
        Self { level, subject: subject.into(), message: message.into(), fix: fix.into() }
    }

    fn warning(
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warning, ..Self::error(subject, message, fix) }
    }

    /// Makes an error of an adapter's message, which ends with its remedy after a colon.
    fn of_message(subject: impl Into<String>, text: &str) -> Self {
        let (message, fix) = text.rsplit_once(": ").unwrap_or((text, "see the message"));
        Self::error(subject, message, fix)
    }
}

/// Checks the config at `config_path` and what it names. Exit 0: no error, warnings or not.
///
/// With a credential the daemon at `endpoint` is asked, too, unless the config is broken.
pub fn run(
    args: &Args,
    config_path: &Path,
    endpoint: impl FnOnce() -> Result<Endpoint, Failure>,
    output: Output,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    if output == Output::Csv {
        return Err(Failure::usage("findings are no list of values: use --output table or json"));
    }
    let loaded = Config::load(config_path);
    let findings = match &loaded {
        Ok(config) => {
            check_credential(args.credential.as_deref(), config)?;
            let mut findings = findings_of(config);
            if let Some(name) = &args.credential {
                findings.extend(preflight::check(name, args.old_key.as_deref(), &endpoint()?)?);
            }
            findings
        }
        Err(error) => findings_of_error(error, config_path),
    };
    let text = match output {
        Output::Json => render_json(&findings),
        _ => render_table(&findings, loaded.as_ref().ok()),
    };
    put(out, &text)?;
    let failed = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if failed { Exit::Usage } else { Exit::Ok })
}

fn check_credential(name: Option<&str>, config: &Config) -> Result<(), Failure> {
    let Some(name) = name.filter(|name| config.credential(name).is_none()) else { return Ok(()) };
    let known: Vec<_> = config.credentials.iter().map(|known| known.name.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Failure::usage(format!(
        "no credential `{name}` in {}; the config has: {known}",
        config.path.display()
    )))
}

fn findings_of(config: &Config) -> Vec<Finding> {
    let mut findings = inputs::check(config);
    findings.extend(secrets::check(config));
    findings.extend(state::check(config));
    findings
}

fn findings_of_error(error: &ConfigError, config_path: &Path) -> Vec<Finding> {
    match error {
        ConfigError::Invalid { problems } => problems
            .iter()
            .map(|problem| {
                Finding::error(problem.position.to_string(), &*problem.message, &*problem.fix)
            })
            .collect(),
        other => vec![Finding::of_message(
            format!("config {}", config_path.display()),
            &other.to_string(),
        )],
    }
}

fn render_json(findings: &[Finding]) -> String {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "level": finding.level.as_str(),
                "subject": finding.subject,
                "message": finding.message,
                "fix": (!finding.fix.is_empty()).then_some(&finding.fix),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "schema": "keydrain/check/v1", "findings": findings }))
}

fn render_table(findings: &[Finding], config: Option<&Config>) -> String {
    let line = |Finding { level, subject, message, fix }: &Finding| {
        let (subject, message, fix) = (printable(subject), printable(message), printable(fix));
        let fix = if fix.is_empty() { String::new() } else { format!("         fix: {fix}\n") };
        format!("{:<8} {subject}: {message}\n{fix}", level.as_str())
    };
    let lines: String = findings.iter().map(line).collect();
    let read = config.map_or_else(String::new, |config| {
        let path = config.path.display().to_string();
        let sources = amount(config.sources.len(), "source");
        let credentials = amount(config.credentials.len(), "credential");
        format!("{}: {sources}, {credentials}; ", printable(&path))
    });
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let errors = amount(count(Level::Error), "error");
    let warnings = amount(count(Level::Warning), "warning");
    format!("{lines}{read}{errors}, {warnings}\n")
}

fn amount(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

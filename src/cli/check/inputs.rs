//! Checks the sources: does each pattern match files that this user can read, and is what is
//! declared of them as strict as it can be. It reads no line of a log.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Finding, Level, links};
use crate::config::{Config, Source};
use crate::engine::coverage::WeakFileSystem;
use crate::engine::policy::Completeness;
use crate::source::files::{LINK_LEAVES, Survey, survey};

/// More findings about the files of one source than these say nothing new.
const MAX_FILES_SHOWN: usize = 10;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.sources.is_empty() {
        findings.push(Finding::warning(
            "config",
            "no source is declared, so nothing is read",
            "add a [[source]] with the server's access log",
        ));
    }
    let used: BTreeSet<_> = config.credentials.iter().flat_map(|c| &c.sources).collect();
    for source in &config.sources {
        check_source(source, &mut findings);
        if !used.contains(&source.name) {
            findings.push(Finding::warning(
                subject(source),
                "no credential names this source",
                "add its name to `sources` of the [[credential]] whose keys its lines show",
            ));
        }
    }
    findings
}

fn subject(source: &Source) -> String {
    format!("source {}", source.name)
}

fn check_source(source: &Source, findings: &mut Vec<Finding>) {
    let mut troubles = Vec::new();
    let mut unmatched = Vec::new();
    let mut files = 0_usize;
    let Survey { refused, weak } = survey(&source.paths, &source.link_roots);
    let elsewhere: BTreeSet<PathBuf> = (refused.into_iter())
        .filter_map(|(path, reason)| (reason == LINK_LEAVES).then(|| path.into()))
        .collect();
    for pattern in &source.paths {
        let before = (files, count_errors(&troubles));
        let mut leads_elsewhere = false;
        for entry in matches(pattern) {
            match entry {
                Ok(path) if elsewhere.contains(&path) => leads_elsewhere = true,
                Ok(path) => match check_file(&path) {
                    Ok(counts) => files += usize::from(counts),
                    Err(trouble) => troubles.push(trouble),
                },
                Err(trouble) => troubles.push(trouble),
            }
        }
        if (files, count_errors(&troubles)) == before {
            unmatched.push((pattern, leads_elsewhere));
        }
    }
    for (pattern, leads_elsewhere) in unmatched {
        findings.push(if leads_elsewhere {
            links::nothing_read(subject(source), pattern)
        } else {
            no_match(source, pattern, files > 0)
        });
    }
    troubles.extend(elsewhere.iter().map(|path| links::leads_elsewhere(path)));
    let hidden = troubles.len().saturating_sub(MAX_FILES_SHOWN);
    for trouble in troubles.into_iter().take(MAX_FILES_SHOWN) {
        findings.push(Finding { subject: subject(source), ..trouble });
    }
    if hidden > 0 {
        let message = format!("{hidden} more files have such troubles");
        findings.push(Finding::error(subject(source), message, "mend the ones above first"));
    }
    links::check_roots(&subject(source), &source.link_roots, findings);
    check_assumptions(source, findings);
    for weak in &weak {
        check_file_system(source, weak, findings);
    }
}

/// Says what is less sure on a weak file system, and what has no effect there.
fn check_file_system(source: &Source, weak: &WeakFileSystem, findings: &mut Vec<Finding>) {
    let WeakFileSystem { path, name, weakness } = weak;
    let message = format!("{path} is on {name}: {}", weakness.says());
    findings.push(Finding::warning(subject(source), message, weakness.way_out()));
    if source.policy.silence_is_idle && weakness.may_be_stale() {
        findings.push(Finding::warning(
            subject(source),
            format!(
                "`silence = \"idle\"` has no effect on {name}: the end of a file proves nothing"
            ),
            "send a request now and then, as from cron, and remove `silence`",
        ));
    }
}

fn count_errors(troubles: &[Finding]) -> usize {
    troubles.iter().filter(|trouble| trouble.level == Level::Error).count()
}

/// Lists what a pattern matches; a directory that cannot be read is a trouble.
fn matches(pattern: &str) -> impl Iterator<Item = Result<PathBuf, Finding>> {
    let found = glob::glob(pattern).into_iter().flatten();
    found.map(|entry| entry.map_err(|error| unreadable("directory", error.path(), error.error())))
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Finding {
    Finding::error(
        String::new(),
        format!("the {what} {} cannot be read: {error}", path.display()),
        "let the user that runs keydrain read it, for example through its group (often `adm`)",
    )
}

/// Tells whether the path is a file that can be read; directories are passed over.
fn check_file(path: &Path) -> Result<bool, Finding> {
    let metadata = fs::metadata(path).map_err(|error| unreadable("file", path, &error))?;
    if metadata.is_dir() {
        return Ok(false);
    }
    if !metadata.is_file() {
        return Err(Finding::warning(
            String::new(),
            format!("{} is a FIFO, socket or device and is not read", path.display()),
            "narrow the pattern to the log files",
        ));
    }
    // Another program may have put a FIFO here meanwhile: opening it must not wait.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened.map(|_| true).map_err(|error| unreadable("file", path, &error))
}

fn no_match(source: &Source, pattern: &str, others_match: bool) -> Finding {
    let dir = fixed_directory(pattern);
    if let Err(error) = fs::read_dir(&dir) {
        let message = if error.kind() == io::ErrorKind::NotFound {
            format!("the directory {} does not exist", dir.display())
        } else {
            format!("the directory {} cannot be read: {error}", dir.display())
        };
        let fix = "correct `paths`, or let the user that runs keydrain read the directory";
        return Finding::error(subject(source), message, fix);
    }
    let message = format!("no file matches {pattern}");
    if others_match {
        let fix = "remove the pattern if no such file will ever come";
        return Finding::warning(subject(source), message, fix);
    }
    let fix = "correct `paths`: they must match the live log, as in /var/log/nginx/access.log*";
    Finding::error(subject(source), message, fix)
}

/// Returns the longest directory of a pattern in which no character is special.
fn fixed_directory(pattern: &str) -> PathBuf {
    let special =
        |part: &std::ffi::OsStr| part.to_str().is_none_or(|text| text.contains(['*', '?', '[']));
    let parent = Path::new(pattern).parent().unwrap_or(Path::new("/"));
    parent.components().take_while(|part| !special(part.as_os_str())).collect()
}

fn check_assumptions(source: &Source, findings: &mut Vec<Finding>) {
    if (source.policy.completeness == Completeness::PositiveOnly { covered_by: None }) {
        findings.push(Finding::warning(
            subject(source),
            "it may lose lines and nothing covers it: no rotation that uses it can get ready",
            "name a complete source that sees the same requests as its `covered_by`",
        ));
    }
    let lateness = source.policy.allowed_lateness.as_secs_f64();
    if source.policy.silence_is_idle {
        findings.push(Finding::warning(
            subject(source),
            "`silence = \"idle\"` holds only if the server writes each line at once",
            format!(
                "make sure that its access_log has neither `buffer=` nor `gzip`, or has `flush=` \
                 of at most {lateness} s"
            ),
        ));
    }
    if source.policy.lateness_assumed {
        findings.push(Finding::warning(
            subject(source),
            format!(
                "`allowed_lateness` of {lateness} s is less than the format's own: an assumption"
            ),
            "remove `allowed_lateness`, unless the server is known to write that fast",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_pattern_ends_before_its_first_special_part() {
        assert_eq!(fixed_directory("/var/log/nginx/access.log*"), Path::new("/var/log/nginx"));
        assert_eq!(fixed_directory("/srv/*/logs/a.log"), Path::new("/srv"));
        assert_eq!(fixed_directory("/a.log"), Path::new("/"));
    }
}

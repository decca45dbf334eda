//! Says which symbolic links are not followed, and which link roots are none. It follows no link to
//! read anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Finding;

/// Says that a link leads to where nothing is read.
pub(super) fn leads_elsewhere(path: &Path) -> Finding {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Finding::warning(
        String::new(),
        format!(
            "{} is a symbolic link to {}, which lies below neither the pattern's directory nor a \
             link root, and is not read",
            path.display(),
            target.display()
        ),
        "take it away or, if logs lie there, name their directory in `link_roots`",
    )
}

/// Says that a pattern matches nothing but such links.
pub(super) fn nothing_read(subject: String, pattern: &str) -> Finding {
    Finding::error(
        subject,
        format!("of what {pattern} matches nothing is read: links lead elsewhere"),
        "name the directories that they lead into in `link_roots`, for Kubernetes \
         [\"/var/log/pods\", \"/var/lib/docker/containers\"]",
    )
}

/// Looks at the directories that links may lead into.
pub(super) fn check_roots(subject: &str, roots: &[PathBuf], findings: &mut Vec<Finding>) {
    for root in roots {
        let wrong = match root.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => "does not exist".to_owned(),
            Err(error) => format!("cannot be looked at: {error}"),
            Ok(found) if found.parent().is_none() => {
                "leads to /, below which any file lies, and lets no link lead anywhere".to_owned()
            }
            Ok(found) if !fs::metadata(&found).is_ok_and(|meta| meta.is_dir()) => {
                "is no directory".to_owned()
            }
            Ok(_) => continue,
        };
        let message = format!("the link root {} {wrong}", root.display());
        let fix = "correct `link_roots`, or remove the entry";
        findings.push(Finding::warning(subject, message, fix));
    }
}

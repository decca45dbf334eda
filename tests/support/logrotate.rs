//! The real logrotate, forced to rotate now, or left to decide.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs logrotate once with `config`, and rotates now; its own files stay in `folder`.
///
/// # Panics
/// If logrotate is missing or reports an error.
pub fn logrotate(folder: &Path, config: &str) {
    run(folder, config, &["--force"]);
}

/// Runs logrotate once with `config`, as its timer does: it rotates what is due.
///
/// # Panics
/// If logrotate is missing or reports an error.
pub fn logrotate_if_due(folder: &Path, config: &str) {
    run(folder, config, &[]);
}

fn run(folder: &Path, config: &str, options: &[&str]) {
    let config_file = folder.join("logrotate.conf");
    fs::write(&config_file, config).unwrap();
    // Debian keeps it where the PATH of an ordinary user does not look.
    let program = "/usr/sbin/logrotate";
    let program = if Path::new(program).is_file() { program } else { "logrotate" };
    let output = Command::new(program)
        .args(options)
        .arg("--state")
        .args([&folder.join("logrotate.state"), &config_file])
        .output()
        .expect("logrotate is needed: run ./test, or apt-get install logrotate");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "logrotate: {errors}");
}

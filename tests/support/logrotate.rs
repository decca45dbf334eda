//! The real logrotate, forced to rotate now or when it is due.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes logrotate rotate with `config` now; its own files stay in `folder`.
///
/// # Panics
/// If logrotate is missing or reports an error.
pub fn logrotate(folder: &Path, config: &str) {
    run(folder, config, &["--force"]);
}

/// Runs logrotate once with `config`: it rotates what is due.
///
/// # Panics
/// If logrotate is missing or reports an error.
pub fn logrotate_when_due(folder: &Path, config: &str) {
    run(folder, config, &[]);
}

fn run(folder: &Path, config: &str, flags: &[&str]) {
    let config_file = folder.join("logrotate.conf");
    fs::write(&config_file, config).unwrap();
    // Debian keeps it where the PATH of an ordinary user does not look.
    let program = "/usr/sbin/logrotate";
    let program = if Path::new(program).is_file() { program } else { "logrotate" };
    let output = Command::new(program)
        .args(flags)
        .arg("--state")
        .args([&folder.join("logrotate.state"), &config_file])
        .output()
        .expect("logrotate is needed: run ./test, or apt-get install logrotate");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "logrotate: {errors}");
}

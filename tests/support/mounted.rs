//! Runs a test again where a file system is mounted that this machine has otherwise not.

use std::path::PathBuf;
use std::process::Command;

/// Layers over a directory.
pub const LAYERS: &str = "mkdir lower upper work && mount -t overlay overlay \
                          -o lowerdir=lower,upperdir=upper,workdir=work mounted";

/// Says in the inner run where the file system is.
const MOUNTED: &str = "KEYDRAIN_TEST_MOUNTED";

/// Runs the named test again, in a name space of its own, where the shell command `mount` has
/// mounted something at `mounted` in an empty directory. Returns its path in that run alone.
///
/// What this machine or user cannot mount is passed over, and said.
pub fn mounted(mount: &str, test: &str) -> Option<PathBuf> {
    if let Some(place) = std::env::var_os(MOUNTED) {
        return Some(place.into());
    }
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = place.path().join("mounted");
    std::fs::create_dir(&path).unwrap();
    let ran = place.path().join("ran");
    let script = format!("{{ {mount}; }} && touch ran && exec \"$0\" --exact \"$1\" --nocapture");
    // The inner run has another current directory.
    let binary = std::env::var_os("KEYDRAIN_BIN").map(|path| std::path::absolute(path).unwrap());
    let output = Command::new("unshare")
        // What the mount started, such as a program that serves it, ends with the test.
        .args(["--mount", "--map-root-user", "--pid", "--fork", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .current_dir(place.path())
        .env(MOUNTED, &path)
        .envs(binary.map(|path| ("KEYDRAIN_BIN", path)))
        .output();
    let said = format!("{output:?}");
    if ran.exists() {
        let passed = output.is_ok_and(|output| {
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains(" 1 passed")
        });
        assert!(passed, "{test}: {said}");
    } else {
        eprintln!("{test}: passed over, this machine cannot mount it: {said}");
    }
    None
}

//! `keydrain check` over real files, ports and locks.

#[path = "support/mounted.rs"]
mod mounted;

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use keydrain::cli::check::{Args, run};
use keydrain::cli::client::Endpoint;
use keydrain::cli::{Exit, Failure, Output};
use serde_json::Value;

/// A directory with a config, a log, a token and a state, none of which has a finding.
struct Place {
    dir: tempfile::TempDir,
    listen: String,
}

impl Place {
    fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> Self {
        let dir = tempfile::tempdir_in(parent).unwrap();
        let place = Self { dir, listen: "127.0.0.1:0".to_owned() };
        place.write("access.log", "", 0o640);
        place.write("old.key", "sk_live_1\n", 0o600);
        place.write("token", "t0ken\n", 0o600);
        fs::create_dir(place.path("state")).unwrap();
        fs::set_permissions(place.path("state"), Permissions::from_mode(0o700)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Writes the config, with lines for its source and its credential.
    fn config(&self, source: &str, credential: &str) -> PathBuf {
        let text = format!(
            "[server]\nlisten = \"{}\"\ntoken_file = \"token\"\n[state]\ndir = \"state\"\n\
             [[source]]\nname = \"edge\"\ncredential = \"query:k\"\n{source}\n\
             [[credential]]\nname = \"payments\"\nsources = [\"edge\"]\n{credential}\n",
            self.listen
        );
        self.write("k.toml", &text, 0o644);
        self.path("k.toml")
    }

    fn usual_config(&self) -> PathBuf {
        self.config(
            "paths = [\"access.log*\"]",
            "keys = [{ name = \"old\", secret_file = \"old.key\" }]",
        )
    }
}

fn args(credential: Option<&str>) -> Args {
    Args { credential: credential.map(str::to_owned), old_key: None }
}

/// An address where nobody listens: port 9 is for discarding, and reserved.
fn no_daemon() -> Endpoint {
    Endpoint { base: "http://127.0.0.1:9".to_owned(), token: None }
}

fn ask(config: &Path, output: Output) -> (Exit, String) {
    let mut out = Vec::new();
    let exit = run(&args(None), config, || Ok(no_daemon()), output, &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

/// Returns the findings as `level subject: message; fix`, with paths relative to the place.
fn findings(place: &Place, config: &Path) -> (Exit, Vec<String>) {
    let (exit, text) = ask(config, Output::Json);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["schema"], "keydrain/check/v1");
    let line = |finding: &Value| {
        let field = |name: &str| finding[name].as_str().unwrap().to_owned();
        assert!(["level", "subject", "message", "fix"].iter().all(|name| !field(name).is_empty()));
        let fields = (field("level"), field("subject"), field("message"), field("fix"));
        let line = format!("{} {}: {}; {}", fields.0, fields.1, fields.2, fields.3);
        line.replace(&format!("{}/", place.dir.path().display()), "")
    };
    (exit, answer["findings"].as_array().unwrap().iter().map(line).collect())
}

fn check(place: &Place, config: &Path, exit: Exit, expected: &[&str]) {
    assert_eq!(findings(place, config), (exit, expected.iter().map(|&s| s.to_owned()).collect()));
}

#[test]
fn a_good_config_has_no_finding() {
    let place = Place::new();
    check(&place, &place.usual_config(), Exit::Ok, &[]);
    let (_, text) = ask(&place.path("k.toml"), Output::Table);
    assert!(text.ends_with("k.toml: 1 source, 1 credential; 0 errors, 0 warnings\n"), "{text}");
}

#[test]
fn each_problem_of_the_config_is_a_finding() {
    let place = Place::new();
    let config = place.config("paths = []", "consumers = 1");
    check(
        &place,
        &config,
        Exit::Usage,
        &[
            "error k.toml:9:9: `paths` is empty; name the live log and its rotated siblings: \
             `paths = [\"/var/log/nginx/access.log*\"]`",
            "error k.toml:13:13: `consumers` is an integer; write a list of names",
        ],
    );
    let (_, text) = ask(&config, Output::Table);
    assert!(text.starts_with("error    ") && text.contains("\n         fix: name the live log"));
    let missing = "error config none.toml: no config at none.toml; \
                   write one there, or name another with --config or KEYDRAIN_CONFIG";
    check(&place, &place.path("none.toml"), Exit::Usage, &[missing]);
}

#[test]
fn a_weak_file_system_is_told_with_the_way_out() {
    let test = "a_weak_file_system_is_told_with_the_way_out";
    let Some(mount) = mounted::mounted(mounted::LAYERS, test) else { return };
    let place = Place::new_in(&mount);
    let root = place.dir.path().display();
    check(
        &place,
        &place.usual_config(),
        Exit::Ok,
        &[&format!(
            "warning source edge: {root} is on overlay: a file is known by inode number and time of \
             birth, and may get others when it is first written to; let the server write its log to \
             a volume, not to a container's layers"
        )],
    );
}

#[test]
fn idleness_is_told_to_prove_nothing_on_a_file_system_that_is_served_from_elsewhere() {
    let test = "idleness_is_told_to_prove_nothing_on_a_file_system_that_is_served_from_elsewhere";
    let served = "mkdir real && bindfs real mounted";
    let Some(mount) = mounted::mounted(served, test) else { return };
    let place = Place::new_in(&mount);
    let (exit, found) = findings(
        &place,
        &place.config("paths = [\"access.log\"]\nsilence = \"idle\"", "keys = []"),
    );
    assert_eq!(exit, Exit::Ok, "{found:?}");
    let expected = "warning source edge: `silence = \"idle\"` has no effect on fuse: the end of a file \
                    proves nothing; send a request now and then, as from cron, and remove `silence`";
    assert!(found.contains(&expected.to_owned()), "{found:?}");
}

#[test]
fn a_link_that_leads_elsewhere_is_told_and_so_is_a_link_root_that_is_none() {
    let place = Place::new();
    fs::create_dir(place.path("containers")).unwrap();
    fs::create_dir(place.path("pods")).unwrap();
    place.write("pods/0.log", "", 0o640);
    symlink("../pods/0.log", place.path("containers/web.log")).unwrap();
    let source = |roots: &str| {
        format!(
            "paths = [\"containers/*.log\"]\nlink_roots = [{}]",
            roots.replace('@', &place.dir.path().display().to_string())
        )
    };
    let config = |roots: &str| place.config(&source(roots), "keys = []");
    check(&place, &config("\"@/pods\""), Exit::Ok, &[]);
    let elsewhere = "warning source edge: containers/web.log is a symbolic link to pods/0.log, which \
                     lies below neither the pattern's directory nor a link root, and is not read; \
                     take it away or, if logs lie there, name their directory in `link_roots`";
    let nothing = "error source edge: of what containers/*.log matches nothing is read: links lead \
                   elsewhere; name the directories that they lead into in `link_roots`, for \
                   Kubernetes [\"/var/log/pods\", \"/var/lib/docker/containers\"]";
    check(&place, &config(""), Exit::Usage, &[nothing, elsewhere]);
    // What is read beside it is enough, and a link root may turn out to be none.
    place.write("containers/own.log", "", 0o640);
    symlink("/", place.path("all")).unwrap();
    check(
        &place,
        &config("\"@/nowhere\", \"@/token\", \"@/all\""),
        Exit::Ok,
        &[
            elsewhere,
            "warning source edge: the link root nowhere does not exist; \
             correct `link_roots`, or remove the entry",
            "warning source edge: the link root token is no directory; \
             correct `link_roots`, or remove the entry",
            "warning source edge: the link root all leads to /, below which any file lies, and lets \
             no link lead anywhere; correct `link_roots`, or remove the entry",
        ],
    );
}

#[test]
fn a_pattern_without_a_file_is_an_error_unless_another_one_has_some() {
    let place = Place::new();
    let keys = "keys = []";
    let correct = "correct `paths`: they must match the live log, as in /var/log/nginx/access.log*";
    check(
        &place,
        &place.config("paths = [\"nothing*\"]", keys),
        Exit::Usage,
        &[&format!("error source edge: no file matches nothing*; {correct}")],
    );
    check(
        &place,
        &place.config("paths = [\"access.log\", \"access.log.*\"]", keys),
        Exit::Ok,
        &["warning source edge: no file matches access.log.*; \
           remove the pattern if no such file will ever come"],
    );
    check(
        &place,
        &place.config("paths = [\"gone/*.log\"]", keys),
        Exit::Usage,
        &["error source edge: the directory gone does not exist; \
           correct `paths`, or let the user that runs keydrain read the directory"],
    );
}

#[test]
fn a_path_that_is_no_log_is_named_and_does_not_make_the_check_wait() {
    let place = Place::new();
    let fifo = place.path("access.log.fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("nowhere", place.path("access.log.link")).unwrap();
    check(
        &place,
        &place.usual_config(),
        Exit::Usage,
        &[
            "warning source edge: access.log.fifo is a FIFO, socket or device and is not read; \
             narrow the pattern to the log files",
            "error source edge: the file access.log.link cannot be read: \
             No such file or directory (os error 2); let the user that runs keydrain read it, \
             for example through its group (often `adm`)",
        ],
    );
}

#[test]
fn what_is_assumed_of_a_source_is_said() {
    let place = Place::new();
    let config =
        place.config("paths = [\"access.log\"]\nsilence = \"idle\"\nallowed_lateness = \"2s\"", "");
    check(
        &place,
        &config,
        Exit::Ok,
        &[
            "warning source edge: `silence = \"idle\"` holds only if the server writes each line \
             at once; make sure that its access_log has neither `buffer=` nor `gzip`, or has \
             `flush=` of at most 2 s",
            "warning source edge: `allowed_lateness` of 2 s is less than the format's own: an \
             assumption; remove `allowed_lateness`, unless the server is known to write that fast",
        ],
    );
}

#[test]
fn a_best_effort_source_that_nothing_covers_is_warned_of() {
    let place = Place::new();
    let lossy = "paths = [\"access.log\"]\nevidence = \"positive-only\"";
    check(
        &place,
        &place.config(lossy, ""),
        Exit::Ok,
        &[
            "warning source edge: it may lose lines and nothing covers it: no rotation that uses it can \
           get ready; name a complete source that sees the same requests as its `covered_by`",
        ],
    );
    let covered = format!(
        "{lossy}\ncovered_by = \"inner\"\n\
         [[source]]\nname = \"inner\"\npaths = [\"access.log\"]\ncredential = \"query:k\"\n"
    );
    let config = place.config(&covered, "");
    let text = fs::read_to_string(&config).unwrap().replace("[\"edge\"]", "[\"edge\", \"inner\"]");
    fs::write(&config, text).unwrap();
    check(&place, &config, Exit::Ok, &[]);
}

#[test]
fn a_probe_with_a_rotated_key_or_an_open_file_is_found() {
    let place = Place::new();
    let probe = |file: &str| {
        format!(
            "keys = [{{ name = \"old\", secret_file = \"old.key\" }}]\n\
             [[probe]]\nname = \"door\"\nsecret_file = \"{file}\"\nsources = [\"edge\"]\n"
        )
    };
    let source = "paths = [\"access.log*\"]";
    place.write("probe.key", "sk_probe\n", 0o604);
    check(
        &place,
        &place.config(source, &probe("probe.key")),
        Exit::Ok,
        &["warning probe door: probe.key has mode 0604: everybody on this host can use it; \
           run `chmod o= probe.key`"],
    );
    place.write("probe.key", "sk_live_1\n", 0o600);
    check(
        &place,
        &place.config(source, &probe("probe.key")),
        Exit::Usage,
        &["error probes: probe `door` has the key of key `old` of credential `payments`; \
           give the probe a key of its own"],
    );
    check(
        &place,
        &place.config(source, &probe("gone.key")),
        Exit::Usage,
        &["error probes: secret file gone.key of key `door` cannot be read; \
           create it, or correct `secret_file`"],
    );
}

#[test]
fn secret_files_that_cannot_be_used_are_errors_and_open_ones_are_warnings() {
    let place = Place::new();
    place.write("token", " \n", 0o600);
    place.write("spaced.key", "hunter2 hunter2\n", 0o600);
    place.write("same.key", "sk_live_1", 0o604);
    let keys = "keys = [{ name = \"a\", secret_file = \"gone.key\" }, \
                { name = \"b\", secret_file = \"spaced.key\" }, \
                { name = \"c\", secret_file = \"same.key\" }]";
    let config = place.config("paths = [\"access.log\"]", keys);
    check(
        &place,
        &config,
        Exit::Usage,
        &[
            "error key payments/a: secret file gone.key of key `a` cannot be read; \
             create it, or correct `secret_file`",
            "error key payments/b: secret file spaced.key of key `b` holds white space besides \
             one newline at its end; it must hold the key alone, on one line",
            "warning key payments/c: same.key has mode 0604: everybody on this host can use it; \
             run `chmod o= same.key`",
            "error token file token: it is empty; write a random token into it, \
             for example with `openssl rand -hex 32`",
        ],
    );
    fs::remove_file(place.path("token")).unwrap();
    let same = "keys = [{ name = \"a\", secret_file = \"old.key\" }, { name = \"b\", id = \"sk_live_1\" }]";
    check(
        &place,
        &place.config("paths = [\"access.log\"]", same),
        Exit::Usage,
        &[
            "error credential payments: keys `a` and `b` of credential `payments` are the same \
             key; correct one of them",
            "error token file token: it does not exist; create it with a random token and mode \
             0600, or correct `token_file`",
        ],
    );
}

#[test]
fn a_port_in_use_is_an_error_unless_a_daemon_holds_the_lock_of_the_state() {
    let mut place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    place.listen = listener.local_addr().unwrap().to_string();
    let config = place.usual_config();
    let taken = format!(
        "error server {}: another program listens there; \
         stop it, or choose another port as `listen` in [server]",
        place.listen
    );
    check(&place, &config, Exit::Usage, &[&taken]);
    let lock = File::create(place.path("state/lock")).unwrap();
    check(&place, &config, Exit::Usage, &[&taken]);
    lock.lock().unwrap();
    check(&place, &config, Exit::Ok, &[]);
    lock.unlock().unwrap();
    check(&place, &config, Exit::Usage, &[&taken]);
}

#[test]
fn a_state_directory_that_is_open_or_no_directory_is_found() {
    let place = Place::new();
    let config = place.usual_config();
    fs::set_permissions(place.path("state"), Permissions::from_mode(0o755)).unwrap();
    let open =
        "warning state state: it has mode 0755: others can look inside; run `chmod 700 state`";
    check(&place, &config, Exit::Ok, &[open]);
    place.write("state/fingerprint.key", "ab", 0o644);
    let (exit, found) = findings(&place, &config);
    assert_eq!(exit, Exit::Usage);
    assert!(found[0].contains("has mode 0644") && found[0].contains("chmod 600"), "{found:?}");
    fs::remove_dir_all(place.path("state")).unwrap();
    check(&place, &config, Exit::Ok, &[]);
    assert!(!place.path("state").exists(), "the check makes nothing");
    place.write("state", "", 0o600);
    let (exit, found) = findings(&place, &config);
    assert_eq!(exit, Exit::Usage);
    assert!(
        found.contains(
            &"error state state: it is no directory; name a directory as `dir` in [state]"
                .to_owned()
        ),
        "{found:?}"
    );
}

#[test]
fn a_config_that_declares_nothing_is_warned_of() {
    let place = Place::new();
    place.write("k.toml", "[state]\ndir = \"state\"\n[server]\nlisten = \"127.0.0.1:0\"\n", 0o600);
    let (exit, found) = findings(&place, &place.path("k.toml"));
    assert_eq!(exit, Exit::Ok);
    let messages: Vec<_> = found.iter().map(|line| line.split("; ").next().unwrap()).collect();
    assert_eq!(
        messages,
        [
            "warning config: no source is declared, so nothing is read",
            "warning config: no credential is declared, so no rotation can be opened",
            "warning server: there is no `token_file`, so every POST is refused: \
             no rotation can be opened",
        ]
    );
}

#[test]
fn an_unknown_credential_is_refused_with_the_known_ones() {
    let place = Place::new();
    let config = place.usual_config();
    let mut out = Vec::new();
    let mut check =
        |name: &str| run(&args(Some(name)), &config, || Ok(no_daemon()), Output::Table, &mut out);
    let failure = check("payment").unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    let expected =
        format!("no credential `payment` in {}; the config has: payments", config.display());
    assert_eq!(failure.message, expected);
}

#[test]
fn with_a_credential_the_daemon_that_does_not_run_is_an_error() {
    let place = Place::new();
    let config = place.usual_config();
    let mut out = Vec::new();
    let exit =
        run(&args(Some("payments")), &config, || Ok(no_daemon()), Output::Table, &mut out).unwrap();
    assert_eq!(exit, Exit::Usage, "what nobody looked at is not good");
    let text = String::from_utf8(out).unwrap();
    let expected = "error    daemon: no keydrain at http://127.0.0.1:9/ (no connection)\n         \
                    fix: start `keydrain run`, or name its address with --url: it alone knows \
                    whether the logs show the key\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn with_a_broken_config_no_daemon_is_asked() {
    let place = Place::new();
    let config = place.config("paths = []", "");
    let nobody = || -> Result<Endpoint, Failure> { panic!("the daemon is asked") };
    let exit = run(&args(Some("payments")), &config, nobody, Output::Table, &mut Vec::new());
    assert_eq!(exit.unwrap(), Exit::Usage);
}

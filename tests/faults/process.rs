//! The process itself: its memory is nobody's to read, and a stopped one answers nothing for long.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::wait::{wait_for, wait_until};
use crate::writer::{CREDENTIAL, Writer, config, declare};

/// The user of a daemon that is not root: any but root will do.
const SOMEBODY: u32 = 65_534;

#[test]
fn row_53_no_core_dump_and_no_debugger_of_the_same_user_gets_at_the_memory() {
    let site = Site::new(&config("15m"));
    fs::create_dir(site.path("logs")).unwrap();
    let mut command = site.keydrain(&["run"]);
    if rustix::process::geteuid().is_root() {
        // What belongs to root is root's anyway: let it be somebody else's.
        for path in ["", "logs", "said", "token", "keydrain.toml"] {
            std::os::unix::fs::chown(site.path(path), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    let daemon = site.spawn(command);
    let pid = daemon.pid().as_raw_nonzero();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let values: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(values, ["0", "0"], "{limits}");
    // The kernel gives the files of a process that may be dumped to its user, others to root.
    let memory = fs::metadata(format!("/proc/{pid}/mem")).unwrap();
    assert_eq!(memory.uid(), 0, "the memory belongs to its user");
}

#[test]
fn row_56_the_answer_of_a_stopped_daemon_is_not_ready_when_its_lease_is_over() {
    let site = Site::new(&config("3s"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    let ready = wait_for("ready", || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        (answer["ready"] == true).then_some(answer)
    });
    assert_eq!(daemon.cli(&["ready", CREDENTIAL]).code, Some(0));

    // A question that waits in its queue while it is stopped gets the old answer, at best.
    let address = daemon.address();
    kill_process(daemon.pid(), Signal::STOP).unwrap();
    let mut asking = daemon.begin_cli(&["ready", CREDENTIAL, "--output", "json"]);
    let valid_until = ready["valid_until"].as_str().unwrap().parse().unwrap();
    wait_for("the lease is over", || (keydrain::clock::now() > valid_until).then_some(()));
    assert!(asking.runs(), "a stopped daemon at {address} answered: {:?}", asking.end());
    drop(daemon);
    let ran = asking.end();
    assert_ne!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn row_56_an_old_answer_that_somebody_kept_is_refused() {
    let site = Site::new(&config("3s"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    let path = format!("/v1/credentials/{CREDENTIAL}/readiness");
    let kept = wait_for("ready", || {
        writer.move_over();
        let reply = daemon.get(&path);
        (reply.json()["ready"] == true).then_some(reply)
    });
    drop(daemon);
    let valid_until = kept.json()["valid_until"].as_str().unwrap().parse().unwrap();

    // A proxy that gives the kept answer to everybody.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = Vec::new();
            let mut bytes = [0; 512];
            while !question.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut bytes).unwrap();
                question.extend_from_slice(&bytes[..read]);
            }
            write!(stream, "{}\r\n\r\n{}", kept.head, kept.body).unwrap();
        }
    });
    let args = ["ready", CREDENTIAL, "--url", &url, "--output", "json"];
    let early = site.run(&args);
    let late = {
        wait_for("the lease is over", || (keydrain::clock::now() > valid_until).then_some(()));
        site.run(&args)
    };
    proxy.join().unwrap();
    assert!(matches!(early.code, Some(0 | 3)), "{early:?}");
    assert_eq!(late.code, Some(3), "{late:?}");
    assert_eq!(late.json()["blockers"][0]["code"], "answer_expired", "{late:?}");
}

/// What is published is what was committed, and answers are the channel: one that was given before a
/// kill is never followed by an older one, whatever was read and not yet committed.
#[test]
fn row_38_after_a_kill_no_answer_is_older_than_one_that_was_given_before() {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    let facts = |answer: &Value| {
        let count = |key: &str| answer[key]["accepted"].as_u64().unwrap();
        (answer["sequence"].as_u64().unwrap(), count("old_key"), count("new_key"))
    };
    let mut last = (0, 0, 0);
    let mut instances = std::collections::BTreeSet::new();
    for kill in 0..12 {
        let daemon = site.start();
        declare(&daemon);
        let hold = ["hold", "release"][kill % 2];
        let path = format!("/v1/credentials/{CREDENTIAL}/events");
        assert_eq!(daemon.post(&path, &json!({"type": hold})).status, 201);
        // Ended while it reads, commits and answers: whichever comes first.
        for look in 0..20 + kill * 3 {
            writer.write(50);
            let answer = daemon.readiness(CREDENTIAL);
            let now = facts(&answer);
            let older = now.0 < last.0 || now.1 < last.1 || now.2 < last.2;
            assert!(!older, "life {kill}, look {look}: {now:?} after {last:?}");
            last = now;
            instances.insert(answer["instance"].to_string());
        }
        daemon.kill();
    }
    assert_eq!(instances.len(), 12, "each life says that it is another one");
    let daemon = site.start();
    writer.assert_counted(&daemon, 0, "after the kills");
    assert!(facts(&daemon.readiness(CREDENTIAL)).0 > last.0);
}

#[test]
fn row_40_a_second_instance_on_the_same_state_refuses_to_start() {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    writer.write(5);
    let daemon = site.start();
    declare(&daemon);
    let second = site.run(&["run"]);
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.err.contains("another keydrain runs on this state"), "{second:?}");
    writer.assert_counted(&daemon, 0, "beside a second instance");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn row_40_a_database_that_was_deleted_makes_all_history_unknown() {
    let site = Site::new(&config("3s"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    wait_for("ready", || {
        writer.move_over();
        (daemon.readiness(CREDENTIAL)["ready"] == true).then_some(())
    });
    assert_eq!(daemon.stop(), Some(0));
    fs::remove_file(site.path("state/keydrain.db")).unwrap();
    let daemon = site.start();
    // The rotation is not known any more: there is nothing that could be ready.
    let path = format!("/v1/credentials/{CREDENTIAL}/readiness");
    assert_eq!(daemon.get(&path).status, 404);
    assert_eq!(daemon.cli(&["ready", CREDENTIAL]).code, Some(2));
    declare(&daemon);
    // What the logs still hold is read anew, once.
    writer.assert_counted(&daemon, 0, "after the database was deleted");
}

#[test]
fn row_39_a_state_directory_that_cannot_be_written_stops_the_start_and_says_why() {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    writer.write(5);
    let daemon = site.start();
    declare(&daemon);
    writer.assert_counted(&daemon, 0, "before");
    assert_eq!(daemon.stop(), Some(0));
    let state = site.path("state");
    let read_only = ReadOnly::mount(&state);
    let ran = site.begin(read_only.around(&site.keydrain(&["run"]))).end();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("/state"), "{ran:?}");
    drop(read_only);
    let daemon = site.start();
    writer.assert_counted(&daemon, 0, "after");
}

/// A folder that cannot be written: mounted so for root, by its mode for anybody else.
struct ReadOnly<'p> {
    path: &'p std::path::Path,
    modes: Vec<(std::path::PathBuf, fs::Permissions)>,
}

impl<'p> ReadOnly<'p> {
    fn mount(path: &'p std::path::Path) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let mut modes = Vec::new();
        if !rustix::process::geteuid().is_root() {
            let files = crate::support::daemon::files_below(path);
            for file in files.into_iter().chain([path.to_owned()]) {
                let mode = fs::metadata(&file).unwrap().permissions();
                let powerless = fs::Permissions::from_mode(mode.mode() & 0o577);
                fs::set_permissions(&file, powerless).unwrap();
                modes.push((file, mode));
            }
        }
        Self { path, modes }
    }

    /// Returns `command` where the folder cannot be written: in mounts of its own, for root.
    fn around(&self, command: &Command) -> Command {
        if !self.modes.is_empty() {
            let mut plain = Command::new(command.get_program());
            plain.args(command.get_args());
            plain.current_dir(command.get_current_dir().unwrap());
            return plain;
        }
        let mut bound = Command::new("unshare");
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
        bound.args(["--mount", "sh", "-c", script]).arg(self.path);
        bound.arg(command.get_program()).args(command.get_args());
        bound.current_dir(command.get_current_dir().unwrap());
        bound
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        // The folder first, so that the files can be reached.
        for (path, mode) in self.modes.drain(..).rev() {
            fs::set_permissions(path, mode).unwrap();
        }
    }
}

/// A use in a log that came and went while the daemon stood still.
#[test]
fn row_17_no_answer_is_ready_over_a_rotation_that_a_stopped_daemon_has_missed() {
    let site = Site::new(&config("10s"));
    let mut writer = Writer::new(&site);
    writer.write(6);
    let daemon = site.start();
    declare(&daemon);
    wait_for("ready", || {
        writer.move_over();
        (daemon.readiness(CREDENTIAL)["ready"] == true).then_some(())
    });
    kill_process(daemon.pid(), Signal::STOP).unwrap();
    let stopped_at = keydrain::clock::now();
    let stands_still = Duration::from_secs(4);
    wait_until("it stood still", || keydrain::clock::now().since(stopped_at) > stands_still);
    writer.rotate();
    let used_at = keydrain::clock::now();
    writer.line("c00", "2025-q4");
    writer.rotate();
    for number in [1, 2] {
        fs::remove_file(site.path(&format!("logs/access.log.{number}"))).unwrap();
    }
    kill_process(daemon.pid(), Signal::CONT).unwrap();
    let mut covering = 0;
    wait_until("answers that speak of the use", || {
        writer.move_over();
        let answer = daemon.readiness(CREDENTIAL);
        let at = |name: &str| answer["window"][name].as_str().and_then(|it| it.parse().ok());
        let covers = at("from") < Some(used_at) && at("to") > Some(used_at);
        assert!(!covers || answer["ready"] == false, "used at {used_at}: {answer}");
        covering += u32::from(covers);
        covering > 20
    });
}

//! The real `keydrain` binary: a daemon in a folder of its own, and the ways to ask it.
//!
//! All that keydrain says (HTTP, stdout, stderr) is kept in files below the folder, so that a
//! test can look for what must never be said.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::wait::{DEADLINE, wait_for, wait_until};

/// The token of every site.
pub const TOKEN: &str = "token-of-the-tests";

/// First lines of a config: a port of its own, a token and a state below the folder.
pub const SERVER: &str =
    "[server]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n[state]\ndir = \"state\"\n";

/// Returns the binary under test: the one that `KEYDRAIN_BIN` names, or the one that cargo built.
pub fn binary() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_keydrain"));
    let named = std::env::var_os("KEYDRAIN_BIN").map(PathBuf::from);
    named.map_or_else(built, |path| std::path::absolute(path).expect("a path of a binary"))
}

/// A folder with a config, and what keydrain leaves in it.
pub struct Site {
    folder: TempDir,
    said: AtomicU64,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code, `None` after a signal.
    pub code: Option<i32>,
    /// Everything on stdout.
    pub out: String,
    /// Everything on stderr.
    pub err: String,
}

/// A command that runs.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// A running daemon; killed when dropped.
pub struct Daemon<'s> {
    site: &'s Site,
    child: Child,
    address: SocketAddr,
}

impl Site {
    /// Makes the folder with `config` as `keydrain.toml`, and the token.
    pub fn new(config: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), said: AtomicU64::new(0) };
        fs::create_dir(site.path("said")).unwrap();
        fs::write(site.path("token"), format!("{TOKEN}\n")).unwrap();
        site.configure(config);
        site
    }

    /// Replaces the config.
    pub fn configure(&self, config: &str) {
        fs::write(self.path("keydrain.toml"), config).unwrap();
    }

    /// Returns a path below the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a command line of keydrain with this config; it runs in the folder.
    pub fn keydrain(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.path("keydrain.toml")).args(args);
        command.current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KEYDRAIN_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs keydrain to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.begin(self.keydrain(args)).end()
    }

    /// Starts a command whose output is kept.
    pub fn begin(&self, mut command: Command) -> Running {
        let number = self.said.fetch_add(1, Ordering::Relaxed);
        let out = self.path(&format!("said/{number}.out"));
        let err = self.path(&format!("said/{number}.err"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Running { child, out, err }
    }

    /// Starts the daemon; returns once it has read what there is.
    pub fn start(&self) -> Daemon<'_> {
        let daemon = self.spawn(self.keydrain(&["run"]));
        daemon.wait_until_read();
        daemon
    }

    /// Starts the daemon by `command`; returns once it listens.
    pub fn spawn(&self, command: Command) -> Daemon<'_> {
        let spawned = self.try_spawn(command);
        spawned.unwrap_or_else(|ended| panic!("the daemon ended, {ended:?}:\n{}", self.log()))
    }

    /// Starts the daemon by `command`; returns once it listens, or how it ended before that.
    pub fn try_spawn(&self, command: Command) -> Result<Daemon<'_>, ExitStatus> {
        let before = self.log().len();
        let mut child = self.launch(command);
        let address = wait_for("the daemon listens or ends", || {
            if let Some(address) = address_in(&self.log()[before..]) {
                return Some(Ok(address));
            }
            child.try_wait().unwrap().map(Err)
        });
        address.map(|address| Daemon { site: self, child, address })
    }

    /// Starts the daemon by `command` and waits for nothing.
    pub fn launch(&self, mut command: Command) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(self.path("said/daemon.log"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap()
    }

    /// Returns what all daemons of this site wrote to stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("said/daemon.log")).unwrap_or_default()
    }

    fn note(&self, reply: &Reply) {
        let file = OpenOptions::new().create(true).append(true).open(self.path("said/http"));
        writeln!(file.unwrap(), "{}\n{}", reply.head, reply.body).unwrap();
    }
}

/// Returns the address in the line that says that the daemon runs.
fn address_in(log: &str) -> Option<SocketAddr> {
    // A line that is not whole yet may hold half a port.
    let whole = &log[..=log.rfind('\n')?];
    let line = whole.lines().find(|line| line.contains("Running."))?;
    let (_, address) = line.split_once("address=")?;
    Some(address.split(' ').next()?.parse().expect("an address"))
}

impl Running {
    /// Tells whether the command still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns the most bytes of memory that it ever held at a time. `None` when it has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        peak_memory(Pid::from_child(&self.child))
    }

    /// Returns what it said on stderr so far.
    pub fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// Stops it with SIGTERM and waits for the end.
    pub fn stop(self) -> Ran {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it is our own child");
        self.end()
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ran {
        let status = wait_for("the command ends", || self.child.try_wait().unwrap());
        self.ran(status)
    }

    /// Waits for the end of a command that takes longer than others, as it says itself.
    pub fn end_at_last(mut self) -> Ran {
        let status = self.child.wait().unwrap();
        self.ran(status)
    }

    fn ran(&self, status: ExitStatus) -> Ran {
        let text = |path| fs::read_to_string(path).unwrap();
        Ran { code: status.code(), out: text(&self.out), err: text(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    /// Returns stdout as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Reply {
    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Daemon<'_> {
    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Returns the most bytes of memory that it ever held at a time.
    pub fn peak_memory(&self) -> u64 {
        peak_memory(self.pid()).expect("it runs")
    }

    /// Tells whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has read what existed when it started.
    pub fn wait_until_read(&self) {
        wait_until("the daemon has read what there is", || self.get("/readyz").status == 200);
    }

    /// Asks with GET.
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, None, "").expect("the daemon answers")
    }

    /// Posts `body` with the token.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        self.request("POST", path, Some(TOKEN), &body).expect("the daemon answers")
    }

    /// Sends a request and reads the whole answer.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n",
            self.address,
            body.len(),
            bearer.unwrap_or_default()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let reply = Reply { status, head: head.to_owned(), body: body.to_owned() };
        self.site.note(&reply);
        Ok(reply)
    }

    /// Asks over the command line.
    pub fn cli(&self, args: &[&str]) -> Ran {
        self.begin_cli(args).end()
    }

    /// Starts a command that asks this daemon.
    pub fn begin_cli(&self, args: &[&str]) -> Running {
        let url = format!("http://{}", self.address);
        let mut command = self.site.keydrain(args);
        command.args(["--url", &url]);
        self.site.begin(command)
    }

    /// Returns the answer about the open rotation of `credential`.
    pub fn readiness(&self, credential: &str) -> Value {
        let reply = self.get(&format!("/v1/credentials/{credential}/readiness"));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Returns the one source that is declared.
    pub fn source(&self) -> Value {
        let sources = self.get("/v1/sources").json();
        assert_eq!(sources["sources"].as_array().unwrap().len(), 1, "{sources}");
        sources["sources"][0].clone()
    }

    /// Stops it with SIGTERM and returns its exit code.
    pub fn stop(self) -> Option<i32> {
        self.end().code()
    }

    /// Sends SIGTERM and returns how it ended, maybe by itself before that.
    pub fn end(mut self) -> ExitStatus {
        if let Some(ended) = self.child.try_wait().unwrap() {
            return ended;
        }
        kill_process(self.pid(), Signal::TERM).expect("it is our own child");
        wait_for("the daemon stops", || self.child.try_wait().unwrap())
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9), "{}", self.site.log());
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the most bytes of memory that a process ever held at a time: `VmHWM`. `None` when it has
/// ended.
fn peak_memory(process: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes = peak.trim().strip_suffix(" kB").expect("the kernel's own unit");
    Some(kilobytes.parse::<u64>().unwrap() << 10)
}

/// Returns the files below `folder`, however deep.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// Makes root as powerless as everybody else, so that the mode of a file means something.
pub fn without_powers(command: &Command) -> Command {
    let mut plain = Command::new(command.get_program());
    if rustix::process::geteuid().is_root() {
        plain = Command::new("setpriv");
        plain.args(["--bounding-set=-all", "--inh-caps=-all", "--"]).arg(command.get_program());
    }
    plain.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        plain.current_dir(folder);
    }
    plain
}

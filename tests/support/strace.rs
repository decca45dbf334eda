//! strace around the daemon: it makes chosen system calls fail, or kills the daemon at one.
//!
//! A count of calls is kept per system call and thread, as strace does it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::wait::{wait_for, wait_until};

/// What happens to which calls, and where the traced calls are written down.
pub struct Faults {
    trace: PathBuf,
    calls: String,
    inject: Vec<String>,
    paths: Vec<PathBuf>,
}

impl Faults {
    /// Makes `calls` (names with commas) do `what`, in strace's words: `signal=SIGKILL:when=3` or
    /// `error=EIO:when=5+`. The calls are written to `trace`.
    pub fn new(trace: PathBuf, calls: &str, what: &str) -> Self {
        // What an earlier daemon did is no news.
        let _ = fs::remove_file(&trace);
        let inject = vec![format!("inject={calls}:{what}")];
        Self { trace, calls: calls.to_owned(), inject, paths: Vec::new() }
    }

    /// Leaves alone the calls on other files than `path`. Without root's powers strace cannot see
    /// which file a call is on: then all are meant.
    pub fn on(mut self, path: PathBuf) -> Self {
        if rustix::process::geteuid().is_root() {
            self.paths.push(path);
        }
        self
    }

    /// Returns `command` under strace. The child that is started is the program itself.
    pub fn around(&self, command: &Command) -> Command {
        let mut traced = Command::new("strace");
        traced.args(["-D", "-I1", "-f", "-qq", "-e", "signal=none", "-o"]).arg(&self.trace);
        traced.arg("-e").arg(format!("trace={}", self.calls));
        for inject in &self.inject {
            traced.args(["-e", inject]);
        }
        for path in &self.paths {
            traced.arg("-P").arg(path);
        }
        traced.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => traced.env(name, value),
                None => traced.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            traced.current_dir(folder);
        }
        traced
    }

    /// Tells whether a call was met by the fault.
    pub fn struck(&self) -> bool {
        let trace = self.trace();
        trace.contains("(INJECTED") || trace.contains("killed by SIGKILL")
    }

    /// Returns the calls so far, as strace writes them.
    pub fn trace(&self) -> String {
        fs::read_to_string(&self.trace).unwrap_or_default()
    }

    /// Counts the calls so far of the thread `thread`, and the most that any other thread made.
    pub fn calls_of(&self, thread: Pid) -> (usize, usize) {
        let mut others = std::collections::BTreeMap::new();
        let mut own = 0;
        for line in self.trace().lines().filter(|line| line.contains('(')) {
            let id = line.split(' ').next().and_then(|id| id.parse::<i32>().ok());
            match id {
                Some(id) if id == thread.as_raw_nonzero().get() => own += 1,
                Some(id) => *others.entry(id).or_insert(0) += 1,
                None => {}
            }
        }
        (own, others.into_values().max().unwrap_or(0))
    }
}

/// Ends the faults of the process `traced`, which goes on.
pub fn end_faults(traced: Pid) {
    let strace = tracer_of(traced).expect("the daemon is traced");
    kill_process(strace, Signal::TERM).unwrap();
    wait_until("strace lets go", || tracer_of(traced).is_none());
}

fn tracer_of(process: Pid) -> Option<Pid> {
    let status = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = wait_for("the process exists", || fs::read_to_string(Path::new(&status)).ok());
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    Pid::from_raw(tracer.expect("a status has it").trim().parse().expect("a number"))
}

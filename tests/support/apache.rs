//! A real Apache httpd on a free loopback port: one process, which handles one request after the
//! other, or a parent with children. It writes all its files below the folder that the test gives.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::{wait_for, wait_until};

/// How often another process may take the port before Apache does.
const ATTEMPTS: u32 = 5;

/// Where distributions keep the modules.
const MODULES: [&str; 4] = [
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/local/apache2/modules",
];

/// A running server.
pub struct Apache {
    process: Child,
    folder: PathBuf,
    port: u16,
}

/// Who handles the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Workers {
    /// The one process.
    Itself,
    /// Its children.
    Children,
}

impl Apache {
    /// Starts Apache in `folder` with `config` behind the lines that every server needs; returns
    /// once it listens.
    ///
    /// `modules` are those that `config` needs, without `mod_` and `.so`; relative paths are below
    /// `folder`.
    pub fn start(folder: &Path, modules: &[&str], config: &str) -> Self {
        Self::start_as(Workers::Itself, folder, modules, config)
    }

    /// Starts Apache as [`start`](Self::start) does, with children that handle the requests.
    pub fn start_with_children(folder: &Path, modules: &[&str], config: &str) -> Self {
        let few = "StartServers 2\nMinSpareServers 1\nMaxSpareServers 3\n";
        let apache = Self::start_as(Workers::Children, folder, modules, &format!("{few}{config}"));
        // A signal that comes before it looks after its children would end it.
        wait_until("Apache looks after its children", || resumed(folder) > 0);
        apache
    }

    fn start_as(workers: Workers, folder: &Path, modules: &[&str], config: &str) -> Self {
        // Children of root change to a user who must find the way here.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        let started = (0..ATTEMPTS).find_map(|_| Self::attempt(workers, folder, modules, config));
        started.unwrap_or_else(|| panic!("Apache does not start:\n{}", errors(folder)))
    }

    fn attempt(workers: Workers, folder: &Path, modules: &[&str], config: &str) -> Option<Self> {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        write_config(folder, port, modules, config);
        let process = spawn(workers, folder);
        let mut apache = Self { process, folder: folder.to_owned(), port };
        let listens = wait_for("Apache listens or ends", || {
            if apache.process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            // It listens before it says who it is.
            let pid = fs::read_to_string(folder.join("httpd.pid")).unwrap_or_default();
            (pid == format!("{}\n", apache.process.id())).then_some(true)
        });
        listens.then_some(apache)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens the logs anew and replaces the children, of which each may end the request that it
    /// handles; returns once the new ones are there.
    pub fn restart_gracefully(&self) {
        let before = resumed(&self.folder);
        kill_process(Pid::from_child(&self.process), Signal::USR1).expect("it is our own child");
        wait_until("Apache has restarted", || resumed(&self.folder) > before);
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        // TERM lets it end its children; it may have ended already.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

fn write_config(folder: &Path, port: u16, modules: &[&str], config: &str) {
    let place = MODULES.into_iter().find(|place| Path::new(place).is_dir()).unwrap_or(MODULES[0]);
    let mut text = format!(
        "ServerName localhost\nListen 127.0.0.1:{port}\nServerRoot \"{}\"\nErrorLog error.log\n\
         PidFile httpd.pid\nLogLevel notice\nTimeout 20\n",
        folder.display()
    );
    if rustix::process::geteuid().is_root() {
        text.push_str("User nobody\nGroup nogroup\n");
    }
    for module in ["mpm_prefork", "authz_core"].iter().chain(modules) {
        let file = format!("{place}/mod_{module}.so");
        if Path::new(&file).is_file() {
            writeln!(text, "LoadModule {module}_module \"{file}\"").expect("a string takes all");
        }
    }
    text.push_str(config);
    fs::write(folder.join("httpd.conf"), text).unwrap();
}

fn spawn(workers: Workers, folder: &Path) -> Child {
    let program = ["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .unwrap_or("apache2");
    Command::new(program)
        .arg(match workers {
            Workers::Itself => "-X",
            Workers::Children => "-DFOREGROUND",
        })
        .arg("-f")
        .arg(folder.join("httpd.conf"))
        // It signals its whole group, which would be ours.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.join("said.log")).unwrap())
        .stderr(fs::File::create(folder.join("said.log")).unwrap())
        .spawn()
        .expect("Apache is needed: run ./test, or apt-get install apache2-bin")
}

/// Counts how often it said that it, or its children, began to work.
fn resumed(folder: &Path) -> usize {
    errors(folder).matches("resuming normal operations").count()
}

fn errors(folder: &Path) -> String {
    let read = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
    read("said.log") + &read("error.log")
}

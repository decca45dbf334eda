//! A real nginx on a free loopback port, and a client that speaks just enough HTTP to it.
//!
//! Everything nginx writes (log, pid, temporary files) stays below the folder that the test
//! gives. It runs as whoever runs the tests and is stopped when the value is dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::{DEADLINE, wait_until};

/// A running server.
pub struct Nginx {
    master: Child,
    folder: PathBuf,
    port: u16,
}

impl Nginx {
    /// Starts nginx in `folder` with `http` as the content of its `http` block; returns once it
    /// runs and heeds signals.
    ///
    /// `LISTEN` in `http` becomes the address to listen on; relative paths are below `folder`.
    pub fn start(folder: &Path, http: &str) -> Self {
        // The socket is ours from the first moment on: no other process can take the port.
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        write_config(folder, port, http);
        let _ = fs::remove_file(folder.join("error.log"));
        let master = spawn(folder, socket);
        let mut nginx = Self { master, folder: folder.to_owned(), port };
        // A signal that comes before the master looks after its workers would be lost.
        wait_until("nginx has started its worker", || {
            let ended = nginx.master.try_wait().unwrap();
            assert!(ended.is_none(), "nginx does not start:\n{}", error_log(folder));
            error_log(folder).contains("start worker process ")
        });
        nginx
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns where the process id is, for `kill -USR1 $(cat …)` after a rotation.
    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("nginx.pid")
    }

    /// Sends a GET request and returns the status. Its line is in an unbuffered log on return.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        get(self.port, path, headers)
    }

    /// Makes nginx open its log files by name again. The workers follow a moment later.
    pub fn reopen(&self) {
        self.signal(Signal::USR1);
    }

    /// Replaces the content of the `http` block; returns once only the new one answers.
    pub fn reload(&self, http: &str) {
        let left = || error_log(&self.folder).matches("exited with code").count();
        let before = left();
        write_config(&self.folder, self.port, http);
        self.signal(Signal::HUP);
        wait_until("the worker with the old configuration has left", || {
            let errors = error_log(&self.folder);
            assert!(!errors.contains("[emerg]"), "nginx refuses the configuration:\n{errors}");
            left() > before
        });
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.master), signal).expect("the master is our own child");
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM lets the master end its workers; KILL would leave them behind.
        if kill_process(Pid::from_child(&self.master), Signal::TERM).is_ok() {
            let _ = self.master.wait();
        }
    }
}

/// Sends a GET request to 127.0.0.1 and returns the status.
///
/// # Panics
/// If the server does not answer within the deadline.
pub fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // nginx writes the log line before it closes the connection: read to the end.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an HTTP status line")
}

fn write_config(folder: &Path, port: u16, http: &str) {
    // Workers of a root master would otherwise change to a user who cannot enter `folder`.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let http = http.replace("LISTEN", &format!("127.0.0.1:{port}"));
    let config = format!(
        "{user}daemon off;\nmaster_process on;\nworker_processes 1;\npid nginx.pid;\n\
         error_log error.log notice;\nevents {{ worker_connections 256; }}\nhttp {{\n\
         client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n{http}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
}

/// Starts the master with `socket` as its standard input, which it takes over as it would from
/// its predecessor in a binary upgrade.
fn spawn(folder: &Path, socket: TcpListener) -> Child {
    // Debian keeps it where the PATH of an ordinary user does not look.
    let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .unwrap_or("nginx");
    Command::new(program)
        .arg("-p")
        .arg(folder)
        .args(["-c", "nginx.conf", "-e", "error.log"])
        .env("NGINX", "0;")
        .stdin(OwnedFd::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx is needed: run ./test, or apt-get install nginx")
}

fn error_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("error.log")).unwrap_or_default()
}

//! Logs in unusual places, read by the real program: behind the links of Kubernetes, and on a file
//! system on which a file is not surely known.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use jiff::Timestamp;

use crate::mounted::{LAYERS, mounted};
use crate::shop::subjects;
use crate::support::daemon::{SERVER, Site};
use crate::support::wait::wait_until;

/// A config for logs at `paths`, with more `lines` for the source.
fn config(paths: &Path, lines: &str) -> String {
    format!(
        "{SERVER}[[source]]\nname = \"edge\"\npaths = [\"{}\"]\ncredential = \"query:k\"\n{lines}\n\
         [[credential]]\nname = \"payments\"\nsources = [\"edge\"]\n\
         keys = [{{ name = \"old\", id = \"old\" }}, {{ name = \"new\", id = \"new\" }}]\n",
        paths.display()
    )
}

/// What this host takes for now.
fn now() -> Timestamp {
    Timestamp::from_second(keydrain::clock::now().as_seconds()).unwrap()
}

/// A line of nginx, of now, with the old key.
fn line() -> String {
    let now = now().strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("192.0.2.1 - checkout [{now}] \"GET /?k=old HTTP/1.1\" 200 5 \"-\" \"-\"")
}

#[test]
fn container_logs_are_read_behind_their_links_and_no_other_link_is_followed() {
    let site = Site::new("");
    for directory in ["containers", "pods/web"] {
        fs::create_dir_all(site.path(directory)).unwrap();
    }
    let roots = format!("link_roots = [\"{}\"]", site.path("pods").display());
    site.configure(&config(&site.path("containers/*.log"), &roots));
    let container = |line: String| format!("{} stdout F {line}\n", now());
    fs::write(site.path("pods/web/0.log"), container(line())).unwrap();
    symlink("../pods/web/0.log", site.path("containers/web.log")).unwrap();
    symlink("/etc/shadow", site.path("containers/shadow.log")).unwrap();

    let daemon = site.start();
    wait_until("the line is read", || daemon.source()["lines"] == 1);
    fs::rename(site.path("pods/web/0.log"), site.path("pods/web/0.log.20251126-101500")).unwrap();
    fs::write(site.path("pods/web/new"), container(line()) + &container(line())).unwrap();
    fs::rename(site.path("pods/web/new"), site.path("pods/web/0.log")).unwrap();
    wait_until("the next log is read", || daemon.source()["lines"] == 3);
    let source = daemon.source();
    assert_eq!((&source["rejects"], source["gaps"].as_array().unwrap().len()), (&0.into(), 0));
    let refused = source["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 1, "{source}");
    assert!(refused[0]["path"].as_str().unwrap().ends_with("containers/shadow.log"));
    let check = daemon.cli(&["check"]);
    assert!(check.out.contains("is a symbolic link to /etc/shadow"), "{check:?}");
}

#[test]
fn a_weak_file_system_is_named_in_every_answer() {
    let test = "places::a_weak_file_system_is_named_in_every_answer";
    let Some(mount) = mounted(LAYERS, test) else { return };
    let log = mount.join("access.log");
    let site = Site::new(&config(&log, ""));
    fs::write(&log, line() + "\n").unwrap();
    let daemon = site.start();
    wait_until("the line is read", || daemon.source()["lines"] == 1);
    let source = daemon.source();
    let weak = &source["weak_file_systems"][0];
    assert_eq!((&weak["name"], &weak["weakness"]), (&"overlay".into(), &"layered".into()));
    assert_eq!(source["basis"], "assumed", "{source}");
    let status = daemon.cli(&["status"]).out;
    assert!(status.contains(": on overlay: a file is known by"), "{status}");
    let started = daemon.cli(&["rotation", "start", "payments", "--old", "old", "--new", "new"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let answer = daemon.readiness("payments");
    let warnings = answer["warnings"].as_array().unwrap();
    let told = warnings.iter().filter(|warning| warning["code"] == "weak_file_system");
    assert_eq!(told.count(), 1, "{answer}");
    assert_eq!(answer["evidence"]["sources"][0]["basis"], "assumed", "{answer}");
    assert!(subjects(&answer, "old_key_in_use").contains(&"checkout"), "{answer}");
}

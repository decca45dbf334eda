//! The real programs that other tests rely on do what those tests assume.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use support::logrotate::logrotate;
use support::nginx::Nginx;
use support::wait::wait_until;

const HTTP: &str = r#"
    map $http_x_api_key $key_name { "old" "2025-q4"; "new" "2026-q1"; default "-"; }
    log_format keys '"$http_x_client" $key_name "$request" $status';
    access_log access.log keys;
    server { listen LISTEN; location / { return 200 "ok"; } }
"#;

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn nginx_logs_the_name_of_a_key_before_the_answer_ends() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(folder.path(), HTTP);
    assert_eq!(nginx.get("/a", &[("X-Api-Key", "old"), ("X-Client", "checkout")]), 200);
    assert_eq!(nginx.get("/b", &[]), 200);
    assert_eq!(
        lines(&folder.path().join("access.log")),
        [r#""checkout" 2025-q4 "GET /a HTTP/1.1" 200"#, r#""-" - "GET /b HTTP/1.1" 200"#]
    );
}

#[test]
fn after_a_reload_only_the_new_configuration_answers() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(folder.path(), HTTP);
    assert_eq!(nginx.get("/", &[]), 200);
    nginx.reload(&HTTP.replace("return 200", "return 401"));
    for _ in 0..20 {
        assert_eq!(nginx.get("/", &[]), 401);
    }
    nginx.reload(HTTP);
    assert_eq!(nginx.get("/", &[]), 200);
}

#[test]
fn after_a_rename_nginx_goes_on_in_the_old_file_until_it_is_told_to_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let (log, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let nginx = Nginx::start(folder.path(), HTTP);
    nginx.get("/1", &[]);
    fs::rename(&log, &rotated).unwrap();
    nginx.get("/2", &[]);
    assert_eq!(lines(&rotated).len(), 2);
    assert!(!log.exists());

    nginx.reopen();
    let mut sent = 2;
    wait_until("a line in the new file", || {
        nginx.get("/3", &[]);
        sent += 1;
        !lines(&log).is_empty()
    });
    assert_eq!(lines(&rotated).len() + lines(&log).len(), sent, "a line is lost");
}

#[test]
fn logrotate_with_create_renames_and_nginx_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (log, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let nginx = Nginx::start(folder.path(), HTTP);
    nginx.get("/1", &[]);
    let before = fs::metadata(&log).unwrap().ino();
    logrotate(
        folder.path(),
        &format!(
            "\"{}\" {{\n rotate 3\n create\n postrotate\n kill -USR1 $(cat '{}')\n endscript\n}}\n",
            log.display(),
            nginx.pid_file().display()
        ),
    );
    assert_eq!(fs::metadata(&rotated).unwrap().ino(), before);
    assert_ne!(fs::metadata(&log).unwrap().ino(), before);
    wait_until("a line in the new file", || {
        nginx.get("/2", &[]);
        !lines(&log).is_empty()
    });
}

#[test]
fn nginx_is_gone_when_its_value_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let nginx = Nginx::start(folder.path(), HTTP);
    let port = nginx.port();
    drop(nginx);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!folder.path().join("nginx.pid").exists());
}

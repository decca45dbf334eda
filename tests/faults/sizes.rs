//! Logs of odd sizes: the smallest, and those that are made to exhaust whoever reads them.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Site};
use crate::support::wait::{wait_for, wait_until};
use crate::writer::{CREDENTIAL, LINE, Writer, assert_not_ready, config, declare};

/// What a daemon may hold at a time, whatever it reads: a record of many lines that does not end is
/// broken off at 16 MiB, which may be held in a few places (what was read, what a compressed file
/// gave, room to grow), and the program with its state takes some 25 MiB. Far below what the logs of
/// these tests would need.
const MOST_MEMORY: u64 = 96 << 20;

fn subjects<'a>(answer: &'a Value, code: &str) -> Vec<&'a str> {
    let blockers = answer["blockers"].as_array().unwrap().iter();
    let of_code = blockers.filter(|blocker| blocker["code"] == code);
    of_code.map(|blocker| blocker["subject"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_bounded(peak: u64, what: &str) {
    println!("{what}: {} MiB at most", peak >> 20);
    assert!((1 << 20..MOST_MEMORY).contains(&peak), "{what}: {peak} bytes");
}

/// Three files of the same twenty bytes: far below the first KiB by which files are told apart.
#[test]
fn row_11_a_first_line_of_twenty_bytes_is_counted_from_its_first_byte() {
    const LINE: &[u8] = b"1764198000.000 2025\n";
    let text = config("15m")
        .replace(
            r#"$msec $remote_addr "$http_x_client" $key_name "$request" $status"#,
            "$msec $key_name",
        )
        .replace("consumer = \"field:http_x_client\"\n", "")
        .replace("id = \"2025-q4\"", "id = \"2025\"")
        .replace("id = \"2026-q1\"", "id = \"2026\"");
    let site = Site::new(&text);
    fs::create_dir(site.path("logs")).unwrap();
    let log = site.path("logs/access.log");
    File::create(&log).unwrap();
    let write = |bytes: &[u8]| {
        OpenOptions::new().append(true).create(true).open(&log).unwrap().write_all(bytes).unwrap();
    };
    let waiting = |daemon: &Daemon<'_>, bytes: u64| {
        let what = format!("{bytes} bytes wait for the rest of their line");
        wait_until(&what, || {
            let source = daemon.source();
            source["streams"][0]["coverage"]["total"]["waiting"] == bytes
        });
    };
    let counted = |daemon: &Daemon<'_>, lines: u64| {
        let source = wait_for(&format!("{lines} lines are counted"), || {
            let source = daemon.source();
            (source["lines"] == lines).then_some(source)
        });
        assert_eq!((&source["rejects"], &source["bytes_read"]), (&0.into(), &(lines * 20).into()));
        assert_eq!(source["gaps"], json!([]));
    };
    let mut daemon = site.start();
    for lines in 1..=3 {
        write(&LINE[..19]);
        waiting(&daemon, 19);
        counted(&daemon, lines - 1);
        write(&LINE[19..]);
        counted(&daemon, lines);
        assert_eq!(daemon.stop(), Some(0));
        daemon = site.start();
        counted(&daemon, lines);
        let numbered = |number| log.with_file_name(format!("access.log.{number}"));
        for number in (1..lines).rev() {
            fs::rename(numbered(number), numbered(number + 1)).unwrap();
        }
        fs::rename(&log, numbered(1)).unwrap();
        write(b"");
    }
}

/// Returns `megabytes` of the same byte as a gzip file of a thousandth of that: members of 64 MiB
/// each, of which a gzip file may have many.
fn bomb(byte: u8, megabytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![byte; 1 << 20]).unwrap();
    }
    let packed = encoder.finish().unwrap().repeat(megabytes / 64);
    assert!(packed.len() < megabytes << 11, "{} bytes are no bomb", packed.len());
    packed
}

/// Gigabytes that come out of some megabytes, of NUL bytes and of a line that does not end.
const MEGABYTES: usize = 4096;

#[test]
fn row_15_a_bomb_is_a_gap_or_one_reject_in_bounded_memory_and_hides_no_other_line() {
    for byte in [0, b'a'] {
        let what = format!("a bomb of the byte {byte}");
        let site = Site::new(&config("15m"));
        let mut writer = Writer::new(&site);
        writer.move_over();
        fs::write(writer.log().with_file_name("access.log.1.gz"), bomb(byte, MEGABYTES)).unwrap();
        let daemon = site.spawn(site.keydrain(&["run"]));
        declare(&daemon);
        let source = wait_for(&format!("{what}: it is read"), || {
            assert_not_ready(&daemon.readiness(CREDENTIAL), &what);
            (daemon.get("/readyz").status == 200).then(|| daemon.source())
        });
        assert_bounded(daemon.peak_memory(), &what);
        let total = &source["streams"][0]["coverage"]["total"];
        let bytes = (MEGABYTES as u64) << 20;
        assert_eq!(total["known"], bytes + writer.lines() * LINE, "{what}: {source}");
        let (kind, reject) = if byte == 0 { ("nul_run", 0) } else { ("overlong", 1) };
        assert!(total["skipped"][kind].as_u64() > Some(bytes - (2 << 20)), "{what}: {source}");
        let counts = [&source["lines"], &source["rejects"]].map(|count| count.as_u64().unwrap());
        assert_eq!(counts, [writer.lines() + reject, reject], "{what}: {source}");
        let answer = daemon.readiness(CREDENTIAL);
        assert_eq!(answer["verdict"], "unknown", "{what}: {answer}");
        let code = if byte == 0 { "coverage_gap" } else { "rejects" };
        assert!(!subjects(&answer, code).is_empty(), "{what}: {answer}");
    }
}

#[test]
fn row_15_a_scan_of_a_bomb_cuts_it_off_in_bounded_memory_and_names_it() {
    let site = Site::new(&config("15m"));
    for byte in [0, b'a'] {
        let what = format!("a scan of a bomb of the byte {byte}");
        fs::write(site.path("bomb.gz"), bomb(byte, MEGABYTES)).unwrap();
        let place = ["--credential", "query:api_key", "--format", "combined", "--output", "json"];
        let mut scan = site.begin(site.keydrain(&[&["scan", "bomb.gz"], &place[..]].concat()));
        let mut peak = 0;
        wait_until(&what, || {
            peak = peak.max(scan.peak_memory().unwrap_or(0));
            !scan.runs()
        });
        assert_bounded(peak, &what);
        // No log packs a thousandfold: it is cut off, and the answer says that it is incomplete.
        let ran = scan.end();
        assert_eq!(ran.code, Some(3), "{ran:?}");
        let counts = ran.json();
        assert_eq!(counts["incomplete"], json!(["bomb.gz"]), "{counts}");
        assert_eq!((&counts["lines"], &counts["events"]), (&1.into(), &0.into()), "{counts}");
        assert_eq!(counts["rejects"]["by_reason"]["too_long"], 1, "{counts}");
        assert!(counts["bytes"].as_u64() < Some((MEGABYTES as u64) << 19), "{counts}");
    }
}

#[test]
fn row_23_a_line_of_a_gigabyte_is_one_reject_in_bounded_memory_and_its_key_is_found() {
    let site = Site::new(&config("15m"));
    let mut writer = Writer::new(&site);
    writer.move_over();
    let daemon = site.start();
    declare(&daemon);
    let mut file = OpenOptions::new().append(true).open(writer.log()).unwrap();
    let piece = vec![b'x'; 1 << 20];
    for number in 0..1024 {
        file.write_all(&piece).unwrap();
        if number == 512 {
            file.write_all(b" 2025-q4 ").unwrap();
        }
    }
    file.write_all(b"\n").unwrap();
    writer.move_over();
    let what = "a line of a gigabyte";
    let source = wait_for("the line and those behind it are read", || {
        assert_not_ready(&daemon.readiness(CREDENTIAL), what);
        let source = daemon.source();
        (source["lines"] == writer.lines() + 1).then_some(source)
    });
    assert_bounded(daemon.peak_memory(), what);
    let total = &source["streams"][0]["coverage"]["total"];
    assert_eq!((&source["rejects"], &source["gaps"]), (&1.into(), &json!([])), "{source}");
    assert_eq!(total["known"], (1 << 30) + 10 + writer.lines() * LINE, "{source}");
    let answer = daemon.readiness(CREDENTIAL);
    assert_eq!(answer["verdict"], "unknown", "{answer}");
    assert_eq!(subjects(&answer, "rejects"), ["edge", "2025-q4"], "{answer}");
}

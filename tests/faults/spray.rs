//! Somebody sends a new key, or a new name, with each request: memory and state stay as they are,
//! and the keys that are watched are counted to the last one.
//!
//! `KEYDRAIN_SPRAY` sets how many there are; `benches/spray.sh` does it with ten million.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use keydrain::clock;
use keydrain::engine::credential::FingerprintSecret;
use serde_json::Value;

use crate::support::daemon::{Daemon, Site};
use crate::support::wait::wait_for;
use crate::writer::{CREDENTIAL, assert_not_ready, config, declare};

/// How much more may be held at the end than when a quarter was read: what an allocator wastes.
const GROWTH: u64 = 24 << 20;
/// What may be held at all: 2,048 consumers that are kept apart and some MiB that are read at a time.
const MOST_MEMORY: u64 = 128 << 20;

fn count(usual: u64) -> u64 {
    let asked = std::env::var("KEYDRAIN_SPRAY").ok();
    asked.map_or(usual, |text| text.parse().expect("KEYDRAIN_SPRAY is a number"))
}

/// Values that nobody has seen before: a bijection of the numbers, so that no two are the same.
fn random(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes `count` lines to the log in quarters, waits until each is read, and asserts that memory
/// stays as it is after the first one. `line` gives client and key of each number.
fn spray(site: &Site, daemon: &Daemon<'_>, count: u64, line: impl Fn(u64) -> (String, String)) {
    let mut log = OpenOptions::new().append(true).open(site.path("logs/access.log")).unwrap();
    let mut first = None;
    for quarter in 0..4 {
        let seconds = clock::now().as_seconds();
        let mut text = String::new();
        for number in quarter * count / 4..(quarter + 1) * count / 4 {
            let (client, key) = line(number);
            writeln!(text, "{seconds}.000 192.0.2.7 \"{client}\" {key} \"GET / HTTP/1.1\" 200")
                .unwrap();
            if text.len() > 1 << 20 {
                log.write_all(text.as_bytes()).unwrap();
                text.clear();
            }
        }
        log.write_all(text.as_bytes()).unwrap();
        let lines = (quarter + 1) * count / 4;
        let mut read = 0;
        while read < lines {
            // As long as it reads on there is no deadline: it may be ten million.
            read = wait_for("more lines are read", || {
                let now = daemon.source()["lines"].as_u64().unwrap();
                (now > read).then_some(now)
            });
        }
        assert_not_ready(&daemon.readiness(CREDENTIAL), "under a spray");
        let peak = daemon.peak_memory();
        println!("{lines} lines: {} MiB at most", peak >> 20);
        let bound = *first.get_or_insert(peak) + GROWTH;
        assert!(peak < bound && peak < MOST_MEMORY, "{peak} bytes after {lines} lines");
    }
    let state: u64 = fs::read_dir(site.path("state"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    println!("state: {} KiB", state >> 10);
    assert!(state < 32 << 20, "the state has {state} bytes");
}

/// Starts a daemon that knows the new key by its fingerprint alone, so that every value of the log
/// must be hashed before anything can be said of it.
fn with_fingerprint(site: &Site) -> Daemon<'_> {
    fs::create_dir(site.path("logs")).unwrap();
    File::create(site.path("logs/access.log")).unwrap();
    assert_eq!(site.start().stop(), Some(0));
    let secret = fs::read_to_string(site.path("state/fingerprint.key")).unwrap();
    let secret = FingerprintSecret::new(secret.trim().as_bytes().to_vec());
    let fingerprint = secret.fingerprint(b"2026-q1");
    let known = format!("fingerprint = \"{fingerprint}\"");
    site.configure(&config("15m").replace("id = \"2026-q1\"", &known));
    let daemon = site.start();
    declare(&daemon);
    daemon
}

fn accepted(daemon: &Daemon<'_>) -> [u64; 2] {
    let answer = daemon.readiness(CREDENTIAL);
    ["old_key", "new_key"].map(|key| answer[key]["accepted"].as_u64().unwrap())
}

#[test]
fn row_52_random_keys_take_no_memory_and_the_watched_ones_are_counted_to_the_last() {
    const EVERY: u64 = 1000;
    let count = count(1_000_000);
    let site = Site::new(&config("15m"));
    let daemon = with_fingerprint(&site);
    spray(&site, &daemon, count, |number| match number % EVERY {
        7 => ("c00".to_owned(), "2025-q4".to_owned()),
        8 => ("c01".to_owned(), "2026-q1".to_owned()),
        // Each third one by a client of its own as well.
        _ if number % 3 == 0 => (format!("u{number}"), format!("sk_{:016x}", random(number))),
        _ => ("c02".to_owned(), format!("sk_{:016x}", random(number))),
    });
    assert_eq!(accepted(&daemon), [count / EVERY; 2]);
    let source = daemon.source();
    assert_eq!(source["other_keys"], count - 2 * (count / EVERY), "{source}");
    assert_eq!((source["rejects"].as_u64(), source["lines"].as_u64()), (Some(0), Some(count)));
    let consumers = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let names = consumers["consumers"].as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|one| &one["consumer"]).collect();
    assert_eq!(names, ["c00", "c01"], "nobody else presented a watched key");
}

#[test]
fn row_52_random_clients_take_no_memory_and_what_is_beyond_the_limit_is_told_and_counted() {
    let count = count(200_000);
    let site = Site::new(&config("15m"));
    let daemon = with_fingerprint(&site);
    spray(&site, &daemon, count, |number| {
        let key = if number % 2 == 0 { "2025-q4" } else { "2026-q1" };
        (format!("client-{:016x}", random(number)), key.to_owned())
    });
    assert_eq!(accepted(&daemon), [count / 2; 2]);
    let answer = daemon.readiness(CREDENTIAL);
    let blockers = answer["blockers"].as_array().unwrap().iter();
    let limit = blockers.filter(|one| one["code"] == "consumer_limit");
    assert_eq!(limit.count(), 2, "for each key: {answer}");
    let consumers = daemon.get(&format!("/v1/credentials/{CREDENTIAL}/consumers")).json();
    let consumers = consumers["consumers"].as_array().unwrap();
    assert_eq!(
        consumers.len(),
        2 * 2048 + 1,
        "so many are kept apart for each key, and the others"
    );
    let others = consumers.iter().find(|one| one["consumer"] == "(others)").unwrap();
    for key in ["old", "new"] {
        let total: u64 = consumers.iter().map(|one| one[key]["accepted"].as_u64().unwrap()).sum();
        assert_eq!(total, count / 2, "{key}");
        assert_eq!(others[key]["accepted"], count / 2 - 2048, "{key}");
    }
}

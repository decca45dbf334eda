//! What `scan` reads: names, packed files, broken files; and that no number of threads and no
//! cutting into files changes an answer.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::Parser;
use keydrain::cli::{Exit, scan};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: scan::Args,
}

const COMBINED: [&str; 3] = ["--credential", "query:api_key", "--public"];

/// Runs `scan`; returns exit code, the JSON as it is written, and the remarks.
fn scanned(names: &[&Path], flags: &[&str]) -> (Exit, String, String) {
    let names = names.iter().map(|name| name.to_str().expect("UTF-8"));
    let arguments = ["scan", "--output", "json"].into_iter().chain(names);
    let cli = Cli::try_parse_from(arguments.chain(flags.iter().copied())).expect("valid flags");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = scan::run(&cli.args, None, false, &mut out, &mut err).expect("an answer");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (exit, text(out), text(err))
}

fn answer(names: &[&Path]) -> (Exit, Value, String) {
    let (exit, out, err) = scanned(names, &COMBINED);
    (exit, serde_json::from_str(&out).expect("JSON"), err)
}

/// Asserts that the names are read to their end and show `events` events.
#[track_caller]
fn shows(names: &[&Path], events: u64) {
    let (exit, answer, err) = answer(names);
    assert_eq!((exit, &answer["events"]), (Exit::Ok, &json!(events)), "{err}");
}

/// Asserts that the names show `events` events, and that `name` alone is named as incomplete, for
/// a reason that holds `why`.
#[track_caller]
fn names_incomplete(names: &[&Path], events: u64, name: &Path, why: &str) {
    let (exit, answer, err) = answer(names);
    assert_eq!((exit, &answer["events"]), (Exit::Unknown, &json!(events)), "{err}");
    assert_eq!(answer["incomplete"], json!([name.to_str().expect("UTF-8")]), "{err}");
    assert!(err.contains(why), "{err}");
}

fn line(key: &str) -> String {
    padded_line(key, 0)
}

fn padded_line(key: &str, padding: usize) -> String {
    let agent = "a".repeat(padding);
    format!(
        "192.0.2.1 - ann [17/May/2015:10:05:03 +0000] \"GET /?api_key={key} HTTP/1.1\" 200 5 \
         \"-\" \"{agent}\"\n"
    )
}

struct Dir(TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temp dir"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the directories above it.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
        std::fs::write(&path, bytes).expect("written");
        path
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("in memory");
    encoder.finish().expect("in memory")
}

fn zst(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).expect("in memory")
}

// Names.

#[test]
fn a_directory_means_the_files_below_it_in_the_order_of_their_paths() {
    let dir = Dir::new();
    dir.file("AWSLogs/1/2023/07/10/b.log", line("B"));
    dir.file("AWSLogs/1/2023/07/10/a.log.gz", gzip(line("A").as_bytes()));
    dir.file("AWSLogs/1/2023/07/09/c.log", line("C").repeat(3));
    dir.file("AWSLogs/.hidden", "not a log\n");
    dir.file("AWSLogs/1/.git/d.log", "not a log\n");
    shows(&[&dir.path("AWSLogs")], 5);
}

#[test]
fn an_empty_directory_is_named() {
    let dir = Dir::new();
    dir.file("logs/.hidden", line("A"));
    names_incomplete(&[&dir.path("logs")], 0, &dir.path("logs"), "no file is below it");
}

#[test]
fn a_link_back_to_a_directory_ends_there_and_a_linked_one_is_entered() {
    let dir = Dir::new();
    dir.file("logs/a/a.log", line("A"));
    dir.file("elsewhere/b.log", line("B"));
    symlink(dir.path("logs"), dir.path("logs/a/back")).expect("linked");
    symlink(dir.path("elsewhere"), dir.path("logs/elsewhere")).expect("linked");
    shows(&[&dir.path("logs")], 2);
}

#[test]
fn directories_that_are_too_deep_are_named() {
    let dir = Dir::new();
    let deep = "d/".repeat(34);
    dir.file(&format!("{deep}a.log"), line("A"));
    dir.file("d/b.log", line("B"));
    names_incomplete(
        &[&dir.path("d")],
        1,
        &dir.path(deep.trim_end_matches('/')),
        "name it by itself",
    );
}

#[test]
fn a_pattern_that_the_shell_left_alone_matches_as_it_would_there() {
    let dir = Dir::new();
    dir.file("access.log", line("A"));
    dir.file("access.log.1", line("B"));
    dir.file("access/deep.log", line("C"));
    dir.file(".access.log", line("D"));
    dir.file("error.log", "not a log\n");
    shows(&[&dir.path("access.log*")], 2);
    shows(&[&dir.path("*/deep.[l]og")], 1);
    shows(&[&dir.path("acces?")], 1);
    let none = dir.path("nothing*");
    names_incomplete(&[&none, &dir.path("access.log")], 1, &none, "no file has such a name");
}

#[test]
fn a_file_whose_name_looks_like_a_pattern_is_that_file() {
    let dir = Dir::new();
    dir.file("a[1].log", line("A"));
    dir.file("a1.log", line("B").repeat(2));
    shows(&[&dir.path("a[1].log")], 1);
}

#[test]
fn a_file_is_read_once_by_whatever_names_it_is_meant() {
    let dir = Dir::new();
    let path = dir.file("logs/a.log", line("A"));
    std::fs::hard_link(&path, dir.path("logs/hard.log")).expect("linked");
    symlink(&path, dir.path("logs/soft.log")).expect("linked");
    let (other, pattern) = (dir.path("logs/../logs/a.log"), dir.path("logs/*"));
    shows(&[&path, &other, &pattern, &dir.path("logs"), &path], 1);
}

#[test]
fn what_is_missing_or_may_not_be_read_is_named_and_the_rest_is_counted() {
    let dir = Dir::new();
    let whole = dir.file("whole.log", line("A"));
    let missing = dir.path("missing.log");
    names_incomplete(&[&missing, &whole], 1, &missing, "No such file");
    let dangling = dir.path("dangling.log");
    symlink(&missing, &dangling).expect("linked");
    names_incomplete(&[&whole, &dangling], 1, &dangling, "No such file");
    let secret = dir.file("secret.log", line("B"));
    let locked = dir.path("locked");
    std::fs::create_dir(&locked).expect("made");
    for path in [&secret, &locked] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).expect("changed");
        // The superuser may read everything.
        if std::fs::metadata(path).is_ok_and(|_| std::fs::File::open(path).is_err()) {
            names_incomplete(&[path, &whole], 1, path, "ermission denied");
        }
    }
}

#[test]
fn a_fifo_a_socket_or_a_device_is_named_and_never_waited_for() {
    let dir = Dir::new();
    let whole = dir.file("logs/whole.log", line("A"));
    let fifo = dir.path("logs/fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("made");
    names_incomplete(&[&fifo, &whole], 1, &fifo, "is a FIFO");
    names_incomplete(&[&dir.path("logs")], 1, &fifo, "is a FIFO");
    let socket = dir.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    names_incomplete(&[&socket, &whole], 1, &socket, "is a socket");
    let device = Path::new("/dev/zero");
    names_incomplete(&[device, &whole], 1, device, "is a device");
}

// Packed files.

#[test]
fn packing_changes_nothing_whatever_the_name_and_however_often_it_was_begun() {
    let dir = Dir::new();
    let text = [line("A"), line("B"), "bad\n".to_owned(), line("C")].concat().repeat(500);
    let (head, tail) = text.as_bytes().split_at(40_000);
    let skipped = [&b"\x5a\x2a\x4d\x18\x03\0\0\0abc"[..], &zst(head), &zst(tail)].concat();
    let packed = [
        gzip(text.as_bytes()),
        [gzip(head), gzip(b""), gzip(tail)].concat(),
        [gzip(text.as_bytes()), vec![0; 700_000]].concat(),
        zst(text.as_bytes()),
        [zst(head), zst(tail)].concat(),
        skipped,
    ];
    let plain = dir.file("plain", &text);
    let expected = scanned(&[&plain], &COMBINED);
    assert_eq!(expected.0, Exit::Ok);
    for (number, packed) in packed.iter().enumerate() {
        let path = dir.file(&format!("packed.{number}"), packed);
        assert_eq!(scanned(&[&path], &COMBINED), expected, "{number}");
    }
}

/// What a packed log that is cut or damaged must show: the whole lines of what came out.
fn assert_shows_whole_lines(dir: &Dir, text: &str, broken: &[u8], what: &str) {
    let path = dir.file("broken", broken);
    let (exit, mut answer, err) = answer(&[&path]);
    assert_eq!(exit, Exit::Unknown, "{what}: {err}");
    assert_eq!(answer["incomplete"], json!([path.to_str().expect("UTF-8")]), "{what}");
    let read = usize::try_from(answer["bytes"].as_u64().expect("a number")).expect("small");
    let whole = text[..read].rfind('\n').map_or(0, |at| at + 1);
    let path = dir.file("whole", &text[..whole]);
    let (_, expected, _) = self::answer(&[&path]);
    answer["incomplete"] = json!([]);
    answer["bytes"] = expected["bytes"].clone();
    assert_eq!(answer, expected, "{what}");
}

#[test]
fn a_packed_log_that_is_cut_anywhere_shows_whole_lines_and_is_named() {
    let dir = Dir::new();
    let text: String = (0..300).map(|number| line(&format!("key{number}"))).collect();
    for packed in [gzip(text.as_bytes()), zst(text.as_bytes())] {
        let cuts = (1..packed.len()).filter(|&cut| {
            // The zstd magic's first byte alone is a letter.
            (cut < 30 || cut + 30 > packed.len() || cut % 97 == 0) && packed[..cut] != *b"("
        });
        for cut in cuts {
            assert_shows_whole_lines(&dir, &text, &packed[..cut], &format!("cut at {cut}"));
        }
    }
}

#[test]
fn a_damaged_packed_log_is_named() {
    let dir = Dir::new();
    let text: String = (0..300).map(|number| line(&format!("key{number}"))).collect();
    let whole = gzip(text.as_bytes());
    let mut bad_sum = whole.clone();
    let at = bad_sum.len() - 6;
    bad_sum[at] ^= 1;
    assert_shows_whole_lines(&dir, &text, &bad_sum, "checksum");
    let trailing = [&whole[..], b"\0\0garbage"].concat();
    assert_shows_whole_lines(&dir, &text, &trailing, "garbage after the end");
    let trailing = [&zst(text.as_bytes())[..], b"garbage"].concat();
    assert_shows_whole_lines(&dir, &text, &trailing, "garbage after the frame");
    // A frame that asks for a window of 1 GiB.
    let frame = [&b"\x28\xb5\x2f\xfd\x04\xa0"[..], &[0; 20]].concat();
    assert_shows_whole_lines(&dir, &text, &frame, "window");
}

#[test]
fn a_packing_that_is_not_read_is_named_with_the_tool_that_unpacks_it() {
    let dir = Dir::new();
    let path = dir.file("a.log", b"\xfd7zXZ\0\0\x04");
    names_incomplete(&[&path], 0, &path, "`xzcat FILE | keydrain scan -`");
    let path = dir.file("b.log", b"BZh91AY&SY");
    names_incomplete(&[&path], 0, &path, "bzcat");
}

#[test]
fn a_bomb_is_cut_off_and_named() {
    let dir = Dir::new();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("in memory");
    encoder.write_all(line("A").as_bytes()).expect("in memory");
    let zeros = vec![0; 1 << 20];
    (0..300).for_each(|_| encoder.write_all(&zeros).expect("in memory"));
    let bomb = dir.file("bomb.zst", encoder.finish().expect("in memory"));
    let whole = dir.file("whole.log", line("B"));
    let (exit, answer, err) = answer(&[&bomb, &whole]);
    assert_eq!(exit, Exit::Unknown);
    assert_eq!(answer["incomplete"], json!([bomb.to_str().expect("UTF-8")]));
    assert_eq!(answer["events"], 2, "lines before the zeros are counted");
    assert!(err.contains("500 times its size"), "{err}");
    assert!(answer["bytes"].as_u64().is_some_and(|bytes| bytes < 290 << 20), "{answer}");
}

// Threads.

#[derive(Clone, Debug)]
enum Part {
    Line(&'static str, usize),
    Garbage(Vec<u8>),
    OverLong(usize),
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Line(key, padding) => padded_line(key, *padding).into_bytes(),
            Self::Garbage(bytes) => [bytes, &b"\r\n"[..]].concat(),
            Self::OverLong(len) => [vec![b'x'; *len], b"\n".to_vec()].concat(),
        }
    }
}

fn any_part() -> impl Strategy<Value = Part> {
    let padding = prop::sample::select(vec![0, 100, 60_000, 400_000, (1 << 20) - 200]);
    let key = prop::sample::select(vec!["A", "B", "-", "", "%41"]);
    let over_long = prop::sample::select(vec![(1 << 20) + 1, 1_300_000, 5 << 20]);
    prop_oneof![
        12 => (key, padding).prop_map(|(key, padding)| Part::Line(key, padding)),
        3 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Part::Garbage),
        1 => over_long.prop_map(Part::OverLong),
    ]
}

/// The answer for 1 thread, after it was compared with those for more.
fn for_any_threads(names: &[&Path], flags: &[&str]) -> (Exit, String, String) {
    let [one, two, five] =
        ["1", "2", "5"].map(|threads| scanned(names, &[flags, &["--threads", threads]].concat()));
    assert_eq!(two, one);
    assert_eq!(five, one);
    one
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn threads_and_files_and_packing_change_no_byte_of_the_answer(
        parts in prop::collection::vec(any_part(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 2),
        is_open in any::<bool>(),
    ) {
        let dir = Dir::new();
        let mut parts: Vec<Vec<u8>> = parts.iter().map(Part::bytes).collect();
        if is_open {
            parts.push(b"half a line".to_vec());
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(parts.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = dir.file("whole.log", parts.concat());
        let expected = for_any_threads(&[&whole], &COMBINED);
        let packed = dir.file("whole.gz", gzip(&parts.concat()));
        prop_assert_eq!(&for_any_threads(&[&packed], &COMBINED), &expected);
        dir.file("split/1", parts[..cuts[0]].concat());
        dir.file("split/2", zst(&parts[cuts[0]..cuts[1]].concat()));
        dir.file("split/3", parts[cuts[1]..].concat());
        prop_assert_eq!(&for_any_threads(&[&dir.path("split")], &COMBINED), &expected);
    }

    #[test]
    fn damage_is_named_or_harmless_and_the_same_for_any_number_of_threads(
        is_gzip in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let dir = Dir::new();
        let text: String = (0..200).map(|number| line(&format!("key{number}"))).collect();
        let mut packed = if is_gzip { gzip(text.as_bytes()) } else { zst(text.as_bytes()) };
        for (at, byte) in damage {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        let path = dir.file("damaged", &packed);
        let (exit, out, _) = for_any_threads(&[&path], &COMBINED);
        let answer: Value = serde_json::from_str(&out).expect("JSON");
        let number = |value: &Value| value.as_u64().expect("a number");
        let parts = [&answer["events"], &answer["keyless"], &answer["rejects"]["total"]];
        prop_assert_eq!(number(&answer["lines"]), parts.into_iter().map(number).sum::<u64>());
        let is_named = answer["incomplete"] != json!([]);
        prop_assert_eq!(exit, if is_named { Exit::Unknown } else { Exit::Ok });
    }
}

#[test]
fn broken_files_are_named_in_their_order_by_any_number_of_threads() {
    let dir = Dir::new();
    let packed = gzip(line("A").repeat(9).as_bytes());
    for number in 0..20 {
        let end = packed.len() - number % 3;
        dir.file(&format!("logs/{number:02}"), &packed[..end]);
    }
    let (exit, out, _) = for_any_threads(&[&dir.path("logs")], &COMBINED);
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((exit, answer["incomplete"].as_array().map(Vec::len)), (Exit::Unknown, Some(13)));
    assert_eq!(answer["events"], json!(180), "a missing checksum takes no line away");
}

// The program.

fn program(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydrain"));
    command.arg("scan").args(COMBINED).args(flags).stderr(Stdio::piped());
    command
}

fn output_for(stdin: &[u8], flags: &[&str]) -> Output {
    let mut child = program(&[&["--output", "json"], flags].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("piped").write_all(stdin).expect("written");
    child.wait_with_output().expect("ended")
}

#[test]
fn standard_input_is_read_plain_or_packed_beside_files() {
    let dir = Dir::new();
    let path = dir.file("a.log", line("A"));
    let path = path.to_str().expect("UTF-8");
    let text = line("B").repeat(5);
    for stdin in [text.clone().into_bytes(), gzip(text.as_bytes()), zst(text.as_bytes())] {
        let output = output_for(&stdin, &["-", path, "-"]);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&answer["events"], &answer["lines"]), (&json!(6), &json!(6)));
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty(), "no progress bar where no terminal is");
    }
}

#[test]
fn standard_input_that_is_a_named_file_is_read_once() {
    let dir = Dir::new();
    let path = dir.file("a.log", line("A").repeat(2));
    let events = |stdin: std::fs::File| {
        let name = path.to_str().expect("UTF-8");
        let output = program(&["--output", "json", "-", name]).stdin(stdin).output().expect("run");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["events"].as_u64().expect("a number")
    };
    assert_eq!(events(std::fs::File::open(&path).expect("there")), 2);
    let mut midway = std::fs::File::open(&path).expect("there");
    midway.read_exact(&mut vec![0; line("A").len()]).expect("a line");
    assert_eq!(events(midway), 3, "what was taken from stdin is only found under the name");
}

#[test]
fn a_reader_that_closes_the_pipe_early_is_no_error() {
    let dir = Dir::new();
    let text: String = (0..5000).map(|number| line(&format!("key{number}"))).collect();
    let path = dir.file("a.log", text);
    for output in ["csv", "json", "table"] {
        let flags = ["--output", output, "--top", "5000", path.to_str().expect("UTF-8")];
        let mut child = program(&flags).stdout(Stdio::piped()).spawn().expect("started");
        let mut stdout = child.stdout.take().expect("piped");
        stdout.read_exact(&mut [0; 10]).expect("an answer");
        drop(stdout);
        let output = child.wait_with_output().expect("ended");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_told_once() {
    let dir = Dir::new();
    let path = dir.file("a.log", line("A"));
    for output in ["csv", "json", "table"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("on Linux");
        let flags = ["--output", output, path.to_str().expect("UTF-8")];
        let output = program(&flags).stdout(full).output().expect("run");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.starts_with("keydrain: the answer cannot be written to stdout: "), "{told}");
    }
}

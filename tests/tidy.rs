//! The house rules that neither compiler nor clippy can check, over the text of the tree.
//!
//! A check is a pure function from text to findings, so each is shown below to be able to fail.
//! A rule speaks about code, so comments and literals are blanked first (`support/code.rs`).

#[path = "support/code.rs"]
mod code;

use std::fs;
use std::path::{Path, PathBuf};

use code::{code_of, lines_with, without_tests};

/// Longest file of `src/`, in lines.
const MAX_LINES: usize = 400;
/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];
/// Longest ARCHITECTURE.md, in lines.
const MAX_ARCHITECTURE_LINES: usize = 150;

/// Rooms of the house, and which others each may name. What is not listed is free to name all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("engine", &["engine"]),
    ("clock", &["clock", "engine"]),
    ("config", &["config", "engine"]),
    ("source", &["source", "engine"]),
    ("store", &["store", "engine"]),
    ("publish", &["publish", "engine"]),
    ("fleet", &["fleet", "engine"]),
    ("daemon", &["daemon", "engine", "config", "source", "store", "publish", "fleet", "clock"]),
];

/// Words that would make the engine impure: it neither reads, writes, waits nor logs.
const IMPURE: &[&str] = &[
    "fs::",
    "io::",
    "std::net",
    "thread::",
    "process::",
    "env::",
    "mpsc",
    "tokio",
    "tracing",
    "rusqlite",
    "async ",
    ".await",
    "println!",
    "eprintln!",
    "SystemTime",
    "Instant",
];
const CLOCKS: &[&str] =
    &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "clock_gettime"];
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!", "#[ignore"];
const UNFINISHED_REMARKS: &[&str] = &["TODO", "FIXME", "XXX"];

/// Returns the room of a path below `src/`: its first folder, or the name of a file beside them.
fn room_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn check_words(path: &str, code: &str, words: &[&str], reason: &str) -> Vec<String> {
    let finding = |word: &str, line| format!("src/{path}:{line}: `{word}`: {reason}");
    words
        .iter()
        .flat_map(|word| lines_with(code, word).map(move |line| finding(word, line)))
        .collect()
}

/// Rooms named by `crate::a::…` and by `use crate::{a::…, b::…}`, with the line.
fn rooms_named(code: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for line_and_tail in code
        .match_indices("crate::")
        .map(|(at, found)| (code[..at].matches('\n').count() + 1, &code[at + found.len()..]))
    {
        let (line, tail) = line_and_tail;
        let Some(group) = tail.strip_prefix('{') else {
            named.push((line, first_name(tail)));
            continue;
        };
        let mut depth = 0;
        let mut entry_begins = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => entry_begins = true,
                c if c.is_whitespace() => {}
                _ if entry_begins => {
                    named.push((line, first_name(&group[at..])));
                    entry_begins = false;
                }
                _ => {}
            }
        }
    }
    named
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn check_imports(path: &str, code: &str) -> Vec<String> {
    let room = room_of(path);
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
        let free = ["cli", "main", "lib"].contains(&room);
        return if free {
            Vec::new()
        } else {
            vec![format!("src/{path}: `{room}` has no line in MAY_IMPORT: decide what it may name")]
        };
    };
    // In the root file of a room `super` is the crate; its unit tests mean the room by it.
    let is_root = path == format!("{room}.rs") || path == format!("{room}/mod.rs");
    let spelt_out = without_tests(code).replace("super::", "crate::");
    let mut findings = check_words(path, code, &["super::super"], "say `crate::` and the room");
    let named = rooms_named(if is_root { &spelt_out } else { code });
    let outside = named.into_iter().filter(|(_, named)| !allowed.contains(&named.as_str())).map(
        |(line, named)| {
            format!("src/{path}:{line}: `{room}` names `crate::{named}`; it may name {allowed:?}")
        },
    );
    findings.extend(outside);
    findings
}

fn check_purity(path: &str, code: &str) -> Vec<String> {
    if room_of(path) != "engine" {
        return Vec::new();
    }
    check_words(path, without_tests(code), IMPURE, "the engine does no I/O, waiting or logging")
}

fn check_clocks(path: &str, code: &str) -> Vec<String> {
    if path == "clock.rs" {
        return Vec::new();
    }
    check_words(path, code, CLOCKS, "only clock.rs reads clocks: take `now` as an argument")
}

fn check_unsafe(path: &str, code: &str) -> Vec<String> {
    if path.starts_with("engine/scan/") || path == "source/files/handle.rs" {
        return Vec::new();
    }
    check_words(path, code, &["unsafe"], "unsafe code belongs in engine/scan, or in handle.rs")
}

fn check_unfinished(path: &str, text: &str, code: &str) -> Vec<String> {
    let mut findings = check_words(path, code, UNFINISHED, "finish it or take it out");
    findings.extend(check_words(path, text, UNFINISHED_REMARKS, "open an issue instead"));
    findings
}

fn check_shape(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(format!("src/{path}:1: begin with `//!`: what it is, what it never does"));
    }
    let lines = text.lines().count();
    let excused = LONG_FILES.iter().any(|(name, _)| *name == path);
    if lines > MAX_LINES && !excused {
        findings.push(format!("src/{path}: {lines} lines, at most {MAX_LINES}: split its ideas"));
    }
    if lines <= MAX_LINES && excused {
        findings.push(format!("src/{path}: no longer too long: take it out of LONG_FILES"));
    }
    findings
}

/// Every rule for one file below `src/`.
fn check_file(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut findings = check_shape(path, text);
    findings.extend(check_imports(path, &code));
    findings.extend(check_purity(path, &code));
    findings.extend(check_clocks(path, &code));
    findings.extend(check_unsafe(path, &code));
    findings.extend(check_unfinished(path, text, &code));
    findings
}

/// Each dependency says on its own line why it is there.
fn check_manifest(manifest: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    for (number, line) in manifest.lines().enumerate() {
        if let Some(table) = line.trim().strip_prefix('[') {
            in_dependencies = table.contains("dependencies]");
            continue;
        }
        let begins_entry = line.starts_with(|c: char| c.is_alphanumeric());
        let reason = line.split_once(" # ").map_or("", |(_, reason)| reason.trim());
        if in_dependencies && begins_entry && reason.is_empty() {
            let name = line.split([' ', '=']).next().unwrap_or(line);
            findings.push(format!("Cargo.toml:{}: why `{name}`? say it after ` # `", number + 1));
        }
    }
    findings
}

fn check_architecture(text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let mut findings = Vec::new();
    if lines > MAX_ARCHITECTURE_LINES {
        findings.push(format!("ARCHITECTURE.md: {lines} lines, at most {MAX_ARCHITECTURE_LINES}"));
    }
    if !text.contains("Invariant:") {
        findings.push("ARCHITECTURE.md: no line begins with `Invariant:`".to_owned());
    }
    findings
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn the_source_tree_keeps_the_house_rules() {
    let src = root().join("src");
    let files = rust_files(&src);
    assert!(files.len() > 10, "only {} files found below {}", files.len(), src.display());
    let findings: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix(&src).unwrap().to_str().unwrap();
            check_file(path, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert_none(&findings);
}

#[test]
fn each_dependency_has_a_reason() {
    assert_none(&check_manifest(&fs::read_to_string(root().join("Cargo.toml")).unwrap()));
}

/// Finds `file::test` and `scenarios/test` of the proofs that no test function is called.
fn check_proofs(text: &str, tests: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|name| {
        let story = name.strip_prefix("scenarios/").filter(|rest| !rest.is_empty());
        story.or_else(|| Some(name.split_once("::")?.1)).map(|test| (name, test))
    });
    let missing = named.filter(|(_, test)| !tests.contains(&format!("fn {test}(")));
    missing.map(|(name, _)| format!("docs: no test is called `{name}`")).collect()
}

#[test]
fn every_proof_is_a_test_that_exists() {
    let files = ["src", "tests"].map(|folder| rust_files(&root().join(folder))).concat();
    let tests: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let proofs = fs::read_to_string(root().join("docs/PROOFS.md")).unwrap();
    assert!(proofs.matches("::").count() > 100, "few proofs are named");
    let promises = fs::read_to_string(root().join("docs/PROMISES.md")).unwrap();
    assert!(promises.matches("::").count() > 40, "few tests of promises are named");
    assert_none(&[check_proofs(&proofs, &tests), check_proofs(&promises, &tests)].concat());
}

#[test]
fn a_proof_that_is_no_test_is_found() {
    let text = "| a | `usage::quiet`, `scenarios/a_story` | | b | `usage::gone` |";
    let findings = check_proofs(text, "fn quiet() {} fn a_story() {}");
    assert_eq!(findings, ["docs: no test is called `usage::gone`"]);
}

#[test]
fn the_documents_exist_and_the_map_stays_short() {
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(root().join(name).is_file(), "{name} is missing");
    }
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert_none(&check_architecture(&architecture));
}

#[test]
fn the_ci_script_runs_the_test_command_of_the_readme() {
    let script = fs::read_to_string(root().join(".ci/run")).unwrap();
    let commands: Vec<&str> =
        script.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(commands.last(), Some(&"exec ./test"), "{script}");
}

// Each rule can fail: a bad sample beside the good one that it must not mistake for it.

/// Asserts that `text` at `path` breaks exactly the rules whose findings contain `expected`.
#[track_caller]
fn finds(path: &str, text: &str, expected: &[&str]) {
    let findings = check_file(path, &format!("//! Sample.\n{text}\n"));
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for (finding, part) in findings.iter().zip(expected) {
        assert!(finding.contains(part), "{finding:?} does not contain {part:?}");
    }
}

#[test]
fn a_forbidden_import_is_found_in_every_spelling() {
    finds("engine/a.rs", "use crate::store::Store;", &["`engine` names `crate::store`"]);
    finds("store/mod.rs", "use crate::{engine::time, source::files};", &["`crate::source`"]);
    finds("publish/http.rs", "fn f() { crate::cli::run() }", &["src/publish/http.rs:2: `publish`"]);
    finds("config/mod.rs", "use crate::{\n    engine::{a, b},\n    daemon,\n};", &["daemon"]);
    finds("store/mod.rs", "use super::source::files;", &["`crate::source`"]);
    finds("store/sql/a.rs", "use super::super::source;", &["`super::super`"]);
    finds("extra/mod.rs", "", &["`extra` has no line"]);
}

#[test]
fn an_allowed_import_is_no_finding() {
    finds("store/mod.rs", "use crate::{engine::{time, usage}, store::schema};", &[]);
    finds("daemon.rs", "use crate::source::files; // never crate::cli", &[]);
    finds("cli/run.rs", "use crate::daemon;", &[]);
    finds("store/schema.rs", "use super::Store;", &[]);
    finds("store/mod.rs", "#[cfg(test)]\nmod tests { use super::*; }", &[]);
    finds("engine/a.rs", "/// See crate::store.\nconst A: &str = \"crate::store\";", &[]);
}

#[test]
fn an_impure_engine_is_found_and_its_tests_are_free() {
    finds("engine/a.rs", "use std::fs::File;", &["`fs::`"]);
    finds("engine/a.rs", "use std::{fmt, io};\nfn f() -> io::Result<()> {}", &["a.rs:3: `io::`"]);
    finds("engine/a.rs", "fn f() { tracing::info!(\"x\"); }", &["`tracing`"]);
    finds("engine/a.rs", "async fn f() {}", &["`async `"]);
    finds("engine/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }", &[]);
    finds("store/a.rs", "use std::fs::File;", &[]);
    finds("engine/a.rs", "struct InstantQuery; // std::fs", &[]);
}

#[test]
fn a_clock_outside_its_file_is_found() {
    finds("daemon.rs", "let a = std::time::Instant::now();", &["daemon.rs:2: `Instant::now`"]);
    finds("cli/ready.rs", "jiff::Timestamp::now()", &["`Timestamp::now`"]);
    finds("clock.rs", "std::time::SystemTime::now()", &[]);
}

#[test]
fn unsafe_code_outside_the_scanner_is_found() {
    finds("store/a.rs", "unsafe { f() }", &["`unsafe`"]);
    finds("engine/scan/avx2.rs", "unsafe { f() }", &[]);
    finds("store/a.rs", "#![deny(unsafe_code)]", &[]);
}

#[test]
fn unfinished_code_is_found() {
    finds("store/a.rs", "fn f() { todo!() }", &["`todo!`"]);
    finds("store/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &["`#[ignore`"]);
    finds("store/a.rs", "// FIXME later", &["`FIXME`"]);
    finds("store/a.rs", "const A: &str = \"todo!\";", &[]);
}

#[test]
fn a_file_without_its_idea_or_too_long_is_found() {
    assert_eq!(check_shape("a.rs", "fn f() {}\n").len(), 1);
    assert_eq!(check_shape("a.rs", &format!("//! A.\n{}", "\n".repeat(MAX_LINES))).len(), 1);
    assert_eq!(check_shape("a.rs", &format!("//! A.\n{}", "\n".repeat(MAX_LINES - 1))).len(), 0);
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nb = \"1\" # for b\nc = \"2\"\n\
                    [dev-dependencies]\nd = \"3\" #\n[profile.dev]\ndebug = 1\n";
    let findings = check_manifest(manifest);
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert!(findings[0].starts_with("Cargo.toml:5: why `c`?"), "{findings:#?}");
    assert!(findings[1].starts_with("Cargo.toml:7: why `d`?"), "{findings:#?}");
}

#[test]
fn a_map_without_invariants_or_too_long_is_found() {
    assert_eq!(check_architecture("A map.\n").len(), 1);
    assert_eq!(check_architecture(&"Invariant: x\n".repeat(151)).len(), 1);
    assert_eq!(check_architecture("Invariant: x\n").len(), 0);
}

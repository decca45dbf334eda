//! Tests of the runner itself: it runs every story, and each of its checks can fail.

use std::collections::BTreeSet;
use std::fs;

use crate::check::failures;
use crate::story::{Story, folder};

/// Returns the names of all stories.
fn names() -> BTreeSet<String> {
    let files = fs::read_dir(folder()).expect("the folder is there").flatten();
    let files = files.map(|file| file.path());
    let stories = files.filter(|path| path.extension().is_some_and(|ext| ext == "toml"));
    stories.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn every_story_has_a_test_of_its_name() {
    let code = include_str!("main.rs");
    let names = names();
    assert!(names.len() >= 26, "{} stories", names.len());
    for name in &names {
        let test = format!("#[test]\nfn {name}() {{\n    tell(\"{name}\");\n}}\n");
        assert!(code.contains(&test), "main.rs lacks\n\n{test}");
    }
    assert_eq!(code.matches("\n    tell(\"").count(), names.len(), "a test without its story");
}

#[test]
fn every_story_is_named_by_its_sentence_and_expects_more_than_one_verdict() {
    for name in names() {
        let story = Story::load(&name);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let told: String = story.title.chars().map(plain).collect();
        assert!(told.starts_with(&name), "{name}: {}", story.title);
        assert!(!story.teaches.trim().is_empty(), "{name} teaches nothing");
        let bounded =
            story.ready.never || (story.ready.not_before.is_some() && story.ready.by.is_some());
        assert!(bounded, "{name}: [ready] has `never`, or both `not_before` and `by`");
        let before = story.expect.iter().filter_map(|expect| expect.verdict.as_deref());
        assert!(before.clone().any(|verdict| verdict != "ready") || before.count() == 1, "{name}");
    }
}

/// A consumer that moved at 09:20 and is ready at 09:50; `change` says what else is told of it.
fn moved(change: &[(&str, &str)]) -> Vec<String> {
    let mut text = MOVED.to_owned();
    for (old, new) in change {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text = text.replace(old, new);
    }
    failures(&Story::parse(&text).expect("it reads"))
}

const MOVED: &str = r#"
title = "moved"
teaches = "nothing"
begins = "09:00"
ends = "10:00"
ends_well = true
config = """
[[source]]
name = "edge"
paths = ["/var/log/nginx/access.log*"]
format = { nginx = '$remote_addr $remote_user $key_name $msec "$request" $status' }
credential = "field:key_name"
consumer = ["field:remote_user", "field:remote_addr"]
[[source]]
name = "other"
paths = ["/var/log/other.log*"]
format = { nginx = '$remote_addr $remote_user $key_name $msec "$request" $status' }
credential = "field:key_name"
[[credential]]
name = "payments-api"
sources = ["edge"]
keys = [{ name = "2025-q4", id = "2025-q4" }, { name = "2026-q1", id = "2026-q1" }]
consumers = ["checkout"]
policy = { min_overlap = "30m" }
"""
[[rotation]]
started = "09:05"
[[log]]
consumer = "checkout"
key = "2025-q4"
every = "10s"
to = "09:20"
[[log]]
consumer = "checkout"
key = "2026-q1"
every = "10s"
from = "09:20"
[ready]
not_before = "09:50"
by = "09:50:20"
[[expect]]
at = "09:40"
verdict = "not_ready"
blockers = ["min_overlap *"]
states = { checkout = "moved" }
warnings = ["inferred_fact"]
violations = 0
"#;

/// Expects that the runner finds `told`, and nothing when the story is as it was.
fn finds(change: (&str, &str), told: &str) {
    let found = moved(&[change]);
    assert!(!found.is_empty() && found.iter().all(|failure| failure.contains(told)), "{found:#?}");
}

#[test]
fn a_story_that_goes_as_told_has_no_failures() {
    assert_eq!(moved(&[]), Vec::<String>::new());
}

#[test]
fn every_expectation_can_fail_and_says_what_stands() {
    finds(("\"not_ready\"", "\"unknown\""), "expected the verdict unknown\n    verdict: not_ready");
    finds(("\"min_overlap *\"", "\"min_overlap *\", \"hold\""), "expected hold to stand");
    finds(("\"min_overlap *\"", ""), "expected no min_overlap *");
    finds(("\"moved\" }", "\"mixed\" }"), "expected checkout to be mixed, it is moved");
    finds(("\"inferred_fact\"", "\"history_gap\""), "expected the warning history_gap");
    finds(("not_before = \"09:50\"", "not_before = \"09:51\""), "expected not before 09:51");
    finds(("by = \"09:50:20\"", "by = \"09:49\""), "expected by 09:49");
    finds(("not_before = \"09:50\"", "never = true"), "expected never");
    finds(
        (
            "ends = \"10:00\"",
            "ends = \"09:50:20\"\nfault = [{ kind = \"silent\", from = \"09:40\", to = \"10:00\" }]",
        ),
        "09:50:20",
    );
}

#[test]
fn a_use_that_was_written_stands_against_a_ready_whoever_read_it() {
    let elsewhere = "[[log]]\nconsumer = \"x\"\nkey = \"2025-q4\"\nat = \"09:45\"\n\
                     source = \"other\"\n[ready]";
    let found = moved(&[("[ready]", elsewhere)]);
    let stands = |failure: &String| {
        failure.contains("ready although the log holds") || failure.contains(" more")
    };
    assert!(found.len() > 1 && found.iter().all(stands), "{found:#?}");
}

#[test]
fn a_use_that_was_lost_stands_against_a_ready_as_well() {
    let lost = "fault = [{ kind = \"lost_lines\", from = \"09:45\", to = \"09:45:20\" }]\nends = \"10:00\"";
    let found = moved(&[("ends = \"10:00\"", lost)]);
    assert!(found.iter().any(|failure| failure.contains("never, expected by")), "{found:#?}");
    assert!(found.iter().all(|failure| !failure.contains("although")), "{found:#?}");
}

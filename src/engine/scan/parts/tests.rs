//! Parts: which are joined, which are cut, and which are none.

use super::*;

/// What a record is told as: its text, `~` before one that is cut, `!` for one too long.
fn told(record: Record<'_>) -> String {
    match record {
        Record::Whole(text) => String::from_utf8_lossy(text).into_owned(),
        Record::TooLong => "!".to_owned(),
        Record::Cut(text) => format!("~{}", String::from_utf8_lossy(text)),
    }
}

fn framed(chunks: &[&[u8]]) -> Vec<String> {
    let mut framer = PartFramer::default();
    let mut records = Vec::new();
    for chunk in chunks {
        framer.feed(chunk, |record| records.push(told(record)));
    }
    framer.finish(|record| records.push(told(record)));
    records
}

/// A line of CRI.
fn cri(rest: &str) -> String {
    format!("2024-05-01T12:00:00.5Z {rest}\n")
}

/// A line of Docker.
fn docker(text: &str, output: &str) -> String {
    format!(r#"{{"log":"{text}","stream":"{output}","time":"2024-05-01T12:00:00.5Z"}}"#) + "\n"
}

fn check(lines: &[String], expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|line| line.trim_end_matches('\n')).collect();
    assert_eq!(framed(&[lines.concat().as_bytes()]), expected);
}

#[test]
fn parts_are_one_line_of_their_last_part() {
    let last = "2024-05-01T12:00:01.5Z stdout F:t  c\n";
    check(
        &[cri("stdout P a"), cri("stdout P:x "), cri("stdout P b "), last.to_owned()],
        &["2024-05-01T12:00:01.5Z stdout F:t ab  c"],
    );
    check(
        &[docker(r"a\\n", "stdout"), docker("", "stdout"), docker(r"\u0041\n", "stdout")],
        &[&docker(r"a\\n\u0041\n", "stdout")],
    );
    let broken = docker(r"a\", "stdout");
    check(&[broken.clone(), docker(r"b\n", "stdout")], &[&broken, &docker(r"b\n", "stdout")]);
}

#[test]
fn the_outputs_of_a_container_are_apart() {
    check(
        &[
            cri("stdout P a"),
            cri("stderr P x"),
            "other\n".to_owned(),
            cri("stdout P b"),
            cri("stderr F y"),
            cri("stderr F z"),
            cri("stdout F c"),
        ],
        &["other", &cri("stderr F xy"), &cri("stderr F z"), &cri("stdout F abc")],
    );
    check(
        &[
            docker("a", "stdout"),
            docker("x", "stderr"),
            docker(r"b\n", "stdout"),
            docker(r"y\n", "stderr"),
        ],
        &[&docker(r"ab\n", "stdout"), &docker(r"xy\n", "stderr")],
    );
}

#[test]
fn the_runtimes_are_apart() {
    for output in ["stdout", "stderr"] {
        for other in ["stdout", "stderr"] {
            let part = cri(&format!("{output} P a"));
            let last = cri(&format!("{output} F b"));
            check(
                &[part, docker("x", other), docker(r"y\n", other), last],
                &[&docker(r"xy\n", other), &cri(&format!("{output} F ab"))],
            );
        }
    }
}

#[test]
fn at_the_end_of_the_log_what_is_open_is_cut_in_the_order_of_its_beginning() {
    check(
        &[cri("stderr P x"), cri("stdout P a"), cri("stderr P y"), "2024-05-01".to_owned()],
        &["2024-05-01", "~xy", "~a"],
    );
    check(&[cri("stdout P a"), cri("stdout F b").trim_end().to_owned()], &[&cri("stdout F ab")]);
}

#[test]
fn a_record_whose_next_part_does_not_come_is_cut_once() {
    let filler = format!("{}\n", "x".repeat(BREAK_OFF_BYTES / 2 - 1));
    let shown = filler.trim_end();
    // Two lines are just near enough.
    check(
        &[cri("stdout P a"), filler.clone(), filler.clone(), cri("stdout F b")],
        &[shown, shown, &cri("stdout F ab")],
    );
    check(
        &[cri("stdout P a"), filler.clone(), filler.clone(), "y\n".to_owned(), cri("stdout F b")],
        &[shown, shown, "~a", "y", &cri("stdout F b")],
    );
}

#[test]
fn parts_that_follow_each_other_are_never_broken_off() {
    let part = cri(&format!("stdout P {}", "x".repeat(1 << 19)));
    let mut lines = vec![part; 9];
    lines.extend([cri("stdout F 192.0.2.1 - - forged"), cri("stdout F next")]);
    check(&lines, &["!", &cri("stdout F next")]);
}

#[test]
fn what_becomes_too_long_with_its_last_part_is_told_once() {
    let half = "x".repeat(MAX_LINE_BYTES / 2);
    let last = cri(&format!("stdout F {half}"));
    let room = MAX_LINE_BYTES + 1 - last.len();
    for (len, is_told) in [(room, false), (room + 1, true)] {
        let first = cri(&format!("stdout P {}", "y".repeat(len)));
        let records = framed(&[(first + &last).as_bytes()]);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0] == "!", is_told, "{len}");
    }
}

#[test]
fn what_is_open_is_at_most_as_long_as_a_line_may_be() {
    let half = "x".repeat(MAX_LINE_BYTES / 2);
    let [part, more] = [&half, "y"].map(|text| cri(&format!("stdout P {text}")));
    check(&[part.clone(), part.clone()], &[&format!("~{half}{half}")]);
    check(&[part.clone(), part, more], &["!"]);
}

#[test]
fn what_a_server_may_begin_a_line_with_is_no_part() {
    let line = "2024-05-01T12:00:00+00:00 stdout P agent";
    check(&[format!("{line}\n"), cri("stdout F b")], &[line, &cri("stdout F b")]);
    let text = r#"192.0.2.1 - "2024-05-01T12:00:00.5Z stdout P a" {"log":"a""#;
    check(&[format!("{text}\n"), cri("stdout F b")], &[text, &cri("stdout F b")]);
}

//! Laws of lines in parts: nothing depends on where a log is cut.

use keydrain::engine::scan::lines::lines;
use keydrain::engine::scan::records::{Framer, Framing, Record, boundary, boundary_past_open};
use proptest::prelude::*;

/// What a record is told as, with its text.
fn told(record: Record<'_>) -> (&'static str, Vec<u8>) {
    match record {
        Record::Whole(text) => ("whole", text.to_vec()),
        Record::TooLong => ("too long", Vec::new()),
        Record::Cut(text) => ("cut", text.to_vec()),
    }
}

fn framed(chunks: &[&[u8]]) -> Vec<(&'static str, Vec<u8>)> {
    let mut framer = Framer::new(Framing::Parts);
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

/// Logs of lines that are and are not parts, with lines of which three break a record off.
fn log() -> impl Strategy<Value = Vec<u8>> {
    let far = format!("{}\n", "f".repeat(100_000));
    let piece = prop_oneof![
        9 => prop::sample::select(vec![
            cri("stdout P a"),
            cri("stdout F b"),
            cri("stderr P:t c"),
            cri("stderr F d"),
            docker("e", "stdout"),
            docker(r"f\n", "stdout"),
            docker(r"g\\n", "stderr"),
            docker(r"h\r\n", "stderr"),
            "2024-05-01T12:00:00+02:00 stdout P i\n".to_owned(),
            "{\"log\":\"j\"}\r\n".to_owned(),
            "\n".to_owned(),
            "k".to_owned(),
        ]),
        2 => Just(far),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat().into_bytes())
}

#[test]
fn only_an_old_record_with_lines_behind_it_is_given_up_and_nothing_else_with_it() {
    let check_old = |lines: &[&str], old: usize, given_up: usize| {
        let text: Vec<String> = lines.iter().map(|line| cri(line)).collect();
        let [old, expected] =
            [old, given_up].map(|count| text[..count].iter().map(String::len).sum());
        let text = text.concat().into_bytes();
        assert_eq!(boundary_past_open(Framing::Parts, &text, old), expected, "{lines:?}");
    };
    let check = |lines: &[&str], given_up| check_old(lines, lines.len(), given_up);
    check(&["stderr P x"], 0);
    check(&["stderr P x", "stderr P y"], 0);
    check(&["stderr P x", "stdout F a"], 2);
    // What began later may still go on.
    check(&["stderr P x", "stdout F a", "stdout P b"], 2);
    check(&["stderr P x", "stdout P b"], 0);
    check(&["stderr P x", "stdout P b", "stdout F c", "stdout F d"], 4);
    // So may what went on after the lines.
    check(&["stderr P x", "stdout F a", "stderr P y"], 0);
    check(&["stderr P x", "stdout F a", "stderr P y", "stdout F b"], 4);
    // With a part that came lately it is not old.
    let lines = ["stderr P x", "stdout F a", "stderr P y", "stdout F b"];
    check_old(&lines, 3, 4);
    check_old(&lines, 2, 0);
    // The one that began first may have ended, and the next one be the oldest.
    let lines = ["stderr P x", "stdout P a", "stderr F y", "stderr F z"];
    check_old(&lines, 2, 4);
    check_old(&lines, 1, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn where_chunks_are_cut_changes_no_record(log in log(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
        cuts.extend([0, log.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &log[cut[0]..cut[1]]).collect();
        prop_assert_eq!(framed(&chunks), framed(&[&log]));
    }

    #[test]
    fn what_follows_a_boundary_can_be_framed_on_its_own(log in log(), cut in any::<prop::sample::Index>()) {
        let block = &log[..cut.index(log.len() + 1)];
        let at = boundary(Framing::Parts, block);
        let mut halves = framed(&[&log[..at]]);
        halves.extend(framed(&[&log[at..]]));
        prop_assert_eq!(halves, framed(&[&log]));
    }

    #[test]
    fn a_log_without_parts_is_its_lines(log in "([a-z{}\" :-]{0,9}(\n|\r\n)){0,9}[a-z]{0,3}") {
        let lines = lines(log.as_bytes());
        let lines: Vec<_> = lines.map(|line| told(Record::Whole(line))).collect();
        prop_assert_eq!(framed(&[log.as_bytes()]), lines);
        let end = log.rfind('\n').map_or(0, |at| at + 1);
        prop_assert_eq!(boundary(Framing::Parts, log.as_bytes()), end);
    }
}

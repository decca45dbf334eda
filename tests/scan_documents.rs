//! How documents are cut into records: the shapes of delivery, what is broken, and the laws.

use keydrain::engine::scan::lines::MAX_LINE_BYTES;
use keydrain::engine::scan::records::{Framer, Framing, Record};
use proptest::prelude::*;
use serde_json::Value;

/// A record as text: what is cut off begins with `cut:`.
fn said(record: Record<'_>) -> String {
    match record {
        Record::Whole(text) => String::from_utf8_lossy(text).into_owned(),
        Record::TooLong => "too long".to_owned(),
        Record::Cut(text) => format!("cut:{}", String::from_utf8_lossy(text)),
    }
}

fn records_of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut records = Vec::new();
    let mut framer = Framer::new(Framing::Documents);
    for chunk in chunks {
        framer.feed(chunk, |record| records.push(said(record)));
    }
    framer.finish(|record| records.push(said(record)));
    records
}

/// Cuts `log` whole and in pieces of every length up to 9.
#[track_caller]
fn check(log: impl AsRef<[u8]>, expected: &[&str]) {
    let log = log.as_ref();
    let text = String::from_utf8_lossy(log).into_owned();
    assert_eq!(records_of([log]), expected, "{text}");
    for step in 1..10 {
        assert_eq!(records_of(log.chunks(step)), expected, "{text} in pieces of {step}");
    }
}

#[test]
fn every_shape_of_delivery_has_the_same_records() {
    let records = [r#"{"a":{"b":[1]}}"#, r#"{"c":"}\"]"}"#];
    for log in [
        r#"{"Records":[{"a":{"b":[1]}},{"c":"}\"]"}]}"#,
        r#"[{"a":{"b":[1]}} , {"c":"}\"]"}]"#,
        "{\"a\":{\"b\":[1]}}\r\n{\"c\":\"}\\\"]\"}\r\n",
        r#"{"a":{"b":[1]}}{"c":"}\"]"}"#,
        "\n\n {\"a\":{\"b\":[1]}}\n\n\n{\"c\":\"}\\\"]\"}\n ",
        "{\n  \"Records\": [\n    {\"a\":{\"b\":[1]}},\n    {\"c\":\"}\\\"]\"}\n  ]\n}\n",
        r#"{"Records":[{"a":{"b":[1]}}]}{"Records":[{"c":"}\"]"}]}"#,
        r#"[{"Records":[{"a":{"b":[1]}}]},{"Records":[{"c":"}\"]"}]}]"#,
        r#"{"Events":[{"a":{"b":[1]}},{"c":"}\"]"}],"NextToken":"x"}"#,
        r#"{"owner":"1","filters":["x"],"logEvents":[{"a":{"b":[1]}},{"c":"}\"]"}]}"#,
        r#"{"x":{"Records":[0]},"y":[{"Records":[0]}],"Records":[{"a":{"b":[1]}},{"c":"}\"]"}],"z":[{"Events":[0]}]}"#,
    ] {
        check(log, &records);
        check(format!("\u{feff}{log}"), &records);
    }
}

#[test]
fn white_space_within_a_record_is_kept() {
    check("{\n  \"a\": 1\n}\n", &["{\n  \"a\": 1\n}"]);
    check("{\"Records\":[ {\n\"a\" :\t1 } ]}", &["{\n\"a\" :\t1 }"]);
}

#[test]
fn what_holds_no_record_has_none() {
    for log in
        ["", "\n", " \r\n", "[]", "{\"Records\":[]}", "{\"Records\" : [ ] }\n[ ]", "\u{feff}"]
    {
        check(log, &[]);
    }
}

#[test]
fn an_object_without_a_list_is_a_record() {
    for record in [
        "{}",
        r#"{"Records":{"a":1}}"#,
        r#"{"Records":null,"b":[1]}"#,
        r#"{"records":[1]}"#,
        r#"{"detail":{"Records":[1]}}"#,
        r#"{"RecordsRecordsRecords":[1],"Record":[2]}"#,
        r#"{"a":"Records","b":[1]}"#,
    ] {
        check(record, &[record]);
        check(format!("[{record}]"), &[record]);
    }
}

#[test]
fn an_element_that_is_no_object_is_a_record_too() {
    check("[1, \"a]\", null,[2,[3]] ]", &["1", "\"a]\"", "null", "[2,[3]]"]);
}

#[test]
fn what_a_client_writes_opens_no_list() {
    let record = r#"{"userAgent":"\"Records\":[{\"a\":1}]","x":{"Records":[{"a":1}]},"y":"\\"}"#;
    check(record, &[record]);
    check(format!("{{\"Records\":[{record}]}}"), &[record]);
}

#[test]
fn garbage_between_records_costs_its_line() {
    check("oops\r\n{\"a\":1}\n", &["cut:oops", "{\"a\":1}"]);
    check("{\"a\":1} oops {\"b\":1}\n{\"c\":1}", &["{\"a\":1}", "cut:oops {\"b\":1}", "{\"c\":1}"]);
    check("1\n\"x\"\n{\"a\":1}\n}", &["cut:1", "cut:\"x\"", "{\"a\":1}", "cut:}"]);
    check("\u{feff}\u{feff}{\"a\":1}", &["cut:\u{feff}{\"a\":1}"]);
    check(b"\xef\xbb{\"a\":1}\n{\"b\":1}", &["cut:\u{fffd}{\"a\":1}", "{\"b\":1}"]);
    check(b"\xef\xbb", &["cut:\u{fffd}"]);
}

#[test]
fn a_line_that_is_cut_off_anywhere_costs_itself_alone() {
    let broken = r#"{"a":{"b":[1,{"c":"x\"y"}],"d":null},"e":[]}"#;
    let good = r#"{"a":{"b":[2]}}"#;
    for len in 1..broken.len() {
        let cut = &broken[..len];
        let told = format!("cut:{cut}");
        check(format!("{cut}\n{good}\n{good}\n"), &[&told, good, good]);
        check(format!("{good}\n{cut}\n{good}"), &[good, &told, good]);
        check(format!("{good}\n{cut}\n{cut}\n{good}\nx"), &[good, &told, &told, good, "cut:x"]);
        check(format!("{good}\n{cut}"), &[good, &told]);
    }
}

#[test]
fn a_broken_record_on_several_lines_gives_back_the_next_one() {
    let good = "{\n  \"b\": 1\n}";
    for broken in ["{\n  \"a\":", "{\n  \"a\": [", "{\n  \"a\": 1,", "{\n  \"a\": \"x"] {
        let told = format!("cut:{broken}");
        check(format!("{broken}\n{good}\n{good}\n"), &[&told, good, good]);
        check(format!("{broken}\n{good}"), &[&told, good]);
    }
    // A brace at the start of a line may be of the record's own.
    let flat = "{\n\"a\": [\n{\n\"b\": 1\n}\n";
    check(flat, &[&format!("cut:{}", flat.trim_end())]);
}

#[test]
fn a_record_that_goes_on_in_the_middle_of_another_costs_their_line() {
    let good = r#"{"b":1}"#;
    for line in [r#"{"a":"x{"b":1}"#, r#"{"a":1,{"b":1}"#, r#"{"a":1{"b":1}"#, r#"{"a":[1}]"#] {
        check(format!("{line}\n{good}\n"), &[&format!("cut:{line}"), good]);
    }
}

#[test]
fn a_record_that_breaks_off_in_a_document_costs_its_line() {
    check(
        "{\"Records\":[\n{\"a\":1},\n{\"b\" 1},\n{\"c\":1}\n]}\n",
        &["{\"a\":1}", "cut:{\"b\" 1},", "{\"c\":1}", "cut:]}"],
    );
    check(
        "[\n  {\n    \"a\": 1,\n  {\n    \"b\": 1\n  }\n]",
        &["cut:{\n    \"a\": 1,", "{\n    \"b\": 1\n  }", "cut:]"],
    );
    check("[{\"a\":\"x\ny\"},\n{\"b\":1}]", &["cut:{\"a\":\"x", "cut:y\"},", "{\"b\":1}", "cut:]"]);
}

#[test]
fn a_document_that_ends_early_is_told_for_records_may_be_missing() {
    check("{\"Records\":[{\"a\":1}", &["{\"a\":1}", "cut:"]);
    check("{\"Records\":[{\"a\":1},{\"b\"", &["{\"a\":1}", "cut:{\"b\""]);
    check("{\"Records\":[{\"a\":1}]", &["{\"a\":1}", "cut:"]);
    check("{\"Records\":[", &["cut:"]);
    check("[{\"a\":1}\n{\"Records\":[{\"b\":1}]}", &["{\"a\":1}", "cut:", "{\"b\":1}"]);
    check(
        "{\"Records\":[{\"a\":1},\n{\"Records\":[{\"b\":1}]}\n{\"Records\":[{\"c\":1}]}",
        &["{\"a\":1}", "{\"b\":1}", "cut:", "{\"c\":1}"],
    );
}

#[test]
fn what_is_no_json_but_has_its_form_is_left_to_the_format() {
    for record in [r#"{"a":nul,"b":01}"#, r#"{"a":"\x","b":[1,],}"#, "{\"a\":\"\t\"}"] {
        check(format!("[{record},{{}}]"), &[record, "{}"]);
    }
}

#[test]
fn a_bracket_closes_its_own_kind_alone_and_never_between_a_name_and_its_value() {
    for broken in [r#"{"a":[1}}"#, r#"{"a":{"b":1]}"#, r#"{"a":}"#, r#"{"a"}"#, r#"{"a":[{]]}"#] {
        check(format!("{broken}\n{{\"b\":1}}\n"), &[&format!("cut:{broken}"), "{\"b\":1}"]);
    }
}

#[test]
fn brackets_of_any_depth_swallow_no_record_of_a_later_line() {
    let deep = "[".repeat(3000);
    check(format!("{{\"a\":{deep}\n{{\"b\":1}}\n"), &[&format!("cut:{{\"a\":{deep}"), "{\"b\":1}"]);
    let closed = format!("{{\"a\":{deep}{}}}", "]".repeat(3000));
    check(format!("[{closed},{{}}]"), &[&closed, "{}"]);
}

#[test]
fn the_longest_record_is_read_and_one_byte_more_is_told_once() {
    let record = |len: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(len - 8));
    let longest = record(MAX_LINE_BYTES);
    let too_long = record(MAX_LINE_BYTES + 1);
    let garbage = "x".repeat(MAX_LINE_BYTES + 1);
    let head = format!("{{\"x\":\"{garbage}\",\"Records\":[{{\"a\":1}}]}}");
    let log = format!("{longest}{too_long}[{too_long},{longest}]{garbage}\n{head}{{\"b\":1}}");
    let expected =
        [&longest, "too long", "too long", &longest, "too long", "{\"a\":1}", "{\"b\":1}"];
    assert!(records_of([log.as_bytes()]) == expected);
    assert!(records_of(log.as_bytes().chunks(60_013)) == expected);
}

#[test]
fn a_record_that_is_too_long_and_broken_is_told_once_and_loses_no_later_line() {
    let filler = "x".repeat(MAX_LINE_BYTES);
    for broken in [
        format!("{{\"a\":\"{filler}"),
        format!("{{\"a\":\"{filler}\","),
        format!("{{\"a\":\"{filler}\"\"b"),
        format!("{{\"a\":\"{filler}\",\n \"b\" 1\n  "),
    ] {
        let log = format!("{broken}\n{{\"b\":1}}\n");
        let expected = ["too long", "{\"b\":1}"];
        assert_eq!(records_of([log.as_bytes()]), expected);
        assert_eq!(records_of(log.as_bytes().chunks(60_013)), expected);
    }
}

/// A JSON value with the names that matter and some that do not.
fn value() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["Records", "a", "\u{e9}\"", "Events", "b\\", "]"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Bool(true)),
        any::<i32>().prop_map(Value::from),
        "[a-z\\\\\"{}\\[\\],:\n ]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec((name.clone(), inner.clone()), 0..4).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect())
            }),
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

/// A record: an object without a list of its own.
fn record() -> impl Strategy<Value = Value> {
    value().prop_map(|value| serde_json::json!({ "x": value, "Records": 1 }))
}

/// What JSON texts say, whatever their white space.
fn parsed(records: &[String]) -> Vec<Value> {
    records.iter().map(|text| serde_json::from_str(text).expect("a JSON text")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn shape_and_white_space_change_no_record(
        records in prop::collection::vec(record(), 0..5),
        other in value(),
        step in 1usize..40,
    ) {
        let document = serde_json::json!({ "other": other, "Records": records, "z": other });
        let list = Value::from(records.clone());
        let concatenated = |pretty: bool, between: &str| {
            let text = |value: &Value| if pretty { format!("{value:#}") } else { value.to_string() };
            records.iter().map(text).collect::<Vec<_>>().join(between)
        };
        for log in [
            document.to_string(),
            format!("{document:#}"),
            list.to_string(),
            format!("{list:#}"),
            concatenated(false, "\n"),
            concatenated(false, ""),
            concatenated(true, "\n"),
            concatenated(true, "\r\n\r\n"),
        ] {
            let cut = records_of(log.as_bytes().chunks(step));
            prop_assert_eq!(&parsed(&cut), &records, "{}", log);
            prop_assert_eq!(records_of([log.as_bytes()]), cut);
        }
    }

    #[test]
    fn where_chunks_are_cut_changes_no_record_of_anything(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", "\"", "\\", ",", ":", "\n", "\r\n", " ", "1", "x", "\u{feff}",
            "{\"Records\":[", "{\"a\":", "\"a\":1", "{\"a\":1}", "\"Records\"", "\n{", "{}\n",
        ]), 0..40),
        cuts in prop::collection::vec(0usize..200, 0..6),
    ) {
        let log = pieces.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(log.len())).collect();
        cuts.extend([0, log.len()]);
        cuts.sort_unstable();
        let whole = records_of([&log[..]]);
        prop_assert_eq!(&records_of(cuts.windows(2).map(|cut| &log[cut[0]..cut[1]])), &whole);
        prop_assert_eq!(&records_of(log.chunks(1)), &whole);
    }

    #[test]
    fn lines_that_are_records_outlive_any_broken_lines_between_them(
        lines in prop::collection::vec(prop_oneof![
            record().prop_map(|record| (true, record.to_string())),
            (record(), 0usize..60).prop_map(|(record, len)| {
                let text = record.to_string();
                let mut len = 1 + len % (text.len() - 1);
                while !text.is_char_boundary(len) {
                    len -= 1;
                }
                (false, text[..len].to_owned())
            }),
            "[a-z0-9:,\\\\\"]{1,9}".prop_map(|text| (false, text)),
        ], 0..8),
        step in 1usize..50,
    ) {
        let log = lines.iter().map(|(_, line)| line.as_str()).chain([""]);
        let log = log.collect::<Vec<_>>().join("\n");
        let good: Vec<&String> =
            lines.iter().filter(|(good, _)| *good).map(|(_, line)| line).collect();
        let cut = records_of(log.as_bytes().chunks(step));
        let (broken, whole): (Vec<&String>, Vec<&String>) =
            cut.iter().partition(|text| text.starts_with("cut:"));
        prop_assert_eq!(&whole, &good, "{}", log);
        // Broken lines next to each other may be told as one.
        prop_assert!(broken.len() <= lines.len() - good.len(), "{:?}", cut);
        prop_assert_eq!(broken.is_empty(), lines.len() == good.len(), "{:?}", cut);
    }
}

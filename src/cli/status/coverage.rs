//! `keydrain status --coverage`: what was seen of each stream, in event time and in bytes.

use serde_json::{Value, json};

use crate::cli::columns::{cell, csv, table_of_numbers, text};
use crate::cli::humane::{duration, second};

/// Longest file name that is shown whole: with it a table fits 80 columns.
const LONGEST_NAME: usize = 22;

/// Returns the part of the status that speaks of coverage.
pub(super) fn select(status: &Value) -> Value {
    let sources = list(&status["sources"]).iter().map(|source| {
        let streams: Vec<Value> = list(&source["streams"]).to_vec();
        json!({"name": source["name"], "streams": streams, "gaps": source["gaps"]})
    });
    json!({"schema": "keydrain/coverage/v1", "sources": sources.collect::<Vec<_>>()})
}

/// Returns a page for people.
pub(super) fn page(coverage: &Value) -> String {
    let sources = list(&coverage["sources"]).iter();
    let streams = sources.flat_map(|source| {
        list(&source["streams"]).iter().map(move |stream| of_stream(source, stream))
    });
    let pages: Vec<String> = streams.collect();
    if pages.is_empty() { "nothing was read yet\n".to_owned() } else { pages.join("\n") }
}

fn of_stream(source: &Value, stream: &Value) -> String {
    let seen = &stream["coverage"];
    let mut page = format!("{}  {}\n\n", cell(&source["name"]), cell(&stream["name"]));
    page += &times(source, stream);
    let (late, most) =
        (cell(&stream["violations"]), duration(&stream["observed_lateness_seconds"]));
    page =
        page + "late  " + &late + " presentations behind the watermark, " + &most + " at most\n\n";
    let folder = text(&stream["name"]).rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut rows = Vec::new();
    if seen["earlier"]["generations"] != 0 {
        let name = format!("{} earlier files", cell(&seen["earlier"]["generations"]));
        rows.push(row(name, &seen["earlier"], "finished"));
    }
    for one in list(&seen["generations"]) {
        let state = if one["finished"] == true { "finished" } else { "open" };
        rows.push(row(short(text(&one["path"]), folder), one, state));
    }
    rows.push(row("total".to_owned(), &seen["total"], ""));
    let header = ["FILE", "STATE", "KNOWN", "READ", "SKIPPED", "UNKNOWN", "WAITING"];
    page += &table_of_numbers(&header, &rows, 2, usize::MAX);
    page + &skipped(&seen["total"]["skipped"])
}

/// Returns what was seen and what was not, in order of time.
fn times(source: &Value, stream: &Value) -> String {
    let covered = list(&stream["coverage"]["covered"]).iter().map(|span| ("seen", span, ""));
    let gaps = list(&source["gaps"]).iter().filter(|gap| gap["stream"] == stream["name"]);
    let gaps = gaps.map(|gap| ("gap", gap, text(&gap["reason"])));
    let mut spans: Vec<_> = covered.chain(gaps).collect();
    spans.sort_by_key(|(_, span, _)| second(&span["from"]));
    if spans.is_empty() {
        return "no event time is covered yet\n".to_owned();
    }
    let line = |(word, span, reason): &(&str, &Value, &str)| {
        let text =
            format!("{word:4}  {} to {}  {reason}", second(&span["from"]), second(&span["to"]));
        text.trim_end().to_owned() + "\n"
    };
    spans.iter().map(line).collect()
}

fn row(name: String, bytes: &Value, state: &str) -> Vec<String> {
    let skipped: u64 = ["overlong", "nul_run", "copy"]
        .iter()
        .filter_map(|reason| bytes["skipped"][reason].as_u64())
        .sum();
    let numbers = [
        bytes["known"].as_u64(),
        bytes["read"].as_u64(),
        Some(skipped),
        bytes["unknown"].as_u64(),
        bytes["waiting"].as_u64(),
    ];
    let numbers = numbers.into_iter().map(|number| number.map_or_else(|| "-".to_owned(), size));
    [name, state.to_owned()].into_iter().chain(numbers).collect()
}

/// Says why bytes were skipped, if some were.
fn skipped(skipped: &Value) -> String {
    let reasons = [
        ("overlong", "as rests of over-long lines"),
        ("nul_run", "as runs of NUL"),
        ("copy", "as copies of what is read elsewhere"),
    ];
    let told: Vec<String> = reasons
        .iter()
        .filter_map(|(name, words)| {
            let bytes = skipped[name].as_u64().filter(|bytes| *bytes > 0)?;
            Some(format!("{} {words}", size(bytes)))
        })
        .collect();
    if told.is_empty() { String::new() } else { format!("skipped: {}\n", told.join(", ")) }
}

/// Returns the list as CSV: one row for each generation.
pub(super) fn list_csv(coverage: &Value) -> String {
    let header = [
        "source",
        "stream",
        "generation",
        "path",
        "finished",
        "known",
        "read",
        "skipped_overlong",
        "skipped_nul_run",
        "skipped_copy",
        "unknown",
        "waiting",
        "first_event",
        "last_event",
    ];
    let mut rows = Vec::new();
    for source in list(&coverage["sources"]) {
        for stream in list(&source["streams"]) {
            let seen = &stream["coverage"];
            let place = [cell(&source["name"]), cell(&stream["name"])];
            let earlier = &seen["earlier"];
            if earlier["generations"] != 0 {
                let what = ["earlier".to_owned(), String::new(), "true".to_owned()];
                rows.push(csv_row(&place, what, earlier));
            }
            for one in list(&seen["generations"]) {
                let what = ["number", "path", "finished"].map(|name| cell(&one[name]));
                rows.push(csv_row(&place, what, one));
            }
        }
    }
    csv(&header, &rows)
}

fn csv_row(place: &[String; 2], what: [String; 3], bytes: &Value) -> Vec<String> {
    let skipped = &bytes["skipped"];
    let values = [
        &bytes["known"],
        &bytes["read"],
        &skipped["overlong"],
        &skipped["nul_run"],
        &skipped["copy"],
        &bytes["unknown"],
        &bytes["waiting"],
        &bytes["first_event"],
        &bytes["last_event"],
    ];
    let values =
        values.into_iter().map(|value| if value.is_null() { String::new() } else { cell(value) });
    place.iter().cloned().chain(what).chain(values).collect()
}

/// Returns a file's name without the folder of its stream; of a long one its end.
fn short(path: &str, folder: &str) -> String {
    let inside = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    let length = inside.chars().count();
    if length <= LONGEST_NAME {
        return inside.to_owned();
    }
    let end: String = inside.chars().skip(length + 1 - LONGEST_NAME).collect();
    format!("…{end}")
}

/// Returns a number of bytes: exact below 10,000, else with three digits at least.
fn size(bytes: u64) -> String {
    if bytes < 10_000 {
        return format!("{bytes} B");
    }
    let (mut whole, mut tenths) = (bytes, 0);
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
        (whole, tenths) = (whole / 1000, whole % 1000 / 100);
        if whole < 1000 {
            return format!("{whole}.{tenths} {unit}");
        }
    }
    format!("{whole}.{tenths} PB")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage() -> Value {
        let bytes = |known: u64, read: u64, nul: u64, unknown: u64| {
            json!({"known": known, "read": read, "unknown": unknown, "waiting": 0,
                "skipped": {"overlong": 0, "nul_run": nul, "copy": 0}})
        };
        let one = |number: u64, path: &str, finished: bool, mut of: Value| {
            of["number"] = number.into();
            of["path"] = path.into();
            of["finished"] = finished.into();
            of["first_event"] = "2026-03-02T10:00:00Z".into();
            of["last_event"] = Value::Null;
            of
        };
        let mut earlier = bytes(0, 0, 0, 0);
        earlier["generations"] = 0.into();
        let seen = json!({
            "first_event": "2026-03-02T10:00:00Z",
            "covered": [
                {"from": "2026-03-02T10:00:00Z", "to": "2026-03-02T11:00:00.5Z"},
                {"from": "2026-03-02T11:10:00Z", "to": "2026-03-02T12:00:00Z"},
            ],
            "total": bytes(12_349_999_345, 12_349_994_300, 5000, 45),
            "generations": [
                one(1, "/var/log/nginx/archive/access.log-20260301.gz", true,
                    bytes(12_349_987_000, 12_349_981_955, 5000, 45)),
                one(2, "/var/log/nginx/access.log", false, bytes(12_345, 12_345, 0, 0)),
            ],
            "earlier": earlier,
        });
        select(&json!({"sources": [{
            "name": "edge",
            "lines": 7,
            "streams": [{"name": "/var/log/nginx/access.log", "state": "live",
                "violations": 2, "observed_lateness_seconds": 40, "coverage": seen}],
            "gaps": [{"from": "2026-03-02T11:00:00Z", "to": "2026-03-02T11:10:00Z",
                "reason": "truncated", "stream": "/var/log/nginx/access.log", "bytes": null}],
        }]}))
    }

    #[test]
    fn a_page_shows_time_and_bytes_in_eighty_columns() {
        let page = page(&coverage());
        assert_eq!(
            page,
            "edge  /var/log/nginx/access.log\n\n\
             seen  2026-03-02T10:00:00Z to 2026-03-02T11:00:00Z\n\
             gap   2026-03-02T11:00:00Z to 2026-03-02T11:10:00Z  truncated\n\
             seen  2026-03-02T11:10:00Z to 2026-03-02T12:00:00Z\n\
             late  2 presentations behind the watermark, 40 s at most\n\n\
             FILE                    STATE       KNOWN     READ  SKIPPED  UNKNOWN  WAITING\n\
             …ccess.log-20260301.gz  finished  12.3 GB  12.3 GB   5000 B     45 B      0 B\n\
             access.log              open      12.3 kB  12.3 kB      0 B      0 B      0 B\n\
             total                             12.3 GB  12.3 GB   5000 B     45 B      0 B\n\
             skipped: 5000 B as runs of NUL\n"
        );
        assert!(page.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn csv_has_a_row_for_each_file_with_exact_numbers() {
        let list = list_csv(&coverage());
        let rows: Vec<&str> = list.lines().collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[0].starts_with("source,stream,generation,path,finished,known,read,"));
        assert_eq!(
            rows[2],
            "edge,/var/log/nginx/access.log,2,/var/log/nginx/access.log,false,12345,12345,0,0,0,0,0,\
             2026-03-02T10:00:00Z,"
        );
    }

    #[test]
    fn sizes_have_at_least_three_digits() {
        let sizes = [0, 9_999, 10_000, 999_999, 1_000_000, 1_200_000_000_000_000_000];
        let expected = ["0 B", "9999 B", "10.0 kB", "999.9 kB", "1.0 MB", "1200.0 PB"];
        assert_eq!(sizes.map(size), expected);
    }
}

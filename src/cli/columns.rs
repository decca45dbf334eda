//! Rows as aligned columns or CSV, and untrusted text made safe for a terminal.
//!
//! Names come from logs, and a log holds what an attacker sent: control characters never reach
//! the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;

use super::{Exit, Failure};

/// Returns aligned columns under a header; each line ends with a line feed, none with a space.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    table_of_numbers(header, rows, header.len(), usize::MAX)
}

/// Returns a [`table`] whose columns from `numbers` on are aligned to the right, and of each cell
/// no more than `widest` characters.
pub fn table_of_numbers(
    header: &[&str],
    rows: &[Vec<String>],
    numbers: usize,
    widest: usize,
) -> String {
    let shown: Vec<Vec<Cow<'_, str>>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable_beginning(cell, widest)).collect())
        .collect();
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in &shown {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &[Cow<'_, str>]| {
        let start = text.len();
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let written = if column < numbers {
                write!(text, "{cell:width$}  ")
            } else {
                write!(text, "{cell:>width$}  ")
            };
            written.expect("writing to a String cannot fail");
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    };
    line(&header.iter().map(|name| Cow::from(*name)).collect::<Vec<_>>());
    for row in &shown {
        line(row);
    }
    text
}

/// Returns CSV (RFC 4180, LF) under a header; cells are not changed but for their quotes.
pub fn csv(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = header.join(",") + "\n";
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| csv_cell(cell)).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

/// Returns a cell of CSV, quoted where it must be.
pub fn csv_cell(cell: &str) -> Cow<'_, str> {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\"")).into()
    } else {
        cell.into()
    }
}

/// Returns `text` with control, invisible and direction-changing characters escaped.
pub fn printable(text: &str) -> Cow<'_, str> {
    let unsafe_here = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if !text.contains(unsafe_here) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if unsafe_here(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Returns the first `widest` characters of `text`, [`printable`]; `…` stands for the rest.
pub fn printable_beginning(text: &str, widest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(widest) {
        Some((end, _)) => Cow::Owned(format!("{}…", printable(&text[..end]))),
        None => printable(text),
    }
}

/// Returns a JSON value as a cell: text as it is, nothing as `-`, lists and maps with commas.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let pairs: Vec<_> =
                map.iter().map(|(name, value)| format!("{name} ({})", cell(value))).collect();
            pairs.join(", ")
        }
        other => other.to_string(),
    }
}

/// Returns the text of a JSON string; `-` for anything else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// Writes an answer. A reader that has seen enough and closed the pipe is no error.
pub fn put(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::Usage,
            message: format!("the answer cannot be written: {error}"),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_have_no_trailing_space() {
        let rows = [vec!["é".to_owned(), "x".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&["A", "B"], &rows), "A     B\né     x\nlong\n");
    }

    #[test]
    fn a_name_from_a_log_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(printable("café"), "café");
    }

    #[test]
    fn numbers_stand_at_the_right_and_a_wide_cell_ends_in_an_ellipsis() {
        let rows = [vec!["abcd".to_owned(), "7".to_owned(), "12345".to_owned()]];
        let table = table_of_numbers(&["A", "SUM", "N"], &rows, 1, 3);
        assert_eq!(table, "A     SUM     N\nabc…    7  123…\n");
    }

    #[test]
    fn the_beginning_of_a_text_is_counted_in_characters_before_it_is_escaped() {
        assert_eq!(printable_beginning("ééé", 3), "ééé");
        assert_eq!(printable_beginning("éééé", 3), "ééé…");
        assert_eq!(printable_beginning("\u{200b}\u{202e}ab", 3), "\\u{200b}\\u{202e}a…");
    }

    #[test]
    fn csv_quotes_only_what_needs_it() {
        let rows = [vec!["a,b".to_owned(), "say \"hi\"".to_owned(), "plain".to_owned()]];
        assert_eq!(csv(&["x", "y", "z"], &rows), "x,y,z\n\"a,b\",\"say \"\"hi\"\"\",plain\n");
    }
}

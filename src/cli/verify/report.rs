//! What `keydrain verify` says: the files, each difference as a row, and what was not compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::compare::{Difference, Outcome};
use crate::cli::Exit;
use crate::cli::client::pretty;
use crate::cli::columns::{csv, printable, table};
use crate::engine::credential::{Fingerprint, SourceName};
use crate::engine::time::Step;
use crate::engine::usage::GenerationNumber;

/// A file that was counted.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The file.
    pub path: PathBuf,
    /// The source that it belongs to.
    pub source: SourceName,
    /// The generation that it is.
    pub number: GenerationNumber,
    /// Bytes that were counted, unpacked.
    pub bytes: u64,
    /// Lines, rejects included.
    pub lines: u64,
    /// Lines that were not understood.
    pub rejects: u64,
}

/// The answer.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The files that were counted.
    pub checked: Vec<Checked>,
    /// Where logs and state differ.
    pub differences: Vec<Difference>,
    compared: [usize; 3],
    notes: Vec<String>,
    incomplete: Vec<String>,
}

impl Report {
    /// Says what a reader should know of the comparison.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Says what could not be compared.
    pub fn missing(&mut self, what: String) {
        if !self.incomplete.contains(&what) {
            self.incomplete.push(what);
        }
    }

    /// Adds the comparison of one source.
    pub fn add(&mut self, outcome: Outcome) {
        self.differences.extend(outcome.differences);
        for (sum, count) in
            self.compared.iter_mut().zip([outcome.whole, outcome.partial, outcome.left_out])
        {
            *sum += count;
        }
    }

    /// Returns the exit code: what was found to differ does so, whatever could not be compared.
    pub fn exit(&self) -> Exit {
        match (self.differences.is_empty(), self.incomplete.is_empty()) {
            (false, _) => Exit::NotReady,
            (true, false) => Exit::Unknown,
            (true, true) => Exit::Ok,
        }
    }

    /// Returns what a reader should know besides the rows.
    pub fn remarks(&self) -> String {
        let mut text = String::new();
        for (word, said) in [("note", &self.notes), ("incomplete", &self.incomplete)] {
            for it in said {
                text = text + word + ": " + &printable(it) + "\n";
            }
        }
        text
    }

    /// Returns the answer for people.
    pub fn table(&self, names: &BTreeMap<Fingerprint, String>) -> String {
        let mut page = String::new();
        if !self.checked.is_empty() {
            let rows: Vec<Vec<String>> = self.checked.iter().map(checked).collect();
            page += &table(&["SOURCE", "GENERATION", "BYTES", "LINES", "REJECTS", "FILE"], &rows);
            page.push('\n');
        }
        if !self.differences.is_empty() {
            let rows: Vec<Vec<String>> =
                self.differences.iter().map(|it| row(it, names).to_vec()).collect();
            let header = ["SOURCE", "WINDOW", "BY", "KEY", "CONSUMER", "OUTCOME", "LOGS", "STATE"];
            page += &table(&header, &rows);
            page.push('\n');
        }
        page += &self.remarks();
        let [whole, partial, left_out] = self.compared;
        let mut said = vec![format!("{whole} windows must be equal")];
        if partial > 0 {
            said.push(format!(
                "{partial} have lines in files that were not given too: there the logs must not \
                 exceed the state"
            ));
        }
        if left_out > 0 {
            said.push(format!("{left_out} are older than what the state can show"));
        }
        page += &said.join(", ");
        page + match self.exit() {
            Exit::Ok if partial == 0 => "\nlogs and state are equal\n",
            Exit::Ok => "\nno difference was found\n",
            Exit::NotReady => "\nlogs and state differ\n",
            _ => "\nno difference was found, but not everything could be compared\n",
        }
    }

    /// Returns the answer as JSON.
    pub fn json(&self, names: &BTreeMap<Fingerprint, String>) -> String {
        let files = self.checked.iter().map(|it| {
            json!({
                "path": it.path.display().to_string(),
                "source": it.source.as_str(),
                "generation": it.number.0,
                "bytes": it.bytes,
                "lines": it.lines,
                "rejects": it.rejects,
            })
        });
        let differences = self.differences.iter().map(|it| {
            let texts = row(it, names);
            let text = |at: usize| if texts[at] == "-" { Value::Null } else { json!(texts[at]) };
            json!({
                "source": texts[0],
                "window": text(1),
                "by": text(2),
                "key": text(3),
                "consumer": texts[4],
                "outcome": texts[5],
                "logs": it.logs,
                "state": it.state,
            })
        });
        let [whole, partial, left_out] = self.compared;
        pretty(&json!({
            "schema": "keydrain/verify/v1",
            "equal": self.exit() == Exit::Ok,
            "files": files.collect::<Vec<_>>(),
            "windows": {"equal": whole, "bounded": partial, "left_out": left_out},
            "differences": differences.collect::<Vec<_>>(),
            "notes": self.notes,
            "incomplete": self.incomplete,
        }))
    }

    /// Returns the differences as CSV.
    pub fn csv(&self, names: &BTreeMap<Fingerprint, String>) -> String {
        let rows: Vec<Vec<String>> =
            self.differences.iter().map(|it| row(it, names).to_vec()).collect();
        csv(&["source", "window", "by", "key", "consumer", "outcome", "logs", "state"], &rows)
    }
}

fn checked(it: &Checked) -> Vec<String> {
    let numbers = [it.number.0, it.bytes, it.lines, it.rejects].map(|number| number.to_string());
    let mut cells = vec![it.source.as_str().to_owned()];
    cells.extend(numbers);
    cells.push(it.path.display().to_string());
    cells
}

fn row(it: &Difference, names: &BTreeMap<Fingerprint, String>) -> [String; 8] {
    let none = || "-".to_owned();
    let by = |step: Step| match step {
        Step::Minute => "minute",
        Step::Hour => "hour",
        Step::Day => "day",
    };
    let name = |key: Fingerprint| names.get(&key).cloned().unwrap_or_else(|| key.to_string());
    [
        it.source.as_str().to_owned(),
        it.window.map_or_else(none, |(at, _)| at.to_string()),
        it.window.map_or_else(none, |(_, step)| by(step).to_owned()),
        it.key.map_or_else(none, name),
        it.who.clone(),
        it.what.to_owned(),
        it.logs.to_string(),
        it.state.to_string(),
    ]
}

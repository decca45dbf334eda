//! What a sample says about one candidate: how many records it reads, and which show a key.

use std::collections::{BTreeMap, BTreeSet};

use super::candidate::Candidate;
use super::sample::Sample;
use crate::engine::parse::{RejectReason, Scratch, query_parameters};
use crate::engine::scan::records::Record;

/// Records that are shown field by field, and rejected records that are shown.
const SHOWN: usize = 2;

/// Names of query parameters or fields that are counted; any further one is left out.
const MAX_NAMES: usize = 500;

/// A record with its number, from 1 on.
pub type Numbered = (u64, Vec<u8>);

/// What a sample says about one candidate.
#[derive(Default)]
pub struct Finding {
    /// Records that were looked at.
    pub records: u64,
    /// Records that were understood.
    pub understood: u64,
    /// Records that show a key.
    pub with_key: u64,
    /// Records with a key to show.
    keyed: Vec<Numbered>,
    /// Understood records without one to show.
    keyless: Vec<Numbered>,
    /// Rejected records to show.
    pub rejected: Vec<(Numbered, Refusal)>,
    /// Number of records with each query parameter.
    pub parameters: BTreeMap<Vec<u8>, u64>,
    /// Number of records in which each field holds something.
    pub fields: BTreeMap<String, u64>,
}

/// Why a record was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The parser's reason.
    Reason(RejectReason),
    /// The record is broken off.
    Cut,
}

impl Finding {
    /// Reads a sample with a candidate.
    pub fn of(candidate: &Candidate, sample: &Sample) -> Self {
        let mut finding = Self::default();
        let mut scratch = Scratch::default();
        sample.records(candidate.parser.framing(), |number, record| {
            finding.look(candidate, number, record, &mut scratch);
        });
        finding
    }

    /// Lists the understood records to show, in their order; those with a key are preferred.
    pub fn samples(&self) -> Vec<&Numbered> {
        let mut samples: Vec<&Numbered> =
            self.keyed.iter().chain(&self.keyless).take(SHOWN).collect();
        samples.sort_by_key(|(number, _)| *number);
        samples
    }

    fn look(
        &mut self,
        candidate: &Candidate,
        number: u64,
        record: Record<'_>,
        scratch: &mut Scratch,
    ) {
        self.records += 1;
        let (text, parsed) = match record {
            Record::TooLong => (&b""[..], Err(Refusal::Reason(RejectReason::TooLong))),
            Record::Cut(text) => (text, Err(Refusal::Cut)),
            Record::Whole(text) => {
                (text, candidate.parser.parse(text, scratch).map_err(Refusal::Reason))
            }
        };
        let has_key = match parsed {
            Ok(event) => !event.keys.is_empty(),
            Err(refusal) => {
                if self.rejected.len() < SHOWN {
                    self.rejected.push(((number, text.to_vec()), refusal));
                }
                return;
            }
        };
        self.understood += 1;
        self.with_key += u64::from(has_key);
        let shown = if has_key { &mut self.keyed } else { &mut self.keyless };
        if shown.len() < SHOWN {
            shown.push((number, text.to_vec()));
        }
        self.count_names(candidate, text);
    }

    fn count_names(&mut self, candidate: &Candidate, record: &[u8]) {
        let fields = candidate.parser.fields(record).unwrap_or_default();
        // A record that logs its request twice is one record.
        let mut parameters = BTreeSet::new();
        for (field, value) in &fields {
            parameters.extend(query_parameters(field, value));
        }
        for name in parameters {
            if let Some(count) = self.parameters.get_mut(name) {
                *count += 1;
            } else if self.parameters.len() < MAX_NAMES {
                self.parameters.insert(name.to_vec(), 1);
            }
        }
        for (field, value) in fields {
            let is_given = u64::from(!matches!(value.as_slice(), b"" | b"-" | b"null"));
            if let Some(count) = self.fields.get_mut(&field) {
                *count += is_given;
            } else if self.fields.len() < MAX_NAMES {
                self.fields.insert(field, is_given);
            }
        }
    }
}

//! A server's format string, compiled into the places where each variable begins and ends.
//!
//! ```text
//! $remote_addr - $remote_user [$time_local] "$request" $status …
//! \_______________ group _________________/  \group/    \group …
//! ```
//!
//! The servers escape `"` inside values, so a quote of the format is found at the first quote of
//! the line, and what a client sends cannot move it: quotes cut a line into groups. Inside a group
//! the variables of known shape are taken from both ends, so free text (a user name with ` [` in
//! it) keeps what stands between them. Two free values without quotes are told apart at the first
//! place that fits. Never quadratic, whatever the line holds.

use std::ops::Range;

use jiff::tz::TimeZone;
use memchr::{memchr, memchr2, memmem};

use super::escape::Escapes;
use super::instant::{self, TimeForm};
use super::layout::LayoutError;
use super::variables::Shape;
use crate::engine::time::Timestamp;

/// Where a value stands in its line: `[from, to)`.
pub type FieldSpan = (usize, usize);

/// No time is longer than this: bounds the search for one behind free text.
const LONGEST_TIME: usize = 40;

/// A compiled format string.
#[derive(Debug)]
pub struct Template {
    variables: Vec<Variable>,
    /// Literal text before the first variable.
    lead: Vec<u8>,
    groups: Vec<Group>,
    escapes: Escapes,
    /// Whether more fields may follow the last one, after a space.
    open_ended: bool,
    /// Number of quotes in all literals.
    quotes: usize,
    /// The zone of times that carry none.
    zone: Option<TimeZone>,
}

/// A format taken apart: `lead variable literal variable literal …`.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Literal text before the first variable.
    pub lead: Vec<u8>,
    /// Each variable with the literal text after it.
    pub after: Vec<(Variable, Vec<u8>)>,
}

/// A variable of the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name in lower case, without `$`.
    pub name: String,
    /// What its text looks like.
    pub shape: Shape,
}

/// Variables with no quote between them.
#[derive(Debug)]
struct Group {
    variables: Range<usize>,
    /// Literals between them: one fewer than variables, none empty.
    separators: Vec<Vec<u8>>,
    /// Literal after the last one. Without a quote only in the last group.
    end: Vec<u8>,
    /// Offset of the first quote in `end`.
    quote_at: Option<usize>,
}

impl Template {
    /// Compiles the pieces of a format. `zone` is that of times that carry none.
    pub fn compile(
        pieces: Pieces,
        escapes: Escapes,
        open_ended: bool,
        zone: Option<TimeZone>,
    ) -> Result<Self, LayoutError> {
        let (variables, literals): (Vec<Variable>, Vec<_>) = pieces.after.into_iter().unzip();
        if variables.is_empty() {
            return Err(LayoutError::NoVariable);
        }
        for (pair, literal) in variables.windows(2).zip(&literals) {
            if literal.is_empty() {
                let [first, second] = pair else { continue };
                return Err(LayoutError::Touching {
                    first: first.name.clone(),
                    second: second.name.clone(),
                });
            }
        }
        let quotes = |literal: &[u8]| literal.iter().filter(|&&byte| byte == b'"').count();
        let quotes =
            quotes(&pieces.lead) + literals.iter().map(|literal| quotes(literal)).sum::<usize>();
        if quotes % 2 != 0 {
            return Err(LayoutError::UnterminatedQuote);
        }
        let groups = groups(literals);
        Ok(Self { variables, lead: pieces.lead, groups, escapes, open_ended, quotes, zone })
    }

    /// Lists the variables in the order of the format.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Returns the number of the first variable with this name, any case.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|variable| variable.name.eq_ignore_ascii_case(name))
    }

    /// Returns which escapes to undo in values.
    pub fn escapes(&self) -> Escapes {
        self.escapes
    }

    /// Reads a time of this format.
    pub fn time(&self, form: TimeForm, text: &[u8]) -> Option<Timestamp> {
        instant::read(form, text, self.zone.as_ref())
    }

    /// Returns what every line begins with, and the variable that follows.
    pub fn beginning(&self) -> (&[u8], &Variable) {
        (&self.lead, &self.variables[0])
    }

    /// Finds every variable in `line`; `None` when the line does not have this form.
    ///
    /// `spans` is resized to one span per variable.
    pub fn split(&self, line: &[u8], spans: &mut Vec<FieldSpan>) -> Option<()> {
        spans.resize(self.variables.len(), (0, 0));
        if !line.starts_with(&self.lead) || !self.has_one_reading(line) {
            return None;
        }
        let mut at = self.lead.len();
        for group in &self.groups {
            let to = match group.quote_at {
                Some(offset) => {
                    let quote = at + self.find_quote(&line[at..])?;
                    quote.checked_sub(offset).filter(|&to| to >= at)?
                }
                None => line.len().checked_sub(group.end.len()).filter(|&to| to >= at)?,
            };
            if !line[to..].starts_with(&group.end) {
                return None;
            }
            self.split_group(group, line, (at, to), spans)?;
            at = to + group.end.len();
        }
        let complete = at == line.len() || (self.open_ended && line[at] == b' ');
        complete.then_some(())
    }

    /// Returns the variable at whose place `line` stops having this form; `None` when it has it, or
    /// when only what follows the last variable is wrong.
    pub fn misfit(&self, line: &[u8]) -> Option<&Variable> {
        const UNPLACED: FieldSpan = (usize::MAX, usize::MAX);
        let mut spans = vec![UNPLACED; self.variables.len()];
        if self.split(line, &mut spans).is_some() {
            return None;
        }
        let first = spans.iter().position(|&span| span == UNPLACED)?;
        let group = self.groups.iter().find(|group| group.variables.contains(&first))?;
        // A group is tried from its end where free text begins it.
        let is_free = self.variables[first].shape == Shape::Free;
        let mut unplaced = group.variables.clone().rev().filter(|&index| spans[index] == UNPLACED);
        let index = unplaced.next().filter(|_| is_free).unwrap_or(first);
        Some(&self.variables[index])
    }

    /// Tells whether the quotes of a line without escapes can only be the format's own.
    fn has_one_reading(&self, line: &[u8]) -> bool {
        self.escapes != Escapes::None || memchr::memchr_iter(b'"', line).count() == self.quotes
    }

    /// Finds the first quote that is not escaped.
    fn find_quote(&self, text: &[u8]) -> Option<usize> {
        match self.escapes {
            Escapes::Nginx | Escapes::None => memchr(b'"', text),
            Escapes::NginxOrApache | Escapes::Json => {
                let mut at = 0;
                loop {
                    at += memchr2(b'"', b'\\', text.get(at..)?)?;
                    if text[at] == b'"' {
                        return Some(at);
                    }
                    at += 2;
                }
            }
        }
    }

    fn split_group(
        &self,
        group: &Group,
        line: &[u8],
        (from, to): FieldSpan,
        spans: &mut [FieldSpan],
    ) -> Option<()> {
        if self.escapes == Escapes::None && !self.splits_one_way(group, &line[from..to]) {
            return None;
        }
        let (mut first, mut last) = (group.variables.start, group.variables.end - 1);
        let (mut from, mut to) = (from, to);
        let shape = |index: usize| self.variables[index].shape;
        while first < last && shape(first) != Shape::Free {
            let separator = group.separator_after(first);
            let end = from + prefix_len(shape(first), &line[from..to], separator)?;
            spans[first] = (from, end);
            from = end + separator.len();
            first += 1;
        }
        // What ends a list of upstreams is known from its front only.
        while first < last && !matches!(shape(last), Shape::Free | Shape::List) {
            let separator = group.separator_after(last - 1);
            let start = from + suffix_start(shape(last), &line[from..to], separator)?;
            spans[last] = (start, to);
            to = start - separator.len();
            last -= 1;
        }
        while first < last {
            let separator = group.separator_after(first);
            let next = self.time_behind(group, first, &line[from..to]);
            let len = next.or_else(|| prefix_len(shape(first), &line[from..to], separator))?;
            spans[first] = (from, from + len);
            from += len + separator.len();
            first += 1;
        }
        spans[last] = (from, to);
        let fits = |index: usize| {
            let (from, to) = spans[index];
            has_shape(shape(index), &line[from..to])
        };
        group.variables.clone().all(fits).then_some(())
    }

    /// Tells whether the separators in a text without escapes can only be the format's own: each
    /// comes as often as the format writes it.
    fn splits_one_way(&self, group: &Group, text: &[u8]) -> bool {
        let spaced_times = self.variables[group.variables.clone()]
            .iter()
            .filter(|variable| variable.shape == Shape::Time(TimeForm::Local))
            .count();
        group.separators.iter().all(|separator| {
            let count = |text: &[u8]| memmem::find_iter(text, separator).count();
            let written: usize = group.separators.iter().map(|other| count(other)).sum();
            let in_times = if separator == b" " { spaced_times } else { 0 };
            count(text) == written + in_times
        })
    }

    /// Returns the length of the value of `index` when a time is to follow: up to the first
    /// separator that has a readable time and that time's own separator behind it.
    fn time_behind(&self, group: &Group, index: usize, text: &[u8]) -> Option<usize> {
        let Shape::Time(form) = self.variables[index + 1].shape else { return None };
        if index + 2 >= group.variables.end {
            return None;
        }
        let (before, after) = (group.separator_after(index), group.separator_after(index + 1));
        memmem::find_iter(text, before).find(|&at| {
            let rest = &text[at + before.len()..];
            let window = &rest[..rest.len().min(LONGEST_TIME + after.len())];
            prefix_len(Shape::Time(form), window, after)
                .is_some_and(|len| self.time(form, &window[..len]).is_some())
        })
    }
}

impl Group {
    fn separator_after(&self, variable: usize) -> &[u8] {
        &self.separators[variable - self.variables.start]
    }
}

/// Returns how long the value at the start of `text` is, with `separator` right after it.
fn prefix_len(shape: Shape, text: &[u8], separator: &[u8]) -> Option<usize> {
    let known = match shape {
        Shape::Time(form) => form.len(),
        Shape::List => Some(list_len(text)),
        _ => None,
    };
    known
        .filter(|&len| text.get(len..).is_some_and(|rest| rest.starts_with(separator)))
        .or_else(|| find(text, separator))
}

/// Returns where the value at the end of `text` begins, with `separator` right before it.
fn suffix_start(shape: Shape, text: &[u8], separator: &[u8]) -> Option<usize> {
    let known = match shape {
        Shape::Time(form) => form.len().and_then(|len| text.len().checked_sub(len)),
        _ => None,
    };
    known
        .filter(|&start| text[..start].ends_with(separator))
        .or_else(|| memmem::rfind(text, separator).map(|at| at + separator.len()))
}

/// Returns the length of the upstreams' values at the start of `text`: `0.1, 0.2 : 0.3`.
fn list_len(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += memchr2(b' ', b',', &text[at..]).unwrap_or(text.len() - at);
        if text[at..].starts_with(b", ") {
            at += 2;
        } else if text[at..].starts_with(b" : ") {
            at += 3;
        } else if text.get(at) == Some(&b',') {
            at += 1;
        } else {
            return at;
        }
    }
}

fn has_shape(shape: Shape, value: &[u8]) -> bool {
    match shape {
        Shape::Word => !value.is_empty() && memchr(b' ', value).is_none(),
        Shape::Token => memchr(b' ', value).is_none(),
        Shape::Count => {
            value == b"-" || (!value.is_empty() && value.iter().all(u8::is_ascii_digit))
        }
        // A time that cannot be read is told from a form that does not fit.
        Shape::Time(_) | Shape::List | Shape::Free => true,
    }
}

/// Finds a separator of a few bytes: its first byte by SIMD, the rest by comparison.
fn find(text: &[u8], separator: &[u8]) -> Option<usize> {
    let (&first, rest) = separator.split_first()?;
    memchr::memchr_iter(first, text).find(|&at| text[at + 1..].starts_with(rest))
}

/// Joins literals and variables to groups that end at a quote.
fn groups(literals: Vec<Vec<u8>>) -> Vec<Group> {
    let count = literals.len();
    let mut groups = Vec::new();
    let (mut start, mut separators) = (0, Vec::new());
    for (index, literal) in literals.into_iter().enumerate() {
        let quote_at = memchr(b'"', &literal);
        if quote_at.is_none() && index + 1 < count {
            separators.push(literal);
            continue;
        }
        let separators = std::mem::take(&mut separators);
        groups.push(Group { variables: start..index + 1, separators, end: literal, quote_at });
        start = index + 1;
    }
    groups
}

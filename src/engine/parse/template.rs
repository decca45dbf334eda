//! A server's format string, compiled into the places where each variable begins and ends.
//!
//! ```text
//! $remote_addr - $remote_user [$time_local] "$request" $status …
//! \_______________ group _________________/  \group/    \group …
//! ```
//!
//! The servers escape `"` inside values, so a quote of the format is found at the first quote of
//! the line, and what a client sends cannot move it: quotes cut a line into groups. How the
//! variables of a group are told apart is said in `group`. Where nothing is escaped the same rule
//! holds: text between quotes of the format has none, so a line with more of them has no reading.

use jiff::tz::TimeZone;
use memchr::{memchr, memchr2};

use super::escape::Escapes;
pub use super::group::FieldSpan;
use super::group::Group;
use super::layout::LayoutError;
use super::variables::Shape;

/// A compiled format string.
#[derive(Debug)]
pub struct Template {
    variables: Vec<Variable>,
    /// Literal text before the first variable.
    lead: Vec<u8>,
    sections: Vec<Section>,
    escapes: Escapes,
    /// Whether more fields may follow the last one, after a space.
    open_ended: bool,
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

/// Stands between the names of variables that touch: they are one value that nobody can take apart.
const JOINT: char = '$';

/// A group and the literal that ends it.
#[derive(Debug)]
struct Section {
    group: Group,
    /// Literal after the last variable. Without a quote only in the last section.
    end: Vec<u8>,
    /// Offset of the first quote in `end`.
    quote_at: Option<usize>,
    /// The variable that Apache may write as `""`: a user without a name.
    user: Option<usize>,
}

impl Template {
    /// Compiles the pieces of a format. `zone` is that of times that carry none.
    pub fn compile(
        pieces: Pieces,
        escapes: Escapes,
        open_ended: bool,
        zone: Option<TimeZone>,
    ) -> Result<Self, LayoutError> {
        if pieces.after.is_empty() {
            return Err(LayoutError::NoVariable);
        }
        let (variables, literals): (Vec<Variable>, Vec<_>) =
            joined(pieces.after).into_iter().unzip();
        let texts = || std::iter::once(&pieces.lead).chain(&literals);
        let quotes = texts().flatten().filter(|&&byte| byte == b'"').count();
        if quotes % 2 != 0 {
            return Err(LayoutError::UnterminatedQuote);
        }
        let open = texts().zip(&variables).find(|(text, _)| ends_in_escape(escapes, text));
        if let Some((_, variable)) = open {
            return Err(LayoutError::Backslash(variable.name.clone()));
        }
        let sections = sections(escapes, &variables, literals);
        Ok(Self { variables, lead: pieces.lead, sections, escapes, open_ended, zone })
    }

    /// Says which variables are used: of the others only the form is looked at.
    pub fn need(&mut self, variables: &[usize]) {
        self.sections.iter_mut().for_each(|section| section.group.need(variables));
    }

    /// Lists the variables in the order of the format.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// Returns the number of the first variable with this name, any case.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|variable| variable.name.eq_ignore_ascii_case(name))
    }

    /// Tells whether the variable with this name, if there is one, can be told from its neighbours.
    pub fn is_apart(&self, name: &str) -> Result<(), LayoutError> {
        if self.position(name).is_some() {
            return Ok(());
        }
        let joined = self.variables.iter().find(|variable| {
            let mut parts = variable.name.split(JOINT);
            parts.clone().nth(1).is_some() && parts.any(|part| part.eq_ignore_ascii_case(name))
        });
        match joined.and_then(|variable| variable.name.split_once(JOINT)) {
            Some((first, second)) => Err(LayoutError::Touching {
                first: first.to_owned(),
                second: second.split(JOINT).next().unwrap_or_default().to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Returns which escapes to undo in values.
    pub fn escapes(&self) -> Escapes {
        self.escapes
    }

    /// Tells whether a variable is Apache's `%U%q`, whose path is decoded.
    pub fn has_decoded_target(&self, variable: usize) -> bool {
        self.escapes == Escapes::NginxOrApache && self.variables[variable].name == "request_uri"
    }

    /// Returns the zone of times that carry none.
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
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
        if !line.starts_with(&self.lead) {
            return None;
        }
        let mut at = self.lead.len();
        for section in &self.sections {
            at = self
                .split_section(section, line, at, at, spans)
                .or_else(|| self.split_nameless(section, line, at, spans))?;
        }
        let complete = at == line.len() || (self.open_ended && line[at] == b' ');
        complete.then_some(())
    }

    /// Finds the variables of a section in which Apache has written a user without a name: its
    /// quotes are none of the format's.
    fn split_nameless(
        &self,
        section: &Section,
        line: &[u8],
        at: usize,
        spans: &mut [FieldSpan],
    ) -> Option<usize> {
        let user = section.user?;
        let quote = at + find_quote(self.escapes, &line[at..])?;
        let behind = line[quote..].starts_with(b"\"\"").then_some(quote + 2)?;
        let end = self.split_section(section, line, at, behind, spans)?;
        (spans[user] == (quote, behind)).then_some(end)
    }

    /// Finds the variables of a section that begins at `at`, and whose own quote stands at
    /// `quotes_from` or later; returns where the section ends.
    fn split_section(
        &self,
        section: &Section,
        line: &[u8],
        at: usize,
        quotes_from: usize,
        spans: &mut [FieldSpan],
    ) -> Option<usize> {
        let quote = find_quote(self.escapes, &line[quotes_from..]).map(|len| quotes_from + len);
        let to = match section.quote_at {
            Some(offset) => quote?.checked_sub(offset)?,
            // No value holds a quote that is not escaped.
            None if quote.is_some() => return None,
            None => line.len().checked_sub(section.end.len())?,
        };
        if to < at || !line[to..].starts_with(&section.end) {
            return None;
        }
        section.group.split(line, (at, to), self.zone.as_ref(), spans)?;
        Some(to + section.end.len())
    }

    /// Returns the variable at whose place `line` stops having this form; `None` when it has it, or
    /// when only what follows the last variable is wrong.
    pub fn misfit(&self, line: &[u8]) -> Option<&Variable> {
        const UNPLACED: FieldSpan = (usize::MAX, usize::MAX);
        let mut spans = vec![UNPLACED; self.variables.len()];
        // Of a line that has this form every variable is placed.
        let _ = self.split(line, &mut spans);
        let first = spans.iter().position(|&span| span == UNPLACED)?;
        let mut groups = self.sections.iter().map(|section| section.group.variables());
        let group = groups.find(|group| group.contains(&first))?;
        // A group is tried from its end where free text begins it.
        let is_free = self.variables[first].shape == Shape::Free;
        let mut unplaced = group.rev().filter(|&index| spans[index] == UNPLACED);
        let index = unplaced.next().filter(|_| is_free).unwrap_or(first);
        Some(&self.variables[index])
    }
}

/// Tells whether a backslash at the end of a literal escapes the value behind it.
fn ends_in_escape(escapes: Escapes, literal: &[u8]) -> bool {
    let backslashes = literal.iter().rev().take_while(|&&byte| byte == b'\\').count();
    matches!(escapes, Escapes::NginxOrApache | Escapes::Json) && backslashes % 2 == 1
}

/// Finds the first quote that is not escaped.
fn find_quote(escapes: Escapes, text: &[u8]) -> Option<usize> {
    match escapes {
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

/// Joins variables with nothing between them to one: of any text, and named `first$second`.
fn joined(after: Vec<(Variable, Vec<u8>)>) -> Vec<(Variable, Vec<u8>)> {
    let mut joined: Vec<(Variable, Vec<u8>)> = Vec::new();
    for (variable, literal) in after {
        match joined.last_mut() {
            Some((last, between)) if between.is_empty() => {
                last.name = format!("{}{JOINT}{}", last.name, variable.name);
                last.shape = Shape::Free;
                *between = literal;
            }
            _ => joined.push((variable, literal)),
        }
    }
    joined
}

/// Joins literals and variables to groups that end at a quote.
fn sections(escapes: Escapes, variables: &[Variable], literals: Vec<Vec<u8>>) -> Vec<Section> {
    let count = literals.len();
    let mut sections = Vec::new();
    let (mut start, mut separators) = (0, Vec::new());
    for (index, literal) in literals.into_iter().enumerate() {
        let quote_at = find_quote(escapes, &literal);
        if quote_at.is_none() && index + 1 < count {
            separators.push(literal);
            continue;
        }
        let inside = &variables[start..=index];
        let shapes = inside.iter().map(|variable| variable.shape).collect();
        let user = inside.iter().position(|variable| variable.name == "remote_user");
        let user = user.filter(|_| escapes == Escapes::NginxOrApache).map(|user| start + user);
        let group = Group::new(start, shapes, std::mem::take(&mut separators));
        sections.push(Section { group, end: literal, quote_at, user });
        start = index + 1;
    }
    sections
}

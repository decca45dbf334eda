//! Variables with no quote between them, told apart in the text that they share.
//!
//! ```text
//! known known FREE known FREE known
//! \from left/ \__ middle __/ \from right
//! ```
//!
//! Variables of known shape are taken from both ends, as far as they cannot hold what tells them
//! from their neighbour. One free value that is left takes the rest, so it may hold anything.
//! Of several, nothing tells which of them holds a literal of the format: their text is read only
//! if there is one way to do so, which is when the first places that fit are also the last.
//! Never quadratic, whatever the text holds.

use std::ops::Range;

use jiff::tz::TimeZone;
use memchr::{memchr, memchr2, memmem};

use super::instant::{self, TimeForm};
use super::variables::Shape;

/// Where a value stands in its line: `[from, to)`.
pub type FieldSpan = (usize, usize);

/// No time is longer than this: bounds the search for one between free texts.
const LONGEST_TIME: usize = 40;

/// Variables of a format between two quotes.
#[derive(Debug)]
pub struct Group {
    /// Number of the first variable.
    start: usize,
    shapes: Vec<Shape>,
    /// Literals between them: one fewer than variables, none empty.
    separators: Vec<Vec<u8>>,
    /// Where the runs that are taken from the left end, in order.
    left: Vec<usize>,
    /// Where the runs that are taken from the right begin, the last one first.
    right: Vec<usize>,
    /// The variables that are left.
    middle: Range<usize>,
    /// Whether a value of the group is used. Where none is, any way to tell them apart will do.
    is_needed: bool,
}

impl Group {
    /// Groups the variables from number `start` on, with the literals between them.
    pub fn new(start: usize, shapes: Vec<Shape>, separators: Vec<Vec<u8>>) -> Self {
        let mut group = Self {
            start,
            middle: 0..shapes.len(),
            shapes,
            separators,
            left: Vec::new(),
            right: Vec::new(),
            is_needed: true,
        };
        while let Some(end) = group.run_from_left() {
            group.left.push(end);
            group.middle.start = end;
        }
        while let Some(begin) = group.run_from_right() {
            group.right.push(begin);
            group.middle.end = begin;
        }
        group
    }

    /// Returns the end of the shortest run of known variables that begins the middle, such that
    /// none of them can hold what follows the run.
    fn run_from_left(&self) -> Option<usize> {
        let Range { start, end } = self.middle;
        (start + 1..end)
            .take_while(|&to| self.shapes[to - 1] != Shape::Free)
            .find(|&to| self.none_holds(start..to, &self.separators[to - 1]))
    }

    /// Returns the begin of the shortest run of known variables that ends the middle. What ends a
    /// list of upstreams is known from its front only.
    fn run_from_right(&self) -> Option<usize> {
        let Range { start, end } = self.middle;
        (start + 1..end)
            .rev()
            .take_while(|&from| !matches!(self.shapes[from], Shape::Free | Shape::List))
            .find(|&from| self.none_holds(from..end, &self.separators[from - 1]))
    }

    fn none_holds(&self, variables: Range<usize>, separator: &[u8]) -> bool {
        let single = variables.len() == 1;
        // A list and a time may hold a space, but where they begin shows where they end.
        let is_spaced = |shape: &Shape| *shape == Shape::List || shape.fixed_len().is_some();
        self.shapes[variables].iter().all(|shape| match shape.fixed_len() {
            _ if !single && is_spaced(shape) => false,
            Some(_) => true,
            None => shape.never_holds(separator),
        })
    }

    /// Says which variables are used.
    pub fn need(&mut self, variables: &[usize]) {
        self.is_needed = variables.iter().any(|variable| self.variables().contains(variable));
    }

    /// Returns the numbers of its variables.
    pub fn variables(&self) -> Range<usize> {
        self.start..self.start + self.shapes.len()
    }

    /// Finds the variables in `line[from..to]`. `zone` is that of times that carry none.
    pub fn split(
        &self,
        line: &[u8],
        (mut from, mut to): FieldSpan,
        zone: Option<&TimeZone>,
        spans: &mut [FieldSpan],
    ) -> Option<()> {
        let spans = &mut spans[self.start..self.start + self.shapes.len()];
        let mut begin = 0;
        for &end in &self.left {
            let separator = &self.separators[end - 1];
            let len = self.run_len(begin..end, &line[from..to])?;
            self.split_run(begin..end, line, (from, from + len), zone, spans)?;
            from += len + separator.len();
            begin = end;
        }
        let mut end = self.shapes.len();
        for &begin in &self.right {
            let separator = &self.separators[begin - 1];
            let start = from + self.run_start(begin..end, &line[from..to])?;
            self.split_run(begin..end, line, (start, to), zone, spans)?;
            to = start - separator.len();
            end = begin;
        }
        self.split_run(self.middle.clone(), line, (from, to), zone, spans)?;
        let fits = |(shape, &(from, to)): (&Shape, &FieldSpan)| shape.fits(&line[from..to]);
        self.shapes.iter().zip(&*spans).all(fits).then_some(())
    }

    /// Returns how long a run at the start of `text` is, with its separator right after it.
    fn run_len(&self, run: Range<usize>, text: &[u8]) -> Option<usize> {
        let separator = &self.separators[run.end - 1];
        let shape = self.shapes[run.start];
        if run.len() == 1 && shape == Shape::List && separator.starts_with(b" ") {
            let len = list_len(text);
            // Free text that begins with a colon reads as one more upstream.
            let is_plain = separator != b" "
                || !self.is_needed
                || self.shapes[run.end] != Shape::Free
                || memmem::find(&text[..len], b" : ").is_none();
            return (is_plain && text[len..].starts_with(separator)).then_some(len);
        }
        let shape = if run.len() == 1 { shape } else { Shape::Free };
        shape.len_before(separator, text)
    }

    /// Returns where a run at the end of `text` begins, with its separator right before it.
    fn run_start(&self, run: Range<usize>, text: &[u8]) -> Option<usize> {
        let shape = if run.len() == 1 { self.shapes[run.start] } else { Shape::Free };
        shape.start_behind(&self.separators[run.start - 1], text)
    }

    /// Splits a run: from the left or the right while a variable there cannot hold the literal
    /// beside it.
    fn split_run(
        &self,
        run: Range<usize>,
        line: &[u8],
        (mut from, mut to): FieldSpan,
        zone: Option<&TimeZone>,
        spans: &mut [FieldSpan],
    ) -> Option<()> {
        let Range { mut start, mut end } = run;
        while end - start > 1 {
            if self.none_holds(start..start + 1, &self.separators[start]) {
                let len = self.run_len(start..start + 1, &line[from..to])?;
                spans[start] = (from, from + len);
                from += len + self.separators[start].len();
                start += 1;
            } else if self.shapes[end - 1] != Shape::List
                && self.none_holds(end - 1..end, &self.separators[end - 2])
            {
                let at = from + self.run_start(end - 1..end, &line[from..to])?;
                spans[end - 1] = (at, to);
                to = at - self.separators[end - 2].len();
                end -= 1;
            } else {
                return self.split_one_way(start..end, line, (from, to), zone, spans);
            }
        }
        spans[start] = (from, to);
        Some(())
    }

    /// Splits a run at the first places that fit; `None` unless they are the last ones too, or no
    /// value is used.
    fn split_one_way(
        &self,
        Range { start, end }: Range<usize>,
        line: &[u8],
        (mut from, mut to): FieldSpan,
        zone: Option<&TimeZone>,
        spans: &mut [FieldSpan],
    ) -> Option<()> {
        let (mut index, whole_end) = (start, to);
        while index + 1 < end {
            let text = &line[from..whole_end];
            let (at, time) = if index + 2 < end && self.is_mark(index + 1) {
                let mut places = places(text, &self.separators[index]);
                places.find_map(|at| Some((at, self.time_at(index + 1, text, at, zone)?)))?
            } else {
                (self.shapes[index].len_before(&self.separators[index], text)?, 0)
            };
            spans[index] = (from, from + at);
            from += at + self.separators[index].len();
            if time > 0 {
                index += 1;
                spans[index] = (from, from + time);
                from += time + self.separators[index].len();
            }
            index += 1;
        }
        spans[index] = (from, whole_end);
        if !self.is_needed {
            return Some(());
        }
        let (base, mut index) = (spans[start].0, end - 1);
        while index > start {
            let text = &line[base..to];
            if index >= start + 2 && self.is_mark(index - 1) {
                let mut places = places(text, &self.separators[index - 2]).rev();
                let place = |at| Some((at, self.time_at(index - 1, text, at, zone)?));
                let (at, len) = places.find_map(place)?;
                let time = base + at + self.separators[index - 2].len();
                if spans[index - 1] != (time, time + len) {
                    return None;
                }
                to = base + at;
                index -= 2;
            } else {
                let separator = &self.separators[index - 1];
                to = base + self.shapes[index].start_behind(separator, text)? - separator.len();
                index -= 1;
            }
            if spans[index].1 != to {
                return None;
            }
        }
        Some(())
    }

    /// Tells whether a time and the literals around it can serve as one literal.
    fn is_mark(&self, index: usize) -> bool {
        let shape = self.shapes[index];
        let around = [&self.separators[index - 1], &self.separators[index]];
        matches!(shape, Shape::Time(_))
            && (shape.fixed_len().is_some() || around.iter().all(|text| shape.never_holds(text)))
    }

    /// Returns the length of the readable time behind the separator that stands at `text[at..]`.
    fn time_at(
        &self,
        index: usize,
        text: &[u8],
        at: usize,
        zone: Option<&TimeZone>,
    ) -> Option<usize> {
        let Shape::Time(form) = self.shapes[index] else { return None };
        let after = &self.separators[index];
        let rest = &text[at + self.separators[index - 1].len()..];
        let len = match form.len() {
            Some(len) => rest.get(len..)?.starts_with(after).then_some(len),
            None => find(&rest[..rest.len().min(LONGEST_TIME + after.len())], after),
        };
        len.filter(|&len| instant::read(form, &rest[..len], zone).is_some())
    }
}

impl Shape {
    /// Returns the length of every value, where all have the same.
    fn fixed_len(self) -> Option<usize> {
        match self {
            Self::Time(form) => form.len(),
            _ => None,
        }
    }

    /// Returns how long the value at the start of `text` is, with `separator` right after it.
    fn len_before(self, separator: &[u8], text: &[u8]) -> Option<usize> {
        self.fixed_len()
            .filter(|&len| text.get(len..).is_some_and(|rest| rest.starts_with(separator)))
            .or_else(|| find(text, separator))
    }

    /// Returns where the value at the end of `text` begins, with `separator` right before it.
    fn start_behind(self, separator: &[u8], text: &[u8]) -> Option<usize> {
        self.fixed_len()
            .and_then(|len| text.len().checked_sub(len))
            .filter(|&start| text[..start].ends_with(separator))
            .or_else(|| rfind(text, separator).map(|at| at + separator.len()))
    }

    /// Tells whether no value can hold or touch `literal` in a way that hides where it ends.
    fn never_holds(self, literal: &[u8]) -> bool {
        let any = |can_hold: fn(u8) -> bool| literal.iter().any(|&byte| !can_hold(byte));
        match self {
            Self::Free | Self::Time(TimeForm::Local | TimeForm::Fixed(_)) => false,
            Self::Count | Self::Number => any(|byte| byte.is_ascii_digit() || byte == b'-'),
            Self::Time(TimeForm::Seconds) => any(|byte| byte.is_ascii_digit() || byte == b'.'),
            Self::Time(TimeForm::Iso8601) => {
                any(|byte| byte.is_ascii_alphanumeric() || b"+-.:".contains(&byte))
            }
            Self::Word | Self::Token => any(|byte| is_token(byte) && byte != b'|'),
            Self::ClientToken => any(is_token),
            Self::List if literal.starts_with(b" ") => {
                literal == b" " || (!b" : ".starts_with(literal) && !literal.starts_with(b" : "))
            }
            Self::List => any(|byte| b" ,".contains(&byte) || is_token(byte) && byte != b'|'),
        }
    }

    fn fits(self, value: &[u8]) -> bool {
        match self {
            Self::Word => !value.is_empty() && memchr(b' ', value).is_none(),
            Self::Token | Self::ClientToken => memchr(b' ', value).is_none(),
            Self::Count => {
                value == b"-" || (!value.is_empty() && value.iter().all(u8::is_ascii_digit))
            }
            Self::Number => value == b"-" || value.iter().all(u8::is_ascii_digit),
            // A time that cannot be read is told from a form that does not fit.
            Self::Time(_) | Self::List | Self::Free => true,
        }
    }
}

/// Bytes of addresses, names, numbers and methods (RFC 9110, section 5.6.2), or of their escapes.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/\\".contains(&byte)
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

/// Iterates over the places of a separator of a few bytes, overlapping ones too: its first byte
/// by SIMD, the rest by comparison.
fn places<'a>(text: &'a [u8], separator: &'a [u8]) -> impl DoubleEndedIterator<Item = usize> + 'a {
    let (&first, rest) = separator.split_first().expect("no separator is empty");
    memchr::memchr_iter(first, text).filter(move |&at| text[at + 1..].starts_with(rest))
}

fn find(text: &[u8], separator: &[u8]) -> Option<usize> {
    places(text, separator).next()
}

fn rfind(text: &[u8], separator: &[u8]) -> Option<usize> {
    places(text, separator).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_tells_a_value_from_its_neighbour_only_if_no_value_can_hold_it() {
        let (iso, seconds) = (Shape::Time(TimeForm::Iso8601), Shape::Time(TimeForm::Seconds));
        for (shape, apart, held) in [
            (Shape::Count, &[" ", "/", "1x"][..], &["1", "-"][..]),
            (Shape::Word, &[" ", "|", "\"", ", "], &["a", ".", "/", "\\x"]),
            (Shape::ClientToken, &[" ", "\"", ","], &["|", "a"]),
            (seconds, &[" ", "x", ".x"], &[".", "1"]),
            (iso, &[" ", "\"", "T "], &["T", ":", ".", "+", "1-"]),
            (Shape::List, &[" ", " x", " :x", "|", "\"", ",|"], &[" :", " : ", " : x", ",", "x"]),
            (Shape::Free, &[], &[" ", "\""]),
        ] {
            for literal in apart.iter().chain(held) {
                let never = shape.never_holds(literal.as_bytes());
                assert_eq!(never, apart.contains(literal), "{shape:?} {literal:?}");
            }
        }
    }
}

//! The usual record: a line of `combined` that nothing wraps, in a block whose marks are known.
//!
//! It is read as any other one, by fewer steps. Whatever is unusual is read by all of them.

use super::event::{AccessEvent, RejectReason};
use super::scratch::{Scratch, Work};
use super::{Format, LineParser};
use crate::engine::scan::marks::LineMarks;

impl LineParser {
    /// Reads one record of whose block the marks are known, as [`parse`](Self::parse) does.
    #[inline]
    pub fn parse_marked<'a>(
        &'a self,
        record: &'a [u8],
        marks: LineMarks<'_>,
        scratch: &'a mut Scratch,
    ) -> Result<AccessEvent<'a>, RejectReason> {
        match self.read_usual(record, marks, &mut scratch.work) {
            Some(()) => Ok(scratch.work.facts.event(record, &scratch.work.decoded)),
            None => self.parse(record, scratch),
        }
    }

    /// Reads the usual record of `combined` alone: nothing wraps it.
    #[inline]
    fn read_usual(&self, record: &[u8], marks: LineMarks<'_>, work: &mut Work) -> Option<()> {
        let ([Format::Text(format)], [places]) = (&*self.formats, &*self.numbers) else {
            return None;
        };
        if !format.is_combined() || !self.wrapping.leaves(record) {
            return None;
        }
        work.decoded.clear();
        format.read_usual(record, marks.quotes(record)?, work)?;
        work.facts.places = *places;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse::{FormatSpec, Layout, Place};
    use crate::engine::scan::marks::Marks;
    use proptest::prelude::*;

    const LINES: [&str; 7] = [
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a?k=1&b=2 HTTP/1.1" 200 512 "-" "curl""#,
        r#"2001:db8::1 - - [17/May/2015:10:05:04 +0000] "POST /?b=2&k=a%20b HTTP/2.0" 401 0 "x" "y""#,
        r#"192.0.2.1 - ann [17/May/2015:10:05:03 +0000] "GET /?k=\x22 HTTP/1.1" 200 5 "-" "a\"b""#,
        r#"May  1 10:05:03 web app: 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /?k=1 HTTP/1.1" 200 5 "-" "-""#,
        r#"2015-05-17T10:05:03.5Z stdout F 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /?k=1 HTTP/1.1" 200 5 "-" "-""#,
        r#"192.0.2.1 - - [31/Jun/2015:10:05:03 +0000] "\x16\x03" 4a0 512 "-" "curl""#,
        "",
    ];

    /// Reads each line of `block` in both ways.
    fn check(block: &[u8], parser: &LineParser) {
        let mut marks = Marks::default();
        marks.mark(block);
        let (mut marked, mut alone) = (Scratch::default(), Scratch::default());
        marks.lines(block, |line, marks| {
            let usual = parser.parse_marked(line, marks, &mut marked);
            assert_eq!(usual, parser.parse(line, &mut alone), "{}", line.escape_ascii());
        });
    }

    fn parser(format: FormatSpec) -> LineParser {
        let layout = Layout::new(format, vec![Place::Query("k".to_owned())], Vec::new());
        LineParser::compile(&layout).expect("a layout")
    }

    #[test]
    fn other_formats_are_read_as_ever() {
        for format in [FormatSpec::Combined, FormatSpec::Common] {
            check(LINES.join("\n").as_bytes(), &parser(format));
        }
    }

    proptest! {
        #[test]
        fn a_line_of_a_marked_block_is_read_as_it_is_alone(
            numbers in prop::collection::vec(0..LINES.len(), 1..8),
            edits in prop::collection::vec(
                (any::<prop::sample::Index>(), 0_usize..4, "[ \"\\\\\\[\\]\n\ra1-]{0,4}"), 0..8,
            ),
        ) {
            let lines: Vec<&str> = numbers.into_iter().map(|number| LINES[number]).collect();
            let mut block = lines.join("\n").into_bytes();
            for (at, len, text) in edits {
                let from = at.index(block.len() + 1);
                block.splice(from..block.len().min(from + len), text.bytes());
            }
            check(&block, &parser(FormatSpec::Combined));
        }
    }
}

//! The records of JSON documents, cut out of a log.
//!
//! A log is a sequence of objects and arrays with white space between them, perhaps behind a byte
//! order mark. An object is a record, over as many lines as it takes. Of an array each element is a
//! record. An object with a member `Records`, `Events`, `events` or `logEvents` that is an array is no record
//! but a document: each element of that array is one, and its other members are passed over. An
//! element that is such a document itself is taken apart in the same way. Names are compared as they
//! are written.
//!
//! ```text
//! {"a":1} {"b":2}   [{"a":1}, {"b":2}]   {"x":0, "Records":[{"a":1}, {"b":2}], "y":0}
//! ```
//!
//! Only what is needed to find the end of a record is looked at: strings, brackets and the places of
//! names and values. The rest is left to the format. What does not fit in there costs a line:
//!
//! - Where neither an object nor an array begins between records, the rest of the line is cut off.
//! - A byte that cannot stand where it does, or a line that ends in a string, breaks the record off to
//!   the end of its line. A byte that is the first of its line begins that line anew.
//! - A record that breaks off may have swallowed others first, as the value that it lacked. Where one
//!   of its further lines begins with `{`, it ends before that line, which is looked at anew.
//! - A log that ends within a record cuts that off. A document that ends or breaks off between two
//!   records is told as a cut without bytes: records may be missing.
//!
//! After each of them the next line is looked at as if the log began there. Held in memory is at most
//! one record, or as much of the start of an object that may yet turn out to be a document.

mod held;
mod nesting;

use memchr::{memchr, memchr3};

use super::records::Record;
use held::{Ending, Held, next_record};
use nesting::{Nesting, Step, ends_scalar};

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts documents into records.
#[derive(Debug, Default)]
pub struct DocumentFramer {
    /// How much of a byte order mark was seen; all of it as soon as none can follow.
    mark: usize,
    place: Place,
    token: Token,
    nesting: Nesting,
    /// What earlier chunks hold of the current record.
    held: Held,
    /// Whether the line that earlier chunks end in holds more than white space so far.
    is_amid_line: bool,
}

/// Where in a log the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Between records that nothing surrounds.
    #[default]
    Top,
    /// Between the elements of an array of records.
    List,
    /// In a record, in an object that may yet be a document, or in what is cut off.
    Record,
    /// In a document, outside its list.
    Document,
}

/// What the next byte is a part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Token {
    /// Nothing yet.
    #[default]
    None,
    /// A string or a name.
    Text,
    /// The same, behind a backslash.
    Escape,
    /// A number or a word.
    Scalar,
    /// The rest of a line that is cut off.
    Garbage,
}

/// A chunk that is being cut.
struct Chunk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the current record begins or goes on.
    from: usize,
    /// Where the current string begins or goes on.
    text_from: usize,
}

impl DocumentFramer {
    /// Gives every record that ends in `chunk` to `take`.
    pub fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(Record<'_>)) {
        let mut rest = chunk;
        while self.mark < MARK.len()
            && let Some((&byte, behind)) = rest.split_first()
        {
            if byte == MARK[self.mark] {
                self.mark += 1;
                rest = behind;
            } else {
                self.end_mark(&mut take);
            }
        }
        self.scan(rest, &mut take);
    }

    /// Tells whether a document that holds records is open: if the log ends here, some are missing.
    pub fn is_amid_document(&self) -> bool {
        matches!(self.place, Place::List | Place::Document) || self.nesting.has_list()
    }

    /// Gives what is left at the end of the log to `take`.
    pub fn finish(mut self, mut take: impl FnMut(Record<'_>)) {
        if self.mark < MARK.len() {
            self.end_mark(&mut take);
        }
        self.scan_swallowed(&mut take);
        self.close(&mut take);
    }

    /// Goes on with what began like a byte order mark and is none.
    fn end_mark<T: FnMut(Record<'_>)>(&mut self, take: &mut T) {
        let seen = std::mem::replace(&mut self.mark, MARK.len());
        self.scan(&MARK[..seen], take);
    }

    fn scan<T: FnMut(Record<'_>)>(&mut self, bytes: &[u8], take: &mut T) {
        let mut chunk = Chunk { bytes, at: 0, from: 0, text_from: 0 };
        while let Some(&byte) = bytes.get(chunk.at) {
            match self.token {
                Token::None => self.between(&mut chunk, byte, take),
                Token::Text => self.text(&mut chunk, take),
                Token::Escape => {
                    // A line that ends here ends in a string.
                    self.token = Token::Text;
                    chunk.at += usize::from(byte != b'\n');
                }
                Token::Scalar => {
                    chunk.skip_until(ends_scalar);
                    if chunk.at < bytes.len() {
                        self.end_value(&chunk, take);
                    }
                }
                Token::Garbage => {
                    chunk.at =
                        memchr(b'\n', &bytes[chunk.at..]).map_or(bytes.len(), |len| chunk.at + len);
                    if chunk.at < bytes.len() {
                        self.held.tell(chunk.record(), Ending::Cut, take);
                        self.forget();
                    }
                }
            }
        }
        self.keep(&chunk);
    }

    /// Keeps what the next chunk goes on with.
    fn keep(&mut self, chunk: &Chunk<'_>) {
        if self.place == Place::Record {
            self.held.add(chunk.record());
        }
        if let Token::Text | Token::Escape = self.token
            && self.nesting.is_at_name()
        {
            self.nesting.add_to_name(&chunk.bytes[chunk.text_from..]);
        }
        self.is_amid_line = chunk.is_amid_line(self.is_amid_line);
    }

    /// Reads a byte outside strings, scalars and garbage.
    fn between<T: FnMut(Record<'_>)>(&mut self, chunk: &mut Chunk<'_>, byte: u8, take: &mut T) {
        if is_space(byte) {
            chunk.skip_until(|byte| !is_space(byte));
            return;
        }
        if self.place == Place::Top {
            return self.begin(chunk, byte);
        }
        let step = self.nesting.step(byte);
        if let Step::Text | Step::Scalar | Step::Opened = step
            && self.place == Place::List
        {
            self.place = Place::Record;
            chunk.from = chunk.at;
        }
        match step {
            Step::Illegal => return self.break_off(chunk, take),
            Step::Scalar => self.token = Token::Scalar,
            Step::Name | Step::Text => {
                self.token = Token::Text;
                chunk.text_from = chunk.at + 1;
            }
            Step::ListOpened => {
                self.place = Place::List;
                self.held.clear();
            }
            Step::ListClosed if self.nesting.is_empty() => self.place = Place::Top,
            Step::ListClosed => self.place = Place::Document,
            Step::Passed | Step::Opened | Step::Closed => {}
        }
        chunk.at += 1;
        if step == Step::Closed {
            self.end_value(chunk, take);
        }
    }

    /// Begins what stands between records.
    fn begin(&mut self, chunk: &mut Chunk<'_>, byte: u8) {
        chunk.from = chunk.at;
        chunk.at += 1;
        self.place = Place::Record;
        match byte {
            b'{' => self.nesting.begin_object(),
            b'[' => {
                self.nesting.begin_list();
                self.place = Place::List;
            }
            _ => self.token = Token::Garbage,
        }
    }

    /// Ends a value before the current byte.
    fn end_value<T: FnMut(Record<'_>)>(&mut self, chunk: &Chunk<'_>, take: &mut T) {
        self.token = Token::None;
        self.nesting.end_value();
        if self.nesting.is_at_record() {
            if self.place == Place::Record {
                self.held.tell(chunk.record(), Ending::Whole, take);
            }
            self.place = if self.nesting.is_empty() { Place::Top } else { Place::List };
        }
    }

    /// Reads on in a string.
    fn text<T: FnMut(Record<'_>)>(&mut self, chunk: &mut Chunk<'_>, take: &mut T) {
        let Some(len) = memchr3(b'"', b'\\', b'\n', &chunk.bytes[chunk.at..]) else {
            chunk.at = chunk.bytes.len();
            return;
        };
        let end = chunk.at + len;
        chunk.at = end;
        match chunk.bytes[end] {
            b'\\' => {
                self.token = Token::Escape;
                chunk.at += 1;
            }
            b'"' if self.nesting.is_at_name() => {
                self.token = Token::None;
                self.nesting.end_name(&chunk.bytes[chunk.text_from..end]);
                chunk.at += 1;
            }
            b'"' => {
                chunk.at += 1;
                self.end_value(chunk, take);
            }
            _ => self.break_off(chunk, take),
        }
    }

    /// Breaks off what surrounds the current byte, which cannot stand there.
    #[cold]
    fn break_off<T: FnMut(Record<'_>)>(&mut self, chunk: &mut Chunk<'_>, take: &mut T) {
        let is_amid_line = chunk.is_amid_line(self.is_amid_line);
        if self.place == Place::Record {
            self.held.add(chunk.record());
        }
        chunk.from = chunk.at;
        chunk.text_from = chunk.at;
        if self.scan_swallowed(take) {
            return;
        }
        if is_amid_line {
            self.forget();
            self.place = Place::Record;
            self.token = Token::Garbage;
        } else {
            self.close(take);
        }
    }

    /// Looks anew at the records that a broken one may have swallowed; the last one may go on.
    /// Tells whether there are any.
    fn scan_swallowed<T: FnMut(Record<'_>)>(&mut self, take: &mut T) -> bool {
        let Some(lines) = self.held.take_swallowed() else { return false };
        let mut rest = &lines[..];
        self.forget();
        while let Some(end) = next_record(rest) {
            self.scan(&rest[..end], take);
            self.close(take);
            rest = &rest[end..];
        }
        self.scan(rest, take);
        true
    }

    /// Ends everything where a line or the log ends.
    fn close<T: FnMut(Record<'_>)>(&mut self, take: &mut T) {
        if self.place != Place::Top {
            self.held.tell(b"", Ending::Cut, take);
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.place = Place::Top;
        self.token = Token::None;
        self.nesting.clear();
    }
}

impl<'a> Chunk<'a> {
    /// Returns what stands here of the current record so far.
    fn record(&self) -> &'a [u8] {
        &self.bytes[self.from..self.at]
    }

    fn skip_until(&mut self, ends: impl Fn(u8) -> bool) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len());
    }

    /// Tells whether more than white space stands before the current byte in its line; `before`
    /// tells it of earlier chunks.
    fn is_amid_line(&self, before: bool) -> bool {
        let mut back = self.bytes[..self.at].iter().rev();
        let last = back.find(|&&byte| byte == b'\n' || !is_space(byte));
        last.map_or(before, |&byte| byte != b'\n')
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

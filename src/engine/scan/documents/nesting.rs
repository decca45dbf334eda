//! Where in the brackets of a JSON text the next byte stands, and whether it may.
//!
//! Strings, numbers and words are passed by; what is in them is left to the format. So is a comma
//! before a closing bracket.

/// Members whose elements are records: of delivered files, of `aws cloudtrail lookup-events`, of
/// CloudWatch Logs subscriptions.
const LISTS: [&[u8]; 4] = [b"Records", b"Events", b"logEvents", b"events"];

/// As much of a name as is kept from chunk to chunk: more than of any list.
const LONGEST_NAME: usize = 16;

/// Most brackets that are open at once: as many as a record has room for.
const DEEPEST: usize = crate::engine::scan::lines::MAX_LINE_BYTES;

/// The open brackets and what may come next in them.
#[derive(Debug, Default)]
pub struct Nesting {
    next: Next,
    open: Vec<Bracket>,
    /// How many brackets are open in each open array whose elements are records.
    lists: Vec<usize>,
    /// The start of a member's name, from earlier chunks.
    name: Vec<u8>,
    /// Whether the last name of what may be a document is that of a list.
    is_list: bool,
}

/// What a byte begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is a comma or a colon.
    Passed,
    /// The quote before the name of a member.
    Name,
    /// The quote before a string.
    Text,
    /// The first byte of a number or a word.
    Scalar,
    /// An object or an array began.
    Opened,
    /// An array of records began.
    ListOpened,
    /// A value ended.
    Closed,
    /// An array of records ended.
    ListClosed,
    /// The byte cannot stand here.
    Illegal,
}

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    /// The name of a member, or the end.
    Name,
    /// The colon behind a name.
    Colon,
    /// A value, or the end of an array.
    Value,
    /// A comma or the end.
    #[default]
    Comma,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bracket {
    Object,
    Array,
}

impl Nesting {
    /// Tells whether an array of records is open.
    pub fn has_list(&self) -> bool {
        !self.lists.is_empty()
    }

    /// Tells whether no bracket is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Tells whether no bracket is open within a record.
    pub fn is_at_record(&self) -> bool {
        self.open.len() == self.record_depth()
    }

    /// Tells whether a name comes next, or goes on.
    pub fn is_at_name(&self) -> bool {
        self.next == Next::Name
    }

    /// Forgets all brackets.
    pub fn clear(&mut self) {
        self.open.clear();
        self.lists.clear();
    }

    /// Begins an object that nothing surrounds.
    pub fn begin_object(&mut self) {
        self.push(Bracket::Object);
    }

    /// Begins an array whose elements are records.
    pub fn begin_list(&mut self) {
        self.push(Bracket::Array);
        self.lists.push(self.open.len());
    }

    /// Goes on with a byte between brackets that is neither white space nor in a string or scalar.
    pub fn step(&mut self, byte: u8) -> Step {
        match (byte, self.next, self.open.last()) {
            (b'"', Next::Name, _) => {
                self.name.clear();
                Step::Name
            }
            (b'"', Next::Value, _) => Step::Text,
            (b'{' | b'[', Next::Value, _) if self.open.len() < DEEPEST => self.opened(byte),
            (b'}', Next::Name | Next::Comma, Some(Bracket::Object))
            | (b']', Next::Value | Next::Comma, Some(Bracket::Array)) => self.closed(),
            (b',', Next::Comma, within) => {
                let is_object = within == Some(&Bracket::Object);
                self.next = if is_object { Next::Name } else { Next::Value };
                Step::Passed
            }
            (b':', Next::Colon, _) => {
                self.next = Next::Value;
                Step::Passed
            }
            (_, Next::Value, _) if !ends_scalar(byte) => Step::Scalar,
            _ => Step::Illegal,
        }
    }

    /// Keeps a piece of a name that goes on.
    pub fn add_to_name(&mut self, piece: &[u8]) {
        let room = LONGEST_NAME.saturating_sub(self.name.len());
        self.name.extend(piece.iter().take(room));
    }

    /// Ends a name with its last piece.
    pub fn end_name(&mut self, piece: &[u8]) {
        self.next = Next::Colon;
        if self.is_in_possible_document() {
            self.is_list = if self.name.is_empty() {
                LISTS.contains(&piece)
            } else {
                self.add_to_name(piece);
                LISTS.contains(&&self.name[..])
            };
        }
    }

    /// Ends a string or a scalar.
    pub fn end_value(&mut self) {
        self.next = Next::Comma;
    }

    fn opened(&mut self, byte: u8) -> Step {
        if byte == b'{' {
            self.push(Bracket::Object);
        } else if self.is_list && self.is_in_possible_document() {
            self.begin_list();
            return Step::ListOpened;
        } else {
            self.push(Bracket::Array);
        }
        Step::Opened
    }

    fn closed(&mut self) -> Step {
        let is_list = self.is_at_record();
        self.open.pop();
        self.next = Next::Comma;
        if is_list {
            self.lists.pop();
            return Step::ListClosed;
        }
        Step::Closed
    }

    fn push(&mut self, bracket: Bracket) {
        self.open.push(bracket);
        self.next = if bracket == Bracket::Object { Next::Name } else { Next::Value };
    }

    /// Returns how many brackets are open around a record.
    fn record_depth(&self) -> usize {
        self.lists.last().copied().unwrap_or(0)
    }

    /// Tells whether this is an object that is a record or a document.
    fn is_in_possible_document(&self) -> bool {
        self.open.len() == self.record_depth() + 1 && self.open.last() == Some(&Bracket::Object)
    }
}

/// Tells whether a byte ends a number or a word before it.
pub fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_brackets_are_open_as_a_record_has_room_for_and_no_more() {
        for bracket in [b'{', b'['] {
            let mut nesting = Nesting::default();
            nesting.begin_list();
            for _ in 1..DEEPEST {
                assert_eq!(nesting.step(b'['), Step::Opened);
            }
            assert_eq!(nesting.step(bracket), Step::Illegal);
        }
    }
}

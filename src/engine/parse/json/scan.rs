//! One pass over a JSON text: its grammar is checked, and the values at a few paths are kept.
//!
//! Strict as RFC 8259 says, with two exceptions: bytes of a string need not be UTF-8, and half a
//! surrogate pair is only an error where the value is needed. No tree, and no allocation but what
//! [`Found`] keeps from text to text.

use zeroize::Zeroizing;

use super::path::{Node, Path, Tree};
use super::unescape::unescape;
use crate::engine::parse::template::FieldSpan;

/// Deepest nesting that is read, as in `serde_json`.
const MAX_DEPTH: usize = 127;

/// The paths of a format, compiled.
#[derive(Clone, Debug)]
pub struct Paths {
    tree: Tree,
}

/// What kind of value stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string: the span is what stands between its quotes.
    String {
        /// Whether there is a backslash in it.
        escaped: bool,
    },
    /// A number: the span is its lexeme.
    Number,
    /// `true`, `false` or `null`.
    Word,
    /// An object with its braces or an array with its brackets.
    Nested,
}

/// A value of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it stands: in the text, or in [`Found::inner`].
    pub span: FieldSpan,
    /// Whether it stands in a JSON text within a string of the text.
    pub in_string: bool,
}

/// The values found in one text, one per path in the order of `Paths`; wiped when dropped.
#[derive(Clone, Default)]
pub struct Found {
    values: Vec<Option<Value>>,
    /// JSON texts that stood in strings, without their escapes.
    inner: Zeroizing<Vec<u8>>,
    /// A member's name that is written with escapes.
    name: Zeroizing<Vec<u8>>,
    /// Number of members of the outermost object.
    members: usize,
}

/// The text is no JSON, or nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Found {
    /// Returns the value at the path with this number.
    pub fn get(&self, path: usize) -> Option<Value> {
        self.values[path]
    }

    /// Returns how many members the outermost object has; a name that comes twice counts twice.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Returns the text that values with `in_string` stand in.
    pub fn inner(&self) -> &[u8] {
        &self.inner
    }
}

impl Paths {
    /// Compiles paths.
    pub fn compile(paths: &[Path]) -> Self {
        Self { tree: Tree::new(paths) }
    }

    /// Finds the value at each path: the last one where a name comes twice.
    ///
    /// The whole text must be one JSON value, with white space around it. A path that goes on where
    /// the string of a [text member](super::path) stands goes into the JSON text in that string,
    /// one string deep; any other string is text.
    pub fn find(&self, text: &[u8], found: &mut Found) -> Result<(), Malformed> {
        found.values.clear();
        found.values.resize(self.tree.paths(), None);
        found.inner.clear();
        found.members = 0;
        self.find_in(text, Base { offset: 0, in_string: false }, found)
    }

    fn find_in(&self, text: &[u8], base: Base, found: &mut Found) -> Result<(), Malformed> {
        let mut walk = Walk { text, at: 0, tree: &self.tree, base, found };
        walk.skip_space();
        walk.value(Some(0), MAX_DEPTH)?;
        walk.skip_space();
        if walk.at == text.len() { Ok(()) } else { Err(Malformed) }
    }
}

/// What the text of a walk is a part of.
#[derive(Clone, Copy)]
struct Base {
    offset: usize,
    in_string: bool,
}

/// A position in a text.
struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    tree: &'a Tree,
    base: Base,
    found: &'a mut Found,
}

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the value that begins here; `node` is the place of the paths here, if any goes here.
    fn value(&mut self, node: Option<usize>, depth: usize) -> Result<(), Malformed> {
        let from = self.at;
        let kind = match self.peek().ok_or(Malformed)? {
            b'"' => {
                self.at += 1;
                let escaped = self.string()?;
                if let Some(node) = node {
                    self.keep(node, Kind::String { escaped }, (from + 1, self.at - 1));
                }
                return Ok(());
            }
            b'{' => {
                self.object(node, depth)?;
                Kind::Nested
            }
            b'[' => {
                self.array(node, depth)?;
                Kind::Nested
            }
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => self.number()?,
        };
        if let Some(node) = node {
            self.keep(node, kind, (from, self.at));
        }
        Ok(())
    }

    fn object(&mut self, node: Option<usize>, depth: usize) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        let tree = self.tree;
        let node = node.map(|node| tree.node(node)).filter(|node| !node.children.is_empty());
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.expect(b'"')?;
            if depth == MAX_DEPTH - 1 && !self.base.in_string {
                self.found.members += 1;
            }
            let from = self.at;
            let escaped = self.string()?;
            let child = node.and_then(|node| self.member(node, (from, self.at - 1), escaped));
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            if let Some(child) = child {
                self.forget(tree.node(child));
            }
            self.value(child, depth)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(Malformed),
            }
            self.skip_space();
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, node: Option<usize>, depth: usize) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        let tree = self.tree;
        let node = node.map(|node| tree.node(node)).filter(|node| !node.children.is_empty());
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 0.. {
            self.value(node.and_then(|node| node.element(index)), depth)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(Malformed),
            }
            self.skip_space();
        }
        self.at += 1;
        Ok(())
    }

    /// Returns the node of the member whose name stands at `span`.
    fn member(&mut self, node: &Node, span: FieldSpan, escaped: bool) -> Option<usize> {
        let name = &self.text[span.0..span.1];
        if !escaped {
            return node.member(name);
        }
        self.found.name.clear();
        unescape(name, &mut self.found.name).ok()?;
        node.member(&self.found.name)
    }

    /// Forgets what was found at a node and below: the name comes again.
    fn forget(&mut self, node: &Node) {
        for &path in &node.below {
            self.found.values[path] = None;
        }
    }

    fn keep(&mut self, number: usize, kind: Kind, (from, to): FieldSpan) {
        let tree = self.tree;
        let node = tree.node(number);
        let Base { offset, in_string } = self.base;
        let value = Value { kind, span: (offset + from, offset + to), in_string };
        for &path in &node.ends {
            self.found.values[path] = Some(value);
        }
        if let Kind::String { .. } = kind
            && node.holds_text
            && !in_string
        {
            self.descend(number, (from, to));
        }
    }

    /// Goes on in the JSON text that a string holds; one that holds none has no values.
    fn descend(&mut self, node: usize, (from, to): FieldSpan) {
        let mut inner = std::mem::take(&mut self.found.inner);
        let offset = inner.len();
        if unescape(&self.text[from..to], &mut inner).is_ok() {
            let base = Base { offset, in_string: true };
            let mut walk =
                Walk { text: &inner[offset..], at: 0, tree: self.tree, base, found: self.found };
            if walk.nested_text(node).is_err() {
                let tree = self.tree;
                for child in &tree.node(node).children {
                    self.forget(tree.node(child.node));
                }
            }
        }
        self.found.inner = inner;
    }

    fn nested_text(&mut self, node: usize) -> Result<(), Malformed> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(Some(node), MAX_DEPTH)?,
            Some(b'[') => self.array(Some(node), MAX_DEPTH)?,
            _ => return Err(Malformed),
        }
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(Malformed) }
    }

    fn word(&mut self, word: &[u8]) -> Result<Kind, Malformed> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(Kind::Word)
    }

    fn number(&mut self) -> Result<Kind, Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Malformed),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { Err(Malformed) }
    }

    /// Reads a string from behind its first quote to behind its last; tells whether it has escapes.
    fn string(&mut self) -> Result<bool, Malformed> {
        let mut escaped = false;
        loop {
            self.at += plain_len(&self.text[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += match self.text.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') => {
                            let digits = self.text.get(self.at + 2..self.at + 6);
                            let digits = digits.ok_or(Malformed)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return Err(Malformed);
                            }
                            6
                        }
                        _ => return Err(Malformed),
                    };
                }
                _ => return Err(Malformed),
            }
        }
    }
}

/// Returns how many bytes at the start of `text` are neither quote, backslash nor control character.
///
/// Eight bytes at a time: subtracting borrows from a byte only if one below it was smaller, so the
/// lowest byte that is told is told rightly.
fn plain_len(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let bytes = u64::from_le_bytes(*chunk);
        let quote = bytes ^ (ONES * u64::from(b'"'));
        let backslash = bytes ^ (ONES * u64::from(b'\\'));
        let hit = (bytes.wrapping_sub(ONES * 0x20) & !bytes)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        let hit = hit & HIGH;
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    at + text[at..].iter().position(special).unwrap_or(text.len() - at)
}

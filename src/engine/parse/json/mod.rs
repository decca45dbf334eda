//! A few values of a JSON text, found without a tree.

use super::template::FieldSpan;

/// A path into a JSON text: member names and array indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
}

/// The paths of a format, compiled.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    paths: Vec<Path>,
}

/// What kind of value stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string: the span is what stands between its quotes, escapes and all.
    String {
        /// Whether there is a backslash in it.
        escaped: bool,
    },
    /// A number: the span is its lexeme.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// An object: the span holds its braces.
    Object,
    /// An array: the span holds its brackets.
    Array,
}

/// A value of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it stands in the text.
    pub span: FieldSpan,
}

/// The values found in one text, one per path in the order of [`Paths`].
#[derive(Clone, Debug, Default)]
pub struct Found {
    values: Vec<Option<Value>>,
}

/// The text is no JSON, or nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Found {
    /// Returns the value at the path with this number.
    pub fn get(&self, path: usize) -> Option<Value> {
        self.values[path]
    }
}

impl Paths {
    /// Compiles paths.
    pub fn compile(paths: Vec<Path>) -> Self {
        Self { paths }
    }

    /// Finds the value at each path: the last one where a name comes twice.
    ///
    /// The whole text must be one JSON value with white space around it.
    pub fn find(&self, _text: &[u8], found: &mut Found) -> Result<(), Malformed> {
        found.values.clear();
        found.values.resize(self.paths.len(), None);
        Err(Malformed)
    }
}

impl std::str::FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { segments: text.split('.').map(str::to_owned).collect() })
    }
}

/// Appends what a string's bytes between its quotes stand for.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text);
}

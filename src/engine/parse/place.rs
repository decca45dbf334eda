//! Where a line shows the key, resolved to the variables of a format.
//!
//! A key is read from its place alone and decoded: log escapes undone, and percent-encoding where
//! it comes from a query.

use memchr::memchr;

use super::escape::{self, Escapes};
use super::json;
use super::layout::{LayoutError, Place};
use super::request;
use super::template::Template;
use super::value::Holding;

/// A place of the key, resolved to a variable of the template.
#[derive(Debug)]
pub enum KeyPlace {
    /// A parameter of the query that a variable holds.
    Query {
        /// What of a request the variable holds.
        text: QueryText,
        /// Number of the variable.
        variable: usize,
        /// Name of the parameter.
        name: Vec<u8>,
        /// How its value holds the key.
        holding: Holding,
    },
    /// A whole variable.
    Field {
        /// Number of the variable.
        variable: usize,
        /// How its value holds the key.
        holding: Holding,
    },
}

/// What of a request a variable holds.
#[derive(Clone, Copy, Debug)]
pub enum QueryText {
    /// `$request`: method, target and version.
    Request,
    /// `$request_uri`: the target, or its end from the `?` on.
    Target,
    /// Apache's `%U%q`: a target whose path is decoded, so that a `?` may be a part of it.
    DecodedTarget,
    /// `$args`, `$query_string`.
    Query,
}

/// Variables that hold a query, best first.
const QUERY_FIELDS: [(&str, QueryText); 5] = [
    ("request", QueryText::Request),
    ("request_uri", QueryText::Target),
    ("args", QueryText::Query),
    ("query_string", QueryText::Query),
    ("query", QueryText::Target),
];

impl KeyPlace {
    /// Finds the variable of a declared place.
    pub fn resolve(template: &Template, place: &Place) -> Result<Self, LayoutError> {
        match place {
            Place::Field(name) => Ok(Self::Field {
                variable: known_field(template, name)?,
                holding: Holding::of_field(name),
            }),
            Place::Query(name) if name.bytes().any(|byte| b"&=# \t".contains(&byte)) => {
                Err(LayoutError::QueryName { name: name.clone() })
            }
            Place::Query(name) => {
                let found = QUERY_FIELDS
                    .iter()
                    .find_map(|&(field, text)| Some((template.position(field)?, text)));
                if found.is_none() {
                    QUERY_FIELDS.iter().try_for_each(|(field, _)| template.is_apart(field))?;
                }
                let (variable, text) =
                    found.ok_or_else(|| LayoutError::NoQuery { name: name.clone() })?;
                let text = match text {
                    QueryText::Target if template.has_decoded_target(variable) => {
                        QueryText::DecodedTarget
                    }
                    text => text,
                };
                let holding = Holding::of_parameter(name);
                Ok(Self::Query { text, variable, name: name.clone().into_bytes(), holding })
            }
        }
    }

    /// Returns the number of the variable that holds the key.
    pub fn variable(&self) -> usize {
        match *self {
            Self::Query { variable, .. } | Self::Field { variable, .. } => variable,
        }
    }

    /// Returns how the decoded value holds the key.
    pub fn holding(&self) -> Holding {
        match *self {
            Self::Query { holding, .. } | Self::Field { holding, .. } => holding,
        }
    }

    /// Appends the key in a raw value, decoded, to `out`; nothing when it is absent. Returns
    /// whether the value has one reading. `unescaped` is a buffer.
    pub fn read(
        &self,
        escapes: Escapes,
        raw: &[u8],
        unescaped: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            Self::Field { .. } => escape::unescape(escapes, raw, out),
            Self::Query { text, name, .. } => {
                let plain = if memchr(b'\\', raw).is_some() {
                    unescaped.clear();
                    escape::unescape(escapes, raw, unescaped);
                    unescaped
                } else {
                    raw
                };
                let value = text.parameter(plain, name);
                if matches!(text, QueryText::DecodedTarget)
                    && !request::is_only_parameter(plain, name, value)
                {
                    return false;
                }
                if let Some(value) = value {
                    escape::percent_decode(value, out);
                }
            }
        }
        true
    }
}

/// Iterates over the names of the query parameters (those with a `=`) in a field of a text format
/// or at a path of a JSON record; of none where no query is looked for. Log escapes are not undone.
pub fn query_parameters<'a>(field: &str, value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let text = QUERY_FIELDS.iter().chain(&json::QUERIES).find(|(name, _)| *name == field);
    let query = text.and_then(|(_, text)| text.query(value)).unwrap_or_default();
    query.split(|&byte| byte == b'&').filter_map(|part| {
        let end = memchr(b'=', part)?;
        (end > 0).then(|| &part[..end])
    })
}

impl QueryText {
    /// Returns the query in a value.
    fn query(self, text: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Request => request::query(request::target(text)?),
            Self::Target => request::query(text),
            Self::DecodedTarget => memchr(b'?', text).map(|at| &text[at + 1..]),
            Self::Query => {
                let query = text.strip_prefix(b"?").unwrap_or(text);
                Some(request::without_fragment(query))
            }
        }
    }

    /// Returns where in `text` the still percent-encoded value of the parameter `name` stands.
    pub fn parameter_span(self, text: &[u8], name: &[u8]) -> Option<(usize, usize)> {
        let value = self.parameter(text, name)?;
        let from = value.as_ptr() as usize - text.as_ptr() as usize;
        Some((from, from + value.len()))
    }

    /// Returns the still percent-encoded value of the parameter `name`.
    fn parameter<'a>(self, text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        request::parameter(self.query(text)?, name)
    }
}

/// Returns the number of a variable, or says which there are.
pub fn known_field(template: &Template, name: &str) -> Result<usize, LayoutError> {
    template.is_apart(name)?;
    template.position(name).ok_or_else(|| {
        let known: Vec<&str> =
            template.variables().iter().map(|variable| variable.name.as_str()).collect();
        LayoutError::UnknownField { field: name.to_owned(), known: known.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_has_a_name_and_an_equals_sign() {
        for (field, value, expected) in [
            ("args", "a=1&b=&c&=d&e==", &["a", "b", "e"][..]),
            ("request", "GET /p=1?a=1&=2#b=3 HTTP/1.1", &["a"]),
            ("request_uri", "=?=", &[]),
            ("http_referer", "/?a=1", &[]),
        ] {
            let names: Vec<&[u8]> = query_parameters(field, value.as_bytes()).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(names, expected, "{field} {value}");
        }
    }
}

//! Which member of a record holds the query of the request.
//!
//! A target as the client sent it comes first, and the query alone second. A path that a program
//! has already decoded comes last: a client can write `%3F`, and then the path shows a query that
//! the server never saw. The first member that is there decides, and its query is the only one.

use memchr::memchr;

use super::path::Path;
use crate::engine::parse::place::QueryText;

/// Members that hold a request or a query, best first, and what of it.
pub const QUERIES: [(&str, QueryText); 14] = [
    ("request_uri", QueryText::Target),
    ("requestUrl", QueryText::Target),
    ("requestURI", QueryText::Target),
    ("httpRequest.requestUrl", QueryText::Target),
    ("RequestPath", QueryText::Target),
    ("request", QueryText::Request),
    ("args", QueryText::Query),
    ("query_string", QueryText::Query),
    ("query", QueryText::Query),
    ("request.uri", QueryText::Target),
    ("request.url", QueryText::Target),
    ("uri", QueryText::Target),
    ("url", QueryText::Target),
    ("path", QueryText::Target),
];

/// Returns the paths to look at, and what each holds.
pub fn members() -> impl Iterator<Item = (Path, QueryText)> {
    QUERIES
        .into_iter()
        .map(|(path, kind)| (Path::of(path.split('.').map(str::to_owned).collect()), kind))
}

/// Tells whether the value of a member says what the query is. A `request` without a space is no
/// request line but an id or the like.
pub fn decides(kind: QueryText, value: &[u8]) -> bool {
    !matches!(kind, QueryText::Request) || memchr(b' ', value).is_some()
}

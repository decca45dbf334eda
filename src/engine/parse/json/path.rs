//! Paths into a JSON text, and several of them compiled to a tree of names.

use std::fmt;
use std::str::FromStr;

/// Members whose string may hold a record, which a path goes on into. A string elsewhere is text:
/// of a path such as `request.headers.X-Api-Key` a client could otherwise write all in a `request`.
const TEXT_MEMBERS: [&str; 4] = ["message", "@message", "MESSAGE", "log"];

/// Most paths of one format.
pub const MAX_PATHS: usize = 64;

/// A path into a JSON text: member names and array indexes.
///
/// Written `a.b.0`, with names that hold a dot in quotes: `extra."example.org/id".0`, or as
/// `extra["example.org/id"][0]`. A number is an index in an array and a name in an object. After
/// `message`, `@message`, `MESSAGE` and `log` a path goes on in the JSON text of a string, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
}

/// The text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path: write `name.name.0`, and a name that holds a dot in double quotes")]
pub struct NotAPath(String);

impl NotAPath {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Path {
    /// Returns the path of a member of the outermost object.
    pub fn member(name: &str) -> Self {
        Self { segments: vec![name.to_owned()] }
    }

    /// Makes the path of these names and indexes.
    pub fn of(segments: Vec<String>) -> Self {
        Self { segments }
    }

    /// Returns the last segment that is a name and no index.
    pub fn last_name(&self) -> &str {
        let names = self.segments.iter().rev();
        let name = names.clone().find(|segment| index_of(segment).is_none());
        name.or_else(|| names.clone().next()).map_or("", String::as_str)
    }
}

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        segments(text).map(|segments| Self { segments }).ok_or_else(|| NotAPath(text.to_owned()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "." })?;
            if segment.contains('"') {
                write!(f, "[\"{segment}\"]")?;
            } else if segment.is_empty() || segment.contains(['.', '[', ']']) {
                write!(f, "\"{segment}\"")?;
            } else {
                f.write_str(segment)?;
            }
        }
        Ok(())
    }
}

fn segments(text: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        let quoted = rest.starts_with(['"', '[']) && !rest.starts_with("[]");
        let (segment, behind) = if let Some(name) = rest.strip_prefix('"') {
            name.split_once('"')?
        } else if let Some(name) = rest.strip_prefix("[\"") {
            name.split_once("\"]")?
        } else if let Some(index) = rest.strip_prefix('[') {
            index.split_once(']')?
        } else {
            rest.split_at(rest.find(['.', '[', ']', '"']).unwrap_or(rest.len()))
        };
        if segment.is_empty() && !quoted {
            return None;
        }
        segments.push(segment.to_owned());
        rest = match behind {
            "" => return Some(segments),
            _ if behind.starts_with('[') => behind,
            _ => behind.strip_prefix('.')?,
        };
    }
}

/// Returns the index that a segment is, written as indexes are: `0`, `12`, never `00` or `+1`.
fn index_of(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || segment.starts_with(|first| matches!(first, '1'..='9'));
    segment.parse().ok().filter(|_| canonical)
}

/// The paths of a format as a tree, in one list: the root is node 0.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    paths: usize,
}

/// A place that some path goes through or ends at.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// What a path goes on with, and the node there.
    pub children: Vec<Child>,
    /// Whether paths go on in the text of a string here.
    pub holds_text: bool,
    /// Number of the paths that end here.
    pub ends: Vec<usize>,
    /// Numbers of the paths that end here or below.
    pub below: Vec<usize>,
}

/// A step from a node.
#[derive(Clone, Debug)]
pub struct Child {
    /// Name of a member.
    pub name: Vec<u8>,
    /// The same as the index of an element.
    pub index: Option<usize>,
    /// Where it leads.
    pub node: usize,
}

impl Tree {
    /// Joins paths to a tree.
    pub fn new(paths: &[Path]) -> Self {
        let mut nodes = vec![Node::default()];
        for (number, path) in paths.iter().enumerate() {
            let mut at = 0;
            nodes[at].below.push(number);
            for segment in &path.segments {
                let known = nodes[at].member(segment.as_bytes());
                at = known.unwrap_or_else(|| {
                    let node = nodes.len();
                    let holds_text = TEXT_MEMBERS.contains(&segment.as_str());
                    nodes.push(Node { holds_text, ..Node::default() });
                    let name = segment.clone().into_bytes();
                    nodes[at].children.push(Child { name, index: index_of(segment), node });
                    node
                });
                nodes[at].below.push(number);
            }
            nodes[at].ends.push(number);
        }
        Self { nodes, paths: paths.len() }
    }

    /// Returns a node.
    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// Returns the number of paths.
    pub fn paths(&self) -> usize {
        self.paths
    }
}

impl Node {
    /// Returns the node of the member with this name.
    pub fn member(&self, name: &[u8]) -> Option<usize> {
        self.children.iter().find(|child| child.name == name).map(|child| child.node)
    }

    /// Returns the node of the element with this index.
    pub fn element(&self, index: usize) -> Option<usize> {
        self.children.iter().find(|child| child.index == Some(index)).map(|child| child.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[&str]>) {
        let path = text.parse::<Path>().ok();
        let segments = path.as_ref().map(|path| path.segments.clone());
        let expected: Option<Vec<String>> =
            expected.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(segments, expected, "{text}");
        if let Some(path) = path {
            assert_eq!(path.to_string().parse(), Ok(path), "{text}");
        }
    }

    #[test]
    fn a_path_is_names_indexes_and_quoted_names() {
        check("ts", Some(&["ts"]));
        check("request.headers.X-Api-Key.0", Some(&["request", "headers", "X-Api-Key", "0"]));
        check("a.\"b.c/d\".0", Some(&["a", "b.c/d", "0"]));
        check("a[\"b.c\"][0].d", Some(&["a", "b.c", "0", "d"]));
        check("a[\"b\"c\"].\"\"", Some(&["a", "b\"c", ""]));
        for bad in ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a\"b\"", "\"a", "a]"] {
            check(bad, None);
        }
    }
}

//! JSON records: a few values of a text, found without a tree.
//!
//! ```text
//! record --scan along paths--> Found --values (query)--> time, key --format (envelope)--> Facts
//! ```

pub mod path;

pub mod scan;

pub mod unescape;

pub mod values;

mod envelope;

mod query;

mod format;

pub use format::JsonFormat;
pub use path::NotAPath;
pub use query::QUERIES;
pub use scan::Found;
pub use unescape::unescape_lossy;

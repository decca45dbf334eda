//! JSON records: a few values of a text, found without a tree.
//!
//! ```text
//! record --scan along paths--> Found --format--> Facts
//! ```

pub mod path;

pub mod scan;

pub mod unescape;

mod format;

pub use format::{JsonFormat, QUERIES};
pub use path::NotAPath;
pub use scan::Found;
pub use unescape::unescape_lossy;

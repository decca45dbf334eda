//! Every value of a JSON record, for people to look at.

use super::path::Path;
use crate::engine::parse::Field;
use crate::engine::parse::event::RejectReason;

/// Names every value of a record by its path, with its text; of objects and arrays only what is in
/// them. The record must be well-formed.
pub fn fields(record: &[u8]) -> Result<Vec<Field>, RejectReason> {
    // What is left to fail is a number too large for the tree.
    let value: serde_json::Value =
        serde_json::from_str(&String::from_utf8_lossy(record)).map_err(|_| RejectReason::Json)?;
    let mut fields = Vec::new();
    leaves(&value, &mut Vec::new(), &mut fields);
    Ok(fields)
}

/// Adds every leaf of a value with its path.
fn leaves(value: &serde_json::Value, path: &mut Vec<String>, fields: &mut Vec<Field>) {
    let mut below = |name: String, value| {
        path.push(name);
        leaves(value, path, fields);
        path.pop();
    };
    match value {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(name, value)| below(name.clone(), value));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| below(index.to_string(), value));
        }
        serde_json::Value::String(text) => {
            fields.push((Path::of(path.clone()).to_string(), text.clone().into_bytes()));
        }
        other => fields.push((Path::of(path.clone()).to_string(), other.to_string().into_bytes())),
    }
}

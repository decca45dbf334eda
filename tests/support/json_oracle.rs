//! What a path into a JSON text finds, told by `serde_json` and its tree.

use serde_json::Value;

/// Members whose string is gone into where it holds JSON.
const TEXT_MEMBERS: [&str; 4] = ["message", "@message", "MESSAGE", "log"];

/// Returns the value at `path` if it is a string or a number.
pub fn value_at(value: &Value, path: &[&str]) -> Option<Value> {
    match step(value, path, None, true)? {
        found @ (Value::String(_) | Value::Number(_)) => Some(found),
        _ => None,
    }
}

fn step(value: &Value, path: &[&str], name: Option<&str>, may_enter: bool) -> Option<Value> {
    let Some((&first, rest)) = path.split_first() else { return Some(value.clone()) };
    match value {
        Value::Object(members) => step(members.get(first)?, rest, Some(first), may_enter),
        Value::Array(items) => {
            let index = first.parse::<usize>().ok().filter(|index| index.to_string() == first)?;
            step(items.get(index)?, rest, Some(first), may_enter)
        }
        Value::String(text) if may_enter && TEXT_MEMBERS.contains(&name?) => {
            let within = serde_json::from_str::<Value>(text).ok()?;
            let nests = within.is_object() || within.is_array();
            step(&within, path, None, false).filter(|_| nests)
        }
        _ => None,
    }
}

/// Tells whether `text`, what the program read, is what the tree says: a number is compared as a
/// number, for there a lexeme is kept and here it is not.
pub fn agrees(expected: Option<&Value>, text: Option<&[u8]>) -> bool {
    match (expected, text) {
        (None, None) => true,
        (Some(Value::String(expected)), None) => matches!(expected.as_str(), "" | "-"),
        (Some(Value::String(expected)), Some(text)) => expected.as_bytes() == text,
        (Some(expected @ Value::Number(_)), Some(text)) => {
            serde_json::from_slice::<Value>(text).is_ok_and(|number| number == *expected)
        }
        _ => false,
    }
}

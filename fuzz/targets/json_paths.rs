//! Paths of any text, and what they find in any JSON text, compared with `serde_json`.

#[path = "../../tests/support/json_oracle.rs"]
mod oracle;

use keydrain::engine::parse::{
    FormatSpec, JsonSpec, Layout, LineParser, Place, RejectReason, Scratch,
};
use serde_json::Value;

/// The first line is a path, the rest is a JSON text that it leads into.
pub fn run(data: &[u8]) {
    let (path, text) = data.split_at(data.iter().position(|&byte| byte == b'\n').unwrap_or(0));
    let (Ok(path), Ok(text)) = (std::str::from_utf8(path), std::str::from_utf8(text)) else {
        return;
    };
    let spec = JsonSpec { time: Some("ts".into()), ..JsonSpec::default() };
    let place = vec![Place::Field("no".into())];
    let layout = Layout::new(FormatSpec::Json(spec), place, vec![format!("in.{path}")]);
    let Ok(parser) = LineParser::compile(&layout) else { return };
    // Nothing begins a wrapper or an envelope here.
    let line = format!("{{\"ts\":1,\"in\":{text}}}");
    let mut scratch = Scratch::default();
    let read = parser.parse(line.as_bytes(), &mut scratch);
    let tree = serde_json::from_str::<Value>(&line);
    if read.is_err_and(|reason| reason == RejectReason::Json) {
        assert!(tree.is_err(), "{line}");
        return;
    }
    // Numbers that are too large and halves of surrogate pairs are left to the program alone; a
    // member after the text may be the time again.
    let (Ok(tree), Ok(event)) = (tree, read) else { return };
    let plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let steps: Vec<&str> = std::iter::once("in").chain(path.split('.')).collect();
    if steps.iter().all(|step| plain(step)) {
        let consumer = event.consumer.map(|(name, _)| name);
        let expected = oracle::value_at(&tree, &steps);
        assert!(oracle::agrees(expected.as_ref(), consumer), "{path} of {line}: {consumer:?}");
    }
}

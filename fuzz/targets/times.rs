//! Times of any text, compared with `jiff`.

use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser, Place, Scratch};
use keydrain::engine::time::Timestamp;

/// Reads the text as each kind of time that servers write.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains('|') {
        return; // it separates the time from the key below
    }
    if let (Some(at), Ok(expected)) = (in_nginx("$time_iso8601", text), text.parse()) {
        assert_eq!(at, expected, "{text}");
    }
    if let Some(at) = in_nginx("$time_local", text) {
        assert_eq!(common_log(text), Some(at), "{text}");
    }
    let any = in_json(text);
    if let (Some(at), Ok(expected)) = (any, text.parse::<Timestamp>()) {
        assert_eq!(at, expected, "{text}");
    }
    if let (Some(at), Some(expected)) = (any, common_log(text)) {
        assert_eq!(at, expected, "{text}");
    }
    if !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        assert_eq!(any, epoch(text), "{text}");
    }
    // The finer reader reads what the coarser ones do.
    for variable in ["$time_iso8601", "$time_local"] {
        let coarse = in_nginx(variable, text);
        assert!(coarse.is_none() || coarse == any, "{text}");
    }
}

/// Milliseconds and finer from 12 digits on, by steps of three.
fn epoch(text: &str) -> Option<Timestamp> {
    let number: i128 = text.parse().ok()?;
    let unit = match number.to_string().len() {
        ..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1000,
        _ => 1,
    };
    i64::try_from(number * unit).ok().map(Timestamp::from_nanos)
}

fn common_log(text: &str) -> Option<Timestamp> {
    let at = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?.to_timestamp().ok()?;
    i64::try_from(at.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

fn in_nginx(variable: &str, text: &str) -> Option<Timestamp> {
    let format = FormatSpec::Nginx(format!("{variable}|$http_key"));
    event_at(format, "http_key", &format!("{text}|k"))
}

fn in_json(text: &str) -> Option<Timestamp> {
    let spec = JsonSpec { time: Some("at".into()), ..JsonSpec::default() };
    let text = serde_json::to_string(text).expect("a text");
    event_at(FormatSpec::Json(spec), "key", &format!("{{\"at\":{text}}}"))
}

fn event_at(format: FormatSpec, key: &str, line: &str) -> Option<Timestamp> {
    let layout = Layout::new(format, vec![Place::Field(key.into())], Vec::new());
    let parser = LineParser::compile(&layout).expect("a good layout");
    let mut scratch = Scratch::default();
    parser.parse(line.as_bytes(), &mut scratch).ok().map(|event| event.event_at)
}

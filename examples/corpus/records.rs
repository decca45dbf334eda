//! The log of an API in JSON lines, with nested objects.

use crate::draw::{
    BASE32, DAY, Draw, LOWER, name, push_address, push_clock, push_hex, push_number,
};
use crate::{Consumer, Form, Line, Outcome};

/// Clients that present keys.
pub const CLIENTS: u32 = 400;

const AGENTS: [&str; 3] = [
    "python-requests/2.32.3",
    "checkout-sdk/3.4.1 (jvm 21)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) \\\"shop\\\"/5.1",
];

/// Returns how lines are written.
pub fn form() -> Form {
    let key = |draw: &mut Draw| name("key_", &[draw.bits()], BASE32);
    Form { line_bytes: 568, keyed: 92, key, write }
}

fn write(text: &mut Vec<u8>, draw: &mut Draw, line: &Line<'_>) {
    text.extend_from_slice(b"{\"time\":\"");
    text.extend_from_slice(DAY.as_bytes());
    text.push(b'T');
    push_clock(text, line.second);
    text.push(b'.');
    push_number(text, 100 + draw.below(900));
    text.extend_from_slice(b"Z\",\"level\":\"info\",\"id\":\"");
    let request = [draw.bits(), draw.bits()];
    for &bits in &request {
        push_hex(text, bits, LOWER);
    }
    text.extend_from_slice(b"\",\"trace\":{\"trace_id\":\"");
    for &bits in request.iter().rev() {
        push_hex(text, bits, LOWER);
    }
    text.extend_from_slice(b"\",\"span_id\":\"");
    push_hex(text, draw.bits(), LOWER);
    text.extend_from_slice(b"\",\"sampled\":");
    text.extend_from_slice(draw.pick(&["true", "false"]).as_bytes());
    text.extend_from_slice(b"},\"http\":{\"method\":\"");
    text.extend_from_slice(draw.pick(&["GET", "POST", "PUT"]).as_bytes());
    text.extend_from_slice(b"\",\"path\":\"/v1/orders/");
    push_number(text, draw.below(100_000));
    if line.is_broken {
        // The host died while it wrote.
        return;
    }
    text.extend_from_slice(b"\",\"status\":");
    text.extend_from_slice(
        match line.outcome {
            Outcome::Accepted => draw.pick(&["200", "200", "200", "201", "204", "404", "429"]),
            Outcome::Denied => draw.pick(&["401", "403"]),
            Outcome::Failed => draw.pick(&["500", "503"]),
        }
        .as_bytes(),
    );
    text.extend_from_slice(b",\"duration_ms\":");
    push_number(text, draw.below(400));
    text.push(b'.');
    push_number(text, 1 + draw.below(9));
    text.extend_from_slice(b",\"bytes\":");
    push_number(text, draw.below(100_000));
    text.extend_from_slice(b",\"user_agent\":\"");
    text.extend_from_slice(draw.pick(&AGENTS).as_bytes());
    client(text, draw, line);
}

/// Who sent the request, with which key, and where it arrived.
fn client(text: &mut Vec<u8>, draw: &mut Draw, line: &Line<'_>) {
    let Consumer(client) = line.consumer;
    text.extend_from_slice(b"\"},\"client\":{\"name\":\"client-");
    push_number(text, client);
    text.extend_from_slice(b"\",\"ip\":\"");
    push_address(text, draw.below(50_000));
    text.extend_from_slice(b"\",\"country\":\"");
    text.extend_from_slice(draw.pick(&["DE", "US", "FR", "JP"]).as_bytes());
    text.extend_from_slice(b"\",\"asn\":");
    push_number(text, draw.below(65_000));
    text.extend_from_slice(b"},\"auth\":{");
    match line.key {
        Some(key) => {
            text.extend_from_slice(b"\"scheme\":\"bearer\",\"api_key_id\":\"");
            text.extend_from_slice(key.as_bytes());
            text.extend_from_slice(b"\"");
        }
        None => text.extend_from_slice(b"\"scheme\":\"none\""),
    }
    text.extend_from_slice(
        b"},\"service\":\"orders-api\",\"env\":\"production\",\"host\":\"ip-10-0-",
    );
    push_number(text, draw.below(10));
    text.push(b'-');
    push_number(text, draw.below(256));
    text.extend_from_slice(b"\",\"tags\":[\"edge\",\"v2\"]}");
}

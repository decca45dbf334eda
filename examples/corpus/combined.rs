//! An nginx's access log in its combined format.

use crate::draw::{Draw, LOWER, name, push_address, push_clock, push_number};
use crate::{Consumer, Form, Line, Outcome};

/// Addresses that requests come from.
const ADDRESSES: u32 = 50_000;

/// Users who logged in; their requests name them. Consumers from [`ADDRESSES`] on are users.
const USERS: u32 = 200;

const PATHS: [&str; 6] = [
    "/v1/orders/",
    "/v1/items/search/",
    "/v2/customers/list/",
    "/v1/payments/capture/",
    "/v2/shipments/",
    "/v1/carts/lines/",
];

const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1",
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "Go-http-client/2.0",
];

const REFERRERS: [&str; 3] = [
    "-",
    "https://shop.example.com/cart/view",
    "https://www.example.org/search?q=red+shoes&page=2",
];

/// Returns how lines are written.
pub fn form() -> Form {
    let key = |draw: &mut Draw| name("", &[draw.bits(), draw.bits()], LOWER);
    Form { line_bytes: 237, keyed: 65, key, write }
}

/// Returns who sends a request: one in fifty names its user.
pub fn consumer(draw: &mut Draw) -> u32 {
    if draw.below(50) == 0 { ADDRESSES + draw.below(USERS) } else { draw.below(ADDRESSES) }
}

fn write(text: &mut Vec<u8>, draw: &mut Draw, line: &Line<'_>) {
    let Consumer(consumer) = line.consumer;
    if consumer < ADDRESSES {
        push_address(text, consumer);
        text.extend_from_slice(b" - - [18/May/2026:");
    } else {
        push_address(text, draw.below(ADDRESSES));
        text.extend_from_slice(b" - user-");
        push_number(text, consumer - ADDRESSES);
        text.extend_from_slice(b" [18/May/2026:");
    }
    push_clock(text, line.second);
    text.extend_from_slice(b" +0000] \"GET ");
    text.extend_from_slice(draw.pick(&PATHS).as_bytes());
    push_number(text, draw.below(1_000_000));
    if line.is_broken {
        // The server died while it wrote.
        return;
    }
    text.push(b'?');
    if let Some(key) = line.key {
        text.extend_from_slice(b"api_key=");
        text.extend_from_slice(key.as_bytes());
        text.push(b'&');
    }
    text.extend_from_slice(b"page=");
    push_number(text, draw.below(100));
    text.extend_from_slice(b"&sort=created&locale=en_GB HTTP/1.1\" ");
    text.extend_from_slice(
        match line.outcome {
            Outcome::Accepted => {
                draw.pick(&["200", "200", "200", "200", "201", "204", "304", "404"])
            }
            Outcome::Denied => draw.pick(&["401", "403"]),
            Outcome::Failed => draw.pick(&["500", "502", "503"]),
        }
        .as_bytes(),
    );
    text.push(b' ');
    push_number(text, draw.below(200_000));
    text.extend_from_slice(b" \"");
    text.extend_from_slice(draw.pick(&REFERRERS).as_bytes());
    text.extend_from_slice(b"\" \"");
    text.extend_from_slice(draw.pick(&AGENTS).as_bytes());
    text.push(b'"');
}

//! Text logs of web servers, each with the layout that reads it.

use keydrain::engine::parse::{FormatSpec, Layout, Place};

use crate::corpus::{Log, Request, key_text};

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";

/// The key in the query of nearly two lines in three.
pub fn combined() -> (Log, Layout) {
    let layout =
        Layout::new(FormatSpec::Combined, vec![Place::Query("api_key".into())], Vec::new());
    (Log::generate(65, combined_line), layout)
}

/// A line of `combined`.
pub fn combined_line(request: &mut Request) -> String {
    let page = request.below(100);
    let query = match request.key {
        Some(key) => format!("page={page}&api_key={}", key_text(key)),
        None => format!("page={page}"),
    };
    format!(
        "{} - - [17/May/2015:{} +0000] \"GET /v1/items/{}?{query} HTTP/1.1\" {} {} \
         \"https://www.example.com/items\" \"{AGENT}\"",
        request.address(),
        request.clock(),
        request.below(100_000),
        request.status(),
        request.below(50_000),
    )
}

/// A format of one's own: the key in a header, the consumer behind it.
pub fn nginx() -> (Log, Layout) {
    let format = "$msec $status $remote_addr $upstream_response_time \"$http_x_api_key\" \
                  \"$http_x_client\" \"$request\" $body_bytes_sent";
    let layout = Layout::new(
        FormatSpec::Nginx(format.into()),
        vec![Place::Field("http_x_api_key".into())],
        vec!["http_x_client".into()],
    );
    let log = Log::generate(80, |request| {
        let key = request.key.map_or("-".into(), key_text);
        format!(
            "{}.{:03} {} {} 0.{:03} \"{key}\" \"client-{}\" \"GET /v1/items/{} HTTP/1.1\" {}",
            1_431_820_800 + request.second,
            request.below(1000),
            request.status(),
            request.address(),
            request.below(1000),
            request.below(40),
            request.below(100_000),
            request.below(50_000),
        )
    });
    (log, layout)
}

/// `combined` with the key's header behind it.
pub fn apache() -> (Log, Layout) {
    let format = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{X-Api-Key}i""#;
    let place = vec![Place::Field("http_x_api_key".into())];
    let layout = Layout::new(FormatSpec::Apache(format.into()), place, Vec::new());
    let log = Log::generate(80, |request| {
        let key = request.key.take().map_or("-".into(), key_text);
        format!("{} \"{key}\"", combined_line(request))
    });
    (log, layout)
}

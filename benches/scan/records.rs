//! Logs of JSON records, each with the layout that reads it.

use keydrain::engine::parse::{FormatSpec, JsonSpec, Layout, Place};

use crate::corpus::{Log, key_text};

/// Lines with nested objects, the key's id in most of them.
pub fn json() -> (Log, Layout) {
    let spec = JsonSpec {
        time: Some("timestamp".into()),
        status: Some("response.status".into()),
        credential: vec![Place::Field("auth.api_key_id".into())],
        consumer: vec!["auth.client".into(), "request.remote_ip".into()],
    };
    let log = Log::generate(92, |request| {
        let key = match request.key {
            Some(key) => format!(
                r#"{{"kind":"api_key","api_key_id":"{}","client":"client-{}","scopes":["items:read","items:write"]}}"#,
                key_text(key),
                request.below(400)
            ),
            None => r#"{"kind":"none"}"#.to_owned(),
        };
        format!(
            r#"{{"timestamp":"2015-05-17T{}.{:03}Z","level":"info","logger":"http.access","msg":"handled request","request":{{"id":"{:016x}","method":"GET","uri":"/v1/items/{}?page={}","host":"api.example.com","remote_ip":"{}","headers":{{"User-Agent":["example-client/4.2 (\"prod\"; linux)"],"Accept":["application/json"],"X-Forwarded-For":["10.0.0.1, 10.0.0.2"]}}}},"auth":{key},"response":{{"status":{},"bytes":{},"duration_ms":{}.{}}},"trace":{{"trace_id":"{:016x}","sampled":false}}}}"#,
            request.clock(),
            request.below(1000),
            request.below(u64::MAX),
            request.below(100_000),
            request.below(100),
            request.address(),
            request.status(),
            request.below(50_000),
            request.below(900),
            request.below(10),
            request.below(u64::MAX),
        )
    });
    (log, Layout::new(FormatSpec::Json(spec), Vec::new(), Vec::new()))
}

//! Talks to the daemon: where it is, who asks, and what an error means.
//!
//! Plain HTTP, no proxy, no redirect: an answer comes from the daemon itself or not at all.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use super::{Exit, Failure};

/// A daemon on this host answers at once; one behind a network within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for an answer beyond the wait that was asked for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Where the daemon listens, and the token to show it. Has no `Debug`: the token is a secret.
pub struct Endpoint {
    /// Base URL, such as `http://127.0.0.1:7677`; the scheme may be left out.
    pub base: String,
    /// Trimmed content of the token file.
    pub token: Option<String>,
}

impl Endpoint {
    /// Makes the endpoint of a daemon that listens on `listen`, as seen from its own host.
    pub fn listening(listen: SocketAddr, token: Option<String>) -> Self {
        let host = match listen {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => "[::1]".to_owned(),
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Self { base: format!("http://{host}:{}", listen.port()), token }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody, or somebody else, answers there.
    Unreachable(String),
    /// The daemon answers with a problem.
    Refused {
        /// HTTP status.
        status: u16,
        /// Last part of the problem's type.
        kind: String,
        /// What to do.
        detail: String,
    },
}

impl Trouble {
    /// Tells whether asking again later may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status >= 500,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unreachable(message) => Self { exit: Exit::Unreachable, message },
            Trouble::Refused { status, kind, detail } => {
                let exit = match (status, kind.as_str()) {
                    (..500, _) => Exit::Usage,
                    (_, "stopping" | "busy") => Exit::Unreachable,
                    _ => Exit::Unknown,
                };
                Self { exit, message: detail }
            }
        }
    }
}

/// A daemon that can be asked.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    bearer: Option<HeaderValue>,
}

impl Client {
    /// Makes a client. Does not connect yet.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, Failure> {
        let text = endpoint.base.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let base: Url = text
            .parse()
            .map_err(|_| Failure::usage("the URL of keydrain must look like http://host:7677"))?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            return Err(Failure::usage(
                "keydrain speaks plain HTTP: use http://host:7677, through a tunnel if need be",
            ));
        }
        let http = super::http::plain()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| Failure::usage(format!("no HTTP client: {error}")))?;
        let bearer = endpoint.token.as_deref().map(bearer).transpose()?;
        Ok(Self { http, base, bearer })
    }

    /// Asks for the JSON at `path`, given as unescaped segments.
    pub(super) async fn get(&self, path: &[&str]) -> Result<Value, Trouble> {
        self.get_with(path, None).await
    }

    /// Asks for the JSON at `path` unless it is still the one of `epoch`; waits for `wait` then.
    pub(super) async fn poll(
        &self,
        path: &[&str],
        epoch: &str,
        wait: Duration,
    ) -> Result<Option<Value>, Trouble> {
        let mut url = self.url(path);
        url.query_pairs_mut().append_pair("wait", &format!("{}s", wait.as_secs()));
        let request = self
            .request(Method::GET, url)
            .header(IF_NONE_MATCH, format!("\"{epoch}\""))
            .timeout(wait + ANSWER_TIMEOUT);
        self.send(request).await
    }

    /// Posts `body` to `path`, given as unescaped segments.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Trouble> {
        let request = self.request(Method::POST, self.url(path)).json(body);
        let request = request.timeout(ANSWER_TIMEOUT);
        let answer = self.send(request).await?;
        answer.ok_or_else(|| self.stranger("an unasked 304"))
    }

    /// Asks for the JSON at `path`, with one parameter if there is one.
    pub(super) async fn get_with(
        &self,
        path: &[&str],
        parameter: Option<(&str, &str)>,
    ) -> Result<Value, Trouble> {
        let mut url = self.url(path);
        if let Some((name, value)) = parameter {
            url.query_pairs_mut().append_pair(name, value);
        }
        let answer = self.send(self.request(Method::GET, url).timeout(ANSWER_TIMEOUT)).await?;
        answer.ok_or_else(|| self.stranger("an unasked 304"))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("the scheme was checked: http URLs have a path")
            .pop_if_empty()
            .extend(path);
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.bearer {
            Some(bearer) => request.header(AUTHORIZATION, bearer.clone()),
            None => request,
        }
    }

    /// Sends a request; `None` is "not modified".
    async fn send(&self, request: RequestBuilder) -> Result<Option<Value>, Trouble> {
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(self.stranger("an endless answer"));
            }
            body.extend_from_slice(&chunk);
        }
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        match json {
            Some(json) if status.is_success() => Ok(Some(json)),
            Some(json) => Err(self.problem(status, &json)),
            None => Err(self.stranger(&format!("status {status} without JSON"))),
        }
    }

    fn problem(&self, status: StatusCode, json: &Value) -> Trouble {
        let kind = json["type"].as_str().and_then(|urn| urn.strip_prefix("urn:keydrain:problem:"));
        match (kind, json["detail"].as_str()) {
            (Some(kind), Some(detail)) => Trouble::Refused {
                status: status.as_u16(),
                kind: kind.to_owned(),
                detail: detail.to_owned(),
            },
            _ => self.stranger(&format!("status {status} without problem details")),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Trouble {
        let why = if error.is_timeout() {
            "no answer in time"
        } else if error.is_connect() {
            "no connection"
        } else {
            "the connection broke"
        };
        let base = &self.base;
        Trouble::Unreachable(format!("no keydrain at {base} ({why}); is `keydrain run` running?"))
    }

    /// Somebody answers who is not keydrain.
    pub(super) fn stranger(&self, what: &str) -> Trouble {
        let base = &self.base;
        Trouble::Unreachable(format!("{base} does not answer as keydrain ({what}); check the URL"))
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| Failure::usage("the token holds characters that fit no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Runs `work` on a runtime of its own, on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::usage(format!("no runtime: {error}")))?;
    Ok(runtime.block_on(work))
}

/// Makes JSON text for stdout.
pub(super) fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("a JSON value is JSON");
    text + "\n"
}

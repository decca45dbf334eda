//! The front door as a client sees it: where the key goes, and what comes back.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Url};
use zeroize::Zeroizing;

use super::super::{Exit, Failure, http};
use crate::clock;
use crate::engine::credential::RawKey;

/// Time for an answer: a front door that takes longer does not serve its clients either.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Stands for the key in `--header`.
const KEY: &str = "{key}";

/// A request that carries the key of a probe, ready to be sent. Has no `Debug`: the key is a secret.
pub(super) struct Front {
    client: Client,
    url: Url,
    header: Option<(HeaderName, HeaderValue)>,
    /// The address without its query, for people.
    shown: String,
}

/// The answer of a front door.
pub(super) struct Answered {
    /// HTTP status: any one shows that the request came through.
    pub status: u16,
    /// From the first byte sent to the headers received.
    pub took: Duration,
}

/// Where a request carries the key.
pub(super) enum Place<'a> {
    /// In a header: its name, or its name and value with `{key}` in it.
    Header(&'a str),
    /// In the query, under this name.
    Query(&'a str),
}

impl Front {
    /// Prepares the request to `url` that carries `key` in `place`.
    ///
    /// # Errors
    /// A usage error for an address, a place or a certificate that cannot be used; none holds the key.
    pub(super) fn new(
        url: &str,
        place: &Place<'_>,
        key: &RawKey,
        ca_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let mut url = address(url)?;
        let shown = {
            let mut bare = url.clone();
            bare.set_query(None);
            // An address that can be parted has both; one that cannot was refused.
            let _ = bare.set_password(None).and_then(|()| bare.set_username(""));
            bare.to_string()
        };
        let header = match place {
            Place::Header(text) => Some(header(text, key)?),
            Place::Query(name) => {
                let text = std::str::from_utf8(key.expose()).map_err(|_| {
                    Failure::usage("the probe's key is not UTF-8: send it in a --header")
                })?;
                url.query_pairs_mut().append_pair(name, text);
                None
            }
        };
        let mut builder = http::direct()
            .timeout(TIMEOUT)
            .user_agent(concat!("keydrain-probe/", env!("CARGO_PKG_VERSION")));
        for certificate in ca_file.map(certificates).transpose()?.into_iter().flatten() {
            builder = builder.add_root_certificate(certificate);
        }
        let client = builder
            .build()
            .map_err(|error| Failure::usage(format!("no HTTP client: {}", error.without_url())))?;
        Ok(Self { client, url, header, shown })
    }

    /// Tells whether others can read the key on its way.
    pub(super) fn is_open(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        self.url.scheme() == "http" && !here
    }

    /// Sends the request once, over a connection of its own or one that is still open.
    ///
    /// # Errors
    /// [`Exit::Unreachable`] if nobody answers; the message never holds the key.
    pub(super) async fn send(&self) -> Result<Answered, Failure> {
        let mut request = self.client.get(self.url.clone());
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        let began = clock::steady();
        match request.send().await {
            Ok(response) => {
                let took = clock::steady().saturating_sub(began);
                Ok(Answered { status: response.status().as_u16(), took })
            }
            Err(error) => {
                let why = if error.is_timeout() {
                    format!("no answer within {} s", TIMEOUT.as_secs())
                } else {
                    // The address holds the key if it is a query; the cause does not.
                    crate::engine::wording::chain(&error.without_url())
                };
                let message = format!("the front door {} does not answer: {why}", self.shown);
                Err(Failure { exit: Exit::Unreachable, message })
            }
        }
    }
}

fn address(text: &str) -> Result<Url, Failure> {
    let url: Option<Url> = text.parse().ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(|| {
        Failure::usage("--url must be the whole address, as https://api.example.com/health")
    })
}

/// Makes the header out of `NAME` or `NAME: text with {key}`.
fn header(text: &str, key: &RawKey) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, template) = text.split_once(':').unwrap_or((text, KEY));
    let Some((before, after)) = template.trim().split_once(KEY) else {
        return Err(Failure::usage(
            "--header must say where the key goes: `Authorization: Bearer {key}`, or a name alone",
        ));
    };
    let value = Zeroizing::new([before.as_bytes(), key.expose(), after.as_bytes()].concat());
    let no_header = || Failure::usage("--header, or the key in it, is no valid HTTP header");
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| no_header())?;
    let mut value = HeaderValue::from_bytes(&value).map_err(|_| no_header())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let failed = |why: String| Failure::usage(format!("--ca-file {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|_| failed("no PEM file".to_owned()))?;
    if found.is_empty() {
        return Err(failed("holds no certificate".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_holds_the_key_where_it_is_told_to() {
        let key = RawKey::new(b"k1".to_vec());
        for (text, name, value) in [
            ("X-Api-Key", "x-api-key", "k1"),
            ("Authorization: Bearer {key}", "authorization", "Bearer k1"),
            ("X-Key: a{key}:b", "x-key", "ak1:b"),
        ] {
            let (made, carried) = header(text, &key).unwrap();
            assert_eq!((made.as_str(), carried.to_str().unwrap()), (name, value));
            assert!(carried.is_sensitive());
        }
        for text in ["Authorization: Bearer", "a b", ""] {
            let message = header(text, &key).unwrap_err().message;
            assert!(message.starts_with("--header"), "{message}");
        }
    }
}

//! Who may ask: a bearer token for every POST, and for everything beyond loopback.
//!
//! The token is read once, compared in constant time, wiped when dropped, and never printed.

use std::fmt;
use std::path::Path;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::PublishError;
use super::http::App;
use super::problem::Problem;

/// The shared secret of the API.
pub struct Token(Zeroizing<Vec<u8>>);

impl Token {
    /// Takes a token: one or more visible ASCII characters once white space around it is dropped.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fit = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fit.then(|| Self(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// Reads a token file, as `server.token_file` names it.
    pub fn read(path: &Path) -> Result<Self, PublishError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text =
            text.map_err(|source| PublishError::TokenUnreadable { path: path.to_owned(), source })?;
        Self::new(&text).ok_or_else(|| PublishError::TokenUnfit { path: path.to_owned() })
    }

    /// Compares in time that depends on the lengths alone.
    fn equals(&self, presented: &[u8]) -> bool {
        self.0.as_slice().ct_eq(presented).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Lets a request pass if it needs no token or brings the right one.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let public = matches!(request.uri().path(), "/healthz" | "/readyz");
    let needed = request.method() == Method::POST || (!app.loopback && !public);
    match check(app.token.as_deref(), request.headers()) {
        Err(problem) if needed => problem.into_response(),
        _ => next.run(request).await,
    }
}

fn check(token: Option<&Token>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = token else {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "no_token_configured",
            "this request needs a token and keydrain has none: write one into a file, name it as \
             `token_file` under [server], and restart keydrain",
        ));
    };
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    match presented {
        Some(presented) if token.equals(presented) => Ok(()),
        Some(_) => Err(unauthorized("the token is not the content of keydrain's token_file")),
        None => Err(unauthorized(
            "send `Authorization: Bearer TOKEN` with the content of keydrain's token_file",
        )),
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

/// Returns the credentials of a `Bearer` header; the scheme's case does not matter (RFC 9110).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_trimmed_and_must_hold_one_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        assert!(Token::read(&path).unwrap().equals(b"0123456789abcdef"));
        for unfit in ["", "\n", "two words", "caf\u{e9}"] {
            std::fs::write(&path, unfit).unwrap();
            let error = Token::read(&path).unwrap_err();
            assert!(matches!(error, PublishError::TokenUnfit { .. }), "{unfit:?}: {error}");
        }
        assert!(matches!(
            Token::read(&dir.path().join("none")),
            Err(PublishError::TokenUnreadable { .. })
        ));
    }

    #[test]
    fn a_token_never_shows_in_debug_output() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn only_the_bearer_scheme_carries_a_token() {
        assert_eq!(bearer(b"bEARER  x "), Some(b"x".as_slice()));
        assert_eq!(bearer(b"Basic x12345"), None);
        assert_eq!(bearer(b"Bearer"), None);
    }
}

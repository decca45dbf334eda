//! How the command line speaks HTTP: without proxies, without redirects, TLS where it is asked for.

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

/// Begins a client that goes where it is told and nowhere else: what it carries is secret.
pub fn direct() -> ClientBuilder {
    // Whoever was first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(Policy::none())
}

/// Begins a client that speaks plain HTTP alone, and reads no certificates for it.
pub fn plain() -> ClientBuilder {
    direct().tls_certs_only([])
}

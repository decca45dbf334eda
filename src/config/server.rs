//! Reads `[server]`, which variables of the environment override.
//!
//! Beyond loopback nothing is answered without a token: that is refused here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::config::report::Report;
use crate::config::table::Table;
use crate::config::{Environment, Server};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7677);
const LISTEN_FIX: &str = "write address and port, as \"127.0.0.1:7677\"";
const ENV_LISTEN: &str = "KEYDRAIN_SERVER__LISTEN";
const ENV_TOKEN_FILE: &str = "KEYDRAIN_SERVER__TOKEN_FILE";

/// Reads `[server]`.
pub(super) fn read(
    table: Option<Table<'_>>,
    base: &Path,
    environment: Environment<'_>,
    report: &mut Report,
) -> Server {
    let mut server = Server { listen: LISTEN, token_file: None };
    let mut span = None;
    if let Some(mut table) = table {
        if let Some(text) = table.string("listen", report) {
            match parse_listen(text.get_ref()) {
                Ok(listen) => server.listen = listen,
                Err(message) => report.problem(&text.span(), message, LISTEN_FIX),
            }
            span = Some(text.span());
        }
        server.token_file = read_path(&mut table, "token_file", base, report);
        table.finish(report);
    }
    let override_of = |name| environment(name).filter(|value| !value.is_empty());
    let listen = override_of(ENV_LISTEN);
    match listen.as_deref().map(parse_listen) {
        Some(Ok(listen)) => server.listen = listen,
        Some(Err(message)) => report.environment_problem(ENV_LISTEN, message, LISTEN_FIX),
        None => {}
    }
    if let Some(path) = override_of(ENV_TOKEN_FILE) {
        server.token_file = Some(path.into());
    }
    if !server.listen.ip().is_loopback() && server.token_file.is_none() {
        let message = format!("`listen` = {} is reachable from other hosts", server.listen);
        let fix = "set `token_file` in [server], or listen on 127.0.0.1";
        match span.filter(|_| listen.is_none()) {
            Some(span) => report.problem(&span, message, fix),
            None => report.environment_problem(ENV_LISTEN, message, fix),
        }
    }
    server
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`listen` = \"{text}\" is no address and port"))
}

/// Reads a path that is relative to `base`.
pub(super) fn read_path(
    table: &mut Table<'_>,
    key: &'static str,
    base: &Path,
    report: &mut Report,
) -> Option<PathBuf> {
    let text = table.string(key, report)?;
    if text.get_ref().is_empty() {
        report.problem(&text.span(), format!("`{key}` is empty"), "write a path, or remove it");
        return None;
    }
    Some(base.join(text.get_ref()))
}

//! What is known of nginx's variables: which bytes they can hold, and what they tell.
//!
//! A variable with a known shape is told from its neighbours even where a client chooses what
//! the neighbour holds; any other is opaque text.

use super::instant::TimeForm;

/// What the text of a variable can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not empty and without a space: an address.
    Word,
    /// Digits or `-`.
    Count,
    /// Digits, `-` or nothing.
    Number,
    /// Without a space, perhaps empty.
    Token,
    /// The same, chosen by a client: it may hold any character of a method.
    ClientToken,
    /// A time: `$time_local` always 26 bytes, with one space; the others without one.
    Time(TimeForm),
    /// Values of several upstreams, joined by `, ` and ` : `.
    List,
    /// Anything, chosen by a client.
    Free,
}

/// Returns the shape of the variable with this lower-case name.
///
/// Apache's directives have names of their own where nginx has no variable.
pub fn shape(name: &str) -> Shape {
    match name {
        "time_local" => Shape::Time(TimeForm::Local),
        "time_iso8601" => Shape::Time(TimeForm::Iso8601),
        "msec" => Shape::Time(TimeForm::Seconds),
        "remote_addr" | "realip_remote_addr" => Shape::Word,
        "body_bytes_sent" | "bytes_sent" | "bytes_received" | "bytes_both" | "request_time_us" => {
            Shape::Count
        }
        "remote_port"
        | "realip_remote_port"
        | "proxy_protocol_port"
        | "proxy_protocol_server_port"
        | "server_port" => Shape::Number,
        "request_method" | "server_protocol" => Shape::ClientToken,
        "upstream_addr"
        | "upstream_status"
        | "upstream_response_time"
        | "upstream_connect_time"
        | "upstream_header_time"
        | "upstream_queue_time"
        | "upstream_response_length"
        | "upstream_bytes_received"
        | "upstream_bytes_sent" => Shape::List,
        "status"
        | "original_status"
        | "request_length"
        | "request_time"
        | "first_byte_time"
        | "time_part"
        | "request_id"
        | "request_completion"
        | "remote_logname"
        | "proxy_protocol_addr"
        | "proxy_protocol_server_addr"
        | "server_addr"
        | "server_name"
        | "scheme"
        | "https"
        | "pid"
        | "pipe"
        | "log_id"
        | "connection"
        | "connection_requests"
        | "connection_status"
        | "connection_time"
        | "connections_active"
        | "gzip_ratio"
        | "hostname"
        | "nginx_version"
        | "ssl_protocol"
        | "ssl_cipher"
        | "ssl_session_id"
        | "ssl_session_reused"
        | "ssl_client_fingerprint"
        | "ssl_client_serial"
        | "upstream_cache_status" => Shape::Token,
        _ => Shape::Free,
    }
}

/// Tells whether the field with this name, the last of a path, names somebody: an address or a
/// user agent does not.
pub fn path_names_somebody(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    let letters = letters.to_ascii_lowercase();
    let ends =
        ["ip", "ips", "ipaddress", "addr", "address", "useragent", "remotehost", "clienthost"];
    let whole = ["host", "peer", "xforwardedfor", "forwarded", "forwardedfor", "port"];
    !ends.iter().any(|end| letters.ends_with(end)) && !whole.contains(&letters.as_str())
}

/// Tells whether the variable names somebody: an address or a user agent does not.
pub fn names_somebody(name: &str) -> bool {
    !matches!(
        name,
        "remote_addr"
            | "binary_remote_addr"
            | "realip_remote_addr"
            | "proxy_protocol_addr"
            | "proxy_add_x_forwarded_for"
            | "remote_port"
            | "realip_remote_port"
            | "proxy_protocol_port"
            | "http_x_forwarded_for"
            | "http_x_real_ip"
            | "http_x_client_ip"
            | "http_x_cluster_client_ip"
            | "http_true_client_ip"
            | "http_cf_connecting_ip"
            | "http_forwarded"
            | "http_user_agent"
    )
}

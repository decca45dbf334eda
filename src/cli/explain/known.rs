//! JSON logs that are known by their members, with the paths of what matters in them.
//!
//! Each is what the program writes by default or, where its format is the operator's, what its
//! documentation shows. Of several paths in one list the first that the records have counts.

use super::servers::Server;

/// A JSON log that is known.
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// What writes it.
    pub server: Server,
    /// What a record of it has: one path of each list, or something below that path.
    pub marks: &'static [&'static [&'static str]],
    /// Event time.
    pub time: &'static [&'static str],
    /// Status.
    pub status: &'static [&'static str],
    /// The key or what stands for it, best first.
    pub credential: &'static [&'static str],
    /// The consumer: a path of each list, in this order.
    pub consumer: &'static [&'static [&'static str]],
    /// What the operator has to know about counts of it.
    pub remarks: &'static [&'static str],
}

const REFUSALS_COUNT: &str = "its refusals are no HTTP statuses: here each request counts as \
     accepted, so this log proves use of the old key, never that the new one works";

/// All that are known, those with the most telling members first.
pub const KNOWN: [Known; 13] = [
    Known {
        name: "kubernetes audit",
        server: Server::Kubernetes,
        marks: &[&["requestReceivedTimestamp"], &["auditID"], &["stage"]],
        time: &["requestReceivedTimestamp"],
        status: &["responseStatus.code"],
        credential: &["user.extra.\"authentication.kubernetes.io/credential-id\".0"],
        consumer: &[&["user.username"], &["sourceIPs.0"]],
        remarks: &["a request is logged once per stage: counts are of stages, not of requests"],
    },
    Known {
        name: "gcp audit",
        server: Server::Gcp,
        marks: &[&["protoPayload.authenticationInfo"], &["timestamp"]],
        time: &["timestamp"],
        status: &[],
        credential: &["protoPayload.authenticationInfo.serviceAccountKeyName"],
        consumer: &[
            &["protoPayload.authenticationInfo.principalEmail"],
            &["protoPayload.requestMetadata.callerIp"],
        ],
        remarks: &[REFUSALS_COUNT],
    },
    Known {
        name: "entra sign-in",
        server: Server::Entra,
        marks: &[
            &["createdDateTime", "properties.createdDateTime"],
            &["servicePrincipalId", "properties.servicePrincipalId"],
        ],
        time: &["properties.createdDateTime", "createdDateTime"],
        status: &[],
        credential: &[
            "properties.servicePrincipalCredentialKeyId",
            "servicePrincipalCredentialKeyId",
        ],
        consumer: &[
            &["properties.servicePrincipalName", "servicePrincipalName"],
            &["properties.appId", "appId"],
            &["properties.ipAddress", "ipAddress"],
        ],
        remarks: &[
            REFUSALS_COUNT,
            "a sign-in buys a token that lives on without a line: set max_session_lifetime",
        ],
    },
    Known {
        name: "vault audit",
        server: Server::Vault,
        marks: &[&["auth.accessor", "auth.client_token"], &["request.id"], &["type"]],
        time: &["time"],
        status: &[],
        credential: &["auth.accessor", "auth.client_token"],
        consumer: &[&["auth.display_name"], &["request.remote_address"]],
        remarks: &[REFUSALS_COUNT, "a call is logged twice, as request and as response"],
    },
    Known {
        name: "okta system log",
        server: Server::Okta,
        marks: &[&["published"], &["eventType"], &["actor"], &["outcome"]],
        time: &["published"],
        status: &[],
        credential: &["transaction.detail.requestApiTokenId"],
        consumer: &[&["actor.alternateId"], &["client.ipAddress"]],
        remarks: &[REFUSALS_COUNT],
    },
    Known {
        name: "kong json",
        server: Server::Kong,
        marks: &[&["started_at"], &["response.status"], &["client_ip", "latencies"]],
        time: &["started_at"],
        status: &["response.status"],
        credential: &["authenticated_entity.id"],
        consumer: &[&["consumer.username", "consumer.id"], &["client_ip"]],
        remarks: &["Kong logs the header `apikey` as it came: take it out of the log"],
    },
    Known {
        name: "caddy json",
        server: Server::Caddy,
        marks: &[&["ts"], &["request.method"], &["request.remote_ip", "request.remote_addr"]],
        time: &["ts"],
        status: &["status"],
        credential: &["key_name", "request.headers.X-Api-Key.0"],
        consumer: &[&["user_id"], &["request.remote_ip", "request.remote_addr"]],
        remarks: &[],
    },
    Known {
        name: "traefik json",
        server: Server::TraefikJson,
        marks: &[&["DownstreamStatus"], &["StartUTC", "StartLocal", "ClientHost", "ClientAddr"]],
        time: &["StartUTC", "StartLocal", "time"],
        status: &["DownstreamStatus"],
        credential: &["request_X-Api-Key"],
        consumer: &[&["ClientUsername"], &["ClientHost", "ClientAddr"]],
        remarks: &[],
    },
    Known {
        name: "envoy json",
        server: Server::Envoy,
        marks: &[
            &["start_time"],
            &["response_code"],
            &["response_flags", ":authority", "protocol"],
        ],
        time: &["start_time"],
        status: &["response_code"],
        credential: &["key_name", "x_api_key", "x-api-key"],
        consumer: &[&["x-forwarded-for", "x_forwarded_for", "downstream_remote_address"]],
        remarks: &[],
    },
    Known {
        name: "api gateway access log",
        server: Server::ApiGateway,
        marks: &[
            &["requestTimeEpoch", "requestTime"],
            &["status"],
            &["apiKeyId", "identity.apiKeyId", "apiId", "requestId", "extendedRequestId"],
        ],
        time: &["requestTimeEpoch", "requestTime"],
        status: &["status"],
        credential: &["apiKeyId", "identity.apiKeyId"],
        consumer: &[
            &["userArn", "identity.userArn", "caller", "identity.caller"],
            &["sourceIp", "identity.sourceIp", "ip"],
        ],
        remarks: &[],
    },
    Known {
        name: "github audit log",
        server: Server::GitHub,
        marks: &[&["@timestamp", "created_at"], &["action"], &["actor"]],
        time: &["@timestamp", "created_at"],
        status: &["status_code"],
        credential: &["hashed_token", "token_id"],
        consumer: &[&["actor"], &["actor_ip"]],
        remarks: &[],
    },
    Known {
        name: "tyk analytics",
        server: Server::Tyk,
        marks: &[&["timestamp"], &["response_code"], &["api_id"], &["api_key"]],
        time: &["timestamp"],
        status: &["response_code"],
        credential: &["api_key"],
        consumer: &[&["alias"], &["ip_address"]],
        remarks: &[],
    },
    Known {
        name: "nginx json",
        server: Server::NginxJson,
        marks: &[
            &["remote_addr"],
            &["status"],
            &["request", "request_uri", "uri", "body_bytes_sent", "http_user_agent"],
            &["msec", "time_iso8601", "time_local", "time", "timestamp", "@timestamp", "ts"],
        ],
        time: &["msec", "time_iso8601", "time_local", "time", "timestamp", "@timestamp", "ts"],
        status: &["status"],
        credential: &["key_name", "http_x_api_key", "http_authorization"],
        consumer: &[&["remote_user"], &["remote_addr"]],
        remarks: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::parse::{FormatSpec, JsonSpec, Layout, LineParser, Place};

    #[test]
    fn every_known_layout_compiles_with_all_its_paths() {
        for known in &KNOWN {
            for time in known.time {
                let spec = JsonSpec {
                    time: Some((*time).to_owned()),
                    status: known.status.first().map(|&path| path.to_owned()),
                    ..JsonSpec::default()
                };
                let places = known.credential.iter().map(|&path| Place::Field(path.to_owned()));
                let consumers = known.consumer.iter().flat_map(|paths| paths.iter());
                let layout = Layout::new(
                    FormatSpec::Json(spec),
                    places.collect(),
                    consumers.map(|&path| path.to_owned()).collect(),
                );
                let compiled = LineParser::compile(&layout);
                assert!(compiled.is_ok(), "{}: {:?}", known.name, compiled.err());
            }
        }
    }
}

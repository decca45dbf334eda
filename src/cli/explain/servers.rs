//! What makes a server's log show a key: one change of its config for each that is known.
//!
//! Where a server can log the key's name, that is what is shown: a secret in a log is on every disk
//! that the log is copied to.

use super::candidate::Candidate;
use crate::engine::parse::{COMBINED, FormatSpec, JsonSpec, Place};

/// What writes a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// nginx, text; or another server with the same preset.
    Nginx,
    /// nginx with `escape=json`.
    NginxJson,
    /// Apache.
    Apache,
    /// Caddy.
    Caddy,
    /// Traefik's common log format.
    TraefikClf,
    /// Traefik's JSON.
    TraefikJson,
    /// Envoy or Istio with `json_format`.
    Envoy,
    /// Kong.
    Kong,
    /// The audit log of a Kubernetes API server.
    Kubernetes,
    /// API Gateway of AWS.
    ApiGateway,
    /// `CloudTrail` of AWS.
    CloudTrail,
    /// The audit log of Google Cloud.
    Gcp,
    /// The audit log of GitHub.
    GitHub,
    /// Tyk's pump.
    Tyk,
    /// Sign-ins of Microsoft Entra.
    Entra,
    /// The audit log of Vault or `OpenBao`.
    Vault,
    /// Okta's system log.
    Okta,
    /// A program that nothing is known of.
    Unknown,
}

impl Server {
    /// Returns what has to be known of how it writes its log.
    pub fn remark(self) -> Option<&'static str> {
        match self {
            Self::Nginx | Self::NginxJson => Some(
                "if access_log has `buffer=` or `gzip`, give it `flush=` of at most \
                 allowed_lateness (30 s): without it a line may wait for ever",
            ),
            Self::TraefikClf | Self::TraefikJson => {
                Some("leave accesslog.bufferingsize at 0: lines in a buffer may wait for ever")
            }
            _ => None,
        }
    }
}

/// What to change, and what to declare then.
pub struct Change {
    /// Why no key shows.
    pub why: &'static str,
    /// The lines to add to the server's config.
    pub lines: Vec<String>,
    /// The format of the lines after it; `None`: as they are now.
    pub format: Option<FormatSpec>,
    /// The fields of the consumer after it; `None`: as they are now.
    pub consumer: Option<Vec<String>>,
    /// The place of the key after it; `None`: this log cannot show one.
    pub place: Option<Place>,
}

/// The variables of nginx that hold the key's name.
const NGINX_MAP: &str =
    "map $http_x_api_key $key_name { \"OLD KEY\" \"old\"; \"NEW KEY\" \"new\"; default \"-\"; }";

const BY_NAME: &str = "let the server log the key's name, never the key itself";
const BY_VALUE: &str =
    "this change writes the key itself to the log, so guard the file as you guard the key";

impl Change {
    fn new(why: &'static str, lines: &[&str], field: &str) -> Self {
        Self {
            why,
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            format: None,
            consumer: None,
            place: (!field.is_empty()).then(|| Place::Field(field.to_owned())),
        }
    }

    /// Returns the change that makes the log of this candidate show a key.
    pub fn of(candidate: &Candidate) -> Self {
        match candidate.server {
            Server::Nginx => nginx(candidate),
            Server::Apache => apache(candidate),
            Server::NginxJson => Self::new(
                BY_NAME,
                &[NGINX_MAP, "\"key_name\":\"$key_name\"   # one more member of the log_format"],
                "key_name",
            ),
            Server::Caddy => Self::new(
                "Caddy logs each header as it came, so X-Api-Key would show, but it redacts \
                 Authorization and Cookie; let it log the key's name",
                &[
                    "map {header.X-Api-Key} {key_name} {",
                    "    \"OLD KEY\" old",
                    "    \"NEW KEY\" new",
                    "    default -",
                    "}",
                    "log_append key_name {key_name}",
                ],
                "key_name",
            ),
            Server::TraefikClf | Server::TraefikJson => traefik(candidate),
            Server::Envoy => Self::new(
                BY_VALUE,
                &["x_api_key: \"%REQ(X-API-KEY)%\"   # one more member of json_format"],
                "x_api_key",
            ),
            Server::ApiGateway => Self::new(
                "an API key's id is logged where the stage's access log format names it",
                &["\"apiKeyId\":\"$context.identity.apiKeyId\""],
                "apiKeyId",
            ),
            _ => Self::of_a_service(candidate.server),
        }
    }

    /// The changes of services that log the key's id wherever there is one.
    fn of_a_service(server: Server) -> Self {
        match server {
            Server::Kong => Self::new(
                "Kong logs the credential's id where a plugin has authenticated the request",
                &["curl --data name=key-auth http://localhost:8001/services/SERVICE/plugins"],
                "authenticated_entity.id",
            ),
            Server::Kubernetes => Self::new(
                "API servers from 1.30 on log the id of a service account's token, at every level \
                 of the audit policy but None",
                &["- level: Metadata   # a rule of the policy in --audit-policy-file"],
                "user.extra.\"authentication.kubernetes.io/credential-id\".0",
            ),
            Server::Gcp => Self::new(
                "these calls were made without a service account key: such a log names one only \
                 where it was used",
                &[],
                "protoPayload.authenticationInfo.serviceAccountKeyName",
            ),
            Server::GitHub => Self::new(
                "only events of a token name it: stream the audit log with its api.request events",
                &[],
                "hashed_token",
            ),
            Server::Tyk => Self::new(
                "a keyless API has no key to log: let it demand one, in its definition",
                &["\"use_keyless\": false"],
                "api_key",
            ),
            Server::Entra => Self::new(
                "these sign-ins used no secret or certificate of the application",
                &[],
                "servicePrincipalCredentialKeyId",
            ),
            Server::Vault => Self::new("these calls used no token", &[], "auth.accessor"),
            Server::Okta => Self::new(
                "these events were not made with an API token",
                &[],
                "transaction.detail.requestApiTokenId",
            ),
            Server::CloudTrail => Self::new(
                "these calls were made without an access key, as by a service",
                &[],
                "userIdentity.accessKeyId",
            ),
            _ => Self::new(
                BY_NAME,
                &["{…, \"key_name\": \"old\"}   # one more member, written by the server"],
                "key_name",
            ),
        }
    }
}

fn nginx(candidate: &Candidate) -> Change {
    let template = match candidate.layout.formats.first() {
        Some(FormatSpec::Nginx(template)) => template.clone(),
        _ => COMBINED.to_owned(),
    };
    let log_format = match bare_template(&template) {
        Some(string) => format!("log_format keydrain '{string} \"$key_name\"';"),
        None => "… \"$key_name\"   # at the end of the log_format".to_owned(),
    };
    let mut change = Change::new(BY_NAME, &[NGINX_MAP], "key_name");
    change.lines.push(format!("{log_format}   # and name it in access_log"));
    if let Some(string) = bare_template(&template) {
        change.format = Some(FormatSpec::Nginx(format!("{string} \"$key_name\"")));
    }
    change
}

/// Returns a format that is the bare string of a `log_format`, with nginx's usual escapes.
fn bare_template(template: &str) -> Option<&str> {
    let text = template.trim();
    let is_bare = !text.starts_with("log_format") && !text.starts_with("escape=");
    (is_bare && !text.contains('\'')).then_some(text)
}

/// The lines that make Apache log the key's name behind this format.
pub fn apache_lines(format: &str) -> Vec<String> {
    let quoted = format.replace('"', "\\\"");
    vec![
        "SetEnvIf X-Api-Key \"^OLD KEY$\" KEY_NAME=old".to_owned(),
        "SetEnvIf X-Api-Key \"^NEW KEY$\" KEY_NAME=new".to_owned(),
        format!(
            "LogFormat \"{quoted} \\\"%{{KEY_NAME}}e\\\"\" keydrain   # and name it in CustomLog"
        ),
    ]
}

fn apache(candidate: &Candidate) -> Change {
    let format = match candidate.layout.formats.first() {
        Some(FormatSpec::Apache(format)) if !format.trim_start().starts_with("LogFormat") => {
            format.replace("\\\"", "\"")
        }
        Some(FormatSpec::Common) => "%h %l %u %t \"%r\" %>s %b".to_owned(),
        _ => "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"".to_owned(),
    };
    let why = "let the server log the key's name; `%{X-Api-Key}i` would log the key itself";
    let mut change = Change::new(why, &[], "env_key_name");
    change.lines = apache_lines(&format);
    change.format = Some(FormatSpec::Apache(format!("{format} \"%{{KEY_NAME}}e\"")));
    change
}

fn traefik(candidate: &Candidate) -> Change {
    let mut change = Change::new(BY_VALUE, &[], "request_X-Api-Key");
    let header = "--accesslog.fields.headers.names.X-Api-Key=keep";
    if candidate.server == Server::TraefikJson {
        change.lines.push(header.to_owned());
        return change;
    }
    change.lines.push(format!("--accesslog.format=json {header}"));
    change.format = Some(FormatSpec::Json(JsonSpec {
        time: Some("StartUTC".to_owned()),
        status: Some("DownstreamStatus".to_owned()),
        ..JsonSpec::default()
    }));
    change.consumer = Some(vec!["ClientUsername".to_owned(), "ClientHost".to_owned()]);
    change
}

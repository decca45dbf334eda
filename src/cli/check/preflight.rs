//! Asks the running daemon what stands in the way of a rotation: it alone knows what was read.

use crate::cli::client::{Client, Endpoint, Trouble, block_on};
use crate::cli::columns::text;
use crate::cli::{Exit, Failure};

use super::{Finding, Level};

const FIX: &str = "start `keydrain run`, or name its address with --url: it alone knows whether the \
                   logs show the key";

/// Returns the daemon's findings about `credential`; that there is no daemon is one of them.
///
/// # Errors
/// That the daemon does not know the key, or does not let this user ask.
pub(super) fn check(
    credential: &str,
    old_key: Option<&str>,
    endpoint: &Endpoint,
) -> Result<Vec<Finding>, Failure> {
    let client = Client::new(endpoint)?;
    let path = ["v1", "credentials", credential, "preflight"];
    let old_key = old_key.map(|key| ("old_key", key));
    let answer = match block_on(client.get_with(&path, old_key))? {
        Ok(answer) => answer,
        Err(Trouble::Refused { kind, .. }) if kind == "unknown_credential" => {
            let fix = "restart it, so that it reads this config";
            return Ok(vec![Finding::error("daemon", "it does not know the credential", fix)]);
        }
        Err(trouble) => {
            let failure = Failure::from(trouble);
            if failure.exit == Exit::Usage {
                return Err(failure);
            }
            // What nobody looked at is not good.
            let message = failure.message.split("; ").next().unwrap_or_default();
            return Ok(vec![Finding::error("daemon", message, FIX)]);
        }
    };
    let Some(findings) = answer["findings"].as_array() else {
        return Err(client.stranger("no list of findings").into());
    };
    let finding = |finding: &serde_json::Value| Finding {
        level: match text(&finding["severity"]) {
            "ok" => Level::Ok,
            "warning" => Level::Warning,
            _ => Level::Error,
        },
        subject: text(&finding["subject"]).to_owned(),
        message: text(&finding["message"]).to_owned(),
        fix: finding["fix"].as_str().unwrap_or_default().to_owned(),
    };
    Ok(findings.iter().map(finding).collect())
}

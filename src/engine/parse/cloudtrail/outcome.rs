//! What became of a request, by CloudTrail's `errorCode`.
//!
//! Sources: "Common Error Types" of the AWS API references, "Error responses" of the Amazon S3 API
//! reference, "Error codes" of the Amazon EC2 API reference. EC2 writes `Client.` before its codes.

use crate::engine::usage::Outcome;

/// Codes that say that the key itself, its signature or its session was refused.
const UNAUTHENTICATED: [&[u8]; 12] = [
    // The key is not known, or no longer.
    b"InvalidClientTokenId",
    b"InvalidAccessKeyId",
    b"UnrecognizedClientException",
    // The signature does not fit the key.
    b"SignatureDoesNotMatch",
    b"InvalidSignatureException",
    b"IncompleteSignature",
    b"IncompleteSignatureException",
    // No key was sent.
    b"MissingAuthenticationToken",
    b"MissingAuthenticationTokenException",
    // A session is over.
    b"ExpiredToken",
    b"ExpiredTokenException",
    b"ExpiredTokenFault",
];

/// Codes, beside those with a telling name, that may mean that the key works and the request was not
/// allowed.
const FORBIDDEN: [&[u8]; 3] = [
    // EC2: the credentials could not be validated, or do not allow the request. A policy may pass
    // over refused keys, so the doubt counts as a key that works.
    b"AuthFailure",
    b"NotAuthorized",
    // The account of the key has not subscribed to the service.
    b"OptInRequired",
];

/// Returns the outcome of a code; none was accepted.
pub fn outcome(code: &[u8]) -> Outcome {
    let bare = code.strip_prefix(b"Client.").unwrap_or(code);
    if code.is_empty() {
        Outcome::Accepted
    } else if UNAUTHENTICATED.contains(&bare) {
        Outcome::Unauthenticated
    } else if FORBIDDEN.contains(&bare)
        || bare.starts_with(b"AccessDenied")
        || bare.starts_with(b"Unauthorized")
        || bare.ends_with(b"UnauthorizedOperation")
    {
        Outcome::Forbidden
    } else {
        Outcome::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: Outcome, codes: &[&str]) {
        for code in codes {
            assert_eq!(outcome(code.as_bytes()), expected, "{code}");
        }
    }

    #[test]
    fn a_request_without_a_code_was_accepted() {
        check(Outcome::Accepted, &[""]);
    }

    #[test]
    fn a_refused_key_is_unauthenticated() {
        check(
            Outcome::Unauthenticated,
            &["InvalidClientTokenId", "SignatureDoesNotMatch", "Client.ExpiredToken"],
        );
    }

    #[test]
    fn a_request_that_is_not_allowed_is_forbidden_for_the_key_works() {
        check(
            Outcome::Forbidden,
            &[
                "AccessDenied",
                "AccessDeniedException",
                "Client.UnauthorizedOperation",
                "Server.UnauthorizedOperation",
                "UnauthorizedAccess",
                "Client.UnauthorizedAccess",
                "Client.AuthFailure",
                "NotAuthorized",
                "OptInRequired",
            ],
        );
    }

    #[test]
    fn any_other_code_failed() {
        check(
            Outcome::Failed,
            &[
                "ThrottlingException",
                "NoSuchBucket",
                "Client.InvalidVpcID.NotFound",
                "accessdenied",
                "NotAccessDenied",
                "ExpiredTokenX",
                "Client.",
                "403",
            ],
        );
    }
}

//! Translates AWS's errors.
//!
//! Sources: the error lists of the operations in the AWS KMS and AWS STS API References and their "Common Error Types".

use std::{borrow::Cow, error::Error as StdError, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use temporal_kms::{FailureCause, KeyUri, ProviderError, ProviderErrorKind as Kind, ServiceError};

/// A failed call, before its key is known. It keeps no text of an answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    detail: &'static str,
    answer: Option<ServiceError>,
}

impl Failure {
    pub(super) fn new(kind: Kind, detail: &'static str) -> Self {
        Self {
            kind,
            detail,
            answer: None,
        }
    }

    fn with_answer(self, answer: ServiceError) -> Self {
        Self {
            answer: Some(answer),
            ..self
        }
    }

    /// The same failure, with more fitting words.
    pub(super) fn with_detail(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    /// The failure of a call of the SDK.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code();
                let (kind, detail) = match code {
                    None if !is_of_aws(answer.raw()) => of_stranger(status),
                    code => code
                        .and_then(|code| by_code(code, answer.err().message()))
                        .unwrap_or_else(|| by_status(status)),
                };
                Self::new(kind, detail).with_answer(identified(answer.raw()).with_code(code))
            }
            SdkError::ResponseError(answer) => {
                let (kind, detail) = match answer.raw().status().as_u16() {
                    200..300 => (Kind::Integrity, "its answer cannot be read"),
                    status if !is_of_aws(answer.raw()) => of_stranger(status),
                    status => by_status(status),
                };
                Self::new(kind, detail).with_answer(identified(answer.raw()))
            }
            SdkError::TimeoutError(_) => Self::new(Kind::DeadlineExceeded, ""),
            error => Self::before_any_answer(error),
        }
    }

    fn before_any_answer(error: &(dyn StdError + 'static)) -> Self {
        if let Some(failure) = find::<Self>(error) {
            return failure.clone();
        }
        let (kind, detail) = if let Some(credentials) = find::<CredentialsError>(error) {
            by_credentials(credentials)
        } else if let Some(connection) = find::<aws_sdk_kms::error::ConnectorError>(error) {
            match connection {
                connection if connection.is_timeout() => (Kind::DeadlineExceeded, ""),
                connection if connection.is_user() => {
                    (Kind::Misconfigured, "its endpoint is not a URL")
                }
                _ => (Kind::Unavailable, NO_CONNECTION),
            }
        } else {
            (Kind::Misconfigured, "its region or endpoint cannot be used")
        };
        Self::new(kind, detail)
    }

    /// The failure for `key` of a call that needs `permission`.
    pub(super) fn of_key(self, key: &KeyUri, permission: &'static str) -> ProviderError {
        let detail = match (self.kind, self.detail) {
            (Kind::PermissionDenied, "") => Cow::Owned(format!("grant the caller {permission}")),
            (_, detail) => Cow::Borrowed(detail),
        };
        ProviderError::new(self.kind, key)
            .with_detail(detail)
            .with_cause(cause(self.detail))
            .with_service_error(self.answer)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.detail)
    }
}

// Without `source`. The credentials errors that carry it have no `source` either, because the SDK logs them.
impl StdError for Failure {}

/// The ids of the answer in AWS's own logs.
fn identified(answer: &HttpResponse) -> ServiceError {
    let id = answer.headers().get("x-amzn-requestid");
    ServiceError::new(Some(answer.status().as_u16())).with_request_id(id)
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref())
}

const NOT_AWS: &str = "what answers at its endpoint is not AWS KMS";
const PROXY: &str = "the answer is not AWS's: is there a proxy on the way?";
const CLOCK: &str = "this machine's clock is wrong; set it";
const REFUSED: &str =
    "AWS does not accept the credentials; check access key, secret key and this machine's clock";
const EXPIRED: &str = "the token has expired; renew it";
const TOKEN: &str = "AWS does not accept the web identity token";
const NO_CONNECTION: &str = "no connection";
const NO_CREDENTIALS: &str = "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role";
const WRONG_CREDENTIALS: &str = "the AWS credentials are configured wrongly";

fn cause(detail: &str) -> Option<FailureCause> {
    match detail {
        CLOCK => Some(FailureCause::Clock),
        REFUSED | EXPIRED | TOKEN => Some(FailureCause::RefusedCredentials),
        NO_CREDENTIALS => Some(FailureCause::NoCredentials),
        WRONG_CREDENTIALS => Some(FailureCause::UnusableCredentials),
        NO_CONNECTION => Some(FailureCause::NoConnection),
        // Errors of assuming a role.
        _ if detail.starts_with("the role's trust policy") => {
            Some(FailureCause::RefusedCredentials)
        }
        PROXY | NOT_AWS => Some(FailureCause::Proxy),
        _ if detail.starts_with("the file of the OIDC token") => {
            Some(FailureCause::UnusableCredentials)
        }
        _ => None,
    }
}

fn by_code(code: &str, message: Option<&str>) -> Option<(Kind, &'static str)> {
    Some(match code {
        "AccessDeniedException"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired"
        | "IDPRejectedClaim" => (Kind::PermissionDenied, ""),
        "NotFoundException" => (Kind::KeyNotFound, ""),
        "DisabledException" => (Kind::KeyDisabled, ""),
        "KMSInvalidStateException" => (
            Kind::KeyDisabled,
            "the key is pending deletion, disabled, still being made, or cut off from its key store",
        ),
        "InvalidCiphertextException" => (
            Kind::InvalidCiphertext,
            "or its encryption context is another one: AWS KMS does not tell",
        ),
        "IncorrectKeyException" => (
            Kind::KeyVersionGone,
            "another key encrypted it; check whether its alias names another key now",
        ),
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => (Kind::Throttled, ""),
        "KeyUnavailableException"
        | "KMSInternalException"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServiceException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "IDPCommunicationError" => (Kind::Unavailable, ""),
        "CustomKeyStoreInvalidStateException" | "CloudHsmClusterNotActiveException" => {
            (Kind::Unavailable, "the key store is not connected")
        }
        "ConflictException" => (
            Kind::Unavailable,
            "the key is being changed already, or about to be rotated",
        ),
        "DependencyTimeoutException" | "RequestTimeout" | "RequestTimeoutException" => {
            (Kind::DeadlineExceeded, "")
        }
        "UnsupportedOperationException" | "UnknownOperationException" | "InvalidAction" => {
            (Kind::Unsupported, "")
        }
        "AlreadyExistsException" => (Kind::AlreadyExists, ""),
        "LimitExceededException" => (
            Kind::Misconfigured,
            "a quota of the account is used up; have it raised",
        ),
        "InvalidKeyUsageException" => (
            Kind::Misconfigured,
            "the key is not made for this: check its usage and its spec",
        ),
        "InvalidIdentityToken" => (Kind::Misconfigured, TOKEN),
        "RegionDisabledException" => (
            Kind::Misconfigured,
            "AWS STS is not activated in the region",
        ),
        "ExpiredTokenException" | "ExpiredToken" => (Kind::Misconfigured, EXPIRED),
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => {
            (Kind::Misconfigured, CLOCK)
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" if is_about_the_clock(message) => {
            (Kind::Misconfigured, CLOCK)
        }
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "AuthFailure"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException" => (Kind::Misconfigured, REFUSED),
        "InvalidArnException"
        | "InvalidAliasNameException"
        | "TagException"
        | "ValidationException"
        | "ValidationError"
        | "MalformedPolicyDocumentException"
        | "InvalidGrantTokenException"
        | "SerializationException" => (Kind::Misconfigured, "AWS finds the request invalid"),
        _ => return None,
    })
}

/// AWS's words for a wrong clock are `Signature expired: …` and `Signature not yet current: …`.
fn is_about_the_clock(message: Option<&str>) -> bool {
    message.is_some_and(|message| {
        message.contains("Signature expired") || message.contains("Signature not yet current")
    })
}

/// Whether AWS answered. AWS's answers have a request id and are JSON or XML. Proxies answer with pages for people.
fn is_of_aws(answer: &HttpResponse) -> bool {
    let header = |name| answer.headers().get(name);
    let body = answer.body().bytes().unwrap_or_default().trim_ascii_start();
    let begins = |with: &[u8]| {
        body.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    let is_page = begins(b"<!doctype html") || begins(b"<html");
    let is_html = header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let is_numbered = header("x-amzn-requestid").is_some() || header("x-amz-request-id").is_some();
    !is_page && (is_numbered || (begins(b"<") && !is_html))
}

/// The meaning of a proxy's status. It tells nothing about the key or the caller's permissions.
fn of_stranger(status: u16) -> (Kind, &'static str) {
    match status {
        404 | 405 => by_status(status),
        408 | 504 => (Kind::DeadlineExceeded, PROXY),
        429 => (Kind::Throttled, PROXY),
        500..600 => (Kind::Unavailable, PROXY),
        _ => (Kind::Integrity, PROXY),
    }
}

/// Some denials are XML without a code.
fn by_status(status: u16) -> (Kind, &'static str) {
    match status {
        401 | 403 => (Kind::PermissionDenied, ""),
        408 | 504 => (Kind::DeadlineExceeded, ""),
        429 => (Kind::Throttled, ""),
        500..600 => (Kind::Unavailable, ""),
        404 | 405 => (Kind::Misconfigured, NOT_AWS),
        400..500 => (Kind::Misconfigured, "AWS finds the request invalid"),
        _ => (Kind::Integrity, "the answer is not one that AWS KMS gives"),
    }
}

fn by_credentials(error: &CredentialsError) -> (Kind, &'static str) {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => (Kind::Misconfigured, NO_CREDENTIALS),
        CredentialsError::ProviderTimedOut(_) => {
            (Kind::DeadlineExceeded, "while waiting for AWS credentials")
        }
        CredentialsError::InvalidConfiguration(_) => (Kind::Misconfigured, WRONG_CREDENTIALS),
        _ => (Kind::Unavailable, "while waiting for AWS credentials"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_told_from_a_wrong_key() {
        let expired = "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z";
        for (message, expected) in [
            (Some(expired), CLOCK),
            (Some("no match"), REFUSED),
            (None, REFUSED),
        ] {
            let mapped = by_code("InvalidSignatureException", message);
            assert_eq!(mapped, Some((Kind::Misconfigured, expected)));
        }
    }

    #[test]
    fn tells_what_to_put_right() {
        let key = "aws-kms://alias/a".parse().unwrap();
        let cause = |code, message| {
            let (kind, detail) = by_code(code, message).unwrap();
            Failure::new(kind, detail)
                .of_key(&key, "kms:Encrypt")
                .cause()
        };
        for (code, expected) in [
            ("RequestTimeTooSkewed", Some(FailureCause::Clock)),
            (
                "UnrecognizedClientException",
                Some(FailureCause::RefusedCredentials),
            ),
            (
                "ExpiredTokenException",
                Some(FailureCause::RefusedCredentials),
            ),
            ("NotFoundException", None),
            ("AccessDeniedException", None),
        ] {
            assert_eq!(cause(code, None), expected, "{code}");
        }
        let none = Failure::before_any_answer(&CredentialsError::not_loaded_no_source());
        let none = none.of_key(&key, "kms:Encrypt");
        assert_eq!(none.cause(), Some(FailureCause::NoCredentials));
    }

    #[test]
    fn a_status_counts_where_there_is_no_code() {
        for (status, kind) in [
            (403, Kind::PermissionDenied),
            (429, Kind::Throttled),
            (400, Kind::Misconfigured),
            (500, Kind::Unavailable),
            (503, Kind::Unavailable),
            (504, Kind::DeadlineExceeded),
            (302, Kind::Integrity),
        ] {
            assert_eq!(by_status(status).0, kind, "{status}");
        }
        assert_eq!(by_code("SomethingNewException", None), None);
    }

    #[test]
    fn what_lies_under_a_credentials_failure_counts() {
        let refused = Failure::new(Kind::PermissionDenied, "sts");
        let error = CredentialsError::provider_error(refused);
        let failure = Failure::before_any_answer(&error);
        assert_eq!(
            (failure.kind, failure.detail),
            (Kind::PermissionDenied, "sts")
        );

        let none = Failure::before_any_answer(&CredentialsError::not_loaded_no_source());
        assert_eq!(none.kind, Kind::Misconfigured);
        let key = "aws-kms://alias/a".parse().unwrap();
        let text = none.of_key(&key, "kms:Encrypt").to_string();
        assert!(text.contains("no AWS credentials were found"), "{text}");
    }

    #[test]
    fn a_denial_names_the_permission() {
        let key = "aws-kms://alias/a".parse().unwrap();
        let denied = Failure::new(Kind::PermissionDenied, "").of_key(&key, "kms:Decrypt");
        assert!(
            denied
                .to_string()
                .ends_with("(grant the caller kms:Decrypt)"),
            "{denied}"
        );
    }
}
